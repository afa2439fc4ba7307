//! `tempopb.StreamingQuerier` on the query port, as Grafana and Kiali call it.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::trace::v1::Status;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use prost::Message;
use tests::api::hex;
use tests::coding::Coding;
use tests::gateway::{Gateway, Options};
use tests::h2;
use tests::otlp;
use tests::random::Rng;
use tests::tempo::{InstantResponse, MetricsRequest, SearchRequest, SearchResponse, Trace};
use tests::wait::now_nanos;

const SECOND: u64 = 1_000_000_000;
const OK: u32 = 0;
const INVALID_ARGUMENT: u32 = 3;
const UNIMPLEMENTED: u32 = 12;
const UNAUTHENTICATED: u32 = 16;

/// Ten traces of three services: a server span over a client span over another server span. In
/// every second one the last failed, with an exception.
fn filled() -> Gateway {
    let gateway = Gateway::start();
    let mut rng = Rng::new(11);
    for number in 0..10 {
        let mut trace = otlp::trace(&mut rng, 3);
        let middle = trace[1].span_id.clone();
        trace[2].parent_span_id = middle;
        for (span, kind) in trace.iter_mut().zip([2, 3, 2]) {
            span.kind = kind;
            span.end_time_unix_nano = span.start_time_unix_nano + (number + 1) * 100_000_000;
            span.attributes.push(otlp::text("db.system.name", "postgresql"));
        }
        if number % 2 == 1 {
            let last = &mut trace[2];
            last.status = Some(Status { code: 2, message: String::new() });
            last.events.push(Event {
                name: "exception".to_owned(),
                time_unix_nano: last.start_time_unix_nano,
                attributes: vec![
                    otlp::text("exception.message", "out of carts"),
                    otlp::text("exception.type", "CartError"),
                    otlp::text("exception.stacktrace", "at cart:7"),
                ],
                ..Event::default()
            });
        }
        let (name, last) = (format!("service-{}", number % 3), trace.split_off(2));
        gateway.export(&otlp::request(&name, trace));
        gateway.export(&otlp::request("deep", last));
    }
    gateway
}

/// The last five minutes.
fn metrics(query: &str, step: u64) -> MetricsRequest {
    let end = now_nanos() + SECOND;
    let (start, query) = (end - 300 * SECOND, query.to_owned());
    MetricsRequest { query, start, end, step, exemplars: 100 }
}

fn matched(traces: &[Trace]) -> u32 {
    traces.iter().flat_map(|trace| &trace.sets).map(|set| set.matched).sum()
}

#[test]
fn an_empty_request_is_a_health_check() {
    let gateway = Gateway::start();
    let messages: Vec<SearchResponse> = gateway.stream("Search", &SearchRequest::default());
    assert!(messages.iter().all(|message| message.traces.is_empty()), "{messages:?}");
    let request = SearchRequest { limit: 1, query: "{}".to_owned(), ..SearchRequest::default() };
    let _messages: Vec<SearchResponse> = gateway.stream("Search", &request);
}

#[test]
fn all_seven_methods_answer() {
    let gateway = filled();
    let all = gateway.find("{ kind = server }", 100, 10);
    assert_eq!((all.len(), matched(&all)), (10, 20));
    let mut ids: Vec<&str> = all.iter().map(|trace| trace.id.as_str()).collect();
    ids.dedup();
    assert_eq!(ids.len(), 10, "each trace comes once");
    for (method, field, word) in [
        ("SearchTags", "", "db.system.name"),
        ("SearchTagsV2", "", "db.system.name"),
        ("SearchTagValues", "service.name", "service-1"),
        ("SearchTagValuesV2", "resource.service.name", "service-1"),
    ] {
        // tagName = 1; of the first two methods that is the scope.
        let mut request = Vec::new();
        prost::encoding::string::encode(1, &field.to_owned(), &mut request);
        let request = if field.is_empty() { Vec::new() } else { request };
        let path = format!("/tempopb.StreamingQuerier/{method}");
        let answer = h2::call(gateway.at.http, &path, &[], h2::frame(Coding::None, &request));
        assert_eq!(answer.code, OK, "{answer:?}");
        assert!(String::from_utf8_lossy(&answer.body).contains(word), "{method}: {answer:?}");
    }
    let series = gateway.series(&metrics("{ } | count_over_time()", 10 * SECOND));
    assert!((series[0].sum() - 30.0).abs() < 1e-9, "{series:?}");
    let request = metrics("{ } | count_over_time() by(kind)", 0);
    let messages: Vec<InstantResponse> = gateway.stream("MetricsQueryInstant", &request);
    let numbers: Vec<f64> = messages[0].series.iter().map(|number| number.value).collect();
    assert!((numbers.iter().sum::<f64>() - 30.0).abs() < 1e-9, "{messages:?}");
}

