//! Values of attributes as they are encoded, for those who read and write them one by one.

use crate::wire::{Reader, Value};

use super::refusal::Stop;
use super::value::any_value;

/// What an `AnyValue` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Any<'a> {
    /// Nothing.
    Empty,
    /// A text, which should be UTF-8.
    String(&'a [u8]),
    /// A bool.
    Bool(bool),
    /// A number.
    Int(i64),
    /// A number, by its bits.
    Double(u64),
    /// Bytes.
    Bytes(&'a [u8]),
    /// A list, which stays encoded.
    Array,
    /// A map, which stays encoded.
    Map,
}

/// Reads an `AnyValue` that was checked with the request it is in. Of several values the last one counts, as for any
/// `oneof`.
#[must_use]
#[inline]
pub fn read(bytes: &[u8]) -> Any<'_> {
    // As every encoder writes a text of less than 128 bytes.
    if let [0x0a, length @ 0..0x80, text @ ..] = bytes
        && text.len() == usize::from(*length)
    {
        return Any::String(text);
    }
    read_other(bytes)
}

fn read_other(bytes: &[u8]) -> Any<'_> {
    let mut found = Any::Empty;
    let mut reader = Reader::new(bytes);
    while let Ok(Some(field)) = reader.next() {
        found = match (field.number, field.value) {
            (1, Value::Bytes(text)) => Any::String(text),
            (2, Value::Varint(value)) => Any::Bool(value != 0),
            (3, Value::Varint(value)) => Any::Int(value.cast_signed()),
            (4, Value::Fixed64(bits)) => Any::Double(bits),
            (5, Value::Bytes(_)) => Any::Array,
            (6, Value::Bytes(_)) => Any::Map,
            (7, Value::Bytes(bytes)) => Any::Bytes(bytes),
            _ => found,
        };
    }
    found
}

/// Checks an `AnyValue` from elsewhere through, as the look at a request does, and that its texts are UTF-8.
///
/// # Errors
/// Tells what is wrong with it.
pub fn check(bytes: &[u8]) -> Result<Any<'_>, &'static str> {
    match any_value(bytes, 0, 1) {
        Err(Stop::Malformed(fault)) => Err(fault.what),
        Err(Stop::Refused(_)) => Err("nests too deeply"),
        Ok(_) if !texts_are_utf8(bytes) => Err("text is not UTF-8"),
        Ok(_) => Ok(read(bytes)),
    }
}

/// Of an `AnyValue` that is known not to nest too deeply.
fn texts_are_utf8(any: &[u8]) -> bool {
    let utf8 = |bytes: &[u8]| simdutf8::basic::from_utf8(bytes).is_ok();
    let pair = |pair: &[u8]| {
        all_fields(pair, |number, bytes| match number {
            1 => utf8(bytes),
            2 => texts_are_utf8(bytes),
            _ => true,
        })
    };
    all_fields(any, |number, bytes| match number {
        1 => utf8(bytes),
        5 => all_fields(bytes, |number, value| number != 1 || texts_are_utf8(value)),
        6 => all_fields(bytes, |number, bytes| number != 1 || pair(bytes)),
        _ => true,
    })
}

fn all_fields(bytes: &[u8], holds: impl Fn(u32, &[u8]) -> bool) -> bool {
    let mut reader = Reader::new(bytes);
    while let Ok(Some(field)) = reader.next() {
        if let Value::Bytes(bytes) = field.value
            && !holds(field.number, bytes)
        {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use crate::wire::{put_bytes, put_fixed64, put_u64};

    use super::*;

    fn field(number: u32, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, number, bytes);
        out
    }

    #[test]
    fn each_type_is_told_and_of_several_the_last_one() {
        let mut number = Vec::new();
        put_u64(&mut number, 3, 7);
        put_fixed64(&mut number, 4, 9);
        let long = [b'x'; 200];
        let (text, list) = (field(1, &long), field(5, &field(1, &field(1, b"a"))));
        for (bytes, any_of) in [
            (&b""[..], Any::Empty),
            (&[0x0a, 1, b'a'], Any::String(b"a")),
            (&text, Any::String(&long)),
            (&[0x10, 1], Any::Bool(true)),
            (&[0x18, 0x7f], Any::Int(127)),
            (&number, Any::Double(9)),
            (&list, Any::Array),
            (&field(6, b""), Any::Map),
            (&field(7, b"\xff"), Any::Bytes(b"\xff")),
        ] {
            assert_eq!(read(bytes), any_of, "{bytes:?}");
            assert_eq!(check(bytes), Ok(any_of), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_value_says_why() {
        let mut deep = field(1, b"a");
        for _ in 0..20 {
            deep = field(5, &field(1, &deep));
        }
        assert_eq!(check(&deep), Err("nests too deeply"));
        assert_eq!(check(&field(1, b"\xff")), Err("text is not UTF-8"));
        assert_eq!(check(&field(5, &field(1, &field(1, b"\xff")))), Err("text is not UTF-8"));
        assert_eq!(check(&field(6, &field(1, &field(1, b"\xff")))), Err("text is not UTF-8"));
        assert_eq!(check(&[0x0a, 9]), Err("length reaches past the end of the message"));
        assert_eq!(check(&[0x08, 1]), Err("field has the wrong wire type"));
    }
}
