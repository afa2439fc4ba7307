//! The search for traces: candidates part by part, newest first, then a summary for the top ones.
//!
//! A trace ranks by the earliest start of its spans that match, wherever they are. Parts are
//! looked through from the newest to the oldest; a candidate is settled once all parts were asked
//! for its spans, and the search ends when no part that is left can hold a newer one.

use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};

use model::batch::{Batch, Indexed, TraceEntry};
use model::column::{Type, count};
use model::{Nanos, SpanId, TenantId, TraceId};

use super::parts::Parts;
use super::tags::{Rows, Tag, text_attribute};
use super::{Found, Identities, MatchedSpan, Search, TraceSummary};
use crate::block::reader::Wanted;
use crate::block::schema::{Id, Leaf, Schema, Source, Table};
use crate::error::Error;
use crate::shelf::Part;

/// A trace that may be found: newest first, then by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Candidate {
    start: Nanos,
    id: std::cmp::Reverse<TraceId>,
}

/// Finds the newest traces that match.
///
/// # Errors
/// `Fatal` when a writer has panicked.
pub(crate) fn search(parts: &Parts<'_>, search: &Search) -> Result<Found, Error> {
    let mut run = Run {
        parts,
        search,
        tags: search.tags.iter().map(|(key, value)| Tag::new(key, value)).collect(),
        matches: HashMap::new(),
        starts: HashMap::new(),
        heap: BinaryHeap::new(),
        settled: HashSet::new(),
        found: Found::default(),
    };
    // The head last among equals of time: its segments are never left out.
    let mut order: Vec<usize> = (0..parts.view.parts.len()).collect();
    let newest = |at: &usize| Parts::starts(&parts.view.parts[*at]).end;
    order.sort_by_key(|at| std::cmp::Reverse(newest(at)));
    let mut order = order.into_iter().peekable();
    while let Some(at) = order.next() {
        run.look(at)?;
        let bound = order.peek().map(newest);
        run.settle(bound)?;
        if run.found.traces.len() >= search.limit {
            break;
        }
    }
    run.found.inspected_traces = run.starts.len() as u64;
    Ok(run.found)
}

struct Run<'r> {
    parts: &'r Parts<'r>,
    search: &'r Search,
    tags: Vec<Tag>,
    /// Rows of head segments that match, by the part's place.
    matches: HashMap<usize, Rows>,
    /// The earliest start of a matching span that was seen.
    starts: HashMap<TraceId, Nanos>,
    heap: BinaryHeap<Candidate>,
    settled: HashSet<TraceId>,
    found: Found,
}

