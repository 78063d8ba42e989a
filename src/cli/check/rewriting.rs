//! Rules that send something else than the event, where nothing comes of that.

use serde_json::Value;

use super::{
    finding::{About, Finding, some_of},
    rules::MOST_NAMES,
    samples::Wanted,
};
use crate::{
    aws::rules::Sends,
    decode::decode,
    domain::{Timestamp, Trigger},
};

/// A rule that sends something else than what it lets through.
#[derive(Clone, Debug)]
pub(super) struct Rewriting {
    /// Its name.
    pub(super) rule: String,
    /// What it lets through.
    pub(super) pattern: Value,
    /// What it sends of that.
    pub(super) sends: Sends,
}

/// Where nothing can come of what a rule sends. What a template makes of an event may well be a deploy request.
pub(super) fn judge(name: &str, sends: &Sends, place: &str) -> Option<Finding> {
    let of_constant = "remove the Input of its target, or have it be a deploy request: docs/events.md";
    match sends {
        Sends::Event | Sends::Transformed => None,
        Sends::Part(path) => {
            let what = format!(
                "the rule {name}{place} sends `{path}` alone of what it lets through, which is not understood, and set aside"
            );
            Some(Finding::error(About::Rules, what, "remove the InputPath of its target"))
        }
        Sends::Constant(text) => match decode(text.as_bytes(), Timestamp::default()).trigger {
            Trigger::Malformed(why) => {
                let what = format!(
                    "the rule {name}{place} always sends the same, which is not understood, and set aside: {why}"
                );
                Some(Finding::error(About::Rules, what, of_constant))
            }
            Trigger::Ignored(why) => {
                let what = format!("the rule {name}{place} always sends the same, which does nothing: {why}");
                Some(Finding::warning(About::Rules, what, of_constant))
            }
            Trigger::ImagePushed(_)
            | Trigger::ImageReplicated(_)
            | Trigger::ImageScanned(_)
            | Trigger::ParameterChanged { .. }
            | Trigger::SecretChanged { .. }
            | Trigger::EnvFileChanged { .. }
            | Trigger::ImageReady(_)
            | Trigger::DeployRequested(_)
            | Trigger::Decision(_)
            | Trigger::RolloutChanged(_)
            | Trigger::TaskStopped(_)
            | Trigger::HookWaiting(_) => None,
        },
    }
}

impl Rewriting {
    /// What becomes of an event that comes to the queue by this rule alone.
    pub(super) fn told(&self, Wanted { what, by, .. }: Wanted) -> Finding {
        let (rule, targets) = (&self.rule, some_of(by.into_iter().collect(), MOST_NAMES));
        let (what, mend) = match &self.sends {
            Sends::Part(path) => (
                format!(
                    "{what} would not be understood, and {targets} would not hear of it: the rule {rule} takes it, and sends \
                     `{path}` of it alone"
                ),
                "remove the InputPath of its target",
            ),
            Sends::Constant(_) | Sends::Transformed | Sends::Event => (
                format!(
                    "{what} would reach the queue only as what the rule {rule} makes of it, and {targets} would hear of it only if \
                     that is a deploy request"
                ),
                "let a rule take it that sends it as it is, unless that is meant: docs/events.md",
            ),
        };
        Finding::warning(About::Events, what, mend)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::finding::text, *};

    fn judged(sends: &Sends) -> String {
        text(&judge("ours", sends, "").into_iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_rule_of_whose_messages_nothing_can_come_is_told_and_one_that_may_write_requests_is_not() {
        let request = json!({
            "version": "0", "id": "nightly", "source": "action.deploy", "detail-type": "DEPLOY",
            "time": "2026-01-01T00:00:00Z", "detail": {"service": "api", "refresh": true},
        });
        for fine in [Sends::Event, Sends::Transformed, Sends::Constant(request.to_string())] {
            assert_eq!(judged(&fine), "0 errors, 0 warnings.\n", "{fine:?}");
        }
        insta::assert_snapshot!(judged(&Sends::Part("$.detail".into())), @r#"
        error    rules: the rule ours sends `$.detail` alone of what it lets through, which is not understood, and set aside; remove the InputPath of its target
        1 error, 0 warnings.
        "#);
        insta::assert_snapshot!(judged(&Sends::Constant(r#"{"a":1}"#.into())), @r#"
        error    rules: the rule ours always sends the same, which is not understood, and set aside: the message's body has neither `source` nor `detail-type`, and must be an EventBridge event; remove the Input of its target, or have it be a deploy request: docs/events.md
        1 error, 0 warnings.
        "#);
        let unknown = json!({"source": "ours", "detail-type": "Tick", "detail": {}}).to_string();
        insta::assert_snapshot!(judged(&Sends::Constant(unknown)), @r#"
        warning  rules: the rule ours always sends the same, which does nothing: `Tick` from `ours` is not a kind of event that asks for anything; remove the Input of its target, or have it be a deploy request: docs/events.md
        0 errors, 1 warning.
        "#);
    }

    #[test]
    fn what_comes_rewritten_alone_is_told_with_the_rule_that_does_so() {
        let told = |sends: Sends| {
            let wanted = Wanted {
                what: "a change of parameter /prod/KEY".into(),
                place: None,
                events: Vec::new(),
                by: ["api".to_owned()].into(),
            };
            text(&[Rewriting { rule: "ours".into(), pattern: json!({}), sends }.told(wanted)])
        };
        insta::assert_snapshot!(told(Sends::Part("$.detail".into())), @r#"
        warning  events: a change of parameter /prod/KEY would not be understood, and api would not hear of it: the rule ours takes it, and sends `$.detail` of it alone; remove the InputPath of its target
        0 errors, 1 warning.
        "#);
        insta::assert_snapshot!(told(Sends::Transformed), @r#"
        warning  events: a change of parameter /prod/KEY would reach the queue only as what the rule ours makes of it, and api would hear of it only if that is a deploy request; let a rule take it that sends it as it is, unless that is meant: docs/events.md
        0 errors, 1 warning.
        "#);
    }
}
