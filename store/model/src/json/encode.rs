//! OTLP protobuf to JSON, for the query API.
//!
//! Walks the bytes of a trace along the table of messages and writes as it goes. Fields that are
//! not in ascending order (ours always are) are put in order per message first.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::Flavour;
use super::scan::plain_len;
use super::schema::{Field, KEY_VALUE, Kind, Message, REQUEST};
use crate::wire::{self, Fault, Reader, Value};

/// How deep values may nest here: more than is ever stored, less than the stack holds.
const NESTING_MAX: usize = 64;

/// Writes a trace (`tempopb.Trace`, `TracesData`: one on the wire) as JSON.
///
/// Fields that the OTLP schema does not know are left out; text that is not UTF-8 is shown with
/// U+FFFD in its place. One pass, O(n).
///
/// # Errors
/// Names the byte where the protobuf is malformed.
pub fn encode(otlp: &[u8], flavour: Flavour) -> Result<String, Fault> {
    // Base64 of ids and the keys of JSON take about twice what protobuf takes.
    let mut encoder = Encoder::new(flavour, otlp.len().saturating_mul(2));
    encoder.message(&REQUEST, otlp, 0, 0)?;
    Ok(encoder.out)
}

/// Writes one `KeyValue` message as JSON: `{"key":"a","value":{"intValue":"1"}}`.
///
/// # Errors
/// Names the byte where the protobuf is malformed.
pub fn encode_attribute(key_value: &[u8]) -> Result<String, Fault> {
    let mut encoder = Encoder::new(Flavour::TempoV2, key_value.len().saturating_mul(2));
    encoder.message(&KEY_VALUE, key_value, 0, 0)?;
    Ok(encoder.out)
}

/// Appends `text` as a JSON string, with its quotes.
pub fn put_text(out: &mut String, text: &[u8]) {
    out.push('"');
    for chunk in text.utf8_chunks() {
        put_escaped(out, chunk.valid());
        if !chunk.invalid().is_empty() {
            out.push(char::REPLACEMENT_CHARACTER);
        }
    }
    out.push('"');
}

/// The same of text that is known to be UTF-8.
pub fn put_str(out: &mut String, text: &str) {
    out.push('"');
    put_escaped(out, text);
    out.push('"');
}

fn put_escaped(out: &mut String, text: &str) {
    let mut rest = text;
    loop {
        let (plain, tail) = rest.split_at(plain_len(rest.as_bytes()));
        out.push_str(plain);
        let mut tail = tail.chars();
        match tail.next() {
            None => return,
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => put(out, format_args!("\\u{:04x}", u32::from(control))),
        }
        rest = tail.as_str();
    }
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    out.write_fmt(text).unwrap_or_default();
}

#[derive(Debug)]
struct Encoder<'a> {
    out: String,
    flavour: Flavour,
    /// Fields of all messages that are open, with their place in the table; innermost last.
    fields: Vec<(usize, wire::Field<'a>)>,
}

impl<'a> Encoder<'a> {
    fn new(flavour: Flavour, capacity: usize) -> Self {
        Self { out: String::with_capacity(capacity), flavour, fields: Vec::new() }
    }

