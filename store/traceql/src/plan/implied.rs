//! Conditions on single fields that every span fulfils for which an expression is true.

use crate::ast::{Comparison, Field, FieldExpr, FieldKind, Static};

/// A condition on one field.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// Which field.
    pub field: Field,
    /// What holds for it.
    pub test: Test,
}

/// What holds for a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The field, compared with a literal (never `nil`), with the field on the left; of a field
    /// with several values by the rules of the language: `!=` and `!~` of all, the others of any.
    /// The right side of a regex operator is a string.
    Compare(Comparison, Static),
    /// The span has the field, with whatever value.
    Exists,
    /// The span does not have it.
    Missing,
}

/// Conditions of which at least one holds. One without conditions never holds.
pub type Clause = Vec<Condition>;

/// The most clauses that are made of one `||`, and the most conditions of a clause. Beyond it they
/// are left out: a store would not check so many.
const CLAUSES_MAX: usize = 16;
const CONDITIONS_MAX: usize = 1_000;

/// Clauses all of which hold for every span for which an expression is true.
///
/// An expression in [`crate::plan::normal_expr`] form gives more. The result has as many clauses as the
/// expression has operands of `&&`, at most; where there is none, nothing is known.
#[must_use]
pub fn implied(expr: &FieldExpr) -> Vec<Clause> {
    match &expr.kind {
        FieldKind::Static(Static::Bool(true)) => Vec::new(),
        // A number or a string is never true.
        FieldKind::Static(_) | FieldKind::Negate(_) | FieldKind::Arithmetic { .. } => {
            vec![Clause::new()]
        }
        FieldKind::Field(field) => vec![vec![is(field, true)]],
        FieldKind::Not(of) => negated(of),
        FieldKind::Compare { op, lhs, rhs } => comparison(*op, lhs, rhs),
        FieldKind::All(operands) => operands.iter().flat_map(implied).collect(),
        FieldKind::Any(operands) => any(operands),
    }
}

fn is(field: &Field, value: bool) -> Condition {
    let test = Test::Compare(Comparison::Eq, Static::Bool(value));
    Condition { field: field.clone(), test }
}

/// What holds where an expression is false, and none of what it compares is missing.
fn negated(expr: &FieldExpr) -> Vec<Clause> {
    match &expr.kind {
        FieldKind::Static(Static::Bool(false)) => Vec::new(),
        FieldKind::Static(_) => vec![Clause::new()],
        FieldKind::Field(field) => vec![vec![is(field, false)]],
        FieldKind::Compare { lhs, rhs, .. } => {
            let is_nil = |side: &FieldExpr| matches!(side.kind, FieldKind::Static(Static::Nil));
            if is_nil(lhs) || is_nil(rhs) { Vec::new() } else { exist([lhs, rhs]) }
        }
        // Which of the operands is missing decides, and that is the evaluator's matter.
        _ => Vec::new(),
    }
}

fn comparison(op: Comparison, lhs: &FieldExpr, rhs: &FieldExpr) -> Vec<Clause> {
    match (&lhs.kind, &rhs.kind) {
        (FieldKind::Static(Static::Nil), FieldKind::Static(Static::Nil)) => vec![Clause::new()],
        (FieldKind::Field(field), FieldKind::Static(Static::Nil))
        | (FieldKind::Static(Static::Nil), FieldKind::Field(field)) => {
            let test = if op == Comparison::Eq { Test::Missing } else { Test::Exists };
            vec![vec![Condition { field: field.clone(), test }]]
        }
        (_, FieldKind::Static(Static::Nil)) | (FieldKind::Static(Static::Nil), _) => Vec::new(),
        (FieldKind::Field(field), FieldKind::Static(value)) => {
            let test = Test::Compare(op, value.clone());
            vec![vec![Condition { field: field.clone(), test }]]
        }
        (FieldKind::Static(value), FieldKind::Field(field)) => match op.flipped() {
            Some(op) => {
                let test = Test::Compare(op, value.clone());
                vec![vec![Condition { field: field.clone(), test }]]
            }
            None => exist([lhs, rhs]),
        },
        _ => exist([lhs, rhs]),
    }
}

/// That all fields exist of which values are computed.
fn exist(sides: [&FieldExpr; 2]) -> Vec<Clause> {
    let mut fields = Vec::new();
    for side in sides {
        operands(side, &mut fields);
    }
    let clause = |field: &Field| vec![Condition { field: field.clone(), test: Test::Exists }];
    fields.into_iter().map(clause).collect()
}

/// The fields without which an expression has no value.
fn operands<'a>(expr: &'a FieldExpr, fields: &mut Vec<&'a Field>) {
    match &expr.kind {
        FieldKind::Field(field) if !fields.contains(&field) => fields.push(field),
        FieldKind::Negate(of) => operands(of, fields),
        FieldKind::Arithmetic { lhs, rhs, .. } => {
            operands(lhs, fields);
            operands(rhs, fields);
        }
        // A truth value may be computed of what is missing.
        _ => {}
    }
}

/// `(a && b) || c` implies `a || c`, and `b || c`.
fn any(operands: &[FieldExpr]) -> Vec<Clause> {
    let mut operands = operands.iter().map(implied);
    let Some(mut clauses) = operands.next() else { return Vec::new() };
    for more in operands {
        // An operand that can never be true adds nothing.
        if more.iter().any(Clause::is_empty) {
            continue;
        }
        if clauses.iter().any(Clause::is_empty) {
            clauses = more;
            continue;
        }
        clauses = clauses
            .iter()
            .flat_map(|clause| more.iter().map(|other| either(clause, other)))
            .filter(|clause| clause.len() <= CONDITIONS_MAX)
            .take(CLAUSES_MAX)
            .collect();
    }
    clauses
}

fn either(clause: &Clause, other: &Clause) -> Clause {
    let mut both = clause.clone();
    both.extend(other.iter().filter(|condition| !clause.contains(condition)).cloned());
    both
}
