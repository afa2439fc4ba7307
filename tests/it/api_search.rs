//! Search by tags, durations and times: what is found, in which order, and what is refused.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use serde_json::Value;
use tests::api::{escape, hex};
use tests::gateway::Gateway;
use tests::http::Request;
use tests::otlp;
use tests::random::Rng;
use tests::wait::now_nanos;

const SECOND: u64 = 1_000_000_000;

/// Ten traces of two spans, a second apart, the last one the newest. Trace `n` takes `n * 100` ms;
/// the odd ones failed.
fn ten(gateway: &Gateway, rng: &mut Rng) -> Vec<String> {
    let base = now_nanos() - 60 * SECOND;
    let mut ids = Vec::new();
    for number in 0..10_u64 {
        let mut trace = otlp::trace(rng, 2);
        let start = base + number * SECOND;
        for span in &mut trace {
            span.start_time_unix_nano = start;
            span.end_time_unix_nano = start + number * 100_000_000;
        }
        trace[0].name = format!("root {number}");
        let child = &mut trace[1];
        child.attributes.push(otlp::text("team", if number < 5 { "Blue Team" } else { "red" }));
        if number % 2 == 1 {
            child.status = Some(Status { code: 2, message: String::new() });
        }
        ids.push(hex(&trace[0].trace_id).trim_start_matches('0').to_owned());
        gateway.export(&otlp::request(&format!("service-{}", number % 3), trace));
    }
    ids
}

fn found(traces: &[Value]) -> Vec<&str> {
    traces.iter().map(|trace| trace["traceID"].as_str().unwrap()).collect()
}

#[test]
fn everything_is_found_newest_first() {
    let gateway = Gateway::start();
    let ids = ten(&gateway, &mut Rng::new(1));
    let newest: Vec<&str> = ids.iter().rev().map(String::as_str).collect();
    for query in ["", "q=%7B%7D", "q=%7B%20%7D", "tags=", "limit=10"] {
        assert_eq!(found(&gateway.search(query)), newest, "{query:?}");
    }
    assert_eq!(found(&gateway.search("limit=3")), newest[..3]);
}

