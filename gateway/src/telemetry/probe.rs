//! The pages that machines ask for: `/ready`, `/live`, `/metrics`, `/status`.
//!
//! Orchestrators ask them on every port, so they stand apart from the query API, and answer while
//! nothing else does.

use std::sync::Arc;

use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tracing::error;

use super::status::Status;
use super::{Format, Sources, page};
use crate::health::Phase;
use crate::server::{Body, Handler, Peer, Reply};

/// Answers the pages about the process; everything else is not found.
#[derive(Debug)]
pub struct Probes {
    sources: Arc<Sources>,
}

impl Probes {
    /// Pages over these sources.
    #[must_use]
    pub fn new(sources: Arc<Sources>) -> Self {
        Self { sources }
    }

    /// The page of this path, or `None` where it is no page of ours.
    #[must_use]
    pub fn answer<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let accept = || request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
        let answer = match request.uri().path().trim_end_matches('/') {
            "/ready" => ready(&self.sources),
            "/live" => live(&self.sources),
            "/metrics" => metrics(&self.sources, accept().unwrap_or_default()),
            "/status" => status(&self.sources),
            _ => return None,
        };
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return Some(answer);
        }
        let mut refusal = text(
            StatusCode::METHOD_NOT_ALLOWED,
            "405 method not allowed, supported: [GET, HEAD]\n",
        );
        refusal.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        Some(refusal)
    }
}

impl Handler for Probes {
    fn handle(self: Arc<Self>, request: Request<Incoming>, _: Peer) -> Reply {
        let answer = self.answer(&request);
        Box::pin(async { answer.unwrap_or_else(|| text(StatusCode::NOT_FOUND, "404 not found\n")) })
    }
}

/// 200 when requests are welcome, else 503 with the reason and how far the replay is.
fn ready(sources: &Sources) -> Response<Body> {
    let phase = sources.health.phase();
    if phase == Phase::Ready {
        return text(StatusCode::OK, "ready\n");
    }
    let replay = sources.store.status().replay;
    let (read, whole) = (replay.bytes >> 20, replay.bytes_total >> 20);
    let told = match phase {
        Phase::Replaying => format!("replaying the log: {read} of {whole} MiB\n"),
        phase => format!("{phase}\n"),
    };
    let mut answer = text(StatusCode::SERVICE_UNAVAILABLE, told);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// 200 as long as a restart would not help.
fn live(sources: &Sources) -> Response<Body> {
    if sources.health.is_live() {
        text(StatusCode::OK, "live\n")
    } else {
        text(StatusCode::SERVICE_UNAVAILABLE, "the disk failed\n")
    }
}

fn metrics(sources: &Sources, accept: &str) -> Response<Body> {
    let format = Format::of(accept);
    answer(StatusCode::OK, format.content_type(), page(sources, format))
}

fn status(sources: &Sources) -> Response<Body> {
    match serde_json::to_string(&Status::now(sources)) {
        Ok(json) => answer(StatusCode::OK, "application/json", json),
        Err(fault) => {
            error!(%fault, "cannot write the status");
            text(StatusCode::INTERNAL_SERVER_ERROR, "the status cannot be written\n")
        }
    }
}

fn text(status: StatusCode, body: impl Into<String>) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", body.into())
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
