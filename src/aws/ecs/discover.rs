//! Which clusters and services there are, and what each depends on: the calls of discovery. All of them can wait for whatever
//! somebody waits for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aws_sdk_ecs::{
    operation::describe_services::DescribeServicesOutput,
    types::{self, ClusterField, ServiceField, Tag},
};

use super::{
    Ecs, GLANCE_BATCH, Reach,
    glance::{failures, refused},
    service::{Entry, Progress, Service},
};
use crate::{
    aws::{
        budget::Urgency,
        connect::READ_ATTEMPTS,
        failure::{Kind, Verb},
    },
    domain::{
        CallFailure, ClusterName, ClusterReading, DefinitionId, DefinitionReading, DefinitionView,
        LiveDefinition, LiveState, Marks, Place, ServiceName, ServiceReading, TargetId, Timestamp,
    },
};

/// How many clusters one DescribeClusters takes, and how many names one page of a list has: ECS's limits.
pub const PAGE: usize = 100;

/// How many services one [`Ecs::read_services`] takes.
pub const READ_BATCH: usize = GLANCE_BATCH;

const MAX_RESULTS: i32 = 100;

impl Ecs {
    /// The names of all the clusters there.
    pub async fn list_clusters(&self, place: &Place) -> Result<Vec<ClusterName>, CallFailure> {
        const OPERATION: &str = "ListClusters";
        let reach = self.reach_there(place)?;
        let (mut names, mut next) = (Vec::new(), None);
        loop {
            let call = reach.reads.list_clusters().max_results(MAX_RESULTS).set_next_token(next);
            let page = reach.ask(OPERATION, READ_ATTEMPTS, Urgency::Later, || call.clone().send()).await;
            let page = page.map_err(|fault| fault.of_call(OPERATION, Verb::Read))?;
            names.extend(page.cluster_arns().iter().map(|arn| ClusterName::from(last_part(arn))));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(names);
            }
        }
    }

    /// These clusters with their tags, up to [`PAGE`] of them; those that do not exist are left out.
    pub async fn read_clusters(
        &self,
        place: &Place,
        names: &[ClusterName],
    ) -> Result<Vec<ClusterReading>, CallFailure> {
        const OPERATION: &str = "DescribeClusters";
        let reach = self.reach_there(place)?;
        let wanted = names.iter().map(|name| name.as_str().to_owned()).collect();
        let call = reach.reads.describe_clusters().set_clusters(Some(wanted)).include(ClusterField::Tags);
        let answer = reach.ask(OPERATION, READ_ATTEMPTS, Urgency::Later, || call.clone().send()).await;
        let answer = answer.map_err(|fault| fault.of_call(OPERATION, Verb::Read))?;
        if let Some(failure) = answer.failures().iter().find(|it| it.reason() != Some("MISSING")) {
            return Err(refused(OPERATION, failure.reason()));
        }
        let active = answer.clusters().iter().filter(|cluster| cluster.status() != Some("INACTIVE"));
        let read = |cluster: &types::Cluster| {
            Some(ClusterReading { name: cluster.cluster_name()?.into(), tags: tags(cluster.tags()) })
        };
        Ok(active.filter_map(read).collect())
    }

    /// The names of all the services of a cluster; none if there is no such cluster.
    pub async fn list_services(
        &self,
        place: &Place,
        cluster: &ClusterName,
    ) -> Result<BTreeSet<ServiceName>, CallFailure> {
        const OPERATION: &str = "ListServices";
        let reach = self.reach_there(place)?;
        let (mut names, mut next) = (BTreeSet::new(), None);
        loop {
            let call = reach.reads.list_services().cluster(cluster.as_str()).max_results(MAX_RESULTS);
            let call = call.set_next_token(next);
            let page = match reach.ask(OPERATION, READ_ATTEMPTS, Urgency::Later, || call.clone().send()).await
            {
                Err(fault) if fault.kind() == Kind::Missing => return Ok(BTreeSet::new()),
                page => page.map_err(|fault| fault.of_call(OPERATION, Verb::Read))?,
            };
            names.extend(page.service_arns().iter().map(|arn| ServiceName::from(last_part(arn))));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(names);
            }
        }
    }

    /// These services of one cluster, up to [`READ_BATCH`] of them, with their tags. Each has its own answer; that one does
    /// not exist is an answer.
    pub async fn read_services(
        &self,
        place: &Place,
        cluster: &ClusterName,
        names: &[ServiceName],
    ) -> Result<Vec<(TargetId, Result<ServiceReading, CallFailure>)>, CallFailure> {
        let reach = self.reach_there(place)?;
        let (answer, read_at) =
            reach.described(cluster, names, Urgency::Later, Some(ServiceField::Tags)).await?;
        let answer = answer.unwrap_or_else(|| DescribeServicesOutput::builder().build());
        let read = |name: &ServiceName| {
            let Place { account, region } = place.clone();
            let target = TargetId::new(account, region, cluster.clone(), name.clone());
            let found = answer.services().iter().find(|it| it.service_name() == Some(name.as_str()));
            let failed = || failures(&answer).find(|(failed, _)| failed == name);
            let reading = match (found, failed()) {
                (Some(found), _) => {
                    let state = reach.state(found);
                    Ok(ServiceReading { state, ..reading(target.clone(), read_at, found) })
                }
                (None, Some((_, failure))) => Err(failure),
                (None, None) => Ok(ServiceReading::missing(target.clone(), read_at)),
            };
            (target, reading)
        };
        Ok(names.iter().map(read).collect())
    }

    /// A revision, and what tasks of it depend on; nothing, if it was deleted since.
    pub async fn read_definition(
        &self,
        place: &Place,
        id: &DefinitionId,
    ) -> Result<DefinitionReading, CallFailure> {
        let reach = self.reach_there(place)?;
        let document = reach.document_by(&id.clone().into(), Urgency::Later).await?;
        let unknown = || DefinitionReading {
            view: DefinitionView { id: id.clone(), images: [].into(), marks: Marks::default() },
            dependencies: Vec::new(),
        };
        Ok(document.map_or_else(unknown, |document| document.reading(place)))
    }

    pub(super) fn reach_there(&self, place: &Place) -> Result<Arc<Reach>, CallFailure> {
        self.reach_in(place, &format!("this is account {}", place.account))
    }
}

