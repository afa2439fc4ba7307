//! What one configured plugin has done, as the metrics page and `/status/plugins` show it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use model::metric::{Counter, Gauge, Histogram};

use crate::error::Failure;

/// Different reasons that are counted apart; what is more counts as `other`.
const REASONS_MAX: usize = 64;

/// Counters of one configured plugin.
#[derive(Debug, Default)]
pub struct Stats {
    /// Calls with a batch.
    pub calls: Counter,
    /// How long they took, the work of the host with it.
    pub time: Histogram,
    /// Nanoseconds in the guest alone.
    pub guest_nanos: Counter,
    /// Instructions, where they are counted.
    pub fuel: Counter,
    /// Spans that were passed.
    pub rows_in: Counter,
    /// Spans that it left.
    pub rows_out: Counter,
    /// Edits that were applied.
    pub edits: Counter,
    /// Bytes of batches.
    pub bytes_in: Counter,
    /// Bytes of answers.
    pub bytes_out: Counter,
    /// Batches that went on without it: it failed, or was not called for having failed.
    pub passed: Counter,
    /// Batches that were dropped for that.
    pub dropped: Counter,
    /// Batches that were refused for that.
    pub rejected: Counter,
    /// Times that the breaker opened.
    pub opened: Counter,
    /// Instances that were made.
    pub instances_made: Counter,
    /// Instances that there are.
    pub instances: Gauge,
    /// Bytes of their memories.
    pub memory_bytes: Gauge,
    /// Bytes of what it remembers.
    pub cache_bytes: Gauge,
    /// Lines of its log that were one too many.
    pub lines_dropped: Counter,
    failures: [Counter; Failure::ALL.len()],
    reasons: Mutex<BTreeMap<String, u64>>,
}

impl Stats {
    pub(crate) fn fail(&self, failure: Failure) {
        if let Some(counter) = self.failures.get(failure as usize) {
            counter.inc();
        }
    }

    /// Failures, by kind.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Failure::ALL.into_iter().map(Failure::as_str).zip(self.failures.iter().map(Counter::get))
    }

    /// Counts spans that were dropped, by what the plugin said of it.
    pub(crate) fn drop_rows(&self, reason: &str, rows: u64) {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = reasons.get_mut(reason) {
            *count += rows;
            return;
        }
        let reason = if reasons.len() < REASONS_MAX { reason } else { "other" };
        *reasons.entry(reason.to_owned()).or_default() += rows;
    }

    /// Spans that were dropped, by why.
    #[must_use]
    pub fn drops(&self) -> BTreeMap<String, u64> {
        self.reasons.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
