//! Watching a rollout: cheap glances at a growing pace, and a whole look when something is to be judged.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::domain::{
    CallFailure, Glance, LiveRollout, Moment, Rollout, RolloutKey, RolloutState, ServiceState, Stage,
    TargetId, Tasks, Timestamp,
};

use super::{
    Command,
    lane::{Lane, Phase, Turn},
};

/// Glances that are due within this go along with one that is due now.
pub(super) const BATCH_SLACK: Duration = Duration::from_millis(100);

/// Where a call has room, those that are due within this fill it: that costs nothing, and rollouts that began one by one
/// are glanced at together from then on.
pub(super) const RIDE_ALONG: Duration = Duration::from_millis(1_500);

/// The first glance at a new rollout comes this soon: one without tasks is complete at once.
const FIRST_PACE: Duration = Duration::from_millis(5);

/// The pace doubles up to this, and more slowly where there are more rollouts than may be glanced at so often.
const SLOWEST_PACE: Duration = Duration::from_secs(3);

/// Hints bring no two glances nearer together than this.
const HINT_SPACING: Duration = Duration::from_secs(1);

/// DescribeServices takes ten services at most.
const MOST_IN_BATCH: usize = 10;

/// Reads of ECS may be this stale: a rollout younger than this that is not listed is not gone.
const STALE_READS: Duration = Duration::from_secs(5);

/// A rollout that is watched, ours or somebody's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Watch {
    pub(super) rollout: RolloutKey,
    pub(super) created_at: Timestamp,
    /// Since when it is watched.
    since: Moment,
    call: Call,
    /// When the last glance or look ended.
    glanced: Moment,
    pace: Duration,
    /// When it will have made no progress for its timeout.
    deadline: Moment,
    timeout: Duration,
    pub(super) tasks: Tasks,
    /// The most tasks that ran at once: one that dies and is replaced is no progress.
    most_running: u32,
    /// Whether it made no progress for its timeout, and that was told.
    pub(super) overdue: bool,
    /// Whether ECS is undoing it.
    pub(super) going_back: bool,
    /// How far that is, once it was glanced at.
    way_back: Option<Returned>,
    /// Whether it is itself a rollback: what was there before is rolled out again.
    pub(super) undoes: bool,
    /// Whether ECS was told to stop it, because it was cancelled.
    pub(super) was_stopped: bool,
    /// Whether ECS cannot be told to stop it.
    pub(super) cannot_stop: bool,
    /// Whether nothing that waits would be started over it: only something new has to be looked at then.
    pub(super) spared: bool,
}

/// How far ECS has gone back from a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Returned {
    /// The most tasks that ran at once of what ran before.
    most: u32,
    /// The fewest that were left of what is undone.
    fewest: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Call {
    NextAt(Moment),
    Glancing,
    Looking,
    Stopping,
}

impl Watch {
    /// Watches from now on a rollout that has made no progress for `stalled` already.
    pub(super) fn new(
        rollout: RolloutKey,
        created_at: Timestamp,
        now: Moment,
        timeout: Duration,
        stalled: Duration,
        tasks: Tasks,
    ) -> Self {
        Self {
            rollout,
            created_at,
            since: now,
            call: Call::NextAt(now + FIRST_PACE),
            glanced: now,
            pace: FIRST_PACE,
            deadline: now + timeout.saturating_sub(stalled),
            timeout,
            tasks,
            most_running: tasks.running,
            overdue: false,
            going_back: false,
            way_back: None,
            undoes: false,
            was_stopped: false,
            cannot_stop: false,
            spared: false,
        }
    }

    /// Whether no call about it is under way.
    pub(super) fn is_quiet(&self) -> bool {
        matches!(self.call, Call::NextAt(_))
    }

    /// Two failed tasks in a row and none that runs, or no progress for its timeout.
    pub(super) fn is_failing(&self) -> bool {
        self.overdue || (self.tasks.failed >= 2 && self.tasks.running == 0)
    }

    pub(super) fn is_overdue_now(&self, now: Moment) -> bool {
        !self.overdue && self.is_quiet() && self.deadline <= now
    }

    /// Whether it made no progress for its timeout, told or not.
    pub(super) fn is_past_deadline(&self, now: Moment) -> bool {
        self.deadline <= now
    }

