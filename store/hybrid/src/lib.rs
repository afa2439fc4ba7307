//! A cache before a bucket: chunks of blocks in memory, and on a disk of this machine.
//!
//! [`Hybrid`] is a [`Backend`] before another one. Blocks are immutable and their names are used once,
//! so what was read of one stays true; whoever reads says what the bytes are ([`Content`]). What tells
//! where things are has an area of its own, which no scan can take from it; it is put there as blocks
//! are written, too. Merging passes the cache by. Damaged bytes on the disk are found by their checksum
//! and asked of the bucket again; without a disk it works in memory alone.

mod config;
mod file;
mod flights;
mod ghost;
mod stats;
#[cfg(test)]
mod tests;
mod tier;
mod upload;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use model::{Clock, Nanos};
use store::Error;
use store::backend::{Backend, Upload};
use store::disk::{Content, File};
use store::manifest::BlockId;
use store::shelf::{self, catalog};
use tokio::runtime::{Builder, Handle, Runtime};

pub use config::{Config, DISK_BYTES_MIN};
use file::{Cached, stay};
use flights::Flights;
use ghost::Ghost;
pub use stats::{Counts, Stats};
use tier::{Key, Queued, Tier};

/// Threads that write to the disk and read from it.
const DISK_THREADS: usize = 4;
/// Of the budgets, so much is what tells where things are: the rest is pages and columns. An index is
/// about a sixth of a block; this holds that of more blocks than the other part holds columns of.
const INDEX_SHARE: (u64, u64) = (1, 3);
/// Columns of blocks that are younger are taken for the disk when they are first read.
const YOUNG: Nanos = Nanos::from_secs(3 * 3_600);
/// Blocks that are better read at a time: 100 of them take two rounds to the bucket, not 100. It is less
/// than a bucket is asked at a time, which is 64.
const READS_AT_ONCE: usize = 50;

/// See the module.
#[derive(Debug)]
pub struct Hybrid {
    inner: Arc<dyn Backend>,
    shared: Arc<Shared>,
}

/// What files and uploads share.
#[derive(Debug)]
struct Shared {
    /// Opened when they are first needed.
    areas: OnceLock<Areas>,
    config: Config,
    dir: PathBuf,
    flights: Flights,
    ghost: Ghost,
    stats: Arc<Stats>,
    clock: Arc<dyn Clock>,
    prefetch_bytes_max: u64,
    // Declared last: the areas go before what drives them.
    runtime: Threads,
}

/// What tells where things are, and all else.
#[derive(Debug)]
struct Areas {
    index: Tier,
    data: Tier,
}

/// What drives the disk tier.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        // Whoever is last may be where nobody may wait.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn areas(&self) -> &Areas {
        self.areas.get_or_init(|| {
            let handle = self.runtime.0.as_ref().map(Runtime::handle);
            let handle = handle.expect("it is there until this is dropped");
            Areas::open(handle, &self.config, &self.dir, &self.stats)
        })
    }

    fn tier(&self, content: Content) -> &Tier {
        let Areas { index, data } = self.areas();
        if content.is_index() { index } else { data }
    }

    /// The other one.
    fn other_tier(&self, content: Content) -> &Tier {
        let Areas { index, data } = self.areas();
        if content.is_index() { data } else { index }
    }

    /// What memory has: a chunk may have come for the sake of its neighbour.
    fn get(&self, key: &Key) -> Option<Bytes> {
        let Areas { index, data } = self.areas();
        index.get(key).or_else(|| data.get(key))
    }

    /// What memory has of this. What came on the chance that it is a part of an index is kept as one
    /// once it is read as such.
    fn get_as(&self, content: Content, key: &Key) -> Option<Bytes> {
        if let Some(bytes) = self.tier(content).get(key) {
            return Some(bytes);
        }
        let bytes = self.other_tier(content).get(key)?;
        if content.is_index() {
            self.tier(content).insert(*key, bytes.clone(), stay(content));
        }
        Some(bytes)
    }

    /// Keeps a chunk of a block that was written then in memory, and on disk if it is worth that: whole
    /// columns when they are read a second time, if they are not young; everything else at once.
    fn keep(&self, content: Content, key: Key, bytes: &Bytes, at: Nanos) {
        self.tier(content).insert(key, bytes.clone(), stay(content));
        if content != Content::Columns || self.is_young(at) || self.ghost.touches(key) > 1 {
            self.write(content, key, bytes);
        }
    }

    /// Notes that columns were found in memory: a second time is as good as asking for them twice.
    fn touch(&self, key: Key, bytes: &Bytes, at: Nanos) {
        if !self.is_young(at) && self.ghost.touches(key) == 2 {
            self.write(Content::Columns, key, bytes);
        }
    }

    /// Dashboards look at the last hours, again and again.
    fn is_young(&self, at: Nanos) -> bool {
        self.clock.now().minus(at) < YOUNG
    }

    fn write(&self, content: Content, key: Key, bytes: &Bytes) {
        let Some(counts) = self.stats.of(content) else { return };
        match self.tier(content).write(key, bytes.clone(), stay(content)) {
            Queued::Yes => counts.admitted.inc(),
            Queued::Full => counts.dropped.inc(),
            Queued::NoDisk => {}
        }
    }
}

