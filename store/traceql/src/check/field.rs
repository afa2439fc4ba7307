//! The types of expressions over one span.

use super::{Check, is_always};
use crate::ast::{Comparison, FieldExpr, FieldKind, Intrinsic, Static, Type};
use crate::error::Fault;
use crate::limit::REGEXES_MEMORY_MAX;
use crate::{Regex, parser};

impl Check {
    /// Refuses what is neither true nor false.
    pub(crate) fn condition(&mut self, expr: &FieldExpr) -> Result<(), Fault> {
        match self.type_of(expr)? {
            Type::Any | Type::Bool => Ok(()),
            found => Err(no_condition(expr, found, None)),
        }
    }

    /// The type of an expression.
    pub(super) fn type_of(&mut self, expr: &FieldExpr) -> Result<Type, Fault> {
        match &expr.kind {
            FieldKind::Static(value) => Ok(value.of()),
            FieldKind::Field(field) => Ok(field.of()),
            FieldKind::Negate(of) => self.number(of),
            FieldKind::Not(of) => {
                self.condition(of)?;
                Ok(Type::Bool)
            }
            FieldKind::Arithmetic { lhs, rhs, .. } => {
                let (lhs, rhs) = (self.number(lhs)?, self.number(rhs)?);
                Ok(sum_of(lhs, rhs))
            }
            FieldKind::Compare { op, lhs, rhs } => {
                self.comparison(*op, lhs, rhs)?;
                Ok(Type::Bool)
            }
            FieldKind::All(operands) | FieldKind::Any(operands) => {
                let mut before = None;
                for operand in operands {
                    match self.type_of(operand)? {
                        Type::Any | Type::Bool => before = Some(operand),
                        found => return Err(no_condition(operand, found, before)),
                    }
                }
                Ok(Type::Bool)
            }
        }
    }

    fn number(&mut self, expr: &FieldExpr) -> Result<Type, Fault> {
        let of = self.type_of(expr)?;
        if of == Type::Any || of.is_number() {
            return Ok(of);
        }
        let fault = Fault::meaning(expr.place, "a number").instead(of.name());
        Err(fault)
    }

    fn comparison(
        &mut self,
        op: Comparison,
        lhs: &FieldExpr,
        rhs: &FieldExpr,
    ) -> Result<(), Fault> {
        let (left, right) = (self.type_of(lhs)?, self.type_of(rhs)?);
        if op.is_regex() {
            return self.regex_match((left, lhs), (right, rhs));
        }
        if left == Type::Nil || right == Type::Nil {
            return nil(op, lhs, rhs);
        }
        for (of, expr) in [(left, lhs), (right, rhs)] {
            if of == Type::Span {
                return Err(Fault::meaning(expr.place, "`nil` on the other side of it"));
            }
        }
        let alike = left == Type::Any
            || right == Type::Any
            || left == right
            || (left.is_number() && right.is_number());
        if !alike {
            return Err(mismatch(left, lhs, right, rhs));
        }
        let ordered = |of: Type| matches!(of, Type::Any | Type::Text) || of.is_number();
        let is_equality = matches!(op, Comparison::Eq | Comparison::Ne);
        if is_equality || (ordered(left) && ordered(right)) {
            return Ok(());
        }
        let of = if ordered(left) { right } else { left };
        let fault = Fault::meaning(lhs.place.to(rhs.place), "`=` or `!=`");
        Err(fault.instead(format!("`{}` with {}", op.symbol(), of.name())))
    }

    /// A regex is a literal that compiles, or a string that the span itself has.
    fn regex_match(
        &mut self,
        (of, lhs): (Type, &FieldExpr),
        (pattern_of, rhs): (Type, &FieldExpr),
    ) -> Result<(), Fault> {
        let is_text = |of| matches!(of, Type::Any | Type::Text);
        if !is_text(of) {
            return Err(Fault::meaning(lhs.place, "a string before a regex").instead(of.name()));
        }
        let pattern = match &rhs.kind {
            FieldKind::Static(Static::Text(pattern)) => pattern,
            _ if is_text(pattern_of) => return Ok(()),
            kind => {
                let fault = Fault::meaning(rhs.place, "a regex in quotes");
                let meant = match kind {
                    FieldKind::Static(value) => parser::meant(Type::Text, value),
                    _ => None,
                };
                return Err(match meant {
                    Some(text) => fault.replace(text),
                    None => fault,
                });
            }
        };
        match self.regex(pattern) {
            Some(Ok(_)) => Ok(()),
            Some(Err(why)) => {
                let fault = Fault::meaning(rhs.place, format!("a regex: {why}"));
                Err(match glob(pattern) {
                    Some(meant) => fault.replace(crate::lexer::written(&meant)),
                    None => fault,
                })
            }
            None => {
                let expected =
                    format!("regexes that compile to at most {REGEXES_MEMORY_MAX} bytes");
                Err(Fault::too_large(rhs.place, "more than that", expected))
            }
        }
    }
}

