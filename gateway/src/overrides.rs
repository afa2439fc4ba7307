//! Limits of each tenant: defaults, and what a file says otherwise.
//!
//! The file is read again while we run; a change holds from the next request on, and one that is
//! wrong changes nothing. From the weakest to the strongest: `overrides.defaults` of the configuration, `defaults`
//! of the file, the class of whoever asks, the tenant, and within the tenant its cluster. Fields are merged one
//! by one. [`crate::limits`] holds requests against them.
//!
//! ```yaml
//! defaults: {ingestion: {rate_spans: 20000}}
//! classes: {gold: {ingestion: {rate_spans: 100000}}}
//! tenants:
//!   shop:
//!     query: {wait: 1m}
//!     clusters:
//!       eu-1: {ingestion: {rate_spans: 5000}}
//!       "*": {ingestion: {rate_spans: 1000}}
//! ```

mod attached;
mod file;
#[cfg(test)]
mod tests;
pub mod values;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use model::metric::Counter;
use model::{Faults, TenantId};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::settings::source::Origin;
use crate::watch::{Reload, Watched};
pub use file::File;
use values::Ingestion;
pub use values::Limits;

/// Where limits come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Those of every tenant of which nothing else is said.
    pub defaults: Limits,
    /// A YAML file that says otherwise. Empty: none.
    pub file: String,
}

impl Config {
    /// Notes every value that is not accepted, those of the file included.
    pub fn check(&self, faults: &mut Faults) {
        self.defaults.check("overrides.defaults", faults);
        if !self.file.is_empty()
            && let Err(found) = self.read()
        {
            for fault in found.list() {
                faults.push(&fault.key, &fault.found, fault.accepted.clone());
            }
        }
    }

    /// What the file says.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(&self) -> Result<File, Faults> {
        if self.file.is_empty() {
            return Ok(File::default());
        }
        match Watched::open(vec![PathBuf::from(&self.file)]) {
            Ok((_, contents)) => File::parse(&contents.concat(), &self.file, &self.defaults),
            Err(fault) => {
                let mut faults = Faults::default();
                faults.push("overrides.file", fault, "a file that can be read");
                Err(faults)
            }
        }
    }
}

/// Whose limits are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// The tenant.
    pub tenant: &'a TenantId,
    /// The class of whoever asks.
    pub class: Option<&'a str>,
    /// The cluster within the tenant; its rates are its own, beside those of the tenant.
    pub cluster: Option<&'a str>,
}

/// A limit, its value, and where it comes from.
pub type Row = (String, String, Origin);

/// What the metrics page shows.
#[derive(Debug, Default)]
pub struct Stats {
    /// Times that a changed file was taken over.
    pub reloads: Counter,
    /// Times that a changed file could not be used: what was before stays.
    pub failed: Counter,
}

/// Knows the limits.
#[derive(Debug)]
pub struct Overrides {
    config: Config,
    file: ArcSwap<File>,
    watched: Option<Watched>,
    /// Plugins that there are; nothing until it is told.
    plugins: ArcSwapOption<BTreeSet<String>>,
    /// What a file waits for, as it was told.
    waits: Mutex<String>,
    generation: AtomicU64,
    stats: Stats,
}

impl Overrides {
    /// Reads the file.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn open(config: &Config) -> Result<Arc<Self>, String> {
        let told = |faults: Faults| {
            faults.list().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let (watched, file) = match config.file.as_str() {
            "" => (None, File::default()),
            path => {
                let (watched, contents) = Watched::open(vec![PathBuf::from(path)])?;
                let file = File::parse(&contents.concat(), path, &config.defaults).map_err(told)?;
                (Some(watched), file)
            }
        };
        Ok(Arc::new(Self::new(config.clone(), file, watched)))
    }

    /// These limits for everybody.
    #[must_use]
    pub fn of(defaults: Limits) -> Arc<Self> {
        let config = Config { defaults, file: String::new() };
        Arc::new(Self::new(config, File::default(), None))
    }

    fn new(config: Config, file: File, watched: Option<Watched>) -> Self {
        Self {
            config,
            file: ArcSwap::from_pointee(file),
            watched,
            plugins: ArcSwapOption::empty(),
            waits: Mutex::default(),
            generation: AtomicU64::new(1),
            stats: Stats::default(),
        }
    }

    /// Tells which plugins there are: a file that names others is not taken over before there are these, too.
    pub fn define(&self, plugins: BTreeSet<String>) {
        self.plugins.store(Some(Arc::new(plugins)));
    }

    /// A plugin that a file names, and that there is none of.
    fn unknown(&self, file: &File) -> Option<String> {
        let known = self.plugins.load_full()?;
        file.attached().into_iter().find(|name| !known.contains(name))
    }

    /// Goes up with every change.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// What it counts.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The limits that hold.
    #[must_use]
    pub fn limits(&self, whose: Whose<'_>) -> Limits {
        self.file.load().limits(&self.config.defaults, whose)
    }

    /// The limits that hold, each with where it comes from.
    #[must_use]
    pub fn rows(&self, whose: Whose<'_>) -> Vec<Row> {
        self.file.load().rows(&self.config.defaults, whose)
    }

    /// Every plugin that some chain names.
    #[must_use]
    pub fn attached(&self) -> BTreeSet<String> {
        let Ingestion { plugins, router, .. } = &self.config.defaults.ingestion;
        let own = plugins.iter().map(|of| &of.plugin).chain([router]);
        let mut all: BTreeSet<String> = own.filter(|name| !name.is_empty()).cloned().collect();
        all.extend(self.file.load().attached());
        all
    }

    /// The file as it holds now, and its path; nothing where there is none.
    #[must_use]
    pub fn file(&self) -> Option<(&str, Arc<File>)> {
        let path = &self.config.file;
        (!path.is_empty()).then(|| (path.as_str(), self.file.load_full()))
    }
}

impl Reload for Overrides {
    fn reload(&self) {
        let Some(watched) = &self.watched else { return };
        let path = &self.config.file;
        let file = match watched.changed() {
            Ok(None) => return,
            Ok(Some(contents)) => File::parse(&contents.concat(), path, &self.config.defaults),
            Err(fault) => {
                self.stats.failed.inc();
                return warn!(fault, "overrides cannot be read; those before stay");
            }
        };
        match file {
            Ok(file) if let Some(name) = self.unknown(&file) => {
                watched.again();
                let mut waits = self.waits.lock().unwrap_or_else(PoisonError::into_inner);
                if *waits != name {
                    self.stats.failed.inc();
                    warn!(
                        path,
                        plugin = name,
                        "overrides attach a plugin that is not defined; those before stay"
                    );
                    *waits = name;
                }
            }
            Ok(file) => {
                self.waits.lock().unwrap_or_else(PoisonError::into_inner).clear();
                let tenants = file.tenants();
                self.file.store(Arc::new(file));
                self.generation.fetch_add(1, Ordering::AcqRel);
                self.stats.reloads.inc();
                info!(path, tenants, "overrides have changed");
            }
            Err(faults) => {
                self.stats.failed.inc();
                for fault in faults.list() {
                    warn!(path, %fault, "overrides are wrong; those before stay");
                }
            }
        }
    }
}
