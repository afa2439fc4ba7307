//! What there is, head and L0 and blocks, and views of it that stay as they are.
//!
//! A view is taken whole: sealing and merging move spans from one place to another in one step
//! ([`Shelf::change`]), so that no reader sees them twice or not at all. What a view refers to is
//! not removed: files that nobody needs wait in the graveyard until the last view is gone.

pub mod catalog;
mod hidden;
pub(crate) mod places;
mod readers;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use model::{Federation, Nanos, TenantId, TimeRange, TraceId};

use crate::backend::Backend;
use crate::error::Error;
use crate::head::{Head, Segment};
use crate::l0::L0;
use crate::manifest::{BlockId, BlockMeta, Catalog, L0Id, State, tenant_dir};

pub use hidden::Hidden;
pub use readers::Readers;
pub(crate) use readers::ahead_bytes;

/// Where blocks are.
pub const ROOT: &str = "blocks";

/// One block of a tenant.
#[derive(Debug)]
pub struct Block {
    /// What the manifest says of it.
    pub meta: Arc<BlockMeta>,
    /// Its name in the backend.
    pub name: String,
}

impl Block {
    /// A block that the manifest names.
    #[must_use]
    pub fn new(tenant: &TenantId, meta: Arc<BlockMeta>) -> Self {
        let name = block_name(tenant, &meta.id.to_string());
        Self { meta, name }
    }
}

/// The name of a block of a tenant.
#[must_use]
pub fn block_name(tenant: &TenantId, id: &str) -> String {
    format!("{ROOT}/{}/{id}.parquet", tenant_dir(tenant))
}

/// What a tenant has in blocks.
#[derive(Debug, Default)]
pub struct Blocks {
    /// What the manifest says.
    pub state: State,
    /// The blocks of it, in the order in which they were added.
    pub list: Vec<Arc<Block>>,
    /// Traces that nobody sees.
    pub hidden: Arc<Hidden>,
}

impl Blocks {
    /// A block, if it is one of these.
    #[must_use]
    pub fn find(&self, id: BlockId) -> Option<&Arc<Block>> {
        self.list.iter().find(|block| block.meta.id == id)
    }

    /// What follows on `before` by this state.
    #[must_use]
    pub fn follow(&self, tenant: &TenantId, state: State) -> Self {
        let known: BTreeMap<_, _> = self.list.iter().map(|block| (block.meta.id, block)).collect();
        let block = |meta: &Arc<BlockMeta>| match known.get(&meta.id) {
            Some(block) => Arc::clone(block),
            None => Arc::new(Block::new(tenant, Arc::clone(meta))),
        };
        let list = state.blocks.iter().map(block).collect();
        let hidden = Hidden::of(&state);
        Self { state, list, hidden }
    }
}

/// Something that is damaged, or could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Whose spans may be missing; `None` for everybody's.
    pub tenant: Option<TenantId>,
    /// What it is, for people.
    pub what: String,
}

/// Everything but the head, at one moment.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// L0 files, oldest first.
    pub l0: Vec<Arc<L0>>,
    /// Blocks by tenant.
    pub tenants: HashMap<TenantId, Arc<Blocks>>,
    /// What is damaged and set aside.
    pub damage: Vec<Damage>,
}

/// A part of a view.
#[derive(Clone, Debug)]
pub enum Part {
    /// A segment of the head, and its first invisible row.
    Head(Arc<Segment>, u32),
    /// An L0 file.
    L0(Arc<L0>),
    /// A block.
    Block(Arc<Block>),
}

