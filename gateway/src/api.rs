//! The query API: what Grafana and people ask over HTTP, on the query and the admin port.
//!
//! Requests come from a [`crate::server::Server`] through a [`Door`]; each finds its row in
//! [`ROUTES`], the row's handler reads the store through [`Traces`] and answers with bytes. A
//! handler is a plain function: a heavy one runs on the compute pool, so that nothing computes
//! where bytes are moved. The contract is Grafana Tempo's; where we differ is told in
//! `docs/reference/api.md`.
//!
//! ```text
//! let api = Api::new(config, parts);
//! let rest = Arc::new(Door::new(&api, Listener::Query));
//! let handler = Arc::new(Port::new(&receiver, "the query API", Some(rest)));
//! ```

mod admin;
mod answer;
mod call;
mod error;
mod search;
mod tempo;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header, request};
use hyper::body::Incoming;
use model::metric::{Counter, Histogram};
use model::{Clock, Faults, TenantId, TimeRange, TraceId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::compute::{Compute, Weight};
use crate::receiver::Tenancy;
use crate::server::{Body, Handler, Peer, Reply};
use answer::Answer;
use call::Call;
use error::Fault;

/// How the API behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A path in front of every path of the API, such as `/tempo`, for proxies that do not take it
    /// off. Paths without it go on to be served. Default none.
    pub base_path: String,
}

impl Config {
    /// Notes every value that is not accepted; `key` is the dotted key of this section.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        let path = &self.base_path;
        let odd = |byte: u8| !byte.is_ascii_graphic() || b"?#%".contains(&byte);
        let slashes = !path.starts_with('/') || path.ends_with('/') || path.contains("//");
        if !path.is_empty() && (slashes || path.bytes().any(odd)) {
            let accepted = "a path such as /tempo, without a slash at its end";
            faults.push(&format!("{key}.base_path"), path, accepted);
        }
    }
}

/// The port that a request came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The one for Grafana and people.
    Query,
    /// The one for operators.
    Admin,
}

/// What the API reads traces from: the store, or a stand-in of a test.
pub trait Traces: Send + Sync {
    /// All spans of a trace, or `None`. Computes.
    ///
    /// # Errors
    /// As [`store::Store::trace`].
    fn trace(
        &self,
        tenant: &TenantId,
        id: TraceId,
        during: TimeRange,
    ) -> Result<Option<store::Trace>, store::Error>;

    /// Finds traces. Computes.
    ///
    /// # Errors
    /// As [`store::Store::search`].
    fn search(
        &self,
        tenant: &TenantId,
        search: &store::Search,
    ) -> Result<store::Found, store::Error>;

    /// Seals what is in memory, and merges what is sealed for [`store::Level::L1`]. Blocks.
    ///
    /// # Errors
    /// As [`store::Store::flush`].
    fn flush(&self, level: store::Level) -> Result<store::Flushed, store::Error>;
}

impl Traces for store::Store {
    fn trace(
        &self,
        tenant: &TenantId,
        id: TraceId,
        during: TimeRange,
    ) -> Result<Option<store::Trace>, store::Error> {
        Self::trace(self, tenant, id, during)
    }

    fn search(
        &self,
        tenant: &TenantId,
        search: &store::Search,
    ) -> Result<store::Found, store::Error> {
        Self::search(self, tenant, search)
    }

    fn flush(&self, level: store::Level) -> Result<store::Flushed, store::Error> {
        Self::flush(self, level)
    }
}

/// What the probes are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Whether the process is of use, now or later (`/live`).
    pub live: bool,
    /// Whether requests are welcome (`/ready`).
    pub ready: bool,
    /// One line for people: the role, or how far the replay is.
    pub text: String,
}

/// The metrics page.
#[derive(Clone, Debug)]
pub struct Page {
    /// The `Content-Type` of the format.
    pub content_type: &'static str,
    /// The page.
    pub text: String,
}

/// What the API works with.
pub struct Parts {
    /// Where traces are read.
    pub traces: Arc<dyn Traces>,
    /// How tenants are told apart.
    pub tenancy: Tenancy,
    /// Where computing happens.
    pub compute: Compute,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What the probes are told.
    pub health: Arc<dyn Fn() -> Health + Send + Sync>,
    /// The metrics page, in the format that the given `Accept` header asks for.
    pub metrics: Arc<dyn Fn(&str) -> Page + Send + Sync>,
    /// What `GET /status` on the admin port says.
    pub status: Arc<dyn Fn() -> Value + Send + Sync>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("tenancy", &self.tenancy).finish_non_exhaustive()
    }
}

