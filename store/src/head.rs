//! The head: what was received last, in columns, searchable as soon as it is durable.
//!
//! Requests come from [`crate::Store::append`], one at a time. The head is a list of segments
//! (small ones, so that their hash tables stay in the processor's cache); the last one is open.
//! Rows become visible in the order in which they were appended, when the log says that they are
//! durable: a reader takes a [`View`] and sees no row above its watermark.

mod segment;

use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::Duration;

use model::batch::{Batch, Limits};
use model::metric::{Counter, Gauge};
use model::otlp::Appended;
use model::{ByteSize, Faults, Nanos, TenantId, Wait};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};
use segment::Closed;
pub use segment::Segment;

/// How large the head may get, and how it is cut into segments.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Most heap bytes of all segments; over it requests are answered with a retry hint.
    pub bytes_max: ByteSize,
    /// When a segment is closed and the next one begins.
    pub seal: Seal,
    /// Most attribute keys of one tenant that get columns of their own in a segment; what is
    /// over is kept in an overflow column.
    pub keys_max: usize,
    /// How far before its arrival a span may start and still be sorted by its own clock.
    pub clock_behind_max: Wait,
    /// How far after its arrival a span may start and still be sorted by its own clock.
    pub clock_ahead_max: Wait,
}

/// When a segment is closed: whatever comes first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Seal {
    /// Rows.
    pub rows: u32,
    /// Time since its first row.
    pub age: Wait,
    /// Heap bytes; at most a quarter of `head.bytes_max`.
    pub bytes: ByteSize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bytes_max: ByteSize::mib(512),
            seal: Seal::default(),
            keys_max: 1_000,
            clock_behind_max: Wait::secs(3_600),
            clock_ahead_max: Wait::secs(120),
        }
    }
}

impl Default for Seal {
    fn default() -> Self {
        Self { rows: 100_000, age: Wait::secs(30), bytes: ByteSize::mib(64) }
    }
}

impl Config {
    /// Collects what is wrong, under keys that start with `head.`.
    pub fn check(&self, faults: &mut Faults) {
        let sizes = [
            ("head.bytes_max", self.bytes_max, ByteSize::mib(1), ByteSize(1 << 40)),
            ("head.seal.bytes", self.seal.bytes, ByteSize::mib(1), ByteSize::mib(1024)),
        ];
        for (key, found, min, max) in sizes {
            faults.check_range(key, found, min..=max);
        }
        faults.check_range("head.seal.rows", self.seal.rows, 1_000..=2_000_000);
        faults.check_range("head.seal.age", self.seal.age, Wait::secs(1)..=Wait::secs(86_400));
        faults.check_range("head.keys_max", self.keys_max, 0..=10_000);
        let day = Wait::secs(86_400 * 365);
        faults.check_range("head.clock_behind_max", self.clock_behind_max, Wait::secs(1)..=day);
        faults.check_range("head.clock_ahead_max", self.clock_ahead_max, Wait::secs(1)..=day);
    }

    fn limits(&self) -> Limits {
        Limits {
            keys_per_tenant_max: self.keys_max,
            clock_behind_max: self.clock_behind_max.nanos(),
            clock_ahead_max: self.clock_ahead_max.nanos(),
            ..Limits::default()
        }
    }
}

/// What the head counts.
#[derive(Debug, Default)]
pub struct Stats {
    /// Spans that got a row.
    pub spans: Counter,
    /// Spans that were refused, for any reason.
    pub refused: Counter,
    /// Spans whose clock is off by more than the configuration allows.
    pub skewed: Counter,
    /// Attributes that went to an overflow column.
    pub overflowed: Counter,
    /// Requests that found the head full.
    pub full: Counter,
    /// Heap bytes of all segments.
    pub bytes: Gauge,
    /// Rows of all segments.
    pub rows: Gauge,
    /// Segments, the open one included.
    pub segments: Gauge,
}

/// What a reader sees: the segments, oldest first, each with its first invisible row.
#[derive(Debug)]
pub struct View {
    /// Segments and watermarks.
    pub parts: Vec<(Arc<Segment>, u32)>,
}

/// The segments, written by one request at a time and read by any number of queries.
#[derive(Debug)]
pub struct Head {
    config: Config,
    seed: u64,
    writer: Mutex<Writer>,
    segments: RwLock<Arc<Vec<Arc<Segment>>>>,
    stats: Stats,
    held: Held,
    noted: Mutex<Noted>,
    /// Requests that found the head full wait here, a moment, for a segment to be sealed.
    room: Condvar,
    room_lock: Mutex<()>,
}

