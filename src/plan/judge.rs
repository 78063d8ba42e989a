//! How a rollout that is watched ended, if it has.

use std::time::Duration;

use crate::domain::{
    Cause, Change, Digest, Evidence, Failure, Look, Outcome, Refresh, Report, Rollout, RolloutState, Stage,
};

use super::{
    cancel, decide, diagnose, fold,
    fold::Ask,
    lane::{Lane, Passage, Phase, Replaced, Retrying, Turn},
    retry, settle,
    tagged::Pushed,
    watch::Watch,
};

impl Lane {
    /// Judges the rollout of a deployment by a whole look.
    pub(super) fn judge(&mut self, passage: Box<Passage>, watch: Watch, look: &Look, turn: &mut Turn<'_>) {
        if let Some(failure) = decide::gone(&self.target, look) {
            return self.finish_failed(*passage, Outcome::Failed, failure, turn);
        }
        if watch.undoes {
            return self.judge_way_back(passage, watch, look, turn);
        }
        match look.rollouts.iter().find(|rollout| rollout.id.is(&watch.rollout)) {
            Some(rollout) => self.judge_listed(passage, watch, rollout, look, turn),
            None => self.judge_unlisted(passage, watch, look, turn),
        }
    }

    fn judge_listed(
        &mut self,
        mut passage: Box<Passage>,
        mut watch: Watch,
        rollout: &Rollout,
        look: &Look,
        turn: &mut Turn<'_>,
    ) {
        watch.learn(rollout, turn.now.moment);
        passage.tasks = rollout.tasks;
        passage.rollout = Some(watch.rollout.clone());
        // What we stop because it makes no progress has a failure by then.
        if passage.cancelled.is_none()
            && passage.failure.is_none()
            && cancel::is_stopped_by_somebody(rollout, &self.settings)
        {
            passage.cancelled = Some(cancel::STOPPED.into());
        }
        if cancel::failed_by_itself(rollout) && passage.cancelled.take().is_some() {
            let reason = format!("{} had failed before it could be stopped", passage.id);
            cancel::tell_moot(&passage, reason, turn);
        }
        match rollout.state {
            RolloutState::Succeeded => self.judge_complete(*passage, &watch, rollout, look, turn),
            RolloutState::InProgress if passage.cancelled.is_some() && !watch.was_stopped => {
                self.stop_cancelled(passage, watch, rollout, look, turn);
            }
            RolloutState::InProgress | RolloutState::RollingBack if watch.overdue => {
                self.time_out(passage, watch, Some(rollout), look, turn);
            }
            RolloutState::InProgress => self.go_on(passage, watch, rollout, look, turn),
            RolloutState::RollingBack => self.watch_rollback(passage, watch, Some(rollout), look, turn),
            RolloutState::RolledBack => {
                self.fail_rollout(*passage, Outcome::RolledBack, Some(rollout), look, turn);
            }
            RolloutState::Failed | RolloutState::RollbackFailed => {
                self.fail_rollout(*passage, Outcome::Failed, Some(rollout), look, turn);
            }
            RolloutState::Stopped if successor(&watch, look).is_some() => self.replaced(*passage, look, turn),
            RolloutState::Stopped => self.fail_rollout(*passage, Outcome::Failed, Some(rollout), look, turn),
        }
    }

    /// ECS no longer lists it: a rollback, or a rollout in its place, tells what became of it.
    fn judge_unlisted(&mut self, passage: Box<Passage>, mut watch: Watch, look: &Look, turn: &mut Turn<'_>) {
        let runs = look.running.as_ref().map(|running| &running.definition.id);
        if look.going_back && watch.overdue {
            self.time_out(passage, watch, None, look, turn);
        } else if look.going_back {
            watch.going_back = true;
            self.watch_rollback(passage, watch, None, look, turn);
        } else if successor(&watch, look).is_some() {
            self.replaced(*passage, look, turn);
        } else if !watch.going_back && watch.may_be_unlisted(turn.now.moment) {
            self.keep_watching(passage, watch, turn);
        } else if watch.going_back || (runs.is_some() && runs != passage.definition.as_ref()) {
            self.fail_rollout(*passage, Outcome::RolledBack, None, look, turn);
        } else {
            self.fail_rollout(*passage, Outcome::Failed, None, look, turn);
        }
    }

    /// It is complete: a success if it is still what the service has.
    fn judge_complete(
        &mut self,
        passage: Passage,
        watch: &Watch,
        rollout: &Rollout,
        look: &Look,
        turn: &mut Turn<'_>,
    ) {
        let rolled_out = &rollout.definition.id;
        if let Some(asked) = passage.definition.as_ref().filter(|asked| *asked != rolled_out) {
            let failure = Failure::new(Cause::Unknown, format!("ECS rolled out {rolled_out}, not {asked}"));
            return self.finish_failed(passage, Outcome::Failed, failure, turn);
        }
        match successor(watch, look).filter(|_| !rollout.primary) {
            None => self.finish_succeeded(passage, rollout, turn),
            Some(newer) => self.finish_outlived(passage, newer, turn),
        }
    }

