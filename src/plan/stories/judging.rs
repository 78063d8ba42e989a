//! How a rollout that is watched ended, if it has.

use std::time::Duration;

use super::*;
use crate::domain::{
    CallFailure, Cause, DeploymentRecord, LaneState, OnNewer, Outcome, Remedy, Rollout, RolloutState,
    ServiceEvent, ServiceState, SettledBy, Stage, Tasks,
};

/// An image is being rolled out by us as `r1`, with a minute for each step.
fn under_way() -> Bench {
    let mut it = Bench::new();
    it.settings.timeout = Duration::from_mins(1);
    it.settings.retries = 0;
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.outcomes().len()), (1, 0));
    it
}

fn first(it: &mut Bench) -> &mut Rollout {
    &mut it.scene().rollouts[0]
}

fn state(it: &Bench) -> LaneState {
    it.planner.targets()[0].lane.state
}

fn image_cannot_be_pulled(it: &mut Bench) {
    let task = stopped_task("TaskFailedToStart", "CannotPullContainerError: not found");
    it.scene().stopped = vec![("ecs-svc/r1".into(), task)];
    first(it).tasks.failed = 3;
}

/// Somebody's rollout takes the place of ours.
fn replaced_by(it: &mut Bench, ours: RolloutState, theirs: Rollout) {
    ecs::turn_to(it.scene(), ours);
    first(it).primary = false;
    it.scene().rollouts.insert(0, theirs);
    it.pass(4);
}

#[test]
fn a_task_that_says_why_is_heard_behind_many_that_were_only_stopped_with_it() {
    let mut it = under_way();
    image_cannot_be_pulled(&mut it);
    let scaled_in =
        stopped_task("ServiceSchedulerInitiated", "Scaling activity initiated by (deployment r1)");
    let only_stopped = std::iter::repeat_n(("ecs-svc/r1".into(), scaled_in), 20);
    it.scene().stopped.splice(0..0, only_stopped);
    it.rollout_is(RolloutState::RolledBack);
    assert_eq!((it.end().0, it.end().1), (Outcome::RolledBack, Some(Cause::ImagePull)));
    let told = &it.ended()[0].evidence.stopped_tasks;
    assert_eq!((told.len(), told[0].stop_code.as_deref()), (5, Some("TaskFailedToStart")));
}

#[test]
fn a_complete_primary_rollout_of_what_was_asked_is_a_success() {
    let mut it = under_way();
    first(&mut it).digests = [("web".into(), digest("2"))].into();
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.end(), (Outcome::Succeeded, None, "2 of 2 tasks run".into()));
    let record = it.ended()[0];
    assert_eq!(record.rollout_id, Some("ecs-svc/r1".into()));
    assert_eq!(record.definition, Some(revision(2, "v2").id));
    assert_eq!(record.previous_definition, Some(revision(1, "v1").id));
    assert_eq!((record.attempts, it.settled()), (1, vec![("m1", SettledBy::Reality)]));
}

#[test]
fn nothing_is_said_before_the_rollout_is_complete() {
    let mut it = under_way();
    first(&mut it).tasks = Tasks { desired: 2, running: 2, ..Tasks::default() };
    it.pass(50);
    assert_eq!((it.outcomes().len(), it.settled().len(), state(&it)), (0, 0, LaneState::Watching));
}

#[test]
fn a_service_of_no_tasks_succeeds_and_says_so() {
    let mut it = under_way();
    it.scene().desired = 0;
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.end().0, it.end().2.split(';').next()), (Outcome::Succeeded, Some("0 tasks")));
}

#[test]
fn a_success_says_when_the_digest_is_not_known_or_another() {
    let mut it = under_way();
    it.rollout_is(RolloutState::Succeeded);
    assert!(it.end().2.contains("digest unverified: ECS does not say what web runs"), "{}", it.end().2);
    let mut it = under_way();
    first(&mut it).digests = [("web".into(), digest("c"))].into();
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.end().0, Outcome::Succeeded);
    assert!(it.end().2.contains("digest unverified: sha256:ccc"), "{}", it.end().2);
}

#[test]
fn a_rollout_of_another_definition_is_no_success() {
    let mut it = under_way();
    first(&mut it).definition = revision(9, "v9");
    it.rollout_is(RolloutState::Succeeded);
    let why = "ECS rolled out api:9, not api:2".to_owned();
    assert_eq!(it.end(), (Outcome::Failed, Some(Cause::Unknown), why));
    assert_eq!(it.settled(), [("m1", SettledBy::SetAside)]);
}

