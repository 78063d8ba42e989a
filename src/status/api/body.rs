//! The bodies of requests: JSON, and nothing that nobody knows.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use serde::de::DeserializeOwned;

use crate::status::{StatusState, problem::Problem};

/// What a request says. Its type must be `application/json`, which no form of a page can send.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<StatusState> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &StatusState) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "the body must be JSON, and `Content-Type` say so: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
        }
        let bytes = Bytes::from_request(request, state).await;
        let bytes = bytes.map_err(|why| Problem::from(why.status()))?;
        // A list could otherwise stand for the fields in their order.
        if bytes.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            return Err(Problem::bad_request("the body must be a JSON object"));
        }
        let said = serde_json::from_slice(&bytes);
        said.map(Self).map_err(|why| Problem::bad_request(format!("the body cannot be understood: {why}")))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let essence = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim());
    essence.is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
}
