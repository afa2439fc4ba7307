//! Attributes and their values: into a column where they fit, checked through where they nest.

use crate::attributes::{Attributes, Budget, Put};
use crate::column::{Interner, Type};
use crate::wire::{Fault, Field, Reader, Value, put_bytes, take_varint};

use super::refusal::{NESTING_MAX, Reason, Stop};

/// What an `AnyValue` holds.
type Held<'a> = (Type, Put<'a>);

/// A `KeyValue` as every encoder writes it: key, then a string, number or bool, nothing else and
/// nothing twice. `None` for whatever is not, which the general walk reads (and the general walk
/// alone judges). Saves two thirds of an attribute's walk.
#[inline]
fn plain_attribute(bytes: &[u8]) -> Option<(&[u8], Held<'_>)> {
    let (key, rest) = split_short(bytes.strip_prefix(&[0x0a])?)?;
    let (value, []) = split_short(rest.strip_prefix(&[0x12])?)? else { return None };
    let held = match value {
        [0x0a, text @ ..] => {
            let (text, []) = split_short(text)? else { return None };
            (Type::String, Put::Text(text))
        }
        [0x18, byte @ 0..0x80] => (Type::Int, Put::Word(u64::from(*byte))),
        [0x18, low @ 0x80..=0xff, high @ 0..0x80] => {
            (Type::Int, Put::Word(u64::from(low & 0x7f) | u64::from(*high) << 7))
        }
        [0x10, byte @ 0..=1] => (Type::Bool, Put::Word(u64::from(*byte))),
        _ => return None,
    };
    Some((key, held))
}

/// Splits off what a length of one or two bytes says.
#[inline]
fn split_short(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match bytes {
        [length @ 0..0x80, rest @ ..] => rest.split_at_checked(usize::from(*length)),
        [low, high @ 0..0x80, rest @ ..] => {
            rest.split_at_checked(usize::from(low & 0x7f) | usize::from(*high) << 7)
        }
        _ => None,
    }
}

/// Appends one `KeyValue` to a row of a table; returns the node behind it.
#[inline]
pub(super) fn attribute(
    table: &mut Attributes,
    keys: &mut Interner,
    budget: &mut Budget,
    at: (u32, u32),
    bytes: &[u8],
    offset: usize,
) -> Result<u32, Stop> {
    if let Some((key, (kind, put))) = plain_attribute(bytes)
        && let Some(node) = table.put(keys, budget, at, key, kind, put)
    {
        return Ok(node);
    }
    any_attribute(table, keys, budget, at, bytes, offset)
}

fn any_attribute(
    table: &mut Attributes,
    keys: &mut Interner,
    budget: &mut Budget,
    at: (u32, u32),
    bytes: &[u8],
    offset: usize,
) -> Result<u32, Stop> {
    let (mut key, mut value, mut value_offset): (&[u8], &[u8], usize) = (&[], &[], offset);
    let mut reader = Reader::nested(bytes, offset);
    while let Some(field) = reader.next()? {
        match field.number {
            1 => key = message(&field)?,
            2 => (value, value_offset) = (message(&field)?, field.offset),
            _ => {}
        }
    }
    let (kind, put) = any_value(value, value_offset, 1)
        .map_err(|stop| match stop {
            Stop::Refused(_) => Stop::Refused(Reason::Nesting(lossy(key))),
            Stop::Malformed(_) => stop,
        })?
        .unwrap_or((Type::Empty, Put::Word(0)));
    if let Some(node) = table.put(keys, budget, at, key, kind, put) {
        return Ok(node);
    }
    budget.overflowed += 1;
    let mut field = Vec::with_capacity(bytes.len() + 4);
    put_bytes(&mut field, 1, bytes);
    Ok(table.put_overflow(keys, at, &field))
}

/// How an attribute is written that [`attribute_fits`] has looked at.
#[derive(Clone, Copy)]
pub(super) enum Fit {
    /// As every encoder writes it.
    Plain,
    /// Some other way.
    Other,
}

/// Checks an attribute through, as [`attribute`] will read it.
#[inline]
pub(super) fn attribute_fits(bytes: &[u8], offset: usize) -> Result<Fit, Stop> {
    if plain_attribute(bytes).is_some() {
        return Ok(Fit::Plain);
    }
    key_value(bytes, offset, 1).map(|_| Fit::Other).map_err(|stop| match stop {
        Stop::Refused(_) => Stop::Refused(Reason::Nesting(peek_key(bytes))),
        Stop::Malformed(_) => stop,
    })
}

/// Whether a `KeyValue` is a key and a value, either of which may be missing, in this order and with nothing
/// beside them: then the key is what it begins with, and the value the rest.
pub(super) fn is_regular(bytes: &[u8]) -> bool {
    let field = |bytes: &mut &[u8], tag: u8| {
        let Some(rest) = bytes.strip_prefix(&[tag]) else { return Some(()) };
        *bytes = rest;
        let length = usize::try_from(take_varint(bytes)?).ok()?;
        *bytes = bytes.get(length..)?;
        Some(())
    };
    let mut rest = bytes;
    let read = field(&mut rest, 0x0a).and_then(|()| field(&mut rest, 0x12));
    read.is_some() && rest.is_empty()
}

