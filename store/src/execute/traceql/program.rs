//! A query, compiled for the evaluator.

use traceql::ast::{
    Aggregate, AggregateKind, Arithmetic, Comparison, Field, FieldExpr, Keep, MetricsExpr,
    Pipeline, Query, Relation, Root, ScalarExpr, ScalarFilter, SpansetExpr, SpansetKind, Stage,
    Static,
};
use traceql::plan;

use super::expr::{Bound, Expr, Fields, Scalar};
use super::field::is_local;
use super::rows::Rows;

/// A pipeline and what it reads.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) fields: Fields,
    pub(super) filters: Vec<Filter>,
    pub(super) stages: Vec<Step>,
    /// For a trace to be found, of each group one filter has to be true somewhere in it.
    pub(super) groups: Vec<Vec<usize>>,
    /// The fields that spans of the answer carry, by number.
    pub(super) shown: Vec<usize>,
    /// Whether each span is judged by itself: one filter that reads nothing else.
    pub(super) is_plain: bool,
    /// Whether something reads how spans are related.
    pub(super) structure: bool,
}

/// `{ … }`
#[derive(Debug)]
pub(super) struct Filter {
    /// Nothing lets everything through.
    pub(super) expr: Option<Expr>,
    /// What storage is asked with.
    pub(super) source: Option<FieldExpr>,
}

/// A stage.
#[derive(Debug)]
pub(super) enum Step {
    Spanset(Spanset),
    Filter(Comparison, Number, Number),
    By(Scalar, String),
    Coalesce,
}

#[derive(Debug)]
pub(super) enum Spanset {
    Filter(usize),
    All(Vec<Self>),
    Any(Vec<Self>),
    Structural(Relation, Keep, Box<Self>, Box<Self>),
    Pipeline(Vec<Step>),
}

/// A number of a spanset.
#[derive(Debug)]
pub(super) enum Number {
    Static(Static),
    Aggregate(Total),
    Pipeline(Vec<Step>, Total),
    Arithmetic(Arithmetic, Box<Self>, Box<Self>),
}

/// An aggregate.
#[derive(Debug)]
pub(super) struct Total {
    pub(super) kind: AggregateKind,
    pub(super) of: Option<Scalar>,
    pub(super) label: String,
}

/// While filters get their numbers.
struct Compiler<'q> {
    fields: Fields,
    filters: Vec<Filter>,
    /// The expression of each filter in the tree of the query.
    sources: Vec<Option<&'q FieldExpr>>,
}

impl Program {
    /// Compiles the pipeline of a query (of a metrics query, the first one).
    pub(super) fn new(query: &Query) -> Self {
        let normal = plan::normal(query.clone());
        match &normal.root {
            Root::Spans(pipeline) => {
                let mut program = Self::of_pipeline(pipeline, &[]);
                program.shown = plan::selected(query)
                    .iter()
                    .map(|field| program.fields.number(field))
                    .collect();
                plan::reads(query).fields.iter().for_each(|field| program.show(field));
                // What is shown may need more than what is judged: the normal form reads less.
                program.structure |= program.fields.list().iter().any(|field| !is_local(field));
                program
            }
            Root::Metrics(metrics) => {
                let first = first_query(metrics);
                first.map_or_else(Self::everything, |first| Self::of_pipeline(&first.pipeline, &[]))
            }
        }
    }

    /// Has spans of the answer carry a field, behind others.
    pub(super) fn show(&mut self, field: &Field) {
        let number = self.fields.number(field);
        if !self.shown.contains(&number) {
            self.shown.push(number);
        }
    }

    /// Compiles a pipeline that is in its normal form, and looks up more fields.
    pub(super) fn of_pipeline(pipeline: &Pipeline, more: &[&Field]) -> Self {
        let mut compiler =
            Compiler { fields: Fields::default(), filters: Vec::new(), sources: Vec::new() };
        let stages = compiler.pipeline(pipeline);
        let required = plan::required(pipeline);
        let number = |expr: &&FieldExpr| {
            let same = |source: &Option<&FieldExpr>| source.is_some_and(|s| std::ptr::eq(s, *expr));
            compiler.sources.iter().position(same)
        };
        let groups = required.iter().map(|group| group.iter().filter_map(number).collect());
        let groups = groups.collect();
        let mut fields = compiler.fields;
        for field in more {
            fields.number(field);
        }
        let filters = compiler.filters;
        let is_plain = match stages.as_slice() {
            [Step::Spanset(Spanset::Filter(at))] => {
                filters[*at].expr.as_ref().is_none_or(|expr| expr.is_local)
            }
            _ => false,
        };
        let structure = reads_structure(pipeline) || fields.list().iter().any(|f| !is_local(f));
        Self { fields, filters, stages, groups, shown: Vec::new(), is_plain, structure }
    }

