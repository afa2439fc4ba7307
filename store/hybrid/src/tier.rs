//! foyer, behind one file: one area of the cache, in memory and, where there is a directory, on disk.
//!
//! The disk is best effort: writes wait in a queue of our own, which is bounded and tells what it
//! leaves out, and go to foyer no faster than it writes them: given more at a time than its buffer
//! holds, it drops the rest and does not say so (its issue 1334). It checks a checksum over key and
//! value before it returns an entry, and forgets what does not match.

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use foyer::{
    BlockEngineConfig, Code, DeviceBuilder as _, FsDeviceBuilder, Hint, HybridCache,
    HybridCacheBuilder, HybridCachePolicy, HybridCacheProperties, Load, Location, LruConfig,
    PsyncIoEngineConfig, RecoverMode, Spawner,
};
use mixtrics::metrics::{
    BoxedCounter, BoxedCounterVec, BoxedGaugeVec, BoxedHistogramVec, CounterOps, CounterVecOps,
    RegistryOps,
};
use mixtrics::registry::noop::NoopMetricsRegistry;
use model::metric::Counter;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// Which chunk of which block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// Who wrote the block.
    pub(crate) writer: u64,
    /// Its number among theirs.
    pub(crate) number: u64,
    /// Counted from the begin of the file.
    pub(crate) chunk: u32,
}

impl Code for Key {
    fn encode(&self, writer: &mut impl io::Write) -> foyer::Result<()> {
        self.writer.encode(writer)?;
        self.number.encode(writer)?;
        self.chunk.encode(writer)
    }

    fn decode(reader: &mut impl io::Read) -> foyer::Result<Self> {
        let (writer, number) = (u64::decode(reader)?, u64::decode(reader)?);
        Ok(Self { writer, number, chunk: u32::decode(reader)? })
    }

    fn estimated_size(&self) -> usize {
        20
    }
}

type Cache = HybridCache<Key, Bytes>;

/// What waits to be written.
type Waiting = (Key, Bytes, Stay);

/// What an entry takes in memory besides its bytes, about.
const ENTRY_BYTES: usize = 256;
/// What foyer gathers before it writes; it has two of them.
const BUFFER_BYTES: usize = 2 << 20;
/// What is given to it at a time: half of that, as entries are rounded up to pages of 4 KiB.
const BATCH_BYTES: usize = BUFFER_BYTES / 2;
/// Bytes that wait to be written; what comes when there are more is left out.
const QUEUE_BYTES_MAX: usize = 16 << 20;
/// Entries that wait; small ones take their place, too.
const QUEUE_ENTRIES_MAX: usize = 4 << 10;
/// The files of the disk tier: one is the least that is evicted at a time.
const FILES: usize = 64;
/// A file that is smaller holds too few entries.
const FILE_BYTES_MIN: usize = 1 << 20;

/// How long something is to be kept in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
    /// As long as there is room.
    Long,
    /// Others before it.
    Short,
}

impl Stay {
    fn properties(self) -> HybridCacheProperties {
        HybridCacheProperties::default().with_hint(match self {
            Self::Long => Hint::Normal,
            Self::Short => Hint::Low,
        })
    }
}

/// What came of asking the disk.
#[derive(Clone, Debug)]
pub(crate) enum Loaded {
    /// It is not there.
    Absent,
    /// The bytes that were written.
    Found(Bytes),
    /// It was there, and is damaged, or made room meanwhile.
    Lost,
}

/// Whether something will be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queued {
    /// It waits.
    Yes,
    /// Too much waits already.
    Full,
    /// There is no disk.
    NoDisk,
}

/// One area.
pub(crate) struct Tier {
    cache: Cache,
    handle: Handle,
    queue: Option<mpsc::Sender<Waiting>>,
    queued: Arc<AtomicUsize>,
    overflow: Arc<Counter>,
}

impl std::fmt::Debug for Tier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tier").field("is_on_disk", &self.queue.is_some()).finish_non_exhaustive()
    }
}

