//! One row group: where each row comes from, and the values of each column in order.

mod frame;
mod page;

use std::collections::HashMap;
use std::ops::Range;

use model::batch::{Batch, Columns, DROPPED_ATTRIBUTES, DROPPED_EVENTS, DROPPED_LINKS};
use model::column::{Interner, Sparse, Values as Held, count};

use super::gather::{NONE, Numbers};
use super::index::Noted;
use crate::block::order::{Ordered, Place, TracePart};
use crate::block::page::{ChunkMeta, Encoder, Physical, Values};
use crate::block::schema::{Id, Leaf, Schema, Source, Table};
use crate::block::section::{lists, summary};
use crate::error::Error;
use frame::{Frame, Nested, Origin};
use page::Page;

/// The rows of a row group.
#[derive(Debug)]
pub(super) struct Rows<'a> {
    sources: Vec<Origin<'a>>,
    places: &'a [Place],
    distances: &'a [u32],
    traces: &'a [TracePart],
    first_row: u32,
    tables: [Frame<'a>; 3],
    resources: Distinct<'a>,
    scopes: Distinct<'a>,
}

/// Distinct resources or scopes of the row group, and each row's.
#[derive(Debug)]
struct Distinct<'a> {
    items: Vec<&'a [u8]>,
    /// Where an item came from: source and number.
    first: Vec<(usize, u32)>,
    rows: Vec<u32>,
}

/// The sections of a row group besides its pages.
#[derive(Debug)]
pub(super) struct Tables {
    pub(super) resources: Vec<u8>,
    pub(super) scopes: Vec<u8>,
    pub(super) shapes: Vec<u8>,
    pub(super) summary: Vec<u8>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        batches: &[&'a Batch],
        ordered: &'a Ordered,
        rows: Range<u32>,
        traces: &'a [TracePart],
        schema: &Schema,
    ) -> Self {
        let range = rows.start as usize..rows.end as usize;
        let places = ordered.rows.get(range.clone()).unwrap_or_default();
        let distances = ordered.parent_distance.get(range).unwrap_or_default();
        let sources: Vec<Origin<'a>> =
            batches.iter().map(|batch| Origin { batch, columns: batch.columns() }).collect();
        let spans = Frame::spans(&sources, places, schema);
        let events = Frame::nested(&sources, places, schema, Table::Event);
        let links = Frame::nested(&sources, places, schema, Table::Link);
        let resources = distinct(&sources, places, |c| (c.resource, c.resources));
        let scopes = distinct(&sources, places, |c| (c.scope, c.scopes));
        Self {
            sources,
            places,
            distances,
            traces,
            first_row: rows.start,
            tables: [spans, events, links],
            resources,
            scopes,
        }
    }

    /// Writes one column.
    pub(super) fn write(
        &self,
        leaf: &Leaf,
        page_rows: u32,
        encoder: &mut Encoder,
        out: (&mut Vec<u8>, u64),
        noted: &mut Noted,
    ) -> Result<ChunkMeta, Error> {
        let frame = &self.tables[leaf.table as usize];
        let mut page =
            Page { leaf, rows: count(self.places.len()), page_rows, encoder, out, noted };
        match leaf.source {
            Source::Attribute(_, place) => self.attribute(frame, place, &mut page),
            Source::Fixed(id) => self.fixed(frame, id, &mut page),
        }
    }

