//! Queries that answer with series over time.

use super::{Arithmetic, Comparison, Field, FieldExpr, Pipeline, Static};
use crate::Place;

/// Series, and what is computed of them.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricsExpr {
    /// `{ … } | rate() by(x)`
    Query(MetricsQuery),
    /// A constant operand of [`MetricsExpr::Arithmetic`]: an integer or a float. The parser folds
    /// constants (`3 / 2` is 1), so that never both operands are constant, and a whole query never
    /// is.
    Scalar(Static, Place),
    /// `( … ) / ( … )`: sample by sample, of series with the same labels.
    Arithmetic {
        /// The operator; never [`Arithmetic::Mod`] or [`Arithmetic::Pow`].
        op: Arithmetic,
        /// The left operand.
        lhs: Box<Self>,
        /// The right operand.
        rhs: Box<Self>,
        /// Where it stands; in parentheses, with them.
        place: Place,
    },
    /// `… | topk(5) > 10`: applied in the order of the text.
    Second {
        /// To what. Never itself a `Second`.
        of: Box<Self>,
        /// At least one.
        stages: Vec<Second>,
    },
}

/// Series from spans.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsQuery {
    /// Which spans; all that leave it are counted, of whichever spanset.
    pub pipeline: Pipeline,
    /// What is made of those in each interval.
    pub function: MetricsFunction,
    /// `by(x, …)`: one series for each combination of values; none is one series. Empty for
    /// [`MetricsFunction::Compare`].
    pub by: Vec<Field>,
    /// Where the function stands, with its `by`.
    pub place: Place,
}

/// What is made of the spans in each interval.
#[derive(Clone, Debug, PartialEq)]
pub enum MetricsFunction {
    /// `rate()`: spans per second.
    Rate,
    /// `count_over_time()`: spans.
    Count,
    /// `min_over_time(x)` and the like: a number of the values of a field. Durations become seconds.
    Over(Over, Field),
    /// `quantile_over_time(x, 0.9, …)`: a series for each quantile, labelled `p`.
    Quantile(Field, Vec<f64>),
    /// `histogram_over_time(x)`: a series for each bucket, labelled `__bucket`.
    Histogram(Field),
    /// `compare({ … })`: how attributes are spread within a selection and outside of it.
    Compare(Compare),
}

/// How values are made one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Over {
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// All together.
    Sum,
    /// The mean.
    Avg,
}

/// The arguments of `compare`.
#[derive(Clone, Debug, PartialEq)]
pub struct Compare {
    /// Which spans are the selection; the others are the baseline. Nothing is `{ }`.
    pub selection: Option<FieldExpr>,
    /// How many values of each attribute are told; where the text says nothing,
    /// [`Compare::TOP`].
    pub top: u32,
    /// The time of the selection, from and to, in nanoseconds since 1970; always if nothing.
    /// Never two zeros.
    pub during: Option<(i64, i64)>,
}

/// What is done to series.
#[derive(Clone, Debug, PartialEq)]
pub enum Second {
    /// `topk(n)`: in each interval the n largest.
    Top(u32, Place),
    /// `bottomk(n)`: in each interval the n smallest.
    Bottom(u32, Place),
    /// `> 10`: the samples for which it holds.
    Compare {
        /// The operator; never one of a regex.
        op: Comparison,
        /// A number, or a duration (which is compared in seconds).
        value: Static,
        /// Where it stands.
        place: Place,
    },
}

impl Compare {
    /// The number of values of each attribute where the text says nothing.
    pub const TOP: u32 = 10;
}

impl Over {
    /// All, as they are written.
    pub const NAMED: [(Self, &'static str); 4] = [
        (Self::Min, "min_over_time"),
        (Self::Max, "max_over_time"),
        (Self::Sum, "sum_over_time"),
        (Self::Avg, "avg_over_time"),
    ];

    /// As it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        let named = Self::NAMED.iter().find(|(over, _)| *over == self);
        named.map_or("", |(_, name)| name)
    }

    /// The function that is written so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMED.iter().find_map(|(over, known)| (*known == name).then_some(*over))
    }
}
