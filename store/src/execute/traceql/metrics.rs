//! Series over time: spans that leave a pipeline, by interval and group.
//!
//! An interval is open at its start and closed at its end, where its sample stands. Spans count by
//! their effective start, each once, wherever copies of it are.

mod cells;
mod count;
mod grid;
mod shared;
mod sketch;
mod spread;
mod table;

use std::collections::HashSet;

use model::{Clock, Nanos};
use traceql::ast::{
    Field, Intrinsic, MetricsExpr, MetricsFunction, MetricsQuery, Root, Static, With,
};
use traceql::plan;

use super::ahead::{Near, ahead};
use super::answer::{Exemplar, MetricsAnswer, Sample, Series};
use super::elsewhere::Elsewhere;
use super::expr::Expr;
use super::field::is_local;
use super::program::Program;
use super::prune::Prune;
use super::request::MetricsRequest;
use super::scan::Wants;
use super::units::{Limits, Queue};
use super::want::Want;
use crate::error::{Error, Kind};
use crate::execute::Parts;
use cells::Cells;
use count::Count;
use grid::Grid;
use spread::Spread;
use table::{Example, Row};

/// So often what is counted so far is told.
const PROGRESS_EVERY: Nanos = Nanos(500 * Nanos::MILLISECOND.0);

/// Computes series. `on_progress` is called now and then with what is counted so far, where the
/// query is one function: of what is computed with series, nothing can be told before the end.
///
/// # Errors
/// `Invalid` where the query is none of metrics, or asks for too many intervals; `Fatal` when a
/// writer has panicked.
pub(crate) fn metrics(
    parts: &Parts<'_>,
    clock: &dyn Clock,
    request: &MetricsRequest,
    on_progress: &mut dyn FnMut(MetricsAnswer),
) -> Result<MetricsAnswer, Error> {
    let grid = Grid::new(request)?;
    let query = plan::normal(request.query.clone());
    let Root::Metrics(metrics) = &query.root else {
        return Err(Error::new(Kind::Invalid, "the query asks for spans, not for series"));
    };
    let exemplars = exemplars(&query.with, request.exemplars);
    let limits = Limits::new(clock, &request.budget);
    let is_alone = matches!(metrics, MetricsExpr::Query(_));
    let progress = is_alone.then(|| Progress { clock, last: clock.monotonic(), on_progress });
    let mut run =
        Run { parts, request, grid, exemplars, limits, progress, full: false, huge: None };
    let rows = run.expr(metrics)?;
    let mut answer = run.answer(rows);
    run.full |= answer.series.len() > request.series_max;
    answer.series.truncate(request.series_max);
    let full = || format!("there are more than the {} series that may be", request.series_max);
    answer.partial = run.limits.ended.take().or(run.huge).or_else(|| run.full.then(full));
    Ok(answer)
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
        let interval = grid.interval(example.end)?;
        let sample = row.samples.get(interval).copied().flatten();
        let value = if example.value.is_nan() { sample? } else { example.value };
        Some(Exemplar { trace: example.trace, span: example.span, at: example.at, value })
    };
    let mut exemplars: Vec<Exemplar> = row.examples.iter().filter_map(exemplar).collect();
    exemplars.sort_by_key(|exemplar| (exemplar.at, exemplar.trace, exemplar.span));
    Series { labels: row.labels.clone(), samples: samples.collect(), exemplars }
}

/// Whom what is counted so far is told, and when.
struct Progress<'r> {
    clock: &'r dyn Clock,
    last: Nanos,
    on_progress: &'r mut dyn FnMut(MetricsAnswer),
}

struct Run<'r> {
    parts: &'r Parts<'r>,
    request: &'r MetricsRequest,
    grid: Grid,
    exemplars: usize,
    limits: Limits<'r>,
    progress: Option<Progress<'r>>,
    full: bool,
    huge: Option<String>,
}

impl Run<'_> {
    /// Rows as series, in their order.
    fn answer(&self, mut rows: Vec<Row>) -> MetricsAnswer {
        rows.sort_by_cached_key(|row| format!("{:?}", row.labels));
        let series = rows.into_iter().map(|row| shown(&self.grid, &row)).collect();
        MetricsAnswer { series, partial: None, inspected: self.limits.inspected }
    }

    /// Tells what is counted so far, if that is due.
    fn tell(&mut self, units_total: u64, rows: impl FnOnce() -> Vec<Row>) {
        let now = |progress: &Progress<'_>| progress.clock.monotonic();
        let is_due = |progress: &Progress<'_>| now(progress).minus(progress.last) >= PROGRESS_EVERY;
        if !self.progress.as_ref().is_some_and(is_due) {
            return;
        }
        let mut answer = self.answer(rows());
        answer.series.truncate(self.request.series_max);
        answer.inspected.units_total = units_total;
        if let Some(progress) = &mut self.progress {
            (progress.on_progress)(answer);
            progress.last = progress.clock.monotonic();
        }
    }

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
        let labels: Vec<String> = query.by.iter().map(ToString::to_string).collect();
        let (series_max, intervals) = (self.request.series_max, self.grid.intervals);
        let wants = Wants::new(|| match compare {
            Some(_) => Want::everything(),
            None => Want::judging(&program),
        });
        let elsewhere = Elsewhere::new(self.parts)?;
        let mut count = Count {
            parts: self.parts,
            grid: self.grid,
            query,
            labels: &labels,
            series_max,
            exemplars: self.exemplars,
            program: &program,
            by,
            value,
            is_local,
            compare: compare.map(|compare| (compare, selection)),
            cells: Cells::new(&query.function, &labels, intervals, series_max, self.exemplars),
            spread: Spread::new(intervals),
            wants: &wants,
            elsewhere: &elsewhere,
            joined: HashSet::new(),
            huge: None,
        };
        let prune = Prune::new(&program, self.parts);
        let mut queue = Queue::new(self.parts, self.grid.during());
        let near = Near { wants: [&wants.timed; 2], told: None };
        ahead(self.parts, self.grid.during(), &prune, near, |ahead| {
            elsewhere.expect_blocks(ahead.blocks());
            while !self.limits.is_over()
                && let Some(unit) = queue.next(&prune, ahead)
            {
                count.unit(unit, &mut self.limits)?;
                let seconds = self.grid.seconds();
                if compare.is_none() && queue.bound().is_some() {
                    self.tell(queue.total, || count.cells.rows(seconds));
                }
            }
            Ok::<_, Error>(())
        })?;
        self.limits.inspected.units_total += queue.total;
        self.full |= count.cells.is_full || count.spread.is_full;
        self.huge = self.huge.take().or_else(|| count.huge.take());
        Ok(match compare {
            Some(compare) => count.spread.rows(compare),
            None => count.cells.rows(self.grid.seconds()),
        })
    }
}
