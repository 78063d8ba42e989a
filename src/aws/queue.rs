//! One SQS queue: receive, extend, delete, send.
//!
//! Only the receipt of the last receive is good for extending and deleting. Batches answer per entry: an HTTP 200
//! says nothing about one message.

use std::{collections::BTreeMap, fmt, time::Duration};

use aws_sdk_sqs::{
    config::retry::RetryConfig,
    operation::RequestId,
    types::{
        ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
        MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    },
};
use serde_json::Value;

use super::{
    Connections, Fence,
    connect::{CHANGE_TIMEOUT, RECEIVE_MARGIN, timeouts},
    failure::{Fault, Kind, one_line},
    observe::Calls,
};
use crate::domain::{MessageId, Region, Timestamp};

/// How many messages one call takes or gives: SQS's limit.
pub const BATCH: usize = 10;

/// How many attributes a message carries at most: SQS's limit.
pub const MAX_ATTRIBUTES: usize = 10;

/// How large body and attributes may be together: SQS's limit since 2025, 1 MiB.
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;

/// The longest that a message can be hidden at a time: SQS's limit, 12 hours.
pub const MAX_VISIBILITY: Duration = Duration::from_hours(12);

/// One queue.
#[derive(Clone, Debug)]
pub struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
    calls: Calls,
    fence: Fence,
}

/// What SQS gave for one message as received this time. Good for extending and deleting until the next receive.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt(String);

/// One message as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMessage {
    /// SQS's id of it.
    pub message_id: MessageId,
    /// The hold on it.
    pub receipt: Receipt,
    /// Its body.
    pub body: String,
    /// When SQS got it.
    pub sent_at: Timestamp,
    /// When it was first received by anybody.
    pub first_received: Timestamp,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// Who sent it, as SQS knows the caller.
    pub sender_id: Option<String>,
    /// The ARN of the queue from which SQS moved it here, if it did.
    pub moved_from: Option<String>,
    /// Its text attributes.
    pub attributes: BTreeMap<String, String>,
}

/// What a queue says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFacts {
    /// Its ARN.
    pub arn: String,
    /// Whether it is a FIFO queue.
    pub fifo: bool,
    /// The ARN of its dead-letter queue.
    pub dead_letter: Option<String>,
    /// After how many receives SQS moves a message there.
    pub max_receive_count: Option<u32>,
    /// How long it keeps a message.
    pub retention: Duration,
    /// The largest message that it takes, attributes included; what AWS allows at most where it does not say.
    pub max_message_bytes: usize,
    /// About how many messages can be received.
    pub visible: u64,
    /// About how many are received and not deleted.
    pub in_flight: u64,
    /// About how many are delayed.
    pub delayed: u64,
    /// Who may do what with it, as JSON.
    pub policy: Option<String>,
    /// The KMS key that it is encrypted with, by whatever name; none where SQS has the key.
    pub key: Option<String>,
}

/// A call to SQS that failed, for one message or as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct QueueError {
    /// The kind.
    pub kind: QueueErrorKind,
    /// One line for people.
    pub reason: String,
}

/// Why a call to SQS failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueErrorKind {
    /// Too many calls, or too many messages in flight.
    Throttled,
    /// There is no such queue.
    Gone,
    /// A permission or credentials are missing.
    Denied,
    /// The message is no longer ours: it became visible, was received again, or cannot be held longer.
    ReceiptInvalid,
    /// No answer, or SQS itself failed.
    Unreachable,
    /// Anything else.
    Other,
}

impl Connections {
    /// The queue at this URL. It is called in the Region that the URL names, if it names one.
    pub fn queue(&self, url: &str) -> Queue {
        let client = match region_of_url(url) {
            Some(region) if region != *self.region() => self.in_region(&region).sqs(),
            _ => self.sqs(),
        };
        Queue { client, url: url.to_owned(), calls: self.calls().clone(), fence: self.fence().clone() }
    }

    /// The URL of the queue with this ARN.
    pub async fn url_of(&self, arn: &str) -> Result<String, QueueError> {
        let wrong = || QueueError::other(format!("`{arn}` is not the ARN of an SQS queue"));
        let ["arn", _, "sqs", region, account, name] = arn.split(':').collect::<Vec<_>>()[..] else {
            return Err(wrong());
        };
        let client = self.in_region(&region.into()).sqs();
        let call = client.get_queue_url().queue_name(name).queue_owner_aws_account_id(account).send();
        let answer = self.calls().make("sqs", "GetQueueUrl", call).await;
        let answer = answer.map_err(|fault| QueueError::of(&fault, "GetQueueUrl"))?;
        answer.queue_url().map(str::to_owned).ok_or_else(wrong)
    }
}

