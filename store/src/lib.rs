//! The block store: what is acknowledged is durable, and found at once.
//!
//! `Store` on one page: requests go in through [`Store::append`] (walk into the head's columns,
//! append to the log, fsync, publish, acknowledge) and come back through [`Store::trace`], whole, and
//! through [`Store::query`] and its kin in `query.rs`, as what a TraceQL query finds. No network, no
//! authentication: those are the gateway's.

mod append;
pub mod backend;
pub mod bare;
pub mod block;
pub mod compaction;
pub mod disk;
pub mod error;
pub mod execute;
pub mod fault;
pub mod head;
mod keep;
pub mod l0;
pub mod log;
mod lru;
pub mod manifest;
mod merge;
mod query;
pub mod retention;
mod seal;
pub mod shelf;
mod status;
#[cfg(test)]
mod tests;
mod upkeep;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use model::metric::{Counter, Histogram};
use model::{ByteSize, Clock, Faults, Federation, TimeRange, TraceId};
use serde::{Deserialize, Serialize};

pub use append::{Accepted, Append, Pending, Refusal};
use backend::Shared;
pub use block::section::Level;
use disk::Disk;
use disk::data_dir::DataDir;
pub use error::{Error, Kind};
use execute::Parts;
use execute::answers::Answers;
pub use execute::{SpanKey, Trace};
use head::Head;
use keep::Keep;
pub use keep::Step;
pub use keep::redact::{Redacted, TRACES_MAX as REDACTED_MAX};
use log::LocalWal;
use log::edit::Edits;
use log::replay::Replay;
pub use status::{QueryCaches, State, Status};
pub use upkeep::{Chore, Deleted, Flushed};

/// How the store behaves.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The head.
    pub head: head::Config,
    /// The log.
    pub wal: log::config::Config,
    /// What is sealed and not merged yet.
    pub l0: l0::Config,
    /// When blocks are joined.
    pub compaction: compaction::Config,
    /// How long blocks are kept.
    pub retention: retention::Config,
    /// Reads.
    pub query: QueryConfig,
}

/// Bounds of reads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryConfig {
    /// Most bytes of one trace that are returned; what is over is left out and said to be.
    pub trace_bytes_max: ByteSize,
    /// Most bytes that are kept of what queries read of blocks: columns as they are decoded,
    /// dictionaries, summaries and tables of row groups.
    pub cache_bytes_max: ByteSize,
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self { trace_bytes_max: ByteSize::mib(32), cache_bytes_max: ByteSize::mib(96) }
    }
}

impl Config {
    /// Collects what is wrong, by dotted key.
    pub fn check(&self, faults: &mut Faults) {
        self.head.check(faults);
        self.wal.check(faults);
        self.l0.check(faults);
        self.compaction.check(faults);
        self.retention.check(faults);
        let (min, max) = (ByteSize::mib(1), ByteSize::mib(1024));
        faults.check_range("query.trace_bytes_max", self.query.trace_bytes_max, min..=max);
        let max = ByteSize::mib(1 << 20);
        faults.check_range("query.cache_bytes_max", self.query.cache_bytes_max, min..=max);
    }
}

/// What the store counts, besides its head and its log.
#[derive(Debug, Default)]
pub struct Stats {
    /// From the call of append to the acknowledgement.
    pub append: Histogram,
    /// Spans that were found twice with the same content.
    pub duplicates: Counter,
    /// Spans that were found twice with different content; the first was returned.
    pub conflicts: Counter,
    /// Traces that were asked for by id.
    pub trace_reads: Counter,
    /// Queries: for traces, series, names and values of attributes.
    pub searches: Counter,
}

/// A handle to the store; clones share it.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>, Arc<Life>);

/// Ends the threads with the last handle.
#[derive(Debug)]
struct Life {
    inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Life {
    fn end(&self) {
        self.inner.keep.stop();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // What a step was doing when it panicked is told, and done again at the next start.
            drop(thread.join());
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(Debug)]
pub(crate) struct Inner {
    dir: DataDir,
    config: Config,
    clock: Arc<dyn Clock>,
    head: Head,
    keep: Keep,
    answers: Answers,
    log_stats: Arc<log::stats::Stats>,
    wal: OnceLock<LocalWal>,
    replay: Mutex<Option<Replay>>,
    state: AtomicU8,
    /// Shared with the log's callbacks, which hold nothing else of the store: the last handle
    /// must never be dropped by the log's own thread, which it waits for.
    stats: Arc<Stats>,
    on_failed: Arc<OnceLock<OnFailed>>,
}

/// Called by whoever finds first that the process has to end.
struct OnFailed(Box<dyn Fn(Arc<Error>) + Send + Sync>);

impl fmt::Debug for OnFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnFailed")
    }
}

