//! Writes a block: row groups as columns, then the index sections, then the footer.
//!
//! Rows come from any number of batches in the order that [`super::order`] found: one batch when a
//! head segment is sealed, several when blocks are merged. Values go from the columns of their
//! batch into pages without a stop in between; dictionary codes are translated, never hashed.
//! What is held at a time is one row group of encoded pages.

mod gather;
mod index;
pub mod promote;
mod rest;
mod rows;
mod shapes;
mod texts;

use std::ops::Range;

use model::batch::Batch;
use zstd::bulk::Compressor;

use super::footer;
use super::order::{Ordered, TracePart};
use super::page::{ChunkMeta, Encoder};
use super::schema::{Leaf, Schema};
use super::section::index::{self as trace_index, Entry};
use super::section::terms::{Run, encode_tenants};
use super::section::{Directory, Header, Id, Location, RowGroup, Section};
use crate::disk::Content;
use crate::error::{Error, Kind};
use index::Index;
use rows::Rows;
use texts::Texts;

/// Where the bytes of a block go, in their order.
pub trait Sink {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// What the disk or the object store said.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error>;

    /// The same, of bytes that are this.
    ///
    /// # Errors
    /// As [`Sink::write`].
    fn write_as(&mut self, _content: Content, bytes: &[u8]) -> Result<(), Error> {
        self.write(bytes)
    }
}

/// How a block is written.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The zstd level of sections, and of pages of numbers and codes, which are packed already.
    pub level: i32,
    /// The zstd level of pages of texts.
    pub text_level: i32,
    /// Rows of a page.
    pub page_rows: u32,
    /// Whether terms and filters are written.
    pub terms: Terms,
    /// Whether hashes of its texts are written, for catalogs of many blocks.
    pub texts: bool,
}

/// Whether a block says which row groups hold a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Terms {
    /// It does: it is read for long.
    Written,
    /// It does not: it is soon merged.
    None,
}

impl Options {
    /// For files that are soon merged: little CPU.
    pub const L0: Self =
        Self { level: -5, text_level: -5, page_rows: 16_384, terms: Terms::None, texts: false };
    /// For blocks that stay.
    pub const L1: Self =
        Self { level: 1, text_level: 3, page_rows: 8_192, terms: Terms::Written, texts: false };
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// What the block says about itself, rows and times filled in.
    pub header: Header,
    /// The length of the file.
    pub bytes: u64,
    /// Where its directory stands.
    pub directory: Location,
}

/// A block on its way to the disk.
pub struct Writer<S> {
    sink: S,
    offset: u64,
    options: Options,
    header: Header,
    schema: Schema,
    leaves: Vec<Leaf>,
    encoder: Encoder,
    compressor: Compressor<'static>,
    buffer: Vec<u8>,
    row_groups: Vec<RowGroup>,
    chunks: Vec<(u64, Vec<ChunkMeta>)>,
    sections: Vec<Section>,
    runs: Vec<Run>,
    /// With the hash of each id.
    traces: Vec<(u64, Entry)>,
    index: Index,
    texts: Option<Texts>,
}

impl<S> std::fmt::Debug for Writer<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("header", &self.header).finish_non_exhaustive()
    }
}

/// Sections below this are left as they are.
const COMPRESS_MIN: usize = 64;

impl<S: Sink> Writer<S> {
    /// Begins a block. Rows, traces and times of the header are filled in as row groups come.
    ///
    /// # Errors
    /// What the sink said.
    pub fn new(sink: S, header: Header, schema: Schema, options: Options) -> Result<Self, Error> {
        let compressor = Compressor::new(options.level)
            .map_err(|fault| Error::io("make a compressor", fault))?;
        let header =
            Header { rows: 0, traces: 0, starts: (u64::MAX, 0), oversized: false, ..header };
        let leaves = schema.leaves();
        let mut writer = Self {
            sink,
            offset: 0,
            options,
            header,
            index: Index::new(options.terms, leaves.len()),
            texts: options.texts.then(Texts::default),
            leaves,
            schema,
            encoder: Encoder::new(options.level, options.text_level)?,
            compressor,
            buffer: Vec::new(),
            row_groups: Vec::new(),
            chunks: Vec::new(),
            sections: Vec::new(),
            runs: Vec::new(),
            traces: Vec::new(),
        };
        writer.put(footer::MAGIC)?;
        Ok(writer)
    }

