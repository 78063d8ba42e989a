//! What is said about a message that is set aside: its attributes in the dead-letter queue.

use std::{borrow::Cow, collections::BTreeMap};

use crate::{
    domain::{EventId, NotATargetId, TargetId, Timestamp, fingerprint},
    plan::DeadLetter,
};

/// The names of the attributes. SQS takes ten at most.
pub(crate) mod name {
    pub(crate) const ID: &str = "lockkeeper.id";
    pub(crate) const REASON: &str = "lockkeeper.reason";
    pub(crate) const TARGET: &str = "lockkeeper.target";
    pub(crate) const DEPLOYMENT: &str = "lockkeeper.deployment";
    pub(crate) const OUTCOME: &str = "lockkeeper.outcome";
    pub(crate) const CAUSE: &str = "lockkeeper.cause";
    pub(crate) const ATTEMPTS: &str = "lockkeeper.attempts";
    pub(crate) const VERSION: &str = "lockkeeper.version";
    pub(crate) const TIME: &str = "lockkeeper.time";
}

/// A reason longer than this says no more.
const LONGEST_REASON_BYTES: usize = 1024;

/// What SQS counts of an attribute beside its name and value: its type.
const TYPE: &str = "String";

/// What a message that comes back says of the time when it was set aside.
pub(super) struct PutBack {
    pub(super) version: Timestamp,
    /// The only target that it is for; an error names what cannot be read.
    pub(super) target: Option<Result<TargetId, NotATargetId>>,
}

/// The attributes of a letter that is sent now.
pub(super) fn attributes(event: &EventId, letter: &DeadLetter, now: Timestamp) -> BTreeMap<String, String> {
    let known = [
        (name::ID, Some(id(event, letter.target.as_ref()))),
        (
            name::REASON,
            Some(cut(&letter.reason, LONGEST_REASON_BYTES).to_owned()).filter(|it| !it.is_empty()),
        ),
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

/// The body and attributes that fit into one message. A message that nobody understood loses the end of its body,
/// and its reason says so. One that is to be replayed keeps its body, written shorter if need be; of its attributes
/// those by which a replay is confined and ordered go last.
pub(super) fn parcel(
    body: &str,
    mut attributes: BTreeMap<String, String>,
    is_understood: bool,
    room: usize,
) -> (Cow<'_, str>, BTreeMap<String, String>) {
    if body.len() + size(&attributes) <= room {
        return (body.into(), attributes);
    }
    if !is_understood {
        let reason = attributes.entry(name::REASON.to_owned()).or_default();
        *reason = format!("{reason} (the end of the body is cut: it had {} bytes)", body.len());
        let room = room.saturating_sub(size(&attributes));
        return (cut(body, room).into(), attributes);
    }
    let compact = serde_json::from_str::<serde_json::Value>(body).map(|it| it.to_string());
    let body: Cow<'_, str> = compact.ok().filter(|it| it.len() < body.len()).map_or(body.into(), Into::into);
    let last = [name::VERSION, name::TARGET];
    let mut dispensable: Vec<String> =
        attributes.keys().filter(|it| !last.contains(&it.as_str())).cloned().collect();
    dispensable.extend(last.map(str::to_owned));
    for name in dispensable {
        if body.len() + size(&attributes) <= room {
            break;
        }
        attributes.remove(&name);
    }
    (body, attributes)
}

fn size(attributes: &BTreeMap<String, String>) -> usize {
    attributes.iter().map(|(name, value)| name.len() + TYPE.len() + value.len()).sum()
}

fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// What the attributes of a received message say of an earlier failure, if it was set aside before.
pub(super) fn read(attributes: &BTreeMap<String, String>) -> Option<PutBack> {
    let version = Timestamp::parse(attributes.get(name::VERSION)?)?;
    let target = attributes.get(name::TARGET).map(|text| text.parse());
    Some(PutBack { version, target })
}

/// The same event failing for the same target is the same letter, however often it is sent.
fn id(event: &EventId, target: Option<&TargetId>) -> String {
    let target = target.map(ToString::to_string).unwrap_or_default();
    fingerprint(format!("{event}\n{target}"), 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        aws::queue::MAX_MESSAGE_BYTES,
        domain::{Cause, Outcome},
    };

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
        assert_eq!((read.version, read.target), (letter().version, letter().target.map(Ok)));
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
    fn a_message_that_nobody_understood_is_cut_rather_than_set_aside_without_a_reason() {
        let body = "x".repeat(MAX_MESSAGE_BYTES);
        let malformed = DeadLetter { target: None, reason: "é".repeat(2_000), ..letter() };
        let written = attributes(&"e-1".into(), &malformed, Timestamp::default());
        let (body, written) = parcel(&body, written, false, MAX_MESSAGE_BYTES);
        assert_eq!(body.len() + size(&written), MAX_MESSAGE_BYTES);
        assert!(written[name::REASON].ends_with("(the end of the body is cut: it had 1048576 bytes)"));
    }

    #[test]
    fn a_large_body_that_is_to_be_replayed_is_kept_whole_with_its_target_and_version() {
        let body = format!("{{ \"junk\": \"{}\" }}", "x".repeat(MAX_MESSAGE_BYTES - 200));
        let written = attributes(&"e-1".into(), &letter(), Timestamp::default());
        let (kept, written) = parcel(&body, written, true, MAX_MESSAGE_BYTES);
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&kept), value(&body));
        assert!(read(&written).is_some_and(|it| it.target == letter().target.map(Ok)));
        assert!(kept.len() + size(&written) <= MAX_MESSAGE_BYTES);
    }

    #[test]
    fn an_ordinary_message_was_never_set_aside() {
        assert!(read(&BTreeMap::from([("other".into(), "x".into())])).is_none());
    }
}
