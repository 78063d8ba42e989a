//! The queue that events come from, and the one where they are set aside.

use std::time::Duration;

use super::{
    finding::{About, Finding},
    policy::{Allowed, lets_rule_send},
};
use crate::{
    aws::{
        Connections,
        queue::{QueueError, QueueErrorKind, QueueFacts},
        rules::{Rule, Sending},
    },
    settings::Settings,
};

/// A message that we hold over restarts is received once by each.
const FEWEST_RECEIVES: u32 = 100;
/// SQS keeps a message for so long at most.
const FORTNIGHT: Duration = Duration::from_hours(14 * 24);
/// A key of AWS's own, which no other service of AWS may use.
const MANAGED_KEY: &str = "alias/aws/sqs";

/// What the two queues say of themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Queues {
    pub(super) url: String,
    pub(super) main: QueueFacts,
    /// The URL of the dead-letter queue, and what it says.
    pub(super) dead: Result<(String, QueueFacts), QueueError>,
}

/// Reads both.
pub(super) async fn read(connections: &Connections, settings: &Settings) -> Result<Queues, QueueError> {
    let url = settings.queue.url.clone().unwrap_or_default();
    let queue = connections.queue(&url);
    let main = queue.facts().await?;
    let named = settings.queue.dead_letter_url.as_deref();
    let dead = match queue.dead_letter_url(named, &main, connections).await {
        Ok(url) => connections.queue(&url).facts().await.map(|facts| (url, facts)),
        Err(error) => Err(error),
    };
    Ok(Queues { url, main, dead })
}

/// Why the queue cannot be read.
pub(super) fn unread(url: &str, error: &QueueError) -> Finding {
    let mend = match error.kind {
        QueueErrorKind::Gone => "set queue.url to a queue that exists",
        QueueErrorKind::Denied => "allow sqs:GetQueueAttributes on it",
        QueueErrorKind::Throttled
        | QueueErrorKind::ReceiptInvalid
        | QueueErrorKind::Unreachable
        | QueueErrorKind::Other => "check the network, the Region and AWS_ENDPOINT_URL_SQS",
    };
    Finding::error(About::Queue, format!("{url} cannot be read: {error}"), mend)
}

/// What is wrong with them.
pub(super) fn judge(queues: &Queues) -> Vec<Finding> {
    let Queues { url, main, dead } = queues;
    let mut findings = Vec::new();
    if main.fifo {
        findings.push(Finding::error(
            About::Queue,
            format!("{url} is a FIFO queue: `run` does not start, because a message that is held would block its group"),
            "use a standard queue",
        ));
    }
    findings.extend(receives(main));
    findings.extend(key(main));
    match dead {
        Ok((dead_url, facts)) => findings.extend(dead_letters(dead_url, facts)),
        Err(error) => findings.push(Finding::error(
            About::Queue,
            format!("the dead-letter queue cannot be read, and `run` does not start without: {error}"),
            "set the queue's redrive policy with maxReceiveCount 100 or more, or queue.dead_letter_url",
        )),
    }
    if findings.is_empty() {
        let waiting = format!("{} messages wait, {} are held", main.visible, main.in_flight);
        findings.push(Finding::ok(
            About::Queue,
            format!("{url} is reachable, with a dead-letter queue; {waiting}"),
        ));
    }
    findings
}

fn receives(main: &QueueFacts) -> Option<Finding> {
    let count = main.max_receive_count.filter(|count| *count < FEWEST_RECEIVES)?;
    let what = format!(
        "maxReceiveCount is {count}: each restart is a receive, so restarts alone would set good messages aside"
    );
    Some(Finding::warning(About::Queue, what, format!("set it to {FEWEST_RECEIVES} or more")))
}

fn key(main: &QueueFacts) -> Option<Finding> {
    let key = main.key.as_deref()?;
    Some(if key == MANAGED_KEY {
        let what = format!("it is encrypted with {key}, which EventBridge cannot use: every event is lost");
        Finding::error(About::Queue, what, "use SQS's own encryption (SSE-SQS), or a key of yours")
    } else {
        let what =
            format!("it is encrypted with {key}; whether EventBridge may use that key is not looked at");
        let mend = "let the key's policy allow kms:Decrypt and kms:GenerateDataKey to events.amazonaws.com";
        Finding::warning(About::Queue, what, mend)
    })
}

fn dead_letters(url: &str, facts: &QueueFacts) -> Vec<Finding> {
    let mut findings = Vec::new();
    if facts.retention < FORTNIGHT {
        let days = facts.retention.as_secs() / 86_400;
        let what = format!(
            "{url} keeps what is set aside for {days} days only; then it cannot be replayed any more"
        );
        findings.push(Finding::warning(About::Queue, what, "set its message retention period to 14 days"));
    }
    if facts.fifo {
        let what = format!("{url} is a FIFO queue: what SQS or Lockkeeper sets aside cannot be sent there");
        findings.push(Finding::error(About::Queue, what, "use a standard queue"));
    }
    if facts.dead_letter.is_some() {
        let what = format!("{url} has a redrive policy of its own: whoever lists letters moves them on");
        findings.push(Finding::warning(About::Queue, what, "remove it"));
    }
    findings
}

