//! OTLP over HTTP as the Collector's own receiver answers it: methods, types, codings, errors.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tests::coding::Coding;
use tests::gateway::{Gateway, Options};
use tests::http::{Reply, Request};
use tests::otlp;
use tests::pb::Status;
use tests::random::Rng;

/// The content codings of HTTP by every name that clients use.
const CODINGS: [(&str, Coding); 9] = [
    ("", Coding::None),
    ("identity", Coding::None),
    ("gzip", Coding::Gzip),
    ("zstd", Coding::Zstd),
    ("deflate", Coding::Zlib),
    ("deflate", Coding::RawDeflate),
    ("zlib", Coding::Zlib),
    ("snappy", Coding::SnappyBlock),
    ("snappy", Coding::SnappyFramed),
];

/// A refusal in the client's own content type; returns its message.
fn refused(reply: &Reply, status: u16, code: i32) -> String {
    assert_eq!(reply.status, status, "{reply:?}");
    let message = match reply.content_type() {
        "application/x-protobuf" => {
            let body = Status::decode(reply.body.as_slice()).unwrap();
            assert_eq!(body.code, code, "{body:?}");
            body.message
        }
        "application/json" => {
            let body = reply.json();
            assert_eq!(body["code"], code, "{body}");
            body["message"].as_str().unwrap().to_owned()
        }
        other => panic!("a refusal as {other:?}: {reply:?}"),
    };
    assert!(reply.header("retry-after").is_none() || status == 503, "{reply:?}");
    assert!(!message.is_empty());
    message
}

#[test]
fn protobuf_and_json_are_taken_with_each_coding() {
    let gateway = Gateway::start();
    let mut rng = Rng::new(1);
    for (name, coding) in CODINGS {
        for to in [gateway.at.otlp_http, gateway.at.otlp_grpc] {
            let trace = otlp::trace(&mut rng, 3);
            let id = trace[0].trace_id.clone();
            let body = otlp::request("codings", trace).encode_to_vec();
            let mut request = Request::otlp(coding.pack(&body));
            if !name.is_empty() {
                request = request.header("content-encoding", name);
            }
            let reply = request.send(to);
            assert_eq!((reply.status, reply.body.len()), (200, 0), "{name} {coding:?}: {reply:?}");
            assert_eq!(reply.content_type(), "application/x-protobuf");
            assert_eq!(gateway.trace(&id).len(), 3, "{name} {coding:?}");

            let (json, id) = json_trace(&mut rng);
            let mut request = Request::otlp_json(coding.pack(json.as_bytes()));
            if !name.is_empty() {
                request = request.header("content-encoding", name);
            }
            let reply = request.send(to);
            assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{name} {coding:?}");
            assert_eq!(reply.content_type(), "application/json");
            assert_eq!(gateway.trace(&id).len(), 1, "{name} {coding:?}");
        }
    }
}

fn json_trace(rng: &mut Rng) -> (String, Vec<u8>) {
    let (trace, span) = (rng.id::<16>(), rng.id::<8>());
    let body = serde_json::json!({"resourceSpans": [{"scopeSpans": [{"spans": [{
        "traceId": tests::api::hex(&trace), "spanId": tests::api::hex(&span), "name": "json",
    }]}]}]});
    (body.to_string(), trace)
}

#[test]
fn paths_with_a_slash_and_under_otlp_are_the_same() {
    let gateway = Gateway::start();
    for path in ["/v1/traces", "/v1/traces/", "/otlp/v1/traces", "/otlp/v1/traces/"] {
        for to in [gateway.at.otlp_http, gateway.at.otlp_grpc] {
            let reply = Request::otlp(Vec::new()).path(path).send(to);
            assert_eq!(reply.status, 200, "{path}: {reply:?}");
        }
    }
}

