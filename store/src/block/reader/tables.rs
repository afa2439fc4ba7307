//! What reading a row group needs besides its pages: read once, kept in the cache.

use model::column::Interner;

use crate::block::page::ChunkMeta;
use crate::block::schema::Leaf;
use crate::block::section::damaged;
use crate::block::section::lists::Nodes;
use crate::error::Error;

/// More entries of one column in a row group than any writer makes: 2^27.
const ENTRIES_MAX: u64 = 1 << 27;

/// The tables of a row group.
#[derive(Debug)]
pub struct Tables {
    /// Where the pages of each leaf stand.
    pub chunks: Vec<ChunkMeta>,
    pub(super) resources: Interner,
    pub(super) services: Interner,
    pub(super) scopes: Interner,
    pub(super) shapes: [Nodes; 3],
}

impl Tables {
    /// The distinct resources, as [`model::Batch::resources`].
    #[must_use]
    pub fn resources(&self) -> &Interner {
        &self.resources
    }

    /// The distinct scopes, as [`model::Batch::columns`] has them.
    #[must_use]
    pub fn scopes(&self) -> &Interner {
        &self.scopes
    }

    /// Heap bytes held.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let pages = self.chunks.iter().map(|chunk| 128 + chunk.pages.len() * 48).sum::<usize>();
        let lists = [&self.resources, &self.services, &self.scopes];
        let shapes = self.shapes.iter().map(|nodes| nodes.len() * 8).sum::<usize>();
        pages + lists.into_iter().map(Interner::heap_bytes).sum::<usize>() + shapes
    }

    /// Whether every leaf has pages for `rows` rows that lie below `end` of the file, and the
    /// entries in them are so many as can be: what is allocated later goes by these numbers.
    pub(super) fn check(&self, leaves: &[Leaf], rows: u32, end: u64) -> Result<(), Error> {
        if self.chunks.len() != leaves.len() {
            return Err(damaged("columns are missing"));
        }
        for (leaf, chunk) in leaves.iter().zip(&self.chunks) {
            let within = chunk.offset().checked_add(chunk.bytes).is_some_and(|last| last <= end);
            let counted: u64 = chunk.pages.iter().map(|page| u64::from(page.rows)).sum();
            let flat = leaf.max_rep > 0 || chunk.entries == counted;
            if !within || counted != u64::from(rows) || !flat || chunk.entries > ENTRIES_MAX {
                return Err(damaged(format!("{}: its pages cannot be", leaf.path)));
            }
        }
        Ok(())
    }
}
