//! What the process tells about itself: `METRICS`, one row for each.
//!
//! Components own their counters and know nothing of this table; a row reads them when somebody
//! asks. A new metric is one row in the table of its family, and one line in
//! `docs/reference/metrics.md`, which a test compares with the table.

pub mod emit;
pub mod probe;
pub(crate) mod process;
mod receiver;
pub mod status;
mod store;

use std::fmt;
use std::sync::Arc;

use ::store::Store;
use model::{Clock, Nanos};

use crate::budget::Budget;
use crate::health::Health;
use crate::{compute, limits, server};
pub use emit::{Emit, Format};
pub use probe::Probes;

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
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What we may use.
    pub budget: Budget,
    /// Where we are in our life.
    pub health: Arc<Health>,
    /// The ports, by the name of the listener.
    pub servers: Vec<(&'static str, Arc<server::Stats>)>,
    /// The receivers.
    pub receiver: Arc<crate::receiver::Stats>,
    /// What is in flight.
    pub admission: Arc<limits::Stats>,
    /// The compute pool.
    pub compute: Arc<compute::Stats>,
    /// The store.
    pub store: Store,
}

/// The tables of all families, in the order of the page.
const FAMILIES: [&[Metric]; 4] = [receiver::METRICS, store::METRICS, process::METRICS, BUILD];

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
