//! Rules that somebody sets, and whoever has a say.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span};
use prost::Message;

use super::*;

/// Attributes with values of these lengths.
fn attributes(lengths: &[usize]) -> Vec<KeyValue> {
    let of = |length: &usize| {
        let value = any_value::Value::StringValue("v".repeat(*length));
        let value = Some(AnyValue { value: Some(value) });
        KeyValue { key: "k".to_owned(), value, ..KeyValue::default() }
    };
    lengths.iter().map(of).collect()
}

fn span(number: u8) -> Span {
    Span { trace_id: vec![number; 16], span_id: vec![number; 8], ..Span::default() }
}

fn request(resource: &[usize], scope: &[usize], spans: Vec<Span>) -> Vec<u8> {
    let resource = Some(Resource { attributes: attributes(resource), ..Resource::default() });
    let attributes = attributes(scope);
    let scope = Some(InstrumentationScope { attributes, ..InstrumentationScope::default() });
    let scope_spans = vec![ScopeSpans { scope, spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// Which spans are refused, and why the first of them is.
fn refused(body: &[u8], rules: &Rules) -> (Vec<u32>, String) {
    let checked = check_with(body, rules, &mut Open).unwrap();
    let why = checked.refusals.first().map(|refusal| refusal.reason.to_string());
    (checked.refused, why.unwrap_or_default())
}

const RULES: Rules = Rules { spans_max: 10, attributes_max: 2, attribute_bytes_max: 20 };

#[test]
fn attributes_are_bounded_wherever_they_stand() {
    let with = |lengths: &[usize]| Span { attributes: attributes(lengths), ..span(1) };
    let event = |lengths: &[usize]| {
        let event = span::Event { attributes: attributes(lengths), ..span::Event::default() };
        Span { events: vec![event], ..span(1) }
    };
    let link = |lengths: &[usize]| {
        let link = span::Link { attributes: attributes(lengths), ..span::Link::default() };
        Span { links: vec![link], ..span(1) }
    };
    let many = "more than 2 attributes";
    let long = "attribute \"k\" has 107 bytes, limit is 20";
    for (lengths, why) in [(&[1, 1][..], ""), (&[1, 1, 1], many), (&[1, 100], long)] {
        for broken in [with(lengths), event(lengths), link(lengths)] {
            let body = request(&[1], &[1], vec![span(2), broken, span(3)]);
            let wanted = if why.is_empty() { vec![] } else { vec![1] };
            assert_eq!(refused(&body, &RULES), (wanted, why.to_owned()));
            assert_eq!(refused(&body, &Rules::NONE).0, Vec::<u32>::new());
        }
        // What all spans share is of all of them.
        for body in [
            request(lengths, &[], vec![span(1), span(2)]),
            request(&[], lengths, vec![span(1), span(2)]),
        ] {
            let wanted = if why.is_empty() { vec![] } else { vec![0, 1] };
            assert_eq!(refused(&body, &RULES), (wanted, why.to_owned()));
        }
    }
}

#[test]
fn the_look_ends_where_there_are_too_many_spans() {
    let spans = |count: u8| request(&[], &[], (1..=count).map(span).collect());
    assert_eq!(check_with(&spans(10), &RULES, &mut Open).unwrap().spans, 10);
    assert_eq!(check_with(&spans(40), &RULES, &mut Open).unwrap().spans, 11);
}

#[test]
fn the_gate_is_asked_for_spans_that_break_no_rule() {
    /// Refuses every second span, and notes all that it was asked for.
    #[derive(Default)]
    struct Second(Vec<(TraceId, usize)>);
    impl Gate for Second {
        fn refuses(&mut self, trace: TraceId, bytes: usize) -> Option<Reason> {
            self.0.push((trace, bytes));
            self.0.len().is_multiple_of(2).then_some(Reason::LiveTraces { limit: 7 })
        }
    }
    let broken = Span { trace_id: vec![0; 16], ..span(9) };
    let body = request(&[], &[], vec![span(1), broken, span(2), span(3)]);
    let mut gate = Second::default();
    let checked = check_with(&body, &Rules::NONE, &mut gate).unwrap();
    assert_eq!(checked.refused, [1, 2]);
    assert_eq!(checked.refusals[1].reason.to_string(), "more than 7 live traces");
    let id = |number| TraceId::from_array([number; 16]);
    let bytes = span(1).encoded_len();
    assert_eq!(gate.0, [(id(1), bytes), (id(2), bytes), (id(3), bytes)]);
}
