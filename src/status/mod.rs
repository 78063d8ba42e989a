//! What Lockkeeper shows of itself over HTTP: health, metrics, an API and pages; and what is asked of it there. Nothing is
//! done here: what is asked for goes to the [`Desk`].
//!
//! The loop publishes a [`Snapshot`] whenever something has changed, and goes on; readers take the newest one and
//! can neither see it half-made nor hold the loop up. Health is not in the snapshot but in atomics that the loop
//! and the intake touch, so that a loop that no longer turns shows.
//!
//! | file | does |
//! |---|---|
//! | `listener` | takes connections, and has patience with each for so long only |
//! | `router` | which path is answered by what, within which limits |
//! | `access` | who asks, what they may, and how much |
//! | `health` | whether it is alive and ready, and what is not |
//! | `listing` | the order of deployments |
//! | `metrics` | counts what is reported, and the snapshot, for Prometheus |
//! | `api` | JSON: what is so, and what is asked for |
//! | `desk` | who does what is asked for |
//! | `stream` | every change, as it happens |
//! | `page` | pages for people |
//! | `lookup` | what pages ask AWS for, by way of the engine |
//! | `slack` | what is pressed in Slack |
//! | `problem` | errors as `application/problem+json` |

mod access;
mod api;
mod desk;
mod health;
mod listener;
mod listing;
mod lookup;
mod metrics;
mod page;
mod problem;
mod router;
#[cfg(test)]
mod sample;
mod slack;
mod stream;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use access::{Access, TokenProblem};
pub use desk::{Answer, Desk, DeskSlot, Letters, Refusal, Replay, Replayed};
pub use health::{Health, HealthReport, InventoryState, LeaseState, Part};
pub use listing::Listing;
pub use lookup::{Lookup, Outdated, Question, Questions};
pub use metrics::Metrics;
pub use router::{router, serve};
pub use slack::{ACTIONS, SlackDesk};

use crate::{
    domain::{
        AccountId, DeploymentId, DeploymentRecord, Moment, ReconcileRecord, Region, TargetId, TargetName,
        TargetRecord, TargetSettings, Timestamp,
    },
    report::{history::History, past::Past, steps::Steps},
};

/// All that is shown, as it was at one turn of the loop.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// When it was taken.
    pub taken_at: Moment,
    /// Whether this process acts; not so on standby.
    pub active: bool,
    /// Our own account and Region; `None` before they are known.
    pub home: Option<(AccountId, Region)>,
    /// Whether every service was read, so that a target that is not here is none.
    pub whole: bool,
    /// Every target, in the order of names. The loop keeps its own handles of these lists, and changes them with
    /// [`Arc::make_mut`].
    pub targets: Arc<Vec<Arc<TargetRecord>>>,
    /// How those are deployed that the settings or discovery know.
    pub settings: Arc<BTreeMap<TargetId, Arc<TargetSettings>>>,
    /// The names that several targets have, of those that go by another one for it.
    pub shared_names: Arc<BTreeMap<TargetId, TargetName>>,
    /// The deployments that have not ended: of each target the one that is under way, or else what waits.
    pub deployments: Arc<BTreeMap<TargetId, Arc<DeploymentRecord>>>,
    /// Those that wait behind one of these.
    pub waiting: Arc<BTreeMap<TargetId, Arc<DeploymentRecord>>>,
    /// Those that ended lately.
    pub history: Arc<History>,
    /// What ECS remembers beside those.
    pub past: Arc<Past>,
    /// What each of them went through.
    pub steps: Arc<Steps>,
    /// What the last pass of reconcile came to; `None` before the first.
    pub reconciled: Option<Arc<ReconcileRecord>>,
    /// How many messages are held.
    pub leases_held: usize,
    /// Since when the oldest of them has waited, by AWS's clock.
    pub oldest_held: Option<Timestamp>,
    /// The queues, as last counted.
    pub queues: Vec<QueueRecord>,
    /// The order of the deployments, once somebody asked.
    pub listing: Listing,
}

/// A queue, as SQS last counted it. Its counts are approximate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRecord {
    /// Its name, as the settings or its redrive policy have it.
    pub name: String,
    /// What it is for.
    pub role: QueueRole,
    /// Messages that may be received.
    pub visible: u64,
    /// Messages that somebody holds.
    pub in_flight: u64,
    /// Messages that are not to be received yet.
    pub delayed: u64,
}

/// What a queue is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueRole {
    /// Events come from it.
    Events,
    /// What failed is set aside in it.
    DeadLetters,
}

