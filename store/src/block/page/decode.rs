//! Pages back into levels and values.

use std::fmt;

use zstd::bulk::Decompressor;
use zstd::zstd_safe::get_frame_content_size;

use super::bits::{hybrid, width};
use super::{ENTRIES_MAX, Encoding, PageMeta, Physical, RAW_BYTES_MAX, count_of, delta};
use crate::block::section::damaged;
use crate::error::Error;

/// Values that were read.
#[derive(Clone, Debug, PartialEq)]
pub enum Owned {
    /// Of `Boolean`.
    Bools(Vec<bool>),
    /// Of `Int32`.
    Words32(Vec<u32>),
    /// Of `Int64` and `Double`.
    Words(Vec<u64>),
    /// Of `Fixed`, one behind the other.
    Fixed(Vec<u8>),
    /// Of `Bytes`.
    Texts {
        /// Where each ends in `bytes`.
        ends: Vec<u32>,
        /// All of them.
        bytes: Vec<u8>,
    },
    /// Codes of the chunk's dictionary. Nobody has compared them with its length yet.
    Codes(Vec<u32>),
}

impl Owned {
    /// Heap bytes held.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Bools(values) => values.capacity(),
            Self::Words32(values) | Self::Codes(values) => values.capacity() * 4,
            Self::Words(values) => values.capacity() * 8,
            Self::Fixed(bytes) => bytes.capacity(),
            Self::Texts { ends, bytes } => ends.capacity() * 4 + bytes.capacity(),
        }
    }
}

/// What was read of a chunk: pages one behind the other.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// Repetition levels; empty where the highest is 0.
    pub rep: Vec<u8>,
    /// Definition levels; empty where the highest is 0.
    pub def: Vec<u8>,
    /// The values that are there.
    pub values: Owned,
}

impl Decoded {
    /// Nothing yet.
    #[must_use]
    pub fn new(physical: Physical, encoding: Encoding) -> Self {
        let values = match (encoding, physical) {
            (Encoding::Dictionary, _) => Owned::Codes(Vec::new()),
            (_, physical) => empty(physical),
        };
        Self { rep: Vec::new(), def: Vec::new(), values }
    }
}

fn empty(physical: Physical) -> Owned {
    match physical {
        Physical::Boolean => Owned::Bools(Vec::new()),
        Physical::Int32 => Owned::Words32(Vec::new()),
        Physical::Int64 | Physical::Double => Owned::Words(Vec::new()),
        Physical::Fixed(_) => Owned::Fixed(Vec::new()),
        Physical::Bytes => Owned::Texts { ends: Vec::new(), bytes: Vec::new() },
    }
}

/// Bytes that an idle decoder keeps at most.
const KEPT_BYTES: usize = 1 << 20;

/// Reads pages; the buffer and the decompressor are used again.
pub struct Decoder {
    decompressor: Decompressor<'static>,
    raw: Vec<u8>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoder")
    }
}

impl Decoder {
    /// A decoder.
    ///
    /// # Errors
    /// `Io` where the library cannot be set up.
    pub fn new() -> Result<Self, Error> {
        let decompressor =
            Decompressor::new().map_err(|fault| Error::io("make a decompressor", fault))?;
        Ok(Self { decompressor, raw: Vec::new() })
    }

    /// Lets go of what a page that is longer than most has left it with.
    pub(in crate::block) fn shrink(&mut self) {
        self.raw.clear();
        self.raw.shrink_to(KEPT_BYTES);
    }

    /// Reads a dictionary page: `bytes` are its header and body.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not what was written.
    pub fn dictionary(
        &mut self,
        physical: Physical,
        page: &PageMeta,
        bytes: &[u8],
    ) -> Result<Owned, Error> {
        let raw = self.open(page, bytes)?;
        let mut values = empty(physical);
        plain(raw, physical, page.values as usize, &mut values)?;
        Ok(values)
    }

    /// Reads a data page and appends it. `max` are the highest repetition and definition level.
    ///
    /// # Errors
    /// `Corrupt` when the bytes are not what was written; `into` may hold a part then.
    pub fn page(
        &mut self,
        physical: Physical,
        encoding: Encoding,
        max: (u8, u8),
        page: &PageMeta,
        bytes: &[u8],
        into: &mut Decoded,
    ) -> Result<(), Error> {
        let mut rest = self.open(page, bytes)?;
        let entries = page.entries as usize;
        let (max_rep, max_def) = max;
        let rep = levels(&mut rest, max_rep, entries, &mut into.rep)?;
        let rows = match max_rep {
            0 => entries,
            _ => count_of(rep, 0),
        };
        if rows != page.rows as usize || rep.first().is_some_and(|level| *level != 0) {
            return Err(damaged("a page has another number of rows than it should"));
        }
        let def = levels(&mut rest, max_def, entries, &mut into.def)?;
        let present = match max_def {
            0 => entries,
            _ => count_of(def, max_def),
        };
        if present != page.values as usize {
            return Err(damaged("a page has another number of values than it should"));
        }
        values(rest, physical, encoding, present, &mut into.values)
    }

    /// Checks a page's bytes and decompresses its body.
    pub(super) fn open(&mut self, page: &PageMeta, bytes: &[u8]) -> Result<&[u8], Error> {
        if bytes.len() != page.len as usize || crc32c::crc32c(bytes) != page.crc {
            return Err(damaged("checksum mismatch in a page"));
        }
        let body = bytes.get(page.header_len as usize..).unwrap_or_default();
        if page.raw_len > RAW_BYTES_MAX || page.entries > ENTRIES_MAX {
            return Err(damaged("a page is longer than any can be"));
        }
        // Two places have to agree before anything is reserved.
        if get_frame_content_size(body).ok().flatten() != Some(u64::from(page.raw_len)) {
            return Err(damaged("a page has another length than it should"));
        }
        let raw_len = page.raw_len as usize;
        self.raw.clear();
        self.raw.reserve(raw_len);
        let done = self.decompressor.decompress_to_buffer(body, &mut self.raw);
        match done {
            Ok(len) if len == raw_len => Ok(&self.raw),
            _ => Err(damaged("a page cannot be decompressed")),
        }
    }
}

