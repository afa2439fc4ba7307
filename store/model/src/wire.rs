//! The protobuf wire format: a reader that borrows, and a writer.
//!
//! Foreign bytes come in here and nowhere else. The reader never panics and never allocates; it
//! checks every length against what is there and names the byte where the message stops making
//! sense. Source of the format: protobuf.dev/programming-guides/encoding.

use std::fmt;

/// Where and why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Byte offset from the start of the outermost message.
    pub offset: usize,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed protobuf at byte {}: {}", self.offset, self.what)
    }
}

impl std::error::Error for Fault {}

/// What a field carries, by wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: strings, bytes, messages, packed lists.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
    /// Wire types 3 and 4, long deprecated: read over as a whole.
    Group,
}

/// One field of a message.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// The field number.
    pub number: u32,
    /// What it carries.
    pub value: Value<'a>,
    /// Byte offset of the value (past tag and length) from the start of the outermost message.
    pub offset: usize,
}

/// How deep groups may nest; nothing writes them any more.
const GROUP_DEPTH_MAX: usize = 16;

/// Reads the fields of one message in order.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    /// Offset of `rest` in the outermost message.
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Reads an outermost message.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    /// Reads a message that starts `offset` bytes into the outermost one.
    #[must_use]
    pub const fn nested(bytes: &'a [u8], offset: usize) -> Self {
        Self { rest: bytes, offset }
    }

    /// The next field, or `None` at the end of the message.
    ///
    /// # Errors
    /// Names the byte where the message is malformed.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "a fallible iterator is no Iterator")]
    pub fn next(&mut self) -> Result<Option<Field<'a>>, Fault> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let start = self.offset;
        let tag = self.varint()?;
        let Ok(number) = u32::try_from(tag >> 3) else {
            return Err(Fault { offset: start, what: "field number out of range" });
        };
        if number == 0 || number > 0x1fff_ffff {
            return Err(Fault { offset: start, what: "field number out of range" });
        }
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let bytes = self.delimited()?;
                return Ok(Some(Field {
                    number,
                    value: Value::Bytes(bytes),
                    offset: self.offset - bytes.len(),
                }));
            }
            3 => {
                self.skip_group(number, 1)?;
                Value::Group
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            _ => return Err(Fault { offset: start, what: "unknown wire type" }),
        };
        Ok(Some(Field { number, value, offset: start }))
    }

    /// The tag of the next field (number and wire type), or 0 at the end of the message: the
    /// first half of [`Reader::next`], for loops that know what their fields carry. The value
    /// must be read next, by its type or with [`Reader::skip`].
    ///
    /// # Errors
    /// Names the byte where the message is malformed.
    #[inline(always)]
    pub fn tag(&mut self) -> Result<u32, Fault> {
        match self.rest {
            [] => Ok(0),
            [byte @ 8..0x80, rest @ ..] => {
                self.rest = rest;
                self.offset += 1;
                Ok(u32::from(*byte))
            }
            _ => self.long_tag(),
        }
    }

    fn long_tag(&mut self) -> Result<u32, Fault> {
        let start = self.offset;
        match u32::try_from(self.varint()?) {
            Ok(tag) if tag >= 8 => Ok(tag),
            _ => Err(Fault { offset: start, what: "field number out of range" }),
        }
    }

    /// Reads over the value of an unknown field. A number up to `known_max` is not unknown: it
    /// carries the wrong type.
    ///
    /// # Errors
    /// Names the byte where the message is malformed.
    #[cold]
    pub fn skip(&mut self, tag: u32, known_max: u32) -> Result<(), Fault> {
        let offset = self.offset;
        let number = tag >> 3;
        if number <= known_max {
            return Err(Fault { offset, what: "field has the wrong wire type" });
        }
        match tag & 7 {
            0 => drop(self.varint()?),
            1 => drop(self.array::<8>()?),
            2 => drop(self.delimited()?),
            3 => self.skip_group(number, 1)?,
            5 => drop(self.array::<4>()?),
            _ => return Err(Fault { offset, what: "unknown wire type" }),
        }
        Ok(())
    }

    /// The length-delimited value behind the tag, and its offset.
    ///
    /// # Errors
    /// Names the byte where the message is malformed.
    #[inline(always)]
    pub fn bytes(&mut self) -> Result<(&'a [u8], usize), Fault> {
        if let [length @ 0..0x80, rest @ ..] = self.rest
            && let Some((bytes, rest)) = rest.split_at_checked(usize::from(*length))
        {
            let offset = self.offset + 1;
            self.rest = rest;
            self.offset = offset + bytes.len();
            return Ok((bytes, offset));
        }
        let bytes = self.delimited()?;
        Ok((bytes, self.offset - bytes.len()))
    }

    /// The fixed64 value behind the tag.
    ///
    /// # Errors
    /// Names the byte where the message is malformed.
    #[inline(always)]
    pub fn fixed64(&mut self) -> Result<u64, Fault> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// The fixed32 value behind the tag.
    ///
    /// # Errors
    /// Names the byte where the message is malformed.
    #[inline(always)]
    pub fn fixed32(&mut self) -> Result<u32, Fault> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// The offset of what is read next, in the outermost message.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The varint value behind the tag.
    ///
    /// # Errors
    /// Names the byte where the message is malformed.
    #[inline]
    pub fn varint(&mut self) -> Result<u64, Fault> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                self.offset += 1;
                Ok(u64::from(*byte))
            }
            [low, high, rest @ ..] if *high < 0x80 => {
                self.rest = rest;
                self.offset += 2;
                Ok(u64::from(low & 0x7f) | u64::from(*high) << 7)
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Fault> {
        let mut value = 0u64;
        for (position, byte) in self.rest.iter().enumerate() {
            let bits = u64::from(byte & 0x7f);
            if position == 9 && *byte > 1 {
                return Err(Fault { offset: self.offset, what: "varint longer than 64 bits" });
            }
            value |= bits << (7 * position);
            if *byte < 0x80 {
                self.rest = self.rest.get(position + 1..).unwrap_or_default();
                self.offset += position + 1;
                return Ok(value);
            }
        }
        Err(Fault { offset: self.offset, what: "message ends inside a varint" })
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(Fault { offset: self.offset, what: "message ends inside a number" });
        };
        self.rest = rest;
        self.offset += N;
        Ok(*bytes)
    }

    #[inline]
    fn delimited(&mut self) -> Result<&'a [u8], Fault> {
        let start = self.offset;
        let length = self.varint()?;
        let split = usize::try_from(length).ok().and_then(|n| self.rest.split_at_checked(n));
        let Some((bytes, rest)) = split else {
            return Err(Fault {
                offset: start,
                what: "length reaches past the end of the message",
            });
        };
        self.rest = rest;
        self.offset += bytes.len();
        Ok(bytes)
    }

    fn skip_group(&mut self, number: u32, depth: usize) -> Result<(), Fault> {
        if depth > GROUP_DEPTH_MAX {
            return Err(Fault { offset: self.offset, what: "groups nest too deeply" });
        }
        loop {
            let start = self.offset;
            let tag = self.varint()?;
            match tag & 7 {
                0 => drop(self.varint()?),
                1 => drop(self.array::<8>()?),
                2 => drop(self.delimited()?),
                3 => self.skip_group(u32::try_from(tag >> 3).unwrap_or(0), depth + 1)?,
                4 if tag >> 3 == u64::from(number) => return Ok(()),
                5 => drop(self.array::<4>()?),
                _ => return Err(Fault { offset: start, what: "group without its end" }),
            }
        }
    }
}

