//! A plain, slow evaluator: each span of each trace by itself, on decoded spans.

use std::collections::BTreeMap;

use regex_free::full_match;
use traceql::ast::{
    Aggregate, AggregateKind, Comparison, Field, FieldExpr, FieldKind, Intrinsic, Keep, Key, Kind,
    Pipeline, Relation, ScalarExpr, Scope, SpansetExpr, SpansetKind, Stage, Static, Status, Whose,
};
use traceql::fold;

use super::world::{Attr, Attrs, S, span_id, trace_id};

/// A spanset: places of spans in the trace, and what was computed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Set {
    pub(super) spans: Vec<usize>,
    pub(super) attributes: Vec<(String, Vec<Static>)>,
}

/// The spans of each trace, each identity once.
pub(super) fn traces(spans: &[S]) -> BTreeMap<u8, Vec<S>> {
    let mut traces: BTreeMap<u8, Vec<S>> = BTreeMap::new();
    for span in spans {
        let trace = traces.entry(span.trace).or_default();
        let identity = |of: &S| (of.tenant, of.id, of.kind);
        if !trace.iter().any(|known| identity(known) == identity(span)) {
            trace.push(span.clone());
        }
    }
    traces
}

/// A trace and what is derived of it.
pub(super) struct Trace<'s> {
    spans: &'s [S],
    parents: Vec<Option<usize>>,
    sets: Vec<(i64, i64, i64)>,
}

impl<'s> Trace<'s> {
    pub(super) fn new(spans: &'s [S]) -> Self {
        let parent = |at: usize| {
            let of = &spans[at];
            let same = (0..spans.len())
                .filter(|other| of.parent != 0 && *other != at && spans[*other].id == of.parent);
            same.min_by_key(|other| {
                let other = &spans[*other];
                (other.kind != 2, other.effective(), other.kind)
            })
        };
        let parents: Vec<_> = (0..spans.len()).map(parent).collect();
        let mut trace = Self { spans, parents, sets: vec![(0, 0, 0); spans.len()] };
        let mut number = 0;
        for root in trace.ordered(|at| spans[at].parent == 0) {
            trace.number(root, -1, &mut number);
        }
        trace
    }

    fn ordered(&self, is: impl Fn(usize) -> bool) -> Vec<usize> {
        let mut all: Vec<usize> = (0..self.spans.len()).filter(|at| is(*at)).collect();
        all.sort_by_key(|at| {
            (self.spans[*at].effective(), self.spans[*at].id, self.spans[*at].kind)
        });
        all
    }

    fn number(&mut self, at: usize, parent: i64, number: &mut i64) {
        *number += 1;
        let left = *number;
        for child in self.ordered(|other| self.parents[other] == Some(at)) {
            self.number(child, left, number);
        }
        *number += 1;
        self.sets[at] = (left, *number, parent);
    }

    pub(super) fn run(&self, pipeline: &Pipeline) -> Vec<Set> {
        let all = Set { spans: (0..self.spans.len()).collect(), attributes: Vec::new() };
        self.pipeline(pipeline, vec![all])
    }

    fn pipeline(&self, pipeline: &Pipeline, mut sets: Vec<Set>) -> Vec<Set> {
        for stage in &pipeline.stages {
            sets = match stage {
                Stage::Spanset(expr) => sets
                    .into_iter()
                    .map(|set| Set { spans: self.spanset(expr, &set.spans), ..set })
                    .filter(|set| !set.spans.is_empty())
                    .collect(),
                Stage::Filter(filter) => sets
                    .into_iter()
                    .filter_map(|mut set| {
                        let lhs = self.scalar(&filter.lhs, &mut set)?;
                        let rhs = self.scalar(&filter.rhs, &mut set)?;
                        fold::compare(filter.op, &lhs, &rhs).then_some(set)
                    })
                    .collect(),
                Stage::By(expr) => {
                    let mut all: Vec<Set> = Vec::new();
                    for set in sets {
                        let mut groups: BTreeMap<String, Set> = BTreeMap::new();
                        for span in &set.spans {
                            let mut value = self.values(expr, *span);
                            if value.is_empty() {
                                value.push(Static::Nil);
                            }
                            let group = groups.entry(format!("{value:?}")).or_insert_with(|| {
                                let mut attributes = set.attributes.clone();
                                attributes.push((format!("by({expr})"), value));
                                Set { spans: Vec::new(), attributes }
                            });
                            group.spans.push(*span);
                        }
                        all.extend(groups.into_values());
                    }
                    all
                }
                Stage::Coalesce(_) if sets.is_empty() => Vec::new(),
                Stage::Coalesce(_) => {
                    vec![Set { spans: union(&sets), attributes: Vec::new() }]
                }
                Stage::Select(_) => sets,
            };
        }
        sets
    }

