//! ECS in miniature: definitions, rollouts, and what a look at them shows.

use std::collections::{BTreeMap, BTreeSet};

use lockkeeper::domain::{
    Base, ContainerName, DefinitionId, DefinitionView, Digest, Glance, Holds, ImageReference, LiveRollout,
    Look, LookOrder, MarkOrder, Marks, Rollout, RolloutId, RolloutKey, RolloutState, Running, ServiceState,
    StartOrder, StoppedTask, TagOrder, Tasks, Timestamp,
};

use super::{TIMEOUT, at};

/// How many tasks every service is to have.
const DESIRED: u32 = 2;

/// A task definition, and what is true of it beside what it shows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Definition {
    /// The tag of each container's image.
    pub tags: BTreeMap<&'static str, String>,
    pub marks: Marks,
    /// When what each container has was asked for, in milliseconds.
    pub asked_at: BTreeMap<&'static str, u64>,
    /// The revisions that it was made from, itself too.
    pub lineage: BTreeSet<u32>,
}

/// A rollout as it really is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Real {
    pub id: u32,
    pub created: u64,
    pub revision: u32,
    pub previous: u32,
    pub state: RolloutState,
    pub ours: bool,
    pub failed_tasks: u32,
    /// Whether it goes on for ever unless somebody ends it.
    pub is_stalled: bool,
    /// When it was created, or told to go back.
    pub turned: u64,
    /// Whether it failed because there was no room for its tasks.
    pub lacks_room: bool,
}

impl Real {
    /// ECS begins to go back, and what kept the rollout from its end does not keep it from that.
    pub fn go_back(&mut self, now: u64) {
        self.state = RolloutState::RollingBack;
        (self.is_stalled, self.turned) = (false, now);
    }

    /// Whether it has made no progress for its timeout.
    pub fn is_stuck(&self, now: u64) -> bool {
        self.state == RolloutState::InProgress && self.created + TIMEOUT <= now
    }
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    pub family: &'static str,
    /// Revision 1 stands first.
    pub definitions: Vec<Definition>,
    /// Oldest first; never empty.
    pub rollouts: Vec<Real>,
    /// What its tags say of what keeps it back.
    pub holds: Holds,
}

impl Service {
    /// A service that runs its first revision.
    pub fn new(family: &'static str, definitions: Vec<Definition>) -> Self {
        let first = Real {
            id: 0,
            created: 0,
            revision: 1,
            previous: 1,
            state: RolloutState::Succeeded,
            ours: false,
            failed_tasks: 0,
            is_stalled: false,
            turned: 0,
            lacks_room: false,
        };
        Self { family, definitions, rollouts: vec![first], holds: Holds::default() }
    }

    pub fn definition(&self, revision: u32) -> &Definition {
        &self.definitions[revision as usize - 1]
    }

    /// What the last completed rollout left running.
    pub fn good(&self) -> &Real {
        let complete = |it: &&Real| it.state == RolloutState::Succeeded;
        self.rollouts.iter().rev().find(complete).expect("the first rollout is complete")
    }

    pub fn running(&self) -> &Definition {
        self.definition(self.good().revision)
    }

    /// The revision that the service has, complete or not; where a rollout failed, what still runs.
    pub fn current(&self) -> u32 {
        let last = self.rollouts.last().expect("the first rollout stays");
        match last.state {
            RolloutState::Failed
            | RolloutState::RollingBack
            | RolloutState::RolledBack
            | RolloutState::RollbackFailed => self.good().revision,
            RolloutState::InProgress | RolloutState::Succeeded | RolloutState::Stopped => last.revision,
        }
    }

    /// Whether this order goes back to what was good, from a rollout of ours that failed or is stuck.
    pub fn goes_back(&self, order: &StartOrder, now: u64) -> bool {
        let last = self.rollouts.last().expect("the first rollout stays");
        let is_pinned = |image: &ImageReference| image.tag.is_none() && image.digest.is_some();
        let has_failed = last.state == RolloutState::Failed || last.is_stuck(now);
        has_failed
            && order.base.revision == self.good().revision
            && order.edits.values().all(is_pinned)
            && (last.revision != self.good().revision || !order.edits.is_empty())
    }

    /// Whether somebody moved it twice, and neither was ever complete: a race that the planner accepts.
    pub fn was_moved_in_vain(&self) -> bool {
        let is_vain = |it: &Real| !it.ours && it.state != RolloutState::Succeeded && !it.state.is_live();
        self.rollouts.windows(2).any(|two| two.iter().all(is_vain))
    }

