//! Traces that were found, as Tempo's messages.

use std::sync::Arc;

use store::execute::traceql::{Inspected, SpanMatch, SpansetMatch, TraceMatch};
use traceql::ast::{Field, Intrinsic, Key, Whose};

use crate::api::pb::{SearchMetrics, SearchResponse, ServiceStats, Span, SpanSet, Trace};
use crate::api::value;

/// What Tempo calls the service of a trace whose root has not come; clients compare with it.
const NO_ROOT: &str = "<root span not yet received>";

/// A number in as many bits as it has there.
pub(super) fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// What the service of the root is called.
pub(super) fn root_service(trace: &TraceMatch) -> &str {
    if trace.root_service.is_empty() { NO_ROOT } else { &trace.root_service }
}

/// Whether a span shows its name, as in Tempo: only where the query reads it.
pub(super) fn is_named(span: &SpanMatch) -> bool {
    let is_name = |field: &Field| {
        matches!((&field.key, field.whose), (Key::Intrinsic(Intrinsic::Name), Whose::Own))
    };
    span.attributes.iter().any(|(field, _)| is_name(field))
}

/// What was looked at.
pub(in crate::api) fn metrics(inspected: Inspected) -> SearchMetrics {
    SearchMetrics {
        inspected_traces: narrow(inspected.traces),
        inspected_bytes: inspected.bytes,
        completed_jobs: narrow(inspected.units),
        total_jobs: narrow(inspected.units_total),
        inspected_spans: inspected.spans,
    }
}

/// Traces that a query has found, and what was looked at.
pub(in crate::api) fn response(traces: &[Arc<TraceMatch>], inspected: Inspected) -> SearchResponse {
    let traces = traces.iter().map(|found| trace(found)).collect();
    SearchResponse { traces, metrics: Some(metrics(inspected)) }
}

/// A trace that a query has found.
pub(super) fn trace(trace: &TraceMatch) -> Trace {
    let span_sets: Vec<SpanSet> = trace.spansets.iter().map(span_set).collect();
    let services = trace.services.iter().map(|(service, stats)| {
        let (span_count, error_count) = (narrow(stats.spans), narrow(stats.errors));
        (service.clone(), ServiceStats { span_count, error_count })
    });
    Trace {
        trace_id: trace.id.trimmed(),
        root_service_name: root_service(trace).to_owned(),
        root_trace_name: trace.root_name.clone(),
        start_time_unix_nano: trace.start.0,
        duration_ms: narrow(trace.duration.as_millis()),
        span_set: span_sets.first().cloned(),
        span_sets,
        service_stats: services.collect(),
    }
}

fn span_set(set: &SpansetMatch) -> SpanSet {
    let attributes =
        set.attributes.iter().map(|(key, of)| value::pair(key.as_str(), value::any(of)));
    SpanSet {
        spans: set.spans.iter().map(span).collect(),
        matched: narrow(set.matched),
        attributes: attributes.collect(),
    }
}

fn span(span: &SpanMatch) -> Span {
    let attributes = span
        .attributes
        .iter()
        .filter_map(|(field, of)| Some(value::pair(value::label(field)?, value::any(of))));
    Span {
        span_id: span.id.to_string(),
        name: if is_named(span) { span.name.clone() } else { String::new() },
        start_time_unix_nano: span.start.0,
        duration_nanos: span.duration.0,
        attributes: attributes.collect(),
    }
}
