//! A target that is not deployed any more while something waits for it.

use super::*;
use crate::domain::{
    Cause, HoldNote, LaneState, OnNewer, Outcome, Remedy, RolloutState, ServiceState, SettledBy,
};

const WHY: &str = "its owner says so";

fn refuse(it: &mut Bench, service: &str) {
    it.tell(Input::Refused { target: target(service), why: Some(WHY.into()) });
}

/// Nothing was started, and the message is gone, with the reason.
fn is_dropped(it: &mut Bench, messages: usize) {
    it.scene().rollouts.clear();
    it.pass(3_600);
    assert!(it.starts().is_empty());
    assert_eq!(it.dropped(), vec![format!("api is not deployed: {WHY}"); messages]);
    let by: Vec<SettledBy> = it.settled().into_iter().map(|(_, by)| by).collect();
    assert_eq!(by, vec![SettledBy::NothingAsked; messages]);
    let record = it.planner.target(&target(API)).map(|(record, _)| record.lane.state);
    assert!(record.is_none_or(|state| state == LaneState::Idle), "{record:?}");
}

#[test]
fn what_gathers_is_dropped_with_the_reason() {
    let mut it = Bench::new();
    it.receive("m", [restart(990)]);
    refuse(&mut it, API);
    is_dropped(&mut it, 1);
}

#[test]
fn what_waits_behind_somebodys_rollout_is_dropped_at_once() {
    let mut it = Bench::new();
    it.settings.on_newer = OnNewer::Queue;
    it.scene().rollouts = vec![ecs::rollout("theirs", 980, revision(1, "v1"))];
    it.receive("m1", [restart(990)]);
    it.receive("m2", [image("v2", 991)]);
    it.pass(60);
    refuse(&mut it, API);
    assert_eq!(it.settled().len(), 2);
    is_dropped(&mut it, 2);
}

#[test]
fn what_waits_for_the_end_of_a_pause_is_dropped() {
    let mut it = Bench::new();
    it.scene().holds.paused = Some(HoldNote::default());
    it.receive("m", [image("v2", 990)]);
    it.pass(60);
    refuse(&mut it, API);
    it.scene().holds.paused = None;
    is_dropped(&mut it, 1);
}

#[test]
fn what_is_being_looked_at_is_dropped() {
    let mut it = Bench::new();
    it.unanswered.insert(Verb::Look);
    it.receive("m", [image("v2", 990)]);
    it.pass(60);
    refuse(&mut it, API);
    let order = it.looks()[0].clone();
    let look = it.looked(&order);
    it.tell(look);
    is_dropped(&mut it, 1);
}

#[test]
fn what_waits_for_its_place_in_a_wave_is_dropped_and_leaves_the_place_to_others() {
    let mut it = Bench::new();
    (it.settings.max_parallel, it.settings.stop_after) = (1, 0);
    it.receive("m", ["a", "b", "c"].map(|service| of(service, restart(990))));
    it.pass(60);
    refuse(&mut it, "b");
    for service in ["a", "c"] {
        ecs::turn_to(it.scene_of(&target(service)), RolloutState::Succeeded);
        it.pass(60);
    }
    let started: Vec<&str> = it.starts().iter().map(|order| order.target.service().as_str()).collect();
    assert_eq!(started, ["a", "c"]);
    assert_eq!(it.deletions(), [[1]], "nothing is owed to b any more");
}

#[test]
fn a_rollout_of_ours_is_watched_to_its_end_and_what_waits_behind_it_is_dropped() {
    let mut it = Bench::new();
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    it.receive("m2", [image("v3", 1005)]);
    refuse(&mut it, API);
    it.rollout_is(RolloutState::Succeeded);
    it.pass(600);
    assert_eq!((it.starts().len(), it.outcomes()), (1, vec![Outcome::Succeeded]));
    assert_eq!(it.settled(), [("m2", SettledBy::NothingAsked), ("m1", SettledBy::Reality)]);
}

