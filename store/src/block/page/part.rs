//! Some rows of a page: a trace is 25 rows of thousands, and the others are stepped over.
//!
//! For columns that are in no list, where rows are entries. What is in front of the rows is
//! counted, not unpacked, as far as its encoding allows.

use std::ops::Range;

use super::bits::{hybrid_part, ones};
use super::decode::{Decoded, Decoder, Owned};
use super::{Encoding, PageMeta, Physical, count_of, delta};
use crate::block::section::damaged;
use crate::error::Error;

impl Decoder {
    /// Reads rows of a data page (counted from its first one) of a column in no list, and appends
    /// them.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not what was written; `into` may hold a part then.
    pub fn part(
        &mut self,
        (physical, encoding): (Physical, Encoding),
        max_def: u8,
        page: &PageMeta,
        bytes: &[u8],
        rows: Range<usize>,
        into: &mut Decoded,
    ) -> Result<(), Error> {
        let raw = self.open(page, bytes)?;
        if page.rows != page.entries || rows.end > page.entries as usize || rows.start > rows.end {
            return Err(damaged("a page has another number of rows than it should"));
        }
        let (values, all) = match max_def {
            0 => (rows, raw),
            // Whether there is a value is one bit.
            1 => {
                let (runs, after) = split_levels(raw)?;
                let before = ones(runs, rows.start)?;
                let begin = into.def.len();
                hybrid_part(runs, 1, rows, &mut into.def)?;
                let within = count_of(into.def.get(begin..).unwrap_or_default(), 1);
                (before..before + within, after)
            }
            _ => return Err(damaged("a column in no list has more levels than it can")),
        };
        if values.end > page.values as usize {
            return Err(damaged("a page has another number of values than it should"));
        }
        if values.is_empty() {
            return Ok(());
        }
        values_part(all, (physical, encoding), page.values as usize, values, &mut into.values)
    }
}

/// The runs of the levels, and what is behind them.
fn split_levels(raw: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let split = raw.split_first_chunk::<4>();
    let split =
        split.and_then(|(len, rest)| rest.split_at_checked(u32::from_le_bytes(*len) as usize));
    split.ok_or_else(|| damaged("levels end early or are higher than they can be"))
}

/// Appends some of `count` values.
fn values_part(
    bytes: &[u8],
    (physical, encoding): (Physical, Encoding),
    count: usize,
    range: Range<usize>,
    out: &mut Owned,
) -> Result<(), Error> {
    let fault = || damaged("values end early or are of another kind");
    let fixed = |width: usize| {
        let range = range.start.checked_mul(width)?..range.end.checked_mul(width)?;
        (bytes.len() == count.checked_mul(width)?).then(|| bytes.get(range)).flatten()
    };
    match (encoding, out) {
        (Encoding::Dictionary, Owned::Codes(codes)) => {
            let (bits, runs) = bytes.split_first().ok_or_else(fault)?;
            hybrid_part(runs, *bits, range, codes)?;
        }
        (Encoding::Delta, Owned::Words(words)) => {
            delta::read_part(bytes, count, range, |some| words.extend_from_slice(some))?;
        }
        (Encoding::Delta, Owned::Words32(words)) => {
            let low =
                |word: &u64| word.to_le_bytes().first_chunk().map(|low| u32::from_le_bytes(*low));
            let each = |some: &[u64]| words.extend(some.iter().filter_map(low));
            delta::read_part(bytes, count, range, each)?;
        }
        (Encoding::Split, Owned::Words(words)) => {
            if bytes.len() != count.checked_mul(8).ok_or_else(fault)? {
                return Err(fault());
            }
            for at in range {
                let planes = bytes.chunks_exact(count).zip((0..64).step_by(8));
                let byte = |plane: &[u8]| u64::from(plane.get(at).copied().unwrap_or(0));
                words.push(planes.fold(0, |word, (plane, shift)| word | byte(plane) << shift));
            }
        }
        (Encoding::DeltaLength, Owned::Texts { ends, bytes: all }) => {
            let (mut end, mut at) = (0u64, 0);
            let (mut begin, mut lengths) = (0u64, Vec::new());
            let taken = delta::read(bytes, count, |some| {
                for len in some {
                    if at == range.start {
                        begin = end;
                    }
                    end = end.saturating_add(*len);
                    if range.contains(&at) {
                        lengths.push(end);
                    }
                    at += 1;
                }
            })?;
            let texts = bytes.get(taken..).unwrap_or_default();
            if end != texts.len() as u64 {
                return Err(fault());
            }
            for end in lengths {
                let text = usize::try_from(begin).ok().zip(usize::try_from(end).ok());
                let text = text.and_then(|(begin, end)| texts.get(begin..end));
                push_text(ends, all, text.ok_or_else(fault)?)?;
                begin = end;
            }
        }
        (Encoding::Plain, Owned::Bools(bools)) if physical == Physical::Boolean => {
            if bytes.len() != count.div_ceil(8) {
                return Err(fault());
            }
            let bit = |at: usize| bytes.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1);
            bools.extend(range.map(bit));
        }
        (Encoding::Plain, Owned::Words32(words)) => {
            let (whole, _) = fixed(4).ok_or_else(fault)?.as_chunks::<4>();
            words.extend(whole.iter().map(|word| u32::from_le_bytes(*word)));
        }
        (Encoding::Plain, Owned::Words(words)) => {
            let (whole, _) = fixed(8).ok_or_else(fault)?.as_chunks::<8>();
            words.extend(whole.iter().map(|word| u64::from_le_bytes(*word)));
        }
        (Encoding::Plain, Owned::Fixed(all)) => {
            let Physical::Fixed(width) = physical else { return Err(fault()) };
            all.extend_from_slice(fixed(usize::from(width)).ok_or_else(fault)?);
        }
        (Encoding::Plain, Owned::Texts { ends, bytes: all }) => {
            let mut rest = bytes;
            for at in 0..range.end {
                let (len, after) = rest.split_first_chunk::<4>().ok_or_else(fault)?;
                let len = u32::from_le_bytes(*len) as usize;
                let (text, after) = after.split_at_checked(len).ok_or_else(fault)?;
                rest = after;
                if at >= range.start {
                    push_text(ends, all, text)?;
                }
            }
        }
        _ => return Err(fault()),
    }
    Ok(())
}

fn push_text(ends: &mut Vec<u32>, all: &mut Vec<u8>, text: &[u8]) -> Result<(), Error> {
    all.extend_from_slice(text);
    let end = u32::try_from(all.len());
    ends.push(end.map_err(|_| damaged("texts of more than 4 GiB"))?);
    Ok(())
}
