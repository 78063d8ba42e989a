//! What a target depends on, as its running definition says, in the words in which events tell of changes.

use std::{fmt, sync::Arc};

use super::{AccountId, ContainerName, DefinitionView, Region, RepositoryName, TargetId, TargetSettings};

/// One account in one Region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The account.
    pub account: AccountId,
    /// The Region.
    pub region: Region,
}

/// Something whose change concerns a target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dependency {
    /// The images of a repository, of which this container runs one.
    Repository {
        /// The private registry of ECR that it is in; `None` for any other registry.
        registry: Option<Place>,
        /// Its name without the registry.
        name: RepositoryName,
        /// The container.
        container: ContainerName,
    },
    /// A parameter of SSM's Parameter Store.
    Parameter {
        /// Where it is read from.
        place: Place,
        /// Its name, without version or label; a hierarchy begins with a slash.
        name: Arc<str>,
    },
    /// A secret of Secrets Manager.
    Secret {
        /// Where it is read from.
        place: Place,
        /// What stands behind `secret:` in its ARN: the name, as a rule with a hyphen and six random characters behind it.
        name: Arc<str>,
    },
    /// An object in S3.
    File {
        /// The bucket.
        bucket: Arc<str>,
        /// The key.
        key: Arc<str>,
    },
}

/// A revision, and what tasks of it read when they start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionReading {
    /// The revision with its images and our tags.
    pub view: DefinitionView,
    /// What it depends on, its images among it; in order, each once.
    pub dependencies: Vec<Dependency>,
}

/// A target that was found in AWS, rather than named in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// The target.
    pub target: TargetId,
    /// How it is deployed, by the defaults and by the tags of its service.
    pub settings: Arc<TargetSettings>,
    /// Why it is not deployed, if it is not: its owner said so, or its tags cannot be understood.
    pub refused: Option<Arc<str>>,
    /// What the definitions of its live rollouts depend on; in order, each once.
    pub dependencies: Vec<Dependency>,
}

impl Place {
    /// Where this target is.
    pub fn of(target: &TargetId) -> Self {
        Self { account: target.account().clone(), region: target.region().clone() }
    }

    /// Whether this target is here.
    pub fn has(&self, target: &TargetId) -> bool {
        self.account == *target.account() && self.region == *target.region()
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}
