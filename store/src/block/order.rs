//! In which order rows stand in a block: traces by effective start, spans of a trace in pre-order.
//!
//! So a subtree is a range of rows, only the distance to the parent's row is stored, and time is
//! nearly sorted. Duplicates are found here: a span's identity is (trace id, span id, kind); equal
//! ones are one, of different ones the first stays. A huge trace is cut into parts.

use model::batch::Batch;
use model::column::count;
use model::{Nanos, SpanId, TenantId, TimeRange, TraceId};

/// The most rows of a part of a trace: no buffer, row group or rewrite is ever larger for one.
pub const PART_ROWS: usize = 50_000;

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
    /// Whether a parent that is named, or the root, is missing: the trace may go on elsewhere.
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

/// No row.
const NONE: u32 = u32::MAX;
/// The OTLP kind of servers: of spans that share an id, theirs is the parent.
const SERVER: i32 = 2;

/// Orders traces; its buffers are used again.
#[derive(Debug, Default)]
pub struct Orderer {
    spans: Vec<Span>,
    /// (span id, kind or what stands for it, place among `spans`), sorted.
    by_id: Vec<(u64, u32, u32)>,
    parents: Vec<u32>,
    /// The first child of each, and the next sibling: children by start.
    child: Vec<u32>,
    sibling: Vec<u32>,
    order: Vec<u32>,
    stack: Vec<u32>,
    row_of: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    start: u64,
    id: u64,
    kind: i32,
    place: Place,
}

impl Orderer {
    /// Appends a trace. `places` are its rows in the order of their arrival: of several spans of
    /// one identity the first stays.
    pub fn trace(&mut self, sources: &[&Batch], places: &[Place], out: &mut Ordered) {
        self.load(sources, places);
        self.drop_repeated(sources, out);
        // By start, so that children and roots come in that order by themselves.
        self.spans.sort_unstable_by_key(|span| (span.start, span.id, span.kind, span.place));
        let spans = std::mem::take(&mut self.spans);
        let oversized = spans.len() > PART_ROWS;
        for (number, part) in spans.chunks(PART_ROWS).enumerate() {
            self.part(sources, part, out);
            if let Some(trace) = out.traces.last_mut() {
                (trace.part, trace.oversized) = (count(number), oversized);
                trace.is_open |= oversized;
            }
        }
        self.spans = spans;
    }

    fn load(&mut self, sources: &[&Batch], places: &[Place]) {
        self.spans.clear();
        self.spans.extend(places.iter().map(|place| {
            let batch = sources[place.source as usize];
            Span {
                start: batch.effective_start(place.row).0,
                id: word(batch.span_id(place.row)),
                kind: batch.kind(place.row),
                place: *place,
            }
        }));
    }

