//! What became of content since: whether something newer took its place, and whether that was us or somebody else.
//!
//! Our marks tell for what a revision was asked for. A move to a revision that they do not explain was somebody's
//! decision, and outdoes all that was asked for before it.

use crate::domain::{
    ContainerName, DefinitionId, DefinitionView, ImageChange, ImageReference, Look, Marks, Outcome, Request,
    Rollout, RolloutState, Timestamp,
};

use super::{
    Flaw,
    settle::{FRESHNESS_MARGIN, Verdict, carries_image},
};

/// Whether what a complete rollout brought is still there: older content that came late may have taken its place. Each rollout
/// since is judged beside the definition that had it last.
pub(super) fn lasts(
    carrier: &Rollout,
    look: &Look,
    keeps_it: impl Fn(&Rollout, &DefinitionView) -> bool,
) -> bool {
    let replaces = |state| matches!(state, RolloutState::Succeeded | RolloutState::InProgress);
    let newer = lasting(&look.rollouts).take_while(|(it, _)| it.created_at > carrier.created_at);
    let newer: Vec<&Rollout> = newer.filter(|(_, state)| replaces(*state)).map(|(it, _)| it).collect();
    let mut has_it = &carrier.definition;
    carrier.state != RolloutState::Succeeded
        || newer.into_iter().rev().all(|it| {
            let before = std::mem::replace(&mut has_it, &it.definition);
            keeps_it(it, before)
        })
}

/// What a request wants of the content.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    Image(&'a ImageChange, &'a [ContainerName]),
    Definition(&'a DefinitionView),
}

impl Content<'_> {
    /// Whether a rollout brings just this: then whoever started it decided the same.
    fn is_brought_by(&self, rollout: &Rollout) -> bool {
        match self {
            Self::Image(change, containers) => containers
                .iter()
                .all(|name| carries_image(change, name, &rollout.definition, &rollout.digests)),
            Self::Definition(wanted) => rollout.definition.id == wanted.id,
        }
    }
}

/// Whether something newer than this content runs, or is being rolled out.
pub(super) fn superseded(
    request: &Request,
    content: Content<'_>,
    look: &Look,
    flawed: &impl Fn(Flaw) -> bool,
) -> Option<Verdict> {
    if flawed(Flaw::ArrivalOrder) {
        return None;
    }
    let newer = |definition: &DefinitionView| {
        let whole = newer_definition(request.version, definition);
        whole.or_else(|| match content {
            Content::Image(change, containers) => containers
                .iter()
                .find_map(|container| newer_image(request.version, change, container, definition)),
            Content::Definition(wanted) => all_newer_images(request.version, wanted, definition),
        })
    };
    for (place, (rollout, state)) in lasting(&look.rollouts).enumerate() {
        // What is rolled out after it failed may be its rollback: that it failed has to be told.
        let has_failed = |older: &Rollout| {
            older.state == RolloutState::Failed
                && older.created_at >= request.floor
                && content.is_brought_by(older)
        };
        let by_somebody = (rollout.created_at >= request.version + FRESHNESS_MARGIN
            && moved_by_somebody(&look.rollouts[place..])
            && !content.is_brought_by(rollout)
            && !look.rollouts[place..].iter().any(has_failed))
        .then(|| format!("the service was moved to {} at {}", rollout.definition.id, rollout.created_at));
        let Some(why) = by_somebody.or_else(|| newer(&rollout.definition)) else { continue };
        match state {
            RolloutState::InProgress => return Some(Verdict::Await),
            RolloutState::Succeeded => return Some(Verdict::Settled(Outcome::Superseded, why)),
            RolloutState::Failed
            | RolloutState::RollingBack
            | RolloutState::RolledBack
            | RolloutState::RollbackFailed
            | RolloutState::Stopped => {}
        }
    }
    let running = look.running.as_ref().and_then(|running| newer(&running.definition));
    running.map(|why| Verdict::Settled(Outcome::Superseded, why))
}

/// The rollouts with the state of what they brought: one that gave way to another of the same definition lives on in it.
fn lasting(rollouts: &[Rollout]) -> impl Iterator<Item = (&Rollout, RolloutState)> {
    rollouts.iter().scan(None, |after: &mut Option<(&DefinitionId, RolloutState)>, rollout| {
        let state = match *after {
            Some((id, state)) if rollout.state == RolloutState::Stopped && *id == rollout.definition.id => {
                state
            }
            Some(_) | None => rollout.state,
        };
        *after = Some((&rollout.definition.id, state));
        Some((rollout, state))
    })
}

fn newer_definition(version: Timestamp, definition: &DefinitionView) -> Option<String> {
    let mark = definition.marks.content.filter(|mark| *mark > version)?;
    Some(format!("{} comes of a definition asked for at {mark}", definition.id))
}

