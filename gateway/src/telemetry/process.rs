//! Metrics of the process itself, under the names that every Prometheus client library uses.

use std::path::Path;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::emit::seconds;
use super::{Kind, Metric};

/// The rows of this family.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "process_cpu_seconds_total",
        kind: Kind::Counter,
        help: "CPU time that the process has used, user and system, in seconds.",
        labels: &[],
        read: |_, emit| emit.value(seconds(cpu_nanos())),
    },
    Metric {
        name: "process_resident_memory_bytes",
        kind: Kind::Gauge,
        help: "Memory that is resident, in bytes.",
        labels: &[],
        read: |_, emit| emit.value(Status::now().resident),
    },
    Metric {
        name: "process_resident_memory_peak_bytes",
        kind: Kind::Gauge,
        help: "The most memory that was ever resident, in bytes.",
        labels: &[],
        read: |_, emit| emit.value(Status::now().peak),
    },
    Metric {
        name: "process_threads",
        kind: Kind::Gauge,
        help: "Threads of the process.",
        labels: &[],
        read: |_, emit| emit.value(Status::now().threads),
    },
    Metric {
        name: "process_open_fds",
        kind: Kind::Gauge,
        help: "File descriptors that are open.",
        labels: &[],
        read: |_, emit| emit.value(open_fds()),
    },
    Metric {
        name: "process_max_fds",
        kind: Kind::Gauge,
        help: "File descriptors that may be open.",
        labels: &[],
        read: |_, emit| match getrlimit(Resource::Nofile).current {
            Some(limit) => emit.value(limit),
            None => emit.value("+Inf"),
        },
    },
    Metric {
        name: "process_start_time_seconds",
        kind: Kind::Gauge,
        help: "When the process started, in seconds since the Unix epoch.",
        labels: &[],
        read: |sources, emit| emit.value(seconds(sources.started.0)),
    },
];

/// CPU time of all threads, in nanoseconds.
pub(crate) fn cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let part = |n: i64| u64::try_from(n).unwrap_or(0);
    part(time.tv_sec).saturating_mul(1_000_000_000).saturating_add(part(time.tv_nsec))
}

fn open_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

/// What `/proc/self/status` tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// Bytes of memory that are resident.
    pub(crate) resident: u64,
    /// The most bytes that ever were.
    pub(crate) peak: u64,
    /// Threads.
    pub(crate) threads: u64,
}

impl Status {
    pub(crate) fn now() -> Self {
        let text = std::fs::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
        Self::parse(&text)
    }

    fn parse(text: &str) -> Self {
        let number = |key: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(key))?;
            line.trim_end_matches("kB").trim().parse().ok()
        };
        let bytes = |key: &str| number(key).map_or(0, |kib| kib.saturating_mul(1024));
        Self {
            resident: bytes("VmRSS:"),
            peak: bytes("VmHWM:"),
            threads: number("Threads:").unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_file_is_read_by_its_keys() {
        let text = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t7\n";
        let expected = Status { resident: 1 << 20, peak: 2 << 20, threads: 7 };
        assert_eq!(Status::parse(text), expected);
        assert_eq!(Status::parse("nonsense"), Status::default());
    }

    #[test]
    fn this_process_has_memory_threads_and_files() {
        let status = Status::now();
        assert!(status.resident > 0 && status.peak >= status.resident && status.threads > 0);
        assert!(open_fds() > 0);
        assert!(cpu_nanos() > 0);
    }
}
