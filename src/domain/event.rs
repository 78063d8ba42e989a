//! One EventBridge event, and what it means to us.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    AccountId, ContainerName, DefinitionChange, DeploymentId, Digest, EventId, ImageReference, Metadata,
    Region, RepositoryName, RolloutId, Tag, Timestamp,
};

/// The source of events that we put on the queue ourselves, for changes whose own events were lost.
pub const RECONCILE_SOURCE: &str = "lockkeeper.reconcile";

/// The source of what people ask us for, and that we put on the queue ourselves.
pub const REQUEST_SOURCE: &str = "lockkeeper.request";

/// The source of what people decided.
pub const DECISION_SOURCE: &str = "lockkeeper.decision";

/// The source of notices that could not be delivered at once, and that we put on the queue ourselves.
pub const NOTICE_SOURCE: &str = "lockkeeper.notice";

/// One event as received in one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// EventBridge's id; where a message has none, one made of its content.
    pub id: EventId,
    /// Who emitted it, as `aws.ecr`.
    pub source: Arc<str>,
    /// Its detail-type as sent.
    pub detail_type: Arc<str>,
    /// The account that it happened in; some emulators leave it out.
    pub account: Option<AccountId>,
    /// The Region that it happened in.
    pub region: Option<Region>,
    /// When it happened.
    pub time: Timestamp,
    /// The name of the EventBridge replay that sent it again, if one did.
    pub replay: Option<Arc<str>>,
    /// The commit, run and person behind it, where whoever sent it says.
    pub metadata: Option<Arc<Metadata>>,
    /// What it means.
    pub trigger: Trigger,
}

/// What an event means to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// A tagged image was pushed.
    ImagePushed(PushedImage),
    /// An image arrived in a replica's Region.
    ImageReplicated(PushedImage),
    /// A scan of an image has ended.
    ImageScanned(ScannedImage),
    /// An SSM parameter was written or deleted.
    ParameterChanged {
        /// Its name, with the leading slash of a hierarchy.
        name: Arc<str>,
        /// What was done to it.
        change: Write,
    },
    /// A Secrets Manager secret has a new current value, or was deleted.
    SecretChanged {
        /// Its name or ARN, as the event gives it.
        secret: Arc<str>,
        /// What was done to it.
        change: Write,
    },
    /// An object in S3 was written or deleted.
    EnvFileChanged {
        /// The bucket.
        bucket: Arc<str>,
        /// The key, decoded.
        key: Arc<str>,
        /// What was done to it.
        change: Write,
    },
    /// A CI system says that an image is ready to be deployed.
    ImageReady(ReadyImage),
    /// A person or script asks for a deployment.
    DeployRequested(DeployRequest),
    /// Somebody decides about a deployment or target.
    Decision(Decision),
    /// ECS tells that a rollout moved: a hint to look at its service.
    RolloutChanged(RolloutHint),
    /// ECS tells that a task stopped.
    TaskStopped(TaskHint),
    /// ECS tells that a deployment waits for somebody at a lifecycle hook.
    HookWaiting(HookHint),
    /// The event asks nothing of us, for this reason.
    Ignored(String),
    /// The event cannot be understood, for this reason.
    Malformed(String),
}

/// What was done to a parameter, secret or file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Write {
    /// It came into being.
    Created,
    /// It has a new value; for a file also that it came into being, which S3 does not tell apart.
    Updated,
    /// It is gone.
    Deleted,
}

/// An image that was pushed or replicated. Its registry is the event's account and Region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedImage {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag that was set: one event per tag.
    pub tag: Tag,
    /// What the tag now means; the index, for an image of several platforms.
    pub digest: Option<Digest>,
    /// Whether that is an index of several images; `None` where nobody said.
    pub is_index: Option<bool>,
}

/// The result of a scan. Severities that the event does not name count as 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannedImage {
    /// The repository.
    pub repository: RepositoryName,
    /// The image.
    pub digest: Digest,
    /// Whether the scan completed.
    pub complete: bool,
    /// How many findings are critical.
    pub critical: u64,
    /// How many findings are high.
    pub high: u64,
}

