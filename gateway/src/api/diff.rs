//! `POST /api/v2/traces/diff`: what is different in one trace from another.
//!
//! [`tree`] brings both traces into an order and gives their spans names to know them by, [`pairs`]
//! finds the span of the one for each of the other, [`patch`] lists what changed span by span, and
//! [`summary`] says it in a page. The forms are Tempo's, which calls them experimental; how spans
//! are paired is our own, in time that grows with the spans and not with their square.

mod pairs;
mod patch;
mod summary;
mod tree;
mod writer;

use model::{Federation, TraceId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Api;
use super::answer::Answer;
use super::call::{Call, seconds_range};
use super::error::Fault;
use patch::Patch;
use summary::Summary;
use tree::{Names, Tree};

/// The largest request, in bytes.
pub(super) const REQUEST_BYTES_MAX: usize = 64 << 10;

/// The largest list of changes: paths of deep traces are long.
const PATCH_BYTES_MAX: usize = 16 << 20;

/// The largest list of changes that comes with a summary.
const PATCH_BESIDE_BYTES_MAX: usize = 64 << 10;

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
enum Format {
    /// Every span that changed.
    #[default]
    #[serde(rename = "trace-patch-v0")]
    Patch,
    /// A page about both.
    #[serde(rename = "trace-summary-v0-native")]
    Native,
    /// The page, and the list if it is short.
    #[serde(rename = "trace-summary-v0-composed")]
    Composed,
}

/// Which traces, and in which form.
#[derive(Debug, Deserialize)]
struct Request {
    base: Wanted,
    compare: Wanted,
    #[serde(default)]
    format: Format,
}

/// One of them.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    trace_id: String,
    start: Option<u64>,
    end: Option<u64>,
}

/// What is worth knowing about the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Warning {
    code: &'static str,
    message: String,
}

/// `POST /api/v2/traces/diff`.
pub(super) fn traces(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let tenants = Api::tenants(call)?;
    let request: Request = serde_json::from_slice(call.body())
        .map_err(|fault| Fault::invalid(format!("the body is no request for a diff: {fault}")))?;
    let (base_id, base) = find(api, &tenants, "base", &request.base)?;
    let (compare_id, compare) = find(api, &tenants, "compare", &request.compare)?;
    let mut names = Names::default();
    let base = Tree::plant(base_id, &base, &mut names)?;
    let compare = Tree::plant(compare_id, &compare, &mut names)?;
    let json = told(request.format, &Diff::of(&names, &base, &compare))?;
    Ok(Answer::json(json))
}

/// One of the traces, whole.
fn find(
    api: &Api,
    tenants: &Federation,
    which: &str,
    wanted: &Wanted,
) -> Result<(TraceId, Vec<u8>), Fault> {
    let id = TraceId::parse(&wanted.trace_id)
        .map_err(|fault| Fault::invalid(format!("{which}.traceId: {fault}")))?;
    let during = seconds_range(wanted.start, wanted.end)
        .map_err(|fault| Fault::invalid(format!("{which}: {fault}")))?;
    let found = api.parts.traces.trace(tenants, id, during, None)?;
    let unknown = || Fault::not_found(format!("{which}: trace {id} is not known"));
    let trace = found.ok_or_else(unknown)?;
    let left_out = (trace.left_out > 0).then(|| {
        format!("{} spans are left out, it is larger than query.trace_bytes_max", trace.left_out)
    });
    match left_out.or(trace.partial) {
        None => Ok((id, trace.otlp)),
        // A difference to spans that are not here would be none.
        Some(why) => {
            let words = format!("{which}: trace {id} is partial: {why}; whole ones are compared");
            Err(Fault::unprocessable(words))
        }
    }
}

/// Two traces and what is known of both.
#[derive(Debug)]
struct Diff<'d> {
    names: &'d Names,
    base: &'d Tree<'d>,
    compare: &'d Tree<'d>,
    changes: patch::Changes,
    warnings: Vec<Warning>,
}

impl<'d> Diff<'d> {
    fn of(names: &'d Names, base: &'d Tree<'d>, compare: &'d Tree<'d>) -> Self {
        let mut warnings = base.warnings("base");
        warnings.extend(compare.warnings("compare"));
        let ambiguous = pairs::ambiguous(base, compare);
        if ambiguous > 0 {
            let message = format!(
                "{ambiguous} groups of like spans can be paired in several ways; that a span of one \
                 is the other's is a guess"
            );
            warnings.push(Warning { code: "ambiguous_span_match", message });
        }
        let changes = patch::Changes::between(base, compare);
        Self { names, base, compare, changes, warnings }
    }
}

/// A summary and the patch that goes with it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Composed<'d> {
    version: Format,
    summary: Summary<'d>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_omitted: Option<Omitted>,
}

/// Why there is no patch. It is never cut: a part of it would look like all of it.
#[derive(Debug, Serialize)]
struct Omitted {
    bytes: usize,
    reason: &'static str,
}

/// Writes a diff in the form that is asked for.
fn told(format: Format, diff: &Diff<'_>) -> Result<String, Fault> {
    let patch = Patch::of(diff);
    let text = |bytes: Vec<u8>| {
        String::from_utf8(bytes).map_err(|fault| Fault::internal(fault.to_string()))
    };
    match format {
        Format::Patch => match writer::json(&patch, PATCH_BYTES_MAX, PATCH_BYTES_MAX)? {
            (_, Some(bytes)) => text(bytes),
            (_, None) => Err(Fault::unprocessable(format!(
                "the patch is larger than {PATCH_BYTES_MAX} bytes: ask for format \
                 trace-summary-v0-native"
            ))),
        },
        Format::Native => {
            let written = writer::json(&Summary::of(diff), PATCH_BYTES_MAX, PATCH_BYTES_MAX)?;
            text(written.1.unwrap_or_default())
        }
        Format::Composed => {
            let (bytes, patch) = writer::json(&patch, PATCH_BESIDE_BYTES_MAX, PATCH_BYTES_MAX)?;
            let patch = patch.map(text).transpose()?.map(RawValue::from_string);
            let patch = patch.transpose().map_err(|fault| Fault::internal(fault.to_string()))?;
            let omitted = Omitted { bytes, reason: "over_budget" };
            let patch_omitted = patch.is_none().then_some(omitted);
            let summary = Summary::of(diff);
            let composed = Composed { version: format, summary, patch, patch_omitted };
            serde_json::to_string(&composed).map_err(|fault| Fault::internal(fault.to_string()))
        }
    }
}

#[cfg(test)]
mod tests;
