//! The orders of attributes of several batches, as one trie for a row group.

use std::collections::HashMap;

use model::attributes::{Attributes, EMPTY_SHAPE, TAIL};
use model::column::{Type, count};

use super::gather::NONE;
use crate::block::section::lists::Nodes;

/// The trie of one table of a row group.
#[derive(Debug)]
pub(super) struct Shapes {
    nodes: Nodes,
    /// Whether the path to a node (the root is 0) has an attribute of the rest.
    rest: Vec<bool>,
    children: HashMap<(u32, u32), u32, xxhash_rust::xxh3::Xxh3DefaultBuilder>,
    /// The number that stands for an attribute without a column: one past the last column.
    rest_column: u32,
}

/// Where the columns and nodes of one source are in the row group.
#[derive(Debug)]
pub(super) struct Mapped {
    /// The place of each column of the source, or `rest_column`.
    pub(super) places: Vec<u32>,
    nodes: Vec<u32>,
    parents: Vec<(u32, u32)>,
}

impl Mapped {
    pub(super) fn new(
        table: &Attributes,
        rest_column: u32,
        place_of: impl Fn(u32, Type) -> Option<u32>,
    ) -> Self {
        let place = |column: &model::column::Column| {
            place_of(column.key, column.kind).unwrap_or(rest_column)
        };
        let places = table.columns().iter().map(place).collect();
        let parents: Vec<_> = table.nodes().collect();
        let mut nodes = vec![NONE; parents.len() + 1];
        nodes[0] = EMPTY_SHAPE;
        Self { places, nodes, parents }
    }
}

impl Shapes {
    pub(super) fn new(columns: usize) -> Self {
        Self {
            nodes: Nodes::new(),
            rest: vec![false],
            children: HashMap::default(),
            rest_column: count(columns),
        }
    }

    pub(super) fn rest_column(&self) -> u32 {
        self.rest_column
    }

    pub(super) fn into_nodes(self) -> Nodes {
        self.nodes
    }

    /// The shape of a source's row here.
    #[inline]
    pub(super) fn map(&mut self, source: &mut Mapped, shape: u32) -> u32 {
        let node = shape & !TAIL;
        let known = source.nodes[node as usize];
        let mapped = if known == NONE { self.map_path(source, node) } else { known };
        mapped | (shape & TAIL)
    }

    /// Whether a shape of ours has attributes without a column.
    #[inline]
    pub(super) fn has_rest(&self, shape: u32) -> bool {
        shape & TAIL != 0 || self.rest[shape as usize]
    }

    #[cold]
    fn map_path(&mut self, source: &mut Mapped, node: u32) -> u32 {
        let mut path = Vec::new();
        let mut at = node;
        while source.nodes[at as usize] == NONE {
            path.push(at);
            at = source.parents[at as usize - 1].1;
        }
        let mut mapped = source.nodes[at as usize];
        for node in path.into_iter().rev() {
            let (column, _) = source.parents[node as usize - 1];
            let place = source.places[column as usize];
            // A column holds one value of a row: a key that repeats goes to the rest.
            let place = if self.is_on_path(mapped, place) { self.rest_column } else { place };
            mapped = self.child(mapped, place);
            source.nodes[node as usize] = mapped;
        }
        mapped
    }

    fn is_on_path(&self, mut node: u32, place: u32) -> bool {
        while node != EMPTY_SHAPE {
            let (column, parent) = self.nodes[node as usize - 1];
            if column == place && column != self.rest_column {
                return true;
            }
            node = parent;
        }
        false
    }

    fn child(&mut self, parent: u32, column: u32) -> u32 {
        let next = count(self.nodes.len() + 1);
        let child = *self.children.entry((parent, column)).or_insert(next);
        if child == next {
            self.nodes.push((column, parent));
            let rest = self.rest[parent as usize] || column == self.rest_column;
            self.rest.push(rest);
        }
        child
    }
}
