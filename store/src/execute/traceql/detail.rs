//! What is shown of traces that were found: read for these only, and together where many stand in
//! one row group.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use model::batch::{Batch, Indexed};
use model::column::count;
use model::{Nanos, SpanId, TraceId};
use traceql::ast::{Field, Static};
use xxhash_rust::xxh3::xxh3_128;

use super::answer::{ServiceStats, SpanMatch, SpansetMatch, TraceMatch};
use super::elsewhere::Elsewhere;
use super::expr::Spans as _;
use super::field::duration;
use super::gather::{Fragment, TRACES_MAX, gather, locate, put_key};
use super::judge::{Origin, Piece, Place, TraceSpans, effective};
use super::program::Program;
use super::request::SearchRequest;
use super::search::{Found, FoundSet};
use super::units::{Limits, Patience, Unit, read};
use super::value::Value;
use super::want::Want;
use crate::block::reader::Wanted;
use crate::error::Error;
use crate::execute::Parts;
use crate::execute::answers::{Answer, Key};

/// So many traces of one row group are read together.
const TOGETHER_MIN: usize = 8;

/// The OTLP status code of an error.
const ERROR: i32 = 2;

/// Shows traces.
pub(super) struct Detail<'d> {
    parts: &'d Parts<'d>,
    elsewhere: &'d Elsewhere<'d>,
    program: &'d Program,
    spans_max: usize,
    want: Want,
    want_joined: Want,
    /// What is asked for.
    asked: Vec<u8>,
}

/// What is shown of each of some traces, as far as it is known.
type Shown = Vec<Option<Arc<TraceMatch>>>;

impl<'d> Detail<'d> {
    pub(super) fn new(
        parts: &'d Parts<'d>,
        elsewhere: &'d Elsewhere<'d>,
        program: &'d Program,
        request: &SearchRequest,
    ) -> Self {
        let spans_max = request.spans_per_set;
        let want = Want::judging(program).shown();
        let want_joined = Want::judging(program).joined().shown();
        let asked = format!("shown {} {spans_max} {} ", parts.scope(), request.query).into_bytes();
        Self { parts, elsewhere, program, spans_max, want, want_joined, asked }
    }

    /// What is shown of these traces, in their order. One that cannot be read any more is left out,
    /// and noted.
    pub(super) fn show(
        &self,
        found: &[Found],
        limits: &mut Limits<'_>,
    ) -> Result<Vec<Arc<TraceMatch>>, Error> {
        let (answers, patience) = (self.parts.answers, limits.patience);
        let keys: Vec<Option<Key>> = found.iter().map(|found| self.key_of(found)).collect();
        let mut shown: Shown = keys.iter().map(|key| answers.get((*key)?)).collect();
        let mut by_unit: BTreeMap<Unit, Vec<usize>> = BTreeMap::new();
        for (at, found) in found.iter().enumerate().filter(|(at, _)| shown[*at].is_none()) {
            if let [Fragment { unit: unit @ Unit { group: Some(_), .. }, .. }] =
                found.fragments.as_slice()
            {
                by_unit.entry(*unit).or_default().push(at);
            }
        }
        for (unit, members) in by_unit {
            self.alone(patience, &keys, &members, &mut shown, |members| {
                let members: Vec<_> = members.iter().map(|at| (*at, &found[*at])).collect();
                Ok(self.of_unit(unit, &members))
            })?;
        }
        let left: Vec<usize> = (0..found.len()).filter(|at| shown[*at].is_none()).collect();
        for left in left.chunks(TRACES_MAX) {
            self.alone(patience, &keys, left, &mut shown, |left| {
                self.gathered(found, left, limits)
            })?;
        }
        Ok(shown.into_iter().flatten().collect())
    }

    /// Shows traces that nobody else shows meanwhile, and keeps what is fixed.
    fn alone(
        &self,
        patience: Patience<'_>,
        keys: &[Option<Key>],
        members: &[usize],
        shown: &mut Shown,
        show: impl FnOnce(&[usize]) -> Result<Vec<(usize, TraceMatch)>, Error>,
    ) -> Result<(), Error> {
        let answers = self.parts.answers;
        let act = |_: &mut bool| {
            let mut left = Vec::new();
            for at in members {
                shown[*at] = keys[*at].and_then(|key| answers.known(key));
                if shown[*at].is_none() {
                    left.push(*at);
                }
            }
            let problems = self.parts.problems();
            let traces = show(&left)?;
            // What could not be read may be missing of any of them.
            let is_whole = self.parts.problems() == problems;
            for (at, trace) in traces {
                let trace = Arc::new(trace);
                if let Some(key) = keys[at].filter(|_| is_whole) {
                    answers.put(key, &trace);
                }
                shown[at] = Some(trace);
            }
            Ok(())
        };
        let all: Vec<u8> =
            members.iter().filter_map(|at| keys[*at]).flat_map(Key::to_le_bytes).collect();
        match all.is_empty() {
            true => act(&mut true),
            false => answers.alone(xxh3_128(&all), || patience.is_over(), act),
        }
    }

    /// What is shown of a trace depends on; nothing where it may change.
    fn key_of(&self, found: &Found) -> Option<Key> {
        let mut key = self.asked.clone();
        let is_fixed = put_key(self.parts, found.id, &found.fragments, &mut key);
        is_fixed.then(|| xxh3_128(&key))
    }

