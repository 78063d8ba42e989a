//! Services, deployments and tasks in the words of the API.

use serde_json::{Map, Value, json};

use super::{
    breaker,
    model::{Deployment, EcsService, Passage, Phase, Pinned, Rollout, Standing, Task},
    scene::Scene,
};
use crate::{domain::Timestamp, sim::call::seconds};

/// What `DescribeServices` shows of a service that nobody said otherwise about.
const SERVICE_DEFAULTS: [(&str, &str); 11] = [
    ("availabilityZoneRebalancing", "\"ENABLED\""),
    ("deploymentController", r#"{"type": "ECS"}"#),
    ("enableECSManagedTags", "false"),
    ("enableExecuteCommand", "false"),
    ("healthCheckGracePeriodSeconds", "0"),
    ("loadBalancers", "[]"),
    ("placementConstraints", "[]"),
    ("placementStrategy", "[]"),
    ("propagateTags", "\"NONE\""),
    ("schedulingStrategy", "\"REPLICA\""),
    ("serviceRegistries", "[]"),
];

/// A service with its tags.
pub(super) fn service(scene: &Scene<'_>, service: &EcsService) -> Value {
    service_with(scene, service, true)
}

/// A service; its tags only if asked for.
pub(super) fn service_with(scene: &Scene<'_>, service: &EcsService, with_tags: bool) -> Value {
    let mut all = Map::new();
    for (name, value) in SERVICE_DEFAULTS {
        all.insert(name.to_owned(), serde_json::from_str(value).expect("the defaults are JSON"));
    }
    all.extend(service.given.clone());
    all.insert("deploymentConfiguration".to_owned(), configuration(service));
    let mut described = Value::Object(all);
    for (name, value) in [
        ("serviceArn", json!(scene.service_arn(service))),
        ("serviceName", json!(service.name)),
        ("clusterArn", json!(scene.arn(&format!("cluster/{}", service.cluster)))),
        ("status", json!(service.life.word())),
        ("desiredCount", json!(service.desired)),
        ("runningCount", json!(service.running(None))),
        ("pendingCount", json!(service.pending(None))),
        ("createdAt", seconds(service.created)),
        ("taskDefinition", json!(newest(service).map(|deployment| &deployment.definition))),
        ("deployments", deployments(service)),
        ("events", service.notes.iter().map(note).collect()),
    ] {
        described[name] = value;
    }
    if with_tags {
        described["tags"] = json!(service.tags);
    }
    current(scene, service, &mut described);
    described
}

/// The primary deployment; of a deleted service, the last.
fn newest(service: &EcsService) -> Option<&Deployment> {
    service.primary().or(service.deployments.first())
}

fn configuration(service: &EcsService) -> Value {
    let limits = service.limits();
    let mut configuration =
        service.given.get("deploymentConfiguration").cloned().unwrap_or_else(|| json!({}));
    configuration["maximumPercent"] = json!(limits.maximum_percent);
    configuration["minimumHealthyPercent"] = json!(limits.minimum_percent);
    configuration["deploymentCircuitBreaker"] =
        json!({"enable": limits.breaker, "rollback": limits.rollback});
    if configuration["strategy"].is_null() {
        configuration["strategy"] = json!("ROLLING");
    }
    configuration
}

fn note(note: &super::model::Note) -> Value {
    json!({"id": note.id, "createdAt": seconds(note.at), "message": note.message})
}

/// `currentServiceDeployment` and `currentServiceRevisions`.
fn current(scene: &Scene<'_>, service: &EcsService, described: &mut Value) {
    let standing = |d: &&Deployment| d.standing != Standing::Inactive;
    let revisions = service.deployments.iter().filter(standing).map(|deployment| {
        json!({
            "arn": revision_arn(scene, service, deployment.revision),
            "requestedTaskCount": requested(service, deployment),
            "runningTaskCount": service.running(Some(deployment.number)),
            "pendingTaskCount": service.pending(Some(deployment.number)),
        })
    });
    described["currentServiceRevisions"] = revisions.collect();
    // While a deployment is undone, its service deployment is still the current one.
    let running = service.primary().and_then(|primary| {
        let undone = |d: &&Deployment| Some(d.number) == primary.undoes;
        service.deployments.iter().find(undone).or(Some(primary))
    });
    if let Some(deployment) = running {
        described["currentServiceDeployment"] = json!(deployment_arn(scene, service, deployment));
    }
}

fn requested(service: &EcsService, deployment: &Deployment) -> u64 {
    match deployment.standing {
        Standing::Primary => service.desired,
        Standing::Active | Standing::Inactive => 0,
    }
}

fn deployments(service: &EcsService) -> Value {
    let shown = |d: &&Deployment| d.standing != Standing::Inactive && service.controller() == "ECS";
    let mut shown: Vec<&Deployment> = service.deployments.iter().filter(shown).collect();
    shown.sort_by_key(|deployment| deployment.standing != Standing::Primary);
    shown.into_iter().map(|deployment| one(service, deployment)).collect()
}

fn one(service: &EcsService, deployment: &Deployment) -> Value {
    let mut described = json!({
        "id": deployment.id(), "status": deployment.standing.word(), "taskDefinition": deployment.definition,
        "desiredCount": requested(service, deployment),
        "runningCount": service.running(Some(deployment.number)),
        "pendingCount": service.pending(Some(deployment.number)),
        "failedTasks": deployment.failed_tasks,
        "createdAt": seconds(deployment.created), "updatedAt": seconds(deployment.updated),
        "rolloutState": deployment.rollout.word(), "rolloutStateReason": deployment.reason,
    });
    for name in ["launchType", "networkConfiguration", "platformVersion", "capacityProviderStrategy"] {
        if let Some(value) = service.given.get(name) {
            described[name] = value.clone();
        }
    }
    described
}

pub(super) fn deployment_arn(scene: &Scene<'_>, service: &EcsService, deployment: &Deployment) -> String {
    let (cluster, name, id) = (&service.cluster, &service.name, &deployment.passage_id);
    scene.arn(&format!("service-deployment/{cluster}/{name}/{id}"))
}

pub(super) fn revision_arn(scene: &Scene<'_>, service: &EcsService, revision: u64) -> String {
    scene.arn(&format!("service-revision/{}/{}/{revision}", service.cluster, service.name))
}

/// What the call log says about a deployment that a call started.
pub(super) fn started(scene: &Scene<'_>, service: &EcsService) -> Value {
    let Some(primary) = service.primary() else { return Value::Null };
    let over = service.deployments.iter().filter(|d| d.standing == Standing::Active).map(|d| {
        json!({
            "deployment": d.id(), "rollout": d.rollout.word(), "passage": d.passage.word(),
            "primary": Some(d.revision) == primary.source_revision, "created": seconds(d.created),
            "failed_tasks": d.failed_tasks, "running": service.running(Some(d.number)),
        })
    });
    json!({
        "service": scene.service_arn(service), "deployment": primary.id(), "definition": primary.definition,
        "service_deployment": deployment_arn(scene, service, primary),
        "over": over.collect::<Vec<_>>(),
    })
}

/// Every deployment that the service ever had, the newest first: what the API tells of it in three answers.
pub(super) fn history(scene: &Scene<'_>, service: &EcsService) -> Value {
    let all = service.deployments.iter().map(|deployment| {
        let mut described = full(scene, service, deployment);
        described["id"] = json!(deployment.id());
        described["standing"] = json!(deployment.standing.word());
        described["rollout"] = json!(deployment.rollout.word());
        described["revision"] = revision(scene, service, deployment);
        described
    });
    all.collect()
}

/// A service deployment as `ListServiceDeployments` shows it.
pub(super) fn brief(scene: &Scene<'_>, service: &EcsService, deployment: &Deployment) -> Value {
    let mut described = json!({
        "serviceDeploymentArn": deployment_arn(scene, service, deployment),
        "serviceArn": scene.service_arn(service),
        "clusterArn": scene.arn(&format!("cluster/{}", service.cluster)),
        "createdAt": seconds(deployment.created), "startedAt": seconds(deployment.created),
        "targetServiceRevisionArn": revision_arn(scene, service, deployment.revision),
        "status": deployment.passage.word(),
    });
    put_time(&mut described, "finishedAt", deployment.finished);
    if !deployment.passage_reason.is_empty() {
        described["statusReason"] = json!(deployment.passage_reason);
    }
    described
}

fn put_time(described: &mut Value, name: &str, at: Option<Timestamp>) {
    if let Some(at) = at {
        described[name] = seconds(at);
    }
}

/// A service deployment as `DescribeServiceDeployments` shows it.
pub(super) fn full(scene: &Scene<'_>, service: &EcsService, deployment: &Deployment) -> Value {
    let mut described = brief(scene, service, deployment);
    let arn = described["targetServiceRevisionArn"].take();
    if let Some(all) = described.as_object_mut() {
        all.remove("targetServiceRevisionArn");
    }
    let counts = |requested: u64, number: Option<u64>, arn: Value| {
        json!({
            "arn": arn, "requestedTaskCount": requested,
            "runningTaskCount": number.map_or(0, |number| service.running(Some(number))),
            "pendingTaskCount": number.map_or(0, |number| service.pending(Some(number))),
        })
    };
    described["targetServiceRevision"] = counts(requested(service, deployment), Some(deployment.number), arn);
    let source = deployment.source_revision.map(|revision| {
        let number = service.deployments.iter().find(|d| d.revision == revision).map(|d| d.number);
        counts(0, number, json!(revision_arn(scene, service, revision)))
    });
    described["sourceServiceRevisions"] = source.into_iter().collect();
    described["updatedAt"] = seconds(deployment.updated);
    put_time(&mut described, "stoppedAt", deployment.stopped);
    described["deploymentConfiguration"] = configuration(service);
    described["deploymentCircuitBreaker"] = json!({
        "status": breaker_status(service, deployment), "failureCount": deployment.failed_tasks,
        "threshold": breaker::threshold(service.desired),
    });
    if let Some(rollback) = &deployment.rollback {
        described["rollback"] = json!({
            "reason": rollback.reason, "startedAt": seconds(rollback.started),
            "serviceRevisionArn": revision_arn(scene, service, rollback.revision),
        });
    }
    described
}

fn breaker_status(service: &EcsService, deployment: &Deployment) -> &'static str {
    if !service.limits().breaker {
        return "DISABLED";
    }
    match (deployment.rollout, deployment.passage) {
        (Rollout::Failed, _) if breaker::tripped(deployment) => "TRIGGERED",
        (_, Passage::InProgress | Passage::StopRequested | Passage::RollbackRequested) => "MONITORING",
        _ => "MONITORING_COMPLETE",
    }
}

