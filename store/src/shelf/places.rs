//! In which files of a tenant a trace stands, by the short hash of its id.
//!
//! Kept from query to query: a file is read once, when a query first meets it. What is known may
//! be of more files than a view has, and a hash may be another trace's: it tells where a trace is
//! not, and where it may be.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, Weak};

use model::TenantId;

use super::{Block, Part};
use crate::block::section::index::Entry;
use crate::l0::L0;

/// The most traces, of all tenants: 30 bytes each, about.
const TRACES_MAX: usize = 2 << 20;
/// The most tenants of which something is known.
const TENANTS_MAX: usize = 1_024;

/// What is known of all tenants.
#[derive(Debug, Default)]
pub(crate) struct Places {
    tenants: Mutex<HashMap<TenantId, Arc<RwLock<Known>>>>,
}

/// What is known of one tenant.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Each with its traces, by hash.
    files: Vec<(Held, Vec<Entry>)>,
    counts: HashMap<u32, u32>,
    several: HashSet<u32>,
    /// Whether there are more traces than are kept.
    is_full: bool,
}

#[derive(Debug)]
enum Held {
    L0(Weak<L0>),
    Block(Weak<Block>),
}

impl Held {
    fn new(part: &Part) -> Option<Self> {
        match part {
            Part::Head(..) => None,
            Part::L0(l0) => Some(Self::L0(Arc::downgrade(l0))),
            Part::Block(block) => Some(Self::Block(Arc::downgrade(block))),
        }
    }

    fn is(&self, part: &Part) -> bool {
        match (self, part) {
            (Self::L0(held), Part::L0(l0)) => std::ptr::eq(held.as_ptr(), Arc::as_ptr(l0)),
            (Self::Block(held), Part::Block(block)) => {
                std::ptr::eq(held.as_ptr(), Arc::as_ptr(block))
            }
            _ => false,
        }
    }

    /// Whether a view, or what comes next, may still have it.
    fn is_used(&self) -> bool {
        match self {
            Self::L0(held) => held.strong_count() > 0,
            Self::Block(held) => held.strong_count() > 0,
        }
    }
}

impl Places {
    /// What is known of a tenant's files, these among them. `entries` reads the index of the
    /// traces of a part that is a file; where it cannot, the part counts as one without traces for
    /// now.
    pub(crate) fn of(
        &self,
        tenant: &TenantId,
        parts: &[Part],
        entries: impl FnMut(&Part) -> Option<Vec<Entry>>,
    ) -> Arc<RwLock<Known>> {
        let known = self.tenant(tenant);
        let is_new = {
            let known = known.read().unwrap_or_else(PoisonError::into_inner);
            known.news(parts).next().is_some()
        };
        if is_new {
            // Whoever asks meanwhile waits, and need not read the same.
            known.write().unwrap_or_else(PoisonError::into_inner).learn(parts, entries);
            self.hold();
        }
        known
    }

    /// Forgets everything, where together there is more than may be.
    fn hold(&self) {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        let len = |known: &Arc<RwLock<Known>>| known.try_read().map_or(0, |known| known.counts.len());
        if tenants.len() > 1 && tenants.values().map(len).sum::<usize>() > TRACES_MAX {
            tenants.clear();
        }
    }

    fn tenant(&self, tenant: &TenantId) -> Arc<RwLock<Known>> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() >= TENANTS_MAX && !tenants.contains_key(tenant) {
            tenants.clear();
        }
        Arc::clone(tenants.entry(tenant.clone()).or_default())
    }
}

impl Known {
    fn news<'p>(&self, parts: &'p [Part]) -> impl Iterator<Item = &'p Part> {
        let is_known = |part: &Part| self.files.iter().any(|(held, _)| held.is(part));
        parts.iter().filter(move |part| !matches!(part, Part::Head(..)) && !is_known(part))
    }

    fn learn(&mut self, parts: &[Part], mut entries: impl FnMut(&Part) -> Option<Vec<Entry>>) {
        let gone: Vec<_> = self.files.extract_if(.., |(held, _)| !held.is_used()).collect();
        if self.is_full && !gone.is_empty() {
            *self = Self::default();
        }
        gone.into_iter().flat_map(|(_, of)| of).for_each(|entry| self.forget(entry.hash));
        let news: Vec<Part> = self.news(parts).cloned().collect();
        for part in news {
            let Some(held) = Held::new(&part) else { continue };
            let of = if self.is_full { Some(Vec::new()) } else { entries(&part) };
            let Some(mut of) = of else { continue };
            of.sort_unstable();
            if self.counts.len() + of.len() > TRACES_MAX {
                // Half the truth is worth nothing: from now on each look-up asks each file.
                self.is_full = true;
                (self.counts, self.several) = Default::default();
                self.files.iter_mut().for_each(|(_, entries)| *entries = Vec::new());
            }
            let of = if self.is_full { Vec::new() } else { of };
            for Entry { hash, .. } in &of {
                let count = self.counts.entry(*hash).or_default();
                *count += 1;
                if *count == 2 {
                    self.several.insert(*hash);
                }
            }
            self.files.push((held, of));
        }
    }

    fn forget(&mut self, hash: u32) {
        let Some(count) = self.counts.get_mut(&hash) else { return };
        *count -= 1;
        match *count {
            0 => drop(self.counts.remove(&hash)),
            1 => drop(self.several.remove(&hash)),
            _ => {}
        }
    }

    /// The entries of a trace in a part that is a file; nothing where too many are there to know.
    pub(crate) fn find(&self, part: &Part, hash: u32) -> Option<&[Entry]> {
        if self.is_full {
            return None;
        }
        let (_, entries) = self.files.iter().find(|(held, _)| held.is(part))?;
        let first = entries.partition_point(|entry| entry.hash < hash);
        let rest = entries.get(first..)?;
        rest.get(..rest.partition_point(|entry| entry.hash == hash))
    }

    /// Whether a trace may stand in a file; nothing where too many are there to know.
    pub(crate) fn may_have(&self, hash: u32) -> Option<bool> {
        (!self.is_full).then(|| self.counts.contains_key(&hash))
    }

    /// Whether a trace of a file may stand in another place of a file, too.
    pub(crate) fn may_have_more(&self, hash: u32) -> Option<bool> {
        (!self.is_full).then(|| self.several.contains(&hash))
    }
}

/// Reads what is known.
pub(crate) fn read(known: &RwLock<Known>) -> RwLockReadGuard<'_, Known> {
    known.read().unwrap_or_else(PoisonError::into_inner)
}
