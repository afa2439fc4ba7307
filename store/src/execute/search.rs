//! The search for traces: candidates per segment, newest first, then a summary for the top ones.

use std::collections::{BTreeMap, HashMap};

use model::batch::{Batch, TraceEntry};
use model::{Nanos, SpanId, TenantId, TraceId};

use super::tags::{Rows, Tag, text_attribute};
use super::{Found, Identities, MatchedSpan, Search, TraceSummary};
use crate::error::Error;
use crate::head::View;

/// Finds the newest traces that match.
///
/// # Errors
/// `Fatal` when a writer has panicked.
pub(crate) fn search(view: &View, tenant: &TenantId, search: &Search) -> Result<Found, Error> {
    let tags: Vec<Tag> = search.tags.iter().map(|(key, value)| Tag::new(key, value)).collect();
    let mut found = Found::default();
    let mut matches = Vec::new();
    let mut starts: HashMap<TraceId, Nanos> = HashMap::new();
    for (segment, visible) in &view.parts {
        let batch = segment.read()?;
        let rows = matching_rows(&batch, *visible, tenant, &tags);
        found.inspected_spans += u64::from(*visible);
        found.inspected_bytes += batch.heap_bytes() as u64;
        let mut candidate = |id: TraceId, start: Nanos| {
            let earliest = starts.entry(id).or_insert(start);
            *earliest = start.min(*earliest);
        };
        if tags.is_empty() {
            // Every trace matches: the trace index tells what the rows would.
            let of_tenant = batch.tenant(tenant);
            let visible = |entry: &&TraceEntry| entry.first_row < *visible;
            let ours = batch.traces().iter().filter(|entry| Some(entry.tenant) == of_tenant);
            ours.filter(visible).for_each(|entry| candidate(entry.id, entry.starts.start));
        } else {
            rows.iter().for_each(|row| candidate(batch.trace_id(row), batch.effective_start(row)));
        }
        matches.push(rows);
    }
    found.inspected_traces = starts.len() as u64;
    let mut newest: Vec<(Nanos, TraceId)> = starts
        .into_iter()
        .filter(|(_, start)| search.during.contains(*start))
        .map(|(id, start)| (start, id))
        .collect();
    newest.sort_unstable_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    for (_, id) in newest {
        if found.traces.len() >= search.limit {
            break;
        }
        let summary = summarize(view, tenant, id, &matches, &tags, search.spans_per_trace)?;
        let long = search.duration_min.is_none_or(|min| summary.duration >= min);
        let short = search.duration_max.is_none_or(|max| summary.duration <= max);
        let root = |tag: &Tag| tag.root_matches(&summary.root_name, &summary.root_service);
        // What matched may have been a later copy of a span, which is not what is stored.
        if summary.matched > 0 && long && short && tags.iter().all(root) {
            found.traces.push(summary);
        }
    }
    Ok(found)
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

/// What is gathered of a trace over its segments.
#[derive(Debug, Default)]
struct Gathered {
    start: Option<Nanos>,
    end: Nanos,
    root: Option<(Nanos, String, String)>,
    services: BTreeMap<String, (u64, u64)>,
    matched: Vec<(Nanos, SpanId, usize, u32)>,
}

fn summarize(
    view: &View,
    tenant: &TenantId,
    id: TraceId,
    matches: &[Rows],
    tags: &[Tag],
    spans_per_trace: usize,
) -> Result<TraceSummary, Error> {
    let mut gathered = Gathered::default();
    let mut identities = Identities::default();
    for (at, ((segment, visible), matching)) in view.parts.iter().zip(matches).enumerate() {
        let batch = segment.read()?;
        // Oldest first: of several contents of one span the first counts, as by id.
        let mut rows: Vec<u32> = batch.trace_rows(tenant, id).filter(|row| row < visible).collect();
        rows.reverse();
        for row in rows {
            if identities.is_new(&batch, row, &[]) {
                gathered.add(&batch, row, matching.contains(row).then_some(at));
            }
        }
    }
    gathered.matched.sort_unstable();
    let mut spans = Vec::new();
    for (start, span, segment, row) in gathered.matched.iter().take(spans_per_trace) {
        let Some((segment, _)) = view.parts.get(*segment) else { continue };
        let batch = segment.read()?;
        let duration = batch.end(*row).minus(*start);
        let mut attributes: Vec<_> =
            tags.iter().filter_map(|tag| tag.attribute(&batch, *row)).collect();
        if !attributes.is_empty() {
            attributes.push(text_attribute("service.name", batch.service(*row)));
            attributes.dedup();
        }
        let name = batch.name(*row).to_owned();
        spans.push(MatchedSpan { id: *span, name, start: *start, duration, attributes });
    }
    let (_, root_name, root_service) = gathered.root.unwrap_or_default();
    let start = gathered.start.unwrap_or_default();
    let services =
        gathered.services.into_iter().map(|(name, (spans, errors))| (name, spans, errors));
    Ok(TraceSummary {
        id,
        root_service,
        root_name,
        start,
        duration: gathered.end.minus(start),
        matched: gathered.matched.len() as u64,
        spans,
        services: services.collect(),
    })
}

impl Gathered {
    /// Adds a span, with its segment where it matched.
    fn add(&mut self, batch: &Batch, row: u32, matched_in: Option<usize>) {
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
        if let Some(segment) = matched_in {
            self.matched.push((start, batch.span_id(row), segment, row));
        }
    }
}
