//! What happens to a rollout in progress when something newer is asked for.

use super::*;
use crate::domain::{Base, LaneState, OnNewer, Outcome, Remedy, RolloutState, SettledBy, Tasks};

/// The image v2 is being rolled out by us as `r1`.
fn under_way(on_newer: OnNewer) -> Bench {
    let mut it = Bench::new();
    it.settings.on_newer = on_newer;
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    assert_eq!(it.starts().len(), 1);
    it
}

fn fails(it: &mut Bench) {
    it.scene().rollouts[0].tasks = Tasks { desired: 2, running: 0, pending: 2, failed: 2 };
    it.pass(4);
}

fn newer_comes(it: &mut Bench) {
    it.receive("m2", [image("v3", 1005)]);
    it.pass(6);
}

#[test]
fn queue_waits_for_the_end_of_the_rollout() {
    let mut it = under_way(OnNewer::Queue);
    fails(&mut it);
    newer_comes(&mut it);
    it.pass(60);
    assert_eq!(it.starts().len(), 1);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), it.ordered_image().as_deref()), (2, Some("v3")));
}

#[test]
fn when_failing_waits_for_a_sound_rollout() {
    let mut it = under_way(OnNewer::WhenFailing);
    newer_comes(&mut it);
    it.pass(60);
    assert_eq!((it.starts().len(), it.outcomes().len()), (1, 0));
}

#[test]
fn when_failing_passes_a_rollout_whose_tasks_fail() {
    let mut it = under_way(OnNewer::WhenFailing);
    fails(&mut it);
    newer_comes(&mut it);
    assert_eq!((it.starts().len(), it.ordered_image().as_deref()), (2, Some("v3")));
    assert_eq!(it.ordered_base(), "api:1", "nothing is built on what fails");
}

#[test]
fn when_failing_passes_a_rollout_that_starts_to_fail_while_the_newer_waits() {
    let mut it = under_way(OnNewer::WhenFailing);
    newer_comes(&mut it);
    it.pass(20);
    fails(&mut it);
    assert_eq!(it.starts().len(), 2);
}

#[test]
fn one_failed_task_or_one_that_runs_is_not_failing() {
    for tasks in [
        Tasks { desired: 2, running: 0, pending: 2, failed: 1 },
        Tasks { desired: 2, running: 1, pending: 1, failed: 5 },
    ] {
        let mut it = under_way(OnNewer::WhenFailing);
        it.scene().rollouts[0].tasks = tasks;
        newer_comes(&mut it);
        assert_eq!(it.starts().len(), 1);
    }
}

#[test]
fn interrupt_passes_a_sound_rollout_once_the_quiet_time_is_over() {
    let mut it = under_way(OnNewer::Interrupt);
    it.receive("m2", [image("v3", 1005)]);
    it.pass_ms(4_900);
    assert_eq!(it.starts().len(), 1);
    it.pass(1);
    assert_eq!((it.starts().len(), it.ordered_image().as_deref()), (2, Some("v3")));
}

#[test]
fn what_is_superseded_ends_so_and_its_message_with_the_newer_one() {
    let mut it = under_way(OnNewer::Interrupt);
    newer_comes(&mut it);
    assert_eq!(it.outcomes(), [Outcome::Superseded]);
    assert_eq!(it.settled(), [("m1", SettledBy::Newer)]);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.outcomes(), [Outcome::Superseded, Outcome::Succeeded]);
    assert_eq!(it.settled(), [("m1", SettledBy::Newer), ("m2", SettledBy::Reality)]);
}

#[test]
fn a_deployment_that_supersedes_inherits_content_and_messages() {
    let mut it = under_way(OnNewer::Interrupt);
    it.receive("m2", [restart(1005)]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.settled().len()), (2, 0));
    assert_eq!((it.ordered_base().as_str(), it.ordered_image().as_deref()), ("api:2", Some("v2")));
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.settled(), [("m1", SettledBy::Reality), ("m2", SettledBy::Reality)]);
}

