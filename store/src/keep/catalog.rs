//! Catalogs of the blocks in a bucket: written behind merging and compaction.
//!
//! They only narrow what is asked, so nothing waits for them, nothing is lost with one, and what is
//! replaced is removed at once: whoever still goes by it asks all blocks.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::{Nanos, TenantId};
use tracing::{debug, warn};

use super::{Keep, Step, lock};
use crate::block::cache::Cache;
use crate::block::reader::Reader;
use crate::error::{Error, Kind};
use crate::fault;
use crate::manifest::{BlockId, Catalog, Change, State, tenant_dir, tenant_of};
use crate::shelf::Blocks;
use crate::shelf::catalog::{self, SUFFIX, catalog_name};

/// So many blocks that are in no catalog are asked one by one.
const FRESH_MIN: usize = 8;
/// Most of them that are taken at a time: the sets of their texts are held.
const FRESH_MAX: usize = 32;
/// A catalog is made one with what is this part of it: each block is written again a few times, and a
/// thousand are in three.
const GROWTH: usize = 8;
/// Most blocks of a catalog.
const BLOCKS_MAX: usize = 4_096;
/// How old a catalog is of a process that is gone, and that nobody names.
const ORPHAN_AFTER: Nanos = Nanos::from_secs(86_400);

/// What becomes one catalog.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// Blocks that none has.
    fresh: Vec<BlockId>,
    /// Other catalogs, whose blocks are in it afterwards.
    others: Vec<Arc<Catalog>>,
}

/// What is to be done for a tenant, if anything.
fn plan(state: &State, is_bad: impl Fn(BlockId) -> bool) -> Option<Plan> {
    let live: HashSet<BlockId> = state.blocks.iter().map(|block| block.id).collect();
    let of = |catalog: &Catalog| catalog.blocks.iter().filter(|id| live.contains(id)).count();
    // Blocks of one that cannot be read are as if in none.
    let (bad, sound): (Vec<_>, Vec<_>) =
        state.catalogs.iter().cloned().partition(|catalog| is_bad(catalog.id));
    let covered: HashSet<BlockId> =
        sound.iter().flat_map(|catalog| &catalog.blocks).copied().collect();
    let all = state.blocks.iter().map(|block| block.id);
    let fresh: Vec<BlockId> = all.filter(|id| !covered.contains(id)).take(FRESH_MAX).collect();
    let is_sparse = |catalog: &Arc<Catalog>| {
        catalog.blocks.len() >= 2 * FRESH_MIN && of(catalog) * 2 < catalog.blocks.len()
    };
    if fresh.len() < FRESH_MIN && !sound.iter().any(is_sparse) {
        return None;
    }
    let mut sound: Vec<(usize, Arc<Catalog>)> =
        sound.into_iter().map(|catalog| (of(&catalog), catalog)).collect();
    sound.sort_by_key(|(live, _)| *live);
    let mut blocks = fresh.len();
    let mut others = bad;
    for (live, catalog) in sound {
        // What is made anew for its own sake asks nobody else to be.
        let is_like = !fresh.is_empty() && live <= blocks * GROWTH;
        if (is_like || is_sparse(&catalog)) && blocks + live <= BLOCKS_MAX {
            blocks += live;
            others.push(catalog);
        }
    }
    Some(Plan { fresh, others })
}

