//! The names of attributes, and their values.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use model::Clock;
use model::attributes::Attributes;
use model::batch::Batch;
use model::column::{Type, Values, count};
use model::otlp::{key_value, overflow};
use traceql::ast::{Field, Intrinsic, Key, Kind, Scope, Static, Status};

use super::ahead::{Near, ahead};
use super::answer::{AttributeName, AttributeNames, TagValues};
use super::expr::Spans as _;
use super::judge::{Piece, Place, TraceSpans};
use super::program::Program;
use super::prune::Prune;
use super::request::NamesRequest;
use super::rows::Rows;
use super::told::{self, fragment_names};
use super::traces::Traces;
use super::units::{Limits, Loaded, Queue, base, load};
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
    let is_all = request.filter.is_none() && parts.view.hidden.is_empty();
    let want = Want::everything();
    let told = |reader: &Reader, group| told::names(reader, group);
    let is_told = |reader: &Reader, group| told(reader, group).is_some();
    let near = Near { wants: [&want; 2], told: is_all.then_some(&is_told) };
    let limits = each(parts, clock, request, &program, near, |read| {
        match read {
            Read::Unit(reader, group) => match told(reader, group) {
                Some(names) => names.iter().for_each(|(of, name)| put(*of, name)),
                None => return Next::Rows,
            },
            Read::Rows(piece, rows, ..) => batch_names(piece.bound.batch, rows, &mut put),
        }
        if found.borrow().len() < request.limit { Next::Unit } else { Next::Nothing }
    })?;
    let names = found.into_inner().into_iter().take(request.limit).collect();
    Ok(AttributeNames { names, partial: limits.ended, inspected: limits.inspected })
}

/// The names of what the rows have.
fn batch_names(batch: &Batch, rows: &Rows, put: &mut dyn FnMut(Scope, &[u8])) {
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
    for (codes, of, number, scope) in [
        (resources, columns.resources, 1, Scope::Resource),
        (scopes, columns.scopes, 3, Scope::Instrumentation),
    ] {
        fragment_names(codes.into_iter().map(|code| of.get(code)), number, scope, put);
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
    let is_all = request.filter.is_none() && parts.view.hidden.is_empty();
    let told = |reader: &Reader, group| told::values(reader, group, field);
    let is_told = |reader: &Reader, group| told(reader, group).is_some();
    let near = Near { wants: [&want; 2], told: is_all.then_some(&is_told) };
    let limits = each(parts, clock, request, &program, near, |read| {
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
            Read::Unit(reader, group) => match told(reader, group) {
                Some(mut told) => {
                    put(&mut told);
                    return if found.len() < request.limit { Next::Unit } else { Next::Nothing };
                }
                None => return Next::Rows,
            },
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
    /// A row group that is not read, where it may tell all that is asked for.
    Unit(&'u Reader, u32),
    /// Its rows that are asked for.
    Rows(&'u Piece<'u>, &'u Rows, &'u Traces, With<'u>),
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

/// Calls `visit` with each unit, and with its rows that are asked for where it wants them.
fn each<'r>(
    parts: &'r Parts<'r>,
    clock: &'r dyn Clock,
    request: &'r NamesRequest,
    program: &Program,
    near: Near<'_>,
    mut visit: impl FnMut(Read<'_>) -> Next,
) -> Result<Limits<'r>, Error> {
    let mut limits = Limits::new(clock, &request.budget);
    let prune = Prune::new(program, parts);
    let mut queue = Queue::new(parts, request.during);
    let [want, _] = near.wants;
    ahead(parts, request.during, &prune, near, |ahead| {
        while !limits.is_over()
            && let Some(unit) = queue.next(&prune, ahead)
        {
            let group = parts.reader_at(unit.part).zip(unit.group);
            let next = match group.filter(|_| near.told.is_some()) {
                Some((reader, group)) => visit(Read::Unit(reader, group)),
                None => Next::Rows,
            };
            match next {
                Next::Rows => {}
                Next::Unit => {
                    limits.inspected.units += 1;
                    continue;
                }
                Next::Nothing => break,
            }
            let Some(loaded) = load(parts, unit, want)? else { continue };
            let batch = loaded.batch();
            limits.read(batch);
            let traces = Traces::new(parts, &loaded, base(parts, unit));
            let mut within = traces.all();
            traces.hide(&parts.view.hidden, &mut within);
            if matches!(loaded, Loaded::Head(..)) || request.filter.is_some() {
                let during = request.during;
                within = within.filter(|row| during.contains(super::judge::effective(batch, row)));
            }
            let pieces = [Piece::new(program, batch, &within)];
            let [piece] = &pieces;
            let rows = piece.narrow.first().cloned().unwrap_or(within);
            let with = |trace: u32, each: &mut dyn FnMut(&TraceSpans<'_>)| {
                let places = traces.rows(trace).map(|row| Place { piece: 0, row }).collect();
                each(&TraceSpans::new(program, &pieces, places));
            };
            if visit(Read::Rows(piece, &rows, &traces, &with)) == Next::Nothing {
                break;
            }
        }
        Ok::<_, Error>(())
    })?;
    limits.inspected.units_total = queue.total;
    Ok(limits)
}
