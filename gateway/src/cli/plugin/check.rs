//! `traceweir plugin check`.

use plugins::trial::{Finding, Weight, findings};
use serde::Serialize;

use super::desk::{self, Fuel, Which};
use super::{Exit, Stop, json, print};

/// Look for all that keeps a gateway from running it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A line for each thing that was looked at: `ok`; `doubt`, which a gateway does not mind; `FAULT`, which keeps it from running.

Examples:
  traceweir plugin check shop-team.wasm
  traceweir plugin check shop-team.wasm --config team.yaml

Exit codes:
  0  a gateway would run it
  1  it would not
  2  wrong usage, or a file that cannot be read")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Doubts are faults, too
    #[arg(long)]
    strict: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Told {
    ok: bool,
    findings: Vec<Finding>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Stop> {
    let (engine, codes) = desk::engine(Fuel::Ignored)?;
    let (bytes, config) = (args.which.bytes()?, args.which.config()?);
    let found = findings((&engine, &codes), &bytes, config.as_ref(), args.which.limits());
    let allowed = if args.strict { Weight::Fine } else { Weight::Doubt };
    let ok = found.iter().all(|finding| finding.weight <= allowed);
    let text = match args.json {
        true => json(&Told { ok, findings: found }),
        false => found.iter().map(|finding| format!("{finding}\n")).collect(),
    };
    Ok(match print(&text) {
        Exit::Done if !ok => Exit::Failed,
        exit => exit,
    })
}
