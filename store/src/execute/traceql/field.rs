//! A field of the query on the columns of a batch.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use model::Nanos;
use model::batch::{Batch, Columns};
use model::column::count;
use traceql::ast::{Field, Intrinsic, Key, Kind, Scope, Static, Status, Whose};

use super::attrs::{Asked, Attrs, Met, met_of, state_of};
use super::fragments::{of_fragments, of_resources, scope_text, scopes};
use super::rows::{Rows, Truth};
use super::value::{Test, any_of};
use crate::execute::Carried;

/// Whether a field can be read off the span alone, or takes its whole trace.
pub(super) fn is_local(field: &Field) -> bool {
    field.whose == Whose::Own
        && !matches!(
            field.key,
            Key::Intrinsic(
                Intrinsic::ChildCount
                    | Intrinsic::TraceDuration
                    | Intrinsic::RootName
                    | Intrinsic::RootServiceName
                    | Intrinsic::NestedSetLeft
                    | Intrinsic::NestedSetRight
                    | Intrinsic::NestedSetParent
            )
        )
}

/// Whether the values of a field are ids: hex numbers.
pub(super) fn is_id(field: &Field) -> bool {
    matches!(
        field.key,
        Key::Intrinsic(
            Intrinsic::SpanId
                | Intrinsic::ParentId
                | Intrinsic::TraceId
                | Intrinsic::LinkTraceId
                | Intrinsic::LinkSpanId
        )
    )
}

/// Tests of so many names are made at once.
const NAMES_FEW: usize = 4_096;

/// A field, found in a batch. The span's own: of a parent's it is the parent's.
#[derive(Clone, Debug)]
pub(super) struct Access<'b> {
    batch: &'b Batch,
    columns: Columns<'b>,
    len: u32,
    from: From<'b>,
}

