//! What discovery found, and how its readings ended. Places come from the settings, so their names may be labels.

use std::time::Duration;

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec, Registry};

use super::{Metrics, counters, gauges, opts, registered, valid, whole};
use crate::domain::Place;

/// The metrics of discovery.
#[derive(Debug)]
pub(super) struct Inventory {
    targets: IntGaugeVec,
    reads: IntCounterVec,
    read_seconds: GaugeVec,
}

impl Inventory {
    pub(super) fn new(registry: &Registry) -> Self {
        let place = ["account", "region"];
        let seconds = opts("inventory_read_seconds", "How long the last reading of all services took.");
        Self {
            targets: gauges(registry, "inventory_targets", "Targets that discovery found.", &place),
            reads: counters(
                registry,
                "inventory_reads_total",
                "Readings of all services, by how they ended.",
                &["account", "region", "result"],
            ),
            read_seconds: registered(registry, valid(GaugeVec::new(seconds, &place))),
        }
    }

    fn ended(&self, place: &Place, result: &str) {
        let [account, region] = labels(place);
        self.reads.with_label_values(&[account, region, result]).inc();
    }
}

impl Metrics {
    /// The services of this place will be read.
    pub fn inventory_begins(&self, place: &Place) {
        for result in ["ok", "partial", "failed"] {
            let [account, region] = labels(place);
            self.inventory.reads.with_label_values(&[account, region, result]);
        }
        self.inventory_holds(place, 0);
    }

    /// So many targets are known there.
    pub fn inventory_holds(&self, place: &Place, targets: usize) {
        self.inventory.targets.with_label_values(&labels(place)).set(whole(targets));
    }

    /// The services there were read, all or not, in so long.
    pub fn inventory_read(&self, place: &Place, took: Duration, all: bool) {
        self.inventory.ended(place, if all { "ok" } else { "partial" });
        self.inventory.read_seconds.with_label_values(&labels(place)).set(took.as_secs_f64());
    }

    /// The services there could not be read.
    pub fn inventory_failed(&self, place: &Place) {
        self.inventory.ended(place, "failed");
    }
}

fn labels(place: &Place) -> [&str; 2] {
    [place.account.as_str(), place.region.as_str()]
}
