//! What waits behind a deployment that is under way.

use std::sync::Arc;

use super::*;
use crate::{
    domain::{
        Cancellation, DeploymentRecord, LeaseId, Outcome, Remedy, Report, RolloutState, SettledBy, Stage,
        TriggerKind,
    },
    plan::Unended,
};

fn unended(it: &Bench) -> Unended {
    it.planner.target(&target(API)).expect("it is known").1
}

fn id(record: Option<&DeploymentRecord>) -> String {
    record.expect("there is one").id.to_string()
}

fn first_id(it: &Bench) -> String {
    id(unended(it).first.as_ref())
}

fn next_id(it: &Bench) -> String {
    id(unended(it).next.as_ref())
}

fn ends(it: &Bench) -> Vec<(String, Outcome)> {
    it.ended().iter().map(|it| (it.id.to_string(), it.outcome.unwrap())).collect()
}

/// `v2` is being rolled out for a while, and nothing waits.
fn rolling_out() -> Bench {
    let mut bench = Bench::new();
    bench.receive("m", [image("v2", 980)]);
    bench.pass(16);
    assert_eq!(bench.starts().len(), 1);
    bench
}

fn cancel(bench: &mut Bench, deployment: &str) {
    let reason = String::from("cancelled by ann: the wrong one");
    let origin = Origin {
        kind: TriggerKind::Decision,
        event_id: "c".into(),
        reason,
        by: None,
        replayed_by: None,
        metadata: None,
    };
    let about = Cancellation {
        deployment: deployment.into(),
        target: Some(target(API)),
        events: [].into(),
        at: bench.wall(),
        origin: Arc::new(origin),
    };
    bench.arrive("c", "c", Asks::Cancel(about));
}

#[test]
fn it_is_a_deployment_of_its_own_from_its_first_request_on() {
    let mut it = rolling_out();
    assert_eq!(unended(&it).next, None);
    it.receive("n", [image("v3", 1_011)]);
    let Unended { first, next } = unended(&it);
    let (first, next) = (first.unwrap(), next.unwrap());
    assert_ne!(first.id, next.id);
    assert_eq!((first.stage, next.stage), (Stage::Rollout, Stage::Waiting));
    assert_eq!(next.changes, ["image shop/api:v3"]);
    assert_eq!(next.reason, Some(format!("behind {} (rollout, 0 of 2 tasks)", first.id)));
    let lane = it.planner.targets()[0].lane.clone();
    assert_eq!((lane.deployment, lane.next), (Some(first.id.clone()), Some(next.id.clone())));
    let all: Vec<_> = it.planner.deployments().into_iter().map(|it| it.id).collect();
    assert_eq!(all, [first.id, next.id]);
}

#[test]
fn it_keeps_its_id_while_more_joins_it_and_goes_on_under_it_to_its_end() {
    let mut it = rolling_out();
    let first = first_id(&it);
    it.receive("n", [image("v3", 1_011)]);
    let next = next_id(&it);
    it.receive("o", [restart(1_012)]);
    it.receive("p", [image("v4", 1_013)]);
    it.pass(20);
    assert_eq!(next_id(&it), next);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((first_id(&it), unended(&it).next), (next.clone(), None));
    let marked = it.starts()[1].marks.deployment.as_ref().map(ToString::to_string);
    assert_eq!((it.starts().len(), marked), (2, Some(next.clone())));
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(ends(&it), [(first, Outcome::Succeeded), (next, Outcome::Succeeded)]);
}

#[test]
fn cancelling_it_takes_only_it_away() {
    let mut it = rolling_out();
    let first = first_id(&it);
    it.receive("n", [image("v3", 1_011)]);
    it.receive("o", [restart(1_012)]);
    let next = next_id(&it);
    cancel(&mut it, &next);
    assert_eq!(ends(&it), [(next, Outcome::Cancelled)]);
    assert_eq!(it.end().2, "cancelled by ann: the wrong one");
    let set_aside: Vec<u64> = it.letters().iter().map(|(lease, _)| *lease).collect();
    assert_eq!(set_aside, [2, 3]);
    assert!(!it.log.iter().any(|(_, it)| matches!(it, Command::Stop(_))), "the other one goes on");
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((it.starts().len(), ends(&it).pop()), (1, Some((first, Outcome::Succeeded))));
}

#[test]
fn cancelling_what_is_under_way_leaves_what_waits() {
    let mut it = rolling_out();
    it.scene().rollouts[0].id.service_deployment = Some("arn:one".into());
    it.receive("n", [image("v3", 1_011)]);
    it.pass(10);
    let (first, next) = (first_id(&it), next_id(&it));
    cancel(&mut it, &first);
    it.pass(4);
    it.tell(Input::Stopped { target: target(API), stopped: Ok(()) });
    let says = unended(&it).next.unwrap().reason;
    assert_eq!(says, Some(format!("behind {first} (rolling back, 0 of 2 tasks)")));
    it.rollout_is(RolloutState::RolledBack);
    assert_eq!(ends(&it), [(first, Outcome::Cancelled)]);
    assert_eq!((first_id(&it), it.starts().len()), (next, 2));
}

#[test]
fn what_supersedes_a_rollout_goes_on_under_the_id_by_which_it_waited() {
    let mut it = rolling_out();
    it.settings.on_newer = crate::domain::OnNewer::Interrupt;
    let first = first_id(&it);
    it.receive("n", [image("v3", 1_011)]);
    let next = next_id(&it);
    it.pass(20);
    assert_eq!(ends(&it), [(first, Outcome::Superseded)]);
    assert_eq!(first_id(&it), next);
}

