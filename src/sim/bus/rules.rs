//! Rules and their targets.

use serde_json::{Value, json};

use super::{Buses, bus_key};
use crate::{
    domain::{PatternError, matches_pattern, read_pattern},
    sim::call::{Call, Fail, Outcome, list, text, texts},
};

/// A rule of one bus.
#[derive(Clone, Debug, Default)]
pub(super) struct Rule {
    pub(super) arn: String,
    bus: String,
    pattern: Value,
    pattern_text: String,
    schedule: Option<String>,
    description: Option<String>,
    enabled: bool,
    pub(super) targets: Vec<Value>,
}

impl Rule {
    pub(super) fn wants(&self, event: &Value) -> bool {
        self.enabled && matches_pattern(&self.pattern, event)
    }

    fn describe(&self, name: &str) -> Value {
        let state = if self.enabled { "ENABLED" } else { "DISABLED" };
        let mut described = json!({"Name": name, "Arn": self.arn, "State": state, "EventBusName": self.bus});
        let pattern = Some(&self.pattern_text).filter(|pattern| !pattern.is_empty());
        for (key, value) in [
            ("EventPattern", pattern),
            ("ScheduleExpression", self.schedule.as_ref()),
            ("Description", self.description.as_ref()),
        ] {
            if let Some(value) = value {
                described[key] = json!(value);
            }
        }
        described
    }
}

impl Buses {
    pub(super) fn rule_call(&mut self, call: &Call) -> Outcome {
        match call.operation.as_str() {
            "PutRule" => self.put_rule(call),
            "ListRules" => {
                let prefix = text(&call.body, "NamePrefix");
                let rules = self.bus(call)?.rules.iter().filter(|(name, _)| name.starts_with(prefix));
                Ok(json!({"Rules": rules.map(|(name, rule)| rule.describe(name)).collect::<Vec<_>>()}))
            }
            "ListRuleNamesByTarget" => {
                let wanted = text(&call.body, "TargetArn");
                let sends = |rule: &Rule| rule.targets.iter().any(|target| text(target, "Arn") == wanted);
                let names =
                    self.bus(call)?.rules.iter().filter(|(_, rule)| sends(rule)).map(|(name, _)| name);
                Ok(json!({"RuleNames": names.collect::<Vec<_>>()}))
            }
            "DeleteRule" => self.delete_rule(call),
            _ => self.on_rule(call),
        }
    }

    fn put_rule(&mut self, call: &Call) -> Outcome {
        let body = &call.body;
        let pattern_text = text(body, "EventPattern").to_owned();
        let pattern = parse_pattern(&pattern_text)?;
        let (scope, bus) = bus_key(&call.scope, body, "EventBusName");
        let name = text(body, "Name").to_owned();
        let path = if bus == "default" { format!("rule/{name}") } else { format!("rule/{bus}/{name}") };
        let arn = scope.arn("events", &path);
        let string = |key: &str| body[key].as_str().map(str::to_owned);
        let rule = self.bus(call)?.rules.entry(name).or_default();
        *rule = Rule {
            arn: arn.clone(),
            bus,
            pattern,
            pattern_text,
            schedule: string("ScheduleExpression"),
            description: string("Description"),
            enabled: text(body, "State") != "DISABLED",
            targets: std::mem::take(&mut rule.targets),
        };
        Ok(json!({"RuleArn": arn}))
    }

    fn delete_rule(&mut self, call: &Call) -> Outcome {
        let rules = &mut self.bus(call)?.rules;
        let name = text(&call.body, "Name");
        if rules.get(name).is_some_and(|rule| !rule.targets.is_empty()) && call.body["Force"] != true {
            return Err(Fail::new("ValidationException", "Rule can't be deleted since it has targets."));
        }
        rules.remove(name);
        Ok(json!({}))
    }

    fn on_rule(&mut self, call: &Call) -> Outcome {
        let body = &call.body;
        let name = body["Rule"].as_str().unwrap_or_else(|| text(body, "Name"));
        let missing = || Fail::new("ResourceNotFoundException", format!("Rule {name} does not exist."));
        let rule = self.bus(call)?.rules.get_mut(name).ok_or_else(missing)?;
        match call.operation.as_str() {
            "DescribeRule" => return Ok(rule.describe(name)),
            "ListTargetsByRule" => return Ok(json!({"Targets": rule.targets})),
            "EnableRule" => rule.enabled = true,
            "DisableRule" => rule.enabled = false,
            "PutTargets" => {
                put_targets(rule, body);
                return Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}));
            }
            "RemoveTargets" => {
                rule.targets.retain(|target| !texts(body, "Ids").any(|id| target["Id"] == id));
                return Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}));
            }
            operation => return Err(Fail::unknown(operation)),
        }
        Ok(json!({}))
    }
}

fn put_targets(rule: &mut Rule, body: &Value) {
    for target in list(body, "Targets") {
        rule.targets.retain(|other| other["Id"] != target["Id"]);
        rule.targets.push(target.clone());
    }
}

/// A rule may have a schedule instead of a pattern.
fn parse_pattern(text: &str) -> Result<Value, Fail> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    read_pattern(text).map_err(invalid_pattern)
}

/// What EventBridge answers to a pattern that it does not take.
pub(super) fn invalid_pattern(error: PatternError) -> Fail {
    Fail::new("InvalidEventPatternException", error.to_string())
}
