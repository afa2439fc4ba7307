//! TraceQL on a store: spansets, series, names and values of attributes.
//!
//! Each takes a view of what is there, computes over it ([`crate::execute::traceql`]) and tells in
//! the answer what could not be read. What several tenants have is judged as if it were one's, and what is
//! found carries its tenant ([`model::TENANT_ATTRIBUTE`]). All of them compute, and read pages of files where
//! they must: run them on the compute pool.

use std::sync::Arc;

use model::{Federation, TimeRange};
use traceql::ast::{Field, Scope};

use crate::error::Error;
use crate::execute::Parts;
use crate::execute::traceql::{
    self as engine, AttributeNames, Inspected, MetricsAnswer, MetricsRequest, NamesRequest,
    SearchAnswer, SearchRequest, TagValues, TraceMatch,
};
use crate::{Inner, Store};

impl Store {
    /// Finds the newest traces that leave the pipeline of a query.
    ///
    /// `on_found` is called now and then with the traces that were found since, newest first, and
    /// with what was looked at until then: together they are the traces of the answer, in its
    /// order.
    ///
    /// # Errors
    /// `Unavailable` while replaying.
    pub fn query(
        &self,
        tenants: &Federation,
        request: &SearchRequest,
        on_found: &mut dyn FnMut(&[Arc<TraceMatch>], Inspected),
    ) -> Result<SearchAnswer, Error> {
        let reads = traceql::plan::reads(&request.query);
        let mut answer = self.ask(tenants, &reads, request.during, |parts| {
            engine::search(parts, &*self.0.clock, request, on_found)
        })?;
        answer.0.partial = answer.1.or(answer.0.partial);
        Ok(answer.0)
    }

    /// Computes the series of a metrics query.
    ///
    /// `on_progress` is called about twice a second with what is counted so far; not where series
    /// are computed with each other, which takes all of them.
    ///
    /// # Errors
    /// `Unavailable` while replaying. `Invalid` when the query asks for spans, not for series,
    /// or for more than [`engine::INTERVALS_MAX`] intervals.
    pub fn query_metrics(
        &self,
        tenants: &Federation,
        request: &MetricsRequest,
        on_progress: &mut dyn FnMut(MetricsAnswer),
    ) -> Result<MetricsAnswer, Error> {
        let reads = traceql::plan::reads(&request.query);
        let mut answer = self.ask(tenants, &reads, request.during(), |parts| {
            engine::metrics(parts, &*self.0.clock, request, on_progress)
        })?;
        answer.0.partial = answer.1.or(answer.0.partial);
        Ok(answer.0)
    }

    /// The names of attributes, of one scope or of all.
    ///
    /// # Errors
    /// `Unavailable` while replaying.
    pub fn tags(
        &self,
        tenants: &Federation,
        scope: Option<Scope>,
        request: &NamesRequest,
    ) -> Result<AttributeNames, Error> {
        let reads = traceql::plan::Reads::default();
        let mut answer = self.ask(tenants, &reads, request.during, |parts| {
            engine::names(parts, &*self.0.clock, scope, request)
        })?;
        answer.0.partial = answer.1.or(answer.0.partial);
        Ok(answer.0)
    }

    /// The values of a field ([`traceql::field`] reads its name).
    ///
    /// # Errors
    /// `Unavailable` while replaying.
    pub fn tag_values(
        &self,
        tenants: &Federation,
        field: &Field,
        request: &NamesRequest,
    ) -> Result<TagValues, Error> {
        let reads = traceql::plan::Reads::default();
        let mut answer = self.ask(tenants, &reads, request.during, |parts| {
            engine::values(parts, &*self.0.clock, field, request)
        })?;
        answer.0.partial = answer.1.or(answer.0.partial);
        Ok(answer.0)
    }

    /// Asks a view of what is near a range of time; what could not be read of it comes beside the answer.
    fn ask<T>(
        &self,
        tenants: &Federation,
        reads: &traceql::plan::Reads,
        during: TimeRange,
        ask: impl FnOnce(&Parts<'_>) -> Result<T, Error>,
    ) -> Result<(T, Option<String>), Error> {
        self.readable()?;
        let inner: &Inner = &self.0;
        inner.stats.searches.inc();
        engine::span_attributes(reads).for_each(|key| inner.keep.asked_for(key));
        let view = inner.keep.shelf.view(&inner.head, tenants)?.near(during);
        let parts = Parts::new(&view, &inner.keep.readers, &inner.answers);
        let answer = ask(&parts);
        let partial = inner.partial(&view, parts.into_problems());
        Ok((answer?, partial))
    }
}
