//! The same query in a simpler form: constants computed, literals on the right, nothing that is
//! always true.

use crate::Regex;
use crate::ast::{
    Aggregate, FieldExpr, FieldKind, MetricsExpr, MetricsFunction, Pipeline, Query, Root,
    ScalarExpr, ScalarFilter, SpansetExpr, SpansetKind, Stage, Static,
};
use crate::fold;

/// The same query in its normal form. It matches the same spans; places are those of the text.
///
/// Afterwards no arithmetic is of two literals only (but where it has no value, as `1 / 0`); a
/// comparison has a literal on its right side only, but for a regex's; `&&` and `||` have no literal
/// operand; a filter that is always true is `{ }`.
#[must_use]
pub fn normal(query: Query) -> Query {
    let root = match query.root {
        Root::Spans(pipeline) => Root::Spans(of_pipeline(pipeline)),
        Root::Metrics(metrics) => Root::Metrics(of_metrics(metrics)),
    };
    Query { root, ..query }
}

/// The same expression in its normal form; see [`normal`].
#[must_use]
pub fn normal_expr(expr: FieldExpr) -> FieldExpr {
    let kind = match expr.kind {
        kind @ (FieldKind::Static(_) | FieldKind::Field(_)) => kind,
        FieldKind::Negate(of) => negated(normal_expr(*of)),
        FieldKind::Not(of) => match normal_expr(*of) {
            FieldExpr { kind: FieldKind::Static(Static::Bool(value)), .. } => {
                FieldKind::Static(Static::Bool(!value))
            }
            of => FieldKind::Not(Box::new(of)),
        },
        FieldKind::Arithmetic { op, lhs, rhs } => {
            let (lhs, rhs) = (normal_expr(*lhs), normal_expr(*rhs));
            let value = match (&lhs.kind, &rhs.kind) {
                (FieldKind::Static(a), FieldKind::Static(b)) => fold::arithmetic(op, a, b),
                _ => None,
            };
            match value {
                Some(value) => FieldKind::Static(value),
                None => FieldKind::Arithmetic { op, lhs: Box::new(lhs), rhs: Box::new(rhs) },
            }
        }
        FieldKind::Compare { op, lhs, rhs } => comparison(op, normal_expr(*lhs), normal_expr(*rhs)),
        FieldKind::All(operands) => logic(operands, true),
        FieldKind::Any(operands) => logic(operands, false),
    };
    FieldExpr { kind, place: expr.place }
}

fn negated(of: FieldExpr) -> FieldKind {
    let value = match &of.kind {
        FieldKind::Static(Static::Int(value)) => value.checked_neg().map(Static::Int),
        FieldKind::Static(Static::Duration(value)) => value.checked_neg().map(Static::Duration),
        FieldKind::Static(Static::Float(value)) => Some(Static::Float(-value)),
        _ => None,
    };
    match value {
        Some(value) => FieldKind::Static(value),
        None => FieldKind::Negate(Box::new(of)),
    }
}

fn comparison(op: crate::ast::Comparison, lhs: FieldExpr, rhs: FieldExpr) -> FieldKind {
    let value = match (&lhs.kind, &rhs.kind) {
        (FieldKind::Static(Static::Text(value)), FieldKind::Static(Static::Text(pattern)))
            if op.is_regex() =>
        {
            let matches = Regex::new(pattern).map(|regex| regex.is_match(value));
            matches.ok().map(|matches| matches == (op == crate::ast::Comparison::Match))
        }
        (FieldKind::Static(a), FieldKind::Static(b)) => Some(fold::compare(op, a, b)),
        _ => None,
    };
    if let Some(value) = value {
        return FieldKind::Static(Static::Bool(value));
    }
    let is_left = matches!(lhs.kind, FieldKind::Static(_));
    match op.flipped() {
        Some(op) if is_left => FieldKind::Compare { op, lhs: Box::new(rhs), rhs: Box::new(lhs) },
        _ => FieldKind::Compare { op, lhs: Box::new(lhs), rhs: Box::new(rhs) },
    }
}

