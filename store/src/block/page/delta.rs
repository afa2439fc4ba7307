//! `DELTA_BINARY_PACKED`: integers as differences, in blocks of 128 with four bit widths each.

use std::ops::{ControlFlow, Range};

use model::wire::{put_varint, take_varint, unzigzag, zigzag};

use crate::block::section::damaged;
use crate::error::Error;

const BLOCK: usize = 128;
const MINIBLOCKS: usize = 4;
const MINIBLOCK: usize = BLOCK / MINIBLOCKS;
/// Bytes of a miniblock of the widest numbers.
const MINIBLOCK_BYTES_MAX: usize = MINIBLOCK * 8;

/// Appends words of 64 bits.
pub(super) fn put_words(out: &mut Vec<u8>, values: &[u64]) {
    put_begin(out, values.len(), values.first().map_or(0, |word| *word));
    let mut deltas = [0; BLOCK];
    let next = values.get(1..).unwrap_or_default();
    for (block, before) in next.chunks(BLOCK).zip(values.chunks(BLOCK)) {
        for ((slot, value), before) in deltas.iter_mut().zip(block).zip(before) {
            *slot = value.wrapping_sub(*before);
        }
        put_block(out, &mut deltas, block.len());
    }
}

/// Appends words of 32 bits. Their differences wrap at 32 bits, as readers of `INT32` expect: they
/// refuse differences that take more.
pub(super) fn put_words32(out: &mut Vec<u8>, values: &[u32]) {
    put_begin(out, values.len(), extend(values.first().map_or(0, |word| *word)));
    let mut deltas = [0; BLOCK];
    let next = values.get(1..).unwrap_or_default();
    for (block, before) in next.chunks(BLOCK).zip(values.chunks(BLOCK)) {
        for ((slot, value), before) in deltas.iter_mut().zip(block).zip(before) {
            *slot = extend(value.wrapping_sub(*before));
        }
        put_block(out, &mut deltas, block.len());
    }
}

/// Appends the lengths of texts.
pub(super) fn put_lengths(out: &mut Vec<u8>, texts: &[&[u8]]) {
    put_begin(out, texts.len(), texts.first().map_or(0, |text| text.len() as u64));
    let mut deltas = [0; BLOCK];
    let next = texts.get(1..).unwrap_or_default();
    for (block, before) in next.chunks(BLOCK).zip(texts.chunks(BLOCK)) {
        for ((slot, text), before) in deltas.iter_mut().zip(block).zip(before) {
            *slot = (text.len() as u64).wrapping_sub(before.len() as u64);
        }
        put_block(out, &mut deltas, block.len());
    }
}

const fn extend(word: u32) -> u64 {
    (word.cast_signed() as i64).cast_unsigned()
}

/// Appends what stands before the blocks.
fn put_begin(out: &mut Vec<u8>, count: usize, first: u64) {
    put_varint(out, BLOCK as u64);
    put_varint(out, MINIBLOCKS as u64);
    put_varint(out, count as u64);
    put_varint(out, zigzag(first.cast_signed()));
}

/// Appends a block of the first `len` differences. Of the last block only the miniblocks that hold
/// any are there; the last of them is filled with zeros.
fn put_block(out: &mut Vec<u8>, deltas: &mut [u64; BLOCK], len: usize) {
    let (used, unused) = deltas.split_at_mut(len);
    let least = used.iter().map(|delta| delta.cast_signed()).min().unwrap_or(0);
    put_varint(out, zigzag(least));
    used.iter_mut().for_each(|delta| *delta = delta.wrapping_sub(least.cast_unsigned()));
    unused.fill(0);
    let widths_at = out.len();
    out.extend_from_slice(&[0; MINIBLOCKS]);
    let (miniblocks, _) = deltas.as_chunks::<MINIBLOCK>();
    for (at, miniblock) in miniblocks.iter().enumerate().take(len.div_ceil(MINIBLOCK)) {
        let width = 64 - miniblock.iter().fold(0, |all, delta| all | delta).leading_zeros();
        out[widths_at + at] = width.to_le_bytes()[0];
        if width > 0 {
            put_packed(out, miniblock, width);
        }
    }
}

fn put_packed(out: &mut Vec<u8>, values: &[u64; MINIBLOCK], width: u32) {
    let mut packed = [0; MINIBLOCK_BYTES_MAX];
    let (words, _) = packed.as_chunks_mut::<8>();
    let (mut word, mut bits, mut at) = (0u64, 0u32, 0);
    for value in values {
        word |= value << bits;
        bits += width;
        if bits >= 64 {
            words[at] = word.to_le_bytes();
            at += 1;
            bits -= 64;
            // What did not fit; nothing where the number ended with the word.
            word = value.checked_shr(width - bits).unwrap_or(0);
        }
    }
    if let Some(last) = words.get_mut(at) {
        *last = word.to_le_bytes();
    }
    // 32 numbers of any width end on a byte.
    out.extend_from_slice(&packed[..MINIBLOCK * width as usize / 8]);
}

/// Reads `expected` values, a few at a time; tells how many bytes they took.
pub(super) fn read(
    bytes: &[u8],
    expected: usize,
    mut each: impl FnMut(&[u64]),
) -> Result<usize, Error> {
    walk(bytes, expected, |some| {
        each(some);
        ControlFlow::Continue(())
    })
}