    fn fixed(&self, frame: &Frame<'_>, id: Id, page: &mut Page<'_>) -> Result<ChunkMeta, Error> {
        let always = &frame.levels;
        match id {
            Id::TraceId => self.trace_ids(page),
            Id::SpanId => page.fixed(always, &self.bytes(|c, row| *c.span_id[row].as_bytes())),
            Id::ParentDistance => page.words32(always, self.distances),
            Id::ParentId => {
                let orphan = |(at, place): (usize, &Place)| {
                    let parent = self.columns(*place).parent_id[place.row as usize].as_bytes();
                    (self.distances[at] == 0 && *parent != [0; 8]).then_some((count(at), parent))
                };
                let (rows, ids): (Vec<u32>, Vec<&[u8; 8]>) =
                    self.places.iter().enumerate().filter_map(orphan).unzip();
                let ids: Vec<u8> = ids.into_iter().flatten().copied().collect();
                page.fixed(&frame.sparse(&rows), &ids)
            }
            Id::Start => page.words(always, &self.words(|c, row| c.start[row].0)),
            Id::Duration => {
                let duration =
                    |c: &Columns<'_>, row: usize| c.end[row].0.wrapping_sub(c.start[row].0);
                page.words(always, &self.words(duration))
            }
            Id::Effective => {
                let (rows, times) = self.effective();
                page.words(&frame.sparse(&rows), &times)
            }
            Id::Name => {
                let (space, base) = space(self.sources.iter().map(|s| s.columns.names));
                let numbers = self.words32(&base, |c, row| c.name[row]);
                page.texts(always, numbers.iter().copied(), &space)
            }
            Id::Service => {
                let (space, base) = space(self.sources.iter().map(|s| s.columns.names));
                let numbers = self.words32(&base, |c, row| c.services[c.resource[row] as usize]);
                page.texts(always, numbers.iter().copied(), &space)
            }
            Id::Kind => page.words32(always, &self.enums(Batch::kind)),
            Id::Status => page.words32(always, &self.enums(Batch::status)),
            Id::StatusMessage => self.sparse_text(frame, page, |c| c.status_message),
            Id::TraceState => self.sparse_text(frame, page, |c| c.trace_state),
            Id::Flags => page.words32(always, &self.words32(&[], |c, row| c.flags[row])),
            Id::DroppedAttributes => {
                self.sparse_count(frame, page, |c| &c.dropped[DROPPED_ATTRIBUTES])
            }
            Id::DroppedEvents => self.sparse_count(frame, page, |c| &c.dropped[DROPPED_EVENTS]),
            Id::DroppedLinks => self.sparse_count(frame, page, |c| &c.dropped[DROPPED_LINKS]),
            Id::Resource => page.words32(always, &self.resources.rows),
            Id::Scope => page.words32(always, &self.scopes.rows),
            Id::Shape | Id::EventShape | Id::LinkShape => page.words32(always, &frame.shapes),
            // Samplers will give spans weights; until then each stands for itself.
            Id::Weight => page.words(&frame.sparse(&[]), &[]),
            Id::EventTime => {
                page.words(always, &frame.words(&self.sources, |c, row| c.events.time[row].0))
            }
            Id::EventName => {
                let (space, base) = space(self.sources.iter().map(|s| s.columns.texts));
                let number = |c: &Columns<'_>, row: usize| u64::from(c.events.name[row]);
                let numbers = frame.words(&self.sources, number);
                let number = |(place, number): (&Place, u64)| {
                    base[place.source as usize] + u32::try_from(number).unwrap_or(0)
                };
                let numbers: Vec<u32> = frame.origin.iter().zip(numbers).map(number).collect();
                page.texts(always, numbers.iter().copied(), &space)
            }
            Id::EventDropped => self.sparse_count(frame, page, |c| &c.events.dropped),
            Id::LinkTraceId => {
                page.fixed(always, &frame.bytes(&self.sources, |c, row| c.links.trace_id[row]))
            }
            Id::LinkSpanId => {
                page.fixed(always, &frame.bytes(&self.sources, |c, row| c.links.span_id[row]))
            }
            Id::LinkTraceState => self.sparse_text(frame, page, |c| &c.links.trace_state),
            Id::LinkFlags => self.sparse_count(frame, page, |c| &c.links.flags),
            Id::LinkDropped => self.sparse_count(frame, page, |c| &c.links.dropped),
            Id::RestKey | Id::EventRestKey | Id::LinkRestKey => {
                let space: Vec<&[u8]> = frame.rest.keys.iter().map(Vec::as_slice).collect();
                page.texts(&frame.rest_levels, frame.rest.key.iter().copied(), &space)
            }
            Id::RestText | Id::EventRestText | Id::LinkRestText => {
                frame.rest_values(page, &frame.rest.texts)
            }
            Id::RestValue | Id::EventRestValue | Id::LinkRestValue => {
                frame.rest_values(page, &frame.rest.values)
            }
        }
    }

    fn trace_ids(&self, page: &mut Page<'_>) -> Result<ChunkMeta, Error> {
        let mut codes = Vec::with_capacity(self.places.len());
        let mut ids = Vec::with_capacity(self.traces.len() * 16);
        for (code, trace) in self.traces.iter().enumerate() {
            ids.extend_from_slice(trace.id.as_bytes());
            codes.resize(codes.len() + trace.rows as usize, count(code));
        }
        page.coded(&Nested::default(), Values::Fixed(&ids), &codes)
    }

