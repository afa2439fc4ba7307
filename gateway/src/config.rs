//! The configuration of the process: the components' own, composed, and nothing else.
//!
//! Settings come from the budget of the machine, a YAML file, the environment, `--set` and flags,
//! each stronger than the one before; all that is wrong with them is told at once. Goes to `app`,
//! which builds the components from it. Every key stands in `docs/reference/config.md`.

pub mod bucket;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use model::{ByteSize, Faults};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::{self, Tenancy};
use crate::budget::Budget;
use crate::settings::source::{Origin, Sources};
use crate::settings::tree::{self, Tree};
use crate::{api, attach, log, overrides, receiver, server};
use bucket::Bucket;

/// Keys whose default is what the machine allows.
pub const DERIVED: [&str; 12] = [
    "cpu.cores",
    "memory.bytes_max",
    "disk.bytes_max",
    "head.bytes_max",
    "wal.bytes_max",
    "wal.segment_bytes",
    "l0.bytes_max",
    "query.trace_bytes_max",
    "query.cache_bytes_max",
    "cache.memory_bytes_max",
    "cache.disk_bytes_max",
    "receiver.limits.in_flight_bytes_max",
];

/// Keys whose values are never printed, wherever they come from.
pub const SECRET: [&str; 5] = [
    "bucket.access_key_id",
    "bucket.secret_access_key",
    "bucket.session_token",
    "bucket.account_key",
    "bucket.sas_token",
];

/// Everything that can be configured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How tenants are told apart where there is no authentication.
    pub tenancy: Tenancy,
    /// Who is let in.
    pub auth: auth::Config,
    /// The addresses that we listen on.
    pub listen: Listen,
    /// Where the data is.
    pub store: Store,
    /// The object store that has the blocks.
    pub bucket: Bucket,
    /// The cache before it.
    pub cache: hybrid::Config,
    /// The log.
    pub wal: store::log::config::Config,
    /// The head: what was received last, in memory.
    pub head: store::head::Config,
    /// What is sealed and not merged yet.
    pub l0: store::l0::Config,
    /// When blocks are joined.
    pub compaction: store::compaction::Config,
    /// How long blocks are kept.
    pub retention: store::retention::Config,
    /// Bounds of reads.
    pub query: store::QueryConfig,
    /// The query API.
    pub api: api::Config,
    /// Limits of tenants.
    pub overrides: overrides::Config,
    /// The plugins that there are.
    pub plugins: attach::Config,
    /// How requests are received.
    pub receiver: receiver::Config,
    /// How connections are treated.
    pub server: server::Config,
    /// Certificates of the listeners.
    pub tls: server::tls::Config,
    /// The cores that we may use.
    pub cpu: Cpu,
    /// The memory that we may use.
    pub memory: Memory,
    /// The part of the volume that we may use.
    pub disk: Disk,
    /// What is logged, and how.
    pub log: log::Config,
}

/// The addresses that we listen on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// OTLP, gRPC by convention.
    pub otlp_grpc: SocketAddr,
    /// OTLP, HTTP by convention.
    pub otlp_http: SocketAddr,
    /// The query API.
    pub http: SocketAddr,
    /// Administration.
    pub admin: SocketAddr,
    /// Whether addresses other than loopback are meant though there is no authentication.
    pub insecure: bool,
}

impl Default for Listen {
    fn default() -> Self {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self {
            otlp_grpc: loopback(4317),
            otlp_http: loopback(4318),
            http: loopback(3200),
            admin: loopback(3201),
            insecure: false,
        }
    }
}

impl Listen {
    /// The addresses with the keys that they stand under.
    #[must_use]
    pub fn addresses(&self) -> [(&'static str, SocketAddr); 4] {
        [
            ("otlp_grpc", self.otlp_grpc),
            ("otlp_http", self.otlp_http),
            ("http", self.http),
            ("admin", self.admin),
        ]
    }

    /// Whether every address is loopback.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.addresses().iter().all(|(_, addr)| addr.ip().is_loopback())
    }

    fn check(&self, auth: &auth::Config, tenancy: Tenancy, faults: &mut Faults) {
        for (name, addr) in
            self.addresses().into_iter().filter(|(_, addr)| !addr.ip().is_loopback())
        {
            let key = format!("listen.{name}");
            if auth.is_on() {
                continue;
            }
            if !self.insecure {
                let accepted = "a loopback address; without authentication (auth.*) other \
                                addresses need `--insecure-listen` (listen.insecure: true)";
                faults.push(&key, addr, accepted);
            } else if tenancy == Tenancy::Header {
                let accepted = "a loopback address with `tenancy: header`, since every peer could \
                                name any tenant";
                faults.push(&key, addr, accepted);
            }
        }
        let addresses = self.addresses();
        for (i, (name, addr)) in addresses.iter().enumerate() {
            let same =
                addresses.iter().take(i).find(|(_, other)| other == addr && addr.port() != 0);
            if let Some((other, _)) = same {
                let accepted = format!("another address than listen.{other}");
                faults.push(&format!("listen.{name}"), addr, accepted);
            }
        }
    }
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
    /// All of it: log, L0 files and blocks share it.
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