#[derive(Clone, Debug)]
enum From<'b> {
    Span(Intrinsic),
    Attrs(Attrs<'b>),
    /// By the number of the resource.
    Resource(Vec<Vec<Static>>),
    /// Of the span, else by the number of the resource.
    Unscoped(Attrs<'b>, Vec<Vec<Static>>),
    /// By the number of the scope.
    Scope(Vec<Vec<Static>>),
    Event(Attrs<'b>),
    Link(Attrs<'b>),
    /// It takes a whole trace.
    Elsewhere,
}

impl<'b> Access<'b> {
    pub(super) fn new(batch: &'b Batch, field: &'b Field, carried: Carried<'_>) -> Self {
        let columns = batch.columns();
        let from = match &field.key {
            Key::Intrinsic(_)
                if !is_local(&Field { whose: Whose::Own, key: field.key.clone() }) =>
            {
                From::Elsewhere
            }
            Key::Intrinsic(Intrinsic::InstrumentationName) => {
                From::Scope(scopes(columns.scopes, |scope| vec![scope_text(scope, 1)]))
            }
            Key::Intrinsic(Intrinsic::InstrumentationVersion) => {
                From::Scope(scopes(columns.scopes, |scope| vec![scope_text(scope, 2)]))
            }
            Key::Intrinsic(intrinsic) => From::Span(*intrinsic),
            Key::Attribute { scope, name } => {
                let span = || Attrs::new(batch, columns.spans, name);
                let resource = || of_resources(columns.resources, name, carried);
                match scope {
                    Scope::Span => From::Attrs(span()),
                    Scope::Resource => From::Resource(resource()),
                    Scope::Unscoped => From::Unscoped(span(), resource()),
                    Scope::Event => {
                        From::Event(Attrs::new(batch, &columns.events.attributes, name))
                    }
                    Scope::Link => From::Link(Attrs::new(batch, &columns.links.attributes, name)),
                    Scope::Instrumentation => From::Scope(of_fragments(columns.scopes, 3, name)),
                }
            }
        };
        Self { batch, columns, len: count(batch.len()), from }
    }

    /// For which of `within` a comparison with a literal holds, and, if that is wanted, for which it
    /// does not.
    pub(super) fn test(&self, test: &Test, within: &Rows, wants_no: bool) -> Truth {
        let asked = Asked { test, wants_fits: wants_no || test.is_negated };
        let met = match &self.from {
            From::Span(intrinsic) => self.test_intrinsic(*intrinsic, asked, within),
            From::Attrs(attrs) => attrs.test(asked, within),
            From::Resource(values) => distinct(self.columns.resource, values, asked, within),
            From::Scope(values) => distinct(self.columns.scope, values, asked, within),
            From::Unscoped(attrs, values) => {
                let of_resource =
                    |within: &Rows| distinct(self.columns.resource, values, asked, within);
                if attrs.is_empty() {
                    of_resource(within)
                } else {
                    let present = attrs.present(self.len);
                    let own = attrs.test(asked, within);
                    let other = of_resource(&within.clone().minus(&present));
                    Met { met: own.met.or(&other.met), fits: own.fits.or(&other.fits) }
                }
            }
            From::Event(attrs) => {
                let events = &self.columns.events.row;
                self.fold(events, &attrs.test(asked, &Rows::all(count(events.len()))))
            }
            From::Link(attrs) => {
                let links = &self.columns.links.row;
                self.fold(links, &attrs.test(asked, &Rows::all(count(links.len()))))
            }
            From::Elsewhere => Met::none(self.len),
        };
        let Met { met, fits } = met;
        let unmet = fits.minus(&met);
        if test.is_negated { Truth { yes: unmet, no: met } } else { Truth { yes: met, no: unmet } }
    }

    /// What holds for elements holds for their spans.
    fn fold(&self, owners: &[u32], of: &Met) -> Met {
        let mut met = Met::none(self.len);
        let owner = |at: u32| owners.get(at as usize).copied();
        of.fits.iter().filter_map(owner).for_each(|row| met.fits.set(row));
        of.met.iter().filter_map(owner).for_each(|row| met.met.set(row));
        met
    }

    fn test_intrinsic(&self, intrinsic: Intrinsic, asked: Asked<'_>, within: &Rows) -> Met {
        let test = asked.test;
        let mut met = Met::none(self.len);
        match intrinsic {
            Intrinsic::Name => {
                let names = self.columns.names;
                if names.len() < NAMES_FEW || names.len() < within.len() as usize / 4 {
                    let all = 0..count(names.len());
                    let known: Vec<_> = all.map(|code| test.meets_text(names.text(code))).collect();
                    return asked.by_number(&known, self.columns.name, within);
                }
                let mut known = vec![0; names.len()];
                for row in within.iter() {
                    let code = self.batch.name_code(row);
                    let Some(state) = known.get_mut(code as usize) else { continue };
                    if *state == 0 {
                        *state = state_of(test.meets_text(names.text(code)));
                    }
                    met.note(row, met_of(*state));
                }
            }
            Intrinsic::Status | Intrinsic::Kind => {
                let is_kind = intrinsic == Intrinsic::Kind;
                let of = |number: i32| {
                    let value = if is_kind { kind(number) } else { status(number) };
                    value.and_then(|value| test.meets(&value))
                };
                let known: [Option<bool>; 6] =
                    std::array::from_fn(|n| i32::try_from(n).ok().and_then(of));
                let bytes = if is_kind { self.columns.kind } else { self.columns.status };
                return asked.by_number(&known, bytes, within);
            }
            Intrinsic::Duration if let Some(nanos) = test.of_nanos() => {
                met = Met { met: self.durations(&nanos, within), fits: within.clone() };
            }
            Intrinsic::StatusMessage => {
                let of = |code| test.meets_text(self.columns.texts.text(code));
                let (empty, mut noted) = (of(0), Rows::none(self.len));
                let mut last = (0, empty);
                for (row, code) in self.columns.status_message.iter() {
                    if within.contains(row) {
                        if last.0 != code {
                            last = (code, of(code));
                        }
                        noted.set(row);
                        met.note(row, last.1);
                    }
                }
                if empty.is_some() {
                    within.clone().minus(&noted).iter().for_each(|row| met.note(row, empty));
                }
            }
            _ => {
                let mut values = Vec::new();
                for row in within.iter() {
                    values.clear();
                    self.intrinsic(intrinsic, row, &mut values);
                    met.note(row, any_of(values.iter().map(|value| test.meets(value)), false));
                }
            }
        }
        met
    }

    /// The rows whose duration is in a range, as [`duration`] has it.
    fn durations(&self, nanos: &RangeInclusive<i64>, within: &Rows) -> Rows {
        let is_in = |start: Nanos, end: Nanos| nanos.contains(&length(start, end));
        match self.columns.start {
            // Where nothing else asks for starts, ends are as if all began at zero.
            [] => within.filter_by(self.columns.end, |end| is_in(Nanos(0), end)),
            starts => within.filter_by_both((starts, self.columns.end), is_in),
        }
    }

    /// The rows that have a value.
    pub(super) fn present(&self) -> Rows {
        let has = |codes: &[u32], values: &[Vec<Static>]| {
            let has: Vec<bool> = values.iter().map(|values| !values.is_empty()).collect();
            if !has.contains(&true) {
                return Rows::none(self.len);
            }
            let of = |row: u32| codes.get(row as usize).and_then(|code| has.get(*code as usize));
            Rows::of(self.len, |row| of(row).is_some_and(|has| *has))
        };
        match &self.from {
            From::Attrs(attrs) => attrs.present(self.len),
            From::Resource(values) => has(self.columns.resource, values),
            From::Scope(values) => has(self.columns.scope, values),
            From::Unscoped(attrs, values) => {
                attrs.present(self.len).or(&has(self.columns.resource, values))
            }
            From::Event(attrs) => {
                let row = &self.columns.events.row;
                let present = attrs.present(count(row.len()));
                self.fold(row, &Met { met: Rows::none(0), fits: present }).fits
            }
            From::Link(attrs) => {
                let row = &self.columns.links.row;
                let present = attrs.present(count(row.len()));
                self.fold(row, &Met { met: Rows::none(0), fits: present }).fits
            }
            From::Span(Intrinsic::Parent | Intrinsic::ParentId) => {
                Rows::of(self.len, |row| self.batch.has_parent(row))
            }
            From::Span(Intrinsic::EventName | Intrinsic::EventTimeSinceStart) => {
                self.owners(&self.columns.events.row)
            }
            From::Span(Intrinsic::LinkTraceId | Intrinsic::LinkSpanId) => {
                self.owners(&self.columns.links.row)
            }
            From::Span(_) => Rows::all(self.len),
            From::Elsewhere => Rows::none(self.len),
        }
    }

    /// The rows that have not what is asked for and could: of what events and links have, only
    /// those with an event or a link.
    pub(super) fn missing(&self) -> Rows {
        let could = match &self.from {
            From::Event(_) => self.owners(&self.columns.events.row),
            From::Link(_) => self.owners(&self.columns.links.row),
            _ => Rows::all(self.len),
        };
        could.minus(&self.present())
    }

    /// Whether a row could have what is asked for: what events have, only with an event.
    pub(super) fn could_have(&self, row: u32) -> bool {
        match &self.from {
            From::Event(_) => elements(&self.columns.events.row, row).next().is_some(),
            From::Link(_) => elements(&self.columns.links.row, row).next().is_some(),
            _ => true,
        }
    }

    fn owners(&self, rows: &[u32]) -> Rows {
        let mut owners = Rows::none(self.len);
        rows.iter().for_each(|row| owners.set(*row));
        owners
    }

    /// The values of a row, as many as there are.
    pub(super) fn values(&self, row: u32, out: &mut Vec<Static>) {
        let of = |codes: &[u32], values: &[Vec<Static>], out: &mut Vec<Static>| {
            let code = codes.get(row as usize).copied().unwrap_or(u32::MAX);
            out.extend(values.get(code as usize).into_iter().flatten().cloned());
        };
        match &self.from {
            From::Span(intrinsic) => self.intrinsic(*intrinsic, row, out),
            From::Attrs(attrs) => attrs.values(row, out),
            From::Resource(values) => of(self.columns.resource, values, out),
            From::Scope(values) => of(self.columns.scope, values, out),
            From::Unscoped(attrs, values) => {
                let before = out.len();
                attrs.values(row, out);
                if out.len() == before {
                    of(self.columns.resource, values, out);
                }
            }
            From::Event(attrs) => {
                elements(&self.columns.events.row, row).for_each(|at| attrs.values(at, out));
            }
            From::Link(attrs) => {
                elements(&self.columns.links.row, row).for_each(|at| attrs.values(at, out));
            }
            From::Elsewhere => {}
        }
    }

    fn intrinsic(&self, intrinsic: Intrinsic, row: u32, out: &mut Vec<Static>) {
        let batch = self.batch;
        let text = |text: Cow<'_, str>| Static::Text(text.into_owned());
        match intrinsic {
            Intrinsic::Duration => out.push(Static::Duration(duration(batch, row))),
            Intrinsic::Name => out.push(text(batch.name(row).into())),
            Intrinsic::Status => out.extend(status(batch.status(row))),
            Intrinsic::Kind => out.extend(kind(batch.kind(row))),
            Intrinsic::StatusMessage => {
                let code = self.columns.status_message.get(row);
                out.push(text(self.columns.texts.text(code).into()));
            }
            Intrinsic::SpanId => out.push(text(batch.span_id(row).to_string().into())),
            // It has no value but is there: whoever asks only asks that.
            Intrinsic::Parent => out.extend(batch.has_parent(row).then_some(Static::Bool(true))),
            Intrinsic::ParentId => {
                out.extend(batch.parent_id(row).map(|id| text(id.to_string().into())));
            }
            Intrinsic::TraceId => out.push(text(batch.trace_id(row).to_string().into())),
            Intrinsic::EventName => {
                let events = self.columns.events;
                let name = |at: u32| events.name.get(at as usize).copied().unwrap_or(0);
                let names = elements(&events.row, row).map(name);
                out.extend(names.map(|code| text(self.columns.texts.text(code).into())));
            }
            Intrinsic::EventTimeSinceStart => {
                let (events, start) = (self.columns.events, batch.start(row).0);
                let times =
                    elements(&events.row, row).filter_map(|at| events.time.get(at as usize));
                let since = times.map(|time| time.0.wrapping_sub(start).cast_signed());
                out.extend(since.map(Static::Duration));
            }
            Intrinsic::LinkTraceId => {
                let links = self.columns.links;
                let ids =
                    elements(&links.row, row).filter_map(|at| links.trace_id.get(at as usize));
                let ids = ids.map(|id| model::TraceId::from_array(*id).to_string());
                out.extend(ids.map(Static::Text));
            }
            Intrinsic::LinkSpanId => {
                let links = self.columns.links;
                let ids = elements(&links.row, row).filter_map(|at| links.span_id.get(at as usize));
                let ids = ids.map(|id| model::SpanId::from_array(*id).to_string());
                out.extend(ids.map(Static::Text));
            }
            _ => {}
        }
    }

    /// Whether a row has at most one value, as far as is known without looking.
    pub(super) fn is_single(&self) -> bool {
        let one = |values: &[Vec<Static>]| values.iter().all(|values| values.len() < 2);
        match &self.from {
            From::Span(Intrinsic::Name) => true,
            From::Attrs(attrs) => attrs.only_text().is_some(),
            From::Resource(values) | From::Scope(values) => one(values),
            From::Unscoped(attrs, values) => attrs.is_empty() && one(values),
            _ => false,
        }
    }

    /// The numbers that `number` gives the first value of each row; rows ascend. It is asked once
    /// per distinct value where that is known.
    pub(super) fn numbered(&self, rows: &[u32], number: &mut dyn FnMut(Static) -> u32) -> Vec<u32> {
        let mut by_code = |codes: &[u32], len: usize, of: &dyn Fn(u32) -> Static| -> Vec<u32> {
            let mut known = vec![None; len];
            let numbers = rows.iter().map(|row| {
                let code = codes.get(*row as usize).copied().unwrap_or(0);
                match known.get_mut(code as usize) {
                    Some(known) => *known.get_or_insert_with(|| number(of(code))),
                    None => number(Static::Nil),
                }
            });
            numbers.collect()
        };
        let first = |values: &[Vec<Static>], code: u32| {
            let values = values.get(code as usize);
            values.and_then(|values| values.first().cloned()).unwrap_or(Static::Nil)
        };
        match &self.from {
            From::Span(Intrinsic::Name) => {
                let names = self.columns.names;
                let of = |code| Static::Text(names.text(code).to_owned());
                by_code(self.columns.name, names.len(), &of)
            }
            From::Resource(values) => {
                by_code(self.columns.resource, values.len(), &|code| first(values, code))
            }
            From::Scope(values) => {
                by_code(self.columns.scope, values.len(), &|code| first(values, code))
            }
            From::Unscoped(attrs, values) if attrs.is_empty() => {
                by_code(self.columns.resource, values.len(), &|code| first(values, code))
            }
            From::Attrs(attrs) if let Some((of, codes, texts)) = attrs.only_text() => {
                let mut known = vec![None; texts.len()];
                let (mut at, mut nil) = (0, None);
                let numbers = rows.iter().map(|row| {
                    let rest = of.get(at..).unwrap_or_default();
                    at += rest.iter().take_while(|other| *other < row).count();
                    let code = codes.get(at).filter(|_| of.get(at) == Some(row));
                    let known = code.and_then(|code| Some((*code, known.get_mut(*code as usize)?)));
                    match known {
                        Some((code, known)) => *known.get_or_insert_with(|| {
                            number(Static::Text(texts.text(code).to_owned()))
                        }),
                        None => *nil.get_or_insert_with(|| number(Static::Nil)),
                    }
                });
                numbers.collect()
            }
            _ => {
                let mut values = Vec::new();
                let numbers = rows.iter().map(|row| {
                    values.clear();
                    self.values(*row, &mut values);
                    number(values.drain(..).next().unwrap_or(Static::Nil))
                });
                numbers.collect()
            }
        }
    }
}

/// How long a span took.
pub(super) fn duration(batch: &Batch, row: u32) -> i64 {
    length(batch.start(row), batch.end(row))
}

/// Blocks have the difference, whatever it is: of a span that ends before it starts that is no length,
/// and the same is to be said where only the difference was read.
fn length(start: Nanos, end: Nanos) -> i64 {
    end.0.wrapping_sub(start.0).cast_signed().max(0)
}

fn status(number: i32) -> Option<Static> {
    let status = usize::try_from(number).ok().and_then(|at| Status::ALL.get(at));
    status.copied().map(Static::Status)
}

fn kind(number: i32) -> Option<Static> {
    let kind = usize::try_from(number).ok().and_then(|at| Kind::ALL.get(at));
    kind.copied().map(Static::Kind)
}

/// The elements of a row in a list of owners, which ascend.
fn elements(owners: &[u32], row: u32) -> impl Iterator<Item = u32> {
    let start = owners.partition_point(|owner| *owner < row);
    let of = owners.get(start..).unwrap_or_default();
    let len = of.iter().take_while(|owner| **owner == row).count();
    count(start)..count(start + len)
}

/// What a test is for rows whose value is one of few.
fn distinct(codes: &[u32], values: &[Vec<Static>], asked: Asked<'_>, within: &Rows) -> Met {
    let test = asked.test;
    let met = |values: &Vec<Static>| any_of(values.iter().map(|value| test.meets(value)), false);
    let known: Vec<Option<bool>> = values.iter().map(met).collect();
    asked.by_number(&known, codes, within)
}
