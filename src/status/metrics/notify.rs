//! What became of notifications and of traces.

use std::sync::Arc;

use prometheus::{IntCounterVec, Registry};

use super::{Metrics, counters};
use crate::report::channel::{Delivery, Tally};

pub(super) fn notifications(registry: &Registry) -> IntCounterVec {
    counters(
        registry,
        "notifications_total",
        "Notifications, by channel and by what became of them.",
        &["channel", "result"],
    )
}

pub(super) fn traces(registry: &Registry) -> IntCounterVec {
    counters(registry, "traces_total", "Traces of deployments, by what became of them.", &["result"])
}

/// Counts traces.
#[derive(Debug)]
struct Traces(IntCounterVec);

impl Metrics {
    /// These channels are told: their series begin at zero.
    pub fn notifies<'a>(&self, channels: impl IntoIterator<Item = &'a String>) {
        for channel in channels {
            for delivery in Delivery::ALL {
                self.notifications.with_label_values(&[channel.as_str(), delivery.as_str()]);
            }
        }
    }

    /// Who counts what becomes of traces.
    pub fn traces(&self) -> Arc<dyn Tally> {
        Arc::new(Traces(self.traces.clone()))
    }
}

impl Tally for Traces {
    fn notified(&self, _: &str, delivery: Delivery, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.0.with_label_values(&[delivery.as_str()]).inc_by(count);
    }
}

impl Tally for Metrics {
    fn notified(&self, channel: &str, delivery: Delivery, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.notifications.with_label_values(&[channel, delivery.as_str()]).inc_by(count);
    }
}
