//! The JSON protocols: the operation is in a header, request and reply are JSON.

use axum::{
    body::Bytes,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{dispatch::status, query};
use crate::sim::call::{Call, Fail, Scope, Service};

/// The call that `x-amz-target` names, or why there is none.
#[expect(
    clippy::result_large_err,
    reason = "the answer to a request that cannot be understood is sent at once"
)]
pub(super) fn read(target: &str, scope: Scope, body: &Bytes) -> Result<Call, Response> {
    let named = target.split_once('.').and_then(|(prefix, op)| Some((Service::from_target(prefix)?, op)));
    let (service, operation) = named.ok_or_else(query::no_such_service)?;
    let parsed = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(body) };
    let refused = |_| failed(service, &Fail::new("SerializationException", "The request is not JSON."));
    Ok(Call { service, operation: operation.to_owned(), scope, body: parsed.map_err(refused)? })
}

/// A reply.
pub(super) fn response(service: Service, status: StatusCode, body: &Value) -> Response {
    let kind = match service {
        Service::Sqs => "application/x-amz-json-1.0",
        _ => "application/x-amz-json-1.1",
    };
    let request_id = [("x-amzn-requestid", "00000000-0000-4000-8000-000000000000")];
    (status, request_id, [(CONTENT_TYPE, kind)], body.to_string()).into_response()
}

/// An error.
pub(super) fn failed(service: Service, fail: &Fail) -> Response {
    let is_sqs = service == Service::Sqs;
    let kind = if is_sqs { format!("com.amazonaws.sqs#{}", fail.code) } else { fail.code.to_owned() };
    let body = json!({"__type": kind, "message": fail.message});
    let mut response = response(service, status(fail), &body);
    if is_sqs {
        let fault = if fail.status < 500 { "Sender" } else { "Receiver" };
        let header = format!("{};{fault}", query_code(fail.code));
        let header = HeaderValue::from_str(&header).expect("error codes are letters and dots");
        response.headers_mut().insert("x-amzn-query-error", header);
    }
    response
}

/// The code that an error of SQS had in the query protocol, which SDKs still report.
fn query_code(code: &str) -> String {
    match code {
        "QueueDoesNotExist" => "AWS.SimpleQueueService.NonExistentQueue".to_owned(),
        "QueueNameExists" => "QueueAlreadyExists".to_owned(),
        "MessageNotInflight"
        | "EmptyBatchRequest"
        | "TooManyEntriesInBatchRequest"
        | "BatchEntryIdsNotDistinct"
        | "BatchRequestTooLong"
        | "UnsupportedOperation" => format!("AWS.SimpleQueueService.{code}"),
        code => code.to_owned(),
    }
}
