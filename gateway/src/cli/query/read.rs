//! A trace taken apart for people: spans with their service, and values as text.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model::wire::{Fault, Field, Reader, Value};

/// How deep values may nest: more than is ever stored, less than the stack holds.
const NESTING_MAX: usize = 64;

/// Keys with their values as text.
pub(super) type Attributes = Vec<(String, String)>;

/// All spans of a trace, in the order of the answer.
#[derive(Debug, Default)]
pub(super) struct Trace {
    pub(super) resources: Vec<Attributes>,
    pub(super) spans: Vec<Span>,
}

#[derive(Debug, Default)]
pub(super) struct Span {
    /// The place of its resource.
    pub(super) resource: usize,
    pub(super) service: String,
    pub(super) id: Vec<u8>,
    pub(super) parent: Vec<u8>,
    pub(super) name: String,
    pub(super) kind: u64,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) status: u64,
    pub(super) message: String,
    pub(super) attributes: Attributes,
    pub(super) events: Vec<Event>,
    /// Trace and span ids.
    pub(super) links: Vec<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, Default)]
pub(super) struct Event {
    pub(super) time: u64,
    pub(super) name: String,
    pub(super) attributes: Attributes,
}

/// Reads a `tempopb.Trace`.
///
/// # Errors
/// Names the byte where the message is malformed.
pub(super) fn trace(otlp: &[u8]) -> Result<Trace, Fault> {
    let mut trace = Trace::default();
    fields(otlp, 0, |field| match (field.number, field.value) {
        (1, Value::Bytes(bytes)) => resource_spans(bytes, field.offset, &mut trace),
        _ => Ok(()),
    })?;
    Ok(trace)
}

/// Calls `each` with every field of a message.
fn fields<'a>(
    bytes: &'a [u8],
    offset: usize,
    mut each: impl FnMut(Field<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut reader = Reader::nested(bytes, offset);
    while let Some(field) = reader.next()? {
        each(field)?;
    }
    Ok(())
}

