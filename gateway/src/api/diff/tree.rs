//! A trace in an order that does not depend on who reads it: parents before children, siblings by
//! start.

use std::collections::HashMap;

use model::wire::Fault;
use model::{Nanos, SpanId, TraceId};
use serde_json::{Map, Value as Json};

use super::Warning;
use crate::api::span::{self, Span};

/// What a span is known by in both traces: where it comes from and what it does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name {
    pub(super) service: String,
    pub(super) name: String,
    pub(super) kind: &'static str,
}

/// The names of both traces, each once.
#[derive(Debug, Default)]
pub(super) struct Names {
    numbers: HashMap<Name, usize>,
    list: Vec<Name>,
}

impl Names {
    fn number(&mut self, span: &Span<'_>) -> Result<usize, Fault> {
        let name = String::from_utf8_lossy(span.name).into_owned();
        let name = Name { service: span.service()?, name, kind: span.kind_word() };
        if let Some(known) = self.numbers.get(&name) {
            return Ok(*known);
        }
        let number = self.list.len();
        self.list.push(name.clone());
        self.numbers.insert(name, number);
        Ok(number)
    }

    /// The name of a number that was given for it.
    pub(super) fn get(&self, number: usize) -> &Name {
        static NONE: Name = Name { service: String::new(), name: String::new(), kind: "" };
        self.list.get(number).unwrap_or(&NONE)
    }
}

/// One span and where it stands.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) span: Span<'a>,
    /// What it is known by.
    pub(super) name: usize,
    /// What its parent is known by.
    pub(super) above: Option<usize>,
    parent: Option<usize>,
    /// Among its siblings.
    place: usize,
    pub(super) attributes: Map<String, Json>,
    /// The same as text, to find equal ones by.
    pub(super) content: String,
    /// Nothing where it has no start, or ends before it.
    pub(super) duration: Option<i64>,
}

impl Node<'_> {
    /// Its place among its siblings.
    pub(super) const fn place(&self) -> usize {
        self.place
    }
}

/// The spans of a trace, parents before their children.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub(super) id: TraceId,
    pub(super) nodes: Vec<Node<'a>>,
    /// Spans whose id another one has, too.
    shared: usize,
}

impl<'a> Tree<'a> {
    /// # Errors
    /// When the trace is not what was written.
    pub(super) fn plant(id: TraceId, otlp: &'a [u8], names: &mut Names) -> Result<Self, Fault> {
        let spans = span::all(otlp)?;
        let mut places: HashMap<SpanId, usize> = HashMap::new();
        let mut order: Vec<usize> = (0..spans.len()).collect();
        order.sort_by_key(|at| spans.get(*at).map(|span| (span.start, span.id.map(key))));
        let mut shared = 0;
        for at in order.iter().copied() {
            if let Some(id) = spans.get(at).and_then(|span| span.id) {
                shared += usize::from(*places.entry(id).or_insert(at) != at);
            }
        }
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
        let mut roots = Vec::new();
        for at in order.iter().copied() {
            let parent = spans.get(at).and_then(|span| span.parent);
            let parent = parent.and_then(|parent| below.get_mut(*places.get(&parent)?));
            parent.unwrap_or(&mut roots).push(at);
        }
        let mut tree = Self { id, nodes: Vec::with_capacity(spans.len()), shared };
        let mut seen = vec![false; spans.len()];
        // What is in a circle has no root: the first of it is taken for one.
        let mut left: Vec<(usize, Option<usize>, usize)> = Vec::new();
        let mut next_root = 0;
        for root in roots.into_iter().chain(order) {
            left.push((root, None, next_root));
            while let Some((at, parent, place)) = left.pop() {
                let Some(seen) = seen.get_mut(at).filter(|seen| !**seen) else { continue };
                *seen = true;
                let Some(span) = spans.get(at) else { continue };
                next_root += usize::from(parent.is_none());
                let this = tree.nodes.len();
                tree.add(*span, parent, place, names)?;
                let children = below.get(at).map(Vec::as_slice).unwrap_or_default();
                let children = children.iter().enumerate().rev();
                left.extend(children.map(|(place, child)| (*child, Some(this), place)));
            }
        }
        Ok(tree)
    }

    fn add(
        &mut self,
        span: Span<'a>,
        parent: Option<usize>,
        place: usize,
        names: &mut Names,
    ) -> Result<(), Fault> {
        let attributes = span::flat(span.bytes, 9)?;
        let content = Json::Object(attributes.clone()).to_string();
        let is_valid = span.start > Nanos(0) && span.end >= span.start;
        let duration = i64::try_from(span.duration().0).unwrap_or(i64::MAX);
        let above = parent.and_then(|parent| self.nodes.get(parent)).map(|parent| parent.name);
        self.nodes.push(Node {
            span,
            name: names.number(&span)?,
            above,
            parent,
            place,
            attributes,
            content,
            duration: is_valid.then_some(duration),
        });
        Ok(())
    }

    /// The places of a span and of those above it, from the root.
    pub(super) fn path(&self, at: usize) -> Vec<usize> {
        let mut path = Vec::new();
        let mut next = Some(at);
        while let Some(node) = next.and_then(|at| self.nodes.get(at)) {
            path.push(node.place);
            next = node.parent;
        }
        path.reverse();
        path
    }

    /// What is odd about the trace.
    pub(super) fn warnings(&self, which: &str) -> Vec<Warning> {
        let timeless = self.nodes.iter().filter(|node| node.duration.is_none()).count();
        let warn = |code, count: usize, what| {
            let message = format!("{which}: {count} spans {what}");
            (count > 0).then_some(Warning { code, message })
        };
        let timeless = warn("invalid_duration", timeless, "have no start, or end before it");
        let shared = warn("duplicate_span_id", self.shared, "have an id that another one has, too");
        timeless.into_iter().chain(shared).collect()
    }
}

const fn key(id: SpanId) -> [u8; 8] {
    *id.as_bytes()
}
