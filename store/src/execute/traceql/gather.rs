//! The spans of traces that stand in several places, brought together.
//!
//! What is read of a unit is read once for many traces: those that go on from one block to the next
//! are many, and stand in the same row groups.

use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::rc::Rc;
use std::sync::{Arc, RwLockReadGuard};

use model::batch::Batch;
use model::column::count;
use model::{TimeRange, TraceId};

use super::elsewhere::Elsewhere;
use super::judge::{Origin, Piece, Place, TraceSpans, first_of_each};
use super::program::Program;
use super::rows::Rows;
use super::units::{Limits, Unit, read};
use super::want::Want;
use crate::error::Error;
use crate::execute::Parts;
use crate::head::Segment;
use crate::shelf::Part;

/// The most spans of a trace that are judged together; those of a larger one are judged part by
/// part, and the answer says so.
const SPANS_MAX: usize = if cfg!(test) { 64 } else { 250_000 };
/// All of a unit is read where this times its traces is not less than its rows: reading one trace
/// takes a page of each column, which holds about so many rows.
const ROWS_PER_TRACE: usize = 16_384;
/// So many rows of such units are in memory at a time.
const ROWS_MAX: usize = 1 << 20;
/// So many traces are brought together at a time: writers of the head wait for them.
pub(super) const TRACES_MAX: usize = 256;

/// Where spans of a trace stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) unit: Unit,
    /// The rows in the row group; of a segment of the head, all that may be its.
    pub(super) rows: Range<u32>,
}

/// A fragment that was read: which piece, and the row in the unit of its first row.
#[derive(Clone, Debug)]
struct Spot {
    fragment: Fragment,
    piece: u32,
    base: u32,
}

/// Where the spans of a trace that was brought together stand.
pub(super) struct Spots<'s>(&'s [Spot]);

impl Spots<'_> {
    /// The fragments, in the order of the view.
    pub(super) fn fragments(&self) -> Vec<Fragment> {
        self.0.iter().map(|spot| spot.fragment.clone()).collect()
    }

    /// The fragment of a span, and its row in the unit.
    pub(super) fn locate(&self, place: Place) -> (u32, u32) {
        let row = |spot: &Spot| spot.base + place.row;
        let is = |spot: &Spot| spot.piece == place.piece && spot.fragment.rows.contains(&row(spot));
        let at = self.0.iter().position(is).unwrap_or(0);
        (count(at), self.0.get(at).map_or(place.row, row))
    }

    /// The other way round; nothing where that was not read.
    pub(super) fn place(&self, fragment: &Fragment, row: u32) -> Option<Place> {
        let is = |spot: &&Spot| {
            spot.fragment.unit == fragment.unit
                && (fragment.unit.group.is_none() || spot.fragment.rows.contains(&row))
        };
        let spot = self.0.iter().find(is)?;
        Some(Place { piece: spot.piece, row: row.checked_sub(spot.base)? })
    }
}

/// What was read.
enum Read<'p> {
    /// Of a segment of several tenants each has it: a lock is not taken twice.
    Head(Rc<RwLockReadGuard<'p, Batch>>),
    File(Box<Batch>),
}

impl Read<'_> {
    fn batch(&self) -> &Batch {
        match self {
            Self::Head(batch) => batch,
            Self::File(batch) => batch,
        }
    }
}

/// The rows of one trace, by the number of what was read.
struct Gathered {
    id: TraceId,
    spots: Vec<Spot>,
    /// Of a segment of the head, the rows; of files, those of the fragment.
    rows: Vec<Vec<u32>>,
}

/// Where a trace stands.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) id: TraceId,
    /// In the order of the view; of segments of the head all, as it may be in any.
    pub(super) fragments: Vec<Fragment>,
    /// When its spans start, as far as they are in files.
    starts: Option<TimeRange>,
    is_in_head: bool,
}

impl Located {
    /// When all of its spans start; nothing where some are in the head.
    pub(super) fn starts(&self) -> Option<TimeRange> {
        self.starts.filter(|_| !self.is_in_head)
    }

    /// Appends what tells its fragments in files apart from others.
    pub(super) fn put_key(&self, parts: &Parts<'_>, key: &mut Vec<u8>) {
        put_key(parts, self.id, &self.fragments, key);
    }
}

/// Appends what tells fragments of a trace apart from others. Whether all of them are in files.
pub(super) fn put_key(
    parts: &Parts<'_>,
    id: TraceId,
    fragments: &[Fragment],
    key: &mut Vec<u8>,
) -> bool {
    key.extend_from_slice(id.as_bytes());
    fragments.iter().all(|Fragment { unit, rows }| {
        let Some((reader, group)) = parts.reader_at(unit.part).zip(unit.group) else {
            return false;
        };
        let place = [u64::from(group), u64::from(rows.start), u64::from(rows.end)];
        let words = reader.identity().into_iter().chain(place);
        words.for_each(|word| key.extend_from_slice(&word.to_le_bytes()));
        true
    })
}

