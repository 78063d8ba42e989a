//! What ECS shows of a target: the evidence on which every decision rests.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Base, Cause, ContainerName, DefinitionId, DefinitionRef, DefinitionView, DeploymentId, Digest, Holds,
    ImageReference, Marks, RolloutId, StoppedTask, TargetId, Timestamp,
};

/// What to look at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookOrder {
    /// The target.
    pub target: TargetId,
    /// Rollouts created at this time or later are wanted.
    pub since: Timestamp,
    /// Which definition a deployment would start from.
    pub base: Base,
    /// A definition that is asked for, to be resolved.
    pub wanted: Option<DefinitionRef>,
    /// Whether stopped tasks and service events are wanted, to say why something failed.
    pub evidence: bool,
    /// What may be begun on the strength of it.
    pub prospect: Prospect,
}

/// What may follow a look at once: whoever takes it keeps the calls that this needs free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Prospect {
    /// Nothing that could not wait for another look.
    Nothing,
    /// A rollout of a definition that exists.
    Rollout,
    /// A rollout of a definition that may have to be registered.
    Registration,
}

/// A whole look at one target: what its next step is decided on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Look {
    /// When it was taken, by AWS's clock.
    pub taken_at: Timestamp,
    /// Whether there is a service that can be deployed.
    pub service: ServiceState,
    /// When it was created, where that is known.
    pub created_at: Option<Timestamp>,
    /// How many tasks are desired.
    pub desired: u32,
    /// What the last completed rollout left running; `None` before the first.
    pub running: Option<Running>,
    /// The definition that a deployment would start from, or why there is none.
    pub base: Result<DefinitionView, String>,
    /// The definition that was asked for, or why it cannot be had; `None` where none was.
    pub wanted: Option<Result<DefinitionView, String>>,
    /// The rollouts since the time asked for, and every one still in progress; newest first. A rollback is not
    /// one of them: it is the state of the rollout that it undoes.
    pub rollouts: Vec<Rollout>,
    /// What keeps the target back, as the tags of the service say.
    pub holds: Holds,
    /// The tags of the service that may say how it is deployed.
    pub tags: BTreeMap<String, String>,
    /// Whether the primary deployment is a rollback by ECS that is not complete. It tells of one also where the
    /// rollout that it undoes is no longer listed.
    pub going_back: bool,
    /// The last service events, newest first; empty unless evidence was asked for.
    pub events: Vec<ServiceEvent>,
    /// The last stopped tasks with the rollout that each belonged to, newest first; empty unless evidence was asked for.
    pub stopped: Vec<(RolloutId, StoppedTask)>,
}

/// Whether a service can be deployed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ServiceState {
    /// It is there.
    Active,
    /// It is being deleted.
    Draining,
    /// It was deleted.
    Inactive,
    /// There is none of this name, or no such cluster.
    Missing,
    /// Its rollouts are driven by something that we do not speak, as `CODE_DEPLOY`.
    OtherController(Arc<str>),
    /// Another Lockkeeper deploys it: the one that its tag names.
    OfAnother(Arc<str>),
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Running {
    /// Its definition.
    pub definition: DefinitionView,
    /// The digest that each container runs, where it is known.
    pub digests: BTreeMap<ContainerName, Digest>,
    /// When its rollout was created.
    pub since: Option<Timestamp>,
}

/// What ECS does, or did, about a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rollout {
    /// Its ids.
    pub id: RolloutKey,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The definition that it rolls out.
    pub definition: DefinitionView,
    /// The definition that it moved the service from, where it is known.
    pub previous: Option<DefinitionView>,
    /// The digest that ECS pinned for each container, where it is known.
    pub digests: BTreeMap<ContainerName, Digest>,
    /// Whether the service has it as its primary deployment.
    pub primary: bool,
    /// How far it is.
    pub state: RolloutState,
    /// Whether ECS goes back by itself if it fails: its circuit breaker or its alarms say so.
    pub rolls_back: bool,
    /// Whether it was told to stop, as far as ECS's words say: by us, for whatever reason, or by somebody.
    pub stopped: bool,
    /// Whether its circuit breaker or an alarm went off, as far as that is known.
    pub tripped: bool,
    /// Since when ECS goes back from it, or when it began to, where that is known.
    pub undone_since: Option<Timestamp>,
    /// Its tasks.
    pub tasks: Tasks,
    /// ECS's words.
    pub reason: Arc<str>,
}

/// A rollout that has ended, as ECS remembers it for 90 days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastRollout {
    /// The ARN of its service deployment.
    pub id: RolloutId,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// How it ended.
    pub state: RolloutState,
    /// ECS's words.
    pub reason: Arc<str>,
    /// Whether it was told to stop, as far as those words say: by us, for whatever reason, or by somebody.
    pub stopped: bool,
    /// Whether its circuit breaker or an alarm went off, as far as that is known.
    pub tripped: bool,
    /// The definition that it rolled out.
    pub definition: DefinitionId,
    /// The definition that the service had before, where it is known.
    pub previous: Option<DefinitionId>,
    /// The deployment of ours that registered the definition, where one did.
    pub registered_by: Option<DeploymentId>,
    /// Its tasks, where they are known.
    pub tasks: Tasks,
}

