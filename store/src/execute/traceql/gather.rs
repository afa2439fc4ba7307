//! The spans of one trace out of all parts of a view.

use std::ops::Range;
use std::sync::RwLockReadGuard;

use model::TraceId;
use model::batch::Batch;
use model::column::count;

use super::judge::{Piece, Place, TraceSpans, first_of_each};
use super::program::Program;
use super::rows::Rows;
use super::units::{Unit, read};
use super::want::Want;
use crate::error::Error;
use crate::execute::Parts;
use crate::shelf::Part;

/// The most spans of a trace that are judged together; those of a larger one are judged part by
/// part, and the answer says so.
pub(super) const SPANS_MAX: usize = 250_000;

/// Where spans of a trace stand together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) unit: Unit,
    /// The rows in the row group; of a segment of the head, of all of it.
    pub(super) rows: Range<u32>,
}

/// A fragment that was read.
pub(super) enum Read<'p> {
    Head(RwLockReadGuard<'p, Batch>, Vec<u32>),
    File(Box<Batch>),
}

impl Read<'_> {
    pub(super) fn batch(&self) -> &Batch {
        match self {
            Self::Head(batch, _) => batch,
            Self::File(batch) => batch,
        }
    }

    /// The rows of the trace.
    fn rows(&self) -> Vec<u32> {
        match self {
            Self::Head(_, rows) => rows.clone(),
            Self::File(batch) => (0..count(batch.len())).collect(),
        }
    }

    /// The row in the unit of a row here.
    pub(super) fn row_in_unit(&self, fragment: &Fragment, row: u32) -> u32 {
        match self {
            Self::Head(..) => row,
            Self::File(_) => fragment.rows.start.saturating_add(row),
        }
    }
}

/// The fragments of a trace in the order of the view: of several spans of one identity the first
/// counts. No segment of the head may be held by whoever calls.
pub(super) fn gather<'p>(
    parts: &'p Parts<'p>,
    id: TraceId,
    want: &Want,
) -> Result<Vec<(Fragment, Read<'p>)>, Error> {
    let mut found = Vec::new();
    for (at, part) in parts.view.parts.iter().enumerate() {
        if let Part::Head(segment, visible) = part {
            let batch = segment.read()?;
            let mut rows: Vec<u32> =
                batch.trace_rows(parts.tenant, id).filter(|row| row < visible).collect();
            rows.reverse();
            if !rows.is_empty() {
                let fragment =
                    Fragment { unit: Unit { part: at, group: None }, rows: 0..count(batch.len()) };
                found.push((fragment, Read::Head(batch, rows)));
            }
            continue;
        }
        let Some(reader) = parts.reader(part) else { continue };
        for (group, rows) in parts.note(part, reader.find(id)).unwrap_or_default() {
            let own = parts.rows(part, &reader, group);
            // The hash of an id may be another's, and an L0 has other tenants.
            if rows.start < own.start || rows.end > own.end {
                continue;
            }
            let batch = read(parts, part, &reader, (group, rows.clone()), want);
            let is_it = |batch: &Batch| batch.columns().trace_id.first() == Some(&id);
            if let Some(batch) = batch.filter(is_it) {
                let unit = Unit { part: at, group: Some(group) };
                found.push((Fragment { unit, rows }, Read::File(Box::new(batch))));
            }
        }
    }
    Ok(found)
}

/// Calls `each` with the spans of a trace out of its fragments: with all of them, or, of a huge
/// trace, fragment by fragment. Tells whether it was huge.
pub(super) fn with_spans(
    program: &Program,
    fragments: &[(Fragment, Read<'_>)],
    is_judged: bool,
    mut each: impl FnMut(&TraceSpans<'_>, &[usize]),
) -> bool {
    let piece = |(_, read): &'_ (Fragment, Read<'_>)| {
        let batch = read.batch();
        if is_judged { Some(rows_of(read, batch)) } else { None }
    };
    let within: Vec<Option<Rows>> = fragments.iter().map(piece).collect();
    let pieces: Vec<Piece<'_>> = fragments
        .iter()
        .zip(&within)
        .map(|((_, read), within)| match within {
            Some(within) => Piece::new(program, read.batch(), within),
            None => Piece::plain(program, read.batch()),
        })
        .collect();
    let mut places: Vec<Place> = Vec::new();
    for (piece, (_, read)) in (0..).zip(fragments) {
        places.extend(read.rows().into_iter().map(|row| Place { piece, row }));
    }
    first_of_each(&mut places, &pieces);
    if places.len() <= SPANS_MAX {
        let all: Vec<usize> = (0..fragments.len()).collect();
        each(&TraceSpans::new(program, &pieces, places), &all);
        return false;
    }
    for at in 0..fragments.len() {
        let own = places.iter().copied().filter(|place| place.piece as usize == at);
        each(&TraceSpans::new(program, &pieces, own.collect()), &[at]);
    }
    true
}

fn rows_of(read: &Read<'_>, batch: &Batch) -> Rows {
    match read {
        Read::Head(_, rows) => {
            let mut set = Rows::none(count(batch.len()));
            rows.iter().for_each(|row| set.set(*row));
            set
        }
        Read::File(_) => Rows::all(count(batch.len())),
    }
}
