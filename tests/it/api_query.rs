//! Search with TraceQL over HTTP: what is found, in which form, and what a query that is none is
//! answered.

use opentelemetry_proto::tonic::trace::v1::Status;
use serde_json::{Value, json};
use tests::api::{escape, hex};
use tests::gateway::Gateway;
use tests::otlp;
use tests::random::Rng;

fn search(query: &str) -> String {
    format!("/api/search?q={}", escape(query))
}

/// Two traces: a shop whose second span failed, and a bank.
fn two(gateway: &Gateway) -> [String; 2] {
    let mut rng = Rng::new(7);
    let mut shop = otlp::trace(&mut rng, 3);
    shop[1].status = Some(Status { code: 2, message: "no".to_owned() });
    shop[1].attributes.push(otlp::text("user", "Ann é"));
    let bank = otlp::trace(&mut rng, 1);
    let ids =
        [&shop, &bank].map(|trace| hex(&trace[0].trace_id).trim_start_matches('0').to_owned());
    gateway.export(&otlp::request("shop", shop));
    gateway.export(&otlp::request("bank", bank));
    ids
}

#[test]
fn a_query_finds_spans_and_shows_what_it_reads() {
    let gateway = Gateway::start();
    let [shop, _] = two(&gateway);
    let query = "{ status = error && resource.service.name = \"shop\" } | select(span.user, name)";
    let reply = gateway.get(&search(query));
    assert_eq!((reply.status, reply.content_type()), (200, "application/json"), "{reply:?}");
    let answer = reply.json();
    let trace = &answer["traces"][0];
    assert_eq!(answer["traces"].as_array().unwrap().len(), 1, "{answer}");
    assert_eq!(trace["traceID"], shop.as_str());
    assert_eq!(trace["rootServiceName"], "shop");
    assert_eq!(trace["rootTraceName"], "span 0");
    assert_eq!(trace["spanSet"], trace["spanSets"][0], "Kiali reads the one, Grafana the other");
    assert_eq!(trace["spanSet"]["matched"], 1);
    assert_eq!(trace["serviceStats"]["shop"], json!({"spanCount": 3, "errorCount": 1}));
    let span = &trace["spanSet"]["spans"][0];
    assert_eq!(span["name"], "span 1");
    assert_eq!(span["durationNanos"], "1000000");
    let attributes: Vec<(&Value, &Value)> = span["attributes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|attribute| (&attribute["key"], &attribute["value"]))
        .collect();
    let text = |text: &str| json!({ "stringValue": text });
    assert!(attributes.contains(&(&"user".into(), &text("Ann é"))), "{span}");
    assert!(attributes.contains(&(&"status".into(), &text("error"))), "{span}");
    assert!(attributes.contains(&(&"service.name".into(), &text("shop"))), "{span}");
}

#[test]
fn an_answer_has_no_key_that_tempo_does_not_know() {
    const KEYS: [&str; 23] = [
        "traces",
        "metrics",
        "traceID",
        "rootServiceName",
        "rootTraceName",
        "startTimeUnixNano",
        "durationMs",
        "spanSet",
        "spanSets",
        "serviceStats",
        "spanCount",
        "errorCount",
        "spans",
        "matched",
        "attributes",
        "spanID",
        "name",
        "durationNanos",
        "key",
        "value",
        "inspectedTraces",
        "inspectedBytes",
        "inspectedSpans",
    ];
    fn check(value: &Value) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    let known = KEYS.contains(&key.as_str())
                        || ["completedJobs", "totalJobs", "shop", "bank"].contains(&key.as_str())
                        || key.ends_with("Value");
                    assert!(known, "{key}");
                    check(value);
                }
            }
            Value::Array(items) => items.iter().for_each(check),
            Value::Null => panic!("a null"),
            _ => {}
        }
    }
    let gateway = Gateway::start();
    let _ids = two(&gateway);
    for query in ["{ }", "{ status = error }", "{ } | by(resource.service.name) | count() > 0"] {
        let answer = gateway.get(&search(query)).json();
        assert!(!answer["traces"].as_array().unwrap().is_empty(), "{query}: {answer}");
        check(&answer);
    }
}

