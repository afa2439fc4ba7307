//! Arithmetic between series and constants. Constants are folded here: the tree has one at most on
//! a side.

use super::Parser;
use super::item::Item;
use super::operator;
use crate::Place;
use crate::ast::{Arithmetic, Comparison, MetricsExpr, ScalarExpr, Second, Static};
use crate::error::Fault;
use crate::lexer::Op;

impl Parser<'_> {
    /// Series and series, or series and a constant.
    pub(super) fn metrics_arithmetic(
        &self,
        op: Op,
        at: Place,
        lhs: Item,
        rhs: Item,
    ) -> Result<MetricsExpr, Fault> {
        let place = lhs.place().to(rhs.place());
        let known = operator::arithmetic(op).map(|(op, _)| op);
        let known = known.filter(|op| !matches!(op, Arithmetic::Mod | Arithmetic::Pow));
        let Some(op) = known else {
            if let (Item::Scalar(_), Some(_)) = (&lhs, operator::comparison(op)) {
                return Err(self.cannot_join(op, at, &lhs, &rhs));
            }
            return Err(Fault::syntax(at, "`+`, `-`, `*` or `/` between series"));
        };
        let operand = |item| match item {
            Item::Metrics(metrics, _) => Ok(metrics),
            Item::Scalar(scalar) => {
                let place = scalar.place();
                constant(&scalar).map(|value| MetricsExpr::Scalar(value, place))
            }
            item => Err(Fault::syntax(item.place(), "series or a number")),
        };
        let (lhs, rhs) = (Box::new(operand(lhs)?), Box::new(operand(rhs)?));
        for side in [&lhs, &rhs] {
            if let MetricsExpr::Scalar(Static::Duration(_), place) = &**side {
                return Err(Fault::syntax(*place, "a number: durations only compare with series"));
            }
        }
        Ok(MetricsExpr::Arithmetic { op, lhs, rhs, place })
    }

    /// `> 10` behind series.
    pub(super) fn second_comparison(
        &self,
        op: Op,
        at: Place,
        value: &ScalarExpr,
    ) -> Result<Second, Fault> {
        let refuse = || Fault::syntax(at, "a comparison of numbers");
        let op = operator::comparison(op).filter(|op| !Comparison::is_regex(*op));
        let op = op.ok_or_else(refuse)?;
        Ok(Second::Compare { op, value: constant(value)?, place: at.to(value.place()) })
    }
}

/// The number that a constant expression is: integers stay integers, and division truncates.
fn constant(scalar: &ScalarExpr) -> Result<Static, Fault> {
    match scalar {
        ScalarExpr::Static(value, _) => Ok(value.clone()),
        ScalarExpr::Arithmetic { op, lhs, rhs, place } => {
            let (lhs, rhs) = (constant(lhs)?, constant(rhs)?);
            if matches!((&lhs, &rhs), (Static::Duration(_), _) | (_, Static::Duration(_))) {
                return Err(Fault::syntax(*place, "a number: durations are not computed with"));
            }
            let value = crate::fold::arithmetic(*op, &lhs, &rhs);
            value.ok_or_else(|| Fault::syntax(*place, "an expression that is a number"))
        }
        ScalarExpr::Aggregate(aggregate) => {
            Err(Fault::syntax(aggregate.place, "a number: aggregates do not mix with series"))
        }
        ScalarExpr::Pipeline { place, .. } => {
            Err(Fault::syntax(*place, "a number: aggregates do not mix with series"))
        }
    }
}
