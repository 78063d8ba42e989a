//! How rollouts end, row by row.

use crate::domain::{Cause, LaneState, OnNewer, Outcome, RolloutState, RolloutState::*, ServiceState, Tasks};
use crate::plan::{Input, testing::*};

/// A refresh whose rollout `ecs-svc/101` is in progress.
fn under_way() -> Story {
    let mut story = Story::new();
    story.rolling_out(restart(10), 101, view(1, "latest"));
    story
}

fn ended_by(state: RolloutState) -> Story {
    let mut story = under_way();
    story.judged(101, look(110, vec![rollout(101, view(1, "latest"), state)]));
    story
}

#[test]
fn complete_and_primary_is_succeeded() {
    let story = ended_by(Succeeded);
    assert_eq!(story.end(), (Outcome::Succeeded, None));
    assert_eq!(story.deleted(), [1]);
    assert!(story.reason().contains("2 of 2 tasks run"), "{}", story.reason());
}

#[test]
fn a_service_without_tasks_succeeds_and_says_so() {
    let mut story = under_way();
    let mut done = rollout(101, view(1, "latest"), Succeeded);
    done.tasks = Tasks::default();
    story.judged(101, look(110, vec![done]));
    assert_eq!(story.end(), (Outcome::Succeeded, None));
    assert!(story.reason().starts_with("0 tasks"), "{}", story.reason());
}

#[test]
fn an_unknown_digest_is_told_as_unverified() {
    let mut story = Story::new();
    story.rolling_out(pin(10, "v1"), 101, marked(view(2, "v1"), 10));
    story.judged(101, look(110, vec![rollout(101, marked(view(2, "v1"), 10), Succeeded)]));
    assert_eq!(story.end().0, Outcome::Succeeded);
    assert!(story.reason().contains("digest unverified"), "{}", story.reason());
}

#[test]
fn a_digest_that_runs_as_asked_needs_no_word() {
    let mut story = Story::new();
    story.rolling_out(pin(10, "v1"), 101, marked(view(2, "v1"), 10));
    let mut done = rollout(101, marked(view(2, "v1"), 10), Succeeded);
    done.digests = digests("v1");
    story.judged(101, look(110, vec![done]));
    assert!(!story.reason().contains("unverified"), "{}", story.reason());
}

#[test]
fn failed_without_a_way_back_is_failed_at_once() {
    for state in [Failed, RollbackFailed, Stopped] {
        let story = ended_by(state);
        assert_eq!(story.end(), (Outcome::Failed, Some(Cause::Unknown)), "{state:?}");
        assert!(story.deleted().is_empty(), "it is set aside first");
        assert_eq!(story.letters().len(), 1);
    }
}

#[test]
fn going_back_keeps_the_lane_busy_and_ends_rolled_back() {
    let mut story = ended_by(RollingBack);
    assert!(story.ends().is_empty());
    assert_eq!(story.planner.targets()[0].lane.state, LaneState::RollingBack);
    story.sleep().judged(101, look(120, vec![rollout(101, view(1, "latest"), RolledBack)]));
    assert_eq!(story.end().0, Outcome::RolledBack);
}

#[test]
fn a_rollback_that_is_listed_no_more_ends_rolled_back_too() {
    let mut story = Story::new();
    story.rolling_out(pin(10, "v1"), 101, marked(view(2, "v1"), 10));
    let mut going_back = look(110, Vec::new());
    going_back.going_back = true;
    story.judged(101, going_back);
    assert!(story.ends().is_empty());
    story.sleep().judged(101, look(120, Vec::new()));
    assert_eq!(story.end().0, Outcome::RolledBack);
}

#[test]
fn a_rollout_that_is_not_listed_yet_is_not_gone() {
    let mut story = under_way();
    story.judged(101, look(101, Vec::new()));
    assert!(story.ends().is_empty(), "reads may be stale");
    story.wait(10).judged(101, look(111, Vec::new()));
    assert_eq!(story.end().0, Outcome::Failed);
}

#[test]
fn somebodys_rollout_in_its_place_is_judged_by_what_it_carries() {
    let mut story = under_way();
    let mut ours = rollout(101, view(1, "latest"), Stopped);
    ours.primary = false;
    let theirs = rollout(105, view(1, "latest"), InProgress);
    story.judged(101, look(110, vec![theirs, ours]));
    assert!(story.ends().is_empty());
    story.sleep().judged(105, look(120, vec![rollout(105, view(1, "latest"), Succeeded)]));
    assert_eq!(story.end().0, Outcome::Succeeded);
}

