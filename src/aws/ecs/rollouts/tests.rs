use super::*;
use crate::domain::ServiceState;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn definition(revision: u32) -> DefinitionId {
    DefinitionId { family: "shop".into(), revision }
}

fn arn(revision: u32) -> Arc<str> {
    format!("revision-{revision}").into()
}

fn revisions() -> Revisions {
    let digest = |revision| BTreeMap::from([("web".into(), format!("sha256:{revision}").into())]);
    (1..=9).map(|it| (arn(it), Revision { definition: definition(it), digests: digest(it) })).collect()
}

fn entry(id: &str, revision: u32, created: i64, progress: Progress) -> Entry {
    Entry {
        id: id.into(),
        primary: false,
        definition: Some(definition(revision)),
        created_at: at(created),
        updated_at: at(created),
        progress: Some(progress),
        tasks: Tasks::default(),
        reason: "".into(),
    }
}

fn record(name: &str, revision: u32, created: i64, status: Status) -> Recorded {
    Recorded {
        arn: name.into(),
        created_at: at(created),
        updated_at: at(created),
        finished_at: None,
        status,
        reason: "".into(),
        revision: Some(arn(revision)),
        details: None,
    }
}

fn details() -> Details {
    Details { tripped: false, rolls_back: true, rollback: None, sources: Vec::new(), tasks: Tasks::default() }
}

/// The first entry is the primary one, and the first record the current one.
fn service(mut entries: Vec<Entry>, recorded: &[Recorded]) -> Service {
    entries[0].primary = true;
    Service {
        state: ServiceState::Active,
        definition: entries[0].definition.clone(),
        rolls_back: true,
        entries,
        current: recorded.first().map(|it| it.arn.clone()),
        ..Service::missing()
    }
}

fn states(service: &Service, recorded: &[Recorded]) -> Vec<(Option<String>, Option<String>, RolloutState)> {
    let name = |id: Option<RolloutId>| id.map(|id| id.to_string());
    let found = rollouts(service, recorded, &revisions()).expect("every revision is known");
    found.into_iter().map(|it| (name(it.id.deployment), name(it.id.service_deployment), it.state)).collect()
}

fn both(entry: &str, record: &str, state: RolloutState) -> (Option<String>, Option<String>, RolloutState) {
    (Some(entry.into()), Some(record.into()), state)
}

fn old(record: &str, state: RolloutState) -> (Option<String>, Option<String>, RolloutState) {
    (None, Some(record.into()), state)
}

#[test]
fn the_primary_deployment_is_the_current_service_deployment_and_others_pair_by_definition_and_time() {
    let recorded = [record("new", 2, 100, Status::InProgress), record("old", 1, 50, Status::Successful)];
    let service = service(
        vec![entry("a", 2, 108, Progress::Ongoing), entry("b", 1, 52, Progress::Completed)],
        &recorded,
    );
    let expected = [both("a", "new", RolloutState::InProgress), both("b", "old", RolloutState::Succeeded)];
    assert_eq!(states(&service, &recorded), expected);
}

#[test]
fn two_rollouts_of_the_same_definition_pair_with_the_nearest_in_time() {
    let recorded = [record("new", 1, 103, Status::InProgress), record("old", 1, 100, Status::Stopped)];
    let service = service(
        vec![entry("a", 1, 103, Progress::Ongoing), entry("b", 1, 100, Progress::Ongoing)],
        &recorded,
    );
    let expected = [both("a", "new", RolloutState::InProgress), both("b", "old", RolloutState::Stopped)];
    assert_eq!(states(&service, &recorded), expected);
}

#[test]
fn a_new_deployment_that_rolls_back_is_not_a_rollout_of_its_own() {
    for (status, state) in [
        (Status::RollbackRequested, RolloutState::RollingBack),
        (Status::RollbackInProgress, RolloutState::RollingBack),
        (Status::RollbackSuccessful, RolloutState::RolledBack),
        (Status::RollbackFailed, RolloutState::RollbackFailed),
    ] {
        let rollback = Rollback { started_at: Some(at(160)), revision: Some(arn(1)) };
        let mut bad = record("bad", 2, 100, status);
        bad.details = Some(Details { tripped: true, rollback: Some(rollback), ..details() });
        let recorded = [bad, record("good", 1, 50, Status::Successful)];
        let service = service(vec![entry("back", 1, 160, Progress::Ongoing)], &recorded);
        let expected = [old("bad", state), old("good", RolloutState::Succeeded)];
        assert_eq!(states(&service, &recorded), expected);
        assert!(going_back(&service, &recorded, &revisions()));
    }
}

