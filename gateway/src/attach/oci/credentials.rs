//! What is shown to registries: user and password, from a file as `docker login` and Secrets of Kubernetes
//! (`.dockerconfigjson`) have it. Programs that such a file names (`credHelpers`) are not run.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use model::Secret;
use serde::Deserialize;

/// A file of credentials; read again each time.
#[derive(Clone, Debug, Default)]
pub struct AuthFile {
    path: Option<PathBuf>,
    is_named: bool,
}

/// As `Authorization: Basic` has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Basic(String);

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Basic {
    fn of(user: &str, password: &str) -> Self {
        Self(BASE64_STANDARD.encode(format!("{user}:{password}")))
    }

    /// The value of the header.
    #[must_use]
    pub fn header(&self) -> String {
        format!("Basic {}", self.0)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Content {
    auths: HashMap<String, Auth>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Auth {
    auth: Secret,
    username: String,
    password: Secret,
}

impl AuthFile {
    /// The file of this name; none named, the one that Docker has: `config.json` in `$DOCKER_CONFIG` or in `~/.docker`.
    #[must_use]
    pub fn new(named: &str) -> Self {
        if !named.is_empty() {
            return Self { path: Some(PathBuf::from(named)), is_named: true };
        }
        let place = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let dir = place("DOCKER_CONFIG").map(PathBuf::from);
        let dir = dir.or_else(|| Some(PathBuf::from(place("HOME")?).join(".docker")));
        Self { path: dir.map(|dir| dir.join("config.json")), is_named: false }
    }

    /// What is shown to a registry; nothing where the file has nothing for it, or was not named and is not there.
    ///
    /// # Errors
    /// Names the file, and says what is wrong with it.
    pub fn of(&self, registry: &str) -> Result<Option<Basic>, String> {
        let Some(path) = &self.path else { return Ok(None) };
        let named = |fault: &dyn fmt::Display| format!("{}: {fault}", path.display());
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(_) if !self.is_named => return Ok(None),
            Err(fault) => return Err(named(&fault)),
        };
        of(&bytes, registry).map_err(|fault| named(&fault))
    }

    /// Where it is, if there is a place for it.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

fn of(json: &[u8], registry: &str) -> Result<Option<Basic>, String> {
    // What serde says may have a secret in it.
    let content: Content =
        serde_json::from_slice(json).map_err(|_| "no file of credentials in JSON".to_owned())?;
    // Docker's own registry goes by an old name.
    let names = match registry {
        "docker.io" | "registry-1.docker.io" => vec!["docker.io", "index.docker.io"],
        other => vec![other],
    };
    let host = |key: &str| {
        let key =
            key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
        key.split('/').next().unwrap_or_default().to_owned()
    };
    let found = content.auths.iter().find(|(key, _)| names.contains(&host(key).as_str()));
    let Some((_, auth)) = found else { return Ok(None) };
    if let Some(both) = auth.auth.reveal() {
        let text =
            BASE64_STANDARD.decode(both.trim()).ok().and_then(|text| String::from_utf8(text).ok());
        let pair = text.as_deref().and_then(|text| text.split_once(':'));
        let (user, password) =
            pair.ok_or_else(|| format!("auths.{registry}.auth: no USER:PASSWORD in Base64"))?;
        return Ok(Some(Basic::of(user, password.trim_end_matches('\0'))));
    }
    Ok(auth.password.reveal().map(|password| Basic::of(&auth.username, password)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_found_by_the_host() {
        let json = br#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "aHViOnB3"},
            "ghcr.io": {"username": "bot", "password": "pw"},
            "localhost:5000": {"auth": "?"},
            "empty.example": {}
        }, "credsStore": "desktop"}"#;
        let found = |registry: &str| of(json, registry);
        assert_eq!(found("docker.io"), Ok(Some(Basic::of("hub", "pw"))));
        assert_eq!(found("ghcr.io"), Ok(Some(Basic::of("bot", "pw"))));
        assert_eq!(found("empty.example"), Ok(None));
        assert_eq!(found("quay.io"), Ok(None));
        assert!(found("localhost:5000").unwrap_err().contains("localhost:5000"));
        assert!(of(b"[", "a").is_err());
        assert_eq!(of(b"{}", "a"), Ok(None));
        assert_eq!(format!("{:?}", Basic::of("bot", "pw")), "***");
    }

    #[test]
    fn a_file_that_is_named_has_to_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("auth.json");
        let file = AuthFile::new(path.to_str().unwrap());
        assert!(file.of("a").unwrap_err().contains("auth.json"));
        assert_eq!(AuthFile { is_named: false, ..file }.of("a"), Ok(None));
    }
}
