//! Each rule of the order by an example, and all of them together against a plain version.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Sent, Status};
use prost::Message;

use model::TenantId;
use model::batch::Limits;

use super::*;

mod against_plain;

const CLIENT: i32 = 3;
const SERVER: i32 = 2;
/// When every request arrives; spans start so many nanoseconds after [`EPOCH`].
const RECEIVED_AT: Nanos = Nanos::from_secs(1_000_000);
const EPOCH: u64 = RECEIVED_AT.0 - 1_000_000_000;

/// A server's span of trace 1; parent 0 is none.
fn span(id: u64, parent: u64, start: u64) -> Sent {
    Sent {
        trace_id: vec![1; 16],
        span_id: id.to_be_bytes().to_vec(),
        parent_span_id: if parent == 0 { vec![] } else { parent.to_be_bytes().to_vec() },
        name: "work".into(),
        kind: SERVER,
        start_time_unix_nano: EPOCH + start,
        end_time_unix_nano: EPOCH + start + 10,
        ..Default::default()
    }
}

fn of_kind(kind: i32, span: Sent) -> Sent {
    Sent { kind, ..span }
}

fn of_trace(trace: u8, span: Sent) -> Sent {
    Sent { trace_id: vec![trace; 16], ..span }
}

fn empty() -> Batch {
    Batch::new(Limits::default(), 42)
}

/// Appends a request of one service and one scope.
fn put(batch: &mut Batch, tenant: &TenantId, service: &str, scope: &str, spans: Vec<Sent>) {
    let value = Some(AnyValue { value: Some(Value::StringValue(service.into())) });
    let service = KeyValue { key: "service.name".into(), value, ..Default::default() };
    let resource = Resource { attributes: vec![service], ..Default::default() };
    let scope = InstrumentationScope { name: scope.into(), ..Default::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..Default::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() }];
    let body = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    batch.append(tenant, RECEIVED_AT, &body, &[]).unwrap();
}

fn filled(spans: Vec<Sent>) -> Batch {
    let mut batch = empty();
    put(&mut batch, &TenantId::single(), "shop", "http", spans);
    batch
}

fn in_parts_of(part_rows: usize) -> Orderer {
    Orderer { part_rows, ..Orderer::default() }
}

fn ordered(orderer: &mut Orderer, of: &Batch) -> Ordered {
    let mut out = Ordered::default();
    batch(orderer, of, &TenantId::single(), count(of.len()), &mut out);
    out
}

/// Span ids and distances in the order of a batch of these spans.
fn order(spans: Vec<Sent>) -> Vec<(u64, u32)> {
    let batch = filled(spans);
    let ordered = ordered(&mut Orderer::default(), &batch);
    ids(&batch, &ordered).into_iter().zip(ordered.parent_distance).collect()
}

fn ids(batch: &Batch, ordered: &Ordered) -> Vec<u64> {
    ordered.rows.iter().map(|place| word(batch.span_id(place.row))).collect()
}

/// The only trace of these spans.
fn trace(spans: Vec<Sent>) -> TracePart {
    let [trace] = &*ordered(&mut Orderer::default(), &filled(spans)).traces else {
        panic!("several traces")
    };
    trace.clone()
}

/// Orders all traces of one tenant: what [`tenants`] does for each.
fn batch(orderer: &mut Orderer, batch: &Batch, tenant: &TenantId, visible: u32, out: &mut Ordered) {
    let Some(number) = batch.tenant(tenant) else { return };
    let of_tenant = batch.traces().iter().filter(|trace| trace.tenant == number);
    let mut run: Vec<_> = of_tenant.filter_map(|trace| Run::new(batch, trace, visible)).collect();
    run.sort_unstable_by_key(|run| (run.start, run.trace.id));
    orderer.run(batch, &run, visible, out);
}

fn same_content(a: (&Batch, u32), b: (&Batch, u32)) -> bool {
    repeated::same_content(a, b, &mut [Vec::new(), Vec::new()])
}

#[test]
fn children_follow_their_parent_by_start_then_id() {
    let spans = vec![span(5, 2, 3), span(4, 1, 9), span(3, 1, 9), span(2, 1, 1), span(1, 0, 0)];
    assert_eq!(order(spans), [(1, 0), (2, 1), (5, 1), (3, 3), (4, 4)]);
}