    /// Keeps the first of each identity.
    fn drop_repeated(&mut self, sources: &[&Batch], out: &mut Ordered) {
        self.by_id.clear();
        let ids = self.spans.iter().enumerate();
        self.by_id.extend(ids.map(|(at, span)| (span.id, span.kind.cast_unsigned(), count(at))));
        self.by_id.sort_unstable();
        // Most traces repeat no id at all.
        if !self.by_id.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return;
        }
        let mut repeated = vec![false; self.spans.len()];
        for same in self.by_id.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let Some(((_, _, first), later)) = same.split_first() else { continue };
            for (_, _, later) in later {
                repeated[*later as usize] = true;
                let of = |at: u32| {
                    let Place { source, row } = self.spans[at as usize].place;
                    (sources[source as usize], row)
                };
                if same_content(of(*first), of(*later)) {
                    out.duplicates += 1;
                } else {
                    out.conflicts += 1;
                }
            }
        }
        let mut at = 0;
        self.spans.retain(|_| {
            at += 1;
            !repeated[at - 1]
        });
    }

    /// Appends a trace, or a part of one; its spans are sorted by start.
    fn part(&mut self, sources: &[&Batch], spans: &[Span], out: &mut Ordered) {
        let Some(first) = spans.first() else { return };
        let batch = |span: &Span| sources[span.place.source as usize];
        self.find_parents(spans, |span| batch(span).parent_id(span.place.row).map(word));
        self.walk(spans.len());
        let base = count(out.rows.len());
        let mut part = TracePart {
            id: batch(first).trace_id(first.place.row),
            first_row: base,
            rows: count(spans.len()),
            part: 0,
            oversized: false,
            is_open: false,
            root: None,
            starts: TimeRange {
                start: Nanos(first.start),
                end: Nanos(spans.last().map_or(first.start, |last| last.start)),
            },
            start: Nanos(u64::MAX),
            end: Nanos(0),
            errors: 0,
        };
        self.row_of.clear();
        self.row_of.resize(spans.len(), 0);
        let mut root_at = NONE;
        for (row, at) in self.order.iter().enumerate() {
            let span = &spans[*at as usize];
            let (batch, place) = (batch(span), span.place);
            self.row_of[*at as usize] = count(row);
            let parent = self.parents[*at as usize];
            let distance = match parent {
                NONE => 0,
                parent => count(row) - self.row_of[parent as usize],
            };
            match (batch.parent_id(place.row), parent) {
                (None, _) if *at < root_at => {
                    root_at = *at;
                    part.root = Some(base + count(row));
                }
                (Some(_), NONE) => part.is_open = true,
                _ => {}
            }
            out.rows.push(place);
            out.parent_distance.push(distance);
            part.start = part.start.min(batch.start(place.row));
            part.end = part.end.max(batch.end(place.row));
            part.errors += u32::from(batch.status(place.row) == 2);
        }
        part.is_open |= part.root.is_none();
        out.traces.push(part);
    }

    /// Finds the parent of each span among the others.
    fn find_parents(&mut self, spans: &[Span], parent_of: impl Fn(&Span) -> Option<u64>) {
        self.by_id.clear();
        self.by_id.extend(spans.iter().enumerate().map(|(at, span)| {
            // Servers first: they are the parents among spans that share an id.
            (span.id, u32::from(span.kind != SERVER), count(at))
        }));
        self.by_id.sort_unstable();
        self.parents.clear();
        for (at, span) in spans.iter().enumerate() {
            let parent = parent_of(span).and_then(|id| {
                let from = self.by_id.partition_point(|(other, ..)| *other < id);
                let same = self.by_id[from..].iter().take_while(|(other, ..)| *other == id);
                // A span that names itself, or a twin of its own id, as its parent has none.
                let mut others = same.map(|(_, _, parent)| *parent);
                if id == span.id {
                    return None;
                }
                others.find(|parent| *parent as usize != at)
            });
            self.parents.push(parent.unwrap_or(NONE));
        }
    }

    /// Puts the spans in pre-order; cuts circles where they begin.
    fn walk(&mut self, len: usize) {
        self.child.clear();
        self.child.resize(len, NONE);
        self.sibling.clear();
        self.sibling.resize(len, NONE);
        // From the last one, so that lists of children begin with the earliest.
        for at in (0..len).rev() {
            let parent = self.parents[at];
            if parent != NONE {
                self.sibling[at] = self.child[parent as usize];
                self.child[parent as usize] = count(at);
            }
        }
        self.order.clear();
        self.row_of.clear();
        self.row_of.resize(len, NONE);
        for at in 0..len {
            if self.parents[at] == NONE {
                self.descend(count(at));
            }
        }
        // What is left is in circles, or hangs below one.
        for at in 0..len {
            if self.order.len() == len {
                break;
            }
            if self.row_of[at] == NONE {
                self.unlink(count(at));
                self.descend(count(at));
            }
        }
    }

    /// Makes a span an orphan.
    fn unlink(&mut self, at: u32) {
        let parent = std::mem::replace(&mut self.parents[at as usize], NONE);
        let next = std::mem::replace(&mut self.sibling[at as usize], NONE);
        if parent == NONE {
            return;
        }
        if self.child[parent as usize] == at {
            self.child[parent as usize] = next;
            return;
        }
        let mut before = self.child[parent as usize];
        while before != NONE {
            if self.sibling[before as usize] == at {
                self.sibling[before as usize] = next;
                return;
            }
            before = self.sibling[before as usize];
        }
    }

    fn descend(&mut self, root: u32) {
        self.stack.clear();
        self.stack.push(root);
        while let Some(at) = self.stack.pop() {
            self.row_of[at as usize] = 0;
            self.order.push(at);
            if at != root && self.sibling[at as usize] != NONE {
                self.stack.push(self.sibling[at as usize]);
            }
            if self.child[at as usize] != NONE {
                self.stack.push(self.child[at as usize]);
            }
        }
    }
}

/// Orders all traces of a tenant in a batch, as far as its rows are visible.
pub fn batch(
    orderer: &mut Orderer,
    batch: &Batch,
    tenant: &TenantId,
    visible: u32,
    out: &mut Ordered,
) {
    let Some(number) = batch.tenant(tenant) else { return };
    let mut traces: Vec<_> = batch
        .traces()
        .iter()
        .filter(|trace| trace.tenant == number && trace.first_row < visible)
        .collect();
    traces.sort_unstable_by_key(|trace| (trace.starts.start, trace.id));
    let mut places = Vec::new();
    for trace in traces {
        places.clear();
        let rows = batch.entry_rows(trace).filter(|row| *row < visible);
        places.extend(rows.map(|row| Place { source: 0, row }));
        places.reverse();
        orderer.trace(&[batch], &places, out);
    }
}

/// Whether two rows are the same span with the same content, resource and scope included.
#[must_use]
pub fn same_content(a: (&Batch, u32), b: (&Batch, u32)) -> bool {
    let around = |(batch, row): (&Batch, u32)| {
        let columns = batch.columns();
        let (resource, scope) = (columns.resource[row as usize], columns.scope[row as usize]);
        (columns.resources.get(resource).to_vec(), columns.scopes.get(scope).to_vec())
    };
    let span = |(batch, row): (&Batch, u32)| {
        let mut bytes = Vec::new();
        batch.put_span(&mut bytes, row);
        bytes
    };
    around(a) == around(b) && span(a) == span(b)
}

/// Ids in the order of their bytes.
fn word(id: SpanId) -> u64 {
    u64::from_be_bytes(*id.as_bytes())
}
