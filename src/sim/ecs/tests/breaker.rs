//! Rollouts that fail: with and without a circuit breaker, with and without something to return to.

use serde_json::{Value, json};

use super::{
    LONG_MS, breaker, deploy, described, messages, newest_passage, passages, refused, service, standings,
    tasks,
};
use crate::sim::{Service, ecs::breaker::threshold, testkit::Bench};

#[test]
fn the_threshold_is_half_of_the_desired_count_within_bounds() {
    let thresholds: Vec<u64> = [0, 1, 6, 7, 100, 399, 1_000].into_iter().map(threshold).collect();
    assert_eq!(thresholds, [3, 3, 3, 4, 50, 200, 200]);
}

#[test]
fn the_breaker_returns_to_the_last_completed_deployment_under_its_old_id() {
    let mut bench = service(2, &breaker(true));
    let good = described(&mut bench)["deployments"][0]["id"].clone();
    let bad = deploy(&mut bench, "app:2-crash");
    until(&mut bench, |bench| standings(bench)[0] == "PRIMARY IN_PROGRESS app:1");
    assert_eq!(standings(&mut bench), ["PRIMARY IN_PROGRESS app:1", "ACTIVE FAILED app:2"]);
    assert_eq!(described(&mut bench)["deployments"][0]["id"], good);
    let passage = newest_passage(&mut bench);
    assert_eq!(passage["status"], "ROLLBACK_IN_PROGRESS");
    assert_eq!(passage["deploymentCircuitBreaker"]["status"], "TRIGGERED");
    assert_eq!(described(&mut bench)["currentServiceDeployment"], passage["serviceDeploymentArn"]);
    bench.pass(LONG_MS);
    assert_eq!(standings(&mut bench), ["PRIMARY COMPLETED app:1"]);
    assert_eq!(passages(&mut bench), ["ROLLBACK_SUCCESSFUL", "SUCCESSFUL"]);
    let said = messages(&mut bench).join("\n");
    assert!(
        said.contains(&format!("(deployment {bad}) deployment failed: tasks failed to start.")),
        "{said}"
    );
    assert!(
        said.contains(&format!("rolling back to deployment {}.", good.as_str().expect("an id"))),
        "{said}"
    );
}

#[test]
fn the_events_of_a_rollback_are_told_twice_and_in_order() {
    let mut bench = service(1, &breaker(true));
    let queue = bench.listen("aws.ecs");
    let good = described(&mut bench)["deployments"][0]["id"].clone();
    let bad = deploy(&mut bench, "app:2-crash");
    bench.pass(LONG_MS);
    let heard = bench.heard(&queue);
    let names = |kind: &str| -> Vec<Value> {
        let of_kind = heard.iter().filter(|event| event["detail-type"] == kind);
        of_kind.map(|event| event["detail"]["eventName"].clone()).collect()
    };
    let changes = ["IN_PROGRESS", "FAILED", "IN_PROGRESS", "COMPLETED"]
        .map(|state| json!(format!("SERVICE_DEPLOYMENT_{state}")));
    assert_eq!(names("ECS Deployment State Change"), changes);
    let actions: Vec<Value> =
        names("ECS Service Action").into_iter().filter(|name| changes.contains(name)).collect();
    assert_eq!(actions, changes);
    let states: Vec<&Value> =
        heard.iter().filter(|e| e["detail-type"] == "ECS Deployment State Change").collect();
    let ids: Vec<&Value> = states.iter().map(|event| &event["detail"]["deploymentId"]).collect();
    assert_eq!(ids, [&json!(bad), &json!(bad), &good, &good]);
    let reason = format!(
        "ECS deployment circuit breaker: rolling back to deploymentId {}.",
        good.as_str().expect("an id")
    );
    assert_eq!(states[2]["detail"]["reason"], reason);
    assert_eq!(states[0]["resources"], json!(["arn:aws:ecs:us-east-1:000000000000:service/c/s"]));
}

#[test]
fn a_breaker_without_rollback_fails_and_leaves_the_old_tasks() {
    let mut bench = service(2, &breaker(false));
    deploy(&mut bench, "app:2-nope");
    bench.pass(LONG_MS);
    assert_eq!(standings(&mut bench), ["PRIMARY FAILED app:2", "ACTIVE COMPLETED app:1"]);
    assert_eq!(passages(&mut bench), ["STOPPED", "SUCCESSFUL"]);
    assert_eq!(described(&mut bench)["runningCount"], 2);
    let tasks_before = tasks(&mut bench, "STOPPED").len();
    bench.pass(LONG_MS);
    assert_eq!(tasks(&mut bench, "STOPPED").len(), tasks_before, "a failed deployment starts no more tasks");
}

#[test]
fn without_a_breaker_nothing_ever_fails_and_the_pauses_grow() {
    let mut bench = service(1, &json!({}));
    deploy(&mut bench, "app:2-nope");
    bench.pass(LONG_MS);
    let first = tasks(&mut bench, "STOPPED").len();
    bench.pass(LONG_MS);
    let second = tasks(&mut bench, "STOPPED").len() - first;
    assert!(first >= 4 && second < first, "{first} tries in the first minute, {second} in the second");
    assert_eq!(standings(&mut bench), ["PRIMARY IN_PROGRESS app:2", "ACTIVE COMPLETED app:1"]);
    assert!(
        messages(&mut bench)
            .iter()
            .any(|m| m.ends_with("is unable to consistently start tasks successfully."))
    );
}

