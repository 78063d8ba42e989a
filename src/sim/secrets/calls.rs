//! The API of Secrets Manager.

use serde_json::{Value, json};

use super::{
    Safe, Secrets, events,
    secret::{CURRENT, Secret},
};
use crate::sim::{
    call::{Call, Fail, Outcome, Scope, seconds, text, texts},
    page,
};

impl Secrets {
    pub(in crate::sim) fn call(&mut self, call: &Call, safe: &mut Safe<'_>) -> Outcome {
        match call.operation.as_str() {
            "DescribeSecret" => {
                let (scope, name, secret) = self.found(call)?;
                Ok(secret.describe(&scope, &name))
            }
            "ListSecretVersionIds" => self.list_versions(call),
            "ListSecrets" => self.list(call),
            "GetSecretValue" => self.value(call),
            _ => {
                let outcome = self.change(call, safe)?;
                safe.outbox.push(events::call(call, safe.now));
                Ok(outcome)
            }
        }
    }

    fn change(&mut self, call: &Call, safe: &mut Safe<'_>) -> Outcome {
        match call.operation.as_str() {
            "CreateSecret" => self.create(call, safe),
            "PutSecretValue" => self.put_value(call, safe),
            "UpdateSecret" => self.update(call, safe),
            "UpdateSecretVersionStage" => self.update_stage(call, safe),
            "RotateSecret" => self.rotate(call, safe),
            "DeleteSecret" => self.delete(call, safe),
            "RestoreSecret" => self.restore(call),
            operation => Err(Fail::unknown(operation)),
        }
    }

    fn create(&mut self, call: &Call, safe: &mut Safe<'_>) -> Outcome {
        let (body, name) = (&call.body, text(&call.body, "Name"));
        let key = (call.scope.clone(), name.to_owned());
        if self.0.contains_key(&key) {
            let said = format!("The operation failed because the secret {name} already exists.");
            return Err(Fail::new("ResourceExistsException", said));
        }
        let tail = format!("{name}-{}", &safe.rng.hex()[..6]);
        let mut secret = Secret::new(tail, text(body, "Description"), safe.now);
        let mut reply = json!({"ARN": secret.arn(&call.scope), "Name": name});
        if let Some(value) = value_in(body) {
            let version = version_id(body, safe);
            secret.add((&version, value), &[CURRENT.to_owned()], safe.now)?;
            reply["VersionId"] = json!(version);
        }
        self.0.insert(key, secret);
        Ok(reply)
    }

    fn put_value(&mut self, call: &Call, safe: &mut Safe<'_>) -> Outcome {
        let body = &call.body;
        let (scope, name, secret) = self.alive(call)?;
        let named: Vec<String> = texts(body, "VersionStages").map(str::to_owned).collect();
        let stages = if named.is_empty() { vec![CURRENT.to_owned()] } else { named };
        let version = version_id(body, safe);
        let value =
            value_in(body).ok_or_else(|| invalid("You must provide SecretString or SecretBinary."))?;
        secret.add((&version, value), &stages, safe.now)?;
        Ok(json!({
            "ARN": secret.arn(&scope), "Name": name, "VersionId": version,
            "VersionStages": secret.versions[&version].stages,
        }))
    }

    /// A description alone makes no version.
    fn update(&mut self, call: &Call, safe: &mut Safe<'_>) -> Outcome {
        let body = &call.body;
        let (scope, name, secret) = self.alive(call)?;
        let mut reply = json!({"ARN": secret.arn(&scope), "Name": name});
        if let Some(description) = body["Description"].as_str() {
            description.clone_into(&mut secret.description);
        }
        if let Some(value) = value_in(body) {
            let version = version_id(body, safe);
            secret.add((&version, value), &[CURRENT.to_owned()], safe.now)?;
            reply["VersionId"] = json!(version);
        }
        secret.changed = safe.now;
        Ok(reply)
    }

    fn update_stage(&mut self, call: &Call, safe: &Safe<'_>) -> Outcome {
        let body = &call.body;
        let (scope, name, secret) = self.alive(call)?;
        let stage = text(body, "VersionStage");
        let (from, to) = (body["RemoveFromVersionId"].as_str(), body["MoveToVersionId"].as_str());
        let has = secret.staged(stage).map(String::as_str);
        if has.is_some() && has != to && has != from {
            return Err(invalid("The stage is on another version: name it in RemoveFromVersionId."));
        }
        if to.is_some_and(|to| !secret.versions.contains_key(to)) {
            let said = "Secrets Manager can't find the specified secret version.";
            return Err(Fail::new("ResourceNotFoundException", said));
        }
        secret.move_stage(stage, to);
        secret.changed = safe.now;
        Ok(json!({"ARN": secret.arn(&scope), "Name": name}))
    }

