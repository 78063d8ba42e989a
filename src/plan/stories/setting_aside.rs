//! What ends otherwise than by a rollout: letters, deletions, dry runs.

use super::*;
use crate::domain::{Cause, Outcome, RolloutState, SettledBy};

/// A rollout of the image v2 for these targets has failed for `api`, and ECS went back.
fn failed(requests: impl Into<Vec<Request>>, prepare: impl Fn(&mut Bench)) -> Bench {
    let mut it = Bench::new();
    prepare(&mut it);
    it.receive("m1", requests);
    it.pass(6);
    it.rollout_is(RolloutState::RolledBack);
    it
}

/// The letters and deletions, in their order.
fn post(it: &Bench) -> Vec<&'static str> {
    let kind = |command: &Command| match command {
        Command::SetAside { .. } => Some("letter"),
        Command::Delete(_) => Some("delete"),
        _ => None,
    };
    it.log.iter().filter_map(|(_, command)| kind(command)).collect()
}

#[test]
fn what_failed_is_set_aside_before_it_is_deleted() {
    let it = failed([image("v2", 990)], |_| {});
    assert_eq!(post(&it), ["letter", "delete"]);
    assert_eq!((it.settled(), it.planner.held()), (vec![("m1", SettledBy::SetAside)], 0));
}

#[test]
fn nothing_is_deleted_while_its_letter_is_not_sent() {
    let mut it = failed([image("v2", 990)], |it| {
        it.unanswered.insert(Verb::SetAside);
    });
    it.pass(60);
    assert_eq!((post(&it), it.settled().len()), (vec!["letter"], 0));
    it.tell(Input::SetAside { lease: LeaseId(1), target: Some(target(API)), done: true });
    assert_eq!(post(&it), ["letter", "delete"]);
}

#[test]
fn a_letter_that_could_not_be_sent_is_tried_again_ever_more_slowly() {
    let mut it = Bench::new();
    it.failing_letters = 3;
    it.arrive("m1", "m1", Asks::Unknown { reason: "no JSON".into(), version: at(990) });
    it.pass_ms(6_999);
    assert_eq!(post(&it), ["letter", "letter", "letter"]);
    it.pass_ms(1);
    assert_eq!(post(&it), ["letter", "letter", "letter", "letter", "delete"]);
}

#[test]
fn a_letter_tells_how_it_ended() {
    let it = failed([image("v2", 990)], |it| {
        let task = stopped_task("EssentialContainerExited", "Essential container in task exited");
        it.scene().stopped = vec![("ecs-svc/r1".into(), task)];
    });
    let (lease, letter) = it.letters()[0];
    assert_eq!((lease, &letter.target), (1, &Some(target(API))));
    assert_eq!((letter.outcome, letter.cause), (Some(Outcome::RolledBack), Some(Cause::CrashLoop)));
    assert_eq!(letter.reason, "container web: Essential container in task exited");
    assert_eq!((letter.attempts, letter.version), (1, at(990)));
    assert_eq!(letter.deployment.as_ref(), Some(&it.ended()[0].id));
}

#[test]
fn each_message_of_a_deployment_that_failed_has_its_letter() {
    let mut it = Bench::new();
    it.receive("m1", [image("v2", 990)]);
    it.receive("m2", [restart(995)]);
    it.pass(6);
    it.rollout_is(RolloutState::RolledBack);
    let versions: Vec<_> = it.letters().iter().map(|(lease, letter)| (*lease, letter.version)).collect();
    assert_eq!((versions, it.ended().len()), (vec![(1, at(990)), (2, at(995))], 1));
}

#[test]
fn of_two_targets_only_the_one_that_failed_is_set_aside() {
    let mut it = failed([restart(990), of("web", restart(990))], |_| {});
    assert_eq!(post(&it), ["letter"]);
    ecs::turn_to(it.scene_of(&target("web")), RolloutState::Succeeded);
    it.pass(4);
    assert_eq!(post(&it), ["letter", "delete"]);
    assert_eq!(it.letters()[0].1.target, Some(target(API)));
    assert_eq!(it.settled(), [("m1", SettledBy::SetAside)], "the weightiest reason is told");
}

#[test]
fn of_two_targets_that_failed_each_has_a_letter() {
    let mut it = failed([restart(990), of("web", restart(990))], |_| {});
    ecs::turn_to(it.scene_of(&target("web")), RolloutState::Failed);
    it.pass(4);
    assert_eq!(post(&it), ["letter", "letter", "delete"]);
}

