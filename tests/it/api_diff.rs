//! What is different in one trace from another, over a socket.

use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde_json::{Value, json};
use tests::api::hex;
use tests::gateway::Gateway;
use tests::http::{Reply, Request};
use tests::otlp;
use tests::random::Rng;

const PATH: &str = "/api/v2/traces/diff";

fn post(gateway: &Gateway, body: &Value) -> Reply {
    let request = Request::new("POST", PATH).header("content-type", "application/json");
    request.body(body.to_string()).send(gateway.at.http)
}

/// A call of a cart and of the stock behind it; ids and times are new each time.
fn call(rng: &mut Rng, millis: u64) -> Vec<Span> {
    let mut trace = otlp::trace(rng, 3);
    let parents = [Vec::new(), trace[0].span_id.clone(), trace[1].span_id.clone()];
    for ((span, parent), name) in trace.iter_mut().zip(parents).zip(["GET /", "cart", "stock"]) {
        span.parent_span_id = parent;
        name.clone_into(&mut span.name);
        span.attributes = vec![otlp::text("version", "1")];
        span.end_time_unix_nano = span.start_time_unix_nano + millis * 1_000_000;
    }
    trace
}

#[test]
fn two_traces_are_compared() {
    let gateway = Gateway::start();
    let mut rng = Rng::new(31);
    let (base, mut compare) = (call(&mut rng, 100), call(&mut rng, 300));
    compare[2].status = Some(Status { code: 2, message: "sold out".to_owned() });
    compare[2].attributes = vec![otlp::text("version", "2")];
    let ids = [&base, &compare].map(|trace| hex(&trace[0].trace_id));
    gateway.export(&otlp::request("shop", base));
    gateway.export(&otlp::request("shop", compare));
    let [base, compare] = ids.map(|id| json!({ "traceId": id }));

    let reply = post(&gateway, &json!({ "base": base, "compare": compare }));
    assert_eq!((reply.status, reply.content_type()), (200, "application/json"), "{reply:?}");
    let patch = reply.json();
    assert_eq!(patch["version"], "trace-patch-v0");
    assert_eq!(patch["stats"]["matchedSpans"], 3);
    let last = &patch["modified"][2];
    assert_eq!(
        (&last["span"]["name"], &last["span"]["path"]),
        (&"stock".into(), &json!([0, 0, 0]))
    );
    assert_eq!(last["changes"].as_array().map(Vec::len), Some(3), "{last}");

    let format = "trace-summary-v0-composed";
    let body = json!({ "base": base, "compare": compare, "format": format });
    let composed = post(&gateway, &body).json();
    assert_eq!(composed["summary"]["signals"]["traceLatency"], "increased", "{composed}");
    assert_eq!(composed["summary"]["signals"]["structure"], "unchanged");
    assert_eq!(composed["summary"]["services"][0]["newErrors"], 1);
    assert_eq!(composed["patch"], patch);

    let same = post(&gateway, &json!({ "base": base, "compare": base })).json();
    assert_eq!(same["stats"]["modifiedSpans"], 0, "{same}");
}

#[test]
fn what_cannot_be_compared_is_said() {
    let gateway = Gateway::start();
    let trace = call(&mut Rng::new(32), 5);
    let known = json!({ "traceId": hex(&trace[0].trace_id) });
    gateway.export(&otlp::request("shop", trace));
    assert_eq!(gateway.get(PATH).status, 405);
    let unknown = json!({ "base": known, "compare": { "traceId": "1234" } });
    for (body, status, word) in [
        (json!({}), 400, "base"),
        (unknown, 404, "compare"),
        (json!({ "base": known, "compare": known, "format": "html" }), 400, "trace-patch-v0"),
        (json!({ "base": " ".repeat(100_000) }), 413, "65536"),
    ] {
        let reply = post(&gateway, &body);
        assert_eq!(reply.status, status, "{reply:?}");
        assert!(reply.text().contains(word), "{reply:?}");
    }
}
