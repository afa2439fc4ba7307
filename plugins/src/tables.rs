//! Tables that plugins look things up in: the host keeps them fresh, a lookup never waits.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;

/// Most entries of one table.
pub const ENTRIES_MAX: usize = 1_000_000;
/// Most tables.
pub const TABLES_MAX: usize = 64;

/// Keys and their values, as of one moment.
#[derive(Debug, Default)]
pub struct Table {
    /// Goes up with each change, over all tables.
    pub generation: u64,
    /// What is known.
    pub entries: HashMap<String, String>,
}

/// All tables, by name.
#[derive(Debug, Default)]
pub struct Tables {
    all: ArcSwap<HashMap<String, Arc<Table>>>,
    generation: AtomicU64,
}

impl Tables {
    /// Puts a table in the place of the one of that name. Whoever looks up sees all of the old or all of the new
    /// one.
    pub fn replace(&self, name: &str, entries: HashMap<String, String>) {
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        let table = Arc::new(Table { generation, entries });
        self.all.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.insert(name.to_owned(), Arc::clone(&table));
            all
        });
    }

    /// The table of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Arc<Table>> {
        self.all.load().get(name).map(Arc::clone)
    }

    /// Names, entries and generations, by name.
    #[must_use]
    pub fn list(&self) -> Vec<(String, usize, u64)> {
        let all = self.all.load();
        let mut list: Vec<_> = all
            .iter()
            .map(|(name, table)| (name.clone(), table.entries.len(), table.generation))
            .collect();
        list.sort();
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_table_has_another_generation() {
        let tables = Tables::default();
        assert!(tables.get("k8s").is_none());
        tables.replace("k8s", HashMap::from([("a".to_owned(), "1".to_owned())]));
        let first = tables.get("k8s").unwrap();
        tables.replace("k8s", HashMap::default());
        assert_eq!(first.entries["a"], "1");
        assert_eq!(tables.list(), [("k8s".to_owned(), 0, first.generation + 1)]);
    }
}