    fn spanset(&self, expr: &SpansetExpr, of: &[usize]) -> Vec<usize> {
        match &expr.kind {
            SpansetKind::Filter(None) => of.to_vec(),
            SpansetKind::Filter(Some(expr)) => {
                of.iter().copied().filter(|span| self.truth(expr, *span) == Some(true)).collect()
            }
            SpansetKind::All(operands) => {
                let sides: Vec<_> = operands.iter().map(|side| self.spanset(side, of)).collect();
                if sides.iter().any(Vec::is_empty) {
                    return Vec::new();
                }
                of.iter().copied().filter(|s| sides.iter().any(|side| side.contains(s))).collect()
            }
            SpansetKind::Any(operands) => {
                let sides: Vec<_> = operands.iter().map(|side| self.spanset(side, of)).collect();
                of.iter().copied().filter(|s| sides.iter().any(|side| side.contains(s))).collect()
            }
            SpansetKind::Structural { relation, keep, lhs, rhs } => {
                let (lhs, rhs) = (self.spanset(lhs, of), self.spanset(rhs, of));
                let pair = |l: usize, r: usize| self.related(*relation, l, r);
                let has_left = |r: usize| lhs.iter().any(|l| pair(*l, r));
                let has_right = |l: usize| rhs.iter().any(|r| pair(l, *r));
                let is = |span: usize| match keep {
                    Keep::Right => rhs.contains(&span) && has_left(span),
                    Keep::Unmatched => {
                        let known = *relation != Relation::Sibling || self.sets[span].0 > 0;
                        rhs.contains(&span) && !has_left(span) && known
                    }
                    Keep::Both => {
                        rhs.contains(&span) && has_left(span)
                            || lhs.contains(&span) && has_right(span)
                    }
                };
                of.iter().copied().filter(|span| is(*span)).collect()
            }
            SpansetKind::Pipeline(pipeline) => {
                let set = Set { spans: of.to_vec(), attributes: Vec::new() };
                union(&self.pipeline(pipeline, vec![set]))
            }
        }
    }

    fn related(&self, relation: Relation, left: usize, right: usize) -> bool {
        if self.sets[left].0 == 0 || self.sets[right].0 == 0 {
            return false;
        }
        let above = |mut low: usize, high: usize| {
            while let Some(parent) = self.parents[low] {
                if parent == high {
                    return true;
                }
                low = parent;
            }
            false
        };
        match relation {
            Relation::Child => self.parents[right] == Some(left),
            Relation::Parent => self.parents[left] == Some(right),
            Relation::Descendant => above(right, left),
            Relation::Ancestor => above(left, right),
            Relation::Sibling => left != right && self.parents[left] == self.parents[right],
        }
    }

    fn scalar(&self, scalar: &ScalarExpr, set: &mut Set) -> Option<Static> {
        match scalar {
            ScalarExpr::Static(value, _) => Some(value.clone()),
            ScalarExpr::Aggregate(aggregate) => {
                let value = self.aggregate(aggregate, &set.spans)?;
                let label = aggregate.to_string();
                let of = vec![value.clone()];
                match set.attributes.iter_mut().find(|(known, _)| *known == label) {
                    Some((_, before)) => *before = of,
                    None => set.attributes.push((label, of)),
                }
                Some(value)
            }
            ScalarExpr::Pipeline { pipeline, aggregate, .. } => {
                let alone = Set { spans: set.spans.clone(), attributes: Vec::new() };
                self.aggregate(aggregate, &union(&self.pipeline(pipeline, vec![alone])))
            }
            ScalarExpr::Arithmetic { op, lhs, rhs, .. } => {
                let (lhs, rhs) = (self.scalar(lhs, set)?, self.scalar(rhs, set)?);
                fold::arithmetic(*op, &lhs, &rhs).filter(is_finite)
            }
        }
    }

