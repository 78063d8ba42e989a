//! The decisions: a pure state machine from inputs to commands.
//!
//! # What it guarantees
//!
//! Per target there is one [lane](lane). A message is held until all that it asks for is settled; requests gather
//! in their lane, are folded, and become one deployment; its rollout is watched to its true end; then the messages
//! behind it are deleted, or set aside first if it failed. The promises are listed in [`Promise`], and
//! [`Planner::broken_promises`] checks, after every turn, those that can be seen from within.
//!
//! # How
//!
//! Nothing is remembered that reality does not tell. Before every start the target is looked at, and the
//! [one rule](settle) decides from the look alone what is left to do. After a crash the messages are received again,
//! the same look is taken, and the same decision made. What is in memory, such as attempts and paces, only
//! saves work.
//!
//! Time, AWS's answers and jitter are arguments. Every deadline that [`Planner::handle`] would act on is told by
//! [`Planner::next_wakeup`].
//!
//! # Races that are accepted
//!
//! - Between the look and the start somebody else may start a rollout: UpdateService has no condition. Theirs is then
//!   superseded by ours, as it would be by hand; the next look shows it.
//! - A failing rollout that gives way to a newer one may recover in that moment. What it brought is then left behind, and
//!   counts as done.
//! - New tasks may be started over a rollout of ours that made no progress for its timeout while its message was not held,
//!   and over one that could not be stopped its rollback. Once they are complete, and after a crash, that looks like a
//!   decision by somebody to go back: UpdateService leaves no trace of who asked.
//! - Event times are whole seconds. A refresh, and what is forced, waits until a rollout created now is surely later than
//!   the change, which costs less than a second, and only where the quiet time is shorter than that.
//! - A definition that was once moved to on request, and is later moved to by hand, counts as our older decision: content
//!   asked for between the two is deployed over it.
//! - Where somebody moves a service twice, and neither is ever complete, whoever then rolls out again what ran before
//!   counts as having moved it: that the first move was never complete is not known if it was before the floor.
//! - Where the role may not tag, what turns out to run already leaves no mark: an image that was asked for between two
//!   requests for another one, and is received after both, is deployed.
//! - Services that share a revision share its marks: what one of them was asked for counts for the others too.
//! - Where somebody goes back by hand to a revision of ours, and its image is asked for again, that move counts as ours.
//! - A pushed image that is followed without quiet time may be rolled out within the second of its event. If the process
//!   dies then, and ECS calls the digest by another name, it is rolled out once more.

mod agenda;
mod by_hand;
mod cancel;
mod covered;
mod decide;
mod diagnose;
mod fold;
mod foresee;
mod holding;
mod input;
mod judge;
mod lane;
mod ledger;
mod mark;
mod named;
mod newer;
mod promises;
mod refused;
mod retry;
mod settle;
mod start;
#[cfg(test)]
mod stories;
mod tagged;
mod tell;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod undo;
mod watch;
mod waves;

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use crate::domain::{EventId, HoldRequest, LeaseId, MessageId, Moment, SettledBy, TargetId, TargetSettings};

use agenda::Agenda;
use cancel::Cancels;
use lane::{Lane, Turn};
use ledger::Ledger;
use waves::Waves;

pub use crate::domain::DeadLetter;
pub use foresee::{Foreseen, foresee, look_for};
pub use input::{Arrival, Asks, Command, End, Flaw, Input, Now, PlanSettings};
pub use promises::{Promise, Violation};
pub use retry::Jitter;
pub use settle::is_needed;
pub use tell::Unended;

/// The state of all lanes, and all decisions about them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Planner {
    settings: PlanSettings,
    ledger: Ledger,
    /// Shared with the copies of this planner in which a lane is as it is here: whoever explores keeps millions.
    lanes: BTreeMap<TargetId, Arc<Lane>>,
    agenda: Agenda,
    waves: Waves,
    cancels: Cancels,
    touched: Touched,
}

/// The targets that readers have not looked at since they were touched. No decision depends on it, so two planners that
/// differ in nothing else are the same.
#[derive(Clone, Debug, Default)]
struct Touched(BTreeSet<TargetId>);

