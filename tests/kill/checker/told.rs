//! How deployments ended is told at least once, and what is told twice has one id: what a webhook took that outlives the
//! processes, held against what they said of their outcomes.

use super::{
    Broken,
    asked::{Asked, Meaning},
    facts::Facts,
    honest::Claim,
    lost::replaces,
};
use crate::record::Told;

/// A log line is written just before a webhook is told.
const SLACK_MS: u64 = 5;

pub(super) fn judge(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    for said in &facts.record.said {
        let Some(claim) = Claim::of(said) else { continue };
        if !is_told(facts, &claim) {
            let what = format!("an end was not told: {}", said["message"].as_str().unwrap_or_default());
            broken.push(Broken::new("told", facts.calls_by(claim.at), Some(claim.target.name), what));
        }
    }
    for (place, again) in facts.record.told.iter().enumerate() {
        let earlier = &facts.record.told[..place];
        if let Some(other) = earlier.iter().find(|it| is_same(it, again) && it.id != again.id) {
            let what = format!("the same end is told as {} and as {}", other.id, again.id);
            broken.push(Broken::new("told", facts.calls_by(again.at), None, what));
        }
    }
}

/// Whether this end was told since, or the ends to which all that had asked for it was left: a process that dies leaves
/// its ends to the next one, which knows only of the messages that come back, and lets newer ones replace each of them.
fn is_told(facts: &Facts<'_>, claim: &Claim<'_>) -> bool {
    let asked_by = |events: &[&str]| -> Vec<&Asked> {
        let is_of = |meaning: &Meaning| match meaning {
            Meaning::Asks { event, .. } => events.contains(&event.as_str()),
            Meaning::Unreadable => false,
        };
        facts.asked_of(claim.target.name).filter(|(it, _)| is_of(&it.meaning)).map(|(_, it)| it).collect()
    };
    let is_later = |told: &&Told| told.target == claim.target.name && told.at + SLACK_MS >= claim.at;
    let since = facts.record.told.iter().filter(is_later);
    let events: Vec<&str> = since.flat_map(|told| &told.events).map(String::as_str).collect();
    let newer = asked_by(&events);
    let is_left =
        |it: &Asked| newer.iter().any(|newer| newer.version >= it.version && replaces(&newer.wish, &it.wish));
    events.iter().any(|event| claim.events.contains(event))
        || (!events.is_empty() && asked_by(&claim.events).into_iter().all(is_left))
}

fn is_same(one: &Told, other: &Told) -> bool {
    one.rollout.is_some()
        && (&one.rollout, &one.outcome, &one.target) == (&other.rollout, &other.outcome, &other.target)
        && one.events == other.events
}
