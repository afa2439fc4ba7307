//! What a pipeline makes of one trace, all of whose spans are at hand.

use std::cell::OnceCell;
use std::collections::HashSet;

use model::batch::Batch;
use model::column::count;
use model::{Nanos, SpanId};
use traceql::ast::{AggregateKind, Arithmetic, Field, Intrinsic, Key, Static, Whose};
use traceql::fold;

use super::expr::{Bound, Fields, Spans};
use super::field::is_local;
use super::program::{Number, Program, Spanset, Step, Total};
use super::rows::Rows;
use super::tree::{Node, Tree};
use super::value::{Value, compare};
use crate::execute::{Carried, Parts};

/// Whose rows are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'t> {
    /// The place of the tenant among those that are read.
    owner: usize,
    /// What their resources carry.
    pub(super) carried: Carried<'t>,
}

impl<'t> Origin<'t> {
    /// Those of a part of a view, by its place.
    pub(super) fn of(parts: &Parts<'t>, at: usize) -> Self {
        Self { owner: parts.view.number(at), carried: parts.carried(at) }
    }
}

/// Rows that were read together: a batch with its fields, and the rows that each filter may match.
#[derive(Debug)]
pub(super) struct Piece<'b> {
    pub(super) bound: Bound<'b>,
    pub(super) narrow: Vec<Rows>,
    pub(super) origin: Origin<'b>,
}

impl<'b> Piece<'b> {
    pub(super) fn new(program: &'b Program, batch: (&'b Batch, Origin<'b>), within: &Rows) -> Self {
        let plain = Self::plain(program, batch);
        Self { narrow: program.narrow(&plain.bound, within), ..plain }
    }

    /// One of which only values are asked for, and nothing is judged.
    pub(super) fn plain(program: &'b Program, (batch, origin): (&'b Batch, Origin<'b>)) -> Self {
        let bound = Bound::new(batch, &program.fields, origin.carried);
        Self { bound, narrow: Vec::new(), origin }
    }
}

/// A span of a trace: which piece, which row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) piece: u32,
    pub(super) row: u32,
}

/// The spans of a trace, each once.
#[derive(Debug)]
pub(super) struct TraceSpans<'p> {
    program: &'p Program,
    pieces: &'p [Piece<'p>],
    places: Vec<Place>,
    tree: OnceCell<Tree>,
    root: OnceCell<Option<u32>>,
}

/// A spanset of a trace.
#[derive(Clone, Debug, Default)]
pub(super) struct Set {
    /// Numbers of spans, ascending.
    pub(super) spans: Vec<u32>,
    /// What stages have computed of it.
    pub(super) attributes: Vec<(String, Value)>,
}

