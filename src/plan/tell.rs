//! The ends of deployments, and what is shown of lanes: records for people, made of the state, decided by nobody.

use std::{collections::BTreeSet, sync::Arc};

use crate::domain::{
    Adopted, Cause, Change, ContainerName, DefinitionId, DeploymentId, DeploymentRecord, Evidence, Failure,
    ImageReference, KnownFrom, LaneRecord, LaneState, Origin, Outcome, Refresh, Report, Rollout,
    RunningImage, RunningRecord, SettledBy, Stage, TargetId, TargetRecord, Tasks, Timestamp,
};

use super::{
    DeadLetter, End, Flaw, Planner, cancel,
    decide::Unseen,
    fold,
    fold::Ask,
    judge,
    lane::{Begun, Lane, Passage, Phase, Turn},
};

/// How many reasons one record lists.
const MOST_TRIGGERS: usize = 100;

impl Lane {
    pub(super) fn finish_succeeded(&mut self, passage: Passage, rollout: &Rollout, turn: &mut Turn<'_>) {
        let adopted = passage.adopted.map(taken_over);
        self.tell_succeeded(&passage, rollout, (adopted, turn.now.wall), turn);
        self.retrying = None;
        self.rest(turn);
    }

    fn tell_succeeded(
        &mut self,
        passage: &Passage,
        rollout: &Rollout,
        (how, ended): (Option<&str>, Timestamp),
        turn: &mut Turn<'_>,
    ) {
        self.succeeded = Some(passage.id.clone());
        let mut record = self.record(passage);
        (record.cause, record.cancelled) = (None, false);
        record.finished_at = Some(ended);
        record.images = rolled_out(rollout);
        let Tasks { running, desired, .. } = rollout.tasks;
        let count = if desired == 0 { "0 tasks".into() } else { format!("{running} of {desired} tasks run") };
        let outrun = judge::outrun(&passage.asks, rollout);
        let outcome = if outrun.is_some() { Outcome::Superseded } else { Outcome::Succeeded };
        let digests = outrun.or_else(|| judge::unverified(&passage.asks, rollout));
        let late = passage
            .cancelled
            .as_ref()
            .map(|why| format!("it was complete before it could be stopped ({why})"));
        let parts = [Some(count), how.map(str::to_owned), digests, late];
        record.reason = Some(parts.into_iter().flatten().collect::<Vec<_>>().join("; "));
        for ask in &passage.asks {
            turn.ledger.settle(ask.lease, &self.target, SettledBy::Reality);
        }
        tell_finished(record, outcome, &passage.asks, turn);
    }

    pub(super) fn finish_failed(
        &mut self,
        passage: Passage,
        outcome: Outcome,
        failure: Failure,
        turn: &mut Turn<'_>,
    ) {
        let mut record = self.record(&passage);
        let (outcome, cause, reason) = match &passage.cancelled {
            Some(cancelled) => cancel::end(cancelled, outcome, failure),
            None => (outcome, Some(failure.cause), failure.reason),
        };
        (record.cause, record.reason) = (cause, Some(reason));
        self.set_aside(&passage.asks, outcome, &record, turn);
        self.finish(record, outcome, &passage.asks, turn);
    }

    pub(super) fn finish_dry(&mut self, passage: Passage, turn: &mut Turn<'_>) {
        let mut record = self.record(&passage);
        let images: Vec<String> =
            passage.images.iter().map(|(name, image)| format!("{name}={image}")).collect();
        let revision = passage.definition.as_ref().map_or("a new revision".into(), ToString::to_string);
        record.reason =
            Some(format!("a rollout of {revision} would have been started with {}", images.join(", ")));
        for ask in &passage.asks {
            turn.ledger.settle(ask.lease, &self.target, SettledBy::DryRun);
        }
        self.finish(record, Outcome::DryRun, &passage.asks, turn);
    }

    /// Requests that need no rollout end as one deployment that started none. `found` is the rollout that may have been begun
    /// for them, and was complete before this process saw it.
    pub(super) fn settle_waiting(
        &mut self,
        asks: Vec<Ask>,
        outcome: Outcome,
        (reason, found): (String, Option<&Rollout>),
        turn: &mut Turn<'_>,
    ) {
        let mut record = self.waiting_record(&asks);
        record.reason = Some(reason);
        record.definition = self.running.as_ref().map(|running| running.definition.id.clone());
        if let Some(rollout) = found {
            record.adopted = Some(Adopted::Unknown);
            record.attempts = record.attempts.max(1);
            record.started_at = Some(rollout.created_at);
            record.finished_at = Some(rollout.updated_at.max(rollout.created_at));
            record.previous_definition = rollout.previous.as_ref().map(|previous| previous.id.clone());
            record.rollout_id = rollout.id.shown().cloned();
            record.rollout = Some(rollout.id.clone());
        }
        if outcome == Outcome::Superseded
            && let Some(replaced) = self.retrying_of(&asks).and_then(|it| it.replaced.clone())
        {
            replaced.fill_in(&mut record);
        }
        for ask in &asks {
            turn.ledger.settle(ask.lease, &self.target, SettledBy::Reality);
        }
        tell_finished(record, outcome, &asks, turn);
    }

