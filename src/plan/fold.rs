//! Many requests become one deployment.
//!
//! Requests that wait for a lane are ordered by version, never by arrival. A definition replaces all content before it; an
//! image replaces the earlier one of its containers, ranked by its tag policy and then by version; freshness is
//! a flag. A message is settled early only by a newer one of its own kind, which is held, so that a lane holds a
//! few at most and yet nothing that was asked is lost.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    hash::{Hash, Hasher},
    sync::Arc,
};

use crate::domain::{
    Cancellation, Change, ContainerName, DefinitionView, DeploymentId, ImageChange, ImageReference, LeaseId,
    Marks, Origin, Refresh, Request, Rollback, StartOrder, Tag, TargetId, Timestamp, fingerprint,
};

use super::{Flaw, settle};

/// How many merged origins a request remembers.
const MOST_ORIGINS: usize = 100;

/// One request that waits or is being deployed, and the message that holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) lease: LeaseId,
    pub(super) request: Request,
    /// Its floor as it came, however often it was tried since: when it was asked for, or put back.
    pub(super) asked_at: Timestamp,
    /// Why those that it replaced were made, oldest first.
    pub(super) merged: Vec<Arc<Origin>>,
    /// Whether a cancellation may come that strikes it, and not what it was folded with.
    pub(super) may_be_struck: bool,
    /// What strikes it, while only a look can tell whether a process before this one has begun it.
    pub(super) struck: Option<Arc<Struck>>,
}

/// A cancellation, as it struck a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Struck {
    pub(super) about: Cancellation,
    /// Whether that was received before this process did.
    pub(super) is_again: bool,
}

impl Hash for Ask {
    /// What is only told to people makes no state of its own.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { lease, request, asked_at, merged: _, may_be_struck, struck } = self;
        (lease, request, asked_at, may_be_struck, struck).hash(state);
    }
}

/// A request that another one makes needless.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Needless {
    pub(super) ask: Ask,
    /// The message of the other one.
    pub(super) by: LeaseId,
    /// Whether that may be struck alone, or does not hold the target as this may.
    pub(super) may_be_needed: bool,
}

impl Needless {
    fn because_of(other: &Ask, ask: Ask) -> Self {
        let may_be_needed = other.may_be_struck || leaves_hold_to(&other.request, &ask.request);
        Self { ask, by: other.lease, may_be_needed }
    }
}

impl Ask {
    pub(super) fn new(lease: LeaseId, request: Request) -> Self {
        let asked_at = request.floor;
        Self { lease, request, asked_at, merged: Vec::new(), may_be_struck: false, struck: None }
    }

    /// Every reason for this request, its own last.
    pub(super) fn origins(&self) -> impl Iterator<Item = &Arc<Origin>> {
        self.merged.iter().chain([&self.request.origin])
    }

    /// Why these are given up, if all of them are.
    pub(super) fn struck(asks: &[Self]) -> Option<&str> {
        let last = asks.last()?.struck.as_ref()?;
        asks.iter().all(|ask| ask.struck.is_some()).then_some(&*last.about.origin.reason)
    }

    fn absorb(&mut self, replaced: &Self) {
        self.request.guessed &= replaced.request.guessed;
        let room = MOST_ORIGINS.saturating_sub(self.merged.len());
        let own = &self.request.origin.event_id;
        let others = replaced.origins().filter(|it| it.event_id != *own).take(room);
        self.merged.splice(0..0, others.cloned().collect::<Vec<_>>());
    }
}

/// Several deployments become one: what one of them asks for in vain is left out.
pub(super) fn merged(asks: Vec<Ask>, flawed: impl Fn(Flaw) -> bool) -> Vec<Ask> {
    let mut merged = Vec::new();
    for ask in asks {
        join(&mut merged, ask, &flawed);
    }
    merged
}

/// Lets a request join those that wait. Returns what is needless now, because a newer one asks for the same or
/// replaces it.
pub(super) fn join(waiting: &mut Vec<Ask>, mut joining: Ask, flawed: impl Fn(Flaw) -> bool) -> Vec<Needless> {
    let mut needless = Vec::new();
    let arrival_counts = flawed(Flaw::ArrivalOrder);
    if let Some(newer) = waiting
        .iter_mut()
        .find(|ask| !arrival_counts && replaces(&ask.request, &joining.request) == Some(Ordering::Greater))
    {
        newer.absorb(&joining);
        return vec![Needless::because_of(newer, joining)];
    }
    waiting.retain(|ask| {
        // By version nothing that waits is newer, and replaces this: that was looked for above.
        let stays = replaces(&joining.request, &ask.request).is_none();
        if !stays {
            joining.absorb(ask);
            needless.push(Needless::because_of(&joining, ask.clone()));
        }
        stays
    });
    let order = |ask: &Ask| (ask.request.version, ask.lease);
    let place = waiting.partition_point(|ask| order(ask) < order(&joining));
    waiting.insert(place, joining);
    needless
}

