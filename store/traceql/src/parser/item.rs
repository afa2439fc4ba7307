//! What stands between pipes, and expressions over such: which operators join which of them.

use super::operator::{self, COMPARE, LOGIC};
use super::{Deep, Parser};
use crate::Place;
use crate::ast::{
    Comparison, Field, MetricsExpr, MetricsFunction, ScalarExpr, ScalarFilter, Second, SpansetExpr,
    SpansetKind, Stage,
};
use crate::error::Fault;
use crate::lexer::{Op, Tok, quote};

/// What stands between pipes.
#[derive(Debug)]
pub(super) enum Item {
    /// An expression over spans.
    Spanset(SpansetExpr),
    /// A number of a spanset, or a constant.
    Scalar(ScalarExpr),
    /// A comparison of such.
    Filter(ScalarFilter),
    /// `by`, `coalesce`, `select`
    Stages(Vec<Stage>, Place),
    /// `rate() by(x) > 10`: what is before the pipe makes it a query.
    Function { function: MetricsFunction, by: Vec<Field>, place: Place, second: Vec<Second> },
    /// `topk(5) > 10`
    Second(Vec<Second>, Place),
    /// `({ } | rate()) * 2`
    Metrics(MetricsExpr, Place),
}

impl Item {
    pub(super) const fn place(&self) -> Place {
        match self {
            Self::Spanset(spanset) => spanset.place,
            Self::Scalar(scalar) => scalar.place(),
            Self::Filter(filter) => filter.place,
            Self::Stages(_, place)
            | Self::Function { place, .. }
            | Self::Second(_, place)
            | Self::Metrics(_, place) => *place,
        }
    }

    /// What to call it in a message.
    const fn name(&self) -> &'static str {
        match self {
            Self::Spanset(_) => "spans",
            Self::Scalar(_) => "a number",
            Self::Filter(_) => "a comparison of aggregates",
            Self::Stages(..) => "a stage",
            Self::Function { .. } | Self::Second(..) => "a function over time",
            Self::Metrics(..) => "series",
        }
    }
}

impl Parser<'_> {
    /// What stands between pipes.
    pub(super) fn item(&mut self, least: u8) -> Result<Deep<Item>, Fault> {
        self.enter()?;
        // Apart from the others: what recurses has small frames.
        let mut lhs = match self.tok() {
            Tok::OpenParen => self.parenthesised()?,
            _ => self.item_primary()?,
        };
        while let Some(op) = self.op() {
            let Some(level) = operator::binding(op).filter(|level| *level >= least) else { break };
            let place = self.place();
            self.bump();
            let rhs = self.item(operator::right_of(level))?;
            lhs = self.join(op, place, lhs, rhs)?;
        }
        self.leave();
        Ok(lhs)
    }

    fn item_primary(&mut self) -> Result<Deep<Item>, Fault> {
        let place = self.place();
        match self.tok() {
            Tok::OpenBrace => {
                self.count()?;
                let filter = self.filter()?;
                Ok(filter.map(|(expr, place)| {
                    Item::Spanset(SpansetExpr { kind: SpansetKind::Filter(expr), place })
                }))
            }
            Tok::Op(Op::Minus) => {
                self.bump();
                match self.number(true)? {
                    Some(value) => {
                        self.count()?;
                        let place = place.to(self.before());
                        Ok(Deep::leaf(Item::Scalar(ScalarExpr::Static(value, place))))
                    }
                    None => Err(self.expected("a number behind the sign")),
                }
            }
            Tok::Word(_) => self.stage(),
            _ => match self.number(false)? {
                Some(value) => {
                    self.count()?;
                    Ok(Deep::leaf(Item::Scalar(ScalarExpr::Static(value, place))))
                }
                None => Err(self.no_item()),
            },
        }
    }

    /// Two operands and the operator between them.
    fn join(
        &mut self,
        op: Op,
        at: Place,
        lhs: Deep<Item>,
        rhs: Deep<Item>,
    ) -> Result<Deep<Item>, Fault> {
        let place = lhs.node.place().to(rhs.node.place());
        let (deep, and) = (lhs.depth, rhs.depth);
        match (lhs.node, rhs.node) {
            (Item::Spanset(lhs), Item::Spanset(rhs)) => {
                let chained = match op {
                    Op::And => matches!(lhs.kind, SpansetKind::All(_)),
                    Op::Or => matches!(lhs.kind, SpansetKind::Any(_)),
                    _ => false,
                };
                let kind = spansets(op, at, lhs, rhs)?;
                let below = if chained { deep - 1 } else { deep };
                self.above(Item::Spanset(SpansetExpr { kind, place }), below, and)
            }
            (Item::Scalar(lhs), Item::Scalar(rhs)) => {
                let item = scalars(op, at, lhs, rhs, place)?;
                self.above(item, deep, and)
            }
            (lhs, Item::Scalar(value)) if compares(&lhs, op) => {
                let second = self.second_comparison(op, at, &value)?;
                self.above(compared(lhs, second), deep, 0)
            }
            (
                lhs @ (Item::Metrics(..) | Item::Scalar(_)),
                rhs @ (Item::Metrics(..) | Item::Scalar(_)),
            ) => {
                let metrics = self.metrics_arithmetic(op, at, lhs, rhs)?;
                self.above(Item::Metrics(metrics, place), deep, and)
            }
            (lhs, rhs) => Err(self.cannot_join(op, at, &lhs, &rhs)),
        }
    }

    /// Operands that no operator joins, or not this one.
    pub(super) fn cannot_join(&self, op: Op, at: Place, lhs: &Item, rhs: &Item) -> Fault {
        let symbol = quote(operator::symbol(op));
        let found = format!("{symbol} between {} and {}", lhs.name(), rhs.name());
        let is_arithmetic = operator::arithmetic(op).is_some();
        match (lhs, rhs) {
            // `{ } | rate() + 5`: the query needs parentheses to be an operand.
            (Item::Function { place, .. } | Item::Second(_, place), _) if is_arithmetic => {
                Fault::syntax(at, "parentheses around a query that is an operand")
                    .insert(self.pipeline_start, "(")
                    .insert(place.end, ")")
                    .instead(found)
            }
            // `5 + { } | rate()`
            (Item::Scalar(_) | Item::Metrics(..), Item::Spanset(spanset)) if is_arithmetic => {
                Fault::syntax(at, "parentheses around a query that is an operand")
                    .insert(spanset.place.start, "(")
                    .insert(self.end_of_query(), ")")
                    .instead(found)
            }
            (Item::Scalar(number), Item::Metrics(..)) if operator::comparison(op).is_some() => {
                self.flipped(op, number.place(), rhs.place(), at).instead(found)
            }
            // `{ } > 10`
            (Item::Spanset(spanset), Item::Scalar(_)) if operator::comparison(op).is_some() => {
                Fault::syntax(at, "an aggregate to compare, such as `count()`")
                    .insert(spanset.place.end, " | count()")
                    .instead(found)
            }
            _ => Fault::syntax(at, "operands that belong together").instead(found),
        }
    }

    /// `10 < ( … )` of series: they stand on the left.
    fn flipped(&self, op: Op, number: Place, series: Place, at: Place) -> Fault {
        let fault = Fault::syntax(at, "the series on the left of the comparison");
        let flipped = operator::comparison(op).and_then(Comparison::flipped);
        let texts = (self.text.get(number.range()), self.text.get(series.range()));
        match (flipped, texts) {
            (Some(flipped), (Some(number_text), Some(series_text))) => {
                let text = format!("{series_text} {} {number_text}", flipped.symbol());
                fault.edit(number.to(series), text)
            }
            _ => fault,
        }
    }

    /// `(a, b)` of expressions over a span is not an item; `( … )` of items is one.
    fn parenthesised(&mut self) -> Result<Deep<Item>, Fault> {
        let open = self.place();
        self.bump();
        let folded = self.pipeline()?;
        let close = self.place();
        if !self.eat(&Tok::CloseParen) {
            return Err(self.unclosed_paren());
        }
        Ok(folded.map(|folded| folded.in_parentheses(open.to(close))))
    }
}

