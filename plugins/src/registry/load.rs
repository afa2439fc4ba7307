//! How a plugin becomes one that runs: read, held against what runs or failed before, compiled, configured, tried.

use std::collections::HashMap;
use std::sync::Arc;

use super::tried::Tried;
use super::{Entry, Faulty, Parts, Registry, Stamp, stamp};
use crate::chain::Scratch;
use crate::configured::Configured;
use crate::definition::Definition;
use crate::digest::Digest;
use crate::error::{Error, Kind};
use crate::host::Shared;
use crate::plugin::Plugin;
use crate::source::{self, Refused, Source};

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

    /// Reads what a definition names, and loads it where that is something new.
    fn renew(
        &self,
        name: &str,
        (definition, source): (&Definition, &Source),
        (running, known): (Option<&Entry>, Option<&Faulty>),
        loaded: &mut Loaded,
    ) -> Outcome {
        let same = running.filter(|running| running.definition == *definition);
        let failed = known.and_then(|known| known.revision.as_deref());
        let revision = failed.or_else(|| same.and_then(|same| same.revision.as_deref()));
        let fetched = match self.read(name, source, revision) {
            Ok(Some(fetched)) => fetched,
            Ok(None) if failed.is_some() => return Outcome::Faulty,
            Ok(None) => return Outcome::Same,
            Err(refused) => return Outcome::Refused(refused),
        };
        let source::Fetched { bytes, revision, .. } = fetched;
        match self.load(name, (definition, &bytes), (running, same), loaded) {
            Ok(None) => Outcome::Read(revision),
            Ok(Some(configured)) => Outcome::Loaded(configured, revision),
            Err(error) => Outcome::Refused(Refused { error, revision }),
        }
    }

    /// Reads what a source names; nothing where it is the revision that is known.
    fn read(
        &self,
        name: &str,
        source: &Source,
        known: Option<&str>,
    ) -> Result<Option<source::Fetched>, Refused> {
        let Parts { bundled, fetch, trust, surroundings, poll, .. } = &self.parts;
        let read = source::read(source, bundled, (&**fetch, known), trust);
        if source.is_remote() {
            let is_silent = |refused: &Refused| refused.error.kind() == Kind::Unavailable;
            let has_answered = !read.as_ref().is_err_and(is_silent);
            self.changes.polls.inc();
            if !has_answered {
                self.changes.poll_failed.inc();
            }
            self.polls.asked(
                name,
                has_answered,
                *poll,
                (&*surroundings.clock, &surroundings.chance),
            );
        }
        read
    }

    /// Loads a plugin; nothing where it runs so already.
    fn load(
        &self,
        name: &str,
        (definition, bytes): (&Definition, &[u8]),
        (running, same): (Option<&Entry>, Option<&Entry>),
        loaded: &mut Loaded,
    ) -> Result<Option<Arc<Configured>>, Error> {
        let Parts { surroundings, codes, .. } = &self.parts;
        let digest = Digest::of(bytes);
        if same.is_some_and(|same| same.configured.plugin().digest() == &digest) {
            return Ok(None);
        }
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
        Ok(Some(if is_fresh { configured } else { new()? }))
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
    Loaded(Arc<Configured>, Option<String>),
    /// It is what has failed before; or it is not time to look.
    Faulty,
    /// It cannot be taken over.
    Refused(Refused),
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
