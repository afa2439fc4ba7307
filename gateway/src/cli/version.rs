//! `traceweir version`.

use super::{Exit, print};

/// Version, build profile and target, as `--version` prints them.
pub(super) const LONG: &str = concat!(env!("CARGO_PKG_VERSION"));

/// Print the version.
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: &Args) -> Exit {
    print(&format!("traceweir {LONG}\n"))
}
