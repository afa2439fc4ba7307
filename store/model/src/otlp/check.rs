//! A look through a request before any of it is taken.
//!
//! Reads every field that the walk will read and touches nothing: a malformed request and a span
//! that breaks a rule leave no trace in the tables that all requests share, and what a request
//! will hold in memory is known before it is let in. It needs no lock, so it runs beside other
//! requests' walks.

use crate::TraceId;
use crate::wire::{Fault, Reader};

use super::outline::{Notes, Outline, Taker, Wants};
use super::refusal::{REFUSALS_TOLD_MAX, Reason, Refusal, Stop};
use super::value::{
    Fit, attribute_fits, fixed64, inspect, is_regular, message, peek_key, peek_name, varint,
};
use super::{ids, link_id, tag};

/// Bounds of what a span has in it, beside those of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Most spans of a request; [`Checked::spans`] is more where there are more, and the look ends there.
    pub spans_max: u32,
    /// Most attributes of one span, event, link, resource or scope.
    pub attributes_max: usize,
    /// Most bytes of one attribute: its key and its value, as they are encoded.
    pub attribute_bytes_max: usize,
}

impl Rules {
    /// No bounds.
    pub const NONE: Self =
        Self { spans_max: u32::MAX, attributes_max: usize::MAX, attribute_bytes_max: usize::MAX };

    /// Holds the attributes of one thing against the bounds, the `count`th of them with its bytes.
    #[inline]
    fn attribute(&self, count: usize, kv: &[u8]) -> Result<(), Stop> {
        if kv.len() > self.attribute_bytes_max {
            let (bytes, limit) = (kv.len(), self.attribute_bytes_max);
            return Err(Stop::Refused(Reason::AttributeBytes { key: peek_key(kv), bytes, limit }));
        }
        if count > self.attributes_max {
            return Err(Stop::Refused(Reason::Attributes { limit: self.attributes_max }));
        }
        Ok(())
    }
}

/// Who has a say in whether a span is taken that breaks no rule.
pub trait Gate {
    /// Why a span of so many bytes is not taken, if it is not. Asked once for each, in their order.
    fn refuses(&mut self, trace: TraceId, bytes: usize) -> Option<Reason>;
}

/// Everything is taken.
#[derive(Clone, Copy, Debug)]
pub struct Open;

impl Gate for Open {
    #[inline]
    fn refuses(&mut self, _: TraceId, _: usize) -> Option<Reason> {
        None
    }
}

/// What a request holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Spans, refused ones included.
    pub spans: u32,
    /// Ordinals (over all resources and scopes, from 0) of the spans that break a rule.
    pub refused: Vec<u32>,
    /// Spans that were refused, too, and that the request does not have any more: it was written anew
    /// without them. [`Checked::refusals`] and [`Checked::reasons`] tell of them as of the others.
    pub left_out: u64,
    /// Why, for the first [`REFUSALS_TOLD_MAX`].
    pub refusals: Vec<Refusal>,
    /// How many there are for each reason, by its label.
    pub reasons: Vec<(&'static str, u64)>,
    /// At most so many heap bytes will its rows take.
    pub heap_bytes: usize,
}

/// Heap bytes of a row besides its values, with room for a vector that has just doubled: the
/// dense columns and the trace index; an attribute's row and code; an event; a link.
const SPAN_BYTES: usize = 320;
/// What one attribute takes on the heap beside its value.
pub const ATTRIBUTE_HEAP_BYTES: usize = 32;
const EVENT_BYTES: usize = 64;
const LINK_BYTES: usize = 96;

/// Reads an OTLP `ExportTraceServiceRequest` through.
///
/// # Errors
/// Names the byte where the message is malformed.
pub fn check(body: &[u8]) -> Result<Checked, Fault> {
    check_with(body, &Rules::NONE, &mut Open)
}

/// The same, with more rules, and somebody who has a say.
///
/// # Errors
/// As [`check`].
pub fn check_with(body: &[u8], rules: &Rules, gate: &mut impl Gate) -> Result<Checked, Fault> {
    look(body, rules, gate, &mut ())
}

/// The same, and where everything stands that somebody wants to know of: it costs no second look.
///
/// # Errors
/// As [`check`]; and for a body of 4 GiB or more, as offsets have 32 bits.
pub fn outline_with(
    body: &[u8],
    rules: &Rules,
    gate: &mut impl Gate,
    wants: Wants,
) -> Result<(Checked, Outline), Fault> {
    if u32::try_from(body.len()).is_err() {
        return Err(Fault { offset: 0, what: "request of 4 GiB or more" });
    }
    let mut taker = Taker::new(wants, body.len());
    let checked = look(body, rules, gate, &mut taker)?;
    Ok((checked, taker.outline))
}

