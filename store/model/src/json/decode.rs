//! OTLP/JSON to OTLP protobuf in one pass.
//!
//! Fields are written in the order in which they come. Where that is not the order of their
//! numbers, or a key came twice, the message is put in order when it closes; the pieces are known,
//! so that costs one copy of that message. What comes out is canonical: ascending numbers, zero
//! values left out.

use std::fmt::Write;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::Fault;
use super::scan::{Broken, Parsed, Scan, Step, hex_value, number_len, whole};
use super::schema::{Field, Kind, Message, REQUEST};
use crate::otlp::NESTING_MAX;
use crate::wire;

/// Transcodes an `ExportTraceServiceRequest` from OTLP/JSON to protobuf.
///
/// Takes what the Collector's receiver takes, and more: keys in either case, enums by number or
/// name, integers as numbers or strings and with exponents, `null` for absent, unknown keys. Of a
/// key that comes twice the last one counts; lists are joined. An id of a wrong length is handed on
/// as it is: that is a matter of its span, not of the request. One pass, O(n); memory is
/// bounded by a small multiple of the request.
///
/// # Errors
/// Names the path, the byte offset and what was expected there.
pub fn decode(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let broken = match simdutf8::compat::from_utf8(bytes) {
        Ok(_) => match transcode(bytes) {
            Ok(out) => return Ok(out),
            Err(broken) => *broken,
        },
        Err(invalid) => not_utf8(bytes, invalid.valid_up_to()),
    };
    Err(Fault {
        path: path(&broken.path),
        offset: broken.offset,
        expected: broken.expected,
        found: found(bytes, broken.offset),
    })
}

/// Reads up to the byte that is no UTF-8: where that ends is the path.
fn not_utf8(bytes: &[u8], offset: usize) -> Broken {
    let path = match transcode(bytes.get(..offset).unwrap_or_default()) {
        Err(earlier) if earlier.offset < offset => return *earlier,
        Err(here) => here.path,
        Ok(_) => Vec::new(),
    };
    Broken { offset, expected: "UTF-8", path }
}

fn path(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps.iter().rev() {
        let dot = if path.is_empty() { "" } else { "." };
        // Writing to a string cannot fail.
        match step {
            Step::Key(key) => write!(path, "{dot}{key}"),
            Step::Index(index) => write!(path, "[{index}]"),
        }
        .unwrap_or_default();
    }
    path
}

/// A few characters of what stands at `offset`.
fn found(bytes: &[u8], offset: usize) -> String {
    let rest = bytes.get(offset..).unwrap_or_default();
    let shown = rest.get(..rest.len().min(24)).unwrap_or_default();
    match shown.utf8_chunks().next() {
        None => "the end".to_owned(),
        Some(chunk) => match (chunk.valid(), chunk.invalid()) {
            ("", [byte, ..]) => format!("byte 0x{byte:02x}"),
            (valid, _) => format!("{valid:?}"),
        },
    }
}

/// A byte order mark is no JSON, but some write one.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn transcode(bytes: &[u8]) -> Parsed<Vec<u8>> {
    let start = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
    let mut decoder = Decoder {
        scan: Scan::new(bytes, start),
        // Protobuf takes about half of what JSON takes.
        out: Vec::with_capacity(bytes.len() / 2),
        pieces: Vec::new(),
        scratch: Vec::new(),
    };
    decoder.message(&REQUEST, 0)?;
    match decoder.scan.peek() {
        None => Ok(decoder.out),
        Some(_) => Err(decoder.scan.fault("nothing after the request")),
    }
}

/// One field as it was read: where it stands in `out`.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Its place in the table of the message.
    place: usize,
    start: usize,
    end: usize,
}

struct Decoder<'a> {
    scan: Scan<'a>,
    out: Vec<u8>,
    /// Of all messages that are open, the innermost last.
    pieces: Vec<Piece>,
    scratch: Vec<u8>,
}