    /// Says whose the rows of an L0 file are; runs follow each other.
    pub fn run(&mut self, run: Run) {
        self.runs.push(run);
    }

    /// Writes these traces of `ordered` as a row group.
    ///
    /// # Errors
    /// What the sink said; `Fatal` when a block outgrows 32 bits of rows.
    ///
    /// # Panics
    /// When a trace part has more than 65,535 rows, which [`super::order`] rules out.
    pub fn row_group(
        &mut self,
        sources: &[&Batch],
        ordered: &Ordered,
        traces: Range<usize>,
    ) -> Result<(), Error> {
        let traces = ordered.traces.get(traces).unwrap_or_default();
        let Some(rows) = rows_of(traces) else { return Ok(()) };
        let number = model::column::count(self.row_groups.len());
        let base = u32::try_from(self.header.rows)
            .ok()
            .filter(|base| base.checked_add(rows.end - rows.start).is_some())
            .ok_or_else(|| Error::new(Kind::Fatal, "a block has more than 2^32 rows"))?;
        let group = Rows::new(sources, ordered, rows.clone(), traces, &self.schema);
        self.buffer.clear();
        let mut chunks = Vec::with_capacity(self.leaves.len());
        for (place, leaf) in self.leaves.iter().enumerate() {
            let mut noted = self.index.leaf(leaf);
            let chunk = group.write(
                leaf,
                self.options.page_rows,
                &mut self.encoder,
                (&mut self.buffer, self.offset),
                &mut noted,
            )?;
            if let Some(texts) = &mut self.texts {
                texts.column(leaf, &self.schema, &noted, &chunk);
            }
            self.index.note(place, number, noted);
            chunks.push(chunk);
        }
        let buffer = std::mem::take(&mut self.buffer);
        self.put(&buffer)?;
        self.buffer = buffer;
        self.section(Id::Columns, number, &ChunkMeta::encode_all(&chunks))?;
        let tables = group.tables();
        self.section(Id::Resources, number, &tables.resources)?;
        self.section(Id::Scopes, number, &tables.scopes)?;
        self.section(Id::Shapes, number, &tables.shapes)?;
        self.section(Id::Summary, number, &tables.summary)?;
        self.index.keys(number, group.rest_keys());
        if let Some(texts) = &mut self.texts {
            texts.rest(group.rest_keys());
            texts.resources(group.resources());
            texts.end_group();
        }
        self.account(base, rows, traces);
        self.chunks.push((u64::from(self.row_groups.last().map_or(0, |group| group.rows)), chunks));
        Ok(())
    }

    /// Adds a row group to what the block says about itself.
    fn account(&mut self, base: u32, rows: Range<u32>, traces: &[TracePart]) {
        let mut group = RowGroup {
            rows: rows.end - rows.start,
            traces: model::column::count(traces.len()),
            starts: (u64::MAX, 0),
        };
        for trace in traces {
            group.starts.0 = group.starts.0.min(trace.starts.start.0);
            group.starts.1 = group.starts.1.max(trace.starts.end.0);
            self.header.oversized |= trace.oversized;
            let hash = trace_index::hash(trace.id);
            let entry = Entry {
                hash: trace_index::short(hash),
                first_row: base + (trace.first_row - rows.start),
                rows: u16::try_from(trace.rows).expect("a part of a trace has at most 50,000 rows"),
            };
            self.traces.push((hash, entry));
        }
        self.header.rows += u64::from(group.rows);
        self.header.traces += u64::from(group.traces);
        self.header.starts.0 = self.header.starts.0.min(group.starts.0);
        self.header.starts.1 = self.header.starts.1.max(group.starts.1);
        self.row_groups.push(group);
    }

