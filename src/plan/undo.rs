//! Going back from a rollout that failed, where ECS does not do so by itself.
//!
//! While it is in progress, ECS is told to stop it and go back: the rollout then shows that it is being undone, as with a
//! circuit breaker. One that has ended is undone by rolling out what last was good, with the images that ran: where the
//! failed one had the same definition, whose tag had moved on, a revision that names their digests is registered, and
//! marked with the tag that it goes on following.
//!
//! As everywhere, what ECS shows decides: a rollout of what last was complete, created next after one that failed, is its
//! rollback, whoever started it.

use std::{collections::BTreeMap, time::Duration};

use crate::domain::{
    CallFailure, Cause, ContainerName, Failure, ImageReference, Look, Outcome, Remedy, Report, Rollout,
    RolloutState, Running, Stage, StartOrder, StopOrder, Tag, Tasks,
};

use super::{
    Command, Flaw, diagnose,
    fold::Ask,
    lane::{Lane, Passage, Phase, Turn},
    newer,
    settle::Verdict,
    watch::Watch,
};

/// What is rolled out to go back.
#[derive(Clone, Debug, PartialEq, Eq)]
struct WayBack {
    order: StartOrder,
    shown: String,
}

/// The rollback of a rollout that failed, if there was one: the next rollout, of what was good before.
pub(super) fn undone_by<'a>(failed: &Rollout, look: &'a Look) -> Option<&'a Rollout> {
    let newer = look.rollouts.iter().filter(|it| it.created_at > failed.created_at);
    newer.min_by_key(|it| it.created_at).filter(|next| undoes(next, failed, look))
}

/// Whether this rollout in progress undoes the one before it.
pub(super) fn is_rollback(live: &Rollout, look: &Look) -> bool {
    let before = look.rollouts.iter().find(|it| it.created_at < live.created_at);
    before.is_some_and(|it| it.state == RolloutState::Failed && undoes(live, it, look))
}

fn is_newest(rollout: &Rollout, look: &Look) -> bool {
    look.rollouts.iter().all(|it| it.created_at <= rollout.created_at)
}

/// What the failed one had taken the place of may itself never have been complete: what last was decides.
fn undoes(next: &Rollout, failed: &Rollout, look: &Look) -> bool {
    let older = |it: &&Rollout| it.created_at <= failed.created_at;
    let was = match &look.running {
        Some(running) if next.state.is_live() => Some(&running.definition),
        _ => newer::last_complete(look.rollouts.iter().filter(older)),
    };
    let is_what_was = was.is_some_and(|was| was.id == next.definition.id && was.id != failed.definition.id);
    let is_pinned = !next.definition.marks.follows.is_empty()
        && failed.definition.marks.follows != next.definition.marks.follows
        && next.definition.id != failed.definition.id;
    is_what_was || is_pinned
}

impl Lane {
    /// Whether the failure of a rollout is ours to undo; `stuck` is that rollout where it has not ended.
    fn is_to_undo(&self, stuck: Option<&Watch>, look: &Look, turn: &Turn<'_>) -> bool {
        self.settings.rollback && !self.settings.dry_run && !self.has_something_to_start(stuck, look, turn)
    }

    /// Whether something newer waits that is started right away: the fix does not queue behind what it fixes. What has to
    /// queue all the same, by the settings or for its place in a wave, is started once this is undone.
    fn has_something_to_start(&self, stuck: Option<&Watch>, look: &Look, turn: &Turn<'_>) -> bool {
        let is_started = |(ask, verdict): (&Ask, &Verdict)| {
            *verdict == Verdict::Needed
                && self.kept_back(ask).is_none()
                && turn.waves.lets(&ask.request.origin.event_id, self)
        };
        self.is_ready()
            && self.is_looked_for()
            && stuck.is_none_or(|watch| self.may_supersede(watch))
            && self.waiting.iter().zip(&self.verdicts(look, turn)).any(is_started)
    }