impl PartialEq for Touched {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Touched {}

impl Hash for Touched {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

/// A message that was received, without what it asks for.
struct Hold {
    lease: LeaseId,
    message: MessageId,
    event: EventId,
    expires: Moment,
}

impl Planner {
    /// A planner that knows of nothing.
    pub fn new(settings: PlanSettings) -> Self {
        let ledger = Ledger::new(settings.visibility, settings.renew_after, settings.tell_within);
        Self {
            settings,
            ledger,
            lanes: BTreeMap::new(),
            agenda: Agenda::default(),
            waves: Waves::default(),
            cancels: Cancels::default(),
            touched: Touched::default(),
        }
    }

    /// Takes one input, and does whatever else is due at this time.
    pub fn handle(&mut self, now: Now, input: Input) -> Vec<Command> {
        let mut out = Vec::new();
        self.expire(now, &mut out);
        self.take(now, input, &mut out);
        self.cancel(now, &mut out);
        self.wake(now, &mut out);
        while let Some(target) = self.waves.next_called() {
            self.with_lane(now, &target, &mut out, lane::Lane::called);
        }
        out.extend(self.ledger.commands(now.moment));
        if self.settings.tell_within.is_some() {
            // What is only held until its end is told counts in no wave any more.
            self.waves.close(|lease| self.ledger.is_owing(lease));
        }
        out
    }

    /// Whether this message owes somebody something still: its body may be asked for.
    pub fn is_owing(&self, lease: LeaseId) -> bool {
        self.ledger.is_owing(lease)
    }

    /// When [`Self::handle`] has something to do next, if nothing is told until then.
    pub fn next_wakeup(&self) -> Option<Moment> {
        let wakeups = [self.agenda.first(), self.ledger.next_wakeup(), self.cancels.next_wakeup()];
        wakeups.into_iter().flatten().min()
    }

    /// The leases to hand back when the process stops: all that still owe something.
    pub fn hand_back(&self) -> Vec<LeaseId> {
        self.ledger.owing()
    }

    /// The leases that are held only until it was told how what they asked for ended.
    pub fn telling(&self) -> Vec<LeaseId> {
        self.ledger.telling()
    }

    /// Whether this message is held.
    pub fn holds(&self, lease: LeaseId) -> bool {
        self.ledger.holds(lease)
    }

    /// How many messages are held.
    pub fn held(&self) -> usize {
        self.ledger.len()
    }

    fn take(&mut self, now: Now, input: Input, out: &mut Vec<Command>) {
        match input {
            Input::Arrived(arrival) => self.arrived(now, arrival, out),
            Input::Extended { leases, until } => {
                for lease in leases {
                    self.ledger.extension_answered(lease, Some(until), now.moment);
                }
            }
            Input::NotExtended(leases) => {
                for lease in leases {
                    self.ledger.extension_answered(lease, None, now.moment);
                }
            }
            Input::Lost(leases) => self.lose(now, &leases, out),
            Input::Deleted(leases) => {
                for &lease in &leases {
                    let settled = self.ledger.deletion_answered(lease, true, now.moment);
                    out.extend(settled.map(Command::Report));
                }
                self.cancels.gone(&leases);
                self.waves.close(|lease| self.ledger.holds(lease));
            }
            Input::NotDeleted(leases) => {
                for lease in leases {
                    self.ledger.deletion_answered(lease, false, now.moment);
                }
            }
            Input::SetAside { lease, target, done } => {
                self.ledger.set_aside_answered(lease, target.as_ref(), done, now.moment);
            }
            Input::Renewed { lease, done } => self.ledger.renewal_answered(lease, done, now.moment),
            Input::Looked { target, look } => {
                self.with_lane(now, &target, out, |lane, turn| lane.looked(look, turn));
            }
            Input::Glanced { target, glance } => {
                self.with_lane(now, &target, out, |lane, turn| lane.glanced(glance, turn));
            }
            Input::Started { target, started } => {
                self.with_lane(now, &target, out, |lane, turn| lane.started(started, turn));
            }
            Input::Stopped { target, stopped } => {
                self.with_lane(now, &target, out, |lane, turn| lane.stopped(stopped, turn));
            }
            Input::Marked { target, marked } => {
                self.with_lane(now, &target, out, |lane, turn| lane.marked(marked, turn));
            }
            Input::Tagged { target, tagged } => {
                self.with_lane(now, &target, out, |lane, turn| lane.tagged(tagged, turn));
            }
            Input::HoldsRead { target, settings, holds } => {
                // Whatever is held is known of from now on, so that its vanishing is noticed.
                if let Some(settings) = settings.filter(|_| holds.record().is_some()) {
                    self.lane_of(&target, &settings);
                }
                self.with_lane(now, &target, out, |lane, turn| lane.holds_read(&holds, turn));
            }
            Input::Refused { target, why } => {
                self.with_lane(now, &target, out, |lane, _| lane.learn_refusal(why));
            }
            Input::Forgotten { target, why } if self.knows(&target) => {
                self.with_lane(now, &target, out, |lane, turn| lane.learn_absence(why, turn));
            }
            Input::Hint(target) => self.with_lane(now, &target, out, |lane, turn| lane.hinted(turn)),
            Input::Told(end) => self.ledger.told(&end),
            Input::Delivered(message) => self.ledger.delivered(&message),
            Input::Forgotten { .. } | Input::Wakeup => {}
        }
    }

