//! Task definitions, kept as the JSON that was registered: fields that nobody knows survive.

use serde_json::{Map, Value, json};

use super::{Estate, model::ContainerPlan, scene::Scene};
use crate::sim::{
    call::{Fail, Outcome, list, seconds, tail, text},
    page,
};

/// One revision.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) arn: String,
    pub(super) active: bool,
    pub(super) body: Map<String, Value>,
    pub(super) tags: Vec<Value>,
}

/// All revisions of a family; the first has the number 1.
pub(super) type Family = Vec<Definition>;

/// What ECS puts into every container definition that does not say otherwise.
const CONTAINER_DEFAULTS: [(&str, &str); 7] = [
    ("cpu", "0"),
    ("environment", "[]"),
    ("essential", "true"),
    ("mountPoints", "[]"),
    ("portMappings", "[]"),
    ("systemControls", "[]"),
    ("volumesFrom", "[]"),
];

impl Definition {
    pub(super) fn containers(&self) -> Vec<ContainerPlan> {
        let containers =
            self.body.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
        containers
            .map(|container| ContainerPlan {
                name: text(container, "name").to_owned(),
                image: text(container, "image").to_owned(),
                consistent: text(container, "versionConsistency") != "disabled",
            })
            .collect()
    }
}

impl Estate {
    pub(super) fn register(&mut self, body: &Value, scene: &mut Scene<'_>) -> Outcome {
        check(body)?;
        let family = text(body, "family").to_owned();
        let revisions = self.families.entry(family.clone()).or_default();
        let revision = revisions.len() + 1;
        let arn = scene.arn(&format!("task-definition/{family}:{revision}"));
        let mut stored = body.as_object().cloned().unwrap_or_default();
        let tags = stored.remove("tags").and_then(|tags| tags.as_array().cloned()).unwrap_or_default();
        complete(&mut stored);
        let registrar = scene.scope.arn("iam", "root").replace(&scene.scope.region, "");
        for (key, value) in [
            ("taskDefinitionArn", json!(arn)),
            ("revision", json!(revision)),
            ("status", json!("ACTIVE")),
            ("registeredAt", seconds(scene.now)),
            ("registeredBy", json!(registrar)),
        ] {
            stored.insert(key.to_owned(), value);
        }
        revisions.push(Definition { arn: arn.clone(), active: true, body: stored, tags });
        scene.changed = Some(json!({"registered": arn}));
        Ok(described(revisions.last().expect("one was just pushed"), true))
    }

    /// The definition that a name means: an ARN, `family:revision`, or a family for its latest active one.
    pub(super) fn definition(&self, name: &str) -> Option<&Definition> {
        let name = tail(name);
        match name.rsplit_once(':') {
            Some((family, revision)) => {
                let place = revision.parse::<usize>().ok()?.checked_sub(1)?;
                self.families.get(family)?.get(place)
            }
            None => self.families.get(name)?.iter().rev().find(|definition| definition.active),
        }
    }

    pub(super) fn definition_mut(&mut self, name: &str) -> Option<&mut Definition> {
        let (family, revision) = tail(name).rsplit_once(':')?;
        let place = revision.parse::<usize>().ok()?.checked_sub(1)?;
        self.families.get_mut(family)?.get_mut(place)
    }

    pub(super) fn describe_definition(&self, body: &Value) -> Outcome {
        let found = self.definition(text(body, "taskDefinition"));
        let found =
            found.ok_or_else(|| Fail::new("ClientException", "Unable to describe task definition."))?;
        Ok(described(found, list(body, "include").iter().any(|what| what == "TAGS")))
    }

    pub(super) fn deregister(&mut self, body: &Value, scene: &mut Scene<'_>) -> Outcome {
        let found = self.definition_mut(text(body, "taskDefinition"));
        let found = found
            .ok_or_else(|| Fail::new("ClientException", "The specified task definition does not exist."))?;
        found.active = false;
        found.body.insert("status".to_owned(), json!("INACTIVE"));
        found.body.insert("deregisteredAt".to_owned(), seconds(scene.now));
        scene.changed = Some(json!({"deregistered": found.arn}));
        Ok(described(found, false))
    }

    /// Families in order, revisions ascending; `DESC` turns the whole list round.
    pub(super) fn list_definitions(&self, body: &Value) -> Outcome {
        let family = text(body, "familyPrefix");
        let active = body["status"].as_str().unwrap_or("ACTIVE") == "ACTIVE";
        let families = self.families.iter().filter(|(name, _)| family.is_empty() || *name == family);
        let revisions = families.flat_map(|(_, revisions)| revisions).filter(|d| d.active == active);
        let mut arns: Vec<Value> = revisions.map(|definition| json!(definition.arn)).collect();
        if text(body, "sort") == "DESC" {
            arns.reverse();
        }
        page::ECS.page(body, "taskDefinitionArns", arns, 100)
    }

    pub(super) fn list_families(&self, body: &Value) -> Outcome {
        let prefix = text(body, "familyPrefix");
        let status = body["status"].as_str().unwrap_or("ACTIVE");
        let wanted = |family: &Family| match status {
            "ALL" => true,
            "INACTIVE" => family.iter().all(|definition| !definition.active),
            _ => family.iter().any(|definition| definition.active),
        };
        let families =
            self.families.iter().filter(|(name, family)| name.starts_with(prefix) && wanted(family));
        page::ECS.page(body, "families", families.map(|(name, _)| json!(name)).collect(), 100)
    }
}

fn check(body: &Value) -> Result<(), Fail> {
    let invalid = |message: &str| Err(Fail::new("ClientException", message));
    if text(body, "family").is_empty() {
        return invalid("Family cannot be null or empty.");
    }
    let containers = list(body, "containerDefinitions");
    if containers.is_empty() {
        return invalid("Container list cannot be empty.");
    }
    if containers
        .iter()
        .any(|container| text(container, "name").is_empty() || text(container, "image").is_empty())
    {
        return invalid("Container.name and Container.image should not be null or empty.");
    }
    Ok(())
}

/// Adds what `DescribeTaskDefinition` shows although nobody registered it.
fn complete(stored: &mut Map<String, Value>) {
    for container in
        stored.get_mut("containerDefinitions").and_then(Value::as_array_mut).into_iter().flatten()
    {
        for (name, value) in CONTAINER_DEFAULTS {
            if container.get(name).is_none() {
                container[name] = serde_json::from_str(value).expect("the defaults are JSON");
            }
        }
    }
    for name in ["volumes", "placementConstraints"] {
        stored.entry(name).or_insert_with(|| json!([]));
    }
    let launch = stored.get("requiresCompatibilities").cloned().unwrap_or_else(|| json!(["EC2"]));
    stored.insert("compatibilities".to_owned(), launch);
    stored.insert(
        "requiresAttributes".to_owned(),
        json!([{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}]),
    );
}

fn described(definition: &Definition, with_tags: bool) -> Value {
    let mut reply = json!({"taskDefinition": definition.body});
    if with_tags {
        reply["tags"] = json!(definition.tags);
    }
    reply
}
