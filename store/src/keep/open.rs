//! What a start finds: the manifest, blocks, L0 files, and what a crash or damage left.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Condvar, Mutex};

use model::{Clock, Nanos, TenantId};
use tracing::{error, info, warn};

use super::aside::{self, Aside, QUARANTINE};
use super::follow::Done;
use super::reserve::Reserve;
use super::{Keep, Work};
use crate::backend::{Backend, Local, Shared, Split};
use crate::block::cache::Cache;
use crate::block::reader::{Reader, read_footer};
use crate::compaction;
use crate::disk::data_dir::DataDir;
use crate::error::{Error, Kind};
use crate::l0::{self, L0};
use crate::manifest::{
    self, BlockId, BlockMeta, Change, L0Id, Loaded, Manifest, Removal, State, tenant_dir, tenant_of,
};
use crate::retention;
use crate::shelf::catalog;
use crate::shelf::{self, Blocks, Contents, Damage, Readers, Shelf, block_name};

/// Tenants whose entries are read from a bucket at a time: each takes some ten milliseconds.
const LOADED_AT_ONCE: usize = 16;
/// How often what a tenant has is looked at while others change it.
const ATTEMPTS: usize = 4;

/// What is in the object store where there is one; the log and L0 files are this process's own.
const SHARED: [&str; 4] = [shelf::ROOT, manifest::ROOT, manifest::FLOOR, catalog::ROOT];

/// What a keeper goes by.
#[derive(Debug)]
pub(crate) struct Settings<'c> {
    pub(crate) l0: &'c l0::Config,
    pub(crate) compaction: &'c compaction::Config,
    pub(crate) retention: &'c retention::Config,
    /// Most bytes that are kept of what queries read of blocks.
    pub(crate) cache_bytes: usize,
}

impl Keep {
    /// Reads what is there. Returns the keeper, and up to where the log is sealed: segments below
    /// that number hold nothing that is not in L0 files or blocks.
    pub(crate) fn open(
        dir: &DataDir,
        shared: Option<Shared>,
        settings: &Settings<'_>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, u64), Error> {
        let bucket = shared.as_ref().map(|shared| shared.url.clone());
        let grace = shared.as_ref().map_or(Nanos(0), |shared| shared.grace);
        let poll = shared.as_ref().map(|shared| shared.poll);
        let is_noted = dir.has_blocks_in(bucket.as_deref(), &SHARED)?;
        let local = Local::new(Arc::clone(dir.disk()), dir.path());
        let backend: Arc<dyn Backend> = match shared {
            None => Arc::new(local),
            Some(Shared { backend, .. }) => {
                Arc::new(Split::new(Arc::new(local), backend, &SHARED, QUARANTINE))
            }
        };
        let cache = Arc::new(Cache::new(settings.cache_bytes));
        let readers = Readers::new(Arc::clone(&backend), Arc::clone(&cache));
        let stats = Arc::<l0::Stats>::default();
        let of = if poll.is_some() { Manifest::remote } else { Manifest::new };
        let manifest = of(Arc::clone(&backend));
        let reserve = Reserve::open(dir.disk(), dir.path())?;
        let mut start = Start {
            backend: &*backend,
            cache: &cache,
            stats: &stats,
            manifest: &manifest,
            reserve: &reserve,
            writer: dir.writer(),
            now: clock.now(),
            is_shared: poll.is_some(),
            contents: Contents::default(),
            next_block: 1,
            sealed: 0,
        };
        start.sweep()?;
        start.damage()?;
        start.blocks()?;
        start.l0()?;
        // Not before it has answered: a wrong name is to be mended, not kept.
        if let (Some(bucket), false) = (bucket, is_noted) {
            dir.note_bucket(&bucket)?;
        }
        let Start { contents, next_block, sealed, .. } = start;
        let shelf = Shelf::default();
        shelf.change(|now| *now = contents);
        let done = Mutex::new(Done::at(clock.monotonic()));
        let keep = Self {
            shelf,
            readers,
            stats,
            manifest,
            config: settings.l0.clone(),
            compaction: settings.compaction.clone(),
            retention: settings.retention.clone(),
            clock,
            grace,
            poll,
            done,
            writer: dir.writer(),
            reserve,
            sealing: Mutex::new(()),
            merging: Mutex::new(()),
            next_block: AtomicU64::new(next_block),
            damaged: Mutex::default(),
            queried: Mutex::default(),
            misread: Mutex::default(),
            resting: Mutex::default(),
            checked: Mutex::default(),
            urgent: AtomicU64::new(0),
            deleted: Mutex::default(),
            work: Mutex::new(Work::default()),
            wake: Condvar::new(),
            stopped: AtomicBool::new(false),
            backend,
        };
        keep.count();
        Ok((keep, sealed))
    }
}