    fn aggregate(&self, aggregate: &Aggregate, spans: &[usize]) -> Option<Static> {
        let Some(of) = &aggregate.of else {
            return Some(Static::Int(i64::try_from(spans.len()).unwrap()));
        };
        let all = spans.iter().flat_map(|span| self.values(of, *span));
        let numbers: Vec<Static> =
            all.filter(|value| value.of().is_number() && is_finite(value)).collect();
        let less = |a: &&Static, b: &&Static| fold::order(a, b).unwrap();
        let sum = || {
            let (first, rest) = numbers.split_first()?;
            let add =
                |a: Static, b: &Static| fold::arithmetic(traceql::ast::Arithmetic::Add, &a, b);
            rest.iter().try_fold(first.clone(), add)
        };
        match aggregate.kind {
            AggregateKind::Count => unreachable!("it has no operand"),
            AggregateKind::Min => numbers.iter().min_by(less).cloned(),
            AggregateKind::Max => numbers.iter().max_by(less).cloned(),
            AggregateKind::Sum => sum(),
            #[expect(clippy::cast_precision_loss, reason = "few spans")]
            AggregateKind::Avg => Some(match sum()? {
                Static::Duration(sum) => {
                    Static::Duration(sum / i64::try_from(numbers.len()).unwrap())
                }
                sum => Static::Float(sum.as_f64()? / numbers.len() as f64),
            }),
        }
    }

    fn truth(&self, expr: &FieldExpr, span: usize) -> Option<bool> {
        match &expr.kind {
            FieldKind::Static(Static::Bool(value)) => Some(*value),
            FieldKind::Static(_) | FieldKind::Negate(_) | FieldKind::Arithmetic { .. } => None,
            FieldKind::Field(_) => {
                let values = self.values(expr, span);
                let bools = values.iter().filter(|value| matches!(value, Static::Bool(_)));
                let any = values.contains(&Static::Bool(true));
                (bools.count() > 0).then_some(any)
            }
            FieldKind::Not(of) => self.truth(of, span).map(|truth| !truth),
            FieldKind::All(operands) => {
                let all: Vec<_> = operands.iter().map(|of| self.truth(of, span)).collect();
                if all.contains(&Some(false)) {
                    return Some(false);
                }
                (!all.contains(&None)).then_some(true)
            }
            FieldKind::Any(operands) => {
                let all: Vec<_> = operands.iter().map(|of| self.truth(of, span)).collect();
                if all.contains(&Some(true)) {
                    return Some(true);
                }
                (!all.contains(&None)).then_some(false)
            }
            FieldKind::Compare { op, lhs, rhs } => self.compare(*op, lhs, rhs, span),
        }
    }

    fn compare(
        &self,
        op: Comparison,
        lhs: &FieldExpr,
        rhs: &FieldExpr,
        span: usize,
    ) -> Option<bool> {
        let nil = |side: &FieldExpr| matches!(side.kind, FieldKind::Static(Static::Nil));
        match (nil(lhs), nil(rhs)) {
            (true, true) => return Some(false),
            (false, false) => {}
            (is_left, _) => {
                let of = if is_left { rhs } else { lhs };
                return Some(match op {
                    Comparison::Eq => self.is_nil(of, span),
                    _ => !self.values(of, span).is_empty(),
                });
            }
        }
        let ids = [lhs, rhs].into_iter().any(is_id);
        let (left, right) = (self.values(lhs, span), self.values(rhs, span));
        let mut fits = false;
        for a in &left {
            for b in &right {
                let met = match (op, a, b) {
                    (
                        Comparison::Match | Comparison::NotMatch,
                        Static::Text(text),
                        Static::Text(p),
                    ) => full_match(p, text),
                    (Comparison::Match | Comparison::NotMatch, ..) => None,
                    (Comparison::Eq | Comparison::Ne, ..) => equal(a, b, ids),
                    (_, Static::Text(a), Static::Text(b)) if ids => {
                        let number = |id: &str| {
                            let id = id.trim_start_matches('0').to_owned();
                            (id.len(), id)
                        };
                        let (a, b) = (number(a), number(b));
                        Some(match op {
                            Comparison::Lt => a < b,
                            Comparison::Le => a <= b,
                            Comparison::Gt => a > b,
                            _ => a >= b,
                        })
                    }
                    _ => fold::order(a, b).map(|_| fold::compare(op, a, b)),
                };
                match met {
                    Some(true) => {
                        return Some(!matches!(op, Comparison::Ne | Comparison::NotMatch));
                    }
                    Some(false) => fits = true,
                    None => {}
                }
            }
        }
        fits.then_some(matches!(op, Comparison::Ne | Comparison::NotMatch))
    }

