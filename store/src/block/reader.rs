//! Reads a block: its directory, its sections, and rows of it back into columns.
//!
//! Opened by the place of the directory, which the manifest knows, or by the footer alone. A read
//! touches the pages of the rows that are asked for and nothing else; every byte is checked before
//! it is used, and whatever is wrong is told with the name of the block.

mod columns;
mod distinct;
mod growing;
mod kept;
pub(super) mod leaf;
mod near;
mod rest;
mod rows;
mod tables;

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use model::batch::{Batch, Indexed};
use model::column::count;
use model::{TenantId, TraceId};
use zstd::bulk::Decompressor;

use super::cache::{BlockKey, Cache, Key, What};
use super::footer;
use super::page::{ChunkMeta, Decoder, Owned};
use super::schema::{self, Leaf, Schema, Source};
use super::section::index::{self, Fanout, fanout_len};
use super::section::lists::{decode_resources, decode_scopes, decode_shapes};
use super::section::summary::{self, Summary};
use super::section::terms::{Run, decode_tenants};
use super::section::{self, DIRECTORY_BYTES_MAX, Directory, Id, Level, Location, damaged};
use crate::disk::{Content, File};
use crate::error::{Error, Kind};
use leaf::{Extents, Values};
use near::TABLES;

pub(crate) use distinct::Distinct;
pub(in crate::block) use kept::Kept;
pub use tables::Tables;

/// The longest section that is decompressed.
const SECTION_BYTES_MAX: u32 = 512 << 20;

/// Which columns a read wants; the others are empty in what it returns.
#[derive(Clone, Copy)]
pub enum Wanted<'w> {
    /// All of them.
    All,
    /// All of them, once: what is read is not soon read again. Merging reads so.
    Merged,
    /// Those for which this is true.
    Some(&'w dyn Fn(&Leaf, &Schema) -> bool),
}

impl std::fmt::Debug for Wanted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::All => "All",
            Self::Merged => "Merged",
            Self::Some(_) => "Some",
        })
    }
}

/// An open block.
#[derive(Debug)]
pub struct Reader {
    file: Arc<dyn File>,
    name: String,
    location: Location,
    directory: Directory,
    leaves: Vec<Leaf>,
    /// The first row of each row group in the block, and one past the last.
    first_rows: Vec<u32>,
    /// Where the buckets of the trace index stand, and their checksums.
    fanout: OnceLock<(Fanout, Vec<u8>)>,
    cache: Arc<Cache>,
}

impl Reader {
    /// Opens a block whose directory stands in this place. `name` is what errors call it.
    ///
    /// # Errors
    /// `Corrupt` when the directory is not what was written, `Refused` when a newer version wrote
    /// it, `Io`.
    pub fn open(
        file: Arc<dyn File>,
        location: Location,
        name: String,
        cache: Arc<Cache>,
    ) -> Result<Self, Error> {
        let Location { offset, len, crc } = location;
        if len > DIRECTORY_BYTES_MAX {
            return Err(damaged(format!("{name}: directory is longer than any can be")));
        }
        let bytes = read_as(&*file, Content::Directory, offset, len as usize, &name)?;
        if crc32c::crc32c(&bytes) != crc {
            return Err(damaged(format!("{name}: checksum mismatch in the directory")));
        }
        let directory = Directory::decode(&bytes).map_err(|error| named(&name, &error))?;
        let mut first_rows = vec![0u32];
        for group in &directory.row_groups {
            let end = first_rows.last().and_then(|first| first.checked_add(group.rows));
            first_rows.push(end.ok_or_else(|| damaged(format!("{name}: too many rows")))?);
        }
        let leaves = directory.schema.leaves();
        let fanout = OnceLock::new();
        Ok(Self { file, name, location, directory, leaves, first_rows, fanout, cache })
    }

    /// Opens a block by its footer.
    ///
    /// # Errors
    /// As [`Reader::open`]; `Corrupt` also where it is no block.
    pub fn open_file(file: Arc<dyn File>, name: String, cache: Arc<Cache>) -> Result<Self, Error> {
        let footer = read_footer(&*file, &name)?;
        Self::open(file, footer.directory, name, cache)
    }

    /// What errors call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What tells its contents apart from all others: who wrote it, and the checksum of what stands
    /// where in it.
    pub(crate) fn identity(&self) -> [u64; 4] {
        let Location { offset, crc, .. } = self.location;
        let (level, writer, number) = self.block_key();
        [u64::from(level) << 32 | u64::from(crc), writer, number, offset]
    }

