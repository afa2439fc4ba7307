//! Arbitrary OTLP in, the same OTLP out; arbitrary bytes in, a fault or spans out. The reference
//! is prost's decoder.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value::Value as Any,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span, Status,
    span::{Event, Link},
};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::batch::Limits;

fn batch() -> Batch {
    Batch::new(Limits::default(), 42)
}

fn tenant() -> TenantId {
    TenantId::single()
}

/// Appends as the store does, and holds the look before against the walk.
fn append(batch: &mut Batch, body: &[u8]) -> Result<Appended, Fault> {
    let checked = check(body);
    let before = batch.heap_bytes();
    let appended = batch.append(&tenant(), Nanos::from_secs(1_000_000), body, &[]);
    match (&checked, &appended) {
        (Ok(checked), Ok(appended)) => {
            assert_eq!(checked.refused, appended.refused);
            let spans = appended.spans + appended.refused.len() as u64;
            assert_eq!(u64::from(checked.spans), spans);
            let told =
                |of: &[Refusal]| of.iter().map(|r| (r.span, r.name.clone())).collect::<Vec<_>>();
            assert_eq!(told(&checked.refusals), told(&appended.refusals));
            // Tables start with room for some: what counts is what grows with the request.
            let grown = batch.heap_bytes() - before;
            assert!(grown <= 2 * checked.heap_bytes + (256 << 10), "{grown} of {checked:?}");
        }
        (Err(checked), Err(appended)) => assert_eq!(checked, appended),
        _ => panic!("the look says {checked:?}, the walk {appended:?}"),
    }
    appended
}

fn emit(batch: &Batch) -> ExportTraceServiceRequest {
    let mut traces = Traces::new();
    (0..count(batch.len())).for_each(|row| traces.push(batch, row));
    ExportTraceServiceRequest::decode(&traces.encode()[..]).expect("what is emitted is OTLP")
}

/// Each span with all that surrounds it, absent and empty made one, in order of appearance.
fn flat(request: &ExportTraceServiceRequest) -> Vec<(String, String, Span)> {
    let mut flat = Vec::new();
    for rs in &request.resource_spans {
        let mut resource = rs.resource.clone();
        resource.iter_mut().for_each(|r| normalize(&mut r.attributes));
        for ss in &rs.scope_spans {
            let mut scope = ss.scope.clone();
            scope.iter_mut().for_each(|s| normalize(&mut s.attributes));
            for span in &ss.spans {
                let mut span = span.clone();
                normalize(&mut span.attributes);
                span.events.iter_mut().for_each(|e| normalize(&mut e.attributes));
                span.links.iter_mut().for_each(|l| normalize(&mut l.attributes));
                span.status = span.status.filter(|status| *status != Status::default());
                let resource = format!("{resource:?} {}", rs.schema_url);
                let scope = format!("{scope:?} {}", ss.schema_url);
                flat.push((resource, scope, span));
            }
        }
    }
    flat
}

/// A key without a value and a key with an empty one are the same to everyone.
fn normalize(attributes: &mut [KeyValue]) {
    for kv in attributes {
        kv.value.get_or_insert_default();
        if let Some(Any::DoubleValue(value)) = kv.value.as_mut().and_then(|v| v.value.as_mut())
            && value.is_nan()
        {
            *value = 0.125; // NaN is not equal to itself; its bits are compared elsewhere
        }
    }
}

fn sorted(mut flat: Vec<(String, String, Span)>) -> Vec<String> {
    flat.sort_by_key(|(_, _, span)| span.span_id.clone());
    flat.iter().map(|(r, s, span)| format!("{r} {s} {:?}", span.encode_to_vec())).collect()
}

fn any_value(depth: u32) -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        1 => Just(None),
        4 => ".{0,20}".prop_map(|s| Some(Any::StringValue(s))),
        1 => (1000usize..3000).prop_map(|n| Some(Any::StringValue("long ".repeat(n)))),
        2 => any::<bool>().prop_map(|b| Some(Any::BoolValue(b))),
        2 => any::<i64>().prop_map(|n| Some(Any::IntValue(n))),
        2 => any::<f64>().prop_map(|x| Some(Any::DoubleValue(x))),
        1 => any::<Vec<u8>>().prop_map(|b| Some(Any::BytesValue(b))),
    ]
    .prop_map(|value| AnyValue { value });
    leaf.prop_recursive(depth, 24, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..4);
        let map = prop::collection::vec(("[a-c.]{0,3}", inner), 0..4);
        prop_oneof![
            list.prop_map(|values| Any::ArrayValue(ArrayValue { values })),
            map.prop_map(|pairs| {
                let pair =
                    |(key, value)| KeyValue { key, value: Some(value), ..Default::default() };
                Any::KvlistValue(KeyValueList { values: pairs.into_iter().map(pair).collect() })
            }),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

/// Keys repeat within a row now and then, and differ in order and type between rows.
fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let key = prop_oneof![
        4 => "[a-e]",
        2 => Just("http.response.status_code".to_owned()),
        1 => ".{0,6}",
        1 => Just("k".repeat(300)),
    ];
    let pair = (key, prop::option::weighted(0.95, any_value(3)));
    prop::collection::vec(
        pair.prop_map(|(key, value)| KeyValue { key, value, ..Default::default() }),
        0..8,
    )
}

