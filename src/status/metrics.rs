//! What Prometheus is told. `docs/metrics.md` says what each metric means.
//!
//! Counters follow reports; gauges are set from the snapshot when they are asked for, so that they can neither lag
//! behind the page nor drift from it. Label values are names from the settings and closed enums; no text of an
//! event ever becomes one. Where all labels are closed enums, every series exists from the start, because an alert
//! cannot see the first step of a series that was not there.

mod inventory;
mod notify;
mod reconcile;

use std::{sync::Arc, time::Duration};

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder, core::Collector,
};

use super::{HealthReport, QueueRecord, QueueRole, Snapshot};
use crate::{
    domain::{
        Cause, DeploymentRecord, LaneState, Outcome, ReconcileRecord, Report, SettledBy, Stage, TargetName,
        Timestamp, TriggerKind,
    },
    report::{channel::Delivery, message::took},
};

/// Every metric, in a registry of its own.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    events: IntCounterVec,
    event_lag: Histogram,
    deployments: IntCounterVec,
    deployment_duration: HistogramVec,
    lead_time: HistogramVec,
    lanes: IntGaugeVec,
    rollouts_active: IntGauge,
    rollout_failures: IntCounterVec,
    leases_held: IntGauge,
    leases_lost: IntCounter,
    queue_messages: IntGaugeVec,
    /// Without labels, but absent until it is known.
    queue_oldest: GaugeVec,
    dead_letters: IntGaugeVec,
    replays: IntCounterVec,
    aws_requests: IntCounterVec,
    aws_request_duration: HistogramVec,
    aws_budget_wait: HistogramVec,
    inventory: inventory::Inventory,
    reconcile: reconcile::Reconcile,
    notifications: IntCounterVec,
    traces: IntCounterVec,
    healthy: IntGaugeVec,
    active: IntGauge,
    promise_violations: IntCounterVec,
}

/// From a look that finds nothing to do up to the two hours of a large service that drains slowly.
const ROLLOUT_SECONDS: [f64; 12] =
    [1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0];
/// From EventBridge's usual half second up to a queue that waited out an afternoon.
const LAG_SECONDS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 14_400.0];
/// From a call in the same Region up to a long poll and a timeout.
const CALL_SECONDS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
/// From no wait at all up to the turn of the last of many hundred starts.
const WAIT_SECONDS: [f64; 11] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0, 300.0, 1_800.0];

/// Every reason for which a message is deleted.
const SETTLED_BY: [SettledBy; 5] =
    [SettledBy::Reality, SettledBy::SetAside, SettledBy::NothingAsked, SettledBy::Newer, SettledBy::DryRun];
/// Every promise of the catalogue.
const PROMISES: [&str; 9] = ["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8", "P9"];

impl Metrics {
    /// All at zero, for a program of this version, built from this revision of its source.
    pub fn new(version: &str, revision: &str) -> Self {
        let registry = Registry::new();
        build_info(&registry, version, revision);
        process(&registry);
        let metrics = Self {
            events: counters(
                &registry,
                "events_total",
                "Messages that were deleted, by what they meant and why they could be.",
                &["trigger", "result"],
            ),
            event_lag: histogram(
                &registry,
                "event_lag_seconds",
                "From an event's time to the decision about it.",
                &LAG_SECONDS,
            ),
            deployments: counters(
                &registry,
                "deployments_total",
                "Deployments that ended.",
                &["target", "trigger", "outcome"],
            ),
            deployment_duration: histograms(
                &registry,
                "deployment_duration_seconds",
                "From a deployment's first attempt to its end.",
                &["target", "outcome"],
                &ROLLOUT_SECONDS,
            ),
            lead_time: histograms(
                &registry,
                "lead_time_seconds",
                "From the oldest image that a deployment carries to its being live.",
                &["target"],
                &ROLLOUT_SECONDS,
            ),
            lanes: gauges(&registry, "lanes", "Lanes, by what they are doing.", &["state"]),
            rollouts_active: gauge(&registry, "rollouts_active", "Rollouts of ours that are under way."),
            rollout_failures: counters(
                &registry,
                "rollout_failures_total",
                "Deployments that failed or were rolled back, by cause.",
                &["target", "cause"],
            ),
            leases_held: gauge(&registry, "leases_held", "Messages that are held."),
            leases_lost: counter(&registry, "leases_lost_total", "Holds on messages that were lost."),
            queue_messages: gauges(
                &registry,
                "queue_messages",
                "Messages in a queue, as SQS approximates them.",
                &["queue", "state"],
            ),
            queue_oldest: queue_oldest(&registry),
            dead_letters: gauges(&registry, "dead_letters", "Messages that are set aside.", &[]),
            replays: counters(
                &registry,
                "replays_total",
                "Messages that were set aside, put back and then deleted, by why they could be.",
                &["result"],
            ),
            aws_requests: counters(
                &registry,
                "aws_requests_total",
                "Calls to AWS that were answered or given up.",
                &["service", "operation", "result"],
            ),
            aws_request_duration: histograms(
                &registry,
                "aws_request_duration_seconds",
                "How long calls to AWS took, failed ones too.",
                &["service", "operation"],
                &CALL_SECONDS,
            ),
            aws_budget_wait: histograms(
                &registry,
                "aws_budget_wait_seconds",
                "How long calls waited for their turn in the budget.",
                &["class"],
                &WAIT_SECONDS,
            ),
            inventory: inventory::Inventory::new(&registry),
            reconcile: reconcile::Reconcile::new(&registry),
            notifications: notify::notifications(&registry),
            traces: notify::traces(&registry),
            healthy: healthy(&registry),
            active: gauge(&registry, "active", "1 if this process acts, 0 on standby."),
            promise_violations: counters(
                &registry,
                "promise_violations_total",
                "Promises that were broken: defects of Lockkeeper.",
                &["promise"],
            ),
            registry,
        };
        metrics.touch();
        metrics
    }

