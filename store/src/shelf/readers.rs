//! Blocks that are open, the ones used last: each takes a file descriptor and the memory of its
//! directory, and there may be more blocks than a process may have open.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::Nanos;
use model::metric::{Counter, Gauge};

use super::Block;
use super::catalog::Catalogs;
use super::places::Places;
use crate::backend::Backend;
use crate::block::cache::{BlockKey, Cache};
use crate::block::reader::Reader;
use crate::block::section::index;
use crate::disk::Content;
use crate::error::Error;
use crate::lru::Lru;
use crate::manifest::{BlockId, BlockMeta};

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
    /// What tells which blocks may have something.
    pub catalogs: Catalogs,
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
            catalogs: Catalogs::new(Arc::clone(&backend)),
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
        let meta = &block.meta;
        let written_at = Nanos(meta.created_at);
        let file = self.backend.open_known(&block.name, meta.bytes, written_at)?;
        file.prefetch(Content::Directory, &tail(meta, TAIL_BYTES_MAX));
        let cache = Arc::clone(&self.cache);
        let reader = Reader::open(file, meta.directory, block.name.clone(), cache)?;
        let reader = Arc::new(reader);
        self.opened.inc();
        let mut held = self.held();
        held.put(id, Arc::clone(&reader), 1, OPEN_MAX);
        self.open.set(held.size() as u64);
        Ok(reader)
    }

    /// So many bytes may be read ahead.
    pub(crate) fn read_ahead_bytes_max(&self) -> u64 {
        self.backend.read_ahead_bytes_max(super::ROOT)
    }

    /// Brings the index of a block's traces near, before anybody asks for it; where it cannot be read,
    /// whoever asks says so.
    pub(crate) fn read_ahead(&self, block: &Block) {
        let (name, meta) = (&block.name, &block.meta);
        if let Ok(file) = self.backend.open_known(name, meta.bytes, Nanos(meta.created_at)) {
            file.prefetch(Content::Directory, &tail(meta, u64::MAX));
        }
    }

    /// How many blocks like this one are better read at a time.
    pub(crate) fn at_once(&self, block: &Block) -> usize {
        self.backend.reads_at_once(&block.name)
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

/// What is read of a block together with its directory, at least: of a small one that is all.
const TAIL_BYTES_MIN: u64 = 256 << 10;
/// Room for small sections between the index of traces and what stands before it.
const TAIL_BYTES_MORE: u64 = 64 << 10;
/// The checksums of an index are less than this part of it.
const INDEX_SUMS: u64 = 16;
/// A longer index of traces is read by itself, where it is needed: 20 ms of one connection to S3.
const TAIL_BYTES_MAX: u64 = 1536 << 10;

/// What stands before the index of traces on the chance that it is needed; the index, and the directory:
/// whoever opens a block asks for both.
fn tail(meta: &BlockMeta, max: u64) -> [Range<u64>; 2] {
    let directory = meta.directory;
    let index = index::encoded_len(meta.traces);
    let more = index.saturating_add(TAIL_BYTES_MORE);
    let (more, index) = if more > max { (0, 0) } else { (more, index) };
    let begin =
        directory.offset.saturating_sub(if more > 0 { more.max(TAIL_BYTES_MIN) } else { 0 });
    let certain = directory.offset.saturating_sub(index + index / INDEX_SUMS).max(begin);
    let end = directory.offset.saturating_add(u64::from(directory.len));
    [begin..certain, certain..end]
}

/// What reading a block's index ahead takes.
pub(crate) fn ahead_bytes(meta: &BlockMeta) -> u64 {
    tail(meta, u64::MAX).iter().map(|range| range.end - range.start).sum()
}

/// What the cache knows a block by.
fn key_of(block: &Block) -> BlockKey {
    (1, block.meta.id.writer, block.meta.id.number)
}
