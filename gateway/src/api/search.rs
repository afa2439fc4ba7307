//! `GET /api/search`: tags, durations and times in, traces out as Tempo writes them.
//!
//! Grafana reads the answer strictly: a key that `tempopb.SearchResponse` does not have makes it
//! refuse the whole of it. Nothing may be added here.

use std::collections::BTreeMap;

use model::Nanos;
use model::json;
use serde::Serialize;
use serde_json::value::RawValue;
use store::{Found, MatchedSpan, Search, TraceSummary};

use super::Api;
use super::answer::Answer;
use super::call::{Call, Parameters};
use super::error::Fault;
use super::tempo::PARTIAL_HEADER;

/// Traces of an answer where the request does not say.
const LIMIT: u64 = 20;

/// The most traces of an answer.
const LIMIT_MAX: u64 = 10_000;

/// Spans of each trace where the request does not say.
const SPANS: u64 = 3;

/// The most spans of each trace.
const SPANS_MAX: u64 = 100;

/// The most tags of one search.
const TAGS_MAX: usize = 100;

/// What Tempo calls the service of a trace whose root has not come; clients compare with it.
const NO_ROOT: &str = "<root span not yet received>";

pub(super) fn search(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let tenant = api.tenant(call)?;
    let search = read(&call.parameters()?)?;
    let found = api.parts.traces.search(&tenant, &search)?;
    let answer = Response::try_from(&found)?;
    let json = serde_json::to_vec(&answer);
    let answer = json.map(Answer::json).map_err(|fault| Fault::invalid(fault.to_string()))?;
    // Clients refuse a key that they do not know, so a header says it.
    Ok(match &found.partial {
        None => answer,
        Some(why) => answer.with(PARTIAL_HEADER, why),
    })
}

/// Whether a query is `{}`, the one that every trace matches.
pub(super) fn is_everything(query: &str) -> bool {
    let inner = query.trim().strip_prefix('{').and_then(|query| query.strip_suffix('}'));
    inner.is_some_and(|inner| inner.trim().is_empty())
}

fn read(parameters: &Parameters<'_>) -> Result<Search, Fault> {
    let (query, tags) = (parameters.get("q"), parameters.get("tags"));
    if query.is_some() && tags.is_some() {
        return Err(Fault::invalid("q and tags cannot be combined: use one of them"));
    }
    if let Some(query) = query
        && !is_everything(query)
    {
        return Err(Fault::invalid(
            "this version understands the query {} only; to narrow the search use tags, \
             minDuration, maxDuration, start and end",
        ));
    }
    let duration_min = duration(parameters, "minDuration")?;
    let duration_max = duration(parameters, "maxDuration")?;
    if let (Some(min), Some(max)) = (duration_min, duration_max)
        && min > max
    {
        return Err(Fault::invalid("minDuration must not be longer than maxDuration"));
    }
    let limit = match parameters.number("limit")?.unwrap_or(LIMIT) {
        limit @ 1..=LIMIT_MAX => limit,
        _ => return Err(Fault::invalid(format!("limit must be 1 to {LIMIT_MAX}"))),
    };
    let spans = match parameters.number("spss")?.unwrap_or(SPANS) {
        // Tempo's word for all of them.
        0 => SPANS_MAX,
        spans @ 1..=SPANS_MAX => spans,
        _ => return Err(Fault::invalid(format!("spss must be at most {SPANS_MAX}"))),
    };
    Ok(Search {
        tags: tags.map_or_else(|| Ok(Vec::new()), logfmt)?,
        duration_min,
        duration_max,
        during: parameters.during()?,
        limit: usize::try_from(limit).unwrap_or(usize::MAX),
        spans_per_trace: usize::try_from(spans).unwrap_or(usize::MAX),
    })
}

fn duration(parameters: &Parameters<'_>, name: &str) -> Result<Option<Nanos>, Fault> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    let refuse =
        || Fault::invalid(format!("{name}: {text:?} is no duration such as 1.5s or 100ms"));
    go_duration(text).map(Some).ok_or_else(refuse)
}

