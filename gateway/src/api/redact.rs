//! `/redactions`: traces that nobody is to see any more.

use model::{TenantId, TraceId};
use serde::{Deserialize, Serialize};
use store::execute::traceql::{Budget, SearchRequest};
use store::{Kind, REDACTED_MAX};
use traceql::ast::Root;

use super::Api;
use super::answer::Answer;
use super::call::{Call, seconds_range};
use super::error::Fault;

/// The longest request: the ids of as many traces as there may be, and more.
pub(super) const REQUEST_BYTES_MAX: usize = 1 << 20;

/// What is to be hidden: these traces, or all that leave a query.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    tenant: Option<String>,
    #[serde(default)]
    traces: Vec<String>,
    query: Option<String>,
    /// Of a query: traces with a span that matches from then, in seconds.
    start: Option<u64>,
    /// And until then.
    end: Option<u64>,
}

/// What is hidden now.
#[derive(Debug, Serialize)]
struct Hidden {
    id: String,
    traces: usize,
}

/// `POST /redactions`.
pub(super) fn begin(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let request: Request = serde_json::from_slice(call.body())
        .map_err(|fault| Fault::invalid(format!("the body is no redaction: {fault}")))?;
    let tenant = match &request.tenant {
        Some(tenant) => {
            TenantId::parse(tenant).map_err(|fault| Fault::invalid(format!("tenant: {fault}")))?
        }
        None => TenantId::single(),
    };
    call.caller()?.changes(&tenant)?;
    let traces = match (&request.query, request.traces.is_empty()) {
        (None, true) => return Err(Fault::invalid("give traces, or a query")),
        (Some(_), false) => {
            return Err(Fault::invalid("traces and query cannot be combined: use one of them"));
        }
        (None, false) => ids(&request.traces)?,
        (Some(query), true) => matching(api, &tenant, query, &request)?,
    };
    let count = traces.len();
    let id = api.parts.traces.redact(&tenant, traces)?;
    let told = Hidden { id: id.to_string(), traces: count };
    // A plain struct, which always can be written.
    Ok(Answer::json(serde_json::to_string(&told).unwrap_or_default()))
}

fn ids(texts: &[String]) -> Result<Vec<TraceId>, Fault> {
    let parse = |text: &String| {
        TraceId::parse(text).map_err(|fault| Fault::invalid(format!("traces: {text:?}: {fault}")))
    };
    let mut traces: Vec<TraceId> = texts.iter().map(parse).collect::<Result<_, _>>()?;
    traces.sort_unstable();
    traces.dedup();
    Ok(traces)
}

/// The traces that leave a query: all of them, or none.
fn matching(
    api: &Api,
    tenant: &TenantId,
    text: &str,
    request: &Request,
) -> Result<Vec<TraceId>, Fault> {
    let query = traceql::parse(text)?;
    if !matches!(query.root, Root::Spans(_)) {
        return Err(Fault::invalid("query asks for series: one that finds traces is wanted"));
    }
    let during = seconds_range(request.start, request.end)?;
    let search = SearchRequest {
        query,
        during,
        limit: REDACTED_MAX + 1,
        spans_per_set: 1,
        budget: Budget::default(),
    };
    let found = api.parts.traces.query(&tenant.into(), &search, &mut |_, _| {})?;
    if let Some(partial) = found.partial {
        let what = format!("nothing is hidden, as not all traces can be found: {partial}");
        return Err(store::Error::new(Kind::Unavailable, what).into());
    }
    match found.traces.len() {
        0 => Err(Fault::not_found("no trace matches, nothing is hidden")),
        count if count > REDACTED_MAX => Err(Fault::unprocessable(format!(
            "more than {REDACTED_MAX} traces match, nothing is hidden: narrow the query, or its start and end"
        ))),
        _ => Ok(found.traces.iter().map(|trace| trace.id).collect()),
    }
}

/// `GET /redactions`.
pub(super) fn list(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let (caller, mut all) = (call.caller()?, api.parts.traces.redactions());
    all.retain(|of| TenantId::parse(&of.tenant).is_ok_and(|of| caller.changes(&of).is_ok()));
    Ok(Answer::json(serde_json::to_string(&all).unwrap_or_default()))
}
