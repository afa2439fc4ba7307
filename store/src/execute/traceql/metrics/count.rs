//! The spans of one metrics query, counted: by columns where a span tells everything by itself, else
//! trace by trace.

use std::collections::HashSet;

use model::column::count;
use model::{Nanos, TimeRange, TraceId};
use traceql::ast::{Compare, Field, Intrinsic, MetricsQuery, Static};

use super::cells::Cells;
use super::grid::Grid;
use super::spread::{self, Spread};
use super::table::{self, Example};
use crate::error::Error;
use crate::execute::Parts;
use crate::execute::traceql::elsewhere::Elsewhere;
use crate::execute::traceql::expr::{Expr, Spans as _};
use crate::execute::traceql::field::{Access, duration};
use crate::execute::traceql::judge::{Origin, Piece, TraceSpans, effective};
use crate::execute::traceql::program::Program;
use crate::execute::traceql::rows::Rows;
use crate::execute::traceql::scan::{Scan, Stands, Wants};
use crate::execute::traceql::search::candidates;
use crate::execute::traceql::traces::Traces;
use crate::execute::traceql::units::{Limits, Unit, base, load, read};
use crate::execute::traceql::want::Want;

/// Counts the spans of one query.
pub(super) struct Count<'c> {
    pub(super) parts: &'c Parts<'c>,
    pub(super) grid: Grid,
    pub(super) query: &'c MetricsQuery,
    /// As the query writes what it groups by.
    pub(super) labels: &'c [String],
    pub(super) series_max: usize,
    pub(super) exemplars: usize,
    pub(super) program: &'c Program,
    pub(super) by: Vec<usize>,
    pub(super) value: Option<usize>,
    /// Whether groups and values can be read off a span alone.
    pub(super) is_local: bool,
    pub(super) compare: Option<(&'c Compare, Option<Expr>)>,
    pub(super) cells: Cells<'c>,
    pub(super) spread: Spread,
    pub(super) wants: &'c Wants,
    pub(super) elsewhere: &'c Elsewhere<'c>,
    pub(super) joined: HashSet<TraceId>,
    pub(super) huge: Option<String>,
}

/// Traces of a unit that are counted later.
#[derive(Default)]
struct Left {
    /// Those that may stand in several places.
    several: Vec<TraceId>,
    /// Those whose parents are told by ids, by their numbers.
    unplaced: Vec<u32>,
}

/// No group.
const NONE: u32 = u32::MAX;
/// The most cells that are counted apart for each unit.
const TALLY_MAX: usize = 1 << 20;