/// The units of Go's durations, in nanoseconds. Longest name first where one starts another.
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads a duration as Go writes it: `1h2m3.5s`, `100ms`, `0`.
fn go_duration(text: &str) -> Option<Nanos> {
    let text = text.trim();
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Nanos(0));
    }
    let mut sum = 0u64;
    while !rest.is_empty() {
        let (whole, tail) = digits(rest);
        let (fraction, tail) = match tail.strip_prefix('.') {
            Some(tail) => digits(tail),
            None => ("", tail),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let (unit, tail) =
            UNITS.iter().find_map(|(name, unit)| Some((*unit, tail.strip_prefix(name)?)))?;
        let mut value = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
        value = value.checked_mul(unit)?;
        let mut scale = unit;
        for digit in fraction.bytes() {
            scale /= 10;
            value = value.checked_add(u64::from(digit - b'0') * scale)?;
        }
        sum = sum.checked_add(value)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(Nanos(sum))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Reads `a=b c="d e" f`: values may be quoted, with the escapes of JSON; a bare key asks for its
/// presence.
fn logfmt(text: &str) -> Result<Vec<(String, String)>, Fault> {
    let mut tags: Vec<(String, String)> = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, tail) = rest.split_at(end);
        if key.is_empty() || key.contains('"') {
            return Err(Fault::invalid(format!("tags: expected key=value at {rest:?}")));
        }
        let (value, tail) = match tail.strip_prefix('=') {
            None => (String::new(), tail),
            Some(tail) if tail.starts_with('"') => quoted(tail)
                .ok_or_else(|| Fault::invalid(format!("tags: {key} has no closing quote")))?,
            Some(tail) => {
                let (value, tail) =
                    tail.split_at(tail.find(char::is_whitespace).unwrap_or(tail.len()));
                if value.contains(['"', '=']) {
                    return Err(Fault::invalid(format!("tags: put the value of {key} in quotes")));
                }
                (value.to_owned(), tail)
            }
        };
        if tail.chars().next().is_some_and(|c| !c.is_whitespace()) {
            return Err(Fault::invalid(format!("tags: expected a blank after the value of {key}")));
        }
        if tags.iter().any(|(known, _)| known == key) {
            return Err(Fault::invalid(format!("tags: {key} is there twice")));
        }
        if tags.len() == TAGS_MAX {
            return Err(Fault::invalid(format!("tags: at most {TAGS_MAX} are taken")));
        }
        tags.push((key.to_owned(), value));
        rest = tail.trim_start();
    }
    Ok(tags)
}

/// Reads the quoted text that `text` starts with; gives what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let value = values.next()?.ok()?;
    Some((value, text.split_at_checked(values.byte_offset())?.1))
}

/// `tempopb.SearchResponse`.
#[derive(Serialize)]
struct Response {
    /// There even where it is empty, as in Tempo's answers.
    traces: Vec<Trace>,
    metrics: Metrics,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metrics {
    #[serde(skip_serializing_if = "is_zero")]
    inspected_traces: u32,
    #[serde(skip_serializing_if = "is_zero_text")]
    inspected_bytes: String,
    completed_jobs: u32,
    total_jobs: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Trace {
    #[serde(rename = "traceID")]
    trace_id: String,
    root_service_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    root_trace_name: String,
    #[serde(skip_serializing_if = "is_zero_text")]
    start_time_unix_nano: String,
    #[serde(skip_serializing_if = "is_zero")]
    duration_ms: u32,
    /// Deprecated, and what Kiali reads.
    span_set: SpanSet,
    span_sets: [SpanSet; 1],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    service_stats: BTreeMap<String, ServiceStats>,
}

#[derive(Clone, Serialize)]
struct SpanSet {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    spans: Vec<Span>,
    #[serde(skip_serializing_if = "is_zero")]
    matched: u32,
}

#[derive(Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct Span {
    #[serde(rename = "spanID")]
    span_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "is_zero_text")]
    start_time_unix_nano: String,
    #[serde(skip_serializing_if = "is_zero_text")]
    duration_nanos: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceStats {
    span_count: u32,
    #[serde(skip_serializing_if = "is_zero")]
    error_count: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

fn is_zero_text(number: &str) -> bool {
    number == "0"
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl TryFrom<&Found> for Response {
    type Error = Fault;

    fn try_from(found: &Found) -> Result<Self, Fault> {
        Ok(Self {
            traces: found.traces.iter().map(Trace::try_from).collect::<Result<_, _>>()?,
            metrics: Metrics {
                inspected_traces: narrow(found.inspected_traces),
                inspected_bytes: found.inspected_bytes.to_string(),
                completed_jobs: 1,
                total_jobs: 1,
            },
        })
    }
}

impl TryFrom<&TraceSummary> for Trace {
    type Error = Fault;

    fn try_from(trace: &TraceSummary) -> Result<Self, Fault> {
        let spans = trace.spans.iter().map(Span::try_from).collect::<Result<_, _>>()?;
        let set = SpanSet { spans, matched: narrow(trace.matched) };
        let root = if trace.root_service.is_empty() { NO_ROOT } else { &trace.root_service };
        let services = trace.services.iter().map(|(service, spans, errors)| {
            let counts = ServiceStats { span_count: narrow(*spans), error_count: narrow(*errors) };
            (service.clone(), counts)
        });
        Ok(Self {
            trace_id: trace.id.trimmed(),
            root_service_name: root.to_owned(),
            root_trace_name: trace.root_name.clone(),
            start_time_unix_nano: trace.start.0.to_string(),
            duration_ms: narrow(trace.duration.as_millis()),
            span_set: set.clone(),
            span_sets: [set],
            service_stats: services.collect(),
        })
    }
}

impl TryFrom<&MatchedSpan> for Span {
    type Error = Fault;

    fn try_from(span: &MatchedSpan) -> Result<Self, Fault> {
        let attribute = |key_value: &Vec<u8>| {
            let json = json::encode_attribute(key_value)?;
            RawValue::from_string(json).map_err(|fault| Fault::invalid(fault.to_string()))
        };
        Ok(Self {
            span_id: span.id.to_string(),
            name: span.name.clone(),
            start_time_unix_nano: span.start.0.to_string(),
            duration_nanos: span.duration.0.to_string(),
            attributes: span.attributes.iter().map(attribute).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests;