#[test]
fn tags_are_a_map() {
    let gateway = filled();
    let tags = BTreeMap::from([("service.name".to_owned(), "service-1".to_owned())]);
    let request = SearchRequest { tags: tags.clone(), ..SearchRequest::default() };
    let messages: Vec<SearchResponse> = gateway.stream("Search", &request);
    let found: usize = messages.iter().map(|message| message.traces.len()).sum();
    assert_eq!(found, 3);
    let both = SearchRequest { tags, query: "{ .a = 1 }".to_owned(), ..SearchRequest::default() };
    assert_eq!(gateway.ask("Search", &both).code, INVALID_ARGUMENT);
}

#[test]
fn faults_are_codes_with_words() {
    let gateway = Gateway::start();
    let search = |query: &str, limit: u32| {
        let request = SearchRequest { query: query.to_owned(), limit, ..SearchRequest::default() };
        gateway.ask("Search", &request)
    };
    let answer = search("{ service.name = \"x\" }", 0);
    assert_eq!(answer.code, INVALID_ARGUMENT, "{answer:?}");
    assert!(answer.message.contains("did you mean: { resource.service.name"), "{answer:?}");
    assert_eq!(search("{ }", 100_000).code, INVALID_ARGUMENT);
    let range = metrics("{ }", SECOND);
    assert_eq!(gateway.ask("MetricsQueryRange", &range).code, INVALID_ARGUMENT);
    assert_eq!(gateway.ask("Nothing", &range).code, UNIMPLEMENTED);
    let path = "/tempopb.StreamingQuerier/Search";
    let call = |framed: Vec<u8>| h2::call(gateway.at.http, path, &[], framed).code;
    assert_eq!(call(h2::frame(Coding::None, &[0xff])), INVALID_ARGUMENT);
    assert_eq!(call(vec![0, 0]), INVALID_ARGUMENT);
    // Compressed, and not said how.
    assert_eq!(call(h2::frame(Coding::Gzip, &[])), INVALID_ARGUMENT);
    let hint = search("{ .status = error }", 0);
    let told = hint.headers.iter().find(|(name, _)| name == "x-traceweir-hint");
    assert!(hint.code == OK && told.is_some(), "{hint:?}");
    // The ports for spans have no queries, and the query port still takes spans.
    let empty = h2::frame(Coding::None, &[]);
    assert_eq!(h2::call(gateway.at.otlp_grpc, path, &[], empty).code, UNIMPLEMENTED);
    let spans = otlp::request("s", otlp::trace(&mut Rng::new(1), 1)).encode_to_vec();
    let framed = h2::frame(Coding::None, &spans);
    assert_eq!(h2::call(gateway.at.http, otlp::EXPORT, &[], framed).code, OK);
}

#[test]
fn tenants_are_told_apart() {
    let gateway = Options::new().set("tenancy", "header").start();
    let path = "/tempopb.StreamingQuerier/Search";
    let call = |headers: &[(&str, &str)]| {
        h2::call(gateway.at.http, path, headers, h2::frame(Coding::None, &[])).code
    };
    assert_eq!(call(&[]), UNAUTHENTICATED);
    assert_eq!(call(&[("x-scope-orgid", "a|")]), INVALID_ARGUMENT);
    assert_eq!(call(&[("x-scope-orgid", "a|b"), ("grpc-timeout", "5S")]), OK);
    assert_eq!(call(&[("x-scope-orgid", "a"), ("grpc-timeout", "5S")]), OK);
}

