//! Attempts that fail: tried again, looked at first, or given up on.

use super::*;
use crate::domain::{CallFailure, Cause, Outcome, Remedy, RolloutState, ServiceEvent, SettledBy};

/// A bench whose next starts fail with these remedies.
fn failing(remedies: &[Remedy]) -> Bench {
    let mut it = Bench::new();
    it.failing_starts = remedies.iter().map(|remedy| transient(*remedy)).collect();
    it.receive("m1", [image("v2", 990)]);
    it
}

fn denied() -> CallFailure {
    let reason = "DescribeServices: AccessDeniedException".into();
    CallFailure { cause: Cause::Permission, reason, remedy: Remedy::GiveUp }
}

#[test]
fn a_start_that_fails_for_now_is_tried_again_at_once_where_the_jitter_says_so() {
    let mut it = failing(&[Remedy::Retry]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.retries()), (2, vec![(0, 2)]));
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.outcomes(), it.ended()[0].attempts), (vec![Outcome::Succeeded], 2));
}

#[test]
fn the_delay_doubles_where_the_jitter_says_all_of_it() {
    let mut it = failing(&[Remedy::Retry, Remedy::Retry]);
    it.jitter = Jitter(u16::MAX);
    it.pass(60);
    assert_eq!(it.start_times(), [1_005_000, 1_010_000, 1_020_000]);
    assert_eq!(it.retries(), [(5_000, 2), (10_000, 1)]);
}

#[test]
fn before_another_attempt_the_target_is_looked_at_again() {
    let mut it = failing(&[Remedy::Retry]);
    it.pass(6);
    let calls: Vec<char> = it.log.iter().filter_map(|(_, it)| letter_of(it)).take(4).collect();
    assert_eq!(calls, ['l', 's', 'l', 's']);
}

fn letter_of(command: &Command) -> Option<char> {
    match command {
        Command::Look(_) => Some('l'),
        Command::Start(_) => Some('s'),
        _ => None,
    }
}

#[test]
fn once_the_retries_are_used_up_the_message_is_set_aside() {
    let mut it = failing(&[Remedy::Retry; 5]);
    it.pass(300);
    assert_eq!(it.starts().len(), 3);
    assert_eq!((it.end().0, it.end().1), (Outcome::Failed, Some(Cause::Throttled)));
    assert_eq!((it.letters()[0].1.attempts, it.settled()), (3, vec![("m1", SettledBy::SetAside)]));
    assert_eq!(it.ended().len(), 1);
}

#[test]
fn without_retries_the_first_failure_is_the_last() {
    let mut it = Bench::new();
    it.settings.retries = 0;
    it.failing_starts.push_back(transient(Remedy::Retry));
    it.receive("m1", [image("v2", 990)]);
    it.pass(60);
    assert_eq!((it.starts().len(), it.outcomes()), (1, vec![Outcome::Failed]));
}

#[test]
fn what_cannot_succeed_is_given_up_on_at_once() {
    let mut it = failing(&[Remedy::GiveUp]);
    it.pass(60);
    assert_eq!((it.starts().len(), it.outcomes(), it.retries().len()), (1, vec![Outcome::Failed], 0));
    assert_eq!(it.letters().len(), 1);
}

#[test]
fn after_a_lost_answer_it_looks_no_sooner_than_eight_seconds_later() {
    let mut it = failing(&[Remedy::LookFirst]);
    it.pass_ms(5_000 + 7_999);
    assert_eq!((it.starts().len(), it.looks().len()), (1, 1));
    it.pass_ms(1);
    assert_eq!(it.look_times(), [1_005_000, 1_013_000]);
    assert_eq!(it.starts().len(), 2, "it took no effect");
}

#[test]
fn after_a_lost_answer_the_jitter_comes_on_top() {
    let mut it = failing(&[Remedy::LookFirst]);
    it.jitter = Jitter(u16::MAX);
    it.pass(60);
    assert_eq!(it.look_times()[1], 1_005_000 + 8_000 + 5_000);
}

#[test]
fn a_start_whose_answer_was_lost_is_adopted_if_it_took_effect() {
    let mut it = Bench::new();
    it.unanswered.insert(Verb::Start);
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    let order = it.starts()[0].clone();
    let _ = it.started(&order);
    it.tell(Input::Started { target: target(API), started: Err(transient(Remedy::LookFirst)) });
    it.pass(10);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), it.outcomes()), (1, vec![Outcome::Succeeded]));
    assert!(!it.end().2.contains("carried by"), "it is our own: {}", it.end().2);
}

#[test]
fn lost_answers_count_as_attempts() {
    let mut it = failing(&[Remedy::LookFirst; 9]);
    it.pass(300);
    assert_eq!((it.starts().len(), it.outcomes()), (3, vec![Outcome::Failed]));
}

#[test]
fn all_attempts_are_one_deployment() {
    let mut it = failing(&[Remedy::Retry, Remedy::LookFirst]);
    it.pass(60);
    let ids: Vec<_> = it.starts().iter().map(|order| order.marks.deployment.clone()).collect();
    assert_eq!((ids.len(), &ids[1], &ids[2]), (3, &ids[0], &ids[0]));
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((Some(&it.ended()[0].id), it.ended()[0].started_at), (ids[0].as_ref(), Some(at(1005))));
}