fn look<G: Gate, N: Notes>(
    body: &[u8],
    rules: &Rules,
    gate: &mut G,
    notes: &mut N,
) -> Result<Checked, Fault> {
    let checked = Checked { heap_bytes: values_heap_bytes(body.len()), ..Checked::default() };
    let mut look = Look { checked, rules, gate, notes };
    let mut reader = Reader::new(body);
    let mut at = 0;
    while let Some(field) = reader.next()? {
        if field.number == 1 {
            look.resource_spans(message(&field)?, field.offset, at)?;
        }
        at = reader.offset();
    }
    Ok(look.checked)
}

/// What values take on the heap: they are copied into columns, whose vectors double.
const fn values_heap_bytes(body: usize) -> usize {
    body.saturating_mul(2)
}

/// A look on its way.
struct Look<'a, G, N> {
    checked: Checked,
    rules: &'a Rules,
    gate: &'a mut G,
    notes: &'a mut N,
}

impl Checked {
    /// Whether no span is left to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.refused.len() >= self.spans as usize
    }

    /// How many spans were refused of the request as it was received.
    #[must_use]
    pub const fn refused_in_all(&self) -> u64 {
        self.refused.len() as u64 + self.left_out
    }

    /// What is known of a request that was written anew, without the spans that were refused: so many
    /// spans in so many bytes, whose rows take so much on the heap beside their values.
    #[must_use]
    pub fn rewritten(self, spans: u32, body_bytes: usize, rows_heap_bytes: usize) -> Self {
        let left_out = self.refused_in_all();
        let heap_bytes = values_heap_bytes(body_bytes).saturating_add(rows_heap_bytes);
        Self { spans, refused: Vec::new(), left_out, heap_bytes, ..self }
    }
}

