//! The manifest: which blocks a tenant has, as a chain of entries that are created if absent.
//!
//! `manifest/{tenant}/{sequence:020}`: each entry says what changed; now and then one carries the
//! whole state, and what is older goes. An entry that adds blocks names the L0 files that they
//! were made of, so that no crash leaves a span lost or doubled: what is named there is dropped at
//! the next start, what is not is merged again. `docs/reference/manifest.md` has the format.

mod entry;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use model::metric::Counter;
use model::{Nanos, TenantId};
use tracing::warn;

use crate::backend::Backend;
use crate::error::{Error, Kind};

pub use entry::{BlockId, BlockMeta, Change, L0Id, Promoted, Removal};
pub use state::State;

use entry::Entry;

/// Every so many entries, one carries the whole state.
const CHECKPOINT_EVERY: u64 = 32;
/// How often a commit is tried anew after another writer's.
const ATTEMPTS: usize = 16;
/// The longest entry that is read.
const ENTRY_BYTES_MAX: u64 = 256 << 20;

/// Where the entries of all tenants are.
pub const ROOT: &str = "manifest";

/// The manifest of all tenants.
#[derive(Debug)]
pub struct Manifest {
    backend: Arc<dyn Backend>,
    /// Commits that another writer was faster than.
    pub conflicts: Counter,
}

/// What a tenant has, as far as it could be read.
#[derive(Debug)]
pub struct Loaded {
    /// Whose it is.
    pub tenant: TenantId,
    /// What it has.
    pub state: State,
    /// Entries that could not be read: changes since the first of them may be missing.
    pub damaged: Vec<Damaged>,
}

/// An entry that is not what was written.
#[derive(Clone, Debug)]
pub struct Damaged {
    /// Its sequence.
    pub sequence: u64,
    /// The name of the object.
    pub name: String,
    /// What is wrong.
    pub why: String,
}

