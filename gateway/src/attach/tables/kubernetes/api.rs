//! Requests to an API server: where it is, who we are, and one page of a list or one watch.

use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION};
use reqwest::Response;

use super::Config;
use super::object::{Event, Failure, List};
use crate::attach::tables::SOURCE_BYTES_MAX;
use crate::clock;
use crate::web::{self, Ask, Redirects, Url, Web};

/// Where a pod has what it is told of its service account.
const ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// How long a page may take.
const PAGE_WAIT: Duration = Duration::from_secs(60);
/// Objects of a page.
const PAGE_ITEMS: &str = "500";
/// How long a watch goes on, in seconds, until the server ends it.
const WATCH_SECONDS: u64 = 300;
/// Servers send bookmarks about once a minute: from who says nothing for so long, nothing more will come.
const QUIET_WAIT: Duration = Duration::from_secs(150);
/// The longest answer that only says why there is none.
const WORDS_BYTES_MAX: usize = 64 << 10;
/// The longest line of a watch: etcd takes objects of 1.5 MiB.
const LINE_BYTES_MAX: usize = 8 << 20;

/// Objects that are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pods,
    ReplicaSets,
    Namespaces,
    Nodes,
}

impl Kind {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pods => "pods",
            Self::ReplicaSets => "replicasets",
            Self::Namespaces => "namespaces",
            Self::Nodes => "nodes",
        }
    }

    fn path(self, namespace: &str) -> String {
        let within = match namespace {
            "" => String::new(),
            namespace => format!("namespaces/{namespace}/"),
        };
        match self {
            Self::Pods => format!("api/v1/{within}pods"),
            Self::ReplicaSets => format!("apis/apps/v1/{within}replicasets"),
            Self::Namespaces => "api/v1/namespaces".to_owned(),
            Self::Nodes => "api/v1/nodes".to_owned(),
        }
    }

    /// Of all but pods the metadata is enough.
    const fn accept(self, is_list: bool) -> &'static str {
        match (self, is_list) {
            (Self::Pods, _) => "application/json",
            (_, true) => "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
            (_, false) => "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
        }
    }
}

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The version is too old: everything has to be listed anew.
    Gone,
    /// Whatever else.
    Other(String),
}

/// An API server.
#[derive(Debug)]
pub(super) struct Api {
    web: Web,
    base: Url,
    token_file: PathBuf,
    namespace: String,
    node: String,
}

impl Api {
    pub(super) fn new(config: &Config, node: String) -> Result<Self, String> {
        let or = |text: &str, name: &str| match text {
            "" => format!("{ACCOUNT}/{name}"),
            text => text.to_owned(),
        };
        let mut url = match config.url.as_str() {
            "" => in_cluster(&|name| std::env::var(name).ok())?,
            url => url.to_owned(),
        };
        if !url.ends_with('/') {
            url.push('/');
        }
        let base = web::url(&url)?;
        let ca_file = or(&config.ca_file, "ca.crt");
        let web = Web::new(&ca_file, Redirects::Refused);
        let web = web.map_err(|fault| format!("{ca_file}: {fault}"))?;
        let token_file = PathBuf::from(or(&config.token_file, "token"));
        Ok(Self { web, base, token_file, namespace: config.namespace.clone(), node })
    }

    fn url(&self, kind: Kind, parameters: &[(&str, &str)]) -> Result<Url, Refused> {
        let path = kind.path(&self.namespace);
        let url = self.base.join(&path);
        let mut url = url.map_err(|fault| Refused::Other(fault.to_string()))?;
        {
            let mut query = url.query_pairs_mut();
            query.extend_pairs(parameters.iter().filter(|(_, value)| !value.is_empty()));
            if kind == Kind::Pods && !self.node.is_empty() {
                query.append_pair("fieldSelector", &format!("spec.nodeName={}", self.node));
            }
        }
        Ok(url)
    }

    /// Read for each request: Kubernetes writes it anew each hour.
    async fn bearer(&self) -> Result<String, Refused> {
        let token = tokio::fs::read_to_string(&self.token_file).await;
        let path = self.token_file.display();
        let token = token.map_err(|fault| Refused::Other(format!("{path}: {fault}")))?;
        Ok(format!("Bearer {}", token.trim()))
    }

    /// A page of a list; the first one where `next` is empty.
    pub(super) async fn page(&self, kind: Kind, next: &str) -> Result<List, Refused> {
        let url = self.url(kind, &[("limit", PAGE_ITEMS), ("continue", next)])?;
        let ask = Ask::get(&url, PAGE_WAIT, SOURCE_BYTES_MAX)
            .header(ACCEPT, kind.accept(true))
            .header(AUTHORIZATION, self.bearer().await?);
        let said = self.web.ask(ask).await.map_err(|fault| other(kind, &fault))?;
        if said.status != StatusCode::OK {
            return Err(refused(kind, said.status, &said.body));
        }
        serde_json::from_slice(&said.body).map_err(|fault| other(kind, &fault))
    }

    /// What changes from a version on.
    pub(super) async fn watch(&self, kind: Kind, version: &str) -> Result<Watch, Refused> {
        let seconds = WATCH_SECONDS.to_string();
        let url = self.url(
            kind,
            &[
                ("watch", "1"),
                ("allowWatchBookmarks", "true"),
                ("resourceVersion", version),
                ("timeoutSeconds", &seconds),
            ],
        )?;
        let wait = Duration::from_secs(WATCH_SECONDS) + PAGE_WAIT;
        let ask = Ask::get(&url, wait, LINE_BYTES_MAX)
            .header(ACCEPT, kind.accept(false))
            .header(AUTHORIZATION, self.bearer().await?);
        let response = self.web.open(ask).await.map_err(|fault| other(kind, &fault))?;
        if response.status() == StatusCode::OK {
            return Ok(Watch { kind, response, lines: Lines::default() });
        }
        let said =
            web::read(response, WORDS_BYTES_MAX).await.map_err(|fault| other(kind, &fault))?;
        Err(refused(kind, said.status, &said.body))
    }
}

