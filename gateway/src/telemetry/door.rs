//! Metrics of the front door: certificates, and who is let in.

use super::{Kind, Metric};

/// The rows of this family.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "traceweir_tls_certificate_end_seconds",
        kind: Kind::Gauge,
        help: "When the certificate of the listeners ends, in seconds since 1970; 0 without TLS.",
        labels: &[],
        read: |sources, emit| emit.value(sources.tls.not_after.get()),
    },
    Metric {
        name: "traceweir_tls_reloads_total",
        kind: Kind::Counter,
        help: "Times that changed certificates were taken over.",
        labels: &[],
        read: |sources, emit| emit.value(sources.tls.reloads.get()),
    },
    Metric {
        name: "traceweir_tls_reload_failed_total",
        kind: Kind::Counter,
        help: "Times that changed certificates could not be used: those before stay.",
        labels: &[],
        read: |sources, emit| emit.value(sources.tls.failed.get()),
    },
    Metric {
        name: "traceweir_tls_handshakes_failed_total",
        kind: Kind::Counter,
        help: "Handshakes that came to nothing.",
        labels: &[],
        read: |sources, emit| emit.value(sources.tls.handshakes_failed.get()),
    },
];
