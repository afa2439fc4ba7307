//! Rows of a row group, from columns of a block to columns of a batch.

use std::ops::Range;

use model::TenantId;
use model::attributes::{Attributes, EMPTY_SHAPE, TAIL};
use model::batch::{Batch, Events, Indexed, Links, Parts};
use model::column::{Column, Interner, Sparse, Type, Values as Held, count};
use model::{Nanos, SpanId, TraceId};

use super::columns::{Columns, shape_of, used};
use super::growing::Growing;
use super::leaf::Values;
use super::{Reader, Tables, Wanted};
use crate::block::schema::{Attribute, Id, Source, Table};
use crate::block::section::damaged;
use crate::block::section::lists::Nodes;
use crate::error::Error;

/// Of fewer rows only what they use is kept of tables, to be looked at or shown.
const FEW_ROWS: usize = 256;

pub(super) fn read(
    reader: &Reader,
    (row_group, tables): (u32, &Tables),
    rows: &[Range<u32>],
    wanted: Wanted<'_>,
    tenant: &TenantId,
    indexed: Indexed,
) -> Result<Batch, Error> {
    let mut columns = Columns::read(reader, (row_group, tables), rows, wanted)?;
    let n = columns.rows;
    let nanos = |words: Vec<u64>| words.into_iter().map(Nanos).collect::<Vec<_>>();

    let trace_id = columns.fixed::<16>(Id::TraceId)?;
    let span_id = columns.fixed::<8>(Id::SpanId)?;
    let start = columns.words(Id::Start)?;
    let duration = columns.words(Id::Duration)?;
    // Of durations alone, as if all began at zero.
    let mut end = duration;
    end.iter_mut().zip(&start).for_each(|(end, start)| *end = start.wrapping_add(*end));
    let end = nanos(end);
    let (late_rows, late) = columns.sparse(Id::Effective, Values::words)?;
    let mut effective = if late.is_empty() { Vec::new() } else { start.clone() };
    for (row, time) in late_rows.iter().zip(late) {
        *effective.get_mut(*row as usize).ok_or_else(|| damaged("effective starts"))? = time;
    }
    let (parent_id, parent_distance) = columns.parents(&span_id)?;

    let (name, names) = match columns.take(Id::Name) {
        Some(values) => values.texts()?,
        None => (Vec::new(), one_empty()),
    };
    let mut names = Growing::from(names);
    let resource = columns.words32(Id::Resource)?;
    let few = |rows: &[u32], items: &Interner| rows.len() < items.len().max(FEW_ROWS);
    let (resource, resources, services) = if few(&resource, &tables.resources) {
        let (resource, resources, kept) = keep_used(resource, &tables.resources)?;
        let services = kept.iter().map(|code| names.push(tables.services.get(*code))).collect();
        (resource, resources, services)
    } else {
        let services = tables.services.values().map(|name| names.push(name)).collect();
        (resource, tables.resources.clone(), services)
    };
    let scope = columns.words32(Id::Scope)?;
    let (scope, scopes) = if few(&scope, &tables.scopes) {
        let (scope, scopes, _) = keep_used(scope, &tables.scopes)?;
        (scope, scopes)
    } else {
        (scope, tables.scopes.clone())
    };

    let mut texts = Growing::from(one_empty());
    let status_message = columns.sparse_text(Id::StatusMessage, &mut texts)?;
    let trace_state = columns.sparse_text(Id::TraceState, &mut texts)?;
    let dropped = [
        columns.sparse_number(Id::DroppedAttributes)?,
        columns.sparse_number(Id::DroppedEvents)?,
        columns.sparse_number(Id::DroppedLinks)?,
    ];
    let mut keys = Growing::from(one_empty());
    let spans = columns.attributes(reader, tables, Table::Span, n, &mut keys)?;
    let events = columns.events(reader, tables, &mut texts, &mut keys)?;
    let links = columns.links(reader, tables, &mut texts, &mut keys)?;
    let signed = |words: Vec<u32>| words.into_iter().map(u32::cast_signed).collect();
    let (kind, status) = (columns.words32(Id::Kind)?, columns.words32(Id::Status)?);
    let keys = keys.done()?;
    let parts = Parts {
        rows: n,
        tenant: tenant.clone(),
        received_at: Nanos(reader.directory.header.received.0),
        spans: spans.build(&keys)?,
        events: Events {
            attributes: events.1.build(&keys)?,
            row: events.0.row,
            time: events.0.time,
            name: events.0.name,
            dropped: events.0.dropped,
        },
        links: Links {
            attributes: links.1.build(&keys)?,
            row: links.0.row,
            trace_id: links.0.trace_id,
            span_id: links.0.span_id,
            trace_state: links.0.trace_state,
            flags: links.0.flags,
            dropped: links.0.dropped,
        },
        keys,
        names: names.done()?,
        texts: texts.done()?,
        resources,
        services,
        scopes,
        trace_id: trace_id.into_iter().map(TraceId::from_array).collect(),
        span_id: span_id.into_iter().map(SpanId::from_array).collect(),
        parent_id: parent_id.into_iter().map(SpanId::from_array).collect(),
        parent_distance,
        start: nanos(start),
        end,
        effective: nanos(effective),
        kind: signed(kind),
        status: signed(status),
        flags: columns.words32(Id::Flags)?,
        name,
        resource,
        scope,
        status_message,
        trace_state,
        dropped,
    };
    Batch::from_parts(parts, indexed).map_err(|what| damaged(format!("{what} do not fit")))
}