/// Appends `value` as a varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Takes a varint off the front; `None` where the bytes end in it or it has more than 64 bits.
pub fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        let low = u64::from(byte & 0x7f);
        if low << shift >> shift != low {
            return None;
        }
        value |= low << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A signed number as one that is small where it is near zero on either side.
#[must_use]
pub const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

/// The number that [`zigzag`] was given.
#[must_use]
pub const fn unzigzag(value: u64) -> i64 {
    ((value >> 1) ^ (value & 1).wrapping_neg()).cast_signed()
}

/// Appends a varint field.
#[inline]
pub fn put_u64(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3);
    put_varint(out, value);
}

/// Appends a fixed64 field (also double and sfixed64, by bits).
#[inline]
pub fn put_fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    put_varint(out, u64::from(number) << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a fixed32 field.
#[inline]
pub fn put_fixed32(out: &mut Vec<u8>, number: u32, value: u32) {
    put_varint(out, u64::from(number) << 3 | 5);
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a length-delimited field: string, bytes or a message that is encoded already.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_varint(out, u64::from(number) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends a field as it was read; groups, which nothing writes any more, go.
pub fn put_value(out: &mut Vec<u8>, number: u32, value: Value<'_>) {
    match value {
        Value::Varint(value) => put_u64(out, number, value),
        Value::Fixed64(value) => put_fixed64(out, number, value),
        Value::Fixed32(value) => put_fixed32(out, number, value),
        Value::Bytes(bytes) => put_bytes(out, number, bytes),
        Value::Group => {}
    }
}

/// Appends a message field that `write` fills in: one pass, its length put in front afterwards.
///
/// The length takes one byte in place; a longer message is moved by the bytes its length needs,
/// which costs a `memmove` of what is in cache.
#[inline]
pub fn put_message(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let length_at = open_message(out, number);
    write(out);
    close_message(out, length_at);
}

/// Appends the tag of a message field and room for its length; gives what [`close_message`] needs
/// once the content is there.
#[inline]
pub fn open_message(out: &mut Vec<u8>, number: u32) -> usize {
    put_varint(out, u64::from(number) << 3 | 2);
    out.push(0);
    out.len() - 1
}

/// Sets the length of a message whose one length byte stands at `length_at` and whose content
/// follows to the end of `out`.
pub fn close_message(out: &mut Vec<u8>, length_at: usize) {
    let length = out.len() - length_at - 1;
    let width = varint_len(length as u64);
    if width > 1 {
        let end = out.len();
        out.resize(end + width - 1, 0);
        out.copy_within(length_at + 1..end, length_at + width);
    }
    let mut value = length;
    for (position, byte) in out.iter_mut().skip(length_at).take(width).enumerate() {
        let more = if position + 1 < width { 0x80 } else { 0 };
        *byte = value.to_le_bytes()[0] & 0x7f | more;
        value >>= 7;
    }
}

/// How many bytes `value` takes as a varint: 1 to 10.
#[must_use]
#[inline]
pub const fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn faults_name_the_byte() {
        let fault = |bytes: &[u8]| {
            let mut reader = Reader::new(bytes);
            loop {
                match reader.next() {
                    Ok(Some(_)) => {}
                    Ok(None) => return None,
                    Err(fault) => return Some((fault.offset, fault.what)),
                }
            }
        };
        assert_eq!(fault(&[8, 1, 8]), Some((3, "message ends inside a varint")));
        assert_eq!(fault(&[10, 5, 1]), Some((1, "length reaches past the end of the message")));
        assert_eq!(fault(&[9, 1, 2]), Some((1, "message ends inside a number")));
        assert_eq!(fault(&[0, 1]), Some((0, "field number out of range")));
        assert_eq!(fault(&[15]), Some((0, "unknown wire type")));
        assert_eq!(fault(&[11, 8, 1, 12, 8, 1]), None);
        assert_eq!(fault(&[11, 8, 1]), Some((3, "message ends inside a varint")));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number in 1u32..1000, value: u64, bytes: Vec<u8>, word: u32) {
            let mut out = Vec::new();
            put_u64(&mut out, number, value);
            put_fixed64(&mut out, number, value);
            put_bytes(&mut out, number, &bytes);
            put_fixed32(&mut out, number, word);
            put_message(&mut out, number, |out| put_bytes(out, 1, &bytes));
            let mut reader = Reader::new(&out);
            let mut read = || reader.next().unwrap().unwrap().value;
            prop_assert_eq!(read(), Value::Varint(value));
            prop_assert_eq!(read(), Value::Fixed64(value));
            prop_assert_eq!(read(), Value::Bytes(&bytes));
            prop_assert_eq!(read(), Value::Fixed32(word));
            let Value::Bytes(message) = read() else { panic!("no message") };
            let field = Reader::new(message).next().unwrap().unwrap();
            prop_assert_eq!(field.value, Value::Bytes(&bytes));
            prop_assert!(reader.next().unwrap().is_none());
        }

        #[test]
        fn any_bytes_give_fields_or_a_fault(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while let Ok(Some(field)) = reader.next() {
                prop_assert!(field.offset <= bytes.len());
            }
        }

        #[test]
        fn lengths_of_varints_are_known(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
        }
    }
}
