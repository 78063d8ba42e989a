//! Creating, updating, deleting and listing services.

use std::collections::VecDeque;

use serde_json::{Map, Value, json};

use super::{
    Estate, breaker,
    definitions::Definition,
    describe, missing,
    model::{EcsService, Life},
    scene::Scene,
    scheduler,
};
use crate::sim::{
    call::{Fail, Outcome, list, tail, text},
    page,
};

/// Fields whose change starts a deployment. The definition and `forceNewDeployment` are looked at apart.
const DEPLOYING: [&str; 7] = [
    "networkConfiguration",
    "platformVersion",
    "loadBalancers",
    "serviceRegistries",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
];
/// Fields of a request that are no part of the service.
const NOT_KEPT: [&str; 8] = [
    "cluster",
    "service",
    "serviceName",
    "clientToken",
    "taskDefinition",
    "desiredCount",
    "tags",
    "forceNewDeployment",
];

impl Estate {
    pub(super) fn create_service(&mut self, body: &Value, scene: &mut Scene<'_>) -> Outcome {
        let cluster = self.cluster(body)?;
        let name = text(body, "serviceName").to_owned();
        let key = (cluster.clone(), name.clone());
        match self.services.get(&key).map(|service| service.life) {
            Some(Life::Active) => {
                return Err(invalid("Creation of service was not idempotent."));
            }
            Some(Life::Draining) => {
                return Err(invalid("Unable to Start a service that is still Draining."));
            }
            Some(Life::Inactive) | None => {}
        }
        let definition = self.usable(text(body, "taskDefinition"))?;
        let (arn, containers) = (definition.arn.clone(), definition.containers());
        let mut service = EcsService {
            name,
            cluster,
            life: Life::Active,
            created: scene.now,
            desired: body["desiredCount"].as_u64().unwrap_or(0),
            given: kept(body),
            tags: list(body, "tags").to_vec(),
            deployments: Vec::new(),
            tasks: Vec::new(),
            notes: VecDeque::new(),
            steady: false,
            wake: None,
        };
        breaker::begin(&mut service, arn, containers, scene);
        scheduler::pass(&mut service, scene);
        scene.changed = Some(describe::started(scene, &service));
        let described = describe::service(scene, &service);
        self.services.insert(key, service);
        Ok(json!({"service": described}))
    }

    /// A definition that a service may be moved to.
    fn usable(&self, name: &str) -> Result<&Definition, Fail> {
        let client = |message| Fail::new("ClientException", message);
        let found = self.definition(name).ok_or_else(|| client("TaskDefinition not found."))?;
        if found.active { Ok(found) } else { Err(client("TaskDefinition is inactive")) }
    }

    pub(super) fn update_service(&mut self, body: &Value, scene: &mut Scene<'_>) -> Outcome {
        let service = self.service(body)?;
        if service.life != Life::Active {
            return Err(Fail::new("ServiceNotActiveException", "Service was not ACTIVE."));
        }
        let current = service.primary().map(|primary| primary.definition.clone()).unwrap_or_default();
        // A forced deployment runs the same revision again, even one that is inactive by now.
        let (arn, containers) = match body["taskDefinition"].as_str() {
            Some(name) => {
                let definition = self.usable(name)?;
                (definition.arn.clone(), definition.containers())
            }
            None => {
                (current.clone(), self.definition(&current).map(Definition::containers).unwrap_or_default())
            }
        };
        let service = self.service(body)?;
        let changed = DEPLOYING.iter().any(|field| differs(service, body, field));
        let deploys = arn != current || body["forceNewDeployment"] == true || changed;
        if deploys {
            refuse_code_deploy(service)?;
        }
        let desired = body["desiredCount"].as_u64().unwrap_or(service.desired);
        if desired != service.desired {
            service.desired = desired;
            scene.act(service, "INFO", "SERVICE_DESIRED_COUNT_UPDATED", None);
        }
        service.given.extend(kept(body));
        if deploys {
            breaker::begin(service, arn, containers, scene);
            scene.changed = Some(describe::started(scene, service));
        }
        scheduler::pass(service, scene);
        Ok(json!({"service": describe::service(scene, service)}))
    }

    pub(super) fn delete_service(&mut self, body: &Value, scene: &mut Scene<'_>) -> Outcome {
        let service = self.service(body)?;
        if service.life != Life::Active {
            return Err(Fail::new("ServiceNotActiveException", "Service was not ACTIVE."));
        }
        if service.desired > 0 && body["force"] != true {
            return Err(invalid("The service cannot be stopped while it is scaled above 0."));
        }
        service.desired = 0;
        service.life = Life::Draining;
        scheduler::pass(service, scene);
        scene.changed = Some(json!({"deleted": scene.service_arn(service)}));
        Ok(json!({"service": describe::service(scene, service)}))
    }

    pub(super) fn describe_services(&self, body: &Value, scene: &Scene<'_>) -> Outcome {
        let cluster = self.cluster(body)?;
        let asked = list(body, "services");
        if asked.is_empty() {
            return Err(invalid("Services cannot be empty."));
        }
        if asked.len() > 10 {
            return Err(invalid("Too many services. You can specify at most 10."));
        }
        let with_tags = list(body, "include").iter().any(|what| what == "TAGS");
        let (mut services, mut failures) = (Vec::new(), Vec::new());
        for name in asked.iter().filter_map(Value::as_str) {
            match self.services.get(&(cluster.clone(), tail(name).to_owned())) {
                Some(service) => services.push(describe::service_with(scene, service, with_tags)),
                None => failures.push(missing(&scene.arn(&format!("service/{cluster}/{}", tail(name))))),
            }
        }
        Ok(json!({"services": services, "failures": failures}))
    }

    pub(super) fn list_services(&self, body: &Value, scene: &Scene<'_>) -> Outcome {
        let cluster = self.cluster(body)?;
        let live = |service: &&EcsService| service.cluster == cluster && service.life != Life::Inactive;
        let arns = self.services.values().filter(live).map(|service| json!(scene.service_arn(service)));
        page::ECS.page(body, "serviceArns", arns.collect(), 10)
    }
}

fn invalid(message: &str) -> Fail {
    Fail::new("InvalidParameterException", message)
}

fn kept(body: &Value) -> Map<String, Value> {
    let given = body.as_object().into_iter().flatten();
    let kept = given.filter(|(name, value)| !NOT_KEPT.contains(&name.as_str()) && !value.is_null());
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn differs(service: &EcsService, body: &Value, field: &str) -> bool {
    !body[field].is_null() && service.given.get(field) != Some(&body[field])
}

fn refuse_code_deploy(service: &EcsService) -> Result<(), Fail> {
    match service.controller() {
        "ECS" => Ok(()),
        controller => Err(invalid(&format!(
            "Unable to update task definition on services with a {controller} deployment controller. Use AWS \
             CodeDeploy to trigger a new deployment."
        ))),
    }
}
