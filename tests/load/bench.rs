//! `load bench`: starts the release binary on a processor of its own, again and again with a fresh
//! data directory, and measures it from another one.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use gateway::demo::client::{Coding, Protocol};
use serde_json::{Map, Value, json};

use crate::engine::{self, Drive, Message, Sent, WhenFull, as_f64};
use crate::make::{SetArgs, Sort};
use crate::probe;
use crate::process::{Launch, Server, pin};
use crate::report::{self, Report};
use crate::say;
use crate::send::{self, DriveArgs};

/// Arguments of `load bench`.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    launch: Launch,
    /// Which measurements, in their order; all but `ugly` by default
    #[arg(long, value_delimiter = ',')]
    only: Vec<Bench>,
    /// Spans of the measurements of throughput
    #[arg(long, default_value_t = 2_000_000)]
    spans: u64,
    /// Spans of the other measurements
    #[arg(long, default_value_t = 400_000)]
    spans_less: u64,
    /// Spans that are sent before a measurement begins, each time the server was started
    #[arg(long, default_value_t = 40_000)]
    warmup: u64,
    /// Spans per second of the open loop; by default 70 % of what the closed loop reached
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds of the measurements that last a fixed time (idle, steady)
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Starts the server afresh after so many spans, full or not
    #[arg(long)]
    restart_every: Option<u64>,
    /// Connections
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Requests at a time on each connection, in the closed loop; by default 4, and more where
    /// they are small
    #[arg(long)]
    in_flight: Option<usize>,
    /// What the server is asked to write after the load, while it is still measured: `all_in` is
    /// then what everything cost up to there
    #[arg(long, value_enum, default_value_t = Flush::L1)]
    flush: Flush,
    /// The seed of the sets
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Another header of each request, as `name: value`; may be repeated
    #[arg(long)]
    header: Vec<String>,
    /// Sends over TLS, and believes certificates that this PEM file has signed
    #[arg(long)]
    ca_file: Option<PathBuf>,
}

/// How far the server writes what it was sent.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flush {
    /// As far as it goes by itself.
    None,
    /// Into L0 files.
    L0,
    /// Into blocks.
    L1,
}

impl Flush {
    const fn level(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::L0 => Some("l0"),
            Self::L1 => Some("l1"),
        }
    }
}

/// One measurement.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bench {
    /// As fast as it is acknowledged: gRPC, requests of 800 spans.
    Closed,
    /// At a fixed rate; waits are counted from when a request was due.
    Open,
    /// As `closed`, with requests of 100 spans.
    Batch100,
    /// As `closed`, with requests of 10 spans.
    Batch10,
    /// As `closed`, with gzip.
    Gzip,
    /// As `closed`, with zstd.
    Zstd,
    /// As `closed`, over HTTP/1.1.
    Http,
    /// Memory and processor of a server that has nothing to do.
    Idle,
    /// Memory and processor at 1,000 spans a second.
    Steady,
    /// From the ack to where a search and a fetch by id find the span, while the open loop's
    /// load runs.
    Search,
    /// Traces by id, from a server that is full of them.
    ById,
    /// As `closed`, with the ugly set.
    Ugly,
}

const ALL: [Bench; 11] = [
    Bench::Closed,
    Bench::Open,
    Bench::Batch100,
    Bench::Batch10,
    Bench::Gzip,
    Bench::Zstd,
    Bench::Http,
    Bench::Idle,
    Bench::Steady,
    Bench::Search,
    Bench::ById,
];

/// The share of the closed loop's rate that the open loop sends at.
const OPEN_SHARE: f64 = 0.7;
/// Requests at a time on each connection in an open loop: enough for a stall of some seconds.
const OPEN_IN_FLIGHT: usize = 64;
/// The most spans in a second that a server is asked to take by the steady measurement.
const STEADY_RATE: f64 = 1_000.0;

