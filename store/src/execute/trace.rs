//! A trace by its id: every span that any segment holds, each once.

use model::otlp::Traces;
use model::{TenantId, TimeRange, TraceId};

use super::{Identities, Trace};
use crate::error::Error;
use crate::head::View;

/// Finds all spans of a trace that is not wholly outside of `during`; at most `bytes_max` of
/// them are returned.
///
/// Cost: a hash look-up per segment, and the rows of the trace.
///
/// # Errors
/// `Fatal` when a writer has panicked.
pub(crate) fn trace(
    view: &View,
    tenant: &TenantId,
    id: TraceId,
    during: TimeRange,
    bytes_max: usize,
) -> Result<Option<(Trace, u64, u64)>, Error> {
    let mut traces = Traces::new();
    let mut identities = Identities::default();
    let (mut spans, mut left_out, mut bytes, mut overlaps) = (0, 0, 0, false);
    let mut encoded = Vec::new();
    for (segment, visible) in &view.parts {
        let batch = segment.read()?;
        let mut rows: Vec<u32> = batch.trace_rows(tenant, id).filter(|row| row < visible).collect();
        rows.reverse();
        for row in rows {
            overlaps |= during.contains(batch.effective_start(row));
            encoded.clear();
            batch.put_span(&mut encoded, row);
            if !identities.is_new(&batch, row, &encoded) {
                continue;
            }
            if bytes >= bytes_max {
                left_out += 1;
            } else {
                traces.push_span(&batch, row, &encoded);
                spans += 1;
                bytes += encoded.len();
            }
        }
    }
    if !overlaps {
        return Ok(None);
    }
    let found = Trace { otlp: traces.encode(), spans, left_out };
    Ok(Some((found, identities.duplicates, identities.conflicts)))
}
