//! Series over time: spans that leave a pipeline, by interval and group.
//!
//! An interval is open at its start and closed at its end, where its sample stands. Spans count by
//! their effective start, each once, wherever copies of it are.

mod cells;
mod sketch;
mod spread;
mod table;

use std::collections::HashSet;

use model::{Clock, Nanos, TimeRange, TraceId};
use traceql::ast::{
    Compare, Field, Intrinsic, MetricsExpr, MetricsFunction, MetricsQuery, Root, Static, With,
};
use traceql::plan;

use super::INTERVALS_MAX;
use super::answer::{Exemplar, MetricsAnswer, Sample, Series};
use super::expr::{Expr, Spans as _};
use super::field::{duration, is_local};
use super::gather::{gather, with_spans};
use super::judge::{Piece, Place, TraceSpans, effective, first_of_each};
use super::program::Program;
use super::prune::Prune;
use super::request::MetricsRequest;
use super::search::candidates;
use super::units::{Elsewhere, Limits, Loaded, Queue, Traces, Unit, load};
use super::want::Want;
use crate::error::{Error, Kind};
use crate::execute::Parts;
use cells::Cells;
use spread::Spread;
use table::{Example, Row};

/// The intervals of a query.
#[derive(Clone, Copy, Debug)]
struct Grid {
    /// Where the first interval begins; spans at this moment are not in it.
    start: u64,
    step: u64,
    intervals: usize,
}

impl Grid {
    fn new(request: &MetricsRequest) -> Result<Self, Error> {
        let (start, end) = (request.start.0, request.end.0);
        let invalid = |what: String| Err(Error::new(Kind::Invalid, what));
        if start >= end {
            return invalid("metrics need a range whose start is before its end".to_owned());
        }
        let Some(step) = request.step else {
            return Ok(Self { start, step: end - start, intervals: 1 });
        };
        if step.0 == 0 {
            return invalid("a step of metrics is longer than nothing".to_owned());
        }
        let start = start / step.0 * step.0;
        let intervals = (end - start).div_ceil(step.0);
        if intervals > INTERVALS_MAX {
            return invalid(format!("{intervals} intervals, at most {INTERVALS_MAX} may be"));
        }
        let intervals = usize::try_from(intervals).unwrap_or(usize::MAX);
        Ok(Self { start, step: step.0, intervals })
    }

    /// The end of an interval.
    fn end(&self, interval: usize) -> Nanos {
        let steps = (interval as u64).saturating_add(1).saturating_mul(self.step);
        Nanos(self.start.saturating_add(steps))
    }

    fn during(&self) -> TimeRange {
        let last = self.intervals.saturating_sub(1);
        TimeRange { start: Nanos(self.start.saturating_add(1)), end: self.end(last) }
    }

    fn interval(&self, at: Nanos) -> Option<usize> {
        let since = at.0.checked_sub(self.start)?.checked_sub(1)?;
        usize::try_from(since / self.step).ok().filter(|at| *at < self.intervals)
    }

    #[expect(clippy::cast_precision_loss, reason = "of nanoseconds only the lowest bits are lost")]
    fn seconds(&self) -> f64 {
        self.step as f64 / 1e9
    }
}

/// Computes series.
///
/// # Errors
/// `Invalid` where the query is none of metrics, or asks for too many intervals; `Fatal` when a
/// writer has panicked.
pub(crate) fn metrics(
    parts: &Parts<'_>,
    clock: &dyn Clock,
    request: &MetricsRequest,
) -> Result<MetricsAnswer, Error> {
    let grid = Grid::new(request)?;
    let query = plan::normal(request.query.clone());
    let Root::Metrics(metrics) = &query.root else {
        return Err(Error::new(Kind::Invalid, "the query asks for spans, not for series"));
    };
    let exemplars = exemplars(&query.with, request.exemplars);
    let limits = Limits::new(clock, &request.budget);
    let mut run = Run { parts, request, grid, exemplars, limits, full: false, huge: None };
    let mut rows = run.expr(metrics)?;
    rows.sort_by_cached_key(|row| format!("{:?}", row.labels));
    if rows.len() > request.series_max {
        rows.truncate(request.series_max);
        run.full = true;
    }
    let full = || format!("there are more than the {} series that may be", request.series_max);
    let partial = run.limits.ended.take().or(run.huge).or_else(|| run.full.then(full));
    let series = rows.into_iter().map(|row| shown(&grid, &row)).collect();
    Ok(MetricsAnswer { series, partial, inspected: run.limits.inspected })
}