/// Who an operator should know of, since this was last asked; at most [`NOTED_MAX`] of each.
#[derive(Debug, Default)]
pub struct Noted {
    /// Tenants that used up their attribute keys.
    pub over_keys: Vec<TenantId>,
    /// Tenant and `service.name` of spans whose clock is off by more than is allowed.
    pub skewed: Vec<(TenantId, String)>,
}

/// What segments hold that are closed and not sealed yet.
#[derive(Debug, Default)]
struct Held {
    closed_bytes: Gauge,
    closed_rows: Gauge,
}

/// Names that are kept until somebody asks.
const NOTED_MAX: usize = 64;

/// The open segment and the sizes that bound it.
#[derive(Debug)]
struct Writer {
    open: Arc<Segment>,
    /// Where the log ended for the last segment that was closed.
    last_end: u64,
    open_bytes: usize,
    /// Bytes of requests since `open_bytes` was measured: they bound what was added.
    unmeasured: usize,
}

/// A segment of fewer rows is closed later for its age alone, as each L0 file has fixed costs.
const SEAL_ROWS_MIN: usize = 4_096;

/// So many times `head.seal.age` later.
const SMALL_PATIENCE: u64 = 10;

/// Requests add up to so many bytes before the open segment's columns are measured again.
const MEASURE_EVERY: usize = 1 << 20;

/// The right to append, taken before the log is asked for room and held until it has the record,
/// so that rows and records are in one order.
#[derive(Debug)]
pub struct Turn<'h> {
    head: &'h Head,
    writer: MutexGuard<'h, Writer>,
}

/// Rows that are in the head and not visible yet.
#[derive(Debug)]
pub struct Unpublished {
    segment: Arc<Segment>,
    end: u32,
}

impl Unpublished {
    /// Lets readers see them.
    pub fn publish(self) {
        self.segment.publish(self.end);
    }
}

impl Head {
    /// An empty head. The seed keeps senders from choosing values that collide in its tables.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        let open = Segment::new(Batch::new(config.limits(), seed));
        let head = Self {
            segments: RwLock::new(Arc::new(vec![Arc::clone(&open)])),
            writer: Mutex::new(Writer { open, last_end: 0, open_bytes: 0, unmeasured: 0 }),
            config,
            seed,
            stats: Stats::default(),
            held: Held::default(),
            noted: Mutex::default(),
            room: Condvar::new(),
            room_lock: Mutex::new(()),
        };
        head.stats.segments.set(1);
        head
    }

    /// Has segments of the log up to this number be taken for sealed: numbers go on from there.
    ///
    /// # Errors
    /// `Fatal` when a request panicked in the middle of its walk.
    pub fn begin_after(&self, number: u64) -> Result<(), Error> {
        let mut writer = self.writer.lock().map_err(|_| poisoned())?;
        writer.last_end = writer.last_end.max(number);
        Ok(())
    }

    /// What it counts.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Who an operator should know of, since this was last asked.
    #[must_use]
    pub fn take_noted(&self) -> Noted {
        self.noted.lock().map(|mut noted| std::mem::take(&mut *noted)).unwrap_or_default()
    }

    /// Waits for the right to append.
    ///
    /// # Errors
    /// `Fatal` when a request panicked in the middle of its walk.
    pub fn turn(&self) -> Result<Turn<'_>, Error> {
        let writer = self.writer.lock().map_err(|_| poisoned())?;
        Ok(Turn { head: self, writer })
    }

    /// Whether a request has the turn.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self.writer.try_lock(), Err(TryLockError::WouldBlock))
    }

    /// What is visible now.
    ///
    /// # Errors
    /// `Fatal` when a request panicked in the middle of its walk.
    pub fn view(&self) -> Result<View, Error> {
        let segments = Arc::clone(&*self.segments.read().map_err(|_| poisoned())?);
        let visible =
            |segment: &Arc<Segment>| (Arc::clone(segment), segment.visible.load(Ordering::Acquire));
        Ok(View { parts: segments.iter().map(visible).collect() })
    }
}