    pub(super) fn next_wakeup(&self) -> Option<Moment> {
        match self.call {
            Call::NextAt(at) if self.overdue => Some(at),
            Call::NextAt(at) => Some(at.min(self.deadline)),
            Call::Glancing | Call::Looking | Call::Stopping => None,
        }
    }

    fn is_due(&self, by: Moment) -> bool {
        matches!(self.call, Call::NextAt(at) if at <= by)
    }

    /// Whether a rollout that is not listed may still be too young to be.
    pub(super) fn may_be_unlisted(&self, now: Moment) -> bool {
        now.since(self.since) < STALE_READS
    }

    pub(super) fn saw(&mut self, tasks: Tasks, now: Moment) {
        if tasks.desired != self.tasks.desired {
            self.most_running = 0;
            self.progressed(now);
        }
        if tasks.running > self.most_running {
            self.most_running = tasks.running;
            self.progressed(now);
        }
        self.tasks = tasks;
    }

    /// While ECS goes back, tasks that return are progress, and tasks that leave.
    fn saw_way_back(&mut self, glance: &Glance, now: Moment) {
        let own = self.deployment_in(glance);
        let primary = glance.live.iter().find(|live| live.primary && own.is_none_or(|own| own.id != live.id));
        let returned = primary.map_or(0, |live| live.tasks.running);
        let left = own.map_or(0, |live| live.tasks.running);
        let before = self.way_back.unwrap_or(Returned { most: returned, fewest: left });
        let now_at = Returned { most: before.most.max(returned), fewest: before.fewest.min(left) };
        self.way_back = Some(now_at);
        if now_at != before {
            self.progressed(now);
        }
    }

    /// How far it is, in words.
    pub(super) fn how_far(&self) -> String {
        let Tasks { running, desired, failed, .. } = self.tasks;
        match self.way_back.filter(|_| self.going_back) {
            Some(Returned { most, .. }) => {
                format!("ECS goes back, {most} tasks of what ran before run, {running} of this one")
            }
            None => format!("{running} of {desired} tasks run, {failed} failed in a row"),
        }
    }

    pub(super) fn progressed(&mut self, now: Moment) {
        self.deadline = now + self.timeout;
        self.overdue = false;
    }

    /// Plans the next glance: the pace doubles, and many rollouts share what the budget allows.
    pub(super) fn rest(&mut self, now: Moment, spacing: Duration) {
        self.glanced = now;
        self.pace = (self.pace * 2).min(SLOWEST_PACE);
        self.call = Call::NextAt(now + self.pace.max(spacing));
    }

    pub(super) fn looking(&mut self) {
        self.call = Call::Looking;
    }

    pub(super) fn stopping(&mut self) {
        self.call = Call::Stopping;
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.call == Call::Stopping
    }

    fn deployment_in<'a>(&self, glance: &'a Glance) -> Option<&'a LiveRollout> {
        glance.live.iter().find(|live| Some(&live.id) == self.rollout.deployment.as_ref())
    }
}

/// The least time between two glances at one rollout, where so many are watched and so many glances may be sent.
pub(super) fn spacing(watched: usize, glances_per_second: u32) -> Duration {
    let calls = u32::try_from(watched.div_ceil(MOST_IN_BATCH)).unwrap_or(u32::MAX);
    let shared = Duration::from_secs(1).saturating_mul(calls) / glances_per_second.max(1);
    if watched > MOST_IN_BATCH { shared } else { Duration::ZERO }
}

/// Adds to these, in the order of their deadlines, those that fit into the same calls.
pub(super) fn fill(targets: &mut BTreeSet<TargetId>, soon: impl Iterator<Item = TargetId>) {
    let home = |it: &TargetId| (it.account().clone(), it.region().clone(), it.cluster().clone());
    let mut sizes: BTreeMap<_, usize> = BTreeMap::new();
    for target in &*targets {
        *sizes.entry(home(target)).or_default() += 1;
    }
    for target in soon {
        let Some(size) = sizes.get_mut(&home(&target)) else { continue };
        if !size.is_multiple_of(MOST_IN_BATCH) && targets.insert(target) {
            *size += 1;
        }
    }
}

/// Groups glances so that each names targets of one cluster, ten at most.
pub(super) fn batches(targets: BTreeSet<TargetId>) -> Vec<Vec<TargetId>> {
    let mut batches: Vec<Vec<TargetId>> = Vec::new();
    for target in targets {
        let is_like = |other: &TargetId| {
            (other.account(), other.region(), other.cluster())
                == (target.account(), target.region(), target.cluster())
        };
        match batches.last_mut().filter(|batch| batch.len() < MOST_IN_BATCH && is_like(&batch[0])) {
            Some(batch) => batch.push(target),
            None => batches.push(vec![target]),
        }
    }
    batches
}

