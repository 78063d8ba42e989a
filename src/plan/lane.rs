//! A lane: the single file in which a target's deployments run.
//!
//! ```text
//!            join                 quiet time over            look: start
//!   Idle ───────────▶ (gathering) ───────────────▶ Looking ───────────────▶ Starting ──▶ Watching ──▶ Idle
//!                                                    │  ▲                      │            │
//!                          somebody's rollout is on  │  │ it ended             │ transient  │ superseded, or
//!                                                    ▼  │                      ▼            ▼ tried again
//!                                                  Blocked                  Paused ─────▶ Looking
//! ```
//!
//! Requests wait beside the phase, so that they join, fold and are superseded in the same way whatever the lane is
//! doing. At most one call about the target is under way at any time.

use std::{sync::Arc, time::Duration};

use crate::domain::{
    Adopted, CallFailure, Change, ContainerName, DefinitionId, DefinitionRef, DeploymentId, Evidence,
    Failure, ImageReference, LeaseId, LookOrder, Moment, OnNewer, Prospect, Refresh, Report, Request,
    RolloutKey, Running, SettledBy, Stage, TargetId, TargetName, TargetSettings, Tasks, Timestamp,
};

use super::{
    Command, Flaw, Now, PlanSettings, fold,
    fold::{Ask, Needless},
    holding::Holding,
    ledger::Ledger,
    mark::Marking,
    named::Named,
    retry,
    watch::Watch,
    waves::Waves,
};

/// However many requests keep coming, a lane gathers no longer than this.
const LONGEST_QUIET: Duration = Duration::from_mins(1);

/// What a lane works with in one turn.
pub(super) struct Turn<'a> {
    pub(super) now: Now,
    pub(super) settings: &'a PlanSettings,
    pub(super) ledger: &'a mut Ledger,
    pub(super) waves: &'a mut Waves,
    pub(super) out: &'a mut Vec<Command>,
    /// The least time between two glances at one rollout, for as many as are being watched.
    pub(super) spacing: Duration,
}

impl Turn<'_> {
    pub(super) fn report(&mut self, report: Report) {
        self.out.push(Command::Report(report));
    }

    pub(super) fn flawed(&self, flaw: Flaw) -> bool {
        self.settings.flawed(flaw)
    }
}

/// The state of one lane.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lane {
    pub(super) target: TargetId,
    pub(super) settings: Arc<TargetSettings>,
    /// The requests that are not being deployed, in the order of their versions.
    pub(super) waiting: Vec<Ask>,
    /// What one of those, or one that is being deployed, makes needless while that may be struck alone.
    pub(super) covered: Vec<Needless>,
    /// By which id those that wait are known.
    pub(super) named: Named,
    /// While more requests are expected to come.
    pub(super) gathering: Option<Gathering>,
    pub(super) phase: Phase,
    /// What is known of attempts that failed, while the same requests are tried again.
    pub(super) retrying: Option<Retrying>,
    /// What was last asked to be looked at: it may not show what a request needs that joined since.
    pub(super) looked_for: Option<LookOrder>,
    /// A start was not answered: what a look shows before then may be older than what it did.
    pub(super) no_look_before: Option<Moment>,
    /// How many looks failed in a row.
    pub(super) failed_looks: u32,
    /// What ran when the target was last looked at.
    pub(super) running: Option<Running>,
    /// The rollout by which we went back from one that failed, until another one is started.
    pub(super) went_back: Option<RolloutKey>,
    /// What keeps it back, and what was decided about that.
    pub(super) holding: Holding,
    /// Why it is not deployed, as was learnt since it was last asked for something.
    pub(super) refused: Option<Arc<str>>,
    /// Whether it is one of the targets that are known: else nothing of it is remembered once it is at rest.
    pub(super) is_listed: bool,
    /// The last deployment that was told to have succeeded: it is not told again for a message that comes twice.
    pub(super) succeeded: Option<DeploymentId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Gathering {
    since: Moment,
    pub(super) until: Moment,
}

