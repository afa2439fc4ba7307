//! The attributes of a table's rows: a column per key and type, and the order they came in.
//!
//! The spans of one program carry the same keys in the same order, so the order is kept as a
//! *shape*: a path in a trie of columns, one number per row. The walk also leans on it: the next
//! key is compared with the children of the node it stands on before anything is hashed.

mod cut;

use std::ops::Range;

use hashbrown::HashTable;

pub(crate) use cut::Cut;

use crate::column::{Column, Interner, Type, Values, count};

/// The shape of a row without attributes.
pub const EMPTY_SHAPE: u32 = 0;

/// Set in a row's shape where its last attributes did not fit the trie: one more overflow value
/// follows the path.
pub const TAIL: u32 = 1 << 31;

/// Most nodes of the trie; random key orders end in the overflow column.
const NODES_MAX: usize = 1 << 16;

/// Most nodes of a trie that is read: a row group has those of all batches that it was made of.
const BLOCK_NODES_MAX: usize = 1 << 22;

/// Attributes of a row that get nodes; the others are its tail. A single row cannot use up the
/// trie.
const DEPTH_MAX: u32 = 1 << 10;

/// No node, no column.
const NONE: u32 = u32::MAX;

/// Columns and shapes of one table (spans, events or links).
#[derive(Debug)]
pub struct Attributes {
    columns: Vec<Column>,
    /// The place of the overflow column, if there is one.
    overflow: Option<u32>,
    by_key: HashTable<u32>,
    nodes: Vec<Node>,
    children: HashTable<u32>,
    shapes: Vec<u32>,
    /// Rows of a table that was read without shapes; 0 in others.
    rows: usize,
    /// What the row that is being written has behind its path.
    tail: Vec<u8>,
    seed: u64,
}

#[derive(Debug)]
struct Node {
    column: u32,
    parent: u32,
    depth: u32,
    /// Where the column's key stands among the keys, and its type: what the walk compares.
    key: Range<u32>,
    kind: Type,
    /// The first few children, compared before the hash table is asked.
    near: [u32; 4],
}

/// What a request may still add to the tables; keys past it go to the overflow column.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// New columns that the tenant may still bring.
    pub keys_left: usize,
    /// Most columns of one table.
    pub columns_max: usize,
    /// Attributes that went to the overflow column.
    pub overflowed: u64,
}

/// Longer keys get no column of their own.
const KEY_BYTES_MAX: usize = 256;