    /// What it is and where everything stands.
    #[must_use]
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Where its directory stands: pages and sections before it, the footer behind it.
    #[must_use]
    pub const fn location(&self) -> Location {
        self.location
    }

    /// Its columns.
    #[must_use]
    pub fn leaves(&self) -> &[Leaf] {
        &self.leaves
    }

    /// The rows of a row group in the block; none where it has no such row group.
    #[must_use]
    pub fn rows_of(&self, row_group: u32) -> Range<u32> {
        let rows = self.first_rows.last().copied().unwrap_or(0);
        let first = |at: usize| self.first_rows.get(at).copied().unwrap_or(rows);
        first(row_group as usize)..first(row_group as usize + 1)
    }

    /// How many row groups it has.
    #[must_use]
    pub fn row_groups(&self) -> u32 {
        count(self.directory.row_groups.len())
    }

    /// Whose rows an L0 holds.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn tenants(&self) -> Result<Vec<Run>, Error> {
        match self.section(Id::Tenants, 0)? {
            Some(bytes) => decode_tenants(&bytes).map_err(|error| named(&self.name, &error)),
            None => Ok(Vec::new()),
        }
    }

    /// The bytes of a section, if the block has it.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn section(&self, id: Id, part: u32) -> Result<Option<Vec<u8>>, Error> {
        let Some(section) = self.directory.section(id, part) else { return Ok(None) };
        let what = || format!("{}: section {id:?} of {part}", self.name);
        if section.version > section::VERSION {
            return Err(Error::new(
                Kind::Refused,
                format!("{} needs version {}", what(), section.version),
            ));
        }
        let end = section.offset.checked_add(u64::from(section.len));
        if end.is_none_or(|end| end > self.location.offset) || section.raw_len > SECTION_BYTES_MAX {
            return Err(damaged(format!("{} lies where none can be", what())));
        }
        let bytes = self.read_bytes(id.content(), section.offset, section.len as usize)?;
        if crc32c::crc32c(&bytes) != section.crc {
            return Err(damaged(format!("{}: checksum mismatch", what())));
        }
        if section.len == section.raw_len {
            return Ok(Some(bytes));
        }
        let raw_len = section.raw_len as usize;
        let unpacked = Decompressor::new().and_then(|mut zstd| zstd.decompress(&bytes, raw_len));
        match unpacked {
            Ok(raw) if raw.len() == raw_len => Ok(Some(raw)),
            _ => Err(damaged(format!("{} cannot be decompressed", what()))),
        }
    }

    /// What a search shows of each trace of a row group.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn summary(&self, row_group: u32) -> Result<Summary, Error> {
        let bytes = self.needed(Id::Summary, row_group)?;
        let ids = self.trace_ids(row_group)?;
        let summary = summary::decode(&bytes, &ids).map_err(|error| named(&self.name, &error))?;
        let rows: u64 = summary.traces.iter().map(|trace| u64::from(trace.rows)).sum();
        let range = self.rows_of(row_group);
        if rows != u64::from(range.end - range.start) {
            return Err(damaged(format!(
                "{}: summary of row group {row_group} has {rows} rows",
                self.name
            )));
        }
        Ok(summary)
    }

    /// The same, from the cache where it is there, and kept in it.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub(crate) fn summary_kept(&self, row_group: u32) -> Result<Arc<Summary>, Error> {
        let key = self.key(row_group, What::Summary);
        if let Some(summary) = self.cache.summary(key) {
            return Ok(summary);
        }
        let summary = Arc::new(self.summary(row_group)?);
        self.cache.put_summary(key, &summary);
        Ok(summary)
    }

    /// The ids of a row group's traces in the order of their rows: the dictionary of that column.
    fn trace_ids(&self, row_group: u32) -> Result<Vec<[u8; 16]>, Error> {
        let tables = self.tables(row_group)?;
        let is_ids = |leaf: &Leaf| leaf.source == Source::Fixed(schema::Id::TraceId);
        let chunk = self.leaves.iter().position(is_ids).and_then(|at| tables.chunks.get(at));
        let Some((page, leaf)) = chunk
            .and_then(|chunk| chunk.dictionary.as_ref())
            .zip(self.leaves.iter().find(|leaf| is_ids(leaf)))
        else {
            return Err(damaged(format!("{}: it has no trace ids", self.name)));
        };
        let bytes = self.read_bytes(Content::Summary, page.offset, page.len as usize)?;
        let ids = Decoder::new()?.dictionary(leaf.physical, page, &bytes);
        match ids.map_err(|error| named(&self.name, &error))? {
            Owned::Fixed(bytes) => Ok(bytes.as_chunks().0.to_vec()),
            _ => Err(damaged(format!("{}: trace ids are of another type", self.name))),
        }
    }

    /// Where the rows of traces with this id's hash stand: row group and rows in it. Costs one
    /// small read. Whoever reads them compares the ids.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn find(&self, id: TraceId) -> Result<Vec<(u32, Range<u32>)>, Error> {
        let hash = index::hash(id);
        let Some(section) = self.directory.section(Id::TraceIndex, 0) else {
            return Err(damaged(format!("{}: it has no trace index", self.name)));
        };
        let (fanout, sums) = self.fanout()?;
        let number = fanout.bucket(hash);
        let bucket = fanout.place(number);
        if bucket.end > section.len as usize || bucket.start > bucket.end {
            return Err(damaged(format!("{}: trace index ends early", self.name)));
        }
        let at = section.offset + bucket.start as u64;
        let bytes = self.read_bytes(Content::TraceIndex, at, bucket.end - bucket.start)?;
        let (sums, _) = sums.as_chunks::<4>();
        // Files of before there were any have none.
        if sums.get(number).is_some_and(|sum| u32::from_le_bytes(*sum) != crc32c::crc32c(&bytes)) {
            return Err(damaged(format!("{}: checksum mismatch in the trace index", self.name)));
        }
        let mut found = Vec::new();
        for entry in index::entries(&bytes).filter(|entry| entry.hash == index::short(hash)) {
            let place = self.place(entry.first_row, u32::from(entry.rows));
            let missing = "trace index names rows that are not there";
            found.push(place.ok_or_else(|| damaged(format!("{}: {missing}", self.name)))?);
        }
        Ok(found)
    }

    /// The row group of rows of the block, and the rows in it; `None` where no row group has all.
    pub(crate) fn place(&self, first_row: u32, rows: u32) -> Option<(u32, Range<u32>)> {
        let group = self.first_rows.partition_point(|first| *first <= first_row).checked_sub(1)?;
        let range = self.rows_of(count(group));
        let end = first_row.checked_add(rows).filter(|end| *end <= range.end)?;
        Some((count(group), first_row - range.start..end - range.start))
    }

    fn fanout(&self) -> Result<&(Fanout, Vec<u8>), Error> {
        if let Some(known) = self.fanout.get() {
            return Ok(known);
        }
        // Checked as a whole once; buckets are then read one by one, each with its own checksum.
        let bytes = self.needed(Id::TraceIndex, 0)?;
        let head = fanout_len(&bytes).map_err(|error| named(&self.name, &error))?;
        let head = bytes.get(..head).unwrap_or(&bytes);
        let fanout = Fanout::decode(head).map_err(|error| named(&self.name, &error))?;
        let sums = self.section(Id::TraceSums, 0)?.unwrap_or_default();
        Ok(self.fanout.get_or_init(|| (fanout, sums)))
    }

    /// Rows of a row group as a batch of `tenant`. Rows that are a part of a trace must be read
    /// from the first one of that trace (or part of it) on.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn read(
        &self,
        row_group: u32,
        rows: Range<u32>,
        wanted: Wanted<'_>,
        tenant: &TenantId,
        indexed: Indexed,
    ) -> Result<Batch, Error> {
        self.read_some(row_group, &[rows], wanted, tenant, indexed)
    }

    /// The same of several ranges of rows, which ascend.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn read_some(
        &self,
        row_group: u32,
        rows: &[Range<u32>],
        wanted: Wanted<'_>,
        tenant: &TenantId,
        indexed: Indexed,
    ) -> Result<Batch, Error> {
        let tables = self.tables(row_group)?;
        let all = self.rows_of(row_group);
        let ends = rows.iter().flat_map(|rows| [rows.start, rows.end]);
        let last = rows.last().map_or(0, |rows| rows.end);
        if !ends.is_sorted() || last > all.end - all.start {
            return Err(damaged(format!("{}: row group {row_group} has no such rows", self.name)));
        }
        let batch = rows::read(self, (row_group, &tables), rows, wanted, tenant, indexed);
        batch.map_err(|error| match error.kind() {
            Kind::Corrupt => damaged(format!("{}: row group {row_group}: {error}", self.name)),
            _ => error,
        })
    }

    /// The tables of a row group.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub fn tables(&self, row_group: u32) -> Result<Arc<Tables>, Error> {
        let key = self.key(row_group, What::Tables);
        if let Some(tables) = self.cache.tables(key) {
            return Ok(tables);
        }
        let fail = |error: Error| named(&self.name, &error);
        self.file.prefetch(Content::Tables, &self.extent_of(row_group, &TABLES));
        let chunks = ChunkMeta::decode_all(&self.needed(Id::Columns, row_group)?).map_err(fail)?;
        let (resources, services) =
            decode_resources(&self.needed(Id::Resources, row_group)?).map_err(fail)?;
        let scopes = decode_scopes(&self.needed(Id::Scopes, row_group)?).map_err(fail)?;
        let shapes = decode_shapes(&self.needed(Id::Shapes, row_group)?).map_err(fail)?;
        let tables = Arc::new(Tables { chunks, resources, services, scopes, shapes });
        let rows = self.rows_of(row_group);
        let fits = tables.check(&self.leaves, rows.end - rows.start, self.location.offset);
        fits.map_err(|error| damaged(format!("{}: row group {row_group}: {error}", self.name)))?;
        self.cache.put_tables(key, &tables);
        Ok(tables)
    }

    /// Reads one column of a row group whole, by its place among the leaves, and decodes every page.
    ///
    /// # Errors
    /// `Corrupt`, `Io`.
    pub(super) fn leaf(
        &self,
        (row_group, tables): (u32, &Tables),
        place: usize,
        decoder: &mut Decoder,
    ) -> Result<Values, Error> {
        let (leaf, chunk) = (self.leaves.get(place), tables.chunks.get(place));
        let (leaf, chunk) = leaf.zip(chunk).ok_or_else(|| damaged("columns are missing"))?;
        let range = (chunk.offset(), chunk.offset().saturating_add(chunk.bytes));
        let extents = Extents::read(&*self.file, Content::Once, vec![range], &self.name)?;
        let rows = self.rows_of(row_group);
        leaf::decode(leaf, chunk, &(0..rows.end - rows.start), &extents, decoder, None)
    }

    fn block_key(&self) -> BlockKey {
        let header = &self.directory.header;
        (u8::from(header.level == Level::L1), header.writer, header.number)
    }

    fn key(&self, row_group: u32, what: What) -> Key {
        Key { block: self.block_key(), row_group, what }
    }

    fn needed(&self, id: Id, part: u32) -> Result<Vec<u8>, Error> {
        let missing = || damaged(format!("{}: section {id:?} of {part} is missing", self.name));
        self.section(id, part)?.ok_or_else(missing)
    }

    /// Forgets what the cache has of it.
    pub fn forget(&self) {
        self.cache.forget(self.block_key());
    }
}

