//! The calls about service deployments and service revisions. They are younger than ECS, and emulators may lack
//! them: then everything is read from DescribeServices, and this endpoint is not asked again.

use std::{cmp::Reverse, collections::BTreeMap, sync::Arc};

use aws_sdk_ecs::{
    primitives::DateTime,
    types::{
        self, CreatedAt, ServiceDeploymentCircuitBreaker, ServiceDeploymentRollbackMonitorsStatus,
        ServiceDeploymentStatus,
    },
};

use tracing::warn;

use super::{
    Ecs, Reach,
    rollouts::{Details, Recorded, Revision, Revisions, Rollback, Status},
    service::{count, rolls_back, time},
};
use crate::{
    aws::{
        budget::Urgency,
        connect::READ_ATTEMPTS,
        failure::{Fault, Verb},
    },
    domain::{CallFailure, ContainerName, DefinitionId, Digest, Place, TargetId, Tasks, Timestamp, redacted},
};

/// How many ARNs the two Describe calls take: ECS's limit.
const DESCRIBE_BATCH: usize = 20;

/// How many service deployments of one service are considered. More than these since one floor means that somebody
/// else deploys every few minutes, and the newest tell all that matters.
const MAX_RECORDED: usize = 100;

/// How much earlier than asked for the list begins: its bounds are whole seconds, and ours are not.
const MARGIN_SECONDS: i64 = 2;

const LIST: &str = "ListServiceDeployments";
const DESCRIBE: &str = "DescribeServiceDeployments";
const REVISIONS: &str = "DescribeServiceRevisions";

/// What revisions of services run, by their ARNs.
pub type RevisionDigests = BTreeMap<Arc<str>, (DefinitionId, BTreeMap<ContainerName, Digest>)>;

/// What ListServiceDeployments is asked for.
pub(super) enum Wanted {
    /// Those created then or later.
    Since(Timestamp),
    /// The successful ones.
    Successful,
    /// All that ECS remembers: those of the last 90 days.
    All,
}

impl Ecs {
    /// The definition and the digests of each of these revisions of services, by its ARN, for whoever can wait.
    pub async fn read_digests(
        &self,
        place: &Place,
        revisions: Vec<Arc<str>>,
    ) -> Result<RevisionDigests, CallFailure> {
        let reach = self.reach_there(place)?;
        let found = reach.revisions_by(revisions, Urgency::Later).await?;
        Ok(found.into_iter().map(|(arn, it)| (arn, (it.definition, it.digests))).collect())
    }
}

impl Reach {
    /// The service deployments that are wanted, newest first; `None` where the endpoint has no such call.
    pub(super) async fn list(
        &self,
        target: &TargetId,
        wanted: &Wanted,
    ) -> Result<Option<Vec<Recorded>>, Fault> {
        self.list_by(target, wanted, Urgency::Soon).await
    }

    pub(super) async fn list_by(
        &self,
        target: &TargetId,
        wanted: &Wanted,
        urgency: Urgency,
    ) -> Result<Option<Vec<Recorded>>, Fault> {
        if self.has_history.get() == Some(&false) {
            return Ok(None);
        }
        let (mut found, mut token) = (Vec::new(), None);
        // Until it is known that the call exists it is tried once: an emulator without it answers as if it failed.
        let attempts = if self.has_history.get().is_some() { READ_ATTEMPTS } else { 1 };
        loop {
            let call = self.reads.list_service_deployments().cluster(target.cluster().as_str());
            let call = call.service(target.service().as_str()).max_results(100).set_next_token(token);
            let call = match wanted {
                Wanted::Since(since) => call.created_at(after(*since)),
                Wanted::Successful => call.status(ServiceDeploymentStatus::Successful),
                Wanted::All => call,
            };
            let answer = self.ask(LIST, attempts, urgency, || call.clone().send()).await?;
            let _ = self.has_history.set(true);
            found.extend(answer.service_deployments().iter().filter_map(brief));
            token = answer.next_token;
            if token.is_none() || found.len() >= MAX_RECORDED {
                break;
            }
        }
        found.sort_by_key(|it: &Recorded| Reverse(it.created_at));
        found.truncate(MAX_RECORDED);
        Ok(Some(found))
    }