    /// Counts what was reported.
    pub fn told(&self, report: &Report) {
        match report {
            Report::Finished(record) => self.finished(record),
            Report::LeaseLost { .. } => self.leases_lost.inc(),
            Report::PromiseBroken { promise, .. } => {
                self.promise_violations.with_label_values(&[*promise]).inc();
            }
            // Which trigger a settled message had is not in its report: see `settled`.
            Report::Queued { .. }
            | Report::Dropped { .. }
            | Report::Hold { .. }
            | Report::Moot { .. }
            | Report::Moved(_)
            | Report::Retrying { .. }
            | Report::Warned(_)
            | Report::Foreign(_)
            | Report::Settled { .. } => {}
        }
    }

    /// An event was decided on, so long after its time.
    pub fn decided(&self, lag: Duration) {
        self.event_lag.observe(lag.as_secs_f64());
    }

    /// A message of this trigger was deleted, for this reason.
    pub fn settled(&self, trigger: TriggerKind, reason: SettledBy) {
        self.events.with_label_values(&[trigger.as_str(), reason.as_str()]).inc();
    }

    /// A message that had been set aside and put back was deleted, for this reason.
    pub fn replayed(&self, reason: SettledBy) {
        self.replays.with_label_values(&[reason.as_str()]).inc();
    }

    /// A pass of reconcile ended. A target that has seen everything has no series.
    pub fn reconciled(&self, record: &ReconcileRecord) {
        self.reconcile.passed(record);
    }

    /// An image that this target needs is gone.
    pub fn image_gone(&self, target: &TargetName) {
        self.reconcile.image_gone(target);
    }

    /// A call to AWS ended so (`ok`, `throttled`, …), after so long. All three names are constants of the code.
    pub fn called(
        &self,
        service: &'static str,
        operation: &'static str,
        result: &'static str,
        took: Duration,
    ) {
        self.aws_requests.with_label_values(&[service, operation, result]).inc();
        self.aws_request_duration.with_label_values(&[service, operation]).observe(took.as_secs_f64());
    }

    /// A call of this class waited so long for its turn.
    pub fn waited(&self, class: &'static str, waited: Duration) {
        self.aws_budget_wait.with_label_values(&[class]).observe(waited.as_secs_f64());
    }

    /// Everything, with the gauges as this snapshot has them at this time, in Prometheus's text format.
    pub fn render(&self, snapshot: &Snapshot, health: &HealthReport, at: Timestamp) -> String {
        self.seen(snapshot, at);
        for (name, part) in health.parts() {
            self.healthy.with_label_values(&[name]).set(i64::from(part.is_ok()));
        }
        let mut text = String::new();
        TextEncoder::new()
            .encode_utf8(&self.registry.gather(), &mut text)
            .expect("metrics of one registry with unique names can be written to a string");
        text
    }

    fn finished(&self, it: &DeploymentRecord) {
        let target = target_label(it);
        let trigger = it.triggers.first().map_or("none", |origin| origin.kind.as_str());
        let Some(outcome) = it.outcome else { return };
        self.deployments.with_label_values(&[target, trigger, outcome.as_str()]).inc();
        if let (Some(_), Some(took)) = (it.started_at, took(it)) {
            self.deployment_duration
                .with_label_values(&[target, outcome.as_str()])
                .observe(took.as_secs_f64());
        }
        if outcome.is_failure() {
            let cause = it.cause.map_or("unknown", |cause| cause.as_str());
            self.rollout_failures.with_label_values(&[target, cause]).inc();
        }
        if let (Outcome::Succeeded, true, Some(ended)) = (outcome, brings_an_image(it), it.finished_at) {
            let lead = ended.since(it.requested_at);
            self.lead_time.with_label_values(&[target]).observe(lead.as_secs_f64());
        }
    }