fn bytes_of(length: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(1u8.., length)
}

fn event() -> impl Strategy<Value = Event> {
    (any::<u64>(), ".{0,8}", attributes(), prop_oneof![Just(0), any::<u32>()]).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    )
}

fn link() -> impl Strategy<Value = Link> {
    let ids = prop_oneof![
        4 => (bytes_of(16), bytes_of(8)),
        1 => Just((Vec::new(), Vec::new())),
    ];
    (ids, "[a-z=,]{0,8}", attributes(), any::<u32>(), any::<u32>()).prop_map(
        |((trace_id, span_id), trace_state, attributes, dropped_attributes_count, flags)| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        },
    )
}

prop_compose! {
    fn span()(
        ids in (bytes_of(16), bytes_of(8), prop_oneof![Just(Vec::new()), bytes_of(8)]),
        words in ("[a-z]{0,3}", ".{0,10}", ".{0,5}"),
        kind in prop_oneof![8 => 0..6i32, 1 => any::<i32>()],
        times in any::<(u64, u64)>(),
        attributes in attributes(),
        events in prop::collection::vec(event(), 0..4),
        links in prop::collection::vec(link(), 0..3),
        dropped in prop_oneof![3 => Just((0, 0, 0)), 1 => any::<(u32, u32, u32)>()],
        flags in any::<u32>(),
        code in prop_oneof![8 => 0..3i32, 1 => any::<i32>()],
        status in any::<bool>(),
    ) -> Span {
        Span {
            trace_id: ids.0,
            span_id: ids.1,
            parent_span_id: ids.2,
            trace_state: words.0,
            name: words.1,
            kind,
            start_time_unix_nano: times.0,
            end_time_unix_nano: times.1,
            attributes,
            events,
            links,
            dropped_attributes_count: dropped.0,
            dropped_events_count: dropped.1,
            dropped_links_count: dropped.2,
            flags,
            status: status.then_some(Status { message: words.2, code }),
        }
    }
}

prop_compose! {
    fn scope_spans()(
        scope in prop::option::of(("[a-z]{0,3}", "[0-9]{0,2}", attributes(), any::<u32>())),
        spans in prop::collection::vec(span(), 0..6),
        schema_url in "[a-z]{0,2}",
    ) -> ScopeSpans {
        let scope = scope.map(|(name, version, attributes, dropped_attributes_count)| {
            InstrumentationScope { name, version, attributes, dropped_attributes_count }
        });
        ScopeSpans { scope, spans, schema_url }
    }
}

