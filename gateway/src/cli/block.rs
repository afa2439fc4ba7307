//! `traceweir block`: looks at files of spans, of a directory that a server may have.
//!
//! `ls` lists them, `inspect` tells what one is made of, `verify` reads every byte, `cat` prints
//! spans. Files never change once they have their names, so no lock is taken.

mod cat;
mod inspect;
mod ls;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{TenantId, TraceId};
use store::bare::{Bare, Found, Listed, Standing};
use store::block::cache::Cache;
use store::block::reader::Reader;
use store::block::section::{Header, Level, Sort};
use store::disk::read_only::ReadOnlyDisk;
use store::disk::{Disk as _, File};
use store::{Error, Kind};

use super::args::ConfigArgs;
use super::{Exit, complain, print};

/// Bytes of parsed tables that are kept while a file is read.
const CACHE_BYTES: usize = 16 << 20;

/// Look at files of spans, also while a server has the directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
FILE is an id as `ls` prints it, its beginning, or a path.

Examples:
  traceweir block ls --data /var/lib/traceweir
  traceweir block inspect 7f3a…0001           columns with bytes each, sections, what was promoted
  traceweir block verify                      reads every byte of every file
  traceweir block cat 7f3a…0001 --limit 10 | jq .
  traceweir block cat copy.parquet --trace 4bf92f3577b34da6a3ce929d0e0e4736

Exit codes:
  0  done; verify: all is well
  1  something is damaged, missing, or cannot be read: it is named
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
    /// List L0 files and blocks, and when they go.
    Ls {
        /// The server's YAML file, for `retention`
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Set a key, such as `--set retention.age=7days`; may be repeated
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
    },
    /// Tell what a file is made of: columns with bytes each, sections, what was promoted and why.
    Inspect {
        /// An id as `ls` prints it, or a path
        file: String,
    },
    /// Read every byte of some files, or of all: any flipped bit is found.
    Verify {
        /// Ids as `ls` prints them, or paths; all and the manifest without any
        files: Vec<String>,
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
        What::Ls { config, set } => {
            let Ok(loaded) = ConfigArgs::of(config.clone(), set.clone()).load() else {
                return Ok(Exit::Refused);
            };
            ls::ls(&list(args, &open(args)?)?, &loaded.config.retention, args.json)
        }
        What::Inspect { file } => {
            let target = find(args, file)?;
            let bytes = target.file.len().map_err(|fault| Error::io(&*target.name, fault))?;
            inspect::inspect(&target.reader()?, bytes, args.json).map(|text| print(&text))
        }
        What::Verify { files } => verify::verify(args, files),
        What::Cat { file, limit, trace } => {
            cat::cat(&find(args, file)?.reader()?, args.tenant.as_ref(), *limit, *trace)
        }
    }
}

fn open(args: &Args) -> Result<Bare, Error> {
    Bare::open(Arc::new(ReadOnlyDisk), &args.data)
}

/// What is there of the tenant that was asked for, and what may be.
fn list(args: &Args, bare: &Bare) -> Result<Found, Error> {
    let mut found = bare.list()?;
    if let Some(tenant) = &args.tenant {
        found.files.retain(|file| file.tenants.is_empty() || file.tenants.contains(tenant));
        found.damage.retain(|damage| damage.tenant.as_ref().is_none_or(|of| of == tenant));
    }
    Ok(found)
}

/// A file that was asked for.
struct Target {
    file: Arc<dyn File>,
    name: String,
    /// What is known to be wrong with it.
    fault: Option<Error>,
}

impl Target {
    fn reader(&self) -> Result<Reader, Error> {
        let cache = Arc::new(Cache::new(CACHE_BYTES));
        Reader::open_file(Arc::clone(&self.file), self.name.clone(), cache)
    }
}

/// The file that was meant: by its path, by its name below the directory, by its id, or by the
/// beginning of its id.
fn find(args: &Args, wanted: &str) -> Result<Target, Error> {
    let path = Path::new(wanted);
    if path.is_file() {
        let file = ReadOnlyDisk.open(path);
        let file = file.map_err(|fault| Error::io(format!("open {wanted}"), fault))?;
        let mut target = Target { file, name: wanted.to_owned(), fault: None };
        target.fault = target.reader().err();
        return Ok(target);
    }
    let bare = open(args)?;
    let files = list(args, &bare)?.files;
    let is_exact = |file: &Listed| file.id == wanted || file.name == wanted;
    let begins = |file: &Listed| !wanted.is_empty() && file.id.starts_with(wanted);
    let (exact, others): (Vec<_>, Vec<_>) =
        files.into_iter().filter(|file| begins(file) || is_exact(file)).partition(is_exact);
    let mut fits = exact.into_iter().chain(others);
    let refuse = |what: &str| Err(Error::new(Kind::Io, format!("{wanted:?} is {what}")));
    match (fits.next(), fits.next()) {
        (Some(found), second) if second.is_none() || is_exact(&found) => target(&bare, found),
        (Some(_), _) => refuse("the beginning of several ids"),
        (None, _) => refuse("no file, and no id that `block ls` lists"),
    }
}

fn target(bare: &Bare, listed: Listed) -> Result<Target, Error> {
    let Listed { name, header, standing, .. } = listed;
    match (bare.file(&name)?, header.err()) {
        (Some(file), fault) => Ok(Target { file, name, fault }),
        (None, Some(fault)) if standing == Standing::Missing => Err(fault),
        (None, _) => Err(Error::new(Kind::Io, format!("{name} was just removed"))),
    }
}

fn level(header: &Header) -> &'static str {
    match (header.level, header.sort) {
        (Level::L0, _) => "l0",
        (Level::L1, Sort::Normal) => "l1",
        (Level::L1, Sort::Straggler) => "l1 late",
    }
}
