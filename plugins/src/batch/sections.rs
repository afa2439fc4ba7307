//! The header of a batch, its table of sections, and the sections behind it.

use traceweir_plugin::codes::{BATCH_MAGIC, ENTRY_BYTES, HEADER_BYTES, VERSION, layout};

use super::shape::Shape;
use super::texts::{Texts, at32, put_u64s};
use super::values::Values;
use crate::projection::Owner;

/// A buffer on its way.
pub(super) struct Sections<'a> {
    out: &'a mut Vec<u8>,
    written: usize,
    sections: usize,
}

/// Kind, type, domain and argument of a section.
type Head = (u16, u8, u8, u32);

impl<'a> Sections<'a> {
    /// Begins a buffer of so many sections.
    pub(super) fn begin(out: &'a mut Vec<u8>, shape: &Shape, sections: usize) -> Self {
        out.clear();
        out.extend_from_slice(&BATCH_MAGIC.to_le_bytes());
        out.extend_from_slice(&u32::from(VERSION).to_le_bytes());
        for owner in [Owner::Span, Owner::Resource, Owner::Scope, Owner::Event] {
            out.extend_from_slice(&at32(shape.shown(owner)).to_le_bytes());
        }
        out.extend_from_slice(&at32(shape.traces.len()).to_le_bytes());
        out.extend_from_slice(&at32(sections).to_le_bytes());
        out.resize(HEADER_BYTES + ENTRY_BYTES * sections, 0);
        Self { out, written: 0, sections }
    }

    /// Writes a section.
    pub(super) fn section(
        &mut self,
        (kind, layout, domain, argument): Head,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        self.out.resize(self.out.len().next_multiple_of(8), 0);
        let at = self.out.len();
        write(self.out);
        let length = self.out.len() - at;
        let mut row = [0; ENTRY_BYTES];
        let parts: [&[u8]; 6] = [
            &kind.to_le_bytes(),
            &[layout],
            &[domain],
            &argument.to_le_bytes(),
            &at32(at).to_le_bytes(),
            &at32(length).to_le_bytes(),
        ];
        let bytes = parts.iter().copied().flatten();
        row.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
        let place = HEADER_BYTES + ENTRY_BYTES * self.written;
        if let Some(place) = self.out.get_mut(place..place + ENTRY_BYTES) {
            place.copy_from_slice(&row);
        }
        self.written += 1;
    }

    /// Writes a section of texts.
    pub(super) fn texts(&mut self, (kind, domain, argument): (u16, u8, u32), texts: &Texts) {
        self.section((kind, layout::TEXT, domain, argument), |out| texts.put_section(out));
    }

    /// Writes the sections of a column of values.
    pub(super) fn values(&mut self, (kind, domain, argument): (u16, u8, u32), values: &Values) {
        self.section((kind, layout::U8, domain, argument), |out| {
            out.extend_from_slice(&values.tags);
        });
        if !values.words.is_empty() {
            self.section((kind, layout::U64, domain, argument), |out| put_u64s(out, &values.words));
        }
        if !values.texts.is_empty() {
            self.texts((kind, domain, argument), &values.texts);
        }
        if !values.blobs.is_empty() {
            let blobs = &values.blobs;
            self.section((kind, layout::BLOB, domain, argument), |out| blobs.put_section(out));
        }
    }

    /// Ends the buffer.
    pub(super) fn end(self) {
        debug_assert_eq!(self.written, self.sections, "the table is full");
    }
}
