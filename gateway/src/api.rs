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
mod collapse;
mod config;
mod diff;
mod error;
mod guard;
mod hint;
mod llm;
mod names;
mod overrides;
pub(crate) mod pb;
mod plugins;
mod prune;
mod redact;
mod routes;
mod search;
mod series;
mod span;
mod stream;
mod tempo;
#[cfg(test)]
mod tests;
mod time;
mod traces;
mod value;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header, request};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use model::metric::{Counter, Histogram};
use model::{Clock, Federation, Nanos};
use serde_json::Value;

pub use config::Config;
pub use routes::{Listener, ROUTES, Route};
pub use stream::METHODS;
pub use traces::Traces;

use crate::attach::Plugins;
use crate::auth::{Auth, Caller, Scope};
use crate::clock;
use crate::compute::Compute;
use crate::limits::{self, Accounts, Admission};
use crate::receiver::cors::Cors;
use crate::receiver::is_grpc;
use crate::server::{Body, Handler, Peer, Reply};
use answer::Answer;
use call::Call;
use error::Fault;
use guard::Guard;

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

/// The configuration as YAML, secrets hidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// All of it.
    pub all: String,
    /// What it would be if nobody said anything.
    pub defaults: String,
    /// What is not as it would be, a line for each key.
    pub changed: String,
}

/// What the API works with.
pub struct Parts {
    /// Where traces are read.
    pub traces: Arc<dyn Traces>,
    /// Who asks.
    pub auth: Arc<Auth>,
    /// Who may ask how much.
    pub accounts: Arc<Accounts>,
    /// What spans pass on their way in.
    pub plugins: Arc<Plugins>,
    /// Where computing happens that is quick.
    pub compute: Compute,
    /// Where queries are evaluated: threads of their own, so that a long one holds up nobody's
    /// spans and no probe.
    pub queries: Compute,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What the probes are told.
    pub health: Arc<dyn Fn() -> Health + Send + Sync>,
    /// The metrics page, in the format that the given `Accept` header asks for.
    pub metrics: Arc<dyn Fn(&str) -> Page + Send + Sync>,
    /// What `GET /status` on the admin port says.
    pub status: Arc<dyn Fn() -> Value + Send + Sync>,
    /// What `GET /status/usage` says.
    pub usage: Arc<dyn Fn() -> Value + Send + Sync>,
    /// What the process runs with.
    pub settings: Arc<Settings>,
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").field("auth", &self.auth).finish_non_exhaustive()
    }
}

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
    fn count(&self, status: StatusCode, nanos: u64) {
        match (status.is_server_error(), status.is_client_error()) {
            (true, _) => self.failed.inc(),
            (_, true) => self.refused.inc(),
            _ => self.answered.inc(),
        }
        self.time.record(nanos);
    }
}

/// The headers of answers that web pages may read.
const EXPOSED: &str = "link, retry-after, x-traceweir-hint, x-traceweir-partial, \
                       x-traceweir-spans-left-out";

