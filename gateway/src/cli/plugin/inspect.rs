//! `traceweir plugin inspect`.

use std::fmt::Write as _;

use plugins::trial::Subject;
use plugins::{CONTRACT, Configured, Plugin, World};
use serde::Serialize;
use serde_json::Value;

use super::desk::{self, Fuel, Which};
use super::shown::Shown;
use super::{Exit, Stop, json, print};

/// Tell what a file is: world, imports, exports, what it reads and writes, schema, digest.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What it reads and writes goes by its configuration: without --config it is asked with none, `{}`.

Examples:
  traceweir plugin inspect shop-team.wasm
  traceweir plugin inspect bundled:redact --config '{\"patterns\": [\"card\"]}'
  traceweir plugin inspect shop-team.wasm --json | jq -r .config_schema

Exit codes:
  0  it is a plugin
  1  it is none, or its configuration is wrong
  2  wrong usage, or a file that cannot be read")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is told of it.
#[derive(Debug, Serialize)]
struct Told<'a> {
    name: &'a str,
    version: &'a str,
    description: &'a str,
    world: &'static str,
    contract: &'static str,
    stateless: bool,
    digest: String,
    /// Bytes of the file.
    bytes: usize,
    /// Bytes of the component, which differ where a core module was wrapped.
    component_bytes: usize,
    imports: &'a [String],
    exports: &'a [String],
    config_schema: Value,
    /// Nothing where it has to be configured to know.
    projection: Option<Shown>,
    /// The tenants that a router may name.
    #[serde(skip_serializing_if = "Option::is_none")]
    routes: Option<Vec<String>>,
    /// How often a refresher wants to be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    every_seconds: Option<u64>,
    /// Why there is no projection.
    #[serde(skip_serializing_if = "Option::is_none")]
    unconfigured: Option<String>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Stop> {
    let (engine, codes) = desk::engine(Fuel::Ignored)?;
    let bytes = args.which.bytes()?.len();
    let subject = args.which.subject((&engine, &codes))?;
    let (configured, unconfigured) = match subject.configured() {
        Ok(configured) => (Some(configured), None),
        Err(error) if args.which.config()?.is_none() => (None, Some(error.to_string())),
        Err(error) => return Err(error.into()),
    };
    let told = told(&subject, bytes, configured.as_deref(), unconfigured);
    Ok(print(&if args.json { json(&told) } else { text(&told) }))
}

fn told<'a>(
    subject: &'a Subject,
    bytes: usize,
    configured: Option<&Configured>,
    unconfigured: Option<String>,
) -> Told<'a> {
    let plugin: &Plugin = subject.plugin();
    let info = plugin.info();
    Told {
        name: &info.name,
        version: &info.version,
        description: &info.description,
        world: plugin.world().name(),
        contract: CONTRACT,
        stateless: info.stateless,
        digest: plugin.digest().to_string(),
        bytes,
        component_bytes: plugin.bytes(),
        imports: plugin.imports(),
        exports: plugin.exports(),
        // A schema that is none is told as it is.
        config_schema: serde_json::from_str(&info.config_schema)
            .unwrap_or_else(|_| Value::from(info.config_schema.clone())),
        projection: configured.map(|configured| Shown::of(configured.projection())),
        routes: configured.filter(|_| plugin.world() == World::Router).map(routes),
        every_seconds: configured.and_then(Configured::interval).map(|every| every.as_secs()),
        unconfigured,
    }
}

fn routes(configured: &Configured) -> Vec<String> {
    configured.routes().iter().map(ToString::to_string).collect()
}

fn text(told: &Told<'_>) -> String {
    let mut out = format!("{} {}\n", told.name, told.version);
    let mut row = |name: &str, value: &str| {
        let mut lines = value.lines();
        writeln!(out, "{name:<12}{}", lines.next().unwrap_or_default()).unwrap_or_default();
        lines.for_each(|line| writeln!(out, "{:<12}{line}", "").unwrap_or_default());
    };
    let listed = |names: &[String]| match names {
        [] => "nothing".to_owned(),
        names => names.join("\n"),
    };
    row("does", told.description);
    row("world", &format!("{} of {}", told.world, told.contract));
    row("stateless", if told.stateless { "yes" } else { "no" });
    row("digest", &told.digest);
    let wrapped = match told.component_bytes == told.bytes {
        true => String::new(),
        false => format!(", as a component {}", told.component_bytes),
    };
    row("bytes", &format!("{}{wrapped}", told.bytes));
    row("imports", &listed(told.imports));
    row("exports", &listed(told.exports));
    match (&told.projection, &told.unconfigured) {
        (Some(projection), _) => projection.rows().for_each(|(name, value)| row(name, &value)),
        (None, why) => row("reads", &format!("as configured: {}", why.as_deref().unwrap_or("?"))),
    }
    if let Some(routes) = &told.routes {
        row("routes to", &listed(routes));
    }
    if let Some(seconds) = told.every_seconds {
        row("called", &format!("every {seconds}s"));
    }
    let schema = match &told.config_schema {
        Value::String(text) if text.is_empty() => "none".to_owned(),
        schema => json(schema).trim_end().to_owned(),
    };
    row("schema", &schema);
    out
}
