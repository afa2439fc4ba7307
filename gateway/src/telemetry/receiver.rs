//! Metrics of connections, requests and the compute pool.

use super::{Kind, Metric};

/// The rows of this family.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "traceweir_connections",
        kind: Kind::Gauge,
        help: "Connections that are open.",
        labels: &["listener"],
        read: |sources, emit| {
            sources
                .servers
                .iter()
                .for_each(|(name, s)| emit.labelled(&[name], s.connections.get()));
        },
    },
    Metric {
        name: "traceweir_connections_total",
        kind: Kind::Counter,
        help: "Connections that came, by how they ended: refused (too many), aged (asked to go), silent (no request in time), failed (protocol or network), served (the rest, those still open included).",
        labels: &["listener", "end"],
        read: |sources, emit| {
            for (name, stats) in &sources.servers {
                let ends = [
                    ("refused", stats.refused.get()),
                    ("aged", stats.aged.get()),
                    ("silent", stats.silent.get()),
                    ("failed", stats.failed.get()),
                ];
                let others: u64 = ends.iter().skip(1).map(|(_, count)| count).sum();
                ends.iter().for_each(|(end, count)| emit.labelled(&[name, end], count));
                let served = stats.accepted.get().saturating_sub(others);
                emit.labelled(&[name, "served"], served);
            }
        },
    },
    Metric {
        name: "traceweir_listener_requests_total",
        kind: Kind::Counter,
        help: "Requests of every kind that came in on a listener.",
        labels: &["listener"],
        read: |sources, emit| {
            sources.servers.iter().for_each(|(name, s)| emit.labelled(&[name], s.requests.get()));
        },
    },
    Metric {
        name: "traceweir_receiver_requests_total",
        kind: Kind::Counter,
        help: "OTLP requests, by what became of them.",
        labels: &["protocol", "coding", "outcome"],
        read: |sources, emit| {
            for (protocol, coding, outcome, count) in sources.receiver.requests() {
                emit.labelled(&[protocol, coding, outcome], count);
            }
        },
    },
    Metric {
        name: "traceweir_receiver_spans_total",
        kind: Kind::Counter,
        help: "Spans that were received and stored.",
        labels: &[],
        read: |sources, emit| emit.value(sources.receiver.spans.get()),
    },
    Metric {
        name: "traceweir_receiver_refused_spans_total",
        kind: Kind::Counter,
        help: "Spans that were received and not stored, by the reason.",
        labels: &["reason"],
        read: |sources, emit| {
            for (reason, count) in sources.receiver.refused() {
                emit.labelled(&[reason], count);
            }
        },
    },
    Metric {
        name: "traceweir_receiver_wire_bytes_total",
        kind: Kind::Counter,
        help: "Bytes of request bodies as they came, compressed or not.",
        labels: &[],
        read: |sources, emit| emit.value(sources.receiver.wire_bytes.get()),
    },
    Metric {
        name: "traceweir_receiver_body_bytes_total",
        kind: Kind::Counter,
        help: "Bytes of request bodies, decompressed.",
        labels: &[],
        read: |sources, emit| emit.value(sources.receiver.body_bytes.get()),
    },
    Metric {
        name: "traceweir_receiver_ack_seconds",
        kind: Kind::Histogram,
        help: "Time from the head of a request to its acknowledgement, in seconds.",
        labels: &[],
        read: |sources, emit| emit.histogram(&[], &sources.receiver.ack),
    },
    Metric {
        name: "traceweir_receiver_other_signals_total",
        kind: Kind::Counter,
        help: "Requests with metrics, logs or profiles, by whether they were refused or discarded.",
        labels: &["rule"],
        read: |sources, emit| {
            emit.labelled(&["refused"], sources.receiver.other_signals.get());
            emit.labelled(&["discarded"], sources.receiver.discarded.get());
        },
    },
    Metric {
        name: "traceweir_receiver_requests_in_flight",
        kind: Kind::Gauge,
        help: "OTLP requests that are being answered.",
        labels: &[],
        read: |sources, emit| emit.value(sources.receiver.in_flight.get()),
    },
    Metric {
        name: "traceweir_receiver_bytes_in_flight",
        kind: Kind::Gauge,
        help: "Bytes of request bodies that are held, compressed and decompressed together.",
        labels: &[],
        read: |sources, emit| emit.value(sources.admission.bytes.get()),
    },
    Metric {
        name: "traceweir_receiver_overload_total",
        kind: Kind::Counter,
        help: "Requests that were told to come back because too many requests or bytes were in flight.",
        labels: &[],
        read: |sources, emit| emit.value(sources.admission.refused.get()),
    },
    Metric {
        name: "traceweir_compute_queued_jobs",
        kind: Kind::Gauge,
        help: "Jobs that wait for a compute thread.",
        labels: &[],
        read: |sources, emit| emit.value(sources.compute.queued.get()),
    },
    Metric {
        name: "traceweir_compute_jobs_total",
        kind: Kind::Counter,
        help: "Jobs, by where they ran: on the pool, inline on the caller's thread, refused (the queue was full) or panicked.",
        labels: &["how"],
        read: |sources, emit| {
            emit.labelled(&["pool"], sources.compute.run.get());
            emit.labelled(&["inline"], sources.compute.inline.get());
            emit.labelled(&["refused"], sources.compute.refused.get());
            emit.labelled(&["panicked"], sources.compute.panicked.get());
        },
    },
];
