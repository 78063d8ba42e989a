//! What a task definition says, line by line, fit to be shown: whatever could be a secret is compared and never kept.
//!
//! A definition is what somebody else wrote. Passwords stand in environments by habit, and in commands, labels and options of
//! log drivers by accident. So a text is shown only where it stands at a place that is known to hold none; of all others
//! remains a fingerprint, by which a change is seen.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{fingerprint, harmless};

/// A definition, line by line, in the order of the paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outline(BTreeMap<String, Line>);

/// What stands at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// It may be shown.
    Shown(String),
    /// It may not: this is its fingerprint.
    Hidden(String),
}

/// What differs between two definitions at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where, as `containerDefinitions[web].image`.
    pub path: String,
    /// What stood there; `None` where nothing did.
    pub before: Option<Line>,
    /// What stands there; `None` where nothing does.
    pub after: Option<Line>,
}

/// No definition has more places that are kept: ECS takes 64 KiB.
const MOST_LINES: usize = 4_000;
/// No text is longer.
const MOST_CHARS: usize = 300;
const FINGERPRINT_BYTES: usize = 16;

/// Places that hold no secrets, by their last name. Numbers and truths are shown anywhere.
const SHOWN: [&str; 33] = [
    "appProtocol",
    "awslogs-group",
    "awslogs-region",
    "awslogs-stream-prefix",
    "condition",
    "containerName",
    "containerPath",
    "cpu",
    "cpuArchitecture",
    "driver",
    "executionRoleArn",
    "family",
    "fileSystemId",
    "image",
    "ipcMode",
    "logDriver",
    "memory",
    "mode",
    "name",
    "networkMode",
    "operatingSystemFamily",
    "pidMode",
    "protocol",
    "requiresCompatibilities",
    "rootDirectory",
    "scope",
    "sourcePath",
    "sourceVolume",
    "taskRoleArn",
    "type",
    "user",
    "versionConsistency",
    "workingDirectory",
];

/// What has places that anybody may name: nothing below is shown, whatever its place is called.
const HIDDEN: [&str; 7] =
    ["dockerLabels", "driverOpts", "environment", "labels", "properties", "secretOptions", "secrets"];

/// The same, but for those options of a log driver that say where logs go.
const OPTIONS: &str = "options";
const LOG_OPTIONS: &str = "awslogs-";

/// What the definition with these fields says.
pub fn outline(fields: &Map<String, Value>) -> Outline {
    let mut outline = Outline::default();
    for (name, value) in fields {
        outline.add(name.clone(), name, value, false);
    }
    outline
}

impl Outline {
    /// What is different in `after`, in the order of the paths.
    pub fn differences(&self, after: &Self) -> Vec<Difference> {
        let paths = self.0.keys().chain(after.0.keys().filter(|path| !self.0.contains_key(*path)));
        let mut differences: Vec<Difference> = paths
            .map(|path| Difference {
                path: path.clone(),
                before: self.0.get(path).cloned(),
                after: after.0.get(path).cloned(),
            })
            .filter(|it| it.before != it.after)
            .collect();
        differences.sort_by(|one, other| one.path.cmp(&other.path));
        differences
    }

    fn add(&mut self, path: String, parent: &str, value: &Value, is_hidden: bool) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    let is_free = parent == OPTIONS && !name.starts_with(LOG_OPTIONS);
                    let is_hidden = is_hidden || is_free || HIDDEN.contains(&name.as_str());
                    self.add(format!("{path}.{name}"), name, value, is_hidden);
                }
            }
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for (index, item) in items.iter().enumerate() {
                    self.add_item(&path, parent, &label(item, index), item, is_hidden);
                }
            }
            Value::Null => {}
            Value::Bool(_) | Value::Number(_) if !is_hidden => self.put(path, Line::Shown(value.to_string())),
            Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                let line = if !is_hidden && SHOWN.binary_search(&parent).is_ok() {
                    shown(value)
                } else {
                    hidden(value)
                };
                self.put(path, line);
            }
        }
    }

    /// One of a list of things that have names: where only a name and a value are, the name is the place.
    fn add_item(&mut self, path: &str, name: &str, label: &str, item: &Value, is_hidden: bool) {
        let is_hidden = is_hidden || HIDDEN.contains(&name);
        let path = format!("{path}[{label}]");
        if is_hidden {
            self.put(path, hidden(item));
        } else {
            self.add(path, name, item, is_hidden);
        }
    }

    fn put(&mut self, path: String, line: Line) {
        if self.0.len() < MOST_LINES {
            self.0.insert(harmless(&path, MOST_CHARS), line);
        }
    }
}

