//! The names of attributes, and their values.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use model::attributes::Attributes;
use model::batch::Batch;
use model::column::{Type, Values, count};
use model::otlp::{key_value, overflow};
use model::{Clock, TraceId};
use traceql::ast::{Field, Intrinsic, Key, Kind, Scope, Static, Status};

use super::ahead::{Near, ahead};
use super::answer::{AttributeName, AttributeNames, TagValues};
use super::elsewhere::Elsewhere;
use super::expr::Spans as _;
use super::gather::{TRACES_MAX, gather, locate};
use super::judge::{Origin, Piece, Place, TraceSpans, effective};
use super::program::Program;
use super::prune::Prune;
use super::request::NamesRequest;
use super::rows::Rows;
use super::told::{self, fragment_names};
use super::traces::Traces;
use super::units::{Limits, Loaded, Queue, Unit, base, load};
use super::want::Want;
use crate::block::reader::Reader;
use crate::error::Error;
use crate::execute::Parts;

/// The names of attributes of one scope, or of all of them.
///
/// # Errors
/// `Fatal` when a writer has panicked.
pub(crate) fn names(
    parts: &Parts<'_>,
    clock: &dyn Clock,
    scope: Option<Scope>,
    request: &NamesRequest,
) -> Result<AttributeNames, Error> {
    let program = Program::of_filter(request.filter.as_ref());
    let found: RefCell<BTreeSet<AttributeName>> = RefCell::default();
    let mut put = |of: Scope, name: &[u8]| {
        if scope.is_none_or(|scope| scope == of) && !name.is_empty() {
            let name = String::from_utf8_lossy(name).into_owned();
            found.borrow_mut().insert(AttributeName { scope: of, name });
        }
    };
    let is_all = is_all(parts, request);
    let want = Want::everything();
    let told = |at, reader: &Reader, group| told::names(reader, group, parts.carried(at));
    let is_told = |at, reader: &Reader, group| told(at, reader, group).is_some();
    let near = Near { wants: [&want; 2], told: is_all.then_some(&is_told) };
    let limits = each(parts, clock, request, (&program, None), near, |read| {
        match read {
            Read::Unit(at, reader, group) => match told(at, reader, group) {
                Some(names) => names.iter().for_each(|(of, name)| put(*of, name)),
                None => return Next::Rows,
            },
            Read::Rows(piece, rows, ..) => batch_names(piece, rows, &mut put),
            Read::Trace(..) => {}
        }
        if found.borrow().len() < request.limit { Next::Unit } else { Next::Nothing }
    })?;
    let names = found.into_inner().into_iter().take(request.limit).collect();
    Ok(AttributeNames { names, partial: limits.ended, inspected: limits.inspected })
}

/// The names of what the rows have.
fn batch_names(piece: &Piece<'_>, rows: &Rows, put: &mut dyn FnMut(Scope, &[u8])) {
    let batch = piece.bound.batch;
    let columns = batch.columns();
    table_names(batch, columns.spans, Scope::Span, &|row| rows.contains(row), put);
    let owner = |owners: &[u32], at: u32| owners.get(at as usize).copied();
    let events = columns.events;
    let of_row = |at: u32| owner(&events.row, at).is_some_and(|row| rows.contains(row));
    table_names(batch, &events.attributes, Scope::Event, &of_row, put);
    let links = columns.links;
    let of_row = |at: u32| owner(&links.row, at).is_some_and(|row| rows.contains(row));
    table_names(batch, &links.attributes, Scope::Link, &of_row, put);
    let mut used = [BTreeSet::new(), BTreeSet::new()];
    for row in rows.iter() {
        used[0].extend(columns.resource.get(row as usize).copied());
        used[1].extend(columns.scope.get(row as usize).copied());
    }
    let [resources, scopes] = used;
    for code in resources {
        let resource = piece.origin.carried.by(columns.resources.get(code));
        fragment_names(&resource, 1, Scope::Resource, put);
    }
    for code in scopes {
        fragment_names(columns.scopes.get(code), 3, Scope::Instrumentation, put);
    }
}

fn table_names(
    batch: &Batch,
    table: &Attributes,
    scope: Scope,
    is_asked: &dyn Fn(u32) -> bool,
    put: &mut dyn FnMut(Scope, &[u8]),
) {
    for column in table.columns() {
        let mut asked = column.rows.iter().enumerate().filter(|(_, row)| is_asked(**row));
        if column.kind != Type::Overflow {
            if asked.next().is_some() {
                put(scope, batch.keys().get(column.key));
            }
            continue;
        }
        let Values::Codes(codes, blobs) = &column.values else { continue };
        for (at, _) in asked {
            let blob = codes.get(at).map(|code| blobs.get(*code)).unwrap_or_default();
            overflow(blob).for_each(|kv| put(scope, key_value(kv).0));
        }
    }
}

