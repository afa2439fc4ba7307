//! Conditions and arithmetic over one span, compiled: as sets of rows where columns tell, span by
//! span where they do not.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use model::batch::Batch;
use traceql::ast::{
    Arithmetic, Comparison, Field, FieldExpr, FieldKind, Intrinsic, Key, Static, Whose,
};
use traceql::{Regex, fold};

use super::field::{Access, is_id, is_local};
use super::rows::{Rows, Truth};
use super::value::{Test, any_of, by_order, compare, order_ids};
use crate::execute::Carried;

/// The fields of a query, each once, by number.
#[derive(Debug, Default)]
pub(super) struct Fields {
    list: Vec<Arc<Field>>,
    /// Regexes that spans have as values: compiled once while they repeat.
    regexes: RefCell<HashMap<String, Option<Regex>>>,
}

/// The most regexes of spans that are kept.
const REGEXES_MAX: usize = 64;

impl Fields {
    /// The number of a field.
    pub(super) fn number(&mut self, field: &Field) -> usize {
        if let Some(at) = self.list.iter().position(|known| **known == *field) {
            return at;
        }
        self.list.push(Arc::new(field.clone()));
        self.list.len() - 1
    }

    pub(super) fn list(&self) -> &[Arc<Field>] {
        &self.list
    }

    pub(super) fn get(&self, number: usize) -> &Field {
        &self.list[number]
    }

    /// The same for whoever keeps it.
    pub(super) fn shared(&self, number: usize) -> Arc<Field> {
        Arc::clone(&self.list[number])
    }

    fn matches(&self, text: &str, pattern: &str) -> Option<bool> {
        let mut regexes = self.regexes.borrow_mut();
        if regexes.len() >= REGEXES_MAX && !regexes.contains_key(pattern) {
            regexes.clear();
        }
        let regex = regexes.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).ok());
        regex.as_ref().map(|regex| regex.is_match(text))
    }
}

/// The fields of a query on one batch; each is looked up when it is first asked for.
#[derive(Debug)]
pub(super) struct Bound<'b> {
    pub(super) batch: &'b Batch,
    pub(super) fields: &'b Fields,
    carried: Carried<'b>,
    accesses: Vec<OnceCell<Access<'b>>>,
}

impl<'b> Bound<'b> {
    pub(super) fn new(batch: &'b Batch, fields: &'b Fields, carried: Carried<'b>) -> Self {
        let accesses = fields.list.iter().map(|_| OnceCell::new()).collect();
        Self { batch, fields, carried, accesses }
    }

    pub(super) fn access(&self, field: usize) -> &Access<'b> {
        let access = || Access::new(self.batch, self.fields.get(field), self.carried);
        self.accesses[field].get_or_init(access)
    }
}

/// Whoever knows the values of spans.
pub(super) trait Spans {
    /// The fields that are asked for.
    fn fields(&self) -> &Fields;
    /// Appends the values of a field of a span.
    fn values(&self, field: usize, span: u32, out: &mut Vec<Static>);
    /// Whether the span has not what is asked for, and could have it.
    fn is_missing(&self, field: usize, span: u32) -> bool;
}

impl Spans for Bound<'_> {
    fn fields(&self) -> &Fields {
        self.fields
    }

    fn values(&self, field: usize, span: u32, out: &mut Vec<Static>) {
        self.access(field).values(span, out);
    }

    fn is_missing(&self, field: usize, span: u32) -> bool {
        let mut values = Vec::new();
        self.values(field, span, &mut values);
        values.is_empty() && self.access(field).could_have(span)
    }
}

/// A condition.
#[derive(Debug)]
pub(super) struct Expr {
    node: Node,
    /// Whether it can be told from the span alone.
    pub(super) is_local: bool,
    cost: u32,
}

#[derive(Debug)]
enum Node {
    Constant(Option<bool>),
    Test(usize, Box<Test>),
    Exists(usize),
    Missing(usize),
    Not(Box<Expr>),
    All(Vec<Expr>),
    Any(Vec<Expr>),
    /// Of ids where the last is true.
    Compare(Comparison, Box<Scalar>, Box<Scalar>, bool),
    /// Whether there is a value (`true`) or none.
    Has(Box<Scalar>, bool),
}

/// Something that has values.
#[derive(Debug)]
pub(super) enum Scalar {
    Static(Static),
    Field(usize),
    Negate(Box<Self>),
    Arithmetic(Arithmetic, Box<Self>, Box<Self>),
    Condition(Expr),
}

