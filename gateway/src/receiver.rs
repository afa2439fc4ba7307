//! The OTLP receivers: gRPC and HTTP on every port, told apart by content type.
//!
//! Requests come from a [`crate::server::Server`] through a [`Port`]; spans go to the [`Sink`],
//! and the answer waits until they are durable. Whatever is not OTLP goes to the port's own
//! handler (the query API on its port). The order is the cheapest check first: tenant, coding, the
//! declared size, the rate of bytes, a place, the bytes that are waited for; only then is anything
//! decompressed, and counted again.
//!
//! ```text
//! let receiver = Receiver::new(config, auth, log_spans, parts);
//! let handler = Arc::new(Port::new(&receiver, "what GET / says", Some(api)));
//! tasks.spawn("http", async move { server.serve(handler, None, drain).await; });
//! ```

pub mod body;
mod buffers;
mod chains;
pub mod cors;
pub mod decode;
mod descriptor;
pub mod ingest;
mod otlp_grpc;
mod otlp_http;
pub mod pb;
pub mod reply;
mod routed;
pub mod sample;
mod services;
pub mod stats;
mod tally;

use std::fmt;
use std::sync::Arc;

use http::{Method, Request, StatusCode, request};
use hyper::body::Incoming;
use model::{Clock, Faults, Nanos};
use serde::{Deserialize, Serialize};
use tracing::warn;

pub use buffers::Buffers;
pub use ingest::Sink;
pub(crate) use otlp_grpc::is_grpc;
pub use sample::LogSpans;
pub use stats::Stats;

use crate::attach::Plugins;
use crate::auth::Auth;
use crate::clock::Tasks;
use crate::compute::Compute;
use crate::limits::{self, Accounts, Admission, Throttle};
use crate::server::{Handler, Peer, Reply};
use chains::Chains;
use ingest::{Intake, Sender};
use reply::Fault;
use services::{Serves, Services};

/// How the receivers behave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How much may be in flight.
    pub limits: limits::Config,
    /// How slowly bodies may come.
    pub body: body::Config,
    /// What becomes of metrics, logs and profiles. Default `refuse`.
    pub other_signals: OtherSignals,
    /// Which web pages may send spans. Default none.
    pub cors: cors::Config,
}

impl Config {
    /// Notes every value that is not accepted; `key` is the dotted key of this section.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        self.limits.check(&format!("{key}.limits"), faults);
        self.body.check(&format!("{key}.body"), faults);
        self.cors.check(&format!("{key}.cors"), faults);
    }
}

/// What becomes of signals that are no traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OtherSignals {
    /// They are refused for good, so that whoever sends them learns of it.
    #[default]
    Refuse,
    /// They are taken and thrown away, for senders that cannot be told apart.
    Discard,
}

/// What OTLP carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    Traces,
    Metrics,
    Logs,
    Profiles,
}

impl Signal {
    const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
            Self::Logs => "logs",
            Self::Profiles => "profiles",
        }
    }

    fn refusal(self) -> String {
        format!("only traces are stored here, no {}", self.name())
    }
}

/// What a receiver works with.
pub struct Parts {
    /// Who may send how much.
    pub accounts: Arc<Accounts>,
    /// What spans pass on their way.
    pub plugins: Arc<Plugins>,
    /// Where spans go.
    pub sink: Arc<dyn Sink>,
    /// Where computing happens.
    pub compute: Compute,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who owns the tasks that outlive their request.
    pub tasks: Tasks,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("compute", &self.compute).finish_non_exhaustive()
    }
}

/// The receivers of all ports.
pub struct Receiver {
    config: Config,
    admission: Admission,
    intake: Arc<Intake>,
    compute: Compute,
    tasks: Tasks,
    cors: cors::Cors,
    /// Health and reflection on ports that take spans alone.
    services: Services,
    /// The same on those that answer queries, too.
    query_services: Services,
    /// Metrics and logs tend to come for ever: one line a while is enough.
    other_seen: Throttle,
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Receiver {
    /// A receiver that is not ready yet, as its health service says.
    #[must_use]
    pub fn new(config: Config, auth: Arc<Auth>, log_spans: LogSpans, parts: Parts) -> Arc<Self> {
        let Parts { accounts, plugins, sink, compute, clock, tasks } = parts;
        let buffers = Buffers::default();
        let intake = Intake {
            auth,
            accounts,
            sink,
            stats: Arc::default(),
            body_bytes_max: config.limits.body_bytes_max.as_usize(),
            spans: sample::SpanLog::new(log_spans, Arc::clone(&clock)),
            clock,
            chains: Chains::new(plugins, buffers.clone()),
            buffers,
        };
        Arc::new(Self {
            admission: Admission::new(config.limits.clone()),
            intake: Arc::new(intake),
            compute,
            tasks,
            cors: cors::Cors::new(&config.cors, "POST", "retry-after"),
            services: Services::new(Serves::Spans),
            query_services: Services::new(Serves::SpansAndQueries),
            other_seen: Throttle::new(1, Nanos::from_secs(60)),
            config,
        })
    }

    /// The receivers' counters.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.intake.stats
    }

