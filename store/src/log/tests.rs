//! The log on a real disk, with its threads. What a crash leaves is `tests/sim`.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use model::{ByteSize, Wait};

use super::replay::Replay;
use super::*;
use crate::disk::RealDisk;
use crate::disk::data_dir::DataDir;
use crate::log::config::Config;
use crate::log::record::Record;

/// Each look at it is a microsecond later.
#[derive(Debug, Default)]
struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now(&self) -> Nanos {
        self.monotonic()
    }
    fn monotonic(&self) -> Nanos {
        Nanos(self.0.fetch_add(1000, Ordering::Relaxed))
    }
}

/// A log in a directory, and what its callbacks said, in order.
struct Fixture {
    wal: LocalWal,
    records: Vec<Record>,
    said: Receiver<(u64, bool)>,
    say: std::sync::mpsc::Sender<(u64, bool)>,
    _data: DataDir,
}

fn config() -> Config {
    Config {
        segment_bytes: ByteSize(64 << 10),
        commit: config::Commit { wait: Wait::millis(0), ..config::Commit::default() },
        ..Config::default()
    }
}

fn open(dir: &Path, config: &Config) -> Fixture {
    let data = DataDir::open(Arc::new(RealDisk), dir, || Ok(77)).unwrap();
    let mut replay = Replay::start(&data, config, Arc::default(), 0).unwrap();
    let records = replay.by_ref().map(Result::unwrap).collect();
    let wal = LocalWal::start(replay.finish().unwrap(), Arc::new(Ticks::default())).unwrap();
    let (say, said) = channel();
    Fixture { wal, records, said, say, _data: data }
}

/// A body that does not compress well.
fn body(id: u64, len: usize) -> Vec<u8> {
    let mut state = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut body = id.to_le_bytes().to_vec();
    body.resize_with(len.max(8), || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    });
    body
}

fn entry(tenant: &str, rows: &[u64]) -> Entry {
    Entry {
        tenant: TenantId::parse(tenant).unwrap(),
        received_at: Nanos(5),
        format: Format::OtlpProtobuf,
        edits: Edits { refused: rows.iter().copied().collect() },
    }
}

/// A millisecond between two looks; 10,000 of them are the deadline.
fn pause() {
    thread::park_timeout(Duration::from_millis(1));
}

impl Fixture {
    fn try_append(&self, id: u64, len: usize) -> Result<(), Error> {
        let packed = self.wal.pack(&body(id, len))?;
        let reservation = self.wal.reserve(&packed)?;
        let say = self.say.clone();
        let done = Box::new(move |outcome: Outcome| say.send((id, outcome.is_ok())).unwrap());
        reservation.append(entry("team-a", &[id]), packed, done);
        Ok(())
    }

    /// Appends as soon as there is room.
    fn append(&self, id: u64, len: usize) {
        for _ in 0..10_000 {
            match self.try_append(id, len) {
                Ok(()) => return,
                Err(error) => assert_eq!(error.kind(), Kind::Unavailable, "{error}"),
            }
            pause();
        }
        panic!("no room for record {id}");
    }

    fn wait(&self, count: usize) -> Vec<(u64, bool)> {
        let said = |_| self.said.recv_timeout(Duration::from_secs(20)).expect("a callback in time");
        (0..count).map(said).collect()
    }
}

fn ids(records: &[Record]) -> Vec<u64> {
    let id = |record: &Record| u64::from_le_bytes(*record.body.first_chunk().unwrap());
    records.iter().map(id).collect()
}

#[test]
fn what_was_acknowledged_comes_back_as_it_went_in() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path(), &config());
    for id in 0..10 {
        first.append(id, 50);
    }
    first.append(10, 3000);
    let said = first.wait(11);
    assert_eq!(said, (0..=10).map(|id| (id, true)).collect::<Vec<_>>());
    first.wal.close().unwrap();
    drop(first);
    let again = open(dir.path(), &config());
    assert_eq!(ids(&again.records), (0..=10).collect::<Vec<_>>());
    let last = again.records.last().unwrap();
    assert_eq!(last.body, Bytes::from(body(10, 3000)));
    assert_eq!(last.tenant.as_str(), "team-a");
    assert_eq!(last.received_at, Nanos(5));
    assert!(last.edits.refused.contains(10) && last.edits.refused.count() == 1);
    assert_eq!(again.wal.stats().replay_cut_bytes.get(), 0);
    assert_eq!(again.wal.stats().replay_corrupt.get(), 0);
}

#[test]
fn records_go_on_over_many_segments_and_starts() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = Vec::new();
    for start in 0..4u64 {
        let fixture = open(dir.path(), &config());
        assert_eq!(ids(&fixture.records), expected);
        let places: Vec<_> = fixture.records.iter().map(|r| (r.segment, r.sequence)).collect();
        assert!(places.is_sorted() && places.windows(2).all(|pair| pair[0] != pair[1]));
        for id in start * 100..start * 100 + 40 {
            fixture.append(id, 7000);
            expected.push(id);
        }
        // Half of the starts end clean, the others only as far as the last callback.
        if start % 2 == 0 {
            fixture.wal.close().unwrap();
        } else {
            fixture.wait(40);
        }
    }
    assert_eq!(ids(&open(dir.path(), &config()).records), expected);
}

