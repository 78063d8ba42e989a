//! What is asked of the world and what it answers, as data.

use std::{fmt::Write as _, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::domain::Timestamp;

/// An AWS service that the world knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Queues.
    Sqs,
    /// Event buses and rules.
    Events,
    /// Images.
    Ecr,
    /// Parameters.
    Ssm,
    /// Clusters, definitions, services, tasks.
    Ecs,
    /// Roles of other accounts, and who a caller is.
    Sts,
    /// Secrets.
    SecretsManager,
    /// Objects.
    S3,
}

impl Service {
    /// The service that the first part of an `x-amz-target` header names.
    pub fn from_target(prefix: &str) -> Option<Self> {
        match prefix {
            "AmazonSQS" => Some(Self::Sqs),
            "AWSEvents" => Some(Self::Events),
            "AmazonEC2ContainerRegistry_V20150921" => Some(Self::Ecr),
            "AmazonSSM" => Some(Self::Ssm),
            "secretsmanager" => Some(Self::SecretsManager),
            "AmazonEC2ContainerServiceV20141113" => Some(Self::Ecs),
            _ => None,
        }
    }
}

/// An account in a Region: nothing is shared between two of them except event buses that allow it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Scope {
    /// Twelve digits.
    pub account: String,
    /// Such as `us-east-1`.
    pub region: String,
}

impl Scope {
    /// The ARN of a resource here.
    pub fn arn(&self, service: &str, resource: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account)
    }

    /// The scope that an ARN names, and the resource in it.
    pub fn of_arn(arn: &str) -> Option<(Self, &str)> {
        let mut parts = arn.splitn(6, ':').skip(3);
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        Some((Self { account: account.to_owned(), region: region.to_owned() }, resource))
    }
}

/// One call of an API.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Whom it addresses.
    pub service: Service,
    /// Such as `UpdateService`.
    pub operation: String,
    /// Who calls, and in which Region.
    pub scope: Scope,
    /// The request as JSON.
    pub body: Value,
}

impl Call {
    /// A call in the world's default account and Region.
    pub fn new(service: Service, operation: &str, body: Value) -> Self {
        let scope =
            Scope { account: super::DEFAULT_ACCOUNT.to_owned(), region: super::DEFAULT_REGION.to_owned() };
        Self { service, operation: operation.to_owned(), scope, body }
    }
}

/// An error as AWS would send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fail {
    /// Such as `ServiceNotFoundException`.
    pub code: &'static str,
    /// For a person.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
}

impl Fail {
    /// A mistake of the caller's: status 400.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), status: 400 }
    }

    /// An operation that the world does not have.
    pub fn unknown(operation: &str) -> Self {
        Self::new("UnknownOperationException", format!("The world has no operation {operation}."))
    }
}

/// What a handler of one operation returns.
pub(crate) type Outcome = Result<Value, Fail>;

/// What came of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Status 200 with this body.
    Ok(Value),
    /// An error.
    Err(Fail),
    /// A long poll found nothing. It ends at `until`; ask again with [`super::World::look_again`] when something
    /// arrives, and at `look_at` at the latest, because then a message may turn visible by itself.
    Wait {
        /// When the poll ends empty-handed.
        until: Timestamp,
        /// When to look again although nothing arrived; never after `until`.
        look_at: Timestamp,
    },
    /// The reply comes, but only after this time. What the call does is done already.
    Slow(Duration, Box<Reply>),
    /// The call took effect, and the connection is closed without an answer.
    Closed,
    /// The call had no effect and is never answered.
    Never,
}

impl Reply {
    /// The result in the words of the call log: `OK`, an error code, or what else happened.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Ok(_) => "OK",
            Self::Err(fail) => fail.code,
            Self::Wait { .. } => "WAIT",
            Self::Slow(_, reply) => reply.code(),
            Self::Closed => "CLOSED",
            Self::Never => "NEVER",
        }
    }
}

impl From<Outcome> for Reply {
    fn from(outcome: Outcome) -> Self {
        outcome.map_or_else(Self::Err, Self::Ok)
    }
}

/// The string under `key`, or the empty string.
pub(crate) fn text<'a>(body: &'a Value, key: &str) -> &'a str {
    body[key].as_str().unwrap_or("")
}

/// The entries of the list under `key`, or none.
pub(crate) fn list<'a>(body: &'a Value, key: &str) -> &'a [Value] {
    body[key].as_array().map_or(&[], Vec::as_slice)
}

/// The strings of the list under `key`.
pub(crate) fn texts<'a>(body: &'a Value, key: &str) -> impl Iterator<Item = &'a str> {
    list(body, key).iter().filter_map(Value::as_str)
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut digits, byte| {
        write!(digits, "{byte:02x}").expect("writing to a string cannot fail");
        digits
    })
}

/// What stands after the last slash: a name from a name or an ARN.
pub(crate) fn tail(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Seconds since the epoch with a fraction, as the JSON protocols write times.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of this age fit 53 bits")]
pub(crate) fn seconds(at: Timestamp) -> Value {
    json!(at.as_millis() as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_its_scope_and_resource() {
        let (scope, resource) =
            Scope::of_arn("arn:aws:ecs:eu-west-1:123456789012:service/a/b").expect("an ARN");
        assert_eq!(
            (scope.region.as_str(), scope.account.as_str(), resource),
            ("eu-west-1", "123456789012", "service/a/b")
        );
        assert_eq!(scope.arn("ecs", resource), "arn:aws:ecs:eu-west-1:123456789012:service/a/b");
        assert_eq!(Scope::of_arn("service"), None);
    }
}
