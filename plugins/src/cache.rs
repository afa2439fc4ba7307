//! What a plugin remembers of a tenant between calls: bounded in bytes, the entry that was not used for the
//! longest time goes first.

use std::collections::{BTreeMap, HashMap};

use model::Nanos;

/// What an entry costs beside its key and value.
const ENTRY_BYTES: usize = 96;

/// A bounded map.
#[derive(Debug)]
pub(crate) struct Cache {
    entries: HashMap<String, Entry>,
    /// Keys in the order of their last use.
    used: BTreeMap<u64, String>,
    uses: u64,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Debug)]
struct Entry {
    value: Vec<u8>,
    expires: Nanos,
    used: u64,
}

impl Cache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        let (entries, used) = (HashMap::new(), BTreeMap::new());
        Self { entries, used, uses: 0, bytes: 0, bytes_max }
    }

    /// What is known under a key, until it expires.
    pub(crate) fn get(&mut self, key: &str, now: Nanos) -> Option<Vec<u8>> {
        if self.entries.get(key)?.expires <= now {
            self.remove(key);
            return None;
        }
        self.uses += 1;
        let entry = self.entries.get_mut(key)?;
        let key = self.used.remove(&entry.used)?;
        entry.used = self.uses;
        self.used.insert(self.uses, key);
        Some(entry.value.clone())
    }

    /// Keeps a value; one that is larger than all that may be kept is not.
    pub(crate) fn set(&mut self, key: String, value: Vec<u8>, expires: Nanos) {
        self.remove(&key);
        let cost = cost(&key, &value);
        if cost > self.bytes_max {
            return;
        }
        while self.bytes + cost > self.bytes_max {
            let Some(oldest) = self.used.first_key_value().map(|(_, key)| key.clone()) else {
                break;
            };
            self.remove(&oldest);
        }
        self.uses += 1;
        self.bytes += cost;
        self.used.insert(self.uses, key.clone());
        self.entries.insert(key, Entry { value, expires, used: self.uses });
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            self.used.remove(&entry.used);
            self.bytes -= cost(key, &entry.value);
        }
    }

    /// Bytes that it takes.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }
}

const fn cost(key: &str, value: &[u8]) -> usize {
    2 * key.len() + value.len() + ENTRY_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_used_goes_and_what_expires_is_not_seen() {
        let mut cache = Cache::new(3 * (ENTRY_BYTES + 3));
        for key in ["a", "b", "c"] {
            cache.set(key.to_owned(), vec![1], Nanos(10));
        }
        assert!(cache.get("a", Nanos(5)).is_some());
        cache.set("d".to_owned(), vec![2], Nanos(20));
        assert_eq!(cache.get("b", Nanos(5)), None);
        assert_eq!(cache.get("a", Nanos(10)), None);
        assert_eq!(cache.get("d", Nanos(10)), Some(vec![2]));
        cache.set("large".to_owned(), vec![0; 10_000], Nanos(20));
        assert_eq!(cache.get("large", Nanos(1)), None);
        for at in 0..1_000 {
            cache.set(format!("{at}"), vec![0; at % 7], Nanos(20));
            assert!(cache.bytes() <= cache.bytes_max);
            assert_eq!(cache.entries.len(), cache.used.len());
        }
    }
}
