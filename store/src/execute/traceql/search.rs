//! Spansets: units newest first, each judged as it is read, then what is shown of the newest.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use model::column::count;
use model::{Clock, Nanos, TimeRange, TraceId};

use super::answer::{Inspected, SearchAnswer, TraceMatch};
use super::detail::detail;
use super::gather::{Fragment, gather, with_spans};
use super::judge::{Piece, Place, Set, TraceSpans, first_of_each};
use super::program::Program;
use super::prune::Prune;
use super::request::SearchRequest;
use super::rows::Rows;
use super::units::{Elsewhere, Limits, Loaded, Queue, Traces, Unit, load};
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
    let want = Want::judging(&program);
    let mut run = Run {
        parts,
        request,
        program: &program,
        want_joined: Want::judging(&program).identified(),
        want,
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
    want: Want,
    want_joined: Want,
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

/// Between two looks at the budget, so many traces are judged.
const TRACES_STEP: usize = 256;

impl Run<'_> {
    fn unit(&mut self, unit: Unit) -> Result<(), Error> {
        let Some(loaded) = load(self.parts, unit, &self.want)? else { return Ok(()) };
        let several = self.unit_traces(unit, &loaded)?;
        // Its writer may go on: gathering takes the segments of the head again.
        drop(loaded);
        for (step, id) in several.into_iter().enumerate() {
            if step % TRACES_STEP == 0 && self.limits.is_over() {
                break;
            }
            self.join(id)?;
        }
        Ok(())
    }

    /// Judges the traces of a unit that stand nowhere else, and returns the others that may match.
    fn unit_traces(&mut self, unit: Unit, loaded: &Loaded<'_>) -> Result<Vec<TraceId>, Error> {
        let batch = loaded.batch();
        self.limits.read(batch);
        let traces = Traces::new(self.parts, loaded);
        let pieces = [Piece::new(self.program, batch, &traces.all())];
        let [piece] = &pieces;
        let mut several = Vec::new();
        let mut done = Rows::none(traces.len());
        for (step, row) in candidates(self.program, piece).iter().enumerate() {
            if step % TRACES_STEP == 0 && self.limits.is_over() {
                break;
            }
            let Some(trace) = traces.of_row(row).filter(|trace| !done.contains(*trace)) else {
                continue;
            };
            done.set(trace);
            self.limits.inspected.traces += 1;
            let id = batch.trace_id(row);
            if self.joined.contains(&id) {
                continue;
            }
            if self.elsewhere.may_have(unit.part, id)? {
                several.push(id);
                continue;
            }
            let has = |filter: &usize| {
                let rows = piece.narrow.get(*filter);
                rows.is_some_and(|rows| traces.rows(trace).any(|row| rows.contains(row)))
            };
            if !self.program.groups.iter().all(|group| group.iter().any(has)) {
                continue;
            }
            let mut places: Vec<Place> =
                traces.rows(trace).map(|row| Place { piece: 0, row }).collect();
            if matches!(loaded, Loaded::Head(..)) {
                first_of_each(&mut places, &pieces);
            }
            let (first, end) = match (places.first(), places.last()) {
                (Some(first), Some(last)) => (first.row, last.row + 1),
                _ => continue,
            };
            // What is read of a file begins with the first row of the tenant.
            let base = match loaded {
                Loaded::Head(..) => 0,
                Loaded::File(_) => self.base(unit),
            };
            let fragment = Fragment { unit, rows: base + first..base + end };
            let spans = TraceSpans::new(self.program, &pieces, places);
            self.judge(id, &spans, vec![fragment], |place| (0, base + place.row));
        }
        Ok(several)
    }

    /// The first row that is read of a unit.
    fn base(&self, unit: Unit) -> u32 {
        let Some(part) = self.parts.view.parts.get(unit.part) else { return 0 };
        let reader = self.parts.reader(part).zip(unit.group);
        reader.map_or(0, |(reader, group)| self.parts.rows(part, &reader, group).start)
    }

    /// Judges a trace that stands in several places.
    fn join(&mut self, id: TraceId) -> Result<(), Error> {
        if !self.joined.insert(id) {
            return Ok(());
        }
        let read = gather(self.parts, id, &self.want_joined)?;
        let mut met = Vec::new();
        let is_huge = with_spans(self.program, &read, true, |spans, fragments| {
            let all: Vec<Fragment> = fragments.iter().map(|at| read[*at].0.clone()).collect();
            let first = fragments.first().copied().unwrap_or(0);
            let locate = |place: Place| {
                let (fragment, read) = &read[place.piece as usize];
                (place.piece - count(first), read.row_in_unit(fragment, place.row))
            };
            met.extend(judged(id, spans, all, self.request.during, locate));
        });
        met.into_iter().for_each(|found| self.keep(found));
        if is_huge {
            self.huge = Some(format!("trace {id} is huge: its parts were judged one by one"));
        }
        Ok(())
    }

    fn judge(
        &mut self,
        id: TraceId,
        spans: &TraceSpans<'_>,
        fragments: Vec<Fragment>,
        locate: impl Fn(Place) -> (u32, u32),
    ) {
        if let Some(found) = judged(id, spans, fragments, self.request.during, locate) {
            self.keep(found);
        }
    }

    /// Keeps a trace while it is among the newest.
    fn keep(&mut self, found: Found) {
        let key = (Reverse(found.start), found.id);
        // The parts of a huge trace are one trace; what the first of them has is shown.
        self.found.entry(key).or_insert(found);
        if self.told + self.found.len() > self.request.limit {
            self.found.pop_last();
        }
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
        let shown = detail(self.parts, self.program, &due, self.request.spans_per_set)?;
        on_found(&shown, self.limits.inspected);
        traces.extend(shown);
        Ok(())
    }
}

/// What a trace has that matches, if one span of it starts in the range.
fn judged(
    id: TraceId,
    spans: &TraceSpans<'_>,
    fragments: Vec<Fragment>,
    during: TimeRange,
    locate: impl Fn(Place) -> (u32, u32),
) -> Option<Found> {
    let sets = spans.judge();
    let in_range = |set: &Set| set.spans.iter().any(|span| during.contains(spans.start(*span)));
    if !sets.iter().any(in_range) {
        return None;
    }
    let set = |set: Set| FoundSet {
        spans: set.spans.iter().map(|span| locate(spans.place(*span))).collect(),
        attributes: set.attributes,
    };
    let start = spans.first_start();
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
