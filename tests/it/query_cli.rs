//! `traceweir query` against a running server: tables, JSON, hints and faults.

use serde_json::Value;
use tests::gateway::{Ended, Gateway, Options, binary, run};
use tests::otlp;
use tests::random::Rng;

fn query(gateway: &Gateway, arguments: &[&str]) -> Ended {
    let url = format!("http://{}", gateway.at.http);
    run(binary().arg("query").args(arguments).args(["--url", &url]))
}

fn filled() -> Gateway {
    let gateway = Gateway::start();
    gateway.export(&otlp::request("shop", otlp::trace(&mut Rng::new(1), 3)));
    gateway
}

#[test]
fn a_search_is_a_table_or_json() {
    let gateway = filled();
    for since in [&[][..], &["--since", "10m"]] {
        let arguments = [&["search", "{ name = \"span 1\" }"], since].concat();
        let ended = query(&gateway, &arguments);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert!(ended.out.starts_with("START") && ended.out.contains("1/3"), "{}", ended.out);
        assert!(ended.out.contains("shop") && ended.out.contains("span 0"), "{}", ended.out);
    }
    let ended = query(&gateway, &["search", "--json"]);
    let json: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(json["traces"][0]["rootServiceName"], "shop");
    let none = query(&gateway, &["search", "{ name = \"nothing\" }"]);
    assert_eq!((none.code, &*none.out), (Some(0), "no traces\n"));
}

#[test]
fn a_trace_in_pages_is_shown_whole() {
    let gateway = Options::new().set("query.trace_bytes_max", "1MiB").start();
    let trace = otlp::trace(&mut Rng::new(2), 3_000);
    let id = tests::api::hex(&trace[0].trace_id);
    let fill = otlp::text("fill", &"x".repeat(1_000));
    for part in trace.chunks(500) {
        let mut part = part.to_vec();
        part.iter_mut().for_each(|span| span.attributes.push(fill.clone()));
        gateway.export(&otlp::request("huge", part));
    }
    let ended = query(&gateway, &["trace", &id, "--json"]);
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{}", ended.err);
    assert_eq!(ended.out.matches("\"spanId\"").count(), 3_000);
}

#[test]
fn names_and_values_are_listed() {
    let gateway = filled();
    let names = query(&gateway, &["tags", "--scope", "span"]);
    assert_eq!((names.code, &*names.out), (Some(0), "SCOPE  NAME\nspan   number\n"), "{names:?}");
    let values = query(&gateway, &["tags", "resource.service.name"]);
    assert_eq!(values.out, "TYPE    VALUE\nstring  shop\n", "{values:?}");
    let bad = query(&gateway, &["tags", "service.name"]);
    assert_eq!(bad.code, Some(1), "{bad:?}");
    assert!(bad.err.contains("please provide a valid tagName"), "{bad:?}");
}

#[test]
fn metrics_are_bars_or_numbers() {
    let gateway = filled();
    let bars = query(&gateway, &["metrics", "{ } | rate() by(resource.service.name)"]);
    assert_eq!(bars.code, Some(0), "{bars:?}");
    assert!(bars.out.contains("resource.service.name=shop") && bars.out.contains('█'), "{bars:?}");
    let number =
        query(&gateway, &["metrics", "{ } | count_over_time() by(span.number)", "--instant"]);
    assert!(number.out.contains("span.number=2"), "{number:?}");
    let json = query(&gateway, &["metrics", "{ } | rate()", "--step", "1m", "--json"]);
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert!(json["series"].is_array(), "{json}");
}

#[test]
fn what_is_wrong_with_a_query_is_said() {
    let gateway = filled();
    let bad = query(&gateway, &["search", "{ service.name = \"shop\" }"]);
    assert_eq!((bad.code, &*bad.out), (Some(1), ""), "{bad:?}");
    assert!(bad.err.contains("did you mean: { resource.service.name = \"shop\" }"), "{bad:?}");
    let hint = query(&gateway, &["search", "{ .status = error }"]);
    assert_eq!(hint.code, Some(0), "{hint:?}");
    assert!(hint.err.contains("hint: ") && hint.err.contains("{ status = error }"), "{hint:?}");
    let gone = run(binary().args(["query", "search", "--url", "http://127.0.0.1:1"]));
    assert_eq!(gone.code, Some(1), "{gone:?}");
    assert!(gone.err.contains("no server answers"), "{gone:?}");
    let bad = query(&gateway, &["search", "--since", "soon"]);
    assert_eq!(bad.code, Some(2), "{bad:?}");
}
