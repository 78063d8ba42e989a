use insta::assert_snapshot;

use super::*;
use crate::{
    domain::{Cause, TriggerKind},
    report::sample::{active, origin, rolled_back, succeeded},
};

fn shown(report: &Report) -> String {
    let LogLine { level, message, fields } = line(report);
    let fields: Vec<_> = fields.iter().map(|(name, value)| format!("  {name} = {value}")).collect();
    format!("{level:?} {message}\n{}", fields.join("\n"))
}

fn text(report: &Report) -> String {
    line(report).message
}

fn finished(change: impl FnOnce(&mut DeploymentRecord)) -> Report {
    let mut record = succeeded();
    change(&mut record);
    Report::Finished(Box::new(record))
}

#[test]
fn a_request_says_what_is_asked_and_why() {
    let origin = origin(TriggerKind::ParameterChanged, "e-7", "parameter /prod/shop/api/URL was updated");
    let change = "new tasks".to_owned();
    let report =
        Report::Queued { target: succeeded().target, name: "api".into(), origin, change, waiting: 3 };
    assert_snapshot!(shown(&report), @"
    Info deployment of api asked for: new tasks, because parameter /prod/shop/api/URL was updated; 3 requests wait in its lane
      service = api
      event_id = e-7
      event_type = parameter_changed
    ");
}

#[test]
fn a_request_that_asks_nothing_says_why() {
    let origin = origin(TriggerKind::ImagePushed, "e-8", "push of shop_api:feature");
    let reason = "the running definition names shop_api:latest".to_owned();
    let report = Report::Dropped { target: succeeded().target, name: "api".into(), origin, reason };
    assert_snapshot!(text(&report), @"no deployment of api for push of shop_api:feature: the running definition names shop_api:latest");
}

#[test]
fn each_stage_of_a_deployment_has_its_line() {
    let stages = [Stage::Waiting, Stage::Starting, Stage::Rollout, Stage::RollingBack, Stage::Finished];
    let lines = stages.map(|stage| text(&Report::Moved(Box::new(DeploymentRecord { stage, ..succeeded() }))));
    assert_snapshot!(lines.join("\n"), @"
    deployment d-12ab of api waits
    deployment d-12ab of api begins for 2 events: image shop_api:1.4
    deployment d-12ab of api rolls out chubby_api:13
    deployment d-12ab of api goes back to chubby_api:12
    deployment d-12ab of api succeeded in 8 s for 2 events: chubby_api:13
    ");
}

#[test]
fn a_success_tells_how_long_it_took_and_what_runs() {
    assert_snapshot!(shown(&finished(|_| ())), @"
    Info deployment d-12ab of api succeeded in 8 s for 2 events: chubby_api:13
      service = api
      deployment_id = d-12ab
      task_definition = chubby_api:13
      event_id = e-1,e-2
      event_type = image_pushed
      attempt = 1
      outcome = succeeded
    ");
}

#[test]
fn a_final_failure_says_deployment_failed_with_its_cause() {
    assert_snapshot!(shown(&Report::Finished(Box::new(rolled_back()))), @"
    Error deployment failed: d-bad0 of api rolled back to chubby_api:12 after 8 s, crash_loop: container web exited with 1, three times
      service = api
      deployment_id = d-bad0
      task_definition = chubby_api:13
      event_id = e-3
      event_type = image_ready
      attempt = 1
      outcome = rolled_back
      cause = crash_loop
      error = container web exited with 1, three times
      log_url = https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/shop/log-events/ecs$252Fweb$252F0af3c1
    ");
}

#[test]
fn every_outcome_has_its_words() {
    let lines = Outcome::ALL.map(|outcome| text(&finished(|it| it.outcome = Some(outcome))));
    assert_snapshot!(lines.join("\n"), @"
    deployment d-12ab of api succeeded in 8 s for 2 events: chubby_api:13
    deployment d-12ab of api not needed for 2 events: chubby_api:13 runs already
    deployment d-12ab of api superseded after 8 s
    deployment failed: d-12ab of api after 8 s
    deployment failed: d-12ab of api rolled back to chubby_api:12 after 8 s
    deployment d-12ab of api cancelled for 2 events: image shop_api:1.4
    deployment d-12ab of api was a dry run for 2 events, nothing changed: image shop_api:1.4
    ");
}

#[test]
fn what_runs_already_is_said_once() {
    let line = text(&finished(|it| {
        it.outcome = Some(Outcome::AlreadyRunning);
        it.definition = None;
        it.reason = Some("chubby_api:13 runs it already".into());
    }));
    assert_snapshot!(line, @"deployment d-12ab of api not needed for 2 events: chubby_api:13 runs it already (image shop_api:1.4)");
}

#[test]
fn saved_queries_find_failures_and_retries_and_nothing_else() {
    for outcome in Outcome::ALL {
        let message = text(&finished(|it| it.outcome = Some(outcome)));
        assert!(message.contains("deployment") && !message.contains("retry"), "{message}");
        assert_eq!(message.contains("deployment failed"), outcome.is_failure(), "{message}");
    }
}

#[test]
fn a_retry_says_when_and_how_many_are_left() {
    let deployment = Box::new(DeploymentRecord { cause: Some(Cause::Throttled), ..active() });
    let reason = "UpdateService: Rate exceeded".to_owned();
    let report = Report::Retrying { deployment, reason, delay_ms: 4_200, attempts_left: 2 };
    assert_snapshot!(shown(&report), @"
    Warn deployment d-77fe of api: attempt 1 of 3 did not succeed, retry in 4 s: UpdateService: Rate exceeded
      service = api
      deployment_id = d-77fe
      task_definition = chubby_api:14
      event_id = e-1,e-2
      event_type = image_pushed
      attempt = 1
      max_retries = 2
      cause = throttled
      error = UpdateService: Rate exceeded
    ");
}

#[test]
fn messages_and_promises_have_their_lines() {
    let reasons = [
        SettledBy::Reality,
        SettledBy::SetAside,
        SettledBy::NothingAsked,
        SettledBy::Newer,
        SettledBy::DryRun,
    ];
    let mut lines: Vec<_> =
        reasons.map(|reason| text(&Report::Settled { event_id: "e-1".into(), reason })).into_iter().collect();
    lines.push(text(&Report::LeaseLost { event_id: "e-1".into() }));
    lines.push(text(&Report::PromiseBroken { promise: "P1", what: "two rollouts of api".into() }));
    assert_snapshot!(lines.join("\n"), @"
    message of event e-1 deleted: what it asks for is so
    message of event e-1 deleted: it was sent to the dead-letter queue
    message of event e-1 deleted: it asks nothing of us
    message of event e-1 deleted: a newer message that is held asks the same, or replaces it
    message of event e-1 deleted: everything was done but the calls that change something
    hold on the message of event e-1 lost: it will be received again
    promise P1 broken, which is a defect of Lockkeeper: two rollouts of api
    ");
}

#[test]
fn words_of_an_event_cannot_forge_a_line_or_move_the_cursor() {
    let report = finished(|it| it.reason = Some("ok\nERROR forged \u{1b}[2J\u{202e}".into()));
    let line = line(&report);
    assert!(line.message.ends_with(": ok ERROR forged  [2J "), "{:?}", line.message);
}

#[test]
fn a_line_is_cut_rather_than_endless() {
    let message = text(&finished(|it| it.reason = Some("ä".repeat(100_000))));
    assert_eq!((message.chars().count(), message.ends_with('…')), (1_001, true));
}

#[test]
fn twenty_changes_are_named_by_their_first() {
    let changes = (1..=20).map(|n| format!("parameter {n}")).collect();
    let record = DeploymentRecord { changes, stage: Stage::Starting, ..active() };
    let message = text(&Report::Moved(Box::new(record)));
    assert!(message.ends_with("parameter 1, parameter 2, parameter 3 and 17 more"), "{message}");
}

#[test]
fn a_span_has_its_two_largest_units() {
    let spans = [0, 999, 8_400, 60_000, 125_000, 10_800_000, 5_460_000, 93_600_000]
        .map(|millis| span(Duration::from_millis(millis)));
    assert_snapshot!(spans.join(", "), @"0 ms, 999 ms, 8 s, 1 min, 2 min 5 s, 3 h, 1 h 31 min, 1 d 2 h");
}

#[test]
fn a_message_that_asked_nothing_is_told_to_who_debugs_alone() {
    let level = |reason| line(&Report::Settled { event_id: "e-1".into(), reason }).level;
    assert_eq!(level(SettledBy::NothingAsked), Level::Debug);
    assert_eq!([SettledBy::Reality, SettledBy::SetAside].map(level), [Level::Info; 2]);
}

#[test]
fn twenty_events_are_named_at_most_and_each_once() {
    let named = |events: u32| {
        let triggers = (0..2 * events).map(|n| {
            origin(TriggerKind::ParameterChanged, &format!("e-{}", n % events), "parameter changed")
        });
        let report = finished(|it| it.triggers = triggers.collect());
        let shown = shown(&report);
        let ids = shown.lines().find_map(|it| it.trim().strip_prefix("event_id = ")).map(str::to_owned);
        ids.expect("the events are named").split(',').count()
    };
    assert_eq!([1, 19, 20, 21].map(named), [1, 19, 20, 20]);
}
