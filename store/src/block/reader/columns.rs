//! The wanted columns of some rows: which pages that takes, read and decoded.
//!
//! Few rows (a trace) take a page of each column, and each page holds thousands. So their shapes
//! are read first: they tell which attributes the rows have, and the columns of all others are left
//! alone. Large dictionaries, of which few rows need little, come from the cache.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use model::attributes::TAIL;
use model::column::Sparse;

use super::growing::Growing;
use super::leaf::{self, Extents, Values};
use super::rows::sparse_of;
use super::{Kept, Reader, Tables, Wanted};
use crate::block::cache::{Key, What};
use crate::block::page::{Decoder, Owned};
use crate::block::schema::{Id, Leaf, Source, TABLES, Table};
use crate::block::section::damaged;
use crate::disk::Content;
use crate::error::Error;

/// Less than this part of a row group are few rows.
const FEW: u32 = 8;
/// Dictionaries of fewer bytes are unpacked each time: looking for them would cost as much.
const CACHED_BYTES_MIN: u32 = 4 << 10;

/// What was read of the wanted leaves, by their place.
pub(super) struct Columns<'r> {
    pub(super) leaves: &'r [Leaf],
    values: Vec<Option<Values>>,
    pub(super) rows: usize,
}

/// What columns are read of.
struct Task<'r> {
    reader: &'r Reader,
    tables: &'r Tables,
    row_group: u32,
    rows: &'r Range<u32>,
    content: Content,
    is_few: bool,
    /// Whether columns are looked for in the cache, and left there.
    is_kept: bool,
    /// Which rows of the whole are taken; all where nothing is said.
    picked: Option<&'r [Range<u32>]>,
}

/// The column of a table's shapes.
pub(super) const fn shape_of(table: Table) -> Id {
    match table {
        Table::Span => Id::Shape,
        Table::Event => Id::EventShape,
        Table::Link => Id::LinkShape,
    }
}

impl<'r> Columns<'r> {
    /// Reads and decodes the pages of the wanted columns.
    pub(super) fn read(
        reader: &'r Reader,
        (row_group, tables): (u32, &Tables),
        picked: &[Range<u32>],
        wanted: Wanted<'_>,
    ) -> Result<Self, Error> {
        let all = reader.rows_of(row_group);
        let whole = 0..all.end - all.start;
        // Several ranges are picked from whole columns.
        let rows = if let [rows] = picked { rows } else { &whole };
        let is_few = rows.end - rows.start < whole.end / FEW;
        let is_kept = *rows == whole && matches!(wanted, Wanted::Some(_));
        let picked = if picked.len() == 1 { None } else { Some(picked) };
        let content = match wanted {
            Wanted::Merged => Content::Once,
            Wanted::Some(_) if !is_few => Content::Columns,
            _ => Content::Pages,
        };
        let task = Task { reader, tables, row_group, rows, content, is_few, is_kept, picked };
        let mut chosen = task.choose(wanted);
        let mut columns = Self {
            leaves: &reader.leaves,
            values: chosen.iter().map(|_| None).collect(),
            rows: match picked {
                Some(picked) => picked.iter().map(ExactSizeIterator::len).sum(),
                None => (rows.end - rows.start) as usize,
            },
        };
        let mut decoder = reader.cache.decoder()?;
        if is_few {
            // Where a request costs more than bytes, what shapes will leave out is read as well.
            task.prefetch(&chosen);
            let is_shape = |leaf: &Leaf| {
                TABLES.iter().any(|table| leaf.source == Source::Fixed(shape_of(*table)))
            };
            let shapes = chosen.iter().zip(columns.leaves);
            let shapes: Vec<bool> = shapes.map(|(is, leaf)| *is && is_shape(leaf)).collect();
            task.fill(&mut columns, &shapes, &mut decoder)?;
            columns.keep_needed(&task, &mut chosen)?;
        }
        task.fill(&mut columns, &chosen, &mut decoder)?;
        reader.cache.put_decoder(decoder);
        Ok(columns)
    }

    /// Leaves only columns chosen that these shapes say the rows have, and that are not read yet.
    fn keep_needed(&self, task: &Task<'_>, chosen: &mut [bool]) -> Result<(), Error> {
        for table in TABLES {
            let shape = Source::Fixed(shape_of(table));
            let at = self.leaves.iter().position(|leaf| leaf.source == shape);
            let values = at.and_then(|at| self.values.get(at)?.as_ref());
            // Nothing is known where the shapes are not wanted.
            let Some(values) = values else { continue };
            let shapes = values.clone().words32()?;
            let nodes = task.tables.shapes.get(table as usize);
            let needed = Needed::of(nodes.map(Vec::as_slice).unwrap_or_default(), &shapes)?;
            for (is_chosen, leaf) in chosen.iter_mut().zip(self.leaves) {
                *is_chosen &= leaf.table != table
                    || match &leaf.source {
                        Source::Attribute(_, place) => needed.columns.contains(place),
                        source if *source == shape => false,
                        Source::Fixed(_) if leaf.rest => needed.has_rest(task.reader, table),
                        Source::Fixed(_) => !shapes.is_empty(),
                    };
            }
        }
        Ok(())
    }

