//! Blocks and L0 files that are damaged, disks that are full, spans that are too old.

use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Nanos, TenantId, TimeRange, TraceId, Wait};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use store::disk::Disk;
use store::execute::traceql::{Budget, SearchRequest};
use store::{Append, Chore, Config, Kind, Step, Store, retention};
use tests::clock::TestClock;
use tests::otlp;

use crate::disk::{Op, SimDisk};
use crate::ledger::{self, NOW, Running};
use crate::world::DIR;

fn trace_id(number: u8) -> Vec<u8> {
    vec![number; 16]
}

/// A trace of `spans` spans of its own.
pub(crate) fn send(running: &mut Running, trace: u8, spans: u64) {
    send_to(running, &TenantId::single(), trace, 0..spans);
}

/// Spans of a trace of this tenant.
pub(crate) fn send_to(running: &mut Running, tenant: &TenantId, trace: u8, spans: Range<u64>) {
    let span = |id: u64| Span {
        start_time_unix_nano: NOW - 1_000 + id,
        end_time_unix_nano: NOW,
        ..otlp::span(&trace_id(trace), &(u64::from(trace) << 8 | (id + 1)).to_be_bytes(), "a span")
    };
    let body = otlp::request("a service", spans.map(span).collect()).encode_to_vec();
    running.settle();
    let tenant = tenant.clone();
    let append = Append { tenant, received_at: Nanos(NOW), body: body.into() };
    running.store.append(append).unwrap();
    running.settle();
}

/// How many spans of a trace are found, and whether the answer says that it may miss some.
pub(crate) fn find(store: &Store, trace: u8) -> (usize, bool) {
    find_of(store, &TenantId::single(), trace)
}

/// The same of a tenant.
pub(crate) fn find_of(store: &Store, tenant: &TenantId, trace: u8) -> (usize, bool) {
    let id = TraceId::from_wire(&trace_id(trace)).unwrap();
    let Some(found) = store.trace(&tenant.into(), id, TimeRange::ALL).unwrap() else {
        return (0, false);
    };
    let message = ExportTraceServiceRequest::decode(found.otlp.as_slice()).unwrap();
    (ledger::spans_of(&message.resource_spans).count(), found.partial.is_some())
}

/// How many traces a query for all finds, and whether the answer says that it may miss some.
pub(crate) fn search(store: &Store) -> (usize, bool) {
    let request = SearchRequest {
        query: traceql::parse("{ }").unwrap(),
        during: TimeRange::ALL,
        limit: 100,
        spans_per_set: 1,
        budget: Budget::default(),
    };
    let found = store.query(&TenantId::single().into(), &request, &mut |_, _| {}).unwrap();
    (found.traces.len(), found.partial.is_some())
}

pub(crate) fn files(disk: &SimDisk, dir: &str) -> Vec<PathBuf> {
    let dir = Path::new(DIR).join(dir);
    let names = disk.list(&dir).unwrap_or_default();
    names.into_iter().map(|name| dir.join(name)).collect()
}

pub(crate) fn flip(disk: &SimDisk, path: &Path, at: usize) {
    let mut bytes = disk.bytes(path);
    bytes[at] ^= 0x40;
    disk.set_bytes(path, bytes);
}

/// Seals what is in the head; for `merged` merges it, too.
pub(crate) fn write(running: &mut Running, merged: bool) {
    running.settle();
    running.store.step(Chore::Close).unwrap();
    running.settle();
    while running.store.step(Chore::Seal).unwrap() == Step::Worked {}
    while merged && running.store.step(Chore::Merge).unwrap() == Step::Worked {}
    running.store.step(Chore::Tidy).unwrap();
}

/// A store with a trace in a block (or L0 file) and one in the head; the file that has the first.
fn two_traces(disk: &SimDisk, merged: bool) -> (Running, PathBuf) {
    let mut running = Running::start(disk).unwrap();
    send(&mut running, 1, 9);
    write(&mut running, merged);
    let dir = if merged { "blocks/default" } else { "l0" };
    let file = files(disk, dir).pop().unwrap();
    send(&mut running, 2, 5);
    (running, file)
}

