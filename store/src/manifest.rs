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

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use model::metric::Counter;
use model::{Nanos, TenantId};
use tracing::warn;

use crate::backend::Backend;
use crate::error::{Error, Kind};

pub use entry::{
    BlockId, BlockMeta, Catalog, Change, DeleteMarker, L0Id, Lease, Promoted, Redaction, Removal,
};
pub use state::State;

use entry::Entry;

/// Every so many entries, one carries the whole state.
const CHECKPOINT_EVERY: u64 = 32;
/// Blocks, markers and L0 files of a state that is written in every entry: 15 kB, about.
const SMALL: usize = 64;
/// How often a commit is tried anew after another writer's.
const ATTEMPTS: usize = 16;
/// How often a tenant's entries are listed anew when some go while they are read.
const LISTED_MAX: usize = 4;
/// How long it is known which entries are gone: no process may stand still for longer and go on.
const CLOSED_FOR: Nanos = Nanos::from_secs(7 * 86_400);
/// So many entries may be missing in a list between two that are there. What is further from all others is
/// none of them: its name is somebody else's.
const GAP_MAX: u64 = 1_024;
/// The longest entry that is read.
const ENTRY_BYTES_MAX: u64 = 256 << 20;

/// Where the entries of all tenants are.
pub const ROOT: &str = "manifest";
/// Where it says which entries are gone: not among them, as those are listed again and again.
pub const FLOOR: &str = "floor";

