//! A message that is held for longer than SQS allows lives on as a copy: its attributes say since when its request is to
//! be counted, and to whom it still owes something.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{MessageId, NotATargetId, TargetId, Timestamp, letter};

/// The names of the attributes. The version has the same one as in a letter.
pub(super) mod name {
    pub(super) const VERSION: &str = "lockkeeper.version";
    pub(super) const FLOOR: &str = "lockkeeper.floor";
    pub(in crate::engine) const TARGETS: &str = "lockkeeper.targets";
    pub(super) const RENEWS: &str = "lockkeeper.renews";
}

/// Since when what a message asks for counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counted {
    /// Its order.
    pub(super) version: Timestamp,
    /// From when on evidence counts.
    pub(super) floor: Timestamp,
}

/// What the attributes of a copy say.
pub(super) struct Renewed {
    pub(super) counted: Counted,
    /// The targets that are left, if the copy is confined to them; an error names one that cannot be read.
    pub(super) targets: Option<Result<BTreeSet<TargetId>, NotATargetId>>,
}

/// The attributes of a copy with `room` bytes left beside its body. Without room for the targets it reaches all that the
/// first one did: what is settled for one of them is then found to be so.
pub(super) fn attributes(
    renews: &MessageId,
    counted: Counted,
    targets: &BTreeSet<TargetId>,
    replayed_by: Option<&str>,
    room: usize,
) -> BTreeMap<String, String> {
    let ids: Vec<String> = targets.iter().map(ToString::to_string).collect();
    let mut attributes = BTreeMap::from([
        (name::VERSION.to_owned(), counted.version.to_string()),
        (name::FLOOR.to_owned(), counted.floor.to_string()),
        (name::TARGETS.to_owned(), ids.join(" ")),
        (name::RENEWS.to_owned(), renews.to_string()),
    ]);
    attributes.extend(replayed_by.map(|by| (letter::name::BY.to_owned(), by.to_owned())));
    let size: usize = attributes.iter().map(|(name, value)| name.len() + value.len() + "String".len()).sum();
    if size > room {
        attributes.remove(name::TARGETS);
    }
    attributes
}

/// The attributes of a message of our own that counts from its event's time, and is for these targets alone.
pub(super) fn confined(version: Timestamp, targets: &BTreeSet<TargetId>) -> BTreeMap<String, String> {
    let ids: Vec<String> = targets.iter().map(ToString::to_string).collect();
    BTreeMap::from([
        (name::VERSION.to_owned(), version.to_string()),
        (name::FLOOR.to_owned(), version.to_string()),
        (name::TARGETS.to_owned(), ids.join(" ")),
    ])
}

/// Reads the attributes of a copy; `None` for any other message.
pub(super) fn read(attributes: &BTreeMap<String, String>) -> Option<Renewed> {
    let version = Timestamp::parse(attributes.get(name::VERSION)?)?;
    let floor = Timestamp::parse(attributes.get(name::FLOOR)?)?;
    let targets = attributes.get(name::TARGETS);
    let targets = targets.map(|text| text.split_whitespace().map(str::parse).collect());
    Some(Renewed { counted: Counted { version, floor }, targets })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted() -> Counted {
        Counted { version: Timestamp::from_millis(1_000), floor: Timestamp::from_millis(2_000) }
    }

    fn targets(count: usize) -> BTreeSet<TargetId> {
        (0..count).map(|it| format!("111122223333/eu-west-1/shop/api-{it}").parse().expect("valid")).collect()
    }

    #[test]
    fn a_copy_keeps_version_floor_and_the_targets_that_are_left() {
        let written = attributes(&"m-1".into(), counted(), &targets(500), Some("ann"), 1 << 20);
        assert!(written.len() <= 10);
        assert_eq!(letter::Said::read(&written).by.as_deref(), Some("ann"));
        let read = read(&written).expect("a copy");
        assert_eq!((read.counted, read.targets), (counted(), Some(Ok(targets(500)))));
    }

    #[test]
    fn without_room_the_copy_reaches_every_target() {
        let written = attributes(&"m-1".into(), counted(), &targets(500), None, 1_000);
        assert_eq!(read(&written).expect("a copy").targets, None);
    }

    #[test]
    fn a_letter_that_is_put_back_is_no_copy() {
        let letter = BTreeMap::from([(name::VERSION.into(), counted().version.to_string())]);
        assert!(read(&letter).is_none());
    }
}
