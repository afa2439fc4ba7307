//! Small OTLP messages for tests to send.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use crate::random::Rng;
use crate::wait::now_nanos;

/// The gRPC method of traces.
pub const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// The gRPC methods of the signals that are not ours.
pub const EXPORT_OTHERS: [&str; 2] = [
    "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
];

/// An attribute with a text.
#[must_use]
pub fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, key_strindex: 0 }
}

/// A span that just took a millisecond.
#[must_use]
pub fn span(trace_id: &[u8], span_id: &[u8], name: &str) -> Span {
    let end = now_nanos();
    Span {
        trace_id: trace_id.to_vec(),
        span_id: span_id.to_vec(),
        name: name.to_owned(),
        kind: 1,
        start_time_unix_nano: end - 1_000_000,
        end_time_unix_nano: end,
        ..Span::default()
    }
}

/// The spans as one service's.
#[must_use]
pub fn request(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource =
        Some(Resource { attributes: vec![text("service.name", service)], ..Resource::default() });
    let scope = Some(InstrumentationScope {
        name: "tests".to_owned(),
        version: "1".to_owned(),
        ..InstrumentationScope::default()
    });
    let scope_spans = vec![ScopeSpans { scope, spans, schema_url: String::new() }];
    let resource_spans = vec![ResourceSpans { resource, scope_spans, schema_url: String::new() }];
    ExportTraceServiceRequest { resource_spans }
}

/// A trace of so many spans: a root and its children.
#[must_use]
pub fn trace(rng: &mut Rng, spans: usize) -> Vec<Span> {
    let trace_id = rng.id::<16>();
    let mut made: Vec<Span> = Vec::with_capacity(spans);
    for number in 0..spans {
        let mut next = span(&trace_id, &rng.id::<8>(), &format!("span {number}"));
        next.attributes = vec![text("number", &number.to_string())];
        if let Some(root) = made.first() {
            next.parent_span_id.clone_from(&root.span_id);
        }
        made.push(next);
    }
    made
}
