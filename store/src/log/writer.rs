//! The one thread that writes records: it gathers a group, writes it, syncs it, tells about it.
//!
//! A group goes out at once when the last one began at least `wal.commit.wait` ago; else it
//! gathers until then, or until `wal.commit.bytes` are there. While one sync runs the next group
//! gathers by itself. So a quiet log adds nothing to a request but the sync, and a busy one pays
//! for at most one sync per wait, however small the requests are.
//!
//! A segment is finished (end mark, sync) before the first byte goes to the next one: a torn
//! tail can only be in the last segment that has records. An error of a write or a sync ends the
//! log: what the page cache holds after a failed sync is not known, so nothing is tried again.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use model::Nanos;

use crate::error::{Error, Kind};
use crate::log::Outcome;
use crate::log::config::Durability;
use crate::log::record::{self, FRAME_BYTES, Parts, Seal};
use crate::log::room::Place;
use crate::log::segment::{Segment, write_end};
use crate::log::shared::{Item, Phase, Queued, Shared, State, WriterState};

/// A group takes no more than this (and at least one record): what one write buffer holds.
const GROUP_BYTES_MAX: u64 = 8 << 20;
/// A write buffer that grew past this is given back.
const BUFFER_BYTES_KEPT: usize = 4 << 20;

#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    current: Option<Current>,
    /// When the last group began.
    began: Option<Nanos>,
    buffer: Vec<u8>,
}

/// The segment that is being written.
#[derive(Debug)]
struct Current {
    segment: Segment,
    /// Where its records end.
    end: u64,
    records: u64,
}

/// Whether to wait for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Block {
    Yes,
    No,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Worked,
    Idle,
    Finished,
}

enum Next {
    Group(Vec<Queued>),
    Seal,
    Idle,
    Finished,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, current: None, began: None, buffer: Vec::new() }
    }

    /// Works until the log is closed.
    pub(crate) fn run(&mut self) {
        let stopped = Stopped(Arc::clone(&self.shared));
        while self.step(Block::Yes) != Step::Finished {}
        drop(stopped);
    }

    /// Does one thing: writes a group, or finishes a segment.
    pub(crate) fn step(&mut self, block: Block) -> Step {
        match self.next(block) {
            Next::Group(group) => self.commit(group),
            Next::Seal => {
                if let Err(error) = self.seal() {
                    self.fail(error, Vec::new());
                }
            }
            Next::Idle => return Step::Idle,
            Next::Finished => {
                if let Err(error) = self.close() {
                    self.fail(error, Vec::new());
                }
                return Step::Finished;
            }
        }
        Step::Worked
    }

    fn next(&mut self, block: Block) -> Next {
        let shared = Arc::clone(&self.shared);
        let mut state = shared.lock();
        while state.queue.is_empty() {
            let drained = match state.phase {
                Phase::Open => false,
                Phase::Closing => state.room.promises() == 0,
                Phase::Abandoned => true,
            };
            if drained {
                state.writer = WriterState::Gone;
                return Next::Finished;
            }
            if block == Block::No {
                return Next::Idle;
            }
            state.writer = WriterState::Idle;
            state = shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.writer = WriterState::Busy;
        }
        let gather = self.gather();
        if block == Block::Yes && !gather.is_zero() {
            state.writer = WriterState::Gathering;
            let bytes = shared.config.commit.bytes.0;
            let more = |state: &mut State| state.queue_bytes < bytes && state.phase == Phase::Open;
            state = shared
                .work
                .wait_timeout_while(state, gather, more)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            state.writer = WriterState::Busy;
        }
        self.began = Some(shared.clock.monotonic());
        take_group(&mut state)
    }

    /// How long to wait for company.
    fn gather(&self) -> Duration {
        if self.shared.config.durability != Durability::Fsync {
            return Duration::ZERO;
        }
        let wait = self.shared.config.commit.wait.0;
        self.began.map_or(Duration::ZERO, |began| {
            let since = self.shared.clock.monotonic().minus(began);
            wait.saturating_sub(Duration::from_nanos(since.0))
        })
    }

    fn commit(&mut self, group: Vec<Queued>) {
        let failed = self.shared.lock().failed.clone();
        if let Some(failed) = failed {
            return self.tell(group, &Err(failed));
        }
        match self.write(&group) {
            Ok(()) => {
                self.count(&group);
                self.tell(group, &Ok(()));
            }
            Err(error) => self.fail(error, group),
        }
    }

    /// Writes the group behind what is there and makes it durable.
    fn write(&mut self, group: &[Queued]) -> Result<(), Error> {
        let Some(first) = group.first().and_then(|queued| queued.place.as_ref()) else {
            return self.unplaced();
        };
        if self.current.as_ref().is_none_or(|now| now.segment.number != first.segment.number) {
            self.seal()?;
            let segment = first.segment.clone();
            self.shared.lock().writing = Some(segment.number);
            self.current = Some(Current { segment, end: first.offset, records: 0 });
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        let seal = Seal { writer: self.shared.writer, segment: current.segment.number };
        self.buffer.clear();
        for queued in group {
            if let Some(place) = &queued.place {
                encode(queued, place, seal, &mut self.buffer);
            }
        }
        assert_eq!(current.end, first.offset, "records are written where they were placed");
        let stats = &self.shared.stats;
        let start = self.shared.clock.monotonic();
        let file = &current.segment.file;
        file.write_at(&self.buffer, current.end).map_err(|fault| self.at("write", fault))?;
        let current = self.current.as_mut();
        if let Some(current) = current {
            current.end += self.buffer.len() as u64;
            current.records += group.len() as u64;
        }
        if self.shared.config.durability == Durability::Fsync {
            let written = self.shared.clock.monotonic();
            self.sync()?;
            stats.sync.record(self.shared.clock.monotonic().minus(written).0);
        }
        stats.commit.record(self.shared.clock.monotonic().minus(start).0);
        if self.buffer.capacity() > BUFFER_BYTES_KEPT {
            self.buffer = Vec::new();
        }
        Ok(())
    }

    /// Only memory takes records that have no place. Elsewhere a record outgrew the room that was
    /// promised to it, which is a fault of ours; those behind it must not overtake it.
    fn unplaced(&self) -> Result<(), Error> {
        match self.shared.config.durability {
            Durability::Memory => Ok(()),
            Durability::Os | Durability::Fsync => {
                Err(Error::new(Kind::Fatal, "a record is larger than the room promised to it"))
            }
        }
    }

    fn sync(&self) -> Result<(), Error> {
        match &self.current {
            Some(current) => current.segment.file.sync().map_err(|fault| self.at("sync", fault)),
            None => Ok(()),
        }
    }

    /// Finishes the current segment: nothing follows its end mark.
    fn seal(&mut self) -> Result<(), Error> {
        if self.shared.lock().failed.is_some() {
            return Ok(());
        }
        if let Some(current) = &self.current {
            let seal = Seal { writer: self.shared.writer, segment: current.segment.number };
            write_end(&*current.segment.file, seal, current.records, current.end)
                .map_err(|fault| self.at("finish", fault))?;
            self.sync()?;
        }
        self.current = None;
        self.shared.lock().writing = None;
        Ok(())
    }

    /// Finishes the last segment and gives back what it does not need.
    fn close(&mut self) -> Result<(), Error> {
        let last = self.current.as_ref().map(|last| (last.segment.clone(), last.end));
        self.seal()?;
        let mut state = self.shared.lock();
        let failed = state.failed.is_some();
        state.room.close();
        drop(state);
        let Some((segment, end)) = last.filter(|_| !failed) else { return Ok(()) };
        let cut = segment.file.set_len(end + FRAME_BYTES as u64);
        cut.and_then(|()| segment.file.sync()).map_err(|fault| self.at("cut", fault))
    }

    fn tell(&self, group: Vec<Queued>, outcome: &Outcome) {
        let mut state = self.shared.lock();
        let bytes: u64 = group.iter().map(|queued| queued.bytes).sum();
        state.queue_bytes = state.queue_bytes.saturating_sub(bytes);
        if state.failed.is_none() {
            self.shared.stats.queue_bytes.set(state.queue_bytes);
            self.shared.stats.queue_records.sub(group.len() as u64);
        }
        drop(state);
        for queued in group {
            queued.done.call(outcome.clone());
        }
    }

    fn fail(&self, error: Error, group: Vec<Queued>) {
        let (failed, queued) = self.shared.fail(error);
        let records = queued.into_iter().filter_map(|item| match item {
            Item::Record(record) => Some(*record),
            Item::Seal => None,
        });
        self.tell(group.into_iter().chain(records).collect(), &Err(failed));
    }

    fn count(&self, group: &[Queued]) {
        let stats = &self.shared.stats;
        stats.groups.inc();
        stats.group_records.set(group.len() as u64);
        stats.records.add(group.len() as u64);
        stats.bytes.add(group.iter().map(|queued| queued.bytes).sum());
        stats.body_bytes.add(group.iter().map(|queued| u64::from(queued.packed.raw_len)).sum());
    }

    fn at(&self, what: &str, fault: io::Error) -> Error {
        let number = self.current.as_ref().map_or(0, |current| current.segment.number);
        let path = crate::log::segment::path(&self.shared.dir, number);
        Error::io(format!("{what} {}", path.display()), fault).with_kind(Kind::Fatal)
    }
}