/// What a lane is doing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// Nothing.
    Idle,
    /// A look is under way that will decide about the waiting requests.
    Looking { evidence: bool },
    /// What is looked at is being marked with what was asked for again; then the look is decided on.
    Marking(Box<Marking>),
    /// It waits before it looks again.
    Paused { until: Moment, why: String },
    /// It waits until it is called, because others of the same event come first.
    Queued { until: Moment, why: String },
    /// Somebody else's rollout is in progress.
    Blocked(Watch),
    /// The start of a rollout is under way.
    Starting(Box<Passage>, Option<Box<Replaced>>),
    /// Its rollout is in progress.
    Watching(Box<Passage>, Watch),
}

/// A deployment under way whose rollout another one is to supersede. It stands until the other has started.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Replaced {
    pub(super) passage: Passage,
    /// What it carries and what the new one adds, before they were folded.
    pub(super) asks: Vec<Ask>,
}

/// What is remembered between two attempts of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Retrying {
    pub(super) id: DeploymentId,
    /// What was tried: something else starts anew.
    pub(super) asked: Vec<(Timestamp, Change)>,
    pub(super) failed: u32,
    pub(super) last: Failure,
    pub(super) started_at: Timestamp,
    pub(super) previous: Option<DefinitionId>,
    /// The answer of its start was lost: what was created since this look may be what it asked for.
    pub(super) lost_since: Option<Timestamp>,
    /// How often in a row it could not be started because there are too many calls, and since when.
    pub(super) crowded: Option<(u32, Moment)>,
    /// Its rollout, where another one took its place.
    pub(super) replaced: Option<Begun>,
}

/// A rollout of ours that is none any more.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Begun {
    pub(super) rollout: Option<RolloutKey>,
    pub(super) definition: Option<DefinitionId>,
    pub(super) registered: bool,
    pub(super) previous: Option<DefinitionId>,
    pub(super) attempts: u32,
}

/// A deployment under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Passage {
    pub(super) id: DeploymentId,
    pub(super) asks: Vec<Ask>,
    pub(super) stage: Stage,
    pub(super) attempts: u32,
    /// How often in a row before it could not be started because there are too many calls, and since when.
    pub(super) crowded: Option<(u32, Moment)>,
    pub(super) definition: Option<DefinitionId>,
    /// Whether that was registered for it.
    pub(super) registered: bool,
    pub(super) previous: Option<DefinitionId>,
    /// The images that it is to run.
    pub(super) images: Vec<(ContainerName, ImageReference)>,
    pub(super) rollout: Option<RolloutKey>,
    /// Whose it was, if it was taken over.
    pub(super) adopted: Option<Adopted>,
    /// When the look was taken on which it was decided, by AWS's clock.
    pub(super) looked_at: Timestamp,
    pub(super) started_at: Timestamp,
    pub(super) tasks: Tasks,
    pub(super) failure: Option<Failure>,
    pub(super) evidence: Evidence,
    /// Somebody cancelled it, and so it is to be stopped; in words.
    pub(super) cancelled: Option<Arc<str>>,
    /// It was cancelled, and there is nothing to go back to.
    pub(super) is_unstoppable: bool,
    /// It failed, and this is being rolled out in its place.
    pub(super) going_back_to: Option<String>,
}

impl Lane {
    pub(super) fn new(target: TargetId, settings: Arc<TargetSettings>) -> Self {
        Self {
            target,
            settings,
            waiting: Vec::new(),
            covered: Vec::new(),
            named: Named::default(),
            gathering: None,
            phase: Phase::Idle,
            retrying: None,
            looked_for: None,
            no_look_before: None,
            failed_looks: 0,
            running: None,
            went_back: None,
            holding: Holding::default(),
            refused: None,
            is_listed: true,
            succeeded: None,
        }
    }

    /// Whether nothing is asked of it, and nothing was ever seen there, or it is known no longer: a name that somebody made up
    /// leaves no trace.
    pub(super) fn is_forgettable(&self) -> bool {
        let is_at_rest = self.phase == Phase::Idle
            && self.waiting.is_empty()
            && self.covered.is_empty()
            && self.no_look_before.is_none();
        let is_unseen = || self.running.is_none() && self.holding.is_forgettable();
        is_at_rest && (is_unseen() || !self.is_listed && self.holding.is_at_rest())
    }

