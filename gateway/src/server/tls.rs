//! TLS on the listeners: certificates and keys from files, which are read again when they change.
//!
//! A change holds for connections from then on; those that are open go on with what they began with.
//! What cannot be used is told and left: the last good certificate stays. One crypto provider
//! ([ADR 17](../../../docs/adr/0017-tls-is-rustls-with-aws-lc.md)), TLS 1.3 and 1.2 with ECDHE.

mod certificate;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use model::Faults;
use model::metric::{Counter, Gauge};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde::{Deserialize, Serialize};
use tracing::{error, info};

pub use certificate::Certificate;

use crate::watch::{Reload, Watched};

/// What clients may speak over TLS: HTTP/2 first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Certificates of the listeners.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// A PEM file with our certificate, and those between it and its root. Empty: no TLS.
    pub cert_file: String,
    /// A PEM file with its private key.
    pub key_file: String,
    /// A PEM file with the roots of certificates of clients. Empty: they are not asked for any.
    pub client_ca_file: String,
    /// Whether clients have to have one. Default `optional`: they may have an identity of another kind. On
    /// the admin port it is optional, whatever stands here: probes have none.
    pub client_auth: ClientAuth,
    /// Listeners that stay in the clear, by their keys below `listen`.
    pub clear: Vec<String>,
}

/// Whether clients have to have a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// They may.
    #[default]
    Optional,
    /// They must: others are refused as they connect.
    Required,
}

impl Config {
    /// Whether there is TLS at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.cert_file.is_empty()
    }

    /// Whether a listener speaks it.
    #[must_use]
    pub fn covers(&self, listener: &str) -> bool {
        self.is_on() && !self.clear.iter().any(|clear| clear == listener)
    }

    /// Notes every value that is not accepted; `listeners` are the keys there are.
    pub fn check(&self, listeners: &[&str], faults: &mut Faults) {
        match (self.cert_file.is_empty(), self.key_file.is_empty()) {
            (false, true) => {
                faults.push("tls.key_file", "nothing", "a file, as there is tls.cert_file");
            }
            (true, false) => {
                faults.push("tls.cert_file", "nothing", "a file, as there is tls.key_file");
            }
            _ => {}
        }
        if !self.is_on() && !self.client_ca_file.is_empty() {
            faults.push(
                "tls.client_ca_file",
                &self.client_ca_file,
                "nothing without tls.cert_file",
            );
        }
        if self.client_auth == ClientAuth::Required && self.client_ca_file.is_empty() {
            faults.push("tls.client_auth", "required", "`optional` without tls.client_ca_file");
        }
        for clear in self.clear.iter().filter(|clear| !listeners.contains(&clear.as_str())) {
            faults.push("tls.clear", clear, format!("listeners: {}", listeners.join(", ")));
        }
    }

    fn paths(&self) -> Vec<PathBuf> {
        let all = [&self.cert_file, &self.key_file, &self.client_ca_file];
        all.into_iter().filter(|path| !path.is_empty()).map(PathBuf::from).collect()
    }
}

/// What the metrics page shows.
#[derive(Debug, Default)]
pub struct Stats {
    /// When our certificate ends, in seconds since 1970.
    pub not_after: Gauge,
    /// Times that a changed certificate was taken over.
    pub reloads: Counter,
    /// Times that it could not be.
    pub failed: Counter,
    /// Handshakes that came to nothing.
    pub handshakes_failed: Counter,
}

/// The certificates, as they are now.
pub struct Tls {
    config: Config,
    watched: Watched,
    current: ArcSwap<Current>,
    stats: Arc<Stats>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What connections begin with.
struct Current {
    /// Where certificates of clients are a matter of their own.
    optional: Arc<ServerConfig>,
    /// Where they are as configured.
    strict: Arc<ServerConfig>,
}

/// What a listener asks of clients.
#[derive(Clone, Debug)]
pub struct Acceptor {
    tls: Arc<Tls>,
    is_strict: bool,
}

impl Acceptor {
    /// What a connection begins with now.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        let current = self.tls.current.load();
        Arc::clone(if self.is_strict { &current.strict } else { &current.optional })
    }

