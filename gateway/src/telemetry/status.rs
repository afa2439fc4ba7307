//! The whole process at one moment, as one JSON object: `/status` on the admin port, which
//! `traceweir status` prints.

use serde::Serialize;

use super::Sources;
use super::process::{self, Status as Process};

/// The process at one moment. Sizes in bytes, times in milliseconds.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Our version.
    pub version: &'static str,
    /// Where we are in our life.
    pub phase: String,
    /// Since the start.
    pub uptime_ms: u64,
    /// What we may use, and what we do use.
    pub budget: Budget,
    /// Receiving.
    pub receiver: Receiver,
    /// The store: replay, head and log.
    pub store: store::Status,
}

/// What we may use, and what we do use.
#[derive(Debug, Serialize)]
pub struct Budget {
    /// Cores, as a share of time.
    pub cores: f64,
    /// CPU time used since the start.
    pub cpu_ms: u64,
    /// Memory that we may use.
    pub memory_bytes_max: u64,
    /// Memory that is resident.
    pub memory_bytes: u64,
    /// Disk that we may use.
    pub disk_bytes_max: u64,
    /// Disk that log, L0 files and blocks use.
    pub disk_bytes: u64,
}

/// Receiving, since the start.
#[derive(Debug, Serialize)]
pub struct Receiver {
    /// Spans that are stored.
    pub spans: u64,
    /// Spans that were refused.
    pub refused_spans: u64,
    /// Requests by outcome.
    pub requests: Vec<(String, u64)>,
    /// Requests that are being answered.
    pub requests_in_flight: u64,
    /// Bytes of bodies that are held.
    pub bytes_in_flight: u64,
    /// Jobs that wait for a compute thread.
    pub jobs_queued: u64,
}

impl Status {
    /// The process at this moment.
    #[must_use]
    pub fn now(sources: &Sources) -> Self {
        let store = sources.store.status();
        let since = sources.clock.now().minus(sources.started);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            phase: sources.health.phase().to_string(),
            uptime_ms: since.as_millis(),
            budget: Budget {
                cores: sources.budget.cores,
                cpu_ms: process::cpu_nanos() / 1_000_000,
                memory_bytes_max: sources.budget.memory.0,
                memory_bytes: Process::now().resident,
                disk_bytes_max: sources.budget.disk.0,
                disk_bytes: store.wal.disk_bytes + store.l0.bytes + store.blocks.bytes,
            },
            receiver: Receiver {
                spans: sources.receiver.spans.get(),
                refused_spans: sources.receiver.refused_spans.get(),
                requests: by_outcome(sources),
                requests_in_flight: sources.receiver.in_flight.get(),
                bytes_in_flight: sources.admission.bytes.get(),
                jobs_queued: sources.compute.queued.get(),
            },
            store,
        }
    }
}

fn by_outcome(sources: &Sources) -> Vec<(String, u64)> {
    let mut rows: Vec<(String, u64)> = Vec::new();
    for (_, _, outcome, count) in sources.receiver.requests() {
        match rows.iter_mut().find(|(known, _)| known == outcome) {
            Some((_, sum)) => *sum += count,
            None => rows.push((outcome.to_owned(), count)),
        }
    }
    rows
}
