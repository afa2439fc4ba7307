//! The rows that a merge holds: slices of its inputs, as batches, the last used ones.

use std::rc::Rc;

use model::TenantId;
use model::batch::{Batch, Indexed};
use model::column::count;

use super::input::{Input, Slice};
use super::{GROUP_ROWS, Gathered, Piece, Trace, Turn};
use crate::block::order::Place;
use crate::block::reader::Wanted;
use crate::error::{Error, Kind};

/// A trace, its part where it is huge, and where its rows are held.
pub(super) type Placed = (Trace, Option<u32>, Vec<Place>);

/// What is held.
pub(super) struct Sources<'s> {
    inputs: &'s [Input],
    slices: &'s [Slice],
    gathered: Option<&'s Gathered>,
    tenant: &'s TenantId,
    bytes_max: usize,
    held: Vec<Source>,
    tick: u64,
}

struct Source {
    slice: u32,
    /// The first row of the batch in its row group.
    first_row: u32,
    batch: Rc<Batch>,
    bytes: usize,
    used: u64,
}

impl<'s> Sources<'s> {
    pub(super) fn new(
        inputs: &'s [Input],
        slices: &'s [Slice],
        gathered: Option<&'s Gathered>,
        tenant: &'s TenantId,
        bytes_max: usize,
    ) -> Self {
        Self { inputs, slices, gathered, tenant, bytes_max, held: Vec::new(), tick: 0 }
    }

    /// How many of these traces make the next row group: as many as it takes, and as need no more
    /// slices of the inputs than may be held.
    pub(super) fn plan<'p>(
        &self,
        traces: &[Trace],
        pieces: impl Fn(&Trace) -> Option<&'p [Piece]>,
    ) -> usize {
        let mut needed: Vec<u32> = Vec::new();
        let (mut rows, mut bytes) = (0u64, 0usize);
        for (at, trace) in traces.iter().enumerate() {
            rows += trace.rows;
            for piece in pieces(trace).unwrap_or_default() {
                if !needed.contains(&piece.slice) {
                    needed.push(piece.slice);
                    bytes += self.cost(piece.slice);
                }
            }
            if at > 0 && (rows > u64::from(GROUP_ROWS) || bytes > self.bytes_max) {
                return at;
            }
        }
        traces.len()
    }

    /// A slice, and what it is one of.
    fn slice(&self, slice: u32) -> Option<(&'s Slice, &'s Input)> {
        let slice = self.slices.get(slice as usize)?;
        Some((slice, self.inputs.get(slice.input as usize)?))
    }

    /// Heap bytes that a slice takes when it is loaded, about; what was gathered is there.
    fn cost(&self, slice: u32) -> usize {
        match self.slice(slice) {
            Some((slice, input)) if self.gathered.is_none() => {
                slice.rows as usize * input.row_bytes()
            }
            _ => 0,
        }
    }

    /// Reads the slices that these traces need and that are not held.
    pub(super) fn load(&mut self, turn: &Turn<'_>) -> Result<(), Error> {
        self.tick += 1;
        let mut missing: Vec<u32> = Vec::new();
        for piece in turn.iter().flat_map(|(_, _, pieces)| *pieces) {
            match self.held.iter_mut().find(|source| source.slice == piece.slice) {
                Some(source) => source.used = self.tick,
                None if !missing.contains(&piece.slice) => missing.push(piece.slice),
                None => {}
            }
        }
        for number in missing {
            self.make_room();
            let Some((slice, input)) = self.slice(number) else { continue };
            let Slice { group, first_row, rows, .. } = *slice;
            let known = match (self.gathered, input) {
                (Some(of), Input::L0(l0)) => of.batches.get(&(l0.id, group)).cloned(),
                _ => None,
            };
            let batch = match known {
                Some(batch) => batch,
                None => {
                    let rows = first_row..first_row + rows;
                    let reader = input.reader();
                    Rc::new(reader.read(group, rows, Wanted::Merged, self.tenant, Indexed::No)?)
                }
            };
            let bytes = batch.heap_bytes();
            self.held.push(Source { slice: number, first_row, batch, bytes, used: self.tick });
        }
        Ok(())
    }

    /// Lets go what was not used for longest, while too much is held.
    fn make_room(&mut self) {
        while self.held.iter().map(|source| source.bytes).sum::<usize>() > self.bytes_max {
            let idle = self.held.iter().enumerate().filter(|(_, source)| source.used < self.tick);
            let Some((oldest, _)) = idle.min_by_key(|(_, source)| source.used) else { return };
            self.held.swap_remove(oldest);
        }
    }

    /// What is held, as what places are numbers of.
    pub(super) fn batches(&self) -> Vec<&Batch> {
        self.held.iter().map(|source| &*source.batch).collect()
    }

    /// The rows of each trace, in the order of their arrival.
    ///
    /// # Errors
    /// `Fatal` where rows are not held that [`Sources::load`] was asked for: without them spans
    /// would be lost.
    pub(super) fn places(&self, turn: &Turn<'_>) -> Result<Vec<Placed>, Error> {
        turn.iter()
            .map(|(trace, part, pieces)| {
                let mut places =
                    Vec::with_capacity(usize::try_from(trace.rows).unwrap_or(0).min(1 << 17));
                for piece in *pieces {
                    let held = self.held.iter().enumerate();
                    let mut held = held.filter(|(_, held)| held.slice == piece.slice);
                    let Some((at, source)) = held.next() else {
                        let what = format!("merge: slice {} is not held", piece.slice);
                        return Err(Error::new(Kind::Fatal, what));
                    };
                    let first = piece.first_row - source.first_row;
                    let rows = first..first + piece.rows;
                    places.extend(rows.map(|row| Place { source: count(at), row }));
                }
                Ok((*trace, *part, places))
            })
            .collect()
    }
}