pub(crate) async fn run(args: &Args) -> anyhow::Result<()> {
    pin(Some(args.launch.own_cpu))?;
    let list = if args.only.is_empty() { &ALL[..] } else { &args.only };
    let mut report = Report::default();
    let mut rate = args.rate;
    for bench in list {
        say(&format!("measuring {bench:?}"));
        let mut runner = Runner { args, bench: *bench, rate };
        let result = Box::pin(runner.run()).await.with_context(|| format!("{bench:?}"))?;
        if *bench == Bench::Closed && args.rate.is_none() {
            rate = result.get("spans_per_s").and_then(Value::as_f64).map(|all| all * OPEN_SHARE);
        }
        report.add(&format!("{bench:?}").to_lowercase(), result)?;
    }
    report.table();
    Ok(())
}

/// Runs one measurement.
struct Runner<'a> {
    args: &'a Args,
    bench: Bench,
    rate: Option<f64>,
}

/// What a server used while it was measured.
#[derive(Debug, Default)]
struct Used {
    cpu: Duration,
    peak: u64,
    disk: u64,
    /// Spans in the directories that `disk` adds up, those of the warm-up included.
    stored: u64,
    starts: u64,
    /// With what was written after the load.
    all_in: Duration,
    flushing: Duration,
    block_bytes: u64,
}