impl Hybrid {
    /// A cache before a backend. Its directory is not touched before [`Hybrid::ready`], or the first
    /// block that is asked for: it lies in a data directory, which has to be ours first.
    ///
    /// # Errors
    /// `Io` where no thread can be started.
    pub fn open(
        inner: Arc<dyn Backend>,
        config: &Config,
        dir: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(DISK_THREADS)
            .thread_name("cache")
            .enable_all()
            .build()
            .map_err(|fault| Error::io("start the threads of the cache", fault))?;
        let stats = Arc::<Stats>::default();
        let (part, of) = INDEX_SHARE;
        let data_bytes = config.memory_bytes_max.0 / of * (of - part);
        let shared = Shared {
            areas: OnceLock::new(),
            config: config.clone(),
            dir: dir.to_owned(),
            flights: Flights::default(),
            ghost: Ghost::default(),
            stats,
            clock,
            prefetch_bytes_max: data_bytes / 2,
            runtime: Threads(Some(runtime)),
        };
        Ok(Self { inner, shared: Arc::new(shared) })
    }

    /// Finds what is on the disk. Where that cannot be used, that is told, and memory alone is.
    pub fn ready(&self) {
        self.shared.areas();
    }

    /// What it counts.
    #[must_use]
    pub fn stats(&self) -> &Arc<Stats> {
        &self.shared.stats
    }

    /// Bytes in memory.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.shared.areas.get().map_or(0, |of| of.index.memory_bytes() + of.data.memory_bytes())
    }

    /// Chunks that the disk tier left out after they were admitted.
    #[must_use]
    pub fn overflow(&self) -> u64 {
        self.shared.areas.get().map_or(0, |of| of.index.overflow() + of.data.overflow())
    }

    /// Bytes that were admitted to the disk and are not written yet.
    #[must_use]
    pub fn queued_bytes(&self) -> u64 {
        self.shared.areas.get().map_or(0, |of| of.index.queued_bytes() + of.data.queued_bytes())
    }

    /// Who wrote a block, or a catalog of blocks, and its number, which no other of both has, by its
    /// name; nothing where it is neither.
    fn block(name: &str) -> Option<(u64, u64)> {
        let (root, rest) = name.split_once('/')?;
        let (_, file) = rest.rsplit_once('/')?;
        let suffix = match root {
            shelf::ROOT => ".parquet",
            catalog::ROOT => catalog::SUFFIX,
            _ => return None,
        };
        let id = BlockId::parse(file.strip_suffix(suffix)?)?;
        Some((id.writer, id.number))
    }
}

impl Areas {
    /// Without a disk where that cannot be used.
    fn open(handle: &Handle, config: &Config, dir: &Path, stats: &Stats) -> Self {
        let disk_bytes = config.disk_bytes_max.0;
        if disk_bytes > 0 {
            let own = prepare(dir, disk_bytes).map_err(|fault| fault.to_string());
            let opened = own.and_then(|own| Self::both(handle, config, Some(&own)));
            match opened {
                Ok(areas) => return areas,
                Err(fault) => {
                    stats.disk_failed.inc();
                    tracing::warn!(
                        dir = %dir.display(), fault,
                        "the disk cannot be used as a cache: only memory is"
                    );
                }
            }
        }
        Self::both(handle, config, None).expect("nothing fails in memory")
    }

