//! Reads over a head: a trace by its id, and what a query sees of it: each span once, newest first,
//! nothing of another tenant.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use std::sync::Arc;

use super::answers::Answers;
use super::traceql::{Budget, SearchRequest, search};
use super::*;
use crate::backend::Local;
use crate::block::cache::Cache;
use crate::disk::RealDisk;
use crate::head::{Config, Head, Seal};
use crate::shelf::{Readers, Shelf};
use crate::tests::Still;
use model::{Federation, Nanos, TenantId, TimeRange, TraceId};

const SECOND: u64 = 1_000_000_000;

/// Segments of 1,000 rows are the smallest, so spans are padded into many of them by count.
fn head() -> Head {
    let seal = Seal { rows: 1, ..Seal::default() };
    Head::new(Config { seal, ..Config::default() }, 42)
}

fn tenant() -> TenantId {
    TenantId::single()
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Any::StringValue(value.into())) });
    KeyValue { key: key.into(), value, ..Default::default() }
}

/// A span that starts `start` seconds in and takes `seconds`.
fn span(trace: u8, id: u8, parent: u8, name: &str, start: u64, seconds: u64) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { vec![] } else { vec![parent; 8] },
        name: name.into(),
        kind: 2,
        start_time_unix_nano: start * SECOND,
        end_time_unix_nano: (start + seconds) * SECOND,
        ..Default::default()
    }
}

fn put(head: &Head, tenant: &TenantId, service: &str, spans: Vec<Span>) {
    let resource =
        Resource { attributes: vec![text("service.name", service)], ..Default::default() };
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() }];
    let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    let mut turn = head.turn().unwrap();
    let (_, rows) = turn.append(tenant, Nanos::from_secs(1_000), &body, &[]).unwrap();
    rows.publish();
}

