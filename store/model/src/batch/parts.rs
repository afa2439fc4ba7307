//! A batch as its bare columns: what blocks are written from, and what they are read into.
//!
//! [`Batch::columns`] lends them, [`Batch::from_parts`] takes them and checks that nothing points
//! at what is not there: they come from a file.

use super::{Batch, Events, Limits, Links, ODD, Request, TraceIndex, narrow_enum};
use crate::attributes::Attributes;
use crate::column::{Interner, Sparse};
use crate::{Nanos, SpanId, TenantId, TraceId};

/// All columns of a batch, lent. Dense ones have a value for each row, or none at all where they
/// were not read.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'b> {
    /// Attribute keys.
    pub keys: &'b Interner,
    /// Names of spans, and of services.
    pub names: &'b Interner,
    /// Names of events, status messages, trace states; number 0 is the empty text.
    pub texts: &'b Interner,
    /// Distinct resources, as [`Batch::resources`].
    pub resources: &'b Interner,
    /// `service.name` of each resource, as a number of a name.
    pub services: &'b [u32],
    /// Distinct scopes, each as the fields `scope` (1) and `schema_url` (3) of an OTLP
    /// `ScopeSpans`.
    pub scopes: &'b Interner,
    /// The span's trace.
    pub trace_id: &'b [TraceId],
    /// Its id.
    pub span_id: &'b [SpanId],
    /// Its parent; zeros at a root.
    pub parent_id: &'b [SpanId],
    /// Its own start.
    pub start: &'b [Nanos],
    /// Its own end.
    pub end: &'b [Nanos],
    /// OTLP kind in a byte: 255 where it does not fit ([`Batch::kind`] has all).
    pub kind: &'b [u8],
    /// OTLP status code likewise.
    pub status: &'b [u8],
    /// Its flags.
    pub flags: &'b [u32],
    /// Number of its name.
    pub name: &'b [u32],
    /// Number of its resource.
    pub resource: &'b [u32],
    /// Number of its scope.
    pub scope: &'b [u32],
    /// Number of a text, by row.
    pub status_message: &'b Sparse,
    /// Number of a text, by row.
    pub trace_state: &'b Sparse,
    /// What the sender dropped of a row, by `DROPPED_ATTRIBUTES` and its like.
    pub dropped: &'b [Sparse; 3],
    /// Attributes of the spans.
    pub spans: &'b Attributes,
    /// Events.
    pub events: &'b Events,
    /// Links.
    pub links: &'b Links,
}

/// All columns of a batch of one tenant, owned; as [`Columns`], and what a batch computes else.
#[derive(Debug)]
pub struct Parts {
    /// How many rows there are. Dense columns have as many values, or none: those were not read.
    pub rows: usize,
    /// Whose spans these are.
    pub tenant: TenantId,
    /// When the first of them was received.
    pub received_at: Nanos,
    /// Attribute keys.
    pub keys: Interner,
    /// Names of spans, and of services.
    pub names: Interner,
    /// Other texts; number 0 is the empty one.
    pub texts: Interner,
    /// Distinct resources.
    pub resources: Interner,
    /// `service.name` of each resource.
    pub services: Vec<u32>,
    /// Distinct scopes.
    pub scopes: Interner,
    /// The span's trace.
    pub trace_id: Vec<TraceId>,
    /// Its id.
    pub span_id: Vec<SpanId>,
    /// Its parent; zeros at a root.
    pub parent_id: Vec<SpanId>,
    /// How many rows before it its parent stands, 0 where it is only named or there is none.
    pub parent_distance: Vec<u32>,
    /// Its own start.
    pub start: Vec<Nanos>,
    /// Its own end.
    pub end: Vec<Nanos>,
    /// Its effective start; nothing where each is its own start.
    pub effective: Vec<Nanos>,
    /// OTLP kind, with all 32 bits.
    pub kind: Vec<i32>,
    /// OTLP status code, with all 32 bits.
    pub status: Vec<i32>,
    /// Its flags.
    pub flags: Vec<u32>,
    /// Number of its name.
    pub name: Vec<u32>,
    /// Number of its resource.
    pub resource: Vec<u32>,
    /// Number of its scope.
    pub scope: Vec<u32>,
    /// Number of a text, by row.
    pub status_message: Sparse,
    /// Number of a text, by row.
    pub trace_state: Sparse,
    /// What the sender dropped of a row.
    pub dropped: [Sparse; 3],
    /// Attributes of the spans.
    pub spans: Attributes,
    /// Events.
    pub events: Events,
    /// Links.
    pub links: Links,
}

/// Whether a batch that is read can find its traces by id ([`Batch::trace_rows`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexed {
    /// It can; costs a look-up per row.
    Yes,
    /// It cannot: it is only read through.
    No,
}

