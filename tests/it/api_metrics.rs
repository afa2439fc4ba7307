//! Metrics over HTTP: ranges and instants, times in every form, and what is refused.

use serde_json::Value;
use tests::api::escape;
use tests::gateway::Gateway;
use tests::otlp;
use tests::random::Rng;
use tests::wait::now_nanos;

const SECOND: u64 = 1_000_000_000;

/// Six spans of two services, ten seconds apart; the last is ten seconds old.
fn filled(base: u64) -> Gateway {
    let gateway = Gateway::start();
    let mut rng = Rng::new(4);
    for number in 0..6 {
        let mut trace = otlp::trace(&mut rng, 1);
        trace[0].start_time_unix_nano = base + number * 10 * SECOND;
        trace[0].end_time_unix_nano = trace[0].start_time_unix_nano + (number + 1) * SECOND;
        gateway.export(&otlp::request(if number < 4 { "shop" } else { "bank" }, trace));
    }
    gateway
}

/// A minute ago, on the minute's tenth.
fn base() -> u64 {
    now_nanos() / (10 * SECOND) * (10 * SECOND) - 60 * SECOND
}

fn of(answer: &Value, label: &str, value: &str) -> Value {
    let series = answer["series"].as_array().unwrap();
    let found = series.iter().find(|series| {
        series["labels"]
            .as_array()
            .unwrap()
            .iter()
            .any(|found| found["key"] == label && found["value"]["stringValue"] == value)
    });
    found.unwrap_or_else(|| panic!("no {label}={value} in {answer}")).clone()
}

#[test]
fn a_range_counts_by_steps() {
    let base = base();
    let gateway = filled(base);
    let query = escape("{ } | count_over_time() by(resource.service.name)");
    for (start, end) in [
        ((base - 10 * SECOND).to_string(), (base + 60 * SECOND).to_string()),
        ((base / SECOND - 10).to_string(), (base / SECOND + 60).to_string()),
    ] {
        let path = format!("/api/metrics/query_range?q={query}&start={start}&end={end}&step=10s");
        let reply = gateway.get(&path);
        assert_eq!(reply.status, 200, "{reply:?}");
        let answer = reply.json();
        assert!(answer["metrics"].is_object() && answer.get("status").is_none(), "{answer}");
        let shop = of(&answer, "resource.service.name", "shop");
        let samples = shop["samples"].as_array().unwrap();
        let sum: f64 = samples.iter().filter_map(|sample| sample["value"].as_f64()).sum();
        assert!((sum - 4.0).abs() < 1e-9, "{shop}");
        let at: Vec<u64> = samples
            .iter()
            .map(|sample| sample["timestampMs"].as_str().unwrap().parse().unwrap())
            .collect();
        assert!(at.is_sorted() && at.iter().all(|at| at.is_multiple_of(10_000)), "{at:?}");
    }
}

#[test]
fn an_instant_is_one_number_for_each_series() {
    let base = base();
    let gateway = filled(base);
    let ask = |query: &str| {
        let path = format!(
            "/api/metrics/query?q={}&start={}&end={}",
            escape(query),
            base - SECOND,
            base + 60 * SECOND
        );
        let reply = gateway.get(&path);
        assert_eq!(reply.status, 200, "{query}: {reply:?}");
        reply.json()
    };
    let answer = ask("{ } | count_over_time() by(resource.service.name)");
    assert_eq!(of(&answer, "resource.service.name", "bank")["value"], 2.0, "{answer}");
    let answer = ask("{ } | max_over_time(duration)");
    assert_eq!(answer["series"][0]["value"], 6.0, "{answer}");
    assert_eq!(answer["series"][0]["labels"][0]["key"], "__name__");
}

#[test]
fn what_is_no_metrics_query_is_400() {
    let gateway = Gateway::start();
    let rate = escape("{ } | rate()");
    for (query, word) in [
        (String::new(), "no query"),
        (format!("q={}", escape("{ }")), "no metrics query"),
        (format!("q={}", escape("{ } | rate(")), "line 1"),
        (format!("q={}", escape("{ cluster=~\".*\" } | rate() by (cluster)")), "did you mean"),
        (format!("q={rate}&start=2&end=1"), "before end"),
        (format!("q={rate}&start=now"), "start"),
        (format!("q={rate}&step=often"), "step"),
        (format!("q={rate}&since=3d"), "query.metrics_range_max"),
        (format!("q={rate}&since=12h&step=1s"), "intervals"),
    ] {
        let reply = gateway.get(&format!("/api/metrics/query_range?{query}"));
        assert_eq!(reply.status, 400, "{query}: {reply:?}");
        assert!(reply.text().contains(word), "{query}: {reply:?}");
    }
}
