//! The tables and dictionaries of row groups that were read last, bounded by their bytes.
//!
//! A look-up by id needs where the pages of a row group stand, its resources, its shapes, and the
//! dictionaries of the columns that its rows have: the same for every trace in it, and costly to
//! unpack for 25 rows. Shared by all readers of a store; reads of whole row groups pass it by.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::metric::{Counter, Gauge};

use super::page::Owned;
use super::reader::Tables;

/// Which row group: of the level, writer and number of a block; and which leaf's dictionary, or
/// [`TABLES`].
pub type Key = (u8, u64, u64, u32, u32);

/// Stands for the tables in place of a leaf.
pub(super) const TABLES: u32 = u32::MAX;

/// What is held.
#[derive(Clone, Debug)]
pub(super) enum Cached {
    Tables(Arc<Tables>),
    Dictionary(Arc<Owned>),
}

impl Cached {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Tables(tables) => tables.heap_bytes(),
            Self::Dictionary(dictionary) => dictionary.heap_bytes(),
        }
    }
}

/// The cache; see the module.
#[derive(Debug)]
pub struct Cache {
    bytes_max: usize,
    held: Mutex<Held>,
    /// Look-ups that found what they asked for.
    pub hits: Counter,
    /// Look-ups that did not.
    pub misses: Counter,
    /// Bytes held.
    pub bytes: Gauge,
}

#[derive(Debug, Default)]
struct Held {
    entries: HashMap<Key, Entry>,
    bytes: usize,
    tick: u64,
}

#[derive(Debug)]
struct Entry {
    value: Cached,
    bytes: usize,
    used: u64,
}

impl Cache {
    /// A cache of at most so many bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            held: Mutex::default(),
            hits: Counter::new(),
            misses: Counter::new(),
            bytes: Gauge::new(),
        }
    }

    pub(super) fn get(&self, key: Key) -> Option<Cached> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.tick += 1;
        let tick = held.tick;
        let found = held.entries.get_mut(&key).map(|entry| {
            entry.used = tick;
            entry.value.clone()
        });
        if found.is_some() {
            self.hits.inc()
        } else {
            self.misses.inc()
        }
        found
    }

    /// Takes a value; what was not used for longest makes room. What is larger than the whole is
    /// not kept.
    pub(super) fn put(&self, key: Key, value: Cached) {
        let bytes = value.heap_bytes() + size_of::<Entry>() + size_of::<Key>();
        if bytes > self.bytes_max {
            return;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        while held.bytes + bytes > self.bytes_max {
            // Some thousand entries at most, and only when something was unpacked.
            let oldest = held.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { break };
            let gone = held.entries.remove(&oldest).map_or(0, |entry| entry.bytes);
            held.bytes -= gone;
        }
        let used = held.tick;
        let entry = Entry { value, bytes, used };
        held.bytes += bytes;
        if let Some(before) = held.entries.insert(key, entry) {
            held.bytes -= before.bytes;
        }
        self.bytes.set(held.bytes as u64);
    }

    /// Forgets a block.
    pub fn forget(&self, level: u8, writer: u64, number: u64) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone = 0;
        held.entries.retain(|key, entry| {
            let other = (key.0, key.1, key.2) != (level, writer, number);
            gone += if other { 0 } else { entry.bytes };
            other
        });
        held.bytes -= gone;
        self.bytes.set(held.bytes as u64);
    }
}