    /// Adds what only a description tells to those that need it, and the service's current one where it is missing.
    pub(super) async fn complete(
        &self,
        recorded: Vec<Recorded>,
        current: Option<&Arc<str>>,
    ) -> Result<Vec<Recorded>, CallFailure> {
        self.complete_by(recorded, current, Urgency::Soon).await
    }

    pub(super) async fn complete_by(
        &self,
        mut recorded: Vec<Recorded>,
        current: Option<&Arc<str>>,
        urgency: Urgency,
    ) -> Result<Vec<Recorded>, CallFailure> {
        // Before the oldest of them ran what only its description tells.
        let oldest = recorded.last().map(|it| it.arn.clone());
        let needed = |it: &&Recorded| it.needs_details() || Some(&it.arn) == oldest.as_ref();
        let listed = recorded.iter().filter(needed).map(|it| &it.arn);
        let unlisted = current.filter(|arn| recorded.iter().all(|it| it.arn != **arn));
        let arns: Vec<String> = unlisted.into_iter().chain(listed).map(ToString::to_string).collect();
        for some in arns.chunks(DESCRIBE_BATCH) {
            let call = self.reads.describe_service_deployments();
            let call = call.set_service_deployment_arns(Some(some.to_vec()));
            let answer = self.ask(DESCRIBE, READ_ATTEMPTS, urgency, || call.clone().send()).await;
            let answer = answer.map_err(|fault| fault.of_call(DESCRIBE, Verb::Read))?;
            for described in answer.service_deployments().iter().filter_map(described) {
                match recorded.iter_mut().find(|it| it.arn == described.arn) {
                    Some(known) => *known = described,
                    None => recorded.push(described),
                }
            }
        }
        recorded.sort_by_key(|it| Reverse(it.created_at));
        Ok(recorded)
    }

    /// What these revisions of services run.
    pub(super) async fn revisions(&self, arns: Vec<Arc<str>>) -> Result<Revisions, CallFailure> {
        self.revisions_by(arns, Urgency::Soon).await
    }

    pub(super) async fn revisions_by(
        &self,
        mut arns: Vec<Arc<str>>,
        urgency: Urgency,
    ) -> Result<Revisions, CallFailure> {
        arns.sort();
        arns.dedup();
        let mut revisions = Revisions::new();
        for some in arns.chunks(DESCRIBE_BATCH) {
            let some = some.iter().map(ToString::to_string).collect();
            let call = self.reads.describe_service_revisions().set_service_revision_arns(Some(some));
            let answer = self.ask(REVISIONS, READ_ATTEMPTS, urgency, || call.clone().send()).await;
            let answer = answer.map_err(|fault| fault.of_call(REVISIONS, Verb::Read))?;
            revisions.extend(answer.service_revisions().iter().filter_map(revision));
        }
        Ok(revisions)
    }

    /// Whether a failed list means that the endpoint lacks the call. On AWS a service names its current service
    /// deployment, so there an error without a code is a failure of AWS and nothing else.
    pub(super) fn lacks_history(&self, fault: &Fault, current: Option<&Arc<str>>) -> bool {
        let lacks = current.is_none() && fault.looks_unimplemented();
        if lacks && self.has_history.set(false).is_ok() {
            warn!(
                "this endpoint has no calls about service deployments: rollouts are judged by DescribeServices alone"
            );
        }
        lacks
    }
}

/// A failed list, as a failed call.
pub(super) fn list_failed(fault: &Fault) -> CallFailure {
    fault.of_call(LIST, Verb::Read)
}