    /// No progress for too long: ECS is told to stop it and go back, or what was good is rolled out over it.
    /// Gives the passage back where nothing is to be undone.
    pub(super) fn undo_stuck(
        &mut self,
        mut passage: Box<Passage>,
        mut watch: Watch,
        failure: Failure,
        look: &Look,
        turn: &mut Turn<'_>,
    ) -> Result<(), (Box<Passage>, Failure)> {
        if !self.is_to_undo(Some(&watch), look, turn) {
            return Err((passage, failure));
        }
        let Some(arn) = watch.rollout.service_deployment.clone() else {
            return self.undo_by_rollout(passage, failure, Some(&watch), look, turn);
        };
        passage.failure = Some(failure);
        passage.stage = Stage::RollingBack;
        turn.report(Report::Moved(Box::new(self.record(&passage))));
        turn.out.push(Command::Stop(StopOrder { target: self.target.clone(), rollout: arn }));
        watch.stopping();
        self.phase = Phase::Watching(passage, watch);
        Ok(())
    }

    /// The answer to [`Command::Stop`]. Whatever it is, the next look tells what ECS makes of the rollout.
    pub(super) fn stopped(&mut self, stopped: Result<(), CallFailure>, turn: &mut Turn<'_>) {
        let (now, spacing) = (turn.now.moment, turn.spacing);
        let Phase::Watching(passage, watch) = &mut self.phase else { return };
        if !watch.is_stopping() {
            return;
        }
        watch.rest(now, spacing);
        match stopped {
            Ok(()) => {
                watch.was_stopped = passage.cancelled.is_some();
                watch.going_back = true;
                watch.overdue = false;
                watch.progressed(now);
            }
            Err(CallFailure { reason, remedy, .. }) => {
                watch.cannot_stop |= remedy == Remedy::GiveUp;
                let failure = passage.failure.get_or_insert_with(|| Failure::new(Cause::Timeout, ""));
                if !failure.reason.contains(&reason) {
                    failure.reason = format!("{}; it could not be stopped: {reason}", failure.reason);
                }
            }
        }
    }

    /// It failed, and ECS leaves it at that. What somebody has rolled out since is not ours to replace.
    /// Gives the passage back where nothing is to be undone.
    pub(super) fn undo_failed(
        &mut self,
        mut passage: Box<Passage>,
        failure: Failure,
        failed: &Rollout,
        look: &Look,
        turn: &mut Turn<'_>,
    ) -> Result<(), (Box<Passage>, Failure)> {
        if is_newest(failed, look) || turn.flawed(Flaw::UndoneOverOthers) {
            return self.undo_by_rollout(passage, failure, None, look, turn);
        }
        let Some(rollback) = undone_by(failed, look) else { return Err((passage, failure)) };
        passage.failure = Some(failure);
        match rollback.state {
            RolloutState::InProgress => self.watch_undoing(passage, rollback, look, turn),
            RolloutState::Succeeded => {
                passage.going_back_to = Some(rollback.definition.id.to_string());
                self.finish_undone(*passage, None, turn);
            }
            RolloutState::Failed
            | RolloutState::RollingBack
            | RolloutState::RolledBack
            | RolloutState::RollbackFailed
            | RolloutState::Stopped => {
                let failure = passage.failure.take().expect("it was put there");
                return Err((passage, failure));
            }
        }
        Ok(())
    }

    /// The rollback of a deployment that failed is in progress, whoever started it: its end is the deployment's.
    fn watch_undoing(
        &mut self,
        mut passage: Box<Passage>,
        rollback: &Rollout,
        look: &Look,
        turn: &mut Turn<'_>,
    ) {
        passage.going_back_to = Some(rollback.definition.id.to_string());
        passage.stage = Stage::RollingBack;
        turn.report(Report::Moved(Box::new(self.record(&passage))));
        let mut watch = self.watch_of(rollback, look, turn);
        watch.undoes = true;
        self.phase = Phase::Watching(passage, watch);
    }

    /// Rolls out what last was good, over what is stuck, if it has not ended. Gives the passage back where there is nothing to
    /// go back to.
    pub(super) fn undo_by_rollout(
        &mut self,
        mut passage: Box<Passage>,
        mut failure: Failure,
        stuck: Option<&Watch>,
        look: &Look,
        turn: &mut Turn<'_>,
    ) -> Result<(), (Box<Passage>, Failure)> {
        let is_cancelled = passage.cancelled.is_some() && !self.settings.dry_run;
        if !is_cancelled && !self.is_to_undo(stuck, look, turn) {
            return Err((passage, failure));
        }
        let Some(WayBack { order, shown }) = self.way_back(&passage, look) else {
            failure.reason = format!("{}; there is nothing to go back to", failure.reason);
            return Err((passage, failure));
        };
        passage.attempts += 1;
        passage.stage = Stage::RollingBack;
        passage.looked_at = look.taken_at;
        passage.going_back_to = Some(shown);
        passage.failure = Some(failure);
        turn.report(Report::Moved(Box::new(self.record(&passage))));
        turn.out.push(Command::Start(order));
        self.phase = Phase::Starting(passage, None);
        Ok(())
    }

