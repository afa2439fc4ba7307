//! What is asked for, and what it may cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{Nanos, TimeRange};
use traceql::Query;
use traceql::ast::FieldExpr;

/// What an evaluation may cost. When something of it is used up, the answer has what was found
/// until then, the newest first, and says that it is partial.
#[derive(Clone, Debug, Default)]
pub struct Budget {
    /// Until when, by the store's monotonic clock ([`model::Clock::monotonic`]); without end if
    /// nothing.
    pub deadline: Option<Nanos>,
    /// The most bytes of columns that are looked at, as they are in memory; without end if nothing.
    pub bytes_max: Option<u64>,
    /// Set by whoever does not want the answer any more, which then ends early; looked at between
    /// two steps of a few milliseconds.
    pub cancelled: Arc<AtomicBool>,
}

impl Budget {
    /// Whether the answer is not wanted any more.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// Which spansets to find.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// A query that [`traceql::parse`] has checked. Of a metrics query the first pipeline runs.
    pub query: Query,
    /// A trace is found if one of the spans that match starts in this range (by effective start).
    pub during: TimeRange,
    /// At most so many traces, the newest.
    pub limit: usize,
    /// At most so many spans of each spanset, the first by start. [`SpansetMatch::matched`] counts
    /// all.
    ///
    /// [`SpansetMatch::matched`]: super::SpansetMatch::matched
    pub spans_per_set: usize,
    /// What it may cost.
    pub budget: Budget,
}

/// Which series to compute.
#[derive(Clone, Debug)]
pub struct MetricsRequest {
    /// A metrics query that [`traceql::parse`] has checked.
    pub query: Query,
    /// Spans after this moment count, by effective start. Where `step` is given, it is moved back
    /// to a multiple of it.
    pub start: Nanos,
    /// Spans up to this moment count, itself included. Where `step` is given, it is moved ahead to
    /// a multiple of it.
    pub end: Nanos,
    /// The length of an interval, which ends at a multiple of it, is open at its start and closed
    /// at its end. `None`: one interval, from `start` to `end` as they are (an instant query).
    pub step: Option<Nanos>,
    /// At most so many exemplars in all; `with(exemplars=…)` of the query counts before it.
    pub exemplars: usize,
    /// At most so many series; the answer is partial where there are more.
    pub series_max: usize,
    /// What it may cost.
    pub budget: Budget,
}

impl MetricsRequest {
    /// The range of time that all intervals are within.
    #[must_use]
    pub fn during(&self) -> TimeRange {
        let step = self.step.unwrap_or_default();
        TimeRange { start: self.start.minus(step), end: self.end.plus(step) }
    }
}

/// Of which spans names or values of attributes are asked for.
#[derive(Clone, Debug)]
pub struct NamesRequest {
    /// Only of spans for which this is true; of all if nothing. Made by [`traceql::incomplete`],
    /// or taken from a query. What takes a whole trace to judge does not narrow.
    pub filter: Option<FieldExpr>,
    /// Only of spans that start in this range, about: whole row groups are looked at where there
    /// is no filter.
    pub during: TimeRange,
    /// At most so many.
    pub limit: usize,
    /// What it may cost.
    pub budget: Budget,
}