impl Turn<'_> {
    /// Whether a request whose rows take at most `bytes` still fits.
    ///
    /// # Errors
    /// `TooLarge` when it would not fit into an empty head either, `Unavailable` when the head is
    /// full.
    pub fn check_room(&self, bytes: usize) -> Result<(), Error> {
        let held = self.head.bytes(&self.writer);
        let limit = self.head.config.bytes_max.as_usize();
        if bytes > limit {
            let message = format!(
                "request may take {bytes} bytes in memory, head.bytes_max is {limit}: send less at once"
            );
            return Err(Error::new(Kind::TooLarge, message));
        }
        if held.saturating_add(bytes) <= limit {
            return Ok(());
        }
        self.head.stats.full.inc();
        let message = format!(
            "head is full: {held} of head.bytes_max = {limit} bytes are held, {bytes} more do not fit"
        );
        Err(Error::new(Kind::Unavailable, message))
    }

    /// Walks a request into the open segment. Rows stay invisible until they are published.
    ///
    /// # Errors
    /// `Invalid` when the body is malformed, with the byte; the head is as it was then.
    pub fn append(
        &mut self,
        tenant: &TenantId,
        received_at: Nanos,
        body: &[u8],
        refused_before: &[u32],
    ) -> Result<(Appended, Unpublished), Error> {
        let open = Arc::clone(&self.writer.open);
        let mut batch = open.batch.write().map_err(|_| poisoned())?;
        let (skewed, overflowed) = (batch.skewed(), batch.overflowed());
        let first_row = model::column::count(batch.len());
        let appended = batch
            .append(tenant, received_at, body, refused_before)
            .map_err(|fault| Error::new(Kind::Invalid, fault.to_string()))?;
        let end = model::column::count(batch.len());
        if open.created_at.load(Ordering::Relaxed) == 0 {
            open.created_at.store(received_at.0.max(1), Ordering::Relaxed);
        }
        self.writer.unmeasured += body.len();
        if self.writer.unmeasured > MEASURE_EVERY {
            self.writer.open_bytes = batch.heap_bytes();
            self.writer.unmeasured = 0;
        }
        let stats = &self.head.stats;
        stats.spans.add(appended.spans);
        if batch.skewed() > skewed {
            stats.skewed.add(batch.skewed() - skewed);
            self.head.note_skewed(&batch, tenant, first_row..end);
        }
        if batch.overflowed() > overflowed {
            stats.overflowed.add(batch.overflowed() - overflowed);
            self.head.note_over_keys(&batch);
        }
        stats.rows.set(self.head.held.closed_rows.get() + u64::from(end));
        stats.bytes.set(self.head.bytes(&self.writer) as u64);
        drop(batch);
        Ok((appended, Unpublished { segment: open, end }))
    }

    /// Whether the open segment is large or old enough to be closed.
    ///
    /// # Errors
    /// `Fatal` when a request panicked in the middle of its walk.
    pub fn is_due(&self, now: Nanos) -> Result<bool, Error> {
        let seal = &self.head.config.seal;
        let open = &self.writer.open;
        let (rows, tenants) = {
            let batch = open.read()?;
            (batch.len(), batch.tenants().len())
        };
        let created_at = Nanos(open.created_at.load(Ordering::Relaxed));
        let age = now.minus(created_at);
        let patience = if rows >= SEAL_ROWS_MIN { 1 } else { SMALL_PATIENCE };
        Ok(rows > 0
            && (rows >= seal.rows as usize
                || tenants >= usize::from(u16::MAX)
                || self.writer.open_bytes + self.writer.unmeasured >= self.head.seal_bytes()
                || age.0 / patience >= seal.age.nanos().0))
    }

    /// Closes the open segment, if it has rows, and opens the next one. `log_end` ends the current
    /// segment of the log and tells the number of the next; where it cannot, nothing is closed.
    ///
    /// # Errors
    /// What `log_end` says; `Fatal` when a request panicked in the middle of its walk.
    pub fn close(&mut self, log_end: impl FnOnce() -> Result<u64, Error>) -> Result<(), Error> {
        let (rows, bytes) = {
            let batch = self.writer.open.read()?;
            (model::column::count(batch.len()), batch.heap_bytes())
        };
        if rows == 0 {
            return Ok(());
        }
        let log_end = log_end()?;
        let mut segments = self.head.segments.write().map_err(|_| poisoned())?;
        // Numbers count up, also where no log is written.
        let log_end = log_end.max(self.writer.last_end + 1);
        self.writer.last_end = log_end;
        self.writer.open.closed.get_or_init(|| Closed { rows, bytes, log_end });
        self.head.held.closed_bytes.add(bytes as u64);
        self.head.held.closed_rows.add(u64::from(rows));
        self.writer.open_bytes = 0;
        self.writer.unmeasured = 0;
        self.writer.open = Segment::new(Batch::new(self.head.config.limits(), self.head.seed));
        let mut next = Vec::clone(&segments);
        next.push(Arc::clone(&self.writer.open));
        self.head.stats.segments.set(next.len() as u64);
        *segments = Arc::new(next);
        Ok(())
    }
}

