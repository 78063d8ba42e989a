//! Deployments that somebody cancels.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::domain::{
    CallFailure, Cancellation, Cause, LeaseId, Outcome, Remedy, Report, RolloutState, SettledBy, Stage,
};

fn cancellation(bench: &Bench, deployment: &str, events: &[&str]) -> Cancellation {
    let reason = String::from("cancelled by ann: the wrong one");
    let origin = Origin { kind: TriggerKind::Decision, event_id: "c".into(), reason, ..origin() };
    let events: BTreeSet<_> = events.iter().map(|it| (*it).into()).collect();
    let target = (!events.is_empty()).then(|| target(API));
    Cancellation { deployment: deployment.into(), target, events, at: bench.wall(), origin: Arc::new(origin) }
}

fn origin() -> Origin {
    (*restart(0).origin).clone()
}

fn cancel(bench: &mut Bench, message: &str, deployment: &str, events: &[&str]) -> LeaseId {
    let about = cancellation(bench, deployment, events);
    bench.arrive(message, message, Asks::Cancel(about))
}

/// The id of what waits or is under way.
fn id_of(bench: &Bench) -> String {
    let (_, unended) = bench.planner.target(&target(API)).expect("it is known");
    unended.first.expect("one waits or is under way").id.to_string()
}

/// As looks show rollouts whose service deployments are known, so that they can be stopped.
fn with_arn(bench: &mut Bench) {
    bench.scene().rollouts[0].id.service_deployment = Some("arn:one".into());
}

fn stops(bench: &Bench) -> usize {
    bench.log.iter().filter(|(_, it)| matches!(it, Command::Stop(_))).count()
}

fn rolling_out() -> Bench {
    let mut bench = Bench::new();
    bench.receive("m", [image("v2", 980)]);
    bench.pass(6);
    assert_eq!(bench.starts().len(), 1);
    with_arn(&mut bench);
    bench
}

#[test]
fn what_waits_is_set_aside_and_told_as_cancelled() {
    let mut bench = Bench::new();
    bench.receive("m", [restart(980)]);
    let id = id_of(&bench);
    cancel(&mut bench, "c", &id, &[]);
    let (outcome, cause, reason) = bench.end();
    assert_eq!(
        (outcome, cause, reason.as_str()),
        (Outcome::Cancelled, None, "cancelled by ann: the wrong one")
    );
    assert_eq!(bench.letters().iter().map(|it| it.0).collect::<Vec<_>>(), [1], "it can be put back");
    assert_eq!(bench.settled(), [("m", SettledBy::SetAside)]);
    bench.pass(24 * 3_600);
    assert_eq!((bench.starts().len(), bench.settled().last()), (0, Some(&("c", SettledBy::Reality))));
}

#[test]
fn a_rollout_that_goes_on_is_stopped_and_told_once_what_ran_before_runs_again() {
    let mut bench = rolling_out();
    cancel(&mut bench, "c", "d-whatever", &["m"]);
    assert_eq!(stops(&bench), 1);
    assert!(bench.outcomes().is_empty());
    let (_, unended) = bench.planner.target(&target(API)).expect("it is known");
    let record = unended.first.expect("it goes on");
    assert_eq!((record.stage, record.cancelled, record.cause), (Stage::RollingBack, true, None));
    bench.tell(Input::Stopped { target: target(API), stopped: Ok(()) });
    bench.rollout_is(RolloutState::RollingBack);
    assert!(bench.outcomes().is_empty(), "ECS goes back still");
    bench.rollout_is(RolloutState::RolledBack);
    let (outcome, cause, reason) = bench.end();
    assert_eq!((outcome, cause), (Outcome::Cancelled, None));
    assert!(reason.starts_with("cancelled by ann: the wrong one; "), "{reason}");
    assert_eq!((bench.letters().len(), stops(&bench)), (1, 1));
}

