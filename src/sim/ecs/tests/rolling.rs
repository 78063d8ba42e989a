//! Rollouts that go well, and what the scheduler keeps meanwhile.

use serde_json::json;

use super::{deploy, described, messages, passages, register, service, standings, tasks, update};

#[test]
fn a_rollout_takes_time_and_ends_with_one_deployment() {
    let mut bench = service(2, &json!({}));
    let id = deploy(&mut bench, "app:2");
    assert_eq!(standings(&mut bench), ["PRIMARY IN_PROGRESS app:2", "ACTIVE COMPLETED app:1"]);
    assert_eq!(passages(&mut bench), ["IN_PROGRESS", "SUCCESSFUL"]);
    bench.pass(1_400);
    assert_eq!(described(&mut bench)["runningCount"], 4);
    bench.pass(5_000);
    assert_eq!(standings(&mut bench), ["PRIMARY COMPLETED app:2"]);
    assert_eq!(passages(&mut bench), ["SUCCESSFUL", "SUCCESSFUL"]);
    assert_eq!(described(&mut bench)["deployments"][0]["id"], id);
    assert!(
        messages(&mut bench).iter().any(|m| m.contains(&format!("(deployment {id}) deployment completed.")))
    );
}

#[test]
fn the_scheduler_keeps_between_minimum_and_maximum() {
    for (minimum, maximum, desired) in [(100, 200, 4), (50, 100, 4), (0, 100, 3), (100, 150, 4), (50, 200, 3)]
    {
        let mut bench =
            service(desired, &json!({"minimumHealthyPercent": minimum, "maximumPercent": maximum}));
        deploy(&mut bench, "app:2");
        let (least, most) = ((desired * minimum).div_ceil(100), desired * maximum / 100);
        for _ in 0..300 {
            let service = described(&mut bench);
            let count = |key: &str| service[key].as_u64().expect("a count");
            let (running, pending) = (count("runningCount"), count("pendingCount"));
            assert!(running >= least, "{running} running of {desired} at {minimum}/{maximum}");
            assert!(running + pending <= most, "{running} and {pending} of {desired} at {minimum}/{maximum}");
            bench.pass(60);
        }
        assert_eq!(standings(&mut bench), ["PRIMARY COMPLETED app:2"], "at {minimum}/{maximum}");
    }
}

#[test]
fn the_same_definition_deploys_nothing_unless_forced() {
    let mut bench = service(1, &json!({}));
    let before = described(&mut bench)["deployments"][0]["id"].clone();
    assert_eq!(update(&mut bench, json!({"taskDefinition": "app:1"})), before);
    assert_eq!(update(&mut bench, json!({"desiredCount": 2})), before);
    assert_ne!(update(&mut bench, json!({"forceNewDeployment": true})), before);
    assert_eq!(standings(&mut bench), ["PRIMARY IN_PROGRESS app:1", "ACTIVE COMPLETED app:1"]);
}

#[test]
fn a_changed_network_deploys_and_a_changed_grace_period_does_not() {
    let mut bench = service(1, &json!({}));
    let before = described(&mut bench)["deployments"][0]["id"].clone();
    let network = json!({"networkConfiguration": {"awsvpcConfiguration": {"subnets": ["a"]}}});
    assert_eq!(update(&mut bench, json!({"healthCheckGracePeriodSeconds": 5})), before);
    let after = update(&mut bench, network.clone());
    assert_ne!(after, before);
    assert_eq!(update(&mut bench, network), after);
}

#[test]
fn a_newer_deployment_stops_the_one_in_progress() {
    let mut bench = service(1, &json!({}));
    deploy(&mut bench, "app:2-hang");
    bench.pass(2_000);
    deploy(&mut bench, "app:3");
    assert_eq!(passages(&mut bench), ["IN_PROGRESS", "STOP_REQUESTED", "SUCCESSFUL"]);
    bench.pass(10_000);
    assert_eq!(passages(&mut bench), ["SUCCESSFUL", "STOPPED", "SUCCESSFUL"]);
    assert_eq!(standings(&mut bench), ["PRIMARY COMPLETED app:3"]);
}

#[test]
fn nothing_to_run_is_complete_at_once() {
    let mut bench = service(0, &json!({}));
    deploy(&mut bench, "app:2");
    assert_eq!(standings(&mut bench), ["PRIMARY COMPLETED app:2"]);
    assert_eq!(passages(&mut bench)[0], "SUCCESSFUL");
}

#[test]
fn a_stopped_task_is_replaced_without_a_deployment() {
    let mut bench = service(1, &json!({}));
    let task = tasks(&mut bench, "RUNNING").remove(0);
    bench.ecs("StopTask", json!({"cluster": "c", "task": task["taskArn"], "reason": "by hand"}));
    bench.pass(5_000);
    assert_eq!(described(&mut bench)["runningCount"], 1);
    assert_eq!(standings(&mut bench), ["PRIMARY COMPLETED app:1"]);
    let stopped = tasks(&mut bench, "STOPPED").remove(0);
    assert_eq!(
        (&stopped["stopCode"], &stopped["stoppedReason"]),
        (&json!("UserInitiated"), &json!("by hand"))
    );
    bench.pass(3_600_000);
    assert!(tasks(&mut bench, "STOPPED").is_empty(), "an hour later ECS has forgotten it");
}

#[test]
fn a_slow_image_takes_ten_times_as_long() {
    let mut bench = service(1, &json!({}));
    deploy(&mut bench, "app:2-slow");
    bench.pass(8_000);
    assert_eq!(standings(&mut bench)[0], "PRIMARY IN_PROGRESS app:2");
    bench.pass(4_000);
    assert_eq!(standings(&mut bench), ["PRIMARY COMPLETED app:2"]);
}

#[test]
fn the_speed_divides_every_time() {
    let mut bench = service(1, &json!({}));
    let mut settings = bench.world.settings().clone();
    settings.ecs.speed = 10.0;
    bench.world.set_settings(settings);
    deploy(&mut bench, "app:2");
    bench.pass(250);
    assert_eq!(standings(&mut bench), ["PRIMARY COMPLETED app:2"]);
}

#[test]
fn one_leap_and_many_steps_lead_to_the_same_world() {
    let run = |steps: u64| {
        let mut bench = service(3, &super::breaker(true));
        deploy(&mut bench, "app:2-crash");
        for _ in 0..steps {
            bench.pass(12_000 / steps);
        }
        bench.world.state(bench.now)["services"].clone()
    };
    assert_eq!(run(1), run(1_200));
}

#[test]
fn the_world_says_when_it_next_moves() {
    let mut bench = service(1, &json!({}));
    assert_eq!(bench.world.next_wakeup(), None, "a steady service has nothing to do");
    register(&mut bench, "app:2");
    update(&mut bench, json!({"taskDefinition": "app"}));
    let mut turns = 0;
    while let Some(at) = bench.world.next_wakeup() {
        assert!(at > bench.now, "a wake-up in the past turns the loop for ever");
        bench.now = at;
        bench.world.advance(at);
        turns += 1;
        assert!(turns < 50, "the world does not come to rest");
    }
    assert_eq!(standings(&mut bench), ["PRIMARY COMPLETED app:2"]);
}
