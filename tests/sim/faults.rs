//! Single operations that fail, kills and power cuts while damage is set aside, disks without any
//! space: what is kept in files is found all the same, or said to be missing.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{ByteSize, Nanos, TenantId};
use store::disk::Disk;
use store::{Chore, Config, Kind, Step, Store};
use tests::clock::TestClock;

use crate::disk::{Op, SimDisk};
use crate::keep::{files, find, find_of, flip, open, send, send_to, write};
use crate::ledger::{self, Ledger, NOW, Running, When};
use crate::store::draft;
use crate::world::DIR;

/// What the store's threads do, in their order.
const CHORES: [Chore; 5] = [Chore::Seal, Chore::Merge, Chore::Compact, Chore::Expire, Chore::Tidy];

/// A disk with requests in blocks, in L0 files and in the log, and what is known of them.
fn filled(seed: u64) -> (SimDisk, Ledger) {
    let disk = SimDisk::new(seed);
    let mut ledger = Ledger::default();
    let mut running = Running::start(&disk).unwrap();
    for number in 0..18 {
        ledger.send(&mut running, draft(seed * 1_000 + number));
        running.settle();
        match number {
            5 => write(&mut running, true),
            11 => write(&mut running, false),
            _ => {}
        }
    }
    assert_eq!(ledger.hear(&mut running), 0);
    drop(running);
    (disk, ledger)
}

/// Everything that was acknowledged is there once.
fn check(ledger: &mut Ledger, store: &Store, when: When) {
    ledger.check(store, when);
    assert_eq!(store.stats().duplicates.get(), 0, "a span is stored twice");
    assert_eq!(store.keep_stats().duplicates.get(), 0, "a span was stored twice");
}

/// Every block that lies there is one that the manifest names.
fn check_blocks(disk: &SimDisk, store: &Store) {
    let tenants = disk.list(&Path::new(DIR).join("blocks")).unwrap();
    let there = tenants.iter().map(|tenant| files(disk, &format!("blocks/{tenant}")).len());
    assert_eq!(there.sum::<usize>() as u64, store.keep_stats().blocks.get());
}

#[test]
fn an_operation_that_fails_is_repeated_and_nothing_is_lost() {
    let (disk, ledger) = filled(1);
    for place in ["/l0/", "/blocks/", "/manifest/"] {
        for (skip, times) in (0..).zip([1, 2, 3].into_iter().cycle()) {
            let what = format!("{times} times after {skip} in {place}");
            let (disk, mut ledger) = (disk.fork(), ledger.clone());
            disk.reseed(skip);
            let mut running = Running::start(&disk).unwrap();
            running.store.step(Chore::Close).unwrap();
            running.settle();
            let kind = [ErrorKind::Other, ErrorKind::StorageFull][(skip % 2) as usize];
            disk.fail_after(skip, place, kind, times);
            let steps = CHORES.into_iter().cycle().take(8);
            let failed = steps.filter(|chore| running.store.step(*chore).is_err()).count();
            let has_failed = disk.heal();
            assert!(has_failed || failed == 0, "{what}");

            check(&mut ledger, &running.store, When::Live);
            write(&mut running, true);
            check(&mut ledger, &running.store, When::Live);
            assert_eq!(running.store.keep_stats().l0_files.get(), 0, "{what}");
            assert!(files(&disk, "quarantine").is_empty(), "{what}");
            drop(running);
            let disk = disk.restart();
            let running = Running::start(&disk).unwrap();
            check(&mut ledger, &running.store, When::Restarted);
            check_blocks(&disk, &running.store);
            if !has_failed {
                assert!(skip > 20, "there was something to do: {what}");
                break;
            }
        }
    }
}

