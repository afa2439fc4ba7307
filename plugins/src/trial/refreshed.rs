//! Refreshers at a desk: the tables that they make of what a network answers, from a file.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Subject;
use super::same::{Held, Way};
use crate::configured::Configured;
use crate::error::{Error, Kind};
use crate::refresher::{Allowed, Outside, Request, Response, Silence};
use crate::worlds::World;

/// What a network answers to one request, as a file has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Default `GET`.
    #[serde(default = "get")]
    pub method: String,
    /// Where it is asked for.
    pub url: String,
    /// Default 200.
    #[serde(default = "ok")]
    pub status: u16,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// A text as it is; anything else as JSON.
    #[serde(default)]
    pub body: Value,
}

fn get() -> String {
    "GET".to_owned()
}

const fn ok() -> u16 {
    200
}

impl Given {
    fn response(&self) -> Response {
        let body = match &self.body {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let headers = self.headers.clone().into_iter().collect();
        Response { status: self.status, headers, body: body.into_bytes() }
    }
}

/// A network that answers what is given, and nothing else.
#[derive(Debug)]
struct Network {
    given: Vec<Given>,
    asked: Mutex<Vec<String>>,
}

impl Outside for Network {
    fn send(&self, request: Request) -> Result<Response, Silence> {
        let Request { method, url, .. } = request;
        let found = self.given.iter().find(|of| of.method == method && of.url == url);
        let none = || Silence::Network("there is no answer to it here".to_owned());
        let told = if found.is_some() { "" } else { ", which nothing answers" };
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push(format!("{method} {url}{told}"));
        found.map(Given::response).ok_or_else(none)
    }
}

/// What a refresher has made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refreshed {
    /// How often it wants to be called.
    pub every_seconds: u64,
    /// What it has asked a network for.
    pub asked: Vec<String>,
    /// Its tables.
    pub tables: BTreeMap<String, BTreeMap<String, String>>,
    /// What has failed.
    pub faults: Vec<String>,
}

/// What was asked for, then each table with its entries.
impl fmt::Display for Refreshed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { every_seconds, asked, tables, faults } = self;
        writeln!(f, "{} tables, every {every_seconds}s", tables.len())?;
        asked.iter().try_for_each(|request| writeln!(f, "asks {request}"))?;
        faults.iter().try_for_each(|fault| writeln!(f, "failed: {fault}"))?;
        for (name, entries) in tables {
            writeln!(f, "table {name:?} of {} entries", entries.len())?;
            let mut entries = entries.iter();
            entries.try_for_each(|(key, value)| writeln!(f, "  {key:?}: {value:?}"))?;
        }
        Ok(())
    }
}

impl Subject {
    /// Has a refresher make its tables, where a network answers so.
    ///
    /// # Errors
    /// [`Kind::NotOurs`] for one that is none.
    pub fn refresh(&self, configured: &Configured, given: &[Given]) -> Result<Refreshed, Error> {
        let world = configured.plugin().world();
        let every = configured.interval().filter(|_| world == World::TableRefresher);
        let every = every.ok_or_else(|| {
            let what = format!("a plugin of the world {} makes no tables", world.name());
            Error::new(Kind::NotOurs, what)
        })?;
        let network = Arc::new(Network { given: given.to_vec(), asked: Mutex::default() });
        let made = configured.refresh(Arc::clone(&network) as _, &Allowed::default());
        let (mut tables, mut faults) = (BTreeMap::new(), Vec::new());
        match made {
            Ok(made) => {
                for (name, entries) in made {
                    match entries {
                        Ok(entries) => drop(tables.insert(name, entries.sorted())),
                        Err(full) => faults.push(format!("table {name}: {full}")),
                    }
                }
            }
            Err(error) => faults.push(error.to_string()),
        }
        let asked = network.asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(Refreshed { every_seconds: every.as_secs(), asked, tables, faults })
    }

    /// Has it make them again, and holds them against those that it made first.
    ///
    /// # Errors
    /// As [`Self::configured`] and [`Self::refresh`].
    pub fn refresh_again(
        &self,
        way: Way,
        (configured, first): (&Configured, &Refreshed),
        given: &[Given],
    ) -> Result<Held, Error> {
        if let Some(why) = self.left(way, configured) {
            return Ok(Held::Left(why));
        }
        let again = match way {
            Way::Twice => self.refresh(configured, given)?,
            Way::Fresh => self.refresh(&*self.configured()?, given)?,
            Way::Permuted | Way::Split => {
                return Ok(Held::Left("there is nothing to put in another order, or into parts"));
            }
        };
        let (before, now) = (first.to_string(), again.to_string());
        let lines = before.lines().map(Some).chain([None]).zip(now.lines().map(Some).chain([None]));
        let mut other = lines.filter(|(before, now)| before != now);
        Ok(other.next().map_or(Held::Same, |(before, now)| {
            let told = |line: Option<&str>| line.unwrap_or("nothing more").trim().to_owned();
            Held::Differs(format!("it was {}, and is {}", told(before), told(now)))
        }))
    }
}
