//! What ECS remembers of deployments that this process has not seen: those before it began, and those of others. Kept within
//! bounds, beside the history, and laid beside it so that no deployment is told twice.
//!
//! Of a rollout that was told to stop ECS does not say by whom, nor why: somebody did in the console, a deployment of ours was
//! cancelled, or made no progress. What was set aside then, the letter, says it; what it says stays known when it is gone. Where no
//! letter says it, nothing that ECS shows is a failure, and none is claimed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::history::History;
use crate::domain::{
    Cause, DefinitionId, DeploymentId, DeploymentRecord, Evidence, KnownFrom, LetterRecord, Outcome,
    PastRollout, RolloutId, RolloutKey, RolloutState, Stage, TargetId, TargetName, Timestamp,
};

/// What is remembered of all targets. A copy shares it.
#[derive(Clone, Debug, Default)]
pub struct Past(BTreeMap<TargetId, Arc<Read>>);

/// What was read of one target.
#[derive(Debug)]
struct Read {
    at: Timestamp,
    records: Vec<Arc<DeploymentRecord>>,
    /// What letters say of rollouts that were stopped.
    letters: Letters,
}

type Letters = BTreeMap<RolloutId, Arc<LetterRecord>>;

/// All of it has room for so many records, a few megabytes. Beyond that the target that was read longest ago makes room.
const ROOM: usize = 5_000;

/// A rollout of ours was created at most so long before we knew that it was.
const APART: Duration = Duration::from_secs(10);

/// What failed is set aside within this of its end, also by a process that takes over.
const SET_ASIDE_WITHIN: Duration = Duration::from_mins(15);

impl Past {
    /// Takes in what was read of a target at this time, the newest first; and what is set aside, where somebody looked.
    pub fn learn(
        &mut self,
        target: &TargetId,
        name: &TargetName,
        (rollouts, letters): (&[PastRollout], &[LetterRecord]),
        at: Timestamp,
    ) {
        let oldest = oldest_of_each(rollouts);
        let is_first = |it: &PastRollout| oldest.get(&it.definition) == Some(&it.created_at);
        let registered = |it: &PastRollout| it.registered_by.clone().filter(|_| is_first(it));
        let mut known = self.0.get(target).map(|read| read.letters.clone()).unwrap_or_default();
        known.retain(|id, _| rollouts.iter().any(|it| it.id == *id));
        let mut letters: Vec<&LetterRecord> =
            letters.iter().filter(|it| it.target.as_ref() == Some(target)).collect();
        letters.sort_by_key(|it| it.time);
        for letter in letters {
            if let Some(it) = told_by(letter, rollouts, registered) {
                known.insert(it.id.clone(), Arc::new(letter.clone()));
            }
        }
        let taken: BTreeSet<DeploymentId> = rollouts.iter().filter_map(registered).collect();
        let record = |it: &PastRollout| {
            let mut record = record(target, name, it, registered(it));
            if let Some(letter) = known.get(&it.id) {
                fill_in(&mut record, letter, &taken);
            }
            Arc::new(record)
        };
        let records = rollouts.iter().map(record).collect();
        self.0.insert(target.clone(), Arc::new(Read { at, records, letters: known }));
        while self.len() > ROOM {
            let others = self.0.iter().filter(|(other, read)| *other != target && !read.records.is_empty());
            let Some(oldest) = others.min_by_key(|(_, read)| read.at).map(|(other, _)| other.clone()) else {
                break;
            };
            let at = self.read_at(&oldest).unwrap_or_default();
            self.0.insert(oldest, Arc::new(Read { at, records: Vec::new(), letters: Letters::new() }));
        }
    }

    /// Whether only a letter can tell what one of these rollouts was, and none did yet.
    pub fn lacks_letters(&self, target: &TargetId, rollouts: &[PastRollout]) -> bool {
        let read = self.0.get(target);
        let is_told = |it: &PastRollout| read.is_some_and(|read| read.letters.contains_key(&it.id));
        rollouts.iter().any(|it| is_stopped(it) && !is_told(it))
    }

