//! The plugins of this process: what a file defines, kept up with while we run.
//!
//! The file says which plugins there are; the overrides of a tenant (`ingestion.plugins`) say which of them its spans
//! pass, and in which order. A file that is wrong changes nothing, and neither does one that lacks a plugin that some
//! chain names.
//!
//! ```yaml
//! plugins:
//!   cards: {source: "bundled:redact", config: {patterns: [card]}, on_failure: drop}
//!   team: {source: "file:/etc/traceweir/team.wasm", config: {teams: {shop: checkout}}}
//! tables:
//!   k8s: {kubernetes: {}}
//! ```

mod dir;
pub mod fetch;
mod file;
pub mod oci;
pub mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use model::metric::Counter;
use model::{ByteSize, Clock, Faults, Wait};
use plugins::definition::Definitions;
use plugins::registry::{Attachment, Parts, Registry};
use plugins::{Chain, Codes, Error, Fetch, Kind, Router, Settings, Shelf, Surroundings, Trust};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::overrides::values::Attached;
use crate::overrides::{Limits, Overrides};
use crate::watch::{Reload, Watched};
use crate::web::{Courier, Redirects, Web};
use dir::Dir;
use fetch::Fetcher;
pub use file::File;
use oci::credentials::AuthFile;
use tables::Keeper;

/// Where plugins come from, and what they may use together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A YAML file that defines them. Empty: none.
    pub file: String,
    /// A directory: each `NAME.wasm` in it is a plugin, too. Empty: none.
    pub dir: String,
    /// Where compiled code is kept, and what was fetched; nobody else may write there. Default: `plugins` in the data directory.
    pub code_dir: String,
    /// Most instances at a time, of all plugins. Default 1,000.
    pub instances_max: u32,
    /// Public keys of Ed25519, in Base64: what is not bundled needs a signature of one of them. Default none, and no
    /// signatures.
    pub keys: Vec<String>,
    /// Whether what comes over a network need not be named with its digest. Default false.
    pub unpinned: bool,
    /// How often it is asked whether what has no digest has changed. Default 1m.
    pub poll: Wait,
    /// A PEM file with the root of whoever plugins and tables are fetched from. Empty: the roots of the system.
    pub ca_file: String,
    /// A file with credentials for registries, as `docker login` writes it. Empty: `config.json` in `$DOCKER_CONFIG` or
    /// `~/.docker`, if it is there.
    pub registry_auth_file: String,
    /// Most bytes of all tables. Default 256MiB.
    pub tables_bytes_max: ByteSize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            file: String::new(),
            dir: String::new(),
            code_dir: String::new(),
            instances_max: 1_000,
            keys: Vec::new(),
            unpinned: false,
            poll: Wait::secs(60),
            ca_file: String::new(),
            registry_auth_file: String::new(),
            tables_bytes_max: ByteSize::mib(256),
        }
    }
}