#[test]
fn freshness_that_supersedes_what_fails_asks_for_its_content_again() {
    let mut it = under_way(OnNewer::WhenFailing);
    fails(&mut it);
    it.receive("m2", [restart(1005)]);
    it.pass(6);
    assert_eq!((it.ordered_base().as_str(), it.ordered_image().as_deref()), ("api:1", Some("v2")));
}

#[test]
fn what_was_superseded_fails_with_the_one_that_inherited_it() {
    let mut it = under_way(OnNewer::Interrupt);
    it.receive("m2", [restart(1005)]);
    it.pass(6);
    it.rollout_is(RolloutState::RolledBack);
    assert_eq!(it.settled(), [("m1", SettledBy::SetAside), ("m2", SettledBy::SetAside)]);
}

#[test]
fn older_content_never_supersedes_newer() {
    let mut it = under_way(OnNewer::Interrupt);
    it.receive("m2", [image("v0", 980)]);
    it.pass(30);
    assert_eq!(it.starts().len(), 1);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.outcomes(), [Outcome::Succeeded, Outcome::Superseded]);
    assert_eq!(it.starts().len(), 1);
}

#[test]
fn what_the_rollout_carries_anyway_does_not_supersede_it() {
    let mut it = under_way(OnNewer::Interrupt);
    it.receive("m2", [restart(1000)]);
    it.pass(30);
    assert_eq!(it.starts().len(), 1);
    let looks = it.looks().len();
    it.pass(60);
    assert_eq!(it.looks().len(), looks, "only something new has to be looked at again");
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), it.settled().len()), (1, 2));
}

#[test]
fn nothing_is_started_over_a_rollback_whatever_the_settings_say() {
    for on_newer in [OnNewer::Queue, OnNewer::WhenFailing, OnNewer::Interrupt] {
        let mut it = under_way(on_newer);
        it.rollout_is(RolloutState::RollingBack);
        newer_comes(&mut it);
        it.pass(60);
        assert_eq!(it.starts().len(), 1, "{on_newer:?}");
        it.rollout_is(RolloutState::RolledBack);
        assert_eq!(it.ordered_image().as_deref(), Some("v3"), "{on_newer:?}");
    }
}

#[test]
fn nothing_is_started_over_somebodys_rollback_either() {
    let mut it = Bench::new();
    it.settings.on_newer = OnNewer::Interrupt;
    it.scene().rollouts = vec![rollout("x", 985, revision(7, "hotfix"))];
    ecs::turn_to(it.scene(), RolloutState::RollingBack);
    newer_comes(&mut it);
    it.pass(60);
    assert_eq!(it.starts().len(), 0);
    it.rollout_is(RolloutState::RolledBack);
    assert_eq!(it.starts().len(), 1);
}

#[test]
fn somebodys_rollout_is_waited_for() {
    let mut it = Bench::new();
    it.scene().rollouts = vec![rollout("x", 985, revision(1, "v1"))];
    newer_comes(&mut it);
    let lane = it.planner.targets()[0].lane.clone();
    assert_eq!(lane.state, LaneState::Blocked);
    assert_eq!(lane.why.as_deref(), Some("ecs-svc/x is in progress"));
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.starts().len(), 1);
}

#[test]
fn interrupt_passes_somebodys_rollout_and_keeps_what_it_brings() {
    let mut it = Bench::new();
    it.settings.on_newer = OnNewer::Interrupt;
    it.scene().rollouts = vec![rollout("x", 985, revision(7, "hotfix"))];
    it.receive("m1", [restart(990)]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.ordered_base().as_str()), (1, "api:7"));
}

#[test]
fn what_somebodys_rollout_decides_waits_for_it_whatever_the_settings_say() {
    let mut it = Bench::new();
    it.settings.on_newer = OnNewer::Interrupt;
    it.scene().rollouts = vec![rollout("x", 995, revision(7, "hotfix"))];
    it.receive("m1", [image("v2", 990)]);
    it.receive("m2", [restart(999)]);
    it.pass(30);
    assert_eq!(it.starts().len(), 0, "the restart does not run ahead of the image");
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.outcomes(), it.starts().len()), (vec![Outcome::Superseded], 1));
}

