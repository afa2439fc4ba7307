//! A batch: spans as columns, of any number of requests and tenants.
//!
//! The one representation of spans (DESIGN §1): the OTLP walk (`otlp`) fills it, the head of the
//! store is made of it, queries scan it and `otlp::emit` turns rows back into OTLP.

mod cut;
mod nested;
mod parts;
mod pinned;
mod rows;
mod traces;

use std::collections::HashMap;

use crate::attributes::{Attributes, Budget};
use crate::column::{Interner, Sparse, count};
use crate::{Nanos, SpanId, TenantId, TraceId};

pub use nested::{Events, Links};
pub use parts::{Columns, Indexed, Parts};
pub use pinned::PINNED;
pub use traces::TraceEntry;
use traces::TraceIndex;

/// Bounds of one batch.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most attribute keys (of one type) that one tenant may bring into a batch as columns of
    /// their own; what is over is kept in the overflow column.
    pub keys_per_tenant_max: usize,
    /// Most columns of one table over all tenants.
    pub columns_max: usize,
    /// How far before its arrival a span may start and still be sorted by its own clock.
    pub clock_behind_max: Nanos,
    /// How far after its arrival a span may start and still be sorted by its own clock.
    pub clock_ahead_max: Nanos,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            keys_per_tenant_max: 1_000,
            columns_max: 10_000,
            clock_behind_max: Nanos::from_secs(3_600),
            clock_ahead_max: Nanos::from_secs(120),
        }
    }
}

/// What all rows of one request have in common.
#[derive(Clone, Debug)]
pub struct Request {
    /// The first row of the request; it ends where the next one starts.
    pub first_row: u32,
    /// Whose spans these are: index into [`Batch::tenants`].
    pub tenant: u16,
    /// When it was received.
    pub received_at: Nanos,
}

/// Spans as columns. Rows are `0..len()`; all of one request are together, and all of one scope
/// and resource within it.
#[derive(Debug)]
pub struct Batch {
    pub(crate) limits: Limits,
    pub(crate) keys: Interner,
    pub(crate) names: Interner,
    pub(crate) texts: Interner,
    pub(crate) resources: Interner,
    pub(crate) services: Vec<u32>,
    pub(crate) scopes: Interner,
    pub(crate) trace_id: Vec<TraceId>,
    pub(crate) span_id: Vec<SpanId>,
    pub(crate) parent_id: Vec<SpanId>,
    pub(crate) start: Vec<Nanos>,
    pub(crate) end: Vec<Nanos>,
    pub(crate) kind: Vec<u8>,
    pub(crate) status: Vec<u8>,
    pub(crate) flags: Vec<u32>,
    pub(crate) name: Vec<u32>,
    pub(crate) resource: Vec<u32>,
    pub(crate) scope: Vec<u32>,
    pub(crate) status_message: Sparse,
    pub(crate) trace_state: Sparse,
    pub(crate) dropped: [Sparse; 3],
    /// Kinds and status codes that the enumerations do not know (yet), as bits.
    pub(crate) odd_kind: Sparse,
    pub(crate) odd_status: Sparse,
    pub(crate) spans: Attributes,
    pub(crate) events: Events,
    pub(crate) links: Links,
    /// Effective starts where they are known, not computed: in what was read from a block.
    effective: Vec<Nanos>,
    /// Where parents stand, in what was read from a block.
    parent_distance: Vec<u32>,
    /// Rows of a batch that was read from a block, where columns may be missing; 0 in others.
    rows: usize,
    tenants: Vec<TenantId>,
    by_tenant: HashMap<TenantId, u16>,
    tenant_keys: Vec<usize>,
    requests: Vec<Request>,
    traces: TraceIndex,
    skewed: u64,
    overflowed: u64,
}

/// Place of the dropped attributes in [`Columns::dropped`].
pub const DROPPED_ATTRIBUTES: usize = 0;
/// Place of the dropped events.
pub const DROPPED_EVENTS: usize = 1;
/// Place of the dropped links.
pub const DROPPED_LINKS: usize = 2;