#[test]
fn something_newer_starts_anew_and_takes_the_old_along() {
    let mut it = failing(&[Remedy::Retry, Remedy::Retry]);
    it.jitter = Jitter(u16::MAX);
    it.pass(12);
    it.receive("m2", [image("v3", 1005)]);
    it.pass(60);
    assert_eq!(it.ordered_image().as_deref(), Some("v3"));
    assert_eq!(it.settled(), [("m1", SettledBy::Newer)]);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.ended()[0].attempts, 1);
}

/// Our rollout fails for want of capacity.
fn no_capacity(it: &mut Bench) {
    let message = "(service api) was unable to place a task: no capacity".into();
    it.scene().events = vec![ServiceEvent { at: it.wall(), message }];
    it.rollout_is(RolloutState::RolledBack);
}

#[test]
fn a_rollout_for_which_there_was_no_capacity_is_tried_again() {
    let mut it = failing(&[]);
    it.pass(6);
    no_capacity(&mut it);
    assert_eq!((it.starts().len(), it.outcomes().len()), (2, 0));
    it.scene().events.clear();
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.outcomes(), it.ended()[0].attempts), (vec![Outcome::Succeeded], 2));
    assert_eq!(it.settled(), [("m1", SettledBy::Reality)]);
}

#[test]
fn a_want_of_capacity_that_lasts_is_a_failure_in_the_end() {
    let mut it = failing(&[]);
    it.pass(6);
    for _ in 0..3 {
        no_capacity(&mut it);
    }
    it.pass(60);
    assert_eq!((it.starts().len(), it.outcomes().len()), (3, 1));
    assert_eq!((it.end().0, it.end().1), (Outcome::RolledBack, Some(Cause::Placement)));
}

#[test]
fn what_somebody_found_no_capacity_for_is_not_started_by_us() {
    let mut it = Bench::new();
    it.scene().rollouts = vec![rollout("x", 995, revision(1, "v1"))];
    it.receive("m1", [restart(990)]);
    it.pass(6);
    no_capacity(&mut it);
    assert_eq!((it.starts().len(), it.end().1), (0, Some(Cause::Placement)));
}

#[test]
fn a_look_that_fails_for_now_is_taken_until_it_succeeds() {
    let mut it = Bench::new();
    it.failing_looks = (0..20).map(|_| transient(Remedy::Retry)).collect();
    it.receive("m1", [restart(990)]);
    it.pass(60);
    assert_eq!((it.looks().len(), it.starts().len(), it.outcomes().len()), (21, 1, 0));
    assert!(it.look_times().windows(2).all(|pair| pair[1] >= pair[0] + 1000), "{:?}", it.look_times());
}

#[test]
fn a_look_that_is_not_allowed_fails_what_waits() {
    let mut it = Bench::new();
    it.failing_looks.push_back(denied());
    it.receive("m1", [restart(990)]);
    it.receive("m2", [image("v2", 990)]);
    it.pass(60);
    assert_eq!((it.looks().len(), it.ended().len()), (1, 1));
    assert_eq!((it.end().0, it.end().1), (Outcome::Failed, Some(Cause::Permission)));
    assert_eq!(it.settled(), [("m1", SettledBy::SetAside), ("m2", SettledBy::SetAside)]);
}

#[test]
fn looks_and_glances_that_fail_say_nothing_about_a_rollout() {
    let mut it = failing(&[]);
    it.pass(6);
    it.failing_glances = (0..10).map(|_| denied()).collect();
    it.failing_looks = (0..3).map(|_| denied()).collect();
    it.pass(60);
    it.rollout_is(RolloutState::Succeeded);
    it.pass(20);
    assert_eq!((it.outcomes(), it.failing_looks.len()), (vec![Outcome::Succeeded], 0));
}

#[test]
fn a_start_that_is_crowded_out_uses_up_no_retry() {
    let mut remedies = vec![Remedy::Wait; 20];
    remedies.extend([Remedy::Retry; 3]);
    let mut it = failing(&remedies);
    it.pass(300);
    assert_eq!((it.starts().len(), it.outcomes()), (23, vec![Outcome::Failed]));
    assert_eq!(it.ended()[0].attempts, 3);
}

#[test]
fn the_delays_between_starts_that_are_crowded_out_double_up_to_a_minute() {
    let mut it = failing(&[Remedy::Wait; 6]);
    it.jitter = Jitter(u16::MAX);
    it.pass(300);
    let pauses: Vec<u64> = it.start_times().windows(2).map(|pair| (pair[1] - pair[0]) / 1_000).collect();
    assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.outcomes(), it.ended()[0].attempts), (vec![Outcome::Succeeded], 1));
}

#[test]
fn a_start_that_is_crowded_out_for_as_long_as_its_timeout_fails_as_throttled() {
    let mut it = failing(&[Remedy::Wait; 100]);
    it.jitter = Jitter(u16::MAX);
    it.pass(29 * 60);
    assert!(it.outcomes().is_empty());
    it.pass(3 * 60);
    assert_eq!((it.end().0, it.end().1), (Outcome::Failed, Some(Cause::Throttled)));
    assert_eq!(it.letters().len(), 1);
}
