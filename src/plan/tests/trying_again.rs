//! Attempts, and what is done between them.

use crate::domain::{Cause, LeaseId, Moment, Outcome, Prospect, Remedy, RolloutState::*};
use crate::plan::testing::*;
use crate::plan::{Input, PlanSettings};

fn starting() -> Story {
    let mut story = Story::new();
    story.jitter = u16::MAX;
    story.receive(1, vec![restart(10)]).looked(look(100, Vec::new()));
    assert!(story.start().is_some());
    story
}

#[test]
fn a_throttled_start_is_tried_again_after_a_delay_and_a_look() {
    let mut story = starting();
    story.not_started(Remedy::Retry);
    assert!(story.look().is_none());
    let began = story.clock;
    story.sleep();
    assert_eq!(story.clock - began, 5_000);
    assert!(story.look().is_some());
    story.looked(look(106, Vec::new()));
    assert!(story.start().is_some());
}

#[test]
fn retries_are_exhausted_and_the_message_is_set_aside_before_it_is_deleted() {
    let mut story = starting();
    for _ in 0..2 {
        story.not_started(Remedy::Retry).sleep().looked(look(120, Vec::new()));
        assert!(story.start().is_some());
    }
    story.not_started(Remedy::Retry);
    assert_eq!(story.end(), (Outcome::Failed, Some(Cause::Throttled)));
    assert_eq!(story.letters()[0].1.attempts, 3);
    assert!(story.deleted().is_empty());
    let answer = |done| Input::SetAside { lease: LeaseId(1), target: Some(api()), done };
    story.tell(answer(false));
    assert!(story.deleted().is_empty() && story.letters().is_empty());
    story.wait(1);
    assert_eq!(story.letters().len(), 1, "the letter is sent again");
    story.tell(answer(true));
    assert_eq!(story.deleted(), [1]);
}

#[test]
fn a_start_that_cannot_succeed_is_not_tried_again() {
    let mut story = starting();
    story.not_started(Remedy::GiveUp);
    assert_eq!(story.end().0, Outcome::Failed);
}

#[test]
fn after_a_lost_answer_nothing_is_looked_at_for_eight_seconds_and_the_rollout_is_adopted() {
    let mut story = starting();
    story.jitter = 0;
    story.not_started(Remedy::LookFirst);
    let began = story.clock;
    story.sleep();
    assert_eq!(story.clock - began, 8_000);
    story.looked(look(109, vec![rollout(101, view(1, "latest"), InProgress)]));
    assert!(story.start().is_none(), "the call had taken effect");
    story.sleep().judged(101, look(120, vec![rollout(101, view(1, "latest"), Succeeded)]));
    assert_eq!(story.end().0, Outcome::Succeeded);
}

#[test]
fn something_newer_does_not_inherit_the_failures_of_what_it_replaces() {
    let mut story = starting();
    for _ in 0..2 {
        story.not_started(Remedy::LookFirst).wait(30).looked(look(150, Vec::new()));
    }
    story.not_started(Remedy::LookFirst).receive(2, vec![restart(120)]);
    story.wait(30).looked(look(200, Vec::new()));
    assert!(story.start().is_some());
}

#[test]
fn a_rollout_without_capacity_is_tried_again_with_a_new_floor() {
    let mut story = Story::new();
    story.rolling_out(restart(10), 101, view(1, "latest"));
    let failed = || without_capacity(look(110, vec![rollout(101, view(1, "latest"), Failed)]), 101);
    story.judged(101, failed());
    assert!(story.ends().is_empty());
    story.sleep().looked(failed());
    assert!(story.start().is_some(), "what failed before the floor counts no more");
}

#[test]
fn what_somebody_starts_while_a_rollout_without_capacity_is_to_be_tried_again_carries_it() {
    let mut story = Story::new();
    story.rolling_out(restart(10), 101, view(1, "latest"));
    let failed = || rollout(101, view(1, "latest"), Failed);
    let theirs = |state| rollout(104, view(1, "latest"), state);
    story.judged(101, without_capacity(look(110, vec![theirs(InProgress), failed()]), 101));
    story.sleep().looked(look(115, vec![theirs(Succeeded), failed()]));
    assert!(story.start().is_none());
    assert_eq!(story.end().0, Outcome::AlreadyRunning);
}

#[test]
fn a_look_that_fails_is_taken_again() {
    let mut story = Story::new();
    story.receive(1, vec![restart(10)]);
    story.tell(Input::Looked { target: api(), look: Err(refused(Remedy::Retry)) });
    story.sleep();
    assert!(story.look().is_some());
    story.tell(Input::Looked { target: api(), look: Err(refused(Remedy::GiveUp)) });
    assert_eq!(story.end().0, Outcome::Failed);
}

#[test]
fn nothing_is_started_before_start_after_but_what_goes_on_is_adopted() {
    let mut settings = PlanSettings::new(VISIBILITY);
    settings.start_after = Moment::from_millis(110_000);
    let mut story = Story::of(settings.clone());
    story.receive(1, vec![restart(10)]).looked(look(100, Vec::new()));
    assert!(story.start().is_none());
    story.sleep();
    assert_eq!(story.clock, 110_000);
    story.looked(look(110, Vec::new()));
    assert!(story.start().is_some());
    let mut other = Story::of(settings);
    other.receive(1, vec![restart(10)]).looked(look(100, vec![rollout(50, view(1, "latest"), InProgress)]));
    assert_eq!(other.planner.deployments()[0].rollout_id, Some("ecs-svc/50".into()));
}

#[test]
fn a_look_says_what_may_be_started_on_the_strength_of_it() {
    let prospect = |changes| {
        let mut story = Story::new();
        story.receive(1, changes);
        story.look().expect("it looks").prospect
    };
    assert_eq!(prospect(vec![restart(10)]), Prospect::Rollout);
    assert_eq!(prospect(vec![pin(10, "v2")]), Prospect::Registration);
}
