//! What is shown of traces that were found: read for these only, and together where many stand in
//! one row group.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use model::batch::{Batch, Indexed};
use model::column::count;
use model::{Nanos, SpanId, TraceId};
use traceql::ast::Static;

use super::answer::{ServiceStats, SpanMatch, SpansetMatch, TraceMatch};
use super::elsewhere::Elsewhere;
use super::expr::Spans as _;
use super::field::duration;
use super::gather::{Fragment, TRACES_MAX, find, gather};
use super::judge::{Piece, Place, TraceSpans, effective};
use super::program::Program;
use super::search::{Found, FoundSet};
use super::units::{Limits, Unit, read};
use super::value::Value;
use super::want::Want;
use crate::block::reader::Wanted;
use crate::error::Error;
use crate::execute::Parts;

/// So many traces of one row group are read together.
const TOGETHER_MIN: usize = 8;

/// The OTLP status code of an error.
const ERROR: i32 = 2;

/// What is shown of these traces, in their order. One that cannot be read any more is left out, and
/// noted.
pub(super) fn detail(
    parts: &Parts<'_>,
    elsewhere: &Elsewhere<'_>,
    program: &Program,
    found: &[Found],
    spans_max: usize,
    limits: &mut Limits<'_>,
) -> Result<Vec<TraceMatch>, Error> {
    let want = Want::judging(program).shown();
    let want_joined = Want::judging(program).joined().shown();
    let mut by_unit: HashMap<Unit, Vec<usize>> = HashMap::new();
    for (at, found) in found.iter().enumerate() {
        if let [Fragment { unit: unit @ Unit { group: Some(_), .. }, .. }] =
            found.fragments.as_slice()
        {
            by_unit.entry(*unit).or_default().push(at);
        }
    }
    let mut shown: Vec<Option<TraceMatch>> = found.iter().map(|_| None).collect();
    for (unit, members) in by_unit {
        let members: Vec<_> =
            members.into_iter().filter_map(|at| Some((at, found.get(at)?))).collect();
        for (at, trace) in of_unit(parts, program, unit, &members, &want, spans_max) {
            if let Some(slot) = shown.get_mut(at) {
                *slot = Some(trace);
            }
        }
    }
    let left: HashMap<TraceId, usize> =
        (0..found.len()).filter(|at| shown[*at].is_none()).map(|at| (found[at].id, at)).collect();
    let ids: Vec<TraceId> =
        found.iter().map(|found| found.id).filter(|id| left.contains_key(id)).collect();
    for ids in ids.chunks(TRACES_MAX) {
        let want = (&want_joined, false);
        let places = find(parts, elsewhere, ids)?;
        gather(parts, program, want, &places, limits, |id, spans, spots| {
            let Some(at) = left.get(&id) else { return };
            let found = &found[*at];
            let locate = |(fragment, row): (u32, u32)| {
                spots.place(found.fragments.get(fragment as usize)?, row)
            };
            // Of a huge trace the part is shown that matched.
            let whole = trace_match(program, found, spans, spans_max, None, locate);
            let slot = &mut shown[*at];
            if slot.is_none() && whole.spansets.iter().any(|set| !set.spans.is_empty()) {
                *slot = Some(whole);
            }
        })?;
    }
    Ok(shown.into_iter().flatten().collect())
}

/// Shows traces of one row group.
fn of_unit(
    parts: &Parts<'_>,
    program: &Program,
    unit: Unit,
    members: &[(usize, &Found)],
    want: &Want,
    spans_max: usize,
) -> Vec<(usize, TraceMatch)> {
    let part = parts.view.parts.get(unit.part);
    let Some((part, group)) = part.zip(unit.group) else { return Vec::new() };
    let Some(reader) = parts.reader(part) else { return Vec::new() };
    let Some(summary) = parts.note(part, reader.summary_kept(group)) else { return Vec::new() };
    let rows_of = |found: &Found| found.fragments.first().map(|fragment| fragment.rows.clone());
    let show = |batch: &Batch, base: u32, found: &Found| {
        let rows = rows_of(found)?;
        let pieces = [Piece::plain(program, batch)];
        let places = (rows.start.checked_sub(base)?..rows.end.checked_sub(base)?)
            .map(|row| Place { piece: 0, row });
        let spans = TraceSpans::new(program, &pieces, places.collect());
        let locate = |(_, row): (u32, u32)| Some(Place { piece: 0, row: row.checked_sub(base)? });
        let known = summary.traces.partition_point(|trace| trace.first_row < rows.start);
        let known = summary.traces.get(known).filter(|trace| trace.id == found.id);
        let trace = known.map(|trace| Times {
            root_service: summary.texts.text(trace.root_service).to_owned(),
            root_name: summary.texts.text(trace.root_name).to_owned(),
            start: trace.start,
            end: trace.end,
        });
        Some(trace_match(program, found, &spans, spans_max, trace, locate))
    };
    if members.len() >= TOGETHER_MIN {
        // Picked from all of the unit: its columns are likely known, and are from now on.
        let mut rows: Vec<(usize, Range<u32>)> =
            members.iter().filter_map(|(at, found)| Some((*at, rows_of(found)?))).collect();
        rows.sort_unstable_by_key(|(_, rows)| rows.start);
        let ranges: Vec<Range<u32>> = rows.iter().map(|(_, rows)| rows.clone()).collect();
        let is_wanted = |leaf: &_, schema: &_| want.has(leaf, schema);
        let wanted = Wanted::Some(&is_wanted);
        let batch = reader.read_some(group, &ranges, wanted, parts.tenant, Indexed::No);
        let Some(batch) = parts.note(part, batch) else { return Vec::new() };
        // How far the rows of a trace have moved.
        let mut first = 0;
        let mut moved = HashMap::new();
        for (at, rows) in rows {
            moved.insert(at, rows.start - first);
            first += rows.end - rows.start;
        }
        let shown = members.iter();
        return shown
            .filter_map(|(at, found)| Some((*at, show(&batch, *moved.get(at)?, found)?)))
            .collect();
    }
    let each = members.iter().filter_map(|(at, found)| {
        let rows = rows_of(found)?;
        let batch = read(parts, part, &reader, (group, rows.clone()), want)?;
        Some((*at, show(&batch, rows.start, found)?))
    });
    each.collect()
}