/// Values of two operands are combined, each with each: at most so many.
const PAIRS_MAX: usize = 10_000;

impl Scalar {
    pub(super) fn new(expr: &FieldExpr, fields: &mut Fields) -> Self {
        match &expr.kind {
            FieldKind::Static(value) => Self::Static(value.clone()),
            FieldKind::Field(field) => Self::Field(fields.number(field)),
            FieldKind::Negate(of) => Self::Negate(Box::new(Self::new(of, fields))),
            FieldKind::Arithmetic { op, lhs, rhs } => {
                let (lhs, rhs) = (Self::new(lhs, fields), Self::new(rhs, fields));
                Self::Arithmetic(*op, Box::new(lhs), Box::new(rhs))
            }
            _ => Self::Condition(Expr::new(expr, fields)),
        }
    }

    pub(super) fn is_local(&self, fields: &Fields) -> bool {
        match self {
            Self::Static(_) => true,
            Self::Field(field) => is_local(fields.get(*field)),
            Self::Negate(of) => of.is_local(fields),
            Self::Arithmetic(_, lhs, rhs) => lhs.is_local(fields) && rhs.is_local(fields),
            Self::Condition(expr) => expr.is_local,
        }
    }

    /// The values for a span; none where something is missing or of a type that does not fit.
    pub(super) fn values(&self, spans: &dyn Spans, span: u32) -> Vec<Static> {
        match self {
            Self::Static(Static::Nil) => Vec::new(),
            Self::Static(value) => vec![value.clone()],
            Self::Field(field) => {
                let mut values = Vec::new();
                spans.values(*field, span, &mut values);
                values
            }
            Self::Negate(of) => of.values(spans, span).iter().filter_map(negated).collect(),
            Self::Arithmetic(op, lhs, rhs) => {
                let (lhs, rhs) = (lhs.values(spans, span), rhs.values(spans, span));
                let pairs = lhs.iter().flat_map(|a| rhs.iter().map(move |b| (a, b)));
                let values = pairs.take(PAIRS_MAX);
                values.filter_map(|(a, b)| fold::arithmetic(*op, a, b)).filter(is_number).collect()
            }
            Self::Condition(expr) => {
                expr.holds(spans, span).map(Static::Bool).into_iter().collect()
            }
        }
    }
}

/// Division by zero has no value, of floats neither.
fn is_number(value: &Static) -> bool {
    !matches!(value, Static::Float(float) if !float.is_finite())
}

fn negated(value: &Static) -> Option<Static> {
    Some(match value {
        Static::Int(value) => Static::Int(value.checked_neg()?),
        Static::Duration(value) => Static::Duration(value.checked_neg()?),
        Static::Float(value) => Static::Float(-value),
        _ => return None,
    })
}

/// The cost of conditions: what takes a byte of each row, a number, a column, several columns, a
/// regex, values. What comes first leaves fewer rows to the next.
const BYTES: u32 = 1;
const ROWS: u32 = 2;
const COLUMN: u32 = 4;
const COLUMNS: u32 = 6;
const VALUES: u32 = 100;

impl Expr {
    /// Compiles an expression; in its normal form ([`traceql::plan::normal_expr`]) it is faster.
    pub(super) fn new(expr: &FieldExpr, fields: &mut Fields) -> Self {
        match &expr.kind {
            FieldKind::Static(Static::Bool(value)) => Self::constant(Some(*value)),
            FieldKind::Static(_) | FieldKind::Negate(_) | FieldKind::Arithmetic { .. } => {
                Self::constant(None)
            }
            FieldKind::Field(field) => {
                Self::test(field, Comparison::Eq, &Static::Bool(true), fields)
            }
            FieldKind::Not(of) => {
                let of = Self::new(of, fields);
                let (is_local, cost) = (of.is_local, of.cost);
                Self { node: Node::Not(Box::new(of)), is_local, cost }
            }
            FieldKind::All(operands) => Self::many(Node::All, operands, fields),
            FieldKind::Any(operands) => Self::many(Node::Any, operands, fields),
            FieldKind::Compare { op, lhs, rhs } => Self::comparison(*op, lhs, rhs, fields),
        }
    }

    fn constant(value: Option<bool>) -> Self {
        Self { node: Node::Constant(value), is_local: true, cost: 0 }
    }

