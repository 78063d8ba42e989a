//! Watching a rollout: what a glance means, and what is asked for then.

use std::time::Duration;

use crate::domain::{Glance, LeaseId, LiveRollout, Moment, Request, RolloutState::*, ServiceState, Tasks};
use crate::plan::testing::*;
use crate::plan::{
    Input,
    watch::{Watch, spacing},
};

const SOUND: Tasks = Tasks { desired: 2, running: 2, pending: 0, failed: 0 };

/// A restart under way as `ecs-svc/101`, which shows these tasks.
fn under_way() -> Story {
    let mut story = Story::new();
    story.rolling_out(restart(10), 101, view(1, "latest"));
    story
}

/// What a glance shows of the way back while ECS undoes the rollout.
fn way_back(story: &mut Story, in_progress: bool) {
    let id = "ecs-svc/back".into();
    let live = vec![LiveRollout { id, primary: true, in_progress, tasks: SOUND, reason: "".into() }];
    story.sleep();
    story.tell(Input::Glanced { target: api(), glance: Ok(Glance { service: ServiceState::Active, live }) });
}

#[test]
fn evidence_is_asked_for_unless_it_looks_like_a_success() {
    let evidence = |tasks| {
        let mut story = under_way();
        story.glanced(101, false, tasks);
        story.look().expect("it is to be judged").evidence
    };
    assert!(!evidence(SOUND));
    assert!(evidence(Tasks { failed: 1, ..SOUND }));
    assert!(evidence(Tasks { running: 1, ..SOUND }));
    let mut story = under_way();
    story.glanced(101, true, SOUND).wait(31 * 60);
    assert!(story.look().is_some_and(|order| order.evidence), "it makes no progress: {:?}", story.out);
}

#[test]
fn a_rollback_by_ecs_is_looked_at_once_it_has_ended() {
    let mut story = under_way();
    let mut seen = look(110, vec![rollout(101, view(1, "latest"), RollingBack)]);
    (seen.rollouts[0].primary, seen.rollouts[0].tasks) = (false, SOUND);
    story.judged(101, seen);
    way_back(&mut story, true);
    assert!(story.look().is_none(), "it goes on");
    way_back(&mut story, false);
    assert!(story.look().is_some_and(|order| order.evidence), "{:?}", story.out);
}

#[test]
fn while_a_look_is_under_way_nothing_else_is_asked() {
    let mut story = under_way();
    story.glanced(101, false, SOUND);
    assert!(story.look().is_some());
    for _ in 0..9 {
        story.wait(3);
        assert!(story.look().is_none() && story.glances().is_empty(), "{:?}", story.out);
    }
}

#[test]
fn an_answer_to_a_stop_that_nobody_asked_for_changes_nothing() {
    let mut story = under_way();
    let before = story.planner.clone();
    story.tell(Input::Stopped { target: api(), stopped: Ok(()) });
    assert_eq!(story.planner, before);
}

#[test]
fn ten_rollouts_share_a_call_and_need_no_pace_of_their_own() {
    assert_eq!([0, 10].map(|watched| spacing(watched, 2)), [Duration::ZERO; 2]);
    assert_eq!(spacing(11, 2), Duration::from_secs(1));
    assert_eq!(spacing(21, 2), Duration::from_millis(1_500));
}

#[test]
fn what_is_not_watched_any_more_slows_nobody_down() {
    let mut story = Story::new();
    for lease in 0..30 {
        let service = format!("service-{lease}");
        story.receive(lease, vec![Request { target: target(&service), ..restart(10) }]);
        let done = look(100, vec![rollout(50, view(1, "latest"), Succeeded)]);
        story.tell(Input::Looked { target: target(&service), look: Ok(Box::new(done)) });
        story.tell(Input::Deleted(vec![LeaseId(lease)]));
    }
    assert_eq!(story.planner.agenda.watched(), 0);
}

#[test]
fn a_rollout_may_be_unlisted_for_less_than_five_seconds() {
    let began = Moment::from_millis(1_000);
    let timeout = Duration::from_mins(1);
    let watch = Watch::new(key("ecs-svc/1"), at(1), began, timeout, Duration::ZERO, SOUND);
    let after = |millis| watch.may_be_unlisted(began + Duration::from_millis(millis));
    assert_eq!([0, 4_999, 5_000].map(after), [true, true, false]);
}

#[test]
fn a_target_is_shown_anew_only_where_it_was_touched() {
    let mut story = under_way();
    assert_eq!(story.planner.take_touched(), [api()].into());
    assert!(story.planner.take_touched().is_empty());
    story.glanced(101, true, SOUND);
    assert_eq!(story.planner.take_touched(), [api()].into());
    let (shown, unended) = story.planner.target(&api()).expect("it was asked for something");
    assert_eq!((shown.id, unended.first), (api(), story.planner.deployments().pop()));
    assert_eq!(story.planner.target(&target("nobody")), None);
}
