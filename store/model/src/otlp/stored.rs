//! Reading what columns keep as OTLP has it.

use crate::wire::{Field, Reader, Value};

/// Key and value of an encoded `KeyValue`; the value is an encoded `AnyValue`.
#[must_use]
pub fn key_value(bytes: &[u8]) -> (&[u8], &[u8]) {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    let mut reader = Reader::new(bytes);
    while let Ok(Some(field)) = reader.next() {
        match (field.number, field.value) {
            (1, Value::Bytes(bytes)) => key = bytes,
            (2, Value::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    (key, value)
}

/// The length-delimited fields of this number.
pub fn fields(bytes: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(bytes);
    std::iter::from_fn(move || {
        while let Ok(Some(field)) = reader.next() {
            if let (true, Value::Bytes(bytes)) = (field.number == number, field.value) {
                return Some(bytes);
            }
        }
        None
    })
}

/// The `KeyValue` messages in a value of an overflow column.
pub fn overflow(blob: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(blob);
    std::iter::from_fn(move || match reader.next() {
        Ok(Some(Field { value: Value::Bytes(bytes), .. })) => Some(bytes),
        _ => None,
    })
}