/// How the first stands to the second if one of them makes the other needless; `None` if both are needed.
fn replaces(one: &Request, other: &Request) -> Option<Ordering> {
    match (&one.change, &other.change) {
        (Change::Refresh(one_is), Change::Refresh(other_is)) => {
            is_same_freshness(one_is, other_is).then(|| one.version.cmp(&other.version))
        }
        (Change::Image(one_is), Change::Image(other_is)) => (one_is.source == other_is.source)
            .then(|| rank(one_is, other_is).then(one.version.cmp(&other.version))),
        (Change::Definition(_), Change::Definition(_)) => Some(one.version.cmp(&other.version)),
        (Change::Definition(_), Change::Image(_)) if one.version > other.version => Some(Ordering::Greater),
        (Change::Image(_), Change::Definition(_)) if one.version < other.version => Some(Ordering::Less),
        (Change::Image(_) | Change::Definition(_) | Change::Refresh(_), _) => None,
    }
}

/// Whether the older of two rollbacks may hold the target, and the newer does not: both of them are what it goes back for.
fn leaves_hold_to(newer: &Request, older: &Request) -> bool {
    let [newer, older] = [newer, older].map(|request| rollback_of(&request.change));
    older.is_some() && newer.is_some_and(|back| !back.hold)
}

/// Whether a target that owes the one for sure owes the other.
fn is_same_freshness(one: &Refresh, other: &Refresh) -> bool {
    match (one, other) {
        (Refresh::Restart, Refresh::Restart) => true,
        (Refresh::Image(one), Refresh::Image(other)) => {
            one.source == other.source
                && one.any_tag == other.any_tag
                && (one.any_tag || one.tag == other.tag)
        }
        (Refresh::Restart, Refresh::Image(_)) | (Refresh::Image(_), Refresh::Restart) => false,
    }
}

/// Tags of one policy rank by it; what was named on purpose ranks by its version alone.
fn rank(one: &ImageChange, other: &ImageChange) -> Ordering {
    match (&one.policy, &other.policy, &one.tag, &other.tag) {
        (Some(policy), Some(same), Some(one), Some(other)) if policy == same => {
            policy.rank(one).cmp(&policy.rank(other))
        }
        _ => Ordering::Equal,
    }
}

/// Leaves out the images of which no container would be left: requests that name the same image in different ways
/// are found to be for the same container only by the definition. Returns those that are left, and those that are needless.
pub(super) fn shed(asks: Vec<Ask>, ground: &Ground<'_>) -> (Vec<Ask>, Vec<Needless>) {
    let start = ground.wanted.unwrap_or(ground.base);
    let image = |ask: &Ask| match &ask.request.change {
        Change::Image(image) => Some((settle::containers(&image.source, start), image.clone())),
        Change::Definition(_) | Change::Refresh(_) => None,
    };
    let covers = |later: &Ask, (containers, one): &(Vec<ContainerName>, ImageChange), earlier: &Ask| {
        image(later).is_some_and(|(others, other)| {
            let order = rank(&other, one).then(later.request.version.cmp(&earlier.request.version));
            let is_later = order.then(later.lease.cmp(&earlier.lease)) == Ordering::Greater;
            is_later && !containers.is_empty() && containers.iter().all(|name| others.contains(name))
        })
    };
    let covering: Vec<Option<usize>> = asks
        .iter()
        .map(|ask| image(ask).and_then(|it| asks.iter().position(|later| covers(later, &it, ask))))
        .collect();
    let (mut kept, mut needless) = (asks.clone(), Vec::<Needless>::new());
    for (ask, by) in asks.iter().zip(&covering) {
        if let Some(by) = by {
            kept[*by].absorb(ask);
            needless.push(Needless::because_of(&asks[*by], ask.clone()));
        }
    }
    kept.retain(|ask| !needless.iter().any(|it| it.ask.lease == ask.lease));
    (kept, needless)
}

/// What a deployment is to bring about, made of all the requests that it carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Folded {
    pub(super) order: StartOrder,
    /// What the rollout must have to be a success: the revision is known once it is registered.
    pub(super) images: BTreeMap<ContainerName, ImageReference>,
}

