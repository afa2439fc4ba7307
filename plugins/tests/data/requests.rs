//! Requests of all shapes.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status,
    span::{Event, Link},
};

use super::chance::Chance;

/// Keys that requests and projections have in common.
pub(crate) const KEYS: [&str; 8] =
    ["", "a", "ab", "abc", "http.method", "http.request.header.cookie", "service.name", "é"];

pub(crate) fn text(chance: &mut Chance) -> String {
    match chance.below(6) {
        0 => String::new(),
        1 => "x".repeat(chance.below(300)),
        2 => format!("é{}", chance.below(4)),
        3 => format!("unique {}", chance.next()),
        _ => format!("v{}", chance.below(3)),
    }
}

fn leaf(chance: &mut Chance) -> Option<Value> {
    Some(match chance.below(9) {
        0 => return None,
        1 => Value::BoolValue(chance.one_in(2)),
        2 => Value::IntValue(chance.next().cast_signed()),
        3 => Value::IntValue(i64::try_from(chance.below(200)).unwrap()),
        4 => Value::DoubleValue(f64::from(u32::try_from(chance.below(1000)).unwrap()) / 8.0),
        5 => Value::BytesValue(vec![0xff; chance.below(5)]),
        _ => Value::StringValue(text(chance)),
    })
}

pub(crate) fn value(chance: &mut Chance) -> AnyValue {
    let value = match chance.below(12) {
        0 => {
            let values = (0..chance.below(3)).map(|_| AnyValue { value: leaf(chance) }).collect();
            Some(Value::ArrayValue(ArrayValue { values }))
        }
        1 => Some(Value::KvlistValue(KeyValueList { values: attributes(chance, 2) })),
        _ => leaf(chance),
    };
    AnyValue { value }
}

pub(crate) fn attributes(chance: &mut Chance, most: usize) -> Vec<KeyValue> {
    let pair = |chance: &mut Chance| {
        let key =
            if chance.one_in(12) { "k".repeat(200) } else { (*chance.pick(&KEYS)).to_owned() };
        let value = (!chance.one_in(12)).then(|| value(chance));
        KeyValue { key, value, ..KeyValue::default() }
    };
    // Few have many.
    let count = if chance.one_in(100) { 60 + chance.below(80) } else { chance.below(most + 1) };
    (0..count).map(|_| pair(chance)).collect()
}

fn event(chance: &mut Chance) -> Event {
    Event {
        time_unix_nano: chance.next() % 1000,
        name: text(chance),
        attributes: attributes(chance, 3),
        dropped_attributes_count: 0,
    }
}

fn link(chance: &mut Chance) -> Link {
    Link {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        attributes: attributes(chance, 3),
        ..Link::default()
    }
}

/// A span; one in eight has ids that are refused.
pub(crate) fn span(chance: &mut Chance) -> Span {
    let trace = u8::try_from(chance.below(6) + 1).unwrap();
    let id = |chance: &mut Chance| chance.next().max(1).to_le_bytes().to_vec();
    let few = |chance: &mut Chance| if chance.one_in(3) { chance.below(4) } else { 0 };
    Span {
        trace_id: if chance.one_in(8) { vec![0; 16] } else { vec![trace; 16] },
        span_id: id(chance),
        parent_span_id: if chance.one_in(3) { Vec::new() } else { id(chance) },
        trace_state: if chance.one_in(3) {
            format!("k={}", chance.below(3))
        } else {
            String::new()
        },
        name: text(chance),
        kind: i32::try_from(chance.below(6)).unwrap(),
        start_time_unix_nano: chance.next() % 1_000_000,
        end_time_unix_nano: chance.next() % 1_000_000,
        attributes: attributes(chance, 6),
        events: (0..few(chance)).map(|_| event(chance)).collect(),
        links: (0..few(chance)).map(|_| link(chance)).collect(),
        dropped_events_count: u32::try_from(chance.below(2)).unwrap(),
        flags: u32::try_from(chance.below(300)).unwrap(),
        status: chance.one_in(2).then(|| Status {
            code: i32::try_from(chance.below(3)).unwrap(),
            message: if chance.one_in(2) { text(chance) } else { String::new() },
        }),
        ..Span::default()
    }
}

fn scope_spans(chance: &mut Chance) -> ScopeSpans {
    let scope = chance.one_in(2).then(|| InstrumentationScope {
        name: text(chance),
        version: text(chance),
        attributes: attributes(chance, 3),
        dropped_attributes_count: 1,
    });
    let spans = (0..chance.below(5)).map(|_| span(chance)).collect();
    ScopeSpans { scope, spans, schema_url: text(chance) }
}

fn resource_spans(chance: &mut Chance) -> ResourceSpans {
    let resource = (!chance.one_in(4)).then(|| Resource {
        attributes: attributes(chance, 4),
        dropped_attributes_count: 2,
        entity_refs: Vec::new(),
    });
    let scope_spans = (0..chance.below(4)).map(|_| scope_spans(chance)).collect();
    ResourceSpans { resource, scope_spans, schema_url: text(chance) }
}

pub(crate) fn request(chance: &mut Chance) -> ExportTraceServiceRequest {
    let resource_spans = (0..chance.below(4)).map(|_| resource_spans(chance)).collect();
    ExportTraceServiceRequest { resource_spans }
}

/// A request of these spans, of one resource and scope.
pub(crate) fn of_spans(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}

/// The same without a difference between what is left out and what is empty.
pub(crate) fn normalized(mut request: ExportTraceServiceRequest) -> ExportTraceServiceRequest {
    let fill = |attributes: &mut Vec<KeyValue>| {
        for pair in attributes {
            pair.value.get_or_insert_default();
        }
    };
    for resource in &mut request.resource_spans {
        resource.resource.iter_mut().for_each(|of| fill(&mut of.attributes));
        resource.resource = resource.resource.take().filter(|of| *of != Resource::default());
        for scope in &mut resource.scope_spans {
            scope.scope.iter_mut().for_each(|of| fill(&mut of.attributes));
            let has_any = |of: &InstrumentationScope| *of != InstrumentationScope::default();
            scope.scope = scope.scope.take().filter(has_any);
            for span in &mut scope.spans {
                fill(&mut span.attributes);
                span.events.iter_mut().for_each(|of| fill(&mut of.attributes));
                span.links.iter_mut().for_each(|of| fill(&mut of.attributes));
                span.status = span.status.take().filter(|status| *status != Status::default());
            }
        }
    }
    request
}