impl Config {
    /// Notes every value that is not accepted, those of the file included.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        let of = |name: &str| format!("{key}.{name}");
        faults.check_range(&of("instances_max"), self.instances_max, 8..=10_000);
        for (place, text) in self.keys.iter().enumerate() {
            if let Err(fault) = Trust::key(text) {
                faults.push(&format!("{key}.keys[{place}]"), fault, "a public key");
            }
        }
        faults.check_range(&of("poll"), self.poll, Wait::secs(1)..=Wait::secs(86_400));
        let bytes = ByteSize::mib(1)..=ByteSize::mib(16 << 10);
        faults.check_range(&of("tables_bytes_max"), self.tables_bytes_max, bytes);
        if !self.ca_file.is_empty()
            && let Err(fault) = Web::new(&self.ca_file, Redirects::Followed)
        {
            faults.push(&of("ca_file"), fault, "a PEM file with certificates");
        }
        if !self.registry_auth_file.is_empty()
            && let Err(fault) = AuthFile::new(&self.registry_auth_file).of("")
        {
            faults.push(&of("registry_auth_file"), fault, "a file of credentials as Docker has it");
        }
        let dir = Dir::new(&self.dir);
        if let Err(fault) = dir.add(&mut Definitions::new(), &BTreeSet::new()) {
            faults.push(&of("dir"), fault, "a directory that can be read");
        }
        if self.file.is_empty() {
            return;
        }
        match Watched::open(vec![PathBuf::from(&self.file)]) {
            Ok((_, contents)) => {
                let found = File::parse(&contents.concat(), &self.file, &dir);
                let found = found.err().unwrap_or_default();
                for fault in found.list() {
                    faults.push(&fault.key, &fault.found, fault.accepted.clone());
                }
            }
            Err(fault) => faults.push(&of("file"), fault, "a file that can be read"),
        }
    }

    /// Who fetches what comes over a network.
    #[must_use]
    pub fn fetcher(&self, courier: Arc<Courier>) -> Fetcher {
        let auth = AuthFile::new(&self.registry_auth_file);
        Fetcher::new(courier, &self.ca_file, auth, !self.keys.is_empty())
    }

    /// What has to be true of plugins that are not bundled.
    #[must_use]
    pub fn trust(&self) -> Trust {
        let keys = self.keys.iter().filter_map(|key| Trust::key(key).ok()).collect();
        Trust { keys, unpinned: self.unpinned }
    }
}

/// Times that the file changed.
#[derive(Debug, Default)]
pub struct Stats {
    /// Times that a changed file was taken over.
    pub reloads: Counter,
    /// Times that it could not be used: what was before stays.
    pub failed: Counter,
    /// Requests that were refused because their chain names a plugin that does not run.
    pub missing: Counter,
}

/// Plugins, and who attaches them.
#[derive(Debug)]
pub struct Plugins {
    path: String,
    dir: Dir,
    registry: Registry,
    overrides: Arc<Overrides>,
    watched: Option<Watched>,
    /// Those of the file.
    definitions: Mutex<Definitions>,
    /// Those that somebody needs beside chains.
    needed: OnceLock<BTreeSet<String>>,
    /// What is wrong with the file, as it was told.
    told: Mutex<String>,
    /// The same of the directory.
    dir_told: Mutex<String>,
    keeper: Keeper,
    is_loading: AtomicBool,
    stats: Stats,
}

impl Plugins {
    /// Loads all that the file defines: seconds where it has to be compiled.
    ///
    /// # Errors
    /// Says what is wrong with the file, or with a plugin. One that cannot be had just now is none: it is tried again. One that
    /// was kept runs, whatever is there now.
    pub fn open(
        config: &Config,
        overrides: Arc<Overrides>,
        (surroundings, courier, code_dir): (Surroundings, Arc<Courier>, PathBuf),
    ) -> Result<Arc<Self>, String> {
        let fetch = Arc::new(config.fetcher(Arc::clone(&courier)));
        let dir = Dir::new(&config.dir);
        let (watched, file) = match config.file.as_str() {
            "" => (None, File::default()),
            path => {
                let (watched, contents) = Watched::open(vec![PathBuf::from(path)])?;
                let told = |faults: Faults| {
                    let all = faults.list().iter().map(ToString::to_string);
                    all.collect::<Vec<_>>().join("; ")
                };
                (Some(watched), File::parse(&contents.concat(), path, &dir).map_err(told)?)
            }
        };
        let kept = (Codes::in_dir(code_dir.clone()), Shelf::in_dir(code_dir));
        let plugins = Self::new(config, overrides, watched, (surroundings, fetch, courier, kept));
        let mut all = file.plugins.clone();
        dir.add(&mut all, &BTreeSet::new())?;
        if let Some(name) =
            plugins.overrides.attached().iter().find(|name| !all.contains_key(*name))
        {
            return Err(format!(
                "{name}: a chain of the overrides names it, and neither plugins.file nor plugins.dir has it"
            ));
        }
        plugins.overrides.define(all.into_keys().collect());
        // Plugins are tried with what is in them.
        plugins.keeper.apply(&file.tables);
        *plugins.definitions.lock().unwrap_or_else(PoisonError::into_inner) = file.plugins;
        let faults = plugins.apply();
        let runs = plugins.registry.entries();
        let wrong = faults
            .iter()
            .find(|(name, error)| error.kind() != Kind::Unavailable && !runs.contains_key(*name));
        match wrong {
            Some((name, error)) => Err(format!("plugin {name}: {error}")),
            None => {
                plugins.keeper.look(&plugins.registry);
                Ok(Arc::new(plugins))
            }
        }
    }

