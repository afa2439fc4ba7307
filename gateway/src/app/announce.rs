//! What a person at a terminal is told when the server is up: where to send, where to look.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;

use crate::server::{Body, Handler, Peer, Reply};

/// What the addresses and the directory are.
#[derive(Debug)]
pub(super) struct Announcement<'a> {
    pub(super) listeners: &'a [(&'static str, SocketAddr)],
    pub(super) data: &'a str,
}

/// What `GET /` says on a port.
pub(super) fn about(name: &str) -> &'static str {
    match name {
        "otlp_grpc" => "traceweir: OTLP, gRPC by convention; HTTP (POST /v1/traces) is told apart",
        "otlp_http" => "traceweir: OTLP, HTTP by convention (POST /v1/traces); gRPC is told apart",
        "http" => "traceweir: query API, the URL of a Grafana Tempo data source; OTLP, too",
        _ => "traceweir: administration; /status, /ready, /live, /metrics",
    }
}

/// Says on `GET /` what lives on a port that takes no OTLP.
pub(super) struct Greeter {
    pub(super) about: &'static str,
    pub(super) rest: Arc<dyn Handler>,
}

impl Handler for Greeter {
    fn handle(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> Reply {
        if request.uri().path() == "/" && request.method() == Method::GET {
            let mut answer = Response::new(Body::from(format!("{}\n", self.about)));
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            return Box::pin(async { answer });
        }
        Arc::clone(&self.rest).handle(request, peer)
    }
}

impl Announcement<'_> {
    /// Prints it where somebody reads along.
    pub(super) fn print_on_a_terminal(&self) {
        let mut err = std::io::stderr();
        if err.is_terminal() {
            // Nothing depends on it, and a closed terminal is no reason to stop.
            drop(err.write_all(self.text().as_bytes()));
        }
    }

    fn text(&self) -> String {
        let url = |name: &str| {
            let found = self.listeners.iter().find(|(known, _)| *known == name);
            found.map(|(_, addr)| format!("http://{addr}")).unwrap_or_default()
        };
        let (grpc, http, query) = (url("otlp_grpc"), url("otlp_http"), url("http"));
        let (admin, data) = (url("admin"), self.data);
        format!(
            "
  Send spans      OTLP gRPC {grpc}    OTLP HTTP {http}
                  OTEL_EXPORTER_OTLP_ENDPOINT={grpc}
                  traceweir demo
  See them        Grafana: add a Tempo data source with the URL {query}
                  curl '{query}/api/search?limit=5'
                  traceweir query trace TRACE_ID
  Look after it   traceweir status    {admin}
  Data            {data}

"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_and_the_directory_are_told() {
        let names = ["otlp_grpc", "otlp_http", "http", "admin"];
        let listeners: Vec<_> = (4001..)
            .zip(names)
            .map(|(port, name)| (name, SocketAddr::from(([127, 0, 0, 1], port))))
            .collect();
        let text = Announcement { listeners: &listeners, data: "/var/lib/x" }.text();
        for expected in ["http://127.0.0.1:4001", ":4002", ":4003", ":4004", "/var/lib/x"] {
            assert!(text.contains(expected), "{expected} not in {text}");
        }
        for name in names {
            assert!(about(name).starts_with("traceweir: ") && !about(name).contains('\n'));
        }
    }
}
