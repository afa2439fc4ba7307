//! `DELTA_BINARY_PACKED`: integers as differences, in blocks of 128 with four bit widths each.

use model::wire::put_varint;

use super::bits::varint;
use crate::block::section::damaged;
use crate::error::Error;

const BLOCK: usize = 128;
const MINIBLOCKS: usize = 4;
const MINIBLOCK: usize = BLOCK / MINIBLOCKS;

/// Appends values (by bits; of `Int32` ones sign-extended, so that differences are what a reader
/// of 32 bits makes of them).
pub(super) fn put(out: &mut Vec<u8>, count: usize, mut values: impl Iterator<Item = u64>) {
    put_varint(out, BLOCK as u64);
    put_varint(out, MINIBLOCKS as u64);
    put_varint(out, count as u64);
    let mut last = values.next().unwrap_or(0);
    put_varint(out, zigzag(last));
    let mut block = [0u64; BLOCK];
    loop {
        let mut len = 0;
        for (slot, value) in block.iter_mut().zip(&mut values) {
            *slot = value.wrapping_sub(last);
            last = value;
            len += 1;
        }
        if len == 0 {
            return;
        }
        let deltas = &mut block[..len];
        let least = deltas.iter().map(|delta| delta.cast_signed()).min().unwrap_or(0);
        put_varint(out, zigzag(least.cast_unsigned()));
        deltas.iter_mut().for_each(|delta| *delta = delta.wrapping_sub(least.cast_unsigned()));
        block[len..].fill(0);
        let widths_at = out.len();
        out.extend_from_slice(&[0; MINIBLOCKS]);
        for (at, miniblock) in block.chunks(MINIBLOCK).enumerate().take(len.div_ceil(MINIBLOCK)) {
            let all = miniblock.iter().fold(0, |all, delta| all | delta);
            let width = 64 - all.leading_zeros();
            out[widths_at + at] = width.to_le_bytes()[0];
            put_packed(out, miniblock, width);
        }
        if len < BLOCK {
            return;
        }
    }
}

fn put_packed(out: &mut Vec<u8>, values: &[u64], width: u32) {
    let (mut word, mut bits) = (0u128, 0u32);
    for value in values {
        word |= u128::from(*value) << bits;
        bits += width;
        if bits >= 64 {
            out.extend_from_slice(&word.to_le_bytes()[..8]);
            word >>= 64;
            bits -= 64;
        }
    }
    // 32 values of any width end on a byte.
    out.extend_from_slice(&word.to_le_bytes()[..bits as usize / 8]);
}

/// Reads `expected` values; tells how many bytes they took.
pub(super) fn read(
    bytes: &[u8],
    expected: usize,
    mut each: impl FnMut(u64),
) -> Result<usize, Error> {
    let fault = || damaged("delta-packed values end early or do not add up");
    let mut rest = bytes;
    let mut number = || varint(&mut rest);
    let (block, miniblocks) = (number().ok_or_else(fault)?, number().ok_or_else(fault)?);
    let (count, first) = (number().ok_or_else(fault)?, number().ok_or_else(fault)?);
    if block != BLOCK as u64 || miniblocks != MINIBLOCKS as u64 || count != expected as u64 {
        return Err(fault());
    }
    let mut last = unzigzag(first);
    if expected == 0 {
        return Ok(bytes.len() - rest.len());
    }
    each(last);
    let mut left = expected - 1;
    while left > 0 {
        let least = unzigzag(varint(&mut rest).ok_or_else(fault)?);
        let (widths, after) = rest.split_first_chunk::<MINIBLOCKS>().ok_or_else(fault)?;
        rest = after;
        for width in widths {
            if left == 0 {
                break;
            }
            let width = u32::from(*width);
            if width > 64 {
                return Err(fault());
            }
            let len = MINIBLOCK * width as usize / 8;
            let (packed, after) = rest.split_at_checked(len).ok_or_else(fault)?;
            rest = after;
            let take = MINIBLOCK.min(left);
            unpack(packed, width, take, |delta| {
                last = last.wrapping_add(delta).wrapping_add(least);
                each(last);
            });
            left -= take;
        }
    }
    Ok(bytes.len() - rest.len())
}

/// Calls `each` with numbers of `width` bits; there are enough of them.
fn unpack(packed: &[u8], width: u32, count: usize, mut each: impl FnMut(u64)) {
    let mask = if width == 64 { u64::MAX } else { (1u64 << width) - 1 };
    let (mut word, mut bits) = (0u128, 0u32);
    let mut rest = packed;
    for _ in 0..count {
        while bits < width {
            if let Some((eight, after)) = rest.split_first_chunk::<8>() {
                word |= u128::from(u64::from_le_bytes(*eight)) << bits;
                (rest, bits) = (after, bits + 64);
            } else {
                let (byte, after) = rest.split_first().unwrap_or((&0, &[]));
                word |= u128::from(*byte) << bits;
                (rest, bits) = (after, bits + 8);
            }
        }
        each(low(word) & mask);
        word >>= width;
        bits -= width;
    }
}

#[expect(clippy::cast_possible_truncation, reason = "takes the low half")]
const fn low(word: u128) -> u64 {
    word as u64
}

const fn zigzag(value: u64) -> u64 {
    let signed = value.cast_signed();
    ((signed << 1) ^ (signed >> 63)).cast_unsigned()
}

const fn unzigzag(value: u64) -> u64 {
    (value >> 1) ^ (value & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(values: Vec<u64>, small in prop::collection::vec(0u64..900, 0..400)) {
            for values in [values, small] {
                let mut out = Vec::new();
                put(&mut out, values.len(), values.iter().copied());
                let mut found = Vec::new();
                let taken = read(&out, values.len(), |value| found.push(value)).unwrap();
                prop_assert_eq!(taken, out.len());
                prop_assert_eq!(found, values);
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, expected in 0usize..400) {
            let mut count = 0;
            if read(&bytes, expected, |_| count += 1).is_ok() {
                prop_assert_eq!(count, expected);
            }
        }
    }
}
