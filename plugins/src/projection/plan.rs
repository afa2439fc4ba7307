//! A projection that was held against its limits, in the form that batches and answers are made and read by.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use model::otlp::Wants;
use model::otlp::outline::Interest;

use super::{Attribute, Budget, Field, Intrinsic, Keys, MatchRule, Owner, Projection, Role};

/// Most fields that a plugin reads, and that it writes.
const FIELDS_MAX: usize = 256;
/// Most bytes of a key.
pub(crate) const KEY_BYTES_MAX: usize = 512;
const RULES_MAX: usize = 32;
const TEXTS_MAX: usize = 1_000;
const BUDGETS_MAX: usize = 16;
const WINDOW_MS: std::ops::RangeInclusive<u32> = 100..=3_600_000;

/// What is wrong with a projection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, such as `reads[3]`.
    pub path: String,
    /// Why, such as `key has 700 bytes, limit is 512`.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for Fault {}

/// How many different texts a column has: what one batch has shown is remembered for the next ones.
#[derive(Debug, Default)]
pub(crate) struct Mode(AtomicU32);

impl Mode {
    /// So many batches are written as nearly unique before it is found out again whether they are.
    const BATCHES: u32 = 64;

    /// Whether the texts of the next batch are nearly unique, as far as is known.
    pub(crate) fn is_unique(&self) -> bool {
        // Threads may count the same batch: it is a guess in any case.
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(1), Ordering::Relaxed);
        left > 0
    }

    /// Texts were found to be nearly unique.
    pub(crate) fn set_unique(&self) {
        self.0.store(Self::BATCHES, Ordering::Relaxed);
    }
}

/// An attribute that is looked for: it is read, or a budget goes by it.
#[derive(Debug)]
pub(crate) struct Column {
    /// Its place in `reads`; none where only a budget goes by it.
    pub(crate) argument: Option<u32>,
    pub(crate) owner: Owner,
    pub(crate) complex: bool,
    /// Where each value stands is remembered: it is written, too.
    pub(crate) is_written: bool,
    pub(crate) mode: Mode,
}

/// Attributes that are read by what their keys begin with.
#[derive(Debug)]
pub(crate) struct PairsPlan {
    /// Its place in `reads`.
    pub(crate) argument: u32,
    pub(crate) owner: Owner,
    pub(crate) complex: bool,
    /// All of them may be written.
    pub(crate) is_writable: bool,
    pub(crate) mode: Mode,
}

/// What may be written.
#[derive(Debug)]
pub(crate) enum Write {
    Intrinsic(Intrinsic),
    Attribute { owner: Owner, key: Box<[u8]>, hint: Hint },
    Attributes { owner: Owner, start: Box<[u8]> },
}

/// Where it is known which of a span's attributes is written: the column that has found it.
pub(crate) type Hint = Option<usize>;

/// A budget, and the column of what it goes by.
#[derive(Debug)]
pub(crate) struct BudgetPlan {
    pub(crate) per: Option<(Owner, usize)>,
}

/// A rule that resources match; its texts are sorted.
#[derive(Debug)]
struct Rule {
    key: String,
    texts: Vec<String>,
}

/// A projection that was found to be right.
#[derive(Debug)]
pub struct Plan {
    pub(crate) role: Role,
    /// A bit for each intrinsic field, by its number.
    intrinsics: u32,
    /// The numbers of `columns` and `pairs`, by whose they are.
    pub(crate) keys: [Keys; 5],
    pub(crate) columns: Vec<Column>,
    pub(crate) pairs: Vec<PairsPlan>,
    /// The place in `pairs` by the place in `reads`.
    pub(crate) pairs_of: Vec<Option<usize>>,
    /// How many texts are different, of intrinsic fields by their number.
    pub(crate) modes: [Mode; 23],
    pub(crate) writes: Vec<Write>,
    /// What may be written of whose.
    pub(crate) writable: [Keys; 5],
    rules: Vec<Rule>,
    pub(crate) budgets: Vec<BudgetPlan>,
    rows_max: u32,
    touches_events: bool,
    touches_links: bool,
    wants: Wants,
}

