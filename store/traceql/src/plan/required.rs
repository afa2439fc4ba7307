//! Which filters have to match for a trace to be in a result.

use crate::ast::{FieldExpr, Keep, Pipeline, SpansetExpr, SpansetKind, Stage};

/// Groups of filters: for a trace to be in the result, in each group at least one filter has to be
/// true for at least one of its spans. None at all: every trace may be.
///
/// `{ a } >> { b }` gives `[[a], [b]]`, `{ a } || { b }` gives `[[a, b]]`; `{ a } !>> { b }` gives
/// `[[b]]`, as `a` may match nowhere.
#[must_use]
pub fn required(pipeline: &Pipeline) -> Vec<Vec<&FieldExpr>> {
    let spansets = pipeline.stages.iter().filter_map(|stage| match stage {
        Stage::Spanset(spanset) => Some(spanset),
        _ => None,
    });
    spansets.flat_map(of_spanset).collect()
}

/// The most groups that are made of one `||`; more are left out.
const GROUPS_MAX: usize = 16;

fn of_spanset(spanset: &SpansetExpr) -> Vec<Vec<&FieldExpr>> {
    match &spanset.kind {
        SpansetKind::Filter(None) => Vec::new(),
        SpansetKind::Filter(Some(expr)) => vec![vec![expr]],
        SpansetKind::All(operands) => operands.iter().flat_map(of_spanset).collect(),
        SpansetKind::Any(operands) => any(operands),
        SpansetKind::Structural { keep: Keep::Unmatched, rhs, .. } => of_spanset(rhs),
        SpansetKind::Structural { lhs, rhs, .. } => {
            let mut both = of_spanset(lhs);
            both.extend(of_spanset(rhs));
            both
        }
        SpansetKind::Pipeline(pipeline) => required(pipeline),
    }
}

fn any(operands: &[SpansetExpr]) -> Vec<Vec<&FieldExpr>> {
    let mut operands = operands.iter().map(of_spanset);
    let Some(mut groups) = operands.next() else { return Vec::new() };
    for more in operands {
        let either = |group: &Vec<_>, other: &Vec<_>| group.iter().chain(other).copied().collect();
        groups = groups
            .iter()
            .flat_map(|group| more.iter().map(move |other| either(group, other)))
            .take(GROUPS_MAX)
            .collect();
    }
    groups
}
