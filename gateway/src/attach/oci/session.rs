//! Requests to one repository of a registry: where it is, and what is shown to it. Whoever is answered with 401 gets a token
//! where the answer says, as the token flow of Docker's registry has it, or shows user and password.

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderName, Method, StatusCode};
use plugins::Reference;
use serde::Deserialize;

use super::WORDS_BYTES_MAX;
use super::credentials::{AuthFile, Basic};
use crate::attach::fetch::WAIT;
use crate::web::{self, Ask, Fault, Said, Url, Web};

/// What is done there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    Pull,
    Push,
}

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Request {
    method: Method,
    place: Place,
    headers: Vec<(HeaderName, String)>,
    body: Vec<u8>,
    bytes_max: usize,
}

#[derive(Clone, Debug)]
enum Place {
    /// Below the repository.
    Path(String),
    Url(Url),
}

impl Request {
    /// Of something below the repository.
    pub(super) fn new(method: Method, path: &str, bytes_max: usize) -> Self {
        let (headers, body) = (Vec::new(), Vec::new());
        Self { method, place: Place::Path(path.to_owned()), headers, body, bytes_max }
    }

    /// Where the registry has said.
    pub(super) fn to(method: Method, url: Url, bytes_max: usize) -> Self {
        Self { place: Place::Url(url), ..Self::new(method, "", bytes_max) }
    }

    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = body;
        self
    }
}

/// Requests to one repository.
#[derive(Debug)]
pub(super) struct Session<'a> {
    web: &'a Web,
    /// `https://REGISTRY/v2/REPOSITORY/`
    base: Url,
    repository: String,
    access: Access,
    basic: Option<Basic>,
    authorization: Option<String>,
}

impl<'a> Session<'a> {
    pub(super) async fn open(
        web: &'a Web,
        auth: &AuthFile,
        reference: &Reference,
        access: Access,
    ) -> Result<Self, String> {
        let basic = auth.of(&reference.registry)?;
        let (host, repository) = match (reference.registry.as_str(), &reference.repository) {
            ("docker.io", name) if !name.contains('/') => {
                ("registry-1.docker.io", format!("library/{name}"))
            }
            ("docker.io", name) => ("registry-1.docker.io", name.clone()),
            (host, name) => (host, name.clone()),
        };
        let root = root(web, host).await?;
        let base = root.join(&format!("{repository}/")).map_err(|fault| fault.to_string())?;
        let authorization = None;
        Ok(Self { web, base, repository, access, basic, authorization })
    }

    /// An address that the registry has named.
    pub(super) fn resolve(&self, place: &str) -> Result<Url, String> {
        let url =
            self.base.join(place).map_err(|fault| format!("it names {place:.200}: {fault}"))?;
        web::url(url.as_str())
    }

    /// Asks; once more with what is wanted to be shown.
    pub(super) async fn ask(&mut self, request: Request) -> Result<Said, String> {
        let said = self.send(&request).await?;
        if said.status != StatusCode::UNAUTHORIZED {
            return Ok(said);
        }
        let challenges = said.headers.get_all(WWW_AUTHENTICATE).iter();
        let challenges: Vec<Challenge> =
            challenges.filter_map(|value| Challenge::parse(value.to_str().ok()?)).collect();
        let authorization = self.answer(&challenges).await?;
        if authorization.is_none() || authorization == self.authorization {
            return Ok(said);
        }
        self.authorization = authorization;
        self.send(&request).await
    }

    /// Asks for something that has to be there.
    pub(super) async fn found(&mut self, request: Request, what: &str) -> Result<Vec<u8>, String> {
        let said = self.ask(request).await.map_err(|fault| format!("{what}: {fault}"))?;
        match said.status {
            StatusCode::OK => Ok(said.body),
            _ => Err(refused(what, &said)),
        }
    }

    async fn send(&self, request: &Request) -> Result<Said, String> {
        let url = match &request.place {
            Place::Path(path) => self.base.join(path).map_err(|fault| fault.to_string())?,
            Place::Url(url) => url.clone(),
        };
        let mut headers = request.headers.clone();
        // Uploads may go elsewhere, which is none of our registry's credentials' business.
        if let Some(authorization) = &self.authorization
            && url.origin() == self.base.origin()
        {
            headers.push((AUTHORIZATION, authorization.clone()));
        }
        let Request { method, body, bytes_max, .. } = request.clone();
        let ask = Ask { method, url: &url, headers, body, wait: WAIT, bytes_max };
        self.web.ask(ask).await.map_err(|fault| fault.to_string())
    }

    /// What is shown to whoever asks so.
    async fn answer(&self, challenges: &[Challenge]) -> Result<Option<String>, String> {
        let of = |scheme: &str| challenges.iter().find(|of| of.scheme.eq_ignore_ascii_case(scheme));
        if let Some(challenge) = of("bearer") {
            return self.token(challenge).await.map(Some);
        }
        Ok(of("basic").and(self.basic.as_ref()).map(Basic::header))
    }