#[test]
fn type_parameters_are_ignored_and_other_types_are_415() {
    let gateway = Gateway::start();
    let send = |content_type: &str| {
        Request::otlp_json("{}").header("content-type", content_type).send(gateway.at.otlp_http)
    };
    for good in ["application/json; charset=utf-8", "Application/JSON", "application/json ;a=b"] {
        assert_eq!(send(good).status, 200, "{good}");
    }
    for bad in ["text/plain", "application/jsonx", "application/x-www-form-urlencoded"] {
        let reply = send(bad);
        assert_eq!((reply.status, reply.content_type()), (415, "text/plain"), "{bad}: {reply:?}");
        assert!(reply.text().contains("application/x-protobuf"), "{reply:?}");
    }
    let none = Request::new("POST", "/v1/traces").body("{}").send(gateway.at.otlp_http);
    assert_eq!(none.status, 415, "{none:?}");
}

#[test]
fn other_methods_are_405_in_the_words_of_the_collector() {
    let gateway = Gateway::start();
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let reply = Request::new(method, "/v1/traces").send(gateway.at.otlp_http);
        assert_eq!(
            (reply.status, reply.content_type()),
            (405, "text/plain"),
            "{method}: {reply:?}"
        );
        assert_eq!(reply.text(), "405 method not allowed, supported: [POST]");
        assert_eq!(reply.header("allow"), Some("POST"));
    }
}

#[test]
fn unknown_paths_are_404() {
    let gateway = Gateway::start();
    for path in ["/nope", "/v1/tracesx", "/v1", "/v1/traces/x", "/otlp"] {
        for (name, to) in gateway.at.all() {
            let reply = Request::otlp(Vec::new()).path(path).send(to);
            assert_eq!(reply.status, 404, "{name} {path}: {reply:?}");
        }
    }
}

#[test]
fn no_spans_are_success() {
    let gateway = Gateway::start();
    let empty = ExportTraceServiceRequest::default().encode_to_vec();
    let reply = Request::otlp(empty).send(gateway.at.otlp_http);
    assert_eq!((reply.status, reply.body.len()), (200, 0), "{reply:?}");
    for body in ["{}", r#"{"resourceSpans":[]}"#, r#"{"resourceSpans":null}"#] {
        let reply = Request::otlp_json(body).send(gateway.at.otlp_http);
        assert_eq!((reply.status, reply.text().as_str()), (200, "{}"), "{body}: {reply:?}");
    }
}

#[test]
fn an_unknown_coding_is_400_with_a_status() {
    let gateway = Gateway::start();
    for coding in ["br", "compress", "gzip, gzip"] {
        let reply =
            Request::otlp(vec![1]).header("content-encoding", coding).send(gateway.at.otlp_http);
        let message = refused(&reply, 400, 12);
        assert!(message.contains("zstd"), "says what is supported: {message}");
    }
}

#[test]
fn broken_compression_is_400() {
    let gateway = Gateway::start();
    let body = otlp::request("x", otlp::trace(&mut Rng::new(2), 50)).encode_to_vec();
    for (name, coding) in CODINGS.iter().filter(|(_, coding)| *coding != Coding::None) {
        let mut packed = coding.pack(&body);
        packed.truncate(packed.len() / 2);
        let reply =
            Request::otlp(packed).header("content-encoding", *name).send(gateway.at.otlp_http);
        refused(&reply, 400, 3);
    }
}

#[test]
fn malformed_protobuf_is_400_with_the_byte_offset() {
    let gateway = Gateway::start();
    let mut body = otlp::request("x", otlp::trace(&mut Rng::new(3), 2)).encode_to_vec();
    body.truncate(body.len() - 1);
    let message = refused(&Request::otlp(body).send(gateway.at.otlp_http), 400, 3);
    assert!(message.contains("byte"), "{message}");
    assert!(message.chars().any(|c| c.is_ascii_digit()), "{message}");
}