/// A store with a trace in a damaged file and one in the log; the file and its bytes.
fn damaged(merged: bool) -> (SimDisk, PathBuf, Vec<u8>) {
    let disk = SimDisk::new(1);
    let mut running = Running::start(&disk).unwrap();
    send(&mut running, 1, 9);
    write(&mut running, merged);
    let file = files(&disk, if merged { "blocks/default" } else { "l0" }).pop().unwrap();
    send(&mut running, 2, 5);
    drop(running);
    flip(&disk, &file, 40);
    let bytes = disk.bytes(&file);
    (disk, file, bytes)
}

#[test]
fn a_crash_while_damage_is_set_aside_keeps_the_evidence_and_the_rest() {
    for merged in [false, true] {
        let (disk, file, bytes) = damaged(merged);
        for cut in 0.. {
            let mut ended = false;
            for seed in 0..12 {
                let what = format!("merged {merged}, cut {cut}, seed {seed}");
                let disk = disk.fork();
                disk.reseed(seed);
                let running = Running::start(&disk).unwrap();
                assert_eq!(find(&running.store, 1), (0, true), "{what}");
                disk.crash_after(cut);
                ended |= running.store.step(Chore::Tidy).is_ok() && !disk.crashed();
                drop(running);
                let disk = if seed % 3 == 0 { disk.kill() } else { disk.restart() };
                for round in 0..3 {
                    let disk = if round == 2 { disk.restart() } else { disk.fork() };
                    let mut running = Running::start(&disk).unwrap();
                    assert_eq!(find(&running.store, 1), (0, true), "{what}");
                    assert_eq!(find(&running.store, 2).0, 5, "{what}");
                    let mut evidence = files(&disk, "quarantine");
                    evidence.push(file.clone());
                    assert!(evidence.iter().any(|path| disk.bytes(path) == bytes), "{what}");
                    if round > 0 {
                        write(&mut running, true);
                        assert_eq!(files(&disk, "quarantine").len(), 1, "{what}");
                        assert!(disk.bytes(&file).is_empty(), "{what}");
                        assert_eq!(find(&running.store, 2), (5, true), "{what}");
                        assert_eq!(running.store.status().damaged.len(), 1, "{what}");
                    }
                }
            }
            if ended {
                assert!(cut > 3, "there was something to do: {cut}");
                break;
            }
        }
    }
}

#[test]
fn a_crash_while_a_damaged_entry_is_replaced_loses_no_span() {
    let disk = SimDisk::new(1);
    let mut running = Running::start(&disk).unwrap();
    for trace in 1..=3 {
        send(&mut running, trace, 4);
        write(&mut running, true);
    }
    drop(running);
    flip(&disk, &files(&disk, "manifest/default")[1], 200);
    for cut in 0.. {
        let mut ended = false;
        for seed in 0..6 {
            let disk = disk.fork();
            disk.reseed(seed);
            disk.crash_after(cut);
            ended |= Running::start(&disk).is_ok() && !disk.crashed();
            let disk = if seed % 3 == 0 { disk.kill() } else { disk.restart() };
            let running = Running::start(&disk).unwrap();
            let found = [1, 2, 3].map(|trace| find(&running.store, trace).0);
            assert_eq!(found, [4; 3], "cut {cut}, seed {seed}");
            assert_eq!(running.store.stats().duplicates.get(), 0, "cut {cut}, seed {seed}");
        }
        if ended {
            assert!(cut > 10, "there was something to do: {cut}");
            break;
        }
    }
}

