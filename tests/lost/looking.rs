//! What a pass of reconcile finds, and what it leaves alone; and what is looked at because of a sign.

use std::time::Duration;

use lockkeeper::{
    domain::{AccountRule, ReconcileMode, Timestamp},
    sim::{Fault, FaultKind, Service},
};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::lab::{ACCOUNT, Daemon, Estate, REGION, own_parameter};

const OTHER: &str = "444455556666";

/// Longer than any pass, grace and rollout; shorter than the time between two passes.
const SOON: Duration = Duration::from_mins(4);
/// Three passes, and what follows from them.
const LONG: Duration = Duration::from_mins(20);

fn primary(estate: &Estate, service: &str) -> Value {
    let wanted = json!({"cluster": "shop", "services": [service]});
    estate.call(Service::Ecs, "DescribeServices", wanted)["services"][0]["deployments"][0].clone()
}

fn definition(estate: &Estate, service: &str) -> String {
    let arn = primary(estate, service)["taskDefinition"].as_str().unwrap().to_owned();
    arn.rsplit('/').next().unwrap().to_owned()
}

fn event(estate: &Estate, source: &str, kind: &str, resources: Value, detail: Value) {
    let event = json!({
        "version": "0", "id": format!("e-{}", fastrand::u64(..)), "source": source, "detail-type": kind,
        "account": ACCOUNT, "region": REGION, "time": estate.front.now().to_string(), "resources": resources,
        "detail": detail,
    });
    estate.send(&event.to_string());
}

/// A sign of a service, so that its tags are read.
fn read_at_once(estate: &Estate, arn: &str) {
    let detail = json!({"eventName": "SERVICE_DEPLOYMENT_COMPLETED", "deploymentId": "ecs-svc/1"});
    event(estate, "aws.ecs", "ECS Deployment State Change", json!([arn]), detail);
}

