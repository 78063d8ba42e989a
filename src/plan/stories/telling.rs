//! Deployments whose ends are told elsewhere: their messages are kept until that is done.

use std::time::Duration;

use super::*;
use crate::domain::{Adopted, DeploymentId, LeaseId, Outcome, Request, RolloutState, SettledBy};

const VISIBILITY: Duration = Duration::from_mins(2);

/// Where somebody is told of ends.
fn told_elsewhere() -> Bench {
    let mut settings = PlanSettings::new(VISIBILITY);
    settings.tell_within = Some(PlanSettings::TELL_WITHIN);
    Bench::with(settings)
}

/// The last end is told to everybody, or given up.
fn tell_last(it: &mut Bench) {
    let record = *it.ended().last().expect("a deployment has ended");
    let end = End { deployment: record.id.clone(), outcome: record.outcome.unwrap() };
    it.tell(Input::Told(end));
}

fn succeeded(it: &mut Bench, message: &str) {
    it.receive(message, [restart(980)]);
    it.pass(6);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.outcomes().last(), Some(&Outcome::Succeeded));
}

#[test]
fn a_message_is_deleted_once_the_end_of_its_deployment_was_told() {
    let mut it = told_elsewhere();
    succeeded(&mut it, "m");
    it.pass(600);
    assert_eq!((it.deletions().len(), it.planner.held(), it.lost()), (0, 1, 0));
    assert!(!it.planner.is_owing(LeaseId(1)));
    tell_last(&mut it);
    assert_eq!(it.settled(), [("m", SettledBy::Reality)]);
}

#[test]
fn who_is_not_told_in_time_is_waited_for_no_longer() {
    let mut it = told_elsewhere();
    succeeded(&mut it, "m");
    it.pass(15 * 60 - 5);
    assert_eq!(it.settled(), []);
    it.pass(10);
    assert_eq!(it.settled(), [("m", SettledBy::Reality)]);
    tell_last(&mut it);
    assert_eq!((it.settled().len(), it.planner.held()), (1, 0));
}

#[test]
fn where_nobody_is_told_nothing_is_waited_for() {
    let mut it = Bench::new();
    succeeded(&mut it, "m");
    assert_eq!(it.settled(), [("m", SettledBy::Reality)]);
}

#[test]
fn the_lane_is_free_for_the_next_meanwhile() {
    let mut it = told_elsewhere();
    succeeded(&mut it, "m");
    it.receive("n", [image("v2", 1_005)]);
    it.pass(6);
    assert_eq!(it.starts().len(), 2);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.outcomes(), it.settled()), (vec![Outcome::Succeeded; 2], vec![]));
}

#[test]
fn what_failed_is_set_aside_at_once_and_deleted_once_it_was_told() {
    let mut it = told_elsewhere();
    it.receive("m", [image("v2", 980)]);
    it.pass(6);
    it.rollout_is(RolloutState::RolledBack);
    assert_eq!((it.letters().len(), it.settled()), (1, vec![]));
    it.pass(60);
    assert_eq!(it.letters().len(), 1);
    tell_last(&mut it);
    assert_eq!(it.settled(), [("m", SettledBy::SetAside)]);
}

#[test]
fn a_message_for_two_targets_waits_for_both_ends() {
    let mut it = told_elsewhere();
    it.receive("m", [restart(980), of("web", restart(980))]);
    it.pass(6);
    it.rollout_is(RolloutState::Succeeded);
    tell_last(&mut it);
    assert_eq!(it.settled(), []);
    ecs::turn_to(it.scene_of(&target("web")), RolloutState::Succeeded);
    it.pass(10);
    assert_eq!((it.outcomes().len(), it.settled().len()), (2, 0));
    tell_last(&mut it);
    assert_eq!(it.settled(), [("m", SettledBy::Reality)]);
}

#[test]
fn what_a_newer_one_has_replaced_waits_for_nobody() {
    let mut it = told_elsewhere();
    it.receive("m", [restart(980)]);
    it.receive("n", [restart(981)]);
    assert_eq!(it.settled(), [("m", SettledBy::Newer)]);
}

#[test]
fn one_that_is_received_once_more_still_waits() {
    let mut it = told_elsewhere();
    succeeded(&mut it, "m");
    it.receive("m", [restart(980)]);
    it.pass(30);
    assert_eq!((it.outcomes().len(), it.starts().len(), it.settled()), (1, 1, vec![]));
    tell_last(&mut it);
    assert_eq!(it.deletions(), [[2]], "by the latest receipt");
}

#[test]
fn what_is_not_told_yet_is_handed_back_last_and_what_is_held_for_it_is_no_copy() {
    let mut settings = PlanSettings::new(VISIBILITY);
    settings.tell_within = Some(PlanSettings::TELL_WITHIN);
    settings.renew_after = Duration::from_mins(5);
    let mut it = Bench::with(settings);
    succeeded(&mut it, "m");
    it.pass(600);
    assert_eq!((it.planner.hand_back(), it.planner.telling()), (vec![], vec![LeaseId(1)]));
    assert!(!it.log.iter().any(|(_, it)| matches!(it, Command::Renew { .. })));
}

/// What a message asked for, before and after a crash in which its end was not told.
fn across_a_crash(requests: &[Request]) -> (Bench, Vec<(DeploymentId, Option<Outcome>)>) {
    let mut it = told_elsewhere();
    let receive = |it: &mut Bench| {
        for (message, request) in ["m", "n"].iter().zip(requests) {
            it.receive(message, [request.clone()]);
        }
        it.pass(6);
    };
    receive(&mut it);
    it.rollout_is(RolloutState::Succeeded);
    it.crash();
    receive(&mut it);
    let told = it.ended().iter().map(|it| (it.id.clone(), it.outcome)).collect();
    (it, told)
}

