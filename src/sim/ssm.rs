//! Parameters, as far as a deployment can tell: they change, and an event says so without a version or a value.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    bus::Emission,
    call::{Call, Fail, Outcome, Scope, list, seconds, text, texts},
    page,
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
            "DescribeParameters" => self.describe_many(call),
            "DeleteParameter" => self.delete(call, now, outbox),
            "DeleteParameters" => Ok(self.delete_many(call, now, outbox)),
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

    fn describe_many(&self, call: &Call) -> Outcome {
        let filters = list(&call.body, "ParameterFilters");
        filters.iter().try_for_each(check_filter)?;
        let mine = self.0.iter().filter(|((scope, _), _)| *scope == call.scope);
        let described = mine.map(|((scope, name), parameter)| {
            let passes = filters.iter().all(|filter| lets_through(filter, name));
            passes.then(|| metadata(scope, name, parameter))
        });
        page::SSM.sift(&call.body, "Parameters", described.collect(), 50)
    }

    fn delete(&mut self, call: &Call, now: Timestamp, outbox: &mut Vec<Emission>) -> Outcome {
        let name = text(&call.body, "Name");
        let gone = self.remove(&call.scope, name, now, outbox);
        if gone { Ok(json!({})) } else { Err(not_found(name)) }
    }

    fn delete_many(&mut self, call: &Call, now: Timestamp, outbox: &mut Vec<Emission>) -> Value {
        let (mut gone, mut missing) = (Vec::new(), Vec::new());
        for name in texts(&call.body, "Names") {
            let removed = self.remove(&call.scope, name, now, outbox);
            if removed { &mut gone } else { &mut missing }.push(name);
        }
        json!({"DeletedParameters": gone, "InvalidParameters": missing})
    }

    fn remove(&mut self, scope: &Scope, name: &str, now: Timestamp, outbox: &mut Vec<Emission>) -> bool {
        let Some(gone) = self.0.remove(&(scope.clone(), name.to_owned())) else { return false };
        outbox.push(change(scope, name, &gone, "Delete", now));
        true
    }
}

/// Names are what the world filters by, with the options that DescribeParameters has for them.
fn check_filter(filter: &Value) -> Result<(), Fail> {
    if text(filter, "Key") != "Name" {
        return Err(Fail::new("InvalidFilterKey", "The world filters parameters by Name."));
    }
    if !(1..=50).contains(&list(filter, "Values").len()) {
        return Err(Fail::new("ValidationException", "Values must have between 1 and 50 members."));
    }
    match filter["Option"].as_str() {
        None | Some("Equals" | "BeginsWith" | "Contains") => Ok(()),
        Some(_) => Err(Fail::new("InvalidFilterOption", "The filter option is not valid.")),
    }
}

fn lets_through(filter: &Value, name: &str) -> bool {
    texts(filter, "Values").any(|value| match filter["Option"].as_str() {
        Some("BeginsWith") => name.starts_with(value),
        Some("Contains") => name.contains(value),
        _ => name == value,
    })
}

fn not_found(name: &str) -> Fail {
    Fail::new("ParameterNotFound", format!("Parameter {name} not found."))
}

/// The ARN has one slash before the name, whether or not the name begins with one.
fn arn(scope: &Scope, name: &str) -> String {
    scope.arn("ssm", &format!("parameter/{}", name.trim_start_matches('/')))
}

fn describe(scope: &Scope, name: &str, parameter: &Parameter) -> Value {
    let mut described = metadata(scope, name, parameter);
    described["Value"] = json!(parameter.value);
    described
}

