//! The unary call, its framing and its faults; health and reflection.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http_body_util::channel::Channel;
use model::ByteSize;
use store::{Error, Kind, Refusal};

use super::*;
use crate::receiver::{OtherSignals, limits};

#[tokio::test]
async fn a_call_is_stored_and_acknowledged() {
    let rig = Rig::start().await;
    let answer = rig.call(EXPORT, &[("grpc-timeout", "10S")], framed(0, SPANS)).await;
    assert_eq!(answer.grpc(), (0, String::new()));
    assert_eq!(answer.body, [0; 5].as_slice());
    assert!(answer.header("grpc-accept-encoding").contains("zstd"));
    assert_eq!(rig.sink.bodies(), [SPANS]);
    assert_eq!(rig.receiver.stats().requests(), [("grpc", "identity", "ok", 1)]);
    assert_eq!(rig.receiver.stats().wire_bytes.get(), 10);
}

#[tokio::test]
async fn no_spans_are_a_success() {
    let rig = Rig::start().await;
    assert_eq!(rig.call(EXPORT, &[], framed(0, b"")).await.grpc().0, 0);
    assert!(rig.sink.seen().is_empty());
}

#[tokio::test]
async fn a_message_in_many_frames_is_one_message() {
    let rig = Rig::start().await;
    let message: Vec<u8> = (0..100_000).flat_map(fixed32).collect();
    let whole = framed(0, &message);
    // The prefix itself comes in three pieces.
    let mut cuts = vec![whole.slice(..1), whole.slice(1..3), whole.slice(3..9)];
    cuts.extend(whole.slice(9..).chunks(3333).map(Bytes::copy_from_slice));
    let (mut sender, body) = Channel::<Bytes>::new(1);
    rig.tasks.spawn("sends", async move {
        for cut in cuts {
            sender.send_data(cut).await.unwrap();
        }
    });
    let headers = [("content-type", "application/grpc+proto")];
    let request = rig.request("POST", EXPORT, &headers, body);
    let response = soon(rig.http2().await.send_request(request)).await.unwrap();
    assert_eq!(answer(response).await.grpc().0, 0);
    assert!(rig.sink.bodies() == [message]);
}

#[tokio::test]
async fn an_oversize_message_is_refused_by_its_prefix_for_good() {
    let limits = limits::Config {
        body_bytes_max: ByteSize(10_000),
        in_flight_bytes_max: ByteSize(100_000),
        ..limits::Config::default()
    };
    let receiver = Config { limits, ..Config::default() };
    let rig = Rig::with(Setup { receiver, ..Setup::default() }).await;
    // Only the prefix is ever sent.
    let (mut sender, body) = Channel::<Bytes>::new(1);
    let headers = [("content-type", "application/grpc")];
    let request = rig.request("POST", EXPORT, &headers, body);
    let mut client = rig.http2().await;
    let response = client.send_request(request);
    sender.send_data(framed(0, &[1; 10_001]).slice(..5)).await.unwrap();
    let answer = answer(soon(response).await.unwrap()).await;
    let words = "message is 10001 bytes, limit is 10000 bytes".to_owned();
    assert_eq!(answer.grpc(), (3, words));
    assert_eq!(answer.header("grpc-status-details-bin"), "");
    assert_eq!(rig.call(EXPORT, &[], framed(0, &[b'x'; 10_000])).await.grpc().0, 0);
    // And at the cap while inflating.
    let bomb = zstd::encode_all(vec![0; 1_000_000].as_slice(), 1).unwrap();
    let answer = rig.call(EXPORT, &[("grpc-encoding", "zstd")], framed(1, &bomb)).await;
    assert_eq!(answer.grpc().0, 3);
    assert!(answer.grpc().1.ends_with("limit is 10000 bytes"), "{answer:?}");
}

#[tokio::test]
async fn wrong_framing_is_invalid_and_says_how() {
    let rig = Rig::start().await;
    let cases: [(Bytes, &str); 6] = [
        (Bytes::new(), "gRPC message ends in its prefix, after 0 bytes"),
        (Bytes::from_static(&[0, 0, 0]), "gRPC message ends in its prefix, after 3 bytes"),
        (framed(2, SPANS), "gRPC message flag is neither 0 nor 1"),
        (framed(0, SPANS).slice(..7), "gRPC message is cut: 2 of 5 bytes"),
        ([framed(0, b"a"), framed(0, b"b")].concat().into(), "more bytes than the one message"),
        (framed(1, SPANS), "gRPC message is compressed, but grpc-encoding does not say how"),
    ];
    for (body, words) in cases {
        let (code, message) = rig.call(EXPORT, &[], body).await.grpc();
        assert_eq!(code, 3);
        assert!(message.starts_with(words), "{message}");
    }
    assert!(rig.sink.seen().is_empty());
}

#[tokio::test]
async fn the_flag_tells_whether_a_message_is_compressed() {
    let rig = Rig::start().await;
    let plain = rig.call(EXPORT, &[("grpc-encoding", "gzip")], framed(0, SPANS)).await;
    assert_eq!(plain.grpc().0, 0);
    assert_eq!(rig.sink.bodies(), [SPANS]);
}

#[tokio::test]
async fn unknown_codings_are_unimplemented_and_list_the_known() {
    let rig = Rig::start().await;
    let answer = rig.call(EXPORT, &[("grpc-encoding", "br")], framed(1, SPANS)).await;
    assert_eq!(answer.grpc().0, 12);
    assert_eq!(answer.header("grpc-accept-encoding"), "identity,gzip,zstd,deflate,snappy");
}