#[test]
fn a_rollback_to_the_same_definition_is_told_by_its_time() {
    let rollback = Rollback { started_at: Some(at(103)), revision: Some(arn(1)) };
    let mut bad = record("bad", 1, 100, Status::RollbackInProgress);
    bad.details = Some(Details { rollback: Some(rollback), ..details() });
    let recorded = [bad];
    let service = service(
        vec![entry("back", 1, 103, Progress::Ongoing), entry("ours", 1, 100, Progress::Failed)],
        &recorded,
    );
    assert_eq!(states(&service, &recorded), [both("ours", "bad", RolloutState::RollingBack)]);
}

#[test]
fn a_rollback_that_takes_up_the_old_deployment_again_leaves_that_one_a_success() {
    let mut bad = record("bad", 2, 100, Status::RollbackInProgress);
    let rollback = Rollback { started_at: Some(at(160)), revision: Some(arn(1)) };
    bad.details = Some(Details { rollback: Some(rollback), ..details() });
    let recorded = [bad, record("good", 1, 50, Status::Successful)];
    let mut back = entry("good", 1, 50, Progress::Ongoing);
    back.reason = "ECS deployment circuit breaker: rolling back to deploymentId good.".into();
    let service = service(vec![back, entry("bad", 2, 100, Progress::Failed)], &recorded);
    let expected =
        [both("bad", "bad", RolloutState::RollingBack), both("good", "good", RolloutState::Succeeded)];
    assert_eq!(states(&service, &recorded), expected);
    assert!(going_back(&service, &recorded, &revisions()));
}

#[test]
fn a_rollout_after_a_rollback_is_one_even_if_it_has_the_same_definition() {
    let mut bad = record("bad", 2, 100, Status::RollbackSuccessful);
    let rollback = Rollback { started_at: Some(at(160)), revision: Some(arn(1)) };
    bad.details = Some(Details { rollback: Some(rollback), ..details() });
    let recorded = [bad];
    let mut service = service(vec![entry("next", 1, 300, Progress::Ongoing)], &recorded);
    service.current = Some("not listed yet".into());
    let next = (Some("next".into()), None, RolloutState::InProgress);
    assert_eq!(states(&service, &recorded), [next, old("bad", RolloutState::RolledBack)]);
    assert!(!going_back(&service, &recorded, &revisions()));
}

#[test]
fn stopped_is_failed_only_where_the_breaker_tripped() {
    let mut tripped = record("bad", 2, 100, Status::Stopped);
    tripped.details = Some(Details { tripped: true, rolls_back: false, ..details() });
    let quiet = service(vec![entry("a", 2, 100, Progress::Failed)], std::slice::from_ref(&tripped));
    assert_eq!(states(&quiet, &[tripped.clone()]), [both("a", "bad", RolloutState::Failed)]);

    let recorded = [record("next", 3, 200, Status::InProgress), tripped];
    let followed = service(vec![entry("b", 3, 200, Progress::Ongoing)], &recorded);
    let expected = [both("b", "next", RolloutState::InProgress), old("bad", RolloutState::Failed)];
    assert_eq!(states(&followed, &recorded), expected);

    let stopped = [record("stopped", 2, 100, Status::Stopped)];
    let by_hand = service(vec![entry("a", 2, 100, Progress::Ongoing)], &stopped);
    assert_eq!(states(&by_hand, &stopped), [both("a", "stopped", RolloutState::Stopped)]);
}

#[test]
fn a_rollout_that_is_still_listed_in_progress_is_over_when_a_newer_one_exists() {
    let recorded = [record("next", 3, 200, Status::Pending), record("ours", 2, 100, Status::StopRequested)];
    let service = service(
        vec![entry("b", 3, 200, Progress::Ongoing), entry("a", 2, 100, Progress::Ongoing)],
        &recorded,
    );
    let expected = [both("b", "next", RolloutState::InProgress), both("a", "ours", RolloutState::Stopped)];
    assert_eq!(states(&service, &recorded), expected);
}

#[test]
fn a_deployment_that_failed_before_its_record_says_so_is_rolled_back_only_if_it_is_configured() {
    for (rolls_back, state) in [(true, RolloutState::RollingBack), (false, RolloutState::Failed)] {
        let mut record = record("ours", 2, 100, Status::InProgress);
        record.details = Some(Details { rolls_back, ..details() });
        let recorded = [record];
        let service = service(vec![entry("a", 2, 100, Progress::Failed)], &recorded);
        assert_eq!(states(&service, &recorded), [both("a", "ours", state)]);
    }
}

