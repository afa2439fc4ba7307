//! Who is whose parent among the spans of a trace, and the numbers of their nested sets.
//!
//! Ids and times are foreign: spans may share ids, name themselves or each other as parents. What no
//! root reaches is not connected: its numbers are 0, and it takes part in no structural match.

use model::column::count;
use traceql::ast::{Keep, Relation};

/// No span.
const NONE: u32 = u32::MAX;
/// The OTLP kind of servers: of spans that share an id, theirs is the parent.
const SERVER: i32 = 2;

/// What is known of a span before its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) id: u64,
    /// 0 at a root.
    pub(super) parent: u64,
    pub(super) kind: i32,
    /// Effective start.
    pub(super) start: u64,
}

/// The spans of a trace as a tree.
#[derive(Debug)]
pub(super) struct Tree {
    parent: Vec<u32>,
    children: Vec<u32>,
    /// Those that are connected, in pre-order.
    order: Vec<u32>,
    /// Left and right numbers; zeros where not connected.
    sets: Vec<(u32, u32)>,
}

impl Tree {
    pub(super) fn new(nodes: &[Node]) -> Self {
        let mut by_id: Vec<u32> = (0..count(nodes.len())).collect();
        let rank = |at: &u32| {
            let node = nodes[*at as usize];
            (node.id, node.kind != SERVER, node.start, node.kind, *at)
        };
        by_id.sort_unstable_by_key(rank);
        let parent: Vec<u32> = (0..)
            .zip(nodes)
            .map(|(at, node)| find_parent(nodes, &by_id, at, node.parent))
            .collect();
        let mut children = vec![0; nodes.len()];
        parent.iter().filter(|parent| **parent != NONE).for_each(|p| children[*p as usize] += 1);
        let mut tree =
            Self { parent, children, order: Vec::new(), sets: vec![(0, 0); nodes.len()] };
        tree.walk(nodes);
        tree
    }

    /// The tree of a trace as rows of a block have it: in pre-order, each with the distance to its
    /// parent's row, 0 at roots.
    pub(super) fn of_rows(distances: &[u32]) -> Self {
        let len = distances.len();
        let (mut parent, mut children) = (vec![NONE; len], vec![0; len]);
        let (mut order, mut sets) = (Vec::with_capacity(len), vec![(0, 0); len]);
        let mut open: Vec<u32> = Vec::new();
        let mut number = 0;
        for (row, distance) in (0_u32..).zip(distances) {
            let at = row as usize;
            let above = if *distance == 0 { NONE } else { row.wrapping_sub(*distance) };
            if let Some((parent, children)) =
                parent.get_mut(at).zip(children.get_mut(above as usize))
            {
                *parent = above;
                *children += 1;
            }
            while open.last().is_some_and(|last| *last != above) {
                number += 1;
                if let Some(set) = open.pop().and_then(|last| sets.get_mut(last as usize)) {
                    set.1 = number;
                }
            }
            number += 1;
            sets[at].0 = number;
            order.push(row);
            open.push(row);
        }
        while let Some(last) = open.pop() {
            number += 1;
            sets[last as usize].1 = number;
        }
        Self { parent, children, order, sets }
    }