#[tokio::test]
async fn what_passes_is_unavailable_with_retry_info() {
    let rig = Rig::start().await;
    rig.sink.next(Play::Refuse(Error::new(Kind::Unavailable, "head is 100% \"full\"")));
    let answer = rig.call(EXPORT, &[], framed(0, SPANS)).await;
    assert_eq!(answer.grpc(), (14, "head is 100% \"full\"".to_owned()));
    let details = STANDARD_NO_PAD.decode(answer.header("grpc-status-details-bin")).unwrap();
    let status = pb::Status::decode(&*details).unwrap();
    assert_eq!(status.code, 14);
    assert_eq!(status.details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
    assert!(pb::RetryInfo::decode(&*status.details[0].value).unwrap().retry_delay.is_some());
    rig.sink.next(Play::Fail(Error::new(Kind::Fatal, "disk failed")));
    assert_eq!(rig.call(EXPORT, &[], framed(0, SPANS)).await.grpc().0, 14);
    rig.sink.next(Play::Refuse(Error::new(Kind::Invalid, "malformed protobuf at byte 3")));
    let answer = rig.call(EXPORT, &[], framed(0, SPANS)).await;
    assert_eq!(answer.grpc(), (3, "malformed protobuf at byte 3".to_owned()));
}

#[tokio::test]
async fn refused_spans_are_a_partial_success() {
    let rig = Rig::start().await;
    let refusal =
        Refusal { span: 1, name: "job".to_owned(), reason: "span id is all zeros".to_owned() };
    let accepted =
        Accepted { spans: 1, refused: 1, refusals: vec![refusal], ..Accepted::default() };
    rig.sink.next(Play::Accept(accepted));
    let answer = rig.call(EXPORT, &[], framed(0, SPANS)).await;
    assert_eq!(answer.grpc().0, 0);
    let partial = pb::ExportResponse::decode(&answer.body[5..]).unwrap().partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 1);
    assert_eq!(partial.error_message, "1 of 2 spans refused: span 1 \"job\": span id is all zeros");
}

#[tokio::test]
async fn other_services_are_unimplemented_or_discarded() {
    let rig = Rig::start().await;
    let metrics = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    let (code, message) = rig.call(metrics, &[], framed(0, b"metrics")).await.grpc();
    assert_eq!((code, message.as_str()), (12, "only traces are stored here, no metrics"));
    for path in ["/some.Service/Export", "/opentelemetry.proto.collector.trace.v1.TraceService/Do"]
    {
        assert_eq!(rig.call(path, &[], framed(0, b"x")).await.grpc().0, 12);
    }
    let receiver = Config { other_signals: OtherSignals::Discard, ..Config::default() };
    let rig = Rig::with(Setup { receiver, ..Setup::default() }).await;
    assert_eq!(rig.call(metrics, &[], framed(0, b"metrics")).await.grpc().0, 0);
    assert!(rig.sink.seen().is_empty());
}

#[tokio::test]
async fn the_tenant_is_asked_for_where_it_must_be() {
    let rig = Rig::with(Setup { tenancy: Tenancy::Header, ..Setup::default() }).await;
    let call =
        async |headers: &[(&str, &str)]| rig.call(EXPORT, headers, framed(0, SPANS)).await.grpc().0;
    assert_eq!(call(&[]).await, 16);
    assert_eq!(call(&[("x-scope-orgid", "a|b")]).await, 3);
    assert_eq!(call(&[("x-scope-orgid", "team-a")]).await, 0);
}

#[tokio::test]
async fn otlp_http_and_grpc_share_a_port_and_a_connection() {
    let rig = Rig::start().await;
    let mut client = rig.http2().await;
    let http = rig.request("POST", "/v1/traces", &[PROTOBUF], Full::new(Bytes::from("z\x02ab")));
    assert_eq!(client.send_request(http).await.unwrap().status(), StatusCode::OK);
    let headers = [("content-type", "application/grpc")];
    let grpc = rig.request("POST", EXPORT, &headers, Full::new(framed(0, SPANS)));
    assert_eq!(answer(client.send_request(grpc).await.unwrap()).await.grpc().0, 0);
    assert_eq!(rig.sink.bodies(), [b"z\x02ab", SPANS]);
    let grpc = rig.request("POST", EXPORT, &headers, Full::new(framed(0, SPANS)));
    let old = rig.http1().await.send_request(grpc).await.unwrap();
    assert_eq!(old.status(), StatusCode::HTTP_VERSION_NOT_SUPPORTED);
}

#[tokio::test]
async fn health_follows_readiness() {
    let rig = Rig::start().await;
    let check = async |service: &str| {
        let length = u8::try_from(service.len()).unwrap();
        let message = [&[0x0a, length], service.as_bytes()].concat();
        let answer = rig.call("/grpc.health.v1.Health/Check", &[], framed(0, &message)).await;
        (answer.grpc().0, answer.body)
    };
    let status = |code: u8| framed(0, &[0x08, code]);
    assert_eq!(check("").await, (0, status(2)), "not ready before it is told so");
    rig.receiver.set_ready(true).await;
    assert_eq!(check("").await, (0, status(1)));
    let traces = "opentelemetry.proto.collector.trace.v1.TraceService";
    assert_eq!(check(traces).await, (0, status(1)));
    assert_eq!(check("nothing").await.0, 5);
}

#[tokio::test]
async fn reflection_lists_our_services() {
    let rig = Rig::start().await;
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        // ServerReflectionRequest { list_services: "*" }
        let answer = rig.call(&path, &[], framed(0, &[0x3a, 1, b'*'])).await;
        assert_eq!(answer.grpc().0, 0);
        let text = String::from_utf8_lossy(&answer.body);
        for service in
            ["opentelemetry.proto.collector.trace.v1.TraceService", "grpc.health.v1.Health"]
        {
            assert!(text.contains(service), "{version}: {text}");
        }
        assert!(!text.contains("tempopb"), "no queries are answered here: {text}");
    }
}
