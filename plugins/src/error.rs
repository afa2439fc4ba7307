//! What goes wrong with plugins, and what the caller does about it.

use std::fmt;

/// What the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It is no plugin of this contract: another file is needed.
    NotOurs,
    /// Its configuration is wrong: somebody has to change it.
    Config,
    /// It could not be fetched or read: it may be there later.
    Unavailable,
    /// It failed by itself while it was made ready: trap, time, memory.
    Failed(Failure),
    /// This process cannot run plugins as it is.
    Host,
}

/// How a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Failure {
    /// It gave up: `unreachable`, a division by zero, an access out of bounds, a stack that overflowed.
    Panic,
    /// It took longer than it may.
    Timeout,
    /// It wanted more memory, or larger tables, than it may have.
    Memory,
    /// Its answer is not what the contract says.
    BadOutput,
    /// It answered with something that it may not do.
    Denied,
    /// It said itself that it failed.
    Reported,
    /// It called the host more often than it may.
    HostCalls,
    /// There was no room for another instance.
    Capacity,
}

impl Failure {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Panic,
        Self::Timeout,
        Self::Memory,
        Self::BadOutput,
        Self::Denied,
        Self::Reported,
        Self::HostCalls,
        Self::Capacity,
    ];

    /// As metrics and pages show it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Panic => "panic",
            Self::Timeout => "timeout",
            Self::Memory => "memory",
            Self::BadOutput => "bad_output",
            Self::Denied => "denied",
            Self::Reported => "reported",
            Self::HostCalls => "host_calls",
            Self::Capacity => "capacity",
        }
    }
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: Kind,
    message: String,
}

impl Error {
    /// What went wrong, in words that name the thing.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What the caller does next.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The same, of something larger.
    #[must_use]
    pub fn within(mut self, what: &str) -> Self {
        self.message.insert_str(0, &format!("{what}: "));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
