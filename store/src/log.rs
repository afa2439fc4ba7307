//! The log: a request is in it, durable, before it is acknowledged, and comes back at replay.
//!
//! An append has two phases, because the head must know that the log has room before it takes a
//! request into its columns: [`LocalWal::reserve`] promises room by arithmetic alone, and
//! [`Reservation::append`] uses it and cannot fail for want of room. The order of the calls to
//! `append` is the order in the log and of the callbacks. One thread owns the files and writes
//! (`writer`), one keeps segments ready ahead and takes old ones away (`prepare`).
//! [`replay::Replay`] reads what is there at the start and hands over to [`LocalWal::start`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use model::{Clock, Nanos, TenantId};

use crate::error::{Error, Kind};

pub mod config;
pub mod edit;
pub mod pack;
pub(crate) mod prepare;
pub mod record;
pub mod replay;
pub(crate) mod room;
pub(crate) mod salvage;
pub(crate) mod scan;
pub(crate) mod segment;
pub(crate) mod shared;
pub mod stats;
pub(crate) mod writer;

use config::Durability;
use edit::Edits;
use pack::{Packed, Packer};
use prepare::Preparer;
use record::{Format, frame_len};
use replay::Replayed;
use shared::{Done, Item, Phase, Queued, Shared, WriterState};
use stats::Stats;
use writer::Writer;

/// What became of a record: on the disk as the durability says, or not.
pub type Outcome = Result<(), Arc<Error>>;

/// Learns what became of a record. Runs on the log's writer thread, exactly once, in log order;
/// it must be short and must not wait. After one record that failed no later one succeeds, so
/// that who counts by the order of records (the head's watermark) never passes over a failed one.
pub type OnDone = Box<dyn FnOnce(Outcome) + Send>;

/// The longest tenant that a reservation leaves room for.
const TENANT_BYTES_MAX: usize = model::tenant::TENANT_BYTES_MAX;

/// The write-ahead log of one process on a local disk. All methods may be called from any thread.
#[derive(Debug)]
pub struct LocalWal {
    shared: Arc<Shared>,
    packer: Packer,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What a record says besides its body.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whose spans these are.
    pub tenant: TenantId,
    /// When the gateway received the request.
    pub received_at: Nanos,
    /// What the body is.
    pub format: Format,
    /// What was decided about the body's spans.
    pub edits: Edits,
}

/// Room in the log for one record. Dropping it gives the room back.
#[derive(Debug)]
#[must_use]
pub struct Reservation {
    shared: Arc<Shared>,
    /// 0 when the promise is used.
    bytes: u64,
}

/// Does the work of the log's threads by hand, one step at a time: for simulations, which need
/// the same steps in the same order each time.
#[derive(Debug)]
pub struct Driver {
    writer: Writer,
    preparer: Preparer,
}

