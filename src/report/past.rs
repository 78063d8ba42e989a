//! What ECS remembers of deployments that this process has not seen: those before it began, and those of others. Kept within
//! bounds, beside the history, and laid beside it so that no deployment is told twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use super::history::History;
use crate::domain::{
    DefinitionId, DeploymentId, DeploymentRecord, Evidence, KnownFrom, Outcome, PastRollout, RolloutId,
    RolloutKey, RolloutState, Stage, TargetId, TargetName, Timestamp,
};

/// What is remembered of all targets. A copy shares it.
#[derive(Clone, Debug, Default)]
pub struct Past(BTreeMap<TargetId, Arc<Read>>);

/// What was read of one target.
#[derive(Debug)]
struct Read {
    at: Timestamp,
    records: Vec<Arc<DeploymentRecord>>,
}

/// All of it has room for so many records, a few megabytes. Beyond that the target that was read longest ago makes room.
const ROOM: usize = 5_000;

/// A rollout of ours was created at most so long before we knew that it was.
const APART: Duration = Duration::from_secs(10);

impl Past {
    /// Takes in what was read of a target at this time, the newest first.
    pub fn learn(&mut self, target: &TargetId, name: &TargetName, rollouts: &[PastRollout], at: Timestamp) {
        let oldest = oldest_of_each(rollouts);
        let record = |it: &PastRollout| {
            let is_first = oldest.get(&it.definition) == Some(&it.created_at);
            Arc::new(record(target, name, it, is_first))
        };
        let records = rollouts.iter().map(record).collect();
        self.0.insert(target.clone(), Arc::new(Read { at, records }));
        while self.len() > ROOM {
            let others = self.0.iter().filter(|(other, read)| *other != target && !read.records.is_empty());
            let Some(oldest) = others.min_by_key(|(_, read)| read.at).map(|(other, _)| other.clone()) else {
                break;
            };
            let at = self.read_at(&oldest).unwrap_or_default();
            self.0.insert(oldest, Arc::new(Read { at, records: Vec::new() }));
        }
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

/// A rollout as a record. The first of a definition that we registered is the deployment that registered it: whoever was
/// told of it before a restart finds it again.
fn record(target: &TargetId, name: &TargetName, it: &PastRollout, is_first: bool) -> DeploymentRecord {
    let own = || format!("ecs-{}", it.id.as_str().rsplit('/').next().unwrap_or_default()).into();
    let registered = it.registered_by.clone().filter(|_| is_first);
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
        outcome: Some(outcome(it.state)),
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
mod tests {
    use super::*;
    use crate::{domain::Tasks, report::sample};

    fn rollout(arn: &str, second: i64, definition: &str, by: Option<&str>) -> PastRollout {
        PastRollout {
            id: arn.into(),
            created_at: Timestamp::from_millis(second * 1_000),
            ended_at: Timestamp::from_millis(second * 1_000 + 60_000),
            state: RolloutState::Succeeded,
            reason: "".into(),
            definition: definition.parse().expect("valid"),
            previous: None,
            registered_by: by.map(Into::into),
            tasks: Tasks::default(),
        }
    }

    fn target(service: &str) -> TargetId {
        format!("111122223333/eu-west-1/shop/{service}").parse().expect("valid")
    }

    fn ids<'a>(records: impl Iterator<Item = &'a Arc<DeploymentRecord>>) -> Vec<String> {
        records.map(|it| it.id.to_string()).collect()
    }

    fn past(rollouts: &[PastRollout]) -> Past {
        let mut past = Past::default();
        past.learn(&sample::succeeded().target, &"api".into(), rollouts, Timestamp::default());
        past
    }

    #[test]
    fn the_first_rollout_of_a_definition_of_ours_has_the_id_that_people_were_told() {
        let past = past(&[
            rollout("arn:x/shop/api/3", 3, "api:2", Some("d-1")),
            rollout("arn:x/shop/api/2", 2, "api:2", Some("d-1")),
            rollout("arn:x/shop/api/1", 1, "api:1", None),
        ]);
        let history = History::default();
        let told: Vec<_> = past
            .beside(&history, [].into_iter())
            .map(|it| (it.id.to_string(), it.registered, it.known_from))
            .collect();
        assert_eq!(
            told,
            [
                ("ecs-3".into(), false, KnownFrom::EcsOurs),
                ("d-1".into(), true, KnownFrom::EcsOurs),
                ("ecs-1".into(), false, KnownFrom::Ecs)
            ]
        );
    }

    #[test]
    fn what_this_process_has_seen_is_not_told_twice() {
        let mut history = History::default();
        let seen =
            DeploymentRecord { id: "d-seen".into(), rollout_id: Some("arn:2".into()), ..sample::succeeded() };
        history.push(seen);
        let began = sample::active().started_at.expect("it began").as_millis() / 1_000;
        let past = past(&[
            rollout("arn:9", began + 1, "chubby_api:14", None),
            rollout("arn:2", 2, "api:2", None),
            rollout("arn:1", 1, "api:1", Some("d-seen")),
            rollout("arn:0", 0, "api:9", None),
        ]);
        assert_eq!(ids(past.beside(&history, [&sample::active()].into_iter())), ["ecs-arn:0"]);
        assert_eq!(past.beside(&History::default(), [].into_iter()).count(), 4);
    }

    #[test]
    fn a_rollout_of_the_same_definition_at_another_time_is_another_one() {
        let mut history = History::default();
        history.push(sample::succeeded());
        let began = sample::succeeded().started_at.expect("it began").as_millis() / 1_000;
        let past = past(&[
            rollout("arn:2", began + 3_600, "chubby_api:13", None),
            rollout("arn:1", began - 5, "chubby_api:13", None),
        ]);
        assert_eq!(ids(past.beside(&history, [].into_iter())), ["ecs-arn:2"]);
    }

    #[test]
    fn the_target_that_was_read_longest_ago_makes_room_for_another() {
        let mut past = Past::default();
        let many: Vec<_> = (0..2_000).map(|n| rollout(&format!("arn:{n}"), n, "api:1", None)).collect();
        for (second, service) in [(3, "a"), (1, "b"), (2, "c")] {
            past.learn(&target(service), &"n".into(), &many, Timestamp::from_millis(second));
        }
        assert_eq!((past.len(), past.0[&target("b")].records.len()), (4_000, 0));
        assert_eq!(
            past.read_at(&target("b")),
            Some(Timestamp::from_millis(1)),
            "it is not read again for that"
        );
        assert_eq!(past.read_at(&target("c")), Some(Timestamp::from_millis(2)));
        past.keep_only(|it| *it == target("a"));
        assert_eq!((past.len(), past.is_empty()), (2_000, false));
        past.keep_only(|_| false);
        assert!(past.is_empty());
    }

    #[test]
    fn each_end_that_ecs_tells_has_its_outcome() {
        let told = |state| outcome(state).as_str();
        let states = [
            RolloutState::Succeeded,
            RolloutState::Failed,
            RolloutState::RollbackFailed,
            RolloutState::RolledBack,
            RolloutState::Stopped,
        ];
        assert_eq!(states.map(told), ["succeeded", "failed", "failed", "rolled_back", "superseded"]);
    }
}
