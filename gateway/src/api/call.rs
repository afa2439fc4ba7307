//! One request as the handlers see it: path, query parameters, headers, decoded and bounded.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, header, request};
use model::{Federation, Nanos, TimeRange};
use store::execute::traceql::Budget;

use super::error::Fault;
use super::guard::Guard;
use super::{lists, llm};
use crate::auth::Caller;

/// The longest query string, in bytes.
const QUERY_BYTES_MAX: usize = 128 << 10;

/// What the tenant's own prefix starts with, as Kiali and Jaeger-style proxies build it.
const TENANT_PREFIX: &str = "/api/traces/v1/";

/// What it ends with.
const TENANT_SUFFIX: &str = "/tempo";

/// A path without what proxies put in front of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'a> {
    rest: &'a str,
    /// The tenant that the path names, as it is written there.
    pub(super) tenant: Option<&'a str>,
}

impl<'a> Path<'a> {
    pub(super) fn of(path: &'a str, base: &str) -> Self {
        let within = |rest: &&str| rest.starts_with('/');
        let rest = match path.strip_prefix(base).filter(within) {
            Some(rest) if !base.is_empty() => rest,
            _ => path,
        };
        let prefixed = rest.strip_prefix(TENANT_PREFIX).and_then(|rest| {
            let (tenant, rest) = rest.split_at(rest.find('/')?);
            let rest = rest.strip_prefix(TENANT_SUFFIX).filter(within)?;
            Some(Self { rest, tenant: Some(tenant) })
        });
        prefixed.unwrap_or(Self { rest, tenant: None })
    }

    /// The decoded `{id}` of a pattern that fits (empty where it has none). One in the middle of a
    /// pattern may have slashes: proxies decode those of an attribute's name.
    pub(super) fn matches(&self, pattern: &str) -> Option<String> {
        let path = self.rest.strip_suffix('/').unwrap_or(self.rest);
        let Some((before, after)) = pattern.split_once('{') else {
            return (path == pattern).then(String::new);
        };
        let (_, after) = after.split_once('}')?;
        let id = path.strip_prefix(before)?.strip_suffix(after)?;
        if id.is_empty() || (after.is_empty() && id.contains('/')) {
            return None;
        }
        decode(id, false).map(Cow::into_owned)
    }
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Tempo's JSON.
    Json,
    /// Tempo's messages.
    Protobuf,
    /// In as few words as it can be told.
    Short,
}

/// One request.
#[derive(Debug)]
pub(super) struct Call {
    id: String,
    tenant: Option<String>,
    query: String,
    headers: HeaderMap,
    body: Bytes,
    guard: Guard,
    caller: Option<Caller>,
}

impl Call {
    pub(super) fn new(head: &request::Parts, id: String, tenant: Option<&str>) -> Self {
        Self {
            guard: Guard::default(),
            id,
            tenant: tenant.map(str::to_owned),
            query: head.uri.query().unwrap_or_default().to_owned(),
            headers: head.headers.clone(),
            body: Bytes::new(),
            caller: None,
        }
    }

    /// The same request with who asks, and its body.
    pub(super) fn of(self, caller: Option<Caller>, body: Bytes) -> Self {
        Self { caller, body, ..self }
    }

    /// The same request with what its answer may cost.
    pub(super) fn within(self, guard: Guard) -> Self {
        Self { guard, ..self }
    }

    /// What the answer may cost.
    pub(super) const fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Who asks.
    ///
    /// # Errors
    /// Where the route does not want to know, which is a fault of ours.
    pub(super) fn caller(&self) -> Result<&Caller, Fault> {
        self.caller.as_ref().ok_or_else(|| Fault::internal("nobody asks"))
    }

    /// The body; empty where the route takes none.
    pub(super) const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The `{id}` of the path.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The same request with another value of a parameter, as a relative reference.
    pub(super) fn with(&self, name: &str, value: &str) -> String {
        let is_other = |pair: &&str| pair.split('=').next() != Some(name) && !pair.is_empty();
        let pairs: Vec<&str> = self.query.split('&').filter(is_other).collect();
        let others = pairs.join("&");
        let between = if others.is_empty() { "" } else { "&" };
        format!("?{others}{between}{name}={value}")
    }

    /// What it may cost in time and bytes.
    pub(super) fn budget(&self) -> Budget {
        self.guard.budget().clone()
    }

    pub(super) const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The tenants that the path names.
    pub(super) fn tenants(&self) -> Result<Option<Federation>, Fault> {
        let Some(text) = &self.tenant else { return Ok(None) };
        let text = decode(text, false).ok_or_else(|| Fault::invalid("tenant in the path"))?;
        Federation::parse(&text).map(Some).map_err(|fault| Fault::invalid(fault.to_string()))
    }

    /// Whether the client asks for protobuf.
    pub(super) fn takes_protobuf(&self) -> bool {
        lists(&self.headers, header::ACCEPT, &["application/protobuf", "application/x-protobuf"])
    }

    /// In which form the client wants traces and values.
    pub(super) fn form(&self) -> Form {
        if self.takes_protobuf() {
            Form::Protobuf
        } else if lists(&self.headers, header::ACCEPT, &[llm::CONTENT_TYPE]) {
            Form::Short
        } else {
            Form::Json
        }
    }

    /// Whether the answer may be gzipped.
    pub(super) fn takes_gzip(&self) -> bool {
        lists(&self.headers, header::ACCEPT_ENCODING, &["gzip", "*"])
    }