    fn many(node: fn(Vec<Self>) -> Node, operands: &[FieldExpr], fields: &mut Fields) -> Self {
        let mut operands: Vec<Self> =
            operands.iter().map(|operand| Self::new(operand, fields)).collect();
        operands.sort_by_key(|operand| (!operand.is_local, operand.cost));
        let is_local = operands.iter().all(|operand| operand.is_local);
        let cost = operands.iter().fold(0u32, |sum, operand| sum.saturating_add(operand.cost));
        Self { node: node(operands), is_local, cost }
    }

    fn test(field: &Field, op: Comparison, value: &Static, fields: &mut Fields) -> Self {
        // The root is told by itself; its number is the only one below zero.
        if is_root_test(field, op, value) {
            let parent = fields.number(&Field::intrinsic(Intrinsic::Parent));
            return Self { node: Node::Missing(parent), is_local: true, cost: ROWS };
        }
        let Some(test) = Test::new(op, value, is_id(field)) else { return Self::constant(None) };
        let number = fields.number(field);
        let cost = cost(field) + u32::from(op.is_regex());
        Self { node: Node::Test(number, Box::new(test)), is_local: is_local(field), cost }
    }

    fn comparison(op: Comparison, lhs: &FieldExpr, rhs: &FieldExpr, fields: &mut Fields) -> Self {
        let nil = |side: &FieldExpr| matches!(side.kind, FieldKind::Static(Static::Nil));
        match (nil(lhs), nil(rhs)) {
            (true, true) => return Self::constant(Some(false)),
            (true, false) => return Self::nil(op, rhs, fields),
            (false, true) => return Self::nil(op, lhs, fields),
            (false, false) => {}
        }
        match (&lhs.kind, &rhs.kind) {
            (FieldKind::Field(field), FieldKind::Static(value)) => {
                return Self::test(field, op, value, fields);
            }
            (FieldKind::Static(value), FieldKind::Field(field)) => {
                if let Some(op) = op.flipped() {
                    return Self::test(field, op, value, fields);
                }
            }
            _ => {}
        }
        let (lhs, rhs) = (Scalar::new(lhs, fields), Scalar::new(rhs, fields));
        let is_local = lhs.is_local(fields) && rhs.is_local(fields);
        let id = |side: &Scalar| matches!(side, Scalar::Field(at) if is_id(fields.get(*at)));
        let ids = id(&lhs) || id(&rhs);
        let node = Node::Compare(op, Box::new(lhs), Box::new(rhs), ids);
        Self { node, is_local, cost: VALUES }
    }

    fn nil(op: Comparison, of: &FieldExpr, fields: &mut Fields) -> Self {
        let exists = op == Comparison::Ne;
        if let FieldKind::Field(field) = &of.kind {
            let number = fields.number(field);
            let node = if exists { Node::Exists(number) } else { Node::Missing(number) };
            return Self { node, is_local: is_local(field), cost: cost(field) };
        }
        let of = Scalar::new(of, fields);
        let is_local = of.is_local(fields);
        Self { node: Node::Has(Box::new(of), exists), is_local, cost: VALUES }
    }

    /// The operands of `&&` that can be told from the span alone: what narrows. All of it where it
    /// is local as a whole.
    pub(super) fn narrow(&self, bound: &Bound<'_>, within: &Rows) -> Rows {
        if self.is_local {
            return self.truth(bound, within, false).yes;
        }
        let mut rows = within.clone();
        if let Node::All(operands) = &self.node {
            for operand in operands.iter().filter(|operand| operand.is_local) {
                rows = operand.truth(bound, &rows, false).yes;
            }
        }
        rows
    }

    /// For which rows of `within` it is true, and, if that is wanted, false. Only what is local.
    fn truth(&self, bound: &Bound<'_>, within: &Rows, wants_no: bool) -> Truth {
        match &self.node {
            Node::Constant(Some(value)) => {
                let all = Truth::always(*value, within.len());
                Truth { yes: all.yes.and(within), no: all.no.and(within) }
            }
            Node::Constant(None) => Truth::never(within.len()),
            Node::Test(field, test) => bound.access(*field).test(test, within, wants_no),
            Node::Exists(field) => Truth::exact(bound.access(*field).present()).within(within),
            Node::Missing(field) => Truth::exact(bound.access(*field).missing()).within(within),
            Node::Not(of) => of.truth(bound, within, true).not(),
            Node::All(operands) => {
                let mut all = Truth::always(true, within.len()).within(within);
                for operand in operands {
                    // What is false already stays so; what is neither cannot become true.
                    let left = match wants_no {
                        true => within.clone().minus(&all.no),
                        false => all.yes.clone(),
                    };
                    if left.is_empty() {
                        break;
                    }
                    all = all.and(&operand.truth(bound, &left, wants_no));
                }
                all
            }
            Node::Any(operands) => {
                let mut any = Truth::always(false, within.len()).within(within);
                for operand in operands {
                    let left = within.clone().minus(&any.yes);
                    if left.is_empty() {
                        break;
                    }
                    any = any.or(&operand.truth(bound, &left, wants_no));
                }
                any
            }
            Node::Compare(..) | Node::Has(..) => {
                let mut truth = Truth::never(within.len());
                for row in within.iter() {
                    match self.holds(bound, row) {
                        Some(true) => truth.yes.set(row),
                        Some(false) => truth.no.set(row),
                        None => {}
                    }
                }
                truth
            }
        }
    }