#[inline]
fn walk(
    bytes: &[u8],
    expected: usize,
    mut each: impl FnMut(&[u64]) -> ControlFlow<()>,
) -> Result<usize, Error> {
    let fault = || damaged("delta-packed values end early or do not add up");
    let mut rest = bytes;
    let mut number = || take_varint(&mut rest);
    let (block, miniblocks) = (number().ok_or_else(fault)?, number().ok_or_else(fault)?);
    let (count, first) = (number().ok_or_else(fault)?, number().ok_or_else(fault)?);
    if block != BLOCK as u64 || miniblocks != MINIBLOCKS as u64 || count != expected as u64 {
        return Err(fault());
    }
    let mut last = unzigzag(first).cast_unsigned();
    let Some(mut left) = expected.checked_sub(1) else { return Ok(bytes.len() - rest.len()) };
    if each(&[last]).is_break() {
        return Ok(bytes.len() - rest.len());
    }
    let mut values = [0; MINIBLOCK];
    while left > 0 {
        let least = unzigzag(take_varint(&mut rest).ok_or_else(fault)?).cast_unsigned();
        let (widths, after) = rest.split_first_chunk::<MINIBLOCKS>().ok_or_else(fault)?;
        rest = after;
        for width in widths.iter().map(|width| usize::from(*width)) {
            if left == 0 {
                break;
            }
            let len = MINIBLOCK * width / 8;
            let (packed, after) = rest.split_at_checked(len).ok_or_else(fault)?;
            rest = after;
            unpack(packed, width, &mut values).ok_or_else(fault)?;
            for value in &mut values {
                // Only one of the two sums waits for the value before.
                last = last.wrapping_add(value.wrapping_add(least));
                *value = last;
            }
            let taken = values.get(..left).unwrap_or(&values);
            left -= taken.len();
            if each(taken).is_break() {
                return Ok(bytes.len() - rest.len());
            }
        }
    }
    Ok(bytes.len() - rest.len())
}

/// Reads some of `expected` values, a few at a time, and none of those behind them.
///
/// # Errors
/// As [`read`], but for what is behind them.
pub(super) fn read_part(
    bytes: &[u8],
    expected: usize,
    range: Range<usize>,
    mut each: impl FnMut(&[u64]),
) -> Result<(), Error> {
    let mut at = 0;
    walk(bytes, expected, |some| {
        let begin = range.start.saturating_sub(at).min(some.len());
        let end = range.end.saturating_sub(at).min(some.len());
        each(some.get(begin..end).unwrap_or_default());
        at += some.len();
        if at < range.end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(())
}

/// Unpacks a miniblock of numbers of `width` bits; `None` where that is more than 64.
fn unpack(packed: &[u8], width: usize, values: &mut [u64; MINIBLOCK]) -> Option<()> {
    // Numbers are cut out of the eight bytes (sixteen of wide ones) that they begin in.
    let mut padded = [0u8; MINIBLOCK_BYTES_MAX + 16];
    padded.get_mut(..packed.len())?.copy_from_slice(packed);
    match width {
        0..=56 => {
            let mask = (1u64 << width) - 1;
            for (nth, value) in values.iter_mut().enumerate() {
                let word = padded.get(nth * width / 8..)?.first_chunk()?;
                *value = u64::from_le_bytes(*word) >> (nth * width % 8) & mask;
            }
        }
        57..=64 => {
            let mask = u64::MAX >> (64 - width);
            for (nth, value) in values.iter_mut().enumerate() {
                let word = padded.get(nth * width / 8..)?.first_chunk()?;
                *value = low(u128::from_le_bytes(*word) >> (nth * width % 8)) & mask;
            }
        }
        _ => return None,
    }
    Some(())
}

#[expect(clippy::cast_possible_truncation, reason = "takes the low half")]
const fn low(word: u128) -> u64 {
    word as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(bytes: &[u8], count: usize) -> Vec<u64> {
        let mut found = Vec::new();
        let taken = read(bytes, count, |some| found.extend_from_slice(some)).unwrap();
        assert_eq!(taken, bytes.len());
        found
    }

    /// Numbers of any size, each list with numbers up to one of its own.
    fn words() -> impl Strategy<Value = Vec<u64>> {
        (0u32..64, prop::collection::vec(any::<u64>(), 0..400))
            .prop_map(|(shift, words)| words.into_iter().map(|word| word >> shift).collect())
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(words in words()) {
            let mut out = Vec::new();
            put_words(&mut out, &words);
            prop_assert_eq!(read_all(&out, words.len()), words);
        }

        #[test]
        fn what_is_written_of_32_bits_is_read(words in words()) {
            let words: Vec<u32> = words.iter().map(|word| u32::try_from(word >> 32).unwrap()).collect();
            let mut out = Vec::new();
            put_words32(&mut out, &words);
            let found = read_all(&out, words.len()).into_iter().map(|word| low(word.into()) << 32 >> 32);
            prop_assert_eq!(found.collect::<Vec<_>>(), words.iter().map(|word| u64::from(*word)).collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_read_or_refused(mut bytes: Vec<u8>, begin: bool, expected in 0usize..400) {
            if begin {
                let mut head = Vec::new();
                put_begin(&mut head, expected, 7);
                bytes.splice(0..0, head);
            }
            let mut count = 0;
            if read(&bytes, expected, |some| count += some.len()).is_ok() {
                prop_assert_eq!(count, expected);
            }
        }
    }

    #[test]
    fn differences_of_32_bits_take_no_more_than_32() {
        let words = [i32::MIN, i32::MAX, i32::MIN, -1, i32::MAX, 0].map(i32::cast_unsigned);
        let mut out = Vec::new();
        put_words32(&mut out, &words);
        let mut begin = Vec::new();
        put_begin(&mut begin, words.len(), extend(words[0]));
        let mut rest = &out[begin.len()..];
        take_varint(&mut rest).unwrap();
        assert!(rest[..MINIBLOCKS].iter().all(|width| *width <= 32), "{rest:?}");
    }
}