/// The values of a field.
///
/// # Errors
/// `Fatal` when a writer has panicked.
pub(crate) fn values(
    parts: &Parts<'_>,
    clock: &dyn Clock,
    field: &Field,
    request: &NamesRequest,
) -> Result<TagValues, Error> {
    let all: Vec<Static> = match &field.key {
        Key::Intrinsic(Intrinsic::Status) => {
            Status::ALL.iter().copied().map(Static::Status).collect()
        }
        Key::Intrinsic(Intrinsic::Kind) => Kind::ALL.iter().copied().map(Static::Kind).collect(),
        _ => Vec::new(),
    };
    if !all.is_empty() {
        return Ok(TagValues { values: all, ..TagValues::default() });
    }
    let mut program = Program::of_filter(request.filter.as_ref());
    let number = program.fields.number(field);
    let is_local = super::field::is_local(field);
    let want = match is_local {
        true => Want::judging(&program).timed(),
        false => Want::judging(&program).joined().shown(),
    };
    let mut found: BTreeMap<Sorted, Static> = BTreeMap::new();
    let is_all = is_all(parts, request);
    let told = |at, reader: &Reader, group| told::values(reader, group, field, parts.carried(at));
    let is_told = |at, reader: &Reader, group| told(at, reader, group).is_some();
    let near = Near { wants: [&want; 2], told: is_all.then_some(&is_told) };
    // A trace of several tenants never stands in one place.
    let joins = !is_local && parts.view.is_federated();
    let joins = joins.then(|| Elsewhere::new(parts)).transpose()?;
    let limits = each(parts, clock, request, (&program, joins.as_ref()), near, |read| {
        let mut values = Vec::new();
        let mut put = |values: &mut Vec<Static>| {
            for value in values.drain(..) {
                if let Some(key) = sorted(&value) {
                    found.entry(key).or_insert(value);
                }
            }
        };
        let (piece, rows, traces, with) = match read {
            Read::Rows(piece, rows, traces, with) => (piece, rows, traces, with),
            Read::Unit(at, reader, group) => match told(at, reader, group) {
                Some(mut told) => {
                    put(&mut told);
                    return if found.len() < request.limit { Next::Unit } else { Next::Nothing };
                }
                None => return Next::Rows,
            },
            Read::Trace(with, asked) => {
                with(0, &mut |spans| {
                    asked.iter().for_each(|span| spans.values(number, *span, &mut values));
                });
                put(&mut values);
                return if found.len() < request.limit { Next::Unit } else { Next::Nothing };
            }
        };
        if is_local {
            let access = piece.bound.access(number);
            let all: Vec<u32> = rows.iter().collect();
            if access.is_single() {
                // Once per distinct value.
                access.numbered(&all, &mut |value| {
                    values.push(value);
                    put(&mut values);
                    0
                });
            } else {
                for row in all {
                    access.values(row, &mut values);
                    put(&mut values);
                }
            }
        } else {
            for trace in 0..traces.len() {
                with(trace, &mut |spans| {
                    for span in 0..count(spans.places().len()) {
                        if rows.contains(spans.place(span).row) {
                            spans.values(number, span, &mut values);
                            put(&mut values);
                        }
                    }
                });
            }
        }
        if found.len() < request.limit { Next::Unit } else { Next::Nothing }
    })?;
    let values = found.into_values().take(request.limit).collect();
    Ok(TagValues { values, partial: limits.ended, inspected: limits.inspected })
}

/// What values are ordered by: truth values, numbers, durations, texts.
type Sorted = (u8, u64, String);

fn sorted(value: &Static) -> Option<Sorted> {
    // Floats in their order as bits.
    let bits = |value: f64| {
        let bits = value.to_bits();
        if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
    };
    Some(match value {
        Static::Bool(value) => (0, u64::from(*value), String::new()),
        Static::Int(value) => (1, value.cast_unsigned() ^ 1 << 63, String::new()),
        Static::Float(value) => (2, bits(*value), String::new()),
        Static::Duration(value) => (3, value.cast_unsigned() ^ 1 << 63, String::new()),
        Static::Text(text) => (4, 0, text.clone()),
        Static::Nil | Static::Status(_) | Static::Kind(_) => return None,
    })
}

