//! What CloudTrail tells the bus: calls without values, and what Secrets Manager did by itself.

use serde_json::{Map, Value, json};

use crate::{
    domain::Timestamp,
    sim::{
        bus::Emission,
        call::{Call, Scope},
    },
};

/// What CloudTrail leaves out of a request.
const HIDDEN: [&str; 2] = ["SecretString", "SecretBinary"];

/// A call that took effect.
pub(super) fn call(call: &Call, now: Timestamp) -> Emission {
    made(&call.scope, &call.operation, &call.body, now)
}

/// A call that somebody makes from within AWS.
pub(super) fn made(scope: &Scope, operation: &str, body: &Value, now: Timestamp) -> Emission {
    let mut detail = detail(scope, operation, "AwsApiCall", now);
    detail["requestParameters"] = parameters(body);
    emission(scope, "AWS API Call via CloudTrail", detail, now)
}

/// What Secrets Manager did to a secret by itself.
pub(super) fn service(scope: &Scope, name: &str, arn: &str, now: Timestamp) -> Emission {
    let mut detail = detail(scope, name, "AwsServiceEvent", now);
    detail["requestParameters"] = Value::Null;
    detail["additionalEventData"] = json!({"SecretId": arn});
    emission(scope, "AWS Service Event via CloudTrail", detail, now)
}

fn detail(scope: &Scope, name: &str, kind: &str, now: Timestamp) -> Value {
    json!({
        "eventVersion": "1.08", "eventTime": now, "eventSource": "secretsmanager.amazonaws.com", "eventName": name,
        "awsRegion": scope.region, "responseElements": null, "eventType": kind, "recipientAccountId": scope.account,
    })
}

/// The request, its fields led by a small letter, as CloudTrail writes them.
fn parameters(body: &Value) -> Value {
    let shown = body.as_object().into_iter().flatten().filter(|(name, _)| !HIDDEN.contains(&name.as_str()));
    let renamed: Map<String, Value> = shown.map(|(name, value)| (small(name), value.clone())).collect();
    Value::Object(renamed)
}

fn small(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().into_iter().flat_map(char::to_lowercase).chain(letters).collect()
}

fn emission(scope: &Scope, detail_type: &str, detail: Value, now: Timestamp) -> Emission {
    Emission {
        scope: scope.clone(),
        source: "aws.secretsmanager".to_owned(),
        detail_type: detail_type.to_owned(),
        time: now,
        resources: vec![],
        detail,
    }
}
