//! Targets that somebody paused, or that a rollback holds.

use std::sync::Arc;

use super::*;
use crate::domain::{
    HoldDecision, HoldKind, HoldMove, HoldNote, HoldRequest, HoldVerb, Holds, LeaseId, OnNewer, Outcome,
    Remedy, RolloutState, SettledBy,
};

fn decision(verb: HoldVerb, version: i64) -> HoldDecision {
    HoldDecision { verb, version: at(version), by: Some("ann".into()), reason: Some("a freeze".into()) }
}

fn about(target: TargetId, verb: HoldVerb, version: i64) -> HoldRequest {
    let origin = Origin {
        kind: TriggerKind::Decision,
        event_id: "e".into(),
        reason: "decided".into(),
        metadata: None,
    };
    let settings = Arc::new(TargetSettings::named(target.service().as_str().into()));
    HoldRequest { target, settings, decision: decision(verb, version), origin: Arc::new(origin) }
}

/// A message of its own event decides this about `api`.
fn decide(bench: &mut Bench, message: &str, verb: HoldVerb, version: i64) -> LeaseId {
    let request =
        HoldRequest { settings: Arc::new(bench.settings.clone()), ..about(target(API), verb, version) };
    bench.arrive(message, message, Asks::Holds(vec![request]))
}

fn pause(bench: &mut Bench, version: i64) {
    decide(bench, &format!("pause-{version}"), HoldVerb::Pause, version);
}

fn resume(bench: &mut Bench, version: i64) {
    decide(bench, &format!("resume-{version}"), HoldVerb::Resume, version);
}

fn is_paused(bench: &mut Bench) -> bool {
    bench.scene().holds.paused.is_some()
}

fn kind_of_hold(bench: &Bench) -> Option<HoldKind> {
    let (record, _) = bench.planner.target(&target(API))?;
    record.lane.hold.map(|hold| hold.kind)
}

#[test]
fn a_pause_is_settled_once_the_service_is_tagged() {
    let mut bench = Bench::new();
    bench.unanswered.insert(Verb::Tag);
    pause(&mut bench, 990);
    assert_eq!(kind_of_hold(&bench), Some(HoldKind::Paused), "it is in force already");
    assert_eq!(bench.settled(), []);
    let order = bench.log.iter().find_map(|(_, it)| match it {
        Command::Tag(order) => Some(order.clone()),
        _ => None,
    });
    let answer = bench.tagged(&order.expect("it is to be tagged"));
    bench.tell(answer);
    assert_eq!(bench.settled(), [("pause-990", SettledBy::Reality)]);
    assert!(is_paused(&mut bench));
    assert_eq!(bench.hold_moves(), [(HoldKind::Paused, &HoldMove::Begun)]);
}

#[test]
fn nothing_is_started_on_a_paused_target_and_what_waited_is_started_as_one_once_it_is_resumed() {
    let mut bench = Bench::new();
    pause(&mut bench, 990);
    for version in [991, 992] {
        bench.receive(&format!("m-{version}"), [restart(version)]);
        bench.pass(1_000);
    }
    bench.receive("image", [image("v2", 993)]);
    bench.pass(4_000);
    assert!(bench.starts().is_empty());
    let (record, waiting) = bench.planner.target(&target(API)).expect("it is known");
    assert_eq!(record.lane.waiting, 3);
    assert!(record.lane.why.unwrap().contains("paused by ann: a freeze"));
    assert_eq!(waiting.and_then(|it| it.outcome), None);
    resume(&mut bench, 994);
    bench.pass(60);
    assert_eq!(bench.starts().len(), 1);
    assert_eq!(bench.ordered_image().as_deref(), Some("v2"));
    assert_eq!(kind_of_hold(&bench), None);
    assert!(bench.settled().contains(&("resume-994", SettledBy::Reality)));
    assert_eq!(bench.hold_moves().last(), Some(&(HoldKind::Paused, &HoldMove::Ended)));
}

