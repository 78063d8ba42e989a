//! One event that reaches many targets is rolled out in waves: at most `max_parallel` of a cluster at a time, and none any
//! more once `stop_after` of them have failed.
//!
//! Nothing of it is kept: after a crash the message comes back, each of its targets is looked at, and those that failed
//! are found to have. Where `stop_after` counts, nobody starts before that has been seen of all.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{
    DeploymentId, DeploymentRecord, EventId, LeaseId, Outcome, Request, Stage, TargetId, TargetSettings,
};

use super::{
    fold::Ask,
    lane::{Lane, Phase, Turn},
};

/// The events that reach more than one target, and whose settings limit how they are rolled out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Waves {
    by_event: BTreeMap<EventId, Wave>,
    /// The lanes for which there is room now, or that wait in vain.
    called: BTreeSet<TargetId>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Wave {
    messages: BTreeSet<LeaseId>,
    targets: BTreeSet<TargetId>,
    /// Those of which it is not known yet whether they failed already.
    unseen: BTreeSet<TargetId>,
    /// Those that are being deployed, or were called to be.
    admitted: BTreeSet<TargetId>,
    /// Those that wait for a place, with their limits.
    waiting: BTreeMap<TargetId, Limits>,
    failed: BTreeSet<TargetId>,
}

/// Zero is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Limits {
    max_parallel: u32,
    stop_after: u32,
}

/// What keeps a target from being deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    /// So many others failed.
    ForGood(usize),
    /// Of others it is not known yet whether they failed.
    Unseen,
    /// So many others of its cluster are being deployed.
    Full(usize),
}

/// Whether a target may be deployed now because of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// It may.
    Open,
    /// Others come first, for this reason.
    Wait(String),
    /// So many others failed that it is not deployed at all.
    Stopped(String),
}

impl Limits {
    fn of(settings: &TargetSettings) -> Self {
        Self { max_parallel: settings.max_parallel, stop_after: settings.stop_after }
    }

    fn are_none(self) -> bool {
        self.max_parallel == 0 && self.stop_after == 0
    }
}

impl Wave {
    /// Asked of each that waits whenever another one has ended, so that it must not count the whole wave.
    fn closed(&self, target: &TargetId, limits: Limits) -> Option<Closed> {
        let Limits { max_parallel, stop_after } = limits;
        let others = |set: &BTreeSet<TargetId>| set.len() - usize::from(set.contains(target));
        let reaches =
            |count: usize, limit: u32| limit > 0 && count >= usize::try_from(limit).unwrap_or(usize::MAX);
        let beside = || self.admitted.iter().filter(|it| *it != target && share_cluster(it, target)).count();
        if reaches(others(&self.failed), stop_after) {
            Some(Closed::ForGood(others(&self.failed)))
        } else if stop_after > 0 && others(&self.unseen) > 0 {
            Some(Closed::Unseen)
        } else {
            (max_parallel > 0).then(beside).filter(|it| reaches(*it, max_parallel)).map(Closed::Full)
        }
    }

    fn gate(&self, target: &TargetId, limits: Limits) -> Gate {
        let Limits { max_parallel, stop_after } = limits;
        match self.closed(target, limits) {
            None => Gate::Open,
            Some(Closed::ForGood(failed)) => Gate::Stopped(format!(
                "{failed} targets of the same event failed (stop_after = {stop_after})"
            )),
            Some(Closed::Unseen) => {
                Gate::Wait("the other targets of the same event are looked at first (stop_after)".into())
            }
            Some(Closed::Full(others)) => Gate::Wait(format!(
                "{others} targets of the same event come first (max_parallel = {max_parallel})"
            )),
        }
    }

    /// Calls those that wait and whose gate is not closed any more, as many as there is room for.
    fn call(&mut self, called: &mut BTreeSet<TargetId>) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|target, limits| match self.closed(target, *limits) {
            Some(Closed::Unseen | Closed::Full(_)) => true,
            Some(Closed::ForGood(_)) | None => {
                self.admitted.insert(target.clone());
                called.insert(target.clone());
                false
            }
        });
        self.waiting = waiting;
    }
}