    fn keep_watching(&mut self, passage: Box<Passage>, mut watch: Watch, turn: &Turn<'_>) {
        watch.rest(turn.now.moment, turn.spacing);
        self.phase = Phase::Watching(passage, watch);
    }

    /// It is in progress: something newer that waits may take its place, with all that it carries.
    pub(super) fn go_on(
        &mut self,
        passage: Box<Passage>,
        mut watch: Watch,
        rollout: &Rollout,
        look: &Look,
        turn: &mut Turn<'_>,
    ) {
        let may = self.is_ready() && self.may_supersede(&watch) && self.can_start(look, turn);
        let newer = if may { self.needed_now(look, turn) } else { None };
        watch.spared = newer.as_ref().is_some_and(Vec::is_empty);
        let Some(newer) = newer.filter(|newer| !newer.is_empty()) else {
            return self.keep_watching(passage, watch, turn);
        };
        let is_lost = |ask: &Ask| ask.request.change.is_content() && !turn.ledger.holds(ask.lease);
        if watch.is_failing() && passage.asks.iter().any(is_lost) && decide::leaves_behind(&watch, &newer) {
            self.take_back(newer, turn);
            watch.spared = true;
            return self.keep_watching(passage, watch, turn);
        }
        let carried = passage.asks.iter().filter(|ask| turn.ledger.holds(ask.lease)).cloned();
        let asks: Vec<Ask> = carried.chain(newer).collect();
        let folded = fold::merged(asks.clone(), |flaw| turn.flawed(flaw));
        let replaced = Box::new(Replaced { passage: *passage, asks });
        let over = (!watch.is_failing()).then_some(rollout);
        self.start(folded, Some(replaced), over, look, turn);
    }

    fn watch_rollback(
        &mut self,
        mut passage: Box<Passage>,
        watch: Watch,
        rollout: Option<&Rollout>,
        look: &Look,
        turn: &mut Turn<'_>,
    ) {
        if passage.failure.is_none() {
            let (failure, evidence) = self.seen(&passage, rollout, look);
            passage.failure = Some(failure);
            passage.evidence = evidence;
        }
        if passage.stage != Stage::RollingBack {
            passage.stage = Stage::RollingBack;
            turn.report(Report::Moved(Box::new(self.record(&passage))));
        }
        self.keep_watching(passage, watch, turn);
    }

    /// A rollout that goes on is undone if that is asked for; one that is being undone, and is stuck, is given up on.
    fn time_out(
        &mut self,
        mut passage: Box<Passage>,
        watch: Watch,
        rollout: Option<&Rollout>,
        look: &Look,
        turn: &mut Turn<'_>,
    ) {
        let (failure, evidence) = seen(&passage, rollout, look);
        let timeout = in_words(self.settings.timeout);
        let reason = format!("no progress for {timeout}: {}; last: {}", watch.how_far(), failure.reason);
        let goes_on = rollout.is_some_and(|it| it.state == RolloutState::InProgress);
        let failure = match passage.failure.take() {
            // It was to be stopped before, and this says why it could not be.
            Some(told) if goes_on && told.cause == Cause::Timeout => told,
            Some(_) | None => Failure::new(Cause::Timeout, reason),
        };
        passage.evidence = evidence;
        let undone = match (goes_on, watch.cannot_stop) {
            (true, false) => self.undo_stuck(passage, watch, failure, look, turn),
            (true, true) => self.undo_by_rollout(passage, failure, Some(&watch), look, turn),
            (false, _) => Err((passage, failure)),
        };
        if let Err((passage, failure)) = undone {
            self.finish_failed(*passage, Outcome::Failed, failure, turn);
        }
    }

    /// A rollout that failed for want of capacity is tried again; every other failure is final.
    fn fail_rollout(
        &mut self,
        mut passage: Passage,
        outcome: Outcome,
        rollout: Option<&Rollout>,
        look: &Look,
        turn: &mut Turn<'_>,
    ) {
        let (failure, evidence) = self.seen(&passage, rollout, look);
        let failure = passage.failure.take().filter(|it| it.cause != Cause::Unknown).unwrap_or(failure);
        if passage.evidence.stopped_tasks.is_empty() {
            passage.evidence = evidence;
        }
        let is_final = passage.adopted.is_some() || passage.cancelled.is_some();
        if failure.cause == Cause::Placement && passage.attempts <= self.settings.retries && !is_final {
            // What somebody has started since then may carry it.
            let since = rollout.map_or(look.taken_at, |failed| failed.created_at + Duration::from_millis(1));
            for ask in &mut passage.asks {
                ask.request.floor = since;
            }
            let delay = retry::delay(passage.attempts, turn.now.jitter);
            return self.try_again(passage, failure, delay, turn);
        }
        let Some(left) = rollout.filter(|it| it.state == RolloutState::Failed) else {
            return self.finish_failed(passage, outcome, failure, turn);
        };
        if let Err((passage, failure)) = self.undo_failed(Box::new(passage), failure, left, look, turn) {
            self.finish_failed(*passage, outcome, failure, turn);
        }
    }

