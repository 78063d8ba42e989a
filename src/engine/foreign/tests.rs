use super::*;
use crate::{
    domain::{Cause, DefinitionId, DefinitionView, DeploymentRecord, Marks, Outcome, RolloutKey},
    report::sample::{active, at, succeeded},
};

const IN_PROGRESS: &str = "SERVICE_DEPLOYMENT_IN_PROGRESS";
const COMPLETED: &str = "SERVICE_DEPLOYMENT_COMPLETED";
const FAILED: &str = "SERVICE_DEPLOYMENT_FAILED";

fn second(second: u64) -> Moment {
    Moment::from_millis(second * 1_000)
}

/// The time of day this many seconds after noon.
fn noon(seconds: u64) -> Timestamp {
    at("12:00:00") + Duration::from_secs(seconds)
}

fn hear_hint(foreign: &mut Foreign, (now, happened): (u64, u64), hint: &RolloutHint) {
    foreign.heard(second(now), (&active().target, &"api".into()), hint, noon(happened));
}

fn hear_late(foreign: &mut Foreign, when: (u64, u64), id: &str, event: &str) {
    hear_hint(foreign, when, &hint(id, event));
}

fn hint(id: &str, event: &str) -> RolloutHint {
    let rollout = Some(id.into());
    let (service, event_name) = ("chubby_api".into(), event.into());
    RolloutHint { cluster: None, service, event_name, rollout, reason: None }
}

fn hear(foreign: &mut Foreign, now: u64, id: &str, event: &str) {
    hear_late(foreign, (now, now), id, event);
}

fn shown(id: &str, created: u64) -> Stranger {
    let id = RolloutKey { deployment: Some(id.into()), service_deployment: None };
    Stranger { id, created_at: noon(created), definition: Some(definition()), goes_back: false }
}

fn definition() -> DefinitionId {
    "chubby_api:12".parse().expect("valid")
}

/// What is told by now, where ECS shows just these, and how it was looked at.
fn told_of(foreign: &mut Foreign, now: u64, listed: &[Stranger]) -> Vec<String> {
    let due = foreign.due(second(now));
    let judge = |named: Named| {
        let closely = if named.closely { " (closely)" } else { "" };
        let id = named.rollout.rollout_id.clone();
        let shown = listed.iter().find(|it| it.id.deployment.as_ref() == Some(&id));
        let looked = Looked { named, shown: Ok(shown.cloned()) };
        let told = foreign.judged(second(now), looked)?;
        Some(format!("{id} {}{closely}", told.state.as_str()))
    };
    due.into_iter().filter_map(judge).collect()
}

fn due(foreign: &mut Foreign, now: u64) -> Vec<String> {
    told_of(foreign, now, &[])
}

fn of_ours(record: DeploymentRecord, id: &str) -> Box<DeploymentRecord> {
    let key = RolloutKey { deployment: Some(id.into()), service_deployment: None };
    let started_at = Some(noon(0));
    Box::new(DeploymentRecord { rollout: Some(key), started_at, ..record })
}

#[test]
fn what_nobody_of_us_started_is_told_once_after_a_while() {
    let mut foreign = Foreign::silent_until(second(0));
    hear(&mut foreign, 10, "ecs-svc/1", IN_PROGRESS);
    hear(&mut foreign, 11, "ecs-svc/1", IN_PROGRESS);
    hear(&mut foreign, 12, "ecs-svc/1", "SERVICE_STEADY_STATE");
    assert!(due(&mut foreign, 24).is_empty());
    assert_eq!(due(&mut foreign, 25), ["ecs-svc/1 in_progress"]);
    hear(&mut foreign, 30, "ecs-svc/1", IN_PROGRESS);
    hear(&mut foreign, 30, "ecs-svc/1", COMPLETED);
    assert_eq!(due(&mut foreign, 60), ["ecs-svc/1 completed"]);
}

