//! `GET /api/search`: a query or tags, durations and times in, traces out as Tempo writes them.
//!
//! [`Terms`] are what a client says, over HTTP or gRPC; tags become a query. The answer is made in
//! [`found`], or as JSON in [`json`].

mod found;
mod json;
mod logfmt;
mod tags;

use model::{Nanos, TimeRange};
use store::execute::traceql::SearchRequest;
use traceql::ast::Root;

use super::answer::Answer;
use super::call::{Call, Parameters};
use super::error::Fault;
use super::guard::{Guard, check_range};
use super::{Api, hint, time};
pub(super) use found::{metrics, response};

/// Traces of an answer where the request does not say.
const LIMIT: u64 = 20;

/// The most traces of an answer.
const LIMIT_MAX: u64 = 10_000;

/// Spans of each spanset where the request does not say.
const SPANS: u64 = 3;

/// The most spans of each spanset.
const SPANS_MAX: u64 = 100;

/// `GET /api/search`.
pub(super) fn search(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let tenants = Api::tenants(call)?;
    let terms = Terms::read(&call.parameters()?)?;
    let hints = hint::of(&terms.query);
    let wanted = terms.wanted(call.guard())?;
    let found = api.parts.traces.query(&tenants, &wanted, &mut |_, _| {})?;
    call.guard().looked_at(found.inspected);
    let answer = match call.takes_protobuf() {
        true => Answer::message(call, &response(&found.traces, found.inspected))?,
        false => {
            let json = json::response(&found.traces, found.inspected);
            Answer::json(json.map_err(|fault| Fault::internal(fault.to_string()))?)
        }
    };
    Ok(answer.with_partial(found.partial.as_deref()).with_hints(&hints))
}

/// What a client says.
#[derive(Debug)]
pub(super) struct Terms {
    /// Empty where there is none.
    pub(super) query: String,
    /// Nothing where there are none, which is not the same as an empty list.
    pub(super) tags: Option<Vec<(String, String)>>,
    pub(super) duration_min: Option<Nanos>,
    pub(super) duration_max: Option<Nanos>,
    pub(super) during: TimeRange,
    pub(super) limit: u64,
    pub(super) spans: u64,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            query: String::new(),
            tags: None,
            duration_min: None,
            duration_max: None,
            during: TimeRange::ALL,
            limit: LIMIT,
            spans: SPANS,
        }
    }
}

impl Terms {
    fn read(parameters: &Parameters<'_>) -> Result<Self, Fault> {
        Ok(Self {
            query: parameters.get("q").unwrap_or_default().to_owned(),
            tags: parameters.get("tags").map(logfmt::read).transpose()?,
            duration_min: duration(parameters, "minDuration")?,
            duration_max: duration(parameters, "maxDuration")?,
            during: parameters.during()?,
            limit: parameters.number("limit")?.unwrap_or(LIMIT),
            // Tempo's word for all of them is 0.
            spans: match parameters.number("spss")?.unwrap_or(SPANS) {
                0 => SPANS_MAX,
                spans => spans,
            },
        })
    }

    /// What the store is asked.
    ///
    /// # Errors
    /// Says which of the terms cannot be.
    pub(super) fn wanted(self, guard: &Guard) -> Result<SearchRequest, Fault> {
        let Self { query, tags, duration_min, duration_max, during, limit, spans } = self;
        if !query.is_empty() && tags.is_some() {
            return Err(Fault::invalid("q and tags cannot be combined: use one of them"));
        }
        if let (Some(min), Some(max)) = (duration_min, duration_max)
            && min > max
        {
            return Err(Fault::invalid("minDuration must not be longer than maxDuration"));
        }
        if !(1..=LIMIT_MAX).contains(&limit) {
            return Err(Fault::invalid(format!("limit must be 1 to {LIMIT_MAX}")));
        }
        if !(1..=SPANS_MAX).contains(&spans) {
            return Err(Fault::invalid(format!("spss must be at most {SPANS_MAX}")));
        }
        check_range("query.search_range_max", guard.limits().search_range_max, during)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let spans_per_set = usize::try_from(spans).unwrap_or(usize::MAX);
        let query = if query.is_empty() {
            let filter = traceql::parse(&tags::filter(&tags.unwrap_or_default()))?;
            let mut query = bounded(filter, duration_min, duration_max);
            extend(&mut query, SHOWN);
            query
        } else {
            bounded(traceql::parse(&query)?, duration_min, duration_max)
        };
        let budget = guard.budget().clone();
        Ok(SearchRequest { query, during, limit, spans_per_set, budget })
    }
}

/// A query whose traces take so long, too. Kiali asks with a query and `minDuration`.
fn bounded(mut query: traceql::Query, min: Option<Nanos>, max: Option<Nanos>) -> traceql::Query {
    let bounds = [(">=", min), ("<=", max)];
    for (op, Nanos(bound)) in bounds.into_iter().filter_map(|(op, bound)| Some((op, bound?))) {
        extend(&mut query, &format!("{{ traceDuration {op} {bound}ns }}"));
    }
    query
}

/// What spans that were searched for by tags show, beside the tags.
const SHOWN: &str = "{ } | select(name, resource.service.name)";

/// Adds the stages of another query.
fn extend(query: &mut traceql::Query, more: &str) {
    // Ours parse whatever number is in them, as long as it fits; no trace is longer than that.
    if let (Ok(more), Root::Spans(pipeline)) = (traceql::parse(more), &mut query.root)
        && let Root::Spans(more) = more.root
    {
        pipeline.stages.extend(more.stages);
    }
}

fn duration(parameters: &Parameters<'_>, name: &str) -> Result<Option<Nanos>, Fault> {
    let Some(text) = parameters.get(name) else { return Ok(None) };
    let refuse =
        || Fault::invalid(format!("{name}: {text:?} is no duration such as 1.5s or 100ms"));
    time::go_duration(text).map(Some).ok_or_else(refuse)
}

#[cfg(test)]
mod tests;
