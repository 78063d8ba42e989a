//! The one rule: the fate of its carrier settles a change.
//!
//! A carrier is a rollout, created at or after the change's floor, that has what was asked. While one is in progress
//! it is adopted; when one succeeded the change is done; when all failed, so has the change, and it is never
//! started again unasked; when there is none, it must be started. Deduplication, redelivery, crash recovery, retry and
//! replay are all this rule, and none of them needs a memory.
//!
//! Content asks for more than a later rollout: an image is carried only by a rollout that has it. And content never moves
//! backwards: a request is superseded where its container runs something newer by our mark, or where somebody moved
//! the service to another definition after it was made.

use std::{collections::BTreeMap, time::Duration};

use crate::domain::{
    Cause, Change, ContainerName, DefinitionId, DefinitionRef, DefinitionView, Digest, Failure,
    FollowedImage, ImageChange, ImageReference, ImageSource, Look, Marks, Outcome, Refresh, Request, Rollout,
    RolloutKey, RolloutState, Timestamp,
};

use super::Flaw;

/// Events carry whole seconds: only a rollout created this much after the change is surely later than it.
pub(super) const FRESHNESS_MARGIN: Duration = Duration::from_secs(1);

/// What a look says about one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It asks nothing of this target, for this reason.
    Drop(String),
    /// It is settled without a rollout: what was asked runs already, or something newer does.
    Settled(Outcome, String),
    /// Its carrier failed.
    Failed(Box<Rollout>),
    /// It cannot be done.
    Impossible(Failure),
    /// Its carrier is in progress.
    Adopt(RolloutKey),
    /// A rollout in progress decides about it: it must wait for the end of that one, whatever the settings say.
    Await,
    /// A rollout created now could not be told from one that is too early; it may be created from then on.
    NotBefore(Timestamp),
    /// It has to be started.
    Needed,
}

/// Judges one request by what ECS shows.
pub(super) fn verdict(request: &Request, look: &Look, flawed: impl Fn(Flaw) -> bool) -> Verdict {
    match &request.change {
        Change::Refresh(Refresh::Restart) => refresh(request, look, &flawed),
        Change::Refresh(Refresh::Image(followed)) => follow(request, followed, look, &flawed),
        Change::Image(change) => image(request, change, look, &flawed),
        Change::Definition(asked) => definition(request, asked, look, &flawed),
    }
}

fn refresh(request: &Request, look: &Look, flawed: &impl Fn(Flaw) -> bool) -> Verdict {
    let earliest = request.floor + FRESHNESS_MARGIN;
    let carriers = look.rollouts.iter().filter(|rollout| rollout.created_at >= earliest);
    fate(carriers, flawed).unwrap_or(if look.taken_at < earliest {
        Verdict::NotBefore(earliest)
    } else {
        Verdict::Needed
    })
}

fn follow(
    request: &Request,
    followed: &FollowedImage,
    look: &Look,
    flawed: &impl Fn(Flaw) -> bool,
) -> Verdict {
    let base = match &look.base {
        Ok(base) => base,
        Err(why) => return Verdict::Impossible(Failure::new(Cause::DefinitionInvalid, why.clone())),
    };
    let containers = match followers(followed, base) {
        Ok(containers) => containers,
        Err(why) => return Verdict::Drop(why),
    };
    let runs = |digests: &BTreeMap<ContainerName, Digest>| {
        followed.digest.is_some()
            && containers.iter().all(|name| digests.get(name) == followed.digest.as_ref())
    };
    if let Some(running) = &look.running
        && is_at_rest(look)
        && runs(&running.digests)
    {
        return already_running(&running.definition.id);
    }
    let carries = |rollout: &&Rollout| {
        let known = rollout.created_at >= request.floor && runs(&rollout.digests);
        known || rollout.created_at >= request.floor + FRESHNESS_MARGIN
    };
    let earliest = request.floor + FRESHNESS_MARGIN;
    let fate = fate(look.rollouts.iter().filter(carries), flawed);
    fate.unwrap_or(if followed.digest.is_none() && look.taken_at < earliest {
        Verdict::NotBefore(earliest)
    } else {
        Verdict::Needed
    })
}

/// The containers of the definition that follow this image, or why none does.
pub(super) fn followers(
    followed: &FollowedImage,
    base: &DefinitionView,
) -> Result<Vec<ContainerName>, String> {
    let candidates = containers(&followed.source, base);
    let follows =
        |name: &ContainerName| followed.any_tag || base.followed_tag(name).as_ref() == Some(&followed.tag);
    let containers: Vec<ContainerName> = candidates.iter().filter(|name| follows(name)).cloned().collect();
    if !containers.is_empty() {
        return Ok(containers);
    }
    Err(match candidates.first() {
        None => format!("no container of {} has an image of {}", base.id, shown(&followed.source)),
        Some(name) => {
            let image = &base.images[name];
            format!(
                "container {name} of {} names {image}, which the tag {} does not change",
                base.id, followed.tag
            )
        }
    })
}

