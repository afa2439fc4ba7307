//! The limits that hold, for those whose they are and for operators.

use std::fmt::Write;

use model::TenantId;

use super::Api;
use super::answer::Answer;
use super::call::Call;
use super::error::Fault;
use crate::overrides::{Row, Whose};

/// `GET /api/overrides`.
pub(super) fn own(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let tenants = Api::tenants(call)?;
    let several = || Fault::invalid("limits are of one tenant each: name one");
    let tenant = tenants.alone().ok_or_else(several)?;
    let class = call.caller()?.principal().class.as_deref();
    let whose = Whose { tenant, class, cluster: None };
    let limits = api.parts.accounts.overrides().limits(whose);
    // A plain struct of text and numbers, which always can be written.
    Ok(Answer::json(serde_json::to_string(&limits).unwrap_or_default()))
}

/// `GET /status/overrides`.
pub(super) fn file(api: &Api, call: &Call) -> Result<Answer, Fault> {
    call.caller()?.operates_all()?;
    let text = match api.parts.accounts.overrides().file() {
        None => "# there is no overrides.file\n".to_owned(),
        Some((path, file)) => {
            format!("# {path}\n{}", file.yaml().map_err(Fault::internal)?)
        }
    };
    Ok(Answer::typed("text/plain; charset=utf-8", text))
}

/// `GET /status/overrides/{id}`.
pub(super) fn of_tenant(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let tenant = TenantId::parse(call.id()).map_err(|fault| Fault::invalid(fault.to_string()))?;
    call.caller()?.changes(&tenant)?;
    let parameters = call.parameters()?;
    let (class, cluster) = (parameters.get("class"), parameters.get("cluster"));
    let rows = api.parts.accounts.overrides().rows(Whose { tenant: &tenant, class, cluster });
    Ok(Answer::typed("text/plain; charset=utf-8", lines(&rows)))
}

/// A line for each limit, which are YAML together.
fn lines(rows: &[Row]) -> String {
    let mut text = String::new();
    for (key, value, origin) in rows {
        // Writing to a string cannot fail.
        writeln!(text, "{key}: {value}  # {origin}").unwrap_or_default();
    }
    text
}
