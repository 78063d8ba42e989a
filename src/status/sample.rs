//! A state for tests: four targets, a rollout under way, and two that ended.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use super::{About, Clock, Health, Metrics, QueueRecord, QueueRole, Snapshot, StatusState};
use crate::{
    domain::{LaneRecord, LaneState, Moment, RunningImage, RunningRecord, TargetRecord},
    report::sample::{active, at, rolled_back, succeeded},
};

/// What a state is made of, open to changes.
pub(super) struct Sample {
    pub(super) snapshot: Snapshot,
    pub(super) health: Arc<Health>,
    pub(super) now: Moment,
}

impl Sample {
    /// A process that runs for ten minutes and has something to do.
    pub(super) fn busy() -> Self {
        let now = Moment::from_millis(600_000);
        let health = Health::new(Moment::default(), Duration::ZERO, Duration::from_secs(20));
        health.turned(now);
        health.received(1, now);
        Self { snapshot: snapshot(now), health: Arc::new(health), now }
    }

    /// As the router takes it. The wall's clock says 12:06:00 when the other one says ten minutes.
    pub(super) fn state(&self) -> StatusState {
        let now = self.now;
        let wall = at("12:06:00") + now.since(Moment::from_millis(600_000));
        StatusState::new(
            watch::channel(Arc::new(self.snapshot.clone())).1,
            self.health.clone(),
            Arc::new(Metrics::new("0.1.0", "abc1234")),
            Clock::new(move || (now, wall)),
            about(),
        )
    }
}

pub(super) fn about() -> About {
    About { project: Some("shop".into()), environment: Some("prod".into()), version: "0.1.0" }
}

pub(super) fn snapshot(now: Moment) -> Snapshot {
    let mut snapshot = Snapshot { active: true, whole: true, leases_held: 3, ..Snapshot::empty(now) };
    snapshot.oldest_held = Some(at("12:04:30"));
    snapshot.home = Some(("111122223333".into(), "eu-west-1".into()));
    snapshot.targets = listed([
        target("api", watching()),
        target(
            "cart",
            LaneRecord { until: Some(now + Duration::from_secs(4)), ..lane(LaneState::Quiet, 20, None) },
        ),
        target("mail", lane(LaneState::Blocked, 1, Some("a rollout that deployer started is in progress"))),
        TargetRecord { running: None, ..target("search", lane(LaneState::Idle, 0, None)) },
    ]);
    snapshot.deployments = Arc::new([(active().target, Arc::new(active()))].into());
    let mut rolled_back = rolled_back();
    rolled_back.finished_at = Some(at("12:04:00"));
    let history = Arc::make_mut(&mut snapshot.history);
    history.push(succeeded());
    history.push(rolled_back);
    snapshot.queues = vec![
        queue("lockkeeper", QueueRole::Events, [5, 3, 0]),
        queue("lockkeeper-dead", QueueRole::DeadLetters, [1, 0, 0]),
    ];
    snapshot
}

pub(super) fn listed(targets: impl IntoIterator<Item = TargetRecord>) -> Arc<Vec<Arc<TargetRecord>>> {
    Arc::new(targets.into_iter().map(Arc::new).collect())
}

fn target(name: &str, lane: LaneRecord) -> TargetRecord {
    let definition = format!("chubby_{name}:13");
    let image = RunningImage {
        container: "web".into(),
        image: format!("111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop_{name}:1.4")
            .parse()
            .expect("valid"),
        digest: Some(format!("sha256:{}", "0a".repeat(32)).into()),
    };
    let running = RunningRecord {
        definition: definition.parse().expect("valid"),
        images: [image].into(),
        since: Some(at("12:00:05")),
        by: Some("d-12ab".into()),
    };
    TargetRecord {
        id: format!("111122223333/eu-west-1/shop/chubby_{name}").parse().expect("valid"),
        name: name.into(),
        cluster: "shop".into(),
        service: format!("chubby_{name}").into(),
        running: Some(running),
        rollout: None,
        refused: None,
        lane,
    }
}

fn watching() -> LaneRecord {
    LaneRecord { deployment: Some("d-77fe".into()), ..lane(LaneState::Watching, 1, None) }
}

fn lane(state: LaneState, waiting: usize, why: Option<&str>) -> LaneRecord {
    LaneRecord {
        state,
        deployment: None,
        next: None,
        waiting,
        until: None,
        why: why.map(Into::into),
        hold: None,
    }
}

fn queue(name: &str, role: QueueRole, [visible, in_flight, delayed]: [u64; 3]) -> QueueRecord {
    QueueRecord { name: name.into(), role, visible, in_flight, delayed }
}
