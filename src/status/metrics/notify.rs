//! What became of notifications.

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

impl Metrics {
    /// These channels are told: their series begin at zero.
    pub fn notifies<'a>(&self, channels: impl IntoIterator<Item = &'a String>) {
        for channel in channels {
            for delivery in Delivery::ALL {
                self.notifications.with_label_values(&[channel.as_str(), delivery.as_str()]);
            }
        }
    }
}

impl Tally for Metrics {
    fn notified(&self, channel: &str, delivery: Delivery, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.notifications.with_label_values(&[channel, delivery.as_str()]).inc_by(count);
    }
}
