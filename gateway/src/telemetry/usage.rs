//! What each tenant uses, as one JSON object: `/status/usage` on the admin port.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Sources;
use crate::limits::account::{Account, Unit};

/// What all tenants use. Counts are since the start of the process.
#[derive(Debug, Serialize)]
pub struct Usage {
    /// Each tenant that has sent or asked something, or has blocks; by tenant and class.
    pub tenants: Vec<Tenant>,
}

/// What one tenant uses.
#[derive(Debug, Default, Serialize)]
pub struct Tenant {
    /// Its id.
    pub tenant: String,
    /// The class of those who have asked for it; empty where there is none.
    pub class: String,
    /// What was sent, by cluster.
    pub clusters: Vec<Cluster>,
    /// Spans that were refused one by one, by why.
    pub refused_spans: BTreeMap<&'static str, u64>,
    /// Requests and queries that were refused because of limits, by which; those that are not zero.
    pub refused: BTreeMap<&'static str, u64>,
    /// Queries that were evaluated.
    pub queries: u64,
    /// Bytes of columns that they looked at.
    pub scanned_bytes: u64,
    /// Live traces; 0 where they are not limited.
    pub live_traces: u64,
    /// What is left of the rate of bytes, less than zero in debt; nothing where there is no rate.
    pub bytes_left: Option<i64>,
    /// The same of spans.
    pub spans_left: Option<i64>,
    /// Its blocks, told with the first class of the tenant.
    pub stored: Stored,
}

/// What was sent from a cluster.
#[derive(Debug, Serialize)]
pub struct Cluster {
    /// Its name; empty for whoever stands for none.
    pub cluster: String,
    /// Requests of which spans were stored.
    pub requests: u64,
    /// Spans that were stored.
    pub spans: u64,
    /// Bytes of requests, decompressed.
    pub bytes: u64,
}

/// What is in blocks.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Stored {
    /// Blocks.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Their spans.
    pub spans: u64,
}

impl Usage {
    /// What is used by now.
    #[must_use]
    pub fn now(sources: &Sources) -> Self {
        let now = sources.clock.monotonic();
        let stored = sources.store.stored().into_iter();
        let mut stored: BTreeMap<String, Stored> = stored
            .map(|of| {
                let told = Stored { blocks: of.blocks, bytes: of.bytes, spans: of.spans };
                (of.tenant.to_string(), told)
            })
            .collect();
        let accounts = sources.accounts.all();
        let mut tenants: Vec<Tenant> = accounts
            .iter()
            .map(|account| {
                let stored = stored.remove(account.tenant.as_str()).unwrap_or_default();
                Tenant { live_traces: account.live_traces(now), stored, ..Tenant::of(account) }
            })
            .collect();
        let rest = stored.into_iter();
        tenants.extend(rest.map(|(tenant, stored)| Tenant { tenant, stored, ..Tenant::default() }));
        tenants.sort_by(|one, other| (&one.tenant, &one.class).cmp(&(&other.tenant, &other.class)));
        Self { tenants }
    }
}

impl Tenant {
    fn of(account: &Account) -> Self {
        let clusters = account.clusters();
        let cluster = |of: &crate::limits::account::Cluster| Cluster {
            cluster: of.name.to_string(),
            requests: of.usage.requests.get(),
            spans: of.usage.spans.get(),
            bytes: of.usage.bytes.get(),
        };
        Self {
            tenant: account.tenant.to_string(),
            class: account.class.as_deref().unwrap_or_default().to_owned(),
            clusters: clusters.iter().map(|of| cluster(of)).collect(),
            refused_spans: account.refused_spans(),
            refused: account.refused().filter(|(_, count)| *count > 0).collect(),
            queries: account.queries.get(),
            scanned_bytes: account.scanned_bytes.get(),
            bytes_left: account.balance(Unit::Bytes),
            spans_left: account.balance(Unit::Spans),
            ..Self::default()
        }
    }
}
