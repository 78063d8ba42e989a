//! The way back: watched and judged like any rollout, begun only where it is ours to begin.

use super::*;
use crate::domain::{CallFailure, Cause, LaneState, Outcome, Remedy, Report, RolloutState, Stage, Tasks};

fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.settings.rollback = true;
    bench
}

/// The rollout of `v2` failed, and `api:1` is being rolled out in its place.
fn going_back() -> Bench {
    let mut it = bench();
    it.receive("m", [image("v2", 990)]);
    it.pass(6);
    it.rollout_is(RolloutState::Failed);
    assert_eq!(it.starts().len(), 2);
    it
}

/// A rollout without progress for its timeout of two minutes; ECS was told to stop it, and has not answered.
fn being_stopped() -> Bench {
    let mut it = bench();
    it.settings.timeout = Duration::from_mins(2);
    it.receive("m", [image("v2", 990)]);
    it.pass(6);
    let arn = "arn:aws:ecs:eu-west-1:111122223333:service-deployment/shop/api/one".into();
    it.scene().rollouts[0].id.service_deployment = Some(arn);
    it.pass(130);
    it
}

#[test]
fn what_ecs_rolled_back_is_not_rolled_back_by_us() {
    let mut it = bench();
    it.scene().rollouts = vec![ecs::rollout("before", 995, marked(2, "v2", 990))];
    it.scene().rollouts[0].digests = [("web".into(), digest("2"))].into();
    ecs::turn_to(it.scene(), RolloutState::RolledBack);
    it.receive("m", [image("v2", 990)]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.outcomes()), (0, vec![Outcome::RolledBack]));
}

#[test]
fn a_way_back_that_is_not_listed_yet_is_waited_for() {
    let mut it = bench();
    it.receive("m", [image("v2", 990)]);
    it.pass(6);
    ecs::turn_to(it.scene(), RolloutState::Failed);
    it.unanswered.insert(Verb::Start);
    it.pass(4);
    let order = (*it.starts().last().unwrap()).clone();
    it.unanswered.clear();
    let before = it.scene().rollouts.clone();
    let answer = it.started(&order);
    let since = std::mem::replace(&mut it.scene().rollouts, before);
    it.tell(answer);
    it.pass(4);
    assert!(it.ended().is_empty(), "reads may be that stale");
    it.scene().rollouts = since;
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.outcomes(), [Outcome::RolledBack]);
}

#[test]
fn a_way_back_that_is_listed_no_more_was_replaced() {
    let mut it = going_back();
    it.pass(6);
    it.scene().rollouts.remove(0);
    it.pass(4);
    assert_eq!(it.outcomes(), [Outcome::Failed]);
    assert!(it.end().2.contains("another rollout took its place"), "{:?}", it.end());
}

#[test]
fn a_way_back_without_progress_is_given_up_on_after_its_timeout() {
    let mut it = bench();
    it.settings.timeout = Duration::from_mins(2);
    it.receive("m", [image("v2", 990)]);
    it.pass(6);
    it.rollout_is(RolloutState::Failed);
    it.pass(110);
    assert!(it.ended().is_empty());
    it.pass(20);
    assert_eq!(it.outcomes(), [Outcome::Failed]);
    assert!(it.end().2.contains("rolled back to api:1: that makes no progress"), "{:?}", it.end());
}

#[test]
fn a_glance_that_saw_too_much_does_not_end_the_way_back() {
    let mut it = going_back();
    it.unanswered.insert(Verb::Look);
    ecs::turn_to(it.scene(), RolloutState::RolledBack);
    it.pass(4);
    ecs::turn_to(it.scene(), RolloutState::InProgress);
    let order = (*it.looks().last().unwrap()).clone();
    let answer = it.looked(&order);
    it.unanswered.clear();
    it.tell(answer);
    it.pass(20);
    assert!(it.ended().is_empty());
    assert_eq!(it.planner.targets()[0].lane.state, LaneState::RollingBack);
}

