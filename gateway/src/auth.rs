//! Who asks, and what they may: from the certificate of a connection and the headers of a request to a
//! [`Caller`].
//!
//! The first of these that a request shows counts, and has to hold: a certificate that a rule knows,
//! a header that a plugin is asked about, `Authorization: Bearer` with a JWT or a token of ours, `Basic` with a tenant
//! and one of both. Where none is
//! configured everybody may do everything, and `tenancy` tells whose spans they are. `X-Scope-OrgID`
//! chooses among the tenants of a principal and is no authority.
//!
//! | file | what |
//! |---|---|
//! | `principal` | who asks, what they may, whose spans a request is about |
//! | `grants`, `template` | what the configuration gives to whom |
//! | `shown` | what headers show, and the tenants that they name |
//! | `certificate`, `token` | the ways in, beside |
//! | `asked` | plugins that say who it is |
//! | `jwt`, `strict`, `issuer`, `jwks`, `verified` | JSON Web Tokens: their rules, JSON, issuers, keys, and those that held a moment ago |
//! | `denied` | why a request is not let in |

mod asked;
mod certificate;
mod denied;
mod grants;
mod issuer;
mod jwks;
mod jwt;
mod principal;
mod shown;
mod strict;
mod template;
pub mod token;
mod verified;

use std::collections::BTreeSet;
use std::sync::Arc;

use http::request::Parts;
use model::metric::Counter;
use model::{Clock, Faults, Federation, Nanos, TenantId};
use serde::{Deserialize, Serialize};
use tracing::info;

pub use asked::Stats as AskedStats;
pub use denied::Denied;
pub use grants::Grants;
pub use issuer::Issuer;
pub use principal::{Access, Principal, Proof, Scope, Selected, Tenants};
pub use template::Template;

use crate::attach::Plugins;
use crate::limits::Throttle;
use crate::server::Peer;
use crate::watch::Reload;
use asked::Asked;
use jwt::Unproven;
use shown::{Shown, selected, shown, tenants};
use token::Tokens;
use verified::Verified;

/// The header that names the tenant, as in Grafana's databases.
pub const TENANT_HEADER: &str = "x-scope-orgid";
/// Refusals that are logged in a second; all are counted.
const AUDITED_MAX: u32 = 10;
/// The most attributes of a resource that tell the cluster, and their longest name.
const STAMPS_MAX: usize = 8;
const NAME_BYTES_MAX: usize = 128;
/// How long a JSON Web Token is believed without a look.
const HOLDS: Nanos = Nanos::from_secs(60);

/// How requests are told apart where there is no authentication.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tenancy {
    /// One tenant; the header is ignored.
    #[default]
    Single,
    /// `X-Scope-OrgID` is the tenant. Whoever can reach the port can name any tenant.
    Header,
}

/// Who is let in. Nothing here: everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whom certificates of clients stand for.
    pub certificates: Vec<certificate::Rule>,
    /// Plugins that say who somebody is.
    pub plugins: Vec<asked::Rule>,
    /// Whose tokens (JWT) are taken.
    pub issuers: Vec<issuer::Config>,
    /// A YAML file with tokens of ours, as `traceweir token` makes them. Empty: none.
    pub tokens_file: String,
    /// Names of the attributes of resources that get the cluster of whoever sends: what a client claims under
    /// one of them gets `.reported` behind its name. Default `cluster` and `k8s.cluster.name`.
    pub cluster_attributes: Vec<String>,
    /// Whether `/metrics` of the admin port asks for `metrics:read`, too. Default false: Prometheus just reads it.
    pub protect_metrics: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            certificates: Vec::new(),
            plugins: Vec::new(),
            issuers: Vec::new(),
            tokens_file: String::new(),
            cluster_attributes: ["cluster", "k8s.cluster.name"].map(str::to_owned).to_vec(),
            protect_metrics: false,
        }
    }
}

impl Config {
    /// Whether requests have to show who they are of.
    #[must_use]
    pub fn is_on(&self) -> bool {
        let rules = self.certificates.len() + self.plugins.len() + self.issuers.len();
        rules > 0 || !self.tokens_file.is_empty()
    }

