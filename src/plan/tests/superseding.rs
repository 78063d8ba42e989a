//! What happens to a rollout in progress when something newer is asked for.

use crate::domain::{OnNewer, Outcome, Remedy, Rollout, RolloutState::*};
use crate::plan::testing::*;

fn live(failed: u32) -> Rollout {
    let mut live = rollout(101, marked(view(2, "v1"), 10), InProgress);
    live.tasks.failed = failed;
    live
}

/// Version 1 is being rolled out, and version 2 is asked for.
fn newer(on_newer: OnNewer, failed: u32) -> Story {
    let mut story = Story::new();
    story.rolling_out(pin(10, "v1"), 101, marked(view(2, "v1"), 10));
    story.glanced(101, true, live(failed).tasks);
    story.receive(2, vec![with(pin(20, "v2"), |it| it.on_newer = on_newer)]);
    if story.look().is_some() {
        story.looked(look(110, vec![live(failed)]));
    }
    story
}

#[test]
fn on_newer_says_whether_a_sound_or_a_failing_rollout_gives_way() {
    let gives_way = |on_newer, failed| newer(on_newer, failed).start().is_some();
    assert!(!gives_way(OnNewer::Queue, 0));
    assert!(!gives_way(OnNewer::Queue, 2));
    assert!(!gives_way(OnNewer::WhenFailing, 1));
    assert!(gives_way(OnNewer::WhenFailing, 2));
    assert!(gives_way(OnNewer::Interrupt, 0));
}

#[test]
fn a_rollback_is_never_superseded() {
    let mut story = newer(OnNewer::Queue, 0);
    story.sleep().judged(101, look(115, vec![Rollout { state: RollingBack, ..live(2) }]));
    story.receive(3, vec![with(pin(30, "v3"), |it| it.on_newer = OnNewer::Interrupt)]);
    assert!(story.start().is_none() && story.look().is_none());
    let mut fresh = Story::new();
    fresh.receive(3, vec![with(pin(30, "v3"), |it| it.on_newer = OnNewer::Interrupt)]);
    fresh.looked(look(115, vec![Rollout { state: RollingBack, ..live(2) }]));
    assert!(fresh.start().is_none());
}

#[test]
fn what_was_replaced_is_settled_only_once_the_newer_has_started() {
    let mut story = newer(OnNewer::Interrupt, 0);
    assert!(story.start().is_some());
    assert!(story.deleted().is_empty());
    story.started(111, marked(view(3, "v2"), 20));
    assert_eq!(story.end().0, Outcome::Superseded);
    assert_eq!(story.deleted(), [1]);
}

#[test]
fn a_newer_one_that_cannot_start_fails_alone() {
    let mut story = newer(OnNewer::Interrupt, 0);
    story.not_started(Remedy::GiveUp);
    assert_eq!(story.letters().iter().map(|(lease, _)| *lease).collect::<Vec<_>>(), [2]);
    story.looked(look(112, vec![live(0)]));
    story.sleep().judged(101, look(120, vec![Rollout { state: Succeeded, ..live(0) }]));
    assert_eq!(story.deleted(), [1], "the rollout before was watched to its end");
}

#[test]
fn the_messages_and_the_content_of_what_gives_way_are_inherited() {
    let mut story = newer(OnNewer::Interrupt, 0);
    story.started(111, marked(view(3, "v2"), 20));
    story.receive(3, vec![with(restart(105), |it| it.on_newer = OnNewer::Interrupt)]);
    let second = rollout(111, marked(view(3, "v2"), 20), InProgress);
    story.looked(look(120, vec![second]));
    assert!(story.start().is_none(), "a rollout that began later carries freshness");
    story.receive(4, vec![with(restart(115), |it| it.on_newer = OnNewer::Interrupt)]);
    story.looked(look(121, vec![rollout(111, marked(view(3, "v2"), 20), InProgress)]));
    let order = story.start().expect("this one does not");
    assert_eq!(order.base.to_string(), "f:3", "it starts from what gives way");
    assert_eq!(order.edits.len(), 1, "with the image that it was to bring");
}

#[test]
fn a_sound_rollout_of_somebody_keeps_what_it_brought() {
    let mut story = Story::new();
    let theirs = rollout(90, view(7, "theirs"), InProgress);
    story.receive(1, vec![with(restart(95), |it| it.on_newer = OnNewer::Interrupt)]);
    story.looked(look(100, vec![theirs]));
    let order = story.start().expect("the settings allow it");
    assert_eq!(order.base.to_string(), "f:7");
    assert_eq!(order.marks.content, Some(at(90)), "their decision leaves its time");
}

#[test]
fn behind_a_stuck_rollout_of_somebody_it_is_said_and_then_acted_on() {
    let mut story = Story::new();
    let mut theirs = rollout(90, view(1, "latest"), InProgress);
    theirs.updated_at = at(90);
    story.receive(1, vec![with(restart(95), |it| it.on_newer = OnNewer::Queue)]);
    story.looked(look(90 + 31 * 60, vec![theirs.clone()]));
    assert!(story.start().is_none());
    let said = story.planner.deployments()[0].reason.clone().unwrap_or_default();
    assert!(said.contains("makes no progress"), "{said}");
    let mut allowed = Story::new();
    allowed.receive(1, vec![restart(95)]).looked(look(90 + 31 * 60, vec![theirs]));
    assert!(allowed.start().is_some());
}

#[test]
fn what_would_not_be_started_is_not_looked_at_again_and_again() {
    let mut story = newer(OnNewer::WhenFailing, 0);
    story.receive(3, vec![pin(5, "v0")]);
    for _ in 0..20 {
        story.sleep();
        assert!(story.look().is_none(), "glances are enough");
        if !story.glances().is_empty() {
            story.glanced(101, true, live(0).tasks);
        }
    }
}
