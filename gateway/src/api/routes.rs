//! Every endpoint, in one table.

use std::fmt;

use http::Method;

use super::answer::Answer;
use super::call::Call;
use super::error::Fault;
use super::{Api, admin, diff, names, overrides, plugins, redact, search, series, tempo};
use crate::auth::{Access, Scope};
use crate::compute::Weight;

/// The port that a request came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listener {
    /// The one for Grafana and people.
    Query,
    /// The one for operators.
    Admin,
}

/// One endpoint.
pub struct Route {
    /// The method; `HEAD` goes with `GET`.
    pub method: Method,
    /// The path; `{id}` stands for one segment, or for several in the middle.
    pub path: &'static str,
    /// What it answers, in one sentence.
    pub doc: &'static str,
    /// The ports that serve it.
    pub listeners: &'static [Listener],
    /// Who may ask.
    pub access: Access,
    /// The largest body, in bytes; of most none is read.
    pub(super) body_bytes_max: usize,
    pub(super) weight: Weight,
    pub(super) handler: fn(&Api, &Call) -> Result<Answer, Fault>,
}

impl Route {
    /// Whether it reads what is stored, which may take long: such jobs have threads of their own.
    pub(super) fn is_query(&self) -> bool {
        self.listeners == QUERY && self.weight == Weight::Heavy
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

const QUERY: &[Listener] = &[Listener::Query];
const ADMIN: &[Listener] = &[Listener::Admin];
const BOTH: &[Listener] = &[Listener::Query, Listener::Admin];

const READ: Access = Access::Scope(Scope::TracesRead);
const TELL: Access = Access::Scope(Scope::MetricsRead);
const OPERATE: Access = Access::Scope(Scope::Admin);

/// Every endpoint. On the query port each path also works behind the base path and behind
/// `/api/traces/v1/{tenant}/tempo`.
pub const ROUTES: &[Route] = &[
    Route {
        method: Method::GET,
        path: "/api/traces/{id}",
        doc: "All spans of a trace, as Tempo's first version writes them: JSON with `batches`, or \
              protobuf.",
        listeners: QUERY,
        access: READ,
        body_bytes_max: 0,
        weight: Weight::Heavy,
        handler: tempo::trace_v1,
    },
    // Before the next one, whose `{id}` it is not.
    Route {
        method: Method::POST,
        path: "/api/v2/traces/diff",
        doc: "What is different in one trace from another, as a list or a summary.",
        listeners: QUERY,
        access: READ,
        body_bytes_max: diff::REQUEST_BYTES_MAX,
        weight: Weight::Heavy,
        handler: diff::traces,
    },
    Route {
        method: Method::GET,
        path: "/api/v2/traces/{id}",
        doc: "All spans of a trace, in an envelope with `trace` and `metrics`: JSON or protobuf.",
        listeners: QUERY,
        access: READ,
        body_bytes_max: 0,
        weight: Weight::Heavy,
        handler: tempo::trace_v2,
    },
    Route {
        method: Method::GET,
        path: "/api/search",
        doc: "Traces that match a TraceQL query or tags, durations and times, newest first.",
        listeners: QUERY,
        access: READ,
        body_bytes_max: 0,
        weight: Weight::Heavy,
        handler: search::search,
    },
    Route {
        method: Method::GET,
        path: "/api/search/tags",
        doc: "Names of attributes, without their scopes.",
        listeners: QUERY,
        access: READ,
        body_bytes_max: 0,
        weight: Weight::Heavy,
        handler: names::tags_v1,
    },
    Route {
        method: Method::GET,
        path: "/api/v2/search/tags",
        doc: "Names of attributes by their scopes, and the intrinsics.",
        listeners: QUERY,
        access: READ,
        body_bytes_max: 0,
        weight: Weight::Heavy,
        handler: names::tags_v2,
    },
    Route {
        method: Method::GET,
        path: "/api/search/tag/{tag}/values",
        doc: "Values of an attribute, of whatever scope, as text.",
        listeners: QUERY,
        access: READ,
        body_bytes_max: 0,
        weight: Weight::Heavy,
        handler: names::values_v1,
    },
    Route {
        method: Method::GET,
        path: "/api/v2/search/tag/{scoped}/values",
        doc: "Values of an attribute of one scope or of an intrinsic, with their types.",
        listeners: QUERY,
        access: READ,
        body_bytes_max: 0,
        weight: Weight::Heavy,
        handler: names::values_v2,
    },
    Route {
        method: Method::GET,
        path: "/api/metrics/query_range",
        doc: "Series over time, of a TraceQL metrics query.",
        listeners: QUERY,
        access: READ,
        body_bytes_max: 0,
        weight: Weight::Heavy,
        handler: series::range,
    },
    Route {
        method: Method::GET,
        path: "/api/metrics/query",
        doc: "One number for each series, of a TraceQL metrics query over the whole range.",
        listeners: QUERY,
        access: READ,
        body_bytes_max: 0,
        weight: Weight::Heavy,
        handler: series::instant,
    },
    Route {
        method: Method::GET,
        path: "/api/overrides",
        doc: "The limits that hold for the tenant, as JSON.",
        listeners: QUERY,
        access: READ,
        body_bytes_max: 0,
        weight: Weight::Light,
        handler: overrides::own,
    },
    Route {
        method: Method::GET,
        path: "/api/echo",
        doc: "Says `echo`: Grafana's test of a data source.",
        listeners: QUERY,
        access: READ,
        body_bytes_max: 0,
        weight: Weight::Light,
        handler: tempo::echo,
    },
    Route {
        method: Method::GET,
        path: "/api/status/buildinfo",
        doc: "The version of Tempo whose contract this is, and our own.",
        listeners: BOTH,
        access: READ,
        body_bytes_max: 0,
        weight: Weight::Light,
        handler: tempo::buildinfo,
    },
    Route {
        method: Method::GET,
        path: "/status/services",
        doc: "The parts of the process and their state, as a list.",
        listeners: BOTH,
        access: TELL,
        body_bytes_max: 0,
        weight: Weight::Light,
        handler: admin::services,
    },
    Route {
        method: Method::GET,
        path: "/status/version",
        doc: "The versions in a line, for people.",
        listeners: BOTH,
        access: TELL,
        body_bytes_max: 0,
        weight: Weight::Light,
        handler: admin::version,
    },
    Route {
        method: Method::GET,
        path: "/status/endpoints",
        doc: "Every endpoint of the query and the admin port, a line for each.",
        listeners: BOTH,
        access: TELL,
        body_bytes_max: 0,
        weight: Weight::Light,
        handler: admin::endpoints,
    },
    Route {
        method: Method::GET,
        path: "/status/config",
        doc: "What the process runs with, secrets hidden: all of it as YAML, `mode=defaults`, or \
              `mode=diff` for what is not as usual.",
        listeners: ADMIN,
        access: OPERATE,
        body_bytes_max: 0,
        weight: Weight::Light,
        handler: admin::config,
    },
    Route {
        method: Method::GET,
        path: "/status/overrides",
        doc: "The file of overrides as it holds now, as YAML; for operators of every tenant.",
        listeners: ADMIN,
        access: OPERATE,
        body_bytes_max: 0,
        weight: Weight::Light,
        handler: overrides::file,
    },
    Route {
        method: Method::GET,
        path: "/status/overrides/{id}",
        doc: "The limits that hold for a tenant (`class` and `cluster` where they are given), each with where \
              it comes from, a line for each.",
        listeners: ADMIN,
        access: OPERATE,
        body_bytes_max: 0,
        weight: Weight::Light,
        handler: overrides::of_tenant,
    },
    Route {
        method: Method::GET,
        path: "/status/plugins",
        doc: "What plugins run, where from, and what they do and fail at, and the tables that they look things up in; for operators of every tenant.",
        listeners: ADMIN,
        access: OPERATE,
        body_bytes_max: 0,
        weight: Weight::Light,
        handler: plugins::status,
    },
    Route {
        method: Method::GET,
        path: "/status/plugins/captures",
        doc: "A few requests that came lately, as their plugins left them, in Base64; for operators of every tenant.",
        listeners: ADMIN,
        access: OPERATE,
        body_bytes_max: 0,
        weight: Weight::Light,
        handler: plugins::captures,
    },
    Route {
        method: Method::GET,
        path: "/status/plugins/{id}/failures",
        doc: "Batches that a plugin has failed on, masked, in Base64; for operators of every tenant.",
        listeners: ADMIN,
        access: OPERATE,
        body_bytes_max: 0,
        weight: Weight::Light,
        handler: plugins::failures,
    },
    Route {
        method: Method::POST,
        path: "/plugins/captures",
        doc: "Waits for the next few requests of a tenant, to keep them masked: `requests`, `wait`, and `tenant` and \
              `keep` (keys whose values are not masked); for operators of every tenant.",
        listeners: ADMIN,
        access: OPERATE,
        body_bytes_max: plugins::order::REQUEST_BYTES_MAX,
        weight: Weight::Light,
        handler: plugins::order::begin,
    },
    Route {
        method: Method::GET,
        path: "/plugins/captures",
        doc: "How many came; and once nothing more comes, all of them in Base64, with what `plugin` makes of them.",
        listeners: ADMIN,
        access: OPERATE,
        body_bytes_max: 0,
        weight: Weight::Blocking,
        handler: plugins::order::state,
    },
    Route {
        method: Method::DELETE,
        path: "/plugins/captures",
        doc: "Waits for no more, and forgets what came.",
        listeners: ADMIN,
        access: OPERATE,
        body_bytes_max: 0,
        weight: Weight::Light,
        handler: plugins::order::end,
    },
    Route {
        method: Method::POST,
        path: "/plugins/reload",
        doc: "Reads the file of plugins and what it names again, now; answers as `/status/plugins` does.",
        listeners: ADMIN,
        access: OPERATE,
        body_bytes_max: 0,
        weight: Weight::Blocking,
        handler: plugins::reload,
    },
    Route {
        method: Method::GET,
        path: "/status/usage",
        doc: "What each tenant has sent, by cluster, and asked since the start, what it has in blocks, what it \
              was refused, and what is left of its rates.",
        listeners: ADMIN,
        access: TELL,
        body_bytes_max: 0,
        weight: Weight::Heavy,
        handler: admin::usage,
    },
    Route {
        method: Method::GET,
        path: "/status",
        doc: "What the process does: log, head, budgets, lag.",
        listeners: ADMIN,
        access: TELL,
        body_bytes_max: 0,
        weight: Weight::Heavy,
        handler: admin::status,
    },
    Route {
        method: Method::POST,
        path: "/flush",
        doc: "Seals the head into L0 files (`level=l0`), and merges all of L0 into blocks \
              (`level=l1`); answers when that is done.",
        listeners: ADMIN,
        access: OPERATE,
        body_bytes_max: 0,
        weight: Weight::Blocking,
        handler: admin::flush,
    },
    Route {
        method: Method::DELETE,
        path: "/tenants/{id}",
        doc: "Deletes all that a tenant has, for good; what comes later is kept. Answers with the \
              blocks and spans that are gone.",
        listeners: ADMIN,
        access: OPERATE,
        body_bytes_max: 0,
        weight: Weight::Blocking,
        handler: admin::delete_tenant,
    },
    Route {
        method: Method::POST,
        path: "/redactions",
        doc: "Hides traces of a tenant from everybody, at once and for good, and takes them out of blocks \
              behind it: a JSON object with `tenant`, and `traces` (ids) or `query` (with `start` and \
              `end` in seconds).",
        listeners: ADMIN,
        access: OPERATE,
        body_bytes_max: redact::REQUEST_BYTES_MAX,
        weight: Weight::Blocking,
        handler: redact::begin,
    },
    Route {
        method: Method::GET,
        path: "/redactions",
        doc: "How far redactions are: the blocks that may still have some of the traces, and those that \
              are replaced and not deleted yet.",
        listeners: ADMIN,
        access: OPERATE,
        body_bytes_max: 0,
        weight: Weight::Heavy,
        handler: redact::list,
    },
    Route {
        method: Method::GET,
        path: "/ready",
        doc: "200 when requests are welcome, else 503 and how far the start is.",
        listeners: BOTH,
        access: Access::Open,
        body_bytes_max: 0,
        weight: Weight::Light,
        handler: admin::ready,
    },
    Route {
        method: Method::GET,
        path: "/live",
        doc: "200 while the process is of use, now or later.",
        listeners: BOTH,
        access: Access::Open,
        body_bytes_max: 0,
        weight: Weight::Light,
        handler: admin::live,
    },
    Route {
        method: Method::GET,
        path: "/metrics",
        doc: "Metrics for Prometheus, as text or OpenMetrics.",
        listeners: BOTH,
        access: Access::OpenOnAdmin(Scope::MetricsRead),
        body_bytes_max: 0,
        weight: Weight::Heavy,
        handler: admin::metrics,
    },
];
