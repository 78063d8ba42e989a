//! What the planner can see of its promises from within, and what it lets go of.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use crate::domain::{LeaseId, RolloutState::*, ServiceState, SettledBy, StartOrder};
use crate::plan::{
    Asks, Command, Input, Planner, Promise,
    fold::Ask,
    lane::{Lane, Phase},
    testing::*,
};

fn broken(planner: &Planner, commands: &[Command]) -> Vec<Promise> {
    planner.broken_promises(commands).into_iter().map(|violation| violation.promise).collect()
}

fn start_of(story: &Story) -> StartOrder {
    story.start().expect("a start was ordered").clone()
}

#[test]
fn a_second_start_is_seen() {
    let mut story = Story::new();
    story.receive(1, vec![restart(10)]).looked(look(100, Vec::new()));
    let order = start_of(&story);
    let start = || Command::Start(order.clone());
    assert_eq!(broken(&story.planner, &[start()]), []);
    assert_eq!(broken(&story.planner, &[start(), start()]), [Promise::P1]);
    story.started(101, view(1, "latest"));
    assert_eq!(broken(&story.planner, &[start()]), [Promise::P1], "its rollout is watched already");
    let elsewhere = Command::Start(StartOrder { target: target("web"), ..order.clone() });
    assert_eq!(broken(&story.planner, &[elsewhere]), [Promise::P1], "nothing was asked of it");
}

#[test]
fn a_deletion_that_comes_too_early_is_seen() {
    let mut story = Story::new();
    story.receive(1, vec![restart(10)]).receive(2, Vec::new());
    let deletes = |lease| [Command::Delete(vec![LeaseId(lease)])];
    let seen = story.planner.broken_promises(&deletes(1));
    assert_eq!((seen.len(), seen[0].promise), (1, Promise::P2));
    assert!(seen[0].what.contains("lease-1"), "{seen:?}");
    assert_eq!(broken(&story.planner, &deletes(2)), []);
    story.arrive(3, "message-3", "unknown", Asks::Unknown { reason: "no JSON".into(), version: at(5) });
    assert_eq!(broken(&story.planner, &deletes(3)), [Promise::P2], "its letter is not sent yet");
    story.planner.ledger.settle(LeaseId(1), &api(), SettledBy::Newer);
    assert_eq!(broken(&story.planner, &deletes(1)), [Promise::P2], "its lane still waits");
}

#[test]
fn a_lane_that_nothing_would_wake_is_seen() {
    let request = restart(10);
    let mut lane = Lane::new(request.target.clone(), request.settings.clone());
    assert!(!lane.is_asleep(), "it has nothing to do");
    lane.waiting.push(Ask::new(LeaseId(1), request));
    assert!(lane.is_asleep());
    lane.phase = Phase::Looking { evidence: false };
    assert!(!lane.is_asleep(), "it is answered");

    let mut story = Story::new();
    story.receive(1, vec![restart(10)]);
    story.planner.agenda.set(&api(), None, false, true);
    assert_eq!(broken(&story.planner, &[]), [Promise::P9]);
}

#[test]
fn each_promise_has_a_label_and_words_of_its_own() {
    for promise in Promise::ALL {
        assert_eq!(promise.as_str(), format!("{promise:?}"));
    }
    let statements: BTreeSet<&str> = Promise::ALL.into_iter().map(Promise::statement).collect();
    assert_eq!(statements.len(), Promise::ALL.len());
    assert!(statements.iter().all(|statement| statement.contains(' ')));
}

#[test]
fn a_message_is_held_until_it_is_deleted() {
    let mut story = Story::new();
    story.receive(1, Vec::new());
    assert_eq!([1, 2].map(|lease| story.planner.holds(LeaseId(lease))), [true, false]);
    story.tell(Input::Deleted(vec![LeaseId(1)]));
    assert!(!story.planner.holds(LeaseId(1)));
}

#[test]
fn a_name_that_somebody_made_up_leaves_no_trace() {
    let mut story = Story::new();
    story.receive(1, vec![restart(10)]);
    let mut missing = look(100, Vec::new());
    (missing.service, missing.running) = (ServiceState::Missing, None);
    story.looked(missing);
    assert!(story.planner.targets().is_empty());

    story.receive(2, vec![restart(20)]).looked(look(100, vec![rollout(50, view(1, "latest"), Succeeded)]));
    assert_eq!(story.planner.targets().len(), 1, "what was seen to run stays");
}

#[test]
fn what_is_only_told_to_people_makes_no_state_of_its_own() {
    let hash = |ask: &Ask| {
        let mut hasher = DefaultHasher::new();
        ask.hash(&mut hasher);
        hasher.finish()
    };
    let one = Ask::new(LeaseId(1), restart(10));
    let mut told_more = one.clone();
    told_more.merged.push(Arc::clone(&restart(9).origin));
    assert_eq!(hash(&one), hash(&told_more));
    assert_ne!(hash(&one), hash(&Ask::new(LeaseId(2), restart(10))));
    assert_ne!(hash(&one), hash(&Ask::new(LeaseId(1), restart(11))));
}

#[test]
fn a_letter_extends_no_hold() {
    let mut story = Story::new();
    story.arrive(1, "message-1", "unknown", Asks::Unknown { reason: "no JSON".into(), version: at(5) });
    assert_eq!((story.letters().len(), story.extended()), (1, vec![]));
}

#[test]
fn a_letter_to_be_repeated_brings_no_extension_forward() {
    let mut story = Story::new();
    story.receive(1, vec![restart(10)]);
    story.clock += 29_500;
    story.arrive(2, "message-2", "unknown", Asks::Unknown { reason: "no JSON".into(), version: at(5) });
    story.tell(Input::SetAside { lease: LeaseId(2), target: None, done: false });
    story.clock += 500;
    story.tell(Input::Wakeup);
    assert_eq!(story.extended(), [1]);
}
