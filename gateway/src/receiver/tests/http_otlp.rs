//! The rows of the OTLP/HTTP table.

use std::io::Write;

use store::{Accepted, Error, Kind, Refusal};

use super::*;
use crate::receiver::cors;
use crate::receiver::{OtherSignals, limits};
use model::{ByteSize, TenantId};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn small_bodies(most: u64) -> Setup {
    let limits = limits::Config {
        body_bytes_max: ByteSize(most),
        in_flight_bytes_max: ByteSize(most * 64),
        ..limits::Config::default()
    };
    Setup { receiver: Config { limits, ..Config::default() }, ..Setup::default() }
}

#[tokio::test]
async fn a_request_is_stored_and_acknowledged() {
    let rig = Rig::start().await;
    for path in ["/v1/traces", "/v1/traces/", "/otlp/v1/traces", "/otlp/v1/traces/"] {
        let answer = rig.send("POST", path, &[PROTOBUF], SPANS).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header("content-type"), "application/x-protobuf");
        assert_eq!(pb::ExportResponse::decode(&*answer.body).unwrap().partial_success, None);
    }
    let seen = rig.sink.seen();
    assert_eq!(seen.len(), 4);
    assert_eq!(seen[0].body, SPANS);
    assert_eq!(seen[0].tenant, TenantId::single());
    assert_eq!(seen[0].received_at, Nanos::from_secs(1_800_000_000));
    assert_eq!(rig.receiver.stats().requests(), [("http_protobuf", "identity", "ok", 4)]);
    assert_eq!(rig.receiver.stats().spans.get(), 4);
    assert_eq!(rig.receiver.admission_stats().bytes.get(), 0);
}

#[tokio::test]
async fn json_is_stored_as_the_same_protobuf() {
    let rig = Rig::start().await;
    let span = |key: &str| {
        format!(
            r#"{{"{key}":[{{"scopeSpans":[{{"spans":[{{"traceId":"{}","spanId":"{}",
            "name":"job","kind":"SPAN_KIND_SERVER"}}]}}]}}]}}"#,
            "0a".repeat(16),
            "0B".repeat(8),
        )
    };
    let mut wire = vec![0x0a, 39, 0x12, 37, 0x12, 35, 0x0a, 16];
    wire.extend([0x0a; 16]);
    wire.extend([0x12, 8]);
    wire.extend([0x0b; 8]);
    wire.extend([0x2a, 3, b'j', b'o', b'b', 0x30, 2]);
    for (key, large) in
        [("resourceSpans", false), ("resource_spans", false), ("resourceSpans", true)]
    {
        // A large body goes to the compute pool.
        let body = span(key) + &" ".repeat(if large { 100_000 } else { 0 });
        let answer = rig.send("POST", "/v1/traces", &[JSON], body).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "{}"), "{key}");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(rig.sink.bodies(), [wire.clone()], "{key}");
    }
    let gzipped = [JSON, ("content-encoding", "gzip")];
    let answer = rig.send("POST", "/v1/traces", &gzipped, gzip(span("resourceSpans").as_bytes()));
    assert_eq!(answer.await.status, StatusCode::OK);
    assert_eq!(rig.sink.bodies(), [wire]);
    let counted = rig.receiver.stats().requests();
    assert_eq!(counted, [("http_json", "identity", "ok", 3), ("http_json", "gzip", "ok", 1)]);
}

