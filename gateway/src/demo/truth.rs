//! The ground truth of a set: what each query must find, known from the plan of the traces and not
//! from their bytes.

use std::collections::BTreeMap;

use model::{Nanos, TraceId};
use serde::{Deserialize, Serialize};

use super::catalog::operations::OPERATIONS;
use super::catalog::{Form, SERVICES};
use super::plan::{Outcome, ROOT, Trace};
use super::random::mix;
use super::resource::Fleet;
use super::span::user_id;
use super::value;

/// What is true of a set. Written as JSON beside it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Truth {
    /// `nice` or `ugly`.
    pub set: String,
    /// The seed that it was made from.
    pub seed: u64,
    /// Requests.
    pub requests: u64,
    /// Bytes of all requests, uncompressed.
    pub bytes: u64,
    /// Spans that were sent.
    pub spans: u64,
    /// Spans of them that a receiver must refuse (no trace id, no span id).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u64,
    /// Traces.
    pub traces: u64,
    /// The first start of a trace, in nanoseconds since the epoch.
    pub start: u64,
    /// The last end of a span, in nanoseconds since the epoch.
    pub end: u64,
    /// By `service.name`.
    pub services: BTreeMap<String, Service>,
    /// What queries find.
    pub queries: Vec<Query>,
    /// By span name.
    pub names: BTreeMap<String, Durations>,
    /// By tenant: spans that are kept. Empty where the set is of one tenant.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tenants: BTreeMap<String, u64>,
    /// Some traces, to be fetched by id.
    pub samples: Vec<Sample>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What is true of a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Its spans.
    pub spans: u64,
    /// Its spans with status error.
    pub errors: u64,
    /// Traces that it has a span in.
    pub traces: u64,
    /// Its spans by the minute (since the epoch) in which they start: the rate.
    pub minutes: BTreeMap<u64, u64>,
}

/// What a query finds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Query {
    /// A short name.
    pub name: String,
    /// The query in TraceQL.
    pub traceql: String,
    /// The query as parameters of the search by tags, where it can be said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<String>,
    /// Traces that match.
    pub traces: u64,
    /// Spans that match.
    pub spans: u64,
    /// The traces' ids, where they are few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
}

/// How long spans took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Durations {
    /// Spans.
    pub spans: u64,
    /// The median, in nanoseconds (the smallest duration that half of the spans do not exceed).
    pub p50: u64,
    /// The 99th percentile, in nanoseconds.
    pub p99: u64,
}

/// A trace to be fetched by id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Its id, in hex.
    pub id: String,
    /// The tenant that it belongs to, where the set has many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// `service.name` of its root.
    pub service: String,
    /// The name of its root.
    pub name: String,
    /// The first start.
    pub start: u64,
    /// From the first start to the last end, in nanoseconds.
    pub duration: u64,
    /// How many spans it has.
    pub spans: u64,
    /// Their ids, in hex, sorted. Left out where they are very many.
    pub span_ids: Vec<String>,
}

/// How many traces are sampled, about.
pub(super) const SAMPLES: u64 = 200;

/// How many ids of matching traces are listed at most.
const LISTED_MAX: usize = 50;

/// A user that no trace has.
const ABSENT: &str = "8a8a8a8a-0000-4000-a000-00000000dead";

/// The questions that are asked of every trace, in the order of [`Row::matched`].
const QUESTIONS: [(&str, &str, Option<&str>); 10] = [
    ("all", "{ }", None),
    ("error", "{ status = error }", Some("tags=error%3Dtrue")),
    ("http status 500 and above", "{ span.http.response.status_code >= 500 }", None),
    ("name with checkout", "{ name =~ `.*checkout.*` }", Some("tags=name%3Dcheckout")),
    ("span longer than 1s", "{ duration > 1s }", None),
    ("trace longer than 1s", "{ trace:duration > 1s }", Some("minDuration=1s")),
    (
        "frontend >> postgresql",
        "{ resource.service.name = `frontend` } >> { span.db.system.name = `postgresql` }",
        None,
    ),
    (
        "frontend error >> payment error",
        "{ resource.service.name = `frontend` && status = error } >> \
         { resource.service.name = `payment` && status = error }",
        None,
    ),
    (
        "service payment",
        "{ resource.service.name = `payment` }",
        Some("tags=service.name%3Dpayment"),
    ),
    (
        "topic orders",
        "{ span.messaging.destination.name = `orders` }",
        Some("tags=messaging.destination.name%3Dorders"),
    ),
];

