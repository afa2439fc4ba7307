//! Faults of receiving, and the only place that turns them into gRPC and HTTP answers.
//!
//! What clients do with an answer decides which one it is (measured with the SDKs and the
//! Collector): anything that passes is UNAVAILABLE or 503 with a retry hint, never INTERNAL or
//! 500, which they take for final; anything that will fail again is a code that nobody retries.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use model::TenantId;
use prost::Message;
use serde_json::json;
use store::Accepted;

use super::decode::CODINGS_ACCEPTED;
use super::pb;
use super::stats::Outcome;
use crate::auth::Denied;
use crate::clock::spread;
use crate::compute;
use crate::limits::{Exceeded, Full, Reason};
use crate::server::Body;

/// What is wrong with a request, or with us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The bytes are not what they should be.
    Invalid,
    /// The message is over the limit.
    TooLarge,
    /// The body is compressed in a way that we do not know.
    Coding,
    /// It is not known who sends it.
    Unauthenticated,
    /// It is known who sends it, and they may not.
    Forbidden,
    /// Nothing here does what was asked for.
    Unimplemented,
    /// More than the tenant may send: it passes.
    Limited,
    /// Full, starting or draining: it passes.
    Unavailable,
    /// The client sends too slowly.
    Slow,
    /// The client went away.
    Gone,
}

/// A row per kind: gRPC code, HTTP status, the outcome that is counted.
const ANSWERS: [(Kind, Code, StatusCode, Outcome); 10] = [
    (Kind::Invalid, Code::InvalidArgument, StatusCode::BAD_REQUEST, Outcome::Invalid),
    (Kind::TooLarge, Code::InvalidArgument, StatusCode::PAYLOAD_TOO_LARGE, Outcome::TooLarge),
    (Kind::Coding, Code::Unimplemented, StatusCode::BAD_REQUEST, Outcome::Unsupported),
    (
        Kind::Unauthenticated,
        Code::Unauthenticated,
        StatusCode::UNAUTHORIZED,
        Outcome::Unauthenticated,
    ),
    (Kind::Forbidden, Code::PermissionDenied, StatusCode::FORBIDDEN, Outcome::Forbidden),
    (Kind::Unimplemented, Code::Unimplemented, StatusCode::NOT_FOUND, Outcome::Unsupported),
    (Kind::Limited, Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS, Outcome::Limited),
    (Kind::Unavailable, Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE, Outcome::Unavailable),
    (Kind::Slow, Code::DeadlineExceeded, StatusCode::SERVICE_UNAVAILABLE, Outcome::Slow),
    (Kind::Gone, Code::Cancelled, StatusCode::SERVICE_UNAVAILABLE, Outcome::Gone),
];

/// The gRPC codes that we answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The caller went away.
    Cancelled = 1,
    /// Wrong, and wrong again if repeated.
    InvalidArgument = 3,
    /// Took too long.
    DeadlineExceeded = 4,
    /// Not theirs.
    PermissionDenied = 7,
    /// More than may be sent, just now.
    ResourceExhausted = 8,
    /// No such method, or not in this way.
    Unimplemented = 12,
    /// Come back later.
    Unavailable = 14,
    /// Say who you are.
    Unauthenticated = 16,
}

/// Why a request is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    kind: Kind,
    message: String,
    /// How long it takes until it may work, where that is known.
    wait: Option<Duration>,
    /// As what it is counted for the tenant.
    reason: Option<Reason>,
}

/// How long clients are asked to wait at least, before it is spread.
const RETRY_WAIT: Duration = Duration::from_secs(1);

