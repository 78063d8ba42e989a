//! EventBridge's rules: which send to a queue, and what they let through.

use aws_sdk_eventbridge::types::Target;

use super::{Connections, failure::Verb, observe::Calls};
use crate::domain::CallFailure;

/// EventBridge in one account and Region.
#[derive(Clone, Debug)]
pub struct Rules {
    client: aws_sdk_eventbridge::Client,
    calls: Calls,
}

/// A rule, as far as it says whether an event reaches a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// The bus that it listens to.
    pub bus: String,
    /// Its ARN.
    pub arn: String,
    /// Whether it is switched on.
    pub enabled: bool,
    /// What it lets through, as JSON; none where it only has a schedule.
    pub pattern: Option<String>,
}

/// How a rule sends to a queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sending {
    /// The role by which it sends; without one, the queue's policy has to allow it.
    pub role: Option<String>,
    /// What it sends of each event.
    pub sends: Sends,
    /// The queue for what cannot be delivered.
    pub dead_letters: Option<String>,
}

/// What a target of a rule gets of each event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sends {
    /// The event as it is.
    #[default]
    Event,
    /// What this path leads to in it, as `$.detail`.
    Part(String),
    /// This text, whatever happened.
    Constant(String),
    /// What a template makes of it.
    Transformed,
}

impl Sends {
    fn to(target: &Target) -> Self {
        match (target.input(), target.input_path(), target.input_transformer()) {
            (Some(constant), ..) => Self::Constant(constant.to_owned()),
            (None, Some("$"), _) | (None, None, None) => Self::Event,
            (None, Some(path), _) => Self::Part(path.to_owned()),
            (None, None, Some(_)) => Self::Transformed,
        }
    }
}

impl Connections {
    /// EventBridge here.
    pub fn rules(&self) -> Rules {
        Rules { client: self.eventbridge(), calls: self.calls().clone() }
    }
}

impl Rules {
    /// The name and ARN of each bus.
    pub async fn buses(&self) -> Result<Vec<(String, String)>, CallFailure> {
        const OPERATION: &str = "ListEventBuses";
        let (mut buses, mut next) = (Vec::new(), None);
        loop {
            let call = self.client.list_event_buses().set_next_token(next).send();
            let page = self.calls.make("events", OPERATION, call).await;
            let page = page.map_err(|fault| fault.of_call(OPERATION, Verb::Read))?;
            let named = page.event_buses().iter();
            buses.extend(named.filter_map(|bus| Some((bus.name()?.to_owned(), bus.arn()?.to_owned()))));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(buses);
            }
        }
    }

    /// The names of the rules of a bus that send to this ARN.
    pub async fn sending_to(&self, bus: &str, arn: &str) -> Result<Vec<String>, CallFailure> {
        const OPERATION: &str = "ListRuleNamesByTarget";
        let (mut names, mut next) = (Vec::new(), None);
        loop {
            let call = self.client.list_rule_names_by_target().event_bus_name(bus).target_arn(arn);
            let page = self.calls.make("events", OPERATION, call.set_next_token(next).send()).await;
            let page = page.map_err(|fault| fault.of_call(OPERATION, Verb::Read))?;
            names.extend(page.rule_names().iter().cloned());
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(names);
            }
        }
    }

    /// One rule of a bus.
    pub async fn rule(&self, bus: &str, name: &str) -> Result<Rule, CallFailure> {
        const OPERATION: &str = "DescribeRule";
        let call = self.client.describe_rule().event_bus_name(bus).name(name).send();
        let answer = self.calls.make("events", OPERATION, call).await;
        let answer = answer.map_err(|fault| fault.of_call(OPERATION, Verb::Read))?;
        Ok(Rule {
            name: name.to_owned(),
            bus: bus.to_owned(),
            arn: answer.arn().unwrap_or_default().to_owned(),
            // There is more than one way to be enabled, and one to be disabled.
            enabled: answer.state().is_none_or(|state| state.as_str() != "DISABLED"),
            pattern: answer.event_pattern,
        })
    }

    /// How a rule sends to this ARN, once for each of its targets that does.
    pub async fn sendings(&self, rule: &Rule, arn: &str) -> Result<Vec<Sending>, CallFailure> {
        const OPERATION: &str = "ListTargetsByRule";
        let (mut sendings, mut next) = (Vec::new(), None);
        loop {
            let call = self.client.list_targets_by_rule().event_bus_name(&rule.bus).rule(&rule.name);
            let page = self.calls.make("events", OPERATION, call.set_next_token(next).send()).await;
            let page = page.map_err(|fault| fault.of_call(OPERATION, Verb::Read))?;
            sendings.extend(page.targets().iter().filter(|target| target.arn() == arn).map(|target| {
                Sending {
                    role: target.role_arn().map(str::to_owned),
                    sends: Sends::to(target),
                    dead_letters: target.dead_letter_config().and_then(|it| it.arn()).map(str::to_owned),
                }
            }));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(sendings);
            }
        }
    }

    /// Whether this pattern lets this event through, both JSON.
    pub async fn lets_through(&self, pattern: &str, event: &str) -> Result<bool, CallFailure> {
        const OPERATION: &str = "TestEventPattern";
        let call = self.client.test_event_pattern().event_pattern(pattern).event(event).send();
        let answer = self.calls.make("events", OPERATION, call).await;
        Ok(answer.map_err(|fault| fault.of_call(OPERATION, Verb::Read))?.result())
    }
}