#[test]
fn a_record_larger_than_a_segment_gets_one_of_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = open(dir.path(), &config());
    fixture.append(1, 100);
    fixture.append(2, 300_000);
    fixture.append(3, 100);
    fixture.append(4, 300_000);
    assert!(fixture.wait(4).iter().all(|(_, ok)| *ok));
    drop(fixture);
    assert_eq!(ids(&open(dir.path(), &config()).records), [1, 2, 3, 4]);
}

#[test]
fn removed_segments_do_not_come_back_and_make_room() {
    let dir = tempfile::tempdir().unwrap();
    let small = Config { bytes_max: ByteSize(256 << 10), ..config() };
    let fixture = open(dir.path(), &small);
    let mut id = 0;
    let mut fill = || {
        // The queue is no reason for being full: every callback is awaited.
        for _ in 0..10_000 {
            match fixture.try_append(id, 8000) {
                Ok(()) => {
                    fixture.wait(1);
                    id += 1;
                }
                Err(_) if fixture.wal.full().is_some() => return id,
                Err(_) => pause(),
            }
        }
        panic!("never full");
    };
    let before = fill();
    assert!(fixture.wal.full().unwrap().contains("wal.bytes_max"));
    let boundary = fixture.wal.rotate().unwrap();
    fixture.wal.remove_before(boundary);
    // They go in the background.
    let is_left = || {
        let wal = dir.path().join("wal");
        let names = std::fs::read_dir(wal).unwrap().map(|entry| entry.unwrap().file_name());
        let mut numbers = names.map(|name| segment::read_name(name.to_str().unwrap()));
        numbers.any(|name| matches!(name, segment::Name::Segment(number) if number < boundary))
    };
    let looks = (0..10_000).take_while(|_| is_left()).map(|_| pause()).count();
    assert!(looks < 10_000, "segments that were given up are still there");
    let after = fill();
    assert!(after > before + 5, "{before} {after}");
    assert!(fixture.wal.stats().disk_bytes.get() <= 256 << 10);
    drop(fixture);
    assert_eq!(ids(&open(dir.path(), &small).records), (before..after).collect::<Vec<_>>());
}

#[test]
fn nothing_is_written_with_durability_memory() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Config { durability: Durability::Memory, ..config() };
    let fixture = open(dir.path(), &memory);
    for id in 0..5 {
        fixture.append(id, 100);
    }
    assert_eq!(fixture.wait(5), (0..5).map(|id| (id, true)).collect::<Vec<_>>());
    fixture.wal.close().unwrap();
    drop(fixture);
    assert_eq!(ids(&open(dir.path(), &memory).records), [0; 0]);
}

#[test]
fn durability_os_is_not_synced_but_there() {
    let dir = tempfile::tempdir().unwrap();
    let os = Config { durability: Durability::Os, ..config() };
    let fixture = open(dir.path(), &os);
    fixture.append(1, 100);
    fixture.wait(1);
    assert_eq!(fixture.wal.stats().sync.counts().iter().sum::<u64>(), 0);
    drop(fixture);
    assert_eq!(ids(&open(dir.path(), &os).records), [1]);
}

#[test]
fn a_dropped_reservation_gives_its_room_back() {
    let dir = tempfile::tempdir().unwrap();
    let narrow = Config { queue_bytes_max: ByteSize(20_000), ..config() };
    let fixture = open(dir.path(), &narrow);
    let packed = fixture.wal.pack(&body(1, 8000)).unwrap();
    let held = fixture.wal.reserve(&packed).unwrap();
    let second = fixture.wal.reserve(&packed).unwrap();
    assert_eq!(fixture.wal.reserve(&packed).unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(fixture.wal.stats().refused.get(), 1);
    drop(held);
    drop(fixture.wal.reserve(&packed).unwrap());
    drop(second);
}

#[test]
fn closing_waits_for_what_has_room_reserved_and_refuses_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = open(dir.path(), &config());
    let packed = fixture.wal.pack(&body(7, 100)).unwrap();
    let held = fixture.wal.reserve(&packed).unwrap();
    thread::scope(|scope| {
        let closing = scope.spawn(|| fixture.wal.close());
        while fixture.try_append(9, 100).is_ok() {}
        let say = fixture.say.clone();
        let done = Box::new(move |outcome: Outcome| say.send((7, outcome.is_ok())).unwrap());
        held.append(entry("a", &[]), packed, done);
        closing.join().unwrap().unwrap();
    });
    let said: Vec<_> = fixture.said.try_iter().collect();
    assert_eq!(said.last(), Some(&(7, true)));
    assert!(said.iter().all(|(_, ok)| *ok));
}

#[test]
fn a_callback_is_told_even_after_the_log_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let fixture = open(dir.path(), &config());
    let packed = fixture.wal.pack(&body(7, 100)).unwrap();
    let held = fixture.wal.reserve(&packed).unwrap();
    let Fixture { wal, said, say, .. } = fixture;
    drop(wal);
    let done = Box::new(move |outcome: Outcome| say.send((7, outcome.is_ok())).unwrap());
    held.append(entry("a", &[]), packed, done);
    assert_eq!(said.try_iter().collect::<Vec<_>>(), [(7, false)]);
}

#[test]
fn small_requests_share_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let gathering = Config {
        commit: config::Commit { wait: Wait::millis(20), bytes: ByteSize::mib(1) },
        ..config()
    };
    let fixture = open(dir.path(), &gathering);
    for id in 0..200 {
        fixture.append(id, 10);
    }
    fixture.wait(200);
    let groups = fixture.wal.stats().groups.get();
    assert!(groups < 50, "{groups} groups for 200 records");
}
