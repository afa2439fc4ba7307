//! Rows back into OTLP: what came in by the walk goes out bit for bit.

use hashbrown::HashTable;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::attributes::Attributes;
use crate::batch::{Batch, DROPPED_ATTRIBUTES, DROPPED_EVENTS, DROPPED_LINKS};
use crate::column::{Column, Interner, Type, Values, count};
use crate::wire::{put_bytes, put_fixed32, put_fixed64, put_message, put_u64};

/// Spans of a few traces on their way out, grouped by resource and scope over several batches.
///
/// Each group is an OTLP `ResourceSpans` with one scope (Kiali reads only the first scope of an
/// entry), in order of first appearance.
#[derive(Debug, Default)]
pub struct Traces {
    groups: Vec<Group>,
    by_place: HashTable<usize>,
}

#[derive(Debug)]
struct Group {
    resource: Vec<u8>,
    scope: Vec<u8>,
    spans: Vec<u8>,
}

impl Traces {
    /// No spans.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row of a batch.
    pub fn push(&mut self, batch: &Batch, row: u32) {
        let mut span = Vec::with_capacity(512);
        batch.put_span(&mut span, row);
        self.push_span(batch, row, batch.resources.get(batch.resource[row as usize]), &span);
    }

    /// Adds a row of a batch that is encoded already (as [`Batch::put_span`] does), under this resource.
    pub fn push_span(&mut self, batch: &Batch, row: u32, resource: &[u8], span: &[u8]) {
        let scope = batch.scopes.get(batch.scope[row as usize]);
        let groups = &mut self.groups;
        let same = |at: &usize| groups[*at].resource == resource && groups[*at].scope == scope;
        let hash = place_hash(resource, scope);
        let position = match self.by_place.find(hash, same) {
            Some(known) => *known,
            None => {
                let position = groups.len();
                let (resource, scope) = (resource.to_vec(), scope.to_vec());
                groups.push(Group { resource, scope, spans: Vec::new() });
                let hash_of = |at: &usize| place_hash(&groups[*at].resource, &groups[*at].scope);
                self.by_place.insert_unique(hash, position, hash_of);
                position
            }
        };
        put_bytes(&mut self.groups[position].spans, 2, span);
    }

    /// The spans as an OTLP `TracesData` (= `ExportTraceServiceRequest` = `tempopb.Trace`).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for group in &self.groups {
            put_message(&mut out, 1, |out| {
                // The fragments are fields 1 and 3 of their messages; the spans stand between.
                out.extend_from_slice(&group.resource);
                put_message(out, 2, |out| {
                    out.extend_from_slice(&group.scope);
                    out.extend_from_slice(&group.spans);
                });
            });
        }
        out
    }
}

/// For one answer's table only, which is as large as the answer.
fn place_hash(resource: &[u8], scope: &[u8]) -> u64 {
    xxh3_64_with_seed(scope, xxh3_64(resource))
}

impl Batch {
    /// Appends the row's span as an OTLP `Span` message.
    pub fn put_span(&self, out: &mut Vec<u8>, row: u32) {
        let at = row as usize;
        put_bytes(out, 1, self.trace_id[at].as_bytes());
        put_bytes(out, 2, self.span_id[at].as_bytes());
        put_text(out, 3, self.texts.get(self.trace_state.get(row)));
        if let Some(parent) = self.parent_id(row) {
            put_bytes(out, 4, parent.as_bytes());
        }
        put_text(out, 5, self.names.get(self.name[at]));
        put_enum(out, 6, self.kind(row));
        put_time(out, 7, self.start[at].0);
        put_time(out, 8, self.end[at].0);
        put_attributes(out, 9, &self.keys, &self.spans, row);
        put_count(out, 10, self.dropped[DROPPED_ATTRIBUTES].get(row));
        for event in rows_of(&self.events.row, row) {
            put_message(out, 11, |out| self.put_event(out, event));
        }
        put_count(out, 12, self.dropped[DROPPED_EVENTS].get(row));
        for link in rows_of(&self.links.row, row) {
            put_message(out, 13, |out| self.put_link(out, link));
        }
        put_count(out, 14, self.dropped[DROPPED_LINKS].get(row));
        let (code, text) = (self.status(row), self.texts.get(self.status_message.get(row)));
        if code != 0 || !text.is_empty() {
            put_message(out, 15, |out| {
                put_text(out, 2, text);
                put_enum(out, 3, code);
            });
        }
        if self.flags[at] != 0 {
            put_fixed32(out, 16, self.flags[at]);
        }
    }

