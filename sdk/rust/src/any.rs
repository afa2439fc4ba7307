//! Values that own what they hold, and the encoding of OTLP's `AnyValue` for those that are arrays, maps or bytes:
//! opentelemetry-proto, common/v1/common.proto.

#[cfg(feature = "config")]
mod read;

use crate::error::PluginError;
use crate::value::Value;

/// How deep arrays and maps may lie in each other.
const DEPTH_MAX: u32 = 64;

/// The value of an attribute, with all that is in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Any {
    /// No value.
    #[default]
    Empty,
    /// A string.
    Text(String),
    /// A whole number.
    Int(i64),
    /// A floating point number.
    Double(f64),
    /// True or false.
    Bool(bool),
    /// Bytes.
    Bytes(Vec<u8>),
    /// An array.
    Array(Vec<Self>),
    /// A map; its order stays.
    Map(Vec<(String, Self)>),
}

impl From<&str> for Any {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Any {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Any {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<f64> for Any {
    fn from(double: f64) -> Self {
        Self::Double(double)
    }
}

impl From<bool> for Any {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

impl Any {
    /// Reads what a column holds; `None` where there is no attribute.
    ///
    /// # Errors
    ///
    /// Bad input, when a blob is no `AnyValue`.
    pub fn from_value(value: Value<'_>) -> Result<Option<Self>, PluginError> {
        Ok(Some(match value {
            Value::Absent => return Ok(None),
            Value::Text(text) => text.into(),
            Value::Int(int) => Self::Int(int),
            Value::Double(double) => Self::Double(double),
            Value::Bool(bool) => Self::Bool(bool),
            Value::Bytes(blob) | Value::Array(blob) | Value::Map(blob) => Self::decode(blob)?,
            Value::Empty => Self::Empty,
        }))
    }

    /// The value for a column. Arrays, maps and bytes are encoded into `blob`.
    pub fn as_value<'a>(&'a self, blob: &'a mut Vec<u8>) -> Value<'a> {
        match self {
            Self::Empty => Value::Empty,
            Self::Text(text) => Value::Text(text),
            Self::Int(int) => Value::Int(*int),
            Self::Double(double) => Value::Double(*double),
            Self::Bool(bool) => Value::Bool(*bool),
            Self::Bytes(_) => Value::Bytes(self.encoded(blob)),
            Self::Array(_) => Value::Array(self.encoded(blob)),
            Self::Map(_) => Value::Map(self.encoded(blob)),
        }
    }

    fn encoded<'a>(&self, blob: &'a mut Vec<u8>) -> &'a [u8] {
        blob.clear();
        self.encode(blob);
        blob
    }

    /// Appends the `AnyValue`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Empty => {}
            Self::Text(text) => field(out, 1, text.as_bytes()),
            Self::Bool(bool) => out.extend_from_slice(&[2 << 3, u8::from(*bool)]),
            Self::Int(int) => {
                out.push(3 << 3);
                varint(out, int.cast_unsigned());
            }
            Self::Double(double) => {
                out.push(4 << 3 | 1);
                out.extend_from_slice(&double.to_le_bytes());
            }
            Self::Array(values) => {
                let mut array = Vec::new();
                for value in values {
                    field(&mut array, 1, &value.encode_alone());
                }
                field(out, 5, &array);
            }
            Self::Map(pairs) => {
                let mut map = Vec::new();
                for (key, value) in pairs {
                    let mut pair = Vec::new();
                    field(&mut pair, 1, key.as_bytes());
                    field(&mut pair, 2, &value.encode_alone());
                    field(&mut map, 1, &pair);
                }
                field(out, 6, &map);
            }
            Self::Bytes(bytes) => field(out, 7, bytes),
        }
    }

    fn encode_alone(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }

    /// Reads an `AnyValue`. Fields that it does not know are skipped, and the last of several values counts.
    ///
    /// # Errors
    ///
    /// Bad input, when it is none, or deeper than 64.
    pub fn decode(bytes: &[u8]) -> Result<Self, PluginError> {
        decode(bytes, DEPTH_MAX).ok_or_else(|| PluginError::bad_input("a blob is no AnyValue"))
    }
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

fn field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// One field of a message.
enum Part<'a> {
    Varint(u64),
    Fixed(u64),
    Bytes(&'a [u8]),
    Skipped,
}

/// What is left of a message.
struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..70).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, count: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(count).ok()?)?;
        self.0 = rest;
        Some(taken)
    }

    /// The number of the next field, and the field.
    fn field(&mut self) -> Option<(u64, Part<'a>)> {
        let key = self.varint()?;
        let part = match key & 7 {
            0 => Part::Varint(self.varint()?),
            1 => Part::Fixed(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = self.varint()?;
                Part::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Part::Skipped)?,
            _ => return None,
        };
        Some((key >> 3, part))
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

fn decode(bytes: &[u8], depth: u32) -> Option<Any> {
    let depth = depth.checked_sub(1)?;
    let mut message = Message(bytes);
    let mut value = Any::Empty;
    while !message.0.is_empty() {
        value = match message.field()? {
            (1, Part::Bytes(bytes)) => Any::Text(text(bytes)?),
            (2, Part::Varint(word)) => Any::Bool(word != 0),
            (3, Part::Varint(word)) => Any::Int(word.cast_signed()),
            (4, Part::Fixed(word)) => Any::Double(f64::from_bits(word)),
            (5, Part::Bytes(bytes)) => Any::Array(list(bytes, |value| decode(value, depth))?),
            (6, Part::Bytes(bytes)) => Any::Map(list(bytes, |pair| decode_pair(pair, depth))?),
            (7, Part::Bytes(bytes)) => Any::Bytes(bytes.to_vec()),
            (1..=7, _) => return None,
            _ => value,
        };
    }
    Some(value)
}

/// The messages in field 1.
fn list<'a, T>(bytes: &'a [u8], read: impl Fn(&'a [u8]) -> Option<T>) -> Option<Vec<T>> {
    let mut message = Message(bytes);
    let mut list = Vec::new();
    while !message.0.is_empty() {
        match message.field()? {
            (1, Part::Bytes(bytes)) => list.push(read(bytes)?),
            (1, _) => return None,
            _ => {}
        }
    }
    Some(list)
}

fn decode_pair(bytes: &[u8], depth: u32) -> Option<(String, Any)> {
    let mut message = Message(bytes);
    let (mut key, mut value) = (String::new(), Any::Empty);
    while !message.0.is_empty() {
        match message.field()? {
            (1, Part::Bytes(bytes)) => key = text(bytes)?,
            (2, Part::Bytes(bytes)) => value = decode(bytes, depth)?,
            (1 | 2, _) => return None,
            _ => {}
        }
    }
    Some((key, value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Any> {
        let leaf = prop_oneof![
            Just(Any::Empty),
            ".{0,8}".prop_map(Any::Text),
            any::<i64>().prop_map(Any::Int),
            (-1e9..1e9).prop_map(Any::Double),
            any::<bool>().prop_map(Any::Bool),
            prop::collection::vec(any::<u8>(), 0..8).prop_map(Any::Bytes),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Any::Array),
                prop::collection::vec((".{0,4}", inner), 0..4).prop_map(Any::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(value in value()) {
            prop_assert_eq!(Any::decode(&value.encode_alone()), Ok(value));
        }

        #[test]
        fn any_bytes_are_a_value_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _value = Any::decode(&bytes);
        }
    }

    #[test]
    fn what_is_too_deep_is_refused() {
        let mut value = Any::Empty;
        for _ in 0..DEPTH_MAX {
            value = Any::Array(vec![value]);
        }
        assert!(Any::decode(&value.encode_alone()).is_err());
    }
}