    fn message(
        &mut self,
        schema: &'static Message,
        bytes: &'a [u8],
        offset: usize,
        nesting: usize,
    ) -> Result<(), Fault> {
        let nesting = nesting + usize::from(schema.nests);
        if nesting > NESTING_MAX {
            return Err(Fault { offset, what: "values nest too deeply" });
        }
        let mine = self.fields.len();
        self.collect(schema, bytes, offset)?;
        let end = self.fields.len();
        self.out.push('{');
        let mut comma = "";
        let mut at = mine;
        while let Some((place, found)) = self.fields.get(at).copied() {
            // A list's items stand together now; of anything else the last one counts.
            let same = |(other, _): &&(usize, wire::Field<'_>)| *other == place;
            let group = self.fields.get(at..end).unwrap_or_default().iter().take_while(same);
            let (first, next) = (at, at + group.count());
            at = next;
            let Some(field) = schema.fields.get(place) else { break };
            if field.repeated {
                self.key(field, &mut comma);
                self.list(field, first..next, nesting)?;
                continue;
            }
            let found = self.fields.get(next - 1).map_or(found, |(_, last)| *last);
            if schema.oneof || !is_zero(field, found.value) {
                self.key(field, &mut comma);
                self.value(field, found, nesting)?;
            }
        }
        self.out.push('}');
        self.fields.truncate(mine);
        Ok(())
    }

    /// Reads the fields of a message that the schema knows, in the order of the schema.
    fn collect(
        &mut self,
        schema: &'static Message,
        bytes: &'a [u8],
        offset: usize,
    ) -> Result<(), Fault> {
        let mine = self.fields.len();
        let mut sorted = true;
        let mut highest = 0;
        let mut reader = Reader::nested(bytes, offset);
        while let Some(found) = reader.next()? {
            let Some(place) = schema.place(found.number) else { continue };
            if !schema.fields.get(place).is_some_and(|field| fits(&field.kind, found.value)) {
                continue;
            }
            sorted &= highest <= place;
            highest = place;
            if schema.oneof {
                self.fields.truncate(mine);
            }
            self.fields.push((place, found));
        }
        if !sorted {
            self.fields.get_mut(mine..).unwrap_or_default().sort_by_key(|(place, _)| *place);
        }
        Ok(())
    }

    fn key(&mut self, field: &'static Field, comma: &mut &'static str) {
        let name = match (field.camel, self.flavour) {
            ("resourceSpans", Flavour::TempoV1) => "batches",
            (name, _) => name,
        };
        for part in [comma, "\"", name, "\":"] {
            self.out.push_str(part);
        }
        *comma = ",";
    }

    fn list(
        &mut self,
        field: &'static Field,
        items: std::ops::Range<usize>,
        nesting: usize,
    ) -> Result<(), Fault> {
        self.out.push('[');
        let start = items.start;
        for at in items {
            if at != start {
                self.out.push(',');
            }
            if let Some((_, found)) = self.fields.get(at).copied() {
                self.value(field, found, nesting)?;
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn value(
        &mut self,
        field: &'static Field,
        found: wire::Field<'a>,
        nesting: usize,
    ) -> Result<(), Fault> {
        let out = &mut self.out;
        match (&field.kind, found.value) {
            (Kind::Message(message), Value::Bytes(bytes)) => {
                self.message(message, bytes, found.offset, nesting)?;
            }
            (Kind::Text, Value::Bytes(text)) => put_text(out, text),
            (Kind::Id(_), Value::Bytes(id)) if self.flavour == Flavour::Otlp => {
                out.push('"');
                id.iter().for_each(|byte| put(out, format_args!("{byte:02x}")));
                out.push('"');
            }
            (Kind::Id(_) | Kind::Bytes, Value::Bytes(bytes)) => {
                out.push('"');
                BASE64_STANDARD.encode_string(bytes, out);
                out.push('"');
            }
            (Kind::Bool, Value::Varint(value)) => put(out, format_args!("{}", value != 0)),
            (Kind::Int64, Value::Varint(value)) => {
                put(out, format_args!("\"{}\"", value.cast_signed()));
            }
            (Kind::Uint32, Value::Varint(value)) => put(out, format_args!("{}", low(value))),
            (Kind::Enum(names), Value::Varint(value)) => {
                match usize::try_from(low(value)).ok().and_then(|place| names.get(place)) {
                    Some(name) => put(out, format_args!("\"{name}\"")),
                    None => put(out, format_args!("{}", low(value).cast_signed())),
                }
            }
            (Kind::Fixed32, Value::Fixed32(value)) => put(out, format_args!("{value}")),
            (Kind::Fixed64, Value::Fixed64(value)) => put(out, format_args!("\"{value}\"")),
            (Kind::Double, Value::Fixed64(bits)) => put_double(out, f64::from_bits(bits)),
            // `collect` lets nothing else through.
            _ => {}
        }
        Ok(())
    }
}

/// The low half, which is what protobuf keeps of a varint that is too long for its field.
fn low(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Whether the wire type is the one of the kind; another one is an unknown field.
fn fits(kind: &Kind, value: Value<'_>) -> bool {
    match kind {
        Kind::Text | Kind::Bytes | Kind::Id(_) | Kind::Message(_) => {
            matches!(value, Value::Bytes(_))
        }
        Kind::Bool | Kind::Int64 | Kind::Uint32 | Kind::Enum(_) => {
            matches!(value, Value::Varint(_))
        }
        Kind::Fixed32 => matches!(value, Value::Fixed32(_)),
        Kind::Fixed64 | Kind::Double => matches!(value, Value::Fixed64(_)),
    }
}

/// Whether JSON leaves the field out. A message that is set is never zero.
fn is_zero(field: &Field, value: Value<'_>) -> bool {
    match (&field.kind, value) {
        (Kind::Message(_), _) => false,
        (Kind::Uint32 | Kind::Enum(_), Value::Varint(value)) => low(value) == 0,
        (_, Value::Varint(0) | Value::Fixed32(0) | Value::Fixed64(0)) => true,
        (_, Value::Bytes(bytes)) => bytes.is_empty(),
        _ => false,
    }
}

/// Shortest digits that read back as the same number.
fn put_double(out: &mut String, value: f64) {
    if value.is_nan() {
        out.push_str("\"NaN\"");
    } else if value.is_infinite() {
        out.push_str(if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
    } else if value.abs() < 1e15 && (value.abs() >= 1e-5 || value == 0.0) {
        put(out, format_args!("{value}"));
    } else {
        put(out, format_args!("{value:e}"));
    }
}
