//! What can be wrong with a service before anything is deployed: the reads of `check`. All of them can wait.

use std::collections::BTreeMap;

use aws_sdk_ecs::types::{self, ServiceField};

use super::{
    Ecs, GLANCE_BATCH,
    history::{Wanted, list_failed},
    service::{Progress, Service, rolls_back},
};
use crate::{
    aws::{
        budget::Urgency,
        connect::READ_ATTEMPTS,
        failure::{Kind, Verb},
    },
    domain::{
        self, CallFailure, Cause, DefinitionId, Dependency, ImageReference, Place, Remedy, ServiceState,
        TargetId,
    },
};

/// How many services one [`Ecs::inspect`] takes.
pub const INSPECT_BATCH: usize = GLANCE_BATCH;

/// No service is called so.
const NOBODY: &str = "lockkeeper-check-of-permissions";

/// A service as somebody sees it who asks whether it can be deployed well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    /// Whether it is there.
    pub state: ServiceState,
    /// The definition of its primary deployment.
    pub definition: Option<DefinitionId>,
    /// How many tasks are wanted.
    pub desired: u32,
    /// What watches its rollouts.
    pub guard: Guard,
    /// Of a hundred tasks, how many run at least and at most while it is rolled out.
    pub percent: (u32, u32),
    /// How it is rolled out, where not in the rolling way.
    pub strategy: Option<String>,
    /// Whether one of the deployments that it shows is complete.
    pub complete: bool,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// What ends a rollout that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// Nothing.
    None,
    /// The circuit breaker or alarms, which leave what failed where it is.
    Stops,
    /// The circuit breaker or alarms, which go back.
    RollsBack,
}

/// A revision, as somebody sees it who asks whether it can be rolled out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectedDefinition {
    /// Whether a service can be updated to it.
    pub active: bool,
    /// Each container's name and image, and what the text is where it is no image.
    pub images: Vec<(String, Result<ImageReference, String>)>,
    /// What its tasks read when they start.
    pub dependencies: Vec<Dependency>,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// The roles that whoever registers it must be allowed to pass.
    pub roles: Vec<String>,
    /// The queues that containers of it receive events from: those that run Lockkeeper.
    pub receives_from: Vec<String>,
}

impl Ecs {
    /// Up to [`INSPECT_BATCH`] services of one cluster, with their tags: an answer for each.
    pub async fn inspect(
        &self,
        targets: &[TargetId],
    ) -> Result<BTreeMap<TargetId, Result<Inspected, CallFailure>>, CallFailure> {
        const OPERATION: &str = "DescribeServices";
        let Some(first) = targets.first() else { return Ok(BTreeMap::new()) };
        let reach = self.reach(first)?;
        let names = targets.iter().map(|target| target.service().as_str().to_owned()).collect();
        let call = reach.reads.describe_services().cluster(first.cluster().as_str());
        let call = call.set_services(Some(names)).include(ServiceField::Tags);
        let missing = |target: &TargetId| (target.clone(), Ok(Inspected::missing()));
        let mut found: BTreeMap<_, _> = targets.iter().map(missing).collect();
        let answer = match reach.ask(OPERATION, READ_ATTEMPTS, Urgency::Later, || call.clone().send()).await {
            Err(fault) if fault.kind() == Kind::Missing => return Ok(found),
            answer => answer.map_err(|fault| fault.of_call(OPERATION, Verb::Read))?,
        };
        for (target, slot) in &mut found {
            let name = target.service().as_str();
            let failed = answer.failures().iter().find(|it| last_part(it.arn()) == name);
            if let Some(service) = answer.services().iter().find(|it| it.service_name() == Some(name)) {
                *slot = Ok(Inspected { state: reach.state(service), ..Inspected::read(service) });
            } else if let Some(reason) = failed.and_then(|it| it.reason()).filter(|it| *it != "MISSING") {
                let reason = format!("{OPERATION}: {reason}");
                *slot = Err(CallFailure { cause: Cause::Unknown, reason, remedy: Remedy::Retry });
            }
        }
        Ok(found)
    }

    /// Whether a rollout of this service was ever complete, as far as ECS remembers: 90 days; `None` where the endpoint does not
    /// tell.
    pub async fn ever_completed(&self, target: &TargetId) -> Result<Option<bool>, CallFailure> {
        let reach = self.reach(target)?;
        match reach.list(target, &Wanted::Successful).await {
            Ok(listed) => Ok(listed.map(|listed| !listed.is_empty())),
            Err(fault) if fault.looks_unimplemented() => Ok(None),
            Err(fault) => Err(list_failed(&fault)),
        }
    }

