//! `trace-summary-v0-native`: what is different, in a page.

use std::collections::{BTreeMap, BTreeSet};

use model::Nanos;
use serde::Serialize;

use super::patch::{ChangeCounts, STATUS, Target};
use super::tree::{Node, Tree};
use super::{Diff, Format, Warning};

/// A service got slower or faster if the sum of its spans did by this much, in nanoseconds, and by
/// this part of what it was. Spans that changed too little to be told one by one add up here.
const DRIFT_MIN: i64 = 1_000_000;
const DRIFT_PART: i64 = 20;

/// What spans without a service are told under.
const NO_SERVICE: &str = "<unknown>";

/// `STATUS_CODE_ERROR`, in a word.
const ERROR: &str = "error";

/// The document.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary<'d> {
    version: Format,
    base: Side<'d>,
    compare: Side<'d>,
    signals: Signals,
    trust: Trust,
    stats: Stats,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'d [Warning],
    changed_services: BTreeSet<&'d str>,
    services: Vec<Service<'d>>,
}

/// One of the traces.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Side<'d> {
    trace_id: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    root_service: &'d str,
    #[serde(skip_serializing_if = "str::is_empty")]
    root_name: &'d str,
    span_count: usize,
    error_span_count: usize,
    duration_ms: i64,
    sum_span_duration_ms: i64,
    #[serde(skip)]
    duration: i64,
    #[serde(skip)]
    sum: i64,
}

/// Which way things went; whether that is good is not ours to say.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Signals {
    trace_latency: &'static str,
    sum_span_duration: &'static str,
    errors: &'static str,
    span_count: &'static str,
    structure: &'static str,
}

/// How much of the traces was paired.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Trust {
    /// Of the larger one.
    matched_span_ratio: f64,
    /// Of the smaller one.
    structure_overlap: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    trace_latency_delta_ms: i64,
    sum_span_duration_delta_ms: i64,
    span_count_delta: i64,
    error_span_delta: i64,
    #[serde(flatten)]
    counts: ChangeCounts,
}

/// What changed in a service.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Service<'d> {
    name: &'d str,
    sum_span_duration_delta_ms: i64,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    modified: usize,
    added: usize,
    removed: usize,
    new_errors: usize,
    resolved_errors: usize,
}

impl<'d> Summary<'d> {
    pub(super) fn of(diff: &'d Diff<'d>) -> Self {
        let (base, compare) = (Side::of(diff, diff.base), Side::of(diff, diff.compare));
        let changes = &diff.changes;
        let stats = Stats {
            trace_latency_delta_ms: millis(compare.duration.saturating_sub(base.duration)),
            sum_span_duration_delta_ms: millis(compare.sum.saturating_sub(base.sum)),
            span_count_delta: delta(base.span_count, compare.span_count),
            error_span_delta: delta(base.error_span_count, compare.error_span_count),
            counts: changes.counts(),
        };
        let moved = moved(diff);
        let is_same = moved.is_empty() && changes.added.is_empty() && changes.removed.is_empty();
        let signals = Signals {
            trace_latency: direction(stats.trace_latency_delta_ms),
            sum_span_duration: direction(stats.sum_span_duration_delta_ms),
            errors: direction(stats.error_span_delta),
            span_count: direction(stats.span_count_delta),
            structure: if is_same { "unchanged" } else { "changed" },
        };
        let services = services(diff);
        let changed_services = services.iter().map(|service| service.name).chain(moved).collect();
        let (fewer, more) =
            (base.span_count.min(compare.span_count), base.span_count.max(compare.span_count));
        let trust = Trust {
            matched_span_ratio: ratio(changes.matched, more),
            structure_overlap: ratio(changes.matched, fewer),
        };
        let (version, warnings) = (Format::Native, diff.warnings.as_slice());
        Self { version, base, compare, signals, trust, stats, warnings, changed_services, services }
    }
}

impl<'d> Side<'d> {
    fn of(diff: &'d Diff<'d>, tree: &Tree<'_>) -> Self {
        let timed = || tree.nodes.iter().filter(|node| node.duration.is_some());
        let first = timed().map(|node| node.span.start).min().unwrap_or_default();
        let last = timed().map(|node| node.span.end).max().unwrap_or_default();
        let Nanos(duration) = last.minus(first);
        let duration = i64::try_from(duration).unwrap_or(i64::MAX);
        let sum = sum(tree.nodes.iter());
        let root = diff.names.get(tree.nodes.first().map_or(usize::MAX, |node| node.name));
        Self {
            trace_id: tree.id.to_string(),
            root_service: &root.service,
            root_name: &root.name,
            span_count: tree.nodes.len(),
            error_span_count: tree.nodes.iter().filter(|node| is_error(node)).count(),
            duration_ms: millis(duration),
            sum_span_duration_ms: millis(sum),
            duration,
            sum,
        }
    }
}

