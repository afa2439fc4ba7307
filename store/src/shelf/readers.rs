//! Blocks that are open, the ones used last: each takes a file descriptor and the memory of its
//! directory, and there may be more blocks than a process may have open.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::metric::{Counter, Gauge};

use super::Block;
use super::places::Places;
use crate::backend::Backend;
use crate::block::cache::{BlockKey, Cache};
use crate::block::reader::Reader;
use crate::error::Error;
use crate::lru::Lru;
use crate::manifest::BlockId;

/// Most blocks that are open at a time, besides those that are being read.
const OPEN_MAX: usize = 256;

/// Opens blocks, and keeps some open.
#[derive(Debug)]
pub struct Readers {
    backend: Arc<dyn Backend>,
    cache: Arc<Cache>,
    held: Mutex<Lru<BlockId, Arc<Reader>>>,
    /// In how many files traces stand.
    pub(crate) places: Places,
    /// Blocks that are open.
    pub open: Gauge,
    /// Times that a block was opened.
    pub opened: Counter,
}

impl Readers {
    /// Opens blocks of a backend; what is read of them goes through the cache.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>, cache: Arc<Cache>) -> Self {
        Self {
            backend,
            cache,
            held: Mutex::default(),
            places: Places::default(),
            open: Gauge::new(),
            opened: Counter::new(),
        }
    }

    /// The cache of what is read.
    #[must_use]
    pub fn cache(&self) -> &Arc<Cache> {
        &self.cache
    }

    /// The columns of a block.
    ///
    /// # Errors
    /// `Corrupt`, `Refused`, `Io`.
    pub fn open(&self, block: &Block) -> Result<Arc<Reader>, Error> {
        let id = block.meta.id;
        if let Some(reader) = self.held().get(id) {
            return Ok(Arc::clone(reader));
        }
        // Not under the lock: two may open the same block, and one of the two stays.
        let file = self.backend.open(&block.name)?;
        let cache = Arc::clone(&self.cache);
        let reader = Reader::open(file, block.meta.directory, block.name.clone(), cache)?;
        let reader = Arc::new(reader);
        self.opened.inc();
        let mut held = self.held();
        held.put(id, Arc::clone(&reader), 1, OPEN_MAX);
        self.open.set(held.size() as u64);
        Ok(reader)
    }

    /// Forgets a block and what the cache has of it.
    pub fn forget(&self, block: &Block) {
        let mut held = self.held();
        held.remove(block.meta.id);
        self.open.set(held.size() as u64);
        drop(held);
        self.cache.forget(key_of(block));
    }

    fn held(&self) -> MutexGuard<'_, Lru<BlockId, Arc<Reader>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the cache knows a block by.
fn key_of(block: &Block) -> BlockKey {
    (1, block.meta.id.writer, block.meta.id.number)
}
