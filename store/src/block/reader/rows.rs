//! Rows of a row group, from columns of a block to columns of a batch.

use std::ops::Range;

use model::TenantId;
use model::attributes::{Attributes, EMPTY_SHAPE, TAIL};
use model::batch::{Batch, Events, Indexed, Links, Parts};
use model::column::{Column, Interner, Sparse, Type, Values as Held, count};
use model::wire::{put_bytes, put_message};
use model::{Nanos, SpanId, TraceId};

use super::leaf::{Extents, Values, decode, pages};
use super::{Reader, Tables, Wanted, read_at};
use crate::block::page::Decoder;
use crate::block::schema::{Attribute, Id, Leaf, Source, Table};
use crate::block::section::damaged;
use crate::block::section::lists::Nodes;
use crate::error::Error;

/// Reads of more than one in so many rows of a row group leave the cache alone.
const CACHED_SHARE: u32 = 8;
/// Ranges closer than this are read as one.
const GAP_BYTES: u64 = 64 << 10;
/// No read is longer, unless a single page is.
const READ_BYTES_MAX: u64 = 8 << 20;

/// What was read of the wanted leaves, by their place.
struct Columns<'r> {
    leaves: &'r [Leaf],
    values: Vec<Option<Values>>,
    rows: usize,
}

pub(super) fn read(
    reader: &Reader,
    tables: &Tables,
    (row_group, rows): (u32, Range<u32>),
    wanted: Wanted<'_>,
    tenant: &TenantId,
    indexed: Indexed,
) -> Result<Batch, Error> {
    let mut columns = Columns::read(reader, tables, (row_group, &rows), wanted)?;
    let n = columns.rows;
    let zeros = || vec![0u32; n];
    let nanos = |words: Vec<u64>| words.into_iter().map(Nanos).collect::<Vec<_>>();

    let trace_id = columns.fixed::<16>(Id::TraceId)?;
    let span_id = columns.fixed::<8>(Id::SpanId)?;
    let start = columns.words(Id::Start)?;
    let duration = columns.words(Id::Duration)?;
    let end = start.iter().zip(&duration).map(|(start, length)| start.wrapping_add(*length));
    let end = nanos(end.collect());
    let mut effective = start.clone();
    let (late_rows, late) = columns.sparse(Id::Effective, Values::words)?;
    for (row, time) in late_rows.iter().zip(late) {
        *effective.get_mut(*row as usize).ok_or_else(|| damaged("effective starts"))? = time;
    }
    let parent_id = columns.parents(&span_id)?;

    let (name, names) = match columns.take(Id::Name) {
        Some(values) => values.texts()?,
        None => (zeros(), one_empty()),
    };
    let mut names = Growing::from(names);
    let resource = columns.words32_or(Id::Resource, zeros)?;
    let (resource, resources, kept) = keep_used(resource, &tables.resources)?;
    let services: Vec<u32> =
        kept.iter().map(|code| names.push(tables.services.get(*code))).collect();
    let scope = columns.words32_or(Id::Scope, zeros)?;
    let (scope, scopes, _) = keep_used(scope, &tables.scopes)?;

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
    let (kind, status) =
        (columns.words32_or(Id::Kind, zeros)?, columns.words32_or(Id::Status, zeros)?);
    let keys = keys.done()?;
    let parts = Parts {
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
        start: nanos(start),
        end,
        effective: nanos(effective),
        kind: signed(kind),
        status: signed(status),
        flags: columns.words32_or(Id::Flags, zeros)?,
        name,
        resource,
        scope,
        status_message,
        trace_state,
        dropped,
    };
    Batch::from_parts(parts, indexed).map_err(|what| damaged(format!("{what} do not fit")))
}