fn share_cluster(one: &TargetId, other: &TargetId) -> bool {
    (one.account(), one.region(), one.cluster()) == (other.account(), other.region(), other.cluster())
}

impl Waves {
    /// A message was received that asks for these.
    pub(super) fn open(&mut self, event: &EventId, lease: LeaseId, requests: &[Request]) {
        let is_limited = requests.iter().any(|it| !Limits::of(&it.settings).are_none());
        if requests.len() < 2 || !is_limited {
            return;
        }
        let wave = self.by_event.entry(event.clone()).or_default();
        wave.messages.insert(lease);
        for request in requests {
            if wave.targets.insert(request.target.clone()) {
                wave.unseen.insert(request.target.clone());
            }
        }
    }

    /// Forgets the events of which no message is held any more.
    pub(super) fn close(&mut self, is_held: impl Fn(LeaseId) -> bool) {
        for wave in self.by_event.values_mut() {
            wave.messages.retain(|lease| is_held(*lease));
        }
        self.by_event.retain(|_, wave| !wave.messages.is_empty());
    }

    /// Takes in what a lane is doing now.
    pub(super) fn update(&mut self, lane: &Lane) {
        let Self { by_event, called } = self;
        let target = lane.target();
        for (event, wave) in by_event.iter_mut().filter(|(_, wave)| wave.targets.contains(target)) {
            let is_asked = lane.is_asked_by(event);
            let (undecided, deploying) = match &lane.phase {
                Phase::Idle => (lane.is_gathering(), false),
                Phase::Looking { .. } | Phase::Marking(_) => (true, true),
                Phase::Starting(..) | Phase::Watching(..) => (false, true),
                // A start whose answer was lost may have taken effect.
                Phase::Paused { .. } => (false, lane.no_look_before.is_some()),
                Phase::Queued { .. } | Phase::Blocked(_) => (false, false),
            };
            let waits = matches!(lane.phase, Phase::Queued { .. });
            let before = (wave.unseen.len(), wave.admitted.len(), wave.failed.len());
            // What is being undone has failed, however long that takes.
            if lane.is_undone_for(event) {
                wave.failed.insert(target.clone());
            }
            if !(is_asked && undecided) {
                wave.unseen.remove(target);
            }
            if !(is_asked && deploying) {
                wave.admitted.remove(target);
            } else if lane.passage().is_some() {
                // Where the message was received again, or a rollout was adopted, nobody was asked whether it may.
                wave.admitted.insert(target.clone());
            }
            if !(is_asked && waits) {
                wave.waiting.remove(target);
            }
            if before != (wave.unseen.len(), wave.admitted.len(), wave.failed.len()) {
                wave.call(called);
            }
        }
    }

    /// A deployment of this target failed that this event had asked for.
    pub(super) fn failed(&mut self, event: &EventId, target: &TargetId) {
        let Self { by_event, called } = self;
        if let Some(wave) = by_event.get_mut(event) {
            wave.failed.insert(target.clone());
            wave.call(called);
        }
    }

    /// Whether this event would let this lane start something now.
    pub(super) fn lets(&self, event: &EventId, lane: &Lane) -> bool {
        let limits = Limits::of(&lane.settings);
        self.by_event.get(event).is_none_or(|wave| wave.closed(&lane.target, limits).is_none())
    }

    /// Whether this target may be deployed now because of this event; it is called if it has to wait.
    fn admit(&mut self, event: &EventId, target: &TargetId, settings: &TargetSettings) -> Gate {
        let limits = Limits::of(settings);
        let Self { by_event, called } = self;
        let Some(wave) = by_event.get_mut(event).filter(|_| !limits.are_none()) else {
            return Gate::Open;
        };
        wave.unseen.remove(target);
        match wave.gate(target, limits) {
            Gate::Open if wave.admitted.contains(target) => return Gate::Open,
            stopped @ Gate::Stopped(_) => return stopped,
            Gate::Open | Gate::Wait(_) => {}
        }
        // Those that wait already may come before it.
        wave.admitted.remove(target);
        wave.waiting.insert(target.clone(), limits);
        wave.call(called);
        if called.remove(target) {
            return Gate::Open;
        }
        match wave.gate(target, limits) {
            Gate::Open => Gate::Wait("other targets of the same event come first".into()),
            closed => closed,
        }
    }

