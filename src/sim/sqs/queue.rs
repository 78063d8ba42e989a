//! One queue: which messages may be received, which are hidden and until when, and which receipt is the valid one.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};

use super::message::{Message, Place};
use crate::{
    domain::Timestamp,
    sim::{call::Fail, rng::Rng},
};

/// How long a message may stay hidden after its first receive.
const LONGEST_HOLD: Duration = Duration::from_hours(12);
/// How far from the front a reordered receive may reach.
const REORDER_DEPTH: u64 = 32;

/// A queue and what is in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) tags: Value,
    pub(super) fifo: bool,
    /// Distinguishes this queue from a deleted one of the same name, so that its receipts are not taken for ours.
    pub(super) incarnation: u64,
    messages: BTreeMap<u64, Message>,
    ready: BTreeMap<u64, u64>,
    timers: BTreeSet<(Timestamp, u64)>,
    in_flight: usize,
    /// How many messages of a FIFO group are in flight.
    locked: BTreeMap<String, usize>,
    pub(super) recent: BTreeMap<String, (Timestamp, String)>,
    next: u64,
}

/// Numbers that queue attributes report.
pub(super) struct Counts {
    pub(super) ready: usize,
    pub(super) in_flight: usize,
    pub(super) delayed: usize,
}

/// Where a message goes when it has been received too often.
pub(super) struct Redrive {
    pub(super) limit: u64,
    pub(super) target: String,
}

impl Queue {
    /// An empty queue; `incarnation` is a number that no other queue ever had.
    pub(super) fn new(
        attributes: BTreeMap<String, String>,
        tags: Value,
        fifo: bool,
        incarnation: u64,
    ) -> Self {
        Self { attributes, tags, fifo, incarnation, ..Self::default() }
    }

    /// A number attribute, or its default.
    pub(super) fn number(&self, name: &str, default: u64) -> u64 {
        self.attributes.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.attributes.get(name).is_some_and(|value| value == "true")
    }

    pub(super) fn redrive(&self) -> Option<Redrive> {
        let policy: Value = serde_json::from_str(self.attributes.get("RedrivePolicy")?).ok()?;
        let limit = &policy["maxReceiveCount"];
        let limit = limit.as_u64().or_else(|| limit.as_str()?.parse().ok()).unwrap_or(10);
        Some(Redrive { limit, target: policy["deadLetterTargetArn"].as_str()?.to_owned() })
    }

