//! What a plugin answers when it cannot answer.

use std::fmt;

/// A failure that the plugin has noticed itself: it is counted, `on_failure` of the attachment applies, and the
/// instance lives on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginError {
    /// The buffer is malformed, or a column that was asked for is not there.
    BadInput(String),
    /// Something that the plugin needs is not there yet.
    NotReady(String),
    /// The plugin's own fault.
    Internal(String),
}

impl PluginError {
    /// A malformed buffer, and why.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self::BadInput(message.into())
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadInput(why) => write!(out, "bad input: {why}"),
            Self::NotReady(why) => write!(out, "not ready: {why}"),
            Self::Internal(why) => write!(out, "internal: {why}"),
        }
    }
}

impl std::error::Error for PluginError {}

/// What is wrong with a configuration: the JSON path of the value (`$.keys[2]`), and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// Where: `$` is the configuration itself.
    pub path: String,
    /// Why.
    pub message: String,
}

impl ConfigError {
    /// Says what is wrong with the value at `path`.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.path, self.message)
    }
}

impl std::error::Error for ConfigError {}