/// One endpoint.
pub struct Route {
    /// The method; `HEAD` goes with `GET`.
    pub method: Method,
    /// The path; `{id}` stands for one segment.
    pub path: &'static str,
    /// What it answers, in one sentence.
    pub doc: &'static str,
    /// The ports that serve it.
    pub listeners: &'static [Listener],
    weight: Weight,
    handler: fn(&Api, &Call) -> Result<Answer, Fault>,
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

const QUERY: &[Listener] = &[Listener::Query];
const ADMIN: &[Listener] = &[Listener::Admin];
const BOTH: &[Listener] = &[Listener::Query, Listener::Admin];

/// Every endpoint. On the query port each path also works behind the base path and behind
/// `/api/traces/v1/{tenant}/tempo`.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/api/traces/{id}",
        doc: "All spans of a trace, as Tempo's first version writes them: JSON with `batches`, or \
              protobuf.",
        listeners: QUERY,
        weight: Weight::Heavy,
        handler: tempo::trace_v1,
    },
    Route {
        method: Method::GET,
        path: "/api/v2/traces/{id}",
        doc: "All spans of a trace, in an envelope with `trace` and `metrics`: JSON or protobuf.",
        listeners: QUERY,
        weight: Weight::Heavy,
        handler: tempo::trace_v2,
    },
    Route {
        method: Method::GET,
        path: "/api/search",
        doc: "Traces that match tags, durations and times, newest first.",
        listeners: QUERY,
        weight: Weight::Heavy,
        handler: search::search,
    },
    Route {
        method: Method::GET,
        path: "/api/echo",
        doc: "Says `echo`: Grafana's test of a data source.",
        listeners: QUERY,
        weight: Weight::Light,
        handler: tempo::echo,
    },
    Route {
        method: Method::GET,
        path: "/api/status/buildinfo",
        doc: "The version of Tempo whose contract this is, and our own.",
        listeners: BOTH,
        weight: Weight::Light,
        handler: tempo::buildinfo,
    },
    Route {
        method: Method::GET,
        path: "/status/services",
        doc: "The parts of the process and their state, as a list.",
        listeners: BOTH,
        weight: Weight::Light,
        handler: admin::services,
    },
    Route {
        method: Method::GET,
        path: "/status",
        doc: "What the process does: log, head, budgets, lag.",
        listeners: ADMIN,
        weight: Weight::Heavy,
        handler: admin::status,
    },
    Route {
        method: Method::POST,
        path: "/flush",
        doc: "Seals the head into L0 files (`level=l0`), and merges all of L0 into blocks \
              (`level=l1`); answers when that is done.",
        listeners: ADMIN,
        weight: Weight::Blocking,
        handler: admin::flush,
    },
    Route {
        method: Method::GET,
        path: "/ready",
        doc: "200 when requests are welcome, else 503 and how far the start is.",
        listeners: BOTH,
        weight: Weight::Light,
        handler: admin::ready,
    },
    Route {
        method: Method::GET,
        path: "/live",
        doc: "200 while the process is of use, now or later.",
        listeners: BOTH,
        weight: Weight::Light,
        handler: admin::live,
    },
    Route {
        method: Method::GET,
        path: "/metrics",
        doc: "Metrics for Prometheus, as text or OpenMetrics.",
        listeners: BOTH,
        weight: Weight::Heavy,
        handler: admin::metrics,
    },
];

/// What the metrics page shows of one route.
#[derive(Debug, Default)]
pub struct Stats {
    /// Requests that were answered.
    pub answered: Counter,
    /// Requests that were refused: the client's fault (4xx).
    pub refused: Counter,
    /// Requests that failed: ours (5xx).
    pub failed: Counter,
    /// How long the answers took, waiting for a compute thread included.
    pub time: Histogram,
}

impl Stats {
    fn count(&self, answer: &Answer, nanos: u64) {
        let status = answer.status();
        match (status.is_server_error(), status.is_client_error()) {
            (true, _) => self.failed.inc(),
            (_, true) => self.refused.inc(),
            _ => self.answered.inc(),
        }
        self.time.record(nanos);
    }
}

