use std::collections::BTreeSet;

use super::*;
use crate::{
    domain::{Cause, Moment, Place, ReconcileRecord, UnwatchedRollout},
    report::sample::{at, rolled_back, succeeded},
    status::sample,
};

const DOCUMENT: &str = include_str!("../../../docs/metrics.md");

fn metrics() -> Metrics {
    Metrics::new("0.1.0", "abc1234")
}

fn rendered(metrics: &Metrics) -> String {
    metrics.render(&sample::snapshot(Moment::default()), &well(), at("12:06:00"))
}

/// Everything is well.
fn well() -> HealthReport {
    let sample = sample::Sample::busy();
    sample.health.assess(sample.now)
}

/// The lines of these metrics, without those of a histogram's buckets.
fn lines(text: &str, prefixes: &[&str]) -> String {
    let wanted =
        |line: &&str| prefixes.iter().any(|prefix| line.starts_with(&format!("lockkeeper_{prefix}")));
    text.lines().filter(wanted).filter(|line| !line.contains("_bucket")).collect::<Vec<_>>().join("\n")
}

#[test]
fn gauges_say_what_the_snapshot_says() {
    let gauges = ["healthy", "lanes", "rollouts", "leases", "queue", "dead", "active", "build"];
    insta::assert_snapshot!(lines(&rendered(&metrics()), &gauges), @r#"
    lockkeeper_active 1
    lockkeeper_build_info{revision="abc1234",version="0.1.0"} 1
    lockkeeper_dead_letters 1
    lockkeeper_healthy{part="intake"} 1
    lockkeeper_healthy{part="loop"} 1
    lockkeeper_lanes{state="backing_off"} 0
    lockkeeper_lanes{state="blocked"} 1
    lockkeeper_lanes{state="idle"} 1
    lockkeeper_lanes{state="looking"} 0
    lockkeeper_lanes{state="queued"} 0
    lockkeeper_lanes{state="quiet"} 1
    lockkeeper_lanes{state="rolling_back"} 0
    lockkeeper_lanes{state="starting"} 0
    lockkeeper_lanes{state="watching"} 1
    lockkeeper_leases_held 3
    lockkeeper_leases_lost_total 0
    lockkeeper_queue_messages{queue="lockkeeper",state="delayed"} 0
    lockkeeper_queue_messages{queue="lockkeeper",state="in_flight"} 3
    lockkeeper_queue_messages{queue="lockkeeper",state="visible"} 5
    lockkeeper_queue_messages{queue="lockkeeper-dead",state="delayed"} 0
    lockkeeper_queue_messages{queue="lockkeeper-dead",state="in_flight"} 0
    lockkeeper_queue_messages{queue="lockkeeper-dead",state="visible"} 1
    lockkeeper_queue_oldest_message_seconds{queue="lockkeeper"} 90
    lockkeeper_rollouts_active 1
    "#);
}

#[test]
fn without_a_held_message_none_is_old() {
    let snapshot = Snapshot { oldest_held: None, ..sample::snapshot(Moment::default()) };
    let text = metrics().render(&snapshot, &well(), at("12:06:00"));
    assert!(text.contains("\nlockkeeper_queue_oldest_message_seconds{queue=\"lockkeeper\"} 0\n"), "{text}");
}

#[test]
fn what_ended_is_counted_with_how_long_it_took() {
    let metrics = metrics();
    metrics.told(&Report::Finished(Box::new(succeeded())));
    metrics.told(&Report::Finished(Box::new(rolled_back())));
    metrics.told(&Report::Finished(Box::new(DeploymentRecord {
        outcome: Some(Outcome::Failed),
        cause: Some(Cause::TargetMissing),
        started_at: None,
        ..succeeded()
    })));
    let counted = ["deployment", "rollout_failures", "lead"];
    insta::assert_snapshot!(lines(&rendered(&metrics), &counted), @r#"
    lockkeeper_deployment_duration_seconds_sum{outcome="rolled_back",target="api"} 8
    lockkeeper_deployment_duration_seconds_count{outcome="rolled_back",target="api"} 1
    lockkeeper_deployment_duration_seconds_sum{outcome="succeeded",target="api"} 8
    lockkeeper_deployment_duration_seconds_count{outcome="succeeded",target="api"} 1
    lockkeeper_deployments_total{outcome="failed",target="missing",trigger="image_pushed"} 1
    lockkeeper_deployments_total{outcome="rolled_back",target="api",trigger="image_ready"} 1
    lockkeeper_deployments_total{outcome="succeeded",target="api",trigger="image_pushed"} 1
    lockkeeper_lead_time_seconds_sum{target="api"} 13
    lockkeeper_lead_time_seconds_count{target="api"} 1
    lockkeeper_rollout_failures_total{cause="crash_loop",target="api"} 1
    lockkeeper_rollout_failures_total{cause="target_missing",target="missing"} 1
    "#);
}

#[test]
fn messages_calls_and_broken_promises_are_counted() {
    let metrics = metrics();
    metrics.settled(TriggerKind::ImagePushed, SettledBy::Reality);
    metrics.decided(Duration::from_millis(1_500));
    metrics.called("ecs", "UpdateService", "throttled", Duration::from_millis(40));
    metrics.told(&Report::LeaseLost { event_id: "e".into() });
    metrics.told(&Report::PromiseBroken { promise: "P4", what: "an older image".into() });
    let text = rendered(&metrics);
    let raised: Vec<&str> = text.lines().filter(|line| !line.ends_with(" 0")).collect();
    let counted = ["events_total", "event_lag", "aws", "leases_lost", "promise"];
    insta::assert_snapshot!(lines(&raised.join("\n"), &counted), @r#"
    lockkeeper_aws_request_duration_seconds_sum{operation="UpdateService",service="ecs"} 0.04
    lockkeeper_aws_request_duration_seconds_count{operation="UpdateService",service="ecs"} 1
    lockkeeper_aws_requests_total{operation="UpdateService",result="throttled",service="ecs"} 1
    lockkeeper_event_lag_seconds_sum 1.5
    lockkeeper_event_lag_seconds_count 1
    lockkeeper_events_total{result="reality",trigger="image_pushed"} 1
    lockkeeper_leases_lost_total 1
    lockkeeper_promise_violations_total{promise="P4"} 1
    "#);
}

#[test]
fn an_alert_finds_every_series_of_a_closed_set_from_the_start() {
    let text = rendered(&metrics());
    assert_eq!(text.matches("\nlockkeeper_events_total{").count(), 14 * 5);
    assert_eq!(text.matches("\nlockkeeper_promise_violations_total{").count(), 9);
    assert_eq!(text.matches("\nlockkeeper_lanes{").count(), 9);
    assert_eq!(text.matches("\nlockkeeper_replays_total{").count(), 5);
    assert!(text.contains("\nlockkeeper_leases_lost_total 0\n"));
}

#[test]
fn readings_of_services_are_counted_place_by_place() {
    let metrics = metrics();
    let [here, there] = ["eu-west-1", "us-east-2"]
        .map(|region| Place { account: "111122223333".into(), region: region.into() });
    for place in [&here, &there] {
        metrics.inventory_begins(place);
    }
    metrics.inventory_failed(&there);
    metrics.inventory_read(&here, Duration::from_secs(500), true);
    metrics.inventory_read(&here, Duration::from_secs(400), false);
    metrics.inventory_holds(&here, 4_998);
    insta::assert_snapshot!(lines(&rendered(&metrics), &["inventory"]), @r#"
    lockkeeper_inventory_read_seconds{account="111122223333",region="eu-west-1"} 400
    lockkeeper_inventory_reads_total{account="111122223333",region="eu-west-1",result="failed"} 0
    lockkeeper_inventory_reads_total{account="111122223333",region="eu-west-1",result="ok"} 1
    lockkeeper_inventory_reads_total{account="111122223333",region="eu-west-1",result="partial"} 1
    lockkeeper_inventory_reads_total{account="111122223333",region="us-east-2",result="failed"} 1
    lockkeeper_inventory_reads_total{account="111122223333",region="us-east-2",result="ok"} 0
    lockkeeper_inventory_reads_total{account="111122223333",region="us-east-2",result="partial"} 0
    lockkeeper_inventory_targets{account="111122223333",region="eu-west-1"} 4998
    lockkeeper_inventory_targets{account="111122223333",region="us-east-2"} 0
    "#);
}

#[test]
fn a_replay_is_counted_by_what_became_of_it() {
    let metrics = metrics();
    metrics.replayed(SettledBy::SetAside);
    assert!(rendered(&metrics).contains("\nlockkeeper_replays_total{result=\"set_aside\"} 1\n"));
}

#[test]
fn dead_letters_are_absent_until_they_were_counted() {
    let text = metrics().render(&Snapshot::empty(Moment::default()), &well(), at("12:06:00"));
    assert!(!text.contains("lockkeeper_dead_letters"));
}

#[test]
fn a_name_with_quotes_cannot_break_the_format() {
    let metrics = metrics();
    let name = "a\"} 1\nforged 2".into();
    metrics.told(&Report::Finished(Box::new(DeploymentRecord { name, ..succeeded() })));
    assert!(!rendered(&metrics).contains("\nforged"));
}

fn drifted() -> ReconcileRecord {
    let mut record = ReconcileRecord::begun(at("12:00:00"));
    record.drift.insert("api".into(), 2);
    record.repaired = 1;
    record.unwatched = vec![UnwatchedRollout {
        target: "111122223333/eu-west-1/shop/api".parse().expect("valid"),
        name: "api".into(),
        rollout: None,
        deployment: None,
        definition: "api:4".parse().expect("valid"),
        rolled_back: true,
        reason: "".into(),
        ended_at: at("11:58:00"),
    }];
    record
}

#[test]
fn drift_is_of_the_last_pass_alone() {
    let metrics = metrics();
    metrics.reconciled(&drifted());
    let text = rendered(&metrics);
    assert!(text.contains("lockkeeper_drift{target=\"api\"} 2\n"), "{text}");
    assert!(text.contains("lockkeeper_drift_repairs_total 1\n"), "{text}");
    assert!(text.contains("lockkeeper_rollouts_failed_unwatched{target=\"api\"} 1\n"), "{text}");
    metrics.reconciled(&ReconcileRecord::begun(at("12:05:00")));
    let text = rendered(&metrics);
    assert!(!text.contains("lockkeeper_drift{") && !text.contains("unwatched{"), "{text}");
    assert!(text.contains("lockkeeper_reconcile_duration_seconds_count 2\n"), "{text}");
}

#[test]
fn the_document_names_every_metric_and_no_other() {
    let metrics = metrics();
    metrics.told(&Report::Finished(Box::new(rolled_back())));
    metrics.told(&Report::Finished(Box::new(succeeded())));
    metrics.called("ecs", "UpdateService", "ok", Duration::ZERO);
    metrics.waited("service_read", Duration::ZERO);
    let place = Place { account: "111122223333".into(), region: "eu-west-1".into() };
    metrics.inventory_begins(&place);
    metrics.inventory_read(&place, Duration::ZERO, true);
    metrics.reconciled(&drifted());
    metrics.image_gone(&"api".into());
    metrics.notifies(&["slack".to_owned()]);
    let text = rendered(&metrics);
    let exported: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let documented: BTreeSet<&str> = DOCUMENT
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next())
        .filter(|name| name.starts_with("lockkeeper_") || name.starts_with("process_"))
        .collect();
    assert_eq!(exported, documented);
}

#[test]
fn the_document_names_every_value_of_a_closed_label() {
    let triggers = TriggerKind::ALL.map(TriggerKind::as_str);
    let (outcomes, causes) = (Outcome::ALL.map(Outcome::as_str), Cause::ALL.map(Cause::as_str));
    let (lanes, settled) = (LaneState::ALL.map(LaneState::as_str), SETTLED_BY.map(SettledBy::as_str));
    for value in triggers.iter().chain(&outcomes).chain(&causes).chain(&lanes).chain(&settled) {
        assert!(DOCUMENT.contains(&format!("`{value}`")), "{value}");
    }
}
