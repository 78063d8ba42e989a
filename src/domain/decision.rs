//! What somebody decided, as far as it is known whom it is about.

use std::{collections::BTreeSet, sync::Arc};

use super::{DeploymentId, EventId, HoldDecision, Origin, TargetId, TargetSettings, Timestamp};

/// A decision about what keeps one target back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldRequest {
    /// The target.
    pub target: TargetId,
    /// How it is deployed.
    pub settings: Arc<TargetSettings>,
    /// What was decided.
    pub decision: HoldDecision,
    /// The event that says so, for people.
    pub origin: Arc<Origin>,
}

/// A deployment that is to be given up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cancellation {
    /// Its id.
    pub deployment: DeploymentId,
    /// Its target, where that was said.
    pub target: Option<TargetId>,
    /// The events that asked for it, where they were said.
    pub events: BTreeSet<EventId>,
    /// When that was said, by AWS's clock.
    pub at: Timestamp,
    /// The event that says so, for people.
    pub origin: Arc<Origin>,
}
