//! The one way in which we ask others over HTTP: for the keys of issuers, for plugins, for what tables are made of.
//!
//! Addresses are the operator's, or of somebody that the operator names. Nothing is asked in the clear but on this
//! machine, and nothing of the link's own addresses, where clouds tell machines their secrets; a redirect to such a
//! place is not followed. The roots that are trusted are read again when their file changes.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderName, Method, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, Response, redirect};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use crate::clock::Tasks;
pub use reqwest::Url;

/// How long a connection may take.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// Most redirects of one request.
const REDIRECTS_MAX: usize = 5;

/// An address that may be asked: https, or http of this machine.
///
/// # Errors
/// Says what is accepted.
pub fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|fault| fault.to_string())?;
    safe(&url).map(|()| url)
}

/// Whether an address may be asked.
fn safe(url: &Url) -> Result<(), String> {
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    if literal.is_some_and(is_link_local) {
        return Err("no address of the link itself (169.254.0.0/16, fe80::/10)".to_owned());
    }
    match url.scheme() {
        "https" => Ok(()),
        "http" if is_here(host) => Ok(()),
        _ => Err("an https URL (http on this machine only)".to_owned()),
    }
}

/// Whether a host is this machine.
#[must_use]
pub fn is_here(host: &str) -> bool {
    let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
    literal.map_or(host == "localhost", |addr| addr.is_loopback())
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

/// What becomes of redirects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// They are the answer.
    Refused,
    /// They are followed, five at most: never from https to http, and without credentials to another host.
    Followed,
}

impl Redirects {
    fn policy(self) -> redirect::Policy {
        match self {
            Self::Refused => redirect::Policy::none(),
            Self::Followed => redirect::Policy::custom(|attempt| {
                let was_secure = attempt.previous().iter().any(|url| url.scheme() == "https");
                if attempt.previous().len() > REDIRECTS_MAX {
                    return attempt.error(format!("more than {REDIRECTS_MAX} redirects"));
                }
                if was_secure && attempt.url().scheme() != "https" {
                    return attempt.error("a redirect from https to http");
                }
                match safe(attempt.url()) {
                    Ok(()) => attempt.follow(),
                    Err(fault) => attempt.error(format!("a redirect: {fault}")),
                }
            }),
        }
    }
}

/// Who asks, trusting these roots, or those of the system.
fn client(pem: Option<&[u8]>, redirects: Redirects) -> Result<Client, String> {
    let mut client = Client::builder()
        .connect_timeout(CONNECT_WAIT)
        .redirect(redirects.policy())
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

/// Asks, trusting the roots of a file or of the system.
#[derive(Debug)]
pub struct Web {
    /// Who asks, and the roots that it trusts as a file had them: clusters change theirs.
    client: Mutex<(Client, Option<Vec<u8>>)>,
    ca_file: Option<PathBuf>,
    redirects: Redirects,
}

/// What is asked.
#[derive(Debug)]
pub struct Ask<'a> {
    /// The method.
    pub method: Method,
    /// Where: [`url`] has made it.
    pub url: &'a Url,
    /// What is shown.
    pub headers: Vec<(HeaderName, String)>,
    /// What is sent.
    pub body: Vec<u8>,
    /// How long the whole answer may take.
    pub wait: Duration,
    /// The longest body of an answer.
    pub bytes_max: usize,
}

impl<'a> Ask<'a> {
    /// Asks for what is there.
    #[must_use]
    pub fn get(url: &'a Url, wait: Duration, bytes_max: usize) -> Self {
        let (headers, body) = (Vec::new(), Vec::new());
        Self { method: Method::GET, url, headers, body, wait, bytes_max }
    }

    /// With another header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// What somebody said.
#[derive(Debug)]
pub struct Said {
    /// The status, whichever it is.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Said {
    /// The text of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It took too long.
    Timeout,
    /// It is longer than so many bytes.
    TooLarge(usize),
    /// Whatever else.
    Network(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Timeout => f.write_str("it took too long"),
            Self::TooLarge(limit) => write!(f, "its answer is larger than {limit} bytes"),
            Self::Network(why) => f.write_str(why),
        }
    }
}

impl From<reqwest::Error> for Fault {
    fn from(fault: reqwest::Error) -> Self {
        match fault.is_timeout() {
            true => Self::Timeout,
            // Addresses may have credentials in them; who asked knows which it was.
            false => Self::Network(reasons(&fault.without_url())),
        }
    }
}

