//! Damaged files: what can be read is replayed, what cannot is counted and set aside.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use store::Kind;
use store::disk::Disk;
use store::disk::data_dir::DataDir;
use store::log::replay::Replay;
use store::log::stats::Stats;

use crate::disk::{Rng, SimDisk};
use crate::world::{DIR, config, id_of, open, replay};

/// A log of many records in several segments, closed in order.
fn closed(seed: u64, records: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    let (mut running, _) = open(&disk).unwrap();
    let mut rng = Rng(seed);
    running.settle();
    for id in 0..records {
        running.append(id, rng.below(2500)).unwrap();
        running.settle();
    }
    running.close().unwrap();
    disk
}

/// The segments that hold records, oldest first.
fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    let (_, records, _) = replay(&disk.fork()).unwrap();
    let mut numbers: Vec<u64> = records.iter().map(|record| record.segment).collect();
    numbers.dedup();
    let path = |number| Path::new(DIR).join(format!("wal/{number:020}.wal"));
    numbers.into_iter().map(path).collect()
}

/// What a replay finds, and its counts.
fn found(disk: &SimDisk) -> (Vec<u64>, Arc<Stats>) {
    let data = DataDir::open(Arc::new(disk.clone()), Path::new(DIR), || Ok(1)).unwrap();
    let stats = Arc::<Stats>::default();
    let mut replay = Replay::start(&data, &config(), Arc::clone(&stats), 0).unwrap();
    let ids = replay.by_ref().map(|record| id_of(&record.unwrap())).collect();
    replay.finish().unwrap();
    (ids, stats)
}

fn quarantined(disk: &SimDisk) -> usize {
    disk.list(&Path::new(DIR).join("quarantine")).map_or(0, |names| names.len())
}

/// Replays a damaged log, and again what the first replay left; the ids that were found.
fn check(disk: &SimDisk, all: u64) -> Vec<u64> {
    let (ids, stats) = found(disk);
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
    assert!(ids.iter().all(|id| *id < all));
    assert_eq!(stats.replay_quarantined.get(), quarantined(disk) as u64);
    // Settled: the same records, and nothing to say about them. A power cut changes nothing.
    for disk in [disk.fork(), disk.fork().restart()] {
        let (again, stats) = found(&disk);
        assert_eq!(again, ids);
        assert_eq!((stats.replay_corrupt.get(), stats.replay_cut_bytes.get()), (0, 0));
    }
    ids
}

#[test]
fn a_flipped_bit_costs_one_record_at_most() {
    const ALL: u64 = 40;
    let disk = closed(1, ALL);
    let paths = segments(&disk);
    assert!(paths.len() >= 3, "{paths:?}");
    let mut rng = Rng(1);
    let mut lost = 0;
    for path in &paths {
        let bytes = disk.bytes(path);
        let mut at = 0;
        while at < bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << rng.below(8);
            let damaged = disk.fork();
            damaged.set_bytes(path, flipped);
            let ids = check(&damaged, ALL);
            assert!(ids.len() as u64 >= ALL - 1, "bit flipped in byte {at} of {path:?}: {ids:?}");
            lost += ALL - ids.len() as u64;
            at += 1 + usize::try_from(rng.below(150)).unwrap();
        }
    }
    assert!(lost > 50, "most flips hit a record: {lost}");
}

#[test]
fn damage_before_the_last_segment_is_set_aside_with_its_evidence() {
    let disk = closed(2, 40);
    let paths = segments(&disk);
    let mut bytes = disk.bytes(&paths[0]);
    let at = bytes.len() / 2;
    bytes[at..at + 3].fill(0xaa);
    disk.set_bytes(&paths[0], bytes.clone());
    let ids = check(&disk, 40);
    assert_eq!(ids.len(), 39);
    let names = disk.list(&Path::new(DIR).join("quarantine")).unwrap();
    assert_eq!(names.len(), 1);
    assert_eq!(disk.bytes(&Path::new(DIR).join("quarantine").join(&names[0])), bytes);
}

#[test]
fn a_file_cut_anywhere_keeps_what_is_before() {
    const ALL: u64 = 30;
    let disk = closed(3, ALL);
    let paths = segments(&disk);
    let (records, _) = found(&disk.fork());
    let mut rng = Rng(3);
    for path in [paths.first().unwrap(), paths.last().unwrap()] {
        let bytes = disk.bytes(path);
        for _ in 0..60 {
            let len = usize::try_from(rng.below(bytes.len() as u64)).unwrap();
            let cut = disk.fork();
            cut.set_bytes(path, bytes[..len].to_vec());
            let ids = check(&cut, ALL);
            // What is missing is one run of records: those of this file behind the cut.
            let missing: Vec<_> = records.iter().filter(|id| !ids.contains(id)).collect();
            assert!(missing.windows(2).all(|pair| pair[0] + 1 == *pair[1]), "{missing:?}");
            if path == paths.last().unwrap() {
                assert!(missing.is_empty() || missing.last() == Some(&&(ALL - 1)), "{missing:?}");
            }
        }
    }
}

