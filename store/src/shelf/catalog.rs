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
//! | `partition` | what the blocks of a catalog have between two hashes |
//! | `build` | a catalog of blocks, and of other catalogs |
//! | `ask` | which blocks may have something, for the time of a query |

mod ask;
mod build;
mod partition;

use model::TenantId;

pub(crate) use ask::Asked;
pub use ask::Catalogs;
pub(crate) use build::build;

use crate::disk::Content;
use crate::manifest::{BlockId, Catalog, tenant_dir};

/// Where catalogs are.
pub const ROOT: &str = "catalog";

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

/// The lengths of the partitions of a kind, and where the first begins.
fn partitions(catalog: &Catalog, of: Of) -> (&[u32], u64) {
    match of {
        Of::Traces => (&catalog.traces, 0),
        Of::Texts => (&catalog.texts, catalog.trace_bytes()),
    }
}
