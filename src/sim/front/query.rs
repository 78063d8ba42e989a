//! The query protocol, which of the world's services only STS speaks: a form goes in, XML comes out.

use axum::{
    body::Bytes,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{dispatch::status, text};
use crate::sim::call::{Call, Fail, Scope, Service};

const STS_VERSION: &str = "2011-06-15";

/// The call that a form names, or why there is none.
#[expect(
    clippy::result_large_err,
    reason = "the answer to a request that cannot be understood is sent at once"
)]
pub(super) fn read(scope: Scope, body: &Bytes) -> Result<Call, Response> {
    let form = text::form(&String::from_utf8_lossy(body));
    if form.get("Version").map(String::as_str) != Some(STS_VERSION) {
        return Err(no_such_service());
    }
    let operation = form.get("Action").cloned().unwrap_or_default();
    Ok(Call { service: Service::Sts, operation, scope, body: json!(form) })
}

/// A reply.
pub(super) fn response(operation: &str, body: &Value) -> Response {
    let result = text::elements(body);
    let answer = format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/{STS_VERSION}/\"><{operation}Result>{result}\
         </{operation}Result><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></{operation}Response>"
    );
    xml(StatusCode::OK, answer)
}

/// An error.
pub(super) fn failed(fail: &Fail) -> Response {
    let kind = if fail.status < 500 { "Sender" } else { "Receiver" };
    let error = text::elements(&json!({"Type": kind, "Code": fail.code, "Message": fail.message}));
    let answer = format!("<ErrorResponse><Error>{error}</Error><RequestId>0</RequestId></ErrorResponse>");
    xml(status(fail), answer)
}

/// The answer to a request for something that the world does not have.
pub(super) fn no_such_service() -> Response {
    failed(&Fail::new("InvalidAction", "The world has no such service."))
}

fn xml(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "text/xml")], body).into_response()
}
