//! Configurations: JSON into a type of the plugin's own, and for what is wrong with it the path of the value.

use serde::de::DeserializeOwned;

use crate::error::ConfigError;

/// Reads a configuration. Types say `#[serde(deny_unknown_fields)]`, so that a misspelt key is refused, by its name:
/// `$.foo: unknown`.
///
/// # Errors
///
/// The path of the first value that does not fit, and why.
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T, ConfigError> {
    // A derived type would take a list, too: its fields in their order.
    if !json.trim_start().starts_with('{') {
        return Err(ConfigError::new("$", "must be an object"));
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    let config = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = path(error.path());
        ConfigError::new(path, message(&error.into_inner()))
    })?;
    reader.end().map_err(|error| ConfigError::new("$", message(&error)))?;
    Ok(config)
}

fn path(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut text = "$".to_owned();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                text += "[";
                text += &index.to_string();
                text += "]";
            }
            Segment::Map { key } | Segment::Enum { variant: key } => {
                text += ".";
                text += key;
            }
            Segment::Unknown => text += ".?",
        }
    }
    text
}

/// The error's words, without place in the text and list of fields.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    if text.starts_with("unknown field") {
        return "unknown".to_owned();
    }
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text.get(..end).unwrap_or(&text).to_owned()
}