/// The query API of the process, shared by its ports.
pub struct Api {
    config: Config,
    cors: Cors,
    parts: Parts,
    admission: Admission,
    /// By place in [`ROUTES`].
    stats: Vec<Stats>,
    /// By place in [`METHODS`].
    calls: Vec<Stats>,
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
        let calls = METHODS.iter().map(|_| Stats::default()).collect();
        let cors = Cors::new(&config.cors, "GET, HEAD, POST", EXPOSED);
        let admission = Admission::of_made(config.admission());
        let unknown = Counter::new();
        Arc::new(Self { config, cors, parts, admission, stats, calls, unknown })
    }

    /// What is in flight.
    #[must_use]
    pub fn admission_stats(&self) -> &Arc<limits::Stats> {
        self.admission.stats()
    }

    /// The counters of each route and each gRPC method, by its path.
    pub fn stats(&self) -> impl Iterator<Item = (&'static str, &Stats)> {
        let routes = ROUTES.iter().map(|route| route.path).zip(&self.stats);
        routes.chain(METHODS.iter().map(|call| call.path).zip(&self.calls))
    }

    /// Counts a gRPC call that came in at `start`.
    fn count_call(&self, place: usize, status: StatusCode, start: Nanos) {
        if let Some(stats) = self.calls.get(place) {
            stats.count(status, self.parts.clock.monotonic().minus(start).0);
        }
    }

    /// How many requests found no route, or not by their method.
    pub fn unknown(&self) -> u64 {
        self.unknown.get()
    }

    /// Answers a request. Its body is read where the route takes one.
    ///
    /// # Cancel safety
    /// Dropped, a query is told to end early; its answer is lost.
    pub async fn answer<B>(
        self: Arc<Self>,
        request: Request<B>,
        from: (Listener, &Peer),
    ) -> Response<Bytes>
    where
        B: hyper::body::Body<Data: Send, Error: Error + Send + Sync + 'static> + Send,
    {
        let (head, body) = request.into_parts();
        let without_body = head.method == Method::HEAD;
        let answer = match self.find(&head, from.0) {
            Ok((place, route, call)) => match self.admit(route, (&head, &call), from).await {
                Ok(caller) => match read(body, route.body_bytes_max).await {
                    Ok(body) => {
                        let call = self.guarded(route, call.of(caller, body));
                        Arc::clone(&self).run(place, route, call).await
                    }
                    Err(fault) => fault.into(),
                },
                Err(fault) => {
                    if let Some(stats) = self.stats.get(place) {
                        stats.count(fault.status(), 0);
                    }
                    fault.into()
                }
            },
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
        let (mut allowed, mut is_named) = (Vec::new(), false);
        for (place, route) in ROUTES.iter().enumerate() {
            if !route.listeners.contains(&listener) {
                continue;
            }
            // What is named is no `{id}` of another row.
            if is_named && route.path.contains('{') {
                continue;
            }
            let Some(id) = path.matches(route.path) else { continue };
            let is_read = head.method == Method::HEAD && route.method == Method::GET;
            if head.method == route.method || is_read {
                return Ok((place, route, Call::new(head, id, path.tenant)));
            }
            allowed.push(route.method.as_str());
            is_named |= !route.path.contains('{');
        }
        Err(if allowed.is_empty() {
            Fault::not_found(format!("nothing lives at {}", head.uri.path()))
        } else {
            Fault::method(&allowed.join(", "))
        })
    }

    /// Who asks, where the route wants to know.
    async fn admit(
        &self,
        route: &Route,
        (head, call): (&request::Parts, &Call),
        (listener, peer): (Listener, &Peer),
    ) -> Result<Option<Caller>, Fault> {
        let auth = &self.parts.auth;
        let Some(scope) = auth.needs(route.access, listener == Listener::Admin) else {
            return Ok(None);
        };
        let caller = auth.identify(head, peer).await?;
        let caller = match call.tenants()? {
            None => Ok(caller),
            Some(named) => caller.naming(named, "path"),
        };
        let admitted = caller.and_then(|caller| {
            caller.owns()?;
            caller.principal().require(scope)?;
            Ok(caller)
        });
        let caller = admitted.inspect_err(|denied| auth.note(denied, peer))?;
        if scope == Scope::Admin {
            auth.audit(&caller, peer, head.method.as_str(), head.uri.path());
        }
        Ok(Some(caller))
    }

    /// The same request with the limits of those whose traces it reads; the handler tells what is wrong with
    /// them.
    fn guarded(&self, route: &Route, call: Call) -> Call {
        let known = route.is_query().then(|| Self::tenants(&call).ok()).flatten();
        let class = call.caller().ok().and_then(|caller| caller.principal().class.clone());
        let guard = self.guard(known.as_ref(), class.as_ref(), None);
        call.within(guard)
    }

    /// What a query over traces of these tenants may cost.
    fn guard(
        &self,
        of: Option<&Federation>,
        class: Option<&Arc<str>>,
        wanted: Option<Nanos>,
    ) -> Guard {
        let tenants = of.into_iter().flat_map(Federation::iter);
        let accounts = tenants.map(|tenant| self.parts.accounts.account(tenant, class));
        Guard::of(accounts.collect(), self.parts.clock.monotonic(), wanted)
    }

    async fn run(self: Arc<Self>, place: usize, route: &'static Route, call: Call) -> Answer {
        let start = self.parts.clock.monotonic();
        let guard = call.guard().clone();
        let done = self.evaluate(route, call).await;
        if route.is_query() {
            guard.count(done.as_ref().err().and_then(Fault::reason));
        }
        let answer = done.unwrap_or_else(Answer::from);
        if let Some(stats) = self.stats.get(place) {
            stats.count(answer.status(), self.parts.clock.monotonic().minus(start).0);
        }
        answer
    }

    /// Has the handler answer, where it has its place.
    async fn evaluate(
        self: &Arc<Self>,
        route: &'static Route,
        call: Call,
    ) -> Result<Answer, Fault> {
        let (api, budget) = (Arc::clone(self), call.budget());
        let (lane, is_query) = (call.guard().lane(), route.is_query());
        // Probes and operators are never told to come back because of queries.
        let held = if is_query { Some(self.admission.enter(lane.account)?) } else { None };
        let _unwanted = CancelOnDrop(Arc::clone(&budget.cancelled));
        let job = move || {
            if budget.is_cancelled() {
                return Err(Fault::gone());
            }
            let answer = (route.handler)(&api, &call)?;
            Ok(if call.takes_gzip() { answer.packed() } else { answer })
        };
        let pool = if is_query { &self.parts.queries } else { &self.parts.compute };
        let answer = pool.run(route.weight, lane, job).await??;
        let Some(mut held) = held else { return Ok(answer) };
        held.grow_at_most(answer.len()).await?;
        Ok(answer.holding(held))
    }

    /// Whose traces a request is about.
    fn tenants(call: &Call) -> Result<Federation, Fault> {
        Ok(call.caller()?.reads()?)
    }
}

