//! One request to a running server, over HTTP or HTTPS: what is shown to it, and whom we believe that they
//! are it.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method, Uri, header};
use reqwest::{Certificate, Client, redirect};

use super::bearer::Token;

/// How long a server may take until somebody answers at all.
const CONNECT_WAIT: Duration = Duration::from_secs(5);

/// Where a server is, such as `http://127.0.0.1:3200/tempo`.
#[derive(Clone, Debug)]
pub(super) struct Target {
    is_secure: bool,
    /// `host:port`.
    authority: String,
    /// What stands in front of every path; no slash at its end.
    base: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.base)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = text.parse().map_err(|fault| format!("{fault}"))?;
        let (is_secure, usual) = match uri.scheme_str() {
            Some("https") => (true, 443),
            Some("http") => (false, 80),
            _ => return Err("only http:// and https:// are spoken here".to_owned()),
        };
        let authority = uri.authority().ok_or("there is no host in it")?;
        if authority.as_str().contains('@') {
            return Err("user names are not sent".to_owned());
        }
        let port = authority.port_u16().unwrap_or(usual);
        let authority = format!("{}:{port}", authority.host());
        Ok(Self { is_secure, authority, base: uri.path().trim_end_matches('/').to_owned() })
    }
}

/// What is shown to a server, and whom we believe that they are it.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Trust {
    /// A token, sent as `Authorization: Bearer`
    #[arg(long, value_name = "TOKEN", env = "TRACEWEIR_TOKEN", hide_env_values = true)]
    pub(super) token: Option<Token>,
    /// Of https: a PEM file with the root of the server's certificate; by default the roots of the system
    #[arg(long, value_name = "FILE", env = "TRACEWEIR_CA_FILE")]
    pub(super) ca_file: Option<PathBuf>,
}

/// What a server said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// What is asked.
#[derive(Debug)]
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    pub(super) path: &'a str,
    pub(super) headers: Vec<(HeaderName, String)>,
    pub(super) body: String,
    /// How long the server may take for all of its answer.
    pub(super) wait: Duration,
    /// A longer answer is not one of ours.
    pub(super) bytes_max: usize,
}

impl Trust {
    /// Asks a server. Blocks.
    ///
    /// # Errors
    /// Says who did not answer, and why.
    pub(super) fn ask(&self, target: &Target, ask: Ask<'_>) -> Result<Said, String> {
        let silent = |why: &str| format!("no server answers at {target}: {why}");
        let client = self.client(target)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|fault| silent(&fault.to_string()))?;
        let url = format!("{target}{}", ask.path);
        let mut request = client.request(ask.method, url).timeout(ask.wait);
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token.bearer());
        }
        if !ask.body.is_empty() {
            request = request.body(ask.body);
        }
        runtime.block_on(exchange(request, ask.bytes_max)).map_err(|fault| silent(&fault))
    }

    fn client(&self, target: &Target) -> Result<Client, String> {
        let client = Client::builder()
            .connect_timeout(CONNECT_WAIT)
            .redirect(redirect::Policy::none())
            .no_proxy()
            .http1_only()
            .user_agent(concat!("traceweir/", env!("CARGO_PKG_VERSION")));
        let (client, file) = match &self.ca_file {
            // Where nothing is checked the system need not have any roots.
            _ if !target.is_secure => (client.tls_certs_only([]), None),
            None => (client, None),
            Some(path) => {
                let named = |fault: &dyn fmt::Display| format!("{}: {fault}", path.display());
                let pem = std::fs::read(path).map_err(|fault| named(&fault))?;
                let roots = Certificate::from_pem_bundle(&pem).map_err(|fault| named(&fault))?;
                if roots.is_empty() {
                    return Err(named(&"there is no certificate in it"));
                }
                (client.tls_certs_only(roots), Some(path))
            }
        };
        client.build().map_err(|fault| match file {
            Some(path) => format!("{}: {}", path.display(), reasons(&fault)),
            None => format!("TLS cannot begin: {}", reasons(&fault)),
        })
    }
}

async fn exchange(request: reqwest::RequestBuilder, bytes_max: usize) -> Result<Said, String> {
    let mut response = request.send().await.map_err(|fault| reasons(&fault))?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|fault| reasons(&fault))? {
        if body.len() + chunk.len() > bytes_max {
            return Err(format!("its answer is longer than {} MiB", bytes_max >> 20));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Said { status, headers, body })
}

/// What an error is at its bottom: all above it says only where that happened.
fn reasons(fault: &reqwest::Error) -> String {
    if fault.is_timeout() {
        return "it takes too long".to_owned();
    }
    let mut innermost: &(dyn Error + 'static) = fault;
    while let Some(inner) = behind(innermost) {
        innermost = inner;
    }
    innermost.downcast_ref().map_or_else(|| innermost.to_string(), of_tls)
}

/// What is behind an error; one of reading and writing passes over what it was made of.
fn behind<'a>(fault: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let made_of = fault.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    made_of.map(|inner| inner as &(dyn Error + 'static)).or_else(|| fault.source())
}

/// What TLS ends with, and what can be done about it.
fn of_tls(fault: &rustls::Error) -> String {
    use rustls::CertificateError as Of;
    let rustls::Error::InvalidCertificate(why) = fault else { return fault.to_string() };
    match why {
        Of::UnknownIssuer | Of::BadSignature => {
            "its certificate is signed by nobody that is trusted here: name the root with --ca-file"
                .to_owned()
        }
        Of::Expired | Of::ExpiredContext { .. } => format!("its certificate has expired ({why})"),
        Of::NotValidForName | Of::NotValidForNameContext { .. } => {
            format!("its certificate is somebody else's ({why})")
        }
        _ => fault.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read() {
        let shown = |text: &str| text.parse::<Target>().map(|target| target.to_string());
        for (text, target) in [
            ("http://127.0.0.1:3200", "http://127.0.0.1:3200"),
            ("localhost:3200/tempo/", "http://localhost:3200/tempo"),
            ("127.0.0.1:3201", "http://127.0.0.1:3201"),
            ("http://host", "http://host:80"),
            ("https://host", "https://host:443"),
            ("https://[::1]:3201/", "https://[::1]:3201"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(target));
        }
        for wrong in ["ftp://a", "http://", "http://a:b@c", "a b"] {
            assert!(shown(wrong).is_err(), "{wrong}");
        }
    }
}