impl<'r> Columns<'r> {
    /// Reads and decodes the pages of the wanted columns.
    fn read(
        reader: &'r Reader,
        tables: &Tables,
        (row_group, rows): (u32, &Range<u32>),
        wanted: Wanted<'_>,
    ) -> Result<Self, Error> {
        let schema = &reader.directory.schema;
        let is_wanted = |leaf: &Leaf| match wanted {
            Wanted::All => true,
            Wanted::Some(wanted) => {
                leaf.source == Source::Fixed(Id::Resource) || wanted(leaf, schema)
            }
        };
        let mut ranges = Vec::new();
        let mut chosen = Vec::with_capacity(reader.leaves.len());
        // Reads of most of a row group use each dictionary once: they would only push others out.
        let all = reader.rows_of(row_group);
        let is_few = (rows.end - rows.start) <= (all.end - all.start) / CACHED_SHARE;
        for (at, (leaf, chunk)) in reader.leaves.iter().zip(&tables.chunks).enumerate() {
            let pages = chunk.pages.get(pages(chunk, rows)).unwrap_or_default();
            let needed = is_wanted(leaf)
                && pages.iter().any(|page| page.values > 0)
                && rows.start < rows.end;
            let known = (needed && is_few && chunk.dictionary.is_some())
                .then(|| reader.dictionary(row_group, count(at)))
                .flatten();
            if needed {
                let dictionary = chunk.dictionary.iter().filter(|_| known.is_none());
                let pages = dictionary.chain(pages);
                ranges.extend(pages.map(|page| (page.offset, page.offset + u64::from(page.len))));
            }
            chosen.push((needed, known));
        }
        let mut extents = Extents::default();
        for (begin, end) in joined(ranges) {
            let len = usize::try_from(end - begin).map_err(|_| damaged("a page is too long"))?;
            extents.0.push((begin, read_at(&*reader.file, begin, len, &reader.name)?));
        }
        let mut decoder = Decoder::new()?;
        let mut values = Vec::with_capacity(chosen.len());
        let leaves = reader.leaves.iter().zip(&tables.chunks).zip(chosen).enumerate();
        for (at, ((leaf, chunk), (needed, known))) in leaves {
            let is_new = known.is_none() && is_few;
            let decoded = needed.then(|| decode(leaf, chunk, rows, &extents, &mut decoder, known));
            let decoded = decoded.transpose();
            let decoded = decoded.map_err(|error| damaged(format!("{}: {error}", leaf.path)))?;
            if let Some(dictionary) = decoded.as_ref().and_then(Values::dictionary)
                && is_new
            {
                reader.keep_dictionary(row_group, count(at), dictionary);
            }
            values.push(decoded);
        }
        let rows = (rows.end - rows.start) as usize;
        Ok(Self { leaves: &reader.leaves, values, rows })
    }

    /// The values of a fixed column, if any were read.
    fn take(&mut self, id: Id) -> Option<Values> {
        let at = self.leaves.iter().position(|leaf| leaf.source == Source::Fixed(id))?;
        self.values.get_mut(at)?.take()
    }

    fn words(&mut self, id: Id) -> Result<Vec<u64>, Error> {
        self.take(id).map_or_else(|| Ok(vec![0; self.rows]), Values::words)
    }

    fn words32_or(&mut self, id: Id, other: impl Fn() -> Vec<u32>) -> Result<Vec<u32>, Error> {
        self.take(id).map_or_else(|| Ok(other()), Values::words32)
    }

    fn fixed<const N: usize>(&mut self, id: Id) -> Result<Vec<[u8; N]>, Error> {
        self.take(id).map_or_else(|| Ok(vec![[0; N]; self.rows]), Values::fixed)
    }

    /// The rows of spans that have a value of a sparse column, and the values.
    fn sparse<T>(
        &mut self,
        id: Id,
        of: impl Fn(Values) -> Result<Vec<T>, Error>,
    ) -> Result<(Vec<u32>, Vec<T>), Error> {
        match self.take(id) {
            Some(values) => Ok((values.present(), of(values)?)),
            None => Ok((Vec::new(), Vec::new())),
        }
    }

    fn sparse_number(&mut self, id: Id) -> Result<Sparse, Error> {
        let (rows, values) = self.sparse(id, Values::words32)?;
        Ok(sparse_of(rows.into_iter().zip(values)))
    }

    fn sparse_text(&mut self, id: Id, texts: &mut Growing) -> Result<Sparse, Error> {
        let Some(values) = self.take(id) else { return Ok(Sparse::default()) };
        let rows = values.present();
        let (codes, values) = values.texts()?;
        let base = texts.append(&values);
        Ok(sparse_of(rows.into_iter().zip(codes.into_iter().map(|code| base + code))))
    }

