//! Where the pages of a column chunk stand, and what a reader must know to decode them.

use model::wire::{put_varint, unzigzag, zigzag};

use super::Encoding;
use crate::block::section::Cursor;
use crate::error::Error;

/// One page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageMeta {
    /// Where it begins in the file.
    pub offset: u64,
    /// Its length, header and body.
    pub len: u32,
    /// The length of its header.
    pub header_len: u32,
    /// The length of its body before it was compressed.
    pub raw_len: u32,
    /// Its first row in the row group.
    pub first_row: u32,
    /// Its rows.
    pub rows: u32,
    /// Its entries: values, absent ones included (of a dictionary: its values).
    pub entries: u32,
    /// Values that are there.
    pub values: u32,
    /// crc32c of header and body.
    pub crc: u32,
}

/// One column chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkMeta {
    /// How values are encoded.
    pub encoding: Encoding,
    /// The dictionary, where there is one.
    pub dictionary: Option<PageMeta>,
    /// The pages; they follow each other, and the dictionary.
    pub pages: Vec<PageMeta>,
    /// Entries: values, absent ones included.
    pub entries: u64,
    /// Values that are there.
    pub values: u64,
    /// Bytes before compression, headers included.
    pub raw_bytes: u64,
    /// Bytes in the file.
    pub bytes: u64,
    /// The least and the greatest value of integers, signed.
    pub min_max: Option<(i64, i64)>,
}

impl ChunkMeta {
    /// Where the chunk begins in the file.
    #[must_use]
    pub fn offset(&self) -> u64 {
        let first = self.dictionary.as_ref().or_else(|| self.pages.first());
        first.map_or(0, |page| page.offset)
    }

    /// The bytes of the section of a row group's chunks.
    #[must_use]
    pub fn encode_all(chunks: &[Self]) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, chunks.len() as u64);
        for chunk in chunks {
            chunk.encode(&mut out);
        }
        out
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let flags = u8::from(self.dictionary.is_some()) | u8::from(self.min_max.is_some()) << 1;
        out.extend_from_slice(&[self.encoding as u8, flags]);
        put_varint(out, self.offset());
        put_varint(out, self.raw_bytes);
        if let Some((min, max)) = self.min_max {
            put_varint(out, zigzag(min));
            put_varint(out, max.wrapping_sub(min).cast_unsigned());
        }
        put_varint(out, self.pages.len() as u64);
        for page in self.dictionary.iter().chain(&self.pages) {
            let PageMeta { len, header_len, raw_len, rows, entries, values, crc, .. } = page;
            for number in [*len, *header_len, *raw_len, *rows] {
                put_varint(out, u64::from(number));
            }
            // A row has an entry at least; rows of a dictionary are 0.
            put_varint(out, u64::from(entries.wrapping_sub(*rows)));
            put_varint(out, u64::from(entries.wrapping_sub(*values)));
            out.extend_from_slice(&crc.to_le_bytes());
        }
    }

    /// Reads the section of a row group's chunks.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are no such section.
    pub fn decode_all(bytes: &[u8]) -> Result<Vec<Self>, Error> {
        let mut cursor = Cursor::new(bytes, "columns");
        let count = cursor.count()?;
        let mut chunks = Vec::with_capacity(count.min(4_096));
        for _ in 0..count {
            chunks.push(Self::decode(&mut cursor)?);
        }
        // Nothing stands behind them.
        if cursor.bytes(1).is_ok() { Err(cursor.fault()) } else { Ok(chunks) }
    }

    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, Error> {
        let &[encoding, flags] = cursor.bytes(2)? else { return Err(cursor.fault()) };
        let encoding = Encoding::of(encoding).ok_or_else(|| cursor.fault())?;
        let mut offset = cursor.varint()?;
        let begin = offset;
        let raw_bytes = cursor.varint()?;
        let min_max = match flags & 2 {
            0 => None,
            _ => {
                let min = unzigzag(cursor.varint()?);
                let max = min.checked_add_unsigned(cursor.varint()?);
                Some((min, max.ok_or_else(|| cursor.fault())?))
            }
        };
        let count = cursor.count()?;
        let mut first_row = 0u32;
        let (mut entries, mut values) = (0, 0);
        let mut page = |cursor: &mut Cursor<'_>, is_data: bool| -> Result<PageMeta, Error> {
            let mut page = PageMeta {
                offset,
                len: cursor.number()?,
                header_len: cursor.number()?,
                raw_len: cursor.number()?,
                first_row,
                rows: cursor.number()?,
                ..PageMeta::default()
            };
            let more = cursor.number()?;
            page.entries = page.rows.checked_add(more).ok_or_else(|| cursor.fault())?;
            let absent = cursor.number()?;
            page.values = page.entries.checked_sub(absent).ok_or_else(|| cursor.fault())?;
            let crc = cursor.bytes(4)?.first_chunk().ok_or_else(|| cursor.fault())?;
            page.crc = u32::from_le_bytes(*crc);
            let end = offset.checked_add(u64::from(page.len)).ok_or_else(|| cursor.fault())?;
            if page.header_len > page.len {
                return Err(cursor.fault());
            }
            offset = end;
            if is_data {
                first_row = first_row.checked_add(page.rows).ok_or_else(|| cursor.fault())?;
                entries += u64::from(page.entries);
                values += u64::from(page.values);
            }
            Ok(page)
        };
        let dictionary = if flags & 1 == 1 { Some(page(cursor, false)?) } else { None };
        let mut pages = Vec::with_capacity(count.min(4_096));
        for _ in 0..count {
            pages.push(page(cursor, true)?);
        }
        let bytes = offset - begin;
        Ok(Self { encoding, dictionary, pages, entries, values, raw_bytes, bytes, min_max })
    }
}
