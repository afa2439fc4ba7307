//! `GET /api/metrics/query_range` and `GET /api/metrics/query`: series over time, and single
//! numbers.

use model::{Federation, Nanos, TimeRange, TraceId};
use store::execute::traceql::{self as engine, MetricsRequest};

use super::answer::Answer;
use super::call::{Call, Parameters};
use super::error::Fault;
use super::guard::{Guard, check_range};
use super::pb::{
    Exemplar, InstantSeries, PartialStatus, QueryInstantResponse, QueryRangeResponse, Sample,
    TimeSeries,
};
use super::{Api, hint, search, time, value};

/// How far back a query looks where the request does not say.
const SINCE: Nanos = Nanos(3_600 * Nanos::SECOND.0);

/// The most intervals of a range.
const INTERVALS_MAX: u64 = 10_000;

/// Series of an answer where the request does not say.
const SERIES: u64 = 1_000;

/// The most series times intervals of an answer, however many series are asked for: 1,000 series of
/// 500 intervals. A client that asks for nine seconds by the millisecond had the process take
/// 350 MB for one answer without this.
const SAMPLES_MAX: u64 = 500_000;

/// The most exemplars of an answer.
const EXEMPLARS_MAX: u64 = 10_000;

/// `GET /api/metrics/query_range`.
pub(super) fn range(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let tenants = Api::tenants(call)?;
    let terms = Terms::read(&call.parameters()?, api.parts.clock.now())?;
    let request = terms.range(call.guard())?;
    let response = query_range(api, (&tenants, call.guard()), &request, &mut |_| {})?;
    let partial = (!response.message.is_empty()).then_some(&*response.message);
    let answer = Answer::message(call, &response)?.with_partial(partial);
    Ok(answer.with_hints(&hint::of(&terms.query)))
}

/// `GET /api/metrics/query`.
pub(super) fn instant(api: &Api, call: &Call) -> Result<Answer, Fault> {
    let tenants = Api::tenants(call)?;
    let terms = Terms::read(&call.parameters()?, api.parts.clock.now())?;
    let request = terms.instant(call.guard())?;
    let response = query_instant(api, (&tenants, call.guard()), &request, &mut |_| {})?;
    let partial = (!response.message.is_empty()).then_some(&*response.message);
    let answer = Answer::message(call, &response)?.with_partial(partial);
    Ok(answer.with_hints(&hint::of(&terms.query)))
}

/// What a client says.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) query: String,
    pub(super) start: Nanos,
    pub(super) end: Nanos,
    /// 0 is what fits the range.
    pub(super) step: Nanos,
    pub(super) exemplars: u64,
    /// 0 is what is usual.
    pub(super) series_max: u64,
}

impl Terms {
    fn read(parameters: &Parameters<'_>, now: Nanos) -> Result<Self, Fault> {
        let moment = |name: &str| {
            let Some(text) = parameters.get(name) else { return Ok(None) };
            let refuse = || {
                Fault::invalid(format!(
                    "{name}: {text:?} is no time: give seconds or nanoseconds since 1970, or \
                     RFC 3339"
                ))
            };
            time::moment(text).map(Some).ok_or_else(refuse)
        };
        let length = |name: &str, read: fn(&str) -> Option<Nanos>| {
            let Some(text) = parameters.get(name) else { return Ok(None) };
            let refuse = || Fault::invalid(format!("{name}: {text:?} is no duration such as 30s"));
            read(text).map(Some).ok_or_else(refuse)
        };
        let since = length("since", time::duration)?.unwrap_or(SINCE);
        let end = moment("end")?.unwrap_or(now);
        let start = moment("start")?.unwrap_or_else(|| end.min(now).minus(since));
        let query = parameters.get("q").or_else(|| parameters.get("query"));
        Ok(Self {
            query: query.unwrap_or_default().to_owned(),
            start,
            end,
            step: length("step", time::step)?.unwrap_or_default(),
            exemplars: parameters.number("exemplars")?.unwrap_or(0),
            series_max: parameters.number("maxSeries")?.unwrap_or(0),
        })
    }

    /// A query over a range, both of whose ends may be 0: the last hour then.
    pub(super) fn of(query: String, start: u64, end: u64, now: Nanos) -> Self {
        let (start, end) = match (start, end) {
            (0, 0) => (now.minus(SINCE), now),
            (start, end) => (Nanos(start), Nanos(end)),
        };
        Self { query, start, end, step: Nanos(0), exemplars: 0, series_max: 0 }
    }

    /// A range in steps.
    ///
    /// # Errors
    /// Says which of the terms cannot be.
    pub(super) fn range(&self, guard: &Guard) -> Result<MetricsRequest, Fault> {
        let mut request = self.instant(guard)?;
        let step =
            if self.step == Nanos(0) { usual_step(self.end.minus(self.start)) } else { self.step };
        let intervals = self.end.minus(self.start).0.div_ceil(step.0);
        if intervals > INTERVALS_MAX {
            return Err(Fault::invalid(format!(
                "the step makes {intervals} intervals of the range, at most {INTERVALS_MAX} are \
                 computed: make the step longer"
            )));
        }
        request.step = Some(step);
        // Aligned to steps, a range may touch one interval more.
        let fit = usize::try_from(SAMPLES_MAX / (intervals + 1)).unwrap_or(usize::MAX);
        request.series_max = request.series_max.min(fit);
        Ok(request)
    }

