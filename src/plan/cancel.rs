//! Giving up a deployment, because somebody cancelled it.
//!
//! What waits is set aside and told as cancelled; a rollout that is under way is stopped, and told once what ran before runs
//! again. It can be put back like everything that was set aside.
//!
//! The message that says so is held until all that it gave up is gone from the queue, and for two visibilities at least: after
//! a crash the messages of a deployment come back one by one, before it or after it, and each of them must meet it. By the
//! events that asked for a deployment each is known also where others are gone. What comes back may have been begun before the
//! crash: it is only struck then, and given up once a look shows that it was not. A rollout of it that is in progress is taken over
//! and stopped; one that ended while nobody watched is told with what it was.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::domain::{
    Cancellation, Cause, EventId, Failure, LeaseId, Look, Moment, Outcome, Report, Rollout, RolloutState,
    SettledBy, Stage, StopOrder, TargetId, TargetSettings,
};

use super::{
    Command, Flaw, Hold, Now, Planner,
    decide::Sifted,
    fold::{Ask, Struck},
    judge::in_words,
    lane::{Lane, Passage, Phase, Turn},
    settle,
    watch::Watch,
};

/// The cancellations whose messages are held.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Cancels {
    by_lease: BTreeMap<LeaseId, Cancel>,
    /// The lanes in which something moved since they were last held against them.
    stirred: BTreeSet<TargetId>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Cancel {
    about: Cancellation,
    /// Until then it is held in any case.
    until: Moment,
    /// The messages that it gave up and that are not gone yet.
    messages: BTreeSet<LeaseId>,
    /// Whether it has met its deployment.
    has_met: bool,
    /// Whether it was received before this process did: what is folded now may have been two deployments then.
    is_again: bool,
}

/// What a cancellation met in a lane.
#[derive(Default)]
struct Met {
    /// The messages that it gave up.
    messages: Vec<LeaseId>,
    /// The deployment goes on, with what was asked for since.
    goes_on: bool,
}

impl Cancels {
    pub(super) fn is_empty(&self) -> bool {
        self.by_lease.is_empty()
    }

    /// Something moved in a lane.
    pub(super) fn stir(&mut self, target: &TargetId) {
        if !self.is_empty() {
            self.stirred.insert(target.clone());
        }
    }

    /// Whether this event asked for something that is cancelled.
    pub(super) fn mean(&self, event: &EventId) -> bool {
        self.by_lease.values().any(|it| it.about.events.contains(event))
    }

    /// A message was received once more: its deletion is awaited by another receipt.
    pub(super) fn reissue(&mut self, earlier: Option<LeaseId>, lease: LeaseId) {
        let Some(earlier) = earlier else { return };
        for cancel in self.by_lease.values_mut() {
            if cancel.messages.remove(&earlier) {
                cancel.messages.insert(lease);
            }
        }
    }

    /// These messages are gone from the queue.
    pub(super) fn gone(&mut self, leases: &[LeaseId]) {
        for cancel in self.by_lease.values_mut() {
            cancel.messages.retain(|lease| !leases.contains(lease));
        }
        self.by_lease.retain(|lease, _| !leases.contains(lease));
    }

    /// These messages will be received again, and must meet the cancellation then.
    pub(super) fn lost(&mut self, leases: &[LeaseId], until: Moment) {
        for cancel in self.by_lease.values_mut() {
            let before = cancel.messages.len();
            cancel.messages.retain(|lease| !leases.contains(lease));
            if cancel.messages.len() < before {
                cancel.until = cancel.until.max(until);
            }
        }
        self.by_lease.retain(|lease, _| !leases.contains(lease));
    }

    /// When the next one may be settled.
    pub(super) fn next_wakeup(&self) -> Option<Moment> {
        self.by_lease.values().filter(|it| it.messages.is_empty()).map(|it| it.until).min()
    }
}

impl Planner {
    /// A cancellation was received.
    pub(super) fn cancelled(&mut self, now: Now, hold: Hold, about: Cancellation, is_again: bool) {
        let Hold { lease, message, event, expires } = hold;
        let replaced = self.ledger.hold(lease, message, event, expires, std::iter::empty(), now.moment);
        self.ledger.owe(lease);
        let before = replaced.and_then(|replaced| self.cancels.by_lease.remove(&replaced));
        let before = before.or_else(|| self.take_over(&about));
        let until = now.moment + self.longest_return();
        let new = Cancel { about, until, messages: BTreeSet::new(), has_met: false, is_again };
        let cancel = before.unwrap_or(new);
        match &cancel.about.target {
            Some(target) => drop(self.cancels.stirred.insert(target.clone())),
            None => self.cancels.stirred.extend(self.lanes.keys().cloned()),
        }
        self.cancels.by_lease.insert(lease, cancel);
    }