/// Everything but the value.
fn metadata(scope: &Scope, name: &str, parameter: &Parameter) -> Value {
    json!({
        "Name": name, "Type": parameter.kind, "Version": parameter.version,
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
    use crate::sim::{Service::Ssm, testkit::Bench};

    fn put(bench: &mut Bench, name: &str, value: &str) {
        let body = json!({"Name": name, "Value": value, "Type": "SecureString", "Overwrite": true});
        bench.call(Ssm, "PutParameter", body);
    }

    /// The names of all pages of a list, and how many pages there were.
    fn described(bench: &mut Bench, option: &str, values: &[&str]) -> (Vec<String>, usize) {
        let filter = json!({"Key": "Name", "Option": option, "Values": values});
        let (mut body, mut names, mut pages) = (json!({"ParameterFilters": [filter]}), vec![], 0);
        loop {
            let reply = bench.call(Ssm, "DescribeParameters", body.clone());
            pages += 1;
            names.extend(list(&reply, "Parameters").iter().map(|it| text(it, "Name").to_owned()));
            match reply["NextToken"].as_str() {
                Some(token) => body["NextToken"] = json!(token),
                None => return (names, pages),
            }
        }
    }

    #[test]
    fn a_change_is_announced_without_version_or_value() {
        let mut bench = Bench::new();
        let url = bench.listen("aws.ssm");
        for _ in 0..2 {
            put(&mut bench, "/dev/x", "secret");
        }
        let heard = bench.heard(&url);
        let said: Vec<_> = heard.iter().map(|event| event["detail"].clone()).collect();
        assert_eq!(said[0], json!({"operation": "Create", "name": "/dev/x", "type": "SecureString"}));
        assert_eq!(said[1]["operation"], "Update");
        assert_eq!(heard[0]["resources"], json!(["arn:aws:ssm:us-east-1:000000000000:parameter/dev/x"]));
    }

    #[test]
    fn a_description_tells_when_it_last_changed_and_never_the_value() {
        let mut bench = Bench::new();
        put(&mut bench, "/dev/x", "one");
        bench.pass(5_000);
        put(&mut bench, "/dev/x", "two");
        let changed = bench.now;
        bench.pass(5_000);
        let reply = bench.call(Ssm, "DescribeParameters", json!({}));
        let one = &reply["Parameters"][0];
        assert_eq!((&one["LastModifiedDate"], &one["Version"]), (&seconds(changed), &json!(2)));
        assert!(one["Value"].is_null() && !reply.to_string().contains("two"));
    }

    #[test]
    fn parameters_are_found_by_name() {
        let mut bench = Bench::new();
        for number in 0..120 {
            put(&mut bench, &format!("/a/{number:03}"), "x");
        }
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            described(&mut bench, "Equals", &["/a/119", "/a/001", "/none"]),
            (names(&["/a/001", "/a/119"]), 1)
        );
        assert_eq!(described(&mut bench, "Contains", &["a/"]).1, 3);
        assert_eq!(described(&mut bench, "BeginsWith", &["/a/01"]).0.len(), 10);
        let fails = |bench: &mut Bench, filter: Value| {
            bench.fails(Ssm, "DescribeParameters", json!({"ParameterFilters": [filter]}))
        };
        let many = vec!["x"; 51];
        assert_eq!(fails(&mut bench, json!({"Key": "Name", "Values": many})), "ValidationException");
        let odd = json!({"Key": "Name", "Option": "OneLevel", "Values": ["x"]});
        assert_eq!(fails(&mut bench, odd), "InvalidFilterOption");
        assert_eq!(fails(&mut bench, json!({"Key": "Label", "Values": ["x"]})), "InvalidFilterKey");
    }

    #[test]
    fn what_is_deleted_is_announced_once() {
        let mut bench = Bench::new();
        put(&mut bench, "/a", "x");
        put(&mut bench, "/b", "x");
        let url = bench.listen("aws.ssm");
        bench.call(Ssm, "DeleteParameter", json!({"Name": "/a"}));
        assert_eq!(bench.fails(Ssm, "DeleteParameter", json!({"Name": "/a"})), "ParameterNotFound");
        let reply = bench.call(Ssm, "DeleteParameters", json!({"Names": ["/a", "/b"]}));
        assert_eq!(reply, json!({"DeletedParameters": ["/b"], "InvalidParameters": ["/a"]}));
        let said: Vec<Value> = bench.heard(&url).iter().map(|event| event["detail"].clone()).collect();
        assert_eq!(said.iter().map(|it| text(it, "name")).collect::<Vec<_>>(), ["/a", "/b"]);
        assert!(said.iter().all(|it| it["operation"] == "Delete"));
    }
}
