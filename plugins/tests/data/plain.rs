//! What a batch should show and what an answer should do, in plain words over prost structs.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span};
use plugins::{Attribute, Budget, Field, Intrinsic, Owner, Projection};
use prost::Message;
use traceweir_plugin::codes::{NONE, batch as kind, domain, tag};

use super::answers::{Answer, Change};
use super::reader::{Column, Entries, Seen, Shown};

/// Where a span stands: resource, scope, span.
pub(crate) type Path = (usize, usize, usize);

/// A request under edit.
pub(crate) struct Plain {
    pub(crate) request: ExportTraceServiceRequest,
    /// Those that were not refused, in their order.
    pub(crate) spans: Vec<Path>,
    dropped: BTreeSet<Path>,
}

/// A batch of it.
pub(crate) struct View {
    pub(crate) rows: Vec<Path>,
    pub(crate) resources: Vec<usize>,
    pub(crate) scopes: Vec<(usize, usize)>,
    /// With their rows.
    pub(crate) events: Vec<(usize, usize)>,
    pub(crate) links: Vec<(usize, usize)>,
}

impl View {
    pub(crate) fn count(&self, owner: Owner) -> usize {
        match owner {
            Owner::Span => self.rows.len(),
            Owner::Resource => self.resources.len(),
            Owner::Scope => self.scopes.len(),
            Owner::Event => self.events.len(),
            Owner::Link => self.links.len(),
        }
    }
}

fn is_refused(span: &Span) -> bool {
    // `requests::span` makes no others.
    matches!(span.trace_id.first(), Some(0))
}

impl Plain {
    pub(crate) fn new(request: ExportTraceServiceRequest) -> Self {
        let mut spans = Vec::new();
        for (r, resource) in request.resource_spans.iter().enumerate() {
            for (s, scope) in resource.scope_spans.iter().enumerate() {
                let taken = scope.spans.iter().enumerate().filter(|(_, span)| !is_refused(span));
                spans.extend(taken.map(|(n, _)| (r, s, n)));
            }
        }
        Self { request, spans, dropped: BTreeSet::new() }
    }

    pub(crate) fn scope_spans(&self, (r, s): (usize, usize)) -> &ScopeSpans {
        &self.request.resource_spans[r].scope_spans[s]
    }

    pub(crate) fn span(&self, (r, s, n): Path) -> &Span {
        &self.scope_spans((r, s)).spans[n]
    }

    pub(crate) fn span_mut(&mut self, (r, s, n): Path) -> &mut Span {
        &mut self.request.resource_spans[r].scope_spans[s].spans[n]
    }

    /// The spans that a plugin is passed.
    pub(crate) fn select(&self, projection: &Projection) -> Vec<u32> {
        let matches = |path: &Path| {
            projection.match_resource.iter().all(|rule| {
                let resource = self.request.resource_spans[path.0].resource.as_ref();
                let pair =
                    resource.and_then(|of| of.attributes.iter().find(|pair| pair.key == rule.key));
                matches!(pair.and_then(|pair| pair.value.as_ref()?.value.as_ref()),
                    Some(Value::StringValue(text)) if rule.any_of.contains(text))
            })
        };
        let taken = (0..).zip(&self.spans);
        let taken = taken.filter(|(_, path)| !self.dropped.contains(path) && matches(path));
        taken.map(|(number, _)| number).collect()
    }

