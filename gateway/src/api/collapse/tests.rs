//! What is joined, what stays, and what is told of it.

use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::api::call::Call;

/// Reads the parameters of a request.
fn read(query: &str) -> Result<Option<Collapse>, String> {
    let uri = format!("/api/v2/traces/1?{query}");
    let (head, ()) = http::Request::builder().uri(uri).body(()).unwrap().into_parts();
    let call = Call::new(&head, String::new(), None);
    Collapse::read(&call.parameters().unwrap()).map_err(|fault| fault.to_string())
}

/// Spans of one service: id, parent, name, status, and a value of `db.system`. Each starts at its
/// id and takes as many milliseconds.
type Row = (u64, u64, &'static str, u64, &'static str);

fn otlp(rows: &[Row]) -> Vec<u8> {
    let spans: Vec<String> = rows
        .iter()
        .map(|(id, parent, name, status, system)| {
            let parent = if *parent == 0 { String::new() } else { format!("{parent:016x}") };
            let end = id + id * 1_000_000;
            format!(
                r#"{{"traceId":"{}1","spanId":"{id:016x}","parentSpanId":"{parent}",
                "name":"{name}","kind":3,"startTimeUnixNano":"{id}","endTimeUnixNano":"{end}",
                "status":{{"code":{status}}},"attributes":[
                {{"key":"db.system","value":{{"stringValue":"{system}"}}}}]}}"#,
                "0".repeat(31)
            )
        })
        .collect();
    let json = format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name",
        "value":{{"stringValue":"shop"}}}}]}},"scopeSpans":[{{"spans":[{}]}}]}}]}}"#,
        spans.join(",")
    );
    model::json::decode(json.as_bytes()).unwrap_or_else(|fault| panic!("{fault}"))
}

/// What is left: id, parent and for how many spans it stands.
fn left(query: &str, rows: &[Row]) -> Vec<(u64, u64, i64)> {
    let collapse = read(&format!("span_pruning=true&{query}")).unwrap().unwrap();
    let (otlp, count) = collapse.apply(&otlp(rows)).unwrap();
    let number = |id: Option<SpanId>| id.map_or(0, |id| u64::from_be_bytes(*id.as_bytes()));
    let mut left = Vec::new();
    for span in span::all(&otlp).unwrap() {
        let attributes = span::flat(span.bytes, 9).unwrap();
        let stands_for = attributes.get("aggregation.span_count").and_then(Json::as_i64);
        left.push((number(span.id), number(span.parent), stands_for.unwrap_or(1)));
    }
    assert_eq!(left.len() as u64, count);
    left.sort_unstable();
    left
}

/// A root, and so many like spans below it.
fn like(count: u64) -> Vec<Row> {
    let leaves = (2..2 + count).map(|id| (id, 1, "SELECT", 0, "pg"));
    [(1, 0, "GET", 0, "")].into_iter().chain(leaves).collect()
}

#[test]
fn enough_like_leaves_become_one() {
    assert_eq!(left("", &like(5)), [(1, 0, 1), (2, 1, 5)]);
    assert_eq!(left("", &like(4)).len(), 5);
    assert_eq!(left("span_pruning_min_spans=2", &like(2)), [(1, 0, 1), (2, 1, 2)]);
    assert_eq!(left("span_pruning_min_spans=10", &like(9)).len(), 10);
}

#[test]
fn a_summary_tells_of_all_of_them() {
    let collapse = read("span_pruning=1").unwrap().unwrap();
    let (otlp, _) = collapse.apply(&otlp(&like(5))).unwrap();
    let spans = span::all(&otlp).unwrap();
    let summary = spans[1];
    assert_eq!((summary.name, summary.kind), (b"SELECT".as_slice(), 3));
    assert_eq!((summary.start.0, summary.end.0), (2, 6_000_006));
    let told: BTreeMap<String, Json> = span::flat(summary.bytes, 9).unwrap().into_iter().collect();
    for (key, value) in [
        ("db.system", "\"pg\""),
        ("aggregation.is_summary", "true"),
        ("aggregation.span_count", "5"),
        ("aggregation.duration_min_ns", "2000000"),
        ("aggregation.duration_max_ns", "6000000"),
        ("aggregation.duration_avg_ns", "4000000"),
        ("aggregation.duration_total_ns", "20000000"),
        (
            "aggregation.histogram_bucket_bounds_s",
            "[0.005,0.01,0.025,0.05,0.1,0.25,0.5,1.0,2.5,5.0,10.0]",
        ),
        ("aggregation.histogram_bucket_counts", "[4,5,5,5,5,5,5,5,5,5,5,5]"),
    ] {
        assert_eq!(told[key].to_string(), value, "{key}");
    }
    assert_eq!(told.len(), 9);
}