    pub fn live(&self) -> Option<&Real> {
        self.rollouts.last().filter(|it| it.state.is_live())
    }

    pub fn live_mut(&mut self) -> Option<&mut Real> {
        self.rollouts.last_mut().filter(|it| it.state.is_live())
    }

    /// How many rollouts failed in a row because there was no room.
    pub fn short_of_room(&self) -> usize {
        self.rollouts.iter().rev().take_while(|it| it.lacks_room).count()
    }

    /// Does what UpdateService does: the new rollout takes the place of one in progress.
    pub fn roll_out(&mut self, now: u64, revision: u32, ours: bool) -> &Real {
        let previous = self.current();
        if let Some(live) = self.live_mut() {
            live.state = match live.state {
                RolloutState::RollingBack => RolloutState::RollbackFailed,
                _ => RolloutState::Stopped,
            };
        }
        let id = u32::try_from(self.rollouts.len()).expect("few");
        let state = RolloutState::InProgress;
        self.rollouts.push(Real {
            id,
            created: now,
            revision,
            previous,
            state,
            ours,
            failed_tasks: 0,
            is_stalled: false,
            turned: now,
            lacks_room: false,
        });
        self.rollouts.last().expect("just pushed")
    }

    /// Somebody registers and rolls out a definition of their own.
    pub fn move_by_somebody(&mut self, now: u64) {
        let revision = self.next_revision();
        let mut made = self.running().clone();
        for (name, tag) in &mut made.tags {
            *tag = format!("by-hand-{revision}");
            made.asked_at.insert(name, now);
        }
        made.marks = Marks::default();
        made.lineage = BTreeSet::from([revision]);
        self.definitions.push(made);
        self.roll_out(now, revision, false);
    }

    /// Registers what an order asks for, unless it exists; tells its revision.
    pub fn register(
        &mut self,
        order: &StartOrder,
        asked_at: impl Fn(&str, Option<&Timestamp>) -> u64,
        back_at: Option<u64>,
    ) -> u32 {
        let base = order.base.revision;
        let mut made = self.definition(base).clone();
        for (container, image) in &order.edits {
            let (name, tag) = made.tags.iter_mut().find(|it| *it.0 == container.as_str()).expect("known");
            let before = std::mem::replace(tag, shown(image));
            let since = made.asked_at.insert(name, asked_at(tag, order.marks.versions.get(container)));
            // The same image, by whatever name, was asked for when it was, or later.
            if digest(tag) == digest(&before) {
                let newest = made.asked_at.get_mut(name).expect("just inserted");
                *newest = since.max(Some(*newest)).expect("one is there");
            }
        }
        // What somebody goes back to is what is asked for then, however old it is.
        for asked_at in made.asked_at.values_mut() {
            *asked_at = back_at.max(Some(*asked_at)).expect("one is there");
        }
        if made.tags == self.definition(base).tags {
            let marks = &mut self.definitions[base as usize - 1].marks;
            if order.marks.advance(marks) {
                *marks = order.marks.clone();
            }
            self.definitions[base as usize - 1].asked_at = made.asked_at;
            return base;
        }
        made.marks = order.marks.clone();
        if self.definitions.last().is_some_and(|it| it.tags == made.tags && it.marks == made.marks) {
            return self.next_revision() - 1;
        }
        let revision = self.next_revision();
        made.lineage.insert(revision);
        self.definitions.push(made);
        revision
    }

    /// Has the tags say what was decided, unless they say something newer.
    pub fn tag(&mut self, order: &TagOrder) -> Holds {
        if let Some(after) = self.holds.after(&order.decision) {
            self.holds = after;
        }
        self.holds.clone()
    }

    pub fn mark(&mut self, order: &MarkOrder) {
        self.definitions[order.definition.revision as usize - 1].marks.raise(&order.marks);
    }

    /// What runs was asked for at this time, if it has the image of this tag.
    pub fn was_asked(&mut self, container: &'static str, tag: &str, version: u64) {
        let running = self.good().revision as usize - 1;
        let running = &mut self.definitions[running];
        if digest(&running.tags[container]) == digest(tag) {
            let newest = running.asked_at.get_mut(container).expect("known");
            *newest = version.max(*newest);
        }
    }

    fn next_revision(&self) -> u32 {
        u32::try_from(self.definitions.len()).expect("few") + 1
    }