#[test]
fn blocks_of_a_commit_that_never_was_do_not_stand_in_for_their_l0_files() {
    let disk = SimDisk::new(1);
    let mut running = Running::start(&disk).unwrap();
    send(&mut running, 1, 4);
    write(&mut running, true);
    // Late spans of the first trace, and another one: two blocks.
    send_to(&mut running, &TenantId::single(), 1, 4..9);
    send(&mut running, 2, 5);
    write(&mut running, false);
    drop(running);
    for cut in 0.. {
        let disk = disk.fork();
        let running = Running::start(&disk).unwrap();
        disk.crash_after(cut);
        let merged = running.store.step(Chore::Merge);
        let ended = merged.is_ok() && !disk.crashed();
        drop(running);
        let disk = if cut % 2 == 0 { disk.kill() } else { disk.restart() };
        flip(&disk, &files(&disk, "manifest/default")[0], 200);
        for _ in 0..2 {
            let mut running = Running::start(&disk).unwrap();
            let found = [1, 2].map(|trace| find(&running.store, trace).0);
            assert_eq!(found, [9, 5], "cut {cut}");
            write(&mut running, true);
            let found = [1, 2].map(|trace| find(&running.store, trace).0);
            assert_eq!(found, [9, 5], "cut {cut}, merged");
            assert_eq!(running.store.stats().duplicates.get(), 0, "cut {cut}");
            assert_eq!(running.store.keep_stats().duplicates.get(), 0, "cut {cut}");
        }
        if ended {
            assert!(cut > 10, "there was something to do: {cut}");
            break;
        }
    }
}

#[test]
fn damage_is_told_to_the_tenant_that_has_it_whatever_its_name() {
    let names = ["a", "a--b", "b", "-", "a.b", "--a--"].map(|name| TenantId::parse(name).unwrap());
    let disk = SimDisk::new(1);
    let mut running = Running::start(&disk).unwrap();
    for tenant in &names {
        send_to(&mut running, tenant, 1, 0..3);
    }
    write(&mut running, true);
    for tenant in &names {
        assert_eq!(find_of(&running.store, tenant, 1), (3, false), "{tenant}");
    }
    drop(running);
    for tenant in &names {
        let disk = disk.fork();
        let dir = format!("blocks/{}", store::manifest::tenant_dir(tenant));
        flip(&disk, &files(&disk, &dir)[0], 40);
        let running = Running::start(&disk).unwrap();
        assert_eq!(find_of(&running.store, tenant, 1), (0, true), "{tenant}");
        running.store.step(Chore::Tidy).unwrap();
        drop(running);
        let running = Running::start(&disk).unwrap();
        for other in &names {
            let expected = if other == tenant { (0, true) } else { (3, false) };
            assert_eq!(find_of(&running.store, other, 1), expected, "{tenant}, {other}");
        }
    }
}

#[test]
fn without_space_damage_waits_to_be_set_aside_and_is_told_meanwhile() {
    for merged in [false, true] {
        for place in ["/quarantine", "/manifest/", "/blocks/", "/l0/"] {
            for (skip, times) in (0..).zip([1, 4].into_iter().cycle()) {
                let what = format!("merged {merged}, {times} times after {skip} in {place}");
                let (disk, file, _) = damaged(merged);
                let running = Running::start(&disk).unwrap();
                assert_eq!(find(&running.store, 1), (0, true), "{what}");
                disk.fail_after(skip, place, ErrorKind::StorageFull, times);
                let tidied = running.store.step(Chore::Tidy);
                let has_failed = disk.heal();
                assert!(has_failed || tidied.is_ok(), "{what}");
                for _ in 0..2 {
                    assert_eq!(find(&running.store, 1), (0, true), "{what}");
                    assert_eq!(find(&running.store, 2).0, 5, "{what}");
                    running.store.step(Chore::Tidy).unwrap();
                    assert_eq!(files(&disk, "quarantine").len(), 1, "{what}");
                    assert!(disk.bytes(&file).is_empty(), "{what}");
                    assert_eq!(running.store.status().damaged.len(), 1, "{what}");
                }
                if !has_failed {
                    break;
                }
            }
        }
    }
}