#[test]
fn what_was_complete_before_it_could_be_stopped_succeeded_and_says_so() {
    let mut bench = rolling_out();
    cancel(&mut bench, "c", "d-whatever", &["m"]);
    let failure =
        CallFailure { cause: Cause::Unknown, reason: "it has ended".into(), remedy: Remedy::GiveUp };
    bench.tell(Input::Stopped { target: target(API), stopped: Err(failure) });
    bench.rollout_is(RolloutState::Succeeded);
    let (outcome, _, reason) = bench.end();
    assert_eq!(outcome, Outcome::Succeeded);
    assert!(reason.contains("complete before it could be stopped"), "{reason}");
    assert!(!bench.ended()[0].cancelled, "it was not given up in the end");
    assert!(bench.letters().is_empty());
}

#[test]
fn what_ecs_cannot_stop_is_undone_by_rolling_out_what_was_good() {
    let mut bench = rolling_out();
    bench.scene().rollouts[0].id.service_deployment = None;
    cancel(&mut bench, "c", "d-whatever", &["m"]);
    assert_eq!((bench.starts().len(), bench.ordered_base().as_str()), (2, "api:1"));
    bench.rollout_is(RolloutState::Succeeded);
    let (outcome, _, reason) = bench.end();
    assert_eq!(outcome, Outcome::Cancelled);
    assert!(reason.contains("rolled back to api:1"), "{reason}");
}

#[test]
fn what_has_nothing_to_go_back_to_goes_on_and_that_is_told() {
    let mut bench = Bench::new();
    bench.receive("m", [restart(980)]);
    bench.pass(6);
    cancel(&mut bench, "c", "d-whatever", &["m"]);
    let is_moot =
        |it: &&Report| matches!(it, Report::Moot { reason, .. } if reason.contains("nothing to go back to"));
    assert_eq!(bench.reports().into_iter().filter(is_moot).count(), 1);
    bench.rollout_is(RolloutState::Succeeded);
    assert_eq!(bench.outcomes(), [Outcome::Succeeded]);
}

#[test]
fn a_start_that_is_under_way_is_stopped_as_soon_as_it_is_answered() {
    let mut bench = Bench::new();
    bench.unanswered.insert(Verb::Start);
    bench.receive("m", [image("v2", 980)]);
    bench.pass(6);
    cancel(&mut bench, "c", "d-whatever", &["m"]);
    bench.unanswered.clear();
    let order = bench.starts()[0].clone();
    let answer = bench.started(&order);
    with_arn(&mut bench);
    bench.tell(answer);
    bench.pass(1);
    assert_eq!(stops(&bench), 1);
}

#[test]
fn a_start_that_fails_after_it_was_cancelled_is_not_tried_again() {
    let mut bench = Bench::new();
    bench.unanswered.insert(Verb::Start);
    bench.receive("m", [image("v2", 980)]);
    bench.pass(6);
    let id = id_of(&bench);
    cancel(&mut bench, "c", &id, &[]);
    bench.unanswered.clear();
    bench.tell(Input::Started { target: target(API), started: Err(transient(Remedy::Retry)) });
    bench.pass(600);
    assert_eq!((bench.starts().len(), bench.outcomes()), (1, vec![Outcome::Cancelled]));
}

#[test]
fn a_cancellation_that_comes_before_its_deployment_waits_for_it() {
    let mut bench = Bench::with(PlanSettings::new(Duration::from_mins(2)));
    bench.receive("m", [restart(980)]);
    let id = id_of(&bench);
    bench.crash();
    cancel(&mut bench, "c", &id, &["m"]);
    bench.pass(100);
    assert_eq!(bench.settled(), []);
    bench.receive("m", [restart(980)]);
    bench.pass(600);
    assert_eq!((bench.starts().len(), bench.outcomes()), (0, vec![Outcome::Cancelled]));
}

#[test]
fn what_comes_back_in_parts_is_cancelled_part_by_part() {
    let mut bench = Bench::with(PlanSettings::new(Duration::from_mins(2)));
    cancel(&mut bench, "c", "d-of-both", &["m", "n"]);
    bench.receive("m", [restart(980)]);
    bench.pass(60);
    bench.receive("n", [image("v2", 981)]);
    bench.pass(600);
    assert_eq!((bench.starts().len(), bench.outcomes()), (0, vec![Outcome::Cancelled; 2]));
}

