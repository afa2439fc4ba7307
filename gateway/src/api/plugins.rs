//! What plugins do, for operators; and what they have failed on, to find out why.

pub(super) mod order;

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use model::Nanos;
use plugins::registry::Entry;
use plugins::{Error, OnFailure};
use serde::Serialize;

use super::Api;
use super::answer::Answer;
use super::call::Call;
use super::error::Fault;
use crate::attach::tables::Told;

/// A plugin, as it runs.
#[derive(Debug, Serialize)]
struct Plugin {
    name: String,
    source: String,
    digest: String,
    plugin: String,
    version: String,
    world: &'static str,
    description: String,
    on_failure: OnFailure,
    breaker: &'static str,
    tenants_open: Vec<(String, &'static str)>,
    calls: u64,
    rows_in: u64,
    rows_out: u64,
    nanoseconds_per_row: u64,
    edits: u64,
    failures: std::collections::BTreeMap<&'static str, u64>,
    dropped: std::collections::BTreeMap<String, u64>,
    instances: u64,
    memory_bytes: u64,
    /// What was fetched: an `ETag`, or the digest of a manifest.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    /// When it was fetched, where it runs as it was kept, and its source was not heard of since.
    #[serde(skip_serializing_if = "Option::is_none")]
    kept_since: Option<String>,
    /// Why a newer definition of it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

/// A table that they look things up in.
#[derive(Debug, Serialize)]
struct Table {
    name: String,
    source: String,
    entries: usize,
    bytes: usize,
    generation: u64,
    /// Since it was known to be as its source is; none: it never was.
    age_seconds: Option<u64>,
    refreshes: u64,
    failures: std::collections::BTreeMap<&'static str, u64>,
    /// Why it is not as its source is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

/// All of them.
#[derive(Debug, Serialize)]
struct Page {
    plugins: Vec<Plugin>,
    /// Plugins that are defined and do not run.
    faults: std::collections::BTreeMap<String, String>,
    tables: Vec<Table>,
    bundled: Vec<&'static str>,
}

/// `GET /status/plugins`.
pub(super) fn status(api: &Api, call: &Call) -> Result<Answer, Fault> {
    call.caller()?.operates_all()?;
    let registry = api.parts.plugins.registry();
    let mut faults = registry.faults();
    let entries = registry.entries();
    let of = |(name, entry): (&String, &Entry)| plugin(name, entry, faults.remove(name));
    let plugins = entries.iter().map(of).collect();
    let faults = faults.into_iter().map(|(name, fault)| (name, fault.to_string())).collect();
    let bundled = plugins::BUNDLED.iter().map(|(name, _)| *name).collect();
    let tables = tables(api);
    Ok(json(&Page { plugins, faults, tables, bundled }))
}

fn tables(api: &Api) -> Vec<Table> {
    let plugins = &api.parts.plugins;
    let mut sizes = plugins.registry().surroundings().tables.list();
    let of = |Told { name, source, state }: &Told| {
        let size = sizes.iter().position(|size| size.name == *name).map(|at| sizes.swap_remove(at));
        let size = size.unwrap_or_default();
        Table {
            name: name.clone(),
            source: source.clone(),
            entries: size.entries,
            bytes: size.bytes,
            generation: size.generation,
            age_seconds: plugins.keeper().age(state).map(|age| age.0 / 1_000_000_000),
            refreshes: state.refreshes.get(),
            failures: state.failures().filter(|(_, count)| *count > 0).collect(),
            fault: state.fault(),
        }
    };
    plugins.keeper().told().iter().map(of).collect()
}

fn plugin(name: &str, entry: &Entry, fault: Option<Error>) -> Plugin {
    let Entry { definition, configured, revision, kept_since, .. } = entry;
    let (plugin, stats) = (configured.plugin(), configured.stats());
    let (breaker, open) = configured.breakers();
    let rows = stats.rows_in.get();
    Plugin {
        name: name.to_owned(),
        source: definition.source.clone(),
        digest: plugin.digest().to_string(),
        plugin: plugin.info().name.clone(),
        version: plugin.info().version.clone(),
        world: plugin.world().name(),
        description: plugin.info().description.clone(),
        on_failure: definition.on_failure,
        breaker: breaker.as_str(),
        tenants_open: open
            .into_iter()
            .map(|(tenant, state)| (tenant.to_string(), state.as_str()))
            .collect(),
        calls: stats.calls.get(),
        rows_in: rows,
        rows_out: stats.rows_out.get(),
        nanoseconds_per_row: stats.guest_nanos.get().checked_div(rows).unwrap_or_default(),
        edits: stats.edits.get(),
        failures: stats.failures().filter(|(_, count)| *count > 0).collect(),
        dropped: stats.drops(),
        instances: stats.instances.get(),
        memory_bytes: stats.memory_bytes.get(),
        revision: revision.clone(),
        kept_since: kept_since.map(time),
        fault: fault.map(|fault| fault.to_string()),
    }
}

/// In UTC, to the second.
fn time(at: Nanos) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_nanos(at.0)).to_string()
}

/// `POST /plugins/reload`.
pub(super) fn reload(api: &Api, call: &Call) -> Result<Answer, Fault> {
    call.caller()?.operates_all()?;
    let faults = api.parts.plugins.reload().map_err(Fault::invalid)?;
    if let Some((name, fault)) = faults.iter().next() {
        return Err(Fault::invalid(format!("plugin {name}: {fault}; what was before stays")));
    }
    status(api, call)
}

/// A batch that a plugin failed on.
#[derive(Debug, Serialize)]
struct Failed {
    at: u64,
    plugin: String,
    digest: String,
    tenant: String,
    failure: &'static str,
    message: String,
    /// The batch, masked, in Base64.
    batch: String,
}

/// `GET /status/plugins/{id}/failures`.
pub(super) fn failures(api: &Api, call: &Call) -> Result<Answer, Fault> {
    call.caller()?.operates_all()?;
    let of = |poison: plugins::Poison| Failed {
        at: poison.at.0,
        plugin: poison.plugin,
        digest: poison.digest.to_string(),
        tenant: poison.tenant.to_string(),
        failure: poison.failure.as_str(),
        message: poison.message,
        batch: BASE64_STANDARD.encode(poison.batch),
    };
    let all = api.parts.plugins.registry().failures().of(call.id());
    Ok(json(&all.into_iter().map(of).collect::<Vec<_>>()))
}

/// A request, as it was stored.
#[derive(Debug, Serialize)]
struct Captured {
    tenant: String,
    /// OTLP, as protobuf, in Base64.
    request: String,
}

/// `GET /status/plugins/captures`.
pub(super) fn captures(api: &Api, call: &Call) -> Result<Answer, Fault> {
    call.caller()?.operates_all()?;
    let of = |sample: plugins::Sample| Captured {
        tenant: sample.tenant.to_string(),
        request: BASE64_STANDARD.encode(&sample.body),
    };
    let all = api.parts.plugins.registry().samples().latest();
    Ok(json(&all.into_iter().map(of).collect::<Vec<_>>()))
}

fn json(page: &impl Serialize) -> Answer {
    // Plain structs of text and numbers, which always can be written.
    Answer::json(serde_json::to_string(page).unwrap_or_default())
}
