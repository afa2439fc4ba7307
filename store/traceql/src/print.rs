//! From a tree to text: parsed, it is the same tree.
//!
//! Spaces and parentheses are as few as that takes, but one kind: `&&` and `||` are never mixed
//! without parentheses. The language lets them bind alike, which no reader expects.

mod field;
mod metrics;
mod value;

use std::fmt::{self, Display, Formatter};

use crate::ast::{
    Aggregate, Pipeline, Query, Root, ScalarExpr, ScalarFilter, SpansetExpr, SpansetKind, Stage,
    With,
};
use field::arithmetic_level;

/// `&&`, `||`
const LOGIC: u8 = 1;
/// Comparisons and structural operators.
const COMPARE: u8 = 2;
/// Whatever needs no parentheses anywhere.
const ATOM: u8 = 8;

/// Writes a part in parentheses where it binds more loosely than its place asks for.
fn wrapped(f: &mut Formatter<'_>, part: &dyn Display, level: u8, least: u8) -> fmt::Result {
    if level < least { write!(f, "({part})") } else { write!(f, "{part}") }
}

/// Writes parts with a text between them.
fn joined<T: Display>(f: &mut Formatter<'_>, parts: &[T], between: &str) -> fmt::Result {
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            f.write_str(between)?;
        }
        write!(f, "{part}")?;
    }
    Ok(())
}

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.root {
            Root::Spans(pipeline) => write!(f, "{pipeline}")?,
            Root::Metrics(metrics) => write!(f, "{metrics}")?,
        }
        if self.with.is_empty() {
            return Ok(());
        }
        f.write_str(" with(")?;
        joined(f, &self.with, ", ")?;
        f.write_str(")")
    }
}

impl Display for With {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

impl Display for Pipeline {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        joined(f, &self.stages, " | ")
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spanset(spanset) => write!(f, "{spanset}"),
            Self::Filter(filter) => write!(f, "{filter}"),
            Self::By(expr) => write!(f, "by({expr})"),
            Self::Coalesce(_) => f.write_str("coalesce()"),
            Self::Select(fields) => {
                f.write_str("select(")?;
                joined(f, fields, ", ")?;
                f.write_str(")")
            }
        }
    }
}

impl SpansetExpr {
    const fn level(&self) -> u8 {
        match self.kind {
            SpansetKind::All(_) | SpansetKind::Any(_) => LOGIC,
            SpansetKind::Structural { .. } => COMPARE,
            SpansetKind::Filter(_) | SpansetKind::Pipeline(_) => ATOM,
        }
    }
}

impl Display for SpansetExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            SpansetKind::Filter(None) => f.write_str("{ }"),
            SpansetKind::Filter(Some(expr)) => write!(f, "{{ {expr} }}"),
            SpansetKind::All(operands) => chain(f, operands, " && ", Self::level),
            SpansetKind::Any(operands) => chain(f, operands, " || ", Self::level),
            SpansetKind::Structural { relation, keep, lhs, rhs } => {
                wrapped(f, lhs, lhs.level(), COMPARE)?;
                write!(f, " {}{} ", keep.prefix(), relation.symbol())?;
                wrapped(f, rhs, rhs.level(), COMPARE + 1)
            }
            SpansetKind::Pipeline(pipeline) => write!(f, "({pipeline})"),
        }
    }
}

/// Operands of `&&` or `||`.
fn chain<T: Display>(
    f: &mut Formatter<'_>,
    operands: &[T],
    between: &str,
    level: impl Fn(&T) -> u8,
) -> fmt::Result {
    for (at, operand) in operands.iter().enumerate() {
        if at > 0 {
            f.write_str(between)?;
        }
        wrapped(f, operand, level(operand), COMPARE)?;
    }
    Ok(())
}

impl Display for ScalarFilter {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.lhs, self.op.symbol(), self.rhs)
    }
}

impl ScalarExpr {
    const fn level(&self) -> u8 {
        match self {
            Self::Arithmetic { op, .. } => arithmetic_level(*op).0,
            _ => ATOM,
        }
    }
}

impl Display for ScalarExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(value, _) => write!(f, "{value}"),
            Self::Aggregate(aggregate) => write!(f, "{aggregate}"),
            Self::Pipeline { pipeline, aggregate, .. } => write!(f, "({pipeline} | {aggregate})"),
            Self::Arithmetic { op, lhs, rhs, .. } => {
                let (_, left, right) = arithmetic_level(*op);
                wrapped(f, lhs, lhs.level(), left)?;
                write!(f, " {} ", op.symbol())?;
                wrapped(f, rhs, rhs.level(), right)
            }
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.of {
            Some(of) => write!(f, "{}({of})", self.kind.name()),
            None => write!(f, "{}()", self.kind.name()),
        }
    }
}
