//! `traceweir config check` and `traceweir config print`.

mod probe;

use super::{ConfigArgs, Exit, complain, print};
use crate::config::Loaded;

/// Check or print the configuration.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  traceweir config check --config traceweir.yaml
  traceweir config check --config traceweir.yaml --probe
  traceweir config print --sources")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Tell everything that is wrong with the configuration; exit code 2 if there is anything.
    Check(CheckArgs),
    /// Print the configuration as the server would use it, secrets as ***.
    Print(PrintArgs),
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// Also try the data directory and the bucket: write, read, list, race for a name, remove. What
    /// is written is removed again.
    #[arg(long)]
    probe: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

#[derive(Debug, clap::Args)]
struct PrintArgs {
    /// Print one line per key, with where its value comes from.
    #[arg(long)]
    sources: bool,
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: Args) -> Exit {
    match args.action {
        Action::Check(args) => match args.config.load() {
            Ok(loaded) => match print("the configuration holds\n") {
                Exit::Done if args.probe => probe::run(&loaded.config),
                exit => exit,
            },
            Err(exit) => exit,
        },
        Action::Print(args) => match args.config.load() {
            Ok(loaded) if args.sources => print(&table(&loaded)),
            Ok(loaded) => match loaded.yaml() {
                Ok(yaml) => print(&yaml),
                Err(fault) => {
                    complain(&format!("cannot print the configuration: {fault}"));
                    Exit::Failed
                }
            },
            Err(exit) => exit,
        },
    }
}

fn table(loaded: &Loaded) -> String {
    let rows = loaded.rows();
    let width = |cell: fn(&(String, String, _)) -> usize| rows.iter().map(cell).max().unwrap_or(0);
    let (keys, values) = (width(|row| row.0.len()), width(|row| row.1.len()));
    let line = |(key, value, origin): &(String, String, _)| {
        format!("{key:keys$}  {value:values$}  {origin}\n")
    };
    rows.iter().map(line).collect()
}