    pub(crate) fn view(&self, rows: &[u32], projection: &Projection) -> View {
        let rows: Vec<Path> = rows.iter().map(|row| self.spans[*row as usize]).collect();
        let mut view = View {
            resources: Vec::new(),
            scopes: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            rows,
        };
        let fields = || projection.reads.iter().chain(&projection.writes);
        let of = |owner: Owner| {
            fields().any(|field| {
                matches!(field, Field::Attribute(of) | Field::Attributes(of) if of.owner == owner)
            })
        };
        let of_events = [Intrinsic::EventName, Intrinsic::EventTime, Intrinsic::EventSpan];
        let touches_events = of(Owner::Event)
            || fields()
                .any(|field| matches!(field, Field::Intrinsic(of) if of_events.contains(of)));
        for (number, path) in view.rows.clone().into_iter().enumerate() {
            if !view.resources.contains(&path.0) {
                view.resources.push(path.0);
            }
            if !view.scopes.contains(&(path.0, path.1)) {
                view.scopes.push((path.0, path.1));
            }
            let span = self.span(path);
            if touches_events {
                view.events.extend((0..span.events.len()).map(|n| (number, n)));
            }
            if of(Owner::Link) {
                view.links.extend((0..span.links.len()).map(|n| (number, n)));
            }
        }
        view
    }

    pub(crate) fn attributes(&self, view: &View, owner: Owner, entry: usize) -> Vec<KeyValue> {
        match owner {
            Owner::Span => self.span(view.rows[entry]).attributes.clone(),
            Owner::Resource => {
                let resource = &self.request.resource_spans[view.resources[entry]].resource;
                resource.as_ref().map(|of| of.attributes.clone()).unwrap_or_default()
            }
            Owner::Scope => {
                let scope = &self.scope_spans(view.scopes[entry]).scope;
                scope.as_ref().map(|of| of.attributes.clone()).unwrap_or_default()
            }
            Owner::Event => {
                let (row, n) = view.events[entry];
                self.span(view.rows[row]).events[n].attributes.clone()
            }
            Owner::Link => {
                let (row, n) = view.links[entry];
                self.span(view.rows[row]).links[n].attributes.clone()
            }
        }
    }

    fn put_attributes(&mut self, view: &View, owner: Owner, entry: usize, to: Vec<KeyValue>) {
        if self.attributes(view, owner, entry) == to {
            return;
        }
        match owner {
            Owner::Span => self.span_mut(view.rows[entry]).attributes = to,
            Owner::Resource => {
                let resource = &mut self.request.resource_spans[view.resources[entry]].resource;
                resource.get_or_insert_default().attributes = to;
            }
            Owner::Scope => {
                let (r, s) = view.scopes[entry];
                let scope = &mut self.request.resource_spans[r].scope_spans[s].scope;
                scope.get_or_insert_default().attributes = to;
            }
            Owner::Event => {
                let (row, n) = view.events[entry];
                self.span_mut(view.rows[row]).events[n].attributes = to;
            }
            Owner::Link => {
                let (row, n) = view.links[entry];
                self.span_mut(view.rows[row]).links[n].attributes = to;
            }
        }
    }

    /// The request without what was dropped or refused, if anything has changed.
    pub(crate) fn finish(self, before: &ExportTraceServiceRequest) -> ExportTraceServiceRequest {
        if self.dropped.is_empty() && self.request == *before {
            return self.request;
        }
        let mut request = self.request;
        for (r, resource) in request.resource_spans.iter_mut().enumerate() {
            let had_spans = resource.scope_spans.iter().any(|scope| !scope.spans.is_empty());
            for (s, scope) in resource.scope_spans.iter_mut().enumerate() {
                let mut n = 0;
                let had_spans = !scope.spans.is_empty();
                scope.spans.retain(|span| {
                    n += 1;
                    !is_refused(span) && !self.dropped.contains(&(r, s, n - 1))
                });
                if had_spans && scope.spans.is_empty() {
                    "gone".clone_into(&mut scope.schema_url);
                }
            }
            let has_spans = resource.scope_spans.iter().any(|scope| !scope.spans.is_empty());
            resource.scope_spans.retain(|scope| scope.schema_url != "gone");
            if had_spans && !has_spans {
                "gone".clone_into(&mut resource.schema_url);
            }
        }
        request.resource_spans.retain(|resource| resource.schema_url != "gone");
        request
    }
}

