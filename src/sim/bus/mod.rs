//! Event buses: rules bring events to queues and to other buses, archives keep them for replays.

mod archive;
mod rules;
mod transform;

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use self::{
    archive::Archive,
    rules::{Rule, invalid_pattern},
};
use super::{
    call::{Call, Fail, Outcome, Scope, list, tail, text},
    rng::Rng,
    settings::WorldSettings,
    sqs::Queues,
};
use crate::domain::{Timestamp, matches_pattern, read_pattern};

/// Which bus: a name in an account and Region.
type BusKey = (Scope, String);

/// How many buses an event may cross; AWS stops after one hop between accounts.
const MOST_HOPS: u8 = 3;

#[derive(Clone, Debug, Default)]
struct Bus {
    policy: Option<Value>,
    rules: BTreeMap<String, Rule>,
    archives: BTreeMap<String, Archive>,
}

/// Something that a service of AWS, or a caller of `PutEvents`, tells a bus.
#[derive(Clone, Debug)]
pub(super) struct Emission {
    pub(super) scope: Scope,
    pub(super) source: String,
    pub(super) detail_type: String,
    pub(super) time: Timestamp,
    pub(super) resources: Vec<String>,
    pub(super) detail: Value,
}

/// All buses of the world. The default bus of an account exists without being made.
#[derive(Clone, Debug, Default)]
pub(super) struct Buses {
    buses: BTreeMap<BusKey, Bus>,
    replays: BTreeMap<String, Value>,
}

/// What delivery needs.
pub(super) struct Post<'a> {
    pub(super) now: Timestamp,
    pub(super) rng: &'a mut Rng,
    pub(super) settings: &'a WorldSettings,
    pub(super) queues: &'a mut Queues,
}

impl Buses {
    pub(super) fn call(&mut self, call: &Call, post: &mut Post<'_>) -> Outcome {
        self.buses.entry((call.scope.clone(), "default".to_owned())).or_default();
        let body = &call.body;
        match call.operation.as_str() {
            "PutEvents" => self.put_events(call, post),
            "CreateEventBus" => self.create(call),
            "DescribeEventBus" => self.describe(call),
            "ListEventBuses" => Ok(self.list(call)),
            "DeleteEventBus" => {
                self.buses.remove(&bus_key(&call.scope, body, "Name"));
                Ok(json!({}))
            }
            "PutPermission" => self.put_permission(call),
            "TestEventPattern" => test_pattern(body),
            "CreateArchive" => self.create_archive(call, post.now),
            "DescribeArchive" => self.describe_archive(body),
            "StartReplay" => self.start_replay(call, post),
            "DescribeReplay" => self.describe_replay(body),
            _ => self.rule_call(call),
        }
    }

    fn put_events(&mut self, call: &Call, post: &mut Post<'_>) -> Outcome {
        if !(1..=10).contains(&list(&call.body, "Entries").len()) {
            return Err(Fail::new("ValidationException", "Entries must have between 1 and 10 members."));
        }
        let mut failed = 0;
        let mut entries = Vec::new();
        for entry in list(&call.body, "Entries") {
            entries.push(match self.put_event(&call.scope, entry, post) {
                Ok(id) => json!({"EventId": id}),
                Err(fail) => {
                    failed += 1;
                    json!({"ErrorCode": fail.code, "ErrorMessage": fail.message})
                }
            });
        }
        Ok(json!({"FailedEntryCount": failed, "Entries": entries}))
    }

    fn put_event(&mut self, scope: &Scope, entry: &Value, post: &mut Post<'_>) -> Result<String, Fail> {
        let source = text(entry, "Source");
        if source.starts_with("aws.") && !post.settings.allow_aws_sources {
            return Err(Fail::new("NotAuthorizedForSourceException", "Not authorized for the source."));
        }
        let detail = serde_json::from_str::<Value>(text(entry, "Detail")).ok().filter(Value::is_object);
        let detail = detail.ok_or_else(|| Fail::new("MalformedDetail", "Detail is malformed."))?;
        let key = bus_key(scope, entry, "EventBusName");
        if !self.admits(&key, scope)? {
            return Ok(post.rng.uuid());
        }
        let emission = Emission {
            scope: scope.clone(),
            source: source.to_owned(),
            detail_type: text(entry, "DetailType").to_owned(),
            time: entry["Time"].as_f64().map_or(post.now, Timestamp::from_seconds),
            resources: list(entry, "Resources").iter().filter_map(|r| Some(r.as_str()?.to_owned())).collect(),
            detail,
        };
        Ok(self.publish_to(&key, &emission, post))
    }

    /// Whether the bus is there; events for one that is not are dropped without a word, as in AWS.
    fn admits(&self, key: &BusKey, caller: &Scope) -> Result<bool, Fail> {
        let Some(bus) = self.buses.get(key) else { return Ok(false) };
        let invited = || {
            let policy = bus.policy.as_ref().map(Value::to_string).unwrap_or_default();
            policy.contains(&caller.account) || policy.contains("\"*\"")
        };
        if key.0.account == caller.account || invited() {
            return Ok(true);
        }
        Err(Fail::new("AccessDeniedException", "The caller is not authorized to perform: events:PutEvents"))
    }

    /// Publishes what a service of AWS says on the default bus of its account.
    pub(super) fn publish(&mut self, emission: &Emission, post: &mut Post<'_>) {
        self.publish_to(&(emission.scope.clone(), "default".to_owned()), emission, post);
    }

    fn publish_to(&mut self, key: &BusKey, emission: &Emission, post: &mut Post<'_>) -> String {
        let id = post.rng.uuid();
        let event = json!({
            "version": "0", "id": id, "detail-type": emission.detail_type, "source": emission.source,
            "account": emission.scope.account, "time": whole_seconds(emission.time),
            "region": emission.scope.region, "resources": emission.resources, "detail": emission.detail,
        });
        self.route(key.clone(), &event, post);
        id
    }

