//! Whether the policy of a queue lets a rule of EventBridge send to it.
//!
//! Only what is certain is said: a condition that is not understood makes the answer a perhaps.

use serde_json::Value;

use crate::domain::Glob;

/// Whether something is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Allowed {
    No,
    /// There are conditions that are not understood.
    Perhaps,
    Yes,
}

const EVENTS: &str = "events.amazonaws.com";
const SEND: &str = "sqs:sendmessage";

/// Whether this policy lets this rule send.
pub(super) fn lets_rule_send(policy: Option<&str>, rule: &str) -> Allowed {
    let granted = of_statements(policy, "Allow", |it| is_of_events(&it["Principal"]), rule);
    match of_statements(policy, "Deny", |it| is_of_events(&it["Principal"]), rule) {
        Allowed::Yes => Allowed::No,
        Allowed::Perhaps => granted.min(Allowed::Perhaps),
        Allowed::No => granted,
    }
}

/// Whether somebody else than a rule may send: SNS, a person, another account.
pub(super) fn lets_others_send(policy: Option<&str>) -> bool {
    let is_other = |it: &Value| !is_only_of_events(&it["Principal"]);
    of_statements(policy, "Allow", is_other, "") > Allowed::No
}

/// The most that a statement of this effect says of sending.
fn of_statements(
    policy: Option<&str>,
    effect: &str,
    is_meant: impl Fn(&Value) -> bool,
    rule: &str,
) -> Allowed {
    let policy: Value = policy.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let statements = listed(&policy["Statement"]);
    let applies = statements.filter(|it| it["Effect"] == effect && is_meant(it) && names_sending(it));
    applies.map(|it| condition(&it["Condition"], rule)).max().unwrap_or(Allowed::No)
}

fn names_sending(statement: &Value) -> bool {
    let is_it = |action: &Value| Glob::new(&action.as_str().unwrap_or_default().to_lowercase()).matches(SEND);
    match &statement["NotAction"] {
        Value::Null => listed(&statement["Action"]).any(is_it),
        but => !listed(but).any(is_it),
    }
}

fn is_of_events(principal: &Value) -> bool {
    *principal == "*"
        || listed(&principal["AWS"]).any(|it| it == "*")
        || listed(&principal["Service"]).any(|it| it == EVENTS || it == "*")
}

fn is_only_of_events(principal: &Value) -> bool {
    principal.get("AWS").is_none()
        && *principal != "*"
        && listed(&principal["Service"]).all(|it| it == EVENTS)
}

/// Whether the conditions hold for what this rule sends.
fn condition(conditions: &Value, rule: &str) -> Allowed {
    let operators = conditions.as_object().into_iter().flatten();
    let tests = operators.flat_map(|(operator, keys)| {
        keys.as_object().into_iter().flatten().map(move |(key, values)| (operator, key, values))
    });
    tests.map(|(operator, key, values)| holds(operator, key, values, rule)).min().unwrap_or(Allowed::Yes)
}

fn holds(operator: &str, key: &str, values: &Value, rule: &str) -> Allowed {
    let operator = operator.strip_suffix("IfExists").unwrap_or(operator);
    let any = |is_it: &dyn Fn(&str) -> bool| listed(values).filter_map(Value::as_str).any(is_it);
    let account = rule.split(':').nth(4).unwrap_or_default();
    let holds = match (operator, key.to_lowercase().as_str()) {
        ("ArnEquals" | "ArnLike" | "StringLike", "aws:sourcearn") => any(&|it| Glob::new(it).matches(rule)),
        ("StringEquals", "aws:sourcearn") => any(&|it| it == rule),
        ("StringEquals" | "StringLike", "aws:sourceaccount") => any(&|it| Glob::new(it).matches(account)),
        // AWS itself calls over TLS.
        ("Bool", "aws:securetransport") => {
            listed(values).any(|it| *it == Value::Bool(true) || it.as_str() == Some("true"))
        }
        _ => return Allowed::Perhaps,
    };
    if holds { Allowed::Yes } else { Allowed::No }
}