    fn effective(&self) -> (Vec<u32>, Vec<u64>) {
        let (mut rows, mut times) = (Vec::new(), Vec::new());
        if !self.sources.iter().any(|source| source.batch.has_skew()) {
            return (rows, times);
        }
        for (at, place) in self.places.iter().enumerate() {
            let batch = self.sources[place.source as usize].batch;
            let effective = batch.effective_start(place.row);
            if effective != batch.start(place.row) {
                rows.push(count(at));
                times.push(effective.0);
            }
        }
        (rows, times)
    }

    fn attribute(
        &self,
        frame: &Frame<'_>,
        place: u32,
        page: &mut Page<'_>,
    ) -> Result<ChunkMeta, Error> {
        let columns = frame.columns.get(place as usize).map(Vec::as_slice).unwrap_or_default();
        let mut numbers = Numbers::default();
        let mut words: Vec<u64> = Vec::new();
        let texts = columns.iter().map(|(_, column)| match &column.values {
            Held::Codes(_, texts) => Some(texts),
            Held::Words(_) => None,
        });
        let (space, base) = space(texts.flatten());
        for (which, (source, column)) in columns.iter().enumerate() {
            let to = &frame.to[*source as usize];
            let mut last = NONE;
            let mut each = |position: usize, row: u32, number: u32| {
                let here = to[row as usize];
                // What a row repeats is in the rest.
                if here != NONE && (row != last || position == 0) {
                    numbers.push(here, number);
                }
                last = row;
            };
            match &column.values {
                Held::Codes(codes, _) => {
                    for (position, (row, code)) in column.rows.iter().zip(codes).enumerate() {
                        each(position, *row, base[which] + code);
                    }
                }
                Held::Words(held) => {
                    for (position, (row, word)) in column.rows.iter().zip(held).enumerate() {
                        each(position, *row, count(words.len()));
                        words.push(*word);
                    }
                }
            }
        }
        numbers.sort(frame.origin.len());
        let levels = frame.sparse_of(numbers.rows(), numbers.len());
        if page.leaf.physical == Physical::Bytes {
            let numbers: Vec<u32> = numbers.numbers().collect();
            return page.texts(&levels, numbers.iter().copied(), &space);
        }
        let values: Vec<u64> = numbers.numbers().map(|number| words[number as usize]).collect();
        page.words(&levels, &values)
    }

