//! Attributes that have no column of their own: those past the cap, and keys that a row repeats.

use std::collections::HashMap;

use model::attributes::Attributes;
use model::column::{Column, Interner, Type, Values, count};
use model::otlp::overflow;
use model::wire::{Reader, Value, put_bytes, put_fixed64, put_u64};

/// The rest of one table of a row group, in the order of its rows.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// How many attributes each row of the table has here; empty where none has any.
    pub(super) counts: Vec<u32>,
    numbers: HashMap<Vec<u8>, u32>,
    /// Distinct keys, by number.
    pub(super) keys: Vec<Vec<u8>>,
    /// The number of each attribute's key.
    pub(super) key: Vec<u32>,
    /// (place of the attribute, text).
    pub(super) texts: Vec<(u32, Vec<u8>)>,
    /// (place of the attribute, encoded `AnyValue`).
    pub(super) values: Vec<(u32, Vec<u8>)>,
}

impl Rest {
    /// Adds what row `row` of a source's table has no column for. `places` are the columns of the
    /// source here, `without` the place of those that are none.
    pub(super) fn add(
        &mut self,
        at: usize,
        rows: usize,
        source: (&Interner, &Attributes, u32),
        places: &[u32],
        without: u32,
    ) {
        let (keys, table, row) = source;
        if self.counts.is_empty() {
            self.counts = vec![0; rows];
        }
        let before = self.key.len();
        let mut seen = Vec::new();
        for (column, position) in table.row_placed(row) {
            let place = places.get(column as usize).copied().unwrap_or(without);
            if place != without && !seen.contains(&place) {
                seen.push(place);
                continue;
            }
            self.put(keys, &table.columns()[column as usize], position);
        }
        self.counts[at] = count(self.key.len() - before);
    }

    fn put(&mut self, keys: &Interner, column: &Column, position: usize) {
        let key = keys.get(column.key);
        match (&column.values, column.kind) {
            (Values::Codes(codes, blobs), Type::Overflow) => {
                for kv in overflow(blobs.get(codes[position])) {
                    self.put_encoded(kv);
                }
            }
            (Values::Codes(codes, texts), Type::String) => {
                let text = texts.get(codes[position]);
                self.push(key, Some(text), None);
            }
            (Values::Codes(codes, blobs), Type::Bytes) => {
                let mut value = Vec::new();
                put_bytes(&mut value, 7, blobs.get(codes[position]));
                self.push(key, None, Some(&value));
            }
            (Values::Codes(codes, blobs), _) => {
                self.push(key, None, Some(blobs.get(codes[position])));
            }
            (Values::Words(_), Type::Empty) => self.push(key, None, Some(&[])),
            (Values::Words(words), kind) => {
                let (mut value, word) = (Vec::new(), words[position]);
                match kind {
                    Type::Bool => put_u64(&mut value, 2, word),
                    Type::Int => put_u64(&mut value, 3, word),
                    _ => put_fixed64(&mut value, 4, word),
                }
                self.push(key, None, Some(&value));
            }
        }
    }

    /// Adds a `KeyValue` as it came.
    fn put_encoded(&mut self, kv: &[u8]) {
        let (mut key, mut value): (&[u8], Option<&[u8]>) = (&[], None);
        let mut reader = Reader::new(kv);
        while let Ok(Some(field)) = reader.next() {
            match (field.number, field.value) {
                (1, Value::Bytes(bytes)) => key = bytes,
                (2, Value::Bytes(bytes)) => value = Some(bytes),
                _ => {}
            }
        }
        let key = String::from_utf8_lossy(key);
        match value.map(|value| (value, text_of(value))) {
            None => self.push(key.as_bytes(), None, None),
            Some((_, Some(text))) => {
                let text = String::from_utf8_lossy(text);
                self.push(key.as_bytes(), Some(text.as_bytes()), None);
            }
            Some((value, None)) => self.push(key.as_bytes(), None, Some(value)),
        }
    }

    fn push(&mut self, key: &[u8], text: Option<&[u8]>, value: Option<&[u8]>) {
        let number = match self.numbers.get(key) {
            Some(number) => *number,
            None => {
                let number = count(self.keys.len());
                self.numbers.insert(key.to_vec(), number);
                self.keys.push(key.to_vec());
                number
            }
        };
        let at = count(self.key.len());
        self.key.push(number);
        if let Some(text) = text {
            self.texts.push((at, text.to_vec()));
        }
        if let Some(value) = value {
            self.values.push((at, value.to_vec()));
        }
    }
}

/// The text of an `AnyValue` that holds a text and nothing else.
fn text_of(value: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(value);
    let first = reader.next().ok()??;
    match (first.number, first.value, reader.next()) {
        (1, Value::Bytes(text), Ok(None)) => Some(text),
        _ => None,
    }
}