    /// The same came in another message, such as the one that this is a copy of: that has done its duty.
    fn take_over(&mut self, about: &Cancellation) -> Option<Cancel> {
        let is_same = |(_, it): &(&LeaseId, &Cancel)| {
            it.about.origin.event_id == about.origin.event_id && it.about.deployment == about.deployment
        };
        let lease = self.cancels.by_lease.iter().find(is_same).map(|(lease, _)| *lease)?;
        self.ledger.settle_whole(lease, SettledBy::Newer);
        self.cancels.by_lease.remove(&lease)
    }

    /// However long ago a process died, by then what it held is received again.
    pub(super) fn longest_return(&self) -> Duration {
        self.settings.visibility * 2
    }

    /// Gives up what is cancelled in the lanes in which something moved, and settles what is done.
    pub(super) fn cancel(&mut self, now: Now, out: &mut Vec<Command>) {
        while let Some(target) = self.cancels.stirred.pop_first() {
            let leases: Vec<LeaseId> = self.cancels.by_lease.keys().copied().collect();
            for lease in leases {
                self.cancel_in(now, &target, lease, out);
            }
        }
        let is_forgotten = self.settings.flawed(Flaw::CancelForgotten);
        let is_over =
            |it: &Cancel| it.messages.is_empty() && it.until <= now.moment || is_forgotten && it.has_met;
        let over: Vec<LeaseId> =
            self.cancels.by_lease.iter().filter(|(_, it)| is_over(it)).map(|(lease, _)| *lease).collect();
        for lease in over {
            let Some(cancel) = self.cancels.by_lease.remove(&lease) else { continue };
            let by = if cancel.has_met { SettledBy::Reality } else { SettledBy::NothingAsked };
            self.ledger.settle_whole(lease, by);
            if !cancel.has_met {
                let deployment = &cancel.about.deployment;
                let reason = format!("no deployment {deployment} waits or is under way");
                out.push(Command::Report(Report::Moot { origin: Arc::clone(&cancel.about.origin), reason }));
            }
        }
    }

    fn cancel_in(&mut self, now: Now, target: &TargetId, lease: LeaseId, out: &mut Vec<Command>) {
        let Some(cancel) = self.cancels.by_lease.get(&lease) else { return };
        let (about, is_again) = (cancel.about.clone(), cancel.is_again);
        if about.target.as_ref().is_some_and(|it| it != target) {
            return;
        }
        let mut met = Met::default();
        self.with_lane(now, target, out, |lane, turn| met = lane.give_up(&about, is_again, turn));
        // What followed in the lane from just this has been seen.
        self.cancels.stirred.remove(target);
        let Some(cancel) = self.cancels.by_lease.get_mut(&lease) else { return };
        if met.goes_on && !cancel.has_met {
            let reason = format!("{} goes on with what was asked for since", about.deployment);
            out.push(Command::Report(Report::Moot { origin: Arc::clone(&about.origin), reason }));
        }
        cancel.has_met |= met.goes_on || !met.messages.is_empty();
        cancel.messages.extend(met.messages.into_iter().filter(|it| self.ledger.holds(*it)));
    }
}

impl Lane {
    /// Gives up what of this waits or is under way here.
    fn give_up(&mut self, about: &Cancellation, is_again: bool, turn: &mut Turn<'_>) -> Met {
        let mut met = self.give_up_waiting(about, is_again, turn);
        let Some(passage) = self.passage() else { return met };
        if !is_about(about, passage) {
            met.goes_on |= met.messages.is_empty() && passage.id == about.deployment;
            return met;
        }
        let leases: Vec<LeaseId> = passage.asks.iter().map(|ask| ask.lease).collect();
        let needed = self.uncover(&leases, |ask| !is_struck_too(about, is_again, ask));
        let (Phase::Starting(passage, _) | Phase::Watching(passage, _)) = &mut self.phase else {
            return met;
        };
        forget_origins(&mut passage.asks, &needed);
        let is_left = passage.stage == Stage::RollingBack || passage.is_unstoppable;
        if passage.cancelled.is_none() && !is_left {
            passage.cancelled = Some(about.origin.reason.as_str().into());
            if self.watch().is_some_and(Watch::is_quiet) {
                self.look_at_rollout(turn);
            }
        }
        met.messages.extend(leases);
        self.wait_after_all(needed, turn);
        met
    }

