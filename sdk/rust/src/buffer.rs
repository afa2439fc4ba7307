//! The frame of both buffers: header, table of sections, sections. What the sections hold is in `batch` and
//! `answer`.

use crate::answer::Entries;
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

/// Puts a buffer together, section by section, in the order in which they are to stand. Nothing is copied before all of
/// them are known.
#[derive(Debug, Default)]
pub(crate) struct Writer<'a> {
    sections: Vec<(Head, Data<'a>)>,
}

/// What the table says of a section, but for where it is.
#[derive(Clone, Copy, Debug)]
struct Head {
    kind: u16,
    layout: u8,
    domain: u8,
    argument: u32,
}

/// What a section holds.
#[derive(Debug)]
pub(crate) enum Data<'a> {
    Bytes(&'a [u8]),
    Owned(Vec<u8>),
    /// Texts or blobs, of so many entries.
    Entries(&'a Entries, usize),
}

impl<'a> From<&'a [u8]> for Data<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<Vec<u8>> for Data<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Owned(bytes)
    }
}

impl Data<'_> {
    /// About how many bytes it takes.
    fn size(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Owned(bytes) => bytes.len(),
            Self::Entries(of, entries) => of.size(*entries),
        }
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Bytes(bytes) => out.extend_from_slice(bytes),
            Self::Owned(bytes) => out.extend_from_slice(bytes),
            Self::Entries(of, entries) => of.put_section(*entries, out),
        }
    }
}

impl<'a> Writer<'a> {
    /// Adds a section.
    pub(crate) fn section(
        &mut self,
        kind: u16,
        layout: u8,
        domain: u8,
        argument: u32,
        data: impl Into<Data<'a>>,
    ) {
        self.sections.push((Head { kind, layout, domain, argument }, data.into()));
    }

    /// Adds texts or blobs.
    pub(crate) fn entries(
        &mut self,
        (kind, layout, domain, argument): (u16, u8, u8, u32),
        of: &'a Entries,
        entries: usize,
    ) {
        let head = Head { kind, layout, domain, argument };
        self.sections.push((head, Data::Entries(of, entries)));
    }

    /// The whole buffer.
    pub(crate) fn finish(self, magic: u32, counts: Counts) -> Vec<u8> {
        let start = HEADER_BYTES + self.sections.len() * ENTRY_BYTES;
        let size = self.sections.iter().map(|(_, data)| data.size() + 8).sum::<usize>();
        let mut buffer = Vec::with_capacity(start + size);
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let Counts { rows, resources, scopes, events, traces } = counts;
        let count = number(self.sections.len());
        for word in [magic, VERSION.into(), rows, resources, scopes, events, traces, count] {
            buffer.extend_from_slice(&word.to_le_bytes());
        }
        buffer.resize(start, 0);
        for (row, (head, data)) in self.sections.iter().enumerate() {
            buffer.resize(buffer.len().next_multiple_of(8), 0);
            let offset = buffer.len();
            data.put(&mut buffer);
            let [k0, k1] = head.kind.to_le_bytes();
            let place = [
                u32::from_le_bytes([k0, k1, head.layout, head.domain]),
                head.argument,
                number(offset),
                number(buffer.len() - offset),
            ];
            let from = HEADER_BYTES + row * ENTRY_BYTES;
            for (to, word) in buffer[from..].as_chunks_mut::<4>().0.iter_mut().zip(place) {
                *to = word.to_le_bytes();
            }
        }
        buffer
    }
}
