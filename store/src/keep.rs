//! What keeps the store in order: sealing, merging, retention, and setting aside what is damaged.
//!
//! Each step stands by itself and may be repeated after any failure; between two of them a crash
//! leaves nothing lost and nothing doubled. Two threads take the steps while the store runs
//! (`threads`); simulations and `POST /flush` take them by hand.

mod ahead;
pub(crate) mod aside;
mod catalog;
mod compact;
mod damage;
mod delete;
mod follow;
mod markers;
mod open;
pub(crate) mod redact;
mod reserve;
pub(crate) mod threads;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::{Clock, Nanos, TenantId};
use tracing::{info, warn};

use crate::backend::Backend;
use crate::block::schema::Attribute;
use crate::compaction;
use crate::error::{Error, Kind};
use crate::fault;
use crate::head::Head;
use crate::l0::{self, L0};
use crate::log::LocalWal;
use crate::manifest::{BlockId, Change, L0Id, Manifest, Removal, State};
use crate::merge::{self, Gathered, Input, Merge};
use crate::retention;
use crate::seal;
use crate::shelf::{Blocks, Part, Readers, Shelf};
pub(crate) use open::Settings;
use reserve::Reserve;

/// So many tenants are committed before readers see it: each change copies the list of all.
const COMMITS_AT_ONCE: usize = 64;
/// Attributes that were asked for and are told to the next merge.
const QUERIED_MAX: usize = 64;

/// The keeper of a store.
#[derive(Debug)]
pub(crate) struct Keep {
    pub(crate) shelf: Shelf,
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) readers: Readers,
    pub(crate) stats: Arc<l0::Stats>,
    pub(crate) manifest: Manifest,
    config: l0::Config,
    compaction: compaction::Config,
    retention: retention::Config,
    clock: Arc<dyn Clock>,
    /// How long blocks stay that are in use no more.
    grace: Nanos,
    /// How often other processes' changes are looked for, where there may be others.
    poll: Option<Nanos>,
    done: Mutex<follow::Done>,
    writer: u64,
    reserve: Reserve,
    sealing: Mutex<()>,
    merging: Mutex<()>,
    next_block: AtomicU64,
    /// Parts whose bytes are damaged, still to be set aside.
    damaged: Mutex<Vec<(Part, TenantId, String)>>,
    queried: Mutex<BTreeSet<String>>,
    /// Blocks that were found damaged and are well where they lie: how often, and since when.
    misread: Mutex<BTreeMap<BlockId, (u32, Nanos)>>,
    /// Blocks that have no traces of a redaction.
    checked: Mutex<redact::Checked>,
    /// How many wait for whoever compacts.
    urgent: AtomicU64,
    /// Tenants whose blocks could not be compacted, and since when: others come first.
    resting: Mutex<BTreeMap<TenantId, Nanos>>,
    /// Marked blocks that are deleted, until the manifest says so.
    deleted: Mutex<BTreeSet<BlockId>>,
    work: Mutex<Work>,
    wake: Condvar,
    stopped: AtomicBool,
}

/// What wakes the threads.
#[derive(Debug, Default)]
struct Work {
    seal: bool,
    merge: bool,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something.
    Worked,
    /// Nothing: there was nothing to do.
    Idle,
    /// Nothing: L0 is full until something is merged.
    Full,
}

/// Which L0 files are merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Those that are old enough, and the oldest while L0 is nearly full.
    ByAge,
    /// All of them.
    All,
}

impl Keep {
    /// Seals the oldest closed segment of the head, if all of it is durable (waits for that while
    /// `wait` is true).
    pub(crate) fn seal(&self, head: &Head, wal: &LocalWal, wait: bool) -> Result<Step, Error> {
        let _one = lock(&self.sealing);
        let Some(segment) = head.oldest_closed()? else { return Ok(Step::Idle) };
        while !segment.is_whole() {
            // After a failure of the log rows stay invisible for good.
            if !wait || self.is_stopped() || wal.failed().is_some() {
                return Ok(Step::Idle);
            }
            let _whole = segment.wait_whole(Duration::from_millis(100));
        }
        if self.stats.l0_bytes.get() >= self.config.bytes_max.0 {
            self.stats.l0_full.inc();
            return Ok(Step::Full);
        }
        fault::point("seal.begin");
        let started = self.clock.monotonic();
        let number = segment.log_end().unwrap_or_default();
        let name = L0::name(number);
        let write = || -> Result<bool, Error> {
            let batch = segment.read()?;
            let upload = self.backend.begin(&name)?;
            let now = self.clock.now();
            let (upload, written) =
                seal::write(&batch, self.writer, number, now, upload, &self.stats)?;
            self.stats.sealed_spans.add(written.header.rows);
            upload.finish()
        };
        if !self.reserve.with(write).inspect_err(|_| self.stats.seal_failed.inc())? {
            // An attempt before got as far as the name and failed behind it.
            self.backend.remove(&name)?;
            return Ok(Step::Worked);
        }
        fault::point("seal.written");
        let l0 = Arc::new(L0::open(self.backend.open(&name)?, name, self.readers.cache())?);
        self.shelf.change(|contents| {
            contents.l0.push(l0);
            head.release(&segment)
        })?;
        fault::point("seal.shown");
        wal.remove_before(number);
        self.stats.seals.inc();
        self.stats.seal_time.record(self.clock.monotonic().minus(started).0);
        self.count();
        self.wake_merge();
        Ok(Step::Worked)
    }