impl Plan {
    /// Holds a projection against the limits.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn compile(projection: &Projection, role: Role) -> Result<Self, Fault> {
        check(projection)?;
        let mut plan = Self::empty(role, projection);
        for (place, field) in (0..).zip(&projection.reads) {
            plan.read(place, field, &projection.writes);
        }
        for field in &projection.writes {
            plan.write(field, projection);
        }
        for budget in &projection.budgets {
            let per = budget.per.as_ref().map(|per| (per.owner, plan.column(None, per, false)));
            plan.budgets.push(BudgetPlan { per });
        }
        plan.keys.iter_mut().chain(&mut plan.writable).for_each(Keys::seal);
        plan.touch(projection);
        Ok(plan)
    }

    fn empty(role: Role, projection: &Projection) -> Self {
        let rule = |rule: &MatchRule| {
            let mut texts = rule.any_of.clone();
            texts.sort_unstable();
            Rule { key: rule.key.clone(), texts }
        };
        Self {
            role,
            intrinsics: 0,
            keys: Default::default(),
            columns: Vec::new(),
            pairs: Vec::new(),
            pairs_of: vec![None; projection.reads.len()],
            modes: Default::default(),
            writes: Vec::new(),
            writable: Default::default(),
            rules: projection.match_resource.iter().map(rule).collect(),
            budgets: Vec::new(),
            rows_max: projection.max_batch_rows,
            touches_events: false,
            touches_links: false,
            wants: Wants::default(),
        }
    }

    fn read(&mut self, place: u32, field: &Field, writes: &[Field]) {
        match field {
            Field::Intrinsic(intrinsic) => self.intrinsics |= 1 << *intrinsic as u8,
            Field::Attribute(attribute) => {
                let is_it = |field: &&Field| {
                    matches!(field, Field::Attribute(written)
                        if (written.owner, &written.key) == (attribute.owner, &attribute.key))
                };
                // What two fields write is found anew for each of them.
                let is_written = writes.iter().filter(is_it).count() == 1;
                self.column(Some(place), attribute, is_written);
            }
            Field::Attributes(Attribute { owner, key, complex }) => {
                let covers = |field: &Field| {
                    matches!(field, Field::Attributes(written)
                        if written.owner == *owner && key.starts_with(&written.key))
                };
                if let Some(of) = self.pairs_of.get_mut(place as usize) {
                    *of = Some(self.pairs.len());
                }
                self.keys[*owner as usize].insert_start(key.as_bytes(), number(self.pairs.len()));
                self.pairs.push(PairsPlan {
                    argument: place,
                    owner: *owner,
                    complex: *complex,
                    is_writable: writes.iter().any(covers),
                    mode: Mode::default(),
                });
            }
        }
    }

    fn column(&mut self, argument: Option<u32>, of: &Attribute, is_written: bool) -> usize {
        let column = self.columns.len();
        self.keys[of.owner as usize].insert(of.key.as_bytes(), number(column));
        let (owner, complex) = (of.owner, of.complex);
        self.columns.push(Column { argument, owner, complex, is_written, mode: Mode::default() });
        column
    }

    fn write(&mut self, field: &Field, projection: &Projection) {
        let place = number(self.writes.len());
        self.writes.push(match field {
            Field::Intrinsic(intrinsic) => Write::Intrinsic(*intrinsic),
            Field::Attribute(Attribute { owner, key, .. }) => {
                self.writable[*owner as usize].insert(key.as_bytes(), place);
                let read = |field: &Field| {
                    matches!(field, Field::Attribute(read) if (read.owner, &read.key) == (*owner, key))
                };
                let read = projection.reads.iter().position(read);
                let is_read = |column: &Column| column.is_written && column.argument.map(|of| of as usize) == read;
                let hint = self.columns.iter().position(is_read);
                Write::Attribute { owner: *owner, key: key.as_bytes().into(), hint }
            }
            Field::Attributes(Attribute { owner, key, .. }) => {
                self.writable[*owner as usize].insert_start(key.as_bytes(), place);
                Write::Attributes { owner: *owner, start: key.as_bytes().into() }
            }
        });
    }

    /// Notes what has to be known of a request.
    fn touch(&mut self, projection: &Projection) {
        let fields = || projection.reads.iter().chain(&projection.writes);
        let of = |owner: Owner| {
            fields().any(|field| {
                matches!(field, Field::Attribute(of) | Field::Attributes(of) if of.owner == owner)
            })
        };
        self.touches_events = of(Owner::Event)
            || fields().any(|field| matches!(field, Field::Intrinsic(of) if of.is_of_events()));
        self.touches_links = of(Owner::Link);
        let per = projection.budgets.iter().filter_map(|budget| budget.per.as_ref());
        let of_spans = per.filter(|per| per.owner == Owner::Span);
        let mut attributes = match self.reads(Intrinsic::SpanAttributeKeys) {
            true => Interest::ALL,
            false => of_spans.fold(Interest::NONE, |all, per| all.with_key(per.key.as_bytes())),
        };
        for field in fields() {
            attributes = match field {
                Field::Attribute(of) if of.owner == Owner::Span => {
                    attributes.with_key(of.key.as_bytes())
                }
                Field::Attributes(of) if of.owner == Owner::Span => {
                    attributes.with_start(of.key.as_bytes())
                }
                _ => attributes,
            };
        }
        self.wants = Wants { attributes, events: self.touches_events, links: self.touches_links };
    }

    /// Whether it reads an intrinsic field.
    pub(crate) const fn reads(&self, intrinsic: Intrinsic) -> bool {
        self.intrinsics & 1 << intrinsic as u8 != 0
    }

    /// How many intrinsic fields it reads.
    pub(crate) const fn intrinsics(&self) -> usize {
        self.intrinsics.count_ones() as usize
    }

    /// Whether events are passed, or may be written.
    pub(crate) const fn touches_events(&self) -> bool {
        self.touches_events
    }

    /// Whether links are passed, or may be written.
    pub(crate) const fn touches_links(&self) -> bool {
        self.touches_links
    }

    /// What has to be noted of a request that it runs over.
    #[must_use]
    pub const fn wants(&self) -> Wants {
        self.wants
    }

    /// Most rows in a batch, of a host that takes so many.
    #[must_use]
    pub const fn rows_max(&self, host: u32) -> u32 {
        match self.rows_max {
            0 => host,
            own if own < host => own,
            _ => host,
        }
    }

    /// Whether a resource is passed whose attributes, texts only, are these: asked by key.
    pub(crate) fn matches<'a>(&self, text: impl Fn(&[u8]) -> Option<&'a [u8]>) -> bool {
        self.rules.iter().all(|Rule { key, texts }| {
            let is_one = |text| texts.binary_search_by(|known| known.as_bytes().cmp(text)).is_ok();
            text(key.as_bytes()).is_some_and(is_one)
        })
    }

    /// Whether every resource is passed.
    pub(crate) const fn matches_all(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether an attribute may be written.
    pub(crate) fn may_write(&self, owner: Owner, key: &[u8]) -> bool {
        self.writable[owner as usize].contains(key)
    }

    /// Whether it may write every attribute whose key begins so.
    pub(crate) fn may_write_all(&self, owner: Owner, start: &[u8]) -> bool {
        let mut found = false;
        self.writable[owner as usize].each_start(start, |_| found = true);
        found
    }
}

