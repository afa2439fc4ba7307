//! What a tenant has: the sum of the manifest's entries.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use model::Nanos;
use serde::{Deserialize, Serialize};

use super::entry::{
    BlockId, BlockMeta, Catalog, Change, DeleteMarker, L0Id, Lease, Promoted, Redaction, Removal,
};
use crate::error::{Error, Kind};

/// Attributes that are promoted for good.
const PROMOTED_MAX: usize = 512;

/// What a tenant has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The sequence of the last entry; 0 before the first.
    #[serde(skip)]
    pub sequence: u64,
    /// Its blocks, in the order in which their spans arrived: of several contents of one span the
    /// first counts.
    pub blocks: Vec<Arc<BlockMeta>>,
    /// L0 files whose spans of this tenant are in its blocks, while they may still be there.
    pub consumed: BTreeSet<L0Id>,
    /// The highest number of those by writer, for good: the log below it is sealed.
    pub consumed_max: BTreeMap<u64, u64>,
    /// The highest number of its blocks by writer, for good: none is used twice.
    pub block_max: BTreeMap<u64, u64>,
    /// Blocks that are in use no more and may still be there.
    #[serde(default)]
    pub markers: Vec<DeleteMarker>,
    /// Catalogs of its blocks, as far as they are in some.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub catalogs: Vec<Arc<Catalog>>,
    /// Traces that nobody sees.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redactions: Vec<Arc<Redaction>>,
    /// Who compacts what.
    #[serde(default)]
    pub leases: Vec<Lease>,
    /// Attributes that have columns.
    pub promoted: BTreeSet<Promoted>,
    /// The sequence of the last entry with the whole state, and of the one before.
    pub checkpoint: u64,
    /// The one before.
    pub checkpoint_before: u64,
}

impl State {
    /// Whether this L0's spans of the tenant are in blocks.
    #[must_use]
    pub fn has_consumed(&self, l0: L0Id) -> bool {
        self.consumed.contains(&l0)
    }

    /// How large it is when it is written: blocks, and what is as long as one.
    pub(super) fn parts(&self) -> usize {
        let parts = [self.blocks.len(), self.markers.len(), self.consumed.len()];
        let of = |catalog: &Arc<Catalog>| {
            catalog.blocks.len() / 4 + (catalog.traces.len() + catalog.texts.len()) / 32
        };
        let catalogs: usize = self.catalogs.iter().map(of).sum();
        let redacted: usize = self.redactions.iter().map(|of| 1 + of.traces.len() / 8).sum();
        parts.iter().sum::<usize>() + self.promoted.len() / 4 + catalogs + redacted
    }

    /// Whether a block is one of these, or was.
    #[must_use]
    pub fn knows(&self, id: BlockId) -> bool {
        self.blocks.iter().any(|block| block.id == id)
            || self.markers.iter().any(|marker| marker.id == id)
    }

    /// Refuses a change about something that somebody else has changed.
    pub(super) fn check(&self, change: &Change) -> Result<(), Error> {
        let refuse = |what: String| Err(Error::new(Kind::Refused, what));
        if let Some(l0) = change.consumed.iter().find(|l0| self.has_consumed(**l0)) {
            return refuse(format!("L0 {} is merged already", l0.number));
        }
        let known = |id: BlockId| self.blocks.iter().any(|block| block.id == id);
        if let Some(block) = change.added.iter().find(|block| known(block.id)) {
            return refuse(format!("block {} is there already", block.id));
        }
        let is_marked = |id: BlockId| self.markers.iter().any(|marker| marker.id == id);
        if let Some(block) = change.added.iter().find(|block| is_marked(block.id)) {
            return refuse(format!("block {} is to be deleted", block.id));
        }
        let leased = change.lease.iter().flat_map(|lease| &lease.blocks);
        if let Some(id) = leased.copied().find(|id| !known(*id)) {
            return refuse(format!("block {id} is gone already"));
        }
        if let Some(id) = change.orphaned.iter().find(|id| self.knows(**id)) {
            return refuse(format!("block {id} is no orphan"));
        }
        if let Some(id) = change.catalogs_removed.iter().find(|id| !self.has_catalog(**id)) {
            return refuse(format!("catalog {id} is gone already"));
        }
        let ended = change.redactions_done.iter().chain(&change.redactions_over);
        if let Some(id) = ended.copied().find(|id| !self.has_redaction(*id)) {
            return refuse(format!("redaction {id} is over already"));
        }
        match change.removed.iter().find(|(id, _)| !known(*id)) {
            Some((id, _)) => refuse(format!("block {id} is gone already")),
            None => Ok(()),
        }
    }

    /// Whether this is one of its catalogs.
    #[must_use]
    pub fn has_catalog(&self, id: BlockId) -> bool {
        self.catalogs.iter().any(|catalog| catalog.id == id)
    }

    /// Whether this is one of its redactions.
    #[must_use]
    pub fn has_redaction(&self, id: BlockId) -> bool {
        self.redactions.iter().any(|redaction| redaction.id == id)
    }

