//! The bytes of a request, and behind them those that were written since, in one space of addresses.
//!
//! An address is where a field begins, with its tag; 0 is none, as no field that anybody edits begins there.

use bytes::Bytes;
use model::otlp::held::Any;
use model::otlp::{self, held};
use model::wire::{Reader, Value as Wire, put_varint, varint_len};

use crate::projection::Owner;

/// Tags of attributes, by whose they are.
const TAGS: [u8; 5] = [0x4a, 0x0a, 0x1a, 0x1a, 0x22];

/// The bytes.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(super) body: Bytes,
    arena: Vec<u8>,
    /// Attributes take a general reader.
    odd: bool,
}

/// A value to be written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    String(&'a [u8]),
    Int(u64),
    Double(u64),
    Bool(bool),
    /// An `AnyValue` that is encoded already.
    Encoded(&'a [u8]),
}

impl Value<'_> {
    fn length(self) -> usize {
        match self {
            Self::String(text) => 1 + varint_len(text.len() as u64) + text.len(),
            Self::Int(value) => 1 + varint_len(value),
            Self::Double(_) => 9,
            Self::Bool(_) => 2,
            Self::Encoded(bytes) => bytes.len(),
        }
    }

    fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::String(text) => {
                match u8::try_from(text.len()) {
                    Ok(length @ 0..0x80) => out.extend_from_slice(&[0x0a, length]),
                    _ => {
                        out.push(0x0a);
                        put_varint(out, text.len() as u64);
                    }
                }
                out.extend_from_slice(text);
            }
            Self::Int(value) => {
                out.push(0x18);
                put_varint(out, value);
            }
            Self::Double(bits) => {
                out.push(0x21);
                out.extend_from_slice(&bits.to_le_bytes());
            }
            Self::Bool(value) => out.extend_from_slice(&[0x10, u8::from(value)]),
            Self::Encoded(bytes) => out.extend_from_slice(bytes),
        }
    }
}

impl Memory {
    pub(super) const fn new(body: Bytes, odd: bool) -> Self {
        Self { body, arena: Vec::new(), odd }
    }

    /// All that follows an address.
    #[inline]
    pub(crate) fn from(&self, at: u32) -> &[u8] {
        let (at, body) = (at as usize, self.body.len());
        let found = if at < body { self.body.get(at..) } else { self.arena.get(at - body..) };
        found.unwrap_or_default()
    }

    /// The content of the field at an address.
    #[inline]
    pub(crate) fn field(&self, at: u32) -> &[u8] {
        content(self.from(at)).0
    }

    /// The field at an address as a whole.
    #[inline]
    pub(super) fn whole(&self, at: u32) -> &[u8] {
        let bytes = self.from(at);
        let length = match bytes {
            [tag @ 0..0x80, ..] if tag & 7 == 2 => {
                let (content, head) = content(bytes);
                head + content.len()
            }
            _ => any_length(bytes),
        };
        bytes.get(..length).unwrap_or_default()
    }

    /// The text of the field at an address; empty where there is none.
    #[inline]
    pub(crate) fn text(&self, at: u32) -> &[u8] {
        if at == 0 { &[] } else { self.field(at) }
    }

    /// The number in the field at an address; 0 where there is none.
    #[inline]
    pub(crate) fn number(&self, at: u32) -> u64 {
        if at == 0 {
            return 0;
        }
        match self.from(at) {
            [tag @ 0..0x80, value @ 0..0x80, ..] if tag & 7 == 0 => u64::from(*value),
            [tag @ 0..0x80, rest @ ..] if tag & 7 == 1 => {
                rest.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
            }
            bytes => any_number(bytes),
        }
    }

    /// The bytes of an id; zeros where there is none.
    #[inline]
    pub(crate) fn array<const N: usize>(&self, at: u32) -> [u8; N] {
        match self.from(at).first_chunk() {
            Some(id) if at != 0 => *id,
            _ => [0; N],
        }
    }

