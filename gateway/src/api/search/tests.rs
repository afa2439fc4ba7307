//! What a search may say, and what its answer looks like.

use model::{SpanId, TimeRange, TraceId};

use super::*;

fn parse(query: &str) -> Result<Search, String> {
    let (head, ()) =
        http::Request::builder().uri(format!("/api/search?{query}")).body(()).unwrap().into_parts();
    let call = Call::new(&head, String::new(), None);
    let parameters = call.parameters().map_err(|fault| fault.to_string())?;
    read(&parameters).map_err(|fault| fault.to_string())
}

#[test]
fn without_parameters_everything_matches() {
    for query in ["", "q=%7B%7D", "q=%7B+%0A%09%7D+", "q=", "tags="] {
        let search = parse(query).unwrap();
        assert!(search.tags.is_empty(), "{query}");
        assert_eq!((search.limit, search.spans_per_trace), (20, 3));
        assert_eq!(search.during, TimeRange::ALL);
        assert_eq!((search.duration_min, search.duration_max), (None, None));
    }
}

#[test]
fn limits_have_bounds() {
    let search = parse("limit=10000&spss=100").unwrap();
    assert_eq!((search.limit, search.spans_per_trace), (10_000, 100));
    assert_eq!(parse("spss=0").unwrap().spans_per_trace, 100);
    for query in ["limit=0", "limit=10001", "limit=-1", "limit=x", "spss=101", "spss=-1"] {
        assert!(parse(query).is_err(), "{query}");
    }
}

#[test]
fn the_end_of_a_range_includes_its_second() {
    let search = parse("start=10&end=20").unwrap();
    assert_eq!(search.during.start, Nanos::from_secs(10));
    assert_eq!(search.during.end, Nanos(20_999_999_999));
    assert_eq!(parse("start=0&end=0").unwrap().during, TimeRange::ALL);
    assert_eq!(parse("start=0&end=1").unwrap().during.start, Nanos(0));
    for query in [
        "start=20&end=20",
        "start=21&end=20",
        "start=10",
        "end=10",
        "start=1.5&end=2",
        "start=1&end=now",
        "start=1&end=1700000000000000000",
    ] {
        assert!(parse(query).is_err(), "{query}");
    }
}

#[test]
fn durations_are_those_of_go() {
    for (text, nanos) in [
        ("100ms", 100_000_000),
        ("1.5s", 1_500_000_000),
        ("1h2m3.004s", 3_723_004_000_000),
        ("10us", 10_000),
        ("10µs", 10_000),
        ("10μs", 10_000),
        (".5ms", 500_000),
        ("1.ms", 1_000_000),
        ("1.0000000001s", 1_000_000_000),
        ("0", 0),
        ("+7ns", 7),
    ] {
        assert_eq!(go_duration(text), Some(Nanos(nanos)), "{text}");
    }
    for text in ["", "5", "s", ".s", "-1s", "1d", "1 s", "1e3s", "99999999999h", "1ss"] {
        assert_eq!(go_duration(text), None, "{text}");
    }
    let search = parse("minDuration=1ms&maxDuration=1s&q={}").unwrap();
    assert_eq!(
        (search.duration_min, search.duration_max),
        (Some(Nanos(1_000_000)), Some(Nanos::SECOND))
    );
    assert!(parse("minDuration=2s&maxDuration=1s").unwrap_err().contains("minDuration"));
    assert!(parse("minDuration=fast").unwrap_err().contains("\"fast\""));
}

