//! `traceweir block`: looks at files of spans, of a directory that a server may have, and of its bucket.
//!
//! `ls` lists them, `inspect` tells what one is made of, `verify` reads every byte, `cat` prints
//! spans. Files never change once they have their names, so no lock is taken.

mod cat;
mod inspect;
mod ls;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Clock, TenantId, TraceId};
use store::bare::{Bare, Found, Listed, Standing};
use store::block::cache::Cache;
use store::block::reader::Reader;
use store::block::section::{Header, Level, Sort};
use store::disk::read_only::ReadOnlyDisk;
use store::disk::{Disk as _, File};
use store::{Error, Kind};

use super::args::ConfigArgs;
use super::{Exit, complain, print};
use crate::app::Blocks;
use crate::clock::SystemClock;
use crate::config::Config;

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
  traceweir block ls --config traceweir.yaml  those in the bucket that it names, and L0 files here

Exit codes:
  0  done; verify: all is well
  1  something is damaged, missing, or cannot be read: it is named
  2  wrong usage, not a data directory, or a newer version's file")]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// The server's YAML file: which data directory, which bucket, when blocks go
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Set a key, such as `--set bucket.url=s3://traces/prod`; may be repeated
    #[arg(long, value_name = "KEY=VALUE", global = true)]
    set: Vec<String>,
    /// The data directory [key: store.url] [default: ./data]
    #[arg(long, value_name = "DIR", global = true)]
    data: Option<String>,
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
    Ls,
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
    let flags = ConfigArgs::of(args.config.clone(), args.set.clone(), args.data.clone());
    let Ok(loaded) = flags.load() else { return Exit::Refused };
    match (Look { args, config: loaded.config }).run() {
        Ok(exit) => exit,
        Err(error) => {
            complain(&error.to_string());
            if error.kind() == Kind::Refused { Exit::Refused } else { Exit::Failed }
        }
    }
}

/// What is looked at, and where.
struct Look<'a> {
    args: &'a Args,
    config: Config,
}

impl Look<'_> {
    fn run(&self) -> Result<Exit, Error> {
        let Args { what, tenant, json, .. } = self.args;
        match what {
            What::Ls => ls::ls(&self.list(&self.open()?)?, &self.config.retention, *json),
            What::Inspect { file } => {
                let target = self.find(file)?;
                let bytes = target.file.len().map_err(|fault| Error::io(&*target.name, fault))?;
                inspect::inspect(&target.reader()?, bytes, *json).map(|text| print(&text))
            }
            What::Verify { files } => verify::verify(self, files),
            What::Cat { file, limit, trace } => {
                cat::cat(&self.find(file)?.reader()?, tenant.as_ref(), *limit, *trace)
            }
        }
    }

    fn open(&self) -> Result<Bare, Error> {
        let dir = self.config.store.dir().unwrap_or_default();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let blocks = Blocks::for_a_look(&self.config, &dir, &clock)
            .map_err(|error| Error::new(Kind::Refused, error.to_string()))?;
        let shared = blocks.shared(&self.config);
        let bucket = shared.map(|shared| (shared.url, shared.backend));
        let bucket = bucket.as_ref().map(|(url, backend)| (&**url, Arc::clone(backend)));
        Bare::open(Arc::new(ReadOnlyDisk), &dir, bucket)
    }

    /// What is there of the tenant that was asked for, and what may be.
    fn list(&self, bare: &Bare) -> Result<Found, Error> {
        let mut found = bare.list()?;
        if let Some(tenant) = &self.args.tenant {
            found.files.retain(|file| file.tenants.is_empty() || file.tenants.contains(tenant));
            found.damage.retain(|damage| damage.tenant.as_ref().is_none_or(|of| of == tenant));
        }
        Ok(found)
    }

    /// The file that was meant: by its path, by its name below the directory, by its id, or by the
    /// beginning of its id.
    fn find(&self, wanted: &str) -> Result<Target, Error> {
        let path = Path::new(wanted);
        if path.is_file() {
            let file = ReadOnlyDisk.open(path);
            let file = file.map_err(|fault| Error::io(format!("open {wanted}"), fault))?;
            let mut target = Target { file, name: wanted.to_owned(), fault: None };
            target.fault = target.reader().err();
            return Ok(target);
        }
        let bare = self.open()?;
        let files = self.list(&bare)?.files;
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
