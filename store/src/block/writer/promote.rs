//! Which attributes get a column of their own in a block.
//!
//! The core of semantic conventions always does; then those that had one before, or were asked
//! for, while they still have values; then those whose values take the most bytes. The others are
//! in the rest. A tenant with thousands of keys makes no wider block than one with two hundred.

use std::collections::HashMap;

use model::attributes::Attributes;
use model::batch::{Batch, PINNED};
use model::column::{Type, Values};

use crate::block::schema::{Attribute, Schema, TABLES, Table, Why};

/// The most columns of attributes: of spans, of events, of links.
const COLUMNS_MAX: [usize; 3] = [256, 64, 16];

/// Attributes of events that every block has.
const PINNED_EVENT: [(&str, Type); 3] = [
    ("exception.type", Type::String),
    ("exception.message", Type::String),
    ("exception.stacktrace", Type::String),
];

/// How much of a block an attribute is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Its values.
    pub values: u64,
    /// Their bytes, about.
    pub bytes: u64,
}

/// The attributes that a block may have columns of.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    shares: HashMap<Attribute, Share>,
    before: HashMap<Attribute, Why>,
}

impl Candidates {
    /// Adds what a block or a batch has of an attribute.
    pub fn add(&mut self, attribute: Attribute, share: Share) {
        let known = self.shares.entry(attribute).or_default();
        known.values += share.values;
        known.bytes += share.bytes;
    }

    /// Adds all attributes of a batch.
    pub fn add_batch(&mut self, batch: &Batch) {
        let columns = batch.columns();
        let tables: [&Attributes; 3] =
            [columns.spans, &columns.events.attributes, &columns.links.attributes];
        for (table, attributes) in TABLES.into_iter().zip(tables) {
            for column in attributes.columns() {
                if column.kind == Type::Overflow || column.rows.is_empty() {
                    continue;
                }
                let values = column.rows.len() as u64;
                let bytes = match &column.values {
                    Values::Words(_) => values * 8,
                    Values::Codes(_, texts) => {
                        let average = texts.heap_bytes() / texts.len().max(1);
                        values * average as u64
                    }
                };
                let key = columns.keys.text(column.key).to_owned();
                self.add(Attribute { table, key, kind: column.kind }, Share { values, bytes });
            }
        }
    }

    /// Notes an attribute that had a column before, or was asked for: it is preferred while it has
    /// values.
    pub fn prefer(&mut self, attribute: Attribute, why: Why) {
        self.before.insert(attribute, why);
    }

    /// The columns to write, always the same for the same candidates.
    #[must_use]
    pub fn choose(&self) -> Schema {
        let mut attributes = Vec::new();
        for table in TABLES {
            let pinned: &[(&str, Type)] = match table {
                Table::Span => &PINNED,
                Table::Event => &PINNED_EVENT,
                Table::Link => &[],
            };
            let mut chosen: Vec<(Attribute, Why)> = pinned
                .iter()
                .map(|(key, kind)| Attribute { table, key: (*key).to_owned(), kind: *kind })
                .map(|attribute| (attribute, Why::Pinned))
                .collect();
            let mut others: Vec<(&Attribute, Why, u64)> = self
                .shares
                .iter()
                .filter(|(attribute, share)| attribute.table == table && share.values > 0)
                .filter(|(attribute, _)| chosen.iter().all(|(pinned, _)| pinned != *attribute))
                .map(|(attribute, share)| {
                    let why = self.before.get(attribute).copied().unwrap_or(Why::Bytes);
                    (attribute, why, share.bytes)
                })
                .collect();
            others.sort_unstable_by(|a, b| {
                let preferred = |why: Why| why != Why::Bytes;
                (preferred(b.1), b.2).cmp(&(preferred(a.1), a.2)).then_with(|| order(a.0, b.0))
            });
            let room = COLUMNS_MAX[table as usize].saturating_sub(chosen.len());
            let mut taken: Vec<(Attribute, Why)> = others
                .into_iter()
                .take(room)
                .map(|(attribute, why, _)| (attribute.clone(), why))
                .collect();
            taken.sort_unstable_by(|(a, _), (b, _)| order(a, b));
            chosen.append(&mut taken);
            attributes.append(&mut chosen);
        }
        Schema { attributes }
    }
}

fn order(a: &Attribute, b: &Attribute) -> std::cmp::Ordering {
    (&a.key, a.kind as u8).cmp(&(&b.key, b.kind as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(key: &str) -> Attribute {
        Attribute { table: Table::Span, key: key.to_owned(), kind: Type::String }
    }

    #[test]
    fn the_core_is_always_there_and_the_rest_is_chosen_by_bytes() {
        let mut candidates = Candidates::default();
        for number in 0..1_000u64 {
            let share = Share { values: 1, bytes: number };
            candidates.add(span(&format!("key.{number:04}")), share);
        }
        candidates.prefer(span("key.0001"), Why::Sticky);
        candidates.prefer(span("gone"), Why::Sticky);
        let schema = candidates.choose();
        let of: Vec<_> = schema.of(Table::Span).collect();
        assert_eq!(of.len(), 256);
        assert!(of.iter().take(PINNED.len()).all(|(_, why)| *why == Why::Pinned));
        let why = |key: &str| of.iter().find(|(a, _)| a.key == key).map(|(_, why)| *why);
        assert_eq!(why("key.0999"), Some(Why::Bytes));
        assert_eq!(why("key.0001"), Some(Why::Sticky));
        assert_eq!(why("key.0002"), None);
        assert_eq!(why("gone"), None);
        assert_eq!(schema.of(Table::Event).count(), 3);
    }
}
