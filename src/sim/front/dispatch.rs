//! From an HTTP request to a call, and from the reply to an HTTP response.

use std::future::{Future, pending};

use axum::{
    body::Bytes,
    extract::{ConnectInfo, State},
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{Front, fuse::Fuse, json, query, rest};
use crate::sim::{
    call::{Call, Fail, Reply, Scope, Service, text},
    sts::account_of_key,
};

/// Answers any request to an AWS service.
pub(super) async fn dispatch(
    State(front): State<Front>,
    ConnectInfo(fuse): ConnectInfo<Fuse>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let caller = Caller::new(&headers);
    let scope = front.scope(&caller);
    let target = header(&headers, "x-amz-target");
    let call = if !target.is_empty() {
        json::read(target, scope, &body)
    } else if caller.service == "s3" || method != Method::POST {
        Ok(rest::read(scope, (&method, &uri), &headers, &body))
    } else {
        query::read(scope, &body)
    };
    let call = match call {
        Ok(call) => call,
        Err(refusal) => return refusal,
    };
    let reply = {
        let mut world = front.world();
        let reply = world.call(front.now(), &call);
        front.settle(&mut world);
        reply
    };
    front.note_work(call.service, &call.operation);
    front.answer(&call, reply, &fuse).await
}

/// What the signature says of who calls. It is not checked.
struct Caller<'a> {
    key: &'a str,
    region: &'a str,
    service: &'a str,
}

impl<'a> Caller<'a> {
    fn new(headers: &'a HeaderMap) -> Self {
        let authorization = header(headers, "authorization");
        let mut credential = authorization.split("Credential=").nth(1).unwrap_or("").split(['/', ',']);
        let mut next = |skipped: usize| credential.nth(skipped).unwrap_or("");
        Self { key: next(0), region: next(1), service: next(0) }
    }
}

impl Front {
    fn scope(&self, caller: &Caller<'_>) -> Scope {
        let settings = &self.shared.settings;
        let region = Some(caller.region).filter(|region| !region.is_empty()).unwrap_or(&settings.region);
        let account = account_of_key(caller.key).unwrap_or(&settings.account);
        Scope { account: account.to_owned(), region: region.to_owned() }
    }

    fn failed(&self, call: &Call, fail: &Fail) -> Response {
        match call.service {
            Service::Sqs
            | Service::Events
            | Service::Ecr
            | Service::Ssm
            | Service::Ecs
            | Service::SecretsManager => json::failed(call.service, fail),
            Service::Sts => query::failed(fail),
            Service::S3 => rest::failed(fail, self.world().region_of_bucket(text(&call.body, "Bucket"))),
        }
    }

    fn answer<'a>(
        &'a self,
        call: &'a Call,
        reply: Reply,
        fuse: &'a Fuse,
    ) -> impl Future<Output = Response> + Send + 'a {
        // Boxed because a slow reply is answered by answering the reply within.
        let answer: std::pin::Pin<Box<dyn Future<Output = Response> + Send + 'a>> = Box::pin(async move {
            match reply {
                Reply::Ok(body) => done(call, &body),
                Reply::Err(fail) => self.failed(call, &fail),
                Reply::Wait { until, .. } => {
                    let reply = self.wait(call, until).await;
                    self.answer(call, reply, fuse).await
                }
                Reply::Slow(delay, reply) => {
                    tokio::time::sleep(delay).await;
                    self.answer(call, *reply, fuse).await
                }
                Reply::Closed => {
                    fuse.blow();
                    StatusCode::BAD_GATEWAY.into_response()
                }
                Reply::Never => pending().await,
            }
        });
        answer
    }
}

fn done(call: &Call, body: &Value) -> Response {
    match call.service {
        Service::Sqs
        | Service::Events
        | Service::Ecr
        | Service::Ssm
        | Service::Ecs
        | Service::SecretsManager => json::response(call.service, StatusCode::OK, body),
        Service::Sts => query::response(&call.operation, body),
        Service::S3 => rest::response(call, body),
    }
}

/// The status of a failure.
pub(super) fn status(fail: &Fail) -> StatusCode {
    StatusCode::from_u16(fail.status).unwrap_or(StatusCode::BAD_REQUEST)
}

/// A header, or the empty text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}
