//! What headers show of who a request is of, and which tenants it names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};
use model::Federation;

use super::TENANT_HEADER;
use super::denied::Denied;
use super::principal::Selected;

/// What a request shows of who it is of.
pub(super) enum Shown {
    Bearer(String),
    /// A tenant, and a token.
    Basic(String, String),
}

impl Shown {
    pub(super) fn secret(&self) -> &str {
        let (Self::Bearer(secret) | Self::Basic(_, secret)) = self;
        secret
    }
}

/// What stands in `Authorization`.
pub(super) fn shown(headers: &HeaderMap) -> Result<Shown, Denied> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or_else(|| {
        let ways = "show a certificate, or Authorization with Bearer or Basic";
        Denied::Missing(format!("no identity: {ways}"))
    })?;
    if values.next().is_some() {
        return Err(Denied::Malformed("more than one Authorization header".to_owned()));
    }
    let invalid = |why: &str| Denied::Invalid(format!("Authorization: {why}"));
    let value = value.to_str().map_err(|_| invalid("it is no text"))?.trim();
    let (scheme, rest) = value.split_once(' ').ok_or_else(|| invalid("a scheme and a secret"))?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Ok(Shown::Bearer(rest.to_owned()));
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(invalid("neither Bearer nor Basic"));
    }
    let both = STANDARD.decode(rest).ok().and_then(|both| String::from_utf8(both).ok());
    let both = both.ok_or_else(|| invalid("what follows Basic is no base64"))?;
    let (user, password) = both.split_once(':').ok_or_else(|| invalid("Basic without a colon"))?;
    Ok(Shown::Basic(user.to_owned(), password.to_owned()))
}

/// The tenants that the header names.
pub(super) fn selected(headers: &HeaderMap) -> Result<Selected, Denied> {
    let malformed = |why: &str| Denied::Malformed(why.to_owned());
    let mut values = headers.get_all(TENANT_HEADER).iter();
    let Some(value) = values.next() else { return Ok(Selected::default()) };
    if values.next().is_some() {
        return Err(malformed("more than one X-Scope-OrgID header"));
    }
    let text = value.to_str().map_err(|_| malformed("X-Scope-OrgID is not text"))?.trim();
    if text.is_empty() {
        return Ok(Selected::default());
    }
    Ok(Selected { tenants: Some(tenants(text)?) })
}

/// Tenants with `|` between them; people write spaces around it.
pub(super) fn tenants(text: &str) -> Result<Federation, Denied> {
    let named: Vec<&str> = text.split('|').map(str::trim).collect();
    let named = Federation::parse(&named.join("|"));
    named.map_err(|fault| Denied::Malformed(format!("X-Scope-OrgID: {fault}")))
}
