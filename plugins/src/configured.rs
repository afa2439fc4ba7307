//! A plugin with its configuration, and the instances that run it.
//!
//! Instances live long: one for each thread that calls at the same time, made when it is needed, dropped when it has
//! trapped, grown or done its work, or when nobody needed it for a while.

use std::sync::{Arc, Mutex, PoisonError};

use model::{Nanos, TenantId};
use serde_json::Value;

use crate::breaker::Breakers;
use crate::budget::Budgets;
use crate::contract;
use crate::custom::Metric;
use crate::error::{Error, Failure, Kind};
use crate::host::{Shared, Surroundings};
use crate::instance::{Answer, Failed, Instance, Limits};
use crate::plugin::Plugin;
use crate::projection::{self, Level, Plan, Projection};
use crate::schema;
use crate::stats::Stats;
use crate::worlds::World;

/// Instances of one plugin that wait to be called.
const IDLE_MAX: usize = 64;
/// Tenants that a router may name: its answer has 16 bits for them, of which one says that nothing changes.
const ROUTES_MAX: usize = u16::MAX as usize;
/// What nobody called for so long is dropped.
const IDLE_TIME: Nanos = Nanos::from_secs(60);

/// How a plugin is set up.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// What it is called where it is attached.
    pub name: String,
    /// Its configuration.
    pub config: Value,
    /// What an instance may use.
    pub limits: Limits,
    /// Bytes that it may remember of a tenant.
    pub cache_bytes_max: usize,
}

/// A plugin with its configuration.
#[derive(Debug)]
pub struct Configured {
    plugin: Arc<Plugin>,
    setup: Setup,
    config: String,
    shared: Arc<Shared>,
    projection: Projection,
    plan: Plan,
    routes: Vec<TenantId>,
    idle: Mutex<Vec<Instance>>,
    /// Of a refresher: how often it wants to be called.
    pub(crate) interval_seconds: Option<u32>,
    pub(crate) breakers: Breakers,
    pub(crate) budgets: Budgets,
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance")
            .field("memory_bytes", &self.memory_bytes())
            .finish_non_exhaustive()
    }
}

impl Configured {
    /// Configures a plugin: its first instance is made, and asked what it wants to see.
    ///
    /// # Errors
    /// [`Kind::Config`] where the configuration is wrong, with its path; [`Kind::NotOurs`] where what it wants is not of
    /// the contract; [`Kind::Failed`].
    pub fn new(plugin: Arc<Plugin>, setup: Setup, world: Surroundings) -> Result<Arc<Self>, Error> {
        schema::check(&plugin.info().config_schema, &setup.config)?;
        let stats = Arc::<Stats>::default();
        let shared =
            Arc::new(Shared::new(&setup.name, world, Arc::clone(&stats), setup.cache_bytes_max));
        let config = setup.config.to_string();
        let mut first = plugin.instance(Arc::clone(&shared), setup.limits)?;
        let projection = Projection::from(first.configure(&config)?);
        let role = match plugin.world() {
            World::HeadSampler => projection::Role::HeadSampler,
            World::TailSampler if first.wants_spans()? => {
                projection::Role::TailSampler(Level::ProjectedSpans)
            }
            World::TailSampler => projection::Role::TailSampler(Level::Summary),
            World::Router => projection::Role::Router,
            World::SpanProcessor | World::Authenticator | World::TableRefresher => {
                projection::Role::SpanProcessor
            }
        };
        let plan = Plan::compile(&projection, role)
            .map_err(|fault| Error::new(Kind::NotOurs, format!("configure: {fault}")))?;
        let routes = routes(first.routes()?)?;
        let interval_seconds = first.interval()?;
        stats.instances_made.inc();
        stats.instances.add(1);
        stats.memory_bytes.add(first.memory_bytes() as u64);
        first.used = shared.world.clock.monotonic();
        let (breakers, budgets) = (Breakers::default(), Budgets::default());
        let idle = Mutex::new(vec![first]);
        Ok(Arc::new(Self {
            plugin,
            setup,
            config,
            shared,
            projection,
            plan,
            routes,
            idle,
            interval_seconds,
            breakers,
            budgets,
        }))
    }

    /// The plugin.
    #[must_use]
    pub const fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// How it is set up.
    #[must_use]
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// What it reads and writes.
    #[must_use]
    pub const fn projection(&self) -> &Projection {
        &self.projection
    }

    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The tenants that it may name, of a router.
    #[must_use]
    pub fn routes(&self) -> &[TenantId] {
        &self.routes
    }