impl Queue {
    /// The queue's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Up to `max` messages (at most [`BATCH`]), after waiting up to `wait` (whole seconds, at most 20) for the first.
    /// Each stays hidden for `visibility`. Tried once: the loop that receives is the retry, and has its own backoff.
    pub async fn receive(
        &self,
        max: usize,
        wait: Duration,
        visibility: Duration,
    ) -> Result<Vec<RawMessage>, QueueError> {
        let once = aws_sdk_sqs::config::Builder::new()
            .timeout_config(timeouts(wait + RECEIVE_MARGIN))
            .retry_config(RetryConfig::disabled());
        let call = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(max.clamp(1, BATCH)).unwrap_or(1))
            .wait_time_seconds(seconds(wait.min(Duration::from_secs(20))))
            .visibility_timeout(seconds(visibility))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .customize()
            .config_override(once)
            .send();
        let answer = self.make("ReceiveMessage", call).await?;
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(raw_message).collect())
    }

    /// Hides each message for so long from now, in the order given: one result each. At most [`BATCH`] at a time.
    pub async fn extend(&self, batch: &[(Receipt, Duration)]) -> Vec<Result<(), QueueError>> {
        let entries = batch.iter().enumerate().map(|(position, (receipt, visibility))| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(position.to_string())
                .receipt_handle(&receipt.0)
                .visibility_timeout(seconds(*visibility))
                .build()
                .expect("id and receipt handle are set")
        });
        let call = self.client.change_message_visibility_batch().queue_url(&self.url);
        let call = call.set_entries(Some(entries.collect())).send();
        match self.make("ChangeMessageVisibilityBatch", call).await {
            Ok(answer) => {
                let done = answer.successful.into_iter().map(|entry| entry.id);
                let failed = answer.failed.into_iter().map(|entry| (entry.id, entry.code, entry.message));
                per_entry("ChangeMessageVisibility", batch.len(), done, failed)
            }
            Err(error) => vec![Err(error); batch.len()],
        }
    }

    /// Gives messages back: each becomes visible after its delay, in the order given.
    pub async fn hand_back(&self, batch: &[(Receipt, Duration)]) -> Vec<Result<(), QueueError>> {
        self.extend(batch).await
    }

    /// Deletes messages, in the order given: one result each. At most [`BATCH`] at a time.
    pub async fn delete(&self, batch: &[Receipt]) -> Vec<Result<(), QueueError>> {
        let entries = batch.iter().enumerate().map(|(position, receipt)| {
            DeleteMessageBatchRequestEntry::builder()
                .id(position.to_string())
                .receipt_handle(&receipt.0)
                .build()
                .expect("id and receipt handle are set")
        });
        let call = self.client.delete_message_batch().queue_url(&self.url);
        let call = call.set_entries(Some(entries.collect())).customize();
        let call = call.config_override(self.changing()).send();
        match self.make("DeleteMessageBatch", call).await {
            Ok(answer) => {
                let done = answer.successful.into_iter().map(|entry| entry.id);
                let failed = answer.failed.into_iter().map(|entry| (entry.id, entry.code, entry.message));
                per_entry("DeleteMessage", batch.len(), done, failed)
            }
            Err(error) => vec![Err(error); batch.len()],
        }
    }

    /// Sends a message with at most [`MAX_ATTRIBUTES`] text attributes. Where both are too large together, the
    /// longest attributes are cut, never the body. Characters that SQS refuses are replaced in the attributes.
    pub async fn send(
        &self,
        body: &str,
        attributes: &BTreeMap<String, String>,
    ) -> Result<MessageId, QueueError> {
        if attributes.len() > MAX_ATTRIBUTES {
            return Err(QueueError::other(format!("a message carries {MAX_ATTRIBUTES} attributes at most")));
        }
        let mut call = self.client.send_message().queue_url(&self.url).message_body(body);
        for (name, value) in fit(body.len(), attributes) {
            let value = MessageAttributeValue::builder().data_type(TEXT).string_value(value).build();
            call = call.message_attributes(name, value.expect("the data type is set"));
        }
        let call = call.customize().config_override(self.changing()).send();
        let answer = self.make("SendMessage", call).await?;
        Ok(answer.message_id().unwrap_or_default().into())
    }

    /// What the queue says of itself. Its numbers are some seconds old.
    pub async fn facts(&self) -> Result<QueueFacts, QueueError> {
        let call = self.client.get_queue_attributes().queue_url(&self.url);
        let answer =
            self.make("GetQueueAttributes", call.attribute_names(QueueAttributeName::All).send()).await?;
        let attributes = answer.attributes.unwrap_or_default();
        Ok(facts(|name| attributes.get(&name).map(String::as_str)))
    }

    /// How calls are made that need the lease: fenced, and over before it can have moved.
    fn changing(&self) -> aws_sdk_sqs::config::Builder {
        aws_sdk_sqs::config::Builder::new()
            .timeout_config(timeouts(CHANGE_TIMEOUT))
            .interceptor(self.fence.clone())
    }

    /// The URL of its dead-letter queue: the one that is named, else that of its redrive policy.
    pub async fn dead_letter_url(
        &self,
        named: Option<&str>,
        facts: &QueueFacts,
        connections: &Connections,
    ) -> Result<String, QueueError> {
        match (named, &facts.dead_letter) {
            (Some(url), _) => Ok(url.to_owned()),
            (None, Some(arn)) => connections.url_of(arn).await,
            (None, None) => Err(QueueError::other(format!(
                "{} has no dead-letter queue: set its redrive policy (maxReceiveCount 100 or more), or \
                 queue.dead_letter_url",
                self.url
            ))),
        }
    }

    fn make<T, E>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, aws_sdk_sqs::error::SdkError<E>>>,
    ) -> impl Future<Output = Result<T, QueueError>>
    where
        T: RequestId,
        E: aws_sdk_sqs::error::ProvideErrorMetadata + RequestId + std::error::Error + 'static,
    {
        let call = self.calls.make("sqs", operation, call);
        async move { call.await.map_err(|fault| QueueError::of(&fault, operation)) }
    }
}

