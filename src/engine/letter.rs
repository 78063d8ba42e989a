//! What is said about a message that is set aside: its attributes in the dead-letter queue.

use std::collections::BTreeMap;

use crate::{
    domain::{EventId, TargetId, Timestamp, fingerprint},
    plan::DeadLetter,
};

/// The names of the attributes. SQS takes ten at most.
mod name {
    pub(super) const ID: &str = "lockkeeper.id";
    pub(super) const REASON: &str = "lockkeeper.reason";
    pub(super) const TARGET: &str = "lockkeeper.target";
    pub(super) const DEPLOYMENT: &str = "lockkeeper.deployment";
    pub(super) const OUTCOME: &str = "lockkeeper.outcome";
    pub(super) const CAUSE: &str = "lockkeeper.cause";
    pub(super) const ATTEMPTS: &str = "lockkeeper.attempts";
    pub(super) const VERSION: &str = "lockkeeper.version";
    pub(super) const TIME: &str = "lockkeeper.time";
}

/// What a message that comes back says of the time when it was set aside.
pub(super) struct PutBack {
    pub(super) version: Timestamp,
    pub(super) target: Option<TargetId>,
}

/// The attributes of a letter that is sent now.
pub(super) fn attributes(event: &EventId, letter: &DeadLetter, now: Timestamp) -> BTreeMap<String, String> {
    let known = [
        (name::ID, Some(id(event, letter.target.as_ref()))),
        (name::REASON, Some(letter.reason.clone()).filter(|reason| !reason.is_empty())),
        (name::TARGET, letter.target.as_ref().map(ToString::to_string)),
        (name::DEPLOYMENT, letter.deployment.as_ref().map(ToString::to_string)),
        (name::OUTCOME, letter.outcome.map(|outcome| outcome.as_str().to_owned())),
        (name::CAUSE, letter.cause.map(|cause| cause.as_str().to_owned())),
        (name::ATTEMPTS, Some(letter.attempts.to_string())),
        (name::VERSION, Some(letter.version.to_string())),
        (name::TIME, Some(now.to_string())),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// What the attributes of a received message say of an earlier failure, if it was set aside before.
pub(super) fn read(attributes: &BTreeMap<String, String>) -> Option<PutBack> {
    let version = Timestamp::parse(attributes.get(name::VERSION)?)?;
    let target = attributes.get(name::TARGET).and_then(|text| text.parse().ok());
    Some(PutBack { version, target })
}

/// The same event failing for the same target is the same letter, however often it is sent.
fn id(event: &EventId, target: Option<&TargetId>) -> String {
    let target = target.map(ToString::to_string).unwrap_or_default();
    fingerprint(&format!("{event}\n{target}"), 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Cause, Outcome};

    fn letter() -> DeadLetter {
        DeadLetter {
            target: Some("111122223333/eu-west-1/shop/api".parse().unwrap()),
            deployment: Some("d-1".into()),
            outcome: Some(Outcome::RolledBack),
            cause: Some(Cause::ImagePull),
            reason: "no such image".into(),
            attempts: 1,
            version: Timestamp::from_millis(1_000),
        }
    }

    #[test]
    fn a_letter_that_comes_back_tells_its_target_and_keeps_its_version() {
        let written = attributes(&"e-1".into(), &letter(), Timestamp::from_millis(5_000));
        assert!(written.len() <= 10);
        let read = read(&written).expect("it was set aside");
        assert_eq!((read.version, read.target), (letter().version, letter().target));
    }

    #[test]
    fn an_event_that_fails_twice_for_one_target_is_one_letter() {
        let [one, again] = [1, 2].map(|at| attributes(&"e-1".into(), &letter(), Timestamp::from_millis(at)));
        assert_eq!(one["lockkeeper.id"], again["lockkeeper.id"]);
        let other = DeadLetter { target: None, ..letter() };
        assert_ne!(
            one["lockkeeper.id"],
            attributes(&"e-1".into(), &other, Timestamp::default())["lockkeeper.id"]
        );
    }

    #[test]
    fn an_ordinary_message_was_never_set_aside() {
        assert!(read(&BTreeMap::from([("other".into(), "x".into())])).is_none());
    }
}
