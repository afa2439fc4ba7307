//! Blocks that are open, the ones used last: each takes a file descriptor and the memory of its
//! directory, and there may be more blocks than a process may have open.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::metric::{Counter, Gauge};

use super::Block;
use crate::backend::Backend;
use crate::block::cache::{BlockKey, Cache};
use crate::block::reader::Reader;
use crate::error::Error;
use crate::manifest::BlockId;

/// Most blocks that are open at a time, besides those that are being read.
const OPEN_MAX: usize = 256;

/// Opens blocks, and keeps some open.
#[derive(Debug)]
pub struct Readers {
    backend: Arc<dyn Backend>,
    cache: Arc<Cache>,
    max: usize,
    held: Mutex<Held>,
    /// Blocks that are open.
    pub open: Gauge,
    /// Times that a block was opened.
    pub opened: Counter,
}

#[derive(Debug, Default)]
struct Held {
    readers: HashMap<BlockId, (Arc<Reader>, u64)>,
    /// The blocks by when they were used last.
    order: BTreeMap<u64, BlockId>,
    tick: u64,
}

impl Readers {
    /// Opens blocks of a backend; what is read of them goes through the cache.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>, cache: Arc<Cache>) -> Self {
        Self {
            backend,
            cache,
            max: OPEN_MAX,
            held: Mutex::default(),
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
        if let Some(reader) = self.held().touch(id) {
            return Ok(reader);
        }
        // Not under the lock: two may open the same block, and one of the two stays.
        let file = self.backend.open(&block.name)?;
        let cache = Arc::clone(&self.cache);
        let reader = Reader::open(file, block.meta.directory, block.name.clone(), cache)?;
        let reader = Arc::new(reader);
        self.opened.inc();
        let mut held = self.held();
        held.remove(id);
        while held.readers.len() >= self.max {
            let Some((_, oldest)) = held.order.pop_first() else { break };
            held.readers.remove(&oldest);
        }
        held.tick += 1;
        let used = held.tick;
        held.readers.insert(id, (Arc::clone(&reader), used));
        held.order.insert(used, id);
        self.open.set(held.readers.len() as u64);
        Ok(reader)
    }

    /// Forgets a block and what the cache has of it.
    pub fn forget(&self, block: &Block) {
        let mut held = self.held();
        held.remove(block.meta.id);
        self.open.set(held.readers.len() as u64);
        drop(held);
        self.cache.forget(key_of(block));
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the cache knows a block by.
fn key_of(block: &Block) -> BlockKey {
    (1, block.meta.id.writer, block.meta.id.number)
}

impl Held {
    fn touch(&mut self, id: BlockId) -> Option<Arc<Reader>> {
        let (reader, used) = self.readers.get_mut(&id)?;
        self.tick += 1;
        self.order.remove(used);
        *used = self.tick;
        self.order.insert(self.tick, id);
        Some(Arc::clone(reader))
    }

    fn remove(&mut self, id: BlockId) {
        if let Some((_, used)) = self.readers.remove(&id) {
            self.order.remove(&used);
        }
    }
}