    /// Requests turn out to have been started by us, and to be done, in a way that was not seen. In words: why not.
    pub(super) fn settle_unseen(&mut self, asks: Vec<Ask>, done: Unseen<'_>, turn: &mut Turn<'_>) {
        let Unseen { rollout, id, why } = done;
        let mut passage = self.passage_as(id, asks, turn);
        passage.is_carried_by(rollout, &self.target);
        let ended = rollout.updated_at.max(passage.started_at);
        self.tell_succeeded(&passage, rollout, (Some(why), ended), turn);
    }

    /// Requests that cannot be met, or whose carrier failed, end as one deployment that failed.
    pub(super) fn fail_waiting(
        &mut self,
        asks: Vec<Ask>,
        outcome: Outcome,
        failure: Failure,
        seen: Option<(Evidence, Rollout)>,
        turn: &mut Turn<'_>,
    ) {
        self.fail_as(None, asks, outcome, failure, seen, turn);
    }

    /// The same, under an id that is known.
    pub(super) fn fail_as(
        &mut self,
        known: Option<DeploymentId>,
        asks: Vec<Ask>,
        outcome: Outcome,
        failure: Failure,
        seen: Option<(Evidence, Rollout)>,
        turn: &mut Turn<'_>,
    ) {
        if asks.is_empty() {
            return;
        }
        let id = known.unwrap_or_else(|| self.id_of(&asks));
        let is_stopped =
            |(_, rollout): &(_, Rollout)| cancel::is_stopped_by_somebody(rollout, &self.settings);
        let stopped = seen.as_ref().is_some_and(is_stopped).then_some(cancel::STOPPED);
        let by_itself = seen.as_ref().is_some_and(|(_, rollout)| cancel::failed_by_itself(rollout));
        let failure = match &seen {
            Some((_, rollout)) => cancel::failed_for(rollout, failure, &self.settings),
            None => failure,
        };
        let mut record = match seen {
            Some((evidence, rollout)) => self.record_of_unseen(id, &asks, evidence, &rollout, turn),
            None => DeploymentRecord { id, ..self.waiting_record(&asks) },
        };
        let cancelled = Ask::struck(&asks).or(stopped).filter(|_| !by_itself);
        record.cancelled = cancelled.is_some();
        let (outcome, cause, reason) = match cancelled {
            Some(cancelled) => cancel::end(cancelled, outcome, failure),
            None => (outcome, Some(failure.cause), failure.reason),
        };
        (record.cause, record.reason) = (cause, Some(reason));
        self.set_aside(&asks, outcome, &record, turn);
        tell_finished(record, outcome, &asks, turn);
    }

    /// The record of requests whose carrier ended while nobody watched it.
    fn record_of_unseen(
        &self,
        id: DeploymentId,
        asks: &[Ask],
        evidence: Evidence,
        rollout: &Rollout,
        turn: &Turn<'_>,
    ) -> DeploymentRecord {
        let mut passage = self.passage_as(id, asks.to_vec(), turn);
        passage.is_carried_by(rollout, &self.target);
        passage.evidence = evidence;
        let finished_at = passage.adopted.map(|_| rollout.updated_at.max(rollout.created_at));
        DeploymentRecord { finished_at, images: rolled_out(rollout), ..self.record(&passage) }
    }

    /// A rollout of ours was complete, and somebody's has taken its place before that could be said.
    pub(super) fn finish_outlived(&mut self, passage: Passage, newer: &Rollout, turn: &mut Turn<'_>) {
        let mut record = self.record(&passage);
        let by = newer.id.shown().map_or("a rollout", |id| id.as_str());
        record.reason = Some(format!("it was complete, and {by} has taken its place since"));
        for ask in &passage.asks {
            turn.ledger.settle(ask.lease, &self.target, SettledBy::Reality);
        }
        self.finish(record, Outcome::Superseded, &passage.asks, turn);
    }

