//! Which digest runs, and what it does.

use serde_json::{Value, json};

use super::{LONG_MS, breaker, deploy, described, newest_passage, passages, service, tasks, update};
use crate::sim::{Call, Service, testkit::Bench};

const IMAGE: &str = "000000000000.dkr.ecr.us-east-1.amazonaws.com/app";

fn push(bench: &mut Bench, tags: &[&str]) -> String {
    let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let scope = Call::new(Service::Ecr, "", json!({})).scope;
    bench.world.push(bench.now, &scope, "app", &tags, None)
}

fn digests(bench: &mut Bench) -> Vec<Value> {
    let mut all: Vec<Value> =
        tasks(bench, "RUNNING").iter().map(|task| task["containers"][0]["imageDigest"].clone()).collect();
    all.dedup();
    all
}

fn revision(bench: &mut Bench) -> Value {
    let arn = newest_passage(bench)["targetServiceRevision"]["arn"].clone();
    bench.ecs("DescribeServiceRevisions", json!({"serviceRevisionArns": [arn]}))["serviceRevisions"][0]
        .clone()
}

#[test]
fn a_moved_tag_reaches_a_service_by_a_new_deployment_only() {
    let mut bench = service(1, &json!({}));
    let old = push(&mut bench, &["latest"]);
    deploy(&mut bench, &format!("{IMAGE}:latest"));
    bench.pass(LONG_MS);
    let new = push(&mut bench, &["latest"]);
    update(&mut bench, json!({"desiredCount": 3}));
    bench.pass(LONG_MS);
    assert_eq!(digests(&mut bench), [json!(old)], "scaling out uses the pinned digest");
    assert_eq!(revision(&mut bench)["containerImages"][0]["imageDigest"], old);
    update(&mut bench, json!({"forceNewDeployment": true}));
    bench.pass(LONG_MS);
    assert_eq!(digests(&mut bench), [json!(new)]);
    assert_eq!(
        revision(&mut bench)["containerImages"][0],
        json!({
            "containerName": "web", "image": format!("{IMAGE}:latest"), "imageDigest": new,
        })
    );
}

#[test]
fn a_container_without_version_consistency_follows_its_tag() {
    let mut bench = service(1, &json!({}));
    push(&mut bench, &["latest"]);
    let container =
        json!({"name": "web", "image": format!("{IMAGE}:latest"), "versionConsistency": "disabled"});
    bench.ecs("RegisterTaskDefinition", json!({"family": "app", "containerDefinitions": [container]}));
    update(&mut bench, json!({"taskDefinition": "app"}));
    bench.pass(LONG_MS);
    let new = push(&mut bench, &["latest"]);
    let task = tasks(&mut bench, "RUNNING").remove(0);
    bench.ecs("StopTask", json!({"cluster": "c", "task": task["taskArn"]}));
    bench.pass(LONG_MS);
    assert_eq!(digests(&mut bench), [json!(new)]);
}

#[test]
fn nothing_is_pinned_while_nothing_runs() {
    let mut bench = service(0, &json!({}));
    push(&mut bench, &["latest"]);
    deploy(&mut bench, &format!("{IMAGE}:latest"));
    assert_eq!(revision(&mut bench)["containerImages"][0]["imageDigest"], Value::Null);
}

#[test]
fn the_marker_of_a_pushed_image_counts_under_any_of_its_names() {
    let mut bench = service(1, &breaker(true));
    push(&mut bench, &["latest"]);
    deploy(&mut bench, &format!("{IMAGE}:latest"));
    bench.pass(LONG_MS);
    let bad = push(&mut bench, &["latest", "v2-crash"]);
    update(&mut bench, json!({"forceNewDeployment": true}));
    bench.pass(LONG_MS);
    assert_eq!(passages(&mut bench)[0], "ROLLBACK_SUCCESSFUL");
    push(&mut bench, &["latest"]);
    deploy(&mut bench, &format!("{IMAGE}@{bad}"));
    bench.pass(LONG_MS);
    assert_eq!(passages(&mut bench)[0], "ROLLBACK_SUCCESSFUL");
}

#[test]
fn a_tag_that_was_never_pushed_cannot_be_pulled() {
    let mut bench = service(1, &breaker(true));
    push(&mut bench, &["latest"]);
    deploy(&mut bench, &format!("{IMAGE}:gone"));
    bench.pass(LONG_MS);
    assert_eq!(passages(&mut bench)[0], "ROLLBACK_SUCCESSFUL");
    let stopped = tasks(&mut bench, "STOPPED");
    assert!(stopped.iter().any(|task| task["stopCode"] == "TaskFailedToStart"));
}

#[test]
fn a_healthy_task_ends_the_count_of_failures() {
    let mut bench = service(1, &breaker(true));
    push(&mut bench, &["latest", "bad-crash"]);
    let container =
        json!({"name": "web", "image": format!("{IMAGE}:latest"), "versionConsistency": "disabled"});
    bench.ecs("RegisterTaskDefinition", json!({"family": "app", "containerDefinitions": [container]}));
    update(&mut bench, json!({"taskDefinition": "app"}));
    while described(&mut bench)["deployments"][0]["failedTasks"] != 2 {
        bench.pass(100);
    }
    push(&mut bench, &["latest"]);
    bench.pass(LONG_MS);
    assert_eq!(passages(&mut bench)[0], "SUCCESSFUL");
    assert_eq!(described(&mut bench)["deployments"][0]["failedTasks"], 0);
}
