//! Who issues tokens, and the keys that they sign with, as they are now.
//!
//! Keys come in the background, and once more when a token names one that is not known, since issuers
//! change theirs. While nobody can say whether a key is theirs the answer is to come back: exporters
//! throw away for good what is refused with 401.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use model::metric::{Counter, Gauge};
use model::{Clock, Faults, Nanos, Wait};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;
use tracing::{info, warn};

use super::denied::Denied;
use super::grants::Grants;
use super::jwks::Source;
use super::jwt::{Claims, Keys, Rules, Unproven};
use super::principal::{Principal, Proof};
use crate::clock;
use crate::server::Drain;

/// Between two times that keys are asked for as one is not known.
const UNKNOWN_WAIT: Nanos = Nanos::from_secs(30);
/// Between two times while there are none at all.
const EMPTY_WAIT: Nanos = Nanos::from_secs(1);
/// Between two looks at a file.
const FILE_WAIT: Duration = Duration::from_secs(5);
/// After keys did not come; twice as long each time, up to the usual.
const FAILED_WAIT: Duration = Duration::from_millis(500);
/// Names of keys that an issuer does not have, as far as they are remembered.
const ABSENT_MAX: usize = 256;

/// An issuer of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// As tokens name it in `iss`, letter for letter.
    pub issuer: String,
    /// Whom its tokens have to be for: `aud` has one of these.
    pub audience: BTreeSet<String>,
    /// A file with its keys (a JWK set). Empty: they are asked for.
    pub jwks_file: String,
    /// Where its keys are. Empty: discovery tells.
    pub jwks_url: String,
    /// A PEM file with the root of its certificate. Empty: the roots of the system.
    pub ca_file: String,
    /// A file with a token to show where keys are asked for, as Kubernetes wants it.
    pub bearer_file: String,
    /// The longest time from when a token is issued to when it ends. Default 24h.
    pub lifetime_max: Wait,
    /// How long keys hold when they cannot be asked for again. Default 24h.
    pub keep: Wait,
    /// How often keys are asked for. Default 10m.
    pub refresh: Wait,
    /// What its tokens may do; places are JSON pointers into their claims: `{/groups}`.
    pub grants: Grants,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: BTreeSet::new(),
            jwks_file: String::new(),
            jwks_url: String::new(),
            ca_file: String::new(),
            bearer_file: String::new(),
            lifetime_max: Wait::secs(86_400),
            keep: Wait::secs(86_400),
            refresh: Wait::secs(600),
            grants: Grants::default(),
        }
    }
}

impl Config {
    /// Notes every value that is not accepted; `key` is where it stands.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        let at = |name: &str| format!("{key}.{name}");
        if self.issuer.is_empty() {
            faults.push(&at("issuer"), "nothing", "what tokens have in `iss`");
        }
        if self.audience.is_empty() {
            let accepted = "whom tokens are for: one that is for others must not be taken";
            faults.push(&at("audience"), "nothing", accepted);
        }
        if let Err(fault) = Source::new(self) {
            faults.push(&at(fault.key), fault.found, fault.accepted);
        }
        let waits = |least: u64, most: u64| Wait::secs(least)..=Wait::secs(most);
        faults.check_range(&at("lifetime_max"), self.lifetime_max, waits(60, 366 * 86_400));
        faults.check_range(&at("keep"), self.keep, waits(60, 30 * 86_400));
        faults.check_range(&at("refresh"), self.refresh, waits(10, 86_400));
        let is_pointer = |place: &str| place.starts_with('/');
        let places = "JSON pointers to claims, as {/groups}";
        self.grants.check(&at("grants"), is_pointer, places, faults);
    }
}

/// What is known of an issuer's keys.
#[derive(Default)]
struct Known {
    keys: Arc<Keys>,
    /// When they came; `None` before any did.
    at: Option<Nanos>,
    /// Keys that were asked for and are not its own, and when that was: they may be its next ones.
    absent: HashMap<Option<String>, Nanos>,
}

