//! What holds when clients are slow, too many, or go away.

use http_body_util::channel::Channel;
use model::{ByteSize, Wait};

use super::*;
use crate::receiver::{body, limits};

fn limited(limits: limits::Config) -> Setup {
    Setup { receiver: Config { limits, ..Config::default() }, ..Setup::default() }
}

#[tokio::test]
async fn a_body_that_does_not_get_on_is_refused() {
    let body = body::Config { idle_max: Wait::millis(300), time_max: Wait::secs(60) };
    let receiver = Config { body, ..Config::default() };
    let rig = Rig::with(Setup { receiver, ..Setup::default() }).await;
    let (mut sender, body) = Channel::<Bytes>::new(1);
    let request = rig.request("POST", EXPORT, &[("content-type", "application/grpc")], body);
    let mut client = rig.http2().await;
    let response = client.send_request(request);
    sender.send_data(framed(0, SPANS).slice(..7)).await.unwrap();
    let (code, message) = answer(soon(response).await.unwrap()).await.grpc();
    assert_eq!((code, message.as_str()), (4, "body came too slowly, 7 bytes so far"));
    assert_eq!(rig.receiver.stats().requests(), [("grpc", "identity", "slow", 1)]);
    assert_eq!(rig.receiver.admission_stats().bytes.get(), 0);
}

#[tokio::test]
async fn a_body_that_trickles_for_ever_is_refused() {
    let body = body::Config { idle_max: Wait::millis(50), time_max: Wait::millis(150) };
    let receiver = Config { body, ..Config::default() };
    let rig = Rig::with(Setup { receiver, ..Setup::default() }).await;
    let (mut sender, body) = Channel::<Bytes>::new(1);
    rig.tasks.spawn("trickles", async move {
        while sender.send_data(Bytes::from_static(b"x")).await.is_ok() {
            clock::sleep(Duration::from_millis(5)).await;
        }
    });
    let request = rig.request("POST", "/v1/traces", &[PROTOBUF], body);
    let answer = answer(soon(rig.http2().await.send_request(request)).await.unwrap()).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.rpc_status().code, 4);
}

#[tokio::test]
async fn more_requests_than_places_are_told_to_come_back() {
    let rig = Rig::with(limited(limits::Config { requests_max: 1, ..Default::default() })).await;
    let (open, gate) = tokio::sync::oneshot::channel();
    rig.sink.next(Play::Wait(gate));
    let first = rig.call(EXPORT, &[], framed(0, SPANS));
    let rest = async {
        rig.until("a request in flight", |rig| !rig.sink.seen.lock().unwrap().is_empty()).await;
        let (code, message) = rig.call(EXPORT, &[], framed(0, SPANS)).await.grpc();
        assert_eq!((code, message.as_str()), (14, "too many requests in flight, limit 1"));
        drop(open);
    };
    let (first, ()) = Box::pin(soon(async { tokio::join!(first, rest) })).await;
    assert_eq!(first.grpc().0, 0);
    assert_eq!(rig.call(EXPORT, &[], framed(0, SPANS)).await.grpc().0, 0);
}

#[tokio::test]
async fn bytes_in_flight_are_bounded_however_many_ask() {
    let limits = limits::Config {
        body_bytes_max: ByteSize(64 << 10),
        in_flight_bytes_max: ByteSize(192 << 10),
        wait: Wait::millis(30),
        ..limits::Config::default()
    };
    let rig = Rig::with(limited(limits)).await;
    let (open, gate) = tokio::sync::oneshot::channel();
    rig.sink.next(Play::Wait(gate));
    let message = framed(0, &[b'x'; 64 << 10]);
    let first = rig.call(EXPORT, &[], message.clone());
    let rest = async {
        rig.until("a request in flight", |rig| !rig.sink.seen.lock().unwrap().is_empty()).await;
        // Two more fit, and are held by bodies that never come.
        let mut client = rig.http2().await;
        let stalled = [Channel::<Bytes>::new(1), Channel::<Bytes>::new(1)].map(|(sender, body)| {
            let headers = [("content-type", "application/grpc")];
            let response = client.send_request(rig.request("POST", EXPORT, &headers, body));
            rig.tasks.spawn("stalled", async { drop(response.await) });
            sender
        });
        let mut senders = Vec::new();
        for mut sender in stalled {
            sender.send_data(message.slice(..5)).await.unwrap();
            senders.push(sender);
        }
        rig.until("all is held", |rig| rig.receiver.admission_stats().bytes.get() == 192 << 10)
            .await;
        let (code, words) = rig.call(EXPORT, &[], message.clone()).await.grpc();
        assert_eq!((code, words.as_str()), (14, "too many bytes in flight, limit 196608"));
        // The stalled client goes away, and what it held comes back.
        drop((senders, client));
        rig.until("bytes are back", |rig| rig.receiver.admission_stats().bytes.get() == 64 << 10)
            .await;
        assert_eq!(rig.call(EXPORT, &[], message.clone()).await.grpc().0, 0);
        drop(open);
    };
    let (first, ()) = Box::pin(soon(async { tokio::join!(first, rest) })).await;
    assert_eq!(first.grpc().0, 0);
    assert_eq!(rig.receiver.admission_stats().bytes.get(), 0);
}

