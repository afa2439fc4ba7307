//! The plugins of a tenant over its requests, between the look through a request and the store.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use model::otlp::{self, Checked, Open, Outline, Rules};
use model::{Nanos, TenantId};
use plugins::{Chain, Draft, Rejected, Router, Scratch, Whose};

use super::buffers::Buffers;
use super::ingest::Sender;
use super::reply::{Fault, Kind};
use super::routed::{self, Split};
use crate::attach::Plugins;
use crate::limits::Source;

/// Memory for plugins that waits to be used again: about one for each thread that computes.
const SCRATCH_MAX: usize = 64;

/// Runs chains.
#[derive(Debug)]
pub(super) struct Chains {
    plugins: Arc<Plugins>,
    scratch: Mutex<Vec<Scratch>>,
    buffers: Buffers,
}

impl Chains {
    pub(super) fn new(plugins: Arc<Plugins>, buffers: Buffers) -> Self {
        Self { plugins, scratch: Mutex::default(), buffers }
    }

    /// The chain that spans from there pass now; empty as a rule.
    pub(super) fn of(&self, source: &Source) -> Result<Chain, Fault> {
        let holding = source.holding();
        let attached = &holding.limits.ingestion.plugins;
        if attached.is_empty() {
            return Ok(Chain::default());
        }
        self.plugins
            .chain(attached)
            .map_err(|error| Fault::new(Kind::Unavailable, error.to_string()))
    }

    /// The router that says whose the resources of requests from there are; none as a rule.
    pub(super) fn router(&self, source: &Source) -> Result<Option<Router>, Fault> {
        let holding = source.holding();
        let name = holding.limits.ingestion.router.as_str();
        if name.is_empty() {
            return Ok(None);
        }
        let router = self.plugins.router(name);
        router.map(Some).map_err(|error| Fault::new(Kind::Unavailable, error.to_string()))
    }

    /// Puts a request apart as a router says.
    pub(super) fn split(
        &self,
        router: &Router,
        sender: &Sender,
        body: &Bytes,
    ) -> Result<Split, Fault> {
        let looked = otlp::outline_with(body, &Rules::NONE, &mut Open, router.wants());
        let (checked, outline) =
            looked.map_err(|fault| Fault::new(Kind::Invalid, fault.to_string()))?;
        let draft = Draft::new(body.clone(), checked, outline);
        let mut scratch = self.take();
        let whose = Whose { tenant: &sender.tenant, peer: sender.peer() };
        let routes = router.run(&draft, whose, &mut scratch);
        self.give(scratch);
        let routes = routes.map_err(|rejected| fault(&rejected))?;
        self.sample(&sender.tenant, body, self.plugins.registry().surroundings().clock.monotonic());
        let who = (&*sender.principal, &sender.tenant);
        Ok(routed::split((body, draft.outline()), (&routes, router.routes()), who))
    }

    /// Runs a chain over a request; what is to be stored of it.
    pub(super) fn run(
        &self,
        chain: &Chain,
        (tenant, peer): (&TenantId, Option<IpAddr>),
        (body, checked, outline): (Bytes, Checked, Outline),
    ) -> Result<(Bytes, Checked), Fault> {
        let mut draft = Draft::new(body, checked, outline);
        let mut scratch = self.take();
        let ran = chain.run(&mut draft, Whose { tenant, peer }, &mut scratch);
        self.give(scratch);
        ran.map_err(|rejected| fault(&rejected))?;
        let finished = draft.finish(|bytes| self.buffers.take(bytes));
        let body = match finished.body {
            plugins::Written::Same(body) => body,
            plugins::Written::New(body) => self.buffers.lend(body),
        };
        Ok((body, finished.checked))
    }

    /// Notes a request that is stored, now and then: plugins that are to take over are tried on it.
    pub(super) fn sample(&self, tenant: &TenantId, body: &Bytes, now: Nanos) {
        self.plugins.registry().sample(tenant, body, now);
    }

    /// Hands a request, as it was received, to whoever waits for one to test plugins with. The times are as deadlines have them, and since 1970.
    pub(super) fn capture(&self, tenant: &TenantId, body: &Bytes, times: (Nanos, Nanos)) {
        self.plugins.registry().orders().offer(tenant, body, times);
    }

    fn take(&self) -> Scratch {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    fn give(&self, scratch: Scratch) {
        let mut kept = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < SCRATCH_MAX {
            kept.push(scratch);
        }
    }
}

/// It may work later: somebody mends the plugin, or it was this batch under other circumstances.
fn fault(rejected: &Rejected) -> Fault {
    let Rejected { plugin, failure } = rejected;
    let why = match failure {
        Some(failure) => format!("failed ({})", failure.as_str()),
        None => "has failed too often, and is not called for a while".to_owned(),
    };
    let message = format!(
        "plugin {plugin} {why}, and its on_failure is reject: nothing is stored, try again later"
    );
    Fault::new(Kind::Unavailable, message)
}