    fn seen(&self, snapshot: &Snapshot, at: Timestamp) {
        for state in LaneState::ALL {
            let lanes = snapshot.targets.iter().filter(|target| target.lane.state == state).count();
            self.lanes.with_label_values(&[state.as_str()]).set(whole(lanes));
        }
        let rolling = |it: &&Arc<DeploymentRecord>| matches!(it.stage, Stage::Rollout | Stage::RollingBack);
        self.rollouts_active.set(whole(snapshot.deployments.values().filter(rolling).count()));
        self.leases_held.set(whole(snapshot.leases_held));
        self.active.set(i64::from(snapshot.active));
        self.queue_oldest.reset();
        self.queue_messages.reset();
        self.dead_letters.reset();
        let oldest = snapshot.oldest_held.map(|since| at.since(since)).unwrap_or_default();
        for QueueRecord { name, role, visible, in_flight, delayed } in &snapshot.queues {
            if *role == QueueRole::Events {
                self.queue_oldest.with_label_values(&[name.as_str()]).set(oldest.as_secs_f64());
            }
            for (state, count) in [("visible", visible), ("in_flight", in_flight), ("delayed", delayed)] {
                self.queue_messages.with_label_values(&[name.as_str(), state]).set(whole(*count));
            }
        }
        if let Some(count) = snapshot.dead_letters() {
            self.dead_letters.with_label_values::<&str>(&[]).set(whole(count));
        }
    }

    fn touch(&self) {
        for trigger in TriggerKind::ALL {
            for reason in SETTLED_BY {
                self.events.with_label_values(&[trigger.as_str(), reason.as_str()]);
            }
        }
        for reason in SETTLED_BY {
            self.replays.with_label_values(&[reason.as_str()]);
        }
        for state in LaneState::ALL {
            self.lanes.with_label_values(&[state.as_str()]);
        }
        for delivery in Delivery::ALL {
            self.traces.with_label_values(&[delivery.as_str()]);
        }
        for promise in PROMISES {
            self.promise_violations.with_label_values(&[promise]);
        }
    }
}

/// The label of a deployment's target. Only what exists has a name of its own: where targets are found by name, an event
/// could make names up.
fn target_label(it: &DeploymentRecord) -> &str {
    if it.cause == Some(Cause::TargetMissing) { "missing" } else { it.name.as_str() }
}

/// Whether an image was asked for, so that there was a push from which to count.
fn brings_an_image(it: &DeploymentRecord) -> bool {
    it.triggers.iter().any(|origin| match origin.kind {
        TriggerKind::ImagePushed | TriggerKind::ImageReplicated | TriggerKind::ImageReady => true,
        TriggerKind::ImageScanned
        | TriggerKind::ParameterChanged
        | TriggerKind::SecretChanged
        | TriggerKind::EnvFileChanged
        | TriggerKind::DeployRequested
        | TriggerKind::Decision
        | TriggerKind::RolloutChanged
        | TriggerKind::TaskStopped
        | TriggerKind::HookWaiting
        | TriggerKind::Ignored
        | TriggerKind::Malformed => false,
    })
}

fn whole(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

fn build_info(registry: &Registry, version: &str, revision: &str) {
    gauges(registry, "build_info", "1, for the program that runs.", &["version", "revision"])
        .with_label_values(&[version, revision])
        .set(1);
}

/// Processor time, memory and file descriptors, read from `/proc`.
fn process(registry: &Registry) {
    #[cfg(target_os = "linux")]
    registry
        .register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))
        .expect("its names have no prefix of ours");
    #[cfg(not(target_os = "linux"))]
    let _ = registry;
}

fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    registered(registry, valid(IntCounter::with_opts(opts(name, help))))
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    registered(registry, valid(IntCounterVec::new(opts(name, help), labels)))
}

fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    registered(registry, valid(IntGauge::with_opts(opts(name, help))))
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    registered(registry, valid(IntGaugeVec::new(opts(name, help), labels)))
}

fn healthy(registry: &Registry) -> IntGaugeVec {
    gauges(registry, "healthy", "1 for a part that is as it should be, 0 for one that fails.", &["part"])
}

fn queue_oldest(registry: &Registry) -> GaugeVec {
    let help = "Age of the oldest message of a queue that this process holds.";
    registered(registry, valid(GaugeVec::new(opts("queue_oldest_message_seconds", help), &["queue"])))
}

fn histogram(registry: &Registry, name: &str, help: &str, buckets: &[f64]) -> Histogram {
    let opts = HistogramOpts { common_opts: opts(name, help), buckets: buckets.to_vec() };
    registered(registry, valid(Histogram::with_opts(opts)))
}

fn histograms(registry: &Registry, name: &str, help: &str, labels: &[&str], buckets: &[f64]) -> HistogramVec {
    let opts = HistogramOpts { common_opts: opts(name, help), buckets: buckets.to_vec() };
    registered(registry, valid(HistogramVec::new(opts, labels)))
}

fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace("lockkeeper")
}

fn valid<M>(metric: prometheus::Result<M>) -> M {
    metric.expect("names, labels and buckets are constants, and valid")
}

fn registered<M: Collector + Clone + 'static>(registry: &Registry, metric: M) -> M {
    registry.register(Box::new(metric.clone())).expect("no two metrics have one name");
    metric
}

#[cfg(test)]
mod tests;