fn shown(value: Option<&AnyValue>, complex: bool) -> Shown {
    let Some(any) = value else { return Shown::Empty };
    let blob = |tag| Shown::Blob(tag, complex.then(|| any.encode_to_vec()));
    match &any.value {
        None => Shown::Empty,
        Some(Value::StringValue(text)) => Shown::Text(text.clone()),
        Some(Value::IntValue(value)) => Shown::Word(tag::INT, value.cast_unsigned()),
        Some(Value::DoubleValue(value)) => Shown::Word(tag::DOUBLE, value.to_bits()),
        Some(Value::BoolValue(value)) => Shown::Word(tag::BOOL, u64::from(*value)),
        Some(Value::BytesValue(_)) => blob(tag::BYTES),
        Some(Value::ArrayValue(_)) => blob(tag::ARRAY),
        Some(Value::KvlistValue(_)) => blob(tag::MAP),
        Some(other) => panic!("{other:?}"),
    }
}

pub(crate) fn domain_of(owner: Owner) -> u8 {
    match owner {
        Owner::Span => domain::SPANS,
        Owner::Resource => domain::RESOURCES,
        Owner::Scope => domain::SCOPES,
        Owner::Event => domain::EVENTS,
        Owner::Link => domain::LINKS,
    }
}

/// What a batch should show.
pub(crate) fn seen(plain: &Plain, view: &View, projection: &Projection, peer: &str) -> Seen {
    let owners = [Owner::Span, Owner::Resource, Owner::Scope, Owner::Event];
    let count = |n: usize| owners.get(n).map_or(0, |owner| view.count(*owner));
    let mut seen = Seen {
        counts: std::array::from_fn(|n| u32::try_from(count(n)).unwrap()),
        ..Seen::default()
    };
    for (argument, field) in (0..).zip(&projection.reads) {
        match field {
            Field::Intrinsic(intrinsic) => {
                let column = self::intrinsic(plain, view, *intrinsic, peer);
                seen.columns.insert((*intrinsic as u16, 0), column);
            }
            Field::Attribute(of) => {
                let entries = Entries::Values(values(plain, view, of));
                let domain = domain_of(of.owner);
                seen.columns.insert((kind::ATTRIBUTE, argument), Column { domain, entries });
            }
            Field::Attributes(of) => pairs(&mut seen, plain, view, of, argument),
        }
    }
    for (argument, budget) in (0..).zip(&projection.budgets) {
        self::budget(&mut seen, plain, view, budget, argument);
    }
    seen
}

fn values(plain: &Plain, view: &View, of: &Attribute) -> Vec<Shown> {
    let value = |entry| {
        let attributes = plain.attributes(view, of.owner, entry);
        let pair = attributes.iter().find(|pair| pair.key == of.key);
        pair.map_or(Shown::Absent, |pair| shown(pair.value.as_ref(), of.complex))
    };
    (0..view.count(of.owner)).map(value).collect()
}

