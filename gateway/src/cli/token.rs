//! `traceweir token`: makes API tokens for `auth.tokens_file`.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand;
use model::Clock as _;

use super::{Exit, complain, print};
use crate::auth::token::{self, Row, SECRET_BYTES};
use crate::auth::{Grants, Template};
use crate::clock::SystemClock;

/// Make API tokens.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a token: it is printed once, its hash goes into the file.
    New(New),
}

/// Make a token: it is printed once, its hash goes into the file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  traceweir token new --id spoke-eu --tenant shop --scope traces:write --cluster eu-1 --file tokens.yaml
  traceweir token new --id grafana --read shop --read ops --scope traces:read --file tokens.yaml
  traceweir token new --id operator --tenant '*' --scope admin --scope traces:read --days 30 --file tokens.yaml

A server takes the file over within seconds (auth.tokens_file). To revoke a token, take its row out.

Exit codes:
  0  the token is printed
  1  the file cannot be read or written, or is none of tokens
  2  wrong usage")]
struct New {
    /// What the token is called: a-z, 0-9 and -
    #[arg(long, value_name = "ID")]
    id: String,
    /// The file that gets its row; by default the row is printed to standard error
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// A tenant that may be read and written; `*` is every tenant; may be given several times
    #[arg(long, value_name = "ID")]
    tenant: Vec<Template>,
    /// A tenant that may be read; may be given several times
    #[arg(long, value_name = "ID")]
    read: Vec<Template>,
    /// A tenant that may be written; may be given several times
    #[arg(long, value_name = "ID")]
    write: Vec<Template>,
    /// What it may do: traces:write, traces:read, metrics:read, admin; may be given several times
    #[arg(long, value_name = "SCOPE", required = true)]
    scope: Vec<Template>,
    /// The cluster that it stands for
    #[arg(long, value_name = "NAME")]
    cluster: Option<Template>,
    /// The class of limits that holds for it
    #[arg(long)]
    class: Option<Template>,
    /// Who it is, for logs; by default `token ID`
    #[arg(long, value_name = "TEXT", default_value = "")]
    subject: String,
    /// It ends after so many days; by default never
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=36_500))]
    days: Option<u64>,
}

pub(super) fn run(args: &Args) -> Exit {
    let Command::New(new) = &args.command;
    match make(new) {
        Ok(token) => print(&format!("{token}\n")),
        Err(fault) => {
            complain(&fault);
            Exit::Failed
        }
    }
}

fn make(new: &New) -> Result<String, String> {
    let mut chance = [0; SECRET_BYTES];
    rand::fill(&mut chance).map_err(|_| "the system gives no chance".to_owned())?;
    let made = token::make(&new.id, &chance);
    let (token, sha256) = made.ok_or("--id has to be 1 to 64 of a-z 0-9 -")?;
    let now = SystemClock::new().now().0 / 1_000_000_000;
    let row = Row {
        id: new.id.clone(),
        sha256,
        subject: new.subject.clone(),
        expires_at: new.days.map(|days| now + days * 86_400),
        grants: Grants {
            tenants: new.tenant.clone(),
            read: new.read.clone(),
            write: new.write.clone(),
            scopes: new.scope.clone(),
            cluster: new.cluster.clone(),
            class: new.class.clone(),
        },
    };
    match &new.file {
        Some(path) => add(path, &row).map_err(|fault| format!("{}: {fault}", path.display()))?,
        None => complain(&format!("the row for auth.tokens_file:\n{}", token::with_row("", &row)?)),
    }
    Ok(token)
}

/// Puts a row into a file, which is whole at any moment.
fn add(path: &Path, row: &Row) -> Result<(), String> {
    let before = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(fault) => return Err(fault.to_string()),
    };
    let text = token::with_row(&before, row)?;
    let next = path.with_extension("new");
    std::fs::write(&next, text).map_err(|fault| fault.to_string())?;
    std::fs::rename(&next, path).map_err(|fault| fault.to_string())
}
