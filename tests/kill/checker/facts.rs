//! What was so, put together from the log of calls and the end of the world.

use std::collections::BTreeMap;

use serde_json::Value;

use super::asked::{self, Asked, Content, Digests, Meaning};
use crate::{
    estate::{CONTAINER, TARGETS, TIMEOUT_MS},
    record::{By, Line, Record},
};

/// One message in the queue of events, however often it is delivered.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub body: String,
    pub meaning: Meaning,
    /// The calls that handed it out, and those that deleted it.
    pub received: Vec<u64>,
    pub deleted: Vec<u64>,
}

/// How a rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Live,
    Succeeded,
    Failed,
    RolledBack,
    Superseded,
}

/// What a rollout went over.
#[derive(Clone, Debug)]
pub struct Over {
    pub is_rollback: bool,
    pub is_live: bool,
    pub failed_tasks: u64,
    pub created: u64,
    pub id: String,
}

/// One rollout of a target.
#[derive(Clone, Debug)]
pub struct Rollout {
    pub id: String,
    /// The call that began it; 0 for the first of a service.
    pub call: u64,
    pub by: By,
    pub created: u64,
    pub ended: Option<u64>,
    pub fate: Fate,
    /// Such as `api:7`.
    pub definition: String,
    /// What its tasks ran, where ECS resolved it.
    pub digest: Option<String>,
    /// What its definition names, and the image behind that.
    pub image: String,
    pub named: Content,
    pub over: Vec<Over>,
}

/// A message in the dead-letter queue.
#[derive(Clone, Debug)]
pub struct Letter {
    pub call: u64,
    pub at: u64,
    pub body: String,
    pub target: Option<String>,
    pub outcome: Option<String>,
}

/// Everything that matters of a record.
pub struct Facts<'a> {
    pub record: &'a Record,
    pub messages: Vec<Message>,
    pub letters: Vec<Letter>,
    /// The rollouts of each target, the oldest first.
    pub rollouts: BTreeMap<&'static str, Vec<Rollout>>,
    /// The images of each revision, by container.
    pub revisions: BTreeMap<String, BTreeMap<String, String>>,
    pub digests: Digests,
    /// The ids of what is left in the queue of events.
    pub left: Vec<String>,
    at: BTreeMap<u64, u64>,
}

impl<'a> Facts<'a> {
    pub fn of(record: &'a Record) -> Self {
        let mut digests = Digests::new();
        for (_, body) in sent(record, "events") {
            asked::learn(body, &mut digests);
        }
        let mut facts = Self {
            record,
            messages: messages(record, &digests),
            letters: letters(record),
            rollouts: BTreeMap::new(),
            revisions: revisions(record),
            digests,
            left: left(record),
            at: record.log.iter().map(|line| (line.sequence, line.at)).collect(),
        };
        facts.rollouts = TARGETS.iter().map(|it| (it.name, rollouts(it.name, &facts))).collect();
        facts
    }

    /// When a call was made.
    pub fn at(&self, call: u64) -> u64 {
        self.at.get(&call).copied().unwrap_or(0)
    }

    /// How many calls were made by this time.
    pub fn calls_by(&self, at: u64) -> u64 {
        self.record.log.partition_point(|line| line.at <= at) as u64
    }