    /// Why it failed, and what was seen of that.
    fn seen(&self, passage: &Passage, rollout: Option<&Rollout>, look: &Look) -> (Failure, Evidence) {
        let (failure, evidence) = seen(passage, rollout, look);
        match rollout {
            Some(rollout) => (cancel::failed_for(rollout, failure, &self.settings), evidence),
            None => (failure, evidence),
        }
    }

    /// Another rollout took its place: the one rule decides what is left of what it carried.
    fn replaced(&mut self, passage: Passage, look: &Look, turn: &mut Turn<'_>) {
        if let Some(why) = passage.cancelled {
            let reason = format!("{why}; another rollout took its place");
            self.cancel_as(passage.id, &passage.asks, reason, turn);
            return self.decide(look, false, None, turn);
        }
        let why = Failure::new(Cause::Unknown, "another rollout took its place");
        let retrying = passage.to_retry(passage.attempts.saturating_sub(1), why);
        self.retrying = Some(Retrying { replaced: Some(passage.begun()), ..retrying });
        self.wait_again_as(&passage.id);
        self.take_back(passage.asks, turn);
        self.decide(look, false, None, turn);
    }
}

pub(super) fn in_words(length: Duration) -> String {
    match length.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

/// What was seen of a failure that may no longer be listed.
fn seen(passage: &Passage, rollout: Option<&Rollout>, look: &Look) -> (Failure, Evidence) {
    let Some(rollout) = rollout else {
        let reason = match (&look.running, &passage.definition) {
            (Some(running), Some(ours)) => {
                format!("{ours} is no longer rolled out, and {} runs", running.definition.id)
            }
            _ => "ECS no longer lists the rollout".into(),
        };
        let own = passage.rollout.as_ref().and_then(|rollout| rollout.deployment.as_ref());
        let evidence = Evidence {
            stopped_tasks: diagnose::stopped_tasks(own, look),
            service_events: look.events.iter().map(|event| event.message.clone()).take(5).collect(),
        };
        let by_task = diagnose::by_evidence(&evidence);
        return (by_task.unwrap_or_else(|| Failure::new(Cause::Unknown, reason)), evidence);
    };
    let evidence = diagnose::evidence(rollout, look);
    (diagnose::failure(rollout, &evidence), evidence)
}

/// The newest rollout that was created after the one that is watched.
fn successor<'a>(watch: &Watch, look: &'a Look) -> Option<&'a Rollout> {
    look.rollouts
        .iter()
        .find(|rollout| rollout.created_at > watch.created_at && !rollout.id.is(&watch.rollout))
}

/// Why what a complete rollout was asked for is not what it runs, because each tag had moved on when it was read.
pub(super) fn outrun(asks: &[Ask], rollout: &Rollout) -> Option<String> {
    let why = |ask: &Ask| {
        let source = match &ask.request.change {
            Change::Image(image) => &image.source,
            Change::Refresh(Refresh::Image(followed)) => &followed.source,
            Change::Refresh(Refresh::Restart) | Change::Definition(_) => return None,
        };
        Pushed::of(&ask.request)?.outrun_by(rollout, &settle::containers(source, &rollout.definition))
    };
    let all: Option<Vec<String>> = asks.iter().map(why).collect();
    all.and_then(|all| all.into_iter().next_back())
}

/// What a success is to say about the digests that were asked for: only what is known to differ, or not known at all. What a
/// definition names by its digest is what runs.
pub(super) fn unverified(asks: &[Ask], rollout: &Rollout) -> Option<String> {
    let asked = asks.iter().filter_map(|ask| match &ask.request.change {
        Change::Image(image) => image.digest.as_ref().map(|digest| (&image.source, digest)),
        Change::Refresh(Refresh::Image(followed)) => {
            followed.digest.as_ref().map(|digest| (&followed.source, digest))
        }
        Change::Refresh(Refresh::Restart) | Change::Definition(_) => None,
    });
    for (source, digest) in asked {
        for container in settle::containers(source, &rollout.definition) {
            let named = rollout.definition.images.get(&container).and_then(|image| image.digest.as_ref());
            match rollout.digests.get(&container).or(named) {
                Some(runs) if runs == digest => {}
                Some(_) if let Some(named) = named.filter(|named| *named != digest) => {
                    return Some(format!("its definition names {named}, and not {digest}, which was pushed"));
                }
                Some(runs) => return Some(differs(runs, digest)),
                None => return Some(format!("digest unverified: ECS does not say what {container} runs")),
            }
        }
    }
    None
}

fn differs(runs: &Digest, pushed: &Digest) -> String {
    format!(
        "digest unverified: {runs} runs, {pushed} was pushed; it may be a child of that index, or the tag has moved on"
    )
}
