//! OTLP over gRPC: codings, errors with their details, health and reflection.

use http::Method;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use tests::coding::Coding;
use tests::gateway::{Gateway, Options};
use tests::h2::{Connection, call, frame};
use tests::otlp;
use tests::random::Rng;

const OK: u32 = 0;
const INVALID_ARGUMENT: u32 = 3;
const UNIMPLEMENTED: u32 = 12;

const CODINGS: [(&str, Coding); 5] = [
    ("gzip", Coding::Gzip),
    ("zstd", Coding::Zstd),
    ("deflate", Coding::Zlib),
    ("snappy", Coding::SnappyBlock),
    ("snappy", Coding::SnappyFramed),
];

#[test]
fn each_coding_is_taken_on_both_ports() {
    let gateway = Gateway::start();
    let mut rng = Rng::new(1);
    for to in [gateway.at.otlp_grpc, gateway.at.otlp_http] {
        let mut connection = Connection::open(to).unwrap();
        for (name, coding) in [("identity", Coding::None)].into_iter().chain(CODINGS) {
            let trace = otlp::trace(&mut rng, 5);
            let id = trace[0].trace_id.clone();
            let framed = frame(coding, &otlp::request("grpc", trace).encode_to_vec());
            let answer = connection.call(otlp::EXPORT, &[("grpc-encoding", name)], framed).unwrap();
            assert_eq!((answer.code, answer.body.len()), (OK, 0), "{name}: {answer:?}");
            assert_eq!(gateway.trace(&id).len(), 5, "{name}");
        }
    }
}

#[test]
fn a_message_may_be_plain_under_a_coding() {
    let gateway = Gateway::start();
    let trace = otlp::trace(&mut Rng::new(2), 1);
    let framed = frame(Coding::None, &otlp::request("grpc", trace).encode_to_vec());
    let to = gateway.at.otlp_grpc;
    let answer = call(to, otlp::EXPORT, &[("grpc-encoding", "gzip")], framed.clone());
    assert_eq!(answer.code, OK, "{answer:?}");
    let proto = [("content-type", "application/grpc+proto"), ("te", "trailers")];
    let reply =
        Connection::open(to).unwrap().send(&Method::POST, otlp::EXPORT, &proto, framed).unwrap();
    assert_eq!(reply.header("grpc-status"), Some("0"), "{reply:?}");
}

#[test]
fn an_unknown_coding_says_which_ones_are_known() {
    let gateway = Gateway::start();
    let framed = frame(Coding::Gzip, b"");
    let answer = call(gateway.at.otlp_grpc, otlp::EXPORT, &[("grpc-encoding", "br")], framed);
    assert_eq!(answer.code, UNIMPLEMENTED, "{answer:?}");
    let accepted = answer.headers.iter().find(|(name, _)| name == "grpc-accept-encoding");
    for known in ["gzip", "zstd", "deflate", "snappy"] {
        assert!(accepted.unwrap().1.contains(known), "{answer:?}");
    }
}

#[test]
fn oversize_is_invalid_argument_with_limit_and_size() {
    const LIMIT: usize = 16 << 20;
    let gateway = Gateway::start();
    let to = gateway.at.otlp_grpc;
    let big = vec![0; LIMIT + 1];
    let plain = call(to, otlp::EXPORT, &[], frame(Coding::None, &big));
    assert_eq!(plain.code, INVALID_ARGUMENT, "{plain:?}");
    assert!(plain.message.contains("16777216") && plain.message.contains("16777217"), "{plain:?}");
    assert_eq!(plain.retry_seconds(), None, "it would be too large again");
    for (name, coding) in CODINGS {
        let bomb = call(to, otlp::EXPORT, &[("grpc-encoding", name)], frame(coding, &big));
        assert_eq!(bomb.code, INVALID_ARGUMENT, "{name}: {bomb:?}");
        assert!(bomb.message.contains("16777216"), "{name}: {bomb:?}");
    }
}

#[test]
fn malformed_messages_are_invalid_argument_with_the_byte_offset() {
    let gateway = Gateway::start();
    let to = gateway.at.otlp_grpc;
    let mut body = otlp::request("x", otlp::trace(&mut Rng::new(3), 2)).encode_to_vec();
    body.truncate(body.len() - 1);
    let answer = call(to, otlp::EXPORT, &[], frame(Coding::None, &body));
    assert_eq!(answer.code, INVALID_ARGUMENT, "{answer:?}");
    assert!(answer.message.contains("byte"), "{answer:?}");

    for (name, coding) in CODINGS {
        let mut framed = frame(coding, &body);
        framed.truncate(framed.len() / 2);
        let length = u32::try_from(framed.len() - 5).unwrap().to_be_bytes();
        framed.splice(1..5, length);
        let answer = call(to, otlp::EXPORT, &[("grpc-encoding", name)], framed);
        assert_eq!(answer.code, INVALID_ARGUMENT, "{name}: {answer:?}");
    }
    let unsaid = frame(Coding::Gzip, &body);
    assert_eq!(call(to, otlp::EXPORT, &[], unsaid).code, INVALID_ARGUMENT, "coding not named");
}