#[test]
fn a_rollout_that_fails_with_no_way_back_is_failed_at_once() {
    let mut it = under_way();
    image_cannot_be_pulled(&mut it);
    it.rollout_is(RolloutState::Failed);
    assert_eq!((it.end().0, it.end().1), (Outcome::Failed, Some(Cause::ImagePull)));
    assert_eq!((it.starts().len(), state(&it)), (1, LaneState::Idle));
}

#[test]
fn while_ecs_goes_back_the_lane_stays_busy() {
    let mut it = under_way();
    image_cannot_be_pulled(&mut it);
    it.rollout_is(RolloutState::RollingBack);
    it.pass(30);
    assert_eq!((it.outcomes().len(), it.settled().len(), state(&it)), (0, 0, LaneState::RollingBack));
    assert_eq!(it.planner.deployments()[0].stage, Stage::RollingBack);
    assert_eq!(it.planner.deployments()[0].cause, Some(Cause::ImagePull));
}

#[test]
fn a_rollback_that_ends_is_told_as_such_with_its_first_cause() {
    let mut it = under_way();
    image_cannot_be_pulled(&mut it);
    it.rollout_is(RolloutState::RollingBack);
    it.scene().stopped.clear();
    it.rollout_is(RolloutState::RolledBack);
    assert_eq!((it.end().0, it.end().1), (Outcome::RolledBack, Some(Cause::ImagePull)));
    assert_eq!(it.ended()[0].evidence.stopped_tasks.len(), 1);
    assert_eq!((it.starts().len(), it.settled()), (1, vec![("m1", SettledBy::SetAside)]));
}

#[test]
fn a_rollback_that_fails_is_failed() {
    let mut it = under_way();
    it.rollout_is(RolloutState::RollingBack);
    it.rollout_is(RolloutState::RollbackFailed);
    assert_eq!(it.outcomes(), [Outcome::Failed]);
}

#[test]
fn a_rollback_is_told_also_where_the_rollout_is_no_longer_listed() {
    let mut it = under_way();
    it.scene().rollouts.clear();
    it.scene().going_back = true;
    it.pass(10);
    assert_eq!((it.outcomes().len(), state(&it)), (0, LaneState::RollingBack));
    it.scene().going_back = false;
    it.pass(4);
    assert_eq!(it.outcomes(), [Outcome::RolledBack]);
    assert!(it.end().2.contains("api:2 is no longer rolled out, and api:1 runs"), "{}", it.end().2);
}

#[test]
fn a_rollout_that_is_gone_with_the_one_before_running_was_rolled_back() {
    let mut it = under_way();
    it.scene().rollouts.clear();
    it.pass(10);
    assert_eq!((it.outcomes(), it.starts().len()), (vec![Outcome::RolledBack], 1));
}

#[test]
fn a_rollout_that_is_too_young_to_be_listed_is_not_gone() {
    let mut it = Bench::new();
    it.unanswered.insert(Verb::Glance);
    it.receive("m1", [image("v2", 990)]);
    it.pass_ms(5_010);
    let hidden = std::mem::take(&mut it.scene().rollouts);
    it.unanswered.clear();
    let glance = it.glanced(&target(API));
    it.tell(glance);
    it.pass(3);
    assert_eq!(it.outcomes(), []);
    it.scene().rollouts = hidden;
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.outcomes(), [Outcome::Succeeded]);
}

#[test]
fn a_rollout_that_somebodys_newer_content_stopped_is_superseded() {
    let mut it = under_way();
    let ours = it.planner.deployments()[0].clone();
    replaced_by(&mut it, RolloutState::Stopped, rollout("x", 1008, revision(9, "hotfix")));
    assert_eq!(it.outcomes(), [], "theirs decides");
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.end().0, it.starts().len()), (Outcome::Superseded, 1));
    assert!(it.end().2.contains("moved to api:9"), "{}", it.end().2);
    let told = it.ended()[0].clone();
    let whose = |it: &DeploymentRecord| {
        (
            it.definition.clone(),
            it.previous_definition.clone(),
            it.rollout_id.clone(),
            it.registered,
            it.attempts,
        )
    };
    assert_eq!(whose(&told), whose(&ours), "theirs is none of it");
    assert!(told.registered && told.rollout.is_some());
}

#[test]
fn a_rollout_that_somebodys_refresh_of_the_same_stopped_lives_on_in_it() {
    let mut it = under_way();
    let theirs = Rollout { previous: None, ..rollout("x", 1008, first(&mut it).definition.clone()) };
    replaced_by(&mut it, RolloutState::Stopped, theirs);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.outcomes(), it.starts().len()), (vec![Outcome::Succeeded], 1));
}