#[test]
fn what_was_to_be_tried_again_has_failed() {
    let mut it = Bench::new();
    it.jitter = Jitter(u16::MAX);
    it.failing_starts.push_back(transient(Remedy::Retry));
    it.receive("m", [image("v2", 990)]);
    it.pass(6);
    refuse(&mut it, API);
    it.pass(600);
    let (outcome, _, reason) = it.end();
    assert_eq!((it.starts().len(), outcome), (1, Outcome::Failed));
    assert_eq!(
        reason,
        format!("UpdateService: slow down; it is not tried again: api is not deployed: {WHY}")
    );
    assert_eq!((it.ended().len(), it.settled()), (1, vec![("m", SettledBy::SetAside)]));
}

#[test]
fn a_start_whose_answer_was_lost_is_found_and_watched_to_its_end() {
    let mut it = Bench::new();
    it.unanswered.insert(Verb::Start);
    it.receive("m", [image("v2", 990)]);
    it.pass(6);
    let order = it.starts()[0].clone();
    drop(it.started(&order));
    it.tell(Input::Started { target: target(API), started: Err(transient(Remedy::LookFirst)) });
    refuse(&mut it, API);
    it.pass(60);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), it.outcomes()), (1, vec![Outcome::Succeeded]));
}

#[test]
fn what_is_asked_for_once_it_is_deployed_again_is_started() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990)]);
    refuse(&mut it, API);
    it.receive("m2", [restart(995)]);
    it.pass(60);
    assert_eq!(it.starts().len(), 1);
}

#[test]
fn what_it_made_needless_is_dropped_with_it() {
    let mut it = Bench::new();
    it.is_again = true;
    it.receive("m1", [image("v2", 990)]);
    it.receive("m2", [image("v3", 991)]);
    refuse(&mut it, API);
    is_dropped(&mut it, 2);
}

/// Somebody paused it before, so that its lane remembers something.
fn forgotten(it: &mut Bench, why: Option<&str>) {
    it.scene().holds.paused = Some(HoldNote::default());
    it.receive("m", [image("v2", 990)]);
    it.pass(60);
    it.tell(Input::Forgotten { target: target(API), why: why.map(Into::into) });
}

#[test]
fn what_waits_for_a_target_that_is_excluded_by_now_is_dropped_and_nothing_of_it_is_remembered() {
    let mut it = Bench::new();
    forgotten(&mut it, Some(WHY));
    assert!(!it.planner.knows(&target(API)));
    it.scene().holds.paused = None;
    is_dropped(&mut it, 1);
}

#[test]
fn what_waits_for_a_service_that_is_gone_fails_by_what_ecs_shows() {
    let mut it = Bench::new();
    forgotten(&mut it, None);
    assert!(it.dropped().is_empty() && it.planner.knows(&target(API)));
    it.scene().service = ServiceState::Missing;
    it.pass(3_600);
    assert_eq!((it.outcomes(), it.starts().len()), (vec![Outcome::Failed], 0));
    assert!(!it.planner.knows(&target(API)));
}

#[test]
fn what_waits_behind_a_pause_fails_at_once_when_its_service_is_gone() {
    let mut it = Bench::new();
    it.scene().holds.paused = Some(HoldNote::default());
    it.receive("m", [image("v2", 990)]);
    it.pass(60);
    it.scene().service = ServiceState::Missing;
    it.tell(Input::Forgotten { target: target(API), why: None });
    assert_eq!((it.outcomes(), it.end().1), (vec![Outcome::Failed], Some(Cause::TargetMissing)));
}

#[test]
fn a_rollout_of_an_excluded_target_is_watched_to_its_end_and_then_it_is_forgotten() {
    let mut it = Bench::new();
    it.receive("m", [restart(990)]);
    it.pass(10);
    it.tell(Input::Forgotten { target: target(API), why: Some(WHY.into()) });
    assert!(it.planner.knows(&target(API)));
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.outcomes(), [Outcome::Succeeded]);
    assert!(!it.planner.knows(&target(API)));
}

#[test]
fn nobody_is_remembered_because_it_is_forgotten() {
    let mut it = Bench::new();
    it.tell(Input::Forgotten { target: target(API), why: None });
    assert!(!it.planner.knows(&target(API)));
}
