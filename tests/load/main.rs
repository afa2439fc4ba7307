//! `load`: makes the bench sets, sends them to any OTLP server, and measures what comes of it.
//!
//! `make` writes a set and its ground truth to files; `send` sends one; `bench` starts the release
//! binary on a processor of its own and measures it; `check` asks a server with Tempo's API for
//! what the truth says.

#![expect(
    clippy::disallowed_methods,
    reason = "a load generator measures against the real clock and waits for real processes"
)]

mod make;

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
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Make(args) => make::run(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            say(&format!("load: {fault:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A line for people, on standard error; standard output is for results.
fn say(line: &str) {
    use std::io::Write as _;
    // Nobody reads it: then nobody misses it.
    drop(writeln!(std::io::stderr().lock(), "{line}"));
}
