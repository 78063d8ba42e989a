//! The message that an event came in, where that is what was given: when SQS got it, and what it was set aside with.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::domain::{
    Timestamp,
    letter::{Said, name},
};

/// What stands around the body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) sent_at: Option<Timestamp>,
    pub(super) attributes: BTreeMap<String, String>,
}

/// What a message that was set aside says of that time.
#[derive(Debug, Serialize)]
pub(super) struct SetAside {
    pub(super) at: Option<Timestamp>,
    pub(super) target: Option<String>,
    pub(super) deployment: Option<String>,
    pub(super) outcome: Option<String>,
    pub(super) cause: Option<String>,
    pub(super) attempts: Option<u32>,
    pub(super) reason: Option<String>,
}

impl Message {
    /// The one message in the answer of `aws sqs receive-message`, alone, or as Lambda gets it; nothing is known around
    /// a bare event.
    pub(super) fn around(text: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice::<Value>(text) else { return Self::default() };
        let message = match (&value["Messages"], &value["Records"]) {
            (Value::Array(messages), _) | (_, Value::Array(messages)) if messages.len() == 1 => &messages[0],
            _ => &value,
        };
        let either = |one: &str, other: &str| {
            if message[one].is_null() { message[other].clone() } else { message[one].clone() }
        };
        let sent_at =
            either("Attributes", "attributes")["SentTimestamp"].as_str().and_then(|it| it.parse().ok());
        let attributes = either("MessageAttributes", "messageAttributes");
        let texts = attributes.as_object().into_iter().flatten().filter_map(|(name, value)| {
            let text = value["StringValue"].as_str().or_else(|| value["stringValue"].as_str())?;
            Some((name.clone(), text.to_owned()))
        });
        Self { sent_at: sent_at.map(Timestamp::from_millis), attributes: texts.collect() }
    }
}

impl SetAside {
    /// What the attributes tell, if Lockkeeper wrote them when it set the message aside.
    pub(super) fn told(attributes: &BTreeMap<String, String>) -> Option<Self> {
        let Said { id: _, reason, deployment, outcome, cause, attempts, time, .. } = Said::read(attributes);
        let target = attributes.get(name::TARGET).cloned();
        let is_letter = reason.is_some() || time.is_some();
        is_letter.then_some(Self { at: time, target, deployment, outcome, cause, attempts, reason })
    }

    /// In one line.
    pub(super) fn in_words(&self) -> String {
        let Self { at, target: _, deployment, outcome, cause, attempts, reason } = self;
        let parts = [
            at.map(|at| format!("at {at}")),
            outcome.clone(),
            cause.as_ref().map(|cause| format!("cause {cause}")),
            attempts.map(|attempts| format!("attempts {attempts}")),
            deployment.as_ref().map(|deployment| format!("deployment {deployment}")),
        ];
        let facts: Vec<String> = parts.into_iter().flatten().collect();
        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        facts.join(", ") + &reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_alone_as_sqs_answers_it_and_as_lambda_gets_it() {
        let alone = r#"{"Body":"{}","Attributes":{"SentTimestamp":"7"},"MessageAttributes":{"a":{"StringValue":"x"}}}"#;
        let lambda = r#"{"body":"{}","attributes":{"SentTimestamp":"7"},"messageAttributes":{"a":{"stringValue":"x"}}}"#;
        let expected = Message {
            sent_at: Some(Timestamp::from_millis(7)),
            attributes: [("a".into(), "x".into())].into(),
        };
        for text in
            [alone.to_owned(), format!(r#"{{"Messages":[{alone}]}}"#), format!(r#"{{"Records":[{lambda}]}}"#)]
        {
            assert_eq!(Message::around(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn around_a_bare_event_or_several_messages_nothing_is_known() {
        let two = r#"{"Messages":[{"Attributes":{"SentTimestamp":"7"}},{}]}"#;
        for text in [r#"{"source":"x"}"#, "[]", "", "no JSON", two] {
            assert_eq!(Message::around(text.as_bytes()), Message::default(), "{text}");
        }
    }
}
