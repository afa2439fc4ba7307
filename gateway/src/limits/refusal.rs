//! What there is too much of.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::{TenantId, Wait};

use crate::overrides::values::Rate;

/// Why a request is refused, as it is counted for its tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Over the rate of bytes.
    Bytes,
    /// Over the rate of spans.
    Spans,
    /// Over its cluster's rate of bytes.
    ClusterBytes,
    /// Over its cluster's rate of spans.
    ClusterSpans,
    /// No place, no memory or no thread for it.
    Overload,
    /// The body is too large.
    BodyBytes,
    /// More spans than a request may have.
    RequestSpans,
    /// Too many queries wait.
    Queries,
}

impl Reason {
    /// All of them, in their order.
    pub const ALL: [Self; 8] = [
        Self::Bytes,
        Self::Spans,
        Self::ClusterBytes,
        Self::ClusterSpans,
        Self::Overload,
        Self::BodyBytes,
        Self::RequestSpans,
        Self::Queries,
    ];

    /// In metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bytes => "rate_bytes",
            Self::Spans => "rate_spans",
            Self::ClusterBytes => "cluster_rate_bytes",
            Self::ClusterSpans => "cluster_rate_spans",
            Self::Overload => "overload",
            Self::BodyBytes => "body_bytes",
            Self::RequestSpans => "request_spans",
            Self::Queries => "queries",
        }
    }

    /// What is counted, and the key that bounds it.
    const fn of(self) -> (&'static str, &'static str) {
        match self {
            Self::Bytes | Self::ClusterBytes => ("bytes", "ingestion.rate_bytes"),
            _ => ("spans", "ingestion.rate_spans"),
        }
    }
}

/// A rate is used up: nothing was taken, and it passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Which one.
    pub reason: Reason,
    /// Whose it is.
    pub tenant: TenantId,
    /// The cluster whose it is, where it is not the tenant's own.
    pub cluster: Option<Arc<str>>,
    /// What there may be.
    pub rate: Rate,
    /// How long it takes until something is let in again.
    pub wait: Duration,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((what, key), Rate { per_second, burst }) = (self.reason.of(), self.rate);
        write!(f, "tenant {}", self.tenant)?;
        if let Some(cluster) = &self.cluster {
            write!(f, ", cluster {cluster}")?;
        }
        let millis = u64::try_from(self.wait.as_millis()).unwrap_or(u64::MAX);
        let wait = Wait::millis(millis.saturating_add(1));
        write!(
            f,
            " sends more {what} than {key} allows: {per_second} in a second, {burst} at once; \
             there is room again in {wait}"
        )
    }
}
