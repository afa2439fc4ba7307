//! A log under a seeded script, and what must be true of it at each replay.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use model::{ByteSize, Clock, Nanos, TenantId};
use store::disk::Disk;
use store::disk::data_dir::DataDir;
use store::log::config::Config;
use store::log::edit::Edits;
use store::log::record::{Format, Record};
use store::log::replay::{Replay, Replayed};
use store::log::stats::Stats;
use store::log::{Driver, Entry, LocalWal, Outcome};
use store::{Error, Kind};

use crate::disk::{Rng, SimDisk};

pub(crate) const DIR: &str = "/data";

/// Each look at it is a microsecond later.
#[derive(Debug, Default)]
pub(crate) struct Ticks(AtomicU64);

impl Clock for Ticks {
    fn now(&self) -> Nanos {
        self.monotonic()
    }
    fn monotonic(&self) -> Nanos {
        Nanos(self.0.fetch_add(1000, Ordering::Relaxed))
    }
}

/// Segments of 16 KiB, so that a short script goes through many of them.
pub(crate) fn config() -> Config {
    Config { segment_bytes: ByteSize(16 << 10), ..Config::default() }
}

/// What the callbacks said, in order: which record, and whether it is on the disk.
pub(crate) type Said = Arc<Mutex<Vec<(u64, bool)>>>;

/// A log that runs.
pub(crate) struct Running {
    pub(crate) wal: LocalWal,
    pub(crate) driver: Driver,
    pub(crate) said: Said,
    /// Held for its lock.
    _data: DataDir,
}

/// Opens the data directory and reads the log in it.
pub(crate) fn replay(disk: &SimDisk) -> Result<(DataDir, Vec<Record>, Replayed), Error> {
    let data = DataDir::open(Arc::new(disk.clone()), Path::new(DIR), || Ok(0xfeed))?;
    let mut replay = Replay::start(&data, &config(), Arc::<Stats>::default(), 0)?;
    let records = replay.by_ref().collect::<Result<_, _>>()?;
    let replayed = replay.finish()?;
    Ok((data, records, replayed))
}

/// Opens the log and goes on in it.
pub(crate) fn open(disk: &SimDisk) -> Result<(Running, Vec<Record>), Error> {
    let (data, records, replayed) = replay(disk)?;
    let (wal, driver) = LocalWal::start_driven(replayed, Arc::new(Ticks::default()));
    Ok((Running { wal, driver, said: Said::default(), _data: data }, records))
}

/// The body of a record: its id, and bytes that depend on it and hardly compress.
pub(crate) fn body(id: u64, len: u64) -> Vec<u8> {
    let mut rng = Rng(id);
    let rest = std::iter::repeat_with(|| rng.next().to_le_bytes()[0]);
    id.to_le_bytes().into_iter().chain(rest.take(usize::try_from(len).unwrap())).collect()
}

pub(crate) fn id_of(record: &Record) -> u64 {
    u64::from_le_bytes(*record.body.first_chunk().expect("each body starts with its id"))
}

impl Running {
    /// Appends a record as the script has it.
    pub(crate) fn append(&self, id: u64, len: u64) -> Result<(), Error> {
        let packed = self.wal.pack(&body(id, len))?;
        let reservation = self.wal.reserve(&packed)?;
        let said = Arc::clone(&self.said);
        let on_done = Box::new(move |outcome: Outcome| {
            said.lock().unwrap().push((id, outcome.is_ok()));
        });
        reservation.append(entry(id), packed, on_done);
        Ok(())
    }

    /// Does all there is to do.
    pub(crate) fn settle(&mut self) {
        while self.driver.commit() || self.driver.prepare() {}
    }

    /// Ends in order.
    pub(crate) fn close(mut self) -> Result<(), Error> {
        // Nothing is under way, so that this does not wait.
        let closed = self.wal.close();
        self.driver.finish();
        closed.and_then(|()| self.wal.close())
    }
}

pub(crate) fn entry(id: u64) -> Entry {
    Entry {
        tenant: TenantId::parse(&format!("team-{}", id % 5)).unwrap(),
        received_at: Nanos(id * 3),
        format: Format::OtlpProtobuf,
        edits: Edits { refused: (0..id % 7).map(|row| row * 2).collect() },
    }
}

/// What the outside knows, over crashes and restarts.
#[derive(Debug, Default)]
pub(crate) struct Model {
    next: u64,
    lens: BTreeMap<u64, u64>,
    acked: BTreeSet<u64>,
    /// Records below this are durable elsewhere, and may be gone or not.
    consumed_below: u64,
    set_aside: BTreeSet<String>,
}