    /// Notes every value that is not accepted.
    pub fn check(&self, faults: &mut Faults) {
        for (at, rule) in self.certificates.iter().enumerate() {
            rule.check(&format!("auth.certificates[{at}]"), faults);
        }
        for (at, rule) in self.plugins.iter().enumerate() {
            rule.check(&format!("auth.plugins[{at}]"), faults);
        }
        let names = &self.cluster_attributes;
        if names.len() > STAMPS_MAX
            || names.iter().any(|name| name.is_empty() || name.len() > NAME_BYTES_MAX)
        {
            let accepted = format!("at most {STAMPS_MAX} names of 1 to {NAME_BYTES_MAX} bytes");
            faults.push("auth.cluster_attributes", names.join(", "), accepted);
        }
        let mut seen = BTreeSet::new();
        for (at, issuer) in self.issuers.iter().enumerate() {
            let key = format!("auth.issuers[{at}]");
            issuer.check(&key, faults);
            if !seen.insert(&issuer.issuer) {
                faults.push(&format!("{key}.issuer"), &issuer.issuer, "each issuer once");
            }
        }
    }
}

/// What the metrics page shows.
#[derive(Debug, Default)]
pub struct Stats {
    /// Requests that were let in, by the place of [`Proof`].
    pub admitted: [Counter; Proof::ALL.len()],
    /// Requests that were not, by [`Denied::place`].
    pub denied: [Counter; 5],
    /// Tokens that held a moment ago, and were not looked at again.
    pub remembered: Counter,
}

/// Knows who asks.
pub struct Auth {
    tenancy: Tenancy,
    is_on: bool,
    protect_metrics: bool,
    cluster_attributes: Vec<String>,
    rules: Vec<certificate::Rule>,
    issuers: Vec<Arc<Issuer>>,
    tokens: Option<Arc<Tokens>>,
    asked: Asked,
    verified: Verified<Arc<Principal>>,
    anybody: Arc<Principal>,
    clock: Arc<dyn Clock>,
    refusals: Throttle,
    stats: Stats,
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Auth").field("is_on", &self.is_on).finish_non_exhaustive()
    }
}

/// Who asks, and the tenants that they name.
#[derive(Clone, Debug)]
pub struct Caller {
    principal: Arc<Principal>,
    selected: Selected,
    /// There is one tenant, whatever requests name.
    is_single: bool,
}

impl Caller {
    /// Who it is.
    #[must_use]
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// Whose spans it sends.
    ///
    /// # Errors
    /// As [`Principal::writes`], and without `traces:write`.
    pub fn writes(&self) -> Result<TenantId, Denied> {
        self.principal.require(Scope::TracesWrite)?;
        self.principal.writes(&self.selected)
    }

    /// Whose traces it reads: of several tenants, as if they were one's.
    ///
    /// # Errors
    /// As [`Principal::reads`].
    pub fn reads(&self) -> Result<Federation, Denied> {
        self.principal.reads(&self.selected)
    }

    /// Whether it may change what a tenant has, as an operator.
    ///
    /// # Errors
    /// `Forbidden` for a tenant of others.
    pub fn changes(&self, tenant: &TenantId) -> Result<(), Denied> {
        let Principal { subject, proof, write, .. } = &*self.principal;
        if *proof == Proof::None || write.has(tenant) {
            return Ok(());
        }
        Err(Denied::Forbidden(format!("{subject} may not change tenant {tenant}")))
    }

    /// Whether it may see what concerns every tenant, as an operator of all.
    ///
    /// # Errors
    /// `Forbidden` for an operator of some.
    pub fn operates_all(&self) -> Result<(), Denied> {
        let Principal { subject, proof, write, .. } = &*self.principal;
        if *proof == Proof::None || *write == Tenants::Any {
            return Ok(());
        }
        Err(Denied::Forbidden(format!("{subject} operates some tenants, and this is about all")))
    }