    /// The admission's counters: what is in flight.
    #[must_use]
    pub fn admission_stats(&self) -> &Arc<limits::Stats> {
        self.admission.stats()
    }

    /// Tells the gRPC health service whether requests are welcome.
    pub async fn set_ready(&self, ready: bool) {
        self.services.set_ready(ready).await;
        self.query_services.set_ready(ready).await;
    }

    /// Health and reflection of a port.
    const fn services(&self, serves: Serves) -> &Services {
        match serves {
            Serves::Spans => &self.services,
            Serves::SpansAndQueries => &self.query_services,
        }
    }

    /// Whose spans a request brings, and from which cluster.
    async fn sender(&self, head: &request::Parts, peer: &Peer) -> Result<Sender, Fault> {
        let caller = self.intake.auth.identify(head, peer).await?;
        let tenant = caller.writes();
        let tenant = tenant.inspect_err(|denied| self.intake.auth.note(denied, peer))?;
        let principal = Arc::clone(caller.principal());
        Ok(Sender::new(tenant, principal, &self.intake.accounts, Some(peer.addr.ip())))
    }

    /// Counts a request of another signal, and says what becomes of it.
    fn other(&self, signal: Signal) -> OtherSignals {
        let stats = &self.intake.stats;
        match self.config.other_signals {
            OtherSignals::Refuse => stats.other_signals.inc(),
            OtherSignals::Discard => stats.discarded.inc(),
        }
        if self.other_seen.take(self.intake.clock.monotonic(), 1) == 1 {
            let (signal, rule) = (signal.name(), self.config.other_signals);
            warn!(signal, ?rule, "somebody sends another signal than traces; see other_signals");
        }
        self.config.other_signals
    }
}

/// The handler of one port: OTLP first, then what is special to the port.
pub struct Port {
    receiver: Arc<Receiver>,
    about: String,
    rest: Option<Arc<dyn Handler>>,
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("about", &self.about).finish_non_exhaustive()
    }
}

impl Port {
    /// A port that says `about` on `GET /` and leaves to `rest` what is not OTLP.
    #[must_use]
    pub fn new(
        receiver: &Arc<Receiver>,
        about: impl Into<String>,
        rest: Option<Arc<dyn Handler>>,
    ) -> Self {
        Self { receiver: Arc::clone(receiver), about: about.into(), rest }
    }
}

impl Handler for Port {
    fn handle(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> Reply {
        if is_grpc(request.headers()) {
            let is_ours = otlp_grpc::serves(&self.receiver, request.uri().path());
            return match &self.rest {
                Some(rest) if !is_ours => Arc::clone(rest).handle(request, peer),
                rest => {
                    let queries = rest.as_ref().map(|_| Serves::SpansAndQueries);
                    let serves = queries.unwrap_or(Serves::Spans);
                    Box::pin(otlp_grpc::handle(Arc::clone(&self.receiver), serves, request, peer))
                }
            };
        }
        if let Some(signal) = otlp_http::route(request.uri().path()) {
            return Box::pin(otlp_http::handle(Arc::clone(&self.receiver), signal, request, peer));
        }
        if request.uri().path() == "/" && matches!(*request.method(), Method::GET | Method::HEAD) {
            let about = format!("{}\n", self.about);
            return Box::pin(async { reply::text(StatusCode::OK, about) });
        }
        match &self.rest {
            Some(rest) => Arc::clone(rest).handle(request, peer),
            None => Box::pin(async {
                reply::text(StatusCode::NOT_FOUND, "404 nothing lives here; spans go to /v1/traces")
            }),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
