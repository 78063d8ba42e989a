//! The contract of buses and rules.

use serde_json::{Value, json};

use crate::sim::{Service::Events, WorldSettings, testkit::Bench};

fn put(bench: &mut Bench, source: &str, detail: &str) -> Value {
    let entry = json!({"Source": source, "DetailType": "Thing", "Detail": detail, "Resources": ["arn:r"]});
    bench.call(Events, "PutEvents", json!({"Entries": [entry]}))
}

#[test]
fn an_event_reaches_the_queue_in_its_envelope() {
    let mut bench = Bench::new();
    let url = bench.listen("demo");
    let id = put(&mut bench, "demo", r#"{"a": 1}"#)["Entries"][0]["EventId"].clone();
    assert_eq!(
        bench.heard(&url),
        [json!({
            "version": "0", "id": id, "detail-type": "Thing", "source": "demo", "account": "000000000000",
            "time": "2026-11-01T12:00:00Z", "region": "us-east-1", "resources": ["arn:r"], "detail": {"a": 1},
        })]
    );
}

#[test]
fn every_queue_of_an_event_gets_the_same_id() {
    let mut bench = Bench::new();
    let (one, two) = (bench.listen("demo"), bench.queue("second", &json!({})));
    let target = json!({"Id": "2", "Arn": "arn:aws:sqs:us-east-1:000000000000:second"});
    bench.call(Events, "PutTargets", json!({"Rule": "events-demo", "Targets": [target]}));
    put(&mut bench, "demo", "{}");
    assert_eq!(bench.heard(&one)[0]["id"], bench.heard(&two)[0]["id"]);
}

#[test]
fn entries_fail_one_by_one() {
    let mut bench = Bench::new();
    assert_eq!(
        put(&mut bench, "aws.ecr", "{}")["Entries"][0]["ErrorCode"],
        "NotAuthorizedForSourceException"
    );
    assert_eq!(put(&mut bench, "demo", "[]")["Entries"][0]["ErrorCode"], "MalformedDetail");
    assert_eq!(put(&mut bench, "demo", "{}")["FailedEntryCount"], 0);
    let eleven = vec![json!({"Source": "demo", "DetailType": "Thing", "Detail": "{}"}); 11];
    assert_eq!(bench.fails(Events, "PutEvents", json!({"Entries": eleven})), "ValidationException");
}

#[test]
fn the_dial_admits_the_sources_of_aws() {
    let mut bench = Bench::with(WorldSettings { allow_aws_sources: true, ..WorldSettings::default() });
    let url = bench.listen("aws.ecr");
    put(&mut bench, "aws.ecr", "{}");
    assert_eq!(bench.heard(&url)[0]["source"], "aws.ecr");
}

#[test]
fn the_rules_that_send_to_a_queue_are_found_by_it() {
    let mut bench = Bench::new();
    let url = bench.listen("demo");
    bench.call(Events, "PutRule", json!({"Name": "other", "EventPattern": "{\"source\":[\"x\"]}"}));
    let arn = format!("arn:aws:sqs:us-east-1:000000000000:{}", url.rsplit('/').next().expect("a name"));
    let found = |bench: &mut Bench, arn: &str| {
        bench.call(Events, "ListRuleNamesByTarget", json!({"TargetArn": arn}))["RuleNames"].clone()
    };
    assert_eq!(found(&mut bench, &arn), json!(["events-demo"]));
    assert_eq!(found(&mut bench, "arn:aws:sqs:us-east-1:000000000000:none"), json!([]));
}

#[test]
fn a_pattern_that_eventbridge_refuses_makes_no_rule() {
    let mut bench = Bench::new();
    let alone = r#"{"detail": {"$or": [{"bucket": {"name": ["env"]}}]}}"#;
    for (operation, body) in [
        ("PutRule", json!({"Name": "r", "EventPattern": alone})),
        ("CreateArchive", json!({"ArchiveName": "a", "EventPattern": alone})),
        ("TestEventPattern", json!({"EventPattern": alone, "Event": "{}"})),
    ] {
        assert_eq!(bench.fails(Events, operation, body), "InvalidEventPatternException", "{operation}");
    }
    assert_eq!(bench.call(Events, "ListRules", json!({}))["Rules"], json!([]));
}

#[test]
fn a_disabled_rule_delivers_nothing() {
    let mut bench = Bench::new();
    let url = bench.listen("demo");
    bench.call(Events, "DisableRule", json!({"Name": "events-demo"}));
    put(&mut bench, "demo", "{}");
    assert!(bench.heard(&url).is_empty());
    bench.call(Events, "EnableRule", json!({"Name": "events-demo"}));
    put(&mut bench, "demo", "{}");
    assert_eq!(bench.heard(&url).len(), 1);
}

#[test]
fn what_cannot_be_delivered_goes_to_the_targets_own_dead_letters() {
    let mut bench = Bench::new();
    let dead = bench.queue("dead", &json!({}));
    bench.call(Events, "PutRule", json!({"Name": "r", "EventPattern": r#"{"source": ["demo"]}"#}));
    let arn = |name: &str| format!("arn:aws:sqs:us-east-1:000000000000:{name}");
    let target = json!({"Id": "1", "Arn": arn("missing"), "DeadLetterConfig": {"Arn": arn("dead")}});
    bench.call(Events, "PutTargets", json!({"Rule": "r", "Targets": [target]}));
    put(&mut bench, "demo", "{}");
    let message = bench.receive(&dead).remove(0);
    assert_eq!(message["MessageAttributes"]["ERROR_CODE"]["StringValue"], "NO_RESOURCE");
    let rule = "arn:aws:events:us-east-1:000000000000:rule/r";
    assert_eq!(message["MessageAttributes"]["RULE_ARN"]["StringValue"], rule);
    assert_eq!(message["MessageAttributes"]["TARGET_ARN"]["StringValue"], json!(arn("missing")));
}