    /// Everything that was asked of a target, and the message that asks it.
    pub fn asked_of<'f>(&'f self, target: &'f str) -> impl Iterator<Item = (&'f Message, &'f Asked)> {
        let all = self.messages.iter().flat_map(|message| match &message.meaning {
            Meaning::Asks { asked, .. } => asked.iter().map(move |it| (message, it)).collect(),
            Meaning::Unreadable => Vec::new(),
        });
        all.filter(move |(_, asked)| asked.target == target)
    }

    fn image_of(&self, definition: &str) -> Option<&str> {
        self.revisions.get(definition)?.get(CONTAINER).map(String::as_str)
    }

    /// The content that a definition names for the container that images are for.
    pub fn content_of(&self, definition: &str) -> Content {
        self.image_of(definition)
            .map_or_else(|| format!("unknown {definition}"), |image| asked::content(image, &self.digests))
    }

    /// The failed rollout that this one of ours goes back from: the one before it, if this is what ran until that began.
    pub fn undone_by(&self, target: &str, rollout: &Rollout) -> Option<&Rollout> {
        let before = self.rollouts[target].iter().filter(|it| it.created < rollout.created);
        let failed = before.max_by_key(|it| it.created)?;
        let is_lost = match failed.fate_at(rollout.created) {
            Fate::Failed => true,
            Fate::Live => failed.created + TIMEOUT_MS <= rollout.created,
            Fate::Succeeded | Fate::RolledBack | Fate::Superseded => false,
        };
        let was = self.complete_at(target, failed.created)?;
        let is_what_was = [was.named.as_str(), was.content()].contains(&rollout.named.as_str());
        (rollout.by == By::Daemon && is_lost && is_what_was).then_some(failed)
    }

    /// The rollout whose tasks ran at this time when all was done: the last that had completed.
    pub fn complete_at(&self, target: &str, at: u64) -> Option<&Rollout> {
        let done = |it: &&Rollout| it.fate == Fate::Succeeded && it.ended.is_some_and(|ended| ended <= at);
        self.rollouts[target].iter().filter(done).max_by_key(|it| it.ended)
    }
}

impl Rollout {
    /// What became of it by then.
    pub fn fate_at(&self, at: u64) -> Fate {
        if self.ended.is_some_and(|ended| ended <= at) { self.fate } else { Fate::Live }
    }

    /// What it runs, or would.
    pub fn content(&self) -> &str {
        self.digest.as_deref().unwrap_or(&self.named)
    }
}

/// The messages that calls sent to a queue: the line, and the body.
fn sent<'r>(record: &'r Record, queue: &'r str) -> impl Iterator<Item = (&'r Line, &'r str)> {
    let is_sent = move |line: &&Line| moved(line, queue, "sent").next().is_some();
    let lines = record.log.iter().filter(|line| line.operation == "SendMessage").filter(is_sent);
    lines.filter_map(|line| Some((line, line.request["MessageBody"].as_str()?)))
}

/// The ids of the messages of a queue that a call sent, handed out or deleted.
fn moved<'r>(line: &'r Line, queue: &'r str, what: &'r str) -> impl Iterator<Item = &'r str> {
    let all = line.changed.as_array().into_iter().flatten();
    all.filter(move |it| it["what"] == what && it["queue"] == queue).filter_map(|it| it["id"].as_str())
}

fn messages(record: &Record, digests: &Digests) -> Vec<Message> {
    let mut messages: Vec<Message> = sent(record, "events")
        .map(|(line, body)| Message {
            id: moved(line, "events", "sent").next().expect("it was sent").to_owned(),
            body: body.to_owned(),
            meaning: asked::read(body, line.at, digests),
            received: Vec::new(),
            deleted: Vec::new(),
        })
        .collect();
    let places: BTreeMap<String, usize> =
        messages.iter().enumerate().map(|(place, it)| (it.id.clone(), place)).collect();
    for line in &record.log {
        for id in moved(line, "events", "received") {
            if let Some(place) = places.get(id) {
                messages[*place].received.push(line.sequence);
            }
        }
        for id in moved(line, "events", "deleted") {
            if let Some(place) = places.get(id) {
                messages[*place].deleted.push(line.sequence);
            }
        }
    }
    messages
}

fn letters(record: &Record) -> Vec<Letter> {
    let attribute = |line: &Line, name: &str| {
        line.request["MessageAttributes"][name]["StringValue"].as_str().map(str::to_owned)
    };
    sent(record, "dead")
        .map(|(line, body)| Letter {
            call: line.sequence,
            at: line.at,
            body: body.to_owned(),
            target: attribute(line, "lockkeeper.target"),
            outcome: attribute(line, "lockkeeper.outcome"),
        })
        .collect()
}

