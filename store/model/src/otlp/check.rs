//! A look through a request before any of it is taken.
//!
//! Reads every field that the walk will read and touches nothing: a malformed request and a span
//! that breaks a rule leave no trace in the tables that all requests share, and what a request
//! will hold in memory is known before it is let in. It needs no lock, so it runs beside other
//! requests' walks.

use crate::TraceId;
use crate::wire::{Fault, Reader};

use super::refusal::{REFUSALS_TOLD_MAX, Reason, Refusal, Stop};
use super::value::{attribute_fits, fixed64, inspect, message, peek_key, peek_name, varint};
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
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Spans, refused ones included.
    pub spans: u32,
    /// Ordinals (over all resources and scopes, from 0) of the spans that break a rule.
    pub refused: Vec<u32>,
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
const ATTRIBUTE_BYTES: usize = 32;
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
    // Values are copied into columns, whose vectors double.
    let checked = Checked { heap_bytes: body.len().saturating_mul(2), ..Checked::default() };
    let mut look = Look { checked, rules, gate };
    let mut reader = Reader::new(body);
    while let Some(field) = reader.next()? {
        if field.number == 1 {
            look.resource_spans(message(&field)?, field.offset)?;
        }
    }
    Ok(look.checked)
}

/// A look on its way.
struct Look<'a, G> {
    checked: Checked,
    rules: &'a Rules,
    gate: &'a mut G,
}

impl Checked {
    /// Whether no span is left to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.refused.len() >= self.spans as usize
    }
}

