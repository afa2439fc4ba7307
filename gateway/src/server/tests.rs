//! Connections: age, drain, caps and what strangers do.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::receiver::tests::{EXPORT, Play, Rig, SPANS, Setup, answer, framed, soon};

const GRPC: [(&str, &str); 1] = [("content-type", "application/grpc")];

fn with(server: Config) -> Setup {
    Setup { server, ..Setup::default() }
}

#[tokio::test]
async fn an_old_http2_connection_is_asked_to_go_and_its_request_finishes() {
    let age_max = Wait::millis(30);
    let rig = Rig::with(with(Config { age_max, ..Config::default() })).await;
    let (open, gate) = tokio::sync::oneshot::channel();
    rig.sink.next(Play::Wait(gate));
    let mut client = rig.http2().await;
    let request = rig.request("POST", EXPORT, &GRPC, Full::new(framed(0, SPANS)));
    let response = client.clone().send_request(request);
    let rest = async {
        rig.until("asked to go", |rig| rig.stats.aged.get() == 1).await;
        // The GOAWAY lets no new request in.
        let again = || rig.request("GET", "/", &[], Full::default());
        while client.send_request(again()).await.is_ok() {
            clock::sleep(Duration::from_millis(1)).await;
        }
        drop(open);
    };
    let (response, ()) = soon(async { tokio::join!(response, rest) }).await;
    assert_eq!(answer(response.unwrap()).await.grpc().0, 0);
    rig.until("closed", |rig| rig.stats.connections.get() == 0).await;
}

#[tokio::test]
async fn an_old_http1_connection_closes_between_requests() {
    let age_max = Wait::millis(30);
    let rig = Rig::with(with(Config { age_max, ..Config::default() })).await;
    let mut client = rig.http1().await;
    let request = rig.request("GET", "/", &[], Full::default());
    assert!(client.send_request(request).await.unwrap().status().is_success());
    rig.until("closed", |rig| rig.stats.connections.get() == 0).await;
    assert_eq!(rig.stats.aged.get(), 1);
}

#[tokio::test]
async fn an_old_connection_that_does_not_go_is_closed() {
    let (age_max, age_grace) = (Wait::millis(30), Wait::millis(30));
    let rig = Rig::with(with(Config { age_max, age_grace, ..Config::default() })).await;
    let (_open, gate) = tokio::sync::oneshot::channel();
    rig.sink.next(Play::Wait(gate));
    let request = rig.request("POST", EXPORT, &GRPC, Full::new(framed(0, SPANS)));
    assert!(soon(rig.http2().await.send_request(request)).await.is_err());
    rig.until("closed", |rig| rig.stats.connections.get() == 0).await;
}

#[tokio::test]
async fn a_drain_finishes_what_is_under_way_and_accepts_nothing_new() {
    let rig = Rig::start().await;
    let (open, gate) = tokio::sync::oneshot::channel();
    rig.sink.next(Play::Wait(gate));
    let idle = rig.connect().await;
    let mut client = rig.http2().await;
    let request = rig.request("POST", EXPORT, &GRPC, Full::new(framed(0, SPANS)));
    let response = client.send_request(request);
    let rest = async {
        rig.until("in flight", |rig| rig.receiver.stats().in_flight.get() == 1).await;
        rig.trigger.raise();
        rig.until("idle ones are gone", |rig| rig.stats.connections.get() == 1).await;
        while TcpStream::connect(rig.addr).await.is_ok() {
            clock::sleep(Duration::from_millis(1)).await;
        }
        drop(open);
    };
    let (response, ()) = soon(async { tokio::join!(response, rest) }).await;
    assert_eq!(answer(response.unwrap()).await.grpc().0, 0);
    drop((client, idle));
    assert!(rig.tasks.join(Duration::from_secs(10)).await.is_empty());
}

