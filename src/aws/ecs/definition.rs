//! Task definitions as raw JSON. Typed structs would drop each field that this SDK does not know yet, so a revision
//! is made from the very document that ECS gave, with nothing changed but the images that were named.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::domain::{ContainerName, DefinitionId, DefinitionView, ImageReference, Marks};

/// A task definition as DescribeTaskDefinition gave it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document {
    /// Which revision.
    pub(super) id: DefinitionId,
    /// Its ARN.
    pub(super) arn: String,
    /// Whether a service can be updated to it.
    pub(super) active: bool,
    fields: Map<String, Value>,
    tags: BTreeMap<String, String>,
}

/// What RegisterTaskDefinition is to get.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Registration {
    fields: Map<String, Value>,
    tags: BTreeMap<String, String>,
}

/// What DescribeTaskDefinition adds, and RegisterTaskDefinition refuses.
const DESCRIBE_ONLY: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// What the keys of our own tags begin with.
const OURS: &str = "lockkeeper:";

impl Document {
    /// Reads an answer of DescribeTaskDefinition.
    pub(super) fn parse(answer: &[u8]) -> Result<Self, String> {
        let answer: Value =
            serde_json::from_slice(answer).map_err(|error| format!("it is not JSON: {error}"))?;
        let fields = answer["taskDefinition"].as_object().ok_or("it has no taskDefinition")?;
        let arn =
            fields.get("taskDefinitionArn").and_then(Value::as_str).ok_or("it has no taskDefinitionArn")?;
        let id = arn.parse().map_err(|error| format!("{error}"))?;
        let active = fields.get("status").is_none_or(|status| status == "ACTIVE");
        let tags = answer["tags"].as_array().into_iter().flatten().filter_map(|tag| {
            Some((tag["key"].as_str()?.to_owned(), tag["value"].as_str().unwrap_or_default().to_owned()))
        });
        Ok(Self { id, arn: arn.to_owned(), active, fields: registrable(fields), tags: tags.collect() })
    }

    /// What decisions need of it.
    pub(super) fn view(&self) -> DefinitionView {
        DefinitionView { id: self.id.clone(), images: images(&self.fields), marks: self.marks() }
    }

    /// What to register so that these containers get these images, with these marks; `None` if they have them.
    pub(super) fn edited(
        &self,
        edits: &BTreeMap<ContainerName, ImageReference>,
        marks: &Marks,
    ) -> Result<Option<Registration>, String> {
        let mut fields = self.fields.clone();
        let mut changed = false;
        for (container, image) in edits {
            let slot = image_of(&mut fields, container)
                .ok_or_else(|| format!("{} has no container `{container}`", self.id))?;
            if slot.as_str().and_then(|text| text.parse().ok()).as_ref() != Some(image) {
                *slot = json!(image.to_string());
                changed = true;
            }
        }
        Ok(changed.then(|| Registration { fields, tags: self.tags_with(edits, marks) }))
    }

    /// Whether registering this would only make the same revision once more.
    pub(super) fn is(&self, registration: &Registration) -> bool {
        let tags: BTreeMap<_, _> = self.tags.iter().filter(|(key, _)| !is_reserved(key)).collect();
        self.fields == registration.fields && tags == registration.tags.iter().collect()
    }

    /// The tags of a revision made from this one: everybody else's are kept, ours say what we mean by the new one.
    fn tags_with(
        &self,
        edits: &BTreeMap<ContainerName, ImageReference>,
        marks: &Marks,
    ) -> BTreeMap<String, String> {
        let mut versions = self.marks().versions;
        versions.retain(|container, _| !edits.contains_key(container));
        versions.extend(marks.versions.clone());
        let ours = Marks { versions, ..marks.clone() };
        let theirs = self.tags.iter().filter(|(key, _)| !is_reserved(key) && !key.starts_with(OURS));
        theirs.map(|(key, value)| (key.clone(), value.clone())).chain(ours.to_tags()).collect()
    }

    fn marks(&self) -> Marks {
        Marks::from_tags(self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }
}

impl Registration {
    /// As the body of the request. Without tags the field is left out: ECS refuses an empty list.
    pub(super) fn body(&self) -> Vec<u8> {
        let mut body = self.fields.clone();
        if !self.tags.is_empty() {
            let tags = self.tags.iter().map(|(key, value)| json!({"key": key, "value": value}));
            body.insert("tags".into(), tags.collect());
        }
        Value::Object(body).to_string().into_bytes()
    }

    /// What decisions need of it, once it is registered under this id.
    pub(super) fn view(&self, id: DefinitionId) -> DefinitionView {
        let tags = self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        DefinitionView { id, images: images(&self.fields), marks: Marks::from_tags(tags) }
    }
}

/// Tags that AWS sets, and nobody else may.
fn is_reserved(key: &str) -> bool {
    key.starts_with("aws:")
}

/// The fields that can be registered again. A null says the same as an absent field.
fn registrable(fields: &Map<String, Value>) -> Map<String, Value> {
    let kept =
        fields.iter().filter(|(name, value)| !DESCRIBE_ONLY.contains(&name.as_str()) && !value.is_null());
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn images(fields: &Map<String, Value>) -> BTreeMap<ContainerName, ImageReference> {
    let containers = fields.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
    let image = |container: &Value| {
        let name = container["name"].as_str()?;
        Some((name.into(), container["image"].as_str()?.parse().ok()?))
    };
    containers.filter_map(image).collect()
}

fn image_of<'a>(fields: &'a mut Map<String, Value>, container: &ContainerName) -> Option<&'a mut Value> {
    let containers = fields.get_mut("containerDefinitions")?.as_array_mut()?;
    let found = containers.iter_mut().find(|it| it["name"] == container.as_str())?;
    Some(found.as_object_mut()?.entry("image").or_insert(Value::Null))
}