    /// None, for who receives without a store.
    #[must_use]
    pub fn none(clock: Arc<dyn Clock>) -> Arc<Self> {
        let chance: plugins::Chance = Arc::new(|_| {});
        let surroundings = Surroundings { clock, chance, tables: Arc::default() };
        let (kept, fetch) = (Default::default(), Arc::new(plugins::Nowhere) as Arc<dyn Fetch>);
        let overrides = Overrides::of(Limits::default());
        let parts = (surroundings, fetch, Arc::default(), kept);
        Arc::new(Self::new(&Config::default(), overrides, None, parts))
    }

    fn new(
        config: &Config,
        overrides: Arc<Overrides>,
        watched: Option<Watched>,
        (surroundings, fetch, courier, (codes, shelf)): (
            Surroundings,
            Arc<dyn Fetch>,
            Arc<Courier>,
            (Codes, Shelf),
        ),
    ) -> Self {
        let tables = Arc::clone(&surroundings.tables);
        let clock = Arc::clone(&surroundings.clock);
        let keeper = Keeper::new(tables, courier, clock, &config.ca_file);
        let settings = Settings { instances_max: config.instances_max, ..Settings::default() };
        let (trust, bundled) = (config.trust(), plugins::BUNDLED);
        let poll = config.poll.0;
        let parts = Parts { settings, codes, shelf, surroundings, fetch, trust, poll, bundled };
        Self {
            path: config.file.clone(),
            dir: Dir::new(&config.dir),
            registry: Registry::new(parts),
            overrides,
            watched,
            definitions: Mutex::default(),
            needed: OnceLock::new(),
            told: Mutex::default(),
            dir_told: Mutex::default(),
            keeper,
            is_loading: AtomicBool::new(false),
            stats: Stats::default(),
        }
    }

    /// What runs.
    #[must_use]
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// What it counts.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The tables that they look things up in.
    #[must_use]
    pub const fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    /// The file that defines them; empty where there is none.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The chain that the spans of a tenant pass.
    ///
    /// # Errors
    /// Names the plugin that does not run.
    pub fn chain(&self, attached: &[Attached]) -> Result<Chain, Error> {
        let attachments: Vec<Attachment<'_>> =
            attached.iter().map(Attached::as_attachment).collect();
        self.registry.chain(&attachments).inspect_err(|_| self.stats.missing.inc())
    }

    /// Keeps files from being taken over that have not these plugins; told once.
    pub fn need(&self, names: BTreeSet<String>) {
        self.needed.get_or_init(|| names);
    }

    /// The router of this name.
    ///
    /// # Errors
    /// Says that it does not run.
    pub fn router(&self, name: &str) -> Result<Router, Error> {
        self.registry.router(name).inspect_err(|_| self.stats.missing.inc())
    }

    /// Makes what runs what is defined. Blocks for as long as that takes.
    pub fn apply(&self) -> BTreeMap<String, Error> {
        self.registry.apply(&self.defined())
    }

