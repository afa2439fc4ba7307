//! What operators bind how tightly, and what they are in the tree.

use crate::ast::{Arithmetic, Comparison, Keep, Relation};
use crate::lexer::Op;

/// `&&`, `||`
pub(super) const LOGIC: u8 = 1;
/// Comparisons and structural operators.
pub(super) const COMPARE: u8 = 2;
/// `+`, `-`
pub(super) const SUM: u8 = 3;
/// What `!` takes: all that binds tighter.
pub(super) const NOT: u8 = 5;
/// `*`, `/`, `%`
pub(super) const PRODUCT: u8 = 5;
/// `^`
pub(super) const POWER: u8 = 6;

/// Which spans a structural operator relates how.
pub(super) const fn structural(op: Op) -> Option<(Relation, Keep)> {
    Some(match op {
        Op::Gt => (Relation::Child, Keep::Right),
        Op::Lt => (Relation::Parent, Keep::Right),
        Op::Below => (Relation::Descendant, Keep::Right),
        Op::Above => (Relation::Ancestor, Keep::Right),
        Op::Tilde => (Relation::Sibling, Keep::Right),
        Op::NotGt => (Relation::Child, Keep::Unmatched),
        Op::NotLt => (Relation::Parent, Keep::Unmatched),
        Op::NotBelow => (Relation::Descendant, Keep::Unmatched),
        Op::NotAbove => (Relation::Ancestor, Keep::Unmatched),
        Op::NotTilde => (Relation::Sibling, Keep::Unmatched),
        Op::BothGt => (Relation::Child, Keep::Both),
        Op::BothLt => (Relation::Parent, Keep::Both),
        Op::BothBelow => (Relation::Descendant, Keep::Both),
        Op::BothAbove => (Relation::Ancestor, Keep::Both),
        Op::BothTilde => (Relation::Sibling, Keep::Both),
        _ => return None,
    })
}

/// The comparison between two values.
pub(super) const fn comparison(op: Op) -> Option<Comparison> {
    Some(match op {
        Op::Eq => Comparison::Eq,
        Op::Ne => Comparison::Ne,
        Op::Lt => Comparison::Lt,
        Op::Le => Comparison::Le,
        Op::Gt => Comparison::Gt,
        Op::Ge => Comparison::Ge,
        Op::Match => Comparison::Match,
        Op::NotTilde => Comparison::NotMatch,
        _ => return None,
    })
}

/// The operator on two numbers, and how tightly it binds.
pub(super) const fn arithmetic(op: Op) -> Option<(Arithmetic, u8)> {
    Some(match op {
        Op::Plus => (Arithmetic::Add, SUM),
        Op::Minus => (Arithmetic::Sub, SUM),
        Op::Star => (Arithmetic::Mul, PRODUCT),
        Op::Slash => (Arithmetic::Div, PRODUCT),
        Op::Percent => (Arithmetic::Mod, PRODUCT),
        Op::Caret => (Arithmetic::Pow, POWER),
        _ => return None,
    })
}

/// How tightly an operator between two operands binds; nothing for those that are none.
pub(super) const fn binding(op: Op) -> Option<u8> {
    match op {
        Op::And | Op::Or => Some(LOGIC),
        _ => match arithmetic(op) {
            Some((_, level)) => Some(level),
            None if comparison(op).is_some() || structural(op).is_some() => Some(COMPARE),
            None => None,
        },
    }
}

/// The level that the right operand has to have.
pub(super) const fn right_of(level: u8) -> u8 {
    if level == POWER { POWER } else { level + 1 }
}

/// As it is written.
pub(super) fn symbol(op: Op) -> &'static str {
    crate::lexer::symbol_of(op)
}
