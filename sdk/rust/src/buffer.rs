//! The frame of both buffers: header, table of sections, sections. What the sections hold is in `batch` and
//! `answer`.

use crate::codes::{ENTRY_BYTES, HEADER_BYTES, VERSION, domain};
use crate::error::PluginError;
use crate::view::Numbers;

/// How many entries each domain has that the header counts; an answer repeats those of its batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Spans: the rows.
    pub rows: u32,
    /// Resources.
    pub resources: u32,
    /// Scopes.
    pub scopes: u32,
    /// Events of all spans.
    pub events: u32,
    /// Traces, for a tail sampler.
    pub traces: u32,
}

impl Counts {
    /// Entries of a domain; `None` where the header does not count it.
    pub(crate) fn of(&self, domain: u8) -> Option<usize> {
        let count = match domain {
            domain::SPANS => self.rows,
            domain::RESOURCES => self.resources,
            domain::SCOPES => self.scopes,
            domain::EVENTS => self.events,
            domain::TRACES => self.traces,
            _ => return None,
        };
        usize::try_from(count).ok()
    }
}

/// One section, where it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section<'a> {
    pub(crate) kind: u16,
    pub(crate) layout: u8,
    pub(crate) domain: u8,
    pub(crate) argument: u32,
    /// `None` where it reaches out of the buffer, which matters only to whoever knows its kind.
    bytes: Option<&'a [u8]>,
}

impl<'a> Section<'a> {
    /// What it holds.
    pub(crate) fn bytes(&self) -> Result<&'a [u8], PluginError> {
        self.bytes.ok_or_else(|| self.bad("reaches out of the buffer"))
    }

    /// An error that names the section.
    pub(crate) fn bad(&self, what: &str) -> PluginError {
        PluginError::BadInput(format!("section {} of {}: {what}", self.kind, self.argument))
    }
}

/// Reads header and table.
///
/// # Errors
///
/// Bad input: another magic or version, or a table that reaches out of the buffer.
pub(crate) fn parse(
    bytes: &[u8],
    magic: u32,
) -> Result<(Counts, impl Iterator<Item = Section<'_>>), PluginError> {
    let head = bytes.get(..HEADER_BYTES).ok_or_else(|| PluginError::bad_input("no header"))?;
    let head = Numbers::<u32>::new(head);
    let at = |i| head.get(i).unwrap_or_default();
    if at(0) != magic {
        return Err(PluginError::bad_input("another magic"));
    }
    if at(1) & 0xffff != u32::from(VERSION) {
        return Err(PluginError::bad_input("another version"));
    }
    let counts =
        Counts { rows: at(2), resources: at(3), scopes: at(4), events: at(5), traces: at(6) };
    let rows = (at(7) as usize)
        .checked_mul(ENTRY_BYTES)
        .and_then(|length| bytes.get(HEADER_BYTES..HEADER_BYTES.checked_add(length)?))
        .ok_or_else(|| PluginError::bad_input("the table reaches out of the buffer"))?;
    let sections = rows.as_chunks::<ENTRY_BYTES>().0.iter();
    Ok((counts, sections.map(|row| section(bytes, *row))))
}

fn section(buffer: &[u8], row: [u8; ENTRY_BYTES]) -> Section<'_> {
    let [k0, k1, layout, domain, a0, a1, a2, a3, o0, o1, o2, o3, l0, l1, l2, l3] = row;
    let offset = u32::from_le_bytes([o0, o1, o2, o3]) as usize;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    Section {
        kind: u16::from_le_bytes([k0, k1]),
        layout,
        domain,
        argument: u32::from_le_bytes([a0, a1, a2, a3]),
        bytes: offset.checked_add(length).and_then(|end| buffer.get(offset..end)),
    }
}

/// Puts a buffer together, section by section, in the order in which they are to stand.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    table: Vec<u8>,
    /// The sections, as if the first began at 0.
    body: Vec<u8>,
    /// Where each section begins in `body`, and how long it is.
    places: Vec<(usize, usize)>,
}

impl Writer {
    /// Adds a section.
    pub(crate) fn section(
        &mut self,
        kind: u16,
        layout: u8,
        domain: u8,
        argument: u32,
        data: &[u8],
    ) {
        self.body.resize(self.body.len().next_multiple_of(8), 0);
        self.places.push((self.body.len(), data.len()));
        self.body.extend_from_slice(data);
        self.table.extend_from_slice(&kind.to_le_bytes());
        self.table.extend_from_slice(&[layout, domain]);
        self.table.extend_from_slice(&argument.to_le_bytes());
    }

    /// The whole buffer.
    pub(crate) fn finish(self, magic: u32, counts: Counts) -> Vec<u8> {
        let start = HEADER_BYTES + self.places.len() * ENTRY_BYTES;
        let mut buffer = Vec::with_capacity(start + self.body.len());
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let Counts { rows, resources, scopes, events, traces } = counts;
        let count = number(self.places.len());
        for word in [magic, VERSION.into(), rows, resources, scopes, events, traces, count] {
            buffer.extend_from_slice(&word.to_le_bytes());
        }
        for (row, (offset, length)) in self.table.as_chunks::<8>().0.iter().zip(self.places) {
            buffer.extend_from_slice(row);
            buffer.extend_from_slice(&number(start + offset).to_le_bytes());
            buffer.extend_from_slice(&number(length).to_le_bytes());
        }
        buffer.extend_from_slice(&self.body);
        buffer
    }
}