#[test]
fn one_that_meets_nothing_is_told_to_ask_nothing() {
    let mut bench = Bench::with(PlanSettings::new(Duration::from_mins(2)));
    cancel(&mut bench, "c", "d-unknown", &[]);
    bench.pass(239);
    assert_eq!(bench.settled(), []);
    bench.pass(2);
    assert_eq!(bench.settled(), [("c", SettledBy::NothingAsked)]);
    assert!(bench.reports().iter().any(|it| matches!(it, Report::Moot { .. })));
}

#[test]
fn only_the_requests_of_a_cancelled_deployment_are_given_up() {
    let mut bench = Bench::new();
    bench.receive("m", [image("v2", 980)]);
    bench.receive("n", [restart(981)]);
    cancel(&mut bench, "c", "d-was", &["m"]);
    bench.pass(60);
    assert_eq!((bench.outcomes(), bench.starts().len()), (vec![Outcome::Cancelled], 1));
    assert!(bench.starts()[0].edits.is_empty(), "the image is not deployed");
}

#[test]
fn a_rollout_that_others_asked_for_too_goes_on() {
    let mut bench = Bench::new();
    bench.receive("m", [image("v2", 980)]);
    bench.receive("n", [restart(981)]);
    bench.pass(6);
    with_arn(&mut bench);
    cancel(&mut bench, "c", "d-was", &["m"]);
    bench.pass(60);
    assert_eq!(stops(&bench), 0);
}

#[test]
fn what_fails_by_itself_before_it_is_cancelled_has_failed() {
    let mut bench = rolling_out();
    bench.rollout_is(RolloutState::RollingBack);
    cancel(&mut bench, "c", "d-whatever", &["m"]);
    bench.rollout_is(RolloutState::RolledBack);
    assert_eq!((bench.outcomes(), stops(&bench)), (vec![Outcome::RolledBack], 0));
}

#[test]
fn what_ecs_found_to_fail_before_anybody_looked_has_failed_however_it_was_cancelled() {
    for (seen_as, ends_as, outcome) in [
        (RolloutState::RollingBack, RolloutState::RolledBack, Outcome::RolledBack),
        (RolloutState::Failed, RolloutState::Failed, Outcome::Failed),
    ] {
        let mut bench = rolling_out();
        let rollout = &mut bench.scene().rollouts[0];
        (rollout.state, rollout.tripped, rollout.primary) = (seen_as, true, false);
        cancel(&mut bench, "c", "d-whatever", &["m"]);
        bench.rollout_is(ends_as);
        let (ended, cause, reason) = bench.end();
        assert_eq!((ended, stops(&bench)), (outcome, 0), "{reason}");
        assert!(cause.is_some() && !bench.ended()[0].cancelled, "{reason}");
        let is_moot =
            |it: &&Report| matches!(it, Report::Moot { reason, .. } if reason.contains("had failed"));
        assert_eq!(bench.reports().into_iter().filter(is_moot).count(), 1);
        bench.pass(600);
        assert_eq!(bench.outcomes(), [outcome], "{seen_as:?}");
    }
}

#[test]
fn what_ecs_found_to_fail_before_a_kill_has_failed_though_its_cancellation_comes_back() {
    for order in [["c", "m"], ["m", "c"]] {
        let mut bench = cancelled_mid_rollout(&[], RolloutState::RolledBack);
        bench.scene().rollouts[0].tripped = true;
        receive_again(&mut bench, &order);
        bench.pass(600);
        assert_eq!((bench.outcomes(), stops(&bench)), (vec![Outcome::RolledBack], 0), "{order:?}");
    }
}

#[test]
fn a_way_back_on_which_tasks_return_may_take_longer_than_the_timeout() {
    let timeout = TargetSettings::named(API.into()).timeout;
    let most = timeout.as_secs() - 60;
    let mut bench = rolling_out();
    cancel(&mut bench, "c", "d-whatever", &["m"]);
    bench.tell(Input::Stopped { target: target(API), stopped: Ok(()) });
    bench.rollout_is(RolloutState::RollingBack);
    for running in 1..=4 {
        bench.pass(most);
        bench.returned.running = running;
    }
    bench.pass(most);
    assert!(bench.outcomes().is_empty(), "{:?}", bench.end());
    bench.pass(120);
    let (outcome, cause, reason) = bench.end();
    assert_eq!((outcome, cause), (Outcome::Failed, Some(Cause::Timeout)));
    assert!(reason.contains("ECS goes back, 4 tasks of what ran before run"), "{reason}");
}