/// Calls a function with the spans of a trace, by its number in the unit.
type With<'w> = &'w dyn Fn(u32, &mut dyn FnMut(&TraceSpans<'_>));

/// What is visited.
enum Read<'u> {
    /// A row group of a part, by its place, that is not read where it may tell all that is asked for.
    Unit(usize, &'u Reader, u32),
    /// Its rows that are asked for.
    Rows(&'u Piece<'u>, &'u Rows, &'u Traces, With<'u>),
    /// A trace that was brought together, and its spans that are asked for.
    Trace(With<'u>, &'u [u32]),
}

/// What is visited next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The rows of the same unit.
    Rows,
    /// The next unit.
    Unit,
    /// Nothing more.
    Nothing,
}

/// Whether all spans count, so that what files tell of all is told of these.
fn is_all(parts: &Parts<'_>, request: &NamesRequest) -> bool {
    request.filter.is_none() && parts.view.owners.iter().all(|owner| owner.hidden.is_empty())
}

/// Calls `visit` with each unit, and with its rows that are asked for where it wants them. With `joins`, traces
/// that stand in several places are visited by themselves, each once.
fn each<'r>(
    parts: &'r Parts<'r>,
    clock: &'r dyn Clock,
    request: &'r NamesRequest,
    (program, joins): (&Program, Option<&Elsewhere<'_>>),
    near: Near<'_>,
    mut visit: impl FnMut(Read<'_>) -> Next,
) -> Result<Limits<'r>, Error> {
    let mut limits = Limits::new(clock, &request.budget);
    let prune = Prune::new(program, parts);
    let mut queue = Queue::new(parts, request.during);
    let mut joined = HashSet::new();
    let [want, _] = near.wants;
    ahead(parts, request.during, &prune, near, |ahead| {
        while !limits.is_over()
            && let Some(unit) = queue.next(&prune, ahead)
        {
            let group = parts.reader_at(unit.part).zip(unit.group);
            let mut next = match group.filter(|_| near.told.is_some()) {
                Some((reader, group)) => visit(Read::Unit(unit.part, reader, group)),
                None => Next::Rows,
            };
            if next == Next::Unit {
                limits.inspected.units += 1;
            }
            if next == Next::Rows {
                let mut several = Vec::new();
                let of = (parts, request, program, want);
                next = rows(of, unit, &mut limits, (joins, &mut several), &mut visit)?;
                several.retain(|id| joined.insert(*id));
                if let Some(elsewhere) = joins.filter(|_| next != Next::Nothing) {
                    next = join(of, elsewhere, &several, &mut limits, &mut visit)?;
                }
            }
            if next == Next::Nothing {
                break;
            }
        }
        Ok::<_, Error>(())
    })?;
    limits.inspected.units_total = queue.total;
    Ok(limits)
}

/// What is asked for, and which columns tell it.
type Ask<'a> = (&'a Parts<'a>, &'a NamesRequest, &'a Program, &'a Want);

/// Visits the rows of a unit that are asked for, without those of traces that stand elsewhere, too, where
/// these are joined: they are noted.
fn rows(
    (parts, request, program, want): Ask<'_>,
    unit: Unit,
    limits: &mut Limits<'_>,
    (joins, several): (Option<&Elsewhere<'_>>, &mut Vec<TraceId>),
    visit: &mut impl FnMut(Read<'_>) -> Next,
) -> Result<Next, Error> {
    let Some(loaded) = load(parts, unit, want)? else { return Ok(Next::Unit) };
    let batch = loaded.batch();
    limits.read(batch);
    let traces = Traces::new(parts, unit, &loaded, base(parts, unit));
    let mut within = traces.all();
    traces.hide(&parts.owner(unit.part).hidden, &mut within);
    if matches!(loaded, Loaded::Head(..)) || request.filter.is_some() {
        let during = request.during;
        within = within.filter(|row| during.contains(effective(batch, row)));
    }
    let pieces = [Piece::new(program, (batch, Origin::of(parts, unit.part)), &within)];
    let [piece] = &pieces;
    let mut rows = piece.narrow.first().cloned().unwrap_or(within);
    if let Some(elsewhere) = joins {
        elsewhere.expect(rows.count());
        for trace in 0..traces.len() {
            let Some(id) = traces.id(trace) else { continue };
            let has_rows = traces.rows(trace).any(|row| rows.contains(row));
            if has_rows && elsewhere.may_have(unit.part, id)? {
                traces.rows(trace).for_each(|row| rows.clear(row..row + 1));
                several.push(id);
            }
        }
    }
    let with = |trace: u32, each: &mut dyn FnMut(&TraceSpans<'_>)| {
        let places = traces.rows(trace).map(|row| Place { piece: 0, row }).collect();
        each(&TraceSpans::new(program, &pieces, places));
    };
    Ok(visit(Read::Rows(piece, &rows, &traces, &with)))
}

/// Visits traces that stand in several places.
fn join(
    (parts, request, program, want): Ask<'_>,
    elsewhere: &Elsewhere<'_>,
    ids: &[TraceId],
    limits: &mut Limits<'_>,
    visit: &mut impl FnMut(Read<'_>) -> Next,
) -> Result<Next, Error> {
    let mut next = Next::Unit;
    for ids in ids.chunks(TRACES_MAX) {
        let located = locate(parts, elsewhere, ids)?;
        gather(parts, program, (want, true), &located, limits, |_, spans, _| {
            let all = spans.judge().into_iter().flat_map(|set| set.spans);
            let asked = all.filter(|span| request.during.contains(spans.start(*span)));
            let asked: Vec<u32> = asked.collect();
            let with = |_: u32, each: &mut dyn FnMut(&TraceSpans<'_>)| each(spans);
            if next != Next::Nothing {
                next = visit(Read::Trace(&with, &asked));
            }
        })?;
    }
    Ok(next)
}
