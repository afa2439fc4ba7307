//! Metrics of limits: what tenants use, and what they are refused.
//!
//! Tenants are labels here: there are at most as many as `limits::accounts` keeps.

use std::collections::BTreeMap;

use super::api::api;
use super::{Kind, Metric, Sources};
use crate::limits::Account;
use crate::limits::account::Usage;
use crate::limits::admission;

/// The rows of this family.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "traceweir_overrides_reloads_total",
        kind: Kind::Counter,
        help: "Times that changed overrides were taken over.",
        labels: &[],
        read: |sources, emit| emit.value(sources.accounts.overrides().stats().reloads.get()),
    },
    Metric {
        name: "traceweir_overrides_reload_failed_total",
        kind: Kind::Counter,
        help: "Times that changed overrides could not be used: those before stay.",
        labels: &[],
        read: |sources, emit| emit.value(sources.accounts.overrides().stats().failed.get()),
    },
    Metric {
        name: "traceweir_tenants",
        kind: Kind::Gauge,
        help: "Tenants, by their classes, whose use is counted.",
        labels: &[],
        read: |sources, emit| emit.value(sources.accounts.stats().accounts.get()),
    },
    Metric {
        name: "traceweir_tenants_evicted_total",
        kind: Kind::Counter,
        help: "Tenants whose counters went, idle, to make room for others.",
        labels: &[],
        read: |sources, emit| emit.value(sources.accounts.stats().evicted.get()),
    },
    Metric {
        name: "traceweir_tenants_shared_total",
        kind: Kind::Counter,
        help: "Requests of tenants for which there was no room: they share the limits and counters of `__others`.",
        labels: &[],
        read: |sources, emit| emit.value(sources.accounts.stats().shared.get()),
    },
    Metric {
        name: "traceweir_tenant_requests_total",
        kind: Kind::Counter,
        help: "Requests of which spans were stored, by tenant, class and cluster.",
        labels: &["tenant", "class", "cluster"],
        read: |sources, emit| {
            each_cluster(sources, |labels, usage| emit.labelled(labels, usage.requests.get()));
        },
    },
    Metric {
        name: "traceweir_tenant_spans_total",
        kind: Kind::Counter,
        help: "Spans that were stored, by tenant, class and cluster.",
        labels: &["tenant", "class", "cluster"],
        read: |sources, emit| {
            each_cluster(sources, |labels, usage| emit.labelled(labels, usage.spans.get()));
        },
    },
    Metric {
        name: "traceweir_tenant_bytes_total",
        kind: Kind::Counter,
        help: "Bytes of requests, decompressed, by tenant, class and cluster.",
        labels: &["tenant", "class", "cluster"],
        read: |sources, emit| {
            each_cluster(sources, |labels, usage| emit.labelled(labels, usage.bytes.get()));
        },
    },
    Metric {
        name: "traceweir_tenant_refused_total",
        kind: Kind::Counter,
        help: "Requests and queries that were refused because of limits, by tenant and class and by which.",
        labels: &["tenant", "class", "reason"],
        read: |sources, emit| {
            each(sources, |tenant, class, account| {
                // Most reasons never come up, and each is a line for each tenant.
                for (reason, count) in account.refused().filter(|(_, count)| *count > 0) {
                    emit.labelled(&[tenant, class, reason], count);
                }
            });
        },
    },
    Metric {
        name: "traceweir_tenant_refused_spans_total",
        kind: Kind::Counter,
        help: "Spans that were refused one by one, by tenant and class and by why.",
        labels: &["tenant", "class", "reason"],
        read: |sources, emit| {
            each(sources, |tenant, class, account| {
                for (reason, count) in account.refused_spans() {
                    emit.labelled(&[tenant, class, reason], count);
                }
            });
        },
    },
    Metric {
        name: "traceweir_tenant_queries_total",
        kind: Kind::Counter,
        help: "Queries that were evaluated, by tenant and class.",
        labels: &["tenant", "class"],
        read: |sources, emit| {
            each(sources, |tenant, class, account| {
                emit.labelled(&[tenant, class], account.queries.get());
            });
        },
    },
    Metric {
        name: "traceweir_tenant_scanned_bytes_total",
        kind: Kind::Counter,
        help: "Bytes of columns that queries looked at, as they are in memory, by tenant and class.",
        labels: &["tenant", "class"],
        read: |sources, emit| {
            each(sources, |tenant, class, account| {
                emit.labelled(&[tenant, class], account.scanned_bytes.get());
            });
        },
    },
    Metric {
        name: "traceweir_tenant_stored_bytes",
        kind: Kind::Gauge,
        help: "Bytes of blocks, by tenant.",
        labels: &["tenant"],
        read: |sources, emit| {
            // Who has sent something and has no block yet has 0 bytes of them.
            let known = sources.accounts.all();
            let none = known.iter().map(|account| (account.tenant.clone(), 0));
            let mut all: BTreeMap<_, _> = none.collect();
            all.extend(sources.store.stored().into_iter().map(|of| (of.tenant, of.bytes)));
            all.iter().for_each(|(tenant, bytes)| emit.labelled(&[tenant.as_str()], bytes));
        },
    },
    Metric {
        name: "traceweir_api_requests_in_flight",
        kind: Kind::Gauge,
        help: "Queries that are being answered.",
        labels: &[],
        read: |sources, emit| {
            emit.value(admission(sources, |stats| stats.requests.get()));
        },
    },
    Metric {
        name: "traceweir_api_answer_bytes_in_flight",
        kind: Kind::Gauge,
        help: "Bytes of answers that are being sent.",
        labels: &[],
        read: |sources, emit| {
            emit.value(admission(sources, |stats| stats.bytes.get()));
        },
    },
    Metric {
        name: "traceweir_api_overload_total",
        kind: Kind::Counter,
        help: "Queries that were told to come back because too many, or too many bytes of answers, were in flight.",
        labels: &[],
        read: |sources, emit| {
            emit.value(admission(sources, |stats| stats.refused.get()));
        },
    },
];

fn each(sources: &Sources, mut tell: impl FnMut(&str, &str, &Account)) {
    for account in sources.accounts.all() {
        let class = account.class.as_deref().unwrap_or_default();
        tell(account.tenant.as_str(), class, &account);
    }
}

fn each_cluster(sources: &Sources, mut tell: impl FnMut(&[&str], &Usage)) {
    each(sources, |tenant, class, account| {
        for cluster in account.clusters() {
            tell(&[tenant, class, &cluster.name], &cluster.usage);
        }
    });
}

fn admission(sources: &Sources, read: fn(&admission::Stats) -> u64) -> u64 {
    api(sources).map_or(0, |api| read(api.admission_stats()))
}
