//! Errors, as `application/problem+json` (RFC 9457).

use std::time::Duration;

use axum::{
    Json,
    extract::Request,
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;

/// An error as it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    status: StatusCode,
    detail: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), header: None }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// Nothing is there.
    pub(super) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// The request cannot be understood.
    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// What is asked for does not go together with what is so.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// It cannot be had now, and may be had after so long.
    pub(super) fn later(status: StatusCode, after: Duration, detail: impl Into<String>) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        Self::new(status, detail).with(header::RETRY_AFTER, seconds.max(1).into())
    }

    /// Says more in this header.
    pub(super) fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some((name, value)), ..self }
    }
}

impl From<StatusCode> for Problem {
    fn from(status: StatusCode) -> Self {
        let detail = match status {
            StatusCode::NOT_FOUND => "nothing is at this path",
            StatusCode::METHOD_NOT_ALLOWED => {
                "this path does not take this method: `Allow` names those that it takes"
            }
            StatusCode::PAYLOAD_TOO_LARGE => "no path takes a body of this size",
            StatusCode::REQUEST_TIMEOUT => "the request took too long",
            StatusCode::INTERNAL_SERVER_ERROR => "a defect of Lockkeeper: the log says more",
            _ => "the request cannot be answered",
        };
        Self::new(status, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"))];
        let mut response = (self.status, content_type, Json(body)).into_response();
        response.headers_mut().extend(self.header.clone());
        // Whoever answers people says it in another way.
        response.extensions_mut().insert(self);
        response
    }
}

/// Errors that the layers around the handlers answer in their own way become problems; their headers stay.
pub(super) async fn for_every_error(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let is_told = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.contains("json") || kind.contains("html")));
    if !is_error || is_told {
        return response;
    }
    let mut problem = Problem::from(status).into_response();
    for (name, value) in response.headers() {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            problem.headers_mut().insert(name, value.clone());
        }
    }
    problem
}