/// What an `AnyValue` holds; of several the last one counts, as for any `oneof`. Arrays and maps
/// are checked through and kept encoded.
#[inline]
pub(super) fn any_value(
    bytes: &[u8],
    offset: usize,
    depth: usize,
) -> Result<Option<Held<'_>>, Stop> {
    let mut found = None;
    let mut reader = Reader::nested(bytes, offset);
    while let Some(field) = reader.next()? {
        found = Some(match field.number {
            1 => (Type::String, Put::Text(message(&field)?)),
            2 => (Type::Bool, Put::Word(u64::from(varint(&field)? != 0))),
            3 => (Type::Int, Put::Word(varint(&field)?)),
            4 => (Type::Double, Put::Word(fixed64(&field)?)),
            5 => {
                array_value(message(&field)?, field.offset, depth)?;
                (Type::Any, Put::Bytes(bytes))
            }
            6 => {
                key_values(message(&field)?, field.offset, depth)?;
                (Type::Any, Put::Bytes(bytes))
            }
            7 => (Type::Bytes, Put::Bytes(message(&field)?)),
            _ => continue,
        });
    }
    Ok(found)
}

#[cold]
fn array_value(bytes: &[u8], offset: usize, depth: usize) -> Result<(), Stop> {
    if depth >= NESTING_MAX {
        return Err(Stop::Refused(Reason::Nesting(String::new())));
    }
    let mut reader = Reader::nested(bytes, offset);
    while let Some(field) = reader.next()? {
        if field.number == 1 {
            any_value(message(&field)?, field.offset, depth + 1)?;
        }
    }
    Ok(())
}

#[cold]
fn key_values(bytes: &[u8], offset: usize, depth: usize) -> Result<(), Stop> {
    if depth >= NESTING_MAX {
        return Err(Stop::Refused(Reason::Nesting(String::new())));
    }
    let mut reader = Reader::nested(bytes, offset);
    while let Some(field) = reader.next()? {
        if field.number == 1 {
            key_value(message(&field)?, field.offset, depth + 1)?;
        }
    }
    Ok(())
}

/// Checks a `KeyValue` through; returns its key and what it holds.
fn key_value(bytes: &[u8], offset: usize, depth: usize) -> Result<(&[u8], Option<Held<'_>>), Stop> {
    let (mut key, mut found): (&[u8], _) = (&[], None);
    let mut reader = Reader::nested(bytes, offset);
    while let Some(field) = reader.next()? {
        match field.number {
            1 => key = message(&field)?,
            2 => found = any_value(message(&field)?, field.offset, depth)?,
            _ => {}
        }
    }
    Ok((key, found))
}

/// Checks a resource through and finds its `service.name`.
pub(super) fn inspect_resource(resource: &[u8], offset: usize) -> Result<&[u8], Stop> {
    let mut service: &[u8] = &[];
    inspect(resource, offset, 1, |key, found| {
        if let (b"service.name", Some((Type::String, Put::Text(name)))) = (key, found) {
            service = name;
        }
    })?;
    Ok(service)
}

/// Checks the attributes (by the number of their field) of a resource or scope.
pub(super) fn inspect<'a>(
    bytes: &'a [u8],
    offset: usize,
    attributes: u32,
    mut each: impl FnMut(&'a [u8], Option<Held<'a>>),
) -> Result<(), Stop> {
    let mut reader = Reader::nested(bytes, offset);
    while let Some(field) = reader.next()? {
        if field.number == attributes {
            let (key, found) = key_value(message(&field)?, field.offset, 1)
                .map_err(|stop| name_nesting(stop, &field))?;
            each(key, found);
        }
    }
    Ok(())
}

/// Puts the key of the attribute into a nesting refusal.
#[cold]
fn name_nesting(stop: Stop, field: &Field<'_>) -> Stop {
    match (stop, field.value) {
        (Stop::Refused(_), Value::Bytes(kv)) => Stop::Refused(Reason::Nesting(peek_key(kv))),
        (stop, _) => stop,
    }
}

pub(super) fn peek_name(span: &[u8]) -> String {
    peek(span, 5)
}

pub(super) fn peek_key(kv: &[u8]) -> String {
    peek(kv, 1)
}

/// The text in a field of a message, cut at 128 bytes.
fn peek(bytes: &[u8], number: u32) -> String {
    let mut reader = Reader::new(bytes);
    while let Ok(Some(field)) = reader.next() {
        if let (true, Value::Bytes(text)) = (field.number == number, field.value) {
            return lossy(text);
        }
    }
    String::new()
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text.get(..128).unwrap_or(text)).into_owned()
}

#[inline]
pub(super) fn message<'a>(field: &Field<'a>) -> Result<&'a [u8], Fault> {
    match field.value {
        Value::Bytes(bytes) => Ok(bytes),
        _ => Err(wrong_type(field)),
    }
}

#[inline]
pub(super) fn varint(field: &Field<'_>) -> Result<u64, Fault> {
    match field.value {
        Value::Varint(value) => Ok(value),
        _ => Err(wrong_type(field)),
    }
}

#[inline]
pub(super) fn fixed64(field: &Field<'_>) -> Result<u64, Fault> {
    match field.value {
        Value::Fixed64(value) => Ok(value),
        _ => Err(wrong_type(field)),
    }
}

#[inline]
pub(super) fn fixed32(field: &Field<'_>) -> Result<u32, Fault> {
    match field.value {
        Value::Fixed32(value) => Ok(value),
        _ => Err(wrong_type(field)),
    }
}

#[cold]
fn wrong_type(field: &Field<'_>) -> Fault {
    Fault { offset: field.offset, what: "field has the wrong wire type" }
}

/// Protobuf cuts a varint to the width of its field.
#[expect(clippy::cast_possible_truncation, reason = "the wire format says to cut")]
pub(super) const fn uint32(value: u64) -> u32 {
    value as u32
}

pub(super) const fn int32(value: u64) -> i32 {
    uint32(value).cast_signed()
}
