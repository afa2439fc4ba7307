//! OTLP over HTTP: `POST /v1/traces` with protobuf or JSON, answered as the Collector's receiver
//! answers.

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, Version};
use hyper::body::Incoming;
use store::Accepted;

use super::body::{self, Feed};
use super::decode::Coding;
use super::ingest::Inbound;
use super::reply::{self, Fault, Format, Kind, Size};
use super::stats::Protocol;
use super::tally::Tally;
use super::{OtherSignals, Receiver, Signal};
use crate::server::{Body, Peer};

/// What an OTLP path is for; `None` for any other path.
pub(super) fn route(path: &str) -> Option<Signal> {
    let path = path.strip_suffix('/').unwrap_or(path);
    match path.strip_prefix("/otlp").unwrap_or(path) {
        "/v1/traces" => Some(Signal::Traces),
        "/v1/metrics" => Some(Signal::Metrics),
        "/v1/logs" => Some(Signal::Logs),
        "/v1development/profiles" => Some(Signal::Profiles),
        _ => None,
    }
}

/// Answers a request to one of the paths above.
pub(super) async fn handle(
    receiver: Arc<Receiver>,
    signal: Signal,
    request: Request<Incoming>,
    peer: Peer,
) -> Response<Body> {
    if let Some(answer) = receiver.cors.preflight(&request) {
        return answer;
    }
    let origin = receiver.cors.origin(request.headers());
    let mut response = answer(&receiver, signal, request, &peer).await;
    receiver.cors.allow(origin, &mut response);
    response
}

async fn answer(
    receiver: &Arc<Receiver>,
    signal: Signal,
    request: Request<Incoming>,
    peer: &Peer,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut feed = Feed::new(body, &receiver.config.body);
    // A client that waits for `100 Continue` has sent nothing that would have to be read.
    let talks_on = head.version < Version::HTTP_2 && !head.headers.contains_key(EXPECT);
    let response = if head.method != Method::POST {
        reply::method_not_allowed()
    } else {
        match format(&head.headers) {
            None => reply::unsupported_type(),
            Some(format) => {
                let result = match signal {
                    Signal::Traces => traces(receiver, format, (&head, peer), &mut feed).await,
                    other => refuse(receiver, other, (&head, peer), &mut feed).await,
                };
                match result {
                    Ok(accepted) => reply::http_accepted(format, &accepted),
                    Err(fault) => reply::http_fault(format, &fault),
                }
            }
        }
    };
    if talks_on && !feed.ended() {
        let most = receiver.admission.config().body_bytes_max.0.saturating_mul(4);
        receiver.tasks.spawn("discard body", body::discard(feed, most));
    }
    response
}

async fn traces(
    receiver: &Arc<Receiver>,
    format: Format,
    from: (&Parts, &Peer),
    feed: &mut Feed,
) -> Result<Accepted, Fault> {
    let protocol = match format {
        Format::Protobuf => Protocol::HttpProtobuf,
        Format::Json => Protocol::HttpJson,
    };
    let mut tally = Tally::start(&receiver.intake, protocol);
    let result = store(receiver, format, from, feed, &mut tally).await;
    tally.end(&result);
    result
}

async fn store(
    receiver: &Receiver,
    format: Format,
    (head, peer): (&Parts, &Peer),
    feed: &mut Feed,
    tally: &mut Tally,
) -> Result<Accepted, Fault> {
    let received_at = receiver.intake.clock.now();
    let mut sender = receiver.sender(head, peer).await?;
    tally.of(&sender.source);
    let headers = &head.headers;
    let coding = headers.get(CONTENT_ENCODING).map_or(b"".as_slice(), |name| name.as_bytes());
    let coding = Coding::parse(coding)?;
    tally.coding = coding;
    let limit = receiver.admission.config().body_bytes_max.0;
    let (length, buffers) = (content_length(headers), &receiver.intake.buffers);
    if let Some(size) = length.filter(|size| *size > limit) {
        return Err(Fault::too_large("body", Size::Exact(size), limit));
    }
    sender.admit(length.unwrap_or(0))?;
    let mut held = receiver.admission.enter(sender.source.account.id)?;
    let body = body::read_http(feed, length, limit, &mut held, buffers).await;
    tally.read(feed.received);
    let inbound = Inbound { sender, received_at, format, coding, body: body?, held, prepaid: 0 };
    receiver.intake.ingest(&receiver.compute, inbound).await
}

async fn refuse(
    receiver: &Receiver,
    signal: Signal,
    (head, peer): (&Parts, &Peer),
    feed: &mut Feed,
) -> Result<Accepted, Fault> {
    receiver.sender(head, peer).await?;
    match receiver.other(signal) {
        OtherSignals::Discard => {
            while feed.next().await?.is_some() {}
            Ok(Accepted::default())
        }
        OtherSignals::Refuse => Err(Fault::new(Kind::Unimplemented, signal.refusal())),
    }
}

/// The format that the content type names, its parameters aside.
fn format(headers: &HeaderMap) -> Option<Format> {
    let essence = essence(headers)?;
    if essence.eq_ignore_ascii_case(b"application/x-protobuf") {
        Some(Format::Protobuf)
    } else if essence.eq_ignore_ascii_case(b"application/json") {
        Some(Format::Json)
    } else {
        None
    }
}

/// The content type without its parameters.
pub(super) fn essence(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(CONTENT_TYPE)?.as_bytes();
    value.split(|byte| *byte == b';').next().map(<[u8]>::trim_ascii)
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
