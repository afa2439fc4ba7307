//! One entry of the manifest: what changed, framed with a version and a checksum.

use std::fmt;

use model::{Nanos, TenantId, TimeRange, TraceId};
use serde::{Deserialize, Serialize};

use super::State;
use crate::block::section::{Header, Location, Sort};
use crate::block::writer::Written;
use crate::error::{Error, Kind};

/// What an entry begins with; version and checksum follow, then JSON.
const MAGIC: &[u8; 4] = b"TWMF";
/// The version of the format that this program writes, and the newest that it reads.
const VERSION: u32 = 3;

/// A block's name for good: who wrote it, and its number among theirs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlockId {
    /// The random id of the data directory.
    pub writer: u64,
    /// Counts up.
    pub number: u64,
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.writer, self.number)
    }
}

impl fmt::Debug for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl BlockId {
    /// Reads what [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (writer, number) = text.split_at_checked(16)?;
        let hex = |digits: &str| {
            let well = digits.len() == 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            well.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
        };
        Some(Self { writer: hex(writer)?, number: hex(number)? })
    }
}

/// An L0 file: who sealed it, and its number, which is the first log segment behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct L0Id {
    /// The random id of the data directory.
    pub writer: u64,
    /// Counts up with the log.
    pub number: u64,
}

/// What the manifest knows of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockMeta {
    /// Its id.
    pub id: BlockId,
    /// Its sort.
    pub sort: Sort,
    /// Spans.
    pub rows: u64,
    /// Traces.
    pub traces: u64,
    /// The length of the file.
    pub bytes: u64,
    /// First and last effective start, in nanoseconds.
    pub starts: (u64, u64),
    /// When the first and the last of its requests was received.
    pub received: (u64, u64),
    /// When its spans were uploaded, the last of them: compaction leaves it.
    pub created_at: u64,
    /// How often its spans were compacted, at most.
    #[serde(default)]
    pub compactions: u32,
    /// Where its directory stands in the file.
    pub directory: Location,
    /// Whether a trace stands in parts.
    pub oversized: bool,
}

impl BlockMeta {
    /// What the manifest keeps of a block that was just written.
    #[must_use]
    pub fn of(written: &Written) -> Self {
        Self::from_header(&written.header, written.bytes, written.directory)
    }

    /// What the manifest keeps of a block with this header.
    #[must_use]
    pub fn from_header(header: &Header, bytes: u64, directory: Location) -> Self {
        Self {
            id: BlockId { writer: header.writer, number: header.number },
            sort: header.sort,
            rows: header.rows,
            traces: header.traces,
            bytes,
            starts: header.starts,
            received: header.received,
            created_at: header.created_at,
            compactions: header.compactions,
            directory,
            oversized: header.oversized,
        }
    }

    /// First and last effective start.
    #[must_use]
    pub fn starts(&self) -> TimeRange {
        TimeRange { start: Nanos(self.starts.0), end: Nanos(self.starts.1) }
    }
}

/// Why a block goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Removal {
    /// It is older than `retention.age`.
    Retention,
    /// It is damaged and set aside.
    Damaged,
    /// Its spans are in blocks that the same entry adds.
    Compacted,
    /// Its tenant was deleted.
    Tenant,
    /// What is left of its spans, without redacted traces, is in blocks that the same entry adds.
    Redacted,
}

/// An attribute that has a column in the tenant's blocks for good.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Promoted {
    /// The number of its table.
    pub table: u8,
    /// Its key.
    pub key: String,
    /// The number of its type.
    pub kind: u8,
}

/// A block that is in use no more: it is deleted when nobody can read it any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteMarker {
    /// The block.
    pub id: BlockId,
    /// Since when, in nanoseconds.
    pub at: u64,
    /// Whether no entry ever named it: whoever wrote it may still try to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_orphan: bool,
    /// Whether it was damaged and set aside: its spans are missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_damaged: bool,
}

/// Somebody compacts some blocks: others choose others until then. Without it nothing would go wrong,
/// but the same work would be done twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The random id of the data directory.
    pub writer: u64,
    /// The blocks.
    pub blocks: Vec<BlockId>,
    /// Until when, in nanoseconds.
    pub until: u64,
}

/// What the manifest knows of a catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Its id, among those of blocks.
    pub id: BlockId,
    /// Its blocks, in the order of what a partition has of each.
    pub blocks: Vec<BlockId>,
    /// The lengths of the partitions of ids of traces, a power of two of them.
    pub traces: Vec<u32>,
    /// The lengths of the partitions of texts, which stand behind the others; a power of two as well.
    pub texts: Vec<u32>,
}

impl Catalog {
    /// The length of the object.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.trace_bytes() + self.texts.iter().map(|len| u64::from(*len)).sum::<u64>()
    }

    /// The length of what it has of traces, with which it begins.
    #[must_use]
    pub fn trace_bytes(&self) -> u64 {
        self.traces.iter().map(|len| u64::from(*len)).sum()
    }
}