    /// Insists that the tenants that it names are its own, also where the answer is about none.
    ///
    /// # Errors
    /// `Forbidden` for a tenant of others.
    pub fn owns(&self) -> Result<(), Denied> {
        let Principal { subject, read, write, .. } = &*self.principal;
        let mut named = self.selected.tenants.iter().flat_map(Federation::iter);
        match named.find(|one| !read.has(one) && !write.has(one)) {
            Some(other) => Err(Denied::Forbidden(format!("{subject} may not name tenant {other}"))),
            None => Ok(()),
        }
    }

    /// The same caller, naming tenants in another way, too.
    ///
    /// # Errors
    /// `Malformed` where both ways name different ones.
    pub fn naming(mut self, named: Federation, how: &str) -> Result<Self, Denied> {
        match &self.selected.tenants {
            _ if self.is_single => Ok(self),
            Some(other) if *other != named => Err(Denied::Malformed(format!(
                "the {how} and the X-Scope-OrgID header name different tenants"
            ))),
            _ => {
                self.selected.tenants = Some(named);
                Ok(self)
            }
        }
    }
}

impl Auth {
    /// Reads what the configuration names.
    ///
    /// # Errors
    /// Says what cannot be used.
    pub fn open(
        config: &Config,
        tenancy: Tenancy,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, String> {
        let issuer =
            |config: &issuer::Config| Issuer::new(config, Arc::clone(&clock)).map(Arc::new);
        let tokens = match config.tokens_file.as_str() {
            "" => None,
            path => Some(Arc::new(Tokens::open(path)?)),
        };
        Ok(Arc::new(Self {
            tenancy,
            is_on: config.is_on(),
            protect_metrics: config.protect_metrics,
            cluster_attributes: config.cluster_attributes.clone(),
            rules: config.certificates.clone(),
            issuers: config.issuers.iter().map(issuer).collect::<Result<_, _>>()?,
            tokens,
            asked: Asked::new(&config.plugins, Arc::clone(&clock)),
            verified: Verified::default(),
            anybody: Arc::new(Principal::anybody(tenancy == Tenancy::Single)),
            clock,
            refusals: Throttle::new(AUDITED_MAX, Nanos::SECOND),
            stats: Stats::default(),
        }))
    }

    /// Nobody has to show anything.
    ///
    /// # Panics
    /// Never: nothing is read, so nothing fails.
    #[must_use]
    pub fn none(tenancy: Tenancy, clock: Arc<dyn Clock>) -> Arc<Self> {
        Self::open(&Config::default(), tenancy, clock).expect("there is nothing to read")
    }

    /// What it counts.
    #[must_use]
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// What plugins were asked.
    #[must_use]
    pub const fn asked(&self) -> &AskedStats {
        &self.asked.stats
    }

    /// Which plugins run: those that say who somebody is cannot be asked before.
    ///
    /// # Errors
    /// Names the one that is not defined, or is for something else.
    pub fn attach(&self, plugins: &Arc<Plugins>) -> Result<(), String> {
        for name in self.asked.names() {
            let told = plugins.registry().authenticator(name);
            // What cannot be had just now may come.
            if let Err(error) = told
                && !plugins.registry().faults().contains_key(name)
            {
                return Err(format!("auth.plugins: {error}"));
            }
        }
        plugins.need(self.asked.names().map(str::to_owned).collect());
        self.asked.attach(Arc::clone(plugins));
        Ok(())
    }

    /// Whether requests have to show who they are of.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.is_on
    }

    /// The issuers.
    #[must_use]
    pub fn issuers(&self) -> &[Arc<Issuer>] {
        &self.issuers
    }

    /// What comes from files that may change.
    #[must_use]
    pub fn files(&self) -> Option<Arc<dyn Reload>> {
        self.tokens.clone().map(|tokens| tokens as Arc<dyn Reload>)
    }

    /// Attributes of resources that tell the cluster of whoever sends.
    #[must_use]
    pub fn cluster_attributes(&self) -> &[String] {
        &self.cluster_attributes
    }

    /// The scope that a request needs on a port; nothing where it is open.
    #[must_use]
    pub const fn needs(&self, access: Access, is_admin_port: bool) -> Option<Scope> {
        match access {
            Access::Open => None,
            Access::OpenOnAdmin(_) if is_admin_port && !self.protect_metrics => None,
            Access::OpenOnAdmin(scope) | Access::Scope(scope) => Some(scope),
        }
    }

