//! In which order rows stand in a block: traces by effective start, spans of a trace in pre-order.
//!
//! So a subtree is a range of rows, only the distance to the parent's row is stored, and time is
//! nearly sorted. Rows come from one batch (sealing, [`tenants`]) or from many (merging,
//! [`Orderer::trace`]) and go to the block's writer as an [`Ordered`]. Spans that are there twice
//! are found here: a span's identity is (trace id, span id, kind); of one identity the first row
//! stays. A huge trace is cut into parts.

mod huge;
mod repeated;
#[cfg(test)]
mod tests;
mod tree;

use std::ops::Range;

use model::batch::{Batch, TraceEntry};
use model::column::count;
use model::{Nanos, SpanId, TimeRange, TraceId};

use repeated::Repeated;
use tree::{Ids, Tree};

/// The most rows of a part of a trace: no buffer, row group or rewrite is ever larger for one.
pub const PART_ROWS: usize = 50_000;

/// The OTLP status code of an error.
const ERROR: i32 = 2;

/// One row of one of several batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Which batch.
    pub source: u32,
    /// Which row of it.
    pub row: u32,
}

/// The rows of some traces in the order of a block.
#[derive(Debug, Default)]
pub struct Ordered {
    /// The rows.
    pub rows: Vec<Place>,
    /// How many rows before each its parent stands; 0 where that is not in the same part.
    pub parent_distance: Vec<u32>,
    /// The traces, or their parts.
    pub traces: Vec<TracePart>,
    /// Spans that were there twice with the same content.
    pub duplicates: u64,
    /// Spans that were there twice with other content; the first stayed.
    pub conflicts: u64,
}

impl Ordered {
    /// Takes out all rows and counts; the buffers stay.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.parent_distance.clear();
        self.traces.clear();
        (self.duplicates, self.conflicts) = (0, 0);
    }
}

/// A trace, or a part of a huge one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TracePart {
    /// Its id.
    pub id: TraceId,
    /// Its first row among [`Ordered::rows`].
    pub first_row: u32,
    /// Its rows.
    pub rows: u32,
    /// Which part of a huge trace this is, from 0.
    pub part: u32,
    /// Whether the trace has several parts.
    pub oversized: bool,
    /// Whether the trace may go on elsewhere: it has several parts, a span names a parent that is
    /// not in this one (it is never its own), or there is no root.
    pub is_open: bool,
    /// The root's row among [`Ordered::rows`]: the earliest of spans without a parent.
    pub root: Option<u32>,
    /// First and last effective start.
    pub starts: TimeRange,
    /// First own start.
    pub start: Nanos,
    /// Last own end.
    pub end: Nanos,
    /// Spans with an error.
    pub errors: u32,
}

/// Orders traces; its buffers are used again.
#[derive(Debug)]
pub struct Orderer {
    part_rows: usize,
    spans: Vec<Span>,
    tree: Tree,
    repeated: Repeated,
    /// Keys of the rows of a huge trace, a window at a time.
    window: Vec<u128>,
}

impl Default for Orderer {
    fn default() -> Self {
        Self {
            part_rows: PART_ROWS,
            spans: Vec::new(),
            tree: Tree::default(),
            repeated: Repeated::default(),
            window: Vec::new(),
        }
    }
}

/// What the order of a trace depends on, of one span.
#[derive(Clone, Copy, Debug)]
struct Span {
    /// Effective start.
    start: u64,
    id: u64,
    /// 0 at a root.
    parent: u64,
    kind: u32,
    place: Place,
}

impl Orderer {
    /// Appends a trace. `places` are its rows in the order of their arrival: of several spans of
    /// one identity the first stays.
    ///
    /// Cost: O(n log n) up to [`PART_ROWS`]; a larger trace is looked through twice for each four
    /// parts that it has, in 20 MB and a bit a row.
    pub fn trace(&mut self, sources: &[&Batch], places: &[Place], out: &mut Ordered) {
        if places.len() > self.part_rows {
            return self.huge_trace(sources, places, out);
        }
        let Some(mut part) = self.load(sources, places.iter().copied()) else { return };
        if self.tree.index(&self.spans) == Ids::Repeated {
            let mut repeated = std::mem::take(&mut self.repeated);
            repeated.reset(places.len());
            repeated.find(sources, places, self.tree.identities());
            repeated.settle(out);
            if let Some(kept) = self.load(sources, repeated.kept(places)) {
                part = kept;
            }
            self.tree.index(&self.spans);
            self.repeated = repeated;
        }
        self.append(part, out);
    }

