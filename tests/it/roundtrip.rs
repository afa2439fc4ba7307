//! Whatever OTLP allows comes back by trace id as it was sent, live and after both restarts.

use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;
use tests::api::hex;
use tests::gateway::Gateway;
use tests::h2;
use tests::pb::TraceById;
use tests::random::{Arbitrary, Rng, seed};
use tests::spans::Spans;

const REQUESTS: usize = 150;
const TRACES: usize = 25;

#[test]
fn random_otlp_comes_back_whole() {
    let seed = seed();
    let gateway = Gateway::start();
    let mut arbitrary = Arbitrary::new(Rng::new(seed), TRACES);
    let mut sent = Spans::new();
    let mut connection = h2::Connection::open(gateway.at.otlp_grpc).unwrap();
    for number in 0..REQUESTS {
        let request = arbitrary.request();
        if number % 2 == 0 {
            let answer = connection.export(&request).unwrap();
            assert_eq!((answer.code, answer.body.len()), (0, 0), "seed {seed}: {answer:?}");
        } else {
            gateway.export(&request);
        }
        sent.add(&request.resource_spans);
    }
    assert!(sent.len() > REQUESTS, "seed {seed}: only {} spans", sent.len());

    let check = |gateway: &Gateway, when: &str| {
        for id in arbitrary.trace_ids() {
            let what = format!("seed {seed}, {when}, trace {}", hex(id));
            gateway.trace(id).assert_same(&sent.of_trace(id), &what);
        }
    };
    check(&gateway, "live");
    let gateway = gateway.stop_and_restart();
    check(&gateway, "after SIGTERM");
    let gateway = gateway.kill_and_restart();
    check(&gateway, "after kill -9");
}

#[test]
fn v2_holds_the_same_spans_as_v1() {
    let seed = seed();
    let gateway = Gateway::start();
    let mut arbitrary = Arbitrary::new(Rng::new(seed), 3);
    for _ in 0..10 {
        gateway.export(&arbitrary.request());
    }
    for id in arbitrary.trace_ids() {
        let path = |version: &str| format!("/api{version}/traces/{}", hex(id));
        let (v1, v2) = (gateway.get_protobuf(&path("")), gateway.get_protobuf(&path("/v2")));
        if v1.status == 404 {
            assert_eq!(v2.status, 404, "seed {seed}");
            continue;
        }
        assert_eq!((v1.status, v2.status), (200, 200), "seed {seed}");
        let v1 = TracesData::decode(v1.body.as_slice()).unwrap();
        let v2 = TraceById::decode(v2.body.as_slice()).unwrap().trace.unwrap();
        let (mut one, mut two) = (Spans::new(), Spans::new());
        one.add(&v1.resource_spans);
        two.add(&v2.resource_spans);
        two.assert_same(&one, &format!("seed {seed}"));
    }
}
