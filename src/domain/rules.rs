//! Which events reach which targets, as the settings say it. Routing is done with these; nothing is looked up.

use std::{collections::BTreeMap, sync::Arc};

use super::{AccountId, ClusterName, Glob, Region, ServiceName, TargetSettings};

/// One explicit target and what it depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRule {
    /// The account that owns it; `None` means Lockkeeper's own.
    pub account: Option<AccountId>,
    /// Its Region; `None` means Lockkeeper's own.
    pub region: Option<Region>,
    /// Its cluster.
    pub cluster: ClusterName,
    /// ECS's name of it.
    pub service: ServiceName,
    /// The repositories whose images it runs.
    pub repositories: Vec<Glob>,
    /// The SSM parameters that it reads, by name.
    pub parameters: Vec<Glob>,
    /// The Secrets Manager secrets that it reads, by name.
    pub secrets: Vec<Glob>,
    /// The environment files that it loads.
    pub files: Vec<FilePattern>,
    /// How it is deployed, its name among it.
    pub settings: Arc<TargetSettings>,
}

/// Objects in S3, written `s3://bucket/key` where the key may be a glob.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePattern {
    /// The bucket.
    pub bucket: Arc<str>,
    /// Its keys.
    pub key: Glob,
}

/// Targets found by the names of things. In each pattern `{project}`, `{env}` and `{name}` are placeholders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The project: what is named after another one is not ours.
    pub project: Arc<str>,
    /// The environment.
    pub environment: Arc<str>,
    /// The cluster, by default `{project}_cluster_{env}`.
    pub cluster: Arc<str>,
    /// ECS's name of a service, by default `{project}_service_{name}_{env}`.
    pub service: Arc<str>,
    /// The family of a service's task definition, by default `{project}_service_{name}_{env}`.
    pub family: Arc<str>,
    /// The repository of a service's image; by default `{project}_service_{name}`, and `{project}_backend` for the backend.
    pub repository: Arc<str>,
    /// The hierarchy of a service's parameters, by default `/{env}/{project}/{name}/`: all below it counts.
    pub parameter: Arc<str>,
    /// What the backend service is called beside `backend` and the empty name.
    pub backend: Option<Arc<str>>,
    /// Services whose names do not follow the patterns, by what events call them.
    pub services: BTreeMap<Arc<str>, NamedService>,
    /// The environment files of services, by what events call them.
    pub files: BTreeMap<Arc<str>, Vec<FilePattern>>,
    /// How all of them are deployed; the name and the family are filled in for each.
    pub defaults: Arc<TargetSettings>,
}

/// A service whose names are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedService {
    /// ECS's name of it.
    pub service: ServiceName,
    /// The family of its task definition.
    pub family: Arc<str>,
}
