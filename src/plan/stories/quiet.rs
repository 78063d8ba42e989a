//! When a lane begins: after its quiet time, and not before evidence could be told from what is too old.

use std::time::Duration;

use super::*;
use crate::domain::{LaneState, RolloutState};

fn impatient() -> Bench {
    let mut it = Bench::new();
    it.settings.quiet = Duration::ZERO;
    it
}

#[test]
fn a_lane_looks_once_its_quiet_time_is_over() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990)]);
    it.pass_ms(4_999);
    assert_eq!(it.looks().len(), 0);
    it.pass_ms(1);
    assert_eq!(it.look_times(), [1_005_000]);
}

#[test]
fn each_request_extends_the_quiet_time() {
    let mut it = Bench::new();
    for n in 0..3 {
        it.receive(&format!("m{n}"), [restart(990)]);
        it.pass(4);
    }
    it.pass(10);
    assert_eq!(it.look_times()[0], 1_008_000 + 5_000);
}

#[test]
fn the_quiet_time_lasts_a_minute_at_most() {
    let mut it = Bench::new();
    for n in 0..30 {
        it.receive(&format!("m{n}"), [restart(970 + n)]);
        it.pass(4);
    }
    assert_eq!(it.look_times()[0], 1_060_000);
}

#[test]
fn without_a_quiet_time_the_look_is_ordered_in_the_same_turn() {
    let mut it = impatient();
    it.receive("m1", [restart(990)]);
    assert_eq!((it.look_times(), it.start_times()), (vec![1_000_000], vec![1_000_000]));
}

#[test]
fn another_lane_is_not_held_up_by_a_quiet_one() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990)]);
    it.pass(3);
    it.receive("m2", [of("web", restart(990))]);
    it.pass(3);
    let looked: Vec<&str> = it.looks().iter().map(|order| order.target.service().as_str()).collect();
    assert_eq!(looked, ["api"]);
}

#[test]
fn what_joins_while_the_look_is_under_way_is_deployed_with_it() {
    let mut it = Bench::new();
    it.unanswered.insert(Verb::Look);
    it.receive("m1", [restart(990)]);
    it.pass(5);
    it.receive("m2", [image("v2", 1001)]);
    let order = it.looks()[0].clone();
    let answer = it.looked(&order);
    it.tell(answer);
    assert_eq!((it.starts().len(), it.ordered_image().as_deref()), (1, Some("v2")));
}

#[test]
fn a_look_that_did_not_look_for_what_joined_since_is_taken_again() {
    let mut it = Bench::new();
    it.scene().wanted = Some(Ok(revision(2, "v1")));
    it.unanswered.insert(Verb::Look);
    it.receive("m1", [restart(990)]);
    it.pass(5);
    it.receive("m2", [definition("api:2", 1001)]);
    let order = it.looks()[0].clone();
    it.unanswered.clear();
    let answer = it.looked(&order);
    it.tell(answer);
    let wanted: Vec<bool> = it.looks().iter().map(|order| order.wanted.is_some()).collect();
    assert_eq!((wanted, it.ordered_base().as_str()), (vec![false, true], "api:2"));
}

#[test]
fn a_look_asks_for_rollouts_since_the_oldest_of_versions_and_floors() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990)]);
    it.receive("m2", [replayed(999, image("v2", 980))]);
    it.pass(5);
    assert_eq!(it.looks()[0].since, at(980));
}

#[test]
fn freshness_waits_until_a_rollout_is_surely_later_than_the_change() {
    let mut it = impatient();
    it.receive("m1", [restart(1000)]);
    it.pass_ms(999);
    assert_eq!(it.starts().len(), 0);
    it.pass(5);
    assert_eq!(it.start_times(), [1_001_000]);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.settled().len(), 1);
}

#[test]
fn a_second_after_the_change_freshness_waits_for_nothing() {
    let mut it = impatient();
    it.receive("m1", [restart(999)]);
    assert_eq!(it.start_times(), [1_000_000]);
}

#[test]
fn a_followed_image_of_unknown_digest_waits_as_freshness_does() {
    let mut it = impatient();
    it.receive("m1", [followed("v1", None, 1000)]);
    it.pass(5);
    assert_eq!(it.start_times(), [1_001_000]);
}

#[test]
fn content_and_a_followed_digest_wait_for_nothing() {
    for request in [image("v2", 1000), followed("v1", Some(digest("a")), 1000)] {
        let mut it = impatient();
        it.receive("m1", [request]);
        assert_eq!(it.start_times(), [1_000_000]);
    }
}

#[test]
fn no_rollout_is_started_before_the_process_may() {
    let mut settings = PlanSettings::new(Duration::from_hours(12));
    settings.start_after = Moment::from_millis(1_010_000);
    let mut it = Bench::with(settings);
    it.receive("m1", [restart(990)]);
    it.pass(6);
    let lane = it.planner.targets()[0].lane.clone();
    assert_eq!(lane.state, LaneState::BackingOff);
    assert!(lane.why.is_some_and(|why| why.contains("just started")));
    it.pass(6);
    assert_eq!(it.start_times(), [1_010_000]);
}

#[test]
fn what_is_in_progress_is_adopted_before_the_process_may_start_anything() {
    let mut settings = PlanSettings::new(Duration::from_hours(12));
    settings.start_after = Moment::from_millis(2_000_000);
    let mut it = Bench::with(settings);
    it.scene().rollouts = vec![rollout("x", 995, revision(1, "v1"))];
    it.receive("m1", [restart(990)]);
    it.pass(6);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.settled().len(), it.starts().len()), (1, 0));
}