impl Tier {
    /// An area of so many bytes in memory, and so many below a directory where one is given: what was
    /// left there is found again.
    ///
    /// # Errors
    /// What foyer says of the directory.
    pub(crate) fn open(
        handle: &Handle,
        memory_bytes: usize,
        disk: Option<(&Path, usize)>,
    ) -> Result<Self, String> {
        let fail = |fault: foyer::Error| fault.to_string();
        let overflow = Arc::new(Counter::new());
        let builder = HybridCacheBuilder::<Key, Bytes>::new()
            .with_policy(HybridCachePolicy::WriteOnInsertion)
            .with_flush_on_close(false)
            .with_metrics_registry(Box::new(Registry(Arc::clone(&overflow))))
            .memory(memory_bytes)
            .with_shards(4)
            .with_eviction_config(LruConfig { high_priority_pool_ratio: 0.7 })
            .with_weighter(|_: &Key, value: &Bytes| value.len() + ENTRY_BYTES)
            .storage()
            .with_spawner(Spawner::from(handle.clone()));
        let builder = match disk {
            None => builder,
            Some((dir, bytes)) => {
                let file_bytes = (bytes / FILES).max(FILE_BYTES_MIN);
                let device =
                    FsDeviceBuilder::new(dir).with_capacity(bytes).build().map_err(fail)?;
                let engine = BlockEngineConfig::new(device)
                    .with_block_size(file_bytes)
                    .with_buffer_pool_size(BUFFER_BYTES)
                    .with_submit_queue_size_threshold(BUFFER_BYTES);
                builder
                    .with_io_engine_config(PsyncIoEngineConfig::new())
                    .with_engine_config(engine)
                    .with_recover_mode(RecoverMode::Quiet)
            }
        };
        let cache = handle.block_on(builder.build()).map_err(fail)?;
        let queued = Arc::new(AtomicUsize::new(0));
        let queue = disk.map(|_| {
            let (queue, entries) = mpsc::channel(QUEUE_ENTRIES_MAX);
            // Ends with the last sender.
            drop(handle.spawn(write(cache.clone(), entries, Arc::clone(&queued))));
            queue
        });
        Ok(Self { cache, handle: handle.clone(), queue, queued, overflow })
    }

    /// What memory has.
    pub(crate) fn get(&self, key: &Key) -> Option<Bytes> {
        self.cache.memory().get(key).map(|entry| entry.value().clone())
    }

    /// What the disk has of these, each in its place; it is in memory afterwards. Waits.
    pub(crate) fn load(&self, keys: &[Key], stay: Stay) -> Vec<Loaded> {
        let mut found: Vec<Loaded> = keys.iter().map(|_| Loaded::Absent).collect();
        let asked = |(_, key): &(usize, &Key)| self.cache.storage().may_contains(*key);
        let asked: Vec<_> = keys.iter().enumerate().filter(asked).collect();
        if asked.is_empty() {
            return found;
        }
        let mut loads = JoinSet::new();
        for (at, key) in asked {
            let (cache, key) = (self.cache.clone(), *key);
            loads
                .spawn_on(async move { (at, key, cache.storage().load(&key).await) }, &self.handle);
        }
        self.handle.block_on(async {
            while let Some(loaded) = loads.join_next().await {
                let Ok((at, key, loaded)) = loaded else { continue };
                let value = match loaded {
                    Ok(Load::Entry { value, .. }) => Some(value),
                    Ok(Load::Piece { piece, .. }) => Some(piece.value().clone()),
                    _ => None,
                };
                if let Some(slot) = found.get_mut(at) {
                    *slot = match value {
                        Some(value) => {
                            self.insert(key, value.clone(), stay);
                            Loaded::Found(value)
                        }
                        None => Loaded::Lost,
                    };
                }
            }
        });
        found
    }

    /// Keeps it in memory.
    pub(crate) fn insert(&self, key: Key, value: Bytes, stay: Stay) {
        // The queue has it written to the disk.
        let properties = stay.properties().with_location(Location::InMem);
        drop(self.cache.insert_with_properties(key, value, properties));
    }

