//! How a deployment ends, and why one fails.

use serde::{Deserialize, Serialize};

/// How a deployment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub enum Outcome {
    /// The rollout is the primary one, is complete, and runs what was asked.
    Succeeded,
    /// What was asked ran already; no rollout was started.
    AlreadyRunning,
    /// Something newer took its place.
    Superseded,
    /// It failed, and what ran before may or may not run still.
    Failed,
    /// It failed, and ECS went back to what ran before.
    RolledBack,
    /// It was not started, or stopped before it was complete, because somebody or the settings said so.
    Cancelled,
    /// Everything was done but the calls that change something.
    DryRun,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 7] = [
        Self::Succeeded,
        Self::AlreadyRunning,
        Self::Superseded,
        Self::Failed,
        Self::RolledBack,
        Self::Cancelled,
        Self::DryRun,
    ];

    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::AlreadyRunning => "already_running",
            Self::Superseded => "superseded",
            Self::Failed => "failed",
            Self::RolledBack => "rolled_back",
            Self::Cancelled => "cancelled",
            Self::DryRun => "dry_run",
        }
    }

    /// Whether it was tried, and failed.
    pub fn is_failure(self) -> bool {
        match self {
            Self::Failed | Self::RolledBack => true,
            Self::Succeeded | Self::AlreadyRunning | Self::Superseded | Self::Cancelled | Self::DryRun => {
                false
            }
        }
    }
}

/// Why a deployment failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "daemon", derive(utoipa::ToSchema))]
pub enum Cause {
    /// An image could not be pulled.
    ImagePull,
    /// A container kept exiting.
    CrashLoop,
    /// A health check kept failing.
    HealthCheck,
    /// A container was killed for its memory.
    OutOfMemory,
    /// No capacity for its tasks.
    Placement,
    /// A secret or parameter could not be read.
    SecretUnreadable,
    /// A permission is missing.
    Permission,
    /// An alarm went off.
    Alarm,
    /// No progress for as long as the settings allow, or no answer of AWS.
    Timeout,
    /// AWS kept throttling.
    Throttled,
    /// The task definition cannot be had, or not be deployed.
    DefinitionInvalid,
    /// The service is not there.
    TargetMissing,
    /// None of the others can be shown.
    Unknown,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 13] = [
        Self::ImagePull,
        Self::CrashLoop,
        Self::HealthCheck,
        Self::OutOfMemory,
        Self::Placement,
        Self::SecretUnreadable,
        Self::Permission,
        Self::Alarm,
        Self::Timeout,
        Self::Throttled,
        Self::DefinitionInvalid,
        Self::TargetMissing,
        Self::Unknown,
    ];

    /// As a label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ImagePull => "image_pull",
            Self::CrashLoop => "crash_loop",
            Self::HealthCheck => "health_check",
            Self::OutOfMemory => "out_of_memory",
            Self::Placement => "placement",
            Self::SecretUnreadable => "secret_unreadable",
            Self::Permission => "permission",
            Self::Alarm => "alarm",
            Self::Timeout => "timeout",
            Self::Throttled => "throttled",
            Self::DefinitionInvalid => "definition_invalid",
            Self::TargetMissing => "target_missing",
            Self::Unknown => "unknown",
        }
    }
}

/// Why a deployment failed, with what was seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Failure {
    /// The kind.
    pub cause: Cause,
    /// One line for people.
    pub reason: String,
}

impl Failure {
    /// A failure of this kind, said in one line.
    pub fn new(cause: Cause, reason: impl Into<String>) -> Self {
        Self { cause, reason: reason.into() }
    }
}