impl Web {
    /// With the roots of a PEM file, or of the system where none is named.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn new(ca_file: &str, redirects: Redirects) -> Result<Self, String> {
        let ca_file = (!ca_file.is_empty()).then(|| PathBuf::from(ca_file));
        let pem = ca_file.as_ref().map(std::fs::read).transpose();
        let pem = pem.map_err(|why| why.to_string())?;
        let client = client(pem.as_deref(), redirects)?;
        Ok(Self { client: Mutex::new((client, pem)), ca_file, redirects })
    }

    /// Who asks, with the roots that the file has now.
    async fn client(&self) -> Result<Client, Fault> {
        let named = |path: &Path, fault: &dyn fmt::Display| {
            Fault::Network(format!("{}: {fault}", path.display()))
        };
        let pem = match &self.ca_file {
            Some(path) => Some(tokio::fs::read(path).await.map_err(|fault| named(path, &fault))?),
            None => None,
        };
        let mut current = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(path), true) = (&self.ca_file, current.1 != pem) {
            let fresh =
                client(pem.as_deref(), self.redirects).map_err(|fault| named(path, &fault))?;
            *current = (fresh, pem);
        }
        Ok(current.0.clone())
    }

    /// Asks, and leaves the body to be read.
    ///
    /// # Errors
    /// Why there is no answer.
    ///
    /// # Cancel safety
    /// Whoever is asked may have got it.
    pub async fn open(&self, ask: Ask<'_>) -> Result<Response, Fault> {
        let Ask { method, url, headers, body, wait, .. } = ask;
        let mut request = self.client().await?.request(method, url.clone()).timeout(wait);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if !body.is_empty() {
            request = request.body(body);
        }
        Ok(request.send().await?)
    }

    /// Asks, and reads the whole answer.
    ///
    /// # Errors
    /// Why there is none.
    ///
    /// # Cancel safety
    /// Whoever is asked may have got it.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Said, Fault> {
        let bytes_max = ask.bytes_max;
        read(self.open(ask).await?, bytes_max).await
    }
}

/// Reads the whole of an answer.
///
/// # Errors
/// Why there is none.
///
/// # Cancel safety
/// What was read is lost.
pub async fn read(mut response: Response, bytes_max: usize) -> Result<Said, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len().saturating_add(chunk.len()) > bytes_max {
            return Err(Fault::TooLarge(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    let (status, headers) = (response.status(), response.headers().clone());
    Ok(Said { status, headers, body })
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

/// A thread that waits for networks, for who may block, and for what goes on beside the path of data. It is started when
/// it is first needed.
#[derive(Debug, Default)]
pub struct Courier {
    runtime: Mutex<Option<Runtime>>,
    tasks: Tasks,
}

/// A task of a courier; it ends when this is dropped.
#[derive(Debug)]
pub struct Running(
    #[expect(dead_code, reason = "that it is dropped is what it says")] oneshot::Sender<()>,
);

impl Courier {
    fn handle(&self) -> std::io::Result<Handle> {
        let mut runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*runtime {
            return Ok(runtime.handle().clone());
        }
        let started = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(2)
            .thread_name("courier")
            .enable_all()
            .build()?;
        Ok(runtime.insert(started).handle().clone())
    }

    /// Runs the future to its end. Blocks; not for threads of a runtime.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn wait<T>(&self, future: impl Future<Output = T>) -> std::io::Result<T> {
        Ok(self.handle()?.block_on(future))
    }

    /// Starts the future as a task, which ends by itself, or when what is returned is dropped.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub fn spawn(
        &self,
        name: &'static str,
        future: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<Running> {
        let handle = self.handle()?;
        let _inside = handle.enter();
        let (sender, gone) = oneshot::channel();
        self.tasks.spawn(name, async move {
            tokio::select! {
                _ = gone => {}
                () = future => {}
            }
        });
        Ok(Running(sender))
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        // Whoever is last may be where nobody may wait.
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(runtime) = runtime {
            runtime.shutdown_background();
        }
    }
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
    fn what_a_courier_runs_ends_when_nobody_wants_it() {
        let courier = Courier::default();
        assert_eq!(courier.wait(async { 7 }).unwrap(), 7);
        let (sender, ended) = oneshot::channel::<()>();
        let running = courier
            .spawn("waits", async move {
                let _sender = sender;
                std::future::pending::<()>().await;
            })
            .unwrap();
        drop(running);
        assert!(courier.wait(ended).unwrap().is_err());
    }
}