/// Reads the footer of a file.
///
/// # Errors
/// `Corrupt` when it is no block, `Io`.
pub fn read_footer(file: &dyn File, name: &str) -> Result<footer::Footer, Error> {
    let len = file.len().map_err(|fault| Error::io(format!("read {name}"), fault))?;
    footer::read(len, |offset, length| read_as(file, Content::Directory, offset, length, name))
        .map_err(|error| named(name, &error))
}

/// Reads exactly so many bytes.
fn read_as(
    file: &dyn File,
    content: Content,
    offset: u64,
    len: usize,
    name: &str,
) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; len];
    read_exact(file, content, offset, &mut bytes, name)?;
    Ok(bytes)
}

/// Fills a buffer.
fn read_exact(
    file: &dyn File,
    content: Content,
    offset: u64,
    buffer: &mut [u8],
    name: &str,
) -> Result<(), Error> {
    let fail = |fault| Error::io(format!("read {name}"), fault);
    match file.read_as(content, buffer, offset).map_err(fail)? {
        read if read < buffer.len() => Err(damaged(format!("{name} is shorter than it should be"))),
        _ => Ok(()),
    }
}

fn named(name: &str, error: &Error) -> Error {
    let text = error.to_string();
    let message = if text.starts_with(name) { text } else { format!("{name}: {text}") };
    Error::new(error.kind(), message)
}