impl Runner<'_> {
    async fn run(&mut self) -> anyhow::Result<Map<String, Value>> {
        match self.bench {
            Bench::Idle => self.idle().await,
            Bench::Steady => self.steady().await,
            Bench::Search => self.search().await,
            Bench::ById => self.by_id().await,
            _ => self.throughput().await,
        }
    }

    fn launch(&self) -> Launch {
        let mut launch = self.args.launch.clone();
        if self.bench == Bench::Ugly {
            launch.serve_arg.extend(["--set", "tenancy=header"].map(Into::into));
        }
        launch
    }

    fn set(&self, spans: u64) -> SetArgs {
        let batch = match self.bench {
            Bench::Batch100 => 100,
            Bench::Batch10 => 10,
            _ => 800,
        };
        let set = if self.bench == Bench::Ugly { Sort::Ugly } else { Sort::Nice };
        SetArgs { set, spans, batch, seed: self.args.seed, ..SetArgs::default() }
    }

    fn drive(&self) -> DriveArgs {
        let open = matches!(self.bench, Bench::Open | Bench::Search);
        DriveArgs {
            protocol: if self.bench == Bench::Http { Protocol::Http } else { Protocol::Grpc },
            compression: match self.bench {
                Bench::Gzip => Coding::Gzip,
                Bench::Zstd => Coding::Zstd,
                _ => Coding::None,
            },
            connections: self.args.connections,
            in_flight: self.in_flight(),
            rate: if open { self.rate } else { None },
            tenant: None,
            header: self.args.header.clone(),
            ca_file: self.args.ca_file.clone(),
        }
    }

    /// Small requests wait for the same fsync as large ones: it takes more of them at a time to
    /// keep a server busy.
    fn in_flight(&self) -> usize {
        match self.bench {
            Bench::Open | Bench::Search => OPEN_IN_FLIGHT,
            Bench::Batch100 => self.args.in_flight.unwrap_or(16),
            Bench::Batch10 => self.args.in_flight.unwrap_or(64),
            _ => self.args.in_flight.unwrap_or(4),
        }
    }

    fn endpoint(&self, server: &Server) -> String {
        let http = self.bench == Bench::Http;
        let scheme = if self.args.ca_file.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", if http { server.http } else { server.grpc })
    }

    /// Sends a whole set, starting the server afresh where it is full.
    async fn throughput(&self) -> anyhow::Result<Map<String, Value>> {
        let open = self.bench == Bench::Open;
        anyhow::ensure!(
            !open || self.rate.is_some(),
            "the open loop needs --rate, or `closed` before"
        );
        let less = !matches!(self.bench, Bench::Closed | Bench::Open | Bench::Ugly);
        let spans = if less { self.args.spans_less } else { self.args.spans };
        let drive = self.drive();
        let target = drive.target("http://127.0.0.1:1")?;
        let (messages, _) = send::make(&self.set(spans), &target)?;
        let (sent, used) = self.measure(&messages).await?;
        let mut row = report::sent(&sent);
        if let Some(rate) = drive.rate {
            row.insert("rate".into(), report::round(rate, 0));
        }
        row.insert("server_cpu_s_per_m".into(), report::cpu_per_m(used.cpu, sent.acked));
        let nanos = u64::try_from(used.cpu.as_nanos())?;
        if self.args.flush != Flush::None {
            row.insert("all_in_cpu_s_per_m".into(), report::cpu_per_m(used.all_in, sent.acked));
            let secs = (sent.elapsed + used.flushing).as_secs_f64();
            row.insert("all_in_spans_per_s".into(), report::round(as_f64(sent.acked) / secs, 0));
            let nanos = u64::try_from(used.all_in.as_nanos())?;
            row.insert("all_in_cpu_ns_per_b".into(), report::per(nanos, sent.raw_bytes, 2));
            row.insert("l1_b_per_span".into(), report::per(used.block_bytes, used.stored, 2));
        }
        row.insert("server_cpu_ns_per_b".into(), report::per(nanos, sent.raw_bytes, 2));
        row.insert("server_cpu_share".into(), share(used.cpu, sent.elapsed));
        row.insert("peak_mb".into(), mb(used.peak));
        row.insert("disk_b_per_span".into(), report::per(used.disk, used.stored, 1));
        row.insert("raw_b_per_span".into(), report::per(sent.raw_bytes, sent.acked, 1));
        row.insert("starts".into(), json!(used.starts));
        Ok(row)
    }

    async fn measure(&self, messages: &Arc<[Message]>) -> anyhow::Result<(Sent, Used)> {
        let launch = self.launch();
        let (mut sent, mut used) = (Sent::default(), Used::default());
        while sent.next < messages.len() {
            let mut server = Server::start(&launch).await?;
            let measured = self.measure_one(messages, &server, &mut sent, &mut used).await;
            measured.with_context(|| server.last_words())?;
            server.stop().await?;
        }
        Ok((sent, used))
    }

    /// Goes on with a fresh server until it is full, or everything is sent.
    async fn measure_one(
        &self,
        messages: &Arc<[Message]>,
        server: &Server,
        sent: &mut Sent,
        used: &mut Used,
    ) -> anyhow::Result<()> {
        let drive = self.drive().drive(&self.endpoint(server), WhenFull::Stop)?;
        used.starts += 1;
        let warm = self.warm(messages, &drive).await?;
        let cpu = server.cpu()?;
        let last = self.last(messages, sent.next);
        let run = engine::run(messages, sent.next..last, &drive).await;
        used.cpu += server.cpu()?.saturating_sub(cpu);
        if let Some(level) = self.args.flush.level() {
            let began = Instant::now();
            server.flush(level).await?;
            used.flushing += began.elapsed();
            used.block_bytes += server.block_bytes()?;
        }
        used.all_in += server.cpu()?.saturating_sub(cpu);
        used.peak = used.peak.max(server.memory()?.0);
        used.disk += server.disk()?;
        used.stored += warm + run.acked;
        anyhow::ensure!(run.acked > 0, "a fresh server took nothing: {:?}", run.trouble);
        sent.add(run);
        Ok(())
    }

    /// Where this start of the server ends, if it does not end earlier.
    fn last(&self, messages: &[Message], first: usize) -> usize {
        let Some(most) = self.args.restart_every else { return messages.len() };
        first + upto(messages.get(first..).unwrap_or_default(), most)
    }

    /// Sends the first messages of the set; returns how many spans were stored.
    async fn warm(&self, messages: &Arc<[Message]>, drive: &Drive) -> anyhow::Result<u64> {
        let drive = Drive { rate: None, in_flight: drive.in_flight.min(16), ..drive.clone() };
        let last = upto(messages, self.args.warmup);
        let warm = engine::run(messages, 0..last, &drive).await;
        anyhow::ensure!(warm.lost == 0, "warm-up: {}", warm.trouble.unwrap_or_default());
        Ok(warm.acked)
    }

    async fn idle(&self) -> anyhow::Result<Map<String, Value>> {
        let server = Server::start(&self.launch()).await?;
        let wait = Duration::from_secs(self.args.seconds);
        // What belongs to the start is not idling.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let cpu = server.cpu()?;
        tokio::time::sleep(wait).await;
        let used = server.cpu()?.saturating_sub(cpu);
        let (peak, now) = server.memory()?;
        server.stop().await?;
        let row = json!({ "seconds": self.args.seconds, "rss_mb": mb(now), "peak_mb": mb(peak),
            "server_cpu_share": share(used, wait) });
        Ok(row.as_object().cloned().unwrap_or_default())
    }

    async fn steady(&self) -> anyhow::Result<Map<String, Value>> {
        let server = Server::start(&self.launch()).await?;
        let mut drive = self.drive().drive(&self.endpoint(&server), WhenFull::Wait)?;
        drive.rate = Some(STEADY_RATE);
        let mut set = self.set(self.args.seconds * 1_000);
        // Ten requests a second, as some SDKs of a small shop send them.
        set.batch = 100;
        let (messages, _) = send::make(&set, &drive.target)?;
        let cpu = server.cpu()?;
        let sent = engine::run(&messages, 0..messages.len(), &drive).await;
        let used = server.cpu()?.saturating_sub(cpu);
        let (peak, now) = server.memory()?;
        server.stop().await?;
        let mut row = report::sent(&sent);
        row.insert("server_cpu_share".into(), share(used, sent.elapsed));
        row.insert("rss_mb".into(), mb(now));
        row.insert("peak_mb".into(), mb(peak));
        Ok(row)
    }

    /// Probes while the open loop's load runs.
    async fn search(&self) -> anyhow::Result<Map<String, Value>> {
        anyhow::ensure!(self.rate.is_some(), "the search needs --rate, or `closed` before");
        let server = Server::start(&self.launch()).await?;
        let drive = self.drive().drive(&self.endpoint(&server), WhenFull::Wait)?;
        let (messages, _) = send::make(&self.set(self.args.spans_less), &drive.target)?;
        let probes = probe::Prober::new(&server, self.args.seed)?;
        let loading = Cell::new(true);
        let load = async {
            let sent = engine::run(&messages, 0..messages.len(), &drive).await;
            loading.set(false);
            sent
        };
        let (sent, found) = tokio::join!(load, probes.run(&loading));
        let found = found?;
        server.stop().await?;
        let mut row = Map::new();
        row.insert("probes".into(), json!(found.search.len()));
        row.insert("rate".into(), report::round(drive.rate.unwrap_or(0.0), 0));
        report::waits(&mut row, "ack_to_search_ms", &found.search);
        report::waits(&mut row, "ack_to_id_ms", &found.by_id);
        report::waits(&mut row, "load_ack_ms", &sent.waits);
        row.insert("load_spans".into(), json!(sent.acked));
        row.insert("load_seconds".into(), report::round(sent.elapsed.as_secs_f64(), 1));
        Ok(row)
    }

    async fn by_id(&self) -> anyhow::Result<Map<String, Value>> {
        let server = Server::start(&self.launch()).await?;
        let drive = self.drive().drive(&self.endpoint(&server), WhenFull::Stop)?;
        let (messages, truth) = send::make(&self.set(self.args.spans_less), &drive.target)?;
        let sent = engine::run(&messages, 0..messages.len(), &drive).await;
        if let Some(level) = self.args.flush.level() {
            server.flush(level).await?;
        }
        let fetched = probe::Prober::new(&server, self.args.seed)?.fetch(&truth.samples).await?;
        server.stop().await?;
        let mut row = Map::new();
        row.insert("spans".into(), json!(sent.acked));
        row.insert("found".into(), json!(fetched.found));
        row.insert("missing".into(), json!(fetched.missing));
        report::waits(&mut row, "protobuf_ms", &fetched.protobuf);
        report::waits(&mut row, "json_ms", &fetched.json);
        Ok(row)
    }
}

/// How many of the messages hold so many spans.
fn upto(messages: &[Message], spans: u64) -> usize {
    let mut sum = 0;
    let within = |message: &&Message| {
        sum += message.spans;
        sum <= spans
    };
    messages.iter().take_while(within).count().max(1)
}

/// Megabytes (10^6 bytes).
fn mb(bytes: u64) -> Value {
    report::round(as_f64(bytes) / 1e6, 1)
}

/// The share of one processor.
fn share(cpu: Duration, of: Duration) -> Value {
    report::round(cpu.as_secs_f64() / of.as_secs_f64(), 4)
}