impl Columns<'_> {
    /// Parents, from distances and from what is named (where no ids of spans were read, only
    /// those that are named), and the distances.
    fn parents(&mut self, span_id: &[[u8; 8]]) -> Result<(Vec<[u8; 8]>, Vec<u32>), Error> {
        let (rows, named) = self.sparse(Id::ParentId, Values::fixed::<8>)?;
        let distances = self.words32(Id::ParentDistance)?;
        let fault = || damaged("a parent stands before its rows");
        if rows.is_empty() && span_id.is_empty() {
            let far = |(row, distance): (usize, &u32)| *distance as usize > row;
            if distances.iter().enumerate().any(far) {
                return Err(fault());
            }
            return Ok((Vec::new(), distances));
        }
        let mut parents = vec![[0; 8]; self.rows];
        for (row, id) in rows.iter().zip(named) {
            *parents.get_mut(*row as usize).ok_or_else(|| damaged("parents"))? = id;
        }
        for (row, distance) in distances.iter().enumerate().filter(|(_, distance)| **distance > 0) {
            let at = row.checked_sub(*distance as usize).ok_or_else(fault)?;
            if !span_id.is_empty() {
                let slot = parents.get_mut(row).zip(span_id.get(at));
                let (slot, parent) = slot.ok_or_else(fault)?;
                *slot = *parent;
            }
        }
        Ok((parents, distances))
    }

    /// Which span each element of a list is of, by the levels of a column that every one has.
    fn owners(values: &Values) -> Vec<u32> {
        let (mut row, mut owners) = (0u32, Vec::new());
        for (at, (rep, def)) in values.rep.iter().zip(&values.def).enumerate() {
            row += u32::from(*rep == 0 && at > 0);
            if *def > 0 {
                owners.push(row);
            }
        }
        owners
    }

    fn events(
        &mut self,
        reader: &Reader,
        tables: &Tables,
        texts: &mut Growing,
        keys: &mut Growing,
    ) -> Result<(Events, Unbuilt), Error> {
        let mut events = Events::new(0);
        if let Some(times) = self.take(Id::EventTime) {
            events.row = Self::owners(&times);
            events.time = times.words()?.into_iter().map(Nanos).collect();
        }
        if let Some(names) = self.take(Id::EventName) {
            if events.row.is_empty() {
                events.row = Self::owners(&names);
                events.time = vec![Nanos(0); events.row.len()];
            }
            let (codes, names) = names.texts()?;
            let base = texts.append(&names);
            events.name = codes.into_iter().map(|code| base + code).collect();
        }
        let len = events.row.len();
        events.name.resize(len, 0);
        events.dropped = self.element_numbers(Id::EventDropped)?;
        let attributes = self.attributes(reader, tables, Table::Event, len, keys)?;
        Ok((events, attributes))
    }

    fn links(
        &mut self,
        reader: &Reader,
        tables: &Tables,
        texts: &mut Growing,
        keys: &mut Growing,
    ) -> Result<(Links, Unbuilt), Error> {
        let mut links = Links::new(0);
        if let Some(ids) = self.take(Id::LinkTraceId) {
            links.row = Self::owners(&ids);
            links.trace_id = ids.fixed::<16>()?;
        }
        let len = links.row.len();
        if let Some(ids) = self.take(Id::LinkSpanId) {
            links.span_id = ids.fixed::<8>()?;
        }
        links.span_id.resize(len, [0; 8]);
        if let Some(states) = self.take(Id::LinkTraceState) {
            let at = elements(&states);
            let (codes, values) = states.texts()?;
            let base = texts.append(&values);
            links.trace_state =
                sparse_of(at.into_iter().zip(codes.into_iter().map(|code| base + code)));
        }
        links.flags = self.element_numbers(Id::LinkFlags)?;
        links.dropped = self.element_numbers(Id::LinkDropped)?;
        let attributes = self.attributes(reader, tables, Table::Link, len, keys)?;
        Ok((links, attributes))
    }

    fn element_numbers(&mut self, id: Id) -> Result<Sparse, Error> {
        let Some(values) = self.take(id) else { return Ok(Sparse::default()) };
        let at = elements(&values);
        Ok(sparse_of(at.into_iter().zip(values.words32()?)))
    }

    /// The attributes of a table of `len` rows.
    fn attributes(
        &mut self,
        reader: &Reader,
        tables: &Tables,
        table: Table,
        len: usize,
        keys: &mut Growing,
    ) -> Result<Unbuilt, Error> {
        let shape = shape_of(table);
        let has_shapes = self.has(shape);
        let mut shapes = self.words32(shape)?;
        let attributes: Vec<_> = reader.directory.schema.of(table).collect();
        let mut columns = Vec::new();
        // Where each place among the table's columns is in the batch.
        let mut places = Vec::new();
        for (at, leaf) in self.leaves.iter().enumerate() {
            let Source::Attribute(of, place) = leaf.source else { continue };
            if of != table {
                continue;
            }
            let attribute = attributes.get(place as usize);
            let Some((Attribute { key, kind, .. }, _)) = attribute else { continue };
            let values = self.take_at(at);
            if !has_shapes && values.is_none() {
                continue;
            }
            places.push(count(columns.len()));
            columns.push(column(keys.push(key.as_bytes()), *kind, table, values)?);
        }
        let all = tables.shapes.get(table as usize).map(Vec::as_slice).unwrap_or_default();
        let overflow = count(columns.len());
        let place = |column: u32| places.get(column as usize).copied().unwrap_or(overflow);
        let nodes = if has_shapes { trie(all, &mut shapes, place)? } else { Nodes::new() };
        columns.push(self.rest(table, len, &nodes, &shapes, overflow)?);
        Ok(Unbuilt { columns, nodes, rows: len, shapes })
    }
}

