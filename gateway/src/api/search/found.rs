//! Traces that were found, as Tempo's messages.

use store::execute::traceql::{Inspected, SpanMatch, SpansetMatch, TraceMatch};
use traceql::ast::{Field, Intrinsic};

use crate::api::pb::{SearchMetrics, ServiceStats, Span, SpanSet, Trace};
use crate::api::value;

/// What Tempo calls the service of a trace whose root has not come; clients compare with it.
const NO_ROOT: &str = "<root span not yet received>";

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn root_or_none(service: &str) -> String {
    if service.is_empty() { NO_ROOT.to_owned() } else { service.to_owned() }
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

/// A trace that a query has found.
pub(super) fn trace(trace: &TraceMatch) -> Trace {
    let span_sets: Vec<SpanSet> = trace.spansets.iter().map(span_set).collect();
    let services = trace.services.iter().map(|(service, stats)| {
        let (span_count, error_count) = (narrow(stats.spans), narrow(stats.errors));
        (service.clone(), ServiceStats { span_count, error_count })
    });
    Trace {
        trace_id: trace.id.trimmed(),
        root_service_name: root_or_none(&trace.root_service),
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
    let is_named = |field: &Field| *field == Field::intrinsic(Intrinsic::Name);
    let named = span.attributes.iter().any(|(field, _)| is_named(field));
    let attributes = span
        .attributes
        .iter()
        .filter_map(|(field, of)| Some(value::pair(value::label(field)?, value::any(of))));
    Span {
        span_id: span.id.to_string(),
        // As in Tempo: only where the query reads it.
        name: if named { span.name.clone() } else { String::new() },
        start_time_unix_nano: span.start.0,
        duration_nanos: span.duration.0,
        attributes: attributes.collect(),
    }
}
