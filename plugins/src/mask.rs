//! Requests without what they say, to be looked at by people: letters and digits of all texts are masked, numbers and bytes are
//! cleared. Lengths, keys, times, ids, kinds, codes, and what is the same as what, stay; what is unknown goes.

use model::wire::{Reader, Value, put_bytes, put_value};

/// How deep values may nest; what is deeper goes.
const NESTING_MAX: usize = 32;

/// What a field holds.
enum Holds {
    /// It says nothing of anybody.
    Plain,
    Text,
    /// The name of a span, event or scope, which may be kept as `name`.
    Name,
    /// A key and its value.
    Attribute,
    Message(&'static [(u32, Self)]),
}

use Holds::{Attribute, Message, Name, Plain, Text};

/// `ExportTraceServiceRequest`, by the numbers of its fields.
const REQUEST: &[(u32, Holds)] = &[(1, Message(RESOURCE_SPANS))];
const RESOURCE_SPANS: &[(u32, Holds)] =
    &[(1, Message(&[(1, Attribute), (2, Plain)])), (2, Message(SCOPE_SPANS)), (3, Text)];
const SCOPE_SPANS: &[(u32, Holds)] = &[
    (1, Message(&[(1, Name), (2, Text), (3, Attribute), (4, Plain)])),
    (2, Message(SPAN)),
    (3, Text),
];
const SPAN: &[(u32, Holds)] = &[
    (1, Plain),
    (2, Plain),
    (3, Text),
    (4, Plain),
    (5, Name),
    (6, Plain),
    (7, Plain),
    (8, Plain),
    (9, Attribute),
    (10, Plain),
    (11, Message(&[(1, Plain), (2, Name), (3, Attribute), (4, Plain)])),
    (12, Plain),
    (13, Message(&[(1, Plain), (2, Plain), (3, Text), (4, Attribute), (5, Plain), (6, Plain)])),
    (14, Plain),
    (15, Message(&[(2, Text), (3, Plain)])),
    (16, Plain),
];

/// The key that stands for names of spans, events and scopes.
const NAME: &str = "name";

/// A request, masked but for the values of the attributes with these keys; `name` are the names of spans, events and scopes.
/// Nothing where it is malformed.
#[must_use]
pub fn masked_request(body: &[u8], keep: &[String]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(body.len());
    message(&mut out, body, (REQUEST, keep))?;
    Some(out)
}

fn message(
    out: &mut Vec<u8>,
    bytes: &[u8],
    (fields, keep): (&[(u32, Holds)], &[String]),
) -> Option<()> {
    let mut reader = Reader::new(bytes);
    while let Some(field) = reader.next().ok()? {
        let Some((number, holds)) = fields.iter().find(|(number, _)| *number == field.number)
        else {
            continue;
        };
        match (holds, field.value) {
            (Plain, value) => put_value(out, *number, value),
            (Text, Value::Bytes(text)) => put_bytes(out, *number, &masked_text(text)),
            (Name, Value::Bytes(text)) if is_kept(NAME.as_bytes(), keep) => {
                put_bytes(out, *number, text);
            }
            (Name, Value::Bytes(text)) => put_bytes(out, *number, &masked_text(text)),
            (Attribute, Value::Bytes(pair)) => {
                put_bytes(out, *number, &attribute(pair, keep, NESTING_MAX)?);
            }
            (Message(fields), Value::Bytes(inner)) => {
                let mut part = Vec::with_capacity(inner.len());
                message(&mut part, inner, (fields, keep))?;
                put_bytes(out, *number, &part);
            }
            _ => {}
        }
    }
    Some(())
}

fn is_kept(key: &[u8], keep: &[String]) -> bool {
    keep.iter().any(|kept| kept.as_bytes() == key)
}

/// Key and value.
fn attribute(pair: &[u8], keep: &[String], depth: usize) -> Option<Vec<u8>> {
    let (key, value) = model::otlp::key_value(pair);
    let mut out = Vec::with_capacity(pair.len());
    put_bytes(&mut out, 1, key);
    let value = if is_kept(key, keep) { value.to_vec() } else { any(value, depth)? };
    put_bytes(&mut out, 2, &value);
    Some(out)
}

/// An `AnyValue`. What is in one that is kept is kept by the key above it alone.
fn any(bytes: &[u8], depth: usize) -> Option<Vec<u8>> {
    let (mut reader, mut out) = (Reader::new(bytes), Vec::with_capacity(bytes.len()));
    let Some(deeper) = depth.checked_sub(1) else { return Some(out) };
    while let Some(field) = reader.next().ok()? {
        match (field.number, field.value) {
            (1, Value::Bytes(text)) => put_bytes(&mut out, 1, &masked_text(text)),
            (number @ (2 | 3), Value::Varint(_)) => put_value(&mut out, number, Value::Varint(0)),
            (4, Value::Fixed64(_)) => put_value(&mut out, 4, Value::Fixed64(0)),
            (5, Value::Bytes(list)) => {
                put_bytes(&mut out, 5, &each(list, |value| any(value, deeper))?);
            }
            (6, Value::Bytes(list)) => {
                put_bytes(&mut out, 6, &each(list, |pair| attribute(pair, &[], deeper))?);
            }
            (7, Value::Bytes(bytes)) => put_bytes(&mut out, 7, &vec![0; bytes.len()]),
            _ => {}
        }
    }
    Some(out)
}

/// A list of messages, each in another form.
fn each(list: &[u8], of: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    let (mut reader, mut out) = (Reader::new(list), Vec::with_capacity(list.len()));
    while let Some(field) = reader.next().ok()? {
        if let (1, Value::Bytes(bytes)) = (field.number, field.value) {
            put_bytes(&mut out, 1, &of(bytes)?);
        }
    }
    Some(out)
}

fn masked_text(text: &[u8]) -> Vec<u8> {
    let mut masked = text.to_vec();
    mask_text(&mut masked);
    masked
}

/// A text of the same length that looks alike.
pub(crate) fn mask_text(text: &mut [u8]) {
    for byte in text {
        *byte = match *byte {
            b'0'..=b'9' => b'0',
            b'a'..=b'z' => b'x',
            b'A'..=b'Z' => b'X',
            // One byte each, so that it stays a text of the same length.
            0x80.. => b'?',
            other => other,
        };
    }
}

#[cfg(test)]
mod tests {
    use model::json::{self, Flavour};
    use serde_json::{Value as Json, json};