    /// When this target was last read.
    pub fn read_at(&self, target: &TargetId) -> Option<Timestamp> {
        self.0.get(target).map(|read| read.at)
    }

    /// How many of these targets were not read yet.
    pub fn unread<'a>(&self, targets: impl Iterator<Item = &'a TargetId>) -> usize {
        targets.filter(|target| !self.0.contains_key(*target)).count()
    }

    /// The targets that were read.
    pub fn targets(&self) -> impl Iterator<Item = &TargetId> {
        self.0.keys()
    }

    /// Forgets the targets that are not known any more.
    pub fn keep_only(&mut self, is_known: impl Fn(&TargetId) -> bool) {
        self.0.retain(|target, _| is_known(target));
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.0.values().map(|read| read.records.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(|read| read.records.is_empty())
    }

    /// Those that are neither in the history nor among those under way.
    pub fn beside<'a>(
        &'a self,
        history: &'a History,
        under_way: impl Iterator<Item = &'a DeploymentRecord>,
    ) -> impl Iterator<Item = &'a Arc<DeploymentRecord>> {
        let known =
            Known::of(if self.is_empty() { Vec::new() } else { history.iter().chain(under_way).collect() });
        self.0.values().flat_map(|read| &read.records).filter(move |it| !known.has(it))
    }
}

/// What is known already: by the id of its rollout, by its own, or by when it rolled out what.
struct Known<'a> {
    rollouts: BTreeSet<&'a str>,
    ids: BTreeSet<&'a DeploymentId>,
    spans: BTreeMap<(&'a TargetId, &'a DefinitionId), Vec<(Timestamp, Timestamp)>>,
}

impl<'a> Known<'a> {
    fn of(records: Vec<&'a DeploymentRecord>) -> Self {
        let mut known = Self { rollouts: BTreeSet::new(), ids: BTreeSet::new(), spans: BTreeMap::new() };
        for it in records {
            known.ids.insert(&it.id);
            let listed = it.rollout.as_ref().and_then(|key| key.service_deployment.as_ref());
            known.rollouts.extend(listed.or(it.rollout_id.as_ref()).map(RolloutId::as_str));
            if let (Some(_), Some(definition), Some(began)) = (&it.rollout_id, &it.definition, it.started_at)
            {
                let ended = it.finished_at.unwrap_or(Timestamp::from_millis(i64::MAX));
                known.spans.entry((&it.target, definition)).or_default().push((began, ended));
            }
        }
        known
    }

    fn has(&self, it: &DeploymentRecord) -> bool {
        let is_listed = it.rollout_id.as_ref().is_some_and(|id| self.rollouts.contains(id.as_str()));
        is_listed || self.ids.contains(&it.id) || self.is_within(it)
    }

    /// DescribeServices calls rollouts by other ids than ListServiceDeployments does.
    fn is_within(&self, it: &DeploymentRecord) -> bool {
        let (Some(definition), Some(created)) = (&it.definition, it.started_at) else { return false };
        let spans = self.spans.get(&(&it.target, definition)).into_iter().flatten();
        spans.into_iter().any(|(began, ended)| created + APART >= *began && created <= *ended)
    }
}

/// When the first rollout of each definition was created, among these.
fn oldest_of_each(rollouts: &[PastRollout]) -> BTreeMap<DefinitionId, Timestamp> {
    let mut oldest = BTreeMap::new();
    for it in rollouts {
        let at = oldest.entry(it.definition.clone()).or_insert(it.created_at);
        *at = it.created_at.min(*at);
    }
    oldest
}

/// Whether it was told to go back, or may have been: by a breaker or an alarm it is not. One that was stopped otherwise was
/// overtaken.
fn is_stopped(it: &PastRollout) -> bool {
    it.state == RolloutState::RolledBack && (it.stopped || !it.tripped)
}

