//! Tables that plugins look things up in, and what they are made of: a file, a URL, the objects of a Kubernetes cluster, or
//! a plugin that makes tables. Each has one source, and one that cannot be had leaves its table as it was.
//!
//! ```yaml
//! tables:
//!   k8s: {kubernetes: {}}
//!   teams: {file: /etc/traceweir/teams.csv}
//!   owners: {url: "https://cmdb.example/owners.json", refresh: 5m}
//!   prices: {plugin: shop-prices}
//! ```

mod kubernetes;
mod outside;
mod parse;
mod refreshers;
mod sink;
mod url;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use model::{Clock, Faults, Nanos, Wait};
use plugins::registry::Registry;
use plugins::{Entries, TABLES_MAX, Tables};
use serde::{Deserialize, Serialize};

use crate::watch::Watched;
use crate::web::{self, Courier, Redirects, Running, Web};
use parse::Format;
use refreshers::Refreshers;
use sink::{Fault, Sink};
pub use sink::{Kind, State};

/// The largest file or answer that a table is made of.
pub const SOURCE_BYTES_MAX: usize = 64 << 20;

/// What a table is made of: one of `file`, `url`, `kubernetes` and `plugin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Definition {
    /// A file, JSON or CSV, which is read again when it changes.
    pub file: String,
    /// A URL, JSON or CSV, which is asked again now and then.
    pub url: String,
    /// A file with a token to show there.
    pub bearer_file: String,
    /// How often a URL is asked. Default 1m.
    pub refresh: Wait,
    /// The form of a file, or of what is at a URL. Default: CSV where its name ends so, else JSON.
    pub format: Option<Format>,
    /// A cluster.
    pub kubernetes: Option<kubernetes::Config>,
    /// A plugin that makes it.
    pub plugin: String,
}

impl Default for Definition {
    fn default() -> Self {
        Self {
            file: String::new(),
            url: String::new(),
            bearer_file: String::new(),
            refresh: Wait::secs(60),
            format: None,
            kubernetes: None,
            plugin: String::new(),
        }
    }
}

/// All tables by name.
pub type Definitions = BTreeMap<String, Definition>;

impl Definition {
    fn check(&self, key: &str, faults: &mut Faults) {
        let of = |name: &str| format!("{key}.{name}");
        let texts = [&self.file, &self.url, &self.plugin];
        let sources = texts.into_iter().filter(|text| !text.is_empty()).count()
            + usize::from(self.kubernetes.is_some());
        if sources != 1 {
            let found = format!("{sources} sources");
            faults.push(key, found, "one of file, url, kubernetes and plugin");
        }
        if !self.url.is_empty()
            && let Err(fault) = web::url(&self.url)
        {
            faults.push(&of("url"), self.url.as_str(), fault);
        }
        faults.check_range(&of("refresh"), self.refresh, Wait::secs(1)..=Wait::secs(86_400));
        if let Some(kubernetes) = &self.kubernetes {
            kubernetes.check(&of("kubernetes"), faults);
        }
    }

    /// What it is made of, in a word and its name.
    #[must_use]
    pub fn source(&self) -> String {
        match () {
            () if !self.file.is_empty() => format!("file:{}", self.file),
            () if !self.url.is_empty() => self.url.clone(),
            () if !self.plugin.is_empty() => format!("plugin:{}", self.plugin),
            () => "kubernetes".to_owned(),
        }
    }

    fn format(&self) -> Format {
        let name = if self.file.is_empty() { &self.url } else { &self.file };
        self.format.unwrap_or_else(|| Format::by_name(name))
    }
}

/// What a table has, of the bytes of a file by this name.
///
/// # Errors
/// Says what is wrong with it.
pub fn entries_of(name: &str, bytes: &[u8]) -> Result<Entries, String> {
    parse::entries(Format::by_name(name), bytes).map_err(|fault| fault.to_string())
}

/// Notes everything that is wrong with definitions; `key` is the dotted key of all of them.
pub fn check(
    definitions: &Definitions,
    plugins: &plugins::definition::Definitions,
    key: &str,
    faults: &mut Faults,
) {
    if definitions.len() > TABLES_MAX {
        let found = format!("{} tables", definitions.len());
        faults.push(key, found, format!("{TABLES_MAX} at most"));
    }
    for (name, definition) in definitions {
        if name.is_empty() || name.len() > 100 {
            faults.push(&format!("{key}.{name}"), "its name", "1 to 100 bytes");
        }
        definition.check(&format!("{key}.{name}"), faults);
        let plugin = &definition.plugin;
        if !plugin.is_empty() && !plugins.contains_key(plugin) {
            faults.push(&format!("{key}.{name}.plugin"), plugin.as_str(), "a plugin of this file");
        }
    }
}

/// A table that is kept fresh.
#[derive(Debug)]
struct Kept {
    definition: Definition,
    sink: Sink,
    work: Work,
    /// Of a file: whether what it has is taken over.
    is_good: bool,
}

/// What keeps it so.
#[derive(Debug)]
enum Work {
    /// A file; `None` until it could be read.
    File(Option<Watched>),
    /// A task, which ends when this goes; `None` where it cannot be started.
    Task(Option<Running>),
    /// A plugin.
    Plugin,
}

