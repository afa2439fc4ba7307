//! Spans with bad ids are refused one by one, with the reason; the others of their request stay.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tests::gateway::Gateway;
use tests::h2;
use tests::http::Request;
use tests::otlp;
use tests::random::Rng;

/// Good spans of one trace with bad ones between them; also what the reasons must name.
fn mixed(seed: u64) -> (Vec<u8>, Vec<Span>) {
    let mut rng = Rng::new(seed);
    let good = otlp::trace(&mut rng, 3);
    let id = good[0].trace_id.clone();
    let bad = [
        otlp::span(&[0; 16], &rng.id::<8>(), "zero trace"),
        otlp::span(&rng.id::<8>(), &rng.id::<8>(), "short trace"),
        otlp::span(&[], &rng.id::<8>(), "no trace"),
        otlp::span(&id, &[0; 8], "zero span"),
        otlp::span(&id, &rng.id::<4>(), "short span"),
    ];
    let mut spans = Vec::new();
    let mut good = good.into_iter();
    for bad in bad {
        spans.push(bad);
        spans.extend(good.next());
    }
    (id, spans)
}

fn check(gateway: &Gateway, id: &[u8], rejected: i64, message: &str) {
    assert_eq!(rejected, 5, "{message}");
    for name in ["zero trace", "short trace"] {
        assert!(message.contains(name), "{message:?} should name {name:?}");
    }
    assert!(message.contains("trace id"), "{message:?}");
    assert_eq!(gateway.trace(id).len(), 3, "the good ones are stored");
}

#[test]
fn over_http_protobuf() {
    let gateway = Gateway::start();
    let (id, spans) = mixed(1);
    let body = otlp::request("mixed", spans).encode_to_vec();
    let reply = Request::otlp(body).send(gateway.at.otlp_http);
    assert_eq!(reply.status, 200, "{reply:?}");
    let answer = ExportTraceServiceResponse::decode(reply.body.as_slice()).unwrap();
    let partial = answer.partial_success.unwrap();
    check(&gateway, &id, partial.rejected_spans, &partial.error_message);
}

#[test]
fn over_http_json() {
    let gateway = Gateway::start();
    let (id, spans) = mixed(2);
    let spans: Vec<_> = spans
        .iter()
        .map(|span| {
            serde_json::json!({
                "traceId": tests::api::hex(&span.trace_id),
                "spanId": tests::api::hex(&span.span_id),
                "name": span.name,
            })
        })
        .collect();
    let body = serde_json::json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]});
    let reply = Request::otlp_json(body.to_string()).send(gateway.at.otlp_http);
    assert_eq!(reply.status, 200, "{reply:?}");
    let partial = &reply.json()["partialSuccess"];
    let rejected = partial["rejectedSpans"].as_str().unwrap().parse().unwrap();
    check(&gateway, &id, rejected, partial["errorMessage"].as_str().unwrap());
}

#[test]
fn over_grpc() {
    let gateway = Gateway::start();
    let (id, spans) = mixed(3);
    let mut connection = h2::Connection::open(gateway.at.otlp_grpc).unwrap();
    let answer = connection.export(&otlp::request("mixed", spans)).unwrap();
    assert_eq!(answer.code, 0, "{answer:?}");
    let response = ExportTraceServiceResponse::decode(answer.body.as_slice()).unwrap();
    let partial = response.partial_success.unwrap();
    check(&gateway, &id, partial.rejected_spans, &partial.error_message);
}

#[test]
fn refused_spans_stay_away_after_a_restart() {
    let gateway = Gateway::start();
    let (id, spans) = mixed(4);
    let mut connection = h2::Connection::open(gateway.at.otlp_grpc).unwrap();
    assert_eq!(connection.export(&otlp::request("mixed", spans)).unwrap().code, 0);
    let gateway = gateway.kill_and_restart();
    assert_eq!(gateway.trace(&id).len(), 3);
}

#[test]
fn the_same_span_twice_is_one_and_kinds_keep_apart() {
    let gateway = Gateway::start();
    let mut rng = Rng::new(5);
    let (trace, id) = (rng.id::<16>(), rng.id::<8>());
    let span = otlp::span(&trace, &id, "once");
    let server = Span { kind: 2, ..span.clone() };
    let client = Span { kind: 3, ..span.clone() };
    let other = Span { name: "too late".to_owned(), ..span.clone() };
    for spans in [vec![span.clone()], vec![span, server, client], vec![other]] {
        gateway.export(&otlp::request("twice", spans));
    }
    let check = |gateway: &Gateway, when: &str| {
        // `trace` insists that no identity comes twice.
        let spans = gateway.trace(&trace);
        assert_eq!(spans.len(), 3, "{when}");
        let first = spans.get(&(trace.clone(), id.clone(), 1)).unwrap();
        assert_eq!(first.span.name, "once", "{when}: the first stays");
    };
    check(&gateway, "live");
    check(&gateway.kill_and_restart(), "after a restart");
}
