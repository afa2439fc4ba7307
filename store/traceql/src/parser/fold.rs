//! Pipelines: items joined by `|`, and what they are together.

use super::item::{Item, LOWEST};
use super::{Deep, Parser};
use crate::Place;
use crate::ast::{
    Aggregate, MetricsExpr, MetricsQuery, Pipeline, ScalarExpr, Second, SpansetExpr, SpansetKind,
    Stage,
};
use crate::error::Fault;
use crate::lexer::{Op, Tok};

/// What items that are joined by `|` are together.
#[derive(Debug)]
pub(super) enum Folded {
    /// Spansets; at least one stage.
    Stages(Vec<Stage>),
    /// One number and no pipe.
    Scalar(ScalarExpr),
    /// Spansets and a number of each: an operand of a comparison.
    Aggregated(Vec<Stage>, Aggregate),
    /// Series.
    Metrics(MetricsExpr),
}

impl Folded {
    /// The item that it is in parentheses.
    pub(super) fn in_parentheses(self, place: Place) -> Item {
        match self {
            Self::Stages(mut stages) => match (stages.pop(), stages.is_empty()) {
                (Some(Stage::Spanset(spanset)), true) => {
                    Item::Spanset(SpansetExpr { place, ..spanset })
                }
                (last, _) => {
                    stages.extend(last);
                    let kind = SpansetKind::Pipeline(Pipeline { stages });
                    Item::Spanset(SpansetExpr { kind, place })
                }
            },
            Self::Scalar(scalar) => Item::Scalar(scalar.at(place)),
            Self::Aggregated(stages, aggregate) => {
                let pipeline = Pipeline { stages };
                Item::Scalar(ScalarExpr::Pipeline { pipeline, aggregate, place })
            }
            Self::Metrics(metrics) => Item::Metrics(metrics.at(place), place),
        }
    }
}

impl Parser<'_> {
    /// Items up to what can be none.
    pub(super) fn pipeline(&mut self) -> Result<Deep<Folded>, Fault> {
        self.enter()?;
        let start = self.place().start;
        let outer = std::mem::replace(&mut self.pipeline_start, start);
        let first = self.item(LOWEST)?;
        let mut depth = first.depth;
        let mut folded = self.first(first.node)?;
        while self.op() == Some(Op::Pipe) {
            let pipe = self.place();
            self.bump();
            if matches!(self.tok(), Tok::End | Tok::CloseParen) {
                return Err(self.expected("a stage behind the pipe").edit(pipe, ""));
            }
            let item = self.item(LOWEST)?;
            // The stages are one level below the pipeline.
            depth = depth.max(item.depth + 1);
            folded = self.then(folded, item.node)?;
        }
        self.pipeline_start = outer;
        self.leave();
        self.above(folded, depth - 1, 0)
    }

    fn first(&self, item: Item) -> Result<Folded, Fault> {
        Ok(match item {
            Item::Spanset(spanset) => Folded::Stages(vec![Stage::Spanset(spanset)]),
            Item::Filter(filter) => Folded::Stages(vec![Stage::Filter(filter)]),
            Item::Stages(stages, _) => Folded::Stages(stages),
            Item::Scalar(scalar) => Folded::Scalar(scalar),
            Item::Metrics(metrics, _) => Folded::Metrics(metrics),
            Item::Function { place, .. } | Item::Second(_, place) => {
                let fault = Fault::syntax(place, "spans before it: `{ … } | …`");
                return Err(fault.insert(place.start, "{ } | "));
            }
        })
    }

    fn then(&self, before: Folded, item: Item) -> Result<Folded, Fault> {
        let place = item.place();
        let mut stages = match before {
            Folded::Stages(stages) => stages,
            Folded::Metrics(metrics) => return after_metrics(metrics, item),
            Folded::Scalar(scalar) => return Err(self.lone_scalar(&scalar)),
            Folded::Aggregated(_, aggregate) => return Err(self.lone_aggregate(&aggregate)),
        };
        match item {
            Item::Spanset(spanset) => stages.push(Stage::Spanset(spanset)),
            Item::Filter(filter) => stages.push(Stage::Filter(filter)),
            Item::Stages(more, _) => stages.extend(more),
            Item::Scalar(ScalarExpr::Aggregate(aggregate)) => {
                return Ok(Folded::Aggregated(stages, aggregate));
            }
            Item::Scalar(scalar) => return Err(self.lone_scalar(&scalar)),
            Item::Function { function, by, place, second } => {
                let query = MetricsQuery { pipeline: Pipeline { stages }, function, by, place };
                return Ok(Folded::Metrics(MetricsExpr::Query(query).then(second)));
            }
            Item::Second(..) => {
                let fault = Fault::syntax(place, "a function over time before it");
                return Err(fault.insert(place.start, "rate() | "));
            }
            Item::Metrics(..) => {
                return Err(Fault::syntax(place, "series at the beginning of a query only"));
            }
        }
        Ok(Folded::Stages(stages))
    }
}

/// What may stand behind series.
fn after_metrics(metrics: MetricsExpr, item: Item) -> Result<Folded, Fault> {
    match item {
        Item::Second(second, _) => Ok(Folded::Metrics(metrics.then(second))),
        item => {
            let expected = "`topk(n)`, `bottomk(n)` or a comparison behind a function over time";
            Err(Fault::syntax(item.place(), expected))
        }
    }
}

impl MetricsExpr {
    /// The same with more done to it afterwards.
    pub(super) fn then(self, more: Vec<Second>) -> Self {
        match self {
            of if more.is_empty() => of,
            Self::Second { of, mut stages } => {
                stages.extend(more);
                Self::Second { of, stages }
            }
            of => Self::Second { of: Box::new(of), stages: more },
        }
    }

    /// The same in parentheses.
    fn at(self, at: Place) -> Self {
        match self {
            Self::Scalar(value, _) => Self::Scalar(value, at),
            Self::Arithmetic { op, lhs, rhs, .. } => Self::Arithmetic { op, lhs, rhs, place: at },
            other => other,
        }
    }
}

impl ScalarExpr {
    /// The same in parentheses.
    fn at(self, at: Place) -> Self {
        match self {
            Self::Static(value, _) => Self::Static(value, at),
            Self::Arithmetic { op, lhs, rhs, .. } => Self::Arithmetic { op, lhs, rhs, place: at },
            Self::Aggregate(aggregate) => Self::Aggregate(Aggregate { place: at, ..aggregate }),
            Self::Pipeline { pipeline, aggregate, .. } => {
                Self::Pipeline { pipeline, aggregate, place: at }
            }
        }
    }
}
