//! SIGTERM: not ready, nothing new, what is under way is finished, a clean log, exit 0 in time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use prost::Message;
use tests::gateway::{DRAIN_LIMIT, Gateway};
use tests::http::Request;
use tests::load::{Load, Shape};
use tests::otlp;
use tests::random::{Rng, seed};
use tests::wait::until;

/// Nothing that an operator should look at was logged.
fn assert_quiet(gateway: &Gateway) {
    let log = gateway.log();
    let loud =
        log.lines().find(|line| line.contains(r#""level":"WARN""#) || line.contains("ERROR"));
    assert_eq!(loud, None);
}

#[test]
fn under_load_it_exits_0_in_time_and_loses_nothing() {
    let seed = seed();
    let mut gateway = Gateway::start();
    for round in 0..3 {
        let load = Load::start(gateway.at, 6, Shape::default(), seed + round);
        until("load", Duration::from_secs(60), || (load.acked() >= 100).then_some(()));
        let stopped = gateway.stop();
        let sent = load.stop();
        gateway = stopped.start();
        assert_quiet(&gateway);
        sent.assert_kept(&gateway, &format!("seed {seed}, round {round}"));
    }
}

#[test]
fn a_request_that_has_begun_is_answered() {
    let mut gateway = Gateway::start();
    let trace = otlp::trace(&mut Rng::new(1), 50);
    let id = trace[0].trace_id.clone();
    let body = otlp::request("slow", trace).encode_to_vec();
    let (first, rest) = body.split_at(body.len() / 2);
    let mut slow = TcpStream::connect(gateway.at.otlp_http).unwrap();
    slow.set_read_timeout(Some(DRAIN_LIMIT)).unwrap();
    let head = format!(
        "POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).unwrap();
    slow.write_all(first).unwrap();
    // The request is under way once it is counted among those in flight.
    until("request in flight", DRAIN_LIMIT, || {
        (gateway.metric("traceweir_receiver_requests_in_flight") >= 1.0).then_some(())
    });

    gateway.terminate();
    until("end of listening", DRAIN_LIMIT, || {
        TcpStream::connect(gateway.at.otlp_http).is_err().then_some(())
    });
    slow.write_all(rest).unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(gateway.wait_end(DRAIN_LIMIT), Some(0));
    let gateway = gateway.kill_and_restart();
    assert_eq!(gateway.trace(&id).len(), 50);
}

#[test]
fn an_idle_gateway_with_open_connections_ends_at_once() {
    let gateway = Gateway::start();
    let open = gateway.at.all().map(|(_, to)| {
        let mut used = tests::http::Connection::open(to).unwrap();
        assert_eq!(used.send(&Request::get("/")).unwrap().status, 200);
        (used, tests::http::Connection::open(to).unwrap())
    });
    let watch = tests::wait::Stopwatch::start();
    drop(gateway.stop());
    assert!(watch.elapsed() < Duration::from_secs(5), "took {:?}", watch.elapsed());
    drop(open);
}

#[test]
fn a_second_sigterm_is_not_waited_out() {
    let mut gateway = Gateway::start();
    // A request that never ends keeps the first one from finishing.
    let mut stuck = TcpStream::connect(gateway.at.otlp_http).unwrap();
    stuck
        .write_all(
            b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
              content-length: 100\r\n\r\n{",
        )
        .unwrap();
    until("the request that is stuck", DRAIN_LIMIT, || {
        (gateway.metric("traceweir_receiver_requests_in_flight") >= 1.0).then_some(())
    });
    gateway.terminate();
    until("end of listening", DRAIN_LIMIT, || {
        TcpStream::connect(gateway.at.otlp_http).is_err().then_some(())
    });
    gateway.terminate();
    let code = gateway.wait_end(Duration::from_secs(5));
    assert_ne!(code, Some(0), "it was told to end at once, and that is no clean end");
}
