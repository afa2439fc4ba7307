//! The table of traces that a tail sampler decides by.

use std::collections::HashMap;

use model::TraceId;
use traceweir_plugin::codes::{NONE, batch as kind, domain, layout};

use super::Batch;
use super::budgets::Unlimited;
use super::sections::Sections;
use super::shape::{Shape, span};
use super::texts::{Texts, at32};
use crate::draft::{Draft, Word};
use crate::projection::{Level, Owner};

/// Who knows which traces were decided before.
pub trait Late {
    /// Whether a trace was.
    fn is_late(&self, trace: TraceId) -> bool;
}

impl Late for Unlimited {
    fn is_late(&self, _: TraceId) -> bool {
        false
    }
}

/// How many sections the table has.
pub(super) const SECTIONS: usize = 10;

/// Spans whose status is error.
const ERROR: u64 = 2;
/// Every parent is there.
const COMPLETE: u8 = 1;
/// It was decided before.
const LATE: u8 = 2;

/// Puts rows together by trace, in the order of the first row of each, and tells where the rows of each end.
pub(super) fn group(draft: &Draft, rows: &[u32], grouped: &mut Vec<u32>, ends: &mut Vec<u32>) {
    let mut traces: HashMap<TraceId, u32> = HashMap::new();
    let mut trace_of = Vec::with_capacity(rows.len());
    for row in rows {
        let new = at32(traces.len());
        let trace = *traces.entry(draft.trace_id(*row)).or_insert(new);
        trace_of.push((trace, *row));
    }
    // Stable: rows of a trace stay in their order.
    trace_of.sort_by_key(|(trace, _)| *trace);
    for (trace, row) in trace_of {
        if trace as usize == ends.len() {
            ends.push(at32(grouped.len()));
        }
        grouped.push(row);
        if let Some(end) = ends.last_mut() {
            *end += 1;
        }
    }
}

/// What is known of a trace.
#[derive(Default)]
struct Trace {
    start: u64,
    end: u64,
    errors: u32,
    services: u32,
    bits: u8,
    /// Whether the row that it goes by is a root.
    has_root: bool,
}

impl Shape {
    /// The row that each trace goes by: its first root by time, or its first row.
    pub(super) fn find_roots(&mut self, draft: &Draft) {
        self.roots.clear();
        for trace in 0..self.traces.len() {
            let rows = self.rows_of(trace);
            let first = at32(rows.start);
            let is_root = |row: &usize| is_root(draft, self.place(Owner::Span, *row));
            let start =
                |row: &usize| draft.memory.number(span(draft, self.place(Owner::Span, *row)).start);
            let root = rows.filter(is_root).min_by_key(start);
            self.roots.push(root.map_or(first, at32));
        }
    }
}

fn is_root(draft: &Draft, place: u32) -> bool {
    draft.memory.array::<8>(span(draft, place).parent_id) == [0; 8]
}

impl Batch {
    pub(super) fn put_traces(&mut self, out: &mut Sections<'_>, draft: &Draft, late: &dyn Late) {
        let (services, names) = self.services(draft);
        let traces: Vec<Trace> = (0..self.shape.traces.len())
            .map(|trace| self.trace(draft, trace, &services, late))
            .collect();
        let shape = &self.shape;
        let mut section = |kind, layout, write: &dyn Fn(usize, &Trace, &mut Vec<u8>)| {
            out.section((kind, layout, domain::TRACES, 0), |out| {
                traces.iter().enumerate().for_each(|(number, trace)| write(number, trace, out));
            });
        };
        let summary = shape.level == Some(Level::Summary);
        section(kind::TRACE_END_ROW, layout::U32, &|number, _, out| {
            let end = if summary { 0 } else { at32(shape.rows_of(number).end) };
            out.extend_from_slice(&end.to_le_bytes());
        });
        section(kind::TRACE, layout::ID16, &|number, _, out| {
            out.extend_from_slice(shape.trace_id(draft, number).as_bytes());
        });
        section(kind::TRACE_START, layout::U64, &|_, trace, out| {
            out.extend_from_slice(&trace.start.to_le_bytes());
        });
        section(kind::TRACE_DURATION, layout::U64, &|_, trace, out| {
            out.extend_from_slice(&trace.end.saturating_sub(trace.start).to_le_bytes());
        });
        section(kind::TRACE_SPANS, layout::U32, &|number, _, out| {
            out.extend_from_slice(&at32(shape.rows_of(number).len()).to_le_bytes());
        });
        section(kind::TRACE_ERRORS, layout::U32, &|_, trace, out| {
            out.extend_from_slice(&trace.errors.to_le_bytes());
        });
        section(kind::TRACE_SERVICES, layout::U32, &|_, trace, out| {
            out.extend_from_slice(&trace.services.to_le_bytes());
        });
        self.put_roots(out, draft, &traces, (&services, &names));
        let bits = |out: &mut Vec<u8>| out.extend(traces.iter().map(|trace| trace.bits));
        out.section((kind::TRACE_STATE_BITS, layout::U8, domain::TRACES, 0), bits);
    }

