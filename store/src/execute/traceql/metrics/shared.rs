//! What is counted of files is the same every time: it is counted apart, and kept for whoever asks
//! the same again ([`crate::execute::answers`]).
//!
//! Units are kept one by one, without the traces that may stand elsewhere, too; those are kept
//! together, as long as all of them is in files. Only what lies wholly in the range of a query is
//! kept: the edges of a range that moves along are counted anew.

use std::sync::Arc;

use model::{TimeRange, TraceId};
use xxhash_rust::xxh3::xxh3_128;

use super::cells::{Cells, Counted};
use super::count::Count;
use super::grid::Grid;
use crate::error::Error;
use crate::execute::traceql::gather::{Located, Spots, TRACES_MAX, gather, locate};
use crate::execute::traceql::judge::TraceSpans;
use crate::execute::traceql::units::{Limits, Unit, starts};

/// The most examples that are taken of what is counted apart.
const EXAMPLES_APART: usize = 10;

impl Count<'_> {
    /// Counts the spans of a unit, and those of its traces that stand elsewhere, too.
    pub(super) fn unit(&mut self, unit: Unit, limits: &mut Limits<'_>) -> Result<(), Error> {
        let starts = starts(self.parts, unit);
        let part = self.grid.part(&starts).filter(|_| self.compare.is_none());
        let shared = part.zip(self.key_of(unit)?);
        let Some((part, mut key)) = shared else {
            let left = self.evaluate(unit, &starts, limits)?.unwrap_or_default();
            return self.join(left, limits);
        };
        let mut is_known = true;
        let counted = self.kept(&mut key, part, limits, |own, limits| {
            is_known = false;
            let before = limits.inspected;
            let Some((mut counted, several)) =
                own.apart(part, |own| own.evaluate(unit, &starts, limits))?
            else {
                return Ok(None);
            };
            counted.several = several;
            counted.traces = limits.inspected.traces - before.traces;
            counted.spans = limits.inspected.spans - before.spans;
            Ok(Some(counted))
        })?;
        let Some(several) = counted.map(|counted| {
            if is_known {
                limits.inspected.units += 1;
                limits.inspected.traces += counted.traces;
                limits.inspected.spans += counted.spans;
            }
            counted.several.clone()
        }) else {
            return Ok(());
        };
        self.join(several, limits)
    }

    /// Adds what is kept under a key, or what `count` counts apart: that is kept unless it is not
    /// the whole. `part` are the intervals that it is all in.
    fn kept(
        &mut self,
        key: &mut Vec<u8>,
        part: Grid,
        limits: &mut Limits<'_>,
        count: impl FnOnce(&mut Self, &mut Limits<'_>) -> Result<Option<Counted>, Error>,
    ) -> Result<Option<Arc<Counted>>, Error> {
        // Of what is all in one interval it does not matter which one.
        let is_one = part.intervals == 1;
        if !is_one {
            key.extend_from_slice(format!("{:?}", part.phase()).as_bytes());
        }
        let answers = self.parts.answers;
        let huge = self.huge.take();
        let patience = limits.patience;
        let counted = answers.get_or(
            xxh3_128(key),
            || patience.is_over(),
            |_| true,
            || {
                if limits.is_over() {
                    return Ok(None);
                }
                let problems = self.parts.problems();
                let counted = count(self, limits)?;
                // Of what was cut short, or could not be read, what there is counts this time.
                let is_read = self.parts.problems() == problems;
                let is_whole = limits.ended.is_none() && self.huge.is_none() && is_read;
                Ok(counted.map(|counted| (counted, is_whole)))
            },
        )?;
        self.huge = huge.or_else(|| self.huge.take());
        if let Some(counted) = &counted {
            let only = is_one.then(|| part.end(0));
            self.cells.merge(counted, &self.grid, only);
        }
        Ok(counted)
    }

    /// What an answer about a unit depends on besides the intervals; nothing where it may change.
    fn key_of(&self, unit: Unit) -> Result<Option<Vec<u8>>, Error> {
        let part = self.parts.view.parts.get(unit.part);
        let Some((part, group)) = part.zip(unit.group) else { return Ok(None) };
        let Some(reader) = self.parts.reader_at(unit.part) else { return Ok(None) };
        let mut key = self.asked();
        let owner = self.parts.view.number(unit.part);
        key.extend_from_slice(format!("{:?} {group} {owner}", reader.identity()).as_bytes());
        if self.elsewhere.is_nowhere(unit.part) {
            return Ok(Some(key));
        }
        let Some(summary) = self.parts.note(part, reader.summary_kept(group)) else {
            return Ok(None);
        };
        let own = self.parts.rows(unit.part, reader, group);
        for trace in summary.traces.iter().filter(|trace| own.contains(&trace.first_row)) {
            if self.elsewhere.may_have(unit.part, trace.id)? {
                key.extend_from_slice(trace.id.as_bytes());
            }
        }
        Ok(Some(key))
    }

    /// What is asked, without when.
    fn asked(&self) -> Vec<u8> {
        let Self { parts, query, series_max, exemplars, .. } = self;
        format!("{} {query} {series_max} {exemplars} ", parts.scope()).into_bytes()
    }

    /// Counts something apart from everything else, in intervals of its own.
    fn apart<T>(
        &mut self,
        grid: Grid,
        count: impl FnOnce(&mut Self) -> Result<Option<T>, Error>,
    ) -> Result<Option<(Counted, T)>, Error> {
        let examples = self.exemplars.min(EXAMPLES_APART);
        let function = &self.query.function;
        let cells = Cells::new(function, self.labels, grid.intervals, self.series_max, examples);
        let cells = std::mem::replace(&mut self.cells, cells);
        let before = (std::mem::replace(&mut self.grid, grid), std::mem::take(&mut self.joined));
        let done = count(self);
        let own = std::mem::replace(&mut self.cells, cells);
        (self.grid, self.joined) = before;
        Ok(done?.map(|done| (own.into_counted(&grid), done)))
    }

    /// Counts traces that stand in several places.
    fn join(&mut self, mut ids: Vec<TraceId>, limits: &mut Limits<'_>) -> Result<(), Error> {
        ids.retain(|id| self.joined.insert(*id));
        if ids.is_empty() {
            return Ok(());
        }
        let located = locate(self.parts, self.elsewhere, &ids)?;
        let starts =
            |located: &Located| located.starts().and_then(|starts| self.grid.part(&starts));
        let is_shared = self.compare.is_none();
        let (shared, other): (Vec<_>, Vec<_>) =
            located.into_iter().partition(|located| is_shared && starts(located).is_some());
        self.gather(&other, limits)?;
        let all = shared.iter().filter_map(Located::starts);
        let all = all.reduce(|all, starts| TimeRange {
            start: all.start.min(starts.start),
            end: all.end.max(starts.end),
        });
        let Some(part) = all.and_then(|all| self.grid.part(&all)) else { return Ok(()) };
        let mut key = self.asked();
        shared.iter().for_each(|located| located.put_key(self.parts, &mut key));
        self.kept(&mut key, part, limits, |own, limits| {
            let counted = own.apart(part, |own| own.gather(&shared, limits).map(Some))?;
            Ok(counted.map(|(counted, ())| counted))
        })?;
        Ok(())
    }

    fn gather(&mut self, located: &[Located], limits: &mut Limits<'_>) -> Result<(), Error> {
        let (parts, program, wants) = (self.parts, self.program, self.wants);
        for located in located.chunks(TRACES_MAX) {
            if limits.is_over() {
                break;
            }
            let want = (&wants.joined, true);
            let count = |id: TraceId, spans: &TraceSpans<'_>, _: &Spots<'_>| self.spans(id, spans);
            let huge = gather(parts, program, want, located, limits, count)?;
            if let Some(id) = huge.first() {
                self.huge = Some(format!("trace {id} is huge: its parts were judged one by one"));
            }
        }
        Ok(())
    }
}