/// Which of the rules that send to the queue may not.
pub(super) fn refused(queues: &Queues, rules: &[(Rule, Vec<Sending>)]) -> Vec<Finding> {
    let policy = queues.main.policy.as_deref();
    let by_policy = rules.iter().filter(|(_, sendings)| sendings.iter().any(|it| it.role.is_none()));
    let judged = by_policy.filter_map(|(rule, _)| {
        let Rule { name, arn, .. } = rule;
        let mend = format!("allow sqs:SendMessage to events.amazonaws.com where aws:SourceArn is {arn}");
        match lets_rule_send(policy, arn) {
            Allowed::Yes => None,
            Allowed::No => {
                let what =
                    format!("its policy does not let the rule {name} send: each of its events is lost");
                Some(Finding::error(About::Queue, what, mend))
            }
            Allowed::Perhaps => {
                let what =
                    format!("its policy lets the rule {name} send under conditions that are not understood");
                Some(Finding::warning(About::Queue, what, mend))
            }
        }
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use super::{super::finding::text, *};

    fn facts() -> QueueFacts {
        QueueFacts {
            arn: "arn:aws:sqs:eu-west-1:111122223333:q".into(),
            fifo: false,
            dead_letter: Some("arn:aws:sqs:eu-west-1:111122223333:q-dead".into()),
            max_receive_count: Some(100),
            retention: FORTNIGHT,
            max_message_bytes: 1 << 20,
            visible: 3,
            in_flight: 1,
            delayed: 0,
            policy: None,
            key: None,
        }
    }

    fn queues(main: QueueFacts, dead: QueueFacts) -> Queues {
        Queues { url: "https://q".into(), main, dead: Ok(("https://q-dead".into(), dead)) }
    }

    fn dead() -> QueueFacts {
        QueueFacts { dead_letter: None, max_receive_count: None, ..facts() }
    }

    #[test]
    fn a_queue_as_it_should_be_is_told_in_one_line() {
        insta::assert_snapshot!(text(&judge(&queues(facts(), dead()))), @r#"
        ok       queue: https://q is reachable, with a dead-letter queue; 3 messages wait, 1 are held
        0 errors, 0 warnings.
        "#);
    }

    #[test]
    fn what_loses_messages_is_told() {
        let main =
            QueueFacts { fifo: true, max_receive_count: Some(5), key: Some(MANAGED_KEY.into()), ..facts() };
        let dead = QueueFacts { retention: Duration::from_hours(96), fifo: true, ..facts() };
        insta::assert_snapshot!(text(&judge(&queues(main, dead))), @r#"
        error    queue: https://q is a FIFO queue: `run` does not start, because a message that is held would block its group; use a standard queue
        warning  queue: maxReceiveCount is 5: each restart is a receive, so restarts alone would set good messages aside; set it to 100 or more
        error    queue: it is encrypted with alias/aws/sqs, which EventBridge cannot use: every event is lost; use SQS's own encryption (SSE-SQS), or a key of yours
        warning  queue: https://q-dead keeps what is set aside for 4 days only; then it cannot be replayed any more; set its message retention period to 14 days
        error    queue: https://q-dead is a FIFO queue: what SQS or Lockkeeper sets aside cannot be sent there; use a standard queue
        warning  queue: https://q-dead has a redrive policy of its own: whoever lists letters moves them on; remove it
        3 errors, 3 warnings.
        "#);
    }

    #[test]
    fn without_a_dead_letter_queue_nothing_starts() {
        let error = QueueError { kind: QueueErrorKind::Other, reason: "it has none".into() };
        let main = QueueFacts { key: Some("alias/ours".into()), dead_letter: None, ..facts() };
        let queues = Queues { url: "https://q".into(), main, dead: Err(error) };
        insta::assert_snapshot!(text(&judge(&queues)), @r#"
        warning  queue: it is encrypted with alias/ours; whether EventBridge may use that key is not looked at; let the key's policy allow kms:Decrypt and kms:GenerateDataKey to events.amazonaws.com
        error    queue: the dead-letter queue cannot be read, and `run` does not start without: it has none; set the queue's redrive policy with maxReceiveCount 100 or more, or queue.dead_letter_url
        1 error, 1 warning.
        "#);
    }

    #[test]
    fn a_rule_that_the_policy_does_not_name_is_told_unless_it_sends_by_a_role() {
        let rule = |name: &str| Rule {
            name: name.into(),
            bus: "default".into(),
            arn: format!("arn:aws:events:eu-west-1:111122223333:rule/{name}"),
            enabled: true,
            pattern: None,
        };
        let policy = r#"{"Statement":{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},
            "Action":"sqs:SendMessage","Condition":{"ArnLike":{"aws:SourceArn":"*rule/known"}}}}"#;
        let queues = queues(QueueFacts { policy: Some(policy.into()), ..facts() }, dead());
        let by_role = Sending { role: Some("arn:role".into()), ..Sending::default() };
        let rules = [
            (rule("known"), vec![Sending::default()]),
            (rule("unknown"), vec![Sending::default()]),
            (rule("by-role"), vec![by_role]),
        ];
        insta::assert_snapshot!(text(&refused(&queues, &rules)), @r#"
        error    queue: its policy does not let the rule unknown send: each of its events is lost; allow sqs:SendMessage to events.amazonaws.com where aws:SourceArn is arn:aws:events:eu-west-1:111122223333:rule/unknown
        1 error, 0 warnings.
        "#);
    }
}
