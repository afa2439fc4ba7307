//! `load`: makes the bench sets, sends them to any OTLP server, and measures what comes of it.
//!
//! `make` writes a set and its ground truth to files; `send` sends one; `bench` starts the release
//! binary on a processor of its own and measures it, `queries` its queries, `overload` what becomes of
//! it where far more is sent; `check` asks a server with Tempo's API for what the truth says.

#![expect(
    clippy::disallowed_methods,
    reason = "a load generator measures against the real clock and waits for real processes"
)]
#![expect(
    clippy::future_not_send,
    reason = "everything runs on one thread, which is pinned to its processor"
)]

mod bench;
mod check;
mod compact;
mod engine;
mod make;
mod overload;
mod probe;
mod process;
mod queries;
mod report;
mod send;
mod sink;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser, Debug)]
#[command(name = "load", about = "Makes, sends and measures load")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Writes a set and its ground truth to files.
    Make(make::Args),
    /// Sends a set to any OTLP server.
    Send(send::Args),
    /// Starts the release binary on a processor of its own and measures it.
    Bench(bench::Args),
    /// Receives like the gateway and keeps nothing: the ceiling of what can be measured.
    Sink(sink::Args),
    /// Asks a server with Tempo's API for what the truth says.
    Check(check::Args),
    /// Starts the release binary, fills it, and measures the queries that the truth knows.
    Queries(queries::Args),
    /// Starts the release binary on many blocks, and measures what joining them costs.
    Compact(compact::Args),
    /// Starts the release binary, and sends far more than it may take.
    Overload(overload::Args),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            say(&format!("load: {fault:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    // One thread: it has one processor, and measures best where nothing moves.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Make(args) => make::run(&args),
            Command::Send(args) => send::run(&args).await,
            Command::Bench(args) => bench::run(&args).await,
            Command::Sink(args) => sink::run(&args).await,
            Command::Check(args) => check::run(&args).await,
            Command::Queries(args) => queries::run(&args).await,
            Command::Compact(args) => compact::run(&args).await,
            Command::Overload(args) => overload::run(&args).await,
        }
    })
}

/// A line for people, on standard error; standard output is for results.
fn say(line: &str) {
    use std::io::Write as _;
    // Nobody reads it: then nobody misses it.
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}