#[test]
fn what_we_started_is_never_somebody_s_even_if_ecs_tells_of_it_first() {
    let mut foreign = Foreign::silent_until(second(0));
    hear(&mut foreign, 10, "ecs-svc/2", IN_PROGRESS);
    foreign.learn(second(11), &Report::Moved(of_ours(active(), "ecs-svc/2")));
    foreign.learn(second(12), &Report::Finished(of_ours(succeeded(), "ecs-svc/2")));
    assert!(due(&mut foreign, 500).is_empty());
    hear(&mut foreign, 600, "ecs-svc/2", COMPLETED);
    assert!(due(&mut foreign, 900).is_empty());
}

#[test]
fn who_undoes_a_fresh_deployment_of_ours_is_told_as_soon_as_anybody() {
    let mut foreign = Foreign::silent_until(second(0));
    foreign.learn(second(10), &Report::Moved(of_ours(active(), "ecs-svc/3")));
    foreign.learn(second(50), &Report::Finished(of_ours(succeeded(), "ecs-svc/3")));
    hear(&mut foreign, 60, "ecs-svc/undo", IN_PROGRESS);
    hear(&mut foreign, 80, "ecs-svc/undo", FAILED);
    let shows = [shown("ecs-svc/undo", 59)];
    assert_eq!(told_of(&mut foreign, 75, &shows), ["ecs-svc/undo in_progress (closely)"]);
    assert_eq!(told_of(&mut foreign, 95, &[]), ["ecs-svc/undo failed"]);
    hear(&mut foreign, 200, "ecs-svc/later", IN_PROGRESS);
    assert_eq!(due(&mut foreign, 215), ["ecs-svc/later in_progress"], "long after ours");
}

#[test]
fn who_takes_the_place_of_a_rollout_of_ours_is_told_while_ours_is_under_way() {
    let mut foreign = Foreign::silent_until(second(0));
    foreign.learn(second(10), &Report::Moved(of_ours(active(), "ecs-svc/3")));
    hear(&mut foreign, 20, "ecs-svc/theirs", IN_PROGRESS);
    let shows = [shown("ecs-svc/theirs", 20)];
    assert_eq!(told_of(&mut foreign, 35, &shows), ["ecs-svc/theirs in_progress (closely)"]);
}

#[test]
fn the_way_back_from_a_rollout_of_ours_is_not_somebody_s() {
    let back = |stranger: Stranger, event: &str| {
        let mut foreign = Foreign::silent_until(second(0));
        foreign.learn(second(10), &Report::Moved(of_ours(active(), "ecs-svc/3")));
        hear(&mut foreign, 20, "ecs-svc/back", event);
        let ended = DeploymentRecord { outcome: Some(Outcome::RolledBack), ..succeeded() };
        foreign.learn(second(30), &Report::Finished(of_ours(ended, "ecs-svc/3")));
        let told = told_of(&mut foreign, 35, std::slice::from_ref(&stranger));
        hear(&mut foreign, 900, "ecs-svc/back", COMPLETED);
        (told, told_of(&mut foreign, 915, &[stranger]))
    };
    let none = (Vec::<String>::new(), Vec::<String>::new());
    let new = Stranger { goes_back: true, ..shown("ecs-svc/back", 19) };
    assert_eq!(back(new, IN_PROGRESS), none, "ECS says that it goes back");
    let long_before = Stranger { created_at: at("10:00:00"), ..shown("ecs-svc/back", 0) };
    assert_eq!(back(long_before, COMPLETED), none, "it is older than ours");
}

#[test]
fn a_way_back_that_ecs_calls_one_is_ours_however_soon_it_comes() {
    let told = |reason: Option<&str>| {
        let mut foreign = Foreign::silent_until(second(0));
        foreign.learn(second(1), &Report::Moved(of_ours(active(), "ecs-svc/3")));
        let hint = RolloutHint { reason: reason.map(Into::into), ..hint("ecs-svc/back", IN_PROGRESS) };
        hear_hint(&mut foreign, (2, 0), &hint);
        let just_before = Stranger { created_at: at("11:59:59"), ..shown("ecs-svc/back", 0) };
        told_of(&mut foreign, 20, &[just_before])
    };
    let circuit_breaker = "ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/back.";
    assert!(told(Some(circuit_breaker)).is_empty());
    assert_eq!(told(None), ["ecs-svc/back in_progress (closely)"], "the clocks may be apart");
}

