//! The tenants that a read is about: one, as a rule, or several whose spans are read as if they were one's.

use std::fmt;
use std::sync::Arc;

use crate::tenant::{TenantFault, TenantId};

/// The most tenants that are read together.
pub const TENANTS_MAX: usize = 32;

/// The attribute of resources by which results of several tenants tell whose they are.
pub const TENANT_ATTRIBUTE: &str = "tenant";

/// Tenants that are read together: 1 to [`TENANTS_MAX`], sorted, each once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Federation(Arc<[TenantId]>);

/// Why a text names no tenants that can be read together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FederationFault {
    /// One of them is no tenant.
    Tenant(TenantFault),
    /// More than [`TENANTS_MAX`].
    TooMany(usize),
}

impl fmt::Display for FederationFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tenant(fault) => fault.fmt(f),
            Self::TooMany(found) => {
                write!(f, "{found} tenants are named, at most {TENANTS_MAX} are read together")
            }
        }
    }
}

impl std::error::Error for FederationFault {}

impl From<TenantFault> for FederationFault {
    fn from(fault: TenantFault) -> Self {
        Self::Tenant(fault)
    }
}

impl Federation {
    /// Reads tenants with `|` between them, in any order and as often as they are named. A space is of no
    /// tenant's name.
    ///
    /// # Errors
    /// Where one is no tenant id, or there are too many.
    pub fn parse(text: &str) -> Result<Self, FederationFault> {
        let mut all = Vec::new();
        for part in text.split('|') {
            all.push(TenantId::parse(part)?);
        }
        all.sort_unstable();
        all.dedup();
        match all.len() {
            found if found > TENANTS_MAX => Err(FederationFault::TooMany(found)),
            _ => Ok(Self(all.into())),
        }
    }

    /// The tenants, ascending.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &TenantId> {
        self.0.iter()
    }

    /// The tenant, where it is one alone.
    #[must_use]
    pub fn alone(&self) -> Option<&TenantId> {
        match &*self.0 {
            [one] => Some(one),
            _ => None,
        }
    }
}

impl From<TenantId> for Federation {
    fn from(tenant: TenantId) -> Self {
        Self([tenant].into())
    }
}

impl From<&TenantId> for Federation {
    fn from(tenant: &TenantId) -> Self {
        tenant.clone().into()
    }
}

/// As it is parsed.
impl fmt::Display for Federation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, tenant) in self.0.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "|" })?;
            tenant.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Federation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&*self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tenants_are_sorted_and_each_is_there_once() {
        let federation = Federation::parse("b|a|b|c").unwrap();
        assert_eq!(federation.to_string(), "a|b|c");
        assert_eq!(federation.iter().len(), 3);
        assert_eq!(federation.alone(), None);
        let one = Federation::parse("a|a").unwrap();
        assert_eq!(one.alone(), Some(&TenantId::parse("a").unwrap()));
        assert_eq!(one, TenantId::parse("a").unwrap().into());
    }

    #[test]
    fn what_is_no_tenant_and_too_many_are_refused() {
        for text in ["", "|", "a|", "a||b"] {
            let empty = FederationFault::Tenant(TenantFault::Empty);
            assert_eq!(Federation::parse(text), Err(empty), "{text}");
        }
        for text in ["a|b/c", "a ", "a| b"] {
            assert!(matches!(Federation::parse(text), Err(FederationFault::Tenant(_))), "{text}");
        }
        let named = |count: usize| {
            let all: Vec<String> = (0..count).map(|at| format!("t{at}")).collect();
            Federation::parse(&all.join("|"))
        };
        assert_eq!(named(TENANTS_MAX).unwrap().iter().len(), TENANTS_MAX);
        let fault = named(TENANTS_MAX + 1).unwrap_err();
        assert_eq!(fault.to_string(), "33 tenants are named, at most 32 are read together");
        // The same one many times is one.
        assert!(Federation::parse(&["a"; 40].join("|")).unwrap().alone().is_some());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-c|_. /]{0,40}") {
            if let Ok(federation) = Federation::parse(&text) {
                prop_assert!(federation.0.is_sorted_by(|a, b| a < b) && !federation.0.is_empty());
                prop_assert_eq!(Federation::parse(&federation.to_string()), Ok(federation));
            }
        }
    }
}
