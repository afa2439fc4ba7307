//! What is merged: L0 files, or blocks of a tenant, and the slices in which their rows are read.

use std::ops::Range;
use std::sync::Arc;

use model::TenantId;
use model::column::count;

use super::gathered::{Entry, Gathered, entries};
use super::{Piece, Pieces};
use crate::block::reader::Reader;
use crate::error::Error;
use crate::l0::L0;
use crate::shelf::Block;

/// Heap bytes of a row as a batch, about: what a plan goes by before rows are read.
const ROW_BYTES: usize = 400;
/// Heap bytes of a byte of a file, about.
const UNPACKED: usize = 4;
/// Rows of a slice of a block, at least: less than half a page is unpacked mostly for nothing.
const SLICE_ROWS_MIN: usize = 4_096;
/// Rows of a slice of a block, at most.
const SLICE_ROWS_MAX: usize = 65_536;

/// A file that is merged.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    /// Sealed, with all tenants in it.
    L0(Arc<L0>),
    /// A block of the tenant, open.
    Block(Arc<Block>, Arc<Reader>),
}

impl Input {
    pub(super) fn reader(&self) -> &Reader {
        match self {
            Self::L0(l0) => &l0.reader,
            Self::Block(_, reader) => reader,
        }
    }

    /// The tenant's rows within a row group, counted from its first one; none where it has none.
    pub(super) fn rows(&self, tenant: &TenantId, group: u32) -> Range<u32> {
        match self {
            Self::L0(l0) => l0.rows(tenant, group),
            Self::Block(_, reader) => {
                let rows = reader.rows_of(group);
                0..rows.end - rows.start
            }
        }
    }

    /// When the first and the last of the tenant's requests in it were received.
    pub(super) fn received(&self, tenant: &TenantId) -> Option<(u64, u64)> {
        match self {
            Self::L0(l0) => l0.run(tenant).map(|run| run.received),
            Self::Block(block, _) => Some(block.meta.received),
        }
    }

    /// Heap bytes of a row, about.
    pub(super) fn row_bytes(&self) -> usize {
        match self {
            Self::L0(l0) => row_bytes(&l0.reader, l0.bytes),
            Self::Block(block, reader) => row_bytes(reader, block.meta.bytes),
        }
    }
}

/// Heap bytes of a row of a file of so many bytes, about.
pub(super) fn row_bytes(reader: &Reader, bytes: u64) -> usize {
    let rows = usize::try_from(reader.directory().header.rows).unwrap_or(usize::MAX);
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    // Long values make rows that are longer than most.
    ROW_BYTES.max(bytes / rows.max(1) * UNPACKED)
}

/// Rows of a row group of an input that are read at once: whole traces, or whole parts of huge ones.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slice {
    pub(super) input: u32,
    pub(super) group: u32,
    pub(super) first_row: u32,
    pub(super) rows: u32,
}

/// All pieces of traces of the tenant in these inputs, sorted by trace and arrival.
pub(super) fn pieces(
    inputs: &[Input],
    gathered: Option<&Gathered>,
    tenant: &TenantId,
    bytes_max: usize,
) -> Result<Pieces, Error> {
    let mut all = Pieces::default();
    if let Some(gathered) = gathered {
        for of in gathered.traces.chunk_by(|a, b| (a.0, a.1) == (b.0, b.1)) {
            let Some((id, group, _)) = of.first() else { continue };
            let has = |input: &Input| matches!(input, Input::L0(l0) if l0.id == *id);
            // One that the tenant's blocks consumed already is not among the inputs.
            let Some(input) = inputs.iter().position(has) else { continue };
            let rows = inputs.get(input).map_or(0..0, |input| input.rows(tenant, *group));
            let entries = of.iter().map(|(.., entry)| *entry);
            all.add((count(input), *group), rows, entries, u32::MAX);
        }
    } else {
        let slice_rows = count(slice_rows(inputs, bytes_max));
        for (at, input) in inputs.iter().enumerate() {
            let slice_rows = match input {
                // As many files are merged at a time as a row group of each can be held.
                Input::L0(_) => u32::MAX,
                Input::Block(..) => slice_rows,
            };
            for group in 0..input.reader().row_groups() {
                let rows = input.rows(tenant, group);
                if !rows.is_empty() {
                    let summary = input.reader().summary(group)?;
                    let entries = entries(&summary.traces, &rows);
                    all.add((count(at), group), rows, entries, slice_rows);
                }
            }
        }
    }
    all.pieces.sort_unstable();
    Ok(all)
}

impl Pieces {
    /// Adds the traces of a row group, in the order of their rows.
    fn add(
        &mut self,
        (input, group): (u32, u32),
        rows: Range<u32>,
        entries: impl Iterator<Item = Entry>,
        slice_rows: u32,
    ) {
        let mut slice: Option<Slice> = None;
        for Entry { id, first_row, rows: of_trace, start } in entries {
            let is_full = slice.is_some_and(|slice| first_row - slice.first_row >= slice_rows);
            if is_full && let Some(mut full) = slice.take() {
                full.rows = first_row - full.first_row;
                self.slices.push(full);
            }
            slice.get_or_insert(Slice { input, group, first_row, rows: rows.end - first_row });
            let slice = count(self.slices.len());
            self.pieces.push(Piece { id, slice, first_row, rows: of_trace, start });
        }
        self.slices.extend(slice);
    }
}

/// Rows of a slice, so that slices of all inputs that have traces of one time can be held.
fn slice_rows(inputs: &[Input], bytes_max: usize) -> usize {
    let row_bytes = inputs.iter().map(Input::row_bytes).max().unwrap_or(ROW_BYTES);
    (bytes_max / row_bytes / (overlap(inputs) + 1)).clamp(SLICE_ROWS_MIN, SLICE_ROWS_MAX)
}

/// The most row groups that have traces of one time.
fn overlap(inputs: &[Input]) -> usize {
    let groups = || inputs.iter().flat_map(|input| &input.reader().directory().row_groups);
    // A group that begins where another one ends overlaps with it.
    let begins = groups().map(|group| (group.starts.0, 0));
    let ends = groups().map(|group| (group.starts.1, 1));
    let mut events: Vec<(u64, u8)> = begins.chain(ends).collect();
    events.sort_unstable();
    let (mut open, mut most) = (0usize, 0);
    for (_, is_end) in events {
        open = if is_end == 1 { open.saturating_sub(1) } else { open + 1 };
        most = most.max(open);
    }
    most
}
