//! What follows from a look for the requests that wait: settled, adopted, started, or left waiting.

use std::time::Duration;

use crate::domain::{
    Adopted, CallFailure, Cause, Change, DeploymentId, Evidence, Failure, Look, Outcome, Owner, Remedy,
    Report, Rollout, RolloutKey, RolloutState, ServiceState, SettledBy, Stage, TargetId, Tasks, Timestamp,
};

use super::{
    Flaw, diagnose,
    fold::Ask,
    lane::{Lane, Passage, Phase, Turn},
    settle,
    settle::Verdict,
    undo,
    watch::Watch,
};

/// Who waits for others of the same event is called; and looks by itself after this long.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// A rollout of ours that was complete before that was seen, and why it was not.
pub(super) struct Unseen<'a> {
    pub(super) rollout: &'a Rollout,
    pub(super) id: DeploymentId,
    pub(super) why: &'static str,
}

/// Requests that a look settles, how, and why.
type Settled = (Outcome, String, Vec<Ask>);

/// What is left of the waiting requests once those that a look settles are gone.
#[derive(Default)]
pub(super) struct Sifted {
    pub(super) needed: Vec<Ask>,
    pub(super) adopting: Vec<(RolloutKey, Ask)>,
    pub(super) awaiting: Vec<Ask>,
    pub(super) not_before: Option<Timestamp>,
}