#[tokio::test(start_paused = true)]
async fn a_rollback_by_hand_is_no_drift() {
    let mut estate = Estate::new(5).await;
    let daemon = Daemon::begin(&estate, ReconcileMode::Repair).await;
    sleep(Duration::from_mins(2)).await;
    let before = definition(&estate, "pinned-0");
    estate.push("shop/pinned-0", "v1");
    sleep(SOON).await;
    assert_ne!(definition(&estate, "pinned-0"), before, "it was deployed");
    // Back to what was there before, and for the one that follows a tag to the digest that ran.
    let digest = estate.digest("follower-0");
    estate.push("shop/app-0", "latest");
    sleep(SOON).await;
    let back = estate.definition_of("follower-0", &format!("shop/app-0@{digest}"));
    for (service, definition) in [("pinned-0", &before), ("follower-0", &back)] {
        let body = json!({"cluster": "shop", "service": service, "taskDefinition": definition});
        estate.call(Service::Ecs, "UpdateService", body);
    }
    sleep(LONG).await;
    assert_eq!((definition(&estate, "pinned-0"), definition(&estate, "follower-0")), (before, back));
    assert_eq!(daemon.metric("lockkeeper_drift"), 0);
    assert_eq!(daemon.metric("lockkeeper_drift_repairs_total"), 0);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_lost_in_another_account_is_repaired_there_by_its_role() {
    let estate = Estate::new(6).await;
    for (operation, body) in [
        ("CreateCluster", json!({"clusterName": "shop"})),
        (
            "RegisterTaskDefinition",
            json!({"family": "theirs", "containerDefinitions": [{
                "name": "web", "image": "nginx:1", "secrets": [{"name": "KEY", "valueFrom": "/theirs/KEY"}],
            }]}),
        ),
        (
            "CreateService",
            json!({
                "cluster": "shop", "serviceName": "theirs", "taskDefinition": "theirs", "desiredCount": 1,
            }),
        ),
    ] {
        estate.call_in(OTHER, Service::Ecs, operation, body);
    }
    let role_arn = format!("arn:aws:iam::{OTHER}:role/lockkeeper");
    let rule = AccountRule { account: OTHER.into(), role_arn: role_arn.into(), external_id: None };
    let daemon = Daemon::begin_in(&estate, ReconcileMode::Repair, &[rule]).await;
    sleep(Duration::from_mins(2)).await;
    let write = || json!({"Name": "/theirs/KEY", "Value": "x", "Type": "String", "Overwrite": true});
    estate.call_in(OTHER, Service::Ssm, "PutParameter", write());
    let changed = estate.front.now();
    sleep(LONG).await;
    let wanted = json!({"cluster": "shop", "services": ["theirs"]});
    let service = estate.call_in(OTHER, Service::Ecs, "DescribeServices", wanted)["services"][0].clone();
    let created = service["deployments"][0]["createdAt"].as_f64().unwrap();
    assert!(Timestamp::from_seconds(created) > changed, "{service}");
    assert_eq!(daemon.metric("lockkeeper_drift_repairs_total"), 1);
    assert_eq!(daemon.metric("lockkeeper_drift"), 0);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_push_behind_a_tag_whose_digest_is_named_is_neither_deployed_nor_drift() {
    let mut estate = Estate::new(12).await;
    let digest = estate.digest("follower-0");
    let fixed = estate.definition_of("follower-0", &format!("shop/app-0:latest@{digest}"));
    let body = json!({"cluster": "shop", "service": "follower-0", "taskDefinition": fixed});
    estate.call(Service::Ecs, "UpdateService", body);
    sleep(Duration::from_mins(1)).await;
    let daemon = Daemon::begin(&estate, ReconcileMode::Repair).await;
    sleep(Duration::from_mins(2)).await;
    let (before, other) = (primary(&estate, "follower-0"), primary(&estate, "follower-1"));
    estate.push("shop/app-0", "latest");
    sleep(LONG).await;
    assert_ne!(
        primary(&estate, "follower-1")["id"],
        other["id"],
        "it was deployed where the tag is followed"
    );
    estate.lose(1.0);
    estate.push("shop/app-0", "latest");
    sleep(LONG).await;
    assert_eq!(estate.stale_in("follower-1"), Vec::<String>::new());
    assert_eq!(primary(&estate, "follower-0")["id"], before["id"], "nothing was started");
    assert_eq!(daemon.metric("lockkeeper_drift_repairs_total"), 1, "that of the one that follows");
    assert_eq!(daemon.metric("lockkeeper_drift"), 0);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_repair_does_not_mend_is_not_repaired_for_ever() {
    let estate = Estate::new(13).await;
    estate.lose(1.0);
    estate.write_parameter(&own_parameter("follower-2"));
    let mut fails = Fault::new(Service::Ecs, "UpdateService", FaultKind::ServerError, 1_000);
    fails.mentions = Some("follower-2".into());
    estate.front.with(|world, _| world.add_fault(fails));
    let daemon = Daemon::begin(&estate, ReconcileMode::Repair).await;
    let before = primary(&estate, "follower-2")["id"].clone();
    sleep(LONG).await;
    let told = || (daemon.metric("lockkeeper_drift"), daemon.metric("lockkeeper_drift_repairs_total"));
    let (drift, repairs) = told();
    assert!(drift >= 1 && repairs == drift, "each is repaired once: {drift}, {repairs}");
    sleep(Duration::from_mins(80)).await;
    assert_eq!(
        told(),
        (drift, repairs),
        "deployments of them ended, and changed nothing: it is told, no more"
    );
    // Another change is another matter.
    estate.write_parameter(&own_parameter("follower-2"));
    sleep(LONG).await;
    assert_eq!(told(), (drift, repairs + 1));
    assert_eq!(primary(&estate, "follower-2")["id"], before);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_run_dry_is_only_told_and_repaired_once_the_dry_run_ends() {
    let estate = Estate::new(20).await;
    let daemon = Daemon::begin(&estate, ReconcileMode::Repair).await;
    sleep(Duration::from_mins(2)).await;
    let arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:service/shop/follower-2");
    let tags = json!([{"key": "lockkeeper:dry_run", "value": "true"}]);
    estate.call(Service::Ecs, "TagResource", json!({"resourceArn": arn, "tags": tags}));
    read_at_once(&estate, &arn);
    sleep(Duration::from_secs(30)).await;
    let before = primary(&estate, "follower-2")["id"].clone();
    let ended = || daemon.metric("lockkeeper_deployments_total");
    let ended_before = ended();
    // The event of the first write comes, and that of the second is lost.
    estate.write_parameter(&own_parameter("follower-2"));
    sleep(Duration::from_mins(1)).await;
    let rehearsals = || ended() - ended_before;
    assert_eq!(rehearsals(), 1, "it was run dry");
    sleep(LONG).await;
    let told = || (daemon.metric("lockkeeper_drift"), daemon.metric("lockkeeper_drift_repairs_total"));
    assert_eq!((told(), rehearsals()), ((1, 0), 1), "it is told, and not put on the queue");
    estate.lose(1.0);
    estate.write_parameter(&own_parameter("follower-2"));
    sleep(Duration::from_hours(2)).await;
    assert_eq!((told(), rehearsals()), ((1, 0), 1), "nor is what was lost");
    assert_eq!(primary(&estate, "follower-2")["id"], before);
    let off = json!({"resourceArn": arn, "tagKeys": ["lockkeeper:dry_run"]});
    estate.call(Service::Ecs, "UntagResource", off);
    sleep(LONG).await;
    assert_ne!(primary(&estate, "follower-2")["id"], before, "it is repaired");
    assert_eq!(told(), (0, 1), "by the newer write");
    daemon.end().await;
}

/// Rolls out an image that crashes, from a revision of ours, and waits until ECS has gone back.
async fn rolled_back(estate: &Estate, service: &str, tags: Value) {
    rolls_out(estate, service, "crash", tags);
    sleep(Duration::from_mins(10)).await;
    assert_eq!(newest(estate, service)["status"], "ROLLBACK_SUCCESSFUL");
}

fn newest(estate: &Estate, service: &str) -> Value {
    let listed = json!({"cluster": "shop", "service": service});
    estate.call(Service::Ecs, "ListServiceDeployments", listed)["serviceDeployments"][0].clone()
}

fn rolls_out(estate: &Estate, service: &str, tag: &str, tags: Value) {
    let image = format!("{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop/app-0:{tag}");
    let containers = json!([{"name": "web", "image": image}]);
    let made = json!({"family": service, "containerDefinitions": containers, "tags": tags});
    estate.call(Service::Ecs, "RegisterTaskDefinition", made);
    let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
    let body = json!({
        "cluster": "shop", "service": service, "taskDefinition": service, "deploymentConfiguration": breaker,
    });
    estate.call(Service::Ecs, "UpdateService", body);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_stopped_while_nobody_ran_is_no_failure() {
    let mut estate = Estate::new(12).await;
    estate.push("shop/app-0", "hang");
    rolls_out(&estate, "follower-0", "hang", json!([{"key": "lockkeeper:deployment", "value": "d-1"}]));
    sleep(Duration::from_secs(20)).await;
    let rollout = newest(&estate, "follower-0")["serviceDeploymentArn"].clone();
    let stop = json!({"serviceDeploymentArn": rollout, "stopType": "ROLLBACK"});
    estate.call(Service::Ecs, "StopServiceDeployment", stop);
    sleep(Duration::from_mins(5)).await;
    assert_eq!(newest(&estate, "follower-0")["status"], "ROLLBACK_SUCCESSFUL");
    estate.purge();
    let daemon = Daemon::begin(&estate, ReconcileMode::Report).await;
    sleep(LONG).await;
    assert_eq!(daemon.metric("lockkeeper_rollouts_failed_unwatched"), 0);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_rollout_of_ours_that_failed_while_nobody_ran_is_told_once_and_not_started_again() {
    let mut estate = Estate::new(9).await;
    estate.push("shop/app-0", "crash");
    let ours = json!([{"key": "lockkeeper:deployment", "value": "d-1"}]);
    rolled_back(&estate, "follower-0", ours).await;
    estate.purge();
    let before = primary(&estate, "follower-0")["id"].clone();
    let daemon = Daemon::begin(&estate, ReconcileMode::Report).await;
    sleep(LONG).await;
    assert_eq!(daemon.metric("lockkeeper_rollouts_failed_unwatched"), 1);
    assert_eq!(daemon.unwatched(), ["follower-0: d-1 was rolled back"]);
    assert_eq!(primary(&estate, "follower-0")["id"], before, "nothing was started");
    // Whoever rolls out anew has seen to it.
    let body = json!({"cluster": "shop", "service": "follower-0", "forceNewDeployment": true});
    estate.call(Service::Ecs, "UpdateService", body);
    sleep(LONG).await;
    assert_eq!(daemon.metric("lockkeeper_rollouts_failed_unwatched"), 0);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_failed_long_before_this_process_began_is_old_news() {
    let mut estate = Estate::new(10).await;
    estate.push("shop/app-0", "crash");
    rolled_back(&estate, "follower-0", json!([])).await;
    estate.purge();
    sleep(Duration::from_hours(1)).await;
    let daemon = Daemon::begin(&estate, ReconcileMode::Report).await;
    sleep(LONG).await;
    assert_eq!(daemon.metric("lockkeeper_rollouts_failed_unwatched"), 0);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_this_process_told_is_not_told_again() {
    let mut estate = Estate::new(11).await;
    let daemon = Daemon::begin(&estate, ReconcileMode::Repair).await;
    sleep(Duration::from_mins(2)).await;
    let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
    let body = json!({"cluster": "shop", "service": "pinned-0", "deploymentConfiguration": breaker});
    estate.call(Service::Ecs, "UpdateService", body);
    estate.push("shop/pinned-0", "crash");
    sleep(LONG).await;
    assert_eq!(daemon.metric("lockkeeper_rollout_failures_total"), 1, "it was told when it failed");
    assert_eq!(daemon.metric("lockkeeper_rollouts_failed_unwatched"), 0);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_found_tried_and_rolled_back_is_drift_no_more() {
    let mut estate = Estate::new(12).await;
    let daemon = Daemon::begin(&estate, ReconcileMode::Repair).await;
    sleep(Duration::from_mins(2)).await;
    let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
    let body = json!({"cluster": "shop", "service": "pinned-0", "deploymentConfiguration": breaker});
    estate.call(Service::Ecs, "UpdateService", body);
    sleep(SOON).await;
    estate.lose(1.0);
    estate.push("shop/pinned-0", "crash");
    estate.lose(0.0);
    sleep(LONG).await;
    assert_eq!(daemon.metric("lockkeeper_drift_repairs_total"), 1, "it was found");
    assert_eq!(daemon.metric("lockkeeper_rollout_failures_total"), 1, "it was tried, and told");
    assert_eq!(daemon.metric("lockkeeper_drift"), 0);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_hung_and_gave_way_to_what_failed_is_only_told() {
    let mut estate = Estate::new(14).await;
    let arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:service/shop/pinned-0");
    let tags = json!([{"key": "lockkeeper:timeout", "value": "3m"}, {"key": "lockkeeper:rollback", "value": "false"}]);
    estate.call(Service::Ecs, "TagResource", json!({"resourceArn": arn, "tags": tags}));
    let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
    let body = json!({"cluster": "shop", "service": "pinned-0", "deploymentConfiguration": breaker});
    estate.call(Service::Ecs, "UpdateService", body);
    sleep(Duration::from_mins(2)).await;
    let daemon = Daemon::begin(&estate, ReconcileMode::Repair).await;
    sleep(Duration::from_mins(2)).await;
    let before = definition(&estate, "pinned-0");
    estate.push("shop/pinned-0", "hang");
    sleep(Duration::from_mins(1)).await;
    let request = json!({"service": "pinned-0", "tag": "nosuch"});
    event(&estate, "action.production", "Deploy", json!([]), request);
    sleep(LONG).await;
    assert_eq!(daemon.metric("lockkeeper_rollout_failures_total"), 2, "each of them once");
    sleep(LONG).await;
    assert_eq!(definition(&estate, "pinned-0"), before);
    assert_eq!(daemon.metric("lockkeeper_rollout_failures_total"), 2, "nothing was started again");
    assert_eq!(daemon.metric("lockkeeper_drift_repairs_total"), 0);
    assert_eq!(daemon.metric("lockkeeper_drift"), 1, "it is told");
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_hung_behind_a_followed_tag_and_gave_way_to_what_failed_is_only_told() {
    let mut estate = Estate::new(17).await;
    for service in ["follower-0", "follower-1"] {
        let arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:service/shop/{service}");
        let tags = json!([{"key": "lockkeeper:timeout", "value": "3m"}, {"key": "lockkeeper:rollback", "value": "false"}]);
        estate.call(Service::Ecs, "TagResource", json!({"resourceArn": arn, "tags": tags}));
        let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
        let body = json!({"cluster": "shop", "service": service, "deploymentConfiguration": breaker});
        estate.call(Service::Ecs, "UpdateService", body);
    }
    sleep(Duration::from_mins(2)).await;
    let daemon = Daemon::begin(&estate, ReconcileMode::Repair).await;
    sleep(Duration::from_mins(2)).await;
    let before = definition(&estate, "follower-0");
    estate.push_as("shop/app-0", ["latest", "hang"]);
    sleep(Duration::from_mins(1)).await;
    for service in ["follower-0", "follower-1"] {
        let request = json!({"service": service, "tag": "nosuch"});
        event(&estate, "action.production", "Deploy", json!([]), request);
    }
    sleep(LONG).await;
    assert_eq!(daemon.metric("lockkeeper_rollout_failures_total"), 4, "each of them once");
    sleep(LONG).await;
    assert_eq!(definition(&estate, "follower-0"), before);
    assert_eq!(daemon.metric("lockkeeper_rollout_failures_total"), 4, "nothing was started again");
    assert_eq!(daemon.metric("lockkeeper_drift_repairs_total"), 0);
    assert_eq!(daemon.metric("lockkeeper_drift"), 2, "it is told");
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_pushed_before_a_service_was_created_is_no_drift_of_it() {
    let mut estate = Estate::new(15).await;
    for tag in ["v3", "v6"] {
        estate.push("shop/new", tag);
        sleep(Duration::from_mins(1)).await;
    }
    let daemon = Daemon::begin(&estate, ReconcileMode::Repair).await;
    sleep(Duration::from_mins(4)).await;
    let chosen = estate.definition_of("pinned-new", "shop/new:v3");
    let tags = json!([{"key": "lockkeeper:on_push", "value": "pin"}]);
    let body = json!({
        "cluster": "shop", "serviceName": "pinned-new", "taskDefinition": chosen, "desiredCount": 1, "tags": tags,
    });
    estate.call(Service::Ecs, "CreateService", body);
    sleep(LONG).await;
    sleep(LONG).await;
    assert_eq!(definition(&estate, "pinned-new"), chosen);
    assert_eq!(daemon.metric("lockkeeper_drift_repairs_total"), 0);
    assert_eq!(daemon.metric("lockkeeper_drift"), 0);
    // What is pushed from then on is deployed, though its event is lost.
    estate.lose(1.0);
    estate.push("shop/new", "v7");
    sleep(LONG).await;
    assert_ne!(definition(&estate, "pinned-new"), chosen);
    assert_eq!(daemon.metric("lockkeeper_drift_repairs_total"), 1);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_pushed_behind_a_followed_tag_and_rolled_back_is_no_drift() {
    let mut estate = Estate::new(16).await;
    let breaker = json!({"deploymentCircuitBreaker": {"enable": true, "rollback": true}});
    for service in ["follower-0", "follower-1"] {
        let body = json!({"cluster": "shop", "service": service, "deploymentConfiguration": breaker});
        estate.call(Service::Ecs, "UpdateService", body);
    }
    sleep(Duration::from_mins(2)).await;
    let daemon = Daemon::begin(&estate, ReconcileMode::Repair).await;
    // The pass in between finds the tag moved, and may do so when all is over.
    sleep(Duration::from_mins(6)).await;
    estate.push_as("shop/app-0", ["latest", "crash"]);
    sleep(LONG).await;
    sleep(LONG).await;
    assert_eq!(daemon.metric("lockkeeper_rollout_failures_total"), 2, "of each once, and never again");
    assert_eq!(daemon.metric("lockkeeper_drift_repairs_total"), 0);
    assert_eq!(daemon.metric("lockkeeper_drift"), 0);
    daemon.end().await;
}

/// A service is switched off, and what it reads changes. Nobody tells of either, and the pass is the first to read the service.
/// Says its ARN, and which rollout it has.
fn switched_off_and_changed(estate: &Estate) -> (String, Value) {
    let before = primary(estate, "follower-2")["id"].clone();
    let arn = format!("arn:aws:ecs:{REGION}:{ACCOUNT}:service/shop/follower-2");
    let off = json!([{"key": "lockkeeper:enabled", "value": "false"}]);
    estate.lose(1.0);
    estate.call(Service::Ecs, "TagResource", json!({"resourceArn": arn, "tags": off}));
    estate.write_parameter(&own_parameter("follower-2"));
    estate.lose(0.0);
    (arn, before)
}

#[tokio::test(start_paused = true)]
async fn what_was_put_back_for_a_service_that_was_switched_off_is_repaired_once_it_is_on_again() {
    let estate = Estate::new(18).await;
    let daemon = Daemon::begin(&estate, ReconcileMode::Repair).await;
    sleep(Duration::from_mins(2)).await;
    let (arn, before) = switched_off_and_changed(&estate);
    sleep(Duration::from_mins(12)).await;
    assert_eq!(daemon.metric("lockkeeper_drift_repairs_total"), 1, "it was not known to be off");
    assert_eq!(primary(&estate, "follower-2")["id"], before, "it was dropped");
    assert_eq!(daemon.metric("lockkeeper_drift"), 0, "nothing is asked of it");
    let on = json!({"resourceArn": arn, "tagKeys": ["lockkeeper:enabled"]});
    estate.call(Service::Ecs, "UntagResource", on);
    sleep(LONG).await;
    assert_ne!(primary(&estate, "follower-2")["id"], before);
    assert_eq!(daemon.metric("lockkeeper_drift_repairs_total"), 2);
    assert_eq!(daemon.metric("lockkeeper_drift"), 0);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_put_back_while_a_service_was_off_between_two_passes_is_repaired_by_the_next() {
    let estate = Estate::new(19).await;
    let daemon = Daemon::begin(&estate, ReconcileMode::Repair).await;
    sleep(Duration::from_mins(2)).await;
    let (arn, before) = switched_off_and_changed(&estate);
    while daemon.metric("lockkeeper_drift_repairs_total") == 0 {
        sleep(Duration::from_secs(5)).await;
    }
    sleep(Duration::from_secs(30)).await;
    assert_eq!(primary(&estate, "follower-2")["id"], before, "it was dropped");
    let on = json!({"resourceArn": arn, "tagKeys": ["lockkeeper:enabled"]});
    estate.call(Service::Ecs, "UntagResource", on);
    read_at_once(&estate, &arn);
    sleep(Duration::from_mins(8)).await;
    assert_ne!(primary(&estate, "follower-2")["id"], before);
    assert_eq!(daemon.metric("lockkeeper_drift_repairs_total"), 2);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_tick_of_our_rule_begins_a_pass_at_once_and_that_of_another_none() {
    let estate = Estate::new(7).await;
    let daemon = Daemon::begin(&estate, ReconcileMode::Repair).await;
    sleep(Duration::from_secs(30)).await;
    let passes = |daemon: &Daemon| daemon.metric("lockkeeper_reconcile_duration_seconds_count");
    assert_eq!(passes(&daemon), 0);
    let tick = |rule: &str| {
        let arn = format!("arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule}");
        event(&estate, "aws.events", "Scheduled Event", json!([arn]), json!({}));
    };
    tick("nightly");
    sleep(Duration::from_secs(40)).await;
    assert_eq!(passes(&daemon), 0, "it is somebody else's");
    tick("lockkeeper-reconcile");
    sleep(Duration::from_secs(40)).await;
    assert_eq!(passes(&daemon), 1);
    daemon.end().await;
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_deleted_although_it_runs_is_warned_of_and_nothing_is_deployed() {
    let mut estate = Estate::new(8).await;
    let daemon = Daemon::begin(&estate, ReconcileMode::Repair).await;
    sleep(Duration::from_mins(2)).await;
    let (runs, rollout) = (estate.digest("follower-0"), primary(&estate, "follower-0")["id"].clone());
    let gone = |digest: &str| {
        let detail = json!({
            "action-type": "DELETE", "result": "SUCCESS", "repository-name": "shop/app-0",
            "image-digest": digest, "image-tag": "",
        });
        event(&estate, "aws.ecr", "ECR Image Action", json!([]), detail);
    };
    gone(&format!("sha256:{}", "0".repeat(64)));
    sleep(Duration::from_mins(1)).await;
    assert_eq!(daemon.metric("lockkeeper_images_gone_total"), 0, "nobody runs it");
    gone(&runs);
    sleep(Duration::from_mins(1)).await;
    assert_eq!(daemon.metric("lockkeeper_images_gone_total"), 2, "two services run it");
    assert_eq!(primary(&estate, "follower-0")["id"], rollout);
    estate.push("shop/app-0", "latest");
    daemon.end().await;
}
