//! Each port says what lives there, and speaks HTTP/1.1 and HTTP/2 in the clear.

use http::Method;
use prost::Message;
use tests::gateway::Gateway;
use tests::h2;
use tests::http::{Connection, Request};
use tests::otlp;
use tests::random::Rng;

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