    /// Tells in the log what an operator does.
    pub fn audit(&self, caller: &Caller, peer: &Peer, method: &str, path: &str) {
        if !self.is_on {
            return;
        }
        let Principal { subject, proof, .. } = &*caller.principal;
        let (proof, peer) = (proof.as_str(), peer.addr);
        info!(target: "audit", subject, proof, %peer, method, path, "an operator's request");
    }

    /// Who sends a request with this head on a connection of this peer.
    ///
    /// # Errors
    /// Why it is not let in; counted, and told in the log.
    ///
    /// # Cancel safety
    /// Nothing has happened when it is dropped.
    pub async fn identify(&self, head: &Parts, peer: &Peer) -> Result<Caller, Denied> {
        let caller = self.caller(head, peer).await;
        match &caller {
            Ok(caller) => {
                if let Some(counter) = self.stats.admitted.get(caller.principal.proof as usize) {
                    counter.inc();
                }
            }
            Err(denied) => self.note(denied, peer),
        }
        caller
    }

    /// Counts a request that is not let in, and tells it in the log.
    pub fn note(&self, denied: &Denied, peer: &Peer) {
        if let Some(counter) = self.stats.denied.get(denied.place()) {
            counter.inc();
        }
        if self.is_on && self.refusals.take(self.clock.monotonic(), 1) == 1 {
            let (reason, peer) = (denied.reason(), peer.addr);
            info!(target: "audit", reason, %peer, why = %denied, "not let in");
        }
    }

    async fn caller(&self, head: &Parts, peer: &Peer) -> Result<Caller, Denied> {
        let headers = &head.headers;
        if !self.is_on {
            let selected = match self.tenancy {
                Tenancy::Single => Selected::default(),
                Tenancy::Header => selected(headers)?,
            };
            let is_single = self.tenancy == Tenancy::Single;
            return Ok(Caller { principal: Arc::clone(&self.anybody), selected, is_single });
        }
        let selected = selected(headers)?;
        let known = peer.certificate.as_deref();
        if let Some(principal) = known.and_then(|own| certificate::principal(&self.rules, own)) {
            return Ok(Caller { principal, selected, is_single: false });
        }
        if let Some(principal) = self.asked.principal(head, peer).await {
            return Ok(Caller { principal: principal?, selected, is_single: false });
        }
        let shown = shown(headers)?;
        let principal = match Tokens::is_one(shown.secret()) {
            true => self.token(shown.secret())?,
            false => self.jwt(shown.secret()).await?,
        };
        let caller = Caller { principal, selected, is_single: false };
        match shown {
            Shown::Bearer(_) => Ok(caller),
            Shown::Basic(user, _) if user.is_empty() => Ok(caller),
            Shown::Basic(user, _) => caller.naming(tenants(&user)?, "user of Basic"),
        }
    }

    fn token(&self, token: &str) -> Result<Arc<Principal>, Denied> {
        let none = || Denied::Invalid("no API tokens are taken here".to_owned());
        let tokens = self.tokens.as_ref().ok_or_else(none)?;
        tokens.find(token, self.clock.now())
    }

    async fn jwt(&self, token: &str) -> Result<Arc<Principal>, Denied> {
        let now = self.clock.now();
        let generation = self.issuers.iter().map(|issuer| issuer.changes()).sum();
        if let Some(principal) = self.verified.find(token.as_bytes(), now, generation) {
            self.stats.remembered.inc();
            return Ok(principal);
        }
        let refused = |why: &str| Denied::Invalid(format!("the token is refused: {why}"));
        let unproven = Unproven::parse(token).map_err(refused)?;
        let issuer = self.issuers.iter().find(|issuer| issuer.is(&unproven.issuer));
        let issuer = issuer.ok_or_else(|| refused("its issuer is not known here"))?;
        let principal = Arc::new(issuer.verify(unproven).await?);
        let until = now.plus(HOLDS).min(principal.expires_at);
        self.verified.keep(token.as_bytes(), &principal, (now, until), generation);
        Ok(principal)
    }
}

#[cfg(test)]
mod tests;