/// Keeps the first of several rows of one identity: spans of two tenants are two, whatever their ids.
pub(super) fn first_of_each(places: &mut Vec<Place>, pieces: &[Piece<'_>]) {
    let mut seen: HashSet<(usize, SpanId, i32)> = HashSet::with_capacity(places.len());
    places.retain(|place| {
        pieces.get(place.piece as usize).is_some_and(|piece| {
            let batch = piece.bound.batch;
            seen.insert((piece.origin.owner, batch.span_id(place.row), batch.kind(place.row)))
        })
    });
}

impl<'p> TraceSpans<'p> {
    /// `places` are the spans of the trace, each once.
    pub(super) fn new(program: &'p Program, pieces: &'p [Piece<'p>], places: Vec<Place>) -> Self {
        Self { program, pieces, places, tree: OnceCell::new(), root: OnceCell::new() }
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    pub(super) fn place(&self, span: u32) -> Place {
        self.places[span as usize]
    }

    pub(super) fn batch(&self, span: u32) -> (&'p Batch, u32) {
        let place = self.place(span);
        (self.pieces[place.piece as usize].bound.batch, place.row)
    }

    /// What the resource of a span carries.
    pub(super) fn carried(&self, span: u32) -> Carried<'p> {
        self.pieces[self.place(span).piece as usize].origin.carried
    }

    /// The first effective start.
    pub(super) fn first_start(&self) -> Nanos {
        let starts = (0..count(self.places.len())).map(|span| self.start(span));
        starts.min().unwrap_or_default()
    }

    /// The effective start of a span.
    pub(super) fn start(&self, span: u32) -> Nanos {
        let (batch, row) = self.batch(span);
        effective(batch, row)
    }

    /// The spansets that leave the pipeline.
    pub(super) fn judge(&self) -> Vec<Set> {
        let all = (0..count(self.places.len())).collect();
        let sets = vec![Set { spans: all, attributes: Vec::new() }];
        self.run(&self.program.stages, sets)
    }

    fn run(&self, steps: &[Step], mut sets: Vec<Set>) -> Vec<Set> {
        for step in steps {
            sets = self.step(step, sets);
            if sets.is_empty() {
                break;
            }
        }
        sets
    }

    fn step(&self, step: &Step, sets: Vec<Set>) -> Vec<Set> {
        match step {
            Step::Spanset(spanset) => {
                let keep = |set: Set| {
                    let spans = self.spanset(spanset, &set.spans);
                    (!spans.is_empty()).then_some(Set { spans, attributes: set.attributes })
                };
                sets.into_iter().filter_map(keep).collect()
            }
            Step::Filter(op, lhs, rhs) => {
                let keep = |mut set: Set| {
                    let lhs = self.number(lhs, &mut set)?;
                    let rhs = self.number(rhs, &mut set)?;
                    (compare(*op, &lhs, &rhs) == Some(true)).then_some(set)
                };
                sets.into_iter().filter_map(keep).collect()
            }
            Step::By(of, label) => {
                sets.into_iter().flat_map(|set| self.by(of, label, set)).collect()
            }
            Step::Coalesce => {
                let mut spans: Vec<u32> = sets.into_iter().flat_map(|set| set.spans).collect();
                spans.sort_unstable();
                spans.dedup();
                vec![Set { spans, attributes: Vec::new() }]
            }
        }
    }

    /// One spanset for each value, in the order in which values are met.
    fn by(&self, of: &super::expr::Scalar, label: &str, set: Set) -> Vec<Set> {
        let mut groups: Vec<Set> = Vec::new();
        let mut known: std::collections::HashMap<String, usize> = std::collections::HashMap::new();
        for span in set.spans {
            let value = Value::of(of.values(self, span)).unwrap_or(Value::One(Static::Nil));
            let at = *known.entry(format!("{value:?}")).or_insert_with(|| {
                let mut attributes = set.attributes.clone();
                attributes.push((label.to_owned(), value));
                groups.push(Set { spans: Vec::new(), attributes });
                groups.len() - 1
            });
            groups[at].spans.push(span);
        }
        groups
    }

    fn spanset(&self, spanset: &Spanset, of: &[u32]) -> Vec<u32> {
        match spanset {
            Spanset::Filter(filter) => self.filter(*filter, of),
            Spanset::All(operands) => {
                let mut union = Vec::new();
                for operand in operands {
                    let spans = self.spanset(operand, of);
                    if spans.is_empty() {
                        return Vec::new();
                    }
                    union.extend(spans);
                }
                united(union)
            }
            Spanset::Any(operands) => {
                united(operands.iter().flat_map(|operand| self.spanset(operand, of)).collect())
            }
            Spanset::Structural(relation, keep, lhs, rhs) => {
                let rhs = self.spanset(rhs, of);
                if rhs.is_empty() {
                    return Vec::new();
                }
                let lhs = self.spanset(lhs, of);
                self.tree().relate(*relation, *keep, &lhs, &rhs)
            }
            Spanset::Pipeline(steps) => {
                let sets = vec![Set { spans: of.to_vec(), attributes: Vec::new() }];
                united(self.run(steps, sets).into_iter().flat_map(|set| set.spans).collect())
            }
        }
    }

    fn filter(&self, filter: usize, of: &[u32]) -> Vec<u32> {
        let expr = self.program.filters.get(filter).and_then(|filter| filter.expr.as_ref());
        let Some(expr) = expr else { return of.to_vec() };
        let holds = |span: &u32| {
            let Place { piece, row } = self.place(*span);
            let narrow = self.pieces[piece as usize].narrow.get(filter);
            narrow.is_some_and(|rows| rows.contains(row))
                && (expr.is_local || expr.holds(self, *span) == Some(true))
        };
        of.iter().copied().filter(holds).collect()
    }

    fn number(&self, number: &Number, set: &mut Set) -> Option<Static> {
        match number {
            Number::Static(value) => Some(value.clone()),
            Number::Aggregate(total) => {
                let value = self.total(total, &set.spans)?;
                note(set, &total.label, &value);
                Some(value)
            }
            Number::Pipeline(steps, total) => {
                let alone = vec![Set { spans: set.spans.clone(), attributes: Vec::new() }];
                let sets = self.run(steps, alone);
                let spans = united(sets.into_iter().flat_map(|set| set.spans).collect());
                self.total(total, &spans)
            }
            Number::Arithmetic(op, lhs, rhs) => {
                let (lhs, rhs) = (self.number(lhs, set)?, self.number(rhs, set)?);
                finite(fold::arithmetic(*op, &lhs, &rhs)?)
            }
        }
    }

    /// An aggregate; none where no span has a number.
    fn total(&self, total: &Total, spans: &[u32]) -> Option<Static> {
        let Some(of) = &total.of else {
            return i64::try_from(spans.len()).ok().map(Static::Int);
        };
        let numbers = spans.iter().flat_map(|span| of.values(self, *span));
        aggregate(total.kind, numbers.filter(|value| value.of().is_number()))
    }

    /// The tree of a trace in rows of a block, where parents are told by their places.
    fn placed_tree(&self) -> Option<Tree> {
        let (batch, first) = self.places.first().map(|_| self.batch(0))?;
        let distances = batch.parent_distances();
        let end = first as usize + self.places.len();
        let last = self.places.last().map(|last| (last.piece, last.row as usize + 1));
        last.filter(|last| *last == (self.place(0).piece, end))?;
        let distances = distances.get(first as usize..end)?;
        // Only ids tell whether it is in a circle.
        let is_named = (first..).take(distances.len()).any(|row| batch.is_parent_named(row));
        (!is_named).then(|| Tree::of_rows(distances))
    }

    fn tree(&self) -> &Tree {
        self.tree.get_or_init(|| {
            let spans = 0..count(self.places.len());
            if let Some(tree) = self.placed_tree() {
                return tree;
            }
            let nodes = spans.map(|span| {
                let (batch, row) = self.batch(span);
                Node {
                    id: word(batch.span_id(row)),
                    parent: batch.parent_id(row).map_or(0, word),
                    kind: batch.kind(row),
                    start: effective(batch, row).0,
                }
            });
            Tree::new(&nodes.collect::<Vec<_>>())
        })
    }

    /// The earliest span that names no parent.
    fn root(&self) -> Option<u32> {
        *self.root.get_or_init(|| {
            let roots = (0..count(self.places.len())).filter(|span| {
                let (batch, row) = self.batch(*span);
                !batch.has_parent(row)
            });
            roots.min_by_key(|span| {
                let (batch, row) = self.batch(*span);
                (effective(batch, row), batch.span_id(row), batch.kind(row))
            })
        })
    }

    fn whole(&self, intrinsic: Intrinsic, span: u32) -> Option<Static> {
        Some(match intrinsic {
            Intrinsic::ChildCount => Static::Int(i64::from(self.tree().children(span))),
            Intrinsic::NestedSetLeft => Static::Int(self.tree().left(span)),
            Intrinsic::NestedSetRight => Static::Int(self.tree().right(span)),
            Intrinsic::NestedSetParent => Static::Int(self.tree().parent_set(span)),
            Intrinsic::TraceDuration => {
                let spans = || (0..count(self.places.len())).map(|span| self.batch(span));
                let start = spans().map(|(batch, row)| batch.start(row)).min()?;
                let end = spans().map(|(batch, row)| batch.end(row)).max()?;
                Static::Duration(i64::try_from(end.minus(start).0).unwrap_or(i64::MAX))
            }
            Intrinsic::RootName => {
                let (batch, row) = self.batch(self.root()?);
                Static::Text(batch.name(row).to_owned())
            }
            Intrinsic::RootServiceName => {
                let (batch, row) = self.batch(self.root()?);
                Static::Text(batch.service(row).to_owned())
            }
            _ => return None,
        })
    }

    /// The span whose own field is asked for; none where it is a parent that is not there.
    fn owner(&self, field: &Field, span: u32) -> Option<u32> {
        match field.whose {
            Whose::Own => Some(span),
            Whose::Parent => self.tree().parent(span),
        }
    }
}

impl Spans for TraceSpans<'_> {
    fn fields(&self) -> &Fields {
        &self.program.fields
    }

    fn values(&self, field: usize, span: u32, out: &mut Vec<Static>) {
        let known = self.program.fields.get(field);
        let Some(span) = self.owner(known, span) else { return };
        match &known.key {
            Key::Intrinsic(intrinsic)
                if !is_local(&Field { whose: Whose::Own, key: known.key.clone() }) =>
            {
                out.extend(self.whole(*intrinsic, span));
            }
            _ => {
                let Place { piece, row } = self.place(span);
                self.pieces[piece as usize].bound.access(field).values(row, out);
            }
        }
    }

    fn is_missing(&self, field: usize, span: u32) -> bool {
        let mut values = Vec::new();
        self.values(field, span, &mut values);
        let Place { piece, row } = self.place(span);
        values.is_empty()
            && (self.program.fields.get(field).whose == Whose::Parent
                || self.pieces[piece as usize].bound.access(field).could_have(row))
    }
}

/// The effective start of a row, without a look-up where clocks are right.
#[inline]
pub(super) fn effective(batch: &Batch, row: u32) -> Nanos {
    if batch.has_skew() { batch.effective_start(row) } else { batch.start(row) }
}

pub(super) fn word(id: SpanId) -> u64 {
    u64::from_be_bytes(*id.as_bytes())
}

fn united(mut spans: Vec<u32>) -> Vec<u32> {
    spans.sort_unstable();
    spans.dedup();
    spans
}

fn note(set: &mut Set, label: &str, value: &Static) {
    let value = Value::One(value.clone());
    match set.attributes.iter_mut().find(|(known, _)| known == label) {
        Some((_, known)) => *known = value,
        None => set.attributes.push((label.to_owned(), value)),
    }
}

fn finite(value: Static) -> Option<Static> {
    (!matches!(value, Static::Float(float) if !float.is_finite())).then_some(value)
}

/// An aggregate of numbers.
fn aggregate(kind: AggregateKind, numbers: impl Iterator<Item = Static>) -> Option<Static> {
    let mut numbers = numbers.filter(|value| finite(value.clone()).is_some());
    let mut so_far = numbers.next()?;
    let mut counted = 1i64;
    for number in numbers {
        counted += 1;
        let is_less = fold::order(&number, &so_far)?.is_lt();
        so_far = match kind {
            AggregateKind::Count => so_far,
            AggregateKind::Min => {
                if is_less {
                    number
                } else {
                    so_far
                }
            }
            AggregateKind::Max => {
                if is_less {
                    so_far
                } else {
                    number
                }
            }
            AggregateKind::Sum | AggregateKind::Avg => {
                finite(fold::arithmetic(Arithmetic::Add, &so_far, &number)?)?
            }
        };
    }
    match kind {
        AggregateKind::Count => Some(Static::Int(counted)),
        AggregateKind::Avg => mean(&so_far, counted),
        _ => Some(so_far),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a trace has far fewer than 2^53 spans")]
fn mean(sum: &Static, counted: i64) -> Option<Static> {
    match sum {
        Static::Duration(sum) => Some(Static::Duration(sum / counted)),
        sum => finite(Static::Float(sum.as_f64()? / counted as f64)),
    }
}
