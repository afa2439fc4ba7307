//! Names of attributes and their values, for editors and drop-down lists.

use std::collections::BTreeMap;

use model::{Federation, TimeRange};
use store::execute::traceql::{Inspected, NamesRequest};
use traceql::ast::{Field, INTRINSICS, Intrinsic, Scope, Type};

use super::answer::Answer;
use super::call::{Call, Form, Parameters};
use super::error::Fault;
use super::guard::Guard;
use super::pb::{
    MetadataMetrics, SearchTagValuesResponse, SearchTagValuesV2Response, SearchTagsResponse,
    SearchTagsV2Response, TagScope,
};
use super::{Api, llm, value};

/// Names or values of an answer where the request does not say.
const LIMIT: u64 = 10_000;

/// The most names or values of an answer.
const LIMIT_MAX: u64 = 100_000;

/// What Tempo calls the scope of the intrinsics.
const INTRINSIC: &str = "intrinsic";

/// `GET /api/search/tags`.
pub(super) fn tags_v1(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let tenants = Api::tenants(call)?;
    let terms = Terms::read(&call.parameters()?)?;
    let (response, partial) = tags(api, &tenants, &terms, call.guard())?;
    Ok(Answer::message(call, &flat(&response, &terms.scope))?.with_partial(partial.as_deref()))
}

/// `GET /api/v2/search/tags`.
pub(super) fn tags_v2(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let tenants = Api::tenants(call)?;
    let terms = Terms::read(&call.parameters()?)?;
    let (response, partial) = tags(api, &tenants, &terms, call.guard())?;
    Ok(Answer::message(call, &response)?.with_partial(partial.as_deref()))
}

/// `GET /api/search/tag/{tag}/values`.
pub(super) fn values_v1(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let tenants = Api::tenants(call)?;
    let terms = Terms::read(&call.parameters()?)?;
    let field = unscoped(call.id());
    let (response, partial) = values(api, &tenants, &field, &terms, call.guard())?;
    Ok(Answer::message(call, &untyped(response))?.with_partial(partial.as_deref()))
}

/// `GET /api/v2/search/tag/{scoped}/values`.
pub(super) fn values_v2(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let tenants = Api::tenants(call)?;
    let terms = Terms::read(&call.parameters()?)?;
    let field = scoped(call.id())?;
    let (response, partial) = values(api, &tenants, &field, &terms, call.guard())?;
    let answer = match call.form() {
        Form::Short => Answer::typed(llm::CONTENT_TYPE, by_type(&response)),
        Form::Json | Form::Protobuf => Answer::message(call, &response)?,
    };
    Ok(answer.with_partial(partial.as_deref()))
}

/// Of which spans, and how many.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) scope: String,
    /// As it is being typed: what is not finished narrows nothing.
    pub(super) query: String,
    pub(super) during: TimeRange,
    /// 0 is what is usual.
    pub(super) limit: u64,
}

impl Terms {
    fn read(parameters: &Parameters<'_>) -> Result<Self, Fault> {
        let text = |name| parameters.get(name).unwrap_or_default().to_owned();
        Ok(Self {
            scope: text("scope"),
            query: text("q"),
            during: parameters.during()?,
            limit: parameters.number("limit")?.unwrap_or(0),
        })
    }

    fn request(&self, guard: &Guard) -> NamesRequest {
        let limit = if self.limit == 0 { LIMIT } else { self.limit.min(LIMIT_MAX) };
        NamesRequest {
            filter: traceql::incomplete(&self.query),
            during: self.during,
            limit: usize::try_from(limit).unwrap_or(usize::MAX),
            budget: guard.budget().clone(),
        }
    }
}

/// Which scopes are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    All,
    One(Scope),
    Intrinsics,
}

fn wanted(scope: &str) -> Result<Wanted, Fault> {
    match scope {
        "" | "none" => Ok(Wanted::All),
        INTRINSIC => Ok(Wanted::Intrinsics),
        scope => Scope::named(scope).map(Wanted::One).ok_or_else(|| {
            let known: Vec<&str> = Scope::NAMED.iter().map(|(_, name)| *name).collect();
            let known = known.join(", ");
            Fault::invalid(format!("scope {scope:?} is none of {known}, {INTRINSIC}"))
        }),
    }
}