    /// What last was good, with the images that ran; `None` where that is what failed.
    fn way_back(&self, passage: &Passage, look: &Look) -> Option<WayBack> {
        let good = look.running.as_ref()?;
        let failed =
            look.rollouts.iter().find(|it| passage.rollout.as_ref().is_some_and(|rollout| it.id.is(rollout)));
        let definition = failed.map(|it| &it.definition.id).or(passage.definition.as_ref());
        let mut marks = good.definition.marks.clone();
        let mut edits = BTreeMap::new();
        if definition == Some(&good.definition.id) {
            for (container, image, tag) in moved_on(good, failed) {
                marks.follows.insert(container.clone(), tag);
                edits.insert(container, image);
            }
            if edits.is_empty() {
                return None;
            }
            marks.deployment = Some(passage.id.clone());
            marks.target = Some(self.target.clone());
        }
        let pinned: Vec<String> = edits.iter().map(|(name, image)| format!("{name}={image}")).collect();
        let with = if pinned.is_empty() { String::new() } else { format!(" with {}", pinned.join(", ")) };
        let base = good.definition.id.clone();
        let shown = format!("{base}{with}");
        Some(WayBack { order: StartOrder { target: self.target.clone(), base, edits, marks }, shown })
    }

    /// A rollout that failed while nobody watched is undone, or its rollback is watched, before it is told.
    /// Tells whether the lane is now about that.
    pub(super) fn undo_unwatched(&mut self, verdicts: &[Verdict], look: &Look, turn: &mut Turn<'_>) -> bool {
        let failed = verdicts.iter().find_map(|verdict| match verdict {
            Verdict::Failed(rollout) if rollout.state == RolloutState::Failed => Some(rollout),
            _ => None,
        });
        let Some(failed) = failed else { return false };
        let by = undone_by(failed, look).filter(|it| it.state == RolloutState::InProgress);
        if by.is_none() && !(is_newest(failed, look) && self.is_to_undo(None, look, turn)) {
            return false;
        }
        let passage = Box::new(self.passage_of_failed(failed, verdicts, look, turn));
        match by {
            Some(rollback) => self.watch_undoing(passage, rollback, look, turn),
            None => self.undo_at_last(passage, look, turn),
        }
        true
    }

    /// Begins the way back, unless that failed too often already.
    fn undo_at_last(&mut self, mut passage: Box<Passage>, look: &Look, turn: &mut Turn<'_>) {
        let failure = passage.failure.take().expect("a failed passage has its failure");
        let undone = if passage.attempts > self.settings.retries {
            // Where the answer to the last start was lost, this is what became of it, and says why itself.
            let failed =
                look.rollouts.iter().find(|it| passage.rollout.as_ref().is_some_and(|id| it.id.is(id)));
            let is_its_end = |since| failed.is_some_and(|it| it.created_at >= since);
            let retrying =
                self.retrying_of(&passage.asks).filter(|it| !it.lost_since.is_some_and(is_its_end));
            let last = retrying.map(|it| it.last.clone());
            Err((passage, last.unwrap_or(failure)))
        } else {
            self.undo_by_rollout(passage, failure, None, look, turn)
        };
        if let Err((passage, failure)) = undone {
            self.finish_failed(*passage, Outcome::Failed, failure, turn);
        }
    }

