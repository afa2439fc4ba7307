//! Spans of a trace as they lie in its bytes: read once, nothing copied.
//!
//! The store gives a trace as OTLP; what makes something else of it (the short JSON, the summaries,
//! the difference of two traces) reads it through here.

use model::json::{SPAN_KINDS, STATUS_CODES};
use model::wire::{Fault, Reader, Value};
use model::{Nanos, SpanId};
use serde_json::{Map, Value as Json};

/// How deep values may nest: more than is ever stored, less than the stack holds.
const NESTING_MAX: usize = 64;

/// What TraceQL calls the kinds.
const KIND_WORDS: [&str; 6] =
    ["unspecified", "internal", "server", "client", "producer", "consumer"];

/// What TraceQL calls the status codes.
const STATUS_WORDS: [&str; 3] = ["unset", "ok", "error"];

/// One span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    pub(super) id: Option<SpanId>,
    pub(super) parent: Option<SpanId>,
    pub(super) name: &'a [u8],
    pub(super) kind: u64,
    pub(super) start: Nanos,
    pub(super) end: Nanos,
    pub(super) status: u64,
    pub(super) status_message: &'a [u8],
    /// The resource that it is of, as OTLP has it.
    pub(super) resource: &'a [u8],
    /// All of it.
    pub(super) bytes: &'a [u8],
}

impl<'a> Span<'a> {
    pub(super) fn read(bytes: &'a [u8], resource: &'a [u8]) -> Result<Self, Fault> {
        let mut span = Self {
            id: None,
            parent: None,
            name: b"",
            kind: 0,
            start: Nanos(0),
            end: Nanos(0),
            status: 0,
            status_message: b"",
            resource,
            bytes,
        };
        let mut reader = Reader::new(bytes);
        while let Some(field) = reader.next()? {
            match (field.number, field.value) {
                (2, Value::Bytes(id)) => span.id = SpanId::from_wire(id),
                (4, Value::Bytes(id)) => span.parent = SpanId::from_wire(id),
                (5, Value::Bytes(name)) => span.name = name,
                (6, Value::Varint(kind)) => span.kind = kind,
                (7, Value::Fixed64(start)) => span.start = Nanos(start),
                (8, Value::Fixed64(end)) => span.end = Nanos(end),
                (15, Value::Bytes(status)) => {
                    let mut reader = Reader::new(status);
                    while let Some(field) = reader.next()? {
                        match (field.number, field.value) {
                            (2, Value::Bytes(message)) => span.status_message = message,
                            (3, Value::Varint(code)) => span.status = code,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(span)
    }

    /// How long it took; nothing where it ended before it started.
    pub(super) const fn duration(&self) -> Nanos {
        self.end.minus(self.start)
    }

    pub(super) fn kind_name(&self) -> &'static str {
        named(&SPAN_KINDS, self.kind)
    }

    pub(super) fn status_name(&self) -> &'static str {
        named(&STATUS_CODES, self.status)
    }

    pub(super) fn kind_word(&self) -> &'static str {
        named(&KIND_WORDS, self.kind)
    }

    pub(super) fn status_word(&self) -> &'static str {
        named(&STATUS_WORDS, self.status)
    }

    /// `service.name`: its own, or that of its resource; empty where neither is there.
    pub(super) fn service(&self) -> Result<String, Fault> {
        let own = text(self.bytes, 9, b"service.name")?;
        match own {
            Some(own) if !own.is_empty() => Ok(own),
            _ => Ok(text(self.resource, 1, b"service.name")?.unwrap_or_default()),
        }
    }
}

/// A name by number; what no number stands for is the first.
fn named<const N: usize>(names: &[&'static str; N], number: u64) -> &'static str {
    let [first, ..] = names.as_slice() else { return "" };
    usize::try_from(number).ok().and_then(|place| names.get(place)).unwrap_or(first)
}

/// The messages of one number in a message.
pub(super) fn messages(message: &[u8], number: u32) -> Messages<'_> {
    Messages { reader: Reader::new(message), number }
}

/// The messages of one number, one by one.
#[derive(Debug)]
pub(super) struct Messages<'a> {
    reader: Reader<'a>,
    number: u32,
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<&'a [u8], Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.reader.next() {
                Ok(Some(field)) => {
                    if let (true, Value::Bytes(bytes)) = (field.number == self.number, field.value)
                    {
                        return Some(Ok(bytes));
                    }
                }
                Ok(None) => return None,
                Err(fault) => return Some(Err(fault)),
            }
        }
    }
}

/// The first message of one number; empty where there is none.
pub(super) fn message(of: &[u8], number: u32) -> Result<&[u8], Fault> {
    messages(of, number).next().unwrap_or(Ok(b""))
}

/// All spans of a trace, in their order.
///
/// # Errors
/// When it is not what was written.
pub(super) fn all(otlp: &[u8]) -> Result<Vec<Span<'_>>, Fault> {
    let mut spans = Vec::new();
    for of_resource in messages(otlp, 1) {
        let of_resource = of_resource?;
        let resource = message(of_resource, 1)?;
        for scope in messages(of_resource, 2) {
            for span in messages(scope?, 2) {
                spans.push(Span::read(span?, resource)?);
            }
        }
    }
    Ok(spans)
}

/// Key and value of an attribute.
pub(super) type Attribute<'a> = (&'a [u8], &'a [u8]);

/// Each attribute of a message: `number` is 9 in spans, 1 in resources.
pub(super) fn attributes(
    of: &[u8],
    number: u32,
) -> impl Iterator<Item = Result<Attribute<'_>, Fault>> {
    messages(of, number).map(|pair| {
        let pair = pair?;
        Ok((message(pair, 1)?, message(pair, 2)?))
    })
}

