//! Many services at once, by DescribeServices alone.

use std::collections::BTreeMap;

use aws_sdk_ecs::{operation::describe_services::DescribeServicesOutput, types::ServiceField};

use super::{Ecs, Reach, service::Service, tap::Tap};
use crate::{
    aws::{
        budget::Urgency,
        connect::READ_ATTEMPTS,
        failure::{Kind, Verb},
    },
    domain::{CallFailure, Cause, ClusterName, Glance, Remedy, ServiceName, TargetId, Timestamp},
};

/// How many services one DescribeServices takes: ECS's limit.
pub const GLANCE_BATCH: usize = 10;

impl Ecs {
    /// Looks at up to [`GLANCE_BATCH`] targets of one account, Region and cluster by one call. Each has its own
    /// answer; a failed call is every one's answer.
    pub async fn glance(&self, targets: &[TargetId]) -> BTreeMap<TargetId, Result<Glance, CallFailure>> {
        let Some(first) = targets.first() else { return BTreeMap::new() };
        let names: Vec<ServiceName> = targets.iter().map(|target| target.service().clone()).collect();
        let described = match self.reach(first) {
            Ok(reach) => reach.services(first.cluster(), &names, Urgency::Later, None).await,
            Err(failure) => Err(failure),
        };
        let answer = |target: &TargetId| match &described {
            Ok((services, _)) => {
                services[target.service()].as_ref().map(Service::glance).map_err(Clone::clone)
            }
            Err(failure) => Err(failure.clone()),
        };
        targets.iter().map(|target| (target.clone(), answer(target))).collect()
    }
}

/// An answer for each service that was asked for.
pub(super) type Services = BTreeMap<ServiceName, Result<Service, CallFailure>>;

impl Reach {
    /// Describes services of one cluster: an answer for each name, and when it was given. A service or a cluster
    /// that does not exist is an answer too.
    pub(super) async fn services(
        &self,
        cluster: &ClusterName,
        names: &[ServiceName],
        urgency: Urgency,
        include: Option<ServiceField>,
    ) -> Result<(Services, Timestamp), CallFailure> {
        let mut services: Services =
            names.iter().map(|name| (name.clone(), Ok(Service::missing()))).collect();
        // A glance tells how far a rollout is, and a look also whose the service is.
        let looks = include.is_some();
        let (answer, at) = self.described(cluster, names, urgency, include).await?;
        let Some(answer) = answer else { return Ok((services, at)) };
        for (name, failure) in failures(&answer) {
            services.entry(name).and_modify(|slot| *slot = Err(failure));
        }
        for service in answer.services() {
            let name = service.service_name().unwrap_or_default();
            let read = Service { state: self.state(service), ..Service::read(service) };
            if looks {
                self.notice(cluster, &name.into(), service);
            }
            services.entry(name.into()).and_modify(|slot| *slot = Ok(read));
        }
        Ok((services, at))
    }

    /// What DescribeServices answers for these, and when; `None` where there is no such cluster.
    pub(super) async fn described(
        &self,
        cluster: &ClusterName,
        names: &[ServiceName],
        urgency: Urgency,
        include: Option<ServiceField>,
    ) -> Result<(Option<DescribeServicesOutput>, Timestamp), CallFailure> {
        let tap = Tap::default();
        let wanted = names.iter().map(|name| name.as_str().to_owned()).collect();
        let call = self.reads.describe_services().cluster(cluster.as_str()).set_services(Some(wanted));
        let call = call.set_include(include.map(|field| vec![field]));
        let call = || call.clone().customize().interceptor(tap.clone()).send();
        match self.ask("DescribeServices", READ_ATTEMPTS, urgency, call).await {
            Ok(answer) => Ok((Some(answer), tap.answered_at())),
            Err(fault) if fault.kind() == Kind::Missing => Ok((None, tap.answered_at())),
            Err(fault) => Err(fault.of_call("DescribeServices", Verb::Read)),
        }
    }
}

/// The services that could not be described, and why. One that does not exist is no failure.
pub(super) fn failures(answer: &DescribeServicesOutput) -> impl Iterator<Item = (ServiceName, CallFailure)> {
    let failures = answer.failures().iter().filter(|failure| failure.reason() != Some("MISSING"));
    failures.map(|failure| {
        let name = failure.arn().unwrap_or_default().rsplit('/').next().unwrap_or_default();
        (name.into(), refused("DescribeServices", failure.reason()))
    })
}

pub(super) fn refused(operation: &str, reason: Option<&str>) -> CallFailure {
    let reason = format!("{operation}: {}", reason.unwrap_or("no reason given"));
    CallFailure { cause: Cause::Unknown, reason, remedy: Remedy::Retry }
}
