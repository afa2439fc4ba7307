//! The flags that say how the server is configured; `serve` and `config` share them.

use std::path::{Path, PathBuf};

use model::Faults;

use super::{Exit, complain};
use crate::budget::Budget;
use crate::config::{Config, Loaded};
use crate::settings::source::Sources;

/// Where the configuration comes from.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Configuration", args_override_self = true)]
pub struct ConfigArgs {
    /// A YAML file; environment variables (`TRACEWEIR__HEAD__BYTES_MAX`), `--set` and the other
    /// flags are stronger
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The data directory [key: store.url] [default: ./data]
    #[arg(long, value_name = "DIR")]
    data: Option<String>,

    /// OTLP, gRPC by convention [key: listen.otlp_grpc] [default: 127.0.0.1:4317]
    #[arg(long, value_name = "ADDR")]
    otlp_grpc: Option<String>,

    /// OTLP, HTTP by convention [key: listen.otlp_http] [default: 127.0.0.1:4318]
    #[arg(long, value_name = "ADDR")]
    otlp_http: Option<String>,

    /// The query API [key: listen.http] [default: 127.0.0.1:3200]
    #[arg(long, value_name = "ADDR")]
    http: Option<String>,

    /// Administration [key: listen.admin] [default: 127.0.0.1:3201]
    #[arg(long, value_name = "ADDR")]
    admin: Option<String>,

    /// Allow addresses other than loopback: whoever reaches them reads and writes, since there is
    /// no authentication [key: listen.insecure]
    #[arg(long)]
    insecure_listen: bool,

    /// Set any key, such as `--set head.bytes_max=512MiB`; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl ConfigArgs {
    /// Just a file, some keys, and a data directory.
    #[must_use]
    pub fn of(config: Option<PathBuf>, set: Vec<String>, data: Option<String>) -> Self {
        Self { config, set, data, ..Self::default() }
    }

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
        let insecure = self.insecure_listen.then(|| "true".to_owned());
        let flags = [
            ("store.url", "--data", self.data),
            ("listen.otlp_grpc", "--otlp-grpc", self.otlp_grpc),
            ("listen.otlp_http", "--otlp-http", self.otlp_http),
            ("listen.http", "--http", self.http),
            ("listen.admin", "--admin", self.admin),
            ("listen.insecure", "--insecure-listen", insecure),
        ];
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