fn image(request: &Request, change: &ImageChange, look: &Look, flawed: &impl Fn(Flaw) -> bool) -> Verdict {
    let base = match &look.base {
        Ok(base) => base,
        Err(why) => return Verdict::Impossible(Failure::new(Cause::DefinitionInvalid, why.clone())),
    };
    let containers = containers(&change.source, base);
    if containers.is_empty() {
        let why = format!("no container of {} has an image of {}", base.id, shown(&change.source));
        return match change.policy {
            Some(_) => Verdict::Drop(why),
            None => Verdict::Impossible(Failure::new(Cause::DefinitionInvalid, why)),
        };
    }
    if let Some(why) = superseded(request, Content::Image(change, &containers), look, flawed) {
        return why;
    }
    let has = |definition: &DefinitionView, digests: &_| {
        containers.iter().all(|name| carries_image(change, name, definition, digests))
    };
    if let Some(running) = &look.running
        && is_at_rest(look)
        && !change.force
        && change.digest.is_some()
        && containers.iter().all(|name| running.digests.contains_key(name))
        && has(&running.definition, &running.digests)
    {
        return already_running(&running.definition.id);
    }
    let any_later = flawed(Flaw::AnyLaterRolloutCarriesAnImage);
    let is_marked_for_it = |rollout: &Rollout| {
        rollout.created_at >= request.floor + FRESHNESS_MARGIN
            && containers.iter().all(|name| is_marked_for(request, change, name, &rollout.definition))
    };
    // A forced request asks for a rollout of its own, so that one of just before it must not be taken for that.
    let earliest = if change.force { request.floor + FRESHNESS_MARGIN } else { request.floor };
    let brings_it = |it: &Rollout| any_later || has(&it.definition, &it.digests) || is_marked_for_it(it);
    // What we go back to may name the same image in another way.
    let is_marked = |it: &Rollout| {
        containers.iter().all(|name| it.definition.marks.versions.get(name) == Some(&request.version))
    };
    let keeps_it = |it: &Rollout| brings_it(it) || is_marked(it);
    let carriers = || {
        let carries = |it: &&Rollout| it.created_at >= earliest && brings_it(it);
        look.rollouts.iter().filter(carries).filter(|it| lasts(it, look, keeps_it))
    };
    let by_carrier = fate(carriers(), flawed);
    let settled = by_carrier.or_else(|| carriers().find_map(|carrier| taken_back(carrier, look)));
    settled.unwrap_or(if look.taken_at < earliest { Verdict::NotBefore(earliest) } else { Verdict::Needed })
}

fn definition(
    request: &Request,
    asked: &DefinitionRef,
    look: &Look,
    flawed: &impl Fn(Flaw) -> bool,
) -> Verdict {
    let wanted = match &look.wanted {
        Some(Ok(wanted)) if names(asked, &wanted.id) => wanted,
        Some(Err(why)) => return Verdict::Impossible(Failure::new(Cause::DefinitionInvalid, why.clone())),
        // The look was for a newer request, which is being deployed.
        Some(Ok(_)) | None => return Verdict::Await,
    };
    let is_it = |definition: &DefinitionView| {
        definition.id == wanted.id || is_made_from(wanted, request.version, definition)
    };
    // What we go back to, or from there on to again, was made of it.
    let keeps_it =
        |it: &Rollout| is_it(&it.definition) || it.definition.marks.content == Some(request.version);
    let carriers = || {
        let carries = |it: &&Rollout| it.created_at >= request.floor && is_it(&it.definition);
        look.rollouts.iter().filter(carries).filter(|it| lasts(it, look, keeps_it))
    };
    let by_carrier = fate(carriers(), flawed);
    by_carrier
        .or_else(|| carriers().find_map(|carrier| taken_back(carrier, look)))
        .or_else(|| superseded(request, Content::Definition(wanted), look, flawed))
        .unwrap_or(Verdict::Needed)
}

/// Whether what a complete rollout brought is still there: older content that came late may have taken its place.
fn lasts(carrier: &Rollout, look: &Look, brings_it: impl Fn(&Rollout) -> bool) -> bool {
    let mut newer = lasting(&look.rollouts).take_while(|(it, _)| it.created_at > carrier.created_at);
    let replaces = |state| matches!(state, RolloutState::Succeeded | RolloutState::InProgress);
    carrier.state != RolloutState::Succeeded || newer.all(|(it, state)| !replaces(state) || brings_it(it))
}

/// Whether this revision is what was asked for.
pub(super) fn names(asked: &DefinitionRef, id: &DefinitionId) -> bool {
    asked.family == id.family && asked.revision.is_none_or(|revision| revision == id.revision)
}

