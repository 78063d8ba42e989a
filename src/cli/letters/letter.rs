//! One letter: what was set aside, who did, and why. Read from a message, and from nothing else.

use super::desk::Key;
use crate::{
    aws::queue::RawMessage,
    decode,
    domain::{
        Event, EventId, MessageId, PutBy, TargetId, Timestamp, Trigger,
        letter::{self, Said},
        redacted,
    },
};

/// One message of the dead-letter queue.
#[derive(Debug)]
pub(in crate::cli) struct Letter {
    /// The same for the same event, target and body, however often it was set aside.
    pub(in crate::cli) id: String,
    /// What its body says: whoever wrote the id may have given it to something else, too.
    pub(in crate::cli) print: String,
    /// SQS's id of the message.
    pub(in crate::cli) message_id: MessageId,
    pub(in crate::cli) put_by: PutBy,
    /// When it was set aside; where nobody says, when it was sent.
    pub(in crate::cli) time: Timestamp,
    /// When what it asks for was asked for.
    pub(in crate::cli) version: Timestamp,
    /// Why it was set aside, in one line.
    pub(in crate::cli) reason: Option<String>,
    pub(in crate::cli) said: Said,
    pub(in crate::cli) event: Event,
    /// The ARN of the queue from which SQS moved it, if it did.
    moved_from: Option<String>,
}

/// The attributes that EventBridge gives to what it could not deliver.
mod undelivered {
    pub(super) const RULE: &str = "RULE_ARN";
    pub(super) const CODE: &str = "ERROR_CODE";
    pub(super) const MESSAGE: &str = "ERROR_MESSAGE";
}

impl Letter {
    /// Reads a message of the dead-letter queue.
    pub(in crate::cli) fn read(message: &RawMessage) -> Self {
        let said = Said::read(&message.attributes);
        let event = decode::decode(message.body.as_bytes(), message.sent_at);
        let put_by = put_by(message, &said);
        let own = event.time.min(message.sent_at);
        Self {
            id: said.id.clone().unwrap_or_else(|| id(&event.id, &said, &message.body)),
            print: letter::print(&message.body),
            message_id: message.message_id.clone(),
            put_by,
            time: said.time.filter(|_| put_by == PutBy::Lockkeeper).unwrap_or(message.sent_at),
            version: said.version(message.sent_at).unwrap_or(own),
            reason: reason(message, &said, put_by),
            said,
            event,
            moved_from: message.moved_from.clone(),
        }
    }

    /// What tells it from all other letters.
    pub(in crate::cli) fn key(&self) -> Key {
        (self.id.clone(), self.print.clone())
    }

    /// The target that it is for, if it is for one alone.
    pub(in crate::cli) fn target(&self) -> Option<&TargetId> {
        self.said.target.as_ref().and_then(|target| target.as_ref().ok())
    }

    /// Why it is put back only where it is named: nobody would understand it, or it belongs to another queue than this.
    pub(in crate::cli) fn is_left(&self, queue: &str) -> Option<String> {
        let elsewhere = self.moved_from.as_deref().filter(|from| *from != queue);
        let elsewhere = elsewhere.map(|from| format!("SQS moved it here from another queue, {from}"));
        elsewhere.or_else(|| self.is_not_understood())
    }

    /// Why it would be set aside again at once, if it would.
    pub(in crate::cli) fn is_not_understood(&self) -> Option<String> {
        match (&self.said.target, &self.event.trigger) {
            (Some(Err(wrong)), _) => Some(wrong.to_string()),
            (_, Trigger::Malformed(reason)) => Some(reason.clone()),
            _ => None,
        }
    }
}

fn id(event: &EventId, said: &Said, body: &str) -> String {
    letter::id(event, said.target.as_ref().and_then(|target| target.as_ref().ok()), body)
}

fn put_by(message: &RawMessage, said: &Said) -> PutBy {
    let has = |name| message.attributes.contains_key(name);
    if message.moved_from.is_some() {
        PutBy::Sqs
    } else if has(undelivered::RULE) || has(undelivered::CODE) {
        PutBy::EventBridge
    } else if said.time.is_some() || said.version(message.sent_at).is_some() {
        PutBy::Lockkeeper
    } else {
        PutBy::Somebody
    }
}