impl Run<'_> {
    /// Finds the candidates of one part.
    fn look(&mut self, at: usize) -> Result<(), Error> {
        let part = &self.parts.view.parts[at];
        let Part::Head(segment, visible) = part else {
            self.look_file(part);
            return Ok(());
        };
        let batch = segment.read()?;
        let rows = matching_rows(&batch, *visible, self.parts.tenant, &self.tags);
        self.found.inspected_spans += u64::from(*visible);
        self.found.inspected_bytes += batch.heap_bytes() as u64;
        if self.tags.is_empty() {
            // Every trace matches: the trace index tells what the rows would.
            let of_tenant = batch.tenant(self.parts.tenant);
            let visible = |entry: &&TraceEntry| entry.first_row < *visible;
            let ours = batch.traces().iter().filter(|entry| Some(entry.tenant) == of_tenant);
            for entry in ours.filter(visible) {
                self.candidate(entry.id, entry.starts.start);
            }
        } else {
            for row in rows.iter() {
                self.candidate(batch.trace_id(row), batch.effective_start(row));
            }
        }
        self.matches.insert(at, rows);
        Ok(())
    }

    fn look_file(&mut self, part: &Part) {
        let starts = Parts::starts(part);
        let during = self.search.during;
        if starts.end < during.start || starts.start > during.end {
            return;
        }
        let Some(reader) = self.parts.reader(part) else { return };
        for row_group in 0..reader.row_groups() {
            let rows = self.parts.rows(part, &reader, row_group);
            let group = reader.directory().row_groups.get(row_group as usize).copied();
            let Some(group) = group.filter(|_| !rows.is_empty()) else { continue };
            if group.starts.1 < during.start.0 || group.starts.0 > during.end.0 {
                continue;
            }
            if self.tags.is_empty() {
                let Some(summary) = self.parts.note(part, reader.summary(row_group)) else {
                    return;
                };
                for trace in summary.traces {
                    if rows.contains(&trace.first_row) {
                        self.candidate(trace.id, trace.starts.start);
                    }
                }
                continue;
            }
            let tags = std::mem::take(&mut self.tags);
            let wanted = |leaf: &Leaf, schema: &Schema| is_wanted(&tags, leaf, schema);
            let some = Wanted::Some(&wanted);
            let read = reader.read(row_group, rows.clone(), some, self.parts.tenant, Indexed::No);
            let read = self.parts.note(part, read);
            if let Some(batch) = &read {
                self.found.inspected_spans += u64::from(rows.end - rows.start);
                self.found.inspected_bytes += batch.heap_bytes() as u64;
                for row in matching_rows(batch, count(batch.len()), self.parts.tenant, &tags).iter()
                {
                    self.candidate(batch.trace_id(row), batch.effective_start(row));
                }
            }
            self.tags = tags;
            if read.is_none() {
                return;
            }
        }
    }

    fn candidate(&mut self, id: TraceId, start: Nanos) {
        let earliest = self.starts.entry(id).or_insert(Nanos(u64::MAX));
        if start < *earliest {
            *earliest = start;
            self.heap.push(Candidate { start, id: std::cmp::Reverse(id) });
        }
    }

    /// Settles candidates that no part to come can be newer than.
    fn settle(&mut self, bound: Option<Nanos>) -> Result<(), Error> {
        while self.found.traces.len() < self.search.limit {
            let is_newer = |next: &Candidate| bound.is_none_or(|bound| next.start > bound);
            let Some(next) = self.heap.peek().copied().filter(is_newer) else { return Ok(()) };
            self.heap.pop();
            let id = next.id.0;
            // An entry that an earlier span has replaced.
            if self.starts.get(&id) != Some(&next.start) || self.settled.contains(&id) {
                continue;
            }
            let (rank, summary) = self.summarize(id)?;
            let rank = rank.unwrap_or(next.start).min(next.start);
            if rank < next.start {
                // Parts that were not looked through yet have earlier spans that match.
                self.starts.insert(id, rank);
                self.heap.push(Candidate { start: rank, id: next.id });
                continue;
            }
            self.settled.insert(id);
            let (search, long) = (self.search, summary.duration);
            let fits = search.during.contains(rank)
                && search.duration_min.is_none_or(|min| long >= min)
                && search.duration_max.is_none_or(|max| long <= max);
            let root = |tag: &Tag| tag.root_matches(&summary.root_name, &summary.root_service);
            // What matched may have been a later copy of a span, which is not what is stored.
            if summary.matched > 0 && fits && self.tags.iter().all(root) {
                self.found.traces.push(summary);
            }
        }
        Ok(())
    }

    /// Asks all parts for the spans of a trace: the earliest start of one that matches, and what
    /// is shown.
    fn summarize(&self, id: TraceId) -> Result<(Option<Nanos>, TraceSummary), Error> {
        let tenant = self.parts.tenant;
        let mut gathered = Gathered::new(&self.tags, self.search.spans_per_trace);
        for (at, part) in self.parts.view.parts.iter().enumerate() {
            if let Part::Head(segment, visible) = part {
                let batch = segment.read()?;
                let mut rows: Vec<u32> =
                    batch.trace_rows(tenant, id).filter(|row| row < visible).collect();
                // Oldest first: of several contents of one span the first counts, as by id.
                rows.reverse();
                let looked = self.matches.get(&at);
                let fresh =
                    looked.is_none().then(|| matching_rows(&batch, *visible, tenant, &self.tags));
                let matching = looked.or(fresh.as_ref());
                for row in rows {
                    let matches = matching.is_some_and(|rows| rows.contains(row));
                    gathered.add(&batch, row, matches);
                }
                continue;
            }
            for batch in self.parts.trace(part, id, Wanted::All) {
                let rows = count(batch.len());
                let matching = matching_rows(&batch, rows, tenant, &self.tags);
                for row in 0..rows {
                    gathered.add(&batch, row, matching.contains(row));
                }
            }
        }
        Ok(gathered.done(id))
    }
}

