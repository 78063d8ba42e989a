//! What is traced of deployments that went well, badly, or nowhere.

use std::sync::Arc;

use super::{
    attributes::{Attributes, Value},
    spans::{Span, Trace, trace},
};
use crate::{
    domain::{Adopted, DeploymentRecord, Metadata, Origin, Outcome, RolloutKey, Timestamp, TriggerKind},
    report::{
        sample::{self, at},
        steps::{Step, StepKind},
    },
};

fn step(time: &str, kind: StepKind, says: &str) -> Step {
    Step { at: at(time), kind, says: says.into() }
}

fn joined(time: &str, because: &str) -> Step {
    step(time, StepKind::Joined, &format!("image shop_api:1.4, because {because}"))
}

/// The time within the minute, in seconds.
fn seconds(time: Timestamp) -> String {
    time.since(at("12:00:00")).as_secs().to_string()
}

/// A line per span, with its events and why it failed.
fn told(trace: &Trace) -> String {
    let line = |span: &Span| {
        let events: Vec<String> =
            span.events.iter().map(|event| format!(" [{} {}]", seconds(event.at), event.name)).collect();
        let failure = span.failure.as_ref().map(|why| format!(" FAILED {why}")).unwrap_or_default();
        format!("{} {}-{}{}{failure}", span.name, seconds(span.begin), seconds(span.end), events.concat())
    };
    trace.spans.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn shown(attributes: &Attributes) -> String {
    let line = |(name, value): &(&str, Value)| match value {
        Value::Text(text) => format!("{name}: {text}"),
        Value::Number(number) => format!("{name}: {number}"),
        Value::Texts(texts) => format!("{name}: {texts:?}"),
    };
    attributes.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn of_success() -> Vec<Step> {
    vec![
        joined("12:00:01", "push of shop_api:1.4"),
        joined("12:00:02", "push of shop_api:latest"),
        step("12:00:05", StepKind::Starts, ""),
        step("12:00:06", StepKind::RollsOut, "chubby_api:13"),
        step("12:00:08", StepKind::Tasks, "1 of 2 tasks run"),
        step("12:00:11", StepKind::Tasks, "2 of 2 tasks run"),
        step("12:00:13", StepKind::Ended, "2 of 2 tasks run"),
    ]
}

#[test]
fn a_success_is_told_from_the_event_to_the_outcome() {
    let trace = trace(&sample::succeeded(), &of_success());
    insta::assert_snapshot!(told(&trace), @r#"
    deployment 0-13 [1 trigger] [2 trigger]
    delivery 0-1
    waiting 1-5
    definition 5-6
    rollout 6-13 [8 tasks] [11 tasks]
    "#);
    assert!(trace.spans[1..].iter().all(|span| span.parent == Some(trace.spans[0].id)));
}

#[test]
fn the_root_says_what_was_deployed_where_why_and_how_it_ended() {
    let key = RolloutKey {
        deployment: Some("ecs-svc/8001".into()),
        service_deployment: Some(
            "arn:aws:ecs:eu-west-1:111122223333:service-deployment/shop/chubby_api/x".into(),
        ),
    };
    let record = DeploymentRecord { rollout: Some(key), ..sample::rolled_back() };
    insta::assert_snapshot!(shown(&trace(&record, &[]).spans[0].attributes), @r#"
    deployment.id: d-bad0
    deployment.status: failed
    cloud.account.id: 111122223333
    cloud.region: eu-west-1
    lockkeeper.target.id: 111122223333/eu-west-1/shop/chubby_api
    lockkeeper.target.name: api
    lockkeeper.cluster: shop
    lockkeeper.service: chubby_api
    lockkeeper.outcome: rolled_back
    lockkeeper.cause: crash_loop
    lockkeeper.reason: container web exited with 1, three times
    lockkeeper.trigger: image_ready
    lockkeeper.event.ids: ["e-3"]
    lockkeeper.changes: ["image shop_api:broken"]
    lockkeeper.rollout.id: ecs-svc/8001
    lockkeeper.rollout.arn: arn:aws:ecs:eu-west-1:111122223333:service-deployment/shop/chubby_api/x
    lockkeeper.definition: chubby_api:13
    lockkeeper.previous_definition: chubby_api:12
    lockkeeper.images: ["web=111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop_api:1.4"]
    lockkeeper.tags: ["1.4"]
    lockkeeper.digests: ["sha256:4f2a9c1e"]
    lockkeeper.attempts: 1
    "#);
}

#[test]
fn a_rollout_that_fails_is_an_error_and_its_rollback_is_none() {
    let steps = [
        joined("12:00:01", "main at 0af3c1 is ready"),
        step("12:00:05", StepKind::Starts, ""),
        step("12:00:06", StepKind::RollsOut, "chubby_api:13"),
        step("12:00:07", StepKind::RollsBack, "to chubby_api:12: container web exited with 1, three times"),
        step("12:00:09", StepKind::Tasks, "2 of 2 tasks run"),
        step("12:00:13", StepKind::Ended, "container web exited with 1, three times"),
    ];
    let trace = trace(&sample::rolled_back(), &steps);
    insta::assert_snapshot!(told(&trace), @r#"
    deployment 0-13 [1 trigger] FAILED crash_loop: container web exited with 1, three times
    delivery 0-1
    waiting 1-5
    definition 5-6
    rollout 6-7 [7 task stopped] [7 service event] FAILED crash_loop: container web exited with 1, three times
    rollback 7-13 [9 tasks]
    "#);
    insta::assert_snapshot!(shown(&trace.spans[4].events[0].attributes), @r#"
    lockkeeper.task.id: 0af3c1
    lockkeeper.task.stop_code: EssentialContainerExited
    lockkeeper.task.reason: Essential container in task exited
    lockkeeper.container.name: web
    lockkeeper.container.exit_code: 1
    lockkeeper.log_url: https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/shop/log-events/ecs$252Fweb$252F0af3c1
    "#);
}

#[test]
fn each_attempt_has_parts_of_its_own() {
    let steps = [
        joined("12:00:01", "push of shop_api:1.4"),
        step("12:00:02", StepKind::Waits, "ecs-svc/7000 is in progress"),
        step("12:00:05", StepKind::Starts, ""),
        step("12:00:06", StepKind::TriesAgain, "throttled; tried again in 2 s"),
        step("12:00:08", StepKind::Starts, ""),
        step("12:00:09", StepKind::RollsOut, "chubby_api:13"),
    ];
    let record = DeploymentRecord { outcome: Some(Outcome::Failed), ..sample::rolled_back() };
    insta::assert_snapshot!(told(&trace(&record, &steps)), @r#"
    deployment 0-13 [0 trigger] FAILED crash_loop: container web exited with 1, three times
    delivery 0-1
    waiting 1-5 [2 waiting]
    definition 5-6 FAILED throttled; tried again in 2 s
    waiting 6-8
    definition 8-9
    rollout 9-13 [13 task stopped] [13 service event] FAILED crash_loop: container web exited with 1, three times
    "#);
}

#[test]
fn what_needed_no_rollout_waited_and_ended() {
    let record = DeploymentRecord { outcome: Some(Outcome::AlreadyRunning), ..sample::succeeded() };
    let steps = [joined("12:00:01", "push of shop_api:1.4"), step("12:00:13", StepKind::Ended, "it runs")];
    insta::assert_snapshot!(told(&trace(&record, &steps)), @r#"
    deployment 0-13 [1 trigger] [0 trigger]
    delivery 0-1
    waiting 1-13
    "#);
}

#[test]
fn a_rollout_that_was_taken_over_began_when_ecs_created_it() {
    let record = DeploymentRecord {
        adopted: Some(Adopted::Ours),
        started_at: Some(at("12:00:03")),
        ..sample::rolled_back()
    };
    let steps = [
        joined("12:00:08", "main at 0af3c1 is ready"),
        step("12:00:09", StepKind::RollsOut, "chubby_api:13"),
        step("12:00:10", StepKind::RollsBack, "to chubby_api:12"),
        step("12:00:13", StepKind::Ended, ""),
    ];
    insta::assert_snapshot!(told(&trace(&record, &steps)), @r#"
    deployment 0-13 [8 trigger] FAILED crash_loop: container web exited with 1, three times
    waiting 0-3
    rollout 3-10 [10 task stopped] [10 service event] FAILED crash_loop: container web exited with 1, three times
    rollback 10-13
    "#);
    let adopted = ("lockkeeper.adopted", Value::Text("ours".into()));
    assert!(trace(&record, &[]).spans[0].attributes.contains(&adopted));
}

#[test]
fn what_is_told_again_is_the_same_trace_and_repeats_no_span() {
    let first = trace(&sample::succeeded(), &of_success());
    assert_eq!(first, trace(&sample::succeeded(), &of_success()), "sent again, it is the same");
    let mut steps = of_success();
    steps.push(joined("12:00:20", "push of shop_api:1.4"));
    steps.push(step("12:00:21", StepKind::Ended, "it runs"));
    let (outcome, finished_at) = (Some(Outcome::AlreadyRunning), Some(at("12:00:21")));
    let again = trace(&DeploymentRecord { outcome, finished_at, ..sample::succeeded() }, &steps);
    assert_eq!(again.id, first.id);
    insta::assert_snapshot!(told(&again), @r#"
    deployment 0-21 [20 trigger] [0 trigger]
    delivery 0-20
    waiting 20-21
    "#);
    assert!(again.spans.iter().all(|span| first.spans.iter().all(|it| it.id != span.id)));
    let other = trace(&sample::rolled_back(), &of_success());
    assert_ne!(other.id, first.id);
}

#[test]
fn whoever_has_the_id_of_a_deployment_can_say_that_of_its_trace() {
    // printf %s d-12ab | sha256sum | cut -c1-32
    let id = trace(&sample::succeeded(), &[]).id.map(|byte| format!("{byte:02x}")).concat();
    assert_eq!(id, crate::domain::fingerprint("d-12ab", 16));
}

#[test]
fn clocks_that_disagree_make_no_span_end_before_it_begins() {
    let mut steps = of_success();
    steps[0].at = at("11:59:00");
    steps[2].at = at("12:30:00");
    let record = DeploymentRecord { finished_at: Some(at("11:58:00")), ..sample::succeeded() };
    for record in [record, sample::succeeded()] {
        let trace = trace(&record, &steps);
        let root = &trace.spans[0];
        for span in &trace.spans {
            assert!(root.begin <= span.begin && span.begin <= span.end && span.end <= root.end, "{span:?}");
            assert!(span.events.iter().all(|it| span.begin <= it.at && it.at <= span.end), "{span:?}");
        }
    }
}

#[test]
fn a_trigger_tells_of_the_commit_and_the_run_behind_it_and_links_to_its_span() {
    let metadata = Metadata {
        user: Some("ann".into()),
        commit: Some("4f2a9c1".into()),
        branch: Some("main".into()),
        run_url: Some("https://ci.example.com/77".into()),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
        ..Metadata::default()
    };
    let origin = Origin {
        kind: TriggerKind::ImageReady,
        event_id: "e-9".into(),
        reason: "x".repeat(5_000),
        metadata: Some(Arc::new(metadata)),
        by: Some("ci".into()),
        replayed_by: None,
    };
    let origin = Arc::new(origin);
    let record = DeploymentRecord { triggers: vec![origin.clone(), origin], ..sample::succeeded() };
    let trace = trace(&record, &[]);
    let event = &trace.spans[0].events[0];
    assert_eq!((event.name, event.at), ("trigger", record.requested_at));
    let [link] = &trace.spans[0].links[..] else { panic!("the same span twice is one") };
    assert_eq!((link.trace[0], link.span[7], link.flags), (0x4b, 0xb7, 1));
    assert!(trace.spans[1..].iter().all(|span| span.links.is_empty()));
    let attributes = shown(&event.attributes);
    assert!(attributes.contains(&format!("lockkeeper.message: {}\n", "x".repeat(2_000))), "{attributes}");
    insta::assert_snapshot!(attributes.replace(&"x".repeat(2_000), "…"), @r#"
    lockkeeper.trigger: image_ready
    lockkeeper.event.id: e-9
    lockkeeper.message: …
    lockkeeper.by: ci
    user.name: ann
    vcs.ref.head.revision: 4f2a9c1
    vcs.ref.head.name: main
    cicd.pipeline.run.url.full: https://ci.example.com/77
    "#);
}
