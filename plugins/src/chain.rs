//! What runs over a request: the plugins of its tenant, one after the other, head samplers first.
//!
//! A chain is put together for each request out of what is configured then, so that all of a request sees one
//! version, whatever is swapped meanwhile.

use std::net::IpAddr;
use std::sync::Arc;

use model::otlp::Wants;
use model::{Nanos, TenantId, TraceId};
use serde::{Deserialize, Serialize};

use crate::answer::Outcome;
use crate::batch::{Around, Batch, Budgets, Unlimited};
use crate::capture::{Failures, Poison};
use crate::configured::Configured;
use crate::draft::Draft;
use crate::error::Failure;
use crate::instance::Failed;
use crate::step;
use crate::worlds::World;

/// Most rows of one call.
pub(crate) const ROWS_MAX: u32 = 4_096;

/// What becomes of a batch that a plugin fails on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// It goes on as if the plugin were not there.
    #[default]
    Pass,
    /// Its spans are dropped.
    Drop,
    /// The request is refused, and may come again.
    Reject,
}

/// A plugin in a chain.
#[derive(Clone, Debug)]
pub struct Link {
    /// The plugin.
    pub configured: Arc<Configured>,
    /// What becomes of a batch that it fails on.
    pub on_failure: OnFailure,
    /// Only traces below this share of all ids are passed; none: all are.
    pub canary: Option<Share>,
    /// It is called, and what it answers is counted and thrown away.
    pub is_shadow: bool,
}

/// A share of all traces, of 2^56.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u64);

impl Share {
    /// 0 to 100.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    pub fn percent(percent: f64) -> Self {
        Self((percent.clamp(0.0, 100.0) / 100.0 * 72_057_594_037_927_936.0) as u64)
    }

    /// Whether a trace is in it. Bits are mixed, so that it is no matter which traces a sampler keeps.
    fn has(self, id: TraceId) -> bool {
        let low = u64::from_le_bytes(*id.as_bytes().last_chunk().unwrap_or(&[0; 8]));
        low.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 8 < self.0
    }
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The plugin.
    pub plugin: String,
    /// How it failed; nothing where it was not called, for having failed too often.
    pub failure: Option<Failure>,
}

/// Whose request it is.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// Who sent it.
    pub peer: Option<IpAddr>,
}

/// The plugins of a tenant.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    links: Vec<Link>,
    failures: Arc<Failures>,
}

/// Memory that is used again from one request to the next.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) batch: Batch,
    pub(crate) rows: Vec<u32>,
}

impl Scratch {
    /// Whoever sends does not know what collides.
    fn seed_by(&mut self, configured: &Configured) {
        if self.batch.seed() == 0 {
            self.batch = Batch::new(configured.seed() | 1);
        }
    }
}

impl Chain {
    /// A chain; samplers go first, else as they are.
    #[must_use]
    pub fn new(mut links: Vec<Link>, failures: Arc<Failures>) -> Self {
        links.sort_by_key(|link| link.configured.plugin().world() != World::HeadSampler);
        Self { links, failures }
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// What has to be noted of a request.
    #[must_use]
    pub fn wants(&self) -> Wants {
        let plans = self.links.iter().map(|link| link.configured.plan().wants());
        plans.fold(Wants::default(), Wants::and)
    }

    /// Runs all of it over a request.
    ///
    /// # Errors
    /// A plugin failed, and its request is refused for that.
    pub fn run(
        &self,
        draft: &mut Draft,
        whose: Whose<'_>,
        scratch: &mut Scratch,
    ) -> Result<(), Rejected> {
        self.links.iter().try_for_each(|link| {
            let failures = &self.failures;
            Call { link, whose, failures }.run(draft, scratch)
        })
    }
}

/// One plugin over one request.
struct Call<'a> {
    link: &'a Link,
    whose: Whose<'a>,
    failures: &'a Failures,
}

