//! The block store: what is acknowledged is durable, and found at once.
//!
//! `Store` on one page: requests go in through [`Store::append`] (walk into the head's columns,
//! append to the log, fsync, publish, acknowledge) and come back through [`Store::trace`] and
//! [`Store::search`]. No network, no authentication: those are the gateway's.

pub mod backend;
pub mod bare;
pub mod block;
pub mod disk;
pub mod error;
pub mod execute;
pub mod fault;
pub mod head;
mod keep;
pub mod l0;
pub mod log;
pub mod manifest;
mod merge;
pub mod retention;
mod seal;
pub mod shelf;
mod status;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use model::metric::{Counter, Histogram};
use model::otlp::{self, Appended};
use model::{ByteSize, Clock, Faults, Nanos, TenantId, TimeRange, TraceId};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

pub use block::section::Level;
use disk::Disk;
use disk::data_dir::DataDir;
pub use error::{Error, Kind};
use execute::Parts;
pub use execute::{Found, MatchedSpan, Search, Trace, TraceSummary};
use head::{Head, Turn};
use keep::Keep;
pub use keep::Step;
use log::edit::Edits;
use log::record::Format;
use log::replay::Replay;
use log::{Entry, LocalWal};
pub use status::{State, Status};

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
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self { trace_bytes_max: ByteSize::mib(32) }
    }
}

impl Config {
    /// Collects what is wrong, by dotted key.
    pub fn check(&self, faults: &mut Faults) {
        self.head.check(faults);
        self.wal.check(faults);
        self.l0.check(faults);
        self.retention.check(faults);
        let (min, max) = (ByteSize::mib(1), ByteSize::mib(1024));
        faults.check_range("query.trace_bytes_max", self.query.trace_bytes_max, min..=max);
    }
}

/// How long a request waits for room in a full head while a segment is being sealed.
const ROOM_WAIT: Duration = Duration::from_millis(500);
/// How often, and how far apart, a flush asks the log for a new segment.
const CLOSE_ATTEMPTS: usize = 200;
const CLOSE_WAIT: Duration = Duration::from_millis(10);

/// One of the things that the store's threads do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chore {
    /// Close the open segment of the head.
    Close,
    /// Seal a closed segment that is durable.
    Seal,
    /// Merge L0 files, whatever their age.
    Merge,
    /// Remove blocks that are too old.
    Expire,
    /// Remove what nobody needs, set aside what is damaged.
    Tidy,
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
    /// Searches.
    pub searches: Counter,
}

/// One request to store: an OTLP `ExportTraceServiceRequest`, decompressed, protobuf.
#[derive(Debug)]
pub struct Append {
    /// Whose spans these are.
    pub tenant: TenantId,
    /// When the gateway received the request.
    pub received_at: Nanos,
    /// The message.
    pub body: Bytes,
}

/// A request that is in the head and on its way to the disk.
#[derive(Debug)]
pub struct Pending {
    accepted: Accepted,
    outcome: Option<oneshot::Receiver<log::Outcome>>,
}

/// What became of a request.
#[derive(Debug, Default)]
pub struct Accepted {
    /// Spans that are stored.
    pub spans: u64,
    /// Spans that are not, in all.
    pub refused: u64,
    /// Why, for the first few of them.
    pub refusals: Vec<Refusal>,
}