    /// What it has done.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.shared.stats
    }

    /// Its own metrics.
    #[must_use]
    pub fn metrics(&self) -> Vec<Arc<Metric>> {
        self.shared.custom.list()
    }

    /// How its breakers stand: the worst, and the tenants that are not served.
    #[must_use]
    pub fn breakers(&self) -> (crate::breaker::State, Vec<(TenantId, crate::breaker::State)>) {
        (self.breakers.state().0, self.breakers.open())
    }

    /// Calls an instance with a batch. Counters that the answer raises are applied by [`Self::count`].
    pub(crate) fn call(&self, tenant: &TenantId, batch: Arc<Vec<u8>>) -> Result<Called, Failed> {
        let stats = self.stats();
        stats.bytes_in.add(batch.len() as u64);
        let (answer, metrics) = self.with(|instance| instance.batch(tenant, batch))?;
        stats.bytes_out.add(answer.bytes.len() as u64);
        stats.fuel.add(answer.fuel);
        Ok(Called { answer, metrics })
    }

    /// Lends an instance for one call; what it answers, and the places of its metrics.
    pub(crate) fn with<T>(
        &self,
        call: impl FnOnce(&mut Instance) -> Result<T, Failed>,
    ) -> Result<(T, Vec<u32>), Failed> {
        let mut instance = self.take().map_err(|error| {
            let failure = match error.kind() {
                Kind::Failed(failure) => failure,
                _ => Failure::Capacity,
            };
            Failed { failure, message: error.to_string() }
        })?;
        let clock = &self.shared.world.clock;
        let (stats, begun) = (self.stats(), clock.monotonic());
        stats.calls.inc();
        let (memory, answer) = (instance.memory_bytes(), call(&mut instance));
        let now = clock.monotonic();
        stats.guest_nanos.add(now.minus(begun).0);
        stats.memory_bytes.add(instance.memory_bytes().saturating_sub(memory) as u64);
        let metrics = instance.metrics().to_vec();
        self.give(instance, now);
        Ok((answer?, metrics))
    }

    /// Raises counters of the plugin's own.
    pub(crate) fn count(&self, metrics: &[u32], counts: &[(u32, u64)]) {
        for (id, delta) in counts {
            if let Some(place) = metrics.get(*id as usize) {
                self.shared.custom.add(*place, *delta);
            }
        }
    }

    fn take(&self) -> Result<Instance, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(idle) = idle {
            return Ok(idle);
        }
        let mut made = self.plugin.instance(Arc::clone(&self.shared), self.setup.limits)?;
        let projection = Projection::from(made.configure(&self.config)?);
        if projection != self.projection {
            let what = "configure: the same configuration came to another projection";
            return Err(Error::new(Kind::Failed(Failure::BadOutput), what));
        }
        let stats = self.stats();
        stats.instances_made.inc();
        stats.instances.add(1);
        stats.memory_bytes.add(made.memory_bytes() as u64);
        Ok(made)
    }

    fn give(&self, mut instance: Instance, now: Nanos) {
        instance.used = now;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if instance.is_spent() || idle.len() >= IDLE_MAX {
            drop(idle);
            return self.dropped(&instance);
        }
        idle.push(instance);
    }

    fn dropped(&self, instance: &Instance) {
        self.stats().instances.sub(1);
        self.stats().memory_bytes.sub(instance.memory_bytes() as u64);
    }

    /// Drops instances that nobody needed for a while. The last used is called first, so a quiet time leaves only as many
    /// as it needs.
    pub fn sweep(&self, now: Nanos) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let stays = |instance: &Instance| now.minus(instance.used) < IDLE_TIME;
        let (stay, gone) = std::mem::take(&mut *idle).into_iter().partition(stays);
        *idle = stay;
        drop(idle);
        let gone: Vec<Instance> = gone;
        gone.iter().for_each(|instance| self.dropped(instance));
    }

    /// The stretch of time of a budget.
    pub(crate) fn window(&self, budget: usize) -> Nanos {
        let millis = self.projection.budgets.get(budget).map_or(1_000, |budget| budget.window_ms);
        Nanos(u64::from(millis) * 1_000_000)
    }

    /// A number by chance.
    pub(crate) fn seed(&self) -> u64 {
        let mut bytes = [0; 8];
        (self.shared.world.chance)(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// The time since 1970.
    pub(crate) fn wall(&self) -> Nanos {
        self.shared.world.clock.now()
    }

    /// The time, as deadlines have it.
    pub(crate) fn now(&self) -> Nanos {
        self.shared.world.clock.monotonic()
    }
}

/// The tenants that a router says it may name.
fn routes(told: Vec<String>) -> Result<Vec<TenantId>, Error> {
    if told.len() > ROUTES_MAX {
        let what = format!("routes: {} tenants, {ROUTES_MAX} is the limit", told.len());
        return Err(Error::new(Kind::NotOurs, what));
    }
    let tenant = |(place, name): (usize, String)| {
        let fault = |fault| Error::new(Kind::NotOurs, format!("routes[{place}]: {fault}"));
        TenantId::parse(&name).map_err(fault)
    };
    told.into_iter().enumerate().map(tenant).collect()
}

/// What a call came to.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) answer: Answer,
    /// The places of the metrics of the instance that was called.
    pub(crate) metrics: Vec<u32>,
}

impl From<contract::Projection> for Projection {
    fn from(of: contract::Projection) -> Self {
        let budget = |of: contract::Budget| projection::Budget {
            name: of.name,
            per: of.per.map(Into::into),
            limit: of.limit,
            window_ms: of.window_ms,
        };
        let rule =
            |of: contract::MatchRule| projection::MatchRule { key: of.key, any_of: of.any_of };
        Self {
            reads: of.reads.into_iter().map(Into::into).collect(),
            writes: of.writes.into_iter().map(Into::into).collect(),
            match_resource: of.match_resource.into_iter().map(rule).collect(),
            budgets: of.budgets.into_iter().map(budget).collect(),
            max_batch_rows: of.max_batch_rows,
        }
    }
}

impl From<contract::Field> for projection::Field {
    fn from(of: contract::Field) -> Self {
        match of {
            contract::Field::Intrinsic(of) => {
                // The same list, from 0 here and from 1 there.
                let of = projection::Intrinsic::ALL[of as usize];
                Self::Intrinsic(of)
            }
            contract::Field::Attribute(of) => Self::Attribute(of.into()),
            contract::Field::Attributes(of) => Self::Attributes(of.into()),
        }
    }
}

impl From<contract::Attribute> for projection::Attribute {
    fn from(of: contract::Attribute) -> Self {
        let owner = match of.owner {
            contract::Owner::Span => projection::Owner::Span,
            contract::Owner::Resource => projection::Owner::Resource,
            contract::Owner::Scope => projection::Owner::Scope,
            contract::Owner::Event => projection::Owner::Event,
            contract::Owner::Link => projection::Owner::Link,
        };
        Self { owner, key: of.key, complex: of.complex }
    }
}
