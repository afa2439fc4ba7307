//! Traces by id, and what Grafana asks a Tempo data source about itself.

use http::{HeaderName, StatusCode, header};
use model::TraceId;
use model::json::{self, Flavour};
use model::wire;
use store::SpanKey;
use store::execute::traceql::SearchRequest;

use super::answer::Answer;
use super::call::{Call, Form};
use super::collapse::Collapse;
use super::error::Fault;
use super::prune::Prune;
use super::{Api, llm};

/// The version of Tempo whose contract this is. Grafana switches features on by it.
pub(super) const TEMPO_VERSION: &str = "3.0.2";

/// `tempopb.PartialStatus`: the trace is larger than what is returned.
const PARTIAL: u64 = 1;

/// `GET /api/traces/{id}`. Its form has no room for what is left out of a huge trace: a header
/// says it.
pub(super) fn trace_v1(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let trace = find(api, call)?;
    if trace.spans == 0 {
        // Its form has no way to say that this may not be all: status and header do.
        let why = trace.partial.as_deref();
        let words =
            format!("the trace is not where could be looked: {}\n", why.unwrap_or_default());
        return Ok(Answer::text(StatusCode::NOT_FOUND, words).with_partial(why));
    }
    let (left_out, damage, next) = (trace.left_out, trace.partial.clone(), trace.next);
    let answer = match call.form() {
        Form::Protobuf => Answer::protobuf(trace.otlp),
        Form::Json => Answer::json(json::encode(&trace.otlp, Flavour::TempoV1)?),
        Form::Short => short(call, &trace.otlp, partial(&trace).as_deref())?,
    };
    let answer = match left_out {
        0 => answer,
        spans => answer.with(LEFT_OUT, &spans.to_string()),
    };
    Ok(linked(call, answer, next).with_partial(damage.as_deref()))
}

/// How many spans an answer of the first version leaves out.
const LEFT_OUT: HeaderName = HeaderName::from_static("x-traceweir-spans-left-out");

/// `GET /api/v2/traces/{id}`.
pub(super) fn trace_v2(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let id = TraceId::parse(call.id())?;
    let parameters = call.parameters()?;
    let (prune, collapse) = (Prune::read(&parameters, id)?, Collapse::read(&parameters)?);
    let mut trace = find(api, call)?;
    let partial = match prune {
        None => partial(&trace),
        Some(prune) => pruned(api, call, &prune, &mut trace)?,
    };
    if let Some(collapse) = collapse {
        (trace.otlp, trace.spans) = collapse.apply(&trace.otlp)?;
    }
    let answer = match call.form() {
        Form::Protobuf => Answer::protobuf(message(&trace.otlp, partial.as_deref())),
        Form::Json => Answer::json(envelope(&trace.otlp, partial.as_deref())?),
        Form::Short => short(call, &trace.otlp, partial.as_deref())?,
    };
    Ok(linked(call, answer, trace.next).with_partial(trace.partial.as_deref()))
}

/// The parameter that asks for the next page.
const AFTER: &str = "after";

/// The longest link, in bytes: clients limit their headers.
const LINK_BYTES_MAX: usize = 4 << 10;

/// Says where the next page is.
fn linked(call: &Call, answer: Answer, next: Option<SpanKey>) -> Answer {
    let Some(next) = next else { return answer };
    let link = format!("<{}>; rel=\"next\"", call.with(AFTER, &next.to_string()));
    // The message has it, too.
    if link.len() > LINK_BYTES_MAX { answer } else { answer.with(header::LINK, &link) }
}

/// The same trace in few words.
fn short(call: &Call, otlp: &[u8], partial: Option<&str>) -> Result<Answer, Fault> {
    let id = TraceId::parse(call.id())?;
    Ok(Answer::typed(llm::CONTENT_TYPE, llm::trace(id, otlp, partial)?))
}

/// `tempopb.TraceByIDResponse`: trace = 1, metrics = 2, status = 3, message = 4.
fn message(otlp: &[u8], partial: Option<&str>) -> Vec<u8> {
    let mut out = Vec::with_capacity(otlp.len() + 256);
    wire::put_bytes(&mut out, 1, otlp);
    wire::put_bytes(&mut out, 2, &[]);
    if let Some(message) = partial {
        wire::put_u64(&mut out, 3, PARTIAL);
        wire::put_bytes(&mut out, 4, message.as_bytes());
    }
    out
}

/// The same as JSON.
fn envelope(otlp: &[u8], partial: Option<&str>) -> Result<String, Fault> {
    let mut out = String::from("{\"trace\":");
    out.push_str(&json::encode(otlp, Flavour::TempoV2)?);
    out.push_str(",\"metrics\":{}");
    if let Some(message) = partial {
        out.push_str(",\"status\":\"PARTIAL\",\"message\":");
        json::put_text(&mut out, message.as_bytes());
    }
    out.push('}');
    Ok(out)
}

/// Leaves what a request asks for, and says that it is a part.
fn pruned(
    api: &Api,
    call: &Call,
    prune: &Prune,
    trace: &mut store::Trace,
) -> Result<Option<String>, Fault> {
    let request = SearchRequest {
        query: prune.query.clone(),
        during: call.parameters()?.during()?,
        limit: 1,
        spans_per_set: usize::MAX,
        budget: call.budget(),
    };
    let found = api.parts.traces.query(&Api::tenants(call)?, &request, &mut |_, _| {})?;
    let sets = found.traces.iter().flat_map(|trace| &trace.spansets);
    let matched = sets.flat_map(|set| &set.spans).map(|span| span.id).collect();
    let all = trace.spans;
    let whole = partial(trace);
    (trace.otlp, trace.spans) = prune.apply(&trace.otlp, &matched)?;
    let left = (trace.spans < all).then(|| format!("{} of {all} spans are asked for", trace.spans));
    let parts: Vec<String> = [left, whole, found.partial].into_iter().flatten().collect();
    Ok((!parts.is_empty()).then(|| parts.join("; ")))
}

/// Why a trace may not be whole, for people.
fn partial(trace: &store::Trace) -> Option<String> {
    let (first, all) = (trace.before + 1, trace.spans + trace.left_out);
    let next = trace.next.map(|next| format!(", the next ones are at {AFTER}={next}"));
    let cut = (trace.left_out > 0).then(|| {
        format!(
            "spans {first} to {} of {all} are shown: the trace is larger than \
             query.trace_bytes_max{}",
            trace.before + trace.spans,
            next.unwrap_or_default()
        )
    });
    let damage = trace.partial.as_ref().map(|why| format!("spans may be missing: {why}"));
    match (cut, damage) {
        (Some(cut), Some(damage)) => Some(format!("{cut}; {damage}")),
        (cut, damage) => cut.or(damage),
    }
}

fn find(api: &Api, call: &Call) -> Result<store::Trace, Fault> {
    let tenants = Api::tenants(call)?;
    let id = TraceId::parse(call.id())?;
    let parameters = call.parameters()?;
    let after = parameters.get(AFTER).map(|text| {
        let words = format!("{AFTER}: {text:?} is no place of a span, as a Link header has it");
        SpanKey::parse(text).ok_or_else(|| Fault::invalid(words))
    });
    let after = after.transpose()?;
    let found = api.parts.traces.trace(&tenants, id, parameters.during()?, after)?;
    let trace = found.ok_or_else(|| Fault::not_found(format!("trace {id} is not known")))?;
    if trace.spans == 0 && after.is_some() && trace.partial.is_none() {
        return Err(Fault::not_found(format!("trace {id} has no spans after that one")));
    }
    Ok(trace)
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
