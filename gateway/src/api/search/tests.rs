//! What a search may say, and what its answer looks like.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{SpanId, TraceId};
use proptest::prelude::*;
use store::execute::traceql::{
    Inspected, ServiceStats, SpanMatch, SpansetMatch, TraceMatch, Value,
};
use traceql::ast::Static;

use super::*;
use crate::overrides::values::Query;

fn wanted(query: &str) -> Result<SearchRequest, String> {
    let (head, ()) =
        http::Request::builder().uri(format!("/api/search?{query}")).body(()).unwrap().into_parts();
    let call = Call::new(&head, String::new(), None);
    let read = || Terms::read(&call.parameters()?)?.wanted(call.guard());
    read().map_err(|fault| fault.to_string())
}

#[test]
fn without_parameters_everything_matches() {
    for query in ["", "q=", "tags="] {
        let request = wanted(query).unwrap();
        let text = "{ } | { } | select(name, resource.service.name)";
        assert_eq!(request.query.to_string(), text, "{query}");
        assert_eq!((request.limit, request.spans_per_set), (20, 3));
        assert_eq!(request.during, TimeRange::ALL);
    }
    for query in ["q=%7B%7D", "q=%7B+%0A%09%7D+"] {
        assert_eq!(wanted(query).unwrap().query.to_string(), "{ }", "{query}");
    }
}

#[test]
fn limits_have_bounds() {
    let search = wanted("limit=10000&spss=100").unwrap();
    assert_eq!((search.limit, search.spans_per_set), (10_000, 100));
    assert_eq!(wanted("spss=0").unwrap().spans_per_set, 100);
    for query in ["limit=0", "limit=10001", "limit=-1", "limit=x", "spss=101", "spss=-1"] {
        assert!(wanted(query).is_err(), "{query}");
    }
}

#[test]
fn the_end_of_a_range_includes_its_second() {
    let search = wanted("start=10&end=20").unwrap();
    assert_eq!(search.during.start, Nanos::from_secs(10));
    assert_eq!(search.during.end, Nanos(20_999_999_999));
    assert_eq!(wanted("start=0&end=0").unwrap().during, TimeRange::ALL);
    assert_eq!(wanted("start=0&end=1").unwrap().during.start, Nanos(0));
    for query in [
        "start=20&end=20",
        "start=21&end=20",
        "start=10",
        "end=10",
        "start=1.5&end=2",
        "start=1&end=now",
        "start=1&end=1700000000000000000",
    ] {
        assert!(wanted(query).is_err(), "{query}");
    }
}

#[test]
fn durations_bound_the_trace() {
    let request = wanted("minDuration=1ms&maxDuration=1s").unwrap();
    let text = "{ } | { traceDuration >= 1ms } | { traceDuration <= 1s } | { } | \
                select(name, resource.service.name)";
    assert_eq!(request.query.to_string(), text);
    assert!(wanted("minDuration=2s&maxDuration=1s").unwrap_err().contains("minDuration"));
    assert!(wanted("minDuration=fast").unwrap_err().contains("\"fast\""));
}

#[test]
fn tags_are_logfmt() {
    let tags = |text: &str| logfmt::read(text).map_err(|fault| fault.to_string());
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
    let query = wanted("tags=a%3D%22b+c%22+d%3De").unwrap().query.to_string();
    assert!(query.contains("span.a =~ \"(?is).*b c.*\"") && query.contains("span.d"), "{query}");
}

#[test]
fn queries_come_with_their_limits() {
    let request = wanted("q=%7B.a%3D1%7D&limit=7&spss=0&start=10&end=20").unwrap();
    assert_eq!(request.query.to_string(), "{ .a = 1 }");
    assert_eq!((request.limit, request.spans_per_set), (7, 100));
    assert_eq!(request.during.end, Nanos(20_999_999_999));
    // The pipeline of a metrics query is a query, too.
    assert!(wanted("q=%7B%7D+%7C+rate()").is_ok());
    let bounded = wanted("q=%7B.a%3D1%7D&minDuration=10ms&maxDuration=1s").unwrap();
    let text = "{ .a = 1 } | { traceDuration >= 10ms } | { traceDuration <= 1s }";
    assert_eq!(bounded.query.to_string(), text);
}

#[test]
fn what_is_not_understood_is_refused_in_plain_words() {
    let refusal = wanted("q=%7B+service.name+%3D+%22x%22+%7D").unwrap_err();
    for word in ["TraceQL", "line 1, column 3", "did you mean: { resource.service.name = \"x\" }"] {
        assert!(refusal.contains(word), "{refusal}");
    }
    assert!(wanted("q=%7B.a%3D1%7D&tags=a%3Db").unwrap_err().contains("combined"));
    assert!(wanted("q=%7B%7D&tags=a%3Db").unwrap_err().contains("combined"));
    assert!(wanted("q=%zz").unwrap_err().contains('%'));
    assert!(wanted("tags=%FF").is_err());
    let terms = Terms {
        during: TimeRange { start: Nanos(0), end: Nanos::from_secs(100) },
        ..Terms::default()
    };
    let guard =
        Guard::limited(Query { search_range_max: model::Wait::secs(60), ..Query::default() });
    let refusal = terms.wanted(&guard).unwrap_err().to_string();
    assert_eq!(refusal, "the range is 100s long, query.search_range_max of the tenant is 1m");
}

