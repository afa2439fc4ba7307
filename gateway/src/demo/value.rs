//! Attributes and the texts in them: hex, UUIDs, decimal numbers, without allocating.
//!
//! Lengths are computed before they are written, so that every byte is written once: the generator
//! shares its machine with the server that it measures.

use model::wire::{put_bytes, put_fixed64, put_u64, put_varint, varint_len};

/// A value of an attribute, as `AnyValue` has it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// Text.
    Str(&'a str),
    /// Text that is known to be ASCII, without the check.
    Raw(&'a [u8]),
    /// A whole number.
    Int(i64),
    /// A double.
    Double(f64),
    /// A truth value.
    Bool(bool),
    /// A list of texts.
    List(&'a [&'a str]),
    /// Bytes that are no text.
    Bytes(&'a [u8]),
}

fn low_byte(value: u64) -> u8 {
    value.to_le_bytes()[0]
}

/// How many bytes a field of `len` bytes with a number below 16 takes, tag and length included.
const fn field_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// Writes the head of a field of `len` bytes; the caller writes these next.
pub(super) fn head(out: &mut Vec<u8>, field: u32, len: usize) {
    put_varint(out, u64::from(field << 3 | 2));
    put_varint(out, len as u64);
}

impl Value<'_> {
    /// The length of the `AnyValue` message.
    fn len(&self) -> usize {
        match self {
            Self::Str(text) => field_len(text.len()),
            Self::Raw(text) | Self::Bytes(text) => field_len(text.len()),
            Self::Int(number) => 1 + varint_len(number.cast_unsigned()),
            Self::Double(_) => 9,
            Self::Bool(_) => 2,
            Self::List(texts) => field_len(list_len(texts)),
        }
    }

    /// Writes the `AnyValue` message.
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Str(text) => put_bytes(out, 1, text.as_bytes()),
            Self::Raw(text) => put_bytes(out, 1, text),
            Self::Bool(truth) => put_u64(out, 2, u64::from(*truth)),
            Self::Int(number) => put_u64(out, 3, number.cast_unsigned()),
            Self::Bytes(value) => put_bytes(out, 7, value),
            Self::Double(number) => put_fixed64(out, 4, number.to_bits()),
            Self::List(texts) => {
                head(out, 5, list_len(texts));
                for text in *texts {
                    head(out, 1, field_len(text.len()));
                    put_bytes(out, 1, text.as_bytes());
                }
            }
        }
    }
}

/// The length of an `ArrayValue` of texts.
fn list_len(texts: &[&str]) -> usize {
    texts.iter().map(|text| field_len(field_len(text.len()))).sum()
}

/// Writes a `KeyValue` as the given field of the message around it.
#[inline]
pub(super) fn attribute(out: &mut Vec<u8>, field: u32, key: &str, value: Value<'_>) {
    let value_len = value.len();
    head(out, field, field_len(key.len()) + field_len(value_len));
    put_bytes(out, 1, key.as_bytes());
    head(out, 2, value_len);
    value.write(out);
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends the bytes as lower-case hex.
pub(super) fn hex(out: &mut Vec<u8>, value: &[u8]) {
    for byte in value {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

/// Appends the number in decimal.
pub(super) fn decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + low_byte(value % 10);
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

/// Appends sixteen bytes as a UUID of version 4.
pub(super) fn uuid(out: &mut Vec<u8>, mut value: [u8; 16]) {
    value[6] = value[6] & 0x0f | 0x40;
    value[8] = value[8] & 0x3f | 0x80;
    for (i, group) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
        if i > 0 {
            out.push(b'-');
        }
        hex(out, &value[group]);
    }
}
