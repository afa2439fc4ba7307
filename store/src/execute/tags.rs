//! Tempo's tag search: which rows of a batch carry a value for a key.
//!
//! A predicate runs once per distinct value and once per distinct resource, then on the rows
//! that have the column.

use model::attributes::Attributes;
use model::batch::Batch;
use model::column::{Column, Type, Values};
use model::otlp::overflow;
use model::wire::{Reader, Value, put_bytes};

/// Rows of a batch, a bit each.
#[derive(Clone, Debug)]
pub(super) struct Rows(Vec<u64>);

impl Rows {
    pub(super) fn none(rows: usize) -> Self {
        Self(vec![0; rows.div_ceil(64)])
    }

    pub(super) fn set(&mut self, row: u32) {
        if let Some(word) = self.0.get_mut(row as usize / 64) {
            *word |= 1 << (row % 64);
        }
    }

    pub(super) fn and(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(&other.0) {
            *word &= other;
        }
    }

    pub(super) fn contains(&self, row: u32) -> bool {
        self.0.get(row as usize / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        let words = self.0.iter().enumerate();
        words.flat_map(|(at, word)| {
            let base = model::column::count(at * 64);
            let mut left = *word;
            std::iter::from_fn(move || {
                (left != 0).then(|| {
                    let bit = left.trailing_zeros();
                    left &= left - 1;
                    base + bit
                })
            })
        })
    }
}

/// One tag of a search, prepared.
#[derive(Debug)]
pub(super) enum Tag {
    /// The span's name holds the text.
    Name(String),
    /// The span's status is this.
    Status(i32),
    /// The name of the trace's root span holds the text.
    RootName(String),
    /// The service of the trace's root span holds the text.
    RootService(String),
    /// An attribute of the span or of its resource.
    Attribute {
        /// The key, exactly.
        key: String,
        /// What the value's text holds, in lower case; numbers and bools are equal to it.
        needle: String,
    },
}

impl Tag {
    pub(super) fn new(key: &str, value: &str) -> Self {
        let needle = value.to_lowercase();
        match (key, needle.as_str()) {
            ("name", _) => Self::Name(needle),
            ("root.name", _) => Self::RootName(needle),
            ("root.service.name", _) => Self::RootService(needle),
            ("status" | "status.code", "unset") => Self::Status(0),
            ("status" | "status.code", "ok") => Self::Status(1),
            ("status" | "status.code", "error") | ("error", "true") => Self::Status(2),
            _ => Self::Attribute { key: key.to_owned(), needle },
        }
    }

    /// The key of the attribute that is asked for.
    pub(super) fn key(&self) -> Option<&str> {
        match self {
            Self::Attribute { key, .. } => Some(key),
            _ => None,
        }
    }

    /// The rows that match; `None` where the trace has to be asked and not the span.
    pub(super) fn rows(&self, batch: &Batch) -> Option<Rows> {
        let mut rows = Rows::none(batch.len());
        let all = || 0..model::column::count(batch.len());
        match self {
            Self::RootName(_) | Self::RootService(_) => return None,
            Self::Name(needle) => {
                let codes = 0..model::column::count(batch.names().len());
                let hits: Vec<bool> =
                    codes.map(|code| holds(batch.names().get(code), needle)).collect();
                all().filter(|row| hits[batch.name_code(*row) as usize]).for_each(|r| rows.set(r));
            }
            Self::Status(code) => {
                all().filter(|row| batch.status(*row) == *code).for_each(|row| rows.set(row));
            }
            Self::Attribute { key, needle } => {
                let columns = batch.attributes().columns().iter();
                for column in columns {
                    if batch.keys().get(column.key) == key.as_bytes() || is_overflow(column) {
                        column_rows(column, key, needle, &mut rows);
                    }
                }
                let resources = 0..model::column::count(batch.resources().len());
                let hits: Vec<bool> = resources
                    .map(|code| {
                        let mut kvs = resource_attributes(batch.resources().get(code));
                        kvs.any(|kv| key_value_holds(kv, key, needle))
                    })
                    .collect();
                if hits.contains(&true) {
                    let hit = |row: &u32| hits[batch.resource(*row) as usize];
                    all().filter(hit).for_each(|row| rows.set(row));
                }
            }
        }
        Some(rows)
    }

    /// Whether the root of a trace matches; tags that a span answers always do.
    pub(super) fn root_matches(&self, name: &str, service: &str) -> bool {
        match self {
            Self::RootName(needle) => holds(name.as_bytes(), needle),
            Self::RootService(needle) => holds(service.as_bytes(), needle),
            _ => true,
        }
    }