    fn is_nil(&self, expr: &FieldExpr, span: usize) -> bool {
        let of = &self.spans[span];
        let could = match &expr.kind {
            FieldKind::Field(Field {
                whose: Whose::Own,
                key: Key::Attribute { scope: Scope::Event, .. },
            }) => !of.events.is_empty(),
            FieldKind::Field(Field {
                whose: Whose::Own,
                key: Key::Attribute { scope: Scope::Link, .. },
            }) => !of.links.is_empty(),
            _ => true,
        };
        could && self.values(expr, span).is_empty()
    }

    fn values(&self, expr: &FieldExpr, span: usize) -> Vec<Static> {
        match &expr.kind {
            FieldKind::Static(Static::Nil) => Vec::new(),
            FieldKind::Static(value) => vec![value.clone()],
            FieldKind::Field(field) => self.field(field, span),
            FieldKind::Negate(of) => {
                let zero = Static::Int(0);
                let minus = |value: &Static| match value {
                    Static::Float(value) => Some(Static::Float(-value)),
                    value => fold::arithmetic(traceql::ast::Arithmetic::Sub, &zero, value),
                };
                self.values(of, span).iter().filter_map(minus).collect()
            }
            FieldKind::Arithmetic { op, lhs, rhs } => {
                let (lhs, rhs) = (self.values(lhs, span), self.values(rhs, span));
                let mut all = Vec::new();
                for a in &lhs {
                    all.extend(rhs.iter().filter_map(|b| fold::arithmetic(*op, a, b)));
                }
                all.retain(is_finite);
                all
            }
            _ => self.truth(expr, span).map(Static::Bool).into_iter().collect(),
        }
    }

    /// The values of a field of a span.
    pub(super) fn field(&self, field: &Field, span: usize) -> Vec<Static> {
        let at = match field.whose {
            Whose::Own => Some(span),
            Whose::Parent => self.parents[span],
        };
        let Some(at) = at else { return Vec::new() };
        let of = &self.spans[at];
        match &field.key {
            Key::Attribute { scope, name } => match scope {
                Scope::Span => attribute(&of.attrs, name),
                Scope::Resource => attribute(&of.resource, name),
                Scope::Unscoped => {
                    let own = attribute(&of.attrs, name);
                    if own.is_empty() { attribute(&of.resource, name) } else { own }
                }
                Scope::Event => {
                    of.events.iter().flat_map(|(.., attrs)| attribute(attrs, name)).collect()
                }
                Scope::Link => {
                    of.links.iter().flat_map(|(.., attrs)| attribute(attrs, name)).collect()
                }
                Scope::Instrumentation if name == "a" => vec![Static::Text("x".to_owned())],
                Scope::Instrumentation => Vec::new(),
            },
            Key::Intrinsic(intrinsic) => self.intrinsic(*intrinsic, at),
        }
    }

