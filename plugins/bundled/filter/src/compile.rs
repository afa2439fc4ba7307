//! A condition, from the tree of a query to truths of rows.

use traceql::ast::{
    Arithmetic, Comparison, FieldExpr, FieldKind, Root, SpansetExpr, SpansetKind, Stage, Static,
};
use traceql::{Regex, fold};
use traceweir_plugin::{Batch, PluginError, Projection};

use crate::field::{Access, Source};
use crate::truth::Truth;
use crate::value::{Test, compare};

/// A condition on spans, ready to be held against batches.
#[derive(Debug)]
pub(crate) struct Condition {
    sources: Vec<Source>,
    node: Node,
}

#[derive(Debug)]
enum Node {
    Constant(Truth),
    /// A field, and what it is compared with.
    Test(usize, Test),
    /// Whether a field has a value (`true`), or has none.
    Has(usize, bool),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
    Compare(Comparison, Scalar, Scalar),
}

/// Something that has values.
#[derive(Debug)]
enum Scalar {
    Literal(Static),
    Field(usize),
    Negate(Box<Self>),
    Arithmetic(Arithmetic, Box<Self>, Box<Self>),
}

impl Condition {
    /// Reads a condition, and adds to the projection what it needs.
    ///
    /// # Errors
    ///
    /// What is wrong with it, or is not to be had of a batch.
    pub(crate) fn new(text: &str, projection: &mut Projection) -> Result<Self, String> {
        let query = traceql::parse(text).map_err(|error| error.to_string())?;
        if !query.with.is_empty() {
            return Err("with(…) is of queries, not of filters".to_owned());
        }
        let Root::Spans(pipeline) = &query.root else {
            return Err("functions of metrics are of queries, not of filters".to_owned());
        };
        let [Stage::Spanset(spans)] = &*pipeline.stages else {
            let why = "stages behind | look at whole traces, which a batch need not have";
            return Err(why.to_owned());
        };
        let mut compiler = Compiler { sources: Vec::new(), projection };
        let node = compiler.spans(spans)?;
        Ok(Self { sources: compiler.sources, node })
    }

    /// What it is of each row.
    pub(crate) fn truths(&self, batch: &Batch<'_>) -> Result<Vec<Truth>, PluginError> {
        let accesses = self.sources.iter().map(|source| source.access(batch));
        let fields = accesses.collect::<Result<Vec<_>, _>>()?;
        Ok(self.node.truths(&fields, batch.rows()))
    }
}

struct Compiler<'p> {
    sources: Vec<Source>,
    projection: &'p mut Projection,
}

impl Compiler<'_> {
    fn spans(&mut self, spans: &SpansetExpr) -> Result<Node, String> {
        match &spans.kind {
            SpansetKind::Filter(None) => Ok(Node::Constant(Truth::Yes)),
            SpansetKind::Filter(Some(expr)) => self.condition(expr),
            SpansetKind::Any(operands) => {
                let operands = operands.iter().map(|operand| self.spans(operand));
                Ok(Node::Any(operands.collect::<Result<_, _>>()?))
            }
            SpansetKind::All(_) => {
                let why = "{…} && {…} asks for two spans of a trace, which a batch need not have; \
                           { … && … } asks for one";
                Err(why.to_owned())
            }
            SpansetKind::Structural { relation, keep, .. } => Err(format!(
                "{}{} asks for another span of the trace, which a batch need not have",
                keep.prefix(),
                relation.symbol()
            )),
            SpansetKind::Pipeline(_) => {
                let why = "stages behind | look at whole traces, which a batch need not have";
                Err(why.to_owned())
            }
        }
    }

    fn field(&mut self, field: &traceql::ast::Field) -> Result<usize, String> {
        let source = Source::new(field, self.projection)?;
        let at = self.sources.iter().position(|there| *there == source);
        Ok(at.unwrap_or_else(|| {
            self.sources.push(source);
            self.sources.len() - 1
        }))
    }

    fn condition(&mut self, expr: &FieldExpr) -> Result<Node, String> {
        match &expr.kind {
            FieldKind::Static(Static::Bool(bool)) => Ok(Node::Constant((*bool).into())),
            FieldKind::Field(field) => {
                let field = self.field(field)?;
                self.test(field, Comparison::Eq, &Static::Bool(true))
            }
            FieldKind::Not(of) => Ok(Node::Not(Box::new(self.condition(of)?))),
            FieldKind::All(operands) => Ok(Node::All(self.conditions(operands)?)),
            FieldKind::Any(operands) => Ok(Node::Any(self.conditions(operands)?)),
            FieldKind::Compare { op, lhs, rhs } => self.comparison(*op, lhs, rhs),
            // The checker refuses them as conditions.
            FieldKind::Static(_) | FieldKind::Negate(_) | FieldKind::Arithmetic { .. } => {
                Ok(Node::Constant(Truth::Unknown))
            }
        }
    }

    fn conditions(&mut self, list: &[FieldExpr]) -> Result<Vec<Node>, String> {
        list.iter().map(|expr| self.condition(expr)).collect()
    }

    fn comparison(
        &mut self,
        op: Comparison,
        lhs: &FieldExpr,
        rhs: &FieldExpr,
    ) -> Result<Node, String> {
        match (&lhs.kind, op, &rhs.kind) {
            (FieldKind::Field(field), _, FieldKind::Static(Static::Nil))
            | (FieldKind::Static(Static::Nil), _, FieldKind::Field(field)) => {
                Ok(Node::Has(self.field(field)?, op == Comparison::Ne))
            }
            (FieldKind::Field(field), _, FieldKind::Static(value)) => {
                let field = self.field(field)?;
                self.test(field, op, value)
            }
            (FieldKind::Static(value), op, FieldKind::Field(field)) if op.flipped().is_some() => {
                let field = self.field(field)?;
                self.test(field, op.flipped().unwrap_or(op), value)
            }
            (_, _, FieldKind::Static(Static::Nil)) | (FieldKind::Static(Static::Nil), _, _) => {
                Err("nil is compared with a field".to_owned())
            }
            _ => Ok(Node::Compare(op, self.scalar(lhs)?, self.scalar(rhs)?)),
        }
    }

    fn test(&self, field: usize, op: Comparison, value: &Static) -> Result<Node, String> {
        let is_id = self.sources.get(field).is_some_and(|source| source.is_id());
        let test = Test::new(op, value, is_id).ok_or_else(|| "is no regex".to_owned())?;
        Ok(Node::Test(field, test))
    }

    fn scalar(&mut self, expr: &FieldExpr) -> Result<Scalar, String> {
        Ok(match &expr.kind {
            FieldKind::Static(value) => Scalar::Literal(value.clone()),
            FieldKind::Field(field) => Scalar::Field(self.field(field)?),
            FieldKind::Negate(of) => Scalar::Negate(Box::new(self.scalar(of)?)),
            FieldKind::Arithmetic { op, lhs, rhs } => {
                let (lhs, rhs) = (self.scalar(lhs)?, self.scalar(rhs)?);
                Scalar::Arithmetic(*op, Box::new(lhs), Box::new(rhs))
            }
            FieldKind::Not(_)
            | FieldKind::Compare { .. }
            | FieldKind::All(_)
            | FieldKind::Any(_) => return Err("a condition is compared with a value".to_owned()),
        })
    }
}