/// Reads the head alone.
fn look<T>(head: &Head, tenant: &TenantId, read: impl FnOnce(&Parts<'_>) -> T) -> T {
    look_at(head, &tenant.into(), read)
}

/// The same of several tenants.
fn look_at<T>(head: &Head, tenants: &Federation, read: impl FnOnce(&Parts<'_>) -> T) -> T {
    let view = Shelf::default().view(head, tenants).unwrap();
    let backend = Local::new(Arc::new(RealDisk), std::path::Path::new("nothing is there"));
    let readers = Readers::new(Arc::new(backend), Arc::new(Cache::new(0)));
    read(&Parts::new(&view, &readers, &Answers::default()))
}

fn ask(query: &str) -> SearchRequest {
    SearchRequest {
        query: ::traceql::parse(query).unwrap(),
        during: TimeRange::ALL,
        limit: 20,
        spans_per_set: 3,
        budget: Budget::default(),
    }
}

/// The traces that a query finds, in its order.
fn find(head: &Head, query: &str) -> Vec<u8> {
    let request = ask(query);
    let found = look(head, &tenant(), |parts| search(parts, &Still, &request, &mut |_, _| {}));
    found.unwrap().traces.iter().map(|trace| trace.id.as_bytes()[0]).collect()
}

fn by_id(head: &Head, tenant: &TenantId, id: u8) -> Option<(Vec<Span>, u64, u64)> {
    let id = TraceId::from_array([id; 16]);
    let found =
        look(head, tenant, |parts| trace(parts, id, TimeRange::ALL, None, 1 << 20)).unwrap();
    found.map(|(found, duplicates, conflicts)| {
        let request = ExportTraceServiceRequest::decode(&found.otlp[..]).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|rs| rs.scope_spans);
        (scopes.flat_map(|ss| ss.spans).collect(), duplicates, conflicts)
    })
}

#[test]
fn a_trace_is_joined_over_segments_and_each_span_comes_once() {
    let head = head();
    let (root, child) = (span(1, 1, 0, "root", 990, 5), span(1, 2, 1, "child", 991, 1));
    put(&head, &tenant(), "a", vec![root.clone(), span(2, 1, 0, "other", 990, 1)]);
    put(&head, &tenant(), "b", vec![child.clone(), child.clone()]);
    put(&head, &tenant(), "a", vec![root.clone()]);
    assert_eq!(by_id(&head, &tenant(), 1), Some((vec![root, child], 2, 0)));
    assert_eq!(by_id(&head, &tenant(), 9), None);
    assert_eq!(by_id(&head, &TenantId::parse("other").unwrap(), 1), None);
}

#[test]
fn one_id_with_two_kinds_is_two_spans_and_with_two_contents_the_first() {
    let head = head();
    let server = span(1, 1, 0, "shared", 990, 5);
    let client = Span { kind: 3, ..server.clone() };
    let changed = Span { name: "changed".into(), ..server.clone() };
    put(&head, &tenant(), "a", vec![server.clone(), client.clone()]);
    put(&head, &tenant(), "a", vec![changed]);
    assert_eq!(by_id(&head, &tenant(), 1), Some((vec![server, client], 0, 1)));
}

#[test]
fn a_query_judges_the_copy_that_is_read_by_id() {
    let head = head();
    let first = span(1, 1, 0, "first", 990, 5);
    let named = |name: &str| Span { name: name.into(), ..first.clone() };
    put(&head, &tenant(), "a", vec![first.clone(), named("second")]);
    put(&head, &tenant(), "a", vec![named("third")]);
    assert_eq!(find(&head, "{ name = `first` && rootName = `first` }"), [1]);
    assert!(find(&head, "{ name = `second` || name = `third` }").is_empty());
}

#[test]
fn a_trace_outside_of_the_range_is_not_found() {
    let head = head();
    put(&head, &tenant(), "a", vec![span(1, 1, 0, "root", 990, 5)]);
    let at = |start, end| {
        let during = TimeRange { start: Nanos::from_secs(start), end: Nanos::from_secs(end) };
        let id = TraceId::from_array([1; 16]);
        look(&head, &tenant(), |parts| trace(parts, id, during, None, 1 << 20)).unwrap().is_some()
    };
    assert_eq!([at(980, 995), at(991, 995), at(0, 900)], [true, false, false]);
}

#[test]
fn a_trace_over_the_bound_says_how_much_is_left_out() {
    let head = head();
    put(&head, &tenant(), "a", (1..=9).map(|id| span(1, id, 0, "x", 990, 5)).collect());
    let id = TraceId::from_array([1; 16]);
    let found = look(&head, &tenant(), |parts| trace(parts, id, TimeRange::ALL, None, 100));
    let (found, ..) = found.unwrap().unwrap();
    assert_eq!((found.spans, found.left_out), (2, 7));
}

#[test]
fn pages_of_a_trace_are_all_of_it_each_span_once() {
    let head = head();
    // Not in the order of their starts, and two that start together.
    let starts = [5, 1, 9, 3, 3, 7, 2, 8];
    let spans = starts.iter().zip(1..).map(|(start, id)| span(1, id, 0, "x", 900 + start, 5));
    put(&head, &tenant(), "a", spans.collect());
    let id = TraceId::from_array([1; 16]);
    let whole = look(&head, &tenant(), |parts| trace(parts, id, TimeRange::ALL, None, 1 << 20));
    let size = whole.unwrap().unwrap().0.otlp.len();
    let (mut after, mut seen, mut pages) = (None, 0, Vec::new());
    loop {
        let page =
            look(&head, &tenant(), |parts| trace(parts, id, TimeRange::ALL, after, size / 4));
        let (page, ..) = page.unwrap().unwrap();
        assert_eq!(
            (page.before, page.before + page.left_out.min(8)),
            (seen, seen + 8 - page.spans)
        );
        seen += page.spans;
        pages.push(page.spans);
        let Some(next) = page.next else { break };
        assert!(after.is_none_or(|after| next > after));
        after = SpanKey::parse(&next.to_string());
        assert_eq!(after, Some(next));
    }
    assert_eq!(seen, 8, "{pages:?}");
    assert!(pages.len() > 2 && pages.iter().all(|spans| *spans > 0), "{pages:?}");
    let past = SpanKey::parse(&"f".repeat(33)).unwrap();
    let none =
        look(&head, &tenant(), |parts| trace(parts, id, TimeRange::ALL, Some(past), 1 << 20));
    let (none, ..) = none.unwrap().unwrap();
    assert_eq!((none.spans, none.before, none.left_out, none.next), (0, 8, 8, None));
}

#[test]
fn copies_past_the_bound_do_not_make_a_whole_trace_look_cut() {
    let head = head();
    let only = span(1, 1, 0, "x", 990, 5);
    put(&head, &tenant(), "a", vec![only.clone(), only.clone(), only]);
    let id = TraceId::from_array([1; 16]);
    let found = look(&head, &tenant(), |parts| trace(parts, id, TimeRange::ALL, None, 1));
    let (found, duplicates, _) = found.unwrap().unwrap();
    assert_eq!((found.spans, found.left_out, duplicates), (1, 0, 2));
}

#[test]
fn a_head_is_busy_while_a_request_has_the_turn() {
    let head = head();
    assert!(!head.is_busy());
    let turn = head.turn().unwrap();
    assert!(head.is_busy());
    drop(turn);
    assert!(!head.is_busy());
}

#[test]
fn rows_are_invisible_until_they_are_published() {
    let head = head();
    let request = |id| ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans: vec![ScopeSpans {
                spans: vec![span(id, 1, 0, "x", 990, 5)],
                ..Default::default()
            }],
            ..Default::default()
        }],
    };
    let append = |id| {
        let body = request(id).encode_to_vec();
        head.turn().unwrap().append(&tenant(), Nanos::from_secs(1_000), &body, &[]).unwrap().1
    };
    let first = append(1);
    let second = append(2);
    assert!(find(&head, "{ }").is_empty());
    assert!(by_id(&head, &tenant(), 1).is_none());
    first.publish();
    assert_eq!(find(&head, "{ }"), [1]);
    second.publish();
    assert_eq!(find(&head, "{ }"), [1, 2]);
}

