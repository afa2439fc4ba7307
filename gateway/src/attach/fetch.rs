//! Fetches plugins over a network: from URLs here, from registries by [`oci`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use http::header::{ETAG, IF_NONE_MATCH};
use plugins::{COMPONENT_BYTES_MAX, Digest, Error, Fetch, Fetched, Kind, Refused, Source};

use super::oci::{self, credentials::AuthFile};
use crate::web::{self, Ask, Courier, Redirects, Web};

/// How long one answer may take.
pub const WAIT: Duration = Duration::from_secs(60);
/// A signature is short.
const SIGNATURE_BYTES_MAX: usize = 4 << 10;

/// Fetches, and blocks meanwhile.
#[derive(Debug)]
pub struct Fetcher {
    ca_file: String,
    /// Made when it is first needed: a system without roots is one without plugins of a network, and nothing worse.
    web: Mutex<Option<Arc<Web>>>,
    courier: Arc<Courier>,
    auth: AuthFile,
    wants_signature: bool,
}

impl Fetcher {
    /// Trusts the roots of a file, or of the system; shows registries what a file has for them. Signatures of what is at a
    /// URL are fetched where somebody wants to see them.
    #[must_use]
    pub fn new(
        courier: Arc<Courier>,
        ca_file: &str,
        auth: AuthFile,
        wants_signature: bool,
    ) -> Self {
        let (ca_file, web) = (ca_file.to_owned(), Mutex::default());
        Self { ca_file, web, courier, auth, wants_signature }
    }

    fn web(&self) -> Result<Arc<Web>, String> {
        let mut web = self.web.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(web) = &*web {
            return Ok(Arc::clone(web));
        }
        let made = Web::new(&self.ca_file, Redirects::Followed);
        let made = made.map_err(|fault| format!("plugins.ca_file: {fault}"))?;
        Ok(Arc::clone(web.insert(Arc::new(made))))
    }

    async fn https(&self, text: &str, known: Option<&str>) -> Result<Option<Fetched>, String> {
        let url = web::url(text)?;
        let mut ask = Ask::get(&url, WAIT, COMPONENT_BYTES_MAX);
        if let Some(tag) = known.filter(|known| known.contains('"')) {
            ask = ask.header(IF_NONE_MATCH, tag);
        }
        let said = self.web()?.ask(ask).await.map_err(|fault| fault.to_string())?;
        if known.is_some() && said.status == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        if said.status != StatusCode::OK {
            return Err(format!("it answers {}", said.status));
        }
        let tag = said.header(ETAG.as_str()).map(str::to_owned);
        // Whoever tells no tag is asked for everything each time; it is looked at only where it has changed.
        let revision = tag.unwrap_or_else(|| Digest::of(&said.body).to_string());
        if known == Some(revision.as_str()) {
            return Ok(None);
        }
        let signature = if self.wants_signature { self.signature(url).await? } else { None };
        let revision = Some(revision);
        Ok(Some(Fetched { bytes: said.body, signature, revision, manifest: None }))
    }

    async fn signature(&self, mut url: web::Url) -> Result<Option<String>, String> {
        url.set_path(&format!("{}.sig", url.path()));
        let ask = Ask::get(&url, WAIT, SIGNATURE_BYTES_MAX);
        let said = self.web()?.ask(ask).await;
        let said = said.map_err(|fault| format!("its signature: {fault}"))?;
        let is_there = said.status == StatusCode::OK;
        Ok(is_there.then(|| String::from_utf8_lossy(&said.body).into_owned()))
    }

    async fn oci(
        &self,
        reference: &plugins::Reference,
        known: Option<&str>,
    ) -> Result<Option<Fetched>, oci::Fault> {
        let web = self.web().map_err(oci::Fault::Unavailable)?;
        let pulled = oci::pull(&web, &self.auth, reference, known).await?;
        Ok(pulled.map(|artifact| Fetched {
            bytes: artifact.bytes,
            signature: artifact.signature,
            revision: Some(artifact.digest.to_string()),
            manifest: Some(artifact.manifest),
        }))
    }
}

impl Fetch for Fetcher {
    fn fetch(&self, source: &Source, known: Option<&str>) -> Result<Option<Fetched>, Refused> {
        let named =
            |kind, fault: &dyn std::fmt::Display| Error::new(kind, format!("{source}: {fault}"));
        let host = |fault| named(Kind::Unavailable, &fault);
        match source {
            Source::Https(url, _) => {
                let fetched = self.courier.wait(self.https(url, known)).map_err(host)?;
                Ok(fetched.map_err(|fault| named(Kind::Unavailable, &fault))?)
            }
            Source::Oci(reference) => {
                let fetched = self.courier.wait(self.oci(reference, known)).map_err(host)?;
                fetched.map_err(|fault| match fault {
                    oci::Fault::Unavailable(fault) => named(Kind::Unavailable, &fault).into(),
                    oci::Fault::NotOurs(fault, digest) => Refused {
                        error: named(Kind::NotOurs, &fault),
                        revision: digest.map(|digest| digest.to_string()),
                    },
                })
            }
            Source::Bundled(_) | Source::File(_) => {
                Err(named(Kind::Unavailable, &"it is not on a network").into())
            }
        }
    }
}
