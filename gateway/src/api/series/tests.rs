//! What a metrics query may say, and what is made of it.

use super::*;

const NOW: Nanos = Nanos::from_secs(1_700_000_000);

fn request(query: &str, is_range: bool) -> Result<MetricsRequest, String> {
    let uri = format!("/api/metrics/query_range?{query}");
    let (head, ()) = http::Request::builder().uri(uri).body(()).unwrap().into_parts();
    let call = Call::new(&head, String::new(), None);
    let parameters = call.parameters().map_err(|fault| fault.to_string())?;
    let terms = Terms::read(&parameters, NOW).map_err(|fault| fault.to_string())?;
    let made = if is_range { terms.range(call.guard()) } else { terms.instant(call.guard()) };
    made.map_err(|fault| fault.to_string())
}

const RATE: &str = "q=%7B%7D%7Crate()";

#[test]
fn the_last_hour_is_the_usual_range() {
    let range = request(RATE, true).unwrap();
    assert_eq!((range.start, range.end), (NOW.minus(SINCE), NOW));
    assert_eq!(range.step, Some(Nanos::from_secs(15)));
    assert_eq!((range.exemplars, range.series_max), (0, 1_000));
    let instant = request(RATE, false).unwrap();
    assert_eq!((instant.start, instant.end, instant.step), (NOW.minus(SINCE), NOW, None));
    let since = request(&format!("{RATE}&since=1d"), true).unwrap();
    assert_eq!(since.start, Nanos::from_secs(1_700_000_000 - 86_400));
    assert!(request("query=%7B%7D%7Crate()", true).is_ok());
}

#[test]
fn times_and_steps_come_in_every_form() {
    for (start, end) in [
        ("1699999000", "1700000000"),
        ("1699999000.0", "1700000000000000000"),
        ("2023-11-14T21:56:40Z", "2023-11-14T22:13:20+00:00"),
    ] {
        let range = request(&format!("{RATE}&start={start}&end={end}&step=30"), true).unwrap();
        assert_eq!(range.start, Nanos::from_secs(1_699_999_000), "{start}");
        assert_eq!(range.end, NOW, "{end}");
        assert_eq!(range.step, Some(Nanos::from_secs(30)));
    }
    for (step, nanos) in
        [("0.5", 500_000_000), ("1m", 60_000_000_000), ("1000000000ns", 1_000_000_000)]
    {
        let range = request(&format!("{RATE}&step={step}"), true).unwrap();
        assert_eq!(range.step, Some(Nanos(nanos)), "{step}");
    }
    assert_eq!(request(&format!("{RATE}&step=0"), true).unwrap().step, Some(Nanos::from_secs(15)));
}

#[test]
fn many_intervals_leave_fewer_series() {
    let series = |text: &str| request(&format!("{RATE}&{text}"), true).unwrap().series_max;
    assert_eq!(series("since=8m&step=1&maxSeries=10000"), 1_039);
    assert_eq!(series("since=10s&step=1ms"), 49);
    assert_eq!(series("since=1h&step=10"), 1_000);
}

#[test]
fn steps_are_easy_to_read() {
    for (minutes, step) in [(1, 1), (5, 1), (60, 15), (180, 30), (360, 60), (1440, 300)] {
        assert_eq!(usual_step(Nanos::from_secs(minutes * 60)), Nanos::from_secs(step), "{minutes}");
    }
    assert_eq!(usual_step(Nanos(1)), Nanos::SECOND);
}

#[test]
fn what_cannot_be_is_said() {
    for (query, word) in [
        ("", "no query"),
        ("q=%7B%7D", "no metrics query"),
        ("q=%7B%7D%7Crate(", "line 1"),
        ("q=%7B%7D%7Crate()&start=soon", "start: \"soon\""),
        ("q=%7B%7D%7Crate()&end=1e9", "end: \"1e9\""),
        ("q=%7B%7D%7Crate()&step=fast", "step: \"fast\""),
        ("q=%7B%7D%7Crate()&since=-1h", "since: \"-1h\""),
        ("q=%7B%7D%7Crate()&start=1700000000&end=1699999999", "must be before end"),
        ("q=%7B%7D%7Crate()&start=1700000000&end=1700000000", "must be before end"),
        ("q=%7B%7D%7Crate()&since=25h", "query.metrics_range_max"),
        ("q=%7B%7D%7Crate()&since=1d&step=8s", "10800 intervals"),
        ("q=%7B%7D%7Crate()&exemplars=-1", "exemplars"),
        ("q=%7B%7D%7Crate()&maxSeries=many", "maxSeries"),
    ] {
        let refusal = request(query, true).unwrap_err();
        assert!(refusal.contains(word), "{query}: {refusal}");
    }
}
