//! What is different in a span, resource or scope: each field and attribute by its path.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::request::text;

/// Longer values are cut where they are written for people.
const SHOWN_CHARS_MAX: usize = 200;

/// A field or attribute that is different.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Such as `name`, `status.message`, `attributes["http.route"]`, `events[0].attributes["exception.message"]`.
    pub path: String,
    /// What it was; nothing where it was not there.
    pub before: Option<String>,
    /// What it is; nothing where it is gone.
    pub after: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, before, after } = self;
        match (before.as_deref().map(cut), after.as_deref().map(cut)) {
            (None, Some(after)) => write!(f, "+ {path}: {after}"),
            (Some(before), None) => write!(f, "- {path}: {before}"),
            (before, after) => write!(
                f,
                "~ {path}: {} -> {}",
                before.unwrap_or_default(),
                after.unwrap_or_default()
            ),
        }
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}… ({} bytes)", text.get(..at).unwrap_or_default(), text.len()),
    }
}

/// Everything that differs between two messages in OTLP/JSON.
pub(super) fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare("", before, after, &mut found);
    found
}

fn compare(path: &str, before: &Value, after: &Value, found: &mut Vec<Change>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: std::collections::BTreeSet<&String> =
                one.keys().chain(other.keys()).collect();
            for key in keys {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match (one.get(key), other.get(key)) {
                    (one, other) if key == "attributes" => pairs(&inner, one, other, found),
                    (Some(one), Some(other)) => compare(&inner, one, other, found),
                    (one, other) => found.push(change(inner, one.map(json), other.map(json))),
                }
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (place, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&format!("{path}[{place}]"), one, other, found);
            }
        }
        _ => found.push(change(path.to_owned(), Some(json(before)), Some(json(after)))),
    }
}

const fn change(path: String, before: Option<String>, after: Option<String>) -> Change {
    Change { path, before, after }
}

fn json(value: &Value) -> String {
    value.to_string()
}

/// Attributes go by their keys, wherever they stand; a key that stands again goes by which time it is.
fn pairs(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Change>) {
    let (before, after) = (keyed(before), keyed(after));
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in keys {
        let (one, other) = (before.get(key), after.get(key));
        if one == other {
            continue;
        }
        let (name, time) = key;
        let again = if *time == 0 { String::new() } else { format!("#{}", time + 1) };
        let path = format!("{path}[{}]{again}", Value::from(*name));
        found.push(change(path, one.map(|value| shown(value)), other.map(|value| shown(value))));
    }
}

/// Values by key, and by how often the key stood there before.
fn keyed(list: Option<&Value>) -> BTreeMap<(&str, usize), &Value> {
    let mut map = BTreeMap::new();
    for pair in list.and_then(Value::as_array).into_iter().flatten() {
        let key = text(pair, "key");
        let mut time = 0;
        while map.contains_key(&(key, time)) {
            time += 1;
        }
        map.insert((key, time), pair.get("value").unwrap_or(&Value::Null));
    }
    map
}

/// The value of an attribute, so that its type is seen.
pub(super) fn shown(any: &Value) -> String {
    let Some((kind, value)) = any.as_object().and_then(|any| any.iter().next()) else {
        return "empty".to_owned();
    };
    let number = || value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match kind.as_str() {
        "intValue" => number(),
        // So that it is not taken for an integer.
        "doubleValue" => format!("double {}", number()),
        "bytesValue" => format!("bytes {}", number()),
        "arrayValue" => {
            let values = value.get("values").and_then(Value::as_array);
            let values: Vec<String> = values.into_iter().flatten().map(shown).collect();
            format!("[{}]", values.join(", "))
        }
        "kvlistValue" => {
            let pairs = value.get("values").and_then(Value::as_array);
            let pair = |pair: &Value| {
                let value = pair.get("value").unwrap_or(&Value::Null);
                format!("{}: {}", Value::from(text(pair, "key")), shown(value))
            };
            let pairs: Vec<String> = pairs.into_iter().flatten().map(pair).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        _ => value.to_string(),
    }
}
