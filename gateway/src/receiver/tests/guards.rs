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
    sender.send_data(framed(0, b"spans").slice(..7)).await.unwrap();
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
    let first = rig.call(EXPORT, &[], framed(0, b"spans"));
    let rest = async {
        rig.until("a request in flight", |rig| !rig.sink.seen.lock().unwrap().is_empty()).await;
        let (code, message) = rig.call(EXPORT, &[], framed(0, b"spans")).await.grpc();
        assert_eq!((code, message.as_str()), (14, "too many requests in flight, limit 1"));
        drop(open);
    };
    let (first, ()) = Box::pin(soon(async { tokio::join!(first, rest) })).await;
    assert_eq!(first.grpc().0, 0);
    assert_eq!(rig.call(EXPORT, &[], framed(0, b"spans")).await.grpc().0, 0);
}

#[tokio::test]
async fn bytes_in_flight_are_bounded_however_many_ask() {
    let limits = limits::Config {
        body_bytes_max: ByteSize(64 << 10),
        in_flight_bytes_max: ByteSize(128 << 10),
        wait: Wait::millis(30),
        ..limits::Config::default()
    };
    let rig = Rig::with(limited(limits)).await;
    let (open, gate) = tokio::sync::oneshot::channel();
    rig.sink.next(Play::Wait(gate));
    let message = framed(0, &[1; 64 << 10]);
    let first = rig.call(EXPORT, &[], message.clone());
    let rest = async {
        rig.until("a request in flight", |rig| !rig.sink.seen.lock().unwrap().is_empty()).await;
        // Another 64 KiB fit, and are held by a body that never comes.
        let (mut sender, body) = Channel::<Bytes>::new(1);
        let headers = [("content-type", "application/grpc")];
        let stalled = rig.request("POST", EXPORT, &headers, body);
        let mut client = rig.http2().await;
        let stalled = client.send_request(stalled);
        sender.send_data(message.slice(..5)).await.unwrap();
        rig.tasks.spawn("stalled", async { drop(stalled.await) });
        rig.until("all is held", |rig| rig.receiver.admission_stats().bytes.get() == 128 << 10)
            .await;
        let (code, words) = rig.call(EXPORT, &[], message.clone()).await.grpc();
        assert_eq!((code, words.as_str()), (14, "too many bytes in flight, limit 131072"));
        // The stalled client goes away, and its bytes come back.
        drop((sender, client));
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