/// The rollout that this letter tells of: the one of the definition that its deployment registered, or else the one that had
/// just ended when it was set aside. Of a deployment that was given up while it waited there is none.
fn told_by<'a>(
    letter: &LetterRecord,
    rollouts: &'a [PastRollout],
    registered: impl Fn(&PastRollout) -> Option<DeploymentId>,
) -> Option<&'a PastRollout> {
    outcome_of(letter)?;
    let deployment = letter.deployment.as_deref()?;
    let of_deployment = |it: &&PastRollout| registered(it).is_some_and(|by| by.as_str() == deployment);
    let had_ended = |it: &&PastRollout| {
        letter.version <= it.created_at + APART
            && it.ended_at <= letter.time + APART
            && letter.time <= it.ended_at + SET_ASIDE_WITHIN
    };
    let was_tried = letter.attempts.is_some_and(|attempts| attempts > 0);
    let by_id = rollouts.iter().filter(|it| is_stopped(it)).find(of_deployment);
    let by_time = || {
        let last = rollouts.iter().filter(had_ended).max_by_key(|it| it.ended_at);
        last.filter(|it| was_tried && is_stopped(it))
    };
    by_id.or_else(by_time)
}

/// How the deployment ended that a letter is about: only such an end leaves one of a rollout.
fn outcome_of(letter: &LetterRecord) -> Option<Outcome> {
    let outcomes = [Outcome::Cancelled, Outcome::RolledBack, Outcome::Failed];
    outcomes.into_iter().find(|it| letter.outcome.as_deref() == Some(it.as_str()))
}

/// What the letter says of it; and its id, unless the record of another rollout has that.
fn fill_in(record: &mut DeploymentRecord, letter: &LetterRecord, taken: &BTreeSet<DeploymentId>) {
    let id = letter.deployment.as_deref().map(DeploymentId::from).filter(|id| !taken.contains(id));
    record.id = id.unwrap_or_else(|| record.id.clone());
    record.outcome = outcome_of(letter).or(record.outcome);
    record.cancelled = record.outcome == Some(Outcome::Cancelled);
    record.cause = Cause::ALL.into_iter().find(|it| letter.cause.as_deref() == Some(it.as_str()));
    record.reason = letter.reason.clone().or(record.reason.take());
    record.attempts = letter.attempts.unwrap_or_default().max(1);
    record.known_from = KnownFrom::EcsLetter;
}

/// A rollout as a record. The first of a definition that we registered is the deployment that registered it: whoever was
/// told of it before a restart finds it again.
fn record(
    target: &TargetId,
    name: &TargetName,
    it: &PastRollout,
    registered: Option<DeploymentId>,
) -> DeploymentRecord {
    let own = || format!("ecs-{}", it.id.as_str().rsplit('/').next().unwrap_or_default()).into();
    let known_from = if it.registered_by.is_some() { KnownFrom::EcsOurs } else { KnownFrom::Ecs };
    DeploymentRecord {
        id: registered.clone().unwrap_or_else(own),
        target: target.clone(),
        name: name.clone(),
        version: it.created_at,
        changes: Vec::new(),
        triggers: Vec::new(),
        rollback: false,
        stage: Stage::Finished,
        outcome: Some(if it.stopped && is_stopped(it) { Outcome::Cancelled } else { outcome(it.state) }),
        cause: None,
        reason: Some(it.reason.to_string()).filter(|reason| !reason.is_empty()),
        evidence: Evidence::default(),
        rollout_id: Some(it.id.clone()),
        definition: Some(it.definition.clone()),
        registered: registered.is_some(),
        cancelled: false,
        previous_definition: it.previous.clone(),
        attempts: 1,
        adopted: None,
        requested_at: it.created_at,
        started_at: Some(it.created_at),
        finished_at: Some(it.ended_at),
        tasks: it.tasks,
        rollout: Some(RolloutKey { deployment: None, service_deployment: Some(it.id.clone()) }),
        images: Vec::new(),
        known_from,
    }
}

/// A live one is none of the past; it would be told as what it was overtaken by.
fn outcome(state: RolloutState) -> Outcome {
    match state {
        RolloutState::Succeeded => Outcome::Succeeded,
        RolloutState::Failed | RolloutState::RollbackFailed => Outcome::Failed,
        RolloutState::RolledBack => Outcome::RolledBack,
        RolloutState::Stopped | RolloutState::InProgress | RolloutState::RollingBack => Outcome::Superseded,
    }
}

#[cfg(test)]
mod tests;
