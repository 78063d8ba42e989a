//! Traces on their way: from the loop over the simulated world to a collector that takes them, hangs, refuses or is dead.
#![cfg(all(feature = "daemon", feature = "sim"))]

mod collector;
mod lab;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use collector::{Collector, Mood, error, said};
use lab::Lab;
use lockkeeper::{
    domain::{
        DeploymentRecord, Evidence, KnownFrom, Outcome, Secret, Stage, Tasks, Timestamp, TraceRules,
        fingerprint,
    },
    report::{
        channel::{Delivery, Tally},
        notice::Home,
        trace::{Exporter, Tracer, open, otlp::Span},
    },
};

/// Far longer than anything here takes: a test that waits so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, Default)]
struct Counts(Arc<Mutex<BTreeMap<&'static str, usize>>>);

impl Tally for Counts {
    fn notified(&self, _: &str, delivery: Delivery, count: usize) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(delivery.as_str()).or_default() += count;
    }
}

impl Counts {
    fn of(&self, result: &str) -> usize {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(result).copied().unwrap_or_default()
    }
}

fn traced_to(url: &str) -> (Tracer, Exporter, Counts) {
    let rules = TraceRules {
        url: format!("{url}/v1/traces").into(),
        headers: vec![("x-api-key".into(), Secret::from("hunter2"))],
        resource: [("service.name".into(), "keeper".into())].into(),
    };
    let home = Home { project: Some("shop".into()), environment: Some("prod".into()), public_url: None };
    let counts = Counts::default();
    let (tracer, exporter) = open(rules, &home, Arc::new(counts.clone()));
    (tracer, exporter, counts)
}

fn names(spans: &[Span]) -> Vec<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

fn record(number: u32) -> DeploymentRecord {
    let at = |seconds: i64| Timestamp::from_millis(1_790_000_000_000 + 1_000 * seconds);
    DeploymentRecord {
        id: format!("d-{number}").into(),
        target: "111122223333/eu-west-1/shop/shop-api".parse().expect("valid"),
        name: "api".into(),
        version: at(0),
        changes: vec!["image shop/api:v2".into()],
        triggers: Vec::new(),
        rollback: false,
        stage: Stage::Finished,
        outcome: Some(Outcome::Succeeded),
        cause: None,
        reason: None,
        evidence: Evidence::default(),
        rollout_id: None,
        definition: None,
        registered: false,
        cancelled: false,
        previous_definition: None,
        attempts: 1,
        adopted: None,
        requested_at: at(0),
        started_at: Some(at(1)),
        finished_at: Some(at(9)),
        tasks: Tasks::default(),
        rollout: None,
        images: Vec::new(),
        known_from: KnownFrom::Lane,
    }
}

#[tokio::test]
async fn a_success_is_one_trace_from_the_event_to_the_outcome() {
    let (collector, url) = Collector::listen(&[]).await;
    let (tracer, exporter, counts) = traced_to(&url);
    let mut lab = Lab::open(tracer, 20.0).await;
    lab.push("v2");
    let ended = lab.finished().await;
    let told = collector.traces(1).await;
    let spans = &told[0];
    assert_eq!(names(spans), ["deployment", "delivery", "waiting", "definition", "rollout"]);
    let root = &spans[0];
    assert_eq!(
        root.trace_id.iter().map(|it| format!("{it:02x}")).collect::<Vec<_>>().concat(),
        fingerprint(ended.id.as_str(), 16)
    );
    assert!(root.parent_span_id.is_empty() && spans[1..].iter().all(|it| it.parent_span_id == root.span_id));
    assert!(spans.iter().all(|it| error(it).is_none()));
    let nanos = |at: Timestamp| u64::try_from(at.as_millis()).expect("after 1970") * 1_000_000;
    assert_eq!(root.start_time_unix_nano, nanos(ended.requested_at), "the event's time");
    assert_eq!(root.end_time_unix_nano, nanos(ended.finished_at.expect("it ended")));
    assert!(spans[1..].windows(2).all(|pair| pair[0].end_time_unix_nano == pair[1].start_time_unix_nano));
    assert_eq!(spans[4].end_time_unix_nano, root.end_time_unix_nano);
    let definition = ended.definition.expect("it has one").to_string();
    for (name, value) in [
        ("deployment.id", ended.id.as_str()),
        ("deployment.status", "succeeded"),
        ("lockkeeper.outcome", "succeeded"),
        ("lockkeeper.target.name", "api"),
        ("lockkeeper.cluster", "shop"),
        ("lockkeeper.service", "shop-api"),
        ("lockkeeper.trigger", "image_pushed"),
        ("lockkeeper.tags", "v2"),
        ("lockkeeper.definition", &definition),
        ("lockkeeper.event.ids", ended.triggers[0].event_id.as_str()),
    ] {
        assert_eq!(said(&root.attributes, name), value, "{name}");
    }
    assert!(said(&root.attributes, "lockkeeper.rollout.arn").starts_with("arn:aws:ecs:eu-west-1:"));
    assert!(said(&root.attributes, "lockkeeper.digests").starts_with("sha256:"));
    assert_eq!(said(&root.events[0].attributes, "lockkeeper.event.id"), ended.triggers[0].event_id.as_str());
    lab.close().await;
    exporter.finish(Duration::from_secs(5)).await;
    assert_eq!((counts.of("sent"), collector.posted().len()), (1, 1));
}

