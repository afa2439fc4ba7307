//! One table of a row group, its rows as they come from several batches, and the levels of its columns.

use std::collections::HashMap;

use model::batch::{Batch, Columns};
use model::column::{Column, Sparse, Type, count};

use super::super::gather::{NONE, Numbers};
use super::super::rest::Rest;
use super::super::shapes::{Mapped, Shapes};
use super::page::Page;
use crate::block::order::Place;
use crate::block::page::ChunkMeta;
use crate::block::schema::{Attribute, Schema, Table};
use crate::block::section::lists;
use crate::error::Error;

/// A batch that rows come from.
#[derive(Debug)]
pub(super) struct Origin<'a> {
    pub(super) batch: &'a Batch,
    pub(super) columns: Columns<'a>,
}

/// One table of the row group: spans, their events, their links.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// Where each row of the table comes from.
    pub(super) origin: Vec<Place>,
    /// By source: where each of its rows is here.
    pub(super) to: Vec<Vec<u32>>,
    /// By place of a column: the columns of sources that it is filled from.
    pub(super) columns: Vec<Vec<(u32, &'a Column)>>,
    pub(super) shapes: Vec<u32>,
    pub(super) nodes: lists::Nodes,
    pub(super) rest: Rest,
    pub(super) levels: Nested,
    pub(super) rest_levels: Nested,
}

/// Levels of the columns of a table whose every row has a value.
#[derive(Debug, Default)]
pub(super) struct Nested {
    /// Both empty where the table's rows are the rows of the block.
    pub(super) rep: Vec<u8>,
    pub(super) def: Vec<u8>,
    /// The level that says whether a row of the table has a value; empty where it is its own place.
    pub(super) entry: Vec<u32>,
}

