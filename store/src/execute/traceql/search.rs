//! Spansets: units newest first, each judged as it is read, then what is shown of the newest.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use model::column::count;
use model::{Clock, Nanos, TimeRange, TraceId};

use super::answer::{Inspected, SearchAnswer, TraceMatch};
use super::detail::detail;
use super::elsewhere::Elsewhere;
use super::gather::{Fragment, Spots, TRACES_MAX, find, gather};
use super::judge::{Piece, Place, Set, TraceSpans, effective};
use super::program::Program;
use super::prune::Prune;
use super::request::SearchRequest;
use super::rows::Rows;
use super::scan::{Left, Scan, Wants, is_within};
use super::traces::Traces;
use super::units::{Limits, Queue, Unit, base, load, starts};
use super::value::Value;
use super::want::Want;
use crate::error::Error;
use crate::execute::Parts;

/// A trace that matches, before it is looked at in detail.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) id: TraceId,
    /// The first effective start.
    pub(super) start: Nanos,
    pub(super) fragments: Vec<Fragment>,
    pub(super) sets: Vec<FoundSet>,
}

/// A spanset of it.
#[derive(Clone, Debug)]
pub(super) struct FoundSet {
    /// The fragment, and the row in its unit.
    pub(super) spans: Vec<(u32, u32)>,
    pub(super) attributes: Vec<(String, Value)>,
}

/// Newest first, then by id.
type Key = (Reverse<Nanos>, TraceId);

/// Finds the newest traces that match.
///
/// # Errors
/// `Fatal` when a writer has panicked.
pub(crate) fn search(
    parts: &Parts<'_>,
    clock: &dyn Clock,
    request: &SearchRequest,
    on_found: &mut dyn FnMut(&[TraceMatch], Inspected),
) -> Result<SearchAnswer, Error> {
    let program = Program::new(&request.query);
    let wants = Wants::new(|| Want::judging(&program));
    let mut run = Run {
        parts,
        request,
        program: &program,
        wants: &wants,
        elsewhere: Elsewhere::new(parts),
        joined: HashSet::new(),
        found: BTreeMap::new(),
        limits: Limits::new(clock, &request.budget),
        told: 0,
        huge: None,
    };
    let prune = Prune::new(&program, parts);
    let mut queue = Queue::new(parts, request.during);
    let mut traces = Vec::new();
    while run.told < request.limit && !run.limits.is_over() {
        let Some(unit) = queue.next(&|reader, group| prune.may_match(reader, group)) else { break };
        run.unit(unit)?;
        if let Some(bound) = queue.bound() {
            run.tell(Some(bound), &mut traces, on_found)?;
        }
    }
    run.tell(None, &mut traces, on_found)?;
    run.limits.inspected.units_total = queue.total;
    let partial = run.limits.ended.take().or(run.huge);
    Ok(SearchAnswer { traces, partial, inspected: run.limits.inspected })
}

struct Run<'r> {
    parts: &'r Parts<'r>,
    request: &'r SearchRequest,
    program: &'r Program,
    wants: &'r Wants,
    elsewhere: Elsewhere<'r>,
    /// Traces in several places that were judged.
    joined: HashSet<TraceId>,
    /// The newest that were found and not told yet.
    found: BTreeMap<Key, Found>,
    limits: Limits<'r>,
    /// How many were told.
    told: usize,
    huge: Option<String>,
}