#[test]
fn a_first_deployment_has_nothing_to_return_to() {
    let mut bench = Bench::new();
    bench.ecs("CreateCluster", json!({"clusterName": "c"}));
    super::register(&mut bench, "app:1-crash");
    bench.ecs(
        "CreateService",
        json!({
            "cluster": "c", "serviceName": "s", "taskDefinition": "app:1", "desiredCount": 1,
            "deploymentConfiguration": breaker(true),
        }),
    );
    bench.pass(LONG_MS);
    assert_eq!(standings(&mut bench), ["PRIMARY FAILED app:1"]);
    assert_eq!(passages(&mut bench), ["ROLLBACK_FAILED"]);
    assert_eq!(described(&mut bench)["pendingCount"], 0, "it is stalled");
}

#[test]
fn a_deployment_over_a_rollback_has_nothing_to_return_to_either() {
    let mut bench = service(2, &breaker(true));
    deploy(&mut bench, "app:2-crash");
    until(&mut bench, |bench| passages(bench)[0] == "ROLLBACK_IN_PROGRESS");
    deploy(&mut bench, "app:3-crash");
    assert_eq!(passages(&mut bench), ["IN_PROGRESS", "STOP_REQUESTED", "SUCCESSFUL"]);
    bench.pass(LONG_MS);
    assert_eq!(standings(&mut bench)[0], "PRIMARY FAILED app:3");
    assert_eq!(passages(&mut bench), ["ROLLBACK_FAILED", "STOPPED", "SUCCESSFUL"]);
}

#[test]
fn a_rollout_can_be_stopped_with_a_rollback_and_only_while_it_lasts() {
    let mut bench = service(1, &json!({}));
    deploy(&mut bench, "app:2-hang");
    let arn = newest_passage(&mut bench)["serviceDeploymentArn"].clone();
    let stop = json!({"serviceDeploymentArn": arn, "stopType": "ROLLBACK"});
    bench.ecs("StopServiceDeployment", stop.clone());
    assert_eq!(passages(&mut bench)[0], "ROLLBACK_REQUESTED");
    bench.pass(LONG_MS);
    assert_eq!(standings(&mut bench), ["PRIMARY COMPLETED app:1"]);
    assert_eq!(passages(&mut bench)[0], "ROLLBACK_SUCCESSFUL");
    assert!(newest_passage(&mut bench)["rollback"]["serviceRevisionArn"].is_string());
    assert_eq!(refused(&mut bench, "StopServiceDeployment", stop), "ConflictException");
    let unknown =
        json!({"serviceDeploymentArn": "arn:aws:ecs:us-east-1:000000000000:service-deployment/c/s/x"});
    assert_eq!(refused(&mut bench, "StopServiceDeployment", unknown), "ServiceDeploymentNotFoundException");
}

#[test]
fn each_marker_ends_a_task_in_its_own_way() {
    for (image, code, reason, exit) in [
        ("app:crash", "EssentialContainerExited", "Essential container in task exited", json!(1)),
        ("app:oom", "EssentialContainerExited", "Essential container in task exited", json!(137)),
        ("app:sick", "ServiceSchedulerInitiated", "Task failed container health checks", json!(143)),
        ("app:nope", "TaskFailedToStart", "CannotPullContainerError: pull image manifest", Value::Null),
    ] {
        let mut bench = service(1, &breaker(true));
        deploy(&mut bench, image);
        bench.pass(LONG_MS);
        assert_eq!(passages(&mut bench)[0], "ROLLBACK_SUCCESSFUL", "{image}");
        let stopped = tasks(&mut bench, "STOPPED");
        let task = stopped.iter().find(|task| task["stopCode"] == code).expect("a task that failed");
        assert!(task["stoppedReason"].as_str().expect("a reason").starts_with(reason), "{task}");
        assert_eq!(task["containers"][0]["exitCode"], exit, "{image}");
    }
}

#[test]
fn a_task_without_room_is_never_placed() {
    let mut bench = service(1, &breaker(true));
    let queue = bench.listen("aws.ecs");
    deploy(&mut bench, "app:noroom");
    bench.pass(LONG_MS);
    assert_eq!(standings(&mut bench)[0], "PRIMARY IN_PROGRESS app:2");
    assert!(tasks(&mut bench, "STOPPED").is_empty());
    let said = messages(&mut bench);
    assert_eq!(
        said.iter().filter(|m| m.contains("was unable to place a task")).count(),
        1,
        "said once in six hours"
    );
    let heard = bench.heard(&queue);
    assert!(heard.iter().any(|event| event["detail"]["eventName"] == "SERVICE_TASK_PLACEMENT_FAILURE"));
}

#[test]
fn a_failure_is_told_before_the_task_has_stopped() {
    let mut bench = service(1, &breaker(true));
    let queue = bench.listen("aws.ecs");
    deploy(&mut bench, "app:crash");
    bench.pass(LONG_MS);
    let heard = bench.heard(&queue);
    let ends = heard.iter().filter(|event| event["detail"]["stopCode"] == "EssentialContainerExited");
    let ends: Vec<_> =
        ends.map(|e| (e["detail"]["lastStatus"].clone(), e["detail"]["version"].clone())).take(2).collect();
    assert_eq!(ends, [(json!("DEPROVISIONING"), json!(4)), (json!("STOPPED"), json!(5))]);
    assert_eq!(bench.fails(Service::Ecs, "Nonsense", json!({})), "UnknownOperationException");
}

fn until(bench: &mut Bench, reached: impl Fn(&mut Bench) -> bool) {
    for _ in 0..1_000 {
        if reached(bench) {
            return;
        }
        bench.pass(100);
    }
    panic!("never reached; {:?}", standings(bench));
}