impl Keep {
    /// Writes a catalog for the tenant that has most blocks in none, if any has enough of them.
    pub(crate) fn catalog(&self) -> Result<Step, Error> {
        let _one = lock(&self.merging);
        if self.poll.is_none() || self.may_compact().is_err() {
            return Ok(Step::Idle);
        }
        let contents = self.shelf.contents();
        let catalogs = &self.readers.catalogs;
        let resting = self.resting(self.clock.now());
        let due = contents.tenants.iter().filter(|(tenant, _)| !resting.contains_key(*tenant));
        let plans = due.filter_map(|(tenant, blocks)| {
            let plan = plan(&blocks.state, |id| catalogs.is_bad(id))?;
            Some((tenant.clone(), Arc::clone(blocks), plan))
        });
        let chosen = plans.max_by_key(|(.., plan)| plan.fresh.len());
        drop((resting, contents));
        let Some((tenant, blocks, plan)) = chosen else { return Ok(Step::Idle) };
        fault::point("catalog.begin");
        let catalog = match self.build(&tenant, &blocks, &plan) {
            Ok(catalog) => catalog,
            Err(error) => {
                self.stats.catalogs_failed.inc();
                lock(&self.resting).insert(tenant.clone(), self.clock.now());
                if error.kind() == Kind::Corrupt && self.blame(&tenant, &plan.fresh, &error) {
                    return Ok(Step::Worked);
                }
                return Err(error);
            }
        };
        fault::point("catalog.written");
        let (id, count) = (catalog.id, catalog.blocks.len());
        let removed: Vec<BlockId> = plan.others.iter().map(|other| other.id).collect();
        let change = Change {
            catalogs_added: vec![catalog],
            catalogs_removed: removed.clone(),
            ..Change::default()
        };
        let state = self.commit(&tenant, &blocks, &change)?;
        fault::point("catalog.committed");
        // Another process may have been faster: then ours is one that nobody names.
        let gone: Vec<BlockId> = match state.has_catalog(id) {
            true => removed,
            false => vec![id],
        };
        self.show(vec![(tenant.clone(), state)]);
        for id in gone {
            catalogs.forget(id);
            if let Err(error) = self.backend.remove(&catalog_name(&tenant, id)) {
                warn!(%tenant, catalog = %id, %error, "a catalog that is replaced stays for a while");
            }
        }
        self.stats.catalogs.inc();
        debug!(%tenant, catalog = %id, blocks = count, "wrote a catalog");
        Ok(Step::Worked)
    }

    fn build(&self, tenant: &TenantId, blocks: &Blocks, plan: &Plan) -> Result<Catalog, Error> {
        let catalogs = &self.readers.catalogs;
        let live: HashSet<BlockId> = blocks.state.blocks.iter().map(|block| block.id).collect();
        let cache = Arc::new(Cache::new(0));
        let open = |id: &BlockId| {
            let block = blocks.find(*id)?;
            let (meta, name) = (&block.meta, block.name.clone());
            let file = self.backend.open_known(&name, meta.bytes, Nanos(meta.created_at));
            let opened =
                file.and_then(|file| Reader::open(file, meta.directory, name, Arc::clone(&cache)));
            match opened {
                // Whoever reads it says so; others are none the worse for it.
                Err(error) if error.is_not_found() => None,
                opened => Some(opened.map(|reader| (*id, Arc::new(reader)))),
            }
        };
        let fresh: Vec<_> = plan.fresh.iter().filter_map(open).collect::<Result<_, Error>>()?;
        let id = self.next_block.fetch_add(1, Ordering::Relaxed);
        let id = BlockId { writer: self.writer, number: id };
        let sound: Vec<Arc<Catalog>> =
            plan.others.iter().filter(|other| !catalogs.is_bad(other.id)).cloned().collect();
        let built = catalog::build(&*self.backend, tenant, id, &fresh, &sound, &live);
        built.inspect_err(|error| {
            // One that cannot be read is made anew, of its blocks.
            let what = error.to_string();
            let is_to_blame = |other: &&Arc<Catalog>| what.contains(&other.id.to_string());
            if error.kind() == Kind::Corrupt || error.is_not_found() {
                sound.iter().filter(is_to_blame).for_each(|other| catalogs.note(other.id));
            }
            drop(self.backend.remove(&catalog_name(tenant, id)));
        })
    }

