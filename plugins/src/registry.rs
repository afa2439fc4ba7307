//! The plugins of a process: loaded by their definitions, and swapped while requests run.
//!
//! A changed definition, file or tag is loaded beside what runs: fetched, held against its digest and signature,
//! compiled, asked what it is, configured, and tried on requests that came lately. Only then does it take the place of
//! the one before, all at once; what is wrong changes nothing. Requests that are under way end with what they began
//! with.
//!
//! What comes over a network and may change (a tag, a URL without a digest) is asked for now and then, with what is known of
//! it; only another revision is fetched, and goes the same way.
//!
//! What has come over a network is kept on the disk. Where nobody answers, or what is there now is wrong, what was kept takes
//! over, with the fault beside it, until a poll finds better; what is pinned and was kept is not asked for at all.

mod load;
mod poll;
mod tried;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use bytes::Bytes;
use model::metric::Counter;
use model::{Nanos, TenantId};
use tracing::{info, warn};

use self::load::{Loaded, Outcome, Taken};
use self::poll::Polls;
use crate::capture::Failures;
use crate::chain::{Chain, Link, OnFailure, Share};
use crate::code::Codes;
use crate::configured::Configured;
use crate::definition::{Definition, Definitions};
use crate::engine::{Engine, Settings};
use crate::error::{Error, Kind};
use crate::host::Surroundings;
use crate::identify::Authenticator;
use crate::order::Orders;
use crate::route::Router;
use crate::samples::Samples;
use crate::shelf::Shelf;
use crate::source::{Fetch, Refused, Source, Trust};
use crate::worlds::World;

/// Plugins that were built with this program, by name.
pub type Bundled = &'static [(&'static str, &'static [u8])];

/// What a registry works with.
#[derive(Debug)]
pub struct Parts {
    /// What the engine may use.
    pub settings: Settings,
    /// Compiled code.
    pub codes: Codes,
    /// What was fetched.
    pub shelf: Shelf,
    /// What plugins see of the surroundings.
    pub surroundings: Surroundings,
    /// Who fetches what comes over a network.
    pub fetch: Arc<dyn Fetch>,
    /// What has to be true of it.
    pub trust: Trust,
    /// How often it is asked whether what may change has.
    pub poll: Duration,
    /// What is part of this program.
    pub bundled: Bundled,
}

/// A plugin that runs.
#[derive(Clone, Debug)]
pub struct Entry {
    /// How it is defined.
    pub definition: Definition,
    /// The plugin.
    pub configured: Arc<Configured>,
    /// What its file looked like.
    stamp: Stamp,
    /// The revision that was fetched: an `ETag`, or the digest of a manifest. None of what comes over no network.
    pub revision: Option<String>,
    /// Since when it was kept, where it runs as it was, and not as its source was known to have it since we started.
    pub kept_since: Option<Nanos>,
}

/// When a file was changed, and how long it is: it is read again when that differs.
type Stamp = Option<(SystemTime, u64)>;

fn stamp(source: &Source) -> Stamp {
    let Source::File(path) = source else { return None };
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

type Entries = BTreeMap<String, Entry>;

/// A plugin of a chain, as an operator writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Attachment<'a> {
    /// Its name.
    pub plugin: &'a str,
    /// What becomes of a batch that it fails on; none: what its definition says.
    pub on_failure: Option<OnFailure>,
    /// Percent of all traces.
    pub canary: Option<f64>,
    /// It changes nothing.
    pub is_shadow: bool,
}

/// A definition that does not run.
#[derive(Clone, Debug)]
struct Faulty {
    definition: Definition,
    stamp: Stamp,
    revision: Option<String>,
    error: Error,
}

impl Faulty {
    fn of(definition: &Definition, stamp: Stamp, refused: Refused) -> Self {
        let Refused { error, revision } = refused;
        Self { definition: definition.clone(), stamp, revision, error }
    }

    /// Whether it would be the same again.
    fn stays(&self, definition: &Definition, stamp: Stamp) -> bool {
        let may_pass = matches!(self.error.kind(), Kind::Unavailable | Kind::Host);
        !may_pass && self.definition == *definition && self.stamp == stamp
    }
}

/// Times that plugins changed.
#[derive(Debug, Default)]
pub struct Changes {
    /// Plugins that were taken over.
    pub taken: Counter,
    /// Plugins that were not, for being wrong; what was before stays.
    pub failed: Counter,
    /// Times that a network was asked for a plugin.
    pub polls: Counter,
    /// Times that nobody answered.
    pub poll_failed: Counter,
    /// Plugins that were taken over as they were kept.
    pub kept: Counter,
}

/// The plugins of a process.
#[derive(Debug)]
pub struct Registry {
    parts: Parts,
    engine: OnceLock<Engine>,
    entries: ArcSwap<Entries>,
    /// Why a plugin that is defined does not run, or not as it is defined.
    faults: Mutex<BTreeMap<String, Faulty>>,
    /// One change at a time.
    changing: Mutex<()>,
    /// What was loaded, for whoever configures the same again.
    failures: Arc<Failures>,
    samples: Samples,
    orders: Orders,
    changes: Changes,
    polls: Polls,
    generation: AtomicU64,
}

