//! A rollout is in the way of what is asked for: when it is passed, and when it is waited for.

use super::*;
use crate::domain::{LaneState, OnNewer, Outcome, Report, RolloutState, Tasks};

const FAILING: Tasks = Tasks { desired: 2, running: 0, pending: 2, failed: 2 };

/// Somebody has been rolling out this definition since that second.
fn theirs(it: &mut Bench, second: i64, definition: DefinitionView) {
    it.scene().rollouts = vec![ecs::rollout("theirs", second, definition)];
}

fn bench(on_newer: OnNewer) -> Bench {
    let mut it = Bench::new();
    it.settings.on_newer = on_newer;
    it
}

#[test]
fn somebodys_rollout_from_before_is_passed_where_the_settings_say_so() {
    let starts = |on_newer| {
        let mut it = bench(on_newer);
        theirs(&mut it, 980, revision(1, "v1"));
        it.receive("m1", [restart(990)]);
        it.pass(60);
        it.starts().len()
    };
    let all = [OnNewer::Queue, OnNewer::WhenFailing, OnNewer::Interrupt];
    assert_eq!(all.map(starts), [0, 0, 1]);
}

#[test]
fn what_decides_about_a_request_is_waited_for_unless_it_fails() {
    let is_passed = |tasks| {
        let mut it = bench(OnNewer::Interrupt);
        theirs(&mut it, 995, revision(7, "v7"));
        it.scene().rollouts[0].tasks = tasks;
        it.receive("m1", [image("v2", 990)]);
        it.receive("m2", [restart(996)]);
        it.pass(60);
        !it.starts().is_empty()
    };
    assert!(!is_passed(Tasks { failed: 0, ..FAILING }), "somebody moved the service after the image");
    assert!(is_passed(FAILING));
}

#[test]
fn what_makes_no_progress_is_told_once_to_who_waits_behind_it() {
    let mut it = bench(OnNewer::Queue);
    it.settings.timeout = Duration::from_mins(2);
    theirs(&mut it, 980, revision(1, "v1"));
    it.receive("m1", [restart(990)]);
    it.pass(600);
    let told: Vec<&str> = it
        .reports()
        .into_iter()
        .filter_map(|it| if let Report::Moved(record) = it { record.reason.as_deref() } else { None })
        .collect();
    assert_eq!(told, ["ecs-svc/theirs is in progress, which makes no progress"]);
}

#[test]
fn our_own_rollout_without_progress_is_not_told_to_wait() {
    let mut it = bench(OnNewer::Queue);
    it.settings.timeout = Duration::from_mins(2);
    it.receive("m1", [restart(990)]);
    it.pass(6);
    let moved = |it: &Bench| it.reports().iter().filter(|it| matches!(it, Report::Moved(_))).count();
    let before = moved(&it);
    it.pass(600);
    assert_eq!((moved(&it), it.outcomes()), (before, vec![Outcome::Failed]));
}

/// The image `v2` is being rolled out by us, and a glance shows an end that the look after it does not.
fn glimpsed(it: &mut Bench) {
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    it.receive("m2", [image("v3", 1_000)]);
    it.pass(6);
    assert_eq!(it.starts().len(), 1);
    it.unanswered.insert(Verb::Look);
    ecs::turn_to(it.scene(), RolloutState::RolledBack);
    let before = it.looks().len();
    it.pass(4);
    assert_eq!(it.looks().len(), before + 1);
    ecs::turn_to(it.scene(), RolloutState::InProgress);
    it.unanswered.clear();
    let order = (*it.looks().last().unwrap()).clone();
    let answer = it.looked(&order);
    it.tell(answer);
}

#[test]
fn a_look_at_a_rollout_that_goes_on_starts_nothing_over_it() {
    let mut it = bench(OnNewer::Queue);
    glimpsed(&mut it);
    it.pass(60);
    assert_eq!((it.starts().len(), it.outcomes().len()), (1, 0));
}

#[test]
fn what_is_too_early_now_supersedes_once_it_is_not() {
    let mut it = bench(OnNewer::Interrupt);
    it.settings.quiet = Duration::ZERO;
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    it.receive("m2", [restart(1_006)]);
    assert_eq!(it.starts().len(), 1, "a rollout created now could be from before the change");
    it.pass(10);
    assert_eq!(it.starts().len(), 2);
}

#[test]
fn what_still_gathers_supersedes_nothing() {
    let mut it = bench(OnNewer::Interrupt);
    it.settings.quiet = Duration::from_secs(30);
    it.receive("m1", [image("v2", 990)]);
    it.pass(31);
    it.receive("m2", [image("v3", 1_020)]);
    ecs::turn_to(it.scene(), RolloutState::RolledBack);
    it.unanswered.insert(Verb::Look);
    it.pass(4);
    ecs::turn_to(it.scene(), RolloutState::InProgress);
    let order = (*it.looks().last().unwrap()).clone();
    let answer = it.looked(&order);
    it.tell(answer);
    assert_eq!(it.starts().len(), 1);
}

#[test]
fn nothing_is_started_over_what_was_adopted_before_it_may_be() {
    let mut settings = PlanSettings::new(Duration::from_hours(12));
    settings.start_after = Moment::from_millis(1_060_000);
    let mut it = Bench::with(settings);
    it.settings.on_newer = OnNewer::Interrupt;
    theirs(&mut it, 995, revision(1, "v1"));
    it.receive("m1", [restart(990)]);
    it.pass(6);
    assert_eq!(it.planner.targets()[0].lane.state, LaneState::Watching);
    it.receive("m2", [restart(1_000)]);
    it.pass(50);
    assert_eq!(it.starts().len(), 0, "another process may still be stopping");
    it.scene().rollouts[0].tasks.failed = 2;
    it.pass(10);
    assert_eq!(it.starts().len(), 1);
}

