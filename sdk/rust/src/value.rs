//! Values of attributes as they cross: borrowed from a batch, or on their way into an answer.

use crate::codes::tag;

/// The value of an attribute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// There is no such attribute; in an answer: it stays as it is.
    Absent,
    /// A string.
    Text(&'a str),
    /// A whole number.
    Int(i64),
    /// A floating point number.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// Bytes, as an OTLP `AnyValue`; nothing where `complex` was not asked for, also below.
    Bytes(&'a [u8]),
    /// An array, as an OTLP `AnyValue`.
    Array(&'a [u8]),
    /// A map, as an OTLP `AnyValue`.
    Map(&'a [u8]),
    /// An attribute without a value.
    Empty,
}

impl<'a> Value<'a> {
    /// The number of its type.
    #[must_use]
    pub fn tag(self) -> u8 {
        match self {
            Self::Absent => tag::ABSENT,
            Self::Text(_) => tag::STRING,
            Self::Int(_) => tag::INT,
            Self::Double(_) => tag::DOUBLE,
            Self::Bool(_) => tag::BOOL,
            Self::Bytes(_) => tag::BYTES,
            Self::Array(_) => tag::ARRAY,
            Self::Map(_) => tag::MAP,
            Self::Empty => tag::EMPTY,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The `AnyValue` of bytes, arrays and maps.
    #[must_use]
    pub fn blob(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(blob) | Self::Array(blob) | Self::Map(blob) => Some(blob),
            _ => None,
        }
    }

    /// What stands in words.
    pub(crate) fn word(self) -> Option<u64> {
        match self {
            Self::Int(int) => Some(int.cast_unsigned()),
            Self::Double(double) => Some(double.to_bits()),
            Self::Bool(bool) => Some(bool.into()),
            _ => None,
        }
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<f64> for Value<'_> {
    fn from(double: f64) -> Self {
        Self::Double(double)
    }
}

impl From<bool> for Value<'_> {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}
