//! P4: the newest wins.

use std::collections::BTreeMap;

use super::{
    Broken,
    asked::{Asked, Wish},
    facts::{Facts, Fate, Message, Rollout},
};
use crate::{
    estate::{CONTAINER, OnPush, TARGETS, Target},
    record::By,
};

pub(super) fn judge(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    for target in &TARGETS {
        for rollout in facts.rollouts[target.name].iter().filter(|it| it.by == By::Daemon) {
            if let Some(what) = goes_back(facts, target, rollout).or_else(|| meddles(facts, target, rollout))
            {
                broken.push(Broken::new("P4", rollout.call, Some(target.name), what));
            }
        }
        if let Some((call, what)) = not_the_newest(facts, target) {
            broken.push(Broken::new("P4", call, Some(target.name), what));
        }
    }
}

/// Whether a rollout brings something older than what it replaces, or something that nobody asked for.
fn goes_back(facts: &Facts<'_>, target: &Target, rollout: &Rollout) -> Option<String> {
    if matches!(target.on_push, OnPush::Follow(_)) {
        return None;
    }
    // A rollback moves content back: that is its purpose.
    if facts.undone_by(target.name, rollout).is_some() {
        return None;
    }
    let complete = facts.complete_at(target.name, rollout.created)?;
    if rollout.named == complete.named {
        return None;
    }
    let Some(newest) = versions_of(facts, target.name, &rollout.named, rollout.call).max() else {
        return Some(format!("{} of {} brings what nobody asked for", rollout.definition, target.name));
    };
    let sound = rollout.over.iter().filter(|over| over.is_live && over.failed_tasks == 0);
    let replaced = sound.filter_map(|over| facts.rollouts[target.name].iter().find(|it| it.id == over.id));
    let is_older =
        |than: &Rollout| than.named != rollout.named && newest < brought_for(facts, target.name, than);
    let newer = [complete].into_iter().chain(replaced).find(|than| is_older(than))?;
    Some(format!(
        "{} of {} goes back from {} to {}, which was asked for earlier",
        rollout.id, target.name, newer.definition, rollout.definition
    ))
}

/// Whether a container is changed that nobody asked about.
fn meddles(facts: &Facts<'_>, target: &Target, rollout: &Rollout) -> Option<String> {
    let others = |definition: &str| {
        let images: BTreeMap<String, String> = facts.revisions.get(definition)?.clone();
        Some(images.into_iter().filter(|(name, _)| name != CONTAINER).collect::<BTreeMap<_, _>>())
    };
    let first = others(&format!("{}:1", target.name));
    (others(&rollout.definition) != first).then(|| format!("{} has another sidecar", rollout.definition))
}

/// The versions of everything received by this call that asks for this content.
pub(super) fn versions_of<'f>(
    facts: &'f Facts<'_>,
    target: &'f str,
    content: &'f str,
    by: u64,
) -> impl Iterator<Item = u64> {
    wishes_for(facts, target, content)
        .filter(move |(message, _)| message.received.first().is_some_and(|call| *call < by))
        .map(|(_, asked)| asked.version)
}

fn wishes_for<'f>(
    facts: &'f Facts<'_>,
    target: &'f str,
    content: &'f str,
) -> impl Iterator<Item = (&'f Message, &'f Asked)> {
    facts.asked_of(target).filter(move |(_, asked)| match &asked.wish {
        Wish::Image(image) | Wish::Tagged(image, _) | Wish::Followed(image) => image == content,
        Wish::Definition(definition) => facts.content_of(definition) == content,
        Wish::Fresh => false,
    })
}

/// The earliest version for which a rollout can have brought what it runs: that for which its definition was moved to,
/// because new tasks of the same definition bring nothing else.
pub(super) fn brought_for(facts: &Facts<'_>, target: &str, rollout: &Rollout) -> u64 {
    let rollout = moved_to(facts, target, rollout);
    let life = facts.record.life_of(rollout.call);
    let in_this_life = |message: &Message| {
        message.received.iter().any(|call| *call < rollout.call && facts.record.life_of(*call) == life)
    };
    let own = wishes_for(facts, target, &rollout.named).filter(|(message, _)| in_this_life(message));
    if let Some(version) = own.map(|(_, asked)| asked.version).min() {
        return version;
    }
    versions_of(facts, target, &rollout.named, rollout.call).min().unwrap_or(0)
}

/// The first rollout of the same definition since another one was complete.
fn moved_to<'f>(facts: &'f Facts<'_>, target: &str, rollout: &'f Rollout) -> &'f Rollout {
    let earlier = || facts.rollouts[target].iter().filter(|it| it.call <= rollout.call);
    let is_other = |it: &&Rollout| it.definition != rollout.definition && it.fate == Fate::Succeeded;
    let since = earlier().filter(is_other).map(|it| it.call).max().unwrap_or(0);
    let mut same = earlier().filter(|it| it.definition == rollout.definition && it.call > since);
    same.next().unwrap_or(rollout)
}

/// Whether what was asked last neither runs in the end, nor was set aside.
fn not_the_newest(facts: &Facts<'_>, target: &Target) -> Option<(u64, String)> {
    let contents = || facts.asked_of(target.name).filter(|(_, asked)| asked.wish != Wish::Fresh);
    let newest = contents().map(|(_, asked)| asked.version).max()?;
    let running = facts.complete_at(target.name, u64::MAX)?;
    let is_so = |(message, asked): (&Message, &Asked)| {
        let runs = match &asked.wish {
            Wish::Image(image) | Wish::Tagged(image, _) => running.named == *image,
            Wish::Followed(image) => running.digest.as_ref() == Some(image),
            Wish::Definition(definition) => running.named == facts.content_of(definition),
            Wish::Fresh => false,
        };
        runs || facts.letters.iter().any(|letter| {
            letter.body == message.body && letter.target.as_deref() == Some(target.id().as_str())
        })
    };
    let last: Vec<_> = contents().filter(|(_, asked)| asked.version == newest).collect();
    let first = last.first()?;
    (!last.iter().copied().any(is_so)).then(|| {
        let call = first.0.received.last().copied().unwrap_or(0);
        let what = format!(
            "{} runs {} in the end, and {:?} was asked for last",
            target.name, running.definition, first.1.wish
        );
        (call, what)
    })
}
