//! Which fields a query reads, and which it shows.

use std::collections::BTreeSet;

use crate::ast::{
    Aggregate, Field, FieldExpr, FieldKind, Intrinsic, Key, MetricsExpr, MetricsFunction, Pipeline,
    Query, Root, ScalarExpr, SpansetExpr, SpansetKind, Stage, Whose,
};

/// What a query reads of spans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// The fields, each once.
    pub fields: BTreeSet<Field>,
    /// Whether it needs to know how the spans of a trace are related: for a structural operator, a
    /// nested-set number, or something of the parent or the children.
    pub structure: bool,
}

/// What a query reads of spans, wherever it does so: filters, aggregates, groups, selections.
#[must_use]
pub fn reads(query: &Query) -> Reads {
    let mut reads = Reads::default();
    match &query.root {
        Root::Spans(pipeline) => reads.pipeline(pipeline),
        Root::Metrics(metrics) => reads.metrics(metrics),
    }
    reads
}

/// What `select(…)` asks for, in the order of the text, each once.
#[must_use]
pub fn selected(query: &Query) -> Vec<Field> {
    let mut fields = Vec::new();
    match &query.root {
        Root::Spans(pipeline) => selected_of(pipeline, &mut fields),
        // Series carry no fields of spans.
        Root::Metrics(_) => {}
    }
    fields
}

fn selected_of(pipeline: &Pipeline, fields: &mut Vec<Field>) {
    for stage in &pipeline.stages {
        match stage {
            Stage::Select(more) => {
                for field in more {
                    if !fields.contains(field) {
                        fields.push(field.clone());
                    }
                }
            }
            Stage::Spanset(spanset) => selected_within(spanset, fields),
            Stage::Filter(_) | Stage::By(_) | Stage::Coalesce(_) => {}
        }
    }
}

fn selected_within(spanset: &SpansetExpr, fields: &mut Vec<Field>) {
    match &spanset.kind {
        SpansetKind::Filter(_) => {}
        SpansetKind::All(operands) | SpansetKind::Any(operands) => {
            operands.iter().for_each(|operand| selected_within(operand, fields));
        }
        SpansetKind::Structural { lhs, rhs, .. } => {
            selected_within(lhs, fields);
            selected_within(rhs, fields);
        }
        SpansetKind::Pipeline(pipeline) => selected_of(pipeline, fields),
    }
}

impl Reads {
    fn field(&mut self, field: &Field) {
        let related = [
            Intrinsic::Parent,
            Intrinsic::ChildCount,
            Intrinsic::NestedSetLeft,
            Intrinsic::NestedSetRight,
            Intrinsic::NestedSetParent,
        ];
        self.structure |= field.whose == Whose::Parent
            || matches!(field.key, Key::Intrinsic(intrinsic) if related.contains(&intrinsic));
        if !self.fields.contains(field) {
            self.fields.insert(field.clone());
        }
    }

    fn expr(&mut self, expr: &FieldExpr) {
        match &expr.kind {
            FieldKind::Static(_) => {}
            FieldKind::Field(field) => self.field(field),
            FieldKind::Negate(of) | FieldKind::Not(of) => self.expr(of),
            FieldKind::Arithmetic { lhs, rhs, .. } | FieldKind::Compare { lhs, rhs, .. } => {
                self.expr(lhs);
                self.expr(rhs);
            }
            FieldKind::All(operands) | FieldKind::Any(operands) => {
                operands.iter().for_each(|operand| self.expr(operand));
            }
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
                Stage::By(expr) => self.expr(expr),
                Stage::Coalesce(_) => {}
                Stage::Select(fields) => fields.iter().for_each(|field| self.field(field)),
            }
        }
    }

    fn spanset(&mut self, spanset: &SpansetExpr) {
        match &spanset.kind {
            SpansetKind::Filter(expr) => expr.iter().for_each(|expr| self.expr(expr)),
            SpansetKind::All(operands) | SpansetKind::Any(operands) => {
                operands.iter().for_each(|operand| self.spanset(operand));
            }
            SpansetKind::Structural { lhs, rhs, .. } => {
                self.structure = true;
                self.spanset(lhs);
                self.spanset(rhs);
            }
            SpansetKind::Pipeline(pipeline) => self.pipeline(pipeline),
        }
    }

    fn scalar(&mut self, scalar: &ScalarExpr) {
        match scalar {
            ScalarExpr::Static(..) => {}
            ScalarExpr::Aggregate(aggregate) => self.aggregate(aggregate),
            ScalarExpr::Pipeline { pipeline, aggregate, .. } => {
                self.pipeline(pipeline);
                self.aggregate(aggregate);
            }
            ScalarExpr::Arithmetic { lhs, rhs, .. } => {
                self.scalar(lhs);
                self.scalar(rhs);
            }
        }
    }

    fn aggregate(&mut self, aggregate: &Aggregate) {
        aggregate.of.iter().for_each(|of| self.expr(of));
    }

    fn metrics(&mut self, metrics: &MetricsExpr) {
        match metrics {
            MetricsExpr::Query(query) => {
                self.pipeline(&query.pipeline);
                query.by.iter().for_each(|field| self.field(field));
                match &query.function {
                    MetricsFunction::Rate | MetricsFunction::Count => {}
                    MetricsFunction::Over(_, field)
                    | MetricsFunction::Quantile(field, _)
                    | MetricsFunction::Histogram(field) => self.field(field),
                    MetricsFunction::Compare(compare) => {
                        compare.selection.iter().for_each(|expr| self.expr(expr));
                    }
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
}
