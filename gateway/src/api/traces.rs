//! What the API reads from: the store, or a stand-in of a test.

use std::sync::Arc;

use model::{Federation, TenantId, TimeRange, TraceId};
use store::SpanKey;
use store::execute::traceql::{
    AttributeNames, Inspected, MetricsAnswer, MetricsRequest, NamesRequest, SearchAnswer,
    SearchRequest, TagValues, TraceMatch,
};
use traceql::ast::{Field, Scope};

/// What the API reads traces from: the store, or a stand-in of a test.
pub trait Traces: Send + Sync {
    /// All spans of a trace, or the page of them behind one, or `None`. Computes.
    ///
    /// # Errors
    /// As [`store::Store::trace_after`].
    fn trace(
        &self,
        tenants: &Federation,
        id: TraceId,
        during: TimeRange,
        after: Option<SpanKey>,
    ) -> Result<Option<store::Trace>, store::Error>;

    /// Finds traces by a query, and tells them as they are found. Computes.
    ///
    /// # Errors
    /// As [`store::Store::query`].
    fn query(
        &self,
        tenants: &Federation,
        request: &SearchRequest,
        on_found: &mut dyn FnMut(&[Arc<TraceMatch>], Inspected),
    ) -> Result<SearchAnswer, store::Error>;

    /// Computes series, and tells what is counted so far. Computes.
    ///
    /// # Errors
    /// As [`store::Store::query_metrics`].
    fn query_metrics(
        &self,
        tenants: &Federation,
        request: &MetricsRequest,
        on_progress: &mut dyn FnMut(MetricsAnswer),
    ) -> Result<MetricsAnswer, store::Error>;

    /// Names of attributes. Computes.
    ///
    /// # Errors
    /// As [`store::Store::tags`].
    fn tags(
        &self,
        tenants: &Federation,
        scope: Option<Scope>,
        request: &NamesRequest,
    ) -> Result<AttributeNames, store::Error>;

    /// Values of a field. Computes.
    ///
    /// # Errors
    /// As [`store::Store::tag_values`].
    fn tag_values(
        &self,
        tenants: &Federation,
        field: &Field,
        request: &NamesRequest,
    ) -> Result<TagValues, store::Error>;

    /// Seals what is in memory, and merges what is sealed for [`store::Level::L1`]. Blocks.
    ///
    /// # Errors
    /// As [`store::Store::flush`].
    fn flush(&self, level: store::Level) -> Result<store::Flushed, store::Error>;

    /// Deletes all that a tenant has. Blocks.
    ///
    /// # Errors
    /// As [`store::Store::delete_tenant`].
    fn delete_tenant(&self, tenant: &TenantId) -> Result<store::Deleted, store::Error>;

    /// Hides traces. Blocks.
    ///
    /// # Errors
    /// As [`store::Store::redact`].
    fn redact(
        &self,
        tenant: &TenantId,
        traces: Vec<TraceId>,
    ) -> Result<store::manifest::BlockId, store::Error>;

    /// How far redactions are.
    fn redactions(&self) -> Vec<store::Redacted>;
}

impl Traces for store::Store {
    fn trace(
        &self,
        tenants: &Federation,
        id: TraceId,
        during: TimeRange,
        after: Option<SpanKey>,
    ) -> Result<Option<store::Trace>, store::Error> {
        self.trace_after(tenants, id, during, after)
    }

    fn query(
        &self,
        tenants: &Federation,
        request: &SearchRequest,
        on_found: &mut dyn FnMut(&[Arc<TraceMatch>], Inspected),
    ) -> Result<SearchAnswer, store::Error> {
        Self::query(self, tenants, request, on_found)
    }

    fn query_metrics(
        &self,
        tenants: &Federation,
        request: &MetricsRequest,
        on_progress: &mut dyn FnMut(MetricsAnswer),
    ) -> Result<MetricsAnswer, store::Error> {
        Self::query_metrics(self, tenants, request, on_progress)
    }

    fn tags(
        &self,
        tenants: &Federation,
        scope: Option<Scope>,
        request: &NamesRequest,
    ) -> Result<AttributeNames, store::Error> {
        Self::tags(self, tenants, scope, request)
    }

    fn tag_values(
        &self,
        tenants: &Federation,
        field: &Field,
        request: &NamesRequest,
    ) -> Result<TagValues, store::Error> {
        Self::tag_values(self, tenants, field, request)
    }

    fn flush(&self, level: store::Level) -> Result<store::Flushed, store::Error> {
        Self::flush(self, level)
    }

    fn delete_tenant(&self, tenant: &TenantId) -> Result<store::Deleted, store::Error> {
        Self::delete_tenant(self, tenant)
    }

    fn redact(
        &self,
        tenant: &TenantId,
        traces: Vec<TraceId>,
    ) -> Result<store::manifest::BlockId, store::Error> {
        Self::redact(self, tenant, traces)
    }

    fn redactions(&self) -> Vec<store::Redacted> {
        Self::redactions(self)
    }
}