impl Store {
    /// Opens the data directory: takes its lock, checks FORMAT, finds the log. Quick; does not
    /// replay yet. `random` gives a random number (the writer id of a new directory, and the
    /// seed of the hash tables).
    ///
    /// # Errors
    /// `Refused` when another process has it, a newer version wrote it, or it is not ours.
    pub fn open(
        disk: Arc<dyn Disk>,
        path: &Path,
        config: &Config,
        clock: Arc<dyn Clock>,
        random: impl Fn() -> std::io::Result<u64>,
    ) -> Result<Self, Error> {
        Self::open_with(disk, path, None, config, clock, random)
    }

    /// The same with blocks and manifest in an object store.
    ///
    /// # Errors
    /// As [`Store::open`], and what the object store says.
    pub fn open_with(
        disk: Arc<dyn Disk>,
        path: &Path,
        shared: Option<Shared>,
        config: &Config,
        clock: Arc<dyn Clock>,
        random: impl Fn() -> std::io::Result<u64>,
    ) -> Result<Self, Error> {
        let seed = random().map_err(|fault| Error::io("read random bytes", fault))?;
        let dir = DataDir::open(disk, path, &random)?;
        let log_stats = Arc::<log::stats::Stats>::default();
        let settings = keep::Settings {
            l0: &config.l0,
            compaction: &config.compaction,
            retention: &config.retention,
            cache_bytes: config.query.cache_bytes_max.as_usize(),
        };
        let (keep, sealed) = Keep::open(&dir, shared, &settings, Arc::clone(&clock))?;
        let replay = Replay::start(&dir, &config.wal, Arc::clone(&log_stats), sealed)?;
        let head = Head::new(config.head.clone(), seed);
        head.begin_after(sealed)?;
        let inner = Arc::new(Inner {
            dir,
            head,
            keep,
            answers: Answers::default(),
            config: config.clone(),
            clock,
            log_stats,
            wal: OnceLock::new(),
            replay: Mutex::new(Some(replay)),
            state: AtomicU8::new(State::Replaying as u8),
            stats: Arc::default(),
            on_failed: Arc::default(),
        });
        let life = Life { inner: Arc::clone(&inner), threads: Mutex::default() };
        Ok(Self(inner, Arc::new(life)))
    }

    /// Replays the log into the head and starts the log; appends and reads answer `Unavailable`
    /// until it is done. Blocking: run it on a thread of its own. Progress shows in
    /// [`Store::status`]. A second call does nothing.
    ///
    /// # Errors
    /// `Io` when the log cannot be read, `Refused` when a newer version wrote it.
    pub fn replay(&self) -> Result<(), Error> {
        let Some(replayed) = self.refill()? else { return Ok(()) };
        self.begin(LocalWal::start(replayed, Arc::clone(&self.0.clock))?)?;
        let threads = keep::threads::start(&self.0)?;
        self.1.threads.lock().unwrap_or_else(PoisonError::into_inner).extend(threads);
        Ok(())
    }

    /// Like [`Store::replay`] without the threads of the log: nothing is written but through the
    /// driver. For simulations, which need the same steps in the same order each time. `None` at
    /// a second call.
    ///
    /// # Errors
    /// As [`Store::replay`].
    pub fn replay_driven(&self) -> Result<Option<log::Driver>, Error> {
        let Some(replayed) = self.refill()? else { return Ok(None) };
        let (wal, driver) = LocalWal::start_driven(replayed, Arc::clone(&self.0.clock));
        self.begin(wal)?;
        Ok(Some(driver))
    }

    /// Reads the log back into the head, once.
    fn refill(&self) -> Result<Option<log::replay::Replayed>, Error> {
        let inner = &*self.0;
        let taken = inner.replay.lock().map(|mut replay| replay.take());
        let Some(mut replay) = taken.unwrap_or_default() else { return Ok(None) };
        let mut current = None;
        for record in &mut replay {
            let record = record?;
            let refused: Vec<u32> = refused_rows(&record.edits);
            let mut turn = inner.head.turn()?;
            // A segment of the head ends where one of the log does, so that the one goes with the
            // other.
            let is_next = current.replace(record.segment).is_some_and(|now| now != record.segment);
            if is_next && turn.is_due(record.received_at)? {
                turn.close(|| Ok(record.segment))?;
            }
            match turn.append(&record.tenant, record.received_at, &record.body, &refused) {
                Ok((_, unpublished)) => unpublished.publish(),
                // It was walked before it was acknowledged; a fault now is damage that no
                // checksum has seen, and costs this record only.
                Err(error) => tracing::error!(
                    segment = record.segment,
                    sequence = record.sequence,
                    %error,
                    "a record of the wal cannot be read, its spans are lost"
                ),
            }
        }
        let mut replayed = replay.finish()?;
        replayed.saves_space = Arc::clone(inner.keep.saves_space());
        Ok(Some(replayed))
    }

    /// Takes requests from now on, unless the store was closed meanwhile.
    fn begin(&self, wal: LocalWal) -> Result<(), Error> {
        let inner = &*self.0;
        if inner.wal.set(wal).is_err() {
            return Ok(());
        }
        let (from, to) = (State::Replaying as u8, State::Ready as u8);
        let begun = inner.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
        if begun.is_ok() { Ok(()) } else { self.close() }
    }