/// An image that a CI system announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadyImage {
    /// The repository, without a registry.
    pub repository: RepositoryName,
    /// The tag to deploy.
    pub tag: Tag,
    /// The branch that it was built from.
    pub branch: Option<Arc<str>>,
    /// The commit that it was built from.
    pub commit: Option<Arc<str>>,
}

/// A deployment that somebody asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeployRequest {
    /// The target's name, or its service's; the empty name is the backend's.
    pub service: Arc<str>,
    /// The environment that is meant; without, ours.
    pub environment: Option<Arc<str>>,
    /// What is to be deployed.
    pub wanted: Wanted,
    /// Whether to deploy even if it runs already.
    pub force: bool,
    /// Why.
    pub reason: Option<Arc<str>>,
    /// Who asks.
    pub requested_by: Option<Arc<str>>,
    /// The branch that it concerns.
    pub branch: Option<Arc<str>>,
    /// The commit that it concerns.
    pub commit: Option<Arc<str>>,
}

/// What a deploy request asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// New tasks of what runs.
    #[default]
    Refresh,
    /// This definition.
    Definition(DefinitionChange),
    /// This image.
    Image(ImageReference),
    /// This tag of the image that runs.
    Tag(Tag),
    /// Back to what was good.
    Rollback(DefinitionChange),
}

/// What somebody decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Which kind.
    pub verb: DecisionVerb,
    /// What it is about.
    pub about: Subject,
    /// Who decided.
    pub by: Option<Arc<str>>,
    /// Why.
    pub reason: Option<Arc<str>>,
}

/// What a decision is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A deployment.
    Deployment {
        /// Its id.
        id: DeploymentId,
        /// Its target, by name or id, where that is said.
        target: Option<Arc<str>>,
        /// The events that asked for it, where they are said: by them it is known also where some are gone.
        events: Vec<EventId>,
    },
    /// A target, by name or id.
    Target(Arc<str>),
    /// Every target.
    All,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployment { id, target: None, .. } => write!(f, "{id}"),
            Self::Deployment { id, target: Some(target), .. } => write!(f, "{id} of {target}"),
            Self::Target(target) => f.write_str(target),
            Self::All => f.write_str("all"),
        }
    }
}

/// The kinds of decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DecisionVerb {
    /// A waiting deployment may start.
    Approve,
    /// A waiting deployment must not start.
    Reject,
    /// A deployment is to be given up.
    Cancel,
    /// A target is to be left alone.
    Pause,
    /// A paused target may be deployed again.
    Resume,
}

/// A sign that a service's rollout moved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutHint {
    /// The cluster's name, where the ARN tells.
    pub cluster: Option<Arc<str>>,
    /// The service's name.
    pub service: Arc<str>,
    /// ECS's name of what happened, as `SERVICE_DEPLOYMENT_COMPLETED`.
    pub event_name: Arc<str>,
    /// The rollout that it is about.
    pub rollout: Option<RolloutId>,
    /// ECS's words.
    pub reason: Option<Arc<str>>,
}

/// A task that stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskHint {
    /// The cluster's name.
    pub cluster: Arc<str>,
    /// The service that the task belonged to.
    pub service: Arc<str>,
    /// The rollout that started it.
    pub rollout: Option<RolloutId>,
    /// Why it stopped.
    pub stopped: StoppedTask,
}

/// Why a task stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub struct StoppedTask {
    /// The task's id.
    #[cfg_attr(feature = "daemon", schema(value_type = String))]
    pub task: Arc<str>,
    /// ECS's code, as `TaskFailedToStart` or `EssentialContainerExited`.
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub stop_code: Option<Arc<str>>,
    /// ECS's words about the task.
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub reason: Option<Arc<str>>,
    /// The container that failed, if one can be named.
    pub container: Option<ContainerName>,
    /// Its exit code; absent when it never ran.
    pub exit_code: Option<i32>,
    /// ECS's words about the container.
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub container_reason: Option<Arc<str>>,
    /// Where CloudWatch shows what the container wrote, if its definition logs there.
    #[cfg_attr(feature = "daemon", schema(value_type = Option<String>))]
    pub log_url: Option<Arc<str>>,
}

