//! Values of attributes as texts.

use traceweir_plugin::Any;

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