    fn delete(&mut self, call: &Call, safe: &Safe<'_>) -> Outcome {
        let (scope, name, secret) = self.alive(call)?;
        secret.deleted = Some(safe.now);
        let reply = json!({"ARN": secret.arn(&scope), "Name": name, "DeletionDate": seconds(safe.now)});
        if call.body["ForceDeleteWithoutRecovery"] == true {
            self.0.remove(&(scope, name));
        }
        Ok(reply)
    }

    fn restore(&mut self, call: &Call) -> Outcome {
        let key = self.key(call, text(&call.body, "SecretId"))?;
        let arn = self.0.get_mut(&key).map(|secret| {
            secret.deleted = None;
            secret.arn(&key.0)
        });
        Ok(json!({"ARN": arn, "Name": key.1}))
    }

    fn value(&mut self, call: &Call) -> Outcome {
        let body = &call.body;
        let (scope, name, secret) = self.alive(call)?;
        let staged = secret.staged(body["VersionStage"].as_str().unwrap_or(CURRENT)).map(String::as_str);
        let id = body["VersionId"].as_str().or(staged);
        let found = id.and_then(|id| Some((id, secret.versions.get(id)?)));
        let (id, version) = found.ok_or_else(|| {
            let said = "Secrets Manager can't find the specified secret value for staging label.";
            Fail::new("ResourceNotFoundException", said)
        })?;
        Ok(json!({
            "ARN": secret.arn(&scope), "Name": name, "VersionId": id, "SecretString": version.value,
            "VersionStages": version.stages, "CreatedDate": seconds(version.created),
        }))
    }

    fn list_versions(&self, call: &Call) -> Outcome {
        let (scope, name, secret) = self.found(call)?;
        let all = call.body["IncludeDeprecated"] == true;
        let shown = secret.versions.iter().filter(|(_, version)| all || !version.stages.is_empty());
        let versions = shown.map(|(id, version)| {
            json!({"VersionId": id, "VersionStages": version.stages, "CreatedDate": seconds(version.created)})
        });
        let mut reply = page::SECRETS.page(&call.body, "Versions", versions.collect(), 100)?;
        reply["ARN"] = json!(secret.arn(&scope));
        reply["Name"] = json!(name);
        Ok(reply)
    }

    fn list(&self, call: &Call) -> Outcome {
        let mine =
            self.0.iter().filter(|((scope, _), secret)| *scope == call.scope && secret.deleted.is_none());
        let described = mine.map(|((scope, name), secret)| {
            let mut described = secret.describe(scope, name);
            described["SecretVersionsToStages"] = described["VersionIdsToStages"].take();
            described
        });
        page::SECRETS.page(&call.body, "SecretList", described.collect(), 100)
    }

    /// The secret that a call names, even one that is marked for deletion.
    fn found(&self, call: &Call) -> Result<(Scope, String, &Secret), Fail> {
        let (scope, name) = self.key(call, text(&call.body, "SecretId"))?;
        let secret = &self.0[&(scope.clone(), name.clone())];
        Ok((scope, name, secret))
    }

    /// The same for a call that may not be made once it is marked.
    pub(super) fn alive(&mut self, call: &Call) -> Result<(Scope, String, &mut Secret), Fail> {
        let (scope, name) = self.key(call, text(&call.body, "SecretId"))?;
        let secret = self.0.get_mut(&(scope.clone(), name.clone()));
        let secret = secret.expect("key() gives keys of secrets that exist");
        if secret.deleted.is_none() {
            return Ok((scope, name, secret));
        }
        let said = "You can't perform this operation on the secret because it was marked for deletion.";
        Err(Fail::new("InvalidRequestException", said))
    }
}

fn value_in(body: &Value) -> Option<&str> {
    body["SecretString"].as_str().or_else(|| body["SecretBinary"].as_str())
}

fn version_id(body: &Value, safe: &mut Safe<'_>) -> String {
    body["ClientRequestToken"].as_str().map_or_else(|| safe.rng.uuid(), str::to_owned)
}

fn invalid(message: &str) -> Fail {
    Fail::new("InvalidParameterException", message)
}