#[test]
fn junk_of_any_kind_is_no_panic_and_no_record() {
    const ALL: u64 = 30;
    let disk = closed(4, ALL);
    let paths = segments(&disk);
    for seed in 0..300 {
        let mut rng = Rng(seed);
        let path = &paths[usize::try_from(rng.below(paths.len() as u64)).unwrap()];
        let mut bytes = disk.bytes(path);
        for _ in 0..1 + rng.below(4) {
            let from = usize::try_from(rng.below(bytes.len() as u64)).unwrap() / 8 * 8;
            let len = usize::try_from(rng.below(3000)).unwrap().min(bytes.len() - from);
            match rng.below(3) {
                0 => bytes[from..from + len].fill(0),
                1 => bytes[from..from + len].fill_with(|| rng.next().to_le_bytes()[0]),
                // Good records in a place where they were not written.
                _ => {
                    let piece = bytes[from..from + len].to_vec();
                    let to =
                        usize::try_from(rng.below((bytes.len() - len) as u64)).unwrap() / 8 * 8;
                    bytes[to..to + len].copy_from_slice(&piece);
                }
            }
        }
        let junk = disk.fork();
        junk.set_bytes(path, bytes);
        check(&junk, ALL);
    }
}

#[test]
fn a_power_cut_while_damage_is_set_aside_neither_loses_nor_doubles() {
    let disk = closed(5, 40);
    for path in &segments(&disk)[..2] {
        let mut bytes = disk.bytes(path);
        let at = bytes.len() / 3;
        bytes[at] ^= 1;
        disk.set_bytes(path, bytes);
    }
    let expected = check(&disk.fork(), 40);
    assert_eq!(expected.len(), 38);
    let damaged_bytes: Vec<_> = segments(&disk)[..2].iter().map(|path| disk.bytes(path)).collect();
    for cut in 0.. {
        for seed in 0..16 {
            let damaged = disk.fork();
            damaged.reseed(seed);
            damaged.crash_after(cut);
            let settled = replay(&damaged).is_ok();
            let survived = damaged.restart();
            assert_eq!(found(&survived).0, expected, "power cut at operation {cut}, seed {seed}");
            let dir = Path::new(DIR).join("quarantine");
            let kept: Vec<_> = survived.list(&dir).unwrap();
            let kept: Vec<_> = kept.iter().map(|name| survived.bytes(&dir.join(name))).collect();
            for bytes in &damaged_bytes {
                assert!(kept.contains(bytes), "evidence: operation {cut}, seed {seed}");
            }
            if settled {
                assert!(cut > 20, "there was something to do: {cut}");
                return;
            }
        }
    }
}

#[test]
fn no_space_to_set_damage_aside_leaves_it_in_place() {
    let disk = closed(6, 40);
    let paths = segments(&disk);
    let mut bytes = disk.bytes(&paths[0]);
    bytes[5000] ^= 1;
    disk.set_bytes(&paths[0], bytes.clone());
    disk.set_capacity(0);
    assert_eq!(found(&disk).0.len(), 39);
    assert_eq!((quarantined(&disk), disk.bytes(&paths[0])), (0, bytes));
    disk.set_capacity(u64::MAX);
    assert_eq!(check(&disk, 40).len(), 39);
    assert_eq!(quarantined(&disk), 1);
}

#[test]
fn a_segment_of_a_newer_version_is_refused() {
    let disk = closed(7, 3);
    let path = &segments(&disk)[0];
    let mut bytes = disk.bytes(path);
    bytes[8] = 2;
    let crc = crc32c(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    disk.set_bytes(path, bytes.clone());
    let error = replay(&disk).unwrap_err();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.to_string().contains("newer version"), "{error}");
    assert_eq!(disk.bytes(path), bytes, "what is refused is left as it is");
}

#[test]
fn the_records_of_another_directory_are_read_too() {
    // A log that was copied into a directory with another writer id is still a log.
    let disk = closed(8, 10);
    disk.set_bytes(&Path::new(DIR).join("WRITER"), b"00000000000000aa\n".to_vec());
    assert_eq!(found(&disk).0.len(), 10);
}

/// The checksum of the format, bit by bit, as a second opinion.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
    !bytes.iter().fold(!0, byte)
}
