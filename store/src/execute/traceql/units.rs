//! What is read of a view, a unit at a time, newest first: segments of the head, row groups of
//! files. And which of a unit's traces go on elsewhere.

use std::cell::{Cell, RefCell};
use std::collections::{BinaryHeap, HashMap};
use std::ops::Range;
use std::sync::RwLockReadGuard;

use model::batch::{Batch, Indexed};
use model::column::count;
use model::{Clock, Nanos, TimeRange, TraceId};

use super::answer::Inspected;
use super::request::Budget;
use super::rows::Rows;
use super::want::Want;
use crate::block::reader::{Reader, Wanted};
use crate::block::section::{Id, index};
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
            let starts = Parts::starts(part);
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

    /// The next one. `may_match` tells whether a row group can have what is asked for.
    pub(super) fn next(&mut self, may_match: &dyn Fn(&Reader, u32) -> bool) -> Option<Unit> {
        loop {
            match self.heap.pop()?.1.0 {
                Next::Unit(unit) => return Some(unit),
                Next::File(part) => self.open(part, may_match),
            }
        }
    }

    fn open(&mut self, at: usize, may_match: &dyn Fn(&Reader, u32) -> bool) {
        let Some(part) = self.parts.view.parts.get(at) else { return };
        let Some(reader) = self.parts.reader(part) else { return };
        for (number, group) in (0..).zip(&reader.directory().row_groups) {
            let starts = TimeRange { start: Nanos(group.starts.0), end: Nanos(group.starts.1) };
            let rows = self.parts.rows(part, &reader, number);
            if rows.is_empty() || !starts.overlaps(&self.during) {
                continue;
            }
            self.total += 1;
            if may_match(&reader, number) {
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
    File(Box<Batch>),
}

impl Loaded<'_> {
    pub(super) fn batch(&self) -> &Batch {
        match self {
            Self::Head(batch, _) => batch,
            Self::File(batch) => batch,
        }
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
    let Some((reader, group)) = parts.reader(part).zip(unit.group) else { return Ok(None) };
    let rows = parts.rows(part, &reader, group);
    Ok(read(parts, part, &reader, (group, rows), want).map(|batch| Loaded::File(Box::new(batch))))
}

/// Reads rows of a row group.
pub(super) fn read(
    parts: &Parts<'_>,
    part: &Part,
    reader: &Reader,
    (group, rows): (u32, Range<u32>),
    want: &Want,
) -> Option<Batch> {
    let is_wanted = |leaf: &_, schema: &_| want.has(leaf, schema);
    let read = reader.read(group, rows, Wanted::Some(&is_wanted), parts.tenant, Indexed::No);
    parts.note(part, read)
}

/// The traces of a unit.
#[derive(Debug)]
pub(super) struct Traces {
    /// Where the rows of each begin among `rows`, and one past the last.
    begins: Vec<u32>,
    /// The rows, trace by trace; nothing where they stand so in the batch.
    rows: Option<Vec<u32>>,
    /// The number of each row's trace.
    of_row: Vec<u32>,
}

/// No trace.
const NONE: u32 = u32::MAX;

impl Traces {
    pub(super) fn new(parts: &Parts<'_>, loaded: &Loaded<'_>) -> Self {
        match loaded {
            Loaded::Head(batch, visible) => Self::of_head(parts, batch, *visible),
            Loaded::File(batch) => Self::of_file(batch),
        }
    }

    fn of_head(parts: &Parts<'_>, batch: &Batch, visible: u32) -> Self {
        let tenant = batch.tenant(parts.tenant);
        let mut traces = Self { begins: vec![0], rows: None, of_row: vec![NONE; batch.len()] };
        let mut all: Vec<u32> = Vec::new();
        for entry in batch.traces().iter().filter(|entry| Some(entry.tenant) == tenant) {
            let first = all.len();
            all.extend(batch.entry_rows(entry).filter(|row| *row < visible));
            let Some(rows) = all.get_mut(first..).filter(|rows| !rows.is_empty()) else { continue };
            rows.reverse();
            let number = count(traces.begins.len() - 1);
            for row in rows {
                if let Some(of) = traces.of_row.get_mut(*row as usize) {
                    *of = number;
                }
            }
            traces.begins.push(count(all.len()));
        }
        traces.rows = Some(all);
        traces
    }

    fn of_file(batch: &Batch) -> Self {
        let ids = batch.columns().trace_id;
        let (mut begins, mut of_row) = (Vec::new(), Vec::with_capacity(ids.len()));
        let mut last = None;
        for (row, id) in (0..).zip(ids) {
            if last != Some(id) {
                begins.push(row);
                last = Some(id);
            }
            of_row.push(count(begins.len() - 1));
        }
        begins.push(count(ids.len()));
        Self { begins, rows: None, of_row }
    }

    pub(super) fn len(&self) -> u32 {
        count(self.begins.len() - 1)
    }

    /// The number of a row's trace, if it is one of these.
    pub(super) fn of_row(&self, row: u32) -> Option<u32> {
        self.of_row.get(row as usize).copied().filter(|number| *number != NONE)
    }

    /// The rows of a trace, ascending.
    pub(super) fn rows(&self, trace: u32) -> impl Iterator<Item = u32> {
        let at = trace as usize;
        let begin = self.begins.get(at).copied().unwrap_or(0);
        let end = self.begins.get(at + 1).copied().unwrap_or(begin);
        let rows = self.rows.as_ref();
        (begin..end).map(move |at| rows.map_or(at, |rows| rows[at as usize]))
    }

    /// All rows.
    pub(super) fn all(&self) -> Rows {
        Rows::of(count(self.of_row.len()), |row| self.of_row[row as usize] != NONE)
    }
}

/// Which traces stand in more than one place.
pub(super) struct Elsewhere<'p> {
    parts: &'p Parts<'p>,
    asked: Cell<u32>,
    known: RefCell<Known>,
}

/// Where every trace stands.
#[derive(Debug, Default)]
enum Known {
    /// Not asked for often enough.
    #[default]
    Nothing,
    /// By the short hash of the id, the part, or that there are several. The part that whoever
    /// asked was reading is left out, if it is a segment of the head: it is locked.
    All(HashMap<u32, u32>, Option<usize>),
    /// There are too many.
    TooMany,
}

/// Past so many look-ups in each part, its whole index is read.
const LOOKUPS_MAX: u32 = 256;
/// Unless these are more traces: 8 bytes each, and a bit.
const TRACES_MAX: u64 = 1 << 24;
const SEVERAL: u32 = u32::MAX;

impl<'p> Elsewhere<'p> {
    pub(super) fn new(parts: &'p Parts<'p>) -> Self {
        Self { parts, asked: Cell::new(0), known: RefCell::default() }
    }

    /// Whether a trace of a part may have spans in another part, or in another place of this one.
    pub(super) fn may_have(&self, own: usize, id: TraceId) -> Result<bool, Error> {
        let parts = &self.parts.view.parts;
        if self.is_oversized(own, id) {
            return Ok(true);
        }
        if parts.len() < 2 {
            return Ok(false);
        }
        self.asked.set(self.asked.get().saturating_add(1));
        if self.asked.get() > LOOKUPS_MAX {
            let mut known = self.known.borrow_mut();
            self.complete(&mut known, own)?;
            if let Known::All(known, _) = &*known {
                let seen = known.get(&index::short(index::hash(id)));
                return Ok(seen.is_some_and(|part| *part as usize != own));
            }
        }
        for (at, part) in parts.iter().enumerate().filter(|(at, _)| *at != own) {
            let is_there = match part {
                Part::Head(segment, visible) => {
                    let batch = segment.read()?;
                    batch.trace_rows(self.parts.tenant, id).any(|row| row < *visible)
                }
                _ => self.find(at, id) > 0,
            };
            if is_there {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Gathers where traces stand, as far as it is not known yet.
    fn complete(&self, known: &mut Known, own: usize) -> Result<(), Error> {
        match known {
            Known::TooMany => {}
            Known::All(map, without) => {
                if let Some(left) = without.take_if(|left| *left != own) {
                    self.note_head(map, left)?;
                }
            }
            Known::Nothing => {
                let mut map = HashMap::new();
                let mut without = None;
                let mut total = 0u64;
                for (at, part) in self.parts.view.parts.iter().enumerate() {
                    if matches!(part, Part::Head(..)) {
                        if at == own {
                            without = Some(at);
                        } else {
                            self.note_head(&mut map, at)?;
                        }
                        continue;
                    }
                    total += self.note_file(&mut map, at, part);
                    if total > TRACES_MAX {
                        *known = Known::TooMany;
                        return Ok(());
                    }
                }
                *known = Known::All(map, without);
            }
        }
        Ok(())
    }

    fn note_head(&self, map: &mut HashMap<u32, u32>, at: usize) -> Result<(), Error> {
        let Some(Part::Head(segment, _)) = self.parts.view.parts.get(at) else { return Ok(()) };
        let batch = segment.read()?;
        let tenant = batch.tenant(self.parts.tenant);
        let ours = batch.traces().iter().filter(|entry| Some(entry.tenant) == tenant);
        ours.for_each(|entry| note(map, index::short(index::hash(entry.id)), at));
        Ok(())
    }

    /// The number of traces of the file.
    fn note_file(&self, map: &mut HashMap<u32, u32>, at: usize, part: &Part) -> u64 {
        let Some(reader) = self.parts.reader(part) else { return 0 };
        let section = self.parts.note(part, reader.section(Id::TraceIndex, 0)).flatten();
        let Some(section) = section else { return 0 };
        let Some(head) = self.parts.note(part, index::fanout_len(&section)) else { return 0 };
        let entries = index::entries(section.get(head..).unwrap_or_default());
        entries.for_each(|entry| note(map, entry.hash, at));
        reader.directory().header.traces
    }

    fn is_oversized(&self, own: usize, id: TraceId) -> bool {
        let Some(part) = self.parts.view.parts.get(own) else { return false };
        let reader = self.parts.reader(part);
        reader.is_some_and(|reader| reader.directory().header.oversized) && self.find(own, id) > 1
    }

    fn find(&self, at: usize, id: TraceId) -> usize {
        let Some(part) = self.parts.view.parts.get(at) else { return 0 };
        let Some(reader) = self.parts.reader(part) else { return 0 };
        self.parts.note(part, reader.find(id)).map_or(0, |found| found.len())
    }
}

fn note(map: &mut HashMap<u32, u32>, hash: u32, part: usize) {
    let part = count(part);
    let seen = map.entry(hash).or_insert(part);
    if *seen != part {
        *seen = SEVERAL;
    }
}

/// Whether an evaluation has to end, and why.
pub(super) struct Limits<'c> {
    clock: &'c dyn Clock,
    budget: &'c Budget,
    pub(super) inspected: Inspected,
    pub(super) ended: Option<String>,
}

impl<'c> Limits<'c> {
    pub(super) fn new(clock: &'c dyn Clock, budget: &'c Budget) -> Self {
        Self { clock, budget, inspected: Inspected::default(), ended: None }
    }

    /// Notes a unit that was read.
    pub(super) fn read(&mut self, batch: &Batch) {
        self.inspected.units += 1;
        self.inspected.spans += batch.len() as u64;
        self.inspected.bytes += batch.heap_bytes() as u64;
    }

    /// Whether something is used up; from then on, always.
    pub(super) fn is_over(&mut self) -> bool {
        if self.ended.is_some() {
            return true;
        }
        let Budget { deadline, bytes_max, .. } = self.budget;
        self.ended = if self.budget.is_cancelled() {
            Some("it was cancelled".to_owned())
        } else if deadline.is_some_and(|deadline| self.clock.monotonic() >= deadline) {
            Some("the time for it was over".to_owned())
        } else if bytes_max.is_some_and(|max| self.inspected.bytes > max) {
            Some("it looked at as many bytes as it may".to_owned())
        } else {
            None
        };
        self.ended.is_some()
    }
}
