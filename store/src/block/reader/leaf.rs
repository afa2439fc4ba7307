//! One column of some rows: its pages read, decoded, and cut to those rows.

use std::ops::Range;
use std::sync::Arc;

use model::column::{Interner, count};

use crate::block::page::{ChunkMeta, Decoded, Decoder, Owned, Physical, count_of};
use crate::block::schema::Leaf;
use crate::block::section::damaged;
use crate::disk::{Content, File};
use crate::error::Error;

use super::read_exact;

/// No read is longer, unless a single page is.
const READ_BYTES_MAX: u64 = 8 << 20;

/// What a column has for the rows.
#[derive(Clone, Debug)]
pub(in crate::block) struct Values {
    /// Repetition levels of the entries; empty where there are none.
    pub(in crate::block) rep: Vec<u8>,
    /// Definition levels; empty where every entry has a value.
    pub(in crate::block) def: Vec<u8>,
    values: Owned,
    dictionary: Option<Arc<Owned>>,
    max_def: u8,
    /// Bytes of a value of fixed length.
    width: usize,
}

/// Parts of the file that were read.
#[derive(Debug, Default)]
pub(in crate::block) struct Extents {
    /// Where each begins in the file, and where in `bytes`; ascending.
    begins: Vec<(u64, usize)>,
    bytes: Vec<u8>,
}

impl Extents {
    /// Reads these ranges of bytes.
    ///
    /// # Errors
    /// `Corrupt` when the file is shorter, `Io`.
    pub(in crate::block) fn read(
        file: &dyn File,
        content: Content,
        ranges: Vec<(u64, u64)>,
        name: &str,
    ) -> Result<Self, Error> {
        let ranges = joined(ranges, file.gap_bytes());
        if ranges.len() > 1 {
            let all: Vec<_> = ranges.iter().map(|(begin, end)| *begin..*end).collect();
            file.prefetch(content, &all);
        }
        let len = ranges.iter().map(|(begin, end)| end - begin).sum::<u64>();
        let len = usize::try_from(len).map_err(|_| damaged("pages are too long"))?;
        let mut extents = Self { begins: Vec::with_capacity(ranges.len()), bytes: vec![0; len] };
        let mut at = 0;
        let mut rest = extents.bytes.as_mut_slice();
        for (begin, end) in ranges {
            let len = usize::try_from(end - begin).unwrap_or(usize::MAX).min(rest.len());
            let (part, after) = rest.split_at_mut(len);
            read_exact(file, content, begin, part, name)?;
            extents.begins.push((begin, at));
            (rest, at) = (after, at + len);
        }
        Ok(extents)
    }

    pub(super) fn get(&self, offset: u64, len: u32) -> Result<&[u8], Error> {
        let missing = || damaged("a page lies where none can be");
        let at = self.begins.partition_point(|(begin, _)| *begin <= offset);
        let (begin, from) = self.begins.get(at.wrapping_sub(1)).ok_or_else(missing)?;
        let from = usize::try_from(offset - begin).ok().and_then(|at| at.checked_add(*from));
        let to = from.and_then(|from| from.checked_add(len as usize));
        let range = from.zip(to).ok_or_else(missing)?;
        self.bytes.get(range.0..range.1).ok_or_else(missing)
    }
}

/// The pages of a chunk that hold these rows.
pub(in crate::block) fn pages(chunk: &ChunkMeta, rows: &Range<u32>) -> Range<usize> {
    let first = chunk.pages.partition_point(|page| page.first_row + page.rows <= rows.start);
    let end = chunk.pages.partition_point(|page| page.first_row < rows.end);
    first..end.max(first)
}

