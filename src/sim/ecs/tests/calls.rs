//! Single calls: what they take, refuse and list.

use serde_json::{Value, json};

use super::{LONG_MS, deploy, described, refused, register, service, standings, update};
use crate::sim::testkit::Bench;

#[test]
fn a_definition_keeps_fields_that_nobody_knows_and_gives_tags_apart() {
    let mut bench = Bench::new();
    let reply = bench.ecs(
        "RegisterTaskDefinition",
        json!({
            "family": "app", "newField": {"a": 1}, "tags": [{"key": "k", "value": "v"}],
            "containerDefinitions": [{"name": "web", "image": "app:1", "newerField": [1]}],
        }),
    );
    assert_eq!(reply["taskDefinition"]["newField"], json!({"a": 1}));
    let plain = bench.ecs("DescribeTaskDefinition", json!({"taskDefinition": "app"}));
    assert_eq!(plain["taskDefinition"]["containerDefinitions"][0]["newerField"], json!([1]));
    assert!(plain.get("tags").is_none() && plain["taskDefinition"].get("tags").is_none());
    let tagged = bench.ecs("DescribeTaskDefinition", json!({"taskDefinition": "app:1", "include": ["TAGS"]}));
    assert_eq!(tagged["tags"], json!([{"key": "k", "value": "v"}]));
    assert_eq!(refused(&mut bench, "RegisterTaskDefinition", json!({"family": "app"})), "ClientException");
}

#[test]
fn revisions_are_listed_by_number_in_both_directions_and_by_page() {
    let mut bench = Bench::new();
    for revision in 1..=12 {
        register(&mut bench, &format!("app:{revision}"));
    }
    let newest =
        bench.ecs("ListTaskDefinitions", json!({"familyPrefix": "app", "sort": "DESC", "maxResults": 1}));
    assert_eq!(
        newest["taskDefinitionArns"],
        json!(["arn:aws:ecs:us-east-1:000000000000:task-definition/app:12"])
    );
    let next =
        json!({"familyPrefix": "app", "sort": "DESC", "maxResults": 1, "nextToken": newest["nextToken"]});
    assert!(
        bench.ecs("ListTaskDefinitions", next)["taskDefinitionArns"][0]
            .as_str()
            .expect("an ARN")
            .ends_with("app:11")
    );
    assert_eq!(
        bench.ecs("ListTaskDefinitions", json!({"familyPrefix": "ap"}))["taskDefinitionArns"],
        json!([])
    );
    bench.ecs("DeregisterTaskDefinition", json!({"taskDefinition": "app:12"}));
    let latest = bench.ecs("DescribeTaskDefinition", json!({"taskDefinition": "app"}));
    assert_eq!(latest["taskDefinition"]["revision"], 11, "a family stands for its latest active revision");
}

#[test]
fn a_service_cannot_be_moved_to_an_inactive_or_unknown_definition() {
    let mut bench = service(1, &json!({}));
    register(&mut bench, "app:2");
    bench.ecs("DeregisterTaskDefinition", json!({"taskDefinition": "app:2"}));
    for definition in ["app:2", "app:9", "other"] {
        let to = json!({"cluster": "c", "service": "s", "taskDefinition": definition});
        assert_eq!(refused(&mut bench, "UpdateService", to), "ClientException");
    }
    bench.ecs("DeregisterTaskDefinition", json!({"taskDefinition": "app:1"}));
    update(&mut bench, json!({"forceNewDeployment": true}));
    bench.pass(LONG_MS);
    assert_eq!(standings(&mut bench), ["PRIMARY COMPLETED app:1"], "what runs may run on");
}