#[test]
fn each_attempt_to_go_back_counts() {
    let attempts = |retries: u32| {
        let mut it = bench();
        it.settings.retries = retries;
        it.receive("m", [image("v2", 990)]);
        it.pass(6);
        it.failing_starts = vec![transient(Remedy::Retry); 9].into();
        it.rollout_is(RolloutState::Failed);
        it.pass(600);
        assert_eq!(it.outcomes(), [Outcome::Failed]);
        it.starts().len()
    };
    assert_eq!([0, 1, 2, 3].map(attempts), [2, 2, 3, 4]);
}

#[test]
fn why_it_could_not_be_stopped_is_said_once() {
    let mut it = being_stopped();
    for remedy in [Remedy::Retry, Remedy::Retry, Remedy::GiveUp] {
        let failure = CallFailure { cause: Cause::Permission, reason: "denied".into(), remedy };
        it.tell(Input::Stopped { target: target(API), stopped: Err(failure) });
        it.pass(10);
    }
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.end().2.matches("it could not be stopped: denied").count(), 1, "{:?}", it.end());
}

#[test]
fn while_it_goes_back_the_record_says_why() {
    let it = going_back();
    let moved = it.reports().into_iter().rev().find_map(|it| match it {
        Report::Moved(record) => Some(&**record),
        _ => None,
    });
    let record = moved.expect("it is told");
    assert_eq!((record.stage, record.cause), (Stage::RollingBack, Some(Cause::Unknown)));
    assert_eq!(record.reason.as_deref(), Some("ECS gave no reason"));
    assert_eq!(it.planner.deployments()[0], *record);
}

#[test]
fn only_its_own_stopped_tasks_tell_why_a_rollout_is_listed_no_more() {
    let mut it = Bench::new();
    it.receive("m", [image("v2", 990)]);
    it.pass(6);
    it.scene().rollouts.clear();
    let own = stopped_task("EssentialContainerExited", "Essential container in task exited");
    let others = stopped_task("TaskFailedToStart", "CannotPullContainerError: of another rollout");
    it.scene().stopped = vec![("ecs-svc/other".into(), others), ("ecs-svc/r1".into(), own.clone())];
    it.pass(10);
    assert_eq!(it.outcomes(), [Outcome::RolledBack], "something else runs");
    assert_eq!(it.ended()[0].evidence.stopped_tasks, [own]);
    assert_eq!(it.end().1, Some(Cause::CrashLoop));
}

#[test]
fn a_deployment_that_is_tried_again_keeps_its_id() {
    let mut it = Bench::new();
    it.receive("m", [image("v2", 990)]);
    it.pass(6);
    let id = it.planner.deployments()[0].id.clone();
    let task = stopped_task("TaskFailedToStart", "RESOURCE:MEMORY: no capacity");
    it.scene().stopped = vec![("ecs-svc/r1".into(), task)];
    it.scene().rollouts[0].tasks = Tasks { desired: 2, running: 0, pending: 2, failed: 3 };
    it.rollout_is(RolloutState::RolledBack);
    it.pass(30);
    assert_eq!(it.starts().len(), 2, "there was no capacity");
    assert_eq!(it.planner.deployments()[0].id, id);
    assert_eq!(
        it.planner.deployments()[0].previous_definition.as_ref().map(ToString::to_string),
        Some("api:1".into())
    );
}

#[test]
fn a_rollback_by_ecs_without_progress_is_told_as_it_is_now() {
    let mut it = being_stopped();
    it.tell(Input::Stopped { target: target(API), stopped: Ok(()) });
    it.scene().rollouts[0].tasks.running = 1;
    it.rollout_is(RolloutState::RollingBack);
    it.pass(260);
    assert_eq!((it.end().0, it.end().1), (Outcome::Failed, Some(Cause::Timeout)));
    assert!(
        it.end().2.starts_with(
            "no progress for 2 min: ECS goes back, 0 tasks of what ran before run, 1 of this one"
        ),
        "{:?}",
        it.end()
    );
}
