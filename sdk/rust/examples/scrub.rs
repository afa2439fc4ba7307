//! A processor that masks what follows `token=` in `url.full` and removes `http.request.header.*`: the redactor of
//! `plugins/benches/rows.rs`.

use traceweir_plugin::{
    Answer, Batch, ConfigError, Field, Info, Owner, Plugin, PluginError, Processor, Projection,
    Read, Write, config, export_processor,
};

/// What `configure` takes: nothing.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

/// An instance.
#[derive(Debug)]
pub struct Scrub {
    url: Read,
    to: Write,
    /// The text that is written, in memory that is used again.
    masked: String,
}

const HEADERS: &str = "http.request.header.";
const NAME: &str = "token=";
const MASK: &str = "***";

impl Plugin for Scrub {
    fn describe() -> Info {
        Info {
            name: "scrub".to_owned(),
            version: "0.1.0".to_owned(),
            description: "masks tokens in URLs and removes headers".to_owned(),
            config_schema: String::new(),
            stateless: true,
        }
    }

    fn configure(json: &str) -> Result<(Self, Projection), ConfigError> {
        let Config {} = config::parse(json)?;
        let mut projection = Projection::default();
        let url = projection.read(Field::attribute(Owner::Span, "url.full"));
        let to = projection.write(Field::attribute(Owner::Span, "url.full"));
        projection.write(Field::attributes(Owner::Span, HEADERS));
        Ok((Self { url, to, masked: String::new() }, projection))
    }
}

impl Processor for Scrub {
    fn process(&mut self, batch: &Batch<'_>) -> Result<Answer, PluginError> {
        let mut answer = Answer::edits(batch);
        answer.delete_starting(Owner::Span, HEADERS);
        let urls = batch.column(self.url)?;
        let to = answer.set(self.to, Owner::Span);
        for row in 0..urls.len() {
            let Some(url) = urls.text(row) else { continue };
            // What is masked already stays as it is.
            if mask(url, &mut self.masked) && self.masked != url {
                to.put(row, self.masked.as_str());
            }
        }
        Ok(answer)
    }
}

/// Puts the text into `out` with a mask in the place of each token; whether there was one.
fn mask(text: &str, out: &mut String) -> bool {
    out.clear();
    let mut rest = text;
    while let Some(at) = find(rest.as_bytes()) {
        let Some((before, after)) = rest.split_at_checked(at + NAME.len()) else { break };
        out.push_str(before);
        out.push_str(MASK);
        let end = after.bytes().position(|byte| matches!(byte, b'&' | b'#' | b' '));
        rest = after.get(end.unwrap_or(after.len())..).unwrap_or_default();
    }
    let found = !out.is_empty();
    out.push_str(rest);
    found
}

/// Where the name of a token stands. Looks at the last byte of where it could be first, which says how far it is to
/// where it could be next (Horspool): a search of `str` is made ready anew for each text.
fn find(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(window) = text.get(at..at + NAME.len()) {
        let last = *window.last()?;
        if last == b'=' && window == NAME.as_bytes() {
            return Some(at);
        }
        at += match last {
            b'n' => 1,
            b'e' => 2,
            b'k' => 3,
            b'o' => 4,
            b't' => 5,
            _ => NAME.len(),
        };
    }
    None
}

export_processor!(Scrub);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_masked_wherever_they_stand() {
        for (url, masked) in [
            ("https://a/?token=abc&b=1", Some("https://a/?token=***&b=1")),
            ("https://a/?b=1&token=abc", Some("https://a/?b=1&token=***")),
            ("token=a token=b#token=c", Some("token=*** token=***#token=***")),
            ("tototoken=é&tokentoken=", Some("tototoken=***&tokentoken=***")),
            ("token", None),
            ("https://a/?tok=abc", None),
            ("", None),
        ] {
            let mut out = String::new();
            let found = mask(url, &mut out);
            assert_eq!(found.then_some(out.as_str()), masked, "{url}");
        }
    }
}