/// Names by their scopes, and why some may be missing.
///
/// # Errors
/// When there is no such scope; as the store says.
pub(super) fn tags(
    api: &Api,
    tenants: &Federation,
    terms: &Terms,
    guard: &Guard,
) -> Result<(SearchTagsV2Response, Option<String>), Fault> {
    let wanted = wanted(&terms.scope)?;
    let (mut response, mut partial) = (SearchTagsV2Response::default(), None);
    response.metrics = Some(MetadataMetrics::default());
    let intrinsics = || TagScope { name: INTRINSIC.to_owned(), tags: intrinsics() };
    let scope = match wanted {
        Wanted::Intrinsics => {
            response.scopes.push(intrinsics());
            return Ok((response, partial));
        }
        Wanted::All => None,
        Wanted::One(scope) => Some(scope),
    };
    let found = api.parts.traces.tags(tenants, scope, &terms.request(guard))?;
    guard.looked_at(found.inspected);
    for name in found.names {
        let scope = name.scope.name();
        match response.scopes.last_mut().filter(|last| last.name == scope) {
            Some(last) => last.tags.push(name.name),
            None => {
                response.scopes.push(TagScope { name: scope.to_owned(), tags: vec![name.name] });
            }
        }
    }
    if wanted == Wanted::All {
        response.scopes.push(intrinsics());
    }
    response.metrics = Some(metrics(found.inspected));
    partial.clone_from(&found.partial);
    Ok((response, partial))
}

/// Names without their scopes, each once. Intrinsics are told only to who asks for them.
pub(super) fn flat(response: &SearchTagsV2Response, scope: &str) -> SearchTagsResponse {
    let shown = |found: &&TagScope| found.name != INTRINSIC || scope == INTRINSIC;
    let scopes = response.scopes.iter().filter(shown);
    let mut tag_names: Vec<String> = scopes.flat_map(|scope| scope.tags.clone()).collect();
    tag_names.sort_unstable();
    tag_names.dedup();
    SearchTagsResponse { tag_names, metrics: response.metrics }
}

/// Intrinsics that have values to choose from, by all of their names.
fn intrinsics() -> Vec<String> {
    use Intrinsic::{
        LinkSpanId, LinkTraceId, NestedSetLeft, NestedSetParent, NestedSetRight, ParentId, SpanId,
        TraceId,
    };
    let is_number = |intrinsic| {
        matches!(
            intrinsic,
            SpanId
                | ParentId
                | TraceId
                | LinkTraceId
                | LinkSpanId
                | NestedSetLeft
                | NestedSetRight
                | NestedSetParent
        )
    };
    let shown = INTRINSICS.iter().filter(|row| row.of != Type::Span && !is_number(row.intrinsic));
    let names = shown.flat_map(|row| [Some(row.name), row.alias]).flatten();
    let mut names: Vec<String> = names.map(str::to_owned).collect();
    names.sort_unstable();
    names
}

/// The field of a name with its scope.
///
/// # Errors
/// Says what such a name looks like.
pub(super) fn scoped(name: &str) -> Result<Field, Fault> {
    let refuse = |why: &dyn std::fmt::Display| {
        Fault::invalid(format!(
            "please provide a valid tagName, such as span.http.method or name: {name:?}: {why}"
        ))
    };
    let field = traceql::field(name).map_err(|fault| refuse(&fault))?;
    if field.of() == Type::Span {
        return Err(refuse(&"it has no values"));
    }
    Ok(field)
}

/// The field of a name without a scope, as the first version has them.
pub(super) fn unscoped(name: &str) -> Field {
    let intrinsic = Intrinsic::named(name).filter(|intrinsic| intrinsic.of() != Type::Span);
    intrinsic.map_or_else(|| Field::attribute(Scope::Unscoped, name), Field::intrinsic)
}

/// Values of a field, and why some may be missing.
///
/// # Errors
/// As the store says.
pub(super) fn values(
    api: &Api,
    tenants: &Federation,
    field: &Field,
    terms: &Terms,
    guard: &Guard,
) -> Result<(SearchTagValuesV2Response, Option<String>), Fault> {
    let found = api.parts.traces.tag_values(tenants, field, &terms.request(guard))?;
    guard.looked_at(found.inspected);
    let tag_values = found.values.iter().map(value::typed).collect();
    let metrics = Some(metrics(found.inspected));
    Ok((SearchTagValuesV2Response { tag_values, metrics }, found.partial))
}