#[tokio::test]
async fn the_largest_compressed_json_body_fits_into_twice_the_limit() {
    let mut setup = small_bodies(64 << 10);
    setup.receiver.limits.in_flight_bytes_max = ByteSize(128 << 10);
    let rig = Rig::with(setup).await;
    // Hardly compresses, and is hardly shorter as protobuf.
    let noise: String =
        (0..).map(|i: u32| format!("{:08x}", i.wrapping_mul(2_654_435_761))).take(8000).collect();
    let body = format!(r#"{{"resourceSpans":[{{"schemaUrl":"{noise}"}}]}}"#);
    for coding in [gzip, |bytes: &[u8]| zstd::encode_all(bytes, 1).unwrap()] {
        let name = if coding(b"")[0] == 0x1f { "gzip" } else { "zstd" };
        let headers = [JSON, ("content-encoding", name)];
        let answer = rig.send("POST", "/v1/traces", &headers, coding(body.as_bytes())).await;
        assert_eq!(answer.status, StatusCode::OK, "{name}: {}", answer.text());
    }
    let answer = rig.send("POST", "/v1/traces", &[JSON], body).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn malformed_json_is_400_and_names_path_and_byte() {
    let rig = Rig::start().await;
    let body = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xyz"}]}]}]}"#;
    let answer = rig.send("POST", "/v1/traces", &[JSON], body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json()["code"], 3);
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("resourceSpans[0].scopeSpans[0].spans[0].traceId"), "{message}");
    assert!(message.contains("at byte "), "{message}");
}

#[tokio::test]
async fn json_clients_read_faults_and_partial_success_as_json() {
    let rig = Rig::start().await;
    let body = r#"{"resourceSpans":[{"schemaUrl":"x"}]}"#;
    rig.sink.next(Play::Refuse(Error::new(Kind::Unavailable, "head is full")));
    let answer = rig.send("POST", "/v1/traces", &[JSON], body).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let json = answer.json();
    assert_eq!((&json["code"], &json["message"]), (&14.into(), &"head is full".into()));
    assert_eq!(json["details"][0]["@type"], "type.googleapis.com/google.rpc.RetryInfo");
    assert!(json["details"][0]["retryDelay"].as_str().unwrap().ends_with('s'));
    rig.sink.next(Play::Accept(Accepted { refused: 2, ..Accepted::default() }));
    let json = rig.send("POST", "/v1/traces", &[JSON], body).await.json();
    assert_eq!(json["partialSuccess"]["rejectedSpans"], "2");
    assert_eq!(json["partialSuccess"]["errorMessage"], "2 of 2 spans refused");
}

#[tokio::test]
async fn no_spans_are_a_success_that_stores_nothing() {
    let rig = Rig::start().await;
    assert_eq!(rig.post(&[], "").await.status, StatusCode::OK);
    assert_eq!(rig.send("POST", "/v1/traces", &[JSON], "{}").await.status, StatusCode::OK);
    assert_eq!(rig.post(&[("content-encoding", "gzip")], gzip(b"")).await.status, StatusCode::OK);
    assert!(rig.sink.seen().is_empty());
}

#[tokio::test]
async fn other_methods_are_405_in_the_words_of_the_collector() {
    let rig = Rig::start().await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let answer = rig.send(method, "/v1/traces", &[PROTOBUF], "").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.text(), "405 method not allowed, supported: [POST]");
        assert!(answer.header("content-type").starts_with("text/plain"));
        assert_eq!(answer.header("allow"), "POST");
    }
}

#[tokio::test]
async fn other_content_types_are_415_and_parameters_are_ignored() {
    let rig = Rig::start().await;
    let refused: [&[(&str, &str)]; 3] =
        [&[], &[("content-type", "text/plain")], &[("content-type", "application/grpc-web")]];
    for headers in refused {
        let answer = rig.send("POST", "/v1/traces", headers, SPANS).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert!(answer.header("content-type").starts_with("text/plain"));
    }
    let taken = ("content-type", "Application/X-Protobuf; charset=utf-8");
    let answer = rig.send("POST", "/v1/traces", &[taken], SPANS).await;
    assert_eq!(answer.status, StatusCode::OK);
}

#[tokio::test]
async fn unknown_paths_are_404_and_the_root_says_what_lives_here() {
    let rig = Rig::start().await;
    assert_eq!(rig.send("GET", "/nothing", &[], "").await.status, StatusCode::NOT_FOUND);
    let root = rig.send("GET", "/", &[], "").await;
    assert_eq!((root.status, root.text()), (StatusCode::OK, "spans live here\n"));
}

#[tokio::test]
async fn unknown_codings_are_400_with_a_status_that_lists_the_known() {
    let rig = Rig::start().await;
    let answer = rig.post(&[("content-encoding", "br")], SPANS).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let status = answer.rpc_status();
    assert!(status.message.contains("\"br\"") && status.message.contains("zstd"), "{status:?}");
    assert!(rig.sink.seen().is_empty());
}

#[tokio::test]
async fn a_corrupt_body_is_400_and_names_the_place() {
    let rig = Rig::start().await;
    let mut body = gzip(&[7; 100_000]);
    body.truncate(60);
    let answer = rig.post(&[("content-encoding", "gzip")], body).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let status = answer.rpc_status();
    assert_eq!(status.code, 3);
    assert!(status.message.starts_with("corrupt gzip body at byte "), "{status:?}");
}

