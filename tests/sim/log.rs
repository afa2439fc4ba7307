//! The log on a disk that loses its power at every operation, fills up, and fails.

use store::Kind;
use store::disk::data_dir::DataDir;
use store::log::edit::Edits;
use store::log::replay::Replay;
use store::log::stats::Stats;
use store::log::{Entry, LocalWal, OnDone};

use crate::disk::{Op, Rng, SimDisk};
use crate::world::{DIR, Model, Running, Said, Ticks, body, config, entry, id_of, open, replay};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

const STEPS: u64 = 120;

/// Three processes one after the other, the power going off after so many operations in each;
/// then everything is checked. The operations that each one made.
fn live(seed: u64, cuts: [Option<u64>; 3]) -> [u64; 3] {
    let run = || {
        let mut rng = Rng(seed);
        let mut disk = SimDisk::new(seed ^ 0xd15c);
        let mut model = Model::default();
        let ops = cuts.map(|cut| {
            if let Some(cut) = cut {
                disk.crash_after(cut);
            }
            let ended = model.run(&disk, &mut rng, STEPS);
            let ops = disk.ops();
            // An orderly end needs no power cut to be tried, yet it must stand one.
            if !ended || rng.chance(50) {
                disk = disk.restart();
            }
            ops
        });
        model.run(&disk, &mut rng, 0);
        let (_, records, _) = replay(&disk.restart()).expect("the last replay");
        model.check(&records);
        ops
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|fault| {
        let why = fault.downcast_ref::<String>().map_or("see above", String::as_str);
        panic!("live({seed}, {cuts:?}): {why}")
    })
}

#[test]
fn a_power_cut_at_any_operation_loses_nothing_acknowledged() {
    for seed in 0..4 {
        let [ops, ..] = live(seed, [None; 3]);
        assert!(ops > 100, "the script does something: {ops}");
        for cut in 0..ops {
            live(seed, [Some(cut), None, None]);
        }
    }
}

#[test]
fn power_cuts_while_recovering_lose_nothing_either() {
    for seed in 100..104 {
        let [ops, ..] = live(seed, [None; 3]);
        for cut in 0..ops {
            // The second process mostly is cut while it settles what the first one left.
            live(seed, [Some(cut), Some(cut % 17), Some(cut % 23)]);
        }
    }
}

#[test]
fn a_kill_without_a_power_cut_loses_nothing_even_unsynced() {
    // The page cache outlives the process: every write is there, the last one perhaps torn.
    let disk = SimDisk::new(1);
    let (mut running, _) = open(&disk).unwrap();
    running.settle();
    for id in 0..20 {
        running.append(id, 100).unwrap();
        running.driver.commit();
    }
    drop(running);
    let (_, records, _) = replay(&disk).unwrap();
    assert_eq!(records.iter().map(id_of).collect::<Vec<_>>(), (0..20).collect::<Vec<_>>());
}

#[test]
fn what_an_earlier_life_of_a_file_left_is_no_record_and_no_damage() {
    let disk = SimDisk::new(9);
    let (mut running, _) = open(&disk).unwrap();
    let mut id = 0;
    for _ in 0..8 {
        for _ in 0..6 {
            running.settle();
            running.append(id, 1000).unwrap();
            id += 1;
        }
        let boundary = running.wal.rotate().unwrap();
        while running.driver.commit() {}
        running.wal.remove_before(boundary);
    }
    running.settle();
    running.append(id, 10).unwrap();
    running.settle();
    drop(running);
    let data = DataDir::open(Arc::new(disk), Path::new(DIR), || Ok(1)).unwrap();
    let stats = Arc::<Stats>::default();
    let mut replay = Replay::start(&data, &config(), Arc::clone(&stats), 0).unwrap();
    assert_eq!(replay.by_ref().map(|record| id_of(&record.unwrap())).collect::<Vec<_>>(), [id]);
    replay.finish().unwrap();
    assert_eq!((stats.replay_corrupt.get(), stats.replay_cut_bytes.get()), (0, 0));
}

