//! Metrics of the cache before a bucket, by what its bytes are.

use hybrid::{Counts, Hybrid, Stats};
use model::metric::Counter;

use super::{Emit, Kind, Metric, Sources};

/// The rows of this family.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "traceweir_cache_memory_hits_total",
        kind: Kind::Counter,
        help: "Chunks of blocks of the bucket that were in memory.",
        labels: &["content"],
        read: |sources, emit| each(sources, emit, |counts| &counts.memory_hits),
    },
    Metric {
        name: "traceweir_cache_disk_hits_total",
        kind: Kind::Counter,
        help: "Chunks of blocks of the bucket that were on the local disk.",
        labels: &["content"],
        read: |sources, emit| each(sources, emit, |counts| &counts.disk_hits),
    },
    Metric {
        name: "traceweir_cache_misses_total",
        kind: Kind::Counter,
        help: "Chunks of blocks that were asked of the bucket.",
        labels: &["content"],
        read: |sources, emit| each(sources, emit, |counts| &counts.misses),
    },
    Metric {
        name: "traceweir_cache_hit_bytes_total",
        kind: Kind::Counter,
        help: "Bytes of the chunks that were in memory or on the local disk.",
        labels: &["content"],
        read: |sources, emit| each(sources, emit, |counts| &counts.hit_bytes),
    },
    Metric {
        name: "traceweir_cache_admitted_total",
        kind: Kind::Counter,
        help: "Chunks that were taken for the local disk.",
        labels: &["content"],
        read: |sources, emit| each(sources, emit, |counts| &counts.admitted),
    },
    Metric {
        name: "traceweir_cache_dropped_total",
        kind: Kind::Counter,
        help: "Chunks that were left out, as too much waited to be written.",
        labels: &["content"],
        read: |sources, emit| each(sources, emit, |counts| &counts.dropped),
    },
    Metric {
        name: "traceweir_cache_overflow_total",
        kind: Kind::Counter,
        help: "Chunks that were admitted, and not written all the same.",
        labels: &[],
        read: |sources, emit| emit.value(value(sources, Hybrid::overflow)),
    },
    Metric {
        name: "traceweir_cache_lost_total",
        kind: Kind::Counter,
        help: "Chunks on the local disk that were damaged, or made room while they were read.",
        labels: &[],
        read: |sources, emit| emit.value(value(sources, |cache| cache.stats().lost.get())),
    },
    Metric {
        name: "traceweir_cache_disk_failed_total",
        kind: Kind::Counter,
        help: "Times that the local disk could not be used as a cache, and memory alone is.",
        labels: &[],
        read: |sources, emit| emit.value(value(sources, |cache| cache.stats().disk_failed.get())),
    },
    Metric {
        name: "traceweir_cache_memory_bytes",
        kind: Kind::Gauge,
        help: "Bytes of blocks of the bucket that are held in memory.",
        labels: &[],
        read: |sources, emit| emit.value(value(sources, Hybrid::memory_bytes)),
    },
    Metric {
        name: "traceweir_cache_queued_bytes",
        kind: Kind::Gauge,
        help: "Bytes that were admitted to the local disk and are not written yet.",
        labels: &[],
        read: |sources, emit| emit.value(value(sources, Hybrid::queued_bytes)),
    },
];

/// Nothing where there is no cache.
fn value(sources: &Sources, of: impl Fn(&Hybrid) -> u64) -> u64 {
    sources.cache.as_deref().map_or(0, of)
}

fn each(sources: &Sources, emit: &mut Emit, of: impl Fn(&Counts) -> &Counter) {
    // All zero where there is none.
    let none = Stats::default();
    let stats = sources.cache.as_deref().map_or(&none, |cache| cache.stats());
    for (content, counts) in stats.by_content() {
        emit.labelled(&[content], of(counts).get());
    }
}