    /// Something waits behind a rollout that makes no progress.
    pub(super) fn tell_that_it_is_stuck(&self, turn: &mut Turn<'_>) {
        if let Some(record) = self.active_record().filter(|record| record.stage == Stage::Waiting) {
            turn.report(Report::Moved(Box::new(record)));
        }
    }

    /// A rollout of ours was superseded by one of ours, which carries on what it carried.
    pub(super) fn report_superseded(&self, old: &Passage, new: &Passage, turn: &mut Turn<'_>) {
        let mut record = self.record(old);
        record.reason = Some(format!("{} took its place, and carries what it carried", new.id));
        tell_finished(record, Outcome::Superseded, &old.asks, turn);
    }

    pub(super) fn set_aside(
        &self,
        asks: &[Ask],
        outcome: Outcome,
        record: &DeploymentRecord,
        turn: &mut Turn<'_>,
    ) {
        for ask in asks {
            let letter = DeadLetter {
                target: Some(self.target.clone()),
                deployment: Some(record.id.clone()),
                outcome: Some(outcome),
                cause: record.cause,
                reason: record.reason.clone().unwrap_or_default(),
                attempts: record.attempts,
                version: ask.request.version,
            };
            turn.ledger.set_aside(ask.lease, letter);
            if outcome != Outcome::Cancelled && !turn.flawed(Flaw::WaveGoesOn) {
                turn.waves.failed(&ask.request.origin.event_id, &self.target);
            }
        }
    }

    fn finish(&mut self, record: DeploymentRecord, outcome: Outcome, asks: &[Ask], turn: &mut Turn<'_>) {
        tell_finished(record, outcome, asks, turn);
        self.retrying = None;
        self.rest(turn);
    }

    /// The record of a deployment under way.
    pub(super) fn record(&self, passage: &Passage) -> DeploymentRecord {
        let cancelled = passage.cancelled.is_some();
        DeploymentRecord {
            stage: passage.stage,
            cause: passage.failure.as_ref().filter(|_| !cancelled).map(|failure| failure.cause),
            reason: match &passage.failure {
                Some(failure) => Some(failure.reason.clone()),
                None => passage.adopted.map(|whose| taken_over(whose).to_owned()),
            },
            evidence: passage.evidence.clone(),
            rollout_id: passage.rollout.as_ref().and_then(|rollout| rollout.shown().cloned()),
            definition: passage.definition.clone(),
            registered: passage.registered,
            cancelled,
            previous_definition: passage.previous.clone(),
            // Whoever began what was taken over has tried it once.
            attempts: passage.attempts.max(u32::from(passage.adopted.is_some())),
            adopted: passage.adopted,
            started_at: Some(passage.started_at),
            tasks: passage.tasks,
            rollout: passage.rollout.clone(),
            images: passage.images.iter().map(|(name, image)| planned(name, image, &passage.asks)).collect(),
            ..self.blank_record(passage.id.clone(), &passage.asks)
        }
    }

    pub(super) fn waiting_record(&self, asks: &[Ask]) -> DeploymentRecord {
        let mut record = self.blank_record(self.id_of(asks), asks);
        if let Some(retrying) = self.retrying_of(asks) {
            record.attempts = retrying.failed;
            record.started_at = Some(retrying.started_at);
        }
        record.previous_definition = self.running_definition().cloned();
        record
    }

    fn blank_record(&self, id: DeploymentId, asks: &[Ask]) -> DeploymentRecord {
        DeploymentRecord {
            id,
            target: self.target.clone(),
            name: self.name(),
            version: asks.iter().map(|ask| ask.request.version).max().unwrap_or_default(),
            changes: asks.iter().map(|ask| fold::describe(&ask.request.change)).collect(),
            triggers: triggers(asks),
            rollback: fold::is_rollback(asks),
            stage: Stage::Waiting,
            outcome: None,
            cause: None::<Cause>,
            reason: None,
            evidence: Evidence::default(),
            rollout_id: None,
            definition: None,
            registered: false,
            cancelled: false,
            previous_definition: None,
            attempts: 0,
            adopted: None,
            requested_at: asks.iter().map(|ask| ask.request.version).min().unwrap_or_default(),
            started_at: None,
            finished_at: None,
            tasks: Tasks::default(),
            rollout: None,
            images: Vec::new(),
            known_from: KnownFrom::Lane,
        }
    }

    fn running_definition(&self) -> Option<&DefinitionId> {
        self.running.as_ref().map(|running| &running.definition.id)
    }