#[test]
fn what_failed_stays_apart() {
    let mut rows = like(6);
    rows[3].3 = 2;
    assert_eq!(left("", &rows), [(1, 0, 1), (2, 1, 5), (4, 1, 1)]);
    for row in &mut rows[1..4] {
        row.3 = 2;
    }
    assert_eq!(left("span_pruning_min_spans=3", &rows), [(1, 0, 1), (2, 1, 3), (5, 1, 3)]);
}

#[test]
fn leaves_agree_in_what_they_are_grouped_by() {
    let mut rows = like(6);
    rows[4..].iter_mut().for_each(|row| row.4 = "mysql");
    assert_eq!(left("", &rows).len(), 2);
    let query = "span_pruning_min_spans=3&span_pruning_group_by=http.*,+db.*";
    assert_eq!(left(query, &rows), [(1, 0, 1), (2, 1, 3), (5, 1, 3)]);
    assert_eq!(left("span_pruning_group_by=db.*", &rows).len(), 7);
}

/// A root, three handlers of two queries each that went well, two that failed with theirs, one
/// with another query, and a worker with a query.
const HANDLERS: [Row; 16] = [
    (1, 0, "GET", 0, ""),
    (2, 1, "handler", 1, ""),
    (3, 1, "handler", 1, ""),
    (4, 1, "handler", 1, ""),
    (5, 1, "handler", 2, ""),
    (6, 1, "handler", 2, ""),
    (7, 1, "handler", 1, ""),
    (8, 1, "worker", 1, ""),
    (12, 2, "SELECT", 1, ""),
    (13, 3, "SELECT", 1, ""),
    (14, 4, "SELECT", 1, ""),
    (15, 5, "SELECT", 2, ""),
    (16, 6, "SELECT", 2, ""),
    (17, 7, "INSERT", 1, ""),
    (18, 8, "SELECT", 1, ""),
    (19, 4, "SELECT", 1, ""),
];

#[test]
fn parents_of_like_spans_become_one_with_them() {
    let all = [
        (1, 0, 1),
        (2, 1, 3),
        (5, 1, 2),
        (7, 1, 1),
        (8, 1, 1),
        (12, 2, 4),
        (15, 5, 2),
        (17, 7, 1),
        (18, 8, 1),
    ];
    for depth in ["", "&span_pruning_max_parent_depth=-1", "&span_pruning_max_parent_depth=1"] {
        assert_eq!(left(&format!("span_pruning_min_spans=2{depth}"), &HANDLERS), all, "{depth}");
    }
    // A handler with two queries of its own has enough of them; those of others stay apart.
    let query = "span_pruning_min_spans=2&span_pruning_max_parent_depth=0";
    let leaves = left(query, &HANDLERS);
    assert_eq!(leaves.len(), 15);
    assert!(leaves.contains(&(14, 4, 2)), "{leaves:?}");
    let more = left("span_pruning_min_spans=3", &HANDLERS);
    assert!(more.contains(&(2, 1, 3)) && more.contains(&(5, 1, 1)), "{more:?}");
}

#[test]
fn a_summary_hangs_below_a_summary() {
    // The first query is not the first handler's.
    let rows = [
        (1, 0, "GET", 0, ""),
        (5, 1, "handler", 0, ""),
        (6, 1, "handler", 0, ""),
        (2, 6, "SELECT", 0, ""),
        (9, 5, "SELECT", 0, ""),
    ];
    assert_eq!(left("span_pruning_min_spans=2", &rows), [(1, 0, 1), (2, 5, 2), (5, 1, 2)]);
}

