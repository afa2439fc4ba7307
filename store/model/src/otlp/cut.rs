//! Attributes that are too long, cut, in a request that comes in as bytes and goes on as bytes.

use crate::wire::{Fault, Reader, Value, put_bytes, put_message, put_value};

/// The messages that attributes are in, and those on the way there, as `trace_service.proto`, `trace.proto`,
/// `resource.proto` and `common.proto` have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Request,
    ResourceSpans,
    Resource,
    ScopeSpans,
    Scope,
    Span,
    Event,
    Link,
    KeyValue,
}

impl Level {
    /// What is in a field, if it may have attributes in it.
    const fn within(self, number: u32) -> Option<Self> {
        match (self, number) {
            (Self::Request, 1) => Some(Self::ResourceSpans),
            (Self::ResourceSpans, 1) => Some(Self::Resource),
            (Self::ResourceSpans, 2) => Some(Self::ScopeSpans),
            (Self::ScopeSpans, 1) => Some(Self::Scope),
            (Self::ScopeSpans, 2) => Some(Self::Span),
            (Self::Span, 11) => Some(Self::Event),
            (Self::Span, 13) => Some(Self::Link),
            (Self::Resource, 1)
            | (Self::Scope | Self::Event, 3)
            | (Self::Span, 9)
            | (Self::Link, 4) => Some(Self::KeyValue),
            _ => None,
        }
    }
}

/// The request with attributes cut that have more than `bytes_max` bytes with their key, as they are encoded:
/// the text says how many bytes went. Nothing where none is that long.
///
/// # Errors
/// Names the byte where the request is malformed; not all of it is looked at.
pub fn cut(body: &[u8], bytes_max: usize) -> Result<Option<Vec<u8>>, Fault> {
    let mut out = Vec::with_capacity(body.len());
    let changed = message(&mut out, (body, 0), Level::Request, bytes_max)?;
    Ok(changed.then_some(out))
}

fn message(
    out: &mut Vec<u8>,
    (bytes, offset): (&[u8], usize),
    level: Level,
    bytes_max: usize,
) -> Result<bool, Fault> {
    let mut changed = false;
    let mut reader = Reader::nested(bytes, offset);
    while let Some(field) = reader.next()? {
        match (level.within(field.number), field.value) {
            (Some(Level::KeyValue), Value::Bytes(pair)) if pair.len() > bytes_max => {
                put_bytes(out, field.number, &shortened((pair, field.offset), bytes_max)?);
                changed = true;
            }
            (Some(Level::KeyValue) | None, value) => put_value(out, field.number, value),
            (Some(level), Value::Bytes(bytes)) => {
                let mut outcome = Ok(false);
                put_message(out, field.number, |out| {
                    outcome = message(out, (bytes, field.offset), level, bytes_max);
                });
                changed |= outcome?;
            }
            (Some(_), value) => put_value(out, field.number, value),
        }
    }
    Ok(changed)
}

/// What a tag and a length take at most, of a message of less than 256 MiB.
const HEAD_BYTES: usize = 5;

/// The pair with its text cut. What is no text becomes one.
fn shortened((pair, offset): (&[u8], usize), bytes_max: usize) -> Result<Vec<u8>, Fault> {
    let (mut key, mut value, mut value_offset): (&[u8], &[u8], usize) = (&[], &[], offset);
    let mut reader = Reader::nested(pair, offset);
    while let Some(field) = reader.next()? {
        match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => key = bytes,
            (2, Value::Bytes(bytes)) => (value, value_offset) = (bytes, field.offset),
            _ => {}
        }
    }
    let mut text: &[u8] = &[];
    let mut reader = Reader::nested(value, value_offset);
    while let Some(field) = reader.next()? {
        if let (1, Value::Bytes(bytes)) = (field.number, field.value) {
            text = bytes;
        }
    }
    let key = start(key, bytes_max / 2);
    // The mark is at most as long as this one.
    let longest = mark(usize::MAX).len();
    let left = bytes_max.saturating_sub(key.len() + longest + 3 * HEAD_BYTES);
    let kept = start(text, left);
    let gone = if text.is_empty() { value.len() } else { text.len() - kept.len() };
    let mut cut = String::from_utf8_lossy(kept).into_owned();
    cut.push_str(&mark(gone));
    let mut out = Vec::with_capacity(bytes_max);
    put_bytes(&mut out, 1, key);
    put_message(&mut out, 2, |out| put_bytes(out, 1, cut.as_bytes()));
    Ok(out)
}