    fn intrinsic(&self, intrinsic: Intrinsic, at: usize) -> Vec<Static> {
        let of = &self.spans[at];
        let text = |text: &str| vec![Static::Text(text.to_owned())];
        let id = |id: u8| span_id(id).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let roots = || self.spans.iter().filter(|span| span.parent == 0);
        let root = || roots().min_by_key(|span| (span.effective(), span.id, span.kind));
        let length = |nanos: u64| vec![Static::Duration(i64::try_from(nanos).unwrap())];
        match intrinsic {
            Intrinsic::Duration => length(of.duration),
            Intrinsic::Name => text(of.name),
            Intrinsic::Status => {
                vec![Static::Status(Status::ALL[usize::try_from(of.status).unwrap()])]
            }
            Intrinsic::StatusMessage => text(of.message),
            Intrinsic::Kind => vec![Static::Kind(Kind::ALL[usize::try_from(of.kind).unwrap()])],
            Intrinsic::ChildCount => {
                let children = self.parents.iter().filter(|parent| **parent == Some(at)).count();
                vec![Static::Int(i64::try_from(children).unwrap())]
            }
            Intrinsic::SpanId => text(&id(of.id)),
            Intrinsic::ParentId if of.parent == 0 => Vec::new(),
            Intrinsic::ParentId => text(&id(of.parent)),
            Intrinsic::TraceId => text(&trace_id(of.trace).to_string()),
            Intrinsic::TraceDuration => {
                let start = self.spans.iter().map(|span| span.start).min().unwrap();
                let end = self.spans.iter().map(|span| span.start + span.duration).max().unwrap();
                length(end - start)
            }
            Intrinsic::RootName => root().map(|root| text(root.name)).unwrap_or_default(),
            Intrinsic::RootServiceName => {
                root().map(|root| text(service(root))).unwrap_or_default()
            }
            Intrinsic::EventName => of.events.iter().flat_map(|(name, ..)| text(name)).collect(),
            Intrinsic::EventTimeSinceStart => {
                of.events.iter().flat_map(|(_, offset, _)| length(*offset)).collect()
            }
            Intrinsic::LinkTraceId => {
                of.links.iter().flat_map(|(t, ..)| text(&trace_id(*t).to_string())).collect()
            }
            Intrinsic::LinkSpanId => of.links.iter().flat_map(|(_, s, _)| text(&id(*s))).collect(),
            Intrinsic::InstrumentationName => text(of.scope),
            Intrinsic::InstrumentationVersion => text(""),
            Intrinsic::Parent if of.parent == 0 => Vec::new(),
            Intrinsic::Parent => vec![Static::Bool(true)],
            Intrinsic::NestedSetLeft => vec![Static::Int(self.sets[at].0)],
            Intrinsic::NestedSetRight => vec![Static::Int(self.sets[at].1)],
            Intrinsic::NestedSetParent => vec![Static::Int(self.sets[at].2)],
        }
    }
}

pub(super) fn service(span: &S) -> &'static str {
    let service = span.resource.iter().find(|(key, _)| *key == "service.name");
    match service {
        Some((_, Attr::Text(text))) => text,
        _ => "",
    }
}

fn is_id(expr: &FieldExpr) -> bool {
    let FieldKind::Field(Field { key: Key::Intrinsic(intrinsic), .. }) = &expr.kind else {
        return false;
    };
    matches!(
        intrinsic,
        Intrinsic::SpanId
            | Intrinsic::ParentId
            | Intrinsic::TraceId
            | Intrinsic::LinkTraceId
            | Intrinsic::LinkSpanId
    )
}

fn equal(a: &Static, b: &Static, ids: bool) -> Option<bool> {
    if let (true, Static::Text(a), Static::Text(b)) = (ids, a, b) {
        return Some(a.trim_start_matches('0') == b.trim_start_matches('0'));
    }
    let is = fold::compare(Comparison::Eq, a, b);
    (is || fold::compare(Comparison::Ne, a, b)).then_some(is)
}

fn is_finite(value: &Static) -> bool {
    value.as_f64().is_none_or(f64::is_finite)
}

fn union(sets: &[Set]) -> Vec<usize> {
    let mut all: Vec<usize> = sets.iter().flat_map(|set| set.spans.clone()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn attribute(attrs: &Attrs, name: &str) -> Vec<Static> {
    let found = attrs.iter().find(|(key, _)| *key == name);
    let scalar = |value: &Attr| match value {
        Attr::Text(text) => Some(Static::Text((*text).to_owned())),
        Attr::Int(int) => Some(Static::Int(*int)),
        Attr::Float(float) => Some(Static::Float(*float)),
        Attr::Bool(bool) => Some(Static::Bool(*bool)),
        Attr::Array(_) | Attr::Map => None,
    };
    match found {
        Some((_, Attr::Array(values))) => {
            let values: Option<Vec<Static>> = values.iter().map(scalar).collect();
            let values = values.unwrap_or_default();
            let class = |value: &Static| match value {
                Static::Text(_) => 0,
                Static::Bool(_) => 1,
                _ => 2,
            };
            let alike = values.windows(2).all(|pair| class(&pair[0]) == class(&pair[1]));
            if alike { values } else { Vec::new() }
        }
        Some((_, value)) => scalar(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// The few regexes that tests use, without an engine for them.
mod regex_free {
    pub(super) fn full_match(pattern: &str, text: &str) -> Option<bool> {
        Some(match pattern {
            "x.*" => text.starts_with('x'),
            ".+" => !text.is_empty(),
            "x|y" => text == "x" || text == "y",
            // Attributes of spans as patterns.
            plain if plain.chars().all(|c| c.is_ascii_alphanumeric() || " /".contains(c)) => {
                plain == text
            }
            _ => return None,
        })
    }
}
