//! What is kept for each group and interval, and the series that are made of it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use model::{Nanos, TraceId};
use traceql::ast::{MetricsFunction, Over, Static};

use super::grid::Grid;
use super::sketch::Sketch;
use super::table::{Example, NAME, Row, seconds};
use crate::execute::answers::Answer;

/// Most groups times intervals.
const CELLS_MAX: usize = 4 << 20;
/// Most bins of all sketches and histograms.
const BINS_MAX: usize = 8 << 20;

/// Values as numbers, one for each.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// Most are texts.
    by_text: HashMap<String, u32>,
    by_key: HashMap<String, u32>,
    values: Vec<Static>,
}

impl Numbers {
    pub(super) fn number(&mut self, value: Static) -> u32 {
        let number = model::column::count(self.values.len());
        let (map, key) = match &value {
            Static::Text(text) => match self.by_text.get(text) {
                Some(known) => return *known,
                None => (&mut self.by_text, text.clone()),
            },
            value => (&mut self.by_key, format!("{value:?}")),
        };
        match map.entry(key) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(free) => {
                free.insert(number);
                self.values.push(value);
                number
            }
        }
    }

    fn value(&self, number: u32) -> Static {
        self.values.get(number as usize).cloned().unwrap_or(Static::Nil)
    }
}

/// What was counted of one unit, or of some traces: groups by their values, with cells by the ends of
/// their intervals.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    groups: Vec<CountedGroup>,
    /// Traces that were left out: they may stand elsewhere, too.
    pub(super) several: Vec<TraceId>,
    /// How many traces and spans were looked at.
    pub(super) traces: u64,
    pub(super) spans: u64,
    is_full: bool,
}

/// A group: its values, its cells, and spans that stand for others.
type CountedGroup = (Vec<Static>, Vec<(Nanos, Cell)>, Vec<Example>);

impl Answer for Counted {
    fn heap_bytes(&self) -> usize {
        let cell = |(_, cell): &(Nanos, Cell)| size_of::<(Nanos, Cell)>() + cell.heap_bytes();
        let group = |(key, cells, examples): &CountedGroup| {
            key.len() * 64
                + cells.iter().map(cell).sum::<usize>()
                + examples.len() * size_of::<Example>()
                + 96
        };
        self.groups.iter().map(group).sum::<usize>() + self.several.len() * 16
    }
}

#[derive(Clone, Debug)]
enum Cell {
    Number(Option<f64>, u64),
    Sketch(Sketch),
    /// Counts by bucket: its exponent, and whether it is of nanoseconds.
    Buckets(BTreeMap<(bool, i32), u64>),
}

impl Cell {
    fn is_empty(&self) -> bool {
        match self {
            Self::Number(value, _) => value.is_none(),
            Self::Sketch(sketch) => sketch.is_empty(),
            Self::Buckets(buckets) => buckets.is_empty(),
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::Number(..) => 0,
            Self::Sketch(sketch) => sketch.heap_bytes(),
            Self::Buckets(buckets) => buckets.len() * 32,
        }
    }

    /// Adds what another one has; tells how many bins it has more.
    fn merge(&mut self, other: &Self, function: &MetricsFunction) -> usize {
        match (self, other) {
            (Self::Number(so_far, count), Self::Number(Some(more), more_count)) => {
                *count += more_count;
                *so_far = Some(match (*so_far, function) {
                    (None, _) => *more,
                    (Some(before), MetricsFunction::Over(Over::Min, _)) => before.min(*more),
                    (Some(before), MetricsFunction::Over(Over::Max, _)) => before.max(*more),
                    (Some(before), _) => before + more,
                });
                0
            }
            (Self::Sketch(sketch), Self::Sketch(other)) => sketch.merge(other),
            (Self::Buckets(buckets), Self::Buckets(others)) => {
                let before = buckets.len();
                for (bucket, count) in others {
                    *buckets.entry(*bucket).or_default() += count;
                }
                buckets.len() - before
            }
            _ => 0,
        }
    }
}

struct Group {
    key: Vec<u32>,
    cells: Vec<Cell>,
    examples: Vec<Example>,
    has_example: Vec<bool>,
}

/// All groups of a query.
pub(super) struct Cells<'q> {
    function: &'q MetricsFunction,
    by: &'q [String],
    pub(super) numbers: Vec<Numbers>,
    groups: Vec<Group>,
    by_key: HashMap<Vec<u32>, usize>,
    intervals: usize,
    groups_max: usize,
    examples_left: usize,
    bins_left: usize,
    /// Whether something did not fit.
    pub(super) is_full: bool,
}

impl<'q> Cells<'q> {
    pub(super) fn new(
        function: &'q MetricsFunction,
        by: &'q [String],
        intervals: usize,
        series_max: usize,
        examples: usize,
    ) -> Self {
        let numbers = by.iter().map(|_| Numbers::default()).collect();
        let groups_max = series_max.min(CELLS_MAX / intervals.max(1)).max(1);
        Self {
            function,
            by,
            numbers,
            groups: Vec::new(),
            by_key: HashMap::new(),
            intervals,
            groups_max,
            examples_left: examples,
            bins_left: BINS_MAX,
            is_full: false,
        }
    }

