//! What is told of two traces.

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

/// Id, parent, service, name, start and duration in milliseconds, status, attributes.
type Row = (u64, u64, &'static str, &'static str, u64, u64, u64, &'static str);

fn otlp(rows: &[Row]) -> Vec<u8> {
    let spans: Vec<String> = rows
        .iter()
        .map(|(id, parent, service, name, start, millis, status, attributes)| {
            let parent = if *parent == 0 { String::new() } else { format!("{parent:016x}") };
            let (start, end) = (start * 1_000_000, (start + millis) * 1_000_000);
            format!(
                r#"{{"resource":{{"attributes":[{{"key":"service.name","value":
                {{"stringValue":"{service}"}}}}]}},"scopeSpans":[{{"spans":[
                {{"traceId":"{}1","spanId":"{id:016x}","parentSpanId":"{parent}",
                "name":"{name}","kind":2,"startTimeUnixNano":"{start}","endTimeUnixNano":"{end}",
                "status":{{"code":{status}}},"attributes":[{attributes}]}}]}}]}}"#,
                "0".repeat(31)
            )
        })
        .collect();
    let json = format!(r#"{{"resourceSpans":[{}]}}"#, spans.join(","));
    model::json::decode(json.as_bytes()).unwrap_or_else(|fault| panic!("{fault}"))
}

fn diff(format: Format, base: &[Row], compare: &[Row]) -> Result<Json, String> {
    let (base, compare) = (otlp(base), otlp(compare));
    let id = |text| TraceId::parse(text).unwrap();
    let mut names = Names::default();
    let base = Tree::plant(id("a1"), &base, &mut names).unwrap();
    let compare = Tree::plant(id("b2"), &compare, &mut names).unwrap();
    let told =
        told(format, &Diff::of(&names, &base, &compare)).map_err(|fault| fault.to_string())?;
    Ok(serde_json::from_str(&told).unwrap())
}

fn patch(base: &[Row], compare: &[Row]) -> Json {
    diff(Format::Patch, base, compare).unwrap()
}