/// By what one of a list is known: its name, or what takes its place, or where it stands.
fn label(item: &Value, index: usize) -> String {
    let named =
        ["name", "containerPort", "sourceVolume", "containerName"].iter().find_map(|key| match &item[*key] {
            Value::String(name) => Some(name.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        });
    named.unwrap_or_else(|| index.to_string())
}

fn shown(value: &Value) -> Line {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Line::Shown(harmless(&text, MOST_CHARS))
}

fn hidden(value: &Value) -> Line {
    Line::Hidden(fingerprint(value.to_string(), FINGERPRINT_BYTES))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(value: &Value) -> Outline {
        outline(value.as_object().expect("an object"))
    }

    fn told(before: &Value, after: &Value) -> Vec<String> {
        let line = |line: &Option<Line>| match line {
            None => "nothing".to_owned(),
            Some(Line::Shown(text)) => text.clone(),
            Some(Line::Hidden(_)) => "hidden".to_owned(),
        };
        let differences = of(before).differences(&of(after));
        differences
            .iter()
            .map(|it| format!("{}: {} -> {}", it.path, line(&it.before), line(&it.after)))
            .collect()
    }

    #[test]
    fn what_differs_is_told_by_the_names_of_things_and_not_by_where_they_stand() {
        let before = json!({"cpu": "256", "containerDefinitions": [
            {"name": "web", "image": "shop/web:1", "essential": true, "portMappings": [{"containerPort": 80, "protocol": "tcp"}]},
            {"name": "proxy", "image": "envoy:v1"},
        ]});
        let after = json!({"cpu": "512", "containerDefinitions": [
            {"name": "proxy", "image": "envoy:v1"},
            {"name": "web", "image": "shop/web:2", "essential": false, "portMappings": [{"containerPort": 80, "protocol": "udp"}]},
        ]});
        assert_eq!(
            told(&before, &after),
            [
                "containerDefinitions[web].essential: true -> false",
                "containerDefinitions[web].image: shop/web:1 -> shop/web:2",
                "containerDefinitions[web].portMappings[80].protocol: tcp -> udp",
                "cpu: 256 -> 512",
            ]
        );
        assert!(told(&before, &before).is_empty());
    }

    #[test]
    fn of_environments_and_secrets_only_the_names_are_told() {
        let container = |environment: &Value, secrets: &Value| json!({"containerDefinitions": [{"name": "web", "environment": environment, "secrets": secrets}]});
        let before = container(
            &json!([{"name": "A", "value": "1"}, {"name": "GONE", "value": "x"}]),
            &json!([{"name": "KEY", "valueFrom": "/prod/key"}]),
        );
        let after = container(
            &json!([{"name": "A", "value": "2"}, {"name": "NEW", "value": "x"}]),
            &json!([{"name": "KEY", "valueFrom": "/prod/other"}]),
        );
        assert_eq!(
            told(&before, &after),
            [
                "containerDefinitions[web].environment[A]: hidden -> hidden",
                "containerDefinitions[web].environment[GONE]: hidden -> nothing",
                "containerDefinitions[web].environment[NEW]: nothing -> hidden",
                "containerDefinitions[web].secrets[KEY]: hidden -> hidden",
            ]
        );
    }

    #[test]
    fn of_the_options_of_log_drivers_only_where_logs_go_is_told() {
        let logs = |prefix: &str, token: &str| {
            json!({"containerDefinitions": [{"name": "web", "logConfiguration": {"logDriver": "splunk", "options": {
                "awslogs-stream-prefix": prefix, "awslogs-datetime-format": token, "splunk-token": token, "mode": token,
            }}}]})
        };
        assert_eq!(
            told(&logs("web", "hunter2"), &logs("shop", "hunter3")),
            [
                "containerDefinitions[web].logConfiguration.options.awslogs-datetime-format: hidden -> hidden",
                "containerDefinitions[web].logConfiguration.options.awslogs-stream-prefix: web -> shop",
                "containerDefinitions[web].logConfiguration.options.mode: hidden -> hidden",
                "containerDefinitions[web].logConfiguration.options.splunk-token: hidden -> hidden",
            ]
        );
    }

    #[test]
    fn a_secret_is_kept_nowhere_wherever_somebody_has_put_it() {
        let secret = "hunter2-of-the-shop";
        let places = json!({
            "containerDefinitions": [{
                "name": "web",
                "image": "shop/web:1",
                "command": ["serve", secret],
                "entryPoint": [secret],
                "environment": [{"name": "PASSWORD", "value": secret}, {"name": "image", "value": secret}],
                "environmentFiles": [{"type": "s3", "value": secret}],
                "secrets": [{"name": "S", "valueFrom": secret}],
                "dockerLabels": {"token": secret, "name": secret},
                "healthCheck": {"command": ["CMD", secret]},
                "logConfiguration": {"logDriver": "splunk", "options": {"splunk-token": secret, "mode": secret},
                    "secretOptions": [{"name": "t", "valueFrom": secret}]},
                "repositoryCredentials": {"credentialsParameter": secret},
                "extraHosts": [{"hostname": secret, "ipAddress": secret}],
                "systemControls": [{"namespace": secret, "value": secret}],
                "ofTomorrow": {"deep": [{"er": [secret]}]},
            }],
            "volumes": [{"name": "v", "dockerVolumeConfiguration": {"driverOpts": {"password": secret}, "labels": {"a": secret}}}],
            "proxyConfiguration": {"properties": [{"name": "n", "value": secret}]},
            "ofTomorrow": secret,
        });
        let shown = format!("{:?}", of(&places));
        assert_eq!(shown.matches(secret).count(), 0, "{shown}");
        assert!(shown.contains("environment[PASSWORD]") && shown.contains("command"));
    }

    #[test]
    fn the_list_of_places_is_in_order_so_that_it_can_be_searched() {
        assert!(SHOWN.is_sorted());
    }

    #[test]
    fn however_large_a_definition_is_the_outline_is_bounded() {
        let many: Vec<Value> = (0..9_000).map(|n| json!({"name": format!("V{n}"), "value": "x"})).collect();
        let outline = of(
            &json!({"containerDefinitions": [{"name": "web", "environment": many, "image": "x".repeat(9_000)}]}),
        );
        assert_eq!(outline.0.len(), MOST_LINES);
    }
}
