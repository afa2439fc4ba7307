//! Budgets, and the table of traces that tail samplers decide on.

use std::ops::Range;

use crate::error::PluginError;
use crate::view::{Numbers, Texts};

/// What may be kept in the window, and what was: by the values of the budget's attribute.
#[derive(Clone, Copy, Debug)]
pub struct Budgets<'a> {
    keys: Texts<'a>,
    limits: Numbers<'a, u64>,
    used: Numbers<'a, u64>,
    index: Numbers<'a, u32>,
}

impl<'a> Budgets<'a> {
    pub(crate) fn new(
        keys: Texts<'a>,
        limits: Numbers<'a, u64>,
        used: Numbers<'a, u64>,
        index: Numbers<'a, u32>,
    ) -> Result<Self, PluginError> {
        let few = || PluginError::bad_input("a budget has too few entries");
        let limits = limits.first(keys.len()).ok_or_else(few)?;
        let used = used.first(keys.len()).ok_or_else(few)?;
        Ok(Self { keys, limits, used, index })
    }

    /// The values that have a budget; one empty text where there is one for all.
    #[must_use]
    pub fn keys(&self) -> Texts<'a> {
        self.keys
    }

    /// Rows that may be kept in the window, for each key.
    #[must_use]
    pub fn limits(&self) -> Numbers<'a, u64> {
        self.limits
    }

    /// Rows that were kept in it, for each key.
    #[must_use]
    pub fn used(&self) -> Numbers<'a, u64> {
        self.used
    }

    /// Which key a row (or trace) counts for.
    #[must_use]
    pub fn of(&self, row: usize) -> Option<usize> {
        let at = self.index.get(row)? as usize;
        (at < self.keys.len()).then_some(at)
    }

    /// Rows that may still be kept.
    #[must_use]
    pub fn left(&self, key: usize) -> u64 {
        let of = |numbers: Numbers<'_, u64>| numbers.get(key).unwrap_or_default();
        of(self.limits).saturating_sub(of(self.used))
    }
}

/// The traces that a tail sampler decides on; an entry of each list for each.
#[derive(Clone, Copy, Debug)]
pub struct Traces<'a> {
    /// Where their rows end.
    pub ends: Numbers<'a, u32>,
    /// Their ids.
    pub ids: &'a [[u8; 16]],
    /// Nanoseconds since 1970.
    pub starts: Numbers<'a, u64>,
    /// From the first start to the last end, nanoseconds.
    pub durations: Numbers<'a, u64>,
    /// How many spans they have.
    pub spans: Numbers<'a, u32>,
    /// How many of these have the status error.
    pub errors: Numbers<'a, u32>,
    /// How many services took part.
    pub services: Numbers<'a, u32>,
    /// The names of their roots; empty where none was seen.
    pub root_names: Texts<'a>,
    /// The services of their roots.
    pub root_services: Texts<'a>,
    /// 1: complete; 2: late.
    pub states: &'a [u8],
}

impl Traces<'_> {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The rows of a trace; none where only the table is given.
    #[must_use]
    pub fn rows(&self, trace: usize) -> Range<usize> {
        let end = |i| self.ends.get(i).unwrap_or_default() as usize;
        trace.checked_sub(1).map_or(0, end)..end(trace)
    }

    /// Whether every parent of its spans is there.
    #[must_use]
    pub fn complete(&self, trace: usize) -> bool {
        self.states.get(trace).is_some_and(|bits| bits & 1 != 0)
    }

    /// Whether it was decided before.
    #[must_use]
    pub fn late(&self, trace: usize) -> bool {
        self.states.get(trace).is_some_and(|bits| bits & 2 != 0)
    }
}
