//! Sending: size limits, delays, FIFO groups and deduplication.

use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Desk, QueueKey, Queues,
    batch::entries,
    message::{Message, Place, attributes_md5, md5_hex, sequence_number},
    moved, no_queue,
    queue::Queue,
};
use crate::{
    domain::Timestamp,
    sim::{
        call::{Call, Fail, Outcome, hex, list, text},
        rng::Rng,
        sts::user_id,
    },
};

/// The largest message, and the largest batch: 1 MiB since August 2025.
const LARGEST_BYTES: u64 = 1_048_576;
/// How long a FIFO queue remembers a deduplication id.
const DEDUP_MEMORY: Duration = Duration::from_mins(5);

impl Queues {
    pub(super) fn send_call(&mut self, call: &Call, desk: &mut Desk<'_>) -> Outcome {
        let key = self.key(call)?;
        let queue = self.all.get_mut(&key).expect("key() gives keys of queues that exist");
        let sender = user_id(&call.scope.account);
        let mut send = |entry: &Value| {
            let sent = send(queue, entry, &sender, desk.now, desk.rng)?;
            desk.moved.push(moved("sent", &key, text(&sent, "MessageId")));
            Ok(sent)
        };
        let reply = if call.operation == "SendMessage" {
            send(&call.body)
        } else {
            batch_size(&call.body).and_then(|()| entries(&call.body, send))
        };
        self.note_arrival(&key);
        reply
    }

    /// Sends what a service of AWS sends to the queue with this ARN.
    pub(in crate::sim) fn deliver(
        &mut self,
        arn: &str,
        body: &Value,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Outcome {
        let key = self.key_of_arn(arn).ok_or_else(no_queue)?;
        let queue = self.all.get_mut(&key).expect("key_of_arn() gives keys of queues that exist");
        let reply = send(queue, body, "AIDAEVENTBRIDGE000000", now, rng);
        self.note_arrival(&key);
        reply
    }

    /// Puts a message that already exists into a queue.
    pub(super) fn transfer(&mut self, key: &QueueKey, message: Message) {
        if let Some(queue) = self.all.get_mut(key) {
            queue.put(message, None);
            self.note_arrival(key);
        }
    }
}

fn batch_size(body: &Value) -> Result<(), Fail> {
    let total: usize = list(body, "Entries").iter().map(|entry| text(entry, "MessageBody").len()).sum();
    if total as u64 > LARGEST_BYTES {
        return Err(Fail::new(
            "BatchRequestTooLong",
            format!(
                "Batch requests cannot be longer than {LARGEST_BYTES} bytes. You have sent {total} bytes."
            ),
        ));
    }
    Ok(())
}

fn check(queue: &Queue, entry: &Value) -> Result<(), Fail> {
    let body = text(entry, "MessageBody");
    if body.is_empty() {
        return Err(Fail::new("MissingParameter", "The request must contain the parameter MessageBody."));
    }
    let largest = queue.number("MaximumMessageSize", LARGEST_BYTES);
    if body.len() as u64 > largest {
        return Err(Fail::new(
            "InvalidParameterValue",
            format!(
                "One or more parameters are invalid. Reason: Message must be shorter than {largest} bytes."
            ),
        ));
    }
    if queue.fifo && text(entry, "MessageGroupId").is_empty() {
        return Err(Fail::new("MissingParameter", "The request must contain the parameter MessageGroupId."));
    }
    Ok(())
}

fn send(queue: &mut Queue, entry: &Value, sender: &str, now: Timestamp, rng: &mut Rng) -> Outcome {
    check(queue, entry)?;
    let mut message = message(entry, sender, now, rng);
    if queue.fifo {
        message.dedup = Some(dedup_id(queue, entry)?);
        if let Some(known) = seen_lately(queue, &message, now) {
            return Ok(json!({"MessageId": known, "MD5OfMessageBody": message.body_md5}));
        }
    }
    let mut reply = json!({"MessageId": message.id, "MD5OfMessageBody": message.body_md5});
    if let Some(md5) = &message.attributes_md5 {
        reply["MD5OfMessageAttributes"] = json!(md5);
    }
    let delay = entry["DelaySeconds"].as_u64().unwrap_or_else(|| queue.number("DelaySeconds", 0));
    queue.put(message, (delay > 0).then(|| now + Duration::from_secs(delay)));
    if queue.fifo {
        reply["SequenceNumber"] = json!(sequence_number(queue.last_number()));
    }
    Ok(reply)
}

fn message(entry: &Value, sender: &str, now: Timestamp, rng: &mut Rng) -> Message {
    let body = text(entry, "MessageBody");
    let attributes = entry["MessageAttributes"].clone();
    let string = |key: &str| entry[key].as_str().map(str::to_owned);
    Message {
        id: rng.uuid(),
        body: body.into(),
        body_md5: md5_hex(body.as_bytes()),
        attributes_md5: attributes_md5(&attributes),
        attributes,
        sender: sender.to_owned(),
        group: string("MessageGroupId"),
        dedup: string("MessageDeduplicationId"),
        trace: entry["MessageSystemAttributes"]["AWSTraceHeader"]["StringValue"].as_str().map(str::to_owned),
        sent: now,
        first_received: None,
        receives: 0,
        receipt: None,
        source: None,
        sequence: None,
        twin: false,
        place: Place::Ready(0),
    }
}

fn dedup_id(queue: &Queue, entry: &Value) -> Result<String, Fail> {
    if let Some(given) = entry["MessageDeduplicationId"].as_str() {
        return Ok(given.to_owned());
    }
    if queue.flag("ContentBasedDeduplication") {
        return Ok(hex(&Sha256::digest(text(entry, "MessageBody").as_bytes())));
    }
    Err(Fail::new(
        "InvalidParameterValue",
        "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
    ))
}

/// The id of the message with the same deduplication id within five minutes; else remembers this one.
fn seen_lately(queue: &mut Queue, message: &Message, now: Timestamp) -> Option<String> {
    queue.recent.retain(|_, (until, _)| *until > now);
    let dedup = message.dedup.clone()?;
    if let Some((_, id)) = queue.recent.get(&dedup) {
        return Some(id.clone());
    }
    queue.recent.insert(dedup, (now + DEDUP_MEMORY, message.id.clone()));
    None
}