#[test]
fn traces_over_several_segments_are_found_newest_first_and_of_one_tenant() {
    let head = head();
    for (trace, start, seconds) in [(1, 980, 1), (2, 990, 5), (3, 985, 2)] {
        put(&head, &tenant(), "a", vec![span(trace, 1, 0, "x", start, seconds)]);
    }
    put(&head, &tenant(), "b", vec![span(1, 2, 1, "late", 995, 3)]);
    let other = TenantId::parse("other").unwrap();
    put(&head, &other, "a", vec![span(4, 1, 0, "x", 990, 5)]);
    assert_eq!(find(&head, "{ }"), [2, 3, 1]);
    assert_eq!(find(&head, "{ resource.service.name = `b` }"), [1]);
    let long = "{ traceDuration >= 5s }";
    assert_eq!(find(&head, long), [2, 1], "trace 1 takes 18 s over its segments");
    assert_eq!(find(&head, "{ traceDuration <= 2s }"), [3]);
}

#[test]
fn services_with_bad_clocks_and_tenants_over_their_keys_are_named_once() {
    let head = Head::new(Config { keys_max: 0, ..Config::default() }, 42);
    let mut off = span(1, 1, 0, "x", 9_999, 5);
    off.attributes = vec![text("custom", "x")];
    put(&head, &tenant(), "ahead", vec![off.clone(), off.clone()]);
    put(&head, &tenant(), "ahead", vec![off]);
    put(&head, &tenant(), "right", vec![span(2, 1, 0, "x", 990, 5)]);
    let noted = head.take_noted();
    assert_eq!(noted.skewed, [(tenant(), "ahead".to_owned())]);
    assert_eq!(noted.over_keys, [tenant()]);
    assert_eq!(head.stats().skewed.get(), 3);
    assert!(head.take_noted().skewed.is_empty());
}

#[test]
fn a_full_head_says_so_and_what_never_fits_too() {
    let head = Head::new(Config { bytes_max: model::ByteSize(2_000), ..Config::default() }, 42);
    let check = |bytes| {
        head.turn().unwrap().check_room(bytes).map_err(|error| {
            assert!(error.to_string().contains("head.bytes_max"), "{error}");
            error.kind()
        })
    };
    assert_eq!(check(2_000), Ok(()));
    assert_eq!(check(2_001), Err(crate::Kind::TooLarge));
    put(&head, &tenant(), "a", vec![span(1, 1, 0, "x", 990, 5)]);
    assert_eq!(check(2_000), Err(crate::Kind::Unavailable));
}

#[test]
fn a_view_of_several_tenants_has_the_segments_that_each_is_in() {
    let head = head();
    let names = ["a", "b", "c"].map(|name| TenantId::parse(name).unwrap());
    put(&head, &names[0], "s", vec![span(1, 1, 0, "x", 990, 1)]);
    put(&head, &names[2], "s", vec![span(1, 2, 1, "y", 990, 1)]);
    let view = Shelf::default().view(&head, &Federation::parse("a|b|c").unwrap()).unwrap();
    let owners: Vec<_> =
        view.owners.iter().map(|of| (of.tenant.clone(), of.parts.clone())).collect();
    let [a, b, c] = names;
    assert_eq!(owners, [(a, 0..1), (b, 1..1), (c, 1..2)]);
    assert_eq!([view.number(0), view.number(1)], [0, 2]);
}

/// A lock that is read twice by one thread waits for a writer that waits for the first.
#[test]
fn whoever_reads_several_tenants_and_whoever_writes_do_not_wait_for_each_other() {
    let head = head();
    let names = ["a", "b"].map(|name| TenantId::parse(name).unwrap());
    names.iter().zip(1..).for_each(|(name, id)| {
        put(&head, name, "s", vec![span(1, id, id - 1, "x", 990, 1)]);
    });
    let both = Federation::parse("a|b").unwrap();
    let request = ask("{ } >> { }");
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for id in 3..=250 {
                put(&head, &names[usize::from(id) % 2], "s", vec![span(1, id, 1, "x", 990, 1)]);
            }
        });
        let mut is_over = false;
        while !is_over {
            is_over = writer.is_finished();
            let found = look_at(&head, &both, |parts| {
                search(parts, &Still, &request, &mut |_, _| {}).unwrap()
            });
            assert_eq!(found.traces.len(), 1);
            let id = TraceId::from_array([1; 16]);
            let read = |parts: &Parts<'_>| trace(parts, id, TimeRange::ALL, None, 1 << 20).unwrap();
            let (found, ..) = look_at(&head, &both, read).unwrap();
            assert!(!is_over || found.spans == 250);
        }
    });
}