/// How many exemplars are wanted: `with(exemplars=false)`, `with(exemplars=10)`.
fn exemplars(with: &[With], asked: usize) -> usize {
    match with.iter().find(|with| with.name == "exemplars").map(|with| &with.value) {
        Some(Static::Bool(false)) => 0,
        Some(Static::Int(count)) => usize::try_from(*count).unwrap_or(0).min(asked.max(100)),
        _ => asked,
    }
}

fn shown(grid: &Grid, row: &Row) -> Series {
    let samples = row.samples.iter().enumerate();
    let samples = samples
        .filter_map(|(interval, value)| Some(Sample { at: grid.end(interval), value: (*value)? }));
    let exemplar = |example: &Example| {
        let sample = row.samples.get(example.interval).copied().flatten();
        let value = if example.value.is_nan() { sample? } else { example.value };
        Some(Exemplar { trace: example.trace, span: example.span, at: example.at, value })
    };
    let mut exemplars: Vec<Exemplar> = row.examples.iter().filter_map(exemplar).collect();
    exemplars.sort_by_key(|exemplar| (exemplar.at, exemplar.trace, exemplar.span));
    Series { labels: row.labels.clone(), samples: samples.collect(), exemplars }
}

struct Run<'r> {
    parts: &'r Parts<'r>,
    request: &'r MetricsRequest,
    grid: Grid,
    exemplars: usize,
    limits: Limits<'r>,
    full: bool,
    huge: Option<String>,
}

impl Run<'_> {
    fn expr(&mut self, metrics: &MetricsExpr) -> Result<Vec<Row>, Error> {
        match metrics {
            MetricsExpr::Query(query) => self.query(query),
            // Never alone: the parser folds constants.
            MetricsExpr::Scalar(..) => Ok(Vec::new()),
            MetricsExpr::Arithmetic { op, lhs, rhs, .. } => match (&**lhs, &**rhs) {
                (MetricsExpr::Scalar(value, _), rhs) => {
                    let with = table::seconds(value).unwrap_or(f64::NAN);
                    Ok(table::scalar(*op, self.expr(rhs)?, with, true))
                }
                (lhs, MetricsExpr::Scalar(value, _)) => {
                    let with = table::seconds(value).unwrap_or(f64::NAN);
                    Ok(table::scalar(*op, self.expr(lhs)?, with, false))
                }
                (lhs, rhs) => {
                    let lhs = self.expr(lhs)?;
                    Ok(table::both(*op, lhs, &self.expr(rhs)?))
                }
            },
            MetricsExpr::Second { of, stages } => {
                let rows = self.expr(of)?;
                Ok(stages.iter().fold(rows, table::second))
            }
        }
    }

    fn query(&mut self, query: &MetricsQuery) -> Result<Vec<Row>, Error> {
        let value = match &query.function {
            MetricsFunction::Rate | MetricsFunction::Count | MetricsFunction::Compare(_) => None,
            MetricsFunction::Over(_, field)
            | MetricsFunction::Quantile(field, _)
            | MetricsFunction::Histogram(field) => Some(field),
        };
        let root = [Intrinsic::RootName, Intrinsic::RootServiceName].map(Field::intrinsic);
        let compare = match &query.function {
            MetricsFunction::Compare(compare) => Some(compare),
            _ => None,
        };
        let mut more: Vec<&Field> = query.by.iter().chain(value).collect();
        if compare.is_some() {
            more.extend(&root);
        }
        let mut program = Program::of_pipeline(&query.pipeline, &more);
        let number = |program: &mut Program, field: &Field| program.fields.number(field);
        let by: Vec<usize> = query.by.iter().map(|field| number(&mut program, field)).collect();
        let value = value.map(|field| number(&mut program, field));
        let selection = compare.and_then(|compare| compare.selection.as_ref());
        let selection = selection.map(|expr| {
            let expr = Expr::new(expr, &mut program.fields);
            program.structure |= !expr.is_local;
            expr
        });
        let is_local = more.iter().all(|field| is_local(field)) && compare.is_none();
        let labels = query.by.iter().map(ToString::to_string).collect();
        let (series_max, intervals) = (self.request.series_max, self.grid.intervals);
        let want = || match compare {
            Some(_) => Want::everything(),
            None if self.exemplars > 0 => Want::judging(&program).identified(),
            None => Want::judging(&program),
        };
        let mut count = Count {
            parts: self.parts,
            grid: self.grid,
            program: &program,
            by,
            value,
            is_local,
            compare: compare.map(|compare| (compare, selection)),
            cells: Cells::new(&query.function, labels, intervals, series_max, self.exemplars),
            spread: Spread::new(intervals),
            want: want(),
            want_joined: want().identified(),
            elsewhere: Elsewhere::new(self.parts),
            joined: HashSet::new(),
            huge: None,
        };
        let prune = Prune::new(&program, self.parts);
        let mut queue = Queue::new(self.parts, self.grid.during());
        while !self.limits.is_over()
            && let Some(unit) = queue.next(&|reader, group| prune.may_match(reader, group))
        {
            count.unit(unit, &mut self.limits)?;
        }
        self.limits.inspected.units_total += queue.total;
        self.full |= count.cells.is_full || count.spread.is_full;
        self.huge = self.huge.take().or_else(|| count.huge.take());
        Ok(match compare {
            Some(compare) => count.spread.rows(compare),
            None => count.cells.rows(self.grid.seconds()),
        })
    }
}

