//! A plugin at a desk: run over requests from files, away from any gateway, so that its author sees what it does before
//! anybody attaches it, and a test holds it to that.
//!
//! What a plugin sees here is the same each time: the clock stands at one moment and goes on by a millisecond whenever
//! it is read, chance begins with one seed, tables are those that the caller gives. So an answer that differs from run
//! to run is the plugin's own doing.
//!
//! | module | what |
//! |---|---|
//! | `request` | a request as values, span by span, and the same spans in another order or in parts |
//! | `run` | a plugin over a request: what becomes of each span |
//! | `asked`, `refreshed` | who an authenticator says that somebody is, and the tables that a refresher makes |
//! | `change`, `text` | what is different, and how that is written down |
//! | `same` | whether the same comes out another time, in another order, in parts |
//! | `against` | what one version does against what another did |
//! | `cost` | how long each step takes |
//! | `findings` | what is wrong with a file that should be a plugin |

mod against;
mod asked;
mod change;
mod cost;
mod findings;
mod refreshed;
mod request;
mod run;
mod same;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Clock, Nanos, TenantId};
use serde_json::Value;

use crate::code::Codes;
use crate::configured::{Configured, Setup};
use crate::engine::Engine;
use crate::error::Error;
use crate::host::{Shared, Surroundings};
use crate::instance::Limits;
use crate::plugin::Plugin;
use crate::tables::Tables;

pub use against::{Apart, apart};
pub use asked::{Ask, Asked, Certificate, Word};
pub use change::Change;
pub use cost::{Cost, Step};
pub use findings::{Finding, Weight, findings};
pub use refreshed::{Given, Refreshed};
pub use request::{Request, joined};
pub use run::{About, Common, Fate, Misfortune, Ran, Verdict};
pub use same::{Held, Way};

/// When it is, for plugins at a desk: 2026-01-01T00:00:00Z.
const MOMENT: Nanos = Nanos::from_secs(1_767_225_600);
/// What a plugin may remember of a tenant.
const CACHE_BYTES_MAX: usize = 4 << 20;

/// What every trial of one file has in common.
#[derive(Debug)]
pub struct Subject {
    plugin: Arc<Plugin>,
    config: Value,
    limits: Limits,
    tables: Arc<Tables>,
    tenant: TenantId,
}

impl Subject {
    /// Loads a component or a core module: seconds where it has to be compiled.
    ///
    /// # Errors
    /// [`crate::Kind::NotOurs`] and [`crate::Kind::Failed`], as when a gateway loads it.
    pub fn load(
        engine: &Engine,
        codes: &Codes,
        bytes: &[u8],
        limits: Limits,
    ) -> Result<Self, Error> {
        let shared = Shared::new("trial", still(Arc::default()), Arc::default(), 0);
        let plugin = Plugin::load(engine, codes, bytes, (Arc::new(shared), limits))?;
        Ok(Self::of(plugin, Value::Object(serde_json::Map::new()), limits))
    }

    /// One that is loaded already.
    #[must_use]
    pub fn of(plugin: Arc<Plugin>, config: Value, limits: Limits) -> Self {
        let (tables, tenant) = (Arc::default(), TenantId::single());
        Self { plugin, config, limits, tables, tenant }
    }

    /// The same with a configuration; without one it is `{}`.
    #[must_use]
    pub fn with_config(self, config: Value) -> Self {
        Self { config, ..self }
    }

    /// The same with tables to look things up in.
    #[must_use]
    pub fn with_tables(self, tables: Arc<Tables>) -> Self {
        Self { tables, ..self }
    }

    /// The plugin.
    #[must_use]
    pub const fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    /// Configures it: with each call anew, and nothing is left of what was before.
    ///
    /// # Errors
    /// [`crate::Kind::Config`] with the path of what is wrong; else as when a gateway configures it.
    pub fn configured(&self) -> Result<Arc<Configured>, Error> {
        let setup = Setup {
            name: self.plugin.info().name.clone(),
            config: self.config.clone(),
            limits: self.limits,
            cache_bytes_max: CACHE_BYTES_MAX,
        };
        let world = still(Arc::clone(&self.tables));
        Configured::new(Arc::clone(&self.plugin), setup, world)
    }
}

/// A world in which the same happens each time.
fn still(tables: Arc<Tables>) -> Surroundings {
    let drawn = AtomicU64::new(1);
    let chance = move |bytes: &mut [u8]| {
        for chunk in bytes.chunks_mut(8) {
            // SplitMix64 (Steele, Lea, Flood 2014): well spread, and the same on every machine.
            let mut word = drawn.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
            word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            let word = (word ^ word >> 31).to_le_bytes();
            chunk.iter_mut().zip(word).for_each(|(byte, of)| *byte = of);
        }
    };
    Surroundings { clock: Arc::<Steps>::default(), chance: Arc::new(chance), tables }
}

/// A clock that goes on by a millisecond whenever it is read.
#[derive(Debug, Default)]
struct Steps(AtomicU64);

impl Clock for Steps {
    fn now(&self) -> Nanos {
        MOMENT.plus(self.monotonic())
    }

    fn monotonic(&self) -> Nanos {
        Nanos(self.0.fetch_add(Nanos::MILLISECOND.0, Ordering::Relaxed))
    }
}