fn reading(target: TargetId, read_at: Timestamp, service: &types::Service) -> ServiceReading {
    let read = Service::read(service);
    let mut live: Vec<LiveDefinition> = read.entries.iter().filter_map(|entry| live(&read, entry)).collect();
    let newest_rollout = read.entries.iter().map(|entry| entry.created_at).max();
    let Service { state, definition, revisions, .. } = read;
    // One that nothing rolls out, as with another controller, still says what it runs.
    if let (true, Some(definition)) = (live.is_empty(), definition) {
        live.push(LiveDefinition {
            definition,
            created_at: newest_rollout,
            primary: true,
            state: LiveState::Complete,
        });
    }
    ServiceReading { target, read_at, state, tags: tags(service.tags()), live, newest_rollout, revisions }
}

fn live(service: &Service, entry: &Entry) -> Option<LiveDefinition> {
    let definition = entry.definition.clone()?;
    let state = match service.progress(entry) {
        Progress::Completed => LiveState::Complete,
        Progress::Ongoing => LiveState::InProgress(entry.id.clone()),
        Progress::Failed => LiveState::Failed,
    };
    Some(LiveDefinition { definition, created_at: Some(entry.created_at), primary: entry.primary, state })
}

pub(super) fn tags(tags: &[Tag]) -> BTreeMap<String, String> {
    let pairs =
        tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or("").to_owned())));
    pairs.collect()
}

/// The name in an ARN, long or short.
fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::{primitives::DateTime, types::Deployment};

    use super::*;
    use crate::domain::ServiceState;

    fn target() -> TargetId {
        TargetId::new("111122223333".into(), "eu-west-1".into(), "shop".into(), "api".into())
    }

    fn deployment(status: &str, definition: &str, created: i64) -> Deployment {
        let built = Deployment::builder().id(format!("ecs-svc/{created}")).status(status);
        built.task_definition(definition).created_at(DateTime::from_secs(created)).build()
    }

    #[test]
    fn what_rollouts_have_live_is_read_the_primary_one_first_with_tags_and_the_newest_time() {
        let deployments = [("ACTIVE", "shop:1", 5), ("INACTIVE", "shop:9", 9), ("PRIMARY", "shop:2", 7)];
        let deployments = deployments.map(|(status, name, at)| deployment(status, name, at)).into();
        let tag = Tag::builder().key("team").value("web").build();
        let service = types::Service::builder().status("ACTIVE").set_deployments(Some(deployments));
        let read =
            reading(target(), Timestamp::default(), &service.tags(tag).task_definition("shop:2").build());
        let live: Vec<(String, bool)> =
            read.live.iter().map(|it| (it.definition.to_string(), it.primary)).collect();
        assert_eq!(live, [("shop:2".into(), true), ("shop:1".into(), false)]);
        assert_eq!(read.newest_rollout, Some(Timestamp::from_millis(7_000)));
        assert_eq!((read.state, &*read.tags["team"]), (ServiceState::Active, "web"));
    }

    #[test]
    fn a_service_without_rollouts_has_the_definition_that_it_names() {
        let service = types::Service::builder().status("ACTIVE").task_definition("shop:3").build();
        let read = reading(target(), Timestamp::default(), &service);
        assert_eq!(read.live.iter().map(|it| it.definition.to_string()).collect::<Vec<_>>(), ["shop:3"]);
        assert_eq!(read.live[0].created_at, None, "no rollout of ECS brought it");
        assert_eq!(reading(target(), Timestamp::default(), &types::Service::builder().build()).live, []);
    }
}