#[tokio::test]
async fn a_drain_does_not_wait_for_ever() {
    let drain_wait = Wait::millis(30);
    let rig = Rig::with(with(Config { drain_wait, ..Config::default() })).await;
    let (_open, gate) = tokio::sync::oneshot::channel();
    rig.sink.next(Play::Wait(gate));
    let mut client = rig.http2().await;
    let request = rig.request("POST", EXPORT, &GRPC, Full::new(framed(0, SPANS)));
    let response = client.send_request(request);
    let raise = async {
        rig.until("in flight", |rig| rig.receiver.stats().in_flight.get() == 1).await;
        rig.trigger.raise();
    };
    let (response, ()) = soon(async { tokio::join!(response, raise) }).await;
    assert!(response.is_err());
    drop(client);
    assert!(rig.tasks.join(Duration::from_secs(10)).await.is_empty());
}

#[tokio::test]
async fn more_connections_than_the_cap_are_closed() {
    let rig = Rig::with(with(Config { connections_max: 1, ..Config::default() })).await;
    let first = rig.connect().await;
    rig.until("one is open", |rig| rig.stats.connections.get() == 1).await;
    let mut second = rig.connect().await;
    assert_eq!(soon(second.read(&mut [0; 1])).await.unwrap_or(0), 0);
    assert_eq!(rig.stats.refused.get(), 1);
    drop(first);
    rig.until("there is room again", |rig| rig.stats.connections.get() == 0).await;
    assert!(rig.send("GET", "/", &[], "").await.status.is_success());
}

#[tokio::test]
async fn whoever_sends_no_header_in_time_is_closed() {
    let header_wait = Wait::millis(30);
    let rig = Rig::with(with(Config { header_wait, ..Config::default() })).await;
    for said in ["", "PRI * HT", "POST /v1/traces HTTP/1.1\r\nhost: te"] {
        let mut stream = rig.connect().await;
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        soon(stream.read_to_end(&mut rest)).await.unwrap_or(0);
        assert!(rest.is_empty(), "{said:?}");
    }
    assert_eq!(rig.stats.silent.get(), 3);
    assert_eq!(rig.stats.requests.get(), 0);
}

#[tokio::test]
async fn a_request_longer_than_the_header_wait_is_answered() {
    let header_wait = Wait::millis(30);
    let rig = Rig::with(with(Config { header_wait, ..Config::default() })).await;
    let (open, gate) = tokio::sync::oneshot::channel();
    rig.sink.next(Play::Wait(gate));
    let late = async {
        clock::sleep(Duration::from_millis(100)).await;
        drop(open);
    };
    let (answer, ()) = soon(async { tokio::join!(rig.post(&[], SPANS), late) }).await;
    assert!(answer.status.is_success());
}

