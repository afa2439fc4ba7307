//! OTLP/JSON in and out, in bytes of JSON per second, on a request of 800 spans as a Collector
//! sends them.

use divan::Bencher;
use divan::counter::BytesCount;
use model::json::{self, Flavour};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status, TracesData, span::Event,
};
use prost::Message;

fn main() {
    divan::main();
}

#[divan::bench]
fn decode(bencher: Bencher<'_, '_>) {
    let json = json::encode(&request(), Flavour::Otlp).expect("own bytes");
    bencher
        .counter(BytesCount::of_slice(json.as_bytes()))
        .bench(|| json::decode(divan::black_box(json.as_bytes())));
}

/// The same request with indentation, as people write it.
#[divan::bench]
fn decode_indented(bencher: Bencher<'_, '_>) {
    let json = json::encode(&request(), Flavour::Otlp).expect("own bytes");
    let json = json.replace(",\"", ",\n            \"").replace("\":", "\": ");
    bencher
        .counter(BytesCount::of_slice(json.as_bytes()))
        .bench(|| json::decode(divan::black_box(json.as_bytes())));
}

#[divan::bench(args = [Flavour::Otlp, Flavour::TempoV2])]
fn encode(bencher: Bencher<'_, '_>, flavour: Flavour) {
    let otlp = request();
    let json = json::encode(&otlp, flavour).expect("own bytes");
    bencher
        .counter(BytesCount::of_slice(json.as_bytes()))
        .bench(|| json::encode(divan::black_box(&otlp), flavour));
}

fn request() -> Vec<u8> {
    let resource_spans = (0..8).map(resource_spans).collect();
    TracesData { resource_spans }.encode_to_vec()
}

fn resource_spans(pod: u64) -> ResourceSpans {
    let attributes = (0..22)
        .map(|place| text(&format!("k8s.resource.attribute{place}"), &format!("value-{pod}")))
        .collect();
    let scope = InstrumentationScope { name: "io.example.http".into(), ..Default::default() };
    ResourceSpans {
        resource: Some(Resource { attributes, ..Default::default() }),
        scope_spans: vec![ScopeSpans {
            scope: Some(scope),
            spans: (0..100).map(|place| span(pod * 100 + place)).collect(),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn span(place: u64) -> Span {
    let start = 1_700_000_000_000_000_000 + place * 1_234_567;
    let mixed = place.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    let exception = Event {
        time_unix_nano: start + 5_000,
        name: "exception".into(),
        attributes: vec![text("exception.stacktrace", "Error: broken\n\tat a.b(C.java:1)\n")],
        ..Default::default()
    };
    Span {
        trace_id: [mixed, mixed].concat(),
        span_id: mixed.to_vec(),
        parent_span_id: mixed.to_vec(),
        name: "POST /api/checkout".into(),
        kind: 3,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 7_654_321,
        attributes: vec![
            text("http.request.method", "POST"),
            text("url.full", &format!("https://shop.example/api/checkout?cart={place}&step=2")),
            text("user.id", &format!("user-{}", place * 7919)),
            text("server.address", "checkout.shop.svc.cluster.local"),
            number("http.response.status_code", 200),
            number("server.port", 8080),
            text("network.protocol.version", "1.1"),
            text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101"),
            number("thread.id", 42),
        ],
        events: if place.is_multiple_of(20) { vec![exception] } else { Vec::new() },
        status: Some(Status::default()),
        flags: 257,
        ..Default::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..Default::default()
    }
}
