//! What look-ups of traces in a bucket begin with, read before anybody asks.
//!
//! Blocks that are in no catalog yet are asked one by one, and a few small catalogs stand beside a
//! large one: a process that has nothing of them would read each when it looks for its first trace.
//! Whoever wrote a block has its index; for all others it comes here into the cache, once.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use model::{Nanos, TenantId};

use super::{Keep, Step, lock};
use crate::manifest::{BlockId, Catalog};
use crate::shelf::{Block, Blocks, ahead_bytes};

/// How long it may take at a time: merging waits for it, and a bucket may take long to answer.
const TIME_MAX: Nanos = Nanos::from_secs(5);

/// What is read ahead of a tenant.
enum Ahead<'b> {
    /// The index of a block that is in no catalog.
    Block(&'b Block),
    /// What a catalog has of traces.
    Catalog(&'b Catalog),
}

impl Ahead<'_> {
    fn id(&self) -> BlockId {
        match self {
            Self::Block(block) => block.meta.id,
            Self::Catalog(catalog) => catalog.id,
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Self::Block(block) => ahead_bytes(&block.meta),
            Self::Catalog(catalog) => catalog.trace_bytes(),
        }
    }
}

/// What a look-up would ask of a tenant's blocks, those first that take least.
fn wanted(blocks: &Blocks) -> Vec<Ahead<'_>> {
    let catalogs = &blocks.state.catalogs;
    let covered: HashSet<BlockId> =
        catalogs.iter().flat_map(|catalog| &catalog.blocks).copied().collect();
    let fresh = blocks.list.iter().filter(|block| !covered.contains(&block.meta.id));
    let fresh = fresh.map(|block| Ahead::Block(block));
    let mut wanted: Vec<_> =
        fresh.chain(catalogs.iter().map(|catalog| Ahead::Catalog(catalog))).collect();
    wanted.sort_by_key(Ahead::bytes);
    wanted
}

impl Keep {
    /// Reads indexes and catalogs that are new, as far as there is room for them beside what is asked.
    /// Blocking; what cannot be read is left to whoever asks for it.
    pub(crate) fn read_ahead(&self) -> Step {
        let mut room = self.readers.read_ahead_bytes_max();
        if self.poll.is_none() || room == 0 {
            return Step::Idle;
        }
        let contents = self.shelf.contents();
        let mut tenants: Vec<(&TenantId, &Arc<Blocks>)> = contents.tenants.iter().collect();
        // There may be a thousand with a few spans each: those with most come first.
        let spans = |blocks: &Blocks| blocks.list.iter().map(|block| block.meta.rows).sum::<u64>();
        tenants.sort_by_cached_key(|(tenant, blocks)| (Reverse(spans(blocks)), *tenant));
        let begun = self.clock.monotonic();
        let before = lock(&self.done).ahead.take().unwrap_or_default();
        let (mut ahead, mut step) = (BTreeSet::new(), Step::Idle);
        let all = tenants.into_iter().flat_map(|(tenant, blocks)| {
            wanted(blocks).into_iter().map(move |wanted| (tenant, wanted))
        });
        for (tenant, wanted) in all {
            let Some(rest) = room.checked_sub(wanted.bytes()) else { continue };
            room = rest;
            let is_known = before.contains(&wanted.id());
            let is_late = self.clock.monotonic().minus(begun) >= TIME_MAX;
            if !is_known && (is_late || self.is_stopped()) {
                continue;
            }
            ahead.insert(wanted.id());
            if is_known {
                continue;
            }
            match wanted {
                Ahead::Block(block) => self.readers.read_ahead(block),
                Ahead::Catalog(catalog) => self.readers.catalogs.read_ahead(tenant, catalog),
            }
            self.stats.read_ahead_bytes.add(wanted.bytes());
            step = Step::Worked;
        }
        lock(&self.done).ahead = Some(ahead);
        step
    }
}