    /// The attribute that made a row match, as an OTLP `KeyValue`.
    pub(super) fn attribute(&self, batch: &Batch, row: u32) -> Option<Vec<u8>> {
        let Self::Attribute { key, needle } = self else { return None };
        let of_span = span_attributes(batch, batch.attributes(), row);
        let of_resource = resource_attributes(batch.resources().get(batch.resource(row)));
        of_span
            .into_iter()
            .chain(of_resource.map(<[u8]>::to_vec))
            .find(|kv| key_value_holds(kv, key, needle))
    }
}

fn is_overflow(column: &Column) -> bool {
    column.kind == Type::Overflow
}

fn column_rows(column: &Column, key: &str, needle: &str, rows: &mut Rows) {
    match (&column.values, column.kind) {
        (Values::Codes(codes, dictionary), kind @ (Type::String | Type::Overflow)) => {
            let hit = |code: u32| match kind {
                Type::String => holds(dictionary.get(code), needle),
                _ => overflow(dictionary.get(code)).any(|kv| key_value_holds(kv, key, needle)),
            };
            let hits: Vec<bool> = (0..model::column::count(dictionary.len())).map(hit).collect();
            for (row, code) in column.rows.iter().zip(codes) {
                if hits[*code as usize] {
                    rows.set(*row);
                }
            }
        }
        (Values::Words(words), kind) => {
            for (row, word) in column.rows.iter().zip(words) {
                if word_text(kind, *word).is_some_and(|text| text == needle) {
                    rows.set(*row);
                }
            }
        }
        _ => {}
    }
}

fn word_text(kind: Type, word: u64) -> Option<String> {
    match kind {
        Type::Bool => Some((word != 0).to_string()),
        Type::Int => Some(word.cast_signed().to_string()),
        Type::Double => Some(f64::from_bits(word).to_string()),
        _ => None,
    }
}

/// Whether the text holds the needle (lower case), whatever its case.
fn holds(text: &[u8], needle: &str) -> bool {
    if text.is_ascii() && needle.is_ascii() {
        let needle = needle.as_bytes();
        return needle.is_empty()
            || text.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle));
    }
    String::from_utf8_lossy(text).to_lowercase().contains(needle)
}

fn span_attributes(batch: &Batch, table: &Attributes, row: u32) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for (column, position) in table.row(row) {
        if let (true, Values::Codes(codes, blobs)) = (is_overflow(column), &column.values) {
            found.extend(overflow(blobs.get(codes[position])).map(<[u8]>::to_vec));
            continue;
        }
        let mut kv = Vec::new();
        batch.put_key_value(&mut kv, column, position);
        found.push(kv);
    }
    found
}

/// The attributes of a resource as the batch keeps it: field 1 is the resource, whose field 1
/// are its attributes.
pub(super) fn resource_attributes(fragment: &[u8]) -> impl Iterator<Item = &[u8]> {
    fields(fragment, 1).flat_map(|resource| fields(resource, 1))
}

/// The length-delimited fields of this number.
fn fields(bytes: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(move || {
        while let Ok(Some(field)) = reader.next() {
            if let (true, Value::Bytes(bytes)) = (field.number == number, field.value) {
                return Some(bytes);
            }
        }
        None
    })
}

fn key_value_holds(kv: &[u8], key: &str, needle: &str) -> bool {
    if fields(kv, 1).next().unwrap_or_default() != key.as_bytes() {
        return false;
    }
    let mut reader = Reader::new(fields(kv, 2).next().unwrap_or_default());
    while let Ok(Some(field)) = reader.next() {
        let word = |kind, word| word_text(kind, word).is_some_and(|text| text == needle);
        let hit = match (field.number, field.value) {
            (1, Value::Bytes(text)) => holds(text, needle),
            (2, Value::Varint(bits)) => word(Type::Bool, bits),
            (3, Value::Varint(bits)) => word(Type::Int, bits),
            (4, Value::Fixed64(bits)) => word(Type::Double, bits),
            _ => false,
        };
        if hit {
            return true;
        }
    }
    false
}

/// An OTLP `KeyValue` with a text.
pub(super) fn text_attribute(key: &str, text: &str) -> Vec<u8> {
    let mut kv = Vec::new();
    put_bytes(&mut kv, 1, key.as_bytes());
    model::wire::put_message(&mut kv, 2, |kv| put_bytes(kv, 1, text.as_bytes()));
    kv
}