/// A service revision: the only place where ECS says which digests it pinned.
pub(super) fn revision(scene: &Scene<'_>, service: &EcsService, deployment: &Deployment) -> Value {
    let images: Vec<Value> = if let Some(pinned) = &deployment.pinned {
        pinned.iter().map(|(pinned, _)| image(pinned)).collect()
    } else {
        let containers = deployment.containers.iter();
        containers.map(|c| json!({"containerName": c.name, "image": c.image})).collect()
    };
    let mut described = json!({
        "serviceRevisionArn": revision_arn(scene, service, deployment.revision),
        "serviceArn": scene.service_arn(service),
        "clusterArn": scene.arn(&format!("cluster/{}", service.cluster)),
        "taskDefinition": deployment.definition, "createdAt": seconds(deployment.created),
        "containerImages": images,
    });
    for name in ["launchType", "networkConfiguration", "platformVersion", "loadBalancers"] {
        if let Some(value) = service.given.get(name) {
            described[name] = value.clone();
        }
    }
    described
}

fn image(pinned: &Pinned) -> Value {
    let mut image = json!({"containerName": pinned.container, "image": pinned.image});
    if let Some(digest) = &pinned.digest {
        image["imageDigest"] = json!(digest);
    }
    image
}

/// A task of a service, given by its cluster and name.
pub(super) fn task(scene: &Scene<'_>, (cluster, service): (&str, &str), task: &Task) -> Value {
    let arn = scene.arn(&format!("task/{cluster}/{}", task.id));
    let desired = if task.phase.wanted() { "RUNNING" } else { "STOPPED" };
    let mut described = json!({
        "taskArn": arn, "clusterArn": scene.arn(&format!("cluster/{cluster}")),
        "taskDefinitionArn": task.definition, "group": format!("service:{service}"),
        "startedBy": format!("ecs-svc/{}", task.deployment), "lastStatus": task.phase.word(),
        "desiredStatus": desired, "launchType": "FARGATE", "platformVersion": "1.4.0", "version": task.version,
        "createdAt": seconds(task.created), "attachments": [], "overrides": {"containerOverrides": []},
        "healthStatus": if task.healthy { "HEALTHY" } else { "UNKNOWN" },
        "containers": task.images.iter().map(|pinned| container(&arn, task, pinned)).collect::<Vec<_>>(),
    });
    for (name, at) in
        [("startedAt", task.started), ("stoppingAt", task.stopping), ("stoppedAt", task.stopped)]
    {
        put_time(&mut described, name, at);
    }
    if let Some(ending) = &task.ending {
        described["stopCode"] = json!(ending.code);
        described["stoppedReason"] = json!(ending.reason);
    }
    described
}

fn container(task_arn: &str, task: &Task, pinned: &Pinned) -> Value {
    let mut container = image(pinned);
    container["name"] = container["containerName"].take();
    container["taskArn"] = json!(task_arn);
    container["lastStatus"] = json!(match task.phase {
        Phase::Provisioning | Phase::Pending => "PENDING",
        Phase::Running | Phase::Deactivating => "RUNNING",
        Phase::Deprovisioning | Phase::Stopped => "STOPPED",
    });
    if let Some(all) = container.as_object_mut() {
        all.remove("containerName");
    }
    let ending =
        task.ending.as_ref().filter(|_| matches!(task.phase, Phase::Deprovisioning | Phase::Stopped));
    if let Some(ending) = ending {
        if let Some(exit) = ending.exit.filter(|_| task.started.is_some()) {
            container["exitCode"] = json!(exit);
        }
        if let Some(reason) = ending.container_reason {
            container["reason"] = json!(reason);
        }
    }
    container
}
