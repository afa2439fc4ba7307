//! Arbitrary OTLP, as the types of prost hold it.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, TracesData,
    span::{Event, Link},
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(super) fn traces() -> impl Strategy<Value = TracesData> {
    vec(resource_spans(), 0..3).prop_map(|resource_spans| TracesData { resource_spans })
}

fn resource_spans() -> impl Strategy<Value = ResourceSpans> {
    let resource = (vec(key_value(), 0..3), number()).prop_map(|(attributes, dropped)| Resource {
        attributes,
        dropped_attributes_count: dropped,
        ..Resource::default()
    });
    (option::of(resource), vec(scope_spans(), 0..3), text()).prop_map(
        |(resource, scope_spans, schema_url)| ResourceSpans { resource, scope_spans, schema_url },
    )
}

fn scope_spans() -> impl Strategy<Value = ScopeSpans> {
    let scope = (text(), text(), vec(key_value(), 0..2), number()).prop_map(
        |(name, version, attributes, dropped_attributes_count)| InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        },
    );
    (option::of(scope), vec(span(), 0..3), text())
        .prop_map(|(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url })
}

fn span() -> impl Strategy<Value = Span> {
    let ids = (id(16), id(8), id(8), text(), text(), number());
    let times = (any::<u64>(), prop_oneof![Just(0), any::<u64>()], kind());
    let lists = (vec(key_value(), 0..4), vec(event(), 0..3), vec(link(), 0..3));
    let status = (text(), kind()).prop_map(|(message, code)| Status { message, code });
    let counts = (number(), number(), number(), option::of(status));
    (ids, times, lists, counts).prop_map(
        |(
            (trace_id, span_id, parent_span_id, trace_state, name, flags),
            (start_time_unix_nano, end_time_unix_nano, kind),
            (attributes, events, links),
            (dropped_attributes_count, dropped_events_count, dropped_links_count, status),
        )| Span {
            trace_id,
            span_id,
            trace_state,
            parent_span_id,
            flags,
            name,
            kind,
            start_time_unix_nano,
            end_time_unix_nano,
            attributes,
            dropped_attributes_count,
            events,
            dropped_events_count,
            links,
            dropped_links_count,
            status,
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    (any::<u64>(), text(), vec(key_value(), 0..3), number()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn link() -> impl Strategy<Value = Link> {
    (id(16), id(8), text(), vec(key_value(), 0..3), number(), number()).prop_map(
        |(trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags)| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        },
    )
}

fn key_value() -> impl Strategy<Value = KeyValue> {
    (text(), option::of(any_value())).prop_map(|(key, value)| KeyValue {
        key,
        value,
        ..KeyValue::default()
    })
}

fn any_value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(AnyValue { value: None }),
        text().prop_map(|text| of(Value::StringValue(text))),
        any::<bool>().prop_map(|value| of(Value::BoolValue(value))),
        any::<i64>().prop_map(|value| of(Value::IntValue(value))),
        prop_oneof![
            any::<f64>(),
            (-1000i32..1000).prop_map(|whole| f64::from(whole) / 8.0),
            Just(f64::INFINITY),
            Just(f64::NEG_INFINITY),
            Just(-0.0),
        ]
        // JSON has one NaN.
        .prop_map(|value| of(Value::DoubleValue(if value.is_nan() {
            f64::NAN
        } else {
            value
        }))),
        vec(any::<u8>(), 0..9).prop_map(|bytes| of(Value::BytesValue(bytes))),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        let pair = (text(), option::of(inner.clone())).prop_map(|(key, value)| KeyValue {
            key,
            value,
            ..KeyValue::default()
        });
        prop_oneof![
            vec(inner, 0..4).prop_map(|values| of(Value::ArrayValue(ArrayValue { values }))),
            vec(pair, 0..4).prop_map(|values| of(Value::KvlistValue(KeyValueList { values }))),
        ]
    })
}

const fn of(value: Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn id(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![4 => vec(any::<u8>(), length), 1 => vec(any::<u8>(), 0..20)]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        "[a-z.]{1,12}",
        ".{0,8}",
        any::<Vec<char>>().prop_map(|characters| characters.into_iter().take(24).collect()),
    ]
}

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), any::<u32>()]
}

fn kind() -> impl Strategy<Value = i32> {
    prop_oneof![4 => 0..6, 1 => any::<i32>()]
}