/// What is kept of each trace until the end.
#[derive(Debug)]
struct Row {
    id: [u8; 16],
    user: u64,
    user_spans: u32,
    matched: [u32; QUESTIONS.len()],
}

/// Collects the truth while a set is made.
#[derive(Debug)]
pub(super) struct Recorder {
    truth: Truth,
    rows: Vec<Row>,
    services: Vec<Service>,
    durations: Vec<Vec<u64>>,
    stride: u64,
    needle: u64,
    marks: Vec<Mark>,
}

/// What the spans below a span need to know of those above.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    frontend: bool,
    frontend_error: bool,
}

impl Recorder {
    /// A recorder for a set of about so many traces.
    pub(super) fn new(seed: u64, traces: u64) -> Self {
        let truth = Truth { set: "nice".into(), seed, start: u64::MAX, ..Truth::default() };
        Self {
            truth,
            rows: Vec::new(),
            services: SERVICES.iter().map(|_| Service::default()).collect(),
            durations: OPERATIONS.iter().map(|_| Vec::new()).collect(),
            stride: (traces / SAMPLES).max(1),
            needle: traces / 2,
            marks: Vec::new(),
        }
    }

    /// Takes note of a trace.
    pub(super) fn trace(&mut self, trace: &Trace, fleet: &Fleet) {
        let mut row =
            Row { id: trace.id, user: trace.user, user_spans: 0, matched: [0; QUESTIONS.len()] };
        let mut seen = [false; SERVICES.len()];
        let (mut first, mut last) = (u64::MAX, 0);
        self.marks.clear();
        for span in &trace.spans {
            let op = &OPERATIONS[span.op];
            let service = fleet.pods[span.pod].service;
            let name = SERVICES[service].name;
            let error = matches!(span.outcome, Outcome::Failed | Outcome::Passed);
            let above = self.marks.get(span.parent).copied().unwrap_or_default();
            self.marks.push(Mark {
                frontend: above.frontend || name == "frontend",
                frontend_error: above.frontend_error || name == "frontend" && error,
            });
            let answers = [
                true,
                error,
                span.code >= 500,
                op.name.contains("checkout"),
                span.end - span.start > Nanos::SECOND.0,
                false,
                above.frontend && matches!(op.form, Form::Sql { .. }),
                above.frontend_error && name == "payment" && error,
                name == "payment",
                matches!(op.form, Form::Publish { .. } | Form::Consume { .. }),
            ];
            for (count, answer) in row.matched.iter_mut().zip(answers) {
                *count += u32::from(answer);
            }
            row.user_spans += u32::from(matches!(
                op.form,
                Form::Http { .. } | Form::Rpc { .. } | Form::Internal { .. }
            ));
            self.durations[span.op].push(span.end - span.start);
            let of = &mut self.services[service];
            of.spans += 1;
            of.errors += u64::from(error);
            of.traces += u64::from(!std::mem::replace(&mut seen[service], true));
            *of.minutes.entry(span.start / Nanos::from_secs(60).0).or_default() += 1;
            first = first.min(span.start);
            last = last.max(span.end);
        }
        if last - first > Nanos::SECOND.0 {
            row.matched[5] = row.matched[0];
        }
        if (self.rows.len() as u64).is_multiple_of(self.stride) {
            self.truth.samples.push(sample(trace, fleet, first, last));
        }
        self.truth.spans += trace.spans.len() as u64;
        self.truth.start = self.truth.start.min(first);
        self.truth.end = self.truth.end.max(last);
        self.rows.push(row);
    }