/// `*foo*` is no regex; `.*foo.*` is.
fn glob(pattern: &str) -> Option<String> {
    let is_glob = pattern.starts_with('*') && !pattern.contains(".*");
    is_glob.then(|| pattern.replace('*', ".*")).filter(|meant| Regex::new(meant).is_ok())
}

/// The type of the result of an arithmetic operator.
fn sum_of(lhs: Type, rhs: Type) -> Type {
    match (lhs, rhs) {
        (Type::Any, of) | (of, Type::Any) => of,
        (Type::Duration, _) | (_, Type::Duration) => Type::Duration,
        (Type::Int, Type::Int) => Type::Int,
        _ => Type::Float,
    }
}

/// A comparison with `nil`.
fn nil(op: Comparison, lhs: &FieldExpr, rhs: &FieldExpr) -> Result<(), Fault> {
    let place = lhs.place.to(rhs.place);
    if !matches!(op, Comparison::Eq | Comparison::Ne) {
        return Err(Fault::meaning(place, "`=` or `!=` with `nil`"));
    }
    let always = |expr: &FieldExpr| match &expr.kind {
        FieldKind::Field(field) => is_always(field),
        _ => false,
    };
    if op == Comparison::Eq && (always(lhs) || always(rhs)) {
        return Err(Fault::meaning(place, "`!= nil`, or an attribute that a span may lack"));
    }
    Ok(())
}

/// Two types that are never equal. Where one is that of a literal, another was meant.
fn mismatch(left: Type, lhs: &FieldExpr, right: Type, rhs: &FieldExpr) -> Fault {
    for (expr, of) in [(rhs, left), (lhs, right)] {
        if let FieldKind::Static(value) = &expr.kind {
            let fault = Fault::meaning(expr.place, expected(of)).instead(value.of().name());
            return match parser::meant(of, value) {
                Some(text) => fault.replace(text),
                None => fault,
            };
        }
    }
    let found = format!("{} compared with {}", left.name(), right.name());
    Fault::meaning(lhs.place.to(rhs.place), "values of one type").instead(found)
}

/// What values of a type look like.
const fn expected(of: Type) -> &'static str {
    match of {
        Type::Status => "a status: `ok`, `error` or `unset`, without quotes",
        Type::Kind => {
            "a kind: `server`, `client`, `internal`, `producer`, `consumer` or `unspecified`, \
             without quotes"
        }
        Type::Duration => "a duration, such as `100ms`, without quotes",
        Type::Int | Type::Float => "a number, without quotes",
        Type::Text => "a string in quotes",
        Type::Bool => "`true` or `false`",
        _ => "a value of the same type",
    }
}

/// A value where a condition should be. After `x = "a" ||`, or of a type that one intrinsic has,
/// it is known what it was meant to be compared with.
fn no_condition(expr: &FieldExpr, found: Type, before: Option<&FieldExpr>) -> Fault {
    let fault = Fault::meaning(expr.place, "a condition, such as `.x = \"y\"`");
    let fault = fault.instead(found.name());
    let FieldKind::Static(value) = &expr.kind else { return fault };
    if let Some(FieldKind::Compare { op, lhs, rhs }) = before.map(|before| &before.kind)
        && matches!(&rhs.kind, FieldKind::Static(other) if other.of() == value.of())
    {
        return fault.replace(format!("{lhs} {} {expr}", op.symbol()));
    }
    let of = match value {
        Static::Status(_) => Intrinsic::Status,
        Static::Kind(_) => Intrinsic::Kind,
        _ => return fault,
    };
    fault.replace(format!("{} = {expr}", of.name()))
}