/// A value on its way into a column.
#[derive(Clone, Copy, Debug)]
pub enum Put<'a> {
    /// Text, possibly invalid.
    Text(&'a [u8]),
    /// Bytes, or an encoded message.
    Bytes(&'a [u8]),
    /// Bits.
    Word(u64),
}

impl Attributes {
    /// An empty table.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let root = Node {
            column: NONE,
            parent: NONE,
            depth: 0,
            key: 0..0,
            kind: Type::Empty,
            near: [NONE; 4],
        };
        Self {
            columns: Vec::new(),
            overflow: None,
            by_key: HashTable::new(),
            nodes: vec![root],
            children: HashTable::new(),
            shapes: Vec::new(),
            rows: 0,
            tail: Vec::new(),
            seed,
        }
    }

    /// A table as a block has it. `nodes` are the trie without its root, each as the place of its
    /// column and the number of its parent (0 is the root, the first of `nodes` is 1); `shapes`
    /// are one for each of `rows`, with [`TAIL`] where more overflow follows the path, or none at all
    /// where they were not read. `None` where one of them points at something that is not there.
    #[must_use]
    pub fn from_parts(
        keys: &Interner,
        columns: Vec<Column>,
        nodes: &[(u32, u32)],
        rows: usize,
        shapes: Vec<u32>,
    ) -> Option<Self> {
        let mut table = Self::new(0);
        let sound = |column: &Column| column.is_sound(rows, keys.len());
        if !shapes.is_empty() && shapes.len() != rows {
            return None;
        }
        if nodes.len() >= BLOCK_NODES_MAX || !columns.iter().all(sound) {
            return None;
        }
        for (column, parent) in nodes {
            let Column { key, kind, .. } = *columns.get(*column as usize)?;
            let depth = table.nodes.get(*parent as usize)?.depth + 1;
            if depth > DEPTH_MAX {
                return None;
            }
            let key = keys.place(key);
            let (column, parent, near) = (*column, *parent, [NONE; 4]);
            table.nodes.push(Node { column, parent, depth, key, kind, near });
        }
        if shapes.iter().any(|shape| (shape & !TAIL) as usize >= table.nodes.len()) {
            return None;
        }
        table.overflow = columns.iter().position(|c| c.kind == Type::Overflow).map(count);
        (table.columns, table.shapes, table.rows) = (columns, shapes, rows);
        Some(table)
    }

    /// The nodes of the trie without its root, as [`Attributes::from_parts`] takes them.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = (u32, u32)> {
        self.nodes.iter().skip(1).map(|node| (node.column, node.parent))
    }

    /// The shape of each row: a node, and [`TAIL`].
    #[must_use]
    pub fn shapes(&self) -> &[u32] {
        &self.shapes
    }

    /// The columns, in order of appearance.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Appends one attribute of `row` behind the ones at `node`; returns the node behind it, or
    /// `None` where it belongs into the overflow column ([`Attributes::put_overflow`]).
    #[inline]
    pub fn put(
        &mut self,
        keys: &mut Interner,
        budget: &mut Budget,
        at: (u32, u32),
        key: &[u8],
        kind: Type,
        value: Put<'_>,
    ) -> Option<u32> {
        let (row, node) = at;
        let child = match self.near(keys, node, key, kind) {
            Some(child) => child,
            None => self.far(keys, budget, node, key, kind)?,
        };
        self.push(child, row, value);
        Some(child)
    }

    /// Appends encoded attributes of `row` (each a field 1) to the overflow column. They stay in
    /// their place in the row's order; where even that does not fit, the returned node says so
    /// and only further overflow may follow ([`is_tail`]).
    pub fn put_overflow(&mut self, keys: &mut Interner, at: (u32, u32), field: &[u8]) -> u32 {
        let (row, node) = at;
        if !is_tail(node) {
            let column = self.column(keys, b"", Type::Overflow);
            if let Some(child) = self.child(keys, node, column) {
                self.push(child, row, Put::Bytes(field));
                return child;
            }
        }
        self.tail.extend_from_slice(field);
        node | TAIL
    }

    /// Ends the row: its attributes are those on the path to `node`.
    #[inline]
    pub fn end_row(&mut self, keys: &mut Interner, node: u32) {
        if is_tail(node) {
            self.end_tail(keys);
        }
        self.shapes.push(node);
    }

    /// The tail becomes one value of the overflow column.
    #[cold]
    fn end_tail(&mut self, keys: &mut Interner) {
        let row = count(self.shapes.len());
        let column = self.column(keys, b"", Type::Overflow);
        let column = &mut self.columns[column as usize];
        column.rows.push(row);
        if let Values::Codes(codes, blobs) = &mut column.values {
            codes.push(blobs.intern(&self.tail));
        }
        self.tail = Vec::new();
    }

    /// Takes back the values of `row`, which got as far as `node` and was not ended.
    pub fn undo(&mut self, row: u32, node: u32) {
        self.tail = Vec::new();
        self.pop_path(row, node);
    }

    fn pop_path(&mut self, row: u32, node: u32) {
        let mut node = node & !TAIL;
        while node != EMPTY_SHAPE {
            let Node { column, parent, .. } = self.nodes[node as usize];
            self.columns[column as usize].pop(row);
            node = parent;
        }
    }

    fn pop_overflow(&mut self, row: u32) {
        if let Some(column) = self.overflow.and_then(|at| self.columns.get_mut(at as usize)) {
            column.pop(row);
        }
    }

    /// Takes back the last row, which was ended.
    pub fn pop_row(&mut self) {
        if let Some(node) = self.shapes.pop() {
            let row = count(self.shapes.len());
            if is_tail(node) {
                self.pop_overflow(row);
            }
            self.pop_path(row, node);
        }
    }

    /// Rows that were ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shapes.len().max(self.rows)
    }

    /// Whether no row was ended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The attributes of a row in their order: column and position in it.
    pub fn row(&self, row: u32) -> Vec<(&Column, usize)> {
        let placed = self.row_placed(row).into_iter();
        placed.map(|(place, position)| (&self.columns[place as usize], position)).collect()
    }

    /// The same, each column as its place among [`Attributes::columns`].
    pub fn row_placed(&self, row: u32) -> Vec<(u32, usize)> {
        let shape = self.shapes.get(row as usize).copied().unwrap_or(EMPTY_SHAPE);
        let mut found = Vec::new();
        if is_tail(shape) {
            found.extend(self.overflow);
        }
        let mut node = shape & !TAIL;
        while node != EMPTY_SHAPE {
            let Node { column, parent, .. } = self.nodes[node as usize];
            found.push(column);
            node = parent;
        }
        // A key that the row repeats stands in its column as often: the last one is met first.
        let mut taken: Vec<(u32, usize)> = Vec::new();
        let mut attributes: Vec<(u32, usize)> = found
            .into_iter()
            .filter_map(|place| {
                let column = &self.columns[place as usize];
                let end = match taken.iter_mut().find(|(seen, _)| *seen == place) {
                    Some((_, end)) => end,
                    None => {
                        taken.push((place, column.positions(row).end));
                        let last = taken.len() - 1;
                        &mut taken[last].1
                    }
                };
                // Only a block that is not what was written names a value that is not there.
                *end = end.checked_sub(1).filter(|at| column.rows.get(*at) == Some(&row))?;
                Some((place, *end))
            })
            .collect();
        attributes.reverse();
        attributes
    }

    /// Heap bytes held.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.columns.iter().map(|c| size_of::<Column>() + c.heap_bytes()).sum::<usize>()
            + self.nodes.capacity() * (size_of::<Node>() + 10)
            + self.shapes.capacity() * 4
    }

    #[inline]
    fn near(&self, keys: &Interner, node: u32, key: &[u8], kind: Type) -> Option<u32> {
        if is_tail(node) {
            return None;
        }
        let near = self.nodes[node as usize].near;
        near.into_iter().take_while(|child| *child != NONE).find(|child| {
            let node = &self.nodes[*child as usize];
            node.kind == kind && keys.at(&node.key) == key
        })
    }

    #[cold]
    fn far(
        &mut self,
        keys: &mut Interner,
        budget: &mut Budget,
        node: u32,
        key: &[u8],
        kind: Type,
    ) -> Option<u32> {
        if is_tail(node) || key.len() > KEY_BYTES_MAX {
            return None;
        }
        let column = match self.find(keys, key, kind) {
            Some(column) => column,
            None if budget.keys_left > 0 && self.columns.len() < budget.columns_max => {
                budget.keys_left -= 1;
                self.column(keys, key, kind)
            }
            None => return None,
        };
        self.child(keys, node, column)
    }

    /// Makes a column before any row asks for it.
    pub(crate) fn pin(&mut self, keys: &mut Interner, key: &str, kind: Type) {
        self.column(keys, key.as_bytes(), kind);
    }

    fn find(&self, keys: &Interner, key: &[u8], kind: Type) -> Option<u32> {
        let key = keys.find(key)?;
        let same = |i: &u32| {
            let column = &self.columns[*i as usize];
            column.key == key && column.kind == kind
        };
        self.by_key.find(mix(key, kind as u32), same).copied()
    }

    fn column(&mut self, keys: &mut Interner, key: &[u8], kind: Type) -> u32 {
        if let Some(column) = self.find(keys, key, kind) {
            return column;
        }
        let key = keys.intern_text(key);
        let same = |i: &u32| {
            let column = &self.columns[*i as usize];
            column.key == key && column.kind == kind
        };
        if let Some(column) = self.by_key.find(mix(key, kind as u32), same) {
            return *column;
        }
        let column = count(self.columns.len());
        self.columns.push(Column::new(key, kind, self.seed));
        if kind == Type::Overflow {
            self.overflow = Some(column);
        }
        let columns = &self.columns;
        self.by_key.insert_unique(mix(key, kind as u32), column, |i| {
            let column = &columns[*i as usize];
            mix(column.key, column.kind as u32)
        });
        column
    }

    /// The child of `node` for `column`, made where there is none; `None` when the trie is full.
    fn child(&mut self, keys: &Interner, node: u32, column: u32) -> Option<u32> {
        let nodes = &self.nodes;
        let same = |i: &u32| {
            let child = &nodes[*i as usize];
            child.parent == node && child.column == column
        };
        let child = match self.children.find(mix(node, column), same) {
            Some(child) => *child,
            None if nodes.len() >= NODES_MAX || nodes[node as usize].depth >= DEPTH_MAX => {
                return None;
            }
            None => {
                let child = count(nodes.len());
                let Column { key, kind, .. } = self.columns[column as usize];
                let key = keys.place(key);
                let depth = nodes[node as usize].depth + 1;
                self.nodes.push(Node { column, parent: node, depth, key, kind, near: [NONE; 4] });
                let nodes = &self.nodes;
                self.children.insert_unique(mix(node, column), child, |i| {
                    let child = &nodes[*i as usize];
                    mix(child.parent, child.column)
                });
                child
            }
        };
        let near = &mut self.nodes[node as usize].near;
        if let Some(free) = near.iter_mut().find(|seen| **seen == NONE || **seen == child) {
            *free = child;
        }
        Some(child)
    }

    #[inline]
    fn push(&mut self, node: u32, row: u32, value: Put<'_>) {
        let column = &mut self.columns[self.nodes[node as usize].column as usize];
        column.rows.push(row);
        match (&mut column.values, value) {
            (Values::Codes(codes, dictionary), Put::Text(text)) => {
                codes.push(dictionary.intern_text(text));
            }
            (Values::Codes(codes, dictionary), Put::Bytes(bytes)) => {
                codes.push(dictionary.intern(bytes));
            }
            (Values::Words(words), Put::Word(word)) => words.push(word),
            _ => unreachable!("the type of a value is the type of its column"),
        }
    }
}

/// Whether only overflow may follow this node.
#[must_use]
#[inline]
pub const fn is_tail(node: u32) -> bool {
    node & TAIL != 0
}

#[inline]
fn mix(a: u32, b: u32) -> u64 {
    let word = (u64::from(a) << 32 | u64::from(b)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    word ^ word >> 29
}
