//! CORS: which web pages may send spans, and which may ask, from a browser. Nobody's, unless
//! configured.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use model::{Faults, Wait};
use serde::{Deserialize, Serialize};

use crate::server::Body;

/// Which origins may send spans, or may ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Origins such as `https://shop.example.com`; one `*` stands for any text. Default none.
    pub allowed_origins: Vec<String>,
    /// Headers that pages may set. Default content-type, content-encoding, x-scope-orgid.
    pub allowed_headers: Vec<String>,
    /// How long browsers may remember the answer. Default 2h.
    pub max_age: Wait,
}

impl Default for Config {
    fn default() -> Self {
        let headers = ["content-type", "content-encoding", "x-scope-orgid"];
        Self {
            allowed_origins: Vec::new(),
            allowed_headers: headers.map(str::to_owned).to_vec(),
            max_age: Wait::secs(7200),
        }
    }
}

impl Config {
    /// Notes every value that is not accepted; `key` is the dotted key of this section.
    pub fn check(&self, key: &str, faults: &mut Faults) {
        for origin in &self.allowed_origins {
            let sane = HeaderValue::from_str(origin).is_ok() && !origin.is_empty();
            if !sane || origin.matches('*').count() > 1 {
                let accepted = "an origin such as https://shop.example.com, with at most one *";
                faults.push(&format!("{key}.allowed_origins"), origin, accepted);
            }
        }
        for header in &self.allowed_headers {
            if header.parse::<http::HeaderName>().is_err() {
                let key = format!("{key}.allowed_headers");
                faults.push(&key, header, "the name of a header");
            }
        }
        let ages = Wait::secs(0)..=Wait::secs(86_400);
        faults.check_range(&format!("{key}.max_age"), self.max_age, ages);
    }
}

/// The configured policy, ready to answer.
#[derive(Debug)]
pub(crate) struct Cors {
    origins: Vec<String>,
    methods: HeaderValue,
    exposed: HeaderValue,
    headers: HeaderValue,
    max_age: HeaderValue,
}

impl Cors {
    /// A policy for requests of these methods, whose answers have these headers for pages.
    pub(crate) fn new(config: &Config, methods: &'static str, exposed: &'static str) -> Self {
        let headers = config.allowed_headers.join(", ");
        Self {
            origins: config.allowed_origins.clone(),
            methods: HeaderValue::from_static(methods),
            exposed: HeaderValue::from_static(exposed),
            headers: HeaderValue::try_from(headers)
                .unwrap_or_else(|_| HeaderValue::from_static("content-type")),
            max_age: HeaderValue::from(config.max_age.0.as_secs()),
        }
    }

    /// The origin of a request, where CORS is configured at all: what [`Cors::allow`] wants.
    pub(crate) fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        (!self.origins.is_empty()).then(|| headers.get(ORIGIN).cloned()).flatten()
    }

    /// The answer to a browser that asks before it sends; `None` for everything else.
    pub(crate) fn preflight<B>(&self, request: &Request<B>) -> Option<Response<Body>> {
        let asks = request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if request.method() != Method::OPTIONS || !asks {
            return None;
        }
        let origin = self.origin(request.headers())?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        if self.allows(&origin) {
            let headers = response.headers_mut();
            headers.insert(ACCESS_CONTROL_ALLOW_METHODS, self.methods.clone());
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, self.headers.clone());
            headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        }
        self.allow(Some(origin), &mut response);
        Some(response)
    }

    /// Lets the page at `origin` read the answer, if it may.
    pub(crate) fn allow(&self, origin: Option<HeaderValue>, response: &mut Response<Body>) {
        let Some(origin) = origin else { return };
        let headers = response.headers_mut();
        headers.append(VARY, HeaderValue::from_static("origin"));
        if self.allows(&origin) {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, self.exposed.clone());
        }
    }

    fn allows(&self, origin: &HeaderValue) -> bool {
        origin.to_str().is_ok_and(|origin| {
            self.origins.iter().any(|pattern| matches(pattern, &origin.to_ascii_lowercase()))
        })
    }
}

/// Whether the text is the pattern, whose one `*` stands for any text.
fn matches(pattern: &str, text: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, after)) => {
            text.strip_prefix(before).is_some_and(|rest| rest.ends_with(after))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_origins() {
        assert!(matches("*", "https://a.example"));
        assert!(matches("https://*.example.com", "https://shop.example.com"));
        assert!(matches("https://A.example", "https://a.example"));
        assert!(!matches("https://*.example.com", "https://example.com"));
        assert!(!matches("https://a.example", "https://a.example.evil"));
        assert!(!matches("https://*.example.com", "https://shop.example.com.evil"));
    }

    #[test]
    fn faults_name_the_key() {
        let mut faults = Faults::default();
        let config = Config {
            allowed_origins: vec!["https://*.*".to_owned()],
            allowed_headers: vec!["no header".to_owned()],
            ..Config::default()
        };
        config.check("receiver.cors", &mut faults);
        let keys: Vec<_> = faults.list().iter().map(|fault| fault.key.as_str()).collect();
        assert_eq!(keys, ["receiver.cors.allowed_origins", "receiver.cors.allowed_headers"]);
    }
}