/// Whether we made this revision of the one that was asked for at that version, with an image that was asked for since.
fn is_made_from(wanted: &DefinitionView, version: Timestamp, definition: &DefinitionView) -> bool {
    let marks = &definition.marks;
    definition.id.family == wanted.id.family
        && marks.content == Some(version)
        && marks.versions.values().any(|image| *image >= version)
}

/// Whether we made this revision for this very request: then it has the image, whatever the digest is called.
fn is_marked_for(
    request: &Request,
    change: &ImageChange,
    container: &ContainerName,
    definition: &DefinitionView,
) -> bool {
    let Some(image) = definition.images.get(container) else { return false };
    let is_named = match (&image.digest, &change.tag) {
        (Some(digest), _) => change.digest.as_ref() == Some(digest),
        (None, Some(tag)) => image.effective_tag().as_ref() == Some(tag),
        (None, None) => false,
    };
    is_named && definition.marks.versions.get(container) == Some(&request.version)
}

/// The containers that an image is for, by the definition from which a deployment would start.
pub(super) fn containers(source: &ImageSource, base: &DefinitionView) -> Vec<ContainerName> {
    let only_one = base.images.len() == 1;
    let is_meant =
        |name: &ContainerName, image: &ImageReference| match (&source.container, &source.repository) {
            (Some(container), _) => name == container,
            (None, None) => only_one,
            (None, Some(repository)) => {
                image.repository == *repository && (source.home.is_none() || image.ecr_home() == source.home)
            }
        };
    base.images.iter().filter(|(name, image)| is_meant(name, image)).map(|(name, _)| name.clone()).collect()
}

/// Whether this container of a definition has the image that is asked for. Where both digests are known they decide;
/// else the definition must name what was asked.
pub(super) fn carries_image(
    change: &ImageChange,
    container: &ContainerName,
    definition: &DefinitionView,
    digests: &BTreeMap<ContainerName, Digest>,
) -> bool {
    let Some(image) = definition.images.get(container) else { return false };
    if change.source.repository.as_ref().is_some_and(|repository| *repository != image.repository) {
        return false;
    }
    let running = digests.get(container).or(image.digest.as_ref());
    match (&change.digest, running) {
        (Some(asked), Some(running)) => asked == running,
        (Some(_) | None, _) => change.tag.is_some() && image.effective_tag() == change.tag,
    }
}

/// What a request wants of the content.
#[derive(Clone, Copy)]
enum Content<'a> {
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
fn superseded(
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
        let has = definition.images.get(container).and_then(ImageReference::effective_tag);
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
fn taken_back(carrier: &Rollout, look: &Look) -> Option<Verdict> {
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

/// What the carriers' fate makes of the change; `None` where there is no carrier that could tell.
fn fate<'a>(carriers: impl Iterator<Item = &'a Rollout>, flawed: &impl Fn(Flaw) -> bool) -> Option<Verdict> {
    let mut failed = None;
    let mut live = None;
    for rollout in carriers {
        match rollout.state {
            RolloutState::Succeeded => return Some(carried(rollout)),
            RolloutState::RolledBack if flawed(Flaw::RollbackCountsAsRollout) => {
                return Some(carried(rollout));
            }
            RolloutState::InProgress | RolloutState::RollingBack => live = live.or(Some(rollout)),
            RolloutState::Failed | RolloutState::RolledBack | RolloutState::RollbackFailed => {
                failed = failed.or(Some(rollout));
            }
            RolloutState::Stopped => {}
        }
    }
    live.map(|rollout| Verdict::Adopt(rollout.id.clone()))
        .or_else(|| failed.map(|rollout| Verdict::Failed(Box::new(rollout.clone()))))
}

fn carried(rollout: &Rollout) -> Verdict {
    let id = rollout.id.shown().map_or("a rollout", |id| id.as_str());
    Verdict::Settled(Outcome::AlreadyRunning, format!("{id}, created at {}, carries it", rollout.created_at))
}

fn already_running(definition: &DefinitionId) -> Verdict {
    Verdict::Settled(Outcome::AlreadyRunning, format!("{definition} runs it already"))
}

/// Whether no rollout is under way, so that what runs is what will run.
fn is_at_rest(look: &Look) -> bool {
    look.rollouts.iter().all(|rollout| !rollout.state.is_live()) && !look.going_back
}

fn shown(source: &ImageSource) -> String {
    match (&source.container, &source.repository) {
        (Some(container), Some(repository)) => format!("{repository} in {container}"),
        (Some(container), None) => format!("container {container}"),
        (None, Some(repository)) => repository.to_string(),
        (None, None) => "its only container: it has several, so set `container`, or name the image".into(),
    }
}
