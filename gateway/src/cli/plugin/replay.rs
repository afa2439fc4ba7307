//! `traceweir plugin replay`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use plugins::Configured;
use plugins::trial::{Apart, Misfortune, Request, Subject, apart};
use serde::Serialize;
use serde_json::Value;

use super::desk::{self, Fuel, Which, is_batch, listed, read};
use super::{Exit, Stop, json, print};

/// The largest capture.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Run a plugin over what was captured, and tell what is different from what was recorded.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Requests (.otlp) are run as `test` runs them, and held against the record beside them, where `capture --plugin` has made
one: what the plugin made of the same request on the gateway. Batches on which a plugin has failed (.twb) are given to
the plugin as they are: whether a call fails is seen, not what it answers. Without --config it has that of the record.

Examples:
  traceweir plugin replay shop-team.wasm --captures captures
  traceweir plugin replay shop-team.wasm --captures captures --same && echo it does what runs now

Exit codes:
  0  no call failed (with --same: and nothing is different)
  1  a call failed, something is different that must not be, or it is no plugin
  2  wrong usage, or a file that cannot be read")]
pub(super) struct Args {
    #[command(flatten)]
    which: Which,
    /// The directory that `capture` has written
    #[arg(long, value_name = "DIR", required = true)]
    captures: PathBuf,
    /// Whatever is different is a failure
    #[arg(long)]
    same: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What came of a capture.
#[derive(Debug, Serialize)]
struct Replayed {
    capture: String,
    spans: usize,
    kept: usize,
    failures: Vec<Misfortune>,
    /// What held when it was captured, if that was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<Recorded>,
}

#[derive(Debug, Serialize)]
struct Recorded {
    version: String,
    digest: String,
    /// How it failed then.
    failed: Vec<String>,
    kept: usize,
    different: Vec<Apart>,
}

#[derive(Debug, Serialize)]
struct Told {
    ok: bool,
    captures: usize,
    spans: usize,
    /// Calls that fail.
    failed: usize,
    /// Spans that something else becomes of than was recorded.
    different: usize,
    replayed: Vec<Replayed>,
}

pub(super) fn run(args: &Args) -> Result<Exit, Stop> {
    let is_capture =
        |path: &Path| is_batch(path) || path.extension().is_some_and(|ext| ext == "twb");
    let files = listed(&args.captures, is_capture)?;
    if files.is_empty() {
        return Err(Stop::refused(format!("{}: no captures are in it", args.captures.display())));
    }
    let (engine, codes) = desk::engine(Fuel::Ignored)?;
    let mut subject = args.which.subject((&engine, &codes))?;
    let mut replayed = Vec::with_capacity(files.len());
    let has_config = args.which.config()?.is_some();
    for file in files {
        let record = record(&file)?;
        if !has_config && let Some(config) = record.as_ref().and_then(|record| record.get("config"))
        {
            subject = subject.with_config(config.clone());
        }
        // A new one each time: what it failed on before is no matter.
        let configured = subject.configured()?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        replayed.push(match file.extension().is_some_and(|ext| ext == "twb") {
            true => batch((name, &file), &subject, &configured, record.as_ref())?,
            false => request((name, &file), &subject, &configured, record.as_ref())?,
        });
    }
    tell(args, replayed)
}

/// The record beside a capture, if there is one.
fn record(file: &Path) -> Result<Option<Value>, Stop> {
    let path = file.with_extension("record.json");
    if !path.is_file() {
        return Ok(None);
    }
    let value = desk::value(&path)?;
    Ok(Some(value.get("record").cloned().unwrap_or(value)))
}

fn request(
    (capture, file): (String, &Path),
    subject: &Subject,
    configured: &Configured,
    record: Option<&Value>,
) -> Result<Replayed, Stop> {
    let named = |what: String| Stop::refused(format!("{}: {what}", file.display()));
    let request = Request::read(&read(file, FILE_BYTES_MAX)?).map_err(named)?;
    let ran = subject.run(configured, &request)?;
    let after = file.with_extension("after");
    let recorded = match record.filter(|_| after.is_file()) {
        None => None,
        Some(record) => {
            let body = read(&after, FILE_BYTES_MAX)?;
            let different = apart(&request, &body, &ran);
            let different =
                different.map_err(|what| Stop::refused(format!("{}: {what}", after.display())))?;
            let kept = Request::read(&body).map_or(0, |request| request.spans());
            let failed = record.get("failures").and_then(Value::as_array);
            let failed =
                failed.into_iter().flatten().map(|failed| text(failed, "message").to_owned());
            Some(Recorded {
                version: text(record, "version").to_owned(),
                digest: text(record, "digest").to_owned(),
                failed: failed.collect(),
                kept,
                different,
            })
        }
    };
    Ok(Replayed {
        capture,
        spans: request.spans(),
        kept: ran.spans.iter().filter(|fate| fate.is_kept).count(),
        failures: ran.failures,
        recorded,
    })
}

/// A batch as the plugin was given it.
fn batch(
    (capture, file): (String, &Path),
    subject: &Subject,
    configured: &Configured,
    record: Option<&Value>,
) -> Result<Replayed, Stop> {
    let bytes = read(file, FILE_BYTES_MAX)?;
    let spans = bytes.get(8..).and_then(<[u8]>::first_chunk);
    let spans = spans.map_or(0, |spans| u32::from_le_bytes(*spans) as usize);
    let failures = subject.call(configured, bytes).err().into_iter().collect();
    let recorded = record.map(|record| Recorded {
        version: String::new(),
        digest: text(record, "digest").to_owned(),
        failed: vec![format!("{}: {}", text(record, "failure"), text(record, "message"))],
        kept: spans,
        different: Vec::new(),
    });
    Ok(Replayed { capture, spans, kept: spans, failures, recorded })
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn tell(args: &Args, replayed: Vec<Replayed>) -> Result<Exit, Stop> {
    let count = |of: &dyn Fn(&Replayed) -> usize| replayed.iter().map(of).sum::<usize>();
    let different = |replayed: &Replayed| {
        replayed.recorded.as_ref().map_or(0, |recorded| recorded.different.len())
    };
    let (failed, different) = (count(&|of| of.failures.len()), count(&different));
    let ok = failed == 0 && (different == 0 || !args.same);
    let (captures, spans) = (replayed.len(), count(&|of| of.spans));
    let told = Told { ok, captures, spans, failed, different, replayed };
    Ok(match print(&if args.json { json(&told) } else { page(&told) }) {
        Exit::Done if !ok => Exit::Failed,
        exit => exit,
    })
}

fn page(told: &Told) -> String {
    let mut out = String::new();
    for of in &told.replayed {
        one(&mut out, of).unwrap_or_default();
    }
    let Told { captures, spans, failed, different, .. } = told;
    let line = format!(
        "{captures} captures, {spans} spans: {failed} calls fail, {different} spans differ"
    );
    out.push_str(&line);
    out.push('\n');
    out
}

fn one(out: &mut String, of: &Replayed) -> std::fmt::Result {
    let Replayed { capture, spans, kept, failures, recorded } = of;
    write!(out, "{capture}: {spans} spans, {kept} kept")?;
    let Some(recorded) = recorded else {
        writeln!(out)?;
        return failures.iter().try_for_each(|failed| fails(out, failed));
    };
    if recorded.kept != *kept {
        write!(out, ", before {}", recorded.kept)?;
    }
    writeln!(out, ", {} different", recorded.different.len())?;
    for failed in &recorded.failed {
        writeln!(out, "  failed before: {failed}")?;
    }
    failures.iter().try_for_each(|failed| fails(out, failed))?;
    for apart in &recorded.different {
        apart.to_string().lines().try_for_each(|line| writeln!(out, "  {line}"))?;
    }
    Ok(())
}

fn fails(out: &mut String, failed: &Misfortune) -> std::fmt::Result {
    writeln!(out, "  fails: {}: {}", failed.failure, failed.message)
}
