//! Values by key, in the order of their last use: what bounded caches are made of.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// Values with a size each; whoever owns it holds it to a bound.
#[derive(Debug)]
pub(crate) struct Lru<K, V> {
    entries: HashMap<K, Entry<V>>,
    /// The keys by when they were used last.
    order: BTreeMap<u64, K>,
    size: usize,
    tick: u64,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    size: usize,
    used: u64,
}

impl<K, V> Default for Lru<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), size: 0, tick: 0 }
    }
}

impl<K: Copy + Eq + Hash, V> Lru<K, V> {
    /// The value of a key, which is the last used one now.
    pub(crate) fn get(&mut self, key: K) -> Option<&V> {
        let entry = self.entries.get_mut(&key)?;
        self.tick += 1;
        self.order.remove(&entry.used);
        entry.used = self.tick;
        self.order.insert(self.tick, key);
        Some(&entry.value)
    }

    /// Whether a key has a value; that is no use of it.
    pub(crate) fn has(&self, key: K) -> bool {
        self.entries.contains_key(&key)
    }

    /// Takes a value in place of the one that the key has. What was not used for longest goes until
    /// all sizes together are at most `max`; a value that is larger by itself is not kept.
    pub(crate) fn put(&mut self, key: K, value: V, size: usize, max: usize) {
        if size > max {
            return;
        }
        self.remove(key);
        while self.size + size > max {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.remove(oldest);
        }
        self.tick += 1;
        self.size += size;
        self.order.insert(self.tick, key);
        self.entries.insert(key, Entry { value, size, used: self.tick });
    }

    pub(crate) fn remove(&mut self, key: K) {
        if let Some(gone) = self.entries.remove(&key) {
            self.order.remove(&gone.used);
            self.size -= gone.size;
        }
    }

    /// Removes all keys for which this is true.
    pub(crate) fn remove_all(&mut self, is_gone: impl Fn(&K) -> bool) {
        let gone: Vec<K> = self.entries.keys().copied().filter(is_gone).collect();
        gone.into_iter().for_each(|key| self.remove(key));
    }

    /// All sizes together.
    pub(crate) fn size(&self) -> usize {
        self.size
    }
}
