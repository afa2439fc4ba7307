//! The nice set: its statistics, and its truth against a count of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use gateway::demo::truth::{Durations, Query, Truth};
use gateway::demo::{Config, Nice, Request};
use model::Nanos;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

use super::{Seen, decode, find, text};
use crate::engine::as_f64;

const SPANS: u64 = 30_000;

fn make(batch: usize) -> (Vec<Request>, Truth) {
    let config = Config {
        seed: 3,
        spans: SPANS,
        batch,
        start: Nanos::from_secs(1_790_000_000),
        window: Nanos::from_secs(9),
    };
    let mut set = Nice::new(config);
    let requests = set.by_ref().collect();
    (requests, set.truth())
}

fn share(part: usize, of: usize) -> f64 {
    as_f64(part as u64) / as_f64(of as u64)
}

#[test]
fn the_spans_look_like_those_of_the_shop() {
    let (requests, truth) = make(800);
    let seen = decode(&requests);
    assert_eq!(seen.len() as u64, truth.spans);

    let bytes: usize = requests.iter().map(|request| request.body.len()).sum();
    assert_eq!(bytes as u64, truth.bytes);
    assert!((430.0..480.0).contains(&share(bytes, seen.len())), "{}", share(bytes, seen.len()));
    assert!((22.0..28.0).contains(&(as_f64(truth.spans) / as_f64(truth.traces))));

    let attributes: usize = seen.iter().map(|seen| seen.span.attributes.len()).sum();
    assert!((8.5..10.0).contains(&share(attributes, seen.len())));
    assert!(seen.iter().all(|seen| seen.resource.attributes.len() >= 22));

    let errors = seen.iter().filter(|seen| seen.error()).count();
    assert!((0.010..0.019).contains(&share(errors, seen.len())));
    let events = seen.iter().filter(|seen| !seen.span.events.is_empty()).count();
    assert!((0.035..0.060).contains(&share(events, seen.len())));
    for event in seen.iter().flat_map(|seen| &seen.span.events) {
        assert!(text(&event.attributes, "exception.stacktrace").lines().count() > 4);
        assert!(!text(&event.attributes, "exception.message").is_empty());
    }
    assert!(seen.iter().filter(|seen| !seen.span.links.is_empty()).count() > 50);
    assert!(seen.iter().all(|seen| seen.span.end_time_unix_nano >= seen.span.start_time_unix_nano));

    let services: HashSet<&str> = seen.iter().map(Seen::service).collect();
    assert_eq!(services.len(), 22);
    let key = "service.instance.id";
    let pods: HashSet<&str> =
        seen.iter().map(|seen| text(&seen.resource.attributes, key)).collect();
    assert_eq!(pods.len(), 207);
    let key = "k8s.cluster.name";
    let clusters = seen.iter().map(|seen| text(&seen.resource.attributes, key));
    assert_eq!(clusters.collect::<HashSet<_>>().len(), 3);
    let users: HashSet<&str> =
        seen.iter().map(|seen| text(&seen.span.attributes, "user.id")).collect();
    assert!(users.len() > 1_000);
}

#[test]
fn a_trace_is_scattered_over_many_requests() {
    let (requests, _) = make(800);
    let mut parts: HashMap<Vec<u8>, HashSet<usize>> = HashMap::new();
    for seen in decode(&requests) {
        parts.entry(seen.span.trace_id).or_default().insert(seen.request);
    }
    let all: usize = parts.values().map(HashSet::len).sum();
    assert!(share(all, parts.len()) > 4.0, "{}", share(all, parts.len()));
}

#[test]
fn requests_hold_as_many_spans_as_they_should() {
    for batch in [10, 100, 800] {
        let (requests, _) = make(batch);
        let full = requests.iter().filter(|request| request.spans == batch).count();
        // What is left in the six collectors goes out as it is.
        assert!(requests.len() - full <= 6, "batch {batch}");
        assert!(requests.iter().all(|request| request.spans <= batch));
    }
}

/// The whole trace around a span.
struct Trace<'a> {
    spans: HashMap<&'a [u8], &'a Seen>,
}

impl<'a> Trace<'a> {
    /// Whether some span above it is as asked.
    fn above(&self, seen: &'a Seen, is: impl Fn(&Seen) -> bool) -> bool {
        let mut at = seen;
        while let Some(parent) = self.spans.get(&*at.span.parent_span_id) {
            if is(parent) {
                return true;
            }
            at = parent;
        }
        false
    }
}

fn traces(seen: &[Seen]) -> HashMap<&[u8], Trace<'_>> {
    let mut traces: HashMap<&[u8], Trace<'_>> = HashMap::new();
    for seen in seen {
        let trace = traces.entry(&seen.span.trace_id);
        let trace = trace.or_insert_with(|| Trace { spans: HashMap::new() });
        assert!(trace.spans.insert(&seen.span.span_id, seen).is_none(), "a span id twice");
    }
    traces
}

