//! Tokens that held a moment ago: a signature costs as much to check as receiving a request.
//!
//! They are known by their hash (SHA-256), for a minute at most, and forgotten when an issuer's keys change.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use model::Nanos;

use super::principal::Principal;

/// How long a token is believed without a look.
const HOLDS: Nanos = Nanos::from_secs(60);
/// Parts that are locked by themselves.
const SHARDS: usize = 16;
/// The most tokens of a part: 64 k in all.
const SHARD_MAX: usize = 4 << 10;

type Hash = [u8; 32];

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Verified {
    shards: [Mutex<HashMap<Hash, Entry>>; SHARDS],
}

#[derive(Debug)]
struct Entry {
    principal: Arc<Principal>,
    until: Nanos,
    generation: u64,
}

impl Verified {
    /// Whose a token is, if it held a moment ago, by keys of this generation.
    pub(super) fn find(&self, token: &str, now: Nanos, generation: u64) -> Option<Arc<Principal>> {
        let hash = hash(token);
        let shard = self.shard(&hash)?.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = shard.get(&hash)?;
        let holds = entry.generation == generation && now < entry.until;
        holds.then(|| Arc::clone(&entry.principal))
    }

    /// Keeps one that holds.
    pub(super) fn keep(
        &self,
        token: &str,
        principal: &Arc<Principal>,
        now: Nanos,
        generation: u64,
    ) {
        let hash = hash(token);
        let Some(shard) = self.shard(&hash) else { return };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= SHARD_MAX {
            shard.retain(|_, entry| entry.generation == generation && now < entry.until);
        }
        if shard.len() >= SHARD_MAX {
            shard.clear();
        }
        let until = now.plus(HOLDS).min(principal.expires_at);
        let principal = Arc::clone(principal);
        shard.insert(hash, Entry { principal, until, generation });
    }

    fn shard(&self, hash: &Hash) -> Option<&Mutex<HashMap<Hash, Entry>>> {
        self.shards.get(usize::from(hash[0]) % SHARDS)
    }
}

fn hash(token: &str) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
    hash
}