pub(super) fn request() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let resource =
        (attributes(), any::<u32>()).prop_map(|(attributes, dropped_attributes_count)| Resource {
            attributes,
            dropped_attributes_count,
            entity_refs: Vec::new(),
        });
    let resource_spans =
        (prop::option::of(resource), prop::collection::vec(scope_spans(), 0..4), "[a-z]{0,2}")
            .prop_map(|(resource, scope_spans, schema_url)| ResourceSpans {
                resource,
                scope_spans,
                schema_url,
            });
    prop::collection::vec(resource_spans, 0..4)
        .prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_went_in_comes_out(requests in prop::collection::vec(request(), 1..4)) {
        let mut batch = batch();
        let mut went_in = Vec::new();
        for request in &requests {
            let appended = append(&mut batch, &request.encode_to_vec()).unwrap();
            prop_assert_eq!(&appended.refused, &Vec::<u32>::new());
            went_in.extend(flat(request));
        }
        prop_assert_eq!(sorted(flat(&emit(&batch))), sorted(went_in));
    }

    #[test]
    fn what_is_cut_out_is_what_stood_there(
        requests in prop::collection::vec(request(), 1..4),
        ends in any::<[prop::sample::Index; 2]>(),
        keys_per_tenant_max in 0usize..8,
    ) {
        let mut batch = Batch::new(Limits { keys_per_tenant_max, ..Limits::default() }, 42);
        for request in &requests {
            append(&mut batch, &request.encode_to_vec()).unwrap();
        }
        let rows = count(batch.len());
        let [a, b] = ends.map(|end| count(end.index(batch.len() + 1)));
        for cut in [0..a.max(1).min(rows), a.min(b)..a.max(b), 0..rows] {
            if cut.is_empty() {
                prop_assert!(batch.cut(cut, &tenant()).is_err());
                continue;
            }
            let part = batch.cut(cut.clone(), &tenant()).unwrap();
            let mut stood = Traces::new();
            cut.clone().for_each(|row| stood.push(&batch, row));
            let stood = ExportTraceServiceRequest::decode(&stood.encode()[..]).unwrap();
            prop_assert_eq!(flat(&emit(&part)), flat(&stood));
            for row in 0..count(part.len()) {
                prop_assert_eq!(part.effective_start(row), batch.effective_start(cut.start + row));
            }
            // A part of a part, as what was read from a file is cut again.
            let last = count(part.len()) - 1;
            let again = part.cut(last..last + 1, &tenant()).unwrap();
            let mut stood = Traces::new();
            stood.push(&batch, cut.start + last);
            let stood = ExportTraceServiceRequest::decode(&stood.encode()[..]).unwrap();
            prop_assert_eq!(flat(&emit(&again)), flat(&stood));
        }
    }

    #[test]
    fn caps_move_attributes_but_lose_none(
        requests in prop::collection::vec(request(), 1..3),
        keys_per_tenant_max in 0usize..6,
    ) {
        let limits = Limits { keys_per_tenant_max, ..Limits::default() };
        let mut batch = Batch::new(limits, 42);
        let mut went_in = Vec::new();
        for request in &requests {
            append(&mut batch, &request.encode_to_vec()).unwrap();
            went_in.extend(flat(request));
        }
        prop_assert_eq!(sorted(flat(&emit(&batch))), sorted(went_in));
    }

    #[test]
    fn a_malformed_request_leaves_the_batch_as_it_was(
        good in request(),
        bad in request(),
        cut in any::<prop::sample::Index>(),
        flip in any::<prop::sample::Index>(),
        xor: u8,
    ) {
        let mut batch = batch();
        append(&mut batch, &good.encode_to_vec()).unwrap();
        let mut bytes = bad.encode_to_vec();
        if !bytes.is_empty() {
            let at = flip.index(bytes.len());
            bytes[at] ^= xor;
            bytes.truncate(cut.index(bytes.len()).max(1));
        }
        let prost = ExportTraceServiceRequest::decode(&bytes[..]);
        let before = batch.len();
        match append(&mut batch, &bytes) {
            Ok(_) => {}
            Err(fault) => {
                prop_assert!(prost.is_err(), "prost reads what we call {}", fault);
                prop_assert!(fault.offset <= bytes.len());
                prop_assert_eq!(batch.len(), before);
                prop_assert_eq!(sorted(flat(&emit(&batch))), sorted(flat(&good)));
            }
        }
        append(&mut batch, &good.encode_to_vec()).unwrap();
        emit(&batch);
    }

    #[test]
    fn any_bytes_give_spans_or_a_fault(bytes: Vec<u8>) {
        let mut batch = batch();
        drop(append(&mut batch, &bytes));
        emit(&batch);
    }
}

fn good_span() -> Span {
    Span { trace_id: vec![1; 16], span_id: vec![2; 8], name: "op".into(), ..Default::default() }
}