#[test]
fn no_spans_are_success() {
    let gateway = Gateway::start();
    let mut connection = Connection::open(gateway.at.otlp_grpc).unwrap();
    let answer = connection.export(&ExportTraceServiceRequest::default()).unwrap();
    assert_eq!((answer.code, answer.body.len()), (OK, 0), "{answer:?}");
}

#[test]
fn unknown_services_and_methods_are_unimplemented() {
    let gateway = Gateway::start();
    let wrong = [
        "/opentelemetry.proto.collector.trace.v1.TraceService/Exports",
        "/opentelemetry.proto.collector.trace.v2.TraceService/Export",
        "/x",
    ];
    for path in wrong {
        let answer = call(gateway.at.otlp_grpc, path, &[], frame(Coding::None, b""));
        assert_eq!(answer.code, UNIMPLEMENTED, "{path}: {answer:?}");
    }
}

#[test]
fn other_signals_are_unimplemented_unless_discarded() {
    let gateway = Gateway::start();
    for path in otlp::EXPORT_OTHERS {
        let answer = call(gateway.at.otlp_grpc, path, &[], frame(Coding::None, b""));
        assert_eq!(answer.code, UNIMPLEMENTED, "{path}: {answer:?}");
        assert!(answer.message.contains("only traces"), "{answer:?}");
    }
    let gateway = Options::new().set("receiver.other_signals", "discard").start();
    for path in otlp::EXPORT_OTHERS {
        let answer = call(gateway.at.otlp_grpc, path, &[], frame(Coding::None, &[0; 9]));
        assert_eq!(answer.code, OK, "{path}: {answer:?}");
    }
}

#[test]
fn health_says_serving() {
    let gateway = Gateway::start();
    for service in ["", "opentelemetry.proto.collector.trace.v1.TraceService"] {
        // HealthCheckRequest { service = 1 } and HealthCheckResponse { status = 1: SERVING }
        let mut request = Vec::new();
        if !service.is_empty() {
            request = [&[0x0a, u8::try_from(service.len()).unwrap()], service.as_bytes()].concat();
        }
        let framed = frame(Coding::None, &request);
        let answer = call(gateway.at.otlp_grpc, "/grpc.health.v1.Health/Check", &[], framed);
        assert_eq!((answer.code, answer.body), (OK, vec![0x08, 1]), "{service:?}");
    }
}

#[test]
fn reflection_lists_the_services() {
    let gateway = Gateway::start();
    // ServerReflectionRequest { list_services = 7: "*" }
    let framed = frame(Coding::None, &[0x3a, 1, b'*']);
    for version in ["v1", "v1alpha"] {
        let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
        let answer = call(gateway.at.otlp_grpc, &path, &[], framed.clone());
        assert_eq!(answer.code, OK, "{version}: {answer:?}");
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        for service in
            ["opentelemetry.proto.collector.trace.v1.TraceService", "grpc.health.v1.Health"]
        {
            assert!(text.contains(service), "{version} does not list {service}: {text:?}");
        }
        let queries = "tempopb.StreamingQuerier";
        assert!(!text.contains(queries), "{version} lists what is not here: {text:?}");
        let answer = call(gateway.at.http, &path, &[], framed.clone());
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        for service in [queries, "opentelemetry.proto.collector.trace.v1.TraceService"] {
            assert!(text.contains(service), "{version} does not list {service}: {text:?}");
        }
    }
}

#[test]
fn a_connection_carries_many_calls_and_outlives_refusals() {
    let gateway = Gateway::start();
    let mut connection = Connection::open(gateway.at.otlp_grpc).unwrap();
    let mut rng = Rng::new(5);
    for number in 0..200 {
        let bad = number % 7 == 3;
        let framed = if bad {
            frame(Coding::None, &[0xff])
        } else {
            frame(Coding::None, &otlp::request("n", otlp::trace(&mut rng, 1)).encode_to_vec())
        };
        let answer = connection.call(otlp::EXPORT, &[], framed).unwrap();
        assert_eq!(answer.code, if bad { INVALID_ARGUMENT } else { OK }, "{answer:?}");
    }
}