impl Run<'_> {
    fn unit(&mut self, unit: Unit) -> Result<(), Error> {
        let wants = self.wants;
        let is_inside = is_within(&self.request.during, &starts(self.parts, unit));
        let left = self.read(unit, if is_inside { &wants.lean } else { &wants.timed }, &[])?;
        // Its writer goes on: gathering takes the segments of the head again.
        if !left.unplaced.is_empty() {
            self.read(unit, &wants.joined, &left.unplaced)?;
        }
        self.join(left.several)
    }

    /// Judges traces of a unit: these, or where none are given all that stand nowhere else and can
    /// be judged by what is read; the others that may match are returned.
    fn read(&mut self, unit: Unit, want: &Want, only: &[u32]) -> Result<Left, Error> {
        let (parts, program) = (self.parts, self.program);
        let Some(loaded) = load(parts, unit, want)? else { return Ok(Left::default()) };
        let batch = loaded.batch();
        match only {
            [] => self.limits.read(batch),
            _ => self.limits.read_more(batch),
        }
        let base = base(parts, unit);
        let traces = Traces::new(parts, &loaded, base);
        let pieces = [Piece::new(program, batch, &traces.all())];
        let scan = Scan::new(unit, &loaded, base, &traces, &pieces, program);
        let mut finder = Finder { request: self.request, found: &mut self.found, told: self.told };
        if !only.is_empty() {
            let ids = only.iter().filter_map(|trace| Some((*trace, traces.id(*trace)?)));
            ids.for_each(|(trace, id)| finder.trace(&scan, trace, id));
            return Ok(Left::default());
        }
        let candidates = candidates(program, scan.piece());
        let joined = &self.joined;
        scan.candidates(
            &candidates,
            &self.elsewhere,
            &mut self.limits,
            |id| joined.contains(&id),
            |trace, id| finder.trace(&scan, trace, id),
        )
    }

    /// Judges traces that stand in several places.
    fn join(&mut self, mut ids: Vec<TraceId>) -> Result<(), Error> {
        ids.retain(|id| self.joined.insert(*id));
        for ids in ids.chunks(TRACES_MAX) {
            if self.limits.is_over() {
                break;
            }
            let mut finder =
                Finder { request: self.request, found: &mut self.found, told: self.told };
            let during = self.request.during;
            let mut last = None;
            let judge = |id: TraceId, spans: &TraceSpans<'_>, spots: &Spots<'_>| {
                // The parts of a huge trace are one trace; the first that matches is shown.
                if last == Some(id) {
                    return;
                }
                let locate = |place: Place| spots.locate(place);
                if let Some(found) = judged(id, spans, spots.fragments(), during, None, locate) {
                    last = Some(id);
                    finder.keep(found);
                }
            };
            let want = (&self.wants.joined, true);
            let found = find(self.parts, &self.elsewhere, ids)?;
            let limits = &mut self.limits;
            let huge = gather(self.parts, self.program, want, &found, limits, judge)?;
            if let Some(id) = huge.first() {
                self.huge = Some(format!("trace {id} is huge: its parts were judged one by one"));
            }
        }
        Ok(())
    }

    /// Tells the traces that are newer than all that may come.
    fn tell(
        &mut self,
        bound: Option<Nanos>,
        traces: &mut Vec<TraceMatch>,
        on_found: &mut dyn FnMut(&[TraceMatch], Inspected),
    ) -> Result<(), Error> {
        let mut due = Vec::new();
        while let Some(entry) = self.found.first_entry()
            && self.told + due.len() < self.request.limit
            && bound.is_none_or(|bound| entry.key().0.0 > bound)
        {
            due.push(entry.remove());
        }
        if due.is_empty() {
            return Ok(());
        }
        self.told += due.len();
        let spans_max = self.request.spans_per_set;
        let limits = &mut self.limits;
        let shown = detail(self.parts, &self.elsewhere, self.program, &due, spans_max, limits)?;
        on_found(&shown, self.limits.inspected);
        traces.extend(shown);
        Ok(())
    }
}

/// Keeps what is found.
struct Finder<'f> {
    request: &'f SearchRequest,
    found: &'f mut BTreeMap<Key, Found>,
    told: usize,
}

impl Finder<'_> {
    /// Judges a trace that stands in one place.
    fn trace(&mut self, scan: &Scan<'_>, trace: u32, id: TraceId) {
        let summary = scan.traces.summary(trace);
        if summary.is_some_and(|summary| self.is_late(summary.starts.start)) {
            return;
        }
        let during = self.request.during;
        let span = scan.traces.span(trace);
        let row = |row: u32| scan.base + row;
        let fragment = Fragment { unit: scan.unit, rows: row(span.start)..row(span.end) };
        if let (true, Some(summary)) = (scan.program.is_plain, summary) {
            let Some(rows) = scan.piece().narrow.first() else { return };
            let batch = scan.batch();
            let starts = |row: u32| during.contains(effective(batch, row));
            let is_in_range = scan.summary_within(trace, &during).is_some()
                || rows.within(span.clone()).any(starts);
            if !is_in_range {
                return;
            }
            let spans = rows.within(span).map(|at| (0, row(at))).collect();
            let sets = vec![FoundSet { spans, attributes: Vec::new() }];
            let start = summary.starts.start;
            return self.keep(Found { id, start, fragments: vec![fragment], sets });
        }
        let spans = TraceSpans::new(scan.program, scan.pieces, scan.places(trace));
        let times = summary
            .map(|summary| (summary.starts.start, scan.summary_within(trace, &during).is_some()));
        let locate = |place: Place| (0, row(place.row));
        if let Some(found) = judged(id, &spans, vec![fragment], during, times, locate) {
            self.keep(found);
        }
    }

    /// Whether a trace would not be among the newest.
    fn is_late(&self, start: Nanos) -> bool {
        let is_full = self.told + self.found.len() >= self.request.limit;
        let last = self.found.last_key_value();
        is_full && last.is_some_and(|((last, _), _)| Reverse(start) > *last)
    }

    /// Keeps a trace while it is among the newest.
    fn keep(&mut self, found: Found) {
        let key = (Reverse(found.start), found.id);
        self.found.insert(key, found);
        if self.told + self.found.len() > self.request.limit {
            self.found.pop_last();
        }
    }
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

/// The rows that make their traces worth a look.
pub(super) fn candidates(program: &Program, piece: &Piece<'_>) -> Rows {
    let len = count(piece.bound.batch.len());
    let union = |rows: Rows, more: &Rows| rows.or(more);
    piece.narrow.iter().fold(Rows::none(len), union).or(&match program.groups.is_empty() {
        true => Rows::all(len),
        false => Rows::none(len),
    })
}