    pub(super) fn target(&self) -> &TargetId {
        &self.target
    }

    pub(super) fn name(&self) -> TargetName {
        self.settings.name.clone()
    }

    /// The same message was received again: whatever hung on an earlier receipt hangs on this one. Tells whether any did.
    pub(super) fn reissue(&mut self, earlier: &[LeaseId], lease: LeaseId) -> bool {
        let mut found = false;
        let phase: Vec<&mut Ask> = match &mut self.phase {
            Phase::Starting(passage, Some(replaced)) => {
                let Replaced { passage: old, asks } = &mut **replaced;
                passage.asks.iter_mut().chain(&mut old.asks).chain(asks).collect()
            }
            Phase::Starting(passage, None) | Phase::Watching(passage, _) => passage.asks.iter_mut().collect(),
            Phase::Idle
            | Phase::Looking { .. }
            | Phase::Marking(_)
            | Phase::Paused { .. }
            | Phase::Queued { .. }
            | Phase::Blocked(_) => Vec::new(),
        };
        for by in self.covered.iter_mut().map(|it| &mut it.by).filter(|by| earlier.contains(by)) {
            *by = lease;
        }
        let covered = self.covered.iter_mut().map(|it| &mut it.ask);
        let asks = self.waiting.iter_mut().chain(covered).chain(phase);
        for ask in asks.filter(|ask| earlier.contains(&ask.lease)) {
            ask.lease = lease;
            found = true;
        }
        for held in self.holding.leases_mut().filter(|held| earlier.contains(held)) {
            *held = lease;
            found = true;
        }
        found
    }

    /// A request joins those that wait. One that is being deployed already because of the same event goes on being
    /// deployed for the message that came last.
    pub(super) fn join(
        &mut self,
        lease: LeaseId,
        request: Request,
        may_be_struck: bool,
        turn: &mut Turn<'_>,
    ) {
        self.settings = Arc::clone(&request.settings);
        // Nothing is asked of a target that is not deployed.
        self.refused = None;
        if let Some(older) = self.passage().and_then(|passage| passage.same(&request)) {
            self.reissue(&[older], lease);
            turn.ledger.settle(older, &request.target, SettledBy::Newer);
            if turn.flawed(Flaw::EqualsSettleEachOther) {
                turn.ledger.settle(lease, &request.target, SettledBy::Newer);
            }
            // What waits may have been waiting for just this.
            if let Some(watch) = self.watch_mut() {
                watch.spared = false;
            }
            return self.wake(turn);
        }
        let (target, name, origin) = (request.target.clone(), self.name(), Arc::clone(&request.origin));
        let change = fold::describe(&request.change);
        let ask = Ask { may_be_struck, ..Ask::new(lease, request) };
        self.let_join(ask, turn);
        let waiting = self.waiting.iter().map(|ask| ask.origins().count()).sum();
        turn.report(Report::Queued { target, name, origin, change, waiting });
        self.gather(turn);
    }

    fn gather(&mut self, turn: &mut Turn<'_>) {
        let now = turn.now.moment;
        let since = self.gathering.map_or(now, |gathering| gathering.since);
        let until = (now + self.settings.quiet).min(since + LONGEST_QUIET);
        self.gathering = Some(Gathering { since, until });
        if let Some(watch) = self.watch_mut() {
            watch.spared = false;
        }
        self.wake(turn);
    }

    /// Does what is due.
    pub(super) fn wake(&mut self, turn: &mut Turn<'_>) {
        self.tag_what_is_due(turn);
        if self.gathering.is_some_and(|gathering| gathering.until <= turn.now.moment) {
            self.gathering = None;
            if matches!(self.phase, Phase::Queued { .. }) {
                return self.look(turn, false);
            }
        }
        let is_ready = self.is_ready();
        match &mut self.phase {
            Phase::Idle if is_ready => self.look(turn, false),
            Phase::Paused { until, .. } | Phase::Queued { until, .. } if *until <= turn.now.moment => {
                self.look(turn, false);
            }
            Phase::Blocked(watch) | Phase::Watching(_, watch) if watch.is_overdue_now(turn.now.moment) => {
                watch.overdue = true;
                self.tell_that_it_is_stuck(turn);
                self.look_at_rollout(turn);
            }
            Phase::Blocked(_) | Phase::Watching(..) => self.consider_superseding(turn),
            Phase::Idle
            | Phase::Looking { .. }
            | Phase::Marking(_)
            | Phase::Paused { .. }
            | Phase::Queued { .. }
            | Phase::Starting(..) => {}
        }
    }

