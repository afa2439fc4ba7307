//! Routers: whose the resources of a request are.
//!
//! A router is shown spans, resource by resource, and names a tenant for each of these. Whether whoever sends may write
//! for that tenant is for the caller to say.

use std::sync::Arc;

use model::TenantId;
use model::otlp::Wants;

use crate::batch::{Around, Batch, Unlimited};
use crate::capture::{Failures, Poison};
use crate::chain::{OnFailure, ROWS_MAX, Rejected, Scratch, Whose};
use crate::configured::Configured;
use crate::draft::Draft;
use crate::error::Failure;
use crate::instance::{Answer, Failed};
use crate::projection::Owner;
use crate::step;

/// What an answer has where a resource stays where it is.
const STAYS: u16 = u16::MAX;

/// Where a resource goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Route {
    /// To the tenant that it was sent for.
    #[default]
    Stays,
    /// To this one of [`Router::routes`].
    To(u16),
    /// Nowhere: the router failed, and its `on_failure` is `drop`.
    Dropped,
}

/// A router, as it is attached.
#[derive(Clone, Debug)]
pub struct Router {
    configured: Arc<Configured>,
    on_failure: OnFailure,
    failures: Arc<Failures>,
}

impl Router {
    pub(crate) const fn new(
        configured: Arc<Configured>,
        on_failure: OnFailure,
        failures: Arc<Failures>,
    ) -> Self {
        Self { configured, on_failure, failures }
    }

    /// The tenants that it may name.
    #[must_use]
    pub fn routes(&self) -> &[TenantId] {
        self.configured.routes()
    }

    /// What has to be noted of a request.
    #[must_use]
    pub fn wants(&self) -> Wants {
        self.configured.plan().wants()
    }

    /// Where each resource of a request goes, in their order. Those without spans, and those that the plugin does not
    /// want to see, stay. Of a resource with more than 4,096 spans it sees as many.
    ///
    /// # Errors
    /// It failed, and its `on_failure` is `reject`.
    pub fn run(
        &self,
        draft: &Draft,
        whose: Whose<'_>,
        scratch: &mut Scratch,
    ) -> Result<Vec<Route>, Rejected> {
        let mut routes = vec![Route::Stays; draft.outline.resources.len()];
        let mut rows = std::mem::take(&mut scratch.rows);
        draft.select(self.configured.plan(), &mut rows);
        let batches = by_resources(draft, &rows);
        scratch.rows = rows;
        for rows in batches {
            self.batch(draft, &mut scratch.batch, (&rows, whose), &mut routes)?;
        }
        Ok(routes)
    }

