//! Attributes that have no column of their own, as the overflow column of a batch.

use model::attributes::{EMPTY_SHAPE, TAIL};
use model::column::{Column, Interner, Type, Values as Held, count};
use model::wire::{put_bytes, put_message};

use super::columns::Columns;
use super::growing::Growing;
use super::leaf::Values;
use crate::block::schema::{Id, Table};
use crate::block::section::damaged;
use crate::block::section::lists::Nodes;
use crate::error::Error;

impl Columns<'_> {
    /// The attributes without a column, as the overflow column of a batch.
    pub(super) fn rest(
        &mut self,
        table: Table,
        len: usize,
        nodes: &Nodes,
        shapes: &[u32],
        overflow: u32,
    ) -> Result<Column, Error> {
        let [key, text, value] = match table {
            Table::Span => [Id::RestKey, Id::RestText, Id::RestValue],
            Table::Event => [Id::EventRestKey, Id::EventRestText, Id::EventRestValue],
            Table::Link => [Id::LinkRestKey, Id::LinkRestText, Id::LinkRestValue],
        };
        let mut column = Column {
            key: 0,
            kind: Type::Overflow,
            rows: Vec::new(),
            values: Held::Codes(Vec::new(), Interner::default()),
        };
        let Some(keys) = self.take(key) else { return Ok(column) };
        let owners = rest_owners(&keys, table);
        let (key_codes, key_texts) = keys.texts()?;
        let texts = self.take(text).map(|values| {
            let at = rest_elements(&values, table);
            values.texts().map(|(codes, texts)| (at, codes, texts))
        });
        let values = self.take(value).map(|values| {
            let at = rest_elements(&values, table);
            values.texts().map(|(codes, values)| (at, codes, values))
        });
        let mut texts = Cursor::new(texts.transpose()?);
        let mut values = Cursor::new(values.transpose()?);
        let mut blobs = Growing::from(Interner::default());
        let (mut rows, mut field, mut pending) = (Vec::new(), Vec::new(), Pending::default());
        for (at, (owner, key)) in owners.iter().zip(&key_codes).enumerate() {
            if *owner as usize >= len {
                return Err(damaged("more lists of other attributes than rows"));
            }
            if pending.row != Some(*owner) {
                pending.flush(&mut rows, &mut blobs);
                let shape = shapes.get(*owner as usize).copied().unwrap_or(EMPTY_SHAPE);
                pending.begin(*owner, on_path(nodes, shape, overflow));
            }
            field.clear();
            put_message(&mut field, 1, |out| {
                let key = key_texts.get(*key);
                if !key.is_empty() {
                    put_bytes(out, 1, key);
                }
                let at = count(at);
                if let Some(text) = texts.at(at) {
                    put_message(out, 2, |out| put_bytes(out, 1, text));
                } else if let Some(value) = values.at(at) {
                    put_bytes(out, 2, value);
                }
            });
            pending.add(&field, &mut rows, &mut blobs);
        }
        pending.flush(&mut rows, &mut blobs);
        let codes = (0..count(rows.len())).collect();
        column.rows = rows;
        column.values = Held::Codes(codes, blobs.done()?);
        Ok(column)
    }
}

/// How many attributes of the rest are on a shape's path.
fn on_path(nodes: &Nodes, shape: u32, overflow: u32) -> usize {
    let (mut node, mut found) = (shape & !TAIL, 0);
    while let Some((column, parent)) = (node as usize).checked_sub(1).and_then(|at| nodes.get(at)) {
        found += usize::from(*column == overflow);
        // A parent stands before its children, else the table is refused later.
        if *parent >= node {
            break;
        }
        node = *parent;
    }
    found
}

/// The overflow values of the row that is being gathered: one for each on the path, and one for
/// all others.
#[derive(Default)]
struct Pending {
    row: Option<u32>,
    on_path: usize,
    tail: Vec<u8>,
}

impl Pending {
    fn begin(&mut self, row: u32, on_path: usize) {
        (self.row, self.on_path) = (Some(row), on_path);
    }

    fn add(&mut self, field: &[u8], rows: &mut Vec<u32>, blobs: &mut Growing) {
        if self.on_path > 0 {
            self.on_path -= 1;
            rows.push(self.row.unwrap_or(0));
            blobs.push(field);
        } else {
            self.tail.extend_from_slice(field);
        }
    }

    fn flush(&mut self, rows: &mut Vec<u32>, blobs: &mut Growing) {
        if let (Some(row), false) = (self.row, self.tail.is_empty()) {
            rows.push(row);
            blobs.push(&self.tail);
            self.tail.clear();
        }
        self.row = None;
    }
}

/// Values by ascending place.
struct Cursor {
    at: Vec<u32>,
    codes: Vec<u32>,
    values: Interner,
    next: usize,
}

impl Cursor {
    fn new(found: Option<(Vec<u32>, Vec<u32>, Interner)>) -> Self {
        let (at, codes, values) = found.unwrap_or_default();
        Self { at, codes, values, next: 0 }
    }

    fn at(&mut self, place: u32) -> Option<&[u8]> {
        if self.at.get(self.next) != Some(&place) {
            return None;
        }
        let code = *self.codes.get(self.next)?;
        self.next += 1;
        Some(self.values.get(code))
    }
}

/// The row of the table that each attribute of the rest is of.
fn rest_owners(keys: &Values, table: Table) -> Vec<u32> {
    let (mut owner, mut begun, mut owners) = (0u32, false, Vec::new());
    let (outer, inner) = if table == Table::Span { (0, 1) } else { (1, 2) };
    for (rep, def) in keys.rep.iter().zip(&keys.def) {
        // An entry that is no further attribute of the row before begins a row, if there is one.
        if *rep <= outer && *def >= outer {
            owner += u32::from(begun);
            begun = true;
        }
        if *def >= inner {
            owners.push(owner);
        }
    }
    owners
}

/// The attributes of the rest that have a value of a sparse column.
fn rest_elements(values: &Values, table: Table) -> Vec<u32> {
    let inner = if table == Table::Span { 1 } else { 2 };
    let (mut element, mut found) = (0u32, Vec::new());
    for def in &values.def {
        if *def >= inner {
            if *def > inner {
                found.push(element);
            }
            element += 1;
        }
    }
    found
}
