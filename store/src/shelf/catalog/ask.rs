//! Which blocks may have something, by the catalogs of a view, for the time of a query.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{Nanos, TenantId};
use tracing::warn;

use super::{Of, build::shared_of, catalog_name, partition, partitions};
use crate::backend::Backend;
use crate::block::section::damaged;
use crate::block::section::hashes as set;
use crate::error::Error;
use crate::manifest::{BlockId, Catalog};
use crate::shelf::Readers;

/// Answers that are kept: past it, questions are asked again.
const KEPT_MAX: usize = 4 << 10;
/// Catalogs that are asked at a time: those of one tenant are hardly ever more.
const AT_ONCE: usize = 64;

/// The blocks that may have something, by what it is.
type Answers = HashMap<(Of, u32), Arc<HashSet<BlockId>>>;

/// See the module.
pub(crate) struct Asked<'c> {
    readers: &'c Readers,
    /// Each with whose it is.
    catalogs: Vec<(&'c TenantId, &'c Arc<Catalog>)>,
    /// The blocks that some catalog has.
    covered: HashSet<BlockId>,
    kept: Mutex<Answers>,
}

impl<'c> Asked<'c> {
    pub(crate) fn new(
        readers: &'c Readers,
        catalogs: Vec<(&'c TenantId, &'c Arc<Catalog>)>,
    ) -> Self {
        let covered = catalogs.iter().flat_map(|(_, catalog)| &catalog.blocks).copied().collect();
        Self { readers, catalogs, covered, kept: Mutex::default() }
    }

    /// Whether some catalog has a block.
    pub(crate) fn covers(&self, block: BlockId) -> bool {
        self.covered.contains(&block)
    }

    /// Whether a block may have one of these; yes where no catalog has the block.
    pub(crate) fn may_have(&self, of: Of, hashes: &[u32], block: BlockId) -> bool {
        if !self.covers(block) {
            return true;
        }
        self.prepare(of, hashes);
        hashes.iter().any(|hash| self.blocks(of, *hash).contains(&block))
    }

    /// Has answers ready when they are asked for: each takes as long as a request.
    pub(crate) fn prepare(&self, of: Of, hashes: &[u32]) {
        let is_new = |hash: &&u32| !self.kept().contains_key(&(of, **hash));
        let mut news: Vec<u32> = hashes.iter().filter(is_new).copied().collect();
        let Some(last) = news.pop() else { return };
        std::thread::scope(|scope| {
            for hash in news {
                let thread = std::thread::Builder::new().name("catalog".to_owned());
                // Without it the answer is waited for when it is asked for.
                drop(thread.spawn_scoped(scope, move || drop(self.blocks(of, hash))));
            }
            drop(self.blocks(of, last));
        });
    }

    /// The blocks that may have this, of all that catalogs have.
    fn blocks(&self, of: Of, hash: u32) -> Arc<HashSet<BlockId>> {
        if let Some(known) = self.kept().get(&(of, hash)) {
            return Arc::clone(known);
        }
        let found = Arc::new(self.ask(of, hash));
        let mut kept = self.kept();
        if kept.len() >= KEPT_MAX {
            kept.clear();
        }
        kept.insert((of, hash), Arc::clone(&found));
        found
    }

    fn kept(&self) -> MutexGuard<'_, Answers> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks all catalogs, at a time: each takes as long as a request.
    fn ask(&self, of: Of, hash: u32) -> HashSet<BlockId> {
        let one = |(tenant, catalog): &(&TenantId, &Arc<Catalog>)| -> Vec<BlockId> {
            self.read(tenant, catalog, of, hash).unwrap_or_else(|error| {
                // It only narrows.
                self.readers.catalogs.failed.inc();
                warn!(%tenant, %error, "a catalog cannot be read, its blocks are asked");
                self.readers.catalogs.note(catalog.id);
                catalog.blocks.clone()
            })
        };
        self.readers.catalogs.asked.add(self.catalogs.len() as u64);
        let mut found = HashSet::new();
        for some in self.catalogs.chunks(AT_ONCE) {
            found.extend(at_once(some, one));
        }
        found
    }