/// Finds where traces stand. No segment of the head may be held by whoever calls.
///
/// # Errors
/// `Fatal` when a writer has panicked.
pub(super) fn locate(
    parts: &Parts<'_>,
    elsewhere: &Elsewhere<'_>,
    ids: &[TraceId],
) -> Result<Vec<Located>, Error> {
    ids.iter().map(|id| located(parts, elsewhere, *id)).collect()
}

/// Brings traces together and calls `each` with the spans of each, every one once: of several of one
/// identity the first in the order of the view counts. Of a huge trace it is called fragment by
/// fragment; the ids of these are returned. No segment of the head may be held by whoever calls.
///
/// `is_judged` tells whether filters are evaluated, or only values looked up.
pub(super) fn gather(
    parts: &Parts<'_>,
    program: &Program,
    (want, is_judged): (&Want, bool),
    located: &[Located],
    limits: &mut Limits<'_>,
    mut each: impl FnMut(TraceId, &TraceSpans<'_>, &Spots<'_>),
) -> Result<Vec<TraceId>, Error> {
    let mut by_unit: HashMap<Unit, usize> = HashMap::new();
    for fragment in located.iter().flat_map(|located| &located.fragments) {
        if fragment.unit.group.is_some() {
            *by_unit.entry(fragment.unit).or_default() += 1;
        }
    }
    let together = together(parts, by_unit);
    let mut reads: Vec<(Read<'_>, Option<Rows>, usize)> = Vec::new();
    let mut held: HashMap<*const Segment, Rc<RwLockReadGuard<'_, Batch>>> = HashMap::new();
    let mut known: HashMap<Unit, Option<(u32, u32)>> = HashMap::new();
    let mut gathered = Vec::new();
    for Located { id, fragments, .. } in located {
        let mut of = Gathered { id: *id, spots: Vec::new(), rows: Vec::new() };
        for fragment in fragments.iter().cloned() {
            let at = fragment.unit.part;
            let Some(part) = parts.view.parts.get(at) else { continue };
            match (part, fragment.unit.group) {
                (Part::Head(segment, visible), _) => {
                    let place = match known.get(&fragment.unit) {
                        Some(place) => *place,
                        None => {
                            let guard = match held.entry(Arc::as_ptr(segment)) {
                                Occupied(held) => Rc::clone(held.get()),
                                Vacant(free) => Rc::clone(free.insert(Rc::new(segment.read()?))),
                            };
                            reads.push((Read::Head(guard), None, at));
                            let place = Some((count(reads.len() - 1), 0));
                            known.insert(fragment.unit, place);
                            place
                        }
                    };
                    let Some((piece, _)) = place else { continue };
                    let Some((read, within, _)) = reads.get_mut(piece as usize) else { continue };
                    let batch = read.batch();
                    let own = batch.trace_rows(&parts.owner(at).tenant, *id);
                    let mut rows: Vec<u32> = own.filter(|row| row < visible).collect();
                    rows.reverse();
                    if rows.is_empty() {
                        continue;
                    }
                    let within = within.get_or_insert_with(|| Rows::none(count(batch.len())));
                    rows.iter().for_each(|row| within.set(*row));
                    let rows_of = 0..count(batch.len());
                    let fragment = Fragment { unit: fragment.unit, rows: rows_of };
                    of.spots.push(Spot { fragment, piece, base: 0 });
                    of.rows.push(rows);
                }
                (_, Some(group)) => {
                    let Some(reader) = parts.reader(part) else { continue };
                    let rows = fragment.rows.clone();
                    let mut load = |rows: Range<u32>| {
                        let batch = read(parts, at, &reader, (group, rows.clone()), want)?;
                        limits.read_more(&batch);
                        reads.push((Read::File(Box::new(batch)), None, at));
                        Some((count(reads.len() - 1), rows.start))
                    };
                    let place = if together.contains(&fragment.unit) {
                        *known
                            .entry(fragment.unit)
                            .or_insert_with(|| load(parts.rows(at, &reader, group)))
                    } else {
                        load(rows.clone())
                    };
                    let Some((piece, base)) = place else { continue };
                    of.spots.push(Spot { fragment, piece, base });
                    of.rows.push((rows.start - base..rows.end - base).collect());
                }
                _ => {}
            }
        }
        gathered.push(of);
    }
    if parts.view.is_federated() {
        in_order(&mut reads, &mut gathered);
    }
    let pieces: Vec<Piece<'_>> = reads
        .iter()
        .map(|(read, within, at)| {
            let batch = (read.batch(), Origin::of(parts, *at));
            match (is_judged, within) {
                (false, _) => Piece::plain(program, batch),
                (true, Some(within)) => Piece::new(program, batch, within),
                (true, None) => Piece::new(program, batch, &Rows::all(count(read.batch().len()))),
            }
        })
        .collect();
    let mut huge = Vec::new();
    for Gathered { id, spots, rows } in gathered {
        let mut places: Vec<Place> = Vec::new();
        let mut of_spot: Vec<usize> = Vec::new();
        for (at, (spot, rows)) in spots.iter().zip(rows).enumerate() {
            let piece = spot.piece;
            of_spot.extend(rows.iter().map(|_| at));
            places.extend(rows.into_iter().map(|row| Place { piece, row }));
        }
        let all = places.clone();
        first_of_each(&mut places, &pieces);
        // In the order of pieces, which spans are looked up by.
        places.sort_unstable_by_key(|place| (place.piece, place.row));
        if places.len() <= SPANS_MAX {
            if !places.is_empty() {
                each(id, &TraceSpans::new(program, &pieces, places), &Spots(&spots));
            }
            continue;
        }
        huge.push(id);
        for (at, spot) in spots.iter().enumerate() {
            let own = all.iter().zip(&of_spot).filter(|(_, of)| **of == at);
            let own = own.map(|(place, _)| *place);
            let own = own.filter(|place| {
                let key = |place: &Place| (place.piece, place.row);
                places.binary_search_by_key(&key(place), key).is_ok()
            });
            let own: Vec<Place> = own.collect();
            let spot = std::slice::from_ref(spot);
            each(id, &TraceSpans::new(program, &pieces, own), &Spots(spot));
        }
    }
    Ok(huge)
}

/// Puts what was read in the order of the view: spans of two tenants that are alike in all else go by it.
fn in_order<R>(reads: &mut [(R, Option<Rows>, usize)], gathered: &mut [Gathered]) {
    let mut order: Vec<usize> = (0..reads.len()).collect();
    order.sort_by_key(|at| reads[*at].2);
    let mut place = vec![0; order.len()];
    order.iter().enumerate().for_each(|(to, from)| place[*from] = count(to));
    reads.sort_by_key(|(.., at)| *at);
    for spot in gathered.iter_mut().flat_map(|of| &mut of.spots) {
        spot.piece = place[spot.piece as usize];
    }
}

/// The units of which everything is read, by how many traces stand in each.
fn together(parts: &Parts<'_>, by_unit: HashMap<Unit, usize>) -> HashSet<Unit> {
    let rows = |unit: Unit| {
        let reader = parts.reader_at(unit.part)?;
        Some(parts.rows(unit.part, reader, unit.group?).len())
    };
    let sized = by_unit.into_iter().filter_map(|(unit, traces)| Some((traces, unit, rows(unit)?)));
    let mut dense: Vec<(usize, Unit, usize)> =
        sized.filter(|(traces, _, rows)| traces.saturating_mul(ROWS_PER_TRACE) >= *rows).collect();
    dense.sort_unstable_by_key(|(traces, unit, _)| (std::cmp::Reverse(*traces), *unit));
    let mut left = ROWS_MAX;
    let fits = dense.into_iter().take_while(|(.., rows)| {
        let fits = *rows <= left || left == ROWS_MAX;
        left = left.saturating_sub(*rows);
        fits
    });
    fits.map(|(_, unit, _)| unit).collect()
}

fn located(parts: &Parts<'_>, elsewhere: &Elsewhere<'_>, id: TraceId) -> Result<Located, Error> {
    let mut found = Located { id, fragments: Vec::new(), starts: None, is_in_head: false };
    for (part, group, rows) in elsewhere.find(id) {
        let Some((of, reader)) = parts.view.parts.get(part).zip(parts.reader_at(part)) else {
            continue;
        };
        // The hash of an id may be another's, and an L0 has other tenants.
        let own = parts.rows(part, reader, group);
        if parts.owner(part).hidden.has(id) {
            continue;
        }
        if rows.start < own.start || rows.end > own.end {
            continue;
        }
        let Some(summary) = parts.note(of, reader.summary_kept(group)) else { continue };
        let trace = summary.traces.partition_point(|trace| trace.first_row < rows.start);
        let Some(trace) = summary.traces.get(trace).filter(|trace| trace.id == id) else {
            continue;
        };
        let all = found.starts.unwrap_or(trace.starts);
        found.starts = Some(TimeRange {
            start: all.start.min(trace.starts.start),
            end: all.end.max(trace.starts.end),
        });
        found.fragments.push(Fragment { unit: Unit { part, group: Some(group) }, rows });
    }
    for part in elsewhere.find_in_head(id)? {
        found.is_in_head = true;
        found.fragments.push(Fragment { unit: Unit { part, group: None }, rows: 0..0 });
    }
    found.fragments.sort_by_key(|fragment| (fragment.unit, fragment.rows.start));
    Ok(found)
}
