//! Tables that plugins look things up in: the host keeps them fresh, a lookup never waits.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

/// Most entries of one table.
pub const ENTRIES_MAX: usize = 1_000_000;
/// Most bytes of one table.
pub const TABLE_BYTES_MAX: usize = 64 << 20;
/// Most tables.
pub const TABLES_MAX: usize = 64;
/// What an entry takes beside its texts, about: two addresses with lengths and counts, and its place in the map.
const ENTRY_BYTES: usize = 80;
/// Most bytes of all tables, if nobody says otherwise.
const BYTES_MAX: usize = 256 << 20;

/// Keys and their values, counted as they are put in.
#[derive(Clone, Debug, Default)]
pub struct Entries {
    map: HashMap<Arc<str>, Arc<str>>,
    bytes: usize,
    /// Whose bytes were counted: a value may stand under several keys, one after the other.
    last: Option<Arc<str>>,
}

/// A table is larger than it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// More entries than one may have.
    Entries,
    /// More bytes than one may have.
    Bytes,
    /// More bytes than all may have together.
    AllBytes(usize),
    /// More tables than there may be.
    Tables,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entries => write!(f, "more than {ENTRIES_MAX} entries"),
            Self::Bytes => write!(f, "more than {} MiB", TABLE_BYTES_MAX >> 20),
            Self::AllBytes(limit) => write!(f, "with it all tables have more than {limit} bytes"),
            Self::Tables => write!(f, "more than {TABLES_MAX} tables"),
        }
    }
}

impl Entries {
    /// Puts a value under a key; what was there before goes.
    ///
    /// # Errors
    /// It is more than a table may have.
    pub fn insert(&mut self, key: &str, value: &Arc<str>) -> Result<(), Full> {
        let is_counted = self.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, value));
        if !is_counted {
            self.bytes = self.bytes.saturating_add(value.len());
            self.last = Some(Arc::clone(value));
        }
        if self.map.insert(Arc::from(key), Arc::clone(value)).is_none() {
            self.bytes = self.bytes.saturating_add(key.len().saturating_add(ENTRY_BYTES));
        }
        match () {
            () if self.map.len() > ENTRIES_MAX => Err(Full::Entries),
            () if self.bytes > TABLE_BYTES_MAX => Err(Full::Bytes),
            () => Ok(()),
        }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Arc<str>> {
        self.map.get(key)
    }

    /// All of them, in the order of their keys.
    #[must_use]
    pub fn sorted(&self) -> BTreeMap<String, String> {
        let owned = |(key, value): (&Arc<str>, &Arc<str>)| (key.to_string(), value.to_string());
        self.map.iter().map(owned).collect()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }
}

/// Keys and their values, as of one moment.
#[derive(Debug, Default)]
pub struct Table {
    /// Goes up with each change, over all tables.
    pub generation: u64,
    /// What is known.
    pub entries: Entries,
}

/// What is told of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Its name.
    pub name: String,
    /// Its entries.
    pub entries: usize,
    /// Its bytes, about.
    pub bytes: usize,
    /// Goes up with each change, over all tables.
    pub generation: u64,
}

/// All tables, by name.
#[derive(Debug)]
pub struct Tables {
    all: ArcSwap<HashMap<String, Arc<Table>>>,
    /// One change at a time.
    changing: Mutex<()>,
    generation: AtomicU64,
    bytes_max: usize,
}

impl Default for Tables {
    fn default() -> Self {
        Self::new(BYTES_MAX)
    }
}

