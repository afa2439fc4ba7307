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
use model::TenantId;
use tokio::net::TcpStream;

use crate::clock;
use crate::receiver::tenancy::TENANT_HEADER;

/// How long a server may take for all of its answer.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// The longest answer: more than a trace of a million spans.
const ANSWER_BYTES_MAX: usize = 1 << 30;

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
}

/// Gets `path` as protobuf. Blocks.
///
/// # Errors
/// Says who did not answer, and why.
pub(super) fn get(
    target: &Target,
    path: &str,
    tenant: Option<&TenantId>,
) -> Result<Answer, String> {
    let silent = |why: &dyn fmt::Display| format!("no server answers at {target}: {why}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|fault| silent(&fault))?;
    let mut request = Request::get(format!("{}{path}", target.base))
        .header(header::HOST, &target.authority)
        .header(header::ACCEPT, "application/protobuf")
        .header(header::USER_AGENT, concat!("traceweir/", env!("CARGO_PKG_VERSION")));
    if let Some(tenant) = tenant {
        request = request.header(TENANT_HEADER, tenant.as_str());
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
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await?;
        Ok::<_, Fault>(Answer { status, body: body.to_bytes() })
    };
    // The connection ends once the sender is gone; what it fails with shows in the answer.
    let ended = async { Ok::<_, Infallible>(connection.await.is_ok()) };
    let (answer, _) = tokio::join!(answer, ended);
    answer
}