impl Fault {
    /// A fault with its message: lower-case, naming the thing.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), wait: None, reason: None }
    }

    /// A message of `size` bytes where `limit` are allowed.
    #[must_use]
    pub fn too_large(what: &str, size: Size, limit: u64) -> Self {
        let message = format!("{what} is {size}, limit is {limit} bytes");
        Self { reason: Some(Reason::BodyBytes), ..Self::new(Kind::TooLarge, message) }
    }

    /// A request of more spans than one may have.
    #[must_use]
    pub fn too_many_spans(tenant: &TenantId, limit: u32) -> Self {
        let message = format!(
            "request has more spans than ingestion.request_spans_max of tenant {tenant} allows, \
             which is {limit}: send fewer at once"
        );
        Self { reason: Some(Reason::RequestSpans), ..Self::new(Kind::TooLarge, message) }
    }

    /// As what it is counted for the tenant whose request it is, where limits are the reason.
    #[must_use]
    pub const fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// Whether the same request may be taken later.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self.kind, Kind::Limited | Kind::Unavailable | Kind::Slow)
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// How it is counted.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.answer().2
    }

    fn answer(&self) -> (Code, StatusCode, Outcome) {
        let row = ANSWERS.iter().find(|(kind, ..)| *kind == self.kind);
        row.map_or(
            (Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE, Outcome::Unavailable),
            |(_, code, status, outcome)| (*code, *status, *outcome),
        )
    }

    /// How long the client should wait, where waiting helps.
    fn retry(&self) -> Option<Duration> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = || NEXT.fetch_add(1, Ordering::Relaxed);
        let wait = self.wait.unwrap_or_default().max(RETRY_WAIT);
        self.passes().then(|| wait.mul_f64(1.0 + spread(number()) / 2.0))
    }

    /// What tells a gRPC client when to come back, where waiting helps.
    #[must_use]
    pub fn details(&self) -> Option<(HeaderName, HeaderValue)> {
        let status = self.status(Some(self.retry()?));
        let details = STANDARD_NO_PAD.encode(status.encode_to_vec());
        HeaderValue::try_from(details).ok().map(|details| (GRPC_DETAILS, details))
    }

    fn status(&self, retry: Option<Duration>) -> pb::Status {
        let details = retry.map(|wait| pb::Any {
            type_url: RETRY_INFO.to_owned(),
            value: pb::RetryInfo { retry_delay: Some(delay(wait)) }.encode_to_vec(),
        });
        pb::Status {
            code: self.answer().0 as i32,
            message: self.message.clone(),
            details: details.into_iter().collect(),
        }
    }
}

/// How large something is, as far as we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So many bytes.
    Exact(u64),
    /// We stopped here.
    AtLeast(u64),
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(bytes) => write!(f, "{bytes} bytes"),
            Self::AtLeast(bytes) => write!(f, "at least {bytes} bytes"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

impl From<Denied> for Fault {
    fn from(denied: Denied) -> Self {
        let kind = match denied {
            Denied::Missing(_) | Denied::Invalid(_) => Kind::Unauthenticated,
            Denied::Forbidden(_) => Kind::Forbidden,
            Denied::Malformed(_) => Kind::Invalid,
            Denied::Unavailable(_) => Kind::Unavailable,
        };
        Self::new(kind, denied.to_string())
    }
}

impl From<Full> for Fault {
    fn from(full: Full) -> Self {
        let reason = Some(Reason::Overload);
        Self { reason, ..Self::new(Kind::Unavailable, full.to_string()) }
    }
}

impl From<Exceeded> for Fault {
    fn from(exceeded: Exceeded) -> Self {
        let (wait, reason) = (Some(exceeded.wait), Some(exceeded.reason));
        Self { wait, reason, ..Self::new(Kind::Limited, exceeded.to_string()) }
    }
}

impl From<compute::Error> for Fault {
    fn from(error: compute::Error) -> Self {
        let reason = Some(Reason::Overload);
        Self { reason, ..Self::new(Kind::Unavailable, error.to_string()) }
    }
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        let kind = match error.kind() {
            store::Kind::Invalid => Kind::Invalid,
            store::Kind::TooLarge => Kind::TooLarge,
            // Ours, not the client's: its data is good, and somebody may be able to take it.
            store::Kind::Unavailable
            | store::Kind::Corrupt
            | store::Kind::Refused
            | store::Kind::Fatal
            | store::Kind::Io => Kind::Unavailable,
        };
        Self::new(kind, error.to_string())
    }
}

/// In which form an HTTP client speaks, and is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
}

impl Format {
    const fn content_type(self) -> HeaderValue {
        match self {
            Self::Protobuf => HeaderValue::from_static("application/x-protobuf"),
            Self::Json => HeaderValue::from_static("application/json"),
        }
    }
}

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// The OTLP/HTTP answer to a request that was taken, whole or in part.
#[must_use]
pub fn http_accepted(format: Format, accepted: &Accepted) -> Response<Body> {
    let response = export_response(accepted);
    let body = match (format, response.partial_success) {
        (Format::Json, None) => Body::from("{}"),
        (Format::Json, Some(partial)) => Body::from(
            json!({"partialSuccess": {
                "rejectedSpans": partial.rejected_spans.to_string(),
                "errorMessage": partial.error_message,
            }})
            .to_string(),
        ),
        (Format::Protobuf, partial_success) => {
            Body::from(pb::ExportResponse { partial_success }.encode_to_vec())
        }
    };
    with_type(StatusCode::OK, format.content_type(), body)
}

/// The OTLP/HTTP answer to a request that was not taken.
#[must_use]
pub fn http_fault(format: Format, fault: &Fault) -> Response<Body> {
    let retry = fault.retry();
    let status = fault.status(retry);
    let body = match format {
        Format::Protobuf => Body::from(status.encode_to_vec()),
        Format::Json => Body::from(status_json(&status, retry)),
    };
    let mut response = with_type(fault.answer().1, format.content_type(), body);
    if let Some(wait) = retry {
        let secs = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs.max(1)));
    }
    response
}

