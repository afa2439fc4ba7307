//! What the process tells about itself: `METRICS`, one row for each.
//!
//! Components own their counters and know nothing of this table; a row reads them when somebody
//! asks. A new metric is one row in the table of its family, and one line in
//! `docs/reference/metrics.md`, which a test compares with the table.

pub mod emit;
pub(crate) mod process;

use std::fmt;

use model::Nanos;

pub use emit::{Emit, Format};

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name, as Prometheus sees it.
    pub name: &'static str,
    /// What its samples mean.
    pub kind: Kind,
    /// One sentence with the unit.
    pub help: &'static str,
    /// The names of its labels; each is bounded.
    pub labels: &'static [&'static str],
    /// Reads the samples.
    pub read: fn(&Sources, &mut Emit),
}

/// What the samples of a metric mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Durations in buckets.
    Histogram,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// What the rows read: handles of the components.
#[derive(Clone, Debug)]
pub struct Sources {
    /// When the process started, on the wall clock.
    pub started: Nanos,
}

/// The tables of all families, in the order of the page.
const FAMILIES: [&[Metric]; 2] = [process::METRICS, BUILD];

const BUILD: &[Metric] = &[Metric {
    name: "traceweir_build_info",
    kind: Kind::Gauge,
    help: "Always 1; its labels tell the version.",
    labels: &["version"],
    read: |_, emit| emit.labelled(&[env!("CARGO_PKG_VERSION")], 1),
}];

/// Every metric, in the order of the page.
pub fn metrics() -> impl Iterator<Item = &'static Metric> {
    FAMILIES.into_iter().flatten()
}

/// The whole page.
#[must_use]
pub fn page(sources: &Sources, format: Format) -> String {
    let mut emit = Emit::new(format);
    for metric in metrics() {
        emit.begin(metric);
        (metric.read)(sources, &mut emit);
    }
    emit.finish()
}

#[cfg(test)]
mod tests;