#[test]
fn a_parent_stands_before_a_child_that_starts_earlier() {
    assert_eq!(order(vec![span(2, 1, 0), span(1, 0, 5)]), [(1, 0), (2, 1)]);
}

#[test]
fn traces_stand_by_start_then_id() {
    let spans = [(9, 5), (3, 7), (2, 7), (4, 1)];
    let spans = spans.map(|(trace, start)| of_trace(trace, span(1, 0, start)));
    let ordered = ordered(&mut Orderer::default(), &filled(spans.to_vec()));
    let traces: Vec<_> = ordered.traces.iter().map(|trace| trace.id.as_bytes()[0]).collect();
    assert_eq!(traces, [4, 9, 2, 3]);
    let first_rows: Vec<_> = ordered.traces.iter().map(|trace| trace.first_row).collect();
    assert_eq!(first_rows, [0, 1, 2, 3]);
}

#[test]
fn a_clock_that_is_off_counts_as_far_as_it_may() {
    let mut lost = span(2, 1, 0);
    lost.start_time_unix_nano = 0;
    let spans = vec![span(3, 1, 1), lost, span(1, 0, 2)];
    let batch = filled(spans);
    let ordered = ordered(&mut Orderer::default(), &batch);
    assert_eq!(ids(&batch, &ordered), [1, 2, 3]);
    let [trace] = &*ordered.traces else { panic!("several traces") };
    let earliest = RECEIVED_AT.minus(Nanos::from_secs(3_600));
    assert_eq!(trace.starts, TimeRange { start: earliest, end: Nanos(EPOCH + 2) });
    assert_eq!(trace.start, Nanos(0), "the summary tells the span's own time");
}

#[test]
fn the_same_span_again_is_a_duplicate() {
    let spans = vec![span(1, 0, 0), span(2, 1, 1), span(2, 1, 1), span(2, 1, 1)];
    let batch = filled(spans);
    let ordered = ordered(&mut Orderer::default(), &batch);
    assert_eq!(ids(&batch, &ordered), [1, 2]);
    assert_eq!((ordered.duplicates, ordered.conflicts), (2, 0));
}

#[test]
fn other_content_under_one_identity_is_a_conflict_and_the_first_stays() {
    let late = Sent { end_time_unix_nano: EPOCH + 1_000, ..span(1, 0, 0) };
    let failed = Some(Status { code: 2, message: String::new() });
    let failed = Sent { status: failed, ..span(1, 0, 0) };
    let batch = filled(vec![span(1, 0, 7), late, failed, span(1, 0, 7)]);
    let ordered = ordered(&mut Orderer::default(), &batch);
    assert_eq!(ordered.rows, [Place { source: 0, row: 0 }]);
    assert_eq!((ordered.duplicates, ordered.conflicts), (1, 2));
    let [trace] = &*ordered.traces else { panic!("several traces") };
    let of_the_first = (Nanos(EPOCH + 7), Nanos(EPOCH + 17), 0);
    assert_eq!((trace.start, trace.end, trace.errors), of_the_first);
}

#[test]
fn resource_and_scope_are_content_in_one_batch_and_across_two() {
    let single = TenantId::single();
    let mut one = empty();
    for (service, scope) in [("shop", "http"), ("cart", "http"), ("shop", "grpc"), ("shop", "http")]
    {
        put(&mut one, &single, service, scope, vec![span(1, 0, 0)]);
    }
    assert!(!same_content((&one, 0), (&one, 1)));
    assert!(!same_content((&one, 0), (&one, 2)));
    assert!(same_content((&one, 0), (&one, 3)));
    // The same numbers of resource and scope mean others here.
    let mut two = empty();
    for (service, scope) in [("cart", "grpc"), ("shop", "http")] {
        put(&mut two, &single, service, scope, vec![span(1, 0, 0)]);
    }
    assert!(!same_content((&one, 0), (&two, 0)));
    assert!(same_content((&one, 0), (&two, 1)));
}

#[test]
fn children_hang_under_the_server_of_those_that_share_an_id() {
    let client = of_kind(CLIENT, span(2, 1, 1));
    let spans = vec![span(1, 0, 0), client, span(2, 1, 2), span(3, 2, 3)];
    // Client and server are siblings under the parent that both name.
    assert_eq!(order(spans), [(1, 0), (2, 1), (2, 2), (3, 1)]);
}