fn reason(message: &RawMessage, said: &Said, put_by: PutBy) -> Option<String> {
    let last = |arn: &str| arn.rsplit([':', '/']).next().unwrap_or_default().to_owned();
    let attribute = |name| message.attributes.get(name);
    match put_by {
        PutBy::Lockkeeper => said.reason.clone(),
        PutBy::Sqs => {
            let queue = message.moved_from.as_deref().map(last).unwrap_or_default();
            Some(format!("SQS moved it here from {queue}: it was received too often without being settled"))
        }
        PutBy::EventBridge => {
            let rule = attribute(undelivered::RULE).map(|arn| format!(" of rule {}", last(arn)));
            let rule = rule.unwrap_or_default();
            let code = attribute(undelivered::CODE).map(|code| format!(": {code}")).unwrap_or_default();
            let words = attribute(undelivered::MESSAGE).map(|words| format!(": {words}")).unwrap_or_default();
            let told = format!("EventBridge could not deliver this event{rule}{code}{words}");
            Some(redacted(&told).into_owned())
        }
        PutBy::Somebody => None,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        aws::queue::Receipt,
        domain::{Cause, DeadLetter, Outcome},
    };

    pub(in crate::cli::letters) const TARGET: &str = "111122223333/eu-west-1/shop/api";
    pub(in crate::cli::letters) const SENT_AT_MILLIS: i64 = 60_000;

    pub(in crate::cli::letters) fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// A push of the shop's api, ten seconds into 1970, as a message that was received from the dead-letter queue.
    pub(in crate::cli::letters) fn message(attributes: &[(&str, &str)]) -> RawMessage {
        let body = r#"{"id":"e-1","source":"aws.ecr","detail-type":"ECR Image Action","time":"1970-01-01T00:00:10Z",
            "account":"111122223333","region":"eu-west-1","detail":{"result":"SUCCESS","repository-name":"api",
            "image-digest":"sha256:aa","action-type":"PUSH","image-tag":"2.0.0"}}"#;
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        RawMessage {
            message_id: "m-1".into(),
            receipt: Receipt::new("r-1"),
            body: body.into(),
            sent_at: at(SENT_AT_MILLIS),
            first_received: at(SENT_AT_MILLIS),
            receive_count: 1,
            sender_id: None,
            moved_from: None,
            attributes: attributes.collect(),
        }
    }

    /// The same, set aside by us for the api.
    pub(in crate::cli::letters) fn set_aside() -> RawMessage {
        let letter = DeadLetter {
            target: TARGET.parse().ok(),
            deployment: Some("d-1".into()),
            outcome: Some(Outcome::RolledBack),
            cause: Some(Cause::ImagePull),
            reason: "no such image".into(),
            attempts: 1,
            version: at(10_000),
        };
        let message = message(&[]);
        let attributes = letter::attributes(&"e-1".into(), &message.body, &letter, at(59_000));
        RawMessage { attributes, ..message }
    }

    #[test]
    fn a_letter_of_ours_tells_what_was_written_on_it() {
        let letter = Letter::read(&set_aside());
        assert_eq!(letter.id, letter::id(&"e-1".into(), TARGET.parse().ok().as_ref(), &message(&[]).body));
        assert_eq!((letter.put_by, letter.reason.as_deref()), (PutBy::Lockkeeper, Some("no such image")));
        assert_eq!((letter.version, letter.time), (at(10_000), at(59_000)));
        assert_eq!(letter.target(), TARGET.parse().ok().as_ref());
        assert_eq!(letter.is_not_understood(), None);
    }

    #[test]
    fn what_sqs_moved_keeps_the_order_of_its_event() {
        let moved = RawMessage { moved_from: Some("arn:aws:sqs:eu-west-1:1:shop".into()), ..message(&[]) };
        let letter = Letter::read(&moved);
        assert_eq!(
            (letter.put_by, letter.version, letter.time),
            (PutBy::Sqs, at(10_000), at(SENT_AT_MILLIS))
        );
        assert!(letter.reason.is_some_and(|it| it.contains("from shop:")));
        assert_eq!(
            (letter.said.target, letter.id),
            (None, letter::id(&"e-1".into(), None, &message(&[]).body))
        );
    }

    #[test]
    fn what_belongs_to_another_queue_is_left() {
        let from = |queue: &str| RawMessage { moved_from: Some(queue.into()), ..message(&[]) };
        let left = |message| Letter::read(&message).is_left("arn:ours").is_some();
        assert_eq!(
            [left(from("arn:theirs")), left(from("arn:ours")), left(set_aside())],
            [true, false, false]
        );
        assert!(left(RawMessage { body: "x".into(), ..message(&[]) }));
    }

    #[test]
    fn what_was_put_back_and_moved_by_sqs_keeps_its_target_and_version() {
        for (version, kept) in [(Some(at(5_000)), at(5_000)), (None, at(SENT_AT_MILLIS))] {
            let attributes = letter::put_back("i-1", Some(TARGET), version, None);
            let moved_from = Some("arn:aws:sqs:eu-west-1:1:shop".into());
            let letter = Letter::read(&RawMessage { moved_from, attributes, ..message(&[]) });
            assert_eq!((letter.put_by, letter.version, letter.id.as_str()), (PutBy::Sqs, kept, "i-1"));
            assert!(letter.target().is_some());
        }
    }

    #[test]
    fn what_eventbridge_could_not_deliver_tells_the_rule_and_why() {
        let rule = ("RULE_ARN", "arn:aws:events:eu-west-1:1:rule/bus/pushes");
        let letter =
            Letter::read(&message(&[rule, ("ERROR_CODE", "NO_PERMISSIONS"), ("ERROR_MESSAGE", "denied")]));
        let reason = "EventBridge could not deliver this event of rule pushes: NO_PERMISSIONS: denied";
        assert_eq!((letter.put_by, letter.reason.as_deref()), (PutBy::EventBridge, Some(reason)));
    }

    #[test]
    fn a_message_with_nothing_beside_it_was_put_there_by_hand() {
        let letter = Letter::read(&message(&[]));
        assert_eq!((letter.put_by, letter.reason), (PutBy::Somebody, None));
    }

    #[test]
    fn what_nobody_understands_is_known_as_such() {
        let body = RawMessage { body: "deploy please".into(), ..message(&[]) };
        let target = message(&[("lockkeeper.target", "api"), ("lockkeeper.version", "1970-01-01T00:00:10Z")]);
        for message in [body, target] {
            assert!(Letter::read(&message).is_not_understood().is_some());
        }
        let empty = RawMessage { body: String::new(), attributes: BTreeMap::new(), ..message(&[]) };
        assert!(Letter::read(&empty).is_not_understood().is_some());
    }
}