fn is_error(node: &Node<'_>) -> bool {
    node.span.status_word() == ERROR
}

fn sum<'n>(nodes: impl Iterator<Item = &'n Node<'n>>) -> i64 {
    nodes.filter_map(|node| node.duration).fold(0, i64::saturating_add)
}

const fn millis(nanos: i64) -> i64 {
    nanos / 1_000_000
}

fn delta(before: usize, after: usize) -> i64 {
    let number = |count| i64::try_from(count).unwrap_or(i64::MAX);
    number(after) - number(before)
}

const fn direction(delta: i64) -> &'static str {
    match delta {
        0 => "unchanged",
        1.. => "increased",
        _ => "decreased",
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share of spans that fit into memory")]
fn ratio(part: usize, whole: usize) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The service of a span, as it is told.
fn service<'d>(diff: &'d Diff<'d>, node: &Node<'_>) -> &'d str {
    match diff.names.get(node.name).service.as_str() {
        "" => NO_SERVICE,
        service => service,
    }
}

/// Services whose spans stand below other parents, or are more or fewer there.
fn moved<'d>(diff: &'d Diff<'d>) -> BTreeSet<&'d str> {
    let mut places: BTreeMap<(usize, Option<usize>), (i64, &'d str)> = BTreeMap::new();
    for (tree, step) in [(diff.base, -1), (diff.compare, 1)] {
        for node in &tree.nodes {
            let service = service(diff, node);
            places.entry((node.name, node.above)).or_insert((0, service)).0 += step;
        }
    }
    places.into_values().filter(|(count, _)| *count != 0).map(|(_, service)| service).collect()
}

/// Services with spans that changed, or that drifted: those that changed most first.
fn services<'d>(diff: &'d Diff<'d>) -> Vec<Service<'d>> {
    let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
    let node = |tree: &'d Tree<'d>, at: usize| tree.nodes.get(at);
    for (at, changes) in &diff.changes.modified {
        let Some(node) = node(diff.compare, *at) else { continue };
        let counts = counts.entry(service(diff, node)).or_default();
        counts.modified += 1;
        for change in changes {
            if matches!(&change.target, Target::Field { name } if *name == STATUS) {
                counts.new_errors += usize::from(change.after == ERROR);
                counts.resolved_errors += usize::from(change.before == ERROR);
            }
        }
    }
    for node in diff.changes.added.iter().filter_map(|at| node(diff.compare, *at)) {
        let counts = counts.entry(service(diff, node)).or_default();
        counts.added += 1;
        counts.new_errors += usize::from(is_error(node));
    }
    for node in diff.changes.removed.iter().filter_map(|at| node(diff.base, *at)) {
        let counts = counts.entry(service(diff, node)).or_default();
        counts.removed += 1;
        counts.resolved_errors += usize::from(is_error(node));
    }
    let mut sums: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for node in &diff.base.nodes {
        let before = &mut sums.entry(service(diff, node)).or_default().0;
        *before = before.saturating_add(node.duration.unwrap_or(0));
    }
    for node in &diff.compare.nodes {
        let after = &mut sums.entry(service(diff, node)).or_default().1;
        *after = after.saturating_add(node.duration.unwrap_or(0));
    }
    let mut services: Vec<Service<'_>> = Vec::new();
    for (name, (before, after)) in sums {
        let delta = after.saturating_sub(before);
        let is_drift = delta.saturating_abs()
            >= DRIFT_MIN.max(before.saturating_add(DRIFT_PART - 1) / DRIFT_PART);
        let counts = counts.get(name).copied().unwrap_or_default();
        if is_drift || counts != Counts::default() {
            services.push(Service { name, sum_span_duration_delta_ms: millis(delta), counts });
        }
    }
    services.sort_by_key(|service| {
        let most = service.sum_span_duration_delta_ms.saturating_abs();
        (std::cmp::Reverse((most, service.counts.new_errors)), service.name)
    });
    services
}