    /// When it wants to be woken.
    pub(super) fn next_wakeup(&self) -> Option<Moment> {
        let own = match &self.phase {
            Phase::Idle | Phase::Looking { .. } | Phase::Marking(_) | Phase::Starting(..) => None,
            Phase::Paused { until, .. } | Phase::Queued { until, .. } => Some(*until),
            Phase::Blocked(watch) | Phase::Watching(_, watch) => watch.next_wakeup(),
        };
        let decrees = self.holding.next_wakeup();
        own.into_iter().chain(decrees).chain(self.gathering.map(|gathering| gathering.until)).min()
    }

    /// Whether something waits, and no more is expected to join it.
    pub(super) fn is_ready(&self) -> bool {
        !self.waiting.is_empty() && self.gathering.is_none()
    }

    pub(super) fn is_gathering(&self) -> bool {
        self.gathering.is_some()
    }

    /// Asks for a whole look that will decide about the waiting requests.
    pub(super) fn look(&mut self, turn: &mut Turn<'_>, evidence: bool) {
        if self.waiting.is_empty() {
            self.phase = Phase::Idle;
            self.retrying = None;
            return;
        }
        self.gathering = None;
        let now = turn.now.moment;
        self.no_look_before = self.no_look_before.filter(|at| *at > now);
        if let Some(at) = self.no_look_before {
            return self.pause(turn, at.since(now), "the answer to a start was lost");
        }
        let order = LookOrder { prospect: self.prospect(), ..self.look_order(evidence) };
        self.phase = Phase::Looking { evidence };
        self.looked_for = Some(order.clone());
        self.holding.look_sent(now);
        turn.out.push(Command::Look(order));
    }

    /// Whether the last look showed all that decides about what waits now.
    pub(super) fn is_looked_for(&self) -> bool {
        let now = self.look_order(false);
        self.waiting.is_empty()
            || self.looked_for.as_ref().is_some_and(|then| {
                then.since <= now.since && (now.wanted.is_none() || now.wanted == then.wanted)
            })
    }

    pub(super) fn look_order(&self, evidence: bool) -> LookOrder {
        let asks =
            || self.waiting.iter().chain(self.passage().into_iter().flat_map(|passage| passage.asks.iter()));
        let tracked = self.watch().map(|watch| watch.created_at);
        let floors = asks().map(|ask| ask.request.floor.min(ask.request.version));
        let wanted = asks().filter_map(|ask| match &ask.request.change {
            Change::Definition(wanted) if wanted.is_foreign_to(&self.target).is_none() => {
                Some((ask.request.version, &wanted.definition))
            }
            Change::Definition(_)
            | Change::Image(_)
            | Change::Refresh(Refresh::Restart | Refresh::Image(_)) => None,
        });
        let wanted: Option<DefinitionRef> =
            wanted.max_by_key(|(version, _)| *version).map(|(_, wanted)| wanted.clone());
        LookOrder {
            target: self.target.clone(),
            since: floors.chain(tracked).min().unwrap_or_default(),
            base: self.settings.base.clone(),
            wanted,
            evidence,
            prospect: Prospect::Nothing,
        }
    }

    /// What may be started once the waiting requests are decided on.
    fn prospect(&self) -> Prospect {
        let brings_image = |ask: &Ask| match &ask.request.change {
            Change::Image(_) => true,
            Change::Definition(definition) => {
                definition.back.as_ref().is_some_and(|back| !back.images.is_empty())
            }
            Change::Refresh(_) => false,
        };
        match () {
            () if self.settings.dry_run || self.waiting.is_empty() => Prospect::Nothing,
            () if self.waiting.iter().any(brings_image) => Prospect::Registration,
            () => Prospect::Rollout,
        }
    }

