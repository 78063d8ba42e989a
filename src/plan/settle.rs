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
    Cause, Change, ContainerName, DefinitionChange, DefinitionId, DefinitionRef, DefinitionView, Digest,
    Failure, FollowedImage, ImageChange, ImageReference, ImageSource, Look, Outcome, Refresh, Request,
    Rollback, Rollout, RolloutKey, RolloutState, Timestamp,
};

use super::{
    Flaw,
    newer::{Content, created_since, lasts, superseded, taken_back},
    tagged,
    tagged::Pushed,
};

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

/// Whether a request would start a rollout of a target where nothing is under way.
pub fn is_needed(request: &Request, look: &Look) -> bool {
    is_at_rest(look) && verdict(request, look, |_| false) == Verdict::Needed
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
        let is_later = rollout.created_at >= request.floor + FRESHNESS_MARGIN;
        known || (is_later && reads_tag(followed, &containers, &rollout.definition))
    };
    if let Some(verdict) = tagged::read_since(request, followed, &containers, look) {
        return verdict;
    }
    let earliest = request.floor + FRESHNESS_MARGIN;
    let fate = fate(look.rollouts.iter().filter(carries), flawed);
    fate.unwrap_or(if followed.digest.is_none() && look.taken_at < earliest {
        Verdict::NotBefore(earliest)
    } else {
        Verdict::Needed
    })
}

