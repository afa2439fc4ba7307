//! What the outline says of a request is what prost finds in it.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::trace::v1;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::otlp::{Checked, Open, Rules, check, outline_with};
use crate::wire::{Reader, put_bytes};

fn outline(body: &[u8], wants: Wants) -> (Checked, Outline) {
    let found = outline_with(body, &Rules::NONE, &mut Open, wants).unwrap();
    assert_eq!(found.0, check(body).unwrap(), "taking notes changes nothing");
    found
}

/// What is wanted where not everything is.
fn is_wanted(key: &str) -> bool {
    key == "service.name" || key.starts_with('a')
}

/// The value of the field that begins there, if there is one.
fn value(body: &[u8], at: u32) -> Value<'_> {
    if at == 0 { Value::Group } else { first(&body[at as usize..]) }
}

fn first(bytes: &[u8]) -> Value<'_> {
    Reader::new(bytes).next().unwrap().unwrap().value
}

fn text(body: &[u8], at: u32) -> &[u8] {
    match value(body, at) {
        Value::Bytes(bytes) => bytes,
        Value::Group => b"",
        other => panic!("{other:?} is no text"),
    }
}

fn number(body: &[u8], at: u32) -> u64 {
    match value(body, at) {
        Value::Varint(value) | Value::Fixed64(value) => value,
        Value::Fixed32(value) => value.into(),
        Value::Group => 0,
        Value::Bytes(_) => panic!("no number"),
    }
}

fn attributes(body: &[u8], list: &[u32], of: Stretch) -> Vec<KeyValue> {
    let pair = |at: &u32| KeyValue::decode(text(body, *at)).unwrap();
    list[of.range()].iter().map(pair).collect()
}

fn whole<M: Message + Default>(body: &[u8], at: u32, end: u32) -> M {
    let field = &body[at as usize..end as usize];
    let Value::Bytes(content) = first(field) else { panic!("no message") };
    assert!(field.ends_with(content));
    M::decode(content).unwrap()
}

fn compare_span(body: &[u8], outline: &Outline, found: &Span, span: &v1::Span) {
    assert_eq!(&whole::<v1::Span>(body, found.at, found.end), span);
    let id = |at: u32, bytes: usize| match at {
        0 => &[][..],
        at => &body[at as usize..at as usize + bytes],
    };
    assert_eq!(id(found.trace_id, 16), span.trace_id);
    assert_eq!(id(found.span_id, 8), span.span_id);
    assert_eq!(id(found.parent_id, 8), span.parent_span_id);
    assert_eq!(text(body, found.trace_state), span.trace_state.as_bytes());
    assert_eq!(text(body, found.name), span.name.as_bytes());
    assert_eq!(number(body, found.kind), i64::from(span.kind).cast_unsigned());
    assert_eq!(number(body, found.start), span.start_time_unix_nano);
    assert_eq!(number(body, found.end_time), span.end_time_unix_nano);
    assert_eq!(number(body, found.flags), u64::from(span.flags));
    let status = span.status.clone().unwrap_or_default();
    assert_eq!(number(body, found.status_code), i64::from(status.code).cast_unsigned());
    assert_eq!(text(body, found.status_message), status.message.as_bytes());
    assert_eq!(found.events.count as usize, span.events.len());
    assert_eq!(found.links.count as usize, span.links.len());
    let noted = attributes(body, &outline.attributes, found.attributes);
    if outline.wants.attributes == Interest::ALL {
        assert_eq!(noted, span.attributes);
    } else {
        // All that are wanted, and of the others some, in their order.
        let mut others = span.attributes.iter();
        assert!(noted.iter().all(|pair| others.any(|other| other == pair)));
        let wanted = |all: &[KeyValue]| {
            let wanted = all.iter().filter(|pair| is_wanted(&pair.key));
            wanted.cloned().collect::<Vec<_>>()
        };
        match outline.wants.attributes {
            Interest::NONE => assert_eq!(noted, []),
            _ => assert_eq!(wanted(&noted), wanted(&span.attributes)),
        }
    }
    if outline.wants.events {
        for (found, event) in outline.events[found.events.range()].iter().zip(&span.events) {
            assert_eq!(&whole::<v1::span::Event>(body, found.at, found.end), event);
            assert_eq!(number(body, found.time), event.time_unix_nano);
            assert_eq!(text(body, found.name), event.name.as_bytes());
            let of = attributes(body, &outline.other_attributes, found.attributes);
            assert_eq!(of, event.attributes);
        }
    }
    if outline.wants.links {
        for (found, link) in outline.links[found.links.range()].iter().zip(&span.links) {
            assert_eq!(&whole::<v1::span::Link>(body, found.at, found.end), link);
            let of = attributes(body, &outline.other_attributes, found.attributes);
            assert_eq!(of, link.attributes);
        }
    }
}