#[test]
fn what_moves_while_a_start_of_ours_is_under_way_waits_for_its_answer() {
    let mut foreign = Foreign::silent_until(second(0));
    foreign.asked(&active().target, noon(10));
    hear(&mut foreign, 11, "ecs-svc/ours", IN_PROGRESS);
    assert!(due(&mut foreign, 100).is_empty());
    let id = RolloutKey { deployment: Some("ecs-svc/ours".into()), service_deployment: None };
    let (created_at, id_of) = (noon(11), definition());
    let definition = DefinitionView { id: id_of, images: BTreeMap::new(), marks: Marks::default() };
    let started = Started { id, created_at, definition };
    foreign.answered((second(100), noon(100)), &active().target, &Ok(started));
    hear(&mut foreign, 101, "ecs-svc/theirs", IN_PROGRESS);
    assert_eq!(due(&mut foreign, 200), ["ecs-svc/theirs in_progress (closely)"]);
}

#[test]
fn a_start_whose_answer_was_lost_is_ours_and_what_came_later_is_not() {
    let mut foreign = Foreign::silent_until(second(0));
    let reason = "no answer".into();
    let lost = CallFailure { cause: Cause::Unknown, reason, remedy: Remedy::LookFirst };
    foreign.asked(&active().target, noon(10));
    foreign.answered((second(13), noon(13)), &active().target, &Err(lost));
    hear(&mut foreign, 12, "ecs-svc/lost", IN_PROGRESS);
    hear(&mut foreign, 70, "ecs-svc/theirs", IN_PROGRESS);
    let shows = [shown("ecs-svc/lost", 11), shown("ecs-svc/theirs", 69)];
    assert!(told_of(&mut foreign, 132, &shows).is_empty(), "the look that follows may tell whose it is");
    assert_eq!(told_of(&mut foreign, 133, &shows), ["ecs-svc/theirs in_progress (closely)"]);
}

#[test]
fn one_that_we_took_over_by_its_other_id_is_ours() {
    let mut foreign = Foreign::silent_until(second(0));
    let listed = RolloutKey { deployment: None, service_deployment: Some("arn:3".into()) };
    let record = DeploymentRecord { rollout: Some(listed.clone()), ..succeeded() };
    foreign.learn(second(10), &Report::Finished(Box::new(record)));
    hear(&mut foreign, 12, "ecs-svc/3", COMPLETED);
    hear(&mut foreign, 13, "ecs-svc/4", FAILED);
    let deployment = Some("ecs-svc/3".into());
    let both = Stranger { id: RolloutKey { deployment, ..listed }, ..shown("ecs-svc/3", 5) };
    assert!(told_of(&mut foreign, 60, &[both]).is_empty(), "and one that is shown no more may be the same");
}

#[test]
fn what_cannot_be_looked_at_closely_is_tried_again_and_told_in_the_end() {
    let mut foreign = Foreign::silent_until(second(0));
    foreign.learn(second(10), &Report::Moved(of_ours(active(), "ecs-svc/3")));
    hear(&mut foreign, 20, "ecs-svc/4", IN_PROGRESS);
    let mut looks = 0;
    for now in 0..1_000 {
        for named in foreign.due(second(now)) {
            looks += 1;
            if foreign.judged(second(now), Looked { named, shown: Err(()) }).is_some() {
                assert_eq!((looks, now), (21, 335));
                return;
            }
        }
    }
    panic!("it is never told");
}