impl Tables {
    /// None yet, and so many bytes of all of them.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        let (all, changing) = (ArcSwap::default(), Mutex::default());
        Self { all, changing, generation: AtomicU64::new(0), bytes_max }
    }

    /// Puts a table in the place of the one of that name; whether it is another one. Whoever looks up sees all of the old
    /// or all of the new one.
    ///
    /// # Errors
    /// There is no room for it; what was there before stays.
    pub fn replace(&self, name: &str, entries: Entries) -> Result<bool, Full> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let all = self.all.load();
        if all.get(name).is_some_and(|table| table.entries.map == entries.map) {
            return Ok(false);
        }
        let others = all.iter().filter(|(other, _)| *other != name);
        let bytes: usize = others.map(|(_, table)| table.entries.bytes).sum();
        if bytes.saturating_add(entries.bytes) > self.bytes_max {
            return Err(Full::AllBytes(self.bytes_max));
        }
        if !all.contains_key(name) && all.len() >= TABLES_MAX {
            return Err(Full::Tables);
        }
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let mut all = HashMap::clone(&all);
        all.insert(name.to_owned(), Arc::new(Table { generation, entries }));
        self.all.store(Arc::new(all));
        Ok(true)
    }

    /// Takes a table away.
    pub fn remove(&self, name: &str) {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = HashMap::clone(&self.all.load());
        all.remove(name);
        self.all.store(Arc::new(all));
    }

    /// The table of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Table>> {
        self.all.load().get(name).map(Arc::clone)
    }

    /// What there is, by name.
    #[must_use]
    pub fn list(&self) -> Vec<Size> {
        let size = |(name, table): (&String, &Arc<Table>)| {
            let Table { generation, entries } = &**table;
            let (entries, bytes) = (entries.len(), entries.bytes);
            Size { name: name.clone(), entries, bytes, generation: *generation }
        };
        let mut list: Vec<Size> = self.all.load().iter().map(size).collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Entries {
        let mut entries = Entries::default();
        for (key, value) in pairs {
            entries.insert(key, &Arc::from(*value)).unwrap();
        }
        entries
    }

    #[test]
    fn a_replaced_table_has_another_generation() {
        let tables = Tables::default();
        assert!(tables.get("k8s").is_none());
        assert_eq!(tables.replace("k8s", of(&[("a", "1")])), Ok(true));
        let first = tables.get("k8s").unwrap();
        assert_eq!(tables.replace("k8s", of(&[("a", "1")])), Ok(false), "it is the same");
        assert_eq!(tables.get("k8s").unwrap().generation, first.generation);
        assert_eq!(tables.replace("k8s", of(&[])), Ok(true));
        assert_eq!(&**first.entries.get("a").unwrap(), "1");
        let size =
            Size { name: "k8s".to_owned(), entries: 0, bytes: 0, generation: first.generation + 1 };
        assert_eq!(tables.list(), [size]);
        tables.remove("k8s");
        assert!(tables.get("k8s").is_none());
    }

    #[test]
    fn a_value_under_several_keys_is_counted_once() {
        let value: Arc<str> = Arc::from("x".repeat(1_000));
        let mut entries = Entries::default();
        for key in ["a", "b", "c", "c"] {
            entries.insert(key, &value).unwrap();
        }
        assert_eq!(entries.bytes, 1_000 + 3 * (1 + ENTRY_BYTES));
    }

    #[test]
    fn what_is_too_large_leaves_what_was_there() {
        let tables = Tables::new(300);
        tables.replace("a", of(&[("a", "1")])).unwrap();
        let large = of(&[("a", &"x".repeat(250))]);
        assert_eq!(tables.replace("b", large.clone()), Err(Full::AllBytes(300)));
        assert_eq!(tables.replace("a", large), Err(Full::AllBytes(300)));
        assert_eq!(&**tables.get("a").unwrap().entries.get("a").unwrap(), "1");
        let mut entries = Entries::default();
        let value: Arc<str> = Arc::from("x".repeat(TABLE_BYTES_MAX));
        assert_eq!(entries.insert("a", &value), Err(Full::Bytes));
        let many = Tables::default();
        for number in 0..TABLES_MAX {
            many.replace(&number.to_string(), of(&[("a", "1")])).unwrap();
        }
        assert_eq!(many.replace("more", of(&[("a", "1")])), Err(Full::Tables));
    }
}