    async fn token(&self, challenge: &Challenge) -> Result<String, String> {
        #[derive(Deserialize)]
        struct Told {
            token: Option<String>,
            access_token: Option<String>,
        }
        let realm = challenge.get("realm").unwrap_or_default();
        let named = |fault: &dyn std::fmt::Display| format!("a token from {realm:.200}: {fault}");
        let mut url = web::url(realm).map_err(|fault| named(&fault))?;
        let actions = if self.access == Access::Push { "pull,push" } else { "pull" };
        let scope = format!("repository:{}:{actions}", self.repository);
        if let Some(service) = challenge.get("service") {
            url.query_pairs_mut().append_pair("service", service);
        }
        url.query_pairs_mut().append_pair("scope", &scope);
        let mut ask = Ask::get(&url, WAIT, WORDS_BYTES_MAX);
        if let Some(basic) = &self.basic {
            ask = ask.header(AUTHORIZATION, basic.header());
        }
        let said = self.web.ask(ask).await.map_err(|fault| named(&fault))?;
        if said.status != StatusCode::OK {
            return Err(refused(&format!("a token from {realm:.200}"), &said));
        }
        let told: Told =
            serde_json::from_slice(&said.body).map_err(|_| named(&"its answer has none"))?;
        let token = told.token.or(told.access_token).filter(|token| !token.is_empty());
        token.map(|token| format!("Bearer {token}")).ok_or_else(|| named(&"its answer has none"))
    }
}

/// Where a registry is. On this machine it may speak in the clear, if it does not speak TLS.
async fn root(web: &Web, host: &str) -> Result<Url, String> {
    let of = |scheme: &str| web::url(&format!("{scheme}://{host}/v2/"));
    let secure = of("https")?;
    if !secure.host_str().is_some_and(web::is_here) {
        return Ok(secure);
    }
    let Err(fault) = web.ask(Ask::get(&secure, WAIT, WORDS_BYTES_MAX)).await else {
        return Ok(secure);
    };
    let clear = of("http")?;
    match web.ask(Ask::get(&clear, WAIT, WORDS_BYTES_MAX)).await {
        // Who speaks TLS answers so to who does not.
        Ok(said) if said.status != StatusCode::BAD_REQUEST => Ok(clear),
        Ok(_) | Err(Fault::Timeout | Fault::TooLarge(_) | Fault::Network(_)) => {
            Err(fault.to_string())
        }
    }
}

/// What was refused, and the registry's words for it.
pub(super) fn refused(what: &str, said: &Said) -> String {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<Fault>,
    }
    #[derive(Deserialize)]
    struct Fault {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let told = serde_json::from_slice::<Errors>(&said.body).ok();
    let words = told.and_then(|told| told.errors.into_iter().next());
    let words = words.map(|of| format!(": {} {}", of.code, of.message)).unwrap_or_default();
    let words: String = words.chars().filter(|of| !of.is_control()).take(300).collect();
    format!("{what}: the registry answers {}{words}", said.status)
}

/// How somebody wants to be shown who we are (RFC 9110, 11.6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    fn parse(text: &str) -> Option<Self> {
        let (scheme, mut rest) = text.trim().split_once(' ').unwrap_or_else(|| (text.trim(), ""));
        let mut parameters = Vec::new();
        while let Some((name, value)) = rest.split_once('=') {
            let name = name.trim_matches([' ', ',', '\t']).to_ascii_lowercase();
            let value = value.trim_start();
            let (value, after) = match value.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"')?,
                None => value.split_once(',').unwrap_or((value, "")),
            };
            parameters.push((name, value.trim().to_owned()));
            rest = after;
        }
        (!scheme.is_empty()).then(|| Self { scheme: scheme.to_owned(), parameters })
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(of, _)| of == name);
        found.map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let text = r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push""#;
        let challenge = Challenge::parse(text).unwrap();
        assert_eq!(challenge.scheme, "Bearer");
        assert_eq!(challenge.get("realm"), Some("https://auth.example/token"));
        assert_eq!(challenge.get("service"), Some("registry.example"));
        assert_eq!(challenge.get("scope"), Some("repository:a/b:pull,push"));
        let plain = Challenge::parse("Basic realm=here, charset=\"UTF-8\"").unwrap();
        assert_eq!((plain.get("realm"), plain.get("charset")), (Some("here"), Some("UTF-8")));
        assert_eq!(Challenge::parse("Negotiate").unwrap().parameters, []);
        assert_eq!(Challenge::parse(""), None);
        assert_eq!(Challenge::parse("Bearer realm=\"open"), None);
    }
}