/// Whether the tags need this column.
fn is_wanted(tags: &[Tag], leaf: &Leaf, schema: &Schema) -> bool {
    match leaf.source {
        Source::Fixed(Id::TraceId | Id::Start | Id::Effective | Id::Resource) => true,
        Source::Fixed(Id::Name) => tags.iter().any(|tag| matches!(tag, Tag::Name(_))),
        Source::Fixed(Id::Status) => tags.iter().any(|tag| matches!(tag, Tag::Status(_))),
        Source::Fixed(Id::RestKey | Id::RestText | Id::RestValue) => {
            tags.iter().any(|tag| tag.key().is_some())
        }
        Source::Attribute(Table::Span, place) => {
            let attribute = schema.of(Table::Span).nth(place as usize);
            attribute.is_some_and(|(attribute, _)| {
                attribute.kind != Type::Empty
                    && tags.iter().any(|tag| tag.key() == Some(attribute.key.as_str()))
            })
        }
        _ => false,
    }
}

/// The visible rows of the tenant that match every tag.
fn matching_rows(batch: &Batch, visible: u32, tenant: &TenantId, tags: &[Tag]) -> Rows {
    let mut rows = Rows::none(batch.len());
    let Some(tenant) = batch.tenant(tenant) else { return rows };
    for (at, request) in batch.requests().iter().enumerate() {
        if request.tenant == tenant {
            batch.request_rows(at).filter(|row| *row < visible).for_each(|row| rows.set(row));
        }
    }
    for tag in tags {
        if let Some(matching) = tag.rows(batch) {
            rows.and(&matching);
        }
    }
    rows
}

/// What is gathered of a trace over all parts.
struct Gathered<'t> {
    tags: &'t [Tag],
    spans_max: usize,
    identities: Identities,
    rank: Option<Nanos>,
    start: Option<Nanos>,
    end: Nanos,
    root: Option<(Nanos, String, String)>,
    services: BTreeMap<String, (u64, u64)>,
    matched: u64,
    /// The first of those that match, by start.
    spans: BTreeMap<(Nanos, SpanId, u64), MatchedSpan>,
}

impl<'t> Gathered<'t> {
    fn new(tags: &'t [Tag], spans_max: usize) -> Self {
        Self {
            tags,
            spans_max,
            identities: Identities::default(),
            rank: None,
            start: None,
            end: Nanos(0),
            root: None,
            services: BTreeMap::new(),
            matched: 0,
            spans: BTreeMap::new(),
        }
    }

    fn add(&mut self, batch: &Batch, row: u32, matches: bool) {
        if !self.identities.is_first(batch, row) {
            return;
        }
        let start = batch.start(row);
        self.start = Some(self.start.map_or(start, |earliest| earliest.min(start)));
        self.end = self.end.max(batch.end(row));
        let earlier = |root: &(Nanos, String, String)| start < root.0;
        if batch.parent_id(row).is_none() && self.root.as_ref().is_none_or(earlier) {
            self.root = Some((start, batch.name(row).to_owned(), batch.service(row).to_owned()));
        }
        let (spans, errors) = self.services.entry(batch.service(row).to_owned()).or_default();
        *spans += 1;
        *errors += u64::from(batch.status(row) == 2);
        if matches {
            let rank = batch.effective_start(row);
            self.rank = Some(self.rank.map_or(rank, |earliest| earliest.min(rank)));
            self.matched += 1;
            self.keep(batch, row);
        }
    }

    /// Keeps a span that matches, while it is among the first.
    fn keep(&mut self, batch: &Batch, row: u32) {
        let key = (batch.start(row), batch.span_id(row), self.matched);
        let last = self.spans.last_key_value().map(|(last, _)| *last);
        if self.spans.len() >= self.spans_max && last.is_none_or(|last| key > last) {
            return;
        }
        let mut attributes: Vec<_> =
            self.tags.iter().filter_map(|tag| tag.attribute(batch, row)).collect();
        if !attributes.is_empty() {
            attributes.push(text_attribute("service.name", batch.service(row)));
            attributes.dedup();
        }
        let span = MatchedSpan {
            id: batch.span_id(row),
            name: batch.name(row).to_owned(),
            start: batch.start(row),
            duration: batch.end(row).minus(batch.start(row)),
            attributes,
        };
        self.spans.insert(key, span);
        if self.spans.len() > self.spans_max {
            self.spans.pop_last();
        }
    }

    fn done(self, id: TraceId) -> (Option<Nanos>, TraceSummary) {
        let (_, root_name, root_service) = self.root.unwrap_or_default();
        let start = self.start.unwrap_or_default();
        let services =
            self.services.into_iter().map(|(name, (spans, errors))| (name, spans, errors));
        let summary = TraceSummary {
            id,
            root_service,
            root_name,
            start,
            duration: self.end.minus(start),
            matched: self.matched,
            spans: self.spans.into_values().collect(),
            services: services.collect(),
        };
        (self.rank, summary)
    }
}
