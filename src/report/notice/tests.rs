use std::sync::Arc;

use insta::assert_snapshot;

use super::{
    outbox::Outbox,
    teller::Teller,
    words::{Tone, say},
    *,
};
use crate::{
    domain::{Adopted, Glob, HoldKind, Metadata, Report, ServiceWarning, Stage, TriggerKind},
    report::sample::{active, at, origin, rolled_back, succeeded},
};

pub(crate) fn home() -> Home {
    Home {
        project: Some("shop".into()),
        environment: Some("prod".into()),
        public_url: Some("https://lockkeeper.example.com".into()),
    }
}

/// A deployment that a run of CI asked for.
pub(crate) fn by_ci() -> DeploymentRecord {
    let metadata = Metadata {
        user: Some("ann".into()),
        commit: Some("4f2a9c1e4f2a9c1e4f2a".into()),
        branch: Some("main".into()),
        repository: Some("shop/api".into()),
        repository_url: Some("https://github.com/shop/api".into()),
        platform: Some("github".into()),
        run_id: Some("77".into()),
        run_url: Some("https://github.com/shop/api/actions/runs/77".into()),
        traceparent: None,
    };
    let trigger = origin(TriggerKind::DeployRequested, "e-9", "requested by ann: hotfix");
    let trigger = crate::domain::Origin {
        by: Some("deployer".into()),
        metadata: Some(Arc::new(metadata)),
        ..(*trigger).clone()
    };
    DeploymentRecord { triggers: vec![Arc::new(trigger)], ..succeeded() }
}

fn moved(stage: Stage) -> Report {
    Report::Moved(Box::new(DeploymentRecord { stage, ..active() }))
}

fn finished(outcome: Outcome) -> Report {
    let record = DeploymentRecord { outcome: Some(outcome), stage: Stage::Finished, ..active() };
    Report::Finished(Box::new(record))
}

/// The ids of what is told of these reports, in order.
fn told(reports: &[Report]) -> String {
    let mut teller = Teller::default();
    let notices = reports.iter().flat_map(|report| teller.hear(report, at("12:06:00")));
    notices.map(|notice| format!("{} [{}]", notice.id, notice.kind())).collect::<Vec<_>>().join("\n")
}

fn one(report: &Report) -> Notice {
    Teller::default().hear(report, at("12:06:00")).pop().expect("something is told")
}

fn text(record: DeploymentRecord) -> String {
    say(&one(&Report::Finished(Box::new(record))), &home()).plain()
}

