//! One event that reaches many targets.

use super::*;
use crate::domain::{LaneState, Outcome, Remedy, RolloutState, StartOrder};

const FOUR: [&str; 4] = ["a", "b", "c", "d"];

/// A bench on which so many of the targets of one event are deployed at a time, and so many may fail.
fn bench(max_parallel: u32, stop_after: u32) -> Bench {
    let mut it = Bench::new();
    (it.settings.max_parallel, it.settings.stop_after) = (max_parallel, stop_after);
    it
}

fn receive_all(it: &mut Bench) {
    it.receive("m", FOUR.map(|name| of(name, restart(990))));
    it.pass(6);
}

fn started(it: &Bench) -> Vec<String> {
    it.starts().iter().map(|order| order.target.service().to_string()).collect()
}

fn ends(it: &mut Bench, service: &str, state: RolloutState) {
    ecs::turn_to(it.scene_of(&target(service)), state);
    it.pass(4);
}

#[test]
fn no_more_than_max_parallel_are_deployed_at_a_time_and_all_are_in_the_end() {
    let mut it = bench(2, 0);
    receive_all(&mut it);
    assert_eq!(started(&it), ["a", "b"]);
    let waiting =
        it.planner.targets().into_iter().find(|it| it.name.as_str() == "api" && it.id == target("c"));
    assert_eq!(waiting.map(|it| it.lane.state), Some(LaneState::Queued));
    ends(&mut it, "b", RolloutState::Succeeded);
    assert_eq!(started(&it), ["a", "b", "c"]);
    for service in ["a", "c"] {
        ends(&mut it, service, RolloutState::Succeeded);
    }
    ends(&mut it, "d", RolloutState::Succeeded);
    assert_eq!(it.outcomes(), [Outcome::Succeeded; 4]);
    assert_eq!(it.deletions(), [[1]]);
}

#[test]
fn max_parallel_counts_each_cluster_by_itself() {
    let mut it = bench(1, 0);
    let here = ["a", "b"].map(|name| of(name, restart(990)));
    let there = ["a", "b"].map(|name| Request { target: cluster_target("other", name), ..restart(990) });
    it.receive("m", [here, there].concat());
    it.pass(6);
    let clusters = |it: &Bench| -> Vec<String> {
        let name = |order: &&StartOrder| format!("{}/{}", order.target.cluster(), order.target.service());
        it.starts().iter().map(name).collect()
    };
    assert_eq!(clusters(&it), ["other/a", "shop/a"]);
    ends(&mut it, "a", RolloutState::Succeeded);
    assert_eq!(clusters(&it), ["other/a", "shop/a", "shop/b"]);
}

#[test]
fn by_default_ten_of_a_cluster_are_deployed_at_a_time_and_none_after_three_failures() {
    let mut it = Bench::new();
    it.receive("m", (10..30).map(|number| of(&format!("s{number}"), restart(990))).collect::<Vec<_>>());
    it.pass(6);
    assert_eq!(started(&it).len(), 10);
    for service in ["s10", "s11", "s12"] {
        ends(&mut it, service, RolloutState::RolledBack);
    }
    assert_eq!(started(&it).len(), 12, "the third failure stops it");
    let cancelled = it.outcomes().iter().filter(|it| **it == Outcome::Cancelled).count();
    assert_eq!(cancelled, 8);
}

#[test]
fn once_stop_after_have_failed_the_rest_is_set_aside_and_not_started() {
    let mut it = bench(1, 1);
    receive_all(&mut it);
    assert_eq!(started(&it), ["a"]);
    ends(&mut it, "a", RolloutState::Failed);
    assert_eq!(started(&it), ["a"]);
    assert_eq!(it.outcomes(), [Outcome::Failed, Outcome::Cancelled, Outcome::Cancelled, Outcome::Cancelled]);
    let letters: Vec<Option<Outcome>> = it.letters().iter().map(|(_, letter)| letter.outcome).collect();
    assert_eq!(letters.len(), 4, "each can be replayed by itself");
    assert_eq!(letters.iter().filter(|it| **it == Some(Outcome::Cancelled)).count(), 3);
    assert!(it.ended()[1].reason.as_ref().is_some_and(|it| it.contains("stop_after = 1")));
    assert_eq!(it.deletions(), [[1]]);
}