#[test]
fn what_is_due_is_told_in_the_order_in_which_it_happened() {
    let mut foreign = Foreign::silent_until(second(0));
    hear_late(&mut foreign, (10, 9), "ecs-svc/1", COMPLETED);
    hear_late(&mut foreign, (20, 5), "ecs-svc/1", IN_PROGRESS);
    hear_late(&mut foreign, (21, 20), "ecs-svc/2", IN_PROGRESS);
    assert_eq!(due(&mut foreign, 25), ["ecs-svc/1 in_progress", "ecs-svc/1 completed"]);
    assert_eq!(due(&mut foreign, 36), ["ecs-svc/2 in_progress"]);
    hear_late(&mut foreign, (40, 40), "ecs-svc/3", FAILED);
    hear_late(&mut foreign, (40, 40), "ecs-svc/3", IN_PROGRESS);
    assert_eq!(due(&mut foreign, 55), ["ecs-svc/3 in_progress", "ecs-svc/3 failed"], "in the same second");
}

#[test]
fn what_has_ended_is_never_in_progress_again() {
    let mut foreign = Foreign::silent_until(second(0));
    hear_late(&mut foreign, (10, 9), "ecs-svc/1", COMPLETED);
    assert_eq!(due(&mut foreign, 25), ["ecs-svc/1 completed"]);
    hear_late(&mut foreign, (3_600, 5), "ecs-svc/1", IN_PROGRESS);
    assert!(due(&mut foreign, 4_000).is_empty());
}

#[test]
fn after_a_start_nothing_is_somebody_s_until_our_own_messages_came_back() {
    let mut foreign = Foreign::silent_until(second(150));
    hear(&mut foreign, 1, "ecs-svc/5", IN_PROGRESS);
    assert!(due(&mut foreign, 149).is_empty());
    assert_eq!(due(&mut foreign, 150), ["ecs-svc/5 in_progress"]);
}

/// What is told where the process ends now.
fn told_at_the_end(foreign: &mut Foreign, now: u64) -> Vec<String> {
    let certain = foreign.certain(second(now)).into_iter();
    let told = certain.filter_map(|looked| foreign.judged(second(now), looked));
    told.map(|it| format!("{} {}", it.rollout_id, it.state.as_str())).collect()
}

#[test]
fn what_is_certain_is_told_at_the_end_without_its_wait() {
    let mut foreign = Foreign::silent_until(second(5));
    hear_late(&mut foreign, (10, 9), "ecs-svc/1", COMPLETED);
    hear_late(&mut foreign, (10, 3), "ecs-svc/1", IN_PROGRESS);
    assert_eq!(told_at_the_end(&mut foreign, 11), ["ecs-svc/1 in_progress", "ecs-svc/1 completed"]);
    assert!(due(&mut foreign, 60).is_empty(), "it is told once");
}

#[test]
fn what_may_be_ours_is_not_told_at_the_end() {
    let heard = || {
        let mut foreign = Foreign::silent_until(second(5));
        hear(&mut foreign, 4, "ecs-svc/1", IN_PROGRESS);
        foreign
    };
    assert!(told_at_the_end(&mut heard(), 4).is_empty(), "what was held before has not come back");
    let mut starting = heard();
    starting.asked(&active().target, noon(3));
    assert!(told_at_the_end(&mut starting, 10).is_empty(), "its answer is not here");
    let mut nearby = heard();
    nearby.learn(second(4), &Report::Moved(of_ours(active(), "ecs-svc/2")));
    assert!(told_at_the_end(&mut nearby, 10).is_empty(), "ECS may go back from ours");
    let mut known = heard();
    assert_eq!(due(&mut known, 19), ["ecs-svc/1 in_progress"]);
    known.learn(second(20), &Report::Moved(of_ours(active(), "ecs-svc/2")));
    hear(&mut known, 30, "ecs-svc/1", COMPLETED);
    assert!(told_at_the_end(&mut known, 31).is_empty(), "ECS may go back to what it was told of");
    let mut ours = heard();
    ours.learn(second(4), &Report::Moved(of_ours(active(), "ecs-svc/1")));
    assert!(told_at_the_end(&mut ours, 10).is_empty(), "it is ours");
}
