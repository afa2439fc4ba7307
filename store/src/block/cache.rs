//! What was read last of row groups, bounded by its bytes: their tables, the summaries of their
//! traces, dictionaries of their columns, and the columns that queries judge by.
//!
//! A look-up by id needs where the pages of a row group stand, its resources and its shapes, and
//! of each dictionary a few values: all the same for every trace in it, and costly to unpack.
//! Queries over whole row groups find the columns that they judge by as they are decoded: that is
//! most of what a query costs. Shared by all readers of a store; merging puts tables there, and no
//! columns.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::metric::{Counter, Gauge};

use super::page::{Decoder, Owned};
use super::reader::{Kept, Tables};
use super::section::summary::Summary;
use crate::error::Error;
use crate::lru::Lru;

/// The level, writer and number of a block.
pub type BlockKey = (u8, u64, u64);

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) block: BlockKey,
    pub(super) row_group: u32,
    pub(super) what: What,
}

/// What is kept of a row group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum What {
    Tables,
    Summary,
    /// Of the leaf at this place.
    Dictionary(u32),
    /// All of the leaf at this place.
    Column(u32),
}

/// What an item takes besides itself, about.
const ENTRY_BYTES: usize = size_of::<Item>() + 2 * size_of::<Key>() + 48;
/// Decoders that wait to be used again; more are let go.
const DECODERS_MAX: usize = 8;

/// The cache; see the module.
#[derive(Debug)]
pub struct Cache {
    bytes_max: usize,
    held: Mutex<Lru<Key, Item>>,
    decoders: Mutex<Vec<Decoder>>,
    /// Look-ups that found what they asked for.
    pub hits: Counter,
    /// Look-ups that did not.
    pub misses: Counter,
    /// Bytes held.
    pub bytes: Gauge,
}

#[derive(Clone, Debug)]
enum Item {
    Tables(Arc<Tables>),
    Summary(Arc<Summary>),
    Dictionary(Arc<Owned>),
    Column(Arc<Kept>),
}

impl Cache {
    /// A cache of at most so many bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            held: Mutex::default(),
            decoders: Mutex::default(),
            hits: Counter::new(),
            misses: Counter::new(),
            bytes: Gauge::new(),
        }
    }

    pub(super) fn tables(&self, key: Key) -> Option<Arc<Tables>> {
        match self.get(key)? {
            Item::Tables(tables) => Some(tables),
            _ => None,
        }
    }

    pub(super) fn summary(&self, key: Key) -> Option<Arc<Summary>> {
        match self.get(key)? {
            Item::Summary(summary) => Some(summary),
            _ => None,
        }
    }

    pub(super) fn dictionary(&self, key: Key) -> Option<Arc<Owned>> {
        match self.get(key)? {
            Item::Dictionary(values) => Some(values),
            _ => None,
        }
    }

    pub(super) fn put_tables(&self, key: Key, tables: &Arc<Tables>) {
        self.put(key, Item::Tables(Arc::clone(tables)), tables.heap_bytes());
    }

    pub(super) fn put_summary(&self, key: Key, summary: &Arc<Summary>) {
        self.put(key, Item::Summary(Arc::clone(summary)), summary.heap_bytes());
    }

    pub(super) fn column(&self, key: Key) -> Option<Arc<Kept>> {
        match self.get(key)? {
            Item::Column(kept) => Some(kept),
            _ => None,
        }
    }

    pub(super) fn put_column(&self, key: Key, column: Kept) {
        let bytes = column.heap_bytes();
        self.put(key, Item::Column(Arc::new(column)), bytes);
    }

    pub(super) fn put_dictionary(&self, key: Key, values: &Arc<Owned>) {
        self.put(key, Item::Dictionary(Arc::clone(values)), values.heap_bytes());
    }

    fn get(&self, key: Key) -> Option<Item> {
        let found = self.held().get(key).cloned();
        match &found {
            Some(_) => self.hits.inc(),
            None => self.misses.inc(),
        }
        found
    }

    /// Whether it is there, for whoever does not take it yet.
    pub(super) fn has(&self, key: Key) -> bool {
        self.held().has(key)
    }

    /// Takes an item; what was not used for longest makes room. What is larger than the whole is
    /// not kept.
    fn put(&self, key: Key, item: Item, bytes: usize) {
        let mut held = self.held();
        held.put(key, item, bytes + ENTRY_BYTES, self.bytes_max);
        self.bytes.set(held.size() as u64);
    }

    /// Forgets a block.
    pub(crate) fn forget(&self, block: BlockKey) {
        let mut held = self.held();
        held.remove_all(|key| key.block == block);
        self.bytes.set(held.size() as u64);
    }

    /// A decoder, one that was used before if there is any: making one costs as much as reading
    /// a few small pages.
    ///
    /// # Errors
    /// `Io` where the library cannot be set up.
    pub(super) fn decoder(&self) -> Result<Decoder, Error> {
        let known = self.decoders.lock().unwrap_or_else(PoisonError::into_inner).pop();
        known.map_or_else(Decoder::new, Ok)
    }

    /// Takes a decoder back.
    pub(super) fn put_decoder(&self, mut decoder: Decoder) {
        decoder.shrink();
        let mut decoders = self.decoders.lock().unwrap_or_else(PoisonError::into_inner);
        if decoders.len() < DECODERS_MAX {
            decoders.push(decoder);
        }
    }

    fn held(&self) -> MutexGuard<'_, Lru<Key, Item>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64, leaf: u32) -> Key {
        Key { block: (1, 7, number), row_group: 0, what: What::Dictionary(leaf) }
    }

    /// So many bytes, about.
    fn words(count: usize) -> Arc<Owned> {
        Arc::new(Owned::Words(vec![0; count]))
    }

    #[test]
    fn what_was_not_used_for_longest_makes_room() {
        let one = words(100).heap_bytes() + ENTRY_BYTES;
        let cache = Cache::new(one * 3);
        (0..3).for_each(|leaf| cache.put_dictionary(key(1, leaf), &words(100)));
        assert!(cache.dictionary(key(1, 0)).is_some());
        cache.put_dictionary(key(2, 0), &words(100));
        assert!(cache.dictionary(key(1, 1)).is_none());
        assert!(cache.dictionary(key(1, 0)).is_some() && cache.dictionary(key(1, 2)).is_some());
        cache.put_dictionary(key(3, 0), &words(10_000));
        assert!(cache.dictionary(key(3, 0)).is_none());
        assert_eq!(cache.bytes.get(), 3 * one as u64);
        assert_eq!((cache.hits.get(), cache.misses.get()), (3, 2));
    }

    #[test]
    fn a_block_is_forgotten_with_all_that_is_its() {
        let cache = Cache::new(1 << 20);
        (0..3).for_each(|leaf| cache.put_dictionary(key(1, leaf), &words(10)));
        cache.put_dictionary(key(2, 0), &words(10));
        // Another value for the same key takes its place.
        cache.put_dictionary(key(2, 0), &words(20));
        cache.forget((1, 7, 1));
        assert!((0..3).all(|leaf| cache.dictionary(key(1, leaf)).is_none()));
        assert_eq!(cache.bytes.get(), (words(20).heap_bytes() + ENTRY_BYTES) as u64);
        cache.forget((1, 7, 2));
        assert_eq!(cache.bytes.get(), 0);
    }
}
