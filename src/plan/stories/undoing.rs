//! Going back from what failed, where ECS does not.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::domain::{
    CallFailure, Cause, Outcome, Remedy, Rollout, RolloutId, RolloutState, Running, TargetSettings,
};

/// A bench whose target is rolled back by us.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.settings.rollback = true;
    bench
}

fn started(bench: &mut Bench) {
    bench.receive("m", [image("v2", 990)]);
    bench.pass(6);
    assert_eq!(bench.starts().len(), 1);
}

/// As a look shows a rollout whose service deployment is known.
fn with_arn(bench: &mut Bench) -> RolloutId {
    let arn: RolloutId = "arn:aws:ecs:eu-west-1:111122223333:service-deployment/shop/api/one".into();
    bench.scene().rollouts[0].id.service_deployment = Some(arn.clone());
    arn
}

fn stops(bench: &Bench) -> Vec<RolloutId> {
    let stop = |command: &Command| match command {
        Command::Stop(order) => Some(order.rollout.clone()),
        _ => None,
    };
    bench.log.iter().filter_map(|(_, command)| stop(command)).collect()
}

#[test]
fn what_failed_with_no_way_back_is_undone_by_rolling_out_what_was_good() {
    let mut bench = bench();
    started(&mut bench);
    bench.rollout_is(RolloutState::Failed);
    let back = bench.starts().pop().expect("the way back");
    assert_eq!((back.base.to_string().as_str(), back.edits.len()), ("api:1", 0));
    assert!(bench.ended().is_empty() && bench.letters().is_empty(), "the end is told when it is the end");
    bench.rollout_is(RolloutState::Succeeded);
    let ended = bench.ended();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].outcome, Some(Outcome::RolledBack));
    assert!(ended[0].reason.as_ref().is_some_and(|it| it.contains("rolled back to api:1")), "{ended:?}");
    assert_eq!(bench.letters().len(), 1);
    bench.pass(600);
    assert_eq!(bench.starts().len(), 2, "it is not started again");
}

#[test]
fn a_rollout_without_progress_is_stopped_and_ecs_goes_back() {
    let mut bench = bench();
    bench.settings.timeout = Duration::from_mins(2);
    started(&mut bench);
    let arn = with_arn(&mut bench);
    bench.pass(130);
    assert_eq!(stops(&bench), [arn]);
    bench.tell(Input::Stopped { target: target(API), stopped: Ok(()) });
    bench.rollout_is(RolloutState::RollingBack);
    assert!(bench.ended().is_empty());
    bench.rollout_is(RolloutState::RolledBack);
    let ended = bench.ended();
    assert_eq!((ended[0].outcome, ended[0].cause), (Some(Outcome::RolledBack), Some(Cause::Timeout)));
    assert_eq!((bench.starts().len(), bench.letters().len()), (1, 1));
}

#[test]
fn what_has_to_queue_behind_a_rollout_without_progress_does_not_keep_it_from_being_stopped() {
    let mut bench = bench();
    bench.settings.timeout = Duration::from_mins(2);
    bench.settings.on_newer = crate::domain::OnNewer::Queue;
    started(&mut bench);
    let arn = with_arn(&mut bench);
    bench.receive("newer", [image("v3", 1_008)]);
    bench.pass(130);
    assert_eq!((stops(&bench), bench.ended().len()), (vec![arn], 0));
    bench.tell(Input::Stopped { target: target(API), stopped: Ok(()) });
    bench.rollout_is(RolloutState::RollingBack);
    assert_eq!(bench.starts().len(), 1, "nothing is started over a rollback");
    bench.rollout_is(RolloutState::RolledBack);
    assert_eq!((bench.outcomes(), bench.end().1), (vec![Outcome::RolledBack], Some(Cause::Timeout)));
    assert_eq!((bench.starts().len(), bench.ordered_image().as_deref()), (2, Some("v3")));
}

#[test]
fn what_may_supersede_a_rollout_without_progress_is_started_instead_of_stopping_it() {
    for on_newer in [crate::domain::OnNewer::WhenFailing, crate::domain::OnNewer::Interrupt] {
        let mut bench = bench();
        bench.settings.timeout = Duration::from_mins(2);
        started(&mut bench);
        with_arn(&mut bench);
        bench.pass(110);
        bench.settings.on_newer = on_newer;
        bench.receive("newer", [image("v3", 1_108)]);
        bench.pass(30);
        assert_eq!((stops(&bench).len(), bench.ordered_image().as_deref()), (0, Some("v3")), "{on_newer:?}");
    }
}

