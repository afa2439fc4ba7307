//! `traceweir plugin bench`.

use std::fmt::Write as _;
use std::path::PathBuf;

use plugins::trial::{Cost, Request, joined};
use serde_json::json;

use super::desk::{self, Fuel, Which};
use super::{Exit, Stop, json as pretty, print};
use crate::clock;

/// Rounds, as many as can be asked for.
const ROUNDS_MAX: u64 = 100_000;
/// Spans of a round.
const SPANS_MAX: u64 = 1_000_000;

/// Measure what it costs per span, step by step.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
All batches together are one request, again and again until it has --spans spans, as gateways get them. Times are of
the one thread that does the work, the median of all rounds, in nanoseconds per span: `read` (the request is looked
through), `project` (what the plugin reads is put into a buffer), `call` (the plugin), `apply` (its answer is checked
and applied), `write` (the request is written anew, where something has changed). `without` is what the same request
takes where there is no plugin, and `adds` what is more with it. A router changes nothing: to make several requests of
one is the gateway's work. Authenticators and refreshers are called off that way, and seldom: what they take is told by a
gateway (traceweir_plugin_guest_nanoseconds_total).

Examples:
  traceweir plugin bench shop-team.wasm --batches fixtures/batch.json
  traceweir plugin bench shop-team.wasm --batches captures --spans 5000 --json

Exit codes:
  0  it was measured
  1  it is no plugin, its configuration is wrong, or a call fails
  2  wrong usage, or a file that cannot be read")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Requests in OTLP, as JSON or protobuf (.json, .otlp, .pb); a directory is all of those in it
    #[arg(long, value_name = "FILE|DIR", required = true, num_args = 1..)]
    batches: Vec<PathBuf>,
    /// Spans of the request; 0: as they are
    #[arg(long, value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(u64).range(..=SPANS_MAX))]
    spans: u64,
    /// Rounds
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(u64).range(1..=ROUNDS_MAX))]
    rounds: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<Exit, Stop> {
    let (engine, codes) = desk::engine(Fuel::Ignored)?;
    let subject = args.which.subject((&engine, &codes))?;
    let batches = desk::batches(&args.batches)?;
    let requests: Vec<&Request> = batches.iter().map(|batch| &batch.request).collect();
    let request = many(&requests, args.spans)?;
    let configured = subject.configured()?;
    let rounds = usize::try_from(args.rounds).unwrap_or(usize::MAX);
    let cost = subject.cost(&configured, (&request, rounds), &clock::thread)?;
    let plugin = subject.plugin();
    if args.json {
        let (info, digest) = (plugin.info(), plugin.digest().to_string());
        let of = json!({"name": info.name, "version": info.version, "digest": digest});
        let steps: serde_json::Map<_, _> =
            cost.steps.iter().map(|(step, of)| (step.as_str().to_owned(), (*of).into())).collect();
        return Ok(print(&pretty(&json!({
            "plugin": of,
            "spans": cost.spans,
            "rounds": cost.rounds,
            "nanoseconds_per_span": {
                "steps": steps, "in_all": cost.in_all, "without": cost.without, "adds": cost.adds,
            },
            "spans_per_second": cost.spans_per_second,
            "bytes_in_per_span": cost.bytes_in,
            "bytes_out_per_span": cost.bytes_out,
            "memory_bytes": cost.memory_bytes,
        }))));
    }
    let info = plugin.info();
    Ok(print(&format!("{} {}: {}", info.name, info.version, table(&cost))))
}

/// All requests, as often as it takes to have so many spans.
fn many(requests: &[&Request], spans: u64) -> Result<Request, Stop> {
    let refused = |what: String| Stop::refused(format!("--batches: {what}"));
    let once = joined(requests).map_err(refused)?;
    let has = once.spans() as u64;
    let times = if has == 0 { 1 } else { spans.div_ceil(has).max(1) };
    let times = usize::try_from(times).unwrap_or(1);
    joined(&vec![&once; times]).map_err(refused)
}

fn table(cost: &Cost) -> String {
    let mut out = format!("{} spans, {} rounds, ns per span\n", cost.spans, cost.rounds);
    let mut row = |name: &str, value: f64, decimals: usize| {
        writeln!(out, "  {name:<12}{value:>12.decimals$}").unwrap_or_default();
    };
    for (step, of) in &cost.steps {
        row(step.as_str(), *of, 1);
    }
    row("in all", cost.in_all, 1);
    row("without", cost.without, 1);
    row("adds", cost.adds, 1);
    row("spans/s", cost.spans_per_second, 0);
    row("bytes in", cost.bytes_in, 1);
    row("bytes out", cost.bytes_out, 1);
    let mib = cost.memory_bytes >> 10;
    writeln!(out, "  {:<12}{mib:>12} KiB", "memory").unwrap_or_default();
    out
}