    fn state(&self) -> LaneState {
        match &self.phase {
            Phase::Idle if self.is_gathering() => LaneState::Quiet,
            Phase::Idle => LaneState::Idle,
            Phase::Looking { .. } | Phase::Marking(_) => LaneState::Looking,
            Phase::Paused { .. } => LaneState::BackingOff,
            Phase::Queued { .. } => LaneState::Queued,
            Phase::Blocked(_) => LaneState::Blocked,
            Phase::Starting(..) => LaneState::Starting,
            Phase::Watching(passage, _) if passage.stage == Stage::RollingBack => LaneState::RollingBack,
            Phase::Watching(..) => LaneState::Watching,
        }
    }

    fn why(&self) -> Option<String> {
        match &self.phase {
            Phase::Paused { why, .. } | Phase::Queued { why, .. } => Some(why.clone()),
            Phase::Blocked(watch) => {
                let id = watch.rollout.shown().map_or("a rollout", |id| id.as_str());
                let overdue = if watch.overdue { ", which makes no progress" } else { "" };
                Some(format!("{id} is in progress{overdue}"))
            }
            Phase::Idle if self.is_gathering() => Some("more may come".into()),
            Phase::Idle
            | Phase::Looking { .. }
            | Phase::Marking(_)
            | Phase::Starting(..)
            | Phase::Watching(..) => None,
        }
    }

    fn target_record(&self) -> TargetRecord {
        let running = self.running.as_ref().map(|running| RunningRecord {
            definition: running.definition.id.clone(),
            images: running
                .definition
                .images
                .iter()
                .map(|(name, image)| self.running_image(name, image))
                .collect(),
            since: running.since,
            by: running.definition.marks.deployment_of(&self.target).cloned(),
        });
        TargetRecord {
            id: self.target.clone(),
            name: self.name(),
            cluster: self.target.cluster().clone(),
            service: self.target.service().clone(),
            running,
            rollout: None,
            refused: None,
            lane: LaneRecord {
                state: self.state(),
                deployment: self.passage().map(|passage| passage.id.clone()),
                next: (!self.waiting.is_empty()).then(|| self.id_of(&self.waiting)),
                waiting: self.waiting.iter().map(|ask| ask.origins().count()).sum(),
                until: self.next_wakeup(),
                why: self.why(),
                hold: self.holding.in_force().record(),
            },
        }
    }

    fn running_image(&self, name: &ContainerName, image: &ImageReference) -> RunningImage {
        let digest = self.running.as_ref().and_then(|running| running.digests.get(name).cloned());
        RunningImage { container: name.clone(), image: image.clone(), digest }
    }

    fn active_record(&self) -> Option<DeploymentRecord> {
        match self.passage() {
            Some(passage) => Some(self.record(passage)),
            None if self.waiting.is_empty() => None,
            None => Some(DeploymentRecord { reason: self.why(), ..self.waiting_record(&self.waiting) }),
        }
    }

    /// What waits behind the deployment that is under way.
    fn next_record(&self) -> Option<DeploymentRecord> {
        let first = self.passage().filter(|_| !self.waiting.is_empty())?;
        let kept_back = self.waiting.iter().find_map(|ask| self.kept_back(ask));
        let reason = kept_back.unwrap_or_else(|| behind(first));
        Some(DeploymentRecord { reason: Some(reason), ..self.waiting_record(&self.waiting) })
    }
}

/// What is waited for, and how far that is.
fn behind(first: &Passage) -> String {
    let Tasks { running, desired, .. } = first.tasks;
    let tasks = if desired > 0 { format!(", {running} of {desired} tasks") } else { String::new() };
    let stage = first.stage.as_str().replace('_', " ");
    format!("behind {} ({stage}{tasks})", first.id)
}

/// Whose the rollout was that was taken over, in words.
fn taken_over(whose: Adopted) -> &'static str {
    match whose {
        Adopted::Ours => "its rollout was adopted in progress: a process before this one began it",
        Adopted::Unknown => "its rollout was adopted in progress: who began it is not known",
    }
}

/// Why these were asked for. The events of the requests themselves are always among them: by those a deployment is cancelled.
fn triggers(asks: &[Ask]) -> Vec<Arc<Origin>> {
    let mut room = MOST_TRIGGERS.saturating_sub(asks.len());
    let mut triggers = Vec::new();
    for ask in asks {
        let merged = &ask.merged[..ask.merged.len().min(room)];
        room -= merged.len();
        triggers.extend(merged.iter().chain([&ask.request.origin]).cloned());
    }
    triggers
}

