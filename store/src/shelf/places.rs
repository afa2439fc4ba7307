//! In which files of a tenant a trace stands, by the short hash of its id.
//!
//! Kept from query to query: a file is read once, when a query first meets it. What is known may
//! be of more files than a view has, and a hash may be another trace's: it tells where a trace is
//! not, and where it may be.

use std::collections::HashMap;
use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, Weak};

use model::TenantId;

use super::{Block, Part};
use crate::block::section::index::Entry;
use crate::l0::L0;

/// The most traces, of all tenants: 30 bytes each, about. A view with more than that knows nothing.
const TRACES_MAX: usize = 2 << 20;
/// The most tenants of which something is known.
const TENANTS_MAX: usize = 1_024;

/// What is known of all tenants.
#[derive(Debug)]
pub(crate) struct Places {
    tenants: Mutex<HashMap<TenantId, Arc<RwLock<Known>>>>,
    traces_max: usize,
}

impl Default for Places {
    fn default() -> Self {
        Self::new(TRACES_MAX)
    }
}

/// What is known of one tenant. Files have numbers, which are not used again.
#[derive(Debug, Default)]
pub(crate) struct Known {
    files: HashMap<u32, File>,
    numbers: HashMap<Address, u32>,
    next: u32,
    /// The file of each trace, or [`SEVERAL`].
    places: HashMap<u32, u32>,
    /// The files of those that stand in several places, once for each.
    several: HashMap<u32, Vec<u32>>,
    /// Traces of all files, each counted where it stands.
    traces: usize,
    /// Whether there are more traces than are kept: half the truth is worth nothing.
    is_full: bool,
}

const SEVERAL: u32 = u32::MAX;

/// Where a part is in memory: nothing else is there while somebody holds on to it.
type Address = (bool, usize);

#[derive(Debug)]
struct File {
    held: Held,
    /// Its traces, by hash.
    entries: Vec<Entry>,
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

