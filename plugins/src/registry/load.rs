//! How a plugin becomes one that runs: read, held against what runs or failed before, compiled, configured, tried.

use std::collections::HashMap;
use std::sync::Arc;

use model::Nanos;
use tracing::warn;

use super::tried::Tried;
use super::{Entry, Faulty, Parts, Registry, Stamp, stamp};
use crate::chain::Scratch;
use crate::configured::Configured;
use crate::definition::Definition;
use crate::digest::Digest;
use crate::error::{Error, Kind};
use crate::host::Shared;
use crate::plugin::Plugin;
use crate::shelf::Kept;
use crate::source::{self, Fetched, Refused, Source};

impl Registry {
    /// Looks at what a definition names, and loads it where that is something else than what runs or failed before.
    pub(super) fn look(
        &self,
        name: &str,
        definition: &Definition,
        (running, known): (Option<&Entry>, Option<&Faulty>),
        loaded: &mut Loaded,
    ) -> Looked {
        let source = match Source::parse(&definition.source) {
            Ok(source) => source,
            Err(_) if known.is_some() => return Looked { stamp: None, outcome: Outcome::Faulty },
            Err(fault) => {
                let error = Error::new(Kind::Config, format!("source: {fault}"));
                return Looked { stamp: None, outcome: Outcome::Refused(error.into()) };
            }
        };
        let stamp = stamp(&source);
        let same = running.filter(|running| running.definition == *definition);
        let outcome = match (known, same) {
            (Some(known), _) if !source.is_remote() && known.stays(definition, stamp) => {
                Outcome::Faulty
            }
            (Some(_), _) if source.is_remote() && !self.is_time(name) => Outcome::Faulty,
            // What its name says cannot have changed.
            (None, Some(_)) if source.is_pinned() => Outcome::Same,
            (None, Some(_)) if source.is_remote() && !self.is_time(name) => Outcome::Same,
            _ => self.renew(name, (definition, &source), (running, known), loaded),
        };
        Looked { stamp, outcome }
    }

    /// Reads what a definition names, and loads it where that is something new; where that cannot be, and nothing runs that is
    /// defined so, what was kept of it.
    fn renew(
        &self,
        name: &str,
        (definition, source): (&Definition, &Source),
        (running, known): (Option<&Entry>, Option<&Faulty>),
        loaded: &mut Loaded,
    ) -> Outcome {
        let same = running.filter(|running| running.definition == *definition);
        let failed = known.and_then(|known| known.revision.as_deref());
        let kept = if same.is_none() { self.kept(source) } else { None };
        let kept_revision = kept.as_ref().and_then(|kept| kept.fetched.revision.as_deref());
        let take = |kept: &Kept, loaded: &mut Loaded| {
            let loads = self.load(name, (definition, &kept.fetched.bytes), running, loaded);
            loads.map(|configured| Taken::kept(configured, kept))
        };
        if let Some(kept) = kept.as_ref().filter(|_| source.is_pinned()) {
            self.asked(name, true);
            return match failed.is_some() && failed == kept_revision {
                true => Outcome::Faulty,
                false => Outcome::of(take(kept, loaded), kept_revision),
            };
        }
        let revision = failed.or_else(|| same.and_then(|same| same.revision.as_deref()));
        let outcome = match self.read(name, source, revision.or(kept_revision)) {
            Ok(Some(fetched)) => {
                self.fetched(name, (definition, source, &fetched), (running, same), loaded)
            }
            Ok(None) if failed.is_some() => Outcome::Faulty,
            // It is as it is there.
            Ok(None) => match (same, &kept) {
                (None, Some(kept)) => {
                    let current = |taken| Taken { kept_since: None, ..taken };
                    Outcome::of(take(kept, loaded).map(current), kept_revision)
                }
                (same, _) => Outcome::Read(same.and_then(|same| same.revision.clone())),
            },
            Err(refused) => Outcome::Refused(refused),
        };
        match (outcome, kept) {
            (Outcome::Refused(refused), Some(kept)) => match take(&kept, loaded) {
                Ok(taken) => Outcome::Kept(taken, refused),
                Err(_) => Outcome::Refused(refused),
            },
            (outcome, _) => outcome,
        }
    }

    /// What was kept of a source, if that is still what plugins have to be.
    fn kept(&self, source: &Source) -> Option<Kept> {
        let Parts { shelf, trust, surroundings, .. } = &self.parts;
        let kept = shelf.get(source, surroundings.clock.now()).filter(|_| source.is_remote())?;
        match source::check(source, &kept.fetched, trust) {
            Ok(()) => Some(kept),
            Err(error) => {
                warn!(%error, "what was kept of a plugin is not taken");
                None
            }
        }
    }

    /// Loads what has come, and keeps it where it may take over.
    fn fetched(
        &self,
        name: &str,
        (definition, source, fetched): (&Definition, &Source, &Fetched),
        (running, same): (Option<&Entry>, Option<&Entry>),
        loaded: &mut Loaded,
    ) -> Outcome {
        let digest = Digest::of(&fetched.bytes);
        let outcome = match same {
            Some(same) if same.configured.plugin().digest() == &digest => {
                Outcome::Read(fetched.revision.clone())
            }
            _ => {
                let loads = self.load(name, (definition, &fetched.bytes), running, loaded);
                let revision = fetched.revision.clone();
                let taken =
                    loads.map(|configured| Taken { configured, revision, kept_since: None });
                Outcome::of(taken, fetched.revision.as_deref())
            }
        };
        let is_good = matches!(outcome, Outcome::Read(_) | Outcome::Loaded(_));
        if is_good && source.is_remote() {
            self.parts.shelf.put(source, fetched, self.parts.surroundings.clock.now());
        }
        outcome
    }