/// Values as text alone.
pub(super) fn untyped(response: SearchTagValuesV2Response) -> SearchTagValuesResponse {
    let SearchTagValuesV2Response { tag_values, metrics } = response;
    let tag_values = tag_values.into_iter().map(|value| value.value).collect();
    SearchTagValuesResponse { tag_values, metrics }
}

/// Values by their types, in few words.
fn by_type(response: &SearchTagValuesV2Response) -> String {
    let mut types: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for value in &response.tag_values {
        types.entry(&value.r#type).or_default().push(&value.value);
    }
    let mut answer = serde_json::json!({ "tagValues": types });
    if let Some(metrics) = response.metrics {
        let MetadataMetrics { inspected_bytes, total_jobs, completed_jobs } = metrics;
        answer["metrics"] = serde_json::json!({
            "inspectedBytes": inspected_bytes,
            "totalJobs": total_jobs,
            "completedJobs": completed_jobs,
        });
    }
    answer.to_string()
}

fn metrics(inspected: Inspected) -> MetadataMetrics {
    let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    MetadataMetrics {
        inspected_bytes: inspected.bytes,
        total_jobs: narrow(inspected.units_total),
        completed_jobs: narrow(inspected.units),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_those_of_tempo() {
        for (text, scope) in [
            ("", Wanted::All),
            ("none", Wanted::All),
            ("span", Wanted::One(Scope::Span)),
            ("instrumentation", Wanted::One(Scope::Instrumentation)),
            ("intrinsic", Wanted::Intrinsics),
        ] {
            assert_eq!(wanted(text).unwrap(), scope, "{text}");
        }
        let refusal = wanted("trace").unwrap_err().to_string();
        assert!(refusal.contains("\"trace\"") && refusal.contains("resource"), "{refusal}");
    }

    #[test]
    fn names_of_the_second_version_have_a_scope() {
        for name in [
            "span.http.method",
            "resource.service.name",
            ".x",
            "name",
            "span:name",
            "status",
            "event:name",
            "span.attr/slash",
            "span.attr[bracket",
            "resource.\"a b\"",
            "span.\"a \\\"b\\\" {}\"",
            "resource.attr%20escape",
            "instrumentation.x",
        ] {
            assert!(scoped(name).is_ok(), "{name}");
        }
        for name in ["", "x", "http.method", "span.", "span.a b", "parent", "1"] {
            let refusal = scoped(name).unwrap_err().to_string();
            assert!(refusal.starts_with("please provide a valid tagName"), "{name}: {refusal}");
        }
    }

    #[test]
    fn names_of_the_first_version_have_none() {
        assert_eq!(unscoped("name"), Field::intrinsic(Intrinsic::Name));
        assert_eq!(unscoped("service.name"), Field::attribute(Scope::Unscoped, "service.name"));
        assert_eq!(unscoped("parent"), Field::attribute(Scope::Unscoped, "parent"));
        assert_eq!(unscoped("a b{"), Field::attribute(Scope::Unscoped, "a b{"));
    }

    #[test]
    fn intrinsics_are_told_by_scope() {
        let all = intrinsics();
        for name in ["duration", "span:duration", "status", "kind", "trace:rootName", "event:name"]
        {
            assert!(all.iter().any(|known| known == name), "{name}");
        }
        assert!(!all.iter().any(|name| name == "trace:id" || name == "parent"));
        let scope = |name: &str, tags: &[&str]| TagScope {
            name: name.to_owned(),
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
        };
        let scopes = vec![
            scope("span", &["b", "a"]),
            scope("resource", &["a"]),
            scope("intrinsic", &["name"]),
        ];
        let response = SearchTagsV2Response { scopes, metrics: None };
        assert_eq!(flat(&response, "").tag_names, ["a", "b"]);
        assert_eq!(flat(&response, "intrinsic").tag_names, ["a", "b", "name"]);
    }
}
