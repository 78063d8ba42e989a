//! The messages that are held, as they were received. The planner knows them by lease only.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::renewal::{self, Counted};
use crate::{
    aws::queue::{RawMessage, Receipt},
    domain::{EventId, LeaseId, MessageId, Timestamp, TriggerKind},
};

/// Every message that is held, by lease and by event: an event may come in several messages.
#[derive(Debug, Default)]
pub(super) struct HeldMessages {
    by_lease: BTreeMap<LeaseId, Arc<HeldMessage>>,
    events: BTreeMap<EventId, HeldEvent>,
    by_age: BTreeSet<(Timestamp, LeaseId)>,
    bytes: usize,
    last: u64,
}

/// What is known of an event while one of its messages is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HeldEvent {
    /// Its kind.
    pub(super) trigger: TriggerKind,
    /// Whether one of its messages was set aside and put back.
    pub(super) is_replay: bool,
}

/// One message.
#[derive(Clone, Debug)]
pub(super) struct HeldMessage {
    pub(super) id: MessageId,
    pub(super) receipt: Receipt,
    pub(super) body: String,
    pub(super) event: EventId,
    pub(super) counted: Counted,
    /// Who put it back after it had been set aside.
    pub(super) replayed_by: Option<Arc<str>>,
}

impl HeldMessages {
    /// Takes a message, under a lease of its own.
    pub(super) fn hold(
        &mut self,
        raw: RawMessage,
        event: EventId,
        trigger: TriggerKind,
        counted: Counted,
        is_replay: bool,
        replayed_by: Option<Arc<str>>,
    ) -> LeaseId {
        self.last += 1;
        let lease = LeaseId(self.last);
        let known = HeldEvent { trigger, is_replay };
        self.events.entry(event.clone()).or_insert(known).is_replay |= is_replay;
        self.bytes += raw.body.len();
        // A copy is as old as the message that it stands for.
        let since = renewal::read(&raw.attributes).map_or(raw.sent_at, |it| it.counted.floor);
        self.by_age.insert((since, lease));
        let RawMessage { message_id: id, receipt, body, .. } = raw;
        let held = HeldMessage { id, receipt, body, event, counted, replayed_by };
        self.by_lease.insert(lease, Arc::new(held));
        lease
    }

    pub(super) fn get(&self, lease: LeaseId) -> Option<&Arc<HeldMessage>> {
        self.by_lease.get(&lease)
    }

    /// The receipts of these leases, without those that are gone.
    pub(super) fn receipts(&self, leases: &[LeaseId]) -> Vec<(LeaseId, Receipt)> {
        leases.iter().filter_map(|lease| Some((*lease, self.get(*lease)?.receipt.clone()))).collect()
    }

    /// What is known of an event.
    pub(super) fn event(&self, event: &EventId) -> Option<HeldEvent> {
        self.events.get(event).copied()
    }

    /// Forgets the messages that nobody holds any more, and the bodies of those that owe nothing: they are held until the
    /// end of their deployment is told.
    pub(super) fn keep_only(
        &mut self,
        is_held: impl Fn(LeaseId) -> bool,
        is_owing: impl Fn(LeaseId) -> bool,
    ) {
        let count = self.by_lease.len();
        self.by_lease.retain(|lease, _| is_held(*lease));
        let mut settled = BTreeSet::new();
        for (lease, held) in &mut self.by_lease {
            if !held.body.is_empty() && !is_owing(*lease) {
                let bare = HeldMessage { body: String::new(), ..(**held).clone() };
                self.bytes -= held.body.len();
                *held = Arc::new(bare);
                settled.insert(*lease);
            }
        }
        if !settled.is_empty() {
            self.by_age.retain(|(_, lease)| !settled.contains(lease));
        }
        if self.by_lease.len() < count {
            let events: BTreeSet<&EventId> = self.by_lease.values().map(|held| &held.event).collect();
            self.events.retain(|event, _| events.contains(event));
            self.by_age.retain(|(_, lease)| self.by_lease.contains_key(lease));
            self.bytes = self.by_lease.values().map(|held| held.body.len()).sum();
        }
    }

    /// When the oldest of them that owes something was put on the queue.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.by_age.first().map(|(since, _)| *since)
    }

    /// How much the bodies take, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn message(id: &str) -> RawMessage {
        RawMessage { body: "four".into(), ..RawMessage::empty(id) }
    }

    #[test]
    fn an_event_is_known_while_one_of_its_messages_is_held() {
        let mut held = HeldMessages::default();
        let counted = Counted { version: Timestamp::default(), floor: Timestamp::default() };
        held.hold(message("m-1"), "e-2".into(), TriggerKind::SecretChanged, counted, false, None);
        let [first, second] = [("m-2", true), ("m-3", false)].map(|(id, is_replay)| {
            held.hold(message(id), "e-1".into(), TriggerKind::ImagePushed, counted, is_replay, None)
        });
        held.keep_only(|lease| lease != first, |_| true);
        let known = HeldEvent { trigger: TriggerKind::ImagePushed, is_replay: true };
        assert_eq!(held.event(&"e-1".into()), Some(known));
        assert_eq!(held.oldest(), Some(Timestamp::default()));
        held.keep_only(|lease| lease != second, |_| true);
        assert_eq!((held.event(&"e-1".into()), held.bytes()), (None, 4));
    }

    #[test]
    fn what_only_waits_until_its_end_is_told_takes_no_room() {
        let mut held = HeldMessages::default();
        let counted = Counted { version: Timestamp::default(), floor: Timestamp::default() };
        let [told, open] = ["m-1", "m-2"]
            .map(|id| held.hold(message(id), "e".into(), TriggerKind::SecretChanged, counted, false, None));
        held.keep_only(|_| true, |lease| lease != told);
        let bodies = [told, open].map(|lease| held.get(lease).map(|it| it.body.clone()));
        assert_eq!((bodies, held.bytes()), ([Some(String::new()), Some("four".into())], 4));
        assert_eq!(held.receipts(&[told]).len(), 1, "it can still be deleted");
        held.keep_only(|_| true, |_| false);
        assert_eq!(held.oldest(), None);
    }

    #[test]
    fn the_oldest_message_is_the_one_that_was_sent_first_and_a_copy_as_old_as_what_it_renews() {
        let at = Timestamp::from_millis;
        let counted = Counted { version: at(1_000), floor: at(2_000) };
        let mut all = HeldMessages::default();
        let hold = |all: &mut HeldMessages, sent_at, attributes| {
            let raw = RawMessage { sent_at, attributes, ..message("m") };
            all.hold(raw, "e".into(), TriggerKind::SecretChanged, counted, false, None)
        };
        assert_eq!(all.oldest(), None);
        hold(&mut all, at(7_000), BTreeMap::new());
        let first = hold(&mut all, at(5_000), BTreeMap::new());
        assert_eq!(all.oldest(), Some(at(5_000)));
        all.keep_only(|lease| lease != first, |_| true);
        assert_eq!(all.oldest(), Some(at(7_000)));
        let copy = renewal::attributes(&"m-0".into(), counted, &BTreeSet::new(), None, 1_000);
        hold(&mut all, at(9_000), copy);
        assert_eq!(all.oldest(), Some(at(2_000)));
    }
}