    /// Writes the sections of the block, the directory and the footer.
    ///
    /// # Errors
    /// What the sink said; `Fatal` where a library refuses what we built.
    pub fn finish(mut self) -> Result<(S, Written), Error> {
        if self.header.rows == 0 {
            self.header.starts = (0, 0);
        }
        if !self.runs.is_empty() {
            let tenants = encode_tenants(&self.runs);
            self.section(Id::Tenants, 0, &tenants)?;
        }
        // No query reads it: away from what they do.
        if let Some(texts) = self.texts.take().and_then(Texts::finish) {
            self.raw_section(Id::Texts, 0, &texts)?;
        }
        let index = std::mem::replace(&mut self.index, Index::new(Terms::None, 0));
        for (id, part, bytes) in index.finish() {
            // Filters are noise to a compressor.
            if id == Id::Filters {
                self.raw_section(id, part, &bytes)?;
            } else {
                self.section(id, part, &bytes)?;
            }
        }
        // Read in buckets: it stays as it is. The last one, so that whoever looks for a trace reads
        // it together with the directory.
        let traces = trace_index::encode(&mut self.traces);
        self.raw_section(Id::TraceSums, 0, &trace_index::sums(&traces)?)?;
        self.raw_section(Id::TraceIndex, 0, &traces)?;
        let directory = Directory {
            header: self.header.clone(),
            schema: self.schema.clone(),
            row_groups: std::mem::take(&mut self.row_groups),
            sections: std::mem::take(&mut self.sections),
        };
        let bytes = directory.encode()?;
        let location = Location {
            offset: self.offset,
            len: model::column::count(bytes.len()),
            crc: crc32c::crc32c(&bytes),
        };
        self.put_as(Content::Directory, &bytes)?;
        let mut tail = Vec::new();
        let key_values = footer::key_values(&directory.header, location);
        footer::write(&self.schema.nodes(), &self.chunks, &key_values, self.offset, &mut tail)?;
        self.put(&tail)?;
        let written = Written { header: directory.header, bytes: self.offset, directory: location };
        Ok((self.sink, written))
    }

    fn section(&mut self, id: Id, part: u32, raw: &[u8]) -> Result<(), Error> {
        if raw.len() >= COMPRESS_MIN {
            let packed = self.compressor.compress(raw);
            let packed = packed.map_err(|fault| Error::io("compress a section", fault))?;
            if packed.len() < raw.len() / 10 * 9 {
                return self.place(id, part, &packed, raw.len());
            }
        }
        self.raw_section(id, part, raw)
    }

    fn raw_section(&mut self, id: Id, part: u32, raw: &[u8]) -> Result<(), Error> {
        self.place(id, part, raw, raw.len())
    }

    fn place(&mut self, id: Id, part: u32, bytes: &[u8], raw_len: usize) -> Result<(), Error> {
        self.sections.push(Section {
            id,
            part,
            version: super::section::VERSION,
            offset: self.offset,
            len: model::column::count(bytes.len()),
            raw_len: model::column::count(raw_len),
            crc: crc32c::crc32c(bytes),
        });
        self.put_as(id.content(), bytes)
    }

    fn put_as(&mut self, content: Content, bytes: &[u8]) -> Result<(), Error> {
        self.sink.write_as(content, bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.sink.write(bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }
}

/// The rows of traces that follow each other.
fn rows_of(traces: &[TracePart]) -> Option<Range<u32>> {
    let (first, last) = (traces.first()?, traces.last()?);
    Some(first.first_row..last.first_row + last.rows)
}

/// Cuts traces that follow each other into row groups of about so many rows: each ends on the
/// border of a trace (or of a part of a huge one).
#[must_use]
pub fn cut(traces: &[TracePart], rows_max: u32) -> Vec<Range<usize>> {
    let (mut groups, mut start, mut rows) = (Vec::new(), 0, 0);
    for (at, trace) in traces.iter().enumerate() {
        if rows > 0 && rows + trace.rows > rows_max {
            groups.push(start..at);
            (start, rows) = (at, 0);
        }
        rows += trace.rows;
    }
    if rows > 0 {
        groups.push(start..traces.len());
    }
    groups
}