#[test]
fn what_a_wave_does_not_let_start_does_not_keep_a_failure_from_being_undone() {
    let mut bench = bench();
    bench.settings.stop_after = 1;
    started(&mut bench);
    bench.receive("wave", [of(API, image("v3", 1_008)), of("b", image("v3", 1_008))]);
    bench.pass(6);
    ecs::turn_to(bench.scene_of(&target("b")), RolloutState::RolledBack);
    bench.pass(4);
    bench.rollout_is(RolloutState::Failed);
    let back = bench.starts().last().map(|it| (it.target.clone(), it.base.to_string()));
    assert_eq!(back, Some((target(API), "api:1".into())));
    bench.rollout_is(RolloutState::Succeeded);
    let ended = [Outcome::RolledBack, Outcome::RolledBack, Outcome::Cancelled];
    assert_eq!(bench.outcomes(), ended);
}

#[test]
fn where_ecs_cannot_stop_it_what_was_good_is_rolled_out_over_it() {
    let mut bench = bench();
    bench.settings.timeout = Duration::from_mins(2);
    started(&mut bench);
    with_arn(&mut bench);
    bench.pass(130);
    let refused = CallFailure { cause: Cause::Permission, reason: "denied".into(), remedy: Remedy::GiveUp };
    bench.tell(Input::Stopped { target: target(API), stopped: Err(refused) });
    bench.pass(10);
    assert_eq!(bench.starts().last().map(|it| it.base.to_string()), Some("api:1".into()));
    bench.rollout_is(RolloutState::Succeeded);
    let ended = bench.ended();
    assert_eq!((ended[0].outcome, ended[0].cause), (Some(Outcome::RolledBack), Some(Cause::Timeout)));
}

#[test]
fn what_queues_behind_what_cannot_be_stopped_is_not_outdone_by_our_way_back() {
    let mut bench = bench();
    bench.settings.timeout = Duration::from_mins(2);
    bench.settings.on_newer = crate::domain::OnNewer::Queue;
    started(&mut bench);
    with_arn(&mut bench);
    bench.receive("newer", [image("v3", 1_008)]);
    bench.pass(130);
    let refused = CallFailure { cause: Cause::Permission, reason: "denied".into(), remedy: Remedy::GiveUp };
    bench.tell(Input::Stopped { target: target(API), stopped: Err(refused) });
    bench.pass(10);
    assert_eq!((bench.starts().len(), bench.ordered_base().as_str()), (2, "api:1"));
    let stuck = bench.scene().rollouts[1].definition.clone();
    bench.scene().rollouts[0].previous = Some(stuck);
    bench.rollout_is(RolloutState::Succeeded);
    assert_eq!((bench.outcomes(), bench.ordered_image().as_deref()), (vec![Outcome::RolledBack], Some("v3")));
}

#[test]
fn a_stop_that_may_succeed_later_is_asked_for_again() {
    let mut bench = bench();
    bench.settings.timeout = Duration::from_mins(2);
    started(&mut bench);
    with_arn(&mut bench);
    bench.pass(130);
    bench.tell(Input::Stopped { target: target(API), stopped: Err(transient(Remedy::Retry)) });
    bench.pass(10);
    assert_eq!((stops(&bench).len(), bench.starts().len()), (2, 1));
}

/// A followed push of `v1` failed, and what ran is put back by its digest, with the tag that was followed as a mark.
fn pinned_since_a_rollback() -> Bench {
    let mut bench = bench();
    let ran = digest("a");
    bench.scene().running.as_mut().expect("runs").digests = BTreeMap::from([("web".into(), ran.clone())]);
    bench.receive("m", [followed("v1", Some(digest("b")), 990)]);
    bench.pass(6);
    bench.rollout_is(RolloutState::Failed);
    let back = bench.starts().pop().expect("the way back").clone();
    assert_eq!(back.edits[&"web".into()].digest, Some(ran.clone()));
    assert_eq!(back.marks.follows[&"web".into()].as_str(), "v1");
    bench.rollout_is(RolloutState::Succeeded);
    assert_eq!(bench.ended()[0].outcome, Some(Outcome::RolledBack));

    let mut pinned = revision(2, "v1");
    pinned.images = back.edits.clone();
    pinned.marks = back.marks;
    let running = Running { definition: pinned.clone(), digests: [("web".into(), ran)].into(), since: None };
    (bench.scene().running, bench.scene().base) = (Some(running), Ok(pinned));
    bench
}

#[test]
fn a_way_back_that_may_not_be_registered_is_told_beside_why_it_failed() {
    let mut bench = bench();
    bench.scene().running.as_mut().expect("runs").digests = BTreeMap::from([("web".into(), digest("a"))]);
    bench.receive("m", [followed("v1", Some(digest("b")), 990)]);
    bench.pass(6);
    let reason = "RegisterTaskDefinition: AccessDenied".into();
    let refused = CallFailure { cause: Cause::Permission, reason, remedy: Remedy::GiveUp };
    bench.failing_starts = vec![refused].into();
    bench.rollout_is(RolloutState::Failed);
    bench.pass(600);
    assert_eq!((bench.outcomes(), bench.starts().len()), (vec![Outcome::Failed], 2), "it is not tried again");
    let told = bench.end().2;
    assert!(told.ends_with("failed: RegisterTaskDefinition: AccessDenied"), "{told}");
}