#[test]
fn a_rollout_that_was_stopped_with_nothing_in_its_place_failed() {
    let mut it = under_way();
    first(&mut it).reason = "stopped by somebody".into();
    it.rollout_is(RolloutState::Stopped);
    assert_eq!(it.end(), (Outcome::Failed, Some(Cause::Unknown), "stopped by somebody".into()));
}

#[test]
fn a_rollout_that_was_complete_before_somebodys_took_its_place_says_so() {
    let mut it = under_way();
    replaced_by(&mut it, RolloutState::Succeeded, rollout("x", 1008, revision(9, "hotfix")));
    assert_eq!(it.end().0, Outcome::Superseded);
    assert!(it.end().2.contains("it was complete, and ecs-svc/x has taken its place"), "{}", it.end().2);
    assert_eq!(it.settled(), [("m1", SettledBy::Reality)]);
}

#[test]
fn without_progress_for_its_timeout_a_rollout_is_failed() {
    let mut it = under_way();
    let event = |second, text: &str| ServiceEvent { at: at(second), message: text.into() };
    it.scene().events = vec![event(1020, "web is unhealthy"), event(900, "too old")];
    it.pass(70);
    let (outcome, cause, reason) = it.end();
    assert_eq!((outcome, cause), (Outcome::Failed, Some(Cause::Timeout)));
    assert!(reason.starts_with("no progress for 60 s: 0 of 2 tasks run"), "{reason}");
    assert!(reason.ends_with("last: web is unhealthy"), "{reason}");
    assert_eq!(it.ended()[0].evidence.service_events.len(), 1);
    let finished = it.ended()[0].finished_at.unwrap();
    assert!(finished >= at(1065) && finished < at(1066), "{finished}");
}

#[test]
fn each_task_more_that_runs_is_progress_and_one_that_comes_back_is_not() {
    let mut it = under_way();
    it.pass(50);
    first(&mut it).tasks.running = 1;
    it.pass(50);
    assert_eq!(it.outcomes(), []);
    first(&mut it).tasks.running = 0;
    it.pass(5);
    first(&mut it).tasks.running = 1;
    it.pass(20);
    assert_eq!(it.end().1, Some(Cause::Timeout));
}

#[test]
fn after_the_service_was_scaled_progress_is_counted_anew() {
    let mut it = under_way();
    first(&mut it).tasks = Tasks { desired: 4, running: 3, ..Tasks::default() };
    it.pass(10);
    first(&mut it).tasks = Tasks { desired: 2, running: 1, ..Tasks::default() };
    it.pass(40);
    first(&mut it).tasks.running = 2;
    it.pass(50);
    assert_eq!(it.outcomes(), []);
    it.pass(15);
    assert_eq!(it.end().1, Some(Cause::Timeout));
}

#[test]
fn a_rollback_has_a_timeout_of_its_own() {
    let mut it = under_way();
    it.pass(50);
    it.rollout_is(RolloutState::RollingBack);
    it.pass(50);
    assert_eq!(it.outcomes(), []);
    it.pass(20);
    assert_eq!((it.end().0, it.end().1), (Outcome::Failed, Some(Cause::Timeout)));
}

#[test]
fn past_its_timeout_a_rollout_still_holds_the_lane_for_who_would_wait() {
    let mut it = under_way();
    it.settings.on_newer = OnNewer::Queue;
    it.pass(70);
    it.receive("m2", [image("v3", 1060)]);
    it.pass(60);
    assert_eq!((it.starts().len(), state(&it)), (1, LaneState::Blocked));
    it.rollout_is(RolloutState::RolledBack);
    assert_eq!(it.ordered_image().as_deref(), Some("v3"));
}

#[test]
fn past_its_timeout_a_rollout_gives_way_to_a_newer_one() {
    let mut it = under_way();
    it.pass(70);
    it.receive("m2", [image("v3", 1060)]);
    it.pass(10);
    assert_eq!((it.starts().len(), it.ordered_image().as_deref()), (2, Some("v3")));
    assert_eq!(it.ordered_base(), "api:1", "nothing is built on what makes no progress");
}

#[test]
fn somebodys_rollout_past_its_timeout_is_told_and_passed() {
    let mut it = Bench::new();
    it.settings.timeout = Duration::from_mins(1);
    it.scene().rollouts = vec![rollout("x", 985, revision(1, "v1"))];
    it.receive("m1", [image("v2", 990)]);
    it.pass(30);
    assert_eq!((it.starts().len(), state(&it)), (0, LaneState::Blocked));
    it.pass(30);
    assert_eq!(it.start_times(), [1_045_000]);
}