    /// Waits, then looks again.
    pub(super) fn pause(&mut self, turn: &Turn<'_>, delay: Duration, why: impl Into<String>) {
        self.phase = Phase::Paused { until: turn.now.moment + delay, why: why.into() };
    }

    /// A look failed. Nothing was changed, so nothing is lost by trying until it succeeds.
    pub(super) fn look_failed(&mut self, failure: CallFailure, turn: &Turn<'_>) {
        self.failed_looks = self.failed_looks.saturating_add(1);
        let delay = retry::delay(self.failed_looks, turn.now.jitter);
        self.pause(turn, delay.max(Duration::from_secs(1)), failure.reason);
    }

    /// Whether one of these messages holds something that waits here.
    pub(super) fn waits_for(&self, leases: &[LeaseId]) -> bool {
        let covered = self.covered.iter().map(|it| &it.ask);
        let mut asks = self.waiting.iter().chain(covered);
        asks.any(|ask| leases.contains(&ask.lease))
            || self.covered.iter().any(|it| leases.contains(&it.by))
            || self.holding.waits_for(leases)
    }

    /// These messages will be received again: what they ask for is not ours to start until then.
    pub(super) fn forget(&mut self, leases: &[LeaseId], turn: &mut Turn<'_>) {
        self.waiting.retain(|ask| !leases.contains(&ask.lease));
        self.holding.forget(leases);
        if self.waiting.is_empty() {
            self.wait_for_nothing();
        }
        self.wake(turn);
    }

    /// Nothing waits any more.
    pub(super) fn wait_for_nothing(&mut self) {
        self.gathering = None;
        if matches!(self.phase, Phase::Blocked(_) | Phase::Paused { .. } | Phase::Queued { .. }) {
            self.phase = Phase::Idle;
            self.retrying = None;
        }
    }

    /// What follows once nothing is under way any more: the next deployment, if something waits.
    pub(super) fn rest(&mut self, turn: &mut Turn<'_>) {
        self.phase = Phase::Idle;
        self.wake(turn);
    }

    pub(super) fn passage(&self) -> Option<&Passage> {
        match &self.phase {
            Phase::Starting(passage, _) | Phase::Watching(passage, _) => Some(passage),
            Phase::Idle
            | Phase::Looking { .. }
            | Phase::Marking(_)
            | Phase::Paused { .. }
            | Phase::Queued { .. }
            | Phase::Blocked(_) => None,
        }
    }

    pub(super) fn watch(&self) -> Option<&Watch> {
        match &self.phase {
            Phase::Blocked(watch) | Phase::Watching(_, watch) => Some(watch),
            Phase::Idle
            | Phase::Looking { .. }
            | Phase::Marking(_)
            | Phase::Paused { .. }
            | Phase::Queued { .. }
            | Phase::Starting(..) => None,
        }
    }

    /// Whether the settings allow what waits to supersede the rollout that is watched. Never one that ECS is undoing:
    /// it would have nothing to go back to. Nor a rollout that undoes another, while that makes progress.
    pub(super) fn may_supersede(&self, watch: &Watch) -> bool {
        !watch.going_back
            && (!watch.undoes || watch.overdue)
            && !self.settings.dry_run
            && !self.holding.is_paused()
            && match self.settings.on_newer {
                OnNewer::Queue => false,
                OnNewer::Interrupt => true,
                OnNewer::WhenFailing => watch.is_failing(),
            }
    }

    fn consider_superseding(&mut self, turn: &mut Turn<'_>) {
        let allowed = self.is_ready()
            && self
                .watch()
                .is_some_and(|watch| watch.is_quiet() && !watch.spared && self.may_supersede(watch));
        if allowed {
            self.look_at_rollout(turn);
        }
    }
}

impl Passage {
    /// The message for which this deployment carries the same request already, because of the same event.
    fn same(&self, request: &Request) -> Option<LeaseId> {
        let is_same = |carried: &Request| {
            carried.origin.event_id == request.origin.event_id
                && carried.version == request.version
                && carried.change == request.change
        };
        self.asks.iter().find(|ask| is_same(&ask.request)).map(|ask| ask.lease)
    }
}
