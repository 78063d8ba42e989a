//! Targets that somebody paused, or that a rollback holds.

use std::{collections::BTreeMap, sync::Arc};

use super::*;
use crate::domain::{
    DefinitionChange, HoldDecision, HoldKind, HoldMove, HoldNote, HoldRequest, HoldVerb, Holds, LeaseId,
    OnNewer, Outcome, Remedy, Rollback, RolloutState, SettledBy, TagOrder,
};

fn decision(verb: HoldVerb, version: i64) -> HoldDecision {
    HoldDecision { verb, version: at(version), by: Some("ann".into()), reason: Some("a freeze".into()) }
}

fn about(target: TargetId, verb: HoldVerb, version: i64) -> HoldRequest {
    let origin = Origin {
        kind: TriggerKind::Decision,
        event_id: "e".into(),
        reason: "decided".into(),
        by: None,
        replayed_by: None,
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
fn what_waits_behind_a_pause_has_the_id_that_it_is_cancelled_by() {
    let mut bench = Bench::new();
    pause(&mut bench, 980);
    bench.receive("m1", [image("v2", 990)]);
    bench.pass(6);
    let (record, unended) = bench.planner.target(&target(API)).expect("it is known");
    let waiting = unended.first.expect("it waits").id;
    assert_eq!(
        (record.lane.deployment, record.lane.next, record.lane.waiting),
        (None, Some(waiting.clone()), 1)
    );
    resume(&mut bench, 1_000);
    bench.pass(6);
    let (record, _) = bench.planner.target(&target(API)).expect("it is known");
    assert_eq!(
        (record.lane.deployment, record.lane.next),
        (Some(waiting), None),
        "it goes on under the same id"
    );
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
    assert_eq!(waiting.first.and_then(|it| it.outcome), None);
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
    let order = TagOrder { target: target(API), decision: decision(HoldVerb::Pause, 980) };
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
    let order = TagOrder { target: target(API), decision: decision(HoldVerb::Pause, 990) };
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

/// Back from `api:2` to `api:1`, asked for at this second.
fn rollback(version: i64, hold: bool) -> Request {
    let back = Rollback {
        from: "api:2".parse().unwrap(),
        images: BTreeMap::new(),
        follow: BTreeMap::new(),
        hold,
        by: Some("ann".into()),
        reason: Some("it leaks".into()),
    };
    let asked: DefinitionChange = "api:1".parse().unwrap();
    request(version, Change::Definition(DefinitionChange { back: Some(Arc::new(back)), ..asked }))
}

/// A service that runs `api:2`, and could be moved to `api:1`.
fn running_two() -> Bench {
    let mut bench = Bench::new();
    let scene = bench.scene();
    *scene = ecs::at_rest(marked(2, "v2", 900));
    scene.wanted = Some(Ok(revision(1, "v1")));
    bench
}

#[test]
fn a_rollback_says_that_it_is_one_unless_something_new_comes_with_it() {
    let shown = |requests: Vec<Request>| {
        let mut bench = running_two();
        for (number, request) in requests.into_iter().enumerate() {
            bench.receive(&format!("m{number}"), [request]);
        }
        bench.planner.deployments().iter().map(|it| it.rollback).collect::<Vec<_>>()
    };
    assert_eq!(shown(vec![rollback(980, true)]), [true]);
    assert_eq!(shown(vec![rollback(980, true), request(985, Change::Refresh(Refresh::Restart))]), [true]);
    assert_eq!(shown(vec![rollback(980, true), image("v3", 985)]), [false]);
    assert_eq!(shown(vec![request(980, Change::Refresh(Refresh::Restart))]), [false]);
}

#[test]
fn a_rollback_holds_its_target_before_it_starts_anything() {
    let mut bench = running_two();
    bench.unanswered.insert(Verb::Tag);
    bench.receive("m", [rollback(980, true)]);
    bench.pass(20);
    assert!(bench.starts().is_empty());
    let decision = HoldDecision { reason: Some("it leaks".into()), ..decision(HoldVerb::Hold, 980) };
    let answer = bench.tagged(&TagOrder { target: target(API), decision });
    bench.unanswered.clear();
    bench.tell(answer);
    assert_eq!((bench.ordered_base().as_str(), kind_of_hold(&bench)), ("api:1", Some(HoldKind::Held)));
    bench.rollout_is(RolloutState::Succeeded);
    assert_eq!(bench.outcomes(), [Outcome::Succeeded]);
}

#[test]
fn the_end_of_a_hold_is_told_as_that_of_a_hold() {
    let mut bench = running_two();
    bench.receive("m", [rollback(980, true)]);
    bench.pass(6);
    bench.rollout_is(RolloutState::Succeeded);
    resume(&mut bench, 1_100);
    bench.pass(6);
    assert_eq!(bench.hold_moves().last(), Some(&(HoldKind::Held, &HoldMove::Ended)));
}

#[test]
fn a_rollback_that_is_not_to_hold_does_not() {
    let mut bench = running_two();
    bench.receive("m", [rollback(980, false)]);
    bench.pass(6);
    assert_eq!((bench.starts().len(), kind_of_hold(&bench)), (1, None));
}

#[test]
fn where_the_service_cannot_be_tagged_it_is_rolled_back_all_the_same() {
    let mut bench = running_two();
    bench.failing_tags.push_back(transient(Remedy::GiveUp));
    bench.receive("m", [rollback(980, true)]);
    bench.pass(6);
    assert_eq!((bench.starts().len(), kind_of_hold(&bench)), (1, Some(HoldKind::Held)));
    assert!(matches!(bench.hold_moves()[..], [(HoldKind::Held, HoldMove::Refused(_))]));
}

#[test]
fn while_a_target_is_held_content_waits_and_new_tasks_do_not() {
    let mut bench = running_two();
    bench.receive("m", [rollback(980, true)]);
    bench.pass(6);
    bench.rollout_is(RolloutState::Succeeded);
    bench.receive("image", [image("v3", 1_010)]);
    bench.receive("push", [followed("v1", None, 1_011)]);
    bench.pass(60);
    assert_eq!(bench.starts().len(), 1);
    bench.receive("parameter", [restart(1_060)]);
    bench.pass(10);
    assert_eq!((bench.starts().len(), bench.ordered_base().as_str()), (2, "api:1"));
    assert!(bench.starts()[1].edits.is_empty());
    bench.rollout_is(RolloutState::Succeeded);
    resume(&mut bench, 1_100);
    bench.pass(60);
    assert_eq!((bench.starts().len(), bench.ordered_image().as_deref()), (3, Some("v3")));
}

#[test]
fn new_tasks_of_a_held_target_do_not_start_from_what_was_gone_back_from() {
    let mut bench = Bench::new();
    bench.settings.base = crate::domain::Base::Latest(None);
    bench.scene().base = Ok(revision(2, "v2"));
    bench.scene().holds = Holds::default().after(&decision(HoldVerb::Hold, 900)).expect("newer");
    bench.receive("m", [restart(980)]);
    bench.pass(6);
    assert_eq!(bench.ordered_base(), "api:1");
}

#[test]
fn a_rollback_of_what_does_not_run_any_more_is_superseded() {
    let mut bench = running_two();
    bench.scene().running.as_mut().expect("it runs").definition = revision(3, "v3");
    bench.receive("m", [rollback(980, true)]);
    bench.pass(6);
    let (outcome, _, reason) = bench.end();
    assert_eq!((outcome, kind_of_hold(&bench)), (Outcome::Superseded, None));
    assert!(reason.contains("api:2 was to be rolled back from, and by now api:3 runs"), "{reason}");
}

#[test]
fn what_was_asked_for_before_a_rollback_and_came_late_is_gone_back_from_too() {
    let mut bench = running_two();
    bench.scene().running.as_mut().expect("it runs").definition = marked(3, "v3", 970);
    bench.receive("m", [rollback(980, true)]);
    bench.pass(6);
    assert_eq!(bench.ordered_base(), "api:1");
}

#[test]
fn a_rollback_waits_for_the_end_of_a_rollout_of_something_else() {
    let mut bench = running_two();
    bench.settings.on_newer = OnNewer::Interrupt;
    bench.scene().rollouts.push(rollout("theirs", 970, revision(3, "v3")));
    bench.receive("m", [rollback(980, false)]);
    bench.pass(60);
    assert!(bench.starts().is_empty());
    bench.rollout_is(RolloutState::RolledBack);
    assert_eq!(bench.ordered_base(), "api:1", "what it goes back from runs still");
}

#[test]
fn a_rollback_names_the_digests_that_ran_and_goes_on_following_the_tag() {
    let mut bench = Bench::new();
    let latest = || DefinitionView { id: "api:1".parse().unwrap(), ..revision(1, "latest") };
    *bench.scene() = ecs::at_rest(latest());
    bench.scene().wanted = Some(Ok(latest()));
    let back = Rollback {
        from: "api:1".parse().unwrap(),
        images: [("web".into(), digest("a"))].into(),
        follow: [("web".into(), "latest".into())].into(),
        hold: false,
        by: None,
        reason: None,
    };
    let asked: DefinitionChange = "api:1".parse().unwrap();
    let asked = DefinitionChange { back: Some(Arc::new(back)), ..asked };
    bench.receive("m", [request(980, Change::Definition(asked.clone()))]);
    bench.pass(6);
    let order = bench.starts()[0].clone();
    assert_eq!(order.edits[&"web".into()].digest, Some(digest("a")));
    assert_eq!(order.marks.follows, [("web".into(), "latest".into())].into());
    assert_eq!(order.marks.content, Some(at(980)));
    bench.rollout_is(RolloutState::Succeeded);
    bench.crash();
    bench.receive("m", [request(980, Change::Definition(asked))]);
    bench.pass(6);
    assert_eq!((bench.starts().len(), bench.settled().len()), (1, 2), "it is done, and known to be");
}

#[test]
fn an_older_push_that_comes_after_a_rollback_is_outdone_by_it() {
    let mut bench = running_two();
    bench.receive("m", [rollback(980, false)]);
    bench.pass(6);
    bench.rollout_is(RolloutState::Succeeded);
    bench.receive("late", [image("v2", 970)]);
    bench.pass(60);
    assert_eq!((bench.starts().len(), bench.outcomes().last()), (1, Some(&Outcome::Superseded)));
}

/// A rollback of a target that is paused is asked for at 990, and done once that is resumed at 1,000.
fn gone_back_after_a_pause() -> Bench {
    let mut bench = running_two();
    pause(&mut bench, 980);
    bench.receive("m", [rollback(990, true)]);
    bench.pass(20);
    assert!(bench.starts().is_empty());
    resume(&mut bench, 1_000);
    bench.pass(20);
    assert_eq!(bench.ordered_base(), "api:1");
    bench.rollout_is(RolloutState::Succeeded);
    bench
}

#[test]
fn a_rollback_that_waited_behind_a_pause_holds_its_target_until_the_next_resume() {
    let mut bench = gone_back_after_a_pause();
    assert_eq!(kind_of_hold(&bench), Some(HoldKind::Held));
    let begun = (HoldKind::Held, &HoldMove::Begun);
    assert_eq!(bench.hold_moves()[1..], [(HoldKind::Paused, &HoldMove::Ended), begun]);
    bench.receive("image", [image("v3", 1_030)]);
    bench.pass(60);
    assert_eq!(bench.starts().len(), 1);
    resume(&mut bench, 1_100);
    bench.pass(60);
    assert_eq!((bench.starts().len(), kind_of_hold(&bench)), (2, None));
    assert_eq!(bench.ordered_image().as_deref(), Some("v3"));
}

#[test]
fn neither_a_crash_nor_a_message_that_comes_again_holds_a_target_once_more_or_frees_it() {
    let mut bench = gone_back_after_a_pause();
    bench.crash();
    resume(&mut bench, 1_000);
    pause(&mut bench, 980);
    bench.receive("m", [rollback(990, true)]);
    bench.pass(60);
    assert_eq!(kind_of_hold(&bench), Some(HoldKind::Held), "the resume that comes again is the same one");
    resume(&mut bench, 1_100);
    bench.crash();
    bench.receive("m", [rollback(990, true)]);
    resume(&mut bench, 1_000);
    bench.pass(60);
    assert_eq!((bench.starts().len(), kind_of_hold(&bench)), (1, None));
    assert!(bench.scene().holds.held.is_none());
}

#[test]
fn a_rollback_that_comes_only_after_the_resume_holds_its_target_if_it_was_asked_for_before() {
    let mut bench = running_two();
    pause(&mut bench, 980);
    bench.crash();
    resume(&mut bench, 1_000);
    bench.receive("m", [rollback(990, true)]);
    bench.pass(20);
    assert_eq!((bench.ordered_base().as_str(), kind_of_hold(&bench)), ("api:1", Some(HoldKind::Held)));
}

#[test]
fn a_pause_that_is_not_tagged_yet_when_it_is_resumed_has_been_one_all_the_same() {
    let mut bench = running_two();
    bench.unanswered.insert(Verb::Tag);
    pause(&mut bench, 980);
    bench.receive("m", [rollback(990, true)]);
    pause(&mut bench, 992);
    resume(&mut bench, 1_000);
    bench.unanswered.clear();
    let answer = bench.tagged(&TagOrder { target: target(API), decision: decision(HoldVerb::Pause, 980) });
    bench.tell(answer);
    bench.pass(20);
    assert_eq!((bench.ordered_base().as_str(), kind_of_hold(&bench)), ("api:1", Some(HoldKind::Held)));
}

#[test]
fn of_two_rollbacks_that_become_one_either_holds_the_target() {
    let (holds, frees) = ((980, true), (982, false));
    for [first, second] in [[holds, frees], [frees, holds], [(980, false), (982, true)]] {
        let mut bench = running_two();
        for (name, (version, hold)) in [("first", first), ("second", second)] {
            bench.receive(name, [rollback(version, hold)]);
        }
        bench.pass(20);
        let held = bench.scene().holds.held.clone().expect("it is held");
        let (version, _) = if first.1 { first } else { second };
        assert_eq!((bench.starts().len(), held.since), (1, Some(at(version))), "{first:?} {second:?}");
        assert_eq!(held.reason.as_deref(), Some("it leaks"));
        bench.rollout_is(RolloutState::Succeeded);
        assert_eq!(bench.settled().len(), 2);
    }
}

#[test]
fn a_rollback_that_holds_is_not_forgotten_behind_two_that_do_not_nor_by_a_crash() {
    let mut bench = running_two();
    let all = [("a", 980, true), ("b", 982, false), ("c", 984, false)];
    for (name, version, hold) in all {
        bench.receive(name, [rollback(version, hold)]);
    }
    assert_eq!(bench.settled(), [], "each of them comes again after a crash");
    bench.crash();
    for (name, version, hold) in all.into_iter().rev() {
        bench.receive(name, [rollback(version, hold)]);
    }
    bench.pass(20);
    assert_eq!((bench.starts().len(), kind_of_hold(&bench)), (1, Some(HoldKind::Held)));
}

#[test]
fn rollbacks_of_which_none_is_to_hold_do_not() {
    let mut bench = running_two();
    for (name, version) in [("a", 980), ("b", 982)] {
        bench.receive(name, [rollback(version, false)]);
    }
    bench.pass(20);
    assert_eq!((bench.starts().len(), kind_of_hold(&bench)), (1, None));
}