#[test]
fn a_cancellation_is_held_until_the_messages_that_it_gave_up_are_gone() {
    let mut bench = Bench::with(PlanSettings::new(Duration::from_mins(2)));
    bench.receive("m", [restart(980)]);
    bench.unanswered.insert(Verb::Delete);
    cancel(&mut bench, "c", "d-whatever", &["m"]);
    bench.pass(90);
    let lost = LeaseId(1);
    bench.tell(Input::Lost(vec![lost]));
    bench.unanswered.clear();
    bench.pass(200);
    assert_eq!(bench.settled(), [], "it comes back, and must meet it");
    bench.receive("m", [restart(980)]);
    bench.pass(600);
    assert_eq!((bench.starts().len(), bench.settled().len()), (0, 2));
}

/// The first is rolled out, and the second is cancelled while it waits behind that; the process is killed before the messages
/// are gone, and all of them come back.
fn both_come_back(order: &[&str]) -> Bench {
    let mut bench = Bench::with(PlanSettings::new(Duration::from_mins(2)));
    bench.receive("m", [restart(980)]);
    bench.pass(6);
    assert_eq!(bench.starts().len(), 1);
    bench.receive("n", [restart(1_008)]);
    let behind = bench.planner.target(&target(API)).unwrap().1.next.expect("it waits").id.to_string();
    bench.unanswered.extend([Verb::Delete, Verb::SetAside]);
    cancel(&mut bench, "c", &behind, &["n"]);
    bench.unanswered.clear();
    bench.pass(10);
    bench.crash();
    bench.log.clear();
    bench.is_again = true;
    for message in order {
        match *message {
            "m" => drop(bench.receive("m", [restart(980)])),
            "n" => drop(bench.receive("n", [restart(1_008)])),
            _ => drop(cancel(&mut bench, "c", &behind, &["n"])),
        }
    }
    bench
}

#[test]
fn what_ran_before_a_cancelled_one_and_comes_back_with_it_goes_on() {
    for order in [["m", "n", "c"], ["n", "m", "c"], ["m", "c", "n"], ["c", "m", "n"], ["c", "n", "m"]] {
        let mut bench = both_come_back(&order);
        bench.pass(20);
        assert_eq!(bench.outcomes(), [Outcome::Cancelled], "{order:?}");
        let (_, unended) = bench.planner.target(&target(API)).unwrap();
        let first = unended.first.expect("the rollout is watched");
        assert_eq!((first.stage, first.triggers.len()), (Stage::Rollout, 1), "{order:?}");
        bench.rollout_is(RolloutState::Succeeded);
        assert_eq!(bench.outcomes(), [Outcome::Cancelled, Outcome::Succeeded], "{order:?}");
        assert_eq!(bench.ended()[0].triggers.len(), 1, "only the one that was cancelled");
        bench.pass(600);
        assert_eq!((bench.starts().len(), bench.letters().len()), (0, 1), "{order:?}");
        assert_eq!(bench.settled()[1..], [("m", SettledBy::Reality), ("c", SettledBy::Reality)], "{order:?}");
    }
}

#[test]
fn without_a_cancellation_the_newer_one_makes_the_older_needless_to_the_end() {
    let mut bench = both_come_back(&["m", "n"]);
    bench.pass(20);
    assert_eq!(bench.settled(), [], "a cancellation may come yet");
    bench.rollout_is(RolloutState::Succeeded);
    bench.rollout_is(RolloutState::Succeeded);
    assert_eq!((bench.outcomes(), bench.starts().len()), (vec![Outcome::Succeeded], 1));
    let settled = bench.settled();
    assert!(settled.contains(&("m", SettledBy::Newer)) && settled.contains(&("n", SettledBy::Reality)));
}