    fn sparse_count(
        &self,
        frame: &Frame<'_>,
        page: &mut Page<'_>,
        column: impl for<'c> Fn(&Columns<'c>) -> &'c Sparse,
    ) -> Result<ChunkMeta, Error> {
        let numbers = frame.sparse_numbers(&self.sources, column);
        let values: Vec<u32> = numbers.numbers().collect();
        page.words32(&frame.sparse_of(numbers.rows(), numbers.len()), &values)
    }

    fn sparse_text(
        &self,
        frame: &Frame<'_>,
        page: &mut Page<'_>,
        column: impl for<'c> Fn(&Columns<'c>) -> &'c Sparse,
    ) -> Result<ChunkMeta, Error> {
        let (space, base) = space(self.sources.iter().map(|source| source.columns.texts));
        let mut numbers = Numbers::default();
        for (which, source) in self.sources.iter().enumerate() {
            for (row, code) in column(&source.columns).iter() {
                let here = frame.to[which].get(row as usize).copied().unwrap_or(NONE);
                if here != NONE {
                    numbers.push(here, base[which] + code);
                }
            }
        }
        numbers.sort(frame.origin.len());
        let levels = frame.sparse_of(numbers.rows(), numbers.len());
        let values: Vec<u32> = numbers.numbers().collect();
        page.texts(&levels, values.iter().copied(), &space)
    }

    #[inline]
    fn columns(&self, place: Place) -> &Columns<'a> {
        &self.sources[place.source as usize].columns
    }

    fn words(&self, value: impl Fn(&Columns<'a>, usize) -> u64) -> Vec<u64> {
        let of = |place: &Place| value(self.columns(*place), place.row as usize);
        self.places.iter().map(of).collect()
    }

    /// Numbers of rows, each with the base of its source added (none where `base` is empty).
    fn words32(&self, base: &[u32], value: impl Fn(&Columns<'a>, usize) -> u32) -> Vec<u32> {
        let of = |place: &Place| {
            let base = base.get(place.source as usize).copied().unwrap_or(0);
            base + value(self.columns(*place), place.row as usize)
        };
        self.places.iter().map(of).collect()
    }

    fn enums(&self, value: impl Fn(&Batch, u32) -> i32) -> Vec<u32> {
        let of = |place: &Place| {
            value(self.sources[place.source as usize].batch, place.row).cast_unsigned()
        };
        self.places.iter().map(of).collect()
    }

    fn bytes<const N: usize>(&self, value: impl Fn(&Columns<'a>, usize) -> [u8; N]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.places.len() * N);
        for place in self.places {
            out.extend_from_slice(&value(self.columns(*place), place.row as usize));
        }
        out
    }

    /// The keys of attributes without a column.
    pub(super) fn rest_keys(&self) -> impl Iterator<Item = &[u8]> {
        self.tables.iter().flat_map(|frame| frame.rest.keys.iter().map(Vec::as_slice))
    }

    /// Its distinct resources, as OTLP has them.
    pub(super) fn resources(&self) -> &[&'a [u8]] {
        &self.resources.items
    }

    /// The sections of the row group.
    pub(super) fn tables(&self) -> Tables {
        let service = |(source, number): &(usize, u32)| {
            let columns = &self.sources[*source].columns;
            columns.names.get(columns.services[*number as usize])
        };
        let services: Vec<&[u8]> = self.resources.first.iter().map(service).collect();
        let [spans, events, links] = &self.tables;
        let shapes = [spans.nodes.clone(), events.nodes.clone(), links.nodes.clone()];
        Tables {
            resources: lists::encode_resources(&self.resources.items, &services),
            scopes: lists::encode_scopes(&self.scopes.items),
            shapes: lists::encode_shapes(&shapes),
            summary: self.summary(),
        }
    }

    fn summary(&self) -> Vec<u8> {
        let mut texts: Vec<&[u8]> = vec![b""];
        let mut numbers: HashMap<&[u8], u32> = HashMap::from([(&b""[..], 0)]);
        let mut number = |text: &'a [u8]| {
            *numbers.entry(text).or_insert_with(|| {
                texts.push(text);
                count(texts.len() - 1)
            })
        };
        let traces: Vec<summary::Trace> = self
            .traces
            .iter()
            .map(|part| {
                let root = part.root.map(|row| row - self.first_row);
                let place = root.and_then(|row| self.places.get(row as usize));
                let (name, service) = place.map_or((&b""[..], &b""[..]), |place| {
                    let (columns, row) = (self.columns(*place), place.row as usize);
                    let service = columns.services[columns.resource[row] as usize];
                    (columns.names.get(columns.name[row]), columns.names.get(service))
                });
                summary::Trace {
                    id: part.id,
                    first_row: part.first_row - self.first_row,
                    rows: part.rows,
                    part: part.part,
                    oversized: part.oversized,
                    is_open: part.is_open,
                    root,
                    root_name: number(name),
                    root_service: number(service),
                    starts: part.starts,
                    start: part.start,
                    end: part.end,
                    errors: part.errors,
                }
            })
            .collect();
        summary::encode(&texts, &traces)
    }
}

/// All texts of several interners as one space of numbers, and where each one's begin.
fn space<'a>(interners: impl Iterator<Item = &'a Interner>) -> (Vec<&'a [u8]>, Vec<u32>) {
    let (mut space, mut base) = (Vec::new(), Vec::new());
    for interner in interners {
        base.push(count(space.len()));
        space.extend(interner.values());
    }
    (space, base)
}

/// The distinct resources (or scopes) of the rows: equal ones of two sources are one.
fn distinct<'a>(
    sources: &[Origin<'a>],
    places: &[Place],
    column: impl Fn(&Columns<'a>) -> (&'a [u32], &'a Interner),
) -> Distinct<'a> {
    let columns: Vec<_> = sources.iter().map(|source| column(&source.columns)).collect();
    let mut known: Vec<Vec<u32>> =
        columns.iter().map(|(_, interner)| vec![NONE; interner.len()]).collect();
    let mut numbers: HashMap<&[u8], u32> = HashMap::new();
    let (mut items, mut first) = (Vec::new(), Vec::new());
    let mut number = |place: &Place| {
        let source = place.source as usize;
        let (rows, interner) = columns[source];
        let code = rows[place.row as usize];
        let known = &mut known[source][code as usize];
        if *known == NONE {
            let item = interner.get(code);
            *known = *numbers.entry(item).or_insert_with(|| {
                items.push(item);
                first.push((source, code));
                count(items.len() - 1)
            });
        }
        *known
    };
    let rows = places.iter().map(&mut number).collect();
    Distinct { items, first, rows }
}
