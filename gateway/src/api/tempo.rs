//! Traces by id, and what Grafana asks a Tempo data source about itself.

use http::StatusCode;
use model::TraceId;
use model::json::{self, Flavour};
use model::wire;

use super::answer::Answer;
use super::call::Call;
use super::error::Fault;
use super::{Api, search};

/// The version of Tempo whose contract this is. Grafana switches features on by it.
const TEMPO_VERSION: &str = "3.0.2";

/// `GET /api/traces/{id}`.
pub(super) fn trace_v1(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let trace = find(api, call)?;
    if call.takes_protobuf() {
        return Ok(Answer::protobuf(trace.otlp));
    }
    Ok(Answer::json(json::encode(&trace.otlp, Flavour::TempoV1)?))
}

/// `GET /api/v2/traces/{id}`.
pub(super) fn trace_v2(api: &Api, call: &Call) -> Result<Answer, Fault> {
    if let Some(filter) = call.parameters()?.get("q")
        && !search::is_everything(filter)
    {
        return Err(Fault::invalid(
            "this version returns whole traces: leave q out, or make it {}",
        ));
    }
    let trace = find(api, call)?;
    if call.takes_protobuf() {
        // tempopb.TraceByIDResponse: trace = 1, metrics = 2; a complete one has no status.
        let mut out = Vec::with_capacity(trace.otlp.len() + 16);
        wire::put_bytes(&mut out, 1, &trace.otlp);
        wire::put_bytes(&mut out, 2, &[]);
        return Ok(Answer::protobuf(out));
    }
    let trace = json::encode(&trace.otlp, Flavour::TempoV2)?;
    Ok(Answer::json(format!("{{\"trace\":{trace},\"metrics\":{{}}}}")))
}

fn find(api: &Api, call: &Call) -> Result<store::Trace, Fault> {
    let tenant = api.tenant(call)?;
    let id = TraceId::parse(call.id())?;
    let during = call.parameters()?.during()?;
    let found = api.parts.traces.trace(&tenant, id, during)?;
    found.ok_or_else(|| Fault::not_found(format!("trace {id} is not known")))
}

/// `GET /api/echo`.
#[expect(clippy::unnecessary_wraps, reason = "a row of ROUTES")]
pub(super) fn echo(_: &Api, _: &Call) -> Result<Answer, Fault> {
    Ok(Answer::text(StatusCode::OK, "echo"))
}

/// `GET /api/status/buildinfo`.
#[expect(clippy::unnecessary_wraps, reason = "a row of ROUTES")]
pub(super) fn buildinfo(_: &Api, _: &Call) -> Result<Answer, Fault> {
    let info = serde_json::json!({
        "version": TEMPO_VERSION,
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "traceweir": env!("CARGO_PKG_VERSION"),
    });
    Ok(Answer::json(info.to_string()))
}
