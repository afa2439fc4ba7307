//! Times as newtypes, and the clock as an argument.

use std::fmt;

/// Nanoseconds since the Unix epoch (a moment) or between two moments (a length).
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// One millisecond.
    pub const MILLISECOND: Self = Self(1_000_000);
    /// One second.
    pub const SECOND: Self = Self(1_000_000_000);

    /// Whole seconds as nanoseconds, saturating.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Adds a length, saturating.
    #[must_use]
    pub const fn plus(self, length: Self) -> Self {
        Self(self.0.saturating_add(length.0))
    }

    /// Subtracts a length or an earlier moment, saturating at zero.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Whole milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }
}

impl fmt::Debug for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ns", self.0)
    }
}

/// The moments from `start` to `end`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRange {
    /// The first moment of the range.
    pub start: Nanos,
    /// The last moment of the range.
    pub end: Nanos,
}

impl TimeRange {
    /// Every moment.
    pub const ALL: Self = Self { start: Nanos(0), end: Nanos(u64::MAX) };

    /// Whether the moment lies in the range.
    #[must_use]
    pub fn contains(&self, moment: Nanos) -> bool {
        self.start <= moment && moment <= self.end
    }

    /// Whether the two ranges share a moment.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }
}

/// Where the time comes from: the machine's clock in `main`, a hand-driven one in tests.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The wall clock, since the Unix epoch.
    fn now(&self) -> Nanos;
    /// A clock that never goes back, since some fixed moment; for deadlines and durations.
    fn monotonic(&self) -> Nanos;
}
