//! The spans of a trace as a tree, and their pre-order.
//!
//! Works on the spans of one part, by their numbers in it; everything is kept in buffers that the
//! next trace uses again. Ids and times are foreign: spans may share ids, name themselves or each
//! other as parents, or start before their parents. Keys are sorted, not hashed: nobody can choose
//! ids that collide.

use model::column::count;

use super::Span;
use super::repeated::{arrival, identity};

/// No span.
const NONE: u32 = u32::MAX;
/// The OTLP kind of servers: of spans that share an id, theirs is the parent.
const SERVER: u32 = 2;
/// Sorts the others that share an id behind the server; their places take the bits below.
const NO_SERVER: u128 = 1 << 63;

/// How the spans of a trace share ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Ids {
    /// Each has its own.
    #[default]
    Distinct,
    /// Spans of different kinds share one.
    Shared,
    /// Spans of the same kind do: they are the same span.
    Repeated,
}

/// What is known of a trace when its spans are in order.
#[derive(Debug, Default)]
pub(super) struct Grown {
    /// The row of the earliest span that names no parent.
    pub(super) root: Option<u32>,
    /// Whether a span names a parent that is not there.
    pub(super) misses_parents: bool,
}

/// Parents and children, in buffers that are used again.
#[derive(Debug, Default)]
pub(super) struct Tree {
    ids: Ids,
    /// Each ends with the span's number; sorted by id, and after that by kind or by who is to be
    /// the parent.
    by_id: Vec<u128>,
    /// Start, place among `by_id`, number of the span.
    by_start: Vec<u128>,
    links: Vec<Links>,
    order: Vec<u32>,
}

/// Where a span stands in the tree.
#[derive(Clone, Copy, Debug)]
struct Links {
    parent: u32,
    /// The earliest child.
    child: u32,
    /// The parent's next child.
    sibling: u32,
    /// The span's place in the order, once it has one.
    row: u32,
}

impl Tree {
    /// Sorts the spans by their identities.
    pub(super) fn index(&mut self, spans: &[Span]) -> Ids {
        self.by_id.clear();
        let keys = spans.iter().zip(0..).map(|(span, at)| identity(span.id, span.kind, at));
        self.by_id.extend(keys);
        self.by_id.sort_unstable();
        let mut ids = Ids::Distinct;
        for pair in self.by_id.windows(2) {
            let [a, b] = pair else { continue };
            if a >> 32 == b >> 32 {
                ids = Ids::Repeated;
                break;
            }
            if a >> 64 == b >> 64 {
                ids = Ids::Shared;
            }
        }
        self.ids = ids;
        ids
    }

    /// The identities of the spans that were indexed, ascending.
    pub(super) fn identities(&self) -> &[u128] {
        &self.by_id
    }

    /// Puts the spans, which are indexed, in pre-order: siblings and roots by start, then id, then
    /// kind. Appends how many rows before each its parent stands, 0 where it has none.
    pub(super) fn grow(&mut self, spans: &[Span], distances: &mut Vec<u32>) -> Grown {
        self.sort_by_start(spans);
        if self.ids != Ids::Distinct {
            self.sort_parents_first(spans);
        }
        let mut grown = Grown { misses_parents: self.find_parents(spans), root: None };
        self.link_children();
        self.order.clear();
        for position in 0..self.by_start.len() {
            let at = arrival(self.by_start[position]);
            if self.links[at].parent != NONE {
                continue;
            }
            if spans[at].parent == 0 && grown.root.is_none() {
                grown.root = Some(count(self.order.len()));
            }
            self.descend(count(at), distances);
        }
        self.cut_circles(distances);
        grown
    }

    /// The spans in the order that [`Tree::grow`] found, by their numbers.
    pub(super) fn order(&self) -> impl Iterator<Item = usize> {
        self.order.iter().map(|at| *at as usize)
    }

    fn sort_by_start(&mut self, spans: &[Span]) {
        self.by_start.clear();
        let keys = self.by_id.iter().zip(0_u32..).map(|(key, rank)| {
            let at = arrival(*key);
            u128::from(spans[at].start) << 64 | u128::from(rank) << 32 | at as u128
        });
        self.by_start.extend(keys);
        self.by_start.sort_unstable();
    }

    /// Sorts spans that share an id by which is to be the parent of those that name it.
    fn sort_parents_first(&mut self, spans: &[Span]) {
        self.by_id.clear();
        let keys = self.by_start.iter().zip(0_u32..).map(|(key, rank)| {
            let at = arrival(*key);
            let server = if spans[at].kind == SERVER { 0 } else { NO_SERVER };
            u128::from(spans[at].id) << 64 | server | u128::from(rank) << 32 | at as u128
        });
        self.by_id.extend(keys);
        self.by_id.sort_unstable();
    }

    /// Whether a parent is not there.
    fn find_parents(&mut self, spans: &[Span]) -> bool {
        let mut misses = false;
        self.links.clear();
        let by_id = &self.by_id;
        self.links.extend(spans.iter().zip(0..).map(|(span, at)| {
            let parent = match span.parent {
                0 => NONE,
                id => find_parent(by_id, id, at).unwrap_or(NONE),
            };
            misses |= span.parent != 0 && parent == NONE;
            Links { parent, child: NONE, sibling: NONE, row: NONE }
        }));
        misses
    }

    /// From the last one, so that lists of children begin with the earliest.
    fn link_children(&mut self) {
        for key in self.by_start.iter().rev() {
            let at = arrival(*key);
            let parent = self.links[at].parent;
            if parent != NONE {
                let parent = &mut self.links[parent as usize];
                let sibling = std::mem::replace(&mut parent.child, count(at));
                self.links[at].sibling = sibling;
            }
        }
    }

    /// Appends a span and all below it. Traces are as deep as they like: no recursion.
    fn descend(&mut self, root: u32, distances: &mut Vec<u32>) {
        let mut at = root;
        loop {
            let row = count(self.order.len());
            let parent = self.links[at as usize].parent;
            let distance = self.links.get(parent as usize).map_or(0, |parent| row - parent.row);
            self.links[at as usize].row = row;
            self.order.push(at);
            distances.push(distance);
            let Links { child, .. } = self.links[at as usize];
            if child != NONE {
                at = child;
                continue;
            }
            loop {
                if at == root {
                    return;
                }
                let Links { parent, sibling, .. } = self.links[at as usize];
                if sibling != NONE {
                    at = sibling;
                    break;
                }
                at = parent;
            }
        }
    }

    /// Appends what no root reaches, which is in circles or below one: the earliest of it loses
    /// its parent, and so on.
    fn cut_circles(&mut self, distances: &mut Vec<u32>) {
        for position in 0..self.by_start.len() {
            if self.order.len() == self.links.len() {
                return;
            }
            let at = arrival(self.by_start[position]);
            let Links { parent, sibling, row, .. } = self.links[at];
            if row != NONE {
                continue;
            }
            // Earlier children of the same parent have been cut off before.
            debug_assert!(self.links[parent as usize].child as usize == at, "the first child");
            self.links[parent as usize].child = sibling;
            self.links[at].parent = NONE;
            self.descend(count(at), distances);
        }
    }
}

/// The span with this id that is the parent of `child`, which is never its own.
#[inline]
fn find_parent(by_id: &[u128], id: u64, child: u32) -> Option<u32> {
    let from = by_id.partition_point(|key| key >> 64 < u128::from(id));
    let mut same = by_id.get(from..)?.iter().take_while(|key| *key >> 64 == u128::from(id));
    same.by_ref().map(|key| count(arrival(*key))).find(|parent| *parent != child)
}