/// What a container is to run, with the digest that one of these asks for.
fn planned(name: &ContainerName, image: &ImageReference, asks: &[Ask]) -> RunningImage {
    let asked = || {
        asks.iter().find_map(|ask| {
            let (source, tag, digest) = match &ask.request.change {
                Change::Image(change) => (&change.source, change.tag.as_ref(), change.digest.as_ref()),
                Change::Refresh(Refresh::Image(image)) => {
                    (&image.source, Some(&image.tag), image.digest.as_ref())
                }
                Change::Refresh(Refresh::Restart) | Change::Definition(_) => return None,
            };
            let is_meant = source.repository.as_ref() == Some(&image.repository) && tag == image.tag.as_ref();
            digest.filter(|_| is_meant).cloned()
        })
    };
    let digest = image.digest.clone().or_else(asked);
    RunningImage { container: name.clone(), image: image.clone(), digest }
}

/// What each container of a rollout runs, with the digest that ECS pinned.
fn rolled_out(rollout: &Rollout) -> Vec<RunningImage> {
    let images = rollout.definition.images.iter();
    let digest = |name, image: &ImageReference| rollout.digests.get(name).or(image.digest.as_ref()).cloned();
    images
        .map(|(name, image)| RunningImage {
            container: name.clone(),
            image: image.clone(),
            digest: digest(name, image),
        })
        .collect()
}

/// Tells how a deployment ended. The messages of these are deleted once that was told everywhere.
pub(super) fn tell_finished(
    mut record: DeploymentRecord,
    outcome: Outcome,
    asks: &[Ask],
    turn: &mut Turn<'_>,
) {
    let end = End { deployment: record.id.clone(), outcome };
    for ask in asks {
        turn.ledger.tell_first(ask.lease, &end, turn.now.moment);
    }
    record.stage = Stage::Finished;
    record.outcome = Some(outcome);
    record.finished_at = record.finished_at.or(Some(turn.now.wall));
    turn.report(Report::Finished(Box::new(record)));
}

impl Passage {
    /// What there was of it, for when another rollout has taken its place.
    pub(super) fn begun(&self) -> Begun {
        Begun {
            rollout: self.rollout.clone(),
            definition: self.definition.clone(),
            registered: self.registered,
            previous: self.previous.clone(),
            attempts: self.attempts,
        }
    }
}

impl Begun {
    /// This record is about it.
    fn fill_in(self, record: &mut DeploymentRecord) {
        record.rollout_id = self.rollout.as_ref().and_then(|rollout| rollout.shown().cloned());
        record.rollout = self.rollout;
        record.definition = self.definition;
        record.registered = self.registered;
        record.previous_definition = self.previous;
        record.attempts = self.attempts;
    }
}

/// The deployments of one target that have not ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unended {
    /// The one that is under way; where none is, what waits.
    pub first: Option<DeploymentRecord>,
    /// What waits behind that.
    pub next: Option<DeploymentRecord>,
}

impl Planner {
    /// Every target that was ever asked for something, and its lane.
    pub fn targets(&self) -> Vec<TargetRecord> {
        self.lanes.values().map(|lane| lane.target_record()).collect()
    }

    /// One target and the deployments that it has not ended, if it was ever asked for something. They stay as they are
    /// until it is [touched](Self::take_touched).
    pub fn target(&self, target: &TargetId) -> Option<(TargetRecord, Unended)> {
        let lane = self.lanes.get(target)?;
        let unended = Unended { first: lane.active_record(), next: lane.next_record() };
        Some((lane.target_record(), unended))
    }

    /// Whether anything is known of this target, because something was asked of it, or holds it back.
    pub fn knows(&self, target: &TargetId) -> bool {
        self.lanes.contains_key(target)
    }

    /// Whether something is asked of this target that is not settled.
    pub fn is_busy(&self, target: &TargetId) -> bool {
        self.lanes.get(target).is_some_and(|lane| lane.phase != Phase::Idle || !lane.waiting.is_empty())
    }

    /// The targets that a pause or a hold keeps back while something waits there.
    pub fn kept_back(&self) -> impl Iterator<Item = &TargetId> {
        let is_kept_back =
            |lane: &Lane| !lane.waiting.is_empty() && (lane.holding.is_paused() || lane.holding.is_held());
        self.lanes.values().filter(move |lane| is_kept_back(lane)).map(|lane| &lane.target)
    }

    /// The targets of which something may have changed since this was last asked.
    pub fn take_touched(&mut self) -> BTreeSet<TargetId> {
        std::mem::take(&mut self.touched.0)
    }

    /// The deployments that have not ended, the waiting ones too: two per lane at most.
    pub fn deployments(&self) -> Vec<DeploymentRecord> {
        self.lanes.values().flat_map(|lane| [lane.active_record(), lane.next_record()]).flatten().collect()
    }
}
