//! Expressions over one span, as text.

use std::fmt::{self, Display, Formatter};

use super::{ATOM, COMPARE, LOGIC, chain, wrapped};
use crate::ast::{
    Arithmetic, Field, FieldExpr, FieldKind, INTRINSICS, Intrinsic, Key, Scope, Whose,
};
use crate::lexer::{ends_name, quoted_name};

/// `+`, `-`
const SUM: u8 = 3;
/// `!`
const NOT: u8 = 4;
/// `*`, `/`, `%`
const PRODUCT: u8 = 5;
/// `^`
const POWER: u8 = 6;
/// `-` in front
const SIGN: u8 = 7;

/// How tightly an operator binds, and its left and its right operand have to.
pub(super) const fn arithmetic_level(op: Arithmetic) -> (u8, u8, u8) {
    match op {
        Arithmetic::Add | Arithmetic::Sub => (SUM, SUM, SUM + 1),
        Arithmetic::Mul | Arithmetic::Div | Arithmetic::Mod => (PRODUCT, PRODUCT, PRODUCT + 1),
        Arithmetic::Pow => (POWER, POWER + 1, POWER),
    }
}

impl FieldExpr {
    const fn level(&self) -> u8 {
        self.kind.level()
    }
}

impl FieldKind {
    const fn level(&self) -> u8 {
        match self {
            Self::All(_) | Self::Any(_) => LOGIC,
            Self::Compare { .. } => COMPARE,
            Self::Arithmetic { op, .. } => arithmetic_level(*op).0,
            Self::Not(_) => NOT,
            Self::Negate(_) => SIGN,
            Self::Static(_) | Self::Field(_) => ATOM,
        }
    }
}

impl Display for FieldExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)
    }
}

impl Display for FieldKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(value) => write!(f, "{value}"),
            Self::Field(field) => write!(f, "{field}"),
            Self::Negate(of) => {
                // `-1` is a literal.
                let is_number = matches!(&of.kind, Self::Static(value) if value.of().is_number());
                f.write_str("-")?;
                wrapped(f, of, if is_number { 0 } else { of.level() }, SIGN)
            }
            Self::Not(of) => {
                f.write_str("!")?;
                wrapped(f, of, of.level(), NOT + 1)
            }
            Self::Arithmetic { op, lhs, rhs } => {
                let (_, left, right) = arithmetic_level(*op);
                wrapped(f, lhs, lhs.level(), left)?;
                write!(f, " {} ", op.symbol())?;
                wrapped(f, rhs, rhs.level(), right)
            }
            Self::Compare { op, lhs, rhs } => {
                wrapped(f, lhs, lhs.level(), COMPARE)?;
                write!(f, " {} ", op.symbol())?;
                wrapped(f, rhs, rhs.level(), COMPARE + 1)
            }
            Self::All(operands) => chain(f, operands, " && ", FieldExpr::level),
            Self::Any(operands) => chain(f, operands, " || ", FieldExpr::level),
        }
    }
}

impl Display for Field {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (&self.key, self.whose) {
            (Key::Intrinsic(intrinsic), Whose::Own) => f.write_str(intrinsic.name()),
            (Key::Intrinsic(intrinsic), Whose::Parent) => {
                let row = INTRINSICS.iter().find(|row| row.intrinsic == *intrinsic);
                let word = row.and_then(|row| row.of_parent).unwrap_or_else(|| intrinsic.name());
                write!(f, "parent.{word}")
            }
            (Key::Attribute { scope, name }, whose) => {
                if whose == Whose::Parent {
                    f.write_str("parent.")?;
                }
                f.write_str(scope.name())?;
                let dot = whose == Whose::Own || *scope != Scope::Unscoped;
                f.write_str(if dot { "." } else { "" })?;
                if needs_quotes(name, *scope, whose) {
                    f.write_str(&quoted_name(name))
                } else {
                    f.write_str(name)
                }
            }
        }
    }
}

/// Whether a name would be read as something else without quotes.
fn needs_quotes(name: &str, scope: Scope, whose: Whose) -> bool {
    let begins = |known: &str| name.strip_prefix(known).is_some_and(|rest| rest.starts_with('.'));
    let is_number = scope == Scope::Unscoped && name.starts_with(|c: char| c.is_ascii_digit());
    let is_other = whose == Whose::Parent
        && scope == Scope::Unscoped
        && (Intrinsic::of_parent(name).is_some()
            || Scope::NAMED.iter().any(|(_, known)| begins(known)));
    let odd = |c: char| ends_name(c) || c == '"' || c == '\\' || c == '`' || c.is_control();
    name.is_empty() || is_number || is_other || name.contains(odd)
}