#[test]
fn with_threads_of_its_own_the_log_stands_a_power_cut_at_any_time() {
    for seed in 0..60 {
        let disk = SimDisk::new(seed);
        let (data, _, replayed) = replay(&disk).unwrap();
        let wal = LocalWal::start(replayed, Arc::new(Ticks::default())).unwrap();
        disk.crash_after(seed * 5);
        let said = Said::default();
        let mut taken = 0;
        for id in 0..400 {
            let packed = wal.pack(&body(id, id % 900)).unwrap();
            let Ok(reservation) = wal.reserve(&packed) else {
                std::thread::yield_now();
                continue;
            };
            let heard = Arc::clone(&said);
            let on_done: OnDone =
                Box::new(move |outcome| heard.lock().unwrap().push((id, outcome.is_ok())));
            reservation.append(entry(id), packed, on_done);
            taken += 1;
        }
        drop(wal);
        drop(data);
        let said = said.lock().unwrap();
        assert_eq!(said.len(), taken, "seed {seed}: each is told about once");
        assert!(said.is_sorted_by_key(|(id, _)| *id), "seed {seed}: in order");
        let (_, records, _) = replay(&disk.restart()).unwrap();
        let found: Vec<u64> = records.iter().map(id_of).collect();
        assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: {found:?}");
        let lost: Vec<_> = said.iter().filter(|(id, ok)| *ok && !found.contains(id)).collect();
        assert!(lost.is_empty(), "seed {seed}: acknowledged and lost: {lost:?}");
    }
}

/// Appends until there is no room; the next id.
fn fill(running: &mut Running, mut id: u64) -> u64 {
    loop {
        running.settle();
        match running.append(id, 1500) {
            Ok(()) => id += 1,
            Err(error) => {
                assert_eq!(error.kind(), Kind::Unavailable);
                if running.wal.full().is_some() {
                    return id;
                }
            }
        }
    }
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_space_returns() {
    let disk = SimDisk::new(2);
    disk.set_capacity(90_000);
    let (mut running, _) = open(&disk).unwrap();
    let full = fill(&mut running, 0);
    assert!(full > 20, "{full}");
    assert!(running.wal.full().unwrap().contains("no space left"));
    assert_eq!(running.wal.stats().full.get(), 1);
    // What sealing needs still works on the full disk: the spare segment is there for it.
    let boundary = running.wal.rotate().unwrap();
    running.wal.remove_before(boundary);
    let refilled = fill(&mut running, full);
    assert!(refilled > full + 10, "{full} {refilled}");
    disk.set_capacity(200_000);
    let more = fill(&mut running, refilled);
    assert!(more > refilled + 20, "{refilled} {more}");
    assert!(
        running.said.lock().unwrap().iter().all(|(_, ok)| *ok),
        "a full disk breaks no promise"
    );
    drop(running);
    let (_, records, _) = replay(&disk.restart()).unwrap();
    assert_eq!(records.iter().map(id_of).collect::<Vec<_>>(), (full..more).collect::<Vec<_>>());
}

#[test]
fn a_disk_that_is_full_at_the_start_is_read_and_recovers() {
    let disk = SimDisk::new(3);
    disk.set_capacity(90_000);
    let (mut running, _) = open(&disk).unwrap();
    let full = fill(&mut running, 0);
    drop(running);
    let disk = disk.restart();
    let (mut running, records) = open(&disk).unwrap();
    assert_eq!(records.len() as u64, full);
    let again = fill(&mut running, full);
    disk.set_capacity(u64::MAX);
    running.settle();
    running.append(again, 10).unwrap();
    running.settle();
    assert_eq!(running.said.lock().unwrap().last(), Some(&(again, true)));
}

#[test]
fn after_a_failed_sync_or_write_nothing_is_acknowledged() {
    for (seed, op) in [(4, Op::Sync), (5, Op::Write)] {
        let disk = SimDisk::new(seed);
        let (mut running, _) = open(&disk).unwrap();
        running.settle();
        running.append(0, 100).unwrap();
        running.settle();
        let (say, heard) = std::sync::mpsc::channel();
        running.wal.on_failed(move |error| say.send(error.kind()).unwrap());
        let packed = running.wal.pack(b"held").unwrap();
        let held = running.wal.reserve(&packed).unwrap();
        disk.fail(op, "/wal/", ErrorKind::Other, 1);
        running.append(1, 100).unwrap();
        running.append(2, 100).unwrap();
        running.settle();
        assert_eq!(*running.said.lock().unwrap(), [(0, true), (1, false), (2, false)]);
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [Kind::Fatal]);
        assert_eq!(running.append(3, 100).unwrap_err().kind(), Kind::Fatal);
        assert_eq!(running.wal.rotate().unwrap_err().kind(), Kind::Fatal);
        // What had room already is told too, and the disk's recovery changes nothing.
        let said = Arc::clone(&running.said);
        let on_done: OnDone =
            Box::new(move |outcome| said.lock().unwrap().push((9, outcome.is_ok())));
        held.append(entry(9), packed, on_done);
        running.settle();
        assert_eq!(running.said.lock().unwrap().last(), Some(&(9, false)));
        assert_eq!(running.close().unwrap_err().kind(), Kind::Fatal);
        let (_, records, _) = replay(&disk.restart()).unwrap();
        let ids: Vec<_> = records.iter().map(id_of).collect();
        assert!(ids.starts_with(&[0]) && ids.is_sorted(), "{ids:?}");
    }
}

