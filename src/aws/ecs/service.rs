//! A service as DescribeServices shows it.

use std::{collections::BTreeMap, sync::Arc};

use aws_sdk_ecs::{
    primitives::DateTime,
    types::{self, DeploymentControllerType, DeploymentRolloutState},
};

use super::{definition::OURS, discover::tags};
use crate::domain::{
    DefinitionId, Glance, Holds, LiveRollout, RolloutId, ServiceEvent, ServiceState, Tasks, Timestamp,
    redacted,
};

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) state: ServiceState,
    pub(super) created_at: Option<Timestamp>,
    pub(super) desired: u32,
    /// The definition that it has now; `None` where an emulator shows none that has a revision.
    pub(super) definition: Option<DefinitionId>,
    /// Whether its circuit breaker or its alarms roll back.
    pub(super) rolls_back: bool,
    /// Its deployments, the primary one first, then newest first.
    pub(super) entries: Vec<Entry>,
    /// The ARN of its newest service deployment.
    pub(super) current: Option<Arc<str>>,
    /// The ARNs of the revisions that have tasks.
    pub(super) revisions: Vec<Arc<str>>,
    /// Newest first.
    pub(super) events: Vec<ServiceEvent>,
    /// What its tags say of what keeps it back, if they were asked for.
    pub(super) holds: Holds,
    /// Those that may say how it is deployed.
    pub(super) tags: BTreeMap<String, String>,
}

/// One of a service's deployments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// `ecs-svc/…`
    pub(super) id: RolloutId,
    pub(super) primary: bool,
    pub(super) definition: Option<DefinitionId>,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    /// Absent for services behind a Classic Load Balancer.
    pub(super) progress: Option<Progress>,
    pub(super) tasks: Tasks,
    pub(super) reason: Arc<str>,
}

/// ECS's `rolloutState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Ongoing,
    Completed,
    Failed,
}

impl Service {
    /// One that is not there.
    pub(super) fn missing() -> Self {
        Self {
            state: ServiceState::Missing,
            created_at: None,
            desired: 0,
            definition: None,
            rolls_back: false,
            entries: Vec::new(),
            current: None,
            revisions: Vec::new(),
            events: Vec::new(),
            holds: Holds::default(),
            tags: BTreeMap::new(),
        }
    }

    /// From the SDK's.
    pub(super) fn read(service: &types::Service) -> Self {
        let mut entries: Vec<Entry> = service.deployments().iter().filter_map(Entry::read).collect();
        entries.sort_by_key(|entry| (!entry.primary, std::cmp::Reverse(entry.created_at)));
        let events = service.events().iter().filter_map(|event| {
            Some(ServiceEvent { at: time(event.created_at())?, message: redacted(event.message()?).into() })
        });
        let mut events: Vec<ServiceEvent> = events.collect();
        events.sort_by_key(|event| std::cmp::Reverse(event.at));
        let revisions = service.current_service_revisions().iter();
        Self {
            state: state(service),
            created_at: time(service.created_at()),
            desired: count(service.desired_count()),
            definition: service.task_definition().and_then(|text| text.parse().ok()),
            rolls_back: service.deployment_configuration().is_some_and(rolls_back),
            entries,
            current: service.current_service_deployment().map(Into::into),
            revisions: revisions.filter_map(|revision| revision.arn().map(Into::into)).collect(),
            events,
            holds: holds(service),
            tags: settings(service),
        }
    }

    /// The primary deployment.
    pub(super) fn primary(&self) -> Option<&Entry> {
        self.entries.first().filter(|entry| entry.primary)
    }

    /// What one glance tells.
    pub(super) fn glance(&self) -> Glance {
        let live = self.entries.iter().map(|entry| LiveRollout {
            id: entry.id.clone(),
            primary: entry.primary,
            in_progress: entry.primary && self.progress(entry) == Progress::Ongoing,
            tasks: entry.tasks,
            reason: entry.reason.clone(),
        });
        Glance { service: self.state.clone(), live: live.collect() }
    }

    /// How far a deployment is. Where ECS does not say, it is complete when it is alone and all its tasks run.
    pub(super) fn progress(&self, entry: &Entry) -> Progress {
        let Tasks { desired, running, pending, .. } = entry.tasks;
        let settled = self.entries.len() == 1 && running == desired && pending == 0;
        entry.progress.unwrap_or(if settled { Progress::Completed } else { Progress::Ongoing })
    }
}

