//! One secret: its versions and where their stages are.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::super::call::{Fail, Scope, seconds};
use crate::domain::Timestamp;

/// The stage of the version that is read by whoever names none.
pub(super) const CURRENT: &str = "AWSCURRENT";
/// That of a version which a rotation has made and not finished.
pub(super) const PENDING: &str = "AWSPENDING";
/// That of the version which was current before.
const PREVIOUS: &str = "AWSPREVIOUS";

#[derive(Clone, Debug)]
pub(super) struct Version {
    pub(super) created: Timestamp,
    pub(super) value: String,
    pub(super) stages: BTreeSet<String>,
}

/// A secret.
#[derive(Clone, Debug)]
pub(super) struct Secret {
    /// Its name with a hyphen and six random characters: what its ARN ends with.
    pub(super) tail: String,
    pub(super) description: String,
    pub(super) created: Timestamp,
    /// When anything about it last changed.
    pub(super) changed: Timestamp,
    pub(super) rotated: Option<Timestamp>,
    /// When it was marked for deletion.
    pub(super) deleted: Option<Timestamp>,
    pub(super) versions: BTreeMap<String, Version>,
    /// The version that a rotation under way has made, and when that rotation ends.
    pub(super) rotation: Option<(String, Timestamp)>,
}

impl Secret {
    pub(super) fn new(tail: String, description: &str, now: Timestamp) -> Self {
        Self {
            tail,
            description: description.to_owned(),
            created: now,
            changed: now,
            rotated: None,
            deleted: None,
            versions: BTreeMap::new(),
            rotation: None,
        }
    }

    pub(super) fn arn(&self, scope: &Scope) -> String {
        scope.arn("secretsmanager", &format!("secret:{}", self.tail))
    }

    /// The id of the version that has a stage.
    pub(super) fn staged(&self, stage: &str) -> Option<&String> {
        self.versions.iter().find(|(_, version)| version.stages.contains(stage)).map(|(id, _)| id)
    }

    /// Adds a version with these stages; the same again changes nothing.
    pub(super) fn add(
        &mut self,
        (id, value): (&str, &str),
        stages: &[String],
        now: Timestamp,
    ) -> Result<(), Fail> {
        if let Some(version) = self.versions.get(id) {
            let same = version.value == value;
            let said = "A resource with the ID you requested already exists.";
            return if same { Ok(()) } else { Err(Fail::new("ResourceExistsException", said)) };
        }
        let version = Version { created: now, value: value.to_owned(), stages: BTreeSet::new() };
        self.versions.insert(id.to_owned(), version);
        for stage in stages {
            self.move_stage(stage, Some(id));
        }
        self.changed = now;
        Ok(())
    }

    /// Takes a stage from whichever version has it, and gives it to this one. The version that was current is the
    /// previous one then.
    pub(super) fn move_stage(&mut self, stage: &str, to: Option<&str>) {
        let from = self.staged(stage).cloned();
        if from.as_deref() == to {
            return;
        }
        self.take_stage(stage);
        if let (CURRENT, Some(from), Some(_)) = (stage, &from, to) {
            self.take_stage(PREVIOUS);
            self.give_stage(PREVIOUS, from);
        }
        if let Some(to) = to {
            self.give_stage(stage, to);
        }
    }

    fn take_stage(&mut self, stage: &str) {
        for version in self.versions.values_mut() {
            version.stages.remove(stage);
        }
    }

    fn give_stage(&mut self, stage: &str, to: &str) {
        if let Some(version) = self.versions.get_mut(to) {
            version.stages.insert(stage.to_owned());
        }
    }

    /// Everything but the values.
    pub(super) fn describe(&self, scope: &Scope, name: &str) -> Value {
        let shown = self.versions.iter().filter(|(_, version)| !version.stages.is_empty());
        let stages: Map<String, Value> =
            shown.map(|(id, version)| (id.clone(), json!(version.stages))).collect();
        let mut described = json!({
            "ARN": self.arn(scope), "Name": name, "CreatedDate": seconds(self.created),
            "LastChangedDate": seconds(self.changed), "Description": self.description,
        });
        for (field, at) in [("LastRotatedDate", self.rotated), ("DeletedDate", self.deleted)] {
            if let Some(at) = at {
                described[field] = seconds(at);
            }
        }
        described["VersionIdsToStages"] = Value::Object(stages);
        described
    }
}
