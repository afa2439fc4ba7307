//! Metrics of the front door: certificates, and who is let in.

use super::emit::seconds;
use super::{Kind, Metric};
use crate::auth::{Denied, Proof};

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
    Metric {
        name: "traceweir_auth_admitted_total",
        kind: Kind::Counter,
        help: "Requests of which it is known who sends them, by how.",
        labels: &["proof"],
        read: |sources, emit| {
            for (proof, count) in Proof::ALL.into_iter().zip(&sources.auth.stats().admitted) {
                emit.labelled(&[proof.as_str()], count.get());
            }
        },
    },
    Metric {
        name: "traceweir_auth_denied_total",
        kind: Kind::Counter,
        help: "Requests that were not let in, by the reason.",
        labels: &["reason"],
        read: |sources, emit| {
            for (reason, count) in Denied::REASONS.into_iter().zip(&sources.auth.stats().denied) {
                emit.labelled(&[reason], count.get());
            }
        },
    },
    Metric {
        name: "traceweir_auth_remembered_total",
        kind: Kind::Counter,
        help: "Tokens that held a moment ago and were not verified again.",
        labels: &[],
        read: |sources, emit| emit.value(sources.auth.stats().remembered.get()),
    },
    Metric {
        name: "traceweir_auth_plugins_asked_total",
        kind: Kind::Counter,
        help: "Times that a plugin was asked who sends a request.",
        labels: &[],
        read: |sources, emit| emit.value(sources.auth.asked().asked.get()),
    },
    Metric {
        name: "traceweir_auth_plugins_remembered_total",
        kind: Kind::Counter,
        help: "Times that a plugin had told before who sends a request.",
        labels: &[],
        read: |sources, emit| emit.value(sources.auth.asked().remembered.get()),
    },
    Metric {
        name: "traceweir_auth_plugins_failed_total",
        kind: Kind::Counter,
        help: "Times that no plugin could say who sends a request: it failed, or too many were asking.",
        labels: &[],
        read: |sources, emit| emit.value(sources.auth.asked().failed.get()),
    },
    Metric {
        name: "traceweir_auth_keys",
        kind: Kind::Gauge,
        help: "Keys of an issuer of tokens.",
        labels: &["issuer"],
        read: |sources, emit| {
            for issuer in sources.auth.issuers() {
                emit.labelled(&[issuer.name()], issuer.stats().keys.get());
            }
        },
    },
    Metric {
        name: "traceweir_auth_keys_age_seconds",
        kind: Kind::Gauge,
        help: "How long ago the keys of an issuer came; endless before they did.",
        labels: &["issuer"],
        read: |sources, emit| {
            for issuer in sources.auth.issuers() {
                match issuer.age() {
                    Some(age) => emit.labelled(&[issuer.name()], seconds(age.0)),
                    None => emit.labelled(&[issuer.name()], "+Inf"),
                }
            }
        },
    },
    Metric {
        name: "traceweir_auth_keys_failed_total",
        kind: Kind::Counter,
        help: "Times that the keys of an issuer could not be had.",
        labels: &["issuer"],
        read: |sources, emit| {
            for issuer in sources.auth.issuers() {
                emit.labelled(&[issuer.name()], issuer.stats().failed.get());
            }
        },
    },
];
