//! What reconcile tells, and who looks beside it.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGaugeVec, Registry};

use super::{ROLLOUT_SECONDS, counter, counters, gauges, histogram, whole};
use crate::domain::{ReconcileRecord, TargetName};

#[derive(Debug)]
pub(super) struct Reconcile {
    drift: IntGaugeVec,
    repairs: IntCounter,
    duration: Histogram,
    images_gone: IntCounterVec,
    unwatched: IntGaugeVec,
}

impl Reconcile {
    pub(super) fn new(registry: &Registry) -> Self {
        Self {
            drift: gauges(
                registry,
                "drift",
                "Changes that a target has not seen, by the last pass of reconcile.",
                &["target"],
            ),
            repairs: counter(
                registry,
                "drift_repairs_total",
                "Changes that a target had not seen, and that were put on the queue again for it.",
            ),
            duration: histogram(
                registry,
                "reconcile_duration_seconds",
                "How long passes of reconcile took.",
                &ROLLOUT_SECONDS,
            ),
            unwatched: gauges(
                registry,
                "rollouts_failed_unwatched",
                "1 while the newest rollout of a target is one that failed while nobody watched it.",
                &["target"],
            ),
            images_gone: counters(
                registry,
                "images_gone_total",
                "Images that were deleted or archived although a target needs them.",
                &["target"],
            ),
        }
    }

    /// An image that this target needs is gone.
    pub(super) fn image_gone(&self, target: &TargetName) {
        self.images_gone.with_label_values(&[target.as_str()]).inc();
    }

    /// A target that has seen everything has no series.
    pub(super) fn passed(&self, record: &ReconcileRecord) {
        self.duration.observe(record.took.as_secs_f64());
        self.repairs.inc_by(u64::try_from(record.repaired).unwrap_or(u64::MAX));
        self.unwatched.reset();
        for rollout in &record.unwatched {
            self.unwatched.with_label_values(&[rollout.name.as_str()]).set(1);
        }
        self.drift.reset();
        for (target, changes) in &record.drift {
            self.drift.with_label_values(&[target.as_str()]).set(whole(*changes));
        }
    }
}
