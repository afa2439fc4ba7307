//! Values of spans.

use traceql::ast::Static;

/// A value of a span: of an attribute, of an intrinsic, or what was computed.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A single one. Status and kind are of their own types, durations are in nanoseconds.
    One(Static),
    /// The elements of an array, or those of all events or links of a span. Not empty.
    Many(Vec<Static>),
}
