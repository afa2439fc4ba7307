//! What a block says about its values: sorted terms, filters, keys of the rest.
//!
//! While row groups are written, each column's dictionary is kept as terms while that is small,
//! and turned into a filter where values are many or long: a filter is never merged, so what is
//! held in memory is bounded whatever the values are.

use std::collections::BTreeMap;

use super::Terms;
use crate::block::schema::{Leaf, Logical};
use crate::block::section::Id;
use crate::block::section::terms::{self, Filter};

/// A dictionary over this is a filter, not terms.
const TERMS_BYTES_MAX: usize = 8 << 10;
/// All terms together; past it every dictionary becomes a filter.
const ALL_TERMS_BYTES_MAX: usize = 8 << 20;
/// Values that are longer on average get no filter.
const FILTER_VALUE_BYTES_MAX: usize = 256;
/// Keys of the rest that are told; past it the block tells none.
const KEYS_MAX: usize = 1 << 16;

/// What is gathered over the row groups of a block.
#[derive(Debug)]
pub(super) struct Index {
    wanted: Terms,
    leaves: Vec<Values>,
    terms_bytes: usize,
    keys: Option<BTreeMap<Vec<u8>, Vec<u32>>>,
}

#[derive(Clone, Debug, Default)]
struct Values {
    terms: BTreeMap<Vec<u8>, Vec<u32>>,
    filters: Vec<u8>,
    filter_count: u64,
}

/// What one column chunk tells.
#[derive(Debug, Default)]
pub(super) struct Noted {
    wanted: bool,
    pub(super) terms: Vec<Vec<u8>>,
    pub(super) hashes: Vec<u64>,
    /// Nothing is told of its values: any may be there.
    pub(super) any: bool,
}

impl Noted {
    /// Its dictionary, sorted.
    pub(super) fn dictionary(&mut self, values: &[&[u8]]) {
        if !self.wanted {
            return;
        }
        if values.iter().map(|value| value.len()).sum::<usize>() > TERMS_BYTES_MAX {
            return self.plain(values);
        }
        self.terms = values.iter().map(|value| value.to_vec()).collect();
    }

    /// Its values, where it has no dictionary.
    pub(super) fn plain(&mut self, values: &[&[u8]]) {
        // Nobody looks for a whole stack trace by equality, and filters of them would be large.
        let bytes: usize = values.iter().map(|value| value.len()).sum();
        if bytes > values.len() * FILTER_VALUE_BYTES_MAX {
            self.any = self.wanted;
        } else if self.wanted {
            self.hashes = values.iter().map(|value| terms::hash(value)).collect();
        }
    }
}

impl Index {
    pub(super) fn new(wanted: Terms, leaves: usize) -> Self {
        let leaves = vec![Values::default(); leaves];
        Self { wanted, leaves, terms_bytes: 0, keys: Some(BTreeMap::new()) }
    }

    /// What a chunk of this column may note.
    pub(super) fn leaf(&self, leaf: &Leaf) -> Noted {
        let wanted = self.wanted == Terms::Written && leaf.logical == Logical::Text && !leaf.rest;
        Noted { wanted, ..Noted::default() }
    }

    /// Takes what a chunk noted.
    pub(super) fn note(&mut self, place: usize, row_group: u32, mut noted: Noted) {
        let Some(values) = self.leaves.get_mut(place) else { return };
        if self.terms_bytes > ALL_TERMS_BYTES_MAX && !noted.terms.is_empty() {
            noted.hashes = noted.terms.iter().map(|term| terms::hash(term)).collect();
            noted.terms.clear();
        }
        for term in noted.terms {
            self.terms_bytes += term.len() + 8;
            values.terms.entry(term).or_default().push(row_group);
        }
        if noted.any || !noted.hashes.is_empty() {
            let filter = match noted.any {
                true => Filter::any(row_group),
                false => Filter::build(row_group, &mut noted.hashes),
            };
            filter.encode(&mut values.filters);
            values.filter_count += 1;
        }
    }

    /// Takes the keys of a row group's rest.
    pub(super) fn keys<'k, K: Iterator<Item = &'k [u8]>>(&mut self, row_group: u32, keys: K) {
        let Some(known) = &mut self.keys else { return };
        for key in keys {
            let row_groups = known.entry(key.to_vec()).or_default();
            if row_groups.last() != Some(&row_group) {
                row_groups.push(row_group);
            }
        }
        if known.len() > KEYS_MAX {
            self.keys = None;
        }
    }

    /// The sections, as (id, part, bytes).
    pub(super) fn finish(self) -> Vec<(Id, u32, Vec<u8>)> {
        let mut sections = Vec::new();
        let encode = |terms: &BTreeMap<Vec<u8>, Vec<u32>>| {
            terms::encode(terms.iter().map(|(term, groups)| (term.as_slice(), groups.as_slice())))
        };
        for (place, values) in self.leaves.iter().enumerate() {
            let part = model::column::count(place);
            if !values.terms.is_empty() {
                sections.push((Id::Terms, part, encode(&values.terms)));
            }
            if values.filter_count > 0 {
                let filters = terms::encode_filters(values.filter_count, &values.filters);
                sections.push((Id::Filters, part, filters));
            }
        }
        // None at all is told as well: whoever asks for a key need not look at the rest.
        if let Some(keys) = &self.keys {
            sections.push((Id::RestKeys, 0, encode(keys)));
        }
        sections
    }
}
