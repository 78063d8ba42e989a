//! Listing, describing and stopping tasks.

use serde_json::{Value, json};

use super::{
    Estate, describe, life, missing,
    model::{EcsService, Ending, Task},
    scene::Scene,
    scheduler,
};
use crate::sim::{
    call::{Fail, Outcome, list, tail, text, texts},
    page,
};

impl Estate {
    /// Tasks by what ECS wants of them: RUNNING unless the caller asks for STOPPED. Who started them is not asked for
    /// together with what they belong to.
    pub(super) fn list_tasks(&self, body: &Value, scene: &Scene<'_>) -> Outcome {
        let cluster = self.cluster(body)?;
        let has = |key| !text(body, key).is_empty();
        if has("startedBy")
            && ["serviceName", "family", "launchType", "containerInstance"].into_iter().any(has)
        {
            return Err(Fail::new(
                "InvalidParameterException",
                "cannot specify startedBy with other arguments",
            ));
        }
        let running = text(body, "desiredStatus") != "STOPPED";
        let (service, family, started_by) =
            (tail(text(body, "serviceName")), text(body, "family"), text(body, "startedBy"));
        let in_service =
            |other: &&EcsService| other.cluster == cluster && (service.is_empty() || other.name == service);
        let wanted = |task: &&Task| {
            task.phase.wanted() == running
                && life::is_remembered(task, scene.now)
                && (family.is_empty()
                    || tail(&task.definition).rsplit_once(':').is_some_and(|(f, _)| f == family))
                && (started_by.is_empty() || started_by == format!("ecs-svc/{}", task.deployment))
        };
        let services = self.services.values().filter(in_service);
        let tasks = services.flat_map(|service| service.tasks.iter()).filter(wanted);
        let arns = tasks.map(|task| json!(scene.arn(&format!("task/{cluster}/{}", task.id))));
        page::ECS.page(body, "taskArns", arns.collect(), 100)
    }

    pub(super) fn describe_tasks(&self, body: &Value, scene: &Scene<'_>) -> Outcome {
        let cluster = self.cluster(body)?;
        if list(body, "tasks").len() > 100 {
            return Err(Fail::new(
                "InvalidParameterException",
                "Too many tasks. You can specify at most 100.",
            ));
        }
        let (mut tasks, mut failures) = (Vec::new(), Vec::new());
        for arn in texts(body, "tasks") {
            let services = self.services.values().filter(|service| service.cluster == cluster);
            let mut all = services.flat_map(|service| service.tasks.iter().map(move |task| (service, task)));
            match all.find(|(_, task)| task.id == tail(arn) && life::is_remembered(task, scene.now)) {
                Some((service, task)) => tasks.push(describe::task(scene, (&cluster, &service.name), task)),
                None => failures.push(missing(arn)),
            }
        }
        Ok(json!({"tasks": tasks, "failures": failures}))
    }

    pub(super) fn stop_task(&mut self, body: &Value, scene: &mut Scene<'_>) -> Outcome {
        let cluster = self.cluster(body)?;
        let id = tail(text(body, "task"));
        let place = |service: &EcsService| service.tasks.iter().position(|task| task.id == id);
        let mut services = self.services.values_mut().filter(|service| service.cluster == cluster);
        let (service, at) = services
            .find_map(|service| place(service).map(|at| (service, at)))
            .ok_or_else(|| Fail::new("InvalidParameterException", "The referenced task was not found."))?;
        if service.tasks[at].phase.wanted() {
            let reason = body["reason"].as_str().unwrap_or("Task stopped by user").to_owned();
            let ending = Ending { code: "UserInitiated", reason, exit: Some(143), container_reason: None };
            life::stop(service, at, ending, scene);
            service.steady = false;
            scheduler::pass(service, scene);
        }
        scene.changed = Some(json!({"stopped": text(body, "task")}));
        Ok(json!({"task": describe::task(scene, (&cluster, &service.name), &service.tasks[at])}))
    }
}
