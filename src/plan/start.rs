//! Starting a rollout, and what follows where that fails.

use std::time::Duration;

use crate::domain::{
    Base, CallFailure, Cause, DefinitionView, Failure, Look, Outcome, Remedy, Report, Rollout, SettledBy,
    Stage, Started, Tasks,
};

use super::{
    Command, fold,
    fold::{Ask, Ground},
    lane::{Lane, Passage, Phase, Replaced, Retrying, Turn},
    newer, retry,
    watch::Watch,
};

impl Lane {
    /// Starts one deployment of all of these. `replaced` is ours whose rollout it supersedes; `over` is a sound rollout
    /// that gives way, ours or not: the deployment starts from its definition, so that what it brought is kept.
    pub(super) fn start(
        &mut self,
        asks: Vec<Ask>,
        replaced: Option<Box<Replaced>>,
        over: Option<&Rollout>,
        look: &Look,
        turn: &mut Turn<'_>,
    ) {
        let ground = match self.ground(over, look) {
            Ok(ground) => ground,
            Err(why) => {
                let failure = Failure::new(Cause::DefinitionInvalid, why);
                return self.fail_apart(asks, failure, turn);
            }
        };
        let (asks, needless) = fold::shed(asks, &ground);
        self.drop_needless(needless, turn);
        if let Some(retrying) = self.retrying_of(&asks).filter(|it| it.failed > self.settings.retries) {
            let last = retrying.last.clone();
            return self.fail_apart(asks, last, turn);
        }
        let mut passage = self.passage_for(asks, None, turn);
        let folded = fold::fold(passage.id.clone(), &self.target, &passage.asks, &ground);
        passage.attempts += 1;
        passage.looked_at = look.taken_at;
        passage.stage = Stage::Starting;
        passage.definition = folded.order.edits.is_empty().then(|| folded.order.base.clone());
        passage.images = folded.images.into_iter().collect();
        if self.settings.dry_run {
            return self.finish_dry(passage, turn);
        }
        turn.report(Report::Moved(Box::new(self.record(&passage))));
        turn.out.push(Command::Start(folded.order));
        self.phase = Phase::Starting(Box::new(passage), replaced);
    }

    /// These cannot be started, whatever becomes of the rest.
    fn fail_apart(&mut self, asks: Vec<Ask>, failure: Failure, turn: &mut Turn<'_>) {
        self.tell_beside(!self.waiting.is_empty(), |lane| {
            lane.fail_waiting(asks, Outcome::Failed, failure, None, turn);
        });
        self.rest(turn);
    }

    /// What a deployment is built on, or why it has nothing to start from.
    fn ground<'a>(&self, over: Option<&'a Rollout>, look: &'a Look) -> Result<Ground<'a>, String> {
        let wanted = look.wanted.as_ref().and_then(|wanted| wanted.as_ref().ok());
        let live: Option<&DefinitionView> = over.map(|rollout| &rollout.definition);
        // The newest revision may be the one that was rolled back from.
        let was_good = look.running.as_ref().filter(|_| self.holding.is_held()).map(|it| &it.definition);
        let kept = match &self.settings.base {
            Base::Running => live,
            Base::Latest(_) => was_good,
        };
        let base = match (kept, &look.base, wanted) {
            (Some(kept), _, _) => kept,
            (None, Ok(base), _) => base,
            (None, Err(_), Some(wanted)) => wanted,
            (None, Err(why), None) => return Err(why.clone()),
        };
        let running = live.or(look.running.as_ref().map(|running| &running.definition));
        let decided = over.filter(|_| kept.is_some()).and_then(|over| newer::decided_by_somebody(over, look));
        Ok(Ground { base, wanted, running, decided })
    }

    /// Whether a rollout could be started now at all.
    pub(super) fn can_start(&self, look: &Look, turn: &Turn<'_>) -> bool {
        turn.settings.start_after <= turn.now.moment && self.ground(None, look).is_ok()
    }

    /// What is remembered of earlier attempts at just this.
    pub(super) fn retrying_of(&self, asks: &[Ask]) -> Option<&Retrying> {
        self.retrying.as_ref().filter(|retrying| retrying.asked == fold::asked(asks))
    }

