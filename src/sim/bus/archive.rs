//! Archives keep what a bus has seen; a replay puts it on the bus again with a new id and the replay's name.

use serde_json::{Value, json};

use super::{Buses, Post, bus_key, no_bus, rules::invalid_pattern};
use crate::{
    domain::{Timestamp, matches_pattern, read_pattern},
    sim::call::{Call, Fail, Outcome, seconds, tail, text},
};

/// What one archive holds.
#[derive(Clone, Debug)]
pub(super) struct Archive {
    described: Value,
    pattern: Value,
    events: Vec<(Timestamp, Value)>,
}

impl Archive {
    /// Keeps an event that matches. A replayed one is never archived again.
    pub(super) fn keep(&mut self, event: &Value, now: Timestamp) {
        if event.get("replay-name").is_none() && matches_pattern(&self.pattern, event) {
            self.events.push((now, event.clone()));
        }
    }
}

impl Buses {
    pub(super) fn create_archive(&mut self, call: &Call, now: Timestamp) -> Outcome {
        let name = text(&call.body, "ArchiveName").to_owned();
        let arn = call.scope.arn("events", &format!("archive/{name}"));
        let described = json!({
            "ArchiveName": name, "ArchiveArn": arn, "EventSourceArn": call.body["EventSourceArn"],
            "State": "ENABLED", "CreationTime": seconds(now),
        });
        // Without one it keeps everything.
        let pattern = match text(&call.body, "EventPattern") {
            "" => json!({}),
            pattern => read_pattern(pattern).map_err(invalid_pattern)?,
        };
        let key = bus_key(&call.scope, &call.body, "EventSourceArn");
        let missing = no_bus(&key);
        let archive = Archive { described: described.clone(), pattern, events: Vec::new() };
        self.buses.get_mut(&key).ok_or(missing)?.archives.insert(name, archive);
        Ok(described)
    }

    fn archive(&self, name: &str) -> Result<&Archive, Fail> {
        let missing = || Fail::new("ResourceNotFoundException", format!("Archive {name} does not exist."));
        self.buses.values().find_map(|bus| bus.archives.get(name)).ok_or_else(missing)
    }

    pub(super) fn describe_archive(&self, body: &Value) -> Outcome {
        let archive = self.archive(text(body, "ArchiveName"))?;
        let mut described = archive.described.clone();
        described["EventCount"] = json!(archive.events.len());
        Ok(described)
    }

    pub(super) fn start_replay(&mut self, call: &Call, post: &mut Post<'_>) -> Outcome {
        let body = &call.body;
        let name = text(body, "ReplayName");
        let bound = |key: &str| body[key].as_f64().map(Timestamp::from_seconds);
        let (from, to) = (bound("EventStartTime"), bound("EventEndTime"));
        let events = self.archive(tail(text(body, "EventSourceArn")))?.events.clone();
        let target = bus_key(&call.scope, &body["Destination"], "Arn");
        for (at, mut event) in events {
            if from.is_none_or(|from| at >= from) && to.is_none_or(|to| at <= to) {
                event["replay-name"] = json!(name);
                event["id"] = json!(post.rng.uuid());
                self.route(target.clone(), &event, post);
            }
        }
        let replay = json!({
            "ReplayName": name, "ReplayArn": call.scope.arn("events", &format!("replay/{name}")),
            "State": "COMPLETED", "ReplayStartTime": seconds(post.now), "ReplayEndTime": seconds(post.now),
            "EventSourceArn": body["EventSourceArn"], "Destination": body["Destination"],
        });
        self.replays.insert(name.to_owned(), replay.clone());
        Ok(replay)
    }

    pub(super) fn describe_replay(&self, body: &Value) -> Outcome {
        let name = text(body, "ReplayName");
        let missing = || Fail::new("ResourceNotFoundException", format!("Replay {name} does not exist."));
        self.replays.get(name).cloned().ok_or_else(missing)
    }
}
