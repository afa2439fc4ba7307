//! Blocks become fewer: over power cuts and kills at each step, damage, full disks, and readers that
//! hold what goes.

use std::io::ErrorKind;
use std::sync::Arc;

use model::{Nanos, TenantId, Wait};
use store::{Chore, Config, Step, Store, compaction, retention};
use tests::clock::TestClock;

use crate::disk::{Op, SimDisk};
use crate::keep::{files, find, flip, search, send, write};
use crate::ledger::{self, NOW, Running};
use crate::world::DIR;

/// So many blocks of a window that is not over are joined.
const BLOCKS: u8 = 8;

fn config() -> Config {
    let retention =
        retention::Config { age: Wait::secs(30 * 86_400), ..retention::Config::default() };
    Config { retention, compaction: compaction::Config::default(), ..ledger::config() }
}

fn open(disk: &SimDisk, clock: &Arc<TestClock>) -> Running {
    let (disk, clock) = (Arc::new(disk.clone()), Arc::clone(clock));
    let store = Store::open(disk, DIR.as_ref(), &config(), clock, || Ok(1)).unwrap();
    let driver = store.replay_driven().unwrap().unwrap();
    Running::of(store, driver)
}

/// A disk with small blocks of one trace each, and spans of all of them in the last one.
fn filled() -> (SimDisk, Arc<TestClock>) {
    let disk = SimDisk::new(1);
    let clock = Arc::new(TestClock::at(Nanos(NOW)));
    let mut running = open(&disk, &clock);
    for trace in 1..=BLOCKS {
        send(&mut running, trace, 3);
        write(&mut running, true);
    }
    drop(running);
    (disk, clock)
}

/// Insists that all traces are whole, none of their spans is there twice, and nothing is missed.
fn check(running: &Running, what: &str) {
    for trace in 1..=BLOCKS {
        assert_eq!(find(&running.store, trace), (3, false), "{what}, trace {trace}");
    }
    assert_eq!(search(&running.store), (usize::from(BLOCKS), false), "{what}");
    assert_eq!(running.store.stats().duplicates.get(), 0, "{what}: a span is stored twice");
}

/// Compacts until there is nothing to do, and removes what nobody needs.
fn compact(running: &Running) {
    while running.store.step(Chore::Compact).unwrap() == Step::Worked {}
    running.store.step(Chore::Tidy).unwrap();
}

#[test]
fn a_power_cut_at_any_operation_leaves_every_span_once() {
    let (disk, clock) = filled();
    for cut in 0.. {
        let disk = disk.fork();
        let running = open(&disk, &clock);
        disk.crash_after(cut);
        let _step = running.store.step(Chore::Compact);
        let _tidied = running.store.step(Chore::Tidy);
        let ended = !disk.crashed();
        drop(running);
        // Killed, what was written stays; without power, only what was synced does.
        for disk in [disk.fork().kill(), disk.restart()] {
            let running = open(&disk, &clock);
            check(&running, &format!("cut {cut}"));
            compact(&running);
            check(&running, &format!("cut {cut}, compacted"));
            assert_eq!(files(&disk, "blocks/default").len(), 1, "cut {cut}");
            assert!(files(&disk, "quarantine").is_empty(), "cut {cut}");
            let running = open(&disk.restart(), &clock);
            check(&running, &format!("cut {cut}, started again"));
        }
        if ended {
            assert!(cut > 8, "{cut}");
            break;
        }
    }
}

#[test]
fn an_operation_that_fails_is_repeated() {
    let (disk, clock) = filled();
    for op in [Op::Create, Op::Write, Op::Sync] {
        for place in ["/blocks/", "/manifest/"] {
            for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
                let what = format!("{op:?} {place} {kind}");
                let disk = disk.fork();
                let running = open(&disk, &clock);
                disk.fail(op, place, kind, 2);
                let steps = (0..4).map(|_| running.store.step(Chore::Compact));
                assert!(steps.filter(Result::is_err).count() > 0, "{what}");
                check(&running, &what);
                disk.heal();
                // Other tenants would have come first.
                clock.advance(Nanos::from_secs(61));
                compact(&running);
                check(&running, &what);
                assert_eq!(running.store.keep_stats().blocks.get(), 1, "{what}");
                let disk = disk.restart();
                let running = open(&disk, &clock);
                check(&running, &what);
                assert_eq!(files(&disk, "blocks/default").len(), 1, "{what}");
            }
        }
    }
}

#[test]
fn a_damaged_block_is_set_aside_and_the_others_are_compacted() {
    let (disk, clock) = filled();
    let file = files(&disk, "blocks/default").remove(2);
    let length = disk.bytes(&file).len();
    let mut unseen = 0;
    for at in (4..length).step_by(length / 24) {
        let disk = disk.fork();
        flip(&disk, &file, at);
        let mut running = open(&disk, &clock);
        compact(&running);
        let (third, is_partial) = find(&running.store, 3);
        assert!(third == 3 || (third == 0 && is_partial), "byte {at}: {third}");
        unseen += usize::from(third == 3);
        for trace in (1..=BLOCKS).filter(|trace| *trace != 3) {
            assert_eq!(find(&running.store, trace).0, 3, "byte {at}, trace {trace}");
        }
        // One is missing to join the others, until there is another one.
        send(&mut running, 9, 3);
        write(&mut running, true);
        compact(&running);
        let blocks = if third == 3 { 2 } else { 1 };
        assert_eq!(running.store.keep_stats().blocks.get(), blocks, "byte {at}");
        assert_eq!(find(&running.store, 9).0, 3);
    }
    // Parts that a merge does not read: the index, terms, filters, the footer.
    assert!(unseen < 20, "{unseen}");
}

