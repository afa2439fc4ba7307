//! `traceweir plugin test`.

mod tried;

use std::fmt::Write as _;
use std::path::PathBuf;

use plugins::trial::{Held, Way};
use serde::Serialize;
use similar::TextDiff;

use super::desk::{self, Fuel, Which};
use super::{Exit, Stop, complain, json, print};
use tried::{Tried, tried};

/// Lines around a difference that are told with it.
const CONTEXT_LINES: usize = 3;

/// Run it over batches, and hold what it does against what is expected.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What the plugin does to each batch is told as text: what it drops and why, what it changes, what it counts; of a router,
whose each resource is. It is the same as long as the plugin does the same: the clock stands still, chance begins with
one seed, budgets are unused. Traces are put together from all batches for a tail sampler.

An authenticator takes --requests in the place of batches, a list of what it is shown: {\"headers\": {\"x-api-key\": \"one\"}}, and
method, path, peer, certificate: {subject, names} where they matter. A refresher takes --answers, a list of what its network
answers: {\"url\": \"https://cmdb.example/rows\", \"body\": []}, and method, status, headers; nothing else answers.

Then each batch is run again: by the same instance (twice), by a new one (fresh), with its spans in another order
(permuted), and in two parts (split), of whole traces for samplers, of whole resources for a router. A plugin that says
that it is stateless has to do the same each time; --skip leaves out what yours need not hold to. Fuel counts the
instructions of the plugin, and does not depend on the machine.

Examples:
  traceweir plugin test shop-team.wasm --batches fixtures/batch.json
  traceweir plugin test shop-team.wasm --batches fixtures/*.json --expect fixtures/expected.txt --update
  traceweir plugin test shop-team.wasm --batches fixtures/*.json --expect fixtures/expected.txt --fuel-max 2000
  traceweir plugin test sampler.wasm --batches captures --skip split
  traceweir plugin test api-keys.wasm --config keys.yaml --requests fixtures/requests.json
  traceweir plugin test rows.wasm --config rows.yaml --answers fixtures/answers.json

Exit codes:
  0  it does what is expected, and the same each time
  1  it does not, a call fails, it costs too much, or it is no plugin
  2  wrong usage, or a file that cannot be read")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Requests in OTLP, as JSON or protobuf (.json, .otlp, .pb); a directory is all of those in it
    #[arg(long, value_name = "FILE|DIR", num_args = 1..)]
    batches: Vec<PathBuf>,
    /// What an authenticator is shown: a list in JSON or YAML
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    /// What a refresher's network answers: a list in JSON or YAML
    #[arg(long, value_name = "FILE")]
    answers: Option<PathBuf>,
    /// The text that has to come out
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
    /// Write what comes out into the file of --expect
    #[arg(long, requires = "expect")]
    update: bool,
    /// A way in which it need not do the same; may be repeated
    #[arg(long, value_name = "WAY", value_enum)]
    skip: Vec<Skip>,
    /// Most fuel per span, on average over all batches
    #[arg(long, value_name = "N", requires = "batches")]
    fuel_max: Option<u64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Skip {
    /// By the same instance.
    Twice,
    /// By a new instance.
    Fresh,
    /// In another order.
    Permuted,
    /// In two parts.
    Split,
}

impl Skip {
    const fn way(self) -> Way {
        match self {
            Self::Twice => Way::Twice,
            Self::Fresh => Way::Fresh,
            Self::Permuted => Way::Permuted,
            Self::Split => Way::Split,
        }
    }
}

/// All that is told.
#[derive(Debug, Serialize)]
struct Told {
    ok: bool,
    problems: Vec<String>,
    spans: usize,
    fuel: u64,
    fuel_per_span: u64,
    batches: Vec<Tried>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Stop> {
    let (engine, codes) = desk::engine(Fuel::Counted)?;
    let subject = args.which.subject((&engine, &codes))?;
    let tried = tried(args, &subject)?;
    let spans: usize = tried.iter().map(|tried| tried.spans).sum();
    let fuel: u64 = tried.iter().map(|tried| tried.fuel).sum();
    let fuel_per_span = fuel.div_ceil(u64::try_from(spans).unwrap_or(u64::MAX).max(1));
    let text = text(&tried);
    let mut problems = problems(&tried);
    if let Some(most) = args.fuel_max.filter(|most| fuel_per_span > *most) {
        problems.push(format!("fuel: {fuel_per_span} per span, --fuel-max is {most}"));
    }
    problems.extend(expected(args, &text)?);
    let told =
        Told { ok: problems.is_empty(), problems, spans, fuel, fuel_per_span, batches: tried };
    tell(args, &told, &text)
}

/// What the golden file has.
fn text(tried: &[Tried]) -> String {
    let one = |tried: &Tried| format!("batch {}\n{}", tried.batch, tried.text);
    tried.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn problems(tried: &[Tried]) -> Vec<String> {
    let mut problems = Vec::new();
    for Tried { batch, failures, again, .. } in tried {
        problems.extend(failures.iter().map(|failed| format!("{batch}: {failed}")));
        for (way, held) in again {
            if let Held::Differs(what) = held {
                problems.push(format!("{batch}: {}: {what}", way.as_str()));
            }
        }
    }
    problems
}

/// Holds the text against the file, or writes it there.
fn expected(args: &Args, text: &str) -> Result<Option<String>, Stop> {
    let Some(path) = &args.expect else { return Ok(None) };
    let named = |fault: std::io::Error| Stop::refused(format!("{}: {fault}", path.display()));
    if args.update {
        std::fs::write(path, text).map_err(named)?;
        return Ok(None);
    }
    let expected = std::fs::read_to_string(path).map_err(named)?;
    if expected == text {
        return Ok(None);
    }
    let diff = TextDiff::from_lines(expected.as_str(), text);
    let mut told = format!("{}: something else comes out\n", path.display());
    let diff =
        diff.unified_diff().context_radius(CONTEXT_LINES).header("expected", "found").to_string();
    told.push_str(diff.trim_end());
    Ok(Some(told))
}

fn tell(args: &Args, told: &Told, text: &str) -> Result<Exit, Stop> {
    if args.json {
        return Ok(ended(print(&json(told)), told.ok));
    }
    let mut out = if args.expect.is_none() { text.to_owned() } else { String::new() };
    let mut ways = String::new();
    for way in Way::ALL {
        let of = |tried: &Tried| {
            tried.again.iter().find(|(of, _)| *of == way).map(|(_, held)| held.clone())
        };
        let all: Vec<Held> = told.batches.iter().filter_map(of).collect();
        let is_same = all.iter().all(|held| *held == Held::Same);
        let left = all.iter().find_map(|held| match held {
            Held::Left(why) => Some(*why),
            _ => None,
        });
        let said = match (all.is_empty(), left) {
            (true, _) => "skipped",
            (_, Some(why)) => why,
            _ if is_same => "the same",
            _ => "DIFFERS",
        };
        writeln!(ways, "{:<10}{said}", way.as_str()).unwrap_or_default();
    }
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(&ways);
    if told.spans > 0 {
        writeln!(out, "{:<10}{} per span", "fuel", told.fuel_per_span).unwrap_or_default();
    }
    let exit = print(&out);
    told.problems.iter().for_each(|problem| complain(problem));
    Ok(ended(exit, told.ok))
}

fn ended(exit: Exit, ok: bool) -> Exit {
    match exit {
        Exit::Done if !ok => Exit::Failed,
        exit => exit,
    }
}
