//! The RLE / bit-packing hybrid of Parquet, for levels and dictionary codes.
//!
//! Both ways go by groups of eight, which are whole bytes at any width.

use std::ops::Range;

use model::wire::{put_varint, take_varint};

use crate::block::section::damaged;
use crate::error::Error;

/// Numbers in a group; a group takes as many bytes as a number takes bits.
const GROUP: usize = 8;

/// How many bits a number up to `max` takes.
pub(super) const fn width(max: u32) -> u8 {
    // At most 32.
    (32 - max.leading_zeros()).to_le_bytes()[0]
}

/// The shortest run that is written as one. Of single bits it saves nothing below 24: with presence
/// that changes at every fifth row, runs from 8 on took 20 % more after zstd, and twice as long to
/// read.
const fn run_min(width: u8) -> usize {
    if width <= 1 { 24 } else { GROUP }
}

/// Appends numbers of `width` bits: runs of one number, and others packed.
///
/// Runs begin on groups only. One that begins amid a group loses at most seven numbers to it, and
/// the search is one comparison of a group at a time.
pub(super) fn put_hybrid<T: Number>(out: &mut Vec<u8>, values: &[T], width: u8) {
    let (mut packed_from, mut at) = (0, 0);
    while let Some(group) = values[at..].first_chunk::<GROUP>() {
        let value = group[0];
        if !all_are(group, value) {
            at += GROUP;
            continue;
        }
        let length = GROUP + run(&values[at + GROUP..], value);
        if length < run_min(width) {
            at += length / GROUP * GROUP;
            continue;
        }
        put_packed(out, &values[packed_from..at], width);
        put_varint(out, (length as u64) << 1);
        let bytes = value.into().to_le_bytes();
        out.extend_from_slice(&bytes[..usize::from(width.div_ceil(8))]);
        at += length;
        packed_from = at;
    }
    put_packed(out, &values[packed_from..], width);
}

/// Does not stop at the first that differs, so that the compiler compares many at once.
fn all_are<T: Number>(values: &[T], value: T) -> bool {
    values.iter().fold(true, |all, other| all & (*other == value))
}

/// How many of the first are `value`.
fn run<T: Number>(values: &[T], value: T) -> usize {
    const STEP: usize = 64;
    let steps = values.chunks_exact(STEP).take_while(|step| all_are(step, value)).count();
    let rest = values[steps * STEP..].iter().take_while(|other| **other == value).count();
    steps * STEP + rest
}

/// Appends groups of eight; the last one is filled with zeros.
fn put_packed<T: Number>(out: &mut Vec<u8>, values: &[T], width: u8) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(GROUP);
    put_varint(out, (groups as u64) << 1 | 1);
    let (begin, bits) = (out.len(), usize::from(width));
    // A whole word is written for each group: the next one overwrites what is too much.
    out.resize(begin + groups * bits + 16, 0);
    let mut at = begin;
    let (whole, last) = values.as_chunks::<GROUP>();
    for group in whole {
        put_group(&mut out[at..], group.map(Into::into), width);
        at += bits;
    }
    if !last.is_empty() {
        let mut group = [0; GROUP];
        group.iter_mut().zip(last).for_each(|(slot, value)| *slot = (*value).into());
        put_group(&mut out[at..], group, width);
    }
    out.truncate(begin + groups * bits);
}

/// Packs a group into the first `width` bytes of `out`, which has 16 bytes more.
fn put_group(out: &mut [u8], group: [u32; GROUP], width: u8) {
    let bits = u32::from(width);
    let all = |values: &[u32]| {
        let places = (0u32..).zip(values);
        places.fold(0, |word, (nth, value)| word | u64::from(*value) << (nth * bits))
    };
    let (first, second) = group.split_at(GROUP / 2);
    match width {
        0..=8 => out[..8].copy_from_slice(&all(&group).to_le_bytes()),
        9..=16 => {
            let word = u128::from(all(first)) | u128::from(all(second)) << (4 * bits);
            out[..16].copy_from_slice(&word.to_le_bytes());
        }
        _ => {
            let (mut word, mut filled, mut at) = (0u64, 0, 0);
            for value in group {
                word |= u64::from(value) << filled;
                filled += bits;
                if filled >= 32 {
                    out[at..at + 4].copy_from_slice(&word.to_le_bytes()[..4]);
                    (word, filled, at) = (word >> 32, filled - 32, at + 4);
                }
            }
            // At most 31 bits are left.
            out[at..at + 4].copy_from_slice(&word.to_le_bytes()[..4]);
        }
    }
}

/// A number of a page: a code, or a level.
pub(super) trait Number: Copy + PartialEq + Into<u32> {
    /// The low bits of a word.
    fn low(word: u64) -> Self;

    /// What unpacks numbers of `width` bits; `None` where they are too wide for any.
    fn unpack(width: u8) -> Option<Unpack<Self>>;
}

/// Appends so many numbers that are packed in these bytes, which hold as many at least.
pub(super) type Unpack<T> = fn(&[u8], usize, &mut Vec<T>);