#[test]
fn a_followed_tag_goes_on_being_followed_after_a_rollback() {
    let mut bench = pinned_since_a_rollback();
    bench.receive("next", [followed("v1", Some(digest("c")), 1_030)]);
    bench.pass(6);
    let next = bench.starts().pop().expect("the next push");
    assert_eq!(next.edits[&"web".into()].effective_tag().expect("a tag").as_str(), "v1");
    assert!(next.marks.follows.is_empty());
}

#[test]
fn new_tasks_of_what_was_put_back_do_not_carry_a_push_of_the_tag() {
    let mut bench = pinned_since_a_rollback();
    let pinned = bench.scene().base.clone().expect("a base");
    let mut by_hand = ecs::rollout("by-hand", 1_040, pinned);
    by_hand.digests = [("web".into(), digest("a"))].into();
    bench.scene().rollouts.insert(0, by_hand);
    ecs::turn_to(bench.scene(), RolloutState::Succeeded);
    bench.receive("next", [followed("v1", Some(digest("c")), 1_030)]);
    bench.pass(30);
    let next = bench.starts().pop().expect("the next push");
    assert_eq!(next.edits[&"web".into()].effective_tag().expect("a tag").as_str(), "v1");
    assert!(next.marks.follows.is_empty());
}

#[test]
fn new_tasks_that_fail_by_themselves_have_nothing_to_go_back_to() {
    let mut bench = bench();
    bench.receive("m", [restart(990)]);
    bench.pass(6);
    bench.rollout_is(RolloutState::Failed);
    assert_eq!(bench.starts().len(), 1);
    let ended = bench.ended();
    assert_eq!(ended[0].outcome, Some(Outcome::Failed));
    assert!(ended[0].reason.as_ref().is_some_and(|it| it.contains("nothing to go back to")));
}

#[test]
fn a_fix_that_waits_is_started_instead_of_a_rollback() {
    let mut bench = bench();
    started(&mut bench);
    bench.receive("fix", [image("v3", 1_008)]);
    bench.pass(6);
    bench.rollout_is(RolloutState::Failed);
    let starts = bench.starts();
    assert_eq!(starts.len(), 2);
    assert_eq!(starts[1].edits[&"web".into()].effective_tag().expect("a tag").as_str(), "v3");
    assert_eq!(bench.ended()[0].outcome, Some(Outcome::Failed));
}

#[test]
fn nothing_is_started_over_a_rollback_of_ours() {
    for crash in [false, true] {
        let mut bench = bench();
        bench.settings = TargetSettings { on_newer: crate::domain::OnNewer::Interrupt, ..bench.settings };
        started(&mut bench);
        bench.rollout_is(RolloutState::Failed);
        assert_eq!(bench.starts().len(), 2);
        if crash {
            bench.crash();
            bench.receive("m", [image("v2", 990)]);
        }
        bench.receive("newer", [restart(1_010)]);
        bench.pass(30);
        assert_eq!(bench.starts().len(), 2, "crash: {crash}");
        bench.rollout_is(RolloutState::Succeeded);
        assert_eq!(bench.ended()[0].outcome, Some(Outcome::RolledBack), "crash: {crash}");
        bench.pass(10);
        assert_eq!(bench.starts().len(), 3, "what is newer");
    }
}

#[test]
fn what_failed_while_nobody_watched_is_undone_once() {
    let mut bench = bench();
    started(&mut bench);
    bench.crash();
    let scene = bench.scene();
    ecs::turn_to(scene, RolloutState::Failed);
    bench.receive("m", [image("v2", 990)]);
    bench.pass(6);
    assert_eq!(bench.starts().len(), 2);
    assert_eq!(bench.starts()[1].base.to_string(), "api:1");
    bench.crash();
    bench.receive("m", [image("v2", 990)]);
    bench.pass(6);
    assert_eq!(bench.starts().len(), 2, "the way back is adopted");
    bench.rollout_is(RolloutState::Succeeded);
    assert_eq!(bench.ended()[0].outcome, Some(Outcome::RolledBack));
    bench.crash();
    bench.receive("m", [image("v2", 990)]);
    bench.pass(6);
    assert_eq!((bench.starts().len(), bench.ended()[1].outcome), (2, Some(Outcome::RolledBack)));
}

