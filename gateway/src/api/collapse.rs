//! Like spans told as one: what `span_pruning` asks for.
//!
//! A trace of a thousand equal queries is read more easily as one query that stands for a thousand.
//! Spans are *like* each other when they are siblings of one service with the same name, kind,
//! status and attributes to group by, and like spans are below them. The words are those of the
//! Collector's span pruning processor, which Tempo calls; where it would join spans of different
//! parents that stay apart, we do not. Spans that failed are never joined with others.

mod read;
mod summary;

use std::collections::HashMap;

use model::SpanId;
use model::wire::Fault;

use super::prune;
use super::span::{self, Attribute, Span};
use read::Glob;
use summary::Summary;

/// What is joined.
#[derive(Debug)]
pub(super) struct Collapse {
    /// Attributes that leaves must agree in.
    group_by: Vec<Glob>,
    /// Fewer leaves than that stay as they are.
    spans_min: usize,
    /// So many levels above the leaves are joined, too.
    parents_max: usize,
}

/// What a span must share with others to be like them. The attributes count in leaves alone.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Looks<'a> {
    service: String,
    name: &'a [u8],
    kind: u64,
    status: u64,
    attributes: Vec<Attribute<'a>>,
    /// The looks of what is below, each once, in order.
    below: Vec<u32>,
}

impl Collapse {
    /// The same trace with summaries in the place of like spans, and how many spans it has.
    ///
    /// # Errors
    /// When the trace is not what was written.
    pub(super) fn apply(&self, otlp: &[u8]) -> Result<(Vec<u8>, u64), Fault> {
        let spans = span::all(otlp)?;
        let mut forest = Forest::plant(&spans);
        self.look(&spans, &mut forest)?;
        let plan = self.plan(&spans, &forest);
        let mut place = 0;
        prune::rewritten(otlp, |bytes| {
            let at = place;
            place += 1;
            match plan.get(at) {
                Some(Fate::Joined) => Ok(None),
                Some(Fate::Stands(summary)) => summary.written(bytes).map(Some),
                Some(Fate::Stays) | None => Ok(Some(bytes.to_vec())),
            }
        })
    }

    /// Finds what each span looks like, from the leaves upwards.
    fn look(&self, spans: &[Span<'_>], forest: &mut Forest) -> Result<(), Fault> {
        let mut known: HashMap<Looks<'_>, u32> = HashMap::new();
        for at in forest.downwards.iter().rev().copied() {
            let Some(span) = spans.get(at) else { continue };
            let children = forest.below(at);
            let tallest = children.iter().map(|child| forest.height(*child)).max();
            let height = tallest.map_or(0, |height| height.saturating_add(1));
            let mut below: Vec<u32> = children.iter().map(|child| forest.looks(*child)).collect();
            below.sort_unstable();
            below.dedup();
            let attributes = if below.is_empty() { self.grouped(span)? } else { Vec::new() };
            let (service, name) = (span.service()?, span.name);
            let (kind, status) = (span.kind, span.status);
            let looks = Looks { service, name, kind, status, attributes, below };
            let next = u32::try_from(known.len()).unwrap_or(u32::MAX);
            let looks = *known.entry(looks).or_insert(next);
            if let Some(node) = forest.nodes.get_mut(at) {
                // What shares its id with another span may have the other's children.
                let height = if node.is_shared { usize::MAX } else { height };
                (node.height, node.looks) = (height, looks);
            }
        }
        Ok(())
    }

    /// The attributes that a leaf must share, in the order of their keys.
    fn grouped<'a>(&self, span: &Span<'a>) -> Result<Vec<Attribute<'a>>, Fault> {
        let mut grouped = Vec::new();
        if self.group_by.is_empty() {
            return Ok(grouped);
        }
        for attribute in span::attributes(span.bytes, 9) {
            let (key, value) = attribute?;
            if self.group_by.iter().any(|glob| glob.matches(key)) {
                grouped.push((key, value));
            }
        }
        grouped.sort_unstable();
        Ok(grouped)
    }

    /// What becomes of each span, from the roots downwards.
    fn plan(&self, spans: &[Span<'_>], forest: &Forest) -> Vec<Fate> {
        let mut plan = vec![Fate::Stays; spans.len()];
        let mut left: Vec<&[usize]> = forest.families.iter().map(Vec::as_slice).collect();
        while let Some(siblings) = left.pop() {
            for like in forest.like(siblings) {
                if self.is_joined(forest, &like) {
                    join(spans, forest, &like, None, &mut plan);
                } else {
                    left.extend(like.iter().map(|at| forest.below(*at)));
                }
            }
        }
        plan
    }

    /// Whether like siblings become one: at least two, low enough, and enough leaves of each look.
    fn is_joined(&self, forest: &Forest, like: &[usize]) -> bool {
        let Some(first) = like.first() else { return false };
        if like.len() < 2 || forest.height(*first) > self.parents_max {
            return false;
        }
        match forest.children_of(like) {
            children if children.is_empty() => like.len() >= self.spans_min,
            // As many levels as `parents_max` at most.
            children => children.iter().all(|like| self.is_joined(forest, like)),
        }
    }
}