#[tokio::test]
async fn a_client_that_goes_away_is_counted_and_gives_back_what_it_held() {
    let rig = Rig::start().await;
    let mut client = rig.http2().await;
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
    let request = rig.request("POST", "/v1/traces", &[PROTOBUF], body);
    let response = client.send_request(request);
    sender.send_data(Bytes::from_static(b"spa")).await.unwrap();
    rig.tasks.spawn("asks", async { drop(response.await) });
    rig.until("in flight", |rig| rig.receiver.stats().in_flight.get() == 1).await;
    sender.abort(std::io::Error::other("gone"));
    rig.until("gone", |rig| rig.receiver.stats().in_flight.get() == 0).await;
    assert_eq!(rig.receiver.stats().requests(), [("http_protobuf", "identity", "gone", 1)]);
    assert_eq!(rig.receiver.admission_stats().requests.get(), 0);
}

#[tokio::test]
async fn bodies_that_are_refused_unread_do_not_use_up_the_connection() {
    let rig = Rig::start().await;
    let mut client = rig.http2().await;
    let refused = [
        ("/v1/traces", ("content-type", "text/plain")),
        ("/nothing", ("content-type", "application/x-protobuf")),
        ("/some.Service/Export", ("content-type", "application/grpc")),
    ];
    // Several times the window of the connection.
    for (path, header) in refused.iter().cycle().take(60) {
        let body = Full::new(Bytes::from(vec![b'x'; 200_000]));
        let request = rig.request("POST", path, &[*header], body);
        soon(client.send_request(request)).await.unwrap();
    }
    let body = Full::new(framed(0, &[b'x'; 500_000]));
    let request = rig.request("POST", EXPORT, &[("content-type", "application/grpc")], body);
    let response = soon(client.send_request(request)).await.unwrap();
    assert_eq!(answer(response).await.grpc().0, 0);
    assert_eq!(rig.stats.accepted.get(), 1);
}

#[tokio::test]
async fn any_bytes_get_an_answer() {
    let rig = Rig::start().await;
    let mut client = rig.http2().await;
    let codings = ["identity", "gzip", "zstd", "deflate", "snappy"];
    let mut seed = 0x5eed_u64;
    let mut next = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33).to_le_bytes()[0]
    };
    for round in 0..400 {
        let length = usize::from(next()) % 64;
        let mut body: Vec<u8> = (0..length).map(|_| next()).collect();
        if round % 2 == 0 && length >= 5 {
            // Every second one is framed as it should be.
            body[..4].copy_from_slice(&[next() % 2, 0, 0, 0]);
            body[4] = u8::try_from(length - 5).unwrap();
        }
        let coding = codings[round % codings.len()];
        let headers = [("content-type", "application/grpc"), ("grpc-encoding", coding)];
        let request = rig.request("POST", EXPORT, &headers, Full::new(body.clone().into()));
        let answer = answer(soon(client.send_request(request)).await.unwrap()).await;
        assert!(matches!(answer.grpc().0, 0 | 3), "{coding} {body:?}: {answer:?}");
    }
    assert_eq!(rig.stats.accepted.get(), 1);
    assert_eq!(rig.receiver.admission_stats().bytes.get(), 0);
}