impl Count<'_> {
    /// Counts the spans of a unit; the traces that may stand elsewhere are left. `None` where it
    /// cannot be read.
    pub(super) fn evaluate(
        &mut self,
        unit: Unit,
        starts: &TimeRange,
        limits: &mut Limits<'_>,
    ) -> Result<Option<Vec<TraceId>>, Error> {
        let wants = self.wants;
        let only = self.grid.only(starts).filter(|_| self.is_local);
        let want = if only.is_some() { &wants.lean } else { &wants.timed };
        let Some(left) = self.read(unit, want, only, &[], limits)? else { return Ok(None) };
        if !left.unplaced.is_empty() {
            let read = self.read(unit, &wants.joined, None, &left.unplaced, limits)?;
            if read.is_none() {
                return Ok(None);
            }
        }
        Ok(Some(left.several))
    }

    /// Counts spans of a unit: of these traces, or where none are given of all that stand nowhere
    /// else and can be judged by what is read; the others are returned. `only` is the interval of
    /// all of its spans, where they are in one.
    fn read(
        &mut self,
        unit: Unit,
        want: &Want,
        only: Option<usize>,
        these: &[u32],
        limits: &mut Limits<'_>,
    ) -> Result<Option<Left>, Error> {
        let (parts, program) = (self.parts, self.program);
        let Some(loaded) = load(parts, unit, want)? else { return Ok(None) };
        let batch = loaded.batch();
        match these {
            [] => limits.read(batch),
            _ => limits.read_more(batch),
        }
        let base = base(parts, unit);
        let traces = Traces::new(parts, unit, &loaded, base);
        let origin = Origin::of(parts, unit.part);
        let pieces = [Piece::new(program, (batch, origin), &traces.all())];
        let scan = Scan::new(unit, &loaded, base, &traces, &pieces, program);
        let mut candidates = candidates(&scan, &parts.owner(unit.part).hidden);
        self.elsewhere.expect(candidates.count());
        let (mut picked, mut left) = (Vec::new(), Left::default());
        let is_plain = program.is_plain && self.is_local;
        if !these.is_empty() {
            for trace in these {
                self.trace(&scan, *trace, &mut picked);
            }
        } else if is_plain && !scan.is_head {
            left.several = self.take_several(&scan, &mut candidates)?;
            limits.inspected.traces += u64::from(traces.len());
            picked.extend(candidates.iter());
        } else {
            for trace in scan.traces_of(&candidates) {
                if limits.is_over_at_trace() {
                    break;
                }
                let Some(id) = traces.id(trace).filter(|id| !self.joined.contains(id)) else {
                    continue;
                };
                match scan.stands(trace, id, self.elsewhere)? {
                    Stands::Here if is_plain => {
                        let rows = scan.places(trace).into_iter().map(|place| place.row);
                        picked.extend(rows.filter(|row| candidates.contains(*row)));
                    }
                    Stands::Here => self.trace(&scan, trace, &mut picked),
                    Stands::Elsewhere => left.several.push(id),
                    Stands::Unplaced => left.unplaced.push(trace),
                    Stands::Unmet => {}
                }
            }
        }
        if !picked.is_sorted() {
            picked.sort_unstable();
        }
        self.rows(&scan, picked, only);
        Ok(Some(left))
    }

    /// Takes the rows of traces out that may stand elsewhere, and returns these.
    fn take_several(&self, scan: &Scan<'_>, rows: &mut Rows) -> Result<Vec<TraceId>, Error> {
        let mut several = Vec::new();
        if self.elsewhere.is_nowhere(scan.unit.part) {
            return Ok(several);
        }
        for trace in 0..scan.traces.len() {
            let span = scan.traces.span(trace);
            let Some(id) = scan.traces.id(trace) else { continue };
            let has_rows = rows.next_from(span.start).is_some_and(|row| row < span.end);
            if has_rows && self.elsewhere.may_have(scan.unit.part, id)? {
                rows.clear(span);
                several.push(id);
            }
        }
        Ok(several)
    }

    /// Judges a trace: its spans are counted, or picked to be counted by columns.
    fn trace(&mut self, scan: &Scan<'_>, trace: u32, picked: &mut Vec<u32>) {
        let Some(id) = scan.traces.id(trace) else { return };
        let spans = TraceSpans::new(scan.program, scan.pieces, scan.places(trace));
        if self.is_local {
            picked.extend(counted(&spans).into_iter().map(|span| spans.place(span).row));
        } else {
            self.spans(id, &spans);
        }
    }

    /// Counts rows of a unit, ascending, by columns.
    fn rows(&mut self, scan: &Scan<'_>, mut rows: Vec<u32>, only: Option<usize>) {
        let intervals = match only {
            Some(_) => Vec::new(),
            None => self.intervals(scan, &mut rows),
        };
        if rows.is_empty() {
            return;
        }
        let interval = |at: usize| match only {
            Some(only) => only,
            None => intervals.get(at).map_or(0, |interval| *interval as usize),
        };
        let groups = self.groups(scan, &rows);
        let group = |at: usize| groups.get(at).copied().filter(|group| *group != NONE);
        let batch = scan.batch();
        let is_duration = self.value.is_some_and(|field| {
            *self.program.fields.get(field) == Field::intrinsic(Intrinsic::Duration)
        });
        match self.value {
            None => self.tally(&groups, rows.len(), interval),
            Some(_) if is_duration => {
                for (at, row) in rows.iter().enumerate() {
                    if let Some(group) = group(at) {
                        self.cells.add_duration(
                            group as usize,
                            interval(at),
                            duration(batch, *row),
                        );
                    }
                }
            }
            Some(field) => {
                let access = scan.piece().bound.access(field);
                let mut values = Vec::new();
                for (at, row) in rows.iter().enumerate() {
                    let Some(group) = group(at) else { continue };
                    values.clear();
                    access.values(*row, &mut values);
                    for value in &values {
                        self.cells.add(group as usize, interval(at), Some(value));
                    }
                }
            }
        }
        self.examples(scan, &rows, interval, &groups);
    }

    /// The intervals of rows; those that are in none are left out.
    fn intervals(&self, scan: &Scan<'_>, rows: &mut Vec<u32>) -> Vec<u32> {
        let batch = scan.batch();
        let mut intervals = Vec::with_capacity(rows.len());
        // Neighbours start at about the same time.
        let (mut first, mut last, mut known) = (1, 0, None);
        rows.retain(|row| {
            let start = effective(batch, *row).0;
            if start < first || start > last {
                known = self.grid.interval(Nanos(start));
                (first, last) = known.map_or((1, 0), |known| self.grid.bounds(known));
            }
            intervals.extend(known.map(count));
            known.is_some()
        });
        intervals
    }

    /// The group of each row.
    fn groups(&mut self, scan: &Scan<'_>, rows: &[u32]) -> Vec<u32> {
        let group = |group: Option<usize>| group.map_or(NONE, count);
        let mut columns = Vec::with_capacity(self.by.len());
        for (field, numbers) in self.by.iter().zip(&mut self.cells.numbers) {
            let access = scan.piece().bound.access(*field);
            columns.push(access.numbered(rows, &mut |value| numbers.number(value)));
        }
        match columns.as_mut_slice() {
            [] => vec![group(self.cells.group(&[])); rows.len()],
            [numbers] => {
                let mut known: Vec<Option<u32>> = Vec::new();
                for number in &mut *numbers {
                    let at = *number as usize;
                    if at >= known.len() {
                        known.resize(at + 1, None);
                    }
                    *number = match known[at] {
                        Some(known) => known,
                        None => *known[at].insert(group(self.cells.group(&[*number]))),
                    };
                }
                std::mem::take(numbers)
            }
            columns => {
                let mut key = vec![NONE; columns.len()];
                let mut last = NONE;
                let numbers = |at: usize| columns.iter().map(move |column| column[at]);
                let of = (0..rows.len()).map(|at| {
                    if at == 0 || !numbers(at).eq(key.iter().copied()) {
                        key.clear();
                        key.extend(numbers(at));
                        last = group(self.cells.group(&key));
                    }
                    last
                });
                of.collect()
            }
        }
    }

    /// Counts rows by group and interval.
    fn tally(&mut self, groups: &[u32], rows: usize, interval: impl Fn(usize) -> usize) {
        let intervals = self.grid.intervals;
        let cells = self.cells.groups().saturating_mul(intervals);
        if cells > TALLY_MAX.min(rows.saturating_mul(4)) {
            for (at, group) in groups.iter().enumerate().filter(|(_, group)| **group != NONE) {
                self.cells.count(*group as usize, interval(at), 1);
            }
            return;
        }
        let mut counts = vec![0u32; cells];
        for (at, group) in groups.iter().enumerate() {
            let cell = (*group as usize).wrapping_mul(intervals).wrapping_add(interval(at));
            if let Some(count) = counts.get_mut(cell) {
                *count += 1;
            }
        }
        for (cell, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            self.cells.count(cell / intervals, cell % intervals, u64::from(count));
        }
    }

    /// Takes examples for cells that have none. What they name is read for these alone.
    fn examples(
        &mut self,
        scan: &Scan<'_>,
        rows: &[u32],
        interval: impl Fn(usize) -> usize,
        groups: &[u32],
    ) {
        if !self.cells.lacks_examples() {
            return;
        }
        let batch = scan.batch();
        let mut values = Vec::new();
        for (at, (row, group)) in rows.iter().zip(groups).enumerate() {
            let (group, interval) = (*group as usize, interval(at));
            if !self.cells.wants_example(group, interval) {
                continue;
            }
            let value = match self.value {
                None => f64::NAN,
                Some(field) => {
                    values.clear();
                    scan.piece().bound.access(field).values(*row, &mut values);
                    let Some(value) = values.iter().find_map(table::seconds) else { continue };
                    value
                }
            };
            let id = scan.traces.of_row(*row).and_then(|trace| scan.traces.id(trace));
            let Some(trace) = id else { continue };
            let end = self.grid.end(interval);
            let named = |span, at| Example { end, trace, span, at, value };
            let example = if scan.is_head {
                Some(named(batch.span_id(*row), effective(batch, *row)))
            } else {
                self.named(scan, *row).map(|(span, at)| named(span, at))
            };
            let Some(example) = example else { continue };
            self.cells.example(group, interval, example);
            if !self.cells.lacks_examples() {
                break;
            }
        }
    }

    /// The id and the start of a span in a file.
    fn named(&self, scan: &Scan<'_>, row: u32) -> Option<(model::SpanId, Nanos)> {
        let part = self.parts.view.parts.get(scan.unit.part)?;
        let (reader, group) = self.parts.reader(part).zip(scan.unit.group)?;
        let row = scan.base.checked_add(row)?;
        let rows = (group, row..row.checked_add(1)?);
        let batch = read(self.parts, scan.unit.part, &reader, rows, &Want::default().named())?;
        Some((batch.span_id(0), effective(&batch, 0)))
    }

    /// Counts the spans of one trace, span by span.
    pub(super) fn spans(&mut self, id: TraceId, spans: &TraceSpans<'_>) {
        for span in counted(spans) {
            let Some(interval) = self.grid.interval(spans.start(span)) else { continue };
            if self.compare.is_some() {
                self.compared(spans, span, interval);
                continue;
            }
            let mut values = Vec::new();
            let mut key = Vec::with_capacity(self.by.len());
            for (field, numbers) in self.by.iter().zip(&mut self.cells.numbers) {
                values.clear();
                spans.values(*field, span, &mut values);
                key.push(numbers.number(values.drain(..).next().unwrap_or(Static::Nil)));
            }
            let Some(group) = self.cells.group(&key) else { continue };
            values.clear();
            let mut number = Some(f64::NAN);
            if let Some(field) = self.value {
                spans.values(field, span, &mut values);
                values.iter().for_each(|value| self.cells.add(group, interval, Some(value)));
                number = values.iter().find_map(table::seconds);
            } else {
                self.cells.count(group, interval, 1);
            }
            if let Some(value) = number
                && self.cells.wants_example(group, interval)
            {
                let (batch, row) = spans.batch(span);
                let (span, at) = (batch.span_id(row), spans.start(span));
                let end = self.grid.end(interval);
                self.cells.example(group, interval, Example { end, trace: id, span, at, value });
            }
        }
    }

    fn compared(&mut self, spans: &TraceSpans<'_>, span: u32, interval: usize) {
        let Some((compare, selection)) = &self.compare else { return };
        let at = i64::try_from(spans.start(span).0).unwrap_or(i64::MAX);
        let in_time = compare.during.is_none_or(|(from, to)| from <= at && at <= to);
        let holds = |expr: &Expr| expr.holds(spans, span) == Some(true);
        let is_selected = in_time && selection.as_ref().is_none_or(holds);
        let mut all = Vec::new();
        let (batch, row) = spans.batch(span);
        let carried = spans.carried(span);
        spread::attributes(batch, row, carried, &mut all);
        let mut values = Vec::new();
        for intrinsic in
            [Intrinsic::Name, Intrinsic::Kind, Intrinsic::Status, Intrinsic::StatusMessage]
        {
            let field = Field::intrinsic(intrinsic);
            Access::new(batch, &field, carried).values(row, &mut values);
            all.extend(values.drain(..).map(|value| (intrinsic.name().to_owned(), value)));
        }
        for intrinsic in [Intrinsic::RootName, Intrinsic::RootServiceName] {
            let field = Field::intrinsic(intrinsic);
            if let Some(number) = self.program.fields.list().iter().position(|f| **f == field) {
                spans.values(number, span, &mut values);
            }
            all.extend(values.drain(..).map(|value| (intrinsic.name().to_owned(), value)));
        }
        for (name, value) in all {
            self.spread.add(is_selected, &name, value, interval);
        }
    }
}

/// The spans that leave the pipeline, of whichever spanset, each once.
fn counted(spans: &TraceSpans<'_>) -> Vec<u32> {
    let sets = spans.judge();
    let mut all: Vec<u32> = sets.into_iter().flat_map(|set| set.spans).collect();
    all.sort_unstable();
    all.dedup();
    all
}
