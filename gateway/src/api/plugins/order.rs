//! `/plugins/captures`: requests that somebody wants to see, masked, with what a plugin does to them.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use model::{Nanos, TenantId, Wait};
use plugins::trial::{Misfortune, Request, Subject};
use plugins::{CAPTURES_MAX, Capture, KEEP_MAX, ORDER_TIME_MAX, Order};
use serde::{Deserialize, Serialize};

use super::json;
use crate::api::Api;
use crate::api::answer::Answer;
use crate::api::call::Call;
use crate::api::error::Fault;

/// The longest request: an order.
pub(in crate::api) const REQUEST_BYTES_MAX: usize = 64 << 10;

/// What is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Whose requests; anybody's without it.
    tenant: Option<String>,
    /// How many.
    requests: usize,
    /// For how long they are waited for.
    wait: Wait,
    /// Keys whose values are not masked.
    #[serde(default)]
    keep: Vec<String>,
}

/// How an order stands.
#[derive(Debug, Serialize)]
struct State {
    open: bool,
    captured: usize,
    wanted: usize,
    /// Once nothing more comes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    captures: Vec<Told>,
}

/// A request, masked.
#[derive(Debug, Serialize)]
struct Told {
    tenant: String,
    /// Nanoseconds since 1970.
    at: u64,
    /// OTLP, as protobuf, in Base64.
    request: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Record>,
}

/// What a plugin makes of the masked request.
#[derive(Debug, Serialize)]
struct Record {
    plugin: String,
    version: String,
    digest: String,
    config: serde_json::Value,
    /// OTLP, as protobuf, in Base64.
    after: String,
    failures: Vec<Misfortune>,
}

/// `POST /plugins/captures`.
pub(in crate::api) fn begin(api: &Api, call: &Call) -> Result<Answer, Fault> {
    call.caller()?.operates_all()?;
    let wanted: Wanted = serde_json::from_slice(call.body())
        .map_err(|fault| Fault::invalid(format!("the body is no order: {fault}")))?;
    let Wanted { tenant, requests, wait, keep } = wanted;
    let named = |fault| Fault::invalid(format!("tenant: {fault}"));
    let tenant = tenant.as_deref().map(TenantId::parse).transpose().map_err(named)?;
    if !(1..=CAPTURES_MAX).contains(&requests) {
        return Err(Fault::invalid(format!("requests: {requests}, 1 to {CAPTURES_MAX}")));
    }
    if wait.nanos() == Nanos(0) || wait.nanos() > ORDER_TIME_MAX {
        let most = ORDER_TIME_MAX.0 / Nanos::SECOND.0;
        return Err(Fault::invalid(format!("wait: {wait}, up to {most}s")));
    }
    if keep.len() > KEEP_MAX {
        return Err(Fault::invalid(format!("keep: {} keys, {KEEP_MAX} at most", keep.len())));
    }
    // One that does not run is told before anybody waits.
    recorder(api, call)?;
    let registry = api.parts.plugins.registry();
    let until = registry.surroundings().clock.monotonic().plus(wait.nanos());
    registry.orders().begin(Order { tenant, requests, until, keep });
    state(api, call)
}

/// `GET /plugins/captures`.
pub(in crate::api) fn state(api: &Api, call: &Call) -> Result<Answer, Fault> {
    call.caller()?.operates_all()?;
    let registry = api.parts.plugins.registry();
    let state = registry.orders().state(registry.surroundings().clock.monotonic());
    let ordered = state.ok_or_else(|| Fault::not_found("nobody has ordered captures"))?;
    let recorder = recorder(api, call)?;
    let told = |capture: &Capture| Told {
        tenant: capture.tenant.to_string(),
        at: capture.at.0,
        request: BASE64_STANDARD.encode(&capture.body),
        record: recorder.as_ref().and_then(|recorder| recorder.record(capture)),
    };
    let captured = ordered.captures.len();
    let captures = match ordered.is_open {
        true => Vec::new(),
        false => ordered.captures.iter().map(told).collect(),
    };
    let wanted = ordered.order.requests;
    Ok(json(&State { open: ordered.is_open, captured, wanted, captures }))
}

/// `DELETE /plugins/captures`.
pub(in crate::api) fn end(api: &Api, call: &Call) -> Result<Answer, Fault> {
    call.caller()?.operates_all()?;
    api.parts.plugins.registry().orders().end();
    Ok(Answer::json("{}"))
}

/// The plugin that is asked for, if one is.
fn recorder(api: &Api, call: &Call) -> Result<Option<Recorder>, Fault> {
    call.parameters()?.get("plugin").map(|name| Recorder::of(api, name)).transpose()
}

/// Runs a plugin over what was captured, apart from the one that runs over what comes: it counts nothing there, and
/// no budget is used.
struct Recorder {
    name: String,
    subject: Subject,
    config: serde_json::Value,
}

impl Recorder {
    fn of(api: &Api, name: &str) -> Result<Self, Fault> {
        let registry = api.parts.plugins.registry();
        let entries = registry.entries();
        let missing = || Fault::not_found(format!("plugin {name:?} does not run"));
        let configured = &entries.get(name).ok_or_else(missing)?.configured;
        let (plugin, setup) = (configured.plugin(), configured.setup());
        let tables = std::sync::Arc::clone(&registry.surroundings().tables);
        let subject =
            Subject::of(std::sync::Arc::clone(plugin), setup.config.clone(), setup.limits);
        let subject = subject.with_tables(tables);
        Ok(Self { name: name.to_owned(), subject, config: setup.config.clone() })
    }

    /// Nothing where it is not run over spans.
    fn record(&self, capture: &Capture) -> Option<Record> {
        let request = Request::of(capture.body.clone()).ok()?;
        let configured = self.subject.configured().ok()?;
        let ran = self.subject.run(&configured, &request).ok()?;
        let plugin = self.subject.plugin();
        Some(Record {
            plugin: self.name.clone(),
            version: plugin.info().version.clone(),
            digest: plugin.digest().to_string(),
            config: self.config.clone(),
            after: BASE64_STANDARD.encode(&ran.body),
            failures: ran.failures,
        })
    }
}
