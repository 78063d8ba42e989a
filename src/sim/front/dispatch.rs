//! From an HTTP request to a call, and from the reply to an HTTP response.

use std::future::{Future, pending};

use axum::{
    body::Bytes,
    extract::{ConnectInfo, State},
    http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Front, fuse::Fuse};
use crate::sim::call::{Call, Fail, Reply, Scope, Service};

/// Answers any request to an AWS service.
pub(super) async fn dispatch(
    State(front): State<Front>,
    ConnectInfo(fuse): ConnectInfo<Fuse>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let scope = front.scope(&headers);
    let target = header(&headers, "x-amz-target").split_once('.');
    let Some((service, operation)) =
        target.and_then(|(prefix, op)| Some((Service::from_target(prefix)?, op)))
    else {
        return query(&scope, &body);
    };
    let parsed = if body.is_empty() { Ok(json!({})) } else { serde_json::from_slice(&body) };
    let Ok(body) = parsed else {
        return failed(service, &Fail::new("SerializationException", "The request is not JSON."));
    };
    let call = Call { service, operation: operation.to_owned(), scope, body };
    let reply = {
        let mut world = front.world();
        let reply = world.call(front.now(), &call);
        front.settle(&mut world);
        reply
    };
    front.note_work(service, operation);
    front.answer(&call, reply, &fuse).await
}

impl Front {
    fn scope(&self, headers: &HeaderMap) -> Scope {
        let authorization = header(headers, "authorization");
        let mut credential = authorization.split("Credential=").nth(1).unwrap_or("").split(['/', ',']);
        let (key, region) = (credential.next().unwrap_or(""), credential.nth(1).unwrap_or(""));
        let twelve_digits = key.len() == 12 && key.bytes().all(|byte| byte.is_ascii_digit());
        let or = |given: &str, known: bool, default: &str| if known { given } else { default }.to_owned();
        Scope {
            account: or(key, twelve_digits, &self.shared.settings.account),
            region: or(region, !region.is_empty(), &self.shared.settings.region),
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
                Reply::Ok(body) => json_response(call.service, StatusCode::OK, &body),
                Reply::Err(fail) => failed(call.service, &fail),
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

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

fn json_response(service: Service, status: StatusCode, body: &Value) -> Response {
    let kind = match service {
        Service::Sqs => "application/x-amz-json-1.0",
        Service::Events | Service::Ecr | Service::Ssm | Service::Ecs => "application/x-amz-json-1.1",
    };
    let request_id = [("x-amzn-requestid", "00000000-0000-4000-8000-000000000000")];
    (status, request_id, [(CONTENT_TYPE, kind)], body.to_string()).into_response()
}

fn failed(service: Service, fail: &Fail) -> Response {
    let status = StatusCode::from_u16(fail.status).unwrap_or(StatusCode::BAD_REQUEST);
    let kind = match service {
        Service::Sqs => format!("com.amazonaws.sqs#{}", fail.code),
        Service::Events | Service::Ecr | Service::Ssm | Service::Ecs => fail.code.to_owned(),
    };
    let mut response = json_response(service, status, &json!({"__type": kind, "message": fail.message}));
    if service == Service::Sqs {
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

/// The query protocol, of which the world knows one operation: who am I.
fn query(scope: &Scope, body: &[u8]) -> Response {
    let form = String::from_utf8_lossy(body);
    if form.split('&').any(|pair| pair == "Action=GetCallerIdentity") {
        let account = &scope.account;
        return xml(
            StatusCode::OK,
            format!(
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                 <Arn>arn:aws:iam::{account}:root</Arn><UserId>{account}</UserId><Account>{account}</Account>\
                 </GetCallerIdentityResult><ResponseMetadata><RequestId>0</RequestId></ResponseMetadata>\
                 </GetCallerIdentityResponse>"
            ),
        );
    }
    let code = "<Code>InvalidAction</Code><Message>The world has no such service.</Message>";
    let error = format!("<ErrorResponse><Error><Type>Sender</Type>{code}</Error></ErrorResponse>");
    xml(StatusCode::BAD_REQUEST, error)
}

fn xml(status: StatusCode, body: String) -> Response {
    (status, [(CONTENT_TYPE, "text/xml")], body).into_response()
}