#[test]
fn an_endpoint_without_service_deployments_tells_all_by_the_deployments_alone() {
    use Progress::{Completed, Failed, Ongoing};
    let only = |progress| service(vec![entry("a", 2, 100, progress)], &[]);
    let state = |service: &Service| states(service, &[])[0].2;
    assert_eq!(state(&only(Ongoing)), RolloutState::InProgress);
    assert_eq!(state(&only(Completed)), RolloutState::Succeeded);
    assert_eq!(state(&only(Failed)), RolloutState::Failed, "there is nothing to go back to");

    let superseding = service(vec![entry("b", 3, 200, Ongoing), entry("a", 2, 100, Ongoing)], &[]);
    let all: Vec<_> = states(&superseding, &[]).into_iter().map(|it| it.2).collect();
    assert_eq!(all, [RolloutState::InProgress, RolloutState::Stopped]);

    let failing = service(vec![entry("b", 3, 200, Failed), entry("a", 2, 100, Completed)], &[]);
    assert_eq!(state(&failing), RolloutState::RollingBack);

    for (progress, expected) in [
        (Ongoing, RolloutState::RollingBack),
        (Completed, RolloutState::RolledBack),
        (Failed, RolloutState::RollbackFailed),
    ] {
        let mut back = entry("c", 2, 300, progress);
        back.reason = "rolling back to deploymentId c".into();
        let undone = service(vec![back, entry("b", 3, 200, Failed)], &[]);
        assert_eq!(states(&undone, &[]), [(Some("b".into()), None, expected)]);
        assert_eq!(going_back(&undone, &[], &revisions()), progress == Ongoing);
    }
}

#[test]
fn a_revision_that_ecs_does_not_show_is_said() {
    let recorded = [record("ours", 77, 100, Status::InProgress)];
    let service = service(vec![entry("a", 2, 100, Progress::Ongoing)], &recorded);
    let refused = rollouts(&service, &recorded, &revisions());
    assert_eq!(refused, Err("ECS does not show what ours rolls out".into()));
}

#[test]
fn what_a_rollout_moved_the_service_from_is_its_source_or_what_the_one_before_left() {
    let mut from_source = record("d", 5, 400, Status::Successful);
    from_source.details = Some(Details { sources: vec![arn(3), arn(3)], ..details() });
    let mut undone = record("b", 2, 200, Status::RollbackSuccessful);
    let rollback = Rollback { started_at: Some(at(250)), revision: Some(arn(1)) };
    undone.details = Some(Details { rollback: Some(rollback), sources: vec![arn(1), arn(9)], ..details() });
    let recorded = [
        from_source,
        record("c", 3, 300, Status::Successful),
        undone,
        record("a", 1, 100, Status::Successful),
    ];
    let service = service(vec![entry("x", 5, 400, Progress::Completed)], &recorded);
    let found = rollouts(&service, &recorded, &revisions()).expect("every revision is known");
    let previous: Vec<_> = found.into_iter().map(|it| it.previous).collect();
    assert_eq!(previous, [Some(definition(3)), Some(definition(1)), Some(definition(1)), None]);
}

#[test]
fn a_complete_primary_deployment_is_what_runs() {
    let recorded = [record("good", 2, 100, Status::Successful)];
    let service = service(vec![entry("a", 2, 100, Progress::Completed)], &recorded);
    let good = last_good(&service, &recorded, &revisions()).expect("there is one");
    assert_eq!((good.definition, good.since), (definition(2), at(100)));
    assert_eq!(good.digests[&ContainerName::from("web")], "sha256:2".into());
    assert!(!needs_history(&service, &recorded));
}

#[test]
fn while_a_rollout_goes_on_the_newest_success_before_it_is_what_runs() {
    let recorded = [
        record("new", 4, 400, Status::InProgress),
        record("bad", 3, 300, Status::RollbackSuccessful),
        record("good", 2, 200, Status::Successful),
        record("older", 1, 100, Status::Successful),
    ];
    let service = service(vec![entry("a", 4, 400, Progress::Ongoing)], &recorded);
    assert_eq!(last_good(&service, &recorded, &revisions()).map(|it| it.definition), Some(definition(2)));
    assert!(needs_history(&service, &recorded[..2]));
}

#[test]
fn without_history_a_deployment_that_drains_is_what_ran_and_before_the_first_nothing_did() {
    let two =
        service(vec![entry("b", 3, 200, Progress::Ongoing), entry("a", 2, 100, Progress::Completed)], &[]);
    assert_eq!(last_good(&two, &[], &revisions()).map(|it| it.definition), Some(definition(2)));
    let first = service(vec![entry("a", 2, 100, Progress::Ongoing)], &[]);
    assert_eq!(last_good(&first, &[], &revisions()), None);
}
