//! Who is told.

use super::*;
use crate::domain::{NoticeStage, Outcome, Secret, SlackWay};

#[test]
fn nobody_is_told_unless_somebody_is_named() {
    let notify = from_document("").expect("valid").notify;
    assert_eq!(notify, crate::domain::NotifyRules::default());
    let notify = from_document("[notify.slack]\nwebhook_url = 'https://hooks/x'\nenabled = false")
        .expect("valid")
        .notify;
    assert_eq!(notify.slack, None);
}

#[test]
fn each_channel_has_what_it_needs_and_filters_of_its_own() {
    let settings = from_document(
        r#"
        [notify.slack]
        token = "xoxb-1"
        channel = "C0123456"
        signing_secret = "s3"
        operators = ["U012AB3CD", "W012AB3CD"]
        mention = "<!here>"
        targets = ["api*"]
        outcomes = ["failed", "rolled_back"]
        stages = []
        [[notify.webhook]]
        name = "audit"
        url = "https://example.com/hook?key=1"
        secret = "s4"
        foreign = false
        [notify.eventbridge]
        enabled = true
        bus = "arn:aws:events:eu-west-1:111122223333:event-bus/shop"
        metadata = false
        [notify.sns]
        topic = "arn:aws:sns:eu-west-1:111122223333:lockkeeper"
        "#,
    );
    let notify = settings.expect("valid").notify;
    let slack = notify.slack.expect("on");
    let SlackWay::Bot { token, channel, api_url } = slack.way else { panic!("a bot") };
    assert_eq!((token, &*channel, &*api_url), (Secret::from("xoxb-1"), "C0123456", "https://slack.com/api"));
    assert_eq!(slack.buttons.expect("on").operators.len(), 2);
    assert_eq!(slack.filter.outcomes, [Outcome::Failed, Outcome::RolledBack].into());
    assert!(slack.filter.stages.is_empty() && slack.filter.foreign);
    let webhook = &notify.webhooks[0];
    assert_eq!((&*webhook.name, webhook.secret.as_ref()), ("audit", Some(&Secret::from("s4"))));
    assert_eq!(webhook.filter.outcomes, Outcome::ALL.into());
    assert_eq!(webhook.filter.stages, NoticeStage::ALL.into());
    assert!(!webhook.filter.foreign);
    let bus = notify.eventbridge.expect("on");
    assert_eq!((&*bus.source, bus.metadata, bus.filter.foreign), ("lockkeeper", false, false));
    assert!(notify.sns.is_some());
}

#[test]
fn a_secret_may_stand_in_a_variable_or_in_a_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    fs::write(&path, "xoxb-from-file\n").expect("written");
    let document = format!(
        "[notify.slack]\ntoken_file = '{}'\nchannel = 'C1'\n[[notify.webhook]]\nname = 'a'\nurl_env = 'AUDIT'",
        path.display()
    );
    let settings = from_environment(&[("LOCKKEEPER_CONFIG_TOML", &document), ("AUDIT", " https://a/b ")]);
    let notify = settings.expect("valid").notify;
    assert_eq!(notify.webhooks[0].url, Secret::from("https://a/b"));
    let Some(SlackWay::Bot { token, .. }) = notify.slack.map(|it| it.way) else { panic!("a bot") };
    assert_eq!(token, Secret::from("xoxb-from-file"));
}

#[test]
fn a_bot_stands_in_for_a_webhook_and_says_so() {
    let settings = from_environment(&[
        ("LOCKKEEPER_CONFIG_TOML", "[notify.slack]\ntoken = 'xoxb-1'\nchannel = 'C1'"),
        ("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/SECRET"),
    ])
    .expect("valid");
    assert!(
        told(&settings).contains("notify.slack.webhook_url does nothing beside a bot's token"),
        "{}",
        told(&settings)
    );
}