impl LocalWal {
    /// Goes on where replay ended, in a fresh segment, with threads of its own. A full disk is no
    /// error: the log is then full until there is space.
    ///
    /// # Errors
    /// `Io` when a thread cannot be started.
    pub fn start(replayed: Replayed, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let (wal, Driver { mut writer, mut preparer }) = Self::start_driven(replayed, clock);
        // The first segment is ready when this returns, the others soon.
        preparer.step();
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            let thread = thread::Builder::new().name(name.to_owned()).spawn(run);
            thread.map_err(|fault| Error::io(format!("start thread {name}"), fault))
        };
        let mut threads = wal.threads();
        threads.push(spawn("wal-writer", Box::new(move || writer.run()))?);
        threads.push(spawn("wal-prepare", Box::new(move || preparer.run()))?);
        drop(threads);
        Ok(wal)
    }

    /// Like [`Self::start`] without threads: nothing happens but through the driver.
    #[must_use]
    pub fn start_driven(replayed: Replayed, clock: Arc<dyn Clock>) -> (Self, Driver) {
        let packer = Packer::new(replayed.config.compression_level);
        let shared = Arc::new(Shared::new(replayed, clock));
        let driver = Driver {
            writer: Writer::new(Arc::clone(&shared)),
            preparer: Preparer::new(Arc::clone(&shared)),
        };
        (Self { shared, packer, threads: Mutex::default() }, driver)
    }

    /// Compresses a body. Takes no lock of the log; about 1 ms for 0.4 MB.
    ///
    /// # Errors
    /// `TooLarge` past [`record::BODY_BYTES_MAX`].
    pub fn pack(&self, body: &[u8]) -> Result<Packed, Error> {
        self.packer.pack(body)
    }

    /// Promises room for this body with any edits. Arithmetic under a short lock, no I/O.
    ///
    /// # Errors
    /// `Unavailable` when the log is full (disk, `wal.bytes_max`, queue) or closing, which
    /// passes; `Fatal` after the disk failed.
    pub fn reserve(&self, packed: &Packed) -> Result<Reservation, Error> {
        let edits = Edits::bytes_max(u64::from(packed.raw_len));
        let edits = usize::try_from(edits).unwrap_or(usize::MAX);
        let bytes = frame_len(TENANT_BYTES_MAX, edits, packed.stored_len());
        let reserved = self.shared.reserve(bytes);
        if reserved.is_err() {
            self.shared.stats.refused.inc();
        }
        reserved?;
        Ok(Reservation { shared: Arc::clone(&self.shared), bytes })
    }

    /// Ends the current segment behind everything appended so far, and tells the number of the
    /// one that the next record goes to: all records before are in lower ones. The caller holds
    /// whatever lock it appends under. Cheap; an empty segment is not ended again.
    ///
    /// # Errors
    /// `Unavailable` when no segment is ready (a moment, or a full disk), `Fatal` after the disk
    /// failed.
    pub fn rotate(&self) -> Result<u64, Error> {
        let shared = &self.shared;
        let mut state = shared.lock();
        shared.check_failed(&state)?;
        let before = state.room.active();
        let rotated = state.room.rotate();
        shared.settle(&mut state);
        match (rotated, before) {
            (Some(number), before) => {
                if before.is_some_and(|before| before != number) {
                    state.queue.push_back(Item::Seal);
                    shared.wake_writer(&state);
                }
                Ok(number)
            }
            (None, None) => Ok(state.next_number),
            (None, Some(_)) => Err(shared.no_room(&mut state)),
        }
    }

    /// Whether records take half of `wal.bytes_max`: what they hold should be sealed now, while
    /// there still is a segment to rotate to.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        let held = self.shared.lock().files.values().sum::<u64>();
        held >= self.shared.config.bytes_max.0 / 2
    }

    /// Gives segments below `segment` up: their records are durable elsewhere. They go in the
    /// background, never before they are written.
    pub fn remove_before(&self, segment: u64) {
        let mut state = self.shared.lock();
        state.trim_below = state.trim_below.max(segment);
        self.shared.wake_preparer(&mut state);
    }

    /// The log's counters.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.shared.stats
    }

    /// Why the log is full, while it is.
    #[must_use]
    pub fn full(&self) -> Option<String> {
        self.shared.lock().full.clone()
    }

    /// The failure after which nothing is acknowledged any more.
    #[must_use]
    pub fn failed(&self) -> Option<Arc<Error>> {
        self.shared.lock().failed.clone()
    }

    /// Calls `hook` once when the disk fails, at once where it has failed already. One hook: a
    /// later one takes the place of an earlier one.
    pub fn on_failed(&self, hook: impl FnOnce(Arc<Error>) + Send + 'static) {
        self.shared.on_failed(Box::new(hook));
    }

    /// Takes nothing new, waits for what has room reserved, writes all of it and the mark of a
    /// clean end. Blocks; a second call returns at once.
    ///
    /// # Errors
    /// `Fatal` when the disk failed, now or before.
    pub fn close(&self) -> Result<(), Error> {
        self.stop(Phase::Closing);
        let state = self.shared.lock();
        self.shared.check_failed(&state)
    }

    fn stop(&self, phase: Phase) {
        let mut state = self.shared.lock();
        if state.phase != Phase::Abandoned {
            state.phase = phase;
        }
        self.shared.work.notify_all();
        self.shared.wake_preparer(&mut state);
        drop(state);
        let threads = std::mem::take(&mut *self.threads());
        for thread in threads {
            // A panic of the writer has failed the log, which is how the caller learns of it.
            drop(thread.join());
        }
    }

    fn threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for LocalWal {
    fn drop(&mut self) {
        self.stop(Phase::Abandoned);
    }
}

impl Reservation {
    /// Puts the record behind all that were appended before. Never blocks, never refuses: what
    /// goes wrong comes through `on_done`, from the writer thread (from here only when that
    /// thread is gone, which [`LocalWal::close`] prevents while a reservation is held).
    pub fn append(mut self, entry: Entry, packed: Packed, on_done: OnDone) {
        let done = Done::new(on_done);
        let Entry { tenant, received_at, format, edits } = entry;
        let edits = edits.encode();
        let bytes = frame_len(tenant.as_str().len(), edits.len(), packed.stored_len());
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        let written = shared.config.durability != Durability::Memory && state.failed.is_none();
        let place = if written { state.room.place(bytes) } else { None };
        state.room.release(std::mem::take(&mut self.bytes));
        if state.writer == WriterState::Gone {
            drop(state);
            let error = Error::new(Kind::Unavailable, "the wal has ended");
            return done.call(Err(Arc::new(error)));
        }
        if let Some(place) = &place {
            state.files.insert(place.segment.number, place.segment.len);
        }
        let record = Queued { place, bytes, tenant, received_at, format, edits, packed, done };
        state.queue.push_back(Item::Record(Box::new(record)));
        state.queue_bytes += bytes;
        shared.stats.queue_bytes.set(state.queue_bytes);
        shared.stats.queue_records.add(1);
        shared.settle(&mut state);
        shared.wake_writer(&state);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes == 0 {
            return;
        }
        let mut state = self.shared.lock();
        state.room.release(self.bytes);
        if state.phase != Phase::Open {
            self.shared.work.notify_all();
        }
    }
}

impl Driver {
    /// Writes one group, if there is one; tells whether it did anything.
    pub fn commit(&mut self) -> bool {
        self.writer.step(writer::Block::No) == writer::Step::Worked
    }

    /// Prepares, recycles or removes one segment, if one is due; tells whether it did anything.
    pub fn prepare(&mut self) -> bool {
        self.preparer.step() == prepare::Step::Worked
    }

    /// Does what is left after [`LocalWal::close`] was called.
    pub fn finish(&mut self) {
        while self.writer.step(writer::Block::No) == writer::Step::Worked {}
    }
}

#[cfg(test)]
mod tests;
