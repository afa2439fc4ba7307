//! What a plugin may still keep: the values that have a budget of their own, and which of them each row counts for.

use traceweir_plugin::codes::{NONE, batch as kind, domain, layout, tag};

use super::Batch;
use super::sections::Sections;
use super::texts::{Texts, put_u32s};
use super::values::Values;
use crate::projection::{Owner, Plan};

/// Who counts what was kept.
pub trait Budgets {
    /// Rows that may be kept in the stretch of time that is now, and those that were: of the budget with this place in
    /// the projection, for this value of what it goes by; empty where it goes by nothing.
    fn budget(&self, place: usize, key: &str) -> (u64, u64);
}

/// Nothing is counted, and nothing was decided before.
#[derive(Clone, Copy, Debug)]
pub struct Unlimited;

impl Budgets for Unlimited {
    fn budget(&self, _: usize, _: &str) -> (u64, u64) {
        (u64::MAX, 0)
    }
}

/// How many sections each budget has.
pub(super) const SECTIONS: usize = 4;

/// Longer values have a budget together with others that begin alike.
const KEY_BYTES_MAX: usize = 256;

/// The values of one budget.
#[derive(Debug, Default)]
pub(crate) struct Keyed {
    keys: Texts,
    /// Which of them each row counts for, or each trace.
    pub(crate) index: Vec<u32>,
}

impl Keyed {
    /// How many values there are.
    pub(crate) const fn values(&self) -> usize {
        self.keys.values()
    }

    /// A value.
    pub(crate) fn key(&self, value: usize) -> &str {
        let text = u32::try_from(value).map(|value| self.keys.value(value));
        str::from_utf8(text.unwrap_or_default()).unwrap_or_default()
    }

    /// The number of what an owner has in a column.
    fn intern(&mut self, values: &Values, owner: usize) -> u32 {
        match values.tags.get(owner) {
            Some(&tag::STRING) => self.keys.intern(start(values.texts.get(owner))),
            Some(&tag::INT) => self.keys.intern(values.int(owner).to_string().as_bytes()),
            Some(&tag::BOOL) if values.int(owner) == 0 => self.keys.intern(b"false"),
            Some(&tag::BOOL) => self.keys.intern(b"true"),
            _ => NONE,
        }
    }
}

/// The beginning of a text, without a character that would be broken.
fn start(text: &[u8]) -> &[u8] {
    let mut end = KEY_BYTES_MAX.min(text.len());
    while text.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

impl Batch {
    /// Finds what each row counts for.
    pub(super) fn fill_budgets(&mut self, plan: &Plan) {
        let Self { budgets, shape, columns, numbers, seed, .. } = self;
        budgets.resize_with(plan.budgets.len(), Keyed::default);
        for (budget, of) in budgets.iter_mut().zip(&plan.budgets) {
            budget.keys.begin(false, *seed);
            budget.index.clear();
            let counted = if shape.level.is_some() { shape.traces.len() } else { shape.rows.len() };
            let Some((owner, column)) = of.per else {
                budget.index.resize(counted, budget.keys.intern(b""));
                continue;
            };
            numbers.clear();
            if let Some(column) = columns.get(column) {
                let number = |owner| budget.intern(&column.values, owner);
                numbers.extend((0..shape.count(owner)).map(number));
            }
            // A trace counts for what its root counts for.
            let row = |counted: usize| match shape.level {
                Some(_) => shape.roots.get(counted).map_or(0, |row| *row as usize),
                None => counted,
            };
            let entry = |row: usize| match owner {
                Owner::Span => row,
                _ => shape.resource_of.get(row).map_or(0, |resource| *resource as usize),
            };
            let number = |counted| numbers.get(entry(row(counted))).copied().unwrap_or(NONE);
            budget.index.extend((0..counted).map(number));
        }
    }

    pub(super) fn put_budgets(&self, out: &mut Sections<'_>, budgets: &dyn Budgets) {
        let counted = if self.shape.level.is_some() { domain::TRACES } else { domain::SPANS };
        for (argument, keyed) in (0..).zip(&self.budgets) {
            let left = |value: usize| budgets.budget(argument as usize, keyed.key(value));
            out.texts((kind::BUDGET_KEY, domain::BUDGETS, argument), &keyed.keys);
            let (mut limits, mut used) = (Vec::new(), Vec::new());
            for (limit, so_far) in (0..keyed.values()).map(left) {
                limits.extend_from_slice(&limit.to_le_bytes());
                used.extend_from_slice(&so_far.to_le_bytes());
            }
            for (kind, values) in [(kind::BUDGET_LIMIT, limits), (kind::BUDGET_USED, used)] {
                let head = (kind, layout::U64, domain::BUDGETS, argument);
                out.section(head, |out| out.extend_from_slice(&values));
            }
            let head = (kind::BUDGET_INDEX, layout::U32, counted, argument);
            out.section(head, |out| put_u32s(out, &keyed.index));
        }
    }
}
