//! `traceweir serve`.

use std::sync::Arc;

use super::{ConfigArgs, Exit, complain};
use crate::clock::SystemClock;
use crate::{app, log};

/// Receive, keep and serve traces.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  traceweir serve
  traceweir serve --data /var/lib/traceweir --set head.bytes_max=1GiB
  traceweir serve --otlp-grpc 127.0.0.1:0        a free port; the log tells which
  TRACEWEIR__LOG__FORMAT=json traceweir serve

SIGTERM or SIGINT stops it clean within 10 seconds; a second one stops it at once.

Exit codes:
  0  stopped as it was told to
  1  a port is taken, the disk failed, or the stop was not a clean one
  2  refused: wrong configuration, or the data directory is taken or too new")]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: Args) -> Exit {
    let loaded = match args.config.load() {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    if let Err(fault) = log::init(&loaded.config.log) {
        complain(&format!("cannot log: {fault}"));
        return Exit::Failed;
    }
    // For tests of what a crash leaves; see `store::fault`.
    if let Ok(at) = std::env::var("TRACEWEIR_CRASH_AT")
        && let Err(fault) = store::fault::arm(&at)
    {
        complain(&format!("TRACEWEIR_CRASH_AT: {fault}"));
        return Exit::Refused;
    }
    match app::run(&loaded, Arc::new(SystemClock::new())) {
        Ok(()) => Exit::Done,
        Err(error) => {
            tracing::error!(%error, "cannot go on");
            if error.is_refusal() { Exit::Refused } else { Exit::Failed }
        }
    }
}