/// Counts the spans of one query.
struct Count<'c> {
    parts: &'c Parts<'c>,
    grid: Grid,
    program: &'c Program,
    by: Vec<usize>,
    value: Option<usize>,
    /// Whether groups and values can be read off a span alone.
    is_local: bool,
    compare: Option<(&'c Compare, Option<Expr>)>,
    cells: Cells<'c>,
    spread: Spread,
    want: Want,
    want_joined: Want,
    elsewhere: Elsewhere<'c>,
    joined: HashSet<TraceId>,
    huge: Option<String>,
}

/// Between two looks at the budget, so many traces are judged.
const TRACES_STEP: usize = 256;

impl Count<'_> {
    fn unit(&mut self, unit: Unit, limits: &mut Limits<'_>) -> Result<(), Error> {
        let Some(loaded) = load(self.parts, unit, &self.want)? else { return Ok(()) };
        let several = self.unit_traces(unit, &loaded, limits)?;
        drop(loaded);
        for (step, id) in several.into_iter().enumerate() {
            if step % TRACES_STEP == 0 && limits.is_over() {
                break;
            }
            self.join(id)?;
        }
        Ok(())
    }

    fn unit_traces(
        &mut self,
        unit: Unit,
        loaded: &Loaded<'_>,
        limits: &mut Limits<'_>,
    ) -> Result<Vec<TraceId>, Error> {
        let batch = loaded.batch();
        limits.read(batch);
        let traces = Traces::new(self.parts, loaded);
        let pieces = [Piece::new(self.program, batch, &traces.all())];
        let [piece] = &pieces;
        let is_head = matches!(loaded, Loaded::Head(..));
        let plain = self.program.is_plain && self.is_local;
        let candidates = candidates(self.program, piece);
        let mut rows = Vec::new();
        let mut several = Vec::new();
        if plain && !is_head && self.parts.view.parts.len() < 2 && !self.is_oversized(unit) {
            // Nothing is anywhere else, and nothing is there twice.
            rows.extend(candidates.iter());
            limits.inspected.traces += u64::from(traces.len());
            self.rows(piece, &rows);
            return Ok(several);
        }
        let mut done = super::rows::Rows::none(traces.len());
        for (step, row) in candidates.iter().enumerate() {
            if step % TRACES_STEP == 0 && limits.is_over() {
                break;
            }
            let Some(trace) = traces.of_row(row).filter(|trace| !done.contains(*trace)) else {
                continue;
            };
            done.set(trace);
            limits.inspected.traces += 1;
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
            if plain && !is_head {
                rows.extend(traces.rows(trace).filter(|row| candidates.contains(*row)));
                continue;
            }
            let mut places: Vec<Place> =
                traces.rows(trace).map(|row| Place { piece: 0, row }).collect();
            if is_head && places.len() > 1 {
                first_of_each(&mut places, &pieces);
            }
            if plain {
                let own = places.iter().map(|place| place.row);
                rows.extend(own.filter(|row| candidates.contains(*row)));
                continue;
            }
            let spans = TraceSpans::new(self.program, &pieces, places);
            if self.is_local {
                let mut all = counted(&spans);
                rows.extend(all.drain(..).map(|span| spans.place(span).row));
            } else {
                self.spans(id, &spans);
            }
        }
        rows.sort_unstable();
        self.rows(piece, &rows);
        Ok(several)
    }

    fn is_oversized(&self, unit: Unit) -> bool {
        let part = self.parts.view.parts.get(unit.part);
        let reader = part.and_then(|part| self.parts.reader(part));
        reader.is_some_and(|reader| reader.directory().header.oversized)
    }

    /// Counts a trace that stands in several places.
    fn join(&mut self, id: TraceId) -> Result<(), Error> {
        if !self.joined.insert(id) {
            return Ok(());
        }
        let parts = self.parts;
        let read = gather(parts, id, &self.want_joined)?;
        let program = self.program;
        if with_spans(program, &read, true, |spans, _| self.spans(id, spans)) {
            self.huge = Some(format!("trace {id} is huge: its parts were judged one by one"));
        }
        Ok(())
    }

    /// Counts rows of one piece, ascending, by columns.
    fn rows(&mut self, piece: &Piece<'_>, rows: &[u32]) {
        let batch = piece.bound.batch;
        let timed: Vec<(u32, usize)> = rows
            .iter()
            .filter_map(|row| Some((*row, self.grid.interval(effective(batch, *row))?)))
            .collect();
        let rows: Vec<u32> = timed.iter().map(|(row, _)| *row).collect();
        let mut columns = Vec::with_capacity(self.by.len());
        for (field, numbers) in self.by.iter().zip(&mut self.cells.numbers) {
            let access = piece.bound.access(*field);
            columns.push(access.numbered(&rows, &mut |value| numbers.number(value)));
        }
        let is_duration = self.value.is_some_and(|field| {
            *self.program.fields.get(field) == Field::intrinsic(Intrinsic::Duration)
        });
        let mut values = Vec::new();
        let mut key = Vec::with_capacity(columns.len());
        let mut last: Option<(Vec<u32>, Option<usize>)> = None;
        for (at, (row, interval)) in timed.into_iter().enumerate() {
            key.clear();
            key.extend(columns.iter().filter_map(|column: &Vec<u32>| column.get(at)));
            let group = match &last {
                Some((known, group)) if *known == key => *group,
                _ => {
                    let group = self.cells.group(&key);
                    last = Some((key.clone(), group));
                    group
                }
            };
            let Some(group) = group else { continue };
            let example = |value: f64| Example {
                interval,
                trace: batch.trace_id(row),
                span: batch.span_id(row),
                at: effective(batch, row),
                value,
            };
            values.clear();
            match self.value {
                None => {
                    self.cells.add(group, interval, None);
                    if self.cells.wants_example(group, interval) {
                        self.cells.example(group, example(f64::NAN));
                    }
                    continue;
                }
                Some(_) if is_duration => values.push(Static::Duration(duration(batch, row))),
                Some(field) => piece.bound.access(field).values(row, &mut values),
            }
            for value in &values {
                self.cells.add(group, interval, Some(value));
                if let Some(number) = table::seconds(value)
                    && self.cells.wants_example(group, interval)
                {
                    self.cells.example(group, example(number));
                }
            }
        }
    }

    /// Counts the spans of one trace, span by span.
    fn spans(&mut self, id: TraceId, spans: &TraceSpans<'_>) {
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
                self.cells.add(group, interval, None);
            }
            if let Some(value) = number
                && self.cells.wants_example(group, interval)
            {
                let (batch, row) = spans.batch(span);
                let (span, at) = (batch.span_id(row), spans.start(span));
                self.cells.example(group, Example { interval, trace: id, span, at, value });
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
        spread::attributes(batch, row, &mut all);
        let mut values = Vec::new();
        for intrinsic in
            [Intrinsic::Name, Intrinsic::Kind, Intrinsic::Status, Intrinsic::StatusMessage]
        {
            let field = Field::intrinsic(intrinsic);
            super::field::Access::new(batch, &field).values(row, &mut values);
            all.extend(values.drain(..).map(|value| (intrinsic.name().to_owned(), value)));
        }
        for intrinsic in [Intrinsic::RootName, Intrinsic::RootServiceName] {
            let field = Field::intrinsic(intrinsic);
            if let Some(number) = self.program.fields.list().iter().position(|f| *f == field) {
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