    /// Takes the rows of a trace or of a part of one; `None` where there is none.
    fn load(
        &mut self,
        sources: &[&Batch],
        places: impl Iterator<Item = Place>,
    ) -> Option<TracePart> {
        self.spans.clear();
        let (mut first, mut last) = (u64::MAX, 0);
        let (mut start, mut end) = (Nanos(u64::MAX), Nanos(0));
        let mut errors = 0;
        self.spans.extend(places.map(|place| {
            let (batch, row) = (sources[place.source as usize], place.row);
            let effective = effective_start(batch, row).0;
            (first, last) = (effective.min(first), effective.max(last));
            (start, end) = (start.min(batch.start(row)), end.max(batch.end(row)));
            errors += u32::from(batch.status(row) == ERROR);
            Span {
                start: effective,
                id: word(batch.span_id(row)),
                parent: batch.parent_id(row).map_or(0, word),
                kind: batch.kind(row).cast_unsigned(),
                place,
            }
        }));
        let Place { source, row } = self.spans.first()?.place;
        Some(TracePart {
            id: sources[source as usize].trace_id(row),
            first_row: 0,
            rows: count(self.spans.len()),
            part: 0,
            oversized: false,
            is_open: false,
            root: None,
            starts: TimeRange { start: Nanos(first), end: Nanos(last) },
            start,
            end,
            errors,
        })
    }

    /// Appends what was loaded and indexed.
    fn append(&mut self, mut part: TracePart, out: &mut Ordered) {
        part.first_row = count(out.rows.len());
        let grown = self.tree.grow(&self.spans, &mut out.parent_distance);
        out.rows.extend(self.tree.order().map(|at| self.spans[at].place));
        part.root = grown.root.map(|root| part.first_row + root);
        part.is_open = part.oversized || grown.misses_parents || grown.root.is_none();
        out.traces.push(part);
    }

    /// Appends traces of one batch, in the order in which they are given.
    fn run(&mut self, batch: &Batch, run: &[Run<'_>], visible: u32, out: &mut Ordered) {
        let mut places = Vec::new();
        for Run { trace, .. } in run {
            places.clear();
            let rows = batch.entry_rows(trace).filter(|row| *row < visible);
            places.extend(rows.map(|row| Place { source: 0, row }));
            places.reverse();
            self.trace(&[batch], &places, out);
        }
    }
}

/// A trace of a batch and its first effective start, as far as its rows are visible.
#[derive(Debug)]
struct Run<'b> {
    start: Nanos,
    trace: &'b TraceEntry,
}

impl<'b> Run<'b> {
    /// `None` where no row is visible.
    fn new(batch: &'b Batch, trace: &'b TraceEntry, visible: u32) -> Option<Self> {
        if trace.first_row >= visible {
            return None;
        }
        if visible as usize >= batch.len() {
            return Some(Self { start: trace.starts.start, trace });
        }
        let rows = batch.entry_rows(trace).filter(|row| *row < visible);
        let start = rows.map(|row| effective_start(batch, row)).min()?;
        Some(Self { start, trace })
    }
}

/// Orders all traces of all tenants in a batch, as far as its rows are visible: tenants by name.
/// Returns each tenant that has rows, by its number, and its rows among [`Ordered::rows`].
///
/// Where there are many tenants this is one look at the traces, not one for each tenant.
pub fn tenants(
    orderer: &mut Orderer,
    batch: &Batch,
    visible: u32,
    out: &mut Ordered,
) -> Vec<(u16, Range<u32>)> {
    let mut by_name: Vec<_> = batch.tenants().iter().zip(0..=u16::MAX).collect();
    by_name.sort_unstable();
    let traces = batch.traces().iter();
    let mut runs: Vec<_> = traces.filter_map(|trace| Run::new(batch, trace, visible)).collect();
    runs.sort_unstable_by_key(|run| (run.trace.tenant, run.start, run.trace.id));
    let mut tenants = Vec::new();
    for (_, tenant) in by_name {
        let first = runs.partition_point(|run| run.trace.tenant < tenant);
        let end = runs.partition_point(|run| run.trace.tenant <= tenant);
        let first_row = count(out.rows.len());
        orderer.run(batch, &runs[first..end], visible, out);
        if first < end {
            tenants.push((tenant, first_row..count(out.rows.len())));
        }
    }
    tenants
}

/// Without the look-up of the request where no clock of the batch is off.
#[inline]
fn effective_start(batch: &Batch, row: u32) -> Nanos {
    if batch.has_skew() { batch.effective_start(row) } else { batch.start(row) }
}

/// Ids in the order of their bytes.
#[inline]
fn word(id: SpanId) -> u64 {
    u64::from_be_bytes(*id.as_bytes())
}