fn left(record: &Record) -> Vec<String> {
    let queues = record.state["queues"].as_object().into_iter().flatten();
    let events = queues.filter(|(arn, _)| arn.ends_with(":events"));
    events
        .flat_map(|(_, queue)| queue["messages"].as_array().cloned().unwrap_or_default())
        .filter_map(|message| message["id"].as_str().map(str::to_owned))
        .collect()
}

fn revisions(record: &Record) -> BTreeMap<String, BTreeMap<String, String>> {
    let registered = record.log.iter().filter_map(|line| Some((line, line.changed["registered"].as_str()?)));
    registered
        .map(|(line, arn)| {
            let containers = line.request["containerDefinitions"].as_array().cloned().unwrap_or_default();
            let text = |it: &Value, key: &str| it[key].as_str().unwrap_or_default().to_owned();
            let images = containers.iter().map(|it| (text(it, "name"), text(it, "image")));
            (tail(arn), images.collect())
        })
        .collect()
}

fn tail(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or(arn).to_owned()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time of this age")]
fn millis(seconds: &Value) -> Option<u64> {
    seconds.as_f64().map(|seconds| (seconds * 1000.0).round() as u64)
}

fn rollouts(target: &str, facts: &Facts<'_>) -> Vec<Rollout> {
    let services = facts.record.state["services"].as_object().into_iter().flatten();
    let service = services.filter(|(arn, _)| tail(arn) == target).map(|(_, service)| service).next();
    let history = service.and_then(|service| service["history"].as_array()).cloned().unwrap_or_default();
    let mut rollouts: Vec<Rollout> = history.iter().map(|it| rollout(it, facts)).collect();
    rollouts.sort_by_key(|it| (it.created, it.call));
    rollouts
}

fn rollout(described: &Value, facts: &Facts<'_>) -> Rollout {
    let id = described["id"].as_str().expect("it has an id").to_owned();
    let began = facts.record.log.iter().find(|line| line.changed["deployment"] == id.as_str());
    let definition = tail(described["revision"]["taskDefinition"].as_str().expect("it has a definition"));
    let images = described["revision"]["containerImages"].as_array().cloned().unwrap_or_default();
    let digest = images.iter().find(|it| it["containerName"] == CONTAINER);
    let over = began.and_then(|line| line.changed["over"].as_array()).cloned().unwrap_or_default();
    Rollout {
        call: began.map_or(0, |line| line.sequence),
        by: began.map_or(By::Storm, |line| line.by),
        created: millis(&described["createdAt"]).expect("it was created"),
        ended: millis(&described["finishedAt"]),
        fate: match described["status"].as_str().unwrap_or_default() {
            "SUCCESSFUL" => Fate::Succeeded,
            "ROLLBACK_SUCCESSFUL" => Fate::RolledBack,
            "STOPPED" if described["rollout"] != "FAILED" => Fate::Superseded,
            "STOPPED" | "ROLLBACK_FAILED" => Fate::Failed,
            _ => Fate::Live,
        },
        image: facts.image_of(&definition).unwrap_or_default().to_owned(),
        named: facts.content_of(&definition),
        digest: digest.and_then(|it| it["imageDigest"].as_str()).map(str::to_owned),
        over: over.iter().filter(|it| it["primary"] == true).map(gone_over).collect(),
        definition,
        id,
    }
}

/// A rollback has the old rollout in progress once more, though its service deployment is over.
fn gone_over(described: &Value) -> Over {
    let is_live = described["rollout"] == "IN_PROGRESS";
    Over {
        is_rollback: is_live && described["passage"] != "STOP_REQUESTED",
        is_live,
        failed_tasks: described["failed_tasks"].as_u64().unwrap_or(0),
        created: millis(&described["created"]).unwrap_or(0),
        id: described["deployment"].as_str().unwrap_or_default().to_owned(),
    }
}
