//! The names of attributes, and their values.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use model::Clock;
use model::attributes::Attributes;
use model::batch::Batch;
use model::column::{Type, Values, count};
use model::otlp::{fields, key_value, overflow};
use traceql::ast::{Field, Intrinsic, Key, Kind, Scope, Static, Status};

use super::ahead::ahead;
use super::answer::{AttributeName, AttributeNames, TagValues};
use super::expr::Spans as _;
use super::judge::{Piece, Place, TraceSpans};
use super::program::Program;
use super::prune::Prune;
use super::request::NamesRequest;
use super::rows::Rows;
use super::traces::Traces;
use super::units::{Limits, Loaded, Queue, Unit, base, load};
use super::want::Want;
use crate::block::schema::{Source, Table};
use crate::block::section::terms::decode;
use crate::block::section::{Id, Level};
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
    let limits = each(parts, clock, request, (&program, &want, is_all), |read| {
        match read {
            Read::Unit(unit) => match unit_names(parts, unit).filter(|_| is_all) {
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

/// The names of what a row group of a block has, by its tables and nothing else; nothing where they
/// do not tell all, or cannot be read: whoever reads the rows says why.
fn unit_names(parts: &Parts<'_>, unit: Unit) -> Option<Vec<(Scope, Vec<u8>)>> {
    let (reader, group) = parts.reader_at(unit.part).zip(unit.group)?;
    let directory = reader.directory();
    // An L0 file has rows of others.
    if directory.header.level != Level::L1 {
        return None;
    }
    let tables = reader.tables(group).ok()?;
    // Of what has no column it is not told whether a span has it, or an event.
    let rest = reader.section(Id::RestKeys, 0).ok()??;
    let mut is_rest = false;
    let is_here = |groups: &[u32]| groups.contains(&group);
    decode(&rest, |_, groups| {
        is_rest |= is_here(groups);
        !is_rest
    })
    .ok()?;
    if is_rest {
        return None;
    }
    let mut names = Vec::new();
    for (leaf, chunk) in reader.leaves().iter().zip(&tables.chunks) {
        let Source::Attribute(table, place) = leaf.source else { continue };
        let of = match table {
            Table::Span => Scope::Span,
            Table::Event => Scope::Event,
            Table::Link => Scope::Link,
        };
        if chunk.values > 0 {
            let (attribute, _) = directory.schema.of(table).nth(place as usize)?;
            names.push((of, attribute.key.clone().into_bytes()));
        }
    }
    let mut put = |of: Scope, name: &[u8]| names.push((of, name.to_vec()));
    fragment_names(tables.resources().values(), 1, Scope::Resource, &mut put);
    fragment_names(tables.scopes().values(), 3, Scope::Instrumentation, &mut put);
    Some(names)
}

/// The names in resources or scopes, as OTLP has them: their attributes are fields of this number.
fn fragment_names<'f, F: Iterator<Item = &'f [u8]>>(
    fragments: F,
    number: u32,
    of: Scope,
    put: &mut dyn FnMut(Scope, &[u8]),
) {
    for inner in fragments.flat_map(|fragment| fields(fragment, 1)) {
        fields(inner, number).for_each(|kv| put(of, key_value(kv).0));
    }
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
    let limits = each(parts, clock, request, (&program, &want, false), |read| {
        let Read::Rows(piece, rows, traces, with) = read else { return Next::Rows };
        let mut values = Vec::new();
        let mut put = |values: &mut Vec<Static>| {
            for value in values.drain(..) {
                if let Some(key) = sorted(&value) {
                    found.entry(key).or_insert(value);
                }
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
    /// A unit that is not read.
    Unit(Unit),
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

/// Calls `visit` with each unit, and with its rows that are asked for where it wants them. Where most
/// units do without (`is_told`), nothing of their columns is read ahead.
fn each<'r>(
    parts: &'r Parts<'r>,
    clock: &'r dyn Clock,
    request: &'r NamesRequest,
    (program, want, is_told): (&Program, &Want, bool),
    mut visit: impl FnMut(Read<'_>) -> Next,
) -> Result<Limits<'r>, Error> {
    let mut limits = Limits::new(clock, &request.budget);
    let prune = Prune::new(program, parts);
    let mut queue = Queue::new(parts, request.during);
    let nothing = Want::default();
    let near = if is_told { &nothing } else { want };
    ahead(parts, request.during, &prune, [near, near], |ahead| {
        while !limits.is_over()
            && let Some(unit) = queue.next(&prune, ahead)
        {
            match visit(Read::Unit(unit)) {
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
