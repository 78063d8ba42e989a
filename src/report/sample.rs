//! Deployments for tests: one of each kind that people see.

use std::sync::Arc;

use crate::domain::{
    Cause, DeploymentRecord, Evidence, KnownFrom, Origin, Outcome, RunningImage, Stage, StoppedTask, Tasks,
    Timestamp, TriggerKind,
};

const LOG_URL: &str = "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/\
                       log-group/shop/log-events/ecs$252Fweb$252F0af3c1";

/// A time on the day of the samples.
pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(&format!("2026-11-01T{text}Z")).expect("a time of day")
}

/// Why a sample was asked for.
pub(crate) fn origin(kind: TriggerKind, event_id: &str, reason: &str) -> Arc<Origin> {
    Arc::new(Origin {
        kind,
        event_id: event_id.into(),
        reason: reason.into(),
        by: None,
        replayed_by: None,
        metadata: None,
    })
}

/// A deployment whose rollout is under way.
pub(crate) fn active() -> DeploymentRecord {
    DeploymentRecord {
        id: "d-77fe".into(),
        stage: Stage::Rollout,
        outcome: None,
        changes: vec!["image shop_api:1.5".into()],
        definition: Some("chubby_api:14".parse().expect("valid")),
        previous_definition: Some("chubby_api:13".parse().expect("valid")),
        rollout_id: Some("ecs-svc/8002".into()),
        requested_at: at("12:05:00"),
        started_at: Some(at("12:05:05")),
        finished_at: None,
        tasks: Tasks { desired: 4, running: 1, pending: 2, failed: 1 },
        ..succeeded()
    }
}

/// A deployment of two pushes that went well in eight seconds.
pub(crate) fn succeeded() -> DeploymentRecord {
    DeploymentRecord {
        id: "d-12ab".into(),
        target: "111122223333/eu-west-1/shop/chubby_api".parse().expect("valid"),
        name: "api".into(),
        version: at("12:00:00"),
        changes: vec!["image shop_api:1.4".into()],
        triggers: vec![
            origin(TriggerKind::ImagePushed, "e-1", "push of shop_api:1.4"),
            origin(TriggerKind::ImagePushed, "e-2", "push of shop_api:latest"),
        ],
        rollback: false,
        stage: Stage::Finished,
        outcome: Some(Outcome::Succeeded),
        cause: None,
        reason: None,
        evidence: Evidence::default(),
        rollout_id: Some("ecs-svc/8001".into()),
        definition: Some("chubby_api:13".parse().expect("valid")),
        registered: false,
        cancelled: false,
        previous_definition: Some("chubby_api:12".parse().expect("valid")),
        attempts: 1,
        adopted: None,
        requested_at: at("12:00:00"),
        started_at: Some(at("12:00:05")),
        finished_at: Some(at("12:00:13")),
        tasks: Tasks { desired: 2, running: 2, pending: 0, failed: 0 },
        rollout: None,
        images: vec![RunningImage {
            container: "web".into(),
            image: "111122223333.dkr.ecr.eu-west-1.amazonaws.com/shop_api:1.4".parse().expect("valid"),
            digest: Some("sha256:4f2a9c1e".into()),
        }],
        known_from: KnownFrom::Lane,
    }
}

/// A deployment that ECS rolled back.
pub(crate) fn rolled_back() -> DeploymentRecord {
    let stopped = StoppedTask {
        task: "0af3c1".into(),
        stop_code: Some("EssentialContainerExited".into()),
        reason: Some("Essential container in task exited".into()),
        container: Some("web".into()),
        exit_code: Some(1),
        container_reason: None,
        log_url: Some(LOG_URL.into()),
    };
    DeploymentRecord {
        id: "d-bad0".into(),
        outcome: Some(Outcome::RolledBack),
        cause: Some(Cause::CrashLoop),
        reason: Some("container web exited with 1, three times".into()),
        evidence: Evidence {
            stopped_tasks: vec![stopped],
            service_events: vec!["(service chubby_api) rolling back to deployment ecs-svc/8001".into()],
        },
        changes: vec!["image shop_api:broken".into()],
        triggers: vec![origin(TriggerKind::ImageReady, "e-3", "main at 0af3c1 is ready")],
        ..succeeded()
    }
}