impl Batch {
    /// An empty batch. The seed (random, one per process) keeps senders from choosing keys and
    /// ids that collide in its tables.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        let mut batch = Self {
            limits,
            keys: Interner::dictionary(seed),
            names: Interner::dictionary(seed),
            texts: Interner::new(seed),
            resources: Interner::dictionary(seed),
            services: Vec::new(),
            scopes: Interner::dictionary(seed),
            trace_id: Vec::new(),
            span_id: Vec::new(),
            parent_id: Vec::new(),
            start: Vec::new(),
            end: Vec::new(),
            kind: Vec::new(),
            status: Vec::new(),
            flags: Vec::new(),
            name: Vec::new(),
            resource: Vec::new(),
            scope: Vec::new(),
            status_message: Sparse::default(),
            trace_state: Sparse::default(),
            dropped: Default::default(),
            odd_kind: Sparse::default(),
            odd_status: Sparse::default(),
            spans: Attributes::new(seed),
            events: Events::new(seed),
            links: Links::new(seed),
            effective: Vec::new(),
            parent_distance: Vec::new(),
            rows: 0,
            tenants: Vec::new(),
            by_tenant: HashMap::new(),
            tenant_keys: Vec::new(),
            requests: Vec::new(),
            traces: TraceIndex::new(seed),
            skewed: 0,
            overflowed: 0,
        };
        for (key, kind) in PINNED {
            batch.spans.pin(&mut batch.keys, key, kind);
        }
        // Number 0 of the texts is the empty one, so that a sparse column need not store it.
        batch.texts.intern(b"");
        batch
    }

    /// Rows, one per span.
    #[must_use]
    pub fn len(&self) -> usize {
        self.trace_id.len().max(self.rows)
    }

    /// Whether there is no row.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tenants that have rows here.
    #[must_use]
    pub fn tenants(&self) -> &[TenantId] {
        &self.tenants
    }

    /// The number of a tenant here, if it has rows.
    #[must_use]
    pub fn tenant(&self, tenant: &TenantId) -> Option<u16> {
        self.by_tenant.get(tenant).copied()
    }

    /// The requests, by their first row.
    #[must_use]
    pub fn requests(&self) -> &[Request] {
        &self.requests
    }

    /// The traces, in order of appearance.
    #[must_use]
    pub fn traces(&self) -> &[TraceEntry] {
        self.traces.entries()
    }

    /// The rows of a trace, last one first.
    pub fn trace_rows(&self, tenant: &TenantId, id: TraceId) -> impl Iterator<Item = u32> {
        let tenant = self.tenant(tenant);
        tenant.into_iter().flat_map(move |tenant| self.traces.rows(tenant, id))
    }

    /// The rows of one of [`Batch::traces`], last one first.
    pub fn entry_rows(&self, trace: &TraceEntry) -> impl Iterator<Item = u32> {
        self.traces.rows_of(trace)
    }

    /// Spans whose clock is outside of what [`Limits`] allow around their arrival.
    #[must_use]
    pub fn skewed(&self) -> u64 {
        self.skewed
    }

    /// Whether an effective start may be another than the span's own.
    #[must_use]
    pub fn has_skew(&self) -> bool {
        self.skewed > 0 || !self.effective.is_empty()
    }

    /// Attributes that went to the overflow column.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    /// Tenants that used up their keys.
    pub fn tenants_over_keys(&self) -> impl Iterator<Item = &TenantId> {
        let over = |(_, keys): &(&TenantId, &usize)| **keys >= self.limits.keys_per_tenant_max;
        self.tenants.iter().zip(&self.tenant_keys).filter(over).map(|(tenant, _)| tenant)
    }

    /// The attribute keys.
    #[must_use]
    pub fn keys(&self) -> &Interner {
        &self.keys
    }

    /// The attributes of the spans.
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        &self.spans
    }

    /// Heap bytes held; costs a look at each column.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        let words = [self.span_id.capacity(), self.parent_id.capacity()].into_iter().sum::<usize>()
            + self.start.capacity()
            + self.end.capacity()
            + self.effective.capacity();
        let codes = [
            &self.flags,
            &self.name,
            &self.resource,
            &self.scope,
            &self.services,
            &self.parent_distance,
        ];
        let dense = self.trace_id.capacity() * size_of::<TraceId>()
            + words * size_of::<u64>()
            + self.kind.capacity()
            + self.status.capacity()
            + codes.into_iter().map(Vec::capacity).sum::<usize>() * size_of::<u32>();
        let interners =
            [&self.keys, &self.names, &self.texts, &self.resources, &self.scopes].into_iter();
        let sparse = [&self.status_message, &self.trace_state, &self.odd_kind, &self.odd_status];
        let tables = [&self.spans, &self.events.attributes, &self.links.attributes];
        dense
            + interners.map(Interner::heap_bytes).sum::<usize>()
            + sparse.into_iter().chain(&self.dropped).map(Sparse::heap_bytes).sum::<usize>()
            + tables.into_iter().map(Attributes::heap_bytes).sum::<usize>()
            + self.events.row.capacity() * 16
            + self.links.row.capacity() * 28
            + self.traces.heap_bytes()
            + self.requests.capacity() * size_of::<Request>()
    }

    /// Appends the kind of a row; what does not fit a byte goes beside.
    #[inline]
    pub(crate) fn push_kind(&mut self, row: u32, kind: i32) {
        self.kind.push(narrow_enum(kind));
        if narrow_enum(kind) == ODD {
            self.odd_kind.put(row, kind.cast_unsigned());
        }
    }

    /// Appends the status of a row likewise.
    #[inline]
    pub(crate) fn push_status(&mut self, row: u32, status: i32) {
        self.status.push(narrow_enum(status));
        if narrow_enum(status) == ODD {
            self.odd_status.put(row, status.cast_unsigned());
        }
    }

    /// What a tenant's next request may still add.
    pub(crate) fn budget(&self, tenant: u16) -> Budget {
        let used = self.tenant_keys[tenant as usize];
        let keys_left = self.limits.keys_per_tenant_max.saturating_sub(used);
        Budget { keys_left, columns_max: self.limits.columns_max, overflowed: 0 }
    }

    /// Settles what a request has used of its budget.
    pub(crate) fn settle(&mut self, tenant: u16, before: &Budget, after: &Budget) {
        self.tenant_keys[tenant as usize] += before.keys_left - after.keys_left;
        self.overflowed += after.overflowed;
    }

    /// The number of the tenant, given out where it has none; `None` past 65,535 tenants.
    pub(crate) fn enter_tenant(&mut self, tenant: &TenantId) -> Option<u16> {
        if let Some(known) = self.tenant(tenant) {
            return Some(known);
        }
        let new = u16::try_from(self.tenants.len()).ok()?;
        self.tenants.push(tenant.clone());
        self.by_tenant.insert(tenant.clone(), new);
        self.tenant_keys.push(0);
        Some(new)
    }

    /// Ends a request whose rows are `first_row..`: they get into the trace index.
    pub(crate) fn end_request(&mut self, tenant: u16, received_at: Nanos, first_row: u32) {
        self.requests.push(Request { first_row, tenant, received_at });
        for row in first_row..count(self.len()) {
            let start = self.start[row as usize];
            let effective = self.limits.effective(start, received_at);
            self.skewed += u64::from(effective != start);
            self.traces.add(tenant, self.trace_id[row as usize], row, effective);
        }
    }

    /// Takes back the rows from `first_row` on, which no request has ended.
    pub(crate) fn truncate(&mut self, first_row: u32) {
        while self.len() > first_row as usize {
            let row = count(self.len() - 1);
            self.spans.pop_row();
            self.undo_parts(row);
            self.trace_id.pop();
            self.span_id.pop();
            self.parent_id.pop();
            self.start.pop();
            self.end.pop();
            self.kind.pop();
            self.status.pop();
            self.flags.pop();
            self.name.pop();
            self.resource.pop();
            self.scope.pop();
        }
    }

    /// Takes back what a row put outside of the dense columns and the span attributes.
    pub(crate) fn undo_parts(&mut self, row: u32) {
        while self.events.row.pop_if(|of| *of == row).is_some() {
            let event = count(self.events.row.len());
            self.events.time.pop();
            self.events.name.pop();
            self.events.dropped.pop(event);
            self.events.attributes.pop_row();
        }
        while self.links.row.pop_if(|of| *of == row).is_some() {
            let link = count(self.links.row.len());
            self.links.trace_id.pop();
            self.links.span_id.pop();
            self.links.trace_state.pop(link);
            self.links.flags.pop(link);
            self.links.dropped.pop(link);
            self.links.attributes.pop_row();
        }
        let sparse = [
            &mut self.status_message,
            &mut self.trace_state,
            &mut self.odd_kind,
            &mut self.odd_status,
        ];
        sparse.into_iter().chain(&mut self.dropped).for_each(|column| column.pop(row));
    }
}

impl Limits {
    fn effective(&self, start: Nanos, received_at: Nanos) -> Nanos {
        let earliest = received_at.minus(self.clock_behind_max);
        start.clamp(earliest, received_at.plus(self.clock_ahead_max))
    }
}

/// Marks an enumeration value that does not fit its byte; its bits stand in a sparse column.
const ODD: u8 = u8::MAX;

fn narrow_enum(value: i32) -> u8 {
    u8::try_from(value).unwrap_or(ODD)
}

fn widen_enum(byte: u8, odd: &Sparse, row: u32) -> i32 {
    if byte == ODD { odd.get(row).cast_signed() } else { i32::from(byte) }
}