/// Decodes a column for these rows. `known` is its dictionary, where that was unpacked before.
pub(in crate::block) fn decode(
    leaf: &Leaf,
    chunk: &ChunkMeta,
    rows: &Range<u32>,
    extents: &Extents,
    decoder: &mut Decoder,
    known: Option<Arc<Owned>>,
) -> Result<Values, Error> {
    let pages = chunk.pages.get(pages(chunk, rows)).unwrap_or_default();
    let mut found = Decoded::new(leaf.physical, chunk.encoding);
    let is_flat = leaf.max_rep == 0;
    let len = (rows.end - rows.start) as usize;
    if leaf.max_def > 0 {
        // Bounded when the tables were checked.
        let entries = pages.iter().map(|page| page.entries as usize);
        found.def.reserve(if is_flat { len } else { entries.sum() });
    }
    for page in pages {
        let bytes = extents.get(page.offset, page.len)?;
        let (first, end) = (page.first_row, page.first_row.saturating_add(page.rows));
        if is_flat && (first < rows.start || end > rows.end) {
            let part = rows.start.max(first) - first..rows.end.min(end).saturating_sub(first);
            let part = part.start as usize..part.end as usize;
            let what = (leaf.physical, chunk.encoding);
            decoder.part(what, leaf.max_def, page, bytes, part, &mut found)?;
        } else {
            let max = (leaf.max_rep, leaf.max_def);
            decoder.page(leaf.physical, chunk.encoding, max, page, bytes, &mut found)?;
        }
    }
    let mut values = Values {
        rep: found.rep,
        def: found.def,
        values: found.values,
        dictionary: None,
        max_def: leaf.max_def,
        width: match leaf.physical {
            Physical::Fixed(width) => usize::from(width),
            _ => 1,
        },
    };
    if !is_flat {
        let first = pages.first().map_or(0, |page| page.first_row);
        let skip = rows.start.checked_sub(first).ok_or_else(|| damaged("pages have gaps"))?;
        values.cut(skip as usize, len)?;
    } else if values.entries() != len {
        return Err(short());
    }
    // A few rows of a large row group have values in few of its columns: what they do not use is
    // not unpacked.
    if let (Owned::Codes(codes), Some(page)) = (&values.values, &chunk.dictionary)
        && !codes.is_empty()
    {
        values.dictionary = Some(match known {
            Some(known) => known,
            None => {
                let bytes = extents.get(page.offset, page.len)?;
                Arc::new(decoder.dictionary(leaf.physical, page, bytes)?)
            }
        });
    }
    values.check_codes()?;
    Ok(values)
}

impl Values {
    /// The dictionary, where one was used.
    pub(in crate::block) fn dictionary(&self) -> Option<&Arc<Owned>> {
        self.dictionary.as_ref()
    }

    /// The values.
    pub(in crate::block) fn owned(&self) -> &Owned {
        &self.values
    }

    /// The highest definition level.
    pub(in crate::block) const fn max_def(&self) -> u8 {
        self.max_def
    }

    /// Bytes of a value of fixed length.
    pub(in crate::block) const fn width(&self) -> usize {
        self.width
    }

    /// The same column with the numbers that its codes stand for, where those are small; nothing
    /// where it has no such codes.
    pub(in crate::block) fn resolved(&self) -> Option<Self> {
        let Owned::Codes(codes) = &self.values else { return None };
        let Some(Owned::Words32(all)) = self.dictionary.as_deref() else { return None };
        let is_small = all.iter().all(|word| *word <= u16::MAX.into());
        is_small.then(|| Self {
            rep: self.rep.clone(),
            def: self.def.clone(),
            values: Owned::Words32(pick(codes, all)),
            dictionary: None,
            ..*self
        })
    }

    /// The same column with other rows.
    pub(in crate::block) fn with(&self, rep: Vec<u8>, def: Vec<u8>, values: Owned) -> Self {
        let dictionary = self.dictionary.clone();
        Self { rep, def, values, dictionary, max_def: self.max_def, width: self.width }
    }

    /// How many entries there are, absent ones included.
    fn entries(&self) -> usize {
        if self.max_def == 0 { owned_len(&self.values, self.width) } else { self.def.len() }
    }

