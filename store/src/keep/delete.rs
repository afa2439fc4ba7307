//! Deleting a tenant: one entry of the manifest removes all of its blocks, and says that its spans in
//! L0 files are dealt with.

use model::TenantId;
use tracing::info;

use super::{Keep, lock};
use crate::error::{Error, Kind};
use crate::manifest::{Change, L0Id, Removal};

/// How often it is begun anew while other processes add blocks.
const ATTEMPTS: usize = 8;

impl Keep {
    /// Deletes what a tenant has in blocks and L0 files; how many blocks, and spans, at most.
    pub(crate) fn delete_tenant(&self, tenant: &TenantId) -> Result<(u64, u64), Error> {
        let _one = lock(&self.merging);
        for _ in 0..ATTEMPTS {
            let contents = self.shelf.contents();
            let blocks = contents.tenants.get(tenant).cloned().unwrap_or_default();
            let is_fresh = |id: &L0Id| !blocks.state.has_consumed(*id);
            let runs = || contents.l0.iter().filter_map(|l0| Some((l0.id, l0.run(tenant)?)));
            let fresh = || runs().filter(|(id, _)| is_fresh(id));
            let now = self.clock.now();
            let removed = blocks.state.blocks.iter().map(|meta| (meta.id, Removal::Tenant));
            let change = Change {
                removed: removed.collect(),
                consumed: fresh().map(|(id, _)| id).collect(),
                deleted: self.deleted(&blocks.state, now),
                ..Change::default()
            };
            if change.removed.is_empty() && change.consumed.is_empty() {
                return Ok((0, 0));
            }
            let in_l0: u64 = fresh().map(|(_, run)| u64::from(run.rows)).sum();
            let in_blocks: u64 = blocks.state.blocks.iter().map(|meta| meta.rows).sum();
            let commit = || self.manifest.commit(tenant, &blocks.state, &change, now);
            let outcome = self.reserve.with(commit);
            drop(contents);
            match outcome {
                Ok(state) => {
                    self.show(vec![(tenant.clone(), state)]);
                    let (count, spans) = (change.removed.len() as u64, in_l0 + in_blocks);
                    info!(%tenant, blocks = count, spans, "the tenant is deleted");
                    self.clean()?;
                    return Ok((count, spans));
                }
                Err(error) => {
                    let state = self.catch_up(tenant, &blocks.state, error)?;
                    self.show(vec![(tenant.clone(), state)]);
                }
            }
        }
        let what = format!("{tenant} cannot be deleted while others add so many blocks");
        Err(Error::new(Kind::Unavailable, what))
    }
}
