//! `traceweir plugin test`.

use std::fmt::Write as _;
use std::path::PathBuf;

use plugins::trial::{Held, Ran, Request, Subject, Way, joined};
use plugins::{Configured, World};
use serde::Serialize;
use similar::TextDiff;

use super::desk::{self, Batch, Fuel, Which};
use super::{Exit, Stop, complain, json, print};

/// Lines around a difference that are told with it.
const CONTEXT_LINES: usize = 3;

/// Run it over batches, and hold what it does against what is expected.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What the plugin does to each batch is told as text: what it drops and why, what it changes, what it counts. It is the
same as long as the plugin does the same: the clock stands still, chance begins with one seed, budgets are unused.
Traces are put together from all batches for a tail sampler.

Then each batch is run again: by the same instance (twice), by a new one (fresh), with its spans in another order
(permuted), and in two parts (split). A plugin that says that it is stateless has to do the same each time; --skip leaves
out what yours need not hold to. Fuel counts the instructions of the plugin, and does not depend on the machine.

Examples:
  traceweir plugin test shop-team.wasm --batches fixtures/batch.json
  traceweir plugin test shop-team.wasm --batches fixtures/*.json --expect fixtures/expected.txt --update
  traceweir plugin test shop-team.wasm --batches fixtures/*.json --expect fixtures/expected.txt --fuel-max 2000
  traceweir plugin test sampler.wasm --batches captures --skip split

Exit codes:
  0  it does what is expected, and the same each time
  1  it does not, a call fails, it costs too much, or it is no plugin
  2  wrong usage, or a file that cannot be read")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// Requests in OTLP, as JSON or protobuf (.json, .otlp, .pb); a directory is all of those in it
    #[arg(long, value_name = "FILE|DIR", required = true, num_args = 1..)]
    batches: Vec<PathBuf>,
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
    #[arg(long, value_name = "N")]
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

/// A batch, and what came of it.
#[derive(Debug, Serialize)]
struct Tried {
    batch: String,
    #[serde(flatten)]
    ran: Ran,
    again: Vec<(Way, Held)>,
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
    let batches = gathered(subject.plugin().world(), desk::batches(&args.batches)?)?;
    let mut tried = Vec::with_capacity(batches.len());
    for Batch { name, request } in batches {
        // An instance that has seen nothing: what fuel is used does not go by the batches before.
        let configured = subject.configured()?;
        let ran = subject.run(&configured, &request)?;
        let again = again(args, &subject, (&configured, &ran), &request)?;
        tried.push(Tried { batch: name, ran, again });
    }
    let spans: usize = tried.iter().map(|tried| tried.ran.spans.len()).sum();
    let fuel: u64 = tried.iter().map(|tried| tried.ran.fuel).sum();
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

/// What is run: each batch by itself; of a tail sampler the traces of all of them.
fn gathered(world: World, batches: Vec<Batch>) -> Result<Vec<Batch>, Stop> {
    if world != World::TailSampler || batches.len() < 2 {
        return Ok(batches);
    }
    let requests: Vec<&Request> = batches.iter().map(|batch| &batch.request).collect();
    let all = joined(&requests);
    let request = all.map_err(|what| Stop::refused(format!("--batches: {what}")))?;
    let names: Vec<&str> = batches.iter().map(|batch| batch.name.as_str()).collect();
    Ok(vec![Batch { name: names.join(" + "), request }])
}

fn again(
    args: &Args,
    subject: &Subject,
    (configured, ran): (&Configured, &Ran),
    request: &Request,
) -> Result<Vec<(Way, Held)>, Stop> {
    let is_wanted = |way: &Way| !args.skip.iter().any(|skip| skip.way() == *way);
    let mut all = Vec::new();
    for way in Way::ALL.into_iter().filter(is_wanted) {
        all.push((way, subject.again(way, (configured, ran), request)?));
    }
    Ok(all)
}

/// What the golden file has.
fn text(tried: &[Tried]) -> String {
    let one = |tried: &Tried| format!("batch {}\n{}", tried.batch, tried.ran);
    tried.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn problems(tried: &[Tried]) -> Vec<String> {
    let mut problems = Vec::new();
    for Tried { batch, ran, again } in tried {
        for failed in &ran.failures {
            problems
                .push(format!("{batch}: a call failed: {}: {}", failed.failure, failed.message));
        }
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
    writeln!(out, "{:<10}{} per span", "fuel", told.fuel_per_span).unwrap_or_default();
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