fn resource_spans(bytes: &[u8], offset: usize, trace: &mut Trace) -> Result<(), Fault> {
    let mut attributes = Attributes::new();
    let mut scopes = Vec::new();
    fields(bytes, offset, |field| {
        match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => fields(bytes, field.offset, |field| match field.value {
                Value::Bytes(bytes) if field.number == 1 => {
                    attribute(bytes, field.offset, &mut attributes)
                }
                _ => Ok(()),
            })?,
            (2, Value::Bytes(bytes)) => scopes.push((bytes, field.offset)),
            _ => {}
        }
        Ok(())
    })?;
    let named = attributes.iter().find(|(key, _)| key == "service.name");
    let service = named.map_or("?", |(_, name)| name).to_owned();
    let resource = trace.resources.len();
    trace.resources.push(attributes);
    for (bytes, offset) in scopes {
        fields(bytes, offset, |field| {
            if let (2, Value::Bytes(bytes)) = (field.number, field.value) {
                let mut span = span(bytes, field.offset)?;
                (span.resource, span.service) = (resource, service.clone());
                trace.spans.push(span);
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn span(bytes: &[u8], offset: usize) -> Result<Span, Fault> {
    let mut span = Span::default();
    fields(bytes, offset, |field| {
        match (field.number, field.value) {
            (2, Value::Bytes(id)) => span.id = id.to_vec(),
            (4, Value::Bytes(id)) => span.parent = id.to_vec(),
            (5, Value::Bytes(name)) => span.name = text(name),
            (6, Value::Varint(kind)) => span.kind = kind,
            (7, Value::Fixed64(nanos)) => span.start = nanos,
            (8, Value::Fixed64(nanos)) => span.end = nanos,
            (9, Value::Bytes(bytes)) => attribute(bytes, field.offset, &mut span.attributes)?,
            (11, Value::Bytes(bytes)) => span.events.push(event(bytes, field.offset)?),
            (13, Value::Bytes(bytes)) => span.links.push(link(bytes, field.offset)?),
            (15, Value::Bytes(bytes)) => fields(bytes, field.offset, |field| {
                match (field.number, field.value) {
                    (2, Value::Bytes(message)) => span.message = text(message),
                    (3, Value::Varint(code)) => span.status = code,
                    _ => {}
                }
                Ok(())
            })?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(span)
}

fn event(bytes: &[u8], offset: usize) -> Result<Event, Fault> {
    let mut event = Event::default();
    fields(bytes, offset, |field| {
        match (field.number, field.value) {
            (1, Value::Fixed64(nanos)) => event.time = nanos,
            (2, Value::Bytes(name)) => event.name = text(name),
            (3, Value::Bytes(bytes)) => attribute(bytes, field.offset, &mut event.attributes)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(event)
}

fn link(bytes: &[u8], offset: usize) -> Result<(Vec<u8>, Vec<u8>), Fault> {
    let mut link = (Vec::new(), Vec::new());
    fields(bytes, offset, |field| {
        match (field.number, field.value) {
            (1, Value::Bytes(id)) => link.0 = id.to_vec(),
            (2, Value::Bytes(id)) => link.1 = id.to_vec(),
            _ => {}
        }
        Ok(())
    })?;
    Ok(link)
}

fn attribute(bytes: &[u8], offset: usize, out: &mut Attributes) -> Result<(), Fault> {
    let (mut key, mut shown) = (String::new(), String::new());
    fields(bytes, offset, |field| {
        match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => key = text(bytes),
            (2, Value::Bytes(bytes)) => shown = value(bytes, field.offset, 0)?,
            _ => {}
        }
        Ok(())
    })?;
    out.push((key, shown));
    Ok(())
}

fn value(bytes: &[u8], offset: usize, nesting: usize) -> Result<String, Fault> {
    if nesting > NESTING_MAX {
        return Err(Fault { offset, what: "values nest too deeply" });
    }
    let mut shown = String::new();
    fields(bytes, offset, |field| {
        shown = match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => text(bytes),
            (2, Value::Varint(value)) => (value != 0).to_string(),
            (3, Value::Varint(value)) => value.cast_signed().to_string(),
            (4, Value::Fixed64(bits)) => f64::from_bits(bits).to_string(),
            (5, Value::Bytes(bytes)) => {
                let mut items = Vec::new();
                fields(bytes, field.offset, |field| {
                    if let (1, Value::Bytes(bytes)) = (field.number, field.value) {
                        items.push(value(bytes, field.offset, nesting + 1)?);
                    }
                    Ok(())
                })?;
                format!("[{}]", items.join(", "))
            }
            (6, Value::Bytes(bytes)) => pairs(bytes, field.offset, nesting + 1)?,
            (7, Value::Bytes(bytes)) => BASE64_STANDARD.encode(bytes),
            _ => return Ok(()),
        };
        Ok(())
    })?;
    Ok(shown)
}

fn pairs(bytes: &[u8], offset: usize, nesting: usize) -> Result<String, Fault> {
    let mut items = Vec::new();
    fields(bytes, offset, |field| {
        let (1, Value::Bytes(bytes)) = (field.number, field.value) else { return Ok(()) };
        let (mut key, mut shown) = (String::new(), String::new());
        fields(bytes, field.offset, |field| {
            match (field.number, field.value) {
                (1, Value::Bytes(bytes)) => key = text(bytes),
                (2, Value::Bytes(bytes)) => shown = value(bytes, field.offset, nesting)?,
                _ => {}
            }
            Ok(())
        })?;
        items.push(format!("{key}: {shown}"));
        Ok(())
    })?;
    Ok(format!("{{{}}}", items.join(", ")))
}

/// Text that a terminal can be shown: whoever sends spans shall not move the cursor. Line breaks
/// stay, for stack traces.
pub(super) fn text(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for character in String::from_utf8_lossy(bytes).chars() {
        match character {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            '\r' => {}
            control if control.is_control() || is_direction(control) => {
                out.extend(control.escape_unicode());
            }
            other => out.push(other),
        }
    }
    out
}

/// Characters that turn the direction of writing, with which a line can be made to lie.
const fn is_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
