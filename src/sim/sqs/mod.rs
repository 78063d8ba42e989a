//! Queues: visibility, receipts that rotate, receive counts, redrive, FIFO groups, the 12-hour limit.

mod batch;
mod message;
mod moves;
mod queue;
mod receive;
mod send;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use self::{moves::MoveTask, queue::Queue};
use super::{
    call::{Call, Fail, Outcome, Reply, Scope, text, texts},
    rng::Rng,
    settings::WorldSettings,
};
use crate::domain::Timestamp;

/// Which queue: a name in an account and Region.
pub(super) type QueueKey = (Scope, String);

/// All queues of the world.
#[derive(Clone, Debug, Default)]
pub(super) struct Queues {
    all: BTreeMap<QueueKey, Queue>,
    moves: Vec<MoveTask>,
    created: u64,
    /// Queues in which something became receivable since this was last taken.
    pub(super) arrivals: Vec<QueueKey>,
}

/// What an operation may use besides the queues.
pub(super) struct Desk<'a> {
    pub(super) now: Timestamp,
    pub(super) rng: &'a mut Rng,
    pub(super) settings: &'a WorldSettings,
    /// The messages that the call sent, handed out or deleted, for the call log.
    pub(super) moved: Vec<Value>,
}

/// Attributes that every queue has, with their defaults.
const DEFAULTS: [(&str, &str); 6] = [
    ("DelaySeconds", "0"),
    ("MaximumMessageSize", "1048576"),
    ("MessageRetentionPeriod", "345600"),
    ("ReceiveMessageWaitTimeSeconds", "0"),
    ("SqsManagedSseEnabled", "true"),
    ("VisibilityTimeout", "30"),
];

impl Queues {
    pub(super) fn call(&mut self, call: &Call, desk: &mut Desk<'_>) -> Reply {
        if call.operation == "ReceiveMessage" {
            return self.receive(call, desk).unwrap_or_else(Reply::Err);
        }
        Reply::from(self.other(call, desk))
    }

    fn other(&mut self, call: &Call, desk: &mut Desk<'_>) -> Outcome {
        let body = &call.body;
        match call.operation.as_str() {
            "CreateQueue" => self.create(call, desk),
            "GetQueueUrl" => self.url_of(call, desk),
            "ListQueues" => Ok(self.list(call, desk)),
            "StartMessageMoveTask" => self.start_move(body, desk),
            "ListMessageMoveTasks" => self.list_moves(body),
            "CancelMessageMoveTask" => self.cancel_move(body),
            "SendMessage" | "SendMessageBatch" => self.send_call(call, desk),
            "DeleteQueue" => self.delete_queue(call),
            "ListDeadLetterSourceQueues" => self.sources(call, desk),
            _ => self.on_queue(call, desk),
        }
    }

    fn on_queue(&mut self, call: &Call, desk: &mut Desk<'_>) -> Outcome {
        let key = self.key(call)?;
        let queue = self.all.get_mut(&key).expect("key() gives keys of queues that exist");
        queue.sweep(desk.now);
        match call.operation.as_str() {
            "GetQueueAttributes" => Ok(attributes(&key, queue, &call.body)),
            "SetQueueAttributes" => Ok(set_attributes(queue, &call.body)),
            "PurgeQueue" => {
                queue.purge();
                Ok(json!({}))
            }
            "DeleteMessage" => {
                desk.moved.extend(deleted(&key, queue.delete(text(&call.body, "ReceiptHandle"))?));
                self.note_arrival(&key);
                Ok(json!({}))
            }
            "ChangeMessageVisibility" => {
                change(queue, &call.body, desk.now)?;
                self.note_arrival(&key);
                Ok(json!({}))
            }
            "DeleteMessageBatch" => self.batch(&key, &call.body, |queue, entry| {
                desk.moved.extend(deleted(&key, queue.delete(text(entry, "ReceiptHandle"))?));
                Ok(json!({}))
            }),
            "ChangeMessageVisibilityBatch" => {
                let now = desk.now;
                self.batch(&key, &call.body, |queue, entry| change(queue, entry, now).map(|()| json!({})))
            }
            "TagQueue" => Ok(tag(queue, &call.body)),
            "UntagQueue" => Ok(untag(queue, &call.body)),
            "ListQueueTags" => Ok(json!({"Tags": queue.tags})),
            operation => Err(Fail::unknown(operation)),
        }
    }