#[test]
fn a_service_that_is_not_there_fails_what_waits() {
    for (service, word) in [
        (ServiceState::Inactive, "INACTIVE"),
        (ServiceState::Draining, "DRAINING"),
        (ServiceState::Missing, "there is no service api in cluster shop"),
    ] {
        let mut it = Bench::new();
        it.scene().service = service;
        it.receive("m1", [restart(990)]);
        it.pass(6);
        assert_eq!((it.starts().len(), it.end().1), (0, Some(Cause::TargetMissing)));
        assert!(it.end().2.contains(word), "{}", it.end().2);
        assert_eq!(it.settled(), [("m1", SettledBy::SetAside)]);
    }
}

fn guessed(request: Request) -> Request {
    Request { guessed: true, ..request }
}

#[test]
fn a_guessed_name_that_no_service_has_asks_nothing() {
    for service in [ServiceState::Inactive, ServiceState::Draining, ServiceState::Missing] {
        let mut it = Bench::new();
        it.scene().service = service;
        it.scene().running = None;
        it.receive("push", [guessed(restart(990))]);
        it.pass(6);
        assert_eq!(it.settled(), [("push", SettledBy::NothingAsked)]);
        assert_eq!((it.starts().len(), it.outcomes()), (0, vec![]));
        assert_eq!(it.planner.targets().len(), 0, "a name that was made up leaves no trace");
    }
}

#[test]
fn a_guess_beside_a_request_by_name_leaves_that_to_fail() {
    for [first, second] in [["push", "request"], ["request", "push"]] {
        let mut it = Bench::new();
        it.scene().service = ServiceState::Missing;
        for (second, message) in [(990, first), (991, second)] {
            let request = if message == "push" { guessed(restart(second)) } else { restart(second) };
            it.receive(message, [request]);
        }
        it.pass(6);
        let (settled, newer) = (it.settled(), (first, SettledBy::Newer));
        assert_eq!(settled, [newer, (second, SettledBy::SetAside)]);
        assert_eq!(it.end().1, Some(Cause::TargetMissing));
    }
}

#[test]
fn a_guess_in_a_cluster_that_is_not_there_fails() {
    let mut it = Bench::new();
    let reason = "DescribeServices: ClusterNotFoundException".into();
    it.failing_looks.push_back(CallFailure { cause: Cause::TargetMissing, reason, remedy: Remedy::GiveUp });
    it.receive("push", [guessed(restart(990))]);
    it.pass(6);
    assert_eq!(it.settled(), [("push", SettledBy::SetAside)], "nobody guessed the cluster");
}

#[test]
fn a_service_that_goes_away_fails_its_rollout() {
    for service in [ServiceState::Inactive, ServiceState::Draining, ServiceState::Missing] {
        let mut it = under_way();
        it.scene().service = service;
        it.pass(4);
        assert_eq!((it.end().0, it.end().1), (Outcome::Failed, Some(Cause::TargetMissing)));
    }
}

#[test]
fn a_service_of_another_controller_is_left_alone() {
    let mut it = Bench::new();
    it.scene().service = ServiceState::OtherController("CODE_DEPLOY".into());
    it.receive("m1", [restart(990)]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.outcomes()), (0, vec![Outcome::Failed]));
    assert!(it.end().2.contains("CODE_DEPLOY"), "{}", it.end().2);
}

#[test]
fn what_another_lockkeeper_owns_is_refused_and_what_was_begun_before_is_watched_to_its_end() {
    let owned = || ServiceState::OfAnother("111122223333/eu-west-1/other".into());
    let mut it = Bench::new();
    it.scene().service = owned();
    it.receive("m1", [restart(990)]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.outcomes()), (0, vec![Outcome::Failed]));
    assert!(it.end().2.contains("queue 111122223333/eu-west-1/other"), "{}", it.end().2);

    let mut it = under_way();
    it.scene().service = owned();
    it.pass(10);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.outcomes(), [Outcome::Succeeded]);
}

#[test]
fn after_a_failure_the_lane_serves_what_waits() {
    let mut it = under_way();
    it.pass(10);
    it.receive("m2", [restart(1015)]);
    it.pass(10);
    it.rollout_is(RolloutState::RolledBack);
    assert_eq!((it.starts().len(), it.ordered_image()), (2, None), "the broken image is not part of it");
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.outcomes(), [Outcome::RolledBack, Outcome::Succeeded]);
}

#[test]
fn after_a_crash_a_rollback_of_ours_is_taken_up_as_such() {
    let mut it = under_way();
    it.rollout_is(RolloutState::RollingBack);
    it.crash();
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    assert_eq!((state(&it), it.planner.deployments()[0].stage), (LaneState::RollingBack, Stage::RollingBack));
    it.rollout_is(RolloutState::RolledBack);
    assert_eq!((it.outcomes(), it.starts().len()), (vec![Outcome::RolledBack], 1));
}