#[test]
fn long_answers_come_in_packets() {
    let gateway = Gateway::start();
    let mut rng = Rng::new(5);
    for _ in 0..40 {
        let mut trace = otlp::trace(&mut rng, 10);
        for span in &mut trace {
            span.attributes.push(otlp::text("long", &"x".repeat(10_000)));
        }
        gateway.export(&otlp::request("long", trace));
    }
    let request = SearchRequest {
        query: "{ span.long != nil } | select(span.long)".to_owned(),
        limit: 100,
        spans: 100,
        ..SearchRequest::default()
    };
    // `stream` insists on short ones.
    let messages: Vec<SearchResponse> = gateway.stream("Search", &request);
    assert!(messages.len() > 4, "{}", messages.len());
    assert_eq!(messages.iter().map(|message| message.traces.len()).sum::<usize>(), 40);
}

#[test]
fn requests_may_be_compressed_and_are_bounded_as_they_are_unpacked() {
    let gateway = filled();
    let path = "/tempopb.StreamingQuerier/Search";
    let query = "{ kind = server }".to_owned();
    let request = SearchRequest { query, ..SearchRequest::default() }.encode_to_vec();
    let ask = |name: &str, coding: Coding, request: &[u8]| {
        let headers = [("grpc-encoding", name)];
        h2::call(gateway.at.http, path, &headers, h2::frame(coding, request))
    };
    let plain = ask("identity", Coding::None, &request);
    assert!(plain.code == OK && !plain.body.is_empty(), "{plain:?}");
    let accepted = plain.headers.iter().find(|(name, _)| name == "grpc-accept-encoding");
    assert!(accepted.is_some_and(|(_, names)| names.contains("gzip")), "{plain:?}");
    for (name, coding) in [
        ("gzip", Coding::Gzip),
        ("zstd", Coding::Zstd),
        ("deflate", Coding::Zlib),
        ("snappy", Coding::SnappyBlock),
        ("gzip", Coding::None),
    ] {
        let answer = ask(name, coding, &request);
        assert_eq!((answer.code, answer.body), (OK, plain.body.clone()), "{name}");
    }
    let bomb = SearchRequest { query: " ".repeat(1 << 20), ..SearchRequest::default() };
    let answer = ask("gzip", Coding::Gzip, &bomb.encode_to_vec());
    assert!(answer.code == INVALID_ARGUMENT && answer.message.contains("262144"), "{answer:?}");
    let answer = ask("br", Coding::Gzip, &request);
    assert!(answer.code == UNIMPLEMENTED && answer.message.contains("zstd"), "{answer:?}");
    assert_eq!(ask("zstd", Coding::Gzip, &request).code, INVALID_ARGUMENT);
}

#[test]
fn what_streams_is_what_http_answers() {
    let gateway = filled();
    let streamed: Vec<String> =
        gateway.find("{ kind = client }", 5, 3).into_iter().map(|trace| trace.id).collect();
    let http = gateway.search("q=%7Bkind%3Dclient%7D&limit=5");
    let http: Vec<&str> = http.iter().map(|trace| trace["traceID"].as_str().unwrap()).collect();
    assert_eq!(streamed, http);
    assert!(hex(&[0; 1]) != streamed[0]);
}

#[test]
fn reflection_and_health_know_it() {
    let gateway = Gateway::start();
    let path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
    // ServerReflectionRequest { file_containing_symbol = 4 }
    let symbol = "tempopb.StreamingQuerier";
    let mut request = Vec::new();
    prost::encoding::string::encode(4, &symbol.to_owned(), &mut request);
    let answer = h2::call(gateway.at.http, path, &[], h2::frame(Coding::None, &request));
    assert_eq!(answer.code, OK, "{answer:?}");
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    for word in ["MetricsQueryInstant", "SearchTagValuesV2", "SpansPerSpanSet", "TagsEntry"] {
        assert!(text.contains(word), "{word}");
    }
    let mut request = Vec::new();
    prost::encoding::string::encode(1, &symbol.to_owned(), &mut request);
    let framed = h2::frame(Coding::None, &request);
    let answer = h2::call(gateway.at.http, "/grpc.health.v1.Health/Check", &[], framed);
    assert_eq!((answer.code, answer.body), (OK, vec![0x08, 1]));
}
