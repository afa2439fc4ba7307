//! Clients that speak TLS where there is none, or the reverse: they are told, and the log names it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use hyper::{Request, Response};
use tracing::warn;

use super::{Body, Handler, Peer, Reply};

/// What clients in the clear are told.
const WORDS: &str = "this port speaks TLS: use https";

/// Answers requests that came in the clear to a port that speaks TLS.
#[derive(Debug, Default)]
pub(super) struct Mismatch {
    is_told: AtomicBool,
}

impl Mismatch {
    /// Names it in the log, once for each port: such clients try for ever.
    pub(super) fn seen(&self, peer: &Peer, what: &'static str) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            warn!(peer = %peer.addr, "{what}; it is told so, and this is logged once");
        }
    }
}

impl Handler for Mismatch {
    /// What exporters try again later, as they do when a connection fails: 503, UNAVAILABLE.
    fn handle(self: Arc<Self>, request: Request<Incoming>, _peer: Peer) -> Reply {
        let content_type = request.headers().get(header::CONTENT_TYPE);
        let is_grpc = content_type.is_some_and(|is| is.as_bytes().starts_with(b"application/grpc"));
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_static;
        let (status, body) = if is_grpc {
            headers.insert(header::CONTENT_TYPE, value("application/grpc"));
            headers.insert("grpc-status", value("14"));
            headers.insert("grpc-message", value(WORDS));
            (StatusCode::OK, Body::empty())
        } else {
            headers.insert(header::CONTENT_TYPE, value("text/plain; charset=utf-8"));
            headers.insert(header::RETRY_AFTER, value("30"));
            // Nothing else comes of this connection.
            if request.version() < http::Version::HTTP_2 {
                headers.insert(header::CONNECTION, value("close"));
            }
            (StatusCode::SERVICE_UNAVAILABLE, Body::from(format!("{WORDS}\n")))
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Box::pin(std::future::ready(response))
    }
}