#[test]
fn a_pause_survives_a_crash_because_the_tag_tells() {
    let mut bench = Bench::new();
    pause(&mut bench, 990);
    bench.crash();
    bench.receive("m", [restart(991)]);
    bench.pass(1_000);
    assert!(bench.starts().is_empty());
    assert_eq!(kind_of_hold(&bench), Some(HoldKind::Paused));
    bench.crash();
    bench.receive("m", [restart(991)]);
    resume(&mut bench, 992);
    bench.pass(60);
    assert_eq!(bench.starts().len(), 1);
}

#[test]
fn a_service_that_somebody_tagged_by_hand_is_paused() {
    let mut bench = Bench::new();
    let by_hand = HoldNote { reason: Some("do not touch".into()), ..HoldNote::default() };
    bench.scene().holds.paused = Some(by_hand);
    bench.receive("m", [restart(990)]);
    bench.pass(1_000);
    assert!(bench.starts().is_empty());
    resume(&mut bench, 995);
    bench.pass(60);
    assert_eq!((bench.starts().len(), is_paused(&mut bench)), (1, false));
}

#[test]
fn a_pause_that_vanishes_without_a_resume_is_told_and_the_lane_goes_on() {
    let mut bench = Bench::new();
    pause(&mut bench, 990);
    bench.receive("m", [restart(991)]);
    bench.pass(600);
    bench.scene().holds = Holds::default();
    bench.pass(600);
    assert_eq!(bench.starts().len(), 1);
    assert_eq!(bench.hold_moves().last(), Some(&(HoldKind::Paused, &HoldMove::Vanished)));
}

#[test]
fn a_pause_that_another_process_resumed_is_no_reason_to_complain() {
    let mut bench = Bench::new();
    pause(&mut bench, 990);
    bench.receive("m", [restart(991)]);
    bench.pass(600);
    let resumed = bench.scene().holds.after(&decision(HoldVerb::Resume, 1_000)).expect("newer");
    bench.scene().holds = resumed;
    bench.pass(600);
    assert_eq!((bench.starts().len(), bench.hold_moves().len()), (1, 1));
}

#[test]
fn an_older_pause_that_comes_after_a_newer_resume_does_nothing() {
    let mut bench = Bench::new();
    resume(&mut bench, 995);
    pause(&mut bench, 990);
    assert!(!is_paused(&mut bench));
    assert_eq!(bench.settled().len(), 2);
    bench.crash();
    pause(&mut bench, 989);
    assert!(!is_paused(&mut bench), "the tag tells it, after a crash too");
    assert_eq!(bench.settled().last(), Some(&("pause-989", SettledBy::Reality)));
}

#[test]
fn of_decisions_that_wait_the_newest_is_in_force_and_a_pause_takes_nothing_from_a_resume() {
    let mut bench = Bench::new();
    bench.scene().holds = Holds::default().after(&decision(HoldVerb::Hold, 900)).expect("newer");
    bench.unanswered.insert(Verb::Tag);
    for version in [980, 984] {
        pause(&mut bench, version);
    }
    resume(&mut bench, 982);
    assert_eq!(bench.settled(), [("pause-980", SettledBy::Newer)]);
    bench.unanswered.clear();
    let order = crate::domain::TagOrder { target: target(API), decision: decision(HoldVerb::Pause, 980) };
    let answer = bench.tagged(&order);
    bench.tell(answer);
    let holds = bench.scene().holds.clone();
    assert_eq!((holds.paused.and_then(|it| it.since), holds.held), (Some(at(984)), None));
    assert_eq!(bench.settled().len(), 3);
}

#[test]
fn a_rollout_that_goes_on_is_watched_to_its_end_though_its_target_is_paused() {
    for (state, outcome) in
        [(RolloutState::Succeeded, Outcome::Succeeded), (RolloutState::RolledBack, Outcome::RolledBack)]
    {
        let mut bench = Bench::new();
        bench.receive("m", [image("v2", 980)]);
        bench.pass(6);
        pause(&mut bench, 990);
        bench.rollout_is(state);
        assert_eq!(bench.outcomes(), [outcome]);
    }
}

#[test]
fn what_fails_while_its_target_is_paused_is_undone() {
    let mut bench = Bench::new();
    bench.settings.rollback = true;
    bench.receive("m", [image("v2", 980)]);
    bench.pass(6);
    pause(&mut bench, 990);
    bench.rollout_is(RolloutState::Failed);
    assert_eq!((bench.starts().len(), bench.ordered_base().as_str()), (2, "api:1"));
    bench.rollout_is(RolloutState::Succeeded);
    assert_eq!(bench.outcomes(), [Outcome::RolledBack]);
}

