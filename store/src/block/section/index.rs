//! The trace-id index: which rows a trace has, found with one small read.
//!
//! Entries are sorted by the hash of the id and fixed in width; a fan-out table in front tells
//! where the entries of each range of hashes begin, so that a look-up reads one bucket. Whoever
//! reads rows compares their ids: a hash may be shared, and an L0 holds several tenants.

use std::ops::Range;

use model::TraceId;
use xxhash_rust::xxh3::xxh3_64;

use super::damaged;
use crate::error::Error;

/// Bytes of an entry: 32 bits of the hash, first row, rows (16 bits: a part of a trace has at most
/// 50,000); little-endian.
pub const ENTRY_BYTES: usize = 10;
/// Entries of a bucket, on average.
const BUCKET: usize = 32;

/// One trace (or one part of a huge one) in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The low half of the hash of its id; the fan-out goes by the high half.
    pub hash: u32,
    /// Its first row in the block.
    pub first_row: u32,
    /// Its rows.
    pub rows: u16,
}

/// The hash of a trace id: over all of it, as 64-bit ids leave the high half zero.
#[must_use]
pub fn hash(id: TraceId) -> u64 {
    xxh3_64(id.as_bytes())
}

/// The half of a hash that entries keep.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "takes the low half")]
pub const fn short(hash: u64) -> u32 {
    hash as u32
}

/// The bytes of the index of these traces, each with the hash of its id. Sorts them.
#[must_use]
pub fn encode(entries: &mut [(u64, Entry)]) -> Vec<u8> {
    entries.sort_unstable();
    let bits = bits_for(entries.len());
    let buckets = 1usize << bits;
    let mut out = Vec::with_capacity(8 + 4 * (buckets + 1) + entries.len() * ENTRY_BYTES);
    out.extend_from_slice(&bits.to_le_bytes());
    out.extend_from_slice(&model::column::count(entries.len()).to_le_bytes());
    let mut at = 0usize;
    for bucket in 0..buckets {
        while entries.get(at).is_some_and(|(hash, _)| bucket_of(*hash, bits) < bucket) {
            at += 1;
        }
        out.extend_from_slice(&model::column::count(at).to_le_bytes());
    }
    out.extend_from_slice(&model::column::count(entries.len()).to_le_bytes());
    for (_, Entry { hash, first_row, rows }) in &*entries {
        out.extend_from_slice(&hash.to_le_bytes());
        out.extend_from_slice(&first_row.to_le_bytes());
        out.extend_from_slice(&rows.to_le_bytes());
    }
    out
}

/// How many bytes the index of so many traces takes.
#[must_use]
pub fn encoded_len(traces: u64) -> u64 {
    let entries = usize::try_from(traces).unwrap_or(usize::MAX).min(u32::MAX as usize);
    let fanout = 4 * ((1u64 << bits_for(entries)) + 1);
    8 + fanout + traces.saturating_mul(ENTRY_BYTES as u64)
}

/// The checksums of the buckets of an encoded index, crc32c, in their order: a look-up reads one bucket,
/// and the checksum of all of it would not tell whether that is what was written.
///
/// # Errors
/// `Corrupt` when it is no index.
pub fn sums(encoded: &[u8]) -> Result<Vec<u8>, Error> {
    let fanout = Fanout::decode(encoded)?;
    let mut out = Vec::with_capacity(4 * fanout.buckets());
    for bucket in 0..fanout.buckets() {
        let bytes = encoded.get(fanout.place(bucket)).unwrap_or_default();
        out.extend_from_slice(&crc32c::crc32c(bytes).to_le_bytes());
    }
    Ok(out)
}

fn bits_for(entries: usize) -> u32 {
    (entries / BUCKET).max(1).next_power_of_two().trailing_zeros()
}

fn bucket_of(hash: u64, bits: u32) -> usize {
    let bucket = if bits == 0 { 0 } else { hash >> (64 - bits) };
    usize::try_from(bucket).unwrap_or(usize::MAX)
}

/// The fan-out table of an index: what is kept of it in memory.
#[derive(Debug)]
pub struct Fanout {
    bits: u32,
    starts: Vec<u32>,
}

/// How many bytes at the head of an index make its fan-out, told by its first eight.
///
/// # Errors
/// `Corrupt` when they are no such head.
pub fn fanout_len(head: &[u8]) -> Result<usize, Error> {
    let bits = head.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes));
    let bits = bits.filter(|bits| *bits <= 28).ok_or_else(|| damaged("trace index: no head"))?;
    Ok(8 + 4 * ((1usize << bits) + 1))
}

impl Fanout {
    /// Reads the head of an index.
    ///
    /// # Errors
    /// `Corrupt` when it is none.
    pub fn decode(head: &[u8]) -> Result<Self, Error> {
        let fault = || damaged("trace index: fan-out ends early or does not ascend");
        let head = head.get(..fanout_len(head)?).ok_or_else(fault)?;
        let (words, _) = head.as_chunks::<4>();
        let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
        let (bits, count) = (words.next().ok_or_else(fault)?, words.next().ok_or_else(fault)?);
        let starts: Vec<u32> = words.collect();
        if !starts.is_sorted() || starts.last() != Some(&count) {
            return Err(fault());
        }
        Ok(Self { bits, starts })
    }

    /// The number of the bucket of a hash.
    #[must_use]
    pub fn bucket(&self, hash: u64) -> usize {
        bucket_of(hash, self.bits)
    }

    /// How many buckets there are.
    #[must_use]
    pub const fn buckets(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Where a bucket stands, in bytes from the begin of the index.
    #[must_use]
    pub fn place(&self, at: usize) -> Range<usize> {
        let start = |at: usize| self.starts.get(at).map_or(0, |start| *start as usize);
        let head = 8 + 4 * self.starts.len();
        head + start(at) * ENTRY_BYTES..head + start(at + 1) * ENTRY_BYTES
    }

    /// Heap bytes held.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.starts.capacity() * 4
    }
}

/// The entries of a bucket.
pub fn entries(bucket: &[u8]) -> impl Iterator<Item = Entry> {
    let (entries, _) = bucket.as_chunks::<ENTRY_BYTES>();
    entries.iter().map(|entry| {
        let [a, b, c, d, e, f, g, h, i, j] = *entry;
        Entry {
            hash: u32::from_le_bytes([a, b, c, d]),
            first_row: u32::from_le_bytes([e, f, g, h]),
            rows: u16::from_le_bytes([i, j]),
        }
    })
}