/// Holds an outline against what prost reads.
fn compare(body: &[u8], outline: &Outline) {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    assert_eq!(outline.resources.len(), request.resource_spans.len());
    for (found, resource) in outline.resources.iter().zip(&request.resource_spans) {
        assert_eq!(&whole::<v1::ResourceSpans>(body, found.at, found.end), resource);
        let of = resource.resource.as_ref().map(|of| of.attributes.clone()).unwrap_or_default();
        assert_eq!(attributes(body, &outline.other_attributes, found.attributes), of);
        assert_eq!(found.parts > 0, resource.resource.is_some());
        assert_eq!(found.scopes.count as usize, resource.scope_spans.len());
        for (found, scope) in outline.scopes[found.scopes.range()].iter().zip(&resource.scope_spans)
        {
            assert_eq!(&whole::<v1::ScopeSpans>(body, found.at, found.end), scope);
            let of = scope.scope.clone().unwrap_or_default();
            assert_eq!(text(body, found.name), of.name.as_bytes());
            assert_eq!(text(body, found.version), of.version.as_bytes());
            let pairs = attributes(body, &outline.other_attributes, found.attributes);
            assert_eq!(pairs, of.attributes);
            let taken: Vec<_> =
                scope.spans.iter().filter(|span| span.trace_id != [0; 16]).collect();
            assert_eq!(found.spans.count as usize, taken.len());
            assert_eq!(found.refused.count as usize, scope.spans.len() - taken.len());
            for (found, span) in outline.spans[found.spans.range()].iter().zip(taken) {
                compare_span(body, outline, found, span);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn everything_is_found_where_it_is(
        mut request in super::super::tests::request(),
        refused in prop::collection::vec(any::<bool>(), 8),
        wants in (0..3usize, any::<bool>(), any::<bool>()),
    ) {
        let spans = request.resource_spans.iter_mut().flat_map(|of| &mut of.scope_spans);
        let refused = refused.iter().cycle();
        for (span, refused) in spans.flat_map(|of| &mut of.spans).zip(refused) {
            if *refused {
                span.trace_id = vec![0; 16];
            }
        }
        let some = Interest::NONE.with_key(b"service.name").with_start(b"a");
        let attributes = [Interest::NONE, some, Interest::ALL][wants.0];
        let wants = Wants { attributes, events: wants.1, links: wants.2 };
        let body = request.encode_to_vec();
        let (checked, outline) = outline(&body, wants);
        compare(&body, &outline);
        prop_assert!(!outline.odd);
        let rows = outline.spans.iter().map(|span| span.heap_bytes as usize).sum::<usize>();
        prop_assert_eq!(checked.heap_bytes, 2 * body.len() + rows + outline.refused_heap_bytes);
    }
}

/// A field with a length in front.
fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_bytes(&mut out, number, bytes);
    out
}

fn ids() -> Vec<u8> {
    [field(1, &[1; 16]), field(2, &[2; 8])].concat()
}

#[test]
fn of_what_stands_twice_the_last_one_counts_and_parts_are_joined() {
    let pair = |key: &[u8]| field(1, &field(1, key));
    let span = [
        field(5, b"first"),
        field(15, &[0x18, 2]),
        field(100, b"unknown"),
        ids(),
        field(5, b"last"),
        field(15, &field(2, b"message")),
    ]
    .concat();
    let resource_spans = [
        field(2, &[field(2, &span), field(1, &field(1, b"name"))].concat()),
        field(1, &pair(b"a")),
        field(1, &pair(b"b")),
    ]
    .concat();
    let body = [field(9, b"unknown"), field(1, &resource_spans)].concat();
    let (_, outline) = outline(&body, Wants::ALL);
    compare(&body, &outline);
    assert_eq!(outline.resources[0].parts, 2);
    assert_eq!(outline.resources[0].attributes.count, 2);
    assert!(!outline.odd);
}

#[test]
fn attributes_with_more_than_a_key_and_a_value_are_odd() {
    let (key, value) = (field(1, b"k"), field(2, &field(1, b"v")));
    let odd = |pair: &[u8]| {
        let span = [ids(), field(9, pair)].concat();
        let resource = field(1, &field(1, pair));
        let of = |resource_spans: &[u8]| outline(&field(1, resource_spans), Wants::ALL).1.odd;
        let found = of(&field(2, &field(2, &span)));
        assert_eq!(found, of(&resource));
        found
    };
    for regular in [vec![], key.clone(), value.clone(), [&key[..], &value].concat()] {
        assert!(!odd(&regular), "{regular:?}");
    }
    for parts in [
        [&value[..], &key].concat(),
        [&key[..], &key].concat(),
        [&key[..], &value, &value].concat(),
        [&key[..], &value, &field(3, b"x")].concat(),
        [&[0x8a, 0x00, 1, b'k'], &value[..]].concat(),
    ] {
        assert!(odd(&parts), "{parts:?}");
    }
}
