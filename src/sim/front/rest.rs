//! S3's protocol: the method and the path say what is asked for, XML and headers come out. Buckets stand in the path.

use std::collections::BTreeMap;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{dispatch, text};
use crate::sim::call::{self, Call, Fail, Scope, Service};

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// The call that a request is.
pub(super) fn read(scope: Scope, (method, uri): (&Method, &Uri), headers: &HeaderMap, body: &Bytes) -> Call {
    let path = uri.path().trim_start_matches('/');
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    let query = text::form(uri.query().unwrap_or(""));
    let operation = operation(method, bucket, key, &query);
    let content = content(headers, body);
    let mut request = json!({
        "Bucket": text::decode(bucket), "Key": text::decode(key), "Prefix": query.get("prefix"),
        "MaxKeys": query.get("max-keys"), "ContinuationToken": query.get("continuation-token"),
        "StartAfter": query.get("start-after"),
    });
    match operation {
        "PutObject" => request["Body"] = json!(content),
        "PutBucketNotificationConfiguration" if content.contains("<EventBridgeConfiguration") => {
            request["EventBridgeConfiguration"] = json!({});
        }
        _ => {}
    }
    Call { service: Service::S3, operation: operation.to_owned(), scope, body: request }
}

fn operation(method: &Method, bucket: &str, key: &str, query: &BTreeMap<String, String>) -> &'static str {
    let notification = query.contains_key("notification");
    match (method.as_str(), bucket.is_empty(), key.is_empty()) {
        ("GET", true, true) => "ListBuckets",
        ("PUT", false, true) if notification => "PutBucketNotificationConfiguration",
        ("GET", false, true) if notification => "GetBucketNotificationConfiguration",
        ("GET", false, true) if query.contains_key("list-type") => "ListObjectsV2",
        ("PUT", false, true) => "CreateBucket",
        ("HEAD", false, true) => "HeadBucket",
        ("PUT", false, false) => "PutObject",
        ("GET", false, false) => "GetObject",
        ("HEAD", false, false) => "HeadObject",
        ("DELETE", false, false) => "DeleteObject",
        _ => "this one",
    }
}

/// What was sent, without the frames in which an SDK may send it.
fn content(headers: &HeaderMap, body: &Bytes) -> String {
    let is_framed = dispatch::header(headers, "x-amz-content-sha256").starts_with("STREAMING-");
    let bytes = if is_framed { unframed(body) } else { body.to_vec() };
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Each frame is its length in hexadecimal, perhaps with a signature behind a semicolon, a line's end, that many bytes,
/// and a line's end. The last is empty.
fn unframed(mut body: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while let Some(end) = body.windows(2).position(|pair| pair == b"\r\n") {
        let head = String::from_utf8_lossy(&body[..end]);
        let length = head.split(';').next().and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let rest = &body[end + 2..];
        let Some(frame) = length.filter(|length| *length > 0).and_then(|length| rest.get(..length)) else {
            break;
        };
        content.extend_from_slice(frame);
        body = rest.get(frame.len() + 2..).unwrap_or_default();
    }
    content
}

/// A reply.
pub(super) fn response(call: &Call, body: &Value) -> Response {
    match call.operation.as_str() {
        "ListBuckets" => document("ListAllMyBucketsResult", body),
        "ListObjectsV2" => document("ListBucketResult", body),
        "GetBucketNotificationConfiguration" => document("NotificationConfiguration", body),
        "DeleteObject" => StatusCode::NO_CONTENT.into_response(),
        "PutObject" => (of_object(body), ()).into_response(),
        "HeadObject" => {
            let length = call::text(body, "Body").len().to_string();
            (of_object(body), [(header::CONTENT_LENGTH, length)], Body::empty()).into_response()
        }
        "GetObject" => (of_object(body), call::text(body, "Body").to_owned()).into_response(),
        _ => StatusCode::OK.into_response(),
    }
}

/// An error. The answer to `HEAD` has no body.
pub(super) fn failed(fail: &Fail, region: Option<&str>) -> Response {
    let error = text::elements(&json!({"Code": fail.code, "Message": fail.message}));
    let mut response = xml(dispatch::status(fail), format!("<Error>{error}</Error>"));
    if let Some(region) = region.and_then(|region| HeaderValue::from_str(region).ok()) {
        response.headers_mut().insert("x-amz-bucket-region", region);
    }
    response
}

fn document(name: &str, body: &Value) -> Response {
    let elements = text::elements(body);
    xml(StatusCode::OK, format!("<{name} xmlns=\"{NAMESPACE}\">{elements}</{name}>"))
}

fn xml(status: StatusCode, body: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

fn of_object(body: &Value) -> [(header::HeaderName, String); 2] {
    let changed = call::text(body, "LastModified").parse::<jiff::Timestamp>();
    let changed = changed.map(|at| at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
    [
        (header::ETAG, call::text(body, "ETag").to_owned()),
        (header::LAST_MODIFIED, changed.unwrap_or_default()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_off_and_what_follows_the_last_is_dropped() {
        let sent = b"5;chunk-signature=ab\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:AAAA\r\n\r\n";
        assert_eq!(unframed(sent), b"hello world");
        assert_eq!(unframed(b"ff\r\nshort"), b"");
        assert_eq!(unframed(b"no frame"), b"");
    }
}