    fn both(handle: &Handle, config: &Config, dir: Option<&Path>) -> Result<Self, String> {
        let (part, of) = INDEX_SHARE;
        let open = |name: &str, part: u64| {
            let share = |bytes: u64| usize::try_from(bytes / of * part).unwrap_or(usize::MAX);
            let path = dir.map(|dir| dir.join(name));
            let disk = path.as_deref().map(|path| (path, share(config.disk_bytes_max.0)));
            Tier::open(handle, share(config.memory_bytes_max.0), disk)
        };
        Ok(Self { index: open("index", part)?, data: open("data", of - part)? })
    }
}

/// What the directory of a cache begins with: of another layout, or another size, nothing is read.
const LAYOUT: &str = "v1-";

/// The directory of a cache of this size; those of others are removed.
fn prepare(dir: &Path, disk_bytes: u64) -> std::io::Result<PathBuf> {
    let own = format!("{LAYOUT}{disk_bytes}");
    fs::create_dir_all(dir)?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(LAYOUT) && name != own {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(dir.join(own))
}

impl Backend for Hybrid {
    fn create(&self, name: &str, bytes: &[u8]) -> Result<bool, Error> {
        self.inner.create(name, bytes)
    }

    fn begin(&self, name: &str) -> Result<Box<dyn Upload>, Error> {
        let upload = self.inner.begin(name)?;
        Ok(match Self::block(name) {
            None => upload,
            Some(block) => Box::new(upload::Through::new(upload, Arc::clone(&self.shared), block)),
        })
    }

    fn open(&self, name: &str) -> Result<Arc<dyn File>, Error> {
        self.inner.open(name)
    }

    fn open_known(&self, name: &str, len: u64, at: Nanos) -> Result<Arc<dyn File>, Error> {
        let file = self.inner.open_known(name, len, at)?;
        Ok(match Self::block(name) {
            None => file,
            Some(block) => Arc::new(Cached::new(file, Arc::clone(&self.shared), block, (len, at))),
        })
    }

    fn forget(&self, name: &str, len: u64) {
        let Some((writer, number)) = Self::block(name) else { return };
        let Areas { index, data } = self.shared.areas();
        let chunks = u32::try_from(len.div_ceil(file::CHUNK_BYTES)).unwrap_or(u32::MAX);
        for chunk in 0..chunks {
            let key = Key { writer, number, chunk };
            index.remove(&key);
            data.remove(&key);
        }
        self.inner.forget(name, len);
    }

    fn reads_at_once(&self, _name: &str) -> usize {
        READS_AT_ONCE
    }

    /// Half of what tells where things are: the rest is for what is asked.
    fn read_ahead_bytes_max(&self, _root: &str) -> u64 {
        let (part, of) = INDEX_SHARE;
        self.shared.config.memory_bytes_max.0 / of * part / 2
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, Error> {
        self.inner.list(prefix)
    }

    fn list_tree(&self, prefix: &str) -> Result<Vec<String>, Error> {
        self.inner.list_tree(prefix)
    }

    fn has(&self, name: &str) -> Result<bool, Error> {
        self.inner.has(name)
    }

    fn written_at(&self, name: &str) -> Result<Option<Nanos>, Error> {
        self.inner.written_at(name)
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        self.inner.remove(name)
    }

    fn set_aside(&self, name: &str, to: &str) -> Result<(), Error> {
        self.inner.set_aside(name, to)
    }

    fn sweep(&self, prefix: &str) -> Result<u64, Error> {
        self.inner.sweep(prefix)
    }

    fn settle(&self, prefix: &str) -> Result<(), Error> {
        self.inner.settle(prefix)
    }

    fn read(&self, name: &str, max: u64) -> Result<Vec<u8>, Error> {
        self.inner.read(name, max)
    }
}
