//! The index sections of a block: what they are, where they stand, and their bytes.
//!
//! Sections stand between the last row group and the footer, each with a checksum and a version in
//! the [`Directory`], which the manifest (or, for a bare file, the footer) points at. Written by
//! [`super::writer`], read by [`super::reader`]; `docs/reference/block-format.md` is the spec.

use model::wire::take_varint;
use model::{Nanos, TenantId, TimeRange};
use serde::{Deserialize, Serialize};

use super::schema::{Attribute, Schema, Table, Why, type_code, type_of};
use crate::disk::Content;
use crate::error::{Error, Kind};

pub(crate) mod hashes;
pub mod index;
pub mod lists;
pub mod summary;
pub mod terms;

/// The version of the format that this program writes, and the newest that it reads.
pub const VERSION: u16 = 2;

/// Which section, by number; numbers are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u16)]
pub enum Id {
    /// Of a row group: where the pages of each column stand ([`super::page::ChunkMeta`]).
    Columns = 1,
    /// Of a row group: its distinct resources, and the `service.name` of each.
    Resources = 2,
    /// Of a row group: its distinct scopes.
    Scopes = 3,
    /// Of a row group: which attributes in which order, for spans, events and links.
    Shapes = 4,
    /// Of a row group: what a search shows of each trace.
    Summary = 5,
    /// Which rows a trace has, by the hash of its id.
    TraceIndex = 6,
    /// Of a column: its distinct values in order, each with its row groups.
    Terms = 7,
    /// Of a column: a filter of the values of each row group, where they rarely repeat.
    Filters = 8,
    /// Of an L0: which rows are whose.
    Tenants = 9,
    /// The keys of attributes that have no column, each with its row groups.
    RestKeys = 10,
    /// The checksums of the buckets of the trace index.
    TraceSums = 11,
    /// Hashes of the texts that spans have, for catalogs of many blocks.
    Texts = 12,
    /// Reserved: counts and sketches per minute, taken before any sampling.
    Rollups = 32,
    /// Reserved: what sampling decided about the traces.
    Verdicts = 33,
}

impl Id {
    /// What a cache takes its bytes for.
    pub(super) const fn content(self) -> Content {
        match self {
            Self::Columns | Self::Resources | Self::Scopes | Self::Shapes => Content::Tables,
            Self::Summary | Self::Rollups => Content::Summary,
            Self::TraceIndex | Self::TraceSums | Self::Verdicts => Content::TraceIndex,
            Self::Terms | Self::RestKeys => Content::Terms,
            Self::Filters => Content::Filters,
            Self::Texts => Content::Once,
            Self::Tenants => Content::Directory,
        }
    }
}

/// Every section, with what it is for: what `traceweir block inspect` and the reference tell.
pub const SECTIONS: &[(Id, &str)] = &[
    (Id::Columns, "where the pages of each column of a row group stand"),
    (Id::Resources, "the distinct resources of a row group"),
    (Id::Scopes, "the distinct scopes of a row group"),
    (Id::Shapes, "which attributes rows have, in which order"),
    (Id::Summary, "what a search shows of each trace of a row group"),
    (Id::TraceIndex, "which rows a trace has"),
    (Id::Terms, "the distinct values of a column, each with its row groups"),
    (Id::Filters, "filters of the values of a column that rarely repeat"),
    (Id::Tenants, "which rows of an L0 file are whose"),
    (Id::RestKeys, "the keys of attributes that have no column of their own"),
    (Id::TraceSums, "the checksums of the buckets of the trace index"),
    (Id::Texts, "hashes of the texts that spans have"),
    (Id::Rollups, "reserved: counts and sketches per minute"),
    (Id::Verdicts, "reserved: what sampling decided"),
];

/// Where a section stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// Which one.
    pub id: Id,
    /// Of which row group or column (a place among [`Schema::leaves`]); 0 where there is one only.
    pub part: u32,
    /// The version of its bytes.
    pub version: u16,
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length in the file.
    pub len: u32,
    /// Its length before it was compressed (zstd); the same as `len` where it was not.
    pub raw_len: u32,
    /// crc32c of its bytes in the file.
    pub crc: u32,
}

/// Which level of the store a block is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Sealed from the head: all tenants, on the local disk.
    L0,
    /// Merged: one tenant, in the object store.
    L1,
}

/// What sort of block it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Traces of about the time in which they arrived.
    #[default]
    Normal,
    /// Late spans of traces whose block was cut before, or spans that are much older than their
    /// arrival; of one hour.
    Straggler,
}

/// What a block says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The level.
    pub level: Level,
    /// The sort.
    #[serde(default)]
    pub sort: Sort,
    /// Whose it is; an L0 has a section of tenants instead.
    pub tenant: Option<String>,
    /// The data directory that wrote it.
    pub writer: u64,
    /// Its number among those of the writer; an L0's is the first log segment behind it.
    pub number: u64,
    /// When it was written, in nanoseconds; of a block that others were compacted into, when the
    /// last of those was: retention goes by it.
    pub created_at: u64,
    /// The manifest entry that it was made for; 0 for an L0.
    #[serde(default)]
    pub sequence: u64,
    /// The L0 files that it was made of, as (writer, number).
    #[serde(default)]
    pub consumed: Vec<(u64, u64)>,
    /// The blocks that it was compacted of, as (writer, number).
    #[serde(default)]
    pub replaced: Vec<(u64, u64)>,
    /// How often its spans were compacted, at most.
    #[serde(default)]
    pub compactions: u32,
    /// Spans.
    pub rows: u64,
    /// Traces (parts of huge ones count each).
    pub traces: u64,
    /// First and last effective start.
    pub starts: (u64, u64),
    /// When the first and the last of its requests were received.
    pub received: (u64, u64),
    /// Whether a trace stands in parts.
    #[serde(default)]
    pub oversized: bool,
}