#[test]
fn roots_circles_and_shared_ids_stay_and_orphans_have_a_family() {
    let query = "span_pruning_min_spans=2";
    let roots = [(1, 0, "GET", 0, ""), (2, 0, "GET", 0, ""), (3, 0, "GET", 0, "")];
    assert_eq!(left(query, &roots).len(), 3);
    let circle = [(1, 2, "a", 0, ""), (2, 1, "a", 0, ""), (3, 3, "a", 0, "")];
    assert_eq!(left(query, &circle).len(), 3);
    let shared = [(1, 0, "a", 0, ""), (2, 1, "b", 0, ""), (2, 1, "b", 0, ""), (2, 1, "b", 0, "")];
    assert_eq!(left(query, &shared).len(), 4);
    let orphans = [(1, 7, "a", 0, ""), (2, 7, "a", 0, ""), (3, 8, "a", 0, "")];
    assert_eq!(left(query, &orphans), [(1, 7, 2), (3, 8, 1)]);
    let chain: Vec<Row> = (1..3_000).map(|id| (id, id - 1, "a", 0, "")).collect();
    let query = "span_pruning_min_spans=2&span_pruning_max_parent_depth=-1";
    assert_eq!(left(query, &chain).len(), 2_999);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    assert!(read("").unwrap().is_none());
    assert!(read("span_pruning=false&span_pruning_min_spans=x").unwrap().is_none());
    let many = "a,".repeat(40);
    let long = "a".repeat(300);
    for (query, word) in [
        ("span_pruning=maybe", "span_pruning"),
        ("span_pruning=true&span_pruning_min_spans=x", "span_pruning_min_spans"),
        ("span_pruning=true&span_pruning_min_spans=1", "span_pruning_min_spans"),
        ("span_pruning=true&span_pruning_max_parent_depth=-2", "span_pruning_max_parent_depth"),
        (&format!("span_pruning=true&span_pruning_group_by={many}"), "at most 32"),
        (&format!("span_pruning=true&span_pruning_group_by={long}"), "at most 256"),
    ] {
        let refusal = read(query).unwrap_err();
        assert!(refusal.contains(word), "{query}: {refusal}");
    }
}

/// Forests, with some circles and shared ids in them.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let name = prop_oneof![Just("a"), Just("b")];
    let system = prop_oneof![Just("pg"), Just("mysql")];
    let row = (1..40_u64, 0..30_u64, name, 0..3_u64, system);
    proptest::collection::vec(row, 0..40).prop_map(|mut rows| {
        for (place, row) in (1..).zip(&mut rows) {
            // Most ids are their own, and most parents come before.
            row.0 = if row.0 > 36 { 7 } else { place };
            row.1 = if row.1 > 27 { row.1 } else { row.1.min(place / 4) };
        }
        rows
    })
}

proptest! {
    #[test]
    fn no_span_and_no_error_is_lost(rows in rows(), min in 2..4_usize, depth in 0..4_usize) {
        let collapse = Collapse { group_by: Vec::new(), spans_min: min, parents_max: depth };
        let before = otlp(&rows);
        let (after, count) = collapse.apply(&before).unwrap();
        let stands_for = |span: &Span<'_>| {
            let attributes = span::flat(span.bytes, 9).unwrap();
            attributes.get("aggregation.span_count").map_or(1, |count| count.as_u64().unwrap())
        };
        let (before, after) = (span::all(&before).unwrap(), span::all(&after).unwrap());
        prop_assert_eq!(after.len() as u64, count);
        for status in 0..3 {
            let had = before.iter().filter(|span| span.status == status).count() as u64;
            let has = after.iter().filter(|span| span.status == status);
            prop_assert_eq!(has.map(stands_for).sum::<u64>(), had, "status {}", status);
        }
        // Who had a parent in the trace has one still.
        let known = |spans: &[Span<'_>]| -> HashSet<_> { spans.iter().filter_map(|s| s.id).collect() };
        let (ids_before, ids_after) = (known(&before), known(&after));
        for span in &after {
            let Some(parent) = span.parent else { continue };
            prop_assert!(!ids_before.contains(&parent) || ids_after.contains(&parent), "{:?}", span);
        }
        // The trace is as long as it was.
        let ends = |spans: &[Span<'_>]| {
            (spans.iter().map(|s| s.start).min(), spans.iter().map(|s| s.end).max())
        };
        prop_assert_eq!(ends(&before), ends(&after));
    }
}