impl Model {
    /// Checks what a replay gave back; from now on that must stay.
    pub(crate) fn check(&mut self, records: &[Record]) {
        let ids: Vec<u64> = records.iter().map(id_of).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "out of order or twice: {ids:?}");
        let places: Vec<_> =
            records.iter().map(|record| (record.segment, record.sequence)).collect();
        assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "places go back: {places:?}");
        for record in records {
            let id = id_of(record);
            let len = self.lens.get(&id).expect("only what was appended comes back");
            assert_eq!(record.body, body(id, *len), "body of {id}");
            let entry = entry(id);
            assert_eq!(
                (&record.tenant, record.received_at, &record.edits),
                (&entry.tenant, entry.received_at, &entry.edits),
                "entry of {id}"
            );
        }
        let found: BTreeSet<u64> = ids.into_iter().collect();
        let lost: Vec<_> =
            self.acked.range(self.consumed_below..).filter(|id| !found.contains(id)).collect();
        assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
        self.acked.extend(found);
    }

    /// A power cut tears at most the last group: nothing before it is ever taken for damage.
    fn check_quarantine(&mut self, disk: &SimDisk, records: &[Record]) {
        let last = records.last().map_or(0, |record| record.segment);
        for name in disk.list(&Path::new(DIR).join("quarantine")).unwrap_or_default() {
            let number = name.split(['-', '.']).nth(1).expect("wal-NUMBER.AGAIN.damaged");
            let number: u64 = number.parse().expect("a number");
            if self.set_aside.insert(name) {
                assert!(number >= last, "segment {number} was set aside, the last is {last}");
            }
        }
    }

    /// Runs one process on the disk until its script ends or the power goes off; `true` when it
    /// ended in order.
    pub(crate) fn run(&mut self, disk: &SimDisk, rng: &mut Rng, steps: u64) -> bool {
        let opened = open(disk);
        let (mut running, records) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                assert!(disk.crashed(), "cannot open: {error}");
                return false;
            }
        };
        self.check(&records);
        self.check_quarantine(disk, &records);
        let first = self.next;
        let mut taken = 0;
        for _ in 0..steps {
            taken += self.step(&mut running, rng);
            self.hear(&running.said, first);
        }
        running.settle();
        self.hear(&running.said, first);
        let said = Arc::clone(&running.said);
        let in_order = !disk.crashed() && rng.chance(50);
        if in_order {
            let closed = running.close();
            assert!(closed.is_ok() || disk.crashed(), "cannot close: {closed:?}");
        } else {
            drop(running);
        }
        let crashed = disk.crashed();
        let said = said.lock().unwrap();
        assert_eq!(said.len() as u64, taken, "each record is told about once");
        assert!(crashed || said.iter().all(|(_, ok)| *ok), "failed without a reason: {said:?}");
        in_order && !crashed
    }

    fn step(&mut self, running: &mut Running, rng: &mut Rng) -> u64 {
        match rng.below(100) {
            0..50 => {
                let len = match rng.below(30) {
                    0 => 17_000 + rng.below(9000),
                    1..10 => rng.below(4000),
                    _ => rng.below(300),
                };
                // Known before it is appended: the power may go off inside.
                self.lens.insert(self.next, len);
                match running.append(self.next, len) {
                    Ok(()) => {
                        self.next += 1;
                        return 1;
                    }
                    Err(error) => assert!(matches!(error.kind(), Kind::Unavailable | Kind::Fatal)),
                }
            }
            50..75 => drop(running.driver.commit()),
            75..95 => drop(running.driver.prepare()),
            95..97 => drop(running.wal.rotate()),
            _ => {
                // What a sealed head does: all records so far are durable elsewhere.
                if let Ok(boundary) = running.wal.rotate() {
                    let until = self.next;
                    while running.driver.commit() {}
                    if running.wal.failed().is_none() {
                        self.consumed_below = until;
                        running.wal.remove_before(boundary);
                    }
                }
            }
        }
        0
    }

    /// Takes in what the callbacks said.
    fn hear(&mut self, said: &Said, first: u64) {
        let said = said.lock().unwrap();
        for (position, (id, ok)) in said.iter().enumerate() {
            assert_eq!(*id, first + position as u64, "callbacks come in log order: {said:?}");
            if *ok {
                self.acked.insert(*id);
            }
        }
    }
}
