//! The tree of a query.
//!
//! What the parser makes, the checker judges and the engine runs. A tree is plain data: whoever
//! has got one from [`crate::parse`] has a query that is well typed, and no deeper, wider or longer
//! than [`crate::limit`] allows. Trees compare by meaning ([`Place`]s are all equal) and print as
//! text that parses to the same tree.

mod field;
mod intrinsic;
mod metrics;
mod scalar;
mod value;

pub use field::{Arithmetic, Comparison, Field, FieldExpr, FieldKind, Key, Scope, Whose};
pub use intrinsic::{INTRINSICS, Intrinsic, IntrinsicRow};
pub use metrics::{Compare, MetricsExpr, MetricsFunction, MetricsQuery, Over, Second};
pub use scalar::{Aggregate, AggregateKind, ScalarExpr, ScalarFilter};
pub use value::{Kind, Static, Status, Type};

use crate::Place;

/// A whole query.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// What is asked for.
    pub root: Root,
    /// `with(name=value, …)`, in the order of the text.
    pub with: Vec<With>,
}

impl Query {
    /// Whether it asks for series over time, not for spans.
    #[must_use]
    pub fn is_metrics(&self) -> bool {
        matches!(self.root, Root::Metrics(_))
    }
}

/// What a query asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Root {
    /// Spansets, trace by trace.
    Spans(Pipeline),
    /// Series over time.
    Metrics(MetricsExpr),
}

/// A setting of the engine: `with(sample=0.1)`.
#[derive(Clone, Debug, PartialEq)]
pub struct With {
    /// Its name.
    pub name: String,
    /// Its value, always a literal.
    pub value: Static,
    /// Where it stands.
    pub place: Place,
}

/// Stages joined by `|`: the spansets that leave one go into the next. At least one stage; the
/// first gets all spans of a trace as one spanset.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// In the order of the text.
    pub stages: Vec<Stage>,
}

/// One stage of a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Keeps spans of each spanset.
    Spanset(SpansetExpr),
    /// Keeps the spansets for which a comparison of aggregates holds.
    Filter(ScalarFilter),
    /// `by(x)`: splits each spanset by the value of an expression that reads the span. `by(x, y)`
    /// in the text is two stages.
    By(FieldExpr),
    /// `coalesce()`: makes one spanset of all. Never the first stage.
    Coalesce(Place),
    /// `select(x, …)`: spans of the result carry these fields, too. At least one.
    Select(Vec<Field>),
}

/// An expression over the spans of a spanset.
#[derive(Clone, Debug, PartialEq)]
pub struct SpansetExpr {
    /// What it is.
    pub kind: SpansetKind,
    /// Where it stands; of one in parentheses, with them.
    pub place: Place,
}

/// What kind of expression over spans.
#[derive(Clone, Debug, PartialEq)]
pub enum SpansetKind {
    /// `{ … }`: the spans for which an expression is true; all of them where it is empty.
    Filter(Option<FieldExpr>),
    /// `a && b && …`: the spans of all operands together, if each has at least one; else none.
    /// At least two operands, none of which is itself an `All`.
    All(Vec<SpansetExpr>),
    /// `a || b || …`: the spans of all operands together. At least two operands, none of which is
    /// itself an `Any`.
    Any(Vec<SpansetExpr>),
    /// `a >> b` and its relatives.
    Structural {
        /// How the sides have to be related.
        relation: Relation,
        /// Which spans are the result.
        keep: Keep,
        /// The left side.
        lhs: Box<SpansetExpr>,
        /// The right side.
        rhs: Box<SpansetExpr>,
    },
    /// `( … | … )`: the spans of all spansets that leave a pipeline. It has more than one stage, or
    /// its stage is no spanset expression.
    Pipeline(Pipeline),
}

/// How a span of the right side is related to one of the left side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// `>`: the right span is a child of the left one.
    Child,
    /// `<`: the right span is the parent of the left one.
    Parent,
    /// `>>`: the right span is below the left one, at any depth.
    Descendant,
    /// `<<`: the right span is above the left one, at any height.
    Ancestor,
    /// `~`: both have the same parent, or both are roots, and they are not the same span.
    Sibling,
}

/// Which spans are the result of a structural operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keep {
    /// `>>`: the spans of the right side that have such a span on the left.
    Right,
    /// `!>>`: the spans of the right side that have none.
    Unmatched,
    /// `&>>`: the spans of both sides that take part in a pair.
    Both,
}

impl Stage {
    /// Whether the stage is the filter `{ }`, which keeps everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        matches!(self, Self::Spanset(SpansetExpr { kind: SpansetKind::Filter(None), .. }))
    }
}

impl Relation {
    /// The operator without `!` or `&`.
    #[must_use]
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Child => ">",
            Self::Parent => "<",
            Self::Descendant => ">>",
            Self::Ancestor => "<<",
            Self::Sibling => "~",
        }
    }
}

impl Keep {
    /// What stands before the operator.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Right => "",
            Self::Unmatched => "!",
            Self::Both => "&",
        }
    }
}
