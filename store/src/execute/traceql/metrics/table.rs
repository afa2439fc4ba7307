//! Series as rows of a table, and what is computed with them.

use std::collections::HashMap;

use model::{SpanId, TraceId};
use traceql::ast::{Arithmetic, Comparison, Second, Static};
use traceql::fold;

use crate::execute::traceql::value::by_order;

/// A span that stands for others, and the end of its interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Example {
    pub(super) end: model::Nanos,
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) at: model::Nanos,
    /// NaN where it is the sample's.
    pub(super) value: f64,
}

/// A series: a sample, or none, for each interval.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) labels: Vec<(String, Static)>,
    pub(super) samples: Vec<Option<f64>>,
    pub(super) examples: Vec<Example>,
}

/// The label of what has no other.
pub(super) const NAME: &str = "__name__";

impl Row {
    /// What series are compared by: their labels, without the name of a function.
    fn key(&self) -> String {
        let labels = self.labels.iter().filter(|(name, _)| name != NAME);
        format!("{:?}", labels.collect::<Vec<_>>())
    }
}

/// Series that are computed of series with the same labels.
pub(super) fn both(op: Arithmetic, lhs: Vec<Row>, rhs: &[Row]) -> Vec<Row> {
    let rhs: HashMap<String, &Row> = rhs.iter().map(|row| (row.key(), row)).collect();
    let joined = lhs.into_iter().filter_map(|mut row| {
        let other = rhs.get(&row.key())?;
        for (a, b) in row.samples.iter_mut().zip(&other.samples) {
            *a = a.zip(*b).and_then(|(a, b)| compute(op, a, b));
        }
        Some(row)
    });
    filled(joined.collect())
}

/// Series with a number on one side.
pub(super) fn scalar(op: Arithmetic, mut rows: Vec<Row>, with: f64, is_left: bool) -> Vec<Row> {
    for sample in rows.iter_mut().flat_map(|row| &mut row.samples) {
        *sample = sample.and_then(|value| match is_left {
            true => compute(op, with, value),
            false => compute(op, value, with),
        });
    }
    filled(rows)
}

/// Division by zero has no value.
fn compute(op: Arithmetic, a: f64, b: f64) -> Option<f64> {
    Some(fold::floats(op, a, b)).filter(|value| value.is_finite())
}

/// What a second stage leaves.
pub(super) fn second(mut rows: Vec<Row>, stage: &Second) -> Vec<Row> {
    match stage {
        Second::Top(count, _) => select(&mut rows, *count, false),
        Second::Bottom(count, _) => select(&mut rows, *count, true),
        Second::Compare { op, value, .. } => compare(&mut rows, *op, value),
    }
    filled(rows)
}

/// In each interval the samples of so many series; of equal ones the first by labels.
fn select(rows: &mut [Row], count: u32, smallest: bool) {
    rows.sort_by_cached_key(Row::key);
    let intervals = rows.iter().map(|row| row.samples.len()).max().unwrap_or(0);
    for at in 0..intervals {
        let sample = |row: &Row| row.samples.get(at).copied().flatten();
        let mut ranked: Vec<(usize, f64)> =
            rows.iter().enumerate().filter_map(|(n, row)| Some((n, sample(row)?))).collect();
        ranked.sort_by(|(_, a), (_, b)| if smallest { a.total_cmp(b) } else { b.total_cmp(a) });
        for (row, _) in ranked.into_iter().skip(count as usize) {
            if let Some(sample) = rows.get_mut(row).and_then(|row| row.samples.get_mut(at)) {
                *sample = None;
            }
        }
    }
}

/// The samples for which a comparison holds; durations are compared in seconds.
fn compare(rows: &mut [Row], op: Comparison, value: &Static) {
    let Some(with) = seconds(value) else { return };
    for sample in rows.iter_mut().flat_map(|row| &mut row.samples) {
        let holds =
            |value: &f64| value.partial_cmp(&with).is_some_and(|ordering| by_order(op, ordering));
        *sample = sample.filter(holds);
    }
}

/// A number; of a duration its seconds.
pub(super) fn seconds(value: &Static) -> Option<f64> {
    let number = value.as_f64()?;
    let number = if matches!(value, Static::Duration(_)) { number / 1e9 } else { number };
    Some(number).filter(|number| number.is_finite())
}

/// Those that have a sample.
fn filled(mut rows: Vec<Row>) -> Vec<Row> {
    rows.retain(|row| row.samples.iter().any(Option::is_some));
    rows
}
