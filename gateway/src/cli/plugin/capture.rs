//! `traceweir plugin capture`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use model::{TenantId, Wait};
use serde::Deserialize;
use serde_json::{Value, json};

use super::desk::{is_batch, listed, unit};
use super::sdk::write;
use super::{Exit, Stop, print};
use crate::cli::{admin, complain};

/// How long a server may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(60);
/// How often it is asked how many there are.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Fetch masked requests from a running gateway, to test plugins with.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The gateway keeps the next requests of a tenant as they were received, before any plugin, but masked: letters and
digits of all texts, numbers and bytes; not lengths, keys, times, ids, kinds, codes, and what is the same as what. --keep
names keys whose values stay as they are; `name` are the names of spans, events and scopes.

With --plugin each request has a record of what that plugin, as it runs, makes of the masked request; `replay` holds
another version against it. With --failures the batches are fetched on which it has failed lately, masked.

Examples:
  traceweir plugin capture --tenant shop --requests 8 -o captures
  traceweir plugin capture --tenant shop --plugin team --keep service.name --keep k8s.namespace.name -o captures
  traceweir plugin capture --failures --plugin team -o failures

Exit codes:
  0  there are captures: the files are named
  1  none came, no server answers, or the directory cannot be written
  2  wrong usage, or captures are in the directory already")]
pub(super) struct Args {
    #[command(flatten)]
    server: admin::Server,
    /// Whose requests; by default anybody's
    #[arg(long, value_name = "ID", value_parser = tenant)]
    tenant: Option<TenantId>,
    /// A plugin as it is called on the gateway: what it makes of each request is recorded
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// So many requests
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=64))]
    requests: u64,
    /// No longer than that
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = unit::<Wait>)]
    wait: Wait,
    /// A key whose values are not masked; may be repeated
    #[arg(long, value_name = "KEY")]
    keep: Vec<String>,
    /// Fetch batches that the plugin has failed on
    #[arg(long, requires = "plugin", conflicts_with_all = ["tenant", "keep"])]
    failures: bool,
    /// The directory to write them into
    #[arg(long, short, value_name = "DIR", default_value = "captures")]
    output: PathBuf,
}

fn tenant(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text).map_err(|fault| fault.to_string())
}

/// What the gateway says of an order.
#[derive(Debug, Deserialize)]
struct State {
    open: bool,
    captured: u64,
    #[serde(default)]
    captures: Vec<Captured>,
}

#[derive(Debug, Deserialize)]
struct Captured {
    tenant: String,
    at: u64,
    request: String,
    record: Option<Value>,
}

/// A batch that a plugin failed on.
#[derive(Debug, Deserialize)]
struct Failed {
    batch: String,
    #[serde(flatten)]
    rest: Value,
}

pub(super) fn run(args: &Args) -> Result<Exit, Stop> {
    if args.output.is_dir() {
        let is_ours =
            |path: &Path| is_batch(path) || path.extension().is_some_and(|ext| ext == "twb");
        if !listed(&args.output, is_ours)?.is_empty() {
            let dir = args.output.display();
            return Err(Stop::refused(format!("{dir}: captures are in it already")));
        }
    }
    let files = if args.failures { failures(args)? } else { requests(args)? };
    if files.is_empty() {
        let what = if args.failures { "it has not failed lately" } else { "no request came" };
        return Err(Stop::failed(what));
    }
    Ok(print(&files.iter().map(|file| format!("{}\n", file.display())).collect::<String>()))
}

/// Asks the server, and wants 200 with JSON.
fn ask<T: serde::de::DeserializeOwned>(
    args: &Args,
    (method, path): (Method, &str),
    body: &str,
) -> Result<T, Stop> {
    let (code, said) = args.server.ask((method, path), body, ANSWER_WAIT).map_err(Stop::failed)?;
    if code != 200 {
        return Err(Stop::failed(format!("the server answered {code}: {}", said.trim())));
    }
    let odd =
        |fault| Stop::failed(format!("{} is no server of ours: {fault}", args.server.address));
    serde_json::from_str(&said).map_err(odd)
}

fn requests(args: &Args) -> Result<Vec<PathBuf>, Stop> {
    let order = json!({
        "tenant": args.tenant.as_ref().map(TenantId::as_str),
        "requests": args.requests,
        "wait": args.wait.to_string(),
        "keep": args.keep,
    });
    let path = match &args.plugin {
        Some(plugin) => format!("/plugins/captures?plugin={}", encoded(plugin)),
        None => "/plugins/captures".to_owned(),
    };
    let mut state: State = ask(args, (Method::POST, &path), &order.to_string())?;
    while state.open {
        let before = state.captured;
        pause();
        state = ask(args, (Method::GET, &path), "")?;
        if state.captured > before {
            complain(&format!("{} of {} requests", state.captured, args.requests));
        }
    }
    // What is masked says little, and still need not lie there.
    let _: Value = ask(args, (Method::DELETE, "/plugins/captures"), "")?;
    let mut files = Vec::new();
    for (number, captured) in (1..).zip(state.captures) {
        let Captured { tenant, at, request, record } = captured;
        let file = args.output.join(format!("{number:04}.otlp"));
        write(&file, &bytes(&request)?, false)?;
        if let Some(mut record) = record {
            let after = record.as_object_mut().and_then(|record| record.remove("after"));
            let after = bytes(after.as_ref().and_then(Value::as_str).unwrap_or_default())?;
            write(&file.with_extension("after"), &after, false)?;
            let record = json!({"tenant": tenant, "at": at, "record": record});
            write(&file.with_extension("record.json"), super::json(&record).as_bytes(), false)?;
        }
        files.push(file);
    }
    Ok(files)
}

#[expect(clippy::disallowed_methods, reason = "a command line waits for a server")]
fn pause() {
    std::thread::sleep(ASK_EVERY);
}

fn failures(args: &Args) -> Result<Vec<PathBuf>, Stop> {
    let plugin = encoded(args.plugin.as_deref().unwrap_or_default());
    let path = format!("/status/plugins/{plugin}/failures");
    let all: Vec<Failed> = ask(args, (Method::GET, &path), "")?;
    let mut files = Vec::new();
    for (number, Failed { batch, rest }) in (1..).zip(all) {
        let file = args.output.join(format!("{number:04}.twb"));
        write(&file, &bytes(&batch)?, false)?;
        write(&file.with_extension("record.json"), super::json(&rest).as_bytes(), false)?;
        files.push(file);
    }
    Ok(files)
}

fn bytes(text: &str) -> Result<Vec<u8>, Stop> {
    let decoded = BASE64_STANDARD.decode(text);
    decoded.map_err(|fault| Stop::failed(format!("the server sent what is no Base64: {fault}")))
}

/// A name within a path or a query.
fn encoded(name: &str) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    name.bytes().fold(String::new(), |mut text, byte| {
        if plain(&byte) {
            text.push(char::from(byte));
        } else {
            text.extend(['%', digit(byte >> 4), digit(byte & 15)]);
        }
        text
    })
}
