//! Task definitions as raw JSON. Typed structs would drop each field that this SDK does not know yet, so a revision
//! is made from the very document that ECS gave, with nothing changed but the images that were named.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::logs::{self, Logs};
use crate::domain::{
    self, ContainerName, DefinitionId, DefinitionReading, DefinitionView, ImageReference, Marks, Place,
    Timestamp,
};

/// A task definition as DescribeTaskDefinition gave it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document {
    /// Which revision.
    pub(super) id: DefinitionId,
    /// Its ARN.
    pub(super) arn: String,
    /// Whether a service can be updated to it.
    pub(super) active: bool,
    /// When it was registered, where ECS says so.
    pub(super) registered_at: Option<Timestamp>,
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
pub(super) const OURS: &str = "lockkeeper:";

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
        let registered_at = fields.get("registeredAt").and_then(Value::as_f64).map(from_seconds);
        let tags = answer["tags"].as_array().into_iter().flatten().filter_map(|tag| {
            Some((tag["key"].as_str()?.to_owned(), tag["value"].as_str().unwrap_or_default().to_owned()))
        });
        let fields = registrable(fields);
        Ok(Self { id, arn: arn.to_owned(), active, registered_at, fields, tags: tags.collect() })
    }

    /// Where its containers write to.
    pub(super) fn logs(&self) -> Logs {
        logs::of(&self.fields)
    }

    /// What decisions need of it.
    pub(super) fn view(&self) -> DefinitionView {
        DefinitionView { id: self.id.clone(), images: images(&self.fields), marks: self.marks() }
    }

    /// What decisions need of it, and what tasks of it depend on where it is.
    pub(super) fn reading(&self, place: &Place) -> DefinitionReading {
        DefinitionReading { view: self.view(), dependencies: domain::dependencies(&self.fields, place) }
    }

    /// Its fields, but for those that only a description has.
    pub(super) fn fields(&self) -> &Map<String, Value> {
        &self.fields
    }

    /// Everybody's tags.
    pub(super) fn tags(&self) -> &BTreeMap<String, String> {
        &self.tags
    }

    /// The roles that its tasks are started by and run as; each once.
    pub(super) fn roles(&self) -> Vec<String> {
        let role = |name| Some(self.fields.get(name)?.as_str()?.to_owned());
        let mut roles: Vec<String> =
            ["executionRoleArn", "taskRoleArn"].into_iter().filter_map(role).collect();
        roles.dedup();
        roles
    }

    /// What this variable is in the environments of its containers.
    pub(super) fn values_of(&self, variable: &str) -> Vec<String> {
        let containers =
            self.fields.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
        let entries = containers.flat_map(|it| it["environment"].as_array().into_iter().flatten());
        let named = entries.filter(|entry| entry["name"] == variable);
        named.filter_map(|entry| entry["value"].as_str().map(str::to_owned)).collect()
    }

    /// The name of every container and its image, in order; the text itself where it is none.
    pub(super) fn all_images(&self) -> Vec<(String, Result<ImageReference, String>)> {
        let containers =
            self.fields.get("containerDefinitions").and_then(Value::as_array).into_iter().flatten();
        let image = |container: &Value| {
            let text = container["image"].as_str().unwrap_or_default();
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            (name, text.parse().map_err(|_| text.to_owned()))
        };
        containers.map(image).collect()
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

    /// Where its containers write to.
    pub(super) fn logs(&self) -> Logs {
        logs::of(&self.fields)
    }

    /// What decisions need of it, once it is registered under this id.
    pub(super) fn view(&self, id: DefinitionId) -> DefinitionView {
        let tags = self.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        DefinitionView { id, images: images(&self.fields), marks: Marks::from_tags(tags) }
    }
}