#[test]
fn what_was_needless_because_of_a_message_that_is_lost_waits_by_itself() {
    let mut bench = both_come_back(&["m"]);
    bench.receive("n", [restart(1_008)]);
    bench.tell(Input::Lost(vec![LeaseId(5)]));
    bench.pass(20);
    let (_, unended) = bench.planner.target(&target(API)).unwrap();
    assert_eq!(unended.first.map(|it| it.stage), Some(Stage::Rollout));
}

#[test]
fn a_cancellation_without_events_strikes_all_that_is_shown_as_one() {
    let mut bench = both_come_back(&["m", "n"]);
    bench.is_again = false;
    let id = id_of(&bench);
    cancel(&mut bench, "d", &id, &[]);
    bench.pass(20);
    assert_eq!(bench.outcomes(), [Outcome::Cancelled]);
    assert_eq!(bench.settled(), [("m", SettledBy::Newer), ("n", SettledBy::SetAside)]);
}

#[test]
fn what_was_cancelled_behind_one_that_is_tried_again_leaves_that_alone() {
    let mut bench = Bench::new();
    bench.unanswered.insert(Verb::Start);
    bench.receive("m", [restart(980)]);
    bench.pass(6);
    bench.receive("n", [restart(1_003)]);
    bench.unanswered.clear();
    bench.jitter = Jitter(u16::MAX);
    bench.tell(Input::Started { target: target(API), started: Err(transient(Remedy::Retry)) });
    cancel(&mut bench, "c", "d-of-n", &["n"]);
    bench.pass(60);
    assert_eq!((bench.outcomes(), bench.starts().len()), (vec![Outcome::Cancelled], 2));
    bench.rollout_is(RolloutState::Succeeded);
    assert_eq!(bench.outcomes(), [Outcome::Cancelled, Outcome::Succeeded]);
}

#[test]
fn a_newer_request_that_took_in_a_cancelled_one_goes_on_and_that_is_told() {
    let mut bench = rolling_out();
    bench.receive("n", [restart(1_010)]);
    let behind = bench.planner.target(&target(API)).unwrap().1.next.expect("it waits").id.to_string();
    bench.receive("o", [restart(1_020)]);
    cancel(&mut bench, "c", &behind, &["n"]);
    assert_eq!((bench.outcomes(), bench.letters().len()), (vec![], 0));
    let is_moot = |it: &&Report| matches!(it, Report::Moot { reason, .. } if reason.contains("goes on with"));
    bench.pass(60);
    assert_eq!(bench.reports().into_iter().filter(is_moot).count(), 1);
}

#[test]
fn what_is_put_back_after_it_was_cancelled_is_deployed() {
    let mut bench = Bench::with(PlanSettings::new(Duration::from_mins(2)));
    bench.receive("m", [restart(980)]);
    cancel(&mut bench, "c", "d-whatever", &["m"]);
    bench.pass(20);
    assert_eq!(bench.outcomes(), [Outcome::Cancelled]);
    let again = Request { floor: bench.wall(), ..restart(980) };
    bench.receive_event("put back", "m", [again]);
    bench.pass(20);
    assert_eq!((bench.outcomes(), bench.starts().len()), (vec![Outcome::Cancelled], 1));
}

/// A rollout of `m` is under way when the process is killed; its cancellation and its message come back in this order.
fn cancelled_mid_rollout(order: &[&str], seen_as: RolloutState) -> Bench {
    let mut bench = Bench::with(PlanSettings::new(Duration::from_mins(2)));
    bench.receive("m", [image("v2", 980)]);
    bench.pass(6);
    with_arn(&mut bench);
    bench.crash();
    bench.log.clear();
    bench.is_again = true;
    bench.scene().rollouts[0].state = seen_as;
    receive_again(&mut bench, order);
    bench
}

#[test]
fn a_rollout_that_was_under_way_before_a_kill_is_stopped_when_its_cancellation_comes_back() {
    for order in [["c", "m"], ["m", "c"]] {
        let mut bench = cancelled_mid_rollout(&order, RolloutState::InProgress);
        bench.pass(20);
        assert_eq!((stops(&bench), bench.outcomes()), (1, vec![]), "{order:?}");
        bench.tell(Input::Stopped { target: target(API), stopped: Ok(()) });
        bench.rollout_is(RolloutState::RollingBack);
        bench.rollout_is(RolloutState::RolledBack);
        assert_eq!((bench.starts().len(), bench.outcomes()), (0, vec![Outcome::Cancelled]), "{order:?}");
        bench.pass(600);
        assert_eq!((stops(&bench), bench.letters().len()), (1, 1), "{order:?}");
    }
}