    /// Shows traces that stand in several places.
    fn gathered(
        &self,
        found: &[Found],
        members: &[usize],
        limits: &mut Limits<'_>,
    ) -> Result<Vec<(usize, TraceMatch)>, Error> {
        let by_id: HashMap<TraceId, usize> =
            members.iter().map(|at| (found[*at].id, *at)).collect();
        let ids: Vec<TraceId> = members.iter().map(|at| found[*at].id).collect();
        let located = locate(self.parts, self.elsewhere, &ids)?;
        let mut shown: HashMap<usize, TraceMatch> = HashMap::new();
        let want = (&self.want_joined, false);
        gather(self.parts, self.program, want, &located, limits, |id, spans, spots| {
            let Some(at) = by_id.get(&id) else { return };
            let found = &found[*at];
            let locate = |(fragment, row): (u32, u32)| {
                spots.place(found.fragments.get(fragment as usize)?, row)
            };
            // Of a huge trace the part is shown that matched.
            let whole = trace_match(self.program, found, spans, self.spans_max, None, locate);
            if whole.spansets.iter().any(|set| !set.spans.is_empty()) {
                shown.entry(*at).or_insert(whole);
            }
        })?;
        Ok(shown.into_iter().collect())
    }

    /// Shows traces of one row group.
    fn of_unit(&self, unit: Unit, members: &[(usize, &Found)]) -> Vec<(usize, TraceMatch)> {
        let Self { parts, program, want, spans_max, .. } = self;
        let at = unit.part;
        let part = parts.view.parts.get(at);
        let Some((part, group)) = part.zip(unit.group) else { return Vec::new() };
        let origin = Origin::of(parts, at);
        let Some(reader) = parts.reader(part) else { return Vec::new() };
        let Some(summary) = parts.note(part, reader.summary_kept(group)) else { return Vec::new() };
        let rows_of = |found: &Found| found.fragments.first().map(|fragment| fragment.rows.clone());
        let show = |batch: &Batch, base: u32, found: &Found| {
            let rows = rows_of(found)?;
            let pieces = [Piece::plain(program, (batch, origin))];
            let places = (rows.start.checked_sub(base)?..rows.end.checked_sub(base)?)
                .map(|row| Place { piece: 0, row });
            let spans = TraceSpans::new(program, &pieces, places.collect());
            let locate =
                |(_, row): (u32, u32)| Some(Place { piece: 0, row: row.checked_sub(base)? });
            let known = summary.traces.partition_point(|trace| trace.first_row < rows.start);
            let known = summary.traces.get(known).filter(|trace| trace.id == found.id);
            let trace = known.map(|trace| Times {
                root_service: summary.texts.text(trace.root_service).to_owned(),
                root_name: summary.texts.text(trace.root_name).to_owned(),
                start: trace.start,
                end: trace.end,
            });
            Some(trace_match(program, found, &spans, *spans_max, trace, locate))
        };
        if members.len() >= TOGETHER_MIN {
            // Picked from all of the unit: its columns are likely known, and are from now on.
            let mut rows: Vec<(usize, Range<u32>)> =
                members.iter().filter_map(|(at, found)| Some((*at, rows_of(found)?))).collect();
            rows.sort_unstable_by_key(|(_, rows)| rows.start);
            let ranges: Vec<Range<u32>> = rows.iter().map(|(_, rows)| rows.clone()).collect();
            let is_wanted = |leaf: &_, schema: &_| want.has(leaf, schema);
            let wanted = Wanted::Some(&is_wanted);
            let tenant = &parts.owner(at).tenant;
            let batch = reader.read_some(group, &ranges, wanted, tenant, Indexed::No);
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
        let each = members.iter().filter_map(|(member, found)| {
            let rows = rows_of(found)?;
            let batch = read(parts, at, &reader, (group, rows.clone()), want)?;
            Some((*member, show(&batch, rows.start, found)?))
        });
        each.collect()
    }
}

impl Answer for TraceMatch {
    fn heap_bytes(&self) -> usize {
        let span = |span: &SpanMatch| {
            let field = |of: &(Arc<Field>, Value)| size_of_val(of) + of.1.heap_bytes();
            size_of_val(span)
                + span.name.capacity()
                + span.attributes.iter().map(field).sum::<usize>()
        };
        let set = |set: &SpansetMatch| {
            size_of_val(set)
                + set.spans.iter().map(span).sum::<usize>()
                + set
                    .attributes
                    .iter()
                    .map(|(name, of)| name.capacity() + of.heap_bytes() + 64)
                    .sum::<usize>()
        };
        let services = self.services.keys().map(|name| name.capacity() + 64).sum::<usize>();
        let sets = self.spansets.iter().map(set).sum::<usize>();
        self.root_service.capacity() + self.root_name.capacity() + services + sets
    }
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
        Some((program.fields.shared(*field), Value::of(values)?))
    };
    SpanMatch {
        id: batch.span_id(row),
        name: batch.name(row).to_owned(),
        start: batch.start(row),
        duration: Nanos(duration(batch, row).unsigned_abs()),
        attributes: program.shown.iter().filter_map(attribute).collect(),
    }
}