/// Why nothing would be left of a definition, because each of its containers has an image that was asked for since.
fn all_newer_images(
    version: Timestamp,
    wanted: &DefinitionView,
    definition: &DefinitionView,
) -> Option<String> {
    let is_newer = |name| definition.marks.versions.get(name).is_some_and(|mark| *mark > version);
    (!wanted.images.is_empty() && wanted.images.keys().all(is_newer))
        .then(|| format!("every container of {} has an image asked for since", definition.id))
}

/// Why what this container of a definition has is newer than what is asked for, if it is.
fn newer_image(
    version: Timestamp,
    change: &ImageChange,
    container: &ContainerName,
    definition: &DefinitionView,
) -> Option<String> {
    let mark = definition.marks.versions.get(container);
    if let (Some(policy), Some(asked)) = (&change.policy, &change.tag) {
        let has = definition.images.get(container).and_then(ImageReference::named_tag);
        let ranks = (policy.rank(asked), has.as_ref().and_then(|tag| policy.rank(tag)));
        if let (Some(asked_rank), Some(has_rank)) = &ranks
            && asked_rank != has_rank
        {
            let tag = has.as_ref().map_or("", |tag| tag.as_str());
            return (has_rank > asked_rank).then(|| format!("{tag} ranks above {asked} by {policy}"));
        }
    }
    mark.filter(|mark| **mark > version)
        .map(|mark| format!("container {container} has an image asked for at {mark}"))
}

/// Whether the first of these rollouts was somebody's decision about content: it moved the service to another definition,
/// and our marks do not tell that this was for something as new as what was there.
fn moved_by_somebody(rollouts: &[Rollout]) -> bool {
    rollouts.first().zip(ran_before(rollouts)).is_some_and(|(rollout, previous)| {
        previous.id != rollout.definition.id && !is_by_us(&rollout.definition.marks, &previous.marks)
    })
}

/// Whether our marks tell that going from the one to the other was for something as new as what was there. Versions alone
/// do not: what somebody moved to by hand gets them where it was asked for again since.
fn is_by_us(now: &Marks, before: &Marks) -> bool {
    let is_made = now.deployment.is_some();
    (is_made || now.content.is_some()) && now.advance(before) || is_made && !before.advance(now)
}

/// Whether somebody took back what carried a request: its rollout, which had to give way before it was complete, was
/// followed by one of another definition that is not ours.
pub(super) fn taken_back(carrier: &Rollout, look: &Look) -> Option<Verdict> {
    let newer = lasting(&look.rollouts).take_while(|(it, _)| it.created_at > carrier.created_at);
    let (next, state) = newer.last()?;
    let (now, before) = (&next.definition, &carrier.definition);
    if now.id == before.id || is_by_us(&now.marks, &before.marks) {
        return None;
    }
    match state {
        RolloutState::InProgress => Some(Verdict::Await),
        RolloutState::Succeeded => {
            let why = format!(
                "{} was being rolled out, and the service was moved to {} instead",
                before.id, now.id
            );
            Some(Verdict::Settled(Outcome::Superseded, why))
        }
        RolloutState::Failed
        | RolloutState::RollingBack
        | RolloutState::RolledBack
        | RolloutState::RollbackFailed
        | RolloutState::Stopped => None,
    }
}

/// Whether the service was created after this was asked for: whoever created it decided what it runs. What is put back is asked
/// for again.
pub(super) fn created_since(request: &Request, look: &Look) -> Option<Verdict> {
    let created = look.created_at.filter(|created| *created >= request.floor + FRESHNESS_MARGIN)?;
    let why = format!("the service was created after it was asked for, at {created}");
    Some(Verdict::Settled(Outcome::Superseded, why))
}

/// When somebody decided on what this rollout brings, if it was somebody.
pub(super) fn decided_by_somebody(rollout: &Rollout, look: &Look) -> Option<Timestamp> {
    let place = look.rollouts.iter().position(|it| it.id == rollout.id)?;
    let brings_it = |it: &&Rollout| it.definition.id == rollout.definition.id;
    let first = place + look.rollouts[place..].iter().take_while(brings_it).count() - 1;
    moved_by_somebody(&look.rollouts[first..]).then_some(look.rollouts[first].created_at)
}

/// What the service had before the first of these rollouts: what never completed is passed over, so that going back
/// from it decides nothing; going on with it does not either.
fn ran_before(rollouts: &[Rollout]) -> Option<&DefinitionView> {
    let (rollout, older) = rollouts.split_first()?;
    match older {
        [] => rollout.previous.as_ref(),
        [same, ..] if same.definition.id == rollout.definition.id => Some(&same.definition),
        [_, ..] => last_complete(older.iter()),
    }
}

/// What the newest of these rollouts that is complete brought, or what was there before them.
pub(super) fn last_complete<'a>(
    mut rollouts: impl DoubleEndedIterator<Item = &'a Rollout> + Clone,
) -> Option<&'a DefinitionView> {
    let complete = rollouts.clone().find(|it| it.state == RolloutState::Succeeded);
    complete.map(|it| &it.definition).or_else(|| rollouts.next_back()?.previous.as_ref())
}
