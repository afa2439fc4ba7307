//! `traceweir block`: looks at files of spans, of a directory that a server may have.
//!
//! `ls` lists them, `inspect` tells what one is made of, `verify` reads every byte, `cat` prints
//! spans. Files never change once they have their names, so no lock is taken.

mod inspect;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::batch::{Batch, Indexed};
use model::json::{self, Flavour};
use model::otlp::Traces;
use model::{TenantId, TraceId};
use serde_json::json;
use store::bare::{Bare, Listed};
use store::block::reader::{Reader, Wanted};
use store::block::section::{Header, Level, Sort};
use store::block::verify::verify;
use store::disk::{File, RealDisk};
use store::{Error, Kind};

use super::{Exit, complain, print};
use table::Table;

/// Look at files of spans, also while a server has the directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  traceweir block ls --data /var/lib/traceweir
  traceweir block inspect 7f3a…0001           columns with bytes each, sections, what was promoted
  traceweir block verify                      reads every byte of every file
  traceweir block cat 7f3a…0001 --limit 10 | jq .
  traceweir block cat copy.parquet --trace 4bf92f3577b34da6a3ce929d0e0e4736

Exit codes:
  0  done; verify: nothing is damaged
  1  a file is damaged, gone or cannot be read
  2  wrong usage, not a data directory, or a newer version's file")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = "./data", global = true)]
    data: PathBuf,
    /// Only this tenant's
    #[arg(long, value_name = "ID", value_parser = tenant, global = true)]
    tenant: Option<TenantId>,
    /// Print JSON, a line for each
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// List L0 files and blocks.
    Ls,
    /// Tell what a file is made of: columns with bytes each, sections, what was promoted and why.
    Inspect {
        /// An id as `ls` prints it, or a path
        file: String,
    },
    /// Read every byte of a file, or of all: any flipped bit is found.
    Verify {
        /// An id as `ls` prints it, or a path; all without one
        file: Option<String>,
    },
    /// Print spans as OTLP/JSON, a line for each.
    Cat {
        /// An id as `ls` prints it, or a path
        file: String,
        /// At most so many spans
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u64,
        /// Only spans of this trace
        #[arg(long, value_name = "ID", value_parser = trace_id)]
        trace: Option<TraceId>,
    },
}

fn tenant(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text).map_err(|fault| fault.to_string())
}

fn trace_id(text: &str) -> Result<TraceId, String> {
    TraceId::parse(text).map_err(|fault| fault.to_string())
}

pub(super) fn run(args: &Args) -> Exit {
    match look(args) {
        Ok(exit) => exit,
        Err(error) => {
            complain(&error.to_string());
            if error.kind() == Kind::Refused { Exit::Refused } else { Exit::Failed }
        }
    }
}

fn look(args: &Args) -> Result<Exit, Error> {
    match &args.what {
        What::Ls => {
            let files = list(args, &open(args)?)?;
            Ok(print(&if args.json { lines(&files) } else { ls(&files) }))
        }
        What::Inspect { file } => {
            let (file, name) = find(args, file)?;
            let text = inspect::inspect(&reader(&file, &name)?, args.json)?;
            Ok(print(&text))
        }
        What::Verify { file } => {
            let files = match file {
                Some(file) => vec![find(args, file)?],
                None => {
                    let bare = open(args)?;
                    let named = |listed: Listed| Ok((bare.file(&listed.name)?, listed.name));
                    list(args, &bare)?.into_iter().map(named).collect::<Result<_, Error>>()?
                }
            };
            Ok(check(&files))
        }
        What::Cat { file, limit, trace } => {
            let (file, name) = find(args, file)?;
            cat(&reader(&file, &name)?, args.tenant.as_ref(), *limit, *trace)
        }
    }
}

fn open(args: &Args) -> Result<Bare, Error> {
    Bare::open(Arc::new(RealDisk), &args.data)
}

fn list(args: &Args, bare: &Bare) -> Result<Vec<Listed>, Error> {
    let mut files = bare.list()?;
    if let Some(tenant) = &args.tenant {
        files.retain(|file| file.tenants.contains(tenant));
    }
    Ok(files)
}

/// The file that was meant: by its path, by its id, or by the beginning of its id.
fn find(args: &Args, wanted: &str) -> Result<(Arc<dyn File>, String), Error> {
    let path = Path::new(wanted);
    if path.is_file() {
        let file = std::fs::File::open(path);
        let file = file.map_err(|fault| Error::io(format!("open {wanted}"), fault))?;
        return Ok((Arc::new(file), wanted.to_owned()));
    }
    let bare = open(args)?;
    let files = list(args, &bare)?;
    let mut fits = files.iter().filter(|file| file.id.starts_with(wanted));
    let exact = files.iter().find(|file| file.id == wanted);
    match (exact, fits.next(), fits.next()) {
        (Some(file), ..) | (None, Some(file), None) => {
            Ok((bare.file(&file.name)?, file.name.clone()))
        }
        (None, None, _) => {
            let message = format!("{wanted:?} is no file, and no id that `block ls` lists");
            Err(Error::new(Kind::Io, message))
        }
        (None, Some(_), Some(_)) => {
            Err(Error::new(Kind::Io, format!("{wanted:?} is the beginning of several ids")))
        }
    }
}