fn mark(gone: usize) -> String {
    format!("[{gone} bytes cut]")
}

/// The first bytes, without a character that would be broken.
fn start(text: &[u8], bytes_max: usize) -> &[u8] {
    let mut end = bytes_max.min(text.len());
    while end > 0 && end < text.len() && text.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{
        AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value,
    };
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, span};
    use prost::Message;

    use super::*;

    fn pair(key: &str, value: any_value::Value) -> KeyValue {
        let value = Some(AnyValue { value: Some(value) });
        KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
    }

    fn text(key: &str, text: &str) -> KeyValue {
        pair(key, any_value::Value::StringValue(text.to_owned()))
    }

    fn request(attribute: &KeyValue) -> ExportTraceServiceRequest {
        let attributes = vec![text("short", "stays"), attribute.clone()];
        let event = span::Event { attributes: attributes.clone(), ..span::Event::default() };
        let link = span::Link { attributes: attributes.clone(), ..span::Link::default() };
        let span = Span {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            name: "a name that is longer than an attribute may be and not one".repeat(3),
            start_time_unix_nano: 7,
            attributes: attributes.clone(),
            events: vec![event],
            links: vec![link],
            ..Span::default()
        };
        let scope = InstrumentationScope {
            attributes: attributes.clone(),
            ..InstrumentationScope::default()
        };
        let scope_spans =
            ScopeSpans { scope: Some(scope), spans: vec![span], ..ScopeSpans::default() };
        let resource = Resource { attributes, ..Resource::default() };
        let resource_spans = ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        };
        ExportTraceServiceRequest { resource_spans: vec![resource_spans] }
    }

    fn cut_to(attribute: &KeyValue, bytes_max: usize) -> Option<ExportTraceServiceRequest> {
        let cut = cut(&request(attribute).encode_to_vec(), bytes_max).unwrap()?;
        Some(ExportTraceServiceRequest::decode(&*cut).unwrap())
    }

    #[test]
    fn long_texts_are_cut_wherever_they_stand_and_say_so() {
        let long = text("http.body", &"é".repeat(300));
        let kept = text("http.body", &format!("{}[{} bytes cut]", "é".repeat(22), 556));
        assert_eq!(cut_to(&long, 100), Some(request(&kept)));
        assert!(kept.encoded_len() <= 100);
        assert_eq!(cut_to(&long, long.encoded_len()), None);
    }

    #[test]
    fn what_is_no_text_becomes_one() {
        let one = AnyValue { value: Some(any_value::Value::IntValue(7)) };
        let list = any_value::Value::ArrayValue(ArrayValue { values: vec![one; 100] });
        let bytes = AnyValue { value: Some(list.clone()) }.encoded_len();
        let kept = text("list", &format!("[{bytes} bytes cut]"));
        assert_eq!(cut_to(&pair("list", list), 64), Some(request(&kept)));
    }

    #[test]
    fn it_is_never_longer_than_it_may_be() {
        for key in [0, 10, 60, 1_000] {
            for bytes_max in [64, 100, 127, 128, 200, 20_000] {
                let long = text(&"k".repeat(key), &"v".repeat(30_000));
                let cut = cut_to(&long, bytes_max).unwrap();
                let attributes = &cut.resource_spans[0].resource.as_ref().unwrap().attributes;
                assert!(attributes[1].encoded_len() <= bytes_max, "{key} {bytes_max}");
            }
        }
    }

    #[test]
    fn what_is_malformed_is_told() {
        let mut body = request(&text("a", "b")).encode_to_vec();
        body.truncate(body.len() - 3);
        assert!(cut(&body, 64).is_err());
    }
}
