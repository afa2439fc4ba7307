//! Small tenants: their rows are gathered out of the files for many of them at once.
//!
//! A row group of an L0 file may hold a thousand tenants, and unpacking a page costs the same for
//! one row as for all. So a row group is read once for as many tenants as fit the memory of a
//! merge, and each one's rows are cut out of that. A tenant that is large by itself is read piece
//! by piece ([`super::sources`]).

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use model::batch::{Batch, Indexed};
use model::{TenantId, TraceId};

use super::input::row_bytes;
use crate::block::reader::Wanted;
use crate::block::section::summary;
use crate::error::{Error, Kind};
use crate::l0::L0;
use crate::manifest::L0Id;

/// Most files of one merge.
const INPUTS_MAX: usize = 64;

/// A trace in a row group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) id: TraceId,
    pub(super) first_row: u32,
    pub(super) rows: u32,
    pub(super) start: u64,
}

/// What a tenant has in the files of a merge.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// Its traces, with the file and the row group.
    pub(super) traces: Vec<(L0Id, u32, Entry)>,
    /// Its rows of a row group of a file.
    pub(super) batches: HashMap<(L0Id, u32), Rc<Batch>>,
}

/// The L0 files that are merged next: the oldest, of at most so many bytes.
pub(crate) fn choose(l0: &[Arc<L0>], bytes_max: u64) -> Vec<Arc<L0>> {
    let mut bytes = 0;
    let fits = |l0: &&Arc<L0>| {
        bytes += l0.bytes;
        bytes <= bytes_max
    };
    let fitting = l0.iter().take(INPUTS_MAX).take_while(fits).count();
    l0.iter().take(fitting.max(1)).cloned().collect()
}

/// The tenants of these files, in portions: those of one are gathered together, and a tenant that
/// takes more than half of the memory is a portion by itself. Tenants of a portion follow each
/// other in the files, so that no large one is read along with them.
pub(crate) fn portions(inputs: &[Arc<L0>], bytes_max: usize) -> Vec<Vec<TenantId>> {
    let tenants: BTreeSet<&TenantId> = inputs.iter().flat_map(|l0| l0.tenants()).collect();
    let mut portions = Vec::new();
    let (mut portion, mut held) = (Vec::new(), 0);
    for tenant in tenants {
        let of = |l0: &Arc<L0>| {
            l0.run(tenant).map_or(0, |run| run.rows as usize * row_bytes(&l0.reader, l0.bytes))
        };
        let bytes: usize = inputs.iter().map(of).sum();
        if bytes > bytes_max / 2 {
            portions.push(std::mem::take(&mut portion));
            held = 0;
            portions.push(vec![tenant.clone()]);
            continue;
        }
        if held + bytes > bytes_max {
            portions.push(std::mem::take(&mut portion));
            held = 0;
        }
        portion.push(tenant.clone());
        held += bytes;
    }
    portions.push(portion);
    portions.retain(|portion| !portion.is_empty());
    portions
}

/// The files of a large tenant as they are merged one after the other: as many at a time as may
/// be held a row group of.
pub(crate) fn turns(tenant: &TenantId, inputs: &[Arc<L0>], bytes_max: usize) -> Vec<Vec<Arc<L0>>> {
    let (mut turns, mut turn, mut held) = (Vec::new(), Vec::new(), 0);
    for l0 in inputs.iter().filter(|l0| l0.run(tenant).is_some()) {
        let rows = l0.reader.directory().row_groups.iter().map(|group| group.rows).max();
        let bytes = rows.unwrap_or(0) as usize * row_bytes(&l0.reader, l0.bytes);
        if held + bytes > bytes_max && !turn.is_empty() {
            turns.push(std::mem::take(&mut turn));
            held = 0;
        }
        turn.push(Arc::clone(l0));
        held += bytes;
    }
    turns.push(turn);
    turns
}

/// Reads what these tenants have in the files.
///
/// # Errors
/// `Corrupt` (names the file), `Io`.
pub(crate) fn gather(tenants: &[TenantId], inputs: &[Arc<L0>]) -> Result<Vec<Gathered>, Error> {
    let mut all: Vec<Gathered> = tenants.iter().map(|_| Gathered::default()).collect();
    for l0 in inputs {
        for group in 0..l0.reader.row_groups() {
            let rows_of = |tenant: &TenantId| l0.rows(tenant, group);
            let parts: Vec<(usize, Range<u32>)> = tenants.iter().map(rows_of).enumerate().collect();
            let parts = parts.iter().filter(|(_, rows)| !rows.is_empty());
            let begin = parts.clone().map(|(_, rows)| rows.start).min();
            let end = parts.clone().map(|(_, rows)| rows.end).max();
            let Some((begin, end)) = begin.zip(end) else { continue };
            let summary = l0.reader.summary(group)?;
            let whose = tenants.first().ok_or_else(|| Error::new(Kind::Fatal, "no tenant"))?;
            // Whose rows it calls them does not matter: only cuts of it are used.
            let whole = l0.reader.read(group, begin..end, Wanted::Merged, whose, Indexed::No)?;
            for (at, rows) in parts {
                let Some((gathered, tenant)) = all.get_mut(*at).zip(tenants.get(*at)) else {
                    continue;
                };
                let cut = whole.cut(rows.start - begin..rows.end - begin, tenant);
                let cut = cut.map_err(|what| {
                    let name = l0.reader.name();
                    Error::new(Kind::Corrupt, format!("{name}: {what} do not fit"))
                })?;
                gathered.batches.insert((l0.id, group), Rc::new(cut));
                let traces = entries(&summary.traces, rows);
                gathered.traces.extend(traces.map(|entry| (l0.id, group, entry)));
            }
        }
    }
    Ok(all)
}

/// The traces of these rows of a row group, of which they stand in the order.
pub(super) fn entries<'s>(
    traces: &'s [summary::Trace],
    rows: &Range<u32>,
) -> impl Iterator<Item = Entry> + use<'s> {
    let (begin, end) = (rows.start, rows.end);
    let first = traces.partition_point(|trace| trace.first_row < begin);
    let of = traces.iter().skip(first).take_while(move |trace| trace.first_row < end);
    of.map(|trace| Entry {
        id: trace.id,
        first_row: trace.first_row,
        rows: trace.rows,
        start: trace.starts.start.0,
    })
}
