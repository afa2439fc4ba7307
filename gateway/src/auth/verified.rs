//! What somebody showed a moment ago, and what it came to: a signature costs as much to check as receiving a request.
//!
//! It is known by its hash (SHA-256), and forgotten when an issuer's keys, or a plugin, change.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use model::Nanos;

/// Parts that are locked by themselves.
const SHARDS: usize = 16;
/// The most of a part: 64 k in all.
const SHARD_MAX: usize = 4 << 10;

type Hash = [u8; 32];

/// See the module.
#[derive(Debug)]
pub(super) struct Verified<T> {
    shards: [Mutex<HashMap<Hash, Entry<T>>>; SHARDS],
}

impl<T> Default for Verified<T> {
    fn default() -> Self {
        Self { shards: Default::default() }
    }
}

#[derive(Debug)]
struct Entry<T> {
    told: T,
    until: Nanos,
    generation: u64,
}

impl<T: Clone> Verified<T> {
    /// What it came to, if it was shown a moment ago, by keys of this generation.
    pub(super) fn find(&self, shown: &[u8], now: Nanos, generation: u64) -> Option<T> {
        let hash = hash(shown);
        let shard = self.shard(&hash)?.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = shard.get(&hash)?;
        let holds = entry.generation == generation && now < entry.until;
        holds.then(|| entry.told.clone())
    }

    /// Keeps what it came to, until it does not hold any more.
    pub(super) fn keep(
        &self,
        shown: &[u8],
        told: &T,
        (now, until): (Nanos, Nanos),
        generation: u64,
    ) {
        let hash = hash(shown);
        let Some(shard) = self.shard(&hash) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= SHARD_MAX {
            shard.retain(|_, entry| entry.generation == generation && now < entry.until);
        }
        if shard.len() >= SHARD_MAX {
            shard.clear();
        }
        shard.insert(hash, Entry { told: told.clone(), until, generation });
    }

    fn shard(&self, hash: &Hash) -> Option<&Mutex<HashMap<Hash, Entry<T>>>> {
        self.shards.get(usize::from(hash[0]) % SHARDS)
    }
}

fn hash(shown: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, shown).as_ref());
    hash
}