#[test]
fn what_failed_before_a_crash_counts_after_it() {
    let mut it = bench(1, 1);
    receive_all(&mut it);
    it.crash();
    ecs::turn_to(it.scene_of(&target("a")), RolloutState::Failed);
    it.receive("m", FOUR.map(|name| of(name, restart(990))));
    it.pass(6);
    assert_eq!(started(&it), ["a"], "before the crash");
    assert_eq!(it.outcomes().iter().filter(|it| **it == Outcome::Cancelled).count(), 3);
}

#[test]
fn an_event_for_one_target_waits_for_no_wave() {
    let mut it = bench(1, 1);
    receive_all(&mut it);
    it.receive("one", [of("d", restart(1_000))]);
    it.pass(6);
    assert_eq!(started(&it), ["a", "d"]);
}

#[test]
fn who_waits_for_a_rollout_of_somebody_else_keeps_no_place() {
    let mut it = bench(1, 0);
    it.scene_of(&target("a")).rollouts = vec![rollout("theirs", 995, revision(1, "v1"))];
    it.scene_of(&target("a")).rollouts[0].created_at = at(900);
    receive_all(&mut it);
    assert_eq!(started(&it), ["b"]);
}

#[test]
fn a_target_that_cannot_be_looked_at_holds_up_nobody() {
    let mut it = bench(0, 1);
    let failure = transient(Remedy::Retry);
    it.failing_looks = vec![failure].into();
    receive_all(&mut it);
    assert_eq!(it.start_times(), [1_005_000, 1_005_000, 1_005_000, 1_006_000]);
    assert_eq!(started(&it)[3], "a");
}

#[test]
fn who_is_being_deployed_has_a_place_when_the_message_is_received_again() {
    let mut it = bench(1, 0);
    receive_all(&mut it);
    it.tell(Input::Lost(vec![LeaseId(1)]));
    receive_all(&mut it);
    assert_eq!(started(&it), ["a"]);
    ends(&mut it, "a", RolloutState::Succeeded);
    assert_eq!(started(&it), ["a", "b"]);
}

#[test]
fn who_may_have_been_started_keeps_its_place_until_that_is_known() {
    let mut it = bench(1, 0);
    it.failing_starts = vec![transient(Remedy::LookFirst)].into();
    receive_all(&mut it);
    assert_eq!(started(&it), ["a"]);
    it.pass(20);
    assert_eq!(started(&it), ["a", "a"], "it had not been started");
}

#[test]
fn what_is_being_undone_has_failed_already() {
    let mut it = bench(2, 1);
    it.settings.rollback = true;
    it.receive("m", FOUR.map(|name| of(name, image("v2", 990))));
    it.pass(6);
    assert_eq!(started(&it), ["a", "b"]);
    ends(&mut it, "a", RolloutState::Failed);
    ends(&mut it, "b", RolloutState::Succeeded);
    assert_eq!(started(&it), ["a", "b", "a"], "the last one goes back");
    assert_eq!(it.outcomes(), [Outcome::Cancelled, Outcome::Cancelled, Outcome::Succeeded]);
}

/// The same with a second container.
fn two_containers(mut definition: DefinitionView) -> DefinitionView {
    definition.images.insert("side".into(), "shop/side:v1".parse().unwrap());
    definition
}

#[test]
fn an_image_that_runs_is_not_deployed_again_for_a_definition_that_is_not() {
    for stop_after in [0, 1] {
        let mut it = bench(1, stop_after);
        for service in ["a", "b"] {
            it.scene_of(&target(service)).wanted = Some(Ok(two_containers(revision(2, "v1"))));
        }
        let runs = two_containers(marked(3, "v5", 1_000));
        let scene = it.scene_of(&target("b"));
        let running = scene.running.as_mut().expect("runs");
        (running.definition, running.digests) = (runs.clone(), [("web".into(), digest("5"))].into());
        scene.base = Ok(runs);
        it.receive("m", ["a", "b"].map(|service| of(service, definition("api:2", 990))));
        it.receive("n", [of("b", image("v5", 1_000))]);
        it.pass(6);
        assert_eq!(started(&it), ["a"], "stop_after = {stop_after}");
        ends(&mut it, "a", RolloutState::Failed);
        assert_eq!(started(&it).len(), if stop_after == 0 { 2 } else { 1 }, "stop_after = {stop_after}");
    }
}

