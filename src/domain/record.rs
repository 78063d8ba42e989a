//! What is told of deployments and targets: to logs, metrics, history, API and pages. Serialized, these are the API's shapes.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Cause, ClusterName, ContainerName, DefinitionId, DeploymentId, Digest, EventId, ImageReference, Moment,
    Origin, Outcome, RolloutId, RolloutKey, RolloutRecord, ServiceName, StoppedTask, TargetId, TargetName,
    Tasks, Timestamp,
};

/// One deployment: waiting, running or finished.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub struct DeploymentRecord {
    /// Its id.
    pub id: DeploymentId,
    /// The target's id.
    pub target: TargetId,
    /// The target's name.
    #[serde(skip, default = "nameless")]
    pub name: TargetName,
    /// The newest version among its requests.
    pub version: Timestamp,
    /// What is asked, one line per change after folding.
    pub changes: Vec<String>,
    /// Why: one entry per request that it carries, the merged ones too.
    #[cfg_attr(feature = "daemon", schema(value_type = Vec<Origin>))]
    pub triggers: Vec<Arc<Origin>>,
    /// Whether it puts back what ran before, and nothing else: what it rolls out is not new.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rollback: bool,
    /// How far it is.
    pub stage: Stage,
    /// How it ended; `None` while it runs.
    pub outcome: Option<Outcome>,
    /// Why it failed.
    pub cause: Option<Cause>,
    /// One line for people: why it ended so, or what it waits for.
    pub reason: Option<String>,
    /// What was seen of the failure.
    pub evidence: Evidence,
    /// The rollout that it started or adopted.
    pub rollout_id: Option<RolloutId>,
    /// The definition that it rolls out.
    pub definition: Option<DefinitionId>,
    /// Whether that definition was registered for this deployment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub registered: bool,
    /// Whether somebody cancelled it while it was under way, so that it ends without having failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelled: bool,
    /// The definition that ran before.
    pub previous_definition: Option<DefinitionId>,
    /// How often it was tried.
    pub attempts: u32,
    /// Whose its rollout was, if this process took it over rather than began it.
    pub adopted: Option<Adopted>,
    /// When its oldest request was made.
    pub requested_at: Timestamp,
    /// When its first attempt began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The tasks of its rollout, as last seen.
    #[serde(skip)]
    pub tasks: Tasks,
    /// Both ids of the rollout that it started or adopted, where they are known.
    #[serde(skip)]
    pub rollout: Option<RolloutKey>,
    /// The image of each container that it rolls out, once that is decided.
    #[serde(skip)]
    pub images: Vec<RunningImage>,
    /// From where it is known.
    pub known_from: KnownFrom,
}

impl DeploymentRecord {
    /// Why it goes back for good though nobody cancelled it, so that nothing is left of it to cancel. What found no room, or
    /// failed for a reason that is not known yet, may be tried again after that.
    pub fn goes_back_for(&self) -> Option<Cause> {
        let is_final = |cause: &Cause| !matches!(cause, Cause::Placement | Cause::Unknown);
        self.cause.filter(|_| self.stage == Stage::RollingBack && !self.cancelled).filter(is_final)
    }
}

/// A record that is read has its name from beside it.
fn nameless() -> TargetName {
    "".into()
}

/// Whose a rollout was that a process took over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub enum Adopted {
    /// A process before this one began it for the same deployment: the revision that it rolls out says so.
    Ours,
    /// It has what is asked for, and nothing shows who began it. New tasks of what ran before have no mark of ours.
    Unknown,
}

/// From where a deployment is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub enum KnownFrom {
    /// It passed through a lane of this process.
    #[default]
    Lane,
    /// ECS lists its rollout, of a revision that bears our tag.
    EcsOurs,
    /// ECS lists its rollout, and what was set aside when that ended says what it was.
    EcsLetter,
    /// ECS lists its rollout, and nothing shows that it was ours.
    Ecs,
}

