//! ECS with the rolling scheduler: deployments that take time, fail, are rolled back, superseded or stuck.

mod breaker;
mod clusters;
mod definitions;
mod deployments;
mod describe;
mod images;
mod life;
mod model;
mod scene;
mod scheduler;
mod services;
mod tags;
mod tasks;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

pub(super) use self::scene::Scene;
use self::{clusters::Cluster, definitions::Family, model::EcsService};
use super::call::{Call, Fail, Outcome, Scope, tail, text, texts};
use crate::domain::Timestamp;

/// A service's cluster and name.
type ServiceKey = (String, String);

/// ECS in one account and Region.
#[derive(Clone, Debug, Default)]
struct Estate {
    clusters: BTreeMap<String, Cluster>,
    families: BTreeMap<String, Family>,
    services: BTreeMap<ServiceKey, EcsService>,
}

/// ECS everywhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Ecs {
    estates: BTreeMap<Scope, Estate>,
    /// The earliest wake-up of all services: asked for at every step of the world, so kept.
    wake: Option<Timestamp>,
}

impl Ecs {
    pub(super) fn call(&mut self, call: &Call, scene: &mut Scene<'_>) -> Outcome {
        let outcome = self.perform(call, scene);
        self.wake = self.earliest();
        outcome
    }

    fn perform(&mut self, call: &Call, scene: &mut Scene<'_>) -> Outcome {
        let body = &call.body;
        check_home(&call.scope, body)?;
        let estate = self.estates.entry(call.scope.clone()).or_default();
        match call.operation.as_str() {
            "CreateCluster" => Ok(estate.create_cluster(body, scene)),
            "DescribeClusters" => estate.describe_clusters(body, scene),
            "ListClusters" => estate.list_clusters(body),
            "DeleteCluster" => estate.delete_cluster(body),
            "RegisterTaskDefinition" => estate.register(body, scene),
            "DescribeTaskDefinition" => estate.describe_definition(body),
            "ListTaskDefinitions" => estate.list_definitions(body),
            "ListTaskDefinitionFamilies" => estate.list_families(body),
            "DeregisterTaskDefinition" => estate.deregister(body, scene),
            "CreateService" => estate.create_service(body, scene),
            "UpdateService" => estate.update_service(body, scene),
            "DeleteService" => estate.delete_service(body, scene),
            "DescribeServices" => estate.describe_services(body, scene),
            "ListServices" => estate.list_services(body, scene),
            "ListServiceDeployments" => estate.list_deployments(body, scene),
            "DescribeServiceDeployments" => Ok(estate.describe_deployments(body, scene)),
            "DescribeServiceRevisions" => Ok(estate.describe_revisions(body, scene)),
            "StopServiceDeployment" => estate.stop_deployment(body, scene),
            "ListTasks" => estate.list_tasks(body, scene),
            "DescribeTasks" => estate.describe_tasks(body, scene),
            "StopTask" => estate.stop_task(body, scene),
            "TagResource" => estate.tag(body),
            "UntagResource" => estate.untag(body),
            "ListTagsForResource" => estate.list_tags(body),
            operation => Err(Fail::unknown(operation)),
        }
    }

    /// When something next happens by itself.
    pub(super) fn next_wakeup(&self) -> Option<Timestamp> {
        self.wake
    }

    fn earliest(&self) -> Option<Timestamp> {
        self.estates
            .values()
            .flat_map(|estate| estate.services.values())
            .filter_map(|service| service.wake)
            .min()
    }

    /// The places where something is due.
    pub(super) fn due(&self, now: Timestamp) -> Vec<Scope> {
        let due = |estate: &Estate| {
            estate.services.values().any(|service| service.wake.is_some_and(|at| at <= now))
        };
        self.estates.iter().filter(|(_, estate)| due(estate)).map(|(scope, _)| scope.clone()).collect()
    }

    /// Does what is due at `scene.now` in one place.
    pub(super) fn advance(&mut self, scene: &mut Scene<'_>) {
        let Some(estate) = self.estates.get_mut(&scene.scope) else { return };
        for service in estate.services.values_mut() {
            if service.wake.is_some_and(|wake| wake <= scene.now) {
                scheduler::pass(service, scene);
            }
        }
        self.wake = self.earliest();
    }

    /// Every service as it is described, for a test's eyes.
    pub(super) fn state(&self, scene: &mut Scene<'_>) -> Value {
        let mut all = Map::new();
        for (scope, estate) in &self.estates {
            scene.scope = scope.clone();
            for service in estate.services.values() {
                let mut described = describe::service(scene, service);
                described["history"] = describe::history(scene, service);
                all.insert(scene.service_arn(service), described);
            }
        }
        Value::Object(all)
    }
}

impl Estate {
    /// The name of the cluster that a call addresses, which must exist.
    fn cluster(&self, body: &Value) -> Result<String, Fail> {
        let name = match tail(text(body, "cluster")) {
            "" => "default",
            name => name,
        };
        if self.clusters.contains_key(name) {
            return Ok(name.to_owned());
        }
        Err(Fail::new("ClusterNotFoundException", "Cluster not found."))
    }

    fn service(&mut self, body: &Value) -> Result<&mut EcsService, Fail> {
        let key = (self.cluster(body)?, tail(text(body, "service")).to_owned());
        self.services.get_mut(&key).ok_or_else(|| Fail::new("ServiceNotFoundException", "Service not found."))
    }
}

/// Refuses ARNs of another account or Region: no call of ECS reaches across.
fn check_home(home: &Scope, body: &Value) -> Result<(), Fail> {
    let single = ["cluster", "service", "taskDefinition", "resourceArn", "serviceDeploymentArn", "task"];
    let several = ["clusters", "services", "tasks", "serviceDeploymentArns", "serviceRevisionArns"];
    let names = single.iter().map(|key| text(body, key));
    let mut names = names.chain(several.iter().flat_map(|key| texts(body, key)));
    let away =
        names.find_map(|name| Scope::of_arn(name).map(|(scope, _)| scope).filter(|scope| scope != home));
    let said = match away {
        None => return Ok(()),
        Some(scope) if scope.region != home.region => {
            format!("Identifier is for {}. Your region is {}", scope.region, home.region)
        }
        Some(scope) => format!("Identifier is for {}. Your accountId is {}", scope.account, home.account),
    };
    Err(Fail::new("InvalidParameterException", said))
}

/// One entry of a `failures` list.
fn missing(arn: &str) -> Value {
    json!({"arn": arn, "reason": "MISSING"})
}