#[test]
fn tags_are_logfmt() {
    let tags = |text: &str| logfmt(text).map_err(|fault| fault.to_string());
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(
        tags(r#"service.name=shop  http.url="a \"b\" c=d\u00e9" error x= "#),
        Ok(vec![
            pair("service.name", "shop"),
            pair("http.url", "a \"b\" c=dé"),
            pair("error", ""),
            pair("x", "")
        ])
    );
    assert_eq!(tags(" "), Ok(Vec::new()));
    for text in ["=a", "a=\"b", "a=\"b\"c", "a=b\"c", "a=1 a=2", "a==b", "\"a\"=b"] {
        assert!(tags(text).unwrap_err().starts_with("tags: "), "{text}");
    }
    let many: String = (0..101).map(|key| format!("k{key}=v ")).collect();
    assert!(tags(&many).unwrap_err().contains("at most 100"));
    assert_eq!(parse("tags=a%3D%22b+c%22+d%3De").unwrap().tags, [pair("a", "b c"), pair("d", "e")]);
}

#[test]
fn what_is_not_understood_is_refused_in_plain_words() {
    let refusal = parse("q=%7B.a%3D1%7D").unwrap_err();
    assert!(refusal.contains("{}") && refusal.contains("tags"), "{refusal}");
    assert!(parse("q=%7B%7D&tags=a%3Db").unwrap_err().contains("combined"));
    assert!(parse("q=%zz").unwrap_err().contains('%'));
    assert!(parse("tags=%FF").is_err());
    assert!(parse("q=%7B%7D+%7C+rate()").is_err());
}

#[test]
fn the_answer_is_tempos_to_the_letter() {
    let mut attribute = Vec::new();
    model::wire::put_bytes(&mut attribute, 1, b"http.status_code");
    model::wire::put_message(&mut attribute, 2, |out| model::wire::put_u64(out, 3, 500));
    let trace = |root: &str| TraceSummary {
        id: TraceId::parse("0000463ac35c9f6413ad").unwrap(),
        root_service: root.to_owned(),
        root_name: if root.is_empty() { String::new() } else { "GET /".to_owned() },
        start: Nanos(1_700_000_000_000_000_001),
        duration: Nanos(1_999_999),
        matched: 2,
        spans: vec![MatchedSpan {
            id: SpanId::parse("00f067aa0ba902b7").unwrap(),
            name: "GET /".to_owned(),
            start: Nanos(1_700_000_000_000_000_001),
            duration: Nanos(0),
            attributes: vec![attribute.clone()],
        }],
        services: vec![("shop".to_owned(), 3, 1), ("db".to_owned(), 1, 0)],
    };
    let found = Found {
        partial: None,
        traces: vec![trace("shop"), trace("")],
        inspected_spans: 4,
        inspected_bytes: 1 << 40,
        inspected_traces: 2,
    };
    let json = serde_json::to_string(&Response::try_from(&found).unwrap()).unwrap();
    let set = concat!(
        r#"{"spans":[{"spanID":"00f067aa0ba902b7","name":"GET /","#,
        r#""startTimeUnixNano":"1700000000000000001","#,
        r#""attributes":[{"key":"http.status_code","value":{"intValue":"500"}}]}],"matched":2}"#
    );
    let expected = |root: &str| {
        format!(
            concat!(
                r#"{{"traceID":"463ac35c9f6413ad",{},"startTimeUnixNano":"1700000000000000001","#,
                r#""durationMs":1,"spanSet":{},"spanSets":[{}],"serviceStats":"#,
                r#"{{"db":{{"spanCount":1}},"shop":{{"spanCount":3,"errorCount":1}}}}}}"#
            ),
            root, set, set
        )
    };
    assert_eq!(
        json,
        format!(
            concat!(
                r#"{{"traces":[{},{}],"metrics":{{"inspectedTraces":2,"#,
                r#""inspectedBytes":"1099511627776","completedJobs":1,"totalJobs":1}}}}"#
            ),
            expected(r#""rootServiceName":"shop","rootTraceName":"GET /""#),
            expected(r#""rootServiceName":"<root span not yet received>""#)
        )
    );
    let empty = serde_json::to_string(&Response::try_from(&Found::default()).unwrap()).unwrap();
    assert_eq!(empty, r#"{"traces":[],"metrics":{"completedJobs":1,"totalJobs":1}}"#);
}