impl KnownFrom {
    /// Whether only ECS tells of it: then its requests, and what was seen of it, are not known.
    pub fn is_ecs(self) -> bool {
        match self {
            Self::Lane => false,
            Self::EcsOurs | Self::EcsLetter | Self::Ecs => true,
        }
    }
}

/// How far a deployment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub enum Stage {
    /// It waits for its turn, or gathers requests.
    Waiting,
    /// Its definition is being registered and its rollout asked for.
    Starting,
    /// Its rollout is under way.
    Rollout,
    /// Its rollout failed, and ECS is going back.
    RollingBack,
    /// It has ended.
    Finished,
}

impl Stage {
    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Rollout => "rollout",
            Self::RollingBack => "rolling_back",
            Self::Finished => "finished",
        }
    }
}

/// What was seen of a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub struct Evidence {
    /// The tasks of the rollout that stopped, newest first.
    pub stopped_tasks: Vec<StoppedTask>,
    /// The last service events, newest first.
    #[cfg_attr(feature = "daemon", schema(value_type = Vec<String>))]
    pub service_events: Vec<Arc<str>>,
}

/// A target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRecord {
    /// Its id.
    pub id: TargetId,
    /// Its name.
    pub name: TargetName,
    /// Its cluster.
    pub cluster: ClusterName,
    /// Its service.
    pub service: ServiceName,
    /// What runs, as last seen; `None` before that was seen.
    pub running: Option<RunningRecord>,
    /// The rollout in progress that no deployment of this process watches, as last seen.
    pub rollout: Option<Box<RolloutRecord>>,
    /// Why nothing is deployed there, whatever is asked for.
    pub refused: Option<Arc<str>>,
    /// Its lane.
    pub lane: LaneRecord,
}

/// What runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub struct RunningRecord {
    /// Its definition.
    pub definition: DefinitionId,
    /// The image of each container.
    #[cfg_attr(feature = "daemon", schema(value_type = Vec<RunningImage>))]
    pub images: Arc<[RunningImage]>,
    /// When its rollout was created.
    pub since: Option<Timestamp>,
    /// The deployment that brought it, if it was ours.
    pub by: Option<DeploymentId>,
}

/// What one container runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub struct RunningImage {
    /// The container.
    pub container: ContainerName,
    /// The image that the definition names.
    pub image: ImageReference,
    /// The digest that runs, where it is known.
    pub digest: Option<Digest>,
}

/// A lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneRecord {
    /// What it is doing.
    pub state: LaneState,
    /// The deployment that is under way.
    pub deployment: Option<DeploymentId>,
    /// The deployment that waits: behind that one, or for whatever else lets nothing begin.
    pub next: Option<DeploymentId>,
    /// How many requests wait.
    pub waiting: usize,
    /// When it acts next by itself; `None` where it waits for an answer. It is no end of what holds it: it looks then.
    pub until: Option<Moment>,
    /// What it waits for, in words.
    pub why: Option<String>,
    /// What keeps deployments from being started, as last seen.
    pub hold: Option<HoldRecord>,
}

/// Somebody paused a target, or a rollback holds it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub struct HoldRecord {
    /// What is kept back.
    pub kind: HoldKind,
    /// Who decided so, where that is known.
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub by: Option<Arc<str>>,
    /// When that was decided, where that is known.
    pub since: Option<Timestamp>,
    /// Why, where that was said.
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub reason: Option<Arc<str>>,
}

/// What a hold keeps back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub enum HoldKind {
    /// Somebody paused the target: nothing is started.
    Paused,
    /// It was rolled back: no other content is rolled out.
    Held,
}

impl HoldKind {
    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Held => "held",
        }
    }
}

