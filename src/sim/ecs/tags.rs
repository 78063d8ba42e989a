//! Tags of clusters, services and task definitions.

use serde_json::{Value, json};

use super::Estate;
use crate::sim::call::{Fail, Outcome, Scope, list, tail, text, texts};

impl Estate {
    pub(super) fn tag(&mut self, body: &Value) -> Outcome {
        let tags = self.tags(text(body, "resourceArn"))?;
        for tag in list(body, "tags") {
            tags.retain(|other| other["key"] != tag["key"]);
            tags.push(tag.clone());
        }
        Ok(json!({}))
    }

    pub(super) fn untag(&mut self, body: &Value) -> Outcome {
        let tags = self.tags(text(body, "resourceArn"))?;
        tags.retain(|tag| !texts(body, "tagKeys").any(|key| tag["key"] == key));
        Ok(json!({}))
    }

    pub(super) fn list_tags(&mut self, body: &Value) -> Outcome {
        Ok(json!({"tags": self.tags(text(body, "resourceArn"))?}))
    }

    fn tags(&mut self, arn: &str) -> Result<&mut Vec<Value>, Fail> {
        let missing = || Fail::new("InvalidParameterException", "The specified resource could not be found.");
        let (_, resource) = Scope::of_arn(arn).ok_or_else(missing)?;
        let mut parts = resource.split('/');
        let (kind, first, second) = (parts.next(), parts.next().unwrap_or(""), parts.next());
        match kind {
            Some("cluster") => self.clusters.get_mut(first).map(|cluster| &mut cluster.tags),
            Some("task-definition") => {
                self.definition_mut(tail(resource)).map(|definition| &mut definition.tags)
            }
            Some("service") => {
                let key = match second {
                    Some(name) => (first.to_owned(), name.to_owned()),
                    None => ("default".to_owned(), first.to_owned()),
                };
                self.services.get_mut(&key).map(|service| &mut service.tags)
            }
            _ => None,
        }
        .ok_or_else(missing)
    }
}