#[test]
fn what_another_event_asks_for_goes_on_while_the_rest_waits_for_its_turn() {
    let mut it = bench(1, 0);
    receive_all(&mut it);
    let image = Request { version: at(995), floor: at(995), ..of("b", image("v2", 995)) };
    it.receive("one", [image]);
    it.pass(6);
    assert_eq!(started(&it), ["a", "b"]);
    assert_eq!(it.planner.deployments()[1].changes, ["image shop/api:v2"]);
}

#[test]
fn two_targets_are_a_wave_too() {
    let mut it = bench(1, 0);
    it.receive("m", ["a", "b"].map(|name| of(name, restart(990))));
    it.pass(6);
    assert_eq!(started(&it), ["a"]);
    it.receive("one", [restart(990)]);
    it.pass(6);
    assert_eq!(started(&it), ["a", "api"], "one target is none");
}

#[test]
fn stop_after_counts_without_max_parallel_too() {
    let mut it = bench(0, 1);
    it.scene_of(&target("c")).rollouts = vec![rollout("before", 995, revision(1, "v1"))];
    ecs::turn_to(it.scene_of(&target("c")), RolloutState::Failed);
    receive_all(&mut it);
    assert_eq!((started(&it).len(), it.letters().len()), (0, 4));
}

#[test]
fn without_stop_after_nobody_waits_for_what_is_not_looked_at_yet() {
    let mut it = bench(2, 0);
    it.unanswered.insert(Verb::Look);
    receive_all(&mut it);
    let orders: Vec<_> = it.looks().into_iter().cloned().collect();
    let answer = it.looked(&orders[1]);
    it.tell(answer);
    assert_eq!(started(&it), ["b"]);
}

#[test]
fn the_next_is_started_once_the_one_before_has_ended() {
    let mut it = bench(1, 0);
    receive_all(&mut it);
    ends(&mut it, "a", RolloutState::Succeeded);
    let ended =
        it.log.iter().find(|(_, it)| matches!(it, Command::Report(crate::domain::Report::Finished(_))));
    assert_eq!(ended.map(|(at, _)| at.as_millis()), it.start_times().get(1).copied());
}

/// `a` comes first, and its start fails like this.
fn first_start_fails(remedy: Remedy) -> Bench {
    let mut it = bench(1, 0);
    it.jitter = Jitter(u16::MAX);
    it.failing_starts.push_back(transient(remedy));
    receive_all(&mut it);
    it
}

#[test]
fn who_waits_before_another_attempt_keeps_no_place_unless_it_may_have_been_started() {
    assert_eq!(started(&first_start_fails(Remedy::Retry)), ["a", "b"]);
    assert_eq!(started(&first_start_fails(Remedy::LookFirst)), ["a"]);
}

#[test]
fn what_is_deployed_because_of_another_event_takes_no_place() {
    let mut it = bench(1, 0);
    receive_all(&mut it);
    it.receive("one", [of("a", restart(1_005))]);
    it.pass(6);
    ends(&mut it, "a", RolloutState::Succeeded);
    assert_eq!(started(&it), ["a", "a", "b"]);
}

#[test]
fn an_event_is_forgotten_with_its_last_message() {
    let mut it = bench(4, 0);
    receive_all(&mut it);
    let empty = crate::plan::waves::Waves::default();
    assert_ne!(it.planner.waves, empty);
    for service in FOUR {
        ends(&mut it, service, RolloutState::Succeeded);
    }
    assert_eq!((it.planner.held(), &it.planner.waves), (0, &empty));

    it.receive("lost", FOUR.map(|name| of(name, restart(1_050))));
    assert_ne!(it.planner.waves, empty);
    it.tell(Input::Lost(vec![LeaseId(2)]));
    assert_eq!(it.planner.waves, empty);
}

#[test]
fn who_looks_once_more_is_passed_by_those_that_wait() {
    let mut it = bench(1, 0);
    receive_all(&mut it);
    it.receive("one", [of("b", image("v2", 995))]);
    it.unanswered.insert(Verb::Look);
    it.pass(6);
    it.unanswered.clear();
    assert_eq!(it.looks().last().map(|order| order.target.clone()), Some(target("b")));
    ends(&mut it, "a", RolloutState::Succeeded);
    assert_eq!(started(&it), ["a", "c"]);
}
