//! What a step of ECS may use besides its own state, and how it tells the world what it did.

use serde_json::{Value, json};

use super::model::{Deployment, EcsService, Note, Task};
use crate::{
    domain::Timestamp,
    sim::{bus::Emission, call::Scope, ecr::Registry, rng::Rng, settings::EcsDials},
};

/// The surroundings of one step.
pub(in crate::sim) struct Scene<'a> {
    pub(in crate::sim) now: Timestamp,
    pub(in crate::sim) scope: Scope,
    pub(in crate::sim) rng: &'a mut Rng,
    pub(in crate::sim) registry: &'a Registry,
    pub(in crate::sim) dials: &'a EcsDials,
    pub(in crate::sim) outbox: &'a mut Vec<Emission>,
    /// What the call changed, for the call log.
    pub(in crate::sim) changed: Option<Value>,
}

/// How many messages a service's event list keeps.
const MOST_NOTES: usize = 100;
/// How long an identical message is not repeated.
const SILENCE: std::time::Duration = std::time::Duration::from_hours(6);

impl Scene<'_> {
    pub(super) fn arn(&self, resource: &str) -> String {
        self.scope.arn("ecs", resource)
    }

    pub(super) fn service_arn(&self, service: &EcsService) -> String {
        self.arn(&format!("service/{}/{}", service.cluster, service.name))
    }

    /// Adds a message to the service's event list.
    pub(super) fn note(&mut self, service: &mut EcsService, what: &str) {
        let message = format!("(service {}) {what}", service.name);
        let repeated = |note: &&Note| note.message == message && self.now.since(note.at) < SILENCE;
        if service.notes.iter().any(|note| repeated(&note)) {
            return;
        }
        service.notes.push_front(Note { id: self.rng.uuid(), at: self.now, message });
        service.notes.truncate(MOST_NOTES);
    }

    fn emit(&mut self, detail_type: &str, resource: String, detail: Value) {
        self.outbox.push(Emission {
            scope: self.scope.clone(),
            source: "aws.ecs".to_owned(),
            detail_type: detail_type.to_owned(),
            time: self.now,
            resources: vec![resource],
            detail,
        });
    }

    /// Announces a deployment's state twice, as ECS does: as a state change and as a service action.
    pub(super) fn announce(&mut self, service: &EcsService, deployment: &Deployment, name: &str) {
        let event_type = if name.ends_with("FAILED") { "ERROR" } else { "INFO" };
        let detail = json!({
            "eventType": event_type, "eventName": name, "deploymentId": deployment.id(),
            "updatedAt": self.now, "reason": deployment.reason,
        });
        self.emit("ECS Deployment State Change", self.service_arn(service), detail);
        self.act(service, event_type, name, Some(&deployment.reason));
    }

    /// Announces a service action.
    pub(super) fn act(&mut self, service: &EcsService, event_type: &str, name: &str, reason: Option<&str>) {
        let mut detail = json!({
            "eventType": event_type, "eventName": name, "createdAt": self.now,
            "clusterArn": self.arn(&format!("cluster/{}", service.cluster)),
        });
        if let Some(reason) = reason {
            detail["reason"] = json!(reason);
        }
        self.emit("ECS Service Action", self.service_arn(service), detail);
    }

    /// Announces a task's state, and counts that as a version of the task.
    pub(super) fn announce_task(&mut self, (cluster, service): (&str, &str), task: &mut Task) {
        task.version += 1;
        let mut detail = super::describe::task(self, (cluster, service), task);
        as_iso(&mut detail);
        let arn = detail["taskArn"].as_str().unwrap_or_default().to_owned();
        self.emit("ECS Task State Change", arn, detail);
    }
}

/// Events write times as RFC 3339, where the API writes seconds.
fn as_iso(detail: &mut Value) {
    for (name, value) in detail.as_object_mut().into_iter().flatten() {
        if let Some(seconds) = value.as_f64().filter(|_| name.ends_with("At")) {
            *value = json!(Timestamp::from_seconds(seconds));
        }
    }
}