    /// The answer to a start.
    pub(super) fn started(&mut self, started: Result<Started, CallFailure>, turn: &mut Turn<'_>) {
        let (mut passage, replaced) = match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Starting(passage, replaced) => (passage, replaced),
            phase => return self.phase = phase,
        };
        let started = match started {
            Ok(started) => started,
            Err(failure) => return self.not_started(*passage, replaced, failure, turn),
        };
        if passage.going_back_to.is_some() {
            return self.started_back(passage, &started, turn);
        }
        if let Some(replaced) = replaced {
            self.let_go(&replaced, &passage, turn);
        }
        (self.retrying, self.went_back) = (None, None);
        self.remember_started(&started.id, &passage);
        passage.stage = Stage::Rollout;
        passage.rolls_out(&started.definition);
        passage.rollout = Some(started.id.clone());
        turn.report(Report::Moved(Box::new(self.record(&passage))));
        let (now, timeout) = (turn.now.moment, self.settings.timeout);
        let watch =
            Watch::new(started.id, started.created_at, now, timeout, Duration::ZERO, Tasks::default());
        self.phase = Phase::Watching(passage, watch);
    }

    /// What the superseded deployment carried is carried on, or was replaced by what superseded it.
    fn let_go(&self, replaced: &Replaced, passage: &Passage, turn: &mut Turn<'_>) {
        let is_carried = |ask: &Ask| passage.asks.iter().any(|it| it.lease == ask.lease);
        for ask in replaced.asks.iter().filter(|ask| !is_carried(ask)) {
            turn.ledger.settle(ask.lease, &self.target, SettledBy::Newer);
        }
        self.report_superseded(&replaced.passage, passage, turn);
    }

    fn not_started(
        &mut self,
        mut passage: Passage,
        replaced: Option<Box<Replaced>>,
        failure: CallFailure,
        turn: &mut Turn<'_>,
    ) {
        if let Some(replaced) = replaced {
            let Replaced { passage: old, asks } = *replaced;
            let is_old = |ask: &Ask| old.asks.iter().any(|it| it.lease == ask.lease);
            let (back, own) = asks.into_iter().partition(is_old);
            passage.asks = own;
            self.take_back(back, turn);
        }
        let CallFailure { cause, reason, remedy } = failure;
        let failure = match (passage.going_back_to.take(), passage.failure.take()) {
            (Some(to), Some(why)) => {
                Failure::new(why.cause, format!("{}; going back to {to} failed: {reason}", why.reason))
            }
            _ => Failure::new(cause, reason),
        };
        if remedy == Remedy::Wait {
            return self.crowded_out(passage, failure, turn);
        }
        let exhausted = passage.attempts > self.settings.retries;
        let looked_at = passage.looked_at;
        if remedy == Remedy::LookFirst {
            self.no_look_before = Some(turn.now.moment + retry::AFTER_LOST_ANSWER);
        }
        let delay = match remedy {
            Remedy::GiveUp | Remedy::Wait => {
                return self.finish_failed(passage, Outcome::Failed, failure, turn);
            }
            Remedy::Retry if exhausted => return self.finish_failed(passage, Outcome::Failed, failure, turn),
            Remedy::Retry => retry::delay(passage.attempts, turn.now.jitter),
            Remedy::LookFirst => retry::AFTER_LOST_ANSWER + retry::delay(passage.attempts, turn.now.jitter),
        };
        self.try_again(passage, failure, delay, turn);
        if let Some(retrying) = self.retrying.as_mut().filter(|_| remedy == Remedy::LookFirst) {
            retrying.lost_since = Some(looked_at);
        }
    }

    /// There are too many calls, ours or others', for this start to be made. That was no attempt: it is tried until its
    /// timeout has passed without any that could be made.
    fn crowded_out(&mut self, mut passage: Passage, failure: Failure, turn: &mut Turn<'_>) {
        let now = turn.now.moment;
        let (before, since) = passage.crowded.unwrap_or((0, now));
        if now.since(since) >= self.settings.timeout {
            return self.finish_failed(passage, Outcome::Failed, failure, turn);
        }
        passage.attempts = passage.attempts.saturating_sub(1);
        let times = before.saturating_add(1);
        self.try_again(passage, failure, retry::delay(times, turn.now.jitter), turn);
        if let Some(retrying) = &mut self.retrying {
            retrying.crowded = Some((times, since));
        }
    }

    /// The requests of an attempt that failed wait again, and what ECS shows then decides what is done.
    pub(super) fn try_again(
        &mut self,
        passage: Passage,
        failure: Failure,
        delay: Duration,
        turn: &mut Turn<'_>,
    ) {
        let attempts_left = (self.settings.retries + 1).saturating_sub(passage.attempts);
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        let reason = failure.reason.clone();
        let deployment = Box::new(self.record(&passage));
        turn.report(Report::Retrying { deployment, reason: reason.clone(), delay_ms, attempts_left });
        self.retrying = Some(passage.to_retry(passage.attempts, failure));
        self.wait_again_as(&passage.id);
        self.take_back(passage.asks, turn);
        if self.waiting.is_empty() { self.rest(turn) } else { self.pause(turn, delay, reason) }
    }

    /// Requests that were being deployed wait again. A newer one that came meanwhile may make them needless.
    pub(super) fn take_back(&mut self, asks: Vec<Ask>, turn: &mut Turn<'_>) {
        // What waited behind them may have been cancelled as the other deployment that it was.
        for ask in &mut self.waiting {
            ask.may_be_struck = true;
        }
        for ask in asks {
            if turn.ledger.holds(ask.lease) {
                let needless = fold::join(&mut self.waiting, ask, |flaw| turn.flawed(flaw));
                self.drop_needless(needless, turn);
            }
        }
    }
}

impl Passage {
    /// What it rolls out is known.
    pub(super) fn rolls_out(&mut self, definition: &DefinitionView) {
        self.registered = definition.marks.deployment.as_ref() == Some(&self.id);
        self.definition = Some(definition.id.clone());
    }

    /// What is remembered of it while it is tried again.
    pub(super) fn to_retry(&self, failed: u32, last: Failure) -> Retrying {
        Retrying {
            id: self.id.clone(),
            asked: fold::asked(&self.asks),
            failed,
            last,
            started_at: self.started_at,
            previous: self.previous.clone(),
            lost_since: None,
            crowded: None,
            replaced: None,
        }
    }
}