/// What became of what keeps a target back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HoldMove {
    /// It is in force: the service is tagged.
    Begun,
    /// Somebody resumed the target.
    Ended,
    /// The tag is gone, and nobody has resumed the target here.
    Vanished,
    /// The service could not be tagged, for this reason.
    Refused(String),
    /// Nothing was tagged, because nothing is to be changed.
    DryRun,
}

/// What a lane is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub enum LaneState {
    /// Nothing is asked of it.
    Idle,
    /// It gathers requests for its quiet time.
    Quiet,
    /// It looks at its target.
    Looking,
    /// It waits for a rollout that is not its own.
    Blocked,
    /// It starts a rollout.
    Starting,
    /// It watches its rollout.
    Watching,
    /// It waits for ECS to go back.
    RollingBack,
    /// It waits before it tries again.
    BackingOff,
    /// It waits because other targets of the same event come first.
    Queued,
}

impl LaneState {
    /// Every state.
    pub const ALL: [Self; 9] = [
        Self::Idle,
        Self::Quiet,
        Self::Looking,
        Self::Blocked,
        Self::Starting,
        Self::Watching,
        Self::RollingBack,
        Self::BackingOff,
        Self::Queued,
    ];

    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Quiet => "quiet",
            Self::Looking => "looking",
            Self::Blocked => "blocked",
            Self::Starting => "starting",
            Self::Watching => "watching",
            Self::RollingBack => "rolling_back",
            Self::BackingOff => "backing_off",
            Self::Queued => "queued",
        }
    }
}

/// Something that happened, to be told. Nothing is decided by it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Report {
    /// A request joined its lane; so many wait there now.
    Queued {
        /// The target.
        target: TargetId,
        /// Its name.
        name: TargetName,
        /// Why it was made.
        origin: Arc<Origin>,
        /// What is asked, in words.
        change: String,
        /// How many requests wait in the lane with it.
        waiting: usize,
    },
    /// A request turned out to ask nothing of its target, for this reason.
    Dropped {
        /// The target.
        target: TargetId,
        /// Its name.
        name: TargetName,
        /// Why it was made.
        origin: Arc<Origin>,
        /// Why nothing follows from it.
        reason: String,
    },
    /// What keeps a target back changed.
    Hold {
        /// The target.
        target: TargetId,
        /// Its name.
        name: TargetName,
        /// What was decided, by whom and when.
        hold: HoldRecord,
        /// What became of it.
        moved: HoldMove,
    },
    /// A decision turned out to ask nothing, for this reason.
    Moot {
        /// The event that it came in.
        origin: Arc<Origin>,
        /// Why nothing follows from it.
        reason: String,
    },
    /// A deployment moved: it began, its rollout started, was adopted, or is being rolled back.
    Moved(Box<DeploymentRecord>),
    /// An attempt failed, and another follows.
    Retrying {
        /// The deployment.
        deployment: Box<DeploymentRecord>,
        /// Why the attempt failed.
        reason: String,
        /// In how many milliseconds the next one is made.
        delay_ms: u64,
        /// How many attempts may still be made.
        attempts_left: u32,
    },
    /// A deployment ended.
    Finished(Box<DeploymentRecord>),
    /// A message was deleted, for this reason.
    Settled {
        /// The event.
        event_id: EventId,
        /// Why it may be deleted.
        reason: SettledBy,
    },
    /// The hold on a message was lost: it will be received again.
    LeaseLost {
        /// The event.
        event_id: EventId,
    },
    /// ECS warns of a service of ours.
    Warned(Box<ServiceWarning>),
    /// A rollout that we did not start moved.
    Foreign(Box<ForeignRollout>),
    /// A promise was broken: a defect of ours.
    PromiseBroken {
        /// Which one, as `P1`.
        promise: &'static str,
        /// What was seen.
        what: String,
    },
}

/// What ECS warns of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ServiceWarning {
    /// The target.
    pub target: TargetId,
    /// Its name.
    pub name: TargetName,
    /// ECS's name of it, as `SERVICE_TASK_START_IMPAIRED`.
    pub event: Arc<str>,
    /// ECS's words.
    pub reason: Option<Arc<str>>,
    /// When.
    pub at: Timestamp,
}

