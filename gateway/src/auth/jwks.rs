//! Where the keys of an issuer come from: a file, an address, or what discovery tells (OpenID Connect
//! Discovery 1.0, 4).
//!
//! Addresses are the operator's, or the issuer's that the operator names; no redirect is followed.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use http::header::{ACCEPT, AUTHORIZATION};
use serde_json::Value;

use super::issuer::Config;
use super::jwt::Keys;
use super::strict;
use crate::web::{self, Ask, Redirects, Url, url};

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
    web: web::Web,
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

impl Web {
    fn new(config: &Config) -> Result<Self, Fault> {
        let web = web::Web::new(&config.ca_file, Redirects::Refused).map_err(|why| Fault {
            key: "ca_file",
            found: config.ca_file.clone(),
            accepted: format!("a PEM file with certificates: {why}"),
        })?;
        let bearer = config.bearer_file.as_str();
        let bearer_file = (!bearer.is_empty()).then(|| PathBuf::from(bearer));
        Ok(Self { web, bearer_file })
    }

    async fn get(&self, url: &Url) -> Result<Vec<u8>, String> {
        let named = |fault: &dyn fmt::Display| format!("{url}: {fault}");
        let mut ask = Ask::get(url, WAIT, BYTES_MAX).header(ACCEPT, "application/json");
        if let Some(path) = &self.bearer_file {
            // Kubernetes writes it anew each hour.
            let token = tokio::fs::read_to_string(path).await;
            let token = token.map_err(|fault| format!("{}: {fault}", path.display()))?;
            ask = ask.header(AUTHORIZATION, format!("Bearer {}", token.trim()));
        }
        let said = self.web.ask(ask).await.map_err(|fault| named(&fault))?;
        match said.status.is_success() {
            true => Ok(said.body),
            false => Err(named(&format!("it answers {}", said.status))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
