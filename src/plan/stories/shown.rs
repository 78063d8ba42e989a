//! What is shown of a lane, and what it is not woken for.

use super::*;
use crate::domain::{DeploymentRecord, LaneState, Remedy, Request, RolloutState};

fn shown(it: &Bench) -> (LaneState, Option<String>) {
    let lane = it.planner.targets()[0].lane.clone();
    (lane.state, lane.why)
}

#[test]
fn while_more_may_come_that_is_said() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990)]);
    assert_eq!(shown(&it), (LaneState::Quiet, Some("more may come".into())));
    it.pass(6);
    assert_eq!(shown(&it), (LaneState::Watching, None));
}

#[test]
fn a_lane_at_rest_says_nothing() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990)]);
    it.pass(6);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(shown(&it), (LaneState::Idle, None));
}

#[test]
fn what_waits_is_shown_with_what_runs_and_why_it_waits() {
    let mut it = Bench::new();
    it.scene().rollouts = vec![ecs::rollout("theirs", 980, revision(1, "v1"))];
    it.receive("m1", [image("v2", 990)]);
    it.receive("m2", [restart(991)]);
    it.pass(6);
    let shown: Vec<DeploymentRecord> = it.planner.deployments();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].previous_definition.as_ref().map(ToString::to_string), Some("api:1".into()));
    assert_eq!(shown[0].reason.as_deref(), Some("ecs-svc/theirs is in progress"));
    assert_eq!((shown[0].requested_at, shown[0].version), (at(990), at(991)));
    assert_eq!(it.planner.targets()[0].lane.waiting, 2);
}

#[test]
fn a_definition_that_is_registered_for_a_deployment_is_told_apart_from_one_that_was_there() {
    let registered = |request: Request| {
        let mut it = Bench::new();
        it.receive("m1", [request]);
        it.pass(6);
        let before = it.planner.deployments()[0].registered;
        it.rollout_is(RolloutState::Succeeded);
        (before, it.ended()[0].registered)
    };
    assert_eq!(registered(image("v2", 990)), (true, true));
    assert_eq!(registered(restart(990)), (false, false));
}

#[test]
fn one_that_is_taken_over_after_a_crash_keeps_the_definition_that_was_registered_for_it() {
    let mut it = Bench::new();
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    it.crash();
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    let shown = it.planner.deployments();
    assert_eq!((shown.len(), shown[0].adopted.is_some(), shown[0].registered), (1, true, true));
}

#[test]
fn who_waits_before_looking_again_is_not_woken_early() {
    let mut it = Bench::new();
    it.failing_looks.push_back(transient(Remedy::Retry));
    it.receive("m1", [restart(990)]);
    it.pass(5);
    assert_eq!((it.looks().len(), shown(&it).0), (1, LaneState::BackingOff));
    it.tell(Input::Hint(target(API)));
    it.tell(Input::Wakeup);
    it.receive("m2", [of("web", restart(990))]);
    it.pass_ms(999);
    assert_eq!(it.looks().len(), 1);
    it.pass_ms(1);
    assert_eq!(it.looks().len(), 2);
}

#[test]
fn a_newer_request_wakes_nobody_who_waits_before_looking_again() {
    let mut it = Bench::new();
    it.jitter = Jitter(u16::MAX);
    it.failing_starts.push_back(transient(Remedy::Retry));
    it.settings.quiet = Duration::from_secs(1);
    it.receive("m1", [restart(990)]);
    it.pass(2);
    let until = it.planner.targets()[0].lane.until.unwrap();
    it.receive("m2", [restart(1_001)]);
    it.pass(2);
    assert_eq!((it.looks().len(), shown(&it).0), (1, LaneState::BackingOff), "it waits until then");
    it.pass_ms((until.since(it.now)).as_millis().try_into().unwrap());
    assert_eq!((it.looks().len(), it.starts().len()), (2, 2));
}

#[test]
fn a_rollout_is_not_glanced_at_twice_at_a_time() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990), of("web", restart(990))]);
    it.pass(20);
    it.unanswered.insert(Verb::Glance);
    it.pass(4);
    let (glances, web) = (it.glances().len(), target("web"));
    let answer = it.glanced(&web);
    it.unanswered.clear();
    it.tell(answer);
    let next = it.planner.next_wakeup().unwrap();
    it.settings.quiet = Duration::from_millis(50) + next.since(it.now);
    it.receive("m2", [restart(1_020)]);
    it.pass(3);
    let seen: Vec<usize> = it.glances()[glances..].iter().map(|batch| batch.len()).collect();
    assert_eq!(seen, [1], "that of `api` is still under way, whatever else it has to do");
}