impl Number for u8 {
    fn low(word: u64) -> Self {
        word.to_le_bytes()[0]
    }

    fn unpack(width: u8) -> Option<Unpack<Self>> {
        // The highest level is 3.
        match width {
            1 => Some(unpack::<1, Self>),
            2 => Some(unpack::<2, Self>),
            _ => None,
        }
    }
}

impl Number for u32 {
    #[expect(clippy::cast_possible_truncation, reason = "takes the low half")]
    fn low(word: u64) -> Self {
        word as Self
    }

    fn unpack(width: u8) -> Option<Unpack<Self>> {
        UNPACK.get(usize::from(width)).copied()
    }
}

/// What unpacks codes, by their width.
const UNPACK: [Unpack<u32>; 33] = [
    unpack::<0, u32>,
    unpack::<1, u32>,
    unpack::<2, u32>,
    unpack::<3, u32>,
    unpack::<4, u32>,
    unpack::<5, u32>,
    unpack::<6, u32>,
    unpack::<7, u32>,
    unpack::<8, u32>,
    unpack::<9, u32>,
    unpack::<10, u32>,
    unpack::<11, u32>,
    unpack::<12, u32>,
    unpack::<13, u32>,
    unpack::<14, u32>,
    unpack::<15, u32>,
    unpack::<16, u32>,
    unpack::<17, u32>,
    unpack::<18, u32>,
    unpack::<19, u32>,
    unpack::<20, u32>,
    unpack::<21, u32>,
    unpack::<22, u32>,
    unpack::<23, u32>,
    unpack::<24, u32>,
    unpack::<25, u32>,
    unpack::<26, u32>,
    unpack::<27, u32>,
    unpack::<28, u32>,
    unpack::<29, u32>,
    unpack::<30, u32>,
    unpack::<31, u32>,
    unpack::<32, u32>,
];

/// Reads `count` numbers of `width` bits and appends them; tells how many bytes they took.
pub(super) fn hybrid<T: Number>(
    bytes: &[u8],
    width: u8,
    count: usize,
    out: &mut Vec<T>,
) -> Result<usize, Error> {
    let unpack = T::unpack(width).ok_or_else(|| damaged("levels or codes are too wide"))?;
    let mut runs = Runs::new(bytes, width);
    let mut left = count;
    while left > 0 {
        let (run, len) = runs.next()?;
        let taken = len.min(left);
        match run {
            Run::Of(word) => out.resize(out.len().saturating_add(taken), T::low(word)),
            Run::Packed(packed) => unpack(packed, taken, out),
        }
        left -= taken;
    }
    Ok(bytes.len() - runs.rest.len())
}

/// Reads the numbers in `range` of all and appends them; what is before them is passed over.
pub(super) fn hybrid_part<T: Number>(
    bytes: &[u8],
    width: u8,
    range: Range<usize>,
    out: &mut Vec<T>,
) -> Result<(), Error> {
    let unpack = T::unpack(width).ok_or_else(|| damaged("levels or codes are too wide"))?;
    let mut runs = Runs::new(bytes, width);
    let (mut at, mut group) = (0usize, Vec::new());
    while at < range.end {
        let (run, len) = runs.next()?;
        let end = at.saturating_add(len);
        let wanted = range.start.max(at)..range.end.min(end);
        if !wanted.is_empty() {
            match run {
                Run::Of(word) => out.resize(out.len() + wanted.len(), T::low(word)),
                Run::Packed(packed) => {
                    // From the begin of the group that the first one is in.
                    let skip = (wanted.start - at) / GROUP;
                    let first = at + skip * GROUP;
                    let packed = packed.get(skip * usize::from(width)..).unwrap_or_default();
                    group.clear();
                    unpack(packed, wanted.end - first, &mut group);
                    out.extend_from_slice(group.get(wanted.start - first..).unwrap_or_default());
                }
            }
        }
        at = end;
    }
    Ok(())
}

/// How many of the first `count` numbers of one bit are set.
pub(super) fn ones(bytes: &[u8], count: usize) -> Result<usize, Error> {
    let mut runs = Runs::new(bytes, 1);
    let (mut left, mut ones) = (count, 0usize);
    while left > 0 {
        let (run, len) = runs.next()?;
        let len = len.min(left);
        ones += match run {
            Run::Of(word) => {
                if word & 1 == 1 {
                    len
                } else {
                    0
                }
            }
            Run::Packed(packed) => {
                let (whole, last) = packed.split_at_checked(len / 8).unwrap_or((packed, &[]));
                let whole: u32 = whole.iter().map(|byte| byte.count_ones()).sum();
                let mask = (1u8 << (len % 8)) - 1;
                whole as usize + (last.first().unwrap_or(&0) & mask).count_ones() as usize
            }
        };
        left -= len;
    }
    Ok(ones)
}

/// One run of a hybrid.
enum Run<'b> {
    /// The same number.
    Of(u64),
    /// Groups of packed ones.
    Packed(&'b [u8]),
}

