//! The walk from OTLP bytes into columns.
//!
//! An `ExportTraceServiceRequest` (opentelemetry/proto/collector/trace/v1) is read in place: no
//! structs in between, each value goes from the body straight into its column. A malformed
//! message leaves the batch as it was; a span that breaks a rule is refused by itself.
//!
//! What is kept: every field of OTLP trace 1.x that this file names, bit for bit, attributes in
//! their order. Unknown fields are read over. Text that is not UTF-8 keeps its valid parts.

mod check;
mod cut;
mod emit;
pub mod held;
pub mod outline;
mod refusal;
mod stamp;
mod stored;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;

use crate::attributes::{Budget, EMPTY_SHAPE};
use crate::batch::{Batch, DROPPED_ATTRIBUTES, DROPPED_EVENTS, DROPPED_LINKS};
use crate::column::count;
use crate::wire::{Fault, Reader, put_bytes};
use crate::{Nanos, SpanId, TenantId, TraceId};

use refusal::Stop;
use value::{
    attribute, fixed32, fixed64, inspect, inspect_resource, int32, message, peek_name, uint32,
    varint,
};

pub use check::{
    ATTRIBUTE_HEAP_BYTES, Checked, Gate, Open, Rules, check, check_with, outline_with,
};
pub use cut::cut;
pub use emit::Traces;
pub use outline::{Outline, Wants};
pub use refusal::{Appended, NESTING_MAX, REFUSALS_TOLD_MAX, Reason, Refusal};
pub use stamp::{REPORTED, stamp, stamp_fragment};
pub use stored::{fields, key_value, overflow};

/// Tags of a span's fields: number and wire type, as `trace.proto` gives them.
mod tag {
    const fn varint(number: u32) -> u32 {
        number << 3
    }
    const fn fixed64(number: u32) -> u32 {
        number << 3 | 1
    }
    const fn bytes(number: u32) -> u32 {
        number << 3 | 2
    }
    pub(super) const TRACE_ID: u32 = bytes(1);
    pub(super) const SPAN_ID: u32 = bytes(2);
    pub(super) const TRACE_STATE: u32 = bytes(3);
    pub(super) const PARENT_SPAN_ID: u32 = bytes(4);
    pub(super) const NAME: u32 = bytes(5);
    pub(super) const KIND: u32 = varint(6);
    pub(super) const START: u32 = fixed64(7);
    pub(super) const END: u32 = fixed64(8);
    pub(super) const ATTRIBUTE: u32 = bytes(9);
    pub(super) const DROPPED_ATTRIBUTES: u32 = varint(10);
    pub(super) const EVENT: u32 = bytes(11);
    pub(super) const DROPPED_EVENTS: u32 = varint(12);
    pub(super) const LINK: u32 = bytes(13);
    pub(super) const DROPPED_LINKS: u32 = varint(14);
    pub(super) const STATUS: u32 = bytes(15);
    pub(super) const FLAGS: u32 = 16 << 3 | 5;
    /// Every number up to here is one of the above.
    pub(super) const NUMBER_MAX: u32 = 16;
}

/// What all spans of one scope have in common.
#[derive(Clone, Default)]
struct Place {
    resource: u32,
    scope: u32,
    refused: Option<Reason>,
}

impl Batch {
    /// Appends the spans of one OTLP `ExportTraceServiceRequest`.
    ///
    /// `refused_before` are the ordinals that [`check`] refused when the request was received
    /// (ascending): they are passed over. A request that was not checked is refused alike, but
    /// leaves what it brought in the tables that all requests share.
    ///
    /// # Errors
    /// Names the byte where the message is malformed; the batch is as it was then.
    pub fn append(
        &mut self,
        tenant: &TenantId,
        received_at: Nanos,
        body: &[u8],
        refused_before: &[u32],
    ) -> Result<Appended, Fault> {
        let first_row = count(self.len());
        let Some(tenant) = self.enter_tenant(tenant) else {
            return Err(Fault { offset: 0, what: "more than 65535 tenants share the head" });
        };
        let before = self.budget(tenant);
        let mut walk = Walk {
            batch: self,
            budget: before,
            ordinal: 0,
            refused_before,
            appended: Appended::default(),
            scratch: Vec::new(),
        };
        let walked = walk.request(body);
        let Walk { budget, mut appended, .. } = walk;
        self.settle(tenant, &before, &budget);
        if let Err(fault) = walked {
            self.truncate(first_row);
            return Err(fault);
        }
        appended.spans = (self.len() - first_row as usize) as u64;
        if appended.spans > 0 {
            self.end_request(tenant, received_at, first_row);
        }
        Ok(appended)
    }
}

