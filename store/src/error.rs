//! The store's one error: the kind says what the caller does next.

use std::fmt;
use std::io;

/// What the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The input is wrong and will be wrong again: answer 400 / INVALID_ARGUMENT.
    Invalid,
    /// The input is over a size limit: answer 413 / INVALID_ARGUMENT.
    TooLarge,
    /// Full or starting: answer 503 / UNAVAILABLE with a retry hint; it passes.
    Unavailable,
    /// Bytes on disk are not what was written: name them, set them aside, go on.
    Corrupt,
    /// Another process holds what we need, or a newer version wrote it: exit code 2.
    Refused,
    /// The disk failed in a way after which no ack can be trusted: stop the process.
    Fatal,
    /// An I/O error that leaves what was acknowledged intact.
    Io,
}

/// What went wrong, where, and why. Messages are lower-case and name the thing.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error without a cause below it.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// An I/O error on the named thing.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self { kind: Kind::Io, message: what.into(), source: Some(Box::new(source)) }
    }

    /// The same error with another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// What the caller does next.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether something is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        let source = self.source.as_ref().and_then(|source| source.downcast_ref::<io::Error>());
        source.is_some_and(|fault| fault.kind() == io::ErrorKind::NotFound)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}
