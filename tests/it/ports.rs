//! Each port says what lives there, and speaks HTTP/1.1 and HTTP/2 in the clear.

use std::time::Duration;

use http::Method;
use prost::Message;
use tests::gateway::{Gateway, Options};
use tests::h2;
use tests::http::{Connection, Request};
use tests::otlp;
use tests::random::Rng;
use tests::wait::until;

#[test]
fn get_on_any_port_says_in_one_line_what_lives_there() {
    let gateway = Gateway::start();
    for (name, to) in gateway.at.all() {
        let reply = Request::get("/").send(to);
        assert_eq!((reply.status, reply.content_type()), (200, "text/plain"), "{name}: {reply:?}");
        let text = reply.text();
        assert_eq!(text.trim_end().lines().count(), 1, "{name}: {text}");
        let wanted = match name {
            "http" => "query",
            "admin" => "admin",
            _ => "/v1/traces",
        };
        assert!(text.contains(wanted), "{name}: {text}");
    }
}

#[test]
fn every_port_speaks_http2_in_the_clear_too() {
    let gateway = Gateway::start();
    for (name, to) in gateway.at.all() {
        let mut connection = h2::Connection::open(to).unwrap();
        let reply = connection.send(&Method::GET, "/", &[], Vec::new()).unwrap();
        assert_eq!(reply.status, 200, "{name}: {reply:?}");
    }
    let mut connection = h2::Connection::open(gateway.at.http).unwrap();
    let echo = connection.send(&Method::GET, "/api/echo", &[], Vec::new()).unwrap();
    assert_eq!(echo.text(), "echo");
}

#[test]
fn http_otlp_goes_over_http2_as_well() {
    let gateway = Gateway::start();
    let trace = otlp::trace(&mut Rng::new(1), 4);
    let id = trace[0].trace_id.clone();
    let body = otlp::request("h2c", trace).encode_to_vec();
    let mut connection = h2::Connection::open(gateway.at.otlp_grpc).unwrap();
    let headers = [("content-type", "application/x-protobuf")];
    let reply = connection.send(&Method::POST, "/v1/traces", &headers, body).unwrap();
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(gateway.trace(&id).len(), 4);
}

#[test]
fn a_connection_is_kept_after_success_and_after_a_refusal() {
    let gateway = Gateway::start();
    let mut connection = Connection::open(gateway.at.otlp_http).unwrap();
    for _ in 0..5 {
        assert_eq!(connection.send(&Request::otlp(Vec::new())).unwrap().status, 200);
        assert_eq!(connection.send(&Request::otlp(vec![0xff])).unwrap().status, 400);
        assert_eq!(connection.send(&Request::get("/nope")).unwrap().status, 404);
    }
}

#[test]
fn long_connections_are_told_to_go_so_that_load_spreads() {
    let gateway = Options::new().set("server.age_max", "1s").start();
    let mut connection = h2::Connection::open(gateway.at.otlp_grpc).unwrap();
    let mut rng = Rng::new(2);
    let mut calls = 0;
    let end = until("end of the connection", Duration::from_secs(30), || {
        let answer = connection.export(&otlp::request("age", otlp::trace(&mut rng, 1)));
        match answer {
            Ok(answer) => {
                assert_eq!(answer.code, 0, "{answer:?}");
                calls += 1;
                None
            }
            Err(fault) => Some(fault.to_string()),
        }
    });
    assert!(calls > 10, "only {calls} calls before {end}");
    // What HTTP/2 calls NO_ERROR: nothing was cut, and the client opens another connection.
    assert!(end.contains("not a result of an error"), "{end}");
    let mut again = h2::Connection::open(gateway.at.otlp_grpc).unwrap();
    assert_eq!(again.export(&otlp::request("age", otlp::trace(&mut rng, 1))).unwrap().code, 0);
}
