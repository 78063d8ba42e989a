//! `lockkeeper explain` with what AWS tells: what discovery finds, and what would happen now.

use std::process::Output;

use lockkeeper::sim::Service;
use serde_json::{Value, json};

use crate::lab::{ACCOUNT, Lab, REGION, is_read};

const DISCOVERY: &str = "[discovery]\nclusters = [\"*\"]\n";

/// An event of this kind, at a time that is to come, so that nothing has carried it yet.
fn event(source: &str, detail_type: &str, time: &str, detail: &Value) -> String {
    json!({
        "version": "0", "id": "e-1", "source": source, "detail-type": detail_type, "account": ACCOUNT,
        "region": REGION, "time": time, "resources": [], "detail": detail,
    })
    .to_string()
}

fn parameter(name: &str, time: &str) -> String {
    event("aws.ssm", "Parameter Store Change", time, &json!({"operation": "Update", "name": name}))
}

fn push(repository: &str, tag: &str) -> String {
    let detail = json!({
        "result": "SUCCESS", "repository-name": repository, "action-type": "PUSH", "image-tag": tag,
    });
    event("aws.ecr", "ECR Image Action", LONG_AGO, &detail)
}

const LONG_AGO: &str = "2020-01-01T00:00:00Z";

async fn explain(lab: &Lab, event: &str, settings: &str, more: &[&str]) -> Output {
    let path = lab.file("event.json", event);
    lab.run(&[&["explain", &path], more].concat(), settings).await
}

async fn told(lab: &Lab, event: &str, settings: &str) -> String {
    lab.text(&explain(lab, event, settings, &[]).await)
}

fn create(name: &str, tags: Value) -> Value {
    json!({
        "cluster": "shop", "serviceName": name, "taskDefinition": "api", "desiredCount": 1, "tags": tags,
    })
}

fn tag(key: &str, value: &str) -> Value {
    json!([{"key": key, "value": value}])
}