fn after(since: Timestamp) -> CreatedAt {
    let seconds = since.as_millis().div_euclid(1000).saturating_sub(MARGIN_SECONDS);
    CreatedAt::builder().after(DateTime::from_secs(seconds.max(0))).build()
}

fn brief(listed: &types::ServiceDeploymentBrief) -> Option<Recorded> {
    let created_at = time(listed.created_at())?;
    Some(Recorded {
        arn: listed.service_deployment_arn()?.into(),
        created_at,
        updated_at: time(listed.finished_at()).or(time(listed.started_at())).unwrap_or(created_at),
        finished_at: time(listed.finished_at()),
        status: status(listed.status()?),
        reason: redacted(listed.status_reason().unwrap_or_default()).into(),
        revision: listed.target_service_revision_arn().map(Into::into),
        details: None,
    })
}

fn described(described: &types::ServiceDeployment) -> Option<Recorded> {
    let created_at = time(described.created_at())?;
    let times =
        [described.updated_at(), described.finished_at(), described.stopped_at(), described.started_at()];
    let revision = described.target_service_revision();
    let breaker = described.deployment_circuit_breaker();
    let sources = described.source_service_revisions().iter();
    Some(Recorded {
        arn: described.service_deployment_arn()?.into(),
        created_at,
        updated_at: times.into_iter().filter_map(time).max().unwrap_or(created_at),
        finished_at: time(described.finished_at()).or(time(described.stopped_at())),
        status: status(described.status()?),
        reason: redacted(described.status_reason().unwrap_or_default()).into(),
        revision: revision.and_then(|it| it.arn()).map(Into::into),
        details: Some(Details {
            tripped: tripped(described),
            rolls_back: described.deployment_configuration().is_some_and(rolls_back),
            rollback: described.rollback().map(|it| Rollback {
                started_at: time(it.started_at()),
                revision: it.service_revision_arn().map(Into::into),
            }),
            sources: sources.filter_map(|it| it.arn().map(Into::into)).collect(),
            tasks: Tasks {
                desired: revision.map_or(0, |it| count(it.requested_task_count())),
                running: revision.map_or(0, |it| count(it.running_task_count())),
                pending: revision.map_or(0, |it| count(it.pending_task_count())),
                failed: breaker.map_or(0, |it| count(it.failure_count())),
            },
        }),
    })
}

fn tripped(described: &types::ServiceDeployment) -> bool {
    let triggered = Some(&ServiceDeploymentRollbackMonitorsStatus::Triggered);
    described.deployment_circuit_breaker().and_then(ServiceDeploymentCircuitBreaker::status) == triggered
        || described.alarms().and_then(types::ServiceDeploymentAlarms::status) == triggered
}

fn revision(described: &types::ServiceRevision) -> Option<(Arc<str>, Revision)> {
    let digests = described.container_images().iter().filter_map(|it| {
        let digest = it.image_digest().filter(|digest| !digest.is_empty())?;
        Some((it.container_name()?.into(), digest.into()))
    });
    let definition = described.task_definition()?.parse().ok()?;
    Some((described.service_revision_arn()?.into(), Revision { definition, digests: digests.collect() }))
}

/// A status that ECS adds later counts as still going on: the lane waits rather than starting over it.
fn status(status: &ServiceDeploymentStatus) -> Status {
    match status {
        ServiceDeploymentStatus::Pending => Status::Pending,
        ServiceDeploymentStatus::StopRequested => Status::StopRequested,
        ServiceDeploymentStatus::Stopped => Status::Stopped,
        ServiceDeploymentStatus::Successful => Status::Successful,
        ServiceDeploymentStatus::RollbackRequested => Status::RollbackRequested,
        ServiceDeploymentStatus::RollbackInProgress => Status::RollbackInProgress,
        ServiceDeploymentStatus::RollbackSuccessful => Status::RollbackSuccessful,
        ServiceDeploymentStatus::RollbackFailed => Status::RollbackFailed,
        _ => Status::InProgress,
    }
}
