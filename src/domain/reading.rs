//! What was read of AWS to know which targets there are.

use std::{collections::BTreeMap, sync::Arc};

use super::{ClusterName, DefinitionId, RolloutId, ServiceState, TargetId, Timestamp};

/// A cluster as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterReading {
    /// Its name.
    pub name: ClusterName,
    /// Its tags; empty where they were not asked for.
    pub tags: BTreeMap<String, String>,
}

/// A service as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceReading {
    /// Which service.
    pub target: TargetId,
    /// When it was read, by AWS's clock.
    pub read_at: Timestamp,
    /// Whether it can be deployed.
    pub state: ServiceState,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The definitions that its rollouts run or bring, the primary one first.
    pub live: Vec<LiveDefinition>,
    /// When its newest rollout was created; `None` before the first.
    pub newest_rollout: Option<Timestamp>,
    /// The ARNs of the service revisions that have tasks, where ECS tells.
    pub revisions: Vec<Arc<str>>,
}

/// A definition that tasks of a service run, or soon will.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LiveDefinition {
    /// Which revision.
    pub definition: DefinitionId,
    /// When the rollout was created that brought it; `None` where none of ECS's did, as with another deployment controller.
    pub created_at: Option<Timestamp>,
    /// Whether the service has that as its primary one; the others are on their way out.
    pub primary: bool,
    /// How far that is.
    pub state: LiveState,
}

/// How far a rollout is that has tasks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LiveState {
    /// It is complete.
    Complete,
    /// It goes on, under this id.
    InProgress(RolloutId),
    /// It failed.
    Failed,
}

impl ServiceReading {
    /// One that is not there.
    pub fn missing(target: TargetId, read_at: Timestamp) -> Self {
        Self {
            target,
            read_at,
            state: ServiceState::Missing,
            tags: BTreeMap::new(),
            live: Vec::new(),
            newest_rollout: None,
            revisions: Vec::new(),
        }
    }
}
