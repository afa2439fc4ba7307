//! A trace by its id in other forms than all of its spans: in few words, and like spans as one.

use std::collections::HashSet;

use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde_json::{Value, json};
use tests::api::hex;
use tests::gateway::{Gateway, Options};
use tests::http::{Reply, Request};
use tests::otlp;
use tests::random::Rng;

const LLM: &str = "application/vnd.grafana.llm";

/// A root and so many queries below it, of which the last failed.
fn queries(rng: &mut Rng, count: usize) -> Vec<Span> {
    let mut trace = otlp::trace(rng, count + 1);
    let root = trace[0].span_id.clone();
    for span in &mut trace[1..] {
        span.parent_span_id.clone_from(&root);
        "SELECT".clone_into(&mut span.name);
        span.kind = 3;
        span.attributes = vec![otlp::text("db.system.name", "postgresql")];
    }
    if let Some(last) = trace.last_mut() {
        last.status = Some(Status { code: 2, message: "deadlock".to_owned() });
    }
    trace
}

fn spans(answer: &Value) -> Vec<Value> {
    let resources = answer["trace"]["resourceSpans"].as_array().cloned().unwrap_or_default();
    let scopes = resources.iter().filter_map(|resource| resource["scopeSpans"].as_array());
    scopes.flatten().filter_map(|scope| scope["spans"].as_array()).flatten().cloned().collect()
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().expect("attributes");
    let found = attributes.iter().find(|attribute| attribute["key"] == key);
    &found.unwrap_or_else(|| panic!("{key} in {span}"))["value"]
}

#[test]
fn like_spans_are_told_as_one_and_errors_are_seen() {
    let gateway = Gateway::start();
    let trace = queries(&mut Rng::new(5), 21);
    let path = format!("/api/v2/traces/{}", hex(&trace[0].trace_id));
    gateway.export(&otlp::request("shop", trace));
    assert_eq!(spans(&gateway.get(&path).json()).len(), 22);
    // What Grafana sends for every trace that it shows.
    let pruned = gateway.get(&format!("{path}?span_pruning=true")).json();
    assert!(pruned.get("status").is_none(), "{pruned}");
    let spans = spans(&pruned);
    assert_eq!(spans.len(), 3, "{pruned}");
    let failed = spans.iter().find(|span| span["status"]["code"] == "STATUS_CODE_ERROR");
    assert_eq!(failed.expect("the error")["status"]["message"], "deadlock");
    let is_summary = |span: &&Value| span["name"] == "SELECT" && span.get("status").is_none();
    let summary = spans.iter().find(is_summary).expect("a summary");
    assert_eq!(attribute(summary, "aggregation.span_count")["intValue"], "20");
    assert_eq!(attribute(summary, "aggregation.is_summary")["boolValue"], true);
    let refused = gateway.get(&format!("{path}?span_pruning=true&span_pruning_min_spans=1"));
    assert_eq!(refused.status, 400);
    assert!(refused.text().contains("span_pruning_min_spans"), "{refused:?}");
}

#[test]
fn spans_are_filtered_before_they_are_joined() {
    let gateway = Gateway::start();
    let trace = queries(&mut Rng::new(6), 9);
    let path = format!("/api/v2/traces/{}", hex(&trace[0].trace_id));
    gateway.export(&otlp::request("shop", trace));
    let query = tests::api::escape("{ status != error && kind = client }");
    let part = gateway.get(&format!("{path}?span_pruning=true&q={query}")).json();
    assert_eq!(part["status"], "PARTIAL", "{part}");
    let spans = spans(&part);
    assert_eq!(spans.len(), 1, "{part}");
    assert_eq!(attribute(&spans[0], "aggregation.span_count")["intValue"], "8");
}

/// Where a `Link` header leads.
fn next_page(reply: &Reply) -> Option<String> {
    let link = reply.header("link")?;
    let (target, relation) = link.strip_prefix('<')?.split_once('>')?;
    assert_eq!(relation, "; rel=\"next\"");
    Some(target.to_owned())
}

