//! Messages are held by extending a short visibility; a hold that is lost is given up.

use std::time::Duration;

use super::*;
use crate::domain::{LaneState, OnNewer, Outcome, Remedy, RolloutState, SettledBy};

/// A bench on which a message is held for a minute at a time.
fn short() -> Bench {
    let mut it = Bench::with(PlanSettings::new(Duration::from_mins(1)));
    it.settings.quiet = Duration::from_mins(1);
    it
}

/// The first message is being deployed.
fn deploying() -> Bench {
    let mut it = short();
    it.settings.quiet = Duration::from_secs(5);
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    assert_eq!(it.starts().len(), 1);
    it
}

fn lane(it: &Bench) -> LaneState {
    it.planner.targets().first().map_or(LaneState::Idle, |target| target.lane.state)
}

#[test]
fn a_hold_is_extended_with_half_of_it_left() {
    let mut it = short();
    it.receive("m1", [restart(990)]);
    it.pass_ms(29_999);
    assert_eq!(it.extensions().len(), 0);
    it.pass_ms(1);
    assert_eq!(it.extensions(), [[1]]);
    it.pass(30);
    assert_eq!(it.extensions(), [[1], [1]]);
}

#[test]
fn holds_that_are_due_soon_are_extended_together() {
    let mut it = short();
    for (message, seconds) in [("m1", 10), ("m2", 10), ("m3", 10)] {
        it.receive(message, [of(message, restart(990))]);
        it.pass(seconds);
    }
    assert_eq!(it.extensions(), [[1, 2]], "the third has ten seconds more than the slack of fifteen");
}

#[test]
fn an_extension_that_went_along_and_failed_wakes_nobody_before_it_is_due() {
    let mut it = short();
    it.unanswered.insert(Verb::Extend);
    it.receive("m1", [restart(990)]);
    it.pass(10);
    it.receive("m2", [of("web", restart(990))]);
    it.pass(20);
    assert_eq!(it.extensions(), [[1, 2]]);
    let until = it.now + Duration::from_mins(1);
    it.tell(Input::Extended { leases: vec![LeaseId(1)], until });
    it.tell(Input::NotExtended(vec![LeaseId(2)]));
    it.pass(5);
    assert!(it.planner.next_wakeup() > Some(it.now), "it would turn for ever");
    it.pass(5);
    assert_eq!(it.extensions(), [vec![1, 2], vec![2]]);
}

#[test]
fn a_hold_lasts_as_long_as_its_rollout() {
    let mut it = deploying();
    it.pass(1000);
    assert!(it.extensions().len() >= 30, "{}", it.extensions().len());
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.lost(), it.deletions()), (0, vec![vec![1]]));
}

#[test]
fn an_extension_that_fails_for_one_message_is_tried_again_for_that_one() {
    let mut it = short();
    it.unanswered.insert(Verb::Extend);
    it.receive("m1", [restart(990)]);
    it.receive("m2", [of("web", restart(990))]);
    it.pass(30);
    assert_eq!(it.extensions(), [[1, 2]]);
    let until = it.now + Duration::from_mins(1);
    it.tell(Input::Extended { leases: vec![LeaseId(1)], until });
    it.tell(Input::NotExtended(vec![LeaseId(2)]));
    it.pass_ms(999);
    assert_eq!(it.extensions().len(), 1);
    it.pass_ms(1);
    assert_eq!(it.extensions(), [vec![1, 2], vec![2]]);
}

#[test]
fn a_hold_that_runs_out_is_lost_and_what_waits_for_it_is_dropped() {
    let mut it = short();
    it.unanswered.insert(Verb::Extend);
    it.receive("m1", [restart(990)]);
    it.pass(59);
    assert_eq!(it.planner.held(), 1);
    it.pass(1);
    assert_eq!((it.lost(), it.planner.held(), lane(&it)), (1, 0, LaneState::Idle));
    it.pass(120);
    assert_eq!((it.looks().len(), it.starts().len(), it.deletions().len()), (0, 0, 0));
    assert_eq!(it.planner.next_wakeup(), None);
}

#[test]
fn what_other_messages_ask_for_goes_on_without_the_one_that_was_lost() {
    let mut it = short();
    it.receive("m1", [restart(990)]);
    it.receive("m2", [image("v2", 990)]);
    it.tell(Input::Lost(vec![LeaseId(1)]));
    it.pass(60);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.ended()[0].changes, ["image shop/api:v2"]);
    assert_eq!(it.deletions(), [[2]]);
}

#[test]
fn a_message_that_is_lost_while_a_look_is_under_way_is_not_started() {
    let mut it = short();
    it.settings.quiet = Duration::ZERO;
    it.unanswered.insert(Verb::Look);
    it.receive("m1", [restart(990)]);
    it.tell(Input::Lost(vec![LeaseId(1)]));
    let order = it.looks()[0].clone();
    let answer = it.looked(&order);
    it.tell(answer);
    assert_eq!((it.starts().len(), lane(&it), it.planner.next_wakeup()), (0, LaneState::Idle, None));
}

