//! Reads over what a view holds: a trace by its id, and TraceQL.
//!
//! Called by [`crate::Store`] with a view of head, L0 and blocks; every function is plain
//! computation, and reads pages of files where it must.

pub(crate) mod answers;
mod far;
mod parts;
#[cfg(test)]
mod tests;
mod trace;
pub mod traceql;

use std::collections::HashMap;

use model::SpanId;
use model::batch::Batch;
use xxhash_rust::xxh3::xxh3_128;

pub(crate) use parts::{Carried, Parts, Problem, is_carried};
pub use trace::SpanKey;
pub(crate) use trace::trace;

/// All spans of one trace that the store knows, duplicates removed.
#[derive(Debug, Default)]
pub struct Trace {
    /// `tempopb.Trace` = OTLP `TracesData`: `repeated ResourceSpans = 1`, one scope per entry.
    pub otlp: Vec<u8>,
    /// How many spans it holds.
    pub spans: u64,
    /// Spans that come before these, which another page has.
    pub before: u64,
    /// Spans that are stored and not among these, because the trace is larger than
    /// `query.trace_bytes_max`.
    pub left_out: u64,
    /// What the next page comes after; nothing where this is the last one.
    pub next: Option<SpanKey>,
    /// Why spans may be missing: a part that could not be read, by name.
    pub partial: Option<String>,
}

/// Which rows of a trace are one span, over all segments.
///
/// A span's identity is (trace id, span id, kind): Zipkin's clients and servers share span ids,
/// and both stay. Same identity and same content is one span; with other content the first one
/// stays and the other is counted. Spans of two tenants are two.
#[derive(Debug, Default)]
struct Identities {
    /// The content as a hash of 128 bits: copies of a huge trace would be as large as it is.
    seen: HashMap<(usize, SpanId, i32), u128>,
    duplicates: u64,
    conflicts: u64,
}

impl Identities {
    /// Whether the row is a span of this owner that was not met before; `content` is its encoding.
    fn is_new(&mut self, owner: usize, batch: &Batch, row: u32, content: &[u8]) -> bool {
        let columns = batch.columns();
        let around = [
            columns.resources.get(batch.resource(row)),
            columns.scopes.get(columns.scope.get(row as usize).copied().unwrap_or(0)),
        ];
        // A span is the same only with the same resource and scope.
        let around = around.map(xxh3_128);
        let content = xxh3_128(content) ^ around[0].rotate_left(1) ^ around[1].rotate_left(2);
        match self.seen.entry((owner, batch.span_id(row), batch.kind(row))) {
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(content);
                true
            }
            std::collections::hash_map::Entry::Occupied(first) if *first.get() == content => {
                self.duplicates += 1;
                false
            }
            std::collections::hash_map::Entry::Occupied(_) => {
                self.conflicts += 1;
                false
            }
        }
    }
}
