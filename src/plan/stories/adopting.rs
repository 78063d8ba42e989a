//! Rollouts that were taken over: whose they are, and when they began and ended.

use super::*;
use crate::domain::{Adopted, Outcome, RolloutState};

#[test]
fn what_was_adopted_is_timed_from_when_ecs_created_it() {
    let mut it = Bench::new();
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    let created = it.scene().rollouts[0].created_at;
    it.crash();
    it.pass(120);
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    let (_, under_way) = it.planner.target(&target(API)).unwrap();
    let under_way = under_way.first.unwrap();
    assert_eq!((under_way.started_at, under_way.attempts), (Some(created), 1));
    assert_eq!(under_way.adopted, Some(Adopted::Ours));
    assert!(under_way.reason.unwrap().contains("was adopted in progress"));
    it.rollout_is(RolloutState::Succeeded);
    let ended = it.ended()[0].clone();
    assert_eq!(
        (ended.outcome, ended.started_at, ended.attempts),
        (Some(Outcome::Succeeded), Some(created), 1)
    );
    assert!(ended.finished_at.unwrap().since(created) >= Duration::from_mins(2));
}

#[test]
fn what_failed_before_its_message_came_back_began_and_ended_when_ecs_says() {
    let mut it = Bench::new();
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    it.crash();
    it.rollout_is(RolloutState::RolledBack);
    let rollout = it.scene().rollouts[0].clone();
    it.pass(600);
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    let told = it.ended()[0].clone();
    assert_eq!(told.outcome, Some(Outcome::RolledBack));
    assert_eq!((told.started_at, told.finished_at), (Some(rollout.created_at), Some(rollout.updated_at)));
    assert_eq!((told.rollout, told.adopted, told.attempts), (Some(rollout.id), Some(Adopted::Ours), 1));
    assert!(told.registered);
}

#[test]
fn what_was_complete_before_its_message_came_back_ended_when_ecs_says() {
    let mut it = Bench::new();
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    it.crash();
    it.rollout_is(RolloutState::Succeeded);
    let (created, ended) = (it.scene().rollouts[0].created_at, it.scene().rollouts[0].updated_at);
    it.pass(600);
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    let told = it.ended()[0].clone();
    assert_eq!((told.started_at, told.finished_at, told.attempts), (Some(created), Some(ended), 1));
    assert_eq!(told.adopted, Some(Adopted::Ours));
}
