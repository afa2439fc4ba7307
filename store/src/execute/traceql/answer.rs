//! What is found.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{Nanos, SpanId, TraceId};
use traceql::ast::{Field, Scope, Static};

use super::Value;

/// What an evaluation has looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inspected {
    /// Bytes of columns, as they are in memory.
    pub bytes: u64,
    /// Spans.
    pub spans: u64,
    /// Traces of which at least one span met some condition.
    pub traces: u64,
    /// Units: row groups of files and segments of the head.
    pub units: u64,
    /// Units that there are in the range.
    pub units_total: u64,
}

/// The traces of a search.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchAnswer {
    /// Newest first by the effective start of the whole trace, then by id; the same on every run.
    pub traces: Vec<Arc<TraceMatch>>,
    /// Why traces may be missing: a part that could not be read, a budget that was used up.
    pub partial: Option<String>,
    /// What was looked at.
    pub inspected: Inspected,
}

/// One found trace.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceMatch {
    /// Its id.
    pub id: TraceId,
    /// `service.name` of its root span; empty where the root is not there (yet).
    pub root_service: String,
    /// The name of its root span; empty where the root is not there (yet).
    pub root_name: String,
    /// Its first start.
    pub start: Nanos,
    /// From its first start to its last end.
    pub duration: Nanos,
    /// What leaves the pipeline: at least one spanset. Several where the query groups.
    pub spansets: Vec<SpansetMatch>,
    /// By the name of the service, of all spans of the trace.
    pub services: BTreeMap<String, ServiceStats>,
}

/// What a service has in a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceStats {
    /// Spans.
    pub spans: u64,
    /// Spans with the status error.
    pub errors: u64,
}

/// One spanset.
#[derive(Clone, Debug, PartialEq)]
pub struct SpansetMatch {
    /// The first of its spans by start.
    pub spans: Vec<SpanMatch>,
    /// All of its spans.
    pub matched: u64,
    /// What stages have computed of it, in their order: `by(span.x)` with the group's value (`nil`
    /// where spans have none), `count()`, `avg(duration)`.
    pub attributes: Vec<(String, Value)>,
}

/// One span of a spanset.
#[derive(Clone, Debug, PartialEq)]
pub struct SpanMatch {
    /// Its id.
    pub id: SpanId,
    /// Its name. Tempo shows it only where the query reads it: see [`SpanMatch::attributes`].
    pub name: String,
    /// Its own start.
    pub start: Nanos,
    /// Its duration.
    pub duration: Nanos,
    /// What the query reads of it and it has: selected fields in the order of the query, then the
    /// others by scope and name. Also `name` and `duration`, where they are read.
    pub attributes: Vec<(Arc<Field>, Value)>,
}

/// Series over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MetricsAnswer {
    /// By their labels.
    pub series: Vec<Series>,
    /// Why something may be missing: a part that could not be read, a budget that was used up, more
    /// series than may be.
    pub partial: Option<String>,
    /// What was looked at.
    pub inspected: Inspected,
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Names as the query writes them (`resource.service.name`), with the value, `nil` where a span
    /// has none; `p` (float) of quantiles, `__bucket` (float) of histograms, `__meta_type` of
    /// `compare`. Where there would be none: `__name__`, the name of the function.
    pub labels: Vec<(String, Static)>,
    /// By time. An interval without spans has the sample 0 of `rate`, `count_over_time` and
    /// `histogram_over_time`, and none of other functions.
    pub samples: Vec<Sample>,
    /// Spans that stand for others, by time.
    pub exemplars: Vec<Exemplar>,
}

/// One number of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The end of the interval.
    pub at: Nanos,
    /// The number; durations in seconds.
    pub value: f64,
}

/// A span that stands for others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// Its trace: the label `trace:id`.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    /// When it started.
    pub at: Nanos,
    /// Its value; of functions that only count, that of the interval's sample.
    pub value: f64,
}

/// Names of attributes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttributeNames {
    /// By scope, then by name, each once.
    pub names: Vec<AttributeName>,
    /// Why some may be missing.
    pub partial: Option<String>,
    /// What was looked at.
    pub inspected: Inspected,
}

/// A name of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttributeName {
    /// Its scope, never unscoped.
    pub scope: Scope,
    /// Its name.
    pub name: String,
}

/// Values of a field.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TagValues {
    /// In order, each once: truth values, numbers, texts. Those of a status or a kind are all that
    /// there are.
    pub values: Vec<Static>,
    /// Why some may be missing.
    pub partial: Option<String>,
    /// What was looked at.
    pub inspected: Inspected,
}
