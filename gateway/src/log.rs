//! Structured logs for an operator to act on, and the sampled lines about spans.
//!
//! `main` sets the subscriber up once; components log through `tracing`. What may repeat without
//! end goes through a [`Sometimes`], so that a fault that hits every request is one line, not a
//! flood.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Faults, Nanos, Wait};
use serde::{Deserialize, Serialize};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

/// What is logged, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// One line of text for people, or one JSON object a line for machines.
    pub format: Format,
    /// The least severe level that is logged.
    pub level: Level,
    /// Which spans are logged, a sample of them.
    pub spans: Spans,
    /// How many spans are logged a second, at most.
    pub spans_per_second_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            format: Format::Text,
            level: Level::Info,
            spans: Spans::Off,
            spans_per_second_max: 10,
        }
    }
}

impl Config {
    /// Notes what is out of range; `key` is the dotted key of this section.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        let key = format!("{key}.spans_per_second_max");
        faults.check_range(&key, self.spans_per_second_max, 1..=1000);
    }
}

/// How a log line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// How severe a line must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Data was lost, or the process cannot go on.
    Error,
    /// Degraded: somebody should look.
    Warn,
    /// Start, stop, and what changes in between.
    Info,
    /// For finding a fault in traceweir itself.
    Debug,
    /// As `debug`, with the libraries below.
    Trace,
}

/// Which spans are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spans {
    /// None.
    Off,
    /// A sample of those that were stored.
    Received,
    /// A sample of those that were not, with the reason.
    Discarded,
}

/// Sends logs to standard error from now on.
///
/// # Errors
/// When the process has a subscriber already.
pub fn init(config: &Config) -> Result<(), TryInitError> {
    let (ours, theirs) = match config.level {
        Level::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
        Level::Warn => (LevelFilter::WARN, LevelFilter::WARN),
        Level::Info => (LevelFilter::INFO, LevelFilter::WARN),
        Level::Debug => (LevelFilter::DEBUG, LevelFilter::INFO),
        Level::Trace => (LevelFilter::TRACE, LevelFilter::DEBUG),
    };
    let ours = ["gateway", "store", "model", "traceweir"].map(|target| (target, ours));
    let filter = Targets::new().with_default(theirs).with_targets(ours);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let lines = match config.format {
        Format::Text => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
        Format::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()
}

/// A log line that may repeat without end, let through now and then.
///
/// Lock-free and without allocation: callers on the hot path pay one load while it is quiet.
#[derive(Debug)]
pub struct Sometimes {
    every: Nanos,
    next: AtomicU64,
    skipped: AtomicU64,
}

impl Sometimes {
    /// At most one line in `every`.
    #[must_use]
    pub fn new(every: Wait) -> Self {
        Self { every: every.nanos(), next: AtomicU64::new(0), skipped: AtomicU64::new(0) }
    }

    /// Whether to log now (`now` on the monotonic clock): `Some` holds how many lines were left
    /// out since the last one.
    pub fn due(&self, now: Nanos) -> Option<u64> {
        let next = self.next.load(Ordering::Relaxed);
        let later = now.plus(self.every).0;
        let won = next <= now.0
            && self
                .next
                .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if won {
            return Some(self.skipped.swap(0, Ordering::Relaxed));
        }
        self.skipped.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_once_in_its_time_and_counts_the_rest() {
        let line = Sometimes::new(Wait::secs(10));
        let at = |secs| line.due(Nanos::from_secs(secs));
        assert_eq!(at(1), Some(0));
        assert_eq!((at(1), at(5), at(10)), (None, None, None));
        assert_eq!(at(11), Some(3));
        assert_eq!(at(12), None);
    }
}