    /// Merges some L0 files, if any are due.
    pub(crate) fn merge(&self, due: Due) -> Result<Step, Error> {
        let _one = lock(&self.merging);
        let l0 = self.due(due);
        if l0.is_empty() {
            return Ok(Step::Idle);
        }
        fault::point("merge.begin");
        let started = self.clock.monotonic();
        let inputs = merge::choose(&l0, self.config.bytes_max.0 / 4);
        let mut states = Vec::new();
        let outcome = self.merge_inputs(&inputs, &mut states);
        fault::point("merge.committed");
        self.show(states);
        fault::point("merge.shown");
        if let Err(error) = outcome {
            self.stats.merge_failed.inc();
            if error.kind() == Kind::Corrupt {
                return self.set_aside_inputs(&inputs, &error);
            }
            return Err(error);
        }
        self.shelf.change(|contents| {
            contents.l0.retain(|l0| inputs.iter().all(|input| input.id != l0.id));
        });
        drop(l0);
        inputs.into_iter().for_each(|l0| self.shelf.bury_l0(l0));
        fault::point("l0.buried");
        self.stats.merges.inc();
        self.stats.merge_time.record(self.clock.monotonic().minus(started).0);
        self.clean()?;
        self.wake_seal();
        Ok(Step::Worked)
    }

    /// Merges what all tenants have in these files. Tenants that are not shown yet when it ends,
    /// or fails, are in `states`.
    fn merge_inputs(
        &self,
        inputs: &[Arc<L0>],
        states: &mut Vec<(TenantId, State)>,
    ) -> Result<(), Error> {
        let bytes_max = self.config.merge_bytes_max.as_usize();
        for portion in merge::portions(inputs, bytes_max) {
            if let [tenant] = portion.as_slice() {
                for inputs in merge::turns(tenant, inputs, bytes_max) {
                    // The next turn goes by what this one left.
                    self.show(std::mem::take(states));
                    let merge = || self.merge_tenant(tenant, &inputs, None);
                    states.extend(self.reserve.with(merge)?.map(|state| (tenant.clone(), state)));
                }
                continue;
            }
            let all = merge::gather(&portion, inputs)?;
            for (tenant, gathered) in portion.iter().zip(&all) {
                let merge = || self.merge_tenant(tenant, inputs, Some(gathered));
                states.extend(self.reserve.with(merge)?.map(|state| (tenant.clone(), state)));
                if states.len() >= COMMITS_AT_ONCE {
                    self.show(std::mem::take(states));
                }
            }
        }
        Ok(())
    }

    /// The L0 files to merge, oldest first.
    fn due(&self, due: Due) -> Vec<Arc<L0>> {
        let l0 = self.shelf.contents().l0.clone();
        let now = self.clock.now();
        let window = self.config.window.nanos();
        let is_old =
            |l0: &Arc<L0>| now.minus(Nanos(l0.reader.directory().header.created_at)) >= window;
        let bytes: u64 = l0.iter().map(|l0| l0.bytes).sum();
        let crowded = bytes >= self.config.bytes_max.0 / 4 * 3;
        let count = match due {
            Due::All => l0.len(),
            Due::ByAge if crowded => l0.len(),
            Due::ByAge => l0.iter().take_while(|l0| is_old(l0)).count(),
        };
        l0.into_iter().take(count).collect()
    }

