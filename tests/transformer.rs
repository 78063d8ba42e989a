//! Another event becomes a deploy request by the input transformer of a rule: the template that the documentation shows
//! and the Terraform example uses is understood, with fields of the event in it.

use std::{fs, path::Path};

use lockkeeper::{
    decode::decode,
    domain::{DeployRequest, Event, Timestamp, Trigger, Wanted},
};
use serde_json::{Map, Value, json};

const EXAMPLE: &str = "deploy/terraform/examples/pipeline-event";

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("it is there")
}

fn paths() -> Map<String, Value> {
    serde_json::from_str(&file(&format!("{EXAMPLE}/paths.json"))).expect("an object of paths")
}

fn event() -> Value {
    json!({
        "version": "0", "id": "7d1c8d5e-9c39-4a5f-8a52-0f6f1c4b2a10", "detail-type": "SMUS-CICD-Deploy-Completed",
        "source": "com.amazon.smus.cicd", "account": "444455556666", "time": "2026-11-20T08:15:00Z",
        "region": "eu-west-1", "resources": [],
        "detail": {
            "pipelineName": "acme-reports", "stage": "deploy", "status": "completed",
            "target": {"name": "prod", "stage": "PROD"},
            "metadata": {"user": "release-bot", "gitCommit": "0a1b2c3", "runId": "8841"},
        },
    })
}

/// What EventBridge delivers: each placeholder is replaced by what stands at its path, as it is, or by nothing.
fn transformed(event: &Value) -> String {
    let template = file(&format!("{EXAMPLE}/request.json"));
    paths().iter().fold(template, |body, (name, path)| {
        let path = path.as_str().expect("a path").trim_start_matches("$.");
        let value = path.split('.').fold(event, |value, key| &value[key]);
        body.replace(&format!("<{name}>"), value.as_str().unwrap_or_default())
    })
}

fn decoded(event: &Value) -> Event {
    decode(transformed(event).as_bytes(), Timestamp::parse("2026-11-20T08:15:02Z").expect("a time"))
}

#[test]
fn the_example_is_a_deploy_request_with_fields_of_the_event_in_it() {
    let request = decoded(&event());
    let expected = DeployRequest {
        service: "reports".into(),
        wanted: Wanted::Tag("0a1b2c3".into()),
        reason: Some("acme-reports was deployed to prod by run 8841".into()),
        requested_by: Some("release-bot".into()),
        ..DeployRequest::default()
    };
    assert_eq!(request.trigger, Trigger::DeployRequested(expected));
    assert_eq!(request.id.as_str(), "7d1c8d5e-9c39-4a5f-8a52-0f6f1c4b2a10");
    assert_eq!(Some(request.time), Timestamp::parse("2026-11-20T08:15:00Z"));
    assert_eq!(request.account, Some("444455556666".into()));
    assert_eq!(request.region, Some("eu-west-1".into()));
}

#[test]
fn a_field_that_the_event_lacks_is_told_and_not_guessed() {
    let mut event = event();
    event["detail"]["metadata"]["gitCommit"] = Value::Null;
    let Trigger::Malformed(reason) = decoded(&event).trigger else { panic!("no commit, no tag") };
    assert!(reason.contains("`tag`"), "{reason}");
}

#[test]
fn a_value_that_breaks_the_template_is_malformed() {
    let mut event = event();
    event["detail"]["metadata"]["user"] = r#"ann "the" admin"#.into();
    assert!(matches!(decoded(&event).trigger, Trigger::Malformed(_)));
}

#[test]
fn the_documentation_shows_the_example_as_it_is() {
    let page = file("docs/events.md");
    for name in ["paths.json", "request.json"] {
        let shown = format!("```json\n{}```", file(&format!("{EXAMPLE}/{name}")));
        assert!(page.contains(&shown), "docs/events.md does not show {name} as it is");
    }
}