    /// Forgets it, in memory and on the disk.
    pub(crate) fn remove(&self, key: &Key) {
        self.cache.remove(key);
    }

    /// Has it written to the disk, some time, where there is one.
    pub(crate) fn write(&self, key: Key, value: Bytes, stay: Stay) -> Queued {
        let Some(queue) = &self.queue else { return Queued::NoDisk };
        let bytes = value.len();
        let before = self.queued.fetch_add(bytes, Ordering::AcqRel);
        if before + bytes <= QUEUE_BYTES_MAX && queue.try_send((key, value, stay)).is_ok() {
            return Queued::Yes;
        }
        self.queued.fetch_sub(bytes, Ordering::AcqRel);
        Queued::Full
    }

    /// Bytes in memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        self.cache.memory().usage() as u64
    }

    /// Entries that foyer left out where the queue had let them through.
    pub(crate) fn overflow(&self) -> u64 {
        self.overflow.get()
    }

    /// Bytes that wait to be written.
    pub(crate) fn queued_bytes(&self) -> u64 {
        self.queued.load(Ordering::Acquire) as u64
    }
}

/// Writes what comes, a batch after the other.
async fn write(cache: Cache, mut entries: mpsc::Receiver<Waiting>, queued: Arc<AtomicUsize>) {
    while let Some(first) = entries.recv().await {
        let mut next = Some(first);
        let mut batch = 0;
        while let Some((key, value, stay)) = next.take() {
            batch += value.len();
            drop(cache.insert_with_properties(key, value, stay.properties()));
            next = if batch < BATCH_BYTES { entries.try_recv().ok() } else { None };
        }
        cache.storage().wait().await;
        queued.fetch_sub(batch, Ordering::AcqRel);
    }
}

/// Counts what foyer leaves out of what it was given, and nothing else of what it counts.
#[derive(Debug)]
struct Registry(Arc<Counter>);

/// Its operations by name; those of an overflow are what it leaves out.
const OPERATIONS: &str = "foyer_storage_inner_op_total";
const OVERFLOW: &str = "overflow";

impl RegistryOps for Registry {
    fn register_counter_vec(
        &self,
        name: Cow<'static, str>,
        text: Cow<'static, str>,
        labels: &'static [&'static str],
    ) -> BoxedCounterVec {
        match &*name {
            OPERATIONS => Box::new(Overflow(Arc::clone(&self.0))),
            _ => NoopMetricsRegistry.register_counter_vec(name, text, labels),
        }
    }

    fn register_gauge_vec(
        &self,
        name: Cow<'static, str>,
        text: Cow<'static, str>,
        labels: &'static [&'static str],
    ) -> BoxedGaugeVec {
        NoopMetricsRegistry.register_gauge_vec(name, text, labels)
    }

    fn register_histogram_vec(
        &self,
        name: Cow<'static, str>,
        text: Cow<'static, str>,
        labels: &'static [&'static str],
    ) -> BoxedHistogramVec {
        NoopMetricsRegistry.register_histogram_vec(name, text, labels)
    }

    fn register_histogram_vec_with_buckets(
        &self,
        name: Cow<'static, str>,
        text: Cow<'static, str>,
        labels: &'static [&'static str],
        buckets: Vec<f64>,
    ) -> BoxedHistogramVec {
        NoopMetricsRegistry.register_histogram_vec_with_buckets(name, text, labels, buckets)
    }
}

#[derive(Debug)]
struct Overflow(Arc<Counter>);

impl CounterVecOps for Overflow {
    fn counter(&self, labels: &[Cow<'static, str>]) -> BoxedCounter {
        if labels.iter().any(|label| label.ends_with(OVERFLOW)) {
            return Box::new(Self(Arc::clone(&self.0)));
        }
        NoopMetricsRegistry.counter(labels)
    }
}

impl CounterOps for Overflow {
    fn increase(&self, count: u64) {
        self.0.add(count);
    }
}
