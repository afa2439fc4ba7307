//! What the cache counts, by what bytes are.

use model::metric::Counter;
use store::disk::Content;

/// Of bytes of one kind, in chunks.
#[derive(Debug, Default)]
pub struct Counts {
    /// Found in memory.
    pub memory_hits: Counter,
    /// Found on disk.
    pub disk_hits: Counter,
    /// Asked of the bucket.
    pub misses: Counter,
    /// Bytes that were found in memory or on disk.
    pub hit_bytes: Counter,
    /// Taken for the disk.
    pub admitted: Counter,
    /// Not taken, as too much waited to be written.
    pub dropped: Counter,
}

/// What the cache counts.
#[derive(Debug, Default)]
pub struct Stats {
    of: [Counts; Content::ALL.len()],
    /// Chunks that were on disk, and damaged, or made room meanwhile.
    pub lost: Counter,
    /// Times that the disk could not be used at all.
    pub disk_failed: Counter,
}

impl Stats {
    /// Of bytes of this kind.
    pub(crate) fn of(&self, content: Content) -> Option<&Counts> {
        let at = Content::ALL.iter().position(|(of, _)| *of == content)?;
        self.of.get(at)
    }

    /// By the names of what bytes are.
    pub fn by_content(&self) -> impl Iterator<Item = (&'static str, &Counts)> {
        Content::ALL.iter().map(|(_, name)| *name).zip(&self.of)
    }
}