    /// The values of the column of an attribute, by the place of its leaf, if any were read.
    pub(super) fn take_at(&mut self, place: usize) -> Option<Values> {
        self.values.get_mut(place)?.take()
    }

    /// The values of a fixed column, if any were read.
    pub(super) fn take(&mut self, id: Id) -> Option<Values> {
        let at = self.leaves.iter().position(|leaf| leaf.source == Source::Fixed(id))?;
        self.values.get_mut(at)?.take()
    }

    /// The values of a fixed column; none where it was not read.
    pub(super) fn words(&mut self, id: Id) -> Result<Vec<u64>, Error> {
        self.take(id).map_or_else(|| Ok(Vec::new()), Values::words)
    }

    pub(super) fn words32(&mut self, id: Id) -> Result<Vec<u32>, Error> {
        self.take(id).map_or_else(|| Ok(Vec::new()), Values::words32)
    }

    pub(super) fn fixed<const N: usize>(&mut self, id: Id) -> Result<Vec<[u8; N]>, Error> {
        self.take(id).map_or_else(|| Ok(Vec::new()), Values::fixed)
    }

    /// The rows of spans that have a value of a sparse column, and the values.
    pub(super) fn sparse<T>(
        &mut self,
        id: Id,
        of: impl Fn(Values) -> Result<Vec<T>, Error>,
    ) -> Result<(Vec<u32>, Vec<T>), Error> {
        match self.take(id) {
            Some(values) => Ok((values.present(), of(values)?)),
            None => Ok((Vec::new(), Vec::new())),
        }
    }

    pub(super) fn sparse_number(&mut self, id: Id) -> Result<Sparse, Error> {
        let (rows, values) = self.sparse(id, Values::words32)?;
        Ok(sparse_of(rows.into_iter().zip(values)))
    }

    pub(super) fn sparse_text(&mut self, id: Id, texts: &mut Growing) -> Result<Sparse, Error> {
        let Some(values) = self.take(id) else { return Ok(Sparse::default()) };
        let rows = values.present();
        let (codes, values) = values.texts()?;
        let base = texts.append(&values);
        Ok(sparse_of(rows.into_iter().zip(codes.into_iter().map(|code| base + code))))
    }

    /// Whether a fixed column was read.
    pub(super) fn has(&self, id: Id) -> bool {
        let mut leaves = self.leaves.iter().zip(&self.values);
        leaves.any(|(leaf, values)| leaf.source == Source::Fixed(id) && values.is_some())
    }
}

/// What shapes say about their rows.
struct Needed {
    /// Places of columns; past the last one for attributes without one.
    columns: BTreeSet<u32>,
    has_tail: bool,
}

impl Needed {
    fn of(nodes: &[(u32, u32)], shapes: &[u32]) -> Result<Self, Error> {
        let used = used(nodes, shapes)?;
        let columns = nodes.iter().zip(used.iter().skip(1)).filter(|(_, used)| **used);
        Ok(Self {
            columns: columns.map(|((column, _), _)| *column).collect(),
            has_tail: shapes.iter().any(|shape| shape & TAIL != 0),
        })
    }

    fn has_rest(&self, reader: &Reader, table: Table) -> bool {
        let columns = reader.directory.schema.of(table).count();
        let last = self.columns.last();
        self.has_tail || last.is_some_and(|last| *last as usize >= columns)
    }
}

/// Which nodes are on the paths of shapes, by number: 0 is the root.
///
/// # Errors
/// `Corrupt` where a shape or a parent is no node, or stands behind its child.
pub(super) fn used(nodes: &[(u32, u32)], shapes: &[u32]) -> Result<Vec<bool>, Error> {
    let fault = || damaged("a shape is not in the table of shapes");
    let mut used = vec![false; nodes.len() + 1];
    for shape in shapes {
        let mut node = shape & !TAIL;
        while let Some(at) = node.checked_sub(1) {
            let is_used = used.get_mut(node as usize).ok_or_else(fault)?;
            if std::mem::replace(is_used, true) {
                break;
            }
            let (_, parent) = nodes.get(at as usize).ok_or_else(fault)?;
            if *parent >= node {
                return Err(fault());
            }
            node = *parent;
        }
    }
    Ok(used)
}