    fn batch(
        &self,
        draft: &Draft,
        batch: &mut Batch,
        (rows, whose): (&[u32], Whose<'_>),
        routes: &mut [Route],
    ) -> Result<(), Rejected> {
        let Self { configured, failures, .. } = self;
        let (stats, begun) = (configured.stats(), configured.now());
        let around = Around { peer: whose.peer, budgets: &Unlimited, late: &Unlimited };
        if !configured.breakers.lets(whose.tenant, begun) {
            batch.project(draft, configured.plan(), rows, &around);
            return self.failed(batch, routes, None);
        }
        stats.rows_in.add(rows.len() as u64);
        batch.project(draft, configured.plan(), rows, &around);
        let told = answered(configured, whose.tenant, batch);
        let now = configured.now();
        stats.time.record(now.minus(begun).0);
        match told {
            Ok(Answered { routes: told, .. }) => {
                configured.breakers.succeeded(whose.tenant);
                stats.rows_out.add(rows.len() as u64);
                let moved = told.iter().filter(|route| **route != Route::Stays).count();
                stats.edits.add(moved as u64);
                for (entry, route) in told.into_iter().enumerate() {
                    set(batch, routes, entry, route);
                }
                Ok(())
            }
            Err(failed) => {
                stats.fail(failed.failure);
                if configured.breakers.failed(whose.tenant, now) {
                    stats.opened.inc();
                }
                failures.note(Poison::of(configured, whose.tenant, &failed, batch.bytes()));
                self.failed(batch, routes, Some(failed.failure))
            }
        }
    }

    /// Applies the policy to the resources of a batch.
    fn failed(
        &self,
        batch: &Batch,
        routes: &mut [Route],
        failure: Option<Failure>,
    ) -> Result<(), Rejected> {
        let stats = self.configured.stats();
        match self.on_failure {
            OnFailure::Pass => stats.passed.inc(),
            OnFailure::Drop => {
                stats.dropped.inc();
                stats.drop_rows("plugin failed", batch.rows() as u64);
                for entry in 0..batch.shape.count(Owner::Resource) {
                    set(batch, routes, entry, Route::Dropped);
                }
            }
            OnFailure::Reject => {
                stats.rejected.inc();
                let plugin = self.configured.setup().name.clone();
                return Err(Rejected { plugin, failure });
            }
        }
        Ok(())
    }
}

/// What a call of a router came to.
pub(crate) struct Answered {
    /// Of each resource of the batch.
    pub(crate) routes: Vec<Route>,
    /// Bytes of the answer.
    pub(crate) bytes: usize,
    /// Instructions, where they are counted.
    pub(crate) fuel: u64,
}

/// Calls a router with a batch that was projected.
pub(crate) fn answered(
    configured: &Configured,
    tenant: &TenantId,
    batch: &mut Batch,
) -> Result<Answered, Failed> {
    let called = step::call(configured, tenant, batch)?;
    let resources = batch.shape.count(Owner::Resource);
    let Answer { bytes, fuel } = called.answer;
    let routes = decode(&bytes, resources, configured.routes().len())
        .map_err(|message| Failed { failure: Failure::BadOutput, message })?;
    Ok(Answered { routes, bytes: bytes.len(), fuel })
}

fn set(batch: &Batch, routes: &mut [Route], entry: usize, route: Route) {
    let place = batch.shape.place(Owner::Resource, entry) as usize;
    if let Some(of) = routes.get_mut(place) {
        *of = route;
    }
}

/// Rows in batches that have each resource whole, and of a large one the first.
pub(crate) fn by_resources(draft: &Draft, rows: &[u32]) -> Vec<Vec<u32>> {
    let rows_max = ROWS_MAX as usize;
    let resource = |row: &u32| {
        let scope = draft.outline.spans.get(*row as usize).map_or(0, |span| span.scope);
        draft.outline.scopes.get(scope as usize).map_or(0, |scope| scope.resource)
    };
    let mut batches: Vec<Vec<u32>> = Vec::new();
    for rows in rows.chunk_by(|one, next| resource(one) == resource(next)) {
        let rows = rows.get(..rows.len().min(rows_max)).unwrap_or_default();
        match batches.last_mut() {
            Some(batch) if batch.len() + rows.len() <= rows_max => batch.extend_from_slice(rows),
            _ => batches.push(rows.to_vec()),
        }
    }
    batches
}

/// An answer: a u16, little endian, for each resource.
fn decode(bytes: &[u8], resources: usize, tenants: usize) -> Result<Vec<Route>, String> {
    if bytes.len() != resources.saturating_mul(2) {
        let found = bytes.len();
        return Err(format!("an answer of {found} bytes, {resources} resources have 2 each"));
    }
    let (numbers, _) = bytes.as_chunks::<2>();
    let route = |(place, number): (usize, &[u8; 2])| match u16::from_le_bytes(*number) {
        STAYS => Ok(Route::Stays),
        number if usize::from(number) < tenants => Ok(Route::To(number)),
        number => Err(format!("resource {place}: route {number}, there are {tenants}")),
    };
    numbers.iter().enumerate().map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_a_number_for_each_resource() {
        let told = decode(&[1, 0, 255, 255, 0, 0], 3, 2).unwrap();
        assert_eq!(told, [Route::To(1), Route::Stays, Route::To(0)]);
        assert_eq!(decode(&[], 0, 0).unwrap(), []);
        for (bytes, resources, why) in [
            (&[2, 0][..], 1, "route 2, there are 2"),
            (&[0][..], 1, "1 bytes"),
            (&[0, 0, 0, 0][..], 1, "4 bytes"),
            (&[][..], 1, "0 bytes"),
        ] {
            let fault = decode(bytes, resources, 2).unwrap_err();
            assert!(fault.contains(why), "{fault}");
        }
    }
}