    /// Brings an event to every target of every rule that it matches, over other buses too.
    fn route(&mut self, key: BusKey, event: &Value, post: &mut Post<'_>) {
        let mut pending = VecDeque::from([(key, 0)]);
        while let Some((key, hops)) = pending.pop_front() {
            for (rule, target) in self.targets(&key, event, post.now) {
                let arn = text(&target, "Arn");
                if arn.contains(":event-bus/") {
                    if hops < MOST_HOPS {
                        pending.push_back((bus_key(&key.0, &target, "Arn"), hops + 1));
                    }
                } else {
                    deliver(&rule, &target, event, post);
                }
            }
        }
    }

    /// The targets of an event, each with the ARN of its rule.
    fn targets(&mut self, key: &BusKey, event: &Value, now: Timestamp) -> Vec<(String, Value)> {
        let Some(bus) = self.buses.get_mut(key) else { return Vec::new() };
        for archive in bus.archives.values_mut() {
            archive.keep(event, now);
        }
        let matching = bus.rules.values().filter(|rule| rule.wants(event));
        matching
            .flat_map(|rule| rule.targets.iter().map(|target| (rule.arn.clone(), target.clone())))
            .collect()
    }

    fn create(&mut self, call: &Call) -> Outcome {
        let key = (call.scope.clone(), text(&call.body, "Name").to_owned());
        let arn = bus_arn(&key);
        if self.buses.contains_key(&key) {
            return Err(Fail::new(
                "ResourceAlreadyExistsException",
                format!("Event bus {} already exists.", key.1),
            ));
        }
        self.buses.insert(key, Bus::default());
        Ok(json!({"EventBusArn": arn}))
    }

    fn describe(&self, call: &Call) -> Outcome {
        let key = bus_key(&call.scope, &call.body, "Name");
        let bus = self.buses.get(&key).ok_or_else(|| no_bus(&key))?;
        let mut described = json!({"Name": key.1, "Arn": bus_arn(&key)});
        if let Some(policy) = &bus.policy {
            described["Policy"] = json!(policy.to_string());
        }
        Ok(described)
    }

    fn list(&self, call: &Call) -> Value {
        let mine = self.buses.keys().filter(|(scope, _)| *scope == call.scope);
        json!({"EventBuses": mine.map(|key| json!({"Name": key.1, "Arn": bus_arn(key)})).collect::<Vec<_>>()})
    }

    fn put_permission(&mut self, call: &Call) -> Outcome {
        let bus = self.bus(call)?;
        let whole = call.body["Policy"].as_str().and_then(|policy| serde_json::from_str(policy).ok());
        bus.policy = Some(whole.unwrap_or_else(|| call.body.clone()));
        Ok(json!({}))
    }

    fn bus(&mut self, call: &Call) -> Result<&mut Bus, Fail> {
        let key = bus_key(&call.scope, &call.body, "EventBusName");
        let missing = no_bus(&key);
        self.buses.get_mut(&key).ok_or(missing)
    }
}

/// Sends an event to one queue; if that fails, to the target's dead-letter queue with the reason.
fn deliver(rule: &str, target: &Value, event: &Value, post: &mut Post<'_>) {
    let arn = text(target, "Arn");
    let mut message = json!({"MessageBody": transform::body(target, event)});
    if let Some(group) = target["SqsParameters"]["MessageGroupId"].as_str() {
        message["MessageGroupId"] = json!(group);
    }
    let Err(fail) = post.queues.deliver(arn, &message, post.now, post.rng) else { return };
    let Some(dead_letters) = target["DeadLetterConfig"]["Arn"].as_str() else { return };
    let attribute = |value: &str| json!({"DataType": "String", "StringValue": value});
    let code = if fail.code == "QueueDoesNotExist" { "NO_RESOURCE" } else { "SDK_CLIENT_ERROR" };
    let message = json!({"MessageBody": event.to_string(), "MessageAttributes": {
        "ERROR_CODE": attribute(code), "ERROR_MESSAGE": attribute(&fail.message),
        "TARGET_ARN": attribute(arn), "RULE_ARN": attribute(rule),
    }});
    // A dead-letter queue that is missing too loses the event, as in AWS.
    let _ = post.queues.deliver(dead_letters, &message, post.now, post.rng);
}

/// The bus that a field names: by ARN, by name, or the default one.
fn bus_key(scope: &Scope, body: &Value, field: &str) -> BusKey {
    match body[field].as_str() {
        None => (scope.clone(), "default".to_owned()),
        Some(name) => match Scope::of_arn(name) {
            Some((scope, resource)) => (scope, tail(resource).to_owned()),
            None => (scope.clone(), name.to_owned()),
        },
    }
}

fn bus_arn((scope, name): &BusKey) -> String {
    scope.arn("events", &format!("event-bus/{name}"))
}

fn no_bus((_, name): &BusKey) -> Fail {
    Fail::new("ResourceNotFoundException", format!("Event bus {name} does not exist."))
}

fn test_pattern(body: &Value) -> Outcome {
    let pattern = read_pattern(text(body, "EventPattern")).map_err(invalid_pattern)?;
    let event: Value = serde_json::from_str(text(body, "Event"))
        .map_err(|_| Fail::new("InvalidEventPatternException", "Event is not valid JSON."))?;
    Ok(json!({"Result": matches_pattern(&pattern, &event)}))
}

fn whole_seconds(at: Timestamp) -> String {
    Timestamp::from_millis(at.as_millis().div_euclid(1000) * 1000).to_string()
}

#[cfg(test)]
mod tests;
