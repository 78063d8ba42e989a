//! Deadlines: each is told by `next_wakeup`, and none is missed.

use std::{sync::Arc, time::Duration};

use crate::domain::{LeaseId, Outcome, Remedy, Request, RolloutState::*, Tasks};
use crate::plan::testing::*;
use crate::plan::{Command, Input};

fn quiet(request: Request, seconds: u64) -> Request {
    with(request, |it| it.quiet = Duration::from_secs(seconds))
}

#[test]
fn the_quiet_time_is_extended_by_each_request() {
    let mut story = Story::new();
    story.receive(1, vec![quiet(restart(10), 5)]);
    story.clock += 4_000;
    story.receive(2, vec![quiet(restart(11), 5)]).wait(4);
    assert!(story.look().is_none());
    story.wait(1);
    assert!(story.look().is_some());
}

#[test]
fn nobody_waits_for_more_than_a_minute() {
    let mut story = Story::new();
    let began = story.clock;
    for number in 0..100 {
        story.receive(number, vec![quiet(restart(10 + number), 5)]);
        if story.look().is_some() {
            break;
        }
        story.wait(1);
        if story.look().is_some() {
            break;
        }
    }
    assert_eq!(story.clock - began, 60_000);
}

#[test]
fn a_deployment_driven_only_by_next_wakeup_comes_to_its_end() {
    let mut story = Story::new();
    story.receive(1, vec![quiet(pin(10, "v1"), 5)]).sleep();
    assert!(story.look().is_some());
    story.looked(look(105, Vec::new())).not_started(Remedy::LookFirst).sleep();
    story.looked(look(120, Vec::new())).started(120, marked(view(2, "v1"), 10));
    let live = Tasks { desired: 2, running: 0, pending: 2, failed: 0 };
    let mut glances = 0;
    while story.look().is_none() {
        assert!(glances < 2_000, "the timeout is never told");
        story.sleep();
        let until = story.moment() + VISIBILITY;
        match story.out.first() {
            Some(Command::Glance(_)) => {
                glances += 1;
                let extends = story.extended();
                story.glanced(120, true, live);
                if !extends.is_empty() {
                    story.tell(Input::Extended { leases: vec![LeaseId(1)], until });
                }
            }
            Some(Command::Extend(leases)) => {
                let leases = leases.clone();
                story.tell(Input::Extended { leases, until });
            }
            _ => {}
        }
    }
    story.looked(look(5_000, vec![rollout(120, marked(view(2, "v1"), 10), InProgress)]));
    assert_eq!(story.end().0, Outcome::Failed);
}

#[test]
fn a_lane_that_has_nothing_to_do_has_no_deadline() {
    let mut story = Story::new();
    story.receive(1, vec![restart(10)]).looked(look(100, vec![rollout(50, view(1, "latest"), Succeeded)]));
    story.tell(Input::Deleted(vec![LeaseId(1)]));
    assert_eq!(story.planner.next_wakeup(), None);
}

#[test]
fn a_refresh_waits_out_its_second_and_no_more() {
    let mut story = Story::new();
    story.receive(1, vec![restart(100)]).looked(look(100, Vec::new()));
    assert!(story.start().is_none());
    let began = story.clock;
    story.sleep();
    assert_eq!(story.clock - began, 1_000);
    story.looked(look(101, Vec::new()));
    assert!(story.start().is_some());
}

#[test]
fn glances_go_ten_to_a_call_and_slow_down_to_three_seconds() {
    let mut story = Story::new();
    for number in 0..25_u64 {
        let service = format!("s{number:02}");
        let request = Request { target: target(&service), settings: Arc::new(settings()), ..restart(10) };
        story.receive(number, vec![request]);
        let rollouts = vec![rollout(50, view(1, "latest"), InProgress)];
        story.tell(Input::Looked { target: target(&service), look: Ok(Box::new(look(100, rollouts))) });
    }
    story.wait(1);
    assert_eq!(story.glances(), [10, 10, 5]);
}

#[test]
fn the_pace_of_glances_doubles_to_three_seconds_and_a_hint_brings_the_next_within_one() {
    let mut story = Story::new();
    story.rolling_out(restart(10), 101, view(1, "latest"));
    let live = Tasks { desired: 2, running: 0, pending: 2, failed: 0 };
    let mut paces = Vec::new();
    for _ in 0..12 {
        let before = story.clock;
        story.glanced(101, true, live).sleep();
        paces.push(story.clock - before);
    }
    assert_eq!(paces[..4], [10, 20, 40, 80]);
    assert_eq!(paces[11], 3_000);
    let before = story.clock;
    story.glanced(101, true, live).tell(Input::Hint(api())).tell(Input::Hint(api()));
    assert_eq!(story.glances(), [0; 0]);
    story.sleep();
    assert_eq!((story.clock - before, story.glances()), (1_000, vec![1]));
}
