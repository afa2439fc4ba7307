//! The distinct values of a column in a row group, where its dictionary has them: no row is read.

use model::column::Interner;

use super::leaf::Extents;
use super::{Reader, Tables};
use crate::block::page::Owned;
use crate::block::section::damaged;
use crate::disk::Content;
use crate::error::Error;

/// The distinct values of a column.
#[derive(Debug)]
pub(crate) enum Distinct {
    /// Bits of numbers.
    Words(Vec<u64>),
    /// Byte strings.
    Texts(Interner),
}

impl Reader {
    /// The distinct values that a column, by its place among the leaves, has in a row group; nothing
    /// where it has no dictionary of them, as where they rarely repeat. `tables` are the row group's.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub(crate) fn distinct(
        &self,
        tables: &Tables,
        place: usize,
    ) -> Result<Option<Distinct>, Error> {
        let (leaf, chunk) = (self.leaves.get(place), tables.chunks.get(place));
        let (leaf, chunk) = leaf.zip(chunk).ok_or_else(|| damaged("columns are missing"))?;
        let Some(page) = &chunk.dictionary else { return Ok(None) };
        let range = (page.offset, page.offset.saturating_add(u64::from(page.len)));
        let extents = Extents::read(&*self.file, Content::Pages, vec![range], &self.name)?;
        let fail = |error: Error| damaged(format!("{}: {}: {error}", self.name, leaf.path));
        let mut decoder = self.cache.decoder()?;
        let bytes = extents.get(page.offset, page.len)?;
        let values = decoder.dictionary(leaf.physical, page, bytes).map_err(fail)?;
        self.cache.put_decoder(decoder);
        Ok(match values {
            Owned::Words(words) => Some(Distinct::Words(words)),
            Owned::Texts { ends, bytes } => {
                let texts = Interner::from_values(ends, bytes);
                let texts = texts.ok_or_else(|| fail(damaged("its dictionary is none")))?;
                Some(Distinct::Texts(texts))
            }
            _ => None,
        })
    }
}
