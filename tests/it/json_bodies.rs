//! OTLP/JSON in all the spellings that clients use, read back as the protobuf it stands for.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use serde_json::json;
use tests::api::hex;
use tests::gateway::Gateway;
use tests::http::Request;
use tests::random::Rng;

fn send(gateway: &Gateway, body: &str) {
    let reply = Request::otlp_json(body).send(gateway.at.otlp_http);
    assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{body}: {reply:?}");
}

#[test]
fn snake_case_names_are_read_like_camel_case() {
    let gateway = Gateway::start();
    let mut rng = Rng::new(1);
    let (trace, span) = (rng.id::<16>(), rng.id::<8>());
    let body = json!({"resource_spans": [{"schema_url": "s", "scope_spans": [{"spans": [{
        "trace_id": hex(&trace), "span_id": hex(&span), "name": "snake", "trace_state": "a=1",
        "start_time_unix_nano": "1700000000000000000", "end_time_unix_nano": 1_700_000_000_000_000_001_u64,
        "dropped_attributes_count": 3,
        "attributes": [{"key": "k", "value": {"string_value": "v"}}],
    }]}]}]});
    send(&gateway, &body.to_string());
    let spans = gateway.trace(&trace);
    let whole = spans.get(&(trace, span, 0)).unwrap();
    assert_eq!(whole.resource_schema, "s");
    assert_eq!(whole.span.trace_state, "a=1");
    assert_eq!(whole.span.start_time_unix_nano, 1_700_000_000_000_000_000);
    assert_eq!(whole.span.end_time_unix_nano, 1_700_000_000_000_000_001);
    assert_eq!(whole.span.dropped_attributes_count, 3);
    assert_eq!(whole.span.attributes, [tests::otlp::text("k", "v")]);
}

#[test]
fn enums_are_numbers_or_names_and_ids_of_either_case() {
    let gateway = Gateway::start();
    let mut rng = Rng::new(2);
    let cases = [(json!("SPAN_KIND_SERVER"), json!("STATUS_CODE_ERROR")), (json!(2), json!(2))];
    for (kind, code) in cases {
        let (trace, span) = (rng.id::<16>(), rng.id::<8>());
        let body = json!({"resourceSpans": [{"scopeSpans": [{"spans": [{
            "traceId": hex(&trace).to_uppercase(), "spanId": hex(&span).to_uppercase(),
            "kind": kind, "status": {"code": code},
        }]}]}]});
        send(&gateway, &body.to_string());
        let spans = gateway.trace(&trace);
        let whole = spans.get(&(trace, span, 2)).unwrap();
        assert_eq!(whole.span.status.as_ref().unwrap().code, 2);
    }
}

#[test]
fn every_kind_of_value_is_read_and_unknown_fields_are_not() {
    let gateway = Gateway::start();
    let mut rng = Rng::new(3);
    let (trace, span) = (rng.id::<16>(), rng.id::<8>());
    let body = json!({"resourceSpans": [{"unknown": {"deep": [1, {}]}, "scopeSpans": [{"spans": [{
        "traceId": hex(&trace), "spanId": hex(&span), "fresh": null, "attributes": [
            {"key": "int", "value": {"intValue": "9223372036854775807"}},
            {"key": "number", "value": {"intValue": -7}},
            {"key": "double", "value": {"doubleValue": 1}},
            {"key": "nan", "value": {"doubleValue": "NaN"}},
            {"key": "endless", "value": {"doubleValue": "-Infinity"}},
            {"key": "bytes", "value": {"bytesValue": "AAEC/w=="}},
            {"key": "nothing", "value": {}},
            {"key": "list", "value": {"arrayValue": {"values": [{"boolValue": true}]}}},
            {"key": "map", "value": {"kvlistValue": {"values": [
                {"key": "inner", "value": {"stringValue": "\u{1F9F5}"}}]}}},
        ],
    }]}]}]});
    send(&gateway, &body.to_string());
    let spans = gateway.trace(&trace);
    let attributes = &spans.get(&(trace, span, 0)).unwrap().span.attributes;
    let value = |key: &str| {
        let found = attributes.iter().find(|attribute| attribute.key == key);
        found.unwrap().value.clone().unwrap_or_default().value
    };
    assert_eq!(value("int"), Some(Value::IntValue(i64::MAX)));
    assert_eq!(value("number"), Some(Value::IntValue(-7)));
    assert_eq!(value("double"), Some(Value::DoubleValue(1.0)));
    assert!(matches!(value("nan"), Some(Value::DoubleValue(nan)) if nan.is_nan()));
    assert_eq!(value("endless"), Some(Value::DoubleValue(f64::NEG_INFINITY)));
    assert_eq!(value("bytes"), Some(Value::BytesValue(vec![0, 1, 2, 255])));
    assert_eq!(value("nothing"), None);
    assert!(matches!(value("list"), Some(Value::ArrayValue(list)) if list.values.len() == 1));
    assert!(matches!(value("map"), Some(Value::KvlistValue(map)) if map.values[0].key == "inner"));
}