    pub fn view(&self, revision: u32) -> DefinitionView {
        let definition = self.definition(revision);
        let image = |(name, tag): (&&'static str, &String)| {
            let image: ImageReference = format!("shop/{name}").parse().expect("valid");
            let is_pinned = tag.starts_with('@');
            let image =
                if is_pinned { image.with_digest(digest(tag)) } else { image.with_tag(tag.as_str().into()) };
            (ContainerName::from(*name), image)
        };
        DefinitionView {
            id: DefinitionId { family: self.family.into(), revision },
            images: definition.tags.iter().map(image).collect(),
            marks: definition.marks.clone(),
        }
    }

    fn digests(&self, revision: u32) -> BTreeMap<ContainerName, Digest> {
        let tags = &self.definition(revision).tags;
        tags.iter().map(|(name, tag)| ((*name).into(), digest(tag))).collect()
    }

    pub fn look(&self, order: &LookOrder, now: u64) -> Look {
        let good = self.good();
        let running = Running {
            definition: self.view(good.revision),
            digests: self.digests(good.revision),
            since: Some(at(good.created)),
        };
        let newest = u32::try_from(self.definitions.len()).expect("few");
        let wanted = order.wanted.as_ref().map(|wanted| match wanted.revision.unwrap_or(newest) {
            it if it <= newest => Ok(self.view(it)),
            it => Err(format!("there is no revision {it}")),
        });
        let base = match order.base {
            Base::Running => self.view(good.revision),
            Base::Latest(_) => self.view(newest),
        };
        let listed = |it: &&Real| at(it.created) >= order.since || it.state.is_live();
        Look {
            taken_at: at(now),
            service: ServiceState::Active,
            created_at: None,
            desired: DESIRED,
            running: Some(running),
            base: Ok(base),
            wanted,
            rollouts: self.rollouts.iter().rev().filter(listed).map(|it| self.shown(it)).collect(),
            holds: self.holds.clone(),
            tags: BTreeMap::new(),
            going_back: self.live().is_some_and(|live| live.state == RolloutState::RollingBack),
            events: Vec::new(),
            stopped: if order.evidence { self.stopped() } else { Vec::new() },
        }
    }

    fn stopped(&self) -> Vec<(RolloutId, StoppedTask)> {
        let task = StoppedTask {
            stop_code: Some("TaskFailedToStart".into()),
            reason: Some("RESOURCE:MEMORY".into()),
            ..StoppedTask::default()
        };
        self.rollouts.iter().filter(|it| it.lacks_room).map(|it| (name(it.id), task.clone())).collect()
    }

    fn shown(&self, real: &Real) -> Rollout {
        let is_known = real.state == RolloutState::Succeeded;
        Rollout {
            id: key(real.id),
            created_at: at(real.created),
            updated_at: at(real.created),
            definition: self.view(real.revision),
            previous: Some(self.view(real.previous)),
            digests: if is_known { self.digests(real.revision) } else { BTreeMap::new() },
            primary: self.rollouts.last().is_some_and(|last| last.id == real.id),
            state: real.state,
            rolls_back: false,
            stopped: false,
            tripped: false,
            undone_since: None,
            tasks: tasks(real),
            reason: "as ECS says".into(),
        }
    }

    pub fn glance(&self) -> Glance {
        let live = self.rollouts.iter().rev().take(2).enumerate().map(|(place, it)| LiveRollout {
            id: name(it.id),
            primary: place == 0,
            in_progress: it.state == RolloutState::InProgress,
            tasks: tasks(it),
            reason: "as ECS says".into(),
        });
        Glance { service: ServiceState::Active, live: live.collect() }
    }
}

pub fn key(id: u32) -> RolloutKey {
    RolloutKey { deployment: Some(name(id)), service_deployment: Some(name(id)) }
}

pub fn name(id: u32) -> RolloutId {
    format!("ecs-svc/{id}").into()
}

/// The digest behind a tag; one that is named itself begins with `@`.
pub fn digest(tag: &str) -> Digest {
    tag.strip_prefix('@').map_or_else(|| format!("sha256:{tag}"), str::to_owned).into()
}

/// An image as a definition of this world names it.
fn shown(image: &ImageReference) -> String {
    match (&image.tag, &image.digest) {
        (Some(tag), _) => tag.as_str().to_owned(),
        (None, Some(digest)) => format!("@{digest}"),
        (None, None) => "latest".to_owned(),
    }
}

fn tasks(real: &Real) -> Tasks {
    let running = if real.state == RolloutState::Succeeded { DESIRED } else { 0 };
    Tasks { desired: DESIRED, running, pending: 0, failed: real.failed_tasks }
}
