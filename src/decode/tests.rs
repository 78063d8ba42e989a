//! What holds for every body, whatever its kind.

use proptest::prelude::*;

use super::*;

/// When the messages of these tests were sent.
pub(super) fn sent() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_123)
}

/// What an event of this kind means.
pub(super) fn trigger(source: &str, kind: &str, detail: &str) -> Trigger {
    trigger_with(source, kind, detail, "")
}

/// What an event of this kind means that has more beside its detail.
pub(super) fn trigger_with(source: &str, kind: &str, detail: &str, more: &str) -> Trigger {
    let body =
        format!(r#"{{"id":"e-1","source":"{source}","detail-type":"{kind}","detail":{detail}{more}}}"#);
    decode(body.as_bytes(), sent()).trigger
}

/// Why an event of this kind is ignored.
pub(super) fn ignored(source: &str, kind: &str, detail: &str) -> String {
    match trigger(source, kind, detail) {
        Trigger::Ignored(reason) => reason,
        other => panic!("{detail} was not ignored, but {other:?}"),
    }
}

/// Why an event of this kind is malformed.
pub(super) fn malformed(source: &str, kind: &str, detail: &str) -> String {
    match trigger(source, kind, detail) {
        Trigger::Malformed(reason) => reason,
        other => panic!("{detail} was not malformed, but {other:?}"),
    }
}

fn refused(body: &[u8]) -> String {
    match decode(body, sent()).trigger {
        Trigger::Malformed(reason) => reason,
        other => panic!("{other:?}"),
    }
}

/// One event of each family that is read beyond its envelope.
const ONE_OF_EACH: [&str; 12] = [
    r#"{"source":"aws.ecr","detail-type":"ECR Image Action","detail":{"action-type":"PUSH","result":"SUCCESS","repository-name":"shop/web","image-tag":"v1"}}"#,
    r#"{"source":"aws.ecr","detail-type":"ECR Image Scan","detail":{"scan-status":"COMPLETE","repository-name":"web","image-digest":"sha256:aa","finding-severity-counts":{"HIGH":3}}}"#,
    r#"{"source":"aws.ssm","detail-type":"Parameter Store Change","detail":{"operation":"Update","name":"/prod/KEY"}}"#,
    r#"{"source":"aws.secretsmanager","detail-type":"AWS API Call via CloudTrail","detail":{"eventName":"PutSecretValue","requestParameters":{"secretId":"s","versionStages":["AWSCURRENT"]}}}"#,
    r#"{"source":"aws.s3","detail-type":"Object Deleted","detail":{"bucket":{"name":"b"},"object":{"key":"k"},"deletion-type":"Permanently Deleted"}}"#,
    r#"{"source":"aws.ecs","detail-type":"ECS Service Action","resources":["arn:aws:ecs:x:1:service/c/s"],"detail":{"eventName":"SERVICE_DEPLOYMENT_FAILED"}}"#,
    r#"{"source":"aws.ecs","detail-type":"ECS Task State Change","detail":{"lastStatus":"STOPPED","group":"service:s","clusterArn":"c","taskArn":"t/1","containers":[{"name":"w","exitCode":1}]}}"#,
    r#"{"source":"action.deploy","detail-type":"D","detail":{"service":"web","tag":"v1","force":true}}"#,
    r#"{"source":"github.actions","detail-type":"Deployment Ready","detail":{"repository":"web","tag":"v1"}}"#,
    r#"{"source":"lockkeeper.decision","detail-type":"Pause","detail":{"all":true}}"#,
    r#"{"Type":"Notification","Message":"{\"source\":\"action.deploy\",\"detail-type\":\"D\",\"detail\":{\"service\":\"w\"}}"}"#,
    r#"{"Records":[{"eventSource":"aws:sqs","body":"{\"source\":\"x.y\",\"detail-type\":\"Z\"}"}]}"#,
];

#[test]
fn an_unknown_kind_is_ignored_by_name() {
    let reason = ignored("shop.orders", "Order Paid", "7");
    assert!(reason.contains("`Order Paid`") && reason.contains("`shop.orders`"), "{reason}");
    assert!(ignored("aws.ecs", "ECS Container Instance State Change", "{}").contains("Container Instance"));
    assert!(ignored("aws.events", "Scheduled Event", "{}").contains("schedule"));
    assert!(
        ignored("aws.codedeploy", "CodeDeploy Deployment State-change Notification", "{}")
            .contains("CodeDeploy")
    );
}

#[test]
fn a_family_that_needs_a_detail_says_so() {
    for (source, kind) in
        [("aws.ecr", "ECR Image Action"), ("action.deploy", "D"), ("aws.s3", "Object Created")]
    {
        for detail in [r#""{}""#, "[1]", "null", "7"] {
            let reason = malformed(source, kind, detail);
            assert!(reason.contains("`detail` in the message's body"), "{reason}");
        }
    }
}

#[test]
fn a_replay_keeps_its_name_and_its_time() {
    let body = r#"{"source":"action.deploy","detail-type":"D","replay-name":"again","time":"2026-01-01T00:00:00Z",
        "detail":{"service":"web"}}"#;
    let event = decode(body.as_bytes(), sent());
    assert_eq!(event.replay.as_deref(), Some("again"));
    assert_eq!(event.time.to_string(), "2026-01-01T00:00:00Z");
}

