//! What a row group of a block tells of all its spans without their rows: its tables have the
//! resources, the scopes and which columns have values, its dictionaries the values.
//!
//! Nothing is told where those do not know all of it, or cannot be read: whoever reads the rows
//! then says why.

use std::sync::Arc;

use model::column::Type;
use model::otlp::{fields, key_value};
use traceql::ast::{Field, Intrinsic, Key, Scope, Static, Whose};

use super::attrs::word_value;
use super::fragments::{of_fragments, of_resources, scope_text};
use super::value::of_any;
use crate::block::reader::{Distinct, Reader, Tables};
use crate::block::schema::{Id as Fixed, Source, Table};
use crate::block::section::terms::decode;
use crate::block::section::{Id, Level};
use crate::execute::Carried;

/// The names of attributes.
pub(super) fn names(
    reader: &Reader,
    group: u32,
    carried: Carried<'_>,
) -> Option<Vec<(Scope, Vec<u8>)>> {
    let tables = tables(reader, group)?;
    // Of what has no column it is not told whether a span has it, or an event.
    if has_rest(reader, group, |_| true)? {
        return None;
    }
    let mut names = Vec::new();
    for (leaf, chunk) in reader.leaves().iter().zip(&tables.chunks) {
        let Source::Attribute(table, place) = leaf.source else { continue };
        let of = match table {
            Table::Span => Scope::Span,
            Table::Event => Scope::Event,
            Table::Link => Scope::Link,
        };
        if chunk.values > 0 {
            let (attribute, _) = reader.directory().schema.of(table).nth(place as usize)?;
            names.push((of, attribute.key.clone().into_bytes()));
        }
    }
    let mut put = |of: Scope, name: &[u8]| names.push((of, name.to_vec()));
    for resource in tables.resources().values() {
        fragment_names(&carried.by(resource), 1, Scope::Resource, &mut put);
    }
    for of in tables.scopes().values() {
        fragment_names(of, 3, Scope::Instrumentation, &mut put);
    }
    Some(names)
}

/// The names in a resource or a scope, as OTLP has it: its attributes are fields of this number.
pub(super) fn fragment_names(
    fragment: &[u8],
    number: u32,
    of: Scope,
    put: &mut dyn FnMut(Scope, &[u8]),
) {
    for inner in fields(fragment, 1) {
        fields(inner, number).for_each(|kv| put(of, key_value(kv).0));
    }
}

/// The values of a field, each at least once.
pub(super) fn values(
    reader: &Reader,
    group: u32,
    field: &Field,
    carried: Carried<'_>,
) -> Option<Vec<Static>> {
    if field.whose != Whose::Own {
        return None;
    }
    let tables = &*tables(reader, group)?;
    let all = |values: Vec<Vec<Static>>| values.into_iter().flatten().collect::<Vec<_>>();
    let place = |id| reader.leaves().iter().position(|leaf| leaf.source == Source::Fixed(id));
    let count = |id| Some(tables.chunks.get(place(id)?)?.values);
    // One for each of something else, or what is absent counts as empty.
    let column = |id, of: Option<u64>| {
        let is_whole = count(id).is_some_and(|values| of == Some(values));
        column(reader, tables, place(id).filter(|_| is_whole)?, Type::String)
    };
    let scope = |number| tables.scopes().values().map(|scope| scope_text(scope, number)).collect();
    match &field.key {
        Key::Intrinsic(Intrinsic::Name) => {
            let rows = reader.rows_of(group);
            column(Fixed::Name, Some(u64::from(rows.end - rows.start)))
        }
        Key::Intrinsic(Intrinsic::EventName) => column(Fixed::EventName, count(Fixed::EventTime)),
        Key::Intrinsic(Intrinsic::InstrumentationName) => Some(scope(1)),
        Key::Intrinsic(Intrinsic::InstrumentationVersion) => Some(scope(2)),
        Key::Intrinsic(_) => None,
        Key::Attribute { scope, name } => {
            let resources = || all(of_resources(tables.resources(), name, carried));
            let attribute = |table| attribute(reader, (group, tables), table, name);
            match scope {
                Scope::Resource => Some(resources()),
                Scope::Instrumentation => Some(all(of_fragments(tables.scopes(), 3, name))),
                Scope::Span => attribute(Table::Span),
                Scope::Event => attribute(Table::Event),
                Scope::Link => attribute(Table::Link),
                Scope::Unscoped => {
                    let (own, resources) = (attribute(Table::Span)?, resources());
                    // A span's own hides its resource's: which do, rows know.
                    match (own.is_empty(), resources.is_empty()) {
                        (true, _) => Some(resources),
                        (_, true) => Some(own),
                        _ => None,
                    }
                }
            }
        }
    }
}

/// The tables of a row group; nothing of an L0 file, which has rows of others.
fn tables(reader: &Reader, group: u32) -> Option<Arc<Tables>> {
    let is_block = reader.directory().header.level == Level::L1;
    reader.tables(group).ok().filter(|_| is_block)
}

/// Whether a row group has attributes without a column whose key is one of these; nothing where it
/// is not told.
fn has_rest(reader: &Reader, group: u32, is_one: impl Fn(&[u8]) -> bool) -> Option<bool> {
    let keys = reader.section(Id::RestKeys, 0).ok()??;
    let mut has = false;
    decode(&keys, |key, groups| {
        has |= groups.contains(&group) && is_one(key);
        !has
    })
    .ok()?;
    Some(has)
}

/// The values of an attribute.
fn attribute(
    reader: &Reader,
    (group, tables): (u32, &Tables),
    table: Table,
    name: &str,
) -> Option<Vec<Static>> {
    if has_rest(reader, group, |key| key == name.as_bytes())? {
        return None;
    }
    let mut found = Vec::new();
    for (at, leaf) in reader.leaves().iter().enumerate() {
        let Source::Attribute(of, place) = leaf.source else { continue };
        if of != table || tables.chunks.get(at)?.values == 0 {
            continue;
        }
        let (attribute, _) = reader.directory().schema.of(table).nth(place as usize)?;
        // As those who read rows have it.
        let is_searchable = !matches!(attribute.kind, Type::Empty | Type::Bytes);
        if attribute.key == name && is_searchable {
            found.extend(column(reader, tables, at, attribute.kind)?);
        }
    }
    Some(found)
}

/// The values of a column, by its place among the leaves.
fn column(reader: &Reader, tables: &Tables, place: usize, kind: Type) -> Option<Vec<Static>> {
    if tables.chunks.get(place)?.values == 0 {
        return Some(Vec::new());
    }
    match (kind, reader.distinct(tables, place).ok()??) {
        (Type::Int | Type::Double, Distinct::Words(words)) => {
            Some(words.into_iter().filter_map(|word| word_value(kind, word)).collect())
        }
        (Type::String, Distinct::Texts(texts)) => {
            let text = |bytes: &[u8]| Static::Text(String::from_utf8_lossy(bytes).into_owned());
            Some(texts.values().map(text).collect())
        }
        (Type::Any, Distinct::Texts(texts)) => {
            let mut values = Vec::new();
            texts.values().for_each(|bytes| of_any(bytes, &mut values));
            Some(values)
        }
        _ => None,
    }
}
