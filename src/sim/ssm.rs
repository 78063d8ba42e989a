//! Parameters, as far as a deployment can tell: they change, and an event says so without a version or a value.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    bus::Emission,
    call::{Call, Fail, Outcome, Scope, seconds, text, texts},
};
use crate::domain::Timestamp;

#[derive(Clone, Debug)]
struct Parameter {
    kind: String,
    value: String,
    description: String,
    version: u64,
    changed: Timestamp,
}

/// All parameters of the world.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters(BTreeMap<(Scope, String), Parameter>);

impl Parameters {
    pub(super) fn call(&mut self, call: &Call, now: Timestamp, outbox: &mut Vec<Emission>) -> Outcome {
        match call.operation.as_str() {
            "PutParameter" => self.put(call, now, outbox),
            "GetParameter" => {
                let name = text(&call.body, "Name");
                let found =
                    self.0.get(&(call.scope.clone(), name.to_owned())).ok_or_else(|| not_found(name))?;
                Ok(json!({"Parameter": describe(&call.scope, name, found)}))
            }
            "GetParameters" => Ok(self.get_many(call)),
            "DeleteParameter" => self.delete(call, now, outbox),
            operation => Err(Fail::unknown(operation)),
        }
    }

    fn put(&mut self, call: &Call, now: Timestamp, outbox: &mut Vec<Emission>) -> Outcome {
        let body = &call.body;
        let name = text(body, "Name");
        let key = (call.scope.clone(), name.to_owned());
        let before = self.0.get(&key);
        if before.is_some() && body["Overwrite"] != true {
            return Err(Fail::new(
                "ParameterAlreadyExists",
                "The parameter already exists. To overwrite this value, set the overwrite option in the request to true.",
            ));
        }
        let version = before.map_or(1, |before| before.version + 1);
        let kind =
            before.map_or_else(|| body["Type"].as_str().unwrap_or("String").to_owned(), |b| b.kind.clone());
        let (value, description) = (text(body, "Value").to_owned(), text(body, "Description").to_owned());
        let operation = if version == 1 { "Create" } else { "Update" };
        let parameter = Parameter { kind, value, description, version, changed: now };
        outbox.push(change(&call.scope, name, &parameter, operation, now));
        self.0.insert(key, parameter);
        Ok(json!({"Version": version, "Tier": "Standard"}))
    }

    fn get_many(&self, call: &Call) -> Value {
        let find = |name: &str| self.0.get(&(call.scope.clone(), name.to_owned()));
        let names = || texts(&call.body, "Names");
        let found = names().filter_map(|name| Some(describe(&call.scope, name, find(name)?)));
        let missing = names().filter(|name| find(name).is_none());
        json!({"Parameters": found.collect::<Vec<_>>(), "InvalidParameters": missing.collect::<Vec<_>>()})
    }

    fn delete(&mut self, call: &Call, now: Timestamp, outbox: &mut Vec<Emission>) -> Outcome {
        let name = text(&call.body, "Name");
        let gone = self.0.remove(&(call.scope.clone(), name.to_owned())).ok_or_else(|| not_found(name))?;
        outbox.push(change(&call.scope, name, &gone, "Delete", now));
        Ok(json!({}))
    }
}

fn not_found(name: &str) -> Fail {
    Fail::new("ParameterNotFound", format!("Parameter {name} not found."))
}

/// The ARN has one slash before the name, whether or not the name begins with one.
fn arn(scope: &Scope, name: &str) -> String {
    scope.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')))
}

fn describe(scope: &Scope, name: &str, parameter: &Parameter) -> Value {
    json!({
        "Name": name, "Type": parameter.kind, "Value": parameter.value, "Version": parameter.version,
        "LastModifiedDate": seconds(parameter.changed), "ARN": arn(scope, name), "DataType": "text",
    })
}

fn change(scope: &Scope, name: &str, parameter: &Parameter, operation: &str, now: Timestamp) -> Emission {
    let mut detail = json!({"operation": operation, "name": name, "type": parameter.kind});
    if !parameter.description.is_empty() {
        detail["description"] = json!(parameter.description);
    }
    Emission {
        scope: scope.clone(),
        source: "aws.ssm".to_owned(),
        detail_type: "Parameter Store Change".to_owned(),
        time: now,
        resources: vec![arn(scope, name)],
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::call::Service;

    #[test]
    fn a_change_is_announced_without_version_or_value() {
        let (mut parameters, mut outbox) = (Parameters::default(), vec![]);
        let body = json!({"Name": "/dev/x", "Value": "secret", "Type": "SecureString", "Overwrite": true});
        for _ in 0..2 {
            let call = Call::new(Service::Ssm, "PutParameter", body.clone());
            parameters.call(&call, Timestamp::from_millis(0), &mut outbox).expect("put");
        }
        let said: Vec<_> = outbox.iter().map(|event| event.detail.clone()).collect();
        assert_eq!(said[0], json!({"operation": "Create", "name": "/dev/x", "type": "SecureString"}));
        assert_eq!(said[1]["operation"], "Update");
        assert_eq!(outbox[0].resources, ["arn:aws:ssm:us-east-1:000000000000:parameter/dev/x"]);
    }
}