impl Task<'_> {
    /// The wanted columns that have values in the pages of the rows.
    fn choose(&self, wanted: Wanted<'_>) -> Vec<bool> {
        let schema = &self.reader.directory.schema;
        let is_wanted = |leaf: &Leaf| match wanted {
            // What people read of services is the resources' own.
            Wanted::All | Wanted::Merged => leaf.source != Source::Fixed(Id::Service),
            Wanted::Some(wanted) => wanted(leaf, schema),
        };
        let leaves = self.reader.leaves.iter().zip(&self.tables.chunks);
        let choose = leaves.map(|(leaf, chunk)| {
            let pages = chunk.pages.get(leaf::pages(chunk, self.rows)).unwrap_or_default();
            !self.rows.is_empty() && is_wanted(leaf) && pages.iter().any(|page| page.values > 0)
        });
        choose.collect()
    }

    /// Has the pages of the columns that are chosen brought near, all at a time.
    fn prefetch(&self, chosen: &[bool]) {
        let file = &self.reader.file;
        if file.prefetch_bytes_max() == 0 {
            return;
        }
        let chunks = chosen.iter().zip(&self.tables.chunks).enumerate();
        let ranges = chunks.filter(|(_, (chosen, _))| **chosen).flat_map(|(at, (_, chunk))| {
            let is_known = |key| self.reader.cache.has(key);
            let unknown = !self.key(at).is_some_and(is_known);
            let pages = chunk.pages.get(leaf::pages(chunk, self.rows)).unwrap_or_default();
            let all = chunk.dictionary.iter().filter(move |_| unknown).chain(pages);
            all.map(|page| page.offset..page.offset.saturating_add(u64::from(page.len)))
        });
        file.prefetch(self.content, &ranges.collect::<Vec<_>>());
    }

    /// Reads and decodes the columns that are chosen.
    fn fill(
        &self,
        columns: &mut Columns<'_>,
        chosen: &[bool],
        decoder: &mut Decoder,
    ) -> Result<(), Error> {
        let Self { reader, tables, rows, .. } = self;
        let mut chosen = chosen.to_vec();
        for (at, is_chosen) in chosen.iter_mut().enumerate().filter(|(_, chosen)| **chosen) {
            let kept = self.column_key(at).and_then(|key| reader.cache.column(key));
            if let (Some(kept), Some(slot)) = (kept, columns.values.get_mut(at)) {
                *slot = Some(kept.values(self.picked)?);
                *is_chosen = false;
            }
        }
        let chosen = chosen.as_slice();
        let mut ranges = Vec::new();
        let mut dictionaries: Vec<Option<Arc<Owned>>> = vec![None; chosen.len()];
        let places = || chosen.iter().enumerate().filter(|(_, chosen)| **chosen).map(|(at, _)| at);
        for at in places() {
            let Some(chunk) = tables.chunks.get(at) else { continue };
            let known = self.key(at).and_then(|key| reader.cache.dictionary(key));
            let unknown = chunk.dictionary.iter().filter(|_| known.is_none());
            let pages = chunk.pages.get(leaf::pages(chunk, rows)).unwrap_or_default();
            let pages = unknown.chain(pages);
            ranges.extend(pages.map(|page| (page.offset, page.offset + u64::from(page.len))));
            if let Some(slot) = dictionaries.get_mut(at) {
                *slot = known;
            }
        }
        let extents = Extents::read(&*reader.file, self.content, ranges, &reader.name)?;
        for at in places() {
            let (leaf, chunk) = (reader.leaves.get(at), tables.chunks.get(at));
            let Some((leaf, chunk)) = leaf.zip(chunk) else { continue };
            let fail = |error: Error| damaged(format!("{}: {error}", leaf.path));
            let known = dictionaries.get_mut(at).and_then(Option::take);
            let key = self.key(at).filter(|_| known.is_none());
            let values = leaf::decode(leaf, chunk, rows, &extents, decoder, known).map_err(fail)?;
            if let Some((key, dictionary)) = key.zip(values.dictionary()) {
                reader.cache.put_dictionary(key, dictionary);
            }
            let mut values = values;
            if self.is_kept || self.picked.is_some() {
                let kept = Kept::new(&values);
                if self.picked.is_some() {
                    values = kept.values(self.picked)?;
                }
                if let Some(key) = self.column_key(at) {
                    reader.cache.put_column(key, kept);
                }
            }
            if let Some(slot) = columns.values.get_mut(at) {
                *slot = Some(values);
            }
        }
        Ok(())
    }

    /// What the cache knows a column by; `None` where it is not kept there.
    fn column_key(&self, place: usize) -> Option<Key> {
        let leaf = u32::try_from(place).ok().filter(|_| self.is_kept)?;
        Some(self.reader.key(self.row_group, What::Column(leaf)))
    }

    /// What the cache knows the dictionary of a column by; `None` where it is not kept there.
    fn key(&self, place: usize) -> Option<Key> {
        let dictionary = self.tables.chunks.get(place)?.dictionary.as_ref()?;
        let leaf = u32::try_from(place).ok()?;
        let is_kept = self.is_few && dictionary.raw_len >= CACHED_BYTES_MIN;
        is_kept.then(|| self.reader.key(self.row_group, What::Dictionary(leaf)))
    }
}