#[test]
fn a_found_trace_is_summed_up() {
    let gateway = Gateway::start();
    let ids = ten(&gateway, &mut Rng::new(2));
    let traces = gateway.search("tags=name%3D%22root%207%22");
    assert_eq!(found(&traces), [&ids[7]]);
    let trace = &traces[0];
    assert_eq!(trace["rootServiceName"], "service-1");
    assert_eq!(trace["rootTraceName"], "root 7");
    assert_eq!(trace["durationMs"], 700);
    assert!(trace["startTimeUnixNano"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(trace["serviceStats"]["service-1"]["spanCount"], 2);
    assert_eq!(trace["serviceStats"]["service-1"]["errorCount"], 1);
    let set = &trace["spanSets"][0];
    assert_eq!(set["matched"], 1);
    let span = &set["spans"][0];
    assert_eq!(span["spanID"].as_str().unwrap().len(), 16);
    assert_eq!(span["durationNanos"], "700000000");
}

#[test]
fn tags_match_spans_and_resources() {
    let gateway = Gateway::start();
    let ids = ten(&gateway, &mut Rng::new(3));
    let by = |tags: &str| {
        let traces = gateway.search(&format!("tags={}", escape(tags)));
        let mut numbers: Vec<usize> =
            found(&traces).iter().map(|id| ids.iter().position(|own| own == id).unwrap()).collect();
        numbers.sort_unstable();
        numbers
    };
    assert_eq!(by("service.name=service-1"), [1, 4, 7]);
    assert_eq!(by("team=red"), [5, 6, 7, 8, 9]);
    assert_eq!(by("team=\"Blue Team\""), [0, 1, 2, 3, 4]);
    assert_eq!(by("team=blue"), [0, 1, 2, 3, 4], "a part of it, whatever its case");
    assert_eq!(by("team=red service.name=service-2"), [5, 8], "both must match");
    assert_eq!(by("error=true"), [1, 3, 5, 7, 9]);
    assert_eq!(by("status=error team=red"), [5, 7, 9]);
    assert_eq!(by("name=\"root 4\""), [4]);
    assert_eq!(by("team=green"), [0; 0]);
    assert_eq!(by("no.such.key=x"), [0; 0]);
}

fn value(key: &str, value: any_value::Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, key_strindex: 0 }
}

#[test]
fn tags_find_text_numbers_and_bools_in_memory_and_in_blocks() {
    let gateway = Gateway::start();
    let mut rng = Rng::new(7);
    let values = [
        any_value::Value::StringValue("456".to_owned()),
        any_value::Value::IntValue(456),
        any_value::Value::DoubleValue(456.0),
        any_value::Value::StringValue("x4567".to_owned()),
        any_value::Value::IntValue(4567),
        any_value::Value::BoolValue(true),
        any_value::Value::IntValue(-7),
        any_value::Value::DoubleValue(0.5),
        any_value::Value::StringValue("a.b*(c".to_owned()),
    ];
    let mut ids = Vec::new();
    for of in &values {
        let mut trace = otlp::trace(&mut rng, 2);
        trace[1].attributes = vec![value("user_id", of.clone())];
        ids.push(hex(&trace[0].trace_id).trim_start_matches('0').to_owned());
        gateway.export(&otlp::request("shop", trace));
    }
    let by = |tags: &str| {
        let traces = gateway.search(&format!("limit=100&tags={}", escape(tags)));
        let mut numbers: Vec<usize> =
            found(&traces).iter().map(|id| ids.iter().position(|own| own == id).unwrap()).collect();
        numbers.sort_unstable();
        numbers
    };
    for place in ["in memory", "in blocks"] {
        for (tags, expected) in [
            ("user_id=456", &[0, 1, 2, 3][..]),
            ("user_id=4567", &[3, 4]),
            ("user_id=True", &[5]),
            ("user_id=-7", &[6]),
            ("user_id=0.5", &[7]),
            ("user_id=.B*(", &[8]),
            ("user_id", &[0, 1, 2, 3, 4, 5, 6, 7, 8]),
            ("user_id service.name=SHO", &[0, 1, 2, 3, 4, 5, 6, 7, 8]),
            ("user_id=456 service.name=bank", &[]),
            ("root.service.name=shop user_id=x", &[3]),
        ] {
            assert_eq!(by(tags), expected, "{tags}, {place}");
        }
        let span = &gateway.search("tags=user_id%3D-7")[0]["spanSet"]["spans"][0];
        assert!(span["name"].as_str().is_some_and(|name| !name.is_empty()), "{span}");
        let mut keys: Vec<&str> = span["attributes"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|a| a["key"].as_str())
            .collect();
        keys.sort_unstable();
        assert_eq!(keys, ["service.name", "user_id"], "each once: {span}");
        let many: Vec<String> = (0..100).map(|number| format!("k{number}=some-value")).collect();
        assert_eq!(by(&many.join(" ")), [0; 0]);
        let flushed = Request::new("POST", "/flush?level=l1").body("").send(gateway.at.admin);
        assert_eq!(flushed.status, 200, "{flushed:?}");
    }
}

#[test]
fn durations_and_times_bound_the_search() {
    let gateway = Gateway::start();
    let ids = ten(&gateway, &mut Rng::new(4));
    let count = |query: &str| gateway.search(query).len();
    assert_eq!(count("minDuration=500ms"), 5);
    assert_eq!(count("maxDuration=300ms"), 4);
    assert_eq!(count("minDuration=200ms&maxDuration=0.4s"), 3);
    assert_eq!(count("minDuration=1h"), 0);
    let newest = &gateway.search("limit=1")[0];
    assert_eq!(newest["traceID"], ids[9].as_str());
    let at: u64 = newest["startTimeUnixNano"].as_str().unwrap().parse().unwrap();
    let second = at / SECOND;
    assert_eq!(count(&format!("start={}&end={}", second - 100, second - 50)), 0);
    assert_eq!(count(&format!("start={}&end={}", second - 100, second + 100)), 10);
    let last = count(&format!("start={}&end={}", second - 2, second + 2));
    assert!((3..=4).contains(&last), "the newest few, found {last}");
}

#[test]
fn what_is_no_search_is_400() {
    let gateway = Gateway::start();
    let bad = [
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=10001",
        "spss=101",
        "minDuration=soon",
        "maxDuration=5",
        "minDuration=2s&maxDuration=1s",
        "start=20&end=10",
        "start=10&end=10",
        "tags=a%3Db&q=%7B%7D",
        "tags=%22",
    ];
    for query in bad {
        let reply = gateway.get(&format!("/api/search?{query}"));
        assert_eq!(reply.status, 400, "{query}: {reply:?}");
        assert!(!reply.body.is_empty(), "says what is wrong with {query}");
    }
}

#[test]
fn a_query_of_some_kib_is_read_and_an_endless_one_refused() {
    let gateway = Gateway::start();
    let status =
        |length: usize| gateway.get(&format!("/api/search?tags=a%3D{}", "x".repeat(length))).status;
    assert_eq!(status(12 << 10), 200);
    let over = status(129 << 10);
    assert!((400..500).contains(&over), "{over}");
}

#[test]
fn limit_is_20_unless_told() {
    let gateway = Gateway::start();
    let mut rng = Rng::new(5);
    let traces: Vec<Span> = (0..50).flat_map(|_| otlp::trace(&mut rng, 5)).collect();
    gateway.export(&otlp::request("many", traces));
    let found = gateway.search("tags=service.name%3Dmany");
    assert_eq!(found.len(), 20);
    assert_eq!(gateway.search("tags=service.name%3Dmany&limit=50").len(), 50);
    let spans = |query: &str| {
        let traces = gateway.search(&format!("tags=service.name%3Dmany&limit=1&{query}"));
        let set = &traces[0]["spanSets"][0];
        assert_eq!(set["matched"], 5);
        set["spans"].as_array().unwrap().len()
    };
    assert_eq!((spans(""), spans("spss=1"), spans("spss=100")), (3, 1, 5));
}

#[test]
fn what_is_acked_is_found_at_once_and_after_a_restart() {
    let gateway = Gateway::start();
    let mut rng = Rng::new(6);
    for number in 0..50 {
        let mut trace = otlp::trace(&mut rng, 1);
        trace[0].attributes = vec![otlp::text("marker", &format!("m-{number}-end"))];
        gateway.export(&otlp::request("fresh", trace));
        let found = gateway.search(&format!("tags=marker%3Dm-{number}-end"));
        assert_eq!(found.len(), 1, "marker {number}, right after its ack");
    }
    let gateway = gateway.kill_and_restart();
    assert_eq!(gateway.search("tags=service.name%3Dfresh&limit=100").len(), 50);
}

#[test]
fn a_wall_of_dashboards_costs_one_evaluation_and_sees_what_comes() {
    let gateway = Gateway::start();
    let mut rng = Rng::new(9);
    let ids = ten(&gateway, &mut rng);
    gateway.flush("l1");
    let (hits, misses) =
        ("traceweir_store_answers_hits_total", "traceweir_store_answers_misses_total");
    let search = |start: u64| {
        let end = now_nanos() / SECOND + 10;
        let query = escape("{ .team = `red` }");
        let traces = gateway.search(&format!("q={query}&start={start}&end={end}"));
        found(&traces).into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let red: Vec<String> = ids[5..].iter().rev().cloned().collect();
    let start = now_nanos() / SECOND - 3600;
    assert_eq!(search(start), red);
    let computed = gateway.metric(misses);
    let known = gateway.metric(hits);
    std::thread::scope(|scope| {
        for panel in 1..9 {
            let (search, red) = (&search, &red);
            scope.spawn(move || assert_eq!(search(start - panel), *red));
        }
    });
    assert!(computed > 0.0 && gateway.metric(misses) <= computed, "computed again");
    assert!(gateway.metric(hits) > known);
    // What comes now is found beside what is known.
    let mut more = otlp::trace(&mut rng, 1);
    more[0].attributes.push(otlp::text("team", "red"));
    more[0].start_time_unix_nano = now_nanos();
    more[0].end_time_unix_nano = now_nanos();
    let id = hex(&more[0].trace_id).trim_start_matches('0').to_owned();
    gateway.export(&otlp::request("late", more));
    let mut all = vec![id];
    all.extend(red);
    assert_eq!(search(start), all);
}
