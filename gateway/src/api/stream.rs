//! `tempopb.StreamingQuerier`: the same questions over gRPC, answered as the answers come.
//!
//! A call is read whole (a request is small), then its method runs on the threads for queries and
//! hands messages to [`packets`], which is the body of the response. A client that goes away drops
//! the body, and with it what is evaluated for it. What goes wrong is told in the trailers.

mod frame;
mod methods;
mod packets;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use model::{Federation, Nanos};

use super::error::Fault;
use super::guard::Guard;
use super::{Api, CancelOnDrop};
use crate::auth::Scope;
use crate::clock;
use crate::compute::Weight;
use crate::limits::{Held, Reason};
use crate::receiver::decode::{CODINGS_ACCEPTED, Coding};
use crate::server::{Body, Peer};
pub use methods::METHODS;
use packets::{End, Packets, Sending};

/// The largest request, packed and unpacked: a query may be 128 KiB long.
const REQUEST_BYTES_MAX: usize = 256 << 10;

/// How long a client may take for its request.
const REQUEST_WAIT: Duration = Duration::from_secs(10);

/// Messages that may wait for the network before the evaluation keeps them itself.
const QUEUE_MAX: usize = 4;

/// One method.
pub struct Call {
    /// The path that it is called by.
    pub path: &'static str,
    /// What it answers, in one sentence.
    pub doc: &'static str,
    run: fn(&Api, &Ask, &mut Sending) -> Result<Told, Fault>,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path)
    }
}

/// Who asks what.
#[derive(Debug)]
struct Ask {
    tenants: Federation,
    /// The message in its frame.
    body: Bytes,
    coding: Coding,
    guard: Guard,
    /// Its place among the requests in flight.
    _held: Held,
}

impl Ask {
    /// What is asked. Computes.
    fn message(&self) -> Result<Bytes, Fault> {
        frame::message(&self.body, self.coding, REQUEST_BYTES_MAX)
    }
}

/// What is told beside the messages.
#[derive(Debug, Default)]
struct Told {
    partial: Option<String>,
    hints: String,
}

/// Answers a gRPC call.
pub(super) async fn handle(
    api: Arc<Api>,
    request: Request<Incoming>,
    peer: Peer,
) -> Response<Body> {
    if request.version() < Version::HTTP_2 {
        let words = "gRPC needs HTTP/2; the same is served over HTTP/1.1 below /api";
        let mut response = Response::new(Body::from(words));
        *response.status_mut() = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
        return response;
    }
    let path = request.uri().path();
    let found = METHODS.iter().enumerate().find(|(_, call)| call.path == path);
    let Some((place, call)) = found.filter(|_| request.method() == Method::POST) else {
        api.unknown.inc();
        return refused(&Fault::unimplemented(format!("there is no method {path}")));
    };
    let start = api.parts.clock.monotonic();
    match ask(&api, request, &peer).await {
        Ok(ask) => respond(Body::stream(run(api, place, call, ask, start))),
        Err(fault) => {
            api.count_call(place, fault.status(), start);
            refused(&fault)
        }
    }
}

/// Reads a call.
async fn ask(api: &Api, request: Request<Incoming>, peer: &Peer) -> Result<Ask, Fault> {
    let (head, body) = request.into_parts();
    let caller = api.parts.auth.identify(&head, peer).await?;
    let tenants = caller.principal().require(Scope::TracesRead).and_then(|()| caller.reads());
    let tenants = tenants.inspect_err(|denied| api.parts.auth.note(denied, peer))?;
    let wanted = head.headers.get("grpc-timeout").and_then(|text| timeout(text.as_bytes()));
    let guard = api.guard(Some(&tenants), caller.principal().class.as_ref(), wanted);
    let held = api.admission.enter(guard.lane().account);
    let held = held.inspect_err(|_| guard.count(Some(Reason::Overload)))?;
    let coding = head.headers.get("grpc-encoding").map(HeaderValue::as_bytes);
    let coding = Coding::parse(coding.unwrap_or_default())?;
    let all = Limited::new(body, REQUEST_BYTES_MAX).collect();
    let read = clock::timeout(REQUEST_WAIT, all).await;
    let body = read
        .ok_or_else(|| Fault::invalid("the request does not come"))?
        .map_err(|fault| Fault::invalid(format!("the request cannot be read: {fault}")))?;
    Ok(Ask { tenants, body: body.to_bytes(), coding, guard, _held: held })
}

/// Starts the evaluation, as the body is read.
fn run(api: Arc<Api>, place: usize, call: &'static Call, ask: Ask, start: Nanos) -> Packets {
    let (sender, messages) = tokio::sync::mpsc::channel(QUEUE_MAX);
    let unwanted = CancelOnDrop(Arc::clone(&ask.guard.budget().cancelled));
    let guard = ask.guard.clone();
    let end = async move {
        let inner = Arc::clone(&api);
        let job = move || {
            let mut sending = Sending::new(sender);
            if ask.guard.budget().is_cancelled() {
                return sending.end(Err(Fault::gone()));
            }
            let told = (call.run)(&inner, &ask, &mut sending);
            sending.end(told)
        };
        let done = api.parts.queries.run(Weight::Heavy, guard.lane(), job).await;
        let end = done.unwrap_or_else(|error| End::failed(Fault::from(error)));
        guard.count(end.fault().and_then(Fault::reason));
        api.count_call(place, end.status(), start);
        end
    };
    Packets::new(messages, Box::pin(end), unwanted)
}

/// Headers alone, which say why there is nothing else.
fn refused(fault: &Fault) -> Response<Body> {
    let mut response = respond(Body::empty());
    response.headers_mut().extend(packets::trailers(Err(fault)));
    response
}

fn respond(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let content_type = HeaderValue::from_static("application/grpc");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(ACCEPTED, HeaderValue::from_static(CODINGS_ACCEPTED));
    response
}

/// How requests may be compressed. Answers are not: they are small, or they come as they are found.
const ACCEPTED: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// How long a client waits: `10S`, at most eight digits and a unit.
fn timeout(text: &[u8]) -> Option<Nanos> {
    let (unit, digits) = text.split_last()?;
    let scale = match unit {
        b'H' => 3_600_000_000_000,
        b'M' => 60_000_000_000,
        b'S' => 1_000_000_000,
        b'm' => 1_000_000,
        b'u' => 1_000,
        b'n' => 1,
        _ => return None,
    };
    let is_number = (1..=8).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    let number: u64 = std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()?;
    number.checked_mul(scale).map(Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_those_of_grpc() {
        for (text, nanos) in [
            ("10S", Some(10_000_000_000)),
            ("1H", Some(3_600_000_000_000)),
            ("99999999M", Some(5_999_999_940_000_000_000)),
            ("500m", Some(500_000_000)),
            ("7u", Some(7_000)),
            ("7n", Some(7)),
            ("", None),
            ("S", None),
            ("10", None),
            ("-1S", None),
            ("999999999S", None),
        ] {
            assert_eq!(timeout(text.as_bytes()), nanos.map(Nanos), "{text}");
        }
    }

    #[test]
    fn every_method_is_documented() {
        let doc = include_str!("../../../docs/reference/api.md");
        for call in METHODS {
            let name = call.path.trim_start_matches("/tempopb.StreamingQuerier/");
            let row = format!("| `{name}` | {} |", call.doc);
            assert!(doc.contains(&row), "docs/reference/api.md lacks {row}");
        }
    }
}