    fn address(&self) -> Address {
        match self {
            Self::L0(held) => (false, held.as_ptr() as usize),
            Self::Block(held) => (true, held.as_ptr() as usize),
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

fn address(part: &Part) -> Option<Address> {
    match part {
        Part::Head(..) => None,
        Part::L0(l0) => Some((false, Arc::as_ptr(l0) as usize)),
        Part::Block(block) => Some((true, Arc::as_ptr(block) as usize)),
    }
}

impl Places {
    /// Room for so many traces.
    pub(crate) fn new(traces_max: usize) -> Self {
        Self { tenants: Mutex::default(), traces_max }
    }

    /// What is known of a tenant's files, these among them; nothing of any where these have more traces
    /// than are kept. `entries` reads the index of the traces of a part that is a file; where it cannot, the
    /// part counts as one without traces until it can.
    pub(crate) fn of(
        &self,
        tenant: &TenantId,
        parts: &[Part],
        entries: impl FnMut(&Part) -> Option<Vec<Entry>>,
    ) -> Arc<RwLock<Known>> {
        let Some(known) = self.with_room(tenant, parts) else {
            return Arc::new(RwLock::new(Known { is_full: true, ..Known::default() }));
        };
        if read(&known).news(parts).next().is_some() {
            // Whoever asks meanwhile waits, and need not read the same.
            known.write().unwrap_or_else(PoisonError::into_inner).learn(parts, entries);
            self.hold();
        }
        known
    }

    /// The places of parts that are files of which nothing is known yet, as far as there is room.
    pub(crate) fn news(&self, tenant: &TenantId, parts: &[Part]) -> Vec<usize> {
        self.with_room(tenant, parts).map(|known| read(&known).unknown(parts)).unwrap_or_default()
    }

    /// The places of parts that are files of which nothing is known yet.
    pub(crate) fn unknown(&self, tenant: &TenantId, parts: &[Part]) -> Vec<usize> {
        read(&self.tenant(tenant)).unknown(parts)
    }

    /// What is known of a tenant, with room for what is not known yet of these parts; `None` where there
    /// can be none.
    fn with_room(&self, tenant: &TenantId, parts: &[Part]) -> Option<Arc<RwLock<Known>>> {
        let traces = |part: &Part| usize::try_from(part.traces()).unwrap_or(usize::MAX);
        let sum = |sum: usize, part: &Part| sum.saturating_add(traces(part));
        if parts.iter().fold(0, sum) > self.traces_max {
            return None;
        }
        let known = self.tenant(tenant);
        let fits = {
            let known = read(&known);
            let news = known.news(parts).fold(0, sum);
            news == 0 || known.traces.saturating_add(news) <= self.traces_max
        };
        if fits {
            return Some(known);
        }
        // Of files that others ask for. They go on with what they have.
        let fresh = Arc::<RwLock<Known>>::default();
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.insert(tenant.clone(), Arc::clone(&fresh));
        Some(fresh)
    }

    /// Forgets everything, where together there is more than may be.
    fn hold(&self) {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() > 1 && tenants.values().map(len).sum::<usize>() > self.traces_max {
            tenants.clear();
        }
    }

    /// How many traces are known, of all tenants.
    pub(crate) fn traces(&self) -> u64 {
        let tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.values().map(len).sum::<usize>() as u64
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
    /// The number of a part that is a file, if it is known.
    pub(crate) fn number(&self, part: &Part) -> Option<u32> {
        self.numbers.get(&address(part)?).copied()
    }

    /// The places of parts that are files of which nothing is known.
    fn unknown(&self, parts: &[Part]) -> Vec<usize> {
        let parts = parts.iter().enumerate().filter(|(_, part)| self.is_news(part));
        parts.map(|(at, _)| at).collect()
    }

    fn news<'p>(&self, parts: &'p [Part]) -> impl Iterator<Item = &'p Part> {
        parts.iter().filter(|part| self.is_news(part))
    }

    /// Whether a part is a file of which nothing is known.
    fn is_news(&self, part: &Part) -> bool {
        !matches!(part, Part::Head(..)) && self.number(part).is_none()
    }

    fn learn(&mut self, parts: &[Part], mut entries: impl FnMut(&Part) -> Option<Vec<Entry>>) {
        let gone: Vec<u32> = self
            .files
            .iter()
            .filter(|(_, file)| !file.held.is_used())
            .map(|(number, _)| *number)
            .collect();
        gone.into_iter().for_each(|number| self.forget(number));
        let news: Vec<Part> = self.news(parts).cloned().collect();
        for part in news {
            let Some(held) = Held::new(&part) else { continue };
            let Some(mut of) = entries(&part) else { continue };
            self.traces += of.len();
            of.sort_unstable();
            let number = self.next;
            self.next = (self.next + 1) % SEVERAL;
            of.iter().for_each(|entry| self.add(entry.hash, number));
            self.numbers.insert(held.address(), number);
            self.files.insert(number, File { held, entries: of });
        }
    }

    fn add(&mut self, hash: u32, number: u32) {
        match self.places.entry(hash) {
            Occupied(mut known) => {
                let before = known.insert(SEVERAL);
                let all = self.several.entry(hash).or_default();
                if before != SEVERAL {
                    all.push(before);
                }
                all.push(number);
            }
            Vacant(free) => drop(free.insert(number)),
        }
    }

    fn forget(&mut self, number: u32) {
        let Some(file) = self.files.remove(&number) else { return };
        self.numbers.remove(&file.held.address());
        self.traces -= file.entries.len();
        for Entry { hash, .. } in file.entries {
            let Some(all) = self.several.get_mut(&hash) else {
                self.places.remove(&hash);
                continue;
            };
            if let Some(at) = all.iter().position(|other| *other == number) {
                all.swap_remove(at);
            }
            if let [one] = *all.as_slice() {
                self.several.remove(&hash);
                self.places.insert(hash, one);
            }
        }
    }

    /// The files that may have a trace, by their numbers, each with its entries; nothing where too
    /// many traces are there to know.
    pub(crate) fn find(&self, hash: u32) -> Option<Vec<(u32, &[Entry])>> {
        if self.is_full {
            return None;
        }
        let mut numbers = match self.places.get(&hash) {
            None => Vec::new(),
            Some(&SEVERAL) => self.several.get(&hash).cloned().unwrap_or_default(),
            Some(one) => vec![*one],
        };
        numbers.sort_unstable();
        numbers.dedup();
        let entries = |number: u32| {
            let entries = &self.files.get(&number)?.entries;
            let rest = entries.get(entries.partition_point(|entry| entry.hash < hash)..)?;
            let same = rest.get(..rest.partition_point(|entry| entry.hash == hash))?;
            Some((number, same))
        };
        Some(numbers.into_iter().filter_map(entries).collect())
    }

    /// Whether a trace may stand in a file; nothing where too many are there to know.
    pub(crate) fn may_have(&self, hash: u32) -> Option<bool> {
        (!self.is_full).then(|| self.places.contains_key(&hash))
    }

    /// Whether a trace of a file may stand in another place of a file, too.
    pub(crate) fn may_have_more(&self, hash: u32) -> Option<bool> {
        (!self.is_full).then(|| self.several.contains_key(&hash))
    }
}

/// How many traces; none while whoever learns more is at it.
fn len(known: &Arc<RwLock<Known>>) -> usize {
    known.try_read().map_or(0, |known| known.traces)
}

/// Reads what is known.
pub(crate) fn read(known: &RwLock<Known>) -> RwLockReadGuard<'_, Known> {
    known.read().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(hash: u32, first_row: u32) -> Entry {
        Entry { hash, first_row, rows: 1 }
    }

    /// A file that is not there, with a number of its own.
    fn known(files: &[&[u32]]) -> Known {
        let mut known = Known::default();
        for (number, hashes) in (0..).zip(files) {
            let entries = hashes.iter().map(|hash| entry(*hash, 0)).collect();
            hashes.iter().for_each(|hash| known.add(*hash, number));
            known.traces += hashes.len();
            known.files.insert(number, File { held: Held::L0(Weak::new()), entries });
        }
        known
    }

    #[test]
    fn traces_are_known_by_their_files_and_forgotten_with_them() {
        let mut known = known(&[&[1, 2, 2, 3], &[2, 3], &[3]]);
        let files = |known: &Known, hash: u32| -> Vec<u32> {
            known.find(hash).unwrap().into_iter().map(|(number, _)| number).collect()
        };
        assert_eq!(
            [files(&known, 1), files(&known, 2), files(&known, 3)],
            [vec![0], vec![0, 1], vec![0, 1, 2]]
        );
        assert_eq!(known.find(2).unwrap()[0].1, [entry(2, 0), entry(2, 0)]);
        assert_eq!(
            [1, 2, 3, 4].map(|hash| known.may_have_more(hash)),
            [false, true, true, false].map(Some)
        );
        known.forget(1);
        // Twice in one file is several places, too.
        assert_eq!([1, 2, 3].map(|hash| known.may_have_more(hash)), [false, true, true].map(Some));
        known.forget(0);
        assert_eq!([1, 2, 3].map(|hash| known.may_have(hash)), [false, false, true].map(Some));
        assert_eq!(known.may_have_more(3), Some(false));
        known.forget(2);
        assert!(known.places.is_empty() && known.several.is_empty() && known.files.is_empty());
        assert_eq!(known.traces, 0);
    }

    #[test]
    fn where_there_are_too_many_nothing_is_known() {
        let mut known = known(&[&[1]]);
        known.is_full = true;
        assert_eq!((known.may_have(1), known.may_have_more(1)), (None, None));
        assert!(known.find(1).is_none());
    }
}
