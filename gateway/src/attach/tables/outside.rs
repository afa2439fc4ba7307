//! The network as refreshers have it: the hosts that an operator allows them, and no others. Redirects are answers, so that
//! no host sends them to another.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use plugins::refresher::{Outside, Request, Response, Silence};

use crate::web::{self, Ask, Courier, Fault, Said, Url, Web};

/// The largest answer.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// What the client writes itself, and what would be taken for somebody else's.
const HEADERS_DENIED: [&str; 5] =
    ["connection", "content-length", "host", "te", "transfer-encoding"];

/// What one refresher may ask.
#[derive(Debug)]
pub(super) struct Allowed {
    web: Arc<Web>,
    courier: Arc<Courier>,
    hosts: Vec<String>,
}

impl Allowed {
    /// Whoever may ask these hosts.
    pub(super) const fn new(web: Arc<Web>, courier: Arc<Courier>, hosts: Vec<String>) -> Self {
        Self { web, courier, hosts }
    }
}

/// Whether a host, at the port that a URL has, is allowed.
fn is_allowed(hosts: &[String], url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let port = url.port_or_known_default();
    let usual = Some(443);
    hosts.iter().any(|allowed| {
        let with_port = port.map(|port| format!("{host}:{port}"));
        allowed.eq_ignore_ascii_case(host) && port == usual
            || with_port.is_some_and(|name| allowed.eq_ignore_ascii_case(&name))
    })
}

/// What is asked: allowed, and nothing strange in it.
fn checked(hosts: &[String], request: &Request) -> Result<(Method, Url, Headers), Silence> {
    let network = |why: String| Silence::Network(why);
    let url = Url::parse(&request.url).map_err(|why| network(why.to_string()))?;
    if !is_allowed(hosts, &url) {
        return Err(Silence::NotAllowed);
    }
    let url = web::url(url.as_str()).map_err(network)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(network("credentials belong into a header".to_owned()));
    }
    let method = Method::from_bytes(request.method.as_bytes());
    let method = method.map_err(|_| network(format!("{:.20}: no method", request.method)))?;
    if method == Method::CONNECT {
        return Err(Silence::NotAllowed);
    }
    let header = |(name, value): &(String, String)| {
        let fault = || network(format!("{name:.100}: no header that may be sent"));
        let known = HeaderName::from_bytes(name.as_bytes()).map_err(|_| fault())?;
        HeaderValue::from_str(value).map_err(|_| fault())?;
        match HEADERS_DENIED.contains(&known.as_str()) {
            true => Err(fault()),
            false => Ok((known, value.clone())),
        }
    };
    let headers: Result<Headers, Silence> = request.headers.iter().map(header).collect();
    Ok((method, url, headers?))
}

type Headers = Vec<(HeaderName, String)>;

impl Outside for Allowed {
    fn send(&self, request: Request) -> Result<Response, Silence> {
        let (method, url, headers) = checked(&self.hosts, &request)?;
        if request.wait == Duration::ZERO {
            return Err(Silence::Timeout);
        }
        let Request { body, wait, .. } = request;
        let ask = Ask { method, url: &url, headers, body, wait, bytes_max: ANSWER_BYTES_MAX };
        let told = self.courier.wait(self.web.ask(ask));
        let told = told.map_err(|fault| Silence::Network(fault.to_string()))?;
        told.map(response).map_err(|fault| match fault {
            Fault::Timeout => Silence::Timeout,
            Fault::TooLarge(_) => Silence::TooLarge,
            Fault::Network(why) => Silence::Network(why),
        })
    }
}

fn response(said: Said) -> Response {
    let text = |(name, value): (&HeaderName, &HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let headers = said.headers.iter().filter_map(text).collect();
    Response { status: said.status.as_u16(), headers, body: said.body }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(hosts: &[&str], url: &str) -> Result<(Method, Url, Headers), Silence> {
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        checked(&hosts, &request(url, &[]))
    }

    fn request(url: &str, headers: &[(&str, &str)]) -> Request {
        let headers =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let wait = Duration::from_secs(1);
        Request { method: "GET".to_owned(), url: url.to_owned(), headers, body: Vec::new(), wait }
    }

    #[test]
    fn only_hosts_that_are_named_are_asked_at_the_port_that_is_named() {
        let hosts = ["cmdb.example", "cmdb.example:8443", "localhost:9", "[2001:db8::1]:443"];
        for good in [
            "https://cmdb.example/a?b",
            "https://CMDB.example:443/",
            "https://cmdb.example:8443/",
            "http://localhost:9/",
            "https://[2001:db8::1]/",
        ] {
            assert!(asked(&hosts, good).is_ok(), "{good}");
        }
        for denied in [
            "https://other.example/",
            "https://cmdb.example.evil.example/",
            "https://cmdb.example:9/",
            "https://cmdb.example@evil.example/",
            "http://cmdb.example/",
            "http://localhost/",
            "https://169.254.169.254/",
            "data:text/plain,a",
        ] {
            assert_eq!(asked(&hosts, denied).unwrap_err(), Silence::NotAllowed, "{denied}");
        }
        assert!(asked(&[], "https://cmdb.example/").is_err());
        // Allowed by name, and still not asked in the clear, nor on the link.
        for wrong in [
            (["cmdb.example:80"], "http://cmdb.example/"),
            (["169.254.169.254"], "https://169.254.169.254/"),
            (["cmdb.example"], "https://me:pw@cmdb.example/"),
        ] {
            let (hosts, url) = wrong;
            assert!(matches!(asked(&hosts, url), Err(Silence::Network(_))), "{url}");
        }
    }

    #[test]
    fn headers_and_methods_are_whole() {
        let hosts = ["a.example".to_owned()];
        let with = |method: &str, name: &str, value: &str| {
            let mut request = request("https://a.example/", &[(name, value)]);
            method.clone_into(&mut request.method);
            checked(&hosts, &request).is_ok()
        };
        assert!(with("POST", "authorization", "Bearer x"));
        assert!(!with("GET", "Host", "b.example"));
        assert!(!with("GET", "a", "b\r\nc: d"));
        assert!(!with("GET", "a b", "c"));
        assert!(!with("GET /", "a", "b"));
        assert!(!with("CONNECT", "a", "b"));
    }
}
