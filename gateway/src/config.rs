//! The configuration of the process: the components' own, composed, and nothing else.
//!
//! Settings come from the budget of the machine, a YAML file, the environment, `--set` and flags,
//! each stronger than the one before; all that is wrong with them is told at once. Goes to `app`,
//! which builds the components from it. Every key stands in `docs/reference/config.md`.

pub mod source;
pub mod tree;

use std::path::{Path, PathBuf};

use model::{ByteSize, Faults};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::budget::Budget;
use crate::log;
use source::{Origin, Sources};
use tree::Tree;

/// Keys whose default is what the machine allows.
pub const DERIVED: [&str; 4] =
    ["cpu.cores", "memory.bytes_max", "disk.bytes_max", "head.bytes_max"];

/// Everything that can be configured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the data is.
    pub store: Store,
    /// The cores that we may use.
    pub cpu: Cpu,
    /// The memory that we may use.
    pub memory: Memory,
    /// The part of the volume that we may use.
    pub disk: Disk,
    /// What is logged, and how.
    pub log: log::Config,
}

/// Where the data is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// A local directory, as a path or a `file://` URL.
    pub url: String,
}

impl Default for Store {
    fn default() -> Self {
        Self { url: "./data".to_owned() }
    }
}

impl Store {
    /// The directory, or `None` where the URL is not a local one.
    #[must_use]
    pub fn dir(&self) -> Option<PathBuf> {
        let path = match self.url.split_once("://") {
            None => self.url.as_str(),
            Some(("file", path)) if path.starts_with('/') => path,
            Some(_) => return None,
        };
        (!path.is_empty() && !path.contains('\0')).then(|| PathBuf::from(path))
    }

    fn check(&self, faults: &mut Faults) {
        if self.dir().is_none() {
            let found = tree::shown(&Value::String(self.url.clone()));
            faults.push("store.url", found, "a local directory: a path, or file:///path");
        }
    }
}

/// The cores that we may use.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cpu {
    /// Cores, as a share of time: 0.5 is half a core.
    pub cores: f64,
}

impl Default for Cpu {
    fn default() -> Self {
        Self { cores: 1.0 }
    }
}

/// The memory that we may use.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// All of it; other bounds are shares of this one.
    pub bytes_max: ByteSize,
}

impl Default for Memory {
    fn default() -> Self {
        Self { bytes_max: ByteSize::mib(256) }
    }
}

/// The part of the volume that we may use.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Disk {
    /// All of it: log and head files share it.
    pub bytes_max: ByteSize,
}

impl Default for Disk {
    fn default() -> Self {
        Self { bytes_max: ByteSize::mib(1024) }
    }
}

/// A configuration that holds, and where its parts came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What to run with.
    pub config: Config,
    tree: Tree,
}

impl Config {
    /// The tree of defaults: every key there is.
    ///
    /// # Panics
    /// When a component's default cannot be written, which its type rules out.
    #[must_use]
    pub fn defaults() -> Value {
        serde_json::to_value(Self::default()).expect("plain structs of text and numbers")
    }

    /// Merges the sources and checks what comes out.
    ///
    /// `detect` tells the budget of the machine for a data directory.
    ///
    /// # Errors
    /// Everything that is wrong, each with its key.
    pub fn load(sources: &Sources, detect: &dyn Fn(&Path) -> Budget) -> Result<Loaded, Faults> {
        let mut faults = Faults::default();
        let mut tree = Tree::new(Self::defaults());
        tree.apply(
            sources.entries(&mut faults),
            sources,
            &|tree| read(tree).map(drop),
            &mut faults,
        );
        let mut config = match read(&tree.value) {
            Ok(config) => config,
            Err(fault) => {
                faults.push("configuration", fault, "values that fit together");
                return Err(faults);
            }
        };
        fill_budget(&mut tree, &config, detect);
        if let Ok(filled) = read(&tree.value) {
            config = filled;
        }
        config.check(&mut faults);
        if faults.is_empty() { Ok(Loaded { config, tree }) } else { Err(faults) }
    }

    /// Notes every value that is out of its range or does not go with another.
    pub fn check(&self, faults: &mut Faults) {
        self.store.check(faults);
        faults.check_range("cpu.cores", self.cpu.cores, 0.05..=4096.0);
        faults.check_range(
            "memory.bytes_max",
            self.memory.bytes_max,
            ByteSize::mib(64)..=ByteSize(1 << 46),
        );
        faults.check_range(
            "disk.bytes_max",
            self.disk.bytes_max,
            ByteSize::mib(64)..=ByteSize(1 << 56),
        );
        self.log.check("log", faults);
    }
}

impl Loaded {
    /// The effective configuration as YAML, secrets as `***`.
    ///
    /// # Errors
    /// When it cannot be written, which says why.
    pub fn yaml(&self) -> Result<String, String> {
        serde_saphyr::to_string(&self.tree.printable()).map_err(|fault| fault.to_string())
    }

    /// Every key, its value as it may be printed, and where it came from.
    #[must_use]
    pub fn rows(&self) -> Vec<(String, String, Origin)> {
        self.tree.rows()
    }

    /// The budget that the configuration ended up with.
    #[must_use]
    pub fn budget(&self) -> Budget {
        let Config { cpu, memory, disk, .. } = &self.config;
        Budget { cores: cpu.cores, memory: memory.bytes_max, disk: disk.bytes_max }
    }
}

fn read(tree: &Value) -> Result<Config, String> {
    Config::deserialize(tree).map_err(|fault| fault.to_string())
}

/// Puts what the machine allows where nobody said anything. What somebody did say about memory
/// or cores counts for what is derived from them.
fn fill_budget(tree: &mut Tree, config: &Config, detect: &dyn Fn(&Path) -> Budget) {
    let mut budget = detect(&config.store.dir().unwrap_or_default());
    let said = |key: &str| tree.origins.contains_key(key);
    if said("memory.bytes_max") {
        budget.memory = config.memory.bytes_max;
    }
    tree.fill("cpu.cores", Value::from(budget.cores), Origin::Budget);
    tree.fill("memory.bytes_max", Value::from(budget.memory.to_string()), Origin::Budget);
    tree.fill("disk.bytes_max", Value::from(budget.disk.to_string()), Origin::Budget);
}

#[cfg(test)]
mod tests;
