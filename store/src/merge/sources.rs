//! The rows that a merge holds: row groups of its inputs, as batches, the last used ones.

use std::rc::Rc;
use std::sync::Arc;

use model::TenantId;
use model::batch::{Batch, Indexed};
use model::column::count;

use super::{GROUP_ROWS, Gathered, Piece, Trace, Turn};
use crate::block::order::Place;
use crate::block::reader::Wanted;
use crate::error::{Error, Kind};
use crate::l0::L0;

/// Heap bytes of a row as a batch, about: what a plan goes by before rows are read.
const ROW_BYTES: usize = 400;
/// Heap bytes of a byte of a file, about.
const UNPACKED: usize = 4;

/// Heap bytes of a row of an input, about.
pub(super) fn row_bytes(l0: &L0) -> usize {
    let rows = usize::try_from(l0.reader.directory().header.rows).unwrap_or(usize::MAX);
    // Long values make rows that are longer than most.
    ROW_BYTES.max(usize::try_from(l0.bytes).unwrap_or(usize::MAX) / rows.max(1) * UNPACKED)
}

/// Heap bytes of the largest row group of an input, about.
pub(super) fn held_bytes(l0: &L0) -> usize {
    let rows = l0.reader.directory().row_groups.iter().map(|group| group.rows).max();
    rows.unwrap_or(0) as usize * row_bytes(l0)
}

/// A trace, its part where it is huge, and where its rows are held.
pub(super) type Placed = (Trace, Option<u32>, Vec<Place>);

/// What is held.
pub(super) struct Sources<'s> {
    inputs: &'s [Arc<L0>],
    gathered: Option<&'s Gathered>,
    tenant: &'s TenantId,
    bytes_max: usize,
    held: Vec<Source>,
    tick: u64,
}

struct Source {
    input: u32,
    group: u32,
    /// The first row of the batch in its row group.
    first_row: u32,
    batch: Rc<Batch>,
    bytes: usize,
    used: u64,
}

impl<'s> Sources<'s> {
    pub(super) fn new(
        inputs: &'s [Arc<L0>],
        gathered: Option<&'s Gathered>,
        tenant: &'s TenantId,
        bytes_max: usize,
    ) -> Self {
        Self { inputs, gathered, tenant, bytes_max, held: Vec::new(), tick: 0 }
    }

    /// How many of these traces make the next row group: as many as it takes, and as need no more
    /// row groups of the inputs than may be held.
    pub(super) fn plan<'p>(
        &self,
        traces: &[Trace],
        pieces: impl Fn(&Trace) -> Option<&'p [Piece]>,
    ) -> usize {
        let mut needed: Vec<(u32, u32)> = Vec::new();
        let (mut rows, mut bytes) = (0u64, 0usize);
        for (at, trace) in traces.iter().enumerate() {
            rows += trace.rows;
            for piece in pieces(trace).unwrap_or_default() {
                let key = (piece.input, piece.group);
                if !needed.contains(&key) {
                    needed.push(key);
                    bytes += self.inputs.get(piece.input as usize).map_or(0, |l0| self.cost(l0));
                }
            }
            if at > 0 && (rows > u64::from(GROUP_ROWS) || bytes > self.bytes_max) {
                return at;
            }
        }
        traces.len()
    }

    /// Heap bytes that a row group takes when it is loaded, about; what was gathered is there.
    fn cost(&self, l0: &L0) -> usize {
        if self.gathered.is_some() { 0 } else { held_bytes(l0) }
    }

    /// Reads the row groups that these traces need and that are not held.
    pub(super) fn load(&mut self, turn: &Turn<'_>) -> Result<(), Error> {
        self.tick += 1;
        let mut missing: Vec<(u32, u32)> = Vec::new();
        for piece in turn.iter().flat_map(|(_, _, pieces)| *pieces) {
            let key = (piece.input, piece.group);
            match self.held.iter_mut().find(|source| (source.input, source.group) == key) {
                Some(source) => source.used = self.tick,
                None if !missing.contains(&key) => missing.push(key),
                None => {}
            }
        }
        for (input, group) in missing {
            self.make_room();
            let Some(l0) = self.inputs.get(input as usize) else { continue };
            let rows = l0.rows(self.tenant, group);
            let first_row = rows.start;
            let known = self.gathered.and_then(|of| of.batches.get(&(l0.id, group)).cloned());
            let batch = match known {
                Some(batch) => batch,
                None => Rc::new(l0.reader.read(
                    group,
                    rows,
                    Wanted::Merged,
                    self.tenant,
                    Indexed::No,
                )?),
            };
            let bytes = batch.heap_bytes();
            self.held.push(Source { input, group, first_row, batch, bytes, used: self.tick });
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
                    let key = (piece.input, piece.group);
                    let held = self.held.iter().enumerate();
                    let mut held = held.filter(|(_, held)| (held.input, held.group) == key);
                    let Some((at, source)) = held.next() else {
                        let what = format!("merge: row group {key:?} is not held");
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