/// A table whose columns wait for all keys to be known.
struct Unbuilt {
    columns: Vec<Column>,
    nodes: Nodes,
    rows: usize,
    shapes: Vec<u32>,
}

impl Unbuilt {
    fn build(self, keys: &Interner) -> Result<Attributes, Error> {
        let built = Attributes::from_parts(keys, self.columns, &self.nodes, self.rows, self.shapes);
        built.ok_or_else(|| damaged("attributes point at what is not there"))
    }
}

/// The nodes that these shapes need, as nodes of the batch; shapes get their new numbers.
fn trie(
    all: &[(u32, u32)],
    shapes: &mut [u32],
    place: impl Fn(u32) -> u32,
) -> Result<Nodes, Error> {
    let used = used(all, shapes)?;
    let mut numbers = vec![EMPTY_SHAPE; used.len()];
    let mut nodes = Nodes::new();
    for (at, ((column, parent), _)) in
        all.iter().zip(used.iter().skip(1)).enumerate().filter(|(_, (_, used))| **used)
    {
        // A parent stands before its children, and is used as well.
        let parent = numbers.get(*parent as usize).copied().unwrap_or(EMPTY_SHAPE);
        nodes.push((place(*column), parent));
        if let Some(number) = numbers.get_mut(at + 1) {
            *number = count(nodes.len());
        }
    }
    for shape in shapes {
        let number = numbers.get((*shape & !TAIL) as usize).copied().unwrap_or(EMPTY_SHAPE);
        *shape = number | (*shape & TAIL);
    }
    Ok(nodes)
}

/// A column of an attribute; without values where none were read.
fn column(key: u32, kind: Type, table: Table, values: Option<Values>) -> Result<Column, Error> {
    let is_text = matches!(kind, Type::String | Type::Bytes | Type::Any | Type::Overflow);
    let Some(values) = values else {
        let values = if is_text {
            Held::Codes(Vec::new(), Interner::default())
        } else {
            Held::Words(Vec::new())
        };
        return Ok(Column { key, kind, rows: Vec::new(), values });
    };
    let rows = if table == Table::Span { values.present() } else { elements(&values) };
    let values = if is_text {
        let (codes, texts) = values.texts()?;
        Held::Codes(codes, texts)
    } else {
        let mut words = values.words()?;
        if kind == Type::Empty {
            words.fill(0);
        }
        Held::Words(words)
    };
    Ok(Column { key, kind, rows, values })
}

/// The elements of a list (events or links) that have a value of a sparse column.
fn elements(values: &Values) -> Vec<u32> {
    let (mut element, mut found) = (0u32, Vec::new());
    for def in &values.def {
        if *def > 0 {
            if *def > 1 {
                found.push(element);
            }
            element += 1;
        }
    }
    found
}

fn one_empty() -> Interner {
    Interner::from_values(vec![0], Vec::new()).unwrap_or_default()
}

/// Keeps the items that rows use: new numbers, the items, and their old numbers.
fn keep_used(
    mut rows: Vec<u32>,
    items: &Interner,
) -> Result<(Vec<u32>, Interner, Vec<u32>), Error> {
    let mut numbers = vec![u32::MAX; items.len()];
    let (mut kept, mut used) = (Growing::from(Interner::default()), Vec::new());
    for row in &mut rows {
        let number = numbers.get_mut(*row as usize);
        let number = number.ok_or_else(|| damaged("a row names a resource or scope too many"))?;
        if *number == u32::MAX {
            *number = kept.push(items.get(*row));
            used.push(*row);
        }
        *row = *number;
    }
    Ok((rows, kept.done()?, used))
}

/// Values by ascending row.
pub(super) fn sparse_of(values: impl Iterator<Item = (u32, u32)>) -> Sparse {
    let mut sparse = Sparse::default();
    values.for_each(|(row, value)| sparse.put(row, value));
    sparse
}