#[tokio::test(flavor = "multi_thread")]
async fn what_discovery_finds_is_told_with_what_would_happen_now() {
    let lab = Lab::new().await;
    lab.ask(Service::Ecs, "CreateService", create("off", tag("lockkeeper:enabled", "false")));
    lab.define(&crate::lab::image("shop/web:v1"), &[]);
    lab.ask(Service::Ecs, "CreateService", create("web", json!([])));
    lab.ask(Service::Ecs, "CreateService", create("worker", tag("lockkeeper:name", "jobs")));
    let text = told(&lab, &parameter("/prod/KEY", LONG_AGO), DISCOVERY).await;
    let (before, rollout) = text.split_once("arn:aws:ecs:").expect("the rollout that carries it");
    let (_, after) = rollout.split_once(", carries it").expect("why");
    insta::assert_snapshot!(format!("{before}…{after}"), @r"
    [exit 0]
    parameter_changed: parameter /prod/KEY was updated
      event      e-1 from aws.ssm, `Parameter Store Change`
      version    2020-01-01T00:00:00Z, the event's time; or when SQS first got the message, if that is earlier
      own        account 111122223333 (as STS says), Region eu-west-1 (from AWS_REGION)
      result     1 target would be asked

    It reaches 1 target:
      api (111122223333/eu-west-1/shop/api)
        because its running definition reads parameter /prod/KEY
        would   new tasks of the running definition
        now     no rollout, already_running: …

    Nothing is asked of 3 other targets:
      off   off is not deployed: switched off by its tag lockkeeper:enabled
      web   its running definition reads no parameter
      jobs  its running definition reads no parameter
    ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_nothing_has_brought_would_be_started_now() {
    let lab = Lab::new().await;
    let soon = "2999-01-01T00:00:00Z";
    let text = told(&lab, &parameter("/prod/KEY", soon), DISCOVERY).await;
    assert!(text.contains("\n    now     a rollout would be started\n"), "{text}");
    let paused = json!({"resourceArn": Lab::service_arn("api"), "tags": tag("lockkeeper:paused", "2026-11-01T12:00:00Z / jo / freeze")});
    lab.ask(Service::Ecs, "TagResource", paused);
    let text = told(&lab, &parameter("/prod/KEY", soon), DISCOVERY).await;
    assert!(
        text.contains(
            "it is paused: this would wait until it is resumed (by jo, since 2026-11-01T12:00:00Z, freeze)"
        ),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_told_apart_by_the_tag_that_runs() {
    let lab = Lab::new().await;
    let followed = told(&lab, &push("shop/api", "v1"), DISCOVERY).await;
    assert!(
        followed.contains("It reaches 1 target:") && followed.contains("no rollout, already_running"),
        "{followed}"
    );
    let other = told(&lab, &push("shop/api", "v2"), DISCOVERY).await;
    assert!(other.contains("now     nothing: container web of api:1 names"), "{other}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_changes_nothing_and_reads_nothing_that_it_does_not_need() {
    let lab = Lab::new().await;
    let before = lab.calls();
    explain(&lab, &parameter("/prod/KEY", LONG_AGO), DISCOVERY, &[]).await;
    let calls = lab.calls_after(before);
    let changed: Vec<_> = calls.iter().filter(|it| it.took_effect && !is_read(&it.operation)).collect();
    assert!(changed.is_empty(), "{changed:#?}");
    let before = lab.calls();
    explain(&lab, &event("x", "y", LONG_AGO, &json!({})), DISCOVERY, &[]).await;
    let calls: Vec<String> = lab.calls_after(before).into_iter().map(|it| it.operation).collect();
    assert_eq!(calls, ["GetCallerIdentity"], "nobody is concerned, so nobody is read");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_gone_is_warned_of_where_somebody_needs_it() {
    let lab = Lab::new().await;
    let gone = |tag: &str| {
        let detail = json!({
            "action-type": "DELETE", "result": "SUCCESS", "repository-name": "shop/api", "image-tag": tag,
        });
        event("aws.ecr", "ECR Image Action", LONG_AGO, &detail)
    };
    let needed = told(&lab, &gone("v1"), DISCOVERY).await;
    let warning = "beside     a warning: image shop/api:v1 was deleted, and api needs it: container web names it by its tag in api:1; its next tasks cannot start";
    assert!(needed.contains(warning), "{needed}");
    let other = told(&lab, &gone("v2"), DISCOVERY).await;
    assert!(other.contains("beside     none of the 1 that run images of shop/api needs it"), "{other}");
    let offline = lab.text(&explain(&lab, &gone("v1"), crate::lab::TARGET, &["--offline"]).await);
    assert!(offline.contains("beside     a warning, if it is needed by one of: api"), "{offline}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_is_told_apart_by_its_rule() {
    let lab = Lab::new().await;
    let tick = |rule: &str| {
        let event = event("aws.events", "Scheduled Event", LONG_AGO, &json!({}));
        let arn = format!(r#""resources":["arn:aws:events:{REGION}:{ACCOUNT}:rule/{rule}"]"#);
        event.replace(r#""resources":[]"#, &arn)
    };
    let ours = told(&lab, &tick("lockkeeper-nightly"), DISCOVERY).await;
    assert!(ours.contains("beside     a pass of reconcile begins"), "{ours}");
    let theirs = told(&lab, &tick("backup"), DISCOVERY).await;
    assert!(theirs.contains("beside     nothing: the rule backup is not called as ours are"), "{theirs}");
    let off = told(&lab, &tick("lockkeeper-nightly"), "[reconcile]\nmode = \"off\"\n").await;
    assert!(off.contains("beside     nothing: reconcile.mode is \"off\""), "{off}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_reads_what_would_happen_now_as_json() {
    let lab = Lab::new().await;
    let output = explain(&lab, &parameter("/prod/KEY", LONG_AGO), DISCOVERY, &["--output", "json"]).await;
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&answer["online"], &answer["home"]["account_from"]), (&json!(true), &json!("sts")));
    let target = &answer["targets"][0];
    assert!(target["now"].as_str().expect("told").starts_with("no rollout, already_running"), "{target}");
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_nobody_is_asked_and_where_aws_does_not_answer_that_is_said() {
    let lab = Lab::new().await;
    let before = lab.calls();
    let output = explain(&lab, &parameter("/prod/KEY", LONG_AGO), DISCOVERY, &["--offline"]).await;
    let text = lab.text(&output);
    assert!(text.contains("what discovery would find is not asked for here"), "{text}");
    assert!(text.contains("result     not known: it may be for a target that discovery finds"), "{text}");
    assert_eq!(lab.calls_after(before).len(), 0);
    let output =
        lab.run_elsewhere(&["explain", &lab.file("event.json", &push("shop/api", "v1"))], DISCOVERY).await;
    let text = lab.text(&output);
    assert!(text.starts_with("[exit 0]") && text.contains("AWS was not asked: "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_means_several_services_would_be_set_aside() {
    let lab = Lab::new().await;
    lab.ask(Service::Ecs, "CreateCluster", json!({"clusterName": "test"}));
    let twin = json!({"cluster": "test", "serviceName": "api", "taskDefinition": "api", "desiredCount": 1});
    lab.ask(Service::Ecs, "CreateService", twin);
    let asked = event("action.deploy", "DEPLOY", LONG_AGO, &json!({"service": "api"}));
    let text = told(&lab, &asked, DISCOVERY).await;
    let means = "`api` means several targets, ask for one of shop/api, test/api";
    let result =
        format!("set aside in the dead-letter queue, because it does not say what is meant: {means}");
    assert!(text.starts_with("[exit 0]") && text.contains(&result), "{text}");
    let output = explain(&lab, &asked, DISCOVERY, &["--output", "json"]).await;
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&answer["result"], &answer["targets"]), (&json!("unclear"), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_asks_to_wait_is_reached_and_told_why_it_is_not_deployed() {
    let lab = Lab::new().await;
    let tags = tag("lockkeeper:approval", "required");
    lab.ask(Service::Ecs, "TagResource", json!({"resourceArn": Lab::service_arn("api"), "tags": tags}));
    let text = told(&lab, &parameter("/prod/KEY", LONG_AGO), DISCOVERY).await;
    let why = "api is not deployed: tag lockkeeper:approval = \"required\" asks to wait for something, which this version cannot";
    assert!(text.contains(why), "{text}");
}
