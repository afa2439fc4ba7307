//! A trace by its id: every span that any part holds, each once.

use model::batch::Batch;
use model::otlp::Traces;
use model::{TimeRange, TraceId};

use super::parts::Parts;
use super::{Identities, Trace};
use crate::block::reader::Wanted;
use crate::error::Error;
use crate::shelf::Part;

/// What is gathered of a trace.
struct Gathered {
    traces: Traces,
    identities: Identities,
    encoded: Vec<u8>,
    bytes: usize,
    bytes_max: usize,
    spans: u64,
    left_out: u64,
    during: TimeRange,
    overlaps: bool,
}

/// Finds all spans of a trace that is not wholly outside of `during`; at most `bytes_max` of
/// them are returned.
///
/// Cost: a look-up in each part, and the pages with the rows of the trace.
///
/// # Errors
/// `Fatal` when a writer has panicked.
pub(crate) fn trace(
    parts: &Parts<'_>,
    id: TraceId,
    during: TimeRange,
    bytes_max: usize,
) -> Result<Option<(Trace, u64, u64)>, Error> {
    let mut gathered = Gathered {
        traces: Traces::new(),
        identities: Identities::default(),
        encoded: Vec::new(),
        bytes: 0,
        bytes_max,
        spans: 0,
        left_out: 0,
        during,
        overlaps: false,
    };
    for part in &parts.view.parts {
        if let Part::Head(segment, visible) = part {
            let batch = segment.read()?;
            let mut rows: Vec<u32> =
                batch.trace_rows(parts.tenant, id).filter(|row| row < visible).collect();
            rows.reverse();
            rows.into_iter().for_each(|row| gathered.add(&batch, row));
            continue;
        }
        for batch in parts.trace(part, id, Wanted::All) {
            (0..model::column::count(batch.len())).for_each(|row| gathered.add(&batch, row));
        }
    }
    if !gathered.overlaps {
        return Ok(None);
    }
    let Gathered { traces, identities, spans, left_out, .. } = gathered;
    let found = Trace { otlp: traces.encode(), spans, left_out, partial: None };
    Ok(Some((found, identities.duplicates, identities.conflicts)))
}

impl Gathered {
    fn add(&mut self, batch: &Batch, row: u32) {
        self.overlaps |= self.during.contains(batch.effective_start(row));
        self.encoded.clear();
        batch.put_span(&mut self.encoded, row);
        if !self.identities.is_new(batch, row, &self.encoded) {
            return;
        }
        if self.bytes >= self.bytes_max {
            self.left_out += 1;
        } else {
            self.traces.push_span(batch, row, &self.encoded);
            self.spans += 1;
            self.bytes += self.encoded.len();
        }
    }
}