/// What is shown of a trace besides its spans.
struct Times {
    root_service: String,
    root_name: String,
    /// First own start.
    start: Nanos,
    /// Last own end.
    end: Nanos,
}

impl Times {
    /// Off its spans. The root is the earliest that names no parent.
    fn of(spans: &TraceSpans<'_>) -> Self {
        let (mut start, mut end) = (Nanos(u64::MAX), Nanos(0));
        let mut root: Option<((Nanos, SpanId, i32), u32)> = None;
        for span in 0..count(spans.places().len()) {
            let (batch, row) = spans.batch(span);
            start = start.min(batch.start(row));
            end = end.max(batch.end(row));
            let key = (effective(batch, row), batch.span_id(row), batch.kind(row));
            if !batch.has_parent(row) && root.is_none_or(|(first, _)| key < first) {
                root = Some((key, span));
            }
        }
        let root = root.map(|(_, span)| spans.batch(span));
        Self {
            root_service: root
                .map(|(batch, row)| batch.service(row).to_owned())
                .unwrap_or_default(),
            root_name: root.map(|(batch, row)| batch.name(row).to_owned()).unwrap_or_default(),
            start,
            end,
        }
    }
}

/// How many spans and errors each service has in a trace.
fn services(spans: &TraceSpans<'_>) -> BTreeMap<String, ServiceStats> {
    // A trace has few services: the list is looked through.
    let mut found: Vec<(&Batch, Option<u32>, ServiceStats)> = Vec::new();
    let mut last = 0;
    for span in 0..count(spans.places().len()) {
        let (batch, row) = spans.batch(span);
        let service = batch.service_code(row);
        let is = |(of, code, _): &(&Batch, _, _)| *code == service && std::ptr::eq(*of, batch);
        if !found.get(last).is_some_and(is) {
            last = found.iter().position(is).unwrap_or_else(|| {
                found.push((batch, service, ServiceStats::default()));
                found.len() - 1
            });
        }
        if let Some((.., stats)) = found.get_mut(last) {
            stats.spans += 1;
            stats.errors += u64::from(batch.status(row) == ERROR);
        }
    }
    let mut services: BTreeMap<String, ServiceStats> = BTreeMap::new();
    for (batch, service, stats) in found {
        let name = service.map(|code| batch.names().text(code).to_owned()).unwrap_or_default();
        let all = services.entry(name).or_default();
        all.spans += stats.spans;
        all.errors += stats.errors;
    }
    services
}

fn trace_match(
    program: &Program,
    found: &Found,
    spans: &TraceSpans<'_>,
    spans_max: usize,
    times: Option<Times>,
    locate: impl Fn((u32, u32)) -> Option<Place>,
) -> TraceMatch {
    let Times { root_service, root_name, start, end } = times.unwrap_or_else(|| Times::of(spans));
    let set = |set: &FoundSet| spanset(program, set, spans, spans_max, &locate);
    let mut spansets: Vec<_> = found.sets.iter().filter_map(set).collect();
    // In the order of their first spans, wherever those were read.
    spansets.sort_by_key(|(first, _)| *first);
    TraceMatch {
        id: found.id,
        root_service,
        root_name,
        start,
        duration: end.minus(start),
        spansets: spansets.into_iter().map(|(_, set)| set).collect(),
        services: services(spans),
    }
}

/// By start; ties are broken so that the order is the same on every run.
type First = (Nanos, SpanId, i32);

fn spanset(
    program: &Program,
    set: &FoundSet,
    spans: &TraceSpans<'_>,
    spans_max: usize,
    locate: impl Fn((u32, u32)) -> Option<Place>,
) -> Option<(First, SpansetMatch)> {
    let place = |at: &(u32, u32)| {
        let place = locate(*at)?;
        let by = |known: &Place| (known.piece, known.row).cmp(&(place.piece, place.row));
        let span = count(spans.places().binary_search_by(by).ok()?);
        let (batch, row) = spans.batch(span);
        Some(((batch.start(row), batch.span_id(row), batch.kind(row)), span))
    };
    let mut order: Vec<(First, u32)> = set.spans.iter().filter_map(place).collect();
    order.sort_unstable();
    let first = order.first()?.0;
    order.truncate(spans_max);
    let spans = order.into_iter().map(|(_, span)| span_match(program, spans, span));
    Some((
        first,
        SpansetMatch {
            spans: spans.collect(),
            matched: set.spans.len() as u64,
            attributes: set.attributes.clone(),
        },
    ))
}

fn span_match(program: &Program, spans: &TraceSpans<'_>, span: u32) -> SpanMatch {
    let (batch, row) = spans.batch(span);
    let attribute = |field: &usize| {
        let mut values: Vec<Static> = Vec::new();
        spans.values(*field, span, &mut values);
        Some((program.fields.get(*field).clone(), Value::of(values)?))
    };
    SpanMatch {
        id: batch.span_id(row),
        name: batch.name(row).to_owned(),
        start: batch.start(row),
        duration: Nanos(duration(batch, row).unsigned_abs()),
        attributes: program.shown.iter().filter_map(attribute).collect(),
    }
}