    /// Removes catalogs that nobody names. For whoever has the lock of merging.
    pub(super) fn remove_catalogs(&self) -> Result<(), Error> {
        if self.poll.is_none() {
            return Ok(());
        }
        let contents = self.shelf.contents();
        let now = self.clock.now();
        let mut there: BTreeMap<TenantId, Vec<BlockId>> = BTreeMap::new();
        for name in self.backend.list_tree(catalog::ROOT)? {
            let Some((dir, name)) = name.split_once('/') else { continue };
            let id = name.strip_suffix(SUFFIX).and_then(BlockId::parse);
            if let Some((tenant, id)) = tenant_of(dir).zip(id) {
                there.entry(tenant).or_default().push(id);
            }
        }
        for (tenant, ids) in there {
            let state = contents.tenants.get(&tenant).map(|blocks| &blocks.state);
            for id in ids.into_iter().filter(|id| state.is_none_or(|state| !state.has_catalog(*id)))
            {
                let name = catalog_name(&tenant, id);
                // Another process may be about to name its own.
                let is_old = || -> Result<bool, Error> {
                    let at = self.backend.written_at(&name)?;
                    Ok(at.is_some_and(|at| now.minus(at) >= ORPHAN_AFTER))
                };
                if id.writer == self.writer || is_old()? {
                    debug!(dir = tenant_dir(&tenant), catalog = %id, "removing a catalog that nobody names");
                    self.backend.remove(&name)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::section::{Location, Sort};
    use crate::manifest::BlockMeta;

    fn id(number: u64) -> BlockId {
        BlockId { writer: 1, number }
    }

    fn state(blocks: std::ops::Range<u64>, catalogs: &[(u64, std::ops::Range<u64>)]) -> State {
        let block = |number| BlockMeta {
            id: id(number),
            sort: Sort::Normal,
            rows: 1,
            traces: 1,
            bytes: 1,
            starts: (0, 0),
            received: (0, 0),
            created_at: 0,
            compactions: 0,
            directory: Location { offset: 0, len: 0, crc: 0 },
            oversized: false,
        };
        let catalog = |(number, of): &(u64, std::ops::Range<u64>)| {
            let blocks = of.clone().map(id).collect();
            Arc::new(Catalog { id: id(*number), blocks, traces: vec![4], texts: vec![4] })
        };
        State {
            blocks: blocks.map(block).map(Arc::new).collect(),
            catalogs: catalogs.iter().map(catalog).collect(),
            ..State::default()
        }
    }

    fn planned(state: &State, bad: &[u64]) -> Option<(usize, Vec<u64>)> {
        let plan = plan(state, |of| bad.iter().any(|bad| id(*bad) == of))?;
        let others = plan.others.iter().map(|other| other.id.number);
        Some((plan.fresh.len(), others.collect()))
    }

    #[test]
    fn blocks_are_put_into_catalogs_when_there_are_enough_of_them() {
        assert_eq!(planned(&state(0..7, &[]), &[]), None);
        assert_eq!(planned(&state(0..8, &[]), &[]), Some((8, vec![])));
        assert_eq!(planned(&state(0..500, &[]), &[]), Some((FRESH_MAX, vec![])));
        // A large one is left alone.
        let large = [(900, 0..80), (901, 80..100)];
        assert_eq!(planned(&state(0..107, &large), &[]), None);
        assert_eq!(planned(&state(0..108, &large), &[]), Some((8, vec![901, 900])));
        let large = [(900, 0..800), (901, 800..820)];
        assert_eq!(planned(&state(0..828, &large), &[]), Some((8, vec![901])));
    }

    #[test]
    fn what_cannot_be_read_or_is_mostly_gone_is_made_anew() {
        let catalogs = [(900, 0..20), (901, 20..40)];
        assert_eq!(planned(&state(0..40, &catalogs), &[]), None);
        assert_eq!(planned(&state(0..40, &catalogs), &[900]), Some((20, vec![900, 901])));
        assert_eq!(planned(&state(15..40, &catalogs), &[]), Some((0, vec![900])));
    }
}
