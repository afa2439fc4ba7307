//! Traces by id: both versions, JSON and protobuf, ids in every spelling, and what is no id.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use tests::api::hex;
use tests::gateway::Gateway;
use tests::otlp;
use tests::random::Rng;

fn int(key: &str, value: i64) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::IntValue(value)) });
    KeyValue { key: key.to_owned(), value, key_strindex: 0 }
}

#[test]
fn json_is_what_tempo_writes() {
    let gateway = Gateway::start();
    let mut span = otlp::span(&[0x11; 16], &[0x22; 8], "GET /cart");
    span.kind = 3;
    span.parent_span_id = vec![0x33; 8];
    span.start_time_unix_nano = 1_700_000_000_000_000_000;
    span.end_time_unix_nano = 1_700_000_000_000_000_001;
    span.attributes = vec![int("http.response.status_code", 500)];
    span.status = Some(Status { code: 2, message: "no".to_owned() });
    let event = Event { name: "e".to_owned(), time_unix_nano: 5, ..Event::default() };
    let link = Link { trace_id: vec![0x44; 16], span_id: vec![0x55; 8], ..Link::default() };
    (span.events, span.links) = (vec![event], vec![link]);
    gateway.export(&otlp::request("cart", vec![span]));

    let id = hex(&[0x11; 16]);
    let v1 = gateway.get(&format!("/api/traces/{id}"));
    assert_eq!((v1.status, v1.content_type()), (200, "application/json"), "{v1:?}");
    let v2 = gateway.get(&format!("/api/v2/traces/{id}")).json();
    assert!(v2["metrics"].is_object(), "{v2}");
    for batch in [&v1.json()["batches"][0], &v2["trace"]["resourceSpans"][0]] {
        let resource = &batch["resource"]["attributes"][0];
        assert_eq!(resource["key"], "service.name");
        assert_eq!(resource["value"]["stringValue"], "cart");
        let scope = &batch["scopeSpans"][0];
        assert_eq!(scope["scope"]["name"], "tests");
        let span = &scope["spans"][0];
        assert_eq!(span["traceId"], "EREREREREREREREREREREQ==");
        assert_eq!(span["spanId"], "IiIiIiIiIiI=");
        assert_eq!(span["parentSpanId"], "MzMzMzMzMzM=");
        assert_eq!(span["name"], "GET /cart");
        assert_eq!(span["kind"], "SPAN_KIND_CLIENT");
        assert_eq!(span["startTimeUnixNano"], "1700000000000000000");
        assert_eq!(span["endTimeUnixNano"], "1700000000000000001");
        assert_eq!(span["attributes"][0]["value"]["intValue"], "500");
        assert_eq!(span["status"]["code"], "STATUS_CODE_ERROR");
        assert_eq!(span["status"]["message"], "no");
        assert_eq!(span["events"][0]["name"], "e");
        assert_eq!(span["events"][0]["timeUnixNano"], "5");
        assert_eq!(span["links"][0]["traceId"], "RERERERERERERERERERERA==");
        assert!(span.get("traceState").is_none(), "empty fields are left out: {span}");
    }
}

#[test]
fn ids_are_found_in_every_spelling() {
    let gateway = Gateway::start();
    let mut rng = Rng::new(1);
    let mut short = rng.id::<16>();
    short.splice(..8, [0; 8]);
    short[8] = 0x0a;
    let mut long = rng.id::<16>();
    long[0] = 0xab;
    for id in [&short, &long] {
        gateway.export(&otlp::request("ids", vec![otlp::span(id, &rng.id::<8>(), "n")]));
        let hex = hex(id);
        let parts = [&id[..4], &id[4..6], &id[6..8], &id[8..10], &id[10..]];
        let dashed = parts.map(tests::api::hex).join("-");
        let mut spellings =
            vec![hex.clone(), hex.to_uppercase(), hex.trim_start_matches('0').to_owned(), dashed];
        if *id == short {
            let half = tests::api::hex(&id[8..]);
            spellings.push(half.trim_start_matches('0').to_uppercase());
            spellings.push(half);
        }
        for spelling in spellings {
            for version in ["", "/v2"] {
                let path = format!("/api{version}/traces/{spelling}");
                assert_eq!(gateway.get(&path).status, 200, "{path}");
            }
        }
    }
}

#[test]
fn an_unknown_trace_is_404_and_what_is_no_id_400() {
    let gateway = Gateway::start();
    for version in ["", "/v2"] {
        let path = |id: &str| format!("/api{version}/traces/{id}");
        assert_eq!(gateway.get(&path("1234")).status, 404);
        assert_eq!(gateway.get_protobuf(&path("1234")).status, 404);
        for bad in ["xyz", "12g4", "0x1234", &"1".repeat(33), "12%2034"] {
            let reply = gateway.get(&path(bad));
            assert_eq!(reply.status, 400, "{bad}: {reply:?}");
            assert!(!reply.body.is_empty(), "says what is wrong with {bad}");
        }
    }
}

#[test]
fn a_time_range_must_be_one() {
    let gateway = Gateway::start();
    let trace = otlp::trace(&mut Rng::new(2), 2);
    let id = hex(&trace[0].trace_id);
    gateway.export(&otlp::request("range", trace));
    for version in ["", "/v2"] {
        let get = |range: &str| gateway.get(&format!("/api{version}/traces/{id}?{range}")).status;
        let now = tests::wait::now_nanos() / 1_000_000_000;
        assert_eq!(get(&format!("start={}&end={}", now - 60, now + 60)), 200);
        assert_eq!(get(&format!("start={}&end={}", now - 600, now - 300)), 404);
        for bad in ["start=20&end=10", "start=10&end=10", "start=x&end=10", "start=-1&end=5"] {
            assert_eq!(get(bad), 400, "{bad}");
        }
    }
}

#[test]
fn a_trace_of_many_requests_is_one() {
    let gateway = Gateway::start();
    let mut rng = Rng::new(3);
    let trace = otlp::trace(&mut rng, 300);
    let id = trace[0].trace_id.clone();
    for (number, spans) in trace.chunks(7).enumerate() {
        let service = format!("service {}", number % 5);
        gateway.export(&otlp::request(&service, spans.to_vec()));
    }
    assert_eq!(gateway.trace(&id).len(), 300);
}