/// One request on its way into a batch.
struct Walk<'b> {
    batch: &'b mut Batch,
    budget: Budget,
    ordinal: u32,
    refused_before: &'b [u32],
    appended: Appended,
    scratch: Vec<u8>,
}

impl Walk<'_> {
    fn request(&mut self, body: &[u8]) -> Result<(), Fault> {
        let mut reader = Reader::new(body);
        while let Some(field) = reader.next()? {
            if field.number == 1 {
                self.resource_spans(message(&field)?, field.offset)?;
            }
        }
        Ok(())
    }

    fn resource_spans(&mut self, bytes: &[u8], offset: usize) -> Result<(), Fault> {
        let (inner, inner_offset) = self.fragment(bytes, offset)?;
        let mut place = Place::default();
        match self.batch.resources.find(&self.scratch) {
            Some(known) => place.resource = known,
            None => match inspect_resource(&inner, inner_offset) {
                Ok(service) => {
                    place.resource = self.batch.resources.intern(&self.scratch);
                    let service = self.batch.names.intern_text(service);
                    self.batch.services.push(service);
                }
                Err(Stop::Malformed(fault)) => return Err(fault),
                Err(Stop::Refused(reason)) => place.refused = Some(reason),
            },
        }
        let mut reader = Reader::nested(bytes, offset);
        while let Some(field) = reader.next()? {
            if field.number == 2 {
                self.scope_spans(message(&field)?, field.offset, place.clone())?;
            }
        }
        Ok(())
    }

    /// Collects into `scratch` what stands beside the spans in a `ResourceSpans` or `ScopeSpans`:
    /// the resource or scope (1) and its schema url (3), which have the same numbers in both.
    /// Returns the former and its offset. A field that occurs twice is merged by concatenation,
    /// as protobuf defines it.
    fn fragment<'a>(
        &mut self,
        bytes: &'a [u8],
        offset: usize,
    ) -> Result<(Cow<'a, [u8]>, usize), Fault> {
        let (mut inner, mut inner_offset, mut url) = (None::<Cow<'a, [u8]>>, offset, &[][..]);
        let mut reader = Reader::nested(bytes, offset);
        while let Some(field) = reader.next()? {
            match (field.number, &mut inner) {
                (1, None) => {
                    inner = Some(Cow::Borrowed(message(&field)?));
                    inner_offset = field.offset;
                }
                (1, Some(first)) => first.to_mut().extend_from_slice(message(&field)?),
                (3, _) => url = message(&field)?,
                _ => {}
            }
        }
        self.scratch.clear();
        if let Some(inner) = &inner {
            put_bytes(&mut self.scratch, 1, inner);
        }
        if !url.is_empty() {
            put_bytes(&mut self.scratch, 3, url);
        }
        Ok((inner.unwrap_or_default(), inner_offset))
    }

    fn scope_spans(&mut self, bytes: &[u8], offset: usize, mut place: Place) -> Result<(), Fault> {
        let (inner, inner_offset) = self.fragment(bytes, offset)?;
        match self.batch.scopes.find(&self.scratch) {
            Some(known) => place.scope = known,
            None => match inspect(&inner, inner_offset, 3, |_, _| {}) {
                Ok(()) => place.scope = self.batch.scopes.intern(&self.scratch),
                Err(Stop::Malformed(fault)) => return Err(fault),
                Err(Stop::Refused(reason)) => place.refused = Some(reason),
            },
        }
        let mut reader = Reader::nested(bytes, offset);
        while let Some(field) = reader.next()? {
            if field.number == 2 {
                self.span(message(&field)?, field.offset, &place)?;
            }
        }
        Ok(())
    }

    fn span(&mut self, bytes: &[u8], offset: usize, place: &Place) -> Result<(), Fault> {
        let ordinal = self.ordinal;
        self.ordinal += 1;
        let row = count(self.batch.len());
        let mut node = EMPTY_SHAPE;
        let walked = if self.refused_before.binary_search(&ordinal).is_ok() {
            Err(Stop::Refused(Reason::Before))
        } else if let Some(reason) = &place.refused {
            Err(Stop::Refused(reason.clone()))
        } else {
            self.span_fields(bytes, offset, row, &mut node)
        };
        match walked {
            Ok(dense) => {
                self.batch.push_dense(&dense, place);
                let Batch { spans, keys, .. } = &mut *self.batch;
                spans.end_row(keys, node);
                Ok(())
            }
            Err(stop) => {
                self.batch.spans.undo(row, node);
                self.batch.undo_parts(row);
                match stop {
                    Stop::Malformed(fault) => Err(fault),
                    Stop::Refused(reason) => {
                        self.refuse(ordinal, bytes, reason);
                        Ok(())
                    }
                }
            }
        }
    }

    #[cold]
    fn refuse(&mut self, span: u32, bytes: &[u8], reason: Reason) {
        self.appended.refused.push(span);
        if self.appended.refusals.len() < REFUSALS_TOLD_MAX {
            self.appended.refusals.push(Refusal { span, name: peek_name(bytes), reason });
        }
    }

    fn span_fields(
        &mut self,
        bytes: &[u8],
        offset: usize,
        row: u32,
        node: &mut u32,
    ) -> Result<Dense, Stop> {
        let mut dense = Dense::default();
        let (mut trace_id, mut span_id, mut parent_id): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
        let mut name: &[u8] = &[];
        let (mut message_text, mut state): (&[u8], &[u8]) = (&[], &[]);
        let mut dropped = [0u32; 3];
        let mut reader = Reader::nested(bytes, offset);
        loop {
            match reader.tag()? {
                0 => break,
                tag::TRACE_ID => trace_id = reader.bytes()?.0,
                tag::SPAN_ID => span_id = reader.bytes()?.0,
                tag::TRACE_STATE => state = reader.bytes()?.0,
                tag::PARENT_SPAN_ID => parent_id = reader.bytes()?.0,
                tag::NAME => name = reader.bytes()?.0,
                tag::KIND => dense.kind = int32(reader.varint()?),
                tag::START => dense.start = Nanos(reader.fixed64()?),
                tag::END => dense.end = Nanos(reader.fixed64()?),
                tag::ATTRIBUTE => {
                    let (kv, offset) = reader.bytes()?;
                    let (table, keys) = (&mut self.batch.spans, &mut self.batch.keys);
                    *node = attribute(table, keys, &mut self.budget, (row, *node), kv, offset)?;
                }
                tag::DROPPED_ATTRIBUTES => {
                    dropped[DROPPED_ATTRIBUTES] = uint32(reader.varint()?);
                }
                tag::EVENT => {
                    let (event, offset) = reader.bytes()?;
                    self.event(event, offset, row)?;
                }
                tag::DROPPED_EVENTS => dropped[DROPPED_EVENTS] = uint32(reader.varint()?),
                tag::LINK => {
                    let (link, offset) = reader.bytes()?;
                    self.link(link, offset, row)?;
                }
                tag::DROPPED_LINKS => dropped[DROPPED_LINKS] = uint32(reader.varint()?),
                tag::STATUS => {
                    let (status, offset) = reader.bytes()?;
                    let mut status = Reader::nested(status, offset);
                    while let Some(field) = status.next()? {
                        match field.number {
                            2 => message_text = message(&field)?,
                            3 => dense.status = int32(varint(&field)?),
                            _ => {}
                        }
                    }
                }
                tag::FLAGS => dense.flags = reader.fixed32()?,
                other => reader.skip(other, tag::NUMBER_MAX)?,
            }
        }
        (dense.trace_id, dense.span_id) = ids(trace_id, span_id)?;
        dense.parent_id = match parent_id {
            [] => SpanId::from_array([0; 8]),
            _ => SpanId::from_array(
                parent_id
                    .try_into()
                    .map_err(|_| Stop::Refused(Reason::ParentIdLength(parent_id.len())))?,
            ),
        };
        let batch = &mut *self.batch;
        dense.name = batch.names.intern_text(name);
        if !message_text.is_empty() {
            batch.status_message.put(row, batch.texts.intern_text(message_text));
        }
        if !state.is_empty() {
            batch.trace_state.put(row, batch.texts.intern_text(state));
        }
        for (column, value) in batch.dropped.iter_mut().zip(dropped) {
            column.put(row, value);
        }
        Ok(dense)
    }

    fn event(&mut self, bytes: &[u8], offset: usize, row: u32) -> Result<(), Stop> {
        let event = count(self.batch.events.row.len());
        let mut node = EMPTY_SHAPE;
        let walked = self.event_fields(bytes, offset, event, &mut node);
        let Batch { events, keys, .. } = &mut *self.batch;
        let Ok((time, name, dropped)) = walked else {
            events.attributes.undo(event, node);
            return walked.map(drop);
        };
        events.row.push(row);
        events.time.push(time);
        events.name.push(name);
        events.dropped.put(event, dropped);
        events.attributes.end_row(keys, node);
        Ok(())
    }

    fn event_fields(
        &mut self,
        bytes: &[u8],
        offset: usize,
        event: u32,
        node: &mut u32,
    ) -> Result<(Nanos, u32, u32), Stop> {
        let (mut time, mut dropped, mut name): (u64, u32, &[u8]) = (0, 0, &[]);
        let mut reader = Reader::nested(bytes, offset);
        while let Some(field) = reader.next()? {
            match field.number {
                1 => time = fixed64(&field)?,
                2 => name = message(&field)?,
                3 => {
                    let table = &mut self.batch.events.attributes;
                    let (keys, budget) = (&mut self.batch.keys, &mut self.budget);
                    let kv = message(&field)?;
                    *node = attribute(table, keys, budget, (event, *node), kv, field.offset)?;
                }
                4 => dropped = uint32(varint(&field)?),
                _ => {}
            }
        }
        Ok((Nanos(time), self.batch.texts.intern_text(name), dropped))
    }

    fn link(&mut self, bytes: &[u8], offset: usize, row: u32) -> Result<(), Stop> {
        let link = count(self.batch.links.row.len());
        let mut node = EMPTY_SHAPE;
        let walked = self.link_fields(bytes, offset, link, &mut node);
        let Batch { links, keys, .. } = &mut *self.batch;
        let Ok(dense) = walked else {
            links.attributes.undo(link, node);
            return walked.map(drop);
        };
        links.row.push(row);
        links.trace_id.push(dense.trace_id);
        links.span_id.push(dense.span_id);
        links.trace_state.put(link, dense.state);
        links.flags.put(link, dense.flags);
        links.dropped.put(link, dense.dropped);
        links.attributes.end_row(keys, node);
        Ok(())
    }

    fn link_fields(
        &mut self,
        bytes: &[u8],
        offset: usize,
        link: u32,
        node: &mut u32,
    ) -> Result<Link, Stop> {
        let mut dense = Link::default();
        let mut state: &[u8] = &[];
        let mut reader = Reader::nested(bytes, offset);
        while let Some(field) = reader.next()? {
            match field.number {
                1 => dense.trace_id = link_id(message(&field)?)?,
                2 => dense.span_id = link_id(message(&field)?)?,
                3 => state = message(&field)?,
                4 => {
                    let table = &mut self.batch.links.attributes;
                    let (keys, budget) = (&mut self.batch.keys, &mut self.budget);
                    let kv = message(&field)?;
                    *node = attribute(table, keys, budget, (link, *node), kv, field.offset)?;
                }
                5 => dense.dropped = uint32(varint(&field)?),
                6 => dense.flags = fixed32(&field)?,
                _ => {}
            }
        }
        if !state.is_empty() {
            dense.state = self.batch.texts.intern_text(state);
        }
        Ok(dense)
    }
}

