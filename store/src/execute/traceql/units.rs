//! What is read of a view, a unit at a time, newest first: segments of the head, row groups of
//! files.

use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::{Arc, RwLockReadGuard};

use model::batch::{Batch, Indexed};
use model::{Clock, Nanos, TimeRange};

use super::ahead::Ahead;
use super::answer::Inspected;
use super::prune::Prune;
use super::request::Budget;
use super::want::Want;
use crate::block::reader::{Reader, Wanted};
use crate::block::section::summary::Summary;
use crate::error::Error;
use crate::execute::Parts;
use crate::shelf::Part;

/// A part of a view that is read in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Unit {
    /// The place of the part in the view.
    pub(super) part: usize,
    /// The row group, of a file.
    pub(super) group: Option<u32>,
}

/// Units that are left, newest first.
pub(super) struct Queue<'p> {
    parts: &'p Parts<'p>,
    during: TimeRange,
    /// By last start; among equals, the order of the view.
    heap: BinaryHeap<(Nanos, std::cmp::Reverse<Next>)>,
    pub(super) total: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Next {
    /// A file that is not opened yet.
    File(usize),
    Unit(Unit),
}

impl<'p> Queue<'p> {
    /// All units with spans that start in a range.
    pub(super) fn new(parts: &'p Parts<'p>, during: TimeRange) -> Self {
        let mut queue = Self { parts, during, heap: BinaryHeap::new(), total: 0 };
        for (at, part) in parts.view.parts.iter().enumerate() {
            let starts = part.starts();
            if !starts.overlaps(&during) {
                continue;
            }
            let next = match part {
                Part::Head(..) => Next::Unit(Unit { part: at, group: None }),
                _ => Next::File(at),
            };
            queue.total += u64::from(matches!(next, Next::Unit(_)));
            queue.heap.push((starts.end, std::cmp::Reverse(next)));
        }
        queue
    }

    /// The last moment at which a span of a unit that is left may start.
    pub(super) fn bound(&self) -> Option<Nanos> {
        self.heap.peek().map(|(end, _)| *end)
    }

    /// The next one that can have what is asked for.
    pub(super) fn next(&mut self, prune: &Prune, ahead: &Ahead<'_>) -> Option<Unit> {
        loop {
            match self.heap.pop()?.1.0 {
                Next::Unit(unit) => return Some(unit),
                Next::File(part) => self.open(part, prune, ahead),
            }
        }
    }

    fn open(&mut self, at: usize, prune: &Prune, ahead: &Ahead<'_>) {
        let Some(part) = self.parts.view.parts.get(at) else { return };
        if !prune.may_match_part(self.parts, part) {
            // How many row groups it has would have to be asked for.
            self.total += 1;
            return;
        }
        ahead.reach(part);
        let Some(reader) = self.parts.reader(part) else { return };
        for (number, group) in (0..).zip(&reader.directory().row_groups) {
            let starts = TimeRange { start: Nanos(group.starts.0), end: Nanos(group.starts.1) };
            let rows = self.parts.rows(at, &reader, number);
            if rows.is_empty() || !starts.overlaps(&self.during) {
                continue;
            }
            self.total += 1;
            if prune.may_match(self.parts, at, &reader, number) {
                let unit = Next::Unit(Unit { part: at, group: Some(number) });
                self.heap.push((starts.end, std::cmp::Reverse(unit)));
            }
        }
    }
}

/// A unit that was read.
pub(super) enum Loaded<'p> {
    /// Its writer waits while this is held.
    Head(RwLockReadGuard<'p, Batch>, u32),
    File(Box<Batch>, Arc<Summary>),
}

impl Loaded<'_> {
    pub(super) fn batch(&self) -> &Batch {
        match self {
            Self::Head(batch, _) => batch,
            Self::File(batch, _) => batch,
        }
    }

    pub(super) fn is_head(&self) -> bool {
        matches!(self, Self::Head(..))
    }
}

