//! A few values by small keys, in the order of the keys. A B-tree for each kind of value is 4 kB of code in every plugin.

/// Values by their keys.
#[derive(Clone, Debug)]
pub(super) struct Slots<K, V>(Vec<(K, V)>);

impl<K, V> Default for Slots<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Ord, V> Slots<K, V> {
    /// The value of a key, which is made first if there is none.
    pub(super) fn get_or(&mut self, key: K, new: impl FnOnce() -> V) -> &mut V {
        let at = self.0.partition_point(|(there, _)| *there < key);
        if self.0.get(at).is_none_or(|(there, _)| *there != key) {
            self.0.insert(at, (key, new()));
        }
        &mut self.0[at].1
    }

    /// All, in the order of their keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(key, value)| (key, value))
    }
}