    /// A lane that was called.
    pub(super) fn next_called(&mut self) -> Option<TargetId> {
        self.called.pop_first()
    }
}

impl Lane {
    /// Of what is needed, what may be started now. The rest waits, or is given up on because too many others failed.
    pub(super) fn admitted(&mut self, needed: Vec<Ask>, turn: &mut Turn<'_>) -> (Vec<Ask>, Option<String>) {
        let (mut go, mut stay, mut stopped) = (Vec::new(), None, BTreeMap::<String, Vec<Ask>>::new());
        for ask in needed {
            let event = ask.request.origin.event_id.clone();
            match turn.waves.admit(&event, &self.target, &self.settings) {
                Gate::Open => go.push(ask),
                Gate::Wait(why) => {
                    stay = Some(why);
                    self.waiting.push(ask);
                }
                Gate::Stopped(why) => stopped.entry(why).or_default().push(ask),
            }
        }
        self.waiting.sort_by_key(|ask| (ask.request.version, ask.lease));
        let goes_on = !(go.is_empty() && self.waiting.is_empty());
        let mut ends = stopped.len();
        for (why, asks) in stopped {
            ends -= 1;
            self.tell_beside(goes_on || ends > 0, |lane| {
                lane.cancel_waiting(&asks, format!("not started: {why}"), turn);
            });
        }
        (go, stay)
    }

    /// There is room now, or none will be.
    pub(super) fn called(&mut self, turn: &mut Turn<'_>) {
        if matches!(self.phase, Phase::Queued { .. }) {
            self.look(turn, false);
        }
    }

    pub(super) fn cancel_waiting(&self, asks: &[Ask], reason: String, turn: &mut Turn<'_>) {
        self.cancel_as(self.id_of(asks), asks, reason, turn);
    }

    pub(super) fn cancel_as(&self, id: DeploymentId, asks: &[Ask], reason: String, turn: &mut Turn<'_>) {
        let mut record = DeploymentRecord { id, ..self.waiting_record(asks) };
        record.reason = Some(reason);
        self.set_aside(asks, Outcome::Cancelled, &record, turn);
        super::tell::tell_finished(record, Outcome::Cancelled, asks, turn);
    }

    /// Whether what this event asked for is being undone.
    fn is_undone_for(&self, event: &EventId) -> bool {
        let undone = self.passage().filter(|passage| passage.stage == Stage::RollingBack);
        undone.is_some_and(|it| it.asks.iter().any(|ask| ask.request.origin.event_id == *event))
    }

    /// Whether this event asks for something that waits here or is being deployed.
    fn is_asked_by(&self, event: &EventId) -> bool {
        let deployed = self.passage().into_iter().flat_map(|passage| &passage.asks);
        self.waiting.iter().chain(deployed).any(|ask| ask.request.origin.event_id == *event)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::plan::testing::{restart, settings, target};

    #[test]
    fn who_was_let_through_once_is_let_through_again_before_those_that_wait() {
        let settings = TargetSettings { max_parallel: 1, stop_after: 0, ..settings() };
        let request =
            |name| Request { target: target(name), settings: Arc::new(settings.clone()), ..restart(10) };
        let (mut waves, event) = (Waves::default(), "e".into());
        waves.open(&event, LeaseId(1), &["a", "b"].map(request));
        let mut may = |name| waves.admit(&event, &target(name), &settings) == Gate::Open;
        assert_eq!(["b", "a", "b", "a"].map(&mut may), [true, false, true, false]);
    }
}