#[test]
fn a_lost_hold_forbids_deletion_and_not_the_rollout() {
    let mut it = deploying();
    it.tell(Input::Lost(vec![LeaseId(1)]));
    assert_eq!(lane(&it), LaneState::Watching);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.outcomes(), it.deletions().len()), (vec![Outcome::Succeeded], 0));
}

#[test]
fn a_failure_whose_hold_was_lost_is_set_aside_when_it_is_received_again() {
    let mut it = deploying();
    it.tell(Input::Lost(vec![LeaseId(1)]));
    it.rollout_is(RolloutState::RolledBack);
    assert_eq!((it.outcomes(), it.letters().len()), (vec![Outcome::RolledBack], 0));
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    assert_eq!((it.starts().len(), it.letters()[0].0, it.deletions()), (1, 2, vec![vec![2]]));
}

#[test]
fn a_message_that_is_received_again_while_it_waits_is_deleted_by_its_latest_receipt() {
    let mut it = deploying();
    it.receive("m2", [restart(1010)]);
    let latest = it.receive("m2", [restart(1010)]);
    assert_eq!(it.planner.held(), 2);
    it.pass(6);
    it.rollout_is(RolloutState::Succeeded);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.deletions(), [vec![1], vec![latest.0]]);
    assert_eq!(it.starts().len(), 2);
}

#[test]
fn a_message_that_is_received_again_while_it_is_deployed_is_deleted_by_its_latest_receipt() {
    let mut it = deploying();
    let latest = it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    assert_eq!((it.planner.held(), it.planner.hand_back()), (1, vec![latest]));
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), it.outcomes()), (1, vec![Outcome::Succeeded]));
    assert_eq!(it.deletions(), [[latest.0]]);
}

#[test]
fn a_message_that_was_lost_and_is_received_again_joins_its_rollout() {
    let mut it = deploying();
    it.tell(Input::Lost(vec![LeaseId(1)]));
    it.receive("m1", [image("v2", 990)]);
    it.pass(6);
    it.rollout_is(RolloutState::Succeeded);
    it.pass(10);
    assert_eq!((it.starts().len(), it.outcomes()), (1, vec![Outcome::Succeeded]));
    assert_eq!(it.deletions(), [[2]]);
}

#[test]
fn a_message_that_is_received_again_while_its_start_is_under_way_keeps_its_rollout() {
    let mut it = short();
    it.settings.quiet = Duration::ZERO;
    it.unanswered.insert(Verb::Start);
    it.receive("m1", [restart(990)]);
    it.receive("m1", [restart(990)]);
    let order = it.starts()[0].clone();
    let answer = it.started(&order);
    it.tell(answer);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), it.deletions()), (1, vec![vec![2]]));
}

#[test]
fn the_same_event_in_another_message_joins_the_rollout_under_way() {
    let mut it = deploying();
    it.receive_event("m2", "m1", [image("v2", 990)]);
    assert_eq!(it.settled(), [("m1", SettledBy::Newer)]);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), it.deletions()), (1, vec![vec![1], vec![2]]));
}

#[test]
fn what_was_settled_for_one_target_stays_so_when_the_message_is_received_again() {
    let mut it = deploying();
    let both = [restart(1010), of("web", restart(1010))];
    it.pass(10);
    it.receive("m2", both.clone());
    it.pass(6);
    ecs::turn_to(it.scene_of(&target("web")), RolloutState::Succeeded);
    it.pass(4);
    let latest = it.receive("m2", both);
    it.rollout_is(RolloutState::Succeeded);
    it.pass(6);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), it.deletions()), (3, vec![vec![1], vec![latest.0]]));
    assert!(it.outcomes().iter().all(|outcome| *outcome == Outcome::Succeeded), "{:?}", it.outcomes());
}

#[test]
fn a_message_that_is_being_deleted_is_not_extended() {
    let mut it = short();
    it.unanswered.insert(Verb::Delete);
    it.arrive("m1", "m1", Asks::Nothing);
    it.pass(59);
    assert_eq!((it.deletions(), it.extensions().len()), (vec![vec![1]], 0));
    it.pass(1);
    assert_eq!(it.lost(), 1);
}

#[test]
fn what_owes_nothing_any_more_is_not_handed_back() {
    let mut it = short();
    it.unanswered.insert(Verb::Delete);
    it.arrive("m1", "m1", Asks::Nothing);
    let open = it.receive("m2", [restart(990)]);
    assert_eq!((it.planner.held(), it.planner.hand_back()), (2, vec![open]));
}

#[test]
fn a_message_that_is_received_again_while_its_rollout_is_being_superseded_is_not_lost() {
    let mut it = deploying();
    it.settings.on_newer = OnNewer::Interrupt;
    it.unanswered.insert(Verb::Start);
    it.receive("m2", [image("v3", 1004)]);
    it.pass(6);
    let latest = it.receive("m1", [image("v2", 990)]);
    it.unanswered.clear();
    it.tell(Input::Started { target: target(API), started: Err(transient(Remedy::GiveUp)) });
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.outcomes(), [Outcome::Failed, Outcome::Succeeded]);
    assert_eq!(it.deletions(), [vec![2], vec![latest.0]]);
}

