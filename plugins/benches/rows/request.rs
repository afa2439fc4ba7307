//! The request: ten services, spans with twenty attributes, URLs that are all different and have a token in them.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

const RESOURCES: usize = 10;

pub(crate) fn body(spans: usize) -> Bytes {
    request(spans).encode_to_vec().into()
}

pub(crate) fn request(spans: usize) -> ExportTraceServiceRequest {
    let per_resource = spans / RESOURCES;
    let resource_spans = |resource: usize| {
        let first = resource * per_resource;
        let scope = InstrumentationScope {
            name: "io.opentelemetry.http".to_owned(),
            version: "1.2.0".to_owned(),
            ..InstrumentationScope::default()
        };
        ResourceSpans {
            resource: Some(Resource { attributes: of_resource(resource), ..Resource::default() }),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: (first..first + per_resource).map(span).collect(),
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }
    };
    ExportTraceServiceRequest { resource_spans: (0..RESOURCES).map(resource_spans).collect() }
}

fn of_resource(resource: usize) -> Vec<KeyValue> {
    vec![
        text("service.name", &format!("shop-{resource}")),
        text("service.version", "2024.11.3"),
        text("k8s.namespace.name", &format!("namespace-{resource}")),
        text("k8s.pod.name", &format!("shop-{resource}-7d9f8b6c5-x2x4z")),
        text("k8s.node.name", "node-17.eu-central-1.example"),
        text("telemetry.sdk.language", "java"),
    ]
}

/// splitmix64.
fn mixed(number: usize) -> u64 {
    let mut mixed = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

/// Three spans are of one trace.
fn span(number: usize) -> Span {
    let trace = [mixed(number / 3).to_be_bytes(), mixed(number / 3 + 1_000_000).to_be_bytes()];
    let start = 1_700_000_000_000_000_000 + number as u64 * 1_234_567;
    Span {
        trace_id: trace.concat(),
        span_id: mixed(number + 1).to_be_bytes().to_vec(),
        parent_span_id: if number.is_multiple_of(3) {
            Vec::new()
        } else {
            mixed(number).to_be_bytes().to_vec()
        },
        name: format!("POST /api/v1/orders/{}", number % 40),
        kind: 2,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 7_654_321,
        attributes: attributes(number),
        status: Some(Status::default()),
        flags: 257,
        ..Span::default()
    }
}

fn attributes(number: usize) -> Vec<KeyValue> {
    let token = mixed(number + 7);
    vec![
        text("http.request.method", "POST"),
        text(
            "url.full",
            &format!("https://shop.example/api/v1/orders/{number}?token={token:016x}&page=2"),
        ),
        text("url.path", &format!("/api/v1/orders/{number}")),
        text("http.route", "/api/v1/orders/{id}"),
        int("http.response.status_code", if number.is_multiple_of(50) { 500 } else { 200 }),
        text("server.address", "shop.example"),
        int("server.port", 443),
        text("network.protocol.version", "1.1"),
        text("user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/132.0"),
        text("http.request.header.x-request-id", &format!("{:016x}", mixed(number + 99))),
        text("http.request.header.accept", "application/json"),
        text("client.address", &format!("10.4.{}.{}", number % 7, number % 250)),
        text("enduser.id", &format!("user-{}", number * 7_919 % 5_000)),
        text("session.id", &format!("{:016x}", mixed(number / 5))),
        int("thread.id", 40 + i64::try_from(number % 16).unwrap_or_default()),
        text("thread.name", &format!("http-nio-8080-exec-{}", number % 16)),
        text("code.function.name", "example.shop.OrderController.create"),
        text("db.system.name", "postgresql"),
        int("http.request.body.size", 300 + i64::try_from(number % 900).unwrap_or_default()),
        boolean("app.cart.empty", number.is_multiple_of(9)),
    ]
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn int(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn boolean(key: &str, value: bool) -> KeyValue {
    attribute(key, Value::BoolValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}
