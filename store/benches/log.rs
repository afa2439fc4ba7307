//! The log, per span, on frames that `load make` wrote: compression, append with sync, replay.
//!
//! `FRAMES=FILE [WAL_DIR=DIR] cargo bench -p store --bench log`: prints CPU nanoseconds per span
//! (user and system, all threads of this process) and wall-clock rates. `WAL_DIR` says on which
//! disk; without it, that of the temporary directory.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Clock, Nanos, TenantId, Wait};
use rustix::time::{ClockId, clock_gettime};
use store::disk::RealDisk;
use store::disk::data_dir::DataDir;
use store::log::config::{Commit, Config, Durability};
use store::log::edit::Edits;
use store::log::pack::Packer;
use store::log::record::Format;
use store::log::replay::Replay;
use store::log::stats::Stats;
use store::log::{Entry, LocalWal};

#[derive(Debug)]
struct Monotonic;

impl Clock for Monotonic {
    fn now(&self) -> Nanos {
        self.monotonic()
    }
    fn monotonic(&self) -> Nanos {
        Nanos(nanos(ClockId::Monotonic))
    }
}

fn nanos(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    u64::try_from(now.tv_sec * 1_000_000_000 + now.tv_nsec).unwrap_or(0)
}

/// CPU time of this process and the time of day.
struct Watch(u64, u64);

impl Watch {
    fn start() -> Self {
        Self(nanos(ClockId::ProcessCPUTime), nanos(ClockId::Monotonic))
    }