    fn give_up_waiting(&mut self, about: &Cancellation, is_again: bool, turn: &mut Turn<'_>) -> Met {
        if self.waiting.is_empty() {
            return Met::default();
        }
        let is_whole = self.id_of(&self.waiting) == about.deployment;
        let is_it = |ask: &Ask| if about.events.is_empty() { is_whole } else { is_struck(about, ask) };
        if !self.is_judged() && self.waiting.iter().any(|ask| is_it(ask) && ask.may_be_struck) {
            return self.strike(about, is_again, is_it);
        }
        let (mut given_up, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().partition(is_it);
        self.waiting = kept;
        if given_up.is_empty() {
            return Met { goes_on: is_whole, ..Met::default() };
        }
        let leases: Vec<LeaseId> = given_up.iter().map(|ask| ask.lease).collect();
        let needed = self.uncover(&leases, |ask| !is_struck_too(about, is_again, ask));
        forget_origins(&mut given_up, &needed);
        self.tell_beside(!self.waiting.is_empty(), |lane| {
            lane.cancel_waiting(&given_up, about.origin.reason.clone(), turn);
        });
        let messages = self.with_needless(&leases);
        self.forget(&leases, turn);
        self.wait_after_all(needed, turn);
        Met { messages, goes_on: false }
    }

    /// These, and what they make needless.
    fn with_needless(&self, leases: &[LeaseId]) -> Vec<LeaseId> {
        let needless = self.covered.iter().filter(|it| leases.contains(&it.by)).map(|it| it.ask.lease);
        leases.iter().copied().chain(needless).collect()
    }

    /// Whether a look has shown what became of all that waits: nothing of it is being rolled out.
    fn is_judged(&self) -> bool {
        match &self.phase {
            Phase::Idle | Phase::Looking { .. } | Phase::Marking(_) => false,
            Phase::Paused { .. } => self.failed_looks == 0 && self.no_look_before.is_none(),
            Phase::Queued { .. } | Phase::Blocked(_) | Phase::Starting(..) | Phase::Watching(..) => true,
        }
    }

    /// These may have been begun by a process before this one: the next look tells, and what is in progress is stopped then.
    fn strike(&mut self, about: &Cancellation, is_again: bool, is_it: impl Fn(&Ask) -> bool) -> Met {
        let struck = Arc::new(Struck { about: about.clone(), is_again });
        let mut leases = Vec::new();
        for ask in self.waiting.iter_mut().filter(|ask| is_it(ask)) {
            ask.struck.get_or_insert_with(|| Arc::clone(&struck));
            // What joins it is needed after all once it is given up.
            ask.may_be_struck = true;
            leases.push(ask.lease);
        }
        Met { messages: self.with_needless(&leases), goes_on: false }
    }

    /// What was struck, and was not begun as a look shows, is given up.
    /// Where it made something needless, that has to be looked for: the answer is what is left then.
    pub(super) fn give_up_what_is_struck(
        &mut self,
        mut sifted: Sifted,
        turn: &mut Turn<'_>,
    ) -> Result<Sifted, Vec<Ask>> {
        let is_struck = |ask: &Ask| ask.struck.is_some();
        let (mut given_up, needed): (Vec<_>, Vec<_>) =
            std::mem::take(&mut sifted.needed).into_iter().partition(is_struck);
        sifted.needed = needed;
        let Some(struck) = given_up.last().and_then(|ask| ask.struck.clone()) else { return Ok(sifted) };
        let leases: Vec<LeaseId> = given_up.iter().map(|ask| ask.lease).collect();
        let needed = self.uncover(&leases, |ask| !is_struck_too(&struck.about, struck.is_again, ask));
        forget_origins(&mut given_up, &needed);
        let goes_on = !(sifted.needed.is_empty() && sifted.adopting.is_empty() && sifted.awaiting.is_empty());
        self.tell_beside(goes_on || !needed.is_empty(), |lane| {
            lane.cancel_waiting(&given_up, struck.about.origin.reason.clone(), turn);
        });
        if sifted.needed.is_empty() {
            sifted.not_before = None;
        }
        if needed.is_empty() {
            return Ok(sifted);
        }
        let Sifted { needed: others, adopting, awaiting, .. } = sifted;
        let adopting = adopting.into_iter().map(|(_, ask)| ask);
        self.waiting = others.into_iter().chain(awaiting).chain(adopting).collect();
        self.waiting.sort_by_key(|ask| (ask.request.version, ask.lease));
        Err(needed)
    }

    /// A rollout that goes on is to end because somebody cancelled it: ECS is told to go back, or what was there before is
    /// rolled out over it.
    pub(super) fn stop_cancelled(
        &mut self,
        mut passage: Box<Passage>,
        mut watch: Watch,
        rollout: &Rollout,
        look: &Look,
        turn: &mut Turn<'_>,
    ) {
        let why = passage.cancelled.clone().unwrap_or_default();
        let failure = Failure::new(Cause::Unknown, &*why);
        let arn = watch.rollout.service_deployment.clone().filter(|_| !watch.cannot_stop);
        if let Some(arn) = arn {
            passage.failure = Some(failure);
            passage.stage = Stage::RollingBack;
            turn.report(Report::Moved(Box::new(self.record(&passage))));
            turn.out.push(Command::Stop(StopOrder { target: self.target.clone(), rollout: arn }));
            watch.stopping();
            self.phase = Phase::Watching(passage, watch);
            return;
        }
        if let Err((mut passage, failure)) = self.undo_by_rollout(passage, failure, Some(&watch), look, turn)
        {
            // There is nothing to go back to: it goes on to its own end.
            (passage.cancelled, passage.is_unstoppable) = (None, true);
            tell_moot(&passage, failure.reason, turn);
            self.go_on(passage, watch, rollout, look, turn);
        }
    }
}

/// It was cancelled, and nothing follows from that.
pub(super) fn tell_moot(passage: &Passage, reason: String, turn: &mut Turn<'_>) {
    let Some(origin) = passage.asks.first().map(|ask| Arc::clone(&ask.request.origin)) else { return };
    turn.report(Report::Moot { origin, reason });
}

/// Why a rollout went back that was told to stop, and not by this process.
pub(super) const STOPPED: &str = "it was stopped on somebody's request";

/// Whether somebody stopped a rollout that goes back or has: a person in the console, or a process before this one to cancel it.
/// One that had run for its timeout was stopped for that.
pub(super) fn is_stopped_by_somebody(rollout: &Rollout, settings: &TargetSettings) -> bool {
    stopped_after(rollout).is_some_and(|ran| ran < settings.timeout)
}

/// Why a rollout failed that was stopped, where nothing but its age tells: a process before this one stops what makes no
/// progress, and ECS does not say so.
pub(super) fn failed_for(rollout: &Rollout, failure: Failure, settings: &TargetSettings) -> Failure {
    let timeout = settings.timeout;
    match stopped_after(rollout).filter(|ran| *ran >= timeout && failure.cause == Cause::Unknown) {
        None => failure,
        Some(ran) => Failure::new(
            Cause::Timeout,
            format!(
                "no progress for {}, as it seems: it was stopped after {}",
                in_words(timeout),
                in_words(ran)
            ),
        ),
    }
}

/// Whether a rollout failed by itself, however it was to be stopped: it was not in time.
pub(super) fn failed_by_itself(rollout: &Rollout) -> bool {
    rollout.tripped && !rollout.stopped
}

/// How long a rollout had run when it was stopped, and made to go back.
fn stopped_after(rollout: &Rollout) -> Option<Duration> {
    let goes_back = matches!(rollout.state, RolloutState::RollingBack | RolloutState::RolledBack);
    let at = rollout.undone_since.unwrap_or(rollout.updated_at);
    (goes_back && rollout.stopped).then(|| at.since(rollout.created_at))
}

/// Whether a deployment is the one that is given up: by the events that asked for it, or else by its id.
fn is_about(about: &Cancellation, passage: &Passage) -> bool {
    if about.events.is_empty() {
        return passage.id == about.deployment;
    }
    passage.asks.iter().all(|ask| is_struck(about, ask))
}

/// Whether this was asked for by one of the events that are given up, and not put back since.
fn is_struck(about: &Cancellation, ask: &Ask) -> bool {
    about.events.contains(&ask.request.origin.event_id) && ask.asked_at < about.at + settle::FRESHNESS_MARGIN
}

/// Whether this is given up along with what made it needless. Without events only who saw it as one deployment can mean that.
fn is_struck_too(about: &Cancellation, is_again: bool, ask: &Ask) -> bool {
    if about.events.is_empty() { !is_again } else { is_struck(about, ask) }
}

/// What is needed after all is no reason for these any more.
fn forget_origins(asks: &mut [Ask], needed: &[Ask]) {
    let is_needed = |event: &EventId| needed.iter().any(|ask| ask.origins().any(|it| it.event_id == *event));
    for ask in asks {
        ask.merged.retain(|origin| !is_needed(&origin.event_id));
    }
}

/// How a deployment ends that was cancelled, and why; what it would have ended with otherwise.
pub(super) fn end(cancelled: &str, outcome: Outcome, failure: Failure) -> (Outcome, Option<Cause>, String) {
    match outcome {
        Outcome::RolledBack => {
            let end = failure.reason.strip_prefix(cancelled).unwrap_or("").trim_start_matches("; ");
            let end = if end.is_empty() { "what ran before runs again" } else { end };
            (Outcome::Cancelled, None, format!("{cancelled}; {end}"))
        }
        Outcome::Succeeded
        | Outcome::AlreadyRunning
        | Outcome::Superseded
        | Outcome::Failed
        | Outcome::Cancelled
        | Outcome::DryRun => {
            let reason = format!("{}; it was to be stopped ({cancelled})", failure.reason);
            (outcome, Some(failure.cause), reason)
        }
    }
}
