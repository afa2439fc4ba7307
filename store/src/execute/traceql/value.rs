//! Values of spans, and how they compare.

use std::ops::RangeInclusive;

use model::wire::{Reader, Value as Wire};
use traceql::Regex;
use traceql::ast::{Comparison, Static};
use traceql::fold;

/// A value of a span: of an attribute, of an intrinsic, or what was computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A single one. Status and kind are of their own types, durations are in nanoseconds.
    One(Static),
    /// The elements of an array, or those of all events or links of a span. Not empty.
    Many(Vec<Static>),
}

impl Value {
    /// Heap bytes held.
    pub(super) fn heap_bytes(&self) -> usize {
        let text = |value: &Static| match value {
            Static::Text(text) => text.capacity(),
            _ => 0,
        };
        match self {
            Self::One(value) => text(value),
            Self::Many(values) => {
                size_of_val(values.as_slice()) + values.iter().map(text).sum::<usize>()
            }
        }
    }

    /// What values there are, `None` if none.
    pub(super) fn of(mut values: Vec<Static>) -> Option<Self> {
        match values.len() {
            0 => None,
            1 => values.pop().map(Self::One),
            _ => Some(Self::Many(values)),
        }
    }
}

/// An array of more elements is cut for queries.
const ELEMENTS_MAX: usize = 10_000;

/// The values of an encoded OTLP `AnyValue`: one, or the elements of an array that are all texts,
/// all truth values or all numbers. None of maps, bytes and arrays of mixed types: they are stored
/// and not searchable.
pub(super) fn of_any(bytes: &[u8], out: &mut Vec<Static>) {
    let mut found = None;
    let mut reader = Reader::new(bytes);
    while let Ok(Some(field)) = reader.next() {
        found = Some((field.number, field.value));
    }
    let Some((number, value)) = found else { return };
    if let (5, Wire::Bytes(array)) = (number, value) {
        elements(array, out);
    } else {
        out.extend(scalar(number, value));
    }
}

/// A single value of an `AnyValue`, by the number of its field.
fn scalar(number: u32, value: Wire<'_>) -> Option<Static> {
    Some(match (number, value) {
        (1, Wire::Bytes(text)) => Static::Text(String::from_utf8_lossy(text).into_owned()),
        (2, Wire::Varint(bits)) => Static::Bool(bits != 0),
        (3, Wire::Varint(bits)) => Static::Int(bits.cast_signed()),
        (4, Wire::Fixed64(bits)) => Static::Float(f64::from_bits(bits)),
        _ => return None,
    })
}

fn elements(array: &[u8], out: &mut Vec<Static>) {
    let before = out.len();
    let mut reader = Reader::new(array);
    while let Ok(Some(field)) = reader.next() {
        let (1, Wire::Bytes(element)) = (field.number, field.value) else { continue };
        let mut last = None;
        let mut reader = Reader::new(element);
        while let Ok(Some(field)) = reader.next() {
            last = scalar(field.number, field.value);
        }
        let alike = |value: &Static| {
            let first = out.get(before);
            first.is_none_or(|first| {
                first.of() == value.of() || first.of().is_number() && value.of().is_number()
            })
        };
        match last.filter(alike) {
            Some(value) if out.len() - before < ELEMENTS_MAX => out.push(value),
            Some(_) => {}
            None => return out.truncate(before),
        }
    }
}

/// A comparison with a literal, compiled. `!=` and `!~` are kept as what they negate.
#[derive(Clone, Debug)]
pub(super) struct Test {
    kind: TestKind,
    /// Whether it is `!=` or `!~`: true where none of several values is equal.
    pub(super) is_negated: bool,
}

#[derive(Clone, Debug)]
enum TestKind {
    Regex(Regex),
    Compare(Comparison, Static),
    /// Hex digits without leading zeros, in lower case.
    Id(Comparison, String),
}

impl Test {
    /// `None` where a regex does not compile.
    pub(super) fn new(op: Comparison, value: &Static, is_id: bool) -> Option<Self> {
        let is_negated = matches!(op, Comparison::Ne | Comparison::NotMatch);
        let kind = match (op, value) {
            (Comparison::Match | Comparison::NotMatch, Static::Text(pattern)) => {
                TestKind::Regex(Regex::new(pattern).ok()?)
            }
            (Comparison::Match | Comparison::NotMatch, _) => return None,
            (_, Static::Text(id)) if is_id => {
                TestKind::Id(if is_negated { Comparison::Eq } else { op }, hex(id))
            }
            _ => TestKind::Compare(if is_negated { Comparison::Eq } else { op }, value.clone()),
        };
        Some(Self { kind, is_negated })
    }

    /// Whether a single value meets what is not negated; `None` where the types do not fit.
    #[inline]
    pub(super) fn meets(&self, value: &Static) -> Option<bool> {
        match (&self.kind, value) {
            (TestKind::Regex(_) | TestKind::Id(..), Static::Text(text)) => self.meets_text(text),
            (TestKind::Compare(op, with), _) => compare(*op, value, with),
            _ => None,
        }
    }

