//! What the process tells about itself: `METRICS`, one row for each.
//!
//! Components own their counters and know nothing of this table; a row reads them when somebody
//! asks. A new metric is one row in the table of its family, and one line in
//! `docs/reference/metrics.md`, which a test compares with the table.

mod api;
mod blocks;
mod bucket;
mod cache;
mod door;
pub mod emit;
mod limits;
mod plugins;
pub(crate) mod process;
mod receiver;
pub mod status;
mod store;
pub mod usage;

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use ::store::Store;
use model::{Clock, Nanos};

use crate::api::{Api, Page};
use crate::attach::Plugins;
use crate::budget::Budget;
use crate::health::{Health, Phase};
use crate::limits::{Accounts, admission};
use crate::{compute, server};
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
#[derive(Debug)]
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
    /// Who is let in.
    pub auth: Arc<crate::auth::Auth>,
    /// Who may send and ask how much.
    pub accounts: Arc<Accounts>,
    /// What spans pass on their way in.
    pub plugins: Arc<Plugins>,
    /// Certificates; all zero without TLS.
    pub tls: Arc<server::tls::Stats>,
    /// The receivers.
    pub receiver: Arc<crate::receiver::Stats>,
    /// What is in flight.
    pub admission: Arc<admission::Stats>,
    /// The compute pool.
    pub compute: Arc<compute::Stats>,
    /// The query API, which itself serves this page; set when it is there.
    pub api: OnceLock<Weak<Api>>,
    /// The store.
    pub store: Store,
    /// The object store that has the blocks; all zero where there is none.
    pub bucket: Arc<objects::Stats>,
    /// The cache before it, where there is one.
    pub cache: Option<Arc<hybrid::Hybrid>>,
}

impl Sources {
    /// What the probes are told.
    #[must_use]
    pub fn health(&self) -> crate::api::Health {
        let phase = self.health.phase();
        let text = match phase {
            Phase::Replaying => {
                let replay = self.store.status().replay;
                let mib = |bytes: u64| bytes >> 20;
                format!(
                    "replaying the log: {} of {} MiB",
                    mib(replay.bytes),
                    mib(replay.bytes_total)
                )
            }
            phase => phase.to_string(),
        };
        crate::api::Health { live: self.health.is_live(), ready: self.health.is_ready(), text }
    }
}

/// The tables of all families, in the order of the page.
const FAMILIES: [&[Metric]; 11] = [
    door::METRICS,
    limits::METRICS,
    plugins::METRICS,
    receiver::METRICS,
    api::METRICS,
    store::METRICS,
    blocks::METRICS,
    bucket::METRICS,
    cache::METRICS,
    process::METRICS,
    BUILD,
];

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

/// The whole page, in the format that an `Accept` header asks for.
#[must_use]
pub fn page(sources: &Sources, accept: &str) -> Page {
    let format = Format::of(accept);
    let mut emit = Emit::new(format);
    for metric in metrics() {
        emit.begin(metric);
        (metric.read)(sources, &mut emit);
    }
    Page { content_type: format.content_type(), text: emit.finish() }
}

#[cfg(test)]
mod tests;