/// Where the API server of the cluster is that we run in.
fn in_cluster(var: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let of = |name: &str| var(name).filter(|value| !value.is_empty());
    let host = of("KUBERNETES_SERVICE_HOST");
    let host =
        host.ok_or("no url, and KUBERNETES_SERVICE_HOST is not set: we do not run in a pod")?;
    let port = of("KUBERNETES_SERVICE_PORT").unwrap_or_else(|| "443".to_owned());
    let host = if host.contains(':') { format!("[{host}]") } else { host };
    Ok(format!("https://{host}:{port}/"))
}

fn other(kind: Kind, fault: &dyn std::fmt::Display) -> Refused {
    Refused::Other(format!("{}: {fault}", kind.name()))
}

fn refused(kind: Kind, status: StatusCode, body: &[u8]) -> Refused {
    if status == StatusCode::GONE {
        return Refused::Gone;
    }
    let told = serde_json::from_slice::<Failure>(body).unwrap_or_default().message;
    let told: String = told.chars().filter(|of| !of.is_control()).take(300).collect();
    let colon = if told.is_empty() { "" } else { ": " };
    Refused::Other(format!("{}: the API server answers {status}{colon}{told}", kind.name()))
}

/// A watch that goes on.
#[derive(Debug)]
pub(super) struct Watch {
    kind: Kind,
    response: Response,
    lines: Lines,
}

impl Watch {
    /// What has changed next; nothing when the server has ended the watch.
    ///
    /// # Cancel safety
    /// What was read is lost: whoever drops this drops the watch.
    pub(super) async fn next(&mut self) -> Result<Option<Event>, Refused> {
        loop {
            if let Some(line) = self.lines.next() {
                return event(self.kind, &line).map(Some);
            }
            let chunk = clock::timeout(QUIET_WAIT, self.response.chunk()).await;
            match chunk {
                None => return Ok(None),
                Some(Ok(Some(chunk))) => {
                    self.lines.add(&chunk).map_err(|fault| other(self.kind, &fault))?;
                }
                Some(Ok(None)) => return Ok(None),
                Some(Err(fault)) => return Err(other(self.kind, &web::Fault::from(fault))),
            }
        }
    }
}

fn event(kind: Kind, line: &[u8]) -> Result<Event, Refused> {
    match serde_json::from_slice(line) {
        Ok(Event::Error(Failure { code: 410, .. })) => Err(Refused::Gone),
        Ok(Event::Error(failure)) => {
            let message: String = failure.message.chars().take(300).collect();
            Err(other(kind, &format!("the watch ends with {}: {message}", failure.code)))
        }
        Ok(event) => Ok(event),
        Err(fault) => Err(other(kind, &fault)),
    }
}

/// Bytes as lines.
#[derive(Debug, Default)]
struct Lines {
    bytes: Vec<u8>,
    /// Up to where there is no end of a line.
    searched: usize,
}

impl Lines {
    fn add(&mut self, chunk: &[u8]) -> Result<(), String> {
        self.bytes.extend_from_slice(chunk);
        match self.bytes.len() > LINE_BYTES_MAX.saturating_add(chunk.len()) {
            true => Err(format!("a line of more than {LINE_BYTES_MAX} bytes")),
            false => Ok(()),
        }
    }

    fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let rest = self.bytes.get(self.searched..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                self.searched = self.bytes.len();
                return None;
            };
            let mut line: Vec<u8> = self.bytes.drain(..=self.searched + end).collect();
            self.searched = 0;
            line.pop();
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some(line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_server_of_our_cluster_is_found() {
        let of = |host: &'static str, port: &'static str| {
            in_cluster(&move |name: &str| {
                Some(if name.ends_with("HOST") { host } else { port }.to_owned())
            })
        };
        assert_eq!(of("10.96.0.1", "6443").unwrap(), "https://10.96.0.1:6443/");
        assert_eq!(of("fd00::1", "").unwrap(), "https://[fd00::1]:443/");
        assert!(of("", "443").unwrap_err().contains("KUBERNETES_SERVICE_HOST"));
    }

    #[test]
    fn lines_come_however_they_are_cut() {
        let text = b"{\"a\":1}\n\n{\"b\":2}\nrest";
        for size in 1..text.len() {
            let (mut lines, mut found) = (Lines::default(), Vec::new());
            for chunk in text.chunks(size) {
                lines.add(chunk).unwrap();
                found.extend(std::iter::from_fn(|| lines.next()));
            }
            assert_eq!(found, [b"{\"a\":1}", b"{\"b\":2}"], "{size}");
        }
        let mut lines = Lines::default();
        lines.add(&vec![b'x'; LINE_BYTES_MAX]).unwrap();
        lines.add(b"x").unwrap();
        assert!(lines.add(b"x").is_err());
    }

    #[test]
    fn what_a_watch_says_is_read() {
        let of = |line: &str| event(Kind::Pods, line.as_bytes());
        assert!(
            matches!(of(r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7"}}}"#),
            Ok(Event::Bookmark(object)) if object.metadata.resource_version == "7")
        );
        let gone = r#"{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}"#;
        assert_eq!(of(gone).unwrap_err(), Refused::Gone);
        assert!(matches!(of(r#"{"type":"ERROR","object":{"code":500,"message":"etcd"}}"#),
            Err(Refused::Other(why)) if why.contains("500") && why.contains("etcd")));
        assert!(matches!(of("{"), Err(Refused::Other(_))));
    }
}
