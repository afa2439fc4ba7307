//! What parses, and can never match as it was meant.
//!
//! A hint is no error: the query runs. Each brings the query that was probably meant, which parses.

mod condition;
mod mixed;

use crate::ast::{
    FieldExpr, FieldKind, MetricsExpr, MetricsFunction, Pipeline, Query, Root, ScalarExpr,
    SpansetExpr, SpansetKind, Stage,
};
use crate::error::Edit;
use crate::{Place, check, correct, parse};

/// Something in a query that will hardly do what was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    place: Place,
    message: String,
    suggestion: String,
}

impl Hint {
    /// The bytes of the query that it is about.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// What will happen, in one sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The whole query as it was probably meant. It parses.
    #[must_use]
    pub fn suggestion(&self) -> &str {
        &self.suggestion
    }
}

impl std::fmt::Display for Hint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; did you mean: {}", self.message, self.suggestion)
    }
}

/// The most hints of one query.
const HINTS_MAX: usize = 8;

/// Longer texts were not written by hand.
const TEXT_BYTES_MAX: usize = 8 << 10;

/// What in a query will hardly do what was meant, in the order of the text; at most 8. Nothing for a
/// text that is no query, or longer than 8 KiB.
#[must_use]
pub fn hints(text: &str) -> Vec<Hint> {
    if text.len() > TEXT_BYTES_MAX {
        return Vec::new();
    }
    let Ok(query) = parse(text) else { return Vec::new() };
    let mut found = Found::default();
    found.query(&query);
    mixed::find(text, &mut found);
    found.remarks.sort_by_key(|remark| remark.place.start);
    let hints = found.remarks.into_iter().filter_map(|remark| remark.hint(text));
    hints.take(HINTS_MAX).collect()
}

/// A hint before its suggestion is tried.
#[derive(Debug)]
struct Remark {
    place: Place,
    message: String,
    edits: Vec<Edit>,
}

impl Remark {
    /// One whose place reads otherwise.
    fn replace(place: Place, text: impl Into<String>, message: impl Into<String>) -> Self {
        let edits = vec![Edit { place, text: text.into() }];
        Self { place, message: message.into(), edits }
    }

    fn hint(self, text: &str) -> Option<Hint> {
        let suggestion = correct::apply(text, self.edits)?;
        parse(&suggestion).ok()?;
        Some(Hint { place: self.place, message: self.message, suggestion })
    }
}

#[derive(Debug, Default)]
struct Found {
    remarks: Vec<Remark>,
}

impl Found {
    fn query(&mut self, query: &Query) {
        match &query.root {
            Root::Spans(pipeline) => self.pipeline(pipeline),
            Root::Metrics(metrics) => self.metrics(metrics),
        }
        for with in query.with.iter().filter(|with| !check::is_setting(&with.name)) {
            if let Some(near) = check::near_setting(&with.name) {
                let text = format!("{near}={}", with.value);
                let message = format!("there is no setting `{}`, it has no effect", with.name);
                self.remarks.push(Remark::replace(with.place, text, message));
            }
        }
    }

    fn metrics(&mut self, metrics: &MetricsExpr) {
        match metrics {
            MetricsExpr::Query(query) => {
                self.pipeline(&query.pipeline);
                if let MetricsFunction::Compare(compare) = &query.function {
                    compare.selection.iter().for_each(|expr| self.expr(expr));
                }
            }
            MetricsExpr::Scalar(..) => {}
            MetricsExpr::Arithmetic { lhs, rhs, .. } => {
                self.metrics(lhs);
                self.metrics(rhs);
            }
            MetricsExpr::Second { of, .. } => self.metrics(of),
        }
    }

    fn pipeline(&mut self, pipeline: &Pipeline) {
        for stage in &pipeline.stages {
            match stage {
                Stage::Spanset(spanset) => self.spanset(spanset),
                Stage::Filter(filter) => {
                    self.scalar(&filter.lhs);
                    self.scalar(&filter.rhs);
                }
                Stage::By(_) | Stage::Coalesce(_) | Stage::Select(_) => {}
            }
        }
    }

    fn scalar(&mut self, scalar: &ScalarExpr) {
        match scalar {
            ScalarExpr::Pipeline { pipeline, .. } => self.pipeline(pipeline),
            ScalarExpr::Arithmetic { lhs, rhs, .. } => {
                self.scalar(lhs);
                self.scalar(rhs);
            }
            ScalarExpr::Static(..) | ScalarExpr::Aggregate(_) => {}
        }
    }

    fn spanset(&mut self, spanset: &SpansetExpr) {
        match &spanset.kind {
            SpansetKind::Filter(None) => {}
            SpansetKind::Filter(Some(expr)) => {
                self.remarks.extend(condition::two_values(expr, spanset.place));
                self.expr(expr);
            }
            SpansetKind::All(operands) | SpansetKind::Any(operands) => {
                operands.iter().for_each(|operand| self.spanset(operand));
            }
            SpansetKind::Structural { lhs, rhs, .. } => {
                self.spanset(lhs);
                self.spanset(rhs);
            }
            SpansetKind::Pipeline(pipeline) => self.pipeline(pipeline),
        }
    }

    fn expr(&mut self, expr: &FieldExpr) {
        match &expr.kind {
            FieldKind::Static(_) => {}
            FieldKind::Field(field) => {
                self.remarks.extend(condition::operator_in_name(field, expr));
            }
            FieldKind::Negate(of) | FieldKind::Not(of) => self.expr(of),
            FieldKind::Arithmetic { lhs, rhs, .. } => {
                self.expr(lhs);
                self.expr(rhs);
            }
            FieldKind::Compare { op, lhs, rhs } => {
                self.remarks.extend(condition::comparison(*op, lhs, rhs, expr.place));
                self.expr(lhs);
                self.expr(rhs);
            }
            FieldKind::All(operands) | FieldKind::Any(operands) => {
                operands.iter().for_each(|operand| self.expr(operand));
            }
        }
    }
}

#[cfg(test)]
mod tests;