    /// The queue that a call's `QueueUrl` names.
    fn key(&self, call: &Call) -> Result<QueueKey, Fail> {
        let key = named(call);
        if self.all.contains_key(&key) { Ok(key) } else { Err(no_queue()) }
    }

    fn key_of_arn(&self, arn: &str) -> Option<QueueKey> {
        let (scope, name) = Scope::of_arn(arn)?;
        let key = (scope, name.to_owned());
        self.all.contains_key(&key).then_some(key)
    }

    fn note_arrival(&mut self, key: &QueueKey) {
        if !self.arrivals.contains(key) {
            self.arrivals.push(key.clone());
        }
    }

    fn create(&mut self, call: &Call, desk: &Desk<'_>) -> Outcome {
        let name = text(&call.body, "QueueName");
        if name.is_empty() || name.len() > 80 {
            return Err(Fail::new("InvalidParameterValue", "Queue name must be 1 to 80 characters long."));
        }
        let key = (call.scope.clone(), name.to_owned());
        let given = given_attributes(&call.body);
        if let Some(queue) = self.all.get(&key) {
            same_attributes(queue, &given)?;
        } else {
            self.created += 1;
            let queue = new_queue(name, given, &call.body["tags"], self.created, desk.now);
            self.all.insert(key.clone(), queue);
        }
        Ok(json!({"QueueUrl": url(desk.settings, &key)}))
    }

    fn url_of(&self, call: &Call, desk: &Desk<'_>) -> Outcome {
        let owner = call.body["QueueOwnerAWSAccountId"].as_str().unwrap_or(&call.scope.account);
        let scope = Scope { account: owner.to_owned(), region: call.scope.region.clone() };
        let key = (scope, text(&call.body, "QueueName").to_owned());
        if !self.all.contains_key(&key) {
            return Err(no_queue());
        }
        Ok(json!({"QueueUrl": url(desk.settings, &key)}))
    }

    fn list(&self, call: &Call, desk: &Desk<'_>) -> Value {
        let prefix = text(&call.body, "QueueNamePrefix");
        let mine = self.all.keys().filter(|(scope, name)| *scope == call.scope && name.starts_with(prefix));
        json!({"QueueUrls": mine.map(|key| url(desk.settings, key)).collect::<Vec<_>>()})
    }

    fn delete_queue(&mut self, call: &Call) -> Outcome {
        let key = self.key(call)?;
        self.all.remove(&key);
        Ok(json!({}))
    }

    fn sources(&self, call: &Call, desk: &Desk<'_>) -> Outcome {
        let arn = arn(&self.key(call)?);
        let sources = self.all.iter().filter(|(_, queue)| queue.redrive().is_some_and(|to| to.target == arn));
        Ok(json!({"queueUrls": sources.map(|(key, _)| url(desk.settings, key)).collect::<Vec<_>>()}))
    }

    /// Everything that happens by itself up to now and that nobody asks about: messages that are being moved.
    pub(super) fn advance(&mut self, now: Timestamp, rng: &mut Rng) {
        self.advance_moves(now, rng);
    }

    /// Makes every message that is in flight receivable again.
    pub(super) fn end_holds(&mut self) {
        for queue in self.all.values_mut() {
            queue.end_holds();
        }
        self.arrivals = self.all.keys().cloned().collect();
    }

    /// When something in any queue next happens by itself.
    pub(super) fn next_wakeup(&self) -> Option<Timestamp> {
        let queues = self.all.values().filter_map(Queue::next_change);
        queues.chain(self.moves.iter().filter_map(MoveTask::due)).min()
    }

    /// When a message is next moved from one queue to another.
    pub(super) fn next_move(&self) -> Option<Timestamp> {
        self.moves.iter().filter_map(MoveTask::due).min()
    }

    /// Every queue with its counts and messages, for a test's eyes.
    pub(super) fn state(&mut self, now: Timestamp) -> Value {
        let mut all = Map::new();
        for (key, queue) in &mut self.all {
            queue.sweep(now);
            let counts = queue.counts();
            all.insert(
                arn(key),
                json!({
                    "ready": counts.ready, "in_flight": counts.in_flight, "delayed": counts.delayed,
                    "messages": queue.snapshot(),
                }),
            );
        }
        Value::Object(all)
    }
}

