//! Authenticators at a desk: what they say of requests from a file.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Subject;
use super::same::{Held, Way};
use crate::configured::Configured;
use crate::error::{Error, Kind};
use crate::identify::{Authenticator, Identity, Permission, Shown, Verdict};
use crate::worlds::World;

/// What somebody shows, as a file has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ask {
    /// Default `POST`.
    pub method: String,
    /// Default `/v1/traces`.
    pub path: String,
    /// Where it comes from. Default 127.0.0.1.
    pub peer: IpAddr,
    /// Headers, with names in lower case.
    pub headers: BTreeMap<String, String>,
    /// A certificate that was verified.
    pub certificate: Option<Certificate>,
}

/// What stands in a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Certificate {
    /// Its subject.
    pub subject: String,
    /// Its other names.
    pub names: Vec<String>,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            method: "POST".to_owned(),
            path: "/v1/traces".to_owned(),
            peer: Ipv4Addr::LOCALHOST.into(),
            headers: BTreeMap::new(),
            certificate: None,
        }
    }
}

impl Ask {
    fn shown(&self) -> Shown {
        let Self { method, path, peer, headers, certificate } = self.clone();
        let header = |(name, value): (String, String)| (name.to_lowercase(), value.into_bytes());
        let headers = headers.into_iter().map(header).collect();
        let certificate = certificate.map(|of| (of.subject, of.names));
        Shown { method, path, peer, headers, certificate }
    }
}

/// What was said of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// Who it is.
    Known {
        /// Whose spans they may send and read.
        tenants: Vec<String>,
        /// What they may do.
        permissions: Vec<&'static str>,
        /// The class of limits.
        class: Option<String>,
        /// The cluster that they stand for.
        cluster: Option<String>,
        /// For how long that holds.
        ttl_seconds: u32,
    },
    /// It is not let in.
    Denied {
        /// 401 or 403.
        status: u16,
        /// Why.
        message: String,
        /// For how long that holds.
        ttl_seconds: u32,
    },
    /// The call failed, and whoever asks is not let in.
    Failed {
        /// How.
        failure: &'static str,
        /// In words.
        message: String,
    },
}

impl Word {
    fn of(told: Result<Verdict, (crate::error::Failure, String)>) -> Self {
        let permission = |of: &Permission| match of {
            Permission::Ingest => "ingest",
            Permission::Query => "query",
            Permission::Admin => "admin",
        };
        match told {
            Ok(Verdict::Known(known)) => {
                let Identity { tenants, permissions, class, cluster, ttl_seconds } = known;
                let tenants = tenants.iter().map(ToString::to_string).collect();
                let permissions = permissions.iter().map(permission).collect();
                Self::Known { tenants, permissions, class, cluster, ttl_seconds }
            }
            Ok(Verdict::Denied { is_known, message, ttl_seconds }) => {
                Self::Denied { status: if is_known { 403 } else { 401 }, message, ttl_seconds }
            }
            Err((failure, message)) => Self::Failed { failure: failure.as_str(), message },
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known { tenants, permissions, class, cluster, ttl_seconds } => {
                let listed = |list: String| if list.is_empty() { "none".to_owned() } else { list };
                let tenants = listed(tenants.join(" "));
                let permissions = listed(permissions.join(" "));
                write!(f, "known for {ttl_seconds}s, tenants {tenants}, may {permissions}")?;
                for (what, of) in [("class", class), ("cluster", cluster)] {
                    of.iter().try_for_each(|of| write!(f, ", {what} {of}"))?;
                }
                Ok(())
            }
            Self::Denied { status, message, ttl_seconds } => {
                write!(f, "denied for {ttl_seconds}s, {status}: {message:?}")
            }
            Self::Failed { failure, message } => write!(f, "a call failed: {failure}: {message}"),
        }
    }
}

/// What was said of all requests, in their order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// The method and the path of each, and what was said.
    pub requests: Vec<(String, Word)>,
}

/// A line for each request.
impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut requests = self.requests.iter().enumerate();
        requests.try_for_each(|(number, (of, word))| writeln!(f, "request {number} {of}: {word}"))
    }
}

impl Subject {
    /// Asks an authenticator who they are, one after the other.
    ///
    /// # Errors
    /// [`Kind::NotOurs`] for one that is none.
    pub fn ask(&self, configured: &Arc<Configured>, asks: &[Ask]) -> Result<Asked, Error> {
        let world = configured.plugin().world();
        if world != World::Authenticator {
            let what = format!("a plugin of the world {} says not who somebody is", world.name());
            return Err(Error::new(Kind::NotOurs, what));
        }
        let authenticator = Authenticator::new(Arc::clone(configured));
        let one = |ask: &Ask| {
            (format!("{} {}", ask.method, ask.path), Word::of(authenticator.ask(ask.shown())))
        };
        Ok(Asked { requests: asks.iter().map(one).collect() })
    }

    /// Asks again, and holds what is said against what was said first.
    ///
    /// # Errors
    /// As [`Self::configured`] and [`Self::ask`].
    pub fn ask_again(
        &self,
        way: Way,
        (configured, first): (&Arc<Configured>, &Asked),
        asks: &[Ask],
    ) -> Result<Held, Error> {
        if let Some(why) = self.left(way, configured) {
            return Ok(Held::Left(why));
        }
        let all: Vec<usize> = (0..asks.len()).collect();
        let (one, other) = all.split_at(all.len().div_ceil(2));
        let orders: Vec<Vec<usize>> = match way {
            Way::Twice | Way::Fresh => vec![all],
            Way::Permuted => vec![all.into_iter().rev().collect()],
            Way::Split => vec![one.to_vec(), other.to_vec()],
        };
        for order in orders {
            let picked: Vec<Ask> =
                order.iter().filter_map(|place| asks.get(*place)).cloned().collect();
            let fresh = if way == Way::Twice { None } else { Some(self.configured()?) };
            let asked = self.ask(fresh.as_ref().unwrap_or(configured), &picked)?;
            for (place, (of, word)) in order.iter().zip(asked.requests) {
                let before = first.requests.get(*place).map(|(_, before)| before);
                if let Some(before) = before.filter(|before| **before != word) {
                    let what = format!("request {place} {of}: it was {before}, and is {word}");
                    return Ok(Held::Differs(what));
                }
            }
        }
        Ok(Held::Same)
    }
}