/// Counts the traces and spans for which the question is answered with yes.
fn count(
    traces: &HashMap<&[u8], Trace<'_>>,
    question: impl Fn(&Trace<'_>, &Seen) -> bool,
) -> (u64, u64) {
    let matched = traces
        .values()
        .map(|trace| trace.spans.values().filter(|seen| question(trace, seen)).count() as u64);
    matched.fold((0, 0), |(traces, spans), count| (traces + u64::from(count > 0), spans + count))
}

#[test]
fn the_truth_of_queries_is_what_the_bytes_say() {
    let (requests, truth) = make(100);
    let seen = decode(&requests);
    let traces = traces(&seen);
    assert_eq!(traces.len() as u64, truth.traces);
    let told = |name: &str| {
        let query: &Query = truth.queries.iter().find(|query| query.name == name).unwrap();
        (query.traces, query.spans)
    };
    let postgresql = |seen: &Seen| text(&seen.span.attributes, "db.system.name") == "postgresql";
    let status = |seen: &Seen| match find(&seen.span.attributes, "http.response.status_code") {
        Some(Value::IntValue(code)) => *code,
        _ => 0,
    };
    assert_eq!(told("all"), count(&traces, |_, _| true));
    assert_eq!(told("error"), count(&traces, |_, seen| seen.error()));
    assert_eq!(told("http status 500 and above"), count(&traces, |_, seen| status(seen) >= 500));
    let checkout = |_: &Trace<'_>, seen: &Seen| seen.span.name.contains("checkout");
    assert_eq!(told("name with checkout"), count(&traces, checkout));
    let slow = |_: &Trace<'_>, seen: &Seen| seen.duration() > 1_000_000_000;
    assert_eq!(told("span longer than 1s"), count(&traces, slow));
    let structural = |trace: &Trace<'_>, seen: &Seen| {
        postgresql(seen) && trace.above(seen, |above| above.service() == "frontend")
    };
    assert_eq!(told("frontend >> postgresql"), count(&traces, structural));
    let failing = |trace: &Trace<'_>, seen: &Seen| {
        let frontend = |above: &Seen| above.service() == "frontend" && above.error();
        seen.service() == "payment" && seen.error() && trace.above(seen, frontend)
    };
    assert_eq!(told("frontend error >> payment error"), count(&traces, failing));
    assert_eq!(told("service payment"), count(&traces, |_, seen| seen.service() == "payment"));
    let long = |trace: &Trace<'_>, _: &Seen| {
        let start = trace.spans.values().map(|seen| seen.span.start_time_unix_nano).min();
        let end = trace.spans.values().map(|seen| seen.span.end_time_unix_nano).max();
        end.unwrap() - start.unwrap() > 1_000_000_000
    };
    assert_eq!(told("trace longer than 1s"), count(&traces, long));
    assert_eq!(told("absent"), (0, 0));
    for query in &truth.queries {
        if let Some((_, user)) = query.traceql.split_once("span.user.id = `") {
            let user = user.split('`').next().unwrap();
            let needle =
                |_: &Trace<'_>, seen: &Seen| text(&seen.span.attributes, "user.id") == user;
            assert_eq!((query.traces, query.spans), count(&traces, needle), "{}", query.name);
        }
    }
    assert!(told("needle").0 > 0 && told("http status 500 and above").0 > 0);
}

#[test]
fn the_truth_of_services_and_names_is_what_the_bytes_say() {
    let (requests, truth) = make(800);
    let seen = decode(&requests);
    for (name, service) in &truth.services {
        let own: Vec<&Seen> = seen.iter().filter(|seen| seen.service() == name).collect();
        assert_eq!(own.len() as u64, service.spans, "{name}");
        assert_eq!(own.iter().filter(|seen| seen.error()).count() as u64, service.errors);
        let traces: BTreeSet<_> = own.iter().map(|seen| &seen.span.trace_id).collect();
        assert_eq!(traces.len() as u64, service.traces);
        let mut minutes: BTreeMap<u64, u64> = BTreeMap::new();
        for seen in own {
            *minutes.entry(seen.span.start_time_unix_nano / 60_000_000_000).or_default() += 1;
        }
        assert_eq!(minutes, service.minutes);
    }
    let mut by_name: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for seen in &seen {
        by_name.entry(seen.span.name.clone()).or_default().push(seen.duration());
    }
    let counted: BTreeMap<String, Durations> = by_name
        .into_iter()
        .map(|(name, mut durations)| {
            durations.sort_unstable();
            let at = |per_cent: usize| durations[(durations.len() * per_cent).div_ceil(100) - 1];
            (name, Durations { spans: durations.len() as u64, p50: at(50), p99: at(99) })
        })
        .collect();
    assert_eq!(counted, truth.names);
}

#[test]
fn samples_list_the_spans_of_their_traces() {
    let (requests, truth) = make(800);
    let seen = decode(&requests);
    assert!((150..=250).contains(&truth.samples.len()));
    let traces = traces(&seen);
    for sample in &truth.samples {
        let id = model::TraceId::parse(&sample.id).unwrap();
        let of: Vec<&Seen> = traces[&id.as_bytes()[..]].spans.values().copied().collect();
        assert_eq!(of.len() as u64, sample.spans);
        let root = of.iter().find(|seen| seen.span.parent_span_id.is_empty()).unwrap();
        assert_eq!((root.service(), &*root.span.name), (&*sample.service, &*sample.name));
        let start = of.iter().map(|seen| seen.span.start_time_unix_nano).min();
        assert_eq!(start, Some(sample.start));
        let mut ids: Vec<String> =
            of.iter().map(|seen| crate::check::hex(&seen.span.span_id)).collect();
        ids.sort_unstable();
        assert_eq!(ids, sample.span_ids);
    }
}