    /// Parents, from distances and from what is named.
    fn parents(&mut self, span_id: &[[u8; 8]]) -> Result<Vec<[u8; 8]>, Error> {
        let mut parents = vec![[0; 8]; self.rows];
        let (rows, named) = self.sparse(Id::ParentId, Values::fixed::<8>)?;
        for (row, id) in rows.iter().zip(named) {
            *parents.get_mut(*row as usize).ok_or_else(|| damaged("parents"))? = id;
        }
        let distances = self.words32_or(Id::ParentDistance, Vec::new)?;
        for (row, distance) in distances.iter().enumerate().filter(|(_, distance)| **distance > 0) {
            let parent = row.checked_sub(*distance as usize).and_then(|at| span_id.get(at));
            let slot = parents.get_mut(row).zip(parent);
            let (slot, parent) = slot.ok_or_else(|| damaged("a parent stands before its rows"))?;
            *slot = *parent;
        }
        Ok(parents)
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
        let shape = match table {
            Table::Span => Id::Shape,
            Table::Event => Id::EventShape,
            Table::Link => Id::LinkShape,
        };
        let has_shapes = self.values_of(shape);
        let shapes = self.words32_or(shape, || vec![EMPTY_SHAPE; len])?;
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
            places.push(count(columns.len()));
            let values = self.values.get_mut(at).and_then(Option::take);
            columns.push(column(keys.push(key.as_bytes()), *kind, table, values)?);
        }
        let tables_nodes = tables.shapes.get(table as usize).map(Vec::as_slice).unwrap_or_default();
        let overflow = count(columns.len());
        let nodes: Nodes =
            if has_shapes { mapped(tables_nodes, &places, overflow) } else { Nodes::new() };
        columns.push(self.rest(table, len, &nodes, &shapes, overflow)?);
        Ok(Unbuilt { columns, nodes, shapes })
    }

    fn values_of(&self, id: Id) -> bool {
        let mut leaves = self.leaves.iter().zip(&self.values);
        leaves.any(|(leaf, values)| leaf.source == Source::Fixed(id) && values.is_some())
    }

    /// The attributes without a column, as the overflow column of a batch.
    fn rest(
        &mut self,
        table: Table,
        len: usize,
        nodes: &Nodes,
        shapes: &[u32],
        overflow: u32,
    ) -> Result<Column, Error> {
        let [key, text, value] = match table {
            Table::Span => [Id::RestKey, Id::RestText, Id::RestValue],
            Table::Event => [Id::EventRestKey, Id::EventRestText, Id::EventRestValue],
            Table::Link => [Id::LinkRestKey, Id::LinkRestText, Id::LinkRestValue],
        };
        let mut column = Column {
            key: 0,
            kind: Type::Overflow,
            rows: Vec::new(),
            values: Held::Codes(Vec::new(), Interner::default()),
        };
        let Some(keys) = self.take(key) else { return Ok(column) };
        let owners = rest_owners(&keys, table);
        let (key_codes, key_texts) = keys.texts()?;
        let texts = self.take(text).map(|values| {
            let at = rest_elements(&values, table);
            values.texts().map(|(codes, texts)| (at, codes, texts))
        });
        let values = self.take(value).map(|values| {
            let at = rest_elements(&values, table);
            values.texts().map(|(codes, values)| (at, codes, values))
        });
        let mut texts = Cursor::new(texts.transpose()?);
        let mut values = Cursor::new(values.transpose()?);
        let mut blobs = Growing::from(Interner::default());
        let (mut rows, mut field, mut pending) = (Vec::new(), Vec::new(), Pending::default());
        for (at, (owner, key)) in owners.iter().zip(&key_codes).enumerate() {
            if *owner as usize >= len {
                return Err(damaged("more lists of other attributes than rows"));
            }
            if pending.row != Some(*owner) {
                pending.flush(&mut rows, &mut blobs);
                let shape = shapes.get(*owner as usize).copied().unwrap_or(EMPTY_SHAPE);
                pending.begin(*owner, on_path(nodes, shape, overflow));
            }
            field.clear();
            put_message(&mut field, 1, |out| {
                let key = key_texts.get(*key);
                if !key.is_empty() {
                    put_bytes(out, 1, key);
                }
                let at = count(at);
                if let Some(text) = texts.at(at) {
                    put_message(out, 2, |out| put_bytes(out, 1, text));
                } else if let Some(value) = values.at(at) {
                    put_bytes(out, 2, value);
                }
            });
            pending.add(&field, &mut rows, &mut blobs);
        }
        pending.flush(&mut rows, &mut blobs);
        let codes = (0..count(rows.len())).collect();
        column.rows = rows;
        column.values = Held::Codes(codes, blobs.done()?);
        Ok(column)
    }
}

/// A table whose columns wait for all keys to be known.
struct Unbuilt {
    columns: Vec<Column>,
    nodes: Nodes,
    shapes: Vec<u32>,
}

impl Unbuilt {
    fn build(self, keys: &Interner) -> Result<Attributes, Error> {
        let built = Attributes::from_parts(keys, self.columns, &self.nodes, self.shapes);
        built.ok_or_else(|| damaged("attributes point at what is not there"))
    }
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

/// Nodes of the block as nodes of the batch.
fn mapped(nodes: &[(u32, u32)], places: &[u32], overflow: u32) -> Nodes {
    let place = |column: &u32| places.get(*column as usize).copied().unwrap_or(overflow);
    nodes.iter().map(|(column, parent)| (place(column), *parent)).collect()
}

/// How many attributes of the rest are on a shape's path.
fn on_path(nodes: &Nodes, shape: u32, overflow: u32) -> usize {
    let (mut node, mut found) = (shape & !TAIL, 0);
    while let Some((column, parent)) = (node as usize).checked_sub(1).and_then(|at| nodes.get(at)) {
        found += usize::from(*column == overflow);
        // A parent stands before its children, else the table is refused later.
        if *parent >= node {
            break;
        }
        node = *parent;
    }
    found
}

/// The overflow values of the row that is being gathered: one for each on the path, and one for
/// all others.
#[derive(Default)]
struct Pending {
    row: Option<u32>,
    on_path: usize,
    tail: Vec<u8>,
}

impl Pending {
    fn begin(&mut self, row: u32, on_path: usize) {
        (self.row, self.on_path) = (Some(row), on_path);
    }