#[test]
fn a_way_back_that_fails_too_is_said_and_not_tried_for_ever() {
    let mut bench = bench();
    started(&mut bench);
    bench.rollout_is(RolloutState::Failed);
    bench.rollout_is(RolloutState::Failed);
    let ended = bench.ended();
    assert_eq!(ended[0].outcome, Some(Outcome::Failed));
    assert!(ended[0].reason.as_ref().is_some_and(|it| it.contains("that failed too")), "{ended:?}");
    bench.pass(600);
    assert_eq!(bench.starts().len(), 2);
}

#[test]
fn a_way_back_that_cannot_be_started_is_tried_again_and_then_said() {
    let mut bench = bench();
    started(&mut bench);
    bench.failing_starts =
        [transient(Remedy::Retry), transient(Remedy::Retry), transient(Remedy::Retry)].into();
    bench.rollout_is(RolloutState::Failed);
    bench.pass(600);
    let ended = bench.ended();
    assert_eq!(ended.len(), 1);
    assert_eq!(ended[0].outcome, Some(Outcome::Failed));
    assert!(
        ended[0].reason.as_ref().is_some_and(|it| it.contains("going back to api:1 failed")),
        "{ended:?}"
    );
    assert_eq!(bench.letters().len(), 1);
}

/// Somebody rolls out `api:1` again, over what has just failed.
fn somebody_goes_back(bench: &mut Bench) {
    let created = bench.wall();
    let theirs = Rollout { created_at: created, ..rollout("theirs", 0, revision(1, "v1")) };
    ecs::turn_to(bench.scene(), RolloutState::Failed);
    bench.scene().rollouts[0].primary = false;
    bench.scene().rollouts.insert(0, Rollout { previous: Some(revision(1, "v1")), ..theirs });
}

#[test]
fn a_rollback_by_somebody_is_watched_and_not_started_over() {
    for end in [RolloutState::Succeeded, RolloutState::Failed] {
        let mut bench = bench();
        started(&mut bench);
        somebody_goes_back(&mut bench);
        bench.pass(4);
        assert_eq!((bench.starts().len(), bench.ended().len()), (1, 0));
        bench.rollout_is(end);
        let outcome = if end == RolloutState::Succeeded { Outcome::RolledBack } else { Outcome::Failed };
        assert_eq!(bench.outcomes(), [outcome]);
        assert_eq!((bench.starts().len(), bench.letters().len()), (1, 1));
    }
}

#[test]
fn what_somebody_rolled_back_before_anybody_looked_is_told_as_rolled_back() {
    let mut bench = bench();
    started(&mut bench);
    somebody_goes_back(&mut bench);
    bench.rollout_is(RolloutState::Succeeded);
    assert_eq!((bench.outcomes(), bench.starts().len()), (vec![Outcome::RolledBack], 1));
}

#[test]
fn what_somebody_moved_on_from_is_left_alone() {
    let mut bench = bench();
    started(&mut bench);
    somebody_goes_back(&mut bench);
    bench.scene().rollouts[0].definition = revision(9, "theirs");
    bench.pass(4);
    assert_eq!((bench.outcomes(), bench.starts().len()), (vec![Outcome::Failed], 1));
}

#[test]
fn a_rollback_past_what_never_was_complete_is_known_after_a_crash() {
    let mut bench = bench();
    bench.settings.on_newer = crate::domain::OnNewer::Interrupt;
    started(&mut bench);
    bench.receive("m3", [image("v3", 1_000)]);
    bench.pass(6);
    assert_eq!(bench.starts().len(), 2);
    let superseded = bench.scene().rollouts[1].definition.clone();
    bench.scene().rollouts[0].previous = Some(superseded);
    bench.rollout_is(RolloutState::Failed);
    assert_eq!(bench.starts()[2].base.to_string(), "api:1");
    bench.crash();
    bench.receive("m3", [image("v3", 1_000)]);
    bench.receive("newer", [restart(1_015)]);
    bench.pass(30);
    assert_eq!(bench.starts().len(), 3, "nothing is started over the way back");
    bench.rollout_is(RolloutState::Succeeded);
    assert_eq!(bench.outcomes()[1..], [Outcome::RolledBack]);
}

#[test]
fn what_was_rolled_back_past_what_never_was_complete_is_set_aside_after_a_crash() {
    let mut bench = bench();
    bench.settings.on_newer = crate::domain::OnNewer::Interrupt;
    started(&mut bench);
    let newer = image("v3", 1_007);
    bench.receive("m3", [newer.clone()]);
    bench.pass(6);
    let superseded = bench.scene().rollouts[1].definition.clone();
    bench.scene().rollouts[0].previous = Some(superseded);
    bench.rollout_is(RolloutState::Failed);
    bench.crash();
    bench.rollout_is(RolloutState::Succeeded);
    bench.receive("m3", [newer]);
    bench.pass(6);
    assert_eq!((bench.starts().len(), bench.outcomes().last()), (3, Some(&Outcome::Failed)));
    assert_eq!(bench.letters().len(), 1);
}