/// The text of an attribute.
fn text(of: &[u8], number: u32, key: &[u8]) -> Result<Option<String>, Fault> {
    for attribute in attributes(of, number) {
        let (found, value) = attribute?;
        if found == key {
            let text = message(value, 1)?;
            return Ok(Some(String::from_utf8_lossy(text).into_owned()));
        }
    }
    Ok(None)
}

/// The attributes of a message as one flat object.
pub(super) fn flat(of: &[u8], number: u32) -> Result<Map<String, Json>, Fault> {
    pairs(of, number, 0)
}

fn pairs(of: &[u8], number: u32, nesting: usize) -> Result<Map<String, Json>, Fault> {
    let mut map = Map::new();
    for attribute in attributes(of, number) {
        let (key, value) = attribute?;
        map.insert(String::from_utf8_lossy(key).into_owned(), plain(value, nesting)?);
    }
    Ok(map)
}

/// An `AnyValue` as JSON has it: bytes in hex, numbers that JSON has not by their names.
fn plain(value: &[u8], nesting: usize) -> Result<Json, Fault> {
    if nesting > NESTING_MAX {
        return Err(Fault { offset: 0, what: "values nest too deeply" });
    }
    let mut json = Json::Null;
    let mut reader = Reader::new(value);
    while let Some(field) = reader.next()? {
        json = match (field.number, field.value) {
            (1, Value::Bytes(text)) => String::from_utf8_lossy(text).into(),
            (2, Value::Varint(bit)) => (bit != 0).into(),
            (3, Value::Varint(number)) => number.cast_signed().into(),
            (4, Value::Fixed64(bits)) => double(f64::from_bits(bits)),
            (5, Value::Bytes(list)) => {
                let items = messages(list, 1).map(|item| plain(item?, nesting + 1));
                items.collect::<Result<Vec<_>, _>>()?.into()
            }
            (6, Value::Bytes(list)) => pairs(list, 1, nesting + 1)?.into(),
            (7, Value::Bytes(bytes)) => hex(bytes).into(),
            _ => json,
        };
    }
    Ok(json)
}

fn double(number: f64) -> Json {
    serde_json::Number::from_f64(number).map_or_else(|| number.to_string().into(), Json::Number)
}

/// Bytes as lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    // Writing to a string cannot fail.
    bytes.iter().for_each(|byte| write!(text, "{byte:02x}").unwrap_or_default());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_read_where_it_lies() {
        let json = r#"{"resourceSpans":[{"resource":{"attributes":[
            {"key":"service.name","value":{"stringValue":"shop"}}]},"scopeSpans":[{"spans":[
            {"traceId":"01","spanId":"00000000000000a1","parentSpanId":"00000000000000a2",
            "name":"GET /","kind":2,"startTimeUnixNano":"5","endTimeUnixNano":"12",
            "status":{"code":2,"message":"no"},"attributes":[
            {"key":"a","value":{"intValue":"-7"}},{"key":"b","value":{"doubleValue":"NaN"}},
            {"key":"c","value":{"arrayValue":{"values":[{"boolValue":true},{}]}}},
            {"key":"d","value":{"kvlistValue":{"values":[{"key":"e","value":{"bytesValue":"AP8="}}
            ]}}}]},{"traceId":"01","spanId":"00000000000000a3","kind":77,
            "startTimeUnixNano":"5","endTimeUnixNano":"4","attributes":[
            {"key":"service.name","value":{"stringValue":"own"}}]}]}]}]}"#
            .replace("\"01\"", &format!("\"{}1\"", "0".repeat(31)));
        let otlp = model::json::decode(json.as_bytes()).unwrap_or_else(|fault| panic!("{fault}"));
        let spans = all(&otlp).unwrap();
        let [span, other] = spans.as_slice() else { panic!("{spans:?}") };
        assert_eq!(span.id, SpanId::parse("a1").ok());
        assert_eq!(span.parent, SpanId::parse("a2").ok());
        assert_eq!((span.name, span.duration()), (b"GET /".as_slice(), Nanos(7)));
        assert_eq!(
            (span.kind_name(), span.status_name()),
            ("SPAN_KIND_SERVER", "STATUS_CODE_ERROR")
        );
        assert_eq!((span.status, span.status_message), (2, b"no".as_slice()));
        assert_eq!(span.service().unwrap(), "shop");
        let flat = flat(span.bytes, 9).unwrap();
        let expected = serde_json::json!(
            { "a": -7, "b": "NaN", "c": [true, null], "d": { "e": "00ff" } }
        );
        assert_eq!(Json::Object(flat), expected);
        assert_eq!((other.kind_name(), other.duration()), ("SPAN_KIND_UNSPECIFIED", Nanos(0)));
        assert_eq!(other.service().unwrap(), "own");
    }

    #[test]
    fn what_nests_too_deeply_is_refused_and_so_is_what_is_no_message() {
        let mut value = Vec::new();
        for _ in 0..NESTING_MAX + 2 {
            let mut outer = Vec::new();
            model::wire::put_message(&mut outer, 5, |out| model::wire::put_bytes(out, 1, &value));
            value = outer;
        }
        assert!(plain(&value, 0).is_err());
        for bytes in [&[0x0a][..], &[0x0a, 5, 1], &[0xff; 12]] {
            assert!(all(bytes).is_err(), "{bytes:?}");
        }
    }
}