impl Batch {
    /// All columns.
    #[must_use]
    pub fn columns(&self) -> Columns<'_> {
        Columns {
            keys: &self.keys,
            names: &self.names,
            texts: &self.texts,
            resources: &self.resources,
            services: &self.services,
            scopes: &self.scopes,
            trace_id: &self.trace_id,
            span_id: &self.span_id,
            parent_id: &self.parent_id,
            start: &self.start,
            end: &self.end,
            kind: &self.kind,
            status: &self.status,
            flags: &self.flags,
            name: &self.name,
            resource: &self.resource,
            scope: &self.scope,
            status_message: &self.status_message,
            trace_state: &self.trace_state,
            dropped: &self.dropped,
            spans: &self.spans,
            events: &self.events,
            links: &self.links,
        }
    }

    /// A batch of one tenant's rows that were read from a block; it takes no more requests.
    ///
    /// # Errors
    /// Names the column that does not fit the others.
    pub fn from_parts(parts: Parts, indexed: Indexed) -> Result<Self, &'static str> {
        parts.check()?;
        let mut batch = Self::new(Limits::default(), 0);
        let rows = parts.rows;
        (batch.kind, batch.odd_kind) = narrow_enums(&parts.kind);
        (batch.status, batch.odd_status) = narrow_enums(&parts.status);
        batch.enter_tenant(&parts.tenant);
        let Parts { received_at, .. } = parts;
        batch.requests.push(Request { first_row: 0, tenant: 0, received_at });
        if indexed == Indexed::Yes {
            batch.traces = TraceIndex::new(0);
            let starts = if parts.effective.is_empty() { &parts.start } else { &parts.effective };
            for (row, (id, start)) in (0..).zip(parts.trace_id.iter().zip(starts)) {
                batch.traces.add(0, *id, row, *start);
            }
        }
        batch.rows = rows;
        batch.keys = parts.keys;
        batch.names = parts.names;
        batch.texts = parts.texts;
        batch.resources = parts.resources;
        batch.services = parts.services;
        batch.scopes = parts.scopes;
        batch.trace_id = parts.trace_id;
        batch.span_id = parts.span_id;
        batch.parent_id = parts.parent_id;
        batch.parent_distance = parts.parent_distance;
        batch.start = parts.start;
        batch.end = parts.end;
        batch.effective = parts.effective;
        batch.flags = parts.flags;
        batch.name = parts.name;
        batch.resource = parts.resource;
        batch.scope = parts.scope;
        batch.status_message = parts.status_message;
        batch.trace_state = parts.trace_state;
        batch.dropped = parts.dropped;
        batch.spans = parts.spans;
        batch.events = parts.events;
        batch.links = parts.links;
        Ok(batch)
    }
}

/// Enums as bytes, and those that do not fit into one.
fn narrow_enums(values: &[i32]) -> (Vec<u8>, Sparse) {
    let bytes: Vec<u8> = values.iter().map(|value| narrow_enum(*value)).collect();
    let mut odd = Sparse::default();
    if bytes.contains(&ODD) {
        let all = (0..).zip(values).filter(|(_, value)| narrow_enum(**value) == ODD);
        all.for_each(|(row, value)| odd.put(row, value.cast_unsigned()));
    }
    (bytes, odd)
}

impl Parts {
    /// Whether everything points at what is there.
    fn check(&self) -> Result<(), &'static str> {
        let rows = self.rows;
        let dense = [
            (self.trace_id.len(), "trace_id"),
            (self.span_id.len(), "span_id"),
            (self.parent_id.len(), "parent_id"),
            (self.parent_distance.len(), "parent_distance"),
            (self.start.len(), "start"),
            (self.end.len(), "end"),
            (self.effective.len(), "effective"),
            (self.kind.len(), "kind"),
            (self.status.len(), "status"),
            (self.flags.len(), "flags"),
            (self.name.len(), "name"),
            (self.resource.len(), "resource"),
            (self.scope.len(), "scope"),
        ];
        let is_odd = |(len, _): &(usize, &str)| *len != rows && *len != 0;
        if let Some((_, name)) = dense.into_iter().find(is_odd) {
            return Err(name);
        }
        if self.spans.len() != rows {
            return Err("attributes");
        }
        let codes = [
            (&self.name, self.names.len(), "name"),
            (&self.services, self.names.len(), "service"),
            (&self.resource, self.resources.len(), "resource"),
            (&self.scope, self.scopes.len(), "scope"),
            (&self.events.name, self.texts.len(), "event name"),
        ];
        let unknown = |codes: &[u32], len: usize| codes.iter().any(|code| *code as usize >= len);
        if let Some((_, _, name)) = codes.into_iter().find(|(codes, len, _)| unknown(codes, *len)) {
            return Err(name);
        }
        if self.services.len() != self.resources.len() {
            return Err("services");
        }
        let texts = [&self.status_message, &self.trace_state, &self.links.trace_state];
        if self.texts.is_empty() || !texts.iter().all(|sparse| sparse.numbers(&self.texts)) {
            return Err("texts");
        }
        let sparse = [&self.status_message, &self.trace_state].into_iter().chain(&self.dropped);
        if !sparse.into_iter().all(|sparse| sparse.is_within(rows)) {
            return Err("sparse columns");
        }
        self.check_nested(rows)
    }

    fn check_nested(&self, rows: usize) -> Result<(), &'static str> {
        let Events { row, time, name, dropped, attributes } = &self.events;
        let within =
            |of: &[u32]| of.is_sorted() && of.last().is_none_or(|last| (*last as usize) < rows);
        let lengths = [time.len(), name.len(), attributes.len()];
        if !within(row)
            || lengths.iter().any(|len| *len != row.len())
            || !dropped.is_within(row.len())
        {
            return Err("events");
        }
        let Links { row, trace_id, span_id, trace_state, flags, dropped, attributes } = &self.links;
        let lengths = [trace_id.len(), span_id.len(), attributes.len()];
        let sparse = [trace_state, flags, dropped];
        if !within(row)
            || lengths.iter().any(|len| *len != row.len())
            || !sparse.iter().all(|sparse| sparse.is_within(row.len()))
        {
            return Err("links");
        }
        Ok(())
    }
}
