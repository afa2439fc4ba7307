//! Column chunks into pages.

use std::fmt;
use std::ops::Range;

use model::column::count;
use zstd::bulk::Compressor;
use zstd::zstd_safe::compress_bound;

use super::bits::{put_hybrid, width};
use super::{
    Chunk, ChunkMeta, ENTRIES_MAX, Encoding, Levels, PageMeta, Physical, RAW_BYTES_MAX, Values,
    count_of, delta, header,
};
use crate::error::{Error, Kind};

/// A page ends earlier than it should by its rows where its texts take more than this, so that a
/// reader of large values holds little of them at a time. A row is never cut.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// The same for the entries of lists.
const LIST_ENTRIES_MAX: usize = 1 << 18;

/// Writes column chunks; buffers and the compressor are used again.
pub struct Encoder {
    compressor: Compressor<'static>,
    /// For texts.
    text_compressor: Compressor<'static>,
    raw: Vec<u8>,
    packed: Vec<u8>,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encoder")
    }
}

/// A page's part of a chunk.
struct Cut {
    entries: Range<usize>,
    values: Range<usize>,
    rows: u32,
}

impl Encoder {
    /// An encoder that compresses pages of numbers and codes with one zstd level, and those of
    /// texts with another: a higher one pays there only.
    ///
    /// # Errors
    /// `Io` where the library refuses a level.
    pub fn new(level: i32, text_level: i32) -> Result<Self, Error> {
        let make =
            |level| Compressor::new(level).map_err(|fault| Error::io("make a compressor", fault));
        let (compressor, text_compressor) = (make(level)?, make(text_level)?);
        Ok(Self { compressor, text_compressor, raw: Vec::new(), packed: Vec::new() })
    }

    /// Appends the pages of a chunk to `out`, whose first byte will stand at `base` of the file.
    ///
    /// # Errors
    /// `TooLarge` when a page is longer than a reader takes (a row of a GiB, or a dictionary);
    /// `Fatal` when there are other values than the levels say; `Io` where the library fails to
    /// compress. Whole pages may stand in `out` then.
    pub fn chunk(
        &mut self,
        out: &mut Vec<u8>,
        base: u64,
        chunk: &Chunk<'_>,
    ) -> Result<ChunkMeta, Error> {
        let mut meta = ChunkMeta {
            encoding: chunk.encoding,
            dictionary: None,
            pages: Vec::new(),
            entries: 0,
            values: 0,
            raw_bytes: 0,
            bytes: 0,
            min_max: min_max(chunk),
        };
        let cuts = cuts(chunk)?;
        let begin = out.len();
        let mut code_bits = 0;
        // Without values a dictionary would only be overhead.
        if let Some(dictionary) = chunk.dictionary.filter(|_| chunk.values.len() > 0) {
            let len = count(dictionary.len_of(chunk.physical));
            code_bits = whole_bytes(width(len.saturating_sub(1)));
            self.raw.clear();
            put_plain(&mut self.raw, dictionary, 0..dictionary.len());
            let page = PageMeta { entries: len, values: len, ..PageMeta::default() };
            let is_text = matches!(dictionary, Values::Texts(_));
            meta.dictionary = Some(self.page(out, base, page, None, is_text)?);
        } else if chunk.dictionary.is_some() {
            meta.encoding = Encoding::Plain;
        }
        let mut first_row = 0;
        for cut in cuts {
            self.raw.clear();
            put_levels(&mut self.raw, &chunk.levels, cut.entries.clone());
            put_values(&mut self.raw, meta.encoding, chunk, cut.values.clone(), code_bits);
            let page = PageMeta {
                first_row,
                rows: cut.rows,
                entries: count(cut.entries.len()),
                values: count(cut.values.len()),
                ..PageMeta::default()
            };
            first_row += cut.rows;
            meta.entries += u64::from(page.entries);
            meta.values += u64::from(page.values);
            let is_text = matches!(chunk.values, Values::Texts(_));
            meta.pages.push(self.page(out, base, page, Some(meta.encoding), is_text)?);
        }
        let pages = meta.dictionary.iter().chain(&meta.pages);
        meta.raw_bytes =
            pages.map(|page| u64::from(page.raw_len) + u64::from(page.header_len)).sum();
        meta.bytes = (out.len() - begin) as u64;
        Ok(meta)
    }