    fn put_event(&self, out: &mut Vec<u8>, event: u32) {
        put_time(out, 1, self.events.time[event as usize].0);
        put_text(out, 2, self.texts.get(self.events.name[event as usize]));
        put_attributes(out, 3, &self.keys, &self.events.attributes, event);
        put_count(out, 4, self.events.dropped.get(event));
    }

    fn put_link(&self, out: &mut Vec<u8>, link: u32) {
        put_id(out, 1, &self.links.trace_id[link as usize]);
        put_id(out, 2, &self.links.span_id[link as usize]);
        put_text(out, 3, self.texts.get(self.links.trace_state.get(link)));
        put_attributes(out, 4, &self.keys, &self.links.attributes, link);
        put_count(out, 5, self.links.dropped.get(link));
        let flags = self.links.flags.get(link);
        if flags != 0 {
            put_fixed32(out, 6, flags);
        }
    }

    /// Appends the attribute at a position of a column as an OTLP `KeyValue` message.
    pub fn put_key_value(&self, out: &mut Vec<u8>, column: &Column, position: usize) {
        put_key_value(out, self.keys.get(column.key), column, position);
    }
}

/// The rows of events or links (ascending by span) that belong to a span.
fn rows_of(of: &[u32], row: u32) -> impl Iterator<Item = u32> {
    let start = of.partition_point(|r| *r < row);
    let length = of[start..].iter().take_while(|r| **r == row).count();
    (start..start + length).map(count)
}

fn put_attributes(out: &mut Vec<u8>, number: u32, keys: &Interner, table: &Attributes, row: u32) {
    for (column, position) in table.row(row) {
        if column.kind == Type::Overflow {
            let Values::Codes(codes, blobs) = &column.values else { continue };
            put_overflow(out, number, blobs.get(codes[position]));
            continue;
        }
        put_message(out, number, |out| {
            put_key_value(out, keys.get(column.key), column, position);
        });
    }
}

/// Overflow holds whole `KeyValue`s, each as a field 1: they go out under the table's number.
fn put_overflow(out: &mut Vec<u8>, number: u32, blob: &[u8]) {
    for bytes in super::overflow(blob) {
        put_bytes(out, number, bytes);
    }
}

fn put_key_value(out: &mut Vec<u8>, key: &[u8], column: &Column, position: usize) {
    put_text(out, 1, key);
    match (&column.values, column.kind) {
        (Values::Codes(codes, dictionary), Type::Any) => {
            put_bytes(out, 2, dictionary.get(codes[position]));
        }
        (Values::Codes(codes, dictionary), kind) => put_message(out, 2, |out| {
            let number = if kind == Type::Bytes { 7 } else { 1 };
            put_bytes(out, number, dictionary.get(codes[position]));
        }),
        (Values::Words(words), kind) => put_message(out, 2, |out| match kind {
            Type::Bool => put_u64(out, 2, words[position]),
            Type::Int => put_u64(out, 3, words[position]),
            Type::Double => put_fixed64(out, 4, words[position]),
            _ => {}
        }),
    }
}

fn put_text(out: &mut Vec<u8>, number: u32, text: &[u8]) {
    if !text.is_empty() {
        put_bytes(out, number, text);
    }
}

fn put_id(out: &mut Vec<u8>, number: u32, id: &[u8]) {
    if id.iter().any(|byte| *byte != 0) {
        put_bytes(out, number, id);
    }
}

fn put_time(out: &mut Vec<u8>, number: u32, nanos: u64) {
    if nanos != 0 {
        put_fixed64(out, number, nanos);
    }
}

fn put_count(out: &mut Vec<u8>, number: u32, n: u32) {
    if n != 0 {
        put_u64(out, number, u64::from(n));
    }
}

/// Enumerations are int32 on the wire: negative ones are sign-extended.
fn put_enum(out: &mut Vec<u8>, number: u32, value: i32) {
    if value != 0 {
        put_u64(out, number, i64::from(value).cast_unsigned());
    }
}
