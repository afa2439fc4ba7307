//! Redaction as an operator does it: by the command line, against a server that runs.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::Span;
use tests::api::hex;
use tests::gateway::{Ended, Gateway, Options, binary, run};
use tests::http::Request;
use tests::otlp;
use tests::random::Rng;
use tests::wait::until;

/// A server that seals and merges what comes right away.
fn busy() -> Gateway {
    Options::new().set("l0.window", "0s").set("head.seal.age", "1s").start()
}

/// Sends a trace of three spans of this service; its id.
fn send(gateway: &Gateway, rng: &mut Rng, service: &str) -> String {
    let trace: Vec<Span> = otlp::trace(rng, 3);
    let id = hex(&trace[0].trace_id);
    gateway.export(&otlp::request(service, trace));
    id
}

fn redact(gateway: &Gateway, arguments: &[&str]) -> Ended {
    let admin = gateway.at.admin.to_string();
    run(binary().arg("redact").args(["--admin", &admin]).args(arguments))
}

fn found(gateway: &Gateway) -> usize {
    gateway.get("/api/search").json()["traces"].as_array().unwrap().len()
}

fn status(gateway: &Gateway, id: &str) -> u16 {
    gateway.get(&format!("/api/traces/{id}")).status
}

#[test]
fn a_trace_is_hidden_at_once_and_nothing_is_left_of_it() {
    let (gateway, mut rng) = (busy(), Rng::new(5));
    let ids: Vec<String> = (0..4).map(|_| send(&gateway, &mut rng, "shop")).collect();
    gateway.flush("l1");
    assert_eq!((found(&gateway), status(&gateway, &ids[1])), (4, 200));
    let said = redact(&gateway, &["--trace", &ids[1], "--trace", &ids[3]]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.starts_with("2 traces are hidden: redaction "), "{said:?}");
    assert_eq!((found(&gateway), status(&gateway, &ids[1])), (2, 404));
    let values = gateway.get("/api/v2/search/tag/trace:id/values");
    assert!(!values.text().contains(&ids[1]), "{values:?}");
    let is_done =
        || redact(&gateway, &[]).out.lines().nth(1).is_some_and(|row| !row.ends_with('-'));
    until("nothing to be left", Duration::from_secs(30), || is_done().then_some(()));
    let metric = gateway.metric("traceweir_store_redacted_spans_total");
    assert!((metric - 6.0).abs() < f64::EPSILON, "{metric}");
    let gateway = gateway.kill_and_restart();
    assert_eq!(
        (found(&gateway), status(&gateway, &ids[0]), status(&gateway, &ids[3])),
        (2, 200, 404)
    );
}

#[test]
fn all_that_a_query_finds_is_hidden_also_in_memory() {
    let (gateway, mut rng) = (busy(), Rng::new(6));
    let shop = send(&gateway, &mut rng, "shop");
    gateway.flush("l1");
    let cart: Vec<String> = (0..3).map(|_| send(&gateway, &mut rng, "cart")).collect();
    let query = "{ resource.service.name = \"cart\" }";
    let said = redact(&gateway, &["--query", query, "--wait"]);
    assert_eq!((said.code, said.out.contains("3 traces are hidden")), (Some(0), true), "{said:?}");
    assert!(said.out.ends_with("nothing is left of them in this server's files\n"), "{said:?}");
    assert_eq!((found(&gateway), status(&gateway, &shop)), (1, 200));
    cart.iter().for_each(|id| assert_eq!(status(&gateway, id), 404));
    let said = redact(&gateway, &["--query", query]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("no trace matches, nothing is hidden"), "{said:?}");
}

#[test]
fn what_is_wrong_is_named_and_hides_nothing() {
    let gateway = Gateway::start();
    let post = |body: &str| {
        Request::new("POST", "/redactions").body(body.as_bytes().to_vec()).send(gateway.at.admin)
    };
    for (body, message) in [
        ("{}", "give traces, or a query"),
        ("[", "the body is no redaction"),
        (r#"{"traces": ["x"]}"#, "traces: \"x\": id is not hexadecimal"),
        (r#"{"traces": ["1"], "query": "{ }"}"#, "cannot be combined"),
        (r#"{"tenant": "a|b", "traces": ["1"]}"#, "tenant: "),
        (r#"{"query": "{"}"#, "invalid TraceQL query"),
        (r#"{"query": "{ } | rate()"}"#, "query asks for series"),
        (r#"{"query": "{ }", "start": 5}"#, "start"),
        (r#"{"trace": ["1"]}"#, "unknown field `trace`"),
    ] {
        let reply = post(body);
        let text = reply.text();
        assert_eq!(reply.status, 400, "{body}: {text}");
        assert!(text.contains(message), "{body}: {text}");
    }
    let said = redact(&gateway, &[]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "nothing is redacted\n"), "{said:?}");
    let said = run(binary().args(["redact", "--trace", "zz"]));
    assert_eq!(said.code, Some(2), "{said:?}");
    let said = run(binary().args(["redact", "--admin", "127.0.0.1:1"]));
    assert_eq!(
        (said.code, said.err.contains("no server answers at http://127.0.0.1:1")),
        (Some(1), true)
    );
}
