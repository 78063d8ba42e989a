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

/// Whether it was told to stop and go back. One that was stopped otherwise was overtaken.
fn is_stopped(it: &PastRollout) -> bool {
    it.stopped && it.state == RolloutState::RolledBack
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
        outcome: Some(if is_stopped(it) { Outcome::Cancelled } else { outcome(it.state) }),
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
    use crate::{
        domain::{LetterEvent, PutBy, Tasks, TriggerKind, Verdict},
        report::sample,
    };

    fn rollout(arn: &str, second: i64, definition: &str, by: Option<&str>) -> PastRollout {
        PastRollout {
            id: arn.into(),
            created_at: Timestamp::from_millis(second * 1_000),
            ended_at: Timestamp::from_millis(second * 1_000 + 60_000),
            state: RolloutState::Succeeded,
            reason: "".into(),
            stopped: false,
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
        learn(&mut past, rollouts, &[]);
        past
    }

    fn learn(past: &mut Past, rollouts: &[PastRollout], letters: &[LetterRecord]) {
        past.learn(&sample::succeeded().target, &"api".into(), (rollouts, letters), Timestamp::default());
    }

    fn stopped(arn: &str, second: i64, by: Option<&str>) -> PastRollout {
        PastRollout {
            state: RolloutState::RolledBack,
            reason: "Service deployment stopped by user.".into(),
            stopped: true,
            ..rollout(arn, second, "api:2", by)
        }
    }

    /// Set aside so many seconds after 1970, for a request that was made at the first of them.
    fn letter(deployment: &str, second: i64, outcome: Outcome, cause: Option<Cause>) -> LetterRecord {
        LetterRecord {
            id: format!("letter of {deployment}"),
            put_by: PutBy::Lockkeeper,
            time: Timestamp::from_millis(second * 1_000),
            target: Some(sample::succeeded().target),
            deployment: Some(deployment.into()),
            outcome: Some(outcome.as_str().into()),
            cause: cause.map(|cause| cause.as_str().into()),
            attempts: Some(1),
            reason: Some(format!("why {deployment}")),
            version: Timestamp::from_millis(1_000),
            copies: 1,
            event: LetterEvent {
                id: "e-1".into(),
                source: "aws.ecr".into(),
                detail_type: "ECR Image Action".into(),
                trigger: TriggerKind::ImagePushed,
                meaning: None,
            },
            result: Verdict::Asks,
            reaches: Vec::new(),
        }
    }

    fn ends(past: &Past) -> Vec<(String, Option<Outcome>, Option<Cause>, bool)> {
        let all = past.0.values().flat_map(|read| &read.records);
        all.map(|it| (it.id.to_string(), it.outcome, it.cause, it.cancelled)).collect()
    }

    #[test]
    fn a_rollout_that_was_stopped_is_no_failure_where_no_letter_says_so() {
        let past = past(&[
            stopped("arn:x/2", 2_000, None),
            PastRollout { stopped: false, ..stopped("arn:x/1", 1_000, None) },
        ]);
        let expected = [
            ("ecs-2".into(), Some(Outcome::Cancelled), None, false),
            ("ecs-1".into(), Some(Outcome::RolledBack), None, false),
        ];
        assert_eq!(ends(&past), expected);
        assert!(past.0.values().all(|read| read.records[0].reason.is_some()), "ECS's words");
    }

    #[test]
    fn the_letter_of_a_stopped_rollout_says_whether_it_was_cancelled_or_made_no_progress() {
        let rollouts = [stopped("arn:x/2", 2_000, None), stopped("arn:x/1", 1_000, Some("d-1"))];
        let letters = [
            letter("d-1", 1_900, Outcome::RolledBack, Some(Cause::Timeout)),
            letter("d-2", 2_070, Outcome::Cancelled, None),
        ];
        let mut past = past(&rollouts);
        assert!(past.lacks_letters(&sample::succeeded().target, &rollouts));
        learn(&mut past, &rollouts, &letters);
        let expected = [
            ("d-2".into(), Some(Outcome::Cancelled), None, true),
            ("d-1".into(), Some(Outcome::RolledBack), Some(Cause::Timeout), false),
        ];
        assert_eq!(ends(&past), expected);
        assert!(!past.lacks_letters(&sample::succeeded().target, &rollouts));
        learn(&mut past, &rollouts, &[]);
        assert_eq!(ends(&past), expected, "what was replayed since is still known");
    }

    #[test]
    fn a_letter_of_another_deployment_says_nothing_of_a_stopped_rollout() {
        let rollouts =
            [rollout("arn:x/3", 3_000, "api:3", None), stopped("arn:x/2", 2_000, Some("d-registered"))];
        let timeout = |it: &str, second| letter(it, second, Outcome::RolledBack, Some(Cause::Timeout));
        for (other, why) in [
            (timeout("d-2", 1_900), "it was set aside before the rollout ended"),
            (timeout("d-2", 3_070), "another had ended meanwhile"),
            (timeout("d-2", 2_990), "it was long over"),
            (LetterRecord { attempts: Some(0), ..timeout("d-2", 2_070) }, "it never began"),
            (LetterRecord { version: Timestamp::from_millis(2_500_000), ..timeout("d-2", 2_070) }, "later"),
            (LetterRecord { target: Some(target("other")), ..timeout("d-2", 2_070) }, "of another target"),
        ] {
            let mut past = Past::default();
            learn(&mut past, &rollouts, &[other]);
            assert_eq!(
                ends(&past)[1],
                ("d-registered".into(), Some(Outcome::Cancelled), None, false),
                "{why}"
            );
        }
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
            past.learn(&target(service), &"n".into(), (&many, &[]), Timestamp::from_millis(second));
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
