//! What operators and their probes ask.

use std::fmt::Write;

use http::{StatusCode, header};
use model::TenantId;

use super::answer::Answer;
use super::call::Call;
use super::error::Fault;
use super::tempo::TEMPO_VERSION;
use super::{Api, Listener, METHODS, ROUTES, Route};

/// `GET /ready`.
#[expect(clippy::unnecessary_wraps, reason = "a row of ROUTES")]
pub(super) fn ready(api: &Api, _: &Call) -> Result<Answer, Fault> {
    let health = (api.parts.health)();
    Ok(probe(health.ready, &health.text))
}

/// `GET /live`.
#[expect(clippy::unnecessary_wraps, reason = "a row of ROUTES")]
pub(super) fn live(api: &Api, _: &Call) -> Result<Answer, Fault> {
    let health = (api.parts.health)();
    Ok(probe(health.live, &health.text))
}

fn probe(well: bool, text: &str) -> Answer {
    let status = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Answer::text(status, format!("{text}\n"))
}

/// `GET /metrics`.
#[expect(clippy::unnecessary_wraps, reason = "a row of ROUTES")]
pub(super) fn metrics(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let accept = call.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let page = (api.parts.metrics)(accept.unwrap_or_default());
    Ok(Answer::typed(page.content_type, page.text))
}

/// `POST /flush`.
pub(super) fn flush(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let parameters = call.parameters()?;
    let level = match parameters.get("level") {
        Some("l0") => store::Level::L0,
        Some("l1") => store::Level::L1,
        found => {
            let found = found.map_or_else(|| "nothing".to_owned(), |found| format!("{found:?}"));
            return Err(Fault::invalid(format!(
                "level is {found}: l0 seals the head, l1 also merges into blocks"
            )));
        }
    };
    let flushed = api.parts.traces.flush(level)?;
    // A plain struct of numbers, which always can be written.
    Ok(Answer::json(serde_json::to_string(&flushed).unwrap_or_default()))
}

/// `DELETE /tenants/{id}`.
pub(super) fn delete_tenant(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let tenant = TenantId::parse(call.id()).map_err(|fault| Fault::invalid(fault.to_string()))?;
    call.caller()?.changes(&tenant)?;
    let deleted = api.parts.traces.delete_tenant(&tenant)?;
    // A plain struct of numbers, which always can be written.
    Ok(Answer::json(serde_json::to_string(&deleted).unwrap_or_default()))
}

/// `GET /status`.
#[expect(clippy::unnecessary_wraps, reason = "a row of ROUTES")]
pub(super) fn status(api: &Api, _: &Call) -> Result<Answer, Fault> {
    Ok(Answer::json((api.parts.status)().to_string()))
}

/// `GET /status/usage`.
#[expect(clippy::unnecessary_wraps, reason = "a row of ROUTES")]
pub(super) fn usage(api: &Api, _: &Call) -> Result<Answer, Fault> {
    Ok(Answer::json((api.parts.usage)().to_string()))
}

/// `GET /status/version`.
#[expect(clippy::unnecessary_wraps, reason = "a row of ROUTES")]
pub(super) fn version(_: &Api, _: &Call) -> Result<Answer, Fault> {
    let version = env!("CARGO_PKG_VERSION");
    let text = format!("traceweir, version {version} (the contract of tempo {TEMPO_VERSION})\n");
    Ok(Answer::text(StatusCode::OK, text))
}

/// `GET /status/endpoints`.
#[expect(clippy::unnecessary_wraps, reason = "a row of ROUTES")]
pub(super) fn endpoints(api: &Api, _: &Call) -> Result<Answer, Fault> {
    let mut text = String::new();
    let base = &api.config.base_path;
    for (listener, name) in [(Listener::Query, "query"), (Listener::Admin, "admin")] {
        let base = if listener == Listener::Query { base.as_str() } else { "" };
        for route in ROUTES.iter().filter(|route| route.listeners.contains(&listener)) {
            let Route { method, path, doc, .. } = route;
            let method = method.as_str();
            put(&mut text, format_args!("{name} {method:<4} {base}{path}  {doc}\n"));
        }
    }
    for call in METHODS {
        put(&mut text, format_args!("query gRPC {}  {}\n", call.path, call.doc));
    }
    Ok(Answer::text(StatusCode::OK, text))
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    out.write_fmt(text).unwrap_or_default();
}

/// `GET /status/config`.
pub(super) fn config(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let settings = &api.parts.settings;
    let text = match call.parameters()?.get("mode") {
        None => &settings.all,
        Some("defaults") => &settings.defaults,
        Some("diff") => &settings.changed,
        Some(other) => {
            return Err(Fault::invalid(format!("mode: {other:?} is neither diff nor defaults")));
        }
    };
    Ok(Answer::typed("text/plain; charset=utf-8", text.clone()))
}

/// `GET /status/services`: one process, one part. Kiali reads a list.
#[expect(clippy::unnecessary_wraps, reason = "a row of ROUTES")]
pub(super) fn services(api: &Api, _: &Call) -> Result<Answer, Fault> {
    let health = (api.parts.health)();
    let status = match (health.ready, health.live) {
        (true, _) => "Running",
        (false, true) => "Starting",
        (false, false) => "Failed",
    };
    let services = serde_json::json!([{ "name": "traceweir", "status": status }]);
    Ok(Answer::json(services.to_string()))
}