#[test]
fn what_was_stopped_before_a_kill_is_told_as_cancelled_with_its_rollout() {
    for seen_as in [RolloutState::RollingBack, RolloutState::RolledBack] {
        for order in [["c", "m"], ["m", "c"]] {
            let mut bench = cancelled_mid_rollout(&order, seen_as);
            bench.pass(20);
            if seen_as == RolloutState::RollingBack {
                bench.rollout_is(RolloutState::RolledBack);
            }
            bench.pass(600);
            assert_eq!((bench.starts().len(), stops(&bench)), (0, 0), "{seen_as:?} {order:?}");
            let [ended] = &bench.ended()[..] else { panic!("{seen_as:?} {order:?}: {:?}", bench.outcomes()) };
            assert_eq!(
                (ended.outcome, ended.cause),
                (Some(Outcome::Cancelled), None),
                "{seen_as:?} {order:?}"
            );
            assert!(ended.cancelled && ended.rollout_id.is_some() && ended.definition.is_some());
            assert!(ended.started_at.is_some() && ended.attempts == 1, "{ended:?}");
        }
    }
}

fn receive_again(bench: &mut Bench, order: &[&str]) {
    for message in order {
        match *message {
            "m" => drop(bench.receive("m", [image("v2", 980)])),
            _ => drop(cancel(bench, "c", "d-whatever", &["m"])),
        }
    }
}

/// ECS goes back from `m`, as somebody told it to.
fn stopped(bench: &mut Bench, seconds: u64) {
    let rollout = &mut bench.scene().rollouts[0];
    rollout.stopped = true;
    rollout.updated_at = rollout.created_at + Duration::from_secs(seconds);
}

#[test]
fn what_somebody_stops_in_ecs_is_cancelled_and_has_not_failed() {
    let mut bench = rolling_out();
    stopped(&mut bench, 20);
    bench.rollout_is(RolloutState::RollingBack);
    let (_, unended) = bench.planner.target(&target(API)).expect("it is known");
    assert!(unended.first.expect("it goes on").cancelled);
    bench.rollout_is(RolloutState::RolledBack);
    let (outcome, cause, reason) = bench.end();
    assert_eq!((outcome, cause), (Outcome::Cancelled, None));
    assert_eq!(reason, "it was stopped on somebody's request; what ran before runs again");
}

#[test]
fn what_was_stopped_before_a_kill_is_cancelled_though_its_cancellation_comes_later_or_never() {
    let end = |seconds, began_to_go_back: Option<u64>| {
        let mut bench = cancelled_mid_rollout(&[], RolloutState::RolledBack);
        stopped(&mut bench, seconds);
        let rollout = &mut bench.scene().rollouts[0];
        rollout.undone_since = began_to_go_back.map(|after| rollout.created_at + Duration::from_secs(after));
        bench.receive("m", [image("v2", 980)]);
        bench.pass(600);
        assert_eq!((bench.starts().len(), bench.letters().len()), (0, 1));
        let (outcome, cause, reason) = bench.end();
        (bench.ended()[0].cancelled, outcome, cause, reason)
    };
    let (cancelled, outcome, ..) = end(20, None);
    assert_eq!((cancelled, outcome), (true, Outcome::Cancelled));
    let (cancelled, outcome, ..) = end(3_600, Some(20));
    assert_eq!((cancelled, outcome), (true, Outcome::Cancelled), "only the way back took that long");
    let (cancelled, outcome, cause, reason) = end(3_600, None);
    assert_eq!((cancelled, outcome, cause), (false, Outcome::RolledBack, Some(Cause::Timeout)));
    assert!(
        reason.starts_with("no progress for 30 min, as it seems: it was stopped after 60 min"),
        "{reason}"
    );
}
