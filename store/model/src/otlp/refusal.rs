//! Why spans are refused, in words for people and labels for metrics.

use std::fmt;

use crate::wire::Fault;

/// How deep arrays and maps may nest in an attribute's value.
pub const NESTING_MAX: usize = 16;

/// Refused spans whose reasons are told one by one; the others are counted.
pub const REFUSALS_TOLD_MAX: usize = 16;

/// What became of a request's spans.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Rows that were added.
    pub spans: u64,
    /// Ordinals (over all resources and scopes, from 0) of the spans that were not.
    pub refused: Vec<u32>,
    /// Why, for the first [`REFUSALS_TOLD_MAX`].
    pub refusals: Vec<Refusal>,
}

/// Why a span was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The span's ordinal.
    pub span: u32,
    /// Its name, cut at 128 bytes.
    pub name: String,
    /// The reason.
    pub reason: Reason,
}

/// A rule that a span broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The trace id has not 16 bytes.
    TraceIdLength(usize),
    /// The trace id is all zeros.
    TraceIdZero,
    /// The span id has not 8 bytes.
    SpanIdLength(usize),
    /// The span id is all zeros.
    SpanIdZero,
    /// The parent span id has neither 0 nor 8 bytes.
    ParentIdLength(usize),
    /// A link's trace or span id has neither its length nor 0 bytes.
    LinkIdLength(usize),
    /// An attribute of the span, its resource or scope nests deeper than [`NESTING_MAX`].
    Nesting(String),
    /// The span, or a thing of it, has more attributes than may be.
    Attributes {
        /// Most of one thing.
        limit: usize,
    },
    /// An attribute of the span, its resource or scope is longer than it may be.
    AttributeBytes {
        /// Its key.
        key: String,
        /// Its length, with its key.
        bytes: usize,
        /// The longest that is taken.
        limit: usize,
    },
    /// The trace is larger than a trace may get.
    TraceBytes {
        /// Most bytes of one trace.
        limit: u64,
    },
    /// The trace is a new one, and its tenant has as many live ones as it may have.
    LiveTraces {
        /// Most live traces.
        limit: u64,
    },
    /// Refused when the request was first received (replay of the log).
    Before,
}

impl Reason {
    /// The reason as a bounded metric label.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::TraceIdLength(_) | Self::TraceIdZero => "trace_id",
            Self::SpanIdLength(_) | Self::SpanIdZero => "span_id",
            Self::ParentIdLength(_) => "parent_span_id",
            Self::LinkIdLength(_) => "link_id",
            Self::Nesting(_) => "nesting",
            Self::Attributes { .. } => "attributes",
            Self::AttributeBytes { .. } => "attribute_bytes",
            Self::TraceBytes { .. } => "trace_bytes",
            Self::LiveTraces { .. } => "live_traces",
            Self::Before => "before",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TraceIdLength(n) => write!(f, "trace id has {n} bytes, expected 16"),
            Self::TraceIdZero => f.write_str("trace id is all zeros"),
            Self::SpanIdLength(n) => write!(f, "span id has {n} bytes, expected 8"),
            Self::SpanIdZero => f.write_str("span id is all zeros"),
            Self::ParentIdLength(n) => write!(f, "parent span id has {n} bytes, expected 0 or 8"),
            Self::LinkIdLength(n) => write!(f, "id of a link has {n} bytes, expected 16 and 8"),
            Self::Nesting(key) => {
                write!(f, "attribute {key:?} nests deeper than {NESTING_MAX} levels")
            }
            Self::Attributes { limit } => write!(f, "more than {limit} attributes"),
            Self::AttributeBytes { key, bytes, limit } => {
                write!(f, "attribute {key:?} has {bytes} bytes, limit is {limit}")
            }
            Self::TraceBytes { limit } => write!(f, "trace would have more than {limit} bytes"),
            Self::LiveTraces { limit } => write!(f, "more than {limit} live traces"),
            Self::Before => f.write_str("refused when it was received"),
        }
    }
}

/// Why the walk of a span ends early.
pub(super) enum Stop {
    Malformed(Fault),
    Refused(Reason),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Malformed(fault)
    }
}
