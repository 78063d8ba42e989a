//! The contract of ECS's rolling deployments.

mod breaker;
mod calls;
mod finding;
mod images;
mod rolling;

use serde_json::{Value, json};

use crate::sim::{Service::Ecs, testkit::Bench};

/// Longer than any rollout takes at the default dials.
const LONG_MS: u64 = 60_000;

/// A cluster `c` with a service `s` that runs `app:1`, steady.
fn service(desired: u64, configuration: &Value) -> Bench {
    let mut bench = Bench::new();
    bench.ecs("CreateCluster", json!({"clusterName": "c"}));
    register(&mut bench, "app:1");
    bench.ecs(
        "CreateService",
        json!({
            "cluster": "c", "serviceName": "s", "taskDefinition": "app", "desiredCount": desired,
            "deploymentConfiguration": configuration,
        }),
    );
    bench.pass(LONG_MS);
    bench
}

fn breaker(rollback: bool) -> Value {
    json!({"deploymentCircuitBreaker": {"enable": true, "rollback": rollback}})
}

/// Registers the next revision of `app` with this image.
fn register(bench: &mut Bench, image: &str) -> String {
    let container = json!({"name": "web", "image": image});
    let reply =
        bench.ecs("RegisterTaskDefinition", json!({"family": "app", "containerDefinitions": [container]}));
    reply["taskDefinition"]["taskDefinitionArn"].as_str().expect("an ARN").to_owned()
}

/// Registers this image and moves the service to it. Says the id of the deployment.
fn deploy(bench: &mut Bench, image: &str) -> String {
    let definition = register(bench, image);
    update(bench, json!({"taskDefinition": definition}))
}

fn update(bench: &mut Bench, mut change: Value) -> String {
    change["cluster"] = json!("c");
    change["service"] = json!("s");
    let reply = bench.ecs("UpdateService", change);
    reply["service"]["deployments"][0]["id"].as_str().expect("an id").to_owned()
}

fn described(bench: &mut Bench) -> Value {
    bench.ecs("DescribeServices", json!({"cluster": "c", "services": ["s"]}))["services"][0].clone()
}

/// Each deployment as `status rolloutState image revision`.
fn standings(bench: &mut Bench) -> Vec<String> {
    let service = described(bench);
    let deployments = service["deployments"].as_array().expect("a list").iter();
    deployments
        .map(|deployment| {
            let text = |key: &str| deployment[key].as_str().expect("a string").to_owned();
            let definition = text("taskDefinition");
            let revision = definition.rsplit('/').next().expect("a name");
            format!("{} {} {revision}", text("status"), text("rolloutState"))
        })
        .collect()
}

/// The statuses of the service's deployments, the newest first.
fn passages(bench: &mut Bench) -> Vec<String> {
    let all = bench.ecs("ListServiceDeployments", json!({"cluster": "c", "service": "s"}));
    let all = all["serviceDeployments"].as_array().expect("a list").iter();
    all.map(|one| one["status"].as_str().expect("a status").to_owned()).collect()
}

fn newest_passage(bench: &mut Bench) -> Value {
    let all = bench.ecs("ListServiceDeployments", json!({"cluster": "c", "service": "s", "maxResults": 1}));
    let arn = all["serviceDeployments"][0]["serviceDeploymentArn"].clone();
    bench.ecs("DescribeServiceDeployments", json!({"serviceDeploymentArns": [arn]}))["serviceDeployments"][0]
        .clone()
}

fn tasks(bench: &mut Bench, status: &str) -> Vec<Value> {
    let arns = bench.ecs("ListTasks", json!({"cluster": "c", "serviceName": "s", "desiredStatus": status}));
    if arns["taskArns"] == json!([]) {
        return Vec::new();
    }
    let reply = bench.ecs("DescribeTasks", json!({"cluster": "c", "tasks": arns["taskArns"]}));
    reply["tasks"].as_array().expect("a list").clone()
}

fn messages(bench: &mut Bench) -> Vec<String> {
    let service = described(bench);
    let events = service["events"].as_array().expect("a list").iter();
    events.map(|event| event["message"].as_str().expect("a message").to_owned()).collect()
}

fn refused(bench: &mut Bench, operation: &str, body: Value) -> &'static str {
    bench.fails(Ecs, operation, body)
}
