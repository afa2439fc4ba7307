//! Which server is asked, and for whom; shared by all questions.

use bytes::Bytes;
use model::Federation;
use prost::Message;

use super::fetch::{self, Answer, Form};
use super::read;
use crate::cli::complain;
use crate::cli::reach::{Target, Trust};

/// Which server is asked, and for whom.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Server {
    /// Where the query API is
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:3200")]
    pub(super) url: Target,
    /// The tenant, or several as `a|b`, sent as X-Scope-OrgID
    #[arg(long, value_name = "ID", value_parser = tenants)]
    pub(super) tenant: Option<Federation>,
    #[command(flatten)]
    pub(super) trust: Trust,
}

fn tenants(text: &str) -> Result<Federation, String> {
    Federation::parse(text).map_err(|fault| fault.to_string())
}

impl Server {
    /// Gets JSON as it is.
    ///
    /// # Errors
    /// Says who did not answer, or what was wrong.
    pub(super) fn json(&self, path: &str) -> Result<String, String> {
        let body = self.get(path, Form::Json)?;
        let text = String::from_utf8(body.into());
        text.map(|text| text + "\n").map_err(|_| format!("{} sent no text", self.url))
    }

    /// Gets a message.
    ///
    /// # Errors
    /// Says who did not answer, or what was wrong.
    pub(super) fn message<M: Message + Default>(&self, path: &str) -> Result<M, String> {
        let body = self.get(path, Form::Protobuf)?;
        M::decode(body).map_err(|fault| format!("{} is no server of this kind: {fault}", self.url))
    }

    /// What is told beside the answer goes to standard error.
    fn get(&self, path: &str, form: Form) -> Result<Bytes, String> {
        let Answer { status, body, hint, partial, .. } = fetch::get(self, path, form)?;
        let url = &self.url;
        let said = || read::text(&body).trim().to_owned();
        match status {
            200 => {}
            400 => return Err(said()),
            401 => return Err(self.unknown(&said())),
            status => return Err(format!("{url} answered {status}: {}", said())),
        }
        if let Some(partial) = partial {
            complain(&format!("the answer is not whole: {}", read::text(partial.as_bytes())));
        }
        for line in hint.iter().flat_map(|hint| hint.lines()) {
            complain(&format!("hint: {}", read::text(line.as_bytes())));
        }
        Ok(body)
    }

    /// Why a server does not answer just anybody, by what it said.
    pub(super) fn unknown(&self, said: &str) -> String {
        let url = &self.url;
        match self.trust.token {
            Some(_) => format!("{url} does not let this token in: {said}"),
            None => format!(
                "{url} wants to know who asks: name the tenant with --tenant, or give a --token"
            ),
        }
    }
}

/// A path with its parameters, of which those without a value are left out.
pub(super) fn path(path: &str, parameters: &[(&str, Option<String>)]) -> String {
    let mut out = path.to_owned();
    let given = parameters.iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    for (at, (name, value)) in given.enumerate() {
        out.push(if at == 0 { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        out.push_str(&escaped(value));
    }
    out
}

/// Text as a URL may hold it in every place.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            _ => {
                let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
                out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped() {
        let parameters = [("q", Some("{ .a = \"é\" }".to_owned())), ("x", None)];
        assert_eq!(path("/p", &parameters), "/p?q=%7b%20.a%20%3d%20%22%c3%a9%22%20%7d");
        assert_eq!(
            path("/p", &[("a", Some("1".to_owned())), ("b", Some(String::new()))]),
            "/p?a=1&b="
        );
        assert_eq!(escaped("a/b%"), "a%2fb%25");
    }
}