    /// All spans of a trace, or `None` where there are none or all of them are outside of
    /// `during`. Those of several tenants are one trace, and their resources carry
    /// [`model::TENANT_ATTRIBUTE`]. Computes: run it on the compute pool.
    ///
    /// # Errors
    /// `Unavailable` while replaying.
    pub fn trace(
        &self,
        tenants: &Federation,
        id: TraceId,
        during: TimeRange,
    ) -> Result<Option<Trace>, Error> {
        self.trace_after(tenants, id, during, None)
    }

    /// The spans of a trace that come after one, as many as a page has: see [`Trace::next`].
    ///
    /// # Errors
    /// As [`Self::trace`].
    pub fn trace_after(
        &self,
        tenants: &Federation,
        id: TraceId,
        during: TimeRange,
        after: Option<SpanKey>,
    ) -> Result<Option<Trace>, Error> {
        self.readable()?;
        let stats = &self.0.stats;
        stats.trace_reads.inc();
        let bytes_max = self.0.config.query.trace_bytes_max.as_usize();
        let inner = &self.0;
        let view = inner.keep.shelf.view(&inner.head, tenants)?;
        let parts = Parts::new(&view, &inner.keep.readers, &inner.answers);
        if view.hides(id) {
            return Ok(None);
        }
        let found = execute::trace(&parts, id, during, after, bytes_max)?;
        let partial = inner.partial(&view, parts.into_problems());
        let Some((mut trace, duplicates, conflicts)) = found else {
            // Not found and not looked everywhere is another answer than not found.
            return partial.map_or(Ok(None), |what| {
                Ok(Some(Trace { partial: Some(what), ..Trace::default() }))
            });
        };
        stats.duplicates.add(duplicates);
        stats.conflicts.add(conflicts);
        trace.partial = partial;
        Ok(Some(trace))
    }

    /// Refuses new appends, waits for those under way, closes the log clean. Blocking. Before
    /// the end of the replay it only has that end so, and nothing is waited for.
    ///
    /// # Errors
    /// `Fatal` when the last flush failed.
    pub fn close(&self) -> Result<(), Error> {
        self.0.state.store(State::Closed as u8, Ordering::Release);
        self.1.end();
        self.0.wal.get().map_or(Ok(()), LocalWal::close)
    }

    /// Calls `hook` once when the disk fails in a way after which no ack can be trusted, or when
    /// a request panicked while it wrote to the head; the process should end then. Call it after
    /// [`Store::replay`].
    pub fn on_failed(&self, hook: impl FnOnce(Arc<Error>) + Send + 'static) {
        let once = Mutex::new(Some(hook));
        let hook = move |error| {
            let taken = once.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(hook) = taken {
                hook(error);
            }
        };
        let shared = Arc::clone(&self.0.on_failed);
        if shared.set(OnFailed(Box::new(hook))).is_ok()
            && let Some(wal) = self.0.wal.get()
        {
            wal.on_failed(move |error| {
                if let Some(OnFailed(hook)) = shared.get() {
                    hook(error);
                }
            });
        }
    }

    fn fail(&self, error: &Error) {
        if let Some(OnFailed(hook)) = self.0.on_failed.get() {
            hook(Arc::new(Error::new(error.kind(), error.to_string())));
        }
    }

    /// Whether a request writes to the head right now: the next one will wait.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.0.head.is_busy()
    }

    /// What the store counts.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// What the head counts.
    #[must_use]
    pub fn head_stats(&self) -> &head::Stats {
        self.0.head.stats()
    }

    /// What the log counts.
    #[must_use]
    pub fn log_stats(&self) -> &log::stats::Stats {
        &self.0.log_stats
    }

    /// Who an operator should know of since this was last asked, for a warning.
    #[must_use]
    pub fn take_noted(&self) -> head::Noted {
        self.0.head.take_noted()
    }

    fn ready(&self) -> Result<&LocalWal, Error> {
        match (self.state(), self.0.wal.get()) {
            (State::Ready, Some(wal)) => Ok(wal),
            (State::Closed, _) => Err(Error::new(Kind::Unavailable, "shutting down")),
            _ => Err(replaying()),
        }
    }

    fn readable(&self) -> Result<(), Error> {
        // Closed or not: until the log is there, some of what was acknowledged is missing.
        self.0.wal.get().map(|_| ()).ok_or_else(replaying)
    }
}

impl Inner {
    /// Why an answer may miss something, for people.
    fn partial(&self, view: &shelf::View, problems: Vec<execute::Problem>) -> Option<String> {
        let now = self.keep.note(problems);
        now.or_else(|| view.damage.first().cloned())
    }
}

fn replaying() -> Error {
    Error::new(Kind::Unavailable, "starting: the log is being replayed")
}

fn refused_rows(edits: &Edits) -> Vec<u32> {
    let rows = edits.refused.runs().flat_map(|(start, end)| start..end);
    rows.map_while(|row| u32::try_from(row).ok()).collect()
}