/// The query API of the process, shared by its ports.
pub struct Api {
    config: Config,
    parts: Parts,
    /// By place in [`ROUTES`].
    stats: Vec<Stats>,
    /// Requests that found no route.
    unknown: Counter,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Api {
    /// An API over these parts.
    #[must_use]
    pub fn new(config: Config, parts: Parts) -> Arc<Self> {
        let stats = ROUTES.iter().map(|_| Stats::default()).collect();
        Arc::new(Self { config, parts, stats, unknown: Counter::new() })
    }

    /// The counters of each route.
    pub fn stats(&self) -> impl Iterator<Item = (&'static Route, &Stats)> {
        ROUTES.iter().zip(&self.stats)
    }

    /// How many requests found no route, or not by their method.
    pub fn unknown(&self) -> u64 {
        self.unknown.get()
    }

    /// Answers a request by its head; none of the routes reads a body.
    ///
    /// # Cancel safety
    /// Dropped, a job that runs on the compute pool runs to its end; its answer is lost.
    pub async fn answer(
        self: Arc<Self>,
        head: request::Parts,
        listener: Listener,
    ) -> Response<Bytes> {
        let without_body = head.method == Method::HEAD;
        let answer = match self.find(&head, listener) {
            Ok((place, route, call)) => Arc::clone(&self).run(place, route, call).await,
            Err(fault) => {
                self.unknown.inc();
                fault.into()
            }
        };
        answer.into_response(without_body)
    }

    /// The row of a request and what its handler needs.
    fn find(
        &self,
        head: &request::Parts,
        listener: Listener,
    ) -> Result<(usize, &'static Route, Call), Fault> {
        let path = call::Path::of(head.uri.path(), &self.config.base_path);
        let mut allowed = None;
        for (place, route) in ROUTES.iter().enumerate() {
            if !route.listeners.contains(&listener) {
                continue;
            }
            let Some(id) = path.matches(route.path) else { continue };
            let is_read = head.method == Method::HEAD && route.method == Method::GET;
            if head.method == route.method || is_read {
                return Ok((place, route, Call::new(head, id, path.tenant)));
            }
            allowed = Some(&route.method);
        }
        Err(match allowed {
            Some(method) => Fault::method(method),
            None => Fault::not_found(format!("nothing lives at {}", head.uri.path())),
        })
    }

    async fn run(self: Arc<Self>, place: usize, route: &'static Route, call: Call) -> Answer {
        let start = self.parts.clock.monotonic();
        let api = Arc::clone(&self);
        let job = move || {
            let answer = (route.handler)(&api, &call).unwrap_or_else(Answer::from);
            if call.takes_gzip() { answer.packed() } else { answer }
        };
        let done = self.parts.compute.run(route.weight, job).await;
        let answer = done.unwrap_or_else(|error| Fault::from(error).into());
        if let Some(stats) = self.stats.get(place) {
            stats.count(&answer, self.parts.clock.monotonic().minus(start).0);
        }
        answer
    }

    /// Whose traces a request is about.
    fn tenant(&self, call: &Call) -> Result<TenantId, Fault> {
        if self.parts.tenancy == Tenancy::Single {
            return Ok(TenantId::single());
        }
        let named = call.tenant()?;
        match (self.parts.tenancy.tenant(call.headers()), named) {
            (Ok(tenant), Some(named)) if tenant != named => {
                Err(Fault::invalid("the path and the X-Scope-OrgID header name different tenants"))
            }
            (Err(crate::receiver::tenancy::Refusal::Missing), Some(named)) => Ok(named),
            (tenant, _) => Ok(tenant?),
        }
    }
}

/// One port's way into the API.
#[derive(Debug)]
pub struct Door {
    api: Arc<Api>,
    listener: Listener,
}

impl Door {
    /// The handler of a port.
    #[must_use]
    pub fn new(api: &Arc<Api>, listener: Listener) -> Self {
        Self { api: Arc::clone(api), listener }
    }
}

impl Handler for Door {
    fn handle(self: Arc<Self>, request: Request<Incoming>, _peer: Peer) -> Reply {
        let (head, _) = request.into_parts();
        let answer = Arc::clone(&self.api).answer(head, self.listener);
        Box::pin(async move { answer.await.map(Body::from) })
    }
}

/// Whether a header that lists things (`Accept`, `Accept-Encoding`) names one of them, and not
/// with weight zero.
fn lists(headers: &HeaderMap, name: header::HeaderName, wanted: &[&str]) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let named = parts
            .next()
            .is_some_and(|thing| wanted.iter().any(|wanted| thing.eq_ignore_ascii_case(wanted)));
        named && !parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}