/// How long a client may take for the body of its request.
const BODY_WAIT: Duration = Duration::from_secs(10);

/// Reads a body of at most so many bytes; nothing where that is none.
async fn read<B>(body: B, bytes_max: usize) -> Result<Bytes, Fault>
where
    B: hyper::body::Body<Data: Send, Error: Error + Send + Sync + 'static> + Send,
{
    if bytes_max == 0 {
        return Ok(Bytes::new());
    }
    let all = Limited::new(body, bytes_max).collect();
    match clock::timeout(BODY_WAIT, all).await {
        None => Err(Fault::invalid("the body of the request does not come")),
        Some(Ok(body)) => Ok(body.to_bytes()),
        Some(Err(fault)) if fault.is::<LengthLimitError>() => Err(Fault::too_large(bytes_max)),
        Some(Err(fault)) => Err(Fault::invalid(format!("the body cannot be read: {fault}"))),
    }
}

/// Tells a query that nobody wants its answer any more. After the answer that means nothing.
#[derive(Debug)]
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
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
    fn handle(self: Arc<Self>, request: Request<Incoming>, peer: Peer) -> Reply {
        if self.listener == Listener::Query && is_grpc(request.headers()) {
            return Box::pin(stream::handle(Arc::clone(&self.api), request, peer));
        }
        if self.listener == Listener::Admin {
            return Box::pin(async move {
                let from = (self.listener, &peer);
                Arc::clone(&self.api).answer(request, from).await.map(Body::from)
            });
        }
        if let Some(answer) = self.api.cors.preflight(&request) {
            return Box::pin(std::future::ready(answer));
        }
        let origin = self.api.cors.origin(request.headers());
        Box::pin(async move {
            let answer = Arc::clone(&self.api).answer(request, (self.listener, &peer));
            let mut response = answer.await.map(Body::from);
            self.api.cors.allow(origin, &mut response);
            response
        })
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