    /// Compresses what is in `raw` and appends it behind its header. A dictionary page where no
    /// encoding is given.
    fn page(
        &mut self,
        out: &mut Vec<u8>,
        base: u64,
        page: PageMeta,
        encoding: Option<Encoding>,
        is_text: bool,
    ) -> Result<PageMeta, Error> {
        let raw_len = u32::try_from(self.raw.len()).ok().filter(|len| *len <= RAW_BYTES_MAX);
        let Some(raw_len) = raw_len.filter(|_| page.entries <= ENTRIES_MAX) else {
            let (bytes, entries) = (self.raw.len(), page.entries);
            let message = format!("a page of {bytes} bytes and {entries} entries is too long");
            return Err(Error::new(Kind::TooLarge, message));
        };
        self.packed.clear();
        self.packed.reserve(compress_bound(self.raw.len()));
        let compressor = if is_text { &mut self.text_compressor } else { &mut self.compressor };
        compressor
            .compress_to_buffer(&self.raw, &mut self.packed)
            .map_err(|fault| Error::io("compress a page", fault))?;
        let (begin, len) = (out.len(), count(self.packed.len()));
        match encoding {
            Some(encoding) => header::put_data(out, raw_len, len, page.entries, encoding),
            None => header::put_dictionary(out, raw_len, len, page.entries),
        }
        let header_len = count(out.len() - begin);
        out.extend_from_slice(&self.packed);
        let bytes = out.get(begin..).unwrap_or_default();
        Ok(PageMeta {
            offset: base + begin as u64,
            len: count(bytes.len()),
            header_len,
            raw_len,
            crc: crc32c::crc32c(bytes),
            ..page
        })
    }
}

/// Cuts a chunk into pages, each ending where a row ends.
fn cuts(chunk: &Chunk<'_>) -> Result<Vec<Cut>, Error> {
    let Levels { max_rep, max_def, rep, def } = chunk.levels;
    let rows = chunk.rows as usize;
    let entries = match (max_rep, max_def) {
        (0, 0) => rows,
        (0, _) => def.len(),
        _ => rep.len(),
    };
    // What has no values has nothing to skip.
    let page_rows = if chunk.values.len() == 0 { rows } else { chunk.page_rows as usize }.max(1);
    let (mut cuts, mut entry, mut value, mut row) = (Vec::new(), 0, 0, 0);
    while row < rows || cuts.is_empty() {
        let mut take = page_rows.min(rows - row);
        let cut = loop {
            let end = if max_rep == 0 { entry + take } else { end_of_rows(rep, entry, take) };
            let cut = Cut {
                entries: entry..end,
                values: value..value + present(&chunk.levels, entry..end)?,
                rows: count(take),
            };
            if take < 2 || !is_long(chunk, &cut) {
                break cut;
            }
            take /= 2;
        };
        (entry, value, row) = (cut.entries.end, cut.values.end, row + take);
        cuts.push(cut);
    }
    if entry != entries || value != chunk.values.len_of(chunk.physical) {
        return Err(unequal());
    }
    Ok(cuts)
}

/// Where so many rows of a list end that begin at an entry.
fn end_of_rows(rep: &[u8], begin: usize, rows: usize) -> usize {
    let begins = rep.iter().enumerate().skip(begin).filter(|(_, level)| **level == 0);
    begins.map(|(at, _)| at).nth(rows).unwrap_or(rep.len())
}

/// How many of the entries have a value.
fn present(levels: &Levels<'_>, entries: Range<usize>) -> Result<usize, Error> {
    if levels.max_def == 0 {
        return Ok(entries.len());
    }
    let def = levels.def.get(entries).ok_or_else(unequal)?;
    Ok(count_of(def, levels.max_def))
}

fn is_long(chunk: &Chunk<'_>, cut: &Cut) -> bool {
    let text_bytes = match chunk.values {
        Values::Texts(texts) => {
            texts.get(cut.values.clone()).unwrap_or_default().iter().map(|text| text.len()).sum()
        }
        _ => 0,
    };
    text_bytes > TEXT_BYTES_MAX || cut.entries.len() > cut.rows as usize + LIST_ENTRIES_MAX
}

/// The invariant of a [`Chunk`] is broken.
fn unequal() -> Error {
    Error::new(Kind::Fatal, "a column to write has other values than its levels say")
}

fn put_levels(out: &mut Vec<u8>, levels: &Levels<'_>, entries: Range<usize>) {
    for (max, levels) in [(levels.max_rep, levels.rep), (levels.max_def, levels.def)] {
        if max > 0 {
            let at = out.len();
            out.extend_from_slice(&[0; 4]);
            put_hybrid(out, &levels[entries.clone()], width(u32::from(max)));
            let len = count(out.len() - at - 4).to_le_bytes();
            out[at..at + 4].copy_from_slice(&len);
        }
    }
}