#[test]
fn retention_frees_space_on_a_full_disk_and_goes_on_behind_a_failure() {
    let disk = SimDisk::new(1);
    let clock = Arc::new(TestClock::at(Nanos(NOW)));
    let mut running = open(&disk, &clock);
    let tenants = ["a", "b", "c"].map(|name| TenantId::parse(name).unwrap());
    for tenant in &tenants {
        send_to(&mut running, tenant, 1, 0..9);
    }
    write(&mut running, true);
    clock.advance(Nanos::from_secs(4_000));
    let found = |store: &Store| tenants.each_ref().map(|tenant| find_of(store, tenant, 1).0);
    assert_eq!(found(&running.store), [9; 3]);

    // A commit fails for good, the others of that time hold.
    disk.fail(Op::Create, "/manifest/", ErrorKind::Other, 1);
    assert_eq!(running.store.step(Chore::Expire).unwrap_err().kind(), Kind::Io);
    assert_eq!(found(&running.store).iter().sum::<usize>(), 9);
    // No byte is left but the reserve's.
    let used = disk.used();
    disk.set_capacity(used);
    assert_eq!(running.store.step(Chore::Expire).unwrap(), Step::Worked);
    assert_eq!(found(&running.store), [0; 3]);
    running.store.step(Chore::Tidy).unwrap();
    assert_eq!(running.store.step(Chore::Expire).unwrap(), Step::Idle);
    for tenant in ["a", "b", "c"] {
        assert!(files(&disk, &format!("blocks/{tenant}")).is_empty());
    }
}

/// Sends until the log has no space; how many requests were acknowledged.
fn fill(running: &mut Running, ledger: &mut Ledger, number: &mut u64) -> usize {
    let before = ledger.stored().len();
    while running.store.status().wal.full.is_none() {
        ledger.send(running, draft(*number));
        *number += 1;
        running.settle();
        ledger.hear(running);
    }
    ledger.stored().len() - before
}

/// Segments of the head and of the log that fill a few megabytes as large ones fill a real disk.
fn small() -> Config {
    let mut config = ledger::config();
    config.head.seal.rows = 400;
    config.wal.segment_bytes = ByteSize(64 << 10);
    config
}

#[test]
fn a_full_disk_is_made_less_full_by_sealing_and_merging() {
    const CAPACITY: u64 = 4_000_000;
    let disk = SimDisk::new(2);
    disk.set_capacity(CAPACITY);
    let (mut ledger, mut number) = (Ledger::default(), 0);
    let store = ledger::open_with(&disk, &small()).unwrap();
    let driver = store.replay_driven().unwrap().unwrap();
    let mut running = Running::of(store, driver);
    let reserve = || disk.bytes(&Path::new(DIR).join("RESERVE")).len();
    let (mut stored, kept) = (usize::MAX, reserve());
    while ledger.stored().len() != stored {
        stored = ledger.stored().len();
        fill(&mut running, &mut ledger, &mut number);
        // Whoever sends goes on to: without care all that is freed would be the log's again.
        for chore in CHORES.into_iter().cycle().take(120) {
            running.store.step(chore).unwrap();
            for _ in 0..4 {
                ledger.send(&mut running, draft(number));
                number += 1;
                running.settle();
            }
            ledger.hear(&mut running);
        }
    }
    // Blocks have taken what there is, nothing waits to be sealed, and the reserve is whole.
    let status = running.store.status();
    assert!(status.blocks.bytes > CAPACITY / 100 * 84, "{}", status.blocks.bytes);
    assert_eq!((status.head.segments, status.l0.files, reserve()), (1, 0, kept));
    check(&mut ledger, &running.store, When::Live);

    // With more space all goes on, without a restart.
    disk.set_capacity(u64::MAX);
    running.settle();
    for _ in 0..20 {
        ledger.send(&mut running, draft(number));
        number += 1;
        running.settle();
    }
    assert_eq!(ledger.hear(&mut running), 0);
    running.store.step(Chore::Close).unwrap();
    for chore in CHORES.into_iter().cycle().take(40) {
        running.settle();
        running.store.step(chore).unwrap();
    }
    assert_eq!(running.store.keep_stats().l0_files.get(), 0);
    check(&mut ledger, &running.store, When::Live);
    drop(running);
    let running = Running::start(&disk.restart()).unwrap();
    check(&mut ledger, &running.store, When::Restarted);
}
