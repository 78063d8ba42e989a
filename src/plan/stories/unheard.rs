//! Starts whose answers were lost: what ECS shows afterwards tells what became of them.

use super::*;
use crate::domain::{Outcome, Remedy, RolloutState};

/// The image `v2` was asked for; ECS started it at second 1005, and the answer was lost.
fn unheard() -> Bench {
    let mut it = Bench::new();
    it.unanswered.insert(Verb::Start);
    it.receive("m1", [image("v2", 990)]);
    it.pass(5);
    it.unanswered.clear();
    let order = it.starts()[0].clone();
    it.started(&order);
    it.tell(Input::Started { target: order.target, started: Err(transient(Remedy::LookFirst)) });
    it
}

#[test]
fn what_was_started_unheard_and_is_complete_is_a_success_of_ours() {
    let mut it = unheard();
    it.rollout_is(RolloutState::Succeeded);
    it.pass(10);
    assert_eq!((it.starts().len(), it.end().0), (1, Outcome::Succeeded));
    assert!(it.end().2.contains("the answer to its start was lost"), "{:?}", it.end());
    let ended = it.ended()[0];
    assert_eq!(ended.rollout_id.as_ref().map(crate::domain::RolloutId::as_str), Some("ecs-svc/r1"));
    assert_eq!((ended.attempts, ended.tasks.running), (1, 2));
}

#[test]
fn what_was_started_unheard_and_goes_on_is_watched_as_ours() {
    let mut it = unheard();
    it.pass(10);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), it.end().0), (1, Outcome::Succeeded));
    assert!(!it.end().2.contains("in progress"), "nobody else started it: {:?}", it.end());
}

#[test]
fn what_somebody_started_is_said_to_be_carried_by_that() {
    let mut it = Bench::new();
    it.scene().rollouts = vec![ecs::rollout("theirs", 995, revision(1, "v1"))];
    it.receive("m1", [restart(990)]);
    it.pass(6);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), it.end().0), (0, Outcome::Succeeded));
    assert!(it.end().2.contains("who began it is not known"), "{:?}", it.end());
}

#[test]
fn what_ran_before_the_attempt_is_no_success_of_it() {
    let mut it = Bench::new();
    it.failing_starts.push_back(transient(Remedy::LookFirst));
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    assert_eq!(it.starts().len(), 1);
    let mut before = ecs::rollout("before", 1_000, revision(2, "v2"));
    before.digests = [("web".into(), digest("2"))].into();
    it.scene().rollouts = vec![before];
    it.rollout_is(RolloutState::Succeeded);
    it.pass(10);
    assert_eq!((it.starts().len(), it.end().0), (1, Outcome::AlreadyRunning));
}

#[test]
fn ours_that_nobody_saw_complete_is_no_success_once_another_has_followed_it() {
    let mut it = Bench::new();
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    it.crash();
    ecs::turn_to(it.scene(), RolloutState::Succeeded);
    let mut later = it.scene().rollouts[0].clone();
    (later.id, later.created_at) = (ecs::key("later"), at(1_008));
    later.previous = Some(later.definition.clone());
    later.definition.id = "api:3".parse().unwrap();
    later.definition.marks.deployment = Some("d-other".into());
    it.scene().rollouts[0].primary = false;
    it.scene().rollouts.insert(0, later);
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.outcomes()), (1, vec![Outcome::AlreadyRunning]));
}
