//! Who asks, and what they may.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use model::{Federation, Nanos, TenantId};
use serde::{Deserialize, Serialize};

use super::denied::Denied;

/// What an endpoint asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Scope {
    /// Send spans.
    #[serde(rename = "traces:write")]
    TracesWrite,
    /// Read traces.
    #[serde(rename = "traces:read")]
    TracesRead,
    /// Read what the process tells of itself.
    #[serde(rename = "metrics:read")]
    MetricsRead,
    /// Change what is kept, and see how the process is set up.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// All of them, as they are written.
    pub const ALL: [(Self, &str); 4] = [
        (Self::TracesWrite, "traces:write"),
        (Self::TracesRead, "traces:read"),
        (Self::MetricsRead, "metrics:read"),
        (Self::Admin, "admin"),
    ];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(scope, _)| *scope == self).map_or("", |(_, text)| text)
    }

    /// The scope of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == text).map(|(scope, _)| *scope)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a request needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: probes and people who look what lives here.
    Open,
    /// A principal with this scope.
    Scope(Scope),
    /// The same, but on the admin port nothing unless it is said otherwise: Prometheus just reads it.
    OpenOnAdmin(Scope),
}

/// Some tenants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Tenants {
    /// These.
    Only(BTreeSet<TenantId>),
    /// Whichever.
    #[default]
    Any,
}

impl Tenants {
    /// Whether one is among them.
    #[must_use]
    pub fn has(&self, tenant: &TenantId) -> bool {
        match self {
            Self::Only(these) => these.contains(tenant),
            Self::Any => true,
        }
    }

    /// The only one.
    fn only(&self) -> Option<&TenantId> {
        match self {
            Self::Only(these) if these.len() == 1 => these.first(),
            _ => None,
        }
    }
}

/// How a principal is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Not at all: there is no authentication.
    None,
    /// By the certificate of the connection.
    Certificate,
    /// By a JWT.
    Jwt,
    /// By a token of ours.
    Token,
    /// By what a plugin says.
    Plugin,
}

impl Proof {
    /// All of them, in their order.
    pub const ALL: [Self; 5] =
        [Self::None, Self::Certificate, Self::Jwt, Self::Token, Self::Plugin];

    /// In logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Certificate => "certificate",
            Self::Jwt => "jwt",
            Self::Token => "token",
            Self::Plugin => "plugin",
        }
    }
}

/// Who asks, and what they may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Who it is, for people and logs.
    pub subject: String,
    /// How that is known.
    pub proof: Proof,
    /// Whose spans it may send.
    pub write: Tenants,
    /// Whose traces it may read.
    pub read: Tenants,
    /// What it may do.
    pub scopes: BTreeSet<Scope>,
    /// The cluster that it stands for.
    pub cluster: Option<Arc<str>>,
    /// The class of limits that holds for it.
    pub class: Option<Arc<str>>,
    /// Until when this holds.
    pub expires_at: Nanos,
}

/// The tenants of which a request names some: by the header, by its path, by the user of Basic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// What it names, if it names any.
    pub tenants: Option<Federation>,
}

impl Principal {
    /// Whoever comes, where nobody has to show anything.
    pub(super) fn anybody(is_single: bool) -> Self {
        let tenants = match is_single {
            true => Tenants::Only(BTreeSet::from([TenantId::single()])),
            false => Tenants::Any,
        };
        Self {
            subject: "anybody".to_owned(),
            proof: Proof::None,
            write: tenants.clone(),
            read: tenants,
            scopes: Scope::ALL.map(|(scope, _)| scope).into(),
            cluster: None,
            class: None,
            expires_at: Nanos(u64::MAX),
        }
    }

    /// Whether it may do what needs this.
    ///
    /// # Errors
    /// `Forbidden`, with what is missing.
    pub fn require(&self, scope: Scope) -> Result<(), Denied> {
        if self.scopes.contains(&scope) {
            return Ok(());
        }
        Err(Denied::Forbidden(format!("{} lacks the scope {scope}", self.subject)))
    }

    /// Whose spans it sends.
    ///
    /// # Errors
    /// `Forbidden` for a tenant of others; `Malformed` where none, or several, are named.
    pub fn writes(&self, selected: &Selected) -> Result<TenantId, Denied> {
        let several = "X-Scope-OrgID names several tenants, spans are sent for one";
        let several = || Denied::Malformed(several.to_owned());
        if selected.tenants.as_ref().is_some_and(|named| named.alone().is_none()) {
            return Err(several());
        }
        let tenants = self.all(&self.write, selected, "write")?;
        tenants.alone().cloned().ok_or_else(several)
    }

    /// Whose traces it reads: of several, each has to be its own to read.
    ///
    /// # Errors
    /// `Forbidden` for a tenant of others, with its name; `Malformed` where none is named, and it may read
    /// several.
    pub fn reads(&self, selected: &Selected) -> Result<Federation, Denied> {
        self.all(&self.read, selected, "read")
    }

    /// Why it is nobody's, where none is named.
    fn nobody(&self, set: &Tenants, verb: &str) -> Denied {
        if self.proof == Proof::None {
            return Denied::Missing("no org id: set the X-Scope-OrgID header".to_owned());
        }
        let who = &self.subject;
        match set {
            Tenants::Only(none) if none.is_empty() => {
                Denied::Forbidden(format!("{who} may {verb} no tenant"))
            }
            _ => Denied::Malformed(format!(
                "{who} may {verb} several tenants: name one in X-Scope-OrgID"
            )),
        }
    }

    /// The tenants that are named, each of which has to be of the set; or its only one.
    fn all(&self, set: &Tenants, selected: &Selected, verb: &str) -> Result<Federation, Denied> {
        let Some(named) = &selected.tenants else {
            return set.only().map(Into::into).ok_or_else(|| self.nobody(set, verb));
        };
        match named.iter().find(|tenant| !set.has(tenant)) {
            None => Ok(named.clone()),
            Some(other) => {
                let who = &self.subject;
                Err(Denied::Forbidden(format!("{who} may not {verb} tenant {other}")))
            }
        }
    }
}