/// What the metrics page shows.
#[derive(Debug, Default)]
pub struct Stats {
    /// Times that keys came.
    pub fetched: Counter,
    /// Times that they were others than before.
    pub changed: Counter,
    /// Times that they did not.
    pub failed: Counter,
    /// How many there are.
    pub keys: Gauge,
}

/// An issuer and its keys.
pub struct Issuer {
    config: Config,
    source: Source,
    known: ArcSwap<Known>,
    /// Whoever asks for keys, and when that was done last for a token.
    asking: Mutex<Option<Nanos>>,
    clock: Arc<dyn Clock>,
    stats: Stats,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Issuer {
    pub(super) fn new(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let source =
            Source::new(config).map_err(|fault| format!("{}: {}", fault.key, fault.accepted))?;
        Ok(Self {
            config: config.clone(),
            source,
            known: ArcSwap::default(),
            asking: Mutex::default(),
            clock,
            stats: Stats::default(),
        })
    }

    /// What it counts.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// As tokens name it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.issuer
    }

    /// Whether tokens that name this in `iss` are its own.
    pub(super) fn is(&self, issuer: &str) -> bool {
        self.config.issuer == issuer
    }

    /// How often its keys have changed.
    pub(super) fn changes(&self) -> u64 {
        self.stats.changed.get()
    }

    /// How old its keys are; `None` where it has none.
    #[must_use]
    pub fn age(&self) -> Option<Nanos> {
        self.known.load().at.map(|at| self.clock.monotonic().minus(at))
    }

    /// Whose a token of it is, if it holds.
    ///
    /// # Errors
    /// `Invalid`; `Unavailable` while nobody can say whether the key is its own.
    ///
    /// # Cancel safety
    /// Keys that were asked for may not come; whoever asks next does it again.
    pub(super) async fn verify(&self, token: Unproven<'_>) -> Result<Principal, Denied> {
        let known = self.known_for(&token.kid).await?;
        let refused = |why: &str| Denied::Invalid(format!("the token is refused: {why}"));
        let keys = known.keys.find(token.kid.as_ref());
        let claims = token.prove(&keys).map_err(refused)?;
        let rules = Rules {
            audience: &self.config.audience,
            lifetime_max: self.config.lifetime_max.nanos(),
        };
        let expires_at = rules.check(&claims, self.clock.now()).map_err(refused)?;
        let subject = claims.get("sub").and_then(Value::as_str).unwrap_or_default().to_owned();
        let values = |pointer: &str| values(&claims, pointer);
        Ok(self.config.grants.principal((Proof::Jwt, subject), &values, expires_at))
    }

    /// Asks for keys now and then, until the process stops.
    ///
    /// # Cancel safety
    /// Nothing is lost when it is dropped.
    pub async fn keep_fresh(&self, mut drain: Drain) {
        let mut failures = 0u32;
        while !drain.is_raised() {
            let asked = {
                // It is no answer to anybody: a token may ask again behind it.
                let _asking = self.asking.lock().await;
                self.fetch().await
            };
            failures = if asked.is_ok() { 0 } else { failures.saturating_add(1) };
            let usual = if self.source.is_file() { FILE_WAIT } else { self.config.refresh.0 };
            let wait = match failures {
                0 => usual,
                _ => usual.min(FAILED_WAIT.saturating_mul(1 << failures.min(6))),
            };
            // Issuers of many gateways are not asked by all of them at a time.
            let wait = wait.mul_f64(0.9 + 0.2 * clock::spread(self.clock.monotonic().0));
            tokio::select! {
                () = drain.wait() => {}
                () = clock::sleep(wait) => {}
            }
        }
    }

