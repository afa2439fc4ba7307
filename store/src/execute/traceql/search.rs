//! Spansets: units newest first, each judged as it is read, then what is shown of the newest.

mod kept;
mod newest;

use std::collections::HashSet;
use std::sync::Arc;

use model::{Clock, Nanos, TENANT_ATTRIBUTE, TraceId};
use traceql::ast::{Field, Scope};

use super::ahead::{Near, ahead};
use super::answer::{Inspected, SearchAnswer, TraceMatch};
use super::detail::Detail;
use super::elsewhere::Elsewhere;
use super::gather::{Located, Spots, TRACES_MAX, gather, locate};
use super::judge::{Origin, Piece, TraceSpans};
use super::program::Program;
use super::prune::Prune;
use super::request::SearchRequest;
use super::scan::{Scan, Stands, Wants, is_within};
use super::traces::Traces;
use super::units::{Limits, Queue, Unit, base, load, starts};
use super::want::Want;
use crate::error::Error;
use crate::execute::Parts;
pub(super) use newest::{Found, FoundSet, candidates};
use newest::{Newest, find_alone, find_joined};

/// Finds the newest traces that match.
///
/// # Errors
/// `Fatal` when a writer has panicked.
pub(crate) fn search(
    parts: &Parts<'_>,
    clock: &dyn Clock,
    request: &SearchRequest,
    on_found: &mut dyn FnMut(&[Arc<TraceMatch>], Inspected),
) -> Result<SearchAnswer, Error> {
    let mut program = Program::new(&request.query);
    if parts.view.is_federated() {
        program.show(&Field::attribute(Scope::Resource, TENANT_ATTRIBUTE));
    }
    let wants = Wants::new(|| Want::judging(&program));
    let elsewhere = Elsewhere::new(parts)?;
    let mut run = Run {
        parts,
        request,
        program: &program,
        wants: &wants,
        elsewhere: &elsewhere,
        detail: Detail::new(parts, &elsewhere, &program, request),
        joined: HashSet::new(),
        newest: Newest::new(request.limit),
        limits: Limits::new(clock, &request.budget),
        told: 0,
        huge: None,
    };
    let prune = Prune::new(&program, parts);
    let mut queue = Queue::new(parts, request.during);
    let mut traces = Vec::new();
    let near = Near { wants: [&wants.lean, &wants.timed], told: None };
    ahead(parts, request.during, &prune, near, |ahead| {
        elsewhere.expect_blocks(ahead.blocks());
        while run.told < request.limit && !run.limits.is_over() {
            let Some(unit) = queue.next(&prune, ahead) else { break };
            run.unit(unit)?;
            if let Some(bound) = queue.bound() {
                run.tell(Some(bound), &mut traces, on_found)?;
            }
        }
        run.tell(None, &mut traces, on_found)
    })?;
    run.limits.inspected.units_total = queue.total;
    let partial = run.limits.ended.take().or(run.huge);
    Ok(SearchAnswer { traces, partial, inspected: run.limits.inspected })
}

struct Run<'r> {
    parts: &'r Parts<'r>,
    request: &'r SearchRequest,
    program: &'r Program,
    wants: &'r Wants,
    elsewhere: &'r Elsewhere<'r>,
    detail: Detail<'r>,
    /// Traces in several places that were judged.
    joined: HashSet<TraceId>,
    /// Those that were found and not told yet.
    newest: Newest,
    limits: Limits<'r>,
    /// How many were told.
    told: usize,
    huge: Option<String>,
}

/// The start of a trace of which it is not known.
const ANY: Nanos = Nanos(u64::MAX);

/// What a unit has besides what was found.
#[derive(Debug, Default)]
struct Scanned {
    /// Traces that may stand in other places, too: none of them was judged.
    several: Vec<TraceId>,
    /// Traces that some filter is true in, and that do not match by what they have here.
    unmet: Vec<TraceId>,
}