/// What is told of a table.
#[derive(Clone, Debug)]
pub struct Told {
    /// Its name.
    pub name: String,
    /// What it is made of.
    pub source: String,
    /// How it goes.
    pub state: Arc<State>,
}

/// Keeps tables fresh.
#[derive(Debug)]
pub struct Keeper {
    tables: Arc<Tables>,
    courier: Arc<Courier>,
    clock: Arc<dyn Clock>,
    ca_file: String,
    kept: Mutex<BTreeMap<String, Kept>>,
    /// What is told of them: nobody who asks waits for a file that is read.
    told: ArcSwap<Vec<Told>>,
    refreshers: Refreshers,
}

impl Keeper {
    /// Keeps these tables; networks are asked with a courier, trusting the roots of a file.
    #[must_use]
    pub fn new(
        tables: Arc<Tables>,
        courier: Arc<Courier>,
        clock: Arc<dyn Clock>,
        ca_file: &str,
    ) -> Self {
        let refreshers = Refreshers::new(Arc::clone(&courier), Arc::clone(&clock), ca_file);
        let (kept, told, ca_file) = (Mutex::default(), ArcSwap::default(), ca_file.to_owned());
        Self { tables, courier, clock, ca_file, kept, told, refreshers }
    }

    /// Keeps what is defined, and nothing else. A file is read at once; what comes over a network comes when it comes.
    pub fn apply(&self, definitions: &Definitions) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let gone: Vec<String> =
            kept.keys().filter(|name| !definitions.contains_key(*name)).cloned().collect();
        for name in gone {
            kept.remove(&name);
            self.tables.remove(&name);
        }
        for (name, definition) in definitions {
            if kept.get(name).is_none_or(|kept| kept.definition != *definition) {
                // What works on the one before ends first.
                kept.remove(name);
                let sink = Sink::new(name, Arc::clone(&self.tables), Arc::clone(&self.clock));
                kept.insert(name.clone(), self.start(definition, sink));
            }
        }
        let told = |(name, kept): (&String, &Kept)| {
            let (name, source) = (name.clone(), kept.definition.source());
            Told { name, source, state: Arc::clone(kept.sink.state()) }
        };
        self.told.store(Arc::new(kept.iter().map(told).collect()));
    }

    fn start(&self, definition: &Definition, sink: Sink) -> Kept {
        let task = |started: Result<Running, String>| {
            Work::Task(started.map_err(|why| sink.failed(&Fault::unavailable(why))).ok())
        };
        let work = match definition {
            Definition { kubernetes: Some(config), .. } => {
                task(kubernetes::start(config, &self.courier, sink.clone()))
            }
            Definition { plugin, .. } if !plugin.is_empty() => Work::Plugin,
            Definition { url, .. } if !url.is_empty() => {
                let web = Web::new(&self.ca_file, Redirects::Followed);
                task(web.and_then(|web| url::start(definition, web, &self.courier, sink.clone())))
            }
            _ => Work::File(None),
        };
        let mut kept = Kept { definition: definition.clone(), sink, work, is_good: false };
        kept.look();
        kept
    }

    /// Looks at files, and calls plugins that make tables when it is time; that goes on on threads of their own.
    pub fn look(&self, registry: &Registry) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for kept in kept.values_mut() {
            // Its roots, or its account, may come later.
            if matches!(kept.work, Work::Task(None)) {
                *kept = self.start(&kept.definition.clone(), kept.sink.clone());
            }
            kept.look();
        }
        let mut made: BTreeMap<String, BTreeMap<String, Sink>> = BTreeMap::new();
        for (name, kept) in kept.iter().filter(|(_, kept)| matches!(kept.work, Work::Plugin)) {
            let plugin = made.entry(kept.definition.plugin.clone()).or_default();
            plugin.insert(name.clone(), kept.sink.clone());
        }
        drop(kept);
        self.refreshers.look(registry, made);
    }

    /// What is told of each table, by name.
    #[must_use]
    pub fn told(&self) -> Arc<Vec<Told>> {
        self.told.load_full()
    }

    /// How long ago a table was last known to be as its source is; `None` before it first was.
    #[must_use]
    pub fn age(&self, state: &State) -> Option<Nanos> {
        state.refreshed_at().map(|at| self.clock.monotonic().minus(at))
    }
}

impl Kept {
    /// Of a file: reads it if it has changed.
    fn look(&mut self) {
        let Work::File(watched) = &mut self.work else { return };
        let read = match watched {
            Some(watched) => watched.changed(),
            None => {
                let paths = vec![PathBuf::from(&self.definition.file)];
                Watched::open_up_to(paths, SOURCE_BYTES_MAX as u64).map(|(opened, contents)| {
                    *watched = Some(opened);
                    Some(contents)
                })
            }
        };
        match read {
            Ok(Some(contents)) => {
                let entries = parse::entries(self.definition.format(), &contents.concat());
                let entries = entries.map_err(|why| why.within(&self.definition.file));
                self.is_good = self.sink.put(entries);
            }
            Ok(None) if self.is_good => self.sink.same(),
            // What is wrong with it was told.
            Ok(None) => {}
            Err(why) => self.sink.failed(&Fault::unavailable(why)),
        }
    }
}

#[cfg(test)]
mod tests;