impl Lane {
    /// The answer to a look.
    pub(super) fn looked(&mut self, look: Result<Box<Look>, CallFailure>, turn: &mut Turn<'_>) {
        let mut look = match look {
            Ok(look) => look,
            Err(failure) => return self.not_looked(failure, turn),
        };
        self.own_way_back(&mut look);
        self.failed_looks = 0;
        self.see_holds(&look.holds, turn);
        self.running.clone_from(&look.running);
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Looking { evidence } => self.decide(&look, evidence, None, turn),
            Phase::Blocked(watch) => self.decide(&look, false, Some(watch), turn),
            Phase::Watching(passage, watch) => self.judge(passage, watch, &look, turn),
            phase @ (Phase::Idle
            | Phase::Marking(_)
            | Phase::Paused { .. }
            | Phase::Queued { .. }
            | Phase::Starting(..)) => {
                self.phase = phase;
            }
        }
    }

    fn not_looked(&mut self, failure: CallFailure, turn: &mut Turn<'_>) {
        let (now, spacing) = (turn.now.moment, turn.spacing);
        match self.watch_mut() {
            Some(watch) => watch.rest(now, spacing),
            None if failure.remedy == Remedy::GiveUp => {
                let failure = Failure::new(failure.cause, failure.reason);
                let asks = std::mem::take(&mut self.waiting);
                self.fail_waiting(asks, Outcome::Failed, failure, None, turn);
                self.rest(turn);
            }
            None => self.look_failed(failure, turn),
        }
    }

    /// Decides about everything that waits. `blocked` is the rollout that it waited for until now.
    pub(super) fn decide(
        &mut self,
        look: &Look,
        evidence: bool,
        blocked: Option<Watch>,
        turn: &mut Turn<'_>,
    ) {
        if let Some(failure) = unavailable(&self.target, look) {
            let asks = self.drop_guesses(&failure, turn);
            self.fail_waiting(asks, Outcome::Failed, failure, None, turn);
            return self.rest(turn);
        }
        if !self.is_looked_for() {
            return self.look(turn, evidence);
        }
        let verdicts = self.verdicts(look, turn);
        if !evidence && verdicts.iter().any(|verdict| matches!(verdict, Verdict::Failed(_))) {
            return self.look(turn, true);
        }
        if self.undo_unwatched(&verdicts, look, turn) {
            return;
        }
        if self.hold_first(&verdicts, turn) {
            return;
        }
        if let Some(order) = self.unmarked(&verdicts, look).filter(|_| !turn.flawed(Flaw::NoMarkForWhatRuns))
        {
            return self.mark(order, look, evidence, blocked, turn);
        }
        let mut sifted = self.sift(verdicts, look, turn);
        self.give_up_what_is_refused(&mut sifted, turn);
        let sifted = match self.give_up_what_is_struck(sifted, turn) {
            Ok(sifted) => sifted,
            Err(needed) => {
                for ask in needed {
                    self.let_join(ask, turn);
                }
                return self.look(turn, false);
            }
        };
        if let Some(key) = sifted.adopting.first().map(|(key, _)| key.clone()) {
            return self.adopt(&key, sifted, look, turn);
        }
        match look.rollouts.iter().find(|rollout| rollout.state.is_live()) {
            Some(live) => self.wait_or_supersede(live, sifted, look, blocked, turn),
            None if look.going_back => self.wait_for_rollback(sifted, turn),
            None => self.proceed(sifted, None, look, turn),
        }
    }

    pub(super) fn verdicts(&self, look: &Look, turn: &Turn<'_>) -> Vec<Verdict> {
        let judge = |ask: &Ask| settle::verdict(&ask.request, look, |flaw| turn.flawed(flaw));
        let mut verdicts: Vec<Verdict> = self.waiting.iter().map(judge).collect();
        self.keep_images_through_a_definition(&mut verdicts);
        if turn.flawed(Flaw::FreshnessSettledByContent) {
            let runs = |(ask, verdict): (&Ask, &Verdict)| {
                ask.request.change.is_content()
                    && matches!(verdict, Verdict::Settled(Outcome::AlreadyRunning, _))
            };
            if self.waiting.iter().zip(&verdicts).any(runs) {
                verdicts.fill(Verdict::Settled(Outcome::AlreadyRunning, "content runs already".into()));
            }
        }
        verdicts
    }

    /// An image that runs already has to be deployed all the same with a definition that was asked for before it.
    fn keep_images_through_a_definition(&self, verdicts: &mut [Verdict]) {
        let mut asked = self.waiting.iter().zip(verdicts.iter());
        let definition = asked.find_map(|(ask, verdict)| match ask.request.change {
            Change::Definition(_) if *verdict == Verdict::Needed => Some(ask.request.version),
            Change::Definition(_) | Change::Image(_) | Change::Refresh(_) => None,
        });
        let Some(definition) = definition else { return };
        for (ask, verdict) in self.waiting.iter().zip(verdicts) {
            let is_later_image =
                matches!(ask.request.change, Change::Image(_)) && ask.request.version >= definition;
            if is_later_image && matches!(verdict, Verdict::Settled(Outcome::AlreadyRunning, _)) {
                *verdict = Verdict::Needed;
            }
        }
    }

    /// Settles what the look settles, and sorts the rest.
    pub(super) fn sift(&mut self, verdicts: Vec<Verdict>, look: &Look, turn: &mut Turn<'_>) -> Sifted {
        let mut sifted = Sifted::default();
        let mut settled: Vec<Settled> = Vec::new();
        let mut failed: Vec<(Option<Box<Rollout>>, Failure, Vec<Ask>)> = Vec::new();
        for (ask, verdict) in std::mem::take(&mut self.waiting).into_iter().zip(verdicts) {
            match verdict {
                Verdict::Drop(reason) => self.drop_ask(&ask, reason, turn),
                Verdict::Settled(outcome, reason) => {
                    match settled.iter_mut().find(|it| (it.0, &it.1) == (outcome, &reason)) {
                        Some((_, _, asks)) => asks.push(ask),
                        None => settled.push((outcome, reason, vec![ask])),
                    }
                }
                Verdict::Failed(rollout) => {
                    if let Some((_, _, asks)) = failed.iter_mut().find(|it| it.0.as_ref() == Some(&rollout)) {
                        asks.push(ask);
                    } else {
                        let failure = diagnose::failure(&rollout, &diagnose::evidence(&rollout, look));
                        failed.push((Some(rollout), failure, vec![ask]));
                    }
                }
                Verdict::Impossible(failure) => failed.push((None, failure, vec![ask])),
                Verdict::Adopt(key) => sifted.adopting.push((key, ask)),
                Verdict::Await => sifted.awaiting.push(ask),
                Verdict::NotBefore(at) => {
                    sifted.not_before = sifted.not_before.max(Some(at));
                    sifted.needed.push(ask);
                }
                Verdict::Needed => sifted.needed.push(ask),
            }
        }
        let goes_on = !(sifted.needed.is_empty() && sifted.adopting.is_empty() && sifted.awaiting.is_empty());
        let settled = self.whole_again(settled, look);
        let mut ends = settled.len() + failed.len();
        for (outcome, reason, asks) in settled {
            ends -= 1;
            self.tell_beside(goes_on || ends > 0, |lane| {
                let runs = outcome == Outcome::AlreadyRunning;
                if let Some(done) = lane.done_unseen(&asks, look).filter(|_| runs) {
                    lane.settle_unseen(asks, done, turn);
                } else {
                    let found = lane.found_done(&asks, look).filter(|_| runs);
                    lane.settle_waiting(asks, outcome, (reason, found), turn);
                }
            });
        }
        for (rollout, failure, asks) in failed {
            ends -= 1;
            let outcome = match rollout.as_ref().map(|rollout| rollout.state) {
                Some(RolloutState::RolledBack) => Outcome::RolledBack,
                Some(RolloutState::Failed) if rollout.as_ref().is_some_and(|it| is_undone(it, look)) => {
                    Outcome::RolledBack
                }
                _ => Outcome::Failed,
            };
            let known = rollout.as_ref().and_then(|rollout| self.id_by_marks(rollout, &asks));
            let seen = rollout.map(|rollout| (diagnose::evidence(&rollout, look), *rollout));
            self.tell_beside(goes_on || ends > 0, |lane| {
                lane.fail_as(known, asks, outcome, failure, seen, turn);
            });
        }
        sifted
    }

    /// The completed rollout that we started for just these, under which id, and why its end was not seen.
    fn done_unseen<'a>(&self, asks: &[Ask], look: &'a Look) -> Option<Unseen<'a>> {
        if let Some((retrying, since)) = self.retrying_of(asks).and_then(|it| Some((it, it.lost_since?))) {
            let rollout = look.rollouts.iter().find(|rollout| rollout.created_at >= since)?;
            let (id, why) = (retrying.id.clone(), "the answer to its start was lost");
            return (rollout.state == RolloutState::Succeeded).then_some(Unseen { rollout, id, why });
        }
        let rollout = complete_since(asks, look)?;
        let by_marks =
            self.id_by_marks(rollout, asks).map(|id| (id, "it was complete before this process saw it"));
        let (id, why) = by_marks.filter(|(id, _)| self.succeeded.as_ref() != Some(id))?;
        Some(Unseen { rollout, id, why })
    }

    /// The completed rollout that a process before this one may have begun for these: it had received them.
    fn found_done<'a>(&self, asks: &[Ask], look: &'a Look) -> Option<&'a Rollout> {
        let was_received = asks.iter().any(|ask| ask.may_be_struck);
        complete_since(asks, look).filter(|rollout| was_received && !self.has_started(rollout))
    }

    /// What nobody saw complete was one deployment, whatever settles each of its requests.
    fn whole_again(&self, settled: Vec<Settled>, look: &Look) -> Vec<Settled> {
        let (mut done, mut others): (Vec<_>, Vec<_>) =
            settled.into_iter().partition(|(outcome, ..)| *outcome == Outcome::AlreadyRunning);
        let all: Vec<Ask> = done.iter().flat_map(|(.., asks)| asks.clone()).collect();
        if done.len() > 1 && self.done_unseen(&all, look).is_some() {
            done.truncate(1);
            done[0].2 = all;
        }
        others.append(&mut done);
        others
    }

    /// A name that only a pattern made up means no service, where ECS has none. Returns what else waits.
    fn drop_guesses(&mut self, failure: &Failure, turn: &mut Turn<'_>) -> Vec<Ask> {
        let is_missing = failure.cause == Cause::TargetMissing;
        let (guesses, named): (Vec<Ask>, Vec<Ask>) =
            std::mem::take(&mut self.waiting).into_iter().partition(|ask| is_missing && ask.request.guessed);
        for ask in &guesses {
            let reason = format!("{}, and only a pattern of names led to it", failure.reason);
            self.drop_ask(ask, reason, turn);
        }
        named
    }

    pub(super) fn drop_ask(&self, ask: &Ask, reason: String, turn: &mut Turn<'_>) {
        turn.ledger.settle(ask.lease, &self.target, SettledBy::NothingAsked);
        let (target, name, origin) = (self.target.clone(), self.name(), ask.request.origin.clone());
        turn.report(Report::Dropped { target, name, origin, reason });
    }

    /// A rollout in progress carries what these ask for: it is watched as if it were ours.
    fn adopt(&mut self, key: &RolloutKey, sifted: Sifted, look: &Look, turn: &mut Turn<'_>) {
        let Sifted { needed, adopting, awaiting, .. } = sifted;
        let (adopted, others): (Vec<_>, Vec<_>) = adopting.into_iter().partition(|(of, _)| of == key);
        self.waiting =
            needed.into_iter().chain(awaiting).chain(others.into_iter().map(|(_, ask)| ask)).collect();
        let Some(rollout) = look.rollouts.iter().find(|rollout| rollout.id == *key) else {
            return self.look(turn, false);
        };
        let asks: Vec<Ask> = adopted.into_iter().map(|(_, ask)| ask).collect();
        let known = self.id_by_rollout(rollout, &asks);
        let mut passage = self.passage_for(asks, known, turn);
        passage.is_carried_by(rollout, &self.target);
        passage.stage =
            if rollout.state == RolloutState::RollingBack { Stage::RollingBack } else { Stage::Rollout };
        self.retrying = None;
        turn.report(Report::Moved(Box::new(self.record(&passage))));
        let mut watch = self.watch_of(rollout, look, turn);
        watch.going_back = rollout.state == RolloutState::RollingBack;
        self.phase = Phase::Watching(Box::new(passage), watch);
    }

    /// These go on as one deployment: under this id where it is known, or else under that by which they waited.
    pub(super) fn passage_for(
        &mut self,
        asks: Vec<Ask>,
        known: Option<DeploymentId>,
        turn: &Turn<'_>,
    ) -> Passage {
        let id = self.take_id(&asks, known);
        self.passage_as(id, asks, turn)
    }

    pub(super) fn passage_as(&self, id: DeploymentId, asks: Vec<Ask>, turn: &Turn<'_>) -> Passage {
        let retrying = self.retrying_of(&asks);
        let cancelled = Ask::struck(&asks).map(Into::into);
        Passage {
            id,
            attempts: retrying.map_or(0, |it| it.failed),
            crowded: retrying.and_then(|it| it.crowded),
            started_at: retrying.map_or(turn.now.wall, |it| it.started_at),
            asks,
            stage: Stage::Waiting,
            definition: None,
            registered: false,
            previous: match retrying.and_then(|it| it.previous.clone()) {
                Some(previous) => Some(previous),
                None => self.running.as_ref().map(|running| running.definition.id.clone()),
            },
            images: Vec::new(),
            rollout: None,
            adopted: None,
            looked_at: Timestamp::default(),
            tasks: Tasks::default(),
            failure: None,
            evidence: Evidence::default(),
            cancelled,
            is_unstoppable: false,
            going_back_to: None,
        }
    }

    pub(super) fn watch_of(&self, rollout: &Rollout, look: &Look, turn: &Turn<'_>) -> Watch {
        let stalled = look.taken_at.since(rollout.updated_at);
        let (now, timeout) = (turn.now.moment, self.settings.timeout);
        Watch::new(rollout.id.clone(), rollout.created_at, now, timeout, stalled, rollout.tasks)
    }

    /// A rollout that carries nothing of what waits is in progress.
    fn wait_or_supersede(
        &mut self,
        live: &Rollout,
        sifted: Sifted,
        look: &Look,
        blocked: Option<Watch>,
        turn: &mut Turn<'_>,
    ) {
        let same = blocked.filter(|watch| watch.rollout.is(&live.id));
        let was_overdue = same.as_ref().is_some_and(|watch| watch.overdue);
        let mut watch = same.unwrap_or_else(|| self.watch_of(live, look, turn));
        let now = turn.now.moment;
        watch.learn(live, now);
        watch.undoes = undo::is_rollback(live, look);
        watch.overdue |= watch.is_past_deadline(now);
        let decides = !sifted.awaiting.is_empty() && !watch.is_failing();
        let leaves_it =
            watch.is_failing() && brings_ours(live, look) && leaves_behind(&watch, &sifted.needed);
        let has_free = sifted.needed.iter().any(|ask| self.kept_back(ask).is_none());
        if !decides && !leaves_it && has_free && self.may_supersede(&watch) {
            let over = (!watch.is_failing()).then_some(live);
            return self.proceed(sifted, over, look, turn);
        }
        self.waiting = sifted.needed.into_iter().chain(sifted.awaiting).collect();
        if self.waiting.is_empty() {
            return self.rest(turn);
        }
        watch.spared = self.may_supersede(&watch);
        watch.rest(now, turn.spacing);
        let is_news = watch.overdue && !was_overdue;
        self.phase = Phase::Blocked(watch);
        if is_news {
            self.tell_that_it_is_stuck(turn);
        }
    }

    /// ECS goes back from a rollout that it no longer lists.
    fn wait_for_rollback(&mut self, sifted: Sifted, turn: &mut Turn<'_>) {
        self.waiting = sifted.needed.into_iter().chain(sifted.awaiting).collect();
        if self.waiting.is_empty() {
            return self.rest(turn);
        }
        self.pause(turn, Duration::from_secs(3), "ECS is rolling back");
    }

    /// Nothing is in the way: what is needed is started, or waits for the moment from which on it may be.
    /// `over` is a sound rollout that gives way.
    fn proceed(&mut self, sifted: Sifted, over: Option<&Rollout>, look: &Look, turn: &mut Turn<'_>) {
        let Sifted { needed, awaiting, not_before, .. } = sifted;
        let delay = not_before.map(|at| at.since(look.taken_at));
        let held_back = turn.settings.start_after.since(turn.now.moment);
        if awaiting.is_empty() && needed.is_empty() {
            self.retrying = None;
            return self.rest(turn);
        }
        let wait = delay.unwrap_or_default().max(held_back);
        if needed.is_empty() || !wait.is_zero() {
            self.waiting = needed.into_iter().chain(awaiting).collect();
            let why = if held_back > delay.unwrap_or_default() {
                "it has just started, and another process may still be stopping"
            } else {
                "a rollout created now could be from before the change"
            };
            return self.pause(turn, wait.max(Duration::from_millis(1)), why);
        }
        self.waiting = awaiting;
        let kept_back = needed.iter().find_map(|ask| self.kept_back(ask));
        let (kept, needed): (Vec<_>, Vec<_>) =
            needed.into_iter().partition(|ask| self.kept_back(ask).is_some());
        self.waiting.extend(kept);
        self.waiting.sort_by_key(|ask| (ask.request.version, ask.lease));
        if let Some(why) = kept_back.filter(|_| needed.is_empty()) {
            return self.phase = Phase::Queued { until: turn.now.moment + LONGEST_WAIT, why };
        }
        let asks_for_definition = needed.iter().any(is_for_definition);
        let (mut go, stay) = self.admitted(needed, turn);
        if asks_for_definition && !go.iter().any(is_for_definition) {
            // Images that run already were only needed to be kept through the definition.
            self.waiting.append(&mut go);
            self.waiting.sort_by_key(|ask| (ask.request.version, ask.lease));
            if stay.is_none() {
                return self.decide(look, true, None, turn);
            }
        }
        match stay {
            None if go.is_empty() => self.rest(turn),
            Some(why) if go.is_empty() => {
                self.phase = Phase::Queued { until: turn.now.moment + LONGEST_WAIT, why };
            }
            _ => self.start(go, None, over, look, turn),
        }
    }

    /// What is waiting and has to be started over a rollout of ours that goes on; `None` where that may change soon.
    pub(super) fn needed_now(&mut self, look: &Look, turn: &mut Turn<'_>) -> Option<Vec<Ask>> {
        let verdicts = self.verdicts(look, turn);
        let is_early = verdicts.iter().any(|verdict| matches!(verdict, Verdict::NotBefore(_)));
        if is_early || !self.is_looked_for() || self.ask_for_hold(&verdicts, turn) {
            return None;
        }
        let waiting = std::mem::take(&mut self.waiting).into_iter().zip(verdicts);
        let (go, stay): (Vec<_>, Vec<_>) =
            waiting.partition(|(ask, verdict)| *verdict == Verdict::Needed && self.kept_back(ask).is_none());
        self.waiting = stay.into_iter().map(|(ask, _)| ask).collect();
        let go: Vec<Ask> = go.into_iter().map(|(ask, _)| ask).collect();
        let asks_for_definition = go.iter().any(is_for_definition);
        let (mut go, _) = self.admitted(go, turn);
        if asks_for_definition && !go.iter().any(is_for_definition) {
            self.take_back(std::mem::take(&mut go), turn);
        }
        Some(go)
    }
}