    /// Keeps `rows` rows, each a list, behind the first `skip`.
    fn cut(&mut self, skip: usize, rows: usize) -> Result<(), Error> {
        let mut begins = self.rep.iter().enumerate().filter(|(_, level)| **level == 0);
        let mut begin = |nth: usize| begins.nth(nth).map(|(at, _)| at);
        let entries = match rows {
            0 => 0..0,
            _ => {
                let from = begin(skip).ok_or_else(short)?;
                // The one behind the last row is where the next begins, or the end.
                let last = if rows == 1 { Some(from) } else { begin(rows - 2) };
                last.ok_or_else(short)?;
                from..begin(0).unwrap_or(self.rep.len())
            }
        };
        let present = |range: &[u8]| count_of(range, self.max_def);
        let before = present(self.def.get(..entries.start).ok_or_else(short)?);
        let within = present(self.def.get(entries.clone()).ok_or_else(short)?);
        let values = before..before + within;
        for levels in [&mut self.rep, &mut self.def] {
            levels.truncate(entries.end);
            levels.drain(..entries.start);
        }
        cut_values(&mut self.values, values, self.width).ok_or_else(short)
    }

    /// Whether every code is one of the dictionary's.
    fn check_codes(&self) -> Result<(), Error> {
        let Owned::Codes(codes) = &self.values else { return Ok(()) };
        let len = self.dictionary.as_ref().map_or(0, |all| owned_len(all, self.width));
        let max = codes.iter().copied().max();
        if max.is_some_and(|max| max as usize >= len) {
            return Err(damaged("a code is past the end of its dictionary"));
        }
        Ok(())
    }

    /// Integers of 64 bits, floats by bits, bools as 0 and 1.
    pub(in crate::block) fn words(self) -> Result<Vec<u64>, Error> {
        match (self.values, self.dictionary.as_deref()) {
            (Owned::Words(words), _) => Ok(words),
            (Owned::Bools(bools), _) => Ok(bools.into_iter().map(u64::from).collect()),
            (Owned::Codes(codes), Some(Owned::Words(all))) => Ok(pick(&codes, all)),
            (Owned::Codes(codes), None) if codes.is_empty() => Ok(Vec::new()),
            _ => Err(damaged("a column stores something else than its type")),
        }
    }

    /// Integers of 32 bits.
    pub(in crate::block) fn words32(self) -> Result<Vec<u32>, Error> {
        match (self.values, self.dictionary.as_deref()) {
            (Owned::Words32(words), _) => Ok(words),
            (Owned::Codes(codes), Some(Owned::Words32(all))) => Ok(pick(&codes, all)),
            (Owned::Codes(codes), None) if codes.is_empty() => Ok(Vec::new()),
            _ => Err(damaged("a column stores something else than its type")),
        }
    }

    /// Byte strings of one length.
    pub(in crate::block) fn fixed<const N: usize>(self) -> Result<Vec<[u8; N]>, Error> {
        let fault = || damaged("a column stores something else than its type");
        let chunks = |bytes: &[u8]| -> Result<Vec<[u8; N]>, Error> {
            let (whole, rest) = bytes.as_chunks::<N>();
            if rest.is_empty() { Ok(whole.to_vec()) } else { Err(fault()) }
        };
        match (self.values, self.dictionary.as_deref()) {
            (Owned::Fixed(bytes), _) => chunks(&bytes),
            (Owned::Codes(codes), Some(Owned::Fixed(all))) => {
                let (all, _) = all.as_chunks::<N>();
                codes
                    .iter()
                    .map(|code| all.get(*code as usize).copied().ok_or_else(fault))
                    .collect()
            }
            (Owned::Codes(codes), None) if codes.is_empty() => Ok(Vec::new()),
            _ => Err(fault()),
        }
    }

    /// Byte strings, as numbers of distinct ones (where there is no dictionary, each has its own).
    pub(in crate::block) fn texts(self) -> Result<(Vec<u32>, Interner), Error> {
        let fault = || damaged("a column stores something else than its type");
        let codes = match self.values {
            Owned::Texts { ends, bytes } => {
                let codes = (0..count(ends.len())).collect();
                return Ok((codes, Interner::from_values(ends, bytes).ok_or_else(fault)?));
            }
            Owned::Codes(codes) => codes,
            _ => return Err(fault()),
        };
        let Some(dictionary) = self.dictionary.filter(|_| !codes.is_empty()) else {
            return Ok((Vec::new(), Interner::default()));
        };
        if let Owned::Texts { ends, bytes } = &*dictionary
            && codes.len() < ends.len() / 4
        {
            return few_texts(&codes, ends, bytes).ok_or_else(fault);
        }
        // Taken where nobody else has it: a merge reads each dictionary once.
        match Arc::try_unwrap(dictionary).unwrap_or_else(|shared| Owned::clone(&shared)) {
            Owned::Texts { ends, bytes } => {
                Ok((codes, Interner::from_values(ends, bytes).ok_or_else(fault)?))
            }
            _ => Err(fault()),
        }
    }