    /// Puts what roots reach in pre-order: siblings and roots by start, then id, then kind.
    fn walk(&mut self, nodes: &[Node]) {
        let mut by_start: Vec<u32> = (0..count(nodes.len())).collect();
        by_start.sort_unstable_by_key(|at| {
            let node = nodes[*at as usize];
            (node.start, node.id, node.kind, *at)
        });
        // Lists of children, earliest first: each span knows its first child and its next sibling.
        let (mut child, mut sibling) = (vec![NONE; nodes.len()], vec![NONE; nodes.len()]);
        for at in by_start.iter().rev() {
            let parent = self.parent[*at as usize];
            if parent != NONE {
                sibling[*at as usize] = std::mem::replace(&mut child[parent as usize], *at);
            }
        }
        let mut number = 0;
        let roots = by_start.iter().filter(|at| nodes[**at as usize].parent == 0);
        for root in roots {
            let mut at = *root;
            'down: loop {
                number += 1;
                self.order.push(at);
                self.sets[at as usize].0 = number;
                if child[at as usize] != NONE {
                    at = child[at as usize];
                    continue;
                }
                loop {
                    number += 1;
                    self.sets[at as usize].1 = number;
                    if at == *root {
                        break 'down;
                    }
                    if sibling[at as usize] != NONE {
                        at = sibling[at as usize];
                        break;
                    }
                    at = self.parent[at as usize];
                }
            }
        }
    }

    /// The parent, where it is there.
    pub(super) fn parent(&self, span: u32) -> Option<u32> {
        self.parent.get(span as usize).copied().filter(|parent| *parent != NONE)
    }

    pub(super) fn children(&self, span: u32) -> u32 {
        self.children.get(span as usize).copied().unwrap_or(0)
    }

    pub(super) fn left(&self, span: u32) -> i64 {
        self.sets.get(span as usize).map_or(0, |(left, _)| i64::from(*left))
    }

    pub(super) fn right(&self, span: u32) -> i64 {
        self.sets.get(span as usize).map_or(0, |(_, right)| i64::from(*right))
    }

    /// The left number of the parent: -1 of a root, 0 where not connected.
    pub(super) fn parent_set(&self, span: u32) -> i64 {
        match self.parent(span) {
            _ if !self.is_connected(span) => 0,
            Some(parent) => self.left(parent),
            None => -1,
        }
    }

    fn is_connected(&self, span: u32) -> bool {
        self.left(span) > 0
    }

    /// The spans that a structural operator leaves, ascending.
    pub(super) fn relate(
        &self,
        relation: Relation,
        keep: Keep,
        lhs: &[u32],
        rhs: &[u32],
    ) -> Vec<u32> {
        let (left, right) = (self.marked(lhs), self.marked(rhs));
        let related = self.related(relation, &left);
        let matched = |at: &u32| related[*at as usize];
        match keep {
            Keep::Right => rhs.iter().copied().filter(matched).collect(),
            Keep::Unmatched => rhs.iter().copied().filter(|at| !matched(at)).collect(),
            Keep::Both => {
                let opposite = match relation {
                    Relation::Child => Relation::Parent,
                    Relation::Parent => Relation::Child,
                    Relation::Descendant => Relation::Ancestor,
                    Relation::Ancestor => Relation::Descendant,
                    Relation::Sibling => Relation::Sibling,
                };
                let back = self.related(opposite, &right);
                let mut both: Vec<u32> = rhs.iter().copied().filter(matched).collect();
                both.extend(lhs.iter().copied().filter(|at| back[*at as usize]));
                both.sort_unstable();
                both.dedup();
                both
            }
        }
    }

    fn marked(&self, spans: &[u32]) -> Vec<bool> {
        let mut marked = vec![false; self.parent.len()];
        for span in spans.iter().filter(|span| self.is_connected(**span)) {
            marked[*span as usize] = true;
        }
        marked
    }

    /// Which spans are so related to a span that is marked; one pass.
    fn related(&self, relation: Relation, marked: &[bool]) -> Vec<bool> {
        let mut related = vec![false; marked.len()];
        let order = || self.order.iter().map(|at| *at as usize);
        let parent = |at: usize| self.parent[at] as usize;
        let has_parent = |at: &usize| self.parent[*at] != NONE;
        match relation {
            Relation::Child => {
                order().filter(has_parent).for_each(|at| related[at] = marked[parent(at)]);
            }
            Relation::Descendant => {
                for at in order().filter(has_parent) {
                    related[at] = marked[parent(at)] || related[parent(at)];
                }
            }
            Relation::Parent => {
                order().filter(has_parent).for_each(|at| related[parent(at)] |= marked[at]);
            }
            Relation::Ancestor => {
                for at in order().rev().filter(has_parent) {
                    related[parent(at)] |= marked[at] || related[at];
                }
            }
            Relation::Sibling => {
                let mut counts = vec![0u32; marked.len()];
                for at in order().filter(has_parent) {
                    counts[parent(at)] += u32::from(marked[at]);
                }
                for at in order().filter(has_parent) {
                    related[at] = counts[parent(at)] > u32::from(marked[at]);
                }
            }
        }
        related
    }
}

/// The span with this id that is the parent of `child`, which is never its own.
fn find_parent(nodes: &[Node], by_id: &[u32], child: u32, id: u64) -> u32 {
    if id == 0 {
        return NONE;
    }
    let from = by_id.partition_point(|at| nodes[*at as usize].id < id);
    let same = by_id.get(from..).unwrap_or_default().iter();
    let mut same = same.take_while(|at| nodes[**at as usize].id == id);
    same.find(|at| **at != child).copied().unwrap_or(NONE)
}