impl Head {
    fn bytes(&self, writer: &Writer) -> usize {
        let closed = usize::try_from(self.held.closed_bytes.get()).unwrap_or(usize::MAX);
        closed.saturating_add(writer.open_bytes + writer.unmeasured)
    }

    /// The oldest segment that is closed.
    ///
    /// # Errors
    /// `Fatal` when a request panicked in the middle of its walk.
    pub fn oldest_closed(&self) -> Result<Option<Arc<Segment>>, Error> {
        let segments = self.segments.read().map_err(|_| poisoned())?;
        Ok(segments.first().filter(|first| first.closed.get().is_some()).cloned())
    }

    /// Lets a closed segment go: its rows are elsewhere. Whoever waits for room is woken.
    ///
    /// # Errors
    /// `Fatal` when a request panicked in the middle of its walk.
    pub fn release(&self, segment: &Arc<Segment>) -> Result<(), Error> {
        let mut segments = self.segments.write().map_err(|_| poisoned())?;
        let mut next = Vec::clone(&segments);
        next.retain(|other| !Arc::ptr_eq(other, segment));
        if next.len() < segments.len()
            && let Some(closed) = segment.closed.get()
        {
            self.held.closed_bytes.sub(closed.bytes as u64);
            self.held.closed_rows.sub(u64::from(closed.rows));
            self.stats.bytes.sub((closed.bytes as u64).min(self.stats.bytes.get()));
            self.stats.rows.sub(u64::from(closed.rows).min(self.stats.rows.get()));
        }
        self.stats.segments.set(next.len() as u64);
        *segments = Arc::new(next);
        drop(segments);
        drop(self.room_lock.lock());
        self.room.notify_all();
        Ok(())
    }

    /// Waits until a segment was let go, at most so long. Only where one is on its way: an open
    /// segment alone gives no room.
    pub fn wait_for_room(&self, at_most: Duration) {
        if self.held.closed_rows.get() > 0 {
            let guard = self.room_lock.lock().unwrap_or_else(PoisonError::into_inner);
            let before = self.held.closed_bytes.get();
            let full = |(): &mut ()| self.held.closed_bytes.get() >= before;
            drop(self.room.wait_timeout_while(guard, at_most, full));
        }
    }

    /// Vectors double, so the open segment may take twice what is in it: a part of the bound
    /// that is small enough for that.
    fn seal_bytes(&self) -> usize {
        let part = self.config.bytes_max.as_usize() / 4;
        self.config.seal.bytes.as_usize().min(part.max(1 << 20))
    }

    fn note_over_keys(&self, batch: &Batch) {
        let Ok(mut noted) = self.noted.lock() else { return };
        for tenant in batch.tenants_over_keys() {
            if noted.over_keys.len() < NOTED_MAX && !noted.over_keys.contains(tenant) {
                noted.over_keys.push(tenant.clone());
            }
        }
    }

    /// Looks at the first rows of a request only: a service whose clock is off comes again.
    fn note_skewed(&self, batch: &Batch, tenant: &TenantId, rows: Range<u32>) {
        let Ok(mut noted) = self.noted.lock() else { return };
        for row in rows.take(NOTED_MAX) {
            if noted.skewed.len() >= NOTED_MAX {
                return;
            }
            let service = batch.service(row);
            let known = |(of, name): &(TenantId, String)| of == tenant && name == service;
            let is_off = batch.effective_start(row) != batch.start(row);
            if is_off && !noted.skewed.iter().any(known) {
                noted.skewed.push((tenant.clone(), service.to_owned()));
            }
        }
    }
}

fn poisoned() -> Error {
    Error::new(Kind::Fatal, "a request panicked while it was written to the head")
}