const BASE: [Row; 4] = [
    (1, 0, "shop", "GET /", 10, 100, 0, r#"{"key":"v","value":{"intValue":"1"}}"#),
    (2, 1, "shop", "cart", 20, 20, 0, ""),
    (3, 1, "shop", "stock", 50, 20, 0, r#"{"key":"old","value":{"boolValue":true}}"#),
    (4, 3, "db", "SELECT", 55, 10, 0, r#"{"key":"body.size","value":{"intValue":"1000"}}"#),
];

const COMPARE: [Row; 4] = [
    (11, 0, "shop", "GET /", 1_010, 180, 0, r#"{"key":"v","value":{"intValue":"2"}}"#),
    (13, 11, "shop", "stock", 1_050, 21, 2, ""),
    (14, 13, "db", "SELECT", 1_055, 10, 0, r#"{"key":"body.size","value":{"intValue":"1010"}}"#),
    (15, 13, "mail", "send", 1_060, 90, 2, ""),
];

#[test]
fn a_patch_has_every_change() {
    let told = patch(&BASE, &COMPARE);
    let change = |op, target: Json, before: Json, after: Json| json!({ "op": op, "target": target, "before": before, "after": after });
    let expected = json!({
        "version": "trace-patch-v0",
        "base": { "traceId": format!("{:0>32}", "a1"), "spanCount": 4 },
        "compare": { "traceId": format!("{:0>32}", "b2"), "spanCount": 4 },
        "stats": {
            "spanCountA": 4, "spanCountB": 4, "matchedSpans": 3, "modifiedSpans": 2,
            "addedSpans": 1, "removedSpans": 1, "fieldChanges": 2, "attributeChanges": 2,
            "eventChanges": 0, "truncated": false,
        },
        "modified": [
            {
                "span": { "path": [0], "service": "shop", "name": "GET /", "kind": "server" },
                "changes": [
                    change(
                        "modify",
                        json!({ "type": "field", "name": "duration_nanos" }),
                        100_000_000.into(),
                        180_000_000.into(),
                    ),
                    change(
                        "modify",
                        json!({ "type": "attribute", "scope": "span", "key": "v" }),
                        1.into(),
                        2.into(),
                    ),
                ],
            },
            {
                "span": { "path": [0, 0], "service": "shop", "name": "stock", "kind": "server" },
                "changes": [
                    change(
                        "modify",
                        json!({ "type": "field", "name": "status" }),
                        "unset".into(),
                        "error".into(),
                    ),
                    change(
                        "remove",
                        json!({ "type": "attribute", "scope": "span", "key": "old" }),
                        true.into(),
                        Json::Null,
                    ),
                ],
            },
        ],
        "added": [{
            "target": { "type": "span", "parentPath": [0, 0], "index": 1 },
            "span": {
                "path": [0, 0, 1], "service": "mail", "name": "send", "kind": "server",
                "duration_nanos": 90_000_000, "status": "error",
            },
        }],
        "removed": [{
            "target": { "type": "span", "path": [0, 0] },
            "span": {
                "path": [0, 0], "service": "shop", "name": "cart", "kind": "server",
                "duration_nanos": 20_000_000, "status": "unset",
            },
        }],
        "warnings": [],
    });
    assert_eq!(told, expected, "{told:#}");
}

#[test]
fn a_summary_tells_it_in_a_page() {
    let told = diff(Format::Native, &BASE, &COMPARE).unwrap();
    let expected = json!({
        "version": "trace-summary-v0-native",
        "base": {
            "traceId": format!("{:0>32}", "a1"), "rootService": "shop", "rootName": "GET /",
            "spanCount": 4, "errorSpanCount": 0, "durationMs": 100, "sumSpanDurationMs": 150,
        },
        "compare": {
            "traceId": format!("{:0>32}", "b2"), "rootService": "shop", "rootName": "GET /",
            "spanCount": 4, "errorSpanCount": 2, "durationMs": 180, "sumSpanDurationMs": 301,
        },
        "signals": {
            "traceLatency": "increased", "sumSpanDuration": "increased", "errors": "increased",
            "spanCount": "unchanged", "structure": "changed",
        },
        "trust": { "matchedSpanRatio": 0.75, "structureOverlap": 0.75 },
        "stats": {
            "traceLatencyDeltaMs": 80, "sumSpanDurationDeltaMs": 151, "spanCountDelta": 0,
            "errorSpanDelta": 2, "matchedSpans": 3, "modifiedSpans": 2, "addedSpans": 1,
            "removedSpans": 1, "fieldChanges": 2, "attributeChanges": 2,
        },
        "changedServices": ["mail", "shop"],
        "services": [
            {
                "name": "mail", "sumSpanDurationDeltaMs": 90, "modified": 0, "added": 1,
                "removed": 0, "newErrors": 1, "resolvedErrors": 0,
            },
            {
                "name": "shop", "sumSpanDurationDeltaMs": 61, "modified": 2, "added": 0,
                "removed": 1, "newErrors": 1, "resolvedErrors": 0,
            },
        ],
    });
    assert_eq!(told, expected, "{told:#}");
}

#[test]
fn a_summary_comes_with_the_patch_where_that_is_short() {
    let told = diff(Format::Composed, &BASE, &COMPARE).unwrap();
    assert_eq!(told["version"], "trace-summary-v0-composed");
    assert_eq!(told["summary"], diff(Format::Native, &BASE, &COMPARE).unwrap());
    assert_eq!(told["patch"], patch(&BASE, &COMPARE));
    assert!(told.get("patchOmitted").is_none());
    let many: Vec<Row> = (1..1_000).map(|id| (id, 0, "shop", "GET /", id, 1, 0, "")).collect();
    let told = diff(Format::Composed, &BASE, &many).unwrap();
    assert!(told.get("patch").is_none());
    assert_eq!(told["patchOmitted"]["reason"], "over_budget");
    let whole = diff(Format::Patch, &BASE, &many).unwrap().to_string();
    assert_eq!(told["patchOmitted"]["bytes"], whole.len());
}

#[test]
fn a_trace_is_no_different_from_itself() {
    for rows in [&BASE, &COMPARE] {
        let told = patch(rows, rows);
        for list in ["modified", "added", "removed", "warnings"] {
            assert_eq!(told[list], json!([]), "{list}");
        }
        let told = diff(Format::Native, rows, rows).unwrap();
        assert_eq!(told["signals"]["structure"], "unchanged");
        assert_eq!(told["changedServices"], json!([]));
    }
}

#[test]
fn the_order_of_siblings_means_nothing() {
    let base = [
        (1, 0, "a", "root", 1, 100, 0, ""),
        (2, 1, "a", "call", 10, 50, 0, ""),
        (3, 1, "a", "call", 20, 5, 2, ""),
        (4, 1, "a", "call", 30, 10, 0, ""),
    ];
    let mut compare = base;
    (compare[1].4, compare[3].4) = (30, 10);
    let told = patch(&base, &compare);
    assert_eq!((&told["modified"], &told["stats"]["matchedSpans"]), (&json!([]), &json!(4)));
    assert_eq!(told["warnings"][0]["code"], "ambiguous_span_match");
    // One more like them is the only one that came.
    let more: Vec<Row> = compare.into_iter().chain([(5, 1, "a", "call", 40, 60, 0, "")]).collect();
    let told = patch(&base, &more);
    assert_eq!(
        (&told["stats"]["addedSpans"], &told["stats"]["removedSpans"]),
        (&1.into(), &0.into())
    );
}

#[test]
fn what_moves_below_another_parent_is_paired_and_told() {
    let mut moved = BASE;
    moved[3].1 = 2;
    assert_eq!(patch(&BASE, &moved)["modified"], json!([]));
    let told = diff(Format::Native, &BASE, &moved).unwrap();
    assert_eq!(told["signals"]["structure"], "changed");
    assert_eq!((&told["changedServices"], &told["services"]), (&json!(["db"]), &json!([])));
}

#[test]
fn what_drifts_is_told_of_its_service() {
    let rows = |millis| -> Vec<Row> {
        (1..40).map(|id| (id, id / 40, "slow", "GET /", id, millis, 0, "")).collect()
    };
    let told = diff(Format::Native, &rows(10), &rows(11)).unwrap();
    assert_eq!(told["stats"]["modifiedSpans"], 0);
    assert_eq!(told["services"][0]["sumSpanDurationDeltaMs"], 39);
    assert_eq!(told["changedServices"], json!(["slow"]));
}

#[test]
fn odd_traces_are_compared_and_said_to_be_odd() {
    let odd = [
        (1, 2, "a", "x", 1, 1, 0, ""),
        (2, 1, "a", "y", 1, 1, 0, ""),
        (2, 1, "a", "z", 0, 0, 0, ""),
        (3, 3, "a", "w", 1, 1, 0, ""),
    ];
    let told = patch(&odd, &BASE);
    assert_eq!(told["stats"]["spanCountA"], 4);
    assert_eq!(told["removed"].as_array().map(Vec::len), Some(4), "{told:#}");
    let codes: Vec<&str> =
        told["warnings"].as_array().unwrap().iter().filter_map(|w| w["code"].as_str()).collect();
    assert_eq!(codes, ["invalid_duration", "duplicate_span_id"]);
}

#[test]
fn a_patch_of_deep_traces_has_an_end() {
    let chain: Vec<Row> = (1..5_000).map(|id| (id, id - 1, "a", "x", id, 1, 0, "")).collect();
    let refusal = diff(Format::Patch, &BASE, &chain).unwrap_err();
    assert!(refusal.contains("trace-summary-v0-native"), "{refusal}");
    let told = diff(Format::Composed, &BASE, &chain).unwrap();
    assert!(told["patchOmitted"]["bytes"].as_u64() > Some(PATCH_BYTES_MAX as u64), "{told}");
}

/// Traces of few names, with some circles and shared ids in them.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let name = prop_oneof![Just("x"), Just("y"), Just("z")];
    let service = prop_oneof![Just("a"), Just("b")];
    let attributes = prop_oneof![Just(""), Just(r#"{"key":"v","value":{"intValue":"1"}}"#)];
    let row = (1..20_u64, 0..20_u64, service, name, 0..9_u64, 0..90_u64, 0..3_u64, attributes);
    proptest::collection::vec(row, 1..20)
}

proptest! {
    #[test]
    fn every_span_is_paired_added_or_removed(base in rows(), compare in rows()) {
        let told = patch(&base, &compare);
        let stats = |key: &str| told["stats"][key].as_u64().unwrap();
        prop_assert_eq!(stats("matchedSpans") + stats("addedSpans"), compare.len() as u64);
        prop_assert_eq!(stats("matchedSpans") + stats("removedSpans"), base.len() as u64);
        // Of each name as many are paired as both have.
        let count = |rows: &[Row], of: (&str, &str)| {
            rows.iter().filter(|row| (row.2, row.3) == of).count()
        };
        let names = ["a", "b"].into_iter().flat_map(|s| ["x", "y", "z"].map(|name| (s, name)));
        let pairs: usize = names.map(|of| count(&base, of).min(count(&compare, of))).sum();
        prop_assert_eq!(stats("matchedSpans"), pairs as u64);
        let summary = diff(Format::Native, &base, &compare).unwrap();
        prop_assert_eq!(&summary["stats"]["modifiedSpans"], &told["stats"]["modifiedSpans"]);
        let same = patch(&base, &base);
        prop_assert_eq!(&same["modified"], &json!([]));
        prop_assert_eq!(&same["stats"]["matchedSpans"], &json!(base.len()));
    }
}
