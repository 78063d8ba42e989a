//! Every deadline that is acted on is told by `next_wakeup`, and the loop need do nothing in between.

use std::time::Duration;

use super::*;
use crate::domain::{LaneState, OnNewer, Outcome, Remedy, RolloutState};

fn wakes_at(it: &Bench) -> Option<u64> {
    it.planner.next_wakeup().map(Moment::as_millis)
}

fn state(it: &Bench) -> LaneState {
    it.planner.targets()[0].lane.state
}

#[test]
fn a_planner_with_nothing_to_do_wants_no_wakeup() {
    let it = Bench::new();
    assert_eq!((wakes_at(&it), it.planner.held(), it.planner.targets().len()), (None, 0, 0));
}

#[test]
fn the_end_of_the_quiet_time_is_told() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990)]);
    assert_eq!((wakes_at(&it), state(&it)), (Some(1_005_000), LaneState::Quiet));
}

#[test]
fn while_an_answer_is_awaited_only_the_hold_wakes() {
    for verb in [Verb::Look, Verb::Start, Verb::Glance] {
        let mut it = Bench::new();
        it.unanswered.insert(verb);
        it.receive("m1", [restart(990)]);
        it.pass(6);
        let half = Duration::from_hours(6).as_millis();
        assert_eq!(wakes_at(&it), Some(1_000_000 + u64::try_from(half).unwrap()), "{verb:?}");
    }
}

#[test]
fn the_second_after_a_change_is_told() {
    let mut it = Bench::new();
    it.settings.quiet = Duration::ZERO;
    it.receive("m1", [restart(1000)]);
    assert_eq!((wakes_at(&it), state(&it)), (Some(1_001_000), LaneState::BackingOff));
}

#[test]
fn the_end_of_a_delay_is_told() {
    let mut it = Bench::new();
    it.failing_starts.push_back(transient(Remedy::LookFirst));
    it.receive("m1", [restart(990)]);
    it.pass(5);
    assert_eq!((wakes_at(&it), state(&it)), (Some(1_013_000), LaneState::BackingOff));
    let lane = it.planner.targets()[0].lane.clone();
    assert_eq!(
        (lane.until, lane.why.as_deref()),
        (Some(Moment::from_millis(1_013_000)), Some("UpdateService: slow down"))
    );
}

#[test]
fn the_next_glance_is_told() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990)]);
    it.pass(5);
    assert_eq!((wakes_at(&it), state(&it)), (Some(1_005_005), LaneState::Watching));
    it.pass_ms(5);
    assert_eq!(wakes_at(&it), Some(1_005_015));
}

#[test]
fn a_rollouts_timeout_is_told_where_it_comes_before_the_next_glance() {
    let mut it = Bench::new();
    it.settings.timeout = Duration::from_millis(1_300);
    it.scene().desired = 0;
    it.receive("m1", [restart(990)]);
    it.pass(6);
    it.pass_ms(299);
    assert_eq!((wakes_at(&it), it.outcomes().len()), (Some(1_006_300), 0));
    it.pass_ms(1);
    assert_eq!(it.outcomes(), [Outcome::Failed]);
}

#[test]
fn an_extension_and_the_end_of_a_hold_are_told() {
    let mut it = Bench::with(PlanSettings::new(Duration::from_mins(1)));
    it.settings.quiet = Duration::from_secs(50);
    it.unanswered.insert(Verb::Extend);
    it.receive("m1", [restart(990)]);
    assert_eq!(wakes_at(&it), Some(1_030_000));
    it.unanswered.insert(Verb::Look);
    it.pass(55);
    assert_eq!(wakes_at(&it), Some(1_060_000));
}

#[test]
fn letters_and_deletions_to_be_repeated_are_told() {
    let mut it = Bench::new();
    it.failing_letters = 1;
    it.failing_deletions = 1;
    it.arrive("m1", "m1", Asks::Unknown { reason: "no JSON".into(), version: at(990) });
    assert_eq!((wakes_at(&it), it.letters().len()), (Some(1_001_000), 1));
    it.pass(1);
    assert_eq!((wakes_at(&it), it.deletions().len()), (Some(1_002_000), 1));
    it.pass(1);
    assert_eq!((wakes_at(&it), it.planner.held()), (None, 0));
}