/// The values that every span has.
struct Dense {
    trace_id: TraceId,
    span_id: SpanId,
    parent_id: SpanId,
    start: Nanos,
    end: Nanos,
    kind: i32,
    status: i32,
    flags: u32,
    name: u32,
}

impl Default for Dense {
    fn default() -> Self {
        let span_id = SpanId::from_array([0; 8]);
        Self {
            trace_id: TraceId::from_array([0; 16]),
            span_id,
            parent_id: span_id,
            start: Nanos(0),
            end: Nanos(0),
            kind: 0,
            status: 0,
            flags: 0,
            name: 0,
        }
    }
}

#[derive(Default)]
struct Link {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    state: u32,
    flags: u32,
    dropped: u32,
}

impl Batch {
    #[inline]
    fn push_dense(&mut self, dense: &Dense, place: &Place) {
        let row = count(self.len());
        self.trace_id.push(dense.trace_id);
        self.span_id.push(dense.span_id);
        self.parent_id.push(dense.parent_id);
        self.start.push(dense.start);
        self.end.push(dense.end);
        self.push_kind(row, dense.kind);
        self.push_status(row, dense.status);
        self.flags.push(dense.flags);
        self.name.push(dense.name);
        self.resource.push(place.resource);
        self.scope.push(place.scope);
    }
}

fn ids(trace_id: &[u8], span_id: &[u8]) -> Result<(TraceId, SpanId), Stop> {
    let trace = TraceId::from_wire(trace_id).ok_or(Stop::Refused(match trace_id.len() {
        16 => Reason::TraceIdZero,
        length => Reason::TraceIdLength(length),
    }))?;
    let span = SpanId::from_wire(span_id).ok_or(Stop::Refused(match span_id.len() {
        8 => Reason::SpanIdZero,
        length => Reason::SpanIdLength(length),
    }))?;
    Ok((trace, span))
}

/// A link may point nowhere (all zeros), which OTLP writes as no bytes or as zeros.
fn link_id<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Stop> {
    match bytes {
        [] => Ok([0; N]),
        _ => bytes.try_into().map_err(|_| Stop::Refused(Reason::LinkIdLength(bytes.len()))),
    }
}