/// A value that may stand alone or in a list.
fn listed(value: &Value) -> impl Iterator<Item = &Value> {
    match value {
        Value::Array(values) => values.iter(),
        Value::Null => [].iter(),
        one => std::slice::from_ref(one).iter(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RULE: &str = "arn:aws:events:eu-west-1:111122223333:rule/pushes";

    fn of(statement: &Value) -> Allowed {
        lets_rule_send(Some(&json!({"Statement": [statement]}).to_string()), RULE)
    }

    fn allow(condition: Value) -> Value {
        json!({
            "Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage",
            "Resource": "*", "Condition": condition,
        })
    }

    #[test]
    fn a_rule_may_send_if_its_arn_is_named() {
        for (condition, allowed) in [
            (json!({}), Allowed::Yes),
            (json!({"ArnEquals": {"aws:SourceArn": [RULE, "arn:other"]}}), Allowed::Yes),
            (
                json!({"ArnLike": {"AWS:SourceArn": "arn:aws:events:eu-west-1:111122223333:rule/*"}}),
                Allowed::Yes,
            ),
            (json!({"StringEquals": {"aws:SourceAccount": "111122223333"}}), Allowed::Yes),
            (json!({"ArnEquals": {"aws:SourceArn": "arn:other"}}), Allowed::No),
            (json!({"StringEquals": {"aws:SourceAccount": "999900001111"}}), Allowed::No),
            (json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}), Allowed::Perhaps),
            (
                json!({"StringEquals": {"aws:PrincipalOrgID": "o-1"}, "ArnEquals": {"aws:SourceArn": "x"}}),
                Allowed::No,
            ),
        ] {
            assert_eq!(of(&allow(condition.clone())), allowed, "{condition}");
        }
    }

    #[test]
    fn others_and_other_actions_do_not_count() {
        let with = |key: &str, value: Value| {
            let mut statement = allow(json!({}));
            statement[key] = value;
            of(&statement)
        };
        assert_eq!(with("Principal", json!({"Service": ["s3.amazonaws.com"]})), Allowed::No);
        assert_eq!(with("Principal", json!("*")), Allowed::Yes);
        assert_eq!(with("Principal", json!({"AWS": "*"})), Allowed::Yes);
        assert_eq!(with("Action", json!(["sqs:ReceiveMessage"])), Allowed::No);
        assert_eq!(with("Action", json!(["SQS:*"])), Allowed::Yes);
        assert_eq!(lets_rule_send(None, RULE), Allowed::No);
        assert_eq!(lets_rule_send(Some("no JSON"), RULE), Allowed::No);
    }

    #[test]
    fn a_denial_wins_unless_it_is_of_connections_that_aws_never_makes() {
        let policy = |condition: Value| {
            let deny = json!({"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Condition": condition});
            lets_rule_send(Some(&json!({"Statement": [allow(json!({})), deny]}).to_string()), RULE)
        };
        assert_eq!(policy(json!({"Bool": {"aws:SecureTransport": "false"}})), Allowed::Yes);
        assert_eq!(policy(json!({})), Allowed::No);
        assert_eq!(policy(json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})), Allowed::Perhaps);
    }

    #[test]
    fn others_that_may_send_are_seen() {
        let policy = |principal: Value| {
            let mut statement = allow(json!({}));
            statement["Principal"] = principal;
            lets_others_send(Some(&json!({"Statement": statement}).to_string()))
        };
        assert!(policy(json!({"Service": ["sns.amazonaws.com"]})));
        assert!(policy(json!({"AWS": "arn:aws:iam::111122223333:root"})));
        assert!(!policy(json!({"Service": "events.amazonaws.com"})));
        assert!(!lets_others_send(None));
    }
}