impl<G: Gate, N: Notes> Look<'_, G, N> {
    fn resource_spans(&mut self, bytes: &[u8], offset: usize, at: usize) -> Result<(), Fault> {
        self.notes.resource_spans(at, offset + bytes.len());
        let broken = self.common(bytes, offset, 1)?;
        let mut reader = Reader::nested(bytes, offset);
        let mut at = offset;
        while let Some(field) = reader.next()? {
            if field.number == 2 {
                let scope_spans = (message(&field)?, field.offset);
                self.notes.scope_spans(at, reader.offset());
                self.scope_spans(scope_spans, broken.as_ref())?;
            }
            at = reader.offset();
        }
        Ok(())
    }

    fn scope_spans(
        &mut self,
        (bytes, offset): (&[u8], usize),
        broken: Option<&Reason>,
    ) -> Result<(), Fault> {
        let own = self.common(bytes, offset, 3)?;
        let broken = broken.or(own.as_ref());
        let mut reader = Reader::nested(bytes, offset);
        let mut next = offset;
        while let Some(field) = reader.next()? {
            let at = std::mem::replace(&mut next, reader.offset());
            if field.number != 2 {
                continue;
            }
            let span = message(&field)?;
            let ordinal = self.checked.spans;
            self.checked.spans = ordinal.saturating_add(1);
            if ordinal >= self.rules.spans_max {
                return Ok(());
            }
            let heap_before = self.checked.heap_bytes;
            let refused = match (self.span(span, field.offset), broken) {
                (Err(Stop::Malformed(fault)), _) => return Err(fault),
                (Err(Stop::Refused(reason)), _) => Some(reason),
                (Ok(_), Some(reason)) => Some(reason.clone()),
                (Ok(trace), None) => self.gate.refuses(trace, span.len()),
            };
            let heap_bytes = self.checked.heap_bytes - heap_before;
            self.notes.span((at, next), heap_bytes, refused.is_none());
            if let Some(reason) = refused {
                self.refuse(ordinal, span, reason);
            }
        }
        Ok(())
    }

    #[cold]
    fn refuse(&mut self, span: u32, bytes: &[u8], reason: Reason) {
        let label = reason.label();
        let reasons = &mut self.checked.reasons;
        match reasons.iter_mut().find(|(known, _)| *known == label) {
            Some((_, count)) => *count += 1,
            None => reasons.push((label, 1)),
        }
        self.checked.refused.push(span);
        if self.checked.refusals.len() < REFUSALS_TOLD_MAX {
            self.checked.refusals.push(Refusal { span, name: peek_name(bytes), reason });
        }
    }

    /// Reads a whole span, so that a malformed one is found whatever rule it breaks first.
    fn span(&mut self, bytes: &[u8], offset: usize) -> Result<TraceId, Stop> {
        let mut broken = None;
        let (mut trace_id, mut span_id, mut parent_id): (&[u8], &[u8], &[u8]) = (&[], &[], &[]);
        let mut attributes = 0;
        let mut reader = Reader::nested(bytes, offset);
        loop {
            let at = reader.offset();
            let tag = reader.tag()?;
            match tag {
                0 => break,
                tag::TRACE_ID => {
                    trace_id = reader.bytes()?.0;
                    self.notes.id(tag, reader.offset(), trace_id);
                }
                tag::SPAN_ID => {
                    span_id = reader.bytes()?.0;
                    self.notes.id(tag, reader.offset(), span_id);
                }
                tag::PARENT_SPAN_ID => {
                    parent_id = reader.bytes()?.0;
                    self.notes.id(tag, reader.offset(), parent_id);
                }
                tag::TRACE_STATE | tag::NAME => {
                    self.notes.field(tag, at);
                    reader.bytes()?;
                }
                tag::START | tag::END => {
                    self.notes.field(tag, at);
                    reader.fixed64()?;
                }
                tag::FLAGS => {
                    self.notes.field(tag, at);
                    reader.fixed32()?;
                }
                tag::KIND => {
                    self.notes.field(tag, at);
                    reader.varint()?;
                }
                tag::DROPPED_ATTRIBUTES | tag::DROPPED_EVENTS | tag::DROPPED_LINKS => {
                    reader.varint()?;
                }
                tag::ATTRIBUTE => {
                    let (kv, offset) = reader.bytes()?;
                    attributes += 1;
                    let begins_with_key = self.attribute(&mut broken, attributes, (kv, offset))?;
                    self.notes.attribute(at, kv, begins_with_key);
                }
                tag::EVENT => {
                    let (event, offset) = reader.bytes()?;
                    self.checked.heap_bytes += EVENT_BYTES;
                    self.notes.event(at, reader.offset());
                    keep_first(&mut broken, self.event(event, offset))?;
                }
                tag::LINK => {
                    let (link, offset) = reader.bytes()?;
                    self.checked.heap_bytes += LINK_BYTES;
                    self.notes.link(at, reader.offset());
                    keep_first(&mut broken, self.link(link, offset))?;
                }
                tag::STATUS => {
                    self.notes.field(tag, at);
                    let (status, offset) = reader.bytes()?;
                    self.status(status, offset)?;
                }
                other => reader.skip(other, tag::NUMBER_MAX)?,
            }
        }
        self.checked.heap_bytes += SPAN_BYTES + attributes * ATTRIBUTE_HEAP_BYTES;
        let (trace, _) = ids(trace_id, span_id)?;
        if !matches!(parent_id.len(), 0 | 8) {
            return Err(Stop::Refused(Reason::ParentIdLength(parent_id.len())));
        }
        broken.map_or(Ok(trace), |reason| Err(Stop::Refused(reason)))
    }

    /// Holds an attribute against the rules: the `count`th of what it is of, with its offset. Tells whether it begins
    /// with its key, and no other comes behind.
    #[inline(always)]
    fn attribute(
        &mut self,
        broken: &mut Option<Reason>,
        count: usize,
        (kv, offset): (&[u8], usize),
    ) -> Result<bool, Fault> {
        let fits = attribute_fits(kv, offset);
        let begins_with_key = match fits {
            Ok(Fit::Plain) => true,
            other => self.unusual(broken, other, kv)?,
        };
        keep_first(broken, self.rules.attribute(count, kv))?;
        Ok(begins_with_key)
    }

    /// The same of one that is not what most are.
    #[inline(never)]
    fn unusual(
        &mut self,
        broken: &mut Option<Reason>,
        fits: Result<Fit, Stop>,
        kv: &[u8],
    ) -> Result<bool, Fault> {
        keep_first(broken, fits.map(drop))?;
        let is_regular = N::WANTED && is_regular(kv);
        if N::WANTED && !is_regular {
            self.notes.odd();
        }
        Ok(is_regular && kv.first() == Some(&0x0a))
    }

    fn status(&mut self, bytes: &[u8], offset: usize) -> Result<(), Fault> {
        let mut reader = Reader::nested(bytes, offset);
        let mut next = offset;
        while let Some(field) = reader.next()? {
            let at = std::mem::replace(&mut next, reader.offset());
            match field.number {
                2 => drop(message(&field)?),
                3 => drop(varint(&field)?),
                _ => continue,
            }
            self.notes.status(field.number, at);
        }
        Ok(())
    }

    fn event(&mut self, bytes: &[u8], offset: usize) -> Result<(), Stop> {
        let (mut broken, mut attributes) = (None, 0);
        let mut reader = Reader::nested(bytes, offset);
        let mut next = offset;
        while let Some(field) = reader.next()? {
            let at = std::mem::replace(&mut next, reader.offset());
            match field.number {
                1 => drop(fixed64(&field)?),
                2 => drop(message(&field)?),
                3 => {
                    let kv = message(&field)?;
                    self.checked.heap_bytes += ATTRIBUTE_HEAP_BYTES;
                    attributes += 1;
                    self.attribute(&mut broken, attributes, (kv, field.offset))?;
                }
                4 => drop(varint(&field)?),
                _ => continue,
            }
            self.notes.event_field(field.number, at);
        }
        broken.map_or(Ok(()), |reason| Err(Stop::Refused(reason)))
    }

    fn link(&mut self, bytes: &[u8], offset: usize) -> Result<(), Stop> {
        let (mut broken, mut attributes) = (None, 0);
        let mut reader = Reader::nested(bytes, offset);
        let mut next = offset;
        while let Some(field) = reader.next()? {
            let at = std::mem::replace(&mut next, reader.offset());
            match field.number {
                1 => keep_first(&mut broken, link_id::<16>(message(&field)?).map(drop))?,
                2 => keep_first(&mut broken, link_id::<8>(message(&field)?).map(drop))?,
                3 => drop(message(&field)?),
                4 => {
                    let kv = message(&field)?;
                    self.checked.heap_bytes += ATTRIBUTE_HEAP_BYTES;
                    attributes += 1;
                    self.attribute(&mut broken, attributes, (kv, field.offset))?;
                    self.notes.link_attribute(at);
                }
                5 => drop(varint(&field)?),
                6 => drop(super::fixed32(&field)?),
                _ => {}
            }
        }
        broken.map_or(Ok(()), |reason| Err(Stop::Refused(reason)))
    }

    /// Checks what stands beside the spans in a `ResourceSpans` or `ScopeSpans`: the attributes (by
    /// the number of their field) of the message in field 1, and the schema url.
    fn common(
        &mut self,
        bytes: &[u8],
        offset: usize,
        number: u32,
    ) -> Result<Option<Reason>, Fault> {
        let (mut broken, mut attributes) = (None, 0);
        let mut reader = Reader::nested(bytes, offset);
        let mut next = offset;
        while let Some(field) = reader.next()? {
            let at = std::mem::replace(&mut next, reader.offset());
            match field.number {
                1 => {
                    let thing = (message(&field)?, field.offset);
                    self.notes.common(at);
                    self.common_fields(&mut broken, &mut attributes, thing, number)?;
                }
                3 => drop(message(&field)?),
                _ => {}
            }
        }
        Ok(broken)
    }

    fn common_fields(
        &mut self,
        broken: &mut Option<Reason>,
        attributes: &mut usize,
        (thing, offset): (&[u8], usize),
        number: u32,
    ) -> Result<(), Fault> {
        keep_first(broken, inspect(thing, offset, number, |_, _| {}))?;
        let mut reader = Reader::nested(thing, offset);
        let mut next = offset;
        while let Some(field) = reader.next()? {
            let at = std::mem::replace(&mut next, reader.offset());
            if field.number == number {
                let kv = message(&field)?;
                *attributes += 1;
                keep_first(broken, self.rules.attribute(*attributes, kv))?;
                self.notes.common_attribute(at);
                if N::WANTED && !is_regular(kv) {
                    self.notes.odd();
                }
            } else {
                self.notes.common_field(&field, at);
            }
        }
        Ok(())
    }
}

/// Notes the first broken rule and goes on; a malformed message ends the look.
fn keep_first(broken: &mut Option<Reason>, result: Result<(), Stop>) -> Result<(), Fault> {
    match result {
        Ok(()) => Ok(()),
        Err(Stop::Refused(reason)) => {
            broken.get_or_insert(reason);
            Ok(())
        }
        Err(Stop::Malformed(fault)) => Err(fault),
    }
}

#[cfg(test)]
mod tests;
