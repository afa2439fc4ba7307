//! Authenticators: who somebody is, by what a request shows.
//!
//! There is no breaker: what one sender shows to make a plugin fail must not lock out all others. How often it is
//! called is bounded by the caller, who remembers the answers. What is shown are secrets: nothing of it is kept.

use std::net::IpAddr;
use std::sync::Arc;

use model::TenantId;

use crate::configured::Configured;
use crate::contract;
use crate::error::Failure;

/// Most bytes of what a plugin says of a denied request.
const MESSAGE_BYTES_MAX: usize = 500;
/// Most tenants of one identity.
const TENANTS_MAX: usize = 10_000;

/// What is shown of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// Where it comes from.
    pub peer: IpAddr,
    /// Headers, with names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Subject and names of a certificate that was verified.
    pub certificate: Option<(String, Vec<String>)>,
}

/// Without values: they are secrets.
impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Shown").field("headers", &names).finish_non_exhaustive()
    }
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Send spans.
    Ingest,
    /// Read traces.
    Query,
    /// See and change how the process is set up.
    Admin,
}

/// Who somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Whose spans they may send and read.
    pub tenants: Vec<TenantId>,
    /// What they may do.
    pub permissions: Vec<Permission>,
    /// The class of limits.
    pub class: Option<String>,
    /// The cluster that they stand for.
    pub cluster: Option<String>,
    /// For how many seconds that holds.
    pub ttl_seconds: u32,
}

/// What an authenticator says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It knows who it is.
    Known(Identity),
    /// It does not let it in.
    Denied {
        /// It is known who it is, and they may not (403); else not even that (401).
        is_known: bool,
        /// Why.
        message: String,
        /// For how many seconds that holds.
        ttl_seconds: u32,
    },
}

/// An authenticator, as it is attached.
#[derive(Clone, Debug)]
pub struct Authenticator {
    configured: Arc<Configured>,
}

impl Authenticator {
    pub(crate) const fn new(configured: Arc<Configured>) -> Self {
        Self { configured }
    }

    /// Which version of it this is: what another one said does not hold.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.configured, &other.configured)
    }

    /// Asks who somebody is. Computes for as long as the plugin may.
    ///
    /// # Errors
    /// It failed, or answered what no identity is: how, and in words.
    pub fn ask(&self, shown: Shown) -> Result<Verdict, (Failure, String)> {
        let stats = self.configured.stats();
        let begun = self.configured.now();
        let told = self
            .configured
            .with(|instance| instance.authenticate(&TenantId::others(), request(shown)));
        stats.time.record(self.configured.now().minus(begun).0);
        let told = told.map_err(|failed| (failed.failure, failed.message));
        let told = told
            .and_then(|(told, _)| verdict(told).map_err(|message| (Failure::BadOutput, message)));
        told.inspect_err(|(failure, _)| stats.fail(*failure))
    }
}

fn request(shown: Shown) -> contract::RequestInfo {
    let Shown { method, path, peer, headers, certificate } = shown;
    let client_cert =
        certificate.map(|(subject, names)| contract::ClientCertificate { subject, names });
    contract::RequestInfo { method, path, peer_ip: peer.to_string(), headers, client_cert }
}

fn verdict(told: Result<contract::Identity, contract::Denied>) -> Result<Verdict, String> {
    let contract::Identity { tenants, permissions, rate_class, cluster, ttl_seconds } = match told {
        Ok(identity) => identity,
        Err(contract::Denied { status, message, ttl_seconds }) => {
            let is_known = match status {
                401 => false,
                403 => true,
                _ => return Err(format!("denied with status {status}, expected 401 or 403")),
            };
            let end = message.floor_char_boundary(MESSAGE_BYTES_MAX);
            let message = message.get(..end).unwrap_or_default().replace(char::is_control, " ");
            return Ok(Verdict::Denied { is_known, message, ttl_seconds });
        }
    };
    if tenants.len() > TENANTS_MAX {
        return Err(format!("{} tenants, {TENANTS_MAX} is the limit", tenants.len()));
    }
    let parse = |(place, name): (usize, &String)| {
        TenantId::parse(name).map_err(|fault| format!("tenants[{place}]: {fault}"))
    };
    let tenants = tenants.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
    let permission = |permission| match permission {
        contract::Permission::Ingest => Permission::Ingest,
        contract::Permission::Query => Permission::Query,
        contract::Permission::Admin => Permission::Admin,
    };
    let permissions = permissions.into_iter().map(permission).collect();
    let text = |what: &str, text: String| match text.len() {
        0 => Ok(None),
        1..=MESSAGE_BYTES_MAX => Ok(Some(text)),
        bytes => Err(format!("{what} has {bytes} bytes, {MESSAGE_BYTES_MAX} is the limit")),
    };
    let (class, cluster) = (text("rate-class", rate_class)?, text("cluster", cluster)?);
    Ok(Verdict::Known(Identity { tenants, permissions, class, cluster, ttl_seconds }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> contract::Identity {
        contract::Identity {
            tenants: vec!["shop".to_owned()],
            permissions: vec![contract::Permission::Ingest, contract::Permission::Admin],
            rate_class: String::new(),
            cluster: "eu-1".to_owned(),
            ttl_seconds: 60,
        }
    }

    #[test]
    fn an_identity_is_taken_as_it_is_said() {
        let Ok(Verdict::Known(known)) = verdict(Ok(identity())) else { panic!("it is known") };
        assert_eq!(known.tenants, [TenantId::parse("shop").unwrap()]);
        assert_eq!(known.permissions, [Permission::Ingest, Permission::Admin]);
        assert_eq!((known.class, known.cluster.as_deref()), (None, Some("eu-1")));
    }

    #[test]
    fn what_is_no_identity_is_told() {
        let with = |tenants: Vec<String>| contract::Identity { tenants, ..identity() };
        let denied = |status| contract::Denied { status, message: String::new(), ttl_seconds: 1 };
        for (told, why) in [
            (Ok(with(vec!["a/b".to_owned()])), "tenants[0]"),
            (Ok(with(vec!["a".to_owned(); 10_001])), "10001 tenants"),
            (Ok(contract::Identity { cluster: "c".repeat(501), ..identity() }), "cluster"),
            (Err(denied(200)), "status 200"),
        ] {
            let fault = verdict(told).unwrap_err();
            assert!(fault.contains(why), "{fault}");
        }
        let told = verdict(Err(contract::Denied { message: "no\nway".to_owned(), ..denied(403) }));
        let message = "no way".to_owned();
        assert_eq!(told, Ok(Verdict::Denied { is_known: true, message, ttl_seconds: 1 }));
    }
}
