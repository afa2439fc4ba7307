//! The tables of row groups that were read last, bounded by their bytes.
//!
//! A look-up by id needs where the pages of a row group stand, its resources and its shapes:
//! small, the same for every trace in it, and costly to parse. Shared by all readers of a store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use model::metric::{Counter, Gauge};

use super::reader::Tables;

/// Which row group: of the level, writer and number of a block.
pub type Key = (u8, u64, u64, u32);

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
    tables: Arc<Tables>,
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

    pub(super) fn get(&self, key: Key) -> Option<Arc<Tables>> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.tick += 1;
        let tick = held.tick;
        let found = held.entries.get_mut(&key).map(|entry| {
            entry.used = tick;
            Arc::clone(&entry.tables)
        });
        if found.is_some() {
            self.hits.inc()
        } else {
            self.misses.inc()
        }
        found
    }

    /// Takes tables; what was not used for longest makes room. What is larger than the whole is
    /// not kept.
    pub(super) fn put(&self, key: Key, tables: &Arc<Tables>) {
        let bytes = tables.heap_bytes();
        if bytes > self.bytes_max {
            return;
        }
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        while held.bytes + bytes > self.bytes_max {
            // A few hundred entries at most: each is tens of kilobytes.
            let oldest = held.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(oldest) = oldest.map(|(key, _)| *key) else { break };
            let gone = held.entries.remove(&oldest).map_or(0, |entry| entry.bytes);
            held.bytes -= gone;
        }
        let used = held.tick;
        let entry = Entry { tables: Arc::clone(tables), bytes, used };
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
