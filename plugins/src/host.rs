//! What a guest has on our side: its limits, whose call it is, and what it shares with others of its kind.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use model::{Clock, Nanos, TenantId};
use tracing::{debug, error, info, warn};
use wasmtime::ResourceLimiter;

use crate::cache::Cache;
use crate::contract::LogLevel;
use crate::custom::Custom;
use crate::engine::TABLE_ENTRIES_MAX;
use crate::error::Failure;
use crate::refresher::Reach;
use crate::stats::Stats;
use crate::tables::Tables;

/// Calls of the host during one call of the guest.
const CALLS_MAX: u32 = 10_000;
/// Lines of a plugin's log in a second, and at once.
const LINES_PER_SECOND: u64 = 10;
const LINES_BURST: u64 = 100;
/// Bytes of one line.
const LINE_BYTES_MAX: usize = 1_024;
/// Tenants of which one plugin remembers something.
const CACHES_MAX: usize = 1_000;

/// Where chance comes from.
pub type Chance = Arc<dyn Fn(&mut [u8]) + Send + Sync>;

/// What all plugins of a process have in common.
#[derive(Clone)]
pub struct Surroundings {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Random bytes.
    pub chance: Chance,
    /// What is looked up.
    pub tables: Arc<Tables>,
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings").field("tables", &self.tables).finish_non_exhaustive()
    }
}

/// What the guests of one configured plugin have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) world: Surroundings,
    pub(crate) stats: Arc<Stats>,
    pub(crate) custom: Custom,
    pub(crate) cache_bytes_max: usize,
    lines: Mutex<Lines>,
    caches: Mutex<HashMap<TenantId, Cache>>,
}

/// What is left to be written into the log.
#[derive(Debug)]
struct Lines {
    left: u64,
    since: Nanos,
}

impl Shared {
    pub(crate) fn new(
        name: &str,
        world: Surroundings,
        stats: Arc<Stats>,
        cache_bytes_max: usize,
    ) -> Self {
        let lines = Mutex::new(Lines { left: LINES_BURST, since: world.clock.monotonic() });
        let name = name.to_owned();
        let custom = Custom::default();
        Self { name, world, stats, custom, cache_bytes_max, lines, caches: Mutex::default() }
    }

    fn may_log(&self) -> bool {
        let now = self.world.clock.monotonic();
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = now.minus(lines.since).0 / 1_000_000_000;
        if seconds > 0 {
            let more = seconds.saturating_mul(LINES_PER_SECOND);
            lines.left = lines.left.saturating_add(more).min(LINES_BURST);
            lines.since = lines.since.plus(Nanos::from_secs(seconds));
        }
        let may = lines.left > 0;
        lines.left = lines.left.saturating_sub(1);
        may
    }

    /// Writes a line of the plugin's into our log.
    pub(crate) fn log(&self, tenant: Option<&TenantId>, level: LogLevel, message: &str) {
        if !self.may_log() {
            return self.stats.lines_dropped.inc();
        }
        let (plugin, tenant) = (self.name.as_str(), tenant.map_or("", TenantId::as_str));
        let end = message.floor_char_boundary(LINE_BYTES_MAX);
        let message = message.get(..end).unwrap_or_default().replace(char::is_control, " ");
        match level {
            LogLevel::Debug => debug!(plugin, tenant, message, "a plugin says"),
            LogLevel::Info => info!(plugin, tenant, message, "a plugin says"),
            LogLevel::Warn => warn!(plugin, tenant, message, "a plugin says"),
            LogLevel::Error => error!(plugin, tenant, message, "a plugin says"),
        }
    }

    /// The cache of a tenant.
    pub(crate) fn cache<T>(
        &self,
        tenant: &TenantId,
        with: impl FnOnce(&mut Cache, Nanos) -> T,
    ) -> Option<T> {
        let now = self.world.clock.monotonic();
        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        if !caches.contains_key(tenant) && caches.len() >= CACHES_MAX {
            return None;
        }
        let entry = caches.entry(tenant.clone());
        let cache = entry.or_insert_with(|| Cache::new(self.cache_bytes_max));
        let before = cache.bytes();
        let done = with(cache, now);
        let after = cache.bytes();
        self.stats.cache_bytes.add(after.saturating_sub(before) as u64);
        self.stats.cache_bytes.sub(before.saturating_sub(after) as u64);
        Some(done)
    }
}

/// What a guest may do just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It tells about itself: nothing but its log.
    Describe,
    /// It is configured: it registers its metrics.
    Configure,
    /// It works.
    Work,
}

/// The data of a store.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) shared: Arc<Shared>,
    pub(crate) phase: Phase,
    pub(crate) tenant: Option<TenantId>,
    /// Why the guest was stopped, where it was not by its own trap.
    pub(crate) stopped: Option<Failure>,
    calls_left: u32,
    memory_bytes: usize,
    memory_bytes_max: usize,
    /// Metrics that this instance has registered: its ids are places in here.
    pub(crate) metrics: Vec<u32>,
    /// The network, for a refresher while it works.
    pub(crate) reach: Option<Reach>,
}

impl Host {
    pub(crate) const fn new(shared: Arc<Shared>, memory_bytes_max: usize) -> Self {
        Self {
            shared,
            phase: Phase::Describe,
            tenant: None,
            stopped: None,
            calls_left: CALLS_MAX,
            memory_bytes: 0,
            memory_bytes_max,
            metrics: Vec::new(),
            reach: None,
        }
    }

    /// A call of the guest begins.
    pub(crate) fn begin(&mut self, phase: Phase, tenant: Option<&TenantId>) {
        self.phase = phase;
        if self.tenant.as_ref() != tenant {
            self.tenant = tenant.cloned();
        }
        self.stopped = None;
        self.calls_left = CALLS_MAX;
    }

    /// The guest calls: counted, and ended where it is too often or too early.
    pub(crate) fn called(&mut self, from: Phase) -> wasmtime::Result<()> {
        let Some(left) = self.calls_left.checked_sub(1) else {
            self.stopped = Some(Failure::HostCalls);
            return Err(wasmtime::Error::msg(format!("more than {CALLS_MAX} calls of the host")));
        };
        self.calls_left = left;
        if (self.phase as u8) < from as u8 {
            self.stopped = Some(Failure::Denied);
            return Err(wasmtime::Error::msg("a call of the host that is not allowed yet"));
        }
        Ok(())
    }

    /// Bytes of all memories.
    pub(crate) const fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let all = self.memory_bytes.saturating_add(desired.saturating_sub(current));
        if all > self.memory_bytes_max {
            // The guest sees that it gets none, and gives up as a rule: then we know why.
            self.stopped = Some(Failure::Memory);
            return Ok(false);
        }
        self.memory_bytes = all;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if desired > TABLE_ENTRIES_MAX {
            self.stopped = Some(Failure::Memory);
            return Ok(false);
        }
        Ok(true)
    }
}