impl Lane {
    pub(super) fn is_watching(&self) -> bool {
        self.watch().is_some()
    }

    pub(super) fn wants_glance(&self, by: Moment) -> bool {
        self.watch().is_some_and(|watch| watch.is_due(by))
    }

    pub(super) fn glance_sent(&mut self) {
        if let Some(watch) = self.watch_mut() {
            watch.call = Call::Glancing;
        }
    }

    /// ECS says that something moved: the next glance comes soon. Hints may come by the dozen, and do not change the pace.
    pub(super) fn hinted(&mut self, turn: &Turn<'_>) {
        let now = turn.now.moment;
        if let Some(watch) = self.watch_mut()
            && let Call::NextAt(at) = watch.call
        {
            watch.call = Call::NextAt(at.min((watch.glanced + HINT_SPACING).max(now)));
        }
    }

    /// A glance only ever tells whether there is something to judge: a whole look follows then.
    pub(super) fn glanced(&mut self, glance: Result<Glance, CallFailure>, turn: &mut Turn<'_>) {
        let (now, spacing) = (turn.now.moment, turn.spacing);
        let Some(watch) = self.watch_mut().filter(|watch| watch.call == Call::Glancing) else { return };
        let goes_on = match &glance {
            Err(_) => true,
            Ok(glance) => watch.goes_on(glance, now),
        };
        watch.rest(now, spacing);
        let tasks = watch.tasks;
        if let Phase::Watching(passage, _) = &mut self.phase {
            passage.tasks = tasks;
        }
        let is_to_end = self.passage().is_some_and(|passage| {
            let is_cancelled = passage.cancelled.is_some() && passage.stage != Stage::RollingBack;
            is_cancelled || self.watch().is_some_and(|watch| watch.overdue)
        });
        if goes_on && !is_to_end {
            self.wake(turn);
        } else {
            self.look_at_rollout(turn);
        }
    }

    /// Asks for a whole look at the rollout that is watched. Evidence is asked for unless it looks like a success.
    pub(super) fn look_at_rollout(&mut self, turn: &mut Turn<'_>) {
        let mut order = self.look_order(true);
        let Some(watch) = self.watch_mut() else { return };
        order.evidence = watch.going_back
            || watch.overdue
            || watch.tasks.failed > 0
            || watch.tasks.running < watch.tasks.desired;
        watch.looking();
        self.holding.look_sent(turn.now.moment);
        self.looked_for = Some(order.clone());
        turn.out.push(Command::Look(order));
    }

    pub(super) fn watch_mut(&mut self) -> Option<&mut Watch> {
        match &mut self.phase {
            Phase::Blocked(watch) | Phase::Watching(_, watch) => Some(watch),
            Phase::Idle
            | Phase::Looking { .. }
            | Phase::Marking(_)
            | Phase::Paused { .. }
            | Phase::Queued { .. }
            | Phase::Starting(..) => None,
        }
    }
}

impl Watch {
    /// Whether a glance shows nothing that would have to be judged.
    fn goes_on(&mut self, glance: &Glance, now: Moment) -> bool {
        if glance.service != ServiceState::Active {
            return false;
        }
        if self.going_back {
            self.saw_way_back(glance, now);
        }
        match self.deployment_in(glance) {
            Some(live) => {
                self.saw(live.tasks, now);
                live.primary && live.in_progress
            }
            None if self.going_back => glance.live.iter().any(|live| live.primary && live.in_progress),
            None => false,
        }
    }

    /// Takes in what a whole look shows of the rollout.
    pub(super) fn learn(&mut self, rollout: &Rollout, now: Moment) {
        let id = &rollout.id;
        self.rollout.deployment = id.deployment.clone().or(self.rollout.deployment.take());
        self.rollout.service_deployment =
            id.service_deployment.clone().or(self.rollout.service_deployment.take());
        self.saw(rollout.tasks, now);
        let going_back = rollout.state == RolloutState::RollingBack;
        if going_back && !self.going_back {
            self.way_back = None;
            self.progressed(now);
        }
        self.going_back = going_back;
    }
}