    /// A revision; `None` if there is none.
    pub async fn inspect_definition(
        &self,
        target: &TargetId,
        id: &DefinitionId,
    ) -> Result<Option<InspectedDefinition>, CallFailure> {
        let document = self.reach(target)?.document(&id.clone().into()).await?;
        Ok(document.map(|document| InspectedDefinition {
            active: document.active,
            images: document.all_images(),
            dependencies: domain::dependencies(document.fields(), &Place::of(target)),
            roles: document.roles(),
            receives_from: document.values_of("LOCKKEEPER__QUEUE__URL"),
            tags: document.tags().clone(),
        }))
    }
}

impl Ecs {
    /// Whether services of this target's cluster may be updated, as a call about one that is not there tells; `None` if it does
    /// not.
    pub async fn may_update(&self, target: &TargetId) -> Option<bool> {
        let reach = self.reach(target).ok()?;
        let call = reach.changes.update_service().cluster(target.cluster().as_str()).service(NOBODY);
        let answer = reach.ask("UpdateService", 1, Urgency::Later, || call.clone().send()).await;
        match answer.err()?.kind() {
            Kind::Missing => Some(true),
            Kind::Denied => Some(false),
            Kind::Throttled
            | Kind::Credentials
            | Kind::Unsupported
            | Kind::Refused
            | Kind::Server
            | Kind::Lost
            | Kind::Unreachable => None,
        }
    }
}

impl Inspected {
    fn missing() -> Self {
        Self {
            state: ServiceState::Missing,
            definition: None,
            desired: 0,
            guard: Guard::None,
            percent: (100, 200),
            strategy: None,
            complete: false,
            tags: BTreeMap::new(),
        }
    }

    fn read(service: &types::Service) -> Self {
        let read = Service::read(service);
        let primary = read.primary().and_then(|entry| entry.definition.clone());
        let configuration = service.deployment_configuration();
        let percent =
            |value: Option<i32>, usual| value.and_then(|it| u32::try_from(it).ok()).unwrap_or(usual);
        Self {
            definition: primary.or_else(|| read.definition.clone()),
            desired: read.desired,
            guard: configuration.map_or(Guard::None, guard),
            percent: (
                percent(configuration.and_then(types::DeploymentConfiguration::minimum_healthy_percent), 100),
                percent(configuration.and_then(types::DeploymentConfiguration::maximum_percent), 200),
            ),
            strategy: configuration
                .and_then(|it| it.strategy())
                .map(|it| it.as_str().to_owned())
                .filter(|it| it != "ROLLING"),
            complete: read.entries.iter().any(|entry| read.progress(entry) == Progress::Completed),
            tags: pairs(service.tags()),
            state: read.state,
        }
    }
}

fn guard(configuration: &types::DeploymentConfiguration) -> Guard {
    let breaker =
        configuration.deployment_circuit_breaker().is_some_and(types::DeploymentCircuitBreaker::enable);
    let alarms = configuration.alarms().is_some_and(types::DeploymentAlarms::enable);
    match (rolls_back(configuration), breaker || alarms) {
        (true, _) => Guard::RollsBack,
        (false, true) => Guard::Stops,
        (false, false) => Guard::None,
    }
}

fn pairs(tags: &[types::Tag]) -> BTreeMap<String, String> {
    let pair = |tag: &types::Tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()));
    tags.iter().filter_map(pair).collect()
}

fn last_part(arn: Option<&str>) -> &str {
    arn.unwrap_or_default().rsplit('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{DeploymentCircuitBreaker, DeploymentConfiguration};

    use super::*;

    #[test]
    fn a_breaker_without_rollback_only_stops() {
        let of = |enable, rollback| {
            let breaker = DeploymentCircuitBreaker::builder().enable(enable).rollback(rollback).build();
            guard(&DeploymentConfiguration::builder().deployment_circuit_breaker(breaker).build())
        };
        assert_eq!([of(true, true), of(true, false)], [Guard::RollsBack, Guard::Stops]);
        assert_eq!([of(false, true), of(false, false)], [Guard::None, Guard::None]);
    }

    #[test]
    fn a_service_that_says_little_has_what_ecs_gives_it() {
        let read = Inspected::read(&types::Service::builder().status("ACTIVE").build());
        assert_eq!((read.guard, read.percent, read.strategy), (Guard::None, (100, 200), None));
        assert!(!read.complete && read.definition.is_none());
    }
}