/// The manifest of all tenants.
#[derive(Debug)]
pub struct Manifest {
    backend: Arc<dyn Backend>,
    /// Every so many entries, one carries the whole state; so many go together.
    every: u64,
    /// States of at most so many parts are written in every entry.
    small: usize,
    /// Whether other processes may write it.
    has_rivals: bool,
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
        let (every, small, has_rivals) = (CHECKPOINT_EVERY, 0, false);
        Self { backend, every, small, has_rivals, conflicts: Counter::new() }
    }

    /// The manifest in a bucket: each entry that is read takes some ten milliseconds, and other
    /// processes may write it.
    #[must_use]
    pub fn remote(backend: Arc<dyn Backend>) -> Self {
        Self { small: SMALL, has_rivals: true, ..Self::new(backend) }
    }

    /// Reads what every tenant has, so many tenants at a time.
    ///
    /// # Errors
    /// `Io`; `Refused` where a newer version wrote an entry.
    pub fn load(&self, at_once: usize) -> Result<Vec<Loaded>, Error> {
        let listed: Vec<(TenantId, Vec<u64>)> = self.list()?.into_iter().collect();
        let (next, loaded) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        let work = || -> Result<(), Error> {
            while let Some((tenant, sequences)) = listed.get(next.fetch_add(1, Ordering::Relaxed)) {
                let one = self.load_listed(tenant, sequences)?;
                loaded.lock().unwrap_or_else(PoisonError::into_inner).push(one);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let others = at_once.min(listed.len()).saturating_sub(1);
            let threads: Vec<_> = (0..others).map(|_| scope.spawn(work)).collect();
            let own = work();
            let panicked = |_| Err(Error::new(Kind::Fatal, "a thread that reads the manifest"));
            let all = threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked));
            all.fold(own, Result::and)
        })?;
        let mut loaded = loaded.into_inner().unwrap_or_else(PoisonError::into_inner);
        loaded.sort_unstable_by(|a, b| a.tenant.cmp(&b.tenant));
        Ok(loaded)
    }

    /// The entries that there are, by tenant.
    ///
    /// # Errors
    /// `Io`.
    pub fn list(&self) -> Result<BTreeMap<TenantId, Vec<u64>>, Error> {
        let mut listed: BTreeMap<TenantId, Vec<u64>> = BTreeMap::new();
        for name in self.backend.list_tree(ROOT)? {
            let Some((dir, entry)) = name.split_once('/') else {
                warn!(name, "not of the manifest, left alone");
                continue;
            };
            match tenant_of(dir) {
                Some(tenant) => listed.entry(tenant).or_default().extend(sequence_of(entry)),
                None => warn!(name, "not a tenant of the manifest, left alone"),
            }
        }
        Ok(listed)
    }

    /// Reads what a tenant has.
    ///
    /// # Errors
    /// As [`Manifest::load`].
    pub fn load_tenant(&self, tenant: &TenantId) -> Result<Loaded, Error> {
        self.load_listed(tenant, &self.sequences(tenant)?)
    }

    /// The same where its entries were listed just now.
    ///
    /// # Errors
    /// As [`Manifest::load`].
    pub fn load_listed(&self, tenant: &TenantId, listed: &[u64]) -> Result<Loaded, Error> {
        let mut again;
        let mut sequences = listed;
        for _ in 1..LISTED_MAX {
            if let Some(loaded) = self.try_load(tenant, sequences, WhenMissing::ListAgain)? {
                return Ok(loaded);
            }
            // Another writer goes on: what was listed is removed by now.
            again = self.sequences(tenant)?;
            sequences = &again;
        }
        let loaded = self.try_load(tenant, sequences, WhenMissing::IsDamage)?;
        loaded.ok_or_else(|| Error::new(Kind::Io, format!("manifest of {tenant} is not there")))
    }

    fn sequences(&self, tenant: &TenantId) -> Result<Vec<u64>, Error> {
        let names = self.backend.list(&format!("{ROOT}/{}", tenant_dir(tenant)))?;
        Ok(names.iter().filter_map(|name| sequence_of(name)).collect())
    }

    fn try_load(
        &self,
        tenant: &TenantId,
        sequences: &[u64],
        when: WhenMissing,
    ) -> Result<Option<Loaded>, Error> {
        let mut listed: Vec<u64> = sequences.to_vec();
        listed.sort_unstable();
        let mut newest = listed.last().copied().unwrap_or(0);
        // Lists may be late: whether there are newer ones is asked of those.
        while self.has_rivals && self.backend.has(&entry_name(tenant, newest + 1))? {
            newest += 1;
            listed.push(newest);
        }
        let mut damaged = Vec::new();
        let mut entries = Vec::new();
        let mut base = None;
        // One by one, as a list may miss some.
        for sequence in without_gaps(&listed) {
            let name = entry_name(tenant, sequence);
            let read = || {
                let bytes = self.backend.read(&name, ENTRY_BYTES_MAX)?;
                Entry::decode(&bytes, tenant, sequence)
            };
            // Bytes may change on their way: what is damaged is so twice.
            match read().or_else(|error| match error.kind() {
                Kind::Corrupt => read(),
                _ => Err(error),
            }) {
                Ok(mut entry) => {
                    base = entry.checkpoint.take().map(|state| (sequence, *state));
                    if base.is_some() {
                        break;
                    }
                    entries.push(entry);
                }
                Err(error) if error.kind() == Kind::Corrupt => {
                    damaged.push(Damaged { sequence, name, why: error.to_string() });
                }
                Err(error) if error.is_not_found() => {
                    if when == WhenMissing::ListAgain {
                        return Ok(None);
                    }
                    damaged.push(Damaged { sequence, name, why: "it is missing".to_owned() });
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
            state.apply(entry.sequence, entry.at, &entry.change);
        }
        // A sequence is never used again, damaged or not.
        state.sequence = state.sequence.max(newest);
        damaged.reverse();
        Ok(Some(Loaded { tenant: tenant.clone(), state, damaged }))
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
            next.apply(state.sequence + 1, now.0, change);
            let is_checkpoint = state.checkpoint == 0
                || next.sequence >= state.checkpoint + self.every
                || change.is_repair;
            if is_checkpoint {
                next.checkpoint_before = state.checkpoint;
                next.checkpoint = next.sequence;
            }
            let entry = Entry {
                sequence: next.sequence,
                at: now.0,
                change: change.clone(),
                // Small ones are in every entry, so that a start reads one.
                checkpoint: (is_checkpoint || next.parts() <= self.small)
                    .then(|| Box::new(next.clone())),
            };
            let name = entry_name(tenant, next.sequence);
            let bytes = entry.encode(tenant)?;
            match self.create(tenant, (next.sequence, &name), &bytes)? {
                Created::Ours => {
                    if is_checkpoint {
                        self.trim(tenant, next.checkpoint_before, now);
                    }
                    return Ok(next);
                }
                Created::Late => {
                    // Made while it counted, or when it was too late for that: the state says.
                    state = self.load_whole(tenant).map_err(|fault| unknown(&fault))?;
                    if state.reflects(change) {
                        return Ok(state);
                    }
                    continue;
                }
                Created::Theirs => {}
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

    /// Makes an entry.
    fn create(
        &self,
        tenant: &TenantId,
        (sequence, name): (u64, &str),
        bytes: &[u8],
    ) -> Result<Created, Error> {
        let error = match self.backend.create(name, bytes) {
            Ok(true) => return self.is_late(tenant, sequence),
            // It may be ours: an attempt that seemed to fail was made again below.
            Ok(false) => None,
            // The fault may have come behind the name.
            Err(error) => Some(error),
        };
        let is_unknown = |fault: Error| unknown(error.as_ref().unwrap_or(&fault));
        if !self.backend.has(name).map_err(is_unknown)? {
            // Never made, or removed by now with those around it.
            return match (self.is_late(tenant, sequence)?, error) {
                (Created::Late, _) => Ok(Created::Late),
                (_, Some(error)) => Err(error),
                (_, None) => Err(unknown(&Error::new(Kind::Io, format!("{name} is gone")))),
            };
        }
        let there = self.backend.read(name, ENTRY_BYTES_MAX).map_err(is_unknown)?;
        if there != bytes {
            // Bytes that are no entry were wrong on their way: nobody knows whose it is.
            return match Entry::decode(&there, tenant, sequence) {
                Err(fault) if fault.kind() == Kind::Corrupt => Err(unknown(&fault)),
                _ => Ok(Created::Theirs),
            };
        }
        self.settle(tenant).map_err(is_unknown)?;
        self.is_late(tenant, sequence)
    }

    /// Whether entries of about this sequence are of no use any more: this process stood still while
    /// others went on, so that an entry which could be made may be none.
    fn is_late(&self, tenant: &TenantId, sequence: u64) -> Result<Created, Error> {
        if !self.has_rivals {
            return Ok(Created::Ours);
        }
        let closed = self.backend.has(&floor_name(tenant, sequence / self.every));
        if !closed.map_err(|fault| unknown(&fault))? {
            return Ok(Created::Ours);
        }
        warn!(%tenant, sequence, "this process stood still for long, others have gone on");
        // There is a checkpoint behind it, so nobody reads it.
        let removed = self.backend.remove(&entry_name(tenant, sequence));
        removed.map_err(|fault| unknown(&fault)).map(|()| Created::Late)
    }

    /// Makes all entries of a tenant durable that are there to be seen.
    ///
    /// # Errors
    /// `Io`.
    pub fn settle(&self, tenant: &TenantId) -> Result<(), Error> {
        self.backend.settle(&format!("{ROOT}/{}", tenant_dir(tenant)))
    }

    /// Removes the entries before `sequence`, as many together as have one name that says so (where
    /// there are rivals): it is there before they go. What cannot be removed is tried again after the next checkpoint.
    fn trim(&self, tenant: &TenantId, sequence: u64, now: Nanos) {
        let dir = format!("{ROOT}/{}", tenant_dir(tenant));
        let before = sequence / self.every;
        // A tenant's first entries all go together, later: a list costs as much as a write.
        if before == 0 {
            return;
        }
        let outcome = self.backend.list(&dir).and_then(|names| {
            let of = |sequence: &u64| *sequence / self.every;
            let mut due: Vec<u64> = names.iter().filter_map(|name| sequence_of(name)).collect();
            due.retain(|sequence| of(sequence) < before);
            due.sort_unstable();
            for group in due.chunk_by(|a, b| of(a) == of(b)) {
                let Some(first) = group.first() else { continue };
                if self.has_rivals {
                    self.backend.create(&floor_name(tenant, of(first)), &now.0.to_le_bytes())?;
                }
                for sequence in group {
                    self.backend.remove(&entry_name(tenant, *sequence))?;
                }
            }
            if self.has_rivals { self.forget_floor(tenant, now) } else { Ok(()) }
        });
        if let Err(error) = outcome {
            warn!(%tenant, %error, "cannot remove old entries of the manifest");
        }
    }

    /// Removes the oldest of the names that tell which entries are gone, when it is old enough.
    fn forget_floor(&self, tenant: &TenantId, now: Nanos) -> Result<(), Error> {
        let dir = format!("{FLOOR}/{}", tenant_dir(tenant));
        let names = self.backend.list(&dir)?;
        let Some(oldest) = names.first() else { return Ok(()) };
        let name = format!("{dir}/{oldest}");
        // Bytes that were wrong on their way are no time at which it may go.
        let Ok(at) = self.backend.read(&name, 8)?.try_into() else { return Ok(()) };
        let is_old = now.minus(Nanos(u64::from_le_bytes(at))) > CLOSED_FOR;
        if is_old { self.backend.remove(&name) } else { Ok(()) }
    }
}

fn floor_name(tenant: &TenantId, group: u64) -> String {
    format!("{FLOOR}/{}/{group:020}", tenant_dir(tenant))
}

/// What came of making an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Created {
    /// It is there, and counts.
    Ours,
    /// Another writer's is there.
    Theirs,
    /// It was made, if at all, while others went on: the state tells whether it counted.
    Late,
}

/// An error after which nobody knows whether an entry is there.
fn unknown(fault: &Error) -> Error {
    Error::new(Kind::Fatal, fault.to_string())
}

/// What an entry means that is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WhenMissing {
    /// It was removed since it was listed.
    ListAgain,
    /// It should be there.
    IsDamage,
}

/// The sequence of an entry's name.
fn sequence_of(name: &str) -> Option<u64> {
    let sequence = (name.len() == 20).then(|| name.parse().ok()).flatten();
    // No writer comes as far, and there are some behind each.
    sequence.filter(|sequence| *sequence <= u64::MAX / 2)
}

/// These sequences, which ascend, and those between them that a list may have missed: newest first.
fn without_gaps(listed: &[u64]) -> impl Iterator<Item = u64> {
    let before = [None].into_iter().chain(listed.iter().copied().map(Some));
    let pairs: Vec<(Option<u64>, u64)> = before.zip(listed.iter().copied()).collect();
    pairs.into_iter().rev().flat_map(|(before, own)| {
        let first = before.map_or(own, |before| before + 1).min(own);
        let first = if own - first < GAP_MAX { first } else { own };
        (first..=own).rev()
    })
}

fn entry_name(tenant: &TenantId, sequence: u64) -> String {
    format!("{ROOT}/{}/{sequence:020}", tenant_dir(tenant))
}

/// The longest name with `%XX` in it. File systems take 255 bytes, and names of what is set aside have more than
/// the tenant in them.
const DIR_BYTES_MAX: usize = 190;

/// The tenant as one part of a name: all but letters, digits, `_` and `-` as `%XX`; where that would be too
/// long, as it is. No tenant id has a `%` in it, so which of both it is can be told.
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
    if out.len() > DIR_BYTES_MAX { tenant.as_str().to_owned() } else { out }
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