/// Reads the levels of a page (their length, then runs), appends them and gives them back.
fn levels<'o>(
    rest: &mut &[u8],
    max: u8,
    entries: usize,
    out: &'o mut Vec<u8>,
) -> Result<&'o [u8], Error> {
    if max == 0 {
        return Ok(&[]);
    }
    let fault = || damaged("levels end early or are higher than they can be");
    let (len, after) = rest.split_first_chunk::<4>().ok_or_else(fault)?;
    let len = u32::from_le_bytes(*len) as usize;
    let (runs, after) = after.split_at_checked(len).ok_or_else(fault)?;
    *rest = after;
    let begin = out.len();
    hybrid(runs, width(u32::from(max)), entries, out)?;
    let levels = out.get(begin..).unwrap_or_default();
    if levels.iter().fold(0, |all, level| (*level).max(all)) > max {
        return Err(fault());
    }
    Ok(levels)
}

fn values(
    bytes: &[u8],
    physical: Physical,
    encoding: Encoding,
    count: usize,
    out: &mut Owned,
) -> Result<(), Error> {
    let fault = || damaged("values end early or are of another kind");
    match (encoding, out) {
        (Encoding::Dictionary, Owned::Codes(codes)) => {
            let (bits, runs) = bytes.split_first().ok_or_else(fault)?;
            hybrid(runs, *bits, count, codes)?;
        }
        (Encoding::Delta, Owned::Words(words)) => {
            words.reserve(count);
            delta::read(bytes, count, |some| words.extend_from_slice(some))?;
        }
        (Encoding::Delta, Owned::Words32(words)) => {
            words.reserve(count);
            delta::read(bytes, count, |some| words.extend(some.iter().map(|word| low(*word))))?;
        }
        (Encoding::Split, Owned::Words(words)) => {
            if bytes.len() != count.checked_mul(8).ok_or_else(fault)? {
                return Err(fault());
            }
            let first = words.len();
            words.resize(first + count, 0);
            if count > 0 {
                for (shift, plane) in (0..64).step_by(8).zip(bytes.chunks_exact(count)) {
                    for (word, byte) in words.iter_mut().skip(first).zip(plane) {
                        *word |= u64::from(*byte) << shift;
                    }
                }
            }
        }
        (Encoding::DeltaLength, Owned::Texts { ends, bytes: all }) => {
            let mut end = all.len() as u64;
            let mut fits = true;
            ends.reserve(count);
            let taken = delta::read(bytes, count, |lengths| {
                ends.extend(lengths.iter().map(|len| {
                    end = end.saturating_add(*len);
                    fits &= end <= u64::from(u32::MAX);
                    low(end)
                }));
            })?;
            let text = bytes.get(taken..).unwrap_or_default();
            if !fits || end - all.len() as u64 != text.len() as u64 {
                return Err(fault());
            }
            all.extend_from_slice(text);
        }
        (Encoding::Plain, out) => plain(bytes, physical, count, out)?,
        _ => return Err(fault()),
    }
    Ok(())
}

fn plain(bytes: &[u8], physical: Physical, count: usize, out: &mut Owned) -> Result<(), Error> {
    let fault = || damaged("plain values end early or are of another kind");
    match (physical, out) {
        (Physical::Boolean, Owned::Bools(bools)) => {
            if bytes.len() != count.div_ceil(8) {
                return Err(fault());
            }
            let begin = bools.len();
            bools.reserve(bytes.len() * 8);
            for byte in bytes {
                let eight: [bool; 8] = std::array::from_fn(|at| byte >> at & 1 == 1);
                bools.extend_from_slice(&eight);
            }
            bools.truncate(begin + count);
        }
        (Physical::Int32, Owned::Words32(words)) => {
            let (whole, rest) = bytes.as_chunks::<4>();
            if whole.len() != count || !rest.is_empty() {
                return Err(fault());
            }
            words.extend(whole.iter().map(|word| u32::from_le_bytes(*word)));
        }
        (Physical::Int64 | Physical::Double, Owned::Words(words)) => {
            let (whole, rest) = bytes.as_chunks::<8>();
            if whole.len() != count || !rest.is_empty() {
                return Err(fault());
            }
            words.extend(whole.iter().map(|word| u64::from_le_bytes(*word)));
        }
        (Physical::Fixed(width), Owned::Fixed(all)) => {
            if bytes.len() != count.saturating_mul(usize::from(width)) {
                return Err(fault());
            }
            all.extend_from_slice(bytes);
        }
        (Physical::Bytes, Owned::Texts { ends, bytes: all }) => {
            let mut rest = bytes;
            // Each has its length in the page at least.
            ends.reserve(count.min(bytes.len() / 4));
            all.reserve(bytes.len());
            for _ in 0..count {
                let (len, after) = rest.split_first_chunk::<4>().ok_or_else(fault)?;
                let len = u32::from_le_bytes(*len) as usize;
                let (text, after) = after.split_at_checked(len).ok_or_else(fault)?;
                rest = after;
                all.extend_from_slice(text);
                ends.push(u32::try_from(all.len()).map_err(|_| fault())?);
            }
            if !rest.is_empty() {
                return Err(fault());
            }
        }
        _ => return Err(fault()),
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "differences of 32 bits wrap, what is larger was refused"
)]
const fn low(word: u64) -> u32 {
    word as u32
}
