//! Arithmetic on literals, as an engine does it on values: one tower of integers, durations and
//! floats.

use crate::ast::{Arithmetic, Static};

/// The value of an operator on two literals; an engine computes with values of spans in the same
/// way.
///
/// Integers stay integers (`3 / 2` is 1), unless the result does not fit. A duration with an integer
/// or a duration is a duration. Whatever has a float is a float: of nanoseconds where the other is a
/// duration. Nothing where an operand is no number, an integer is divided by zero, or the result is
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
        if let Some(value) = integers(op, a, b) {
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
