//! Whose request it is: everybody's, or whoever the header names.

use std::fmt;

use http::HeaderMap;
use model::TenantId;
use model::tenant::TenantFault;
use serde::{Deserialize, Serialize};

/// The header that names the tenant, as in Grafana's databases.
pub const TENANT_HEADER: &str = "x-scope-orgid";

/// How requests are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tenancy {
    /// One tenant; the header is ignored.
    #[default]
    Single,
    /// `X-Scope-OrgID` is the tenant. Whoever can reach the port can name any tenant.
    Header,
}

/// Why a request has no tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No header: answer 401 / UNAUTHENTICATED.
    Missing,
    /// More than one header: answer 400 / INVALID_ARGUMENT.
    Several,
    /// Not a tenant id: answer 400 / INVALID_ARGUMENT.
    Grammar(TenantFault),
    /// Not even text: answer 400 / INVALID_ARGUMENT.
    NotText,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("no tenant: set the X-Scope-OrgID header"),
            Self::Several => f.write_str("more than one X-Scope-OrgID header"),
            Self::Grammar(fault) => write!(f, "X-Scope-OrgID: {fault}"),
            Self::NotText => f.write_str("X-Scope-OrgID is not text"),
        }
    }
}

impl std::error::Error for Refusal {}

impl Tenancy {
    /// The tenant of a request with these headers.
    ///
    /// # Errors
    /// Tells what is wrong with the header.
    pub fn tenant(self, headers: &HeaderMap) -> Result<TenantId, Refusal> {
        if self == Self::Single {
            return Ok(TenantId::single());
        }
        let mut values = headers.get_all(TENANT_HEADER).iter();
        let value = values.next().ok_or(Refusal::Missing)?;
        if values.next().is_some() {
            return Err(Refusal::Several);
        }
        let text = value.to_str().map_err(|_| Refusal::NotText)?.trim();
        if text.is_empty() {
            return Err(Refusal::Missing);
        }
        TenantId::parse(text).map_err(Refusal::Grammar)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TENANT_HEADER, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_single_tenant_ignores_the_header() {
        assert_eq!(Tenancy::Single.tenant(&headers(&["a|b"])), Ok(TenantId::single()));
    }

    #[test]
    fn the_header_is_the_tenant_or_a_refusal() {
        let tenant = |values: &[&'static str]| Tenancy::Header.tenant(&headers(values));
        assert_eq!(tenant(&["team-a"]), Ok(TenantId::parse("team-a").unwrap()));
        assert_eq!(tenant(&[]), Err(Refusal::Missing));
        assert_eq!(tenant(&[" "]), Err(Refusal::Missing));
        assert_eq!(tenant(&["a", "b"]), Err(Refusal::Several));
        assert_eq!(tenant(&["a|b"]), Err(Refusal::Grammar(TenantFault::Character('|'))));
        assert_eq!(tenant(&[".."]), Err(Refusal::Grammar(TenantFault::Reserved)));
    }
}
