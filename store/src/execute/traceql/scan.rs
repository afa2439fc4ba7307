//! A unit that was read, trace by trace.

use model::batch::Batch;
use model::{TimeRange, TraceId};

use super::elsewhere::Elsewhere;
use super::judge::{Piece, Place, first_of_each};
use super::program::Program;
use super::rows::Rows;
use super::traces::Traces;
use super::units::{Limits, Loaded, Unit};
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

/// Traces of a unit that are judged later.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Those that may stand in several places.
    pub(super) several: Vec<TraceId>,
    /// Those whose parents are told by ids, by their numbers.
    pub(super) unplaced: Vec<u32>,
}

/// Between two looks at the budget, so many traces are judged.
const TRACES_STEP: usize = 256;

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

    /// Calls `judge` with traces that have rows among the candidates, stand here alone and can be
    /// judged by what was read; returns the others. Those of a file come newest first: it has them
    /// by their starts. `is_known` tells which need no look.
    pub(super) fn candidates(
        &self,
        candidates: &Rows,
        elsewhere: &Elsewhere<'_>,
        limits: &mut Limits<'_>,
        is_known: impl Fn(TraceId) -> bool,
        mut judge: impl FnMut(u32, TraceId),
    ) -> Result<Left, Error> {
        let mut left = Left::default();
        let is_alone = elsewhere.is_nowhere(self.unit.part);
        let mut done = Rows::none(if self.is_head { self.traces.len() } else { 0 });
        let (mut step, mut at) = (0usize, if self.is_head { 0 } else { candidates.len() });
        let next =
            |at| if self.is_head { candidates.next_from(at) } else { candidates.last_before(at) };
        while let Some(row) = next(at) {
            at = if self.is_head { row + 1 } else { row };
            let Some(trace) = self.traces.of_row(row).filter(|trace| !done.contains(*trace)) else {
                continue;
            };
            if !self.is_head {
                at = self.traces.span(trace).start.min(row);
            }
            done.set(trace);
            step += 1;
            if step.is_multiple_of(TRACES_STEP) && limits.is_over() {
                break;
            }
            limits.inspected.traces += 1;
            let Some(id) = self.traces.id(trace) else { continue };
            if is_known(id) {
                continue;
            }
            if !is_alone && elsewhere.may_have(self.unit.part, id)? {
                left.several.push(id);
            } else if self.meets_groups(trace) {
                if self.is_unplaced(trace) {
                    left.unplaced.push(trace);
                } else {
                    judge(trace, id);
                }
            }
        }
        Ok(left)
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