    /// The same of a text.
    #[inline]
    pub(super) fn meets_text(&self, text: &str) -> Option<bool> {
        match &self.kind {
            TestKind::Regex(regex) => Some(regex.is_match(text)),
            TestKind::Compare(op, Static::Text(with)) => {
                Some(by_order(*op, text.cmp(with.as_str())))
            }
            TestKind::Compare(..) => None,
            TestKind::Id(op, id) => Some(by_order(*op, compare_ids(text, id))),
        }
    }

    /// The durations that meet it, where it compares with one: nobody needs a value each.
    pub(super) fn of_nanos(&self) -> Option<RangeInclusive<i64>> {
        match &self.kind {
            TestKind::Compare(op, Static::Duration(nanos)) => Some(range(*op, *nanos)),
            _ => None,
        }
    }

    /// The integers that meet it, where it compares with one.
    pub(super) fn of_int(&self) -> Option<RangeInclusive<i64>> {
        match &self.kind {
            TestKind::Compare(op, Static::Int(number)) => Some(range(*op, *number)),
            _ => None,
        }
    }

    /// The only texts that can meet it, where they are known.
    pub(super) fn texts(&self) -> Option<Vec<&str>> {
        match &self.kind {
            _ if self.is_negated => None,
            TestKind::Compare(Comparison::Eq, Static::Text(text)) => Some(vec![text]),
            TestKind::Regex(regex) => {
                regex.strings().map(|texts| texts.iter().map(String::as_str).collect())
            }
            _ => None,
        }
    }

    /// Whether only texts can meet it.
    pub(super) fn is_text(&self) -> bool {
        matches!(
            &self.kind,
            TestKind::Regex(_) | TestKind::Compare(_, Static::Text(_)) | TestKind::Id(..)
        )
    }
}

/// Whether a comparison of two values holds; `None` where their types do not fit it.
pub(super) fn compare(op: Comparison, lhs: &Static, rhs: &Static) -> Option<bool> {
    if let Some(ordering) = fold::order(lhs, rhs) {
        return Some(by_order(op, ordering));
    }
    let is_equal = match (lhs, rhs) {
        (Static::Bool(a), Static::Bool(b)) => a == b,
        (Static::Status(a), Static::Status(b)) => a == b,
        (Static::Kind(a), Static::Kind(b)) => a == b,
        _ => return None,
    };
    match op {
        Comparison::Eq => Some(is_equal),
        Comparison::Ne => Some(!is_equal),
        _ => None,
    }
}

pub(super) fn by_order(op: Comparison, ordering: std::cmp::Ordering) -> bool {
    match op {
        Comparison::Eq => ordering.is_eq(),
        Comparison::Ne => ordering.is_ne(),
        Comparison::Lt => ordering.is_lt(),
        Comparison::Le => ordering.is_le(),
        Comparison::Gt => ordering.is_gt(),
        Comparison::Ge => ordering.is_ge(),
        Comparison::Match | Comparison::NotMatch => false,
    }
}

/// The numbers that compare so with one.
fn range(op: Comparison, number: i64) -> RangeInclusive<i64> {
    const NONE: RangeInclusive<i64> = RangeInclusive::new(1, 0);
    match op {
        Comparison::Eq => number..=number,
        Comparison::Lt => number.checked_sub(1).map_or(NONE, |last| i64::MIN..=last),
        Comparison::Le => i64::MIN..=number,
        Comparison::Gt => number.checked_add(1).map_or(NONE, |first| first..=i64::MAX),
        Comparison::Ge => number..=i64::MAX,
        // What is negated is kept as what it negates.
        Comparison::Ne | Comparison::Match | Comparison::NotMatch => NONE,
    }
}

/// An id as a number: lower case, no leading zeros.
fn hex(id: &str) -> String {
    id.trim_start_matches('0').to_ascii_lowercase()
}

/// How two ids are ordered, as numbers.
pub(super) fn order_ids(a: &str, b: &str) -> std::cmp::Ordering {
    compare_ids(a, &hex(b))
}

/// The same; the second is in the form that [`hex`] gives.
fn compare_ids(text: &str, id: &str) -> std::cmp::Ordering {
    let text = hex(text);
    text.len().cmp(&id.len()).then_with(|| text.as_str().cmp(id))
}

/// Whether something holds for several values: for any of them, or, negated, for none. `None`
/// where it is of a type that fits for none.
pub(super) fn any_of(met: impl Iterator<Item = Option<bool>>, is_negated: bool) -> Option<bool> {
    let mut fits = false;
    for met in met {
        match met {
            Some(true) => return Some(!is_negated),
            Some(false) => fits = true,
            None => {}
        }
    }
    fits.then_some(is_negated)
}