impl Call<'_> {
    fn run(&self, draft: &mut Draft, scratch: &mut Scratch) -> Result<(), Rejected> {
        let Link { configured, canary, .. } = self.link;
        let plan = configured.plan();
        scratch.seed_by(configured);
        let mut rows = std::mem::take(&mut scratch.rows);
        draft.select(plan, &mut rows);
        if let Some(share) = canary {
            rows.retain(|row| share.has(draft.trace_id(*row)));
        }
        let rows_max = plan.rows_max(ROWS_MAX).max(1) as usize;
        let mut outcome = Ok(());
        for rows in rows.chunks(rows_max) {
            outcome = self.batch(draft, &mut scratch.batch, rows);
            if outcome.is_err() {
                break;
            }
        }
        scratch.rows = rows;
        outcome
    }

    fn batch(&self, draft: &mut Draft, batch: &mut Batch, rows: &[u32]) -> Result<(), Rejected> {
        let (configured, tenant) = (&self.link.configured, self.whose.tenant);
        let (stats, begun) = (configured.stats(), configured.now());
        if !configured.breakers.lets(tenant, begun) {
            return self.failed(draft, rows, None);
        }
        stats.rows_in.add(rows.len() as u64);
        let budgets = Used { configured, tenant, now: begun };
        let around = Around { peer: self.whose.peer, budgets: &budgets, late: &Unlimited };
        batch.project(draft, configured.plan(), rows, &around);
        let told = self.answered(draft, batch);
        let now = configured.now();
        stats.time.record(now.minus(begun).0);
        match told {
            Ok(outcome) => {
                configured.breakers.succeeded(tenant);
                self.note(&outcome, now);
                stats.rows_out.add((rows.len() as u64).saturating_sub(outcome.dropped));
                Ok(())
            }
            Err(failed) => {
                self.note_failure(&failed, batch, now);
                self.failed(draft, rows, Some(failed.failure))
            }
        }
    }

    fn answered(&self, draft: &mut Draft, batch: &mut Batch) -> Result<Outcome, Failed> {
        let configured = &self.link.configured;
        let called = step::call(configured, self.whose.tenant, batch)?;
        let edits = step::edits(configured, &called, draft, batch)?;
        let plan = configured.plan();
        let outcome = match self.link.is_shadow {
            false => draft.apply(plan, batch, &edits),
            // To another one, that nobody sees.
            true => draft.clone().apply(plan, batch, &edits),
        };
        configured.count(&called.metrics, &outcome.counts);
        Ok(outcome)
    }

    fn note(&self, outcome: &Outcome, now: Nanos) {
        let configured = &self.link.configured;
        let stats = configured.stats();
        stats.edits.add(outcome.edits);
        for reason in outcome.reasons.iter().filter(|reason| reason.dropped > 0) {
            stats.drop_rows(&reason.text, reason.dropped);
        }
        for kept in &outcome.budgets {
            let place = u32::try_from(kept.budget).unwrap_or(u32::MAX);
            let of = (self.whose.tenant, place, kept.key.as_str());
            configured.budgets.keep(of, configured.window(kept.budget), (now, kept.rows));
        }
    }

    fn note_failure(&self, failed: &Failed, batch: &Batch, now: Nanos) {
        let (configured, tenant) = (&self.link.configured, self.whose.tenant);
        configured.stats().fail(failed.failure);
        if configured.breakers.failed(tenant, now) {
            configured.stats().opened.inc();
        }
        self.failures.note(Poison::of(configured, tenant, failed, batch.bytes()));
    }

    /// Applies the policy to rows that the plugin has not dealt with.
    fn failed(
        &self,
        draft: &mut Draft,
        rows: &[u32],
        failure: Option<Failure>,
    ) -> Result<(), Rejected> {
        let stats = self.link.configured.stats();
        match self.link.on_failure {
            // What nobody has to wait for does no harm.
            _ if self.link.is_shadow => Ok(()),
            OnFailure::Pass => {
                stats.passed.inc();
                Ok(())
            }
            OnFailure::Drop => {
                stats.dropped.inc();
                stats.drop_rows("plugin failed", rows.len() as u64);
                rows.iter().for_each(|row| draft.drop_span(*row));
                Ok(())
            }
            OnFailure::Reject => {
                stats.rejected.inc();
                Err(Rejected { plugin: self.link.configured.setup().name.clone(), failure })
            }
        }
    }
}

/// What is used of a plugin's budgets.
struct Used<'a> {
    configured: &'a Configured,
    tenant: &'a TenantId,
    now: Nanos,
}

impl Budgets for Used<'_> {
    fn budget(&self, place: usize, key: &str) -> (u64, u64) {
        let limit =
            self.configured.projection().budgets.get(place).map_or(0, |budget| budget.limit);
        let number = u32::try_from(place).unwrap_or(u32::MAX);
        let of = (self.tenant, number, key);
        (limit, self.configured.budgets.used(of, self.configured.window(place), self.now))
    }
}

#[cfg(test)]
mod tests;