#[tokio::test]
async fn what_is_rolled_back_is_an_error_and_shows_why() {
    let (collector, url) = Collector::listen(&[]).await;
    let (tracer, _exporter, _) = traced_to(&url);
    // Slow enough that a look comes while it goes back.
    let mut lab = Lab::open(tracer, 1.0).await;
    lab.push("v3-crash");
    let ended = lab.finished().await;
    assert_eq!(ended.outcome, Some(Outcome::RolledBack));
    let told = collector.traces(1).await;
    let spans = &told[0];
    assert_eq!(names(spans), ["deployment", "delivery", "waiting", "definition", "rollout", "rollback"]);
    let failed: Vec<&str> =
        spans.iter().filter(|it| error(it).is_some()).map(|it| it.name.as_str()).collect();
    assert_eq!(failed, ["deployment", "rollout"], "going back went well");
    assert!(error(&spans[0]).is_some_and(|why| why.starts_with("crash_loop: ")), "{:?}", error(&spans[0]));
    assert_eq!(said(&spans[0].attributes, "lockkeeper.cause"), "crash_loop");
    assert_eq!(said(&spans[0].attributes, "deployment.status"), "failed");
    let stopped = spans[4].events.iter().find(|event| event.name == "task stopped").expect("evidence");
    assert_eq!(said(&stopped.attributes, "lockkeeper.container.exit_code"), "1");
    lab.close().await;
}

#[tokio::test]
async fn who_sends_and_its_key_are_told_and_nothing_else() {
    let (collector, url) = Collector::listen(&[]).await;
    let (mut tracer, exporter, _) = traced_to(&url);
    tracer.tell(&record(1), &[]);
    collector.requests(1).await;
    let posted = &collector.posted()[0];
    assert_eq!(posted.path, "/v1/traces");
    assert_eq!(posted.headers["content-type"], "application/x-protobuf");
    assert_eq!(posted.headers["x-api-key"], "hunter2");
    let sender = collector.told()[0].resource.clone().expect("it says who sends").attributes;
    for (name, value) in [
        ("service.name", "keeper"),
        ("service.namespace", "shop"),
        ("deployment.environment.name", "prod"),
        ("service.version", env!("CARGO_PKG_VERSION")),
    ] {
        assert_eq!(said(&sender, name), value, "{name}");
    }
    assert!(!format!("{:?}", posted.request).contains("hunter2"));
    exporter.finish(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_collector_that_hangs_slows_no_lane_and_what_it_did_not_take_is_counted() {
    let (collector, url) = Collector::listen(&[Mood::Hangs]).await;
    let (tracer, exporter, counts) = traced_to(&url);
    let mut lab = Lab::open(tracer, 20.0).await;
    for tag in ["v2", "v3"] {
        lab.push(tag);
        let ended = lab.finished().await;
        assert_eq!(ended.outcome, Some(Outcome::Succeeded));
    }
    collector.requests(1).await;
    lab.close().await;
    let began = Instant::now();
    exporter.finish(Duration::from_millis(300)).await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!((counts.of("sent"), counts.of("failed")), (0, 2));
}

#[tokio::test]
async fn what_has_no_room_is_dropped_and_each_is_accounted_for() {
    let (_collector, url) = Collector::listen(&[Mood::Hangs]).await;
    let (mut tracer, exporter, counts) = traced_to(&url);
    let began = Instant::now();
    for number in 0..1_500 {
        tracer.tell(&record(number), &[]);
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    exporter.finish(Duration::from_millis(300)).await;
    assert!(counts.of("dropped") >= 450, "{}", counts.of("dropped"));
    assert_eq!(counts.of("dropped") + counts.of("failed"), 1_500);
}

#[tokio::test]
async fn a_collector_that_is_away_for_a_moment_gets_it_later() {
    let busy = Mood::Status(StatusCode::SERVICE_UNAVAILABLE);
    let (collector, url) = Collector::listen(&[busy, Mood::Refuses(0)]).await;
    let (mut tracer, exporter, counts) = traced_to(&url);
    tracer.tell(&record(1), &[]);
    collector.requests(2).await;
    exporter.finish(Duration::from_secs(5)).await;
    let posted = collector.posted();
    assert_eq!(posted[0].request, posted[1].request);
    assert_eq!((counts.of("retried"), counts.of("sent"), counts.of("failed")), (1, 1, 0));
}

#[tokio::test]
async fn what_is_refused_is_counted_and_not_sent_again() {
    let (collector, url) =
        Collector::listen(&[Mood::Status(StatusCode::BAD_REQUEST), Mood::Refuses(1)]).await;
    let (mut tracer, exporter, counts) = traced_to(&url);
    tracer.tell(&record(1), &[]);
    collector.requests(1).await;
    tracer.tell(&record(2), &[]);
    collector.requests(2).await;
    exporter.finish(Duration::from_secs(5)).await;
    let of = |result| counts.of(result);
    assert_eq!((of("failed"), of("sent"), of("retried"), collector.posted().len()), (2, 0, 0, 2));
}

#[tokio::test]
async fn where_nobody_listens_the_end_waits_for_nobody() {
    let (mut tracer, exporter, counts) = traced_to("http://127.0.0.1:1");
    for number in 0..100 {
        tracer.tell(&record(number), &[]);
    }
    let began = Instant::now();
    exporter.finish(Duration::from_secs(10)).await;
    assert!(began.elapsed() < Duration::from_secs(5), "one last try each: {:?}", began.elapsed());
    assert_eq!(counts.of("failed"), 100);
}

#[tokio::test]
async fn what_waits_at_the_end_is_sent() {
    let (collector, url) = Collector::listen(&[]).await;
    let (mut tracer, exporter, counts) = traced_to(&url);
    for number in 0..500 {
        tracer.tell(&record(number), &[]);
    }
    exporter.finish(Duration::from_secs(10)).await;
    assert_eq!((counts.of("sent"), collector.traces(500).await.len()), (500, 500));
}