#[test]
fn after_a_record_that_breaks_its_promise_none_is_acknowledged() {
    // Edits over their bound take more room than was reserved. What counts rows by their order
    // (the head) must never see a success behind a failure.
    let disk = SimDisk::new(10);
    let (mut running, _) = open(&disk).unwrap();
    running.settle();
    running.append(0, 100).unwrap();
    let packed = running.wal.pack(b"small").unwrap();
    let reservation = running.wal.reserve(&packed).unwrap();
    let edits = Edits { refused: (0..100_000).map(|row| row * 2).collect() };
    let said = Arc::clone(&running.said);
    let on_done: OnDone = Box::new(move |outcome| said.lock().unwrap().push((1, outcome.is_ok())));
    reservation.append(Entry { edits, ..entry(1) }, packed, on_done);
    drop(running.append(2, 100));
    running.settle();
    drop(running.append(3, 100));
    running.settle();
    assert_eq!(running.said.lock().unwrap()[..2], [(0, true), (1, false)], "in order");
    assert!(running.said.lock().unwrap()[2..].iter().all(|(_, ok)| !ok));
    assert_eq!(running.wal.failed().unwrap().kind(), Kind::Fatal);
    drop(running);
    let (_, records, _) = replay(&disk).unwrap();
    assert_eq!(records.iter().map(id_of).collect::<Vec<_>>(), [0]);
}

#[test]
fn a_segment_that_cannot_be_prepared_is_tried_again() {
    for (op, path) in [
        (Op::Create, "tmp"),
        (Op::Allocate, "tmp"),
        (Op::Sync, "tmp"),
        (Op::Rename, "tmp"),
        (Op::SyncDir, "wal"),
    ] {
        let disk = SimDisk::new(6);
        let (mut running, _) = open(&disk).unwrap();
        disk.fail(op, path, ErrorKind::Other, 1);
        while running.driver.prepare() {}
        assert_eq!(running.wal.stats().chores_failed.get(), 1, "{op:?}");
        running.settle();
        running.append(0, 100).unwrap();
        running.settle();
        assert_eq!(*running.said.lock().unwrap(), [(0, true)], "{op:?}");
        drop(running);
        assert_eq!(replay(&disk.restart()).unwrap().1.len(), 1, "{op:?}");
    }
}

#[test]
fn a_removed_segment_does_not_come_back_when_its_removal_is_hard() {
    for op in [Op::Rename, Op::Remove, Op::SyncDir, Op::Write, Op::Sync] {
        let disk = SimDisk::new(7);
        let (mut running, _) = open(&disk).unwrap();
        running.settle();
        for id in 0..60 {
            running.append(id, 1500).unwrap();
            running.settle();
        }
        let boundary = running.wal.rotate().unwrap();
        while running.driver.commit() {}
        disk.fail(op, "wal", ErrorKind::Other, 2);
        running.wal.remove_before(boundary);
        for _ in 0..20 {
            running.driver.prepare();
        }
        drop(running);
        assert_eq!(replay(&disk.restart()).unwrap().1.len(), 0, "{op:?}");
    }
}

#[test]
fn one_process_at_a_time_and_none_from_the_past() {
    let disk = SimDisk::new(8);
    let (running, _) = open(&disk).unwrap();
    assert_eq!(replay(&disk).unwrap_err().kind(), Kind::Refused);
    drop(running);
    assert!(replay(&disk).is_ok());
    disk.set_bytes(&Path::new(DIR).join("FORMAT"), b"traceweir 2\n".to_vec());
    let error = replay(&disk).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("newer"), "{error}");
}