/// What does not change while the process lives.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The project, where the settings name one.
    pub project: Option<String>,
    /// The environment, where the settings name one.
    pub environment: Option<String>,
    /// Lockkeeper's version.
    pub version: &'static str,
}

/// Everything that an answer is made of.
#[derive(Clone)]
pub struct StatusState {
    /// What the loop published last.
    pub snapshot: watch::Receiver<Arc<Snapshot>>,
    /// Touched by the loop and the intake.
    pub health: Arc<Health>,
    /// Counted by whoever tells.
    pub metrics: Arc<Metrics>,
    /// The time: by the clock of the loop, and by that of the wall.
    pub clock: Clock,
    /// Who this is.
    pub about: Arc<About>,
    /// Who may see, and who may ask for changes.
    pub access: Arc<Access>,
    /// Who does what is asked for.
    pub desk: DeskSlot,
    /// What buttons in Slack need; without it there are none.
    pub slack: Option<SlackDesk>,
    /// Cancelled when the process ends: nobody is told anything any more.
    pub closing: CancellationToken,
    hub: stream::Hub,
    /// Asks for what is not in the snapshot.
    pub lookup: Lookup,
}

/// Tells the time of now, by the monotonic clock that the loop uses and by the wall's.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> (Moment, Timestamp) + Send + Sync>);

impl Clock {
    /// One that asks this.
    pub fn new(now: impl Fn() -> (Moment, Timestamp) + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    fn now(&self) -> (Moment, Timestamp) {
        (self.0)()
    }
}

impl Snapshot {
    /// Before the first turn of the loop: nothing is known.
    pub fn empty(taken_at: Moment) -> Self {
        Self {
            taken_at,
            active: false,
            home: None,
            whole: false,
            targets: Arc::default(),
            settings: Arc::default(),
            shared_names: Arc::default(),
            deployments: Arc::default(),
            waiting: Arc::default(),
            history: Arc::default(),
            past: Arc::default(),
            steps: Arc::default(),
            reconciled: None,
            leases_held: 0,
            oldest_held: None,
            queues: Vec::new(),
            listing: Listing::default(),
        }
    }

    /// How many messages are set aside; `None` before they were first counted.
    pub fn dead_letters(&self) -> Option<u64> {
        let mut of_role = self.queues.iter().filter(|queue| queue.role == QueueRole::DeadLetters).peekable();
        of_role.peek()?;
        Some(of_role.map(|queue| queue.visible + queue.in_flight + queue.delayed).sum())
    }

    /// What this target is called now, where the settings or discovery know it.
    fn name_of(&self, target: &TargetId) -> Option<&TargetName> {
        self.settings.get(target).map(|settings| &settings.name)
    }

    /// The deployments that have not ended.
    fn under_way(&self) -> impl Iterator<Item = &DeploymentRecord> {
        self.deployments.values().chain(self.waiting.values()).map(|record| &**record)
    }

    /// The deployment with this id: the one that is under way, or else the last that ended with a rollout, or else what
    /// ECS remembers of it.
    fn deployment(&self, id: &DeploymentId) -> Option<&DeploymentRecord> {
        let known = self.under_way().find(|record| record.id == *id).or_else(|| self.history.find(id));
        known.or_else(|| self.listed().iter().map(|record| &**record).find(|record| record.id == *id))
    }

    /// What is said where there is no such deployment: a link may be older than this process.
    fn no_deployment(id: &str) -> String {
        format!(
            "no deployment `{id}` is known: after a restart, what waits or is under way is known once its message is \
             received again (`queue.visibility`), and of what has ended only the last are remembered, and what ECS lists"
        )
    }
}

impl StatusState {
    /// Of a process that has just begun: everybody may see, nobody may ask for changes, and nobody would do them.
    pub fn new(
        snapshot: watch::Receiver<Arc<Snapshot>>,
        health: Arc<Health>,
        metrics: Arc<Metrics>,
        clock: Clock,
        about: About,
    ) -> Self {
        Self {
            snapshot,
            health,
            metrics,
            clock,
            about: Arc::new(about),
            access: Arc::new(Access::only_reads()),
            desk: DeskSlot::default(),
            slack: None,
            closing: CancellationToken::new(),
            lookup: Lookup::unanswered(),
            hub: stream::Hub::default(),
        }
    }

    fn latest(&self) -> Arc<Snapshot> {
        self.snapshot.borrow().clone()
    }
}