#[test]
fn a_damaged_file_is_set_aside_and_the_rest_is_served() {
    for merged in [false, true] {
        let length = {
            let disk = SimDisk::new(1);
            let (_running, file) = two_traces(&disk, merged);
            disk.bytes(&file).len()
        };
        // Pages, sections, the directory, the footer: wherever it is.
        for at in (4..length).step_by(length / 24) {
            let disk = SimDisk::new(1);
            let (running, file) = two_traces(&disk, merged);
            drop(running);
            flip(&disk, &file, at);
            // What only others read of a file may be damaged unseen, until it is verified.
            let mut running = Running::start(&disk).unwrap();
            assert_eq!(find(&running.store, 2).0, 5, "merged {merged}, byte {at}");
            let (first, partial) = find(&running.store, 1);
            let (traces, _) = search(&running.store);
            assert!(first == 9 || (first == 0 && partial), "merged {merged}, byte {at}: {first}");
            assert!(traces >= 1, "merged {merged}, byte {at}");
            running.settle();
            running.store.step(Chore::Tidy).unwrap();
            if first == 9 {
                continue;
            }
            // Set aside, named, and said with each answer, after a restart as well.
            assert_eq!(files(&disk, "quarantine").len(), 1, "merged {merged}, byte {at}");
            assert_eq!(running.store.status().damaged.len(), 1, "merged {merged}, byte {at}");
            assert_eq!(search(&running.store), (1, true), "merged {merged}, byte {at}");
            drop(running);
            let mut running = Running::start(&disk.restart()).unwrap();
            assert_eq!(find(&running.store, 2), (5, true));
            assert_eq!(find(&running.store, 1), (0, true));
            send(&mut running, 3, 4);
            write(&mut running, true);
            assert_eq!(find(&running.store, 3), (4, true));
        }
    }
}

#[test]
fn a_damaged_entry_of_the_manifest_loses_no_span() {
    let disk = SimDisk::new(1);
    let mut running = Running::start(&disk).unwrap();
    for trace in 1..=3 {
        send(&mut running, trace, 4);
        write(&mut running, true);
    }
    drop(running);
    let entries = files(&disk, "manifest/default");
    assert_eq!(entries.len(), 3);
    for entry in &entries {
        // The frame byte by byte, the JSON here and there.
        let length = disk.bytes(entry).len();
        for at in (0..12).chain((12..length).step_by(61)) {
            let disk = disk.fork();
            flip(&disk, entry, at);
            let running = Running::start(&disk).unwrap();
            let all = |store: &Store| [1, 2, 3].map(|trace| find(store, trace).0);
            assert_eq!(all(&running.store), [4; 3], "{entry:?}, byte {at}");
            drop(running);
            let running = Running::start(&disk.restart()).unwrap();
            assert_eq!(all(&running.store), [4; 3], "{entry:?}, byte {at}, after a restart");
            assert_eq!(running.store.stats().duplicates.get(), 0);
        }
    }
}

#[test]
fn a_full_disk_stops_neither_sealing_nor_merging() {
    for op in [Op::Create, Op::Write, Op::Sync] {
        for place in ["/l0/", "/blocks/", "/manifest/"] {
            let what = format!("{op:?} {place}");
            let disk = SimDisk::new(1);
            let mut running = Running::start(&disk).unwrap();
            send(&mut running, 1, 9);
            running.store.step(Chore::Close).unwrap();
            running.settle();
            // Once it fails for want of space; with the reserve given up it goes.
            disk.fail(op, place, ErrorKind::StorageFull, 1);
            write(&mut running, true);
            assert_eq!(find(&running.store, 1), (9, false), "{what}");
            assert_eq!(running.store.keep_stats().blocks.get(), 1, "{what}");
            // Without even that it waits, and loses nothing.
            send(&mut running, 2, 9);
            running.store.step(Chore::Close).unwrap();
            running.settle();
            disk.fail(op, place, ErrorKind::StorageFull, 6);
            let mut refused = 0;
            for _ in 0..20 {
                for chore in [Chore::Seal, Chore::Merge] {
                    let step = running.store.step(chore);
                    let full = step.is_err_and(|error| error.kind() == Kind::Unavailable);
                    refused += usize::from(full);
                }
                assert_eq!(find(&running.store, 2), (9, false), "{what}");
            }
            assert!(refused > 0, "{what}");
            assert_eq!(running.store.keep_stats().l0_files.get(), 0, "{what}");
            drop(running);
            let running = Running::start(&disk.restart()).unwrap();
            assert_eq!((find(&running.store, 1).0, find(&running.store, 2).0), (9, 9), "{what}");
        }
    }
}