impl Passage {
    /// This rollout is its own; that with which it began, whoever began it, where none was tried before.
    pub(super) fn is_carried_by(&mut self, rollout: &Rollout, target: &TargetId) {
        if self.attempts == 0 {
            self.take_over(rollout, target);
        }
        self.rolls_out(&rollout.definition);
        self.previous = rollout.previous.as_ref().map(|it| it.id.clone());
        self.rollout = Some(rollout.id.clone());
        self.tasks = rollout.tasks;
    }

    fn take_over(&mut self, rollout: &Rollout, target: &TargetId) {
        let made_for = rollout.definition.marks.deployment_of(target);
        let is_new = rollout.previous.as_ref().is_none_or(|it| it.id != rollout.definition.id);
        let is_ours = made_for.is_some_and(|it| is_new || *it == self.id);
        self.adopted = Some(if is_ours { Adopted::Ours } else { Adopted::Unknown });
        self.started_at = rollout.created_at;
    }
}

/// What the service has, if that became complete since these were asked for.
fn complete_since<'a>(asks: &[Ask], look: &'a Look) -> Option<&'a Rollout> {
    let floor = asks.iter().map(|ask| ask.request.floor).min()?;
    let is_it = |it: &&Rollout| it.state == RolloutState::Succeeded && it.primary && it.created_at >= floor;
    // Where another rollout has followed it, this is not what the service has.
    look.rollouts.first().filter(is_it)
}

