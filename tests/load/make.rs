//! Sets and how they are told from the command line; `make` writes one to a file of frames.
//!
//! A frame is `[u32 length][u32 spans][message]`, little-endian; the truth stands beside it as
//! `FILE.truth.json`. Where a set has tenants, `FILE.tenants` names one per line and frame.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use gateway::demo::truth::Truth;
use gateway::demo::ugly::Ugly;
use gateway::demo::{Config, Nice, Request};
use model::Nanos;

/// Which set, and how much of it.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct SetArgs {
    /// The set: the nice one, or the ugly one
    #[arg(long, default_value = "nice")]
    pub(crate) set: Sort,
    /// How many spans
    #[arg(long, default_value_t = 2_000_000)]
    pub(crate) spans: u64,
    /// Spans of a request
    #[arg(long, default_value_t = 800)]
    pub(crate) batch: usize,
    /// The same seed gives the same set
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Over which time the traces start, the last one now; by default 3,333 spans a second
    #[arg(long, value_parser = humantime::parse_duration)]
    pub(crate) window: Option<Duration>,
    /// When the first trace starts, in seconds since the epoch, instead of a window before now
    #[arg(long)]
    pub(crate) start: Option<u64>,
}

/// The two sets of the benches.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sort {
    /// What well-kept services send.
    Nice,
    /// What nobody means to send.
    Ugly,
}

impl SetArgs {
    /// The generator's configuration, with the times that are meant.
    pub(crate) fn config(&self) -> anyhow::Result<Config> {
        // The same rate for any size: what a request holds depends on how busy the pods are.
        let steady = || Duration::from_millis(self.spans.div_ceil(10) * 3);
        let window = self.window.unwrap_or_else(steady);
        let window = Nanos(u64::try_from(window.as_nanos()).context("window")?);
        let start = match self.start {
            Some(seconds) => Nanos::from_secs(seconds),
            None => now()?.minus(window),
        };
        Ok(Config { seed: self.seed, spans: self.spans, batch: self.batch, start, window })
    }

    /// Makes the set, a request at a time; returns the truth of it.
    pub(crate) fn generate(
        &self,
        take: impl FnMut(Request) -> anyhow::Result<()>,
    ) -> anyhow::Result<Truth> {
        let config = self.config()?;
        match self.set {
            Sort::Nice => {
                let mut set = Nice::new(config);
                set.by_ref().try_for_each(take)?;
                Ok(set.truth())
            }
            Sort::Ugly => {
                let mut set = Ugly::new(config);
                set.by_ref().try_for_each(take)?;
                Ok(set.truth())
            }
        }
    }
}

impl Default for SetArgs {
    fn default() -> Self {
        Self { set: Sort::Nice, spans: 2_000_000, batch: 800, seed: 1, window: None, start: None }
    }
}

/// The wall clock.
pub(crate) fn now() -> anyhow::Result<Nanos> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(Nanos(u64::try_from(since.as_nanos())?))
}

/// Arguments of `load make`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    set: SetArgs,
    /// The file of frames; without it the set is made and thrown away, and the time told
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let began = Instant::now();
    let truth = match &args.out {
        Some(path) => write(&args.set, path)?,
        None => args.set.generate(|_| Ok(()))?,
    };
    let secs = began.elapsed().as_secs_f64();
    crate::say(&format!(
        "{} spans, {} traces, {} requests, {} bytes ({} per span) in {secs:.2} s",
        truth.spans,
        truth.traces,
        truth.requests,
        truth.bytes,
        truth.bytes / truth.spans.max(1),
    ));
    for query in &truth.queries {
        crate::say(&format!("{:>8} traces {:>9} spans  {}", query.traces, query.spans, query.name));
    }
    Ok(())
}

fn write(set: &SetArgs, path: &std::path::Path) -> anyhow::Result<Truth> {
    let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let mut tenants = Vec::new();
    let truth = set.generate(|request| {
        file.write_all(&u32::try_from(request.body.len())?.to_le_bytes())?;
        file.write_all(&u32::try_from(request.spans)?.to_le_bytes())?;
        file.write_all(&request.body)?;
        if let Some(tenant) = request.tenant {
            writeln!(tenants, "{tenant}")?;
        }
        Ok(())
    })?;
    file.flush()?;
    if !tenants.is_empty() {
        std::fs::write(format!("{}.tenants", path.display()), tenants)?;
    }
    let beside = PathBuf::from(format!("{}.truth.json", path.display()));
    let json = serde_json::to_vec_pretty(&truth)?;
    std::fs::write(&beside, json).with_context(|| format!("write {}", beside.display()))?;
    Ok(truth)
}
