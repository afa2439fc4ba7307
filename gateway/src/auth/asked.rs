//! Plugins that say who somebody is: asked once per credential, and believed for as long as they say.
//!
//! A credential is what a request shows in the headers that are passed, from one address, with one certificate. What a
//! plugin said before it was changed does not hold.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderMap;
use http::request::Parts;
use model::metric::Counter;
use model::{Clock, Faults, Nanos};
use plugins::{Identity, Permission, Shown, Verdict};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tracing::warn;

use super::denied::Denied;
use super::principal::{Principal, Proof, Scope, Tenants};
use super::verified::Verified;
use crate::attach::Plugins;
use crate::clock;
use crate::limits::Throttle;
use crate::server::Peer;

/// Most headers of one rule.
const HEADERS_MAX: usize = 16;
/// Plugins that are asked at a time; more wait, so many, for so long.
const AT_A_TIME: usize = 2;
const WAITING_MAX: usize = 256;
const WAIT: Duration = Duration::from_secs(5);
/// The longest that an answer holds, and that of one who is not let in.
const HOLDS_MAX: u32 = 3_600;
const DENIED_HOLDS_MAX: u32 = 300;
/// For so long a plugin is not asked again about what it has failed on.
const FAILED_HOLDS: Nanos = Nanos::from_secs(1);

/// When a plugin is asked, and what it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rule {
    /// The plugin: an authenticator.
    pub plugin: String,
    /// It is asked where a request has one of these headers, and is shown these alone.
    pub headers: Vec<String>,
    /// It is asked where a connection has a certificate that no rule of `certificates` knows, and is shown that.
    pub certificates: bool,
}

impl Rule {
    /// Notes every value that is not accepted; `key` is where it stands.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        if self.plugin.is_empty() {
            faults.push(&format!("{key}.plugin"), "nothing", "the name of a plugin");
        }
        if self.headers.is_empty() && !self.certificates {
            faults.push(key, "neither headers nor certificates", "what it is asked about");
        }
        let is_wrong = |name: &String| {
            name.parse::<http::HeaderName>().is_err() || *name != name.to_ascii_lowercase()
        };
        if let Some(wrong) = self.headers.iter().find(|name| is_wrong(name)) {
            faults.push(&format!("{key}.headers"), wrong, "names of headers in lower case");
        }
        if self.headers.len() > HEADERS_MAX {
            let found = format!("{} headers", self.headers.len());
            faults.push(&format!("{key}.headers"), found, format!("{HEADERS_MAX} at most"));
        }
    }

    /// Whether a request shows what it is asked about.
    fn is_asked(&self, headers: &HeaderMap, peer: &Peer) -> bool {
        self.headers.iter().any(|name| headers.contains_key(name))
            || self.certificates && peer.certificate.is_some()
    }

    fn shown(&self, head: &Parts, peer: &Peer) -> Shown {
        let of = |name: &String| {
            let values = head.headers.get_all(name).iter();
            values.map(|value| (name.clone(), value.as_bytes().to_vec())).collect::<Vec<_>>()
        };
        let certificate = peer.certificate.as_deref().filter(|_| self.certificates);
        Shown {
            method: head.method.as_str().to_owned(),
            path: head.uri.path().to_owned(),
            peer: peer.addr.ip(),
            headers: self.headers.iter().flat_map(of).collect(),
            certificate: certificate.map(|of| (of.subject.clone(), of.uris.clone())),
        }
    }
}

/// What the metrics page shows.
#[derive(Debug, Default)]
pub struct Stats {
    /// Times that a plugin was asked.
    pub asked: Counter,
    /// Times that it had told before.
    pub remembered: Counter,
    /// Times that none could say: it failed, does not run, or too many were asking.
    pub failed: Counter,
}

/// See the module.
pub(super) struct Asked {
    rules: Vec<Rule>,
    plugins: OnceLock<Arc<Plugins>>,
    known: Verified<Arc<Principal>>,
    /// Apart, so that those who make credentials up do not drive out the others.
    denied: Verified<Denied>,
    places: Semaphore,
    waiting: AtomicUsize,
    clock: Arc<dyn Clock>,
    told: Throttle,
    pub(super) stats: Stats,
}

impl Asked {
    pub(super) fn new(rules: &[Rule], clock: Arc<dyn Clock>) -> Self {
        Self {
            rules: rules.to_vec(),
            plugins: OnceLock::new(),
            known: Verified::default(),
            denied: Verified::default(),
            places: Semaphore::new(AT_A_TIME),
            waiting: AtomicUsize::new(0),
            clock,
            told: Throttle::new(1, Nanos::from_secs(10)),
            stats: Stats::default(),
        }
    }

    /// Which plugins run: told once, when there are any.
    pub(super) fn attach(&self, plugins: Arc<Plugins>) {
        self.plugins.get_or_init(|| plugins);
    }