    /// The number of the service of each resource, and their names.
    fn services(&self, draft: &Draft) -> (Vec<u32>, Texts) {
        let mut names = Texts::default();
        names.begin(false, self.seed);
        let service = |entry| {
            let place = self.shape.place(Owner::Resource, entry);
            let name = draft.text(Owner::Resource, place, b"service.name");
            name.map_or(NONE, |name| names.intern(name))
        };
        let services = (0..self.shape.count(Owner::Resource)).map(service).collect();
        (services, names)
    }

    fn trace(&self, draft: &Draft, number: usize, services: &[u32], late: &dyn Late) -> Trace {
        let (shape, memory) = (&self.shape, &draft.memory);
        let mut trace = Trace { start: u64::MAX, ..Trace::default() };
        let (mut ids, mut parents) = (Vec::new(), Vec::new());
        let mut of: Vec<u32> = Vec::new();
        for row in shape.rows_of(number) {
            let place = shape.place(Owner::Span, row);
            let span = span(draft, place);
            trace.start = trace.start.min(memory.number(span.start));
            trace.end = trace.end.max(memory.number(span.end_time));
            let code = memory.number(draft.word(place, Word::StatusCode));
            trace.errors += u32::from(code == ERROR);
            ids.push(memory.array::<8>(span.span_id));
            parents.push(memory.array::<8>(span.parent_id));
            let resource = shape.resource_of.get(row).map_or(0, |resource| *resource as usize);
            of.extend(services.get(resource).filter(|service| **service != NONE));
        }
        of.sort_unstable();
        of.dedup();
        trace.services = at32(of.len());
        ids.sort_unstable();
        parents.retain(|parent| *parent != [0; 8]);
        trace.has_root = parents.len() < ids.len();
        let complete = parents.iter().all(|parent| ids.binary_search(parent).is_ok());
        let late = late.is_late(shape.trace_id(draft, number));
        trace.bits = if complete { COMPLETE } else { 0 };
        trace.bits |= if late { LATE } else { 0 };
        trace
    }

    fn put_roots(
        &mut self,
        out: &mut Sections<'_>,
        draft: &Draft,
        traces: &[Trace],
        (services, names): (&[u32], &Texts),
    ) {
        let Self { shape, texts, seed, .. } = self;
        let rooted =
            || traces.iter().zip(&shape.roots).enumerate().filter(|(_, (of, _))| of.has_root);
        texts.begin(false, *seed);
        for (number, (_, root)) in rooted() {
            let place = shape.place(Owner::Span, *root as usize);
            texts.put(number, draft.memory.text(draft.word(place, Word::Name)));
        }
        texts.end_texts(traces.len());
        out.texts((kind::TRACE_ROOT_NAME, domain::TRACES, 0), texts);
        texts.begin(false, *seed);
        for (number, (_, root)) in rooted() {
            let resource = shape.resource_of.get(*root as usize).map_or(0, |of| *of as usize);
            match services.get(resource) {
                Some(service) if *service != NONE => texts.put(number, names.value(*service)),
                _ => {}
            }
        }
        texts.end_texts(traces.len());
        out.texts((kind::TRACE_ROOT_SERVICE, domain::TRACES, 0), texts);
    }
}

impl Shape {
    /// The id of a trace.
    pub(crate) fn trace_id(&self, draft: &Draft, trace: usize) -> TraceId {
        draft.trace_id(self.place(Owner::Span, self.rows_of(trace).start))
    }
}
