//! What operators and their probes ask.

use http::{StatusCode, header};

use super::Api;
use super::answer::Answer;
use super::call::Call;
use super::error::Fault;

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

/// `GET /status`.
#[expect(clippy::unnecessary_wraps, reason = "a row of ROUTES")]
pub(super) fn status(api: &Api, _: &Call) -> Result<Answer, Fault> {
    Ok(Answer::json((api.parts.status)().to_string()))
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
