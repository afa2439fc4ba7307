//! What a plugin is shown: the columns that its projection names, of so many spans of a draft, in one flat buffer
//! (`docs/reference/plugin-buffer.md`).
//!
//! One walk over the attributes of each owner finds all columns at once; then the sections are written one after the
//! other. What was shown is remembered, as the answer speaks of it by numbers.

mod budgets;
mod sections;
mod shape;
mod spans;
mod texts;
mod traces;
mod values;

use std::net::IpAddr;

use model::otlp::held;
use traceweir_plugin::codes::{NONE, batch as kind, domain, layout};

pub use budgets::{Budgets, Unlimited};
pub(crate) use shape::Shape;
pub use traces::Late;

use crate::draft::Draft;
use crate::projection::{Column, Level, Mode, Owner, Plan, Role};
use budgets::Keyed;
use sections::Sections;
pub(crate) use texts::same;
use texts::{Texts, at32, put_u32s};
use values::Values;

/// What is known of a request beside its bytes.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// Who sent it, if that is known.
    pub peer: Option<IpAddr>,
    /// What may still be kept.
    pub budgets: &'a dyn Budgets,
    /// Which traces were decided before.
    pub late: &'a dyn Late,
}

impl std::fmt::Debug for Around<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Around").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Around<'_> {
    /// Nothing is known, and everything may be kept.
    pub const NOTHING: Self = Self { peer: None, budgets: &Unlimited, late: &Unlimited };
}

/// A batch. Its memory is used again for the next one: a worker keeps one.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    pub(crate) shape: Shape,
    columns: Vec<Entries>,
    pub(crate) pairs: Vec<Pairs>,
    pub(crate) budgets: Vec<Keyed>,
    /// For columns that are written as soon as they are full.
    texts: Texts,
    numbers: Vec<u32>,
    seed: u64,
}

/// The values of an attribute.
#[derive(Debug, Default)]
struct Entries {
    values: Values,
    /// Which of its owner's attributes each one is; empty where nobody asks.
    slots: Vec<u32>,
    /// Some owner has two.
    doubled: bool,
}

/// Attributes by what their keys begin with.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    /// Where the pairs of each owner end.
    pub(crate) ends: Vec<u32>,
    keys: Texts,
    values: Values,
    /// Which of its owner's attributes each one is.
    pub(crate) slots: Vec<u32>,
    /// Where the pairs begin of this owner, and of the one before.
    begins: [usize; 2],
}

impl Pairs {
    /// The key of a pair as it was shown.
    pub(crate) fn key(&self, pair: usize) -> &[u8] {
        self.keys.get(pair)
    }
}

impl Batch {
    /// An empty one; the seed, by chance, keeps those who send from knowing what collides.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// The buffer.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the buffer, to be handed to whoever wants to own it; [`Self::put_bytes`] brings it back.
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Brings the buffer back.
    pub(crate) fn put_bytes(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes;
    }

    pub(crate) const fn seed(&self) -> u64 {
        self.seed
    }