#[test]
fn a_damaged_entry_of_a_compaction_neither_loses_nor_doubles() {
    let (disk, clock) = filled();
    let running = open(&disk, &clock);
    compact(&running);
    drop(running);
    let entry = files(&disk, "manifest/default").pop().unwrap();
    let length = disk.bytes(&entry).len();
    for at in (0..length).step_by(97) {
        let disk = disk.fork();
        flip(&disk, &entry, at);
        let running = open(&disk, &clock);
        let found: Vec<_> = (1..=BLOCKS).map(|trace| find(&running.store, trace).0).collect();
        assert_eq!(found, [3; BLOCKS as usize], "byte {at}");
        assert_eq!(running.store.keep_stats().blocks.get(), 1, "byte {at}");
        assert_eq!(running.store.stats().duplicates.get(), 0, "byte {at}");
    }
}

#[test]
fn late_spans_stand_with_their_trace_when_the_window_is_over() {
    let disk = SimDisk::new(1);
    let clock = Arc::new(TestClock::at(Nanos(NOW)));
    let mut running = open(&disk, &clock);
    send(&mut running, 1, 2);
    write(&mut running, true);
    // The same two, and three more.
    crate::keep::send_to(&mut running, &TenantId::single(), 1, 0..5);
    write(&mut running, true);
    let stats = running.store.keep_stats();
    assert_eq!((stats.blocks.get(), stats.stragglers.get()), (2, 1));
    assert_eq!(running.store.step(Chore::Compact).unwrap(), Step::Idle);
    clock.advance(Nanos::from_secs(2 * 3_600));
    compact(&running);
    let stats = running.store.keep_stats();
    assert_eq!((stats.blocks.get(), stats.block_spans.get()), (1, 5));
    assert_eq!(stats.duplicates.get(), 2);
    assert_eq!(find(&running.store, 1), (5, false));
    assert_eq!(running.store.stats().duplicates.get(), 0, "it is in one place");
    // Compaction is no upload: it goes when its spans would have gone.
    clock.advance(Nanos::from_secs(30 * 86_400 - 3_600));
    assert_eq!(running.store.step(Chore::Expire).unwrap(), Step::Worked);
    assert_eq!(find(&running.store, 1), (0, false));
}

#[test]
fn a_deleted_tenant_is_gone_over_any_power_cut_and_nobody_else_is() {
    let disk = SimDisk::new(1);
    let clock = Arc::new(TestClock::at(Nanos(NOW)));
    let mut running = open(&disk, &clock);
    let [gone, stays] = ["gone", "stays"].map(|name| TenantId::parse(name).unwrap());
    // In blocks, in L0 files, and in the head, the last of them by the way of the log.
    for (trace, merged) in [(1, Some(true)), (2, Some(false)), (3, None)] {
        for tenant in [&gone, &stays] {
            crate::keep::send_to(&mut running, tenant, trace, 0..4);
        }
        if let Some(merged) = merged {
            write(&mut running, merged);
        }
    }
    drop(running);
    let found = |running: &Running, tenant: &TenantId| {
        [1, 2, 3].map(|trace| crate::keep::find_of(&running.store, tenant, trace).0)
    };
    for cut in 0.. {
        let disk = disk.fork();
        let mut running = open(&disk, &clock);
        running.store.step(Chore::Close).unwrap();
        running.settle();
        while running.store.step(Chore::Seal).unwrap() == Step::Worked {}
        disk.crash_after(cut);
        let deleted = running.store.delete_sealed(&gone);
        let ended = !disk.crashed();
        if ended {
            assert_eq!(deleted.unwrap().blocks, 1);
            assert_eq!((found(&running, &gone), found(&running, &stays)), ([0; 3], [4; 3]));
        }
        drop(running);
        let disk = disk.restart();
        let mut running = open(&disk, &clock);
        let after = found(&running, &gone);
        assert!(after == [4; 3] || after == [0; 3], "cut {cut}: all or nothing, {after:?}");
        assert_eq!(found(&running, &stays), [4; 3], "cut {cut}");
        running.store.delete_sealed(&gone).unwrap();
        crate::keep::send_to(&mut running, &gone, 3, 0..2);
        write(&mut running, true);
        let running = open(&disk.restart(), &clock);
        assert_eq!(found(&running, &gone), [0, 0, 2], "cut {cut}: what came later is kept");
        assert_eq!(found(&running, &stays), [4; 3], "cut {cut}");
        if ended {
            assert!(cut > 4, "{cut}");
            break;
        }
    }
}
