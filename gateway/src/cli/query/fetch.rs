//! One GET of the query API, and what is told beside its answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Method, header};

use super::server::Server;
use crate::auth::TENANT_HEADER;
use crate::cli::reach::{Ask, Said};

/// How long a server may take for all of its answer.
const ANSWER_WAIT: Duration = Duration::from_secs(60);

/// The longest answer: more than a trace of a million spans.
pub(super) const ANSWER_BYTES_MAX: usize = 1 << 30;

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
    let mut headers = vec![(header::ACCEPT, form.accept().to_owned())];
    if let Some(tenants) = &server.tenant {
        headers.push((HeaderName::from_static(TENANT_HEADER), tenants.to_string()));
    }
    let (method, body, wait, bytes_max) =
        (Method::GET, String::new(), ANSWER_WAIT, ANSWER_BYTES_MAX);
    let ask = Ask { method, path, headers, body, wait, bytes_max };
    let Said { status, headers, body } = server.trust.ask(&server.url, ask)?;
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (hint, partial) = (header("x-traceweir-hint"), header("x-traceweir-partial"));
    let next = header(header::LINK.as_str()).and_then(next).map(str::to_owned);
    let (hint, partial) = (hint.map(unescaped), partial.map(unescaped));
    Ok(Answer { status, body: body.into(), hint, partial, next })
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