#[test]
fn a_target_that_starts_from_the_newest_revision_does_so_over_a_rollout_too() {
    let mut it = Bench::new();
    it.settings.on_newer = OnNewer::Interrupt;
    it.settings.base = Base::Latest(None);
    it.scene().base = Ok(revision(12, "v12"));
    it.scene().rollouts = vec![rollout("x", 985, revision(7, "hotfix"))];
    it.receive("m1", [restart(990)]);
    it.pass(6);
    assert_eq!((it.looks()[0].base.clone(), it.ordered_base().as_str()), (Base::Latest(None), "api:12"));
}

#[test]
fn somebodys_rollout_that_fails_is_passed_from_what_ran_before() {
    let mut it = Bench::new();
    it.scene().rollouts = vec![rollout("x", 985, revision(7, "hotfix"))];
    fails(&mut it);
    it.receive("m1", [restart(990)]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.ordered_base().as_str()), (1, "api:1"));
}

#[test]
fn what_was_to_be_superseded_is_not_lost_where_the_newer_cannot_be_started() {
    let mut it = under_way(OnNewer::Interrupt);
    it.failing_starts.push_back(transient(Remedy::GiveUp));
    newer_comes(&mut it);
    assert_eq!(it.outcomes(), [Outcome::Failed]);
    assert_eq!(it.settled(), [("m2", SettledBy::SetAside)]);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.outcomes(), [Outcome::Failed, Outcome::Succeeded]);
    assert_eq!(it.settled()[1], ("m1", SettledBy::Reality));
}

#[test]
fn a_start_over_ours_that_fails_for_now_is_tried_again() {
    let mut it = under_way(OnNewer::Interrupt);
    it.failing_starts.push_back(transient(Remedy::Retry));
    newer_comes(&mut it);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.ordered_image().as_deref(), Some("v3"));
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.planner.held(), 0);
    assert!(!it.outcomes().contains(&Outcome::Failed), "{:?}", it.outcomes());
}

#[test]
fn a_fix_that_came_while_the_start_was_under_way_is_not_lost() {
    let mut it = Bench::new();
    it.unanswered.insert(Verb::Start);
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    newer_comes(&mut it);
    let order = it.starts()[0].clone();
    it.unanswered.clear();
    let answer = it.started(&order);
    it.tell(answer);
    it.rollout_is(RolloutState::Succeeded);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), it.outcomes()), (2, vec![Outcome::Succeeded; 2]));
}

#[test]
fn freshness_leaves_no_failing_content_behind_whose_message_will_come_back() {
    for crash in [false, true] {
        let mut it = under_way(OnNewer::WhenFailing);
        fails(&mut it);
        if crash {
            it.crash();
        } else {
            it.tell(Input::Lost(vec![LeaseId(1)]));
        }
        it.receive("m2", [restart(1_010)]);
        it.pass(30);
        assert_eq!(it.starts().len(), 1, "crash: {crash}");
        it.receive("m1", [image("v2", 990)]);
        it.pass(6);
        assert_eq!(it.starts().len(), 2, "crash: {crash}");
        assert_eq!(it.ordered_image().as_deref(), Some("v2"));
        it.rollout_is(RolloutState::Succeeded);
        assert_eq!((it.outcomes().last(), it.planner.held()), (Some(&Outcome::Succeeded), 0));
    }
}

#[test]
fn freshness_waits_for_content_no_longer_than_the_timeout_of_its_rollout() {
    let mut it = under_way(OnNewer::WhenFailing);
    fails(&mut it);
    it.crash();
    it.receive("m2", [restart(1_010)]);
    it.pass(31 * 60);
    assert_eq!((it.starts().len(), it.ordered_base().as_str()), (2, "api:1"));
}
