//! Metrics of the query API.

use std::sync::{Arc, Weak};

use super::{Kind, Metric, Sources};
use crate::api::Api;

/// The rows of this family.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "traceweir_api_requests_total",
        kind: Kind::Counter,
        help: "Requests of the query API, by route and by how they ended: answered, refused (4xx) or failed (5xx).",
        labels: &["route", "end"],
        read: |sources, emit| {
            for (path, stats) in api(sources).iter().flat_map(|api| api.stats()) {
                emit.labelled(&[path, "answered"], stats.answered.get());
                emit.labelled(&[path, "refused"], stats.refused.get());
                emit.labelled(&[path, "failed"], stats.failed.get());
            }
        },
    },
    Metric {
        name: "traceweir_api_request_seconds",
        kind: Kind::Histogram,
        help: "Time to answer a request of the query API, waiting for a compute thread included, in seconds.",
        labels: &["route"],
        read: |sources, emit| {
            for (path, stats) in api(sources).iter().flat_map(|api| api.stats()) {
                // A route that nobody asked is seventeen lines of zeros.
                if stats.time.counts().iter().any(|count| *count > 0) {
                    emit.histogram(&[path], &stats.time);
                }
            }
        },
    },
    Metric {
        name: "traceweir_api_unknown_requests_total",
        kind: Kind::Counter,
        help: "Requests that found no route, or not by their method.",
        labels: &[],
        read: |sources, emit| emit.value(api(sources).map_or(0, |api| api.unknown())),
    },
];

pub(super) fn api(sources: &Sources) -> Option<Arc<Api>> {
    sources.api.get().and_then(Weak::upgrade)
}
