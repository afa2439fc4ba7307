//! `load queries`: starts the release binary on a processor of its own, fills it with a set, and
//! asks it the queries whose answers the set's truth knows, over one connection that is kept.
//!
//! Each is asked for the first time, as something else in every round, so that what is measured is a
//! query and not a memory of its answer; and again, with other bounds around all there is, as a
//! dashboard does.

mod ack;
mod ask;

use std::sync::Arc;

use anyhow::Context as _;
use gateway::demo::client::{Coding, Protocol, Target};
use gateway::demo::truth::Truth;

use crate::engine::{self, Drive, Message, WhenFull};
use crate::make::SetArgs;
use crate::process::{Launch, Server, pin};
use crate::{say, send};
use ask::{Asker, Measured, QUESTIONS, Question};

/// Arguments of `load queries`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    launch: Launch,
    /// Spans that are sent, and flushed into blocks
    #[arg(long, default_value_t = 2_000_000)]
    spans: u64,
    /// Spans that are sent afterwards and stay in memory
    #[arg(long, default_value_t = 50_000)]
    head_spans: u64,
    /// How often each query is measured
    #[arg(long, default_value_t = 15)]
    rounds: u64,
    /// Instead of the table: how waits grow where the same spans are in so many blocks
    #[arg(long, value_delimiter = ',')]
    blocks: Vec<usize>,
    /// Instead of the table: how long acks take while queries are asked
    #[arg(long)]
    ack: bool,
    /// The seed of the set
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Requests at a time on each of the connections that spans are sent over.
const IN_FLIGHT: usize = 4;
const CONNECTIONS: usize = 4;

pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    pin(Some(args.launch.own_cpu))?;
    if args.ack {
        return ack::run(args).await;
    }
    if args.blocks.is_empty() { args.table().await } else { args.growth().await }
}

impl Args {
    async fn start(&self) -> anyhow::Result<Server> {
        Server::start(&self.launch).await
    }

    /// All rows, everything in blocks but what the last one looks for.
    async fn table(&self) -> anyhow::Result<()> {
        let (messages, truth) = make(self.spans, self.seed)?;
        let (recent, recent_truth) = make(self.head_spans, self.seed + 1)?;
        let server = self.start().await?;
        fill(&server, &messages, 1).await?;
        say(&format!("{} files below blocks", server.block_files()?));
        let asker = Asker::new(&server, self.rounds)?;
        let mut rows = Vec::new();
        for question in &QUESTIONS {
            say(question.name);
            rows.push((question, asker.measure(&server, question, &truth).await?));
        }
        let sent = engine::run(&recent, 0..recent.len(), &drive(&server)?).await;
        anyhow::ensure!(sent.lost == 0, "lost: {:?}", sent.trouble);
        rows.push((&ask::IN_HEAD, asker.measure(&server, &ask::IN_HEAD, &recent_truth).await?));
        let peak = server.memory()?.0;
        server.stop().await?;
        print_table(&rows);
        say(&format!("peak memory {} MB", peak / 1_000_000));
        let wrong = rows.iter().filter(|(_, row)| row.found != row.expected).count();
        anyhow::ensure!(wrong == 0, "{wrong} answers are not what the truth says");
        Ok(())
    }

    /// The rows with the same spans in more and more blocks.
    async fn growth(&self) -> anyhow::Result<()> {
        let (messages, truth) = make(self.spans, self.seed)?;
        let mut columns = Vec::new();
        let launch = self.launch.with("compaction.enabled=false");
        for parts in &self.blocks {
            let server = Server::start(&launch).await?;
            fill(&server, &messages, (*parts).max(1)).await?;
            let asker = Asker::new(&server, self.rounds)?;
            let mut rows = Vec::new();
            for question in &QUESTIONS {
                say(&format!("{parts} blocks: {}", question.name));
                rows.push(asker.measure(&server, question, &truth).await?);
            }
            columns.push((*parts, server.block_files()?, rows));
            server.stop().await?;
        }
        let mut head = vec!["ms p50, first / again".to_owned()];
        head.extend(
            columns.iter().map(|(parts, files, _)| format!("{parts} flushes, {files} blocks")),
        );
        line(&format!("| {} |", head.join(" | ")))?;
        line(&format!("|{}", "---|".repeat(head.len())))?;
        for (at, question) in QUESTIONS.iter().enumerate() {
            let mut cells = vec![question.name.to_owned()];
            cells.extend(columns.iter().filter_map(|(_, _, rows)| rows.get(at)).map(|row| {
                let wrong = if row.found == row.expected { "" } else { " WRONG" };
                format!("{:.2} / {:.2}{wrong}", row.first.p50_ms, row.again.p50_ms)
            }));
            line(&format!("| {} |", cells.join(" | ")))?;
        }
        Ok(())
    }
}

/// A set as messages, and its truth.
pub(crate) fn make(spans: u64, seed: u64) -> anyhow::Result<(Arc<[Message]>, Truth)> {
    let target = Target::parse("http://127.0.0.1:1", Protocol::Grpc, Coding::None)?;
    let set = SetArgs { spans, seed, ..SetArgs::default() };
    let made = send::make(&set, &target)?;
    say(&format!("{} spans, {} traces", made.1.spans, made.1.traces));
    Ok(made)
}

fn drive(server: &Server) -> anyhow::Result<Drive> {
    let endpoint = format!("http://{}", server.grpc);
    Ok(Drive {
        target: Target::parse(&endpoint, Protocol::Grpc, Coding::None)?,
        connections: CONNECTIONS,
        in_flight: IN_FLIGHT,
        rate: None,
        when_full: WhenFull::Wait,
    })
}

/// Sends everything, in so many parts, each of which becomes a block.
pub(crate) async fn fill(
    server: &Server,
    messages: &Arc<[Message]>,
    parts: usize,
) -> anyhow::Result<()> {
    let drive = drive(server)?;
    let part = messages.len().div_ceil(parts).max(1);
    let mut first = 0;
    while first < messages.len() {
        let last = (first + part).min(messages.len());
        let sent = engine::run(messages, first..last, &drive).await;
        anyhow::ensure!(sent.lost == 0, "lost: {:?}", sent.trouble);
        server.flush("l1").await.context("flush")?;
        first = last;
    }
    Ok(())
}

fn print_table(rows: &[(&Question, Measured)]) {
    let head = "| query | found | truth | first: p50 ms | p90 ms | CPU-ms | target ms | MB looked \
                at | CPU-ms/M spans | again: p50 ms | CPU-ms |";
    let mut lines = vec![head.to_owned(), format!("|{}", "---|".repeat(11))];
    for (question, row) in rows {
        let Measured { first, again, .. } = row;
        let per_m = if row.spans > 0.0 {
            format!("{:.2}", first.cpu_ms * 1e6 / row.spans)
        } else {
            "–".to_owned()
        };
        lines.push(format!(
            "| {} | {} | {} | {:.2} | {:.2} | {:.2} | {} | {:.2} | {per_m} | {:.2} | {:.2} |",
            question.name,
            row.found,
            row.expected,
            first.p50_ms,
            first.p90_ms,
            first.cpu_ms,
            question.target_ms,
            row.bytes / 1e6,
            again.p50_ms,
            again.cpu_ms,
        ));
    }
    // Nobody reads it: then nobody misses it.
    lines.iter().for_each(|text| drop(line(text)));
}

/// A line of a result.
fn line(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}