/// Reads a unit; `None` where it cannot be read, which is noted.
pub(super) fn load<'p>(
    parts: &'p Parts<'p>,
    unit: Unit,
    want: &Want,
) -> Result<Option<Loaded<'p>>, Error> {
    let Some(part) = parts.view.parts.get(unit.part) else { return Ok(None) };
    if let Part::Head(segment, visible) = part {
        return Ok(Some(Loaded::Head(segment.read()?, *visible)));
    }
    let Some((reader, group)) = parts.reader_at(unit.part).zip(unit.group) else {
        return Ok(None);
    };
    let rows = parts.rows(unit.part, reader, group);
    if reader.near_bytes_max() > 0 {
        let is_wanted = |leaf: &_, schema: &_| want.has(leaf, schema);
        // What cannot be read is noted below.
        drop(reader.near(group, Wanted::Some(&is_wanted), |_| true));
    }
    let Some(summary) = parts.note(part, reader.summary_kept(group)) else { return Ok(None) };
    let batch = read(parts, unit.part, reader, (group, rows), want);
    Ok(batch.map(|batch| Loaded::File(Box::new(batch), summary)))
}

/// Reads rows of a row group of a part, by its place.
pub(super) fn read(
    parts: &Parts<'_>,
    at: usize,
    reader: &Reader,
    (group, rows): (u32, Range<u32>),
    want: &Want,
) -> Option<Batch> {
    let is_wanted = |leaf: &_, schema: &_| want.has(leaf, schema);
    let tenant = &parts.owner(at).tenant;
    let read = reader.read(group, rows, Wanted::Some(&is_wanted), tenant, Indexed::No);
    parts.note(parts.view.parts.get(at)?, read)
}

/// When the first and the last span of a unit start; of a segment of the head, ever.
pub(super) fn starts(parts: &Parts<'_>, unit: Unit) -> TimeRange {
    let group = || {
        let reader = parts.reader_at(unit.part)?;
        let group = *reader.directory().row_groups.get(unit.group? as usize)?;
        Some(TimeRange { start: Nanos(group.starts.0), end: Nanos(group.starts.1) })
    };
    group().unwrap_or(TimeRange::ALL)
}

/// The first row that is read of a unit, in its row group: where those of the tenant begin.
pub(super) fn base(parts: &Parts<'_>, unit: Unit) -> u32 {
    let reader = parts.reader_at(unit.part).zip(unit.group);
    reader.map_or(0, |(reader, group)| parts.rows(unit.part, reader, group).start)
}

/// Between two looks at the budget, so many traces are judged.
const TRACES_STEP: u64 = 256;

/// How long whoever asks waits.
#[derive(Clone, Copy)]
pub(super) struct Patience<'c> {
    clock: &'c dyn Clock,
    budget: &'c Budget,
}

impl Patience<'_> {
    /// Why it is over.
    fn ended(self) -> Option<&'static str> {
        let is_late = |deadline| self.clock.monotonic() >= deadline;
        if self.budget.is_cancelled() {
            return Some("it was cancelled");
        }
        self.budget.deadline.is_some_and(is_late).then_some("the time for it was over")
    }

    pub(super) fn is_over(self) -> bool {
        self.ended().is_some()
    }
}

/// Whether an evaluation has to end, and why.
pub(super) struct Limits<'c> {
    pub(super) patience: Patience<'c>,
    pub(super) inspected: Inspected,
    pub(super) ended: Option<String>,
}

impl<'c> Limits<'c> {
    pub(super) fn new(clock: &'c dyn Clock, budget: &'c Budget) -> Self {
        let patience = Patience { clock, budget };
        Self { patience, inspected: Inspected::default(), ended: None }
    }

    /// Notes a unit that was read.
    pub(super) fn read(&mut self, batch: &Batch) {
        self.inspected.units += 1;
        self.inspected.spans += batch.len() as u64;
        self.inspected.bytes += batch.heap_bytes() as u64;
    }

    /// Notes what is read besides: of a unit again, or of traces that stand in several.
    pub(super) fn read_more(&mut self, batch: &Batch) {
        self.inspected.bytes += batch.heap_bytes() as u64;
    }

    /// Notes a trace that is looked at. Whether something is used up is looked up now and then.
    pub(super) fn is_over_at_trace(&mut self) -> bool {
        self.inspected.traces += 1;
        self.inspected.traces.is_multiple_of(TRACES_STEP) && self.is_over()
    }

    /// Whether something is used up; from then on, always.
    pub(super) fn is_over(&mut self) -> bool {
        if self.ended.is_some() {
            return true;
        }
        let is_much = |max| self.inspected.bytes > max;
        let ended = self.patience.ended().or_else(|| {
            let is_much = self.patience.budget.bytes_max.is_some_and(is_much);
            is_much.then_some("it looked at as many bytes as it may")
        });
        self.ended = ended.map(str::to_owned);
        self.ended.is_some()
    }
}
