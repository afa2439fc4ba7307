//! Attributes of resources that a gateway sets, whatever clients claim.
//!
//! A request comes in as bytes and goes on as bytes: only resources are written anew, spans are copied as they
//! are. What a client claimed under such a name stays under another one, for people.

use crate::wire::{Fault, Reader, Value, put_bytes, put_message, put_value};

/// Numbers of fields, as `trace_service.proto`, `trace.proto`, `resource.proto` and `common.proto` give them.
mod field {
    pub(super) const RESOURCE_SPANS: u32 = 1;
    pub(super) const RESOURCE: u32 = 1;
    pub(super) const ATTRIBUTES: u32 = 1;
    pub(super) const KEY: u32 = 1;
    pub(super) const VALUE: u32 = 2;
    pub(super) const STRING_VALUE: u32 = 1;
}

/// What the name ends with under which a client's own claim stays.
pub const REPORTED: &str = ".reported";

/// The request with these attributes, names and texts, on each of its resources. Other attributes by these
/// names get [`REPORTED`] behind their name, unless they say the same; those that have it already go, so that
/// nobody claims what somebody else has claimed.
///
/// # Errors
/// Names the byte where the request is malformed; what spans have in them is not looked at.
pub fn stamp(body: &[u8], stamps: &[(&str, &str)]) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(body.len() + body.len() / 8 + 128);
    let mut reader = Reader::new(body);
    while let Some(field) = reader.next()? {
        match (field.number, field.value) {
            (field::RESOURCE_SPANS, Value::Bytes(bytes)) => {
                let of = (bytes, field.offset);
                let mut outcome = Ok(());
                put_message(&mut out, field::RESOURCE_SPANS, |out| {
                    outcome = resource_spans(out, of, stamps);
                });
                outcome?;
            }
            (number, value) => put_value(&mut out, number, value),
        }
    }
    Ok(out)
}

/// A resource as [`crate::otlp::Traces`] and batches have it, a fragment of `ResourceSpans` without the spans,
/// with these attributes as [`stamp`] puts them.
///
/// # Errors
/// As [`stamp`].
pub fn stamp_fragment(fragment: &[u8], stamps: &[(&str, &str)]) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::with_capacity(fragment.len() + 64);
    resource_spans(&mut out, (fragment, 0), stamps)?;
    Ok(out)
}

/// Of a part that is given more than once all count, as protobuf has it: they become one.
fn resource_spans(
    out: &mut Vec<u8>,
    (bytes, offset): (&[u8], usize),
    stamps: &[(&str, &str)],
) -> Result<(), Fault> {
    let mut outcome = Ok(());
    put_message(out, field::RESOURCE, |out| outcome = resource(out, (bytes, offset), stamps));
    outcome?;
    let mut reader = Reader::nested(bytes, offset);
    while let Some(field) = reader.next()? {
        match (field.number, field.value) {
            (field::RESOURCE, Value::Bytes(_)) => {}
            (number, value) => put_value(out, number, value),
        }
    }
    Ok(())
}

/// The resource of spans, with the stamps behind what it has.
fn resource(
    out: &mut Vec<u8>,
    (bytes, offset): (&[u8], usize),
    stamps: &[(&str, &str)],
) -> Result<(), Fault> {
    let mut parts = Reader::nested(bytes, offset);
    while let Some(part) = parts.next()? {
        let (field::RESOURCE, Value::Bytes(resource)) = (part.number, part.value) else { continue };
        let mut fields = Reader::nested(resource, part.offset);
        while let Some(field) = fields.next()? {
            match (field.number, field.value) {
                (field::ATTRIBUTES, Value::Bytes(pair)) => {
                    attribute(out, (pair, field.offset), stamps)?;
                }
                (number, value) => put_value(out, number, value),
            }
        }
    }
    for (name, value) in stamps {
        put_message(out, field::ATTRIBUTES, |out| {
            put_bytes(out, field::KEY, name.as_bytes());
            put_bytes(out, field::VALUE, &text(value));
        });
    }
    Ok(())
}

/// An attribute as a client sent it.
fn attribute(
    out: &mut Vec<u8>,
    (pair, offset): (&[u8], usize),
    stamps: &[(&str, &str)],
) -> Result<(), Fault> {
    let (mut key, mut claimed) = (&[][..], None);
    let mut fields = Reader::nested(pair, offset);
    while let Some(field) = fields.next()? {
        match (field.number, field.value) {
            (field::KEY, Value::Bytes(bytes)) => key = bytes,
            (field::VALUE, Value::Bytes(bytes)) => claimed = Some(bytes),
            _ => {}
        }
    }
    let is = |(name, _): &&(&str, &str)| key == name.as_bytes();
    if let Some((name, value)) = stamps.iter().find(is) {
        let Some(claimed) = claimed.filter(|claimed| *claimed != text(value)) else {
            return Ok(());
        };
        put_message(out, field::ATTRIBUTES, |out| {
            put_bytes(out, field::KEY, format!("{name}{REPORTED}").as_bytes());
            put_bytes(out, field::VALUE, claimed);
        });
        return Ok(());
    }
    let reported = key.strip_suffix(REPORTED.as_bytes());
    if reported.is_none_or(|of| stamps.iter().all(|(name, _)| of != name.as_bytes())) {
        put_bytes(out, field::ATTRIBUTES, pair);
    }
    Ok(())
}