/// What a deployment is built on.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    /// Where it starts from, unless a definition was asked for.
    pub(super) base: &'a DefinitionView,
    /// The definition that was asked for.
    pub(super) wanted: Option<&'a DefinitionView>,
    /// What it replaces.
    pub(super) running: Option<&'a DefinitionView>,
    /// When somebody decided on the base, whose rollout gives way to this deployment and leaves no other trace.
    pub(super) decided: Option<Timestamp>,
}

/// Folds requests that must be started into one order.
pub(super) fn fold(id: DeploymentId, target: &TargetId, asks: &[Ask], ground: &Ground<'_>) -> Folded {
    let Ground { base, wanted, running, decided } = *ground;
    let definition = wanted.and_then(|wanted| {
        asks.iter().filter(|ask| asks_for(ask, wanted)).max_by_key(|ask| ask.request.version)
    });
    let start = definition.and(wanted).unwrap_or(base);
    let since = definition.map(|ask| ask.request.version);
    let mut images: Vec<(&Ask, &ImageChange)> = asks
        .iter()
        .filter_map(|ask| match &ask.request.change {
            Change::Image(image) => Some((ask, image)),
            Change::Definition(_) | Change::Refresh(_) => None,
        })
        .filter(|(ask, _)| since.is_none_or(|since| ask.request.version >= since))
        .collect();
    images.sort_by_key(|(ask, _)| ask.request.version);
    let version = asks.iter().map(|ask| ask.request.version).max().unwrap_or_default();
    let mut marks = Marks { deployment: Some(id), target: Some(target.clone()), ..start.marks.clone() };
    let mut edits = BTreeMap::new();
    for (container, version, image) in since.into_iter().flat_map(|since| newer_images(since, start, running))
    {
        marks.versions.insert(container.clone(), version);
        edits.insert(container, image);
    }
    let back = definition.and_then(|ask| rollback_of(&ask.request.change));
    for (container, digest) in back.iter().flat_map(|back| &back.images) {
        if let Some(image) = start.images.get(container) {
            edits.insert(container.clone(), image.with_digest(digest.clone()));
        }
    }
    for (container, tag) in asks.iter().flat_map(|ask| unpinned(ask, start)) {
        edits.insert(container.clone(), start.images[&container].with_tag(tag));
    }
    for (ask, image) in images {
        for container in settle::containers(&image.source, start) {
            if let Some(reference) = start.images.get(&container).map(|was| edited(was, image)) {
                marks.versions.insert(container.clone(), ask.request.version);
                edits.insert(container, reference);
            }
        }
    }
    marks.follows.retain(|container, _| !edits.contains_key(container));
    for (container, tag) in back.iter().flat_map(|back| &back.follow) {
        let digest = edits.get(container).and_then(|image| image.digest.as_ref());
        if digest.is_some() && digest == back.and_then(|back| back.images.get(container)) {
            marks.follows.insert(container.clone(), tag.clone());
        }
    }
    let is_as_it_is = || edits.iter().all(|(name, image)| start.images.get(name) == Some(image));
    let moves = || is_as_it_is() && running.is_none_or(|running| running.id != start.id);
    if let Some(content) = since.or(decided).or_else(|| moves().then_some(version)) {
        marks.content = Some(content);
    }
    let mut expected = start.images.clone();
    expected.extend(edits.clone());
    Folded {
        order: StartOrder { target: target.clone(), base: start.id.clone(), edits, marks },
        images: expected,
    }
}

/// The containers whose tag this follows, although their image names a digest since a rollback: they name the tag again.
fn unpinned(ask: &Ask, start: &DefinitionView) -> Vec<(ContainerName, Tag)> {
    let Change::Refresh(Refresh::Image(followed)) = &ask.request.change else { return Vec::new() };
    let followers = settle::followers(followed, start).unwrap_or_default();
    let marked = |name: ContainerName| Some((name.clone(), start.marks.follows.get(&name)?.clone()));
    followers.into_iter().filter_map(marked).collect()
}

/// The images that run and were asked for after a definition was: they are kept through it.
fn newer_images<'a>(
    since: Timestamp,
    start: &'a DefinitionView,
    running: Option<&'a DefinitionView>,
) -> impl Iterator<Item = (ContainerName, Timestamp, ImageReference)> + 'a {
    let marked = running.into_iter().flat_map(|running| {
        running.marks.versions.iter().filter_map(|(name, at)| Some((name, *at, running.images.get(name)?)))
    });
    marked
        .filter(move |(name, at, _)| *at > since && start.images.contains_key(*name))
        .map(|(name, at, image)| (name.clone(), at, image.clone()))
}