/// Whether new tasks of a definition get what is pushed: those of one that was made to go back keep the digest that it names.
fn reads_tag(followed: &FollowedImage, containers: &[ContainerName], definition: &DefinitionView) -> bool {
    let tag = |name| definition.images.get(name).and_then(ImageReference::effective_tag);
    followed.any_tag || containers.iter().all(|name| tag(name).as_ref() == Some(&followed.tag))
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
        None => no_container(&followed.source, base),
        Some(name) => {
            let image = &base.images[name];
            if image.digest.is_some() {
                return Err(fixed(name, image, base));
            }
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
        let why = no_container(&change.source, base);
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
    let keeps_it = |it: &Rollout, _: &_| brings_it(it) || is_marked(it);
    let carriers = || {
        let carries = |it: &&Rollout| it.created_at >= earliest && brings_it(it);
        look.rollouts.iter().filter(carries).filter(|it| lasts(it, look, keeps_it))
    };
    let complete = || carriers().find(|it| it.state == RolloutState::Succeeded);
    let outrun =
        Pushed::of(request).zip(complete()).and_then(|(pushed, it)| pushed.outrun_by(it, &containers));
    if let Some(why) = outrun {
        return superseded_as(why);
    }
    let by_carrier = fate(carriers(), flawed);
    let settled = by_carrier
        .or_else(|| carriers().find_map(|carrier| taken_back(carrier, look)))
        .or_else(|| created_since(request, look));
    settled.unwrap_or(if look.taken_at < earliest { Verdict::NotBefore(earliest) } else { Verdict::Needed })
}

fn definition(
    request: &Request,
    asked: &DefinitionChange,
    look: &Look,
    flawed: &impl Fn(Flaw) -> bool,
) -> Verdict {
    if let Some(why) = asked.is_foreign_to(&request.target) {
        return Verdict::Impossible(Failure::new(Cause::DefinitionInvalid, why));
    }
    let wanted = match &look.wanted {
        Some(Ok(wanted)) if names(&asked.definition, &wanted.id) => wanted,
        Some(Err(why)) => return Verdict::Impossible(Failure::new(Cause::DefinitionInvalid, why.clone())),
        // The look was for a newer request, which is being deployed.
        Some(Ok(_)) | None => return Verdict::Await,
    };
    let pinned = asked.back.as_deref().filter(|back| !back.images.is_empty());
    let is_it = |definition: &DefinitionView| match pinned {
        Some(back) => is_made_to_go_back(back, wanted, request.version, definition),
        None => definition.id == wanted.id || is_made_from(wanted, request.version, definition),
    };
    // What we go back to, or from there on to again, was made of it.
    let keeps_it = |it: &Rollout, before: &DefinitionView| {
        let now = &it.definition;
        is_it(now) || now.marks.content == Some(request.version) || goes_on(before, request.version, now)
    };
    let carriers = || {
        let carries = |it: &&Rollout| it.created_at >= request.floor && is_it(&it.definition);
        look.rollouts.iter().filter(carries).filter(|it| lasts(it, look, keeps_it))
    };
    let by_carrier = fate(carriers(), flawed);
    by_carrier
        .or_else(|| carriers().find_map(|carrier| taken_back(carrier, look)))
        .or_else(|| superseded(request, Content::Definition(wanted), look, flawed))
        .or_else(|| asked.back.as_deref().and_then(|back| moved_on(back, request.version, look)))
        .or_else(|| created_since(request, look))
        .unwrap_or(Verdict::Needed)
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

/// Whether we made this revision of that one only to bring images that were asked for since. That somebody moved to a definition
/// leaves no mark on it, nor on what is made of it.
fn goes_on(before: &DefinitionView, version: Timestamp, now: &DefinitionView) -> bool {
    let marks = &now.marks;
    let is_newer = |name| marks.versions.get(name).is_some_and(|image| *image >= version);
    now.id.family == before.id.family
        && marks.deployment.is_some()
        && marks.content == before.marks.content
        && marks.versions.values().any(|image| *image >= version)
        && now.images.len() == before.images.len()
        && now.images.iter().all(|(name, image)| is_newer(name) || before.images.get(name) == Some(image))
}

/// Whether we made this revision to go back, with the images that ran, or with ones that were asked for since.
fn is_made_to_go_back(
    back: &Rollback,
    wanted: &DefinitionView,
    version: Timestamp,
    definition: &DefinitionView,
) -> bool {
    let marks = &definition.marks;
    let has = |(container, digest): (&ContainerName, &Digest)| {
        let image = definition.images.get(container).and_then(|image| image.digest.as_ref());
        image == Some(digest) || marks.versions.get(container).is_some_and(|image| *image >= version)
    };
    definition.id.family == wanted.id.family && marks.content == Some(version) && back.images.iter().all(has)
}

/// Whether something newer was deployed since somebody saw what was to be rolled back from: it may be what mends that.
/// What we deployed since, and was asked for before, only came late.
fn moved_on(back: &Rollback, version: Timestamp, look: &Look) -> Option<Verdict> {
    let live = look.rollouts.iter().find(|rollout| rollout.state.is_live());
    if look.going_back || live.is_some_and(|live| live.definition.id != back.from) {
        return Some(Verdict::Await);
    }
    let Some(running) = look.running.as_ref().map(|running| &running.definition) else {
        return Some(superseded_as(format!("{} was to be rolled back from, and nothing runs", back.from)));
    };
    let marks = &running.marks;
    let mut versions = marks.versions.values().chain(&marks.content);
    let is_older = marks.deployment.is_some() && versions.all(|it| *it < version);
    (running.id != back.from && !is_older).then(|| {
        superseded_as(format!("{} was to be rolled back from, and by now {} runs", back.from, running.id))
    })
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

pub(super) fn carried(rollout: &Rollout) -> Verdict {
    let id = rollout.id.shown().map_or("a rollout", |id| id.as_str());
    Verdict::Settled(Outcome::AlreadyRunning, format!("{id}, created at {}, carries it", rollout.created_at))
}

pub(super) fn superseded_as(why: String) -> Verdict {
    Verdict::Settled(Outcome::Superseded, why)
}

fn already_running(definition: &DefinitionId) -> Verdict {
    Verdict::Settled(Outcome::AlreadyRunning, format!("{definition} runs it already"))
}

/// Whether no rollout is under way, so that what runs is what will run.
fn is_at_rest(look: &Look) -> bool {
    look.rollouts.iter().all(|rollout| !rollout.state.is_live()) && !look.going_back
}

/// Why no push changes this container.
fn fixed(name: &ContainerName, image: &ImageReference, base: &DefinitionView) -> String {
    format!(
        "container {name} of {} names the digest of {image}: a push cannot change it; use on_push = \"pin\", or name \
         the tag alone",
        base.id
    )
}

/// Why none of the containers of this definition is meant.
fn no_container(source: &ImageSource, base: &DefinitionView) -> String {
    let id = &base.id;
    match (&source.container, &source.repository) {
        (Some(container), _) => format!("{id} has no container {container}"),
        (None, Some(repository)) => format!("no container of {id} has an image of {repository}"),
        (None, None) => format!(
            "a tag alone is for a definition with one container, and {id} has {}: set `container`, or name the image",
            base.images.len()
        ),
    }
}
