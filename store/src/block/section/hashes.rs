//! A set of hashes in few bits: sorted, and of each gap the Rice code (Golomb 1966, Rice 1979). Of so
//! many hashes that are told apart by nine bits more than it takes to number them, each takes ten and a
//! half; one in five hundred that is not there seems to be.

use xxhash_rust::xxh3::xxh3_64;

use super::damaged;
use crate::error::Error;

/// Bits of a hash.
pub(crate) const HASH_BITS: u32 = 32;
/// Bits by which a hash is told apart, more than it takes to number all.
const MORE_BITS: u32 = 9;
/// At least so many are kept, so that what is left behind the number of a partition tells enough.
pub(crate) const BITS_MIN: u32 = 20;

/// How many bits of each hash of a block are kept where there are so many.
pub(crate) fn bits_for(count: usize) -> u32 {
    needed(count).clamp(BITS_MIN, HASH_BITS)
}

/// How many bits tell so many apart.
pub(crate) fn needed(count: usize) -> u32 {
    log2(count) + MORE_BITS
}

/// The bits that it takes to number so many.
fn log2(count: usize) -> u32 {
    count.max(1).next_power_of_two().trailing_zeros()
}

/// The bits of a gap that are written as they are, of so many hashes of so many bits.
fn rice(count: usize, bits: u32) -> u32 {
    bits.saturating_sub(log2(count))
}

/// Appends hashes of so many bits, ascending and distinct.
pub(crate) fn encode(hashes: &[u32], bits: u32, out: &mut Vec<u8>) {
    let low = rice(hashes.len(), bits);
    let mut writer = Bits { out, held: 0, len: 0 };
    let mut next = 0u64;
    for hash in hashes {
        let gap = u64::from(*hash).saturating_sub(next);
        next = u64::from(*hash) + 1;
        let mut ones = gap >> low;
        while ones >= 32 {
            writer.put(u64::from(u32::MAX), 32);
            ones -= 32;
        }
        // As many ones, and a zero.
        writer.put((1 << ones) - 1, u32::try_from(ones).unwrap_or(0) + 1);
        writer.put(gap & ((1 << low) - 1), low);
    }
    writer.end();
}

/// Writes bits, the lowest first.
struct Bits<'o> {
    out: &'o mut Vec<u8>,
    held: u64,
    len: u32,
}

impl Bits<'_> {
    /// At most 33 at a time.
    fn put(&mut self, bits: u64, len: u32) {
        // Seven are left over at most.
        self.held |= bits << self.len;
        self.len += len;
        while self.len >= 8 {
            let [first, ..] = self.held.to_le_bytes();
            self.out.push(first);
            self.held >>= 8;
            self.len -= 8;
        }
    }

    fn end(&mut self) {
        if self.len > 0 {
            let [first, ..] = self.held.to_le_bytes();
            self.out.push(first);
        }
    }
}

/// The hashes of a set, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Hashes<'b> {
    bytes: &'b [u8],
    held: u64,
    len: u32,
    left: usize,
    low: u32,
    bits: u32,
    next: u64,
}

impl<'b> Hashes<'b> {
    /// So many of so many bits.
    pub(crate) fn new(bytes: &'b [u8], count: usize, bits: u32) -> Self {
        let low = rice(count, bits);
        Self { bytes, held: 0, len: 0, left: count, low, bits, next: 0 }
    }

    fn fill(&mut self) {
        while self.len <= 56
            && let Some((first, rest)) = self.bytes.split_first()
        {
            self.held |= u64::from(*first) << self.len;
            self.len += 8;
            self.bytes = rest;
        }
    }

    fn read(&mut self) -> Option<u32> {
        let mut ones = 0u64;
        loop {
            self.fill();
            let run = self.held.trailing_ones().min(self.len);
            ones += u64::from(run);
            if run < self.len {
                self.held >>= run + 1;
                self.len -= run + 1;
                break;
            }
            if self.len == 0 {
                return None;
            }
            (self.held, self.len) = (0, 0);
        }
        self.fill();
        if self.len < self.low {
            return None;
        }
        let gap = ones << self.low | self.held & ((1 << self.low) - 1);
        self.held >>= self.low;
        self.len -= self.low;
        let hash = self.next.checked_add(gap)?;
        self.next = hash + 1;
        u32::try_from(hash).ok().filter(|_| hash >> self.bits == 0)
    }
}

impl Iterator for Hashes<'_> {
    type Item = Result<u32, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let read = self.read();
        if read.is_none() {
            self.left = 0;
        }
        Some(read.ok_or_else(|| damaged("a set of hashes ends early or holds what cannot be")))
    }
}

/// What a text is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner<'k> {
    /// The name of a span.
    Name,
    /// An attribute of a span.
    Span(&'k [u8]),
    /// An attribute of a resource.
    Resource(&'k [u8]),
}

impl Owner<'_> {
    fn seed(self) -> u64 {
        let (number, key): (u64, &[u8]) = match self {
            Self::Name => (1, b""),
            Self::Span(key) => (2, key),
            Self::Resource(key) => (3, key),
        };
        mixed(xxh3_64(key) ^ number)
    }

    /// The hash of a text, by the one that filters of blocks go by.
    pub(crate) fn text(self, hash: u64) -> u32 {
        high(mixed(self.seed() ^ hash))
    }

    /// The hash which says that texts are there that are not told.
    pub(crate) fn untold(self) -> u32 {
        high(mixed(!self.seed()))
    }
}

/// The last step of `SplitMix64`, by which each bit depends on all (doi.org/10.1145/2660193.2660195).
pub(crate) const fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

pub(crate) const fn high(bits: u64) -> u32 {
    (bits >> 32) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sets_are_read_as_they_were_written(
            mut hashes in prop::collection::vec(any::<u32>(), 0..300),
            bits in 1u32..=32,
            few in any::<bool>(),
        ) {
            hashes.iter_mut().for_each(|hash| {
                *hash >>= 32 - bits;
                // Close to each other, and far from what they would be in a set of chance.
                *hash &= if few { 0x3f } else { u32::MAX };
            });
            hashes.sort_unstable();
            hashes.dedup();
            let mut bytes = Vec::new();
            encode(&hashes, bits, &mut bytes);
            let read: Result<Vec<u32>, _> = Hashes::new(&bytes, hashes.len(), bits).collect();
            prop_assert_eq!(read.unwrap(), hashes);
        }

        #[test]
        fn any_bytes_are_a_set_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..40),
            count in 0usize..200,
            bits in 0u32..=32,
        ) {
            let read: Vec<_> = Hashes::new(&bytes, count, bits).collect();
            prop_assert!(read.len() <= count);
            let hashes: Vec<u32> = read.into_iter().flatten().collect();
            prop_assert!(hashes.is_sorted());
        }
    }

    #[test]
    fn a_hash_takes_ten_and_a_half_bits() {
        let count = 100_000usize;
        let bits = bits_for(count);
        let mut hashes: Vec<u32> =
            (0..count as u64).map(|at| high(mixed(at)) >> (32 - bits)).collect();
        hashes.sort_unstable();
        hashes.dedup();
        let mut bytes = Vec::new();
        encode(&hashes, bits, &mut bytes);
        let each = bytes.len() * 8 * 10 / hashes.len();
        assert!((100..=112).contains(&each), "{each} tenths of a bit");
    }
}
