//! By which id what waits is known.
//!
//! What waits in a lane that is busy is a deployment from its first request on: it keeps its id while more joins it, and
//! goes on under that id once it starts. Where a lane only gathers, its id is that of all that was gathered, once the quiet
//! time is over: of the messages that are left then, which come back after a crash and make the same id.
//!
//! Some of what waits together may end before the rest of it starts. Then the rest keeps the id, and what has ended has one
//! of its own. After a crash an id is taken from the tag of the revision that was made for a request, where there is one:
//! not every request that had a part in it comes back.

use std::hash::{Hash, Hasher};

use crate::domain::{Change, DefinitionView, DeploymentId, MarkOrder, Rollout, RolloutKey, fingerprint};

use super::{
    fold,
    fold::Ask,
    lane::{Lane, Passage, Phase, Turn},
    settle,
};

/// The ids that a lane keeps. They are told to people, and make no state of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Named {
    waiting: Name,
    /// The rollout that was started last, and the deployment that it is of.
    started: Option<(RolloutKey, DeploymentId)>,
    /// What was marked last as needing no rollout of its own: nothing was made for that.
    marked: Option<MarkOrder>,
}

impl Hash for Named {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// How what waits is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Name {
    /// It has no id that would be kept.
    #[default]
    NotYet,
    /// It is this deployment.
    As(DeploymentId),
    /// The rest of it is; what is told of now is not.
    Beside(DeploymentId),
}

impl Lane {
    /// A request joins what waits. Where the lane is busy, that keeps its id, or has one from now on.
    pub(super) fn let_join(&mut self, ask: Ask, turn: &mut Turn<'_>) {
        if self.waiting.is_empty() {
            self.named.waiting = Name::NotYet;
        }
        self.name_what_waits();
        let needless = fold::join(&mut self.waiting, ask, |flaw| turn.flawed(flaw));
        self.name_what_waits();
        self.drop_needless(needless, turn);
    }

    fn name_what_waits(&mut self) {
        let is_busy = match self.phase {
            Phase::Idle | Phase::Looking { .. } | Phase::Marking(_) => false,
            Phase::Paused { .. }
            | Phase::Queued { .. }
            | Phase::Blocked(_)
            | Phase::Starting(..)
            | Phase::Watching(..) => true,
        };
        if is_busy && self.named.waiting == Name::NotYet && !self.waiting.is_empty() {
            self.named.waiting = Name::As(fold::deployment_id(&self.target, &self.waiting));
        }
    }

    /// The requests of this one are about to wait again: they keep its id, unless they join others that have theirs.
    pub(super) fn wait_again_as(&mut self, id: &DeploymentId) {
        if self.waiting.is_empty() || self.named.waiting == Name::NotYet {
            self.named.waiting = Name::As(id.clone());
        }
    }

    /// The id of requests that wait, or waited until now.
    pub(super) fn id_of(&self, asks: &[Ask]) -> DeploymentId {
        let retrying = self.retrying_of(asks).map(|it| it.id.clone());
        let own = || retrying.clone().unwrap_or_else(|| fold::deployment_id(&self.target, asks));
        match &self.named.waiting {
            Name::NotYet => own(),
            Name::As(id) => retrying.unwrap_or_else(|| id.clone()),
            Name::Beside(rest) => apart(own(), rest),
        }
    }

    /// Tells of some that waited. Where there is a rest that goes on, that keeps the id.
    pub(super) fn tell_beside<T>(&mut self, is_rest: bool, tell: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.named.waiting.clone();
        if let Name::As(id) = &before
            && is_rest
        {
            self.named.waiting = Name::Beside(id.clone());
        }
        let told = tell(self);
        self.named.waiting = before;
        told
    }

    /// These go on; what is left waiting keeps its id only if they have another one.
    pub(super) fn take_id(&mut self, asks: &[Ask], known: Option<DeploymentId>) -> DeploymentId {
        let id = known.unwrap_or_else(|| self.id_of(asks));
        if self.waiting.is_empty() {
            self.named.waiting = Name::NotYet;
        } else if self.named.waiting == Name::As(id.clone()) {
            let rest = fold::deployment_id(&self.target, &self.waiting);
            self.named.waiting = Name::As(apart(rest, &id));
        }
        id
    }

    /// This deployment's rollout was started.
    pub(super) fn remember_started(&mut self, rollout: &RolloutKey, passage: &Passage) {
        self.named.started = Some((rollout.clone(), passage.id.clone()));
    }

    /// Whether this rollout is the one that this process has started last.
    pub(super) fn has_started(&self, rollout: &Rollout) -> bool {
        self.named.started.as_ref().is_some_and(|(key, _)| rollout.id.is(key))
    }

    /// A revision that was made for something else bears these marks by now.
    pub(super) fn remember_marked(&mut self, order: MarkOrder) {
        self.named.marked = Some(order);
    }

    /// The deployment of ours that this rollout is of, as far as that can be told where it carries these.
    pub(super) fn id_by_rollout(&self, rollout: &Rollout, asks: &[Ask]) -> Option<DeploymentId> {
        let started = self.named.started.as_ref().filter(|(key, _)| rollout.id.is(key));
        started.map(|(_, id)| id.clone()).or_else(|| self.id_by_marks(rollout, asks))
    }

    /// The deployment that made the revision of this rollout for just these.
    pub(super) fn id_by_marks(&self, rollout: &Rollout, asks: &[Ask]) -> Option<DeploymentId> {
        let id = rollout.definition.marks.deployment.clone()?;
        let marked = self.named.marked.as_ref();
        let is_made_for = |it: &DefinitionView| asks.iter().all(|ask| is_made_for(it, ask, marked));
        let is_made = asks.iter().any(|ask| ask.request.change.is_content())
            && is_made_for(&rollout.definition)
            && !rollout.previous.as_ref().is_some_and(is_made_for);
        (is_made || id == fold::deployment_id(&self.target, asks)).then_some(id)
    }
}

/// Whether a revision has the image that is asked for because of just this, and not only the mark of it. Marks go on from one
/// revision to the next, and to those by which we go back; a definition that is rolled out as it is bears none of ours.
fn is_made_for(definition: &DefinitionView, ask: &Ask, marked: Option<&MarkOrder>) -> bool {
    let marks = &definition.marks;
    let later = marked.filter(|it| it.definition == definition.id).map(|it| &it.marks.versions);
    match &ask.request.change {
        Change::Refresh(_) => true,
        Change::Definition(_) => false,
        Change::Image(image) => {
            let containers = settle::containers(&image.source, definition);
            let version = Some(&ask.request.version);
            let is_its = |name| {
                marks.versions.get(name) == version && later.and_then(|later| later.get(name)) != version
            };
            marks.follows.is_empty() && !containers.is_empty() && containers.iter().all(is_its)
        }
    }
}

/// This id, unless it is the other one's, too.
fn apart(id: DeploymentId, other: &DeploymentId) -> DeploymentId {
    if id == *other { format!("d-{}", fingerprint(format!("beside {other}"), 6)).into() } else { id }
}