/// The runs of a hybrid, each with how many numbers it has.
struct Runs<'b> {
    rest: &'b [u8],
    width: u8,
}

impl<'b> Runs<'b> {
    const fn new(bytes: &'b [u8], width: u8) -> Self {
        Self { rest: bytes, width }
    }

    /// The next run; there is one.
    fn next(&mut self) -> Result<(Run<'b>, usize), Error> {
        let fault = || damaged("a run of levels or codes ends early");
        let header = take_varint(&mut self.rest).ok_or_else(fault)?;
        let length = usize::try_from(header >> 1).ok().filter(|length| *length > 0);
        let length = length.ok_or_else(fault)?;
        let is_packed = header & 1 == 1;
        let len = match is_packed {
            true => length.checked_mul(usize::from(self.width)),
            false => Some(usize::from(self.width.div_ceil(8))),
        };
        let split = len.and_then(|len| self.rest.split_at_checked(len));
        let (run, rest) = split.ok_or_else(fault)?;
        self.rest = rest;
        if is_packed {
            return Ok((Run::Packed(run), length.saturating_mul(GROUP)));
        }
        let mut word = [0; 8];
        word.iter_mut().zip(run).for_each(|(to, from)| *to = *from);
        Ok((Run::Of(u64::from_le_bytes(word)), length))
    }
}

/// A group of the widest numbers, and the bytes that the last of them is cut out of.
const WINDOW: usize = 32 + 8;

/// The width is known where this is compiled: offsets and shifts are constants.
fn unpack<const WIDTH: usize, T: Number>(packed: &[u8], count: usize, out: &mut Vec<T>) {
    let begin = out.len();
    out.resize(begin.saturating_add(count), T::low(0));
    let (groups, last) = out.get_mut(begin..).unwrap_or_default().as_chunks_mut::<GROUP>();
    let mut rest = packed;
    for group in groups {
        *group = match rest.first_chunk() {
            Some(window) => unpack_group::<WIDTH, T>(window),
            None => unpack_last::<WIDTH, T>(rest),
        };
        rest = rest.get(WIDTH..).unwrap_or_default();
    }
    let group = unpack_last::<WIDTH, T>(rest);
    last.iter_mut().zip(group).for_each(|(slot, number)| *slot = number);
}

/// Unpacks a group behind which there may be no more bytes.
fn unpack_last<const WIDTH: usize, T: Number>(rest: &[u8]) -> [T; GROUP] {
    let mut window = [0; WINDOW];
    window.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    unpack_group::<WIDTH, T>(&window)
}

#[inline]
fn unpack_group<const WIDTH: usize, T: Number>(window: &[u8; WINDOW]) -> [T; GROUP] {
    let mask = (1u64 << WIDTH) - 1;
    std::array::from_fn(|nth| {
        // A number of 32 bits begins at most seven bits into a byte: eight bytes hold it.
        let word = window.get(nth * WIDTH / 8..).and_then(<[u8]>::first_chunk);
        T::low(word.map_or(0, |word| u64::from_le_bytes(*word)) >> (nth * WIDTH % 8) & mask)
    })
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
            let mut read = Vec::<u32>::new();
            let taken = hybrid(&out, bits, values.len(), &mut read).unwrap();
            prop_assert_eq!(taken, out.len());
            prop_assert_eq!(read, values);
        }

        #[test]
        fn a_part_is_what_it_is_of_all(
            runs in prop::collection::vec((any::<u32>(), 1usize..40), 1..20),
            bits in 1u8..=32,
            ends: (prop::sample::Index, prop::sample::Index),
        ) {
            let mask = u32::MAX >> (32 - bits);
            let values: Vec<u32> = runs
                .into_iter()
                .flat_map(|(value, length)| std::iter::repeat_n(value & mask, length))
                .collect();
            let (a, b) = (ends.0.index(values.len() + 1), ends.1.index(values.len() + 1));
            let range = a.min(b)..a.max(b);
            let mut out = Vec::new();
            put_hybrid(&mut out, &values, bits);
            let mut read = Vec::<u32>::new();
            hybrid_part(&out, bits, range.clone(), &mut read).unwrap();
            prop_assert_eq!(&read, &values[range.clone()]);
            let levels: Vec<u8> = values.iter().map(|value| value.to_le_bytes()[0] & 1).collect();
            out.clear();
            put_hybrid(&mut out, &levels, 1);
            let set: usize = levels[..range.end].iter().map(|level| usize::from(*level)).sum();
            prop_assert_eq!(ones(&out, range.end).unwrap(), set);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, bits in 0u8..=32, count in 0usize..500) {
            let mut part = Vec::<u32>::new();
            if hybrid_part(&bytes, bits, count / 2..count, &mut part).is_ok() {
                prop_assert_eq!(part.len(), count - count / 2);
            }
            drop(ones(&bytes, count));
            let mut read = Vec::<u32>::new();
            if hybrid(&bytes, bits, count, &mut read).is_ok() {
                prop_assert_eq!(read.len(), count);
            }
        }
    }
}
