//! Watching rollouts: many at a shared pace, ten to a call.

use super::*;
use crate::domain::{RolloutState, Tasks};

/// So many services of this cluster are being rolled out, all since the same moment.
fn watching(clusters: &[(&str, u32)]) -> Bench {
    let mut it = Bench::new();
    it.unanswered.insert(Verb::Start);
    for (cluster, services) in clusters {
        for n in 0..*services {
            let target = cluster_target(cluster, &format!("service-{n:03}"));
            it.receive(&format!("{cluster}-{n}"), [Request { target, ..restart(990) }]);
        }
    }
    it.pass(5);
    let orders: Vec<_> = it.starts().into_iter().cloned().collect();
    for order in orders {
        let answer = it.started(&order);
        it.tell(answer);
    }
    it
}

#[test]
fn a_glance_names_ten_targets_of_one_cluster_at_most() {
    let mut it = watching(&[("shop", 25), ("lab", 3)]);
    it.pass(1);
    let first: Vec<(&str, usize)> =
        it.glances().iter().take(4).map(|batch| (batch[0].cluster().as_str(), batch.len())).collect();
    assert_eq!(first, [("lab", 3), ("shop", 10), ("shop", 10), ("shop", 5)]);
    for batch in it.glances() {
        assert!(batch.len() <= 10 && batch.iter().all(|one| one.cluster() == batch[0].cluster()));
    }
}

#[test]
fn every_rollout_is_glanced_at_in_each_round() {
    let mut it = watching(&[("shop", 25)]);
    it.pass_ms(10);
    let seen: BTreeSet<&TargetId> = it.glances().into_iter().flatten().collect();
    assert_eq!((seen.len(), it.glances().len()), (25, 3));
}

#[test]
fn the_pace_of_one_rollout_doubles_up_to_three_seconds() {
    let mut it = watching(&[("shop", 1)]);
    it.pass(20);
    let pauses: Vec<u64> = it.glance_times().windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(it.glance_times()[0], 1_005_005);
    assert_eq!(pauses[..11], [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3000, 3000]);
}

#[test]
fn a_hundred_rollouts_are_glanced_at_no_more_than_ten_times_a_second() {
    let mut it = watching(&[("shop", 100)]);
    it.pass(20);
    let times = it.glance_times();
    for from in (1_005_000..1_025_000).step_by(100) {
        let calls = times.iter().filter(|at| (from..from + 1000).contains(*at)).count();
        assert!(calls <= 10 || from == 1_005_000, "{calls} calls in the second from {from}");
    }
    assert_eq!(times.iter().filter(|at| **at < 1_006_000).count(), 10);
}

/// Rollouts that began a third of a second after each other, all of them watched.
fn begun_one_by_one(services: u32, glances_per_second: u32) -> Bench {
    let mut settings = PlanSettings::new(Duration::from_hours(12));
    settings.glances_per_second = glances_per_second;
    let mut it = Bench::with(settings);
    for n in 0..services {
        let target = cluster_target("shop", &format!("service-{n:03}"));
        it.receive(&format!("shop-{n}"), [Request { target, ..restart(990) }]);
        it.pass_ms(333);
    }
    it.pass(10);
    it
}

#[test]
fn rollouts_that_began_one_by_one_share_their_glances_soon() {
    let mut it = begun_one_by_one(50, 10);
    it.pass(60);
    let before = it.glance_times().len();
    it.pass(30);
    let batches = it.glances().split_off(before);
    // Ten rounds of three seconds, of five full glances each, and hardly more.
    assert!((50..=60).contains(&batches.len()), "{}", batches.len());
}

#[test]
fn the_pace_gives_way_to_the_budget() {
    let mut it = begun_one_by_one(100, 1);
    it.pass(60);
    let before = it.glance_times().len();
    it.pass(60);
    let calls = it.glance_times().len() - before;
    assert!((50..=66).contains(&calls), "{calls}");
}

#[test]
fn four_hundred_rollouts_take_four_seconds_a_round() {
    let mut it = watching(&[("shop", 400)]);
    it.pass_ms(12_500);
    assert_eq!(it.glance_times().len(), 40 * 4);
}

#[test]
fn a_hint_brings_the_next_glance_within_a_second_of_the_last_and_keeps_the_pace() {
    let mut it = watching(&[("shop", 1)]);
    it.pass(20);
    let (before, now) = (it.glance_times().len(), it.now.as_millis());
    for _ in 0..5 {
        it.tell(Input::Hint(cluster_target("shop", "service-000")));
    }
    it.pass(6);
    let times = it.glance_times();
    assert!(times[before] <= now + 1_000, "{times:?}");
    assert!(times[before - 1..].windows(2).all(|pair| pair[1] - pair[0] >= 1_000), "{times:?}");
}

#[test]
fn a_hint_about_what_is_not_watched_does_nothing() {
    let mut it = Bench::new();
    it.tell(Input::Hint(target(API)));
    it.receive("m1", [restart(990)]);
    it.tell(Input::Hint(target(API)));
    assert_eq!((it.glances().len(), it.looks().len()), (0, 0));
}

#[test]
fn a_hint_while_a_glance_is_under_way_asks_for_no_other() {
    let mut it = watching(&[("shop", 1)]);
    it.unanswered.insert(Verb::Glance);
    it.pass(1);
    let before = it.glances().len();
    it.tell(Input::Hint(cluster_target("shop", "service-000")));
    it.pass(60);
    assert_eq!(it.glances().len(), before);
}

#[test]
fn a_rollout_that_goes_on_is_never_looked_at_as_a_whole() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990)]);
    it.pass(600);
    assert_eq!(it.looks().len(), 1);
}

#[test]
fn evidence_is_looked_for_unless_it_looks_like_a_success() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990)]);
    it.pass(6);
    it.scene().rollouts[0].tasks = Tasks { desired: 2, running: 2, ..Tasks::default() };
    it.pass(4);
    it.rollout_is(RolloutState::Succeeded);
    assert!(!it.looks()[1].evidence);
    it.receive("m2", [restart(1011)]);
    it.pass(10);
    it.scene().rollouts[0].tasks = Tasks { desired: 2, running: 2, pending: 0, failed: 3 };
    it.pass(4);
    it.rollout_is(RolloutState::RolledBack);
    assert!(it.looks().last().unwrap().evidence);
}

#[test]
fn the_tasks_of_a_rollout_are_shown_as_last_seen() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990)]);
    it.pass(6);
    let tasks = Tasks { desired: 2, running: 1, pending: 1, failed: 0 };
    it.scene().rollouts[0].tasks = tasks;
    it.pass(4);
    assert_eq!(it.planner.deployments()[0].tasks, tasks);
}

#[test]
fn somebodys_rollout_that_blocks_a_lane_is_glanced_at_until_it_ends() {
    let mut it = Bench::new();
    it.scene().rollouts = vec![rollout("x", 985, revision(1, "v1"))];
    it.receive("m1", [image("v2", 990)]);
    it.pass(30);
    assert_eq!((it.starts().len(), it.looks().len()), (0, 1));
    assert!(it.glances().len() > 10);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.starts().len(), 1);
}

#[test]
fn a_rollback_that_goes_on_is_only_glanced_at() {
    let mut it = Bench::new();
    it.receive("m1", [restart(990)]);
    it.pass(6);
    it.rollout_is(RolloutState::RollingBack);
    let (looks, glances) = (it.looks().len(), it.glances().len());
    it.pass(60);
    assert_eq!(it.looks().len(), looks);
    assert!(it.glances().len() >= glances + 19);
}