#[test]
fn after_a_crash_what_bears_our_mark_is_told_again_once_under_the_same_id() {
    for requests in [vec![image("v2", 980)], vec![image("v2", 980), restart(981)]] {
        let (mut it, told) = across_a_crash(&requests);
        assert_eq!((told.len(), &told[0], it.starts().len()), (2, &told[1], 1), "{requests:?}");
        tell_last(&mut it);
        assert_eq!(it.planner.held(), 0);
        it.receive("m", [image("v2", 980)]);
        it.pass(6);
        assert_ne!(it.outcomes().last(), Some(&Outcome::Succeeded), "it was told by this process");
    }
}

#[test]
fn a_restart_that_a_process_before_this_one_began_is_found_complete_under_the_same_id() {
    let adopted = |is_again: bool| {
        let mut it = told_elsewhere();
        it.receive("m", [restart(980)]);
        it.pass(6);
        it.rollout_is(RolloutState::Succeeded);
        it.crash();
        it.is_again = is_again;
        it.receive("m", [restart(980)]);
        it.pass(6);
        let ended = it.ended();
        let [begun, found] = &ended[..] else { panic!("{ended:?}") };
        assert_eq!((&found.id, found.outcome), (&begun.id, Some(Outcome::AlreadyRunning)));
        assert_eq!(found.adopted.is_some(), found.started_at.is_some());
        assert_eq!(found.rollout_id, found.adopted.and(begun.rollout_id.clone()), "it is the same rollout");
        found.adopted
    };
    assert_eq!(adopted(true), Some(Adopted::Unknown));
    assert_eq!(adopted(false), None, "no process has received it before");
}

#[test]
fn what_a_rollout_of_this_process_has_carried_was_begun_by_nobody() {
    let mut it = told_elsewhere();
    it.receive("m", [restart(980)]);
    it.pass(6);
    it.rollout_is(RolloutState::Succeeded);
    it.is_again = true;
    it.receive("n", [restart(981)]);
    it.pass(6);
    let ended = it.ended();
    let last = ended.last().expect("both have ended");
    assert_eq!((it.starts().len(), last.outcome, last.adopted), (1, Some(Outcome::AlreadyRunning), None));
}

#[test]
fn a_complete_restart_without_a_mark_of_ours_is_not_said_to_be_ours() {
    let mut it = told_elsewhere();
    it.scene().rollouts = vec![ecs::rollout("theirs", 985, revision(1, "v1"))];
    ecs::turn_to(it.scene(), RolloutState::Succeeded);
    it.receive("m", [restart(980)]);
    it.pass(6);
    assert_eq!(it.outcomes(), [Outcome::AlreadyRunning]);
}

#[test]
fn a_notice_is_held_until_it_is_delivered_and_neither_asks_nor_owes_anything() {
    let mut it = told_elsewhere();
    let lease = it.arrive("n", "d-1/succeeded", Asks::Notice);
    it.pass(600);
    assert_eq!((it.planner.held(), it.lost(), it.deletions().len()), (1, 0, 0), "its hold is extended");
    assert!(!it.planner.is_owing(lease) && it.planner.hand_back() == [lease]);
    assert_eq!((it.starts().len(), it.letters().len(), it.outcomes()), (0, 0, vec![]));
    it.tell(Input::Delivered("another".into()));
    assert_eq!(it.settled(), []);
    it.tell(Input::Delivered("n".into()));
    assert_eq!(it.settled(), [("d-1/succeeded", SettledBy::NothingAsked)]);
}

#[test]
fn a_notice_that_is_received_once_more_is_held_by_its_latest_receipt() {
    let mut it = told_elsewhere();
    it.arrive("n", "d-1/succeeded", Asks::Notice);
    it.arrive("n", "d-1/succeeded", Asks::Notice);
    it.tell(Input::Delivered("n".into()));
    assert_eq!((it.deletions(), it.planner.held()), (vec![vec![2]], 0));
}

#[test]
fn after_a_crash_a_failure_is_told_again_under_the_same_id() {
    let mut it = told_elsewhere();
    it.receive("m", [restart(980)]);
    it.pass(6);
    it.rollout_is(RolloutState::RolledBack);
    it.crash();
    it.receive("m", [restart(980)]);
    it.pass(6);
    let told: Vec<_> = it.ended().iter().map(|it| (it.id.clone(), it.outcome)).collect();
    assert_eq!((told.len(), &told[0], it.starts().len()), (2, &told[1], 1));
}

#[test]
fn what_is_only_held_until_it_is_told_counts_in_no_wave() {
    let mut it = told_elsewhere();
    (it.settings.max_parallel, it.settings.stop_after) = (1, 1);
    let both = || [image("v2", 980), of("web", image("v2", 980))];
    it.receive_event("m", "e", both());
    it.pass(6);
    it.rollout_is(RolloutState::RolledBack);
    it.pass(60);
    assert_eq!(it.outcomes(), [Outcome::RolledBack, Outcome::Cancelled]);
    it.receive_event("again", "e", [replayed(1_060, of("web", image("v2", 980)))]);
    it.pass(6);
    assert_eq!(it.starts().len(), 2, "that one was put back");
}
