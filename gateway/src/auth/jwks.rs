//! Where the keys of an issuer come from: a file, an address, or what discovery tells (OpenID Connect
//! Discovery 1.0, 4).
//!
//! Addresses are the operator's, or the issuer's that the operator names: no redirect is followed, nothing is
//! asked in the clear but on this machine, and nothing of the link's own addresses, where clouds tell
//! machines their secrets.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, Url, redirect};
use serde_json::Value;

use super::issuer::Config;
use super::jwt::Keys;
use super::strict;

/// How long an answer may take.
const WAIT: Duration = Duration::from_secs(5);
/// The largest answer.
const BYTES_MAX: usize = 1 << 20;
/// Where discovery begins, below the issuer.
const WELL_KNOWN: &str = ".well-known/openid-configuration";

/// Where keys come from.
#[derive(Debug)]
pub(super) enum Source {
    /// A file.
    File(PathBuf),
    /// An address that has the keys.
    Jwks(Web, Url),
    /// An address that tells where they are.
    Discovery(Web, Url, String),
}

/// How addresses are asked.
#[derive(Debug)]
pub(super) struct Web {
    /// Who asks, and the roots that it trusts as a file had them: clusters change theirs.
    client: Mutex<(Client, Option<Vec<u8>>)>,
    ca_file: Option<PathBuf>,
    bearer_file: Option<PathBuf>,
}

/// A value of the configuration that is not accepted.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) key: &'static str,
    pub(super) found: String,
    pub(super) accepted: String,
}

impl Source {
    pub(super) fn new(config: &Config) -> Result<Self, Fault> {
        let fault =
            |key, found: &str, accepted: String| Fault { key, found: found.to_owned(), accepted };
        match (config.jwks_file.as_str(), config.jwks_url.as_str()) {
            ("", "") => {
                let base = config.issuer.trim_end_matches('/');
                let url = url(&format!("{base}/{WELL_KNOWN}")).map_err(|why| {
                    let else_ = "or keys from jwks_url or jwks_file";
                    fault("issuer", &config.issuer, format!("{why}, {else_}"))
                })?;
                Ok(Self::Discovery(Web::new(config)?, url, config.issuer.clone()))
            }
            ("", address) => {
                let url = url(address).map_err(|why| fault("jwks_url", address, why))?;
                Ok(Self::Jwks(Web::new(config)?, url))
            }
            (file, "") => Ok(Self::File(PathBuf::from(file))),
            (_, address) => Err(fault("jwks_url", address, "nothing beside jwks_file".to_owned())),
        }
    }

    /// Whether it is near: asking it costs nobody anything.
    pub(super) const fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// The keys there are now.
    ///
    /// # Errors
    /// Says what was asked and what is wrong with the answer.
    ///
    /// # Cancel safety
    /// Nothing has happened when it is dropped.
    pub(super) async fn fetch(&self) -> Result<Keys, String> {
        let (what, json) = match self {
            Self::File(path) => {
                let named = |fault: &dyn fmt::Display| format!("{}: {fault}", path.display());
                let bytes = tokio::fs::read(path).await.map_err(|fault| named(&fault))?;
                if bytes.len() > BYTES_MAX {
                    return Err(named(&"larger than 1 MiB"));
                }
                (path.display().to_string(), bytes)
            }
            Self::Jwks(web, url) => (url.to_string(), web.get(url).await?),
            Self::Discovery(web, url, issuer) => {
                let keys = discovered(url, issuer, &web.get(url).await?)?;
                (keys.to_string(), web.get(&keys).await?)
            }
        };
        Keys::parse(&json).map_err(|fault| format!("{what}: {fault}"))
    }
}

/// Where the keys are, by what discovery answers.
fn discovered(asked: &Url, issuer: &str, json: &[u8]) -> Result<Url, String> {
    let told = strict::object(json).map_err(|fault| format!("{asked}: {fault}"))?;
    // Else one issuer could speak for another (Discovery 1.0, 4.3).
    if told.get("issuer").and_then(Value::as_str) != Some(issuer) {
        return Err(format!("{asked}: it is the configuration of another issuer than {issuer}"));
    }
    let keys = told.get("jwks_uri").and_then(Value::as_str);
    let keys = keys.ok_or_else(|| format!("{asked}: it has no jwks_uri"))?;
    url(keys).map_err(|fault| format!("{asked}: jwks_uri: {fault}"))
}

/// An address that may be asked.
fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|fault| fault.to_string())?;
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    let is_here = literal.map_or(host == "localhost", |addr| addr.is_loopback());
    if literal.is_some_and(is_link_local) {
        return Err("no address of the link itself (169.254.0.0/16, fe80::/10)".to_owned());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err("an https URL (http on this machine only)".to_owned()),
    }
}

/// Addresses that are of one link only; at one of them clouds tell machines their secrets.
fn is_link_local(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => addr.is_link_local(),
        IpAddr::V6(addr) => {
            addr.is_unicast_link_local()
                || addr.to_ipv4_mapped().is_some_and(|addr| addr.is_link_local())
        }
    }
}

