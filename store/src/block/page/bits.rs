//! The RLE / bit-packing hybrid of Parquet, for levels and dictionary codes.

use model::wire::put_varint;

use crate::block::section::damaged;
use crate::error::Error;

/// How many bits a number up to `max` takes.
pub(super) const fn width(max: u32) -> u8 {
    // At most 32.
    (32 - max.leading_zeros()).to_le_bytes()[0]
}

/// Appends numbers of `width` bits: runs of eight and more as a run, others packed in groups of
/// eight.
pub(super) fn put_hybrid<T: Copy + Into<u32> + PartialEq>(
    out: &mut Vec<u8>,
    values: &[T],
    width: u8,
) {
    let mut packed_from = 0;
    let mut at = 0;
    while at < values.len() {
        let value = values[at];
        let run = values[at..].iter().take_while(|other| **other == value).count();
        // A run can only begin where a group of eight ends.
        let to_border = (8 - (at - packed_from) % 8) % 8;
        if run >= to_border + 8 {
            let begin = at + to_border;
            put_packed(out, &values[packed_from..begin], width);
            let length = run - to_border;
            put_varint(out, (length as u64) << 1);
            let bytes = value.into().to_le_bytes();
            out.extend_from_slice(&bytes[..usize::from(width.div_ceil(8))]);
            at = begin + length;
            packed_from = at;
        } else {
            at += run;
        }
    }
    put_packed(out, &values[packed_from..], width);
}

/// Appends groups of eight; the last one is filled with zeros.
fn put_packed<T: Copy + Into<u32>>(out: &mut Vec<u8>, values: &[T], width: u8) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(8);
    put_varint(out, (groups as u64) << 1 | 1);
    let end = out.len() + groups * usize::from(width);
    let (mut word, mut bits) = (0u64, 0u32);
    for value in values {
        let value: u32 = (*value).into();
        word |= u64::from(value) << bits;
        bits += u32::from(width);
        if bits >= 32 {
            out.extend_from_slice(&word.to_le_bytes()[..4]);
            word >>= 32;
            bits -= 32;
        }
    }
    out.extend_from_slice(&word.to_le_bytes());
    out.resize(end, 0);
}

/// Reads `count` numbers of `width` bits and appends each as `of` makes it; tells how many bytes
/// it took.
pub(super) fn hybrid<T: Copy>(
    bytes: &[u8],
    width: u8,
    count: usize,
    of: impl Fn(u32) -> T,
    out: &mut Vec<T>,
) -> Result<usize, Error> {
    let fault = || damaged("a run of levels or codes ends early");
    let mut rest = bytes;
    let mut left = count;
    while left > 0 {
        let header = varint(&mut rest).ok_or_else(fault)?;
        let length = usize::try_from(header >> 1).map_err(|_| fault())?;
        if header & 1 == 0 {
            let bytes = usize::from(width.div_ceil(8));
            let (value, after) = rest.split_at_checked(bytes).ok_or_else(fault)?;
            rest = after;
            let mut word = [0; 4];
            word.iter_mut().zip(value).for_each(|(to, from)| *to = *from);
            let run = length.min(left);
            if run == 0 {
                return Err(fault());
            }
            out.extend(std::iter::repeat_n(of(u32::from_le_bytes(word)), run));
            left -= run;
        } else {
            let len = length.checked_mul(usize::from(width)).ok_or_else(fault)?;
            let (packed, after) = rest.split_at_checked(len).ok_or_else(fault)?;
            rest = after;
            let values = length.saturating_mul(8).min(left);
            if values == 0 {
                return Err(fault());
            }
            unpack(packed, width, values, &of, out);
            left -= values;
        }
    }
    Ok(bytes.len() - rest.len())
}

/// Reads packed numbers; `packed` holds at least `count` of them.
fn unpack<T>(packed: &[u8], width: u8, count: usize, of: &impl Fn(u32) -> T, out: &mut Vec<T>) {
    let mask = (1u64 << width) - 1;
    let (mut word, mut bits) = (0u64, 0u32);
    let mut bytes = packed.iter();
    out.reserve(count);
    for _ in 0..count {
        while bits < u32::from(width) {
            let four = bytes.as_slice().first_chunk::<4>();
            // At most 31 bits are left, so four bytes fit.
            if let Some(four) = four {
                word |= u64::from(u32::from_le_bytes(*four)) << bits;
                bits += 32;
                bytes = bytes.as_slice().get(4..).unwrap_or_default().iter();
            } else {
                word |= u64::from(*bytes.next().unwrap_or(&0)) << bits;
                bits += 8;
            }
        }
        out.push(of(low(word & mask)));
        word >>= width;
        bits -= u32::from(width);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "masked to 32 bits")]
const fn low(word: u64) -> u32 {
    word as u32
}

/// Reads a varint.
pub(super) fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(
            runs in prop::collection::vec((any::<u32>(), 1usize..40), 0..20),
            bits in 1u8..=32,
        ) {
            let mask = u32::MAX >> (32 - bits);
            let values: Vec<u32> = runs
                .into_iter()
                .flat_map(|(value, length)| std::iter::repeat_n(value & mask, length))
                .collect();
            let mut out = Vec::new();
            put_hybrid(&mut out, &values, bits);
            let mut read = Vec::new();
            let taken = hybrid(&out, bits, values.len(), |value| value, &mut read).unwrap();
            prop_assert_eq!(taken, out.len());
            prop_assert_eq!(read, values);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, bits in 0u8..=32, count in 0usize..500) {
            let mut read = Vec::new();
            if hybrid(&bytes, bits, count, |value| value, &mut read).is_ok() {
                prop_assert_eq!(read.len(), count);
            }
        }
    }
}