    /// Whether an entry with this change is among those that this is the sum of, as far as that can be
    /// told: it adds something, and what it adds is known.
    pub(super) fn reflects(&self, change: &Change) -> bool {
        change.added.iter().any(|block| self.knows(block.id))
            || change.consumed.iter().any(|l0| self.has_consumed(*l0))
            || change.catalogs_added.iter().any(|added| self.has_catalog(added.id))
            || change.redacted.iter().any(|of| self.has_redaction(of.id))
    }

    /// Takes over what an entry changes that was made at this time.
    pub(super) fn apply(&mut self, sequence: u64, at: u64, change: &Change) {
        self.sequence = sequence;
        self.mark(at, change);
        let is_compacted = |block: &Arc<BlockMeta>| {
            let replaced = [Removal::Compacted, Removal::Redacted];
            change.removed.iter().any(|(id, why)| *id == block.id && replaced.contains(why))
        };
        // What takes the place of others has spans that arrived before those of later blocks.
        let place = self.blocks.iter().position(is_compacted).unwrap_or(self.blocks.len());
        let before = self.blocks.iter().take(place).filter(|block| !change.removes(block.id));
        let place = before.count();
        self.blocks.retain(|block| !change.removes(block.id));
        let catalogs = change.catalogs_added.iter().map(|catalog| catalog.id);
        let catalogs = catalogs.chain(change.redacted.iter().map(|redaction| redaction.id));
        for BlockId { writer, number } in change.added.iter().map(|block| block.id).chain(catalogs)
        {
            let max = self.block_max.entry(writer).or_default();
            *max = number.max(*max);
        }
        let known: BTreeSet<BlockId> = self.blocks.iter().map(|block| block.id).collect();
        let fresh = change.added.iter().filter(|block| !known.contains(&block.id));
        let fresh: Vec<_> = fresh.cloned().map(Arc::new).collect();
        self.blocks.splice(place..place, fresh);
        self.catalogs.retain(|catalog| !change.catalogs_removed.contains(&catalog.id));
        self.catalogs.extend(change.catalogs_added.iter().cloned().map(Arc::new));
        if !self.catalogs.is_empty() {
            let live: HashSet<BlockId> = self.blocks.iter().map(|block| block.id).collect();
            self.catalogs.retain(|catalog| catalog.blocks.iter().any(|id| live.contains(id)));
        }
        self.redact(at, change);
        for l0 in &change.consumed {
            self.consumed.insert(*l0);
            let max = self.consumed_max.entry(l0.writer).or_default();
            *max = l0.number.max(*max);
        }
        for l0 in &change.forgotten {
            self.consumed.remove(l0);
        }
        let room = PROMOTED_MAX.saturating_sub(self.promoted.len());
        self.promoted.extend(change.promoted.iter().take(room).cloned());
    }

    /// Redactions: new ones, done ones, and those that are over.
    fn redact(&mut self, at: u64, change: &Change) {
        self.redactions.retain(|redaction| !change.redactions_over.contains(&redaction.id));
        for redaction in &mut self.redactions {
            if redaction.done_at.is_none() && change.redactions_done.contains(&redaction.id) {
                Arc::make_mut(redaction).done_at = Some(at);
            }
        }
        let known = |id: BlockId| self.redactions.iter().any(|redaction| redaction.id == id);
        let fresh = change.redacted.clone().filter(|redaction| !known(redaction.id));
        self.redactions.extend(fresh.map(Arc::new));
    }

    /// Delete markers and leases.
    fn mark(&mut self, at: u64, change: &Change) {
        let markers = &mut self.markers;
        markers.retain(|marker| !change.deleted.contains(&marker.id));
        let used = change.removed.iter().map(|(id, why)| DeleteMarker {
            id: *id,
            at,
            is_orphan: false,
            is_damaged: *why == Removal::Damaged,
        });
        markers.extend(used);
        let unused = change.orphaned.iter().map(|id| DeleteMarker {
            id: *id,
            at,
            is_orphan: true,
            is_damaged: false,
        });
        markers.extend(unused);
        self.leases.retain(|lease| {
            let is_over = lease.until <= at || lease.blocks.iter().any(|id| change.removes(*id));
            let is_replaced = change.lease.as_ref().is_some_and(|new| new.writer == lease.writer);
            !is_over && !is_replaced
        });
        self.leases.extend(change.lease.clone());
    }

    /// The blocks that somebody else compacts now.
    #[must_use]
    pub fn leased(&self, writer: u64, now: Nanos) -> BTreeSet<BlockId> {
        let others =
            self.leases.iter().filter(|lease| lease.writer != writer && lease.until > now.0);
        others.flat_map(|lease| &lease.blocks).copied().collect()
    }

    /// The blocks that are older than `age`: by their newest span and by their upload time, both.
    #[must_use]
    pub fn expired(&self, now: Nanos, age: Option<Nanos>) -> Vec<BlockId> {
        let Some(age) = age else { return Vec::new() };
        let before = now.minus(age).0;
        let old = |block: &&Arc<BlockMeta>| block.starts.1 < before && block.created_at < before;
        self.blocks.iter().filter(old).map(|block| block.id).collect()
    }
}