    /// The entries that have a value, by place among all entries.
    pub(in crate::block) fn present(&self) -> Vec<u32> {
        let mut found = vec![0; owned_len(&self.values, self.width) + 1];
        let (mut at, mut len) = (0u32, 0usize);
        for levels in self.def.chunks(8) {
            // Most columns are absent in most rows.
            if levels == [0; 8] {
                at += 8;
                continue;
            }
            for level in levels {
                // Written whether it is one or not: no branch to guess.
                if let Some(slot) = found.get_mut(len) {
                    *slot = at;
                }
                len += usize::from(*level == self.max_def);
                at += 1;
            }
        }
        found.truncate(len);
        found
    }
}

/// Of a large dictionary only what a few codes need: each gets a number of its own.
fn few_texts(codes: &[u32], ends: &[u32], bytes: &[u8]) -> Option<(Vec<u32>, Interner)> {
    let (mut own_ends, mut own) = (Vec::with_capacity(codes.len()), Vec::new());
    for code in codes {
        let end = *ends.get(*code as usize)?;
        let start =
            code.checked_sub(1).map_or(Some(0), |before| ends.get(before as usize).copied())?;
        own.extend_from_slice(bytes.get(start as usize..end as usize)?);
        own_ends.push(u32::try_from(own.len()).ok()?);
    }
    Some(((0..count(codes.len())).collect(), Interner::from_values(own_ends, own)?))
}

fn short() -> Error {
    damaged("a column has fewer rows than its row group")
}

/// Codes were compared with the length of the dictionary.
fn pick<T: Copy + Default>(codes: &[u32], all: &[T]) -> Vec<T> {
    codes.iter().map(|code| all.get(*code as usize).copied().unwrap_or_default()).collect()
}

fn owned_len(values: &Owned, width: usize) -> usize {
    match values {
        Owned::Bools(values) => values.len(),
        Owned::Words32(values) | Owned::Codes(values) => values.len(),
        Owned::Words(values) => values.len(),
        Owned::Fixed(bytes) => bytes.len() / width.max(1),
        Owned::Texts { ends, .. } => ends.len(),
    }
}

/// Keeps a range of values; `None` where it is not there.
fn cut_values(values: &mut Owned, range: Range<usize>, width: usize) -> Option<()> {
    fn keep<T>(values: &mut Vec<T>, range: Range<usize>) -> Option<()> {
        (range.end <= values.len()).then(|| {
            values.truncate(range.end);
            values.drain(..range.start);
        })
    }
    match values {
        Owned::Bools(values) => keep(values, range),
        Owned::Words32(values) | Owned::Codes(values) => keep(values, range),
        Owned::Words(values) => keep(values, range),
        Owned::Fixed(bytes) => {
            keep(bytes, range.start.checked_mul(width)?..range.end.checked_mul(width)?)
        }
        Owned::Texts { ends, bytes } => {
            let begin = match range.start.checked_sub(1) {
                Some(before) => *ends.get(before)?,
                None => 0,
            };
            keep(ends, range)?;
            let end = ends.last().copied().unwrap_or(begin);
            bytes.truncate(end as usize);
            bytes.drain(..begin as usize);
            ends.iter_mut().for_each(|end| *end -= begin);
            Some(())
        }
    }
}

/// Ranges in order, those that are close read as one.
fn joined(mut ranges: Vec<(u64, u64)>, gap_bytes: u64) -> Vec<(u64, u64)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for (begin, end) in ranges {
        match joined.last_mut() {
            Some((first, last))
                if begin <= last.saturating_add(gap_bytes)
                    && end.max(*last) - *first <= READ_BYTES_MAX =>
            {
                *last = end.max(*last);
            }
            _ => joined.push((begin, end)),
        }
    }
    joined
}