/// Operands of `&&`, of which `true` says nothing, or of `||`, of which `false` does.
fn logic(operands: Vec<FieldExpr>, neutral: bool) -> FieldKind {
    let mut kept: Vec<FieldExpr> = Vec::new();
    for operand in operands.into_iter().map(normal_expr) {
        match operand.kind {
            FieldKind::Static(Static::Bool(value)) if value == neutral => {}
            FieldKind::Static(Static::Bool(value)) => {
                return FieldKind::Static(Static::Bool(value));
            }
            // What was left of another chain may be a chain of this kind.
            FieldKind::All(inner) if neutral => kept.extend(inner),
            FieldKind::Any(inner) if !neutral => kept.extend(inner),
            kind => kept.push(FieldExpr { kind, place: operand.place }),
        }
    }
    match kept.pop() {
        None => FieldKind::Static(Static::Bool(neutral)),
        Some(only) if kept.is_empty() => only.kind,
        Some(last) => {
            kept.push(last);
            if neutral { FieldKind::All(kept) } else { FieldKind::Any(kept) }
        }
    }
}

fn of_pipeline(pipeline: Pipeline) -> Pipeline {
    let stages = pipeline.stages.into_iter().map(|stage| match stage {
        Stage::Spanset(spanset) => Stage::Spanset(of_spanset(spanset)),
        Stage::Filter(ScalarFilter { op, lhs, rhs, place }) => {
            let (lhs, rhs) = (of_scalar(lhs), of_scalar(rhs));
            Stage::Filter(ScalarFilter { op, lhs, rhs, place })
        }
        Stage::By(expr) => Stage::By(normal_expr(expr)),
        stage @ (Stage::Coalesce(_) | Stage::Select(_)) => stage,
    });
    Pipeline { stages: stages.collect() }
}

fn of_spanset(spanset: SpansetExpr) -> SpansetExpr {
    let boxed = |of: Box<SpansetExpr>| Box::new(of_spanset(*of));
    let kind = match spanset.kind {
        SpansetKind::Filter(expr) => SpansetKind::Filter(condition(expr)),
        SpansetKind::All(of) => SpansetKind::All(of.into_iter().map(of_spanset).collect()),
        SpansetKind::Any(of) => SpansetKind::Any(of.into_iter().map(of_spanset).collect()),
        SpansetKind::Structural { relation, keep, lhs, rhs } => {
            SpansetKind::Structural { relation, keep, lhs: boxed(lhs), rhs: boxed(rhs) }
        }
        SpansetKind::Pipeline(pipeline) => SpansetKind::Pipeline(of_pipeline(pipeline)),
    };
    SpansetExpr { kind, place: spanset.place }
}

/// What stands in braces: nothing where it is always true.
fn condition(expr: Option<FieldExpr>) -> Option<FieldExpr> {
    expr.map(normal_expr).filter(|expr| !matches!(expr.kind, FieldKind::Static(Static::Bool(true))))
}

fn of_scalar(scalar: ScalarExpr) -> ScalarExpr {
    match scalar {
        ScalarExpr::Arithmetic { op, lhs, rhs, place } => {
            let (lhs, rhs) = (of_scalar(*lhs), of_scalar(*rhs));
            let value = match (&lhs, &rhs) {
                (ScalarExpr::Static(a, _), ScalarExpr::Static(b, _)) => fold::arithmetic(op, a, b),
                _ => None,
            };
            match value {
                Some(value) => ScalarExpr::Static(value, place),
                None => {
                    ScalarExpr::Arithmetic { op, lhs: Box::new(lhs), rhs: Box::new(rhs), place }
                }
            }
        }
        ScalarExpr::Aggregate(aggregate) => ScalarExpr::Aggregate(of_aggregate(aggregate)),
        ScalarExpr::Pipeline { pipeline, aggregate, place } => {
            let (pipeline, aggregate) = (of_pipeline(pipeline), of_aggregate(aggregate));
            ScalarExpr::Pipeline { pipeline, aggregate, place }
        }
        scalar @ ScalarExpr::Static(..) => scalar,
    }
}

fn of_aggregate(aggregate: Aggregate) -> Aggregate {
    Aggregate { of: aggregate.of.map(normal_expr), ..aggregate }
}

fn of_metrics(metrics: MetricsExpr) -> MetricsExpr {
    let boxed = |of: Box<MetricsExpr>| Box::new(of_metrics(*of));
    match metrics {
        MetricsExpr::Query(mut query) => {
            query.pipeline = of_pipeline(query.pipeline);
            if let MetricsFunction::Compare(compare) = &mut query.function {
                compare.selection = condition(compare.selection.take());
            }
            MetricsExpr::Query(query)
        }
        MetricsExpr::Arithmetic { op, lhs, rhs, place } => {
            MetricsExpr::Arithmetic { op, lhs: boxed(lhs), rhs: boxed(rhs), place }
        }
        MetricsExpr::Second { of, stages } => MetricsExpr::Second { of: boxed(of), stages },
        metrics @ MetricsExpr::Scalar(..) => metrics,
    }
}
