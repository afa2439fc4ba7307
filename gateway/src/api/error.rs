//! What goes wrong with a query, as HTTP says it: the one place where kinds become codes.
//!
//! Bodies are plain text for people: Grafana shows them as they are.

use std::fmt;

use http::{HeaderName, HeaderValue, StatusCode, header};
use model::id::IdFault;

use super::answer::Answer;
use crate::auth::Denied;
use crate::compute;
use crate::limits::{Full, Reason};
use crate::receiver::reply;

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct Fault {
    status: StatusCode,
    message: String,
    /// `Allow`, where the method is wrong.
    allow: Option<String>,
}

impl Fault {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), allow: None }
    }

    /// The request is wrong and will be wrong again.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// There is no such thing.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// The request is right, and what it is about does not do for it.
    pub(super) fn unprocessable(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, message)
    }

    /// The body of the request is too long.
    pub(super) fn too_large(bytes_max: usize) -> Self {
        let message = format!("the body of the request is larger than {bytes_max} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// The fault is ours.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// The way in which it was asked is not known here.
    pub(super) fn unimplemented(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, message)
    }

    /// Nobody waits for the answer any more.
    pub(super) fn gone() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the client went away")
    }

    /// The status of the answer.
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    /// As what it is counted for the tenant, where limits are the reason.
    pub(super) fn reason(&self) -> Option<Reason> {
        match self.status {
            StatusCode::TOO_MANY_REQUESTS => Some(Reason::Queries),
            StatusCode::SERVICE_UNAVAILABLE => Some(Reason::Overload),
            _ => None,
        }
    }

    /// What tells a gRPC client when to come back, where waiting helps.
    pub(super) fn details(&self) -> Option<(HeaderName, HeaderValue)> {
        let kind = match self.reason()? {
            Reason::Queries => reply::Kind::Limited,
            _ => reply::Kind::Unavailable,
        };
        reply::Fault::new(kind, self.message.as_str()).details()
    }

    /// The code and the message of the same fault over gRPC.
    pub(super) fn grpc(&self) -> (u32, &str) {
        let code = match self.status {
            StatusCode::REQUEST_TIMEOUT => 1,
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => 3,
            StatusCode::GATEWAY_TIMEOUT => 4,
            StatusCode::NOT_FOUND => 5,
            StatusCode::FORBIDDEN => 7,
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::TOO_MANY_REQUESTS => 8,
            StatusCode::NOT_IMPLEMENTED => 12,
            StatusCode::SERVICE_UNAVAILABLE => 14,
            StatusCode::UNAUTHORIZED => 16,
            _ => 13,
        };
        (code, &self.message)
    }

    /// The path is known, but not with this method: these are.
    pub(super) fn method(allowed: &str) -> Self {
        let message = format!("only {allowed} is served here");
        Self {
            allow: Some(allowed.to_owned()),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, message)
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<store::Error> for Fault {
    fn from(error: store::Error) -> Self {
        let status = match error.kind() {
            store::Kind::Invalid => StatusCode::BAD_REQUEST,
            store::Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            store::Kind::Unavailable | store::Kind::Fatal => StatusCode::SERVICE_UNAVAILABLE,
            store::Kind::Corrupt | store::Kind::Refused | store::Kind::Io => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Self::new(status, error.to_string())
    }
}

impl From<traceql::Error> for Fault {
    fn from(error: traceql::Error) -> Self {
        Self::invalid(format!("invalid TraceQL query: {error}"))
    }
}

impl From<compute::Error> for Fault {
    fn from(error: compute::Error) -> Self {
        let status = match error {
            compute::Error::Full | compute::Error::Closed => StatusCode::SERVICE_UNAVAILABLE,
            compute::Error::Crowded => StatusCode::TOO_MANY_REQUESTS,
            compute::Error::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl From<Full> for Fault {
    fn from(full: Full) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, full.to_string())
    }
}

impl From<Denied> for Fault {
    fn from(denied: Denied) -> Self {
        let status = match denied {
            Denied::Missing(_) | Denied::Invalid(_) => StatusCode::UNAUTHORIZED,
            Denied::Forbidden(_) => StatusCode::FORBIDDEN,
            Denied::Malformed(_) => StatusCode::BAD_REQUEST,
            Denied::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, denied.to_string())
    }
}

impl From<reply::Fault> for Fault {
    /// A request that cannot be unpacked.
    fn from(fault: reply::Fault) -> Self {
        let status = match fault.kind() {
            reply::Kind::Coding | reply::Kind::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            reply::Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            reply::Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
            reply::Kind::Forbidden => StatusCode::FORBIDDEN,
            reply::Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            reply::Kind::Limited => StatusCode::TOO_MANY_REQUESTS,
            reply::Kind::Invalid | reply::Kind::Slow | reply::Kind::Gone => StatusCode::BAD_REQUEST,
        };
        Self::new(status, fault.to_string())
    }
}

impl From<IdFault> for Fault {
    fn from(fault: IdFault) -> Self {
        Self::invalid(format!("trace {fault}; write it in hex"))
    }
}

impl From<model::wire::Fault> for Fault {
    /// What the store gave cannot be read.
    fn from(fault: model::wire::Fault) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, fault.to_string())
    }
}

/// What browsers ask people for (RFC 9110, 11.6.1).
const WAYS_IN: &str = "Basic realm=\"traceweir\", charset=\"UTF-8\", Bearer realm=\"traceweir\"";

impl From<Fault> for Answer {
    fn from(fault: Fault) -> Self {
        let answer = Self::text(fault.status, format!("{fault}\n"));
        match (fault.allow, fault.status) {
            (Some(allowed), _) => answer.with(header::ALLOW, &allowed),
            // It passes: the client may ask again.
            (_, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) => {
                answer.with(header::RETRY_AFTER, "1")
            }
            (_, StatusCode::UNAUTHORIZED) => answer.with(header::WWW_AUTHENTICATE, WAYS_IN),
            _ => answer,
        }
    }
}