/// There are few of them.
#[expect(clippy::cast_possible_truncation, reason = "lists of a projection are short")]
const fn number(place: usize) -> u32 {
    place as u32
}

fn check(projection: &Projection) -> Result<(), Fault> {
    let Projection { reads, writes, match_resource, budgets, .. } = projection;
    at_most("reads", reads.len(), FIELDS_MAX)?;
    at_most("writes", writes.len(), FIELDS_MAX)?;
    at_most("match-resource", match_resource.len(), RULES_MAX)?;
    at_most("budgets", budgets.len(), BUDGETS_MAX)?;
    for (place, field) in reads.iter().enumerate() {
        check_field(&format!("reads[{place}]"), field)?;
    }
    for (place, field) in writes.iter().enumerate() {
        let path = format!("writes[{place}]");
        check_field(&path, field)?;
        if let Field::Intrinsic(intrinsic) = field
            && !intrinsic.is_writable()
        {
            return Err(fault(path, format!("{intrinsic:?} cannot be written")));
        }
    }
    for (place, rule) in match_resource.iter().enumerate() {
        let path = format!("match-resource[{place}]");
        check_key(&path, &rule.key)?;
        at_most(&format!("{path}.any-of"), rule.any_of.len(), TEXTS_MAX)?;
    }
    budgets.iter().enumerate().try_for_each(|(place, budget)| check_budget(place, budget, budgets))
}

fn check_budget(place: usize, budget: &Budget, all: &[Budget]) -> Result<(), Fault> {
    let path = format!("budgets[{place}]");
    if all.iter().take(place).any(|other| other.name == budget.name) {
        return Err(fault(path, format!("there are two budgets named {:?}", budget.name)));
    }
    if let Some(per) = &budget.per {
        check_key(&format!("{path}.per"), &per.key)?;
        if !matches!(per.owner, Owner::Span | Owner::Resource) {
            return Err(fault(format!("{path}.per"), "owner is neither span nor resource"));
        }
    }
    if !WINDOW_MS.contains(&budget.window_ms) {
        let message = format!("{} is not within {WINDOW_MS:?}", budget.window_ms);
        return Err(fault(format!("{path}.window-ms"), message));
    }
    Ok(())
}

fn check_field(path: &str, field: &Field) -> Result<(), Fault> {
    match field {
        Field::Intrinsic(_) => Ok(()),
        Field::Attribute(attribute) => check_key(path, &attribute.key),
        // An empty one is every key.
        Field::Attributes(attribute) if attribute.key.is_empty() => Ok(()),
        Field::Attributes(attribute) => check_key(path, &attribute.key),
    }
}

fn check_key(path: &str, key: &str) -> Result<(), Fault> {
    match key.len() {
        0 => Err(fault(path, "key is empty")),
        1..=KEY_BYTES_MAX => Ok(()),
        length => Err(fault(path, format!("key has {length} bytes, limit is {KEY_BYTES_MAX}"))),
    }
}

fn at_most(path: &str, count: usize, limit: usize) -> Result<(), Fault> {
    if count <= limit {
        return Ok(());
    }
    Err(fault(path, format!("has {count} entries, limit is {limit}")))
}

fn fault(path: impl Into<String>, message: impl Into<String>) -> Fault {
    Fault { path: path.into(), message: message.into() }
}

#[cfg(test)]
mod tests;