#[test]
fn without_a_server_the_first_of_those_that_share_an_id_is_the_parent() {
    let (early, late) = (of_kind(4, span(2, 1, 1)), of_kind(CLIENT, span(2, 1, 5)));
    let batch = filled(vec![span(1, 0, 0), late, early, span(3, 2, 3)]);
    let ordered = ordered(&mut Orderer::default(), &batch);
    let kinds: Vec<_> = ordered.rows.iter().map(|place| batch.kind(place.row)).collect();
    assert_eq!(kinds, [SERVER, 4, SERVER, CLIENT]);
    assert_eq!(ordered.parent_distance, [0, 1, 1, 3]);
}

#[test]
fn a_span_is_never_its_own_parent() {
    assert_eq!(order(vec![span(1, 1, 0), span(2, 1, 1)]), [(1, 0), (2, 1)]);
    let trace = trace(vec![span(1, 1, 0)]);
    assert_eq!((trace.root, trace.is_open), (None, true));
    // Where another span has its id, that one is.
    let spans = vec![of_kind(CLIENT, span(1, 1, 5)), span(1, 0, 9)];
    assert_eq!(order(spans), [(1, 0), (1, 1)]);
}

#[test]
fn circles_are_cut_at_the_earliest_span() {
    let circle = vec![span(1, 3, 5), span(2, 1, 4), span(3, 2, 6), span(9, 0, 8)];
    assert_eq!(order(circle), [(9, 0), (2, 0), (3, 1), (1, 1)]);
    // What hangs below a circle and starts earlier is cut off as well.
    let tail = vec![span(1, 2, 5), span(2, 1, 6), span(3, 1, 0), span(4, 1, 1), span(5, 1, 9)];
    assert_eq!(order(tail), [(3, 0), (4, 0), (1, 0), (2, 1), (5, 2)]);
}

#[test]
fn a_chain_may_be_as_long_as_a_part() {
    let rows = PART_ROWS as u64;
    let chain = (0..rows).map(|i| span(i + 1, i, rows - i)).collect();
    let order = order(chain);
    let expected: Vec<_> = (0..rows).map(|i| (i + 1, u32::from(i > 0))).collect();
    assert!(order == expected, "each span right behind its parent");
}

#[test]
fn a_trace_is_open_where_a_parent_or_the_root_is_missing() {
    let whole = trace(vec![span(2, 1, 1), span(1, 0, 0)]);
    assert_eq!((whole.root, whole.is_open), (Some(0), false));
    let parent_missing = trace(vec![span(3, 7, 0), span(1, 0, 1)]);
    assert_eq!((parent_missing.root, parent_missing.is_open), (Some(1), true));
    let no_root = trace(vec![span(1, 2, 0), span(2, 1, 1)]);
    assert_eq!((no_root.root, no_root.is_open), (None, true));
}

#[test]
fn the_summary_is_that_of_the_spans() {
    let failed = Some(Status { code: 2, message: "no".into() });
    let failed = Sent { status: failed, end_time_unix_nano: EPOCH + 500, ..span(3, 1, 30) };
    let trace = trace(vec![span(8, 0, 40), span(1, 0, 20), failed, span(2, 1, 25)]);
    let expected = TracePart {
        id: TraceId::from_array([1; 16]),
        first_row: 0,
        rows: 4,
        part: 0,
        oversized: false,
        is_open: false,
        root: Some(0),
        starts: TimeRange { start: Nanos(EPOCH + 20), end: Nanos(EPOCH + 40) },
        start: Nanos(EPOCH + 20),
        end: Nanos(EPOCH + 500),
        errors: 1,
    };
    assert_eq!(trace, expected);
}

#[test]
fn a_huge_trace_is_cut_by_start_into_even_parts() {
    // Ten windows of parts, in reverse, all children of the first span.
    let spans = (1..=201).rev().map(|id| span(id, u64::from(id > 1), id)).collect();
    let batch = filled(spans);
    let ordered = ordered(&mut in_parts_of(5), &batch);
    assert_eq!(ids(&batch, &ordered), (1..=201).collect::<Vec<_>>());
    let parts: Vec<_> = ordered.traces.iter().map(|trace| trace.part).collect();
    assert_eq!(parts, (0..41).collect::<Vec<_>>());
    assert!(ordered.traces.iter().all(|trace| trace.oversized && trace.is_open));
    assert!(ordered.traces.iter().all(|trace| (1..=5).contains(&trace.rows)));
    assert_eq!(ordered.traces[0].root, Some(0));
    assert!(ordered.traces[1..].iter().all(|trace| trace.root.is_none()));
    // Parents are known within a part.
    assert_eq!(ordered.parent_distance[..7], [0, 1, 2, 3, 4, 0, 0]);
    for trace in &ordered.traces {
        let first = u64::from(trace.first_row);
        assert_eq!(trace.starts.start, Nanos(EPOCH + first + 1));
        assert_eq!(trace.starts.end, Nanos(EPOCH + first + u64::from(trace.rows)));
    }
}