impl Node {
    /// What it is of each row.
    fn truths(&self, fields: &[Access<'_>], rows: usize) -> Vec<Truth> {
        let each = |truth: &dyn Fn(usize) -> Truth| (0..rows).map(truth).collect();
        match self {
            Self::Constant(truth) => vec![*truth; rows],
            Self::Test(field, test) => match fields.get(*field) {
                Some(field) => field.meet(test, rows),
                None => vec![Truth::Unknown; rows],
            },
            Self::Has(field, wanted) => each(&|row| {
                let values = Scalar::Field(*field).values(fields, row);
                (values.is_empty() != *wanted).into()
            }),
            Self::Not(of) => {
                let mut truths = of.truths(fields, rows);
                truths.iter_mut().for_each(|truth| *truth = truth.not());
                truths
            }
            Self::All(operands) => joined(operands, fields, rows, Truth::and),
            Self::Any(operands) => joined(operands, fields, rows, Truth::or),
            Self::Compare(op, lhs, rhs) => each(&|row| {
                let (lhs, rhs) = (lhs.values(fields, row), rhs.values(fields, row));
                compared(*op, &lhs, &rhs).into()
            }),
        }
    }
}

fn joined(
    operands: &[Node],
    fields: &[Access<'_>],
    rows: usize,
    join: fn(Truth, Truth) -> Truth,
) -> Vec<Truth> {
    let truths = operands.iter().map(|operand| operand.truths(fields, rows));
    let both = |mut a: Vec<Truth>, b: Vec<Truth>| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a = join(*a, b));
        a
    };
    truths.reduce(both).unwrap_or_else(|| vec![Truth::Unknown; rows])
}

/// Whether a comparison holds for any value of each side; negated ones, for all.
fn compared(op: Comparison, lhs: &[Static], rhs: &[Static]) -> Option<bool> {
    let plain = match op {
        Comparison::Ne => Comparison::Eq,
        Comparison::NotMatch => Comparison::Match,
        op => op,
    };
    let holds = |a: &Static, b: &Static| match (plain, a, b) {
        (Comparison::Match, Static::Text(text), Static::Text(pattern)) => {
            Regex::new(pattern).ok().map(|regex| regex.is_match(text))
        }
        (Comparison::Match, _, _) => None,
        _ => compare(plain, a, b),
    };
    let pairs = lhs.iter().flat_map(|a| rhs.iter().map(move |b| (a, b))).take(PAIRS_MAX);
    let any = pairs.filter_map(|(a, b)| holds(a, b)).reduce(|a, b| a || b)?;
    Some(any == (plain == op))
}

/// Values of two sides are combined, each with each: at most so many.
const PAIRS_MAX: usize = 10_000;

impl Scalar {
    /// The values for a row; none where something is missing or of a type that does not fit.
    fn values(&self, fields: &[Access<'_>], row: usize) -> Vec<Static> {
        match self {
            Self::Literal(Static::Nil) => Vec::new(),
            Self::Literal(value) => vec![value.clone()],
            Self::Field(field) => {
                let mut values = Vec::new();
                if let Some(field) = fields.get(*field) {
                    field.values(row, &mut values);
                }
                values
            }
            Self::Negate(of) => of.values(fields, row).iter().filter_map(negated).collect(),
            Self::Arithmetic(op, lhs, rhs) => {
                let (lhs, rhs) = (lhs.values(fields, row), rhs.values(fields, row));
                let pairs = lhs.iter().flat_map(|a| rhs.iter().map(move |b| (a, b)));
                let values = pairs.take(PAIRS_MAX);
                values.filter_map(|(a, b)| fold::arithmetic(*op, a, b)).filter(is_number).collect()
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