    /// Reads what a source names; nothing where it is the revision that is known.
    fn read(
        &self,
        name: &str,
        source: &Source,
        known: Option<&str>,
    ) -> Result<Option<Fetched>, Refused> {
        let Parts { bundled, fetch, trust, .. } = &self.parts;
        let read = source::read(source, bundled, (&**fetch, known), trust);
        if source.is_remote() {
            let is_silent = |refused: &Refused| refused.error.kind() == Kind::Unavailable;
            let has_answered = !read.as_ref().is_err_and(is_silent);
            self.changes.polls.inc();
            if !has_answered {
                self.changes.poll_failed.inc();
            }
            self.asked(name, has_answered);
        }
        read
    }

    /// Says when it is time to ask again.
    fn asked(&self, name: &str, has_answered: bool) {
        let Parts { surroundings, poll, .. } = &self.parts;
        let surroundings = (&*surroundings.clock, &surroundings.chance);
        self.polls.asked(name, has_answered, *poll, surroundings);
    }

    /// Loads a plugin: compiled, configured, tried.
    fn load(
        &self,
        name: &str,
        (definition, bytes): (&Definition, &[u8]),
        running: Option<&Entry>,
        loaded: &mut Loaded,
    ) -> Result<Arc<Configured>, Error> {
        let Parts { surroundings, codes, .. } = &self.parts;
        let digest = Digest::of(bytes);
        let setup = definition.setup(name);
        let engine = self.engine()?;
        let plugin = match loaded.plugin(&digest, running) {
            Some(plugin) => plugin,
            None => {
                let shared = Shared::new(name, surroundings.clone(), Arc::default(), 0);
                Plugin::load(engine, codes, bytes, (Arc::new(shared), setup.limits))?
            }
        };
        loaded.0.insert(digest, Arc::clone(&plugin));
        let new = || Configured::new(Arc::clone(&plugin), setup.clone(), surroundings.clone());
        let configured = new()?;
        // What was counted, remembered and registered on trial is not what it does at work.
        let is_fresh = !self.try_out(&configured)?;
        if is_fresh { Ok(configured) } else { new() }
    }

    /// Runs a plugin over what came lately, and throws away what it answers. It fails on none of it. Whether there was
    /// something to run it over.
    fn try_out(&self, configured: &Arc<Configured>) -> Result<bool, Error> {
        let Some(tried) = Tried::new(configured) else { return Ok(false) };
        let (samples, mut scratch) = (self.samples.latest(), Scratch::default());
        for sample in &samples {
            if let Err(rejected) = tried.run(sample, &mut scratch)
                && let Some(failure) = rejected.failure
            {
                let what = format!(
                    "it failed on a request of tenant {} that came lately: {}",
                    sample.tenant,
                    failure.as_str()
                );
                return Err(Error::new(Kind::Failed(failure), what));
            }
        }
        Ok(!samples.is_empty())
    }
}

/// What a look at a source came to.
pub(super) struct Looked {
    pub(super) stamp: Stamp,
    pub(super) outcome: Outcome,
}

pub(super) enum Outcome {
    /// It is what runs; or it is not time to look.
    Same,
    /// It was read, and is what runs; of this revision.
    Read(Option<String>),
    /// It is another one, which may take over.
    Loaded(Taken),
    /// It is what has failed before; or it is not time to look.
    Faulty,
    /// It cannot be taken over.
    Refused(Refused),
    /// It cannot be taken over, and what was kept of it may.
    Kept(Taken, Refused),
}

impl Outcome {
    fn of(loaded: Result<Taken, Error>, revision: Option<&str>) -> Self {
        let refused = |error| Refused { error, revision: revision.map(str::to_owned) };
        loaded.map_or_else(|error| Self::Refused(refused(error)), Self::Loaded)
    }
}

/// A plugin that may take over.
pub(super) struct Taken {
    pub(super) configured: Arc<Configured>,
    /// The revision that it is.
    pub(super) revision: Option<String>,
    /// When it was fetched, where nobody has said that it is as it is there.
    pub(super) kept_since: Option<Nanos>,
}

impl Taken {
    fn kept(configured: Arc<Configured>, kept: &Kept) -> Self {
        let (revision, kept_since) = (kept.fetched.revision.clone(), Some(kept.since));
        Self { configured, revision, kept_since }
    }
}

/// Plugins that were loaded for a change: the same file under two names is compiled once.
#[derive(Default)]
pub(super) struct Loaded(HashMap<Digest, Arc<Plugin>>);

impl Loaded {
    fn plugin(&self, digest: &Digest, running: Option<&Entry>) -> Option<Arc<Plugin>> {
        let running = running.map(|running| running.configured.plugin());
        let same = running.filter(|running| running.digest() == digest);
        same.or_else(|| self.0.get(digest)).map(Arc::clone)
    }
}