#[test]
fn a_huge_trace_that_is_full_of_repeated_spans_is_not_oversized() {
    let spans = (0..300).map(|i| span(i % 4 + 1, 0, i / 100)).collect();
    let ordered = ordered(&mut in_parts_of(5), &filled(spans));
    // The first hundred have one start, and are the same four over and over.
    assert_eq!((ordered.duplicates, ordered.conflicts), (96, 200));
    let [trace] = &*ordered.traces else { panic!("several parts") };
    assert_eq!((trace.rows, trace.oversized), (4, false));
    let rows: Vec<_> = ordered.rows.iter().map(|place| place.row).collect();
    assert_eq!(rows, [0, 1, 2, 3]);
}

#[test]
fn rows_that_are_not_visible_are_not_there() {
    let mut of = empty();
    let single = TenantId::single();
    put(
        &mut of,
        &single,
        "shop",
        "http",
        vec![of_trace(1, span(1, 0, 50)), of_trace(2, span(1, 0, 40))],
    );
    put(
        &mut of,
        &single,
        "shop",
        "http",
        vec![of_trace(1, span(2, 0, 10)), of_trace(3, span(1, 0, 0))],
    );
    let mut out = Ordered::default();
    batch(&mut Orderer::default(), &of, &single, 2, &mut out);
    // By what is visible the second trace is the first.
    let rows: Vec<_> = out.rows.iter().map(|place| place.row).collect();
    assert_eq!(rows, [1, 0]);
    assert_eq!(out.traces[1].starts.start, Nanos(EPOCH + 50));
}

#[test]
fn all_tenants_at_once_are_as_each_by_itself() {
    let mut of = empty();
    let names = ["red", "green", "blue"].map(|name| TenantId::parse(name).unwrap());
    for (at, tenant) in [0, 1, 0, 2, 1].map(|at| &names[at]).into_iter().enumerate() {
        let at = at as u64;
        let spans = vec![of_trace(1, span(at + 1, 0, 9 - at)), of_trace(2, span(at + 1, 0, at))];
        put(&mut of, tenant, "shop", "http", spans);
    }
    let visible = count(of.len());
    let (mut orderer, mut together) = (Orderer::default(), Ordered::default());
    let found = tenants(&mut Orderer::default(), &of, visible, &mut together);
    // By name: blue, green, red, in the order of their numbers 2, 1, 0.
    assert_eq!(found, [(2, 0..2), (1, 2..6), (0, 6..10)]);
    let mut one_by_one = Ordered::default();
    for tenant in [&names[2], &names[1], &names[0]] {
        batch(&mut orderer, &of, tenant, visible, &mut one_by_one);
    }
    assert_eq!(together.rows, one_by_one.rows);
    assert_eq!(together.parent_distance, one_by_one.parent_distance);
    assert_eq!(together.traces, one_by_one.traces);
    let mut none = Ordered::default();
    batch(&mut orderer, &of, &TenantId::single(), visible, &mut none);
    assert!(none.rows.is_empty());
}

#[test]
fn buffers_of_one_trace_leave_nothing_in_the_next() {
    let mut orderer = in_parts_of(5);
    let huge = filled((1..60).map(|id| span(id % 30, id % 7, id)).collect());
    let twins = filled(vec![span(1, 0, 0), of_kind(CLIENT, span(1, 0, 1)), span(2, 1, 2)]);
    let first = [ordered(&mut in_parts_of(5), &huge), ordered(&mut in_parts_of(5), &twins)];
    for _ in 0..2 {
        for (batch, first) in [&huge, &twins].into_iter().zip(&first) {
            let again = ordered(&mut orderer, batch);
            assert_eq!(again.rows, first.rows);
            assert_eq!(again.parent_distance, first.parent_distance);
            assert_eq!(again.traces, first.traces);
            assert_eq!(again.conflicts, first.conflicts);
        }
    }
}
