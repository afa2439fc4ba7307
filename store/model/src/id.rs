//! Trace and span ids: fixed-size bytes, parsed once at the edge.

use std::fmt;

/// A 128-bit trace id, big-endian as on the wire. 64-bit ids are zero-padded to the left.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

/// A 64-bit span id, big-endian as on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

/// Why a text is no trace or span id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdFault {
    /// No digits at all.
    Empty,
    /// More hex digits than the id holds.
    TooLong,
    /// A character that is neither a hex digit nor a dash.
    NotHex,
    /// Every digit is zero, which OTLP defines as invalid.
    Zero,
}

impl fmt::Display for IdFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "id is empty",
            Self::TooLong => "id has too many hex digits",
            Self::NotHex => "id is not hexadecimal",
            Self::Zero => "id is all zeros",
        })
    }
}

impl std::error::Error for IdFault {}

impl TraceId {
    /// Takes the 16 bytes of the wire; all zeros and any other length are no id.
    #[must_use]
    pub fn from_wire(bytes: &[u8]) -> Option<Self> {
        let id: [u8; 16] = bytes.try_into().ok()?;
        (id != [0; 16]).then_some(Self(id))
    }

    /// Takes bytes that are known to be an id already (a column's own).
    #[must_use]
    pub const fn from_array(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads what people paste: short (leading zeros trimmed), 64-bit, upper-case and dashed ids.
    ///
    /// # Errors
    /// Tells what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, IdFault> {
        parse_hex::<16>(text).map(Self)
    }

    /// The bytes, big-endian.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The hex text without its leading zeros, as Tempo's search prints ids.
    #[must_use]
    pub fn trimmed(&self) -> String {
        self.to_string().trim_start_matches('0').to_owned()
    }
}

impl SpanId {
    /// Takes the 8 bytes of the wire; all zeros and any other length are no id.
    #[must_use]
    pub fn from_wire(bytes: &[u8]) -> Option<Self> {
        let id: [u8; 8] = bytes.try_into().ok()?;
        (id != [0; 8]).then_some(Self(id))
    }

    /// Takes bytes that are known to be an id already (a column's own).
    #[must_use]
    pub const fn from_array(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Reads hex text of either case, short ids included.
    ///
    /// # Errors
    /// Tells what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, IdFault> {
        parse_hex::<8>(text).map(Self)
    }

    /// The bytes, big-endian.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

/// Right-aligns the hex digits of `text`, dashes skipped, into `N` bytes.
fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], IdFault> {
    let digits = text.bytes().filter(|byte| *byte != b'-');
    let mut id = [0u8; N];
    let mut count = 0;
    for (position, digit) in digits.rev().enumerate() {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return Err(IdFault::NotHex),
        };
        match id.iter_mut().nth_back(position / 2) {
            Some(byte) => *byte |= value << (4 * (position % 2)),
            // A 64-bit reader may have padded the id further than it goes.
            None if value == 0 => {}
            None => return Err(IdFault::TooLong),
        }
        count += 1;
    }
    match (count, id == [0; N]) {
        (0, _) => Err(IdFault::Empty),
        (_, true) => Err(IdFault::Zero),
        _ => Ok(id),
    }
}

/// The two digits of a byte.
const fn hex_of(byte: u8) -> [u8; 2] {
    const fn digit(half: u8) -> u8 {
        if half < 10 { b'0' + half } else { b'a' + half - 10 }
    }
    [digit(byte >> 4), digit(byte & 15)]
}

macro_rules! hex_text {
    ($id:ty) => {
        impl fmt::Display for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; { size_of::<Self>() * 2 }];
                for (two, byte) in text.chunks_exact_mut(2).zip(self.0) {
                    two.copy_from_slice(&hex_of(byte));
                }
                f.write_str(str::from_utf8(&text).unwrap_or_default())
            }
        }
        impl fmt::Debug for $id {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}
hex_text!(TraceId);
hex_text!(SpanId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_upper_and_dashed_ids_are_the_same_id() {
        let id = TraceId::parse("0000000000000000463ac35c9f6413ad").unwrap();
        for text in [
            "463ac35c9f6413ad",
            "463AC35C9F6413AD",
            "00000000-0000-0000-463a-c35c9f6413ad",
            "00000000000000000000463ac35c9f6413ad",
        ] {
            assert_eq!(TraceId::parse(text), Ok(id), "{text}");
        }
        assert_eq!(id.trimmed(), "463ac35c9f6413ad");
        assert_eq!(id.to_string(), "0000000000000000463ac35c9f6413ad");
    }

    #[test]
    fn what_is_no_id_says_why() {
        assert_eq!(TraceId::parse(""), Err(IdFault::Empty));
        assert_eq!(TraceId::parse("xyz"), Err(IdFault::NotHex));
        assert_eq!(TraceId::parse("0000"), Err(IdFault::Zero));
        assert_eq!(TraceId::parse("1463ac35c9f6413ad463ac35c9f6413ad"), Err(IdFault::TooLong));
        assert_eq!(SpanId::parse("463ac35c9f6413ad1"), Err(IdFault::TooLong));
        assert_eq!(TraceId::from_wire(&[0; 16]), None);
        assert_eq!(TraceId::from_wire(&[1; 15]), None);
    }
}
