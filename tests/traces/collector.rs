//! A collector: takes OTLP over HTTP, reads it, and answers as it is told to.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use lockkeeper::report::trace::otlp::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse, KeyValue,
    ResourceSpans, Span, StatusCode as Code, Value,
};
use prost::Message as _;
use tokio::net::TcpListener;

use crate::PATIENCE;

/// How a request is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mood {
    Status(StatusCode),
    /// The request is taken, but for so many spans.
    Refuses(i64),
    Hangs,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) request: ExportTraceServiceRequest,
}

#[derive(Clone, Default)]
pub(crate) struct Collector(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    posted: Vec<Posted>,
    /// How the next ones are answered; the last one stays.
    moods: VecDeque<Mood>,
}

impl Collector {
    /// Listens, and says where; answers the first requests so, and all others as the last of them.
    pub(crate) async fn listen(moods: &[Mood]) -> (Self, String) {
        let collector = Self::default();
        collector.inner(|it| it.moods = moods.iter().copied().collect());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let router = Router::new().fallback(answer).with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (collector, url)
    }

    fn inner<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn posted(&self) -> Vec<Posted> {
        self.inner(|it| it.posted.clone())
    }

    /// What was posted of traces, in the order in which it came.
    pub(crate) fn told(&self) -> Vec<ResourceSpans> {
        self.posted().into_iter().flat_map(|it| it.request.resource_spans).collect()
    }

    /// Every span, in the order in which it came.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.told().into_iter().flat_map(|it| it.scope_spans).flat_map(|it| it.spans).collect()
    }

    /// The spans of each trace, once there are so many traces.
    pub(crate) async fn traces(&self, count: usize) -> Vec<Vec<Span>> {
        let traces = || {
            let mut traces: Vec<Vec<Span>> = Vec::new();
            for span in self.spans() {
                match traces.iter_mut().find(|trace| trace[0].trace_id == span.trace_id) {
                    Some(trace) => trace.push(span),
                    None => traces.push(vec![span]),
                }
            }
            traces
        };
        self.until(|| traces().len() >= count).await;
        traces()
    }

    /// Waits until so many requests came.
    pub(crate) async fn requests(&self, count: usize) {
        self.until(|| self.inner(|it| it.posted.len()) >= count).await;
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        let wait = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it comes to pass");
    }
}

async fn answer(State(collector): State<Collector>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
    let posted = Posted { path: uri.path().to_owned(), headers, request };
    let mood = collector.inner(|it| {
        it.posted.push(posted);
        if it.moods.len() > 1 { it.moods.pop_front() } else { it.moods.front().copied() }
    });
    let refused = match mood {
        Some(Mood::Status(status)) => return status.into_response(),
        Some(Mood::Hangs) => std::future::pending().await,
        Some(Mood::Refuses(spans)) => Some(spans),
        None => None,
    };
    let partial_success = refused
        .map(|rejected_spans| ExportTracePartialSuccess { rejected_spans, error_message: "too many".into() });
    let body = ExportTraceServiceResponse { partial_success }.encode_to_vec();
    ([("content-type", "application/x-protobuf")], body).into_response()
}

/// What is said under a name, if anything.
pub(crate) fn said(attributes: &[KeyValue], name: &str) -> String {
    let value = attributes.iter().find(|it| it.key == name).and_then(|it| it.value.clone()?.value);
    match value {
        None => String::new(),
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::ArrayValue(list)) => {
            let texts = list.values.into_iter().filter_map(|it| match it.value {
                Some(Value::StringValue(text)) => Some(text),
                _ => None,
            });
            texts.collect::<Vec<_>>().join(" ")
        }
    }
}

/// Whether a span is an error, and why.
pub(crate) fn error(span: &Span) -> Option<&str> {
    let status = span.status.as_ref().filter(|status| status.code == Code::Error as i32);
    status.map(|status| status.message.as_str())
}
