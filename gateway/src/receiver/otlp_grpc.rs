//! gRPC over hyper: the framing of unary calls is ours, so that a body stays bytes; health and
//! reflection are tonic's services.

use std::sync::Arc;

use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use store::Accepted;

use super::body::{self, Feed};
use super::decode::Coding;
use super::ingest::Inbound;
use super::otlp_http::essence;
use super::reply::{self, Fault, Format, Kind};
use super::services::Serves;
use super::stats::Protocol;
use super::tally::Tally;
use super::{OtherSignals, Receiver, Signal};
use crate::server::{Body, Peer};

/// The services that we know, with what they are for.
const SERVICES: [(&str, Signal); 4] = [
    ("opentelemetry.proto.collector.trace.v1.TraceService", Signal::Traces),
    ("opentelemetry.proto.collector.metrics.v1.MetricsService", Signal::Metrics),
    ("opentelemetry.proto.collector.logs.v1.LogsService", Signal::Logs),
    ("opentelemetry.proto.collector.profiles.v1development.ProfilesService", Signal::Profiles),
];

/// Whether a path is a method of a service of ours.
pub(super) fn serves(receiver: &Receiver, path: &str) -> bool {
    let service = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    service.is_some_and(|(service, _)| {
        SERVICES.iter().any(|(name, _)| *name == service)
            || receiver.services.call(service).is_some()
    })
}

/// Whether the content type says gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    let essence = essence(headers).unwrap_or_default();
    essence.eq_ignore_ascii_case(b"application/grpc")
        || essence.eq_ignore_ascii_case(b"application/grpc+proto")
}

/// Answers a gRPC call.
pub(super) async fn handle(
    receiver: Arc<Receiver>,
    serves: Serves,
    request: Request<Incoming>,
    peer: Peer,
) -> Response<Body> {
    if request.version() < Version::HTTP_2 {
        let words = "gRPC needs HTTP/2; OTLP over HTTP/1.1 is POST /v1/traces";
        return reply::text(StatusCode::HTTP_VERSION_NOT_SUPPORTED, words);
    }
    if request.method() != Method::POST {
        return reply::method_not_allowed();
    }
    let path = request.uri().path();
    let Some((service, method)) = path.strip_prefix('/').and_then(|path| path.split_once('/'))
    else {
        return reply::grpc_fault(&unimplemented(format!("malformed method name {path:?}")));
    };
    let Some((_, signal)) = SERVICES.iter().find(|(name, _)| *name == service) else {
        if let Some(answer) = receiver.services(serves).call(service) {
            return answer(request).await;
        }
        return reply::grpc_fault(&unimplemented(format!("unknown service {service}")));
    };
    if method != "Export" {
        let words = format!("unknown method {method} for service {service}");
        return reply::grpc_fault(&unimplemented(words));
    }
    let result = match signal {
        Signal::Traces => traces(&receiver, request, &peer).await,
        other => refuse(&receiver, *other, request, &peer).await,
    };
    match result {
        Ok(accepted) => reply::grpc_accepted(&accepted),
        Err(fault) => reply::grpc_fault(&fault),
    }
}

async fn traces(
    receiver: &Receiver,
    request: Request<Incoming>,
    peer: &Peer,
) -> Result<Accepted, Fault> {
    let mut tally = Tally::start(&receiver.intake, Protocol::Grpc);
    let result = store(receiver, (request, peer), &mut tally).await;
    tally.end(&result);
    result
}

async fn store(
    receiver: &Receiver,
    (request, peer): (Request<Incoming>, &Peer),
    tally: &mut Tally,
) -> Result<Accepted, Fault> {
    let received_at = receiver.intake.clock.now();
    let (head, body) = request.into_parts();
    let mut sender = receiver.sender(&head, peer).await?;
    tally.of(&sender.source);
    let coding = head.headers.get("grpc-encoding").map_or(b"".as_slice(), |name| name.as_bytes());
    let mut coding = Coding::parse(coding)?;
    tally.coding = coding;
    // Clients seldom say how long it is.
    sender.admit(0)?;
    let mut held = receiver.admission.enter(sender.source.account.id)?;
    let limit = receiver.admission.config().body_bytes_max.0;
    let mut feed = Feed::new(body, &receiver.config.body);
    let message = body::read_grpc(&mut feed, limit, &mut held, &receiver.intake.buffers).await;
    tally.read(feed.received);
    let (compressed, body) = message?;
    match (compressed, coding) {
        (true, Coding::Identity) => {
            let words = "gRPC message is compressed, but grpc-encoding does not say how";
            return Err(Fault::new(Kind::Invalid, words));
        }
        // The header tells what may be used; the flag tells what was.
        (false, _) => coding = Coding::Identity,
        (true, _) => {}
    }
    let format = Format::Protobuf;
    let inbound = Inbound { sender, received_at, format, coding, body, held, prepaid: 0 };
    receiver.intake.ingest(&receiver.compute, inbound).await
}

async fn refuse(
    receiver: &Receiver,
    signal: Signal,
    request: Request<Incoming>,
    peer: &Peer,
) -> Result<Accepted, Fault> {
    let (head, body) = request.into_parts();
    receiver.sender(&head, peer).await?;
    match receiver.other(signal) {
        OtherSignals::Discard => {
            let mut feed = Feed::new(body, &receiver.config.body);
            while feed.next().await?.is_some() {}
            Ok(Accepted::default())
        }
        OtherSignals::Refuse => Err(unimplemented(signal.refusal())),
    }
}

fn unimplemented(words: impl Into<String>) -> Fault {
    Fault::new(Kind::Unimplemented, words)
}
