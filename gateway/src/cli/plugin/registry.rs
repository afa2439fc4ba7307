//! What `push` and `pull` have in common: which artifact, whom we trust, and what we show.

use std::path::PathBuf;

use plugins::{Reference, Source};

use crate::attach::oci::credentials::AuthFile;
use crate::web::{Courier, Redirects, Web};

/// Whom we trust, and what we show.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Registry {
    /// A file with credentials, as `docker login` writes it [default: config.json in $DOCKER_CONFIG or ~/.docker]
    #[arg(long, value_name = "FILE")]
    auth_file: Option<PathBuf>,
    /// A PEM file with the root of the registry's certificate; by default the roots of the system
    #[arg(long, value_name = "FILE", env = "TRACEWEIR_CA_FILE")]
    ca_file: Option<PathBuf>,
}

impl Registry {
    pub(super) fn web(&self) -> Result<Web, String> {
        let file = self.ca_file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
        Web::new(&file, Redirects::Followed).map_err(|fault| format!("--ca-file {file}: {fault}"))
    }

    pub(super) fn auth(&self) -> AuthFile {
        let file = self.auth_file.as_ref().map(|file| file.display().to_string());
        AuthFile::new(&file.unwrap_or_default())
    }
}

/// Runs a request to its end.
pub(super) fn wait<T>(future: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    Courier::default().wait(future).map_err(|fault| fault.to_string())?
}

/// `oci://REGISTRY/REPOSITORY[:TAG][@sha256:…]`
pub(super) fn reference(text: &str) -> Result<Reference, String> {
    match Source::parse(text)? {
        Source::Oci(reference) => Ok(reference),
        _ => Err("oci://REGISTRY/REPOSITORY:TAG".to_owned()),
    }
}

/// A file that signs another: its name, and `.sig`.
pub(super) fn signature_of(file: &std::path::Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".sig");
    PathBuf::from(name)
}
