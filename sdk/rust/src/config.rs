//! Configurations: JSON into a type of the plugin's own, and for what is wrong with it the path of the value.
//!
//! The text becomes one tree, and types are read from that: so the code that reads JSON is there once, however many
//! types a configuration has.

mod json;
mod read;

use serde::de::DeserializeOwned;

use self::json::Json;
use self::read::At;
use crate::error::ConfigError;

/// Reads a configuration. Types say `#[serde(deny_unknown_fields)]`, so that a misspelt key is refused, by its name:
/// `$.foo: unknown`.
///
/// # Errors
///
/// The path of the first value that does not fit, and why.
pub fn parse<T: DeserializeOwned>(json: &str) -> Result<T, ConfigError> {
    let value = Json::parse(json).map_err(|why| ConfigError::new("$", why))?;
    // A derived type would take a list, too: its fields in their order.
    if !matches!(value, Json::Object(_)) {
        return Err(ConfigError::new("$", "must be an object"));
    }
    T::deserialize(At(&value)).map_err(read::Fault::at_root)
}

#[cfg(test)]
mod tests;
