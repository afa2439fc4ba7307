//! Refreshers: plugins that make tables, called now and then, off the path of data. They alone may ask a network, by way of
//! whoever calls them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use model::{Faults, Nanos, Wait};
use serde::{Deserialize, Serialize};
use wasmtime::component::LinkerInstance;

use crate::configured::Configured;
use crate::contract;
use crate::error::{Error, Failure, Kind};
use crate::host::{Host, Phase};
use crate::instance::Failed;
use crate::tables::{Entries, Full};

/// Most hosts of one refresher.
const HOSTS_MAX: usize = 100;
/// How long a request may take that says nothing.
const FETCH_WAIT: Duration = Duration::from_secs(10);
/// The shortest and the longest time between two calls.
const INTERVAL: (u32, u32) = (5, 7 * 86_400);

/// What a refresher may do, as an operator writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Allowed {
    /// Hosts that it may ask: `cmdb.example`, or `cmdb.example:8443` where the port is not 443. Default none.
    pub hosts: Vec<String>,
    /// How long a call may take, its requests included. Default 60s.
    pub timeout: Wait,
}

impl Default for Allowed {
    fn default() -> Self {
        Self { hosts: Vec::new(), timeout: Wait::secs(60) }
    }
}

impl Allowed {
    /// Notes every value that is not accepted; `key` is where it stands.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        let time = Wait::secs(1)..=Wait::secs(600);
        faults.check_range(&format!("{key}.timeout"), self.timeout, time);
        if self.hosts.len() > HOSTS_MAX {
            let found = format!("{} hosts", self.hosts.len());
            faults.push(&format!("{key}.hosts"), found, format!("{HOSTS_MAX} at most"));
        }
        let is_host = |host: &String| {
            let fits = |of: char| of.is_ascii_alphanumeric() || "-._:[]".contains(of);
            !host.is_empty() && host.chars().all(fits)
        };
        for (place, host) in self.hosts.iter().enumerate().filter(|(_, host)| !is_host(host)) {
            let key = format!("{key}.hosts[{place}]");
            faults.push(&key, host.as_str(), "a host, or a host and its port");
        }
    }
}

/// A request of a refresher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long the answer may take.
    pub wait: Duration,
}

/// What came back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why nothing came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Silence {
    /// The host is none of those that are allowed.
    NotAllowed,
    /// It took too long.
    Timeout,
    /// The body is larger than may be.
    TooLarge,
    /// What the network says.
    Network(String),
}

/// Whoever asks a network for a refresher, and holds its requests against what it may.
pub trait Outside: Send + Sync + fmt::Debug {
    /// Asks. Blocks.
    ///
    /// # Errors
    /// Why nothing came back.
    fn send(&self, request: Request) -> Result<Response, Silence>;
}

/// What a guest has of a network during one call.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    outside: Arc<dyn Outside>,
    until: Nanos,
}

/// A table that a refresher has made.
pub type Made = (String, Result<Entries, Full>);

impl Configured {
    /// How often it wants to be called; `None` where it is no refresher.
    #[must_use]
    pub fn interval(&self) -> Option<Duration> {
        let seconds = self.interval_seconds?.clamp(INTERVAL.0, INTERVAL.1);
        Some(Duration::from_secs(u64::from(seconds)))
    }

    /// Calls it: the tables that it makes. Blocks for as long as it may take.
    ///
    /// # Errors
    /// [`Kind::Failed`], with what it says where it says itself that it failed.
    pub fn refresh(
        &self,
        outside: Arc<dyn Outside>,
        allowed: &Allowed,
    ) -> Result<Vec<Made>, Error> {
        let until = self.now().plus(allowed.timeout.nanos());
        let called =
            self.with(|instance| instance.refresh(Reach { outside, until }, allowed.timeout.0));
        let told = called
            .map(|(tables, _)| tables)
            .inspect_err(|Failed { failure, .. }| self.stats().fail(*failure));
        let tables =
            told.map_err(|Failed { failure, message }| Error::new(Kind::Failed(failure), message))?;
        Ok(tables.into_iter().map(made).collect())
    }
}

fn made(of: contract::TableData) -> Made {
    let mut entries = Entries::default();
    let put = |(key, value): (String, String)| entries.insert(&key, &Arc::from(value));
    let put = of.entries.into_iter().try_for_each(put);
    (of.name, put.map(|()| entries))
}

/// Links what refreshers may ask with.
pub(crate) fn link(instance: &mut LinkerInstance<'_, Host>) -> wasmtime::Result<()> {
    instance.func_wrap(
        "send",
        |mut caller: wasmtime::StoreContextMut<'_, Host>, (request,): (contract::FetchRequest,)| {
            let host = caller.data_mut();
            host.called(Phase::Work)?;
            let Some(Reach { outside, until }) = host.reach.clone() else {
                host.stopped = Some(Failure::Denied);
                return Err(wasmtime::Error::msg("a request outside of refresh"));
            };
            let left = Duration::from_nanos(until.minus(host.shared.world.clock.monotonic()).0);
            let wanted = match request.timeout_ms {
                0 => FETCH_WAIT,
                millis => Duration::from_millis(u64::from(millis)),
            };
            let contract::FetchRequest { method, url, headers, body, .. } = request;
            let wait = wanted.min(left);
            let told = outside.send(Request { method, url, headers, body, wait });
            Ok((told.map(contract::FetchResponse::from).map_err(contract::FetchError::from),))
        },
    )
}

impl From<Response> for contract::FetchResponse {
    fn from(of: Response) -> Self {
        Self { status: of.status, headers: of.headers, body: of.body }
    }
}

impl From<Silence> for contract::FetchError {
    fn from(of: Silence) -> Self {
        match of {
            Silence::NotAllowed => Self::NotAllowed,
            Silence::Timeout => Self::Timeout,
            Silence::TooLarge => Self::TooLarge,
            Silence::Network(why) => Self::Network(why),
        }
    }
}

#[cfg(test)]
mod tests;