#[test]
fn a_delay_ends_with_the_message_that_it_was_for() {
    let mut it = short();
    it.settings.quiet = Duration::ZERO;
    it.jitter = Jitter(u16::MAX);
    it.failing_starts.push_back(transient(Remedy::Retry));
    it.receive("m1", [restart(990)]);
    assert_eq!(lane(&it), LaneState::BackingOff);
    it.tell(Input::Lost(vec![LeaseId(1)]));
    assert_eq!((lane(&it), it.planner.next_wakeup()), (LaneState::Idle, None));
    it.receive("m1", [restart(990)]);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.ended()[0].attempts, it.deletions()), (1, vec![vec![2]]));
}

#[test]
fn a_start_that_failed_after_its_message_was_lost_is_not_tried_again() {
    let mut it = short();
    it.settings.quiet = Duration::ZERO;
    it.unanswered.insert(Verb::Start);
    it.receive("m1", [restart(990)]);
    it.tell(Input::Lost(vec![LeaseId(1)]));
    it.tell(Input::Started { target: target(API), started: Err(transient(Remedy::Retry)) });
    it.pass(60);
    assert_eq!((it.starts().len(), lane(&it), it.planner.next_wakeup()), (1, LaneState::Idle, None));
}

#[test]
fn a_lane_stops_gathering_with_its_last_message() {
    let mut it = short();
    it.receive("m1", [restart(990)]);
    it.tell(Input::Lost(vec![LeaseId(1)]));
    assert_eq!((lane(&it), it.planner.next_wakeup()), (LaneState::Idle, None));
}

/// A bench on which a message is renewed after ten minutes.
fn renewing() -> Bench {
    let settings = PlanSettings::new(Duration::from_mins(1));
    let mut it = Bench::with(PlanSettings { renew_after: Duration::from_mins(10), ..settings });
    it.settings.timeout = Duration::from_hours(48);
    it
}

fn renewals(it: &Bench) -> Vec<(u64, usize)> {
    let renewal = |command: &Command| match command {
        Command::Renew { lease, targets } => Some((lease.0, targets.len())),
        _ => None,
    };
    it.log.iter().filter_map(|(_, command)| renewal(command)).collect()
}

#[test]
fn a_message_whose_rollout_takes_long_is_renewed_and_goes_on_with_its_copy() {
    let mut it = renewing();
    it.receive("m1", [image("v2", 990)]);
    it.pass(599);
    assert_eq!(renewals(&it), []);
    it.pass(2);
    assert_eq!(renewals(&it), [(1, 1)]);
    it.tell(Input::Renewed { lease: LeaseId(1), done: true });
    it.pass(60);
    assert_eq!((it.deletions().len(), it.planner.held()), (0, 1), "it is held until its copy is");
    it.receive_event("copy", "m1", [image("v2", 990)]);
    it.pass(5);
    assert_eq!(it.deletions(), [[1]]);
    assert!(it.planner.holds(LeaseId(2)), "and never both");
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.deletions(), it.starts().len()), (vec![vec![1], vec![2]], 1));
    assert_eq!(it.outcomes(), [Outcome::Succeeded]);
}

#[test]
fn a_message_that_waits_for_long_is_renewed_and_its_copy_waits_on() {
    let mut it = renewing();
    it.scene().rollouts = vec![rollout("theirs", 980, revision(9, "theirs"))];
    it.receive("m1", [image("v2", 990)]);
    it.pass(601);
    it.tell(Input::Renewed { lease: LeaseId(1), done: true });
    it.receive_event("copy", "m1", [image("v2", 990)]);
    it.pass(5);
    assert_eq!((it.deletions(), it.starts().len()), (vec![vec![1]], 0));
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(it.starts().len(), 1);
    assert_eq!(it.planner.deployments()[0].triggers.len(), 1, "one event, told once");
}

#[test]
fn a_copy_that_could_not_be_sent_is_sent_later_and_one_that_was_is_not_sent_again() {
    let mut it = renewing();
    it.receive("m1", [image("v2", 990)]);
    it.pass(601);
    it.tell(Input::Renewed { lease: LeaseId(1), done: false });
    it.pass(3);
    assert_eq!(renewals(&it).len(), 2);
    it.tell(Input::Renewed { lease: LeaseId(1), done: true });
    it.pass(3_000);
    assert_eq!(renewals(&it).len(), 2);
}

#[test]
fn only_the_targets_that_are_still_owed_something_go_into_the_copy() {
    let mut it = renewing();
    it.receive("m1", [restart(990), of("web", restart(990))]);
    it.pass(6);
    ecs::turn_to(it.scene_of(&target("web")), RolloutState::Succeeded);
    it.pass(10);
    it.pass(600);
    assert_eq!(renewals(&it), [(1, 1)]);
}