    fn read(
        &self,
        tenant: &TenantId,
        catalog: &Catalog,
        of: Of,
        hash: u32,
    ) -> Result<Vec<BlockId>, Error> {
        let (lengths, begin) = partitions(catalog, of);
        let shared = shared_of(lengths);
        let number = u64::from(hash) >> (set::HASH_BITS - shared);
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let fault = || damaged(format!("catalog {} has no such partition", catalog.id));
        let before = lengths.get(..number).ok_or_else(fault)?;
        let len = *lengths.get(number).ok_or_else(fault)? as usize;
        let offset = begin + before.iter().map(|len| u64::from(*len)).sum::<u64>();
        let name = catalog_name(tenant, catalog.id);
        let file = self.readers.catalogs.backend.open_known(&name, catalog.bytes(), Nanos(0))?;
        let mut bytes = vec![0; len];
        let read = file.read_as(of.content(), &mut bytes, offset);
        if read.map_err(|fault| Error::io(format!("read {name}"), fault))? < len {
            return Err(damaged(format!("{name} ends early")));
        }
        let mut found = Vec::new();
        let looked = partition::read(&bytes, catalog.blocks.len(), |block, record| {
            let may_have = match record.set {
                None => true,
                Some(set) => set.has(hash, shared)?,
            };
            found.extend(catalog.blocks.get(block).filter(|_| may_have));
            Ok(())
        });
        match looked {
            Ok(()) => Ok(found),
            Err(error) => {
                // What is kept of it may be wrong, and what was on its way.
                self.readers.catalogs.backend.forget(&name, catalog.bytes());
                Err(Error::new(error.kind(), format!("{name}: {error}")))
            }
        }
    }
}

/// What each of these says, asked at a time.
fn at_once<T: Sync, F>(all: &[T], one: F) -> Vec<BlockId>
where
    F: Fn(&T) -> Vec<BlockId> + Copy + Send,
{
    let Some((first, rest)) = all.split_first() else { return Vec::new() };
    std::thread::scope(|scope| {
        let threads: Vec<_> = rest
            .iter()
            .map(|catalog| {
                let thread = std::thread::Builder::new().name("catalog".to_owned());
                (catalog, thread.spawn_scoped(scope, move || one(catalog)))
            })
            .collect();
        let mut found = one(first);
        for (catalog, thread) in threads {
            let of = match thread.map(std::thread::ScopedJoinHandle::join) {
                Ok(Ok(of)) => of,
                // No thread could be had, or it panicked.
                _ => one(catalog),
            };
            found.extend(of);
        }
        found
    })
}

/// What queries and whoever writes catalogs share.
#[derive(Debug)]
pub struct Catalogs {
    backend: Arc<dyn Backend>,
    /// Catalogs that could not be read: they are made anew.
    bad: Mutex<HashSet<BlockId>>,
    /// Partitions that were looked at.
    pub asked: model::metric::Counter,
    /// Those that could not be read.
    pub failed: model::metric::Counter,
    /// Blocks that were not asked, as a catalog told that they do not have what was looked for.
    pub spared: model::metric::Counter,
}

impl Catalogs {
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        let counter = model::metric::Counter::new;
        let (asked, failed, spared) = (counter(), counter(), counter());
        Self { backend, bad: Mutex::default(), asked, failed, spared }
    }

    /// Brings what a catalog has of traces near, before anybody asks for it; where it cannot be read,
    /// whoever asks says so.
    pub(crate) fn read_ahead(&self, tenant: &TenantId, catalog: &Catalog) {
        let name = catalog_name(tenant, catalog.id);
        if let Ok(file) = self.backend.open_known(&name, catalog.bytes(), Nanos(0)) {
            file.prefetch(Of::Traces.content(), std::slice::from_ref(&(0..catalog.trace_bytes())));
        }
    }

    fn bad(&self) -> MutexGuard<'_, HashSet<BlockId>> {
        self.bad.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes one that could not be read.
    pub(crate) fn note(&self, id: BlockId) {
        let mut bad = self.bad();
        if bad.len() < KEPT_MAX {
            bad.insert(id);
        }
    }

    /// Whether a catalog could not be read.
    pub(crate) fn is_bad(&self, id: BlockId) -> bool {
        self.bad().contains(&id)
    }

    /// Forgets one that is made anew.
    pub(crate) fn forget(&self, id: BlockId) {
        self.bad().remove(&id);
    }
}