#[tokio::test]
async fn a_large_body_is_413_by_its_declared_length() {
    let rig = Rig::with(small_bodies(10_000)).await;
    let answer = rig.post(&[], vec![b'x'; 10_001]).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.rpc_status().message, "body is 10001 bytes, limit is 10000 bytes");
    assert_eq!(answer.header("retry-after"), "");
    let json = rig.send("POST", "/v1/traces", &[JSON], vec![b' '; 10_001]).await;
    assert_eq!(json.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(json.json()["message"], "body is 10001 bytes, limit is 10000 bytes");
    assert_eq!(json.json()["code"], 3);
    assert_eq!(rig.post(&[], vec![b'x'; 10_000]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_is_still_sending_gets_to_read_its_413() {
    let rig = Rig::with(small_bodies(10_000)).await;
    let mut client = rig.http1().await;
    // Twice on one connection: what was too much has been read and forgotten in between.
    for _ in 0..2 {
        let body = Full::new(Bytes::from(vec![b'x'; 39_000]));
        let request = rig.request("POST", "/v1/traces", &[PROTOBUF], body);
        let answer = answer(client.send_request(request).await.unwrap()).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
        soon(client.ready()).await.unwrap();
    }
}

#[tokio::test]
async fn a_large_chunked_body_is_413_at_the_cap() {
    let rig = Rig::with(small_bodies(10_000)).await;
    let io = TokioIo::new(rig.connect().await);
    let (mut client, connection) = http1::handshake(io).await.unwrap();
    rig.tasks.spawn("client", async { drop(connection.await) });
    let (mut sender, body) = http_body_util::channel::Channel::<Bytes>::new(1);
    rig.tasks.spawn("sends", async move {
        for _ in 0..100 {
            if sender.send_data(vec![b'x'; 1000].into()).await.is_err() {
                return;
            }
        }
    });
    let request = rig.request("POST", "/v1/traces", &[PROTOBUF], body);
    let answer = answer(soon(client.send_request(request)).await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(answer.rpc_status().message.ends_with("limit is 10000 bytes"));
}

#[tokio::test]
async fn a_chunked_body_within_the_limit_is_stored_whole() {
    let rig = Rig::start().await;
    let io = TokioIo::new(rig.connect().await);
    let (mut client, connection) = http1::handshake(io).await.unwrap();
    rig.tasks.spawn("client", async { drop(connection.await) });
    let (mut sender, body) = http_body_util::channel::Channel::<Bytes>::new(1);
    let whole: Vec<u8> = (0..200_000).flat_map(fixed32).collect();
    let parts: Vec<Bytes> = whole.chunks(7777).map(Bytes::copy_from_slice).collect();
    rig.tasks.spawn("sends", async move {
        for part in parts {
            sender.send_data(part).await.unwrap();
        }
    });
    let request = rig.request("POST", "/v1/traces", &[PROTOBUF], body);
    let answer = answer(soon(client.send_request(request)).await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(rig.sink.bodies() == [whole]);
}

#[tokio::test]
async fn a_bomb_is_413_at_the_cap_while_inflating() {
    let rig = Rig::with(small_bodies(10_000)).await;
    let answer = rig.post(&[("content-encoding", "gzip")], gzip(&vec![0; 1_000_000])).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let message = answer.rpc_status().message;
    assert!(message.contains("at least 10001 bytes, limit is 10000 bytes"), "{message}");
}

#[tokio::test]
async fn refused_spans_are_a_partial_success_that_says_why() {
    let rig = Rig::start().await;
    let refusal =
        |span, reason: &str| Refusal { span, name: "GET /".to_owned(), reason: reason.to_owned() };
    let accepted = || Accepted {
        spans: 5,
        refused: 3,
        refusals: vec![refusal(0, "trace id is all zeros"), refusal(4, "trace id has 3 bytes")],
        reasons: vec![("trace_id", 2), ("span_id", 1)],
    };
    rig.sink.next(Play::Accept(accepted()));
    let answer = rig.post(&[], SPANS).await;
    assert_eq!(answer.status, StatusCode::OK);
    let partial = pb::ExportResponse::decode(&*answer.body).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 3);
    assert_eq!(
        partial.error_message,
        "3 of 8 spans refused: span 0 \"GET /\": trace id is all zeros; \
         span 4 \"GET /\": trace id has 3 bytes; and 1 more"
    );
    assert_eq!(rig.receiver.stats().refused(), [("span_id", 1), ("trace_id", 2)]);
    assert_eq!(rig.receiver.stats().requests(), [("http_protobuf", "identity", "partial", 1)]);
}

#[tokio::test]
async fn what_passes_is_503_with_a_hint_and_never_500() {
    let rig = Rig::start().await;
    let kinds = [Kind::Unavailable, Kind::Io, Kind::Fatal, Kind::Corrupt, Kind::Refused];
    let refused = kinds.map(|kind| Play::Refuse(Error::new(kind, "head is full")));
    let failed = kinds.map(|kind| Play::Fail(Error::new(kind, "head is full")));
    for play in refused.into_iter().chain(failed) {
        rig.sink.next(play);
        let answer = rig.post(&[], SPANS).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(matches!(answer.header("retry-after"), "1" | "2"));
        let status = answer.rpc_status();
        assert_eq!((status.code, status.message.as_str()), (14, "head is full"));
        let retry = pb::RetryInfo::decode(&*status.details[0].value).unwrap();
        let delay = retry.retry_delay.unwrap();
        assert!((1..2).contains(&delay.seconds), "{delay:?}");
    }
    rig.sink.next(Play::Panic);
    assert_eq!(rig.post(&[], SPANS).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(rig.post(&[], SPANS).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_is_wrong_for_good_is_400_or_413_without_a_hint() {
    let rig = Rig::start().await;
    for (kind, expected) in
        [(Kind::Invalid, StatusCode::BAD_REQUEST), (Kind::TooLarge, StatusCode::PAYLOAD_TOO_LARGE)]
    {
        rig.sink.next(Play::Refuse(Error::new(kind, "malformed protobuf at byte 7")));
        let answer = rig.post(&[], SPANS).await;
        assert_eq!(answer.status, expected);
        assert_eq!(answer.header("retry-after"), "");
        assert_eq!(answer.rpc_status().message, "malformed protobuf at byte 7");
        assert!(answer.rpc_status().details.is_empty());
    }
}

#[tokio::test]
async fn metrics_and_logs_are_refused_for_good_or_discarded() {
    let rig = Rig::start().await;
    for path in ["/v1/metrics", "/v1/logs", "/otlp/v1/metrics/", "/v1development/profiles"] {
        let answer = rig.send("POST", path, &[PROTOBUF], "metrics").await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(answer.rpc_status().message.starts_with("only traces are stored here"));
    }
    assert_eq!(rig.receiver.stats().other_signals.get(), 4);
    let receiver = Config { other_signals: OtherSignals::Discard, ..Config::default() };
    let rig = Rig::with(Setup { receiver, ..Setup::default() }).await;
    let answer = rig.send("POST", "/v1/metrics", &[JSON], "{}").await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "{}"));
    assert_eq!(rig.receiver.stats().discarded.get(), 1);
    assert!(rig.sink.seen().is_empty());
}

#[tokio::test]
async fn the_header_names_the_tenant_where_it_must() {
    let rig = Rig::with(Setup { tenancy: Tenancy::Header, ..Setup::default() }).await;
    assert_eq!(rig.post(&[], SPANS).await.status, StatusCode::UNAUTHORIZED);
    let federated = rig.post(&[("x-scope-orgid", "a|b")], SPANS).await;
    assert_eq!(federated.status, StatusCode::BAD_REQUEST);
    assert_eq!(rig.post(&[("x-scope-orgid", "team-a")], SPANS).await.status, StatusCode::OK);
    let seen = rig.sink.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].tenant.as_str(), "team-a");
}

#[tokio::test]
async fn a_configured_page_may_send_spans() {
    let cors = cors::Config {
        allowed_origins: vec!["https://*.example.com".to_owned()],
        ..cors::Config::default()
    };
    let receiver = Config { cors, ..Config::default() };
    let rig = Rig::with(Setup { receiver, ..Setup::default() }).await;
    let asks = ("access-control-request-method", "POST");
    let page = ("origin", "https://shop.example.com");
    let before = rig.send("OPTIONS", "/v1/traces", &[page, asks], "").await;
    assert_eq!(before.status, StatusCode::NO_CONTENT);
    assert_eq!(before.header("access-control-allow-origin"), page.1);
    assert_eq!(before.header("access-control-allow-methods"), "POST");
    assert!(before.header("access-control-allow-headers").contains("content-type"));
    let sent = rig.post(&[page], SPANS).await;
    assert_eq!(sent.status, StatusCode::OK);
    assert_eq!(sent.header("access-control-allow-origin"), page.1);
    let other = ("origin", "https://shop.example.org");
    let before = rig.send("OPTIONS", "/v1/traces", &[other, asks], "").await;
    assert_eq!(before.header("access-control-allow-origin"), "");
    assert_eq!(before.header("access-control-allow-methods"), "");
}

#[tokio::test]
async fn expect_continue_is_answered_before_the_body_comes() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let rig = Rig::start().await;
    let mut stream = rig.connect().await;
    let head = "POST /v1/traces HTTP/1.1\r\nhost: test\r\ncontent-type: application/x-protobuf\r\n\
                content-length: 5\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; 25];
    soon(stream.read_exact(&mut interim)).await.unwrap();
    assert!(interim.starts_with(b"HTTP/1.1 100 Continue"));
    stream.write_all(SPANS).await.unwrap();
    let mut rest = String::new();
    soon(stream.read_to_string(&mut rest)).await.unwrap();
    assert!(rest.starts_with("HTTP/1.1 200 OK"), "{rest}");
}