#[test]
fn a_rollout_that_could_not_be_superseded_stays_the_deployment_that_it_was() {
    let mut it = rolling_out();
    it.settings.on_newer = crate::domain::OnNewer::Interrupt;
    let first = first_id(&it);
    it.failing_starts.push_back(transient(Remedy::Retry));
    it.settings.retries = 1;
    it.receive("n", [restart(1_011)]);
    let next = next_id(&it);
    it.pass(6);
    it.unanswered.insert(Verb::Start);
    it.pass(60);
    assert!(first_id(&it) == next || next_id(&it) == next, "{:?}", unended(&it));
    assert!(ends(&it).iter().all(|(id, _)| *id == first || *id == next), "{:?}", ends(&it));
}

#[test]
fn of_what_waits_together_the_rest_keeps_the_id_when_some_of_it_ends() {
    let mut it = rolling_out();
    it.receive("n", [image("v2", 1_011)]);
    let next = next_id(&it);
    it.receive("o", [restart(1_012)]);
    it.scene().rollouts[0].digests.insert("web".into(), digest("2"));
    it.scene().running.as_mut().unwrap().digests.insert("web".into(), digest("2"));
    it.pass(6);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!((first_id(&it), it.starts().len()), (next.clone(), 2));
    let (apart, outcome) = ends(&it).pop().unwrap();
    assert_eq!(outcome, Outcome::AlreadyRunning);
    assert_ne!(apart, next);
}

#[test]
fn what_is_tried_again_keeps_its_id_whatever_joins_it() {
    let mut it = Bench::new();
    it.jitter = Jitter(u16::MAX);
    it.failing_starts.push_back(transient(Remedy::Retry));
    it.receive("m", [image("v2", 980)]);
    it.pass(6);
    let id = first_id(&it);
    it.receive("n", [restart(1_014)]);
    assert_eq!(first_id(&it), id);
    it.pass(60);
    assert_eq!((first_id(&it), it.starts().len()), (id, 2));
}

#[test]
fn what_gathers_has_its_id_once_the_quiet_time_is_over() {
    let mut it = Bench::new();
    it.receive("m", [restart(980)]);
    it.receive("n", [restart(981)]);
    it.pass(6);
    let id = first_id(&it);
    it.crash();
    it.receive("n", [restart(981)]);
    it.pass(6);
    assert_eq!(first_id(&it), id, "only the newer one comes back");
}

#[test]
fn after_a_crash_the_tag_of_its_revision_tells_what_it_is_called() {
    let mut it = rolling_out();
    it.receive("n", [image("v3", 1_011)]);
    let next = next_id(&it);
    it.receive("o", [image("v4", 1_013)]);
    it.pass(6);
    it.rollout_is(RolloutState::Succeeded);
    assert_eq!(first_id(&it), next);
    it.crash();
    it.receive("o", [image("v4", 1_013)]);
    it.pass(6);
    assert_eq!((first_id(&it), it.starts().len()), (next.clone(), 2), "it is adopted");
    it.crash();
    it.rollout_is(RolloutState::Succeeded);
    it.receive("o", [image("v4", 1_013)]);
    it.pass(6);
    assert_eq!(ends(&it).pop(), Some((next.clone(), Outcome::Succeeded)), "its end was not seen");
    it.receive("o", [image("v4", 1_013)]);
    it.pass(6);
    assert_ne!(ends(&it).pop(), Some((next, Outcome::Succeeded)), "nor is it told twice");
}

#[test]
fn after_a_crash_what_failed_is_told_as_the_deployment_that_it_was() {
    let mut it = rolling_out();
    it.receive("n", [image("v3", 1_011)]);
    let next = next_id(&it);
    it.receive("o", [image("v4", 1_013)]);
    it.pass(6);
    it.rollout_is(RolloutState::Succeeded);
    it.crash();
    it.rollout_is(RolloutState::RolledBack);
    it.receive("o", [image("v4", 1_013)]);
    it.pass(6);
    assert_eq!(ends(&it).pop(), Some((next, Outcome::RolledBack)));
    assert_eq!(it.settled().last(), Some(&("o", SettledBy::SetAside)));
}

#[test]
fn an_older_revision_keeps_the_id_of_what_it_was_made_for() {
    let mut it = Bench::new();
    it.receive("m", [image("v2", 980)]);
    it.pass(6);
    let id = first_id(&it);
    it.rollout_is(RolloutState::Succeeded);
    it.receive("n", [restart(1_100)]);
    it.pass(200);
    assert_eq!(it.starts().len(), 2, "of the same revision, which bears that tag");
    assert_ne!(first_id(&it), id);
    it.crash();
    it.receive("n", [restart(1_100)]);
    it.pass(6);
    assert_ne!(first_id(&it), id);
}

#[test]
fn what_waits_is_gone_with_its_messages() {
    let mut it = rolling_out();
    it.receive("n", [image("v3", 1_011)]);
    let next = next_id(&it);
    it.tell(Input::Lost(vec![LeaseId(2)]));
    assert_eq!(unended(&it).next, None);
    assert!(it.reports().iter().any(|it| matches!(it, Report::LeaseLost { .. })));
    it.receive("p", [image("v4", 1_010)]);
    assert_ne!(next_id(&it), next);
}