#[test]
fn a_huge_trace_comes_in_pages_each_span_once() {
    let gateway = Options::new().set("query.trace_bytes_max", "1MiB").start();
    let mut rng = Rng::new(8);
    let trace = otlp::trace(&mut rng, 4_000);
    let (count, id) = (trace.len(), hex(&trace[0].trace_id));
    let fill = otlp::text("fill", &"x".repeat(1_000));
    for part in trace.chunks(500) {
        let mut part = part.to_vec();
        part.iter_mut().for_each(|span| span.attributes.push(fill.clone()));
        gateway.export(&otlp::request("huge", part));
    }
    for version in ["/api/traces", "/api/v2/traces"] {
        let path = format!("{version}/{id}");
        let (mut ids, mut pages, mut latest) = (HashSet::new(), 0, 0);
        let mut query = String::new();
        loop {
            let reply = gateway.get(&format!("{path}{query}"));
            assert_eq!(reply.status, 200, "{reply:?}");
            assert!(reply.body.len() < 4 << 20, "{} bytes", reply.body.len());
            let mut answer = reply.json();
            if version == "/api/v2/traces" {
                assert_eq!(answer["status"], "PARTIAL");
            } else {
                answer = json!({ "trace": { "resourceSpans": answer["batches"].take() } });
            }
            let mut starts: Vec<u64> = Vec::new();
            for span in spans(&answer) {
                let is_new = ids.insert(span["spanId"].to_string());
                assert!(is_new, "{} is there twice", span["spanId"]);
                let start = span["startTimeUnixNano"].as_str();
                starts.extend(start.and_then(|start| start.parse::<u64>().ok()));
            }
            assert!(starts.iter().all(|start| *start >= latest), "pages are in order");
            latest = starts.into_iter().max().unwrap_or(latest);
            pages += 1;
            let Some(next) = next_page(&reply) else { break };
            let message = answer["message"].as_str().unwrap_or_default().to_owned();
            let after = next.trim_start_matches('?');
            assert!(version == "/api/traces" || message.contains(after), "{message}");
            query = next;
        }
        assert_eq!(ids.len(), count, "{version}");
        assert!(pages > 3, "{pages} pages");
    }
    let reply = gateway.get(&format!("/api/v2/traces/{id}?after=nowhere"));
    assert!(reply.status == 400 && reply.text().contains("after"), "{reply:?}");
    let past = gateway.get(&format!("/api/v2/traces/{id}?after={}", "f".repeat(33)));
    assert_eq!(past.status, 404, "{past:?}");
}

#[test]
fn a_trace_comes_in_few_words_for_who_asks() {
    let gateway = Gateway::start();
    let trace = queries(&mut Rng::new(7), 3);
    let (id, root) = (hex(&trace[0].trace_id), hex(&trace[0].span_id));
    gateway.export(&otlp::request("shop", trace));
    for path in [format!("/api/traces/{id}"), format!("/api/v2/traces/{id}")] {
        let reply = Request::get(&path).header("accept", LLM).send(gateway.at.http);
        assert_eq!((reply.status, reply.content_type()), (200, LLM), "{reply:?}");
        let answer = reply.json();
        assert_eq!(answer["trace"]["traceId"], *id);
        let services = answer["trace"]["services"].as_array().expect("services");
        assert_eq!((services.len(), &services[0]["serviceName"]), (1, &"shop".into()));
        let spans = services[0]["scopes"][0]["spans"].as_array().expect("spans");
        assert_eq!(spans.len(), 4, "{answer}");
        let failed = spans.iter().find(|span| span["status"]["code"] == "STATUS_CODE_ERROR");
        let failed = failed.expect("the error");
        assert_eq!(failed["parentSpanId"], *root);
        assert_eq!(failed["attributes"]["db.system.name"], "postgresql");
    }
    let path = "/api/v2/search/tag/span.db.system.name/values";
    let reply = Request::get(path).header("accept", LLM).send(gateway.at.http);
    assert_eq!(reply.json()["tagValues"]["string"][0], "postgresql", "{reply:?}");
    // What has no such form answers as ever.
    let reply = Request::get("/api/v2/search/tags").header("accept", LLM).send(gateway.at.http);
    assert_eq!((reply.status, reply.content_type()), (200, "application/json"), "{reply:?}");
}
