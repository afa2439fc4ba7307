//! `traceweir plugin`: plugins and the registries that they are in.

mod pull;
mod push;
mod registry;

use clap::Subcommand;

use super::Exit;

/// Push plugins to registries, and pull them.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Push a plugin to a registry.
    Push(push::Args),
    /// Pull a plugin from a registry.
    Pull(pull::Args),
}

pub(super) fn run(args: &Args) -> Exit {
    match &args.command {
        Command::Push(args) => push::run(args),
        Command::Pull(args) => pull::run(args),
    }
}
