//! The attributes of some rows out of a table of many.

use std::collections::HashMap;
use std::ops::Range;

use super::{Attributes, EMPTY_SHAPE, NONE, Node, TAIL};
use crate::column::{Column, Interner, Renumber, Values, count, within};

/// A table that was cut out, until the keys of all tables are known.
#[derive(Debug)]
pub(crate) struct Cut {
    columns: Vec<Column>,
    nodes: Vec<(u32, u32)>,
    shapes: Vec<u32>,
}

impl Attributes {
    /// What these rows have, rows counted from the first of them. Costs by them and by the number
    /// of columns; a column that none of them uses is left out. Where a row's shape names one that
    /// it has no value of, building the table fails.
    pub(crate) fn cut(&self, rows: &Range<u32>, keys: &mut Renumber<'_>) -> Cut {
        let mut places = HashMap::new();
        let mut columns = Vec::new();
        for (column, place) in self.columns.iter().zip(0u32..) {
            let range = within(&column.rows, rows);
            if !range.is_empty() {
                places.insert(place, count(columns.len()));
                columns.push(cut_column(column, range, rows.start, keys));
            }
        }
        let range = rows.start as usize..rows.end as usize;
        let mut shapes = self.shapes.get(range).unwrap_or_default().to_vec();
        let mut numbers = HashMap::from([(EMPTY_SHAPE, EMPTY_SHAPE)]);
        let mut nodes = Vec::new();
        let mut path = Vec::new();
        for shape in &mut shapes {
            let mut node = *shape & !TAIL;
            while !numbers.contains_key(&node) {
                path.push(node);
                node = self.nodes.get(node as usize).map_or(EMPTY_SHAPE, |node| node.parent);
            }
            let mut parent = numbers.get(&node).copied().unwrap_or(EMPTY_SHAPE);
            while let Some(node) = path.pop() {
                let column = self.nodes.get(node as usize).map(|Node { column, .. }| column);
                let place = column.and_then(|column| places.get(column)).copied();
                nodes.push((place.unwrap_or(NONE), parent));
                parent = count(nodes.len());
                numbers.insert(node, parent);
            }
            *shape = parent | (*shape & TAIL);
        }
        Cut { columns, nodes, shapes }
    }
}

impl Cut {
    /// The table; `None` where a row has a shape that its values do not fit.
    pub(crate) fn build(self, keys: &Interner) -> Option<Attributes> {
        let rows = self.shapes.len();
        Attributes::from_parts(keys, self.columns, &self.nodes, rows, self.shapes)
    }
}

fn cut_column(
    column: &Column,
    range: Range<usize>,
    first_row: u32,
    keys: &mut Renumber<'_>,
) -> Column {
    let values = match &column.values {
        Values::Codes(codes, texts) => {
            let mut texts = Renumber::new(texts);
            let codes = codes.get(range.clone()).unwrap_or_default().iter();
            let codes = codes.map(|code| texts.number(*code)).collect();
            Values::Codes(codes, texts.done())
        }
        Values::Words(words) => {
            Values::Words(words.get(range.clone()).unwrap_or_default().to_vec())
        }
    };
    let rows = column.rows.get(range).unwrap_or_default().iter();
    let rows = rows.map(|row| row - first_row).collect();
    Column { key: keys.number(column.key), kind: column.kind, rows, values }
}
