//! The newest traces that match, as they are found.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use model::column::count;
use model::{Nanos, TimeRange, TraceId};

use crate::execute::traceql::gather::{Fragment, Spots};
use crate::execute::traceql::judge::{Place, Set, TraceSpans, effective};
use crate::execute::traceql::rows::Rows;
use crate::execute::traceql::scan::Scan;
use crate::execute::traceql::value::Value;
use crate::shelf::Hidden;

/// A trace that matches, before it is looked at in detail.
#[derive(Clone, Debug)]
pub(in crate::execute::traceql) struct Found {
    pub(in crate::execute::traceql) id: TraceId,
    /// The first effective start.
    pub(in crate::execute::traceql) start: Nanos,
    pub(in crate::execute::traceql) fragments: Vec<Fragment>,
    pub(in crate::execute::traceql) sets: Vec<FoundSet>,
}

/// A spanset of it.
#[derive(Clone, Debug)]
pub(in crate::execute::traceql) struct FoundSet {
    /// The fragment, and the row in its unit.
    pub(in crate::execute::traceql) spans: Vec<(u32, u32)>,
    pub(in crate::execute::traceql) attributes: Vec<(String, Value)>,
}

/// Newest first, then by id.
type Key = (Reverse<Nanos>, TraceId);

/// Those that were found, as many as may be.
#[derive(Debug)]
pub(super) struct Newest {
    found: BTreeMap<Key, Found>,
    max: usize,
    /// Whether one was left out.
    pub(super) is_cut: bool,
}

impl Newest {
    pub(super) fn new(max: usize) -> Self {
        Self { found: BTreeMap::new(), max, is_cut: false }
    }

    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= self.max
    }

    /// Whether a trace that starts then, or before, would not be among them.
    pub(super) fn is_late(&self, start: Nanos) -> bool {
        let last = self.found.last_key_value();
        self.is_full() && last.is_none_or(|((last, _), _)| Reverse(start) > *last)
    }

    /// Keeps a trace while it is among them.
    pub(super) fn keep(&mut self, found: Found) {
        self.found.insert((Reverse(found.start), found.id), found);
        if self.found.len() > self.max {
            self.found.pop_last();
            self.is_cut = true;
        }
    }

    /// Takes those out that start after a moment, or all.
    pub(super) fn take_after(&mut self, bound: Option<Nanos>) -> Vec<Found> {
        let mut due = Vec::new();
        while let Some(entry) = self.found.first_entry()
            && bound.is_none_or(|bound| entry.key().0.0 > bound)
        {
            due.push(entry.remove());
        }
        self.max = self.max.saturating_sub(due.len());
        due
    }
}

/// What is found of a trace that stands in one place.
pub(super) fn find_alone(
    scan: &Scan<'_>,
    trace: u32,
    id: TraceId,
    during: TimeRange,
) -> Option<Found> {
    let summary = scan.traces.summary(trace);
    let span = scan.traces.span(trace);
    let row = |row: u32| scan.base + row;
    let fragment = Fragment { unit: scan.unit, rows: row(span.start)..row(span.end) };
    if let (true, Some(summary)) = (scan.program.is_plain, summary) {
        let rows = scan.piece().narrow.first()?;
        let batch = scan.batch();
        let starts = |row: u32| during.contains(effective(batch, row));
        let is_in_range =
            scan.summary_within(trace, &during).is_some() || rows.within(span.clone()).any(starts);
        if !is_in_range {
            return None;
        }
        let spans = rows.within(span).map(|at| (0, row(at))).collect();
        let sets = vec![FoundSet { spans, attributes: Vec::new() }];
        let start = summary.starts.start;
        return Some(Found { id, start, fragments: vec![fragment], sets });
    }
    let spans = TraceSpans::new(scan.program, scan.pieces, scan.places(trace));
    let times = summary
        .map(|summary| (summary.starts.start, scan.summary_within(trace, &during).is_some()));
    let locate = |place: Place| (0, row(place.row));
    judged(id, &spans, vec![fragment], during, times, locate)
}

/// What is found of a trace that was brought together.
pub(super) fn find_joined(
    id: TraceId,
    spans: &TraceSpans<'_>,
    spots: &Spots<'_>,
    during: TimeRange,
) -> Option<Found> {
    judged(id, spans, spots.fragments(), during, None, |place| spots.locate(place))
}

/// What a trace has that matches, if one span of it starts in the range. `times`, where they are
/// known: its first start, and whether all of its spans start in the range.
fn judged(
    id: TraceId,
    spans: &TraceSpans<'_>,
    fragments: Vec<Fragment>,
    during: TimeRange,
    times: Option<(Nanos, bool)>,
    locate: impl Fn(Place) -> (u32, u32),
) -> Option<Found> {
    let sets = spans.judge();
    let in_range = |set: &Set| set.spans.iter().any(|span| during.contains(spans.start(*span)));
    let is_inside = times.is_some_and(|(_, is_inside)| is_inside) && !sets.is_empty();
    if !is_inside && !sets.iter().any(in_range) {
        return None;
    }
    let set = |set: Set| FoundSet {
        spans: set.spans.iter().map(|span| locate(spans.place(*span))).collect(),
        attributes: set.attributes,
    };
    let start = times.map_or_else(|| spans.first_start(), |(start, _)| start);
    Some(Found { id, start, fragments, sets: sets.into_iter().map(set).collect() })
}

/// The rows that make their traces worth a look, as far as these are seen.
pub(in crate::execute::traceql) fn candidates(scan: &Scan<'_>, hidden: &Hidden) -> Rows {
    let (program, piece) = (scan.program, scan.piece());
    let len = count(piece.bound.batch.len());
    let union = |rows: Rows, more: &Rows| rows.or(more);
    let mut rows =
        piece.narrow.iter().fold(Rows::none(len), union).or(&match program.groups.is_empty() {
            true => Rows::all(len),
            false => Rows::none(len),
        });
    scan.traces.hide(hidden, &mut rows);
    rows
}