#[tokio::test]
async fn large_headers_are_refused() {
    let rig = Rig::start().await;
    let large = "x".repeat(100 << 10);
    let headers = [("x-large", large.as_str())];
    let request = rig.request("GET", "/", &headers, Full::<Bytes>::default());
    let refused = rig.http1().await.send_request(request).await.unwrap().status();
    assert_eq!(refused, http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let request = rig.request("GET", "/", &headers, Full::<Bytes>::default());
    let answer = rig.http2().await.send_request(request).await;
    let refused = http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    assert!(answer.is_err() || answer.unwrap().status() == refused);
    assert_eq!(rig.stats.requests.get(), 0);
}

#[tokio::test]
async fn many_pings_are_no_attack() {
    let rig = Rig::start().await;
    let mut stream = rig.connect().await;
    stream.write_all(HELLO).await.unwrap();
    let ping = frame(6, 0, 0, &[1, 2, 3, 4, 5, 6, 7, 8]);
    let (mut acks, mut head) = (0, [0; 9]);
    while acks < 100 {
        stream.write_all(&ping).await.unwrap();
        loop {
            soon(stream.read_exact(&mut head)).await.unwrap();
            let length = usize::from(head[1]) << 8 | usize::from(head[2]);
            soon(stream.read_exact(&mut vec![0; length])).await.unwrap();
            assert_ne!(head[3], 7, "GOAWAY after {acks} pings");
            if (head[3], head[4]) == (6, 1) {
                break;
            }
        }
        acks += 1;
    }
}

/// The preface and empty settings.
const HELLO: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// `POST / HTTP/2` without an end of its body: HEADERS on this stream.
fn headers(stream: u32, flags: u8, block: &[u8]) -> Vec<u8> {
    frame(1, flags, stream, block)
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Reads until the other end closes; whether it said GOAWAY before.
async fn closes(stream: &mut TcpStream) -> bool {
    let (mut head, mut goaway) = ([0; 9], false);
    while soon(stream.read_exact(&mut head)).await.is_ok() {
        let length = usize::from(head[1]) << 8 | usize::from(head[2]);
        goaway |= head[3] == 7;
        if soon(stream.read_exact(&mut vec![0; length])).await.is_err() {
            break;
        }
    }
    goaway
}

#[tokio::test]
async fn rapid_resets_leave_nothing_behind() {
    let rig = Rig::start().await;
    let mut stream = rig.connect().await;
    let mut flood = HELLO.to_vec();
    for id in (1..20_001).step_by(2) {
        flood.extend(headers(id, 4, &[0x83, 0x86, 0x84]));
        flood.extend(frame(3, 0, id, &[0, 0, 0, 8]));
    }
    // The server may hang up half-way: that is an answer too.
    let sent = stream.write_all(&flood).await;
    assert!(sent.is_err() || rig.send("GET", "/", &[], "").await.status.is_success());
    drop(stream);
    rig.until("all is over", |rig| rig.stats.connections.get() == 0).await;
    assert!(rig.send("GET", "/", &[], "").await.status.is_success());
}

#[tokio::test]
async fn headers_without_an_end_are_cut_off() {
    let rig = Rig::start().await;
    let mut stream = rig.connect().await;
    let mut flood = [HELLO, &headers(1, 0, &[0x83, 0x86, 0x84])].concat();
    for _ in 0..200 {
        // A literal header without indexing, of 16 KiB each.
        let mut block = vec![0, 1, b'x', 0x7f, 0x81, 0x7e];
        block.resize(16_384, b'y');
        flood.extend(frame(9, 0, 1, &block));
    }
    let sent = stream.write_all(&flood).await;
    assert!(sent.is_err() || closes(&mut stream).await);
    rig.until("closed", |rig| rig.stats.connections.get() == 0).await;
    assert_eq!((rig.stats.requests.get(), rig.stats.failed.get()), (0, 1));
}

#[tokio::test]
async fn windows_shrink_when_their_budget_is_used_up() {
    let windows_bytes_max = ByteSize::mib(1);
    let rig = Rig::with(with(Config { windows_bytes_max, ..Config::default() })).await;
    // More than the small window holds must still get through, on every connection.
    let mut clients = [rig.http2().await, rig.http2().await, rig.http2().await];
    for client in &mut clients {
        let body = Full::new(framed(0, &[b'x'; 300_000]));
        let request = rig.request("POST", EXPORT, &GRPC, body);
        let response = soon(client.send_request(request)).await.unwrap();
        assert_eq!(answer(response).await.grpc().0, 0);
    }
    assert_eq!(rig.stats.connections.get(), 3);
}

#[test]
fn the_defaults_are_accepted_and_faults_name_their_keys() {
    let mut faults = Faults::default();
    Config::default().check("server", &mut faults);
    assert!(faults.is_empty());
    let wrong = Config {
        connections_max: 0,
        frame_bytes_max: ByteSize(1),
        header_wait: Wait::secs(0),
        ..Config::default()
    };
    wrong.check("server", &mut faults);
    let keys: Vec<_> = faults.list().iter().map(|fault| fault.key.as_str()).collect();
    let expected = ["server.connections_max", "server.header_wait", "server.frame_bytes_max"];
    assert_eq!(keys, expected);
}