    /// The names of those that are asked.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| rule.plugin.as_str())
    }

    /// Who sends a request, by the first plugin that it shows something for; nothing where it shows none of it.
    pub(super) async fn principal(
        &self,
        head: &Parts,
        peer: &Peer,
    ) -> Option<Result<Arc<Principal>, Denied>> {
        let rule = self.rules.iter().find(|rule| rule.is_asked(&head.headers, peer))?;
        Some(self.told_by(rule, rule.shown(head, peer)).await)
    }

    async fn told_by(&self, rule: &Rule, shown: Shown) -> Result<Arc<Principal>, Denied> {
        let key = key(rule, &shown);
        let plugins = self.plugins.get().ok_or_else(|| unavailable(rule, "is not there yet"))?;
        // Before it is asked: what a plugin says that is swapped meanwhile is kept for nobody.
        let generation = plugins.registry().generation();
        if let Some(told) = self.before(&key, generation) {
            self.stats.remembered.inc();
            return told;
        }
        let Some(_waits) = Waits::begin(&self.waiting) else {
            self.stats.failed.inc();
            return Err(unavailable(rule, "is asked by too many"));
        };
        let Some(Ok(_place)) = clock::timeout(WAIT, self.places.acquire()).await else {
            self.stats.failed.inc();
            return Err(unavailable(rule, "is asked by too many"));
        };
        // Whoever waited before may have asked the same.
        if let Some(told) = self.before(&key, generation) {
            self.stats.remembered.inc();
            return told;
        }
        self.stats.asked.inc();
        let (plugins, name) = (Arc::clone(plugins), rule.plugin.clone());
        let ask = move || {
            let authenticator = plugins.registry().authenticator(&name);
            let authenticator = authenticator.map_err(|error| error.to_string())?;
            authenticator.ask(shown).map_err(|(failure, why)| {
                warn!(plugin = name, failure = failure.as_str(), why, "an authenticator failed");
                format!("plugin {name} failed ({})", failure.as_str())
            })
        };
        let told = tokio::task::spawn_blocking(ask).await;
        let told = told.unwrap_or_else(|_| Err(format!("plugin {} failed", rule.plugin)));
        self.judged(rule, (&key, generation), told)
    }

    fn before(&self, key: &[u8], generation: u64) -> Option<Result<Arc<Principal>, Denied>> {
        let now = self.clock.now();
        let known = self.known.find(key, now, generation).map(Ok);
        known.or_else(|| self.denied.find(key, now, generation).map(Err))
    }

    /// What an answer comes to, and for how long.
    fn judged(
        &self,
        rule: &Rule,
        (key, generation): (&[u8], u64),
        told: Result<Verdict, String>,
    ) -> Result<Arc<Principal>, Denied> {
        let now = self.clock.now();
        let until = |seconds: u32| now.plus(Nanos::from_secs(u64::from(seconds)));
        let (denied, holds) = match told {
            Ok(Verdict::Known(identity)) => {
                let until = until(identity.ttl_seconds.min(HOLDS_MAX));
                let principal = Arc::new(principal(rule, identity, until));
                self.known.keep(key, &principal, (now, until), generation);
                return Ok(principal);
            }
            Ok(Verdict::Denied { is_known, message, ttl_seconds }) => {
                let denied = if is_known { Denied::Forbidden } else { Denied::Invalid };
                (denied(message), until(ttl_seconds.min(DENIED_HOLDS_MAX)))
            }
            Err(why) => {
                self.stats.failed.inc();
                if self.told.take(self.clock.monotonic(), 1) == 1 {
                    warn!(plugin = rule.plugin, why, "nobody can say who sends a request");
                }
                (Denied::Unavailable(why), now.plus(FAILED_HOLDS))
            }
        };
        self.denied.keep(key, &denied, (now, holds), generation);
        Err(denied)
    }
}

fn unavailable(rule: &Rule, why: &str) -> Denied {
    Denied::Unavailable(format!("plugin {} {why}", rule.plugin))
}

/// What makes two requests the same to a plugin. Lengths stand before texts, so that none can look like two others.
fn key(rule: &Rule, shown: &Shown) -> Vec<u8> {
    let mut key = Vec::new();
    let mut put = |text: &[u8]| {
        key.extend_from_slice(&(text.len() as u64).to_le_bytes());
        key.extend_from_slice(text);
    };
    put(rule.plugin.as_bytes());
    put(shown.peer.to_string().as_bytes());
    for (name, value) in &shown.headers {
        put(name.as_bytes());
        put(value);
    }
    if let Some((subject, names)) = &shown.certificate {
        put(b"");
        put(subject.as_bytes());
        names.iter().for_each(|name| put(name.as_bytes()));
    }
    key
}

fn principal(rule: &Rule, identity: Identity, expires_at: Nanos) -> Principal {
    let Identity { tenants, permissions, class, cluster, .. } = identity;
    let is_admin = permissions.contains(&Permission::Admin);
    let may = |permission| is_admin || permissions.contains(&permission);
    let whose = |is_granted: bool| {
        let tenants =
            if is_granted { tenants.iter().cloned().collect() } else { Default::default() };
        Tenants::Only(tenants)
    };
    let scopes = [
        (Permission::Ingest, &[Scope::TracesWrite][..]),
        (Permission::Query, &[Scope::TracesRead]),
        (Permission::Admin, &[Scope::Admin, Scope::MetricsRead]),
    ];
    let scopes = scopes.into_iter().filter(|(permission, _)| may(*permission));
    let of = tenants.first().map(|tenant| format!(" (tenant {tenant})")).unwrap_or_default();
    Principal {
        subject: format!("whom plugin {} knows{of}", rule.plugin),
        proof: Proof::Plugin,
        write: whose(may(Permission::Ingest)),
        read: whose(may(Permission::Query)),
        scopes: scopes.flat_map(|(_, scopes)| scopes.iter().copied()).collect(),
        cluster: cluster.map(Into::into),
        class: class.map(Into::into),
        expires_at,
    }
}

/// One of those who wait.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Option<Self> {
        if waiting.fetch_add(1, Ordering::Relaxed) < WAITING_MAX {
            return Some(Self(waiting));
        }
        waiting.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