/// Names as the system resolves them, without addresses of the link.
#[derive(Debug)]
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.filter(|addr| !is_link_local(addr.ip())).collect();
            if found.is_empty() {
                return Err("it has no address but those of the link".into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// Who asks, trusting these roots, or those of the system.
fn client(pem: Option<&[u8]>) -> Result<Client, String> {
    let mut client = Client::builder()
        .timeout(WAIT)
        .redirect(redirect::Policy::none())
        .dns_resolver(Arc::new(Names))
        .user_agent(concat!("traceweir/", env!("CARGO_PKG_VERSION")));
    if let Some(pem) = pem {
        let roots = Certificate::from_pem_bundle(pem).map_err(|why| why.to_string())?;
        if roots.is_empty() {
            return Err("there is none in it".to_owned());
        }
        client = client.tls_certs_only(roots);
    }
    client.build().map_err(|why| reasons(&why))
}

impl Web {
    fn new(config: &Config) -> Result<Self, Fault> {
        let path = |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
        let ca_file = path(&config.ca_file);
        let fault = |why: String| Fault {
            key: "ca_file",
            found: config.ca_file.clone(),
            accepted: format!("a PEM file with certificates: {why}"),
        };
        let pem = ca_file.as_ref().map(std::fs::read).transpose();
        let pem = pem.map_err(|why| fault(why.to_string()))?;
        let client = client(pem.as_deref()).map_err(fault)?;
        let bearer_file = path(&config.bearer_file);
        Ok(Self { client: Mutex::new((client, pem)), ca_file, bearer_file })
    }

    /// Who asks, with the roots that the file has now.
    async fn client(&self) -> Result<Client, String> {
        let named = |path: &Path, fault: &dyn fmt::Display| format!("{}: {fault}", path.display());
        let pem = match &self.ca_file {
            Some(path) => Some(tokio::fs::read(path).await.map_err(|fault| named(path, &fault))?),
            None => None,
        };
        let mut current = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(path), true) = (&self.ca_file, current.1 != pem) {
            *current = (client(pem.as_deref()).map_err(|fault| named(path, &fault))?, pem);
        }
        Ok(current.0.clone())
    }

    async fn get(&self, url: &Url) -> Result<Vec<u8>, String> {
        let named = |fault: String| format!("{url}: {fault}");
        let mut request =
            self.client().await?.get(url.clone()).header("accept", "application/json");
        if let Some(path) = &self.bearer_file {
            // Kubernetes writes it anew each hour.
            let token = tokio::fs::read_to_string(path).await;
            let token = token.map_err(|fault| format!("{}: {fault}", path.display()))?;
            request = request.bearer_auth(token.trim());
        }
        let mut response = request.send().await.map_err(|fault| named(reasons(&fault)))?;
        if !response.status().is_success() {
            return Err(named(format!("it answers {}", response.status())));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|fault| named(reasons(&fault)))? {
            if body.len() + chunk.len() > BYTES_MAX {
                return Err(named("its answer is larger than 1 MiB".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// An error with what is behind it: the outermost alone says that a request failed.
fn reasons(fault: &dyn std::error::Error) -> String {
    let mut words = fault.to_string();
    let mut inner = fault.source();
    while let Some(fault) = inner {
        words = format!("{words}: {fault}");
        inner = fault.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_safe_to_ask() {
        for good in [
            "https://idp.example/keys",
            "http://127.0.0.1:9/k",
            "http://[::1]/k",
            "http://localhost/k",
        ] {
            assert!(url(good).is_ok(), "{good}");
        }
        for bad in [
            "http://idp.example/keys",
            "ftp://127.0.0.1/k",
            "file:///etc/passwd",
            "https://169.254.169.254/latest",
            "https://[fe80::1]/k",
            "https://[::ffff:169.254.169.254]/k",
            "keys",
            "",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn discovery_speaks_for_its_own_issuer_only() {
        let asked = Url::parse("https://idp.example/.well-known/openid-configuration").unwrap();
        let told = |json: &str| discovered(&asked, "https://idp.example", json.as_bytes());
        let good = r#"{"issuer":"https://idp.example","jwks_uri":"https://idp.example/keys"}"#;
        assert_eq!(told(good).unwrap().as_str(), "https://idp.example/keys");
        for bad in [
            r#"{"issuer":"https://other.example","jwks_uri":"https://idp.example/keys"}"#,
            r#"{"issuer":"https://idp.example/","jwks_uri":"https://idp.example/keys"}"#,
            r#"{"issuer":["https://idp.example"],"jwks_uri":"https://idp.example/keys"}"#,
            r#"{"issuer":"https://idp.example"}"#,
            r#"{"issuer":"https://idp.example","jwks_uri":"http://idp.example/keys"}"#,
            "[]",
        ] {
            assert!(told(bad).is_err(), "{bad}");
        }
    }
}