    use super::*;

    fn masked(keep: &[&str]) -> Json {
        let keep: Vec<String> = keep.iter().map(|key| (*key).to_owned()).collect();
        let pair = |key: &str, value: Json| json!({"key": key, "value": value});
        let attributes = json!([
            pair("user", json!({"stringValue": "Ada 17"})),
            pair("age", json!({"intValue": "9876"})),
            pair("ratio", json!({"doubleValue": 1.5})),
            pair("known", json!({"boolValue": true})),
            pair("blob", json!({"bytesValue": "c2VjcmV0"})),
            pair(
                "list",
                json!({"arrayValue": {"values": [{"stringValue": "Ada"}, {"intValue": "7"}]}})
            ),
            pair(
                "map",
                json!({"kvlistValue": {"values": [pair("user", json!({"stringValue": "Ada"}))]}})
            ),
        ]);
        let span = json!({
            "traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7",
            "traceState": "vendor=Ada", "name": "GET /user/17", "kind": 2,
            "startTimeUnixNano": "5", "endTimeUnixNano": "9", "attributes": attributes,
            "events": [{"timeUnixNano": "6", "name": "Ada", "attributes": [pair("a", json!({"stringValue": "Ada"}))]}],
            "links": [{"traceId": "4bf92f3577b34da6a3ce929d0e0e4736", "spanId": "00f067aa0ba902b7",
                "traceState": "a=Ada", "attributes": [pair("a", json!({"stringValue": "Ada"}))]}],
            "status": {"code": 2, "message": "no Ada here"}, "flags": 1,
        });
        let request = json!({"resourceSpans": [{
            "resource": {"attributes": [pair("service.name", json!({"stringValue": "Ada"}))]},
            "scopeSpans": [{"scope": {"name": "Ada", "version": "Ada"}, "spans": [span], "schemaUrl": "https://Ada"}],
            "schemaUrl": "https://Ada",
        }]});
        let body = json::decode(request.to_string().as_bytes()).unwrap();
        let masked = masked_request(&body, &keep).unwrap();
        serde_json::from_str(&json::encode(&masked, Flavour::Otlp).unwrap()).unwrap()
    }

    #[test]
    fn nothing_that_a_request_says_is_left() {
        let text = masked(&[]).to_string();
        for said in ["Ada", "17", "9876", "1.5", "secret", "c2VjcmV0", "true", "GET"] {
            assert!(!text.contains(said), "{said}: {text}");
        }
        for stays in [
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "SERVER",
            "ERROR",
            "Xxx 00",
            "XXX /xxxx/00",
            "user",
        ] {
            assert!(text.contains(stays), "{stays}: {text}");
        }
    }

    #[test]
    fn what_is_to_be_kept_is() {
        let text = masked(&["name", "age", "service.name"]).to_string();
        assert!(text.contains("GET /user/17") && text.contains("9876"), "{text}");
        assert!(!text.contains("1.5") && text.contains("Xxx 00"), "{text}");
    }

    #[test]
    fn what_is_malformed_is_none() {
        assert_eq!(masked_request(&[0x0a, 9, 1], &[]), None);
        assert_eq!(masked_request(&[], &[]), Some(Vec::new()));
    }
}