    /// The query parameters.
    pub(super) fn parameters(&self) -> Result<Parameters<'_>, Fault> {
        if self.query.len() > QUERY_BYTES_MAX {
            return Err(Fault::invalid(format!(
                "the query is {} bytes long, at most {QUERY_BYTES_MAX} are taken",
                self.query.len()
            )));
        }
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match (decode(name, true), decode(value, true)) {
                (Some(name), Some(value)) => Ok((name, value)),
                _ => Err(Fault::invalid("the query has a % without two hex digits, or no UTF-8")),
            }
        });
        decoded.collect::<Result<_, _>>().map(Parameters)
    }
}

/// The parameters of a request, in their order.
#[derive(Debug)]
pub(super) struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Parameters<'_> {
    /// The first parameter of the name; an empty one is none.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(found, _)| found == name);
        found.map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let refuse = || Fault::invalid(format!("{name}: {text:?} is no whole number"));
        text.parse().map(Some).map_err(|_| refuse())
    }

    /// Yes or no; no where it is not there.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.get(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(other) => {
                Err(Fault::invalid(format!("{name}: {other:?} is neither true nor false")))
            }
        }
    }

    /// A number of levels; nothing is all of them, which is written -1.
    pub(super) fn levels(&self, name: &str, usual: Option<usize>) -> Result<Option<usize>, Fault> {
        match self.get(name) {
            None => Ok(usual),
            Some("-1") => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| {
                Fault::invalid(format!("{name}: {text:?} is neither a number nor -1"))
            }),
        }
    }

    /// `start` and `end`, in seconds since the epoch: both or none of them (Tempo's way of
    /// saying none is 0 for both). The second of the end is in the range as a whole: who asks
    /// until now means what has just come in, too.
    pub(super) fn during(&self) -> Result<TimeRange, Fault> {
        seconds_range(self.seconds("start")?, self.seconds("end")?)
    }

    /// A moment in seconds.
    fn seconds(&self, name: &str) -> Result<Option<u64>, Fault> {
        let seconds = self.number(name)?;
        if seconds.is_some_and(|seconds| seconds > u64::from(u32::MAX)) {
            return Err(Fault::invalid(format!("{name} is to be in seconds since 1970")));
        }
        Ok(seconds)
    }
}

/// A range of [`Parameters::during`].
///
/// # Errors
/// When it is none.
pub(super) fn seconds_range(start: Option<u64>, end: Option<u64>) -> Result<TimeRange, Fault> {
    let (start, end) = match (start, end) {
        (None, None) | (Some(0), Some(0)) => return Ok(TimeRange::ALL),
        (Some(start), Some(end)) => (start, end),
        _ => return Err(Fault::invalid("start and end go together: give both or none")),
    };
    if start >= end {
        return Err(Fault::invalid(format!("start ({start}) must be before end ({end})")));
    }
    let end = Nanos::from_secs(end).plus(Nanos(999_999_999));
    Ok(TimeRange { start: Nanos::from_secs(start), end })
}

/// Resolves `%XX`, and in queries `+`.
fn decode(text: &str, plus: bool) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| byte == b'%' || plus && byte == b'+') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    loop {
        rest = match rest {
            [b'%', high, low, tail @ ..] => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                out.push(u8::try_from(digit(high)? << 4 | digit(low)?).ok()?);
                tail
            }
            [b'%', ..] => return None,
            [b'+', tail @ ..] if plus => {
                out.push(b' ');
                tail
            }
            [byte, tail @ ..] => {
                out.push(*byte);
                tail
            }
            [] => return String::from_utf8(out).ok().map(Cow::Owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_come_off_and_ids_are_decoded() {
        let matched = |path, base, pattern| {
            let path = Path::of(path, base);
            path.matches(pattern).map(|id| (id, path.tenant.map(str::to_owned)))
        };
        let trace = "/api/traces/{id}";
        let found =
            |id: &str, tenant: Option<&str>| Some((id.to_owned(), tenant.map(str::to_owned)));
        assert_eq!(matched("/api/traces/ab", "", trace), found("ab", None));
        assert_eq!(matched("/api/traces/ab/", "", trace), found("ab", None));
        assert_eq!(matched("/api/traces/a%2Db", "", trace), found("a-b", None));
        assert_eq!(matched("/tempo/api/traces/ab", "/tempo", trace), found("ab", None));
        assert_eq!(matched("/api/traces/ab", "/tempo", trace), found("ab", None));
        assert_eq!(
            matched("/tempo/api/traces/v1/t1/tempo/api/traces/ab", "/tempo", trace),
            found("ab", Some("t1"))
        );
        assert_eq!(
            matched("/api/traces/v1/t1/tempo/api/echo", "", "/api/echo"),
            found("", Some("t1"))
        );
        let values = "/api/search/tag/{tag}/values";
        assert_eq!(matched("/api/search/tag/a%2Fb%25/values", "", values), found("a/b%", None));
        assert_eq!(matched("/api/search/tag/a/b/values", "", values), found("a/b", None));
        assert_eq!(matched("/api/search/tag/values", "", values), None);
        assert_eq!(matched("/api/search/tag//values", "", values), None);
        for path in [
            "/api/traces",
            "/api/traces/",
            "/api/traces/a/b",
            "/api/traces/%zz",
            "/tempox/api/traces/a",
        ] {
            assert_eq!(matched(path, "/tempo", trace), None, "{path}");
        }
    }

    #[test]
    fn queries_are_decoded() {
        assert_eq!(decode("a+b%20c%C3%A9", true).as_deref(), Some("a b cé"));
        assert_eq!(decode("a+b", false).as_deref(), Some("a+b"));
        for text in ["%", "%1", "%zz", "%ff", "%+1"] {
            assert_eq!(decode(text, true), None, "{text}");
        }
    }
}