    /// How many rows it has.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.shape.rows.len()
    }

    /// Makes the batch of these spans of a draft: some that [`Draft::select`] has named, each once, in their order. For
    /// a tail sampler they are put together by trace.
    ///
    /// # Panics
    /// The draft's outline has not what the plan wants.
    pub fn project(&mut self, draft: &Draft, plan: &Plan, rows: &[u32], around: &Around<'_>) {
        assert!(draft.outline.wants.covers(plan.wants()), "the outline has what plans want");
        let level = match plan.role {
            Role::TailSampler(level) => Some(level),
            Role::SpanProcessor | Role::HeadSampler | Role::Router => None,
        };
        self.shape.fill(draft, plan, rows, level);
        let shown = level != Some(Level::Summary);
        self.begin(plan);
        for owner in Owner::ALL {
            // Budgets may go by what a summary does not show.
            self.scan(draft, plan, owner);
        }
        self.end_columns();
        self.fill_budgets(plan);
        let mut bytes = std::mem::take(&mut self.bytes);
        let mut out = Sections::begin(&mut bytes, &self.shape, self.sections(plan, shown));
        if shown {
            self.put_intrinsics(&mut out, draft, plan, around.peer);
            self.put_columns(&mut out, plan);
        }
        self.put_budgets(&mut out, around.budgets);
        if level.is_some() {
            self.put_traces(&mut out, draft, around.late);
        }
        out.end();
        self.bytes = bytes;
    }

    /// Begins the columns.
    fn begin(&mut self, plan: &Plan) {
        self.columns.resize_with(plan.columns.len(), Entries::default);
        for (entries, column) in self.columns.iter_mut().zip(&plan.columns) {
            let count = self.shape.count(column.owner);
            let is_unique = column.mode.is_unique();
            entries.values.begin(count, column.complex, is_unique, self.seed);
            entries.slots.clear();
            entries.doubled = false;
            if column.is_written {
                entries.slots.resize(count, NONE);
            }
        }
        self.pairs.resize_with(plan.pairs.len(), Pairs::default);
        for (pairs, of) in self.pairs.iter_mut().zip(&plan.pairs) {
            pairs.ends.clear();
            pairs.slots.clear();
            pairs.begins = [0; 2];
            pairs.keys.begin(false, self.seed);
            pairs.values.begin(0, of.complex, of.mode.is_unique(), self.seed);
        }
    }

    /// Walks over the attributes of all spans, resources, scopes, events or links of the batch.
    fn scan(&mut self, draft: &Draft, plan: &Plan, owner: Owner) {
        let Self { shape, columns, pairs, .. } = self;
        let keys = &plan.keys[owner as usize];
        if keys.is_empty() {
            return;
        }
        let memory = &draft.memory;
        for entry in 0..shape.count(owner) {
            let place = shape.place(owner, entry);
            for (slot, at) in draft.attributes(owner, place).iter().enumerate() {
                if *at == 0 {
                    continue;
                }
                let pair = memory.field(*at);
                let key = memory.key(pair);
                keys.each(key, |number| {
                    let number = number as usize;
                    if let (Some(column), Some(of)) =
                        (columns.get_mut(number), plan.columns.get(number))
                    {
                        let encoded = memory.encoded_value(pair);
                        column.put(entry, slot, encoded, &of.mode);
                    }
                });
                keys.each_start(key, |number| {
                    let number = number as usize;
                    if let (Some(found), Some(of)) = (pairs.get_mut(number), plan.pairs.get(number))
                    {
                        found.put(slot, key, memory.encoded_value(pair), &of.mode);
                    }
                });
            }
            if keys.has_starts() {
                for (pairs, _) in
                    pairs.iter_mut().zip(&plan.pairs).filter(|(_, of)| of.owner == owner)
                {
                    pairs.end_owner();
                }
            }
        }
    }

    fn end_columns(&mut self) {
        self.columns.iter_mut().for_each(|column| column.values.end());
        for pairs in &mut self.pairs {
            pairs.keys.end_texts(pairs.slots.len());
            pairs.values.end();
        }
    }

    /// How many sections there will be.
    fn sections(&self, plan: &Plan, shown: bool) -> usize {
        let is_shown = |of: &(&Entries, &Column)| of.1.argument.is_some();
        let columns = self.columns.iter().zip(&plan.columns).filter(is_shown);
        let columns = columns.map(|(column, _)| column.values.sections());
        let pairs = self.pairs.iter().map(|pairs| 2 + pairs.values.sections());
        let fields = plan.intrinsics() + columns.sum::<usize>() + pairs.sum::<usize>();
        let traces = if self.shape.level.is_some() { traces::SECTIONS } else { 0 };
        traces + budgets::SECTIONS * self.budgets.len() + if shown { fields } else { 0 }
    }

    fn put_columns(&self, out: &mut Sections<'_>, plan: &Plan) {
        for (column, of) in self.columns.iter().zip(&plan.columns) {
            // Those of budgets alone are not shown.
            if let Some(argument) = of.argument {
                out.values((kind::ATTRIBUTE, domain_of(of.owner), argument), &column.values);
            }
        }
        for (pairs, of) in self.pairs.iter().zip(&plan.pairs) {
            let (argument, domain) = (of.argument, domain_of(of.owner));
            out.section((kind::PAIRS_END, layout::U32, domain, argument), |out| {
                put_u32s(out, &pairs.ends);
            });
            out.texts((kind::PAIRS_KEY, domain::PAIRS, argument), &pairs.keys);
            out.values((kind::PAIRS, domain::PAIRS, argument), &pairs.values);
        }
    }

    /// Which attribute of a row it is that a column has, where that is known.
    pub(crate) fn slot(&self, column: usize, row: usize) -> Option<u32> {
        let column = self.columns.get(column).filter(|column| !column.doubled)?;
        column.slots.get(row).copied()
    }
}

impl Entries {
    #[inline]
    fn put(&mut self, entry: usize, slot: usize, encoded: &[u8], mode: &Mode) {
        if self.values.has(entry) {
            self.doubled = true;
            return;
        }
        self.values.put(entry, held::read(encoded), encoded, mode);
        if let Some(place) = self.slots.get_mut(entry) {
            *place = at32(slot);
        }
    }
}

impl Pairs {
    /// Adds a pair. Mostly an owner has the keys of the one before, in the same order, and often its values.
    fn put(&mut self, slot: usize, key: &[u8], encoded: &[u8], mode: &Mode) {
        let pair = self.slots.len();
        let [begin, before] = self.begins;
        let like = before + pair - begin;
        self.keys.put_as(pair, key, like);
        self.values.push(held::read(encoded), encoded, mode, like);
        self.slots.push(at32(slot));
    }

    fn end_owner(&mut self) {
        let end = self.slots.len();
        self.ends.push(at32(end));
        let [begin, _] = self.begins;
        // One without any tells nothing of the next one.
        if end > begin {
            self.begins = [end, begin];
        }
    }
}

/// The domain of what is of somebody.
pub(crate) const fn domain_of(owner: Owner) -> u8 {
    match owner {
        Owner::Span => domain::SPANS,
        Owner::Resource => domain::RESOURCES,
        Owner::Scope => domain::SCOPES,
        Owner::Event => domain::EVENTS,
        Owner::Link => domain::LINKS,
    }
}
