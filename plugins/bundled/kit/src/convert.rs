//! Values of attributes as texts, and JSON as values.

use serde_json::Value as Json;
use traceweir_plugin::Any;

/// A value as a configuration writes it.
#[must_use]
pub fn any_from_json(json: &Json) -> Any {
    match json {
        Json::Null => Any::Empty,
        Json::Bool(bool) => Any::Bool(*bool),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Any::Int(int),
            None => Any::Double(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Any::Text(text.clone()),
        Json::Array(list) => Any::Array(list.iter().map(any_from_json).collect()),
        Json::Object(map) => {
            Any::Map(map.iter().map(|(key, value)| (key.clone(), any_from_json(value))).collect())
        }
    }
}

/// A value as text, for whoever matches or converts it: `None` for what has none.
#[must_use]
pub fn text_of(value: &Any) -> Option<String> {
    match value {
        Any::Text(text) => Some(text.clone()),
        Any::Int(int) => Some(int.to_string()),
        Any::Double(double) => Some(double.to_string()),
        Any::Bool(bool) => Some(bool.to_string()),
        Any::Empty | Any::Bytes(_) | Any::Array(_) | Any::Map(_) => None,
    }
}