#[test]
fn malformed_json_is_400_with_the_path_or_the_byte() {
    let gateway = Gateway::start();
    let span = |field: &str| {
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{}},{{{field}}}]}}]}}]}}"#)
    };
    let cases = [
        (span(r#""startTimeUnixNano":"soon""#), "startTimeUnixNano"),
        (span(r#""traceId":"xyz""#), "traceId"),
        (span(r#""attributes":{}"#), "attributes"),
        (span(r#""name":7"#), "name"),
    ];
    for (body, field) in cases {
        let message = refused(&Request::otlp_json(body).send(gateway.at.otlp_http), 400, 3);
        let path = format!("resourceSpans[0].scopeSpans[0].spans[1].{field}");
        assert!(message.contains(&path), "{message:?} should name {path}");
    }
    for body in ["", "{", "[]", "null", "{}x", "{'a':1}", r#"{"resourceSpans":[}"#] {
        let reply = Request::otlp_json(body).send(gateway.at.otlp_http);
        refused(&reply, 400, 3);
    }
}

#[test]
fn oversize_is_413_by_its_length_while_reading_and_decompressed() {
    const LIMIT: usize = 16 << 20;
    let gateway = Gateway::start();
    let to = gateway.at.otlp_http;

    let by_length = Request::otlp(Vec::new()).claimed(LIMIT as u64 + 1).send(to);
    let message = refused(&by_length, 413, 3);
    assert!(message.contains("16777216") && message.contains("16777217"), "{message}");

    let big = vec![0; LIMIT + 1];
    let while_reading = Request::otlp(Vec::new()).chunked(big.clone()).send(to);
    assert!(refused(&while_reading, 413, 3).contains("16777216"));

    for (name, coding) in CODINGS.iter().filter(|(_, coding)| *coding != Coding::None) {
        let bomb = Request::otlp(coding.pack(&big)).header("content-encoding", *name).send(to);
        assert!(refused(&bomb, 413, 3).contains("16777216"), "{name} {coding:?}");
    }
    let as_json = Request::otlp_json(Vec::new()).claimed(LIMIT as u64 + 1).send(to);
    refused(&as_json, 413, 3);
}

#[test]
fn a_body_of_just_the_limit_is_taken() {
    let gateway = Options::new().set("receiver.limits.body_bytes_max", "64KiB").start();
    let fill = |length: usize| {
        let mut request = otlp::request("x", otlp::trace(&mut Rng::new(4), 1));
        request.resource_spans[0].schema_url = "x".repeat(length);
        request.encode_to_vec()
    };
    let frame = fill(60_000).len() - 60_000;
    for (length, status) in [(65_536, 200), (65_537, 413)] {
        let body = fill(length - frame);
        assert_eq!(body.len(), length);
        assert_eq!(Request::otlp(body).send(gateway.at.otlp_http).status, status, "{length}");
    }
}

#[test]
fn other_signals_are_refused_for_good_unless_discarded() {
    let paths = ["/v1/metrics", "/v1/logs", "/otlp/v1/logs"];
    let gateway = Gateway::start();
    for path in paths {
        let reply = Request::otlp(vec![0; 10]).path(path).send(gateway.at.otlp_http);
        let message = refused(&reply, 404, 12);
        assert!(message.contains("only traces"), "{message}");
    }
    let lines = gateway.log().lines().filter(|line| line.contains("other_signals")).count();
    assert_eq!(lines, 1, "one line, however many come");

    let gateway = Options::new().set("receiver.other_signals", "discard").start();
    for path in paths {
        let reply = Request::otlp(vec![0; 10]).path(path).send(gateway.at.otlp_http);
        assert_eq!((reply.status, reply.body.len()), (200, 0), "{reply:?}");
    }
}

#[test]
fn web_pages_may_send_only_where_configured() {
    let preflight = Request::new("OPTIONS", "/v1/traces")
        .header("origin", "https://shop.example.com")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let post = Request::otlp(Vec::new()).header("origin", "https://shop.example.com");

    let gateway = Gateway::start();
    let reply = preflight.send(gateway.at.otlp_http);
    assert_eq!(reply.header("access-control-allow-origin"), None, "{reply:?}");

    let gateway =
        Options::new().set("receiver.cors.allowed_origins", r#"["https://*.example.com"]"#).start();
    let reply = preflight.send(gateway.at.otlp_http);
    assert!(reply.status == 204 || reply.status == 200, "{reply:?}");
    assert_eq!(
        reply.header("access-control-allow-origin"),
        Some("https://shop.example.com"),
        "{reply:?}"
    );
    assert!(reply.header("access-control-allow-headers").unwrap().contains("content-type"));
    let reply = post.send(gateway.at.otlp_http);
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://shop.example.com"));
    let stranger = post.header("origin", "https://evil.example.org").send(gateway.at.otlp_http);
    assert_eq!(stranger.header("access-control-allow-origin"), None, "{stranger:?}");
}