/// The two ids by which ECS knows one rollout. Either may be unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RolloutKey {
    /// As DescribeServices lists it while it is live: `ecs-svc/…`.
    pub deployment: Option<RolloutId>,
    /// The ARN of its service deployment.
    pub service_deployment: Option<RolloutId>,
}

/// How far a rollout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RolloutState {
    /// It goes on.
    InProgress,
    /// It is complete.
    Succeeded,
    /// It failed, and nothing undoes it.
    Failed,
    /// It failed or was stopped, and ECS is going back.
    RollingBack,
    /// ECS went back to what ran before.
    RolledBack,
    /// ECS could not go back.
    RollbackFailed,
    /// It was stopped: another rollout took its place, or it failed without a way back.
    Stopped,
}

/// The tasks of one rollout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tasks {
    /// How many it is to have.
    pub desired: u32,
    /// How many run.
    pub running: u32,
    /// How many start.
    pub pending: u32,
    /// How many failed in a row.
    pub failed: u32,
}

/// One line of a service's events.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceEvent {
    /// When.
    pub at: Timestamp,
    /// ECS's words.
    pub message: Arc<str>,
}

/// A cheap look at a rollout that is watched: what DescribeServices alone tells.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Glance {
    /// Whether the service is still there.
    pub service: ServiceState,
    /// Its deployments, the primary one first.
    pub live: Vec<LiveRollout>,
}

/// One deployment as DescribeServices lists it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LiveRollout {
    /// `ecs-svc/…`
    pub id: RolloutId,
    /// Whether it is the primary one.
    pub primary: bool,
    /// Whether ECS says that it is still in progress.
    pub in_progress: bool,
    /// Its tasks.
    pub tasks: Tasks,
    /// ECS's words.
    pub reason: Arc<str>,
}

/// A rollout to be asked for. A rollout always follows: UpdateService is told to force one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StartOrder {
    /// The target.
    pub target: TargetId,
    /// The revision that it starts from.
    pub base: DefinitionId,
    /// The images that differ from it: with any, a revision is registered, unless an equal one exists.
    pub edits: BTreeMap<ContainerName, ImageReference>,
    /// Our tags for a revision that is registered.
    pub marks: Marks,
}

/// A revision that has what was asked for already, and is to say so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarkOrder {
    /// The target that runs it, or to which it is being rolled out.
    pub target: TargetId,
    /// The revision.
    pub definition: DefinitionId,
    /// What its marks are raised to.
    pub marks: Marks,
}

/// A rollout in progress that is to be stopped, and undone by ECS.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StopOrder {
    /// The target.
    pub target: TargetId,
    /// The ARN of its service deployment.
    pub rollout: RolloutId,
}

/// What UpdateService answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Started {
    /// The new primary rollout.
    pub id: RolloutKey,
    /// When ECS created it.
    pub created_at: Timestamp,
    /// The definition that it rolls out.
    pub definition: DefinitionView,
}

/// A call that did not do what it was to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallFailure {
    /// The kind.
    pub cause: Cause,
    /// One line for people: what was attempted, and what AWS said.
    pub reason: String,
    /// What may be done about it.
    pub remedy: Remedy,
}

/// What may be done about a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Remedy {
    /// It may succeed if tried again, and did nothing.
    Retry,
    /// It did nothing, because there are too many calls: it succeeds once there are fewer.
    Wait,
    /// Its answer was lost: it may have taken effect, so look before trying again.
    LookFirst,
    /// It cannot succeed.
    GiveUp,
}

impl RolloutKey {
    /// Whether both name the same rollout.
    pub fn is(&self, other: &Self) -> bool {
        let same = |a: &Option<RolloutId>, b: &Option<RolloutId>| a.is_some() && a == b;
        same(&self.deployment, &other.deployment) || same(&self.service_deployment, &other.service_deployment)
    }

    /// The ids that are known of it.
    pub fn ids(&self) -> impl Iterator<Item = &RolloutId> {
        self.deployment.iter().chain(&self.service_deployment)
    }

    /// The id to show: the service deployment's where both are known, because it stays valid.
    pub fn shown(&self) -> Option<&RolloutId> {
        self.service_deployment.as_ref().or(self.deployment.as_ref())
    }
}

impl RolloutState {
    /// Whether ECS still works on it.
    pub fn is_live(self) -> bool {
        match self {
            Self::InProgress | Self::RollingBack => true,
            Self::Succeeded | Self::Failed | Self::RolledBack | Self::RollbackFailed | Self::Stopped => false,
        }
    }
}
