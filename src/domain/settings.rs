//! How one target is to be deployed: data that travels with each request.

use std::{sync::Arc, time::Duration};

use super::{ContainerName, Glob, TagPolicy, TargetName};

/// How one target is to be deployed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetSettings {
    /// What people and events call it.
    pub name: TargetName,
    /// What a push of its image does.
    pub on_push: OnPush,
    /// Which tags `pin` takes.
    pub tags: TagPolicy,
    /// Tags that no policy takes.
    pub ignore_tags: Vec<TagPolicy>,
    /// What a pinned revision names.
    pub image_reference: ImageStyle,
    /// The container that images are for; without, those whose image is of the pushed repository.
    pub container: Option<ContainerName>,
    /// Which definition a deployment starts from.
    pub base: Base,
    /// How long a lane gathers requests before it deploys them as one.
    pub quiet: Duration,
    /// How long a rollout may go without progress.
    pub timeout: Duration,
    /// How often a transient failure is tried again.
    pub retries: u32,
    /// Whether a rollout that failed, or makes no progress, is undone where ECS does not do so by itself.
    pub rollback: bool,
    /// What happens to a rollout in progress when something newer is asked for.
    pub on_newer: OnNewer,
    /// Of the targets that one event reaches, at most so many of a cluster are deployed at a time; zero is no limit.
    pub max_parallel: u32,
    /// Once so many targets of one event have failed, no more of them is started; zero is never.
    pub stop_after: u32,
    /// The branches from which an image may be announced; empty means any.
    pub branches: Vec<Glob>,
    /// Whether the deletion of a parameter, secret or file deploys.
    pub on_delete: OnDelete,
    /// Whether everything is done but the calls that change something.
    pub dry_run: bool,
    /// Which triggers are switched on.
    pub triggers: TriggerSwitches,
}

/// What a push of a target's image does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnPush {
    /// A push of the tag that the running definition names starts a new deployment of it.
    Follow,
    /// A push of a tag that the policy takes becomes a new revision that names it.
    Pin,
    /// Every tagged push starts a new deployment.
    Always,
    /// Pushes do nothing.
    Ignore,
}

/// What a pinned revision names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ImageStyle {
    /// `repository:tag`
    Tag,
    /// `repository@digest`, where the digest is known.
    Digest,
}

/// Which definition a deployment starts from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Base {
    /// The one of the last completed rollout.
    Running,
    /// The newest ACTIVE revision of a family: this one, or that of the running definition.
    Latest(Option<Arc<str>>),
}

/// What happens to a rollout in progress when something newer is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnNewer {
    /// The newer waits for its end.
    Queue,
    /// The newer supersedes it at once, unless it is a rollback.
    Interrupt,
    /// The newer supersedes it if it is failing, and waits otherwise.
    WhenFailing,
}

/// Whether the deletion of something that a target reads deploys it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnDelete {
    /// It only warns: new tasks would fail to start.
    Warn,
    /// It refreshes, as a change would.
    Deploy,
}

/// Which triggers are switched on for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TriggerSwitches {
    /// Pushes, replications and announcements of images.
    pub images: bool,
    /// Changes of SSM parameters.
    pub parameters: bool,
    /// Changes of Secrets Manager secrets.
    pub secrets: bool,
    /// Changes of environment files.
    pub files: bool,
    /// Deploy requests of people and scripts.
    pub requests: bool,
}

/// Which part of the calls that AWS allows an account may be ours, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BudgetShare(u16);

impl BudgetShare {
    /// Half: as much as is left to everybody else.
    pub const HALF: Self = Self(500);
    /// A hundredth, in thousandths: with less, one call of the scarcest kind would take minutes.
    const SMALLEST: u16 = 10;
    /// All.
    const LARGEST: u16 = 1_000;

    /// From thousandths; `None` if it is less than a hundredth, or more than all.
    pub fn from_per_mille(per_mille: u16) -> Option<Self> {
        (Self::SMALLEST..=Self::LARGEST).contains(&per_mille).then_some(Self(per_mille))
    }

    /// In thousandths.
    pub fn per_mille(self) -> u16 {
        self.0
    }
}

impl TriggerSwitches {
    /// Every trigger on.
    pub const ALL: Self = Self { images: true, parameters: true, secrets: true, files: true, requests: true };
}

impl TargetSettings {
    /// The defaults of every key, as `config/default.toml` has them.
    pub fn named(name: TargetName) -> Self {
        Self {
            name,
            on_push: OnPush::Follow,
            tags: TagPolicy::NEWEST,
            ignore_tags: Vec::new(),
            image_reference: ImageStyle::Tag,
            container: None,
            base: Base::Running,
            quiet: Duration::from_secs(5),
            timeout: Duration::from_mins(30),
            retries: 2,
            rollback: true,
            on_newer: OnNewer::WhenFailing,
            max_parallel: 10,
            stop_after: 3,
            branches: Vec::new(),
            on_delete: OnDelete::Warn,
            dry_run: false,
            triggers: TriggerSwitches::ALL,
        }
    }
}