#[test]
fn late_and_old_spans_get_blocks_of_their_own_and_are_found_with_the_others() {
    let disk = SimDisk::new(1);
    let mut running = Running::start(&disk).unwrap();
    send(&mut running, 1, 4);
    write(&mut running, true);
    // The same trace has one more from before its block ends; another one is of 1970, one of 2099.
    let late = |id: u8, start: u64| Span {
        start_time_unix_nano: start,
        end_time_unix_nano: start + 5,
        ..otlp::span(&trace_id(id), &[9, 9, 9, 9, 9, 9, 9, 9], "late")
    };
    let spans =
        vec![late(1, NOW - 998), late(2, 0), late(3, 4_070_908_800_000_000_000), late(4, NOW)];
    let body = otlp::request("a service", spans).encode_to_vec().into();
    // Old spans count as an hour old: that is in the hour before the one of the late span.
    let received_at = Nanos(NOW).minus(Nanos::from_secs(10));
    let append = Append { tenant: TenantId::single(), received_at, body };
    running.store.append(append).unwrap();
    write(&mut running, true);

    let stats = running.store.keep_stats();
    assert_eq!((stats.blocks.get(), stats.block_spans.get()), (4, 8));
    assert_eq!(stats.stragglers.get(), 2, "one for the late span, one for the old one");
    let found: Vec<_> = (1..=4).map(|trace| find(&running.store, trace).0).collect();
    assert_eq!(found, [5, 1, 1, 1]);
    assert_eq!(search(&running.store), (4, false));
    // No block but the one of the old span reaches back.
    let blocks = running.store.status().blocks;
    assert_eq!((blocks.blocks, blocks.tenants), (4, 1));
    drop(running);
    let running = Running::start(&disk.restart()).unwrap();
    assert_eq!((find(&running.store, 1).0, find(&running.store, 2).0), (5, 1));
}

/// A store with a clock that is moved by hand, and blocks that are kept for an hour.
pub(crate) fn open(disk: &SimDisk, clock: &Arc<TestClock>) -> Running {
    let retention = retention::Config { age: Wait::secs(3_600), ..retention::Config::default() };
    let config = Config { retention, ..ledger::config() };
    let (disk, clock) = (Arc::new(disk.clone()), Arc::clone(clock));
    let store = Store::open(disk, Path::new(DIR), &config, clock, || Ok(1)).unwrap();
    let driver = store.replay_driven().unwrap().unwrap();
    Running::of(store, driver)
}

#[test]
fn what_is_older_than_its_age_goes_and_nothing_else() {
    let disk = SimDisk::new(1);
    let clock = Arc::new(TestClock::at(Nanos(NOW)));
    let mut running = open(&disk, &clock);
    send(&mut running, 1, 3);
    write(&mut running, true);
    clock.advance(Nanos::from_secs(3_000));
    assert_eq!(running.store.step(Chore::Expire).unwrap(), Step::Idle);
    clock.advance(Nanos::from_secs(700));
    // Uploaded now, of spans as old as the first: it stays until its upload is old, too.
    send(&mut running, 2, 3);
    write(&mut running, true);
    drop(running);

    // The power goes off at every operation of it.
    for cut in 0.. {
        let disk = disk.fork();
        let running = open(&disk, &clock);
        assert_eq!(find(&running.store, 1).0, 3);
        disk.crash_after(cut);
        let expired = running.store.step(Chore::Expire);
        let ended = !disk.crashed();
        if ended {
            assert_eq!(expired.unwrap(), Step::Worked);
            assert_eq!((find(&running.store, 1).0, find(&running.store, 2).0), (0, 3));
        }
        drop(running);
        let disk = disk.restart();
        let running = open(&disk, &clock);
        running.store.step(Chore::Expire).unwrap();
        assert_eq!((find(&running.store, 1).0, find(&running.store, 2).0), (0, 3), "cut {cut}");
        running.store.step(Chore::Tidy).unwrap();
        assert_eq!(files(&disk, "blocks/default").len(), 1, "cut {cut}");
        assert_eq!(files(&disk, "quarantine").len(), 0, "cut {cut}");
        if ended {
            break;
        }
    }
}

#[test]
fn bytes_that_are_wrong_on_their_way_cost_one_answer_and_no_block() {
    let whole = SimDisk::new(1);
    let mut running = Running::start(&whole).unwrap();
    send(&mut running, 1, 9);
    write(&mut running, true);
    drop(running);
    let file = files(&whole, "blocks/default").pop().unwrap();
    let length = whole.bytes(&file).len();
    let mut told = 0;
    for at in (4..length).step_by(length / 480) {
        let disk = whole.fork();
        let mut running = Running::start(&disk).unwrap();
        // Open, its index known: what is read from now on is a bucket of that, and pages.
        assert_eq!(find(&running.store, 2), (0, false));
        flip(&disk, &file, at);
        let (spans, is_partial) = find(&running.store, 1);
        assert!((spans, is_partial) == (9, false) || is_partial, "byte {at}: {spans}");
        told += usize::from(is_partial);
        flip(&disk, &file, at);
        running.settle();
        running.store.step(Chore::Tidy).unwrap();
        assert_eq!(find(&running.store, 1), (9, false), "byte {at}");
        assert!(files(&disk, "quarantine").is_empty(), "byte {at}");
        assert_eq!(running.store.keep_stats().misread.get(), u64::from(is_partial), "byte {at}");
    }
    assert!(told > 4, "{told}");
}