/// Takes records of one segment off the queue.
fn take_group(state: &mut State) -> Next {
    let mut group: Vec<Queued> = Vec::new();
    let mut bytes = 0;
    loop {
        let fits = match state.queue.front() {
            Some(Item::Record(next)) => group.first().is_none_or(|first| {
                bytes + next.bytes <= GROUP_BYTES_MAX && number(first) == number(next)
            }),
            Some(Item::Seal) => group.is_empty(),
            None => false,
        };
        match fits.then(|| state.queue.pop_front()).flatten() {
            Some(Item::Record(record)) => {
                bytes += record.bytes;
                group.push(*record);
            }
            Some(Item::Seal) => return Next::Seal,
            None => break,
        }
    }
    if let Some(number) = group.first().and_then(number) {
        state.writing = Some(state.writing.map_or(number, |writing| writing.min(number)));
    }
    Next::Group(group)
}

fn number(queued: &Queued) -> Option<u64> {
    queued.place.as_ref().map(|place| place.segment.number)
}

fn encode(queued: &Queued, place: &Place, seal: Seal, out: &mut Vec<u8>) {
    let parts = Parts {
        sequence: place.sequence,
        tenant: &queued.tenant,
        received_at: queued.received_at,
        format: queued.format,
        coding: queued.packed.coding,
        raw_len: queued.packed.raw_len,
        edits: &queued.edits,
        body: &queued.packed.bytes,
    };
    let before = out.len() as u64;
    record::encode(&parts, seal, out);
    assert_eq!(out.len() as u64 - before, queued.bytes, "a record takes the room it was given");
}

/// Fails the log when the writer thread ends without having finished.
struct Stopped(Arc<Shared>);

impl Drop for Stopped {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if state.writer != WriterState::Gone {
            state.writer = WriterState::Gone;
            drop(state);
            let (failed, queued) =
                self.0.fail(Error::new(Kind::Fatal, "the wal's writer panicked"));
            for item in queued {
                if let Item::Record(record) = item {
                    record.done.call(Err(Arc::clone(&failed)));
                }
            }
        }
    }
}
