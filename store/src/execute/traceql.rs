//! TraceQL over what a view holds: spansets, series, and the names and values of attributes.
//!
//! One evaluator for live data and blocks alike. A part of a view is read a *unit* at a time (a
//! segment of the head, a row group of a file), newest first; conditions are evaluated once per
//! distinct value and become sets of rows; spans of a trace that stands in several units are
//! brought together before anything is judged that takes a whole trace. Storage only narrows.
//!
//! | file | what |
//! |---|---|
//! | `request`, `answer` | what is asked for and what it may cost, and what is found |
//! | `program` | a query, compiled: its filters, its stages, the fields that they read |
//! | `value`, `field`, `attrs` | values of spans, and the columns that they are read from |
//! | `expr`, `rows` | conditions and arithmetic over one span, as sets of rows |
//! | `units`, `prune`, `want` | what is read, in which order, what need not be, which columns |
//! | `ahead` | what is in a bucket, read before its turn comes |
//! | `traces`, `scan` | which rows of a unit are one trace, and what the filters make of them |
//! | `elsewhere`, `crowd`, `gather` | which traces stand in several units, and their spans, brought together |
//! | `tree`, `judge` | a trace: who is whose parent, and what a pipeline makes of it |
//! | `search`, `detail` | spansets, newest first; then what is shown of them |
//! | `metrics` | series over time |
//! | `names`, `told` | attributes and their values; what blocks tell of them without their rows |

mod ahead;
mod answer;
mod attrs;
mod crowd;
mod detail;
mod elsewhere;
mod expr;
mod field;
mod fragments;
mod gather;
mod judge;
mod metrics;
mod names;
mod program;
mod prune;
mod request;
mod rows;
mod scan;
mod search;
mod told;
mod traces;
mod tree;
mod units;
mod value;
mod want;

pub use answer::{
    AttributeName, AttributeNames, Exemplar, Inspected, MetricsAnswer, Sample, SearchAnswer,
    Series, ServiceStats, SpanMatch, SpansetMatch, TagValues, TraceMatch,
};
pub(crate) use metrics::metrics;
pub(crate) use names::{names, values};
pub use request::{Budget, MetricsRequest, NamesRequest, SearchRequest};
pub(crate) use search::search;
pub use value::Value;

use traceql::ast::{Key, Scope};
use traceql::plan::Reads;

/// The names of span attributes that a query reads.
pub(crate) fn span_attributes(reads: &Reads) -> impl Iterator<Item = &str> {
    reads.fields.iter().filter_map(|field| match &field.key {
        Key::Attribute { scope: Scope::Span | Scope::Unscoped, name } => Some(name.as_str()),
        _ => None,
    })
}

/// The most intervals of a metrics query.
pub const INTERVALS_MAX: u64 = 11_000;

#[cfg(test)]
mod tests;