impl Receipt {
    /// From the text that SQS gave.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

#[cfg(test)]
impl RawMessage {
    /// One of no content, received once.
    pub(crate) fn empty(id: &str) -> Self {
        Self {
            message_id: id.into(),
            receipt: Receipt::new(id),
            body: String::new(),
            sent_at: Timestamp::default(),
            first_received: Timestamp::default(),
            receive_count: 1,
            sender_id: None,
            moved_from: None,
            attributes: BTreeMap::new(),
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt(…)")
    }
}

impl QueueError {
    fn of(fault: &Fault, operation: &str) -> Self {
        let kind = match fault.kind() {
            Kind::Throttled => QueueErrorKind::Throttled,
            Kind::Missing => QueueErrorKind::Gone,
            Kind::Denied | Kind::Credentials => QueueErrorKind::Denied,
            Kind::Server | Kind::Lost | Kind::Unreachable => QueueErrorKind::Unreachable,
            Kind::Refused | Kind::Unsupported => fault.code().map_or(QueueErrorKind::Other, kind_of_entry),
        };
        Self { kind, reason: fault.reason(operation) }
    }

    fn other(reason: String) -> Self {
        Self { kind: QueueErrorKind::Other, reason }
    }
}

/// The type of every attribute that we send; its length counts towards the message's.
const TEXT: &str = "String";

/// A duration as SQS takes it: whole seconds, at most 12 hours.
fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.min(MAX_VISIBILITY).as_secs()).expect("12 hours in seconds fit")
}

/// `https://sqs.eu-west-1.amazonaws.com/…` names a Region; the address of an emulator does not.
fn region_of_url(url: &str) -> Option<Region> {
    let host = url.split_once("://")?.1.split('/').next()?;
    let (region, domain) = host.strip_prefix("sqs.")?.split_once('.')?;
    domain.starts_with("amazonaws.com").then(|| region.into())
}

/// A message without id or receipt could neither be deleted nor extended: it is left to become visible again.
fn raw_message(message: Message) -> Option<RawMessage> {
    let system = message.attributes.unwrap_or_default();
    let number = |name| system.get(&name).and_then(|text| text.parse::<i64>().ok());
    let time = |name| number(name).map_or_else(Timestamp::default, Timestamp::from_millis);
    let count = number(MessageSystemAttributeName::ApproximateReceiveCount);
    let attributes = message.message_attributes.unwrap_or_default();
    let texts = attributes.into_iter().filter_map(|(name, value)| Some((name, value.string_value?)));
    Some(RawMessage {
        message_id: message.message_id?.into(),
        receipt: Receipt(message.receipt_handle?),
        body: message.body.unwrap_or_default(),
        sent_at: time(MessageSystemAttributeName::SentTimestamp),
        first_received: time(MessageSystemAttributeName::ApproximateFirstReceiveTimestamp),
        receive_count: count.and_then(|count| u32::try_from(count).ok()).unwrap_or(1),
        sender_id: system.get(&MessageSystemAttributeName::SenderId).cloned(),
        moved_from: system.get(&MessageSystemAttributeName::DeadLetterQueueSourceArn).cloned(),
        attributes: texts.collect(),
    })
}

