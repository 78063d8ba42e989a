//! Holds on messages: extended, lost, received again, and let go of.

use std::sync::Arc;

use crate::domain::{LeaseId, Report, Request, RolloutState::*};
use crate::plan::testing::*;
use crate::plan::{Asks, Command, Input};

fn lost(story: &Story) -> usize {
    story.out.iter().filter(|it| matches!(it, Command::Report(Report::LeaseLost { .. }))).count()
}

fn of(service: &str, request: Request) -> Request {
    Request { target: target(service), settings: Arc::new(settings()), ..request }
}

#[test]
fn holds_are_extended_together_at_half_their_life() {
    let mut story = Story::new();
    story.receive(1, vec![restart(10)]);
    story.clock += 10_000;
    story.receive(2, vec![of("web", restart(10))]);
    story.clock = 130_000;
    story.tell(Input::Wakeup);
    assert_eq!(story.extended(), [1, 2], "the second is due soon");
    let until = story.moment() + VISIBILITY;
    story.tell(Input::Extended { leases: vec![LeaseId(1), LeaseId(2)], until });
    story.sleep();
    assert_eq!(story.clock, 160_000);
    assert_eq!(story.extended(), [1, 2]);
}

#[test]
fn an_extension_that_failed_is_tried_again_until_the_hold_runs_out() {
    let mut story = Story::new();
    story.receive(1, vec![restart(10)]);
    story.clock = 130_000;
    story.tell(Input::Wakeup);
    for _ in 0..29 {
        story.tell(Input::NotExtended(vec![LeaseId(1)]));
        story.wait(1);
        assert_eq!(story.extended(), [1]);
    }
    story.tell(Input::NotExtended(vec![LeaseId(1)])).wait(1);
    assert_eq!((lost(&story), story.planner.held()), (1, 0));
}

#[test]
fn what_hangs_on_a_lost_hold_is_not_started() {
    let mut story = Story::new();
    story.receive(1, vec![restart(10)]).tell(Input::Lost(vec![LeaseId(1)]));
    assert_eq!(lost(&story), 1);
    story.looked(look(100, Vec::new()));
    assert!(story.start().is_none());
}

#[test]
fn a_lost_hold_forbids_deleting_and_the_next_receipt_takes_over() {
    let mut story = Story::new();
    story.rolling_out(restart(10), 101, view(1, "latest"));
    story.tell(Input::Lost(vec![LeaseId(1)])).receive_as(2, "message-1", vec![restart(10)]);
    assert!(story.look().is_none(), "it is being deployed");
    story.sleep().judged(101, look(110, vec![rollout(101, view(1, "latest"), Succeeded)]));
    assert_eq!(story.deleted(), [2]);
}

#[test]
fn a_message_received_again_is_held_by_the_later_receipt_alone() {
    let mut story = Story::new();
    story.receive_as(1, "message-1", vec![restart(10)]).receive_as(2, "message-1", vec![restart(10)]);
    assert_eq!(story.planner.held(), 1);
    assert!(story.deleted().is_empty(), "deleting by the first receipt would delete the message");
    story.looked(look(100, vec![rollout(50, view(1, "latest"), Succeeded)]));
    assert_eq!(story.deleted(), [2]);
}

#[test]
fn what_was_settled_stays_so_when_the_message_is_received_again() {
    let both = || vec![restart(10), of("web", restart(10))];
    let mut story = Story::new();
    story.receive_as(1, "message-1", both());
    story.looked(look(100, vec![rollout(50, view(1, "latest"), Failed)]));
    story.looked(look(100, vec![rollout(50, view(1, "latest"), Failed)]));
    assert_eq!(story.letters().len(), 1);
    story.tell(Input::SetAside { lease: LeaseId(1), target: Some(api()), done: true });
    story.receive_as(2, "message-1", both());
    assert!(story.letters().is_empty() && story.look().is_none(), "{:?}", story.out);
}

#[test]
fn a_message_for_two_targets_is_held_until_both_are_settled_and_set_aside_for_one() {
    let mut story = Story::new();
    story.receive(1, vec![restart(10), of("web", restart(10))]);
    story.looked(look(100, vec![rollout(50, view(1, "latest"), Succeeded)]));
    assert!(story.deleted().is_empty());
    let failed = || Ok(Box::new(look(100, vec![rollout(50, view(1, "latest"), Failed)])));
    story.tell(Input::Looked { target: target("web"), look: failed() });
    story.tell(Input::Looked { target: target("web"), look: failed() });
    assert_eq!(story.letters()[0].1.target, Some(target("web")));
    assert!(story.deleted().is_empty());
    story.tell(Input::SetAside { lease: LeaseId(1), target: Some(target("web")), done: true });
    assert_eq!(story.deleted(), [1]);
}

#[test]
fn a_deletion_that_failed_is_tried_again() {
    let mut story = Story::new();
    story.receive(1, Vec::new());
    assert_eq!(story.deleted(), [1], "it asks nothing");
    story.tell(Input::NotDeleted(vec![LeaseId(1)]));
    assert!(story.deleted().is_empty());
    story.wait(1);
    assert_eq!(story.deleted(), [1]);
    story.tell(Input::Deleted(vec![LeaseId(1)]));
    assert_eq!((story.planner.held(), story.planner.next_wakeup()), (0, None));
}

#[test]
fn a_malformed_message_is_set_aside_with_the_reason_and_then_deleted() {
    let mut story = Story::new();
    let asks = || Asks::Unknown { reason: "it is not JSON".into(), version: at(5) };
    story.arrive(1, "message-1", "unknown", asks());
    assert_eq!((story.letters()[0].1.target.clone(), story.letters()[0].1.version), (None, at(5)));
    assert!(story.deleted().is_empty());
    story.tell(Input::SetAside { lease: LeaseId(1), target: None, done: true });
    assert_eq!(story.deleted(), [1]);
    story.arrive(2, "message-1", "unknown", asks());
    assert!(story.letters().is_empty(), "it was set aside once");
    assert_eq!(story.deleted(), [2]);
}

#[test]
fn what_still_owes_something_is_handed_back() {
    let mut story = Story::new();
    story.receive(1, vec![restart(10)]).receive(2, Vec::new());
    assert_eq!(story.planner.hand_back(), [LeaseId(1)]);
}
