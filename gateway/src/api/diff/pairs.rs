//! Which span of one trace is which of the other.
//!
//! Ids tell nothing: each run has its own. Spans of one name are paired in rounds, the most alike
//! first: below the same parent with the same content, with the same status, any; then below other
//! parents likewise. Within a round they are paired by duration, so that the order of siblings means
//! nothing. Each round is one pass over the spans.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::Hash;

use super::tree::{Node, Tree};

/// For each span of `compare` the one of `base`, if there is one.
pub(super) fn pairs(base: &Tree<'_>, compare: &Tree<'_>) -> Vec<Option<usize>> {
    let mut rounds = Rounds {
        base,
        compare,
        base_order: by_duration(base),
        compare_order: by_duration(compare),
        used: vec![false; base.nodes.len()],
        found: vec![None; compare.nodes.len()],
    };
    rounds.pair(|node| (node.name, node.above, node.span.status, node.content.as_str()));
    rounds.pair(|node| (node.name, node.above, node.span.status));
    rounds.pair(|node| (node.name, node.above));
    rounds.pair(|node| (node.name, node.span.status, node.content.as_str()));
    rounds.pair(|node| (node.name, node.span.status));
    rounds.pair(|node| node.name);
    rounds.found
}

fn by_duration(tree: &Tree<'_>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..tree.nodes.len()).collect();
    order.sort_by_key(|at| tree.nodes.get(*at).map(|node| node.duration));
    order
}

struct Rounds<'t> {
    base: &'t Tree<'t>,
    compare: &'t Tree<'t>,
    base_order: Vec<usize>,
    compare_order: Vec<usize>,
    used: Vec<bool>,
    found: Vec<Option<usize>>,
}

impl<'t> Rounds<'t> {
    /// Pairs what is left and has the same key.
    fn pair<K: Eq + Hash>(&mut self, key: impl Fn(&'t Node<'t>) -> K) {
        let mut free: HashMap<K, VecDeque<usize>> = HashMap::new();
        for at in &self.base_order {
            if let (Some(false), Some(node)) = (self.used.get(*at), self.base.nodes.get(*at)) {
                free.entry(key(node)).or_default().push_back(*at);
            }
        }
        for at in &self.compare_order {
            if let (Some(found @ None), Some(node)) =
                (self.found.get_mut(*at), self.compare.nodes.get(*at))
                && let Some(base) = free.get_mut(&key(node)).and_then(VecDeque::pop_front)
            {
                *found = Some(base);
                self.used.get_mut(base).into_iter().for_each(|used| *used = true);
            }
        }
    }
}

/// How many names have spans that could be paired in several ways.
pub(super) fn ambiguous(base: &Tree<'_>, compare: &Tree<'_>) -> usize {
    // By name, then by the parent's: spans of either trace.
    let mut counts: BTreeMap<usize, BTreeMap<Option<usize>, (usize, usize)>> = BTreeMap::new();
    for node in &base.nodes {
        counts.entry(node.name).or_default().entry(node.above).or_default().0 += 1;
    }
    for node in &compare.nodes {
        counts.entry(node.name).or_default().entry(node.above).or_default().1 += 1;
    }
    let several = |base: usize, compare: usize| base.min(compare) > 0 && base.max(compare) > 1;
    let is_ambiguous = |parents: &&BTreeMap<Option<usize>, (usize, usize)>| {
        let left = parents.values().fold((0, 0), |(in_base, in_compare), (base, compare)| {
            (in_base + base.saturating_sub(*compare), in_compare + compare.saturating_sub(*base))
        });
        parents.values().any(|(base, compare)| several(*base, *compare)) || several(left.0, left.1)
    };
    counts.values().filter(is_ambiguous).count()
}
