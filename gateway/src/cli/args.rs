//! The flags that say how the server is configured; `serve` and `config` share them.

use std::path::{Path, PathBuf};

use model::Faults;

use super::{Exit, complain};
use crate::budget::Budget;
use crate::config::source::Sources;
use crate::config::{Config, Loaded};

/// Where the configuration comes from.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    /// A YAML file; environment variables (`TRACEWEIR__HEAD__BYTES_MAX`), `--set` and the flags
    /// below are stronger.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The data directory [store.url]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,

    /// Sets any key, such as `--set head.bytes_max=512MiB`; may be repeated.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl ConfigArgs {
    /// Reads and checks the configuration.
    ///
    /// # Errors
    /// Every fault has been printed; the exit code to leave with.
    pub fn load(self) -> Result<Loaded, Exit> {
        let detect = |data: &Path| Budget::detect(data);
        Config::load(&self.into_sources(), &detect).map_err(|faults| {
            print_faults(&faults);
            Exit::Refused
        })
    }

    fn into_sources(self) -> Sources {
        let flags = [("store.url", "--data", self.data)];
        let flags = flags.into_iter().filter_map(|(key, flag, value)| Some((key, flag, value?)));
        // Names and values that are no text cannot be a setting of ours.
        let env = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Sources { file: self.config, env: env.collect(), set: self.set, flags: flags.collect() }
    }
}

fn print_faults(faults: &Faults) {
    let count = faults.list().len();
    let noun = if count == 1 { "fault" } else { "faults" };
    complain(&format!("{count} {noun} in the configuration"));
    for fault in faults.list() {
        complain(&format!("  {fault}"));
    }
}
