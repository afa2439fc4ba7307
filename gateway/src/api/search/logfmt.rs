//! Tags as logfmt.

use crate::api::error::Fault;

/// The most tags of one search.
const TAGS_MAX: usize = 100;

/// Reads `a=b c="d e" f`: values may be quoted, with the escapes of JSON; a bare key asks for its
/// presence.
pub(super) fn read(text: &str) -> Result<Vec<(String, String)>, Fault> {
    let mut tags: Vec<(String, String)> = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, tail) = rest.split_at(end);
        if key.is_empty() || key.contains('"') {
            return Err(Fault::invalid(format!("tags: expected key=value at {rest:?}")));
        }
        let (value, tail) = match tail.strip_prefix('=') {
            None => (String::new(), tail),
            Some(tail) if tail.starts_with('"') => quoted(tail)
                .ok_or_else(|| Fault::invalid(format!("tags: {key} has no closing quote")))?,
            Some(tail) => {
                let (value, tail) =
                    tail.split_at(tail.find(char::is_whitespace).unwrap_or(tail.len()));
                if value.contains(['"', '=']) {
                    return Err(Fault::invalid(format!("tags: put the value of {key} in quotes")));
                }
                (value.to_owned(), tail)
            }
        };
        if tail.chars().next().is_some_and(|c| !c.is_whitespace()) {
            return Err(Fault::invalid(format!("tags: expected a blank after the value of {key}")));
        }
        if tags.iter().any(|(known, _)| known == key) {
            return Err(Fault::invalid(format!("tags: {key} is there twice")));
        }
        if tags.len() == TAGS_MAX {
            return Err(Fault::invalid(format!("tags: at most {TAGS_MAX} are taken")));
        }
        tags.push((key.to_owned(), value));
        rest = tail.trim_start();
    }
    Ok(tags)
}

/// Reads the quoted text that `text` starts with; gives what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let value = values.next()?.ok()?;
    Some((value, text.split_at_checked(values.byte_offset())?.1))
}