impl Manifest {
    /// The manifest in this place.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend, conflicts: Counter::new() }
    }

    /// Reads what every tenant has.
    ///
    /// # Errors
    /// `Io`; `Refused` where a newer version wrote an entry.
    pub fn load(&self) -> Result<Vec<Loaded>, Error> {
        let mut loaded = Vec::new();
        for name in self.backend.list(ROOT)? {
            let Some(tenant) = tenant_of(&name) else {
                warn!(name, "not a tenant of the manifest, left alone");
                continue;
            };
            loaded.push(self.load_tenant(&tenant)?);
        }
        Ok(loaded)
    }

    /// Reads what a tenant has.
    ///
    /// # Errors
    /// As [`Manifest::load`].
    pub fn load_tenant(&self, tenant: &TenantId) -> Result<Loaded, Error> {
        let dir = format!("{ROOT}/{}", tenant_dir(tenant));
        let mut sequences: Vec<u64> = self
            .backend
            .list(&dir)?
            .iter()
            .filter_map(|name| (name.len() == 20).then(|| name.parse().ok()).flatten())
            .collect();
        sequences.sort_unstable();
        let mut damaged = Vec::new();
        let mut entries = Vec::new();
        let mut base = None;
        for sequence in sequences.iter().rev() {
            let name = entry_name(tenant, *sequence);
            let read = || {
                let bytes = self.backend.read(&name, ENTRY_BYTES_MAX)?;
                Entry::decode(&bytes, tenant, *sequence)
            };
            // Bytes may change on their way: what is damaged is so twice.
            match read().or_else(|error| match error.kind() {
                Kind::Corrupt => read(),
                _ => Err(error),
            }) {
                Ok(mut entry) => {
                    base = entry.checkpoint.take().map(|state| (*sequence, *state));
                    if base.is_some() {
                        break;
                    }
                    entries.push(entry);
                }
                Err(error) if error.kind() == Kind::Corrupt => {
                    damaged.push(Damaged { sequence: *sequence, name, why: error.to_string() });
                }
                Err(error) => return Err(error),
            }
        }
        let mut state = State::default();
        if let Some((sequence, checkpoint)) = base {
            state = checkpoint;
            state.sequence = sequence;
        }
        for entry in entries.into_iter().rev() {
            state.apply(entry.sequence, &entry.change);
        }
        // A sequence is never used again, damaged or not.
        state.sequence = state.sequence.max(sequences.last().copied().unwrap_or(0));
        damaged.reverse();
        Ok(Loaded { tenant: tenant.clone(), state, damaged })
    }

    /// Commits a change on top of `state` and returns what the tenant has then.
    ///
    /// # Errors
    /// `Unavailable` when there is no space; `Refused` when another writer took what the change is
    /// about; `Io`. Nothing is changed then. `Fatal` when the disk failed so that the change may be
    /// there or not: the next commit, or the next start, finds out.
    pub fn commit(
        &self,
        tenant: &TenantId,
        state: &State,
        change: &Change,
        now: Nanos,
    ) -> Result<State, Error> {
        let mut state = state.clone();
        for _ in 0..ATTEMPTS {
            state.check(change)?;
            let mut next = state.clone();
            next.apply(state.sequence + 1, change);
            let is_checkpoint = state.checkpoint == 0
                || next.sequence >= state.checkpoint + CHECKPOINT_EVERY
                || change.is_repair;
            if is_checkpoint {
                next.checkpoint_before = state.checkpoint;
                next.checkpoint = next.sequence;
            }
            let entry = Entry {
                sequence: next.sequence,
                at: now.0,
                change: change.clone(),
                checkpoint: is_checkpoint.then(|| Box::new(next.clone())),
            };
            let name = entry_name(tenant, next.sequence);
            let bytes = entry.encode(tenant)?;
            let created = self.backend.create(&name, &bytes);
            if created.or_else(|error| self.find_out(tenant, &name, &bytes, error))? {
                if is_checkpoint {
                    self.trim(tenant, next.checkpoint_before);
                }
                return Ok(next);
            }
            self.conflicts.inc();
            state = self.load_whole(tenant)?;
        }
        Err(Error::new(Kind::Unavailable, format!("manifest of {tenant}: too many writers")))
    }

    /// Reads what a tenant has, for who goes on by it.
    ///
    /// # Errors
    /// As [`Manifest::load`]; `Fatal` where an entry is damaged, and with it what is true.
    pub fn load_whole(&self, tenant: &TenantId) -> Result<State, Error> {
        let Loaded { state, damaged, .. } = self.load_tenant(tenant)?;
        match damaged.first() {
            Some(Damaged { name, why, .. }) => {
                Err(Error::new(Kind::Fatal, format!("{name} is damaged: {why}")))
            }
            None => Ok(state),
        }
    }

    /// Whether an entry is ours though creating it failed: the fault may have come behind its name.
    fn find_out(
        &self,
        tenant: &TenantId,
        name: &str,
        bytes: &[u8],
        error: Error,
    ) -> Result<bool, Error> {
        let dir = format!("{ROOT}/{}", tenant_dir(tenant));
        let unknown = |_| Error::new(Kind::Fatal, error.to_string());
        let there = self.backend.list(&dir).map_err(unknown)?;
        if there.iter().all(|there| format!("{dir}/{there}") != name) {
            return Err(error);
        }
        if self.backend.read(name, ENTRY_BYTES_MAX).map_err(unknown)? != bytes {
            return Ok(false);
        }
        self.settle(tenant).map_err(unknown)?;
        Ok(true)
    }

    /// Makes all entries of a tenant durable that are there to be seen.
    ///
    /// # Errors
    /// `Io`.
    pub fn settle(&self, tenant: &TenantId) -> Result<(), Error> {
        self.backend.settle(&format!("{ROOT}/{}", tenant_dir(tenant)))
    }

    /// Removes the entries before `sequence`. What cannot be removed is tried again after the next
    /// checkpoint.
    fn trim(&self, tenant: &TenantId, sequence: u64) {
        let dir = format!("{ROOT}/{}", tenant_dir(tenant));
        let Ok(names) = self.backend.list(&dir) else { return };
        for name in names {
            if name.parse::<u64>().is_ok_and(|number| number < sequence)
                && let Err(error) = self.backend.remove(&format!("{dir}/{name}"))
            {
                warn!(%tenant, %error, "cannot remove an old entry of the manifest");
                return;
            }
        }
    }
}

fn entry_name(tenant: &TenantId, sequence: u64) -> String {
    format!("{ROOT}/{}/{sequence:020}", tenant_dir(tenant))
}

/// The tenant as one part of a name: all but letters, digits, `_` and `-` as `%XX`.
#[must_use]
pub fn tenant_dir(tenant: &TenantId) -> String {
    let mut out = String::with_capacity(tenant.as_str().len());
    for byte in tenant.as_str().bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' => out.push(char::from(byte)),
            _ => {
                let hex = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or('0');
                out.extend(['%', hex(byte >> 4), hex(byte & 15)]);
            }
        }
    }
    out
}

/// The tenant of a name that [`tenant_dir`] made.
#[must_use]
pub fn tenant_of(dir: &str) -> Option<TenantId> {
    let mut bytes = Vec::with_capacity(dir.len());
    let mut rest = dir.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit()?, digit()?);
            bytes.push(u8::try_from(high << 4 | low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let tenant = TenantId::parse(std::str::from_utf8(&bytes).ok()?).ok()?;
    (tenant_dir(&tenant) == dir).then_some(tenant)
}
