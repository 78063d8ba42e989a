//! What requests for a change say, and what is answered to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{
    DefinitionId, DeploymentId, EventId, HoldKind, HoldRecord, RunningImage, TargetId, TargetName, WayBack,
};

/// What is to be deployed. Without `image`, `tag` and `definition` it is what runs, with new tasks.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeployBody {
    /// The target's name, or its id.
    pub(super) target: String,
    /// An image: `[registry/]repository[:tag][@digest]`.
    pub(super) image: Option<String>,
    /// A tag of the image that runs.
    pub(super) tag: Option<String>,
    /// A task definition: its family, `family:revision`, or its ARN.
    pub(super) definition: Option<String>,
    /// New tasks, also of what runs already.
    #[serde(default)]
    pub(super) refresh: bool,
    /// Also what runs already, and what is older than what runs.
    #[serde(default)]
    pub(super) force: bool,
    /// Why; shown to people.
    #[schema(max_length = 1000)]
    pub(super) reason: Option<String>,
    /// Where it came from; shown to people.
    pub(super) metadata: Option<MetadataBody>,
}

/// The commit, the branch, the run and the person behind a deployment.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MetadataBody {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) commit: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) branch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repository: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repository_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) run_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<String>,
}

/// Why something is decided.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReasonBody {
    /// Why; shown to people.
    #[schema(max_length = 1000)]
    pub(super) reason: Option<String>,
}

/// Where a target is to go back to.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RollbackBody {
    /// A revision, a tag or a digest; without it, the last definition that was good.
    pub(super) to: Option<String>,
    /// Whether the target is held afterwards: until somebody resumes it, other content waits, and new tasks do not. One that is
    /// held already stays so.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(super) hold: bool,
    /// Change nothing, and say what would be done.
    #[serde(default)]
    pub(super) dry_run: bool,
    /// Why; shown to people.
    #[schema(max_length = 1000)]
    pub(super) reason: Option<String>,
}

/// What was put on the queue.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    /// The event: the deployment that carries it is found by `/api/v1/deployments?event=`.
    pub(super) event_id: EventId,
    /// The target that it is about, if it is about one.
    pub(super) target: Option<TargetId>,
    /// The deployment that it is about, if it is about one.
    pub(super) deployment: Option<DeploymentId>,
    /// What the tag of the service keeps of the reason, where that is not all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) kept_reason: Option<String>,
}

/// The way back.
#[derive(Serialize, ToSchema)]
pub(super) struct RollbackAnswer {
    /// The event; null where nothing was to be changed.
    pub(super) event_id: Option<EventId>,
    pub(super) dry_run: bool,
    pub(super) target: TargetId,
    /// What it is called.
    pub(super) target_name: TargetName,
    /// What runs.
    pub(super) from: DefinitionId,
    /// The images that run.
    pub(super) from_images: Vec<RunningImage>,
    /// What is to run.
    pub(super) to: DefinitionId,
    /// The images that are to run.
    pub(super) to_images: Vec<RunningImage>,
    /// The digest that is to run in each of these containers.
    pub(super) images: BTreeMap<String, String>,
    /// The tag that each of these containers follows.
    pub(super) follow: BTreeMap<String, String>,
    /// Whether the target is held afterwards, because that is asked for or it is held already: until somebody resumes it, other
    /// content waits, and new tasks do not.
    pub(super) hold: bool,
    /// What keeps the target back now; null where nothing does. While it is paused, the rollback waits.
    pub(super) hold_now: Option<HoldRecord>,
}

impl RollbackAnswer {
    /// For the target with this name, and with what keeps it back before.
    pub(super) fn new(
        way: WayBack,
        (target_name, hold_now): (TargetName, Option<HoldRecord>),
        event_id: Option<EventId>,
    ) -> Self {
        let WayBack { target, from, from_images, to, to_images, images, follow, hold, by: _, reason: _ } =
            way;
        let texts = |(container, it): (_, _)| (ToString::to_string(&container), it);
        Self {
            dry_run: event_id.is_none(),
            event_id,
            target,
            target_name,
            from,
            from_images,
            to,
            to_images,
            images: images.into_iter().map(|(container, it)| texts((container, it.to_string()))).collect(),
            follow: follow.into_iter().map(|(container, it)| texts((container, it.to_string()))).collect(),
            hold: hold || hold_now.as_ref().is_some_and(|it| it.kind == HoldKind::Held),
            hold_now,
        }
    }
}

fn yes() -> bool {
    true
}
