//! A segment of the head: rows that are durable are visible, and a closed one waits to be sealed.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use model::batch::Batch;

use super::poisoned;
use crate::error::Error;

/// A part of the head: columns, and how far they may be read.
#[derive(Debug)]
pub struct Segment {
    pub(super) batch: RwLock<Batch>,
    pub(super) visible: AtomicU32,
    pub(super) created_at: AtomicU64,
    pub(super) closed: OnceLock<Closed>,
    /// Whoever seals waits here until all rows are visible.
    waiting: Mutex<()>,
    published: Condvar,
}

/// What is known of a segment that takes no more rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closed {
    pub(super) rows: u32,
    pub(super) bytes: usize,
    /// The first segment of the log that holds none of its records.
    pub(super) log_end: u64,
}

impl Segment {
    pub(super) fn new(batch: Batch) -> Arc<Self> {
        Arc::new(Self {
            batch: RwLock::new(batch),
            visible: AtomicU32::new(0),
            created_at: AtomicU64::new(0),
            closed: OnceLock::new(),
            waiting: Mutex::new(()),
            published: Condvar::new(),
        })
    }

    /// Lets readers see the rows below `end`. Called in the order of the rows.
    pub fn publish(&self, end: u32) {
        self.visible.fetch_max(end, Ordering::Release);
        if self.closed.get().is_some_and(|closed| closed.rows <= end) {
            drop(self.waiting.lock());
            self.published.notify_all();
        }
    }

    /// The first segment of the log that holds none of its records, once it is closed.
    #[must_use]
    pub fn log_end(&self) -> Option<u64> {
        self.closed.get().map(|closed| closed.log_end)
    }

    /// Whether it is closed and every row of it is durable.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let visible = self.visible.load(Ordering::Acquire);
        self.closed.get().is_some_and(|closed| closed.rows <= visible)
    }

    /// Waits until every row of a closed segment is durable, at most so long; tells whether it is.
    #[must_use]
    pub fn wait_whole(&self, at_most: Duration) -> bool {
        let guard = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.published.wait_timeout_while(guard, at_most, |()| !self.is_whole());
        drop(waited);
        self.is_whole()
    }

    /// The columns. The open segment's writer waits while the guard is held: keep it short.
    ///
    /// # Errors
    /// `Fatal` when a writer panicked in the middle of a request.
    pub fn read(&self) -> Result<RwLockReadGuard<'_, Batch>, Error> {
        self.batch.read().map_err(|_| poisoned())
    }
}
