//! Arithmetic on literals, as an engine does it on values: one tower of integers, durations and
//! floats.

use std::cmp::Ordering;

use crate::ast::{Arithmetic, Comparison, Static};

/// The value of an operator on two literals; an engine computes with values of spans in the same
/// way.
///
/// Integers stay integers (`3 / 2` is 1), unless the result does not fit. A duration with an integer
/// or a duration is a duration, unless a division leaves a part of a nanosecond. Whatever has a float
/// is a float: of nanoseconds where the other is a duration. Nothing where an operand is no number, an integer is divided by zero, or the result is
/// NaN.
#[must_use]
pub fn arithmetic(op: Arithmetic, lhs: &Static, rhs: &Static) -> Option<Static> {
    let (whole, to_static): (_, fn(i64) -> Static) = match (lhs, rhs) {
        (Static::Int(a), Static::Int(b)) => (Some((*a, *b)), Static::Int),
        (Static::Duration(a), Static::Duration(b) | Static::Int(b))
        | (Static::Int(a), Static::Duration(b)) => (Some((*a, *b)), Static::Duration),
        _ => (None, Static::Int),
    };
    if let Some((a, b)) = whole {
        if b == 0 && matches!(op, Arithmetic::Div | Arithmetic::Mod) {
            return None;
        }
        let are_integers = matches!((lhs, rhs), (Static::Int(_), Static::Int(_)));
        let is_exact = are_integers || op != Arithmetic::Div || a.checked_rem(b) == Some(0);
        if let Some(value) = integers(op, a, b).filter(|_| is_exact) {
            return Some(to_static(value));
        }
    }
    let value = floats(op, lhs.as_f64()?, rhs.as_f64()?);
    (!value.is_nan()).then_some(Static::Float(value))
}

/// An operator on two integers. Nothing where it divides by zero or the result is too large.
#[must_use]
pub fn integers(op: Arithmetic, a: i64, b: i64) -> Option<i64> {
    match op {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Sub => a.checked_sub(b),
        Arithmetic::Mul => a.checked_mul(b),
        Arithmetic::Div => a.checked_div(b),
        Arithmetic::Mod => a.checked_rem(b),
        Arithmetic::Pow => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
    }
}

/// An operator on two floats, as IEEE 754 has it.
#[must_use]
pub fn floats(op: Arithmetic, a: f64, b: f64) -> f64 {
    match op {
        Arithmetic::Add => a + b,
        Arithmetic::Sub => a - b,
        Arithmetic::Mul => a * b,
        Arithmetic::Div => a / b,
        Arithmetic::Mod => a % b,
        Arithmetic::Pow => a.powf(b),
    }
}

/// Whether a comparison of two literals holds, as an engine compares values of spans.
///
/// Numbers compare by what they are, exactly, whatever their types; strings by their bytes. Of other
/// types, and of different ones, nothing holds but `!=` between two values of the same type. `nil`
/// compares as false with everything, and so do regex operators here.
#[must_use]
pub fn compare(op: Comparison, lhs: &Static, rhs: &Static) -> bool {
    let ordering = order(lhs, rhs);
    let is_equal = match (lhs, rhs) {
        (Static::Nil, _) | (_, Static::Nil) => return false,
        (Static::Bool(a), Static::Bool(b)) => Some(a == b),
        (Static::Status(a), Static::Status(b)) => Some(a == b),
        (Static::Kind(a), Static::Kind(b)) => Some(a == b),
        _ => ordering.map(Ordering::is_eq),
    };
    match op {
        Comparison::Eq => is_equal == Some(true),
        Comparison::Ne => is_equal == Some(false),
        Comparison::Lt => ordering.is_some_and(Ordering::is_lt),
        Comparison::Le => ordering.is_some_and(Ordering::is_le),
        Comparison::Gt => ordering.is_some_and(Ordering::is_gt),
        Comparison::Ge => ordering.is_some_and(Ordering::is_ge),
        Comparison::Match | Comparison::NotMatch => false,
    }
}

/// How two numbers or two strings are ordered. Nothing for other values, and for a string with a
/// number.
#[must_use]
pub fn order(lhs: &Static, rhs: &Static) -> Option<Ordering> {
    match (lhs, rhs) {
        (Static::Text(a), Static::Text(b)) => Some(a.cmp(b)),
        (Static::Int(a) | Static::Duration(a), Static::Int(b) | Static::Duration(b)) => {
            Some(a.cmp(b))
        }
        (Static::Float(a), Static::Float(b)) => a.partial_cmp(b),
        (Static::Int(a) | Static::Duration(a), Static::Float(b)) => order_mixed(*a, *b),
        (Static::Float(a), Static::Int(b) | Static::Duration(b)) => {
            order_mixed(*b, *a).map(Ordering::reverse)
        }
        _ => None,
    }
}

/// How an integer and a float are ordered, exactly: beyond 2⁵³ an integer is not rounded.
#[must_use]
pub fn order_mixed(whole: i64, float: f64) -> Option<Ordering> {
    /// 2⁶³, the first float above all integers; its negative is the smallest integer.
    const END: f64 = 9_223_372_036_854_775_808.0;
    if float.is_nan() {
        return None;
    }
    if float >= END {
        return Some(Ordering::Less);
    }
    if float < -END {
        return Some(Ordering::Greater);
    }
    #[expect(clippy::cast_possible_truncation, reason = "cut to an integer that fits: see above")]
    let cut = float.trunc() as i64;
    let fraction = || 0.0f64.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal);
    Some(whole.cmp(&cut).then_with(fraction))
}
