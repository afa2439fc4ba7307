//! A partition of a catalog: what its blocks have between two hashes.
//!
//! Its crc32c, then of each block in their order: how many hashes and one more (0 where it is not known
//! what the block has), and where there are some, their bits, the length of the set, the set.

use model::wire::{put_varint, take_varint};

use crate::block::section::damaged;
use crate::block::section::hashes::{self as set, Hashes};
use crate::error::Error;

/// Bytes of the checksum.
pub(super) const HEAD_BYTES: usize = 4;

/// What a block has in a partition.
#[derive(Clone, Debug)]
pub(super) struct Record<'b> {
    /// Its hashes; nothing where it is not known which.
    pub(super) set: Option<Set<'b>>,
    /// Its bytes as they stand there.
    pub(super) raw: &'b [u8],
}

/// The hashes of a block in a partition, without the bits that all of a partition share.
#[derive(Clone, Debug)]
pub(super) struct Set<'b> {
    /// How many bits each has.
    pub(super) bits: u32,
    pub(super) hashes: Hashes<'b>,
}

/// Begins a partition.
pub(super) fn begin(out: &mut Vec<u8>) {
    out.clear();
    out.extend_from_slice(&[0; HEAD_BYTES]);
}

/// Adds the hashes of a block to the partition of so many shared bits: ascending, distinct, of the
/// full width, of which so many bits are known.
pub(super) fn put(out: &mut Vec<u8>, hashes: &[u32], (shared, known): (u32, u32)) {
    let least = set::BITS_MIN.saturating_sub(shared);
    let bits = set::needed(hashes.len()).max(least).min(known.saturating_sub(shared)).max(1);
    let cut = |hash: &u32| {
        let rest = u64::from(*hash) << shared & u64::from(u32::MAX);
        u32::try_from(rest >> (set::HASH_BITS - bits)).unwrap_or(u32::MAX)
    };
    let mut kept: Vec<u32> = hashes.iter().map(cut).collect();
    kept.dedup();
    put_varint(out, kept.len() as u64 + 1);
    if kept.is_empty() {
        return;
    }
    let mut bytes = Vec::new();
    set::encode(&kept, bits, &mut bytes);
    put_varint(out, bits.into());
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(&bytes);
}

/// Adds a block of which is not known what it has.
pub(super) fn put_unknown(out: &mut Vec<u8>) {
    put_varint(out, 0);
}

/// Ends a partition: its bytes are whole then.
pub(super) fn end(out: &mut [u8]) {
    if let Some((head, body)) = out.split_first_chunk_mut::<HEAD_BYTES>() {
        *head = crc32c::crc32c(body).to_le_bytes();
    }
}

/// Calls `each` with what every block has, in their order.
///
/// # Errors
/// `Corrupt` when the bytes are no partition of so many blocks.
pub(super) fn read<'b>(
    bytes: &'b [u8],
    blocks: usize,
    mut each: impl FnMut(usize, Record<'b>) -> Result<(), Error>,
) -> Result<(), Error> {
    let fault = || damaged("a partition of a catalog ends early or holds what cannot be");
    let (crc, mut rest) = bytes.split_first_chunk::<HEAD_BYTES>().ok_or_else(fault)?;
    if crc32c::crc32c(rest) != u32::from_le_bytes(*crc) {
        return Err(damaged("checksum mismatch in a partition of a catalog"));
    }
    for block in 0..blocks {
        let before = rest;
        let count = take_varint(&mut rest).ok_or_else(fault)?;
        let mut set = None;
        if count > 1 {
            let bits = take_varint(&mut rest).and_then(|bits| u32::try_from(bits).ok());
            let bits = bits.filter(|bits| (1..=set::HASH_BITS).contains(bits)).ok_or_else(fault)?;
            let len = take_varint(&mut rest).and_then(|len| usize::try_from(len).ok());
            let (bytes, after) =
                len.and_then(|len| rest.split_at_checked(len)).ok_or_else(fault)?;
            rest = after;
            // Each takes a bit at least.
            let count = usize::try_from(count - 1).ok().filter(|count| *count <= bytes.len() * 8);
            let hashes = Hashes::new(bytes, count.ok_or_else(fault)?, bits);
            set = Some(Set { bits, hashes });
        } else if count == 1 {
            set = Some(Set { bits: 1, hashes: Hashes::new(&[], 0, 1) });
        }
        let raw = before.get(..before.len() - rest.len()).unwrap_or_default();
        each(block, Record { set, raw })?;
    }
    if rest.is_empty() { Ok(()) } else { Err(fault()) }
}

impl Set<'_> {
    /// Whether it has a hash of a partition of so many shared bits.
    pub(super) fn has(self, hash: u32, shared: u32) -> Result<bool, Error> {
        let rest = u64::from(hash) << shared & u64::from(u32::MAX);
        let sought = rest >> (set::HASH_BITS - self.bits);
        for found in self.hashes {
            let found = u64::from(found?);
            if found >= sought {
                return Ok(found == sought);
            }
        }
        Ok(false)
    }

    /// The hashes in the full width, of a partition of this number of so many shared bits.
    pub(super) fn full(self, number: u32, shared: u32) -> impl Iterator<Item = Result<u32, Error>> {
        let bits = self.bits;
        let place = u64::from(number) << (set::HASH_BITS - shared);
        self.hashes.map(move |hash| {
            let rest = (u64::from(hash?) << (set::HASH_BITS - bits)) >> shared;
            u32::try_from(place | rest).map_err(|_| damaged("a hash of a catalog is too large"))
        })
    }
}