impl Header {
    /// First and last effective start.
    #[must_use]
    pub fn starts(&self) -> TimeRange {
        TimeRange { start: Nanos(self.starts.0), end: Nanos(self.starts.1) }
    }

    /// The tenant of an L1.
    #[must_use]
    pub fn tenant(&self) -> Option<TenantId> {
        TenantId::parse(self.tenant.as_deref()?).ok()
    }
}

/// One row group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowGroup {
    /// Rows.
    pub rows: u32,
    /// Traces.
    pub traces: u32,
    /// First and last effective start.
    pub starts: (u64, u64),
}

/// A column of an attribute, as the directory writes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Promoted {
    table: u8,
    key: String,
    kind: u8,
    why: Why,
}

/// What a block is and where everything in it stands.
#[derive(Clone, Debug)]
pub struct Directory {
    /// What the block says about itself.
    pub header: Header,
    /// Its columns.
    pub schema: Schema,
    /// Its row groups, in order.
    pub row_groups: Vec<RowGroup>,
    /// Its sections.
    pub sections: Vec<Section>,
}

/// Where a directory stands: what the manifest keeps of each block, and the footer says too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length.
    pub len: u32,
    /// crc32c of its bytes.
    pub crc: u32,
}

/// The directory's bytes: JSON, so that fields can come and people can look.
#[derive(Serialize, Deserialize)]
struct Document {
    version: u16,
    header: Header,
    attributes: Vec<Promoted>,
    row_groups: Vec<RowGroup>,
    sections: Vec<Section>,
}

/// The longest directory that is read: 64 MiB.
pub const DIRECTORY_BYTES_MAX: u32 = 64 << 20;

impl Directory {
    /// The bytes of a directory.
    ///
    /// # Errors
    /// Never, as nothing in it can fail to be written.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let promoted = |(attribute, why): &(Attribute, Why)| Promoted {
            table: attribute.table as u8,
            key: attribute.key.clone(),
            kind: type_code(attribute.kind),
            why: *why,
        };
        let document = Document {
            version: VERSION,
            header: self.header.clone(),
            attributes: self.schema.attributes.iter().map(promoted).collect(),
            row_groups: self.row_groups.clone(),
            sections: self.sections.clone(),
        };
        let bytes = serde_json::to_vec(&document);
        bytes.map_err(|fault| Error::new(Kind::Fatal, format!("write a directory: {fault}")))
    }

    /// Reads a directory.
    ///
    /// # Errors
    /// `Corrupt` when it is not one, `Refused` when a newer version wrote it.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Version {
            version: u16,
        }
        let corrupt = |fault: serde_json::Error| damaged(format!("directory: {fault}"));
        let Version { version } = serde_json::from_slice(bytes).map_err(corrupt)?;
        if version > VERSION {
            let message = format!("needs version {version}, this program reads up to {VERSION}");
            return Err(Error::new(Kind::Refused, message));
        }
        let document: Document = serde_json::from_slice(bytes).map_err(corrupt)?;
        let mut attributes = Vec::new();
        for Promoted { table, key, kind, why } in document.attributes {
            let table = match table {
                0 => Table::Span,
                1 => Table::Event,
                2 => Table::Link,
                _ => return Err(damaged(format!("directory: unknown table {table}"))),
            };
            let kind = type_of(kind).ok_or_else(|| damaged(format!("directory: type {kind}")))?;
            attributes.push((Attribute { table, key, kind }, why));
        }
        let Document { header, row_groups, sections, .. } = document;
        Ok(Self { header, schema: Schema { attributes }, row_groups, sections })
    }

    /// A section, if the block has it.
    #[must_use]
    pub fn section(&self, id: Id, part: u32) -> Option<&Section> {
        self.sections.iter().find(|section| section.id == id && section.part == part)
    }
}

/// Bytes that are not what was written.
pub(crate) fn damaged(what: impl Into<String>) -> Error {
    Error::new(Kind::Corrupt, what)
}

/// Reads varints and runs of bytes, and never past the end.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    pub(super) fn fault(&self) -> Error {
        damaged(format!("{} ends early or holds what cannot be", self.what))
    }

    pub(super) fn varint(&mut self) -> Result<u64, Error> {
        take_varint(&mut self.rest).ok_or_else(|| self.fault())
    }

    pub(super) fn number(&mut self) -> Result<u32, Error> {
        u32::try_from(self.varint()?).map_err(|_| self.fault())
    }

    /// How many of something follow, each of which takes at least a byte.
    pub(super) fn count(&mut self) -> Result<usize, Error> {
        let count = usize::try_from(self.varint()?).map_err(|_| self.fault())?;
        if count > self.rest.len() { Err(self.fault()) } else { Ok(count) }
    }

    pub(super) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or_else(|| self.fault())?;
        self.rest = rest;
        Ok(bytes)
    }
}