/// Whether what is asked for is a way back: an image that is asked for beside it is new.
pub(super) fn is_rollback(asks: &[Ask]) -> bool {
    let restarts = |change: &Change| *change == Change::Refresh(Refresh::Restart);
    let mut changes =
        asks.iter().map(|ask| &ask.request.change).filter(|change| !restarts(change)).peekable();
    changes.peek().is_some() && changes.all(|change| rollback_of(change).is_some())
}

pub(super) fn rollback_of(change: &Change) -> Option<&Rollback> {
    match change {
        Change::Definition(definition) => definition.back.as_deref(),
        Change::Image(_) | Change::Refresh(_) => None,
    }
}

fn asks_for(ask: &Ask, definition: &DefinitionView) -> bool {
    match &ask.request.change {
        Change::Definition(asked) => settle::names(&asked.definition, &definition.id),
        Change::Image(_) | Change::Refresh(_) => false,
    }
}

/// The image that a container is to have: the registry and repository stay what they were.
fn edited(was: &ImageReference, image: &ImageChange) -> ImageReference {
    match (&image.digest, &image.tag) {
        (Some(digest), tag) if image.by_digest || tag.is_none() => was.with_digest(digest.clone()),
        (_, Some(tag)) => was.with_tag(tag.clone()),
        (_, None) => was.clone(),
    }
}

/// What a deployment is asked for, so that an attempt can be told from one for something else.
pub(super) fn asked(asks: &[Ask]) -> Vec<(Timestamp, Change)> {
    let mut asked: Vec<_> =
        asks.iter().map(|ask| (ask.request.version, ask.request.change.clone())).collect();
    asked.sort();
    asked
}

/// The same deployment has the same id after a crash: it is made of what is asked, and of nothing else.
pub(super) fn deployment_id(target: &TargetId, asks: &[Ask]) -> DeploymentId {
    let asked: BTreeSet<_> = asks
        .iter()
        .map(|Ask { request, .. }| (request.version, request.floor, format!("{:?}", request.change)))
        .collect();
    let mut text = target.to_string();
    for (version, floor, change) in asked {
        let _ = write!(text, "\n{version} {floor} {change}");
    }
    format!("d-{}", fingerprint(text, 6)).into()
}

/// What a request asks for, in words.
pub(super) fn describe(change: &Change) -> String {
    match change {
        Change::Refresh(Refresh::Restart) => "new tasks".into(),
        Change::Refresh(Refresh::Image(followed)) => match &followed.source.repository {
            Some(repository) => format!("new tasks with {repository}:{}", followed.tag),
            None => format!("new tasks with the tag {}", followed.tag),
        },
        Change::Image(image) => {
            let repository = image.source.repository.as_ref().map_or("the image", |name| name.as_str());
            let which = match (&image.tag, &image.digest) {
                (Some(tag), _) => format!(":{tag}"),
                (None, Some(digest)) => format!("@{digest}"),
                (None, None) => String::new(),
            };
            format!("image {repository}{which}")
        }
        Change::Definition(definition) => match &definition.back {
            Some(back) => format!("back from {} to {definition}", back.from),
            None => format!("definition {definition}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::testing::{ask, definition, pin, push, push_change, restart};

    #[test]
    fn whichever_is_asked_first_the_same_one_makes_the_other_needless() {
        let any_tag = crate::domain::FollowedImage { any_tag: true, ..push_change("x", None) };
        let any_tag = ask(15, Change::Refresh(Refresh::Image(any_tag)));
        let mut requests = vec![any_tag];
        for seconds in [10, 20] {
            requests.extend([
                restart(seconds),
                push(seconds, "latest", "sha256:new"),
                pin(seconds, "v1"),
                pin(seconds, "v2"),
                definition(seconds, "f:2"),
            ]);
        }
        for one in &requests {
            for other in &requests {
                let reversed = replaces(other, one).map(Ordering::reverse);
                assert_eq!(replaces(one, other), reversed, "{one:?} {other:?}");
            }
        }
        assert_eq!(replaces(&pin(10, "v1"), &definition(20, "f:2")), Some(Ordering::Less));
        assert_eq!(replaces(&pin(20, "v1"), &definition(20, "f:2")), None);
        assert_eq!(replaces(&pin(20, "v1"), &definition(10, "f:2")), None);
    }
}
