//! What is seen of a target while nothing is asked of it.

use serde::Serialize;

use super::{DefinitionId, DeploymentId, HoldRecord, RolloutId, RunningRecord, TargetId, Timestamp};

/// What one reading of its service shows of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sight {
    /// The target.
    pub target: TargetId,
    /// When its service was read, by AWS's clock.
    pub read_at: Timestamp,
    /// What the last completed rollout left running, as far as that can be told.
    pub running: Option<RunningRecord>,
    /// The rollout that is in progress.
    pub rollout: Option<Box<RolloutRecord>>,
    /// What keeps deployments from being started.
    pub hold: Option<Box<HoldRecord>>,
}

/// A rollout in progress that no deployment of this process watches.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "daemon", schema(as = Rollout))]
pub struct RolloutRecord {
    /// ECS's id of it.
    pub id: RolloutId,
    /// What it rolls out.
    pub definition: DefinitionId,
    /// When it was created.
    pub since: Timestamp,
    /// The deployment of this target that registered what it rolls out; null if nothing shows that it is ours.
    pub by: Option<DeploymentId>,
}
