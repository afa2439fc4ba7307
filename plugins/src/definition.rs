//! How plugins are written down: what a file of them, and the configuration, say of each.

use std::collections::BTreeMap;

use model::{ByteSize, Faults, Wait};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chain::OnFailure;
use crate::configured::Setup;
use crate::engine::MEMORY_BYTES_MAX;
use crate::instance::Limits;
use crate::refresher::Allowed;
use crate::source::Source;

/// Most plugins of one process.
pub const PLUGINS_MAX: usize = 1_000;

/// A plugin, where it comes from, and how it is set up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Definition {
    /// `bundled:NAME`, `file:PATH`, `https://…@sha256:…` or `oci://REGISTRY/REPOSITORY:TAG@sha256:…`.
    pub source: String,
    /// What the plugin is configured with. Default `{}`.
    pub config: Value,
    /// What becomes of a batch that it fails on, where the chain does not say. Default `pass`.
    pub on_failure: OnFailure,
    /// How long a call may take. Default 50ms.
    pub timeout: Wait,
    /// Memory of one instance. Default 64MiB; plugins in JavaScript and Python want 128MiB.
    pub memory_max: ByteSize,
    /// Bytes of an answer. Default 16MiB.
    pub answer_max: ByteSize,
    /// Bytes that it may remember of a tenant. Default 4MiB.
    pub cache_max: ByteSize,
    /// Of a plugin that makes tables: what it may do.
    pub refresher: Allowed,
}

impl Default for Definition {
    fn default() -> Self {
        Self {
            source: String::new(),
            config: Value::Object(serde_json::Map::new()),
            on_failure: OnFailure::Pass,
            timeout: Wait::millis(50),
            memory_max: ByteSize::mib(64),
            answer_max: ByteSize::mib(16),
            cache_max: ByteSize::mib(4),
            refresher: Allowed::default(),
        }
    }
}

/// All plugins by name.
pub type Definitions = BTreeMap<String, Definition>;

impl Definition {
    /// Notes every value that is not accepted; `key` is the dotted key of this plugin.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        let key = |name: &str| format!("{key}.{name}");
        if let Err(fault) = Source::parse(&self.source) {
            faults.push(&key("source"), fault, "where a plugin comes from");
        }
        let time = Wait::millis(5)..=Wait::secs(10);
        faults.check_range(&key("timeout"), self.timeout, time);
        let memory = ByteSize::mib(1)..=ByteSize(MEMORY_BYTES_MAX);
        faults.check_range(&key("memory_max"), self.memory_max, memory);
        faults.check_range(
            &key("answer_max"),
            self.answer_max,
            ByteSize(1_024)..=ByteSize::mib(256),
        );
        self.refresher.check(&key("refresher"), faults);
        faults.check_range(&key("cache_max"), self.cache_max, ByteSize(0)..=ByteSize::mib(1_024));
    }

    /// What a plugin of this name is set up with.
    #[must_use]
    pub fn setup(&self, name: &str) -> Setup {
        let limits = Limits {
            time: self.timeout.0,
            memory_bytes_max: self.memory_max.as_usize(),
            answer_bytes_max: self.answer_max.as_usize(),
        };
        let cache_bytes_max = self.cache_max.as_usize();
        Setup { name: name.to_owned(), config: self.config.clone(), limits, cache_bytes_max }
    }
}

/// Notes everything that is wrong with definitions; `key` is the dotted key of all of them.
pub fn check(definitions: &Definitions, key: &str, faults: &mut Faults) {
    if definitions.len() > PLUGINS_MAX {
        faults.push(
            key,
            format!("{} plugins", definitions.len()),
            format!("{PLUGINS_MAX} at most"),
        );
    }
    for (name, definition) in definitions {
        let is_name = |name: &str| {
            let named = |of: char| of.is_ascii_alphanumeric() || "-_.".contains(of);
            !name.is_empty() && name.len() <= 100 && name.chars().all(named)
        };
        if !is_name(name) {
            faults.push(&format!("{key}.{name}"), "its name", "letters, digits, '-', '_' and '.'");
        }
        definition.check(&format!("{key}.{name}"), faults);
    }
}
