//! What is brought near before it is read: of a bucket, where each request costs as much as a read of
//! 100 KiB, sections that stand together come in one, and columns at a time.

use std::ops::Range;

use super::{Reader, Wanted, read_as};
use crate::block::cache::What;
use crate::block::schema::{self, Source};
use crate::block::section::Id;
use crate::disk::Content;
use crate::error::Error;

/// The sections of a row group that tell where its pages stand and what codes in them mean.
pub(super) const TABLES: [Id; 4] = [Id::Columns, Id::Resources, Id::Scopes, Id::Shapes];
/// And what is shown of its traces: it stands right behind them.
const SHOWN: [Id; 5] = [Id::Columns, Id::Resources, Id::Scopes, Id::Shapes, Id::Summary];

impl Reader {
    /// Reads so many bytes that are this.
    pub(super) fn read_bytes(
        &self,
        content: Content,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, Error> {
        read_as(&*self.file, content, offset, len, &self.name)
    }

    /// From where to where sections of a row group stand that were written one after the other.
    pub(super) fn extent_of(&self, row_group: u32, ids: &[Id]) -> Vec<Range<u64>> {
        let sections = ids.iter().filter_map(|id| self.directory.section(*id, row_group));
        sections
            .map(|section| section.offset..section.offset.saturating_add(u64::from(section.len)))
            .collect()
    }

    /// How many bytes may be brought near before they are read; none where that is of no use.
    pub(crate) fn near_bytes_max(&self) -> u64 {
        self.file.prefetch_bytes_max()
    }

    /// Brings sections of the block near.
    pub(crate) fn near_sections(&self, content: Content, sections: &[(Id, u32)]) {
        let ranges: Vec<_> =
            sections.iter().flat_map(|(id, part)| self.extent_of(*part, &[*id])).collect();
        self.file.prefetch(content, &ranges);
    }

    /// Brings near what a query over a whole row group reads of it: tables, what is shown of its
    /// traces, and columns that are not kept decoded. `may_take` is asked for the bytes of the columns;
    /// they are left where it says no.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub(crate) fn near(
        &self,
        row_group: u32,
        wanted: Wanted<'_>,
        may_take: impl FnOnce(u64) -> bool,
    ) -> Result<(), Error> {
        let is_kept = |what| self.cache.has(self.key(row_group, what));
        let is_summary_kept = is_kept(What::Summary);
        if !is_summary_kept {
            self.file.prefetch(Content::Tables, &self.extent_of(row_group, &SHOWN));
        }
        let tables = self.tables(row_group)?;
        let schema = &self.directory.schema;
        let is_wanted = |leaf: &_| match wanted {
            Wanted::All | Wanted::Merged => true,
            Wanted::Some(wanted) => wanted(leaf, schema),
        };
        let mut ranges = Vec::new();
        for (place, (leaf, chunk)) in (0..).zip(self.leaves.iter().zip(&tables.chunks)) {
            if chunk.values > 0 && is_wanted(leaf) && !is_kept(What::Column(place)) {
                ranges.push(chunk.offset()..chunk.offset().saturating_add(chunk.bytes));
            } else if leaf.source == Source::Fixed(schema::Id::TraceId) && !is_summary_kept {
                // The summary has its ids from there.
                let page = chunk.dictionary.iter();
                ranges.extend(page.map(|page| page.offset..page.offset + u64::from(page.len)));
            }
        }
        if may_take(ranges.iter().map(|range| range.end - range.start).sum()) {
            self.file.prefetch(Content::Columns, &ranges);
        }
        self.summary_kept(row_group).map(drop)
    }
}