/// What becomes of a span.
#[derive(Clone, Debug)]
enum Fate {
    Stays,
    /// It is in another's summary.
    Joined,
    /// It is the first of several, and is written as all of them.
    Stands(Box<Summary>),
}

/// Joins like spans, and what is below them.
fn join(
    spans: &[Span<'_>],
    forest: &Forest,
    like: &[usize],
    parent: Option<SpanId>,
    plan: &mut [Fate],
) {
    let starts = |at: &usize| (spans.get(*at).map(|span| span.start), *at);
    let Some(first) = like.iter().copied().min_by_key(starts) else { return };
    let joined = like.iter().filter_map(|at| spans.get(*at));
    let summary = Fate::Stands(Box::new(Summary::of(joined, parent)));
    for at in like {
        if let Some(fate) = plan.get_mut(*at) {
            *fate = if *at == first { summary.clone() } else { Fate::Joined };
        }
    }
    let id = spans.get(first).and_then(|span| span.id);
    for children in forest.children_of(like) {
        join(spans, forest, &children, id, plan);
    }
}

/// A span's place in the trace.
#[derive(Clone, Debug, Default)]
struct Node {
    below: Vec<usize>,
    is_shared: bool,
    /// Levels below it.
    height: usize,
    looks: u32,
}

/// The trees of a trace. What is in a circle is in none of them.
#[derive(Debug)]
struct Forest {
    nodes: Vec<Node>,
    /// Spans whose parent is not there, by that parent; and of those that have none each alone.
    families: Vec<Vec<usize>>,
    /// Parents before their children.
    downwards: Vec<usize>,
}

impl Forest {
    fn plant(spans: &[Span<'_>]) -> Self {
        let mut nodes = vec![Node::default(); spans.len()];
        let mut places: HashMap<SpanId, usize> = HashMap::new();
        for (at, span) in spans.iter().enumerate() {
            let Some(id) = span.id else { continue };
            let first = *places.entry(id).or_insert(at);
            if first != at {
                for at in [first, at] {
                    nodes.get_mut(at).into_iter().for_each(|node| node.is_shared = true);
                }
            }
        }
        let mut families: Vec<Vec<usize>> = Vec::new();
        let mut orphans: HashMap<SpanId, usize> = HashMap::new();
        for (at, span) in spans.iter().enumerate() {
            let above = span.parent.and_then(|parent| places.get(&parent));
            match (above.and_then(|above| nodes.get_mut(*above)), span.parent) {
                (Some(parent), _) => parent.below.push(at),
                (None, None) => families.push(vec![at]),
                (None, Some(parent)) => {
                    let place = *orphans.entry(parent).or_insert_with(|| {
                        families.push(Vec::new());
                        families.len() - 1
                    });
                    families.get_mut(place).into_iter().for_each(|family| family.push(at));
                }
            }
        }
        let mut downwards: Vec<usize> = families.iter().flatten().copied().collect();
        let mut next = 0;
        while let Some(at) = downwards.get(next).copied() {
            next += 1;
            downwards.extend(nodes.get(at).into_iter().flat_map(|node| &node.below));
        }
        Self { nodes, families, downwards }
    }

    fn below(&self, at: usize) -> &[usize] {
        self.nodes.get(at).map(|node| node.below.as_slice()).unwrap_or_default()
    }

    fn height(&self, at: usize) -> usize {
        self.nodes.get(at).map_or(usize::MAX, |node| node.height)
    }

    fn looks(&self, at: usize) -> u32 {
        self.nodes.get(at).map_or(u32::MAX, |node| node.looks)
    }

    /// Spans by what they look like, in the order of the first of each.
    fn like(&self, spans: &[usize]) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut places: HashMap<(u32, bool), usize> = HashMap::new();
        for at in spans.iter().copied() {
            let looks = (self.looks(at), self.height(at) == usize::MAX);
            let place = *places.entry(looks).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
            groups.get_mut(place).into_iter().for_each(|group| group.push(at));
        }
        groups
    }

    /// What is below like spans, by what it looks like.
    fn children_of(&self, like: &[usize]) -> Vec<Vec<usize>> {
        let children: Vec<usize> = like.iter().flat_map(|at| self.below(*at)).copied().collect();
        self.like(&children)
    }
}

#[cfg(test)]
mod tests;