    /// Keys that hold, with one of this name among them.
    async fn known_for(&self, kid: &Option<String>) -> Result<Arc<Known>, Denied> {
        let known = self.known.load_full();
        if self.holds(&known) {
            if known.has(kid) {
                return Ok(known);
            }
            let asked = known.absent.get(kid);
            if asked.is_some_and(|at| self.clock.monotonic().minus(*at) < UNKNOWN_WAIT) {
                return Err(not_its_own());
            }
        }
        self.ask_for(kid).await
    }

    /// Asks for keys, as there is none of this name.
    async fn ask_for(&self, kid: &Option<String>) -> Result<Arc<Known>, Denied> {
        let mut asking = self.asking.lock().await;
        // Whoever was first may have brought it.
        let known = self.known.load_full();
        let holds = self.holds(&known);
        if holds && known.has(kid) {
            return Ok(known);
        }
        let now = self.clock.monotonic();
        let wait = if holds { UNKNOWN_WAIT } else { EMPTY_WAIT };
        if asking.is_some_and(|at| now.minus(at) < wait) {
            return Err(self.unavailable());
        }
        *asking = Some(now);
        self.fetch().await.map_err(|()| self.unavailable())?;
        let known = self.known.load_full();
        if known.has(kid) {
            return Ok(known);
        }
        let mut absent = known.absent.clone();
        if absent.len() >= ABSENT_MAX {
            absent.clear();
        }
        absent.insert(kid.clone(), now);
        self.known.store(Arc::new(Known { keys: Arc::clone(&known.keys), at: known.at, absent }));
        Err(not_its_own())
    }

    /// For whoever is asking.
    async fn fetch(&self) -> Result<(), ()> {
        match self.source.fetch().await {
            Ok(keys) => {
                let before = self.known.load_full();
                if before.keys.digest() != keys.digest() {
                    self.stats.changed.inc();
                }
                if before.at.is_none() {
                    info!(
                        issuer = self.config.issuer,
                        keys = keys.len(),
                        "keys of an issuer have come"
                    );
                }
                self.stats.fetched.inc();
                self.stats.keys.set(keys.len() as u64);
                let now = self.clock.monotonic();
                let absent = before.absent.keys().filter(|kid| keys.find(kid.as_ref()).is_empty());
                let absent = absent.map(|kid| (kid.clone(), now)).collect();
                let keys = Arc::new(keys);
                self.known.store(Arc::new(Known { keys, at: Some(now), absent }));
                Ok(())
            }
            Err(fault) => {
                self.stats.failed.inc();
                warn!(issuer = self.config.issuer, fault, "keys of an issuer cannot be had");
                Err(())
            }
        }
    }

    /// Whether what is known is not too old.
    fn holds(&self, known: &Known) -> bool {
        let age = known.at.map(|at| self.clock.monotonic().minus(at));
        age.is_some_and(|age| age <= self.config.keep.nanos())
    }

    fn unavailable(&self) -> Denied {
        let issuer = &self.config.issuer;
        Denied::Unavailable(format!("the keys of {issuer} cannot be had now"))
    }
}

/// What a JSON pointer (RFC 6901) finds in claims: a text, a number, or a list of them.
fn values(claims: &Claims, pointer: &str) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let unescaped = |name: &str| name.replace("~1", "/").replace("~0", "~");
    let mut names = pointer.split('/').skip(1).map(unescaped);
    let Some(first) = names.next().and_then(|name| claims.get(&name)) else { return Vec::new() };
    let found = names.try_fold(first, |value, name| match value {
        Value::Object(object) => object.get(&name),
        Value::Array(list) => list.get(name.parse::<usize>().ok()?),
        _ => None,
    });
    match found {
        Some(Value::Array(list)) => list.iter().filter_map(text).collect(),
        found => found.and_then(text).into_iter().collect(),
    }
}

fn not_its_own() -> Denied {
    Denied::Invalid("the token is refused: its issuer has no such key".to_owned())
}

impl Known {
    fn has(&self, kid: &Option<String>) -> bool {
        !self.keys.find(kid.as_ref()).is_empty()
    }
}
