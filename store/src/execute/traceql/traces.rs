//! The traces of a unit: which rows each has.

use std::ops::Range;
use std::sync::Arc;

use model::batch::Batch;
use model::column::count;
use model::{TenantId, TraceId};

use super::rows::Rows;
use super::units::{Loaded, Unit};
use crate::block::section::summary::{Summary, Trace};
use crate::execute::Parts;
use crate::shelf::Hidden;

/// The traces of a unit, by number.
#[derive(Debug)]
pub(super) enum Traces {
    Head(OfHead),
    File(OfFile),
}

/// Of a segment of the head: rows of a trace stand anywhere.
#[derive(Debug)]
pub(super) struct OfHead {
    /// Where the rows of each begin among `rows`, and one past the last.
    begins: Vec<u32>,
    /// The rows, trace by trace.
    rows: Vec<u32>,
    /// The number of each row's trace.
    of_row: Vec<u32>,
    ids: Vec<TraceId>,
}

/// Of a row group: rows of a trace stand together.
#[derive(Debug)]
pub(super) struct OfFile {
    summary: Arc<Summary>,
    /// Which of the summary's traces are the tenant's.
    own: Range<usize>,
    /// Their first row in the row group.
    base: u32,
    rows: u32,
}

/// No trace.
const NONE: u32 = u32::MAX;

impl OfFile {
    fn traces(&self) -> &[Trace] {
        self.summary.traces.get(self.own.clone()).unwrap_or_default()
    }

    fn rows(&self, trace: u32) -> Range<u32> {
        let trace = self.traces().get(trace as usize);
        trace.map_or(0..0, |trace| {
            let first = trace.first_row.saturating_sub(self.base);
            first..first.saturating_add(trace.rows).min(self.rows)
        })
    }
}

impl Traces {
    /// `base` is the first row that was read of a row group.
    pub(super) fn new(parts: &Parts<'_>, unit: Unit, loaded: &Loaded<'_>, base: u32) -> Self {
        match loaded {
            Loaded::Head(batch, visible) => {
                Self::Head(of_head(&parts.owner(unit.part).tenant, batch, *visible))
            }
            Loaded::File(batch, summary) => {
                let rows = count(batch.len());
                let traces = &summary.traces;
                let first = traces.partition_point(|trace| trace.first_row < base);
                let end = base.saturating_add(rows);
                let own = first..traces.partition_point(|trace| trace.first_row < end).max(first);
                Self::File(OfFile { summary: Arc::clone(summary), own, base, rows })
            }
        }
    }

    pub(super) fn len(&self) -> u32 {
        match self {
            Self::Head(head) => count(head.ids.len()),
            Self::File(file) => count(file.traces().len()),
        }
    }

    /// The number of a row's trace, if it is one of these.
    pub(super) fn of_row(&self, row: u32) -> Option<u32> {
        match self {
            Self::Head(head) => {
                head.of_row.get(row as usize).copied().filter(|number| *number != NONE)
            }
            Self::File(file) => {
                let row = row.checked_add(file.base)?;
                let after = file.traces().partition_point(|trace| trace.first_row <= row);
                after.checked_sub(1).map(count)
            }
        }
    }

    /// The rows of a trace, ascending.
    pub(super) fn rows(&self, trace: u32) -> impl Iterator<Item = u32> {
        let (listed, range) = match self {
            Self::Head(head) => {
                let at = trace as usize;
                let begin = head.begins.get(at).copied().unwrap_or(0);
                let end = head.begins.get(at + 1).copied().unwrap_or(begin);
                (head.rows.get(begin as usize..end as usize).unwrap_or_default(), 0..0)
            }
            Self::File(file) => (&[][..], file.rows(trace)),
        };
        listed.iter().copied().chain(range)
    }

    /// The rows of a trace from the first to the last, and others between them in the head.
    pub(super) fn span(&self, trace: u32) -> Range<u32> {
        match self {
            Self::Head(_) => {
                let mut rows = self.rows(trace);
                let first = rows.next().unwrap_or(0);
                first..rows.last().unwrap_or(first) + 1
            }
            Self::File(file) => file.rows(trace),
        }
    }

    pub(super) fn id(&self, trace: u32) -> Option<TraceId> {
        match self {
            Self::Head(head) => head.ids.get(trace as usize).copied(),
            Self::File(file) => file.traces().get(trace as usize).map(|trace| trace.id),
        }
    }

    /// What a file says of a trace.
    pub(super) fn summary(&self, trace: u32) -> Option<&Trace> {
        match self {
            Self::Head(_) => None,
            Self::File(file) => file.traces().get(trace as usize),
        }
    }

    /// Takes the rows of traces out that nobody sees.
    pub(super) fn hide(&self, hidden: &Hidden, rows: &mut Rows) {
        if hidden.is_empty() {
            return;
        }
        let is_hidden = |trace: &u32| self.id(*trace).is_some_and(|id| hidden.has(id));
        for trace in (0..self.len()).filter(is_hidden) {
            self.rows(trace).for_each(|row| rows.clear(row..row + 1));
        }
    }

    /// All rows.
    pub(super) fn all(&self) -> Rows {
        match self {
            Self::Head(head) => {
                Rows::of(count(head.of_row.len()), |row| head.of_row[row as usize] != NONE)
            }
            Self::File(file) => Rows::all(file.rows),
        }
    }
}

fn of_head(tenant: &TenantId, batch: &Batch, visible: u32) -> OfHead {
    let tenant = batch.tenant(tenant);
    let mut of_row = vec![NONE; batch.len()];
    let (mut begins, mut all, mut ids) = (vec![0], Vec::new(), Vec::new());
    for entry in batch.traces().iter().filter(|entry| Some(entry.tenant) == tenant) {
        let first = all.len();
        all.extend(batch.entry_rows(entry).filter(|row| *row < visible));
        let Some(rows) = all.get_mut(first..).filter(|rows| !rows.is_empty()) else { continue };
        rows.reverse();
        let number = count(ids.len());
        for row in rows {
            if let Some(of) = of_row.get_mut(*row as usize) {
                *of = number;
            }
        }
        begins.push(count(all.len()));
        ids.push(entry.id);
    }
    OfHead { begins, rows: all, of_row, ids }
}