/// A start under way.
struct Start<'s> {
    backend: &'s dyn Backend,
    cache: &'s Arc<Cache>,
    stats: &'s l0::Stats,
    manifest: &'s Manifest,
    reserve: &'s Reserve,
    writer: u64,
    now: Nanos,
    /// Whether other processes, or requests of an earlier life of this one, may change blocks and
    /// manifest meanwhile.
    is_shared: bool,
    contents: Contents,
    next_block: u64,
    sealed: u64,
}

impl Start<'_> {
    /// Removes what was never finished.
    fn sweep(&self) -> Result<(), Error> {
        self.backend.sweep(l0::ROOT)?;
        // By these names the log goes, and by their absence the manifest forgets them.
        self.backend.settle(l0::ROOT)?;
        for root in [shelf::ROOT, manifest::ROOT] {
            self.backend.settle(root)?;
            for tenant in self.backend.list(root)? {
                self.backend.sweep(&format!("{root}/{tenant}"))?;
            }
        }
        Ok(())
    }

    /// What was set aside before, and still may be missed.
    fn damage(&mut self) -> Result<(), Error> {
        for name in self.backend.list(QUARANTINE)? {
            let tenant = match Aside::parse(&name) {
                Some(Aside::L0(number)) => {
                    // What it held was sealed: the log behind it is gone.
                    self.sealed = self.sealed.max(number);
                    None
                }
                Some(Aside::Tenant(tenant)) => tenant,
                None => continue,
            };
            let what = format!("{QUARANTINE}/{name} is damaged");
            warn!(file = what, "set aside before: answers may miss its spans until it is removed");
            self.contents.damage.push(Damage { tenant, what });
        }
        Ok(())
    }

    /// Blocks by the manifest; what it does not name is an orphan.
    fn blocks(&mut self) -> Result<(), Error> {
        let mut states: HashMap<TenantId, (State, Vec<manifest::Damaged>)> = HashMap::new();
        let at_once = if self.is_shared { LOADED_AT_ONCE } else { 1 };
        for Loaded { tenant, state, damaged } in self.manifest.load(at_once)? {
            states.insert(tenant, (state, damaged));
        }
        let mut there: HashMap<TenantId, Vec<String>> = HashMap::new();
        for name in self.backend.list_tree(shelf::ROOT)? {
            let Some((tenant, name)) =
                name.split_once('/').and_then(|(dir, name)| Some((tenant_of(dir)?, name)))
            else {
                warn!(name, "not a tenant of ours below blocks, left alone");
                continue;
            };
            there.entry(tenant).or_default().push(name.to_owned());
        }
        if self.is_shared {
            // No number is used twice, also where nothing came of it.
            for name in self.backend.list_tree(catalog::ROOT)? {
                let id =
                    name.rsplit('/').next().and_then(|name| name.strip_suffix(catalog::SUFFIX));
                if let Some(id) = id.and_then(BlockId::parse).filter(|id| id.writer == self.writer)
                {
                    self.next_block = self.next_block.max(id.number.saturating_add(1));
                }
            }
        }
        for tenant in there.keys() {
            states.entry(tenant.clone()).or_default();
        }
        for (tenant, (state, damaged)) in states {
            let there = there.remove(&tenant).unwrap_or_default();
            let state = self.settled(&tenant, state, damaged, &there)?;
            let max = state.consumed_max.get(&self.writer).copied().unwrap_or(0);
            self.sealed = self.sealed.max(max);
            let max = state.block_max.get(&self.writer).copied().unwrap_or(0);
            self.next_block = self.next_block.max(max.saturating_add(1));
            if state.sequence > 0 {
                let blocks = Blocks::default().follow(&tenant, state);
                self.contents.tenants.insert(tenant, Arc::new(blocks));
            }
        }
        Ok(())
    }

    /// What a tenant has when what was left is dealt with; looked at again where somebody else has
    /// changed it meanwhile.
    fn settled(
        &mut self,
        tenant: &TenantId,
        mut state: State,
        mut damaged: Vec<manifest::Damaged>,
        names: &[String],
    ) -> Result<State, Error> {
        for _ in 1..ATTEMPTS {
            match self.tenant(tenant, state, &damaged, names) {
                Err(error) if self.is_shared && error.kind() == Kind::Refused => {
                    warn!(%tenant, %error, "the manifest was changed meanwhile, looking again");
                }
                settled => return settled,
            }
            Loaded { state, damaged, .. } = self.manifest.load_tenant(tenant)?;
        }
        self.tenant(tenant, state, &damaged, names)
    }

    fn tenant(
        &mut self,
        tenant: &TenantId,
        state: State,
        damaged: &[manifest::Damaged],
        names: &[String],
    ) -> Result<State, Error> {
        let dir = format!("{}/{}", shelf::ROOT, tenant_dir(tenant));
        let known: BTreeSet<BlockId> = state.blocks.iter().map(|block| block.id).collect();
        let mut there = BTreeSet::new();
        let mut change = Change::default();
        let mut replaced = BTreeSet::new();
        let mut orphans = Vec::new();
        for name in names {
            let Some(id) = name.strip_suffix(".parquet").and_then(BlockId::parse) else {
                warn!(name, "not a block of ours, left alone");
                continue;
            };
            there.insert(id);
            if id.writer == self.writer {
                self.next_block = self.next_block.max(id.number.saturating_add(1));
            }
            if state.knows(id) {
                continue;
            }
            let path = format!("{dir}/{name}");
            let adopted = self.adopt(tenant, &path, id, damaged, (&mut change, &mut replaced))?;
            if !adopted && id.writer == self.writer {
                orphans.push((id, path));
            }
        }
        // What a compaction has left behind that a damaged entry named.
        change.added.retain(|block| !replaced.contains(&block.id));
        let compacted = known.intersection(&replaced).map(|id| (*id, Removal::Compacted));
        change.removed.extend(compacted);
        if !orphans.is_empty() {
            self.manifest.settle(tenant)?;
        }
        for (id, path) in orphans {
            // Written for a commit that never was, its spans are in L0 still; or removed by one.
            if self.is_shared {
                // An entry that names it may be on its way.
                change.orphaned.push(id);
            } else {
                self.backend.remove(&path)?;
                self.stats.orphans.inc();
            }
        }
        let mut missing = Vec::new();
        for id in known.difference(&there).filter(|id| !replaced.contains(id)) {
            // A list may be late.
            if self.backend.has(&block_name(tenant, &id.to_string()))? {
                continue;
            }
            let aside = aside::block(tenant, *id);
            // Otherwise it was set aside, and the manifest was not told yet.
            if self.contents.damage.iter().all(|known| !known.what.starts_with(&aside)) {
                let what = format!("{dir}/{id}.parquet is missing");
                error!(%tenant, block = %id, "a block that the manifest names is not there");
                missing.push(Damage { tenant: Some(tenant.clone()), what });
            }
            change.removed.push((*id, Removal::Damaged));
        }
        if damaged.is_empty() && change == Change::default() {
            return Ok(state);
        }
        change.is_repair = !damaged.is_empty();
        change.consumed.retain(|l0| !state.has_consumed(*l0));
        let commit = || self.manifest.commit(tenant, &state, &change, self.now);
        let state = self.reserve.with(commit)?;
        self.contents.damage.append(&mut missing);
        self.stats.orphans.add(change.orphaned.len() as u64);
        for entry in damaged {
            self.stats.damaged_entries.inc();
            let to = aside::entry(tenant, entry.sequence);
            error!(%tenant, entry = entry.name, why = entry.why, "an entry of the manifest is damaged, set aside");
            match self.backend.set_aside(&entry.name, &to) {
                // One that is missing.
                Err(error) if error.is_not_found() => {}
                done => done?,
            }
            let what = format!("{to} is damaged: {}", entry.why);
            self.contents.damage.push(Damage { tenant: Some(tenant.clone()), what });
        }
        Ok(state)
    }

    /// Takes a block that an unreadable entry may have named: its footer says what the entry did.
    /// `false` where none did.
    fn adopt(
        &self,
        tenant: &TenantId,
        path: &str,
        id: BlockId,
        damaged: &[manifest::Damaged],
        (change, replaced): (&mut Change, &mut BTreeSet<BlockId>),
    ) -> Result<bool, Error> {
        let (Some(first), Some(last)) = (damaged.first(), damaged.last()) else {
            return Ok(false);
        };
        let mut opened = || -> Result<Option<BlockMeta>, Error> {
            let file = self.backend.open(path)?;
            let location = read_footer(&*file, path)?.directory;
            let bytes = file.len().map_err(|fault| Error::io(format!("read {path}"), fault))?;
            let reader = Reader::open(file, location, path.to_owned(), Arc::clone(self.cache))?;
            let header = &reader.directory().header;
            if header.sequence > last.sequence {
                // Made for an entry behind the damaged ones, which was never written: what else
                // belongs to it may be missing.
                return Ok(None);
            }
            let blocks = header.replaced.iter();
            replaced.extend(
                blocks.map(|(writer, number)| BlockId { writer: *writer, number: *number }),
            );
            if header.sequence >= first.sequence {
                let consumed = header.consumed.iter();
                change.consumed.extend(
                    consumed.map(|(writer, number)| L0Id { writer: *writer, number: *number }),
                );
            }
            Ok(Some(BlockMeta::from_header(header, bytes, location)))
        };
        match opened() {
            Ok(None) => Ok(false),
            Ok(Some(meta)) => {
                info!(%tenant, block = %id, "adopted a block that a damaged entry named");
                change.added.push(meta);
                change.consumed.sort_unstable();
                change.consumed.dedup();
                Ok(true)
            }
            Err(error) if error.kind() == Kind::Corrupt => {
                self.stats.quarantined.inc();
                error!(%tenant, block = %id, %error, "a damaged block is set aside");
                self.backend.set_aside(path, &aside::block(tenant, id)).map(|()| true)
            }
            Err(error) => Err(error),
        }
    }

    /// L0 files; those whose spans are all in blocks go.
    fn l0(&mut self) -> Result<(), Error> {
        let mut settled = BTreeSet::new();
        for name in self.backend.list(l0::ROOT)? {
            let Some(number) = L0::number(&name) else {
                warn!(name, "not an L0 file, left alone");
                continue;
            };
            self.sealed = self.sealed.max(number);
            let path = L0::name(number);
            let opened =
                self.backend.open(&path).and_then(|file| L0::open(file, path.clone(), self.cache));
            let l0 = match opened {
                Ok(l0) => l0,
                Err(error) if error.kind() == Kind::Corrupt => {
                    self.stats.quarantined.inc();
                    let to = aside::l0(number);
                    error!(file = path, %error, "a damaged L0 file is set aside, its spans are missing");
                    self.backend.set_aside(&path, &to)?;
                    let what = format!("{to} is damaged: {error}");
                    self.contents.damage.push(Damage { tenant: None, what });
                    continue;
                }
                Err(error) => return Err(error),
            };
            let consumed = |tenant: &&TenantId| {
                let blocks = self.contents.tenants.get(*tenant);
                blocks.is_some_and(|blocks| blocks.state.has_consumed(l0.id))
            };
            for tenant in l0.tenants().filter(consumed) {
                // The file goes by these entries, now or when others are merged.
                if settled.insert(tenant.clone()) {
                    self.manifest.settle(tenant)?;
                }
            }
            if l0.tenants().all(|tenant| consumed(&tenant)) {
                drop(l0);
                self.backend.remove(&path)?;
            } else {
                self.contents.l0.push(Arc::new(l0));
            }
        }
        self.contents.l0.sort_by_key(|l0| l0.id);
        Ok(())
    }
}
