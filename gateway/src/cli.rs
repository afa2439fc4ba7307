//! The command line: which commands there are, and what their exit codes mean.
//!
//! Each command is a module with `Args` and `run(args) -> Exit`. A command is added by its module
//! and one row in [`Command`] and [`run`].

mod admin;
mod args;
mod bearer;
mod block;
mod completion;
mod config;
mod demo;
mod plugin;
mod query;
mod reach;
mod redact;
mod serve;
mod status;
mod table;
mod token;
mod version;

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use args::ConfigArgs;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was asked to.
    Done,
    /// It tried and failed.
    Failed,
    /// It refused to start: wrong usage or configuration, or another process is in the way.
    Refused,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed => Self::FAILURE,
            Exit::Refused => Self::from(2),
        }
    }
}

const EXAMPLES: &str = "\
Examples:
  traceweir serve                         listen on loopback, keep the data in ./data
  traceweir serve --data /var/lib/traceweir --config /etc/traceweir.yaml
  traceweir demo --seconds 10             send made-up traces to it
  traceweir query trace 4bf92f3577b34da6a3ce929d0e0e4736
  traceweir query search '{ status = error }'
  traceweir status                        what a running server does

Exit codes:
  0  done
  1  failed
  2  refused: wrong usage or configuration, or the data directory is taken or too new";

/// A distributed-tracing backend in one program: takes OTLP, keeps it, finds it.
#[derive(Debug, Parser)]
#[command(name = "traceweir", version = version::LONG, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Receive, keep and serve traces.
    Serve(serve::Args),
    /// Look at traces of a running server.
    Query(query::Args),
    /// Show what a running server does: WAL, head, budgets, lag.
    Status(status::Args),
    /// Hide traces from everybody at once, and take them out of blocks.
    Redact(redact::Args),
    /// Look at files of spans: list, inspect, verify, print.
    Block(block::Args),
    /// Make, build, test and measure plugins; push and pull them.
    Plugin(plugin::Args),
    /// Make API tokens.
    Token(token::Args),
    /// Check or print the configuration.
    Config(config::Args),
    /// Send a steady stream of realistic traces to a gateway.
    Demo(demo::Args),
    /// Print the version.
    Version(version::Args),
    /// Print a completion script for a shell.
    Completion(completion::Args),
}

/// Runs the command that was asked for.
#[must_use]
pub fn run(cli: Cli) -> Exit {
    match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Query(args) => query::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Redact(args) => redact::run(&args),
        Command::Block(args) => block::run(&args),
        Command::Plugin(args) => plugin::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Config(args) => config::run(args),
        Command::Demo(args) => demo::run(&args),
        Command::Version(args) => version::run(&args),
        Command::Completion(args) => completion::run(&args),
    }
}

/// Prints to standard output; a reader that went away (`| head`) is no failure.
fn print(text: &str) -> Exit {
    match written(text) {
        Written::Failed => Exit::Failed,
        Written::Done | Written::Unread => Exit::Done,
    }
}

/// What became of text for standard output.
enum Written {
    Done,
    /// Whoever read went away: no more is needed.
    Unread,
    Failed,
}

/// Prints to standard output, for who has more to say.
fn written(text: &str) -> Written {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Written::Done,
        Err(fault) if fault.kind() == std::io::ErrorKind::BrokenPipe => Written::Unread,
        Err(fault) => {
            complain(&format!("cannot write to standard output: {fault}"));
            Written::Failed
        }
    }
}

/// Prints `traceweir: MESSAGE` to standard error, where nothing can be done if that fails.
fn complain(message: &str) {
    drop(writeln!(std::io::stderr().lock(), "traceweir: {message}"));
}