    /// A number that this queue has not given before.
    pub(super) fn number_next(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The number that was given last.
    pub(super) fn last_number(&self) -> u64 {
        self.next
    }

    /// Puts a message in, to be received at once or after a delay.
    pub(super) fn put(&mut self, mut message: Message, visible_at: Option<Timestamp>) {
        let key = self.number_next();
        if self.fifo {
            message.sequence = Some(key);
        }
        if let Some(at) = visible_at {
            message.place = Place::Delayed(at);
            self.timers.insert((at, key));
        } else {
            message.place = Place::Ready(key);
            self.ready.insert(key, key);
        }
        self.messages.insert(key, message);
    }

    /// Everything that happens by itself up to now: delays and visibility timeouts end, old messages go.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        while let Some(&(at, key)) = self.timers.first().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, key));
            self.make_ready(key);
        }
        self.retire_old(now);
    }

    fn retire_old(&mut self, now: Timestamp) {
        let kept = Duration::from_secs(self.number("MessageRetentionPeriod", 345_600));
        while let Some((&key, _)) = self.messages.first_key_value().filter(|(_, m)| now.since(m.sent) > kept)
        {
            self.remove(key);
        }
    }

    /// When something here next happens by itself.
    pub(super) fn next_change(&self) -> Option<Timestamp> {
        self.timers.first().map(|(at, _)| *at)
    }

    fn make_ready(&mut self, key: u64) {
        let rank = if self.fifo { key } else { self.number_next() };
        let Some(message) = self.messages.get_mut(&key) else { return };
        if matches!(message.place, Place::InFlight(_)) {
            self.in_flight -= 1;
            unlock(&mut self.locked, self.fifo, message);
        }
        message.place = Place::Ready(rank);
        self.ready.insert(rank, key);
    }

    pub(super) fn remove(&mut self, key: u64) -> Option<Message> {
        let message = self.messages.remove(&key)?;
        match message.place {
            Place::Ready(rank) => {
                self.ready.remove(&rank);
            }
            Place::InFlight(until) => {
                self.timers.remove(&(until, key));
                self.in_flight -= 1;
                unlock(&mut self.locked, self.fifo, &message);
            }
            Place::Delayed(until) => {
                self.timers.remove(&(until, key));
            }
        }
        Some(message)
    }

    /// The messages that one receive may take, in order: up to `most`, and none of a FIFO group that is in flight.
    pub(super) fn front(&self, most: usize, reorder: f64, rng: &mut Rng) -> Vec<u64> {
        let mut chosen: Vec<u64> = if self.locked.is_empty() {
            self.ready.values().copied().take(most).collect()
        } else {
            let free = |key: &u64| {
                let group = self.messages[key].group.as_ref();
                group.is_none_or(|group| !self.locked.contains_key(group))
            };
            self.ready.values().copied().filter(free).take(most).collect()
        };
        if !self.fifo {
            self.shuffle(&mut chosen, reorder, rng);
        }
        chosen
    }

    fn shuffle(&self, chosen: &mut [u64], reorder: f64, rng: &mut Rng) {
        for place in 0..chosen.len() {
            if !rng.chance(reorder) {
                continue;
            }
            let depth = REORDER_DEPTH.min(self.ready.len() as u64);
            let behind = usize::try_from(rng.below(depth)).unwrap_or(0);
            let Some(&other) = self.ready.values().nth(behind) else { continue };
            match chosen.iter().position(|&key| key == other) {
                Some(at) => chosen.swap(place, at),
                None => chosen[place] = other,
            }
        }
    }

    pub(super) fn receives(&self, key: u64) -> u64 {
        self.messages[&key].receives
    }

    /// Hides a message and gives the new, only valid receipt for it.
    pub(super) fn receive(&mut self, key: u64, now: Timestamp, hidden: Duration) -> (String, &Message) {
        let number = self.number_next();
        let handle = self.handle(key, number);
        let message = self.messages.get_mut(&key).expect("the caller took the key from this queue");
        if let Place::Ready(rank) = message.place {
            self.ready.remove(&rank);
        }
        message.receives += 1;
        message.first_received.get_or_insert(now);
        message.receipt = Some(number);
        message.place = Place::InFlight(now + hidden);
        self.in_flight += 1;
        self.timers.insert((now + hidden, key));
        if let Some(group) = message.group.as_ref().filter(|_| self.fifo) {
            *self.locked.entry(group.clone()).or_default() += 1;
        }
        if hidden.is_zero() {
            self.timers.remove(&(now, key));
            self.make_ready(key);
        }
        (handle, &self.messages[&key])
    }

    /// A second copy of a message, ready behind all others.
    pub(super) fn twin(&mut self, key: u64) {
        let mut twin = self.messages[&key].clone();
        twin.twin = true;
        twin.receipt = None;
        self.put(twin, None);
    }

    pub(super) fn is_twin(&self, key: u64) -> bool {
        self.messages[&key].twin
    }

    fn handle(&self, key: u64, number: u64) -> String {
        format!("AQEB{:08x}.{key:x}.{number:x}", self.incarnation)
    }

    /// The message and receipt numbers of a handle of this queue's.
    fn parse(&self, handle: &str) -> Result<(u64, u64), Fail> {
        let invalid = || Fail::new("ReceiptHandleIsInvalid", "The input receipt handle is invalid.");
        let rest = handle.strip_prefix(&format!("AQEB{:08x}.", self.incarnation)).ok_or_else(invalid)?;
        let (key, number) = rest.split_once('.').ok_or_else(invalid)?;
        let parse = |digits: &str| u64::from_str_radix(digits, 16).map_err(|_| invalid());
        Ok((parse(key)?, parse(number)?))
    }

    /// Deletes by receipt, and says the id of what it deleted. A receipt that is not the latest deletes nothing and says so to nobody, as in AWS; on a
    /// FIFO queue an expired one is refused.
    pub(super) fn delete(&mut self, handle: &str) -> Result<Option<String>, Fail> {
        let (key, number) = self.parse(handle)?;
        let Some(message) = self.messages.get(&key).filter(|message| message.receipt == Some(number)) else {
            return Ok(None);
        };
        if self.fifo && !matches!(message.place, Place::InFlight(_)) {
            return Err(Fail::new(
                "InvalidParameterValue",
                format!(
                    "Value {handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired."
                ),
            ));
        }
        Ok(self.remove(key).map(|message| message.id))
    }

    /// Ends every hold.
    pub(super) fn end_holds(&mut self) {
        let held = |message: &Message| matches!(message.place, Place::InFlight(_));
        let keys: Vec<u64> = self.messages.iter().filter(|(_, it)| held(it)).map(|(key, _)| *key).collect();
        self.timers.retain(|(_, key)| !keys.contains(key));
        for key in keys {
            self.make_ready(key);
        }
    }

    /// Hides a message for `timeout` from now; zero hands it back.
    pub(super) fn change_visibility(
        &mut self,
        handle: &str,
        timeout: u64,
        now: Timestamp,
    ) -> Result<(), Fail> {
        let (key, number) = self.parse(handle)?;
        let lost = || Fail::new("MessageNotInflight", "The specified message isn't in flight.");
        let message = self.messages.get_mut(&key).filter(|m| m.receipt == Some(number)).ok_or_else(lost)?;
        let Place::InFlight(until) = message.place else { return Err(lost()) };
        let until_new = now + Duration::from_secs(timeout);
        let first = message.first_received.unwrap_or(now);
        if timeout > 43_200 || (timeout > 0 && until_new.since(first) > LONGEST_HOLD) {
            return Err(Fail::new(
                "InvalidParameterValue",
                format!(
                    "Value {timeout} for parameter VisibilityTimeout is invalid. Reason: Total VisibilityTimeout for \
                     the message is beyond the limit [43200 seconds]."
                ),
            ));
        }
        self.timers.remove(&(until, key));
        if timeout == 0 {
            self.make_ready(key);
        } else {
            message.place = Place::InFlight(until_new);
            self.timers.insert((until_new, key));
        }
        Ok(())
    }

    pub(super) fn purge(&mut self) {
        self.messages.clear();
        self.ready.clear();
        self.timers.clear();
        self.locked.clear();
        self.in_flight = 0;
    }

    /// Takes up to `most` ready messages out, for a move to another queue.
    pub(super) fn take_ready(&mut self, most: usize) -> Vec<Message> {
        let keys: Vec<u64> = self.ready.values().copied().take(most).collect();
        keys.into_iter().filter_map(|key| self.remove(key)).collect()
    }

    pub(super) fn counts(&self) -> Counts {
        let (ready, in_flight) = (self.ready.len(), self.in_flight);
        Counts { ready, in_flight, delayed: self.messages.len() - ready - in_flight }
    }

    /// The messages as a test wants to see them: id, body and receive count.
    pub(super) fn snapshot(&self) -> Value {
        let all = self.messages.values();
        all.map(|m| json!({"id": m.id, "body": &*m.body, "receives": m.receives, "attributes": m.attributes}))
            .collect()
    }
}

fn unlock(locked: &mut BTreeMap<String, usize>, fifo: bool, message: &Message) {
    let Some(group) = message.group.as_ref().filter(|_| fifo) else { return };
    let Some(held) = locked.get_mut(group) else { return };
    *held -= 1;
    if *held == 0 {
        locked.remove(group);
    }
}
