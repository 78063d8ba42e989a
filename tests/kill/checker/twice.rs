//! P3: nothing twice. A rollout is started only while something that was received is not settled by an earlier one.

use super::{
    Broken,
    asked::{Asked, Wish},
    facts::{Facts, Fate, Message, Rollout},
    newest::brought_for,
    one::is_unseen,
};
use crate::{estate::TARGETS, record::By};

/// A rollout carries freshness if it began this long after the change, whose time is in whole seconds.
pub(super) const MARGIN_MS: u64 = 1_000;

pub(super) fn judge(facts: &Facts<'_>, broken: &mut Vec<Broken>) {
    for target in TARGETS.iter().map(|target| target.name) {
        for rollout in facts.rollouts[target].iter().filter(|it| it.by == By::Daemon) {
            let mut owed = facts.asked_of(target).filter(|(message, _)| is_held(message, rollout.call));
            let is_owed = owed.any(|(_, asked)| !is_settled(facts, asked, rollout));
            if !is_owed && !is_first_way_back(facts, target, rollout) {
                let what = format!("{} of {target} is started, and nothing is owed", rollout.id);
                broken.push(Broken::new("P3", rollout.call, Some(target), what));
            }
        }
    }
}

/// Whether this goes back from a failed rollout, from which nobody went back before.
fn is_first_way_back(facts: &Facts<'_>, target: &str, rollout: &Rollout) -> bool {
    let undone = |it| facts.undone_by(target, it).map(|failed| failed.id.as_str());
    let Some(failed) = undone(rollout) else { return false };
    let earlier = facts.rollouts[target].iter().filter(|it| it.call < rollout.call);
    !earlier.filter(|it| it.fate_at(rollout.created) != Fate::Superseded).any(|it| undone(it) == Some(failed))
}

/// Whether a message was received before this call more often than it was deleted: of two copies one may be left.
fn is_held(message: &Message, call: u64) -> bool {
    let before = |calls: &[u64]| calls.iter().filter(|it| **it < call).count();
    before(&message.received) > before(&message.deleted)
}

/// Whether what ran or was being rolled out when this rollout began settles the wish.
fn is_settled(facts: &Facts<'_>, asked: &Asked, rollout: &Rollout) -> bool {
    let at = rollout.created;
    let earlier = facts.rollouts[asked.target].iter().filter(|it| it.call < rollout.call);
    let mut counting = earlier.filter(|it| {
        let is_way_back = facts.undone_by(asked.target, it).is_some();
        it.fate_at(at) != Fate::Superseded && !is_unseen(facts, it, rollout) && !is_way_back
    });
    let is_carried = counting.any(|it| carries(it, asked));
    let complete = facts.complete_at(asked.target, at);
    let is_calm = !rollout.over.iter().any(|over| over.is_live);
    is_carried
        || complete.is_some_and(|complete| match &asked.wish {
            Wish::Fresh => false,
            Wish::Followed(image) => is_calm && complete.digest.as_ref() == Some(image),
            Wish::Image(image) => {
                (is_calm && complete.named == *image)
                    || brought_for(facts, asked.target, complete) > asked.version
            }
            Wish::Tagged(..) | Wish::Definition(_) => {
                brought_for(facts, asked.target, complete) > asked.version
            }
        })
}

/// Whether a rollout has what is asked.
pub(super) fn carries(rollout: &Rollout, asked: &Asked) -> bool {
    let is_later = rollout.created >= asked.version;
    let is_surely_later = rollout.created >= asked.version + MARGIN_MS;
    match &asked.wish {
        Wish::Fresh => is_surely_later,
        // New tasks of what names a digest, since we went back to it, get nothing that is pushed.
        Wish::Followed(image) => {
            let gets_what_is_pushed = is_surely_later && !rollout.image.contains("sha256:");
            gets_what_is_pushed || (is_later && rollout.digest.as_ref() == Some(image))
        }
        Wish::Image(image) => is_later && rollout.named == *image,
        Wish::Tagged(_, image) => is_later && rollout.image == *image,
        Wish::Definition(definition) => is_later && rollout.definition == *definition,
    }
}
