//! The intervals of a metrics query.

use model::{Nanos, TimeRange};

use super::super::INTERVALS_MAX;
use super::super::request::MetricsRequest;
use crate::error::{Error, Kind};

/// The intervals of a query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    /// Where the first interval begins; spans at this moment are not in it.
    start: u64,
    step: u64,
    pub(super) intervals: usize,
}

impl Grid {
    pub(super) fn new(request: &MetricsRequest) -> Result<Self, Error> {
        let (start, end) = (request.start.0, request.end.0);
        let invalid = |what: String| Err(Error::new(Kind::Invalid, what));
        if start >= end {
            return invalid("metrics need a range whose start is before its end".to_owned());
        }
        let Some(step) = request.step else {
            return Ok(Self { start, step: end - start, intervals: 1 });
        };
        if step.0 == 0 {
            return invalid("a step of metrics is longer than nothing".to_owned());
        }
        let start = start / step.0 * step.0;
        let intervals = (end - start).div_ceil(step.0);
        if intervals > INTERVALS_MAX {
            return invalid(format!("{intervals} intervals, at most {INTERVALS_MAX} may be"));
        }
        let intervals = usize::try_from(intervals).unwrap_or(usize::MAX);
        Ok(Self { start, step: step.0, intervals })
    }

    /// The end of an interval.
    pub(super) fn end(&self, interval: usize) -> Nanos {
        let steps = (interval as u64).saturating_add(1).saturating_mul(self.step);
        Nanos(self.start.saturating_add(steps))
    }

    pub(super) fn during(&self) -> TimeRange {
        let last = self.intervals.saturating_sub(1);
        TimeRange { start: Nanos(self.start.saturating_add(1)), end: self.end(last) }
    }

    pub(super) fn interval(&self, at: Nanos) -> Option<usize> {
        let since = at.0.checked_sub(self.start)?.checked_sub(1)?;
        usize::try_from(since / self.step).ok().filter(|at| *at < self.intervals)
    }

    /// The interval of all moments of a range, where they are in one.
    pub(super) fn only(&self, range: &TimeRange) -> Option<usize> {
        let interval = self.interval(range.start)?;
        (self.interval(range.end) == Some(interval)).then_some(interval)
    }

    /// The intervals of a range alone; nothing unless all of it is in some.
    pub(super) fn part(&self, range: &TimeRange) -> Option<Self> {
        let (first, last) = (self.interval(range.start)?, self.interval(range.end)?);
        let start = self.end(first).0.saturating_sub(self.step);
        Some(Self { start, step: self.step, intervals: last.checked_sub(first)? + 1 })
    }

    /// What tells grids apart whose intervals end at other moments.
    pub(super) fn phase(&self) -> (u64, u64) {
        (self.step, self.start % self.step)
    }

    /// The first and the last moment of an interval.
    pub(super) fn bounds(&self, interval: usize) -> (u64, u64) {
        let end = self.end(interval).0;
        (end.saturating_sub(self.step).saturating_add(1), end)
    }

    #[expect(clippy::cast_precision_loss, reason = "of nanoseconds only the lowest bits are lost")]
    pub(super) fn seconds(&self) -> f64 {
        self.step as f64 / 1e9
    }
}
