//! What `configure` takes, and the rules that it makes.

use serde::Deserialize;
use traceweir_plugin::ConfigError;

use crate::agents::Agents;
use crate::lists::{AGENTS, PATHS, Reason, SERVICES};
use crate::paths::{Paths, Services};

/// The longest path, part of an agent or service, in bytes; and the longest list.
const BYTES_MAX: usize = 512;
const LIST_MAX: usize = 1_000;
/// A shorter part would be in most agents.
const AGENT_BYTES_MIN: usize = 3;

/// What becomes of noise.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// It goes.
    Drop,
    /// It gets an attribute.
    Mark,
}

/// Additions to what is known.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Lists {
    paths: Vec<String>,
    agents: Vec<String>,
    services: Vec<String>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) reasons: Vec<Reason>,
    pub(crate) action: Action,
    pub(crate) attribute: String,
    pub(crate) keep_errors: bool,
    health: Lists,
    scrape: Lists,
    bot: Lists,
    except: Lists,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            reasons: vec![Reason::Health, Reason::Scrape, Reason::Bot],
            action: Action::Drop,
            attribute: "traceweir.noise".to_owned(),
            keep_errors: true,
            health: Lists::default(),
            scrape: Lists::default(),
            bot: Lists::default(),
            except: Lists::default(),
        }
    }
}

/// What is noise.
#[derive(Debug)]
pub(crate) struct Rules {
    paths: Paths<Reason>,
    kept_paths: Paths<()>,
    pub(crate) agents: Agents,
    services: Services,
    pub(crate) preflights: bool,
    pub(crate) bots: bool,
}

impl Config {
    /// The rules of the reasons that hold.
    ///
    /// # Errors
    ///
    /// What is wrong, and where.
    pub(crate) fn rules(&self) -> Result<Rules, ConfigError> {
        if self.reasons.is_empty() {
            return Err(ConfigError::new("$.reasons", "must have a reason"));
        }
        if self.attribute.is_empty() || self.attribute.len() > BYTES_MAX {
            return Err(ConfigError::new(
                "$.attribute",
                format!("must have 1 to {BYTES_MAX} bytes"),
            ));
        }
        let own = [("health", &self.health), ("scrape", &self.scrape), ("bot", &self.bot)];
        for (key, lists) in own.into_iter().chain([("except", &self.except)]) {
            lists.check(&format!("$.{key}"))?;
        }
        let own = [&self.health, &self.scrape, &self.bot];
        let all = |known: Known, of: fn(&Lists) -> &Vec<String>| {
            let known =
                known.iter().flat_map(|(reason, list)| list.iter().map(|text| (*text, *reason)));
            let own = Reason::ALL.into_iter().zip(own);
            let own = own.flat_map(move |(reason, lists)| {
                of(lists).iter().map(move |text| (text.as_str(), reason))
            });
            let list: Vec<(&str, Reason)> =
                known.chain(own).filter(|(_, reason)| self.reasons.contains(reason)).collect();
            list
        };
        let kept = self.except.agents.iter().map(|text| (text.as_str(), None));
        let agents =
            all(AGENTS, |lists| &lists.agents).into_iter().map(|(text, of)| (text, Some(of)));
        let bots = self.reasons.contains(&Reason::Bot);
        let services = all(SERVICES, |lists| &lists.services).into_iter();
        let services =
            services.filter(|(name, _)| !self.except.services.iter().any(|kept| kept == name));
        Ok(Rules {
            paths: Paths::new(all(PATHS, |lists| &lists.paths).into_iter()),
            kept_paths: Paths::new(self.except.paths.iter().map(|path| (path.as_str(), ()))),
            agents: Agents::new(agents.chain(kept), bots),
            services: Services(services.map(|(name, of)| (name.to_owned(), of)).collect()),
            preflights: self.reasons.contains(&Reason::Preflight),
            bots,
        })
    }
}

/// Texts that are known, by their reasons.
type Known = &'static [(Reason, &'static [&'static str])];

impl Lists {
    fn check(&self, path: &str) -> Result<(), ConfigError> {
        for (key, list) in
            [("paths", &self.paths), ("agents", &self.agents), ("services", &self.services)]
        {
            let path = format!("{path}.{key}");
            if list.len() > LIST_MAX {
                return Err(ConfigError::new(path, format!("must have at most {LIST_MAX}")));
            }
            for (i, text) in list.iter().enumerate() {
                let wrong = |why: String| Err(ConfigError::new(format!("{path}[{i}]"), why));
                let least = if key == "agents" { AGENT_BYTES_MIN } else { 1 };
                if !(least..=BYTES_MAX).contains(&text.len()) {
                    return wrong(format!("must have {least} to {BYTES_MAX} bytes"));
                }
                if key == "paths" && !text.starts_with(['/', '*']) {
                    return wrong("must begin with / or *".to_owned());
                }
                if key == "services" && text.contains('/') {
                    return wrong("must be a service, without its method".to_owned());
                }
            }
        }
        Ok(())
    }
}

impl Rules {
    /// Why a path, which may have a query behind it, is noise.
    pub(crate) fn path(&self, path: &str) -> Option<Reason> {
        match self.paths.find(path) {
            Some(reason) => self.kept_paths.find(path).is_none().then_some(reason),
            None => None,
        }
    }

    /// Why a service, or a text that begins with one, is noise.
    pub(crate) fn service(&self, text: &str) -> Option<Reason> {
        self.services.find(text)
    }
}