/// Why one span was not stored.
#[derive(Debug, Default)]
pub struct Refusal {
    /// Its place in the request, counted over all resources and scopes from 0.
    pub span: u64,
    /// Its name, cut at 128 bytes.
    pub name: String,
    /// The reason, such as `trace id is all zeros`.
    pub reason: String,
    /// The reason as a bounded metric label: `trace_id`, `span_id`, ...
    pub label: &'static str,
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

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Flushed {
    /// L0 files that were sealed.
    pub l0_files: u64,
    /// Blocks that were written.
    pub blocks: u64,
    /// Spans that were sealed or merged.
    pub spans: u64,
}

#[derive(Debug)]
pub(crate) struct Inner {
    dir: DataDir,
    config: Config,
    clock: Arc<dyn Clock>,
    head: Head,
    keep: Keep,
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
        let seed = random().map_err(|fault| Error::io("read random bytes", fault))?;
        let dir = DataDir::open(disk, path, &random)?;
        let log_stats = Arc::<log::stats::Stats>::default();
        let (keep, sealed) = Keep::open(&dir, &config.l0, &config.retention, Arc::clone(&clock))?;
        let replay = Replay::start(&dir, &config.wal, Arc::clone(&log_stats), sealed)?;
        let head = Head::new(config.head.clone(), seed);
        head.begin_after(sealed)?;
        let inner = Arc::new(Inner {
            dir,
            head,
            keep,
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

    /// Walks the request into the head and hands it to the log. Computes (about 1 ms for 800
    /// spans) and never waits for the disk: run it on the compute pool.
    ///
    /// # Errors
    /// `Invalid` (malformed; names the byte), `TooLarge`, `Unavailable` (head or disk full,
    /// replaying, draining), `Fatal` after the disk failed.
    pub fn append(&self, request: Append) -> Result<Pending, Error> {
        let inner = &self.0;
        let started = inner.clock.monotonic();
        let wal = self.ready()?;
        // Before anything is taken: what is refused leaves nothing in the head, and what is
        // taken is known to fit.
        let checked =
            otlp::check(&request.body).map_err(|at| Error::new(Kind::Invalid, at.to_string()))?;
        let (refused, is_empty) = (checked.refused.len() as u64, checked.is_empty());
        let refusals = checked.refusals.into_iter().map(Refusal::from).collect();
        let mut accepted = Accepted { spans: 0, refused, refusals };
        if is_empty {
            inner.head.stats().refused.add(refused);
            return Ok(Pending { accepted, outcome: None });
        }
        let packed = wal.pack(&request.body)?;
        let mut turn = self.turn(wal, request.received_at, checked.heap_bytes)?;
        let reservation = wal.reserve(&packed)?;
        let (appended, unpublished) =
            turn.append(&request.tenant, request.received_at, &request.body, &checked.refused)?;
        let edits = edits(&appended);
        accepted.spans = appended.spans;
        // Counted with the answer: a request that is told to come back is counted then.
        inner.head.stats().refused.add(refused);
        let entry = Entry {
            tenant: request.tenant,
            received_at: request.received_at,
            format: Format::OtlpProtobuf,
            edits,
        };
        let (sender, outcome) = oneshot::channel();
        let (stats, clock) = (Arc::clone(&inner.stats), Arc::clone(&inner.clock));
        let done = move |outcome: log::Outcome| {
            if outcome.is_ok() {
                unpublished.publish();
                stats.append.record(clock.monotonic().minus(started).0);
            }
            // The client may be gone; the request stays stored all the same.
            drop(sender.send(outcome));
        };
        // Under the turn, so that rows and records are in one order.
        reservation.append(entry, packed, Box::new(done));
        drop(turn);
        Ok(Pending { accepted, outcome: Some(outcome) })
    }

    /// The turn to append a request of so many heap bytes at most. Where the head is full it waits a
    /// moment for a segment that is being sealed: slower is better than refused.
    fn turn(&self, wal: &LocalWal, now: Nanos, heap_bytes: usize) -> Result<Turn<'_>, Error> {
        let inner = &self.0;
        let mut turn = inner.head.turn().inspect_err(|error| self.fail(error))?;
        if turn.is_due(now)? {
            inner.close(&mut turn, wal)?;
        }
        match turn.check_room(heap_bytes) {
            Err(error) if error.kind() == Kind::Unavailable => {}
            room => return room.map(|()| turn),
        }
        drop(turn);
        inner.head.wait_for_room(ROOM_WAIT);
        let turn = inner.head.turn().inspect_err(|error| self.fail(error))?;
        turn.check_room(heap_bytes).map(|()| turn)
    }

    /// All spans of a trace, or `None` where there are none or all of them are outside of
    /// `during`. Computes: run it on the compute pool.
    ///
    /// # Errors
    /// `Unavailable` while replaying.
    pub fn trace(
        &self,
        tenant: &TenantId,
        id: TraceId,
        during: TimeRange,
    ) -> Result<Option<Trace>, Error> {
        self.readable()?;
        let stats = &self.0.stats;
        stats.trace_reads.inc();
        let bytes_max = self.0.config.query.trace_bytes_max.as_usize();
        let inner = &self.0;
        let view = inner.keep.shelf.view(&inner.head, tenant)?;
        let parts = Parts::new(&view, tenant, &*inner.keep.backend, &inner.keep.cache);
        let found = execute::trace(&parts, id, during, bytes_max)?;
        let partial = inner.partial(tenant, &view, parts.into_problems());
        let Some((mut trace, duplicates, conflicts)) = found else {
            // Not found and not looked everywhere is another answer than not found.
            return partial.map_or(Ok(None), |what| {
                Ok(Some(Trace { otlp: Vec::new(), spans: 0, left_out: 0, partial: Some(what) }))
            });
        };
        stats.duplicates.add(duplicates);
        stats.conflicts.add(conflicts);
        trace.partial = partial;
        Ok(Some(trace))
    }

    /// Finds traces. Computes: run it on the compute pool.
    ///
    /// # Errors
    /// `Unavailable` while replaying.
    pub fn search(&self, tenant: &TenantId, search: &Search) -> Result<Found, Error> {
        self.readable()?;
        let inner = &self.0;
        inner.stats.searches.inc();
        for (key, _) in &search.tags {
            inner.keep.asked_for(key);
        }
        let view = inner.keep.shelf.view(&inner.head, tenant)?;
        let parts = Parts::new(&view, tenant, &*inner.keep.backend, &inner.keep.cache);
        let mut found = execute::search(&parts, search)?;
        found.partial = inner.partial(tenant, &view, parts.into_problems());
        Ok(found)
    }

    /// Seals what is in the head, and for [`Level::L1`] merges all of L0; returns when it is done.
    /// Blocking, for as long as that takes.
    ///
    /// # Errors
    /// `Unavailable` while replaying or draining, or when there is no space; `Io`.
    pub fn flush(&self, level: Level) -> Result<Flushed, Error> {
        let (inner, wal) = (&self.0, self.ready()?);
        let stats = &inner.keep.stats;
        let before = (
            stats.seals.get(),
            stats.blocks.get(),
            stats.sealed_spans.get(),
            stats.merged_spans.get(),
        );
        inner.close_now(wal)?;
        loop {
            match inner.seal(true)? {
                Step::Worked => {}
                Step::Idle => break,
                Step::Full => {
                    inner.keep.merge(keep::Due::All, &|| {})?;
                }
            }
        }
        if level == Level::L1 {
            while inner.keep.merge(keep::Due::All, &|| {})? == Step::Worked {}
        }
        inner.keep.tidy()?;
        let spans = match level {
            Level::L0 => stats.sealed_spans.get() - before.2,
            Level::L1 => stats.merged_spans.get() - before.3,
        };
        Ok(Flushed {
            l0_files: stats.seals.get() - before.0,
            blocks: stats.blocks.get().saturating_sub(before.1),
            spans,
        })
    }

    /// Takes one step of what the store's threads do: for simulations, which have none.
    ///
    /// # Errors
    /// As [`Store::flush`].
    pub fn step(&self, chore: Chore) -> Result<Step, Error> {
        let (inner, wal) = (&self.0, self.ready()?);
        match chore {
            Chore::Close => inner.close_now(wal).map(|()| Step::Worked),
            Chore::Seal => inner.seal(false),
            Chore::Merge => inner.keep.merge(keep::Due::All, &|| {}),
            Chore::Expire => inner.keep.expire(),
            Chore::Tidy => inner.keep.tidy().map(|()| Step::Idle),
        }
    }

    /// What sealing, merging and keeping count.
    #[must_use]
    pub fn keep_stats(&self) -> &l0::Stats {
        &self.0.keep.stats
    }

    /// Commits to the manifest that another writer was faster than.
    #[must_use]
    pub fn manifest_conflicts(&self) -> u64 {
        self.0.keep.manifest.conflicts.get()
    }

    /// The cache of row groups' tables.
    #[must_use]
    pub fn cache(&self) -> &block::cache::Cache {
        &self.0.keep.cache
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
    /// Closes the open segment of the head; while the log cannot begin a new segment, later.
    fn close(&self, turn: &mut Turn<'_>, wal: &LocalWal) -> Result<(), Error> {
        match turn.close(|| wal.rotate()) {
            Ok(()) => {
                self.keep.wake_seal();
                Ok(())
            }
            Err(error) if error.kind() == Kind::Unavailable => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Closes the open segment if it is old enough, though nothing comes.
    fn close_if_due(&self) -> Result<(), Error> {
        let Some(wal) = self.wal.get() else { return Ok(()) };
        let mut turn = self.head.turn()?;
        if turn.is_due(self.clock.now())? { self.close(&mut turn, wal) } else { Ok(()) }
    }

    /// Closes the open segment whatever is in it; waits a moment for the log.
    fn close_now(&self, wal: &LocalWal) -> Result<(), Error> {
        let mut attempts = 0;
        loop {
            match self.head.turn()?.close(|| wal.rotate()) {
                Err(error) if error.kind() == Kind::Unavailable && attempts < CLOSE_ATTEMPTS => {
                    attempts += 1;
                    self.keep.breathe(CLOSE_WAIT);
                }
                closed => return closed,
            }
        }
    }

    fn seal(&self, wait: bool) -> Result<Step, Error> {
        match self.wal.get() {
            Some(wal) => self.keep.seal(&self.head, wal, wait),
            None => Ok(Step::Idle),
        }
    }

    /// Why an answer may miss something, for people.
    fn partial(
        &self,
        tenant: &TenantId,
        view: &shelf::View,
        problems: Vec<execute::Problem>,
    ) -> Option<String> {
        let now = self.keep.note(tenant, problems);
        now.or_else(|| view.damage.first().cloned())
    }
}

fn replaying() -> Error {
    Error::new(Kind::Unavailable, "starting: the log is being replayed")
}

impl Pending {
    /// Resolves when the request is durable (as the configuration says) and searchable.
    ///
    /// # Errors
    /// `Fatal` when the disk failed; nothing is acknowledged then.
    ///
    /// # Cancel safety
    /// Dropping the future loses only the answer; the request stays stored.
    pub async fn durable(self) -> Result<Accepted, Error> {
        let Some(outcome) = self.outcome else { return Ok(self.accepted) };
        match outcome.await {
            Ok(Ok(())) => Ok(self.accepted),
            Ok(Err(error)) => Err(Error::new(error.kind(), error.to_string())),
            Err(_) => Err(Error::new(Kind::Fatal, "the log went away")),
        }
    }
}

impl From<otlp::Refusal> for Refusal {
    fn from(refusal: otlp::Refusal) -> Self {
        let otlp::Refusal { span, name, reason } = refusal;
        Self { span: span.into(), name, label: reason.label(), reason: reason.to_string() }
    }
}

fn edits(appended: &Appended) -> Edits {
    Edits { refused: appended.refused.iter().map(|span| u64::from(*span)).collect() }
}

fn refused_rows(edits: &Edits) -> Vec<u32> {
    let rows = edits.refused.runs().flat_map(|(start, end)| start..end);
    rows.map_while(|row| u32::try_from(row).ok()).collect()
}
