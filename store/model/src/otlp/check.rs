//! A look through a request before any of it is taken.
//!
//! Reads every field that the walk will read and touches nothing: a malformed request and a span
//! that breaks a rule leave no trace in the tables that all requests share, and what a request
//! will hold in memory is known before it is let in. It needs no lock, so it runs beside other
//! requests' walks.

use crate::wire::{Fault, Reader};

use super::refusal::{REFUSALS_TOLD_MAX, Reason, Refusal, Stop};
use super::value::{attribute_fits, fixed64, inspect, message, peek_name, varint};
use super::{ids, link_id, tag};

/// What a request holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Spans, refused ones included.
    pub spans: u32,
    /// Ordinals (over all resources and scopes, from 0) of the spans that break a rule.
    pub refused: Vec<u32>,
    /// Why, for the first [`REFUSALS_TOLD_MAX`].
    pub refusals: Vec<Refusal>,
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
    // Values are copied into columns, whose vectors double.
    let mut checked = Checked { heap_bytes: body.len().saturating_mul(2), ..Checked::default() };
    let mut reader = Reader::new(body);
    while let Some(field) = reader.next()? {
        if field.number == 1 {
            checked.resource_spans(message(&field)?, field.offset)?;
        }
    }
    Ok(checked)
}

impl Checked {
    /// Whether no span is left to store.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.refused.len() >= self.spans as usize
    }

    fn resource_spans(&mut self, bytes: &[u8], offset: usize) -> Result<(), Fault> {
        let broken = common(bytes, offset, 1)?;
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
        let own = common(bytes, offset, 3)?;
        let broken = broken.or(own.as_ref());
        let mut reader = Reader::nested(bytes, offset);
        while let Some(field) = reader.next()? {
            if field.number != 2 {
                continue;
            }
            let span = message(&field)?;
            let ordinal = self.spans;
            self.spans += 1;
            match (self.span(span, field.offset), broken) {
                (Err(Stop::Malformed(fault)), _) => return Err(fault),
                (Err(Stop::Refused(reason)), _) => self.refuse(ordinal, span, reason),
                (Ok(()), Some(reason)) => self.refuse(ordinal, span, reason.clone()),
                (Ok(()), None) => {}
            }
        }
        Ok(())
    }

    #[cold]
    fn refuse(&mut self, span: u32, bytes: &[u8], reason: Reason) {
        self.refused.push(span);
        if self.refusals.len() < REFUSALS_TOLD_MAX {
            self.refusals.push(Refusal { span, name: peek_name(bytes), reason });
        }
    }

    /// Reads a whole span, so that a malformed one is found whatever rule it breaks first.
    fn span(&mut self, bytes: &[u8], offset: usize) -> Result<(), Stop> {
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
                }
                tag::EVENT => {
                    let (event, offset) = reader.bytes()?;
                    self.heap_bytes += EVENT_BYTES;
                    keep_first(&mut broken, self.event(event, offset))?;
                }
                tag::LINK => {
                    let (link, offset) = reader.bytes()?;
                    self.heap_bytes += LINK_BYTES;
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
        self.heap_bytes += SPAN_BYTES + attributes * ATTRIBUTE_BYTES;
        ids(trace_id, span_id)?;
        if !matches!(parent_id.len(), 0 | 8) {
            return Err(Stop::Refused(Reason::ParentIdLength(parent_id.len())));
        }
        broken.map_or(Ok(()), |reason| Err(Stop::Refused(reason)))
    }

    fn event(&mut self, bytes: &[u8], offset: usize) -> Result<(), Stop> {
        let mut broken = None;
        let mut reader = Reader::nested(bytes, offset);
        while let Some(field) = reader.next()? {
            match field.number {
                1 => drop(fixed64(&field)?),
                2 => drop(message(&field)?),
                3 => {
                    self.heap_bytes += ATTRIBUTE_BYTES;
                    let fits = attribute_fits(message(&field)?, field.offset);
                    keep_first(&mut broken, fits)?;
                }
                4 => drop(varint(&field)?),
                _ => {}
            }
        }
        broken.map_or(Ok(()), |reason| Err(Stop::Refused(reason)))
    }

    fn link(&mut self, bytes: &[u8], offset: usize) -> Result<(), Stop> {
        let mut broken = None;
        let mut reader = Reader::nested(bytes, offset);
        while let Some(field) = reader.next()? {
            match field.number {
                1 => keep_first(&mut broken, link_id::<16>(message(&field)?).map(drop))?,
                2 => keep_first(&mut broken, link_id::<8>(message(&field)?).map(drop))?,
                3 => drop(message(&field)?),
                4 => {
                    self.heap_bytes += ATTRIBUTE_BYTES;
                    let fits = attribute_fits(message(&field)?, field.offset);
                    keep_first(&mut broken, fits)?;
                }
                5 => drop(varint(&field)?),
                6 => drop(super::fixed32(&field)?),
                _ => {}
            }
        }
        broken.map_or(Ok(()), |reason| Err(Stop::Refused(reason)))
    }
}

/// Checks what stands beside the spans in a `ResourceSpans` or `ScopeSpans`: the attributes (by
/// the number of their field) of the message in field 1, and the schema url.
fn common(bytes: &[u8], offset: usize, attributes: u32) -> Result<Option<Reason>, Fault> {
    let mut broken = None;
    let mut reader = Reader::nested(bytes, offset);
    while let Some(field) = reader.next()? {
        match field.number {
            1 => {
                let inspected = inspect(message(&field)?, field.offset, attributes, |_, _| {});
                match keep_first(&mut broken, inspected) {
                    Ok(()) | Err(Stop::Refused(_)) => {}
                    Err(Stop::Malformed(fault)) => return Err(fault),
                }
            }
            3 => drop(message(&field)?),
            _ => {}
        }
    }
    Ok(broken)
}

/// Notes the first broken rule and goes on; a malformed message ends the look.
fn keep_first(broken: &mut Option<Reason>, result: Result<(), Stop>) -> Result<(), Stop> {
    match result {
        Err(Stop::Refused(reason)) => {
            broken.get_or_insert(reason);
            Ok(())
        }
        other => other,
    }
}
