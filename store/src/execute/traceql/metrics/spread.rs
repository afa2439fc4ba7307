//! `compare`: how the attributes of spans are spread within a selection and outside of it.

use std::collections::{BTreeMap, HashMap};

use model::attributes::Attributes;
use model::batch::Batch;
use model::column::Values;
use model::otlp::{fields, key_value, overflow};
use traceql::ast::{Compare, Static};

use super::table::Row;
use crate::execute::Carried;
use crate::execute::traceql::value::of_any;

/// Most values times intervals.
const CELLS_MAX: usize = 4 << 20;
/// What is longer is no value to compare by.
const TEXT_BYTES_MAX: usize = 1 << 10;

/// A value and how often it was there, by interval.
type Counts = (Static, Vec<f64>);

/// Counts of values, by whether they are of the selection, and by attribute.
#[derive(Debug, Default)]
pub(super) struct Spread {
    counts: HashMap<(bool, String), BTreeMap<String, Counts>>,
    totals: BTreeMap<(bool, String), Vec<f64>>,
    intervals: usize,
    cells: usize,
    pub(super) is_full: bool,
}

impl Spread {
    pub(super) fn new(intervals: usize) -> Self {
        Self { intervals, ..Self::default() }
    }

    /// Adds a value of an attribute of a span.
    pub(super) fn add(&mut self, is_selected: bool, name: &str, value: Static, interval: usize) {
        if matches!(&value, Static::Text(text) if text.len() > TEXT_BYTES_MAX) {
            return;
        }
        let empty = || vec![0.0; self.intervals];
        let total = self.totals.entry((is_selected, name.to_owned())).or_insert_with(empty);
        if let Some(total) = total.get_mut(interval) {
            *total += 1.0;
        }
        let values = self.counts.entry((is_selected, name.to_owned())).or_default();
        let key = format!("{value:?}");
        if !values.contains_key(&key) {
            if self.cells + self.intervals > CELLS_MAX {
                self.is_full = true;
                return;
            }
            self.cells += self.intervals;
        }
        let (_, counts) = values.entry(key).or_insert_with(|| (value, empty()));
        if let Some(count) = counts.get_mut(interval) {
            *count += 1.0;
        }
    }

    /// For each attribute the most frequent values, and all together.
    pub(super) fn rows(self, compare: &Compare) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut row = |meta: &str, name: &str, value: Static, counts: Vec<f64>| {
            let meta = ("__meta_type".to_owned(), Static::Text(meta.to_owned()));
            rows.push(Row {
                labels: vec![meta, (name.to_owned(), value)],
                samples: counts.into_iter().map(Some).collect(),
                examples: Vec::new(),
            });
        };
        for ((is_selected, name), total) in self.totals {
            let (meta, meta_total) = match is_selected {
                true => ("selection", "selection_total"),
                false => ("baseline", "baseline_total"),
            };
            let counts = self.counts.get(&(is_selected, name.clone()));
            let mut values: Vec<&Counts> = counts.into_iter().flat_map(BTreeMap::values).collect();
            let sum = |counts: &Counts| counts.1.iter().sum::<f64>();
            // Stable: of equal ones the first by value stays.
            values.sort_by(|a, b| sum(b).total_cmp(&sum(a)));
            for (value, counts) in values.into_iter().take(compare.top as usize) {
                row(meta, &name, value.clone(), counts.clone());
            }
            row(meta_total, &name, Static::Nil, total);
        }
        rows
    }
}

/// Every attribute of a row of spans, and of its resource, with the name that queries have for it.
pub(super) fn attributes(
    batch: &Batch,
    row: u32,
    carried: Carried<'_>,
    out: &mut Vec<(String, Static)>,
) {
    let columns = batch.columns();
    of_table(batch, columns.spans, row, out);
    let resource = carried.by(batch.resources().get(batch.resource(row)));
    for kv in fields(&resource, 1).flat_map(|resource| fields(resource, 1)) {
        put("resource.", kv, out);
    }
}

fn of_table(batch: &Batch, table: &Attributes, row: u32, out: &mut Vec<(String, Static)>) {
    let mut kv = Vec::new();
    for (column, position) in table.row(row) {
        if let (model::column::Type::Overflow, Values::Codes(codes, blobs)) =
            (column.kind, &column.values)
        {
            let blob = codes.get(position).map(|code| blobs.get(*code)).unwrap_or_default();
            overflow(blob).for_each(|kv| put("span.", kv, out));
            continue;
        }
        kv.clear();
        batch.put_key_value(&mut kv, column, position);
        put("span.", &kv, out);
    }
}

fn put(scope: &str, kv: &[u8], out: &mut Vec<(String, Static)>) {
    let (key, value) = key_value(kv);
    let name = format!("{scope}{}", String::from_utf8_lossy(key));
    let mut values = Vec::new();
    of_any(value, &mut values);
    out.extend(values.into_iter().map(|value| (name.clone(), value)));
}