impl Registry {
    /// One without plugins. Nothing is started until there is one.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            engine: OnceLock::new(),
            entries: ArcSwap::default(),
            faults: Mutex::default(),
            changing: Mutex::default(),
            failures: Arc::default(),
            samples: Samples::default(),
            orders: Orders::default(),
            changes: Changes::default(),
            polls: Polls::default(),
            generation: AtomicU64::new(0),
        }
    }

    /// What runs, by name.
    #[must_use]
    pub fn entries(&self) -> Arc<Entries> {
        self.entries.load_full()
    }

    /// Goes up whenever what runs has changed, after it has: what a plugin told by an earlier one does not hold, whoever
    /// asked it meanwhile.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Why plugins that are defined do not run as they are.
    #[must_use]
    pub fn faults(&self) -> BTreeMap<String, Error> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.iter().map(|(name, of)| (name.clone(), of.error.clone())).collect()
    }

    /// Batches that plugins have failed on.
    #[must_use]
    pub fn failures(&self) -> &Failures {
        &self.failures
    }

    /// Requests that came lately, as they were stored.
    #[must_use]
    pub const fn samples(&self) -> &Samples {
        &self.samples
    }

    /// Requests that somebody wants to see.
    #[must_use]
    pub const fn orders(&self) -> &Orders {
        &self.orders
    }

    /// Times that plugins changed.
    #[must_use]
    pub const fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Compiled code.
    #[must_use]
    pub const fn codes(&self) -> &Codes {
        &self.parts.codes
    }

    /// What is looked up.
    #[must_use]
    pub const fn surroundings(&self) -> &Surroundings {
        &self.parts.surroundings
    }

    /// The chain of some attachments, of what runs now.
    ///
    /// # Errors
    /// Names the plugin that there is none of.
    pub fn chain(&self, attachments: &[Attachment<'_>]) -> Result<Chain, Error> {
        if attachments.is_empty() {
            return Ok(Chain::default());
        }
        let entries = self.entries.load();
        let link = |of: &Attachment<'_>| {
            let entry = running(&entries, of.plugin, &[World::SpanProcessor, World::HeadSampler])?;
            Ok(Link {
                configured: Arc::clone(&entry.configured),
                on_failure: of.on_failure.unwrap_or(entry.definition.on_failure),
                canary: of.canary.map(Share::percent),
                is_shadow: of.is_shadow,
            })
        };
        let links: Result<Vec<Link>, Error> = attachments.iter().map(link).collect();
        Ok(Chain::new(links?, Arc::clone(&self.failures)))
    }

    /// The router of this name, as it runs now.
    ///
    /// # Errors
    /// There is none.
    pub fn router(&self, name: &str) -> Result<Router, Error> {
        let entries = self.entries.load();
        let Entry { configured, definition, .. } = running(&entries, name, &[World::Router])?;
        let failures = Arc::clone(&self.failures);
        Ok(Router::new(Arc::clone(configured), definition.on_failure, failures))
    }

    /// The authenticator of this name, as it runs now.
    ///
    /// # Errors
    /// There is none.
    pub fn authenticator(&self, name: &str) -> Result<Authenticator, Error> {
        let entries = self.entries.load();
        let entry = running(&entries, name, &[World::Authenticator])?;
        Ok(Authenticator::new(Arc::clone(&entry.configured)))
    }

    /// Whether [`Self::apply`] would do anything: something is not as it is defined, or a file has changed. Looks at files,
    /// does not read them.
    #[must_use]
    pub fn is_due(&self, definitions: &Definitions) -> bool {
        let entries = self.entries.load();
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let is_settled = |(name, definition): (&String, &Definition)| {
            let Ok(source) = Source::parse(&definition.source) else { return true };
            let stamp = stamp(&source);
            let running = entries.get(name).filter(|running| running.definition == *definition);
            let faulty = faults.get(name);
            if source.is_remote() {
                let faulty = faulty.filter(|faulty| faulty.definition == *definition);
                let is_final = faulty.is_none() && source.is_pinned();
                return match running.is_some() {
                    true if is_final => true,
                    is_running => (is_running || faulty.is_some()) && !self.is_time(name),
                };
            }
            running.is_some_and(|running| source.is_pinned() || stamp == running.stamp)
                || faulty.is_some_and(|faulty| faulty.stays(definition, stamp))
        };
        let is_gone = |name: &String| !definitions.contains_key(name);
        !definitions.iter().all(is_settled) || entries.keys().any(is_gone)
    }

    fn is_time(&self, name: &str) -> bool {
        self.polls.is_due(name, self.parts.surroundings.clock.monotonic())
    }

    /// What may have changed on a network is asked for with the next [`Self::apply`].
    pub fn poll_now(&self) {
        self.polls.all_now();
    }

    /// Makes what runs what is defined: loads what is new or has changed, also behind the same name, and takes it over
    /// all at once. What cannot be loaded is told, and what ran by that name runs on. Blocks for as long as fetching and
    /// compiling take: off the path of data.
    pub fn apply(&self, definitions: &Definitions) -> BTreeMap<String, Error> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.entries.load_full();
        let known = self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut next, mut faults) = (Entries::new(), BTreeMap::new());
        let mut loaded = Loaded::default();
        for (name, definition) in definitions {
            let running = before.get(name);
            let known = known.get(name).filter(|known| known.definition == *definition);
            let looked = self.look(name, definition, (running, known), &mut loaded);
            let stamp = looked.stamp;
            let entry = match looked.outcome {
                Outcome::Same => running.cloned(),
                Outcome::Read(revision) => running.map(|running| {
                    let kept_since = None;
                    Entry { stamp, revision, kept_since, ..running.clone() }
                }),
                Outcome::Loaded(taken) => Some(self.taken(name, definition, (stamp, taken))),
                Outcome::Kept(taken, refused) => {
                    self.refused(name, &refused.error, (true, true));
                    faults.insert(name.clone(), Faulty::of(definition, stamp, refused));
                    Some(self.taken(name, definition, (stamp, taken)))
                }
                Outcome::Faulty => {
                    faults.extend(known.map(|known| (name.clone(), known.clone())));
                    running.cloned()
                }
                Outcome::Refused(refused) => {
                    let is_same = running.is_some_and(|of| of.definition == *definition);
                    self.refused(name, &refused.error, (running.is_some(), is_same));
                    faults.insert(name.clone(), Faulty::of(definition, stamp, refused));
                    running.cloned()
                }
            };
            next.extend(entry.map(|entry| (name.clone(), entry)));
        }
        for name in before.keys().filter(|name| !next.contains_key(*name)) {
            info!(name, "plugin is gone");
        }
        self.polls.keep(definitions);
        let is_same = |(name, entry): (&String, &Entry)| {
            next.get(name).is_some_and(|next| Arc::ptr_eq(&next.configured, &entry.configured))
        };
        let has_changed = next.len() != before.len() || !before.iter().all(is_same);
        self.entries.store(Arc::new(next));
        if has_changed {
            self.generation.fetch_add(1, Ordering::AcqRel);
        }
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
        self.faults()
    }

    fn taken(&self, name: &str, definition: &Definition, (stamp, of): (Stamp, Taken)) -> Entry {
        let Taken { configured, revision, kept_since } = of;
        self.changes.taken.inc();
        let (info, digest) = (configured.plugin().info(), configured.plugin().digest());
        info!(name, plugin = info.name, version = info.version, %digest, "plugin runs");
        if let Some(since) = kept_since {
            self.changes.kept.inc();
            let age_seconds = self.parts.surroundings.clock.now().minus(since).0 / 1_000_000_000;
            info!(
                name,
                age_seconds, "it runs as it was kept: its source was not asked, or has no better"
            );
        }
        Entry { definition: definition.clone(), configured, stamp, revision, kept_since }
    }

    /// Tells why a plugin is not taken over: whether another one is there in its place, and one that is defined so.
    fn refused(&self, name: &str, error: &Error, (stays, is_same): (bool, bool)) {
        // There may be nothing new.
        if is_same && error.kind() == Kind::Unavailable {
            warn!(name, %error, "nobody tells whether a plugin has changed");
            return;
        }
        self.changes.failed.inc();
        warn!(name, %error, stays, "plugin is not taken over");
    }

    fn engine(&self) -> Result<&Engine, Error> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        // One change at a time: nobody else starts one.
        let engine = Engine::start(&self.parts.settings)?;
        Ok(self.engine.get_or_init(|| engine))
    }

    /// Notes a request as it is stored, now and then.
    pub fn sample(&self, tenant: &TenantId, body: &Bytes, now: Nanos) {
        self.samples.offer(tenant, body, now);
    }

    /// Drops instances that nobody needed for a while.
    pub fn sweep(&self) {
        let now = self.parts.surroundings.clock.monotonic();
        self.orders.sweep(now);
        for entry in self.entries.load().values() {
            entry.configured.sweep(now);
        }
    }
}

/// What runs by a name, if it is one of these worlds.
fn running<'a>(entries: &'a Entries, name: &str, worlds: &[World]) -> Result<&'a Entry, Error> {
    let missing = || {
        let what = format!("plugin {name} is attached and does not run");
        Error::new(Kind::Unavailable, what)
    };
    let entry = entries.get(name).ok_or_else(missing)?;
    let world = entry.configured.plugin().world();
    if worlds.contains(&world) {
        return Ok(entry);
    }
    let expected = worlds.iter().map(|world| world.interface()).collect::<Vec<_>>().join(" or ");
    let what = format!(
        "plugin {name} is attached as {expected}, and is none: it is of the interface {}",
        world.interface()
    );
    Err(Error::new(Kind::Unavailable, what))
}

#[cfg(test)]
mod tests;