#[test]
fn a_body_that_is_too_large_is_not_read() {
    let mut body = br#"{"source":"x.y","detail-type":"Z"}"#.to_vec();
    body.resize(MAX_BODY_BYTES, b' ');
    assert!(matches!(decode(&body, sent()).trigger, Trigger::Ignored(_)), "the limit itself is allowed");
    body.push(b' ');
    assert!(refused(&body).contains("1048577 bytes"));
}

#[test]
fn what_is_not_utf_8_is_malformed_wherever_it_stands() {
    assert!(refused(b"{\"source\":\"x\xff\"}").contains("byte 12"));
    assert!(
        refused(b"{\"source\":\"x.y\",\"detail-type\":\"Z\",\"unknown\":\"\xc0\x80\"}").contains("UTF-8")
    );
}

#[test]
fn nesting_bombs_are_refused_wherever_they_stand() {
    let deep = |open: &str, close: &str, levels: usize| open.repeat(levels) + "1" + &close.repeat(levels);
    let around = |bomb: &str| {
        format!(r#"{{"source":"action.deploy","detail-type":"D","detail":{{"service":"web","x":{bomb}}}}}"#)
    };
    for bomb in [
        "[".repeat(MAX_BODY_BYTES),
        r#"{"a":"#.repeat(MAX_BODY_BYTES / 5),
        around(&deep("[", "]", 400_000)),
        around(&deep(r#"{"source":"#, "}", 1_000)),
        around(&deep("[", "]", MAX_DEPTH - 1)),
        around(&format!("[{},[]]", deep("[", "]", 1_000))),
        r#"{"source":"#.repeat(500),
    ] {
        let reason = refused(bomb.as_bytes());
        assert!(reason.contains("nested too deeply"), "{reason}");
    }
    let fine = around(&deep("[", "]", MAX_DEPTH - 2));
    assert!(matches!(decode(fine.as_bytes(), sent()).trigger, Trigger::DeployRequested(_)));
}

#[test]
fn brackets_within_texts_do_not_nest() {
    let text = r#"[{\"[\\"#.repeat(300);
    let body = format!(
        r#"{{"source":"action.deploy","detail-type":"D","detail":{{"service":"web","x":"{text}"}}}}"#
    );
    assert!(matches!(decode(body.as_bytes(), sent()).trigger, Trigger::DeployRequested(_)));
}

#[test]
fn brackets_within_texts_do_not_close_what_nests() {
    let bomb = r#"{"\\\"}]":"}]\"}]\\","a":"#.repeat(MAX_DEPTH + 1);
    assert_eq!(depth(&bomb), MAX_DEPTH + 1);
    let reason = refused(bomb.as_bytes());
    assert!(reason.contains("nested too deeply"), "{reason}");
    assert_eq!(depth(r#"["[",["]"],[[]]]"#), 3);
    assert_eq!(depth(r"\[\["), 2, "what is no text escapes nothing");
}

#[test]
fn only_the_ticks_of_a_schedule_are_known_of_eventbridge_itself() {
    assert!(ignored("aws.events", "Scheduled Event", "{}").contains("a schedule's tick"));
    assert!(ignored("aws.events", "Rule Change", "{}").contains("is not a kind of event"));
}

#[test]
fn huge_numbers_and_half_surrogates_do_no_harm_where_nobody_reads_them() {
    for value in ["1e999999", "-99999999999999999999999999", &"9".repeat(100_000), r#""\ud800""#] {
        let detail = format!(r#"{{"service":"web","x":{value}}}"#);
        assert!(matches!(trigger("action.deploy", "D", &detail), Trigger::DeployRequested(_)), "{value}");
    }
    assert!(malformed("action.deploy", "D", r#"{"service":"\ud800"}"#).contains("`service`"));
}

#[test]
fn a_reason_stays_short_whatever_it_quotes() {
    let long = "\\u0000".repeat(100_000);
    for reason in [
        malformed("action.deploy", "D", &format!(r#"{{"service":"w","tag":"{long}"}}"#)),
        malformed("action.deploy", "D", &format!(r#"{{"service":"w","image":"{long}"}}"#)),
        malformed("action.deploy", "D", &format!(r#"{{"service":"w","force":"{long}"}}"#)),
        malformed("lockkeeper.decision", &long, "{}"),
        ignored(&long[..300_000], &long[..300_000], "{}"),
        ignored("aws.ecs", "ECS Service Action", &format!(r#"{{"eventName":"{long}STEADY_STATE"}}"#)),
        refused(&vec![b'x'; 500_000]),
    ] {
        assert!(reason.chars().count() < 1_000, "{} characters", reason.chars().count());
        assert!(!reason.chars().any(char::is_control));
    }
}

#[test]
fn what_an_event_names_is_kept_only_as_far_as_a_name_goes() {
    let long = "x".repeat(100_000);
    let event = decode(format!(r#"{{"source":"{long}","detail-type":"{long}"}}"#).as_bytes(), sent());
    assert!(event.source.len() < 300 && event.detail_type.len() < 300);
}

fn any_json() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "source",
        "detail-type",
        "detail",
        "id",
        "time",
        "Type",
        "Message",
        "Data",
        "SystemMetadata",
        "Messages",
        "Body",
        "Records",
        "eventSource",
        "body",
        "service",
        "image",
        "tag",
        "eventName",
        "resources",
        "x",
    ]);
    let word = prop::sample::select(vec![
        "aws.ecr",
        "aws.ecs",
        "aws.s3",
        "action.deploy",
        "ECR Image Action",
        "Object Created",
        "Notification",
        "aws:sqs",
        "aws:s3",
        "lockkeeper.decision",
        "Pause",
        "",
        "\\ud800",
        "\\u0000",
        "é",
    ]);
    let leaf = prop_oneof![
        word.prop_map(|word| format!("\"{word}\"")),
        any::<f64>().prop_map(|number| format!("{number:e}").replace("NaN", "null").replace("inf", "1e999")),
        prop::sample::select(vec!["null", "true", "1e99999", "{", "]"]).prop_map(str::to_owned),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((name.clone(), inner.clone()), 0..6).prop_map(|fields| {
                let fields: Vec<_> =
                    fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
            inner.prop_map(|json| format!("{json:?}")),
        ]
    })
}

/// Whatever came out can be shown, and a second delivery of the same bytes means the same.
fn is_sound(body: &[u8]) {
    let event = decode(body, sent());
    assert_eq!(decode(body, sent()), event);
    assert!(!event.id.as_str().is_empty());
    if let Trigger::Ignored(reason) | Trigger::Malformed(reason) = &event.trigger {
        assert!(!reason.is_empty() && reason.chars().count() < 1_000, "{reason}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn arbitrary_bytes_never_panic(body in prop::collection::vec(any::<u8>(), 0..400)) {
        is_sound(&body);
    }

    #[test]
    fn arbitrary_json_never_panics(body in any_json()) {
        is_sound(body.as_bytes());
    }

    #[test]
    fn arbitrary_values_in_the_fields_of_an_event_never_panic(
        at in 0..ONE_OF_EACH.len(), field in any::<prop::sample::Index>(), value in any_json()
    ) {
        let event = ONE_OF_EACH[at];
        let colons: Vec<usize> = event.match_indices("\":").map(|(at, _)| at + 2).collect();
        let from = colons[field.index(colons.len())];
        let to = event[from..].find([',', '}']).map_or(event.len(), |end| from + end);
        is_sound(format!("{}{value}{}", &event[..from], &event[to..]).as_bytes());
    }

    #[test]
    fn an_event_with_a_few_bytes_changed_never_panics(
        at in 0..ONE_OF_EACH.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut body = ONE_OF_EACH[at].as_bytes().to_vec();
        for (index, byte) in edits {
            let index = index.index(body.len());
            body[index] = byte;
        }
        if let Some(cut) = cut {
            body.truncate(cut.index(body.len()));
        }
        is_sound(&body);
    }
}

#[test]
fn one_of_each_is_understood() {
    for body in ONE_OF_EACH {
        let trigger = decode(body.as_bytes(), sent()).trigger;
        assert!(!matches!(trigger, Trigger::Malformed(_)), "{body} became {trigger:?}");
    }
}
