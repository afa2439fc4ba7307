//! Why a request is not let in. `receiver::reply` and `api::error` say it in their protocols.

use std::fmt;

/// Why a request is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// It shows nothing of who it is: 401 / UNAUTHENTICATED.
    Missing(String),
    /// What it shows does not hold: 401 / UNAUTHENTICATED. The text has nothing of the secret.
    Invalid(String),
    /// It is known who it is, and that is not theirs: 403 / PERMISSION_DENIED.
    Forbidden(String),
    /// It contradicts itself, or lacks what cannot be guessed: 400 / INVALID_ARGUMENT.
    Malformed(String),
    /// Nobody can say now who it is: 503 / UNAVAILABLE, and to come back.
    Unavailable(String),
}

impl Denied {
    /// In metrics and in the audit log.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing(_) => "missing",
            Self::Invalid(_) => "invalid",
            Self::Forbidden(_) => "forbidden",
            Self::Malformed(_) => "malformed",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// All reasons, in the order of [`Denied::place`].
    pub const REASONS: [&'static str; 5] =
        ["missing", "invalid", "forbidden", "malformed", "unavailable"];

    /// Its place among the reasons.
    #[must_use]
    pub const fn place(&self) -> usize {
        match self {
            Self::Missing(_) => 0,
            Self::Invalid(_) => 1,
            Self::Forbidden(_) => 2,
            Self::Malformed(_) => 3,
            Self::Unavailable(_) => 4,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Missing(what)
        | Self::Invalid(what)
        | Self::Forbidden(what)
        | Self::Malformed(what)
        | Self::Unavailable(what)) = self;
        f.write_str(what)
    }
}

impl std::error::Error for Denied {}
