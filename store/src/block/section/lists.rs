//! The tables of a row group: resources, scopes, and the shapes of attributes.

use model::column::Interner;
use model::wire::put_varint;

use super::Cursor;
use crate::error::Error;

/// Appends byte strings: how many, their lengths, their bytes.
pub(super) fn put_list(out: &mut Vec<u8>, items: &[&[u8]]) {
    put_varint(out, items.len() as u64);
    for item in items {
        put_varint(out, item.len() as u64);
    }
    for item in items {
        out.extend_from_slice(item);
    }
}

/// Reads byte strings.
pub(in crate::block) fn list(cursor: &mut Cursor<'_>) -> Result<Interner, Error> {
    let count = cursor.count()?;
    let mut ends = Vec::with_capacity(count);
    let mut end = 0u32;
    for _ in 0..count {
        let len = cursor.number()?;
        end = end.checked_add(len).ok_or_else(|| cursor.fault())?;
        ends.push(end);
    }
    let bytes = cursor.bytes(end as usize)?.to_vec();
    Interner::from_values(ends, bytes).ok_or_else(|| cursor.fault())
}

/// The bytes of the resources section: resources, and the `service.name` of each.
#[must_use]
pub fn encode_resources(resources: &[&[u8]], services: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    put_list(&mut out, resources);
    put_list(&mut out, services);
    out
}

/// Reads resources and their services, as many of each.
///
/// # Errors
/// `Corrupt` when the bytes are no such section.
pub fn decode_resources(bytes: &[u8]) -> Result<(Interner, Interner), Error> {
    let mut cursor = Cursor::new(bytes, "resources");
    let (resources, services) = (list(&mut cursor)?, list(&mut cursor)?);
    if resources.len() == services.len() { Ok((resources, services)) } else { Err(cursor.fault()) }
}

/// The bytes of the scopes section.
#[must_use]
pub fn encode_scopes(scopes: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    put_list(&mut out, scopes);
    out
}

/// Reads scopes.
///
/// # Errors
/// `Corrupt` when the bytes are no such section.
pub fn decode_scopes(bytes: &[u8]) -> Result<Interner, Error> {
    list(&mut Cursor::new(bytes, "scopes"))
}

/// A trie of attribute orders: each node's column (its place among those of the table; past the
/// last one stands for one attribute of the rest) and its parent (0 is the root; the first of the
/// list is 1).
pub type Nodes = Vec<(u32, u32)>;

/// The bytes of the shapes section, for the tables in their order.
#[must_use]
pub fn encode_shapes(tables: &[Nodes; 3]) -> Vec<u8> {
    let mut out = Vec::new();
    for nodes in tables {
        put_varint(&mut out, nodes.len() as u64);
        for (column, parent) in nodes {
            put_varint(&mut out, u64::from(*column));
            put_varint(&mut out, u64::from(*parent));
        }
    }
    out
}

/// Reads shapes; whoever uses them checks that columns and parents are there.
///
/// # Errors
/// `Corrupt` when the bytes are no such section.
pub fn decode_shapes(bytes: &[u8]) -> Result<[Nodes; 3], Error> {
    let mut cursor = Cursor::new(bytes, "shapes");
    let mut tables = [Nodes::new(), Nodes::new(), Nodes::new()];
    for nodes in &mut tables {
        let count = cursor.count()?;
        nodes.reserve(count);
        for _ in 0..count {
            nodes.push((cursor.number()?, cursor.number()?));
        }
    }
    Ok(tables)
}
