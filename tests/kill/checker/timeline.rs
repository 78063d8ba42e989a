//! What happened to one target, in order, for whoever looks for the reason of a failure.

use super::{
    asked::Meaning,
    facts::{Facts, Message},
};
use crate::{estate::TARGETS, record::Record};

/// Everything about this target, or all of them: the call (where it was one), the time, and what happened.
pub fn of(record: &Record, target: Option<&str>) -> Vec<(u64, u64, String)> {
    let facts = Facts::of(record);
    let mut all = Vec::new();
    for name in TARGETS.iter().map(|it| it.name).filter(|name| target.is_none_or(|target| target == *name)) {
        for it in &facts.rollouts[name] {
            let over: Vec<_> =
                it.over.iter().filter(|over| over.is_live).map(|over| over.id.as_str()).collect();
            let what = format!("{:?} starts {} of {name}: {} over {over:?}", it.by, it.id, it.definition);
            all.push((it.call, it.created, format!("{what}, {}", it.named)));
            if let Some(ended) = it.ended {
                all.push((0, ended, format!("{} of {name} {:?}", it.id, it.fate)));
            }
        }
    }
    for message in facts.messages.iter().filter(|message| is_about(message, target)) {
        let short = &message.id[..8];
        let told = match &message.meaning {
            Meaning::Unreadable => "unreadable".to_owned(),
            Meaning::Asks { event, asked } => format!("event {} {asked:?}", &event[..8]),
        };
        for (place, call) in message.received.iter().enumerate() {
            let again = if place == 0 { told.as_str() } else { "again" };
            all.push((*call, facts.at(*call), format!("{short} received: {again}")));
        }
        all.extend(message.deleted.iter().map(|call| (*call, facts.at(*call), format!("{short} deleted"))));
        for letter in facts.letters.iter().filter(|letter| letter.body == message.body) {
            let what = format!("{short} letter: {:?} {:?}", letter.target, letter.outcome);
            all.push((letter.call, letter.at, what));
        }
    }
    let is_about = |name: &str| target.is_none_or(|target| name == target);
    for told in record.told.iter().filter(|told| is_about(&told.target)) {
        let events: Vec<&str> = told.events.iter().map(|event| event.get(..8).unwrap_or(event)).collect();
        let what = format!("told: {} {} {} for {events:?}", told.id, told.target, told.outcome);
        all.push((0, told.at, what));
    }
    for (life, at) in deaths(record) {
        all.push((life, at, "--- the process dies".to_owned()));
    }
    for said in &record.said {
        let time: Option<jiff::Timestamp> = said["timestamp"].as_str().and_then(|text| text.parse().ok());
        let is_told = said["fields"]["deployment_id"].is_string()
            && target.is_none_or(|target| said["fields"]["service"] == target);
        if let (Some(time), Some(message), true) = (time, said["message"].as_str(), is_told) {
            all.push((0, u64::try_from(time.as_millisecond()).unwrap_or(0), format!("said: {message}")));
        }
    }
    all.sort_by_key(|(call, at, _)| (*at, *call));
    all
}

fn is_about(message: &Message, target: Option<&str>) -> bool {
    match &message.meaning {
        Meaning::Unreadable => target.is_none(),
        Meaning::Asks { asked, .. } => asked.iter().any(|it| target.is_none_or(|target| it.target == target)),
    }
}

/// The last call of each life, and its time.
fn deaths(record: &Record) -> Vec<(u64, u64)> {
    let ended = record.lives.iter().filter_map(|life| {
        let last = record.log.iter().rfind(|line| line.sequence <= life.last_call)?;
        Some((life.last_call, last.at))
    });
    ended.filter(|(call, _)| *call != u64::MAX).collect()
}