/// Plain words: for what is no OTLP at all.
#[must_use]
pub fn text(status: StatusCode, text: impl Into<Body>) -> Response<Body> {
    with_type(status, HeaderValue::from_static("text/plain; charset=utf-8"), text.into())
}

/// The answer to another method than POST, in the words of the Collector's receiver.
#[must_use]
pub fn method_not_allowed() -> Response<Body> {
    let words = "405 method not allowed, supported: [POST]";
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, words);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

/// The answer to another content type, in the words of the Collector's receiver.
#[must_use]
pub fn unsupported_type() -> Response<Body> {
    let words = "415 unsupported media type, supported: [application/json, application/x-protobuf]";
    text(StatusCode::UNSUPPORTED_MEDIA_TYPE, words)
}

/// The gRPC answer to a request that was taken, whole or in part.
#[must_use]
pub fn grpc_accepted(accepted: &Accepted) -> Response<Body> {
    if accepted.refused == 0 {
        return grpc_message(Bytes::from_static(&[0; 5]));
    }
    let message = export_response(accepted).encode_to_vec();
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = Vec::with_capacity(5 + message.len());
    framed.push(0);
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(&message);
    grpc_message(framed.into())
}

fn grpc_message(framed: Bytes) -> Response<Body> {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    let mut response = grpc_head(Body::trailed(framed, trailers));
    response.headers_mut().insert(GRPC_ACCEPT, HeaderValue::from_static(CODINGS_ACCEPTED));
    response
}

/// The gRPC answer to a request that was not taken: headers only.
#[must_use]
pub fn grpc_fault(fault: &Fault) -> Response<Body> {
    let mut response = grpc_head(Body::empty());
    let headers = response.headers_mut();
    headers.insert(GRPC_STATUS, HeaderValue::from(fault.answer().0 as i32));
    if let Ok(message) = HeaderValue::try_from(percent(&fault.message)) {
        headers.insert(GRPC_MESSAGE, message);
    }
    if fault.kind == Kind::Coding {
        headers.insert(GRPC_ACCEPT, HeaderValue::from_static(CODINGS_ACCEPTED));
    }
    headers.extend(fault.details());
    response
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_ACCEPT: HeaderName = HeaderName::from_static("grpc-accept-encoding");

fn grpc_head(body: Body) -> Response<Body> {
    with_type(StatusCode::OK, HeaderValue::from_static("application/grpc"), body)
}

fn with_type(status: StatusCode, content_type: HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn export_response(accepted: &Accepted) -> pb::ExportResponse {
    let partial_success = (accepted.refused > 0).then(|| pb::PartialSuccess {
        rejected_spans: i64::try_from(accepted.refused).unwrap_or(i64::MAX),
        error_message: explain(accepted),
    });
    pb::ExportResponse { partial_success }
}

/// Says how many spans were refused, and why for the first few.
fn explain(accepted: &Accepted) -> String {
    const SHOWN_MAX: usize = 5;
    let mut message =
        format!("{} of {} spans refused", accepted.refused, accepted.spans + accepted.refused);
    for (place, refusal) in accepted.refusals.iter().take(SHOWN_MAX).enumerate() {
        let name: String = refusal.name.chars().take(80).collect();
        message.push_str(if place == 0 { ": " } else { "; " });
        // Writing to a string cannot fail.
        write!(message, "span {} {name:?}: {}", refusal.span, refusal.reason).ok();
    }
    let shown = accepted.refusals.len().min(SHOWN_MAX) as u64;
    if accepted.refused > shown && shown > 0 {
        write!(message, "; and {} more", accepted.refused - shown).ok();
    }
    message
}

fn status_json(status: &pb::Status, retry: Option<Duration>) -> String {
    let details: Vec<_> = retry
        .map(|wait| json!({"@type": RETRY_INFO, "retryDelay": format!("{:.3}s", wait.as_secs_f64())}))
        .into_iter()
        .collect();
    let mut body = json!({"code": status.code, "message": status.message});
    if !details.is_empty() {
        body["details"] = details.into();
    }
    body.to_string()
}

fn delay(wait: Duration) -> pb::Delay {
    pb::Delay {
        seconds: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(wait.subsec_nanos()).unwrap_or(0),
    }
}

/// Percent-encodes a message for `grpc-message`, and bounds it: clients limit their header lists.
fn percent(message: &str) -> String {
    const BYTES_MAX: usize = 1024;
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes().take(BYTES_MAX) {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => {
                write!(encoded, "%{byte:02X}").ok();
            }
        }
    }
    encoded
}
