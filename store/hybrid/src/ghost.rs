//! How often something was asked for: scans read much once, and what is read twice is worth its place.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::tier::Key;

/// Keys of each of two generations: together 8 GiB of chunks, and about 6 MiB of memory.
const KEYS_MAX: usize = 64 << 10;

/// The keys that were asked for last, in two generations: what is not asked for during one to two of
/// them is forgotten.
#[derive(Debug, Default)]
pub(crate) struct Ghost(Mutex<[HashMap<Key, u8>; 2]>);

impl Ghost {
    /// How often a key was asked for, this time included.
    pub(crate) fn touches(&self, key: Key) -> u8 {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [young, old] = &mut *seen;
        let before = young.get(&key).or_else(|| old.get(&key)).copied().unwrap_or(0);
        let touches = before.saturating_add(1);
        young.insert(key, touches);
        if young.len() >= KEYS_MAX {
            *old = std::mem::take(young);
        }
        touches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_again_is_known_and_long_gone_is_not() {
        let (ghost, key) = (Ghost::default(), |chunk| Key { writer: 1, number: 2, chunk });
        assert_eq!([0, 0, 0].map(|chunk| ghost.touches(key(chunk))), [1, 2, 3]);
        let many = u32::try_from(KEYS_MAX).unwrap();
        assert!((1..many).all(|chunk| ghost.touches(key(chunk)) == 1));
        assert_eq!(ghost.touches(key(0)), 4);
        assert!((0..2 * many).all(|chunk| ghost.touches(key(1 << 20 | chunk)) == 1));
        assert_eq!(ghost.touches(key(0)), 1);
    }
}
