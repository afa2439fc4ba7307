//! Where something stands in the text of a query.

use std::hash::{Hash, Hasher};
use std::ops::Range;

/// A range of bytes of the query's text.
///
/// All places are equal: where a query was written, and with which spaces, is no part of what it
/// says. So trees compare by meaning, and a printed tree parses to the same one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    /// The first byte.
    pub start: u32,
    /// The byte behind the last one.
    pub end: u32,
}

impl Place {
    /// The bytes `start..end`. Queries are far shorter than what `u32` holds; past it, it saturates.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Self {
        let narrow = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    /// From the start of this to the end of the other.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }

    /// The range, to index the text with.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Place {}

impl Hash for Place {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}