    fn stop(&self) -> (f64, f64) {
        let cpu = nanos(ClockId::ProcessCPUTime) - self.0;
        (float(cpu), float(nanos(ClockId::Monotonic) - self.1))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a bench reports")]
fn float(n: u64) -> f64 {
    n as f64
}

/// Frames of `[u32 length][u32 spans][bytes]`.
fn frames(path: &str) -> std::io::Result<(Vec<Vec<u8>>, u64)> {
    let mut file = std::io::BufReader::new(std::fs::File::open(path)?);
    let (mut frames, mut head, mut total) = (Vec::new(), [0u8; 8], 0);
    while file.read_exact(&mut head).is_ok() {
        let [a, b, c, d, e, f, g, h] = head;
        let mut body = vec![0; u32::from_le_bytes([a, b, c, d]) as usize];
        file.read_exact(&mut body)?;
        total += u64::from(u32::from_le_bytes([e, f, g, h]));
        frames.push(body);
    }
    Ok((frames, total))
}

#[expect(clippy::print_stdout, reason = "a bench reports")]
fn main() {
    let Ok(path) = std::env::var("FRAMES") else {
        println!("set FRAMES to a file that `load make` wrote; nothing measured");
        return;
    };
    let (frames, spans) = frames(&path).expect("the frames are readable");
    let raw: u64 = frames.iter().map(|body| body.len() as u64).sum();
    println!("{} requests, {spans} spans of {:.0} B", frames.len(), float(raw) / float(spans));
    pack(&frames, spans, raw);
    let dir = std::env::var("WAL_DIR").map_or_else(
        |_| tempfile::tempdir().expect("a temporary directory"),
        |dir| tempfile::tempdir_in(dir).expect("a directory in WAL_DIR"),
    );
    for (durability, wait) in [
        (Durability::Memory, 0),
        (Durability::Os, 0),
        (Durability::Fsync, 0),
        (Durability::Fsync, 1),
        (Durability::Fsync, 2),
        (Durability::Fsync, 5),
    ] {
        let commit = Commit { wait: Wait::millis(wait), ..Commit::default() };
        let config = Config { durability, commit, ..Config::default() };
        let name = format!("{durability:?}-{wait}");
        append(&name, &dir.path().join(&name), &config, &frames, spans);
    }
    replay(&dir.path().join("Fsync-2"), raw);
}

/// What each level costs and gains.
#[expect(clippy::print_stdout, reason = "a bench reports")]
fn pack(frames: &[Vec<u8>], spans: u64, raw: u64) {
    for level in [-7, -5, -3, -2, -1, 1, 3] {
        let packer = Packer::new(level);
        let watch = Watch::start();
        let packed: u64 =
            frames.iter().map(|body| packer.pack(body).expect("small").stored_len() as u64).sum();
        let (cpu, _) = watch.stop();
        println!(
            "zstd {level:>2}: {:>4.0} ns/span, {:.1} B/span, ratio {:.2}, {:.0} MB/s",
            cpu / float(spans),
            float(packed) / float(spans),
            float(raw) / float(packed),
            float(raw) * 1000.0 / cpu,
        );
    }
}

/// One client after the other would wait for each sync: this one has up to 64 requests under way.
#[expect(clippy::print_stdout, reason = "a bench reports")]
fn append(name: &str, dir: &Path, config: &Config, frames: &[Vec<u8>], spans: u64) {
    let data = DataDir::open(Arc::new(RealDisk), dir, || Ok(1)).expect("an empty directory");
    let mut replay = Replay::start(&data, config, Arc::<Stats>::default(), 0).expect("a log");
    assert!(replay.next().is_none());
    let replayed = replay.finish().expect("an empty log");
    let wal = LocalWal::start(replayed, Arc::new(Monotonic)).expect("a log");
    let done = Arc::new(AtomicU64::new(0));
    let caller = std::thread::current();
    let watch = Watch::start();
    for (sent, body) in frames.iter().enumerate() {
        while sent as u64 - done.load(Ordering::Acquire) >= 64 {
            std::thread::park();
        }
        let packed = wal.pack(body).expect("small");
        let reservation = loop {
            match wal.reserve(&packed) {
                Ok(reservation) => break reservation,
                Err(_) => std::thread::park_timeout(std::time::Duration::from_millis(1)),
            }
        };
        let entry = Entry {
            tenant: TenantId::single(),
            received_at: Nanos(1),
            format: Format::OtlpProtobuf,
            edits: Edits::default(),
        };
        let (done, caller) = (Arc::clone(&done), caller.clone());
        let on_done = move |outcome: store::log::Outcome| {
            outcome.expect("the disk works");
            done.fetch_add(1, Ordering::Release);
            caller.unpark();
        };
        reservation.append(entry, packed, Box::new(on_done));
    }
    wal.close().expect("the disk works");
    let (cpu, wall) = watch.stop();
    let stats = wal.stats();
    let (groups, syncs) = (stats.groups.get(), stats.sync.counts().iter().sum::<u64>());
    println!(
        "{name:>8}: {:.0} ns/span, {:.0} k spans/s, {groups} groups, {syncs} syncs of {:.2} ms, {} turned away",
        cpu / float(spans),
        float(spans) * 1e6 / wall,
        float(stats.sync.sum()) / float(syncs.max(1)) / 1e6,
        stats.refused.get(),
    );
}

#[expect(clippy::print_stdout, reason = "a bench reports")]
fn replay(dir: &Path, raw: u64) {
    for round in 0..3 {
        let data = DataDir::open(Arc::new(RealDisk), dir, || Ok(1)).expect("our directory");
        let watch = Watch::start();
        let stats = Arc::<Stats>::default();
        let config = Config::default();
        let mut replay = Replay::start(&data, &config, Arc::clone(&stats), 0).expect("a log");
        let bytes: u64 =
            replay.by_ref().map(|record| record.expect("whole").body.len() as u64).sum();
        assert_eq!(bytes, raw);
        replay.finish().expect("a whole log");
        let (cpu, wall) = watch.stop();
        println!(
            "replay {round}: {:.0} MB/s of bodies, {:.0} MB/s of CPU",
            float(raw) * 1000.0 / wall,
            float(raw) * 1000.0 / cpu,
        );
    }
}