fn is_for_definition(ask: &Ask) -> bool {
    matches!(ask.request.change, Change::Definition(_))
}

/// Whether only freshness would be started over a failing rollout, from what ran before: what that one brings would be left
/// behind, and look like taken back by somebody once its message is received again. That is waited for, until the
/// rollout makes no progress for its timeout.
pub(super) fn leaves_behind(watch: &Watch, newer: &[Ask]) -> bool {
    !watch.overdue && !newer.iter().any(|ask| ask.request.change.is_content())
}

/// Whether this rollout brings content of ours that never was complete.
fn brings_ours(live: &Rollout, look: &Look) -> bool {
    let running = look.running.as_ref().map(|running| &running.definition);
    running.is_some_and(|running| live.definition.marks.advance(&running.marks))
}

/// Whether what was there before this failed rollout runs again.
fn is_undone(failed: &Rollout, look: &Look) -> bool {
    undo::undone_by(failed, look).is_some_and(|it| it.state == RolloutState::Succeeded)
}

/// Why the target is gone for a rollout that is watched. Whoever owns the service by now, what we began is watched to its end.
pub(super) fn gone(target: &TargetId, look: &Look) -> Option<Failure> {
    let is_there = matches!(look.service, ServiceState::OfAnother(_));
    unavailable(target, look).filter(|_| !is_there)
}

/// Why the target cannot be deployed at all, if it cannot.
pub(super) fn unavailable(target: &TargetId, look: &Look) -> Option<Failure> {
    let what = format!("service {} in cluster {}", target.service(), target.cluster());
    let missing = |reason| Some(Failure::new(Cause::TargetMissing, reason));
    match &look.service {
        ServiceState::Active => None,
        ServiceState::Draining => missing(format!("{what} is being deleted (DRAINING)")),
        ServiceState::Inactive => missing(format!("{what} was deleted (INACTIVE)")),
        ServiceState::Missing => missing(format!("there is no {what}")),
        ServiceState::OtherController(name) => Some(Failure::new(
            Cause::Unknown,
            format!("the service is deployed by {name}, which is not driven here"),
        )),
        ServiceState::OfAnother(owner) => {
            Some(Failure::new(Cause::Unknown, format!("{what} is {}", Owner::belongs_to(owner))))
        }
    }
}