    fn arrived(&mut self, now: Now, arrival: Arrival, out: &mut Vec<Command>) {
        let Arrival { lease, message, event, expires, is_again, asks } = arrival;
        let requests = match asks {
            Asks::Changes(requests) => requests,
            Asks::Holds(requests) => {
                let hold = Hold { lease, message, event, expires };
                return self.decided(now, hold, requests, out);
            }
            Asks::Cancel(about) => {
                let hold = Hold { lease, message, event, expires };
                return self.cancelled(now, hold, about, is_again);
            }
            Asks::Nothing => Vec::new(),
            Asks::Notice => {
                self.ledger.hold(lease, message, event, expires, std::iter::empty(), now.moment);
                return self.ledger.deliver(lease);
            }
            Asks::Unknown { reason, version } => {
                self.ledger.hold(lease, message, event, expires, std::iter::empty(), now.moment);
                self.ledger.set_aside(lease, DeadLetter::malformed(reason, version));
                return;
            }
        };
        let targets = requests.iter().map(|request| request.target.clone());
        self.waves.open(&event, lease, &requests);
        let replaced = self.ledger.hold(lease, message, event.clone(), expires, targets, now.moment);
        self.cancels.reissue(replaced, lease);
        for request in requests {
            let target = request.target.clone();
            if !self.ledger.owes(lease, &target) {
                continue;
            }
            self.lane_of(&target, &request.settings);
            // Only of what was received before can a cancellation come that this process knows nothing of.
            let may_be_struck = is_again || self.cancels.mean(&event);
            self.with_lane(now, &target, out, |lane, turn| {
                if !lane.reissue(replaced.as_slice(), lease) {
                    lane.join(lease, request, may_be_struck, turn);
                }
            });
            if self.settings.flawed(Flaw::DeleteOnReceive) {
                self.ledger.settle(lease, &target, SettledBy::NothingAsked);
            }
        }
    }

    /// Decisions about what keeps targets back were received.
    fn decided(&mut self, now: Now, hold: Hold, requests: Vec<HoldRequest>, out: &mut Vec<Command>) {
        let Hold { lease, message, event, expires } = hold;
        let targets = requests.iter().map(|request| request.target.clone());
        let replaced = self.ledger.hold(lease, message, event, expires, targets, now.moment);
        for request in requests {
            let target = request.target.clone();
            if !self.ledger.owes(lease, &target) {
                continue;
            }
            self.lane_of(&target, &request.settings);
            self.with_lane(now, &target, out, |lane, turn| {
                if !lane.reissue(replaced.as_slice(), lease) {
                    lane.decide_hold(lease, request, turn);
                }
            });
        }
    }

    fn lane_of(&mut self, target: &TargetId, settings: &Arc<TargetSettings>) {
        let new = || Arc::new(Lane::new(target.clone(), Arc::clone(settings)));
        self.lanes.entry(target.clone()).or_insert_with(new);
    }