#[test]
fn nothing_takes_the_place_of_a_rollout_on_a_paused_target_until_it_is_resumed() {
    let mut bench = Bench::new();
    bench.settings.on_newer = OnNewer::Interrupt;
    bench.receive("m", [image("v2", 980)]);
    bench.pass(6);
    pause(&mut bench, 990);
    bench.receive("n", [image("v3", 991)]);
    bench.pass(60);
    assert_eq!(bench.starts().len(), 1);
    resume(&mut bench, 995);
    bench.pass(60);
    assert_eq!(bench.starts().len(), 2);
}

#[test]
fn a_decision_about_many_targets_is_settled_once_all_are_tagged() {
    let mut bench = Bench::new();
    bench.failing_tags.push_back(transient(Remedy::Retry));
    let requests = ["api", "web"].map(|name| about(target(name), HoldVerb::Pause, 990));
    bench.arrive("m", "m", Asks::Holds(requests.into()));
    assert_eq!(bench.settled(), []);
    bench.pass(60);
    assert_eq!(bench.settled(), [("m", SettledBy::Reality)]);
    assert!(is_paused(&mut bench) && bench.scene_of(&target("web")).holds.paused.is_some());
}

#[test]
fn a_decision_that_cannot_be_tagged_is_set_aside_and_nothing_is_held_back() {
    let mut bench = Bench::new();
    bench.failing_tags.push_back(transient(Remedy::GiveUp));
    pause(&mut bench, 990);
    assert_eq!(bench.letters().len(), 1);
    assert_eq!(bench.settled(), [("pause-990", SettledBy::SetAside)]);
    assert!(matches!(bench.hold_moves()[..], [(HoldKind::Paused, HoldMove::Refused(_))]));
    bench.receive("m", [restart(991)]);
    bench.pass(60);
    assert_eq!(bench.starts().len(), 1);
}

#[test]
fn a_look_from_before_the_tag_does_not_take_it_back() {
    let mut bench = Bench::new();
    bench.unanswered.insert(Verb::Look);
    bench.receive("m", [restart(980)]);
    bench.pass(6);
    let before = bench.looked(&bench.looks()[0].clone());
    pause(&mut bench, 990);
    bench.unanswered.clear();
    bench.tell(before);
    bench.pass(600);
    assert!(bench.starts().is_empty());
    assert_eq!(bench.hold_moves().len(), 1, "it did not vanish");
}

#[test]
fn a_dry_run_is_neither_paused_nor_resumed() {
    let mut bench = Bench::new();
    bench.settings.dry_run = true;
    pause(&mut bench, 990);
    assert!(!is_paused(&mut bench));
    assert_eq!(bench.settled(), [("pause-990", SettledBy::DryRun)]);
}

#[test]
fn the_same_pause_received_again_is_the_same_pause() {
    let mut bench = Bench::new();
    bench.unanswered.insert(Verb::Tag);
    decide(&mut bench, "m", HoldVerb::Pause, 990);
    let second = decide(&mut bench, "m", HoldVerb::Pause, 990);
    bench.unanswered.clear();
    let order = crate::domain::TagOrder { target: target(API), decision: decision(HoldVerb::Pause, 990) };
    let answer = bench.tagged(&order);
    bench.tell(answer);
    assert_eq!(bench.deletions(), [[second.0]]);
}

#[test]
fn a_pause_whose_message_is_lost_is_decided_again_when_it_is_received() {
    let mut bench = Bench::new();
    bench.failing_tags.extend([transient(Remedy::Retry), transient(Remedy::Retry)]);
    let lease = decide(&mut bench, "m", HoldVerb::Pause, 990);
    bench.tell(Input::Lost(vec![lease]));
    bench.pass(600);
    assert_eq!(kind_of_hold(&bench), None);
    decide(&mut bench, "m", HoldVerb::Pause, 990);
    bench.pass(600);
    assert!(is_paused(&mut bench));
}