#[test]
fn what_a_query_finds_is_tempos_to_the_letter() {
    let field = |text: &str| Arc::new(traceql::field(text).unwrap());
    let one = |value| Value::One(value);
    let span = SpanMatch {
        id: SpanId::parse("00f067aa0ba902b7").unwrap(),
        name: "GET /".to_owned(),
        start: Nanos(5),
        duration: Nanos(7),
        attributes: vec![
            (field("resource.service.name"), one(Static::Text("shop".to_owned()))),
            (field("nestedSetParent"), one(Static::Int(-1))),
            (field("duration"), one(Static::Duration(7))),
        ],
    };
    let named = SpanMatch {
        attributes: vec![(field("name"), one(Static::Text("GET /".to_owned())))],
        ..span.clone()
    };
    let set = |span: SpanMatch| SpansetMatch {
        spans: vec![span],
        matched: 3,
        attributes: vec![("by(span.a)".to_owned(), one(Static::Nil))],
    };
    let trace = TraceMatch {
        id: TraceId::parse("463ac35c9f6413ad").unwrap(),
        root_service: String::new(),
        root_name: String::new(),
        start: Nanos(5),
        duration: Nanos(2_500_000),
        spansets: vec![set(span), set(named)],
        services: BTreeMap::from([("shop".to_owned(), ServiceStats { spans: 4, errors: 0 })]),
    };
    let json = serde_json::to_string(&found::trace(&trace)).unwrap();
    let by = r#"[{"key":"by(span.a)","value":{"stringValue":"nil"}}]"#;
    let first = concat!(
        r#"{"spans":[{"spanID":"00f067aa0ba902b7","startTimeUnixNano":"5","durationNanos":"7","#,
        r#""attributes":[{"key":"service.name","value":{"stringValue":"shop"}},"#,
        r#"{"key":"nestedSetParent","value":{"intValue":"-1"}}]}],"matched":3,"attributes":"#
    );
    let second = concat!(
        r#"{"spans":[{"spanID":"00f067aa0ba902b7","name":"GET /","startTimeUnixNano":"5","#,
        r#""durationNanos":"7"}],"matched":3,"attributes":"#
    );
    let expected = format!(
        concat!(
            r#"{{"traceID":"463ac35c9f6413ad","rootServiceName":"<root span not yet received>","#,
            r#""startTimeUnixNano":"5","durationMs":2,"spanSet":{first}{by}}},"#,
            r#""spanSets":[{first}{by}}},{second}{by}}}],"#,
            r#""serviceStats":{{"shop":{{"spanCount":4}}}}}}"#
        ),
        first = first,
        second = second,
        by = by
    );
    assert_eq!(json, expected);
    let looked = Inspected { bytes: 1, spans: 2, traces: 3, units: 4, units_total: 5 };
    assert_eq!(
        serde_json::to_string(&metrics(looked)).unwrap(),
        concat!(
            r#"{"inspectedTraces":3,"inspectedBytes":"1","completedJobs":4,"totalJobs":5,"#,
            r#""inspectedSpans":"2"}"#
        )
    );
}

/// Texts that JSON escapes, and numbers that protobuf leaves out.
fn found() -> impl Strategy<Value = TraceMatch> {
    let text =
        || prop::sample::select(vec!["", "shop", "\"\\\n\u{1}", "ü€"]).prop_map(str::to_owned);
    let one = || {
        prop_oneof![
            text().prop_map(Static::Text),
            any::<i64>().prop_map(Static::Int),
            prop::sample::select(vec![0.0, -1.5, f64::NAN, 1e300]).prop_map(Static::Float),
            any::<bool>().prop_map(Static::Bool),
            any::<i64>().prop_map(Static::Duration),
            Just(Static::Status(traceql::ast::Status::Error)),
            Just(Static::Nil),
        ]
    };
    let value = || {
        prop_oneof![
            3 => one().prop_map(Value::One),
            1 => prop::collection::vec(one(), 1..3).prop_map(Value::Many),
        ]
    };
    let names =
        vec!["name", "span.a", "resource.service.name", "duration", "parent.b", "span.\"ü\""];
    let field =
        prop::sample::select(names).prop_map(|name| Arc::new(traceql::field(name).unwrap()));
    let small = || prop_oneof![Just(0u64), 1u64..9, Just(u64::MAX)];
    let span = (1u8..9, text(), small(), small(), prop::collection::vec((field, value()), 0..4))
        .prop_map(|(id, name, start, duration, attributes)| SpanMatch {
            id: SpanId::from_array([id; 8]),
            name,
            start: Nanos(start),
            duration: Nanos(duration),
            attributes,
        });
    let spans = prop::collection::vec(span, 0..3);
    let set = (spans, small(), prop::collection::vec((text(), value()), 0..3))
        .prop_map(|(spans, matched, attributes)| SpansetMatch { spans, matched, attributes });
    let stats = (small(), small()).prop_map(|(spans, errors)| ServiceStats { spans, errors });
    let times = (text(), text(), small(), small());
    let services = prop::collection::btree_map(text(), stats, 0..3);
    (1u8..99, times, prop::collection::vec(set, 0..3), services).prop_map(
        |(id, (root_service, root_name, start, duration), spansets, services)| TraceMatch {
            id: TraceId::from_array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, id]),
            root_service,
            root_name,
            start: Nanos(start),
            duration: Nanos(duration),
            spansets,
            services,
        },
    )
}

proptest! {
    #[test]
    fn json_is_the_message_in_json(
        traces in prop::collection::vec(found().prop_map(Arc::new), 0..4),
        spans in any::<u64>(),
    ) {
        let inspected = Inspected { bytes: 1, spans, ..Inspected::default() };
        let message = serde_json::to_string(&response(&traces, inspected)).unwrap();
        prop_assert_eq!(json::response(&traces, inspected).unwrap(), message);
    }
}