    /// The deployment whose carrier failed, with what waits for it taken from the waiting.
    fn passage_of_failed(
        &mut self,
        failed: &Rollout,
        verdicts: &[Verdict],
        look: &Look,
        turn: &Turn<'_>,
    ) -> Passage {
        let is_its = |verdict: &Verdict| matches!(verdict, Verdict::Failed(it) if it.id == failed.id);
        let (its, others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.waiting).into_iter().zip(verdicts).partition(|(_, it)| is_its(it));
        let asks = |some: Vec<(Ask, &Verdict)>| some.into_iter().map(|(ask, _)| ask).collect::<Vec<_>>();
        self.waiting = asks(others);
        let its = asks(its);
        let known = self.id_by_marks(failed, &its);
        let mut passage = self.passage_for(its, known, turn);
        passage.is_carried_by(failed, &self.target);
        passage.evidence = diagnose::evidence(failed, look);
        passage.failure = Some(diagnose::failure(failed, &passage.evidence));
        passage
    }

    /// Judges the rollout by which we go back.
    pub(super) fn judge_way_back(
        &mut self,
        passage: Box<Passage>,
        mut watch: Watch,
        look: &Look,
        turn: &mut Turn<'_>,
    ) {
        let rollback = look.rollouts.iter().find(|rollout| rollout.id.is(&watch.rollout));
        let now = turn.now.moment;
        let state = match rollback {
            Some(rollback) => {
                watch.learn(rollback, now);
                rollback.state
            }
            None if watch.may_be_unlisted(now) => RolloutState::InProgress,
            None => RolloutState::Stopped,
        };
        match state {
            RolloutState::Succeeded => self.finish_undone(*passage, None, turn),
            RolloutState::InProgress | RolloutState::RollingBack if !watch.overdue => {
                watch.rest(now, turn.spacing);
                self.phase = Phase::Watching(passage, watch);
            }
            RolloutState::InProgress | RolloutState::RollingBack => {
                self.finish_undone(*passage, Some("that makes no progress"), turn);
            }
            RolloutState::Failed | RolloutState::RolledBack | RolloutState::RollbackFailed => {
                self.finish_undone(*passage, Some("that failed too"), turn);
            }
            RolloutState::Stopped => {
                self.finish_undone(*passage, Some("another rollout took its place"), turn);
            }
        }
    }

    /// The end of a deployment that failed and was undone, or was not.
    pub(super) fn finish_undone(&mut self, mut passage: Passage, wrong: Option<&str>, turn: &mut Turn<'_>) {
        let mut failure =
            passage.failure.take().unwrap_or_else(|| Failure::new(Cause::Unknown, "ECS gave no reason"));
        let to = passage.going_back_to.take().unwrap_or_else(|| "what was there before".into());
        let (outcome, end) = match wrong {
            None => (Outcome::RolledBack, format!("rolled back to {to}")),
            Some(wrong) => (Outcome::Failed, format!("it was being rolled back to {to}: {wrong}")),
        };
        failure.reason = format!("{}; {end}", failure.reason);
        self.finish_failed(passage, outcome, failure, turn);
    }

    /// The way back has begun.
    pub(super) fn started_back(
        &mut self,
        passage: Box<Passage>,
        started: &crate::domain::Started,
        turn: &Turn<'_>,
    ) {
        let (now, timeout) = (turn.now.moment, self.settings.timeout);
        let mut watch = Watch::new(
            started.id.clone(),
            started.created_at,
            now,
            timeout,
            Duration::ZERO,
            Tasks::default(),
        );
        watch.undoes = true;
        self.went_back = Some(started.id.clone());
        self.phase = Phase::Watching(passage, watch);
    }

    /// Where we went back ourselves nobody has decided anything: what waits is not outdone by it.
    pub(super) fn own_way_back(&self, look: &mut Look) {
        let is_ours = |it: &&mut Rollout| self.went_back.as_ref().is_some_and(|back| it.id.is(back));
        if let Some(back) = look.rollouts.iter_mut().find(is_ours) {
            back.previous = Some(back.definition.clone());
        }
    }
}

/// The containers whose tag means another image by now, with the image that ran and the tag.
fn moved_on<'a>(
    good: &'a Running,
    failed: Option<&'a Rollout>,
) -> impl Iterator<Item = (ContainerName, ImageReference, Tag)> + 'a {
    good.definition.images.iter().filter_map(move |(container, image)| {
        let ran = good.digests.get(container)?;
        let pulled = failed.and_then(|it| it.digests.get(container));
        let tag = good.definition.followed_tag(container).filter(|_| image.digest.is_none())?;
        (pulled != Some(ran)).then(|| (container.clone(), image.with_digest(ran.clone()), tag))
    })
}
