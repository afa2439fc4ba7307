//! A unit that was read, trace by trace.

use model::batch::Batch;
use model::{TimeRange, TraceId};

use super::elsewhere::Elsewhere;
use super::judge::{Piece, Place, first_of_each};
use super::program::Program;
use super::rows::Rows;
use super::traces::Traces;
use super::units::{Loaded, Unit};
use super::want::Want;
use crate::block::section::summary::Trace;
use crate::error::Error;

/// What is read of units: as little as it can be.
#[derive(Debug)]
pub(super) struct Wants {
    /// Of units all of whose spans start in the range.
    pub(super) lean: Want,
    /// Of others.
    pub(super) timed: Want,
    /// Of traces that stand in several places, and those whose parents are named.
    pub(super) joined: Want,
}

impl Wants {
    pub(super) fn new(want: impl Fn() -> Want) -> Self {
        Self { lean: want(), timed: want().timed(), joined: want().joined() }
    }
}

/// What is read of a unit, and what the filters of a query make of it.
pub(super) struct Scan<'s> {
    pub(super) unit: Unit,
    /// The row in the unit of the first row here.
    pub(super) base: u32,
    pub(super) is_head: bool,
    pub(super) traces: &'s Traces,
    pub(super) pieces: &'s [Piece<'s>; 1],
    pub(super) program: &'s Program,
}

/// How a trace of a unit can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    /// By what was read of the unit.
    Here,
    /// It may stand in other places, too.
    Elsewhere,
    /// By ids: a parent is named that was not found.
    Unplaced,
    /// It cannot match: for a group of filters it has no row.
    Unmet,
}

impl<'s> Scan<'s> {
    pub(super) fn new(
        unit: Unit,
        loaded: &Loaded<'_>,
        base: u32,
        traces: &'s Traces,
        pieces: &'s [Piece<'s>; 1],
        program: &'s Program,
    ) -> Self {
        Self { unit, base, is_head: loaded.is_head(), traces, pieces, program }
    }

    pub(super) fn piece(&self) -> &'s Piece<'s> {
        let [piece] = self.pieces;
        piece
    }

    pub(super) fn batch(&self) -> &'s Batch {
        self.piece().bound.batch
    }

    /// The traces that have rows among the candidates, by their numbers. Those of a file come newest
    /// first: it has them by their starts.
    pub(super) fn traces_of(&self, candidates: &Rows) -> impl Iterator<Item = u32> {
        let mut done = Rows::none(if self.is_head { self.traces.len() } else { 0 });
        let mut at = if self.is_head { 0 } else { candidates.len() };
        // Of a file, the traces that are left are those before.
        let mut before = self.traces.len();
        std::iter::from_fn(move || {
            loop {
                if self.is_head {
                    let row = candidates.next_from(at)?;
                    at = row + 1;
                    let trace = self.traces.of_row(row).filter(|trace| !done.contains(*trace));
                    let Some(trace) = trace else { continue };
                    done.set(trace);
                    return Some(trace);
                }
                let row = candidates.last_before(at)?;
                let mut trace = before.checked_sub(1)?;
                let mut span = self.traces.span(trace);
                while span.start > row {
                    trace = trace.checked_sub(1)?;
                    span = self.traces.span(trace);
                }
                (before, at) = (trace, span.start);
                return Some(trace);
            }
        })
    }

    /// How a trace with rows among the candidates can be judged.
    pub(super) fn stands(
        &self,
        trace: u32,
        id: TraceId,
        elsewhere: &Elsewhere<'_>,
    ) -> Result<Stands, Error> {
        Ok(if elsewhere.may_have(self.unit.part, id)? {
            Stands::Elsewhere
        } else if !self.meets_groups(trace) {
            Stands::Unmet
        } else if self.is_unplaced(trace) {
            Stands::Unplaced
        } else {
            Stands::Here
        })
    }

    /// Whether of each group of filters one may be true in the trace.
    fn meets_groups(&self, trace: u32) -> bool {
        let narrow = &self.piece().narrow;
        let has = |filter: &usize| {
            let Some(rows) = narrow.get(*filter) else { return false };
            if self.is_head {
                return self.traces.rows(trace).any(|row| rows.contains(row));
            }
            let span = self.traces.span(trace);
            rows.next_from(span.start).is_some_and(|row| row < span.end)
        };
        self.program.is_plain || self.program.groups.iter().all(|group| group.iter().any(has))
    }

    /// Whether a parent is named that was not found in the trace: it may be in a circle, which only
    /// ids tell.
    fn is_unplaced(&self, trace: u32) -> bool {
        let batch = self.batch();
        self.program.structure
            && !batch.columns().parent_id.is_empty()
            && self.traces.rows(trace).any(|row| batch.is_parent_named(row))
            && !self.is_head
    }

    /// The spans of a trace, each once.
    pub(super) fn places(&self, trace: u32) -> Vec<Place> {
        let rows = self.traces.rows(trace);
        let mut places: Vec<Place> = rows.map(|row| Place { piece: 0, row }).collect();
        if self.is_head && places.len() > 1 {
            first_of_each(&mut places, self.pieces);
        }
        places
    }

    /// What a file says of a trace, where all its spans start in a range.
    pub(super) fn summary_within(&self, trace: u32, during: &TimeRange) -> Option<&'s Trace> {
        self.traces.summary(trace).filter(|summary| is_within(during, &summary.starts))
    }
}

/// Whether a range lies wholly in another.
pub(super) fn is_within(all: &TimeRange, range: &TimeRange) -> bool {
    all.start <= range.start && range.end <= all.end
}
