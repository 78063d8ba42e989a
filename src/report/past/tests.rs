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
        tripped: false,
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
fn a_letter_tells_what_went_back_without_a_breaker_in_whatever_words_ecs_does() {
    let told = |tripped| {
        let reason = "other words".into();
        let rollouts =
            [PastRollout { stopped: false, tripped, reason, ..stopped("arn:x/1", 1_000, Some("d-1")) }];
        let mut past = Past::default();
        learn(&mut past, &rollouts, &[letter("d-1", 1_900, Outcome::Cancelled, None)]);
        (ends(&past)[0].1, past.lacks_letters(&sample::succeeded().target, &rollouts))
    };
    assert_eq!(told(false), (Some(Outcome::Cancelled), false));
    assert_eq!(told(true), (Some(Outcome::RolledBack), false), "nobody told it to");
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
        assert_eq!(ends(&past)[1], ("d-registered".into(), Some(Outcome::Cancelled), None, false), "{why}");
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
    assert_eq!(past.read_at(&target("b")), Some(Timestamp::from_millis(1)), "it is not read again for that");
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