    /// What is defined now, by the file and the directory.
    fn defined(&self) -> Definitions {
        let mut all = self.definitions.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let runs = self.registry.entries();
        let mut named = self.overrides.attached();
        named.extend(self.needed.get().into_iter().flatten().cloned());
        named.retain(|name| runs.contains_key(name));
        let fault = self.dir.add(&mut all, &named).err().unwrap_or_default();
        let mut told = self.dir_told.lock().unwrap_or_else(PoisonError::into_inner);
        if !fault.is_empty() {
            // Nobody is to lose a plugin for a directory that is not there for a moment.
            if *told != fault {
                self.stats.failed.inc();
                warn!(fault, "the directory of plugins cannot be read; what was before stays");
            }
            for (name, entry) in runs.iter() {
                all.entry(name.clone()).or_insert_with(|| entry.definition.clone());
            }
        }
        *told = fault;
        drop(told);
        self.overrides.define(all.keys().cloned().collect());
        all
    }

    /// Reads the file and what it names again, now. Blocks for as long as that takes. Why plugins are not taken over.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn reload(&self) -> Result<BTreeMap<String, Error>, String> {
        if !self.path.is_empty() {
            let (_, contents) = Watched::open(vec![PathBuf::from(&self.path)])?;
            self.take_over(&contents)?;
        }
        self.registry.poll_now();
        Ok(self.apply())
    }

    /// Takes over a changed file, if it is right.
    fn take_over(&self, contents: &[Vec<u8>]) -> Result<(), String> {
        let told = |faults: Faults| {
            faults.list().iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        let file = File::parse(&contents.concat(), &self.path, &self.dir);
        let file = file.map_err(told).and_then(|file| {
            let named = self.overrides.attached();
            let named = named.iter().chain(self.needed.get().into_iter().flatten());
            let mut all = file.plugins.clone();
            self.dir.add(&mut all, &BTreeSet::new())?;
            let missing = named.into_iter().find(|name| !all.contains_key(*name));
            let fault = |name| {
                format!("plugins.{name}: it is not defined any more, and a chain, or auth.plugins, names it")
            };
            missing.map_or(Ok(file), |name| Err(fault(name)))
        });
        let file = file.inspect_err(|fault| {
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if *told != *fault {
                self.stats.failed.inc();
                warn!(
                    path = self.path,
                    fault, "the file of plugins is wrong; what was before stays"
                );
                told.clone_from(fault);
            }
            // What names a plugin now may not do so any more after the next look.
            if let Some(watched) = &self.watched {
                watched.again();
            }
        })?;
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let (plugins, tables) = (file.plugins.len(), file.tables.len());
        info!(path = self.path, plugins, tables, "the file of plugins is taken over");
        self.keeper.apply(&file.tables);
        *self.definitions.lock().unwrap_or_else(PoisonError::into_inner) = file.plugins;
        self.defined();
        self.stats.reloads.inc();
        Ok(())
    }
}

impl Plugins {
    /// Looks for what has changed, and drops what nobody needs. Loading goes on on a thread of its own.
    pub fn look(self: &Arc<Self>) {
        self.registry.sweep();
        if let Some(watched) = &self.watched {
            match watched.changed() {
                Ok(None) => {}
                // What is wrong is told there.
                Ok(Some(contents)) => self.take_over(&contents).unwrap_or_default(),
                Err(fault) => {
                    self.stats.failed.inc();
                    warn!(fault, "the file of plugins cannot be read; what was before stays");
                }
            }
        }
        self.keeper.look(&self.registry);
        let definitions = self.defined();
        if !self.registry.is_due(&definitions) || self.is_loading.swap(true, Ordering::AcqRel) {
            return;
        }
        let plugins = Arc::clone(self);
        let load = move || {
            plugins.apply();
            plugins.is_loading.store(false, Ordering::Release);
        };
        let thread = std::thread::Builder::new().name("plugins".to_owned());
        if let Err(fault) = thread.spawn(load) {
            self.is_loading.store(false, Ordering::Release);
            warn!(%fault, "no thread to load plugins with");
        }
    }
}

/// Looks at the file with the others that are watched.
#[derive(Debug)]
pub struct Looks(pub Arc<Plugins>);

impl Reload for Looks {
    fn reload(&self) {
        self.0.look();
    }
}

#[cfg(test)]
pub(crate) mod tests;
