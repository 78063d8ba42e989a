//! Service deployments and service revisions: the history that outlives `DescribeServices`.

use serde_json::{Value, json};

use super::{
    Estate, describe, missing,
    model::{Deployment, EcsService, Passage},
    scene::Scene,
    scheduler,
};
use crate::{
    domain::Timestamp,
    sim::{
        call::{Fail, Outcome, tail, text, texts},
        page,
    },
};

impl Estate {
    /// The service deployments of one service, the newest first.
    pub(super) fn list_deployments(&mut self, body: &Value, scene: &Scene<'_>) -> Outcome {
        let service: &EcsService = self.service(body)?;
        let bound = |key: &str| body["createdAt"][key].as_f64().map(Timestamp::from_seconds);
        let (after, before) = (bound("after"), bound("before"));
        let statuses: Vec<&str> = texts(body, "status").collect();
        let wanted = |deployment: &&Deployment| {
            after.is_none_or(|after| deployment.created >= after)
                && before.is_none_or(|before| deployment.created <= before)
                && (statuses.is_empty() || statuses.contains(&deployment.passage.word()))
        };
        let found = service.deployments.iter().filter(wanted);
        page::ECS.page(
            body,
            "serviceDeployments",
            found.map(|d| describe::brief(scene, service, d)).collect(),
            20,
        )
    }

    fn all_deployments(&self) -> impl Iterator<Item = (&EcsService, &Deployment)> {
        self.services.values().flat_map(|service| service.deployments.iter().map(move |d| (service, d)))
    }

    pub(super) fn describe_deployments(&self, body: &Value, scene: &Scene<'_>) -> Value {
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for arn in texts(body, "serviceDeploymentArns") {
            match self.all_deployments().find(|(_, d)| d.passage_id == tail(arn)) {
                Some((service, deployment)) => found.push(describe::full(scene, service, deployment)),
                None => failures.push(missing(arn)),
            }
        }
        json!({"serviceDeployments": found, "failures": failures})
    }

    pub(super) fn describe_revisions(&self, body: &Value, scene: &Scene<'_>) -> Value {
        let (mut found, mut failures) = (Vec::new(), Vec::new());
        for arn in texts(body, "serviceRevisionArns") {
            match self.all_deployments().find(|(_, d)| d.revision.to_string() == tail(arn)) {
                Some((service, deployment)) => found.push(describe::revision(scene, service, deployment)),
                None => failures.push(missing(arn)),
            }
        }
        json!({"serviceRevisions": found, "failures": failures})
    }

    /// Asks for a rollback. A deployment that completes before the request takes effect stays successful.
    pub(super) fn stop_deployment(&mut self, body: &Value, scene: &mut Scene<'_>) -> Outcome {
        let arn = text(body, "serviceDeploymentArn");
        if body["stopType"].as_str().is_some_and(|kind| kind != "ROLLBACK") {
            return Err(Fail::new(
                "InvalidParameterException",
                "The only valid value of stopType is ROLLBACK.",
            ));
        }
        let due = scene.now + scene.dials.scaled(scene.dials.drain_ms / 5);
        let id = tail(arn);
        let holds = |service: &&mut EcsService| service.deployments.iter().any(|d| d.passage_id == id);
        let service = self.services.values_mut().find(holds).ok_or_else(|| {
            Fail::new("ServiceDeploymentNotFoundException", "The service deployment could not be found.")
        })?;
        let found = service.deployments.iter_mut().find(|d| d.passage_id == id);
        let deployment = found.expect("the service was found by holding it");
        match deployment.passage {
            Passage::InProgress => {
                deployment.passage = Passage::RollbackRequested;
                deployment.passage_due = Some(due);
                deployment.updated = scene.now;
            }
            // Asked already, or on its way out for another reason: nothing more to do.
            Passage::StopRequested | Passage::RollbackRequested | Passage::RollbackInProgress => {}
            Passage::Successful
            | Passage::Stopped
            | Passage::RollbackSuccessful
            | Passage::RollbackFailed => {
                return Err(Fail::new(
                    "ConflictException",
                    format!("The service deployment is already {}.", deployment.passage.word()),
                ));
            }
        }
        scheduler::pass(service, scene);
        scene.changed = Some(json!({"stopped": arn}));
        Ok(json!({"serviceDeploymentArn": arn}))
    }
}