impl Entry {
    /// One without an id cannot be followed, and one that is INACTIVE is over.
    fn read(deployment: &types::Deployment) -> Option<Self> {
        let created_at = time(deployment.created_at()).unwrap_or_default();
        let status = deployment.status().unwrap_or_default();
        let tasks = Tasks {
            desired: count(deployment.desired_count()),
            running: count(deployment.running_count()),
            pending: count(deployment.pending_count()),
            failed: count(deployment.failed_tasks()),
        };
        (status != "INACTIVE").then_some(())?;
        Some(Self {
            id: deployment.id()?.into(),
            primary: status == "PRIMARY",
            definition: deployment.task_definition().and_then(|text| text.parse().ok()),
            created_at,
            updated_at: time(deployment.updated_at()).unwrap_or(created_at),
            progress: deployment.rollout_state().and_then(progress),
            tasks,
            reason: redacted(deployment.rollout_state_reason().unwrap_or_default()).into(),
        })
    }
}

/// Whether ECS goes back by itself when a rollout fails under this configuration.
pub(super) fn rolls_back(configuration: &types::DeploymentConfiguration) -> bool {
    configuration.deployment_circuit_breaker().is_some_and(|it| it.enable() && it.rollback())
        || configuration.alarms().is_some_and(|it| it.enable() && it.rollback())
}

/// What a service's tags say of what keeps it back.
pub(super) fn holds(service: &types::Service) -> Holds {
    Holds::from_tags(
        service.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value().unwrap_or_default()))),
    )
}

/// The tags that may say how it is deployed.
fn settings(service: &types::Service) -> BTreeMap<String, String> {
    let mut tags = tags(service.tags());
    tags.retain(|key, _| key.starts_with(OURS));
    tags
}

/// A time of ECS's in ours.
pub(super) fn time(at: Option<&DateTime>) -> Option<Timestamp> {
    at.and_then(|at| at.to_millis().ok()).map(Timestamp::from_millis)
}

/// ECS counts in signed numbers, and never below zero.
pub(super) fn count(number: i32) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// Whether it can be deployed, whoever owns it.
pub(super) fn state(service: &types::Service) -> ServiceState {
    let controller = service.deployment_controller().map(types::DeploymentController::r#type);
    match service.status() {
        Some("DRAINING") => ServiceState::Draining,
        Some("INACTIVE") => ServiceState::Inactive,
        _ => match controller {
            None | Some(DeploymentControllerType::Ecs) => ServiceState::Active,
            Some(other) => ServiceState::OtherController(other.as_str().into()),
        },
    }
}

fn progress(state: &DeploymentRolloutState) -> Option<Progress> {
    match state {
        DeploymentRolloutState::Completed => Some(Progress::Completed),
        DeploymentRolloutState::Failed => Some(Progress::Failed),
        DeploymentRolloutState::InProgress => Some(Progress::Ongoing),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{Deployment, DeploymentController};

    use super::*;

    fn deployment(id: &str, status: &str, created: i64, running: i32) -> Deployment {
        let built = Deployment::builder().id(id).status(status).desired_count(2).running_count(running);
        built.task_definition("shop:1").created_at(DateTime::from_secs(created)).build()
    }

    fn service(deployments: Vec<Deployment>) -> Service {
        Service::read(&types::Service::builder().status("ACTIVE").set_deployments(Some(deployments)).build())
    }

    #[test]
    fn the_primary_deployment_comes_first_and_inactive_ones_are_over() {
        let listed = [("a", "ACTIVE", 9), ("b", "INACTIVE", 8), ("c", "PRIMARY", 5), ("d", "ACTIVE", 10)];
        let read = service(listed.map(|(id, status, at)| deployment(id, status, at, 2)).into());
        assert_eq!(read.entries.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["c", "d", "a"]);
    }

    #[test]
    fn where_ecs_does_not_say_how_far_it_is_a_deployment_is_complete_alone_with_all_its_tasks() {
        let progress = |deployments| {
            let read = service(deployments);
            read.progress(&read.entries[0])
        };
        assert_eq!(progress(vec![deployment("a", "PRIMARY", 1, 2)]), Progress::Completed);
        assert_eq!(progress(vec![deployment("a", "PRIMARY", 1, 1)]), Progress::Ongoing);
        let draining = vec![deployment("a", "PRIMARY", 2, 2), deployment("b", "ACTIVE", 1, 1)];
        assert_eq!(progress(draining), Progress::Ongoing);
    }

    #[test]
    fn another_controller_is_named() {
        let controller = DeploymentController::builder().r#type(DeploymentControllerType::CodeDeploy).build();
        let read =
            types::Service::builder().deployment_controller(controller.expect("it has a type")).build();
        assert_eq!(Service::read(&read).state, ServiceState::OtherController("CODE_DEPLOY".into()));
    }

    #[test]
    fn an_empty_service_is_read_without_a_word() {
        let read = Service::read(&types::Service::builder().desired_count(-1).build());
        assert_eq!((read.state.clone(), read.desired, read.primary()), (ServiceState::Active, 0, None));
        assert_eq!(read.glance().live, []);
    }
}