    /// Takes note of a request.
    pub(super) fn request(&mut self, bytes: usize) {
        self.truth.requests += 1;
        self.truth.bytes += bytes as u64;
    }

    /// The truth of the whole set.
    pub(super) fn finish(mut self, seed: u64) -> Truth {
        self.truth.traces = self.rows.len() as u64;
        for (at, (name, traceql, tags)) in QUESTIONS.into_iter().enumerate() {
            let found = || self.rows.iter().filter(|row| row.matched[at] > 0);
            self.truth.queries.push(Query {
                name: name.into(),
                traceql: traceql.into(),
                tags: tags.map(Into::into),
                traces: found().count() as u64,
                spans: found().map(|row| u64::from(row.matched[at])).sum(),
                ids: listed(found().map(|row| row.id)),
            });
        }
        self.needle(seed);
        for (service, counts) in SERVICES.iter().zip(self.services) {
            self.truth.services.insert(service.name.into(), counts);
        }
        self.truth.names = names(self.durations);
        self.truth
    }

    /// The queries for one user among very many, and for one that is nowhere.
    fn needle(&mut self, seed: u64) {
        let middle = usize::try_from(self.needle).unwrap_or_default().min(self.rows.len() / 2);
        let Some(user) = self.rows.get(middle).map(|row| row.user) else { return };
        let found = || self.rows.iter().filter(|row| row.user == user && row.user_spans > 0);
        let mut text = Vec::new();
        value::uuid(&mut text, user_id(seed, user));
        let text: String = text.into_iter().map(char::from).collect();
        let query = |name: &str, user: &str| Query {
            name: name.into(),
            traceql: format!("{{ span.user.id = `{user}` }}"),
            tags: Some(format!("tags=user.id%3D{user}")),
            ..Query::default()
        };
        self.truth.queries.push(Query {
            traces: found().count() as u64,
            spans: found().map(|row| u64::from(row.user_spans)).sum(),
            ids: listed(found().map(|row| row.id)),
            ..query("needle", &text)
        });
        self.truth.queries.push(query("absent", ABSENT));
    }
}

/// The ids in hex, if they are few.
fn listed(ids: impl Iterator<Item = [u8; 16]>) -> Vec<String> {
    let few: Vec<String> =
        ids.take(LISTED_MAX + 1).map(|id| TraceId::from_array(id).to_string()).collect();
    if few.len() > LISTED_MAX { Vec::new() } else { few }
}

fn sample(trace: &Trace, fleet: &Fleet, first: u64, last: u64) -> Sample {
    let root = trace.spans.iter().find(|span| span.parent == ROOT);
    let mut span_ids: Vec<String> =
        trace.spans.iter().map(|span| model::SpanId::from_array(span.id).to_string()).collect();
    span_ids.sort_unstable();
    Sample {
        id: TraceId::from_array(trace.id).to_string(),
        tenant: None,
        service: root.map_or("", |span| SERVICES[fleet.pods[span.pod].service].name).into(),
        name: root.map_or("", |span| OPERATIONS[span.op].name).into(),
        start: first,
        duration: last - first,
        spans: trace.spans.len() as u64,
        span_ids,
    }
}

/// Quantiles by name; several operations may share one.
fn names(durations: Vec<Vec<u64>>) -> BTreeMap<String, Durations> {
    let mut by_name: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (op, durations) in OPERATIONS.iter().zip(durations) {
        by_name.entry(op.name).or_default().extend(durations);
    }
    by_name.retain(|_, durations| !durations.is_empty());
    by_name
        .into_iter()
        .map(|(name, mut durations)| {
            durations.sort_unstable();
            let at = |per_cent: usize| {
                let rank = (durations.len() * per_cent).div_ceil(100).max(1);
                durations[rank - 1]
            };
            let spans = durations.len() as u64;
            (name.to_owned(), Durations { spans, p50: at(50), p99: at(99) })
        })
        .collect()
}

/// A set's own seed for one of its parts.
pub(super) const fn part(seed: u64, part: u64) -> u64 {
    mix(seed ^ mix(part))
}