impl Decoder<'_> {
    /// Reads an object and appends its fields, without tag and length.
    fn message(&mut self, schema: &'static Message, nesting: usize) -> Parsed<()> {
        self.scan.take(b'{', "an object")?;
        let (body, mine) = (self.out.len(), self.pieces.len());
        let mut hint = 0;
        let mut first = true;
        while self.scan.more(&mut first, b'}')? {
            let place = self.key(schema, hint)?;
            let Some((place, field)) = place.and_then(|at| Some((at, schema.fields.get(at)?)))
            else {
                self.scan.skip(0)?;
                continue;
            };
            hint = place + 1;
            let start = self.out.len();
            let set = self
                .field(field, schema.oneof, nesting)
                .map_err(|broken| broken.inside(Step::Key(field.camel)))?;
            if set {
                self.pieces.push(Piece { place, start, end: self.out.len() });
            }
        }
        self.settle(schema, body, mine);
        Ok(())
    }

    /// Reads a key and its colon.
    #[inline]
    fn key(&mut self, schema: &'static Message, hint: usize) -> Parsed<Option<usize>> {
        let key = self.scan.text("a key")?;
        self.scan.take(b':', "a colon")?;
        if key.escaped {
            return Ok(schema.find(&key.resolved()?, hint));
        }
        Ok(schema.find(key.raw, hint))
    }

    /// Reads the value of a known field; says whether it was there (`null` is absent).
    #[inline]
    fn field(&mut self, field: &'static Field, oneof: bool, nesting: usize) -> Parsed<bool> {
        if self.scan.null()? {
            return Ok(false);
        }
        match field.kind {
            Kind::Message(item) if field.repeated => self.list(field.number, item, nesting)?,
            Kind::Message(message) => self.nested(field.number, message, nesting)?,
            _ => self.scalar(field, oneof)?,
        }
        Ok(true)
    }

    fn list(&mut self, number: u32, item: &'static Message, nesting: usize) -> Parsed<()> {
        self.scan.take(b'[', "an array")?;
        let mut first = true;
        let mut index = 0;
        while self.scan.more(&mut first, b']')? {
            let item = self.item(number, item, nesting);
            item.map_err(|broken| broken.inside(Step::Index(index)))?;
            index += 1;
        }
        Ok(())
    }

    fn item(&mut self, number: u32, item: &'static Message, nesting: usize) -> Parsed<()> {
        if !self.scan.null()? {
            return self.nested(number, item, nesting);
        }
        // A null among values keeps its place; a null span or attribute is nothing.
        if item.nests {
            wire::put_bytes(&mut self.out, number, &[]);
        }
        Ok(())
    }

    fn nested(&mut self, number: u32, message: &'static Message, nesting: usize) -> Parsed<()> {
        let nesting = nesting + usize::from(message.nests);
        if nesting > NESTING_MAX {
            return Err(self.scan.fault("at most 16 levels of nested values"));
        }
        let length_at = wire::open_message(&mut self.out, number);
        self.message(message, nesting)?;
        wire::close_message(&mut self.out, length_at);
        Ok(())
    }

    /// Reads a scalar; its zero value is left out, unless it is the choice of a `oneof`.
    fn scalar(&mut self, field: &'static Field, oneof: bool) -> Parsed<()> {
        let number = field.number;
        match field.kind {
            Kind::Text => self.text(number, oneof)?,
            Kind::Id(length) => self.id(number, length)?,
            Kind::Bytes => self.base64(number, oneof)?,
            Kind::Bool => {
                let value = self.scan.boolean()?;
                self.varint(number, u64::from(value), oneof);
            }
            Kind::Int64 => {
                let value: i64 = self.integer("an integer of 64 bits")?;
                self.varint(number, value.cast_unsigned(), oneof);
            }
            Kind::Uint32 => {
                let value: u32 = self.integer("an integer from 0 to 4294967295")?;
                self.varint(number, u64::from(value), oneof);
            }
            Kind::Enum(names) => {
                let value = self.named(names)?;
                self.varint(number, i64::from(value).cast_unsigned(), oneof);
            }
            Kind::Fixed32 => {
                let value: u32 = self.integer("an integer from 0 to 4294967295")?;
                if value != 0 || oneof {
                    wire::put_fixed32(&mut self.out, number, value);
                }
            }
            Kind::Fixed64 => {
                let value: u64 = self.integer("an integer from 0 to 18446744073709551615")?;
                if value != 0 || oneof {
                    wire::put_fixed64(&mut self.out, number, value);
                }
            }
            Kind::Double => {
                let bits = self.double()?.to_bits();
                if bits != 0 || oneof {
                    wire::put_fixed64(&mut self.out, number, bits);
                }
            }
            // `field` has sent these elsewhere.
            Kind::Message(_) => {}
        }
        Ok(())
    }

    #[inline]
    fn varint(&mut self, number: u32, value: u64, oneof: bool) {
        if value != 0 || oneof {
            wire::put_u64(&mut self.out, number, value);
        }
    }

    #[inline]
    fn text(&mut self, number: u32, oneof: bool) -> Parsed<()> {
        let text = self.scan.text("a string")?;
        if text.raw.is_empty() && !oneof {
            return Ok(());
        }
        if !text.escaped {
            wire::put_bytes(&mut self.out, number, text.raw);
            return Ok(());
        }
        let length_at = wire::open_message(&mut self.out, number);
        text.unescape(&mut self.out)?;
        wire::close_message(&mut self.out, length_at);
        Ok(())
    }

    /// Reads hex digits. An odd count is no whole number of bytes, and must not come out as the
    /// right `length` either.
    fn id(&mut self, number: u32, length: usize) -> Parsed<()> {
        const EXPECTED: &str = "an id of hex digits";
        let text = self.scan.text(EXPECTED)?;
        let digits = text.resolved()?;
        if digits.is_empty() {
            return Ok(());
        }
        let length_at = wire::open_message(&mut self.out, number);
        let broken = |position: usize| Broken::at(text.offset + position, EXPECTED);
        let mut position = 0;
        let (pairs, odd) = digits.as_chunks::<2>();
        for [high, low] in pairs {
            let high = hex_value(*high).ok_or_else(|| broken(position))?;
            let low = hex_value(*low).ok_or_else(|| broken(position + 1))?;
            self.out.push(high << 4 | low);
            position += 2;
        }
        if let [last] = odd {
            let last = hex_value(*last).ok_or_else(|| broken(position))?;
            if pairs.len() + 1 != length {
                self.out.push(last);
            }
        }
        wire::close_message(&mut self.out, length_at);
        Ok(())
    }

    fn base64(&mut self, number: u32, oneof: bool) -> Parsed<()> {
        const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true);
        let text = self.scan.text("a base64 string")?;
        let digits = text.resolved()?;
        let url_safe = digits.iter().any(|byte| matches!(byte, b'-' | b'_'));
        let alphabet = if url_safe { &URL_SAFE } else { &STANDARD };
        let engine = GeneralPurpose::new(alphabet, LENIENT);
        self.scratch.clear();
        engine
            .decode_vec(&digits, &mut self.scratch)
            .map_err(|_| Broken::at(text.offset, "base64"))?;
        if !self.scratch.is_empty() || oneof {
            wire::put_bytes(&mut self.out, number, &self.scratch);
        }
        Ok(())
    }

    /// Reads an integer, as a number or as a string of one.
    #[inline]
    fn integer<T: TryFrom<i128>>(&mut self, expected: &'static str) -> Parsed<T> {
        let quoted = self.scan.peek() == Some(b'"');
        let offset = self.scan.offset();
        let value = if quoted {
            let text = self.scan.text(expected)?.resolved()?;
            if number_len(&text) == Some(text.len()) { whole(&text) } else { None }
        } else {
            whole(self.scan.number(expected)?)
        };
        value.and_then(|value| T::try_from(value).ok()).ok_or_else(|| Broken::at(offset, expected))
    }

    fn double(&mut self) -> Parsed<f64> {
        const EXPECTED: &str = "a number of 64 bits";
        let quoted = self.scan.peek() == Some(b'"');
        let offset = self.scan.offset();
        if !quoted {
            let token = self.scan.number(EXPECTED)?;
            return finite(token).ok_or_else(|| Broken::at(offset, EXPECTED));
        }
        let text = self.scan.text(EXPECTED)?.resolved()?;
        let value = match &*text {
            b"NaN" => Some(f64::NAN),
            b"Infinity" => Some(f64::INFINITY),
            b"-Infinity" => Some(f64::NEG_INFINITY),
            token if number_len(token) == Some(token.len()) => finite(token),
            _ => None,
        };
        value.ok_or_else(|| Broken::at(offset, "a number, \"NaN\", \"Infinity\" or \"-Infinity\""))
    }

    fn named(&mut self, names: &'static [&'static str]) -> Parsed<i32> {
        const EXPECTED: &str = "a name or number of the enum";
        if self.scan.peek() != Some(b'"') {
            return self.integer(EXPECTED);
        }
        let offset = self.scan.offset();
        let text = self.scan.text(EXPECTED)?.resolved()?;
        let known = names.iter().position(|name| name.as_bytes() == &*text);
        let value = match known.and_then(|place| i32::try_from(place).ok()) {
            None if number_len(&text) == Some(text.len()) => {
                whole(&text).and_then(|value| i32::try_from(value).ok())
            }
            known => known,
        };
        value.ok_or_else(|| Broken::at(offset, EXPECTED))
    }

    /// Closes a message whose content starts at `body` and whose pieces start at `mine`: puts
    /// them in the order of the table, and drops those that a later one replaces.
    fn settle(&mut self, schema: &'static Message, body: usize, mine: usize) {
        let pieces = self.pieces.get_mut(mine..).unwrap_or_default();
        let repeated = |place: usize| schema.fields.get(place).is_some_and(|field| field.repeated);
        let in_order = |pair: &[Piece]| match pair {
            [a, b] => a.place < b.place || a.place == b.place && repeated(a.place),
            _ => true,
        };
        let settled = match pieces {
            [] | [_] => true,
            _ if schema.oneof => false,
            _ => pieces.windows(2).all(in_order),
        };
        if !settled {
            let last = pieces.last().copied();
            pieces.sort_by_key(|piece| piece.place);
            self.scratch.clear();
            let mut rest = pieces.iter().copied().peekable();
            while let Some(piece) = rest.next() {
                let replaced = match rest.peek() {
                    _ if schema.oneof => last.is_some_and(|last| last.start != piece.start),
                    Some(next) => next.place == piece.place && !repeated(piece.place),
                    None => false,
                };
                if !replaced {
                    let bytes = self.out.get(piece.start..piece.end).unwrap_or_default();
                    self.scratch.extend_from_slice(bytes);
                }
            }
            self.out.truncate(body);
            self.out.extend_from_slice(&self.scratch);
        }
        self.pieces.truncate(mine);
    }
}

fn finite(token: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(token).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}