    /// Merges a tenant's spans of these files; what the tenant has then, unless it has none there.
    fn merge_tenant(
        &self,
        tenant: &TenantId,
        inputs: &[Arc<L0>],
        gathered: Option<&Gathered>,
    ) -> Result<Option<State>, Error> {
        let contents = self.shelf.contents();
        let blocks = contents.tenants.get(tenant).cloned().unwrap_or_default();
        let fresh = |l0: &&Arc<L0>| l0.run(tenant).is_some() && !blocks.state.has_consumed(l0.id);
        let inputs: Vec<Arc<L0>> = inputs.iter().filter(fresh).cloned().collect();
        if inputs.is_empty() {
            return Ok(None);
        }
        let now = self.clock.now();
        let of: Vec<Input> = inputs.iter().cloned().map(Input::L0).collect();
        let merge = Merge { gathered, ..self.merge_of(tenant, &of, &blocks, &|| Ok(())) };
        let mut change = merge.arrive()?;
        // L0 files of other processes are not here, and may be there.
        let gone = |id: &&L0Id| id.writer == self.writer && !self.shelf.has_l0(**id);
        fault::point("merge.written");
        change.forgotten = blocks.state.consumed.iter().filter(gone).copied().collect();
        change.deleted = self.deleted(&blocks.state, now);
        match self.manifest.commit(tenant, &blocks.state, &change, now) {
            Ok(state) => Ok(Some(state)),
            Err(error) => {
                let state = self.undo(&merge, &blocks.state, &change, error)?;
                self.show(vec![(tenant.clone(), state)]);
                // Some of the files may be merged by now, and others not.
                self.merge_tenant(tenant, &inputs, gathered)
            }
        }
    }