    /// Whether it holds for a span; neither where something is missing or does not fit.
    pub(super) fn holds(&self, spans: &dyn Spans, span: u32) -> Option<bool> {
        match &self.node {
            Node::Constant(value) => *value,
            Node::Test(field, test) => {
                let mut values = Vec::new();
                spans.values(*field, span, &mut values);
                any_of(values.iter().map(|value| test.meets(value)), test.is_negated)
            }
            Node::Exists(field) => {
                let mut values = Vec::new();
                spans.values(*field, span, &mut values);
                Some(!values.is_empty())
            }
            Node::Missing(field) => Some(spans.is_missing(*field, span)),
            Node::Not(of) => of.holds(spans, span).map(|holds| !holds),
            Node::All(operands) => {
                let mut all = Some(true);
                for operand in operands {
                    match operand.holds(spans, span) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => all = None,
                    }
                }
                all
            }
            Node::Any(operands) => {
                let mut any = Some(false);
                for operand in operands {
                    match operand.holds(spans, span) {
                        Some(true) => return Some(true),
                        Some(false) => {}
                        None => any = None,
                    }
                }
                any
            }
            Node::Compare(op, lhs, rhs, ids) => {
                let (lhs, rhs) = (lhs.values(spans, span), rhs.values(spans, span));
                pairs((*op, *ids), &lhs, &rhs, spans.fields())
            }
            Node::Has(of, exists) => Some(of.values(spans, span).is_empty() != *exists),
        }
    }
}

/// Whether a comparison holds for several values on both sides: for any pair, or, where it is
/// negated, for all.
fn pairs(
    (op, ids): (Comparison, bool),
    lhs: &[Static],
    rhs: &[Static],
    fields: &Fields,
) -> Option<bool> {
    let is_negated = matches!(op, Comparison::Ne | Comparison::NotMatch);
    let plain = match op {
        Comparison::Ne => Comparison::Eq,
        Comparison::NotMatch => Comparison::Match,
        op => op,
    };
    let pairs = lhs.iter().flat_map(|a| rhs.iter().map(move |b| (a, b))).take(PAIRS_MAX);
    let met = pairs.map(|(a, b)| match (plain, a, b) {
        (Comparison::Match, Static::Text(text), Static::Text(pattern)) => {
            fields.matches(text, pattern)
        }
        (Comparison::Match, ..) => None,
        (_, Static::Text(a), Static::Text(b)) if ids => Some(by_order(plain, order_ids(a, b))),
        _ => compare(plain, a, b),
    });
    any_of(met, is_negated)
}

/// Whether a test of `nestedSetParent` is true for -1 and for nothing from 0 on.
fn is_root_test(field: &Field, op: Comparison, value: &Static) -> bool {
    let is_number = *field == Field::intrinsic(Intrinsic::NestedSetParent);
    let holds = |number| compare(op, &Static::Int(number), value) == Some(true);
    is_number
        && holds(-1)
        && !holds(0)
        && match op {
            Comparison::Lt | Comparison::Le => true,
            Comparison::Eq => !holds(1),
            _ => false,
        }
}

fn cost(field: &Field) -> u32 {
    match (&field.key, field.whose) {
        (_, Whose::Parent) => VALUES,
        (Key::Intrinsic(Intrinsic::Duration | Intrinsic::SpanId | Intrinsic::TraceId), _) => COLUMN,
        (Key::Intrinsic(Intrinsic::Status | Intrinsic::Kind), _) => BYTES,
        (Key::Intrinsic(_), _) => ROWS,
        (Key::Attribute { scope, .. }, _) => match scope {
            traceql::ast::Scope::Resource | traceql::ast::Scope::Instrumentation => ROWS,
            traceql::ast::Scope::Span => COLUMN,
            _ => COLUMNS,
        },
    }
}
