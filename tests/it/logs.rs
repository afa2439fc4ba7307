//! What the gateway says about spans while it runs: nothing, a sample of them, or why it refused.

use std::time::Duration;

use prost::Message;
use tests::api::hex;
use tests::gateway::{Gateway, Options};
use tests::http::Request;
use tests::otlp;
use tests::random::Rng;
use tests::wait::until;

const LIMIT: Duration = Duration::from_secs(10);

/// One good trace and one bad span; returns the trace's id.
fn send(gateway: &Gateway) -> String {
    let mut rng = Rng::new(1);
    let trace = otlp::trace(&mut rng, 2);
    let id = hex(&trace[0].trace_id);
    let bad = otlp::span(&[0; 16], &rng.id::<8>(), "refused one");
    for spans in [trace, vec![bad]] {
        let body = otlp::request("logged", spans).encode_to_vec();
        assert_eq!(Request::otlp(body).send(gateway.at.otlp_http).status, 200);
    }
    id
}

#[test]
fn spans_are_not_logged_unless_asked_for() {
    let gateway = Gateway::start();
    let id = send(&gateway);
    let log = gateway.log();
    assert!(!log.contains(&id) && !log.contains("refused one"), "{log}");
}

#[test]
fn received_spans_are_sampled_into_the_log() {
    let gateway = Options::new().set("log.spans", "received").start();
    let id = send(&gateway);
    until("line about the trace", LIMIT, || gateway.log().contains(&id).then_some(()));
    assert!(!gateway.log().contains("refused one"));
}

#[test]
fn discarded_spans_are_logged_with_their_reason() {
    let gateway = Options::new().set("log.spans", "discarded").start();
    let id = send(&gateway);
    let line = until("line about the refused span", LIMIT, || {
        let log = gateway.log();
        log.lines().find(|line| line.contains("refused one")).map(str::to_owned)
    });
    assert!(line.contains("trace id is all zeros"), "{line}");
    assert!(!gateway.log().contains(&id));
}

#[test]
fn the_log_stays_bounded_however_many_spans_are_refused() {
    let gateway = Options::new().set("log.spans", "discarded").start();
    let mut rng = Rng::new(2);
    for _ in 0..50 {
        let spans = (0..100).map(|_| otlp::span(&[0; 16], &rng.id::<8>(), "flood")).collect();
        let body = otlp::request("flood", spans).encode_to_vec();
        assert_eq!(Request::otlp(body).send(gateway.at.otlp_http).status, 200);
    }
    let lines = gateway.log().lines().filter(|line| line.contains("flood")).count();
    assert!((1..1_000).contains(&lines), "{lines} lines about 5,000 spans");
}
