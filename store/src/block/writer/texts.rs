//! Hashes of the texts that a block has, for catalogs of many blocks.
//!
//! Those of a row group are kept as a set of about two bytes each, and become one set at the end.

use std::collections::HashSet;

use model::column::Type;
use model::otlp::{fields, key_value};
use model::wire::{Reader, Value, put_varint};

use super::index::Noted;
use crate::block::page::ChunkMeta;
use crate::block::schema::{self, Leaf, Logical, Schema, Source, Table};
use crate::block::section::hashes::{self as set, Owner};
use crate::block::section::terms;

/// Most hashes of the row groups of a block: 8 MB, and 16 more at its end. Past it the block tells nothing.
const HASHES_MAX: usize = 4 << 20;
/// Resources that are remembered: of more, some are taken twice.
const RESOURCES_MAX: usize = 1 << 16;

/// What is gathered.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// Of the row group under way.
    hashes: Vec<u32>,
    /// Sets of those before: how many, and the set.
    groups: Vec<(usize, Vec<u8>)>,
    count: usize,
    /// Resources that are in already, by their hash: a block has the same in every row group.
    resources: HashSet<u64>,
    is_much: bool,
}

impl Texts {
    /// Takes what a column of the row group has.
    pub(super) fn column(
        &mut self,
        leaf: &Leaf,
        schema: &Schema,
        noted: &Noted,
        chunk: &ChunkMeta,
    ) {
        let attribute = |place: u32| schema.of(Table::Span).nth(place as usize);
        let (owner, kind) = match leaf.source {
            Source::Fixed(schema::Id::Name) => (Owner::Name, Type::String),
            Source::Attribute(Table::Span, place) if let Some((of, _)) = attribute(place) => {
                (Owner::Span(of.key.as_bytes()), of.kind)
            }
            _ => return,
        };
        // Arrays have texts, too.
        let is_mixed = matches!(kind, Type::Any | Type::Overflow) && chunk.values > 0;
        if noted.any || is_mixed {
            self.hashes.push(owner.untold());
        }
        if leaf.logical == Logical::Text {
            let terms = noted.terms.iter().map(|term| terms::hash(term));
            self.hashes
                .extend(terms.chain(noted.hashes.iter().copied()).map(|hash| owner.text(hash)));
        }
    }

    /// Takes the keys of attributes that have no column: their texts are not told.
    pub(super) fn rest<'k, K: Iterator<Item = &'k [u8]>>(&mut self, keys: K) {
        self.hashes.extend(keys.map(|key| Owner::Span(key).untold()));
    }

    /// Takes distinct resources, as OTLP has them.
    pub(super) fn resources(&mut self, resources: &[&[u8]]) {
        for resource in resources {
            if self.resources.len() >= RESOURCES_MAX {
                self.resources.clear();
            }
            if !self.resources.insert(terms::hash(resource)) {
                continue;
            }
            for (key, value) in
                fields(resource, 1).flat_map(|inner| fields(inner, 1)).map(key_value)
            {
                let owner = Owner::Resource(key);
                let mut reader = Reader::new(value);
                while let Ok(Some(field)) = reader.next() {
                    match (field.number, field.value) {
                        (1, Value::Bytes(text)) => {
                            // As whoever compares it sees it.
                            let text = String::from_utf8_lossy(text);
                            self.hashes.push(owner.text(terms::hash(text.as_bytes())));
                        }
                        (5, _) => self.hashes.push(owner.untold()),
                        _ => {}
                    }
                }
            }
        }
    }

    /// Ends a row group.
    pub(super) fn end_group(&mut self) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        self.count += self.hashes.len();
        self.is_much |= self.count > HASHES_MAX;
        if self.is_much {
            (self.hashes, self.groups) = Default::default();
            return;
        }
        let mut bytes = Vec::new();
        set::encode(&self.hashes, set::HASH_BITS, &mut bytes);
        self.groups.push((self.hashes.len(), bytes));
        self.hashes.clear();
    }

    /// The section: how many hashes, of how many bits, and the set. Nothing where there are too many.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        if self.is_much {
            return None;
        }
        let mut hashes = Vec::with_capacity(self.count);
        for (count, bytes) in &self.groups {
            for hash in set::Hashes::new(bytes, *count, set::HASH_BITS) {
                hashes.push(hash.ok()?);
            }
        }
        hashes.sort_unstable();
        hashes.dedup();
        let bits = set::bits_for(hashes.len());
        hashes.iter_mut().for_each(|hash| *hash >>= set::HASH_BITS - bits);
        hashes.dedup();
        let mut section = Vec::new();
        put_varint(&mut section, hashes.len() as u64);
        put_varint(&mut section, bits.into());
        set::encode(&hashes, bits, &mut section);
        Some(section)
    }
}