/// AWS JSON writes a time as seconds, with the milliseconds behind the point.
#[expect(clippy::cast_possible_truncation, reason = "what is out of range becomes the last time there is")]
fn from_seconds(seconds: f64) -> Timestamp {
    Timestamp::from_millis((seconds * 1_000.0) as i64)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn document(tags: Value) -> Document {
        let answer = json!({
            "taskDefinition": {
                "taskDefinitionArn": "arn:aws:ecs:eu-west-1:111122223333:task-definition/shop:7",
                "family": "shop", "revision": 7, "status": "ACTIVE", "registeredAt": 1.5, "registeredBy": "me",
                "requiresAttributes": [{"name": "x"}], "compatibilities": ["EC2"], "cpu": "256", "taskRoleArn": null,
                "fieldOfTomorrow": {"deep": [1, 2.5]},
                "containerDefinitions": [
                    {"name": "web", "image": "r.io/shop/web:1", "fieldOfTomorrow": true, "environment": []},
                    {"name": "side", "image": "r.io/shop/web:1"},
                    {"name": "odd", "image": "no image at all"},
                ],
            },
            "tags": tags,
        });
        Document::parse(answer.to_string().as_bytes()).expect("valid")
    }

    fn edits(image: &str) -> BTreeMap<ContainerName, ImageReference> {
        BTreeMap::from([("web".into(), image.parse().expect("valid"))])
    }

    fn marks(deployment: &str, web: i64) -> Marks {
        let versions = BTreeMap::from([("web".into(), Timestamp::from_millis(web))]);
        Marks { deployment: Some(deployment.into()), content: None, versions, ..Marks::default() }
    }

    fn registered(document: &Document, image: &str, marks: &Marks) -> Value {
        let registration = document.edited(&edits(image), marks).expect("the container is there");
        serde_json::from_slice(&registration.expect("it differs").body()).expect("it is JSON")
    }

    #[test]
    fn fields_that_nobody_knows_are_registered_again_and_those_of_describe_are_not() {
        let body = registered(&document(json!([])), "r.io/shop/web:2", &Marks::default());
        assert_eq!(body["fieldOfTomorrow"], json!({"deep": [1, 2.5]}));
        assert_eq!(body["containerDefinitions"][0]["fieldOfTomorrow"], json!(true));
        assert_eq!(body["containerDefinitions"][0]["environment"], json!([]));
        let fields = body.as_object().expect("an object");
        let left: Vec<_> = DESCRIBE_ONLY.iter().filter(|name| fields.contains_key(**name)).collect();
        assert_eq!(left, Vec::<&&str>::new());
        assert!(!fields.contains_key("taskRoleArn"), "a null says nothing");
        assert!(!fields.contains_key("tags"), "ECS refuses an empty list of tags");
    }

    #[test]
    fn a_number_is_registered_as_the_one_that_was_described() {
        let number = "184467440737095544674409223372036854775808";
        let mut base = document(json!([]));
        base.fields.insert("fieldOfTomorrow".into(), serde_json::from_str(number).expect("a number"));
        let body = registered(&base, "r.io/shop/web:2", &Marks::default());
        assert_eq!(body["fieldOfTomorrow"], base.fields["fieldOfTomorrow"]);
    }

    #[test]
    fn only_the_named_container_gets_the_image() {
        let body = registered(&document(json!([])), "r.io/shop/web:2", &Marks::default());
        let images: Vec<_> =
            body["containerDefinitions"].as_array().expect("a list").iter().map(|it| &it["image"]).collect();
        assert_eq!(images, ["r.io/shop/web:2", "r.io/shop/web:1", "no image at all"]);
    }

    #[test]
    fn an_image_that_is_there_already_registers_nothing() {
        assert_eq!(document(json!([])).edited(&edits("r.io/shop/web:1"), &marks("d-2", 9)), Ok(None));
    }

    #[test]
    fn a_container_that_is_not_there_is_named() {
        let edits = BTreeMap::from([("api".into(), "r.io/a:1".parse().expect("valid"))]);
        let refused = document(json!([])).edited(&edits, &Marks::default());
        assert_eq!(refused, Err("shop:7 has no container `api`".into()));
    }

    #[test]
    fn tags_of_others_are_kept_and_ours_are_replaced_but_for_containers_that_are_not_touched() {
        let old = document(json!([
            {"key": "owner", "value": "team"}, {"key": "aws:cloudformation:stack", "value": "x"},
            {"key": "lockkeeper:deployment", "value": "d-1"}, {"key": "lockkeeper:version", "value": "1970-01-01T00:00:01Z"},
            {"key": "lockkeeper:version:web", "value": "1970-01-01T00:00:01Z"},
            {"key": "lockkeeper:version:side", "value": "1970-01-01T00:00:02Z"},
        ]));
        let tags = registered(&old, "r.io/shop/web:2", &marks("d-2", 9_000))["tags"].clone();
        assert_eq!(
            tags,
            json!([
                {"key": "lockkeeper:deployment", "value": "d-2"},
                {"key": "lockkeeper:version:side", "value": "1970-01-01T00:00:02Z"},
                {"key": "lockkeeper:version:web", "value": "1970-01-01T00:00:09Z"},
                {"key": "owner", "value": "team"},
            ])
        );
    }

    #[test]
    fn a_revision_that_was_registered_before_a_crash_is_known_again() {
        let base = document(json!([{"key": "owner", "value": "team"}]));
        let registration =
            base.edited(&edits("r.io/shop/web:2"), &marks("d-2", 9)).expect("there").expect("differs");
        let mut newest = base.clone();
        newest.fields = registration.fields.clone();
        newest.tags = registration.tags.clone();
        newest.tags.insert("aws:set-by-aws".into(), "x".into());
        assert!(newest.is(&registration));
        let other =
            base.edited(&edits("r.io/shop/web:2"), &marks("d-3", 9)).expect("there").expect("differs");
        assert!(!newest.is(&other), "the same content for another deployment is another revision");
        assert!(!base.is(&registration));
    }

    #[test]
    fn a_view_leaves_out_images_that_cannot_be_read() {
        let view = document(json!([])).view();
        assert_eq!(view.id.to_string(), "shop:7");
        assert_eq!(document(json!([])).registered_at, Some(Timestamp::from_millis(1_500)));
        assert_eq!(view.images.keys().map(ContainerName::as_str).collect::<Vec<_>>(), ["side", "web"]);
    }

    #[test]
    fn roles_are_named_once_and_images_that_are_none_with_their_text() {
        let mut it = document(json!([]));
        it.fields.insert("taskRoleArn".into(), json!("arn:x"));
        it.fields.insert("executionRoleArn".into(), json!("arn:x"));
        assert_eq!(it.roles(), ["arn:x"]);
        let images = it.all_images();
        assert_eq!(images[0], ("web".into(), Ok("r.io/shop/web:1".parse().expect("valid"))));
        assert_eq!(images[2], ("odd".into(), Err("no image at all".into())));
    }

    #[test]
    fn an_answer_without_a_definition_is_refused() {
        for answer in
            ["", "[]", "{}", r#"{"taskDefinition":{}}"#, r#"{"taskDefinition":{"taskDefinitionArn":"x y"}}"#]
        {
            assert!(Document::parse(answer.as_bytes()).is_err(), "{answer} was taken");
        }
    }
}