#[test]
fn somebodys_content_in_its_place_supersedes_it() {
    let mut story = Story::new();
    story.rolling_out(pin(10, "v1"), 101, marked(view(2, "v1"), 10));
    let mut ours = rollout(101, marked(view(2, "v1"), 10), Stopped);
    ours.primary = false;
    let theirs = rollout(105, view(7, "theirs"), Succeeded);
    story.judged(101, running(look(110, vec![theirs, ours]), view(7, "theirs"), "theirs"));
    assert_eq!(story.end().0, Outcome::Superseded);
    assert!(story.reason().contains("f:7"), "{}", story.reason());
    assert!(story.start().is_none());
}

#[test]
fn success_is_not_said_of_a_rollout_that_is_not_primary_any_more() {
    let mut story = under_way();
    let mut ours = rollout(101, view(1, "latest"), Succeeded);
    ours.primary = false;
    story.judged(101, look(110, vec![rollout(105, view(7, "theirs"), InProgress), ours]));
    assert_eq!(story.end().0, Outcome::Superseded);
    assert_eq!(story.deleted(), [1], "it was complete");
}

#[test]
fn a_service_that_is_gone_is_target_missing() {
    for service in [ServiceState::Inactive, ServiceState::Draining, ServiceState::Missing] {
        let mut story = under_way();
        let mut seen = look(110, Vec::new());
        seen.service = service;
        story.judged(101, seen);
        assert_eq!(story.end(), (Outcome::Failed, Some(Cause::TargetMissing)));
    }
}

#[test]
fn no_progress_for_the_timeout_is_failed_and_the_lane_stays_occupied() {
    let mut story = under_way();
    story.glanced(101, true, Tasks { desired: 2, running: 0, pending: 2, failed: 0 });
    story.wait(30 * 60 + 1);
    assert!(story.look().is_some_and(|order| order.evidence));
    let stuck = || look(2_000, vec![rollout(101, view(1, "latest"), InProgress)]);
    story.looked(stuck());
    assert_eq!(story.end(), (Outcome::Failed, Some(Cause::Timeout)));
    let queue = |request| with(request, |it| it.on_newer = OnNewer::Queue);
    story.receive(2, vec![queue(restart(1_900))]).looked(stuck());
    assert!(story.start().is_none());
    assert_eq!(story.planner.targets()[0].lane.state, LaneState::Blocked);
}

#[test]
fn a_healthy_task_is_progress_and_one_that_flaps_is_not() {
    let tasks = |running| Tasks { desired: 2, running, pending: 0, failed: 0 };
    let outlives = |second: u32| {
        let mut story = under_way();
        story.glanced(101, true, tasks(1));
        story.clock += 29 * 60 * 1_000;
        story.tell(Input::Wakeup);
        story.glanced(101, true, tasks(0)).sleep().glanced(101, true, tasks(second));
        story.wait(2 * 60);
        story.look().is_none()
    };
    assert!(outlives(2));
    assert!(!outlives(1));
}

#[test]
fn a_rollback_that_makes_no_progress_times_out_as_well() {
    let mut story = ended_by(RollingBack);
    story.wait(31 * 60).looked(look(2_000, vec![rollout(101, view(1, "latest"), RollingBack)]));
    assert_eq!(story.end(), (Outcome::Failed, Some(Cause::Timeout)));
}

#[test]
fn a_timeout_goes_on_where_it_stood_after_a_crash() {
    let mut story = Story::new();
    let mut stuck = rollout(101, view(1, "latest"), InProgress);
    stuck.tasks.running = 1;
    story.receive(1, vec![restart(10)]).looked(look(101 + 29 * 60, vec![stuck.clone()]));
    story.wait(61);
    story.looked(look(101 + 31 * 60, vec![stuck]));
    assert_eq!(story.end(), (Outcome::Failed, Some(Cause::Timeout)));
}

#[test]
fn a_dry_run_starts_nothing_and_says_what_it_would_have() {
    let mut story = Story::new();
    story.receive(1, vec![with(pin(10, "v1"), |it| it.dry_run = true)]).looked(look(100, Vec::new()));
    assert!(story.start().is_none());
    assert_eq!(story.end().0, Outcome::DryRun);
    assert!(story.reason().contains("web=shop/web:v1"), "{}", story.reason());
    assert_eq!(story.deleted(), [1]);
}
