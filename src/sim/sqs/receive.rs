//! Receiving: what is handed out, what goes to the dead-letter queue instead, and when to look again.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Desk, QueueKey, Queues, arn, moved, queue::Queue};
use crate::sim::call::{Call, Fail, Reply, text};

impl Queues {
    pub(super) fn receive(&mut self, call: &Call, desk: &mut Desk<'_>) -> Result<Reply, Fail> {
        let key = self.key(call)?;
        let queue = self.all.get_mut(&key).expect("key() gives keys of queues that exist");
        queue.sweep(desk.now);
        let most = in_range(&call.body, "MaxNumberOfMessages", 1, 1..=10)?;
        let wait = queue.number("ReceiveMessageWaitTimeSeconds", 0);
        let wait = in_range(&call.body, "WaitTimeSeconds", wait, 0..=20)?;
        let hidden =
            in_range(&call.body, "VisibilityTimeout", queue.number("VisibilityTimeout", 30), 0..=43_200)?;
        let taken = self.take(&key, most, Duration::from_secs(hidden), &call.body, desk);
        if !taken.is_empty() {
            return Ok(Reply::Ok(json!({"Messages": taken})));
        }
        Ok(if wait == 0 { Reply::Ok(json!({})) } else { self.wait(&key, wait, desk) })
    }

    fn wait(&self, key: &QueueKey, seconds: u64, desk: &Desk<'_>) -> Reply {
        let until = desk.now + Duration::from_secs(seconds);
        let next = self.all.get(key).and_then(Queue::next_change).unwrap_or(until);
        Reply::Wait { until, look_at: next.min(until) }
    }

    fn take(
        &mut self,
        key: &QueueKey,
        most: u64,
        hidden: Duration,
        body: &Value,
        desk: &mut Desk<'_>,
    ) -> Vec<Value> {
        let most = usize::try_from(most).unwrap_or(1);
        let mut taken = Vec::new();
        loop {
            let queue = self.all.get_mut(key).expect("the caller holds the key of a queue that exists");
            let chosen = queue.front(most - taken.len(), desk.settings.reorder, desk.rng);
            let redrive = queue.redrive().filter(|to| chosen.iter().any(|&k| queue.receives(k) >= to.limit));
            let redrive = redrive.and_then(|to| Some((to.limit, self.key_of_arn(&to.target)?)));
            let Some(redrive) = redrive.filter(|(_, target)| target != key) else {
                let queue = self.all.get_mut(key).expect("nothing removes queues here");
                for k in chosen {
                    let seen = hand_out(queue, k, hidden, body, desk);
                    desk.moved.push(moved("received", key, text(&seen, "MessageId")));
                    taken.push(seen);
                }
                return taken;
            };
            self.set_aside(key, &redrive, &chosen);
        }
    }

    /// Moves those of the chosen messages that have been received too often. Their id, their send time and their
    /// count stay.
    fn set_aside(&mut self, key: &QueueKey, (limit, target): &(u64, QueueKey), chosen: &[u64]) {
        for &message in chosen {
            let queue = self.all.get_mut(key).expect("nothing removes queues here");
            if queue.receives(message) < *limit {
                continue;
            }
            let Some(mut message) = queue.remove(message) else { continue };
            message.source = Some(arn(key));
            message.receipt = None;
            self.transfer(target, message);
        }
    }
}

fn hand_out(queue: &mut Queue, key: u64, hidden: Duration, body: &Value, desk: &mut Desk<'_>) -> Value {
    let again = !queue.fifo && !queue.is_twin(key) && desk.rng.chance(desk.settings.duplicates);
    let (handle, message) = queue.receive(key, desk.now, hidden);
    let seen = message.received(&handle, body);
    if again {
        queue.twin(key);
    }
    seen
}

fn in_range(
    body: &Value,
    name: &str,
    default: u64,
    range: std::ops::RangeInclusive<u64>,
) -> Result<u64, Fail> {
    let value = body[name].as_u64().unwrap_or(default);
    if range.contains(&value) {
        return Ok(value);
    }
    Err(Fail::new(
        "InvalidParameterValue",
        format!(
            "Value {value} for parameter {name} is invalid. Reason: Must be between {} and {}, if provided.",
            range.start(),
            range.end()
        ),
    ))
}
