//! How much the log can still take: room in segments that are ready, and what is promised of it.
//!
//! Plain arithmetic without I/O. A promise is kept in whatever order the promised records come:
//! a segment is given up when the next record does not fit, which wastes less than the largest
//! record, so that is what every segment but the last counts for less. One ready segment is kept
//! out of the promises: it lets a segment be finished on a full disk, so that space can be freed.

use std::collections::VecDeque;

use crate::log::segment::{HEADER_BYTES, Segment};

/// Segments that can be written to, and what was promised of them.
#[derive(Debug, Default)]
pub(crate) struct Room {
    active: Option<Active>,
    ready: VecDeque<Segment>,
    promised: u64,
    promises: usize,
    /// The largest record among the promises; may lag until there are none.
    largest: u64,
    /// Segments that were passed over without a record in them.
    skipped: Vec<Segment>,
}

#[derive(Debug)]
struct Active {
    segment: Segment,
    /// Where the next record goes.
    offset: u64,
    records: u64,
}

impl Active {
    fn left(&self) -> u64 {
        self.segment.limit().saturating_sub(self.offset)
    }
}

/// Where a record goes.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) segment: Segment,
    pub(crate) offset: u64,
    pub(crate) sequence: u64,
}

impl Room {
    /// Adds a segment behind the others.
    pub(crate) fn add(&mut self, segment: Segment) {
        self.ready.push_back(segment);
    }

    /// How many segments wait.
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Bytes of the files of those.
    pub(crate) fn ready_bytes(&self) -> u64 {
        self.ready.iter().map(|segment| segment.len).sum()
    }

    /// How many of them take a record of so many bytes.
    pub(crate) fn ready_for(&self, bytes: u64) -> usize {
        self.ready.iter().filter(|segment| segment.capacity() >= bytes).count()
    }

    /// The segment that the next record goes to, unless it does not fit.
    pub(crate) fn active(&self) -> Option<u64> {
        self.active.as_ref().map(|active| active.segment.number)
    }

    /// Promises that are neither used nor given back.
    pub(crate) fn promises(&self) -> usize {
        self.promises
    }

    /// Bytes of those promises.
    pub(crate) fn promised(&self) -> u64 {
        self.promised
    }

    /// Promises `bytes` for one record, if they can be had.
    pub(crate) fn promise(&mut self, bytes: u64) -> bool {
        let largest = self.largest.max(bytes);
        // The spare is the last one, unless it is the one to start with.
        let keep = usize::from(self.active.is_some() || self.ready.len() > 1);
        let ready = self.ready.iter().take(self.ready.len().saturating_sub(keep));
        let active = self.active.as_ref().map(Active::left);
        let slots = active.into_iter().chain(ready.map(Segment::capacity));
        let fits = covers(slots, self.promised.saturating_add(bytes), largest);
        if fits {
            self.hold(bytes);
        }
        fits
    }

    /// Counts a promise that takes no room in any segment.
    pub(crate) fn hold(&mut self, bytes: u64) {
        self.promised += bytes;
        self.promises += 1;
        self.largest = self.largest.max(bytes);
    }

    /// Ends a promise, used or not.
    pub(crate) fn release(&mut self, bytes: u64) {
        self.promised = self.promised.saturating_sub(bytes);
        self.promises = self.promises.saturating_sub(1);
        if self.promises == 0 {
            self.largest = 0;
        }
    }

    /// Places a record of `bytes`; always succeeds within a promise.
    pub(crate) fn place(&mut self, bytes: u64) -> Option<Place> {
        while self.active.as_ref().is_none_or(|active| active.left() < bytes) {
            let next = self.ready.iter().any(|segment| segment.capacity() >= bytes);
            if !next || !self.advance() {
                return None;
            }
        }
        let active = self.active.as_mut()?;
        let place = Place {
            segment: active.segment.clone(),
            offset: active.offset,
            sequence: active.records,
        };
        active.offset += bytes;
        active.records += 1;
        Some(place)
    }

    /// Starts a new segment now, unless the current one is empty. The number of the one that the
    /// next record goes to, or `None` when there is none ready that keeps the promises.
    pub(crate) fn rotate(&mut self) -> Option<u64> {
        match &self.active {
            None => return self.ready.front().map(|segment| segment.number),
            Some(active) if active.records == 0 => return Some(active.segment.number),
            Some(_) => {}
        }
        let slots = self.ready.iter().map(Segment::capacity);
        let covered = covers(slots, self.promised, self.largest);
        (covered && self.advance()).then(|| self.active()).flatten()
    }

    /// Segments that were passed over empty since the last call.
    pub(crate) fn take_skipped(&mut self) -> Vec<Segment> {
        std::mem::take(&mut self.skipped)
    }

    /// Ends the active segment; those that wait stay where they are.
    pub(crate) fn close(&mut self) {
        self.active = None;
    }

    fn advance(&mut self) -> bool {
        let Some(segment) = self.ready.pop_front() else { return false };
        let fresh = Active { segment, offset: HEADER_BYTES, records: 0 };
        if let Some(passed) = self.active.replace(fresh).filter(|passed| passed.records == 0) {
            self.skipped.push(passed.segment);
        }
        true
    }
}

/// Whether records of `promised` bytes in all, none over `largest`, fit in these slots in any
/// order when a slot is left for good as soon as the next record does not fit.
fn covers(slots: impl Iterator<Item = u64>, promised: u64, largest: u64) -> bool {
    let mut before = 0u64;
    for slot in slots {
        if largest <= slot && promised <= before.saturating_add(slot) {
            return true;
        }
        before = before.saturating_add(slot.saturating_sub(largest));
    }
    promised == 0
}

#[cfg(test)]
mod tests;
