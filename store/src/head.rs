//! The head: what was received last, in columns, searchable as soon as it is durable.
//!
//! Requests come from [`crate::Store::append`], one at a time. The head is a list of segments
//! (small ones, so that their hash tables stay in the processor's cache); the last one is open.
//! Rows become visible in the order in which they were appended, when the log says that they are
//! durable: a reader takes a [`View`] and sees no row above its watermark.

use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, TryLockError};

use model::batch::{Batch, Limits};
use model::metric::{Counter, Gauge};
use model::otlp::Appended;
use model::{ByteSize, Faults, Nanos, TenantId, Wait};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Kind};

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

/// A part of the head: columns, and how far they may be read.
#[derive(Debug)]
pub struct Segment {
    batch: RwLock<Batch>,
    visible: AtomicU32,
    created_at: AtomicU64,
}

impl Segment {
    fn new(batch: Batch) -> Arc<Self> {
        let (visible, created_at) = (AtomicU32::new(0), AtomicU64::new(0));
        Arc::new(Self { batch: RwLock::new(batch), visible, created_at })
    }

    /// Lets readers see the rows below `end`. Called in the order of the rows.
    pub fn publish(&self, end: u32) {
        self.visible.fetch_max(end, Ordering::Release);
    }

    /// The columns. The open segment's writer waits while the guard is held: keep it short.
    ///
    /// # Errors
    /// `Fatal` when a writer panicked in the middle of a request.
    pub fn read(&self) -> Result<RwLockReadGuard<'_, Batch>, Error> {
        self.batch.read().map_err(|_| poisoned())
    }
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
    noted: Mutex<Noted>,
}

/// Who an operator should know of, since this was last asked; at most [`NOTED_MAX`] of each.
#[derive(Debug, Default)]
pub struct Noted {
    /// Tenants that used up their attribute keys.
    pub over_keys: Vec<TenantId>,
    /// Tenant and `service.name` of spans whose clock is off by more than is allowed.
    pub skewed: Vec<(TenantId, String)>,
}

/// Names that are kept until somebody asks.
const NOTED_MAX: usize = 64;

/// The open segment and the sizes that bound it.
#[derive(Debug)]
struct Writer {
    open: Arc<Segment>,
    closed_bytes: usize,
    closed_rows: u64,
    open_bytes: usize,
    /// Bytes of requests since `open_bytes` was measured: they bound what was added.
    unmeasured: usize,
}

/// A segment is not closed for its age alone while it is this small: each has fixed costs.
const SEAL_ROWS_MIN: usize = 4_096;

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
            writer: Mutex::new(Writer {
                open,
                closed_bytes: 0,
                closed_rows: 0,
                open_bytes: 0,
                unmeasured: 0,
            }),
            config,
            seed,
            stats: Stats::default(),
            noted: Mutex::default(),
        };
        head.stats.segments.set(1);
        head
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
        let held = self.writer.bytes();
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
        self.seal_if_due(received_at)?;
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
        stats.rows.set(self.writer.closed_rows + u64::from(end));
        stats.bytes.set(self.writer.bytes() as u64);
        drop(batch);
        Ok((appended, Unpublished { segment: open, end }))
    }

    /// Closes the open segment when it is large or old enough, and opens the next one.
    fn seal_if_due(&mut self, now: Nanos) -> Result<(), Error> {
        let seal = &self.head.config.seal;
        let open = &self.writer.open;
        let (rows, tenants) = {
            let batch = open.read()?;
            (batch.len(), batch.tenants().len())
        };
        let created_at = Nanos(open.created_at.load(Ordering::Relaxed));
        let full = rows >= seal.rows as usize
            || tenants >= usize::from(u16::MAX)
            || self.writer.open_bytes + self.writer.unmeasured >= self.head.seal_bytes();
        let old = rows >= SEAL_ROWS_MIN && now.minus(created_at) >= seal.age.nanos();
        if !(full || old) {
            return Ok(());
        }
        let bytes = open.read()?.heap_bytes();
        self.writer.closed_bytes += bytes;
        self.writer.closed_rows += rows as u64;
        self.writer.open_bytes = 0;
        self.writer.unmeasured = 0;
        self.writer.open = Segment::new(Batch::new(self.head.config.limits(), self.head.seed));
        let mut segments = self.head.segments.write().map_err(|_| poisoned())?;
        let mut next = Vec::clone(&segments);
        next.push(Arc::clone(&self.writer.open));
        self.head.stats.segments.set(next.len() as u64);
        *segments = Arc::new(next);
        Ok(())
    }
}

impl Head {
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

impl Writer {
    fn bytes(&self) -> usize {
        self.closed_bytes + self.open_bytes + self.unmeasured
    }
}

fn poisoned() -> Error {
    Error::new(Kind::Fatal, "a request panicked while it was written to the head")
}