    pub(super) fn stats(&self) -> &Stats {
        &self.tls.stats
    }
}

impl Tls {
    /// Reads the files; nothing where there is to be no TLS.
    ///
    /// # Errors
    /// Says which file cannot be used, and why.
    pub fn open(config: &Config) -> Result<Option<Arc<Self>>, String> {
        if !config.is_on() {
            return Ok(None);
        }
        let (watched, contents) = Watched::open(config.paths())?;
        let stats = Arc::<Stats>::default();
        let current = ArcSwap::from_pointee(Current::new(config, &contents, &stats)?);
        Ok(Some(Arc::new(Self { config: config.clone(), watched, current, stats })))
    }

    /// What a listener begins connections with; nothing where it stays in the clear.
    #[must_use]
    pub fn acceptor(self: &Arc<Self>, listener: &str, is_strict: bool) -> Option<Acceptor> {
        self.config.covers(listener).then(|| Acceptor { tls: Arc::clone(self), is_strict })
    }

    /// What it counts.
    #[must_use]
    pub const fn stats(&self) -> &Arc<Stats> {
        &self.stats
    }
}

impl Reload for Tls {
    fn reload(&self) {
        let changed = match self.watched.changed() {
            Ok(None) => return,
            Ok(Some(contents)) => Current::new(&self.config, &contents, &self.stats),
            Err(fault) => Err(fault),
        };
        match changed {
            Ok(current) => {
                self.current.store(Arc::new(current));
                self.stats.reloads.inc();
                info!(cert_file = self.config.cert_file, "certificates have changed, taken over");
            }
            Err(fault) => {
                self.stats.failed.inc();
                error!(fault, "certificates have changed and cannot be used: those before stay");
            }
        }
    }
}

impl Current {
    /// `contents` are those of [`Config::paths`].
    fn new(config: &Config, contents: &[Vec<u8>], stats: &Stats) -> Result<Self, String> {
        let [cert, key, rest @ ..] = contents else {
            return Err("no certificate was read".to_owned());
        };
        let chain = certificates(&config.cert_file, cert)?;
        let leaf = chain.first().ok_or_else(|| format!("{}: no certificate", config.cert_file))?;
        let own =
            Certificate::parse(leaf).map_err(|fault| format!("{}: {fault}", config.cert_file))?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|fault| format!("{}: no private key: {fault}", config.key_file))?;
        let roots = match rest.first() {
            None => None,
            Some(pem) => Some(roots(&config.client_ca_file, pem)?),
        };
        let of = |is_strict: bool| {
            server_config(config, (&chain, &key), roots.clone().map(|roots| (roots, is_strict)))
        };
        let is_strict = config.client_auth == ClientAuth::Required;
        let current = Self { optional: of(false)?, strict: of(is_strict)? };
        stats.not_after.set(own.not_after.0 / 1_000_000_000);
        Ok(current)
    }
}

fn certificates(path: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let all = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    all.map_err(|fault| format!("{path}: {fault}"))
}

fn roots(path: &str, pem: &[u8]) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    for root in certificates(path, pem)? {
        roots.add(root).map_err(|fault| format!("{path}: {fault}"))?;
    }
    if roots.is_empty() { Err(format!("{path}: no certificate")) } else { Ok(Arc::new(roots)) }
}

fn server_config(
    config: &Config,
    (chain, key): (&[CertificateDer<'static>], &PrivateKeyDer<'static>),
    clients: Option<(Arc<RootCertStore>, bool)>,
) -> Result<Arc<ServerConfig>, String> {
    let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|fault| format!("tls: {fault}"))?;
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some((roots, is_strict)) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
            let verifier = if is_strict { verifier } else { verifier.allow_unauthenticated() };
            let verifier =
                verifier.build().map_err(|fault| format!("{}: {fault}", config.client_ca_file))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut server = builder
        .with_single_cert(chain.to_vec(), key.clone_key())
        .map_err(|fault| format!("{} and {}: {fault}", config.cert_file, config.key_file))?;
    server.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(Arc::new(server))
}

#[cfg(test)]
mod tests;