impl Part {
    /// Whether both are the same file or segment.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Head(a, _), Self::Head(b, _)) => Arc::ptr_eq(a, b),
            (Self::L0(a), Self::L0(b)) => Arc::ptr_eq(a, b),
            (Self::Block(a), Self::Block(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl Part {
    /// How many traces the index of a file has; of a segment of the head, none.
    pub(crate) fn traces(&self) -> u64 {
        match self {
            Self::Head(..) => 0,
            Self::L0(l0) => l0.reader.directory().header.traces,
            Self::Block(block) => block.meta.traces,
        }
    }

    /// First and last effective start; all of time for a segment of the head.
    pub(crate) fn starts(&self) -> TimeRange {
        match self {
            Self::Head(..) => TimeRange::ALL,
            Self::L0(l0) => l0.starts(),
            Self::Block(block) => block.meta.starts(),
        }
    }
}

/// What a reader sees, tenant by tenant, of each oldest first: of several contents of one span of a tenant
/// the first counts.
#[derive(Debug)]
pub struct View {
    /// Its parts. What has spans of several tenants is a part of each of them.
    pub parts: Vec<Part>,
    /// What is damaged and may have spans of these tenants.
    pub damage: Vec<String>,
    /// Whose the parts are, in their order; one at least.
    pub owners: Vec<Owner>,
}

/// A tenant of a view.
#[derive(Debug)]
pub struct Owner {
    /// Who it is.
    pub tenant: TenantId,
    /// Which of the view's parts are its: only its spans in them count.
    pub parts: Range<usize>,
    /// What tells which of the blocks may have something.
    pub catalogs: Vec<Arc<Catalog>>,
    /// Traces of it that nobody sees.
    pub hidden: Arc<Hidden>,
}

/// Spans of a trace that start so long before or after what is asked for are looked for, too.
const NEAR: Nanos = Nanos::from_secs(3_600);

impl View {
    /// What may matter to a query over a range of time: the parts with spans near it. A trace that goes on
    /// further away than that is judged by what it has here.
    #[must_use]
    pub fn near(mut self, during: TimeRange) -> Self {
        let (start, end) = (during.start.minus(NEAR), during.end.plus(NEAR));
        let near = TimeRange { start, end };
        let mut parts = Vec::with_capacity(self.parts.len());
        let mut all = self.parts.into_iter();
        for owner in &mut self.owners {
            let begin = parts.len();
            let own = all.by_ref().take(owner.parts.len());
            parts.extend(own.filter(|part| part.starts().overlaps(&near)));
            owner.parts = begin..parts.len();
        }
        self.parts = parts;
        self
    }

    /// Which of the owners has a part, by its place.
    pub(crate) fn number(&self, part: usize) -> usize {
        self.owners.partition_point(|owner| owner.parts.end <= part)
    }

    /// Whether spans of several tenants are read as if they were one's.
    pub(crate) fn is_federated(&self) -> bool {
        self.owners.len() > 1
    }

    /// Whether nobody sees a trace, whoever of the tenants has it.
    pub(crate) fn hides(&self, id: TraceId) -> bool {
        self.owners.iter().all(|owner| owner.hidden.has(id))
    }
}

/// What there is.
#[derive(Debug, Default)]
pub struct Shelf {
    contents: RwLock<Arc<Contents>>,
    graveyard: Mutex<Vec<Grave>>,
}

/// A file that goes when nobody refers to it any more.
#[derive(Debug)]
enum Grave {
    L0(Arc<L0>),
    Block(Arc<Block>),
}

impl Shelf {
    /// Everything but the head, now.
    #[must_use]
    pub fn contents(&self) -> Arc<Contents> {
        Arc::clone(&self.contents.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a reader of these tenants sees.
    ///
    /// # Errors
    /// `Fatal` when a writer has panicked.
    pub fn view(&self, head: &Head, tenants: &Federation) -> Result<View, Error> {
        let (segments, contents) = {
            // Held while the head is asked: spans move between them under the other side of it.
            let contents = self.contents.read().unwrap_or_else(PoisonError::into_inner);
            (head.view()?.parts, Arc::clone(&contents))
        };
        let mut view = View { parts: Vec::new(), damage: Vec::new(), owners: Vec::new() };
        for tenant in tenants.iter() {
            let begin = view.parts.len();
            let blocks = contents.tenants.get(tenant);
            let consumed = |id: L0Id| blocks.is_some_and(|blocks| blocks.state.has_consumed(id));
            let all = blocks.iter().flat_map(|blocks| &blocks.list);
            view.parts.extend(all.cloned().map(Part::Block));
            let l0 = contents.l0.iter().filter(|l0| l0.run(tenant).is_some() && !consumed(l0.id));
            view.parts.extend(l0.cloned().map(Part::L0));
            for (segment, visible) in &segments {
                // What is looked at for nothing is looked at many times, where many are asked.
                if tenants.alone().is_some() || segment.read()?.tenant(tenant).is_some() {
                    view.parts.push(Part::Head(Arc::clone(segment), *visible));
                }
            }
            view.owners.push(Owner {
                tenant: tenant.clone(),
                parts: begin..view.parts.len(),
                catalogs: blocks.map(|blocks| blocks.state.catalogs.clone()).unwrap_or_default(),
                hidden: blocks.map(|blocks| Arc::clone(&blocks.hidden)).unwrap_or_default(),
            });
        }
        let is_named = |of: &TenantId| tenants.iter().any(|tenant| tenant == of);
        let concerns = |damage: &&Damage| damage.tenant.as_ref().is_none_or(is_named);
        let damage = contents.damage.iter().filter(concerns).map(|damage| damage.what.clone());
        view.damage.extend(damage);
        Ok(view)
    }

    /// Changes what there is, in one step for all readers; what `also` does to the head is part of
    /// it.
    pub fn change<T>(&self, change: impl FnOnce(&mut Contents) -> T) -> T {
        let mut contents = self.contents.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = Contents::clone(&contents);
        let done = change(&mut next);
        *contents = Arc::new(next);
        done
    }

    /// Has an L0 file removed when nobody refers to it any more. It is off the shelf already.
    pub fn bury_l0(&self, l0: Arc<L0>) {
        self.graves().push(Grave::L0(l0));
    }

    /// Notes that a block is in use no more. It is off the shelf already, and may be deleted when
    /// nobody refers to it.
    pub fn bury(&self, block: Arc<Block>) {
        self.graves().push(Grave::Block(block));
    }

    /// Removes L0 files that nobody refers to any more, and lets such blocks go.
    ///
    /// # Errors
    /// `Io`; what could not be removed is tried again.
    pub fn sweep(&self, backend: &dyn Backend, readers: &Readers) -> Result<(), Error> {
        let due: Vec<Grave> = {
            let mut graves = self.graves();
            let (due, wait) = std::mem::take(&mut *graves).into_iter().partition(Grave::is_alone);
            *graves = wait;
            due
        };
        let mut due = due.into_iter();
        while let Some(grave) = due.next() {
            match &grave {
                Grave::Block(block) => {
                    readers.forget(block);
                    backend.forget(&block.name, block.meta.bytes);
                }
                Grave::L0(l0) => {
                    if let Err(error) = backend.remove(&L0::name(l0.id.number)) {
                        self.graves().extend(due.chain([grave]));
                        return Err(error);
                    }
                    l0.reader.forget();
                }
            }
        }
        Ok(())
    }

    /// Whether somebody here may still read a block that is in use no more.
    #[must_use]
    pub fn is_read(&self, id: BlockId) -> bool {
        let is = |grave: &Grave| matches!(grave, Grave::Block(block) if block.meta.id == id);
        self.graves().iter().any(is)
    }

    /// Whether the file of an L0 may still be there.
    #[must_use]
    pub fn has_l0(&self, id: L0Id) -> bool {
        let buried = |grave: &Grave| matches!(grave, Grave::L0(l0) if l0.id == id);
        self.graves().iter().any(buried) || self.contents().l0.iter().any(|l0| l0.id == id)
    }

    fn graves(&self) -> std::sync::MutexGuard<'_, Vec<Grave>> {
        self.graveyard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Grave {
    fn is_alone(&self) -> bool {
        match self {
            Self::L0(l0) => Arc::strong_count(l0) == 1,
            Self::Block(block) => Arc::strong_count(block) == 1,
        }
    }
}