    fn lose(&mut self, now: Now, leases: &[LeaseId], out: &mut Vec<Command>) {
        for lease in leases {
            out.extend(self.ledger.lose(*lease).map(Command::Report));
        }
        self.cancels.lost(leases, now.moment + self.longest_return());
        self.waves.close(|lease| self.ledger.holds(lease));
        self.forget(now, leases, out);
    }

    /// What these messages ask for is not ours to start any more: they will be received again.
    fn forget(&mut self, now: Now, leases: &[LeaseId], out: &mut Vec<Command>) {
        if leases.is_empty() {
            return;
        }
        let concerned: Vec<TargetId> = self
            .lanes
            .iter()
            .filter(|(_, lane)| lane.waits_for(leases))
            .map(|(target, _)| target.clone())
            .collect();
        for target in concerned {
            self.with_lane(now, &target, out, |lane, turn| lane.forget(leases, turn));
        }
    }

    fn expire(&mut self, now: Now, out: &mut Vec<Command>) {
        let expired = self.ledger.expired(now.moment);
        if self.settings.flawed(Flaw::ExpiredHoldCounts) {
            let until = now.moment + self.settings.visibility;
            for lease in expired {
                self.ledger.extension_answered(lease, Some(until), now.moment);
            }
            return;
        }
        self.lose(now, &expired, out);
    }

    /// Wakes the lanes whose deadlines have come, and sends their glances in batches.
    fn wake(&mut self, now: Now, out: &mut Vec<Command>) {
        for target in self.agenda.due(now.moment) {
            self.with_lane(now, &target, out, lane::Lane::wake);
        }
        let wants = |lane: &Lane, by| lane.wants_glance(by);
        if !self.lanes_of(&self.agenda.due(now.moment)).any(|lane| wants(lane, now.moment)) {
            return;
        }
        let mut targets: BTreeSet<TargetId> =
            self.wanting_glances(now.moment + watch::BATCH_SLACK).into_iter().collect();
        watch::fill(&mut targets, self.wanting_glances(now.moment + watch::RIDE_ALONG).into_iter());
        for target in &targets {
            self.with_lane(now, target, out, |lane, _| lane.glance_sent());
        }
        out.extend(watch::batches(targets).into_iter().map(Command::Glance));
    }

    /// The lanes whose next glance is due by then, in that order.
    fn wanting_glances(&self, by: Moment) -> Vec<TargetId> {
        let due = self.agenda.due(by);
        self.lanes_of(&due).filter(|lane| lane.wants_glance(by)).map(|lane| lane.target().clone()).collect()
    }

    fn glance_spacing(&self) -> Duration {
        watch::spacing(self.agenda.watched(), self.settings.glances_per_second)
    }

    fn lanes_of<'a>(&'a self, targets: &'a [TargetId]) -> impl Iterator<Item = &'a Lane> {
        targets.iter().filter_map(|target| self.lanes.get(target).map(Arc::as_ref))
    }

    fn with_lane(
        &mut self,
        now: Now,
        target: &TargetId,
        out: &mut Vec<Command>,
        act: impl FnOnce(&mut Lane, &mut Turn<'_>),
    ) {
        let spacing = self.glance_spacing();
        let Some(lane) = self.lanes.get_mut(target) else { return };
        let lane = Arc::make_mut(lane);
        let mut turn = Turn {
            now,
            settings: &self.settings,
            ledger: &mut self.ledger,
            waves: &mut self.waves,
            out,
            spacing,
        };
        act(lane, &mut turn);
        lane.settle_covered(&mut turn);
        lane.drop_refused(&mut turn);
        self.waves.update(lane);
        self.cancels.stir(target);
        let deadline = lane.next_wakeup();
        let told = deadline.filter(|_| !(self.settings.flawed(Flaw::HiddenDeadline) && lane.is_gathering()));
        self.agenda.set(target, told, lane.is_watching(), lane.is_asleep());
        self.touched.0.insert(target.clone());
        if lane.is_forgettable() {
            self.lanes.remove(target);
        }
    }
}