    /// The program of `{ }`.
    pub(super) fn everything() -> Self {
        let filters = vec![Filter { expr: None, source: None }];
        Self {
            fields: Fields::default(),
            filters,
            stages: vec![Step::Spanset(Spanset::Filter(0))],
            groups: Vec::new(),
            shown: Vec::new(),
            is_plain: true,
            structure: false,
        }
    }

    /// The program of one filter.
    pub(super) fn of_filter(filter: Option<&FieldExpr>) -> Self {
        let Some(filter) = filter else { return Self::everything() };
        let filter = plan::normal_expr(filter.clone());
        let place = filter.place;
        let kind = SpansetKind::Filter(Some(filter));
        let stages = vec![Stage::Spanset(SpansetExpr { kind, place })];
        Self::of_pipeline(&Pipeline { stages }, &[])
    }

    /// For each filter, the rows that may match; exactly those where it is local.
    pub(super) fn narrow(&self, bound: &Bound<'_>, within: &Rows) -> Vec<Rows> {
        let narrow = |filter: &Filter| match &filter.expr {
            Some(expr) => expr.narrow(bound, within),
            None => within.clone(),
        };
        self.filters.iter().map(narrow).collect()
    }
}

fn first_query(metrics: &MetricsExpr) -> Option<&traceql::ast::MetricsQuery> {
    match metrics {
        MetricsExpr::Query(query) => Some(query),
        MetricsExpr::Scalar(..) => None,
        MetricsExpr::Arithmetic { lhs, rhs, .. } => first_query(lhs).or_else(|| first_query(rhs)),
        MetricsExpr::Second { of, .. } => first_query(of),
    }
}

fn reads_structure(pipeline: &Pipeline) -> bool {
    let query = Query { root: Root::Spans(pipeline.clone()), with: Vec::new() };
    plan::reads(&query).structure
}

impl<'q> Compiler<'q> {
    fn pipeline(&mut self, pipeline: &'q Pipeline) -> Vec<Step> {
        pipeline.stages.iter().filter_map(|stage| self.stage(stage)).collect()
    }

    fn stage(&mut self, stage: &'q Stage) -> Option<Step> {
        Some(match stage {
            Stage::Spanset(spanset) => Step::Spanset(self.spanset(spanset)),
            Stage::Filter(ScalarFilter { op, lhs, rhs, .. }) => {
                Step::Filter(*op, self.number(lhs), self.number(rhs))
            }
            Stage::By(expr) => Step::By(Scalar::new(expr, &mut self.fields), format!("by({expr})")),
            Stage::Coalesce(_) => Step::Coalesce,
            Stage::Select(fields) => {
                for field in fields {
                    self.fields.number(field);
                }
                return None;
            }
        })
    }

    fn spanset(&mut self, spanset: &'q SpansetExpr) -> Spanset {
        match &spanset.kind {
            SpansetKind::Filter(expr) => {
                let compiled = expr.as_ref().map(|expr| Expr::new(expr, &mut self.fields));
                self.filters.push(Filter { expr: compiled, source: expr.clone() });
                self.sources.push(expr.as_ref());
                Spanset::Filter(self.filters.len() - 1)
            }
            SpansetKind::All(operands) => {
                Spanset::All(operands.iter().map(|operand| self.spanset(operand)).collect())
            }
            SpansetKind::Any(operands) => {
                Spanset::Any(operands.iter().map(|operand| self.spanset(operand)).collect())
            }
            SpansetKind::Structural { relation, keep, lhs, rhs } => {
                let (lhs, rhs) = (self.spanset(lhs), self.spanset(rhs));
                Spanset::Structural(*relation, *keep, Box::new(lhs), Box::new(rhs))
            }
            SpansetKind::Pipeline(pipeline) => Spanset::Pipeline(self.pipeline(pipeline)),
        }
    }

    fn number(&mut self, scalar: &'q ScalarExpr) -> Number {
        match scalar {
            ScalarExpr::Static(value, _) => Number::Static(value.clone()),
            ScalarExpr::Aggregate(aggregate) => Number::Aggregate(self.total(aggregate)),
            ScalarExpr::Pipeline { pipeline, aggregate, .. } => {
                let steps = self.pipeline(pipeline);
                Number::Pipeline(steps, self.total(aggregate))
            }
            ScalarExpr::Arithmetic { op, lhs, rhs, .. } => {
                let (lhs, rhs) = (self.number(lhs), self.number(rhs));
                Number::Arithmetic(*op, Box::new(lhs), Box::new(rhs))
            }
        }
    }

    fn total(&mut self, aggregate: &Aggregate) -> Total {
        let of = aggregate.of.as_ref().map(|of| Scalar::new(of, &mut self.fields));
        Total { kind: aggregate.kind, of, label: aggregate.to_string() }
    }
}