    /// The group of values, by their numbers; `None` where there are too many groups.
    pub(super) fn group(&mut self, key: &[u32]) -> Option<usize> {
        if let Some(known) = self.by_key.get(key) {
            return Some(*known);
        }
        if self.groups.len() >= self.groups_max {
            self.is_full = true;
            return None;
        }
        let cell = match self.function {
            MetricsFunction::Quantile(..) => Cell::Sketch(Sketch::default()),
            MetricsFunction::Histogram(_) => Cell::Buckets(BTreeMap::new()),
            _ => Cell::Number(None, 0),
        };
        let at = self.groups.len();
        self.by_key.insert(key.to_vec(), at);
        self.groups.push(Group {
            key: key.to_vec(),
            cells: vec![cell; self.intervals],
            examples: Vec::new(),
            has_example: vec![false; self.intervals],
        });
        Some(at)
    }

    /// How many groups there are.
    pub(super) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Whether an example may still be taken.
    pub(super) fn lacks_examples(&self) -> bool {
        self.examples_left > 0
    }

    /// Whether a group and interval may get an example.
    pub(super) fn wants_example(&self, group: usize, interval: usize) -> bool {
        let has = self.groups.get(group).and_then(|group| group.has_example.get(interval));
        self.examples_left > 0 && has == Some(&false)
    }

    pub(super) fn example(&mut self, group: usize, interval: usize, example: Example) {
        let Some(group) = self.groups.get_mut(group) else { return };
        if let Some(has) = group.has_example.get_mut(interval) {
            *has = true;
            self.examples_left -= 1;
            group.examples.push(example);
        }
    }

    /// Adds so many spans where the function only counts them.
    pub(super) fn count(&mut self, group: usize, interval: usize, spans: u64) {
        let cells = self.groups.get_mut(group).map(|group| &mut group.cells);
        let cell = cells.and_then(|cells| cells.get_mut(interval));
        if let Some(Cell::Number(so_far, count)) = cell {
            *count += spans;
            #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
            let spans = spans as f64;
            *so_far = Some(so_far.unwrap_or(0.0) + spans);
        }
    }

    /// Adds a duration, in nanoseconds.
    #[inline]
    pub(super) fn add_duration(&mut self, group: usize, interval: usize, nanos: i64) {
        let cells = self.groups.get_mut(group).map(|group| &mut group.cells);
        if let Some(Cell::Sketch(sketch)) = cells.and_then(|cells| cells.get_mut(interval))
            && self.bins_left > 0
        {
            #[expect(clippy::cast_precision_loss, reason = "the sketch is less exact")]
            let seconds = nanos as f64 / 1e9;
            self.bins_left = self.bins_left.saturating_sub(sketch.add(seconds));
            return;
        }
        self.add(group, interval, Some(&Static::Duration(nanos)));
    }

    /// Adds a value where the function is of a field.
    pub(super) fn add(&mut self, group: usize, interval: usize, value: Option<&Static>) {
        let cells = self.groups.get_mut(group).map(|group| &mut group.cells);
        let Some(cell) = cells.and_then(|cells| cells.get_mut(interval)) else { return };
        let number = value.and_then(seconds);
        match (cell, number) {
            (Cell::Number(so_far, count), number) => {
                let number = match (self.function, number) {
                    (MetricsFunction::Rate | MetricsFunction::Count, _) => 1.0,
                    (_, Some(number)) => number,
                    (_, None) => return,
                };
                *count += 1;
                *so_far = Some(match (*so_far, self.function) {
                    (None, _) => number,
                    (Some(before), MetricsFunction::Over(Over::Min, _)) => before.min(number),
                    (Some(before), MetricsFunction::Over(Over::Max, _)) => before.max(number),
                    (Some(before), _) => before + number,
                });
            }
            (Cell::Sketch(sketch), Some(number)) if self.bins_left > 0 => {
                self.bins_left = self.bins_left.saturating_sub(sketch.add(number));
            }
            (Cell::Buckets(buckets), Some(_)) if self.bins_left > 0 => {
                let is_time = matches!(value, Some(Static::Duration(_)));
                let Some(exponent) = value.and_then(Static::as_f64).and_then(exponent) else {
                    return;
                };
                let count = buckets.entry((is_time, exponent)).or_default();
                self.bins_left -= usize::from(*count == 0);
                *count += 1;
            }
            (_, Some(_)) => self.is_full = true,
            (_, None) => {}
        }
    }

    /// What was counted, with the ends of intervals by a grid.
    pub(super) fn into_counted(self, grid: &Grid) -> Counted {
        let Self { numbers, groups, is_full, .. } = self;
        let of = |group: Group| {
            let key = numbers.iter().zip(&group.key).map(|(numbers, at)| numbers.value(*at));
            let cells = group.cells.into_iter().enumerate().filter(|(_, cell)| !cell.is_empty());
            let cells = cells.map(|(interval, cell)| (grid.end(interval), cell));
            (key.collect(), cells.collect(), group.examples)
        };
        let groups = groups.into_iter().map(of).collect();
        Counted { groups, is_full, ..Counted::default() }
    }

