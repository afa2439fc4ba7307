//! One GET over HTTP/1.1. Knows no TLS: it is for the loopback and for inner networks.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Uri, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::server::Server;
use crate::auth::TENANT_HEADER;
use crate::clock;

/// How long a server may take for all of its answer.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// The longest answer: more than a trace of a million spans.
pub(super) const ANSWER_BYTES_MAX: usize = 1 << 30;

/// Where the API is, such as `http://127.0.0.1:3200/tempo`.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// `host:port`.
    authority: String,
    /// What stands in front of every path; no slash at its end.
    base: String,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.base)
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: Uri = text.parse().map_err(|fault| format!("{fault}"))?;
        if uri.scheme_str() != Some("http") {
            return Err("only http:// is spoken here".to_owned());
        }
        let authority = uri.authority().ok_or("there is no host in it")?;
        if authority.as_str().contains('@') {
            return Err("user names are not sent".to_owned());
        }
        let port = authority.port_u16().unwrap_or(80);
        let authority = format!("{}:{port}", authority.host());
        Ok(Self { authority, base: uri.path().trim_end_matches('/').to_owned() })
    }
}

/// What the server said.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
    /// What the server says about the query, decoded.
    pub(super) hint: Option<String>,
    /// Why the answer is not whole, decoded.
    pub(super) partial: Option<String>,
    /// The parameters of the next page, with their `?`.
    pub(super) next: Option<String>,
}

/// In which form an answer is wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    Protobuf,
    Json,
}

impl Form {
    const fn accept(self) -> &'static str {
        match self {
            Self::Protobuf => "application/protobuf",
            Self::Json => "application/json",
        }
    }
}

/// Gets `path`. Blocks.
///
/// # Errors
/// Says who did not answer, and why.
pub(super) fn get(server: &Server, path: &str, form: Form) -> Result<Answer, String> {
    let target = &server.url;
    let silent = |why: &dyn fmt::Display| format!("no server answers at {target}: {why}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|fault| silent(&fault))?;
    let mut request = Request::get(format!("{}{path}", target.base))
        .header(header::HOST, &target.authority)
        .header(header::ACCEPT, form.accept())
        .header(header::USER_AGENT, concat!("traceweir/", env!("CARGO_PKG_VERSION")));
    if let Some(tenants) = &server.tenant {
        request = request.header(TENANT_HEADER, tenants.to_string());
    }
    if let Some(token) = &server.token {
        request = request.header(header::AUTHORIZATION, token.bearer());
    }
    let request = request.body(Empty::new()).map_err(|fault| silent(&fault))?;
    let answer = clock::timeout(ANSWER_WAIT, exchange(&target.authority, request));
    match runtime.block_on(answer) {
        Some(answer) => answer.map_err(|fault| silent(&fault)),
        None => Err(silent(&"it takes longer than a minute")),
    }
}

type Fault = Box<dyn std::error::Error + Send + Sync>;

async fn exchange(authority: &str, request: Request<Empty<Bytes>>) -> Result<Answer, Fault> {
    let stream = TcpStream::connect(authority).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let answer = async move {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let told = |name: &str| {
            let value = response.headers().get(name).and_then(|value| value.to_str().ok());
            value.map(unescaped)
        };
        let (hint, partial) = (told("x-traceweir-hint"), told("x-traceweir-partial"));
        let link = response.headers().get(header::LINK).and_then(|link| link.to_str().ok());
        let next = link.and_then(next).map(str::to_owned);
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await?;
        Ok::<_, Fault>(Answer { status, body: body.to_bytes(), hint, partial, next })
    };
    // The connection ends once the sender is gone; what it fails with shows in the answer.
    let ended = async { Ok::<_, Infallible>(connection.await.is_ok()) };
    let (answer, _) = tokio::join!(answer, ended);
    answer
}

/// Where a `Link` header says that the next page is, if that is the same path.
fn next(link: &str) -> Option<&str> {
    let (target, relation) = link.strip_prefix('<')?.split_once('>')?;
    (target.starts_with('?') && relation.trim() == "; rel=\"next\"").then_some(target)
}

/// Resolves `%XX`; what is no such thing stays.
fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        rest = match rest {
            [b'%', high, low, tail @ ..] if digit(high).is_some() && digit(low).is_some() => {
                let (high, low) = (digit(high).unwrap_or(0), digit(low).unwrap_or(0));
                out.push(high << 4 | low);
                tail
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
            [] => return String::from_utf8_lossy(&out).into_owned(),
        };
    }
}
