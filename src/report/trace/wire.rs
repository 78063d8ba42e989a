//! Spans as OTLP writes them, in Protocol Buffers.

use std::{collections::BTreeMap, sync::Arc};

use prost::Message as _;

use super::{
    attributes::{self, Attributes},
    otlp::{
        AnyValue, ArrayValue, Event, ExportTraceServiceRequest, ExportTraceServiceResponse,
        InstrumentationScope, KeyValue, Link, Resource, ResourceSpans, ScopeSpans, Span, SpanKind, Status,
        StatusCode, Value,
    },
    spans::{self, Happening, Trace},
};
use crate::domain::{Timestamp, TraceParent};

/// W3C's flag of a trace that is recorded.
const SAMPLED: u32 = 1;
/// That it is known whether the parent is of another process. It never is.
const PARENT_IS_NEAR: u32 = 0x100;
/// That it is known to be of another process.
const IS_REMOTE: u32 = 0x300;

/// These traces, of this sender, as one request.
pub(super) fn request(traces: &[Trace], sender: &BTreeMap<Arc<str>, Arc<str>>) -> Vec<u8> {
    let [name, version] = [env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION")].map(str::to_owned);
    let scope = Some(InstrumentationScope { name, version });
    let spans = traces.iter().flat_map(|trace| trace.spans.iter().map(|span| wired(&trace.id, span)));
    let scope_spans = vec![ScopeSpans { scope, spans: spans.collect() }];
    let attributes = sender.iter().map(|(name, value)| pair(name, text(value))).collect();
    let resource_spans = vec![ResourceSpans { resource: Some(Resource { attributes }), scope_spans }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// How many spans were not taken by an answer that takes the rest, and why.
pub(super) fn rejected(answer: &[u8]) -> Option<(usize, String)> {
    let partial = ExportTraceServiceResponse::decode(answer).ok()?.partial_success?;
    let spans = usize::try_from(partial.rejected_spans).ok().filter(|spans| *spans > 0)?;
    Some((spans, partial.error_message))
}

fn wired(trace: &[u8; 16], span: &spans::Span) -> Span {
    let failed = |why: &String| Status { message: why.clone(), code: StatusCode::Error.into() };
    Span {
        trace_id: trace.to_vec(),
        span_id: span.id.to_vec(),
        parent_span_id: span.parent.map(|id| id.to_vec()).unwrap_or_default(),
        name: span.name.into(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: nanos(span.begin),
        end_time_unix_nano: nanos(span.end),
        attributes: pairs(&span.attributes),
        events: span.events.iter().map(event).collect(),
        links: span.links.iter().map(link).collect(),
        status: span.failure.as_ref().map(failed),
        flags: SAMPLED | PARENT_IS_NEAR,
    }
}

fn event(happening: &Happening) -> Event {
    let Happening { at, name, attributes } = happening;
    Event { time_unix_nano: nanos(*at), name: (*name).into(), attributes: pairs(attributes) }
}

/// Of another process, always.
fn link(link: &TraceParent) -> Link {
    let flags = u32::from(link.flags) | IS_REMOTE;
    Link { trace_id: link.trace.to_vec(), span_id: link.span.to_vec(), flags }
}

fn pairs(attributes: &Attributes) -> Vec<KeyValue> {
    attributes.iter().map(|(name, value)| pair(name, any(value))).collect()
}

fn pair(name: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: name.into(), value: Some(value) }
}

fn any(value: &attributes::Value) -> AnyValue {
    match value {
        attributes::Value::Text(value) => text(value),
        attributes::Value::Number(number) => AnyValue { value: Some(Value::IntValue(*number)) },
        attributes::Value::Texts(values) => {
            let values = values.iter().map(|value| text(value)).collect();
            AnyValue { value: Some(Value::ArrayValue(ArrayValue { values })) }
        }
    }
}

fn text(value: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(value.into())) }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis()).unwrap_or(0).saturating_mul(1_000_000)
}
