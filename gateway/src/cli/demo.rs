//! `traceweir demo`: a steady stream of realistic traces into a gateway.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{Clock, TenantId, TraceId};

use super::{Exit, complain, print};
use crate::clock::{SystemClock, Tasks};
use crate::demo::client::{Channel, Coding, Fault, Protocol, Target};
use crate::demo::stream::{self, Plan, Progress};

/// Send a steady stream of realistic traces to a gateway.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  traceweir demo                                  1,000 spans a second, until Ctrl-C
  traceweir demo --seconds 10 --rate 20000
  traceweir demo --protocol http --endpoint http://127.0.0.1:4318 --tenant team-a")]
pub(super) struct Args {
    /// Where the gateway listens; by default port 4317 of this machine, for HTTP port 4318.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,

    /// How spans are sent.
    #[arg(long, default_value = "grpc")]
    protocol: Protocol,

    /// How requests are compressed.
    #[arg(long, default_value = "gzip")]
    compression: Coding,

    /// Stop after so many seconds; otherwise go on until Ctrl-C.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,

    /// Spans per second.
    #[arg(long, value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    rate: u64,

    /// The tenant, sent as X-Scope-OrgID.
    #[arg(long, value_name = "ID", value_parser = tenant)]
    tenant: Option<TenantId>,

    /// Of https: a PEM file with the root of the server's certificate.
    #[arg(long, value_name = "FILE", env = "TRACEWEIR_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// Another header, such as `--header 'authorization: Bearer ...'`; may be repeated.
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,

    /// The same seed gives the same traces, but for their times; by default one from the clock.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

fn tenant(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text).map_err(|fault| fault.to_string())
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write it as 'name: value'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

impl Args {
    fn target(&self) -> Result<Target, Fault> {
        let endpoint = match (&self.endpoint, self.protocol) {
            (Some(endpoint), _) => endpoint,
            (None, Protocol::Grpc) => "http://127.0.0.1:4317",
            (None, Protocol::Http) => "http://127.0.0.1:4318",
        };
        let target = Target::parse(endpoint, self.protocol, self.compression)?;
        let target = target.with_roots(self.ca_file.as_deref())?;
        self.header.iter().try_fold(target, |target, (name, value)| target.with_header(name, value))
    }
}

pub(super) fn run(args: &Args) -> Exit {
    let target = match args.target() {
        Ok(target) => target,
        Err(fault) => {
            complain(&fault.to_string());
            return Exit::Refused;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(stream(args, target)),
        Err(fault) => {
            complain(&format!("cannot start: {fault}"));
            Exit::Failed
        }
    }
}

async fn stream(args: &Args, target: Target) -> Exit {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let plan = Plan {
        seed: args.seed.unwrap_or_else(|| clock.now().0),
        rate: args.rate,
        length: args.seconds.map(Duration::from_secs),
        tenant: args.tenant.as_ref().map(|tenant| tenant.as_str().to_owned()),
    };
    let channel = Channel::new(target, Tasks::new());
    let mut meter = Meter::new();
    let stop = async {
        // Without the signal there is Ctrl-C all the same, only without a summary.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let done = stream::run(&channel, &plan, &clock, stop, |progress| meter.show(progress)).await;
    meter.clear();
    match done {
        Ok(progress) => summarize(&progress),
        Err(fault) => {
            complain(&fault.to_string());
            Exit::Failed
        }
    }
}

/// The progress line: rewritten in place on a terminal, else a line now and then.
struct Meter {
    terminal: bool,
    shown: Duration,
}

/// How often a line is printed where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

impl Meter {
    fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), shown: Duration::ZERO }
    }

    fn show(&mut self, progress: &Progress) {
        let line = line(progress);
        if self.terminal {
            // Nobody sees it: then nobody misses it.
            drop(write!(std::io::stderr().lock(), "\r\x1b[2K{line}"));
        } else if progress.elapsed >= self.shown + LINE_EVERY {
            self.shown = progress.elapsed;
            drop(writeln!(std::io::stderr().lock(), "{line}"));
        }
    }

    fn clear(&self) {
        if self.terminal {
            drop(write!(std::io::stderr().lock(), "\r\x1b[2K"));
        }
    }
}

fn line(progress: &Progress) -> String {
    let rate = u128::from(progress.acked) * 1_000 / progress.elapsed.as_millis().max(1);
    let counts =
        [(progress.rejected, "rejected"), (progress.lost, "lost"), (progress.retries, "retries")];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    [
        Some(format!("{:>4} s", progress.elapsed.as_secs())),
        Some(format!("{} traces", progress.traces)),
        Some(format!("{} spans sent", progress.sent)),
        Some(format!("{} acked", progress.acked)),
        Some(format!("{rate}/s")),
        progress.ack_waits().map(|(p50, p99)| format!("ack {} p99 {}", millis(p50), millis(p99))),
    ]
    .into_iter()
    .flatten()
    .chain(counts.map(|(count, name)| format!("{count} {name}")))
    .chain(progress.trouble.iter().map(|trouble| format!("({trouble})")))
    .collect::<Vec<_>>()
    .join("  ")
}

fn millis(wait: Duration) -> String {
    format!("{}.{} ms", wait.as_millis(), wait.as_micros() % 1_000 / 100)
}

/// Prints what was done and how to look at it.
fn summarize(progress: &Progress) -> Exit {
    let latest = progress.latest.iter().map(|id| (id, "one of the last"));
    let failed = progress.failed.iter().map(|id| (id, "the last one with an error in it"));
    let look = |(id, what): (&TraceId, &str)| format!("  traceweir query trace {id}    {what}\n");
    let mut text = format!("{}\n", line(progress));
    if progress.acked > 0 {
        text += "look at them with\n";
        text.extend(latest.chain(failed).map(look));
    }
    match print(&text) {
        Exit::Done if progress.acked == 0 || progress.lost > 0 => Exit::Failed,
        exit => exit,
    }
}
