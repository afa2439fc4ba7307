//! What queries cost over blocks in a bucket that takes its time.
//!
//! `cargo bench -p tests --bench bucket -- [--disk] [BLOCKS,... [TRACES]]`: for each number of blocks, with
//! nothing and with 30 ms added to each GET: a trace by its id and a search for one user (at once: the
//! first thing after a start, when nothing is open or kept; cold: when what look-ups begin with is read
//! ahead; warm: the same again, and another trace), a search over all and series over all, in
//! milliseconds, GETs and bytes; the cache in memory alone, or with a disk that is empty; then a dashboard that asks for the
//! same again and again, with and without the cache.

#![expect(clippy::disallowed_methods, reason = "a bench measures the time of this machine")]

use std::time::{Duration, Instant};

use hybrid::Config;
use model::ByteSize;
use rustix::time::{ClockId, clock_gettime};
use tests::bucket::{Objects, SPANS, World, by_id, objects, search, series, slow, trace_id, user};

/// So often each is asked cold; the median counts.
const TIMES: usize = 5;
/// What is added to each GET.
const WAITS: [Duration; 2] = [Duration::ZERO, Duration::from_millis(30)];
/// Refreshes of the dashboard.
const REFRESHES: usize = 10;

fn main() {
    let has_disk = std::env::args().any(|argument| argument == "--disk");
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let blocks = arguments.next().unwrap_or_else(|| "1,10,100".to_owned());
    let traces = arguments.next().and_then(|traces| traces.parse().ok()).unwrap_or(400);
    for blocks in blocks.split(',').map(|blocks| blocks.parse().expect("a number of blocks")) {
        measure(blocks, traces, has_disk);
    }
}

/// A query: of which block and trace it asks, and what it is called.
type Ask<'a> = (&'static str, Box<dyn Fn(&World, u64) + 'a>);

#[expect(clippy::print_stdout, clippy::cast_precision_loss, reason = "a bench reports")]
fn measure(blocks: u64, traces: u64, has_disk: bool) {
    let (objects, dir) = (objects(), tempfile::tempdir().expect("a directory"));
    let mut cache = Config::default();
    if !has_disk {
        cache.disk_bytes_max = ByteSize(0);
    }
    let world = World::open(&objects, dir.path(), Some(&cache));
    let (mut written, mut catalogs) = (0, Cost::default());
    for block in 0..blocks {
        let before = world.bucket.written_bytes.get();
        world.block(block, traces);
        written += world.bucket.written_bytes.get() - before;
        // As the thread does that merges.
        let before = (world.bucket.written_bytes.get(), cpu_seconds());
        world.catalog();
        catalogs.0 += cpu_seconds() - before.1;
        catalogs.2 += world.bucket.written_bytes.get() - before.0;
    }
    let spans = blocks * traces * SPANS;
    println!(
        "\ncatalogs: {:.2} CPU-s per million spans, {:.2} bytes written per span",
        catalogs.0 / spans as f64 * 1e6,
        catalogs.2 as f64 / spans as f64,
    );
    drop(world);
    println!("\n{blocks} blocks of {traces} traces, {} KiB each", (written / blocks) >> 10);
    let place = move |at: u64| (at * 7_919 % blocks, at * 104_729 % traces);
    let asks: [Ask<'_>; 4] = [
        (
            "by id",
            Box::new(move |world, at| {
                let (block, trace) = place(at);
                assert_eq!(by_id(&world.store, trace_id(block, trace)), SPANS);
            }),
        ),
        (
            "needle",
            Box::new(move |world, at| {
                let (block, trace) = place(at);
                let query = format!("{{ span.user.id = \"{}\" }}", user(block, trace));
                assert_eq!(search(&world.store, &query, 20).traces.len(), 1);
            }),
        ),
        (
            "search",
            Box::new(|world, at| {
                let query = format!("{{ name = \"operation {}\" && duration > 49500us }}", at % 60);
                search(&world.store, &query, 100_000);
            }),
        ),
        (
            "series",
            Box::new(|world, _| {
                assert!(series(&world.store, "{ } | rate() by(resource.service.name)") > 0);
            }),
        ),
    ];
    let open = |wait: Duration| {
        slow(&objects, Duration::ZERO);
        drop(std::fs::remove_dir_all(dir.path().join("cache")));
        let world = World::open(&objects, dir.path(), Some(&cache));
        slow(&objects, wait);
        world
    };
    for wait in WAITS {
        let world = open(wait);
        let ahead = measured(&world, || world.read_ahead());
        println!("{:>3} ms a GET  read ahead at start {}", wait.as_millis(), median(vec![ahead]));
        drop(world);
        for (what, ask) in &asks {
            let mut rows = [const { Vec::new() }; 4];
            for time in 0..TIMES as u64 {
                let world = open(wait);
                let [at_once, rest @ ..] = &mut rows;
                at_once.push(measured(&world, || ask(&world, time)));
                // A directory has one process.
                drop(world);
                let world = open(wait);
                world.read_ahead();
                // The same again; then another one, with indexes known.
                for (row, at) in rest.iter_mut().zip([time, time, time + 100]) {
                    row.push(measured(&world, || ask(&world, at)));
                }
            }
            let [at_once, cold, same, other] = rows.map(median);
            println!(
                "{:>3} ms a GET  {what:8} at once {at_once}   cold {cold}   same {same}   other {other}",
                wait.as_millis()
            );
        }
    }
    dashboard(&objects, blocks);
}

