//! Values from a configuration.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Any;

/// As a configuration writes it; whole numbers beyond 63 bits are floating point.
impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Any;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Any, E> {
        Ok(Any::Empty)
    }

    fn visit_none<E>(self) -> Result<Any, E> {
        Ok(Any::Empty)
    }

    fn visit_some<D: Deserializer<'de>>(self, reader: D) -> Result<Any, D::Error> {
        reader.deserialize_any(self)
    }

    fn visit_bool<E>(self, bool: bool) -> Result<Any, E> {
        Ok(Any::Bool(bool))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Any, E> {
        Ok(Any::Int(int))
    }

    fn visit_u64<E>(self, int: u64) -> Result<Any, E> {
        #[expect(clippy::cast_precision_loss, reason = "as near as it gets")]
        let double = || Any::Double(int as f64);
        Ok(i64::try_from(int).map_or_else(|_| double(), Any::Int))
    }

    fn visit_f64<E>(self, double: f64) -> Result<Any, E> {
        Ok(Any::Double(double))
    }

    fn visit_str<E>(self, text: &str) -> Result<Any, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Any, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Any::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Any, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Any::Map(pairs))
    }
}