/// Whether an operator between series and a number is a comparison of the second stage.
const fn compares(lhs: &Item, op: Op) -> bool {
    matches!(lhs, Item::Function { .. } | Item::Second(..) | Item::Metrics(..))
        && matches!(operator::binding(op), Some(COMPARE))
        && operator::comparison(op).is_some()
}

/// Series, or a function, with a comparison behind it.
fn compared(lhs: Item, comparison: Second) -> Item {
    match lhs {
        Item::Function { function, by, place, mut second } => {
            second.push(comparison);
            Item::Function { function, by, place, second }
        }
        Item::Second(mut second, place) => {
            second.push(comparison);
            Item::Second(second, place)
        }
        Item::Metrics(metrics, place) => Item::Metrics(metrics.then(vec![comparison]), place),
        lhs => lhs,
    }
}

fn spansets(op: Op, at: Place, lhs: SpansetExpr, rhs: SpansetExpr) -> Result<SpansetKind, Fault> {
    if let Some((relation, keep)) = operator::structural(op) {
        let (lhs, rhs) = (Box::new(lhs), Box::new(rhs));
        return Ok(SpansetKind::Structural { relation, keep, lhs, rhs });
    }
    let operands = |expr: SpansetExpr| match (op, expr.kind) {
        (Op::And, SpansetKind::All(of)) | (Op::Or, SpansetKind::Any(of)) => of,
        (_, kind) => vec![SpansetExpr { kind, place: expr.place }],
    };
    let both = |lhs, rhs| {
        let mut all = operands(lhs);
        all.extend(operands(rhs));
        all
    };
    match op {
        Op::And => Ok(SpansetKind::All(both(lhs, rhs))),
        Op::Or => Ok(SpansetKind::Any(both(lhs, rhs))),
        _ => Err(Fault::syntax(at, "an operator between spans, such as `&&`, `||`, `>>` or `>`")),
    }
}

fn scalars(
    op: Op,
    at: Place,
    lhs: ScalarExpr,
    rhs: ScalarExpr,
    place: Place,
) -> Result<Item, Fault> {
    if let Some((op, _)) = operator::arithmetic(op) {
        let (lhs, rhs) = (Box::new(lhs), Box::new(rhs));
        return Ok(Item::Scalar(ScalarExpr::Arithmetic { op, lhs, rhs, place }));
    }
    match operator::comparison(op) {
        Some(op) if !op.is_regex() => Ok(Item::Filter(ScalarFilter { op, lhs, rhs, place })),
        _ => Err(Fault::syntax(at, "an operator between numbers")),
    }
}

/// The lowest level of operators between items.
pub(super) const LOWEST: u8 = LOGIC;
