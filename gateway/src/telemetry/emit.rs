//! Writes metrics as text: Prometheus' format 0.0.4, or OpenMetrics for who asks for it.

use std::fmt::{self, Write};

use model::metric::{BUCKETS, Histogram};

use super::{Kind, Metric};

/// Which text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `text/plain; version=0.0.4`.
    Prometheus,
    /// `application/openmetrics-text; version=1.0.0`.
    OpenMetrics,
}

impl Format {
    /// The format that an `Accept` header asks for.
    #[must_use]
    pub fn of(accept: &str) -> Self {
        if accept.contains("application/openmetrics-text") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }

    /// The `Content-Type` of the answer.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Takes the samples of one metric after the other.
#[derive(Debug)]
pub struct Emit {
    out: String,
    format: Format,
    metric: &'static str,
    labels: &'static [&'static str],
}

/// Writing to a `String` cannot fail.
macro_rules! put {
    ($out:expr, $($text:tt)*) => { write!($out, $($text)*).unwrap_or_default() };
}

impl Emit {
    pub(super) fn new(format: Format) -> Self {
        Self { out: String::with_capacity(16 << 10), format, metric: "", labels: &[] }
    }

    /// Writes the head of a metric; its samples follow.
    pub(super) fn begin(&mut self, metric: &Metric) {
        let (name, kind) = (metric.name, metric.kind);
        (self.metric, self.labels) = (name, metric.labels);
        // OpenMetrics names a counter's family without the suffix of its samples.
        let family = match (self.format, kind) {
            (Format::OpenMetrics, Kind::Counter) => name.trim_end_matches("_total"),
            _ => name,
        };
        put!(self.out, "# HELP {family} {}\n# TYPE {family} {kind}\n", metric.help);
    }

    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }

    /// A sample without labels.
    pub fn value(&mut self, value: impl fmt::Display) {
        self.sample("", &[], None, &value);
    }

    /// A sample with the values of the metric's labels, in the order of the table.
    pub fn labelled(&mut self, labels: &[&str], value: impl fmt::Display) {
        self.sample("", labels, None, &value);
    }

    /// A histogram of durations, in seconds.
    pub fn histogram(&mut self, labels: &[&str], histogram: &Histogram) {
        let mut count = 0;
        for (i, bucket) in histogram.counts().into_iter().enumerate() {
            count += bucket;
            let bound = BUCKETS.get(i).map_or_else(|| "+Inf".to_owned(), |bound| seconds(*bound));
            self.sample("_bucket", labels, Some(&bound), &count);
        }
        self.sample("_sum", labels, None, &seconds(histogram.sum()));
        self.sample("_count", labels, None, &count);
    }

    fn sample(
        &mut self,
        suffix: &str,
        labels: &[&str],
        bound: Option<&str>,
        value: &dyn fmt::Display,
    ) {
        put!(self.out, "{}{suffix}", self.metric);
        let names = self.labels.iter().copied().zip(labels.iter().copied());
        let mut open = '{';
        for (name, text) in names.chain(bound.map(|bound| ("le", bound))) {
            put!(self.out, "{open}{name}=\"");
            escape(&mut self.out, text);
            self.out.push('"');
            open = ',';
        }
        let close = if open == ',' { "}" } else { "" };
        put!(self.out, "{close} {value}\n");
    }
}

/// Nanoseconds as seconds, exact and without trailing zeros.
#[must_use]
pub fn seconds(nanos: u64) -> String {
    let (whole, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    if rest == 0 {
        return format!("{whole}.0");
    }
    let rest = format!("{rest:09}");
    format!("{whole}.{}", rest.trim_end_matches('0'))
}

fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}