#[test]
fn limits_hold_for_traces_and_spans() {
    let gateway = Gateway::start();
    let [shop, bank] = two(&gateway);
    let found =
        |more: &str| gateway.get(&format!("{}{more}", search("{ name =~ \"span.*\" }"))).json();
    let ids = |answer: &Value| {
        let traces = answer["traces"].as_array().unwrap().clone();
        traces.iter().map(|trace| trace["traceID"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&found("")), [bank.clone(), shop], "newest first");
    assert_eq!(ids(&found("&limit=1")), [bank]);
    let set = &found("&spss=2")["traces"][1]["spanSets"][0];
    assert_eq!((set["matched"].as_u64(), set["spans"].as_array().unwrap().len()), (Some(3), 2));
    assert_eq!(ids(&found("&start=1&end=2")), [""; 0]);
    assert_eq!(ids(&found("&minDuration=1h")), [""; 0]);
    assert_eq!(ids(&found("&maxDuration=1h")).len(), 2);
}

#[test]
fn a_query_that_is_none_is_told_where_and_what_was_meant() {
    let gateway = Gateway::start();
    for (query, words) in [
        (
            "{ service.name = \"x\" }",
            &["line 1, column 3", "{ resource.service.name = \"x\" }"][..],
        ),
        ("{ .a == 1 }", &["column 6", "{ .a = 1 }"]),
        ("{\n  status = \"error\"\n}", &["line 2", "status = error"]),
        ("{ .a = }", &["column 8", "expected"]),
        ("{ } | coun() > 1", &["did you mean", "count()"]),
    ] {
        let reply = gateway.get(&search(query));
        assert_eq!((reply.status, reply.content_type()), (400, "text/plain"), "{query}: {reply:?}");
        for word in words {
            assert!(reply.text().contains(word), "{query}: {word:?} is not in {:?}", reply.text());
        }
    }
}

#[test]
fn what_will_hardly_do_what_was_meant_is_told_in_a_header() {
    let gateway = Gateway::start();
    let reply = gateway.get(&search("{ .status = error }"));
    assert_eq!(reply.status, 200, "{reply:?}");
    let hint = reply.header("x-traceweir-hint").expect("a hint");
    assert!(hint.contains("did you mean: { status = error }"), "{hint}");
    assert_eq!(gateway.get(&search("{ status = error }")).header("x-traceweir-hint"), None);
    // Whatever a query holds, a header can.
    let reply = gateway.get(&search("{ .status = error && .a = \"é\n\" }"));
    let hint = reply.header("x-traceweir-hint").expect("a hint");
    assert!(hint.is_ascii() && hint.contains("%C3%A9"), "{hint}");
}

#[test]
fn the_pipeline_of_a_metrics_query_is_a_search() {
    let gateway = Gateway::start();
    let _ids = two(&gateway);
    let answer = gateway.get(&search("{ resource.service.name = \"bank\" } | rate()")).json();
    assert_eq!(answer["traces"].as_array().unwrap().len(), 1, "{answer}");
}

#[test]
fn a_part_of_a_trace_is_given_for_a_filter() {
    let gateway = Gateway::start();
    let [shop, _] = two(&gateway);
    let spans = |more: &str| {
        let answer = gateway.get(&format!("/api/v2/traces/{shop}?{more}")).json();
        let resources = answer["trace"]["resourceSpans"].as_array().cloned().unwrap_or_default();
        let spans: usize = resources
            .iter()
            .flat_map(|resource| resource["scopeSpans"].as_array().unwrap())
            .map(|scope| scope["spans"].as_array().unwrap().len())
            .sum();
        (spans, answer["status"].as_str().map(str::to_owned))
    };
    let partial = Some("PARTIAL".to_owned());
    let q = format!("q={}", escape("{ status = error }"));
    assert_eq!(spans(""), (3, None));
    assert_eq!(spans(&q), (1, partial.clone()));
    assert_eq!(spans(&format!("{q}&keep_hierarchy=true")), (2, partial));
    let root = format!("q={}&match_depth=-1", escape("{ name = \"span 0\" }"));
    assert_eq!(spans(&root), (3, None));
    let bad = gateway.get(&format!("/api/v2/traces/{shop}?q={}", escape("{ } >> { }")));
    assert_eq!(bad.status, 400, "{bad:?}");
}