#[test]
fn of_many_deadlines_the_earliest_is_told() {
    let mut it = Bench::new();
    it.receive("m1", [of("web", restart(990))]);
    it.pass(2);
    it.receive("m2", [restart(990)]);
    assert_eq!(wakes_at(&it), Some(1_005_000));
    it.unanswered.insert(Verb::Look);
    it.pass(4);
    assert_eq!(wakes_at(&it), Some(1_007_000));
}

#[test]
fn waking_early_changes_nothing() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990)]);
    let before = (it.planner.clone(), it.log.len());
    for _ in 0..4 {
        it.now = it.now + Duration::from_secs(1);
        it.tell(Input::Wakeup);
    }
    assert_eq!((it.planner.clone(), it.log.len()), before);
}

#[test]
fn waking_late_does_all_that_was_due() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990)]);
    it.receive("m2", [of("web", restart(990))]);
    it.now = it.now + Duration::from_hours(1);
    it.tell(Input::Wakeup);
    assert_eq!(it.starts().len(), 2);
}

#[test]
fn an_answer_that_nobody_awaits_changes_nothing() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990)]);
    it.pass(6);
    let (look, order) = (it.looks()[0].clone(), it.starts()[0].clone());
    let before = it.planner.clone();
    let glance = it.glanced(&target(API));
    it.tell(glance);
    it.tell(Input::Started { target: order.target, started: Err(transient(Remedy::GiveUp)) });
    let stranger = target("nobody");
    it.tell(Input::Looked { target: stranger.clone(), look: Err(transient(Remedy::GiveUp)) });
    it.tell(Input::Extended { leases: vec![LeaseId(99)], until: it.now });
    it.tell(Input::Deleted(vec![LeaseId(99)]));
    it.tell(Input::SetAside { lease: LeaseId(99), target: Some(look.target), done: true });
    assert_eq!(it.planner, before);
}

#[test]
fn a_lane_tells_each_of_its_states() {
    use LaneState::{Idle, Looking, Quiet, RollingBack, Starting, Watching};
    let mut it = Bench::new();
    it.unanswered = [Verb::Look, Verb::Start].into();
    it.receive("m1", [image("v2", 990)]);
    let mut states = vec![state(&it)];
    it.pass(6);
    states.push(state(&it));
    let order = it.looks()[0].clone();
    let answer = it.looked(&order);
    it.tell(answer);
    states.push(state(&it));
    let order = it.starts()[0].clone();
    it.unanswered.clear();
    let answer = it.started(&order);
    it.tell(answer);
    states.push(state(&it));
    it.rollout_is(RolloutState::RollingBack);
    states.push(state(&it));
    it.rollout_is(RolloutState::RolledBack);
    states.push(state(&it));
    assert_eq!(states, [Quiet, Looking, Starting, Watching, RollingBack, Idle]);
}

#[test]
fn a_long_story_comes_to_rest_by_its_wakeups_alone() {
    let mut it = Bench::with(PlanSettings::new(Duration::from_mins(1)));
    it.settings.on_newer = OnNewer::Interrupt;
    it.failing_starts = [transient(Remedy::Retry), transient(Remedy::LookFirst)].into();
    it.failing_letters = 1;
    it.failing_deletions = 1;
    it.receive("m1", [image("v2", 990), of("web", restart(990))]);
    it.pass(40);
    it.receive("m2", [image("v3", 1035)]);
    it.pass(40);
    it.rollout_is(RolloutState::RollingBack);
    it.receive("m3", [restart(1080)]);
    it.pass(100);
    it.rollout_is(RolloutState::RolledBack);
    it.pass(10);
    ecs::turn_to(it.scene_of(&target("web")), RolloutState::Succeeded);
    it.rollout_is(RolloutState::Succeeded);
    it.pass(10);
    assert_eq!((it.planner.held(), wakes_at(&it), it.lost()), (0, None, 0));
    assert_eq!((it.planner.deployments().len(), it.letters().len()), (0, 2));
}