#[test]
fn services_and_clusters_that_are_not_there_are_told_apart() {
    let mut bench = service(1, &json!({}));
    let nowhere = json!({"cluster": "x", "service": "s"});
    assert_eq!(refused(&mut bench, "UpdateService", nowhere), "ClusterNotFoundException");
    let nobody = json!({"cluster": "c", "service": "x"});
    assert_eq!(refused(&mut bench, "UpdateService", nobody), "ServiceNotFoundException");
    let both = bench.ecs("DescribeServices", json!({"cluster": "c", "services": ["s", "x"]}));
    assert_eq!(both["services"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        both["failures"],
        json!([{"arn": "arn:aws:ecs:us-east-1:000000000000:service/c/x", "reason": "MISSING"}])
    );
    let eleven: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    let eleven = json!({"cluster": "c", "services": eleven});
    assert_eq!(refused(&mut bench, "DescribeServices", eleven), "InvalidParameterException");
}

#[test]
fn a_deleted_service_drains_and_stays_described() {
    let mut bench = service(1, &json!({}));
    let delete = json!({"cluster": "c", "service": "s"});
    assert_eq!(refused(&mut bench, "DeleteService", delete), "InvalidParameterException");
    bench.ecs("DeleteService", json!({"cluster": "c", "service": "s", "force": true}));
    assert_eq!(described(&mut bench)["status"], "DRAINING");
    bench.pass(LONG_MS);
    assert_eq!(described(&mut bench)["status"], "INACTIVE");
    let change = json!({"cluster": "c", "service": "s", "desiredCount": 1});
    assert_eq!(refused(&mut bench, "UpdateService", change), "ServiceNotActiveException");
    assert_eq!(bench.ecs("ListServices", json!({"cluster": "c"}))["serviceArns"], json!([]));
}

#[test]
fn a_code_deploy_service_takes_no_definition() {
    let mut bench = service(1, &json!({}));
    bench.ecs(
        "CreateService",
        json!({
            "cluster": "c", "serviceName": "cd", "taskDefinition": "app", "desiredCount": 1,
            "deploymentController": {"type": "CODE_DEPLOY"},
        }),
    );
    register(&mut bench, "app:2");
    let change = json!({"cluster": "c", "service": "cd", "taskDefinition": "app:2"});
    assert_eq!(refused(&mut bench, "UpdateService", change), "InvalidParameterException");
    bench.ecs("UpdateService", json!({"cluster": "c", "service": "cd", "desiredCount": 2}));
}

#[test]
fn service_deployments_are_filtered_by_time_and_status() {
    let mut bench = service(1, &json!({}));
    bench.pass(10_000);
    let between = bench.now.as_millis();
    bench.pass(10_000);
    deploy(&mut bench, "app:2");
    let list = |bench: &mut Bench, more: Value| {
        let mut body = json!({"cluster": "c", "service": "s"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let reply = bench.ecs("ListServiceDeployments", body);
        reply["serviceDeployments"].as_array().map(Vec::len)
    };
    let seconds = between / 1000;
    assert_eq!(list(&mut bench, json!({})), Some(2));
    assert_eq!(list(&mut bench, json!({"createdAt": {"after": seconds}})), Some(1));
    assert_eq!(list(&mut bench, json!({"createdAt": {"before": seconds}})), Some(1));
    assert_eq!(list(&mut bench, json!({"status": ["IN_PROGRESS"]})), Some(1));
    assert_eq!(list(&mut bench, json!({"status": ["STOPPED"]})), Some(0));
}

#[test]
fn tags_are_put_listed_and_taken_from_services_and_definitions() {
    let mut bench = service(1, &json!({}));
    for arn in ["service/c/s", "task-definition/app:1", "cluster/c"] {
        let arn = format!("arn:aws:ecs:us-east-1:000000000000:{arn}");
        bench.ecs("TagResource", json!({"resourceArn": arn, "tags": [{"key": "a", "value": "1"}]}));
        bench.ecs("TagResource", json!({"resourceArn": arn, "tags": [{"key": "a", "value": "2"}]}));
        let tags = bench.ecs("ListTagsForResource", json!({"resourceArn": arn}));
        assert_eq!(tags["tags"], json!([{"key": "a", "value": "2"}]));
        bench.ecs("UntagResource", json!({"resourceArn": arn, "tagKeys": ["a"]}));
        assert_eq!(bench.ecs("ListTagsForResource", json!({"resourceArn": arn}))["tags"], json!([]));
    }
}

#[test]
fn tasks_are_listed_by_who_started_them_or_by_their_service_but_not_by_both() {
    let mut bench = service(1, &json!({}));
    bench.pass(LONG_MS);
    let id = described(&mut bench)["deployments"][0]["id"].clone();
    let listed = bench.ecs("ListTasks", json!({"cluster": "c", "startedBy": id}));
    assert_eq!(listed["taskArns"].as_array().map(Vec::len), Some(1));
    for (key, value) in [("serviceName", "s"), ("family", "app"), ("launchType", "FARGATE")] {
        let both = json!({"cluster": "c", "startedBy": id, key: value});
        assert_eq!(refused(&mut bench, "ListTasks", both), "InvalidParameterException", "{key}");
    }
}
