//! The `traceweir` program: reads the command line, runs the command, says how it ended.

use std::process::ExitCode;

use clap::Parser;
use gateway::cli::{self, Cli};

/// Hands freed pages back to the system after a moment (`MIMALLOC_PURGE_DELAY`, in milliseconds):
/// an idle process is small again without a timer of its own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(Cli::parse()).into()
}
