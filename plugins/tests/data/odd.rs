//! Requests as no encoder writes them and every decoder reads them: fields in another order, twice, in parts, with
//! lengths that are longer than they need be, and with fields that nobody knows between them.

use model::wire::{Reader, Value, put_varint};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::chance::Chance;

#[derive(Clone, Copy, PartialEq)]
enum Level {
    Request,
    ResourceSpans,
    Resource,
    ScopeSpans,
    Scope,
    Span,
    Event,
    Link,
    Status,
    KeyValue,
}

impl Level {
    /// What is in a field.
    fn within(self, number: u32) -> Option<Self> {
        Some(match (self, number) {
            (Self::Request, 1) => Self::ResourceSpans,
            (Self::ResourceSpans, 1) => Self::Resource,
            (Self::ResourceSpans, 2) => Self::ScopeSpans,
            (Self::ScopeSpans, 1) => Self::Scope,
            (Self::ScopeSpans, 2) => Self::Span,
            (Self::Span, 11) => Self::Event,
            (Self::Span, 13) => Self::Link,
            (Self::Span, 15) => Self::Status,
            (Self::Resource, 1) | (Self::Scope | Self::Event, 3) => Self::KeyValue,
            (Self::Span, 9) | (Self::Link, 4) => Self::KeyValue,
            _ => return None,
        })
    }

    /// Whether there is one of it, whose parts are joined.
    fn is_single(self) -> bool {
        matches!(self, Self::Resource | Self::Scope | Self::Status)
    }
}

/// A number, in one byte more than it needs, now and then.
fn put_number(out: &mut Vec<u8>, value: u64, chance: &mut Chance) {
    put_varint(out, value);
    if value < 1 << 56 && chance.one_in(12) {
        *out.last_mut().unwrap() |= 0x80;
        out.push(0);
    }
}

fn put_field(number: u32, value: Value<'_>, chance: &mut Chance) -> Vec<u8> {
    let mut out = Vec::new();
    let (kind, fixed): (u32, &[u8]) = match &value {
        Value::Varint(_) => (0, &[]),
        Value::Fixed64(bits) => (1, &bits.to_le_bytes()),
        Value::Bytes(bytes) => (2, bytes),
        Value::Fixed32(bits) => (5, &bits.to_le_bytes()),
        Value::Group => panic!("nobody writes groups"),
    };
    put_number(&mut out, u64::from(number << 3 | kind), chance);
    match value {
        Value::Varint(value) => put_number(&mut out, value, chance),
        Value::Bytes(bytes) => put_number(&mut out, bytes.len() as u64, chance),
        _ => {}
    }
    out.extend_from_slice(fixed);
    out
}

/// What stood in the field before it was said again.
fn before(value: Value<'_>) -> Value<'_> {
    match value {
        Value::Varint(_) => Value::Varint(99),
        Value::Fixed64(_) => Value::Fixed64(99),
        Value::Fixed32(_) => Value::Fixed32(99),
        Value::Bytes(_) => Value::Bytes(b"before"),
        Value::Group => Value::Group,
    }
}

/// A field that nobody knows.
fn unknown(chance: &mut Chance) -> Vec<u8> {
    match chance.below(3) {
        0 => put_field(100, Value::Varint(chance.next()), chance),
        1 => put_field(1_000, Value::Bytes(b"unknown"), chance),
        // A group with a number in it.
        _ => vec![0xa3, 0x06, 0x08, 0x01, 0xa4, 0x06],
    }
}

/// The fields of a message with their numbers, as they will stand.
fn fields(level: Level, bytes: &[u8], chance: &mut Chance) -> Vec<(u32, Vec<u8>)> {
    let mut out: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut reader = Reader::new(bytes);
    while let Some(field) = reader.next().unwrap() {
        let number = field.number;
        match (level.within(number), field.value) {
            (Some(inner), Value::Bytes(bytes)) => {
                let parts = fields(inner, bytes, chance);
                let join = |parts: &[(u32, Vec<u8>)]| -> Vec<u8> {
                    parts.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
                };
                let cut = if inner.is_single() { chance.below(parts.len() + 1) } else { 0 };
                let (first, second) = parts.split_at(cut);
                if cut > 0 {
                    out.push((number, put_field(number, Value::Bytes(&join(first)), chance)));
                }
                out.push((number, put_field(number, Value::Bytes(&join(second)), chance)));
            }
            (_, value) => {
                // A value that stands twice is joined, if it is an array or a map; ids of links are looked at each time.
                let may_repeat =
                    !matches!((level, number), (Level::KeyValue, 2) | (Level::Link, 1 | 2));
                if chance.one_in(12) && may_repeat {
                    out.push((number, put_field(number, before(value), chance)));
                }
                out.push((number, put_field(number, value, chance)));
            }
        }
    }
    while chance.one_in(4) {
        let at = chance.below(out.len() + 1);
        out.insert(at, (0, unknown(chance)));
    }
    // Those of one number stay in their order.
    for _ in 0..if chance.one_in(2) { 2 * out.len() } else { 0 } {
        let at = chance.below(out.len());
        if at > 0 && out[at].0 != out[at - 1].0 {
            out.swap(at, at - 1);
        }
    }
    out
}

/// A request in an odd encoding.
pub(crate) fn encode(request: &ExportTraceServiceRequest, chance: &mut Chance) -> Vec<u8> {
    let fields = fields(Level::Request, &request.encode_to_vec(), chance);
    let body: Vec<u8> = fields.into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert_eq!(ExportTraceServiceRequest::decode(&*body).as_ref(), Ok(request));
    body
}
