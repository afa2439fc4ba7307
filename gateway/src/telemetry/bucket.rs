//! Metrics of the object store that has the blocks.

use super::{Kind, Metric};

/// The rows of this family.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "traceweir_bucket_gets_total",
        kind: Kind::Counter,
        help: "Requests that read an object of the bucket, a range of one, or its length.",
        labels: &[],
        read: |sources, emit| emit.value(sources.bucket.gets.get()),
    },
    Metric {
        name: "traceweir_bucket_puts_total",
        kind: Kind::Counter,
        help: "Requests that write an object to the bucket, or a part of one.",
        labels: &[],
        read: |sources, emit| emit.value(sources.bucket.puts.get()),
    },
    Metric {
        name: "traceweir_bucket_lists_total",
        kind: Kind::Counter,
        help: "Requests for names in the bucket.",
        labels: &[],
        read: |sources, emit| emit.value(sources.bucket.lists.get()),
    },
    Metric {
        name: "traceweir_bucket_others_total",
        kind: Kind::Counter,
        help: "Requests that remove or copy an object of the bucket.",
        labels: &[],
        read: |sources, emit| emit.value(sources.bucket.others.get()),
    },
    Metric {
        name: "traceweir_bucket_failed_total",
        kind: Kind::Counter,
        help: "Requests to the bucket that came to nothing, all attempts included.",
        labels: &[],
        read: |sources, emit| emit.value(sources.bucket.failed.get()),
    },
    Metric {
        name: "traceweir_bucket_read_bytes_total",
        kind: Kind::Counter,
        help: "Bytes that were read from the bucket.",
        labels: &[],
        read: |sources, emit| emit.value(sources.bucket.read_bytes.get()),
    },
    Metric {
        name: "traceweir_bucket_written_bytes_total",
        kind: Kind::Counter,
        help: "Bytes that were written to the bucket.",
        labels: &[],
        read: |sources, emit| emit.value(sources.bucket.written_bytes.get()),
    },
    Metric {
        name: "traceweir_bucket_faults_total",
        kind: Kind::Counter,
        help: "Attempts of requests to the bucket that failed in a way that passes, such as 503.",
        labels: &[],
        read: |sources, emit| emit.value(sources.bucket.faults.get()),
    },
    Metric {
        name: "traceweir_bucket_given_up_total",
        kind: Kind::Counter,
        help: "Those that were the last of their request, since too many failed to try each again.",
        labels: &[],
        read: |sources, emit| emit.value(sources.bucket.given_up.get()),
    },
    Metric {
        name: "traceweir_bucket_in_flight",
        kind: Kind::Gauge,
        help: "Requests to the bucket that are under way.",
        labels: &[],
        read: |sources, emit| emit.value(sources.bucket.in_flight.get()),
    },
    Metric {
        name: "traceweir_bucket_waits_total",
        kind: Kind::Counter,
        help: "Requests that waited for others, as bucket.requests_max were under way.",
        labels: &[],
        read: |sources, emit| emit.value(sources.bucket.waits.get()),
    },
    Metric {
        name: "traceweir_bucket_hedges_total",
        kind: Kind::Counter,
        help: "Reads of the bucket that were late, and sent a second time.",
        labels: &[],
        read: |sources, emit| emit.value(sources.bucket.hedges.get()),
    },
    Metric {
        name: "traceweir_bucket_hedges_won_total",
        kind: Kind::Counter,
        help: "Second ones that answered first.",
        labels: &[],
        read: |sources, emit| emit.value(sources.bucket.hedges_won.get()),
    },
];