/// One result per entry, by the position that its id names. An entry that the answer leaves out has failed.
fn per_entry(
    operation: &str,
    entries: usize,
    done: impl IntoIterator<Item = String>,
    failed: impl IntoIterator<Item = (String, String, Option<String>)>,
) -> Vec<Result<(), QueueError>> {
    let silent = QueueError::other(format!("{operation}: SQS did not answer for this message"));
    let mut results = vec![Err(silent); entries];
    let mut put = |id: String, result| {
        if let Some(slot) = id.parse::<usize>().ok().and_then(|position| results.get_mut(position)) {
            *slot = result;
        }
    };
    for (id, code, message) in failed {
        let words = message.unwrap_or_default();
        let reason = one_line(&format!("{operation}: {code}: {words}"));
        put(id, Err(QueueError { kind: kind_of_entry(&code), reason }));
    }
    done.into_iter().for_each(|id| put(id, Ok(())));
    results
}

/// What the code of one entry means. The only parameter of these calls that SQS can find wrong is the receipt, or
/// a wait beyond the 12 hours since the first receive: the hold is lost either way.
fn kind_of_entry(code: &str) -> QueueErrorKind {
    match code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code) {
        "ReceiptHandleIsInvalid"
        | "MessageNotInflight"
        | "InvalidParameterValue"
        | "InvalidParameterValueException" => QueueErrorKind::ReceiptInvalid,
        "RequestThrottled" | "ThrottlingException" | "OverLimit" | "KmsThrottled" => {
            QueueErrorKind::Throttled
        }
        "AccessDenied" | "AccessDeniedException" | "KmsAccessDenied" => QueueErrorKind::Denied,
        "QueueDoesNotExist" | "NonExistentQueue" => QueueErrorKind::Gone,
        "InternalError" | "InternalFailure" | "ServiceUnavailable" => QueueErrorKind::Unreachable,
        _ => QueueErrorKind::Other,
    }
}

/// The attributes as they can be sent beside a body of this size: legal, not empty, the longest cut to what fits.
fn fit(body: usize, attributes: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let legal = attributes.iter().map(|(name, value)| (name.clone(), value.replace(refused, "\u{fffd}")));
    let mut kept: BTreeMap<String, String> = legal.filter(|(_, value)| !value.is_empty()).collect();
    let room = MAX_MESSAGE_BYTES.saturating_sub(body);
    let size = |(name, value): (&String, &String)| name.len() + TEXT.len() + value.len();
    while let over @ 1.. = kept.iter().map(size).sum::<usize>().saturating_sub(room) {
        let longest = kept.iter().max_by_key(|(_, value)| value.len()).map(|(name, _)| name.clone());
        let name = longest.expect("what takes room is not empty");
        let value = kept.get_mut(&name).expect("it was found by its name");
        // A body that leaves no room for names leaves none for attributes.
        match value.len().checked_sub(over).filter(|left| *left > 0) {
            Some(left) => value.truncate(value.floor_char_boundary(left)),
            None => drop(kept.remove(&name)),
        }
        if kept.get(&name).is_some_and(String::is_empty) {
            kept.remove(&name);
        }
    }
    kept
}

/// Whether SQS refuses this character in a message.
fn refused(c: char) -> bool {
    !matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Reads the attributes of a queue. Their values are texts, and an emulator may write a number as `1.0`.
fn facts<'a>(attribute: impl Fn(QueueAttributeName) -> Option<&'a str>) -> QueueFacts {
    let number = |name| attribute(name).and_then(whole).unwrap_or(0);
    let text = |name| attribute(name).filter(|text| !text.is_empty()).map(str::to_owned);
    let redrive = attribute(QueueAttributeName::RedrivePolicy);
    let redrive: Value = redrive.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let receives = &redrive["maxReceiveCount"];
    let receives = receives.as_u64().or_else(|| receives.as_str().and_then(whole));
    QueueFacts {
        arn: attribute(QueueAttributeName::QueueArn).unwrap_or_default().to_owned(),
        fifo: attribute(QueueAttributeName::FifoQueue) == Some("true"),
        dead_letter: redrive["deadLetterTargetArn"].as_str().map(str::to_owned),
        max_receive_count: receives.and_then(|count| u32::try_from(count).ok()),
        retention: Duration::from_secs(number(QueueAttributeName::MessageRetentionPeriod)),
        max_message_bytes: attribute(QueueAttributeName::MaximumMessageSize)
            .and_then(whole)
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(MAX_MESSAGE_BYTES),
        visible: number(QueueAttributeName::ApproximateNumberOfMessages),
        in_flight: number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
        delayed: number(QueueAttributeName::ApproximateNumberOfMessagesDelayed),
        policy: text(QueueAttributeName::Policy),
        key: text(QueueAttributeName::KmsMasterKeyId),
    }
}

fn whole(text: &str) -> Option<u64> {
    text.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests;
