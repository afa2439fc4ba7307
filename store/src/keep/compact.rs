//! A step of compaction: blocks of one tenant become fewer.
//!
//! What is written is durable before the manifest names it instead of the blocks that it is made
//! of, in one entry; those go when no reader refers to them. A step that is cut off anywhere leaves
//! blocks that nobody names, which the next start removes.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

use model::{Nanos, TenantId};
use tracing::{debug, warn};

use super::{Keep, Step, lock};
use crate::block::cache::Cache;
use crate::block::reader::Reader;
use crate::compaction::{self, Choice};
use crate::error::{Error, Kind};
use crate::fault;
use crate::manifest::{BlockId, Change, Lease, Removal};
use crate::merge::Input;
use crate::shelf::{Block, Blocks, Part};

/// What is kept of the blocks that are compacted, besides the slices of their rows: tables of their
/// row groups. Not in the cache of queries, which would lose what it has.
const CACHE_BYTES: usize = 8 << 20;

/// How long a tenant whose blocks could not be compacted waits.
const REST: Nanos = Nanos::from_secs(60);
/// How long others leave blocks alone: a compaction takes seconds, or a minute.
const LEASE: Nanos = Nanos::from_secs(300);

impl Keep {
    /// Joins blocks of the tenant that has most of them to join, if any has.
    pub(crate) fn compact(&self) -> Result<Step, Error> {
        let _one = lock(&self.merging);
        if !self.compaction.enabled || self.may_compact().is_err() {
            return Ok(Step::Idle);
        }
        let contents = self.shelf.contents();
        let now = self.clock.now();
        let resting = self.resting(now);
        let choose = |(tenant, blocks): (&TenantId, &Arc<Blocks>)| {
            if resting.contains_key(tenant) {
                return None;
            }
            let age = self.retention.age_of(tenant);
            let mut of = blocks.state.blocks.clone();
            let leased = blocks.state.leased(self.writer, now);
            of.retain(|block| !leased.contains(&block.id));
            let choice = compaction::choose(&self.compaction, &of, now, age)?;
            Some((tenant.clone(), Arc::clone(blocks), choice))
        };
        let choices = contents.tenants.iter().filter_map(choose);
        let chosen = choices.max_by_key(|(.., choice)| choice.blocks.len());
        drop((contents, resting));
        let Some((tenant, blocks, choice)) = chosen else { return Ok(Step::Idle) };
        let of = choice.blocks.iter().filter_map(|id| blocks.find(*id));
        let bytes: u64 = of.map(|block| block.meta.bytes).sum();
        // For a while both are there, the blocks and what they become.
        if self.poll.is_none() && !self.reserve.has_room(bytes) {
            lock(&self.resting).insert(tenant, now);
            return Ok(Step::Worked);
        }
        fault::point("compact.begin");
        let started = self.clock.monotonic();
        // Where somebody else was faster, other blocks are chosen.
        let leased = self.lease(&tenant, blocks, &choice);
        let Some(blocks) = leased.inspect_err(|_| self.rest(&tenant))? else {
            return Ok(Step::Worked);
        };
        let outcome = self.compact_blocks(&tenant, &blocks, &choice, Removal::Compacted);
        drop(blocks);
        match outcome {
            Ok(()) => {
                self.stats.compactions.inc();
                let took = self.clock.monotonic().minus(started);
                self.stats.compaction_time.record(took.0);
            }
            // It was given up, and is begun anew when there is time.
            Err(_) if self.may_compact().is_err() => return Ok(Step::Idle),
            Err(error)
                if error.kind() == Kind::Corrupt && self.blame(&tenant, &choice.blocks, &error) =>
            {
                self.stats.compaction_failed.inc();
            }
            Err(error) => {
                self.rest(&tenant);
                return Err(error);
            }
        }
        self.clean()?;
        Ok(Step::Worked)
    }