#[test]
fn what_is_wrong_is_told_and_never_a_secret() {
    let told = told_of(
        r#"
[notify.slack]
token = "hunter2 hunter2"
webhook_url = "hunter2.example.com"
signing_secret_env = "hunter2-x"
operators = ["ann"]
stages = ["rollouts"]
[[notify.webhook]]
name = "a b"
url_file = "/no/such/hunter2"
[[notify.webhook]]
name = "twice"
url = "https://hunter2/"
url_env = "A"
[[notify.webhook]]
secret = 7
[notify.eventbridge]
bus = "arn:aws:sns:x:1:y"
source = "aws.ecs"
[notify.sns]
topic = "arn:aws:sns:eu-west-1:111122223333:orders.fifo"
outcomes = "failed"
"#,
    );
    assert!(!told.contains("hunter2"), "{told}");
    insta::assert_snapshot!(told, @r#"
    LOCKKEEPER_CONFIG_TOML:3: notify.slack.token has signs that no such secret has; copy it again, on one line
    LOCKKEEPER_CONFIG_TOML:4: notify.slack.webhook_url is not a URL that begins with https:// or http://; copy it from where it was made
    LOCKKEEPER_CONFIG_TOML:5: notify.slack.signing_secret_env is not the name of an environment variable; use letters, digits and `_`
    LOCKKEEPER_CONFIG_TOML:6: notify.slack.operators[1] = "ann" is not the id of a member; copy it from the member's profile, as "U012AB3CD"
    LOCKKEEPER_CONFIG_TOML:7: notify.slack.stages[1] = "rollouts" is not one of the words for it; write one of deployment, definition, rollout, rollback; did you mean `rollout`?
    LOCKKEEPER_CONFIG_TOML:9: notify.webhook[1].name = "a b" is not a name; use letters, digits, `_` and `-` only, at most 64
    LOCKKEEPER_CONFIG_TOML:10: notify.webhook[1].url_file cannot be read: No such file or directory (os error 2); name a file that holds the secret and nothing else
    LOCKKEEPER_CONFIG_TOML:14: notify.webhook[2].url_env is given by `url` already; keep one of them
    LOCKKEEPER_CONFIG_TOML:15: notify.webhook[3].name is missing; say what logs and metrics call it
    LOCKKEEPER_CONFIG_TOML:15: notify.webhook[3].url is missing; write it, or say with `url_env` or `url_file` where it is
    LOCKKEEPER_CONFIG_TOML:16: notify.webhook[3].secret is a number, where a text belongs; write it in quotation marks
    LOCKKEEPER_CONFIG_TOML:18: notify.eventbridge.bus = "arn:aws:sns:x:1:y" is not an event bus; write its name, as "default", or its ARN, as "arn:aws:events:eu-west-1:111122223333:event-bus/shop"
    LOCKKEEPER_CONFIG_TOML:19: notify.eventbridge.source = "aws.ecs" begins with `aws.`, as only events of AWS may; write "lockkeeper"
    LOCKKEEPER_CONFIG_TOML:21: notify.sns.topic = "arn:aws:sns:eu-west-1:111122223333:orders.fifo" is a FIFO topic; use a standard topic: e-mail and most others cannot subscribe to this one
    LOCKKEEPER_CONFIG_TOML:22: notify.sns.outcomes = "failed" is a text, where a list belongs; write it as ["a", "b"]
    "#);
    let told = told_of("[notify.slack]\ntoken = 'hunter2'\nsigning_secret = 'hunter2'");
    insta::assert_snapshot!(told, @r#"
    LOCKKEEPER_CONFIG_TOML:1: notify.slack.channel is missing, and a bot has to know where to write; name it by its id, as "C012AB3CD"
    LOCKKEEPER_CONFIG_TOML:1: notify.slack.operators is empty, so that nobody may press a button; list the ids of those who may press buttons, or remove the signing secret
    "#);
    let told = told_of("[notify.slack]\nwebhook_url = 'https://hunter2'\noperators = ['U012AB3CD']");
    insta::assert_snapshot!(told, @r#"LOCKKEEPER_CONFIG_TOML:1: notify.slack.signing_secret is missing, by which buttons are verified; set it to the signing secret of the Slack app, or remove the operators"#);
    assert!(!told_of("[notify]\nwebhook = 'hunter2'").contains("hunter2"));
}