fn request_of(spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..Default::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn nested(levels: usize) -> AnyValue {
    let leaf = AnyValue { value: Some(Any::IntValue(1)) };
    (1..levels).fold(leaf, |inner, _| AnyValue {
        value: Some(Any::ArrayValue(ArrayValue { values: vec![inner] })),
    })
}

#[test]
fn spans_that_break_a_rule_are_refused_alone() {
    let deep = KeyValue { key: "deep".into(), value: Some(nested(17)), ..Default::default() };
    let ok = KeyValue { key: "ok".into(), value: Some(nested(16)), ..Default::default() };
    let odd_link = Link { trace_id: vec![1; 5], ..Default::default() };
    let event = Event { attributes: vec![ok.clone(), deep.clone()], ..Default::default() };
    let spans = vec![
        Span { attributes: vec![ok.clone()], ..good_span() },
        Span { trace_id: vec![0; 16], ..good_span() },
        Span { trace_id: vec![1; 8], ..good_span() },
        Span { span_id: vec![], ..good_span() },
        Span { span_id: vec![0; 8], ..good_span() },
        Span { parent_span_id: vec![1; 3], ..good_span() },
        Span { attributes: vec![ok.clone(), deep], ..good_span() },
        Span { links: vec![Link::default(), odd_link], ..good_span() },
        Span { attributes: vec![ok], events: vec![event], ..good_span() },
        Span { name: "last".into(), parent_span_id: vec![0; 8], ..good_span() },
    ];
    let mut batch = batch();
    let appended = append(&mut batch, &request_of(spans.clone())).unwrap();
    assert_eq!(appended.spans, 2);
    assert_eq!(appended.refused, [1, 2, 3, 4, 5, 6, 7, 8]);
    let reasons: Vec<Reason> = appended.refusals.into_iter().map(|r| r.reason).collect();
    assert_eq!(
        reasons,
        [
            Reason::TraceIdZero,
            Reason::TraceIdLength(8),
            Reason::SpanIdLength(0),
            Reason::SpanIdZero,
            Reason::ParentIdLength(3),
            Reason::Nesting("deep".into()),
            Reason::LinkIdLength(5),
            Reason::Nesting("deep".into()),
        ]
    );
    let stored: Vec<Span> = flat(&emit(&batch)).into_iter().map(|(_, _, span)| span).collect();
    let root = Span { parent_span_id: vec![], ..spans[9].clone() };
    assert_eq!(stored, [spans[0].clone(), root]);
}

#[test]
fn a_span_of_many_keys_is_kept_whole_and_leaves_the_trie_to_others() {
    let many = |span: u8| Span {
        span_id: vec![span; 8],
        attributes: (0..5_000)
            .map(|n| KeyValue {
                key: format!("{span}.{n}"),
                value: Some(AnyValue { value: Some(Any::IntValue(n)) }),
                ..Default::default()
            })
            .collect(),
        ..good_span()
    };
    // The last one is refused behind its attributes: its tail must go with it.
    let links = vec![Link { trace_id: vec![1; 5], ..Default::default() }];
    let spans = vec![many(1), many(2), Span { links, ..many(3) }, good_span()];
    let mut batch = batch();
    let appended = append(&mut batch, &request_of(spans.clone())).unwrap();
    assert_eq!(appended.refused, [2]);
    assert!(batch.heap_bytes() < 4 << 20, "{} bytes", batch.heap_bytes());
    let stored: Vec<Span> = flat(&emit(&batch)).into_iter().map(|(_, _, span)| span).collect();
    assert_eq!(stored, [spans[0].clone(), spans[1].clone(), spans[3].clone()]);
    // A malformed request takes such rows back, too.
    let mut broken = request_of(vec![many(4)]);
    broken.push(0x0f);
    assert!(append(&mut batch, &broken).is_err());
    append(&mut batch, &request_of(vec![many(5)])).unwrap();
    assert_eq!(flat(&emit(&batch)).len(), 4);
}

#[test]
fn replay_passes_over_what_was_refused() {
    let body = request_of(vec![good_span(), Span { name: "second".into(), ..good_span() }]);
    let mut batch = batch();
    let appended = batch.append(&tenant(), Nanos(1), &body, &[0]).unwrap();
    assert_eq!((appended.spans, appended.refused), (1, vec![0]));
    assert_eq!(batch.name(0), "second");
}

#[test]
fn a_resource_that_nests_too_deeply_refuses_its_spans_only() {
    let deep = KeyValue { key: "deep".into(), value: Some(nested(17)), ..Default::default() };
    let resource = Resource { attributes: vec![deep], ..Default::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![good_span()], ..Default::default() }];
    let bad = ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![good_span()], ..Default::default() }];
    let good = ResourceSpans { scope_spans, ..Default::default() };
    let request = ExportTraceServiceRequest { resource_spans: vec![bad, good] };
    let mut batch = batch();
    for _ in 0..2 {
        let appended = append(&mut batch, &request.encode_to_vec()).unwrap();
        assert_eq!((appended.spans, appended.refused), (1, vec![0]));
    }
}

#[test]
fn faults_name_the_byte_in_the_request() {
    let mut body = request_of(vec![good_span()]);
    let at = body.windows(2).position(|w| w == b"op").unwrap();
    body[at - 1] = 200; // the length of the name now reaches past the end
    let fault = append(&mut batch(), &body).unwrap_err();
    assert_eq!((fault.offset, fault.what), (at - 1, "length reaches past the end of the message"));
}

#[test]
fn a_trace_is_found_by_its_rows() {
    let mut batch = batch();
    let other = Span { trace_id: vec![9; 16], ..good_span() };
    append(&mut batch, &request_of(vec![good_span(), other.clone(), good_span()])).unwrap();
    append(&mut batch, &request_of(vec![other, good_span()])).unwrap();
    let id = TraceId::from_array([1; 16]);
    assert_eq!(batch.trace_rows(&tenant(), id).collect::<Vec<_>>(), [4, 2, 0]);
    let stranger = TenantId::parse("other").unwrap();
    assert_eq!(batch.trace_rows(&stranger, id).count(), 0);
    assert_eq!(batch.traces().len(), 2);
    assert_eq!(batch.skewed(), 5, "1970 is far from when these were received");
}