impl<G: Gate> Look<'_, G> {
    fn resource_spans(&mut self, bytes: &[u8], offset: usize) -> Result<(), Fault> {
        let broken = self.common(bytes, offset, 1)?;
        let mut reader = Reader::nested(bytes, offset);
        while let Some(field) = reader.next()? {
            if field.number == 2 {
                self.scope_spans(message(&field)?, field.offset, broken.as_ref())?;
            }
        }
        Ok(())
    }

    fn scope_spans(
        &mut self,
        bytes: &[u8],
        offset: usize,
        broken: Option<&Reason>,
    ) -> Result<(), Fault> {
        let own = self.common(bytes, offset, 3)?;
        let broken = broken.or(own.as_ref());
        let mut reader = Reader::nested(bytes, offset);
        while let Some(field) = reader.next()? {
            if field.number != 2 {
                continue;
            }
            let span = message(&field)?;
            let ordinal = self.checked.spans;
            self.checked.spans = ordinal.saturating_add(1);
            if ordinal >= self.rules.spans_max {
                return Ok(());
            }
            match (self.span(span, field.offset), broken) {
                (Err(Stop::Malformed(fault)), _) => return Err(fault),
                (Err(Stop::Refused(reason)), _) => self.refuse(ordinal, span, reason),
                (Ok(_), Some(reason)) => self.refuse(ordinal, span, reason.clone()),
                (Ok(trace), None) => {
                    if let Some(reason) = self.gate.refuses(trace, span.len()) {
                        self.refuse(ordinal, span, reason);
                    }
                }
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
            match reader.tag()? {
                0 => break,
                tag::TRACE_ID => trace_id = reader.bytes()?.0,
                tag::SPAN_ID => span_id = reader.bytes()?.0,
                tag::PARENT_SPAN_ID => parent_id = reader.bytes()?.0,
                tag::TRACE_STATE | tag::NAME => drop(reader.bytes()?),
                tag::START | tag::END => {
                    reader.fixed64()?;
                }
                tag::FLAGS => {
                    reader.fixed32()?;
                }
                tag::KIND | tag::DROPPED_ATTRIBUTES | tag::DROPPED_EVENTS | tag::DROPPED_LINKS => {
                    reader.varint()?;
                }
                tag::ATTRIBUTE => {
                    let (kv, offset) = reader.bytes()?;
                    attributes += 1;
                    keep_first(&mut broken, attribute_fits(kv, offset))?;
                    keep_first(&mut broken, self.rules.attribute(attributes, kv))?;
                }
                tag::EVENT => {
                    let (event, offset) = reader.bytes()?;
                    self.checked.heap_bytes += EVENT_BYTES;
                    keep_first(&mut broken, self.event(event, offset))?;
                }
                tag::LINK => {
                    let (link, offset) = reader.bytes()?;
                    self.checked.heap_bytes += LINK_BYTES;
                    keep_first(&mut broken, self.link(link, offset))?;
                }
                tag::STATUS => {
                    let (status, offset) = reader.bytes()?;
                    let mut status = Reader::nested(status, offset);
                    while let Some(field) = status.next()? {
                        match field.number {
                            2 => drop(message(&field)?),
                            3 => drop(varint(&field)?),
                            _ => {}
                        }
                    }
                }
                other => reader.skip(other, tag::NUMBER_MAX)?,
            }
        }
        self.checked.heap_bytes += SPAN_BYTES + attributes * ATTRIBUTE_BYTES;
        let (trace, _) = ids(trace_id, span_id)?;
        if !matches!(parent_id.len(), 0 | 8) {
            return Err(Stop::Refused(Reason::ParentIdLength(parent_id.len())));
        }
        broken.map_or(Ok(trace), |reason| Err(Stop::Refused(reason)))
    }

    fn event(&mut self, bytes: &[u8], offset: usize) -> Result<(), Stop> {
        let (mut broken, mut attributes) = (None, 0);
        let mut reader = Reader::nested(bytes, offset);
        while let Some(field) = reader.next()? {
            match field.number {
                1 => drop(fixed64(&field)?),
                2 => drop(message(&field)?),
                3 => {
                    let kv = message(&field)?;
                    self.checked.heap_bytes += ATTRIBUTE_BYTES;
                    attributes += 1;
                    keep_first(&mut broken, attribute_fits(kv, field.offset))?;
                    keep_first(&mut broken, self.rules.attribute(attributes, kv))?;
                }
                4 => drop(varint(&field)?),
                _ => {}
            }
        }
        broken.map_or(Ok(()), |reason| Err(Stop::Refused(reason)))
    }

    fn link(&mut self, bytes: &[u8], offset: usize) -> Result<(), Stop> {
        let (mut broken, mut attributes) = (None, 0);
        let mut reader = Reader::nested(bytes, offset);
        while let Some(field) = reader.next()? {
            match field.number {
                1 => keep_first(&mut broken, link_id::<16>(message(&field)?).map(drop))?,
                2 => keep_first(&mut broken, link_id::<8>(message(&field)?).map(drop))?,
                3 => drop(message(&field)?),
                4 => {
                    let kv = message(&field)?;
                    self.checked.heap_bytes += ATTRIBUTE_BYTES;
                    attributes += 1;
                    keep_first(&mut broken, attribute_fits(kv, field.offset))?;
                    keep_first(&mut broken, self.rules.attribute(attributes, kv))?;
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
    fn common(&self, bytes: &[u8], offset: usize, number: u32) -> Result<Option<Reason>, Fault> {
        let (mut broken, mut attributes) = (None, 0);
        let mut reader = Reader::nested(bytes, offset);
        while let Some(field) = reader.next()? {
            match field.number {
                1 => {
                    let thing = message(&field)?;
                    let inspected = inspect(thing, field.offset, number, |_, _| {});
                    keep_first(&mut broken, inspected)?;
                    let mut parts = Reader::nested(thing, field.offset);
                    while let Some(part) = parts.next()? {
                        if part.number == number {
                            attributes += 1;
                            let within = self.rules.attribute(attributes, message(&part)?);
                            keep_first(&mut broken, within)?;
                        }
                    }
                }
                3 => drop(message(&field)?),
                _ => {}
            }
        }
        Ok(broken)
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
