//! Sets of keys as configurations write them: `db.user`, or `http.request.header.*` for all that begin so.

use std::collections::BTreeSet;

use serde::Deserialize;

/// Keys, and beginnings of keys.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Vec<String>")]
pub struct Keys {
    exact: BTreeSet<String>,
    prefixes: Vec<String>,
}

impl From<Vec<String>> for Keys {
    fn from(list: Vec<String>) -> Self {
        let mut keys = Self::default();
        for key in list {
            match key.strip_suffix('*') {
                Some(prefix) => keys.prefixes.push(prefix.to_owned()),
                None => {
                    keys.exact.insert(key);
                }
            }
        }
        keys
    }
}

impl Keys {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }

    /// Whether `key` is one of them.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.exact.contains(key) || self.prefixes.iter().any(|prefix| key.starts_with(prefix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_at_the_end_is_all_that_begins_so() {
        let keys = Keys::from(vec!["db.user".to_owned(), "http.*".to_owned()]);
        assert!(keys.has("db.user") && keys.has("http.url") && keys.has("http."));
        assert!(!keys.has("db.users") && !keys.has("http") && !keys.has("*"));
        assert!(Keys::from(vec!["*".to_owned()]).has("anything"));
    }
}