/// Traces that nobody sees any more, whatever comes of them, and that are taken out of blocks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redaction {
    /// Its id, among those of blocks.
    pub id: BlockId,
    /// Since when, in nanoseconds.
    pub at: u64,
    /// The traces.
    #[serde(with = "hex")]
    pub traces: Vec<TraceId>,
    /// When no block had any of them any more, in nanoseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<u64>,
}

/// Ids of traces as texts.
mod hex {
    use model::TraceId;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(ids: &[TraceId], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(ids.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(of: D) -> Result<Vec<TraceId>, D::Error> {
        let texts = Vec::<String>::deserialize(of)?;
        let parse = |text: &String| TraceId::parse(text).map_err(de::Error::custom);
        texts.iter().map(parse).collect()
    }
}

/// What an entry changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Change {
    /// Blocks that are there from now on.
    pub added: Vec<BlockMeta>,
    /// Blocks that are not any more.
    pub removed: Vec<(BlockId, Removal)>,
    /// L0 files whose spans of this tenant are in blocks now.
    pub consumed: Vec<L0Id>,
    /// L0 files that are gone for good: nobody needs to know that they were consumed.
    pub forgotten: Vec<L0Id>,
    /// Attributes that have columns from now on.
    pub promoted: Vec<Promoted>,
    /// Blocks that no entry names: from now on none can.
    pub orphaned: Vec<BlockId>,
    /// Blocks in use no more that are deleted by now.
    pub deleted: Vec<BlockId>,
    /// Somebody begins to compact.
    pub lease: Option<Lease>,
    /// Catalogs that are there from now on.
    pub catalogs_added: Vec<Catalog>,
    /// Catalogs that are not any more.
    pub catalogs_removed: Vec<BlockId>,
    /// Traces are hidden from now on.
    pub redacted: Option<Redaction>,
    /// Redactions whose traces are in no block any more.
    pub redactions_done: Vec<BlockId>,
    /// Redactions that nobody needs to know of any more.
    pub redactions_over: Vec<BlockId>,
    /// Whether it follows on damage: the entry carries the whole state then.
    pub is_repair: bool,
}

impl Change {
    /// Whether a block goes.
    pub(super) fn removes(&self, id: BlockId) -> bool {
        self.removed.iter().any(|(removed, _)| *removed == id)
    }
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) at: u64,
    pub(super) change: Change,
    pub(super) checkpoint: Option<Box<State>>,
}

/// An entry's JSON.
#[derive(Serialize, Deserialize)]
struct Document {
    tenant: String,
    sequence: u64,
    at: u64,
    change: Change,
    checkpoint: Option<Box<State>>,
}

impl Entry {
    pub(super) fn encode(&self, tenant: &TenantId) -> Result<Vec<u8>, Error> {
        let document = Document {
            tenant: tenant.as_str().to_owned(),
            sequence: self.sequence,
            at: self.at,
            change: self.change.clone(),
            checkpoint: self.checkpoint.clone(),
        };
        let json = serde_json::to_vec(&document)
            .map_err(|fault| Error::new(Kind::Fatal, format!("write a manifest entry: {fault}")))?;
        let version = VERSION.to_le_bytes();
        let mut bytes = Vec::with_capacity(json.len() + 12);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&version);
        bytes.extend_from_slice(&checksum(version, &json).to_le_bytes());
        bytes.extend_from_slice(&json);
        Ok(bytes)
    }

    /// Reads the entry of this tenant and sequence.
    pub(super) fn decode(bytes: &[u8], tenant: &TenantId, sequence: u64) -> Result<Self, Error> {
        let corrupt = |what: &str| {
            let message = format!("manifest entry {sequence} of {tenant}: {what}");
            Error::new(Kind::Corrupt, message)
        };
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| corrupt("it is none"))?;
        let (version, rest) = rest.split_first_chunk::<4>().ok_or_else(|| corrupt("it is cut"))?;
        let (crc, json) = rest.split_first_chunk::<4>().ok_or_else(|| corrupt("it is cut"))?;
        if u32::from_le_bytes(*crc) != checksum(*version, json) {
            return Err(corrupt("checksum mismatch"));
        }
        let version = u32::from_le_bytes(*version);
        if version > VERSION {
            let message = format!(
                "manifest entry {sequence} of {tenant} needs version {version}, this program reads up to {VERSION}"
            );
            return Err(Error::new(Kind::Refused, message));
        }
        let document: Document =
            serde_json::from_slice(json).map_err(|fault| corrupt(&fault.to_string()))?;
        if document.tenant != tenant.as_str() || document.sequence != sequence {
            return Err(corrupt("it is another one"));
        }
        let Document { at, change, checkpoint, .. } = document;
        Ok(Self { sequence, at, change, checkpoint })
    }
}

/// Covers the version, too: damage must not look like a newer one.
fn checksum(version: [u8; 4], json: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&version), json)
}
