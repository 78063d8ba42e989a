//! Services, deployments and tasks, and the words in which ECS reports their states.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use crate::domain::Timestamp;

/// The status of a deployment in `DescribeServices`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The one that the service moves towards.
    Primary,
    /// An older one that still has tasks.
    Active,
    /// Over; no longer described.
    Inactive,
}

/// How far a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rollout {
    InProgress,
    Completed,
    Failed,
}

/// The status of a service deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    InProgress,
    Successful,
    StopRequested,
    Stopped,
    RollbackRequested,
    RollbackInProgress,
    RollbackSuccessful,
    RollbackFailed,
}

impl Standing {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Primary => "PRIMARY",
            Self::Active => "ACTIVE",
            Self::Inactive => "INACTIVE",
        }
    }
}

impl Rollout {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
        }
    }
}

impl Passage {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::InProgress => "IN_PROGRESS",
            Self::Successful => "SUCCESSFUL",
            Self::StopRequested => "STOP_REQUESTED",
            Self::Stopped => "STOPPED",
            Self::RollbackRequested => "ROLLBACK_REQUESTED",
            Self::RollbackInProgress => "ROLLBACK_IN_PROGRESS",
            Self::RollbackSuccessful => "ROLLBACK_SUCCESSFUL",
            Self::RollbackFailed => "ROLLBACK_FAILED",
        }
    }

    /// Whether it has ended for good.
    pub(super) fn ended(self) -> bool {
        match self {
            Self::Successful | Self::Stopped | Self::RollbackSuccessful | Self::RollbackFailed => true,
            Self::InProgress | Self::StopRequested | Self::RollbackRequested | Self::RollbackInProgress => {
                false
            }
        }
    }
}

/// How a task of an image goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Defect {
    /// The image cannot be pulled.
    Unpullable,
    /// There is no room to place the task.
    Unplaceable,
    /// It never gets past PENDING.
    Hanging,
    /// It exits with 1 shortly after it runs.
    Crashing,
    /// It is killed for its memory.
    Starving,
    /// It runs, and fails its health check.
    Sick,
}

/// What a task will do, read from the tags of its images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Behaviour {
    pub(super) slow: bool,
    pub(super) defect: Option<Defect>,
}

/// A container of the definition that a deployment runs.
#[derive(Clone, Debug)]
pub(super) struct ContainerPlan {
    pub(super) name: String,
    pub(super) image: String,
    /// Whether the tag is resolved once for the whole deployment.
    pub(super) consistent: bool,
}

/// A container's image and the digest that it stood for.
#[derive(Clone, Debug)]
pub(super) struct Pinned {
    pub(super) container: String,
    pub(super) image: String,
    pub(super) digest: Option<String>,
}

/// A rollback, on the deployment that is rolled back.
#[derive(Clone, Debug)]
pub(super) struct Rollback {
    pub(super) reason: String,
    pub(super) started: Timestamp,
    /// The revision that the service returns to.
    pub(super) revision: u64,
}

/// One deployment and its service deployment.
#[derive(Clone, Debug)]
pub(super) struct Deployment {
    /// The digits of `ecs-svc/…`.
    pub(super) number: u64,
    /// The last part of the ARN of its service deployment.
    pub(super) passage_id: String,
    pub(super) revision: u64,
    /// The revision that ran before.
    pub(super) source_revision: Option<u64>,
    pub(super) definition: String,
    pub(super) containers: Vec<ContainerPlan>,
    /// Digests, once the first task has resolved them.
    pub(super) pinned: Option<Vec<(Pinned, Vec<String>)>>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) finished: Option<Timestamp>,
    pub(super) stopped: Option<Timestamp>,
    pub(super) standing: Standing,
    pub(super) rollout: Rollout,
    pub(super) reason: String,
    /// Consecutive failures; back to zero once a task is healthy.
    pub(super) failed_tasks: u64,
    /// Consecutive tasks that did not even run: what the pause before the next try grows with.
    pub(super) failed_starts: u32,
    pub(super) retry_at: Option<Timestamp>,
    pub(super) passage: Passage,
    pub(super) passage_reason: String,
    /// When a request to stop or to roll back takes effect.
    pub(super) passage_due: Option<Timestamp>,
    pub(super) rollback: Option<Rollback>,
    /// The deployment that is undone by returning to this one.
    pub(super) undoes: Option<u64>,
}

impl Deployment {
    pub(super) fn id(&self) -> String {
        format!("ecs-svc/{}", self.number)
    }
}

