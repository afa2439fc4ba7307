//! Blocks that are in use no more: the manifest marks them, and they are deleted when nobody can read
//! them any longer.
//!
//! On a disk of our own that is when the last query here lets go. What other processes may read stays
//! for a time of grace. A block that no entry ever named is marked before it goes, so that whoever
//! wrote it, and stood still since, cannot name it any more.

use std::collections::BTreeSet;

use model::{Nanos, TenantId};
use tracing::info;

use super::{Keep, lock};
use crate::error::Error;
use crate::manifest::{BlockId, Change, DeleteMarker, State, tenant_dir, tenant_of};
use crate::shelf::{self, block_name};

/// How old a block is that no entry names, and that nobody will name any more.
const ORPHAN_AFTER: Nanos = Nanos::from_secs(86_400);
/// How long it is known which those were: no process stands still for longer and goes on.
const ORPHAN_KNOWN: Nanos = Nanos::from_secs(7 * 86_400);

impl Keep {
    /// Deletes marked blocks that nobody can read any longer.
    pub(super) fn delete_marked(&self) -> Result<(), Error> {
        let contents = self.shelf.contents();
        let now = self.clock.now();
        let mut deleted = lock(&self.deleted);
        let mut marked = BTreeSet::new();
        for (tenant, blocks) in &contents.tenants {
            let markers = &blocks.state.markers;
            marked.extend(markers.iter().map(|marker| marker.id));
            let is_due = |marker: &&DeleteMarker| {
                let is_old = now.minus(Nanos(marker.at)) >= self.grace;
                (marker.is_orphan || is_old)
                    && !deleted.contains(&marker.id)
                    && !self.shelf.is_read(marker.id)
            };
            let due: Vec<BlockId> = markers.iter().filter(is_due).map(|marker| marker.id).collect();
            if !due.is_empty() {
                // An entry that an earlier life of this process left may be there and not durable.
                self.manifest.settle(tenant)?;
            }
            for id in due {
                self.backend.remove(&block_name(tenant, &id.to_string()))?;
                self.stats.deleted_blocks.inc();
                deleted.insert(id);
            }
        }
        // The manifest knows of those.
        deleted.retain(|id| marked.contains(id));
        Ok(())
    }

    /// The markers of blocks that are deleted: with the next entry they go.
    pub(super) fn deleted(&self, state: &State, now: Nanos) -> Vec<BlockId> {
        let deleted = lock(&self.deleted);
        let is_over = |at: u64| now.minus(Nanos(at)) >= ORPHAN_KNOWN;
        let due = state.markers.iter().filter(|marker| {
            deleted.contains(&marker.id) && (!marker.is_orphan || is_over(marker.at))
        });
        due.map(|marker| marker.id).collect()
    }

    /// Marks blocks that no entry names and that are too old for anybody to name them. For whoever
    /// has the lock of merging.
    pub(super) fn mark_orphans(&self) -> Result<(), Error> {
        self.remove_catalogs()?;
        for name in self.backend.list(shelf::ROOT)? {
            if let Some(tenant) = tenant_of(&name) {
                self.mark_orphans_of(&tenant)?;
            }
        }
        Ok(())
    }

    fn mark_orphans_of(&self, tenant: &TenantId) -> Result<(), Error> {
        let now = self.clock.now();
        let names = self.backend.list(&format!("{}/{}", shelf::ROOT, tenant_dir(tenant)))?;
        let id = |name: &String| BlockId::parse(name.strip_suffix(".parquet")?);
        let blocks = self.shelf.contents().tenants.get(tenant).cloned().unwrap_or_default();
        let mut orphaned = Vec::new();
        for id in names.iter().filter_map(id).filter(|id| !blocks.state.knows(*id)) {
            let written_at = self.backend.written_at(&block_name(tenant, &id.to_string()))?;
            if written_at.is_some_and(|at| now.minus(at) >= ORPHAN_AFTER) {
                orphaned.push(id);
            }
        }
        if orphaned.is_empty() {
            return Ok(());
        }
        info!(%tenant, blocks = orphaned.len(), "deleting blocks that no entry of the manifest names");
        let count = orphaned.len() as u64;
        let state = self.commit(tenant, &blocks, &Change { orphaned, ..Change::default() })?;
        self.stats.orphans.add(count);
        self.show(vec![(tenant.clone(), state)]);
        Ok(())
    }
}
