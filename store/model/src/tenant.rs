//! Whose spans they are. The tenant is in every key and every path.

use std::fmt;
use std::sync::Arc;

/// A tenant id that follows the grammar: 1 to 150 of `[A-Za-z0-9!_.*'()-]`, not `.`, `..` or
/// anything that starts with `__` (ours).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Arc<str>);

/// The longest tenant id, in bytes (as Grafana Tempo and Mimir have it).
pub const TENANT_BYTES_MAX: usize = 150;

/// Why a text is no tenant id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TenantFault {
    /// No characters.
    Empty,
    /// More than [`TENANT_BYTES_MAX`] bytes.
    TooLong,
    /// A character outside of the grammar.
    Character(char),
    /// `.`, `..` or a name that starts with `__`.
    Reserved,
}

impl fmt::Display for TenantFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("tenant id is empty"),
            Self::TooLong => write!(f, "tenant id is longer than {TENANT_BYTES_MAX} bytes"),
            Self::Character(found) => {
                write!(f, "tenant id has {found:?}, allowed are A-Z a-z 0-9 ! _ . * ' ( ) -")
            }
            Self::Reserved => f.write_str("tenant id is reserved (., .. and names with __ first)"),
        }
    }
}

impl std::error::Error for TenantFault {}

impl TenantId {
    /// Checks the grammar and takes the text.
    ///
    /// # Errors
    /// Tells what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, TenantFault> {
        if text.is_empty() {
            return Err(TenantFault::Empty);
        }
        if text.len() > TENANT_BYTES_MAX {
            return Err(TenantFault::TooLong);
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || "!_.*'()-".contains(*c);
        if let Some(found) = text.chars().find(|c| !allowed(c)) {
            return Err(TenantFault::Character(found));
        }
        if text == "." || text == ".." || text.starts_with("__") {
            return Err(TenantFault::Reserved);
        }
        Ok(Self(text.into()))
    }

    /// The one tenant of `tenancy: single`.
    #[must_use]
    pub fn single() -> Self {
        Self("default".into())
    }

    /// Stands for several of which each would be too many to count; nobody can name it.
    #[must_use]
    pub fn others() -> Self {
        Self("__others".into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_holds() {
        for good in ["a", "team-a", "A!_.*'()-9", &"x".repeat(150)] {
            assert!(TenantId::parse(good).is_ok(), "{good}");
        }
        assert_eq!(TenantId::parse(""), Err(TenantFault::Empty));
        assert_eq!(TenantId::parse(&"x".repeat(151)), Err(TenantFault::TooLong));
        assert_eq!(TenantId::parse("a|b"), Err(TenantFault::Character('|')));
        assert_eq!(TenantId::parse("../x"), Err(TenantFault::Character('/')));
        for reserved in [".", "..", "__self"] {
            assert_eq!(TenantId::parse(reserved), Err(TenantFault::Reserved));
        }
    }
}
