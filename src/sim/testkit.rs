//! A world with a clock in hand, for the contract tests of this folder.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Call, Reply, Scope, Service, World, WorldSettings};
use crate::domain::Timestamp;

/// A world and the present time.
pub(super) struct Bench {
    pub(super) world: World,
    pub(super) now: Timestamp,
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with(WorldSettings::default())
    }

    pub(super) fn with(settings: WorldSettings) -> Self {
        let now = Timestamp::parse("2026-11-01T12:00:00Z").expect("a time");
        Self { world: World::new(1, settings), now }
    }

    pub(super) fn reply(&mut self, service: Service, operation: &str, body: Value) -> Reply {
        self.world.call(self.now, &Call::new(service, operation, body))
    }

    pub(super) fn call(&mut self, service: Service, operation: &str, body: Value) -> Value {
        let reply = self.reply(service, operation, body);
        let Reply::Ok(value) = reply else { panic!("{operation}: {reply:?}") };
        value
    }

    /// A call by somebody else, or in another Region.
    pub(super) fn call_at(&mut self, scope: &Scope, service: Service, operation: &str, body: Value) -> Reply {
        let call = Call { scope: scope.clone(), ..Call::new(service, operation, body) };
        self.world.call(self.now, &call)
    }

    /// The code of the error that a call must give.
    pub(super) fn fails(&mut self, service: Service, operation: &str, body: Value) -> &'static str {
        let reply = self.reply(service, operation, body);
        let Reply::Err(fail) = reply else { panic!("{operation}: {reply:?}") };
        fail.code
    }

    pub(super) fn pass(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
        self.world.advance(self.now);
    }

    pub(super) fn ecs(&mut self, operation: &str, body: Value) -> Value {
        self.call(Service::Ecs, operation, body)
    }

    pub(super) fn sqs(&mut self, operation: &str, body: Value) -> Value {
        self.call(Service::Sqs, operation, body)
    }

    pub(super) fn queue(&mut self, name: &str, attributes: &Value) -> String {
        let made = self.sqs("CreateQueue", json!({"QueueName": name, "Attributes": attributes}));
        made["QueueUrl"].as_str().expect("a url").to_owned()
    }

    pub(super) fn send(&mut self, url: &str, body: &str) -> String {
        let sent = self.sqs("SendMessage", json!({"QueueUrl": url, "MessageBody": body}));
        sent["MessageId"].as_str().expect("an id").to_owned()
    }

    /// Receives up to ten messages with all their attributes.
    pub(super) fn receive(&mut self, url: &str) -> Vec<Value> {
        let got = self.sqs(
            "ReceiveMessage",
            json!({"QueueUrl": url, "MaxNumberOfMessages": 10, "AttributeNames": ["All"], "MessageAttributeNames": ["All"]}),
        );
        got["Messages"].as_array().cloned().unwrap_or_default()
    }

    /// A queue that gets every event of one source.
    pub(super) fn listen(&mut self, source: &str) -> String {
        let name = format!("events-{}", source.replace('.', "-"));
        let url = self.queue(&name, &json!({}));
        let pattern = json!({"source": [source]}).to_string();
        self.call(Service::Events, "PutRule", json!({"Name": name, "EventPattern": pattern}));
        let arn = format!("arn:aws:sqs:us-east-1:000000000000:{name}");
        self.call(Service::Events, "PutTargets", json!({"Rule": name, "Targets": [{"Id": "1", "Arn": arn}]}));
        url
    }

    /// All events that a queue got, and deletes them.
    pub(super) fn heard(&mut self, url: &str) -> Vec<Value> {
        let mut heard = Vec::new();
        loop {
            let batch = self.receive(url);
            if batch.is_empty() {
                return heard;
            }
            for message in batch {
                heard
                    .push(serde_json::from_str(message["Body"].as_str().expect("a body")).expect("an event"));
                self.sqs(
                    "DeleteMessage",
                    json!({"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}),
                );
            }
        }
    }
}
