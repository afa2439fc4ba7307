//! What lies in quarantine, by its name: of which file it was, and whose spans are missing.

use model::TenantId;

use crate::l0::L0;
use crate::manifest::{BlockId, tenant_dir, tenant_of};

/// Where damaged files are set aside.
pub(crate) const QUARANTINE: &str = "quarantine";

/// A file in quarantine that sealing or merging wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Aside {
    /// The L0 file of this number.
    L0(u64),
    /// A block or an entry of the manifest of this tenant, if its name tells.
    Tenant(Option<TenantId>),
}

impl Aside {
    /// What the name of a file right below [`QUARANTINE`] says; `None` for others', such as the
    /// log's.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        match name.split_once("--")? {
            ("l0", number) => Some(Self::L0(L0::number(number).unwrap_or(0))),
            // A tenant's name may have any number of dashes, what is behind it has none.
            ("block" | "manifest", rest) => {
                let tenant = rest.rsplit_once("--").and_then(|(tenant, _)| tenant_of(tenant));
                Some(Self::Tenant(tenant))
            }
            _ => None,
        }
    }
}

/// Where an L0 file is set aside.
pub(crate) fn l0(number: u64) -> String {
    format!("{QUARANTINE}/l0--{number:020}.parquet")
}

/// Where a block is set aside.
pub(crate) fn block(tenant: &TenantId, id: BlockId) -> String {
    format!("{QUARANTINE}/block--{}--{id}.parquet", tenant_dir(tenant))
}

/// Where an entry of the manifest is set aside.
pub(crate) fn entry(tenant: &TenantId, sequence: u64) -> String {
    format!("{QUARANTINE}/manifest--{}--{sequence:020}", tenant_dir(tenant))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_what_it_was_made_of() {
        let parse = |path: &str| Aside::parse(path.strip_prefix("quarantine/").unwrap());
        assert_eq!(parse(&l0(7)), Some(Aside::L0(7)));
        for tenant in ["a", "a--b", "-", "--a--", "a.b", "block--a"] {
            let tenant = TenantId::parse(tenant).unwrap();
            let expected = Some(Aside::Tenant(Some(tenant.clone())));
            assert_eq!(parse(&block(&tenant, BlockId { writer: 1, number: 2 })), expected);
            assert_eq!(parse(&entry(&tenant, 3)), expected);
        }
        assert_eq!(parse("quarantine/wal-00000000000000000001.0.damaged"), None);
    }
}