fn pairs(seen: &mut Seen, plain: &Plain, view: &View, of: &Attribute, argument: u32) {
    let (mut ends, mut keys, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for entry in 0..view.count(of.owner) {
        for pair in plain.attributes(view, of.owner, entry) {
            if pair.key.starts_with(&of.key) {
                keys.push(pair.key);
                values.push(shown(pair.value.as_ref(), of.complex));
            }
        }
        ends.push(keys.len() as u64);
    }
    let mut put = |kind, domain, entries| {
        seen.columns.insert((kind, argument), Column { domain, entries });
    };
    put(kind::PAIRS_END, domain_of(of.owner), Entries::Numbers(ends));
    put(kind::PAIRS_KEY, domain::PAIRS, Entries::Texts(keys));
    put(kind::PAIRS, domain::PAIRS, Entries::Values(values));
}

/// What the tests' host says of a budget.
pub(crate) fn budget_of(place: usize, key: &str) -> (u64, u64) {
    (place as u64 * 10 + 3, key.len() as u64)
}

/// The value that each row counts for.
pub(crate) fn counted(plain: &Plain, view: &View, budget: &Budget) -> Vec<Option<String>> {
    let Some(per) = &budget.per else {
        return vec![Some(String::new()); view.rows.len()];
    };
    let key = |shown: &Shown| match shown {
        Shown::Text(text) => Some(text.get(..text.floor_char_boundary(256)).unwrap().to_owned()),
        Shown::Word(tag::INT, value) => Some(value.cast_signed().to_string()),
        Shown::Word(tag::BOOL, value) => Some((*value != 0).to_string()),
        _ => None,
    };
    let values: Vec<Option<String>> = values(plain, view, per).iter().map(key).collect();
    match per.owner {
        Owner::Span => values,
        _ => {
            let place = |path: &Path| view.resources.iter().position(|r| *r == path.0).unwrap();
            view.rows.iter().map(|path| values[place(path)].clone()).collect()
        }
    }
}

fn budget(seen: &mut Seen, plain: &Plain, view: &View, budget: &Budget, argument: u32) {
    let counted = counted(plain, view, budget);
    let mut keys: Vec<String> = Vec::new();
    if budget.per.is_none() {
        keys.push(String::new());
    }
    for key in counted.iter().flatten() {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    let index = |key: &Option<String>| {
        let place = key.as_ref().map(|key| keys.iter().position(|known| known == key).unwrap());
        place.map_or_else(|| NONE.into(), |place| place as u64)
    };
    let index = counted.iter().map(index).collect();
    let told = |key: &String| budget_of(argument as usize, key);
    let (limits, used) = keys.iter().map(told).unzip();
    let mut put = |kind, domain, entries| {
        seen.columns.insert((kind, argument), Column { domain, entries });
    };
    put(kind::BUDGET_KEY, domain::BUDGETS, Entries::Texts(keys));
    put(kind::BUDGET_LIMIT, domain::BUDGETS, Entries::Numbers(limits));
    put(kind::BUDGET_USED, domain::BUDGETS, Entries::Numbers(used));
    put(kind::BUDGET_INDEX, domain::SPANS, Entries::Numbers(index));
}

fn intrinsic(plain: &Plain, view: &View, intrinsic: Intrinsic, peer: &str) -> Column {
    let spans = || view.rows.iter().map(|path| plain.span(*path));
    let ids = |id: fn(&Span) -> Vec<u8>| (domain::SPANS, Entries::Ids(spans().map(id).collect()));
    let numbers =
        |number: fn(&Span) -> u64| (domain::SPANS, Entries::Numbers(spans().map(number).collect()));
    let texts =
        |text: fn(&Span) -> String| (domain::SPANS, Entries::Texts(spans().map(text).collect()));
    let scopes = |text: fn(&ScopeSpans) -> String| {
        let scopes = view.scopes.iter().map(|at| text(plain.scope_spans(*at)));
        (domain::SCOPES, Entries::Texts(scopes.collect()))
    };
    let events = || view.events.iter().map(|(row, n)| &plain.span(view.rows[*row]).events[*n]);
    let number = |list: Vec<usize>| Entries::Numbers(list.into_iter().map(|n| n as u64).collect());
    let (domain, entries) = match intrinsic {
        Intrinsic::TraceId => ids(|span| span.trace_id.clone()),
        Intrinsic::SpanId => ids(|span| span.span_id.clone()),
        Intrinsic::ParentSpanId => ids(|span| {
            let parent = span.parent_span_id.clone();
            if parent.is_empty() { vec![0; 8] } else { parent }
        }),
        Intrinsic::TraceState => texts(|span| span.trace_state.clone()),
        Intrinsic::TraceFlags => numbers(|span| span.flags.into()),
        Intrinsic::Name => texts(|span| span.name.clone()),
        Intrinsic::Kind => numbers(|span| span.kind.cast_unsigned().into()),
        Intrinsic::StartTime => numbers(|span| span.start_time_unix_nano),
        Intrinsic::Duration => {
            numbers(|span| span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano))
        }
        Intrinsic::StatusCode => numbers(|span| {
            span.status.as_ref().map_or(0, |status| status.code.cast_unsigned().into())
        }),
        Intrinsic::StatusMessage => {
            texts(|span| span.status.as_ref().map_or(String::new(), |of| of.message.clone()))
        }
        Intrinsic::ScopeName => scopes(|of| of.scope.clone().unwrap_or_default().name),
        Intrinsic::ScopeVersion => scopes(|of| of.scope.clone().unwrap_or_default().version),
        Intrinsic::EventName => {
            (domain::EVENTS, Entries::Texts(events().map(|of| of.name.clone()).collect()))
        }
        Intrinsic::EventTime => {
            (domain::EVENTS, Entries::Numbers(events().map(|of| of.time_unix_nano).collect()))
        }
        Intrinsic::EventCount => numbers(|span| span.events.len() as u64),
        Intrinsic::LinkCount => numbers(|span| span.links.len() as u64),
        Intrinsic::ResourceIndex => {
            let place = |path: &Path| view.resources.iter().position(|r| *r == path.0).unwrap();
            (domain::SPANS, number(view.rows.iter().map(place).collect()))
        }
        Intrinsic::ScopeIndex => {
            let at = |path: &Path| (path.0, path.1);
            let place = |path: &Path| view.scopes.iter().position(|s| *s == at(path)).unwrap();
            (domain::SPANS, number(view.rows.iter().map(place).collect()))
        }
        Intrinsic::EventSpan => {
            (domain::EVENTS, number(view.events.iter().map(|(row, _)| *row).collect()))
        }
        Intrinsic::SpanAttributeKeys => {
            let mut keys: Vec<String> = Vec::new();
            for pair in spans().flat_map(|span| &span.attributes) {
                if !keys.contains(&pair.key) {
                    keys.push(pair.key.clone());
                }
            }
            (domain::NONE, Entries::Texts(keys))
        }
        Intrinsic::PeerAddress => {
            (domain::RESOURCES, Entries::Texts(vec![peer.to_owned(); view.resources.len()]))
        }
    };
    Column { domain, entries }
}

/// Attributes that keep their places while they are edited.
type Slots = Vec<Option<KeyValue>>;

fn find(slots: &Slots, key: &str) -> Option<usize> {
    slots.iter().position(|slot| slot.as_ref().is_some_and(|pair| pair.key == key))
}

fn remove(slots: &mut Slots, key: &str) {
    while let Some(place) = find(slots, key) {
        slots[place] = None;
    }
}

fn set(slots: &mut Slots, key: &str, value: &AnyValue) {
    let place = find(slots, key).unwrap_or_else(|| {
        slots.push(None);
        slots.len() - 1
    });
    remove(slots, key);
    let key = key.to_owned();
    slots[place] = Some(KeyValue { key, value: Some(value.clone()), ..KeyValue::default() });
}

fn rename(slots: &mut Slots, from: &str, to: &str, replace: bool) {
    if from == to || find(slots, from).is_none() || !replace && find(slots, to).is_some() {
        return;
    }
    remove(slots, to);
    while let Some(place) = find(slots, from) {
        to.clone_into(&mut slots[place].as_mut().unwrap().key);
    }
}

/// Applies an answer.
pub(crate) fn apply(plain: &mut Plain, view: &View, projection: &Projection, answer: &Answer) {
    let drops = |row: usize| answer.keep.as_ref().is_some_and(|keep| !keep[row]);
    for owner in Owner::ALL {
        for entry in 0..view.count(owner) {
            let row = match owner {
                Owner::Span => Some(entry),
                Owner::Event => Some(view.events[entry].0),
                Owner::Link => Some(view.links[entry].0),
                Owner::Resource | Owner::Scope => None,
            };
            if row.is_some_and(drops) {
                continue;
            }
            let mut slots: Slots =
                plain.attributes(view, owner, entry).into_iter().map(Some).collect();
            for (of, replace, keys) in answer.renames.iter().filter(|(of, ..)| *of == owner) {
                assert_eq!(*of, owner);
                keys.iter().for_each(|(from, to)| rename(&mut slots, from, to, *replace));
            }
            for key in
                answer.deletions.iter().filter(|(of, _)| *of == owner).flat_map(|(_, keys)| keys)
            {
                remove(&mut slots, key);
            }
            for (_, starts) in answer.starts.iter().filter(|(of, _)| *of == owner) {
                let goes = |pair: &KeyValue| starts.iter().any(|start| pair.key.starts_with(start));
                for slot in slots.iter_mut().filter(|slot| slot.as_ref().is_some_and(goes)) {
                    *slot = None;
                }
            }
            set_pairs(&mut slots, projection, answer, (owner, entry));
            set_fields(&mut slots, projection, answer, (owner, entry), view);
            for (field, additions) in &answer.additions {
                let Field::Attributes(of) = &projection.writes[*field] else { panic!() };
                let of_it = additions.iter().filter(|(to, ..)| (of.owner, *to) == (owner, entry));
                for (_, key, value) in of_it {
                    set(&mut slots, key, value);
                }
            }
            plain.put_attributes(view, owner, entry, slots.into_iter().flatten().collect());
        }
    }
    for (row, path) in view.rows.iter().enumerate() {
        if drops(row) {
            plain.dropped.insert(*path);
        } else {
            set_intrinsics(plain.span_mut(*path), projection, answer, row);
        }
    }
}

fn set_pairs(
    slots: &mut Slots,
    projection: &Projection,
    answer: &Answer,
    (owner, entry): (Owner, usize),
) {
    for (read, changes) in &answer.pairs {
        let Field::Attributes(of) = &projection.reads[*read] else { panic!() };
        if of.owner != owner {
            continue;
        }
        let is_one = |pair: &&KeyValue| pair.key.starts_with(&of.key);
        let as_read = &answer.before[owner as usize];
        let mut pair = as_read[..entry].iter().flatten().filter(is_one).count();
        for (slot, was) in as_read[entry].iter().enumerate() {
            if !is_one(&was) {
                continue;
            }
            match (&changes[pair], &mut slots[slot]) {
                (Change::Keep, _) | (_, None) => {}
                (Change::Remove, slot) => *slot = None,
                (Change::Set(value), Some(pair)) => pair.value = Some(value.clone()),
            }
            pair += 1;
        }
    }
}

fn set_fields(
    slots: &mut Slots,
    projection: &Projection,
    answer: &Answer,
    (owner, entry): (Owner, usize),
    view: &View,
) {
    for (field, by_resource, changes) in &answer.sets {
        let Field::Attribute(of) = &projection.writes[*field] else { continue };
        if of.owner != owner {
            continue;
        }
        let said_by = if *by_resource {
            view.resources.iter().position(|r| *r == view.rows[entry].0).unwrap()
        } else {
            entry
        };
        match &changes[said_by] {
            Change::Keep => {}
            Change::Remove => remove(slots, &of.key),
            Change::Set(value) => set(slots, &of.key, value),
        }
    }
}

fn set_intrinsics(span: &mut Span, projection: &Projection, answer: &Answer, row: usize) {
    for (field, _, changes) in &answer.sets {
        let Field::Intrinsic(intrinsic) = &projection.writes[*field] else { continue };
        let (text, number) = match &changes[row] {
            Change::Keep => continue,
            Change::Remove => (String::new(), 0),
            Change::Set(AnyValue { value: Some(Value::StringValue(text)) }) => (text.clone(), 0),
            Change::Set(AnyValue { value: Some(Value::IntValue(number)) }) => {
                (String::new(), i32::try_from(*number).unwrap())
            }
            Change::Set(other) => panic!("{other:?}"),
        };
        let mut status = span.status.clone().unwrap_or_default();
        match intrinsic {
            Intrinsic::TraceState => span.trace_state = text,
            Intrinsic::Name => span.name = text,
            Intrinsic::Kind => span.kind = number,
            Intrinsic::StatusCode => status.code = number,
            Intrinsic::StatusMessage => status.message = text,
            other => panic!("{other:?}"),
        }
        if status != span.status.clone().unwrap_or_default() {
            span.status = Some(status);
        }
    }
}
