//! What is told: reports to metrics and history, and the state as a snapshot that readers take.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::sync::{mpsc, watch};
use tracing::warn;

use super::held::HeldMessages;
use crate::{
    aws::queue::Queue,
    domain::{LaneRecord, LaneState, Moment, Report, TargetId, TargetRecord, TargetSettings},
    plan::Planner,
    report::history::History,
    route::Routes,
    status::{Metrics, QueueRecord, QueueRole, Snapshot},
};

/// Snapshots follow each other no faster than this, however fast the loop turns.
const SNAPSHOT_PERIOD: Duration = Duration::from_millis(100);

/// Where reports and snapshots go.
#[derive(Debug)]
pub struct Publisher {
    metrics: Arc<Metrics>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    history: Arc<History>,
    /// Somebody who wants every report as it is told, such as the demo.
    listener: Option<mpsc::UnboundedSender<Report>>,
    published: Moment,
    is_stale: bool,
}

impl Publisher {
    /// Publishes to these.
    pub fn new(metrics: Arc<Metrics>, snapshots: watch::Sender<Arc<Snapshot>>) -> Self {
        let history = Arc::new(History::new(History::ROOM));
        Self { metrics, snapshots, history, listener: None, published: Moment::default(), is_stale: true }
    }

    /// Also tells this listener of every report.
    #[must_use]
    pub fn with_listener(mut self, listener: mpsc::UnboundedSender<Report>) -> Self {
        self.listener = Some(listener);
        self
    }

    pub(super) fn decided(&self, lag: Duration) {
        self.metrics.decided(lag);
    }

    pub(super) fn told(&mut self, report: &Report, held: &HeldMessages) {
        self.metrics.told(report);
        if let Report::Settled { event_id, reason } = report
            && let Some(event) = held.event(event_id)
        {
            self.metrics.settled(event.trigger, *reason);
            if event.is_replay {
                self.metrics.replayed(*reason);
            }
        }
        if let Report::Finished(record) = report {
            Arc::make_mut(&mut self.history).push((**record).clone());
        }
        if let Some(listener) = &self.listener {
            let _ = listener.send(report.clone());
        }
    }

    /// When the next snapshot is to be published, if anything happened since the last.
    pub(super) fn due(&self) -> Option<Moment> {
        self.is_stale.then(|| self.published + SNAPSHOT_PERIOD)
    }

    /// Lets the next snapshot be published however shortly it follows.
    pub(super) fn hurry(&mut self) {
        self.published = Moment::default();
    }

    /// Publishes the state, unless it was published just now: then it is due soon. Says whether it was.
    pub(super) fn publish(
        &mut self,
        now: Moment,
        planner: &Planner,
        routes: &Routes,
        queues: &[QueueRecord],
        active: bool,
    ) -> bool {
        if now < self.published + SNAPSHOT_PERIOD && self.published != Moment::default() {
            self.is_stale = true;
            return false;
        }
        let snapshot = Snapshot {
            taken_at: now,
            active,
            targets: targets(now, planner, routes),
            deployments: planner.deployments(),
            history: Arc::clone(&self.history),
            leases_held: planner.held(),
            queues: queues.to_vec(),
        };
        self.snapshots.send_replace(Arc::new(snapshot));
        self.published = now;
        self.is_stale = false;
        true
    }
}

/// Every target that is known: those in the settings, and those that events found by name.
fn targets(now: Moment, planner: &Planner, routes: &Routes) -> Vec<TargetRecord> {
    let configured = routes.targets().map(|(id, settings)| (id.clone(), at_rest(id, settings)));
    let mut targets: BTreeMap<TargetId, TargetRecord> = configured.collect();
    targets.extend(planner.targets(now).into_iter().map(|record| (record.id.clone(), record)));
    let mut targets: Vec<TargetRecord> = targets.into_values().collect();
    targets.sort_by(|one, other| one.name.cmp(&other.name));
    targets
}

/// A target of which nothing was asked yet.
fn at_rest(id: &TargetId, settings: &TargetSettings) -> TargetRecord {
    TargetRecord {
        id: id.clone(),
        name: settings.name.clone(),
        cluster: id.cluster().clone(),
        service: id.service().clone(),
        running: None,
        lane: LaneRecord { state: LaneState::Idle, deployment: None, waiting: 0, until: None, why: None },
    }
}

/// Asks the queues for their counts; one that does not answer is left out.
pub(super) async fn count(queue: &Queue, dead_letters: &Queue) -> Vec<QueueRecord> {
    let mut records = Vec::new();
    for (queue, role) in [(queue, QueueRole::Events), (dead_letters, QueueRole::DeadLetters)] {
        match queue.facts().await {
            Ok(facts) => records.push(QueueRecord {
                name: facts.arn.rsplit(':').next().unwrap_or_default().to_owned(),
                role,
                visible: facts.visible,
                in_flight: facts.in_flight,
                delayed: facts.delayed,
            }),
            Err(error) => warn!(error = %error, "a queue could not be counted"),
        }
    }
    records
}