    /// A range as one.
    ///
    /// # Errors
    /// Says which of the terms cannot be.
    pub(super) fn instant(&self, guard: &Guard) -> Result<MetricsRequest, Fault> {
        let (start, end) = (self.start, self.end);
        if start >= end {
            return Err(Fault::invalid(format!(
                "start ({}) must be before end ({}), in nanoseconds",
                start.0, end.0
            )));
        }
        let during = TimeRange { start, end };
        let limits = guard.limits();
        check_range("query.metrics_range_max", limits.metrics_range_max, during)?;
        if self.query.is_empty() {
            return Err(Fault::invalid("there is no query: give one as q"));
        }
        let query = traceql::parse(&self.query)?;
        if !query.is_metrics() {
            return Err(Fault::invalid(
                "the query finds spans and is no metrics query: put a function behind it, such \
                 as | rate()",
            ));
        }
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let series = if self.series_max == 0 { SERIES } else { self.series_max };
        let series = series.min(u64::from(limits.series_max));
        Ok(MetricsRequest {
            query,
            start,
            end,
            step: None,
            exemplars: size(self.exemplars.min(EXEMPLARS_MAX)),
            series_max: size(series),
            budget: guard.budget().clone(),
        })
    }
}

/// Steps that people read easily.
const STEPS: [u64; 17] =
    [1, 2, 5, 10, 15, 30, 60, 300, 600, 900, 1_800, 3_600, 7_200, 21_600, 43_200, 86_400, 604_800];

/// The step of a range where the request does not say: the longest of [`STEPS`] that makes 240
/// intervals, as Tempo has it (1 s for 5 min, 15 s for an hour, 1 min for 6 h, 5 min for a day).
fn usual_step(range: Nanos) -> Nanos {
    let fits = |secs: &&u64| **secs <= range.0 / 240 / Nanos::SECOND.0;
    Nanos::from_secs(STEPS.iter().rev().find(fits).copied().unwrap_or(1))
}

/// Asks the store for a range. `on_progress` is called with what is counted so far, each time all of
/// it.
///
/// # Errors
/// As the store says.
pub(super) fn query_range(
    api: &Api,
    (tenants, guard): (&Federation, &Guard),
    request: &MetricsRequest,
    on_progress: &mut dyn FnMut(QueryRangeResponse),
) -> Result<QueryRangeResponse, Fault> {
    let mut on_progress = |answer| on_progress(ranged(answer));
    let answer = api.parts.traces.query_metrics(tenants, request, &mut on_progress)?;
    guard.looked_at(answer.inspected);
    Ok(ranged(answer))
}

fn ranged(answer: engine::MetricsAnswer) -> QueryRangeResponse {
    QueryRangeResponse {
        series: answer.series.iter().map(series).collect(),
        metrics: Some(search::metrics(answer.inspected)),
        status: status(answer.partial.as_ref()),
        message: answer.partial.unwrap_or_default(),
    }
}

/// Asks the store for single numbers.
///
/// # Errors
/// As the store says.
pub(super) fn query_instant(
    api: &Api,
    (tenants, guard): (&Federation, &Guard),
    request: &MetricsRequest,
    on_progress: &mut dyn FnMut(QueryInstantResponse),
) -> Result<QueryInstantResponse, Fault> {
    let mut on_progress = |answer| on_progress(numbers(answer));
    let answer = api.parts.traces.query_metrics(tenants, request, &mut on_progress)?;
    guard.looked_at(answer.inspected);
    Ok(numbers(answer))
}

fn numbers(answer: engine::MetricsAnswer) -> QueryInstantResponse {
    let instant = |series: &engine::Series| {
        // Without a sample there is nothing to say.
        let sample = series.samples.last()?;
        Some(InstantSeries { labels: labels(series), value: sample.value })
    };
    QueryInstantResponse {
        series: answer.series.iter().filter_map(instant).collect(),
        metrics: Some(search::metrics(answer.inspected)),
        status: status(answer.partial.as_ref()),
        message: answer.partial.unwrap_or_default(),
    }
}

fn status(partial: Option<&String>) -> i32 {
    match partial {
        None => PartialStatus::Complete.into(),
        Some(_) => PartialStatus::Partial.into(),
    }
}

fn labels(series: &engine::Series) -> Vec<super::pb::KeyValue> {
    series.labels.iter().map(|(name, of)| value::pair(name.as_str(), value::one(of))).collect()
}

fn series(series: &engine::Series) -> TimeSeries {
    let sample =
        |sample: &engine::Sample| Sample { timestamp_ms: millis(sample.at), value: sample.value };
    TimeSeries {
        labels: labels(series),
        samples: series.samples.iter().map(sample).collect(),
        exemplars: series.exemplars.iter().map(exemplar).collect(),
    }
}

fn exemplar(exemplar: &engine::Exemplar) -> Exemplar {
    let trace: TraceId = exemplar.trace;
    Exemplar {
        labels: vec![
            value::pair("trace:id", value::text(trace.trimmed())),
            value::pair("span:id", value::text(exemplar.span.to_string())),
        ],
        value: exemplar.value,
        timestamp_ms: millis(exemplar.at),
    }
}

fn millis(at: Nanos) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
