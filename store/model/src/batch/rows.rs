//! What one row of a batch has. Of a column that was not read, nothing.

use super::{Batch, Request, widen_enum};
use crate::column::Interner;
use crate::{Nanos, SpanId, TraceId};

impl Batch {
    /// The request that a row came with.
    #[must_use]
    pub fn request(&self, row: u32) -> &Request {
        let position = self.requests.partition_point(|request| request.first_row <= row);
        &self.requests[position - 1]
    }

    /// A span's start, held to what its tenant's clocks may be off around the arrival
    /// (DESIGN §3 *Time*): what order, pruning and early stop go by.
    #[must_use]
    pub fn effective_start(&self, row: u32) -> Nanos {
        if let Some(known) = self.effective.get(row as usize) {
            return *known;
        }
        if self.rows > 0 {
            // It was read, and where a clock is off that would have been, too.
            return self.start(row);
        }
        self.limits.effective(self.start(row), self.request(row).received_at)
    }

    /// The row's trace.
    #[must_use]
    pub fn trace_id(&self, row: u32) -> TraceId {
        let id = self.trace_id.get(row as usize).copied();
        id.unwrap_or(TraceId::from_array([0; 16]))
    }

    /// The row's span id.
    #[must_use]
    pub fn span_id(&self, row: u32) -> SpanId {
        self.span_id.get(row as usize).copied().unwrap_or(NO_SPAN)
    }

    /// The row's parent, or `None` at a root.
    #[must_use]
    pub fn parent_id(&self, row: u32) -> Option<SpanId> {
        self.parent_id.get(row as usize).copied().filter(|parent| *parent != NO_SPAN)
    }

    /// Whether the row has a parent, here or elsewhere.
    #[must_use]
    pub fn has_parent(&self, row: u32) -> bool {
        value(&self.parent_distance, row) > 0 || self.parent_id(row).is_some()
    }

    /// Whether the row names a parent that was not found when the block was written, or that is in
    /// a circle with it.
    #[must_use]
    pub fn is_parent_named(&self, row: u32) -> bool {
        value(&self.parent_distance, row) == 0 && self.parent_id(row).is_some()
    }

    /// How many rows before each its parent stands, of a batch that was read from a block: 0 at a
    /// root, and where the parent is only named ([`Batch::is_parent_named`]). Empty in others.
    #[must_use]
    pub fn parent_distances(&self) -> &[u32] {
        &self.parent_distance
    }

    /// The span's own start.
    #[must_use]
    pub fn start(&self, row: u32) -> Nanos {
        value(&self.start, row)
    }

    /// The span's own end.
    #[must_use]
    pub fn end(&self, row: u32) -> Nanos {
        value(&self.end, row)
    }

    /// The span's name.
    #[must_use]
    pub fn name(&self, row: u32) -> &str {
        self.names.text(self.name_code(row))
    }

    /// The number of the span's name among [`Batch::names`].
    #[must_use]
    pub fn name_code(&self, row: u32) -> u32 {
        value(&self.name, row)
    }

    /// All span names.
    #[must_use]
    pub fn names(&self) -> &Interner {
        &self.names
    }

    /// The OTLP kind, 0 to 5 (others bit for bit).
    #[must_use]
    pub fn kind(&self, row: u32) -> i32 {
        widen_enum(value(&self.kind, row), &self.odd_kind, row)
    }

    /// The OTLP status code, 0 to 2 (others bit for bit).
    #[must_use]
    pub fn status(&self, row: u32) -> i32 {
        widen_enum(value(&self.status, row), &self.odd_status, row)
    }

    /// The number of the row's resource.
    #[must_use]
    pub fn resource(&self, row: u32) -> u32 {
        value(&self.resource, row)
    }

    /// All distinct resources, each as the fields `resource` (1) and `schema_url` (3) of an
    /// OTLP `ResourceSpans`.
    #[must_use]
    pub fn resources(&self) -> &Interner {
        &self.resources
    }

    /// `service.name` of the row's resource; empty where it has none.
    #[must_use]
    pub fn service(&self, row: u32) -> &str {
        self.service_code(row).map_or("", |name| self.names.text(name))
    }

    /// The same as a number among [`Batch::names`]; nothing where resources were not read.
    #[must_use]
    pub fn service_code(&self, row: u32) -> Option<u32> {
        self.services.get(self.resource(row) as usize).copied()
    }
}

/// What a root names as its parent.
const NO_SPAN: SpanId = SpanId::from_array([0; 8]);

/// The value of a row; nothing where the column was not read.
#[inline]
fn value<T: Copy + Default>(column: &[T], row: u32) -> T {
    column.get(row as usize).copied().unwrap_or_default()
}