    /// The key of an attribute.
    #[inline]
    pub(crate) fn key<'a>(&self, pair: &'a [u8]) -> &'a [u8] {
        match pair {
            [0x0a, length @ 0..0x80, rest @ ..] if !self.odd => {
                rest.get(..usize::from(*length)).unwrap_or_default()
            }
            _ => otlp::key_value(pair).0,
        }
    }

    /// The value of an attribute, encoded.
    #[inline]
    pub(crate) fn encoded_value<'a>(&self, pair: &'a [u8]) -> &'a [u8] {
        if !self.odd
            && let [0x0a, length @ 0..0x80, rest @ ..] = pair
            && let Some([0x12, length @ 0..0x80, value @ ..]) = rest.get(usize::from(*length)..)
            && value.len() == usize::from(*length)
        {
            return value;
        }
        otlp::key_value(pair).1
    }

    /// The value of an attribute.
    #[inline]
    pub(crate) fn value<'a>(&self, pair: &'a [u8]) -> Any<'a> {
        held::read(self.encoded_value(pair))
    }

    pub(super) fn reserve(&mut self, bytes: usize) {
        self.arena.reserve(bytes);
    }

    /// How many bytes can still be written.
    pub(crate) const fn room(&self) -> usize {
        (u32::MAX as usize).saturating_sub(self.body.len() + self.arena.len())
    }

    /// Bytes that were written.
    pub(super) const fn written(&self) -> usize {
        self.arena.len()
    }

    /// Where is written next.
    fn end(&self) -> u32 {
        // Whoever writes has asked for room before.
        u32::try_from(self.body.len() + self.arena.len()).unwrap_or(0)
    }

    /// Writes an attribute.
    pub(super) fn put_attribute(&mut self, owner: Owner, key: &[u8], value: Value<'_>) -> u32 {
        let (at, of_value) = (self.end(), value.length());
        let of_key = 1 + varint_len(key.len() as u64) + key.len();
        let of_pair = of_key + 1 + varint_len(of_value as u64) + of_value;
        let out = &mut self.arena;
        // The lengths of most attributes take a byte each.
        if let (Ok(pair @ 0..0x80), Ok(of_key), Ok(of_value)) =
            (u8::try_from(of_pair), u8::try_from(key.len()), u8::try_from(of_value))
        {
            out.extend_from_slice(&[TAGS[owner as usize], pair, 0x0a, of_key]);
            out.extend_from_slice(key);
            out.extend_from_slice(&[0x12, of_value]);
        } else {
            out.push(TAGS[owner as usize]);
            put_length(out, of_pair);
            out.push(0x0a);
            put_length(out, key.len());
            out.extend_from_slice(key);
            out.push(0x12);
            put_length(out, of_value);
        }
        value.put(out);
        at
    }

    /// Writes a field of a span or of its status.
    pub(super) fn put_word(&mut self, tag: u8, value: Value<'_>) -> u32 {
        let at = self.end();
        self.arena.push(tag);
        match value {
            Value::String(text) => {
                put_length(&mut self.arena, text.len());
                self.arena.extend_from_slice(text);
            }
            Value::Int(value) => put_varint(&mut self.arena, value),
            _ => {}
        }
        at
    }

    /// Takes the last thing back that was written.
    pub(super) fn take_back(&mut self, at: u32) {
        self.arena.truncate((at as usize).saturating_sub(self.body.len()));
    }
}

/// As [`put_varint`], for lengths, of which most have one byte.
#[inline]
fn put_length(out: &mut Vec<u8>, length: usize) {
    match u8::try_from(length) {
        Ok(byte @ 0..0x80) => out.push(byte),
        _ => put_varint(out, length as u64),
    }
}

/// The content of the length-delimited field that bytes begin with, and how many bytes stand before it.
#[inline]
pub(crate) fn content(bytes: &[u8]) -> (&[u8], usize) {
    let (rest, length, head) = match bytes {
        [0..0x80, length @ 0..0x80, rest @ ..] => (rest, usize::from(*length), 2),
        [0..0x80, low, high @ 0..0x80, rest @ ..] => {
            (rest, usize::from(low & 0x7f) | usize::from(*high) << 7, 3)
        }
        _ => return any_content(bytes),
    };
    rest.get(..length).map_or((&[], 0), |content| (content, head))
}

#[cold]
fn any_content(bytes: &[u8]) -> (&[u8], usize) {
    let mut reader = Reader::new(bytes);
    match reader.next() {
        Ok(Some(field)) => match field.value {
            Wire::Bytes(content) => (content, field.offset),
            _ => (&[], reader.offset()),
        },
        _ => (&[], 0),
    }
}

#[cold]
fn any_length(bytes: &[u8]) -> usize {
    let mut reader = Reader::new(bytes);
    reader.next().map_or(0, |_| reader.offset())
}

#[cold]
fn any_number(bytes: &[u8]) -> u64 {
    match Reader::new(bytes).next() {
        Ok(Some(field)) => match field.value {
            Wire::Varint(value) | Wire::Fixed64(value) => value,
            Wire::Fixed32(value) => value.into(),
            _ => 0,
        },
        _ => 0,
    }
}