#[test]
fn a_message_that_nobody_understands_is_set_aside_once_with_the_reason() {
    let mut it = Bench::new();
    it.arrive("m1", "m1", Asks::Unknown { reason: "no JSON".into(), version: at(990) });
    it.pass(60);
    let (_, letter) = it.letters()[0];
    assert_eq!((letter.target.clone(), letter.outcome, letter.reason.as_str()), (None, None, "no JSON"));
    assert_eq!((letter.version, post(&it)), (at(990), vec!["letter", "delete"]));
    assert_eq!((it.settled(), it.outcomes().len()), (vec![("m1", SettledBy::SetAside)], 0));
}

#[test]
fn a_letter_that_was_being_sent_when_the_message_came_again_is_sent_for_its_latest_receipt() {
    let mut it = Bench::new();
    let unknown = || Asks::Unknown { reason: "no JSON".into(), version: at(990) };
    it.unanswered.insert(Verb::SetAside);
    it.arrive("m1", "m1", unknown());
    it.unanswered.clear();
    it.arrive("m1", "m1", unknown());
    it.tell(Input::SetAside { lease: LeaseId(1), target: None, done: true });
    let leases: Vec<u64> = it.letters().iter().map(|(lease, _)| *lease).collect();
    assert_eq!((leases, it.deletions()), (vec![1, 2], vec![vec![2]]));
}

#[test]
fn what_asks_nothing_is_deleted_at_once() {
    let mut it = Bench::new();
    it.arrive("m1", "m1", Asks::Nothing);
    assert_eq!((it.settled(), it.deletions()), (vec![("m1", SettledBy::NothingAsked)], vec![vec![1]]));
    assert_eq!((it.planner.held(), it.planner.next_wakeup()), (0, None));
}

#[test]
fn a_deletion_that_failed_is_tried_again_ever_more_slowly_and_told_once_it_is_done() {
    let mut it = Bench::new();
    it.failing_deletions = 2;
    it.arrive("m1", "m1", Asks::Nothing);
    it.pass_ms(2_999);
    assert_eq!((it.deletions().len(), it.settled().len()), (2, 0));
    it.pass_ms(1);
    assert_eq!((it.deletions().len(), it.settled().len(), it.planner.held()), (3, 1, 0));
}

#[test]
fn messages_that_are_settled_in_one_turn_are_deleted_in_one_call() {
    let mut it = Bench::new();
    it.receive("m1", [image("v2", 990)]);
    it.receive("m2", [restart(990)]);
    it.pass(6);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.deletions(), [[1, 2]]);
}

#[test]
fn a_dry_run_looks_and_starts_nothing() {
    let mut it = Bench::new();
    it.settings.dry_run = true;
    it.receive("m1", [image("v2", 990)]);
    it.pass(60);
    assert_eq!((it.looks().len(), it.starts().len(), it.letters().len()), (1, 0, 0));
    assert_eq!((it.outcomes(), it.settled()), (vec![Outcome::DryRun], vec![("m1", SettledBy::DryRun)]));
    let reason = it.end().2;
    assert!(
        reason.starts_with("a rollout of a new revision would have been started")
            && reason.contains("web=")
            && reason.contains(":v2"),
        "{reason}"
    );
    assert_eq!(it.planner.held(), 0);
}

#[test]
fn a_dry_run_says_so_of_what_runs_already_too() {
    let mut it = Bench::new();
    it.settings.dry_run = true;
    it.scene().rollouts = vec![rollout("x", 995, revision(1, "v1"))];
    ecs::turn_to(it.scene(), RolloutState::Succeeded);
    it.receive("m1", [restart(990)]);
    it.pass(6);
    assert_eq!(it.outcomes(), [Outcome::AlreadyRunning], "nothing would have been started");
}

#[test]
fn a_dry_run_supersedes_nothing_and_waits_as_a_deployment_would() {
    let mut it = Bench::new();
    it.settings.dry_run = true;
    it.settings.on_newer = crate::domain::OnNewer::Interrupt;
    it.scene().rollouts = vec![rollout("x", 985, revision(1, "v1"))];
    it.receive("m1", [image("v2", 990)]);
    it.pass(60);
    assert_eq!(it.outcomes(), []);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.outcomes(), it.starts().len()), (vec![Outcome::DryRun], 0));
}