/// Where a task is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Provisioning,
    Pending,
    Running,
    Deactivating,
    Deprovisioning,
    Stopped,
}

impl Phase {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Provisioning => "PROVISIONING",
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Deactivating => "DEACTIVATING",
            Self::Deprovisioning => "DEPROVISIONING",
            Self::Stopped => "STOPPED",
        }
    }

    /// Whether ECS wants it to run.
    pub(super) fn wanted(self) -> bool {
        match self {
            Self::Provisioning | Self::Pending | Self::Running => true,
            Self::Deactivating | Self::Deprovisioning | Self::Stopped => false,
        }
    }
}

/// Why a task stops.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) code: &'static str,
    pub(super) reason: String,
    pub(super) exit: Option<i64>,
    pub(super) container_reason: Option<&'static str>,
}

/// One task of a service.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) id: String,
    pub(super) deployment: u64,
    pub(super) definition: String,
    pub(super) images: Vec<Pinned>,
    pub(super) behaviour: Behaviour,
    pub(super) created: Timestamp,
    pub(super) started: Option<Timestamp>,
    pub(super) stopping: Option<Timestamp>,
    pub(super) stopped: Option<Timestamp>,
    pub(super) phase: Phase,
    /// When the phase ends by itself.
    pub(super) due: Option<Timestamp>,
    /// When it will count as healthy.
    pub(super) healthy_at: Option<Timestamp>,
    pub(super) healthy: bool,
    pub(super) ending: Option<Ending>,
    /// Counts the events that told about this task.
    pub(super) version: u64,
}

/// What the deployment configuration says that matters here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) minimum_percent: u64,
    pub(super) maximum_percent: u64,
    pub(super) breaker: bool,
    pub(super) rollback: bool,
}

/// A service's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Active,
    Draining,
    Inactive,
}

impl Life {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Draining => "DRAINING",
            Self::Inactive => "INACTIVE",
        }
    }
}

/// A message in a service's event list.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) id: String,
    pub(super) at: Timestamp,
    pub(super) message: String,
}

/// One service.
#[derive(Clone, Debug)]
pub(super) struct EcsService {
    pub(super) name: String,
    pub(super) cluster: String,
    pub(super) life: Life,
    pub(super) created: Timestamp,
    pub(super) desired: u64,
    /// What the caller gave, for the fields that the world only hands back.
    pub(super) given: Map<String, Value>,
    pub(super) tags: Vec<Value>,
    /// The newest first.
    pub(super) deployments: Vec<Deployment>,
    pub(super) tasks: Vec<Task>,
    pub(super) notes: VecDeque<Note>,
    pub(super) steady: bool,
    /// When something here next happens by itself.
    pub(super) wake: Option<Timestamp>,
}

impl EcsService {
    pub(super) fn controller(&self) -> &str {
        self.given
            .get("deploymentController")
            .and_then(|controller| controller["type"].as_str())
            .unwrap_or("ECS")
    }

    pub(super) fn limits(&self) -> Limits {
        let config = self.given.get("deploymentConfiguration").unwrap_or(&Value::Null);
        let breaker = &config["deploymentCircuitBreaker"];
        Limits {
            minimum_percent: config["minimumHealthyPercent"].as_u64().unwrap_or(100),
            maximum_percent: config["maximumPercent"].as_u64().unwrap_or(200),
            breaker: breaker["enable"] == true,
            rollback: breaker["rollback"] == true,
        }
    }

    pub(super) fn primary(&self) -> Option<&Deployment> {
        self.deployments.iter().find(|deployment| deployment.standing == Standing::Primary)
    }

    pub(super) fn deployment(&mut self, number: u64) -> Option<&mut Deployment> {
        self.deployments.iter_mut().find(|deployment| deployment.number == number)
    }

    pub(super) fn running(&self, deployment: Option<u64>) -> usize {
        self.count(deployment, |phase| phase == Phase::Running)
    }

    pub(super) fn pending(&self, deployment: Option<u64>) -> usize {
        self.count(deployment, |phase| matches!(phase, Phase::Provisioning | Phase::Pending))
    }

    fn count(&self, deployment: Option<u64>, wanted: impl Fn(Phase) -> bool) -> usize {
        let mine = |task: &&Task| deployment.is_none_or(|number| task.deployment == number);
        self.tasks.iter().filter(mine).filter(|task| wanted(task.phase)).count()
    }
}