    /// Tenants whose blocks could not be worked on a moment ago: others come first.
    pub(super) fn resting(&self, now: Nanos) -> MutexGuard<'_, BTreeMap<TenantId, Nanos>> {
        let mut resting = lock(&self.resting);
        resting.retain(|_, since| now.minus(*since) < REST);
        resting
    }

    /// Notes a failure: other tenants come first for a while.
    fn rest(&self, tenant: &TenantId) {
        self.stats.compaction_failed.inc();
        lock(&self.resting).insert(tenant.clone(), self.clock.now());
    }

    /// Tells other processes what is compacted, where there may be some. What the tenant has then;
    /// nothing where another one was faster.
    fn lease(
        &self,
        tenant: &TenantId,
        blocks: Arc<Blocks>,
        choice: &Choice,
    ) -> Result<Option<Arc<Blocks>>, Error> {
        if self.poll.is_none() {
            return Ok(Some(blocks));
        }
        let until = self.clock.now().plus(LEASE).0;
        let lease = Lease { writer: self.writer, blocks: choice.blocks.clone(), until };
        let state =
            self.commit(tenant, &blocks, &Change { lease: Some(lease), ..Change::default() })?;
        drop(blocks);
        self.show(vec![(tenant.clone(), state)]);
        let contents = self.shelf.contents();
        let blocks = contents.tenants.get(tenant).cloned().unwrap_or_default();
        let is_ours = blocks.state.leases.iter().any(|lease| lease.writer == self.writer);
        let are_there = choice.blocks.iter().all(|id| blocks.find(*id).is_some());
        Ok((is_ours && are_there).then_some(blocks))
    }

    /// Writes blocks in place of these; `why` they go.
    pub(super) fn compact_blocks(
        &self,
        tenant: &TenantId,
        blocks: &Blocks,
        choice: &Choice,
        why: Removal,
    ) -> Result<(), Error> {
        let cache = Arc::new(Cache::new(CACHE_BYTES));
        let chosen = choice.blocks.iter().filter_map(|id| blocks.find(*id));
        let open = |block: &Arc<Block>| {
            let file = self.backend.open(&block.name)?;
            let (name, cache) = (block.name.clone(), Arc::clone(&cache));
            let reader = Reader::open(file, block.meta.directory, name, cache)?;
            Ok(Input::Block(Arc::clone(block), Arc::new(reader)))
        };
        let inputs: Vec<Input> = chosen.map(open).collect::<Result<_, Error>>()?;
        let now = self.clock.now();
        let go_on = || self.may_compact();
        let merge = self.merge_of(tenant, &inputs, blocks, &go_on);
        let mut change = merge.compact(choice.sort)?;
        change.removed.iter_mut().for_each(|(_, of)| *of = why);
        change.deleted = self.deleted(&blocks.state, now);
        fault::point("compact.written");
        let spans: u64 = change.added.iter().map(|block| block.rows).sum();
        debug!(
            %tenant,
            blocks = change.removed.len(),
            into = change.added.len(),
            spans,
            "compacted"
        );
        let state = match self.manifest.commit(tenant, &blocks.state, &change, now) {
            Ok(state) => {
                self.stats.compacted_blocks.add(change.removed.len() as u64);
                state
            }
            // Somebody removed or compacted one of them meanwhile.
            Err(error) => self.undo(&merge, &blocks.state, &change, error)?,
        };
        fault::point("compact.committed");
        self.show(vec![(tenant.clone(), state)]);
        fault::point("compact.shown");
        Ok(())
    }

    /// Whether a compaction goes on: it leaves memory and the thread to whoever senders wait for.
    pub(super) fn may_compact(&self) -> Result<(), Error> {
        if self.is_stopped() {
            return Err(Error::new(Kind::Unavailable, "stopping"));
        }
        if self.urgent.load(Ordering::Acquire) > 0 {
            return Err(Error::new(Kind::Unavailable, "somebody waits for it"));
        }
        if self.stats.l0_bytes.get() >= self.config.bytes_max.0 / 2 {
            return Err(Error::new(Kind::Unavailable, "L0 is to be merged first"));
        }
        Ok(())
    }

    /// Notes the block that an error names as damaged; `false` where it names none of them.
    pub(super) fn blame(&self, tenant: &TenantId, of: &[BlockId], error: &Error) -> bool {
        let what = error.to_string();
        let contents = self.shelf.contents();
        let blocks = contents.tenants.get(tenant);
        let named = blocks
            .iter()
            .flat_map(|blocks| &blocks.list)
            .find(|block| of.contains(&block.meta.id) && what.contains(&block.name));
        let Some(block) = named else { return false };
        warn!(%tenant, what, "a block cannot be compacted");
        lock(&self.damaged).push((Part::Block(Arc::clone(block)), tenant.clone(), what));
        true
    }
}