    /// A merge of these files of a tenant that has these blocks.
    fn merge_of<'m>(
        &'m self,
        tenant: &'m TenantId,
        inputs: &'m [Input],
        blocks: &'m Blocks,
        go_on: &'m dyn Fn() -> Result<(), Error>,
    ) -> Merge<'m> {
        Merge {
            tenant,
            inputs,
            gathered: None,
            blocks,
            backend: &*self.backend,
            readers: &self.readers,
            stats: &self.stats,
            writer: self.writer,
            now: self.clock.now(),
            next_block: &self.next_block,
            spans_max: self.compaction.spans_max,
            bytes_max: self.config.merge_bytes_max.as_usize(),
            queried: self.queried(),
            has_catalogs: self.poll.is_some(),
            go_on,
        }
    }

    /// After a commit that failed: removes what was written for it, unless it may have been committed
    /// after all. What the tenant has now.
    fn undo(
        &self,
        merge: &Merge<'_>,
        from: &State,
        change: &Change,
        error: Error,
    ) -> Result<State, Error> {
        // An attempt whose answer was lost may have done it: then the manifest names the blocks.
        let is_known = !matches!(error.kind(), Kind::Fatal | Kind::Refused);
        let state = self.catch_up(merge.tenant, from, error).inspect_err(|_| {
            if is_known {
                merge.discard(&change.added);
            }
        })?;
        let mut unnamed = change.added.clone();
        unnamed.retain(|block| !state.knows(block.id));
        merge.discard(&unnamed);
        Ok(state)
    }

    /// Commits a change of a tenant's blocks; what the tenant has then.
    fn commit(&self, tenant: &TenantId, blocks: &Blocks, change: &Change) -> Result<State, Error> {
        let now = self.clock.now();
        let commit = || self.manifest.commit(tenant, &blocks.state, change, now);
        self.reserve.with(commit).or_else(|error| self.catch_up(tenant, &blocks.state, error))
    }

    /// After a commit that was refused, as what it is about was changed by another writer, or by
    /// an attempt of ours that seemed to fail: what the tenant has now.
    fn catch_up(&self, tenant: &TenantId, from: &State, error: Error) -> Result<State, Error> {
        if error.kind() != Kind::Refused {
            return Err(error);
        }
        self.manifest.settle(tenant)?;
        let state = self.manifest.load_whole(tenant)?;
        if state.sequence <= from.sequence {
            return Err(error);
        }
        warn!(%tenant, %error, "the manifest says otherwise, going by that");
        Ok(state)
    }

    /// Lets readers see what was committed.
    fn show(&self, states: Vec<(TenantId, State)>) {
        if states.is_empty() {
            return;
        }
        let gone = self.shelf.change(|contents| {
            let mut gone = Vec::new();
            for (tenant, state) in states {
                let before = contents.tenants.get(&tenant).cloned().unwrap_or_default();
                if state.sequence < before.state.sequence {
                    continue;
                }
                contents.damage.extend(damage::told_by(&tenant, &state, &contents.damage));
                let after = before.follow(&tenant, state);
                let stays = |id: BlockId| after.list.iter().any(|block| block.meta.id == id);
                gone.extend(before.list.iter().filter(|block| !stays(block.meta.id)).cloned());
                contents.tenants.insert(tenant, Arc::new(after));
            }
            gone
        });
        gone.into_iter().for_each(|block| self.shelf.bury(block));
        self.count();
    }

    /// Whether the disk is so full that only sealing, merging and retention may take space.
    pub(crate) fn saves_space(&self) -> &Arc<AtomicBool> {
        self.reserve.is_out()
    }

    /// Removes blocks that are older than they may be.
    pub(crate) fn expire(&self) -> Result<Step, Error> {
        let _one = lock(&self.merging);
        let now = self.clock.now();
        let contents = self.shelf.contents();
        let mut states = Vec::new();
        let mut outcome = Ok(());
        for (tenant, blocks) in &contents.tenants {
            let expired = blocks.state.expired(now, self.retention.age_of(tenant));
            if expired.is_empty() {
                continue;
            }
            self.stats.expired.add(expired.len() as u64);
            info!(%tenant, blocks = expired.len(), "removing blocks that are older than they may be");
            let removed = expired.into_iter().map(|id| (id, Removal::Retention)).collect();
            let deleted = self.deleted(&blocks.state, now);
            let change = Change { removed, deleted, ..Change::default() };
            match self.commit(tenant, blocks, &change) {
                Ok(state) => states.push((tenant.clone(), state)),
                Err(error) => outcome = Err(error),
            }
        }
        drop(contents);
        let step = if states.is_empty() { Step::Idle } else { Step::Worked };
        self.show(states);
        outcome?;
        if step == Step::Worked {
            self.clean()?;
        }
        Ok(step)
    }

    /// Removes files that nobody refers to any more, sets aside what readers found damaged, and
    /// takes the reserve back where it can.
    pub(crate) fn tidy(&self) -> Result<(), Error> {
        // A merge asks which files there are, and changes what a tenant has.
        let _one = lock(&self.merging);
        self.clean()
    }

    /// As [`Keep::tidy`], for whoever has its lock.
    fn clean(&self) -> Result<(), Error> {
        let mut outcome = Ok(());
        let damaged = std::mem::take(&mut *lock(&self.damaged));
        for (part, tenant, what) in damaged {
            if let Err(error) = self.set_aside(&part, &tenant, &what) {
                lock(&self.damaged).push((part, tenant, what));
                outcome = Err(error);
            }
        }
        fault::point("tidy");
        self.shelf.sweep(&*self.backend, &self.readers)?;
        self.delete_marked()?;
        self.reserve.refill();
        self.count();
        outcome
    }

    /// Notes an attribute that a search asked for: the next blocks have a column of it.
    pub(crate) fn asked_for(&self, key: &str) {
        let mut queried = lock(&self.queried);
        if queried.len() < QUERIED_MAX {
            queried.insert(key.to_owned());
        }
    }

    fn queried(&self) -> Vec<Attribute> {
        use model::column::Type;
        let keys = lock(&self.queried);
        let kinds = [Type::String, Type::Int, Type::Bool, Type::Double];
        let of = |key: &String| {
            kinds.map(|kind| Attribute {
                table: crate::block::schema::Table::Span,
                key: key.clone(),
                kind,
            })
        };
        keys.iter().flat_map(of).collect()
    }

    fn count(&self) {
        let contents = self.shelf.contents();
        let stats = &self.stats;
        stats.l0_files.set(contents.l0.len() as u64);
        stats.l0_bytes.set(contents.l0.iter().map(|l0| l0.bytes).sum());
        let blocks = || contents.tenants.values().flat_map(|blocks| &blocks.list);
        stats.blocks.set(blocks().count() as u64);
        stats.block_bytes.set(blocks().map(|block| block.meta.bytes).sum());
        stats.block_spans.set(blocks().map(|block| block.meta.rows).sum());
        stats.tenants.set(contents.tenants.len() as u64);
    }

    /// Has a closed segment sealed soon.
    pub(crate) fn wake_seal(&self) {
        lock(&self.work).seal = true;
        self.wake.notify_all();
    }

    fn wake_merge(&self) {
        lock(&self.work).merge = true;
        self.wake.notify_all();
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Ends what waits; steps under way end soon.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        drop(lock(&self.work));
        self.wake.notify_all();
    }
}

/// What these locks guard is whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