fn reader(file: &Arc<dyn File>, name: &str) -> Result<Reader, Error> {
    let cache = Arc::new(store::block::cache::Cache::new(16 << 20));
    Reader::open_file(Arc::clone(file), name.to_owned(), cache)
}

fn level(header: &Header) -> &'static str {
    match (header.level, header.sort) {
        (Level::L0, _) => "l0",
        (Level::L1, Sort::Normal) => "l1",
        (Level::L1, Sort::Straggler) => "l1 late",
    }
}

fn owner(file: &Listed) -> String {
    match file.tenants.as_slice() {
        [] => "-".to_owned(),
        [tenant] => tenant.to_string(),
        several => format!("{} tenants", several.len()),
    }
}

fn ls(files: &[Listed]) -> String {
    let mut table = Table::new(&[
        "ID",
        "LEVEL",
        "TENANT",
        "SPANS",
        "TRACES",
        "BYTES",
        "B/SPAN",
        "FIRST START",
        "LAST START",
        "CREATED",
        "",
    ]);
    for file in files {
        let (id, bytes) = (file.id.clone(), file.bytes.to_string());
        match &file.header {
            Ok(header) => table.row(vec![
                id,
                level(header).to_owned(),
                owner(file),
                header.rows.to_string(),
                header.traces.to_string(),
                bytes,
                table::ratio(file.bytes, header.rows),
                table::time(header.starts.0),
                table::time(header.starts.1),
                table::time(header.created_at),
                if file.is_live { String::new() } else { "not in the manifest".to_owned() },
            ]),
            Err(error) => {
                let gap = || "-".to_owned();
                let mut row = vec![id, gap(), owner(file), gap(), gap(), bytes];
                row.extend([gap(), gap(), gap(), gap(), error.to_string()]);
                table.row(row);
            }
        }
    }
    table.text()
}

fn lines(files: &[Listed]) -> String {
    let line = |file: &Listed| {
        let tenants: Vec<_> = file.tenants.iter().map(TenantId::as_str).collect();
        let (header, fault) = match &file.header {
            Ok(header) => (serde_json::to_value(header).unwrap_or_default(), None),
            Err(error) => (serde_json::Value::Null, Some(error.to_string())),
        };
        let line = json!({ "id": file.id, "file": file.name, "bytes": file.bytes,
            "tenants": tenants, "live": file.is_live, "header": header, "fault": fault });
        format!("{line}\n")
    };
    files.iter().map(line).collect()
}

fn check(files: &[(Arc<dyn File>, String)]) -> Exit {
    let mut damaged = 0;
    for (file, name) in files {
        let problems = verify(file, name);
        if problems.is_empty() {
            print(&format!("{name}: ok\n"));
        } else {
            damaged += 1;
        }
        for problem in problems {
            complain(&problem.0);
        }
    }
    if damaged == 0 {
        return Exit::Done;
    }
    complain(&format!("{damaged} of {} files are damaged", files.len()));
    Exit::Failed
}

fn cat(
    reader: &Reader,
    tenant: Option<&TenantId>,
    limit: u64,
    trace: Option<TraceId>,
) -> Result<Exit, Error> {
    let runs = reader.tenants()?;
    let own = reader.directory().header.tenant();
    let mut left = limit;
    for row_group in 0..reader.row_groups() {
        let group = reader.rows_of(row_group);
        let all = (own.clone(), 0..group.end - group.start);
        let mut parts = if runs.is_empty() { vec![all] } else { Vec::new() };
        for run in &runs {
            let start = run.first_row.clamp(group.start, group.end);
            let end = run.first_row.saturating_add(run.rows).clamp(start, group.end);
            parts.push((Some(run.tenant.clone()), start - group.start..end - group.start));
        }
        for (owner, rows) in parts {
            let owner = owner.unwrap_or_else(TenantId::single);
            if rows.is_empty() || tenant.is_some_and(|tenant| *tenant != owner) {
                continue;
            }
            let batch = reader.read(row_group, rows, Wanted::All, &owner, Indexed::No)?;
            for row in 0..model::column::count(batch.len()) {
                if trace.is_some_and(|trace| batch.trace_id(row) != trace) {
                    continue;
                }
                if left == 0 {
                    return Ok(Exit::Done);
                }
                left -= 1;
                let exit = print(&span(&batch, row)?);
                if exit != Exit::Done {
                    return Ok(exit);
                }
            }
        }
    }
    Ok(Exit::Done)
}

fn span(batch: &Batch, row: u32) -> Result<String, Error> {
    let mut traces = Traces::new();
    traces.push(batch, row);
    json::encode(&traces.encode(), Flavour::Otlp)
        .map(|json| json + "\n")
        .map_err(|fault| Error::new(Kind::Corrupt, fault.to_string()))
}