#[test]
fn each_stage_of_a_deployment_that_goes_well_begins_and_ends() {
    assert_snapshot!(told(&[moved(Stage::Starting), moved(Stage::Rollout), finished(Outcome::Succeeded)]), @r#"
    d-77fe/started [started]
    d-77fe/definition/started/1 [definition_started]
    d-77fe/definition/completed/1 [definition_completed]
    d-77fe/rollout/started/1 [rollout_started]
    d-77fe/rollout/completed/1 [rollout_completed]
    d-77fe/succeeded [succeeded]
    "#);
}

#[test]
fn a_rollback_is_a_stage_that_begins_when_the_rollout_failed() {
    assert_snapshot!(told(&[
        moved(Stage::Starting),
        moved(Stage::Rollout),
        moved(Stage::RollingBack),
        moved(Stage::RollingBack),
        finished(Outcome::RolledBack),
    ]), @r#"
    d-77fe/started [started]
    d-77fe/definition/started/1 [definition_started]
    d-77fe/definition/completed/1 [definition_completed]
    d-77fe/rollout/started/1 [rollout_started]
    d-77fe/rollout/failed/1 [rollout_failed]
    d-77fe/rollback/started/1 [rollback_started]
    d-77fe/rollback/completed/1 [rollback_completed]
    d-77fe/rolled_back [rolled_back]
    "#);
}

#[test]
fn a_rollout_that_somebody_cancels_does_not_fail() {
    let cancelled = |stage, outcome| DeploymentRecord { stage, outcome, cancelled: true, ..active() };
    let back = Report::Moved(Box::new(cancelled(Stage::RollingBack, None)));
    let end = Report::Finished(Box::new(cancelled(Stage::Finished, Some(Outcome::Cancelled))));
    let mut teller = Teller::default();
    let reports = [moved(Stage::Rollout), back, end];
    let notices = reports.iter().flat_map(|report| teller.hear(report, at("12:06:00")));
    let told = notices.map(|it| format!("{} {}", it.id, say(&it, &home()).headline)).collect::<Vec<_>>();
    assert_snapshot!(told.join("\n"), @r#"
    d-77fe/started api (prod): deployment started
    d-77fe/rollout/started/1 api (prod): rollout in progress
    d-77fe/rollout/completed/1 api (prod): rollout is stopped
    d-77fe/rollback/started/1 api (prod): deployment is being cancelled, going back to chubby_api:13
    d-77fe/rollback/completed/1 api (prod): went back to chubby_api:13
    d-77fe/cancelled api (prod): deployment was cancelled
    "#);
}

#[test]
fn a_rollout_that_is_taken_over_is_told_under_the_id_of_its_first_telling() {
    let before = told(&[moved(Stage::Starting), moved(Stage::Rollout)]);
    let after = told(&[moved(Stage::Rollout)]);
    assert_eq!(after.lines().next(), before.lines().next());
    assert_eq!(after.lines().last(), before.lines().last());
}

#[test]
fn an_attempt_that_is_made_again_ends_its_stage_and_begins_it_anew() {
    let deployment = Box::new(active());
    let retrying =
        Report::Retrying { deployment, reason: "no capacity".into(), delay_ms: 4_000, attempts_left: 1 };
    let mut again = active();
    again.attempts = 2;
    again.stage = Stage::Starting;
    assert_snapshot!(told(&[moved(Stage::Starting), retrying, Report::Moved(Box::new(again))]), @r#"
    d-77fe/started [started]
    d-77fe/definition/started/1 [definition_started]
    d-77fe/definition/failed/1 [definition_failed]
    d-77fe/warning/rollout/1 [warning]
    d-77fe/definition/started/2 [definition_started]
    "#);
}

#[test]
fn who_was_told_that_it_began_is_told_that_it_ended_without_being_needed() {
    let filter = |outcomes: &[Outcome]| NoticeFilter {
        targets: vec![Glob::new("*")],
        outcomes: outcomes.iter().copied().collect(),
        stages: [NoticeStage::Deployment].into(),
        foreign: false,
    };
    let is_told = |reports: &[Report], filter: &NoticeFilter| {
        let mut teller = Teller::default();
        let notices: Vec<Notice> = reports.iter().flat_map(|it| teller.hear(it, at("12:06:00"))).collect();
        is_wanted(filter, notices.last().expect("the end"))
    };
    let (end, most) = (finished(Outcome::AlreadyRunning), filter(&[Outcome::Succeeded, Outcome::Failed]));
    assert!(!is_told(std::slice::from_ref(&end), &most), "it was harmless");
    let began = [moved(Stage::Rollout), end.clone()];
    assert!(is_told(&began, &most) && is_told(&began, &filter(&[Outcome::AlreadyRunning])));
    assert!(!is_told(&began, &filter(&[Outcome::Failed])), "nobody there is told of what goes well");
    let Report::Finished(mut found) = end else { panic!("{end:?}") };
    found.adopted = Some(Adopted::Unknown);
    let found = [Report::Finished(found)];
    assert!(is_told(&found, &most), "a process before this one may have told that it began");
    let headline = say(&one(&found[0]), &home()).headline;
    assert_eq!(headline, "api (prod): deployment was found complete");
}

#[test]
fn what_ends_without_having_begun_is_told_once() {
    assert_snapshot!(told(&[finished(Outcome::AlreadyRunning), finished(Outcome::Failed)]), @r#"
    d-77fe/already_running [already_running]
    d-77fe/failed [failed]
    "#);
}

#[test]
fn a_warning_of_ecs_is_told_once_a_minute_and_only_while_a_deployment_is_under_way() {
    let warning = |time: &str| {
        let event = "SERVICE_TASK_START_IMPAIRED".into();
        let target = active().target;
        Report::Warned(Box::new(ServiceWarning {
            target,
            name: "api".into(),
            event,
            reason: None,
            at: at(time),
        }))
    };
    let mut teller = Teller::default();
    let mut told = |report: &Report| teller.hear(report, at("12:06:00")).len();
    assert_eq!(told(&warning("12:06:00")), 0, "nothing is under way");
    told(&moved(Stage::Rollout));
    let counts = ["12:06:00", "12:06:59", "12:07:00", "12:07:01"].map(|time| told(&warning(time)));
    assert_eq!(counts, [1, 0, 1, 0]);
    told(&finished(Outcome::Failed));
    assert_eq!(told(&warning("12:30:00")), 0, "nothing is under way any more");
}

#[test]
fn a_success_says_what_runs_who_asked_and_where_to_look() {
    assert_snapshot!(text(by_ci()), @r#"
    ✅ api (prod): deployment succeeded after 8 s

    Service: chubby_api in shop
    Environment: shop prod (111122223333 eu-west-1)
    Image: shop_api:1.4 (sha256:4f2a9c1e)
    Asked for: image shop_api:1.4
    Deployment: d-12ab
    Definition: chubby_api:13 (before: chubby_api:12)
    Trigger: deploy_requested: requested by ann: hotfix
    By: deployer (ann)
    Commit: 4f2a9c1e4f2a on main of shop/api
    Duration: 8 s

    Lockkeeper: https://lockkeeper.example.com/deployments/d-12ab
    Console: https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/shop/services/chubby_api/deployments?region=eu-west-1
    Commit: https://github.com/shop/api/commit/4f2a9c1e4f2a9c1e4f2a
    Run: https://github.com/shop/api/actions/runs/77
    "#);
}

#[test]
fn a_failure_says_why_with_what_was_seen() {
    assert_snapshot!(text(rolled_back()), @r#"
    ❌ api (prod): deployment failed and was rolled back to chubby_api:12 after 8 s

    Service: chubby_api in shop
    Environment: shop prod (111122223333 eu-west-1)
    Image: shop_api:1.4 (sha256:4f2a9c1e)
    Asked for: image shop_api:broken
    Deployment: d-bad0
    Definition: chubby_api:13 (before: chubby_api:12)
    Trigger: image_ready: main at 0af3c1 is ready
    Duration: 8 s
    Cause: crash_loop

    container web exited with 1, three times
    task 0af3c1 stopped: container web: exit code 1; Essential container in task exited
    (service chubby_api) rolling back to deployment ecs-svc/8001

    Lockkeeper: https://lockkeeper.example.com/deployments/d-bad0
    Console: https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/shop/services/chubby_api/deployments?region=eu-west-1
    Logs: https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/shop/log-events/ecs$252Fweb$252F0af3c1
    "#);
}

#[test]
fn every_outcome_has_its_icon_and_its_words() {
    let lines = Outcome::ALL.map(|outcome| {
        let said = say(&one(&finished(outcome)), &home());
        format!("{} {}", said.tone.icon(), said.headline)
    });
    assert_snapshot!(lines.join("\n"), @r#"
    ✅ api (prod): deployment succeeded
    ✅ api (prod): deployment was not needed, it runs already
    ℹ️ api (prod): deployment was superseded
    ❌ api (prod): deployment failed
    ❌ api (prod): deployment failed and was rolled back to chubby_api:13
    ⚠️ api (prod): deployment was cancelled
    ℹ️ api (prod): dry run: nothing was deployed
    "#);
}

#[test]
fn what_is_under_way_has_its_icon_and_its_words() {
    let stages = [Stage::Waiting, Stage::Starting, Stage::Rollout, Stage::RollingBack];
    let mut teller = Teller::default();
    let notices = stages.iter().flat_map(|stage| teller.hear(&moved(*stage), at("12:06:00")));
    let lines = notices.map(|notice| {
        let said = say(&notice, &home());
        format!("{} {}", said.tone.icon(), said.headline)
    });
    assert_snapshot!(lines.collect::<Vec<_>>().join("\n"), @r#"
    ⚠️ api (prod): deployment needs attention: it waits
    ℹ️ api (prod): deployment started
    ℹ️ api (prod): deployment begins
    ℹ️ api (prod): deployment is asked for
    ℹ️ api (prod): rollout in progress
    ❌ api (prod): rollout failed
    ⚠️ api (prod): rollout failed, going back to chubby_api:13
    "#);
}

#[test]
fn a_rollout_that_is_not_ours_is_told_as_such() {
    let rollout = ForeignRollout {
        target: active().target,
        name: "api".into(),
        rollout_id: "ecs-svc/9".into(),
        state: ForeignState::Failed,
        definition: Some("chubby_api:15".parse().expect("valid")),
        reason: Some("ECS deployment circuit breaker: tasks failed to start.".into()),
        at: at("12:06:00"),
    };
    let notice = one(&Report::Foreign(Box::new(rollout)));
    assert_eq!((notice.id.as_str(), notice.is_end()), ("ecs-svc/9/failed", true));
    assert_snapshot!(say(&notice, &Home::default()).plain(), @r#"
    ⚠️ api: a rollout that is not ours failed

    Service: chubby_api in shop
    Environment: 111122223333 eu-west-1
    Rollout: ecs-svc/9
    Definition: chubby_api:15
    Started by: somebody else: not Lockkeeper

    ECS deployment circuit breaker: tasks failed to start.

    Console: https://eu-west-1.console.aws.amazon.com/ecs/v2/clusters/shop/services/chubby_api/deployments?region=eu-west-1
    "#);
}

#[test]
fn whatever_a_reason_holds_each_line_stays_one_and_short() {
    let mut record = rolled_back();
    record.reason = Some(format!("\"quoted\"\n\u{1b}[31m🚀{}", "x".repeat(10_000)));
    let said = say(&one(&Report::Finished(Box::new(record))), &home());
    assert!(said.evidence[0].starts_with("\"quoted\"\u{fffd}\u{fffd}[31m🚀xxx"), "{}", said.evidence[0]);
    assert!(said.evidence.iter().all(|line| line.chars().count() <= 1_501 && !line.contains('\n')));
    assert_eq!(said.tone, Tone::Bad);
}

fn filter() -> NoticeFilter {
    NoticeFilter {
        targets: vec![Glob::new("*")],
        outcomes: Outcome::ALL.into(),
        stages: NoticeStage::ALL.into(),
        foreign: true,
    }
}

#[test]
fn the_end_of_a_deployment_is_chosen_by_outcome_and_all_else_by_stage() {
    let [begun, ended] = [one(&moved(Stage::RollingBack)), one(&finished(Outcome::Failed))];
    let wants = |filter: &NoticeFilter| [is_wanted(filter, &begun), is_wanted(filter, &ended)];
    assert_eq!(wants(&filter()), [true, true]);
    assert_eq!(wants(&NoticeFilter { stages: [].into(), ..filter() }), [false, true]);
    assert_eq!(wants(&NoticeFilter { outcomes: [Outcome::Succeeded].into(), ..filter() }), [true, false]);
    assert_eq!(wants(&NoticeFilter { targets: vec![Glob::new("web")], ..filter() }), [false, false]);
}

#[test]
fn where_there_is_no_room_progress_makes_way_for_ends() {
    let mut outbox = Outbox::new(2, false);
    let [begun, ended] = [one(&moved(Stage::Rollout)), one(&finished(Outcome::Failed))].map(Arc::new);
    let gone: Vec<usize> =
        [&ended, &begun, &begun, &ended, &ended].map(|it| outbox.push(Arc::clone(it))).into();
    assert_eq!(gone, [0, 0, 1, 1, 1]);
    assert!(outbox.take(9).iter().all(|it| it.is_end()) && outbox.is_empty());
}

#[test]
fn who_put_it_back_is_told_beside_who_asked_for_it() {
    let mut record = by_ci();
    let again = (*record.triggers[0]).clone().replayed("jo in Slack (U012)".into());
    record.triggers = vec![Arc::new(again)];
    let said = text(record);
    assert!(said.contains("By: deployer (ann)\nReplayed by: jo in Slack (U012)"), "{said}");
    assert!(said.contains("requested by ann: hotfix, put back by jo in Slack (U012)"), "{said}");
}

#[test]
fn where_one_message_is_kept_only_the_newest_state_waits() {
    let mut outbox = Outbox::new(9, true);
    let [begun, ended] = [one(&moved(Stage::Rollout)), one(&finished(Outcome::Failed))].map(Arc::new);
    for notice in [&begun, &begun, &ended] {
        outbox.push(Arc::clone(notice));
    }
    assert_eq!((outbox.len(), outbox.take(1)), (1, vec![ended]));
}

#[test]
fn who_pauses_a_target_is_told_and_so_is_a_pause_that_vanishes() {
    let told = |moved| {
        let hold = HoldRecord {
            kind: HoldKind::Paused,
            by: Some("ann".into()),
            since: Some(at("12:00:00")),
            reason: Some("the database is being moved".into()),
        };
        let report = Report::Hold { target: active().target, name: "api".into(), hold, moved };
        let notice = Teller::default().hear(&report, at("12:06:00")).pop()?;
        let said = say(&notice, &home());
        Some(format!("{} [{}] {} {}", notice.id, notice.kind(), said.tone.icon(), said.headline))
    };
    let moves = [HoldMove::Begun, HoldMove::Ended, HoldMove::Vanished, HoldMove::Refused("denied".into())];
    assert_snapshot!(moves.map(|moved| told(moved).expect("told")).join("\n"), @r#"
    111122223333/eu-west-1/shop/chubby_api/paused/1793534400000 [paused] ℹ️ api (prod): paused: nothing is rolled out until somebody resumes it
    111122223333/eu-west-1/shop/chubby_api/resumed/1793534760000 [resumed] ℹ️ api (prod): resumed
    111122223333/eu-west-1/shop/chubby_api/hold_vanished/1793534760000 [hold_vanished] ⚠️ api (prod): was paused, and is not any more, though nobody resumed it: the tag is gone
    111122223333/eu-west-1/shop/chubby_api/hold_refused/1793534760000 [hold_refused] ❌ api (prod): could not be paused: denied
    "#);
    assert_eq!(told(HoldMove::DryRun), None);
}

#[test]
fn of_a_hold_it_is_told_that_new_tasks_do_not_wait() {
    let hold = HoldRecord { kind: HoldKind::Held, by: None, since: Some(at("12:00:00")), reason: None };
    let report = Report::Hold { target: active().target, name: "api".into(), hold, moved: HoldMove::Begun };
    let notice = Teller::default().hear(&report, at("12:06:00")).pop().expect("told");
    assert_snapshot!(say(&notice, &home()).headline, @"api (prod): held after a rollback: other content waits until somebody resumes it, new tasks do not");
}
