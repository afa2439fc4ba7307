//! Random traces against a plain version of the rules, however rows are spread over batches.

use std::collections::{BTreeMap, HashSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::huge::fill;
use super::*;

/// A span, the service that sent it, and the batch that it is in.
type Row = (Sent, usize, usize);

/// What comes out, by places in the order of arrival: (rows, distances) and (parts, counts).
#[derive(Debug, Default, PartialEq)]
struct Plain {
    rows: Vec<usize>,
    distances: Vec<u32>,
    traces: Vec<TracePart>,
    duplicates: u64,
    conflicts: u64,
}

/// Few ids, so that they are shared, missing, repeated and in circles.
fn rows() -> impl Strategy<Value = Vec<Row>> {
    let kind = prop_oneof![4 => Just(SERVER), 3 => Just(CLIENT), 1 => 0..6, 1 => Just(-7)];
    let start = prop_oneof![6 => 0..20_u64, 1 => Just(9_000_000_000_000)];
    let span = (1..16_u64, 0..18_u64, kind, start, 0..12_i32).prop_map(
        |(id, parent, kind, start, code)| {
            let status = (1..3).contains(&code).then(|| Status { code, message: String::new() });
            Sent { status, kind, ..span(id, parent, start) }
        },
    );
    let service = prop_oneof![9 => Just(0_usize), 1 => Just(1)];
    let repeats = vec((any::<prop::sample::Index>(), 0..3_usize), 0..4);
    (vec((span, service, 0..3_usize), 1..40), repeats).prop_map(|(mut rows, repeats)| {
        for (of, source) in repeats {
            let (span, service, _) = of.get(&rows).clone();
            rows.push((span, service, source));
        }
        rows
    })
}

/// Runs the orderer over batches that each get their rows in the order of arrival.
fn run(orderer: &mut Orderer, rows: &[Row], source_of: impl Fn(usize) -> usize) -> Plain {
    let mut batches = [empty(), empty(), empty()];
    let (mut places, mut arrivals) = (Vec::new(), BTreeMap::new());
    for (arrival, (span, service, source)) in rows.iter().enumerate() {
        let source = source_of(*source);
        let place = Place { source: count(source), row: count(batches[source].len()) };
        let service = ["shop", "cart"][*service];
        put(&mut batches[source], &TenantId::single(), service, "http", vec![span.clone()]);
        places.push(place);
        arrivals.insert(place, arrival);
    }
    let mut out = Ordered::default();
    orderer.trace(&batches.each_ref(), &places, &mut out);
    Plain {
        rows: out.rows.iter().map(|place| arrivals[place]).collect(),
        distances: out.parent_distance,
        traces: out.traces,
        duplicates: out.duplicates,
        conflicts: out.conflicts,
    }
}

fn effective(span: &Sent) -> u64 {
    span.start_time_unix_nano.min(RECEIVED_AT.0 + 120_000_000_000)
}

fn is_error(span: &Sent) -> bool {
    span.status.as_ref().is_some_and(|status| status.code == 2)
}

/// The rules, said plainly.
fn plain(rows: &[Row], part_rows: usize) -> Plain {
    let mut out = Plain::default();
    let mut kept: Vec<usize> = Vec::new();
    for (at, (span, service, _)) in rows.iter().enumerate() {
        let same = |other: &&usize| {
            let other = &rows[**other].0;
            (&other.span_id, other.kind) == (&span.span_id, span.kind)
        };
        let Some(first) = kept.iter().find(same) else {
            kept.push(at);
            continue;
        };
        let is_equal = rows[*first].0 == *span && rows[*first].1 == *service;
        *(if is_equal { &mut out.duplicates } else { &mut out.conflicts }) += 1;
    }
    kept.sort_by_key(|at| effective(&rows[*at].0));
    let parts = kept.len().div_ceil(part_rows);
    for (number, part) in kept.chunks(kept.len().div_ceil(parts)).enumerate() {
        plain_part(rows, part.to_vec(), &mut out);
        let trace = out.traces.last_mut().unwrap();
        (trace.part, trace.oversized) = (count(number), parts > 1);
        trace.is_open |= trace.oversized;
    }
    out
}

fn plain_part(rows: &[Row], mut part: Vec<usize>, out: &mut Plain) {
    let span = |at: usize| &rows[at].0;
    part.sort_by_key(|at| {
        (effective(span(*at)), span(*at).span_id.clone(), span(*at).kind.cast_unsigned())
    });
    let parent = |at: usize| {
        let named =
            |other: &&usize| **other != at && span(**other).span_id == span(at).parent_span_id;
        let server = |other: &&usize| span(**other).kind == SERVER;
        let server = part.iter().filter(named).find(server);
        server.or_else(|| part.iter().find(named)).copied()
    };
    let first = out.rows.len();
    let roots = part.iter().filter(|at| parent(**at).is_none()).chain(&part);
    for root in roots {
        visit(*root, None, &part, &parent, first, out);
    }
    let is_root = |at: &usize| span(*at).parent_span_id.is_empty();
    let root = part.iter().find(|at| is_root(at));
    let place = |at: &usize| out.rows.iter().position(|row| row == at).map(count);
    let misses = part.iter().any(|at| !is_root(at) && parent(*at).is_none());
    let all = |of: fn(&Sent) -> u64| part.iter().map(move |at| of(span(*at)));
    let trace = TracePart {
        id: TraceId::from_array([1; 16]),
        first_row: count(first),
        rows: count(part.len()),
        part: 0,
        oversized: false,
        is_open: misses || root.is_none(),
        root: root.and_then(place),
        starts: TimeRange {
            start: Nanos(all(effective).min().unwrap()),
            end: Nanos(all(effective).max().unwrap()),
        },
        start: Nanos(all(|span| span.start_time_unix_nano).min().unwrap()),
        end: Nanos(all(|span| span.end_time_unix_nano).max().unwrap()),
        errors: count(part.iter().filter(|at| is_error(span(**at))).count()),
    };
    out.traces.push(trace);
}

fn visit(
    at: usize,
    under: Option<usize>,
    part: &[usize],
    parent: &impl Fn(usize) -> Option<usize>,
    first: usize,
    out: &mut Plain,
) {
    if out.rows[first..].contains(&at) {
        return;
    }
    let row = out.rows.len();
    out.rows.push(at);
    out.distances.push(under.map_or(0, |under| count(row - under)));
    for child in part.iter().filter(|child| parent(**child) == Some(at)) {
        visit(*child, Some(row), part, parent, first, out);
    }
}

proptest! {
    #[test]
    fn the_order_is_that_of_the_plain_version(rows in rows(), part_rows in 1..50_usize) {
        let found = run(&mut in_parts_of(part_rows), &rows, |source| source);
        prop_assert_eq!(found, plain(&rows, part_rows));
    }

    #[test]
    fn how_rows_are_spread_does_not_matter(rows in rows(), part_rows in 1..50_usize) {
        let mut orderer = in_parts_of(part_rows);
        let together = run(&mut orderer, &rows, |_| 0);
        prop_assert_eq!(&together, &run(&mut orderer, &rows, |source| source));
        prop_assert_eq!(&together, &run(&mut orderer, &rows, |source| 2 - source));
    }

    #[test]
    fn each_identity_stands_once_and_below_its_parent(rows in rows()) {
        let found = run(&mut Orderer::default(), &rows, |source| source);
        let identity = |at: &usize| (rows[*at].0.span_id.clone(), rows[*at].0.kind);
        let sent: HashSet<_> = (0..rows.len()).map(|at| identity(&at)).collect();
        let there: HashSet<_> = found.rows.iter().map(identity).collect();
        prop_assert_eq!(&there, &sent);
        prop_assert_eq!(found.rows.len(), sent.len());
        let counted = found.rows.len() as u64 + found.duplicates + found.conflicts;
        prop_assert_eq!(counted, rows.len() as u64);
        let mut depths = Vec::new();
        for (row, (at, distance)) in found.rows.iter().zip(&found.distances).enumerate() {
            let span = &rows[*at].0;
            if *distance == 0 {
                depths.push(0);
                continue;
            }
            let above = row.checked_sub(*distance as usize).expect("the parent stands before");
            let parent = &rows[found.rows[above]].0;
            prop_assert_eq!(&parent.span_id, &span.parent_span_id);
            let server = (parent.span_id.clone(), SERVER);
            let is_itself = identity(at) == server;
            prop_assert!(parent.kind == SERVER || is_itself || !sent.contains(&server));
            // A subtree is a range of rows: nothing between is above the parent's level.
            let level = depths[above];
            prop_assert!(depths[above + 1..].iter().all(|depth| *depth > level));
            depths.push(level + 1);
        }
    }

    #[test]
    fn windows_hold_all_keys_in_order(
        keys in prop::collection::hash_set(any::<u128>(), 0..200),
        len in 1..20_usize,
    ) {
        let (mut window, mut seen, mut from) = (Vec::new(), Vec::<u128>::new(), 0);
        while seen.len() < keys.len() {
            fill(&mut window, keys.iter().copied(), from, len);
            let least = len.min(keys.len() - seen.len());
            prop_assert!((least..2 * len).contains(&window.len()));
            seen.extend(&window);
            from = window[window.len() - 1].saturating_add(1);
        }
        let mut sorted: Vec<_> = keys.into_iter().collect();
        sorted.sort_unstable();
        prop_assert_eq!(seen, sorted);
    }
}
