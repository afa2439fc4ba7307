//! What a search shows of each trace, without reading its spans.

use model::column::Interner;
use model::wire::{put_varint, unzigzag, zigzag};
use model::{Nanos, TimeRange, TraceId};

use super::Cursor;
use super::lists::{list, put_list};
use crate::error::Error;

/// One trace of a row group (or one part of a huge one).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Its id.
    pub id: TraceId,
    /// Its first row in the row group.
    pub first_row: u32,
    /// Its rows.
    pub rows: u32,
    /// Which part of a huge trace this is, from 0.
    pub part: u32,
    /// Whether the trace is huge, and may have other parts.
    pub oversized: bool,
    /// Whether a parent or the root is missing: the trace may go on elsewhere.
    pub is_open: bool,
    /// The root's row in the row group, if it is here.
    pub root: Option<u32>,
    /// Number of the root's name among the summary's texts; of the empty text without a root.
    pub root_name: u32,
    /// Number of the root's service.
    pub root_service: u32,
    /// First and last effective start.
    pub starts: TimeRange,
    /// First own start.
    pub start: Nanos,
    /// Last own end.
    pub end: Nanos,
    /// Spans with an error.
    pub errors: u32,
}

/// All traces of a row group, in the order of their rows.
#[derive(Debug)]
pub struct Summary {
    /// What names and services are numbers of.
    pub texts: Interner,
    /// The traces.
    pub traces: Vec<Trace>,
}

impl Summary {
    /// Heap bytes held.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.texts.heap_bytes() + self.traces.capacity() * size_of::<Trace>()
    }
}

const OVERSIZED: u64 = 1;
const OPEN: u64 = 2;
const ROOT: u64 = 4;

/// The bytes of the summary section. Rows of the traces follow each other from 0 on; their ids are
/// not in it: they are the dictionary of the trace id column, in the same order.
#[must_use]
pub fn encode(texts: &[&[u8]], traces: &[Trace]) -> Vec<u8> {
    let mut out = Vec::new();
    put_list(&mut out, texts);
    put_varint(&mut out, traces.len() as u64);
    // A field after the other: alike bytes stand together, which compresses to less.
    for trace in traces {
        let flag = |is, bit| if is { bit } else { 0 };
        put_varint(&mut out, u64::from(trace.rows));
        put_varint(
            &mut out,
            flag(trace.oversized, OVERSIZED)
                | flag(trace.is_open, OPEN)
                | flag(trace.root.is_some(), ROOT),
        );
    }
    for trace in traces {
        if trace.oversized {
            put_varint(&mut out, u64::from(trace.part));
        }
        if let Some(root) = trace.root {
            put_varint(&mut out, u64::from(root.saturating_sub(trace.first_row)));
        }
        put_varint(&mut out, u64::from(trace.root_name));
        put_varint(&mut out, u64::from(trace.root_service));
        put_varint(&mut out, u64::from(trace.errors));
    }
    let mut before = 0u64;
    for trace in traces {
        let start = trace.starts.start.0;
        put_signed(&mut out, start.wrapping_sub(before));
        put_varint(&mut out, trace.starts.end.0.wrapping_sub(start));
        put_signed(&mut out, trace.start.0.wrapping_sub(start));
        put_signed(&mut out, trace.end.0.wrapping_sub(trace.start.0));
        before = start;
    }
    out
}

/// Reads a summary; `ids` are those of its traces.
///
/// # Errors
/// `Corrupt` when the bytes are no such section.
pub fn decode(bytes: &[u8], ids: &[[u8; 16]]) -> Result<Summary, Error> {
    let mut cursor = Cursor::new(bytes, "summary");
    let texts = list(&mut cursor)?;
    let count = cursor.count()?;
    let mut traces = Vec::with_capacity(count.min(1 << 20));
    if count != ids.len() {
        return Err(cursor.fault());
    }
    for id in ids {
        traces.push(Trace {
            id: TraceId::from_array(*id),
            first_row: 0,
            rows: 0,
            part: 0,
            oversized: false,
            is_open: false,
            root: None,
            root_name: 0,
            root_service: 0,
            starts: TimeRange { start: Nanos(0), end: Nanos(0) },
            start: Nanos(0),
            end: Nanos(0),
            errors: 0,
        });
    }
    let mut first_row = 0u32;
    for trace in &mut traces {
        trace.first_row = first_row;
        trace.rows = cursor.number()?;
        first_row = first_row.checked_add(trace.rows).ok_or_else(|| cursor.fault())?;
        let flags = cursor.varint()?;
        (trace.oversized, trace.is_open) = (flags & OVERSIZED != 0, flags & OPEN != 0);
        trace.root = (flags & ROOT != 0).then_some(0);
    }
    for trace in &mut traces {
        if trace.oversized {
            trace.part = cursor.number()?;
        }
        if trace.root.is_some() {
            let root = cursor.number()?;
            if root >= trace.rows {
                return Err(cursor.fault());
            }
            trace.root = Some(trace.first_row + root);
        }
        (trace.root_name, trace.root_service) = (cursor.number()?, cursor.number()?);
        if trace.root_name as usize >= texts.len() || trace.root_service as usize >= texts.len() {
            return Err(cursor.fault());
        }
        trace.errors = cursor.number()?;
    }
    let mut before = 0u64;
    for trace in &mut traces {
        let start = before.wrapping_add(signed(&mut cursor)?);
        let end = start.wrapping_add(cursor.varint()?);
        trace.starts = TimeRange { start: Nanos(start), end: Nanos(end) };
        trace.start = Nanos(start.wrapping_add(signed(&mut cursor)?));
        trace.end = Nanos(trace.start.0.wrapping_add(signed(&mut cursor)?));
        before = start;
    }
    Ok(Summary { texts, traces })
}

/// A difference, small either way (zigzag).
fn put_signed(out: &mut Vec<u8>, difference: u64) {
    put_varint(out, zigzag(difference.cast_signed()));
}

fn signed(cursor: &mut Cursor<'_>) -> Result<u64, Error> {
    Ok(unzigzag(cursor.varint()?).cast_unsigned())
}
