//! TraceQL over blocks and over the head, on frames that `load make` wrote.
//!
//! `FRAMES=FILE cargo bench -p store --bench traceql`: prints CPU milliseconds (user and system, of
//! this process) of each query, the traces or series that it found and what it looked at. `DATA=DIR`
//! keeps the store there, and takes the one that is there; `ONLY=TEXT` asks the queries with this
//! text in them, `TIMES=N` so often (the least time counts).

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use model::{Clock, Federation, Nanos, TenantId, TimeRange};
use rustix::time::{ClockId, clock_gettime};
use store::disk::RealDisk;
use store::execute::traceql::{Budget, MetricsRequest, SearchRequest};
use store::{Append, Config, Level, Store};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SEARCHES: &[(&str, usize)] = &[
    ("{ resource.service.name = \"frontend\" }", 20),
    ("{ span.http.response.status_code >= 500 }", 10_000),
    ("{ name =~ \".*checkout.*\" }", 10_000),
    ("{ duration > 1s }", 10_000),
    ("{ span.user.id = \"nobody\" }", 20),
    ("{ resource.service.name = \"frontend\" } >> { span.db.system.name = \"postgresql\" }", 20),
    (
        "{ resource.service.name = \"frontend\" && status = error } >> \
      { resource.service.name = \"payment\" && status = error }",
        10_000,
    ),
    ("{ nestedSetParent < 0 && status = error } | select(resource.service.name, name)", 200),
];

const METRICS: &[&str] = &[
    "{ } | rate() by(resource.service.name)",
    "{ } | quantile_over_time(duration, 0.99) by(name)",
    "{ status = error } | count_over_time()",
];

#[derive(Debug, Default)]
struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now(&self) -> Nanos {
        Nanos::from_secs(1_800_000_000)
    }
    fn monotonic(&self) -> Nanos {
        Nanos(self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

fn cpu_nanos() -> i64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

/// Calls `each` with the body of every frame: `[u32 length][u32 spans][bytes]`.
fn frames(path: &str, mut each: impl FnMut(Vec<u8>)) -> std::io::Result<()> {
    let mut file = std::io::BufReader::new(std::fs::File::open(path)?);
    let mut head = [0u8; 8];
    while file.read_exact(&mut head).is_ok() {
        let [a, b, c, d, ..] = head;
        let mut body = vec![0; u32::from_le_bytes([a, b, c, d]) as usize];
        file.read_exact(&mut body)?;
        each(body);
    }
    Ok(())
}

#[expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a bench reports")]
fn measured<T>(what: &str, mut run: impl FnMut() -> T) -> T {
    let mut best = i64::MAX;
    let mut last = None;
    let times = std::env::var("TIMES").ok().and_then(|times| times.parse().ok()).unwrap_or(3);
    for _ in 0..times {
        let started = cpu_nanos();
        last = Some(run());
        best = best.min(cpu_nanos() - started);
    }
    println!("{:9.2} ms  {what}", best as f64 / 1e6);
    last.expect("it ran")
}

#[expect(clippy::print_stdout, reason = "a bench reports")]
fn main() {
    let Ok(path) = std::env::var("FRAMES") else {
        println!("set FRAMES to a file that `load make` wrote; nothing measured");
        return;
    };
    let temporary = tempfile::tempdir().expect("a directory");
    let kept = std::env::var("DATA").map(std::path::PathBuf::from);
    let dir = kept.unwrap_or_else(|_| temporary.path().join("data"));
    let is_new = !dir.try_exists().expect("a directory that can be looked at");
    let clock: Arc<dyn Clock> = Arc::new(Ticks::default());
    let (disk, config) = (Arc::new(RealDisk), Config::default());
    let store = Store::open(disk, &dir, &config, clock, || Ok(7));
    let store = store.expect("a store");
    store.replay().expect("a log that is whole");
    let tenant = TenantId::single();
    let tenants = Federation::from(&tenant);
    let fill = |body: Vec<u8>| {
        let received_at = Nanos::from_secs(1_800_000_000);
        let body = bytes::Bytes::from(body);
        let append = || Append { tenant: tenant.clone(), received_at, body: body.clone() };
        while let Err(error) = store.append(append()) {
            assert_eq!(error.kind(), store::Kind::Unavailable, "{error}");
            store.flush(Level::L0).expect("it is sealed");
        }
    };
    if is_new {
        frames(&path, fill).expect("the frames are readable");
        store.flush(Level::L1).expect("it is merged");
    }
    let only = std::env::var("ONLY").unwrap_or_default();
    for (query, limit) in SEARCHES.iter().filter(|(query, _)| query.contains(&only)) {
        let request = SearchRequest {
            query: traceql::parse(query).expect("a query"),
            during: TimeRange::ALL,
            limit: *limit,
            spans_per_set: 3,
            budget: Budget::default(),
        };
        let ask = || store.query(&tenants, &request, &mut |_, _| {}).expect("an answer");
        let answer = measured(query, ask);
        println!("              {} traces, {:?}", answer.traces.len(), answer.inspected);
    }
    for query in METRICS.iter().filter(|query| query.contains(&only)) {
        let request = MetricsRequest {
            query: traceql::parse(query).expect("a query"),
            start: Nanos::from_secs(1_700_000_000),
            end: Nanos::from_secs(1_900_000_000),
            step: None,
            exemplars: 0,
            series_max: 10_000,
            budget: Budget::default(),
        };
        let ask = || store.query_metrics(&tenants, &request, &mut |_| {}).expect("an answer");
        let answer = measured(query, ask);
        println!("              {} series, {:?}", answer.series.len(), answer.inspected);
    }
}
