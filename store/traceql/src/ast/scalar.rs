//! Expressions over one spanset: aggregates, and the comparison that keeps a spanset.

use super::{Arithmetic, Comparison, FieldExpr, Pipeline, Static};
use crate::Place;

/// Keeps a spanset for which a comparison holds: `count() > 2`. A side reads at least one aggregate.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalarFilter {
    /// The operator; never one of a regex.
    pub op: Comparison,
    /// The left side.
    pub lhs: ScalarExpr,
    /// The right side.
    pub rhs: ScalarExpr,
    /// Where it stands.
    pub place: Place,
}

/// A number for each spanset.
#[derive(Clone, Debug, PartialEq)]
pub enum ScalarExpr {
    /// A number or a duration.
    Static(Static, Place),
    /// `count()`, `avg(x)`, …
    Aggregate(Aggregate),
    /// `( … | count())`: the spanset goes into a pipeline of its own, and the aggregate is of all
    /// spans that leave it. At least one stage.
    Pipeline {
        /// What runs before.
        pipeline: Pipeline,
        /// What is made of the spans that are left.
        aggregate: Aggregate,
        /// Where it stands, with its parentheses.
        place: Place,
    },
    /// `x + y` and the like.
    Arithmetic {
        /// The operator.
        op: Arithmetic,
        /// The left operand.
        lhs: Box<Self>,
        /// The right operand.
        rhs: Box<Self>,
        /// Where it stands; in parentheses, with them.
        place: Place,
    },
}

/// One number of the spans of a spanset.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// How.
    pub kind: AggregateKind,
    /// Of what: nothing for [`AggregateKind::Count`], else a number that reads the span. Spans
    /// without it do not take part.
    pub of: Option<FieldExpr>,
    /// Where it stands.
    pub place: Place,
}

/// How spans are made one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AggregateKind {
    /// How many spans.
    Count,
    /// The smallest value.
    Min,
    /// The largest value.
    Max,
    /// All values together.
    Sum,
    /// The mean value.
    Avg,
}

impl ScalarExpr {
    /// Where it stands.
    #[must_use]
    pub const fn place(&self) -> Place {
        match self {
            Self::Static(_, place)
            | Self::Pipeline { place, .. }
            | Self::Arithmetic { place, .. } => *place,
            Self::Aggregate(aggregate) => aggregate.place,
        }
    }
}

impl AggregateKind {
    /// All, as they are written.
    pub const NAMED: [(Self, &'static str); 5] = [
        (Self::Count, "count"),
        (Self::Min, "min"),
        (Self::Max, "max"),
        (Self::Sum, "sum"),
        (Self::Avg, "avg"),
    ];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = Self::NAMED.iter().find(|(kind, _)| *kind == self);
        named.map_or("", |(_, name)| name)
    }

    /// The aggregate that is written so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find_map(|(kind, known)| (*known == name).then_some(*kind))
    }
}
