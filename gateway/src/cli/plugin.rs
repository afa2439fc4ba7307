//! `traceweir plugin`: the tools of whoever writes plugins, from an empty directory to a tested component.
//!
//! What a plugin does and costs is found out by `plugins::trial`; here it is read from files, and told.

mod bench;
mod build;
mod cache;
mod capture;
mod check;
mod desk;
mod inspect;
mod manifest;
mod new;
mod pull;
mod push;
mod registry;
mod replay;
mod sdk;
mod shown;
mod test;

use super::{Exit, complain, print};

/// Make, build, test and measure plugins; push them to registries and pull them.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  traceweir plugin new --lang rust shop-team && cd shop-team
  traceweir plugin build
  traceweir plugin check shop-team.wasm
  traceweir plugin test shop-team.wasm --batches fixtures/*.json --expect fixtures/expected.txt
  traceweir plugin bench shop-team.wasm --batches fixtures/*.json

Exit codes:
  0  done; check, test, replay: all is as it should be
  1  what was asked for failed, or something is not as it should be: it is named
  2  wrong usage, or a file that cannot be read")]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make the directory of a new plugin, which builds right away.
    New(new::Args),
    /// Run the build commands of a plugin, and make a component of what they leave.
    Build(build::Args),
    /// Tell what a file is: world, imports, exports, what it reads and writes, schema, digest.
    Inspect(inspect::Args),
    /// Look for all that keeps a gateway from running it.
    Check(check::Args),
    /// Run it over batches, and hold what it does against what is expected.
    Test(test::Args),
    /// Measure what it costs per span, step by step.
    Bench(bench::Args),
    /// Fetch masked requests from a running gateway, to test plugins with.
    Capture(capture::Args),
    /// Run a plugin over what was captured, and tell what is different from what was recorded.
    Replay(replay::Args),
    /// Push a plugin to a registry.
    Push(push::Args),
    /// Pull a plugin from a registry.
    Pull(pull::Args),
}

pub(super) fn run(args: &Args) -> Exit {
    let done = match &args.command {
        Command::New(args) => new::run(args),
        Command::Build(args) => build::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Check(args) => check::run(args),
        Command::Test(args) => test::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Capture(args) => capture::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Push(args) => return push::run(args),
        Command::Pull(args) => return pull::run(args),
    };
    done.unwrap_or_else(|stop| {
        complain(&stop.message);
        stop.exit
    })
}

/// Why a command ended early.
#[derive(Debug)]
struct Stop {
    exit: Exit,
    message: String,
}

impl Stop {
    /// What was tried has failed.
    fn failed(message: impl Into<String>) -> Self {
        Self { exit: Exit::Failed, message: message.into() }
    }

    /// It was not even tried: something that was given is wrong.
    fn refused(message: impl Into<String>) -> Self {
        Self { exit: Exit::Refused, message: message.into() }
    }
}

impl From<plugins::Error> for Stop {
    fn from(error: plugins::Error) -> Self {
        Self::failed(error.to_string())
    }
}

/// As pretty JSON, with a line end.
fn json(value: &impl serde::Serialize) -> String {
    // Plain structs of text and numbers, which always can be written.
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
