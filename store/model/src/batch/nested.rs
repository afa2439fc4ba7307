//! What spans have lists of: events and links, each list a table with the row of its span.

use crate::Nanos;
use crate::attributes::Attributes;
use crate::column::Sparse;

/// Events of all spans, in the order of their spans.
#[derive(Debug)]
pub struct Events {
    /// The span's row; ascending.
    pub row: Vec<u32>,
    /// When it happened.
    pub time: Vec<Nanos>,
    /// Number of its name among the texts.
    pub name: Vec<u32>,
    /// Attributes that the sender dropped, by event.
    pub dropped: Sparse,
    /// Its attributes; their rows are events.
    pub attributes: Attributes,
}

/// Links of all spans, in the order of their spans.
#[derive(Debug)]
pub struct Links {
    /// The span's row; ascending.
    pub row: Vec<u32>,
    /// The trace that is linked to; zeros where none is named.
    pub trace_id: Vec<[u8; 16]>,
    /// The span that is linked to; zeros where none is named.
    pub span_id: Vec<[u8; 8]>,
    /// Number of the trace state among the texts, by link.
    pub trace_state: Sparse,
    /// Flags, by link.
    pub flags: Sparse,
    /// Attributes that the sender dropped, by link.
    pub dropped: Sparse,
    /// Its attributes; their rows are links.
    pub attributes: Attributes,
}

impl Events {
    /// No events.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            row: Vec::new(),
            time: Vec::new(),
            name: Vec::new(),
            dropped: Sparse::default(),
            attributes: Attributes::new(seed),
        }
    }
}

impl Links {
    /// No links.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            row: Vec::new(),
            trace_id: Vec::new(),
            span_id: Vec::new(),
            trace_state: Sparse::default(),
            flags: Sparse::default(),
            dropped: Sparse::default(),
            attributes: Attributes::new(seed),
        }
    }
}