#[test]
fn what_has_nothing_to_start_from_supersedes_nothing() {
    let mut it = bench(OnNewer::Interrupt);
    it.receive("m1", [restart(990)]);
    it.pass(6);
    it.scene().base = Err("no task definitions found".into());
    it.receive("m2", [restart(1_000)]);
    it.pass(60);
    assert_eq!((it.starts().len(), it.outcomes().len()), (1, 0), "and is not failed for it before its turn");
}

#[test]
fn only_a_rollout_created_later_takes_a_place() {
    let ended = |other: i64| {
        let mut it = bench(OnNewer::Queue);
        it.receive("m1", [image("v2", 990)]);
        it.pass(6);
        let mut another = ecs::rollout("other", other, revision(1, "v1"));
        (another.state, another.primary) = (RolloutState::Succeeded, true);
        let place = usize::from(other < 1_005);
        it.scene().rollouts.insert(place, another);
        let ours = it.scene().rollouts.iter_mut().find(|it| it.id == ecs::key("r1")).unwrap();
        (ours.state, ours.primary) = (RolloutState::Stopped, false);
        it.pass(4);
        (it.starts().len(), it.outcomes())
    };
    assert_eq!(ended(1_006), (1, vec![Outcome::Superseded]), "somebody took it back");
    assert_eq!(ended(995), (1, vec![Outcome::Failed]));
}

/// New tasks are asked for once all of these have begun, together with what needs a look at the time before.
fn ask_for_tasks_in_sight_of_all(it: &mut Bench) {
    it.receive("earlier", [followed("another", None, 990)]);
    it.receive("m1", [restart(999)]);
    it.pass(60);
}

/// The rollout of one, created at 995, failed, and one of the other is in progress since.
fn after_a_failure(failed: DefinitionView, next: DefinitionView) -> usize {
    let mut it = bench(OnNewer::Interrupt);
    let mut next = ecs::rollout("next", 998, next);
    next.previous = Some(failed.clone());
    let failed = ecs::rollout("failed", 995, failed);
    it.scene().rollouts = vec![failed];
    ecs::turn_to(it.scene(), RolloutState::Failed);
    it.scene().rollouts[0].primary = false;
    it.scene().rollouts.insert(0, next);
    ask_for_tasks_in_sight_of_all(&mut it);
    it.starts().len()
}

/// `api:2` goes on with the digest that ran, and remembers the tag.
fn pinned(number: u32) -> DefinitionView {
    let mut pinned = revision(number, "v1");
    pinned.marks.follows = [("web".into(), "v1".into())].into();
    pinned
}

#[test]
fn a_rollback_that_nobody_here_began_is_not_passed() {
    assert_eq!(after_a_failure(revision(2, "v2"), revision(1, "v1")), 0, "what was there before");
    assert_eq!(after_a_failure(revision(1, "v1"), pinned(2)), 0, "what ran, by its digest");
}

#[test]
fn what_follows_a_failure_is_no_rollback_unless_it_brings_back_what_was() {
    assert_eq!(after_a_failure(revision(2, "v2"), revision(3, "v3")), 1, "a fix");
    assert_eq!(after_a_failure(revision(1, "v1"), revision(1, "v1")), 1, "the same once more");
    assert_eq!(after_a_failure(pinned(2), pinned(2)), 1, "the same once more, pinned since");
    assert_eq!(after_a_failure(pinned(2), pinned(3)), 1, "another image beside one that is pinned");
}

#[test]
fn what_brings_back_what_was_after_no_failure_is_no_rollback() {
    let mut it = bench(OnNewer::Interrupt);
    let mut stopped = ecs::rollout("stopped", 995, revision(2, "v2"));
    (stopped.state, stopped.primary) = (RolloutState::Stopped, false);
    it.scene().rollouts = vec![ecs::rollout("next", 998, revision(1, "v1")), stopped];
    ask_for_tasks_in_sight_of_all(&mut it);
    assert_eq!(it.starts().len(), 1);
}

#[test]
fn what_runs_tells_what_is_brought_back_where_nothing_was_complete_before_the_failure() {
    let mut it = bench(OnNewer::Interrupt);
    let mut failed = ecs::rollout("failed", 995, revision(2, "v2"));
    failed.previous = Some(revision(9, "v9"));
    it.scene().rollouts = vec![failed];
    ecs::turn_to(it.scene(), RolloutState::Failed);
    it.scene().rollouts[0].primary = false;
    it.scene().rollouts.insert(0, ecs::rollout("back", 998, revision(1, "v1")));
    ask_for_tasks_in_sight_of_all(&mut it);
    assert_eq!(it.starts().len(), 0);
}

#[test]
fn a_definition_supersedes_a_rollout_of_ours_where_the_settings_say_so() {
    let mut it = bench(OnNewer::Interrupt);
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    it.scene().wanted = Some(Ok(revision(5, "v0")));
    it.receive("m2", [definition("api:5", 1_005)]);
    it.pass(10);
    assert_eq!((it.starts().len(), it.ordered_base().as_str()), (2, "api:5"));
}