    fn add(&mut self, field: &[u8], rows: &mut Vec<u32>, blobs: &mut Growing) {
        if self.on_path > 0 {
            self.on_path -= 1;
            rows.push(self.row.unwrap_or(0));
            blobs.push(field);
        } else {
            self.tail.extend_from_slice(field);
        }
    }

    fn flush(&mut self, rows: &mut Vec<u32>, blobs: &mut Growing) {
        if let (Some(row), false) = (self.row, self.tail.is_empty()) {
            rows.push(row);
            blobs.push(&self.tail);
            self.tail.clear();
        }
        self.row = None;
    }
}

/// Values by ascending place.
struct Cursor {
    at: Vec<u32>,
    codes: Vec<u32>,
    values: Interner,
    next: usize,
}

impl Cursor {
    fn new(found: Option<(Vec<u32>, Vec<u32>, Interner)>) -> Self {
        let (at, codes, values) = found.unwrap_or_default();
        Self { at, codes, values, next: 0 }
    }

    fn at(&mut self, place: u32) -> Option<&[u8]> {
        if self.at.get(self.next) != Some(&place) {
            return None;
        }
        let code = *self.codes.get(self.next)?;
        self.next += 1;
        Some(self.values.get(code))
    }
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

/// The row of the table that each attribute of the rest is of.
fn rest_owners(keys: &Values, table: Table) -> Vec<u32> {
    let (mut owner, mut begun, mut owners) = (0u32, false, Vec::new());
    let (outer, inner) = if table == Table::Span { (0, 1) } else { (1, 2) };
    for (rep, def) in keys.rep.iter().zip(&keys.def) {
        // An entry that is no further attribute of the row before begins a row, if there is one.
        if *rep <= outer && *def >= outer {
            owner += u32::from(begun);
            begun = true;
        }
        if *def >= inner {
            owners.push(owner);
        }
    }
    owners
}

/// The attributes of the rest that have a value of a sparse column.
fn rest_elements(values: &Values, table: Table) -> Vec<u32> {
    let inner = if table == Table::Span { 1 } else { 2 };
    let (mut element, mut found) = (0u32, Vec::new());
    for def in &values.def {
        if *def >= inner {
            if *def > inner {
                found.push(element);
            }
            element += 1;
        }
    }
    found
}

/// An interner that grows without looking anything up.
struct Growing {
    ends: Vec<u32>,
    bytes: Vec<u8>,
    too_long: bool,
}

impl From<Interner> for Growing {
    fn from(interner: Interner) -> Self {
        let mut growing = Self { ends: Vec::new(), bytes: Vec::new(), too_long: false };
        growing.append(&interner);
        growing
    }
}

impl Growing {
    fn push(&mut self, value: &[u8]) -> u32 {
        let code = count(self.ends.len());
        self.bytes.extend_from_slice(value);
        let end = u32::try_from(self.bytes.len());
        self.too_long |= end.is_err();
        self.ends.push(end.unwrap_or(u32::MAX));
        code
    }

    /// Appends all values; the number of the first.
    fn append(&mut self, values: &Interner) -> u32 {
        let base = count(self.ends.len());
        for value in values.values() {
            self.push(value);
        }
        base
    }

    fn done(self) -> Result<Interner, Error> {
        let Self { ends, bytes, too_long } = self;
        let built = if too_long { None } else { Interner::from_values(ends, bytes) };
        built.ok_or_else(|| damaged("texts of more than 4 GiB"))
    }
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

fn sparse_of(values: impl Iterator<Item = (u32, u32)>) -> Sparse {
    let mut sparse = Sparse::default();
    values.for_each(|(row, value)| sparse.put(row, value));
    sparse
}

/// Ranges in order, those that are close read as one.
fn joined(mut ranges: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (begin, end) in ranges {
        match joined.last_mut() {
            Some((first, last))
                if begin <= last.saturating_add(GAP_BYTES)
                    && end.max(*last) - *first <= READ_BYTES_MAX =>
            {
                *last = end.max(*last);
            }
            _ => joined.push((begin, end)),
        }
    }
    joined
}