/// A deployment that waits at a lifecycle hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookHint {
    /// The cluster's name, where the ARN tells.
    pub cluster: Option<Arc<str>>,
    /// The service's name.
    pub service: Arc<str>,
    /// The hook.
    pub hook: Arc<str>,
    /// The lifecycle stage that it holds.
    pub stage: Arc<str>,
    /// Until when it waits.
    pub expires_at: Option<Timestamp>,
}

impl Trigger {
    /// The name of its kind: a closed set, used as a label.
    pub fn kind(&self) -> TriggerKind {
        match self {
            Self::ImagePushed(_) => TriggerKind::ImagePushed,
            Self::ImageReplicated(_) => TriggerKind::ImageReplicated,
            Self::ImageScanned(_) => TriggerKind::ImageScanned,
            Self::ParameterChanged { .. } => TriggerKind::ParameterChanged,
            Self::SecretChanged { .. } => TriggerKind::SecretChanged,
            Self::EnvFileChanged { .. } => TriggerKind::EnvFileChanged,
            Self::ImageReady(_) => TriggerKind::ImageReady,
            Self::DeployRequested(_) => TriggerKind::DeployRequested,
            Self::Decision(_) => TriggerKind::Decision,
            Self::RolloutChanged(_) => TriggerKind::RolloutChanged,
            Self::TaskStopped(_) => TriggerKind::TaskStopped,
            Self::HookWaiting(_) => TriggerKind::HookWaiting,
            Self::Ignored(_) => TriggerKind::Ignored,
            Self::Malformed(_) => TriggerKind::Malformed,
        }
    }

    /// Who asks, where it is somebody who asks.
    pub fn by(&self) -> Option<&Arc<str>> {
        match self {
            Self::DeployRequested(request) => request.requested_by.as_ref(),
            Self::Decision(decision) => decision.by.as_ref(),
            Self::ImagePushed(_)
            | Self::ImageReplicated(_)
            | Self::ImageScanned(_)
            | Self::ParameterChanged { .. }
            | Self::SecretChanged { .. }
            | Self::EnvFileChanged { .. }
            | Self::ImageReady(_)
            | Self::RolloutChanged(_)
            | Self::TaskStopped(_)
            | Self::HookWaiting(_)
            | Self::Ignored(_)
            | Self::Malformed(_) => None,
        }
    }
}

/// The kinds of trigger, as labels and in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "each stands for the variant of Trigger with its name")]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub enum TriggerKind {
    ImagePushed,
    ImageReplicated,
    ImageScanned,
    ParameterChanged,
    SecretChanged,
    EnvFileChanged,
    ImageReady,
    DeployRequested,
    Decision,
    RolloutChanged,
    TaskStopped,
    HookWaiting,
    Ignored,
    Malformed,
}

impl TriggerKind {
    /// Every kind, in the order of the pipeline.
    pub const ALL: [Self; 14] = [
        Self::ImagePushed,
        Self::ImageReplicated,
        Self::ImageScanned,
        Self::ParameterChanged,
        Self::SecretChanged,
        Self::EnvFileChanged,
        Self::ImageReady,
        Self::DeployRequested,
        Self::Decision,
        Self::RolloutChanged,
        Self::TaskStopped,
        Self::HookWaiting,
        Self::Ignored,
        Self::Malformed,
    ];

    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ImagePushed => "image_pushed",
            Self::ImageReplicated => "image_replicated",
            Self::ImageScanned => "image_scanned",
            Self::ParameterChanged => "parameter_changed",
            Self::SecretChanged => "secret_changed",
            Self::EnvFileChanged => "env_file_changed",
            Self::ImageReady => "image_ready",
            Self::DeployRequested => "deploy_requested",
            Self::Decision => "decision",
            Self::RolloutChanged => "rollout_changed",
            Self::TaskStopped => "task_stopped",
            Self::HookWaiting => "hook_waiting",
            Self::Ignored => "ignored",
            Self::Malformed => "malformed",
        }
    }
}
