//! Types from a tree of JSON. What is wrong gets its path on the way out, step by step.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::json::Json;
use crate::error::ConfigError;

/// A step of a path.
#[derive(Debug)]
enum Step {
    Key(String),
    Index(usize),
}

/// What is wrong, and where: the last step comes first.
#[derive(Debug)]
pub(super) struct Fault {
    steps: Vec<Step>,
    message: String,
}

impl Fault {
    fn new(message: String) -> Self {
        Self { steps: Vec::new(), message }
    }

    fn within(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The path from `$` on.
    pub(super) fn at_root(self) -> ConfigError {
        let mut path = "$".to_owned();
        for step in self.steps.iter().rev() {
            match step {
                Step::Key(key) => {
                    path.push('.');
                    path += key;
                }
                Step::Index(index) => {
                    path.push('[');
                    path += &index.to_string();
                    path.push(']');
                }
            }
        }
        ConfigError::new(path, self.message)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// What serde would say prints numbers, which costs 20 kB for floating point alone.
impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(there: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(format!("is {}, must be {wanted}", kind(&there)))
    }

    fn invalid_value(there: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(format!("is {}, must be {wanted}", kind(&there)))
    }

    fn unknown_field(_: &str, _: &'static [&'static str]) -> Self {
        // The path has the name.
        Self::new("unknown".to_owned())
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new("is missing".to_owned()).within(Step::Key(field.to_owned()))
    }
}

fn kind(there: &Unexpected<'_>) -> String {
    match there {
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Bool(_) => "true or false".to_owned(),
        Unexpected::Float(_) => "a number with a fraction".to_owned(),
        Unexpected::Str(_) | Unexpected::Char(_) => "a text".to_owned(),
        Unexpected::Unit | Unexpected::Option => "null".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        _ => "an object".to_owned(),
    }
}

/// A value of the tree.
#[derive(Clone, Copy)]
pub(super) struct At<'t>(pub(super) &'t Json);

impl<'de> Deserializer<'de> for At<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0 {
            Json::Null => visitor.visit_unit(),
            Json::Bool(bool) => visitor.visit_bool(*bool),
            Json::Unsigned(number) => visitor.visit_u64(*number),
            Json::Signed(number) => visitor.visit_i64(*number),
            Json::Float(number) => visitor.visit_f64(*number),
            Json::Text(text) => visitor.visit_borrowed_str(text),
            Json::List(list) => visitor.visit_seq(List { left: list.iter(), at: 0 }),
            Json::Object(pairs) => visitor.visit_map(Object { left: pairs.iter(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if *self.0 == Json::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match self.0 {
            Json::Text(variant) => visitor.visit_enum(Variant { variant, content: None }),
            Json::Object(pairs) => match &**pairs {
                [(variant, content)] => {
                    visitor.visit_enum(Variant { variant, content: Some(content) })
                }
                _ => Err(Fault::new("must have one key".to_owned())),
            },
            _ => Err(Fault::new("must be a text, or an object with one key".to_owned())),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

struct List<'t> {
    left: std::slice::Iter<'t, Json>,
    at: usize,
}

impl<'t> SeqAccess<'t> for List<'t> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'t>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        let Some(value) = self.left.next() else { return Ok(None) };
        let at = self.at;
        self.at += 1;
        seed.deserialize(At(value)).map(Some).map_err(|fault| fault.within(Step::Index(at)))
    }
}

struct Object<'t> {
    left: std::slice::Iter<'t, (String, Json)>,
    /// What belongs to the key that was asked for last.
    value: Option<(&'t str, &'t Json)>,
}

impl<'t> MapAccess<'t> for Object<'t> {
    type Error = Fault;

    fn next_key_seed<S: DeserializeSeed<'t>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Fault> {
        let Some((key, value)) = self.left.next() else { return Ok(None) };
        self.value = Some((key, value));
        let key: StrDeserializer<'_, Fault> = de::IntoDeserializer::into_deserializer(key.as_str());
        let read = seed.deserialize(key);
        read.map(Some).map_err(|fault| within(fault, self.value))
    }

    fn next_value_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let pair = self.value.take();
        let value = pair.map_or(&Json::Null, |(_, value)| value);
        seed.deserialize(At(value)).map_err(|fault| within(fault, pair))
    }
}

fn within(fault: Fault, pair: Option<(&str, &Json)>) -> Fault {
    match pair {
        Some((key, _)) => fault.within(Step::Key(key.to_owned())),
        None => fault,
    }
}

struct Variant<'t> {
    variant: &'t str,
    content: Option<&'t Json>,
}

impl<'t> EnumAccess<'t> for Variant<'t> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'t>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let name: StrDeserializer<'_, Fault> =
            de::IntoDeserializer::into_deserializer(self.variant);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'t> VariantAccess<'t> for Variant<'t> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        match self.content {
            None | Some(Json::Null) => Ok(()),
            Some(_) => Err(self.within(Fault::new("must be null".to_owned()))),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'t>>(self, seed: S) -> Result<S::Value, Fault> {
        let content = At(self.content.unwrap_or(&Json::Null));
        seed.deserialize(content).map_err(|fault| self.within(fault))
    }

    fn tuple_variant<V: Visitor<'t>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        let content = At(self.content.unwrap_or(&Json::Null));
        content.deserialize_any(visitor).map_err(|fault| self.within(fault))
    }

    fn struct_variant<V: Visitor<'t>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.tuple_variant(0, visitor)
    }
}

impl Variant<'_> {
    fn within(&self, fault: Fault) -> Fault {
        fault.within(Step::Key(self.variant.to_owned()))
    }
}