/// A rollout of a target that we did not start: a person did, Terraform, or ECS itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct ForeignRollout {
    /// The target.
    pub target: TargetId,
    /// Its name.
    pub name: TargetName,
    /// The rollout.
    pub rollout_id: RolloutId,
    /// How far it is.
    pub state: ForeignState,
    /// The definition that it rolls out, where that is known.
    pub definition: Option<DefinitionId>,
    /// ECS's words.
    pub reason: Option<Arc<str>>,
    /// When.
    pub at: Timestamp,
}

/// How far a rollout is that we did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeignState {
    /// It goes on.
    InProgress,
    /// It is complete.
    Completed,
    /// It failed.
    Failed,
}

impl ForeignState {
    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// Why a message may be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SettledBy {
    /// Reality is as new as what it asked for.
    Reality,
    /// It was sent to the dead-letter queue.
    SetAside,
    /// It asked nothing of us.
    NothingAsked,
    /// A newer message of its kind, which is held, asks the same, or replaces it.
    Newer,
    /// Everything was done but the calls that change something.
    DryRun,
}

impl SettledBy {
    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reality => "reality",
            Self::SetAside => "set_aside",
            Self::NothingAsked => "nothing_asked",
            Self::Newer => "newer",
            Self::DryRun => "dry_run",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written in JSON.
    fn written(value: impl Serialize) -> String {
        serde_json::to_value(value).unwrap().as_str().unwrap().to_owned()
    }

    #[test]
    fn a_label_is_what_is_written() {
        use SettledBy::{DryRun, Newer, NothingAsked, Reality, SetAside};

        for stage in [Stage::Waiting, Stage::Starting, Stage::Rollout, Stage::RollingBack, Stage::Finished] {
            assert_eq!(stage.as_str(), written(stage));
        }
        for state in LaneState::ALL {
            assert_eq!(state.as_str(), written(state));
        }
        for by in [Reality, SetAside, NothingAsked, Newer, DryRun] {
            assert_eq!(by.as_str(), written(by));
        }
        for kind in [HoldKind::Paused, HoldKind::Held] {
            assert_eq!(kind.as_str(), written(kind));
        }
    }
}

/// A rollout that failed while nobody watched it, so that nobody was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnwatchedRollout {
    /// The target.
    pub target: TargetId,
    /// Its name.
    pub name: TargetName,
    /// The rollout, where ECS tells its id.
    pub rollout: Option<RolloutId>,
    /// The deployment of ours that made its revision, if one did.
    pub deployment: Option<DeploymentId>,
    /// What it was to roll out.
    pub definition: DefinitionId,
    /// Whether ECS went back, rather than leave it where it was.
    pub rolled_back: bool,
    /// ECS's words.
    pub reason: Arc<str>,
    /// When it ended.
    pub ended_at: Timestamp,
}

/// What one pass of reconcile came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReconcileRecord {
    /// When it began.
    pub began_at: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// How many targets were looked at.
    pub targets: usize,
    /// How many things that they depend on were read.
    pub compared: usize,
    /// How many changes each target has not seen.
    pub drift: BTreeMap<TargetName, usize>,
    /// For how many of those the event was put on the queue again.
    pub repaired: usize,
    /// The newest rollouts of targets that failed while nobody watched them.
    pub unwatched: Vec<UnwatchedRollout>,
    /// What could not be read, and why.
    pub failures: Vec<String>,
}

impl ReconcileRecord {
    /// Of a pass that begins.
    pub fn begun(began_at: Timestamp) -> Self {
        Self {
            began_at,
            took: Duration::ZERO,
            targets: 0,
            compared: 0,
            drift: BTreeMap::new(),
            repaired: 0,
            unwatched: Vec::new(),
            failures: Vec::new(),
        }
    }
}