impl Run<'_> {
    fn unit(&mut self, unit: Unit) -> Result<(), Error> {
        let starts = starts(self.parts, unit);
        let several = match is_within(&self.request.during, &starts) {
            true => self.known(unit)?,
            false => self.scan(unit, &self.wants.timed)?.several,
        };
        self.join(several)
    }

    /// Judges the traces of a unit that stand nowhere else.
    fn scan(&mut self, unit: Unit, want: &Want) -> Result<Scanned, Error> {
        let mut scanned = Scanned::default();
        let unplaced = self.read(unit, want, &[], &mut scanned)?;
        // Its writer goes on: gathering takes the segments of the head again.
        if !unplaced.is_empty() {
            self.read(unit, &self.wants.joined, &unplaced, &mut scanned)?;
        }
        Ok(scanned)
    }

    /// Judges traces of a unit: these, or where none are given all that can be judged by what is
    /// read; returns the others that stand nowhere else.
    fn read(
        &mut self,
        unit: Unit,
        want: &Want,
        only: &[u32],
        scanned: &mut Scanned,
    ) -> Result<Vec<u32>, Error> {
        let (parts, program, during) = (self.parts, self.program, self.request.during);
        let Some(loaded) = load(parts, unit, want)? else { return Ok(Vec::new()) };
        let batch = loaded.batch();
        match only {
            [] => self.limits.read(batch),
            _ => self.limits.read_more(batch),
        }
        let base = base(parts, unit);
        let traces = Traces::new(parts, unit, &loaded, base);
        let origin = Origin::of(parts, unit.part);
        let pieces = [Piece::new(program, (batch, origin), &traces.all())];
        let scan = Scan::new(unit, &loaded, base, &traces, &pieces, program);
        let start = |trace| traces.summary(trace).map_or(ANY, |summary| summary.starts.start);
        let judge = |newest: &mut Newest, scanned: &mut Scanned, trace, id| match find_alone(
            &scan, trace, id, during,
        ) {
            Some(found) => newest.keep(found),
            None => scanned.unmet.push(id),
        };
        for (trace, id) in only.iter().filter_map(|trace| Some((*trace, traces.id(*trace)?))) {
            judge(&mut self.newest, scanned, trace, id);
        }
        if !only.is_empty() {
            return Ok(Vec::new());
        }
        let mut unplaced = Vec::new();
        let candidates = candidates(&scan, &parts.owner(unit.part).hidden);
        self.elsewhere.expect(candidates.count());
        for trace in scan.traces_of(&candidates) {
            if self.limits.is_over_at_trace() {
                break;
            }
            let Some(id) = traces.id(trace).filter(|id| !self.joined.contains(id)) else {
                continue;
            };
            match scan.stands(trace, id, self.elsewhere)? {
                Stands::Here | Stands::Unplaced if self.newest.is_late(start(trace)) => {
                    self.newest.is_cut = true;
                }
                Stands::Here => judge(&mut self.newest, scanned, trace, id),
                Stands::Elsewhere => scanned.several.push(id),
                Stands::Unplaced => unplaced.push(trace),
                Stands::Unmet => scanned.unmet.push(id),
            }
        }
        Ok(unplaced)
    }

    /// Judges traces that stand in several places.
    fn join(&mut self, mut ids: Vec<TraceId>) -> Result<(), Error> {
        ids.retain(|id| self.joined.insert(*id));
        for ids in ids.chunks(TRACES_MAX) {
            if self.limits.is_over() {
                break;
            }
            let located = locate(self.parts, self.elsewhere, ids)?;
            self.join_located(located)?;
        }
        Ok(())
    }

    /// What is found of traces that are brought together.
    fn gather(&mut self, located: &[Located]) -> Result<Vec<Found>, Error> {
        let (during, mut all) = (self.request.during, Vec::<Found>::new());
        let judge = |id: TraceId, spans: &TraceSpans<'_>, spots: &Spots<'_>| {
            // The parts of a huge trace are one trace; the first that matches is shown.
            if all.last().is_none_or(|last| last.id != id) {
                all.extend(find_joined(id, spans, spots, during));
            }
        };
        let want = (&self.wants.joined, true);
        let limits = &mut self.limits;
        let huge = gather(self.parts, self.program, want, located, limits, judge)?;
        if let Some(id) = huge.first() {
            self.huge = Some(format!("trace {id} is huge: its parts were judged one by one"));
        }
        Ok(all)
    }

    /// Tells the traces that are newer than all that may come.
    fn tell(
        &mut self,
        bound: Option<Nanos>,
        traces: &mut Vec<Arc<TraceMatch>>,
        on_found: &mut dyn FnMut(&[Arc<TraceMatch>], Inspected),
    ) -> Result<(), Error> {
        let due = self.newest.take_after(bound);
        if due.is_empty() {
            return Ok(());
        }
        self.told += due.len();
        let shown = self.detail.show(&due, &mut self.limits)?;
        on_found(&shown, self.limits.inspected);
        traces.extend(shown);
        Ok(())
    }
}
