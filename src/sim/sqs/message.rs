//! One message, and the checksums that the SDKs verify.

use std::sync::Arc;

use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use crate::{
    domain::Timestamp,
    sim::call::{hex, text, texts},
};

/// Where a message is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// May be received. The number is its place in line.
    Ready(u64),
    /// Received, and hidden until then.
    InFlight(Timestamp),
    /// Sent with a delay that ends then.
    Delayed(Timestamp),
}

/// A message in a queue.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) body: Arc<str>,
    pub(super) body_md5: String,
    pub(super) attributes: Value,
    pub(super) attributes_md5: Option<String>,
    pub(super) sender: String,
    pub(super) group: Option<String>,
    pub(super) dedup: Option<String>,
    pub(super) trace: Option<String>,
    pub(super) sent: Timestamp,
    pub(super) first_received: Option<Timestamp>,
    pub(super) receives: u64,
    /// The number of the only receipt that is valid: the latest.
    pub(super) receipt: Option<u64>,
    /// The queue that this message failed in, on a dead-letter queue.
    pub(super) source: Option<String>,
    /// Set on FIFO queues.
    pub(super) sequence: Option<u64>,
    /// Whether this is the second copy of a message that the world delivers twice.
    pub(super) twin: bool,
    pub(super) place: Place,
}

impl Message {
    /// The system attributes that `asked` names.
    fn system(&self, body: &Value) -> Map<String, Value> {
        let wanted = |name: &str| {
            texts(body, "AttributeNames")
                .chain(texts(body, "MessageSystemAttributeNames"))
                .any(|asked| asked == "All" || asked == name)
        };
        let millis = |at: Timestamp| at.as_millis().to_string();
        [
            ("SenderId", Some(self.sender.clone())),
            ("SentTimestamp", Some(millis(self.sent))),
            ("ApproximateReceiveCount", Some(self.receives.to_string())),
            ("ApproximateFirstReceiveTimestamp", self.first_received.map(millis)),
            ("MessageGroupId", self.group.clone()),
            ("MessageDeduplicationId", self.dedup.clone()),
            ("SequenceNumber", self.sequence.map(sequence_number)),
            ("AWSTraceHeader", self.trace.clone()),
            ("DeadLetterQueueSourceArn", self.source.clone()),
        ]
        .into_iter()
        .filter(|(name, _)| wanted(name))
        .filter_map(|(name, value)| Some((name.to_owned(), json!(value?))))
        .collect()
    }

    /// The message as `ReceiveMessage` returns it.
    pub(super) fn received(&self, handle: &str, body: &Value) -> Value {
        let mut seen = json!({
            "MessageId": self.id, "ReceiptHandle": handle, "Body": &*self.body, "MD5OfBody": self.body_md5,
        });
        let system = self.system(body);
        if !system.is_empty() {
            seen["Attributes"] = Value::Object(system);
        }
        let chosen = chosen(&self.attributes, body);
        if !chosen.is_empty() {
            let chosen = Value::Object(chosen);
            seen["MD5OfMessageAttributes"] = json!(attributes_md5(&chosen));
            seen["MessageAttributes"] = chosen;
        }
        seen
    }
}

/// A sequence number in its usual 20 digits.
pub(super) fn sequence_number(number: u64) -> String {
    format!("{number:020}")
}

fn chosen(attributes: &Value, body: &Value) -> Map<String, Value> {
    let wanted = |name: &str| {
        texts(body, "MessageAttributeNames").any(|asked| {
            asked == "All"
                || asked == ".*"
                || asked == name
                || asked.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix))
        })
    };
    let all = attributes.as_object().into_iter().flatten();
    all.filter(|(name, _)| wanted(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// The MD5 of some bytes in hexadecimal.
pub(super) fn md5_hex(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

/// The MD5 of message attributes: names in order, each name, type and value with its length before it, and a byte
/// that says whether the value is text (1) or binary (2). `None` without attributes.
pub(super) fn attributes_md5(attributes: &Value) -> Option<String> {
    let sorted = attributes.as_object().filter(|all| !all.is_empty())?;
    let mut bytes = Vec::new();
    for (name, value) in sorted {
        put(&mut bytes, name.as_bytes());
        put(&mut bytes, text(value, "DataType").as_bytes());
        if let Some(binary) = value["BinaryValue"].as_str() {
            bytes.push(2);
            put(&mut bytes, &from_base64(binary));
        } else {
            bytes.push(1);
            put(&mut bytes, text(value, "StringValue").as_bytes());
        }
    }
    Some(md5_hex(&bytes))
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    let length = u32::try_from(part.len()).expect("a part of a message is under 1 MiB");
    bytes.extend(length.to_be_bytes());
    bytes.extend(part);
}

fn from_base64(encoded: &str) -> Vec<u8> {
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0_u32, 0_u32);
    for digit in encoded.bytes().filter_map(base64_digit) {
        held = (held << 6) | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xFF).expect("masked to eight bits"));
        }
    }
    bytes
}

fn base64_digit(character: u8) -> Option<u8> {
    match character {
        b'A'..=b'Z' => Some(character - b'A'),
        b'a'..=b'z' => Some(character - b'a' + 26),
        b'0'..=b'9' => Some(character - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_that_the_sdks_compute() {
        assert_eq!(md5_hex(b"hello"), "5d41402abc4b2a76b9719d911017c592");
        let attributes = json!({
            "k": {"DataType": "String", "StringValue": "v"},
            "b": {"DataType": "Binary", "BinaryValue": "AAEC/w=="},
        });
        // 1 "b" 6 "Binary" 2 4 0001 02ff, then 1 "k" 6 "String" 1 1 "v", through md5sum.
        assert_eq!(attributes_md5(&attributes).as_deref(), Some("f10ca8a3066173da72203a4ba1b6a984"));
        assert_eq!(attributes_md5(&json!({})), None);
    }

    #[test]
    fn base64_is_decoded_with_and_without_padding() {
        assert_eq!(from_base64("AAEC/w=="), [0, 1, 2, 255]);
        assert_eq!(from_base64("aGk"), b"hi");
    }
}
