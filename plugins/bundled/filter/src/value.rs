//! Values of spans as TraceQL has them, and how they compare: as in queries, so that a filter drops what a search by
//! the same condition finds.

use std::cmp::Ordering;

use traceql::ast::{Comparison, Static};
use traceql::{Regex, fold};
use traceweir_plugin::{Any, Value};

/// The value of an attribute that is no array; nothing where it has none that TraceQL knows.
pub(crate) fn one_of(value: Value<'_>) -> Option<Static> {
    Some(match value {
        Value::Text(text) => Static::Text(text.to_owned()),
        Value::Int(int) => Static::Int(int),
        Value::Double(double) => Static::Float(double),
        Value::Bool(bool) => Static::Bool(bool),
        Value::Absent | Value::Empty | Value::Bytes(_) | Value::Array(_) | Value::Map(_) => {
            return None;
        }
    })
}

/// The values of an attribute: one, or the elements of an array that are all of one type.
pub(crate) fn of_value(value: Value<'_>, out: &mut Vec<Static>) {
    let Value::Array(blob) = value else {
        out.extend(one_of(value));
        return;
    };
    let Ok(Any::Array(elements)) = Any::decode(blob) else { return };
    let scalars: Option<Vec<Static>> = elements.into_iter().map(scalar).collect();
    let scalars = scalars.unwrap_or_default();
    let is_like = |first: &Static, other: &Static| {
        first.of() == other.of() || (first.of().is_number() && other.of().is_number())
    };
    if let Some(first) = scalars.first()
        && scalars.iter().all(|other| is_like(first, other))
    {
        out.extend(scalars);
    }
}

fn scalar(value: Any) -> Option<Static> {
    Some(match value {
        Any::Text(text) => Static::Text(text),
        Any::Int(int) => Static::Int(int),
        Any::Double(double) => Static::Float(double),
        Any::Bool(bool) => Static::Bool(bool),
        Any::Empty | Any::Bytes(_) | Any::Array(_) | Any::Map(_) => return None,
    })
}

/// A comparison with a literal. `!=` and `!~` are kept as what they negate.
#[derive(Debug)]
pub(crate) struct Test {
    kind: Kind,
    /// True where none of several values meets it.
    pub(crate) is_negated: bool,
}

#[derive(Debug)]
enum Kind {
    Regex(Box<Regex>),
    Compare(Comparison, Static),
    /// Hexadecimal digits without leading zeros, in small letters.
    Id(Comparison, String),
}

impl Test {
    /// `None` where the right side is no regex.
    pub(crate) fn new(op: Comparison, value: &Static, is_id: bool) -> Option<Self> {
        let is_negated = matches!(op, Comparison::Ne | Comparison::NotMatch);
        let op = if op == Comparison::Ne { Comparison::Eq } else { op };
        let kind = match (op, value) {
            (Comparison::Match | Comparison::NotMatch, Static::Text(pattern)) => {
                Kind::Regex(Box::new(Regex::new(pattern).ok()?))
            }
            (Comparison::Match | Comparison::NotMatch, _) => return None,
            (_, Static::Text(id)) if is_id => Kind::Id(op, hex(id)),
            _ => Kind::Compare(op, value.clone()),
        };
        Some(Self { kind, is_negated })
    }

    /// Whether a value meets what is not negated; `None` where the types do not fit.
    pub(crate) fn meets(&self, value: &Static) -> Option<bool> {
        match (&self.kind, value) {
            (_, Static::Text(text)) => self.meets_text(text),
            (Kind::Compare(op, with), _) => compare(*op, value, with),
            _ => None,
        }
    }

    /// The same of a text.
    pub(crate) fn meets_text(&self, text: &str) -> Option<bool> {
        match &self.kind {
            Kind::Regex(regex) => Some(regex.is_match(text)),
            Kind::Compare(op, Static::Text(with)) => Some(by_order(*op, text.cmp(with))),
            Kind::Compare(..) => None,
            Kind::Id(op, id) => Some(by_order(*op, order_ids(text, id))),
        }
    }

    /// Whether several values meet it: any of them; or none, where it is negated.
    pub(crate) fn meet(&self, met: impl IntoIterator<Item = Option<bool>>) -> Option<bool> {
        let mut fits = None;
        for met in met {
            match met {
                Some(true) => return Some(!self.is_negated),
                Some(false) => fits = Some(self.is_negated),
                None => {}
            }
        }
        fits
    }
}

/// Whether a comparison of two values holds; `None` where their types do not fit it.
pub(crate) fn compare(op: Comparison, lhs: &Static, rhs: &Static) -> Option<bool> {
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

fn by_order(op: Comparison, ordering: Ordering) -> bool {
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

/// An id as a number: small letters, no leading zeros.
fn hex(id: &str) -> String {
    id.trim_start_matches('0').to_ascii_lowercase()
}

/// How two ids are ordered, as numbers; the second is as [`hex`] gives it.
fn order_ids(text: &str, id: &str) -> Ordering {
    let text = hex(text);
    text.len().cmp(&id.len()).then_with(|| text.as_str().cmp(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_values_meet_a_test_if_any_does() {
        let values = [Some(false), None, Some(true)];
        let test = |op| Test::new(op, &Static::Int(1), false).unwrap();
        assert_eq!(test(Comparison::Eq).meet(values), Some(true));
        assert_eq!(test(Comparison::Ne).meet(values), Some(false));
        assert_eq!(test(Comparison::Eq).meet([None]), None);
        assert_eq!(test(Comparison::Ne).meet([Some(false)]), Some(true));
        assert_eq!(test(Comparison::Eq).meet([]), None);
    }

    #[test]
    fn ids_are_numbers() {
        let test = Test::new(Comparison::Eq, &Static::Text("00AB".to_owned()), true).unwrap();
        assert_eq!(test.meets_text("00000000000000ab"), Some(true));
        assert_eq!(test.meets_text("00000000000000ac"), Some(false));
    }
}
