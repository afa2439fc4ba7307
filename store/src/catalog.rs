//! Which blocks of a bucket may have a trace, or a text: filters of many blocks in one object.
//!
//! A look-up over a thousand blocks would ask each of them, and each request takes some ten
//! milliseconds. A catalog has hashes of the ids of the traces, and of the texts, of all its blocks,
//! cut into partitions by the first bits of the hash: whoever looks for one reads one partition, which
//! has what all blocks know of it. It only narrows: a hash may be another's, a block may be in no
//! catalog, and a catalog that cannot be read is none. `docs/reference/block-format.md` has the format.
//!
//! | file | what |
//! |---|---|
//! | `set` | a set of hashes in few bits |
//! | `partition` | what the blocks of a catalog have between two hashes |
//! | `build` | a catalog of blocks, and of other catalogs |
//! | `ask` | which blocks may have something, for the time of a query |

mod ask;
mod build;
mod partition;
pub(crate) mod set;

use model::TenantId;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

pub(crate) use ask::Asked;
pub use ask::Catalogs;
pub(crate) use build::build;

use crate::disk::Content;
use crate::manifest::{BlockId, tenant_dir};

/// Where catalogs are.
pub const ROOT: &str = "catalog";

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
        self.traces.iter().chain(&self.texts).map(|len| u64::from(*len)).sum()
    }

    /// The lengths of the partitions of a kind, and where the first begins.
    fn partitions(&self, of: Of) -> (&[u32], u64) {
        match of {
            Of::Traces => (&self.traces, 0),
            Of::Texts => (&self.texts, self.traces.iter().map(|len| u64::from(*len)).sum()),
        }
    }
}

/// The name of a catalog of a tenant.
#[must_use]
pub fn catalog_name(tenant: &TenantId, id: BlockId) -> String {
    format!("{ROOT}/{}/{id}{SUFFIX}", tenant_dir(tenant))
}

/// What names end with.
pub const SUFFIX: &str = ".catalog";

/// What hashes are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Of {
    /// Ids of traces, as the index of a block has them.
    Traces,
    /// Texts, each with what it is of.
    Texts,
}

impl Of {
    const fn content(self) -> Content {
        match self {
            Self::Traces => Content::TraceIndex,
            Self::Texts => Content::Filters,
        }
    }
}

/// What a text is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner<'k> {
    /// The name of a span.
    Name,
    /// An attribute of a span.
    Span(&'k [u8]),
    /// An attribute of a resource.
    Resource(&'k [u8]),
}

impl Owner<'_> {
    fn seed(self) -> u64 {
        let (number, key): (u64, &[u8]) = match self {
            Self::Name => (1, b""),
            Self::Span(key) => (2, key),
            Self::Resource(key) => (3, key),
        };
        mixed(xxh3_64(key) ^ number)
    }

    /// The hash of a text, by the one that filters of blocks go by.
    pub(crate) fn text(self, hash: u64) -> u32 {
        high(mixed(self.seed() ^ hash))
    }

    /// The hash which says that texts are there that are not told.
    pub(crate) fn untold(self) -> u32 {
        high(mixed(!self.seed()))
    }
}

/// The last step of `SplitMix64`, by which each bit depends on all (doi.org/10.1145/2660193.2660195).
const fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

const fn high(bits: u64) -> u32 {
    (bits >> 32) as u32
}