/// The queue that a call's `QueueUrl` names, whether or not it exists.
pub(super) fn named(call: &Call) -> QueueKey {
    let mut parts = text(&call.body, "QueueUrl").rsplit('/');
    let (name, account) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let account = if account.is_empty() { &call.scope.account } else { account };
    (Scope { account: account.to_owned(), region: call.scope.region.clone() }, name.to_owned())
}

/// What the call log says of a message: what became of it, in which queue, and its id.
fn moved(what: &str, (_, queue): &QueueKey, id: &str) -> Value {
    json!({"what": what, "queue": queue, "id": id})
}

fn deleted(key: &QueueKey, id: Option<String>) -> Option<Value> {
    id.map(|id| moved("deleted", key, &id))
}

fn no_queue() -> Fail {
    Fail::new("QueueDoesNotExist", "The specified queue does not exist.")
}

fn url(settings: &WorldSettings, (scope, name): &QueueKey) -> String {
    format!("{}/{}/{name}", settings.queue_base, scope.account)
}

fn arn((scope, name): &QueueKey) -> String {
    scope.arn("sqs", name)
}

fn given_attributes(body: &Value) -> BTreeMap<String, String> {
    let given = body["Attributes"].as_object().into_iter().flatten();
    given.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

fn same_attributes(queue: &Queue, given: &BTreeMap<String, String>) -> Result<(), Fail> {
    match given.iter().find(|(name, value)| queue.attributes.get(*name) != Some(value)) {
        None => Ok(()),
        Some((name, _)) => Err(Fail::new(
            "QueueNameExists",
            format!("A queue already exists with the same name and a different value for attribute {name}"),
        )),
    }
}

fn new_queue(
    name: &str,
    given: BTreeMap<String, String>,
    tags: &Value,
    number: u64,
    now: Timestamp,
) -> Queue {
    let mut attributes: BTreeMap<_, _> =
        DEFAULTS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let created = (now.as_millis() / 1000).to_string();
    attributes.insert("CreatedTimestamp".to_owned(), created.clone());
    attributes.insert("LastModifiedTimestamp".to_owned(), created);
    attributes.extend(given);
    let fifo = name.rsplit_once('.').is_some_and(|(_, kind)| kind == "fifo");
    let tags = if tags.is_object() { tags.clone() } else { json!({}) };
    Queue::new(attributes, tags, fifo, number)
}

fn attributes(key: &QueueKey, queue: &Queue, body: &Value) -> Value {
    let counts = queue.counts();
    let mut all = queue.attributes.clone();
    for (name, value) in [
        ("QueueArn", arn(key)),
        ("ApproximateNumberOfMessages", counts.ready.to_string()),
        ("ApproximateNumberOfMessagesNotVisible", counts.in_flight.to_string()),
        ("ApproximateNumberOfMessagesDelayed", counts.delayed.to_string()),
    ] {
        all.insert(name.to_owned(), value);
    }
    all.retain(|name, value| {
        !value.is_empty() && texts(body, "AttributeNames").any(|a| a == "All" || a == name)
    });
    if all.is_empty() { json!({}) } else { json!({"Attributes": all}) }
}

fn set_attributes(queue: &mut Queue, body: &Value) -> Value {
    queue.attributes.extend(given_attributes(body));
    json!({})
}

fn change(queue: &mut Queue, body: &Value, now: Timestamp) -> Result<(), Fail> {
    let timeout = body["VisibilityTimeout"].as_u64().ok_or_else(|| {
        Fail::new("MissingParameter", "The request must contain the parameter VisibilityTimeout.")
    })?;
    queue.change_visibility(text(body, "ReceiptHandle"), timeout, now)
}

fn tag(queue: &mut Queue, body: &Value) -> Value {
    for (name, value) in body["Tags"].as_object().into_iter().flatten() {
        queue.tags[name] = value.clone();
    }
    json!({})
}

fn untag(queue: &mut Queue, body: &Value) -> Value {
    if let Some(tags) = queue.tags.as_object_mut() {
        tags.retain(|name, _| !texts(body, "TagKeys").any(|key| key == name));
    }
    json!({})
}