/// Milliseconds, GETs, KiB.
type Cost = (f64, u64, u64);

fn measured(world: &World, run: impl FnOnce()) -> Cost {
    let before = (world.bucket.gets.get(), world.bucket.read_bytes.get());
    let started = Instant::now();
    run();
    let spent = started.elapsed().as_secs_f64() * 1e3;
    let bytes = world.bucket.read_bytes.get() - before.1;
    (spent, world.bucket.gets.get() - before.0, bytes >> 10)
}

fn median(mut costs: Vec<Cost>) -> String {
    costs.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (spent, gets, bytes) = costs.get(costs.len() / 2).copied().unwrap_or_default();
    format!("{spent:7.1} ms {gets:5} GETs {bytes:7} KiB")
}

fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec.cast_unsigned(), u32::try_from(now.tv_nsec).unwrap_or(0)).as_secs_f64()
}

/// Some searches and series over the last hour, again and again, with so little memory for decoded
/// columns that files are read each time.
#[expect(clippy::print_stdout, reason = "a bench reports")]
fn dashboard(objects: &Objects, blocks: u64) {
    let asked = |world: &World, refresh: usize| {
        for at in 0..3 {
            let query =
                format!("{{ name = \"operation {}\" && duration > {}ms }}", at, 40 + refresh);
            search(&world.store, &query, 20);
        }
        series(&world.store, "{ } | rate() by(resource.service.name)");
        series(&world.store, "{ span.http.response.status_code >= 500 } | count_over_time()");
    };
    for (what, config) in [("with", Some(Config::default())), ("without", None)] {
        let dir = tempfile::tempdir().expect("a directory");
        slow(objects, Duration::ZERO);
        let world = World::open_small(objects, dir.path(), config.as_ref());
        slow(objects, Duration::from_millis(30));
        let cpu = cpu_seconds();
        let (mut first, mut rest) = (None, Vec::new());
        for refresh in 0..REFRESHES {
            let cost = measured(&world, || asked(&world, refresh));
            if first.is_none() { first = Some(cost) } else { rest.push(cost) }
        }
        let cpu = cpu_seconds() - cpu;
        let hits = world.cache.as_ref().map(|cache| {
            let counts = || cache.stats().by_content().map(|(_, counts)| counts);
            let hits = counts().map(|of| of.memory_hits.get() + of.disk_hits.get()).sum::<u64>();
            let misses = counts().map(|of| of.misses.get()).sum::<u64>();
            format!(", {hits} hits and {misses} misses")
        });
        println!(
            "dashboard of {blocks} blocks {what} the cache: first {}   then {}   {cpu:.2} CPU-s{}",
            median(first.into_iter().collect()),
            median(rest),
            hits.unwrap_or_default()
        );
    }
}