    /// Adds what was counted, to the intervals of a grid with the same ends, or all to the one with
    /// the end `only`.
    pub(super) fn merge(&mut self, counted: &Counted, grid: &Grid, only: Option<Nanos>) {
        let interval = |end: Nanos| grid.interval(only.unwrap_or(end));
        self.is_full |= counted.is_full;
        for (values, cells, examples) in &counted.groups {
            let numbers = self.numbers.iter_mut().zip(values);
            let key: Vec<u32> =
                numbers.map(|(numbers, value)| numbers.number(value.clone())).collect();
            let Some(group) = self.group(&key) else { continue };
            for (end, cell) in cells {
                let cells = self.groups.get_mut(group).map(|group| &mut group.cells);
                let at = interval(*end);
                let Some(into) = cells.zip(at).and_then(|(cells, at)| cells.get_mut(at)) else {
                    continue;
                };
                if self.bins_left == 0 && !matches!(cell, Cell::Number(..)) {
                    self.is_full = true;
                    continue;
                }
                self.bins_left = self.bins_left.saturating_sub(into.merge(cell, self.function));
            }
            for example in examples {
                let Some(interval) = interval(example.end) else { continue };
                if self.wants_example(group, interval) {
                    let end = grid.end(interval);
                    self.example(group, interval, Example { end, ..*example });
                }
            }
        }
    }

    /// The series. `interval` is the length of one in seconds.
    pub(super) fn rows(&self, interval: f64) -> Vec<Row> {
        let Self { function, by, numbers, groups, .. } = self;
        let mut rows = Vec::new();
        for group in groups {
            let labels: Vec<(String, Static)> = by
                .iter()
                .zip(numbers.iter().zip(&group.key))
                .map(|(name, (numbers, number))| (name.clone(), numbers.value(*number)))
                .collect();
            rows.extend(series(function, &labels, group, interval));
        }
        rows
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn series(
    function: &MetricsFunction,
    labels: &[(String, Static)],
    group: &Group,
    interval: f64,
) -> Vec<Row> {
    let row = |label: Option<(&str, f64)>, of: &dyn Fn(&Cell) -> Option<f64>| {
        let mut labels = labels.to_vec();
        labels.extend(label.map(|(name, value)| (name.to_owned(), Static::Float(value))));
        if labels.is_empty() {
            labels.push((NAME.to_owned(), Static::Text(name(function).to_owned())));
        }
        let samples = group.cells.iter().map(of).collect();
        Row { labels, samples, examples: group.examples.clone() }
    };
    match function {
        MetricsFunction::Quantile(_, shares) => {
            let of = |share: &f64| {
                row(Some(("p", *share)), &|cell| match cell {
                    Cell::Sketch(sketch) => sketch.quantile(*share),
                    _ => None,
                })
            };
            shares.iter().map(of).collect()
        }
        MetricsFunction::Histogram(_) => {
            let buckets = |cell: &Cell| match cell {
                Cell::Buckets(buckets) => buckets.keys().copied().collect::<Vec<_>>(),
                _ => Vec::new(),
            };
            let mut all: Vec<(bool, i32)> = group.cells.iter().flat_map(buckets).collect();
            all.sort_unstable();
            all.dedup();
            let of = |key: &(bool, i32)| {
                let bound = 2f64.powi(key.1) / if key.0 { 1e9 } else { 1.0 };
                row(Some(("__bucket", bound)), &|cell| match cell {
                    Cell::Buckets(buckets) => {
                        Some(buckets.get(key).copied().unwrap_or_default() as f64)
                    }
                    _ => None,
                })
            };
            all.iter().map(of).collect()
        }
        function => {
            let of = |cell: &Cell| {
                let Cell::Number(value, count) = cell else { return None };
                match function {
                    MetricsFunction::Rate => Some(value.unwrap_or(0.0) / interval),
                    MetricsFunction::Count => Some(value.unwrap_or(0.0)),
                    MetricsFunction::Over(Over::Avg, _) => value.map(|sum| sum / *count as f64),
                    _ => *value,
                }
            };
            let row = row(None, &of);
            let has = row.samples.iter().any(Option::is_some);
            has.then_some(row).into_iter().collect()
        }
    }
}

/// As it is written.
fn name(function: &MetricsFunction) -> &'static str {
    match function {
        MetricsFunction::Rate => "rate",
        MetricsFunction::Count => "count_over_time",
        MetricsFunction::Over(over, _) => over.name(),
        MetricsFunction::Quantile(..) => "quantile_over_time",
        MetricsFunction::Histogram(_) => "histogram_over_time",
        MetricsFunction::Compare(_) => "compare",
    }
}

/// The power of two that is not below a positive number.
#[expect(clippy::cast_possible_truncation, reason = "exponents of floats are small")]
fn exponent(value: f64) -> Option<i32> {
    (value > 0.0 && value.is_finite()).then(|| value.log2().ceil() as i32)
}
