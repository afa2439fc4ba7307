//! `load compact`: fills the release binary, so that a tenant has many small blocks, starts it again
//! with compaction, and measures what that costs and takes.

use std::time::{Duration, Instant};

use crate::process::{Launch, Server, pin};
use crate::queries::{fill, make};
use crate::say;

/// Arguments of `load compact`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    launch: Launch,
    /// Spans that are sent
    #[arg(long, default_value_t = 2_000_000)]
    spans: u64,
    /// In so many blocks
    #[arg(long, default_value_t = 20)]
    blocks: usize,
    /// The seed of the set
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// How long nothing more is compacted until it is done.
const QUIET: Duration = Duration::from_secs(12);
/// How long it may take.
const AT_MOST: Duration = Duration::from_secs(600);

pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    pin(Some(args.launch.own_cpu))?;
    let (messages, _) = make(args.spans, args.seed)?;
    let server = Server::start(&args.launch.with("compaction.enabled=false")).await?;
    fill(&server, &messages, args.blocks).await?;
    let before = (server.block_files()?, server.block_bytes()?);
    drop(messages);
    let server = server.start_again(&args.launch).await?;
    let (ready_cpu, ready_peak) = (server.cpu()?, server.memory()?.0);
    let began = Instant::now();
    let (mut last, mut spans, mut cpu) = (Instant::now(), 0.0, ready_cpu);
    while last.elapsed() < QUIET && began.elapsed() < AT_MOST {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = server.metric("traceweir_store_compacted_spans_total").await?.unwrap_or(0.0);
        if now > spans {
            (spans, last, cpu) = (now, Instant::now(), server.cpu()?);
        }
    }
    let passes = server.metric("traceweir_store_compactions_total").await?.unwrap_or(0.0);
    let seconds = (cpu - ready_cpu).as_secs_f64();
    let peak = server.memory()?.0;
    say(&format!("{} blocks, {} MB before", before.0, before.1 / 1_000_000));
    say(&format!(
        "{} blocks, {} MB after {passes} compactions of {spans} spans",
        server.block_files()?,
        server.block_bytes()?.wrapping_div(1_000_000),
    ));
    say(&format!(
        "{:.2} CPU-s per million spans and pass, {seconds:.2} CPU-s in all",
        seconds / spans * 1e6
    ));
    say(&format!("peak memory {} MB, {} MB when ready", peak / 1_000_000, ready_peak / 1_000_000));
    server.stop().await?;
    anyhow::ensure!(spans > 0.0, "nothing was compacted");
    Ok(())
}