/// Codes take whole bytes: what is packed across bytes is noise to the compressor. Codes of 5 bits
/// took 0.34 bytes a value, and take 0.25 as bytes.
const fn whole_bytes(width: u8) -> u8 {
    match width {
        0 => 0,
        1..=8 => 8,
        9..=16 => 16,
        width => width,
    }
}

fn put_values(
    out: &mut Vec<u8>,
    encoding: Encoding,
    chunk: &Chunk<'_>,
    range: Range<usize>,
    code_bits: u8,
) {
    match (encoding, chunk.values) {
        (Encoding::Dictionary, Values::Codes(codes)) => {
            out.push(code_bits);
            put_hybrid(out, &codes[range], code_bits);
        }
        (Encoding::Delta, Values::Words(words)) => delta::put_words(out, &words[range]),
        (Encoding::Delta, Values::Words32(words)) => delta::put_words32(out, &words[range]),
        (Encoding::DeltaLength, Values::Texts(texts)) => {
            let texts = &texts[range];
            delta::put_lengths(out, texts);
            texts.iter().for_each(|text| out.extend_from_slice(text));
        }
        (Encoding::Split, Values::Words(words)) => {
            let words = &words[range];
            for byte in 0..8 {
                out.extend(words.iter().map(|word| word.to_le_bytes()[byte]));
            }
        }
        (_, values) => {
            let width = values.width_of(chunk.physical);
            put_plain(out, values, range.start * width..range.end * width);
        }
    }
}

/// Appends values as they are; the range is of bytes where values are `Fixed`.
fn put_plain(out: &mut Vec<u8>, values: Values<'_>, range: Range<usize>) {
    match values {
        Values::Bools(bools) => {
            for eight in bools[range].chunks(8) {
                let bits = eight.iter().enumerate();
                out.push(bits.fold(0, |byte, (at, bit)| byte | u8::from(*bit) << at));
            }
        }
        Values::Words32(words) | Values::Codes(words) => {
            put_all(out, &words[range], |word| word.to_le_bytes());
        }
        Values::Words(words) => put_all(out, &words[range], |word| word.to_le_bytes()),
        Values::Fixed(bytes) => out.extend_from_slice(&bytes[range]),
        Values::Texts(texts) => {
            for text in &texts[range] {
                out.extend_from_slice(&count(text.len()).to_le_bytes());
                out.extend_from_slice(text);
            }
        }
    }
}

/// Appends words; a single copy where the machine stores them as Parquet does.
fn put_all<T: Copy, const N: usize>(out: &mut Vec<u8>, words: &[T], of: impl Fn(T) -> [u8; N]) {
    let begin = out.len();
    out.resize(begin + words.len() * N, 0);
    let (slots, _) = out[begin..].as_chunks_mut::<N>();
    slots.iter_mut().zip(words).for_each(|(slot, word)| *slot = of(*word));
}

impl Values<'_> {
    /// How many there are; of `Fixed` bytes.
    fn len(&self) -> usize {
        match self {
            Values::Bools(values) => values.len(),
            Values::Words32(values) | Values::Codes(values) => values.len(),
            Values::Words(values) => values.len(),
            Values::Fixed(values) => values.len(),
            Values::Texts(values) => values.len(),
        }
    }

    /// How many values there are.
    fn len_of(&self, physical: Physical) -> usize {
        self.len() / self.width_of(physical)
    }

    /// How many elements of the slice make a value.
    fn width_of(&self, physical: Physical) -> usize {
        match (self, physical) {
            (Values::Fixed(_), Physical::Fixed(width)) => usize::from(width).max(1),
            _ => 1,
        }
    }
}

/// The least and the greatest value of integers (of a dictionary: of what it holds).
fn min_max(chunk: &Chunk<'_>) -> Option<(i64, i64)> {
    if chunk.values.len() == 0 {
        return None;
    }
    match (chunk.physical, chunk.dictionary.unwrap_or(chunk.values)) {
        (Physical::Int64, Values::Words(words)) => {
            ends(words.iter().map(|word| word.cast_signed()))
        }
        (Physical::Int32, Values::Words32(words)) => {
            ends(words.iter().map(|word| i64::from(word.cast_signed())))
        }
        _ => None,
    }
}

fn ends(mut values: impl Iterator<Item = i64>) -> Option<(i64, i64)> {
    let first = values.next()?;
    Some(values.fold((first, first), |(min, max), value| (min.min(value), max.max(value))))
}