    /// The same as YAML.
    ///
    /// # Errors
    /// When it cannot be written, which says why.
    pub fn yaml_of_defaults() -> Result<String, String> {
        serde_saphyr::to_string(&Self::defaults()).map_err(|fault| fault.to_string())
    }

    /// Merges the sources and checks what comes out.
    ///
    /// `detect` tells the budget of the machine for a data directory.
    ///
    /// # Errors
    /// Everything that is wrong, each with its key.
    pub fn load(sources: &Sources, detect: &dyn Fn(&Path) -> Budget) -> Result<Loaded, Faults> {
        let mut faults = Faults::default();
        let mut tree = Tree::new(Self::defaults(), &SECRET);
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
        self.bucket.check(faults);
        self.cache.check(faults);
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
        self.listen.check(&self.auth, self.tenancy, faults);
        self.auth.check(faults);
        self.store().check(faults);
        self.api.check("api", faults);
        self.overrides.check(faults);
        self.plugins.check("plugins", faults);
        self.receiver.check("receiver", faults);
        self.server.check("server", faults);
        self.tls.check(&self.listen.addresses().map(|(name, _)| name), faults);
        for (key, share, of, whole) in [
            ("head.bytes_max", self.head.bytes_max, "memory.bytes_max", self.memory.bytes_max),
            ("wal.bytes_max", self.wal.bytes_max, "disk.bytes_max", self.disk.bytes_max),
            ("l0.bytes_max", self.l0.bytes_max, "disk.bytes_max", self.disk.bytes_max),
        ] {
            if share > whole {
                faults.push(key, share, format!("at most {of}, which is {whole}"));
            }
        }
    }

    /// The store's part.
    #[must_use]
    pub fn store(&self) -> store::Config {
        store::Config {
            head: self.head.clone(),
            wal: self.wal.clone(),
            l0: self.l0.clone(),
            compaction: self.compaction.clone(),
            retention: self.retention.clone(),
            query: self.query.clone(),
        }
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
    if said("disk.bytes_max") {
        budget.disk = config.disk.bytes_max;
    }
    // A machine below the least gets the least: full is a state that passes, refusing to start
    // is not.
    let memory = budget.memory.max(ByteSize::mib(64));
    let disk = budget.disk.max(ByteSize::mib(64));
    let segment = ByteSize((disk.0 / 16).min(config.wal.segment_bytes.0));
    let l0 = ByteSize(((disk.0 / 4) >> 20) << 20);
    let body = ByteSize(config.receiver.limits.body_bytes_max.0.saturating_mul(2));
    let in_flight =
        ByteSize(memory.0 / 8).min(config.receiver.limits.in_flight_bytes_max).max(body);
    // A trace is in memory as stored, as encoded and as JSON before it is sent.
    let trace = ByteSize((memory.0 / 64).max(1 << 20)).min(config.query.trace_bytes_max);
    let cache = ByteSize(((memory.0 / 10) >> 20) << 20).min(config.query.cache_bytes_max);
    // Beside a bucket the directory has the log and L0 files only: a quarter of it each.
    let near = ByteSize(((memory.0 / 16) >> 20) << 20).min(config.cache.memory_bytes_max);
    // A cache of another size is begun anew: what others take of the disk must not change it at each
    // start.
    let near_disk = ByteSize((disk.0 / 4).checked_ilog2().map_or(0, |power| 1 << power));
    let near_disk = near_disk.min(config.cache.disk_bytes_max);
    let near_disk = if near_disk < hybrid::DISK_BYTES_MIN { ByteSize(0) } else { near_disk };
    let size = |bytes: ByteSize| Value::from(bytes.to_string());
    for (key, value) in [
        ("cpu.cores", Value::from(budget.cores)),
        ("memory.bytes_max", size(memory)),
        ("disk.bytes_max", size(disk)),
        ("head.bytes_max", size(budget.head())),
        ("wal.bytes_max", size(disk)),
        ("wal.segment_bytes", size(segment)),
        ("l0.bytes_max", size(l0)),
        ("query.trace_bytes_max", size(trace)),
        ("query.cache_bytes_max", size(cache)),
        ("cache.memory_bytes_max", size(near)),
        ("cache.disk_bytes_max", size(near_disk)),
        ("receiver.limits.in_flight_bytes_max", size(in_flight)),
    ] {
        tree.fill(key, value, Origin::Budget);
    }
}

#[cfg(test)]
mod tests;