/// A value that is a text.
fn text(value: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len() + 4);
    put_bytes(&mut out, field::STRING_VALUE, value.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    const STAMPS: [(&str, &str); 2] = [("cluster", "eu-1"), ("k8s.cluster.name", "eu-1")];

    fn pair(key: &str, value: any_value::Value) -> KeyValue {
        let value = Some(AnyValue { value: Some(value) });
        KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
    }

    fn said(key: &str, value: &str) -> KeyValue {
        pair(key, any_value::Value::StringValue(value.to_owned()))
    }

    fn request(resources: Vec<Option<Vec<KeyValue>>>) -> ExportTraceServiceRequest {
        let of = |attributes: Option<Vec<KeyValue>>| ResourceSpans {
            resource: attributes.map(|attributes| Resource {
                attributes,
                dropped_attributes_count: 3,
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans: vec![Span { name: "n".repeat(300), ..Span::default() }],
                ..ScopeSpans::default()
            }],
            schema_url: "https://schema.example/1".to_owned(),
        };
        let resource_spans = resources.into_iter().map(of).collect();
        ExportTraceServiceRequest { resource_spans }
    }

    fn stamped(request: &ExportTraceServiceRequest) -> ExportTraceServiceRequest {
        let body = stamp(&request.encode_to_vec(), &STAMPS).unwrap();
        ExportTraceServiceRequest::decode(&*body).unwrap()
    }

    /// What it should come to, in plain words.
    fn expected(mut request: ExportTraceServiceRequest) -> ExportTraceServiceRequest {
        for of in &mut request.resource_spans {
            let resource = of.resource.get_or_insert_default();
            let before = std::mem::take(&mut resource.attributes);
            for mut pair in before {
                if pair
                    .key
                    .strip_suffix(REPORTED)
                    .is_some_and(|of| STAMPS.iter().any(|(name, _)| *name == of))
                {
                    continue;
                }
                if let Some((name, value)) = STAMPS.iter().find(|(name, _)| *name == pair.key) {
                    if pair.value.is_none() || pair == said(name, value) {
                        continue;
                    }
                    pair.key.push_str(REPORTED);
                }
                resource.attributes.push(pair);
            }
            resource.attributes.extend(STAMPS.map(|(name, value)| said(name, value)));
        }
        request
    }

    #[test]
    fn claims_stay_under_another_name() {
        let claims = vec![
            said("service.name", "shop"),
            said("cluster", "us-9"),
            said("k8s.cluster.name", "eu-1"),
            said("cluster.reported", "a lie"),
            pair("cluster", any_value::Value::IntValue(7)),
        ];
        let request = request(vec![Some(claims), None, Some(Vec::new())]);
        let found = stamped(&request);
        assert_eq!(found, expected(request));
        let first = &found.resource_spans[0].resource.as_ref().unwrap().attributes;
        let keys: Vec<&str> = first.iter().map(|pair| pair.key.as_str()).collect();
        assert_eq!(
            keys,
            ["service.name", "cluster.reported", "cluster.reported", "cluster", "k8s.cluster.name"]
        );
        // Again it is the same: what is stamped says the same.
        let twice = stamped(&found);
        let keys = |of: &ExportTraceServiceRequest| of.resource_spans[1].resource.clone();
        assert_eq!(keys(&twice), keys(&found));
    }

    #[test]
    fn a_resource_in_two_parts_is_stamped_once() {
        let whole = request(vec![Some(vec![said("a", "1")])]).encode_to_vec();
        // Protobuf lets messages be joined by their bytes: their lists are joined, too.
        let part = Resource { attributes: vec![said("cluster", "x")], ..Resource::default() };
        let mut of = ResourceSpans::default().encode_to_vec();
        let first = ExportTraceServiceRequest::decode(&*whole).unwrap().resource_spans.remove(0);
        of.extend(first.encode_to_vec());
        put_bytes(&mut of, field::RESOURCE, &part.encode_to_vec());
        let mut body = Vec::new();
        put_bytes(&mut body, field::RESOURCE_SPANS, &of);
        let plain = ExportTraceServiceRequest::decode(&*body).unwrap();
        let body = stamp(&body, &STAMPS).unwrap();
        assert_eq!(ExportTraceServiceRequest::decode(&*body).unwrap(), expected(plain));
    }

    proptest! {
        #[test]
        fn nothing_else_changes(resources in prop::collection::vec(prop::option::of(prop::collection::vec(
            (prop::sample::select(vec!["a", "cluster", "cluster.reported", "k8s.cluster.name", "cluster.x", ""]),
             prop::sample::select(vec!["", "eu-1", "us-9"]), any::<bool>()), 0..6)), 0..4))
        {
            let of = |(key, value, is_text): (&str, &str, bool)| match is_text {
                true => said(key, value),
                false => KeyValue { key: key.to_owned(), ..KeyValue::default() },
            };
            let of = |pairs: Vec<_>| pairs.into_iter().map(of).collect();
            let request = request(resources.into_iter().map(|pairs| pairs.map(of)).collect());
            prop_assert_eq!(stamped(&request), expected(request));
        }

        #[test]
        fn any_bytes_are_stamped_or_told(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(stamp(&bytes, &STAMPS));
        }
    }
}