impl<'a> Frame<'a> {
    pub(super) fn spans(sources: &[Origin<'a>], places: &[Place], schema: &Schema) -> Self {
        let mut to: Vec<Vec<u32>> =
            sources.iter().map(|source| vec![NONE; source.batch.len()]).collect();
        for (at, place) in places.iter().enumerate() {
            to[place.source as usize][place.row as usize] = count(at);
        }
        Self::new(sources, Table::Span, schema, to, places.to_vec(), Nested::default())
    }

    /// Events or links of the rows, in the order of the rows.
    pub(super) fn nested(
        sources: &[Origin<'a>],
        places: &[Place],
        schema: &Schema,
        table: Table,
    ) -> Self {
        let owners: Vec<&[u32]> = sources
            .iter()
            .map(|source| match table {
                Table::Event => source.columns.events.row.as_slice(),
                _ => source.columns.links.row.as_slice(),
            })
            .collect();
        let begins: Vec<Vec<u32>> = owners
            .iter()
            .zip(sources)
            .map(|(owners, source)| begins(owners, source.batch.len()))
            .collect();
        let mut to: Vec<Vec<u32>> = owners.iter().map(|owners| vec![NONE; owners.len()]).collect();
        let (mut origin, mut levels) = (Vec::new(), Nested::default());
        for place in places {
            let begins = &begins[place.source as usize];
            let (row, source) = (place.row as usize, place.source as usize);
            let range = if begins.is_empty() { 0..0 } else { begins[row]..begins[row + 1] };
            if range.is_empty() {
                levels.push(0, 0);
            }
            for (nth, element) in range.enumerate() {
                to[source][element as usize] = count(origin.len());
                origin.push(Place { source: place.source, row: element });
                levels.entry.push(count(levels.def.len()));
                levels.push(u8::from(nth > 0), 1);
            }
        }
        Self::new(sources, table, schema, to, origin, levels)
    }

    pub(super) fn new(
        sources: &[Origin<'a>],
        table: Table,
        schema: &Schema,
        to: Vec<Vec<u32>>,
        origin: Vec<Place>,
        levels: Nested,
    ) -> Self {
        let places: HashMap<(&[u8], Type), u32> = schema
            .of(table)
            .zip(0..)
            .map(|((Attribute { key, kind, .. }, _), place)| ((key.as_bytes(), *kind), place))
            .collect();
        let mut trie = Shapes::new(places.len());
        let mut columns = vec![Vec::new(); places.len()];
        let mut mapped: Vec<Mapped> = Vec::new();
        for (which, source) in sources.iter().enumerate() {
            let keys = source.columns.keys;
            let attributes = source.attributes(table);
            let place_of = |key, kind| places.get(&(keys.get(key), kind)).copied();
            let map = Mapped::new(attributes, trie.rest_column(), place_of);
            for (column, place) in attributes.columns().iter().zip(&map.places) {
                if let Some(columns) = columns.get_mut(*place as usize) {
                    columns.push((count(which), column));
                }
            }
            mapped.push(map);
        }
        let mut rest = Rest::default();
        let mut shapes = Vec::with_capacity(origin.len());
        for (at, place) in origin.iter().enumerate() {
            let source = &sources[place.source as usize];
            let attributes = source.attributes(table);
            let mapped = &mut mapped[place.source as usize];
            let shape = trie.map(mapped, attributes.shapes()[place.row as usize]);
            if trie.has_rest(shape) {
                let from = (source.columns.keys, attributes, place.row);
                rest.add(at, origin.len(), from, &mapped.places, trie.rest_column());
            }
            shapes.push(shape);
        }
        let rest_levels = levels.deeper(&rest.counts, origin.len(), table);
        let nodes = trie.into_nodes();
        Self { origin, to, columns, shapes, nodes, rest, levels, rest_levels }
    }

    pub(super) fn words(
        &self,
        sources: &[Origin<'a>],
        value: impl Fn(&Columns<'a>, usize) -> u64,
    ) -> Vec<u64> {
        let of = |place: &Place| value(&sources[place.source as usize].columns, place.row as usize);
        self.origin.iter().map(of).collect()
    }

    pub(super) fn bytes<const N: usize>(
        &self,
        sources: &[Origin<'a>],
        value: impl Fn(&Columns<'a>, usize) -> [u8; N],
    ) -> Vec<u8> {
        let of = |place: &Place| value(&sources[place.source as usize].columns, place.row as usize);
        self.origin.iter().flat_map(of).collect()
    }

    pub(super) fn sparse_numbers(
        &self,
        sources: &[Origin<'a>],
        column: impl for<'c> Fn(&Columns<'c>) -> &'c Sparse,
    ) -> Numbers {
        let mut numbers = Numbers::default();
        for (source, to) in sources.iter().zip(&self.to) {
            for (row, value) in column(&source.columns).iter() {
                let here = to.get(row as usize).copied().unwrap_or(NONE);
                if here != NONE {
                    numbers.push(here, value);
                }
            }
        }
        numbers.sort_few();
        numbers
    }

    pub(super) fn sparse(&self, rows: &[u32]) -> Nested {
        self.sparse_of(rows.iter().copied(), rows.len())
    }

    /// The levels of a column that only these rows of the table have a value in.
    pub(super) fn sparse_of(&self, rows: impl Iterator<Item = u32>, len: usize) -> Nested {
        self.levels.sparse(self.origin.len(), rows, len)
    }

    pub(super) fn rest_values(
        &self,
        page: &mut Page<'_>,
        values: &[(u32, Vec<u8>)],
    ) -> Result<ChunkMeta, Error> {
        let rows = values.iter().map(|(at, _)| *at);
        let levels = self.rest_levels.sparse(self.rest.key.len(), rows, values.len());
        let space: Vec<&[u8]> = values.iter().map(|(_, value)| value.as_slice()).collect();
        page.texts(&levels, 0..count(space.len()), &space)
    }
}

impl<'a> Origin<'a> {
    pub(super) fn attributes(&self, table: Table) -> &'a model::attributes::Attributes {
        match table {
            Table::Span => self.columns.spans,
            Table::Event => &self.columns.events.attributes,
            Table::Link => &self.columns.links.attributes,
        }
    }
}

impl Nested {
    pub(super) fn push(&mut self, rep: u8, def: u8) {
        self.rep.push(rep);
        self.def.push(def);
    }

    /// The levels of a column with values in these rows (of `len` in all, ascending) only.
    pub(super) fn sparse(
        &self,
        rows: usize,
        present: impl Iterator<Item = u32>,
        len: usize,
    ) -> Self {
        let flat = self.def.is_empty();
        let mut def = if flat { vec![0; rows] } else { self.def.clone() };
        let all = flat && len == rows;
        if all {
            def.fill(1);
        } else {
            for row in present {
                let at = if self.entry.is_empty() { row } else { self.entry[row as usize] };
                def[at as usize] += 1;
            }
        }
        Self { rep: self.rep.clone(), def, entry: Vec::new() }
    }

    /// The levels of a list in each row of this table, with so many elements each (none at all
    /// where `counts` is empty).
    pub(super) fn deeper(&self, counts: &[u32], rows: usize, table: Table) -> Self {
        let (rep_inner, def_inner) = match table {
            Table::Span => (1, 1),
            Table::Event | Table::Link => (2, 2),
        };
        let mut deeper = Self::default();
        let mut row = 0;
        let entries = if self.def.is_empty() { rows } else { self.def.len() };
        for entry in 0..entries {
            let (rep, def) = match self.def.get(entry) {
                Some(def) => (self.rep[entry], *def),
                None => (0, 0),
            };
            let exists = self.def.is_empty() || def > 0;
            let elements = if exists { counts.get(row).copied().unwrap_or(0) } else { 0 };
            row += usize::from(exists);
            if elements == 0 {
                deeper.push(rep, def);
            }
            for nth in 0..elements {
                deeper.entry.push(count(deeper.def.len()));
                deeper.push(if nth == 0 { rep } else { rep_inner }, def_inner);
            }
        }
        deeper
    }
}

/// Where the elements of each row begin; empty where there are none.
fn begins(owners: &[u32], rows: usize) -> Vec<u32> {
    if owners.is_empty() {
        return Vec::new();
    }
    let mut begins = vec![0; rows + 1];
    owners.iter().for_each(|row| begins[*row as usize + 1] += 1);
    let mut sum = 0;
    for begin in &mut begins {
        sum += *begin;
        *begin = sum;
    }
    begins
}
